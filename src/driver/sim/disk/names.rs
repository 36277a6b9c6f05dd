//! Directories, and the calls that give and take names.
//!
//! Each call finds out all that can go wrong first, and then makes one change of names, which happens as a whole:
//! at once for everybody who looks, and as a whole again after a crash (`journal`).

use std::collections::{BTreeMap, BTreeSet};

use super::inode::{Inode, Kind};
use super::journal::{Changed, Step};
use super::paths::{Last, Place, ROOT};
use super::{Answer, Disk};

/// What the simulated user does not grant to others, as by umask(2).
const NOT_GRANTED: u32 = 0o022;

#[derive(Default)]
pub(super) struct Directory {
    pub(super) names: BTreeMap<Vec<u8>, u64>,
    /// The names that are not on the disk as they are now.
    pub(super) changed: BTreeMap<Vec<u8>, Changed>,
}

impl Disk {
    /// unlink(2), or rmdir(2) with AT_REMOVEDIR.
    pub(crate) fn unlink(&mut self, path: &[u8], flags: i32, now: u64) -> Answer<()> {
        let place = self.place(path)?;
        let of_directory = flags & libc::AT_REMOVEDIR != 0;
        let name = match place.last {
            Last::Name(name) => name,
            _ if !of_directory => return Err(libc::EISDIR),
            Last::Same => return Err(libc::EINVAL),
            Last::Above => return Err(libc::ENOTEMPTY),
            Last::Root => return Err(libc::EBUSY),
        };
        let inode = self.find_last(&place)?.ok_or(libc::ENOENT)?;
        match (self.directory(inode), of_directory) {
            (Ok(directory), true) if !directory.names.is_empty() => return Err(libc::ENOTEMPTY),
            (Ok(_), false) => return Err(libc::EISDIR),
            (Err(errno), true) => return Err(errno),
            (Err(errno), false) if place.slash => return Err(errno),
            _ => {}
        }
        let step = Step { directory: place.directory(), name: name.to_vec(), leads_to: None };
        self.change(vec![step], Some(inode), BTreeSet::new(), now)
    }

    /// rename(2).
    pub(crate) fn rename(&mut self, from: &[u8], to: &[u8], now: u64) -> Answer<()> {
        let (from, to) = (self.place(from)?, self.place(to)?);
        let (Last::Name(from_name), Last::Name(to_name)) = (from.last, to.last) else {
            return Err(libc::EBUSY);
        };
        let inode = self.find_last(&from)?.ok_or(libc::ENOENT)?;
        let replaced = self.find_last(&to)?;
        let is_directory = self.inode(inode)?.is_directory();
        if !is_directory && (from.slash || to.slash) {
            return Err(libc::ENOTDIR);
        }
        if to.ancestors.contains(&inode) {
            return Err(libc::EINVAL);
        }
        if replaced == Some(inode) {
            return Ok(());
        }
        if let Some(replaced) = replaced {
            if from.ancestors.contains(&replaced) {
                return Err(libc::ENOTEMPTY);
            }
            match (self.directory(replaced), is_directory) {
                (Ok(_), false) => return Err(libc::EISDIR),
                (Err(errno), true) => return Err(errno),
                (Ok(directory), true) if !directory.names.is_empty() => return Err(libc::ENOTEMPTY),
                _ => {}
            }
        }
        let (from_directory, to_directory) = (from.directory(), to.directory());
        let mut needs = BTreeSet::new();
        if from_directory != to_directory {
            // Else a file could end up in a directory that the disk has never heard of, or a directory in itself.
            needs.extend(to.ancestors.iter().filter_map(|number| self.inodes.get(number)?.placed_by));
        }
        let steps = vec![
            Step { directory: from_directory, name: from_name.to_vec(), leads_to: None },
            Step { directory: to_directory, name: to_name.to_vec(), leads_to: Some(inode) },
        ];
        self.change(steps, replaced, needs, now)
    }

    /// mkdir(2).
    pub(crate) fn make_directory(&mut self, path: &[u8], mode: u32, now: u64) -> Answer<()> {
        let place = self.place(path)?;
        if self.find_last(&place)?.is_some() {
            return Err(libc::EEXIST);
        }
        self.make(&place, Kind::Directory(Directory::default()), mode & 0o1777, now)?;
        Ok(())
    }

    /// The name that bind(2) of a Unix socket makes. Gives the inode's number.
    pub(crate) fn make_socket(&mut self, path: &[u8], now: u64) -> Answer<u64> {
        let place = self.place(path)?;
        if self.find_last(&place)?.is_some() {
            return Err(libc::EADDRINUSE);
        }
        if place.slash {
            return Err(libc::ENOENT);
        }
        self.make(&place, Kind::Socket, 0o777, now)
    }

    /// The inode's number of the socket to which a path leads, as connect(2) looks for it.
    pub(crate) fn find_socket(&self, path: &[u8]) -> Answer<u64> {
        let inode = self.find(path)?;
        match self.inode(inode)?.kind {
            Kind::Socket => Ok(inode),
            Kind::File(_) | Kind::Directory(_) => Err(libc::ECONNREFUSED),
        }
    }

    /// The names in a directory, sorted, without `.` and `..`.
    pub(crate) fn list(&self, path: &[u8]) -> Answer<Vec<Vec<u8>>> {
        Ok(self.directory(self.find(path)?)?.names.keys().cloned().collect())
    }

    /// Makes an inode, at a place that is free.
    pub(super) fn make(&mut self, place: &Place<'_>, kind: Kind, mode: u32, now: u64) -> Answer<u64> {
        let Last::Name(name) = place.last else { return Err(libc::EEXIST) };
        self.inodes_made += 1;
        let inode = ROOT + self.inodes_made;
        self.inodes.insert(inode, Inode::new(kind, mode & !NOT_GRANTED, now));
        let step = Step { directory: place.directory(), name: name.to_vec(), leads_to: Some(inode) };
        self.change(vec![step], None, BTreeSet::new(), now)?;
        Ok(inode)
    }
}
