//! Messages: recvmsg(2) and sendmsg(2), and many of them with one call.
//!
//! What the kernel reads and writes besides the payload lies together in one box, so that it stays where it is while
//! whoever owns it is moved about (I1).
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use socket2::{SockAddr, SockAddrStorage};

use super::answer;
#[cfg(feature = "sim")]
use super::control::Facts;
use super::control::{Ancillary, Control};
use super::socket::QUIET;

mod batch;
mod packed;

pub(crate) use batch::{Batch, receive_many, send_many};
pub(crate) use packed::{Asked, FRONT, pack, receive_packed, unpack};

/// What is received is close-on-exec from the first.
#[cfg(not(target_vendor = "apple"))]
pub(crate) const RECEIVE: i32 = libc::MSG_CMSG_CLOEXEC;
#[cfg(target_vendor = "apple")]
pub(crate) const RECEIVE: i32 = 0;

/// A message's header, the name that goes with it, its parts, and its control data.
///
/// The header is the first of it, so that a pointer to the one is a pointer to the other.
#[repr(C)]
pub(crate) struct Envelope {
    header: libc::msghdr,
    name: SockAddrStorage,
    name_length: libc::socklen_t,
    vectors: Vec<libc::iovec>,
    control: Control,
}

impl Envelope {
    pub(crate) fn new() -> Envelope {
        Envelope {
            // SAFETY: plain numbers and pointers: all zeroes is a value, "nothing".
            header: unsafe { MaybeUninit::zeroed().assume_init() },
            name: SockAddrStorage::zeroed(),
            name_length: 0,
            vectors: Vec::new(),
            control: Control::default(),
        }
    }

    /// To receive: whether to ask for the sender's name, and how much room there is for control data.
    pub(crate) fn expect(&mut self, name: bool, control_bytes: usize) {
        self.name_length = if name { self.name.size_of() } else { 0 };
        self.control.make_room(control_bytes);
    }

    /// To send: where to, and what goes with it.
    pub(crate) fn address(&mut self, to: Option<&SockAddr>, ancillary: &Ancillary) {
        self.name_length = 0;
        if let Some(to) = to {
            self.name = to.clone().as_storage();
            self.name_length = to.len();
        }
        self.control.write(ancillary, to.and_then(is_v4));
    }

    /// Whether it is worth while to keep it for the next message.
    pub(crate) fn is_small(&self) -> bool {
        const BYTES_MAX: usize = 4096;
        let of_vectors = self.vectors.capacity() * size_of::<libc::iovec>();
        self.control.capacity() <= BYTES_MAX && of_vectors <= BYTES_MAX
    }

    pub(crate) fn vectors(&self) -> &[libc::iovec] {
        &self.vectors
    }

    pub(crate) fn vectors_mut(&mut self) -> &mut Vec<libc::iovec> {
        &mut self.vectors
    }

    /// Has the header say what the rest of it is: before each call, for a call writes to it.
    #[allow(clippy::unnecessary_cast, reason = "the widths differ from one system to the next")]
    pub(crate) fn prepare(&mut self) {
        let header = &mut self.header;
        header.msg_name =
            if self.name_length == 0 { std::ptr::null_mut() } else { (&raw mut self.name).cast() };
        header.msg_namelen = self.name_length;
        header.msg_iov = self.vectors.as_mut_ptr();
        header.msg_iovlen = self.vectors.len() as _;
        header.msg_control = match self.control.length() {
            0 => std::ptr::null_mut(),
            _ => self.control.pointer().cast(),
        };
        header.msg_controllen = self.control.length() as _;
        header.msg_flags = 0;
    }

    /// What a call wrote to a copy of the header.
    fn written(&mut self, header: &libc::msghdr) {
        self.header.msg_namelen = header.msg_namelen;
        self.header.msg_controllen = header.msg_controllen;
        self.header.msg_flags = header.msg_flags;
    }

