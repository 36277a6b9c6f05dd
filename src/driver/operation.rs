//! The contract between operations and drivers.
//!
//! An operation owns everything that the kernel may touch. What a driver gets of it is a [`Request`]: plain,
//! copyable data that points only into memory which the operation owns (I1), together with the [`Form`] that
//! says how to do it: as an entry of the ring, or by one system call and where to wait before trying again.
//! Drivers know no concrete operation.
#![allow(unsafe_code)]

mod form;
mod kind;

#[cfg(feature = "sim")]
use std::ffi::CStr;

use super::completion::Completion;
use super::descriptor::{Hold, Way};
#[cfg(feature = "sim")]
use super::sim::Kernel;
use crate::buf::Pool;

pub(crate) use form::form;
pub(crate) use kind::Kind;

/// Everything that the kernel may touch on behalf of one submission, and what to make of the answer.
///
/// Between submission and completion exactly one of future and slot owns it (I2).
pub trait Operation: 'static {
    /// What the future resolves to.
    type Output;

    /// How this kind of operation is done.
    fn form() -> &'static Form;

    /// The plain request. Asked for at each submission; the pointers in it stay valid while `self` is moved
    /// and until it is dropped.
    fn request(&mut self) -> Request;

    /// Makes the output of the answer. Runs exactly once, so that everything that an answer brings has an owner.
    fn complete(self, answer: Completion) -> Self::Output;

    /// The descriptor that the request names.
    fn descriptor(&self) -> Option<&Hold> {
        None
    }

    /// Which direction of the descriptor the operation uses up, if others must wait for it meanwhile.
    fn way(&self) -> Option<Way> {
        None
    }

    /// An answer that needs no driver: what an abandoned operation left for the next one, or an empty transfer.
    fn answer_at_hand(&mut self) -> Option<Completion> {
        None
    }

    /// Where it waits when it cannot be done at once.
    fn wait(&self) -> Wait {
        Self::form().wait
    }

    /// Looks at an answer first: whether there is more to do before the operation is complete, in the same turn of
    /// its direction.
    fn goes_on(&mut self, _answer: Completion) -> bool {
        false
    }

    /// Whether it changes what a file holds. If such a one is dropped, those that follow wait until it is settled, so
    /// that it cannot overtake them.
    fn writes_file(&self) -> bool {
        false
    }

    /// Whether it begins only when the dropped writes of its file are settled.
    fn follows_writes(&self) -> bool {
        self.writes_file()
    }

    /// Whether it may be tried by a call of its own first.
    fn trial(&self) -> Trial {
        Trial::Never
    }

    /// Takes an answer that nobody waits for any more. What it brings closes or frees itself when dropped,
    /// unless it can be kept for the next operation.
    fn salvage(self, answer: Completion)
    where
        Self: Sized,
    {
        drop(self.complete(answer));
    }

    /// The same of an answer that is not the last, if there are several.
    fn salvage_one(&mut self, _answer: Completion) {
        debug_assert!(false, "{} is answered once", Self::form().name);
    }
}

