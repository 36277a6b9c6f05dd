//! Some names of a directory, copied on a helper thread: one hand-over for all of them, and eight calls of the system for
//! each, of which none waits for another thread.

use std::io;
use std::path::PathBuf;

use annulus::fs::FileType;
use rustix::fs::{self, AtFlags};
use rustix::io::Errno;

use crate::file::{Source, differs};
use crate::folder::{Ends, permissions, times};
use crate::links::Links;
use crate::tally::Failure;

/// What is no directory, and its name in the target.
pub struct Entry {
    pub name: PathBuf,
    pub to: PathBuf,
    pub kind: FileType,
}

/// How many are handed over at once. By 16 the same tree took a fifth more of the processors: so many more hand-overs, and
/// two threads in one directory, which the kernel lets in one at a time.
pub const NAMES: usize = 256;

/// What is longer is copied over the loop.
const SMALL: usize = 128 << 10;

/// What came of it.
#[derive(Default)]
pub struct Done {
    pub files: u64,
    pub bytes: u64,
    /// Files that are not small, or have holes: not begun.
    pub large: Vec<Entry>,
    pub failures: Vec<Failure>,
}

pub fn copy(ends: &Ends, entries: Vec<Entry>, links: &Links) -> Done {
    let mut done = Done::default();
    let mut buffer = vec![0; SMALL];
    for entry in entries {
        match one(ends, &entry, links, &mut buffer) {
            Ok(Some(bytes)) => {
                done.files += 1;
                done.bytes += bytes;
            }
            Ok(None) => done.large.push(entry),
            Err(failure) => done.failures.push(failure),
        }
    }
    done
}

/// How many bytes it had. None if it is not small, and not begun.
fn one(ends: &Ends, entry: &Entry, links: &Links, buffer: &mut [u8]) -> Result<Option<u64>, Failure> {
    match entry.kind {
        kind if kind.is_file() => {
            let source = Source::open(ends, entry)?;
            if source.length() > SMALL as u64 || source.has_holes() {
                return Ok(None);
            }
            match source.make(ends, entry, links)? {
                None => Ok(Some(0)),
                Some(target) => {
                    source.copy(&target, buffer, |error| ends.at_target(&entry.to, error)).map(Some)
                }
            }
        }
        kind if kind.is_symlink() => copy_link(ends, entry).map(|()| Some(0)),
        kind if kind.is_fifo() => copy_fifo(ends, entry).map(|()| Some(0)),
        kind => {
            let what = if kind.is_socket() { "a socket" } else { "a device" };
            Err(ends.at_source(&entry.name, io::Error::other(format!("{what} is not copied"))))
        }
    }
}

fn copy_link(ends: &Ends, entry: &Entry) -> Result<(), Failure> {
    let failed = |error| ends.at_source(&entry.name, error);
    let leads_to = fs::readlinkat(&ends.source, &entry.name, Vec::new()).map_err(failed)?;
    replace(ends, entry, || fs::symlinkat(leads_to.as_c_str(), &ends.target, &entry.to))
}

fn copy_fifo(ends: &Ends, entry: &Entry) -> Result<(), Failure> {
    replace(ends, entry, || make_fifo(ends, entry))?;
    let failed = |error| ends.at_target(&entry.to, error);
    let stat = fs::statat(&ends.source, &entry.name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| ends.at_source(&entry.name, error))?;
    fs::chmodat(&ends.target, &entry.to, permissions(&stat), AtFlags::empty()).map_err(failed)
}

#[cfg(not(target_vendor = "apple"))]
fn make_fifo(ends: &Ends, entry: &Entry) -> rustix::io::Result<()> {
    fs::mknodat(&ends.target, &entry.to, fs::FileType::Fifo, fs::Mode::RUSR | fs::Mode::WUSR, 0)
}

/// There is no such call below a directory.
#[cfg(target_vendor = "apple")]
fn make_fifo(_: &Ends, _: &Entry) -> rustix::io::Result<()> {
    Err(rustix::io::Errno::NOTSUP)
}

/// Makes what is no file, in place of what is there, and sets its times.
fn replace(ends: &Ends, entry: &Entry, make: impl Fn() -> rustix::io::Result<()>) -> Result<(), Failure> {
    let itself = AtFlags::SYMLINK_NOFOLLOW;
    let stat =
        fs::statat(&ends.source, &entry.name, itself).map_err(|error| ends.at_source(&entry.name, error))?;
    let made = match make() {
        Err(Errno::EXIST) => {
            // By another name it may be what is being copied.
            let failed = |error| ends.at_target(&entry.to, error);
            let there = fs::statat(&ends.target, &entry.to, itself).map_err(|error| failed(error.into()))?;
            differs(&stat, &there).map_err(failed)?;
            fs::unlinkat(&ends.target, &entry.to, AtFlags::empty()).and_then(|()| make())
        }
        made => made,
    };
    made.and_then(|()| fs::utimensat(&ends.target, &entry.to, &times(&stat), itself))
        .map_err(|error| ends.at_target(&entry.to, error))
}
