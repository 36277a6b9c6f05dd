//! Open files: what open(2) gives, and how long it counts.

use super::contents::Contents;
use super::inode::{Inode, Kind};
use super::paths::{Last, Place, Walk};
use super::{Answer, Disk};

/// The flags that ask for a file without a name, where there are such.
#[cfg(target_os = "linux")]
const UNNAMED: i32 = libc::O_TMPFILE;
#[cfg(not(target_os = "linux"))]
const UNNAMED: i32 = 0;

/// An open file description: whoever shares it shares the cursor.
///
/// Given back by [`Disk::close`], or dropped after a crash.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(super) inode: u64,
    flags: i32,
    pub(super) cursor: u64,
    /// Of a directory: the name that was read last, if the cursor is not at the beginning.
    pub(super) last_name: Vec<u8>,
    /// What tells it from all others, for locks.
    pub(super) identity: u64,
    /// How many crashes there had been when it was opened.
    crashes: u64,
}

impl OpenFile {
    /// The inode's number.
    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    #[cfg(test)]
    /// Where its cursor stands.
    pub(crate) fn position(&self) -> u64 {
        self.cursor
    }

    pub(crate) fn is_readable(&self) -> bool {
        matches!(self.flags & libc::O_ACCMODE, libc::O_RDONLY | libc::O_RDWR)
    }

    pub(crate) fn is_writable(&self) -> bool {
        matches!(self.flags & libc::O_ACCMODE, libc::O_WRONLY | libc::O_RDWR)
    }

    pub(super) fn appends(&self) -> bool {
        self.flags & libc::O_APPEND != 0
    }
}

impl Disk {
    /// open(2). There are no permissions: the simulated user is root.
    pub(crate) fn open<'a>(
        &mut self,
        path: impl Into<Walk<'a>>,
        flags: i32,
        mode: u32,
        now: u64,
    ) -> Answer<OpenFile> {
        let has = |flag| flags & flag != 0;
        if has(libc::O_CREAT) && has(libc::O_DIRECTORY) {
            return Err(libc::EINVAL);
        }
        let is_unnamed = flags & UNNAMED == UNNAMED && UNNAMED != 0;
        let excludes = has(libc::O_CREAT) && has(libc::O_EXCL);
        let path = path.into();
        let follows = match path.is_of_directory() {
            true => !has(libc::O_CREAT),
            false => !has(libc::O_NOFOLLOW),
        };
        let place = self.place(path, follows && !excludes)?;
        if is_unnamed {
            return self.open_unnamed(&place, flags, mode, now);
        }
        if has(libc::O_CREAT) && place.slash && matches!(place.last, Last::Name(_)) {
            return Err(libc::EISDIR);
        }
        let (inode, is_new) = match self.find_last(&place)? {
            Some(_) if excludes => return Err(libc::EEXIST),
            Some(inode) => (inode, false),
            None if has(libc::O_CREAT) => {
                (self.make(&place, Kind::File(Contents::default()), mode & 0o7777, now)?, true)
            }
            None => return Err(libc::ENOENT),
        };
        let file = self.new_file(inode, flags);
        let inode = self.inode_mut(inode)?;
        match &mut inode.kind {
            Kind::File(_) | Kind::Socket if has(libc::O_DIRECTORY) || place.slash => {
                return Err(libc::ENOTDIR);
            }
            Kind::Socket => return Err(libc::ENXIO),
            // Only one that was not to be followed is found.
            Kind::Link(_) if has(libc::O_DIRECTORY) => return Err(libc::ENOTDIR),
            Kind::Link(_) => return Err(libc::ELOOP),
            Kind::Directory(_) if has(libc::O_CREAT) || has(libc::O_TRUNC) => return Err(libc::EISDIR),
            Kind::Directory(_) if flags & libc::O_ACCMODE != libc::O_RDONLY => return Err(libc::EISDIR),
            // Even if it is opened for reading only, as on Linux.
            Kind::File(contents) if has(libc::O_TRUNC) && !is_new => {
                contents.set_length(0);
                inode.note_content(now);
            }
            Kind::File(_) | Kind::Directory(_) => {}
        }
        inode.opened += 1;
        Ok(file)
    }

    /// A file without a name, in the file system of a directory. O_TMPFILE, open(2)
    fn open_unnamed(&mut self, place: &Place, flags: i32, mode: u32, now: u64) -> Answer<OpenFile> {
        let directory = self.find_last(place)?.ok_or(libc::ENOENT)?;
        self.directory(directory)?;
        if flags & libc::O_ACCMODE == libc::O_RDONLY {
            return Err(libc::EINVAL);
        }
        let inode = self.add(Kind::File(Contents::default()), mode & 0o7777, now);
        self.inode_mut(inode)?.opened = 1;
        Ok(self.new_file(inode, flags))
    }

    fn new_file(&mut self, inode: u64, flags: i32) -> OpenFile {
        self.opens += 1;
        OpenFile {
            inode,
            flags,
            cursor: 0,
            last_name: Vec::new(),
            identity: self.opens,
            crashes: self.crashes,
        }
    }

    /// close(2). An inode to which no name leads goes with the last open file of it.
    pub(crate) fn close(&mut self, file: OpenFile) {
        if let Ok(inode) = self.opened_mut(&file) {
            inode.opened -= 1;
            inode.locks.retain(|(who, _)| *who != file.identity);
            self.forget(file.inode);
        }
    }

    /// What a file was opened of. EBADF after a crash.
    pub(super) fn opened(&self, file: &OpenFile) -> Answer<&Inode> {
        match file.crashes == self.crashes {
            true => self.inode(file.inode),
            false => Err(libc::EBADF),
        }
    }

    pub(super) fn opened_mut(&mut self, file: &OpenFile) -> Answer<&mut Inode> {
        self.opened(file)?;
        self.inode_mut(file.inode)
    }
}
