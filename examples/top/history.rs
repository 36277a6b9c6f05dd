//! What was seen in the last ten seconds, for rates and for histograms of now.

use std::collections::{HashMap, VecDeque};

use super::snapshot::{Histogram, Loop, Snapshot};

/// How far back histograms look.
const SPAN_MS: u64 = 10_000;

/// The loops at some moments, the newest last.
#[derive(Default)]
pub(crate) struct History {
    past: VecDeque<(u64, Vec<Loop>)>,
    pid: Option<u32>,
}

/// When what is said of a loop was so: a loop that stands still says nothing new.
fn moment(time_ms: u64, of: &Loop) -> u64 {
    time_ms.saturating_sub(of.age_ms)
}

impl History {
    pub(crate) fn note(&mut self, snapshot: &Snapshot) {
        let process = &snapshot.process;
        let is_earlier = self.past.back().is_some_and(|(time_ms, _)| *time_ms > process.time_ms);
        if self.pid.replace(process.pid) != Some(process.pid) || is_earlier {
            self.past.clear();
        }
        self.past.push_back((process.time_ms, snapshot.loops.clone()));
        while self.past.len() > 2 && self.past[1].0 + SPAN_MS <= process.time_ms {
            self.past.pop_front();
        }
    }

    /// The same loop so long ago, or as long ago as it was seen; and when that was.
    fn before(&self, now: &Loop, span_ms: u64) -> Option<(u64, u64, &Loop)> {
        let (time_ms, _) = self.past.back()?;
        let at = moment(*time_ms, now);
        let mut found = None;
        for (then_ms, loops) in &self.past {
            let Some(then) = loops.iter().find(|then| then.number == now.number && then.metrics.is_some())
            else {
                continue;
            };
            let then_at = moment(*then_ms, then);
            if then_at < at && (found.is_none() || then_ms + span_ms <= *time_ms) {
                found = Some((at - then_at, then_at, then));
            }
        }
        found
    }

    /// How much a number grew a second, since the last look. None where that is not known yet.
    pub(crate) fn rate(&self, now: &Loop, of: impl Fn(&Loop) -> Option<u64>) -> Option<f64> {
        if now.is_stalled() {
            return Some(0.0);
        }
        let (passed, _, then) = self.before(now, 1)?;
        // An operation's first answer has nothing before it.
        let grown = of(now)?.saturating_sub(of(then).unwrap_or(0));
        Some(grown as f64 * 1000.0 / passed as f64)
    }

    /// A value that so many of a hundred did not exceed in the last seconds, or ever if nothing was seen in those: the end of its bucket.
    pub(crate) fn percentile(
        &self,
        loops: &[&Loop],
        of: impl Fn(&Loop) -> Option<&Histogram>,
        percent: u64,
    ) -> Option<u64> {
        let mut ever: HashMap<(u64, u64), u64> = HashMap::new();
        let mut lately = ever.clone();
        let mut max = 0;
        for now in loops {
            let Some(histogram) = of(now) else { continue };
            max = max.max(histogram.max.unwrap_or(u64::MAX));
            let then = self.before(now, SPAN_MS).and_then(|(_, _, then)| of(then));
            for (first, last, number) in &histogram.buckets {
                let had = then.and_then(|then| then.buckets.iter().find(|bucket| bucket.0 == *first));
                *ever.entry((*first, *last)).or_default() += number;
                *lately.entry((*first, *last)).or_default() +=
                    number.saturating_sub(had.map_or(0, |bucket| bucket.2));
            }
            if self.before(now, SPAN_MS).is_none() {
                lately.clear();
            }
        }
        let shown = if lately.values().any(|number| *number > 0) { lately } else { ever };
        let mut buckets: Vec<_> = shown.into_iter().collect();
        buckets.sort_unstable();
        let wanted = (buckets.iter().map(|(_, number)| number).sum::<u64>() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let found = buckets.into_iter().find(|(_, number)| {
            seen += number;
            seen >= wanted
        });
        found.map(|((_, last), _)| last.min(max))
    }
}
