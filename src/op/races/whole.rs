//! Transfers that take several submissions: nothing interleaves with them, and dropping one loses nothing.
#![allow(unsafe_code)]

use std::io;

use super::{Stage, ready, receive, received};
use crate::driver::{Descriptor, Leftover, Way};
use crate::op::{Incomplete, Recv, Send, Settle, Submitted, Whole};

fn receive_whole(socket: &Descriptor, room: usize) -> Submitted<Whole<Recv<Box<[u8]>>>> {
    Submitted::new(Whole::new(Recv::new(socket.hold(), vec![0; room].into())))
}

fn send_whole(socket: &Descriptor, text: &'static str) -> Submitted<Whole<Send<&'static str>>> {
    Submitted::new(Whole::new(Send::new(socket.hold(), text)))
}

fn settle(stage: &Stage, socket: &Descriptor) -> io::Result<usize> {
    ready(stage.poll(&mut Submitted::new(Settle::new(socket.hold()))))
}

#[test]
fn a_whole_read_goes_on_until_the_buffer_is_full() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut read = receive_whole(&socket, 6);
    assert!(stage.poll(&mut read).is_pending());
    stage.happen(|script| script.deliver("recv", b"ab"));
    assert!(stage.poll(&mut read).is_pending());
    stage.happen(|script| script.answer("recv", -libc::EINTR));
    assert!(stage.poll(&mut read).is_pending(), "a signal is no end");
    stage.happen(|script| script.deliver("recv", b"cdef"));
    let (result, buffer) = ready(stage.poll(&mut read));
    result.unwrap();
    assert_eq!(&*buffer, b"abcdef");
    stage.assert_settled();
}

#[test]
fn what_a_dropped_whole_read_gathered_is_read_next_with_what_came_late() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut first = receive_whole(&socket, 100);
    assert!(stage.poll(&mut first).is_pending());
    stage.happen(|script| script.deliver("recv", b"gathered, "));
    assert!(stage.poll(&mut first).is_pending());
    drop(first);
    let mut second = receive(&socket, 100);
    assert!(stage.poll(&mut second).is_pending());
    stage.happen(|script| script.deliver("recv", b"late"));
    assert_eq!(received(ready(stage.poll(&mut second))), b"gathered, late");
    stage.assert_settled();
}

#[test]
fn what_a_dropped_whole_read_gathered_is_read_next_if_nothing_came_late() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut first = receive_whole(&socket, 100);
    assert!(stage.poll(&mut first).is_pending());
    stage.happen(|script| script.deliver("recv", b"gathered"));
    assert!(stage.poll(&mut first).is_pending());
    drop(first);
    stage.happen(|script| script.answer("recv", -libc::ECANCELED));

    // A whole read takes it and goes on from there.
    let mut second = receive_whole(&socket, 10);
    assert!(stage.poll(&mut second).is_pending());
    stage.happen(|script| script.deliver("recv", b"!?"));
    assert_eq!(&*ready(stage.poll(&mut second)).1, b"gathered!?");
    stage.assert_settled();
}

#[test]
fn a_reset_that_ended_a_dropped_whole_read_is_told_after_what_it_gathered() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut first = receive_whole(&socket, 100);
    assert!(stage.poll(&mut first).is_pending());
    stage.happen(|script| script.deliver("recv", b"before the reset"));
    assert!(stage.poll(&mut first).is_pending());
    drop(first);
    stage.happen(|script| script.answer("recv", -libc::ECONNRESET));
    assert_eq!(received(ready(stage.poll(&mut receive(&socket, 6)))), b"before");
    assert_eq!(received(ready(stage.poll(&mut receive(&socket, 100)))), b" the reset");
    let (result, _) = ready(stage.poll(&mut receive(&socket, 100)));
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(stage.poll(&mut receive(&socket, 1)).is_pending(), "told once");
}

#[test]
fn an_early_end_is_told_with_what_came() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut read = receive_whole(&socket, 9);
    assert!(stage.poll(&mut read).is_pending());
    stage.happen(|script| script.deliver("recv", b"abc"));
    assert!(stage.poll(&mut read).is_pending());
    stage.happen(|script| script.answer("recv", 0));
    let (result, buffer) = ready(stage.poll(&mut read));
    let error = result.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(error.to_string(), "the end came after 3 of 9 bytes");
    assert_eq!(&buffer[..3], b"abc");
}

#[test]
fn cancelling_a_whole_transfer_tells_how_far_it_came() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut write = send_whole(&socket, "nine bytes, or so");
    assert!(stage.poll(&mut write).is_pending());
    stage.happen(|script| script.answer("send", 4));
    assert!(stage.poll(&mut write).is_pending());
    write.cancel();
    // Some went before the request to stop was heard; no more are sent.
    stage.happen(|script| script.answer("send", 5));
    let (result, text) = ready(stage.poll(&mut write));
    let error = result.unwrap_err();
    let incomplete = Incomplete::of(&error).expect("it says how far it came");
    assert_eq!((incomplete.done(), incomplete.wanted()), (9, Some(17)));
    assert_eq!(incomplete.error().raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(&text[9..], "s, or so");
    stage.assert_settled();
}

