//! The memory that operations in flight have lent, and whether anybody touches it meanwhile (I2).
//!
//! What is lent to be written to is filled with a pattern, what is lent to be read is summed up; when the operation is
//! answered both must be as the system left them. A program that writes to a buffer which it has given away, or a
//! driver that hands out the same memory twice, is thereby found. What the system did not write to is then as it was.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use crate::driver::{Lends, Request};

/// Of each part no more than its first bytes are watched, so that large buffers do not make the world slow.
const WATCHED_MAX: usize = 16 << 10;

/// One operation's lent memory.
pub(in crate::driver::sim) struct Memory {
    parts: Vec<Part>,
    is_written: bool,
}

struct Part {
    pointer: *mut u8,
    length: usize,
    /// What was there before; bytes that may never have been initialised.
    before: Vec<MaybeUninit<u8>>,
    /// How many bytes the system has written, from the first on.
    written: usize,
    sum: u64,
}

impl Memory {
    /// Begins to watch.
    ///
    /// # Safety
    /// The operation that the request is of is in flight until the memory is dropped.
    pub(in crate::driver::sim) unsafe fn lent_by(request: &Request, pattern: u8) -> Memory {
        let one = |pointer, length| vec![(pointer, length)];
        let ranges = match request.form.lends {
            Lends::Nothing => Vec::new(),
            Lends::ToFill | Lends::ToSend => one(request.pointer, request.length as usize),
            Lends::ManyToFill | Lends::ManyToSend => {
                let first = request.other_pointer.cast_const().cast::<libc::iovec>();
                // SAFETY: an array of as many, which the operation owns.
                let vectors = unsafe { std::slice::from_raw_parts(first, request.length as usize) };
                vectors.iter().map(|vector| (vector.iov_base.cast(), vector.iov_len)).collect()
            }
        };
        let is_written = matches!(request.form.lends, Lends::ToFill | Lends::ManyToFill);
        let parts = ranges.into_iter().map(|(pointer, length)| Part {
            pointer,
            length,
            before: Vec::new(),
            written: 0,
            sum: 0,
        });
        let mut memory = Memory { parts: parts.collect(), is_written };
        for part in &mut memory.parts {
            if is_written {
                part.before = part.watched().to_vec();
                part.watched().fill(MaybeUninit::new(pattern));
            }
            part.sum = part.sum_up();
        }
        memory
    }

    /// A buffer that the system has picked, for one call.
    ///
    /// # Safety
    /// There are that many bytes, and they are nobody else's until the memory is dropped.
    pub(in crate::driver::sim) unsafe fn picked(pointer: *mut u8, length: usize) -> Memory {
        let part = Part { pointer, length, before: Vec::new(), written: 0, sum: 0 };
        Memory { parts: vec![part], is_written: true }
    }

    /// Of a call that lends none.
    pub(in crate::driver::sim) fn none() -> Memory {
        Memory { parts: Vec::new(), is_written: false }
    }

