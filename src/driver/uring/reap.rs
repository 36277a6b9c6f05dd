//! Collecting answers: from the completion queue, from helpers, and from where some were set aside.

use io_uring::cqueue;

use super::{KIND_SHIFT, Kind, Ring, direct};
use crate::driver::Taker;
use crate::driver::completion::{BUFFER, Completion};
use crate::driver::slots::Token;

impl Ring {
    pub(crate) fn reap(&mut self, mut found: impl FnMut(Token, Completion)) {
        self.reap_into(&mut found);
    }

    #[inline(always)]
    pub(crate) fn reap_into(&mut self, taker: &mut impl Taker) {
        if !self.answers.is_empty() {
            self.hand_out(taker);
        }
        self.counters.completed += self.drain(taker);
        if let Some(helpers) = &self.helpers {
            self.answers
                .extend(helpers.take().into_iter().map(|(token, answer)| (token, Completion::of(answer))));
        }
        if !self.answers.is_empty() {
            self.hand_out(taker);
        }
    }

    /// Hands out what was set aside.
    #[cold]
    fn hand_out(&mut self, taker: &mut impl Taker) {
        self.counters.completed += self.answers.len() as u64;
        self.answers.drain(..).for_each(|(token, answer)| taker.take(token, answer));
    }

    /// Takes everything out of the completion queue; what bears a mark and is an operation's answer is set aside. How many
    /// answers were taken.
    #[inline(always)]
    fn drain(&mut self, taker: &mut impl Taker) -> u64 {
        let mut taken = 0;
        let Ring { queues, buffers, marked, .. } = self;
        queues.drain(|entry| {
            let mut answer = Completion { result: entry.result(), flags: entry.flags() };
            if answer.flags & BUFFER != 0 {
                answer = answer.of_the_kernel();
                buffers.as_ref().inspect(|buffers| buffers.pool().picked());
            }
            match entry.user_data() >> KIND_SHIFT {
                kind if kind == Kind::Operation as u64 => {
                    taken += 1;
                    taker.take(Token(entry.user_data()), answer);
                }
                _ => marked.push((entry.user_data(), answer)),
            }
        });
        if !self.marked.is_empty() {
            self.sort_marked();
        }
        taken
    }

    #[cold]
    fn sort_marked(&mut self) {
        let mut marked = std::mem::take(&mut self.marked);
        for (data, answer) in marked.drain(..) {
            let sorted = self.sort(data, answer);
            self.answers.extend(sorted);
        }
        // For its room.
        self.marked = marked;
    }

    /// What an answer says to an entry that bears a mark. Some that are an operation's answer as well.
    #[cold]
    fn sort(&mut self, data: u64, answer: Completion) -> Option<(Token, Completion)> {
        let token = Token(data & !(0xf << KIND_SHIFT));
        match data >> KIND_SHIFT {
            kind if kind == Kind::Wait as u64 => return Some((token, self.after_wait(token, answer)?)),
            kind if kind == Kind::Cancel as u64 => match answer.result == 0 || self.stopped_bringing {
                true => {
                    self.counters.cancels_stopped += 1;
                    self.stopped_bringing = false;
                }
                false => self.counters.cancels_late += 1,
            },
            kind if kind == Kind::CancelBring as u64 => self.stopped_bringing = answer.result == 0,
            kind if kind == Kind::Close as u64 => self.closing -= 1,
            kind if kind == Kind::Install as u64 => {
                self.direct.iter_mut().for_each(|direct| direct.answered(answer.result));
            }
            kind if kind == Kind::Bring as u64 => {
                let result = match answer.result {
                    place if place >= 0 => direct::number(place),
                    error => {
                        self.direct.iter_mut().for_each(|direct| direct.give_back());
                        error
                    }
                };
                return Some((token, Completion { result, ..answer }));
            }
            kind if kind == Kind::Bell as u64 => self.bell.rang(answer.result, cqueue::more(answer.flags)),
            _ => {}
        }
        None
    }

    /// Moves what is in the completion queue to `answers`. Runs nobody's code and resumes nobody.
    pub(super) fn set_aside(&mut self) {
        let mut found = Vec::new();
        self.drain(&mut |token, answer| found.push((token, answer)));
        self.answers.extend(found);
    }
}
