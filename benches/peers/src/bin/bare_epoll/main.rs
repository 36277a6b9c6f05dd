//! No runtime and no ring: a loop around epoll_wait(2), with one buffer for all connections.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use annulus_peers::{ANSWER, Aligned, Contestant, Cost, Files, Requests, Stopwatch};

struct BareEpoll;

fn main() -> io::Result<()> {
    annulus_peers::run::<BareEpoll>()
}

impl Contestant for BareEpoll {
    const VARIANTS: &'static [&'static str] = &["bare epoll"];

    fn echo(_: &str, listener: TcpListener, size: usize) -> io::Result<()> {
        serve(listener, size, || |_: &[u8]| Ok(None))
    }

    fn http(_: &str, listener: TcpListener) -> io::Result<()> {
        let answers: &'static [u8] = ANSWER.repeat(64).leak();
        serve(listener, 4096, move || {
            let mut requests = Requests::default();
            move |bytes: &[u8]| Ok(answers.get(..requests.ended_in(bytes)? * ANSWER.len()))
        })
    }

    fn files(_: &str, files: &Files) -> io::Result<Option<Cost>> {
        if files.depth > 1 {
            return Ok(None);
        }
        let flags = if files.direct { libc::O_DIRECT } else { 0 };
        let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(&files.path)?;
        let (blocks, mut buffer) = (files.blocks()?, Aligned::new());
        let watch = Stopwatch::start();
        for number in 0..files.reads {
            let offset = files.offset(number, blocks);
            file.read_exact_at(&mut buffer[..], offset)?;
            files.check(offset, &buffer[..]);
        }
        Ok(Some(watch.stop(files.reads)))
    }
}

struct Connection<F> {
    stream: TcpStream,
    answer: F,
    /// What could not be sent at once.
    left: Vec<u8>,
}

const LISTENER: u64 = u64::MAX;

/// Serves for ever. What `answering` makes says what to answer, or `None` for the same bytes.
fn serve<F: FnMut(&[u8]) -> io::Result<Option<&'static [u8]>>>(
    listener: TcpListener,
    size: usize,
    answering: impl Fn() -> F,
) -> io::Result<()> {
    let poll = Poll::new()?;
    poll.control(libc::EPOLL_CTL_ADD, listener.as_raw_fd(), libc::EPOLLIN, LISTENER)?;
    // By number.
    let mut places: Vec<Option<Connection<F>>> = Vec::new();
    let mut buffer = vec![0; size];
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; 1024];
    loop {
        let count = poll.wait(&mut events)?;
        for event in &events[..count] {
            let (number, ready) = (event.u64, event.events);
            if number == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let fd = stream.as_raw_fd();
                    poll.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN, fd as u64)?;
                    if places.len() <= fd as usize {
                        places.resize_with(fd as usize + 1, || None);
                    }
                    places[fd as usize] = Some(Connection { stream, answer: answering(), left: Vec::new() });
                }
                continue;
            }
            let Some(connection) = &mut places[number as usize] else { continue };
            let done = if ready & libc::EPOLLOUT as u32 != 0 {
                connection.send_rest(&poll)
            } else {
                connection.answer(&mut buffer, &poll)
            };
            if !matches!(done, Ok(true)) {
                places[number as usize] = None;
            }
        }
    }
}

impl<F: FnMut(&[u8]) -> io::Result<Option<&'static [u8]>>> Connection<F> {
    /// False at the end.
    fn answer(&mut self, buffer: &mut [u8], poll: &Poll) -> io::Result<bool> {
        let count = match self.stream.read(buffer) {
            Ok(0) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            count => count?,
        };
        let answer = match (self.answer)(&buffer[..count])? {
            Some(fixed) => fixed,
            None => &buffer[..count],
        };
        if answer.is_empty() {
            return Ok(true);
        }
        let sent = sent(self.stream.write(answer))?;
        if sent < answer.len() {
            self.left.extend_from_slice(&answer[sent..]);
            let fd = self.stream.as_raw_fd();
            poll.control(libc::EPOLL_CTL_MOD, fd, libc::EPOLLOUT, fd as u64)?;
        }
        Ok(true)
    }

    fn send_rest(&mut self, poll: &Poll) -> io::Result<bool> {
        let sent = sent(self.stream.write(&self.left))?;
        self.left.drain(..sent);
        if self.left.is_empty() {
            let fd = self.stream.as_raw_fd();
            poll.control(libc::EPOLL_CTL_MOD, fd, libc::EPOLLIN, fd as u64)?;
        }
        Ok(true)
    }
}

fn sent(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        result => result,
    }
}

struct Poll(OwnedFd);

impl Poll {
    fn new() -> io::Result<Poll> {
        // SAFETY: no memory is passed, and what it opens is ours.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was opened for us.
        Ok(Poll(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    fn control(&self, what: i32, fd: i32, interest: i32, number: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest as u32, u64: number };
        // SAFETY: the event is read during the call.
        let answer = unsafe { libc::epoll_ctl(self.0.as_raw_fd(), what, fd, &mut event) };
        if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn wait(&self, events: &mut [libc::epoll_event]) -> io::Result<usize> {
        // SAFETY: it writes as many events as there are.
        let count =
            unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), events.len() as i32, -1) };
        match count {
            count if count >= 0 => Ok(count as usize),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
                error => Err(error),
            },
        }
    }
}
