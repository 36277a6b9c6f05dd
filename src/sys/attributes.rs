//! Calls about the room that a file takes, what is known of it, and who holds it.
#![allow(unsafe_code)]

use std::os::fd::RawFd;

use super::{TRANSFER_MAX, answer, offsets};

/// lseek(2), whose answer may be greater than a completion can say: it is written to `place`.
///
/// # Safety
/// `place` may be written until the call returns.
pub(crate) unsafe fn seek(fd: RawFd, offset: i64, whence: i32, place: *mut u64) -> i32 {
    // SAFETY: no memory is passed.
    let at = unsafe { offsets::lseek(fd, offset as offsets::off_t, whence) };
    if at < 0 {
        return answer(-1);
    }
    // SAFETY: the caller's promise.
    unsafe { place.write(at as u64) };
    0
}

/// fallocate(2) with its modes, or posix_fallocate(2) where that is all there is.
#[cfg(target_os = "linux")]
pub(crate) fn allocate(fd: RawFd, mode: i32, offset: u64, length: u64) -> i32 {
    // SAFETY: no memory is passed.
    answer(unsafe { libc::fallocate64(fd, mode, offset as i64, length as i64) } as isize)
}

/// fallocate(2) with its modes, or posix_fallocate(2) where that is all there is.
#[cfg(target_os = "freebsd")]
pub(crate) fn allocate(fd: RawFd, mode: i32, offset: u64, length: u64) -> i32 {
    match mode {
        // SAFETY: no memory is passed. It gives the error itself.
        0 => -unsafe { libc::posix_fallocate(fd, offset as offsets::off_t, length as offsets::off_t) },
        _ => -libc::EOPNOTSUPP,
    }
}

/// There is no such call here.
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
pub(crate) fn allocate(_: RawFd, _: i32, _: u64, _: u64) -> i32 {
    -libc::EOPNOTSUPP
}

/// posix_fadvise(2). Where there is no such call the advice is not taken.
pub(crate) fn advise(fd: RawFd, offset: u64, length: u64, advice: i32) -> i32 {
    #[cfg(any(target_os = "linux", target_os = "freebsd"))]
    // SAFETY: no memory is passed. It gives the error itself.
    return -unsafe {
        offsets::posix_fadvise(fd, offset as offsets::off_t, length as offsets::off_t, advice)
    };
    #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
    {
        let _ = (fd, offset, length, advice);
        0
    }
}

/// sync_file_range(2), or all of the data where there is no such call.
pub(crate) fn sync_range(fd: RawFd, offset: u64, length: u64, flags: u32) -> i32 {
    #[cfg(target_os = "linux")]
    // SAFETY: no memory is passed.
    return answer(unsafe { libc::sync_file_range(fd, offset as i64, length as i64, flags) } as isize);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (offset, length, flags);
        super::file::sync(fd, true)
    }
}

/// copy_file_range(2): how many bytes were copied without coming up here.
pub(crate) fn copy_range((from, read_at): (RawFd, u64), (to, write_at): (RawFd, u64), length: usize) -> i32 {
    #[cfg(any(target_os = "linux", target_os = "freebsd"))]
    {
        let (mut read_at, mut write_at) = (read_at as offsets::off_t, write_at as offsets::off_t);
        // SAFETY: two offsets on this stack.
        answer(unsafe {
            libc::copy_file_range(from, &mut read_at, to, &mut write_at, length.min(TRANSFER_MAX), 0)
        })
    }
    #[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
    {
        let _ = (from, read_at, to, write_at, length.min(TRANSFER_MAX));
        -libc::ENOSYS
    }
}

/// flock(2).
pub(crate) fn lock(fd: RawFd, operation: i32) -> i32 {
    // SAFETY: no memory is passed.
    answer(unsafe { libc::flock(fd, operation) } as isize)
}

/// "There is no such attribute."
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) const NO_ATTRIBUTE: i32 = libc::ENODATA;
/// "There is no such attribute."
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) const NO_ATTRIBUTE: i32 = libc::ENOATTR;

/// fsetxattr(2).
///
/// # Safety
/// `name` is a C string and `length` bytes from `value` may be read, both until the call returns.
#[cfg(target_os = "linux")]
pub(crate) unsafe fn set_attribute(
    fd: RawFd,
    name: *const libc::c_char,
    value: *const u8,
    length: usize,
    flags: i32,
) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe { libc::fsetxattr(fd, name, value.cast(), length, flags) } as isize)
}

