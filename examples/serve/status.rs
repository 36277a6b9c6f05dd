//! What is counted, and the line that shows it.
//!
//! Each shard counts for itself, in numbers that only its thread writes and everybody may read: so counting costs no more than
//! adding, and nothing is lost when a shard is started again. What has a limit for the whole server, its connections, is
//! counted by all in one place.

use std::io::{IsTerminal, Write};
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use annulus::time;

/// How long accepting must have gone well to say again that it does not.
const CALM: Duration = Duration::from_secs(10);

/// What all shards count.
pub struct Status {
    shards: Box<[Counts]>,
    connections: AtomicUsize,
    /// When accepting failed last.
    failed: Mutex<Option<Instant>>,
}

/// What one shard counts. Two do not share a line of the processor's cache.
#[derive(Default)]
#[repr(align(128))]
pub struct Counts {
    pub requests: Counter,
    pub bytes: Counter,
    /// Connections that the peer broke off.
    pub broken: Counter,
    /// Connections that were told 503.
    pub refused: Counter,
}

/// A number that one thread writes.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, more: u64) {
        self.0.store(self.get() + more, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A shard's share of what is counted.
#[derive(Clone)]
pub struct Share {
    status: Arc<Status>,
    shard: usize,
}

impl Deref for Share {
    type Target = Counts;

    fn deref(&self) -> &Counts {
        &self.status.shards[self.shard]
    }
}

/// A connection's place among those that there may be, for as long as it lives.
pub struct Place(Arc<Status>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Share {
    /// A place for one more connection. None if there are so many already.
    pub fn place(&self, connections_max: usize) -> Option<Place> {
        let one_more = |count| (count < connections_max).then(|| count + 1);
        let taken = self.status.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.is_ok().then(|| Place(Arc::clone(&self.status)))
    }

    /// Says that no connection can be accepted: once, however often it fails and on however many shards.
    pub fn cannot_accept(&self, error: &std::io::Error) {
        let mut failed = self.status.failed.lock().unwrap_or_else(PoisonError::into_inner);
        // One free place does not end an episode: it is taken, and then accepting fails again.
        if failed.is_none_or(|at| time::now() - at > CALM) {
            say(&format!(
                "\nserve: no connection can be accepted for now ({error}); if this lasts, raise `ulimit -n`"
            ));
        }
        *failed = Some(time::now());
    }
}

/// Says something on standard error. A server goes on when nobody listens there; `eprintln!` would panic.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

impl Status {
    /// For so many shards.
    pub fn new(shards: usize) -> Arc<Status> {
        let shards = (0..shards).map(|_| Counts::default()).collect();
        Arc::new(Status { shards, connections: AtomicUsize::new(0), failed: Mutex::default() })
    }

    /// The share of one of them.
    pub fn share(self: &Arc<Status>, shard: usize) -> Share {
        Share { status: Arc::clone(self), shard }
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// One of the counters, of all shards.
    pub fn sum(&self, counter: impl Fn(&Counts) -> &Counter) -> u64 {
        self.shards.iter().map(|counts| counter(counts).get()).sum()
    }

    /// The totals, at the end.
    pub fn summary(&self) -> String {
        format!(
            "{} requests, {:.1} MB; {} connections broken off by peers, {} refused",
            self.sum(|counts| &counts.requests),
            self.sum(|counts| &counts.bytes) as f64 / 1e6,
            self.sum(|counts| &counts.broken),
            self.sum(|counts| &counts.refused),
        )
    }
}

/// A line each second, in place on a terminal, for as long as this lives. On a thread of its own: it is of all shards, and goes on
/// whichever of them fails.
pub struct Line {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    pub fn show(status: Arc<Status>, driver: &'static str) -> std::io::Result<Line> {
        let (end, ended) = channel::<()>();
        let thread = std::thread::Builder::new().name("serve-line".to_owned()).spawn(move || {
            let end = if std::io::stderr().is_terminal() { "\r" } else { "\n" };
            let (mut requests, mut bytes) = (0, 0);
            while ended.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                let requests_now = status.sum(|counts| &counts.requests);
                let bytes_now = status.sum(|counts| &counts.bytes);
                let _ = write!(
                    std::io::stderr(),
                    "{:>8} requests/s  {:>8.1} MB/s  {:>6} connections  {driver}  {end}",
                    requests_now - requests,
                    (bytes_now - bytes) as f64 / 1e6,
                    status.connections(),
                );
                (requests, bytes) = (requests_now, bytes_now);
            }
        })?;
        Ok(Line { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
