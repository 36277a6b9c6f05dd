//! The file server of the examples as a process of its own, and those that take over from it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::example::example;

/// How long anything here is waited for: not until the watchdog ends the test, which would leave the server behind.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, on a directory of its own, that ends with the test, and all that took over from it.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) directory: TempDir,
    /// What it said first.
    pub(crate) first: String,
    /// What it says after that, and whoever takes over from it.
    said: Arc<Mutex<String>>,
    /// Ends when the last of them has.
    reader: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn start(driver: annulus::Driver, arguments: &[&str]) -> Served {
        Served::begin(Command::new(example("serve")), driver, arguments)
    }

    /// With a socket that it is given, as a service manager does.
    pub(crate) fn activated(listener: std::net::TcpListener, driver: annulus::Driver) -> Served {
        let mut command = Command::new("sh");
        let script = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\" 3<&0 0</dev/null";
        command.args(["-c", script, "sh"]).arg(example("serve")).stdin(Stdio::from(OwnedFd::from(listener)));
        Served::begin(command, driver, &[])
    }

    /// With room for so many more descriptors than one that only waits has. None where no limit can be set.
    ///
    /// From its start: an accept that the ring has goes by the limit that there was when it was asked for.
    pub(crate) fn with_descriptors_left(left: usize, driver: annulus::Driver) -> Option<Served> {
        Command::new("prlimit").arg("--version").stdout(Stdio::null()).status().ok()?;
        let used = Served::start(driver, &["--threads", "2"]).descriptor_numbers();
        let is_wanted = |limit: &usize| limit - used.iter().filter(|number| *number < limit).count() == left;
        let limit = (left..).find(is_wanted)?;
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={limit}:{limit}")).arg(example("serve"));
        Some(Served::begin(command, driver, &["--threads", "2"]))
    }

    fn begin(mut command: Command, driver: annulus::Driver, arguments: &[&str]) -> Served {
        let directory = tempfile::tempdir().unwrap();
        let mut child = command
            .arg(directory.path())
            .args(["--addr", "127.0.0.1:0", "--quiet", "--driver", &driver.to_string()])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example was built");
        let mut says = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        says.read_line(&mut first).unwrap();
        let address = first.split("http://").nth(1).and_then(|rest| rest.split(' ').next());
        let address =
            address.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("it said {first:?}"));
        assert!(first.contains(&format!("({driver})")), "{first}");
        let said = Arc::new(Mutex::new(String::new()));
        // Read on, so that it never waits for us.
        let reader = std::thread::spawn({
            let said = Arc::clone(&said);
            move || {
                for line in says.lines().map_while(Result::ok) {
                    said.lock().unwrap().push_str(&(line + "\n"));
                }
            }
        });
        Served { child, address, directory, first, said, reader: Some(reader) }
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Sends these bytes on a connection of their own, and gives all that comes back.
    pub(crate) fn say(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_ref()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is no concern of ours.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn ask(&self, method: &str, target: &str, headers: &str) -> String {
        self.say(format!("{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\r\n"))
    }

    pub(crate) fn status(&self, method: &str, target: &str, headers: &str) -> u16 {
        status(&self.ask(method, target, headers))
    }

    pub(crate) fn descriptors(&self) -> usize {
        self.descriptor_numbers().len()
    }

    fn descriptor_numbers(&self) -> Vec<usize> {
        let all = fs::read_dir(format!("/proc/{}/fd", self.child.id())).into_iter().flatten().flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    pub(crate) fn signal(&self, signal: &str) {
        send(self.child.id(), signal);
    }

    /// Waits until it has said something so many times.
    pub(crate) fn says(&self, what: &str, times: usize) -> String {
        let start = Instant::now();
        loop {
            let said = self.said.lock().unwrap().clone();
            if said.matches(what).count() >= times {
                return said;
            }
            assert!(start.elapsed() < PATIENCE, "{what:?} was not said {times} times: {said}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until a process has taken over, and gives its number: of the first one, the second and so on.
    pub(crate) fn successor(&self, times: usize) -> u32 {
        let said = self.says("has taken over", times);
        let line = said.lines().filter(|line| line.contains("has taken over")).nth(times - 1).unwrap();
        let number = line.split("process ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        number.unwrap_or_else(|| panic!("it said {line:?}"))
    }

    /// Waits until it has ended, and gives how.
    pub(crate) fn code(&mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "it does not end: {}", self.says("", 0));
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until it has ended, with all that took over from it, and gives how it did and what all said.
    pub(crate) fn ended(&mut self) -> (Option<i32>, String) {
        let (code, start) = (self.code(), Instant::now());
        while self.reader.as_ref().is_some_and(|reader| !reader.is_finished()) {
            assert!(start.elapsed() < PATIENCE, "{:?} do not end: {}", self.processes(), self.says("", 0));
            std::thread::sleep(Duration::from_millis(2));
        }
        (code, self.says("", 0))
    }

    /// Asks it to end, and gives how it did and what it said.
    pub(crate) fn interrupt(&mut self) -> (Option<i32>, String) {
        self.signal("-INT");
        self.ended()
    }

    /// The processes that serve this directory, which nobody else knows.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let directory = self.directory.path().as_os_str().as_encoded_bytes();
        let serves = |id: &u32| {
            let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0).any(|argument| argument == directory)
        };
        let all = fs::read_dir("/proc").into_iter().flatten().flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(serves).collect()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let start = Instant::now();
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What it has started meanwhile serves on.
        loop {
            let left = self.processes();
            left.iter().for_each(|id| send(*id, "-KILL"));
            let has_ended = self.reader.as_ref().is_none_or(JoinHandle::is_finished);
            if (left.is_empty() && has_ended) || start.elapsed() > Duration::from_secs(10) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Sends a signal to a process. One that is gone has no use for it.
pub(crate) fn send(process: u32, signal: &str) {
    let sent = Command::new("kill").args([signal, &process.to_string()]).stderr(Stdio::null()).status();
    sent.expect("there is kill(1)");
}

pub(crate) fn status(answer: &str) -> u16 {
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

pub(crate) fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {answer:?}"))
}

pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head ends").1
}

/// Runs a body with a server on each driver.
pub(crate) fn on_each(test: &str, arguments: &[&str], body: impl Fn(&mut Served)) {
    for driver in super::drivers(test) {
        let _watchdog = super::watchdog::Watchdog::over(test);
        body(&mut Served::start(driver, arguments));
    }
}
