//! Calls on files and paths.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use super::{TRANSFER_MAX, answer, offsets};

/// An offset that means "where the file's own cursor stands".
pub(crate) const CURSOR: u64 = u64::MAX;

/// pread(2), or read(2) at the cursor.
///
/// # Safety
/// `length` bytes from `pointer` may be written until the call returns.
pub(crate) unsafe fn read(fd: RawFd, pointer: *mut u8, length: usize, offset: u64) -> i32 {
    let length = length.min(TRANSFER_MAX);
    // SAFETY: passed on to the caller.
    answer(unsafe {
        match offset {
            CURSOR => libc::read(fd, pointer.cast(), length),
            _ => offsets::pread(fd, pointer.cast(), length, offset as offsets::off_t),
        }
    })
}

/// preadv2(2) with RWF_NOWAIT, at an offset or at the cursor: what is in memory already, or -EAGAIN.
///
/// <https://man7.org/linux/man-pages/man2/preadv2.2.html>
///
/// # Safety
/// `length` bytes from `pointer` may be written until the call returns.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) unsafe fn read_at_once(fd: RawFd, pointer: *mut u8, length: usize, offset: u64) -> i32 {
    let vector = libc::iovec { iov_base: pointer.cast(), iov_len: length.min(TRANSFER_MAX) };
    // SAFETY: one entry on this stack; the memory is the caller's promise. CURSOR is -1, which means just that.
    answer(unsafe { offsets::preadv2(fd, &vector, 1, offset as offsets::off_t, libc::RWF_NOWAIT) })
}

/// There is no such call here: a helper reads.
///
/// # Safety
/// None is needed.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) unsafe fn read_at_once(_: RawFd, _: *mut u8, _: usize, _: u64) -> i32 {
    -libc::EAGAIN
}

/// Whether what is written goes to the end, wherever the cursor is. O_APPEND, open(2)
pub(crate) fn appends(fd: RawFd) -> bool {
    // SAFETY: no memory is passed.
    unsafe { libc::fcntl(fd, libc::F_GETFL) & libc::O_APPEND != 0 }
}

/// Whether a file is read and written past the page cache. O_DIRECT, open(2)
pub(crate) fn is_direct(fd: RawFd) -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: no memory is passed.
    return unsafe { libc::fcntl(fd, libc::F_GETFL) } & libc::O_DIRECT != 0;
    #[cfg(not(target_os = "linux"))]
    {
        let _ = fd;
        false
    }
}

/// pwrite(2), or write(2) at the cursor.
///
/// # Safety
/// `length` bytes from `pointer` may be read until the call returns.
pub(crate) unsafe fn write(fd: RawFd, pointer: *const u8, length: usize, offset: u64) -> i32 {
    let length = length.min(TRANSFER_MAX);
    // SAFETY: passed on to the caller.
    answer(unsafe {
        match offset {
            CURSOR => libc::write(fd, pointer.cast(), length),
            _ => offsets::pwrite(fd, pointer.cast(), length, offset as offsets::off_t),
        }
    })
}

/// preadv(2), or readv(2) at the cursor.
///
/// # Safety
/// `vectors` points to `count` entries, each of memory that may be written until the call returns.
pub(crate) unsafe fn readv(fd: RawFd, vectors: *const libc::iovec, count: u32, offset: u64) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe {
        match offset {
            CURSOR => libc::readv(fd, vectors, count as i32),
            _ => offsets::preadv(fd, vectors, count as i32, offset as offsets::off_t),
        }
    })
}

/// pwritev(2), or writev(2) at the cursor.
///
/// # Safety
/// `vectors` points to `count` entries, each of memory that may be read until the call returns.
pub(crate) unsafe fn writev(fd: RawFd, vectors: *const libc::iovec, count: u32, offset: u64) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe {
        match offset {
            CURSOR => libc::writev(fd, vectors, count as i32),
            _ => offsets::pwritev(fd, vectors, count as i32, offset as offsets::off_t),
        }
    })
}

/// fsync(2), or fdatasync(2) where there is one.
pub(crate) fn sync(fd: RawFd, data_only: bool) -> i32 {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    if data_only {
        // SAFETY: no memory is passed.
        return answer(unsafe { libc::fdatasync(fd) } as isize);
    }
    let _ = data_only;
    // SAFETY: no memory is passed.
    answer(unsafe { libc::fsync(fd) } as isize)
}