/// fgetxattr(2): how long the value is.
///
/// # Safety
/// `name` is a C string and `length` bytes from `place` may be written, both until the call returns.
#[cfg(target_os = "linux")]
pub(crate) unsafe fn attribute(fd: RawFd, name: *const libc::c_char, place: *mut u8, length: usize) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe { libc::fgetxattr(fd, name, place.cast(), length) })
}

/// setxattr(2): of what the path leads to.
///
/// # Safety
/// As `set_attribute`, and `path` is a C string as well.
#[cfg(target_os = "linux")]
pub(crate) unsafe fn set_attribute_at(
    path: *const libc::c_char,
    name: *const libc::c_char,
    value: *const u8,
    length: usize,
    flags: i32,
) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe { libc::setxattr(path, name, value.cast(), length, flags) } as isize)
}

/// getxattr(2): how long the value is, of what the path leads to.
///
/// # Safety
/// As `attribute`, and `path` is a C string as well.
#[cfg(target_os = "linux")]
pub(crate) unsafe fn attribute_at(
    path: *const libc::c_char,
    name: *const libc::c_char,
    place: *mut u8,
    length: usize,
) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe { libc::getxattr(path, name, place.cast(), length) })
}

/// listxattr(2), or flistxattr(2) of the descriptor where the path is empty: how long the list is.
///
/// # Safety
/// `path` is a C string and `length` bytes from `place` may be written, both until the call returns.
#[cfg(target_os = "linux")]
pub(crate) unsafe fn attributes(fd: RawFd, path: *const libc::c_char, place: *mut u8, length: usize) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe {
        match *path {
            0 if fd >= 0 => libc::flistxattr(fd, place.cast(), length),
            _ => libc::listxattr(path, place.cast(), length),
        }
    })
}

/// removexattr(2), or fremovexattr(2) of the descriptor where the path is empty.
///
/// # Safety
/// `path` and `name` are C strings until the call returns.
#[cfg(target_os = "linux")]
pub(crate) unsafe fn remove_attribute(
    fd: RawFd,
    path: *const libc::c_char,
    name: *const libc::c_char,
) -> i32 {
    // SAFETY: passed on to the caller.
    answer(unsafe {
        match *path {
            0 if fd >= 0 => libc::fremovexattr(fd, name),
            _ => libc::removexattr(path, name),
        }
    } as isize)
}

/// Attributes are asked for otherwise here, and not yet by this crate.
///
/// # Safety
/// None is needed.
#[cfg(not(target_os = "linux"))]
pub(crate) unsafe fn set_attribute(_: RawFd, _: *const libc::c_char, _: *const u8, _: usize, _: i32) -> i32 {
    -libc::EOPNOTSUPP
}

/// As above.
///
/// # Safety
/// None is needed.
#[cfg(not(target_os = "linux"))]
pub(crate) unsafe fn attribute(_: RawFd, _: *const libc::c_char, _: *mut u8, _: usize) -> i32 {
    -libc::EOPNOTSUPP
}

/// As above.
///
/// # Safety
/// None is needed.
#[cfg(not(target_os = "linux"))]
pub(crate) unsafe fn set_attribute_at(
    _: *const libc::c_char,
    _: *const libc::c_char,
    _: *const u8,
    _: usize,
    _: i32,
) -> i32 {
    -libc::EOPNOTSUPP
}

/// As above.
///
/// # Safety
/// None is needed.
#[cfg(not(target_os = "linux"))]
pub(crate) unsafe fn attribute_at(
    _: *const libc::c_char,
    _: *const libc::c_char,
    _: *mut u8,
    _: usize,
) -> i32 {
    -libc::EOPNOTSUPP
}

/// As above.
///
/// # Safety
/// None is needed.
#[cfg(not(target_os = "linux"))]
pub(crate) unsafe fn attributes(_: RawFd, _: *const libc::c_char, _: *mut u8, _: usize) -> i32 {
    -libc::EOPNOTSUPP
}

/// As above.
///
/// # Safety
/// None is needed.
#[cfg(not(target_os = "linux"))]
pub(crate) unsafe fn remove_attribute(_: RawFd, _: *const libc::c_char, _: *const libc::c_char) -> i32 {
    -libc::EOPNOTSUPP
}
