//! How often values of each size were seen: one counter for each power of two.

use std::fmt;

const BUCKETS: usize = 48;

/// How often values of each size were seen, by powers of two. Plain data: a copy is a picture of its moment.
///
/// What is counted, and in which unit, says whoever gives it out: nanoseconds where it is time.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let runtime = annulus::Runtime::new()?;
/// runtime.run(async {
///     for _ in 0..10_000 {
///         annulus::yield_now().await;
///     }
/// })?;
/// let polls = runtime.metrics().poll_time;
/// println!("half of the polls took less than {:?} ns, the longest {:?}", polls.percentile(50.0), polls.max());
/// assert!(polls.count() > 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Histogram {
    /// Zero, and then for each power of two the values from it to below the next.
    buckets: [u64; BUCKETS],
    sum: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { buckets: [0; BUCKETS], sum: 0, max: 0 }
    }
}

impl Histogram {
    /// Counts a value.
    pub(crate) fn note(&mut self, value: u64) {
        let bucket = (u64::BITS - value.leading_zeros()) as usize;
        self.buckets[bucket.min(BUCKETS - 1)] += 1;
        self.sum = self.sum.saturating_add(value);
        self.max = self.max.max(value);
    }

    /// How many values there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Their mean; none if there were none.
    ///
    /// # Examples
    /// ```
    /// let histogram = annulus::Runtime::new()?.metrics().batches;
    /// assert_eq!(histogram.mean(), None, "nothing was seen yet");
    /// for (from, to, count) in histogram.buckets() {
    ///     println!("{count} values from {from} to {to}");
    /// }
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum as f64 / count as f64)
    }

    /// The largest; none if there were none.
    pub fn max(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.max)
    }

    /// A value that so many of a hundred do not exceed: the upper end of the bucket in which that place is, so at most twice too
    /// much. None if there were none.
    ///
    /// # Panics
    /// If `percent` is not from 0 to 100.
    pub fn percentile(&self, percent: f64) -> Option<u64> {
        assert!((0.0..=100.0).contains(&percent), "{percent} of a hundred is no part of it");
        let wanted = ((self.count() as f64 * percent / 100.0).ceil() as u64).max(1);
        let mut seen = 0;
        self.buckets().find_map(|(_, last, count)| {
            seen += count;
            (seen >= wanted).then_some(last.min(self.max))
        })
    }

    /// What has come since it was as `before`: the middle of each bucket that has grown, and by how much.
    #[cfg(feature = "metrics")]
    pub(crate) fn since(&self, before: &Histogram) -> impl Iterator<Item = (f64, u64)> {
        let grown = move |(bucket, count): (usize, &u64)| {
            let more = count.saturating_sub(before.buckets[bucket]);
            let first = if bucket == 0 { 0.0 } else { (1_u64 << (bucket - 1)) as f64 };
            // What is above all of them is as large as the largest.
            let last = if bucket == BUCKETS - 1 { self.max as f64 } else { (first * 2.0 - 1.0).max(0.0) };
            (more > 0).then_some(((first + last.min(self.max as f64)) / 2.0, more))
        };
        self.buckets.iter().enumerate().filter_map(grown)
    }

    /// The buckets that are not empty: the least value and the greatest that each is for, and how many there were.
    ///
    /// # Examples
    /// As [`mean`](Self::mean).
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        self.buckets.iter().enumerate().filter(|(_, count)| **count > 0).map(|(bucket, count)| {
            let first = if bucket == 0 { 0 } else { 1 << (bucket - 1) };
            let last = if bucket == BUCKETS - 1 { u64::MAX } else { (1 << bucket) - 1 };
            (first, last, *count)
        })
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("p50", &self.percentile(50.0))
            .field("p99", &self.percentile(99.0))
            .field("max", &self.max())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_where_they_belong() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.percentile(50.0), histogram.mean(), histogram.max()), (None, None, None));
        for value in [0, 1, 2, 3, 4, 1023, 1024, u64::MAX] {
            histogram.note(value);
        }
        let buckets: Vec<_> = histogram.buckets().collect();
        assert_eq!(buckets[..4], [(0, 0, 1), (1, 1, 1), (2, 3, 2), (4, 7, 1)]);
        assert_eq!(buckets[4..], [(512, 1023, 1), (1024, 2047, 1), (1 << 46, u64::MAX, 1)]);
        assert_eq!((histogram.count(), histogram.max()), (8, Some(u64::MAX)));
    }

    #[cfg(feature = "metrics")]
    #[test]
    fn what_has_come_since_is_told_once_and_by_its_middle() {
        let mut histogram = Histogram::default();
        [0, 1, 5].iter().for_each(|value| histogram.note(*value));
        let before = histogram;
        assert_eq!(
            histogram.since(&Histogram::default()).collect::<Vec<_>>(),
            [(0.0, 1), (1.0, 1), (4.5, 1)]
        );
        assert_eq!(histogram.since(&before).count(), 0);
        [4, 600, 700, 2000].iter().for_each(|value| histogram.note(*value));
        assert_eq!(histogram.since(&before).collect::<Vec<_>>(), [(5.5, 1), (767.5, 2), (1512.0, 1)]);
    }

    #[test]
    fn a_percentile_is_exceeded_by_no_more_than_it_says() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|value| histogram.note(value));
        for percent in [1.0, 25.0, 50.0, 99.0, 100.0] {
            let value = histogram.percentile(percent).unwrap() as f64;
            let exact = percent * 10.0;
            assert!(value >= exact && value < 2.0 * exact, "{percent}: {value}");
        }
        assert_eq!(histogram.mean(), Some(500.5));
    }
}
