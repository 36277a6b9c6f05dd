//! Messages that lie in one buffer with what is known of them in front: as the kernel packs them when it picks the buffer.
//!
//! `struct io_uring_recvmsg_out`, then room for a name, then the bytes.
//! <https://man7.org/linux/man-pages/man3/io_uring_prep_recvmsg_multishot.3.html>
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use socket2::{SockAddr, SockAddrStorage};

use crate::sys::answer;

#[repr(C)]
#[derive(Clone, Copy)]
struct Head {
    name_length: u32,
    control_length: u32,
    length: u32,
    flags: u32,
}

const NAME: usize = size_of::<SockAddrStorage>();

/// How many bytes of a buffer are in front of the message's own.
pub(crate) const FRONT: usize = size_of::<Head>() + NAME;

/// What the kernel reads of a request for such messages: how much room a name has.
pub(crate) struct Asked(libc::msghdr);

impl Asked {
    pub(crate) fn new() -> Box<Asked> {
        // SAFETY: plain numbers and pointers: all zeroes is a value, "nothing".
        let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        header.msg_namelen = NAME as libc::socklen_t;
        Box::new(Asked(header))
    }

    pub(crate) fn pointer(&mut self) -> *mut u8 {
        (&raw mut self.0).cast()
    }
}

/// recvmsg(2), packed as the kernel's ring does it.
///
/// # Safety
/// The buffer may be written until the call returns, and has more room than `FRONT`.
#[allow(clippy::unnecessary_cast, reason = "the widths differ from one system to the next")]
pub(crate) unsafe fn receive_packed(fd: RawFd, buffer: *mut u8, length: usize) -> i32 {
    // SAFETY: within the buffer, as the caller promises.
    let (name, bytes) = unsafe { (buffer.add(size_of::<Head>()), buffer.add(FRONT)) };
    let mut part = libc::iovec { iov_base: bytes.cast(), iov_len: length - FRONT };
    // SAFETY: as in `Asked::new`.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_name = name.cast();
    header.msg_namelen = NAME as libc::socklen_t;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    // SAFETY: what the header points to is the caller's, or on this stack.
    let count = answer(unsafe { libc::recvmsg(fd, &raw mut header, super::RECEIVE | libc::MSG_DONTWAIT) });
    if count < 0 {
        return count;
    }
    let head = Head {
        name_length: header.msg_namelen,
        control_length: 0,
        length: count as u32,
        flags: header.msg_flags as u32,
    };
    // SAFETY: within the buffer; it need not be aligned.
    unsafe { std::ptr::write_unaligned(buffer.cast(), head) };
    FRONT as i32 + count
}

/// What a packed message says of itself: who sent it, how many bytes it has, behind the front, and its flags. None if this is
/// none.
pub(crate) fn unpack(packed: &[u8]) -> Option<(Option<SockAddr>, usize, i32)> {
    let (front, bytes) = packed.split_at_checked(FRONT)?;
    // SAFETY: there are as many bytes, and any bytes are a value; they need not be aligned.
    let head = unsafe { std::ptr::read_unaligned(front.as_ptr().cast::<Head>()) };
    let length = (head.name_length as usize).min(NAME);
    let name = (length > 0).then(|| {
        let mut storage = SockAddrStorage::zeroed();
        // SAFETY: within both, of which the one is new.
        unsafe {
            std::ptr::copy_nonoverlapping(
                front.as_ptr().add(size_of::<Head>()),
                (&raw mut storage).cast(),
                length,
            );
            SockAddr::new(storage, length as libc::socklen_t)
        }
    });
    Some((name, (head.length as usize).min(bytes.len()), head.flags as i32))
}

/// Packs a message.
pub(crate) fn pack(name: Option<&SockAddr>, bytes: &[u8], flags: i32) -> Box<[u8]> {
    let name_length = name.map_or(0, SockAddr::len);
    let head = Head { name_length, control_length: 0, length: bytes.len() as u32, flags: flags as u32 };
    let mut packed = vec![0; FRONT + bytes.len()];
    // SAFETY: there is room for a head; it need not be aligned.
    unsafe { std::ptr::write_unaligned(packed.as_mut_ptr().cast(), head) };
    if let Some(name) = name {
        // SAFETY: a name is within its storage, for which there is room.
        unsafe {
            std::ptr::copy_nonoverlapping(
                name.as_ptr().cast::<u8>(),
                packed.as_mut_ptr().add(size_of::<Head>()),
                name_length as usize,
            );
        }
    }
    packed[FRONT..].copy_from_slice(bytes);
    packed.into()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::{FRONT, pack, unpack};

    #[test]
    fn what_is_packed_comes_out_again() {
        let name = socket2::SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 9)));
        let packed = pack(Some(&name), b"bytes", libc::MSG_TRUNC);
        let (from, length, flags) = unpack(&packed).unwrap();
        assert_eq!((from.unwrap().as_socket(), length, flags), (name.as_socket(), 5, libc::MSG_TRUNC));
        assert_eq!(&packed[FRONT..], b"bytes");
        assert!(unpack(&packed[..FRONT - 1]).is_none());
        assert!(unpack(&pack(None, b"", 0)).unwrap().0.is_none());
    }
}
