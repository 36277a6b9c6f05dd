//! Races as tests, not luck: each order of events is stated, on the scripted driver.
//!
//! [`streams`]: what is received and sent, in which order, when operations are dropped and cancelled.
//! [`endings`]: what is closed and freed, and when.
//! [`whole`]: transfers that take several submissions. [`files`]: the order of writes to a file.
//! [`stops`]: cancelling, and for which reason. [`repeated`]: what is answered several times.
//! [`settling`]: waiting for what was left behind.

mod endings;
mod files;
mod repeated;
mod settling;
mod splices;
mod stops;
mod streams;
mod whole;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::{Recv, Submitted};
use crate::buf::PoolSize;
use crate::driver::scripted::Script;
use crate::driver::{Descriptor, Driver};
use crate::engine::Engine;
use crate::executor::{Executor, Hooks};

/// A loop whose driver does what the test says. The test polls by itself.
struct Stage {
    engine: Engine,
}

impl Stage {
    fn new() -> Stage {
        Stage {
            engine: Engine::new(
                Executor::new(Hooks::default(), None),
                Driver::Scripted(Script::default()),
                PoolSize::USUAL,
            ),
        }
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
