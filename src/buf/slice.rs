//! A part of a buffer, lent in place of the whole. Its bounds are kept as they were asked for and held against the
//! buffer at each use, so that whatever `get_mut` is used for, the part never leaves the buffer.
#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Bound, Deref, RangeBounds};

use super::{IoBuf, IoBufMut, Registration};

/// The bytes `begin..end` of a buffer, which it owns. Made by [`IoBuf::slice`].
///
/// A read into it leaves the bytes in front of `begin` as they are, writes no further than `end`, and then *ends
/// the buffer where it ended*: after `n` bytes, a vector's length is `begin + n`, also when it was longer before.
/// To replace bytes amid others use a `Box<[u8]>`, whose length is fixed.
///
/// # Examples
/// ```
/// use annulus::buf::IoBuf;
///
/// let middle = b"0123456789".to_vec().slice(2..8);
/// assert_eq!(&middle[..], b"234567");
///
/// // A slice of a slice counts from the beginning of the outer one.
/// let inner = middle.slice(1..3);
/// assert_eq!(&inner[..], b"34");
/// assert_eq!(inner.into_inner().into_inner(), b"0123456789");
/// ```
/// Behind the initialised bytes there may be room, in front of the range there may not:
/// ```should_panic
/// use annulus::buf::IoBuf;
///
/// Vec::with_capacity(100).slice(10..);
/// ```
pub struct Slice<B> {
    buf: B,
    begin: usize,
    end: usize,
}

impl<B> Slice<B> {
    /// Where the range begins, in bytes from the beginning of the buffer.
    ///
    /// # Examples
    /// ```
    /// use annulus::buf::IoBuf;
    ///
    /// assert_eq!("annulus".slice(2..4).begin(), 2);
    /// ```
    pub fn begin(&self) -> usize {
        self.begin
    }

    /// Where the range ends, in bytes from the beginning of the buffer. It may be behind the initialised bytes.
    ///
    /// # Examples
    /// ```
    /// use annulus::buf::IoBuf;
    ///
    /// let vec = Vec::<u8>::with_capacity(100);
    /// assert_eq!(vec.slice(..50).end(), 50);
    /// ```
    pub fn end(&self) -> usize {
        self.end
    }

    /// The whole buffer.
    ///
    /// # Examples
    /// ```
    /// use annulus::buf::IoBuf;
    ///
    /// assert_eq!(*"annulus".slice(2..4).get_ref(), "annulus");
    /// ```
    pub fn get_ref(&self) -> &B {
        &self.buf
    }

    /// The whole buffer, to change it. Where it becomes too short for the range, the range is cut.
    ///
    /// # Examples
    /// ```
    /// use annulus::buf::IoBuf;
    ///
    /// let mut part = b"0123456789".to_vec().slice(2..8);
    /// part.get_mut().truncate(4);
    /// assert_eq!(&part[..], b"23");
    /// ```
    pub fn get_mut(&mut self) -> &mut B {
        &mut self.buf
    }

    /// Gives the buffer back.
    ///
    /// # Examples
    /// ```
    /// use annulus::buf::IoBuf;
    ///
    /// assert_eq!("annulus".slice(2..4).into_inner(), "annulus");
    /// ```
    pub fn into_inner(self) -> B {
        self.buf
    }
}

impl<B: IoBuf> Slice<B> {
    #[track_caller]
    #[inline]
    pub(super) fn new(buf: B, range: impl RangeBounds<usize>) -> Self {
        let (init, total) = (buf.bytes_init(), buf.bytes_total());
        let asked = (range.start_bound().cloned(), range.end_bound().cloned());
        // Past the last `usize` is past the end of any buffer, so stopping there changes no verdict.
        let begin = match asked.0 {
            Bound::Included(first) => first,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match asked.1 {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => end,
            Bound::Unbounded => total,
        };
        assert!(
            begin <= init,
            "slice {} of a buffer with {init} initialised bytes: it must begin within them or right behind",
            Shown(asked)
        );
        assert!(begin <= end, "slice {} of a buffer ends before it begins", Shown(asked));
        assert!(
            end <= total,
            "slice {} of a buffer with room for {total} bytes ({init} initialised): it ends too late",
            Shown(asked)
        );
        Slice { buf, begin, end }
    }

    /// `begin`, within the initialised bytes even when the buffer has become shorter.
    #[inline]
    fn begin_now(&self) -> usize {
        self.begin.min(self.buf.bytes_init())
    }
}

// SAFETY: the part is within the buffer, which is moved only as a whole and keeps the contract.
unsafe impl<B: IoBuf> IoBuf for Slice<B> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        // SAFETY: `begin_now` is within the buffer's initialised bytes, or right behind them.
        unsafe { self.buf.stable_ptr().add(self.begin_now()) }
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.end.min(self.buf.bytes_init()).saturating_sub(self.begin)
    }

    #[inline]
    fn bytes_total(&self) -> usize {
        self.end.min(self.buf.bytes_total()).saturating_sub(self.begin_now())
    }

    #[inline]
    fn registration(&self) -> Option<Registration> {
        self.buf.registration()
    }
}

// SAFETY: the part is within the buffer, which keeps the contract for all of its bytes.
unsafe impl<B: IoBufMut> IoBufMut for Slice<B> {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        let begin = self.begin_now();
        // SAFETY: `begin_now` is within the buffer's initialised bytes, or right behind them.
        unsafe { self.buf.stable_mut_ptr().add(begin) }
    }

    #[inline]
    unsafe fn set_init(&mut self, length: usize) {
        let begin = self.begin_now();
        // SAFETY: the bytes in front of the part are initialised, those of the part the caller promises, and
        // together they end within the buffer, for the part does.
        unsafe { self.buf.set_init(begin + length) }
    }
}

