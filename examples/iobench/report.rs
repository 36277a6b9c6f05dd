//! What came of it, for people and as JSON.

use std::fmt;

use serde_json::{Value, json};

use crate::job::{Outcome, Side};
use crate::{Arguments, size};

pub struct Report {
    pub arguments: Arguments,
    pub outcome: Outcome,
    /// What was read back, if that was asked for.
    pub verified: Option<Outcome>,
}

/// Of which latencies the report tells, in percent.
pub const PERCENTILES: [f64; 8] = [1.0, 25.0, 50.0, 90.0, 95.0, 99.0, 99.9, 99.99];

impl Report {
    pub fn new(arguments: &Arguments, outcome: Outcome) -> Report {
        Report { arguments: arguments.clone(), outcome, verified: None }
    }

    pub fn wrong_blocks(&self) -> u64 {
        self.outcome.wrong_blocks + self.verified.as_ref().map_or(0, |verified| verified.wrong_blocks)
    }

    /// Reads and writes, as far as there were any.
    pub fn sides(&self) -> impl Iterator<Item = (&'static str, &Side)> {
        let sides = [("read", &self.outcome.reads), ("write", &self.outcome.writes)];
        sides.into_iter().filter(|(_, side)| side.blocks > 0)
    }

    fn each_second(&self, side: &Side) -> f64 {
        side.blocks as f64 / self.outcome.elapsed.as_secs_f64().max(1e-9)
    }

    /// Processor time of a block, in nanoseconds: in the program, and in the kernel.
    fn processor_time(&self) -> (f64, f64) {
        let blocks = (self.outcome.reads.blocks + self.outcome.writes.blocks).max(1) as f64;
        (self.outcome.user.as_nanos() as f64 / blocks, self.outcome.system.as_nanos() as f64 / blocks)
    }

    fn to_json(&self) -> Value {
        let (user, system) = self.processor_time();
        let sides: serde_json::Map<_, _> = self
            .sides()
            .map(|(name, side)| {
                let percentiles: serde_json::Map<_, _> = PERCENTILES
                    .iter()
                    .map(|percent| (format!("{percent}"), json!(side.latencies.value_at_quantile(percent / 100.0))))
                    .collect();
                let latencies = json!({
                    "min": side.latencies.min(), "max": side.latencies.max(), "mean": side.latencies.mean(),
                    "stddev": side.latencies.stdev(), "percentile": Value::Object(percentiles),
                });
                let iops = self.each_second(side);
                let figures = json!({
                    "total_ios": side.blocks, "iops": iops, "bw_bytes": iops * self.arguments.bs as f64, "lat_ns": latencies,
                });
                (name.to_owned(), figures)
            })
            .collect();
        json!({
            "driver": self.outcome.driver,
            "runtime_seconds": self.outcome.elapsed.as_secs_f64(),
            "cpu_ns_each": { "user": user, "system": system },
            "wrong_blocks": self.wrong_blocks(),
            "iops_over_time": self.outcome.series,
            "jobs": Value::Object(sides),
        })
    }
}

/// For people: one below the other, and each beside the first.
pub fn told(reports: &[Report]) -> String {
    let mut told: Vec<_> = reports.iter().map(Report::to_string).collect();
    let Some((first, others)) = reports.split_first() else { return String::new() };
    for other in others {
        for ((name, side), (_, before)) in other.sides().zip(first.sides()) {
            let iops = other.each_second(side) / first.each_second(before);
            let [time, before] =
                [other, first].map(|report| report.processor_time()).map(|time| time.0 + time.1);
            told.push(format!(
                "{name:5} {} by {}: {iops:.2} of the IOPS, {:.2} of the processor time",
                other.outcome.driver,
                first.outcome.driver,
                time / before.max(1e-9)
            ));
        }
    }
    told.join("\n")
}

/// One object; of several drivers a list of them.
pub fn json(reports: &[Report]) -> String {
    let mut all: Vec<_> = reports.iter().map(Report::to_json).collect();
    let json = if all.len() == 1 { all.remove(0) } else { Value::Array(all) };
    serde_json::to_string_pretty(&json).expect("numbers and texts")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arguments { bs, iodepth, numjobs, direct, .. } = &self.arguments;
        let how = if *direct > 0 { "direct" } else { "buffered" };
        writeln!(
            f,
            "{how}, blocks of {}, depth {iodepth}, {numjobs} job(s), driver {}, {:.2} s",
            size::told(*bs),
            self.outcome.driver,
            self.outcome.elapsed.as_secs_f64(),
        )?;
        for (name, side) in self.sides() {
            let iops = self.each_second(side);
            let bandwidth = size::told((iops * *bs as f64) as u64);
            writeln!(f, "{name:5} {iops:.0} IOPS, {bandwidth}/s, {} blocks", side.blocks)?;
            write!(f, "      latency us: mean {:.1}", side.latencies.mean() / 1000.0)?;
            for percent in PERCENTILES {
                let micros = side.latencies.value_at_quantile(percent / 100.0) as f64 / 1000.0;
                write!(f, ", p{percent} {micros:.1}")?;
            }
            writeln!(f, ", max {:.1}", side.latencies.max() as f64 / 1000.0)?;
        }
        let (user, system) = self.processor_time();
        write!(
            f,
            "processor time: {:.0} ns a block, {user:.0} in the program, {system:.0} in the kernel",
            user + system
        )?;
        if let Some(verified) = &self.verified {
            write!(f, "\nread back: {} blocks", verified.reads.blocks)?;
        }
        if self.arguments.verify {
            write!(f, "\nverify: {} wrong blocks", self.wrong_blocks())?;
        }
        let wrong =
            self.outcome.wrong.iter().chain(self.verified.iter().flat_map(|verified| &verified.wrong));
        wrong.into_iter().try_for_each(|place| write!(f, "\n  wrong: {place}"))
    }
}
