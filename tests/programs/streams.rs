//! The connections of a program, and the model of what comes through them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

use annulus::buf::IoBuf;
use annulus::io::Incomplete;
use annulus::net::{OwnedReadHalf, OwnedWriteHalf, TcpListener, TcpStream};
use annulus::sim::{Faults, Host};
use annulus::task::JoinHandle;
use annulus::time::{sleep, timeout};

use crate::plan::{Fate, Program, ReadStep, Side, WriteStep};

/// The byte at a place of a stream.
fn byte(stream: usize, place: usize) -> u8 {
    // The first tells the server which connection it has.
    if place == 0 {
        stream as u8
    } else {
        (place.wrapping_mul(31) ^ (place >> 8) ^ stream.wrapping_mul(97)) as u8
    }
}

/// One direction of a connection.
#[derive(Default)]
struct Flow {
    stream: usize,
    /// How many bytes were written for certain.
    written: Cell<usize>,
    /// How many may have been, while a write is under way.
    may_be_written: Cell<usize>,
    read: Cell<usize>,
    /// The writer has come to its end without an error, and nothing cut it short.
    is_finished: Cell<bool>,
    /// An error was told to the reader's end, be it to a write. A connection's error is told once, and then the end.
    is_torn: Cell<bool>,
    /// The reader has seen the end.
    has_ended: Cell<bool>,
}

impl Flow {
    fn of(stream: usize) -> Rc<Flow> {
        Rc::new(Flow { stream, ..Flow::default() })
    }

    fn bytes(&self, length: usize) -> Vec<u8> {
        let first = self.written.get();
        self.may_be_written.set(first + length);
        (first..first + length).map(|place| byte(self.stream, place)).collect()
    }

    fn wrote(&self, count: usize) {
        self.written.set(self.written.get() + count);
        self.may_be_written.set(self.written.get());
    }

    fn got(&self, bytes: &[u8]) {
        for read in bytes {
            let place = self.read.get();
            assert_eq!(
                *read,
                byte(self.stream, place),
                "stream {}: byte {place} is not what was written",
                self.stream
            );
            self.read.set(place + 1);
        }
        assert!(self.read.get() <= self.may_be_written.get(), "more is read than was written");
    }
}

/// Bytes that an operation moved before it ended with an error.
fn moved(error: &io::Error) -> usize {
    Incomplete::of(error).map_or(0, Incomplete::done)
}

fn is_stop(error: &io::Error) -> bool {
    let within = Incomplete::of(error).map_or(error, |incomplete| incomplete.error());
    let stops = [libc::ECANCELED, libc::ETIMEDOUT, libc::ENOBUFS, libc::EINTR];
    within.raw_os_error().is_some_and(|errno| stops.contains(&errno))
}

/// Remembers that an end was told an error of its connection. A time-out may be the connection's, too.
fn tell(error: &io::Error, flow: &Flow) {
    let within = Incomplete::of(error).map_or(error, |incomplete| incomplete.error());
    let harmless = [libc::ECANCELED, libc::ENOBUFS, libc::EINTR];
    let is_harmless = within.raw_os_error().is_some_and(|errno| harmless.contains(&errno));
    if !is_harmless && within.kind() != io::ErrorKind::UnexpectedEof {
        flow.is_torn.set(true);
    }
}

/// Waits for an operation as its fate says. None if its future was dropped.
macro_rules! meet {
    ($fate:expr, $operation:expr) => {{
        let operation = $operation;
        match $fate {
            Fate::Awaited => Some(operation.await),
            Fate::TimedOut(span) => Some(operation.timeout(span).await),
            Fate::Cancelled(span) => Some(operation.cancel_when(sleep(span)).await),
            Fate::Dropped(span) => timeout(span, operation).await.ok(),
        }
    }};
}
pub(crate) use meet;

