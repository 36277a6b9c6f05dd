//! Many places of a file, by few reads.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::BLOCK;
use super::facts::Question;
use super::fetch::Fetch;
use super::line::Line;
use crate::buf::Aligned;
use crate::fs::File;

/// How many reads are under way, unless asked for otherwise.
const DEPTH: usize = 16;
/// How far two ranges may be apart and are still read as one, in bytes, unless asked for otherwise.
const GAP: u64 = 4096;
/// The longest range.
const LONGEST: u64 = 1 << 30;

impl File {
    /// Reads many ranges of the file, those that touch, overlap or are near each other by one read: fewer requests, of which each
    /// is longer. The results share the memory that was read.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::File;
    ///
    /// annulus::run(async {
    ///     let file = File::open("Cargo.toml").await?;
    ///     let parts = file.read_many([0..9, 1..8, 1_000_000..1_000_001]).all().await?;
    ///     assert_eq!(parts[0], "[package]");
    ///     assert_eq!(parts[1], "package");
    ///     assert!(parts[2].is_empty(), "there the file has ended");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn read_many(&self, ranges: impl IntoIterator<Item = Range<u64>>) -> ReadMany {
        ReadMany {
            file: self.another(),
            ranges: ranges.into_iter().collect(),
            gap_max: GAP,
            merged_max: BLOCK as u64,
            depth: DEPTH,
            question: Question::default(),
            unit: None,
            groups: VecDeque::new(),
            under_way: VecDeque::new(),
            line: Line::default(),
            come: VecDeque::new(),
        }
    }
}

/// Ranges of a file that are being read: see [`File::read_many`].
///
/// Reads go out in the order of the file, a bounded number at a time, and their ranges come in that order from
/// [`next`](Self::next). [`all`](Self::all) gives them in the order in which they were asked for.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::fs::File;
///
/// annulus::run(async {
/// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
///     let file = File::open("Cargo.toml").await?;
///     // Ranges that are close to each other are read by one read.
///     let mut reads = file.read_many([0..9, 1..8]).gap_max(4096).merged_max(1 << 20).depth(4);
///     while let Some((place, bytes)) = reads.next().await? {
///         assert_eq!(bytes.len(), [9, 7][place]);
///     }
///     let both = file.read_many([0..9, 1..8]).all().await?;
///     assert_eq!(both[1], "package");
///     Ok(())
/// })?
/// # }
/// ```
#[must_use = "nothing is read before `next` or `all` is awaited"]
pub struct ReadMany {
    file: File,
    ranges: Vec<Range<u64>>,
    gap_max: u64,
    merged_max: u64,
    depth: usize,
    question: Question,
    /// What offsets and lengths have to be multiples of, once the file was asked.
    unit: Option<u64>,
    /// What is to be read as one.
    groups: VecDeque<Group>,
    /// Those that the line has.
    under_way: VecDeque<Group>,
    line: Line<Fetch<Aligned>>,
    /// Ranges that have come and were not taken.
    come: VecDeque<(usize, Bytes)>,
}

/// Ranges that one read covers.
#[derive(Debug, PartialEq)]
struct Group {
    range: Range<u64>,
    members: Vec<usize>,
}

impl ReadMany {
    /// How far two ranges may be apart and are still read as one, in bytes. By default 4,096; with 0, those that touch.
    ///
    /// # Panics
    /// If reading has begun.
    ///
    /// # Examples
    /// As [`ReadMany`].
    pub fn gap_max(mut self, bytes: u64) -> ReadMany {
        self.assert_not_begun();
        self.gap_max = bytes;
        self
    }

    /// How long a read may become by merging, in bytes. By default 128 KiB. A range that is longer is read by itself.
    ///
    /// # Panics
    /// If reading has begun.
    ///
    /// # Examples
    /// As [`ReadMany`].
    pub fn merged_max(mut self, bytes: u64) -> ReadMany {
        self.assert_not_begun();
        self.merged_max = bytes.min(LONGEST);
        self
    }

    /// How many reads are under way at a time. By default 16.
    ///
    /// # Panics
    /// If it is zero.
    ///
    /// # Examples
    /// As [`ReadMany`].
    pub fn depth(mut self, reads: usize) -> ReadMany {
        assert!(reads > 0, "at least one read has to be under way");
        self.depth = reads;
        self
    }

    #[track_caller]
    fn assert_not_begun(&self) {
        assert!(self.unit.is_none(), "reading has begun: say it before");
    }

