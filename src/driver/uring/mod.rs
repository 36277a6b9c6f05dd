//! The ring: Linux io_uring, through the `io-uring` crate's maps and entries and our own enter.
//!
//! Entries that are the driver's own carry a kind in the top bits of their `user_data`; an operation's carry
//! its token. Answers that come at a moment when nobody can take them (while room is made in a full queue, or
//! by an attempt that succeeds at once) wait in `answers` for the next reap.
//!
//! The kernel's side: <https://man7.org/linux/man-pages/man7/io_uring.7.html>
#![allow(unsafe_code)]

mod bell;
mod buffers;
mod direct;
mod early;
mod facts;
mod fallback;
mod outer;
mod polled;
mod queues;
mod reap;
mod regions;
mod setup;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use io_uring::{opcode, squeue, types};

use super::completion::Completion;
use super::helpers::{HelperPlan, Helpers};
use super::operation::{Begin, Request, Wait, ability};
use super::slots::Token;
use super::{Counters, Refusal, Settings};
use crate::buf::Pool;
use crate::executor::Inbox;
use crate::sys::{self, uring::RingName};

use bell::Bell;
use buffers::Buffers;
use direct::Direct;
use early::Early;
use fallback::Waits;
use polled::Polled;
use queues::Queues;
use regions::Regions;

/// What an entry is for, in the top four bits of its `user_data`. An operation's own is zero: a plain token.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
enum Kind {
    Operation = 0,
    /// Waiting for a descriptor on behalf of the operation whose token this is.
    Wait = 1,
    /// Cancelling; nobody asks how it went, the cancelled tells.
    Cancel = 2,
    /// Closing a descriptor that nobody has.
    Close = 3,
    /// Watching the doorbell.
    Bell = 4,
    /// Bringing a connection or a file into the ring's table.
    Bring = 5,
    /// Making a descriptor of the process's of one in that table.
    Install = 6,
    /// A request to stop what may be on its way there. Another one follows, to stop it if it is not.
    CancelBring = 7,
}

/// Whether a number is a place in a ring's own table.
pub(crate) fn is_direct(number: i32) -> bool {
    direct::place(number).is_some()
}

const KIND_SHIFT: u32 = 60;

fn mark(kind: Kind, token: Token) -> u64 {
    (kind as u64) << KIND_SHIFT | token.0
}

pub(crate) struct Ring {
    queues: Queues,
    name: RingName,
    /// By opcode: whether the ring does it.
    known: [bool; 256],
    /// The same of operations that are submitted without a second look: none, if the ring is broken, has a table of
    /// descriptors, or one beside it that asks devices.
    plain: [bool; 256],
    bell: Bell,
    waits: Waits,
    helpers: Option<Helpers>,
    helper_plan: HelperPlan,
    inbox: &'static Inbox,
    /// What the kernel picks from, once somebody asks for that.
    buffers: Option<Buffers>,
    direct: Option<Direct>,
    /// What asks devices. Boxed, for few loops have it.
    polled: Option<Box<Polled>>,
    regions: Regions,
    early: Early,
    given: setup::Given,
    /// What a loop around this one waits for, where the bell's counter alone is not told: see `outer`.
    outer_set: Option<OwnedFd>,
    /// Answers that wait for the next reap.
    answers: VecDeque<(Token, Completion)>,
    /// Answers to entries that bear a mark, while a reap goes on.
    marked: Vec<(u64, Completion)>,
    closing: usize,
    /// Whether the last `CancelBring` has stopped something.
    stopped_bringing: bool,
    /// How many entries the kernel has taken since the ring was made; comes round.
    taken: u32,
    /// The error after which the kernel takes nothing any more.
    broken: Option<i32>,
    counters: Counters,
}

