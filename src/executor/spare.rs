//! The memory of tasks that are gone, kept for those to come.
//!
//! A server that spawns a task for each request asks for the same few sizes again and again. A list of the thread's own
//! gives them for a few instructions, where the allocator takes about 130 for getting and giving back one (a spawned and
//! joined task: 61 ns before, 46 after). What is kept is bounded, and goes with the thread. Any thread may give memory
//! back: it then serves that one.
//!
//! In debug builds nothing is kept, so that AddressSanitizer sees what is used after it was freed.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::UnsafeCell;
use std::ptr::NonNull;

/// Sizes are rounded up to multiples of this, as the allocator does: many idle tasks are not to cost more for this.
const STEP: usize = 16;
/// Larger ones are not kept.
const CLASSES: usize = 128;
/// How many bytes of one size are kept.
const KEPT: usize = if cfg!(any(debug_assertions, annulus_loom)) { 0 } else { 192 << 10 };

thread_local! {
    static SPARE: UnsafeCell<Spare> = const { UnsafeCell::new(Spare::EMPTY) };
}

struct Spare {
    classes: [Class; CLASSES],
}

/// Blocks of one size, each of which holds the address of the next.
struct Class {
    first: Option<NonNull<Block>>,
    bytes: usize,
}

struct Block {
    next: Option<NonNull<Block>>,
}

impl Class {
    const EMPTY: Class = Class { first: None, bytes: 0 };
}

/// Which list blocks of that layout are in, if in any.
#[inline]
const fn class(layout: Layout) -> Option<usize> {
    let class = layout.size().wrapping_sub(1) / STEP;
    if class < CLASSES && layout.align() <= 16 { Some(class) } else { None }
}

/// What blocks of a list are allocated as.
#[inline]
const fn rounded(class: usize) -> Layout {
    match Layout::from_size_align((class + 1) * STEP, 16) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    }
}

/// Memory for a `T`.
#[inline]
pub(super) fn take<T>() -> NonNull<T> {
    let layout = const { Layout::new::<T>() };
    let Some(class) = class(layout) else { return new(layout).cast() };
    // SAFETY: the thread's own, and nothing in here calls anybody else's code.
    let kept = SPARE.try_with(|spare| unsafe { &mut *spare.get() }.take(class));
    match kept {
        Ok(Some(block)) => block.cast(),
        _ => new(rounded(class)).cast(),
    }
}

#[cold]
fn new(layout: Layout) -> NonNull<u8> {
    // SAFETY: not of size zero: a task has a header.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Takes back what `take` gave.
///
/// # Safety
/// It came from `take::<T>`, and nobody uses it any more.
#[inline]
pub(super) unsafe fn give_back<T>(memory: NonNull<T>) {
    let layout = const { Layout::new::<T>() };
    let Some(class) = class(layout) else {
        // SAFETY: allocated with that layout.
        return unsafe { dealloc(memory.as_ptr().cast(), layout) };
    };
    // SAFETY: as in `take`; and the memory is nobody's any more.
    let kept = SPARE.try_with(|spare| unsafe { (*spare.get()).keep(class, memory.cast(), KEPT) });
    if kept != Ok(true) {
        // SAFETY: allocated with the layout of its list.
        unsafe { dealloc(memory.as_ptr().cast(), rounded(class)) };
    }
}

impl Spare {
    const EMPTY: Spare = Spare { classes: [const { Class::EMPTY }; CLASSES] };

    #[inline]
    fn take(&mut self, class: usize) -> Option<NonNull<Block>> {
        let list = &mut self.classes[class];
        let block = list.first?;
        // SAFETY: a block in the list is nobody's but the list's.
        list.first = unsafe { block.as_ref() }.next;
        list.bytes -= rounded(class).size();
        Some(block)
    }

    /// False if there is enough of that size.
    ///
    /// # Safety
    /// The block was allocated as those of its class are, and is nobody's.
    #[inline]
    unsafe fn keep(&mut self, class: usize, block: NonNull<Block>, limit: usize) -> bool {
        let list = &mut self.classes[class];
        let room = list.bytes < limit;
        if room {
            // SAFETY: the caller's promise; a block is large enough for the address of the next.
            unsafe { block.write(Block { next: list.first }) };
            list.first = Some(block);
            list.bytes += rounded(class).size();
        }
        room
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        for (class, list) in self.classes.iter_mut().enumerate() {
            while let Some(block) = list.first {
                // SAFETY: nobody's but the list's, allocated with its layout.
                unsafe {
                    list.first = block.as_ref().next;
                    dealloc(block.as_ptr().cast(), rounded(class));
                }
            }
        }
    }
}

#[cfg(all(test, not(annulus_loom)))]
mod tests {
    use super::*;

    fn block(class: usize) -> NonNull<Block> {
        new(rounded(class)).cast()
    }

    #[test]
    fn what_is_given_back_serves_the_next_of_the_same_size_the_last_one_first() {
        let mut spare = Spare::EMPTY;
        let (first, second) = (block(2), block(2));
        assert_eq!(spare.take(2), None);
        // SAFETY: just allocated.
        unsafe { assert!(spare.keep(2, first, 1000) && spare.keep(2, second, 1000)) };
        assert_eq!(spare.take(3), None, "another size");
        assert_eq!((spare.take(2), spare.take(2), spare.take(2)), (Some(second), Some(first), None));
        // Freed with the list: a leak would be seen by the sanitizer.
        // SAFETY: both were taken out again.
        unsafe { assert!(spare.keep(2, first, 1000) && spare.keep(2, second, 1000)) };
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut spare = Spare::EMPTY;
        let blocks: Vec<_> = (0..10).map(|_| block(0)).collect();
        // SAFETY: just allocated.
        let kept = blocks.iter().filter(|block| unsafe { spare.keep(0, **block, 4 * STEP) }).count();
        assert_eq!((kept, spare.classes[0].bytes), (4, 4 * STEP));
        // SAFETY: those that were not kept.
        blocks[4..].iter().for_each(|block| unsafe { dealloc(block.as_ptr().cast(), rounded(0)) });
    }

    #[test]
    fn sizes_are_rounded_up_and_large_ones_are_not_kept() {
        let class = |size| class(Layout::from_size_align(size, 8).unwrap());
        assert_eq!(
            (class(1), class(16), class(17), class(2048), class(2049)),
            (Some(0), Some(0), Some(1), Some(127), None)
        );
        assert!((0..CLASSES).all(|class| rounded(class).size() == 16 * (class + 1)));
    }

    #[test]
    fn what_is_large_or_oddly_aligned_is_the_allocators() {
        #[repr(align(64))]
        struct Aligned([u8; 64]);
        let (large, aligned) = (take::<[u8; 4096]>(), take::<Aligned>());
        assert_eq!(aligned.as_ptr() as usize % 64, 0);
        // SAFETY: just taken.
        unsafe {
            large.as_ptr().write_bytes(7, 1);
            aligned.as_ptr().write(Aligned([7; 64]));
            assert_eq!(aligned.as_ref().0[63], 7);
            give_back(large);
            give_back(aligned);
        }
    }
}
