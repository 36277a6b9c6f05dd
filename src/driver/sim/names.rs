//! Addresses as the operations carry them, and as the network knows them.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use socket2::{Domain, SockAddr};

use super::Answer;
use super::net::{Address, UnixName};

/// What an address means; `inode_of` says which file a Unix socket's path leads to.
pub(super) fn of_the_network(
    address: &SockAddr,
    inode_of: impl FnOnce(&[u8]) -> Answer<u64>,
) -> Answer<Address> {
    if let Some(internet) = address.as_socket() {
        return Ok(Address::Internet(internet));
    }
    if address.domain() != Domain::UNIX {
        return Err(libc::EAFNOSUPPORT);
    }
    Ok(Address::Unix(match (address.as_pathname(), abstract_name(address)) {
        (Some(path), _) => {
            let path = path.as_os_str().as_bytes();
            UnixName::Path { path: path.to_owned(), inode: inode_of(path)? }
        }
        (None, Some(name)) => UnixName::Abstract(name),
        (None, None) => UnixName::Unnamed,
    }))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_name(address: &SockAddr) -> Option<Vec<u8>> {
    address.as_abstract_namespace().map(<[u8]>::to_owned)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_name(_: &SockAddr) -> Option<Vec<u8>> {
    None
}

/// As the system would tell it.
pub(super) fn of_the_system(address: Address) -> io::Result<SockAddr> {
    match address {
        Address::Internet(address) => Ok(SockAddr::from(address)),
        Address::Unix(UnixName::Unnamed) => SockAddr::unix(""),
        Address::Unix(UnixName::Path { path, .. }) => SockAddr::unix(Path::new(OsStr::from_bytes(&path))),
        Address::Unix(UnixName::Abstract(name)) => {
            // A leading zero makes it abstract.
            let name = [&[0], name.as_slice()].concat();
            SockAddr::unix(Path::new(OsStr::from_bytes(&name)))
        }
    }
}