impl Ring {
    pub(crate) fn new(settings: &Settings, inbox: &'static Inbox) -> Result<Ring, Refusal> {
        let (ring, given, known) = setup::open(settings)?;
        let bell = Bell::new().map_err(setup::refused("eventfd, for wakes from other threads"))?;
        inbox.set_doorbell(Some(bell.doorbell()));
        let direct = Direct::register(&ring, &known, settings.direct);
        let polled = match settings.iopoll {
            true => Some(Box::new(Polled::open(settings)?)),
            false => None,
        };
        Ok(Ring {
            name: RingName::register(ring.as_raw_fd()),
            queues: Queues::of(ring),
            plain: if direct.is_some() || polled.is_some() { [false; 256] } else { known },
            known,
            bell,
            waits: Waits::default(),
            helpers: None,
            helper_plan: settings.helpers.clone(),
            inbox,
            buffers: None,
            answers: VecDeque::new(),
            marked: Vec::new(),
            closing: 0,
            stopped_bringing: false,
            taken: setup::ENTRIES_TRIED,
            broken: None,
            direct,
            polled,
            regions: Regions::default(),
            early: Early::default(),
            given,
            outer_set: None,
            counters: Counters::default(),
        })
    }

    /// Inlined into each operation's submission, so that the entry is written straight into the queue: built
    /// elsewhere and copied, in pieces of different sizes, it stalls the processor (measured: 9 ns of a nop's 107).
    #[inline(always)]
    pub(crate) fn push(&mut self, token: Token, request: &Request, begin: Begin) {
        self.counters.submitted += 1;
        if let Some(ring) = &request.form.entry {
            let plain = self.plain[usize::from(ring.code)] && begin == Begin::Now;
            if plain && !self.queues.is_full() {
                // SAFETY: as in `queue`. There is room.
                unsafe { self.queues.push(&(ring.entry)(request).user_data(token.0)) };
                if request.form.wait == Wait::Helper {
                    self.hand_over_if_due();
                }
                return;
            }
        }
        // By value: so it is put together in memory only here.
        self.push_rarely(token, *request, begin);
    }

    /// Lets a disk begin while tasks are still polled. Collects nothing: what comes at once waits for the reap.
    #[inline(never)]
    fn hand_over_if_due(&mut self) {
        if self.early.is_due(self.queues.queued()) {
            let (queued, answered) = (self.queues.queued(), self.queues.answered());
            // A ring that breaks here says so to the next that enters.
            let _ = self.enter(0, false, None);
            self.early.learn(queued - self.queues.queued(), self.queues.answered() - answered);
        }
    }

    #[cold]
    #[inline(never)]
    fn push_rarely(&mut self, token: Token, request: Request, begin: Begin) {
        let request = &request;
        if self.polled.is_some() && self.push_polled(token, request, begin) {
            return;
        }
        if self.direct.is_some() && self.push_direct(token, request, begin) {
            return;
        }
        let ring = request.form.entry.as_ref().filter(|ring| self.known[usize::from(ring.code)]);
        match ring.filter(|_| begin == Begin::Now) {
            Some(ring) => self.push_slowly((ring.entry)(request).user_data(token.0), token, request),
            None => self.push_otherwise(token, request, begin),
        }
    }

    /// The queue is full, or the ring is broken, in which case the operation is answered with the reason.
    #[cold]
    fn push_slowly(&mut self, entry: squeue::Entry, token: Token, request: &Request) {
        if let Err(errno) = self.queue(&entry) {
            return self.answers.push_back((token, Completion::of(-errno)));
        }
        if request.form.wait == Wait::Helper {
            self.hand_over_if_due();
        }
    }

    /// Offers buffers to the kernel. Where it takes none, what asks for one is done in its other form.
    pub(crate) fn lend(&mut self, pool: &Rc<Pool>) -> bool {
        let buffers = Buffers::offer(self.queues.ring(), pool);
        for code in [ability::PICK, ability::PICK_OFTEN, ability::READ_OFTEN] {
            self.known[usize::from(code)] &= buffers.is_offered();
            self.plain[usize::from(code)] &= buffers.is_offered();
        }
        self.buffers = Some(buffers);
        self.known[usize::from(ability::PICK)]
    }

    fn pool(&self) -> Option<&Pool> {
        self.buffers.as_ref().map(Buffers::pool)
    }

