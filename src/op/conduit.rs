//! Bytes on their way from one descriptor to another: a pipe, and the turn of the source that they came from.

use std::rc::Rc;

use super::orphan;
use super::turn::Turn;
use crate::driver::{Passage, Way};

/// What the two halves of a splice share, and whoever goes from one to the other.
///
/// When the last of them is gone, bytes that are still in the pipe are given back: the next read of the source gets
/// them first, and it waits for that, for the turn ends with this.
pub(crate) struct Conduit {
    pub(super) pipe: Passage,
    /// None where the source is asked for bytes at an offset, which stay there.
    turn: Option<Rc<Turn>>,
}

impl Conduit {
    pub(crate) fn new(pipe: Passage, turn: Option<&Rc<Turn>>) -> Rc<Conduit> {
        Rc::new(Conduit { pipe, turn: turn.map(Rc::clone) })
    }
}

impl Drop for Conduit {
    fn drop(&mut self) {
        let Some(turn) = self.turn.as_ref().filter(|_| self.pipe.held() > 0) else { return };
        orphan::leave_in_front(turn.hold(), Way::Read, self.pipe.take_out());
    }
}
