//! The three system calls of io_uring that the `io-uring` crate cannot make as we need them.
//!
//! The crate remembers a registered ring descriptor only inside one `Submitter` value, and a `Submitter` is
//! made anew for each call; so entering is ours.
#![allow(unsafe_code)]

use std::os::fd::RawFd;
use std::time::Duration;

use io_uring::types::Timespec;

use super::answer;

const IORING_ENTER_GETEVENTS: u32 = 1;
const IORING_ENTER_EXT_ARG: u32 = 1 << 3;
const IORING_ENTER_REGISTERED_RING: u32 = 1 << 4;
const IORING_REGISTER_RING_FDS: libc::c_long = 20;
const IORING_UNREGISTER_RING_FDS: libc::c_long = 21;
const IORING_OFF_SQES: libc::off_t = 0x1000_0000;

/// How a thread names its ring to the kernel: by descriptor, or by an index that needs no look-up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingName {
    number: i32,
    flags: u32,
}

/// `struct io_uring_getevents_arg`
#[repr(C)]
struct WaitArguments {
    signals: u64,
    signals_size: u32,
    min_wait_us: u32,
    limit: *const Timespec,
}

/// `struct io_uring_rsrc_update`, as registering ring descriptors reads it.
#[repr(C)]
struct RingUpdate {
    offset: u32,
    reserved: u32,
    data: u64,
}

impl RingName {
    /// Registers the ring with this thread; where that is refused, the descriptor itself serves as the name.
    ///
    /// <https://man7.org/linux/man-pages/man3/io_uring_register_ring_fd.3.html>
    pub(crate) fn register(ring: RawFd) -> RingName {
        let mut update = RingUpdate { offset: u32::MAX, reserved: 0, data: ring as u64 };
        // SAFETY: one update structure on this stack, written by the kernel during the call.
        let done = unsafe {
            libc::syscall(libc::SYS_io_uring_register, ring, IORING_REGISTER_RING_FDS, &raw mut update, 1)
        };
        match done {
            1 => RingName { number: update.offset as i32, flags: IORING_ENTER_REGISTERED_RING },
            _ => RingName { number: ring, flags: 0 },
        }
    }

    pub(crate) fn is_registered(self) -> bool {
        self.flags != 0
    }

    /// Undoes `register`. A thread has only 16 places.
    pub(crate) fn unregister(self, ring: RawFd) {
        if self.flags == 0 {
            return;
        }
        let mut update = RingUpdate { offset: self.number as u32, reserved: 0, data: 0 };
        // SAFETY: one update structure on this stack, read by the kernel during the call.
        unsafe {
            libc::syscall(libc::SYS_io_uring_register, ring, IORING_UNREGISTER_RING_FDS, &raw mut update, 1)
        };
    }

    /// io_uring_enter(2): submits, and waits for `wait_for` completions for at most `limit`.
    ///
    /// Answers how many entries were taken. -ETIME and -EINTR say that nothing was taken and why the wait ended.
    pub(crate) fn enter(self, submit: u32, wait_for: u32, get_events: bool, limit: Option<Duration>) -> i32 {
        let mut flags = self.flags;
        if get_events {
            flags |= IORING_ENTER_GETEVENTS;
        }
        let Some(limit) = limit else {
            // SAFETY: no argument structure is passed.
            let taken = unsafe {
                libc::syscall(
                    libc::SYS_io_uring_enter,
                    self.number,
                    submit,
                    wait_for,
                    flags,
                    std::ptr::null::<u8>(),
                    0_usize,
                )
            };
            return answer(taken as isize);
        };
        let span = Timespec::from(limit);
        let arguments = WaitArguments { signals: 0, signals_size: 0, min_wait_us: 0, limit: &raw const span };
        // SAFETY: the arguments and the time they point to live on this stack; the kernel reads them during the
        // call.
        let taken = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                self.number,
                submit,
                wait_for,
                flags | IORING_ENTER_EXT_ARG,
                &raw const arguments,
                size_of_val(&arguments),
            )
        };
        answer(taken as isize)
    }
}

/// An entry that the kernel has not taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Untaken {
    pub(crate) user_data: u64,
    pub(crate) fd: RawFd,
}

/// What stands in a submission queue of `entries`: as many as `queued`, of which the first is number `taken` since the
/// ring was made. Empty if the queue cannot be looked at.
///
/// The `io-uring` crate shows nobody what was pushed, so the entries are mapped once more.
pub(crate) fn untaken(ring: RawFd, entries: u32, taken: u32, queued: usize) -> Vec<Untaken> {
    /// `struct io_uring_sqe`
    const ENTRY_BYTES: usize = 64;
    const FD_AT: usize = 4;
    const USER_DATA_AT: usize = 32;

    let length = entries as usize * ENTRY_BYTES;
    // SAFETY: a new mapping, at a place of the kernel's choice, of memory that is the ring's.
    let mapped = unsafe {
        libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, ring, IORING_OFF_SQES)
    };
    if mapped == libc::MAP_FAILED {
        return Vec::new();
    }
    let entry = |number: u32| {
        // A number's place in the queue is what is left of it: the array between the two, where there is one, is the
        // identity.
        let at = (number & (entries - 1)) as usize * ENTRY_BYTES;
        // SAFETY: within the mapping, of which nothing changes while its only writer is here; aligned as the kernel
        // lays it out.
        unsafe {
            let start = mapped.cast::<u8>().add(at);
            Untaken {
                user_data: start.add(USER_DATA_AT).cast::<u64>().read_volatile(),
                fd: start.add(FD_AT).cast::<i32>().read_volatile(),
            }
        }
    };
    let found = (0..queued as u32).map(|place| entry(taken.wrapping_add(place))).collect();
    // SAFETY: the mapping above, which nothing points to any more.
    unsafe { libc::munmap(mapped, length) };
    found
}
