//! Files, directories, and what of them survives a crash: the disk of one host.
//!
//! What is written is in memory until it is synced: of a file by sync on it, of its name by sync on its directory.

mod content;
mod crash;
mod names;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::Answer;
use crate::sys::file::Stat;
use content::{Content, PAGE};
use names::{Directory, Last, ROOT};

/// The permissions that a new file does not get.
const UMASK: u32 = 0o022;
/// The longest that a file can be: that of ext4 with pages of 4 KiB.
const LENGTH_MAX: u64 = (1 << 44) - PAGE;

pub(crate) struct Disk {
    inodes: BTreeMap<u64, Inode>,
    made: u64,
    capacity: Option<u64>,
    /// How many crashes there were: files that were opened before are no files any more.
    life: u64,
}

struct Inode {
    kind: Kind,
    permissions: u32,
    names: u32,
    opened: u32,
    /// In nanoseconds since 1970.
    changed: u64,
    modified: u64,
    created: u64,
}

enum Kind {
    File(Content),
    Directory(Directory),
    Socket,
}

/// An open file: which, for what, and where its cursor stands.
pub(super) struct OpenFile {
    inode: u64,
    life: u64,
    flags: i32,
    cursor: u64,
}

impl OpenFile {
    fn reads(&self) -> bool {
        self.flags & libc::O_ACCMODE != libc::O_WRONLY
    }

    fn writes(&self) -> bool {
        self.flags & libc::O_ACCMODE != libc::O_RDONLY
    }
}

impl Disk {
    /// A disk with `/` and `/tmp`.
    pub(super) fn new(now: u64) -> Disk {
        let mut disk = Disk { inodes: BTreeMap::new(), made: ROOT - 1, capacity: None, life: 0 };
        disk.make(Kind::Directory(Directory::within(ROOT)), 0o755, now);
        disk.make_directory(b"/tmp", 0o777, now).expect("there is room on a new disk");
        let root = disk.directory_mut(ROOT).expect("just made");
        root.on_disk = root.entries.clone();
        disk
    }

    fn make(&mut self, kind: Kind, permissions: u32, now: u64) -> u64 {
        self.made += 1;
        let inode =
            Inode { kind, permissions, names: 1, opened: 0, changed: now, modified: now, created: now };
        self.inodes.insert(self.made, inode);
        self.made
    }

    /// What it may hold, in bytes.
    pub(crate) fn set_capacity(&mut self, bytes: Option<u64>) {
        self.capacity = bytes;
    }

    /// How many pages there is room for.
    fn room(&self) -> u64 {
        let Some(capacity) = self.capacity else { return u64::MAX };
        let taken: u64 = self.inodes.values().map(|inode| inode.pages()).sum();
        (capacity / PAGE).saturating_sub(taken)
    }

    fn inode(&mut self, file: &OpenFile) -> Answer<&mut Inode> {
        self.inodes.get_mut(&file.inode).filter(|_| file.life == self.life).ok_or(libc::EBADF)
    }

    fn touch(&mut self, inode: u64, now: u64) {
        if let Some(inode) = self.inodes.get_mut(&inode) {
            (inode.modified, inode.changed) = (now, now);
        }
    }

    /// It goes with its last name, when nobody has it open.
    fn loses_name(&mut self, number: u64, now: u64) {
        if let Some(inode) = self.inodes.get_mut(&number) {
            inode.names -= 1;
            inode.changed = now;
            if inode.names == 0 && inode.opened == 0 {
                self.inodes.remove(&number);
            }
        }
    }

