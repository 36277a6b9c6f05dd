//! Two rings with the flags of a loop's, and nothing else: no tasks, no inbox, no turn.
#![allow(unsafe_code)]

use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use io_uring::{IoUring, opcode, squeue, types};

use crate::machine::{APART, Processors, Took, WARM, on};

const ENTER_GETEVENTS: u32 = 1;
const ENTER_REGISTERED_RING: u32 = 1 << 4;
const REGISTER_RING_FDS: libc::c_long = 20;
const REGISTER_SEND_MSG_RING: libc::c_long = 31;

/// By what one side wakes the other.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Counter,
    Message,
    MessageAsItWaits,
    MessageWithoutARing,
}

pub fn counters(trips: u64, processors: Processors) -> Took {
    there_and_back(trips, By::Counter, processors)
}

pub fn messages(trips: u64, processors: Processors) -> Took {
    there_and_back(trips, By::Message, processors)
}

pub fn messages_as_it_waits(trips: u64, processors: Processors) -> Took {
    there_and_back(trips, By::MessageAsItWaits, processors)
}

pub fn messages_without_a_ring(trips: u64, processors: Processors) -> Took {
    there_and_back(trips, By::MessageWithoutARing, processors)
}

fn there_and_back(trips: u64, by: By, processors: Processors) -> Took {
    // What the other side is to know of this one: ring and counter.
    let names = [const { OnceLock::new() }; 2];
    let begin = |own: usize| {
        let side = Side::new(by);
        names[own].set((side.ring.as_raw_fd(), side.counter)).unwrap();
        let other = loop {
            match names[1 - own].get() {
                Some(other) => break *other,
                None => std::thread::yield_now(),
            }
        };
        (side, other)
    };
    on(
        processors,
        |watch| {
            let (mut side, other) = begin(0);
            for number in 0..WARM + trips {
                if number == WARM {
                    watch.begin();
                }
                side.wake(other);
                side.wait();
            }
            watch.end(trips);
            // The other's last words may name this ring.
            side.wake(other);
            side.wait();
        },
        || {
            let (mut side, other) = begin(1);
            for _ in 0..WARM + trips + 1 {
                side.wait();
                side.wake(other);
            }
            side.hand_over();
        },
    )
}

struct Side {
    ring: IoUring,
    registered: u32,
    counter: i32,
    by: By,
    /// Entries that the call which waits hands over.
    queued: u32,
}

impl Side {
    fn new(by: By) -> Side {
        let mut builder = IoUring::builder();
        builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
        let ring: IoUring = builder.setup_submit_all().setup_no_sqarray().build(64).unwrap();
        #[repr(C)]
        struct Update {
            offset: u32,
            reserved: u32,
            data: u64,
        }
        let mut update = Update { offset: u32::MAX, reserved: 0, data: ring.as_raw_fd() as u64 };
        // SAFETY: one structure on this stack, for the time of the call.
        let registered = unsafe {
            libc::syscall(
                libc::SYS_io_uring_register,
                ring.as_raw_fd(),
                REGISTER_RING_FDS,
                &raw mut update,
                1,
            )
        };
        assert_eq!(registered, 1);
        // SAFETY: no memory is passed.
        let counter = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        let mut side = Side { ring, registered: update.offset, counter, by, queued: 0 };
        if by == By::Counter {
            side.push(&opcode::PollAdd::new(types::Fd(counter), libc::POLLIN as u32).multi(true).build());
        }
        side.hand_over();
        side
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: the entry points to nothing.
        unsafe { self.ring.submission().push(entry).unwrap() };
        self.queued += 1;
    }

    fn enter(&mut self, wait_for: u32) {
        // SAFETY: no memory is passed.
        let taken = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                self.registered,
                self.queued,
                wait_for,
                ENTER_REGISTERED_RING | ENTER_GETEVENTS,
                std::ptr::null::<u8>(),
                0_usize,
            )
        };
        assert_eq!(taken, i64::from(self.queued));
        self.queued = 0;
    }

    fn hand_over(&mut self) {
        if self.queued > 0 {
            self.enter(0);
        }
    }

    fn wait(&mut self) {
        self.enter(1);
        for answer in self.ring.completion() {
            assert!(answer.result() >= 0, "{answer:?}");
        }
    }

    fn wake(&mut self, (ring, counter): (i32, i32)) {
        // Of its success nobody is told: the other's answer is what is waited for.
        let message = opcode::MsgRingData::new(types::Fd(ring), 1, 7, None).build();
        match self.by {
            By::Counter => {
                let one: u64 = 1;
                // SAFETY: eight bytes on this stack, read during the call.
                unsafe { libc::write(counter, (&raw const one).cast(), 8) };
            }
            By::Message | By::MessageAsItWaits => {
                self.push(&message.flags(squeue::Flags::SKIP_SUCCESS));
                if self.by == By::Message {
                    self.hand_over();
                }
            }
            By::MessageWithoutARing => {
                // SAFETY: one entry on this stack, which points to nothing, for the time of the call.
                let sent = unsafe {
                    libc::syscall(
                        libc::SYS_io_uring_register,
                        -1,
                        REGISTER_SEND_MSG_RING,
                        &raw const message,
                        1,
                    )
                };
                assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
            }
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // SAFETY: this side's own, which nobody rings any more.
        unsafe { libc::close(self.counter) };
    }
}

/// Without a ring: what a thread that waits for nothing else is woken by.
pub fn futexes(trips: u64) -> Took {
    let words = [const { AtomicU32::new(0) }; 2];
    let futex = |word: &AtomicU32, what: i32, value: u32| {
        // SAFETY: the word lives as long as the call, and no time is passed.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                word.as_ptr(),
                what | libc::FUTEX_PRIVATE_FLAG,
                value,
                std::ptr::null::<libc::timespec>(),
            )
        };
    };
    let wake = |word: usize, number: u32| {
        words[word].store(number, Ordering::Release);
        futex(&words[word], libc::FUTEX_WAKE, 1);
    };
    let wait = |word: usize, number: u32| {
        while words[word].load(Ordering::Acquire) != number {
            futex(&words[word], libc::FUTEX_WAIT, number - 1);
        }
    };
    let all = (WARM + trips) as u32;
    on(
        APART,
        |watch| {
            for number in 1..=all {
                if number == WARM as u32 + 1 {
                    watch.begin();
                }
                wake(0, number);
                wait(1, number);
            }
            watch.end(trips);
        },
        || {
            for number in 1..=all {
                wait(0, number);
                wake(1, number);
            }
        },
    )
}
