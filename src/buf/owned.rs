//! The buffers that people already have. Each keeps its bytes on the heap or in the program's own data, so that
//! moving the handle moves no byte; a write pointer always covers the whole capacity, not only the length.
#![allow(unsafe_code)]

use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{IoBuf, IoBufMut};

// SAFETY: the bytes are on the heap, moved only by methods that need the vector itself, and not freed when it is
// forgotten.
unsafe impl IoBuf for Vec<u8> {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }

    fn bytes_total(&self) -> usize {
        self.capacity()
    }
}

// SAFETY: a vector is the only owner of its allocation, and `as_mut_ptr` may write all of its capacity.
unsafe impl IoBufMut for Vec<u8> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    unsafe fn set_init(&mut self, length: usize) {
        // SAFETY: the caller promises that so many bytes are initialised and within the capacity.
        unsafe { self.set_len(length) }
    }
}

// SAFETY: a box points to the heap and is never moved to elsewhere.
unsafe impl IoBuf for Box<[u8]> {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: a box is the only owner of its bytes, all of which are initialised.
unsafe impl IoBufMut for Box<[u8]> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    // Its length is part of the box: there is nothing to note.
    unsafe fn set_init(&mut self, _length: usize) {}
}

// SAFETY: as a vector, which it is inside.
unsafe impl IoBuf for String {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: static data, or heap memory that is counted; `Bytes` gives out no way to write it while a second handle,
// ours, is alive. Becoming shared, which is the one thing that another handle can cause, leaves the bytes in place.
unsafe impl IoBuf for Bytes {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: its bytes are on the heap at any length, there is no inline form; they move only when this handle itself
// is asked to reserve.
unsafe impl IoBuf for BytesMut {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }

    fn bytes_total(&self) -> usize {
        self.capacity()
    }
}

// SAFETY: handles that were split from one allocation have disjoint parts of it, each with a capacity that ends
// where the next part begins.
unsafe impl IoBufMut for BytesMut {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        // `as_mut_ptr` would do for the length only: it comes from a slice of that size, and a pointer must not
        // write beyond what it was made from. With length 0 the spare room is everything.
        let length = self.len();
        // SAFETY: no bytes are needed to be initialised for length 0.
        unsafe { self.set_len(0) };
        let beginning = self.spare_capacity_mut().as_mut_ptr().cast();
        // SAFETY: the length that it had; nothing was written since.
        unsafe { self.set_len(length) };
        beginning
    }

    unsafe fn set_init(&mut self, length: usize) {
        // SAFETY: the caller promises that so many bytes are initialised and within the capacity.
        unsafe { self.set_len(length) }
    }
}

// SAFETY: static data, which nobody may write behind a shared borrow.
unsafe impl IoBuf for &'static [u8] {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: static data, which nobody may write behind a shared borrow.
unsafe impl IoBuf for &'static str {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: on the heap, counted, and not to be written (`Rc::get_mut`) while another handle, ours, is alive.
unsafe impl IoBuf for Rc<[u8]> {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: on the heap, counted, and not to be written (`Arc::get_mut`) while another handle, ours, is alive.
unsafe impl IoBuf for Arc<[u8]> {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stays_when_moved<B: IoBuf>(buf: B, bytes: &[u8]) {
        let before = buf.stable_ptr();
        let moved = Box::new((0u64, buf));
        assert_eq!(moved.1.stable_ptr(), before);
        assert_eq!(moved.1.bytes_init(), bytes.len());
        // SAFETY: the contract under test.
        assert_eq!(unsafe { std::slice::from_raw_parts(before, bytes.len()) }, bytes);
    }

    #[test]
    fn no_buffer_moves_its_bytes_with_its_handle() {
        // From nothing, over what a library might store inline, to what it surely does not.
        for length in [0, 1, 7, 31, 4096] {
            let text = "x".repeat(length);
            let bytes = text.as_bytes();
            stays_when_moved(bytes.to_vec(), bytes);
            stays_when_moved(bytes.to_vec().into_boxed_slice(), bytes);
            stays_when_moved(text.clone(), bytes);
            stays_when_moved(Bytes::copy_from_slice(bytes), bytes);
            stays_when_moved(BytesMut::from(bytes), bytes);
            stays_when_moved(Rc::<[u8]>::from(bytes), bytes);
            stays_when_moved(Arc::<[u8]>::from(bytes), bytes);
            stays_when_moved(&*text.clone().leak(), bytes);
            stays_when_moved(&*bytes.to_vec().leak(), bytes);
        }
    }

    fn fill<B: IoBufMut>(buf: &mut B, with: u8, count: usize) {
        let before = (buf.stable_ptr(), buf.bytes_init(), buf.bytes_total());
        assert!(count <= before.2);
        assert_eq!(buf.stable_mut_ptr().cast_const(), before.0);
        assert_eq!((buf.stable_ptr(), buf.bytes_init(), buf.bytes_total()), before, "asking changes nothing");
        // SAFETY: within the total, and written before it is said to be initialised.
        unsafe {
            buf.stable_mut_ptr().write_bytes(with, count);
            buf.set_init(count);
        }
    }

    #[test]
    fn a_vector_holds_what_was_read_and_nothing_else() {
        let mut vec = Vec::with_capacity(64);
        vec.extend(b"abc");
        fill(&mut vec, b'z', 50);
        assert_eq!(vec, [b'z'; 50]);
        fill(&mut vec, b'y', 2);
        assert_eq!(vec, b"yy");
    }

    #[test]
    fn a_boxed_slice_keeps_its_length() {
        let mut boxed: Box<[u8]> = Box::new(*b"abcdef");
        assert_eq!(boxed.bytes_total(), 6);
        fill(&mut boxed, b'z', 2);
        assert_eq!(&*boxed, b"zzcdef");
    }

    #[test]
    fn a_part_that_was_split_off_is_filled_without_touching_the_rest() {
        let mut left = BytesMut::from(&b"abcdefgh"[..]);
        let mut right = left.split_off(4);
        left.truncate(1);
        let room = left.bytes_total();
        fill(&mut left, b'z', room);
        assert_eq!(&*left, b"zzzz");
        assert_eq!(&*right, b"efgh");
        fill(&mut right, b'y', 1);
        assert_eq!(&*right, b"y");
    }
}