    pub(super) fn open(&mut self, path: &[u8], flags: i32, mode: u32, now: u64) -> Answer<OpenFile> {
        let creates = flags & libc::O_CREAT != 0;
        if creates && flags & libc::O_DIRECTORY != 0 {
            return Err(libc::EINVAL);
        }
        let place = self.place(path)?;
        let found = self.look_up(place.directory, &place.last)?;
        let inode = match found {
            Some(_) if creates && flags & libc::O_EXCL != 0 => return Err(libc::EEXIST),
            Some(inode) => inode,
            None if !creates => return Err(libc::ENOENT),
            None if place.asks_for_directory => return Err(libc::EISDIR),
            None => {
                let inode = self.make(Kind::File(Content::default()), mode & 0o7777 & !UMASK, now);
                self.enter(place.directory, &place.last, inode, now)?;
                inode
            }
        };
        let file = OpenFile { inode, life: self.life, flags, cursor: 0 };
        let is_made = found.is_none();
        match &mut self.inode(&file)?.kind {
            Kind::Directory(_) if file.writes() || creates || flags & libc::O_TRUNC != 0 => {
                return Err(libc::EISDIR);
            }
            Kind::File(_) if place.asks_for_directory || flags & libc::O_DIRECTORY != 0 => {
                return Err(libc::ENOTDIR);
            }
            Kind::Socket => return Err(libc::ENXIO),
            Kind::File(content) if flags & libc::O_TRUNC != 0 && !is_made => {
                content.set_length(0);
                self.touch(inode, now);
            }
            _ => {}
        }
        self.inode(&file)?.opened += 1;
        Ok(file)
    }

    fn enter(&mut self, directory: u64, last: &Last, inode: u64, now: u64) -> Answer<()> {
        let Last::Name(name) = last else { return Err(libc::EEXIST) };
        self.directory_mut(directory)?.entries.insert(name.clone(), inode);
        self.touch(directory, now);
        Ok(())
    }

    pub(super) fn close(&mut self, file: OpenFile) {
        let Ok(inode) = self.inode(&file) else { return };
        inode.opened -= 1;
        if inode.names == 0 && inode.opened == 0 {
            self.inodes.remove(&file.inode);
        }
    }

    /// At an offset, or at the cursor, which moves.
    pub(super) fn read(
        &mut self,
        file: &mut OpenFile,
        offset: Option<u64>,
        length: usize,
    ) -> Answer<Vec<u8>> {
        if offset.is_some_and(|offset| offset > i64::MAX as u64) {
            return Err(libc::EINVAL);
        }
        let reads = file.reads();
        match &self.inode(file)?.kind {
            _ if !reads => Err(libc::EBADF),
            Kind::File(content) => {
                let bytes = content.read(offset.unwrap_or(file.cursor), length);
                if offset.is_none() {
                    file.cursor += bytes.len() as u64;
                }
                Ok(bytes)
            }
            _ => Err(libc::EISDIR),
        }
    }

    /// At an offset, or at the cursor, which moves; where the file was opened to append, at its end.
    pub(super) fn write(
        &mut self,
        file: &mut OpenFile,
        offset: Option<u64>,
        bytes: &[u8],
        now: u64,
    ) -> Answer<usize> {
        if offset.is_some_and(|offset| offset > i64::MAX as u64) {
            return Err(libc::EINVAL);
        }
        let room = self.room();
        let (writes, appends) = (file.writes(), file.flags & libc::O_APPEND != 0);
        let Kind::File(content) = &mut self.inode(file)?.kind else { return Err(libc::EBADF) };
        if !writes {
            return Err(libc::EBADF);
        }
        let place = if appends { content.len() } else { offset.unwrap_or(file.cursor) };
        if bytes.is_empty() {
            return Ok(0);
        }
        if place >= LENGTH_MAX {
            return Err(libc::EFBIG);
        }
        let fitting = bytes.len().min((LENGTH_MAX - place) as usize);
        let written = content.write(place, &bytes[..fitting], room);
        if written == 0 {
            return Err(libc::ENOSPC);
        }
        if offset.is_none() {
            file.cursor = place + written as u64;
        }
        self.touch(file.inode, now);
        Ok(written)
    }

