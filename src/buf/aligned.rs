//! Memory that begins at a multiple of what a device wants: for O_DIRECT.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::{IoBuf, IoBufMut};

/// What device and kernel divide memory into, almost everywhere.
pub(super) const PAGE: usize = 4096;

/// Bytes that begin at a multiple of a power of two, as reads and writes past the page cache want them.
///
/// It behaves as a `Vec<u8>` of a fixed capacity: a read sets its length, a write sends what it holds. How it has to be aligned,
/// [`Metadata::direct_io`](crate::fs::Metadata::direct_io) says; 4096 serves everywhere. What has room for a page begins at one even if
/// less was asked for: a block of 4 KiB that lies across two pages costs the device two segments (random reads, 32 at a time: 0.84 of the speed).
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::buf::Aligned;
/// use annulus::fs::File;
///
/// annulus::run(async {
///     let file = File::open("Cargo.toml").await?;
///     let (result, bytes) = file.read_at(Aligned::with_capacity(4096, 4096), 0).await;
///     assert_eq!(bytes.len(), result?);
///     assert_eq!(bytes.as_ptr() as usize % 4096, 0);
///     assert!(bytes.starts_with(b"[package]"));
///     Ok(())
/// })?
/// # }
/// ```
pub struct Aligned {
    pointer: NonNull<u8>,
    layout: Layout,
    length: usize,
}

// SAFETY: it owns its memory, as a `Vec<u8>` does.
unsafe impl Send for Aligned {}
// SAFETY: as above; shared, it is only read.
unsafe impl Sync for Aligned {}

impl Aligned {
    /// Room for `capacity` bytes, and no bytes yet. `alignment` is in bytes, and the least that it will be.
    ///
    /// # Panics
    /// If `alignment` is no power of two, or memory is used up.
    pub fn with_capacity(capacity: usize, alignment: usize) -> Aligned {
        let least = if capacity >= PAGE { PAGE } else { 1 };
        let layout = Layout::from_size_align(capacity.max(1), alignment.max(least));
        let layout =
            layout.unwrap_or_else(|_| panic!("{alignment} is no power of two, or {capacity} bytes too many"));
        // SAFETY: the size is not zero.
        let pointer = unsafe { alloc_zeroed(layout) };
        let pointer = NonNull::new(pointer).unwrap_or_else(|| handle_alloc_error(layout));
        Aligned { pointer, layout, length: 0 }
    }

    /// So many zeroes.
    ///
    /// # Panics
    /// As [`with_capacity`](Self::with_capacity).
    ///
    /// # Examples
    /// ```
    /// use annulus::buf::Aligned;
    ///
    /// let mut buffer = Aligned::zeroed(512, 512);
    /// assert_eq!(buffer.as_ptr().addr() % 512, 0);
    /// buffer.set_len(3);
    /// assert_eq!(&buffer[..], [0; 3]);
    /// buffer.clear();
    /// assert!(buffer.is_empty() && buffer.capacity() >= 512);
    /// ```
    pub fn zeroed(length: usize, alignment: usize) -> Aligned {
        let mut buffer = Aligned::with_capacity(length, alignment);
        buffer.length = length;
        buffer
    }

    /// How many bytes there is room for.
    ///
    /// # Examples
    /// As [`zeroed`](Self::zeroed).
    pub fn capacity(&self) -> usize {
        self.layout.size()
    }

    /// Sets the length. What comes to be within it is what was there before, or zero.
    ///
    /// # Panics
    /// If there is no room for that.
    ///
    /// # Examples
    /// As [`zeroed`](Self::zeroed).
    pub fn set_len(&mut self, length: usize) {
        assert!(length <= self.capacity(), "there is room for {} bytes, not for {length}", self.capacity());
        self.length = length;
    }

    /// No bytes any more.
    ///
    /// # Examples
    /// As [`zeroed`](Self::zeroed).
    pub fn clear(&mut self) {
        self.length = 0;
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: all of it was initialised, by zeroes at first.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.length) }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and it is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.length) }
    }
}

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

// SAFETY: the memory is on the heap and stays where it is; nobody else has it; it is freed only when the value is dropped.
unsafe impl IoBuf for Aligned {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.pointer.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.length
    }

    #[inline]
    fn bytes_total(&self) -> usize {
        self.layout.size()
    }
}
// SAFETY: the only owner, and the pointer may write all of it.
unsafe impl IoBufMut for Aligned {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.pointer.as_ptr()
    }

    #[inline]
    unsafe fn set_init(&mut self, length: usize) {
        self.length = length;
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        // SAFETY: allocated by this layout, and freed once.
        unsafe { dealloc(self.pointer.as_ptr(), self.layout) };
    }
}

impl fmt::Debug for Aligned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aligned")
            .field("length", &self.length)
            .field("alignment", &self.layout.align())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_at_a_multiple_and_knows_its_bytes() {
        for alignment in [1, 512, 4096, 1 << 20] {
            let mut buffer = Aligned::zeroed(5000, alignment);
            assert_eq!(buffer.as_ptr() as usize % alignment, 0);
            assert!(buffer.len() == 5000 && buffer.iter().all(|byte| *byte == 0));
            buffer[4999] = 7;
            buffer.set_len(10);
            assert_eq!((buffer.bytes_init(), buffer.bytes_total(), buffer.capacity()), (10, 5000, 5000));
            buffer.set_len(5000);
            assert_eq!(buffer[4999], 7);
        }
        assert_eq!(Aligned::with_capacity(0, 4096).len(), 0);
    }

    #[test]
    #[should_panic = "no power of two"]
    fn a_strange_alignment_is_refused() {
        Aligned::with_capacity(10, 3);
    }
}
