//! A driver for tests of this crate: nothing happens but what the test says, in the order in which it says it.
//!
//! So that races are tests and not luck: a cancellation that loses, a completion that comes after its future
//! was dropped, or twice.

use std::io;
use std::time::Duration;

use super::Counters;
use super::completion::{Completion, MORE};
use super::control::{Control, Reply};
use super::operation::{Begin, Request};
use super::slots::Token;

/// What was submitted, what was asked to end, and the answers that the test has given but nobody has reaped.
#[derive(Default)]
pub(crate) struct Script {
    in_flight: Vec<(Token, Request)>,
    answers: Vec<(Token, Completion)>,
    answered: Vec<Token>,
    pub(crate) cancelled: Vec<&'static str>,
    pub(crate) closed: Vec<i32>,
    /// What a wait does; without it a wait is an error.
    pub(crate) asleep: Option<Box<dyn FnMut()>>,
    /// Bytes that are in a pipe, the last ones those that are still there.
    pub(crate) in_pipe: &'static [u8],
    counters: Counters,
}

impl Script {
    /// The names of what is in flight, in the order of submission.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.in_flight.iter().map(|(_, request)| request.form.name).collect()
    }

    /// How many bytes each of them is about.
    pub(crate) fn lengths(&self) -> Vec<u32> {
        self.in_flight.iter().map(|(_, request)| request.length).collect()
    }

    /// Answers the oldest submission of that name.
    pub(crate) fn answer(&mut self, name: &str, result: i32) {
        let (token, _) = self.take(name);
        self.give(token, result);
    }

    /// Answers the oldest submission of that name, and not for the last time.
    pub(crate) fn answer_and_go_on(&mut self, name: &str, result: i32) {
        let (token, request) = self.take(name);
        self.in_flight.insert(0, (token, request));
        self.answers.push((token, Completion { result, flags: MORE }));
    }

    /// Answers the oldest submission of that name with bytes, which are written where it asked for them.
    #[allow(unsafe_code)]
    pub(crate) fn deliver(&mut self, name: &str, bytes: &[u8]) {
        let (token, request) = self.take(name);
        assert!(bytes.len() <= request.length as usize, "the kernel never gives more than was asked for");
        // SAFETY: the operation is in flight, so its memory is the driver's (I1, I2).
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), request.pointer, bytes.len()) };
        self.give(token, bytes.len() as i32);
    }

    /// What answers at once: a pipe that is always the same, and what the test says is in it.
    pub(crate) fn control(&mut self, control: Control<'_>) -> Reply {
        match control {
            Control::Pipe(_) => Reply::Pipe { ends: [100, 101], room: 65536 },
            Control::TakeOut(count) => Reply::Bytes(self.in_pipe[self.in_pipe.len() - count..].to_vec()),
            _ => Reply::Done,
        }
    }

    /// Gives the last answer again, as no kernel should.
    pub(crate) fn repeat_last(&mut self, result: i32) {
        let token = *self.answered.last().expect("something was answered");
        self.answers.push((token, Completion::of(result)));
    }

    fn take(&mut self, name: &str) -> (Token, Request) {
        let place = self.in_flight.iter().position(|(_, request)| request.form.name == name);
        let place = place.unwrap_or_else(|| panic!("no {name} in flight, but {:?}", self.names()));
        self.in_flight.remove(place)
    }

    fn give(&mut self, token: Token, result: i32) {
        self.answered.push(token);
        self.answers.push((token, Completion::of(result)));
    }

    pub(crate) fn push(&mut self, token: Token, request: &Request, _begin: Begin) {
        self.counters.submitted += 1;
        self.in_flight.push((token, *request));
    }

    /// Remembered; what becomes of it the test says.
    pub(crate) fn cancel(&mut self, token: Token, _fd: i32) {
        let known = self.in_flight.iter().find(|(waiting, _)| *waiting == token);
        self.cancelled.extend(known.map(|(_, request)| request.form.name));
    }

    pub(crate) fn close(&mut self, number: i32) {
        self.closed.push(number);
    }

    pub(crate) fn reap(&mut self, mut found: impl FnMut(Token, Completion)) {
        for (token, answer) in self.answers.drain(..) {
            self.counters.completed += 1;
            found(token, answer);
        }
    }

    pub(crate) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    pub(crate) fn closing(&self) -> usize {
        0
    }

    pub(crate) fn settle(&mut self) -> io::Result<bool> {
        Ok(!self.has_answers())
    }

    pub(crate) fn queued(&self) -> usize {
        0
    }

    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    pub(crate) fn flush(&mut self, _due: bool) -> io::Result<()> {
        Ok(())
    }

    /// Nothing happens by itself: a wait would be for ever, if nobody else is in the play.
    pub(crate) fn wait(&mut self, _limit: Option<Duration>) -> io::Result<()> {
        let sleep = self.asleep.as_mut().ok_or_else(|| io::Error::other("the script has ended"))?;
        sleep();
        Ok(())
    }
}
