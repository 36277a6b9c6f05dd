//! What a loop and those who ask it share, in each order in which it could happen: run by loom, see CONTRIBUTING.md.
//!
//! Shared are the queue and each job, both behind locks. The channel that an answer goes by is tokio's and not loom's: it is
//! a place to put the answer in here, and what decides whether and when it is put there stands in front of it.
#![allow(unsafe_code)]

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::cell::UnsafeCell;
use tokio::sync::oneshot::error::TryRecvError;

use super::{Attendant, Job, Jobs, Outcome};
use crate::executor::Doorbell;
use crate::executor::models::{Bell, explore};
use crate::sys::sync::thread;

/// What became of a closure. Loom sees to it that whoever writes and whoever reads are not there at once.
struct Fate(UnsafeCell<(u32, u32)>);

// SAFETY: loom's threads are all on one of the system's; and it watches the cell.
unsafe impl Send for Fate {}
// SAFETY: as above.
unsafe impl Sync for Fate {}

impl Fate {
    fn note(&self, change: impl FnOnce(&mut (u32, u32))) {
        // SAFETY: loom lets nobody else be there.
        self.0.with_mut(|fate| change(unsafe { &mut *fate }));
    }

    /// How often it ran, and how often it was dropped.
    fn told(&self) -> (u32, u32) {
        // SAFETY: as above.
        self.0.with(|fate| unsafe { *fate })
    }
}

/// Part of a closure: notes that it is gone.
struct Part(Arc<Fate>);

impl Drop for Part {
    fn drop(&mut self) {
        self.0.note(|fate| fate.1 += 1);
    }
}

/// A job, and what becomes of its closure.
fn noted() -> (Arc<Job>, Arc<Fate>) {
    let fate = Arc::new(Fate(UnsafeCell::new((0, 0))));
    let part = Part(Arc::clone(&fate));
    (Job::new(move |_| part.0.note(|fate| fate.0 += 1)), fate)
}

/// What wakes a loop that sleeps.
struct Ring(Bell);

impl Wake for Ring {
    fn wake(self: Arc<Ring>) {
        self.0.ring();
    }
}

/// A loop that has nothing but one task to poll.
struct Loop {
    ring: Arc<Ring>,
    waker: Waker,
}

impl Loop {
    fn new() -> Loop {
        let ring = Arc::new(Ring(Bell::new()));
        Loop { waker: Waker::from(Arc::clone(&ring)), ring }
    }

    fn poll<F: Future + ?Sized>(&self, task: Pin<&mut F>) -> Poll<F::Output> {
        task.poll(&mut Context::from_waker(&self.waker))
    }

    /// Polls until it is done, and sleeps while it has said nothing.
    fn run_until(&self, attendant: &mut Attendant, done: impl Fn() -> bool) {
        while self.poll(Pin::new(&mut *attendant)).is_pending() && !done() {
            self.ring.0.sleep();
        }
    }

    fn run<F: Future + ?Sized>(&self, mut task: Pin<&mut F>) {
        while self.poll(task.as_mut()).is_pending() {
            self.ring.0.sleep();
        }
    }
}

#[test]
fn a_job_that_comes_as_the_attendant_goes_to_sleep_is_done() {
    explore(|| {
        let (jobs, mut attendant) = Jobs::new();
        let (first, one) = noted();
        let (second, other) = noted();
        let runs = Loop::new();
        let pushes = thread::spawn(move || {
            jobs.push(first);
            jobs.push(second);
        });
        // The loop's own count, for it runs them: no other thread is asked.
        runs.run_until(&mut attendant, {
            let (one, other) = (Arc::clone(&one), Arc::clone(&other));
            move || attended(&one) && attended(&other)
        });
        pushes.join().unwrap();
        assert_eq!((one.told(), other.told()), ((1, 1), (1, 1)));
    });
}

fn attended(fate: &Fate) -> bool {
    fate.told().0 > 0
}

#[test]
fn jobs_of_two_threads_are_done_each_once() {
    explore(|| {
        let (jobs, mut attendant) = Jobs::new();
        let runs = Loop::new();
        let (asked, fates): (Vec<_>, Vec<_>) = [noted(), noted()].into_iter().unzip();
        let pushes = asked.into_iter().map(|job| {
            let jobs = Arc::clone(&jobs);
            thread::spawn(move || jobs.push(job))
        });
        let pushes: Vec<_> = pushes.collect();
        runs.run_until(&mut attendant, || fates.iter().all(|fate| attended(fate)));
        pushes.into_iter().for_each(|push| push.join().unwrap());
        assert!(fates.iter().all(|fate| fate.told() == (1, 1)));
    });
}

