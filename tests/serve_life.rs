//! The file server of the examples through its life: its threads, how it ends under load, and how another process takes over.

mod support;

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use support::served::{Served, body, on_each, send, status};
use support::watchdog::Watchdog;

/// How long anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// A connection that waits may be closed after a second. Whoever is slower than this with a request, for the machine is busy, was promised
/// nothing.
const SOON: Duration = Duration::from_millis(500);
/// More than is remembered of a file, and than is sent at once.
const LARGE: usize = 300_000;

/// Clients that ask again and again, each on a connection that is kept as long as the server keeps it.
struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// How often each was answered.
    answered: Vec<AtomicUsize>,
    /// How often one was told that its connection closes.
    closed: AtomicUsize,
    /// They have asked enough.
    enough: AtomicBool,
    /// The server is about to go, so who connects may be refused, and is done then.
    may_be_refused: AtomicBool,
    failures: Mutex<Vec<String>>,
}

impl Load {
    fn start(address: SocketAddr, clients: usize) -> Load {
        let answered = (0..clients).map(|_| AtomicUsize::new(0)).collect();
        let shared = Arc::new(Shared { answered, ..Shared::default() });
        let client = |n| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.client(address, n))
        };
        let clients = (0..clients).map(client).collect();
        Load { shared, clients }
    }

    /// Waits until each was answered so many times more, or something failed.
    fn goes_on(&self, times: usize) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        let before: Vec<_> = self.shared.answered.iter().map(count).collect();
        let start = Instant::now();
        while self.shared.answered.iter().zip(&before).any(|(now, before)| count(now) < before + times) {
            let failures = self.shared.failures.lock().unwrap();
            assert!(failures.is_empty(), "{failures:?}");
            assert!(start.elapsed() < PATIENCE, "the clients are not answered any more");
            drop(failures);
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until all have ended, and gives how often one was told that its connection closes. Nothing has failed.
    fn ends(self) -> usize {
        for client in self.clients {
            client.join().unwrap();
        }
        let failures = self.shared.failures.lock().unwrap();
        assert!(failures.is_empty(), "{} failed: {failures:?}", failures.len());
        self.shared.closed.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn client(&self, address: SocketAddr, n: usize) {
        let target = if n % 4 == 0 { "/large" } else { "/small" };
        while !self.enough.load(Ordering::SeqCst) {
            let stream = match TcpStream::connect(address) {
                Ok(stream) => stream,
                Err(error) => {
                    let is_meant = error.kind() == io::ErrorKind::ConnectionRefused;
                    if !(is_meant && self.may_be_refused.load(Ordering::SeqCst)) {
                        self.failures.lock().unwrap().push(format!("client {n} cannot connect: {error}"));
                    }
                    return;
                }
            };
            if let Err(error) = self.asks(stream, target, n) {
                self.failures.lock().unwrap().push(format!("client {n}: {error}"));
                return;
            }
        }
    }

    /// Asks on one connection, until that is to close.
    fn asks(&self, stream: TcpStream, target: &str, n: usize) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut waits_since = Instant::now();
        let mut reader = BufReader::new(&stream);
        while !self.enough.load(Ordering::SeqCst) {
            let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n");
            let sent = (&stream).write_all(request.as_bytes());
            let is_late = waits_since.elapsed() > SOON;
            match sent.and_then(|()| answer(&mut reader)) {
                Ok(closes) => {
                    self.answered[n].fetch_add(1, Ordering::SeqCst);
                    if closes {
                        self.closed.fetch_add(1, Ordering::SeqCst);
                        return Ok(());
                    }
                }
                Err(_) if is_late => return Ok(()),
                Err(error) => return Err(error),
            }
            waits_since = Instant::now();
        }
        Ok(())
    }
}

