//! Figures of single rounds, and what is made of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::contestants::REFERENCE;
use super::measure::Found;

/// What is told as a ratio.
const COMPARED: &str = "cpu";

/// Whether the machine was as fast after a turn as before.
fn is_steady(before: f64, after: f64) -> bool {
    const ALIKE: f64 = 1.08;
    before.max(after) <= before.min(after) * ALIKE
}

/// One figure of one contestant in one round. They are kept in the order of the turns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    pub workload: String,
    pub contestant: String,
    pub round: usize,
    /// What it is of: `cpu`, `wall`, `p50`, ...
    pub metric: String,
    pub value: f64,
    pub unit: String,
}

/// A median, and between what it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    pub fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Spread { median, least, most })
    }
}

#[derive(Default)]
pub struct Figures(pub Vec<Figure>);

impl Figures {
    fn of<'a>(
        &'a self,
        workload: &'a str,
        contestant: &'a str,
        metric: &'a str,
    ) -> impl Iterator<Item = &'a Figure> {
        self.0.iter().filter(move |figure| {
            figure.workload == workload && figure.contestant == contestant && figure.metric == metric
        })
    }

    /// The median over the rounds.
    pub fn spread(&self, workload: &str, contestant: &str, metric: &str) -> Option<Spread> {
        Spread::of(self.of(workload, contestant, metric).map(|figure| figure.value).collect())
    }

    /// The median of what it was by what the reference was beside it: in its turns before and after, in the mean. Where these
    /// two differ the machine changed its speed in between, and the turn says nothing.
    ///
    /// Of the reference itself that shows how much a figure means.
    pub fn ratio(&self, workload: &str, contestant: &str) -> Option<Spread> {
        Spread::of(self.ratios(workload, contestant))
    }

    /// One for each turn that says something.
    pub fn ratios(&self, workload: &str, contestant: &str) -> Vec<f64> {
        let is_compared = |figure: &&Figure| figure.workload == workload && figure.metric == COMPARED;
        let turns: Vec<_> = self.0.iter().filter(is_compared).collect();
        let beside = |at: usize| {
            let is_reference =
                |other: &&&Figure| other.round == turns[at].round && other.contestant == REFERENCE;
            let before = turns[..at].iter().rev().find(is_reference);
            let after = turns[at + 1..].iter().find(is_reference);
            match (before, after) {
                (Some(before), Some(after)) if is_steady(before.value, after.value) => {
                    Some((before.value + after.value) / 2.0)
                }
                (Some(_), Some(_)) => None,
                (one, other) => one.or(other).map(|one| one.value),
            }
        };
        let theirs = turns.iter().enumerate().filter(|(_, figure)| figure.contestant == contestant);
        theirs.filter_map(|(at, figure)| Some(figure.value / beside(at)?)).collect()
    }

    /// Adds the turns of a round, in their order.
    pub fn add_round(&mut self, workload: &str, round: usize, turns: Vec<(&str, Found)>) {
        for (contestant, found) in turns {
            self.0.extend(found.into_iter().map(|(metric, value, unit)| Figure {
                workload: workload.to_owned(),
                contestant: contestant.to_owned(),
                round,
                metric: metric.to_owned(),
                value,
                unit: unit.to_owned(),
            }));
        }
    }

    /// How many rounds the workloads were measured in: the fewest and the most.
    pub fn rounds(&self) -> (usize, usize) {
        let mut rounds: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for figure in &self.0 {
            rounds.entry(&figure.workload).or_default().insert(figure.round);
        }
        let counts = || rounds.values().map(BTreeSet::len);
        (counts().min().unwrap_or(0), counts().max().unwrap_or(0))
    }

    pub fn has(&self, workload: &str, contestant: &str) -> bool {
        self.0.iter().any(|figure| figure.workload == workload && figure.contestant == contestant)
    }

    pub fn unit(&self, workload: &str, metric: &str) -> Option<&str> {
        let found = self.0.iter().find(|figure| figure.workload == workload && figure.metric == metric);
        found.map(|figure| figure.unit.as_str())
    }

    /// One line a figure.
    pub fn to_csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        self.0.iter().try_for_each(|figure| writer.serialize(figure))?;
        writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
    }

    pub fn from_csv(bytes: &[u8]) -> Result<Figures, csv::Error> {
        csv::Reader::from_reader(bytes).into_deserialize().collect::<Result<_, _>>().map(Figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(contestant: &str, round: usize, value: f64) -> Figure {
        let [workload, metric, unit] = ["echo", "cpu", "ns"].map(str::to_owned);
        Figure { workload, contestant: contestant.to_owned(), round, metric, value, unit }
    }

    #[test]
    fn a_median_lies_between_the_least_and_the_most() {
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(Spread::of(vec![4.0, 1.0]).unwrap().median, 2.5);
    }

    #[test]
    fn a_ratio_is_to_the_reference_beside_it() {
        let turn = |who, value| (who, vec![(COMPARED, value, "ns")]);
        let mut figures = Figures::default();
        // The machine was twice as slow in the second round: that says nothing of the contestant.
        figures.add_round(
            "echo",
            0,
            vec![turn(REFERENCE, 100.0), turn("ours", 110.0), turn(REFERENCE, 100.0)],
        );
        figures.add_round(
            "echo",
            1,
            vec![turn(REFERENCE, 200.0), turn("ours", 220.0), turn(REFERENCE, 200.0)],
        );
        // It changed within the third.
        figures.add_round(
            "echo",
            2,
            vec![turn(REFERENCE, 100.0), turn("ours", 165.0), turn(REFERENCE, 200.0)],
        );
        let ratios = figures.ratios("echo", "ours");
        assert!(ratios.len() == 2 && ratios.iter().all(|ratio| (ratio - 1.1).abs() < 1e-9), "{ratios:?}");
        assert_eq!(figures.ratios("echo", REFERENCE).len(), 6, "by its own neighbours");
        assert_eq!(figures.rounds(), (3, 3));
    }

    #[test]
    fn nothing_is_compared_where_there_is_no_reference() {
        let mut figures = Figures::default();
        figures.add_round("echo", 0, vec![("ours", vec![(COMPARED, 1.0, "ns")])]);
        assert_eq!(figures.ratio("echo", "ours"), None);
    }

    #[test]
    fn figures_are_the_same_after_they_were_written() {
        let figures = Figures(vec![figure("compio, tuned", 3, 1.5)]);
        let again = Figures::from_csv(&figures.to_csv().unwrap()).unwrap();
        assert_eq!(again.0, figures.0);
        assert!(Figures::from_csv(b"workload,round\necho,one\n").is_err());
    }
}
