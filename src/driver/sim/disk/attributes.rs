//! What is known of a file besides what is in it: permissions, times, extended attributes, locks; and its room.

use super::inode::{Inode, Kind};
use super::{Answer, Disk, LENGTH_MAX, OpenFile, Walk};
use crate::sys::attributes::NO_ATTRIBUTE;

/// Of xattr(7).
const CREATE: i32 = 1;
const REPLACE: i32 = 2;
/// How long an attribute may be, and its name.
const VALUE_MAX: usize = 65_536;
const NAME_MAX: usize = 255;

/// Of fallocate(2).
const KEEP_SIZE: i32 = 1;
const PUNCH_HOLE: i32 = 2;
const ZERO_RANGE: i32 = 16;

/// Which file a call is about.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    Open(&'a OpenFile),
    Path(Walk<'a>, bool),
}

impl Disk {
    fn aimed(&self, target: Target<'_>) -> Answer<u64> {
        match target {
            Target::Open(file) => self.opened(file).map(|_| file.inode),
            Target::Path(path, follow) => self.find(path, follow),
        }
    }

    fn aimed_mut(&mut self, target: Target<'_>) -> Answer<&mut Inode> {
        let inode = self.aimed(target)?;
        self.inode_mut(inode)
    }

    /// chmod(2), fchmod(2).
    pub(crate) fn set_mode(&mut self, target: Target<'_>, mode: u32, now: u64) -> Answer<()> {
        let inode = self.aimed_mut(target)?;
        if matches!(inode.kind, Kind::Link(_)) {
            return Err(libc::EOPNOTSUPP);
        }
        inode.mode = mode & 0o7777;
        inode.note_change(now);
        Ok(())
    }

    /// chown(2), lchown(2), fchown(2): user and group; None leaves one alone.
    pub(crate) fn set_owner(&mut self, target: Target<'_>, owner: [Option<u32>; 2], now: u64) -> Answer<()> {
        let inode = self.aimed_mut(target)?;
        for (id, new) in inode.owner.iter_mut().zip(owner) {
            *id = new.unwrap_or(*id);
        }
        // What runs as its owner is not to run as the new one.
        if !inode.is_directory() && owner.iter().any(Option::is_some) {
            let runs_as_group = if inode.mode & 0o010 != 0 { 0o2000 } else { 0 };
            inode.mode &= !(0o4000 | runs_as_group);
        }
        inode.note_change(now);
        Ok(())
    }

    /// utimensat(2): when it was read and changed, in nanoseconds since 1970; None leaves a time alone.
    pub(crate) fn set_times(
        &mut self,
        target: Target<'_>,
        [accessed, modified]: [Option<u64>; 2],
        now: u64,
    ) -> Answer<()> {
        let inode = self.aimed_mut(target)?;
        inode.accessed_ns = accessed.unwrap_or(inode.accessed_ns);
        inode.modified_ns = modified.unwrap_or(inode.modified_ns);
        inode.note_change(now);
        Ok(())
    }

    /// setxattr(2). Like names in directories they are there after a crash: the model does not lose them.
    pub(crate) fn set_attribute(
        &mut self,
        target: Target<'_>,
        name: &[u8],
        value: &[u8],
        flags: i32,
        now: u64,
    ) -> Answer<()> {
        let inode = self.aimed_mut(target)?;
        check_name(name)?;
        if value.len() > VALUE_MAX {
            return Err(libc::E2BIG);
        }
        match inode.attributes.contains_key(name) {
            true if flags & CREATE != 0 => return Err(libc::EEXIST),
            false if flags & REPLACE != 0 => return Err(NO_ATTRIBUTE),
            _ => {}
        }
        inode.attributes.insert(name.to_vec(), value.to_vec());
        inode.note_change(now);
        Ok(())
    }

    /// getxattr(2).
    pub(crate) fn attribute(&self, target: Target<'_>, name: &[u8]) -> Answer<&[u8]> {
        let inode = self.inode(self.aimed(target)?)?;
        check_name(name)?;
        inode.attributes.get(name).map(Vec::as_slice).ok_or(NO_ATTRIBUTE)
    }

