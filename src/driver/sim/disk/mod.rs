//! Files, directories, and what of them survives a crash: the file system of one simulated host.
//!
//! It answers as Linux does, with a positive errno where it refuses. It knows no clock: whoever calls says what time
//! it is, in nanoseconds since 1970. The same calls with the same dice leave the same disk, on every machine.

mod attributes;
mod contents;
mod crash;
mod inode;
mod journal;
mod names;
mod open;
mod paths;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub(crate) use attributes::Target;
use contents::PAGE;
use inode::{Inode, Kind};
use journal::Journal;
use names::Directory;
pub(crate) use open::OpenFile;
use paths::ROOT;
pub(crate) use paths::Walk;

use crate::sys::file::Stat;

/// What a call gives, or a positive errno.
pub(crate) type Answer<T> = Result<T, i32>;

/// The greatest offset that a call can say.
const OFFSET_MAX: u64 = i64::MAX as u64;
/// The greatest length of a file: that of ext4 with blocks of 4 KiB.
const LENGTH_MAX: u64 = (1 << 44) - 4096;

pub(crate) struct Disk {
    inodes: BTreeMap<u64, Inode>,
    inodes_made: u64,
    journal: Journal,
    /// How much there is room for; None is no limit.
    pages_max: Option<u64>,
    /// A file that was opened before the last one is not open any more.
    crashes: u64,
    /// How many files were opened, so that each is told from all others.
    opens: u64,
}

impl Disk {
    /// A disk with `/` and `/tmp`, both durable.
    pub(crate) fn new(now: u64) -> Disk {
        let mut disk = Disk {
            inodes: BTreeMap::new(),
            inodes_made: 1,
            journal: Journal::default(),
            pages_max: None,
            crashes: 0,
            opens: 0,
        };
        let temporary = ROOT + disk.inodes_made;
        let mut root = Directory::default();
        root.names.insert(b"tmp".to_vec(), temporary);
        disk.inodes.insert(ROOT, Inode::new(Kind::Directory(root), 0o755, now));
        let empty = Kind::Directory(Directory::default());
        disk.inodes.insert(temporary, Inode::new(empty, 0o1777, now));
        for inode in disk.inodes.values_mut() {
            (inode.names, inode.recoverable) = (1, 1);
        }
        disk
    }

    /// How many bytes of data there is room for, in whole pages. Holes and directories take none, nor do files to
    /// which no name leads and which nobody has open.
    pub(crate) fn set_capacity(&mut self, bytes: Option<u64>) {
        self.pages_max = bytes.map(|bytes| bytes / PAGE);
    }

    /// read(2) at the cursor, or pread(2) at an offset.
    pub(crate) fn read(
        &mut self,
        file: &mut OpenFile,
        offset: Option<u64>,
        length: usize,
        now: u64,
    ) -> Answer<Vec<u8>> {
        if offset.is_some_and(|offset| offset > OFFSET_MAX) {
            return Err(libc::EINVAL);
        }
        if !file.is_readable() {
            return Err(libc::EBADF);
        }
        let inode = self.opened_mut(file)?;
        let Kind::File(contents) = &inode.kind else { return Err(libc::EISDIR) };
        let bytes = contents.read(offset.unwrap_or(file.cursor), length);
        if length > 0 {
            inode.note_access(now);
        }
        if offset.is_none() {
            file.cursor += bytes.len() as u64;
        }
        Ok(bytes)
    }

    /// write(2) at the cursor, or pwrite(2) at an offset; at the end in either case if the file was opened to append.
    /// Of what there is no room for, as much is written as goes.
    pub(crate) fn write(
        &mut self,
        file: &mut OpenFile,
        offset: Option<u64>,
        bytes: &[u8],
        now: u64,
    ) -> Answer<usize> {
        if offset.is_some_and(|offset| offset > OFFSET_MAX) {
            return Err(libc::EINVAL);
        }
        if !file.is_writable() {
            return Err(libc::EBADF);
        }
        let room = self.room();
        let inode = self.opened_mut(file)?;
        let Kind::File(contents) = &mut inode.kind else { return Err(libc::EBADF) };
        if bytes.is_empty() {
            return Ok(0);
        }
        let start = match file.appends() {
            true => contents.length(),
            false => offset.unwrap_or(file.cursor),
        };
        let possible = LENGTH_MAX.saturating_sub(start).min(bytes.len() as u64) as usize;
        if possible == 0 {
            return Err(libc::EFBIG);
        }
        let written = contents.write(start, &bytes[..possible], room);
        if written == 0 {
            return Err(libc::ENOSPC);
        }
        inode.note_content(now);
        if offset.is_none() {
            file.cursor = start + written as u64;
        }
        Ok(written)
    }

    /// ftruncate(2).
    pub(crate) fn truncate(&mut self, file: &OpenFile, length: u64, now: u64) -> Answer<()> {
        let inode = self.opened_mut(file)?;
        let Kind::File(contents) = &mut inode.kind else { return Err(libc::EINVAL) };
        if !file.is_writable() || length > OFFSET_MAX {
            return Err(libc::EINVAL);
        }
        if length > LENGTH_MAX {
            return Err(libc::EFBIG);
        }
        contents.set_length(length);
        inode.note_content(now);
        Ok(())
    }

    /// fsync(2) or fdatasync(2): of a file, its content and its length; of a directory, the names in it. That a name
    /// leads to the file is for a sync of the directory.
    pub(crate) fn sync(&mut self, file: &OpenFile, data_only: bool) -> Answer<()> {
        // Without times, which a crash leaves alone, fdatasync(2) has nothing that it could spare.
        let _ = data_only;
        match &mut self.opened_mut(file)?.kind {
            Kind::File(contents) => contents.sync(),
            Kind::Directory(_) => self.sync_names(file.inode)?,
            Kind::Socket | Kind::Link(_) => return Err(libc::EINVAL),
        }
        Ok(())
    }

    /// statx(2) of a path.
    pub(crate) fn stat_path<'a>(&self, path: impl Into<Walk<'a>>, follow: bool) -> Answer<Stat> {
        let number = self.find(path, follow)?;
        Ok(self.inode(number)?.stat(number, self.links(number)))
    }

    /// statx(2) of an open file; all zeroes if a crash came in between.
    pub(crate) fn stat_open(&self, file: &OpenFile) -> Stat {
        match self.opened(file) {
            Ok(inode) => inode.stat(file.inode, self.links(file.inode)),
            Err(_) => Stat::default(),
        }
    }

    /// How many names lead to an inode; to a directory, those in it and below it count as well.
    fn links(&self, number: u64) -> u64 {
        let Some(inode) = self.inodes.get(&number).filter(|inode| inode.names > 0) else { return 0 };
        let Kind::Directory(directory) = &inode.kind else { return inode.names };
        let inside = directory.names.values().filter(|inode| self.directory(**inode).is_ok());
        2 + inside.count() as u64
    }

    /// How many more pages there is room for.
    fn room(&self) -> u64 {
        let Some(pages_max) = self.pages_max else { return u64::MAX };
        let in_use = self.inodes.values().filter(|inode| inode.names > 0 || inode.opened > 0);
        pages_max.saturating_sub(in_use.map(Inode::pages).sum())
    }
}
