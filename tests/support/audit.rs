//! What the process holds: descriptors, memory, threads. Meaningful only in a process of its own: see
//! [`child::alone`](super::child::alone). Of a simulated world, which has nothing of the machine but memory, nothing is
//! told.

use std::fs;
use std::time::{Duration, Instant};

use super::is_simulated;

/// How many descriptors are open. None where nobody tells.
pub(crate) fn descriptors() -> Option<usize> {
    if is_simulated() {
        return None;
    }
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

/// Resident memory in bytes. None where nobody tells.
pub(crate) fn resident() -> Option<usize> {
    if is_simulated() {
        return None;
    }
    let pages: usize = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// How many threads there are. None where nobody tells.
pub(crate) fn threads() -> Option<usize> {
    if is_simulated() {
        return None;
    }
    Some(fs::read_dir("/proc/self/task").ok()?.count())
}

/// What the kernel says that a ring holds.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Polls that wait, those of receives and accepts included.
    pub(crate) polls: usize,
    /// Completions that did not fit into the queue.
    pub(crate) overflown: usize,
}

/// The rings of this process, by /proc/self/fdinfo.
pub(crate) fn rings() -> Vec<Ring> {
    let Ok(listing) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let of_a_ring = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        let is_ring = target.to_string_lossy().contains("io_uring");
        is_ring
            .then(|| fs::read_to_string(entry.path().to_string_lossy().replace("/fd/", "/fdinfo/")).ok())?
    };
    let parse = |text: String| {
        let lines_of = |title: &str| {
            let lines = text.lines().skip_while(|line| !line.starts_with(title)).skip(1);
            lines.take_while(|line| line.starts_with(' ')).count()
        };
        Ring { polls: lines_of("PollList:"), overflown: lines_of("CqOverflowList:") }
    };
    listing.flatten().filter_map(of_a_ring).map(parse).collect()
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
