//! The cursor of a file after a part of a transfer: the ring forgets to move it.
//!
//! What a file takes or gives only in part, the kernel's ring tries again for the rest. If that fails, on a disk that is full
//! for example, it answers with the part and leaves the cursor where it was (io_uring/rw.c, `kiocb_done`: the position is
//! kept of answers that are no error, and those that had been a part count as one; seen on 6.18). The next write at the
//! cursor would go over what was just written, and a whole one would never meet the error.
#![allow(unsafe_code)]

use crate::driver::Hold;
use crate::sys::attributes::seek;
use crate::sys::file::{self, CURSOR, EMPTY_PATH, NO_PATH, Stat};

/// Where the cursor stood when a transfer was asked for, if the ring is to move it.
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

    /// Looks where it is, if the transfer is at the cursor of a file that has one.
    #[inline]
    pub(super) fn before(hold: &Hold, offset: u64, wanted: u32) -> Cursor {
        match offset == CURSOR && wanted > 1 && hold.port().is_ring() {
            true => Cursor::watched(hold, wanted),
            false => Cursor::NOT_WATCHED,
        }
    }

    #[inline(never)]
    fn watched(hold: &Hold, wanted: u32) -> Cursor {
        let Ok(number) = hold.port().plain(hold.number()) else { return Cursor::NOT_WATCHED };
        match sought(number, 0, libc::SEEK_CUR) {
            Some(before) => Cursor { number, wanted, before },
            // A pipe, a terminal: there is no cursor.
            None => Cursor::NOT_WATCHED,
        }
    }

    /// Moves it by so many bytes, which were transferred, if nobody has.
    #[inline]
    pub(super) fn settle(&self, count: usize) {
        if self.number >= 0 && count > 0 && count < self.wanted as usize {
            self.settle_part(count as u64);
        }
    }

    #[cold]
    fn settle_part(&self, count: u64) {
        if sought(self.number, 0, libc::SEEK_CUR) != Some(self.before) || !is_of_a_disk(self.number) {
            return;
        }
        match file::appends(self.number) {
            true => sought(self.number, 0, libc::SEEK_END),
            false => sought(self.number, (self.before + count) as i64, libc::SEEK_SET),
        };
    }
}

fn sought(number: i32, offset: i64, whence: i32) -> Option<u64> {
    let mut at = 0;
    // SAFETY: the place is on this stack.
    (unsafe { seek(number, offset, whence, &mut at) } == 0).then_some(at)
}

/// Of what the ring goes on with after a part: files and block devices. Others may have reasons not to move.
#[allow(clippy::unnecessary_cast, reason = "the width differs from one system to the next")]
fn is_of_a_disk(number: i32) -> bool {
    let mut place = Stat::place();
    // SAFETY: the empty path is static, the place is here.
    let answer = unsafe { file::stat(number, NO_PATH.as_ptr(), EMPTY_PATH, place.as_mut_ptr()) };
    let kind = Stat::from_place(&place).mode & libc::S_IFMT as u32;
    answer == 0 && [libc::S_IFREG as u32, libc::S_IFBLK as u32].contains(&kind)
}
