//! What is answered several times.

use std::task::{Context, Poll, Waker};

use super::{Stage, ready};
use crate::driver::Descriptor;
use crate::op::{Accept, AcceptOften, Submitted};

const NAME: &str = "accept_often";

fn accepting(listener: &Descriptor) -> Submitted<AcceptOften> {
    Submitted::new(AcceptOften::new(listener.hold()))
}

/// The next connection's number, or the error's.
fn next(stage: &Stage, stream: &mut Submitted<AcceptOften>) -> Poll<Option<Result<i32, i32>>> {
    let _scope = stage.engine.enter();
    stage.engine.renew_budget();
    let polled = stream.poll_next_item(&mut Context::from_waker(Waker::noop()));
    let number = |descriptor: Descriptor| {
        let number = descriptor.number();
        descriptor.forget_number();
        number
    };
    polled.map(|item| item.map(|item| item.map(number).map_err(|error| error.raw_os_error().unwrap())))
}

fn submissions(stage: &Stage) -> usize {
    stage.happen(|script| script.names()).iter().filter(|name| **name == NAME).count()
}

#[test]
fn one_submission_brings_many() {
    let stage = Stage::new();
    let listener = stage.descriptor(7);
    let mut stream = accepting(&listener);
    assert!(next(&stage, &mut stream).is_pending());
    for number in 10..15 {
        stage.happen(|script| script.answer_and_go_on(NAME, number));
    }
    for number in 10..15 {
        assert_eq!(next(&stage, &mut stream), Poll::Ready(Some(Ok(number))));
    }
    assert!(next(&stage, &mut stream).is_pending());
    assert_eq!((submissions(&stage), stage.engine.port.in_flight()), (1, 1));
}

#[test]
fn one_that_the_kernel_ends_is_begun_again() {
    let stage = Stage::new();
    let listener = stage.descriptor(7);
    let mut stream = accepting(&listener);
    assert!(next(&stage, &mut stream).is_pending());
    // With the last answer, for want of something, and because nobody took the answers.
    stage.happen(|script| script.answer(NAME, 10));
    assert_eq!(next(&stage, &mut stream), Poll::Ready(Some(Ok(10))));
    for passing in [-libc::ENOBUFS, -libc::ECANCELED, -libc::EAGAIN] {
        assert!(next(&stage, &mut stream).is_pending());
        assert_eq!(submissions(&stage), 1);
        stage.happen(|script| script.answer(NAME, passing));
    }
    assert!(next(&stage, &mut stream).is_pending());
    assert_eq!(submissions(&stage), 1, "again");
}

#[test]
fn an_error_is_an_item_and_not_the_end() {
    let stage = Stage::new();
    let listener = stage.descriptor(7);
    let mut stream = accepting(&listener);
    assert!(next(&stage, &mut stream).is_pending());
    stage.happen(|script| script.answer_and_go_on(NAME, 10));
    stage.happen(|script| script.answer(NAME, -libc::EMFILE));
    assert_eq!(next(&stage, &mut stream), Poll::Ready(Some(Ok(10))));
    assert_eq!(next(&stage, &mut stream), Poll::Ready(Some(Err(libc::EMFILE))));
    assert!(next(&stage, &mut stream).is_pending());
    assert_eq!(submissions(&stage), 1, "again");
}

#[test]
fn what_came_before_and_after_it_was_dropped_goes_to_the_next_in_order() {
    let stage = Stage::new();
    let listener = stage.descriptor(7);
    let mut stream = accepting(&listener);
    assert!(next(&stage, &mut stream).is_pending());
    for number in 10..13 {
        stage.happen(|script| script.answer_and_go_on(NAME, number));
    }
    assert_eq!(next(&stage, &mut stream), Poll::Ready(Some(Ok(10))));
    drop(stream);
    assert_eq!(stage.happen(|script| script.cancelled.clone()), [NAME]);
    let mut accept = Submitted::new(Accept::new(listener.hold()));
    assert!(stage.poll(&mut accept).is_pending(), "the orphan has the direction");
    stage.happen(|script| script.answer_and_go_on(NAME, 13));
    stage.happen(|script| script.answer(NAME, -libc::ECANCELED));
    let first = ready(stage.poll(&mut accept)).unwrap();
    assert_eq!(first.number(), 11);
    let mut again = accepting(&listener);
    assert_eq!(next(&stage, &mut again), Poll::Ready(Some(Ok(12))));
    assert_eq!(next(&stage, &mut again), Poll::Ready(Some(Ok(13))));
    assert!(next(&stage, &mut again).is_pending(), "and nothing twice");
    drop(first);
}

#[test]
fn one_that_had_ended_unseen_leaves_everything() {
    let stage = Stage::new();
    let listener = stage.descriptor(7);
    let mut stream = accepting(&listener);
    assert!(next(&stage, &mut stream).is_pending());
    stage.happen(|script| script.answer_and_go_on(NAME, 10));
    stage.happen(|script| script.answer(NAME, 11));
    drop(stream);
    stage.assert_settled();
    let mut again = accepting(&listener);
    assert_eq!(next(&stage, &mut again), Poll::Ready(Some(Ok(10))));
    assert_eq!(next(&stage, &mut again), Poll::Ready(Some(Ok(11))));
}

#[test]
fn what_nobody_takes_is_held_back_and_begun_again() {
    let stage = Stage::new();
    let listener = stage.descriptor(7);
    let mut stream = accepting(&listener);
    assert!(next(&stage, &mut stream).is_pending());
    for number in 100..200 {
        stage.happen(|script| script.answer_and_go_on(NAME, number));
    }
    assert_eq!(stage.happen(|script| script.cancelled.clone()), [NAME], "asked to end, once");
    stage.happen(|script| script.answer(NAME, -libc::ECANCELED));
    for number in 100..200 {
        assert_eq!(next(&stage, &mut stream), Poll::Ready(Some(Ok(number))));
    }
    assert!(next(&stage, &mut stream).is_pending());
    assert_eq!(submissions(&stage), 1, "again");
}

#[test]
fn one_that_was_dropped_and_ends_with_many_answers_at_once_is_not_held_back() {
    let stage = Stage::new();
    let listener = stage.descriptor(7);
    let mut stream = accepting(&listener);
    assert!(next(&stage, &mut stream).is_pending());
    drop(stream);
    // In one reap: more than anybody lets wait, and the last.
    stage.happen(|script| {
        (100..200).for_each(|number| script.answer_and_go_on(NAME, number));
        script.answer(NAME, -libc::ECANCELED);
    });
    stage.assert_settled();
    let mut again = accepting(&listener);
    for number in 100..200 {
        assert_eq!(next(&stage, &mut again), Poll::Ready(Some(Ok(number))));
    }
}

#[test]
fn a_listener_that_closes_closes_what_nobody_took() {
    let stage = Stage::new();
    let listener = stage.descriptor(7);
    let mut stream = accepting(&listener);
    assert!(next(&stage, &mut stream).is_pending());
    stage.happen(|script| script.answer_and_go_on(NAME, 10));
    drop(stream);
    drop(listener);
    stage.happen(|script| script.answer_and_go_on(NAME, 11));
    stage.happen(|script| script.answer(NAME, -libc::ECANCELED));
    let mut closed = stage.closed();
    closed.sort_unstable();
    assert_eq!(closed, [7, 10, 11]);
    stage.assert_settled();
}
