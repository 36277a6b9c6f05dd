//! A second ring, for files whose device is asked whether it is done, instead of interrupting when it is.
//!
//! IORING_SETUP_IOPOLL: such a ring knows transfers of files past the page cache and nothing else, so it stands beside the one
//! that does everything. While a transfer is under way there, nobody sleeps: the loop asks the device, and looks at the other
//! ring in between. Its answers come as set aside ones, so that collecting costs no other loop anything.
//!
//! <https://man7.org/linux/man-pages/man2/io_uring_setup.2.html>
#![allow(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use io_uring::{IoUring, opcode};

use super::queues::Queues;
use super::{Ring, setup};
use crate::driver::completion::Completion;
use crate::driver::helpers::Helpers;
use crate::driver::operation::{Begin, Request};
use crate::driver::slots::Token;
use crate::driver::{Refusal, Settings};
use crate::sys::{self, uring::RingName};

/// So many transfers are handed over together at most, while tasks are still polled. See `early`.
const TOGETHER: usize = 4;

pub(super) struct Polled {
    queues: Queues,
    name: RingName,
    /// The numbers of files that are asked, and how many bytes the device of each takes at once.
    files: HashMap<i32, u32>,
    /// How many transfers are not answered.
    under_way: usize,
    /// How many entries the kernel has taken since the ring was made; comes round.
    taken: u32,
}

impl Polled {
    pub(super) fn open(settings: &Settings) -> Result<Polled, Refusal> {
        let ring = setup::open_asking(settings)?;
        Ok(Polled {
            name: RingName::register(ring.as_raw_fd()),
            queues: Queues::of(ring),
            files: HashMap::new(),
            under_way: 0,
            taken: 0,
        })
    }

    /// How much of a request goes this way at once. None of those that are no transfer of one buffer, or of another file.
    ///
    /// No more than the device takes: Linux 6.1 tries what would have to be split again and again, in a thread of its own, and
    /// never ends.
    fn takes(&self, request: &Request) -> Option<u32> {
        let code = request.form.code()?;
        let is_transfer = [opcode::Read::CODE, opcode::Write::CODE].contains(&code);
        let most = *self.files.get(&request.fd).filter(|_| is_transfer)?;
        Some(request.length.min(most))
    }

    pub(super) fn ring(&self) -> &IoUring {
        self.queues.ring()
    }

    pub(super) fn queued(&self) -> usize {
        self.queues.queued()
    }

    /// Hands over what is queued, asks the devices once, and adds their answers. An error is one after which nothing will be
    /// taken.
    fn ask(&mut self, answers: &mut VecDeque<(Token, Completion)>) -> Result<(), i32> {
        match -self.enter() {
            taken if taken <= 0 => self.taken = self.taken.wrapping_add(taken.unsigned_abs()),
            libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY | libc::ENOMEM => {}
            errno => return Err(errno),
        }
        let before = answers.len();
        self.queues.drain(|entry| {
            let answer = Completion { result: entry.result(), flags: entry.flags() };
            answers.push_back((Token(entry.user_data()), answer));
        });
        self.under_way -= answers.len() - before;
        Ok(())
    }

    fn enter(&mut self) -> i32 {
        #[cfg(annulus_faults)]
        if let Some(errno) = crate::driver::faults::refuses_enter() {
            return -errno;
        }
        self.queues.exchange();
        let answer = self.name.enter(self.queued() as u32, 0, true, None);
        self.queues.exchange();
        answer
    }

    /// What the kernel has not taken, and never will: a ring has broken.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = Token> {
        let entries = self.ring().params().sq_entries();
        let untaken = sys::uring::untaken(self.ring().as_raw_fd(), entries, self.taken, self.queued());
        self.under_way -= untaken.len();
        untaken.into_iter().map(|entry| Token(entry.user_data))
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        self.name.unregister(self.queues.ring().as_raw_fd());
    }
}

impl Ring {
    /// Whether it asks devices, of files that were named to it.
    pub(crate) fn polls_files(&self) -> bool {
        self.polled.is_some()
    }

    /// From now on the device of this file is asked.
    pub(crate) fn poll_file(&mut self, number: i32, most: u32) {
        if let Some(polled) = &mut self.polled {
            polled.files.insert(number, most);
        }
    }

    /// The number will be another file's.
    pub(crate) fn forget(&mut self, number: i32) {
        if let Some(polled) = &mut self.polled {
            polled.files.remove(&number);
        }
    }

    /// Transfers of files whose device is asked. False of everything else.
    pub(super) fn push_polled(&mut self, token: Token, request: &Request, begin: Begin) -> bool {
        let taken = self.polled.as_ref().and_then(|polled| polled.takes(request));
        let (Some(length), Begin::Now, Some(ring)) = (taken, begin, &request.form.entry) else {
            return false;
        };
        let entry = (ring.entry)(&Request { length, ..*request }).user_data(token.0);
        loop {
            if let Some(errno) = self.broken {
                self.answers.push_back((token, Completion::of(-errno)));
                return true;
            }
            let Some(polled) = &mut self.polled else { return false };
            // SAFETY: what the entry points to is owned by its operation until the completion (I1, I2).
            if unsafe { polled.queues.push(&entry) } {
                polled.under_way += 1;
                break;
            }
            self.ask_devices();
        }
        if self.polled.as_ref().is_some_and(|polled| polled.queued() >= TOGETHER) {
            self.ask_devices();
        }
        true
    }

    /// Hands transfers over and collects what the devices have done. A ring that breaks here says so to the next who enters.
    pub(super) fn ask_devices(&mut self) {
        let Some(polled) = self.polled.as_mut().filter(|polled| polled.under_way > 0) else { return };
        if self.broken.is_none() {
            self.counters.enters += 1;
            if let Err(errno) = polled.ask(&mut self.answers) {
                self.give_up(errno);
            }
        }
    }

    /// Whether a transfer is under way that will wake nobody.
    pub(super) fn has_to_ask(&self) -> bool {
        self.polled.as_ref().is_some_and(|polled| polled.under_way > 0)
    }

    /// As the wait of a ring that is woken: until an answer is there, of a device or of anything else, or the time is over.
    pub(super) fn wait_asking(&mut self, limit: Option<Duration>) -> io::Result<()> {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        if self.queues.queued() > 0 {
            self.enter(0, false, None)?;
        }
        while self.has_to_ask() {
            self.ask_devices();
            if let Some(errno) = self.broken {
                return Err(io::Error::from_raw_os_error(errno));
            }
            if self.queues.holds_back() || self.queues.has_overflowed() {
                return self.enter(0, true, None);
            }
            let is_over = end.is_some_and(|end| Instant::now() >= end);
            let others = self.helpers.as_ref().is_some_and(Helpers::has_answers);
            if is_over || others || !self.answers.is_empty() || self.queues.has_answers() {
                break;
            }
            std::hint::spin_loop();
        }
        Ok(())
    }
}
