//! What is closed and freed, and when.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use super::{Stage, ready, receive, received};
use crate::driver::{Completion, Form, Operation, Request};
use crate::op::{self, Accept, Open, Read, Recv, Send, Submitted};

#[test]
fn a_connection_that_nobody_will_accept_is_closed() {
    let stage = Stage::new();
    let listener = stage.descriptor(7);
    let mut first = Submitted::new(Accept::new(listener.hold()));
    assert!(stage.poll(&mut first).is_pending());
    drop(first);
    stage.happen(|script| script.answer("accept", 40));
    drop(listener);
    assert_eq!(stage.closed(), [40, 7], "it waited in a listener that went away");

    let listener = stage.descriptor(9);
    let mut first = Submitted::new(Accept::new(listener.hold()));
    let idle = Submitted::new(Accept::new(listener.hold()));
    assert!(stage.poll(&mut first).is_pending());
    drop(first);
    stage.happen(|script| script.answer("accept", 42));
    drop(listener);
    assert_eq!(stage.closed()[2..], [42, 9], "an accept that is never polled keeps nothing open");
    drop(idle);

    let listener = stage.descriptor(8);
    let mut late = Submitted::new(Accept::new(listener.hold()));
    assert!(stage.poll(&mut late).is_pending());
    drop(late);
    drop(listener);
    stage.happen(|script| script.answer("accept", 41));
    assert_eq!(stage.closed()[4..], [41, 8], "it came while the listener was closing");
}

#[test]
fn a_file_that_is_opened_for_nobody_is_closed() {
    let stage = Stage::new();
    let path = crate::op::path::At::here(std::path::Path::new("somewhere")).unwrap();
    let mut open = Submitted::new(Open::new(Rc::clone(&stage.engine.port), path, libc::O_RDONLY, 0));
    assert!(stage.poll(&mut open).is_pending());
    drop(open);
    stage.happen(|script| script.answer("openat", 50));
    assert_eq!(stage.closed(), [50]);
    stage.assert_settled();
}

#[test]
fn a_number_is_closed_only_when_nothing_names_it() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut read = receive(&socket, 16);
    let mut write = Submitted::new(Send::new(socket.hold(), "text"));
    assert!(stage.poll(&mut read).is_pending());
    assert!(stage.poll(&mut write).is_pending());
    drop(socket);
    assert_eq!(stage.happen(|script| script.cancelled.clone()), ["recv", "send"]);
    stage.happen(|script| script.answer("send", 4));
    assert_eq!(ready(stage.poll(&mut write)).0.unwrap(), 4);
    assert!(stage.closed().is_empty(), "the read is in flight");
    stage.happen(|script| script.answer("recv", -libc::ECANCELED));
    assert_eq!(stage.closed(), [7], "though the read's future does not know");
    let (result, buffer) = ready(stage.poll(&mut read));
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(buffer.capacity(), 16);
    assert_eq!(stage.closed(), [7], "once");
}

#[test]
fn a_future_that_is_kept_and_never_polled_holds_up_no_close() {
    let stage = Stage::new();
    for number in [7, 8] {
        let socket = stage.descriptor(number);
        let mut kept = receive(&socket, 16);
        assert!(stage.poll(&mut kept).is_pending());
        let mut at_offset = Submitted::new(Read::new(socket.hold(), Vec::with_capacity(8), 0));
        assert!(stage.poll(&mut at_offset).is_pending());
        if number == 7 {
            // Answered before it is closed, and after.
            stage.happen(|script| script.deliver("recv", b"unseen"));
            let mut close = Box::pin(op::close(socket));
            assert!(stage.poll(&mut close).is_pending());
            assert_eq!(stage.happen(|script| script.names()), ["read"]);
            stage.happen(|script| script.answer("read", -libc::ECANCELED));
            assert!(stage.poll(&mut close).is_pending());
            stage.happen(|script| script.answer("close", 0));
            ready(stage.poll(&mut close)).unwrap();
            assert_eq!(received(ready(stage.poll(&mut kept))), b"unseen");
        } else {
            stage.happen(|script| script.answer("read", 0));
            drop(socket);
            assert!(stage.closed().is_empty());
            stage.happen(|script| script.answer("recv", -libc::ECANCELED));
            assert_eq!(stage.closed(), [8]);
        }
    }
    stage.assert_settled();
}

#[test]
fn closing_ends_operations_at_an_offset_too() {
    let stage = Stage::new();
    let file = stage.descriptor(7);
    let mut reads: Vec<_> =
        (0..3).map(|n| Submitted::new(Read::new(file.hold(), vec![0; 8], n * 8))).collect();
    for read in &mut reads {
        assert!(stage.poll(read).is_pending(), "at an offset they run side by side");
    }
    drop(file);
    assert_eq!(stage.happen(|script| script.cancelled.len()), 3);
}

#[test]
fn an_operation_on_a_closing_descriptor_is_not_submitted() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut read = receive(&socket, 16);
    drop(socket);
    let (result, buffer) = ready(stage.poll(&mut read));
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(buffer.capacity(), 16);
    assert_eq!(stage.closed(), [7]);
}

