//! Buffers that a ring knows: their pages are found and held once, and not by each transfer.
//!
//! All buffers of a pool are one piece of memory, which is registered as one. It stays registered while the pool or one
//! of its buffers lives: whoever is the last takes it back.
#![allow(unsafe_code)]

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::rc::Rc;

use super::aligned::PAGE;
use super::{Aligned, IoBuf, IoBufMut};

/// Which ring knows the memory, and by which number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    pub(crate) ring: u64,
    pub(crate) place: u16,
}

/// Who is told what becomes of a region's buffers.
pub(crate) trait Keeper {
    /// One came back.
    fn returned(&self);
    /// The last has gone, and with it the memory, which was registered there.
    fn ended(&self, place: u16);
}

/// The memory of a pool.
pub(crate) struct Region {
    memory: Aligned,
    /// From one buffer to the next, in bytes: whole pages.
    stride: usize,
    bytes: usize,
    free: RefCell<Vec<u32>>,
    registration: Cell<Option<Registration>>,
    keeper: OnceCell<Box<dyn Keeper>>,
}

impl Region {
    /// Room for `count` buffers of `bytes` each. None if in whole pages that is more than `most` bytes.
    pub(crate) fn new(count: u32, bytes: usize, most: usize) -> Option<Rc<Region>> {
        let stride = bytes.checked_next_multiple_of(PAGE)?;
        let length = stride.checked_mul(count as usize).filter(|length| *length <= most)?;
        let memory = Aligned::zeroed(length, PAGE);
        Some(Rc::new(Region {
            memory,
            stride,
            bytes,
            free: RefCell::new((0..count).rev().collect()),
            registration: Cell::new(None),
            keeper: OnceCell::new(),
        }))
    }

    /// Where it begins, and how long it is.
    pub(crate) fn place(&self) -> (*mut u8, usize) {
        (self.memory.stable_ptr().cast_mut(), self.memory.len())
    }

    /// It is registered, or is not; `keeper` hears of its buffers from now on.
    pub(crate) fn settle(&self, registration: Option<Registration>, keeper: Box<dyn Keeper>) {
        self.registration.set(registration);
        assert!(self.keeper.set(keeper).is_ok(), "it has its keeper");
    }

    /// How many bytes each buffer has room for.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn free(&self) -> usize {
        self.free.borrow().len()
    }

    pub(crate) fn take(self: &Rc<Region>) -> Option<Registered> {
        let number = self.free.borrow_mut().pop()?;
        // SAFETY: within the memory: there are as many strides as there were numbers.
        let pointer = unsafe { NonNull::new_unchecked(self.place().0.add(number as usize * self.stride)) };
        Some(Registered { pointer, length: 0, number, region: Rc::clone(self) })
    }

    fn put_back(&self, number: u32) {
        self.free.borrow_mut().push(number);
        self.keeper.get().inspect(|keeper| keeper.returned());
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if let (Some(registration), Some(keeper)) = (self.registration.get(), self.keeper.get()) {
            keeper.ended(registration.place);
        }
    }
}

/// A buffer of a [pool](crate::fs::RegisteredBuffers) that the ring knows. Dropped, it goes back there.
///
/// It behaves as a `Vec<u8>` of a fixed capacity: a read sets its length, a write sends what it holds. It begins at a page,
/// so it serves for O_DIRECT. Its memory is initialised: what is behind its length are zeroes, or what was there before.
///
/// # Examples
/// ```
/// use annulus::fs::{File, RegisteredBuffers};
///
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     let pool = RegisteredBuffers::new(4, 4096)?;
///     let file = File::open("Cargo.toml").await?;
///     let (count, buffer) = file.read_at(pool.get().await, 0).await;
///     assert_eq!(buffer.len(), count?);
///     assert!(buffer.starts_with(b"[package]"));
///     Ok(())
/// })?
/// # }
/// ```
pub struct Registered {
    pointer: NonNull<u8>,
    length: usize,
    number: u32,
    region: Rc<Region>,
}