#[test]
fn whole_writes_do_not_interleave() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut first = send_whole(&socket, "first");
    let mut second = send_whole(&socket, "second");
    assert!(stage.poll(&mut first).is_pending());
    assert!(stage.poll(&mut second).is_pending());
    stage.happen(|script| script.answer("send", 2));
    assert!(stage.poll(&mut first).is_pending());
    assert!(stage.poll(&mut second).is_pending());
    assert_eq!(stage.happen(|script| script.lengths()), [3], "the rest of the first");
    stage.happen(|script| script.answer("send", 3));
    ready(stage.poll(&mut first)).0.unwrap();
    assert!(stage.poll(&mut second).is_pending());
    stage.happen(|script| script.answer("send", 6));
    ready(stage.poll(&mut second)).0.unwrap();
}

#[test]
fn what_dropped_writes_sent_after_all_can_be_asked_for() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut write = send_whole(&socket, "fourteen bytes");
    assert!(stage.poll(&mut write).is_pending());
    stage.happen(|script| script.answer("send", 3));
    assert!(stage.poll(&mut write).is_pending());
    drop(write);
    let mut asked = Submitted::new(Settle::new(socket.hold()));
    assert!(stage.poll(&mut asked).is_pending(), "it is not settled");
    stage.happen(|script| script.answer("send", 4));
    assert_eq!(ready(stage.poll(&mut asked)).unwrap(), 7);
    assert_eq!(settle(&stage, &socket).unwrap(), 0, "told once");
    stage.assert_settled();
}

#[test]
fn an_error_that_a_dropped_write_met_is_told_to_who_asks_or_to_the_next_write() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    for asks in [true, false] {
        let mut write = send_whole(&socket, "never sent");
        assert!(stage.poll(&mut write).is_pending());
        drop(write);
        stage.happen(|script| script.answer("send", -libc::EPIPE));
        let told = match asks {
            true => settle(&stage, &socket).unwrap_err(),
            false => ready(stage.poll(&mut send_whole(&socket, "next"))).0.unwrap_err(),
        };
        assert_eq!(told.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(settle(&stage, &socket).unwrap(), 0, "told once");
    }
}

/// A buffer that panics when it is asked for its address a second time.
struct Panics {
    bytes: Box<[u8]>,
    asked: u32,
}

mod panics {
    use super::Panics;
    use crate::buf::{IoBuf, IoBufMut};

    // SAFETY: the bytes are on the heap, and nobody else has them.
    unsafe impl IoBuf for Panics {
        fn stable_ptr(&self) -> *const u8 {
            self.bytes.as_ptr()
        }

        fn bytes_init(&self) -> usize {
            self.bytes.len()
        }
    }

    // SAFETY: as above.
    unsafe impl IoBufMut for Panics {
        fn stable_mut_ptr(&mut self) -> *mut u8 {
            self.asked += 1;
            assert_ne!(self.asked, 2, "the buffer does not want to");
            self.bytes.as_mut_ptr()
        }

        unsafe fn set_init(&mut self, _length: usize) {}
    }
}

#[test]
fn a_buffer_that_panics_half_way_frees_the_direction_and_loses_nothing() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let buffer = Panics { bytes: vec![0; 8].into(), asked: 0 };
    let mut read = Submitted::new(Whole::new(Recv::new(socket.hold(), buffer)));
    assert!(stage.poll(&mut read).is_pending());
    stage.happen(|script| script.deliver("recv", b"kept"));
    let poll = std::panic::AssertUnwindSafe(|| stage.poll(&mut read).is_pending());
    assert!(std::panic::catch_unwind(poll).is_err());
    drop(read);
    assert_eq!(received(ready(stage.poll(&mut receive(&socket, 8)))), b"kept");
    stage.assert_settled();
    drop(socket);
    assert_eq!(stage.closed(), [7], "nothing counts on the descriptor any more");
}

#[test]
fn an_error_is_left_behind_the_bytes_and_not_in_front() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let hold = socket.hold();
    let then = Some(libc::ECONNRESET);
    hold.direction(Way::Read).leave_behind(Leftover::Bytes {
        bytes: b"ab".as_slice().into(),
        taken: 0,
        then,
    });
    // A whole read meets both.
    let (result, buffer) = ready(stage.poll(&mut receive_whole(&socket, 3)));
    let error = result.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(Incomplete::of(&error).unwrap().done(), 2);
    assert_eq!(&buffer[..2], b"ab");
}