    /// removexattr(2).
    pub(crate) fn remove_attribute(&mut self, target: Target<'_>, name: &[u8], now: u64) -> Answer<()> {
        let inode = self.aimed_mut(target)?;
        check_name(name)?;
        inode.attributes.remove(name).ok_or(NO_ATTRIBUTE)?;
        inode.note_change(now);
        Ok(())
    }

    /// listxattr(2): names, each with a zero at its end.
    pub(crate) fn attributes(&self, target: Target<'_>) -> Answer<Vec<u8>> {
        let inode = self.inode(self.aimed(target)?)?;
        Ok(inode.attributes.keys().flat_map(|name| name.iter().copied().chain([0])).collect())
    }

    /// flock(2), which never waits here: LOCK_SH, LOCK_EX or LOCK_UN.
    pub(crate) fn lock(&mut self, file: &OpenFile, operation: i32) -> Answer<()> {
        let inode = self.opened_mut(file)?;
        let alone = operation & libc::LOCK_EX != 0;
        let others = || inode.locks.iter().filter(|(who, _)| *who != file.identity);
        let taken = others().any(|(_, theirs)| alone || *theirs);
        if operation & libc::LOCK_UN == 0 && taken {
            return Err(libc::EAGAIN);
        }
        inode.locks.retain(|(who, _)| *who != file.identity);
        if operation & libc::LOCK_UN == 0 {
            inode.locks.push((file.identity, alone));
        }
        Ok(())
    }

    /// fallocate(2). What has no room yet stays a hole: holes read as zeroes.
    pub(crate) fn allocate(
        &mut self,
        file: &OpenFile,
        mode: i32,
        offset: u64,
        length: u64,
        now: u64,
    ) -> Answer<()> {
        let is_writable = file.is_writable();
        let inode = self.opened_mut(file)?;
        if !is_writable {
            return Err(libc::EBADF);
        }
        let Kind::File(contents) = &mut inode.kind else { return Err(libc::ENODEV) };
        if length == 0 {
            return Err(libc::EINVAL);
        }
        let end = offset.checked_add(length).filter(|end| *end <= LENGTH_MAX).ok_or(libc::EFBIG)?;
        match mode & !KEEP_SIZE {
            0 => {}
            PUNCH_HOLE if mode & KEEP_SIZE != 0 => contents.clear(offset, end),
            ZERO_RANGE => contents.clear(offset, end),
            _ => return Err(libc::EOPNOTSUPP),
        }
        if mode & KEEP_SIZE == 0 && end > contents.length() {
            contents.set_length(end);
        }
        inode.note_content(now);
        Ok(())
    }

    /// lseek(2).
    pub(crate) fn seek(&self, file: &mut OpenFile, offset: i64, whence: i32) -> Answer<u64> {
        let inode = self.opened(file)?;
        let length = match &inode.kind {
            Kind::File(contents) => contents.length(),
            Kind::Directory(_) if (offset, whence) == (0, libc::SEEK_SET) => 0,
            _ => return Err(libc::EINVAL),
        };
        let from = match whence {
            libc::SEEK_SET => 0,
            libc::SEEK_CUR => file.cursor as i64,
            libc::SEEK_END => length as i64,
            #[cfg(any(
                target_os = "linux",
                target_os = "android",
                target_os = "freebsd",
                target_vendor = "apple"
            ))]
            libc::SEEK_DATA | libc::SEEK_HOLE => {
                let Kind::File(contents) = &inode.kind else { return Err(libc::EINVAL) };
                let at = u64::try_from(offset).ok().filter(|at| *at < length).ok_or(libc::ENXIO)?;
                let found = contents.next(at, whence == libc::SEEK_DATA).ok_or(libc::ENXIO)?;
                file.cursor = found;
                return Ok(found);
            }
            _ => return Err(libc::EINVAL),
        };
        let to = from.checked_add(offset).and_then(|to| u64::try_from(to).ok()).ok_or(libc::EINVAL)?;
        file.cursor = to;
        Ok(to)
    }
}

/// Of all that file systems keep, this one keeps what users may name.
fn check_name(name: &[u8]) -> Answer<()> {
    match name {
        name if name.len() > NAME_MAX => Err(libc::ERANGE),
        name if name.starts_with(b"user.") && name.len() > 5 => Ok(()),
        name if name.contains(&b'.') => Err(libc::EOPNOTSUPP),
        _ => Err(libc::EOPNOTSUPP),
    }
}
