//! A driver takes submissions and gives completions. Everything above is written once for all of them.
//!
//! - [`uring`]: the kernel's own queue pair.
//! - [`readiness`]: the same in user space, over epoll or kqueue: try the call, wait until the descriptor is ready,
//!   try again; what can only block goes to [`helpers`].
//! - `sim`: a small world in memory, in which a seed decides what happens, and when.
//! - `scripted`: for this crate's tests: completions come in the order that the test states.
//! - `faults`: for tests as well: over the kernel's or readiness, it does what a kernel may do and seldom does.
//!
//! [`Port`] is what the floors above see: the driver, the slots of what is in flight, and what happens to
//! descriptors and operations that nobody wants any more.

mod attempts;
mod choice;
mod completion;
mod control;
mod counters;
mod descriptor;
mod direction;
#[cfg(target_os = "linux")]
mod doorbell;
#[cfg(annulus_faults)]
mod faults;
mod fork;
mod helpers;
mod lent;
mod number;
pub(crate) mod operation;
mod packets;
mod pipes;
#[cfg(any(annulus_faults, feature = "sim"))]
mod plan;
mod policy;
mod port;
#[cfg(annulus_readiness)]
mod readiness;
mod ring_facts;
#[cfg(test)]
pub(crate) mod scripted;
#[cfg(feature = "sim")]
pub(crate) mod sim;
mod slots;
#[cfg(annulus_uring)]
mod uring;

pub(crate) use choice::Settings;
pub use choice::{Choice, Refusal, UnknownDriver};
pub use completion::Completion;
pub(crate) use control::{Control, Property, Reply, Setting};
pub(crate) use counters::Counters;
pub(crate) use descriptor::{Departure, Descriptor, Hold, Mover, Parcel, Parcels, Traveller, Way};
pub(crate) use direction::{Direction, LeftMessage, Leftover, Ticket};
pub(crate) use fork::forks;
pub(crate) use helpers::HelperPlan;
#[cfg(any(target_os = "linux", feature = "sim"))]
pub(crate) use number::NameOption;
pub(crate) use number::NumberOption;
#[cfg(target_os = "linux")]
pub(crate) use number::ShortName;
pub(crate) use operation::{
    Begin, Brings, Form, Lends, Operation, Refused, Request, Trial, Wait, ability, form,
};
pub use packets::Interface;
pub(crate) use packets::{Device, Multicast, PacketOption};
pub(crate) use pipes::Passage;
#[cfg(any(annulus_faults, feature = "sim"))]
pub use plan::Faults;
pub use policy::ZeroCopy;
pub(crate) use port::{Count, Port};
pub(crate) use ring_facts::RingFacts;
#[cfg(feature = "sim")]
pub(crate) use sim::Kernel;
pub(crate) use slots::{InFlight, Token, orphan};

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::buf::Pool;
use crate::clock::Clock;

/// The ring's one group of buffers.
#[cfg(annulus_uring)]
pub(crate) const GROUP: u16 = 0;

/// The drivers, matched at each call: no table of functions, and no type parameter for users to carry.
#[cfg_attr(test, allow(clippy::large_enum_variant, reason = "the script, which nobody else has"))]
pub(crate) enum Driver {
    #[cfg(annulus_uring)]
    Uring(Box<uring::Ring>),
    #[cfg(annulus_readiness)]
    Readiness(Box<readiness::Readiness>),
    #[cfg(feature = "sim")]
    Sim(Box<sim::Sim>),
    #[cfg(test)]
    Scripted(scripted::Script),
    #[cfg(annulus_faults)]
    Faulty(Box<faults::Faulty>),
    /// The runtime has ended. Simulated numbers are gone with their world, others are the system's to close.
    Ended { was_simulated: bool },
}

macro_rules! each {
    ($self:expr, $driver:ident => $call:expr, ended: $ended:expr) => {
        match $self {
            #[cfg(annulus_uring)]
            Driver::Uring($driver) => $call,
            #[cfg(annulus_readiness)]
            Driver::Readiness($driver) => $call,
            #[cfg(feature = "sim")]
            Driver::Sim($driver) => $call,
            #[cfg(test)]
            Driver::Scripted($driver) => $call,
            #[cfg(annulus_faults)]
            Driver::Faulty($driver) => $call,
            Driver::Ended { .. } => $ended,
        }
    };
}

/// Who takes answers: a closure by another name, because a method can be told to be inlined into the loop that calls it.
pub(crate) trait Taker {
    fn take(&mut self, token: Token, answer: Completion);
}

impl<F: FnMut(Token, Completion)> Taker for F {
    #[inline(always)]
    fn take(&mut self, token: Token, answer: Completion) {
        self(token, answer);
    }
}