    /// How many bytes there is room for, or are to be sent.
    pub(in crate::driver::sim) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.length).sum()
    }

    /// The first bytes of what is to be sent.
    pub(in crate::driver::sim) fn bytes(&self, count: usize) -> Vec<u8> {
        debug_assert!(!self.is_written);
        let mut bytes = Vec::with_capacity(count);
        for part in &self.parts {
            let wanted = part.length.min(count - bytes.len());
            // SAFETY: lent to be read, so it is initialised, and nobody writes there while it is in flight.
            bytes.extend_from_slice(unsafe { std::slice::from_raw_parts(part.pointer, wanted) });
        }
        bytes
    }

    /// The system writes, one part after the other.
    pub(in crate::driver::sim) fn fill(&mut self, bytes: &[u8]) {
        debug_assert!(self.is_written && bytes.len() <= self.len());
        let mut rest = bytes;
        for part in &mut self.parts {
            let (now, later) = rest.split_at(rest.len().min(part.length));
            // SAFETY: lent to be written to, by an operation in flight.
            unsafe { std::ptr::copy_nonoverlapping(now.as_ptr(), part.pointer, now.len()) };
            part.written = now.len();
            part.sum = part.sum_up();
            rest = later;
        }
    }

    /// How many bytes one part has.
    pub(in crate::driver::sim) fn part_len(&self, index: usize) -> usize {
        self.parts[index].length
    }

    /// All bytes of one part, which is to be sent.
    pub(in crate::driver::sim) fn part(&self, index: usize) -> Vec<u8> {
        debug_assert!(!self.is_written);
        let part = &self.parts[index];
        // SAFETY: as in `bytes`.
        unsafe { std::slice::from_raw_parts(part.pointer, part.length) }.to_vec()
    }

    /// The system writes to one part.
    pub(in crate::driver::sim) fn fill_part(&mut self, index: usize, bytes: &[u8]) {
        let part = &mut self.parts[index];
        debug_assert!(self.is_written && bytes.len() <= part.length);
        // SAFETY: lent to be written to, by an operation in flight.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), part.pointer, bytes.len()) };
        part.written = bytes.len();
        part.sum = part.sum_up();
    }

    /// Whether all is as the system left it. Asked before it is written to: memory that was freed too early is not ours.
    pub(in crate::driver::sim) fn is_untouched(&self) -> bool {
        self.parts.iter().all(|part| part.sum == part.sum_up())
    }

    /// Ends the watch: what the system did not write to is as it was.
    pub(in crate::driver::sim) fn give_back(mut self) {
        for part in self.parts.iter_mut().filter(|_| self.is_written) {
            let before = std::mem::take(&mut part.before);
            let written = part.written.min(before.len());
            part.watched()[written..].copy_from_slice(&before[written..]);
        }
    }
}

impl Part {
    /// The bytes that are looked after.
    fn watched(&mut self) -> &mut [MaybeUninit<u8>] {
        if self.length == 0 {
            return &mut [];
        }
        // SAFETY: lent by an operation in flight; nothing is made of the bytes but copies.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.cast(), self.length.min(WATCHED_MAX)) }
    }

    /// A checksum, after FNV-1a.
    fn sum_up(&self) -> u64 {
        if self.length == 0 {
            return 0;
        }
        let length = self.length.min(WATCHED_MAX);
        // SAFETY: to be read: initialised by its owner; to be written to: by the pattern.
        let bytes = unsafe { std::slice::from_raw_parts(self.pointer.cast_const(), length) };
        bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::form;

    fn request(lends: Lends, bytes: &mut [u8]) -> Request {
        const FILLS: &crate::driver::Form = &form! {
            name: "fill", wait: Never, entry: none, attempt: |_request| 0, simulated: |_request, _kernel| 0,
        }
        .lending(Lends::ToFill);
        const SENDS: &crate::driver::Form = &form! {
            name: "send", wait: Never, entry: none, attempt: |_request| 0, simulated: |_request, _kernel| 0,
        }
        .lending(Lends::ToSend);
        let form = if lends == Lends::ToFill { FILLS } else { SENDS };
        Request { pointer: bytes.as_mut_ptr(), length: bytes.len() as u32, ..Request::new(form) }
    }

    #[test]
    fn a_touch_of_what_is_lent_is_seen() {
        for lends in [Lends::ToFill, Lends::ToSend] {
            let mut bytes = vec![7; 100];
            let request = request(lends, &mut bytes);
            // SAFETY: the bytes outlive it, and are used by their address alone.
            let memory = unsafe { Memory::lent_by(&request, 0xa5) };
            assert!(memory.is_untouched());
            // SAFETY: within the bytes.
            unsafe { request.pointer.add(99).write(1) };
            assert!(!memory.is_untouched(), "{lends:?}");
        }
    }

    #[test]
    fn what_the_system_did_not_write_to_is_as_it_was() {
        let mut bytes = vec![7; 100];
        let request = request(Lends::ToFill, &mut bytes);
        // SAFETY: the bytes outlive it, and are not used meanwhile.
        let mut memory = unsafe { Memory::lent_by(&request, 0xa5) };
        memory.fill(b"hello");
        assert!(memory.is_untouched());
        memory.give_back();
        assert_eq!((&bytes[..6], bytes[99]), (&b"hello\x07"[..], 7));
    }
}
