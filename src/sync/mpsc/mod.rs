//! Channels from many senders to one receiver: messages come in the order in which they were sent.
//!
//! [`channel`] has a bound, at which senders wait: what cannot be received in time slows down who sends it. [`unbounded`]
//! has none, and sending never waits.
//!
//! A channel ends when all senders are gone: the receiver gets what was sent, and then None. It ends as well when the
//! receiver is dropped, or [closed](Receiver::close): then sending fails, and gives the message back.

mod bounded;
mod error;
mod places;
mod receiver;
mod shared;
mod unbounded;
mod weak;

pub use bounded::{Closed, Permit, Reserve, Sender, Sending, channel};
pub use error::{SendError, TryRecvError, TrySendError};
pub use receiver::{Receiver, Recv, UnboundedReceiver};
pub use unbounded::{UnboundedSender, WeakUnboundedSender, unbounded};
pub use weak::WeakSender;
