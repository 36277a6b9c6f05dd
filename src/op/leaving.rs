//! Handing a descriptor over to somebody outside of the loop, with what was received for nobody.

use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;

use super::Bounds;
use crate::driver::{Descriptor, LeftMessage, Leftover, Way};
use crate::sys;

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
/// descriptor is given back as it was.
///
/// Dropped half-way, it closes the descriptor.
pub(crate) async fn hand_over(
    descriptor: Descriptor,
    bounds: Bounds,
) -> Result<(OwnedFd, Luggage), (io::Error, Descriptor)> {
    // What is needed to give it away is there before it is settled.
    let ready = check_real(&descriptor).and_then(|()| descriptor.port().plain(descriptor.number()));
    if let Err(error) = ready {
        return Err((error, descriptor));
    }
    descriptor.start_handing_over();
    poll_fn(|cx| descriptor.poll_settled(cx.waker())).await;
    let mut luggage = Luggage::default();
    if let Err(error) = pack(&descriptor, bounds, &mut luggage).and_then(|()| descriptor.restore_blocking()) {
        descriptor.stay();
        if !luggage.messages.is_empty() {
            descriptor.leave_behind(Way::Read, Leftover::Messages(luggage.messages.into()));
        }
        if !luggage.bytes.is_empty() {
            let bytes = luggage.bytes.into_boxed_slice();
            descriptor.leave_behind(Way::Read, Leftover::Bytes { bytes, taken: 0, then: None });
        }
        return Err((error, descriptor));
    }
    match descriptor.port().leave(descriptor.number()) {
        Ok(number) => Ok((descriptor.hand_over(number), luggage)),
        Err(error) => Err((error, descriptor)),
    }
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
                Driver::Readiness have sockets in common with std";
    io::Error::new(io::ErrorKind::Unsupported, text)
}

/// Takes what was left. An error that was left is told instead: it would be told to nobody.
fn pack(descriptor: &Descriptor, bounds: Bounds, luggage: &mut Luggage) -> io::Result<()> {
    for way in [Way::Read, Way::Write] {
        while let Some(leftover) = descriptor.take_leftover(way) {
            match leftover {
                Leftover::Bytes { bytes, taken, then } => {
                    luggage.bytes.extend_from_slice(&bytes[taken..]);
                    then.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))?;
                }
                Leftover::Descriptor(number) => {
                    luggage.connections.push(sys::owned(descriptor.port().leave(number)?));
                }
                // Of a stream it is the bytes that count: descriptors that came with them are closed.
                Leftover::Messages(messages) if bounds == Bounds::None => {
                    messages.iter().for_each(|message| luggage.bytes.extend_from_slice(&message.bytes));
                }
                Leftover::Messages(messages) => luggage.messages.extend(messages),
                Leftover::Error(errno) => return Err(io::Error::from_raw_os_error(errno)),
            }
        }
    }
    Ok(())
}
