//! What the calls promise while the power is on, and what a crash leaves. Crashes are tried with many seeds: what is
//! promised holds for all of them, what may happen happens for some.

mod calls;
mod contents_after_crashes;
mod linux;
mod names_after_crashes;
mod paths;

use std::collections::BTreeSet;

use super::inode::{DIRECTORY, FILE, SOCKET};
use super::{Disk, OpenFile};
use crate::dice::Dice;

const SEEDS: u64 = 400;
const NOW: u64 = 1_000_000_000;
const PAGE: usize = super::PAGE as usize;
const CREATE: i32 = libc::O_RDWR | libc::O_CREAT;

fn disk() -> Disk {
    Disk::new(NOW)
}

fn create(disk: &mut Disk, path: &str) -> OpenFile {
    disk.open(path.as_bytes(), CREATE, 0o644, NOW).unwrap()
}

/// A file with this content, not synced.
fn put(disk: &mut Disk, path: &str, content: &[u8]) -> OpenFile {
    let mut file = disk.open(path.as_bytes(), CREATE | libc::O_TRUNC, 0o644, NOW).unwrap();
    assert_eq!(disk.write(&mut file, None, content, NOW), Ok(content.len()));
    file
}

/// All that is in a file; None if there is none.
fn content(disk: &mut Disk, path: &str) -> Option<Vec<u8>> {
    let mut file = disk.open(path.as_bytes(), libc::O_RDONLY, 0, NOW).ok()?;
    let length = disk.stat_open(&file).length as usize;
    let bytes = disk.read(&mut file, Some(0), length + 1, NOW).ok();
    disk.close(file);
    assert!(bytes.as_ref().is_none_or(|bytes| bytes.len() == length));
    bytes
}

/// Makes the names in a directory durable.
fn sync_directory(disk: &mut Disk, path: &str) {
    let directory = disk.open(path.as_bytes(), libc::O_RDONLY | libc::O_DIRECTORY, 0, NOW).unwrap();
    disk.sync(&directory, false).unwrap();
    disk.close(directory);
}

fn names(disk: &Disk, path: &str) -> Vec<String> {
    let names = disk.list(path.as_bytes()).unwrap();
    names.into_iter().map(|name| String::from_utf8(name).unwrap()).collect()
}

fn make_directory(disk: &mut Disk, path: &str) {
    disk.make_directory(path.as_bytes(), 0o777, NOW).unwrap();
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

/// Prepares a disk, crashes it, looks at it; once for each seed. Gives all that was seen.
fn after_crashes<S: Ord>(prepare: impl Fn(&mut Disk), look: impl Fn(&mut Disk) -> S) -> BTreeSet<S> {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let mut disk = disk();
        prepare(&mut disk);
        disk.crash(&mut Dice::new(seed));
        let found = look(&mut disk);
        // What is left is durable.
        disk.crash(&mut Dice::new(seed + 1));
        assert!(found == look(&mut disk), "a second crash changed something");
        seen.insert(found);
    }
    seen
}

/// A file of which name and content are durable.
fn put_durably(disk: &mut Disk, path: &str, content: &[u8]) -> OpenFile {
    let file = put(disk, path, content);
    disk.sync(&file, true).unwrap();
    sync_directory(disk, "/");
    file
}