/// Reads an answer, and says whether it is the last one.
fn answer(reader: &mut BufReader<&TcpStream>) -> io::Result<bool> {
    let (mut length, mut closes) = (0, false);
    for n in 0.. {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            let text = format!("the connection ended in line {n} of an answer");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        if n == 0 && !line.starts_with("HTTP/1.1 200 ") {
            return Err(io::Error::other(line));
        }
        if let Some(text) = line.strip_prefix("Content-Length: ") {
            length = text.trim().parse().map_err(io::Error::other)?;
        }
        closes |= line == "Connection: close\r\n";
        if line == "\r\n" {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    Ok(closes)
}

fn write_files(server: &Served) {
    server.write("small", "0123456789");
    server.write("large", vec![b'x'; LARGE]);
}

/// The threads of a process that serve, by their names, and how often each gave its processor away.
fn threads(process: u32) -> Vec<(String, u64)> {
    let mut threads: Vec<_> = fs::read_dir(format!("/proc/{process}/task"))
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let comm = fs::read_to_string(entry.path().join("comm")).ok()?.trim_end().to_owned();
            let status = fs::read_to_string(entry.path().join("status")).ok()?;
            let counts = status.lines().filter_map(|line| line.split_once("voluntary_ctxt_switches:"));
            let switches = counts.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum();
            comm.strip_prefix("serve-")?.parse::<usize>().ok().map(|_| (comm, switches))
        })
        .collect();
    threads.sort();
    threads
}

#[test]
fn connections_are_served_by_all_threads() {
    on_each("connections_are_served_by_all_threads", &["--threads", "2"], |server| {
        assert!(server.first.ends_with(", 2 threads\n"), "{}", server.first);
        write_files(server);
        let process = server.child.id();
        let before = threads(process);
        let names: Vec<_> = before.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["serve-0", "serve-1"]);
        let load = Load::start(server.address, 32);
        load.goes_on(10);
        load.shared.enough.store(true, Ordering::SeqCst);
        load.ends();
        let served: Vec<_> = threads(process).into_iter().zip(before).collect();
        // A loop that has nothing to do does not wake.
        assert!(served.iter().all(|((_, now), (_, before))| now > before), "{served:?}");
        let (code, said) = server.interrupt();
        assert_eq!(code, Some(0), "{said}");
        let requests: u64 =
            said.lines().find_map(|line| line.split_once(" requests,")?.0.parse().ok()).unwrap();
        assert!(requests >= 320, "those of both are counted: {said}");
    });
}

#[test]
fn connections_are_served_however_they_are_spread() {
    let test = "connections_are_served_however_they_are_spread";
    for driver in support::drivers(test) {
        for policy in ["kernel", "cpu", "round-robin", "least-connections", "least-busy"] {
            let _watchdog = Watchdog::over(test);
            let server = Served::start(driver, &["--threads", "3", "--balance", policy]);
            write_files(&server);
            let load = Load::start(server.address, 8);
            load.goes_on(5);
            load.shared.enough.store(true, Ordering::SeqCst);
            load.ends();
        }
    }
}

#[test]
fn a_server_that_ends_under_load_fails_no_request() {
    const CLIENTS: usize = 16;
    on_each("a_server_that_ends_under_load_fails_no_request", &["--threads", "2"], |server| {
        write_files(server);
        let load = Load::start(server.address, CLIENTS);
        load.goes_on(20);
        load.shared.may_be_refused.store(true, Ordering::SeqCst);
        server.signal("-TERM");
        let closed = load.ends();
        assert!(closed >= CLIENTS, "{closed} answers said that the connection closes");
        let (code, said) = server.ended();
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("cut off"), "{said}");
    });
}

