//! The cursor of a file after a transfer: the ring does not always move it.
//!
//! The kernel moves it when a transfer is answered in the call that began it (io_uring/rw.c, `kiocb_done`). What a device
//! answers later, past the page cache, leaves it where it was; so does a part after which trying for the rest failed, on a disk
//! that is full for example. Seen on 6.18. The next transfer at the cursor would be at the same place: a file that is read for ever,
//! and writes that go over each other. So one looks where it is before, and moves it after where that stands.
#![allow(unsafe_code)]

use crate::driver::{Hold, Mover};
use crate::sys::attributes::seek;
use crate::sys::file::{self, EMPTY_PATH, NO_PATH, Stat};

/// Where the cursor stood when a transfer there was asked for, if it may have to be moved.
#[derive(Clone, Copy)]
pub(super) struct Cursor {
    /// By which the process knows the file, or -1 if nothing is watched.
    number: i32,
    /// How many bytes were asked for.
    wanted: u32,
    before: u64,
}

impl Cursor {
    pub(super) const NOT_WATCHED: Cursor = Cursor { number: -1, wanted: 0, before: 0 };

    /// Looks where it is, on a ring: of a transfer at the cursor that is to be submitted.
    pub(super) fn before(hold: &Hold, wanted: u32) -> Cursor {
        if !hold.port().is_ring() || hold.mover().get() == Mover::Nobody {
            return Cursor::NOT_WATCHED;
        }
        let Ok(number) = hold.port().plain(hold.number()) else { return Cursor::NOT_WATCHED };
        if hold.mover().get() == Mover::Unknown {
            hold.mover().set(mover_of(number));
        }
        match sought(number, 0, libc::SEEK_CUR) {
            Some(before) if hold.mover().get() != Mover::Nobody => Cursor { number, wanted, before },
            _ => Cursor::NOT_WATCHED,
        }
    }

    /// So many bytes were transferred.
    #[inline]
    pub(super) fn settle(&self, hold: &Hold, count: usize) {
        if self.number < 0 || count == 0 {
            return;
        }
        let is_moved = count >= self.wanted as usize && hold.mover().get() == Mover::System;
        // A file whose operation nobody looked at may be closed, and its number another's.
        if !is_moved && !hold.is_closed() {
            self.settle_now(hold, count);
        }
    }

    #[cold]
    fn settle_now(&self, hold: &Hold, count: usize) {
        let stands = sought(self.number, 0, libc::SEEK_CUR) == Some(self.before);
        if hold.mover().get() == Mover::Learning && count >= self.wanted as usize {
            hold.mover().set(if stands { Mover::Ours } else { Mover::System });
        }
        if stands {
            match file::appends(self.number) {
                true => sought(self.number, 0, libc::SEEK_END),
                false => sought(self.number, (self.before + count as u64) as i64, libc::SEEK_SET),
            };
        }
    }
}

/// Who will move the cursor: known of what is past the page cache, and of what has none.
fn mover_of(number: i32) -> Mover {
    match is_of_a_disk(number) {
        true if file::is_direct(number) => Mover::Ours,
        true => Mover::Learning,
        false => Mover::Nobody,
    }
}

fn sought(number: i32, offset: i64, whence: i32) -> Option<u64> {
    let mut at = 0;
    // SAFETY: the place is on this stack.
    (unsafe { seek(number, offset, whence, &mut at) } == 0).then_some(at)
}

/// Files and block devices have a cursor. Others have none, or may have reasons not to move it.
#[allow(clippy::unnecessary_cast, reason = "the width differs from one system to the next")]
fn is_of_a_disk(number: i32) -> bool {
    let mut place = Stat::place();
    // SAFETY: the empty path is static, the place is here.
    let answer = unsafe { file::stat(number, NO_PATH.as_ptr(), EMPTY_PATH, place.as_mut_ptr()) };
    let kind = Stat::from_place(&place).mode & libc::S_IFMT as u32;
    answer == 0 && [libc::S_IFREG as u32, libc::S_IFBLK as u32].contains(&kind)
}
