//! An inode: a file, a directory, a symbolic link or a socket, without the names that lead to it.
//!
//! It stays as long as a name leads to it, somebody has it open, or a crash might bring a name back.

use std::collections::BTreeMap;

use super::contents::{Contents, PAGE};
use super::names::Directory;
use super::paths::ROOT;
use crate::sys::file::Stat;

#[allow(clippy::unnecessary_cast, reason = "the width differs from one system to the next")]
pub(super) const FILE: u32 = libc::S_IFREG as u32;
#[allow(clippy::unnecessary_cast, reason = "the width differs from one system to the next")]
pub(super) const DIRECTORY: u32 = libc::S_IFDIR as u32;
#[allow(clippy::unnecessary_cast, reason = "the width differs from one system to the next")]
pub(super) const SOCKET: u32 = libc::S_IFSOCK as u32;
#[allow(clippy::unnecessary_cast, reason = "the width differs from one system to the next")]
pub(super) const LINK: u32 = libc::S_IFLNK as u32;

/// In what unit `Stat` counts room, whatever the size of a page.
const BLOCK: u64 = 512;
/// As everywhere on Linux unless asked otherwise (relatime): a read is noted if the last one noted is so long ago,
/// or before the last change.
const NOTED_FOR_NS: u64 = 24 * 60 * 60 * 1_000_000_000;

pub(super) enum Kind {
    File(Contents),
    Directory(Directory),
    Socket,
    /// Symbolic; where it points to.
    Link(Vec<u8>),
}

pub(super) struct Inode {
    pub(super) kind: Kind,
    /// Permissions, without the kind.
    pub(super) mode: u32,
    /// User and group.
    pub(super) owner: [u32; 2],
    /// How many open files there are of it.
    pub(super) opened: u64,
    /// How many names lead to it.
    pub(super) names: u64,
    /// The directory in which it was given a name last; a directory has but one.
    pub(super) above: u64,
    /// How many names may lead to it after a crash: those on the disk, and those that may reach it.
    pub(super) recoverable: u64,
    /// Extended attributes, xattr(7).
    pub(super) attributes: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Who holds it locked, and whether for themselves alone. flock(2)
    pub(super) locks: Vec<(u64, bool)>,
    /// The last change that gave it a name, which may have reached the disk by now.
    pub(super) placed_by: Option<u64>,
    pub(super) accessed_ns: u64,
    pub(super) modified_ns: u64,
    changed_ns: u64,
    created_ns: u64,
}

impl Inode {
    pub(super) fn new(kind: Kind, mode: u32, now: u64) -> Inode {
        Inode {
            kind,
            mode,
            owner: [0, 0],
            opened: 0,
            names: 0,
            above: ROOT,
            recoverable: 0,
            attributes: BTreeMap::new(),
            locks: Vec::new(),
            placed_by: None,
            accessed_ns: now,
            modified_ns: now,
            changed_ns: now,
            created_ns: now,
        }
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_))
    }

    /// How many pages of the disk it takes. Directories are free.
    pub(super) fn pages(&self) -> u64 {
        match &self.kind {
            Kind::File(contents) => contents.pages(),
            Kind::Directory(_) | Kind::Socket | Kind::Link(_) => 0,
        }
    }

    /// It was read.
    pub(super) fn note_access(&mut self, now: u64) {
        let is_older = self.accessed_ns <= self.modified_ns.max(self.changed_ns);
        if is_older || now.saturating_sub(self.accessed_ns) >= NOTED_FOR_NS {
            self.accessed_ns = now;
        }
    }

    /// Its content changed: bytes, or names.
    pub(super) fn note_content(&mut self, now: u64) {
        self.modified_ns = now;
        self.changed_ns = now;
    }

    /// Something else about it changed: its own name.
    pub(super) fn note_change(&mut self, now: u64) {
        self.changed_ns = now;
    }

    /// What a file system says of it; `links` is how many names lead to it.
    pub(super) fn stat(&self, number: u64, links: u64) -> Stat {
        let (kind, length, pages) = match &self.kind {
            Kind::File(contents) => (FILE, contents.length(), contents.pages()),
            Kind::Directory(_) => (DIRECTORY, PAGE, 1),
            Kind::Socket => (SOCKET, 0, 0),
            Kind::Link(target) => (LINK, target.len() as u64, 0),
        };
        Stat {
            mode: kind | self.mode,
            length,
            blocks: pages * (PAGE / BLOCK),
            inode: number,
            device: 1,
            links,
            represents: 0,
            block: PAGE as u32,
            user: self.owner[0],
            group: self.owner[1],
            accessed: time(self.accessed_ns),
            modified: time(self.modified_ns),
            changed: time(self.changed_ns),
            created: Some(time(self.created_ns)),
            direct_io: None,
        }
    }
}

fn time(nanoseconds: u64) -> (i64, u32) {
    ((nanoseconds / 1_000_000_000) as i64, (nanoseconds % 1_000_000_000) as u32)
}
