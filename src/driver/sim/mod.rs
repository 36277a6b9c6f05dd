//! The simulated driver: a small world in memory, in which a seed decides what happens, and when.
//!
//! ```text
//! Sim       one process's queue pair: submissions go in, answers come out
//! World     the time, the hosts, and what happens when
//! Kernel    the system calls, as the operations' forms ask for them
//! net, disk what the calls are about
//! ```
//! Nothing of it looks at the machine: not at its time, its threads, its addresses, or the order of a HashMap. So the
//! same seed and the same program give the same events, everywhere.

mod control;
mod disk;
mod files;
mod kernel;
mod life;
mod memory;
mod messages;
mod names;
mod net;
mod process;
mod sockets;
mod splice;
mod trace;
mod world;

pub(crate) use kernel::Kernel;
pub(crate) use net::Link;
use process::ProcessId;
pub(crate) use trace::{Event, Trace};
pub(crate) use world::{HostId, World};

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::completion::Completion;
use super::control::{Control, Reply};
use super::operation::{Begin, Request};
use super::slots::Token;
use super::{Counters, Faults, Settings};
use crate::buf::Pool;
use crate::clock::Clock;
use crate::executor::{Doorbell, Inbox};

/// Nanoseconds since the beginning of the world.
pub(crate) type Nanos = u64;

/// An answer of a simulated call, or the `errno` that is not negative.
type Answer<T> = Result<T, i32>;

/// The driver of one simulated process.
pub(crate) struct Sim {
    world: Rc<RefCell<World>>,
    process: ProcessId,
    /// Of a process that has a world to itself, and moves its time. Elsewhere the world is moved from outside.
    alone: Option<Arc<Bell>>,
    /// Nobody else will be asked what happened in it.
    is_own_world: bool,
}

/// What another thread of the machine ends the sleep of a simulated process by.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    rings: Condvar,
}

impl Doorbell for Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.rings.notify_one();
    }
}

impl Bell {
    fn wait(&self) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = self.rings.wait_while(rung, |rung| !*rung);
        *woken.unwrap_or_else(PoisonError::into_inner) = false;
    }

    fn take(&self) -> bool {
        std::mem::take(&mut *self.rung.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sim {
    /// In a world of its own.
    pub(crate) fn alone(seed: u64, settings: &Settings, inbox: &'static Inbox) -> Sim {
        let mut world = World::new(seed);
        if let Ok(list) = std::env::var("ANNULUS_FAULTS") {
            let (faults, _) = Faults::parse(&list).unwrap_or_else(|why| panic!("ANNULUS_FAULTS: {why}"));
            world.set_faults(&faults);
        }
        let host = world.add_host("localhost", Vec::new());
        let bell = Arc::new(Bell::default());
        inbox.set_doorbell(Some(Arc::clone(&bell) as Arc<dyn Doorbell>));
        let process = world.start(host, settings);
        Sim { world: Rc::new(RefCell::new(world)), process, alone: Some(bell), is_own_world: true }
    }

    /// In a world that others live in as well.
    pub(crate) fn within(world: &Rc<RefCell<World>>, host: HostId, settings: &Settings) -> Sim {
        let process = world.borrow_mut().start(host, settings);
        Sim { world: Rc::clone(world), process, alone: None, is_own_world: false }
    }

    /// From now on it moves the time itself.
    pub(crate) fn begin_end(&mut self) {
        self.alone.get_or_insert_default();
    }

    pub(crate) fn clock(&self) -> Clock {
        Clock::of_a_world(self.world.borrow().clock_of(self.process))
    }

    pub(crate) fn set_faults(&self, faults: &Faults) {
        self.world.borrow_mut().set_faults_of(self.process, faults);
    }

    pub(crate) fn world(&self) -> &Rc<RefCell<World>> {
        &self.world
    }

    pub(crate) fn push(&mut self, token: Token, request: &Request, begin: Begin) {
        self.world.borrow_mut().submit(self.process, token, request, begin);
    }

    pub(crate) fn attempt(&mut self, request: &Request) -> i32 {
        self.world.borrow_mut().attempt_now(self.process, request)
    }

    pub(crate) fn lend(&mut self, pool: &Rc<Pool>) {
        self.world.borrow_mut().lend(self.process, pool);
    }

    pub(crate) fn cancel(&mut self, token: Token, _fd: i32) {
        self.world.borrow_mut().cancel(self.process, token);
    }

    pub(crate) fn close(&mut self, number: i32) {
        self.world.borrow_mut().close(self.process, number);
    }

    pub(crate) fn control(&mut self, number: i32, control: Control<'_>) -> io::Result<Reply> {
        self.world.borrow_mut().control(self.process, number, control)
    }

    pub(crate) fn reap(&mut self, mut found: impl FnMut(Token, Completion)) {
        // What is found may look at the clock, but does not come back here.
        let mut world = self.world.borrow_mut();
        while let Some((token, answer)) = world.next_answer(self.process) {
            found(token, answer);
        }
    }

    pub(crate) fn has_answers(&self) -> bool {
        self.world.borrow().has_answers(self.process)
    }

    pub(crate) fn closing(&self) -> usize {
        self.world.borrow().closing(self.process)
    }

    /// False if there is something to hand over or to reap.
    pub(crate) fn settle(&mut self) -> io::Result<bool> {
        Ok(self.queued() == 0 && !self.has_answers())
    }

    pub(crate) fn queued(&self) -> usize {
        self.world.borrow().queued(self.process)
    }

    pub(crate) fn counters(&self) -> Counters {
        self.world.borrow().counters(self.process)
    }

    pub(crate) fn flush(&mut self, due: bool) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        if due || world.queued(self.process) > 0 {
            world.enter(self.process);
            if self.alone.is_some() {
                world.pass();
            }
        }
        Ok(())
    }

    /// Lets time pass until there is an answer, somebody rings, or the limit has come.
    pub(crate) fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        world.enter(self.process);
        let Some(bell) = &self.alone else { return Ok(()) };
        // Refused for now: nobody else would come back to it.
        while world.has_entries(self.process) {
            world.enter(self.process);
        }
        let limit = limit.map(|limit| u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
        let end = limit.map(|limit| world.now().saturating_add(limit));
        while !world.has_answers(self.process) && !bell.take() {
            match world.next_event().filter(|next| end.is_none_or(|end| *next <= end)) {
                Some(next) => world.move_to(next),
                None if end.is_some() => {
                    world.move_to(end.unwrap_or_default());
                    break;
                }
                // Nothing will ever happen in this world, but perhaps outside of it.
                None => {
                    bell.wait();
                    break;
                }
            }
        }
        Ok(())
    }
}

impl Drop for Sim {
    /// The process is over; the system closes what it left open.
    fn drop(&mut self) {
        // Not while a panic goes through the world itself.
        let Ok(mut world) = self.world.try_borrow_mut() else { return };
        world.exit(self.process);
        if self.is_own_world {
            tell(world.trace());
        }
    }
}

/// Adds the trace of a world to the file that ANNULUS_TRACE names.
fn tell(trace: &Trace) {
    let Some(path) = std::env::var_os("ANNULUS_TRACE") else { return };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    let text = format!("{trace}hash {:016x} of {} events\n", trace.hash(), trace.count());
    if let Err(error) = file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes())) {
        eprintln!("annulus: ANNULUS_TRACE: {error}");
    }
}
