//! Operations whose memory is lent for longer than it takes to know what became of them: sends without copying.
//!
//! The kernel answers twice: what became of the sending, and later that it has let go of the memory. In between the operation
//! is still owned by its future or its slot (I2), but it names its socket no more. Whoever drops the future in between leaves it
//! to the slot.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::submitted::{Begun, Stage};
use super::{Operation, Submitted};
use crate::driver::{Begin, Completion, Hold, Way};

/// A send that may leave its memory lent. Its output is what it has lent.
pub trait Lender: Operation {
    #[doc(hidden)]
    fn socket(&self) -> &Hold;

    /// It is known what became of it: from now on it names no descriptor.
    #[doc(hidden)]
    fn leave_socket(&mut self);

    /// From now on it is to be copied. False if it is already.
    #[doc(hidden)]
    fn copy_instead(&mut self) -> bool;

    /// What has come of the sending, or None if there is more to send.
    #[doc(hidden)]
    fn sent(&mut self, result: io::Result<usize>) -> Option<io::Result<usize>>;

    /// What a release says besides.
    #[doc(hidden)]
    fn note_release(&self, answer: Completion) {
        if answer.is_release() && answer.result & COPIED != 0 {
            self.socket().zero_copy().was_in_vain();
        }
    }
}

/// In a release's result: the bytes were copied after all. `IORING_NOTIF_USAGE_ZC_COPIED`
const COPIED: i32 = i32::MIN;
/// Asks for the above. `IORING_SEND_ZC_REPORT_USAGE`
#[cfg(annulus_uring)]
pub(super) const REPORT_USAGE: u16 = 1 << 3;

/// What came of the sending, if that is known now. `stop` is what it says if it was asked to stop.
fn sort<O: Lender>(
    operation: &mut O,
    answer: Completion,
    stop: Option<Completion>,
) -> Option<io::Result<usize>> {
    if answer.is_release() {
        operation.note_release(answer);
        return None;
    }
    match -answer.result {
        libc::EINTR | libc::EAGAIN if stop.is_none() => return None,
        refused @ (libc::EINVAL | libc::EOPNOTSUPP | libc::ENOBUFS | libc::ENOMEM)
            if operation.copy_instead() =>
        {
            // The others say that no memory may be locked for it, for now.
            if [libc::EINVAL, libc::EOPNOTSUPP].contains(&refused) {
                operation.socket().zero_copy().is_impossible();
            }
            return None;
        }
        _ => {}
    }
    let result = operation.sent(answer.checked().map(|count| count as usize));
    // Asked to stop, the kernel says how far it came, and not that it was.
    result.or_else(|| operation.sent(stop?.checked().map(|count| count as usize)))
}

impl<O: Lender> Submitted<O> {
    /// Waits until it is known what became of the sending. The buffer may be lent for longer.
    pub(crate) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            let mut is_at_hand = false;
            let answer = match self.stage {
                Stage::Idle | Stage::Queued(_) => match self.begin(cx) {
                    Begun::InTurn => continue,
                    Begun::Waiting => return Poll::Pending,
                    Begun::Refused => {
                        self.leave_queue();
                        let error =
                            self.stopped(Completion::cancelled()).checked().map(|count| count as usize);
                        return Poll::Ready(error);
                    }
                },
                Stage::Entered => match self.answer_at_hand() {
                    Some(answer) => {
                        is_at_hand = true;
                        self.port().tally().begun(O::form().kind);
                        answer
                    }
                    None => {
                        self.submit(Begin::Now, cx.waker());
                        return Poll::Pending;
                    }
                },
                Stage::InFlight(token) => {
                    let answer = ready!(self.port().poll(token, cx.waker()));
                    if !answer.has_more() {
                        self.stage = Stage::Entered;
                    }
                    answer
                }
                Stage::Finished => panic!("an operation was polled after it had resolved"),
            };
            let stop = self.is_to_stop().then(|| self.stopped(Completion::cancelled()));
            let answer = match stop {
                Some(_) if answer.result < 0 && !answer.is_release() => {
                    Completion { flags: answer.flags, ..self.stopped(answer) }
                }
                _ => answer,
            };
            let sorted = sort(self.operation_mut(), answer, stop);
            if !is_at_hand {
                self.count_sent(answer, sorted.is_none());
            }
            if let Some(result) = sorted {
                self.let_go_of_socket();
                return Poll::Ready(result);
            }
            // The kernel's own waiting did not cover it.
            if answer.result == -libc::EAGAIN && matches!(self.stage, Stage::Entered) && stop.is_none() {
                self.submit(Begin::WhenReady, cx.waker());
                return Poll::Pending;
            }
        }
    }

    /// One that is made again does not count, unless its release does: that is still to come.
    fn count_sent(&self, answer: Completion, goes_on: bool) {
        let tally = self.port().tally();
        match goes_on && answer.result < 0 && !answer.is_release() && !answer.has_more() {
            true => tally.again(O::form().kind),
            false => tally.answered(O::form(), answer),
        }
    }

    /// The next write may begin, and the socket be closed; there may be an answer still to come.
    fn let_go_of_socket(&mut self) {
        self.port = Some(Rc::clone(self.port()));
        let operation = self.operation_mut();
        operation.leave_socket();
        let socket = operation.socket().clone();
        if matches!(self.stage, Stage::Entered) {
            // None is: the buffer is here.
            self.stage = Stage::Idle;
        }
        socket.end(Some(Way::Write));
    }

    /// Waits until the buffer is free, after what became of the sending is known.
    pub(crate) fn poll_released(&mut self, cx: &mut Context<'_>) -> Poll<O::Output> {
        loop {
            match self.stage {
                Stage::InFlight(token) => {
                    let answer = ready!(self.port().poll(token, cx.waker()));
                    if !answer.has_more() {
                        return Poll::Ready(self.finish().complete(answer));
                    }
                }
                Stage::Idle => return Poll::Ready(self.finish().complete(Completion::of(0))),
                _ => panic!("a buffer was asked for again after it was given back"),
            }
        }
    }
}
