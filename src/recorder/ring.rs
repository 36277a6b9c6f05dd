//! The ring that a loop writes to, and that any thread may read while it does.
//!
//! A look at the clock costs more than most polls do, so records share the time of the last look: one each turn in which the driver
//! has its own, and one each 32 polls. Where those polls took long, the next ones are timed one by one: by then that costs little.
#![allow(unsafe_code)]

use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sys::clock;

/// What a record is of. Zero is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The clock was looked at. So many tasks are ready; so many operations are in flight.
    Look = 1,
    /// A task is polled: its number; where it was spawned.
    Poll,
    /// A task was made ready: its number; by which task.
    Wake,
    /// An operation goes to the driver: its token; its name; descriptor and task.
    Submit,
    /// It is answered: its token; with what.
    Complete,
    /// The loop has nothing to do: so many operations are in flight.
    Park,
    /// It has slept.
    Unpark,
    /// A poll has panicked: the task's number.
    Panic,
}

const KINDS: [Kind; 8] =
    [Kind::Look, Kind::Poll, Kind::Wake, Kind::Submit, Kind::Complete, Kind::Park, Kind::Unpark, Kind::Panic];

/// The bits below a record's kind.
const BELOW: u32 = 60;
const REST: u64 = (1 << BELOW) - 1;

/// When, of what; and two words more. The kind stands in the first and in the third, which may hold a pointer: a word is written at
/// once, so a pointer is never taken for another kind's, whatever a reader finds half written.
type Record = [AtomicU64; 4];

/// A record that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    pub(super) kind: Kind,
    pub(super) ticks: u64,
    pub(super) subject: u64,
    pub(super) pointer: u64,
    pub(super) more: u64,
}

/// Polls between two looks at the clock.
const POLLS_PER_LOOK: u32 = 32;
/// So many ticks for them are many: some 2 us a poll at 2 GHz, beside which a look is one hundredth.
const MANY_TICKS: u64 = 128_000;

pub(crate) struct Ring {
    records: Box<[Record]>,
    /// How many were written. The loop's thread alone writes, so a load and a store are enough.
    next: AtomicU64,
    /// The last look at the clock.
    ticks: AtomicU64,
    until_look: AtomicU32,
    /// Polls that are still timed one by one.
    closely: AtomicU32,
    /// All are, until further notice.
    always: AtomicBool,
    /// One moment by both clocks: ticks, nanoseconds.
    began: (u64, u64),
    /// Whether what there was is kept when something panics, for whoever writes it down.
    keeps: AtomicBool,
    kept: Mutex<Option<Copied>>,
}

/// Records, and how to tell their time.
pub(crate) type Copied = (Vec<Read>, Line);

impl Ring {
    /// A ring of at least so many records, 32 bytes each.
    pub(crate) fn new(records: usize) -> Ring {
        let length = records.clamp(64, 1 << 24).next_power_of_two();
        Ring {
            records: std::iter::repeat_with(Record::default).take(length).collect(),
            next: AtomicU64::new(0),
            ticks: AtomicU64::new(clock::ticks()),
            until_look: AtomicU32::new(POLLS_PER_LOOK),
            closely: AtomicU32::new(0),
            always: AtomicBool::new(false),
            began: (clock::ticks(), clock::now()),
            keeps: AtomicBool::new(false),
            kept: Mutex::new(None),
        }
    }

    // What the loop's thread writes.

    #[inline]
    fn write(&self, kind: Kind, subject: u64, pointer: u64, more: u64) {
        let next = self.next.load(Ordering::Relaxed);
        let record = &self.records[next as usize & (self.records.len() - 1)];
        let mark = (kind as u64) << BELOW;
        record[0].store(mark | (self.ticks.load(Ordering::Relaxed) & REST), Ordering::Relaxed);
        record[1].store(subject, Ordering::Relaxed);
        record[2].store(mark | (pointer & REST), Ordering::Relaxed);
        record[3].store(more, Ordering::Relaxed);
        // Release: who sees the number sees the record.
        self.next.store(next + 1, Ordering::Release);
    }

    /// Looks at the clock, and says how much there is to do.
    pub(crate) fn look(&self, ready: usize, in_flight: usize) {
        self.look_at_clock();
        self.write(Kind::Look, ready as u64, 0, in_flight as u64);
    }

