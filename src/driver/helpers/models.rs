//! Helpers, their answers and the port's sleep, in each order in which it could happen: run by loom, see CONTRIBUTING.md.
//!
//! What loom does not show: a thread that cannot be started. When the time of a waiting helper is over, the model says.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::future::poll_fn;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use loom::cell::UnsafeCell;

use super::{HelperPlan, Helpers};
use crate::buf::PoolSize;
use crate::driver::scripted::Script;
use crate::driver::{Driver, Form, Port, Request, Token, form};
use crate::executor::models::{Bell, explore};
use crate::executor::{Doorbell, Executor, Hooks, Plan};
use crate::sys::sync::atomic::{AtomicBool, Ordering};
use crate::sys::sync::thread;

const FORM: &Form = &form! {
    name: "modelled",
    wait: Helper,
    entry: none,
    attempt: |request| {
        // SAFETY: made by `Job::new`, and never freed.
        let job = unsafe { &*request.pointer.cast::<Job>() };
        assert!(!job.withdrawn.get(), "begun after it was withdrawn");
        (job.work)();
        job.lent.with_mut(|_| job.done.set(job.done.get() + 1));
        job.number
    },
    simulated: |_request, _kernel| 0,
};

/// A job, and the memory that it is lent.
struct Job {
    number: i32,
    work: Box<dyn Fn()>,
    /// What the helper writes, and who looks must have seen it write.
    lent: UnsafeCell<()>,
    done: Cell<u32>,
    withdrawn: Cell<bool>,
}

impl Job {
    /// Leaked: a helper's thread may still be about when the model has seen enough.
    fn new(number: i32) -> &'static Job {
        Job::doing(number, || ())
    }

    fn doing(number: i32, work: impl Fn() + 'static) -> &'static Job {
        let work = Box::new(work);
        Box::leak(Box::new(Job {
            work,
            number,
            lent: UnsafeCell::new(()),
            done: Cell::new(0),
            withdrawn: Cell::new(false),
        }))
    }

    fn token(&self) -> Token {
        Token(self.number as u64)
    }

    fn submit(&'static self, helpers: &Helpers) {
        let pointer = std::ptr::from_ref(self).cast_mut().cast();
        helpers.submit(self.token(), &Request { pointer, ..Request::new(FORM) });
    }

    /// True if it will not be answered.
    fn withdraw(&self, helpers: &Helpers) -> bool {
        self.withdrawn.set(helpers.withdraw(self.token()));
        self.withdrawn.get()
    }
}

/// A loop that only sleeps and collects.
struct Loop {
    executor: Executor,
    bell: Arc<Bell>,
    port: Rc<Port>,
    helpers: Helpers,
    answers: Vec<i32>,
}

impl Loop {
    fn new(threads_max: usize) -> Loop {
        let executor = Executor::new(Hooks::default(), None);
        let inbox = executor.inbox();
        let bell = Bell::of(inbox);
        let rung = Arc::clone(&bell);
        let mut script = Script::default();
        script.asleep = Some(Box::new(move || rung.sleep()));
        let port = Port::new(executor.id(), inbox, Driver::Scripted(script), PoolSize::USUAL);
        Loop {
            executor,
            bell,
            port,
            helpers: Helpers::new(inbox, &HelperPlan { max: threads_max, cpus: None }),
            answers: Vec::new(),
        }
    }

    /// Sleeps unless something has come, as the drivers and the turn do.
    fn sleep(&self) {
        let look = || self.helpers.has_answers() || !self.executor.inbox().is_empty();
        self.port.wait(None, look).unwrap();
    }

    fn take_answers(&mut self) {
        let taken = self.helpers.take();
        self.answers.extend(taken.into_iter().map(|(token, answer)| {
            assert_eq!(token.0, answer as u64, "the answer of another");
            answer
        }));
    }

    /// Sleeps until these are answered, each of them once, and nothing else.
    fn collect(&mut self, jobs: &[&Job]) {
        self.take_answers();
        while self.answers.len() < jobs.len() {
            self.sleep();
            self.take_answers();
        }
        let mut wanted: Vec<_> = jobs.iter().map(|job| job.number).collect();
        wanted.sort();
        self.answers.sort();
        assert_eq!(self.answers, wanted);
        self.answers.clear();
        for job in jobs {
            job.lent.with(|_| assert_eq!(job.done.get(), 1, "done once"));
        }
    }

