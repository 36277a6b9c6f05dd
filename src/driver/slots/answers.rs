//! The answers to one submission that nobody has taken yet.
//!
//! Nearly always there is one at most, and 8,000 idle streams are to cost little: a queue of the usual kind would make room
//! for four with its first.

use std::collections::VecDeque;

use crate::driver::completion::Completion;

#[derive(Default)]
pub(super) struct Answers {
    first: Option<Completion>,
    /// Those behind the first. There are none without it.
    #[allow(clippy::box_collection, reason = "one word while it is not needed, instead of four")]
    rest: Option<Box<VecDeque<Completion>>>,
}

impl Answers {
    #[inline]
    pub(super) fn push(&mut self, answer: Completion) {
        match self.first {
            None => self.first = Some(answer),
            Some(_) => self.push_behind(answer),
        }
    }

    #[cold]
    fn push_behind(&mut self, answer: Completion) {
        self.rest.get_or_insert_default().push_back(answer);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Completion> {
        match &mut self.rest {
            None => self.first.take(),
            Some(_) => self.pop_of_many(),
        }
    }

    #[cold]
    fn pop_of_many(&mut self) -> Option<Completion> {
        let next = self.rest.as_mut().and_then(|rest| rest.pop_front());
        std::mem::replace(&mut self.first, next)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    /// All of them, in their order.
    pub(super) fn take(&mut self) -> VecDeque<Completion> {
        let mut all: VecDeque<_> = self.first.take().into_iter().collect();
        all.extend(self.rest.take().into_iter().flat_map(|rest| *rest));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_taken_in_their_order_however_many_there_are() {
        let mut answers = Answers::default();
        let (mut pushed, mut popped) = (0, 0);
        for round in [1, 2, 5, 1, 9] {
            for _ in 0..round {
                answers.push(Completion::of(pushed));
                pushed += 1;
            }
            for _ in 0..round.min(4) {
                assert_eq!(answers.pop(), Some(Completion::of(popped)));
                popped += 1;
            }
            assert_eq!(answers.len(), (pushed - popped) as usize);
        }
        let left: Vec<_> = answers.take().into_iter().map(|answer| answer.result).collect();
        assert_eq!(left, (popped..pushed).collect::<Vec<_>>());
        assert_eq!((answers.len(), answers.pop()), (0, None));
    }
}
