//! Debug builds remember which bytes were lent, and touch them when the answer comes.
//!
//! AddressSanitizer does not see what the kernel writes, so memory that was freed too early goes unnoticed by it. A
//! touch by the program itself, at the moment when the kernel has last used the memory, it does see. In release
//! builds nothing of this is left.
#![allow(unsafe_code)]

#[cfg(debug_assertions)]
use super::operation::Lends;
use super::operation::Request;

/// The bytes of one submission.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lent {
    #[cfg(debug_assertions)]
    bytes: Option<(*const u8, usize)>,
}

impl Lent {
    #[inline]
    pub(super) fn by(request: &Request) -> Lent {
        let _ = request;
        Lent {
            #[cfg(debug_assertions)]
            bytes: (matches!(request.form.lends, Lends::ToFill | Lends::ToSend) && request.length > 0)
                .then_some((request.pointer.cast_const(), request.length as usize)),
        }
    }

    /// Reads the first byte and the last.
    #[inline]
    pub(super) fn touch(self) {
        #[cfg(debug_assertions)]
        if let Some((first, length)) = self.bytes {
            // SAFETY: lent by an operation in flight, which owns them until after this (I2). They may not be
            // initialised: nothing is made of what is read, as bytes that may be anything.
            unsafe {
                first.cast::<std::mem::MaybeUninit<u8>>().read_volatile();
                first.add(length - 1).cast::<std::mem::MaybeUninit<u8>>().read_volatile();
            }
        }
    }
}
