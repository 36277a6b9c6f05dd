//! Which process it is, and how old.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::snapshot::millis;

/// How many units of its age in /proc are a second: USER_HZ, which is the same on all machines that this runs on.
const UNITS: f64 = 100.0;

#[derive(Serialize)]
pub(super) struct Process<'a> {
    pid: u32,
    program: &'a str,
    /// This crate's.
    version: &'static str,
    uptime_ms: u64,
    time_ms: u64,
}

impl Process<'static> {
    /// At that time, in milliseconds since 1970.
    pub(super) fn at(time_ms: u64) -> Process<'static> {
        static PROGRAM: OnceLock<String> = OnceLock::new();
        Process {
            pid: std::process::id(),
            program: PROGRAM.get_or_init(program),
            version: env!("CARGO_PKG_VERSION"),
            uptime_ms: millis(uptime()),
            time_ms,
        }
    }
}

fn program() -> String {
    let file = std::env::current_exe().ok();
    let name =
        file.as_deref().and_then(|file| file.file_name()).map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "?".to_owned())
}

/// How old the process is; where that cannot be known, for how long it has been asked.
fn uptime() -> Duration {
    static KNOWN: OnceLock<(Instant, Duration)> = OnceLock::new();
    let (noted, age) = KNOWN.get_or_init(|| (Instant::now(), age().unwrap_or_default()));
    *age + noted.elapsed()
}

fn age() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may have spaces in it: field 3 is the first. proc_pid_stat(5)
    let start: f64 = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(22 - 3)?.parse().ok()?;
    let system: f64 = std::fs::read_to_string("/proc/uptime").ok()?.split(' ').next()?.parse().ok()?;
    Duration::try_from_secs_f64(system - start / UNITS).ok()
}
