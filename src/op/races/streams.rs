//! What is received and sent, in which order, when operations are dropped and cancelled.

use std::io;

use super::{Stage, ready, receive, received};
use crate::op::{Accept, Read, Recvmsg, Send, Submitted};

#[test]
fn bytes_that_come_after_their_read_was_dropped_are_read_next() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut first = receive(&socket, 16);
    assert!(stage.poll(&mut first).is_pending());
    drop(first);
    assert_eq!(stage.happen(|script| script.cancelled.clone()), ["recv"]);

    let mut second = receive(&socket, 16);
    assert!(stage.poll(&mut second).is_pending(), "the orphan has the direction");
    assert_eq!(stage.happen(|script| script.names()), ["recv"], "the second is not submitted yet");

    stage.happen(|script| script.deliver("recv", b"late"));
    assert_eq!(received(ready(stage.poll(&mut second))), b"late");
    stage.assert_settled();
}

#[test]
fn bytes_that_came_before_their_read_was_dropped_are_read_next() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut first = receive(&socket, 16);
    assert!(stage.poll(&mut first).is_pending());
    stage.happen(|script| script.deliver("recv", b"unseen"));
    drop(first);
    assert_eq!(received(ready(stage.poll(&mut receive(&socket, 16)))), b"unseen");
    stage.assert_settled();
}

#[test]
fn what_there_is_no_room_for_waits_for_the_read_after() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut first = receive(&socket, 16);
    assert!(stage.poll(&mut first).is_pending());
    stage.happen(|script| script.deliver("recv", b"abcdef"));
    drop(first);
    assert_eq!(received(ready(stage.poll(&mut receive(&socket, 4)))), b"abcd");
    let vectored = Recvmsg::new(socket.hold(), vec![Vec::with_capacity(1), Vec::with_capacity(9)]);
    let (result, buffers) = ready(stage.poll(&mut Submitted::new(vectored)));
    assert_eq!(result.unwrap(), 2);
    assert_eq!(buffers, [b"e", b"f"]);
    assert!(stage.poll(&mut receive(&socket, 4)).is_pending(), "nothing is left");
}

#[test]
fn bytes_of_a_dropped_vectored_read_keep_their_order() {
    let stage = Stage::new();
    let file = stage.descriptor(7);
    let cursor = crate::sys::file::CURSOR;
    let mut first = Submitted::new(Read::new(file.hold(), Vec::with_capacity(8), cursor));
    assert!(stage.poll(&mut first).is_pending());
    drop(first);
    let mut second = Submitted::new(Read::new(file.hold(), Vec::with_capacity(8), cursor));
    let mut third = Submitted::new(Read::new(file.hold(), Vec::with_capacity(8), cursor));
    assert!(stage.poll(&mut second).is_pending());
    assert!(stage.poll(&mut third).is_pending());
    stage.happen(|script| script.deliver("read", b"one"));
    assert!(stage.poll(&mut third).is_pending(), "it is the second's turn");
    assert_eq!(received(ready(stage.poll(&mut second))), b"one");
    assert!(stage.poll(&mut third).is_pending());
    stage.happen(|script| script.deliver("read", b"two"));
    assert_eq!(received(ready(stage.poll(&mut third))), b"two");
    stage.assert_settled();
}

#[test]
fn a_reset_that_a_dropped_read_met_is_told_to_the_next_one_once() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut first = receive(&socket, 16);
    assert!(stage.poll(&mut first).is_pending());
    drop(first);
    stage.happen(|script| script.answer("recv", -libc::ECONNRESET));
    let (result, _) = ready(stage.poll(&mut receive(&socket, 16)));
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(stage.poll(&mut receive(&socket, 16)).is_pending(), "told once");
}

#[test]
fn a_cancellation_that_won_leaves_nothing() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut first = receive(&socket, 16);
    assert!(stage.poll(&mut first).is_pending());
    drop(first);
    stage.happen(|script| script.answer("recv", -libc::ECANCELED));
    assert!(stage.poll(&mut receive(&socket, 16)).is_pending());
    assert_eq!(stage.happen(|script| script.names()), ["recv"], "submitted anew");
}

#[test]
fn an_explicit_cancel_that_loses_gives_the_data() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut read = receive(&socket, 16);
    assert!(stage.poll(&mut read).is_pending());
    read.cancel();
    stage.happen(|script| script.deliver("recv", b"first"));
    assert_eq!(received(ready(stage.poll(&mut read))), b"first");
}

#[test]
fn an_explicit_cancel_that_wins_gives_the_buffer_back() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut read = receive(&socket, 16);
    assert!(stage.poll(&mut read).is_pending());
    read.cancel();
    assert_eq!(stage.happen(|script| script.cancelled.clone()), ["recv"], "the kernel is asked");
    stage.happen(|script| script.answer("recv", -libc::ECANCELED));
    let (result, buffer) = ready(stage.poll(&mut read));
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(buffer.capacity(), 16);
}

#[test]
fn a_connection_that_comes_after_its_accept_was_dropped_is_accepted_next() {
    let stage = Stage::new();
    let listener = stage.descriptor(7);
    let mut first = Submitted::new(Accept::new(listener.hold()));
    assert!(stage.poll(&mut first).is_pending());
    drop(first);
    stage.happen(|script| script.answer("accept", 40));
    let accepted = ready(stage.poll(&mut Submitted::new(Accept::new(listener.hold())))).unwrap();
    assert_eq!(accepted.number(), 40);
    assert!(stage.closed().is_empty());
}

#[test]
fn a_write_begins_when_a_dropped_one_is_settled() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut first = Submitted::new(Send::new(socket.hold(), "first"));
    assert!(stage.poll(&mut first).is_pending());
    drop(first);
    let mut second = Submitted::new(Send::new(socket.hold(), "second"));
    assert!(stage.poll(&mut second).is_pending());
    assert_eq!(stage.happen(|script| script.names()), ["send"], "bytes never interleave");
    stage.happen(|script| script.answer("send", 3));
    assert!(stage.poll(&mut second).is_pending());
    stage.happen(|script| script.answer("send", 6));
    assert_eq!(ready(stage.poll(&mut second)).0.unwrap(), 6);
}

#[test]
fn a_completion_that_comes_twice_is_counted_and_touches_nobody() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut first = receive(&socket, 16);
    assert!(stage.poll(&mut first).is_pending());
    stage.happen(|script| script.deliver("recv", b"one"));
    assert_eq!(received(ready(stage.poll(&mut first))), b"one");
    let mut second = receive(&socket, 16);
    assert!(stage.poll(&mut second).is_pending());
    stage.happen(|script| script.repeat_last(9));
    assert!(stage.poll(&mut second).is_pending(), "the slot is used again, the token is not");
    assert_eq!(stage.engine.port.stray(), 1);
}

#[test]
fn a_descriptor_that_is_not_ready_after_all_is_waited_for_and_tried_again() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut read = receive(&socket, 16);
    assert!(stage.poll(&mut read).is_pending());
    stage.happen(|script| script.answer("recv", -libc::EAGAIN));
    assert!(stage.poll(&mut read).is_pending(), "EAGAIN is nothing that a user can wait out");
    stage.happen(|script| script.deliver("recv", b"now"));
    assert_eq!(received(ready(stage.poll(&mut read))), b"now");
}
