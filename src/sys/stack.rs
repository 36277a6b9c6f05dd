//! Where a thread is: of one's own, and of one that hangs, which is asked by a signal.
//!
//! The thread that is asked notes the addresses of its calls in its signal handler, and nothing else: what they are called is looked
//! up by who asks. SIGURG, which programs ignore unless they wait for urgent data, interrupts no call for good.
#![allow(unsafe_code)]

use std::fmt;
use std::panic::Location;
use std::path::{Path, PathBuf};

/// A call on a stack.
///
/// # Examples
/// As [`debug::Warning`](crate::debug::Warning).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    function: String,
    file: Option<PathBuf>,
    line: Option<u32>,
}

impl Frame {
    /// The function's name, with its path.
    ///
    /// # Examples
    /// As [`debug::Warning`](crate::debug::Warning).
    pub fn function(&self) -> &str {
        &self.function
    }

    /// The file in which it is written, if the program was built with line tables.
    ///
    /// # Examples
    /// As [`debug::Warning`](crate::debug::Warning).
    pub fn file(&self) -> Option<&std::path::Path> {
        self.file.as_deref()
    }

    /// The line in it.
    ///
    /// # Examples
    /// As [`debug::Warning`](crate::debug::Warning).
    pub fn line(&self) -> Option<u32> {
        self.line
    }

    /// Whether it is neither the standard library's nor this crate's: then somebody who reads a report knows it.
    pub(crate) fn is_the_programs(&self) -> bool {
        const OURS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");
        // Those of the standard library, and of the two crates by which a stack is looked at. The C library's are relative.
        const OTHERS: [&str; 4] =
            ["/rustc/", "/rustlib/src/rust/library/", "/backtrace-0.", "/signal-hook-registry-1."];
        let file = self.file.as_deref().map(|file| file.to_string_lossy()).unwrap_or_default();
        !file.is_empty()
            && !file.starts_with(OURS)
            && !file.starts_with("./")
            && !OTHERS.iter().any(|other| file.contains(other))
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => {
                write!(f, "{}:{line} in {}", from_here(file).display(), self.function)
            }
            _ => f.write_str(&self.function),
        }
    }
}

/// Shorter, where it is below the current directory: as the compiler names the places of spawns.
fn from_here(file: &Path) -> &Path {
    let here = std::env::current_dir().ok();
    here.and_then(|here| file.strip_prefix(here).ok()).unwrap_or(file)
}

/// The calls of a stack, the innermost first, as addresses: to be named, which takes much longer, when there is time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls(
    #[cfg_attr(not(feature = "backtrace"), allow(dead_code, reason = "there are none"))] Vec<usize>,
);

/// What a thread that is asked says besides: whose poll it is in. Plain numbers, for it says so in a signal handler.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Note {
    /// The task's number; 0 if it polls none.
    pub(crate) task: u64,
    pub(crate) spawned_at: Option<&'static Location<'static>>,
    /// How many polls there were before.
    pub(crate) polls: u64,
}

/// A thread that can be asked where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thread {
    #[cfg_attr(
        not(all(feature = "backtrace", target_os = "linux")),
        allow(dead_code, reason = "nobody is asked")
    )]
    number: i32,
}

impl Thread {
    /// The one that calls.
    pub(crate) fn current() -> Thread {
        Thread { number: super::affinity::thread_id() }
    }
}

#[cfg(not(feature = "backtrace"))]
mod asking {
    use super::{Calls, Frame, Note, Thread};

    pub(crate) fn here() -> Calls {
        Calls::default()
    }

    pub(crate) fn of(_: Thread) -> Option<(Calls, Note)> {
        None
    }

    pub(crate) fn named(_: &Calls) -> Vec<Frame> {
        Vec::new()
    }

    pub(crate) fn prepare(_: fn() -> Note) {}
}

#[cfg(feature = "backtrace")]
mod asking {
    use std::ffi::c_void;
    use std::path::Path;

    use super::{Calls, Frame};

    /// The calls that this thread is in.
    pub(crate) fn here() -> Calls {
        let mut addresses = Vec::new();
        // SAFETY: where there are threads that look for names, Unix needs no lock between them and this. With it the loop would wait
        // while another thread reads the tables of lines.
        unsafe {
            backtrace::trace_unsynchronized(|frame| {
                addresses.push(frame.ip() as usize);
                addresses.len() < CALLS_MAX
            });
        }
        Calls(addresses)
    }

    const CALLS_MAX: usize = 128;

