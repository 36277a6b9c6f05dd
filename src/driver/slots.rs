//! What is in flight: a slot for each submission, found by the token that its completion brings back.
//!
//! ```text
//! insert -> Waiting --completion--> Done --taken by the future--> (free)
//!              |                     ^
//!              | future dropped      | (and then dropped: taken at once)
//!              v
//!           Orphaned --completion--> (free), the operation is handed on to be retired
//! ```
//! A submission that is answered several times (a completion that says MORE is not its last) is `Repeated` from the
//! first of these on: its answers wait in a queue. Left behind by its future, it keeps them until the last has come.
//!
//! A token is never used twice, so a completion that comes late or twice finds nothing (pitfall 3).
#![allow(unsafe_code)]

mod answers;
mod orphan;
mod repeated;
mod stamp;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use super::completion::Completion;
use super::lent::Lent;
use super::operation::{Form, Request};
use crate::executor::{Waiter, current_task_id};
use crate::recorder::Ring;

pub(crate) use orphan::{Orphan, Retirement, orphan};
pub(crate) use repeated::Next;
use repeated::{Asker, Owner, Repeated};
pub(crate) use stamp::InFlight;
use stamp::{Latencies, Stamp};

/// What identifies a submission to its driver: the `user_data` of its entry.
///
/// From the top: 4 bits of kind (zero here; drivers mark their own entries), 36 bits of generation, 24 bits
/// of slot. The generation counts submissions: it comes round after 68 thousand million of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Token(pub(crate) u64);

const INDEX_BITS: u32 = 24;
const GENERATION_BITS: u32 = 36;
/// A token's generation.
const GENERATION: u64 = ((1 << GENERATION_BITS) - 1) << INDEX_BITS;

impl Token {
    #[inline]
    fn index(self) -> usize {
        (self.0 & ((1 << INDEX_BITS) - 1)) as usize
    }
}

enum State {
    Waiting(Waiter),
    Done(Completion),
    Orphaned(Box<dyn Orphan>),
    Repeated(Box<Repeated>),
    Free { next: u32 },
}

struct Slot {
    /// No submission's, while the slot is free.
    token: Token,
    fd: i32,
    form: &'static Form,
    stamp: Stamp,
    lent: Lent,
    state: State,
}

impl Slot {
    #[inline]
    fn is_in_flight(&self) -> bool {
        match &self.state {
            State::Waiting(_) | State::Orphaned(_) => true,
            State::Repeated(repeated) => !repeated.has_ended,
            State::Done(_) | State::Free { .. } => false,
        }
    }

    /// Whether no future owns it.
    fn is_orphan(&self) -> bool {
        match &self.state {
            State::Orphaned(_) => true,
            State::Repeated(repeated) => matches!(repeated.owner, Owner::Slot(_)),
            State::Waiting(_) | State::Done(_) | State::Free { .. } => false,
        }
    }

    /// Changes a state that owns nothing, which need not be dropped.
    #[inline]
    fn set(&mut self, state: State) {
        debug_assert!(!self.is_in_flight());
        std::mem::forget(std::mem::replace(&mut self.state, state));
    }
}

const NO_TOKEN: Token = Token(u64::MAX);
/// The end of the list of free slots.
const NONE: u32 = u32::MAX;

/// What a completion found, if not a task, which was then resumed.
pub(crate) enum Found {
    /// Somebody else's waker, to be woken when nothing is borrowed.
    Foreign(Waker),
    /// An operation that nobody waits for.
    Orphan(Box<dyn Orphan>),
    /// An operation that nobody waits for, with the last of several answers, and the others.
    OrphanOfMany(Box<Retirement>),
    /// Nothing: it came late, or twice.
    Nothing,
}

/// What a future that is dropped finds.
pub(crate) enum LastLook {
    /// The answer had come; nobody else knows of it.
    Answered(Completion),
    /// All of several answers had come.
    AnsweredOften(VecDeque<Completion>),
    /// The slot owns the operation now. This was the future's waiter.
    Orphaned(Option<Waiter>),
}

pub(crate) struct Slots {
    /// A slab of our own: the `slab` crate moves what is inserted and removed, and moving a slot that has just been
    /// put together in pieces stalls the processor (measured: 4 ns of a nop's 104).
    slots: Vec<Slot>,
    free: u32,
    /// The generation of the last submission, where a token has it.
    generation: u64,
    in_flight: usize,
    orphans: usize,
    /// What is to be asked to end, because nobody takes its answers.
    crowded: Vec<Token>,
    /// What time it was lately.
    time: u64,
    latencies: Latencies,
    /// What submissions and answers are noted in, if they are.
    pub(crate) recorder: Option<Arc<Ring>>,
}

