//! A test that hangs is a test that fails.

use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

/// Longer than any test takes on a slow and busy machine; ANNULUS_TEST_LIMIT has other seconds, for machines that are emulated.
fn limit() -> Duration {
    let wanted = std::env::var("ANNULUS_TEST_LIMIT").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(wanted.unwrap_or(90))
}

/// Ends the process, naming the test, unless it is dropped in time.
pub(crate) struct Watchdog(Option<(Sender<()>, thread::JoinHandle<()>)>);

impl Watchdog {
    pub(crate) fn over(test: &str) -> Watchdog {
        let (alive, ended) = channel::<()>();
        let test = test.to_owned();
        let limit = limit();
        let watch = move || {
            if ended.recv_timeout(limit) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                super::say(&format!("hung: {test} has not ended within {limit:?}"));
                std::process::abort();
            }
        };
        let thread = thread::Builder::new().name("watchdog".to_owned()).spawn(watch);
        Watchdog(thread.ok().map(|thread| (alive, thread)))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some((alive, thread)) = self.0.take() {
            drop(alive);
            let _ = thread.join();
        }
    }
}
