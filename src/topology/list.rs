//! Sets of processors as the kernel writes them: "0-3,8,10-11".

use std::ops::RangeInclusive;

/// Kept as ranges, so that nonsense such as "0-99999999999" costs no memory.
#[derive(Debug, PartialEq)]
pub(super) struct List(Vec<RangeInclusive<usize>>);

impl List {
    /// None if it is no such list. An empty one is: nodes that have only memory have it.
    pub(super) fn parse(text: &str) -> Option<List> {
        let text = text.trim();
        if text.is_empty() {
            return Some(List(Vec::new()));
        }
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then_some(first..=last)
        };
        text.split(',').map(range).collect::<Option<_>>().map(List)
    }

    pub(super) fn contains(&self, number: usize) -> bool {
        self.0.iter().any(|range| range.contains(&number))
    }

    pub(super) fn least(&self) -> Option<usize> {
        self.0.iter().map(|range| *range.start()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::List;

    #[test]
    fn a_list_has_the_numbers_that_it_says_and_no_others() {
        let list = List::parse("0-3,8,10-11\n").unwrap();
        let numbers: Vec<_> = (0..64).filter(|number| list.contains(*number)).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(List::parse("9,4-5").unwrap().least(), Some(4));
        let empty = List::parse("\n").unwrap();
        assert_eq!((empty.contains(0), empty.least()), (false, None));
    }

    #[test]
    fn what_is_no_list_is_none() {
        for text in ["-", "1-", "-1", "3-1", "0,,1", "0,", "a", "0-1-2", "0 1", "99999999999999999999", "\0"]
        {
            assert_eq!(List::parse(text), None, "{text:?}");
        }
    }
}
