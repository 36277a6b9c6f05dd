//! The example that speaks the protocol of Redis, as a process of its own.

mod support;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write, read_to_string};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};
use support::example::example;

/// A server that ends with the test.
struct Server {
    child: Child,
    address: SocketAddr,
    /// What it says after its first line, once it has ended.
    said: Option<JoinHandle<String>>,
}

impl Server {
    fn start(driver: annulus::Driver, arguments: &[&str]) -> Server {
        let mut child = Command::new(example("redis"))
            .args(["--addr", "127.0.0.1:0", "--driver", &driver.to_string()])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example was built");
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).unwrap();
        let address = first.split("redis://").nth(1).and_then(|rest| rest.split(' ').next());
        let address =
            address.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("it said {first:?}"));
        assert!(first.contains(&format!("({driver})")), "{first}");
        // Read on, so that it never waits for us.
        let said = std::thread::spawn(move || read_to_string(said).unwrap());
        Server { child, address, said: Some(said) }
    }

    fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { reader: BufReader::new(stream) }
    }

    /// How much memory it has in use, in KiB.
    fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// Asks it to end, and gives how it did and what it said.
    fn interrupt(&mut self, signal: &str) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let code = self.child.wait().unwrap().code();
        (code, self.said.take().expect("it ends once").join().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.reader.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    fn end_writing(&self) {
        self.reader.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// One answer, as a text: arrays in brackets.
    fn answer(&mut self) -> String {
        let line = self.line();
        let count = || line[1..].parse::<i64>().unwrap();
        match line.as_bytes().first() {
            Some(b'$') if count() < 0 => "(nil)".to_owned(),
            Some(b'$') => {
                let mut bytes = vec![0; count() as usize + 2];
                self.reader.read_exact(&mut bytes).unwrap();
                assert!(bytes.ends_with(b"\r\n"), "{bytes:?}");
                String::from_utf8_lossy(&bytes[..bytes.len() - 2]).into_owned()
            }
            Some(b'*') => {
                let all: Vec<_> = (0..count()).map(|_| self.answer()).collect();
                format!("[{}]", all.join(", "))
            }
            Some(b'+') => line[1..].to_owned(),
            Some(_) => line,
            None => "(end)".to_owned(),
        }
    }

    /// Sends a command of words, and gives the answer.
    fn ask(&mut self, command: &str) -> String {
        self.send(encoded(&command.split(' ').collect::<Vec<_>>()));
        self.answer()
    }

    /// All that comes until the end.
    fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.reader.read_to_end(&mut rest).unwrap();
        String::from_utf8_lossy(&rest).into_owned()
    }
}

fn encoded(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).bytes());
    }
    bytes
}

/// Runs a body with a server on each driver.
fn on_each(test: &str, arguments: &[&str], body: impl Fn(&mut Server)) {
    for driver in support::drivers(test) {
        let _watchdog = support::watchdog::Watchdog::over(test);
        body(&mut Server::start(driver, arguments));
    }
}

