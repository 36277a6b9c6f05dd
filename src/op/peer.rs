//! Where the kernel writes who has connected.
#![allow(unsafe_code)]

use socket2::{SockAddr, SockAddrStorage};

use crate::driver::Port;

/// Room for one name, on the heap: the kernel writes to it when it answers. Only where asking for the name afterwards
/// is dear.
pub(super) struct PeerRoom(Option<Box<Room>>);

struct Room {
    name: SockAddrStorage,
    length: libc::socklen_t,
}

impl PeerRoom {
    pub(super) fn of(port: &Port) -> PeerRoom {
        PeerRoom(port.accepts_directly().then(|| {
            let name = SockAddrStorage::zeroed();
            let length = name.size_of();
            Box::new(Room { name, length })
        }))
    }

    /// Where the name goes, and its length.
    pub(super) fn pointers(&mut self) -> (*mut u8, *mut u8) {
        match &mut self.0 {
            None => (std::ptr::null_mut(), std::ptr::null_mut()),
            Some(room) => {
                room.length = room.name.size_of();
                ((&raw mut room.name).cast(), (&raw mut room.length).cast())
            }
        }
    }

    /// What was written, if anything.
    pub(super) fn take(&mut self) -> Option<SockAddr> {
        let room = self.0.as_mut()?;
        let length = room.length;
        let name = std::mem::replace(&mut room.name, SockAddrStorage::zeroed());
        // SAFETY: all zeroes, or written by the kernel, which says how much of it.
        let name = unsafe { SockAddr::new(name, length) };
        (name.family() != 0).then_some(name)
    }
}