/// ftruncate(2).
pub(crate) fn truncate(fd: RawFd, length: u64) -> i32 {
    // SAFETY: no memory is passed.
    answer(unsafe { offsets::ftruncate(fd, length as offsets::off_t) } as isize)
}

/// What a file system says of a file, in words that every Unix has. Times are seconds and nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stat {
    pub(crate) mode: u32,
    pub(crate) length: u64,
    pub(crate) blocks: u64,
    pub(crate) inode: u64,
    pub(crate) device: u64,
    pub(crate) links: u64,
    /// Of a device: its number.
    pub(crate) represents: u64,
    /// What transfers are best multiples of.
    pub(crate) block: u32,
    pub(crate) user: u32,
    pub(crate) group: u32,
    pub(crate) accessed: (i64, u32),
    pub(crate) modified: (i64, u32),
    pub(crate) changed: (i64, u32),
    /// Not every file system keeps it.
    pub(crate) created: Option<(i64, u32)>,
    /// What O_DIRECT wants buffers and offsets to be aligned to, where that is told.
    pub(crate) direct_io: Option<(u32, u32)>,
}

/// Where an answer of the kernel about a file is written: the kernel's own structure, on the heap.
#[cfg(target_os = "linux")]
pub(crate) type RawStat = libc::statx;
/// Where an answer of the kernel about a file is written: the kernel's own structure, on the heap.
#[cfg(not(target_os = "linux"))]
pub(crate) type RawStat = libc::stat;

/// statx(2): of a path, or of the descriptor itself where the path is empty. `flags` are AT_ flags.
///
/// # Safety
/// `path` is a C string and `place` may be written, both until the call returns.
#[cfg(target_os = "linux")]
pub(crate) unsafe fn stat(fd: RawFd, path: *const libc::c_char, flags: i32, place: *mut RawStat) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe { libc::statx(fd, path, flags, STATX_MASK, place) } as isize)
}

/// fstat(2) where the path is empty, fstatat(2) otherwise. `flags` are AT_ flags.
///
/// # Safety
/// `path` is a C string and `place` may be written, both until the call returns.
#[cfg(not(target_os = "linux"))]
pub(crate) unsafe fn stat(fd: RawFd, path: *const libc::c_char, flags: i32, place: *mut RawStat) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe {
        match CStr::from_ptr(path).is_empty() {
            true => libc::fstat(fd, place),
            false => libc::fstatat(fd, path, place, flags),
        }
    } as isize)
}

/// The basic fields, the time of birth, and how direct transfers are to be aligned (Linux 6.1).
#[cfg(target_os = "linux")]
pub(crate) const STATX_MASK: u32 = libc::STATX_BASIC_STATS | libc::STATX_BTIME | libc::STATX_DIOALIGN;
/// "The path may be empty: the descriptor itself is meant."
#[cfg(target_os = "linux")]
pub(crate) const EMPTY_PATH: i32 = libc::AT_EMPTY_PATH;
/// "The path may be empty: the descriptor itself is meant."
#[cfg(not(target_os = "linux"))]
pub(crate) const EMPTY_PATH: i32 = 0;

impl Stat {
    /// A place for the kernel's answer, zeroed, so that reading it is always sound.
    pub(crate) fn place() -> Box<MaybeUninit<RawStat>> {
        Box::new(MaybeUninit::zeroed())
    }