    /// Helpers end first, then the runtime: a helper may still be on its way to the bell.
    fn end(self) {
        drop(self.helpers);
        drop((self.port, self.executor));
        self.bell.close();
    }
}

#[test]
fn each_job_is_answered_once() {
    explore(|| {
        let mut runtime = Loop::new(2);
        let jobs = [Job::new(1), Job::new(2)];
        jobs.iter().for_each(|job| job.submit(&runtime.helpers));
        runtime.collect(&jobs);
        runtime.end();
    });
}

#[test]
fn a_job_that_has_to_wait_for_the_only_helper_is_answered() {
    explore(|| {
        let mut runtime = Loop::new(1);
        let jobs = [Job::new(1), Job::new(2)];
        jobs.iter().for_each(|job| job.submit(&runtime.helpers));
        runtime.collect(&jobs);
        runtime.end();
    });
}

#[test]
fn a_helper_that_waits_or_is_about_to_is_found_by_the_next_job() {
    explore(|| {
        let mut runtime = Loop::new(1);
        for job in [Job::new(1), Job::new(2)] {
            job.submit(&runtime.helpers);
            runtime.collect(&[job]);
        }
        runtime.end();
    });
}

#[test]
fn jobs_may_wait_for_each_other_while_more_helpers_are_permitted() {
    explore(|| {
        let mut runtime = Loop::new(2);
        let gate = Arc::new(Bell::new());
        let other_side = Arc::clone(&gate);
        let first = Job::new(1);
        // The second waits for the third: the one helper that is idle, or about to be, is not enough for both.
        let (second, third) = (Job::doing(2, move || gate.sleep()), Job::doing(3, move || other_side.ring()));
        first.submit(&runtime.helpers);
        runtime.collect(&[first]);
        second.submit(&runtime.helpers);
        third.submit(&runtime.helpers);
        runtime.collect(&[second, third]);
        runtime.end();
    });
}

#[test]
fn a_job_is_withdrawn_or_answered_and_never_both() {
    explore(|| {
        let mut runtime = Loop::new(1);
        let (first, second) = (Job::new(1), Job::new(2));
        first.submit(&runtime.helpers);
        second.submit(&runtime.helpers);
        match second.withdraw(&runtime.helpers) {
            true => runtime.collect(&[first]),
            false => runtime.collect(&[first, second]),
        }
        runtime.end();
    });
}

#[test]
fn helpers_end_wherever_they_are() {
    explore(|| {
        let mut runtime = Loop::new(2);
        let job = Job::new(1);
        job.submit(&runtime.helpers);
        // A helper may not have begun to live yet, may be at work, or about to wait.
        if !job.withdraw(&runtime.helpers) {
            runtime.collect(&[job]);
        }
        runtime.end();
    });
}

#[test]
fn a_helper_that_gives_up_leaves_no_job_behind() {
    explore(|| {
        let mut runtime = Loop::new(1);
        let (first, second) = (Job::new(1), Job::new(2));
        first.submit(&runtime.helpers);
        runtime.collect(&[first]);
        let shared = crate::sys::sync::Arc::clone(&runtime.helpers.shared);
        let clock = thread::spawn(move || shared.work_came.expire());
        second.submit(&runtime.helpers);
        runtime.collect(&[second]);
        clock.join().unwrap();
        runtime.end();
    });
}

#[test]
fn neither_a_wake_nor_an_answer_is_slept_through() {
    explore(|| {
        let mut runtime = Loop::new(1);
        let told = Rc::new(AtomicBool::new(false));
        let waker = Rc::new(Cell::new(None::<Waker>));
        let task = runtime.executor.spawn(
            {
                let (told, waker) = (Rc::clone(&told), Rc::clone(&waker));
                poll_fn(move |cx| {
                    waker.set(Some(cx.waker().clone()));
                    if told.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
                })
            },
            Plan::at(Location::caller()),
        );
        runtime.executor.poll_next();
        let job = Job::new(1);
        job.submit(&runtime.helpers);
        let other = thread::spawn({
            let waker = waker.take().unwrap();
            move || {
                told.store(true, Ordering::Relaxed);
                waker.wake();
            }
        });
        while !task.is_finished() || runtime.answers.is_empty() {
            runtime.sleep();
            runtime.executor.take_inbox();
            while runtime.executor.poll_next() {}
            runtime.take_answers();
        }
        runtime.collect(&[job]);
        drop((task, waker.take()));
        other.join().unwrap();
        runtime.end();
    });
}