impl Registered {
    /// How many bytes there is room for.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let pool = annulus::fs::RegisteredBuffers::new(1, 4096)?;
    ///     let mut buffer = pool.get().await;
    ///     assert_eq!(buffer.capacity(), 4096);
    ///     buffer.set_len(3);
    ///     println!("{} bytes, known to the ring: {}", buffer.len(), buffer.is_registered());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn capacity(&self) -> usize {
        self.region.bytes
    }

    /// Sets the length. What comes to be within it is what was there before, or zero.
    ///
    /// # Panics
    /// If there is no room for that.
    ///
    /// # Examples
    /// As [`capacity`](Self::capacity).
    pub fn set_len(&mut self, length: usize) {
        assert!(length <= self.capacity(), "there is room for {} bytes, not for {length}", self.capacity());
        self.length = length;
    }

    /// Whether the ring knows it. If not, it is a buffer like any other.
    ///
    /// # Examples
    /// As [`capacity`](Self::capacity).
    pub fn is_registered(&self) -> bool {
        self.region.registration.get().is_some()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.region.put_back(self.number);
    }
}

impl Deref for Registered {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: its own part of the region, of which the length is at most as long, all of it initialised.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.length) }
    }
}

impl DerefMut for Registered {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and nobody else has this part.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.length) }
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Registered");
        shown.field("length", &self.length).field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

// SAFETY: the region stays where it is until the last of its buffers is gone; forgotten, it is never given to another.
unsafe impl IoBuf for Registered {
    fn stable_ptr(&self) -> *const u8 {
        self.pointer.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.length
    }

    fn bytes_total(&self) -> usize {
        self.capacity()
    }

    fn registration(&self) -> Option<Registration> {
        self.region.registration.get()
    }
}

// SAFETY: nobody else has this part of the region.
unsafe impl IoBufMut for Registered {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.pointer.as_ptr()
    }

    unsafe fn set_init(&mut self, length: usize) {
        self.length = length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes what it is told.
    struct Notes(Rc<RefCell<Vec<&'static str>>>);

    impl Keeper for Notes {
        fn returned(&self) {
            self.0.borrow_mut().push("returned");
        }

        fn ended(&self, place: u16) {
            assert_eq!(place, 5);
            self.0.borrow_mut().push("ended");
        }
    }

    #[test]
    fn buffers_are_apart_and_each_is_had_once() {
        let region = Region::new(3, 100, 3 * PAGE).unwrap();
        let mut all: Vec<_> = std::iter::from_fn(|| region.take()).collect();
        assert_eq!((all.len(), region.free()), (3, 0));
        for (number, buffer) in all.iter_mut().enumerate() {
            buffer.set_len(100);
            buffer.fill(number as u8);
            assert_eq!(buffer.stable_ptr() as usize % PAGE, 0);
        }
        for (number, buffer) in all.iter().enumerate() {
            assert!(buffer.iter().all(|byte| *byte == number as u8));
        }
        drop(all.remove(1));
        let again = region.take().unwrap();
        assert!(again.is_empty(), "it begins with no bytes, like a new one");
        assert!(region.take().is_none());
    }

    #[test]
    fn the_last_buffer_ends_the_registration_and_not_the_pool() {
        let notes = Rc::new(RefCell::new(Vec::new()));
        let region = Region::new(2, 1, 2 * PAGE).unwrap();
        region.settle(Some(Registration { ring: 1, place: 5 }), Box::new(Notes(notes.clone())));
        let (one, other) = (region.take().unwrap(), region.take().unwrap());
        drop(region);
        drop(one);
        assert_eq!(*notes.borrow(), ["returned"], "one is out");
        assert!(other.is_registered());
        drop(other);
        assert_eq!(*notes.borrow(), ["returned", "returned", "ended"]);
    }

    #[test]
    fn more_than_may_be_is_refused_and_counted_in_whole_pages() {
        assert!(Region::new(3, 1, 3 * PAGE - 1).is_none());
        assert!(Region::new(u32::MAX, usize::MAX / 2, usize::MAX).is_none());
        assert!(Region::new(1, usize::MAX, usize::MAX).is_none());
    }
}
