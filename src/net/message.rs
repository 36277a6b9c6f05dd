//! What is told of a message that was received.

use std::io;
use std::marker::PhantomData;

use super::family::Family;
use crate::driver;
use crate::op::{Arrival, Tells};
use crate::sys::control::Ancillary;

/// How much room a receive has for control data, unless asked for otherwise, in bytes: for 253 descriptors, which is the
/// most that Linux passes at once, and for everything else that a socket may be told to report.
pub(super) const CONTROL_ROOM: usize = 1280;

/// The same for each of many.
pub(super) const CONTROL_ROOM_OF_MANY: usize = 256;

/// A datagram that is to be sent, one of many: see [`Datagram::send_many`](super::Datagram::send_many).
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::{Ancillary, Outgoing, UdpSocket};
///
/// annulus::run(async {
///     let (one, other) = (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
///     let to = other.local_addr()?;
///     let messages = vec![Outgoing::new("a").to(to), Outgoing::new("b").to(to).with(Ancillary::new())];
///     let (sent, _messages) = one.send_many(messages).await;
///     assert_eq!(sent?, 2);
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Debug)]
pub struct Outgoing<B, A> {
    pub(super) buffer: B,
    pub(super) to: Option<A>,
    pub(super) ancillary: Ancillary,
}

impl<B, A> Outgoing<B, A> {
    /// To the peer that the socket is connected to.
    pub fn new(buffer: B) -> Outgoing<B, A> {
        Outgoing { buffer, to: None, ancillary: Ancillary::new() }
    }

    /// To an address.
    pub fn to(self, address: A) -> Outgoing<B, A> {
        Outgoing { to: Some(address), ..self }
    }

    /// What goes beside the bytes.
    pub fn with(self, ancillary: Ancillary) -> Outgoing<B, A> {
        Outgoing { ancillary, ..self }
    }
}

/// A datagram that was received, or was looked at. Its bytes are in the buffer.
///
/// # Examples
/// As [`Datagram::recv_from`](super::Datagram::recv_from).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received<A = ()> {
    /// How many bytes are in the buffer. 0 is an empty datagram.
    pub len: usize,
    /// The buffer had no room for all of it: the rest is gone.
    pub truncated: bool,
    /// Who sent it.
    pub from: A,
}

/// A message that was received, with what came beside its bytes, which are in the buffer.
///
/// # Examples
/// As [`Datagram::recv_message`](super::Datagram::recv_message).
#[derive(Debug)]
#[non_exhaustive]
pub struct Message<A = ()> {
    /// How many bytes are in the buffer.
    pub len: usize,
    /// The buffer had no room for all of it: the rest is gone.
    pub truncated: bool,
    /// Who sent it.
    pub from: A,
    /// What came beside the bytes.
    pub control: Ancillary,
    /// There was no room for all that came beside the bytes: the rest is gone. Descriptors among it were closed.
    pub control_truncated: bool,
}

/// A message that a dropped receive has received, and nobody else since.
///
/// # Examples
/// As [`UdpSocket::into_std`](super::UdpSocket).
#[derive(Debug)]
#[non_exhaustive]
pub struct LeftMessage<A = ()> {
    /// What is told of it.
    pub message: Message<A>,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What was left in a socket that is given away.
pub(super) fn left<F: Family>(messages: Vec<driver::LeftMessage>) -> Vec<LeftMessage<F::Address>> {
    let told = |message| {
        let (arrival, bytes) = Arrival::of_left(message);
        // One whose sender's name makes no sense is none that anybody could have received, either.
        Some(LeftMessage { message: Everything::<F>::of(arrival).ok()?, bytes: bytes.into() })
    };
    messages.into_iter().filter_map(told).collect()
}

/// A receive that tells how much came.
///
/// # Examples
/// As [`Datagram::recv`](super::Datagram::recv), which is one.
#[derive(Debug)]
pub enum Length {}

/// A receive that also tells who sent it.
///
/// # Examples
/// As [`Datagram::recv_from`](super::Datagram::recv_from), which is one.
#[derive(Debug)]
pub struct Sender<F>(PhantomData<F>);

/// A receive that tells everything.
///
/// # Examples
/// As [`Datagram::recv_message`](super::Datagram::recv_message), which is one.
#[derive(Debug)]
pub struct Everything<F>(PhantomData<F>);

/// A receive of a connection, which has no sender to tell, that tells everything else.
///
/// # Examples
/// As [`UnixStream::send_message`](super::Stream::send_message), beside which is one.
#[derive(Debug)]
pub enum Control {}

impl Tells for Length {
    type Message = Received;

    fn of(arrival: Arrival) -> io::Result<Received> {
        Ok(Received { len: arrival.count, truncated: arrival.is_truncated(), from: () })
    }
}

impl<F: Family> Tells for Sender<F> {
    type Message = Received<F::Address>;

    fn of(arrival: Arrival) -> io::Result<Received<F::Address>> {
        let (len, truncated) = (arrival.count, arrival.is_truncated());
        Ok(Received { len, truncated, from: F::sender(arrival.name)? })
    }
}

impl<F: Family> Tells for Everything<F> {
    type Message = Message<F::Address>;

    fn of(mut arrival: Arrival) -> io::Result<Message<F::Address>> {
        let from = F::sender(arrival.name.take())?;
        Ok(of_connection(arrival, from))
    }
}

impl Tells for Control {
    type Message = Message;

    fn of(arrival: Arrival) -> io::Result<Message> {
        Ok(of_connection(arrival, ()))
    }
}

fn of_connection<A>(arrival: Arrival, from: A) -> Message<A> {
    Message {
        len: arrival.count,
        truncated: arrival.is_truncated(),
        from,
        control_truncated: arrival.is_control_truncated(),
        control: arrival.control,
    }
}
