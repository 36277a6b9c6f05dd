//! Connections: what comes is answered from the buffer that it came in, or by something fixed.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;

use io_uring::{SubmissionQueue, Submitter, cqueue, opcode, squeue, types};

use super::buffers::{Buffers, GROUP};

/// What becomes of what was received.
pub enum Reply {
    /// So many of its bytes go back.
    Same(usize),
    /// This, so many times.
    Fixed(&'static [u8], usize),
}

struct Connection<F> {
    fd: i32,
    answer: F,
    /// What is to be sent: the first of them is under way.
    sending: VecDeque<Sending>,
    ended: bool,
}

struct Sending {
    /// Where it came in, if it goes back from there.
    buffer: Option<u16>,
    pointer: *const u8,
    length: usize,
}

const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const BUFFERS: u16 = 1024;
/// The fixed answer as often as one lease may ask for it.
const ANSWERS: usize = 64;

struct Server<'a, F> {
    // The handles of the ring are kept: made anew for each entry, each would read and write what the kernel shares.
    submitter: Submitter<'a>,
    entries: SubmissionQueue<'a>,
    buffers: Buffers,
    connections: Vec<Option<Connection<F>>>,
    /// Places that are free.
    free: Vec<usize>,
    /// Those whose receiving ended for want of a buffer.
    starved: Vec<usize>,
    /// The fixed answer, many times over.
    answers: Vec<u8>,
}

/// Serves for ever. `answering` makes what answers one connection.
pub fn serve<F: FnMut(&[u8]) -> io::Result<Reply>>(
    listener: TcpListener,
    size: usize,
    answering: impl Fn() -> F,
) -> io::Result<()> {
    let mut ring = super::ring(1024)?;
    let buffers = Buffers::register(&ring, BUFFERS, size)?;
    let (submitter, entries, mut completions) = ring.split();
    let (connections, free, starved, answers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut server = Server { submitter, entries, buffers, connections, free, starved, answers };
    server.push(opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).build().user_data(ACCEPT));
    loop {
        server.buffers.publish();
        server.entries.sync();
        server.submitter.submit_and_wait(1)?;
        server.entries.sync();
        completions.sync();
        for entry in &mut completions {
            let (kind, place) = (entry.user_data() & 3, (entry.user_data() >> 2) as usize);
            match kind {
                ACCEPT => server.accepted(entry.result(), answering()),
                RECEIVE => server.received(place, &entry),
                _ => server.sent(place, entry.result()),
            }
        }
        completions.sync();
        if !server.starved.is_empty() {
            server.buffers.publish();
            for place in std::mem::take(&mut server.starved) {
                server.receive(place);
            }
        }
    }
}

impl<F: FnMut(&[u8]) -> io::Result<Reply>> Server<'_, F> {
    #[inline(always)]
    fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: buffers and answers stay.
        while unsafe { self.entries.push(&entry) }.is_err() {
            self.entries.sync();
            self.submitter.submit().expect("the ring takes entries");
            self.entries.sync();
        }
    }

    fn accepted(&mut self, fd: i32, answer: F) {
        assert!(fd >= 0, "accept: {}", io::Error::from_raw_os_error(-fd));
        let one: i32 = 1;
        // SAFETY: the option is read during the call.
        unsafe {
            libc::setsockopt(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, (&raw const one).cast(), 4);
        }
        let connection = Connection { fd, answer, sending: VecDeque::new(), ended: false };
        let place = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.connections[place] = Some(connection);
        self.receive(place);
    }

    fn receive(&mut self, place: usize) {
        let Some(connection) = &self.connections[place] else { return };
        let entry = opcode::RecvMulti::new(types::Fd(connection.fd), GROUP).build();
        self.push(entry.user_data((place as u64) << 2 | RECEIVE));
    }

    fn received(&mut self, place: usize, entry: &cqueue::Entry) {
        let Some(connection) = &mut self.connections[place] else { return };
        let count = entry.result();
        if count > 0 {
            let (id, count) = (cqueue::buffer_select(entry.flags()).expect("it names one"), count as usize);
            let reply = (connection.answer)(self.buffers.bytes(id, count));
            let sending = match reply {
                Ok(Reply::Same(length)) => {
                    Sending { buffer: Some(id), pointer: self.buffers.pointer(id), length }
                }
                Ok(Reply::Fixed(answer, times)) => {
                    if self.answers.is_empty() {
                        self.answers = answer.repeat(ANSWERS);
                    }
                    self.buffers.give(id);
                    assert!(times <= ANSWERS, "{times} requests in one piece");
                    Sending { buffer: None, pointer: self.answers.as_ptr(), length: times * answer.len() }
                }
                Err(_) => Sending { buffer: Some(id), pointer: std::ptr::null(), length: 0 },
            };
            connection.sending.push_back(sending);
            if connection.sending.len() == 1 {
                self.send(place);
            }
            if !cqueue::more(entry.flags()) {
                self.receive(place);
            }
        } else if count == -libc::ENOBUFS {
            self.starved.push(place);
        } else {
            connection.ended = true;
            self.end_if_idle(place);
        }
    }

    /// Sends the first of what is to be sent.
    fn send(&mut self, place: usize) {
        let Some(connection) = &mut self.connections[place] else { return };
        let Some(first) = connection.sending.front() else { return };
        let entry = opcode::Send::new(types::Fd(connection.fd), first.pointer, first.length as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        self.push(entry.user_data((place as u64) << 2 | SEND));
    }

    fn sent(&mut self, place: usize, result: i32) {
        let Some(connection) = &mut self.connections[place] else { return };
        let first = connection.sending.front_mut().expect("it was being sent");
        if result > 0 && (result as usize) < first.length {
            first.pointer = first.pointer.wrapping_add(result as usize);
            first.length -= result as usize;
            return self.send(place);
        }
        let buffer = first.buffer;
        connection.sending.pop_front();
        connection.ended |= result < 0;
        if let Some(id) = buffer {
            self.buffers.give(id);
        }
        if self.connections[place].as_ref().is_some_and(|connection| !connection.sending.is_empty()) {
            self.send(place);
        }
        self.end_if_idle(place);
    }

    fn end_if_idle(&mut self, place: usize) {
        if let Some(connection) = self.connections[place].take_if(|it| it.ended && it.sending.is_empty()) {
            // SAFETY: it is ours, and nothing is under way on it.
            unsafe { libc::close(connection.fd) };
            self.free.push(place);
        }
    }
}