/// Commands, one after the other, and what Redis answers.
const COMMANDS: &[(&str, &str)] = &[
    ("PING", "PONG"),
    ("ping hello", "hello"),
    ("ECHO word", "word"),
    ("GET a", "(nil)"),
    ("SET a 1", "OK"),
    ("get a", "1"),
    ("SET a 2 NX", "(nil)"),
    ("SET a 2 xx", "OK"),
    ("SET b 2 XX", "(nil)"),
    ("SET a 3 GET", "2"),
    ("SET a 3 NX XX", "-ERR syntax error"),
    ("SET a 3 EX", "-ERR syntax error"),
    ("SET a 3 EX 0", "-ERR invalid expire time in 'set' command"),
    ("SET a 3 EX ten", "-ERR value is not an integer or out of range"),
    ("SET a 3 EX 9223372036854775807", "-ERR invalid expire time in 'set' command"),
    ("INCR a", ":4"),
    ("DECR a", ":3"),
    ("INCRBY a 39", ":42"),
    ("DECRBY a 2", ":40"),
    ("INCRBY a 9223372036854775807", "-ERR increment or decrement would overflow"),
    ("INCRBY a 1.5", "-ERR value is not an integer or out of range"),
    ("APPEND a 0", ":3"),
    ("STRLEN a", ":3"),
    ("STRLEN none", ":0"),
    ("MSET x 1 y 2", "OK"),
    ("MSET x 1 y", "-ERR wrong number of arguments for 'mset' command"),
    ("MGET x none y", "[1, (nil), 2]"),
    ("EXISTS x x none", ":2"),
    ("DBSIZE", ":3"),
    ("TYPE x", "string"),
    ("TYPE none", "none"),
    ("KEYS [x]", "[x]"),
    ("KEYS nothing*", "[]"),
    ("SETNX x 5", ":0"),
    ("DEL x y none", ":2"),
    ("TTL a", ":-1"),
    ("TTL none", ":-2"),
    ("EXPIRE a 100", ":1"),
    ("TTL a", ":100"),
    ("SET a 1 KEEPTTL", "OK"),
    ("TTL a", ":100"),
    ("PERSIST a", ":1"),
    ("PERSIST a", ":0"),
    ("PTTL a", ":-1"),
    ("EXPIRE a -1", ":1"),
    ("EXISTS a", ":0"),
    ("EXPIRE a 10", ":0"),
    ("SELECT 0", "OK"),
    ("CONFIG GET appendonly", "[appendonly, no]"),
    ("CLIENT SETNAME me", "OK"),
    ("CLIENT GETNAME", "me"),
    ("GET", "-ERR wrong number of arguments for 'get' command"),
    ("FLUSHALL", "OK"),
    ("DBSIZE", ":0"),
    ("NOSUCH a b c", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' 'c'"),
    (
        "AVERYLONGNAMETHATNOCOMMANDHAS",
        "-ERR unknown command 'AVERYLONGNAMETHATNOCOMMANDHAS', with args beginning with:",
    ),
];

/// Where there is less than in Redis, or where its versions differ.
const OF_OUR_OWN: &[(&str, &str)] = &[
    ("SELECT 1", "-ERR DB index is out of range"),
    ("CONFIG GET save", "[save, ]"),
    ("COMMAND", "[]"),
    ("COMMAND DOCS", "[]"),
    ("CLIENT SETINFO LIB-NAME x", "OK"),
    ("HELLO 3", "-NOPROTO unsupported protocol version"),
];

#[test]
fn commands_answer_as_those_of_redis() {
    on_each("commands_answer_as_those_of_redis", &[], |server| {
        let mut client = server.connect();
        for (command, wanted) in COMMANDS.iter().chain(OF_OUR_OWN) {
            assert_eq!(client.ask(command), *wanted, "{command}");
        }
        assert!(client.ask("HELLO 2").starts_with("[server, redis, version, "));
        assert!(client.ask("INFO").contains("role:master"));
        assert_eq!(client.ask("QUIT"), "OK");
        assert_eq!(client.rest(), "");
    });
}

#[test]
fn what_is_wanted_of_it_is_what_redis_does() {
    const TEST: &str = "what_is_wanted_of_it_is_what_redis_does";
    let _watchdog = support::watchdog::Watchdog::over(TEST);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let started = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &free.port().to_string()])
        .args(["--save", "", "--appendonly", "no"])
        .stdout(Stdio::null())
        .spawn();
    let child = match started {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return support::skipped(TEST, "redis-server is not installed");
        }
        Err(error) => panic!("redis-server: {error}"),
    };
    let redis = Server { child, address: free, said: None };
    while TcpStream::connect(free).is_err() {
        sleep(Duration::from_millis(10));
    }
    let mut client = redis.connect();
    for (command, wanted) in COMMANDS {
        assert_eq!(client.ask(command), *wanted, "{command}");
    }
}

#[test]
fn values_are_bytes_of_any_kind_and_length() {
    on_each("values_are_bytes_of_any_kind_and_length", &[], |server| {
        let mut client = server.connect();
        for length in [0, 1, 16_383, 16_384, 16_385, 300_000, 5_000_000] {
            let value = support::data::bytes(length as u64, length);
            let mut command = format!("*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n${length}\r\n").into_bytes();
            command.extend_from_slice(&value);
            command.extend_from_slice(b"\r\n*2\r\n$3\r\nGET\r\n$3\r\nk\r\n\r\n");
            client.send(command);
            assert_eq!(client.answer(), "OK");
            assert_eq!(client.line(), format!("${length}"));
            let mut got = vec![0; length + 2];
            client.reader.read_exact(&mut got).unwrap();
            support::data::assert_same(&got[..length], &value);
        }
    });
}

