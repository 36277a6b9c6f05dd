//! Figures of single rounds, and what is made of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One figure of one contestant in one round.
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

    /// The median of what it is in each round by the reference's of the same round.
    pub fn ratio(&self, workload: &str, contestant: &str, reference: &str, metric: &str) -> Option<Spread> {
        let theirs: BTreeMap<_, _> =
            self.of(workload, reference, metric).map(|figure| (figure.round, figure.value)).collect();
        let of = |figure: &Figure| Some(figure.value / theirs.get(&figure.round)?);
        Spread::of(self.of(workload, contestant, metric).filter_map(of).collect())
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
    fn a_ratio_is_to_the_reference_of_the_same_round() {
        // The machine was twice as slow in the second round: that says nothing of the contestant.
        let figures = Figures(vec![
            figure("ring", 0, 100.0),
            figure("ours", 0, 110.0),
            figure("ring", 1, 200.0),
            figure("ours", 1, 220.0),
            figure("ours", 2, 1000.0),
        ]);
        let ratio = figures.ratio("echo", "ours", "ring", "cpu").unwrap();
        assert!((ratio.least - 1.1).abs() < 1e-9 && (ratio.most - 1.1).abs() < 1e-9, "{ratio:?}");
    }

    #[test]
    fn figures_are_the_same_after_they_were_written() {
        let figures = Figures(vec![figure("compio, tuned", 3, 1.5)]);
        let again = Figures::from_csv(&figures.to_csv().unwrap()).unwrap();
        assert_eq!(again.0, figures.0);
        assert!(Figures::from_csv(b"workload,round\necho,one\n").is_err());
    }
}
