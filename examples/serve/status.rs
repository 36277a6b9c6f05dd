//! What is counted, and the line that shows it.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::rc::Rc;
use std::time::Duration;

use annulus::{Runtime, time};

/// Counted by all connections; one thread, so plain cells will do.
#[derive(Default)]
pub struct Status {
    pub requests: Cell<u64>,
    pub bytes: Cell<u64>,
    pub connections: Cell<usize>,
    /// Connections that the peer broke off.
    pub broken: Cell<u64>,
    /// Connections that were told 503.
    pub refused: Cell<u64>,
}

/// Says something on standard error. A server goes on when nobody listens there; `eprintln!` would panic.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

impl Status {
    pub fn add(counter: &Cell<u64>, more: u64) {
        counter.set(counter.get() + more);
    }

    /// One line each second, in place on a terminal.
    pub async fn show(self: Rc<Status>) {
        let driver = Runtime::try_current().expect("inside of the loop").driver();
        let end = if std::io::stderr().is_terminal() { "\r" } else { "\n" };
        let mut beat = time::interval(Duration::from_secs(1));
        let (mut requests, mut bytes) = (0, 0);
        beat.tick().await;
        loop {
            beat.tick().await;
            let (requests_now, bytes_now) = (self.requests.get(), self.bytes.get());
            let _ = write!(
                std::io::stderr(),
                "{:>8} requests/s  {:>8.1} MB/s  {:>6} connections  {driver}  {end}",
                requests_now - requests,
                (bytes_now - bytes) as f64 / 1e6,
                self.connections.get(),
            );
            (requests, bytes) = (requests_now, bytes_now);
        }
    }

    /// The totals, at the end.
    pub fn summary(&self) -> String {
        format!(
            "{} requests, {:.1} MB; {} connections broken off by peers, {} refused",
            self.requests.get(),
            self.bytes.get() as f64 / 1e6,
            self.broken.get(),
            self.refused.get(),
        )
    }
}
