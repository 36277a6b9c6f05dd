//! Waits until dropped writes are settled, and says what became of them. No system call.

use std::io;

use super::orphan;
use crate::driver::{Completion, Form, Hold, Operation, Request, Way, form};

/// Waits until dropped writes are settled, and says how many bytes they wrote after all.
pub struct Settle {
    hold: Hold,
}

const FORM: &Form = &form! {
    name: "settle",
    wait: Never,
    entry: none,
    attempt: |_request| 0,
    simulated: |_request, _kernel| 0,
};

impl Settle {
    pub(crate) fn new(hold: Hold) -> Self {
        Settle { hold }
    }
}

impl Operation for Settle {
    type Output = io::Result<usize>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        Request::on(FORM, &self.hold)
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Write)
    }

    fn follows_writes(&self) -> bool {
        true
    }

    /// When it has its turn, all is settled.
    fn answer_at_hand(&mut self) -> Option<Completion> {
        let direction = self.hold.direction(Way::Write);
        orphan::take_error(direction).or(Some(Completion::of(0)))
    }

    fn complete(self, answer: Completion) -> io::Result<usize> {
        answer.checked().map(|_| self.hold.direction(Way::Write).take_written())
    }
}
