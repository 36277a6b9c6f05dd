//! Runs a closure on a helper thread. Just an operation with no ring form.
#![allow(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use crate::driver::{Completion, Form, Operation, Request, form};

/// A closure, and then its result, in one place on the heap that the helper is lent.
pub struct Blocking<T> {
    job: Box<Job<T>>,
}

struct Job<T> {
    /// Runs the closure once; what it leaves is in `result`.
    closure: Option<Box<dyn FnOnce() -> T + Send>>,
    result: Option<thread::Result<T>>,
    /// This type's own `run`, so that the form needs no type parameter.
    run: unsafe fn(*mut u8),
}

const FORM: &Form = &form! {
    name: "blocking",
    wait: Helper,
    entry: none,
    attempt: |request| {
        // SAFETY: the pointer to a function was put here by `request` below.
        let run = unsafe { std::mem::transmute::<*mut u8, unsafe fn(*mut u8)>(request.other_pointer) };
        // SAFETY: the operation is in flight, so the job is lent to this thread alone (I2).
        unsafe { run(request.pointer) };
        0
    },
    // A helper works while the world stands still, so the order of things does not depend on it.
    simulated: |request, kernel| {
        let request = *request;
        // SAFETY: as above.
        kernel.helper(move || unsafe { request.attempt() })
    },
};

impl<T: Send + 'static> Blocking<T> {
    pub(crate) fn new(closure: impl FnOnce() -> T + Send + 'static) -> Self {
        let closure: Box<dyn FnOnce() -> T + Send> = Box::new(closure);
        Blocking { job: Box::new(Job { closure: Some(closure), result: None, run: Job::<T>::run }) }
    }
}

impl<T> Job<T> {
    /// # Safety
    /// `job` is a `Job<T>` that nobody else touches. Closure and result are `Send`, by `Blocking::new`.
    unsafe fn run(job: *mut u8) {
        // SAFETY: the caller's promise.
        let job = unsafe { &mut *job.cast::<Job<T>>() };
        if let Some(closure) = job.closure.take() {
            job.result = Some(catch_unwind(AssertUnwindSafe(closure)));
        }
    }
}

impl<T: Send + 'static> Operation for Blocking<T> {
    /// None if it was cancelled before it began, or no thread could be started.
    type Output = Result<thread::Result<T>, std::io::Error>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request {
            pointer: (&raw mut *self.job).cast(),
            other_pointer: self.job.run as *mut u8,
            ..Request::new(FORM)
        }
    }

    fn complete(self, answer: Completion) -> Self::Output {
        answer.checked()?;
        self.job.result.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::Interrupted))
    }
}