#[test]
fn close_waits_for_what_is_in_flight_and_tells_how_it_went() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut read = receive(&socket, 16);
    assert!(stage.poll(&mut read).is_pending());
    let mut close = Box::pin(op::close(socket));
    assert!(stage.poll(&mut close).is_pending());
    assert_eq!(stage.happen(|script| script.cancelled.clone()), ["recv"], "it is asked to end");
    assert_eq!(stage.happen(|script| script.names()), ["recv"], "not closed under the read");
    stage.happen(|script| script.answer("recv", -libc::ECANCELED));
    drop(read);
    assert!(stage.poll(&mut close).is_pending());
    stage.happen(|script| script.answer("close", -libc::EIO));
    let error = ready(stage.poll(&mut close)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    assert!(stage.closed().is_empty(), "the number is not ours any more");
}

#[test]
fn a_close_that_is_dropped_half_way_closes_all_the_same() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut read = receive(&socket, 16);
    assert!(stage.poll(&mut read).is_pending());
    let mut close = Box::pin(op::close(socket));
    assert!(stage.poll(&mut close).is_pending());
    drop(close);
    drop(read);
    stage.happen(|script| script.answer("recv", -libc::ECANCELED));
    assert_eq!(stage.closed(), [7]);
}

/// A buffer that tells when it is freed.
struct Told(Box<[u8]>, Rc<Cell<bool>>);

mod told {
    use super::Told;
    use crate::buf::{IoBuf, IoBufMut};

    // SAFETY: the bytes are on the heap, and nobody else has them.
    unsafe impl IoBuf for Told {
        fn stable_ptr(&self) -> *const u8 {
            self.0.as_ptr()
        }

        fn bytes_init(&self) -> usize {
            self.0.len()
        }
    }

    // SAFETY: as above.
    unsafe impl IoBufMut for Told {
        fn stable_mut_ptr(&mut self) -> *mut u8 {
            self.0.as_mut_ptr()
        }

        unsafe fn set_init(&mut self, _length: usize) {}
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.1.set(true);
    }
}

#[test]
fn a_buffer_is_freed_by_its_completion_and_not_before() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let freed = Rc::new(Cell::new(false));
    let buffer = Told(vec![0; 8].into(), Rc::clone(&freed));
    let mut read = Submitted::new(Recv::new(socket.hold(), buffer));
    assert!(stage.poll(&mut read).is_pending());
    drop(read);
    assert!(!freed.get(), "the kernel still has it");
    stage.happen(|script| script.answer("recv", -libc::ECANCELED));
    assert!(freed.get());
}

#[test]
fn what_is_not_answered_by_the_end_is_leaked_and_never_freed() {
    let freed = Rc::new(Cell::new(false));
    let kept = Rc::new(Cell::new(false));
    {
        let stage = Stage::new();
        let socket = stage.descriptor(7);
        let lend = |told: &Rc<Cell<bool>>| Told(vec![0; 8].into(), Rc::clone(told));
        let mut orphan = Submitted::new(Recv::new(socket.hold(), lend(&freed)));
        let mut held = Submitted::new(Read::new(socket.hold(), lend(&kept), 0));
        assert!(stage.poll(&mut orphan).is_pending());
        assert!(stage.poll(&mut held).is_pending());
        drop(orphan);
        assert_eq!(stage.engine.port.end(Duration::ZERO, &stage.engine.clock), 2);
        // The future outlives its loop, and is dropped when nobody can answer any more.
        drop(held);
        drop(socket);
    }
    assert!(!freed.get() && !kept.get(), "the kernel may still write");
}

/// An operation of no descriptor, so that nothing but its slot keeps the port.
struct Lone(Told);

impl Operation for Lone {
    type Output = ();

    fn form() -> &'static Form {
        op::Nop::form()
    }

    fn request(&mut self) -> Request {
        Request::new(Self::form())
    }

    fn complete(self, _answer: Completion) {
        drop(self.0);
    }
}

#[test]
fn a_port_that_goes_away_frees_nothing_that_was_not_answered() {
    let freed = Rc::new(Cell::new(false));
    {
        let stage = Stage::new();
        let mut lone = Submitted::new(Lone(Told(vec![0; 8].into(), Rc::clone(&freed))));
        assert!(stage.poll(&mut lone).is_pending());
        drop(lone);
        assert_eq!(stage.engine.port.end(Duration::ZERO, &stage.engine.clock), 1);
    }
    assert!(!freed.get(), "the kernel may still write");
}

/// A waker of somebody else's that uses the loop while it is woken.
struct Meddler(std::sync::atomic::AtomicBool);

thread_local! {
    static MEDDLE: Cell<Option<fn()>> = const { Cell::new(None) };
}

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Some(meddle) = MEDDLE.get() {
            meddle();
        }
    }
}

#[test]
fn somebody_elses_waker_may_use_the_loop() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let meddler = Arc::new(Meddler(false.into()));
    MEDDLE.set(Some(|| {
        let nop = op::nop();
        let mut nop = Box::pin(nop);
        assert!(nop.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }));
    let mut read = receive(&socket, 16);
    assert!(stage.poll_by(&mut read, &Waker::from(Arc::clone(&meddler))).is_pending());
    stage.happen(|script| script.deliver("recv", b"x"));
    MEDDLE.set(None);
    assert!(meddler.0.load(std::sync::atomic::Ordering::Relaxed), "woken, with nothing borrowed (I5)");
    assert_eq!(received(ready(stage.poll(&mut read))), b"x");
}
