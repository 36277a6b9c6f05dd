//! Buffers that are mapped one by one and unmapped when they are freed: who touches one too late is caught.
//!
//! The kernel answers EFAULT to a transfer into memory that is gone, and a program that touches it dies. A page
//! that the kernel has not written keeps the pattern that it was made with.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};

use annulus::buf::{IoBuf, IoBufMut};

const PAGE: usize = 4096;
/// What a new buffer is filled with.
pub(crate) const PATTERN: u8 = 0xdd;

/// How many are mapped now, in the whole process.
static MAPPED: AtomicUsize = AtomicUsize::new(0);

pub(crate) fn mapped() -> usize {
    MAPPED.load(Ordering::SeqCst)
}

/// A buffer that is a mapping of its own.
pub(crate) struct Guarded {
    pointer: *mut u8,
    length: usize,
    filled: usize,
}

impl Guarded {
    /// Room for so many bytes, rounded up to pages; aligned for O_DIRECT.
    pub(crate) fn new(length: usize) -> Guarded {
        let length = length.next_multiple_of(PAGE);
        // SAFETY: a new mapping, at a place of the kernel's choice.
        let pointer = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANON,
                -1,
                0,
            )
        };
        assert_ne!(pointer, libc::MAP_FAILED);
        // SAFETY: just mapped, so long, and writable.
        unsafe { pointer.cast::<u8>().write_bytes(PATTERN, length) };
        MAPPED.fetch_add(1, Ordering::SeqCst);
        Guarded { pointer: pointer.cast(), length, filled: 0 }
    }

    /// What a read filled.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped until the drop, and wholly initialised by `new`.
        unsafe { std::slice::from_raw_parts(self.pointer, self.filled) }
    }

    /// All of it, with what it was made of where nothing was read.
    pub(crate) fn all(&self) -> &[u8] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts(self.pointer, self.length) }
    }

    /// Fills it with the pattern again.
    pub(crate) fn fill_anew(&mut self) {
        // SAFETY: mapped until the drop, writable, and lent to nobody.
        unsafe { self.pointer.write_bytes(PATTERN, self.length) };
    }

    /// With these bytes at its beginning.
    pub(crate) fn of(bytes: &[u8]) -> Guarded {
        let mut buffer = Guarded::new(bytes.len());
        // SAFETY: `new` rounds up, so there is room; the two do not overlap, one is new.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.pointer, bytes.len()) };
        buffer.filled = bytes.len();
        buffer
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Reading the first and the last byte makes a sanitizer look, and dies if it was unmapped already.
        // SAFETY: mapped until the next line.
        unsafe {
            self.pointer.read_volatile();
            self.pointer.add(self.length - 1).read_volatile();
        }
        // SAFETY: our own mapping, which nobody uses any more: that is what is tested.
        assert_eq!(unsafe { libc::munmap(self.pointer.cast(), self.length) }, 0);
        MAPPED.fetch_sub(1, Ordering::SeqCst);
    }
}

// SAFETY: a mapping stays where it is until it is unmapped, in the drop.
unsafe impl IoBuf for Guarded {
    fn stable_ptr(&self) -> *const u8 {
        self.pointer
    }

    fn bytes_init(&self) -> usize {
        self.filled
    }

    fn bytes_total(&self) -> usize {
        self.length
    }
}

// SAFETY: as above, and the mapping is writable and wholly initialised.
unsafe impl IoBufMut for Guarded {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.pointer
    }

    unsafe fn set_init(&mut self, length: usize) {
        self.filled = length;
    }
}
