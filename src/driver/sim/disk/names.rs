//! Paths, and what directories hold.

use std::collections::BTreeMap;

use super::{Disk, Kind};
use crate::driver::sim::Answer;

const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4096;

pub(super) const ROOT: u64 = 2;

pub(super) struct Directory {
    pub(super) parent: u64,
    pub(super) entries: BTreeMap<Vec<u8>, u64>,
    /// As they are on the disk.
    pub(super) on_disk: BTreeMap<Vec<u8>, u64>,
}

impl Directory {
    pub(super) fn within(parent: u64) -> Directory {
        Directory { parent, entries: BTreeMap::new(), on_disk: BTreeMap::new() }
    }
}

/// Where a path leads to: the directory, and the name in it.
pub(super) struct Place {
    pub(super) directory: u64,
    pub(super) last: Last,
    /// It ends with a slash.
    pub(super) asks_for_directory: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Root,
    Dot,
    DotDot,
    Name(Vec<u8>),
}

impl Disk {
    /// Follows a path up to its last name.
    pub(super) fn place(&self, path: &[u8]) -> Answer<Place> {
        if path.is_empty() {
            return Err(libc::ENOENT);
        }
        if path.len() >= PATH_MAX {
            return Err(libc::ENAMETOOLONG);
        }
        let asks_for_directory = path.ends_with(b"/");
        let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).peekable();
        let mut directory = ROOT;
        while let Some(name) = names.next() {
            if name.len() > NAME_MAX {
                return Err(libc::ENAMETOOLONG);
            }
            let last = match name {
                b"." => Last::Dot,
                b".." => Last::DotDot,
                name => Last::Name(name.to_owned()),
            };
            if names.peek().is_none() {
                return Ok(Place { directory, last, asks_for_directory });
            }
            directory = self.look_up(directory, &last)?.ok_or(libc::ENOENT)?;
            self.directory(directory)?;
        }
        Ok(Place { directory, last: Last::Root, asks_for_directory: true })
    }

    /// What the last name leads to, if there is something.
    pub(super) fn look_up(&self, directory: u64, last: &Last) -> Answer<Option<u64>> {
        Ok(match last {
            Last::Root => Some(ROOT),
            Last::Dot => Some(directory),
            Last::DotDot => Some(self.directory(directory)?.parent),
            Last::Name(name) => self.directory(directory)?.entries.get(name).copied(),
        })
    }

    /// What a path leads to.
    pub(super) fn find(&self, path: &[u8]) -> Answer<u64> {
        let place = self.place(path)?;
        let found = self.look_up(place.directory, &place.last)?.ok_or(libc::ENOENT)?;
        if place.asks_for_directory {
            self.directory(found)?;
        }
        Ok(found)
    }

    pub(super) fn directory(&self, inode: u64) -> Answer<&Directory> {
        match self.inodes.get(&inode).map(|inode| &inode.kind) {
            Some(Kind::Directory(directory)) => Ok(directory),
            Some(_) => Err(libc::ENOTDIR),
            None => Err(libc::ENOENT),
        }
    }

    pub(super) fn directory_mut(&mut self, inode: u64) -> Answer<&mut Directory> {
        match self.inodes.get_mut(&inode).map(|inode| &mut inode.kind) {
            Some(Kind::Directory(directory)) => Ok(directory),
            Some(_) => Err(libc::ENOTDIR),
            None => Err(libc::ENOENT),
        }
    }

    pub(super) fn is_directory(&self, inode: u64) -> bool {
        self.directory(inode).is_ok()
    }

    /// Whether a directory is the other, or somewhere above it.
    fn is_above(&self, upper: u64, lower: u64) -> bool {
        let mut at = lower;
        while at != upper && at != ROOT {
            let Ok(directory) = self.directory(at) else { return false };
            at = directory.parent;
        }
        at == upper
    }

    /// Removes a name; `flags` may say AT_REMOVEDIR.
    pub(in crate::driver::sim) fn unlink(&mut self, path: &[u8], flags: i32, now: u64) -> Answer<()> {
        let place = self.place(path)?;
        let removes_directory = flags & libc::AT_REMOVEDIR != 0;
        let name = match (place.last, removes_directory) {
            (Last::Name(name), _) => name,
            (Last::Root, true) => return Err(libc::EBUSY),
            (Last::Dot, true) => return Err(libc::EINVAL),
            (Last::DotDot, true) => return Err(libc::ENOTEMPTY),
            (_, false) => return Err(libc::EISDIR),
        };
        let inode = *self.directory(place.directory)?.entries.get(&name).ok_or(libc::ENOENT)?;
        match (self.is_directory(inode), removes_directory) {
            (true, false) => return Err(libc::EISDIR),
            (false, true) => return Err(libc::ENOTDIR),
            (false, false) if place.asks_for_directory => return Err(libc::ENOTDIR),
            (true, true) if !self.directory(inode)?.entries.is_empty() => return Err(libc::ENOTEMPTY),
            _ => {}
        }
        self.directory_mut(place.directory)?.entries.remove(&name);
        self.touch(place.directory, now);
        self.loses_name(inode, now);
        Ok(())
    }

    /// Gives another name, atomically replacing what had it.
    pub(in crate::driver::sim) fn rename(&mut self, from: &[u8], to: &[u8], now: u64) -> Answer<()> {
        let (from, to) = (self.place(from)?, self.place(to)?);
        let (Last::Name(old_name), Last::Name(new_name)) = (from.last, to.last) else {
            return Err(libc::EBUSY);
        };
        let moved = *self.directory(from.directory)?.entries.get(&old_name).ok_or(libc::ENOENT)?;
        let replaced = self.directory(to.directory)?.entries.get(&new_name).copied();
        let is_directory = self.is_directory(moved);
        if !is_directory && (from.asks_for_directory || to.asks_for_directory) {
            return Err(libc::ENOTDIR);
        }
        if is_directory && self.is_above(moved, to.directory) {
            return Err(libc::EINVAL);
        }
        if let Some(replaced) = replaced {
            if self.is_directory(replaced) && self.is_above(replaced, from.directory) {
                return Err(libc::ENOTEMPTY);
            }
            if replaced == moved {
                return Ok(());
            }
            match (is_directory, self.is_directory(replaced)) {
                (true, false) => return Err(libc::ENOTDIR),
                (false, true) => return Err(libc::EISDIR),
                (true, true) if !self.directory(replaced)?.entries.is_empty() => return Err(libc::ENOTEMPTY),
                _ => {}
            }
        }
        self.directory_mut(from.directory)?.entries.remove(&old_name);
        self.directory_mut(to.directory)?.entries.insert(new_name, moved);
        if is_directory {
            self.directory_mut(moved)?.parent = to.directory;
        }
        [from.directory, to.directory].into_iter().for_each(|directory| self.touch(directory, now));
        if let Some(replaced) = replaced {
            self.loses_name(replaced, now);
        }
        Ok(())
    }
}
