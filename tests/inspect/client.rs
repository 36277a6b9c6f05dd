//! A plain client, and programs to look at.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use annulus::inspect::{Address, Inspector};
use annulus::sync::across::oneshot;
use annulus::{Builder, Remote, Runtime};
use serde_json::Value;

/// What a test waits for at most, before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) trait Wire: Read + Write + Send {}

impl<T: Read + Write + Send> Wire for T {}

pub(crate) fn connect(inspector: &Inspector) -> Box<dyn Wire> {
    match inspector.address() {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            Box::new(stream)
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            Box::new(stream)
        }
        other => panic!("{other} is nowhere"),
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The text of an error.
    pub(crate) fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_else(|| panic!("no error: {self:?}")).to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Sends these bytes and reads to the end.
pub(crate) fn say(inspector: &Inspector, bytes: &[u8]) -> io::Result<Reply> {
    let mut wire = connect(inspector);
    wire.write_all(bytes)?;
    let mut answer = Vec::new();
    wire.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status =
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Reply { status, head: head.to_owned(), body: body.to_owned() })
}

/// One request of these headers, besides `connection: close`.
pub(crate) fn ask(inspector: &Inspector, request: &str, headers: &[&str]) -> Reply {
    let mut text = format!("{request} HTTP/1.1\r\nconnection: close\r\n");
    headers.iter().for_each(|header| text.push_str(&format!("{header}\r\n")));
    say(inspector, format!("{text}\r\n").as_bytes()).unwrap()
}

pub(crate) fn get(inspector: &Inspector, path: &str) -> Reply {
    ask(inspector, &format!("GET {path}"), &["host: localhost"])
}

pub(crate) fn snapshot(inspector: &Inspector, query: &str) -> Value {
    let reply = get(inspector, &format!("/api/snapshot?{query}"));
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// The names of the tasks that are shown.
pub(crate) fn names(snapshot: &Value) -> Vec<&str> {
    let rows = snapshot["tasks"]["rows"].as_array().unwrap();
    rows.iter().map(|row| row["name"].as_str().unwrap_or("")).collect()
}

/// Asks until it is so.
pub(crate) fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "it does not become so");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A loop on a thread of its own, to be looked at. It ends when this is dropped.
pub(crate) struct Program {
    /// Its thread's, and nobody else's.
    pub(crate) name: String,
    pub(crate) remote: Remote,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Program {
    /// When `main` is done it is ready to be looked at; what it has spawned goes on.
    pub(crate) fn start<F>(builder: &Builder, main: impl FnOnce() -> F + Send + 'static) -> Program
    where
        F: Future<Output = ()>,
    {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("program-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (end, ended) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let builder = builder.clone();
        let thread = thread::Builder::new().name(name.clone()).spawn(move || {
            let runtime = builder.build().unwrap();
            runtime
                .run(async {
                    main().await;
                    ready.send(Runtime::try_current().unwrap().remote()).unwrap();
                    let _ = ended.await;
                })
                .unwrap();
        });
        let remote = is_ready.recv().unwrap();
        Program { name, remote, end: Some(end), thread: Some(thread.unwrap()) }
    }

    pub(crate) fn find<'a>(&self, snapshot: &'a Value) -> Option<&'a Value> {
        let loops = snapshot["loops"].as_array().unwrap();
        loops.iter().find(|one| one["thread"].as_str() == Some(&self.name))
    }

    /// What is shown of it.
    pub(crate) fn seen(&self, inspector: &Inspector) -> Value {
        until(|| self.find(&snapshot(inspector, "limit=1")).cloned())
    }

    pub(crate) fn number(&self, inspector: &Inspector) -> u64 {
        self.seen(inspector)["loop"].as_u64().unwrap()
    }

    /// Its tasks, as it says now that they are: a picture is shown for a while, and where the machine is busy a loop may not answer in time.
    pub(crate) fn snapshot(&self, inspector: &Inspector, query: &str) -> Value {
        let number = self.number(inspector);
        let called = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        until(|| {
            let snapshot = snapshot(inspector, &format!("loop={number}&{query}"));
            let seen = self.find(&snapshot).filter(|seen| !seen["metrics"].is_null())?;
            let of = snapshot["process"]["time_ms"].as_u64()? - seen["age_ms"].as_u64()?;
            (u128::from(of) > called).then_some(snapshot)
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.end.take());
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking(), "the program goes on to its end");
    }
}

pub(crate) fn inspector() -> Inspector {
    annulus::inspect::serve("127.0.0.1:0").unwrap()
}

/// A task of that name.
pub(crate) fn named<F: Future + 'static>(name: impl AsRef<str>, future: F) {
    drop(annulus::task::Builder::new().name(name.as_ref()).spawn(future));
}
