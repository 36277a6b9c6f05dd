//! What the process holds: descriptors, memory, threads. Meaningful only in a process of its own: see
//! [`child::alone`](super::child::alone).

use std::fs;
use std::time::{Duration, Instant};

/// How many descriptors are open. None where the system does not tell.
pub(crate) fn descriptors() -> Option<usize> {
    // One of them is the listing's own.
    let listing = fs::read_dir("/proc/self/fd").or_else(|_| fs::read_dir("/dev/fd")).ok()?;
    Some(listing.count() - 1)
}

/// What each open descriptor is, for the text of a failure.
pub(crate) fn descriptor_names() -> Vec<String> {
    let Ok(listing) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let name = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        Some(format!("{} {}", entry.file_name().to_string_lossy(), target.display()))
    };
    listing.flatten().filter_map(name).collect()
}

/// Resident memory in bytes. None where the system does not tell.
pub(crate) fn resident() -> Option<usize> {
    let pages: usize = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// How many threads there are. None where the system does not tell.
pub(crate) fn threads() -> Option<usize> {
    Some(fs::read_dir("/proc/self/task").ok()?.count())
}

/// Asserts that `count` comes back to `before`, giving what closes in the background a moment.
#[track_caller]
pub(crate) fn comes_back(what: &str, before: Option<usize>, count: impl Fn() -> Option<usize>) {
    let patience = Instant::now() + Duration::from_secs(2);
    while count() > before && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(count() <= before, "{what}: {before:?} before, {:?} now: {:#?}", count(), descriptor_names());
}
