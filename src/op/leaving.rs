//! Handing a descriptor over to somebody outside of the loop, or to another loop, with what was received for nobody.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;

use super::Bounds;
use crate::driver::{Descriptor, LeftMessage, Leftover, Parcel, Parcels, Traveller};

/// What leaves with a descriptor.
#[derive(Debug, Default)]
pub(crate) struct Luggage {
    /// Bytes that dropped reads received.
    pub(crate) bytes: Vec<u8>,
    /// Datagrams that dropped receives received.
    pub(crate) messages: Vec<LeftMessage>,
    /// Connections that dropped accepts accepted.
    pub(crate) connections: Vec<OwnedFd>,
}

/// Ends what is in flight on the descriptor, waits for it, and hands the number over. Where that cannot be, the
/// descriptor is given back as it was. An error that was left is such a reason: it would be told to nobody.
///
/// Dropped half-way, it closes the descriptor.
pub(crate) async fn hand_over(
    descriptor: Descriptor,
    bounds: Bounds,
) -> Result<(OwnedFd, Luggage), (io::Error, Descriptor)> {
    let (descriptor, mut parcels) = pack(descriptor).await?;
    let left = match parcels.take_error() {
        Some(error) => Err(error),
        None => descriptor.restore_blocking().and_then(|()| descriptor.port().leave(descriptor.number())),
    };
    match left {
        Ok(number) => Ok((descriptor.hand_over(number), luggage(parcels, bounds))),
        Err(error) => Err(stays(error, descriptor, parcels)),
    }
}

/// As `hand_over`, to another loop: in the mode in which it is, and with everything that was left in it, errors included.
pub(crate) async fn detach(descriptor: Descriptor) -> Result<Traveller, (io::Error, Descriptor)> {
    if descriptor.port().has_ended() {
        let text = "the loop of this socket has ended, and nobody knows what the kernel still does for it: detach it while \
                    its loop runs";
        return Err((io::Error::other(text), descriptor));
    }
    let (descriptor, parcels) = pack(descriptor).await?;
    match descriptor.port().leave(descriptor.number()) {
        Ok(number) => Ok(descriptor.depart(number, parcels)),
        Err(error) => Err(stays(error, descriptor, parcels)),
    }
}

/// Ends what is in flight, waits for it, and takes what was left. From here on the descriptor leaves, or is told to stay.
async fn pack(descriptor: Descriptor) -> Result<(Descriptor, Parcels), (io::Error, Descriptor)> {
    // What is needed to give it away is there before it is settled.
    let ready = check_real(&descriptor).and_then(|()| descriptor.port().plain(descriptor.number()));
    if let Err(error) = ready {
        return Err((error, descriptor));
    }
    descriptor.start_handing_over();
    poll_fn(|cx| descriptor.poll_settled(cx.waker())).await;
    match descriptor.pack() {
        Ok(parcels) => Ok((descriptor, parcels)),
        Err(error) => Err(stays(error, descriptor, Parcels::default())),
    }
}

/// The descriptor goes on as if nothing had happened.
fn stays(error: io::Error, descriptor: Descriptor, parcels: Parcels) -> (io::Error, Descriptor) {
    descriptor.stay();
    descriptor.unpack(parcels);
    (error, descriptor)
}

/// Refuses where numbers mean nothing to the operating system.
pub(crate) fn check_real(descriptor: &Descriptor) -> io::Result<()> {
    match descriptor.port().is_simulated() {
        true => Err(simulated()),
        false => Ok(()),
    }
}

/// Why a simulated descriptor stays, and a real one does not come in.
pub(crate) fn simulated() -> io::Error {
    let text = "a simulated socket is no descriptor of the system's, nor the other way round: only Driver::Uring and \
                Driver::Readiness have sockets in common with std, and with other loops";
    io::Error::new(io::ErrorKind::Unsupported, text)
}

/// What was left, by what it is.
fn luggage(parcels: Parcels, bounds: Bounds) -> Luggage {
    let mut luggage = Luggage::default();
    for parcel in parcels.read.into_iter().chain(parcels.write) {
        match parcel {
            Parcel::Connection(connection) => luggage.connections.push(connection),
            Parcel::Plain(Leftover::Bytes { bytes, taken, .. }) => {
                luggage.bytes.extend_from_slice(&bytes[taken..]);
            }
            // Of a stream it is the bytes that count: descriptors that came with them are closed.
            Parcel::Plain(Leftover::Messages(messages)) if bounds == Bounds::None => {
                messages.iter().for_each(|message| luggage.bytes.extend_from_slice(&message.bytes));
            }
            Parcel::Plain(Leftover::Messages(messages)) => luggage.messages.extend(messages),
            Parcel::Plain(leftover) => debug_assert!(false, "{leftover:?} was not taken out"),
        }
    }
    luggage
}
