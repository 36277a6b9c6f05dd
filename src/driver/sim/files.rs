//! The system calls on files and their names.

use std::ffi::CStr;

use super::Answer;
use super::disk::{Target, Walk};
use super::kernel::{Kernel, in_numbers};
use super::process::Opened;
use crate::sys::file::Stat;
use crate::sys::names::{self, Stamp};

/// What a path is walked from, and the path.
type At<'p> = (i32, &'p CStr);

impl Kernel<'_> {
    fn walk<'p>(&mut self, (from, path): At<'p>) -> Answer<Walk<'p>> {
        let walk = Walk::from(path.to_bytes());
        if from == libc::AT_FDCWD {
            return Ok(walk);
        }
        // An absolute path has no need of it.
        match self.world.file(self.process, from) {
            Ok((file, _)) => Ok(walk.within(file.inode())),
            Err(_) if path.to_bytes().starts_with(b"/") => Ok(walk),
            Err(libc::EINVAL) => Err(libc::ENOTDIR),
            Err(error) => Err(error),
        }
    }

    fn disk(&mut self) -> &mut super::disk::Disk {
        &mut self.world.host_of(self.process).disk
    }

    pub(crate) fn open(&mut self, from: i32, path: &CStr, flags: i32, mode: u32) -> i32 {
        let walk = self.walk((from, path));
        in_numbers(walk.and_then(|walk| self.try_open(walk, flags, mode)))
    }

    pub(crate) fn open_beneath(&mut self, from: i32, path: &CStr, flags: i32, mode: u32) -> i32 {
        let walk = self.walk((from, path));
        in_numbers(walk.and_then(|walk| self.try_open(walk.beneath(), flags, mode)))
    }

    fn try_open(&mut self, walk: Walk<'_>, flags: i32, mode: u32) -> Answer<i32> {
        self.fault(-1, libc::EMFILE, |faults| faults.descriptors)?;
        self.name_fault(flags & libc::O_CREAT != 0)?;
        let now = self.world.wall();
        let file = self.disk().open(walk, flags, mode, now)?;
        Ok(self.world.process(self.process).install(Opened::File(file)))
    }

    /// A call that gives or takes a name.
    fn on_names(&mut self, makes: bool, call: impl FnOnce(&mut Self, u64) -> Answer<()>) -> i32 {
        let now = self.world.wall();
        in_numbers(self.name_fault(makes).and_then(|()| call(self, now)).map(|()| 0))
    }

    pub(crate) fn make_directory(&mut self, from: i32, path: &CStr, mode: u32) -> i32 {
        self.on_names(true, |kernel, now| {
            let walk = kernel.walk((from, path))?;
            kernel.disk().make_directory(walk, mode, now)
        })
    }

    pub(crate) fn rename(&mut self, old: At<'_>, new: At<'_>, flags: u32) -> i32 {
        self.on_names(false, |kernel, now| {
            let (old, new) = (kernel.walk(old)?, kernel.walk(new)?);
            kernel.disk().rename(old, new, flags, now)
        })
    }

    pub(crate) fn unlink(&mut self, from: i32, path: &CStr, flags: i32) -> i32 {
        self.on_names(false, |kernel, now| {
            let walk = kernel.walk((from, path))?;
            kernel.disk().unlink(walk, flags, now)
        })
    }

    pub(crate) fn link(&mut self, old: At<'_>, new: At<'_>) -> i32 {
        self.on_names(true, |kernel, now| {
            let (old, new) = (kernel.walk(old)?, kernel.walk(new)?);
            kernel.disk().link(old, new, now)
        })
    }

    /// A name for a file that is open.
    pub(crate) fn link_open(&mut self, number: i32, new: At<'_>) -> i32 {
        self.on_names(true, |kernel, now| {
            let new = kernel.walk(new)?;
            let (file, disk) = kernel.world.file(kernel.process, number)?;
            disk.link_inode(file.inode(), new, now)
        })
    }

    pub(crate) fn make_link(&mut self, target: &CStr, from: i32, path: &CStr) -> i32 {
        self.on_names(true, |kernel, now| {
            let walk = kernel.walk((from, path))?;
            kernel.disk().make_link(target.to_bytes(), walk, now)
        })
    }

    pub(crate) fn read_link(&mut self, from: i32, path: &CStr) -> i32 {
        let target = self.walk((from, path)).and_then(|walk| self.disk().read_link(walk));
        self.told(target, true)
    }

    pub(crate) fn real_path(&mut self, from: i32, path: &CStr) -> i32 {
        let found = self.walk((from, path)).and_then(|walk| self.disk().real_path(walk));
        self.told(found, false)
    }

    /// Writes an answer where the operation wants it. Too long, it is cut off, or ERANGE.
    fn told(&mut self, answer: Answer<Vec<u8>>, may_be_cut: bool) -> i32 {
        let room = self.memory.len();
        match answer {
            // Asked without room, the length alone is told.
            Ok(bytes) if room == 0 => bytes.len() as i32,
            Ok(bytes) if bytes.len() > room && !may_be_cut => -libc::ERANGE,
            Ok(bytes) => {
                let told = &bytes[..bytes.len().min(room)];
                self.memory.fill(told);
                told.len() as i32
            }
            Err(error) => -error,
        }
    }

    /// Names of an open directory, in the form of getdents64(2).
    pub(crate) fn read_names(&mut self, number: i32) -> i32 {
        let (now, room) = (self.world.wall(), self.memory.len());
        let mut bytes = Vec::new();
        let read = self.disk_fault(number).and_then(|()| {
            let (file, disk) = self.world.file(self.process, number)?;
            let mut is_short = false;
            disk.read_names(file, now, |name, inode, kind| {
                let has_room = names::put_name(&mut bytes, room, name, inode, (kind >> 12) as u8);
                is_short |= !has_room;
                has_room
            })?;
            // No room for a single one.
            if is_short && bytes.is_empty() { Err(libc::EINVAL) } else { Ok(()) }
        });
        self.told(read.map(|()| bytes), false)
    }

    /// Of a path, or of the descriptor where the path is empty. An error is negated.
    pub(crate) fn stat(&mut self, number: i32, path: &CStr, flags: i32) -> Result<Stat, i32> {
        let found = match path.is_empty() {
            true if number < 0 => Err(libc::ENOENT),
            false => {
                let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
                self.walk((number, path)).and_then(|walk| self.disk().stat_path(walk, follow))
            }
            true => match self.world.file(self.process, number) {
                Ok((file, disk)) => Ok(disk.stat_open(file)),
                // A socket or a pipe: there is nothing to know but its kind.
                Err(libc::EINVAL) => {
                    #[allow(
                        clippy::unnecessary_cast,
                        reason = "its width differs from one system to the next"
                    )]
                    let mode = libc::S_IFSOCK as u32 | 0o777;
                    Ok(Stat { mode, links: 1, ..Stat::default() })
                }
                Err(error) => Err(error),
            },
        };
        found.map_err(|error| -error)
    }

    /// A call about an open file, or about a path where that is not empty.
    fn on_subject(
        &mut self,
        (number, path): At<'_>,
        follow: bool,
        call: impl FnOnce(&mut super::disk::Disk, Target<'_>, u64) -> Answer<()>,
    ) -> i32 {
        let now = self.world.wall();
        in_numbers(self.aimed((number, path), follow, |disk, target| call(disk, target, now)).map(|()| 0))
    }

    /// A question about an open file, or about what a path leads to.
    fn about<T>(
        &mut self,
        at: At<'_>,
        ask: impl FnOnce(&mut super::disk::Disk, Target<'_>) -> Answer<T>,
    ) -> Answer<T> {
        self.aimed(at, true, ask)
    }

    fn aimed<T>(
        &mut self,
        (number, path): At<'_>,
        follow: bool,
        call: impl FnOnce(&mut super::disk::Disk, Target<'_>) -> Answer<T>,
    ) -> Answer<T> {
        match path.is_empty() {
            true if number < 0 => Err(libc::ENOENT),
            true => {
                let (file, disk) = self.world.file(self.process, number)?;
                call(disk, Target::Open(file))
            }
            false => {
                let walk = self.walk((number, path))?;
                call(self.disk(), Target::Path(walk, follow))
            }
        }
    }

    pub(crate) fn set_mode(&mut self, number: i32, path: &CStr, mode: u32) -> i32 {
        self.on_subject((number, path), true, |disk, target, now| disk.set_mode(target, mode, now))
    }

    pub(crate) fn set_times(&mut self, number: i32, path: &CStr, times: [Stamp; 2], flags: i32) -> i32 {
        let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
        let times = times.map(|stamp| {
            stamp.map(|(seconds, nanoseconds)| seconds as u64 * 1_000_000_000 + u64::from(nanoseconds))
        });
        self.on_subject((number, path), follow, |disk, target, now| disk.set_times(target, times, now))
    }

    pub(crate) fn set_owner(&mut self, number: i32, path: &CStr, owner: [Option<u32>; 2], flags: i32) -> i32 {
        let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
        self.on_subject((number, path), follow, |disk, target, now| disk.set_owner(target, owner, now))
    }

    pub(crate) fn set_attribute(&mut self, at: At<'_>, name: &CStr, flags: i32) -> i32 {
        let value = self.memory.bytes(self.memory.len());
        self.on_subject(at, true, |disk, target, now| {
            disk.set_attribute(target, name.to_bytes(), &value, flags, now)
        })
    }

    pub(crate) fn remove_attribute(&mut self, at: At<'_>, name: &CStr) -> i32 {
        self.on_subject(at, true, |disk, target, now| disk.remove_attribute(target, name.to_bytes(), now))
    }

    pub(crate) fn attribute(&mut self, at: At<'_>, name: &CStr) -> i32 {
        let value =
            self.about(at, |disk, target| disk.attribute(target, name.to_bytes()).map(<[u8]>::to_vec));
        self.told(value, false)
    }

    pub(crate) fn attributes(&mut self, at: At<'_>) -> i32 {
        let names = self.about(at, |disk, target| disk.attributes(target));
        self.told(names, false)
    }

    /// A call on an open file that a disk may fail.
    fn on_file<T>(
        &mut self,
        number: i32,
        call: impl FnOnce(&mut super::disk::OpenFile, &mut super::disk::Disk, u64) -> Answer<T>,
    ) -> Answer<T> {
        let now = self.world.wall();
        self.disk_fault(number)?;
        let (file, disk) = self.world.file(self.process, number)?;
        call(file, disk, now)
    }

    pub(crate) fn sync(&mut self, number: i32, data_only: bool) -> i32 {
        in_numbers(self.on_file(number, |file, disk, _| disk.sync(file, data_only)).map(|()| 0))
    }

    pub(crate) fn truncate(&mut self, number: i32, length: u64) -> i32 {
        in_numbers(self.on_file(number, |file, disk, now| disk.truncate(file, length, now)).map(|()| 0))
    }

    pub(crate) fn allocate(&mut self, number: i32, mode: i32, offset: u64, length: u64) -> i32 {
        let done = self.fault(number, libc::ENOSPC, |faults| faults.disk_full).and_then(|()| {
            self.on_file(number, |file, disk, now| disk.allocate(file, mode, offset, length, now))
        });
        in_numbers(done.map(|()| 0))
    }

    pub(crate) fn seek(&mut self, number: i32, offset: i64, whence: i32) -> Answer<u64> {
        match self.world.file(self.process, number) {
            Ok((file, disk)) => disk.seek(file, offset, whence),
            Err(libc::EINVAL) => Err(libc::ESPIPE),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn lock(&mut self, number: i32, operation: i32) -> i32 {
        let locked = self.world.file(self.process, number);
        in_numbers(locked.and_then(|(file, disk)| disk.lock(file, operation)).map(|()| 0))
    }

    /// A simulated disk has no use for advice.
    pub(crate) fn advise(&mut self, number: i32) -> i32 {
        in_numbers(self.world.file(self.process, number).map(|_| 0))
    }

    pub(crate) fn copy_range(&mut self, from: (i32, u64), to: (i32, u64), length: usize) -> i32 {
        in_numbers(self.try_copy_range(from, to, length))
    }

    fn try_copy_range(&mut self, from: (i32, u64), to: (i32, u64), length: usize) -> Answer<i32> {
        self.disk_fault(to.0)?;
        self.fault(to.0, libc::ENOSPC, |faults| faults.disk_full)?;
        let length = self.shortened(to.0, length.min(1 << 20));
        let bytes = self.read_file(from.0, from.1, length)?;
        let now = self.world.wall();
        let (file, disk) = self.world.file(self.process, to.0)?;
        disk.write(file, Some(to.1), &bytes, now).map(|count| count as i32)
    }
}
