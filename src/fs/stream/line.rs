//! Transfers that are under way side by side, and are waited for in the order in which they were asked for.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::driver::Operation;
use crate::op::Submitted;

/// A future of which one can tell whether the driver has it. Before that it has to be polled again.
pub(super) trait Begins: Future + Unpin {
    fn has_begun(&self) -> bool;
}

impl<O: Operation> Begins for Submitted<O> {
    fn has_begun(&self) -> bool {
        Submitted::has_begun(self)
    }
}

/// The oldest is the first.
pub(super) struct Line<F: Future> {
    places: VecDeque<Place<F>>,
}

enum Place<F: Future> {
    UnderWay(F),
    Done(F::Output),
}

impl<F: Future> Default for Line<F> {
    fn default() -> Line<F> {
        Line { places: VecDeque::new() }
    }
}

impl<F: Begins> Line<F> {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Behind all others.
    pub(super) fn push(&mut self, transfer: F) {
        self.places.push_back(Place::UnderWay(transfer));
    }

    /// In front of all others: the first one is to be done once more.
    pub(super) fn put_back(&mut self, transfer: F) {
        self.places.push_front(Place::UnderWay(transfer));
    }

    /// Gives all of them up.
    pub(super) fn clear(&mut self) {
        self.places.clear();
    }

    /// Hands over what was not: each is under way from here on, or done, unless the task has spent its budget, in which
    /// case it is woken.
    pub(super) fn begin(&mut self, cx: &mut Context<'_>) {
        for place in &mut self.places {
            match place {
                Place::UnderWay(transfer) if !transfer.has_begun() => {
                    if let Poll::Ready(output) = Pin::new(transfer).poll(cx) {
                        *place = Place::Done(output);
                    }
                }
                _ => {}
            }
        }
    }

    /// Waits for the first, and takes it out. None if there is none.
    pub(super) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        if let Some(Place::UnderWay(transfer)) = self.places.front_mut() {
            let Poll::Ready(output) = Pin::new(transfer).poll(cx) else { return Poll::Pending };
            self.places.pop_front();
            return Poll::Ready(Some(output));
        }
        match self.places.pop_front() {
            Some(Place::Done(output)) => Poll::Ready(Some(output)),
            Some(Place::UnderWay(_)) => unreachable!("it was looked at"),
            None => Poll::Ready(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;
    use std::task::Waker;

    /// Is done when its cell says so, and begins with its first poll.
    struct Step {
        number: u32,
        done: Rc<Cell<bool>>,
        polls: Rc<Cell<u32>>,
    }

    impl Future for Step {
        type Output = u32;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
            self.polls.set(self.polls.get() + 1);
            if self.done.get() { Poll::Ready(self.number) } else { Poll::Pending }
        }
    }

    impl Begins for Step {
        fn has_begun(&self) -> bool {
            self.polls.get() > 0
        }
    }

    fn step(number: u32) -> (Step, Rc<Cell<bool>>, Rc<Cell<u32>>) {
        let (done, polls) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        (Step { number, done: done.clone(), polls: polls.clone() }, done, polls)
    }

    #[test]
    fn all_begin_and_each_is_taken_in_its_turn() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut line = Line::default();
        let steps = [step(1), step(2), step(3)];
        let [one, two, three] = steps.map(|(step, done, polls)| {
            line.push(step);
            (done, polls)
        });
        line.begin(&mut cx);
        line.begin(&mut cx);
        assert_eq!([&one, &two, &three].map(|(_, polls)| polls.get()), [1, 1, 1]);
        two.0.set(true);
        assert!(line.poll_first(&mut cx).is_pending(), "the second is done, the first is not");
        one.0.set(true);
        assert_eq!(line.poll_first(&mut cx), Poll::Ready(Some(1)));
        assert_eq!(line.poll_first(&mut cx), Poll::Ready(Some(2)));
        let (again, done, _) = step(4);
        line.put_back(again);
        done.set(true);
        line.begin(&mut cx);
        assert_eq!((line.poll_first(&mut cx), line.len()), (Poll::Ready(Some(4)), 1));
        line.clear();
        assert!(line.is_empty());
        assert_eq!(line.poll_first(&mut cx), Poll::Ready(None));
    }
}
