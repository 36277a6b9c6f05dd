//! Calls on names. Each path is walked from a directory that is open, or from the working directory: AT_FDCWD.
#![allow(unsafe_code)]

use std::os::fd::RawFd;

use super::{answer, offsets};

/// A C string.
pub(crate) type Path = *const libc::c_char;

/// openat(2), close-on-exec.
///
/// # Safety
/// `path` is a C string until the call returns.
pub(crate) unsafe fn open(from: RawFd, path: Path, flags: i32, mode: u32) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe { offsets::openat(from, path, flags | libc::O_CLOEXEC, mode as libc::c_uint) } as isize)
}

/// What openat2(2) is asked for.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    pub(crate) flags: u64,
    pub(crate) mode: u64,
    pub(crate) resolve: u64,
}

/// "The walk does not leave the directory." openat2(2)
pub(crate) const RESOLVE_BENEATH: u64 = 0x08;

/// openat2(2), Linux 5.6.
///
/// # Safety
/// `path` is a C string and `how` may be read, both until the call returns.
#[cfg(target_os = "linux")]
pub(crate) unsafe fn open_how(from: RawFd, path: Path, how: *const How) -> i32 {
    // SAFETY: the caller's promise.
    let mut how = unsafe { how.read() };
    // 32-bit kernels would refuse files of more than 2 GiB. With O_PATH nothing else may be asked for.
    if cfg!(target_pointer_width = "32") && how.flags & libc::O_PATH as u64 == 0 {
        how.flags |= libc::O_LARGEFILE as u64;
    }
    // SAFETY: passed on to the caller; the words are on this stack.
    answer(unsafe { libc::syscall(libc::SYS_openat2, from, path, &raw const how, size_of::<How>()) } as isize)
}

/// There is no such call here.
///
/// # Safety
/// None is needed.
#[cfg(not(target_os = "linux"))]
pub(crate) unsafe fn open_how(_: RawFd, _: Path, _: *const How) -> i32 {
    -libc::ENOSYS
}

/// unlinkat(2): a directory with AT_REMOVEDIR.
///
/// # Safety
/// `path` is a C string until the call returns.
pub(crate) unsafe fn unlink(from: RawFd, path: Path, flags: i32) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe { libc::unlinkat(from, path, flags) } as isize)
}

/// mkdirat(2).
///
/// # Safety
/// `path` is a C string until the call returns.
pub(crate) unsafe fn mkdir(from: RawFd, path: Path, mode: u32) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe { libc::mkdirat(from, path, mode as libc::mode_t) } as isize)
}

/// "Where there is nothing yet." renameat2(2)
pub(crate) const NOREPLACE: u32 = 1;
/// "Each gets the name of the other." renameat2(2)
pub(crate) const EXCHANGE: u32 = 2;

/// renameat(2), or renameat2(2) if flags are asked for, which is Linux's.
///
/// # Safety
/// The paths are C strings until the call returns.
pub(crate) unsafe fn rename((from, old): (RawFd, Path), (to, new): (RawFd, Path), flags: u32) -> i32 {
    if flags == 0 {
        // SAFETY: passed on to the caller.
        return answer(unsafe { libc::renameat(from, old, to, new) } as isize);
    }
    #[cfg(target_os = "linux")]
    // SAFETY: passed on to the caller.
    return answer(unsafe { libc::syscall(libc::SYS_renameat2, from, old, to, new, flags) } as isize);
    #[cfg(not(target_os = "linux"))]
    -libc::ENOSYS
}

/// linkat(2): AT_SYMLINK_FOLLOW, or none.
///
/// # Safety
/// The paths are C strings until the call returns.
pub(crate) unsafe fn link((from, old): (RawFd, Path), (to, new): (RawFd, Path), flags: i32) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe { libc::linkat(from, old, to, new, flags) } as isize)
}

/// symlinkat(2).
///
/// # Safety
/// The paths are C strings until the call returns.
pub(crate) unsafe fn symlink(target: Path, from: RawFd, path: Path) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe { libc::symlinkat(target, from, path) } as isize)
}

/// readlinkat(2): how many bytes the target has, at most `length`.
///
/// # Safety
/// `path` is a C string, and `length` bytes from `place` may be written, both until the call returns.
pub(crate) unsafe fn read_link(from: RawFd, path: Path, place: *mut u8, length: usize) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe { libc::readlinkat(from, path, place.cast(), length) })
}

/// The longest path, with the zero at its end.
pub(crate) const PATH_MAX: usize = libc::PATH_MAX as usize;

/// realpath(3), which makes several calls: how long the path is.
///
/// # Safety
/// `path` is a C string, and PATH_MAX bytes from `place` may be written, both until the call returns.
pub(crate) unsafe fn real_path(path: Path, place: *mut u8) -> i32 {
    // SAFETY: passed on to the caller; it writes a C string of at most PATH_MAX bytes.
    unsafe {
        match libc::realpath(path, place.cast()).is_null() {
            true => answer(-1),
            false => libc::strlen(place.cast()) as i32,
        }
    }
}

/// fchmodat(2) of a path, or fchmod(2) of the descriptor itself where the path is empty.
///
/// # Safety
/// `path` is a C string until the call returns.
pub(crate) unsafe fn set_mode(fd: RawFd, path: Path, mode: u32) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe {
        match *path {
            0 if fd >= 0 => libc::fchmod(fd, mode as libc::mode_t),
            _ => libc::fchmodat(fd, path, mode as libc::mode_t, 0),
        }
    } as isize)
}