#[test]
fn ten_thousand_commands_in_one_write_are_answered_in_order() {
    on_each("ten_thousand_commands_in_one_write_are_answered_in_order", &[], |server| {
        let mut client = server.connect();
        let mut sender = client.reader.get_ref().try_clone().unwrap();
        let commands: Vec<u8> = (0..10_000)
            .flat_map(|number| [encoded(&["INCR", "n"]), encoded(&["ECHO", &number.to_string()])].concat())
            .collect();
        let sending = std::thread::spawn(move || sender.write_all(&commands).unwrap());
        for number in 0..10_000 {
            assert_eq!(client.answer(), format!(":{}", number + 1));
            assert_eq!(client.answer(), number.to_string());
        }
        sending.join().unwrap();
    });
}

#[test]
fn commands_may_come_a_byte_at_a_time() {
    on_each("commands_may_come_a_byte_at_a_time", &[], |server| {
        let mut client = server.connect();
        let mut commands = encoded(&["SET", "key", "a\r\nb"]);
        commands.extend_from_slice(b"get key\r\n\r\nECHO \"two words\"\n");
        for byte in commands {
            client.send([byte]);
            // So that as a rule each is read by itself.
            sleep(Duration::from_millis(2));
        }
        for wanted in ["OK", "a\r\nb", "two words"] {
            assert_eq!(client.answer(), wanted);
        }
    });
}

#[test]
fn who_ends_writing_is_still_answered() {
    on_each("who_ends_writing_is_still_answered", &[], |server| {
        let mut client = server.connect();
        client.send(b"PING\r\nSET a 1\r\nGET a\r\n*2\r\n$3\r\nGET\r\n$1");
        client.end_writing();
        assert_eq!(client.rest(), "+PONG\r\n+OK\r\n$1\r\n1\r\n");
    });
}

#[test]
fn what_is_malformed_is_told_behind_the_answers_and_ends_the_connection() {
    on_each(
        "what_is_malformed_is_told_behind_the_answers_and_ends_the_connection",
        &["--bulk-max", "1000"],
        |server| {
            for (bytes, wanted) in [
                (&b"*1\r\n:5\r\n"[..], "expected '$', got ':'"),
                (b"*x\r\n", "invalid multibulk length"),
                (b"*9999999\r\n", "invalid multibulk length"),
                (b"*1\r\n$x\r\n", "invalid bulk length"),
                (b"*1\r\n$1001\r\n", "invalid bulk length"),
                (b"*1\r\n$-1\r\n", "invalid bulk length"),
                (b"get 'a\r\n", "unbalanced quotes in request"),
                (&[b'x'; 70_000], "too big inline request"),
                (&[&b"*"[..], &[b'1'; 70_000]].concat(), "too big mbulk count string"),
                (&[&b"*1\r\n$"[..], &[b'1'; 70_000]].concat(), "too big bulk count string"),
            ] {
                let mut client = server.connect();
                client.send(b"PING\r\n");
                client.send(bytes);
                // Bytes that nobody reads must not take the answer away.
                let _ = client.reader.get_mut().write_all(&[b'x'; 1 << 20]);
                assert_eq!(client.rest(), format!("+PONG\r\n-ERR Protocol error: {wanted}\r\n"));
            }
            assert_eq!(server.connect().ask("PING"), "PONG", "it goes on for others");
        },
    );
}

#[test]
fn keys_expire_for_who_asks_and_for_who_does_not() {
    on_each("keys_expire_for_who_asks_and_for_who_does_not", &[], |server| {
        let mut client = server.connect();
        assert_eq!(client.ask("SET a 1 PX 50"), "OK");
        assert_eq!(client.ask("SET b 1 EX 100"), "OK");
        assert_eq!(client.ask("SET c 1"), "OK");
        assert_eq!(client.ask("PEXPIRE c 50"), ":1");
        assert_eq!(client.ask("EXISTS a b c"), ":3");
        let begun = Instant::now();
        while client.ask("EXISTS a c") != ":0" {
            assert!(begun.elapsed() < Duration::from_secs(5), "they expire");
            sleep(Duration::from_millis(5));
        }
        assert!(begun.elapsed() > Duration::from_millis(30), "and not at once");
        assert_eq!(client.ask("GET a"), "(nil)");
        assert_eq!(client.ask("DBSIZE"), ":1");
        assert_eq!(client.ask("SET a 2 NX"), "OK", "as if it had never been");
        assert_eq!(client.ask("TTL a"), ":-1");
    });
}

