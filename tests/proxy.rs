//! The TCP proxy of the examples, as a process of its own, between programs that know nothing of it.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write, read_to_string};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use support::data::{assert_same, bytes};
use support::example::example;
use support::net::reset;

const PATIENCE: Duration = Duration::from_secs(20);

/// A process that listens, and ends with the test.
struct Program {
    child: Child,
    address: SocketAddr,
    /// What it says after its first line, once it has ended.
    said: Option<JoinHandle<String>>,
}

impl Program {
    /// Starts what says where it listens in the first line, after `before`.
    fn start(command: &mut Command, before: &str) -> Program {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program is there");
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).unwrap();
        let address = first.split(before).nth(1).and_then(|rest| rest.split(' ').next());
        let address =
            address.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("it said {first:?}"));
        // Read on, so that it never waits for us.
        let said = std::thread::spawn(move || read_to_string(said).unwrap());
        Program { child, address, said: Some(said) }
    }

    fn proxy(driver: annulus::Driver, to: SocketAddr, arguments: &[&str]) -> Program {
        let mut command = Command::new(example("proxy"));
        Program::start(with_arguments(&mut command, driver, to).args(arguments), "passing ")
    }

    fn serve(driver: annulus::Driver, directory: &Path) -> Program {
        let mut command = Command::new(example("serve"));
        command.arg(directory).args(["--addr", "127.0.0.1:0", "--quiet", "--driver", &driver.to_string()]);
        Program::start(&mut command, "http://")
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn status(&self, field: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).expect("a number")
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(0, Iterator::count)
    }

    fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }

    /// How it ended, and what it said.
    fn ended(&mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, self.said.take().expect("it ends once").join().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn with_arguments(command: &mut Command, driver: annulus::Driver, to: SocketAddr) -> &mut Command {
    command.args(["--addr", "127.0.0.1:0", "--to", &to.to_string(), "--driver", &driver.to_string()])
}

/// Runs a body on each driver, with a proxy in front of a listener of the standard library's.
fn on_each(test: &str, arguments: &[&str], body: impl Fn(&mut Program, TcpListener)) {
    for driver in support::drivers(test) {
        let _watchdog = support::watchdog::Watchdog::over(test);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut proxy = Program::proxy(driver, listener.local_addr().unwrap(), arguments);
        body(&mut proxy, listener);
    }
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn read_exact(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut all = vec![0; length];
    stream.read_exact(&mut all).unwrap();
    all
}

/// Whether nothing more comes: an end, or a reset.
#[track_caller]
fn is_over(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 100]) {
        Ok(0) => true,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
        other => panic!("neither an end nor a reset: {other:?}"),
    }
}

#[test]
fn a_download_of_100_mib_arrives_as_it_is() {
    const LENGTH: usize = 100 << 20;
    let test = "a_download_of_100_mib_arrives_as_it_is";
    let directory = tempfile::tempdir().unwrap();
    let mut expected = bytes(1, 1 << 20).repeat(100);
    for (number, mebibyte) in expected.chunks_mut(1 << 20).enumerate() {
        mebibyte[number] ^= 0xff;
    }
    fs::write(directory.path().join("large"), &expected).unwrap();
    for driver in support::drivers(test) {
        let _watchdog = support::watchdog::Watchdog::over(test);
        let server = Program::serve(driver, directory.path());
        let proxy = Program::proxy(driver, server.address, &[]);

        let mut client = proxy.connect();
        client.write_all(b"GET /large HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::with_capacity(LENGTH + 1000);
        client.read_to_end(&mut answer).unwrap();
        let head = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert_eq!(answer.len() - head, LENGTH);
        assert!(answer[head..] == expected[..], "what came is something else");

        let copy = directory.path().join("copy");
        let curl = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--output"])
            .arg(&copy)
            .arg(format!("http://{}/large", proxy.address))
            .status();
        match curl {
            Ok(status) => {
                assert!(status.success(), "{status}");
                assert!(fs::read(&copy).unwrap() == expected, "what came is something else");
            }
            Err(error) => support::skipped(test, &format!("its second half: curl: {error}")),
        }
    }
}

#[test]
fn each_way_ends_by_itself() {
    on_each("each_way_ends_by_itself", &[], |proxy, listener| {
        let mut client = proxy.connect();
        let mut server = accept(&listener);
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_string(&server).unwrap(), "question");
        let large = bytes(1, 1 << 20);
        let sent = large.clone();
        let sending = std::thread::spawn(move || server.write_all(&sent).unwrap());
        assert_same(&read_exact(&mut client, large.len()), &large);
        sending.join().unwrap();
        assert!(is_over(&mut client));

        let mut client = proxy.connect();
        let server = accept(&listener);
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        client.write_all(b"and yet").unwrap();
        drop(client);
        assert_eq!(read_to_string(&server).unwrap(), "and yet");
    });
}

#[test]
fn a_reset_of_either_end_is_passed_on() {
    on_each("a_reset_of_either_end_is_passed_on", &[], |proxy, listener| {
        let before = proxy.descriptors();
        let mut client = proxy.connect();
        let mut server = accept(&listener);
        client.write_all(b"x").unwrap();
        read_exact(&mut server, 1);
        reset(client);
        assert!(is_over(&mut server));

        let mut client = proxy.connect();
        let mut server = accept(&listener);
        client.write_all(b"x").unwrap();
        read_exact(&mut server, 1);
        reset(server);
        assert!(is_over(&mut client));
        until(|| proxy.descriptors() <= before + 4, "sockets stay open");
    });
}

