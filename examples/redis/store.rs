//! Keys, values, and when they expire.
//!
//! A key that has expired is not there for whoever asks, and is removed by the next sweep.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::reply::decimal;
use crate::request::number;

#[derive(Default)]
pub struct Store {
    entries: HashMap<Rc<[u8]>, Entry>,
    /// When keys are to be looked at. One whose time was changed meanwhile is there more than once.
    deadlines: BinaryHeap<Reverse<(Instant, Rc<[u8]>)>>,
}

struct Entry {
    value: Vec<u8>,
    deadline: Option<Instant>,
}

/// Why a number was not added.
#[derive(Debug, PartialEq, Eq)]
pub enum NotAdded {
    /// The value is no number.
    NoNumber,
    /// The sum would be.
    TooLarge,
}

impl Entry {
    fn is_alive(&self, now: Instant) -> bool {
        self.deadline.is_none_or(|deadline| now < deadline)
    }
}

impl Store {
    #[inline]
    pub fn get(&self, key: &[u8], now: Instant) -> Option<&[u8]> {
        self.entry(key, now).map(|entry| entry.value.as_slice())
    }

    fn entry(&self, key: &[u8], now: Instant) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| entry.is_alive(now))
    }

    fn entry_mut(&mut self, key: &[u8], now: Instant) -> Option<&mut Entry> {
        self.entries.get_mut(key).filter(|entry| entry.is_alive(now))
    }

    /// Sets a value, and when it expires, if it does.
    pub fn set(&mut self, key: &[u8], value: &[u8], deadline: Option<Instant>) {
        match self.entries.get_mut(key) {
            Some(entry) => {
                // The memory is used again, unless that would keep much for little.
                if entry.value.capacity() > 64 + 2 * value.len() {
                    entry.value = Vec::new();
                }
                entry.value.clear();
                entry.value.extend_from_slice(value);
                entry.deadline = deadline;
            }
            None => {
                self.entries.insert(key.into(), Entry { value: value.to_vec(), deadline });
            }
        }
        if let Some(deadline) = deadline {
            self.note(key, deadline);
        }
    }

    /// Removes a key, and says whether it was there.
    pub fn remove(&mut self, key: &[u8], now: Instant) -> bool {
        self.entries.remove(key).is_some_and(|entry| entry.is_alive(now))
    }

    pub fn clear(&mut self) {
        *self = Store::default();
    }

    /// Appends to a value, or makes one, and gives its length.
    pub fn append(&mut self, key: &[u8], more: &[u8], now: Instant) -> usize {
        match self.entry_mut(key, now) {
            Some(entry) => {
                entry.value.extend_from_slice(more);
                entry.value.len()
            }
            None => {
                self.set(key, more, None);
                more.len()
            }
        }
    }

    /// Adds to a value that is a number, which it is from 0 on, and gives the sum.
    pub fn add(&mut self, key: &[u8], more: i64, now: Instant) -> Result<i64, NotAdded> {
        let Some(entry) = self.entry_mut(key, now) else {
            let mut value = Vec::new();
            decimal(&mut value, more);
            self.set(key, &value, None);
            return Ok(more);
        };
        let before = number(&entry.value).ok_or(NotAdded::NoNumber)?;
        let sum = before.checked_add(more).ok_or(NotAdded::TooLarge)?;
        entry.value.clear();
        decimal(&mut entry.value, sum);
        Ok(sum)
    }

    /// How long a key has left: None if it is not there, and None within if it does not expire.
    pub fn left(&self, key: &[u8], now: Instant) -> Option<Option<Duration>> {
        self.entry(key, now).map(|entry| entry.deadline.map(|deadline| deadline - now))
    }

    /// When a key expires, if it does.
    pub fn deadline(&self, key: &[u8], now: Instant) -> Option<Instant> {
        self.entry(key, now)?.deadline
    }

    /// Sets when a key expires, and says whether it was there.
    pub fn expire(&mut self, key: &[u8], deadline: Instant, now: Instant) -> bool {
        let Some(entry) = self.entry_mut(key, now) else { return false };
        entry.deadline = Some(deadline);
        if deadline <= now {
            self.entries.remove(key);
        } else {
            self.note(key, deadline);
        }
        true
    }

    /// Lets a key live for ever, and says whether it would have expired.
    pub fn persist(&mut self, key: &[u8], now: Instant) -> bool {
        self.entry_mut(key, now).is_some_and(|entry| entry.deadline.take().is_some())
    }

    /// How many keys there are.
    pub fn count(&mut self, now: Instant) -> usize {
        self.sweep(now, usize::MAX);
        self.entries.len()
    }

    /// How many keys there are that expire.
    pub fn count_expiring(&self) -> usize {
        self.entries.values().filter(|entry| entry.deadline.is_some()).count()
    }

    /// All keys, in no order.
    pub fn keys(&self, now: Instant) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().filter(move |(_, entry)| entry.is_alive(now)).map(|(key, _)| &**key)
    }

    /// Removes what has expired, at most so many keys.
    pub fn sweep(&mut self, now: Instant, keys_max: usize) {
        for _ in 0..keys_max {
            match self.deadlines.peek() {
                Some(Reverse((deadline, _))) if *deadline <= now => {}
                _ => return,
            }
            let Some(Reverse((_, key))) = self.deadlines.pop() else { return };
            if self.entries.get(&key).is_some_and(|entry| !entry.is_alive(now)) {
                self.entries.remove(&key);
            }
        }
    }

    /// Remembers to look at a key.
    fn note(&mut self, key: &[u8], deadline: Instant) {
        // Those that were changed since are left out, before they are more than those that count.
        if self.deadlines.len() > 2 * self.entries.len() + 64 {
            let all = self.entries.iter();
            let all = all.filter_map(|(key, entry)| Some(Reverse((entry.deadline?, Rc::clone(key)))));
            self.deadlines = all.collect();
            return;
        }
        let key = self.entries.get_key_value(key).map(|(key, _)| Rc::clone(key));
        self.deadlines.extend(key.map(|key| Reverse((deadline, key))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_has_expired_is_not_there() {
        let (mut store, now) = (Store::default(), Instant::now());
        store.set(b"a", b"1", Some(now + SECOND));
        store.set(b"b", b"2", None);
        assert_eq!(store.get(b"a", now), Some(&b"1"[..]));
        assert_eq!(store.left(b"a", now), Some(Some(SECOND)));
        assert_eq!(store.left(b"b", now), Some(None));
        let later = now + SECOND;
        assert_eq!(store.get(b"a", later), None);
        assert_eq!(store.left(b"a", later), None);
        assert!(!store.remove(b"a", later), "it was gone before");
        assert_eq!(store.count(later), 1);
    }

    #[test]
    fn a_sweep_removes_what_has_expired_and_nothing_else() {
        let (mut store, now) = (Store::default(), Instant::now());
        for number in 0..100_u8 {
            store.set(&[number], b"", Some(now + SECOND * u32::from(number)));
        }
        assert!(store.persist(&[10], now));
        assert!(store.expire(&[11], now + SECOND * 1000, now));
        store.sweep(now + SECOND * 49, usize::MAX);
        assert_eq!(store.entries.len(), 52);
        assert!(store.get(&[10], now + SECOND * 49).is_some());
        assert!(store.get(&[11], now + SECOND * 49).is_some());
        store.sweep(now + SECOND * 999, 10);
        assert_eq!(store.entries.len(), 42, "no more at once than asked for");
    }

    #[test]
    fn changing_a_time_again_and_again_takes_no_memory() {
        let (mut store, now) = (Store::default(), Instant::now());
        store.set(b"a", b"", None);
        for number in 1..10_000 {
            store.expire(b"a", now + SECOND * number, now);
        }
        assert!(store.deadlines.len() < 100, "{}", store.deadlines.len());
        store.sweep(now + SECOND * 9_999, usize::MAX);
        assert!(store.entries.is_empty());
    }

    #[test]
    fn numbers_are_added_within_their_bounds() {
        let (mut store, now) = (Store::default(), Instant::now());
        assert_eq!(store.add(b"n", -5, now), Ok(-5));
        assert_eq!(store.add(b"n", 7, now), Ok(2));
        assert_eq!(store.get(b"n", now), Some(&b"2"[..]));
        assert_eq!(store.add(b"n", i64::MAX, now), Err(NotAdded::TooLarge));
        store.set(b"n", b"two", None);
        assert_eq!(store.add(b"n", 1, now), Err(NotAdded::NoNumber));
        assert_eq!(store.append(b"n", b"!", now), 4);
        assert_eq!(store.append(b"m", b"!", now), 1);
    }
}
