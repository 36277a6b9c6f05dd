//! Debug mode: a second thread that looks whether a poll takes long, and a place to tell what was found.
//!
//! Off, there is nothing of it. On, each poll takes four looks at the clock, and says whose it is under a lock.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::hooks::{Meta, drop_unheard, say};
use super::warning::{Leak, NeverPolled, SlowPoll, Warning};
use crate::sys::{clock, stack};

pub(crate) type Tell = Arc<dyn Fn(&Warning) + Send + Sync>;

/// How debug mode is set.
#[derive(Clone)]
pub(crate) struct DebugPlan {
    /// How long a poll may take.
    pub(crate) slow: Duration,
    /// Whom to tell; by default standard error.
    pub(crate) tell: Option<Tell>,
}

impl fmt::Debug for DebugPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DebugPlan").field("slow", &self.slow).finish_non_exhaustive()
    }
}

/// Tells whoever wants to be told, or else says it.
pub(crate) fn tell(whom: &Option<Tell>, warning: &Warning) {
    #[cfg(feature = "tracing")]
    catch_unwind(AssertUnwindSafe(|| super::traced::warn(warning))).unwrap_or_else(drop_unheard);
    match whom {
        // A panic of theirs has been told by the panic hook, and what comes next is told all the same.
        Some(tell) => catch_unwind(AssertUnwindSafe(|| tell(warning))).unwrap_or_else(drop_unheard),
        None => say(warning),
    }
}

pub(crate) struct Debug {
    shared: Arc<Shared>,
    looker: Option<JoinHandle<()>>,
}

/// What the two threads share.
struct Shared {
    plan: DebugPlan,
    thread: stack::Thread,
    /// When the poll began that is going on, and zero between polls.
    since: AtomicU64,
    /// Whose it is.
    task: Mutex<Option<Meta>>,
    /// When the slow poll began that was told of.
    told: AtomicU64,
    ends: AtomicBool,
    /// What is to be told, first come first told: by the second thread, which gives the calls their names. That takes up to a second
    /// the first time, and is not the loop's work.
    found: Mutex<VecDeque<(Warning, stack::Calls)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Debug {
    pub(crate) fn new(plan: DebugPlan) -> Debug {
        stack::prepare(super::asked::note);
        let shared = Arc::new(Shared {
            plan,
            thread: stack::Thread::current(),
            since: AtomicU64::new(0),
            task: Mutex::new(None),
            told: AtomicU64::new(0),
            ends: AtomicBool::new(false),
            found: Mutex::default(),
        });
        let looking = Arc::clone(&shared);
        let looker =
            std::thread::Builder::new().name("annulus-debug".to_owned()).spawn(move || looking.look());
        let looker = looker.inspect_err(|error| {
            say(&format_args!(
                "debug mode cannot look for slow polls, for there is no thread to be had: {error}"
            ));
        });
        Debug { shared, looker: looker.ok() }
    }

    /// A task is about to be polled.
    pub(super) fn poll_begins(&self, task: Meta) {
        *lock(&self.shared.task) = Some(task);
        self.shared.since.store(clock::now(), Ordering::Release);
    }

    /// The poll is over.
    pub(super) fn poll_ends(&self) {
        let since = self.shared.since.swap(0, Ordering::AcqRel);
        let time = Duration::from_nanos(clock::now() - since);
        if time >= self.shared.plan.slow {
            self.tell_of_slow(time, since);
        }
    }

    #[cold]
    fn tell_of_slow(&self, time: Duration, since: u64) {
        let Some(task) = lock(&self.shared.task).take() else { return };
        let slow = |is_over| {
            let slow = SlowPoll { task: task.clone(), time, is_over, frames: Vec::new(), untold: 0 };
            (Warning::SlowPoll(slow), stack::Calls::default())
        };
        let mut found = lock(&self.shared.found);
        if self.shared.told.swap(since, Ordering::Relaxed) != since {
            // It was over before the other thread looked.
            found.push_back(slow(false));
        }
        found.push_back(slow(true));
        drop(found);
        self.have_it_told();
    }

    /// An operation was dropped that nobody had awaited.
    pub(super) fn never_polled(&self, operation: &'static str, task: Option<Meta>) {
        let found = NeverPolled { operation, task, frames: Vec::new() };
        lock(&self.shared.found).push_back((Warning::NeverPolled(found), stack::here()));
        self.have_it_told();
    }

    pub(crate) fn tell(&self, leak: Leak) {
        lock(&self.shared.found).push_back((Warning::Leak(leak), stack::Calls::default()));
        self.have_it_told();
    }

    fn have_it_told(&self) {
        match &self.looker {
            Some(looker) => looker.thread().unpark(),
            None => self.shared.tell_all(),
        }
    }
}

impl Shared {
    /// What the second thread does.
    fn look(&self) {
        let step = (self.plan.slow / 4).clamp(Duration::from_millis(1), Duration::from_millis(50));
        while !self.ends.load(Ordering::Acquire) {
            std::thread::park_timeout(step);
            self.look_at_poll();
            self.tell_all();
        }
        self.tell_all();
    }

    fn look_at_poll(&self) {
        let since = self.since.load(Ordering::Acquire);
        let time = Duration::from_nanos(clock::now().saturating_sub(since));
        if since == 0 || time < self.plan.slow || self.told.load(Ordering::Relaxed) == since {
            return;
        }
        let calls = stack::of(self.thread).map(|(calls, _)| calls).unwrap_or_default();
        let task = lock(&self.task).clone();
        let mut found = lock(&self.found);
        // Still the same poll, so these are its calls and its task.
        let Some(task) = task.filter(|_| self.since.load(Ordering::Acquire) == since) else { return };
        if self.told.swap(since, Ordering::Relaxed) != since {
            let slow = SlowPoll { task, time, is_over: false, frames: Vec::new(), untold: 0 };
            found.push_back((Warning::SlowPoll(slow), calls));
        }
    }

    fn tell_all(&self) {
        loop {
            // Not held while it is told.
            let Some((mut warning, calls)) = lock(&self.found).pop_front() else { return };
            match &mut warning {
                Warning::SlowPoll(SlowPoll { frames, .. })
                | Warning::NeverPolled(NeverPolled { frames, .. }) => {
                    *frames = stack::named(&calls);
                }
                Warning::Leak(_) => {}
            }
            tell(&self.plan.tell, &warning);
        }
    }
}

impl Drop for Debug {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Release);
        if let Some(looker) = self.looker.take() {
            looker.thread().unpark();
            // Unless it is this very thread, which has told somebody who has dropped the loop: it ends by itself.
            if looker.thread().id() != std::thread::current().id() {
                drop(looker.join());
            }
        }
    }
}
