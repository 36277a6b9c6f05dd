//! Envelopes of messages, kept to be used again: a message costs no allocation once there are enough of them.
//!
//! An operation owns its envelope in a box (I1) and gives it back when it is dropped, which is after its answer. They are
//! of no descriptor and no loop, so the thread keeps them.
#![allow(clippy::vec_box, reason = "each is an operation's own for a time, and must stay where it is")]

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use crate::sys::message::Envelope;

/// More than are used at the same time by what is at hand; the rest is freed.
const KEPT_MAX: usize = 64;

thread_local! {
    static KEPT: RefCell<Vec<Box<Envelope>>> = const { RefCell::new(Vec::new()) };
}

/// An envelope for the time of an operation.
pub(super) struct Lent(Option<Box<Envelope>>);

/// An envelope, used or new.
pub(super) fn take() -> Box<Envelope> {
    let kept = KEPT.try_with(|kept| kept.borrow_mut().pop()).ok().flatten();
    kept.unwrap_or_else(|| Box::new(Envelope::new()))
}

/// Keeps an envelope for the next. Nobody names it any more.
pub(super) fn give_back(mut envelope: Box<Envelope>) {
    if !envelope.is_small() {
        return;
    }
    envelope.vectors_mut().clear();
    // Where the thread ends and its store is gone, it is simply freed.
    let _ = KEPT.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT_MAX {
            kept.push(envelope);
        }
    });
}

impl Lent {
    pub(super) fn new() -> Lent {
        Lent(Some(take()))
    }

    /// Has the header say what the rest of it is, and tells where it lies.
    pub(super) fn pointer(&mut self) -> *mut u8 {
        self.prepare();
        (&raw mut **self).cast()
    }
}

impl Deref for Lent {
    type Target = Envelope;

    fn deref(&self) -> &Envelope {
        self.0.as_deref().expect("given back only when it is dropped")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Envelope {
        self.0.as_deref_mut().expect("given back only when it is dropped")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(give_back);
    }
}
