//! All that comes, again and again, each time in a buffer that is picked when something has come: of whatever source has a form for it.

use std::io;
use std::marker::PhantomData;

use super::{Repeat, orphan};
use crate::buf::Lease;
use crate::driver::{Completion, Form, Hold, Operation, Request, Way};

/// What bytes come from.
pub trait Source: 'static {
    const FORM: &'static Form;
}

/// All that comes from a source, in leases, until the end.
pub struct Leased<S> {
    hold: Hold,
    source: PhantomData<S>,
}

impl<S: Source> Leased<S> {
    pub(crate) fn new(hold: Hold) -> Self {
        Leased { hold, source: PhantomData }
    }
}

impl<S: Source> Operation for Leased<S> {
    type Output = Option<io::Result<Lease>>;

    #[inline]
    fn form() -> &'static Form {
        S::FORM
    }

    #[inline]
    fn request(&mut self) -> Request {
        // The pool is offered before the first request. The ring takes the buffers' own size for the length, and refuses another.
        let length = self.hold.port().pool().bytes() as u32;
        Request { length, ..Request::on(S::FORM, &self.hold) }
    }

    #[inline]
    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    #[inline]
    fn way(&self) -> Option<Way> {
        Some(Way::Read)
    }

    #[inline]
    fn answer_at_hand(&mut self) -> Option<Completion> {
        orphan::take_lease(&self.hold)
    }

    fn complete(mut self, answer: Completion) -> Self::Output {
        self.one(answer)
    }

    fn salvage(self, answer: Completion) {
        orphan::leave_lease(&self.hold, answer);
    }

    fn salvage_one(&mut self, answer: Completion) {
        orphan::leave_lease(&self.hold, answer);
    }
}

impl<S: Source> Repeat for Leased<S> {
    type Item = io::Result<Lease>;

    #[inline]
    fn one(&mut self, answer: Completion) -> Option<io::Result<Lease>> {
        let lease = orphan::leased(&self.hold, answer);
        if matches!(&lease, Ok(lease) if lease.is_empty()) { None } else { Some(lease) }
    }
}