#[test]
fn a_job_that_comes_as_the_loop_ends_is_done_or_stopped_and_never_both() {
    explore(|| {
        let (jobs, mut attendant) = Jobs::new();
        let (first, one) = noted();
        let (second, other) = noted();
        let theirs = Arc::clone(&jobs);
        let pushes = thread::spawn(move || {
            theirs.push(first);
            theirs.push(second);
        });
        let runs = Loop::new();
        assert!(runs.poll(Pin::new(&mut attendant)).is_pending(), "it ends with the loop");
        drop(attendant);
        pushes.join().unwrap();
        for fate in [one, other] {
            let (ran, dropped) = fate.told();
            // While the queue is still there: what is forgotten in it is not done with.
            assert!(ran <= 1 && dropped == 1, "ran {ran} times, dropped {dropped} times");
        }
        assert!(jobs.is_closed());
    });
}

#[test]
fn an_answer_comes_whether_the_loop_ends_or_not() {
    explore(|| {
        let (jobs, mut attendant) = Jobs::new();
        let (job, mut answer) = Job::call(|| 7);
        let theirs = Arc::clone(&jobs);
        let pushes = thread::spawn(move || theirs.push(job));
        assert!(Loop::new().poll(Pin::new(&mut attendant)).is_pending(), "it ends with the loop");
        drop(attendant);
        pushes.join().unwrap();
        // Done, or told that nobody will.
        match answer.try_recv() {
            Ok(outcome) => assert_eq!(outcome.unwrap(), 7),
            Err(error) => assert_eq!(error, TryRecvError::Closed),
        }
        drop(jobs);
    });
}

#[test]
fn a_job_that_is_stopped_as_it_begins_is_done_or_dropped_once() {
    explore(|| {
        let (jobs, mut attendant) = Jobs::new();
        let (job, fate) = noted();
        jobs.push(Arc::clone(&job));
        let stops = thread::spawn(move || job.stop());
        assert!(Loop::new().poll(Pin::new(&mut attendant)).is_pending(), "it ends with the loop");
        stops.join().unwrap();
        let (ran, dropped) = fate.told();
        assert!(ran <= 1 && dropped == 1, "ran {ran} times, dropped {dropped} times");
    });
}

#[test]
fn a_job_that_two_threads_stop_is_dropped_once() {
    explore(|| {
        let (job, fate) = noted();
        let same = Arc::clone(&job);
        let stops = thread::spawn(move || same.stop());
        job.stop();
        stops.join().unwrap();
        assert_eq!(fate.told(), (0, 1));
    });
}

/// Begins a job that is a task, and polls it to its end, while another thread stops it. None if it was stopped before it began.
fn stopped<F: Future<Output = u32> + Send + 'static>(future: F) -> Option<Outcome<u32>> {
    let (begun, task) = std::sync::mpsc::channel();
    let (job, mut answer) = Job::task_run_by(|| future, move |task| begun.send(task).unwrap());
    let same = Arc::clone(&job);
    let stops = thread::spawn(move || same.stop());
    job.run();
    let began = task.try_recv().ok();
    let has_begun = began.is_some();
    if let Some(task) = began {
        Loop::new().run(pin!(task));
    }
    stops.join().unwrap();
    match answer.try_recv() {
        Ok(outcome) if has_begun => Some(outcome),
        Err(TryRecvError::Closed) if !has_begun => None,
        other => panic!("begun: {has_begun}, answered: {other:?}"),
    }
}

#[test]
fn a_task_that_waits_for_ever_hears_that_it_is_stopped() {
    explore(|| {
        if let Some(outcome) = stopped(std::future::pending()) {
            assert!(outcome.unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn a_task_that_is_stopped_as_it_ends_has_one_answer_and_is_dropped_once() {
    explore(|| {
        let fate = Arc::new(Fate(UnsafeCell::new((0, 0))));
        let part = Part(Arc::clone(&fate));
        let mut polls = 0;
        let outcome = stopped(poll_fn(move |cx| {
            part.0.note(|fate| fate.0 += 1);
            polls += 1;
            // Its second poll is its last.
            if polls == 2 {
                return Poll::Ready(7);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        let (polled, dropped) = fate.told();
        assert_eq!(dropped, 1);
        match outcome {
            Some(Ok(answer)) => assert_eq!((answer, polled), (7, 2)),
            Some(Err(error)) => assert!(error.is_cancelled() && polled < 2, "polled {polled} times"),
            None => assert_eq!(polled, 0),
        }
    });
}