    /// The next range that has come: its number among those that were asked for, and its bytes, fewer where the file ends
    /// before. None when all have come.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Errors
    /// Those of pread(2). The call after that tries that place again. `InvalidInput` for a range of more than 1 GiB.
    ///
    /// # Examples
    /// As [`ReadMany`].
    pub async fn next(&mut self) -> io::Result<Option<(usize, Bytes)>> {
        let unit = match self.unit {
            Some(unit) => unit,
            None => {
                if let Some(range) =
                    self.ranges.iter().find(|range| range.end.saturating_sub(range.start) > LONGEST)
                {
                    let text = format!(
                        "{range:?} is more than 1 GiB: it would be one read; ReadAhead gives it in blocks"
                    );
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
                }
                let unit = self.question.unit_of(&self.file).await?;
                self.groups = merged(&self.ranges, self.gap_max, self.merged_max);
                *self.unit.insert(unit)
            }
        };
        poll_fn(|cx| self.poll_next_range(unit, cx)).await
    }

    /// All of them, in the order in which they were asked for.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Errors
    /// The first that [`next`](Self::next) meets.
    ///
    /// # Examples
    /// As [`ReadMany`].
    pub async fn all(mut self) -> io::Result<Vec<Bytes>> {
        let mut all = vec![Bytes::new(); self.ranges.len()];
        while let Some((number, bytes)) = self.next().await? {
            all[number] = bytes;
        }
        Ok(all)
    }

    fn poll_next_range(
        &mut self,
        unit: u64,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<(usize, Bytes)>>> {
        loop {
            if let Some(range) = self.come.pop_front() {
                return Poll::Ready(Ok(Some(range)));
            }
            while self.line.len() < self.depth {
                let Some(group) = self.groups.pop_front() else { break };
                let begin = group.range.start - group.range.start % unit;
                let length = (group.range.end - begin).next_multiple_of(unit) as usize;
                let buffer = Aligned::with_capacity(length, unit as usize);
                self.line.push(Fetch::new(&self.file, buffer, begin, length, unit));
                self.under_way.push_back(group);
            }
            self.line.begin(cx);
            let Some((result, buffer)) = ready!(self.line.poll_first(cx)) else {
                return Poll::Ready(Ok(None));
            };
            let group = self.under_way.pop_front().expect("it is in the line");
            if let Err(error) = result {
                self.groups.push_front(group);
                // Behind it would be in front of it, were it tried again now.
                while let Some(later) = self.under_way.pop_back() {
                    self.groups.insert(1, later);
                }
                self.line.clear();
                return Poll::Ready(Err(error));
            }
            let begin = group.range.start - group.range.start % unit;
            let bytes = Bytes::from_owner(buffer);
            let place = |offset: u64| ((offset - begin) as usize).min(bytes.len());
            for number in group.members {
                let range = &self.ranges[number];
                self.come.push_back((number, bytes.slice(place(range.start)..place(range.end))));
            }
        }
    }
}

impl fmt::Debug for ReadMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadMany")
            .field("file", &self.file)
            .field("ranges", &self.ranges.len())
            .field("under_way", &self.line.len())
            .finish()
    }
}

/// In the order of the file.
fn merged(ranges: &[Range<u64>], gap_max: u64, merged_max: u64) -> VecDeque<Group> {
    let mut order: Vec<_> = (0..ranges.len()).collect();
    order.sort_by_key(|number| ranges[*number].start);
    let mut groups = VecDeque::<Group>::new();
    for number in order {
        let range = ranges[number].start..ranges[number].end.max(ranges[number].start);
        if let Some(group) = groups.back_mut() {
            let end = group.range.end.max(range.end);
            let is_near = range.start <= group.range.end.saturating_add(gap_max);
            if is_near && (end - group.range.start <= merged_max || end == group.range.end) {
                group.range.end = end;
                group.members.push(number);
                continue;
            }
        }
        groups.push_back(Group { range, members: vec![number] });
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(ranges: &[Range<u64>], gap_max: u64, merged_max: u64) -> Vec<(Range<u64>, Vec<usize>)> {
        merged(ranges, gap_max, merged_max).into_iter().map(|group| (group.range, group.members)).collect()
    }

    #[test]
    fn ranges_that_are_near_are_one_read() {
        assert_eq!(groups(&[0..10, 10..20, 21..30], 0, 100), [(0..20, vec![0, 1]), (21..30, vec![2])]);
        assert_eq!(groups(&[21..30, 0..10, 5..20], 1, 100), [(0..30, vec![1, 2, 0])]);
        assert_eq!(groups(&[], 1, 100), []);
    }

    #[test]
    fn no_read_becomes_longer_than_may_be_by_merging() {
        assert_eq!(groups(&[0..60, 60..100, 100..140], 0, 100), [(0..100, vec![0, 1]), (100..140, vec![2])]);
        // Longer by itself; what lies within it costs nothing more.
        assert_eq!(
            groups(&[0..500, 100..200, 500..501], 0, 100),
            [(0..500, vec![0, 1]), (500..501, vec![2])]
        );
    }

    #[test]
    fn ranges_of_no_bytes_are_ranges() {
        #[allow(clippy::reversed_empty_ranges, reason = "somebody may ask for it")]
        let strange = 9..3;
        assert_eq!(groups(&[5..5, strange], 0, 100), [(5..5, vec![0]), (9..9, vec![1])]);
    }
}
