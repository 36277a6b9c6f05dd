//! What other threads see of a loop without asking it: who it is, and whether it works, waits or rests.
//!
//! The loop writes one number a turn. A number that stays the same while the loop says that it works is a loop that is stuck: whoever
//! looks need not have an answer of it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, TryLockError, Weak};
use std::time::{Duration, Instant};

use super::dumps::Dumps;
use super::watchdog::{self, Watch};
use super::{Jobs, say};
use crate::driver::forks;
use crate::recorder::{Place, Recording, Ring};
use crate::sys::stack;

/// What a loop is doing, as far as others can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It is not run: before the first run, between two, or in the hands of another loop that has nothing for it.
    Resting,
    /// It sleeps until something comes.
    Waiting,
    /// It polls tasks, or talks to its driver.
    Working,
}

const WORKING: u64 = 1;
const WAITING: u64 = 2;
/// The bits that say what it is doing; above them turns are counted.
const DOING: u64 = 3;
const TURN: u64 = DOING + 1;

/// See the top of this file.
pub(crate) struct Beacon {
    number: u64,
    thread: stack::Thread,
    thread_name: Option<String>,
    driver: &'static str,
    /// The process that it is of, by what `forks` said.
    process: u32,
    heart: AtomicU64,
    /// How the loop is asked for something, if it is at all.
    jobs: OnceLock<Arc<Jobs>>,
    watch: OnceLock<Watch>,
    ring: Option<Arc<Ring>>,
    dumps: OnceLock<Dumps>,
    /// Polls that were found to be stuck.
    stalls: AtomicU64,
}

impl Beacon {
    /// The loop of this thread.
    pub(super) fn new(number: u64, driver: &'static str, ring: Option<Arc<Ring>>) -> Arc<Beacon> {
        Arc::new(Beacon {
            number,
            thread: stack::Thread::current(),
            thread_name: std::thread::current().name().map(str::to_owned),
            driver,
            process: forks(),
            heart: AtomicU64::new(0),
            jobs: OnceLock::new(),
            watch: OnceLock::new(),
            ring,
            dumps: OnceLock::new(),
            stalls: AtomicU64::new(0),
        })
    }

    /// From now on others find it.
    pub(crate) fn list(self: &Arc<Beacon>) {
        with_all(|all| {
            all.retain(|beacon| beacon.strong_count() > 0);
            all.push(Arc::downgrade(self));
        });
    }

    // What the loop says. It is the only one that writes: a load and a store are enough.

    /// A turn begins.
    #[inline]
    pub(crate) fn turn(&self) {
        let heart = self.heart.load(Ordering::Relaxed);
        self.heart.store((heart & !DOING) + TURN + WORKING, Ordering::Relaxed);
    }

    /// The loop is about to sleep.
    #[inline]
    pub(crate) fn sleeps(&self) {
        self.say(WAITING);
    }

    /// It has slept.
    #[inline]
    pub(crate) fn wakes(&self) {
        self.say(WORKING);
    }

    /// It is not run any more.
    pub(super) fn rests(&self) {
        self.say(0);
    }

    #[inline]
    fn say(&self, doing: u64) {
        let heart = self.heart.load(Ordering::Relaxed);
        self.heart.store((heart & !DOING) | doing, Ordering::Relaxed);
    }

    /// It can be asked by these.
    pub(super) fn answers_to(&self, jobs: &Arc<Jobs>) {
        let _ = self.jobs.set(Arc::clone(jobs));
    }

    /// From now on another thread looks whether it hangs. It is to be listed.
    pub(crate) fn is_to_be_watched(&self, watch: Watch) {
        let _ = self.watch.set(watch);
        watchdog::say_what_is_missing();
        self.is_attended();
    }

    /// From now on what is recorded goes to files in this directory when something goes wrong.
    pub(crate) fn dumps_to(&self, directory: PathBuf) {
        self.ring.iter().for_each(|ring| ring.keep());
        let _ = self.dumps.set(Dumps { directory });
        self.is_attended();
    }

    fn is_attended(&self) {
        if let Err(error) = watchdog::attend() {
            say(&format_args!(
                "the watchdog cannot look for stalls, for there is no thread to be had: {error}"
            ));
        }
    }

    // What others see.

    /// What tells the loop from all others of the process, from one, never used twice.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn ring(&self) -> Option<&Arc<Ring>> {
        self.ring.as_ref()
    }

    pub(super) fn dumps(&self) -> Option<&Dumps> {
        self.dumps.get()
    }

    pub(super) fn place(&self) -> Place {
        Place { number: self.number, thread: self.thread_name.clone(), driver: self.driver }
    }

    /// What the loop has done lately, if that is recorded.
    pub(crate) fn recording(&self) -> Option<Recording> {
        self.ring.as_ref().map(|ring| Recording::of(ring, self.place()))
    }

    pub(super) fn watch(&self) -> Option<&Watch> {
        self.watch.get()
    }

    /// A poll was found to be stuck.
    pub(super) fn stalled(&self) {
        self.stalls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }

    pub(crate) fn thread(&self) -> stack::Thread {
        self.thread
    }

    #[cfg(feature = "inspect")]
    pub(crate) fn thread_name(&self) -> Option<&str> {
        self.thread_name.as_deref()
    }

    #[cfg(feature = "inspect")]
    pub(crate) fn driver(&self) -> &'static str {
        self.driver
    }

    #[cfg(feature = "inspect")]
    /// How the loop is asked for something; none if it was not made to be, or has ended.
    pub(crate) fn jobs(&self) -> Option<&Arc<Jobs>> {
        self.jobs.get().filter(|jobs| !jobs.is_closed())
    }

    /// How many turns it has begun.
    pub(crate) fn turns(&self) -> u64 {
        self.heart.load(Ordering::Relaxed) / TURN
    }

    pub(crate) fn doing(&self) -> Doing {
        match self.heart.load(Ordering::Relaxed) & DOING {
            WORKING => Doing::Working,
            WAITING => Doing::Waiting,
            _ => Doing::Resting,
        }
    }
}

static ALL: Mutex<Vec<Weak<Beacon>>> = Mutex::new(Vec::new());

/// A child of fork(2) may have the lock as another thread of its parent's held it: nobody waits for long.
fn with_all<T: Default>(work: impl FnOnce(&mut Vec<Weak<Beacon>>) -> T) -> T {
    const PATIENCE: Duration = Duration::from_millis(100);
    let begun = Instant::now();
    loop {
        match ALL.try_lock() {
            Ok(mut all) => return work(&mut all),
            Err(TryLockError::Poisoned(all)) => return work(&mut all.into_inner()),
            Err(TryLockError::WouldBlock) if begun.elapsed() > PATIENCE => return T::default(),
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
}

/// Those of the loops of this process that are listed and have not ended, the oldest first.
pub(crate) fn beacons() -> Vec<Arc<Beacon>> {
    let process = forks();
    let of_this_process = |beacon: &Arc<Beacon>| beacon.process == process;
    with_all(|all| all.iter().filter_map(Weak::upgrade).filter(of_this_process).collect())
}
