//! What every server listens with, and answers.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};

use socket2::{Domain, Socket, Type};

/// The fixed answer of the HTTP servers.
pub const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nContent-Type: text/plain\r\n\r\nHello, world!";

/// A listener of a free port of the loopback, non-blocking; its address goes to standard output.
pub(crate) fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(8192)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from(socket);
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    io::stdout().flush()?;
    Ok(listener)
}

/// Finds the ends of requests without bodies in what a connection sends.
#[derive(Default)]
pub struct Requests {
    /// The beginning of one that has not come whole.
    begun: Vec<u8>,
}

impl Requests {
    /// How many requests end in `bytes`, which follow those of the last call.
    ///
    /// # Errors
    /// What is no HTTP.
    pub fn ended_in(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.begun.is_empty() {
            let (ended, taken) = count(bytes)?;
            self.begun.extend_from_slice(&bytes[taken..]);
            return Ok(ended);
        }
        self.begun.extend_from_slice(bytes);
        let (ended, taken) = count(&self.begun)?;
        self.begun.drain(..taken);
        Ok(ended)
    }
}

/// How many requests are whole, and how many bytes they take.
fn count(bytes: &[u8]) -> io::Result<(usize, usize)> {
    let (mut ended, mut taken) = (0, 0);
    while taken < bytes.len() {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        match httparse::Request::new(&mut headers).parse(&bytes[taken..]).map_err(io::Error::other)? {
            httparse::Status::Complete(length) => (ended, taken) = (ended + 1, taken + length),
            httparse::Status::Partial => break,
        }
    }
    Ok((ended, taken))
}
