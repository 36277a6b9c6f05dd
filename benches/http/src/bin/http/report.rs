//! Figures of turns as ratios and medians, and the tables of them.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

use super::idle::Memory;
use super::measure::Turn;
use super::workloads::Work;

/// How far two neighbouring turns of the reference may be from each other. Beyond that the machine changed its speed.
const STEADY: f64 = 1.08;

/// A turn of a contestant, between two of the reference.
#[derive(Clone, Copy)]
pub struct Compared {
    pub before: Turn,
    pub turn: Turn,
    pub after: Turn,
}

impl Compared {
    /// Whether the machine was as fast after as before.
    pub fn is_steady(&self) -> bool {
        let (one, other) = (self.before.per_cpu(), self.after.per_cpu());
        one.max(other) / one.min(other) <= STEADY
    }

    fn ratio(&self, of: impl Fn(&Turn) -> f64) -> f64 {
        of(&self.turn) / ((of(&self.before) + of(&self.after)) / 2.0)
    }
}

/// The lowest, the median and the highest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread([f64; 3]);

impl Spread {
    /// None of nothing.
    pub fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.sort_by(f64::total_cmp);
        let (first, last) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Spread([first, (low + high) / 2.0, last]))
    }

    fn ratio(self) -> String {
        let Spread([lowest, median, highest]) = self;
        format!("{median:.3} ({lowest:.3} to {highest:.3})")
    }
}

fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(head.iter().copied()).add_rows(rows);
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table.to_string()
}

/// One row a contestant; of unsteady turns only the number is told, unless there are no others.
pub fn of_turns(work: Work, reference: (&str, &[Turn]), others: &[(&str, Vec<Compared>)]) -> String {
    let unit = work.unit();
    let columns = |turns: &[Turn]| {
        let median =
            |of: fn(&Turn) -> f64| Spread::of(turns.iter().map(of).collect()).map_or(0.0, |all| all.0[1]);
        [
            format!("{:.0}", median(Turn::per_cpu)),
            format!("{:.0}", median(Turn::per_wall)),
            format!("{:.2}", median(Turn::busy)),
        ]
    };
    let mut rows = Vec::new();
    let [per_cpu, per_wall, busy] = columns(reference.1);
    let turns = reference.1.len().to_string();
    rows.push(vec![reference.0.to_owned(), "1".into(), "1".into(), per_cpu, per_wall, busy, turns]);
    for (name, all) in others {
        let steady: Vec<Compared> = all.iter().filter(|one| one.is_steady()).copied().collect();
        let (counted, mark) = if steady.is_empty() { (all, ", none steady") } else { (&steady, "") };
        let ratio = |of: fn(&Turn) -> f64| {
            Spread::of(counted.iter().map(|one| one.ratio(of)).collect())
                .map_or("-".to_owned(), Spread::ratio)
        };
        let [per_cpu, per_wall, busy] = columns(&counted.iter().map(|one| one.turn).collect::<Vec<_>>());
        rows.push(vec![
            (*name).to_owned(),
            ratio(Turn::per_cpu),
            ratio(Turn::per_wall),
            per_cpu,
            per_wall,
            busy,
            format!("{} of {}{mark}", steady.len(), all.len()),
        ]);
    }
    let (per_cpu, per_wall) = (format!("{unit} per CPU second"), format!("{unit} per second"));
    let head =
        ["", "per CPU second, by tokio", "per second, by tokio", &per_cpu, &per_wall, "of the core", "turns"];
    table(&head, rows)
}

/// Bytes a connection, medians of the rounds.
pub fn of_memory(found: &[(&str, Vec<Memory>)]) -> String {
    let median = |all: &[Memory], of: fn(&Memory) -> f64| {
        Spread::of(all.iter().map(of).collect()).map_or(0.0, |all| all.0[1])
    };
    let of: [fn(&Memory) -> f64; 4] =
        [|one| one.heap[0], |one| one.heap[1], |one| one.resident[0], |one| one.resident[1]];
    let reference: Vec<f64> =
        found.first().map_or(vec![0.0; 4], |(_, all)| of.iter().map(|of| median(all, *of)).collect());
    let rows = found.iter().map(|(name, all)| {
        let mut row = vec![(*name).to_owned()];
        row.extend(of.iter().zip(&reference).map(|(of, reference)| {
            let value = median(all, *of);
            format!("{value:.0} ({:.2})", value / reference)
        }));
        row.push(format!("{:.1}", median(all, |one| one.base) / f64::from(1 << 20)));
        row
    });
    let head =
        ["bytes a connection (by tokio)", "heap", "heap, later", "resident", "resident, later", "base, MiB"];
    table(&head, rows.collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn turn(operations: f64) -> Turn {
        Turn { operations, cpu: Duration::from_secs(1), wall: Duration::from_secs(2) }
    }

    #[test]
    fn a_turn_is_compared_with_the_mean_of_its_neighbours() {
        let compared = Compared { before: turn(100.0), turn: turn(115.5), after: turn(110.0) };
        assert!((compared.ratio(Turn::per_cpu) - 1.1).abs() < 1e-9);
        assert!(!compared.is_steady());
        assert!(Compared { after: turn(107.0), ..compared }.is_steady());
    }

    #[test]
    fn a_spread_is_the_lowest_the_median_and_the_highest() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), Some(Spread([1.0, 2.0, 3.0])));
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]), Some(Spread([1.0, 2.5, 4.0])));
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn turns_of_an_unsteady_machine_do_not_count() {
        let steady = Compared { before: turn(100.0), turn: turn(110.0), after: turn(100.0) };
        let unsteady = Compared { before: turn(100.0), turn: turn(500.0), after: turn(150.0) };
        let work = super::super::workloads::ALL[0].work;
        let text = of_turns(work, ("tokio", &[turn(100.0)]), &[("annulus", vec![steady, unsteady])]);
        assert!(text.contains("1.100 (1.100 to 1.100)") && text.contains("1 of 2"), "{text}");
    }
}
