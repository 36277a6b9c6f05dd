//! Moves the cursor of a file, or finds data and holes. lseek(2)
#![allow(unsafe_code)]

use std::io;

use crate::driver::{Completion, Form, Hold, Leftover, Operation, Request, Way, form};
use crate::sys;

/// Moves the cursor of a file, or finds data and holes.
pub struct Seek {
    hold: Hold,
    offset: i64,
    whence: i32,
    place: Box<u64>,
}

const FORM: &Form = &form! {
    name: "lseek",
    wait: Helper,
    entry: none,
    // SAFETY: the operation is in flight: the place for the answer is lent, the descriptor open (I1, I4).
    attempt: |request| unsafe {
        sys::attributes::seek(request.fd, request.offset as i64, request.flags, request.pointer.cast())
    },
    simulated: |request, kernel| match kernel.seek(request.fd, request.offset as i64, request.flags) {
        Ok(at) => {
            // SAFETY: as above.
            unsafe { request.pointer.cast::<u64>().write(at) };
            0
        }
        Err(error) => -error,
    },
};

impl Seek {
    pub(crate) fn new(hold: Hold, offset: i64, whence: i32) -> Self {
        Seek { hold, offset, whence, place: Box::new(0) }
    }
}

impl Operation for Seek {
    type Output = io::Result<u64>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: (&raw mut *self.place).cast(),
            offset: self.offset as u64,
            flags: self.whence,
            ..Request::on(FORM, &self.hold)
        }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    /// What reads at the cursor has its turn first.
    fn way(&self) -> Option<Way> {
        Some(Way::Read)
    }

    /// What a dropped read has read, and nobody took, is forgotten here, for it is read from the file again. To whoever counts
    /// from the cursor it was not read.
    fn answer_at_hand(&mut self) -> Option<Completion> {
        while let Some(leftover) = self.hold.direction(Way::Read).take_leftover() {
            let Leftover::Bytes { bytes, taken, .. } = leftover else { continue };
            if self.whence == libc::SEEK_CUR {
                self.offset -= (bytes.len() - taken) as i64;
            }
        }
        None
    }

    fn complete(self, answer: Completion) -> Self::Output {
        answer.checked().map(|_| *self.place)
    }
}