/// fchownat(2) of a path, or fchown(2) of the descriptor itself where the path is empty. u32::MAX leaves user or group alone.
///
/// # Safety
/// `path` is a C string until the call returns.
pub(crate) unsafe fn set_owner(fd: RawFd, path: Path, (user, group): (u32, u32), flags: i32) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe {
        match *path {
            0 if fd >= 0 => libc::fchown(fd, user, group),
            _ => libc::fchownat(fd, path, user, group, flags),
        }
    } as isize)
}

/// A time in seconds and nanoseconds since 1970; None leaves it as it is.
pub(crate) type Stamp = Option<(i64, u32)>;

/// utimensat(2) of a path, or futimens(2) of the descriptor itself where the path is empty.
///
/// # Safety
/// `path` is a C string until the call returns.
pub(crate) unsafe fn set_times(fd: RawFd, path: Path, times: [Stamp; 2], flags: i32) -> i32 {
    let times = times.map(|stamp| {
        // SAFETY: plain numbers: all zeroes is a value.
        let mut time: libc::timespec = unsafe { std::mem::zeroed() };
        match stamp {
            Some((seconds, nanoseconds)) => {
                time.tv_sec = seconds as _;
                time.tv_nsec = nanoseconds as _;
            }
            None => time.tv_nsec = libc::UTIME_OMIT,
        }
        time
    });
    // SAFETY: two times on this stack; the path is the caller's promise.
    answer(unsafe {
        match *path {
            0 if fd >= 0 => libc::futimens(fd, times.as_ptr()),
            _ => libc::utimensat(fd, path, times.as_ptr(), flags),
        }
    } as isize)
}

/// getdents64(2): names of an open directory from its cursor on, as `Names` reads them; 0 is the end.
///
/// # Safety
/// `length` bytes from `place` may be written until the call returns.
#[cfg(target_os = "linux")]
pub(crate) unsafe fn read_names(fd: RawFd, place: *mut u8, length: usize, _first: u64) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe { libc::syscall(libc::SYS_getdents64, fd, place, length) } as isize)
}

/// The same by readdir(3): from the entry of that number on, in the same form. So the directory is read again up to there.
///
/// # Safety
/// `length` bytes from `place` may be written until the call returns.
#[cfg(not(target_os = "linux"))]
pub(crate) unsafe fn read_names(fd: RawFd, place: *mut u8, length: usize, first: u64) -> i32 {
    // SAFETY: no memory is passed. closedir(3) closes the duplicate.
    let directory = unsafe { libc::fdopendir(libc::dup(fd)) };
    if directory.is_null() {
        return answer(-1);
    }
    let mut bytes = Vec::new();
    let mut at = 0;
    // SAFETY: it is open until closedir; an entry is read before the next is asked for, its name is a C string.
    unsafe {
        libc::rewinddir(directory);
        loop {
            let entry = libc::readdir(directory);
            if entry.is_null() {
                break;
            }
            at += 1;
            if at <= first {
                continue;
            }
            let name = std::ffi::CStr::from_ptr((*entry).d_name.as_ptr()).to_bytes();
            #[cfg(target_os = "freebsd")]
            let inode = (*entry).d_fileno;
            #[cfg(not(target_os = "freebsd"))]
            let inode = (*entry).d_ino;
            if !put_name(&mut bytes, length, name, inode as u64, (*entry).d_type) {
                break;
            }
        }
        libc::closedir(directory);
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
    }
    bytes.len() as i32
}

/// The names that getdents64(2) wrote, one after the other. In each entry: inode and offset of 8 bytes, the entry's length of
/// 2, the kind of 1, the name with a zero at its end.
pub(crate) struct Names<'a>(pub(crate) &'a [u8]);

const HEAD: usize = 19;

impl<'a> Iterator for Names<'a> {
    /// Name, inode, and kind as DT_ of readdir(3).
    type Item = (&'a [u8], u64, u8);

    fn next(&mut self) -> Option<Self::Item> {
        let inode = u64::from_ne_bytes(self.0.get(..8)?.try_into().ok()?);
        let length = usize::from(u16::from_ne_bytes(self.0.get(16..18)?.try_into().ok()?));
        let kind = *self.0.get(18)?;
        let name = self.0.get(HEAD..length)?;
        let end = name.iter().position(|byte| *byte == 0)?;
        self.0 = &self.0[length..];
        Some((&name[..end], inode, kind))
    }
}

/// Appends an entry as getdents64(2) does. False if there is no room for it.
#[cfg(any(feature = "sim", not(target_os = "linux")))]
pub(crate) fn put_name(bytes: &mut Vec<u8>, room: usize, name: &[u8], inode: u64, kind: u8) -> bool {
    let length = (HEAD + name.len() + 1).next_multiple_of(8);
    if bytes.len() + length > room {
        return false;
    }
    let end = bytes.len() + length;
    bytes.extend_from_slice(&inode.to_ne_bytes());
    bytes.extend_from_slice(&0_u64.to_ne_bytes());
    bytes.extend_from_slice(&(length as u16).to_ne_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(name);
    bytes.resize(end, 0);
    true
}