    pub(super) fn truncate(&mut self, file: &OpenFile, length: u64, now: u64) -> Answer<()> {
        if length > i64::MAX as u64 || !file.writes() {
            return Err(libc::EINVAL);
        }
        let Kind::File(content) = &mut self.inode(file)?.kind else { return Err(libc::EINVAL) };
        if length > LENGTH_MAX {
            return Err(libc::EFBIG);
        }
        content.set_length(length);
        self.touch(file.inode, now);
        Ok(())
    }

    /// Content, or a directory's names, are on the disk. The content's length always goes with it.
    pub(super) fn sync(&mut self, file: &OpenFile, _data_only: bool) -> Answer<()> {
        match &mut self.inode(file)?.kind {
            Kind::File(content) => content.sync(),
            Kind::Directory(directory) => directory.on_disk = directory.entries.clone(),
            Kind::Socket => return Err(libc::EINVAL),
        }
        Ok(())
    }

    pub(super) fn make_directory(&mut self, path: &[u8], mode: u32, now: u64) -> Answer<()> {
        let place = self.place(path)?;
        if self.look_up(place.directory, &place.last)?.is_some() {
            return Err(libc::EEXIST);
        }
        if self.room() == 0 {
            return Err(libc::ENOSPC);
        }
        let inode =
            self.make(Kind::Directory(Directory::within(place.directory)), mode & 0o7777 & !UMASK, now);
        self.enter(place.directory, &place.last, inode, now)
    }

    /// For a Unix socket that is bound to a path: the number that it is known by.
    pub(super) fn make_socket(&mut self, path: &[u8], now: u64) -> Answer<u64> {
        let place = self.place(path)?;
        if self.look_up(place.directory, &place.last)?.is_some() {
            return Err(libc::EADDRINUSE);
        }
        let inode = self.make(Kind::Socket, 0o777 & !UMASK, now);
        self.enter(place.directory, &place.last, inode, now)?;
        Ok(inode)
    }

    /// The number of the Unix socket at a path.
    pub(super) fn find_socket(&self, path: &[u8]) -> Answer<u64> {
        let inode = self.find(path)?;
        match self.inodes.get(&inode).map(|inode| &inode.kind) {
            Some(Kind::Socket) => Ok(inode),
            _ => Err(libc::ECONNREFUSED),
        }
    }

    pub(super) fn stat_path(&self, path: &[u8]) -> Answer<Stat> {
        self.stat(self.find(path)?).ok_or(libc::ENOENT)
    }

    pub(super) fn stat_open(&self, file: &OpenFile) -> Answer<Stat> {
        self.stat(file.inode).filter(|_| file.life == self.life).ok_or(libc::EBADF)
    }

    fn stat(&self, number: u64) -> Option<Stat> {
        let inode = self.inodes.get(&number)?;
        let (kind, length) = match &inode.kind {
            Kind::File(content) => (libc::S_IFREG, content.len()),
            Kind::Directory(_) => (libc::S_IFDIR, PAGE),
            Kind::Socket => (libc::S_IFSOCK, 0),
        };
        let links = match &inode.kind {
            // Its name, its own ".", and the ".." of those in it.
            Kind::Directory(directory) if inode.names > 0 => {
                2 + directory.entries.values().filter(|inner| self.is_directory(**inner)).count() as u64
            }
            _ => inode.names.into(),
        };
        let time = |moment: u64| ((moment / 1_000_000_000) as i64, (moment % 1_000_000_000) as u32);
        #[allow(clippy::unnecessary_cast, reason = "its width differs from one system to the next")]
        let kind = kind as u32;
        Some(Stat {
            mode: kind | inode.permissions,
            length,
            blocks: inode.pages() * (PAGE / 512),
            inode: number,
            device: 1,
            links,
            accessed: time(inode.modified),
            modified: time(inode.modified),
            changed: time(inode.changed),
            created: Some(time(inode.created)),
            ..Stat::default()
        })
    }
}

impl Inode {
    fn pages(&self) -> u64 {
        match &self.kind {
            Kind::File(content) => content.pages(),
            Kind::Directory(_) | Kind::Socket => 0,
        }
    }
}
