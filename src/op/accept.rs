//! Accepts a connection. accept4(2), IORING_OP_ACCEPT (5.5)

use std::io;

use super::orphan;
use super::peer::PeerRoom;
use crate::driver::{Brings, Completion, Descriptor, Form, Hold, Operation, Request, Way, form};
use crate::sys;

/// Accepts a connection.
pub struct Accept {
    hold: Hold,
    peer: PeerRoom,
}

const FORM: &Form = &form! {
    name: "accept",
    wait: Readable,
    code: Accept,
    entry: |request| opcode::Accept::new(types::Fd(request.fd), std::ptr::null_mut(), std::ptr::null_mut())
        .flags(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK),
    attempt: |request| sys::socket::accept(request.fd),
    simulated: |request, kernel| kernel.accept(request.fd),
}
.bringing(Brings::Connection);

impl Accept {
    pub(crate) fn new(hold: Hold) -> Self {
        Accept { peer: PeerRoom::of(hold.port()), hold }
    }
}

impl Operation for Accept {
    type Output = io::Result<Descriptor>;

    fn form() -> &'static Form {
        FORM
    }

    fn request(&mut self) -> Request {
        let (pointer, other_pointer) = self.peer.pointers();
        Request { pointer, other_pointer, ..Request::on(FORM, &self.hold) }
    }

    fn descriptor(&self) -> Option<&Hold> {
        Some(&self.hold)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Read)
    }

    fn answer_at_hand(&mut self) -> Option<Completion> {
        orphan::take_descriptor(self.hold.direction(Way::Read))
    }

    /// A connection that nobody waits for any more waits for the next accept (pitfall 8).
    fn salvage(self, answer: Completion) {
        orphan::leave_descriptor(&self.hold, Way::Read, answer);
    }

    fn complete(mut self, answer: Completion) -> io::Result<Descriptor> {
        let peer = self.peer.take();
        answer.checked().map(|number| Descriptor::new(number as i32, self.hold.port()).with_peer(peer))
    }
}
