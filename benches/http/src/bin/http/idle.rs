//! What connections cost in memory that have asked once and then are silent.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use annulus_http_bench::HELLO;
use socket2::{Domain, Socket, Type};

use super::server::Server;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: idle\r\nAccept: */*\r\n\r\n";
/// How many connections one address of the loopback makes.
const AN_ADDRESS: usize = 10_000;
/// Until what was just served has come to rest.
const SETTLE: Duration = Duration::from_millis(300);

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// Of the heap, a connection: at once, and after a time of silence.
    pub heap: [f64; 2],
    /// Private and resident, a connection: likewise.
    pub resident: [f64; 2],
    /// Private and resident, of the server without connections.
    pub base: f64,
}

/// Opens so many, has each ask once, and looks; then lets them be for a while, looks again, and has each ask once more.
///
/// # Errors
/// The connections', and an answer that is none.
pub fn measure(server: &mut Server, connections: usize, silence: Duration) -> io::Result<Memory> {
    // What is made once.
    let mut first = connect(server.address, 0)?;
    (0..100).try_for_each(|_| ask(&mut first))?;
    drop(first);
    std::thread::sleep(SETTLE);
    let before = [server.heap()? as f64, server.resident()? as f64];
    let mut streams = Vec::with_capacity(connections);
    for number in 0..connections {
        let mut stream = connect(server.address, number)?;
        ask(&mut stream)?;
        streams.push(stream);
    }
    let mut each = || -> io::Result<[f64; 2]> {
        let now = [server.heap()? as f64, server.resident()? as f64];
        Ok([0, 1].map(|which| (now[which] - before[which]) / connections as f64))
    };
    std::thread::sleep(SETTLE);
    let at_once = each()?;
    std::thread::sleep(silence);
    let later = each()?;
    // None was closed meanwhile.
    streams.iter_mut().try_for_each(ask)?;
    Ok(Memory { heap: [at_once[0], later[0]], resident: [at_once[1], later[1]], base: before[1] })
}

fn connect(to: SocketAddr, number: usize) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // Several addresses, so that the ports are enough.
    let from = Ipv4Addr::new(127, 0, 0, 1 + (number / AN_ADDRESS) as u8);
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect(&to.into())?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

fn ask(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(REQUEST)?;
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let count = stream.read(&mut piece)?;
        answer.extend_from_slice(&piece[..count]);
        let text = String::from_utf8_lossy(&answer);
        if text.starts_with("HTTP/1.1 200 ") && text.ends_with(&format!("\r\n\r\n{HELLO}")) {
            return Ok(());
        }
        if count == 0 {
            return Err(io::Error::other(format!("a connection was closed after {text:?}")));
        }
    }
}
