//! Directories, and the calls that give and take names.
//!
//! Each call finds out all that can go wrong first, and then makes one change of names, which happens as a whole:
//! at once for everybody who looks, and as a whole again after a crash (`journal`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::inode::{Inode, Kind};
use super::journal::{Changed, Step};
use super::paths::{Last, Place, ROOT, Walk};
use super::{Answer, Disk, OpenFile};

/// What the simulated user does not grant to others, as by umask(2).
const NOT_GRANTED: u32 = 0o022;

/// Of renameat2(2).
const NOREPLACE: u32 = 1;
const EXCHANGE: u32 = 2;

#[derive(Default)]
pub(super) struct Directory {
    pub(super) names: BTreeMap<Vec<u8>, u64>,
    /// The names that are not on the disk as they are now.
    pub(super) changed: BTreeMap<Vec<u8>, Changed>,
}

impl Disk {
    /// unlink(2), or rmdir(2) with AT_REMOVEDIR.
    pub(crate) fn unlink<'a>(&mut self, path: impl Into<Walk<'a>>, flags: i32, now: u64) -> Answer<()> {
        let place = self.place(path, false)?;
        let of_directory = flags & libc::AT_REMOVEDIR != 0;
        let name = match &place.last {
            Last::Name(name) => name.clone(),
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
        let step = Step { directory: place.directory(), name, leads_to: None };
        self.change(vec![step], BTreeSet::new(), now)
    }

    /// renameat2(2), with its flags.
    pub(crate) fn rename<'a>(
        &mut self,
        from: impl Into<Walk<'a>>,
        to: impl Into<Walk<'a>>,
        flags: u32,
        now: u64,
    ) -> Answer<()> {
        let (from, to) = (self.place(from, false)?, self.place(to, false)?);
        let Last::Name(from_name) = from.last.clone() else { return Err(libc::EBUSY) };
        let Last::Name(to_name) = to.last.clone() else {
            return Err(if flags & NOREPLACE != 0 { libc::EEXIST } else { libc::EBUSY });
        };
        let inode = self.find_last(&from)?.ok_or(libc::ENOENT)?;
        let replaced = self.find_last(&to)?;
        if flags & NOREPLACE != 0 && replaced.is_some() {
            return Err(libc::EEXIST);
        }
        if flags & EXCHANGE != 0 {
            return self.exchange(&from, &to, now);
        }
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
            Step { directory: from_directory, name: from_name, leads_to: None },
            Step { directory: to_directory, name: to_name, leads_to: Some(inode) },
        ];
        self.change(steps, needs, now)
    }

    /// Each gets the name of the other.
    fn exchange(&mut self, from: &Place, to: &Place, now: u64) -> Answer<()> {
        let (Last::Name(from_name), Last::Name(to_name)) = (&from.last, &to.last) else {
            return Err(libc::EBUSY);
        };
        let one = self.find_last(from)?.ok_or(libc::ENOENT)?;
        let other = self.find_last(to)?.ok_or(libc::ENOENT)?;
        for (place, inode) in [(to, other), (from, one)] {
            if place.slash {
                self.directory(inode)?;
            }
        }
        if to.ancestors.contains(&one) || from.ancestors.contains(&other) {
            return Err(libc::EINVAL);
        }
        if one == other {
            return Ok(());
        }
        let above = from.ancestors.iter().chain(&to.ancestors);
        let needs = above.filter_map(|number| self.inodes.get(number)?.placed_by).collect();
        let steps = vec![
            Step { directory: from.directory(), name: from_name.clone(), leads_to: Some(other) },
            Step { directory: to.directory(), name: to_name.clone(), leads_to: Some(one) },
        ];
        self.change(steps, needs, now)
    }

    /// link(2): one more name for a file.
    pub(crate) fn link<'a>(
        &mut self,
        from: impl Into<Walk<'a>>,
        to: impl Into<Walk<'a>>,
        now: u64,
    ) -> Answer<()> {
        let inode = self.find(from, false)?;
        self.link_inode(inode, to, now)
    }

    /// A name for a file that is open, and perhaps has none.
    pub(crate) fn link_inode<'a>(&mut self, inode: u64, to: impl Into<Walk<'a>>, now: u64) -> Answer<()> {
        let place = self.place(to, false)?;
        if self.find_last(&place)?.is_some() {
            return Err(libc::EEXIST);
        }
        let Last::Name(name) = &place.last else { return Err(libc::EEXIST) };
        if place.slash {
            return Err(libc::ENOENT);
        }
        if self.inode(inode)?.is_directory() {
            return Err(libc::EPERM);
        }
        let step = Step { directory: place.directory(), name: name.clone(), leads_to: Some(inode) };
        self.change(vec![step], BTreeSet::new(), now)
    }

    /// symlink(2).
    pub(crate) fn make_link<'a>(&mut self, target: &[u8], path: impl Into<Walk<'a>>, now: u64) -> Answer<()> {
        if target.is_empty() {
            return Err(libc::ENOENT);
        }
        let place = self.place(path, false)?;
        if self.find_last(&place)?.is_some() {
            return Err(libc::EEXIST);
        }
        if place.slash {
            return Err(libc::ENOENT);
        }
        self.make(&place, Kind::Link(target.to_vec()), 0o777, now).map(drop)
    }

    /// readlink(2).
    pub(crate) fn read_link<'a>(&self, path: impl Into<Walk<'a>>) -> Answer<Vec<u8>> {
        let inode = self.find(path, false)?;
        self.target(inode).map(<[u8]>::to_vec).ok_or(libc::EINVAL)
    }

    /// mkdir(2).
    pub(crate) fn make_directory<'a>(
        &mut self,
        path: impl Into<Walk<'a>>,
        mode: u32,
        now: u64,
    ) -> Answer<()> {
        let place = self.place(path, false)?;
        if self.find_last(&place)?.is_some() {
            return Err(libc::EEXIST);
        }
        self.make(&place, Kind::Directory(Directory::default()), mode & 0o1777, now)?;
        Ok(())
    }

    /// The name that bind(2) of a Unix socket makes. Gives the inode's number.
    pub(crate) fn make_socket(&mut self, path: &[u8], now: u64) -> Answer<u64> {
        let place = self.place(path, false)?;
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
        let inode = self.find(path, true)?;
        match self.inode(inode)?.kind {
            Kind::Socket => Ok(inode),
            Kind::File(_) | Kind::Directory(_) | Kind::Link(_) => Err(libc::ECONNREFUSED),
        }
    }

    /// The names in a directory, sorted, without `.` and `..`.
    pub(crate) fn list(&self, path: &[u8]) -> Answer<Vec<Vec<u8>>> {
        Ok(self.directory(self.find(path, true)?)?.names.keys().cloned().collect())
    }

    /// getdents(2) of an open directory: names from the cursor on, sorted, each with its inode and its kind as in st_mode,
    /// as long as `takes` says that there is room. What was made or removed meanwhile is seen or not, as elsewhere.
    pub(crate) fn read_names(
        &mut self,
        file: &mut OpenFile,
        now: u64,
        mut takes: impl FnMut(&[u8], u64, u32) -> bool,
    ) -> Answer<()> {
        self.opened_mut(file)?.note_access(now);
        let directory = self.directory(file.inode)?;
        // Behind the name that was read last, whatever became of that: no other is missed if it was removed.
        let from = match file.cursor {
            0 => Bound::Unbounded,
            _ => Bound::Excluded(file.last_name.clone()),
        };
        for (name, inode) in directory.names.range((from, Bound::Unbounded)) {
            let kind = self.inode(*inode)?.stat(*inode, 0).mode & !0o7777;
            if !takes(name, *inode, kind) {
                break;
            }
            file.cursor += 1;
            file.last_name = name.clone();
        }
        Ok(())
    }

    /// Makes an inode, at a place that is free.
    pub(super) fn make(&mut self, place: &Place, kind: Kind, mode: u32, now: u64) -> Answer<u64> {
        let Last::Name(name) = &place.last else { return Err(libc::EEXIST) };
        let inode = self.add(kind, mode, now);
        let step = Step { directory: place.directory(), name: name.clone(), leads_to: Some(inode) };
        self.change(vec![step], BTreeSet::new(), now)?;
        Ok(inode)
    }

    /// Makes an inode that has no name yet.
    pub(super) fn add(&mut self, kind: Kind, mode: u32, now: u64) -> u64 {
        self.inodes_made += 1;
        let inode = ROOT + self.inodes_made;
        let granted = if matches!(kind, Kind::Link(_)) { 0o777 } else { mode & !NOT_GRANTED };
        self.inodes.insert(inode, Inode::new(kind, granted, now));
        inode
    }
}