#[test]
fn who_never_reads_is_not_read_from_and_others_are_served() {
    on_each("who_never_reads_is_not_read_from_and_others_are_served", &[], |server| {
        let mut other = server.connect();
        other.send(encoded(&["SET", "long", &"x".repeat(100_000)]));
        assert_eq!(other.answer(), "OK");
        let before = server.resident();

        let deaf = server.connect();
        deaf.reader.get_ref().set_nonblocking(true).unwrap();
        let commands = b"GET long\r\n".repeat(100_000);
        let (mut sent, mut stream, begun) = (0, deaf.reader.get_ref(), Instant::now());
        // Until nothing more is taken for a while: the kernel's buffers are full.
        let mut refused = 0;
        while refused < 20 && begun.elapsed() < Duration::from_secs(10) {
            match stream.write(&commands[sent % 10..]) {
                Ok(count) => (sent, refused) = (sent + count, 0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    refused += 1;
                    sleep(Duration::from_millis(10));
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(refused, 20, "it takes no end of commands: {sent} bytes");
        assert_eq!(other.ask("PING"), "PONG");
        let grown = server.resident().saturating_sub(before);
        assert!(grown < 8 * 1024, "{grown} KiB more for who does not read");
    });
}

#[test]
fn more_connections_than_permitted_are_told_so() {
    on_each("more_connections_than_permitted_are_told_so", &["--connections-max", "2"], |server| {
        let (mut one, mut two) = (server.connect(), server.connect());
        assert_eq!((one.ask("PING"), two.ask("PING")), ("PONG".to_owned(), "PONG".to_owned()));
        let mut three = server.connect();
        three.end_writing();
        assert_eq!(three.rest(), "-ERR max number of clients reached\r\n");
        drop(one);
        // Its place is free as soon as the server has seen that.
        let begun = Instant::now();
        while server.connect().ask("PING") != "PONG" {
            assert!(begun.elapsed() < Duration::from_secs(5));
            sleep(Duration::from_millis(5));
        }
        assert_eq!(two.ask("PING"), "PONG");
    });
}

#[test]
fn a_signal_ends_it_and_idle_connections_with_it() {
    on_each("a_signal_ends_it_and_idle_connections_with_it", &[], |server| {
        let mut client = server.connect();
        assert_eq!(client.ask("PING"), "PONG");
        let begun = Instant::now();
        let (code, said) = server.interrupt("-TERM");
        assert_eq!(code, Some(0));
        assert!(said.contains("1 commands of 1 connections"), "{said}");
        assert!(begun.elapsed() < Duration::from_secs(4), "it does not wait for who is idle");
        assert_eq!(client.rest(), "");
    });
}

/// Runs one of the tools of Redis; None if it is not installed.
fn tool(test: &str, name: &str, server: &Server, arguments: &[&str]) -> Option<String> {
    let port = server.address.port().to_string();
    let run = Command::new(name).args(["-h", "127.0.0.1", "-p", &port]).args(arguments).output();
    match run {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {text}\n{errors}");
            Some(text)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            support::skipped(test, "redis-tools is not installed");
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn redis_cli_talks_to_it() {
    on_each("redis_cli_talks_to_it", &[], |server| {
        let ask = |arguments: &[&str]| tool("redis_cli_talks_to_it", "redis-cli", server, arguments);
        let Some(answer) = ask(&["SET", "greeting", "good day", "EX", "100"]) else { return };
        assert_eq!(answer.trim(), "OK");
        assert_eq!(ask(&["GET", "greeting"]).unwrap().trim(), "good day");
        assert_eq!(ask(&["-2", "TTL", "greeting"]).unwrap().trim(), "100");
        assert!(ask(&["INFO", "server"]).unwrap().contains("redis_version"));
    });
}

#[test]
fn redis_benchmark_talks_to_it() {
    on_each("redis_benchmark_talks_to_it", &[], |server| {
        let arguments = ["-n", "2000", "-c", "20", "-P", "16", "-q", "-t", "ping,set,get,incr,mset"];
        let Some(said) = tool("redis_benchmark_talks_to_it", "redis-benchmark", server, &arguments) else {
            return;
        };
        assert!(said.contains("requests per second"), "{said}");
        assert!(!said.to_lowercase().contains("error"), "{said}");
        // Each INCR was counted, and all were of one key.
        assert_eq!(server.connect().ask("GET counter:__rand_int__"), "2000");
    });
}
