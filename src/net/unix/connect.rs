//! Connecting to a listener whose queue may be full.

use std::io;
use std::time::Duration;

use super::SocketAddr;
use crate::driver::Descriptor;
use crate::op::{Connect, Submitted};
use crate::time::sleep;

/// How long to wait before asking again: at first, and at most. The queue is as a rule full for as long as a server
/// takes to accept, so the first pause is short; the longest one costs a client that waits for long less than a
/// hundred calls a second.
const PAUSES: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(20));

/// Connects the socket. While the listener's queue is full it asks again and again: the system does not tell when
/// there is a place (connect(2) says EAGAIN, and the socket counts as writable all the while).
pub(super) async fn connect(socket: &Descriptor, address: &SocketAddr) -> io::Result<()> {
    let (mut pause, longest) = PAUSES;
    loop {
        match Submitted::new(Connect::at_once(socket.hold(), address.name())).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(told(address, error)),
            Ok(()) => return Ok(()),
        }
        sleep(pause).await;
        pause = longest.min(pause * 2);
    }
}

fn told(address: &SocketAddr, error: io::Error) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => "nobody has made a socket of this name: start the server first",
        io::ErrorKind::ConnectionRefused => {
            "nobody listens there: either it is not a socket, or its server has ended; start that again"
        }
        io::ErrorKind::PermissionDenied => {
            "connecting needs the permission to write to the socket's file, and to search its directory"
        }
        // Among them EPROTOTYPE, which is known by its number alone.
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{address:?}: {error}; {remedy}"))
}
