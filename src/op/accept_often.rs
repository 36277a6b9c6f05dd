//! Accepts connections again and again. accept4(2), IORING_OP_ACCEPT with IORING_ACCEPT_MULTISHOT (5.19)

use std::io;

use super::peer::PeerRoom;
use super::{Repeat, orphan};
use crate::driver::{Brings, Completion, Descriptor, Form, Hold, Operation, Request, Way, ability, form};
use crate::sys;

/// Accepts connections, until it is dropped.
pub struct AcceptOften {
    hold: Hold,
    peer: PeerRoom,
}

const FORM: &Form = &form! {
    name: "accept_often",
    wait: Readable,
    code: AcceptMulti,
    entry: |request| opcode::AcceptMulti::new(types::Fd(request.fd))
        .flags(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK),
    attempt: |request| sys::socket::accept(request.fd),
    simulated: |request, kernel| kernel.accept(request.fd),
}
.repeating(ability::ACCEPT_OFTEN)
.bringing(Brings::Connection);

impl AcceptOften {
    pub(crate) fn new(hold: Hold) -> Self {
        AcceptOften { peer: PeerRoom::of(hold.port()), hold }
    }
}

impl Operation for AcceptOften {
    type Output = Option<io::Result<Descriptor>>;

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

    fn complete(mut self, answer: Completion) -> Self::Output {
        self.one(answer)
    }

    fn salvage(self, answer: Completion) {
        orphan::leave_descriptor(&self.hold, Way::Read, answer);
    }

    /// Connections that nobody waits for any more wait for the next accept (pitfall 8).
    fn salvage_one(&mut self, answer: Completion) {
        orphan::leave_descriptor(&self.hold, Way::Read, answer);
    }
}

impl Repeat for AcceptOften {
    type Item = io::Result<Descriptor>;

    fn one(&mut self, answer: Completion) -> Option<io::Result<Descriptor>> {
        let peer = self.peer.take();
        Some(answer.checked().map(|number| Descriptor::new(number as i32, self.hold.port()).with_peer(peer)))
    }
}
