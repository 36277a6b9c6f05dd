//! Threads for calls that can only block. Started when there is work, ended when there was none for a while.
//!
//! A helper gets the plain request, never the operation: buffers that are not `Send` stay at home. What it
//! answers goes to a list that the loop takes when it reaps.
#![allow(unsafe_code)]

#[cfg(all(test, annulus_loom))]
mod models;

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use super::Counters;
use super::operation::Request;
use super::slots::Token;
use crate::executor::Inbox;
use crate::sys;
use crate::sys::sync::atomic::{AtomicBool, Ordering};
use crate::sys::sync::{Arc, Condvar, Mutex, MutexGuard, thread};

/// How long a helper waits for work before it ends.
const IDLE: Duration = Duration::from_secs(10);

/// How many helpers there may be, and where.
#[derive(Clone, Debug)]
pub(crate) struct HelperPlan {
    pub(crate) max: usize,
    /// The processors that they run on: a thread has those of whoever starts it, which is one alone where a loop is bound to it.
    pub(crate) cpus: Option<std::sync::Arc<[usize]>>,
}

pub(crate) struct Helpers {
    shared: Arc<Shared>,
    /// How many answers were taken.
    done: Cell<u64>,
}

struct Shared {
    work: Mutex<Work>,
    work_came: Condvar,
    answers: Mutex<Vec<(Token, i32)>>,
    answered: AtomicBool,
    inbox: &'static Inbox,
    plan: HelperPlan,
}

#[derive(Default)]
struct Work {
    jobs: VecDeque<(Token, Request)>,
    threads: usize,
    idle: usize,
    ended: bool,
    named: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A job that panics does so outside of the locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Helpers {
    pub(crate) fn new(inbox: &'static Inbox, plan: &HelperPlan) -> Helpers {
        Helpers {
            done: Cell::new(0),
            shared: Arc::new(Shared {
                work: Mutex::default(),
                work_came: Condvar::new(),
                answers: Mutex::default(),
                answered: AtomicBool::new(false),
                inbox,
                plan: plan.clone(),
            }),
        }
    }

    /// Gives a request to a helper. Its answer comes by `take`.
    pub(crate) fn submit(&self, token: Token, request: &Request) {
        let mut work = lock(&self.shared.work);
        work.jobs.push_back((token, *request));
        // The idle may have been promised to jobs that are still queued.
        if work.jobs.len() <= work.idle {
            self.shared.work_came.notify_one();
            return;
        }
        if work.threads >= self.shared.plan.max {
            return;
        }
        work.threads += 1;
        work.named += 1;
        let name = format!("annulus-helper-{}", work.named);
        let shared = Arc::clone(&self.shared);
        if let Err(error) = thread::Builder::new().name(name).spawn(move || shared.serve()) {
            work.threads -= 1;
            // With others at work the job only waits longer. With none it would wait for ever.
            if work.threads == 0 {
                work.jobs.retain(|(waiting, _)| *waiting != token);
                drop(work);
                self.shared.answer(token, -error.raw_os_error().unwrap_or(libc::EAGAIN));
            }
        }
    }

    /// Takes a request back that no helper has begun. False if one has, or if it is not known.
    pub(crate) fn withdraw(&self, token: Token) -> bool {
        let mut work = lock(&self.shared.work);
        let place = work.jobs.iter().position(|(waiting, _)| *waiting == token);
        place.is_some_and(|place| work.jobs.remove(place).is_some())
    }

    /// Whether answers have come: one load.
    pub(crate) fn has_answers(&self) -> bool {
        self.shared.answered.load(Ordering::Acquire)
    }

    /// Takes the answers that have come.
    pub(crate) fn take(&self) -> Vec<(Token, i32)> {
        if !self.has_answers() {
            return Vec::new();
        }
        self.shared.answered.store(false, Ordering::Relaxed);
        let answers = std::mem::take(&mut *lock(&self.shared.answers));
        self.done.set(self.done.get() + answers.len() as u64);
        answers
    }

    /// A driver's counters, and these beside them.
    pub(crate) fn counted(&self, counters: Counters) -> Counters {
        let work = lock(&self.shared.work);
        Counters {
            helper_threads: work.threads,
            helper_jobs_waiting: work.jobs.len(),
            helper_jobs_done: self.done.get(),
            ..counters
        }
    }
}

impl Drop for Helpers {
    /// The threads end when they have nothing to do. Those at work are not waited for: the port did that,
    /// up to its deadline, and after it the memory that they use is leaked.
    fn drop(&mut self) {
        lock(&self.shared.work).ended = true;
        self.shared.work_came.notify_all();
    }
}

impl Shared {
    /// The life of a helper.
    fn serve(&self) {
        if let Some(cpus) = &self.plan.cpus {
            // Refused where those were taken from the process meanwhile: then it stays where it is.
            let _ = sys::affinity::run_on(cpus);
        }
        let mut work = lock(&self.work);
        loop {
            if let Some((token, request)) = work.jobs.pop_front() {
                drop(work);
                // SAFETY: the job was in the queue, so its operation is in flight until the answer below is reaped.
                let answer = unsafe { request.attempt() };
                self.answer(token, answer);
                work = lock(&self.work);
                continue;
            }
            if work.ended {
                break;
            }
            work.idle += 1;
            let waited = self.work_came.wait_timeout(work, IDLE);
            let timeout;
            (work, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            work.idle -= 1;
            if timeout.timed_out() && work.jobs.is_empty() {
                break;
            }
        }
        work.threads -= 1;
    }

    fn answer(&self, token: Token, answer: i32) {
        lock(&self.answers).push((token, answer));
        self.answered.store(true, Ordering::Release);
        self.inbox.call();
    }
}
