//! Races as tests, not luck: each order of events is stated, on the scripted driver.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::driver::scripted::Script;
use crate::driver::{Completion, Descriptor, Driver, Form, Operation, Port, Request};
use crate::engine::Engine;
use crate::executor::Executor;
use crate::op::{self, Accept, Open, Read, Recv, Recvmsg, Send, Submitted};

/// A loop whose driver does what the test says. The test polls by itself.
struct Stage {
    engine: Engine,
}

impl Stage {
    fn new() -> Stage {
        Stage { engine: Engine::new(Executor::new(), Driver::Scripted(Script::default())) }
    }

    fn descriptor(&self, number: i32) -> Descriptor {
        Descriptor::new(number, &self.engine.port)
    }

    fn poll<F: Future + Unpin>(&self, future: &mut F) -> Poll<F::Output> {
        self.poll_by(future, Waker::noop())
    }

    fn poll_by<F: Future + Unpin>(&self, future: &mut F, waker: &Waker) -> Poll<F::Output> {
        let _scope = self.engine.enter();
        self.engine.renew_budget();
        Pin::new(future).poll(&mut Context::from_waker(waker))
    }

    /// Tells the driver what happens, and collects it.
    fn happen<T>(&self, tell: impl FnOnce(&mut Script) -> T) -> T {
        let _scope = self.engine.enter();
        let told = self.engine.port.with_driver(|driver| match driver {
            Driver::Scripted(script) => tell(script),
            _ => unreachable!("the stage has a script"),
        });
        self.engine.port.reap();
        self.engine.port.run_later();
        told
    }

    fn closed(&self) -> Vec<i32> {
        self.happen(|script| script.closed.clone())
    }

    fn assert_settled(&self) {
        assert_eq!(self.engine.port.in_flight(), 0);
        assert_eq!(self.engine.port.orphans(), 0);
    }
}

impl Drop for Stage {
    /// What a test left in flight is answered, so that nothing is leaked but what is meant to be.
    fn drop(&mut self) {
        if std::thread::panicking() || self.engine.port.has_ended() {
            return;
        }
        while let Some(name) = self.happen(|script| script.names().first().copied()) {
            self.happen(|script| script.answer(name, -libc::ECANCELED));
        }
    }
}

fn ready<T>(poll: Poll<T>) -> T {
    match poll {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("still pending"),
    }
}

fn receive(socket: &Descriptor, room: usize) -> Submitted<Recv<Vec<u8>>> {
    Submitted::new(Recv::new(socket.hold(), Vec::with_capacity(room)))
}

fn received(outcome: (io::Result<usize>, Vec<u8>)) -> Vec<u8> {
    outcome.0.expect("bytes came");
    outcome.1
}

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
fn a_connection_that_nobody_will_accept_is_closed() {
    let stage = Stage::new();
    let listener = stage.descriptor(7);
    let mut first = Submitted::new(Accept::new(listener.hold()));
    assert!(stage.poll(&mut first).is_pending());
    drop(first);
    stage.happen(|script| script.answer("accept", 40));
    drop(listener);
    assert_eq!(stage.closed(), [7, 40], "it waited in a listener that went away");

    let listener = stage.descriptor(8);
    let mut late = Submitted::new(Accept::new(listener.hold()));
    assert!(stage.poll(&mut late).is_pending());
    drop(late);
    drop(listener);
    stage.happen(|script| script.answer("accept", 41));
    assert_eq!(stage.closed()[2..], [41, 8], "it came while the listener was closing");
}

#[test]
fn a_file_that_is_opened_for_nobody_is_closed() {
    let stage = Stage::new();
    let path = crate::op::path::of(std::path::Path::new("somewhere")).unwrap();
    let mut open = Submitted::new(Open::new(path, libc::O_RDONLY, 0));
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
    assert!(stage.closed().is_empty());
    stage.happen(|script| script.answer("recv", -libc::ECANCELED));
    stage.happen(|script| script.answer("send", 4));
    assert!(stage.closed().is_empty(), "the futures have not been told yet");
    assert!(ready(stage.poll(&mut read)).0.is_err());
    assert!(stage.closed().is_empty());
    drop(write);
    assert_eq!(stage.closed(), [7]);
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

/// A buffer that tells when it is freed.
struct Told(Box<[u8]>, Rc<Cell<bool>>);

#[allow(unsafe_code)]
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
        assert_eq!(stage.engine.port.end(Duration::ZERO), 2);
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

    fn complete(self, _answer: Completion, _port: &Rc<Port>) {
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
        assert_eq!(stage.engine.port.end(Duration::ZERO), 1);
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
