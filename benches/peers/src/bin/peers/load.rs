//! The load: a loop around a ring of its own, which checks every byte that comes back.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use io_uring::{IoUring, cqueue, opcode, squeue, types};

/// What each connection's bytes are: this again and again, begun at a place of the connection's own. A prime, so that no
/// buffer's size is a multiple.
const PERIOD: usize = 251;

pub struct Load {
    ring: IoUring,
    connections: Vec<Connection>,
    /// The bytes, as many as one send may take behind any place of the period.
    pattern: Vec<u8>,
    bytes: usize,
    outstanding: usize,
    /// Messages that came back, in all.
    pub done: u64,
    now: Instant,
    latency: Histogram<u64>,
    come: Vec<cqueue::Entry>,
    /// Entries that are not answered.
    under_way: usize,
}

struct Connection {
    stream: TcpStream,
    /// How many bytes went out, and came back.
    sent: u64,
    received: u64,
    /// How many are to be sent by the send that is under way.
    sending: usize,
    /// Messages that may be sent when that is done.
    waiting: usize,
    buffer: Vec<u8>,
    /// When each message that is outstanding went out.
    begun: Vec<Instant>,
}

const RECEIVE: u64 = 0;
const SEND: u64 = 1;

impl Load {
    pub fn connect(address: SocketAddr, count: usize, bytes: usize, outstanding: usize) -> io::Result<Load> {
        let entries = (2 * count).next_power_of_two().clamp(8, 8192) as u32;
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_cqsize(2 * entries)
            .build(entries)?;
        let now = Instant::now();
        let connections = (0..count)
            .map(|_| {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                let buffer = vec![0; (bytes * outstanding).min(64 << 10)];
                let begun = vec![now; outstanding];
                Ok(Connection { stream, sent: 0, received: 0, sending: 0, waiting: 0, buffer, begun })
            })
            .collect::<io::Result<_>>()?;
        let pattern = (0..bytes * outstanding + PERIOD).map(|place| (place % PERIOD) as u8).collect();
        let latency = Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(io::Error::other)?;
        let mut load = Load {
            ring,
            connections,
            pattern,
            bytes,
            outstanding,
            done: 0,
            now,
            latency,
            come: Vec::new(),
            under_way: 0,
        };
        for place in 0..count {
            load.receive(place);
            load.send(place, outstanding);
        }
        Ok(load)
    }

    /// Goes on for so long. The messages that came back meanwhile.
    pub fn run(&mut self, span: Duration) -> io::Result<u64> {
        let (begun, done) = (Instant::now(), self.done);
        while begun.elapsed() < span {
            self.turn()?;
        }
        Ok(self.done - done)
    }

    /// Goes on for so many messages.
    pub fn run_for(&mut self, messages: u64) -> io::Result<()> {
        let enough = self.done + messages;
        while self.done < enough {
            self.turn()?;
        }
        Ok(())
    }

    pub fn forget_latency(&mut self) {
        self.latency.reset();
    }

    /// In nanoseconds.
    pub fn latency(&self, quantile: f64) -> u64 {
        self.latency.value_at_quantile(quantile)
    }

    fn turn(&mut self) -> io::Result<()> {
        let limit = types::Timespec::from(Duration::from_secs(10));
        let arguments = types::SubmitArgs::new().timespec(&limit);
        self.now = Instant::now();
        match self.ring.submitter().submit_with_args(1, &arguments) {
            Err(error) if error.raw_os_error() == Some(libc::ETIME) => {
                return Err(io::Error::other("nothing came back for ten seconds"));
            }
            Err(error) if error.raw_os_error() != Some(libc::EINTR) => return Err(error),
            _ => {}
        }
        self.now = Instant::now();
        let mut come = std::mem::take(&mut self.come);
        come.extend(self.ring.completion());
        self.under_way -= come.len();
        for entry in come.drain(..) {
            let (kind, place) = (entry.user_data() & 1, (entry.user_data() >> 1) as usize);
            match kind {
                RECEIVE => self.received(place, entry.result())?,
                _ => self.sent(place, entry.result())?,
            }
        }
        self.come = come;
        Ok(())
    }