    /// What they are called. One address may be several functions, of which all but the last were inlined. The first time takes up to
    /// a second: the program's tables of lines are read.
    pub(crate) fn named(calls: &Calls) -> Vec<Frame> {
        let mut frames = Vec::new();
        for address in &calls.0 {
            backtrace::resolve(*address as *mut c_void, |symbol| {
                frames.push(Frame {
                    function: symbol
                        .name()
                        .map_or_else(|| format!("{address:#x}"), |name| format!("{name:#}")),
                    file: symbol.filename().map(Path::to_owned),
                    line: symbol.lineno(),
                });
            });
        }
        frames
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn of(_: super::Thread) -> Option<(Calls, super::Note)> {
        None
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn prepare(_: fn() -> super::Note) {}

    #[cfg(target_os = "linux")]
    pub(crate) use linux::{of, prepare};

    #[cfg(target_os = "linux")]
    mod linux {
        use std::panic::Location;
        use std::ptr::null_mut;
        use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
        use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};
        use std::time::{Duration, Instant};

        use super::super::Note;
        use super::super::Thread;
        use super::{CALLS_MAX, Calls};

        /// Who is asked; zero when nobody is, or when they have answered.
        static ASKED: AtomicI32 = AtomicI32::new(0);
        static ADDRESSES: [AtomicUsize; CALLS_MAX] = [const { AtomicUsize::new(0) }; CALLS_MAX];
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        /// Who knows what else is to be said.
        static NOTE: OnceLock<fn() -> Note> = OnceLock::new();
        static TASK: AtomicU64 = AtomicU64::new(0);
        static SPAWNED_AT: AtomicPtr<Location<'static>> = AtomicPtr::new(null_mut());
        static POLLS: AtomicU64 = AtomicU64::new(0);
        /// One is asked at a time.
        static ASKING: Mutex<()> = Mutex::new(());
        /// A thread in a call that no signal interrupts does not answer.
        const PATIENCE: Duration = Duration::from_millis(200);

        /// Listens for the question. Before the first. `note` is called in the handler: it only reads.
        pub(crate) fn prepare(note: fn() -> Note) {
            NOTE.get_or_init(|| {
                // What looks for the calls' frames is loaded here, and not in a signal handler.
                backtrace::trace(|_| false);
                // SAFETY: the handler calls nothing but atomics, gettid(2), and the unwinder, which allocates nothing once it has
                // run, and takes no lock but the loader's where the C library is old: that one may be taken again by who has it,
                // and others let go of it. Refused only for signals that are not this one.
                let _ = unsafe { signal_hook_registry::register(libc::SIGURG, answer) };
                note
            });
        }

        fn answer() {
            let me = Thread::current().number;
            if ASKED.load(Ordering::Acquire) != me {
                return;
            }
            let mut count = 0;
            // SAFETY: it is unsynchronized with other threads that look for names, of which this looks for none.
            unsafe {
                backtrace::trace_unsynchronized(|frame| {
                    ADDRESSES[count].store(frame.ip() as usize, Ordering::Relaxed);
                    count += 1;
                    count < CALLS_MAX
                });
            }
            COUNT.store(count, Ordering::Relaxed);
            let note = NOTE.get().map(|note| note()).unwrap_or_default();
            TASK.store(note.task, Ordering::Relaxed);
            let spawned_at = note.spawned_at.map_or(null_mut(), |place| std::ptr::from_ref(place).cast_mut());
            SPAWNED_AT.store(spawned_at, Ordering::Relaxed);
            POLLS.store(note.polls, Ordering::Relaxed);
            // Release: who sees this sees the addresses. Unless somebody else has been asked meanwhile, for this came too late.
            let _ = ASKED.compare_exchange(me, 0, Ordering::Release, Ordering::Relaxed);
        }

        /// None if somebody else asks all the time: in a child of fork(2) that may be a thread that it does not have.
        fn one_at_a_time() -> Option<MutexGuard<'static, ()>> {
            let until = Instant::now() + PATIENCE;
            loop {
                match ASKING.try_lock() {
                    Ok(one) => return Some(one),
                    Err(TryLockError::Poisoned(one)) => return Some(one.into_inner()),
                    Err(TryLockError::WouldBlock) if Instant::now() >= until => return None,
                    Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
                }
            }
        }

        /// What another thread said.
        fn noted() -> Note {
            Note {
                task: TASK.load(Ordering::Relaxed),
                // SAFETY: made of a reference that lives as long as the program, or null.
                spawned_at: unsafe { SPAWNED_AT.load(Ordering::Relaxed).as_ref() },
                polls: POLLS.load(Ordering::Relaxed),
            }
        }

        /// The calls that another thread is in; none if it does not answer. tgkill(2)
        pub(crate) fn of(thread: Thread) -> Option<(Calls, Note)> {
            let _one = one_at_a_time()?;
            ASKED.store(thread.number, Ordering::Release);
            // SAFETY: no memory is passed. A thread that has ended is no thread, or another one, which does not answer.
            let sent =
                unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread.number, libc::SIGURG) };
            let until = Instant::now() + PATIENCE;
            while sent == 0 && ASKED.load(Ordering::Acquire) != 0 && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            // Whoever answers from now on is too late, and finds nobody asked.
            let answered = sent == 0
                && ASKED.compare_exchange(thread.number, 0, Ordering::AcqRel, Ordering::Acquire).is_err();
            answered.then(|| {
                let addresses = &ADDRESSES[..COUNT.load(Ordering::Relaxed)];
                let calls = addresses.iter().map(|address| address.load(Ordering::Relaxed)).collect();
                (Calls(calls), noted())
            })
        }

        #[cfg(test)]
        mod tests {
            use super::*;

            #[test]
            fn who_asks_does_not_wait_for_ever_for_another_who_asks() {
                prepare(Note::default);
                let (sender, receiver) = std::sync::mpsc::channel();
                let _for_ever = ASKING.lock();
                std::thread::spawn(move || sender.send(of(Thread::current()).is_none()));
                assert_eq!(receiver.recv_timeout(Duration::from_secs(20)), Ok(true));
            }
        }
    }
}

pub(crate) use asking::{here, named, of, prepare};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_program_is_told_from_those_of_others_wherever_it_lies() {
        let is_the_programs = |file: &str| {
            let frame = Frame { function: "f".into(), file: Some(file.into()), line: Some(1) };
            frame.is_the_programs()
        };
        for file in ["/projects/library/src/main.rs", "/projects/backtrace-viewer/src/main.rs", "src/main.rs"]
        {
            assert!(is_the_programs(file), "{file}");
        }
        let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
        let installed = "/toolchains/stable/lib/rustlib/src/rust/library/std/src/thread.rs";
        let registry = "/registry/src/index/backtrace-0.3.76/src/lib.rs";
        for file in [ours, "/rustc/5980/library/std/src/thread.rs", installed, registry, "./time/sleep.c"] {
            assert!(!is_the_programs(file), "{file}");
        }
    }
}
