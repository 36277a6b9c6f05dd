//! Bytes that go by way of a pipe: what becomes of them when a half of a splice is dropped, in each order of events.

use std::rc::Rc;
use std::task::Poll;

use super::{Stage, ready, receive, received};
use crate::driver::{Descriptor, Way};
use crate::op::{Conduit, Settle, Splice, SpliceOut, Submitted, Turn};

fn conduit(stage: &Stage, source: &Descriptor) -> Rc<Conduit> {
    let turn = ready(stage.poll(&mut Box::pin(Turn::of(source.hold(), Way::Read))));
    Conduit::new(stage.engine.port.passage().unwrap(), Some(&Rc::new(turn)))
}

/// A pipe with five bytes of a source in it.
fn filled(stage: &Stage, source: &Descriptor) -> Rc<Conduit> {
    let conduit = conduit(stage, source);
    let mut splice = Submitted::new(Splice::ready(source.hold(), Rc::clone(&conduit), 100));
    assert!(stage.poll(&mut splice).is_pending());
    stage.happen(|script| {
        script.in_pipe = b"hello";
        script.answer("splice at once", 5);
    });
    assert_eq!(ready(stage.poll(&mut splice)).unwrap(), 5);
    conduit
}

fn sent(stage: &Stage, target: &Descriptor) -> usize {
    ready(stage.poll(&mut Submitted::new(Settle::new(target.hold())))).unwrap()
}

#[test]
fn what_a_dropped_second_half_did_not_move_is_received_next_when_that_is_known() {
    let stage = Stage::new();
    let (source, target) = (stage.descriptor(7), stage.descriptor(8));
    let mut out = Submitted::new(SpliceOut::new(target.hold(), filled(&stage, &source)));
    assert!(stage.poll(&mut out).is_pending());
    stage.happen(|script| script.answer("splice_out", 1));
    assert!(stage.poll(&mut out).is_pending(), "four are left");
    let mut next = receive(&source, 100);
    drop(out);
    assert!(stage.poll(&mut next).is_pending(), "the pipe has the turn");
    assert_eq!(stage.happen(|script| script.names()), ["splice_out"], "nothing else is submitted");
    stage.happen(|script| script.answer("splice_out", 2));
    assert_eq!(received(ready(stage.poll(&mut next))), b"lo");
    assert_eq!(sent(&stage, &target), 3);
    assert!(stage.closed().is_empty(), "a clean pipe is kept");
    stage.assert_settled();
}

#[test]
fn what_a_dropped_first_half_moved_is_received_next() {
    for answer_first in [false, true] {
        let stage = Stage::new();
        let source = stage.descriptor(7);
        let conduit = conduit(&stage, &source);
        let mut splice = Submitted::new(Splice::ready(source.hold(), conduit, 100));
        assert!(stage.poll(&mut splice).is_pending());
        let mut splice = Some(splice);
        if !answer_first {
            splice = None;
        }
        stage.happen(|script| {
            script.in_pipe = b"hello";
            script.answer("splice at once", 5);
        });
        drop(splice);
        assert_eq!(received(ready(stage.poll(&mut receive(&source, 100)))), b"hello");
        stage.assert_settled();
    }
}

#[test]
fn an_error_that_a_dropped_half_met_is_told_to_the_next() {
    let stage = Stage::new();
    let (source, target) = (stage.descriptor(7), stage.descriptor(8));
    let mut out = Submitted::new(SpliceOut::new(target.hold(), filled(&stage, &source)));
    assert!(stage.poll(&mut out).is_pending());
    drop(out);
    stage.happen(|script| script.answer("splice_out", -libc::EPIPE));
    let settled = ready(stage.poll(&mut Submitted::new(Settle::new(target.hold()))));
    assert_eq!(settled.unwrap_err().raw_os_error(), Some(libc::EPIPE));
    assert_eq!(received(ready(stage.poll(&mut receive(&source, 100)))), b"hello");

    let conduit = conduit(&stage, &source);
    let mut splice = Submitted::new(Splice::ready(source.hold(), conduit, 100));
    assert!(stage.poll(&mut splice).is_pending());
    drop(splice);
    stage.happen(|script| script.answer("splice at once", -libc::ECONNRESET));
    let (result, _) = ready(stage.poll(&mut receive(&source, 100)));
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECONNRESET));
    stage.assert_settled();
}

#[test]
fn a_pipe_is_not_closed_under_a_half_that_names_it() {
    let stage = Stage::new();
    let (source, target) = (stage.descriptor(7), stage.descriptor(8));
    let mut out = Submitted::new(SpliceOut::new(target.hold(), filled(&stage, &source)));
    assert!(stage.poll(&mut out).is_pending());
    drop((source, target));
    assert_eq!(stage.closed(), [7], "nothing in flight names the source");
    drop(out);
    assert_eq!(stage.closed(), [7], "neither the target's number nor the pipe's");
    stage.happen(|script| script.answer("splice_out", -libc::ECANCELED));
    assert_eq!(stage.closed(), [7, 8], "and the pipe, which is empty now, is kept");
    stage.assert_settled();
}

#[test]
fn a_place_in_the_queue_for_a_turn_can_be_given_up() {
    let stage = Stage::new();
    let source = stage.descriptor(7);
    let mut first = receive(&source, 10);
    assert!(stage.poll(&mut first).is_pending());
    let mut turn = Box::pin(Turn::of(source.hold(), Way::Read));
    assert!(stage.poll(&mut turn).is_pending());
    let mut last = receive(&source, 10);
    assert!(stage.poll(&mut last).is_pending());
    drop(turn);
    stage.happen(|script| script.deliver("recv", b"one"));
    assert_eq!(received(ready(stage.poll(&mut first))), b"one");
    assert!(matches!(stage.poll(&mut last), Poll::Pending));
    stage.happen(|script| script.deliver("recv", b"two"));
    assert_eq!(received(ready(stage.poll(&mut last))), b"two");
    stage.assert_settled();
}