    fn look_at_clock(&self) -> u64 {
        let now = clock::ticks();
        self.until_look.store(POLLS_PER_LOOK, Ordering::Relaxed);
        now.saturating_sub(self.ticks.swap(now, Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn poll(&self, task: u64, spawned_at: &'static Location<'static>) {
        let left = self.until_look.load(Ordering::Relaxed) - 1;
        self.until_look.store(left, Ordering::Relaxed);
        if left == 0 {
            self.look_at_poll();
        }
        self.write(Kind::Poll, task, ptr::from_ref(spawned_at).expose_provenance() as u64, 0);
    }

    #[cold]
    fn look_at_poll(&self) {
        let took = self.look_at_clock();
        let closely = match self.closely.load(Ordering::Relaxed) {
            0 if took < MANY_TICKS && !self.always.load(Ordering::Relaxed) => return,
            // One of these that took as long pays for the next.
            more if more > 0 && took < MANY_TICKS => more - 1,
            _ => POLLS_PER_LOOK,
        };
        self.closely.store(closely, Ordering::Relaxed);
        if closely > 0 || self.always.load(Ordering::Relaxed) {
            self.until_look.store(1, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn wake(&self, task: u64, by: u64) {
        self.write(Kind::Wake, task, 0, by);
    }

    #[inline]
    pub(crate) fn submit(&self, token: u64, name: &'static &'static str, descriptor: i32, task: u64) {
        let more = (task << DESCRIPTOR_BITS) | (u64::from(descriptor as u32) & NO_DESCRIPTOR);
        self.write(Kind::Submit, token, ptr::from_ref(name).expose_provenance() as u64, more);
    }

    #[inline]
    pub(crate) fn complete(&self, token: u64, result: i32, is_last: bool) {
        self.write(Kind::Complete, token, 0, u64::from(result as u32) | (u64::from(!is_last) << 32));
    }

    pub(crate) fn park(&self, in_flight: usize) {
        self.look_at_clock();
        self.write(Kind::Park, 0, 0, in_flight as u64);
    }

    pub(crate) fn unpark(&self) {
        self.look_at_clock();
        self.write(Kind::Unpark, 0, 0, 0);
    }

    pub(crate) fn panic(&self, task: u64) {
        self.look_at_clock();
        self.write(Kind::Panic, task, 0, 0);
        if self.keeps.load(Ordering::Relaxed) {
            // The first of several tells most. A copy, for the loop goes on, and writes over it.
            let copied = self.read();
            self.kept().get_or_insert(copied);
        }
    }

    // What others do.

    /// From now on each poll is timed by itself, which costs some 20 ns; or not any more.
    pub(crate) fn time_all(&self, yes: bool) {
        self.always.store(yes, Ordering::Relaxed);
    }

    /// Whoever writes it down has what there was when something panicked kept.
    pub(crate) fn keep(&self) {
        self.keeps.store(true, Ordering::Relaxed);
    }

    fn kept(&self) -> MutexGuard<'_, Option<Copied>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take_kept(&self) -> Option<Copied> {
        self.kept().take()
    }

    /// The records that are whole, the oldest first, and a line from ticks to nanoseconds.
    pub(crate) fn read(&self) -> Copied {
        let length = self.records.len() as u64;
        let until = self.next.load(Ordering::Acquire);
        let from = until.saturating_sub(length);
        let read = |place: u64| {
            let record = &self.records[(place & (length - 1)) as usize];
            record.each_ref().map(|word| word.load(Ordering::Relaxed))
        };
        let words: Vec<_> = (from..until).map(|place| (place, read(place))).collect();
        // What was written over meanwhile is left out, and what is written right now with it.
        fence(Ordering::Acquire);
        let whole_from = (self.next.load(Ordering::Acquire) + 1).saturating_sub(length);
        let whole = words.into_iter().filter(|(place, _)| *place >= whole_from);
        let records = whole.filter_map(|(_, words)| Read::of(words)).collect();
        (records, Line { from: self.began, to: (clock::ticks(), clock::now()) })
    }
}

pub(super) const DESCRIPTOR_BITS: u32 = 24;
pub(super) const NO_DESCRIPTOR: u64 = (1 << DESCRIPTOR_BITS) - 1;

impl Read {
    fn of([first, subject, third, more]: [u64; 4]) -> Option<Read> {
        let kind = *KINDS.get(((first >> BELOW) as usize).checked_sub(1)?)?;
        // Half of one record and half of another.
        let is_whole = first >> BELOW == third >> BELOW;
        is_whole.then_some(Read { kind, ticks: first & REST, subject, pointer: third & REST, more })
    }

    /// Where the task was spawned.
    pub(super) fn spawned_at(&self) -> Option<&'static Location<'static>> {
        let is_it = self.kind == Kind::Poll && self.pointer != 0;
        // SAFETY: the word that holds the pointer says that it is a poll's, whose pointer is a place in the program. Provenance was exposed.
        is_it.then(|| unsafe { &*ptr::with_exposed_provenance(self.pointer as usize) })
    }

    /// What the operation is called.
    pub(super) fn name(&self) -> Option<&'static str> {
        let is_it = self.kind == Kind::Submit && self.pointer != 0;
        // SAFETY: as above: a submission's, whose pointer is that of a static name.
        is_it.then(|| unsafe { *ptr::with_exposed_provenance::<&'static str>(self.pointer as usize) })
    }
}

/// A line through two moments, each known by ticks and in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    from: (u64, u64),
    to: (u64, u64),
}

impl Line {
    pub(super) fn nanoseconds(&self, ticks: u64) -> u64 {
        let (from, to) = (self.from, self.to);
        let whole = to.0.saturating_sub(from.0 & REST).max(1);
        let part = ticks.saturating_sub(from.0 & REST).min(whole);
        from.1 + (u128::from(part) * u128::from(to.1 - from.1) / u128::from(whole)) as u64
    }

    /// The moment of the copy.
    pub(super) fn end(&self) -> u64 {
        self.to.0 & REST
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_newest_records_are_kept_in_their_order() {
        let ring = Ring::new(64);
        (0..100).for_each(|task| ring.wake(task, task + 1));
        let (records, _) = ring.read();
        let subjects: Vec<_> = records.iter().map(|read| (read.kind, read.subject, read.more)).collect();
        // One less than there is room for: it might be written right now.
        let wanted: Vec<_> = (37..100).map(|task| (Kind::Wake, task, task + 1)).collect();
        assert_eq!(subjects, wanted);
    }

    #[test]
    fn who_reads_while_it_is_written_finds_whole_records_alone() {
        let ring = Arc::new(Ring::new(64));
        let writing = Arc::clone(&ring);
        let here = Location::caller();
        let writer = std::thread::spawn(move || {
            for number in 0..200_000 {
                match number % 3 {
                    0 => writing.poll(number, here),
                    1 => writing.submit(number, &"recv", 7, number),
                    _ => writing.wake(number, number),
                }
            }
        });
        while !writer.is_finished() {
            let (records, _) = ring.read();
            for pair in records.windows(2) {
                assert!(pair[0].subject < pair[1].subject, "{pair:?}");
            }
            for read in &records {
                let found = (read.spawned_at().is_some(), read.name());
                let wanted = [(true, None), (false, Some("recv")), (false, None)];
                assert_eq!(found, wanted[(read.subject % 3) as usize], "{read:?}");
            }
        }
        writer.join().unwrap();
    }

    #[test]
    fn many_short_polls_share_a_look_and_long_ones_are_timed_each() {
        let times = |long: bool, ring: &Ring| {
            let here = Location::caller();
            for task in 0..200 {
                ring.poll(task, here);
                if long {
                    std::thread::sleep(std::time::Duration::from_micros(100));
                }
            }
            let (records, _) = ring.read();
            let mut ticks: Vec<_> = records.iter().map(|read| read.ticks).collect();
            ticks.dedup();
            ticks.len()
        };
        // One of 32, if nothing held this thread up meanwhile.
        let short = (0..100).map(|_| times(false, &Ring::new(256))).min().unwrap();
        assert!(short <= 200 / 32 + 1, "{short}");
        let long = times(true, &Ring::new(256));
        assert!(long > 150, "{long}");
        let all = Ring::new(256);
        all.time_all(true);
        assert!(times(false, &all) > 150);
    }
}
