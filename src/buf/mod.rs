//! Memory that can be lent to the kernel: what a read fills and what a write sends.
//!
//! An operation owns its buffer until the kernel has answered, then hands it back beside the result. So a buffer
//! is moved in, moved out, and may be moved in between while the kernel uses its bytes: those have to stay where
//! they are. Everything in [`IoBuf`] follows from that.
//!
//! | buffer | can be sent | can be filled | filled up to | after a read of `n` bytes |
//! |---|:-:|:-:|---|---|
//! | `Vec<u8>`, `BytesMut` | yes | yes | `capacity()` | `len() == n` |
//! | [`Aligned`], for O_DIRECT; [`Registered`], which the ring knows | yes | yes | `capacity()` | `len() == n` |
//! | `Box<[u8]>` | yes | yes | `len()` | `len()` as before: only the first `n` bytes are new |
//! | `Bytes`, `String`, `Rc<[u8]>`, `Arc<[u8]>`, `&'static [u8]`, `&'static str` | yes | | | |
//! | [`Slice<B>`] | as `B` | as `B` | the end of its range | the length of `B` is `begin + n` |
//!
//! A read fills from the buffer's *beginning*, over what it held. To append, lend the room behind the bytes:
//! `vec.slice(vec.len()..)`. Beware of `Vec::new()`: it has no capacity, so a read into it has room for nothing
//! and reports 0 bytes, as at the end of a stream.
#![allow(unsafe_code)]

mod aligned;
mod block;
#[cfg(any(feature = "hyper", feature = "tokio-io"))]
mod foreign;
mod lease;
mod owned;
mod pool;
mod read_buf;
mod registered;
mod slice;

use std::ops::RangeBounds;

pub use aligned::Aligned;
#[cfg(feature = "hyper")]
pub(crate) use foreign::in_hyper;
#[cfg(feature = "tokio-io")]
pub(crate) use foreign::{in_tokio, lend_to_tokio};
pub use lease::Lease;
pub(crate) use pool::{BufferId, Pool, PoolNumbers, PoolSize};
pub use read_buf::ReadBuf;
pub(crate) use read_buf::fill_owned;
pub use registered::Registered;
#[doc(hidden)]
pub use registered::Registration;
pub(crate) use registered::{Keeper, Region};
pub use slice::Slice;

/// Bytes that the kernel may read while somebody else holds, moves or forgets their handle.
///
/// A borrow may end before the kernel is done, and an array moves together with its owner. Neither can be lent:
///
/// ```compile_fail,E0277
/// fn lend(_: impl annulus::buf::IoBuf) {}
/// lend([0u8; 16]);
/// ```
/// ```compile_fail,E0277
/// fn lend(_: impl annulus::buf::IoBuf) {}
/// lend(&mut vec![0u8; 16]);
/// ```
/// ```compile_fail,E0597
/// fn lend(_: impl annulus::buf::IoBuf) {}
/// let bytes = vec![0u8; 16];
/// lend(&bytes[..]);
/// ```
///
/// # Safety
/// From when a value is lent until it is handed back, it may be moved and forgotten, but nothing else is done to
/// it. As long as that holds:
///
/// 1. [`stable_ptr`](Self::stable_ptr) gives the same address each time. So the bytes are not inside the value.
/// 2. The first [`bytes_init`](Self::bytes_init) bytes from there are initialised, readable, and written by
///    nobody, no matter what is done to other handles of the same memory; and that count stays the same.
/// 3. A forgotten value leaves its memory allocated.
///
/// # Examples
/// ```
/// use annulus::buf::IoBuf;
///
/// let greeting = String::from("good morning");
/// let before = greeting.stable_ptr();
/// let moved = Box::new(greeting);
/// assert_eq!(moved.stable_ptr(), before);
/// assert_eq!(moved.bytes_init(), 12);
/// ```
pub unsafe trait IoBuf: 'static {
    /// Where the bytes begin. With no bytes it may dangle, but it is never null.
    ///
    /// # Examples
    /// ```
    /// use annulus::buf::IoBuf;
    ///
    /// let bytes = vec![1, 2, 3];
    /// assert_eq!(bytes.stable_ptr(), bytes.as_ptr());
    /// ```
    fn stable_ptr(&self) -> *const u8;

    /// How many bytes from the beginning are initialised: what a write sends.
    ///
    /// # Examples
    /// ```
    /// use annulus::buf::IoBuf;
    ///
    /// assert_eq!("four".bytes_init(), 4);
    /// assert_eq!(Vec::with_capacity(4096).bytes_init(), 0);
    /// ```
    fn bytes_init(&self) -> usize;

    /// How many bytes there are, initialised or not: what a read may fill. At least
    /// [`bytes_init`](Self::bytes_init), and just that for a buffer that cannot be filled.
    ///
    /// # Examples
    /// ```
    /// use annulus::buf::IoBuf;
    ///
    /// let vec = Vec::<u8>::with_capacity(4096);
    /// assert_eq!(vec.bytes_total(), vec.capacity());
    /// assert_eq!("four".bytes_total(), 4);
    /// ```
    fn bytes_total(&self) -> usize {
        self.bytes_init()
    }

    /// Which ring knows the memory, so that it need not find and hold its pages.
    #[doc(hidden)]
    #[inline]
    fn registration(&self) -> Option<Registration> {
        None
    }

    /// Lends only a part: a write sends the initialised bytes of the range, a read fills the range.
    ///
    /// The range counts bytes from the beginning of this buffer. It begins within the initialised bytes, or right
    /// behind them, and may extend over the room that a read could fill. Without an end it takes all of that.
    ///
    /// `Bytes` has a method of this name that takes `&self`: that one wins, and gives a `Bytes`, which is just as
    /// good to send.
    ///
    /// # Panics
    /// When the range begins behind the initialised bytes, ends behind [`bytes_total`](Self::bytes_total), or ends
    /// before it begins.
    ///
    /// # Examples
    /// ```
    /// use annulus::buf::IoBuf;
    ///
    /// let word = String::from("annulus").slice(2..4);
    /// assert_eq!(&word[..], b"nu");
    /// assert_eq!(word.into_inner(), "annulus");
    ///
    /// let mut vec = Vec::with_capacity(100);
    /// vec.extend(b"header");
    /// let room = vec.slice(6..); // what comes in is appended
    /// assert_eq!(room.bytes_init(), 0);
    /// assert!(room.bytes_total() >= 94);
    /// ```
    #[inline]
    fn slice(self, range: impl RangeBounds<usize>) -> Slice<Self>
    where
        Self: Sized,
    {
        Slice::new(self, range)
    }

    /// The initialised bytes.
    ///
    /// # Examples
    /// ```
    /// use annulus::buf::IoBuf;
    ///
    /// assert_eq!(String::from("four").as_init(), b"four");
    /// assert_eq!(Vec::with_capacity(4096).as_init(), b"");
    /// ```
    #[inline]
    fn as_init(&self) -> &[u8] {
        // SAFETY: initialised by this trait's contract, and nobody writes them while this value is borrowed: what is
        // lent to the kernel is owned by an operation.
        unsafe { std::slice::from_raw_parts(self.stable_ptr(), self.bytes_init()) }
    }
}

