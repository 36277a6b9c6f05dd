//! A loop inside of another: one turn at a time, when the other says so.
//!
//! Once a turn was false nothing of the loop goes on unless its descriptor tells or a deadline comes; it is not readable otherwise.

use std::future::Future;
use std::io;
use std::os::fd::BorrowedFd;
use std::panic::Location;
use std::time::{Duration, Instant};

use super::{Error, Runtime, refuse_nesting, turn};
use crate::engine::Engine;
use crate::executor::{JoinHandle, Plan};

impl Runtime {
    /// Starts a task from outside of a run, as [`spawn`](crate::spawn) does inside. It is polled in the next run or
    /// [`turn`](Self::turn).
    ///
    /// Its handle may be awaited anywhere on this thread, also by another runtime.
    ///
    /// # Examples
    /// ```
    /// let runtime = annulus::Runtime::new()?;
    /// let task = runtime.spawn(async { 6 * 7 });
    /// assert_eq!(runtime.run(task)?.unwrap(), 42);
    /// # Ok::<(), annulus::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        let plan = Plan::at(Location::caller());
        let engine = &*self.engine;
        let _scope = engine.enter();
        let _asks = Asks(engine);
        engine.executor.spawn(future, plan)
    }

    /// Calls a function as if it ran on this loop, so that it may make operations, timers and tasks, and poll futures by hand.
    ///
    /// With [`turn`](Self::turn) it is the driver without tasks: make operations, poll each once so that it is submitted, let a turn
    /// wait, and poll those again that may be done. `examples/driver.rs` does that.
    ///
    /// # Examples
    /// ```
    /// use std::pin::pin;
    /// use std::task::{Context, Poll, Waker};
    ///
    /// let runtime = annulus::Runtime::new()?;
    /// let mut nothing = pin!(annulus::nop());
    /// let mut cx = Context::from_waker(Waker::noop());
    /// assert!(runtime.enter(|| nothing.as_mut().poll(&mut cx)).is_pending());
    /// runtime.turn(None)?;
    /// assert!(matches!(runtime.enter(|| nothing.as_mut().poll(&mut cx)), Poll::Ready(Ok(()))));
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let _scope = self.engine.enter();
        self.engine.begin_by_hand();
        let _asks = Asks(&self.engine);
        work()
    }

    /// One turn of the loop, for those who have a loop of their own: polls the tasks that are ready, hands their operations over,
    /// takes what has come, and fires the timers that are due. If there was nothing to do it waits for at most `timeout`; `None` is for
    /// ever. It may end earlier, for nothing that you see.
    ///
    /// True if there is more to do at once: then call it again before you wait for something else. Once it is false,
    /// the loop needs no turn until its [descriptor](Self::as_fd) is readable or its [next deadline](Self::next_deadline) has come. What you
    /// ask for between two turns makes the descriptor readable too: a task that you spawn, wake or stop, what you begin by
    /// [`enter`](Self::enter), what you drop. Begin with a turn, also after a [`run`](Self::run).
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = annulus::Runtime::new()?;
    /// let task = runtime.spawn(annulus::time::sleep(Duration::from_millis(5)));
    /// while !task.is_finished() {
    ///     // What else the program does goes here.
    ///     runtime.turn(Some(Duration::from_millis(1)))?;
    /// }
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn turn(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        refuse_nesting()?;
        self.refuse_broken()?;
        let engine = &*self.engine;
        let _scope = engine.enter();
        let inbox = engine.executor.inbox();
        inbox.unpark();
        let has_work = engine.executor.ready() > 0 || engine.port.has_later() || !inbox.is_empty();
        // What is done now may be what the caller is waiting for.
        let timeout = if has_work { Some(Duration::ZERO) } else { timeout };
        turn::turn(engine, timeout, || false).map_err(|error| self.broken_by(&error))?;
        if engine.executor.ready() > 0 || engine.port.has_later() {
            return Ok(true);
        }
        let rests = engine.port.step_out().map_err(|error| self.broken_by(&error))?;
        Ok(!rests)
    }

    /// When the loop's next timer is due, if there is one: the latest moment for the next [`turn`](Self::turn).
    ///
    /// # Examples
    /// As [`turn`](Self::turn), and [`as_fd`](Self::as_fd): docs/embedding.md has the whole loop.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.engine.next_deadline()
    }

    /// A descriptor that is readable when the loop has something to do: when an operation is done, another thread has woken a
    /// task, or something was asked for between two turns. Not when a timer is due: see [`next_deadline`](Self::next_deadline). It is
    /// always the same.
    ///
    /// Wait with poll(2), epoll(7) or whatever the other loop has, edge-triggered or not, until it is readable; that it is writable means
    /// nothing. Do not read it: a turn does that. docs/embedding.md has such loops.
    ///
    /// # Errors
    /// What the system says if no descriptor is left. `Unsupported` on a simulated driver, which has none, and with [`Builder::iopoll`](crate::Builder::iopoll), whose devices tell
    /// nobody.
    ///
    /// # Examples
    /// ```
    /// use std::os::fd::AsRawFd;
    /// use std::time::Duration;
    ///
    /// let runtime = annulus::Runtime::new()?;
    /// # if runtime.driver() == "sim" { return Ok(()); }
    /// let task = runtime.spawn(annulus::time::sleep(Duration::from_millis(2)));
    /// while !task.is_finished() {
    ///     if runtime.turn(Some(Duration::ZERO))? {
    ///         continue; // there is more to do
    ///     }
    ///     // Here another loop waits for the descriptor, until the deadline.
    ///     println!("{}, {:?}", runtime.as_fd()?.as_raw_fd(), runtime.next_deadline());
    ///     runtime.turn(Some(Duration::from_millis(1)))?;
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn as_fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.engine.port.as_fd()
    }
}

/// Something is asked for between two turns, also by who panics then.
struct Asks<'a>(&'a Engine);

impl Drop for Asks<'_> {
    fn drop(&mut self) {
        self.0.port.call_for_a_turn();
    }
}

/// The guide's snippets are run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
struct Guide;
