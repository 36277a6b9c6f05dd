//! Readiness of many descriptors: epoll(7).
#![allow(unsafe_code)]

use std::os::fd::RawFd;
use std::time::Duration;

use super::answer;

/// What a wait reports of one descriptor.
pub(crate) type Event = libc::epoll_event;

/// `struct __kernel_timespec`: 64 bits each, on every architecture.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

/// epoll_create1(2), close-on-exec.
pub(crate) fn create() -> i32 {
    // SAFETY: no memory is passed.
    answer(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) } as isize)
}

/// epoll_ctl(2), EPOLL_CTL_ADD: has `events` of a descriptor reported under `key`.
pub(crate) fn add(poller: RawFd, number: RawFd, events: i32, key: u64) -> i32 {
    let mut event = Event { events: events as u32, u64: key };
    // SAFETY: one event on this stack, read during the call.
    answer(unsafe { libc::epoll_ctl(poller, libc::EPOLL_CTL_ADD, number, &raw mut event) } as isize)
}

/// epoll_ctl(2), EPOLL_CTL_DEL.
pub(crate) fn remove(poller: RawFd, number: RawFd) -> i32 {
    // SAFETY: no memory is passed; kernels from 2.6.9 take none.
    answer(unsafe { libc::epoll_ctl(poller, libc::EPOLL_CTL_DEL, number, std::ptr::null_mut()) } as isize)
}

/// epoll_wait(2): how many of `events` were filled. Waits for ever, or not at all.
pub(crate) fn wait(poller: RawFd, events: &mut [Event], forever: bool) -> i32 {
    let limit = if forever { -1 } else { 0 };
    // SAFETY: as many places as are said to be there, written during the call.
    answer(unsafe { libc::epoll_wait(poller, events.as_mut_ptr(), events.len() as i32, limit) } as isize)
}

/// epoll_pwait2(2), Linux 5.11: the same, for at most `limit`, exact to the nanosecond.
pub(crate) fn wait_for(poller: RawFd, events: &mut [Event], limit: Duration) -> i32 {
    let limit = Timespec {
        seconds: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: i64::from(limit.subsec_nanos()),
    };
    let no_signals = std::ptr::null::<libc::sigset_t>();
    // SAFETY: as above, and a time on this stack, read during the call.
    let found = unsafe {
        let (first, room) = (events.as_mut_ptr(), events.len() as i32);
        libc::syscall(libc::SYS_epoll_pwait2, poller, first, room, &raw const limit, no_signals, 0usize)
    };
    answer(found as isize)
}

/// ppoll(2) of a poller: waits until it has something to report, for at most `limit`. For kernels without epoll_pwait2(2).
pub(crate) fn sleep_on(poller: RawFd, limit: Duration) -> i32 {
    let limit = libc::timespec {
        tv_sec: limit.as_secs().min(i32::MAX as u64) as _,
        tv_nsec: limit.subsec_nanos() as _,
    };
    let mut entry = libc::pollfd { fd: poller, events: libc::POLLIN, revents: 0 };
    // SAFETY: an entry and a time on this stack, for the time of the call.
    answer(unsafe { libc::ppoll(&raw mut entry, 1, &raw const limit, std::ptr::null()) } as isize)
}