    pub(crate) fn cancel(&mut self, token: Token, _fd: i32) {
        self.counters.cancels += 1;
        if self.helpers.as_ref().is_some_and(|helpers| helpers.withdraw(token)) {
            self.counters.cancels_stopped += 1;
            self.answers.push_back((token, Completion::cancelled()));
            return;
        }
        if self.direct.is_some() {
            // It may be on its way into the table, of which only its entry's mark knows.
            let target = mark(Kind::Bring, token);
            let _ = self
                .queue(&opcode::AsyncCancel::new(target).build().user_data(mark(Kind::CancelBring, token)));
        }
        let target = match self.waits.cancel(token) {
            true => mark(Kind::Wait, token),
            false => token.0,
        };
        // In a broken ring nothing can be cancelled; the runtime ends and leaks what is in flight.
        let _ = self.queue(&opcode::AsyncCancel::new(target).build().user_data(mark(Kind::Cancel, token)));
    }

    pub(crate) fn close(&mut self, number: i32) {
        self.forget(number);
        let entry = match direct::place(number) {
            Some(place) => {
                self.direct.iter_mut().for_each(|direct| direct.forget(place));
                opcode::Close::new(types::Fixed(place as u32)).build()
            }
            None => opcode::Close::new(types::Fd(number)).build(),
        };
        let entry = entry.user_data(mark(Kind::Close, Token(u64::from(direct::place(number).is_some()))));
        match self.queue(&entry) {
            Ok(()) => self.closing += 1,
            Err(_) => drop(sys::close(number)),
        }
    }

    /// Puts an entry into the submission queue, making room where there is none. An `errno` if the ring is broken.
    fn queue(&mut self, entry: &squeue::Entry) -> Result<(), i32> {
        loop {
            if let Some(errno) = self.broken {
                return Err(errno);
            }
            // SAFETY: what the entry points to is owned by its operation until the completion (I1, I2), or is
            // 'static; the driver's own entries point to nothing.
            if unsafe { self.queues.push(entry) } {
                return Ok(());
            }
            self.make_room();
        }
    }

    /// Enters without waiting until the kernel has taken something; collects completions where it asks for that.
    #[cold]
    fn make_room(&mut self) {
        const PATIENCE: u32 = 16;
        let before = self.queues.queued();
        let mut tries = 0;
        while self.broken.is_none() && self.queues.queued() == before {
            tries += 1;
            if tries > PATIENCE {
                // The kernel is out of memory for requests, and only time helps.
                std::thread::sleep(Duration::from_micros(100));
            }
            if self.enter(0, false, None).is_err() {
                return;
            }
            if self.queues.queued() == before {
                // EBUSY or EAGAIN: the kernel wants its completions collected before it takes more.
                self.set_aside();
                if self.enter(0, true, Some(Duration::ZERO)).is_err() {
                    return;
                }
            }
        }
    }

    pub(crate) fn queued(&self) -> usize {
        self.queues.queued() + self.polled.as_ref().map_or(0, |polled| polled.queued())
    }

    pub(crate) fn has_answers(&mut self) -> bool {
        !self.answers.is_empty()
            || self.queues.has_answers()
            || self.helpers.as_ref().is_some_and(Helpers::has_answers)
    }

    /// Whether connections are accepted into the ring's own table.
    pub(crate) fn accepts_directly(&self) -> bool {
        self.direct.is_some()
    }

    pub(crate) fn closing(&self) -> usize {
        self.closing
    }

    pub(crate) fn counters(&self) -> Counters {
        self.helpers.as_ref().map_or(self.counters, |helpers| helpers.counted(self.counters))
    }

    pub(crate) fn flush(&mut self, due: bool) -> io::Result<()> {
        if self.has_to_ask() {
            self.ask_devices();
        }
        let queued = self.queues.queued();
        let (held_back, overflowed) = (self.queues.holds_back(), self.queues.has_overflowed());
        self.counters.overflows += u64::from(overflowed);
        if held_back || overflowed || (due && queued > 0) {
            self.enter(0, held_back || overflowed, None)
        } else {
            Ok(())
        }
    }