/// Bytes that the kernel may also write.
///
/// # Safety
/// In addition to what [`IoBuf`] asks, from when a value is lent until it is handed back:
///
/// 1. [`stable_mut_ptr`](Self::stable_mut_ptr) gives the address that `stable_ptr` gives, and that pointer may
///    write the first [`bytes_total`](IoBuf::bytes_total) bytes, a count that stays the same.
/// 2. Nobody else reads or writes those bytes: no other handle reaches them.
///
/// # Examples
/// What a read does:
/// ```
/// use annulus::buf::{IoBuf, IoBufMut};
///
/// fn read(mut answer: &[u8], buf: &mut impl IoBufMut) -> usize {
///     let count = answer.len().min(buf.bytes_total());
///     answer = &answer[..count];
///     // SAFETY: `count` bytes have room, and are initialised once they were copied.
///     unsafe {
///         buf.stable_mut_ptr().copy_from_nonoverlapping(answer.as_ptr(), count);
///         buf.set_init(count);
///     }
///     count
/// }
///
/// let mut vec = Vec::with_capacity(16);
/// assert_eq!(read(b"pong", &mut vec), 4);
/// assert_eq!(vec, b"pong");
///
/// let mut boxed = vec![b'.'; 8].into_boxed_slice();
/// assert_eq!(read(b"pong", &mut boxed), 4);
/// assert_eq!(&boxed[..], b"pong....");
///
/// let mut behind = vec.slice(4..);
/// assert_eq!(read(b" and on", &mut behind), 7);
/// assert_eq!(behind.into_inner(), b"pong and on");
/// ```
pub unsafe trait IoBufMut: IoBuf {
    /// Where the bytes begin: a read fills from here.
    ///
    /// # Examples
    /// ```
    /// use annulus::buf::{IoBuf, IoBufMut};
    ///
    /// let mut vec = vec![1, 2, 3];
    /// assert_eq!(vec.stable_mut_ptr().cast_const(), vec.stable_ptr());
    /// ```
    fn stable_mut_ptr(&mut self) -> *mut u8;

    /// Says that a read has filled the first `length` bytes.
    ///
    /// A buffer that knows a length of its own takes this one, *also when that is less than before*: after a read
    /// a `Vec` holds what was read and nothing else. A `Box<[u8]>` stays as long as it is.
    ///
    /// # Safety
    /// The first `length` bytes are initialised, and `length` is at most [`bytes_total`](IoBuf::bytes_total).
    ///
    /// # Examples
    /// ```
    /// use annulus::buf::IoBufMut;
    ///
    /// let mut vec = b"left over from before".to_vec();
    /// // SAFETY: the vector holds more than four bytes.
    /// unsafe { vec.set_init(4) };
    /// assert_eq!(vec, b"left");
    /// ```
    unsafe fn set_init(&mut self, length: usize);

    /// Copies bytes to the beginning, as many as there is room for, and sets the length to that: what a read does whose
    /// bytes are in memory already. Says how many there were.
    ///
    /// # Examples
    /// ```
    /// use annulus::buf::IoBufMut;
    ///
    /// let mut buffer = vec![0; 3].into_boxed_slice();
    /// assert_eq!(buffer.fill_from(b"pong"), 3);
    /// assert_eq!(&buffer[..], b"pon");
    /// ```
    #[inline]
    fn fill_from(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.bytes_total());
        // SAFETY: there is room for so many, which are initialised once they were copied; the two do not overlap, for
        // nobody else reaches the bytes of this buffer.
        unsafe {
            self.stable_mut_ptr().copy_from_nonoverlapping(bytes.as_ptr(), count);
            self.set_init(count);
        }
        count
    }
}
