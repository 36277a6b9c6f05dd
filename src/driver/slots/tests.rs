//! What a slot goes through, answer by answer.

use super::repeated::ANSWERS_MAX;
use super::*;
use crate::driver::form;

const FORM: &Form = &form! {
    name: "test", wait: Never, entry: none,
    attempt: |_request| 0,
    simulated: |_request, _kernel| 0,
};

fn on(fd: i32) -> Request {
    Request { fd, ..Request::new(FORM) }
}

fn waiter() -> Waiter {
    Waiter::of(Waker::noop())
}

#[test]
fn a_completion_that_comes_twice_finds_nothing() {
    let mut slots = Slots::new(true);
    let token = slots.insert(waiter(), &on(-1));
    assert!(matches!(slots.complete(token, Completion::of(1)), Some(Found::Foreign(_))));
    assert!(matches!(slots.complete(token, Completion::of(2)), Some(Found::Nothing)));
    assert_eq!(slots.answer(token), Some(Completion::of(1)));
}

#[test]
fn a_late_completion_does_not_touch_the_next_user_of_its_slot() {
    let mut slots = Slots::new(true);
    let first = slots.insert(waiter(), &on(-1));
    slots.complete(first, Completion::of(1));
    assert!(slots.answer(first).is_some());
    let second = slots.insert(waiter(), &on(-1));
    assert_eq!(first.index(), second.index(), "the slot is used again");
    assert!(matches!(slots.complete(first, Completion::of(7)), Some(Found::Nothing)));
    assert_eq!(slots.answer(second), None);
    assert_eq!(slots.in_flight(), 1);
}

#[test]
fn only_what_is_in_flight_is_listed() {
    let mut slots = Slots::new(true);
    let first = slots.insert(waiter(), &on(7));
    let second = slots.insert(waiter(), &on(7));
    slots.complete(first, Completion::of(1));
    assert_eq!(slots.tokens(Some(7)), [second], "answered");
    assert!(slots.answer(first).is_some());
    assert_eq!(slots.tokens(None), [second], "and free");
}

struct Nobody;

impl Orphan for Nobody {
    fn form(&self) -> &'static Form {
        FORM
    }

    fn keep(&mut self, _: Completion) {}
    fn retire(self: Box<Self>, _: Completion) {}
}

#[test]
fn the_orphans_of_a_task_are_those_it_left_behind() {
    let mut slots = Slots::new(true);
    let mut submit = |task| {
        let token = slots.insert(waiter(), &on(7));
        slots.expect(token).stamp.task = task;
        token
    };
    let (left, repeated, owned, others) = (submit(1), submit(1), submit(1), submit(2));
    slots.complete(repeated, more(1));
    for token in [left, repeated, others] {
        drop(slots.abandon(token, &mut Some(Box::new(Nobody))));
    }
    assert!(slots.is_in_flight(owned));
    assert_eq!(slots.orphans_of(&[1, 3]), [left, repeated]);
    assert_eq!(slots.orphans_of(&[2]), [others]);
    slots.complete(left, Completion::of(0));
    slots.complete(repeated, Completion::of(0));
    assert_eq!(slots.orphans_of(&[1, 3]), []);
}

fn more(result: i32) -> Completion {
    Completion { result, flags: crate::driver::completion::MORE }
}

#[test]
fn several_answers_are_taken_in_their_order_and_the_last_frees_the_slot() {
    let mut slots = Slots::new(true);
    let token = slots.insert(waiter(), &on(7));
    assert!(matches!(slots.complete(token, more(1)), Some(Found::Foreign(_))));
    assert_eq!(slots.answer(token), Some(more(1)));
    assert_eq!(slots.answer(token), None);
    assert!(slots.set_waiter(token, waiter()).is_none(), "who was woken waits no more");
    assert!(slots.is_in_flight(token));
    assert!(matches!(slots.complete(token, more(2)), Some(Found::Foreign(_))));
    assert!(slots.complete(token, Completion::of(3)).is_none());
    assert!(matches!(slots.complete(token, Completion::of(4)), Some(Found::Nothing)), "after the last");
    assert_eq!((slots.in_flight(), slots.tokens(None)), (0, Vec::new()));
    assert_eq!(slots.answer(token), Some(more(2)));
    assert_eq!(slots.answer(token), Some(Completion::of(3)));
    let next = slots.insert(waiter(), &on(7));
    assert_eq!(next.index(), token.index(), "the slot is free");
}

#[test]
fn answers_that_nobody_takes_are_held_back_once() {
    let mut slots = Slots::new(true);
    let token = slots.insert(waiter(), &on(7));
    for n in 0..2 * ANSWERS_MAX {
        slots.complete(token, more(n as i32));
        let told = slots.next_crowded();
        assert_eq!(told, (n == ANSWERS_MAX - 1).then_some(token), "at {n}");
    }
}

#[test]
fn a_slot_is_small() {
    let of_release_builds = size_of::<Slot>() - size_of::<Lent>();
    assert!(of_release_builds <= 64, "{of_release_builds} bytes");
}