#[test]
fn another_process_takes_over_under_load_and_no_request_fails() {
    on_each("another_process_takes_over_under_load_and_no_request_fails", &["--threads", "2"], |server| {
        write_files(server);
        let load = Load::start(server.address, 64);
        load.goes_on(5);

        server.signal("-USR2");
        let second = server.successor(1);
        assert_eq!(server.code(), Some(0), "{}", server.says("", 0));
        load.goes_on(5);
        assert_eq!(server.processes(), [second]);

        send(second, "-USR2");
        let third = server.successor(2);
        // It has counted together when it has ended as it should.
        server.says(" refused", 2);
        let start = Instant::now();
        while server.processes() != [third] {
            assert!(start.elapsed() < PATIENCE, "{:?} are there", server.processes());
            thread::sleep(Duration::from_millis(5));
        }
        load.goes_on(5);
        load.shared.enough.store(true, Ordering::SeqCst);
        let closed = load.ends();
        assert!(closed >= 64, "{closed} answers said that the connection closes");

        send(third, "-TERM");
        let (_, said) = server.ended();
        assert!(!said.contains("cut off") && said.matches(" refused").count() == 3, "{said}");
    });
}

#[test]
fn a_program_that_cannot_take_over_does_not_end_the_one_that_serves() {
    on_each("a_program_that_cannot_take_over_does_not_end_the_one_that_serves", &[], |server| {
        write_files(server);
        // The same arguments do not do any more.
        let (path, away) =
            (server.directory.path().to_owned(), server.directory.path().with_extension("away"));
        fs::rename(&path, &away).unwrap();
        server.signal("-USR2");
        let said = server.says("no other process has taken over", 1);
        fs::rename(&away, &path).unwrap();
        assert!(said.contains("ended before it took over"), "{said}");
        assert_eq!(body(&server.ask("GET", "/small", "")), "0123456789");
        assert_eq!(server.interrupt().0, Some(0));
    });
}

#[test]
fn a_hangup_lets_it_go_on() {
    on_each("a_hangup_lets_it_go_on", &["--threads", "2"], |server| {
        write_files(server);
        let load = Load::start(server.address, 8);
        load.goes_on(5);
        for times in 1..=3 {
            server.signal("-HUP");
            server.says("all files are looked up anew", times);
            load.goes_on(5);
        }
        load.shared.enough.store(true, Ordering::SeqCst);
        assert_eq!(load.ends(), 0, "no connection was closed");
        assert_eq!(server.interrupt().0, Some(0));
    });
}

#[test]
fn a_second_interrupt_ends_it_at_once() {
    on_each("a_second_interrupt_ends_it_at_once", &["--drain-limit", "600"], |server| {
        server.write("huge", vec![7; 64 << 20]);
        let mut stream = server.connect();
        stream.write_all(b"GET /huge HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        server.signal("-INT");
        server.says("stopping", 1);
        let (code, said) = server.interrupt();
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("1 connections were still busy and are cut off"), "{said}");
    });
}

#[test]
fn what_takes_longer_than_the_limit_is_cut_off() {
    on_each("what_takes_longer_than_the_limit_is_cut_off", &["--drain-limit", "0.5"], |server| {
        server.write("huge", vec![7; 64 << 20]);
        let mut stream = server.connect();
        stream.write_all(b"GET /huge HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        let (code, said) = server.interrupt();
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains("500ms") && said.contains("1 connections were still busy and are cut off"),
            "{said}"
        );
    });
}

#[test]
fn a_socket_that_a_service_manager_gives_is_served_at() {
    let test = "a_socket_that_a_service_manager_gives_is_served_at";
    for driver in support::drivers(test) {
        let _watchdog = Watchdog::over(test);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // Who connects before there is a server waits for it.
        let mut early = TcpStream::connect(address).unwrap();
        early.write_all(b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let server = Served::activated(listener, driver);
        assert_eq!(server.address, address);
        early.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut heard = String::new();
        early.read_to_string(&mut heard).unwrap();
        assert_eq!(status(&heard), 404);
        assert_eq!(server.status("GET", "/none", ""), 404);
    }
}

#[test]
fn a_second_server_at_the_same_address_is_refused() {
    on_each("a_second_server_at_the_same_address_is_refused", &["--threads", "2"], |server| {
        let output = std::process::Command::new(support::example::example("serve"))
            .args([".", "--threads", "2", "--addr", &server.address.to_string()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("listens there"), "{said}");
    });
}