/// The initialised bytes of the range.
impl<B: IoBuf> Deref for Slice<B> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: initialised by the contract of `IoBuf`, and nobody writes them while this value is borrowed: what
        // is lent to the kernel is owned by an operation.
        unsafe { std::slice::from_raw_parts(self.stable_ptr(), self.bytes_init()) }
    }
}

impl<B: fmt::Debug> fmt::Debug for Slice<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slice").field("range", &(self.begin..self.end)).field("buf", &self.buf).finish()
    }
}

/// A range as it is written in a program.
struct Shown((Bound<usize>, Bound<usize>));

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.0 {
            Bound::Included(first) => write!(f, "{first}..")?,
            Bound::Excluded(before) => write!(f, "(behind {before})..")?,
            Bound::Unbounded => f.write_str("..")?,
        }
        match self.0.1 {
            Bound::Included(last) => write!(f, "={last}"),
            Bound::Excluded(end) => write!(f, "{end}"),
            Bound::Unbounded => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(buf: &mut impl IoBufMut, bytes: &[u8]) {
        assert!(bytes.len() <= buf.bytes_total());
        // SAFETY: within the total, and written before it is said to be initialised.
        unsafe {
            buf.stable_mut_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            buf.set_init(bytes.len());
        }
    }

    fn roomy(bytes: &[u8]) -> Vec<u8> {
        let mut vec = Vec::with_capacity(32);
        vec.extend(bytes);
        vec
    }

    #[test]
    fn a_read_behind_the_bytes_appends() {
        let mut behind = roomy(b"abc").slice(3..);
        assert_eq!((behind.bytes_init(), behind.bytes_total()), (0, behind.get_ref().capacity() - 3));
        read(&mut behind, b"def");
        assert_eq!(&behind[..], b"def");
        assert_eq!(behind.into_inner(), b"abcdef");
    }

    #[test]
    fn a_read_ends_the_buffer_where_it_ended() {
        let mut middle = b"0123456789".to_vec().slice(2..6);
        assert_eq!(middle.bytes_total(), 4);
        read(&mut middle, b"ab");
        assert_eq!(&middle[..], b"ab");
        assert_eq!(middle.into_inner(), b"01ab");

        let mut middle = b"0123456789".to_vec().into_boxed_slice().slice(2..6);
        read(&mut middle, b"ab");
        assert_eq!(&middle.into_inner()[..], b"01ab456789");
    }

    #[test]
    fn a_slice_of_a_slice_reads_and_writes_its_own_part() {
        let mut part = roomy(b"0123").slice(2..20).slice(2..10);
        assert_eq!((part.bytes_init(), part.bytes_total()), (0, 8));
        read(&mut part, b"abcdefgh");
        assert_eq!(&part[..], b"abcdefgh");
        let outer = part.into_inner();
        assert_eq!(&outer[..], b"23abcdefgh");
        assert_eq!(outer.into_inner(), b"0123abcdefgh");
    }

    #[test]
    fn a_slice_never_leaves_a_buffer_that_became_shorter() {
        let mut part = roomy(b"0123456789").slice(4..20);
        *part.get_mut() = Vec::new();
        assert_eq!((part.bytes_init(), part.bytes_total()), (0, 0));
        assert_eq!(part.stable_ptr(), part.get_ref().as_ptr());

        *part.get_mut() = roomy(b"01");
        assert_eq!((part.bytes_init(), part.bytes_total()), (0, 18));
        read(&mut part, b"ab");
        assert_eq!(part.into_inner(), b"01ab");
    }

    #[test]
    fn each_kind_of_range_is_understood() {
        let bytes = || Box::<[u8]>::from(*b"0123456789");
        assert_eq!(&bytes().slice(..)[..], b"0123456789");
        assert_eq!(&bytes().slice(..=3)[..], b"0123");
        assert_eq!(&bytes().slice(8..)[..], b"89");
        assert_eq!(&bytes().slice((Bound::Excluded(7), Bound::Included(8)))[..], b"8");
        assert_eq!(&bytes().slice(10..10)[..], b"");
        assert_eq!(format!("{:?}", "ab".slice(1..)), r#"Slice { range: 1..2, buf: "ab" }"#);
    }

    #[test]
    #[should_panic(expected = "slice 4..7 of a buffer with 3 initialised bytes: it must begin within them")]
    fn beginning_behind_the_initialised_bytes_is_refused() {
        roomy(b"abc").slice(4..7);
    }

    #[test]
    #[should_panic(
        expected = "slice ..=3 of a buffer with room for 3 bytes (3 initialised): it ends too late"
    )]
    fn ending_behind_the_room_is_refused() {
        "abc".slice(..=3);
    }

    #[test]
    #[should_panic(expected = "slice ..=18446744073709551615 of a buffer with room for 3 bytes")]
    #[cfg(target_pointer_width = "64")]
    fn the_last_number_does_not_wrap() {
        "abc".slice(..=usize::MAX);
    }

    #[test]
    #[should_panic(expected = "slice 3..2 of a buffer ends before it begins")]
    #[allow(clippy::reversed_empty_ranges)]
    fn ending_before_the_beginning_is_refused() {
        "abc".slice(3..2);
    }
}
