//! Who is at the other end of a Unix socket.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;

use socket2::Socket;

use super::{answer, checked};

/// Who is at the other end of a Unix socket, as the system saw it when that end connected, or began to listen: nobody
/// can pretend to be somebody else.
///
/// # Examples
/// As [`UnixStream::peer_cred`](crate::net::UnixStream).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// The process. None where the system does not tell, as Apple's and the BSDs. The process may be gone, and its number
    /// somebody else's.
    pub pid: Option<i32>,
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl PeerCredentials {
    /// What all simulated processes run as.
    #[cfg(feature = "sim")]
    pub(crate) const SIMULATED: PeerCredentials = PeerCredentials { pid: Some(1000), uid: 1000, gid: 1000 };
}

/// getsockopt(2), SO_PEERCRED.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn peer_credentials(socket: &Socket) -> io::Result<PeerCredentials> {
    let mut told = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: both are written to for the time of the call, and the length says how long the first is.
    let got = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut told).cast(),
            &raw mut length,
        )
    };
    checked(answer(got as isize))?;
    // What it says of a socket without a peer. Of a peer in another namespace of processes it knows the user only.
    if told.pid == 0 && told.uid == u32::MAX {
        return Err(io::Error::from_raw_os_error(libc::ENOTCONN));
    }
    Ok(PeerCredentials { pid: (told.pid != 0).then_some(told.pid), uid: told.uid, gid: told.gid })
}

/// getpeereid(3).
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn peer_credentials(socket: &Socket) -> io::Result<PeerCredentials> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: both are written to for the time of the call.
    let got = unsafe { libc::getpeereid(socket.as_raw_fd(), &raw mut uid, &raw mut gid) };
    checked(answer(got as isize))?;
    Ok(PeerCredentials { pid: None, uid, gid })
}