    fn push(&mut self, entry: squeue::Entry) {
        self.under_way += 1;
        // SAFETY: buffers and pattern stay until all is answered: see `drop`.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.ring.submit().expect("the ring takes entries");
        }
    }

    fn receive(&mut self, place: usize) {
        let connection = &mut self.connections[place];
        let fd = types::Fd(connection.stream.as_raw_fd());
        let entry =
            opcode::Recv::new(fd, connection.buffer.as_mut_ptr(), connection.buffer.len() as u32).build();
        self.push(entry.user_data((place as u64) << 1 | RECEIVE));
    }

    /// Where a connection's bytes from `position` on are in the pattern.
    fn place_of(place: usize, position: u64) -> usize {
        ((place as u64 * 31 + position) % PERIOD as u64) as usize
    }

    fn send(&mut self, place: usize, messages: usize) {
        let (bytes, outstanding, now) = (self.bytes, self.outstanding, self.now);
        let connection = &mut self.connections[place];
        let first = connection.sent as usize / bytes;
        (first..first + messages).for_each(|number| connection.begun[number % outstanding] = now);
        connection.sending = messages * bytes;
        self.send_rest(place);
    }

    fn send_rest(&mut self, place: usize) {
        let connection = &self.connections[place];
        let from = Load::place_of(place, connection.sent);
        let pointer = self.pattern[from..].as_ptr();
        let entry =
            opcode::Send::new(types::Fd(connection.stream.as_raw_fd()), pointer, connection.sending as u32)
                .flags(libc::MSG_NOSIGNAL)
                .build();
        self.push(entry.user_data((place as u64) << 1 | SEND));
    }

    fn sent(&mut self, place: usize, result: i32) -> io::Result<()> {
        let connection = &mut self.connections[place];
        let count = answered(result, "send")?;
        connection.sent += count as u64;
        connection.sending -= count;
        if connection.sending > 0 {
            self.send_rest(place);
        } else if connection.waiting > 0 {
            let messages = std::mem::take(&mut connection.waiting);
            self.send(place, messages);
        }
        Ok(())
    }

    fn received(&mut self, place: usize, result: i32) -> io::Result<()> {
        let connection = &mut self.connections[place];
        let count = answered(result, "receive")?;
        if count == 0 {
            return Err(io::Error::other("the server has closed a connection"));
        }
        let from = Load::place_of(place, connection.received);
        check(&connection.buffer[..count], &self.pattern, from)?;
        let before = connection.received / self.bytes as u64;
        connection.received += count as u64;
        let after = connection.received / self.bytes as u64;
        for number in before..after {
            let begun = connection.begun[number as usize % self.outstanding];
            self.latency.saturating_record((self.now - begun).as_nanos() as u64);
        }
        let messages = (after - before) as usize;
        self.done += messages as u64;
        match connection.sending {
            0 if messages > 0 => self.send(place, messages),
            _ => connection.waiting += messages,
        }
        self.receive(place);
        Ok(())
    }
}

impl Drop for Load {
    /// The kernel writes to the buffers until it has answered: closing the ring is no barrier.
    fn drop(&mut self) {
        for connection in &self.connections {
            let _ = connection.stream.shutdown(std::net::Shutdown::Both);
        }
        while self.under_way > 0 {
            if self.ring.submit_and_wait(1).is_err_and(|error| error.raw_os_error() != Some(libc::EINTR)) {
                std::process::abort();
            }
            self.under_way -= self.ring.completion().count();
        }
    }
}

fn answered(result: i32, what: &str) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| {
        let error = io::Error::from_raw_os_error(-result);
        io::Error::new(error.kind(), format!("{what}: {error}"))
    })
}

/// Whether `bytes` are the pattern's from a place on.
fn check(mut bytes: &[u8], pattern: &[u8], from: usize) -> io::Result<()> {
    let mut from = from;
    while !bytes.is_empty() {
        let length = bytes.len().min(pattern.len() - from);
        if bytes[..length] != pattern[from..from + length] {
            return Err(io::Error::other("wrong bytes came back"));
        }
        bytes = &bytes[length..];
        from = (from + length) % PERIOD;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// An echo server that changes the byte at a place of what it received.
    fn echo(lie_at: Option<usize>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let (mut buffer, mut seen) = ([0; 1000], 0);
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                if let Some(place) = lie_at.filter(|place| (seen..seen + count).contains(place)) {
                    buffer[place - seen] ^= 1;
                }
                seen += count;
                if stream.write_all(&buffer[..count]).is_err() {
                    return;
                }
            }
        });
        address
    }

    #[test]
    fn what_comes_back_is_counted() {
        for outstanding in [1, 16] {
            let mut load = Load::connect(echo(None), 1, 700, outstanding).unwrap();
            load.run_for(1000).unwrap();
            assert!(load.done >= 1000 && load.latency(0.5) > 0);
        }
    }

    #[test]
    fn one_wrong_bit_is_an_error() {
        let mut load = Load::connect(echo(Some(123_456)), 1, 700, 4).unwrap();
        let error = load.run_for(1000).unwrap_err();
        assert_eq!(error.to_string(), "wrong bytes came back");
    }

    #[test]
    fn a_server_that_goes_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut load = Load::connect(listener.local_addr().unwrap(), 1, 64, 1).unwrap();
        drop(listener.accept().unwrap());
        assert!(load.run_for(1).is_err());
    }
}
