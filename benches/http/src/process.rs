//! What a process does with itself: its core, its limits, its heap.

use std::io::{self, BufRead, Write};

/// Binds this thread, and those it will start, to a core.
///
/// # Errors
/// The system's: there is no such core, or it may not be used.
pub fn pin(core: usize) -> io::Result<()> {
    // SAFETY: a set of bits, and zero is an empty one; the call reads it.
    let answer = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// As many descriptors as this process may have; its children inherit that.
pub fn raise_limits() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: one writes what it is given, the other reads it.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// The heap of this process.
pub struct Heap;

impl Heap {
    /// Bytes that are allocated, with what the allocator adds to each piece.
    #[cfg(target_env = "gnu")]
    pub fn in_use() -> usize {
        // SAFETY: it reads the allocator's own books, under its locks.
        let info = unsafe { libc::mallinfo2() };
        info.uordblks + info.hblkhd
    }

    /// Not to be had.
    #[cfg(not(target_env = "gnu"))]
    pub fn in_use() -> usize {
        0
    }
}

/// Answers each line of the standard input with one that says how much of the heap is in use, by a thread of its own.
pub fn tell_heap() {
    std::thread::spawn(|| {
        for _ in io::stdin().lock().lines().map_while(Result::ok) {
            let _ = writeln!(io::stdout(), "{}", Heap::in_use());
            let _ = io::stdout().flush();
        }
    });
}