impl Slots {
    /// `times` says whether some operations are timed.
    pub(crate) fn new(times: bool) -> Slots {
        Slots {
            slots: Vec::new(),
            free: NONE,
            generation: 0,
            in_flight: 0,
            orphans: 0,
            crowded: Vec::new(),
            time: 0,
            latencies: Latencies::new(times),
            recorder: None,
        }
    }

    #[inline(always)]
    pub(crate) fn insert(&mut self, waiter: Waiter, request: &Request) -> Token {
        if self.free as usize >= self.slots.len() {
            self.grow(request.form);
        }
        let index = self.free;
        let slot = &mut self.slots[index as usize];
        let State::Free { next } = slot.state else {
            unreachable!("it is in the list of those that are free")
        };
        self.free = next;
        self.generation = self.generation.wrapping_add(1 << INDEX_BITS) & GENERATION;
        let token = Token(self.generation | u64::from(index));
        slot.token = token;
        slot.fd = request.fd;
        slot.form = request.form;
        slot.stamp = Stamp::lately(waiter.task_id().unwrap_or_else(current_task_id), self.time);
        if self.generation == self.latencies.next {
            slot.stamp = slot.stamp.exactly(&mut self.latencies);
        }
        slot.lent = Lent::by(request);
        slot.set(State::Waiting(waiter));
        self.in_flight += 1;
        if let Some(recorder) = &self.recorder {
            recorder.submit(token.0, &request.form.name, request.fd, slot.stamp.task);
        }
        token
    }

    #[cold]
    fn grow(&mut self, form: &'static Form) {
        let index = self.slots.len();
        assert!(index < 1 << INDEX_BITS, "16 million operations in flight: bound the work that is started");
        self.slots.push(Slot {
            token: NO_TOKEN,
            fd: -1,
            form,
            stamp: Stamp::default(),
            lent: Lent::default(),
            state: State::Free { next: NONE },
        });
        self.free = index as u32;
    }

    #[inline]
    fn release(&mut self, token: Token) {
        let slot = &mut self.slots[token.index()];
        slot.token = NO_TOKEN;
        slot.set(State::Free { next: std::mem::replace(&mut self.free, token.index() as u32) });
    }

    /// What is to be asked to end, because nobody takes its answers: it begins again when somebody does.
    #[inline]
    pub(crate) fn next_crowded(&mut self) -> Option<Token> {
        self.crowded.pop()
    }

    /// Submissions without a completion.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Those of them that no future owns.
    pub(crate) fn orphans(&self) -> usize {
        self.orphans
    }

    /// Those of them that these tasks have left behind.
    pub(crate) fn orphans_of(&self, tasks: &[u64]) -> Vec<Token> {
        if self.orphans == 0 {
            return Vec::new();
        }
        let tasks: HashSet<_> = tasks.iter().copied().collect();
        let wanted = |slot: &&Slot| slot.is_orphan() && tasks.contains(&slot.stamp.task);
        self.slots.iter().filter(wanted).map(|slot| slot.token).collect()
    }

    /// Tokens of what is in flight, on one descriptor or on all.
    pub(crate) fn tokens(&self, fd: Option<i32>) -> Vec<Token> {
        let wanted = |slot: &&Slot| slot.is_in_flight() && fd.is_none_or(|fd| fd == slot.fd);
        self.slots.iter().filter(wanted).map(|slot| slot.token).collect()
    }

    /// Whether a submission has no completion yet.
    pub(crate) fn is_in_flight(&self, token: Token) -> bool {
        self.slots.get(token.index()).is_some_and(|slot| slot.token == token && slot.is_in_flight())
    }

    /// Whether an entry names a descriptor.
    pub(crate) fn names_descriptor(&self, token: Token) -> bool {
        self.is_in_flight(token) && self.fd(token).is_some_and(|fd| fd >= 0)
    }

    /// Which descriptor a submission names.
    pub(crate) fn fd(&self, token: Token) -> Option<i32> {
        self.slots.get(token.index()).filter(|slot| slot.token == token).map(|slot| slot.fd)
    }

    #[inline]
    fn get(&mut self, token: Token) -> Option<&mut Slot> {
        self.slots.get_mut(token.index()).filter(|slot| slot.token == token)
    }

    #[inline]
    fn expect(&mut self, token: Token) -> &mut Slot {
        self.get(token).expect("a future's slot stays until the future lets go of it")
    }