async fn write(
    half: OwnedWriteHalf,
    steps: Vec<WriteStep>,
    shuts_down: bool,
    flow: Rc<Flow>,
    other: Rc<Flow>,
) {
    for step in steps {
        let (result, wanted_all) = match step {
            WriteStep::Sleep(span) => {
                sleep(span).await;
                continue;
            }
            WriteStep::Some(length, fate) => {
                (meet!(fate, half.write(flow.bytes(length))).map(|(result, _)| result), None)
            }
            WriteStep::All(length, fate) => {
                let outcome = meet!(fate, half.write_all(flow.bytes(length)));
                (outcome.map(|(result, _)| result.map(|()| length)), Some(length))
            }
            WriteStep::Many(lengths, fate) => {
                let mut whole = flow.bytes(lengths.iter().sum());
                let mut parts = Vec::new();
                for length in lengths {
                    let rest = whole.split_off(length);
                    parts.push(std::mem::replace(&mut whole, rest));
                }
                (meet!(fate, half.writev(parts)).map(|(result, _)| result), None)
            }
        };
        let _ = wanted_all;
        let error = match result {
            Some(Ok(count)) => {
                flow.wrote(count);
                continue;
            }
            Some(Err(error)) => {
                flow.wrote(moved(&error));
                error
            }
            // Left behind. What became of it can be asked.
            None => match half.settle_writes().await {
                Ok(count) => {
                    flow.wrote(count);
                    continue;
                }
                Err(error) => {
                    // The error is told once; then how far it came.
                    flow.wrote(half.settle_writes().await.unwrap_or(0));
                    error
                }
            },
        };
        tell(&error, &other);
        if !is_stop(&error) {
            return;
        }
    }
    match half.shutdown(Shutdown::Write).await {
        _ if !shuts_down => flow.is_finished.set(true),
        Ok(()) => flow.is_finished.set(true),
        Err(error) => tell(&error, &other),
    }
}

async fn read(half: OwnedReadHalf, steps: Vec<ReadStep>, flow: Rc<Flow>) {
    for step in steps {
        match step {
            ReadStep::Sleep(span) => sleep(span).await,
            ReadStep::Some(length, fate) => {
                let Some((result, buffer)) = meet!(fate, half.read(Vec::with_capacity(length))) else {
                    continue;
                };
                match result {
                    Ok(0) => return flow.has_ended.set(true),
                    Ok(count) => flow.got(&buffer[..count]),
                    Err(error) => {
                        tell(&error, &flow);
                        if !is_stop(&error) {
                            return;
                        }
                    }
                }
            }
            ReadStep::Exact(length, fate) => {
                let room = Vec::with_capacity(length).slice(..length);
                let Some((result, buffer)) = meet!(fate, half.read_exact(room)) else { continue };
                let buffer = buffer.into_inner();
                match result {
                    Ok(()) => {
                        assert_eq!(buffer.len(), length);
                        flow.got(&buffer);
                    }
                    Err(error) => {
                        flow.got(&buffer[..moved(&error)]);
                        tell(&error, &flow);
                        if !is_stop(&error) {
                            return flow.has_ended.set(error.kind() == io::ErrorKind::UnexpectedEof);
                        }
                    }
                }
            }
            ReadStep::Lease(fate) => {
                let Some(result) = meet!(fate, half.recv()) else { continue };
                match result {
                    Ok(lease) if lease.is_empty() => return flow.has_ended.set(true),
                    Ok(lease) => flow.got(&lease),
                    Err(error) => {
                        tell(&error, &flow);
                        if !is_stop(&error) {
                            return;
                        }
                    }
                }
            }
            ReadStep::Leases(count, fate) => {
                let mut leases = half.recv_stream();
                for _ in 0..count {
                    let next = match fate {
                        Fate::Awaited => Some(leases.next().await),
                        Fate::TimedOut(span) | Fate::Cancelled(span) | Fate::Dropped(span) => {
                            timeout(span, leases.next()).await.ok()
                        }
                    };
                    match next {
                        None => {}
                        Some(None) => return flow.has_ended.set(true),
                        Some(Some(Ok(lease))) => flow.got(&lease),
                        Some(Some(Err(error))) => {
                            tell(&error, &flow);
                            if !is_stop(&error) {
                                return;
                            }
                        }
                    }
                }
            }
            ReadStep::Many(lengths, fate) => {
                let room: usize = lengths.iter().sum();
                let buffers = lengths.into_iter().map(Vec::with_capacity).collect();
                let Some((result, buffers)) = meet!(fate, half.readv::<Vec<u8>>(buffers)) else { continue };
                match result {
                    Ok(0) if room > 0 => return flow.has_ended.set(true),
                    Ok(count) => {
                        let bytes = buffers.concat();
                        assert_eq!(bytes.len(), count);
                        flow.got(&bytes);
                    }
                    Err(error) => {
                        tell(&error, &flow);
                        if !is_stop(&error) {
                            return;
                        }
                    }
                }
            }
        }
    }
    let mut buffer = Vec::with_capacity(4096);
    loop {
        buffer.clear();
        let (result, back) = half.read(buffer).await;
        buffer = back;
        match result {
            Ok(0) => return flow.has_ended.set(true),
            Ok(_) => flow.got(&buffer),
            Err(error) if is_stop(&error) && error.kind() != io::ErrorKind::TimedOut => {}
            Err(error) => return tell(&error, &flow),
        }
    }
}

