//! The answer to a submission.

use crate::buf::BufferId;

/// A completion's flag: there is more to come of the same submission. `IORING_CQE_F_MORE`
pub(crate) const MORE: u32 = 1 << 1;

/// A completion's flag: the upper half of the flags names the buffer that was picked. `IORING_CQE_F_BUFFER`
pub(crate) const BUFFER: u32 = 1;

/// A completion's flag: the memory of what was answered before is free. `IORING_CQE_F_NOTIF`
const NOTIFICATION: u32 = 1 << 3;

/// The answer to a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// As a system call's, or a negated `errno`.
    pub(crate) result: i32,
    /// As in the ring's completion entries.
    pub(crate) flags: u32,
}

impl Completion {
    #[inline]
    pub(crate) fn of(result: i32) -> Completion {
        Completion { result, flags: 0 }
    }

    /// An answer that names a buffer, if there is one.
    pub(crate) fn into_buffer((result, buffer): (i32, Option<BufferId>)) -> Completion {
        Completion { result, flags: buffer.map_or(0, |id| u32::from(id) << 16 | BUFFER) }
    }

    /// The buffer that it names.
    #[inline]
    pub(crate) fn buffer(self) -> Option<BufferId> {
        (self.flags & BUFFER != 0).then_some((self.flags >> 16) as BufferId)
    }

    /// The same answer about another buffer, or about none.
    pub(crate) fn with_buffer(self, buffer: Option<BufferId>) -> Completion {
        let flags = self.flags & (0xffff & !BUFFER);
        Completion { result: self.result, flags: flags | buffer.map_or(0, |id| u32::from(id) << 16 | BUFFER) }
    }

    /// Whether it is no result, but says that memory is free again.
    #[inline]
    pub(crate) fn is_release(self) -> bool {
        self.flags & NOTIFICATION != 0
    }

    pub(crate) fn cancelled() -> Completion {
        Completion::of(-libc::ECANCELED)
    }

    /// One of several, and not the last.
    #[inline]
    pub(crate) fn has_more(self) -> bool {
        self.flags & MORE != 0
    }

    #[inline]
    pub(crate) fn checked(self) -> std::io::Result<u32> {
        crate::sys::checked(self.result)
    }
}