    /// A completion has come (I3: only this retires a submission).
    #[inline(always)]
    pub(crate) fn complete(&mut self, token: Token, answer: Completion) -> Option<Found> {
        if let Some(recorder) = &self.recorder {
            recorder.complete(token.0, answer.result, !answer.has_more());
        }
        let Some(slot) = self.get(token) else { return Some(Found::Nothing) };
        let waiter = match &slot.state {
            // SAFETY: the state is written over right below, without dropping what it was: this is the one that is left.
            // Exchanged as a whole it would be copied through memory, in pieces of different sizes.
            State::Waiting(waiter) if !answer.has_more() => unsafe { std::ptr::read(waiter) },
            State::Repeated(_) if answer.has_more() => return self.complete_one(token, answer),
            _ => return self.complete_rarely(token, answer),
        };
        // SAFETY: ours, and what was there owns nothing any more.
        unsafe { std::ptr::write(&raw mut slot.state, State::Done(answer)) };
        slot.lent.touch();
        if slot.stamp.is_exact() {
            let (form, stamp) = (slot.form, slot.stamp);
            self.latencies.note(form.kind, stamp);
        }
        self.in_flight -= 1;
        waiter.resume_own().map(Found::Foreign)
    }

    #[cold]
    fn complete_rarely(&mut self, token: Token, answer: Completion) -> Option<Found> {
        let slot = self.expect(token);
        if answer.has_more() || matches!(slot.state, State::Repeated(_)) {
            return self.complete_one(token, answer);
        }
        match std::mem::replace(&mut slot.state, State::Done(answer)) {
            State::Orphaned(orphan) => {
                slot.lent.touch();
                self.release(token);
                self.in_flight -= 1;
                self.orphans -= 1;
                Some(Found::Orphan(orphan))
            }
            before => {
                slot.state = before;
                Some(Found::Nothing)
            }
        }
    }

    /// An answer, if one has come; the slot is free after the last.
    #[inline(always)]
    pub(crate) fn answer(&mut self, token: Token) -> Option<Completion> {
        let slot = self.slots.get_mut(token.index()).filter(|slot| slot.token == token);
        let Some(Slot { state: State::Done(answer), .. }) = slot else { return self.next_answer(token) };
        let answer = *answer;
        // As `release`, without looking for the slot again.
        if let Some(slot) = slot {
            slot.token = NO_TOKEN;
            slot.set(State::Free { next: std::mem::replace(&mut self.free, token.index() as u32) });
        }
        Some(answer)
    }

    /// Whether waking the slot's waiter is waking `waker`.
    pub(crate) fn is_waited_for_by(&self, token: Token, waker: &Waker) -> bool {
        let slot = self.slots.get(token.index()).filter(|slot| slot.token == token);
        match slot.map(|slot| &slot.state) {
            Some(State::Waiting(waiter)) => waiter.is(waker),
            Some(State::Repeated(repeated)) => {
                matches!(&repeated.owner, Owner::Future(Asker { waiter: Some(waiter), waits: true }) if waiter.is(waker))
            }
            _ => false,
        }
    }

    /// Changes whom to wake; gives back whom it was before.
    pub(crate) fn set_waiter(&mut self, token: Token, waiter: Waiter) -> Option<Waiter> {
        let state = &mut self.expect(token).state;
        match state {
            State::Waiting(before) => Some(std::mem::replace(before, waiter)),
            State::Repeated(repeated) => match &mut repeated.owner {
                Owner::Future(asker) => {
                    std::mem::replace(asker, Asker { waiter: Some(waiter), waits: true }).waiter
                }
                Owner::Slot(_) => Some(waiter),
            },
            _ => Some(waiter),
        }
    }

    /// The future goes away. The slot takes the operation, if it is not answered.
    pub(crate) fn abandon(&mut self, token: Token, orphan: &mut Option<Box<dyn Orphan>>) -> LastLook {
        let slot = self.expect(token);
        if let State::Done(answer) = slot.state {
            self.release(token);
            return LastLook::Answered(answer);
        }
        if let State::Repeated(repeated) = &mut slot.state {
            if repeated.has_ended {
                let answers = repeated.answers.take();
                drop(std::mem::replace(&mut slot.state, State::Free { next: NONE }));
                self.release(token);
                return LastLook::AnsweredOften(answers);
            }
        }
        let orphan = orphan.take().expect("the slot takes it once");
        self.orphans += 1;
        let slot = self.expect(token);
        // Who began it may have given it away. It is theirs who leave it behind.
        match current_task_id() {
            0 => {}
            task => slot.stamp.task = task,
        }
        if let State::Repeated(repeated) = &mut slot.state {
            let Owner::Future(asker) = std::mem::replace(&mut repeated.owner, Owner::Slot(orphan)) else {
                unreachable!("a future is dropped once")
            };
            return LastLook::Orphaned(asker.waiter);
        }
        let State::Waiting(waiter) = std::mem::replace(&mut slot.state, State::Orphaned(orphan)) else {
            unreachable!("a future is dropped once")
        };
        LastLook::Orphaned(Some(waiter))
    }
}

#[cfg(test)]
mod tests;
