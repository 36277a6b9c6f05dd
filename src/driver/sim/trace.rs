//! What happened in a world, in its order: as a number to compare runs by, as text, and for a trace viewer.

use std::collections::VecDeque;
use std::fmt;

use super::Nanos;

/// How many events are kept to be shown. All count for the hash.
const KEPT: usize = 100_000;

/// One event. What the numbers mean depends on what happened; mostly a descriptor and an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) when: Nanos,
    /// Which process, by its number.
    pub(crate) process: u16,
    pub(crate) what: &'static str,
    pub(crate) name: &'static str,
    /// Which submission, or 0.
    pub(crate) token: u64,
    pub(crate) number: i64,
    pub(crate) answer: i64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    events: VecDeque<Event>,
    count: u64,
    hash: u64,
}

impl Trace {
    pub(crate) fn note(&mut self, event: Event) {
        self.count += 1;
        let words =
            [event.when, u64::from(event.process), event.token, event.number as u64, event.answer as u64];
        words.into_iter().for_each(|word| self.mix(word));
        for byte in event.what.bytes().chain(event.name.bytes()) {
            self.mix(u64::from(byte));
        }
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn mix(&mut self, word: u64) {
        let mixed = (self.hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.hash = mixed ^ (mixed >> 29);
    }

    /// Of all events so far.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event { when, process, what, name, number, answer, .. } = self;
        let (seconds, rest) = (when / 1_000_000_000, when % 1_000_000_000);
        write!(f, "{seconds:>6}.{rest:09}  p{process:<3} {what:<9} {name:<10} {number:>8} {answer:>8}")
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events.iter().try_for_each(|event| writeln!(f, "{event}"))
    }
}