    /// Who sent what was received, if it was asked for and has a name to be told by.
    pub(crate) fn sender(&self) -> Option<SockAddr> {
        let length = self.header.msg_namelen.min(self.name_length);
        // SAFETY: as long as the kernel says that it is, within the storage.
        (length > 0).then(|| unsafe { SockAddr::new(clone(&self.name), length) })
    }

    /// Takes the control data of what was received.
    ///
    /// # Safety
    /// A receive has just succeeded, and this was not asked since.
    pub(crate) unsafe fn take_control(&mut self) -> Ancillary {
        #[allow(clippy::unnecessary_cast, reason = "its width differs from one system to the next")]
        self.control.cut(self.header.msg_controllen as usize);
        // SAFETY: passed on to the caller.
        let ancillary = unsafe { self.control.read() };
        self.control.cut(0);
        ancillary
    }

    /// What became of the message: MSG_TRUNC, MSG_CTRUNC.
    pub(crate) fn flags(&self) -> i32 {
        self.header.msg_flags
    }
}

/// The simulated kernel's side of it.
#[cfg(feature = "sim")]
impl Envelope {
    /// Where it is to be sent to.
    pub(crate) fn receiver(&self) -> Option<SockAddr> {
        // SAFETY: as `address` has it.
        (self.name_length > 0).then(|| unsafe { SockAddr::new(clone(&self.name), self.name_length) })
    }

    /// Plain data that is to be sent with it.
    pub(crate) fn sent(&mut self) -> Facts {
        // SAFETY: `address` has written it. Descriptors are not in it: who sends those to a simulated socket was refused.
        unsafe { self.control.read() }.facts()
    }

    /// What is received with the bytes: who sent them, what is told of them, and whether there was too little room.
    pub(crate) fn receive(&mut self, from: Option<&SockAddr>, facts: Facts, is_cut: bool) {
        self.header.msg_namelen = 0;
        if let Some(from) = from.filter(|_| self.name_length > 0) {
            self.name = from.clone().as_storage();
            self.header.msg_namelen = from.len();
        }
        self.header.msg_flags = if is_cut { libc::MSG_TRUNC } else { 0 };
        let room = self.control.length();
        self.control.write(&Ancillary::of(facts), from.and_then(is_v4));
        facts.timestamp.into_iter().for_each(|at| self.control.write_timestamp(at));
        if self.control.length() > room {
            self.header.msg_flags |= libc::MSG_CTRUNC;
            self.control.cut(0);
        }
        #[allow(clippy::unnecessary_cast, reason = "its width differs from one system to the next")]
        let length = self.control.length() as _;
        self.header.msg_controllen = length;
    }
}

fn clone(storage: &SockAddrStorage) -> SockAddrStorage {
    // SAFETY: plain bytes.
    unsafe { std::ptr::read(storage) }
}

/// Whether the network's IPv4 takes it there: also the addresses of IPv6 that say so.
fn is_v4(name: &SockAddr) -> Option<bool> {
    name.as_socket().map(|address| address.ip().to_canonical().is_ipv4())
}

/// recvmsg(2).
///
/// # Safety
/// The envelope, and the memory that its parts name, may be written until the call returns.
pub(crate) unsafe fn receive(fd: RawFd, envelope: *mut Envelope, flags: i32) -> i32 {
    // SAFETY: passed on to the caller.
    unsafe {
        (*envelope).prepare();
        answer(libc::recvmsg(fd, &raw mut (*envelope).header, flags | RECEIVE | libc::MSG_DONTWAIT))
    }
}

/// sendmsg(2).
///
/// # Safety
/// The envelope, and the memory that its parts name, may be read until the call returns.
pub(crate) unsafe fn send(fd: RawFd, envelope: *mut Envelope, flags: i32) -> i32 {
    // SAFETY: passed on to the caller.
    unsafe {
        (*envelope).prepare();
        answer(libc::sendmsg(fd, &raw const (*envelope).header, flags | QUIET))
    }
}
