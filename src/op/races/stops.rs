//! Cancelling: who resolves when, with what, and for which reason.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::{Stage, ready, receive, received};
use crate::op::{CancelWhen, Cancellable, Recv, Stop, Submitted};

type Read = Submitted<Recv<Vec<u8>>>;

fn told(outcome: (io::Result<usize>, Vec<u8>)) -> Option<i32> {
    outcome.0.unwrap_err().raw_os_error()
}

fn stopped(mut read: Read, why: Stop) -> Read {
    read.stop(why);
    read
}

#[test]
fn the_reason_is_told_whatever_the_kernel_calls_it() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    for (why, expected) in [(Stop::Cancelled, libc::ECANCELED), (Stop::TimedOut, libc::ETIMEDOUT)] {
        for answer in [libc::ECANCELED, libc::EINTR, libc::EAGAIN] {
            let mut read = receive(&socket, 8);
            assert!(stage.poll(&mut read).is_pending());
            let mut read = stopped(read, why);
            stage.happen(|script| script.answer("recv", -answer));
            assert_eq!(told(ready(stage.poll(&mut read))), Some(expected));
        }
    }
}

#[test]
fn an_error_that_is_no_answer_to_the_request_to_stop_stays_what_it_is() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut read = receive(&socket, 8);
    assert!(stage.poll(&mut read).is_pending());
    let mut read = stopped(read, Stop::TimedOut);
    stage.happen(|script| script.answer("recv", -libc::ECONNRESET));
    assert_eq!(told(ready(stage.poll(&mut read))), Some(libc::ECONNRESET));
}

#[test]
fn only_the_first_reason_counts_and_is_asked_for_once() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut read = receive(&socket, 8);
    assert!(stage.poll(&mut read).is_pending());
    let mut read = stopped(stopped(read, Stop::TimedOut), Stop::Cancelled);
    assert_eq!(stage.happen(|script| script.cancelled.clone()), ["recv"]);
    stage.happen(|script| script.answer("recv", -libc::ECANCELED));
    assert_eq!(told(ready(stage.poll(&mut read))), Some(libc::ETIMEDOUT));
}

#[test]
fn an_operation_that_waits_for_its_turn_stops_at_once_and_is_in_nobodys_way() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut first = receive(&socket, 8);
    let mut second = receive(&socket, 8);
    let mut third = receive(&socket, 8);
    assert!(stage.poll(&mut first).is_pending());
    assert!(stage.poll(&mut second).is_pending());
    assert!(stage.poll(&mut third).is_pending());
    let mut second = stopped(second, Stop::TimedOut);
    assert_eq!(told(ready(stage.poll(&mut second))), Some(libc::ETIMEDOUT));
    stage.happen(|script| script.deliver("recv", b"one"));
    assert_eq!(received(ready(stage.poll(&mut first))), b"one");
    assert!(stage.poll(&mut third).is_pending());
    stage.happen(|script| script.deliver("recv", b"two"));
    assert_eq!(received(ready(stage.poll(&mut third))), b"two");
}

#[test]
fn a_signal_stops_the_operation_and_is_asked_no_more() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let said = Rc::new(Cell::new(false));
    let asked = Rc::new(Cell::new(0));
    let signal = poll_fn({
        let (said, asked) = (Rc::clone(&said), Rc::clone(&asked));
        move |_| {
            asked.set(asked.get() + 1);
            if said.get() { Poll::Ready(()) } else { Poll::Pending }
        }
    });
    let mut read = CancelWhen::new(receive(&socket, 8), Stop::Cancelled, signal);
    assert!(stage.poll(&mut read).is_pending());
    assert!(stage.happen(|script| script.cancelled.is_empty()));
    said.set(true);
    assert!(stage.poll(&mut read).is_pending(), "its own completion is to come");
    assert_eq!(stage.happen(|script| script.cancelled.clone()), ["recv"]);
    assert!(stage.poll(&mut read).is_pending());
    assert_eq!(asked.get(), 2);
    // The data came first after all.
    stage.happen(|script| script.deliver("recv", b"data"));
    assert_eq!(received(ready(stage.poll(&mut read))), b"data");
}

#[test]
fn an_answer_that_is_there_wins_against_the_signal() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut read = CancelWhen::new(receive(&socket, 8), Stop::Cancelled, std::future::pending::<()>());
    assert!(stage.poll(&mut read).is_pending());
    stage.happen(|script| script.deliver("recv", b"data"));
    let mut read = CancelWhen::new(read_of(read), Stop::Cancelled, std::future::ready(()));
    assert_eq!(received(ready(stage.poll(&mut read))), b"data");
    assert!(stage.happen(|script| script.cancelled.is_empty()));
}

fn read_of<F: Future>(read: CancelWhen<Read, F>) -> Read {
    read.into_inner()
}

#[test]
fn an_operation_of_a_loop_that_has_ended_is_refused_even_where_a_direction_stays_busy() {
    let stage = Stage::new();
    let socket = stage.descriptor(7);
    let mut first = receive(&socket, 8);
    let mut second = receive(&socket, 8);
    assert!(stage.poll(&mut first).is_pending());
    assert!(stage.poll(&mut second).is_pending());
    assert_eq!(stage.engine.port.end(Duration::ZERO, &stage.engine.clock), 1);
    assert_eq!(told(ready(stage.poll(&mut second))), Some(libc::ECANCELED));
    assert_eq!(told(ready(stage.poll(&mut receive(&socket, 8)))), Some(libc::ECANCELED));
    drop(first);
}