/// How one kind of operation is done. One static a kind, written by [`form!`](crate::driver::form).
pub struct Form {
    /// As the kernel calls it, in lower case. Names the operation in `Builder::without_operation` and in errors.
    pub(crate) name: &'static str,
    /// As what it is counted.
    pub(crate) kind: Kind,
    /// Where to wait when there is no ring, or the ring does not know the operation.
    pub(crate) wait: Wait,
    /// Which memory of the operation is lent while it is in flight.
    pub(crate) lends: Lends,
    /// It is answered into a buffer of the pool, which the answer names.
    pub(crate) picks: bool,
    /// It may be answered several times. Where that cannot be had it is answered once, and so it must be ready for both.
    #[cfg_attr(not(feature = "sim"), allow(dead_code, reason = "the ring's entry says so by itself"))]
    pub(crate) repeats: bool,
    /// Its memory may be free only some time after its result is known.
    pub(crate) releases_later: bool,
    /// It takes all that has come, if there is room for it.
    pub(crate) empties: bool,
    #[cfg(annulus_uring)]
    pub(crate) entry: Option<RingForm>,
    /// What it brings may be kept in the ring's own table.
    #[cfg_attr(not(annulus_uring), allow(dead_code, reason = "only a ring has such a table"))]
    pub(crate) brings: Brings,
    /// Its entry names a descriptor by the process's number alone, also one that is in the ring's table: where a path
    /// begins, for example.
    #[cfg_attr(not(annulus_uring), allow(dead_code, reason = "only a ring has such a table"))]
    pub(crate) by_number: bool,
    /// One system call that does it, or says -EAGAIN.
    attempt: unsafe fn(&Request) -> i32,
    /// For a call that a helper has to make: another one that does it if that needs no waiting, or says -EAGAIN.
    attempt_at_once: Option<unsafe fn(&Request) -> i32>,
    /// What a simulated system answers at once, or -EAGAIN.
    #[cfg(feature = "sim")]
    simulated: unsafe fn(&Request, &mut Kernel<'_>) -> i32,
}

/// Which memory of an operation is lent, besides what only its own form knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lends {
    Nothing,
    /// The request's pointer and length: bytes to be written to.
    ToFill,
    /// The request's pointer and length: bytes to be read.
    ToSend,
    /// The request's other pointer and length: an array of such.
    ManyToFill,
    ManyToSend,
}

/// What an operation brings that may be kept in the ring's own table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brings {
    Nothing,
    /// The pointers are for the peer's name then.
    Connection,
    File,
}

/// The ring's form: the code to look up in the kernel's probe, and the entry.
#[cfg(annulus_uring)]
pub(crate) struct RingForm {
    pub(crate) code: u8,
    pub(crate) entry: fn(&Request) -> io_uring::squeue::Entry,
}

/// Where an operation waits that could not be done at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It never has to.
    Never,
    /// Until the descriptor is readable.
    Readable,
    /// Until the descriptor is writable.
    Writable,
    /// Until what poll(2) calls by these flags, which are the request's own.
    Asked,
    /// The call itself waits, so a helper thread makes it.
    Helper,
}

/// One submission as plain data. What the fields mean is the operation's business, but for the descriptor.
#[derive(Clone, Copy)]
pub struct Request {
    pub(crate) form: &'static Form,
    /// The descriptor's number, or -1.
    pub(crate) fd: i32,
    pub(crate) length: u32,
    pub(crate) pointer: *mut u8,
    pub(crate) other_pointer: *mut u8,
    pub(crate) offset: u64,
    pub(crate) flags: i32,
}

// SAFETY: a request goes to a helper thread only while its operation is in flight, and then the memory behind
// the pointers is the kernel's or the helper's alone (I2). The descriptor stays open meanwhile (I4).
unsafe impl Send for Request {}

impl Request {
    #[inline]
    pub(crate) fn new(form: &'static Form) -> Request {
        Request {
            form,
            fd: -1,
            length: 0,
            pointer: std::ptr::null_mut(),
            other_pointer: std::ptr::null_mut(),
            offset: 0,
            flags: 0,
        }
    }

    /// A request about `hold`'s descriptor.
    #[inline]
    pub(crate) fn on(form: &'static Form, hold: &Hold) -> Request {
        Request { fd: hold.number(), ..Request::new(form) }
    }

    /// Makes the one system call.
    ///
    /// # Safety
    /// The operation that the request is of is in flight: it owns the memory, and the descriptor is open.
    pub(crate) unsafe fn attempt(&self) -> i32 {
        loop {
            // SAFETY: passed on to the caller.
            match unsafe { (self.form.attempt)(self) } {
                // A signal came; nothing was done.
                interrupted if interrupted == -libc::EINTR => {}
                answer => return answer,
            }
        }
    }

