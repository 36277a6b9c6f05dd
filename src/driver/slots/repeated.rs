//! What is answered several times: the answers that wait to be taken, and who takes them.

use std::task::Waker;

use super::answers::Answers;
use super::{Found, NONE, Orphan, Retirement, Slot, Slots, State, Token};
use crate::driver::completion::Completion;
use crate::executor::Waiter;

/// What is answered several times.
pub(super) struct Repeated {
    /// The answers that nobody has taken yet.
    pub(super) answers: Answers,
    /// Whether the last one has come.
    pub(super) has_ended: bool,
    /// It was asked to end because nobody takes its answers.
    pub(super) is_held_back: bool,
    pub(super) owner: Owner,
}

pub(super) enum Owner {
    Future(Asker),
    Slot(Box<dyn Orphan>),
}

/// Who takes the answers.
#[derive(Default)]
pub(super) struct Asker {
    /// A task of ours stays here while it takes one after the other; somebody else's waker goes when it is woken.
    pub(super) waiter: Option<Waiter>,
    /// They asked, and have not been woken since.
    pub(super) waits: bool,
}

impl Asker {
    /// Resumes a task of ours; gives a foreign waker back.
    #[inline]
    fn resume(&mut self) -> Option<Waker> {
        if !std::mem::take(&mut self.waits) {
            return None;
        }
        match &self.waiter {
            Some(waiter) if waiter.resume_again() => None,
            _ => self.waiter.take().and_then(Waiter::resume_own),
        }
    }
}

/// How many answers of one submission wait to be taken before it is asked to end: the kernel's own patience with one
/// is twice 32.
pub(super) const ANSWERS_MAX: usize = 64;

impl Repeated {
    /// Nobody takes its answers.
    #[cold]
    fn hold_back(&mut self, token: Token, crowded: &mut Vec<Token>) {
        if !std::mem::replace(&mut self.is_held_back, true) {
            crowded.push(token);
        }
    }
}

impl Slot {
    /// From its first answer of several on.
    #[inline]
    pub(super) fn repeated(&mut self) -> &mut Repeated {
        if !matches!(self.state, State::Repeated(_)) {
            self.begin_repeating();
        }
        match &mut self.state {
            State::Repeated(repeated) => repeated,
            _ => unreachable!("just made one"),
        }
    }

    #[cold]
    fn begin_repeating(&mut self) {
        let owner = match std::mem::replace(&mut self.state, State::Free { next: NONE }) {
            State::Waiting(waiter) => Owner::Future(Asker { waiter: Some(waiter), waits: true }),
            State::Orphaned(orphan) => Owner::Slot(orphan),
            _ => unreachable!("only what is in flight is answered"),
        };
        let answers = Answers::default();
        let repeated = Repeated { answers, has_ended: false, is_held_back: false, owner };
        self.state = State::Repeated(Box::new(repeated));
    }
}

/// What a future finds that asks for one answer of several.
pub(crate) enum Next {
    Answer(Completion),
    /// There is none, and who asks is who waits.
    Wait,
    /// There is none, and it is not known who waits.
    Ask,
}

#[cfg(feature = "tracing")]
impl Next {
    pub(crate) fn answer(&self) -> Option<Completion> {
        match self {
            Next::Answer(answer) => Some(*answer),
            Next::Wait | Next::Ask => None,
        }
    }
}

impl Slots {
    /// One answer of several has come.
    #[inline(always)]
    pub(super) fn complete_one(&mut self, token: Token, answer: Completion) -> Option<Found> {
        let slot =
            self.slots.get_mut(token.index()).filter(|slot| slot.token == token && slot.is_in_flight());
        let Some(slot) = slot else { return Some(Found::Nothing) };
        slot.lent.touch();
        if slot.form.releases_later {
            slot.fd = -1;
        }
        let repeated = slot.repeated();
        repeated.answers.push(answer);
        repeated.has_ended = !answer.has_more();
        if repeated.answers.len() >= ANSWERS_MAX && !repeated.has_ended {
            repeated.hold_back(token, &mut self.crowded);
        }
        let foreign = match &mut repeated.owner {
            Owner::Future(asker) => asker.resume(),
            Owner::Slot(_) if repeated.has_ended => {
                self.in_flight -= 1;
                return Some(self.retire_many(token));
            }
            Owner::Slot(_) => None,
        };
        self.in_flight -= usize::from(!answer.has_more());
        foreign.map(Found::Foreign)
    }

    #[cold]
    pub(super) fn retire_many(&mut self, token: Token) -> Found {
        let slot = self.expect(token);
        let State::Repeated(repeated) = std::mem::replace(&mut slot.state, State::Free { next: NONE }) else {
            unreachable!("it was looked at")
        };
        self.release(token);
        let Repeated { mut answers, owner, .. } = *repeated;
        let Owner::Slot(orphan) = owner else { unreachable!("it was looked at") };
        self.orphans -= 1;
        Found::OrphanOfMany(Box::new(Retirement { orphan, answers: answers.take() }))
    }

    #[cold]
    pub(super) fn next_answer(&mut self, token: Token) -> Option<Completion> {
        let slot = self.expect(token);
        let State::Repeated(repeated) = &mut slot.state else { return None };
        let answer = repeated.answers.pop()?;
        if !answer.has_more() {
            self.release_repeated(token);
        }
        Some(answer)
    }

    #[cold]
    pub(super) fn release_repeated(&mut self, token: Token) {
        drop(std::mem::replace(&mut self.expect(token).state, State::Free { next: NONE }));
        self.release(token);
    }

    /// The next of several answers; or that `waker` waits for it, which needs no more saying when it did before.
    #[inline]
    pub(crate) fn next(&mut self, token: Token, waker: &Waker) -> Next {
        let State::Repeated(repeated) = &mut self.expect(token).state else {
            return self.answer(token).map_or(Next::Ask, Next::Answer);
        };
        match repeated.answers.pop() {
            Some(answer) => {
                if !answer.has_more() {
                    self.release_repeated(token);
                }
                Next::Answer(answer)
            }
            None => match &mut repeated.owner {
                Owner::Future(Asker { waiter: Some(waiter), waits }) if waiter.is_task_of(waker) => {
                    *waits = true;
                    Next::Wait
                }
                _ => Next::Ask,
            },
        }
    }
}