impl Driver {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(_) => "uring",
            #[cfg(annulus_readiness)]
            Driver::Readiness(_) => "readiness",
            #[cfg(feature = "sim")]
            Driver::Sim(_) => "sim",
            #[cfg(test)]
            Driver::Scripted(_) => "scripted",
            #[cfg(annulus_faults)]
            Driver::Faulty(faulty) => faulty.inner().name(),
            Driver::Ended { .. } => "ended",
        }
    }

    /// Whether a number means nothing to the process.
    pub(crate) fn is_elsewhere(&self, _number: i32) -> bool {
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(_) => uring::is_direct(_number),
            _ => false,
        }
    }

    /// Whether calls may be tried past it before they are submitted: where a submission costs more than a call, and where
    /// nobody counts on seeing all of them.
    pub(crate) fn may_attempt(&self) -> bool {
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(_) => true,
            _ => false,
        }
    }

    /// Whether its numbers mean nothing to the operating system.
    pub(crate) fn is_simulated(&self) -> bool {
        match self {
            #[cfg(feature = "sim")]
            Driver::Sim(_) => true,
            Driver::Ended { was_simulated } => *was_simulated,
            _ => false,
        }
    }

    /// Takes a submission. It does not fail: whatever becomes of it, its completion says so (I3).
    #[inline(always)]
    fn push(&mut self, token: Token, request: &Request, begin: Begin) {
        // Before the others: the nearest branch instead of a jump through a table.
        #[cfg(annulus_uring)]
        if let Driver::Uring(ring) = self {
            return ring.push(token, request, begin);
        }
        each!(self, driver => driver.push(token, request, begin), ended: unreachable!("the port refuses before"));
    }

    /// Asks for the early end of a submission, whose own completion then says how it ended.
    fn cancel(&mut self, token: Token, fd: i32) {
        each!(self, driver => driver.cancel(token, fd), ended: ());
    }

    /// Closes a descriptor that nothing names any more.
    fn close(&mut self, number: i32) {
        let was_simulated = matches!(self, Driver::Ended { was_simulated: true });
        each!(self, driver => driver.close(number), ended: if !was_simulated {
            crate::sys::close(number);
        });
    }

    /// A number will be closed by an operation, and nothing else names it any more.
    fn forget(&mut self, number: i32) {
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(driver) => driver.forget(number),
            #[cfg(annulus_readiness)]
            Driver::Readiness(driver) => driver.forget(number),
            #[cfg(annulus_faults)]
            Driver::Faulty(faulty) => faulty.forget(number),
            _ => {}
        }
    }

    /// Whether it asks devices, of files that are named to it.
    fn polls_files(&self) -> bool {
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(driver) => driver.polls_files(),
            #[cfg(annulus_faults)]
            Driver::Faulty(faulty) => faulty.inner().polls_files(),
            _ => false,
        }
    }

    /// From now on the device of this file is asked, which takes so many bytes at once.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux names files to it"))]
    fn poll_file(&mut self, _number: i32, _most: u32) {
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(driver) => driver.poll_file(_number, _most),
            #[cfg(annulus_faults)]
            Driver::Faulty(faulty) => faulty.poll_file(_number, _most),
            _ => {}
        }
    }

    /// Lets the kernel know memory that transfers will use: the number under which it does.
    fn register(&mut self, _memory: *mut u8, _length: usize) -> io::Result<u16> {
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(driver) => driver.register(_memory, _length),
            #[cfg(annulus_faults)]
            Driver::Faulty(faulty) => faulty.register(_memory, _length),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "only a ring registers buffers")),
        }
    }

    fn unregister(&mut self, _place: u16) {
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(driver) => driver.unregister(_place),
            #[cfg(annulus_faults)]
            Driver::Faulty(faulty) => faulty.unregister(_place),
            _ => {}
        }
    }

    /// Takes buffers to pick from, for operations that ask for that. Whether the kernel does so by itself.
    fn lend(&mut self, pool: &Rc<Pool>) -> bool {
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(driver) => driver.lend(pool),
            #[cfg(annulus_readiness)]
            Driver::Readiness(driver) => {
                driver.lend(pool);
                false
            }
            #[cfg(feature = "sim")]
            Driver::Sim(driver) => {
                driver.lend(pool);
                false
            }
            #[cfg(test)]
            Driver::Scripted(_) => false,
            #[cfg(annulus_faults)]
            Driver::Faulty(faulty) => faulty.lend(pool),
            Driver::Ended { .. } => false,
        }
    }

    /// The descriptor that is readable when there is something to reap, if there is one that tells all.
    fn announces_by(&mut self) -> io::Result<Option<i32>> {
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(driver) => driver.announces_by(),
            #[cfg(annulus_readiness)]
            Driver::Readiness(driver) => Ok(Some(driver.announces_by())),
            #[cfg(annulus_faults)]
            Driver::Faulty(faulty) => faulty.announces_by(),
            _ => Ok(None),
        }
    }

    /// Who waits from now on, and is to be woken by the doorbell: a loop around this one, or `wait`.
    fn set_outside(&self, _is_outside: bool) {
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(driver) => driver.set_outside(_is_outside),
            #[cfg(annulus_faults)]
            Driver::Faulty(faulty) => faulty.set_outside(_is_outside),
            _ => {}
        }
    }

    /// Does what is left before somebody else waits for the descriptor. False if there is something to reap all the same.
    fn settle(&mut self) -> io::Result<bool> {
        each!(self, driver => driver.settle(), ended: Ok(true))
    }

    /// Whether accepted connections are kept in a table of the ring's own.
    fn accepts_directly(&self) -> bool {
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(driver) => driver.accepts_directly(),
            #[cfg(annulus_faults)]
            Driver::Faulty(faulty) => faulty.inner().accepts_directly(),
            _ => false,
        }
    }

    /// The number by which the process knows a descriptor: another one only of those in the ring's own table.
    fn plain(&mut self, number: i32) -> io::Result<i32> {
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(driver) => driver.plain(number),
            #[cfg(annulus_faults)]
            Driver::Faulty(faulty) => faulty.plain(number),
            _ => Ok(number),
        }
    }

    /// A number leaves the loop, open. The one by which the process knows it.
    fn leave(&mut self, number: i32) -> io::Result<i32> {
        self.forget(number);
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(driver) => driver.leave(number),
            #[cfg(annulus_faults)]
            Driver::Faulty(faulty) => faulty.leave(number),
            _ => Ok(number),
        }
    }

    /// Hands out the completions that have come. No system call.
    #[inline(always)]
    fn reap(&mut self, taker: &mut impl Taker) {
        #[cfg(annulus_uring)]
        if let Driver::Uring(ring) = self {
            return ring.reap_into(taker);
        }
        each!(self, driver => driver.reap(|token, answer| taker.take(token, answer)), ended: ());
    }

    /// Whether `reap` would find something that a wait would not end for.
    fn has_answers(&mut self) -> bool {
        each!(self, driver => driver.has_answers(), ended: false)
    }

    /// What the driver itself has in flight besides the slots: closing of descriptors.
    fn closing(&self) -> usize {
        each!(self, driver => driver.closing(), ended: 0)
    }

    /// Gives the kernel what is queued and collects what it holds back, without waiting, if there is such work
    /// or `due` says that it was long enough ago.
    fn flush(&mut self, due: bool) -> io::Result<()> {
        each!(self, driver => driver.flush(due), ended: Ok(()))
    }

    /// Gives the kernel what is queued and waits for a completion, the doorbell, or the end of the time.
    fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        each!(self, driver => driver.wait(limit), ended: Ok(()))
    }

    fn control(&mut self, number: i32, control: Control<'_>) -> io::Result<Reply> {
        match self {
            #[cfg(feature = "sim")]
            Driver::Sim(driver) => driver.control(number, control),
            #[cfg(test)]
            Driver::Scripted(script) => Ok(script.control(control)),
            _ => control::of_the_system(self.plain(number)?, control),
        }
    }

    /// What a loop's random numbers begin from.
    pub(crate) fn seed(&self) -> u64 {
        match self {
            #[cfg(feature = "sim")]
            Driver::Sim(driver) => driver.world().borrow_mut().dice().next(),
            // The standard library asks the system for it, once a thread.
            _ => RandomState::new().hash_one(0),
        }
    }

    /// What is left of the driver when its runtime has ended.
    fn ended(&self) -> Driver {
        #[cfg(feature = "sim")]
        let was_simulated = matches!(self, Driver::Sim(_));
        #[cfg(not(feature = "sim"))]
        let was_simulated = false;
        Driver::Ended { was_simulated }
    }

    /// Whoever moved a simulated world may not do so any more while one of its loops ends.
    fn begin_end(&mut self) {
        #[cfg(feature = "sim")]
        if let Driver::Sim(driver) = self {
            driver.begin_end();
        }
    }

    /// The clock that a loop with this driver goes by.
    pub(crate) fn clock(&self) -> Clock {
        match self {
            #[cfg(feature = "sim")]
            Driver::Sim(driver) => driver.clock(),
            _ => Clock::default(),
        }
    }

    fn counters(&self) -> Counters {
        each!(self, driver => driver.counters(), ended: Counters::default())
    }

    /// What the ring's set-up got, if there is one.
    fn ring_facts(&self) -> Option<RingFacts> {
        match self {
            #[cfg(annulus_uring)]
            Driver::Uring(ring) => Some(ring.facts()),
            #[cfg(annulus_faults)]
            Driver::Faulty(faulty) => faulty.inner().ring_facts(),
            _ => None,
        }
    }

    /// How much waits for the driver to be entered: entries, or descriptors to be looked at.
    fn queued(&self) -> usize {
        each!(self, driver => driver.queued(), ended: 0)
    }
}