    pub(crate) fn wait(&mut self, limit: Option<Duration>) -> io::Result<()> {
        if let Some(entry) = self.bell.entry_if_unarmed() {
            // A broken ring says so in the enter below.
            if self.queue(&entry.user_data(mark(Kind::Bell, Token(0)))).is_ok() {
                self.bell.armed();
            }
        }
        self.counters.overflows += u64::from(self.queues.has_overflowed());
        if self.has_to_ask() {
            return self.wait_asking(limit);
        }
        self.enter(1, true, limit)
    }

    /// One enter. Errors that pass are counted and are not errors: what they left undone is done by a later
    /// enter, and entries that were not taken stay queued. An error is one after which nothing will be taken.
    fn enter(&mut self, wait_for: u32, get_events: bool, limit: Option<Duration>) -> io::Result<()> {
        if let Some(errno) = self.broken {
            return Err(io::Error::from_raw_os_error(errno));
        }
        self.counters.enters += 1;
        if let Some(buffers) = &mut self.buffers {
            buffers.offer_again();
        }
        match -self.ask(wait_for, get_events, limit) {
            taken if taken <= 0 => {
                self.taken = self.taken.wrapping_add(taken.unsigned_abs());
                Ok(())
            }
            libc::ETIME | libc::EINTR => Ok(()),
            libc::EAGAIN | libc::EBUSY | libc::ENOMEM => {
                self.counters.refusals += 1;
                // The kernel is short of something. Waiting for completions alone needs nothing of it.
                if wait_for > 0 {
                    let brief = Duration::from_millis(1);
                    self.name.enter(0, wait_for, true, Some(limit.map_or(brief, |limit| limit.min(brief))));
                }
                Ok(())
            }
            errno => {
                self.give_up(errno);
                Err(io::Error::from_raw_os_error(errno))
            }
        }
    }

    /// The system call itself.
    #[inline]
    fn ask(&mut self, wait_for: u32, get_events: bool, limit: Option<Duration>) -> i32 {
        #[cfg(annulus_faults)]
        if let Some(errno) = super::faults::refuses_enter() {
            return -errno;
        }
        self.queues.exchange();
        let answer = self.name.enter(self.queues.queued() as u32, wait_for, get_events, limit);
        self.queues.exchange();
        answer
    }

    /// The kernel takes nothing any more. What it has not taken is answered with the reason, and so gets its buffer
    /// back; what it has taken is its own for ever (I3, I6).
    #[cold]
    fn give_up(&mut self, errno: i32) {
        if self.broken.replace(errno).is_some() {
            return;
        }
        if let Some(polled) = &mut self.polled {
            self.answers.extend(polled.give_up().map(|token| (token, Completion::of(-errno))));
        }
        self.plain = [false; 256];
        let entries = self.queues.ring().params().sq_entries();
        let untaken =
            sys::uring::untaken(self.queues.ring().as_raw_fd(), entries, self.taken, self.queues.queued());
        for entry in untaken {
            let token = Token(entry.user_data & !(0xf << KIND_SHIFT));
            match entry.user_data >> KIND_SHIFT {
                kind if kind == Kind::Operation as u64 || kind == Kind::Bring as u64 => {
                    self.answers.push_back((token, Completion::of(-errno)));
                }
                kind if kind == Kind::Wait as u64 => {
                    self.waits.forget(token);
                    self.answers.push_back((token, Completion::of(-errno)));
                }
                kind if kind == Kind::Close as u64 => {
                    self.closing -= 1;
                    // A place in the ring's table is no number of the process's: its entry has 0 there.
                    if token == Token(0) {
                        sys::close(entry.fd);
                    }
                }
                _ => {}
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if let Some(buffers) = self.buffers.take() {
            buffers.withdraw(self.queues.ring());
        }
        self.name.unregister(self.queues.ring().as_raw_fd());
    }
}
