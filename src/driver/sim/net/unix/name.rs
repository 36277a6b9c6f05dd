//! What Unix sockets are called, and who is found by which name: one at most, on the same host.

use std::collections::BTreeMap;

use super::Unix;
use crate::driver::sim::net::{Address, Answer, HostId, Moment, Network, SocketId, UnixName};

/// What a name is found by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Inode(u64),
    /// Sockets of different kinds do not see each other's names.
    Abstract(i32, Vec<u8>),
}

/// Which socket has which name.
#[derive(Default)]
pub(in crate::driver::sim::net) struct Names(BTreeMap<(HostId, Key), SocketId>);

impl Key {
    fn of(kind: i32, name: &UnixName) -> Option<Key> {
        match name {
            UnixName::Unnamed => None,
            UnixName::Path { inode, .. } => Some(Key::Inode(*inode)),
            UnixName::Abstract(name) => Some(Key::Abstract(kind, name.clone())),
        }
    }
}

impl Names {
    #[cfg(test)]
    pub(in crate::driver::sim::net) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(in crate::driver::sim::net) fn forget(&mut self, id: SocketId, unix: &Unix) {
        if let Some(key) = Key::of(unix.kind, &unix.name) {
            let key = (unix.base.host, key);
            // Those that were accepted are called as their listener is, but cannot be found.
            if self.0.get(&key) == Some(&id) {
                self.0.remove(&key);
            }
        }
    }
}

impl Network {
    pub(in crate::driver::sim::net) fn bind_unix(
        &mut self,
        moment: &mut Moment,
        id: SocketId,
        address: &Address,
    ) -> Answer<()> {
        let Address::Unix(name) = address else { return Err(libc::EINVAL) };
        let unix = self.unix(id).ok_or(libc::EBADF)?;
        let (host, kind, is_named) = (unix.base.host, unix.kind, unix.name != UnixName::Unnamed);
        let mut name = name.clone();
        if name == UnixName::Unnamed && is_named {
            // Who asks for any name is content with the one that it has.
            return Ok(());
        }
        if is_named {
            return Err(libc::EINVAL);
        }
        // Any name: five digits, as the kernel gives.
        while name == UnixName::Unnamed || self.find_name(host, kind, &name).is_some() {
            if *address != Address::Unix(UnixName::Unnamed) {
                return Err(libc::EADDRINUSE);
            }
            name = UnixName::Abstract(format!("{:05x}", moment.dice.below(1 << 20)).into_bytes());
        }
        if let Some(key) = Key::of(kind, &name) {
            self.names.0.insert((host, key), id);
        }
        if let Some(unix) = self.unix(id) {
            unix.name = name;
        }
        Ok(())
    }

    fn find_name(&self, host: HostId, kind: i32, name: &UnixName) -> Option<SocketId> {
        Key::of(kind, name).and_then(|key| self.names.0.get(&(host, key)).copied())
    }

    /// The socket of this name that one of this kind can talk to.
    pub(super) fn find_unix(&mut self, host: HostId, kind: i32, address: &Address) -> Answer<SocketId> {
        let Address::Unix(name) = address else { return Err(libc::EINVAL) };
        if *name == UnixName::Unnamed {
            return Err(libc::EINVAL);
        }
        let found = self.find_name(host, kind, name).ok_or(libc::ECONNREFUSED)?;
        match self.unix(found) {
            Some(unix) if unix.kind != kind => Err(libc::EPROTOTYPE),
            Some(_) => Ok(found),
            None => Err(libc::ECONNREFUSED),
        }
    }
}
