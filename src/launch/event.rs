//! What the supervisor of a launch is told.

use std::io;

use crate::runtime::Remote;
use crate::sync::across::mpsc;

/// What the supervisor is told.
pub(super) enum Event {
    /// A shard has its loop.
    Built(usize, Remote),
    /// A shard serves.
    Ready(usize),
    /// A shard's thread ends.
    Ended(usize),
    /// The pause after a failure is over.
    Again(usize),
    Asked(Ask),
    /// How it went to have another process take over.
    Progress(Progress),
}

/// What a launch can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// To end in an orderly way; asked again, at once.
    Stop,
    CutOff,
    Reload,
    /// To have another process take over.
    Restart,
}

/// Tells the supervisor, from any thread.
#[derive(Clone)]
pub(super) struct Events(mpsc::UnboundedSender<Event>);

impl Events {
    pub(super) fn new() -> (Events, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Events(sender), receiver)
    }

    pub(super) fn tell(&self, event: Event) {
        // When the launch is over nobody wants to know.
        let _ = self.0.send(event);
    }
}

/// How it goes with another process that is to take over.
pub(super) enum Progress {
    Starting(u32),
    Ready(u32),
    Failed(io::Error),
}