    /// Makes the one system call, into a buffer of the pool if that is asked for.
    ///
    /// # Safety
    /// As `attempt`.
    pub(crate) unsafe fn attempt_with(&self, pool: Option<&Pool>) -> Completion {
        match pool.filter(|_| self.form.picks) {
            // SAFETY: passed on to the caller.
            None => Completion::of(unsafe { self.attempt() }),
            Some(pool) => Completion::into_buffer(pool.receive(|pointer, length| {
                // SAFETY: as above, and the buffer is nobody else's until the pool says so.
                unsafe { Request { pointer, length: length as u32, ..*self }.attempt() }
            })),
        }
    }

    /// Does what a helper would have to do, if that needs no waiting.
    ///
    /// # Safety
    /// As `attempt`.
    pub(crate) unsafe fn attempt_at_once(&self) -> Option<i32> {
        // SAFETY: passed on to the caller.
        unsafe { self.try_at_once() }.ok()
    }

    /// The same, told why it was not done.
    ///
    /// # Safety
    /// As `attempt`.
    pub(crate) unsafe fn try_at_once(&self) -> Result<i32, Refused> {
        let Some(attempt) = self.form.attempt_at_once else { return Err(Refused::ForGood) };
        // SAFETY: passed on to the caller.
        match -unsafe { attempt(self) } {
            libc::EAGAIN | libc::EINTR => Err(Refused::ForNow),
            // Where the file system cannot say, somebody who may wait finds out.
            libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL => Err(Refused::ForGood),
            answer => Ok(-answer),
        }
    }

    /// Has a simulated system do it.
    ///
    /// # Safety
    /// As `attempt`.
    #[cfg(feature = "sim")]
    pub(crate) unsafe fn simulate(&self, kernel: &mut Kernel<'_>) -> i32 {
        // SAFETY: passed on to the caller.
        unsafe { (self.form.simulated)(self, kernel) }
    }

    /// The path that it points to.
    ///
    /// # Safety
    /// As `attempt`, of an operation whose pointer is a path's.
    #[cfg(feature = "sim")]
    pub(crate) unsafe fn path(&self) -> &CStr {
        // SAFETY: a C string, owned by the operation in flight.
        unsafe { CStr::from_ptr(self.pointer.cast_const().cast()) }
    }

    /// The other path that it points to.
    ///
    /// # Safety
    /// As `attempt`, of an operation whose other pointer is a path's.
    #[cfg(feature = "sim")]
    pub(crate) unsafe fn other_path(&self) -> &CStr {
        // SAFETY: a C string, owned by the operation in flight.
        unsafe { CStr::from_ptr(self.other_pointer.cast_const().cast()) }
    }

    /// What to ask poll(2) for while waiting.
    pub(crate) fn poll_events(&self) -> Option<u32> {
        match self.form.wait {
            Wait::Readable => Some(libc::POLLIN as u32),
            Wait::Writable => Some(libc::POLLOUT as u32),
            Wait::Asked => Some(self.flags as u32),
            Wait::Never | Wait::Helper => None,
        }
    }
}

/// Codes of our own, above all of the ring's: for forms of which the opcode alone does not say whether the ring does
/// them.
pub(crate) mod ability {
    /// Picks a buffer for what it receives or reads.
    pub(crate) const PICK: u8 = 240;
    /// The same again and again.
    pub(crate) const PICK_OFTEN: u8 = 241;
    /// Accepts again and again.
    pub(crate) const ACCEPT_OFTEN: u8 = 242;
    /// Picks a buffer for what it reads, again and again.
    pub(crate) const READ_OFTEN: u8 = 243;
}

/// What may be made of a call that is tried before an operation is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// It is not to be made.
    Never,
    /// It changes nothing, and less than was asked for may be all that needs no waiting: then it is as if it had not been
    /// made. Whether it pays depends on what came of the last ones.
    OfAll,
    /// Whatever it did is done.
    OfAny,
}

/// Why a call that must not wait was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It would have had to wait.
    ForNow,
    /// There is no such call here, or not for this file.
    ForGood,
}

/// When a submission is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Now, or as soon as it can.
    Now,
    /// When its descriptor is ready: the kernel has just said that it is not.
    WhenReady,
}
