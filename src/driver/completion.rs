//! The answer to a submission.

use crate::buf::BufferId;

/// A completion's flag: there is more to come of the same submission. `IORING_CQE_F_MORE`
pub(crate) const MORE: u32 = 1 << 1;

/// A completion's flag: the upper half of the flags names the buffer that was picked. `IORING_CQE_F_BUFFER`
pub(crate) const BUFFER: u32 = 1;

/// A completion's flag: the memory of what was answered before is free. `IORING_CQE_F_NOTIF`
const NOTIFICATION: u32 = 1 << 3;

/// The flags that the kernel has today; what names a buffer is beside them.
const KERNELS: u32 = 0x3f;

/// The kernel names a buffer by the upper half. Of an id that is longer, which is never the kernel's, these bits are the
/// rest.
const ID_SHIFT: u32 = 6;
const ID_HIGH: u32 = 0x1ff << ID_SHIFT;

/// The flags that name a buffer.
fn named(id: BufferId) -> u32 {
    (id & 0xffff) << 16 | (id >> 16) << ID_SHIFT | BUFFER
}

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
        Completion { result, flags: buffer.map_or(0, named) }
    }

    /// As the kernel gave it, which may have flags in time that are ours here.
    #[cfg(annulus_uring)]
    pub(crate) fn of_the_kernel(self) -> Completion {
        Completion { flags: self.flags & !ID_HIGH, ..self }
    }

    /// The buffer that it names.
    #[inline]
    pub(crate) fn buffer(self) -> Option<BufferId> {
        (self.flags & BUFFER != 0).then_some(self.flags >> 16 | (self.flags & ID_HIGH) >> ID_SHIFT << 16)
    }

    /// The same answer about another buffer, or about none.
    pub(crate) fn with_buffer(self, buffer: Option<BufferId>) -> Completion {
        let flags = self.flags & KERNELS & !BUFFER;
        Completion { result: self.result, flags: flags | buffer.map_or(0, named) }
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

#[cfg(test)]
mod tests {
    use super::{Completion, MORE};

    #[test]
    fn a_buffer_of_any_id_is_named_beside_the_flags_of_the_kernel() {
        for id in [0, 1, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x1_8001, (1 << 25) - 1] {
            let answer = Completion { result: 5, flags: MORE }.with_buffer(Some(id));
            assert_eq!((answer.buffer(), answer.has_more(), answer.result), (Some(id), true, 5));
            assert_eq!(Completion::into_buffer((5, Some(id))).buffer(), Some(id));
            assert_eq!(answer.with_buffer(None), Completion { result: 5, flags: MORE });
        }
    }
}