/// Waits until something is so.
#[track_caller]
fn until(is_so: impl Fn() -> bool, otherwise: &str) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{otherwise}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn who_does_not_read_makes_nobody_keep_what_is_sent() {
    on_each("who_does_not_read_makes_nobody_keep_what_is_sent", &[], |proxy, listener| {
        let _client = proxy.connect();
        let mut server = accept(&listener);
        let before = proxy.status("VmRSS");
        server.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let piece = vec![7; 1 << 20];
        let mut sent = 0;
        while sent < 256 << 20 {
            match server.write(&piece) {
                Ok(count) => sent += count,
                Err(error) => {
                    assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()), "{error}");
                    break;
                }
            }
        }
        assert!(sent < 256 << 20, "somebody keeps it all");
        let grown = proxy.status("VmRSS").saturating_sub(before);
        assert!(grown < 2048, "{grown} KiB more");
    });
}

#[test]
fn who_comes_beyond_the_limit_waits_for_a_place() {
    on_each("who_comes_beyond_the_limit_waits_for_a_place", &["--limit", "2"], |proxy, listener| {
        let mut clients: Vec<_> = (0..3).map(|_| proxy.connect()).collect();
        let mut servers: Vec<_> = (0..2).map(|_| accept(&listener)).collect();
        clients[2].write_all(b"third").unwrap();
        listener.set_nonblocking(true).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        listener.set_nonblocking(false).unwrap();
        drop(clients.remove(0));
        assert!(is_over(&mut servers[0]));
        drop(servers.remove(0));
        let mut third = accept(&listener);
        assert_eq!(read_exact(&mut third, 5), b"third");
    });
}

#[test]
fn a_target_that_is_not_there_is_told_as_an_end() {
    for driver in support::drivers("a_target_that_is_not_there_is_told_as_an_end") {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut proxy = Program::proxy(driver, nobody, &[]);
        assert!(is_over(&mut proxy.connect()));
        proxy.interrupt();
        let (code, said) = proxy.ended();
        assert_eq!(code, Some(0));
        assert!(said.contains(&nobody.to_string()), "{said}");
    }
}

#[test]
fn an_interrupt_lets_connections_end() {
    on_each("an_interrupt_lets_connections_end", &[], |proxy, listener| {
        let mut client = proxy.connect();
        let mut server = accept(&listener);
        client.write_all(b"x").unwrap();
        read_exact(&mut server, 1);
        proxy.interrupt();
        until(|| TcpStream::connect(proxy.address).is_err(), "it goes on accepting");
        // Those that it had accepted before that.
        drop(listener);
        server.write_all(b"last words").unwrap();
        drop(server);
        assert_eq!(read_to_string(&client).unwrap(), "last words");
        drop(client);
        let (code, said) = proxy.ended();
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("cut off"), "{said}");
    });
}

/// What a system call answered in all, in the lines of a trace: `42 splice(...) = 4096`.
fn moved_by(trace: &str, calls: &[&str]) -> u64 {
    let of_these = |line: &&str| {
        let call = line.split('(').next().and_then(|start| start.split_whitespace().last());
        // Of a call that was broken off by another thread's the answer stands in a line of its own.
        let resumed = line.split("<... ").nth(1).and_then(|rest| rest.split(' ').next());
        calls.contains(&resumed.or(call).unwrap_or_default())
    };
    let answer = |line: &str| line.rsplit(" = ").next()?.split(' ').next()?.trim().parse::<i64>().ok();
    trace.lines().filter(of_these).filter_map(answer).filter_map(|answer| u64::try_from(answer).ok()).sum()
}

#[test]
fn no_byte_passes_through_the_program() {
    const LENGTH: usize = 8 << 20;
    let test = "no_byte_passes_through_the_program";
    if !Command::new("strace")
        .args(["-f", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        return support::skipped(test, "strace is not there, or may not trace");
    }
    let directory = tempfile::tempdir().unwrap();
    for driver in support::drivers(test) {
        let _watchdog = support::watchdog::Watchdog::over(test);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let trace = directory.path().join(driver.to_string());
        let mut command = Command::new("strace");
        command.args(["-f", "-e", "trace=splice,read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg"]);
        command.arg("-o").arg(&trace).arg(example("proxy"));
        with_arguments(&mut command, driver, listener.local_addr().unwrap());
        let mut proxy = Program::start(&mut command, "passing ");
        let mut client = proxy.connect();
        let mut server = accept(&listener);
        let sending = std::thread::spawn(move || {
            server.write_all(&bytes(1, LENGTH)).unwrap();
            server.shutdown(Shutdown::Write).unwrap();
            read_to_string(&server).unwrap()
        });
        client.write_all(b"to the server").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        assert_same(&got, &bytes(1, LENGTH));
        assert_eq!(sending.join().unwrap(), "to the server");
        // The process that strace has started, which it tells of as long as it lives.
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", proxy.child.id())).unwrap();
        let traced = children.split_whitespace().next().expect("it traces one").to_owned();
        assert!(Command::new("kill").args(["-INT", &traced]).status().unwrap().success());
        assert_eq!(proxy.ended().0, Some(0));
        let trace = fs::read_to_string(trace).unwrap();
        // Into a pipe, and out of it.
        let spliced = moved_by(&trace, &["splice"]);
        assert_eq!(spliced, 2 * (LENGTH as u64 + 13), "{trace:.2000}");
        // Libraries that are loaded, the eventfd, and what it says.
        let otherwise = ["read", "readv", "recvfrom", "recvmsg", "write", "writev", "sendto", "sendmsg"];
        let copied = moved_by(&trace, &otherwise);
        assert!(copied < 64 << 10, "{copied} bytes were copied");
    }
}
