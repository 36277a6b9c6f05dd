//! Direct descriptors: connections and files that the kernel keeps in the ring's own table and not in the process's.
//!
//! An entry that names one is found without the process's table, its lock and its counting. No other system call knows it;
//! for what is not done through the ring, an option for example, it is installed into the process as well, once. Its number
//! here is its place in the ring's table and a mark, so that the floors above see a number like any other.
//!
//! <https://man7.org/linux/man-pages/man3/io_uring_prep_accept_direct.3.html> (5.19),
//! <https://man7.org/linux/man-pages/man3/io_uring_prep_fixed_fd_install.3.html> (6.8)

use std::collections::HashMap;
use std::io;

use io_uring::{IoUring, opcode, squeue, types};

use super::{Kind, Ring, mark};
use crate::driver::Completion;
use crate::driver::operation::{Begin, Brings, Request};
use crate::driver::slots::Token;
use crate::sys;

/// Set in the number of a direct descriptor; those of a process are far below.
const MARK: i32 = 1 << 30;

/// The place in the ring's table, of a number that has one.
#[inline]
pub(super) fn place(number: i32) -> Option<i32> {
    (number >= MARK).then_some(number & !MARK)
}

pub(super) fn number(place: i32) -> i32 {
    place | MARK
}

/// Accepts into the table, with the peer's name: asking for it afterwards would mean to install.
fn accept(request: &Request) -> squeue::Entry {
    opcode::Accept::new(types::Fd(request.fd), request.pointer.cast(), request.other_pointer.cast())
        .file_index(Some(types::DestinationSlot::auto_target()))
        .flags(libc::SOCK_NONBLOCK)
        .build()
}

/// Opens into the table, where there is no O_CLOEXEC: no other program gets anything of it.
fn open(request: &Request) -> squeue::Entry {
    opcode::OpenAt::new(types::Fd(request.fd), request.pointer.cast_const().cast())
        .file_index(Some(types::DestinationSlot::auto_target()))
        .flags(request.flags)
        .mode(request.length)
        .build()
}

/// The ring's table.
pub(super) struct Direct {
    /// Places that nobody has, and nothing that is under way may come to need.
    free: u32,
    /// Those that the process knows as well, by their places.
    installed: HashMap<i32, i32>,
    /// What the last request to install was answered.
    answer: Option<i32>,
}

impl Direct {
    /// A table of so many places. None where the kernel has no such thing, or cannot install from it.
    pub(super) fn register(ring: &IoUring, known: &[bool; 256], places: u32) -> Option<Direct> {
        let needed = [opcode::Socket::CODE, opcode::FixedFdInstall::CODE, opcode::Accept::CODE];
        let known = needed.iter().all(|code| known[usize::from(*code)]);
        (places > 0 && known && ring.submitter().register_files_sparse(places).is_ok()).then(|| Direct {
            free: places,
            installed: HashMap::new(),
            answer: None,
        })
    }

    /// Takes a place for what is to come. A kernel without a free place would lose the connection.
    pub(super) fn reserve(&mut self) -> bool {
        let free = self.free > 0;
        self.free -= u32::from(free);
        free
    }

    pub(super) fn give_back(&mut self) {
        self.free += 1;
    }

    pub(super) fn answered(&mut self, answer: i32) {
        self.answer = Some(answer);
    }

    /// The place is free again; what the process has of it is closed.
    pub(super) fn forget(&mut self, place: i32) {
        self.give_back();
        if let Some(number) = self.installed.remove(&place) {
            sys::close(number);
        }
    }
}

impl Drop for Direct {
    /// The loop is over: what the process has of the table is closed with it.
    fn drop(&mut self) {
        for number in self.installed.values() {
            sys::close(*number);
        }
    }
}

impl Ring {
    /// What names a direct descriptor, or brings one. False of everything else.
    pub(super) fn push_direct(&mut self, token: Token, request: &Request, begin: Begin) -> bool {
        let Some(place) = place(request.fd) else { return self.bring(token, request, begin) };
        if begin == Begin::Now {
            if let Some(entry) = self.entry_at(place, request) {
                if request.form.code() == Some(opcode::Close::CODE) {
                    self.direct.iter_mut().for_each(|direct| direct.forget(place));
                }
                self.push_slowly(entry.user_data(token.0), token, request);
                return true;
            }
        }
        match self.plain(request.fd) {
            Ok(fd) => self.push_rarely(token, Request { fd, ..*request }, begin),
            Err(error) => self.answers.push_back((token, Completion::of(sys::negated(Err(error))))),
        }
        true
    }

    /// Brings something into the ring's table, where there is a place.
    fn bring(&mut self, token: Token, request: &Request, begin: Begin) -> bool {
        let entry = match request.form.brings {
            Brings::Nothing => return false,
            Brings::Connection => accept(request),
            Brings::File => open(request),
        };
        if begin != Begin::Now || !self.direct.as_mut().is_some_and(Direct::reserve) {
            return false;
        }
        self.push_slowly(entry.user_data(mark(Kind::Bring, token)), token, request);
        true
    }

    /// An entry that names a place of the ring's table.
    fn entry_at(&self, place: i32, request: &Request) -> Option<squeue::Entry> {
        if request.form.by_number {
            return None;
        }
        let ring = request.form.entry.as_ref().filter(|ring| self.known[usize::from(ring.code)])?;
        if ring.code == opcode::Close::CODE {
            // The one that names its place otherwise.
            return Some(opcode::Close::new(types::Fixed(place as u32)).build());
        }
        let entry = (ring.entry)(&Request { fd: place, ..*request });
        Some(entry.flags(squeue::Flags::FIXED_FILE))
    }

    /// A number leaves the loop, open: the process's own, and no place in the table any more.
    pub(crate) fn leave(&mut self, number: i32) -> io::Result<i32> {
        let known = self.plain(number)?;
        if let (Some(place), Some(direct)) = (place(number), &mut self.direct) {
            direct.installed.remove(&place);
            self.close(number);
        }
        Ok(known)
    }

    /// The number by which the process knows a descriptor, which is made if there is none.
    pub(crate) fn plain(&mut self, number: i32) -> io::Result<i32> {
        let (Some(place), Some(direct)) = (place(number), &self.direct) else { return Ok(number) };
        if let Some(known) = direct.installed.get(&place) {
            return Ok(*known);
        }
        let entry = opcode::FixedFdInstall::new(types::Fixed(place as u32), 0).build();
        let refused = |errno: i32| io::Error::from_raw_os_error(errno);
        self.queue(&entry.user_data(mark(Kind::Install, Token(0)))).map_err(refused)?;
        loop {
            self.enter(0, true, None)?;
            self.set_aside();
            let Some(direct) = &mut self.direct else { unreachable!("it has places") };
            if let Some(answer) = direct.answer.take() {
                let known = sys::checked(answer)? as i32;
                direct.installed.insert(place, known);
                return Ok(known);
            }
        }
    }
}