/// When a stream is given up of which nothing is heard.
const STARVED: Duration = Duration::from_secs(1200);

/// Starts the tasks of one end, and aborts them if its plan says so.
fn live(
    stream: TcpStream,
    side: &Side,
    loses: bool,
    out: Rc<Flow>,
    into: Rc<Flow>,
) -> impl Future<Output = ()> + 'static {
    let (read_half, write_half) = stream.into_split();
    let writes =
        annulus::spawn(write(write_half, side.writes.clone(), side.shuts_down, out, Rc::clone(&into)));
    let reads = annulus::spawn(read(read_half, side.reads.clone(), into));
    let abort = side.abort;
    async move {
        if let Some(span) = abort {
            sleep(span).await;
            writes.abort();
            reads.abort();
        }
        for mut task in [writes, reads] {
            let ended = match timeout(STARVED, &mut task).await {
                Ok(ended) => ended,
                // A reset is not sent again when it is lost: who only reads does not learn of it, on any system.
                Err(_) => {
                    assert!(loses, "a stream hangs though nothing is lost");
                    task.abort();
                    continue;
                }
            };
            match ended {
                Ok(()) => {}
                Err(error) if error.is_cancelled() => {}
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
    }
}

pub(crate) struct Streams {
    tasks: Vec<(Host, JoinHandle<()>)>,
    flows: Vec<(Rc<Flow>, Rc<Flow>)>,
    connected: Rc<RefCell<BTreeSet<usize>>>,
    accepted: Rc<RefCell<Vec<u8>>>,
    aborts: Vec<bool>,
}

pub(crate) fn start(program: &Program, server: &Host, client: &Host) -> Streams {
    let count = program.connections.len();
    // Stream 2n goes to the server, stream 2n + 1 back.
    let flows: Vec<_> = (0..count).map(|number| (Flow::of(2 * number), Flow::of(2 * number + 1))).collect();
    let (connected, accepted) = (Rc::new(RefCell::default()), Rc::new(RefCell::default()));
    let mut tasks = Vec::new();
    let (is_over, is_listening) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let serve = serve(
        program.clone(),
        flows.clone(),
        Rc::clone(&accepted),
        Rc::clone(&is_over),
        Rc::clone(&is_listening),
    );
    tasks.push((server.clone(), server.spawn(serve)));
    for (number, connection) in program.connections.iter().cloned().enumerate() {
        let (out, into) = flows[number].clone();
        let (is_over, is_listening) = (Rc::clone(&is_over), Rc::clone(&is_listening));
        let connected: Rc<RefCell<BTreeSet<usize>>> = Rc::clone(&connected);
        let loses = program.loss > 0.0;
        let task = client.spawn(async move {
            while !is_listening.get() {
                sleep(Duration::from_micros(100)).await;
            }
            sleep(connection.after).await;
            if let Ok(stream) = TcpStream::connect("server:80").await {
                // Which connection it is, before anything else.
                let introduced = loop {
                    match stream.write_all(out.bytes(1)).await.0 {
                        Err(error) if is_stop(&error) => {}
                        introduced => break introduced,
                    }
                };
                if introduced.is_ok() {
                    out.wrote(1);
                    connected.borrow_mut().insert(number);
                    live(stream, &connection.client, loses, out, into).await;
                }
            }
            is_over.set(is_over.get() + 1);
        });
        tasks.push((client.clone(), task));
    }
    let aborts =
        program.connections.iter().map(|one| one.client.abort.or(one.server.abort).is_some()).collect();
    Streams { tasks, flows, connected, accepted, aborts }
}

/// Accepts until all clients are through, and lives each connection's other end.
async fn serve(
    program: Program,
    flows: Vec<(Rc<Flow>, Rc<Flow>)>,
    accepted: Rc<RefCell<Vec<u8>>>,
    is_over: Rc<Cell<usize>>,
    is_listening: Rc<Cell<bool>>,
) {
    let listener = loop {
        match TcpListener::bind("0.0.0.0:80").await {
            Ok(listener) => break listener,
            Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {}
            Err(error) => panic!("{error}"),
        }
    };
    is_listening.set(true);
    let mut fates = program.accepts.iter().copied().cycle();
    let mut ends = Vec::new();
    while is_over.get() < program.connections.len() {
        let fate = fates.next().unwrap_or(Fate::Awaited);
        // Not for ever: a client may have given up.
        let fate = if matches!(fate, Fate::Awaited) { Fate::Dropped(Duration::from_secs(1)) } else { fate };
        let Some(Ok((stream, _))) = meet!(fate, listener.accept()) else {
            sleep(Duration::from_micros(50)).await;
            continue;
        };
        let (program, flows, accepted) = (program.clone(), flows.clone(), Rc::clone(&accepted));
        ends.push(annulus::spawn(async move {
            let (result, first) = stream.read_exact(vec![0xff; 1]).await;
            if result.is_err() {
                return;
            }
            let number = usize::from(first[0] / 2);
            assert!(first[0] % 2 == 0 && number < flows.len(), "the first byte is not what was written");
            accepted.borrow_mut().push(first[0]);
            let (into, out) = flows[number].clone();
            into.read.set(1);
            live(stream, &program.connections[number].server, program.loss > 0.0, out, into).await;
        }));
    }
    for end in ends {
        end.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    }
}

impl Streams {
    pub(crate) fn are_done(&self) -> bool {
        self.tasks.iter().all(|(_, task)| task.is_finished())
    }

    pub(crate) fn check(self, faults: &Faults) {
        for (host, task) in self.tasks {
            host.run(task).unwrap().unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        }
        let mut accepted = self.accepted.borrow().clone();
        accepted.sort_unstable();
        let twice = accepted.windows(2).any(|pair| pair[0] == pair[1]);
        assert!(!twice, "a connection was accepted twice: {accepted:?}");
        // Faults that end connections, or operations on them.
        let is_gentle = faults.reset + faults.lost + faults.refused + faults.descriptors == 0.0;
        // Without faults that cut connections off, a time-out is an operation's own.
        let is_whole = faults.reset + faults.lost == 0.0;
        for (number, (there, back)) in self.flows.iter().enumerate() {
            for flow in [there, back] {
                assert!(flow.read.get() <= flow.may_be_written.get());
                let is_torn = flow.is_torn.get() && (!is_whole || self.aborts[number]);
                if flow.has_ended.get() && flow.is_finished.get() && !is_torn {
                    assert_eq!(
                        flow.read.get(),
                        flow.written.get(),
                        "a clean end, but not all that was written came"
                    );
                }
            }
            if is_gentle && !self.aborts[number] {
                assert!(self.connected.borrow().contains(&number), "a connection was not made");
                assert!(accepted.contains(&(2 * number as u8)), "a connection was forgotten");
                for flow in [there, back] {
                    assert!(flow.has_ended.get() && flow.is_finished.get(), "a stream without its end");
                }
            }
        }
    }
}
