//! Bytes in a buffer of the runtime's.
#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use bytes::{Buf, Bytes};

use super::block::{self, Block};
use super::{IoBuf, IoBufMut};

/// Bytes that came, in a buffer that the runtime lends to the program.
///
/// A receive into a buffer of one's own keeps that buffer from when it begins to wait. A receive that gives a lease needs
/// none before the bytes are there: ten thousand idle connections share the few buffers that the busy ones need. The buffer
/// goes back when the lease is dropped, on whichever thread; it may be kept as long as one likes, also longer than the
/// runtime. If many are kept the runtime makes more buffers, up to
/// [`Builder::leases_max`](crate::Builder::leases_max), and after that copies what comes, so that keeping leases starves
/// nobody.
///
/// It is a slice of bytes. It can be [split](Self::split_to) without copying, be written to, be sent, and become
/// [`Bytes`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::{TcpListener, TcpStream};
///
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     let (server, _) = listener.accept().await?;
///
///     client.write_all("key=value").await.0?;
///     let mut value = server.recv().await?;
///     let key = value.split_to(4);
///     assert_eq!((&*key, &*value), (&b"key="[..], &b"value"[..]));
///     // Sends what it received, and gives the buffer back.
///     server.write_all(value).await.0?;
///     Ok(())
/// })?
/// # }
/// ```
pub struct Lease {
    block: NonNull<Block>,
    start: *mut u8,
    length: usize,
}

// SAFETY: its bytes are its own, and its buffer's count is atomic.
unsafe impl Send for Lease {}
// SAFETY: what can be done with a shared one is reading.
unsafe impl Sync for Lease {}

impl Lease {
    /// # Safety
    /// The caller owns one count of the block; the bytes are initialised, part of its buffer, and no other lease's.
    #[inline]
    pub(super) unsafe fn new(block: NonNull<Block>, start: *mut u8, length: usize) -> Lease {
        Lease { block, start, length }
    }

    /// Takes the first `at` bytes off, as a lease of their own of the same buffer.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn split_to(&mut self, at: usize) -> Lease {
        let mut rest = self.split_off(at);
        std::mem::swap(self, &mut rest);
        rest
    }

    /// Takes what is behind the first `at` bytes off, as a lease of its own of the same buffer.
    ///
    /// # Panics
    /// If there are fewer.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::UnixStream;
    ///
    /// annulus::run(async {
    ///     let (one, other) = UnixStream::pair()?;
    ///     one.write_all("key=value\n").await.0?;
    ///     let mut key = other.recv().await?;
    ///     let mut value = key.split_off(4);
    ///     value.truncate(5);
    ///     assert_eq!((&*key, &*value), (&b"key="[..], &b"value"[..]));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn split_off(&mut self, at: usize) -> Lease {
        assert!(at <= self.length, "cannot split {} bytes at {at}", self.length);
        // SAFETY: alive, for we own a count.
        unsafe { self.block.as_ref() }.share();
        let length = std::mem::replace(&mut self.length, at);
        // SAFETY: a part of ours, which is now theirs alone.
        unsafe { Lease::new(self.block, self.start.add(at), length - at) }
    }

    /// Forgets what is behind the first `length` bytes.
    ///
    /// # Examples
    /// As [`split_off`](Self::split_off).
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }
}

impl Deref for Lease {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: initialised, and nobody else's.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

impl DerefMut for Lease {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: initialised, and nobody else's.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.length) }
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Lease {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: we own a count, which this gives back; the last one's owner releases the buffer.
        unsafe {
            if self.block.as_ref().unshare() {
                block::release(self.block);
            }
        }
    }
}

/// Without copying: the buffer goes back when the last of the `Bytes` is dropped.
impl From<Lease> for Bytes {
    fn from(lease: Lease) -> Bytes {
        Bytes::from_owner(lease)
    }
}

impl Buf for Lease {
    fn remaining(&self) -> usize {
        self.length
    }

    fn chunk(&self) -> &[u8] {
        self
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.length, "cannot advance {} bytes by {count}", self.length);
        // SAFETY: within the bytes.
        self.start = unsafe { self.start.add(count) };
        self.length -= count;
    }
}

// SAFETY: in the pool's memory, which does not move, and is there while a lease of it is; a forgotten lease is never given
// back.
unsafe impl IoBuf for Lease {
    fn stable_ptr(&self) -> *const u8 {
        self.start
    }

    fn bytes_init(&self) -> usize {
        self.length
    }
}

// SAFETY: as above; no other lease has these bytes.
unsafe impl IoBufMut for Lease {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.start
    }

    /// All its bytes are initialised: the length stays.
    unsafe fn set_init(&mut self, _length: usize) {}
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("bytes", &self.length).finish_non_exhaustive()
    }
}

impl PartialEq<[u8]> for Lease {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl<T: AsRef<[u8]> + ?Sized> PartialEq<&T> for Lease {
    fn eq(&self, other: &&T) -> bool {
        **self == *other.as_ref()
    }
}