    /// Writes it as the kernel would; what a completion of statx(2) says then.
    ///
    /// # Safety
    /// `place` may be written.
    #[cfg(feature = "sim")]
    #[allow(clippy::unnecessary_cast, reason = "the widths differ from one system to the next")]
    pub(crate) unsafe fn to_place(self, place: *mut RawStat) -> i32 {
        // SAFETY: plain numbers: all zeroes is a value.
        let mut raw: RawStat = unsafe { std::mem::zeroed() };
        #[cfg(target_os = "linux")]
        {
            let time = |(seconds, nanoseconds): (i64, u32)| {
                // SAFETY: as above.
                let mut stamp: libc::statx_timestamp = unsafe { std::mem::zeroed() };
                (stamp.tv_sec, stamp.tv_nsec) = (seconds, nanoseconds);
                stamp
            };
            raw.stx_mask = libc::STATX_BASIC_STATS | libc::STATX_BTIME;
            raw.stx_mode = self.mode as u16;
            raw.stx_size = self.length;
            raw.stx_blocks = self.blocks;
            raw.stx_ino = self.inode;
            raw.stx_dev_major = libc::major(self.device);
            raw.stx_dev_minor = libc::minor(self.device);
            raw.stx_nlink = self.links as u32;
            raw.stx_blksize = self.block;
            (raw.stx_uid, raw.stx_gid) = (self.user, self.group);
            raw.stx_atime = time(self.accessed);
            raw.stx_mtime = time(self.modified);
            raw.stx_ctime = time(self.changed);
            raw.stx_btime = time(self.created.unwrap_or_default());
        }
        #[cfg(not(target_os = "linux"))]
        {
            raw.st_mode = self.mode as _;
            raw.st_size = self.length as _;
            raw.st_blocks = self.blocks as _;
            raw.st_ino = self.inode as _;
            raw.st_dev = self.device as _;
            raw.st_nlink = self.links as _;
            raw.st_blksize = self.block as _;
            (raw.st_uid, raw.st_gid) = (self.user, self.group);
            (raw.st_atime, raw.st_atime_nsec) = (self.accessed.0 as _, self.accessed.1 as _);
            (raw.st_mtime, raw.st_mtime_nsec) = (self.modified.0 as _, self.modified.1 as _);
            (raw.st_ctime, raw.st_ctime_nsec) = (self.changed.0 as _, self.changed.1 as _);
        }
        // SAFETY: the caller's promise.
        unsafe { place.write(raw) };
        0
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn from_place(place: &MaybeUninit<RawStat>) -> Stat {
        // SAFETY: plain numbers, zeroed by `place()`: any bit pattern is a value.
        let raw = unsafe { place.assume_init_ref() };
        let time = |stamp: &libc::statx_timestamp| (stamp.tv_sec, stamp.tv_nsec);
        Stat {
            mode: u32::from(raw.stx_mode),
            length: raw.stx_size,
            blocks: raw.stx_blocks,
            inode: raw.stx_ino,
            device: libc::makedev(raw.stx_dev_major, raw.stx_dev_minor),
            links: u64::from(raw.stx_nlink),
            represents: libc::makedev(raw.stx_rdev_major, raw.stx_rdev_minor),
            block: raw.stx_blksize,
            user: raw.stx_uid,
            group: raw.stx_gid,
            accessed: time(&raw.stx_atime),
            modified: time(&raw.stx_mtime),
            changed: time(&raw.stx_ctime),
            created: (raw.stx_mask & libc::STATX_BTIME != 0).then(|| time(&raw.stx_btime)),
            // Zeroes: there is no O_DIRECT.
            direct_io: (raw.stx_mask & libc::STATX_DIOALIGN != 0 && raw.stx_dio_offset_align != 0)
                .then_some((raw.stx_dio_mem_align, raw.stx_dio_offset_align)),
        }
    }

    #[cfg(not(target_os = "linux"))]
    #[allow(
        clippy::unnecessary_cast,
        reason = "the widths of these fields differ from one system to the next"
    )]
    pub(crate) fn from_place(place: &MaybeUninit<RawStat>) -> Stat {
        // SAFETY: plain numbers, zeroed by `place()`: any bit pattern is a value.
        let raw = unsafe { place.assume_init_ref() };
        Stat {
            mode: raw.st_mode as u32,
            length: raw.st_size as u64,
            blocks: raw.st_blocks as u64,
            inode: raw.st_ino as u64,
            device: raw.st_dev as u64,
            links: raw.st_nlink as u64,
            represents: raw.st_rdev as u64,
            block: raw.st_blksize as u32,
            user: raw.st_uid,
            group: raw.st_gid,
            accessed: (raw.st_atime as i64, raw.st_atime_nsec as u32),
            modified: (raw.st_mtime as i64, raw.st_mtime_nsec as u32),
            changed: (raw.st_ctime as i64, raw.st_ctime_nsec as u32),
            created: None,
            direct_io: None,
        }
    }
}

/// The empty path, for calls about a descriptor itself.
pub(crate) const NO_PATH: &CStr = c"";
