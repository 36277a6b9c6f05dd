//! The socket of an inspector, made on the thread that asks for it, so that what is wrong with it is told there.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use super::Address;

/// Connections that wait in the kernel.
const BACKLOG: i32 = 128;

/// How often a path is tried again that somebody else makes and removes meanwhile.
const ATTEMPTS: usize = 4;

/// A socket that listens.
pub(super) enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The file of a Unix socket. Dropped it is removed, if it is still the one that was made, and by the process that made it.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    made: (u64, u64),
    process: u32,
}

impl SocketFile {
    fn made_at(path: PathBuf) -> io::Result<SocketFile> {
        let made = identity(&path)?;
        Ok(SocketFile { path, made, process: std::process::id() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A child of fork(2) has this as well.
        let is_ours = self.process == std::process::id();
        if is_ours && identity(&self.path).is_ok_and(|there| there == self.made) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let there = fs::symlink_metadata(path)?;
    Ok((there.dev(), there.ino()))
}

/// Listens there. Where that is in the end, and the file that it made.
pub(super) fn listen(address: &Address) -> io::Result<(Listening, Address, Option<SocketFile>)> {
    match address {
        Address::Tcp(address) => {
            let listener =
                TcpListener::bind(address).map_err(|error| told(&Address::Tcp(*address), &error))?;
            let bound = Address::Tcp(listener.local_addr()?);
            Ok((Listening::Tcp(listener), bound, None))
        }
        Address::Unix(path) => {
            // The program may go elsewhere meanwhile.
            let path = std::path::absolute(path)?;
            let bound = Address::Unix(path.clone());
            let listener = at_path(&path).map_err(|error| told(&bound, &error))?;
            let file = SocketFile::made_at(path)?;
            Ok((Listening::Unix(listener), bound, Some(file)))
        }
    }
}

fn at_path(path: &Path) -> io::Result<UnixListener> {
    let name = SockAddr::unix(path)?;
    for _ in 0..ATTEMPTS {
        let socket = for_the_owner(Socket::new(Domain::UNIX, Type::STREAM, None)?);
        match socket.bind(&name) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => make_room(path, &name)?,
            Err(error) => return Err(error),
            Ok(()) => {
                // Where the kernel does not take it from the socket. Nobody can connect before it listens.
                fs::set_permissions(path, Permissions::from_mode(0o600))?;
                socket.listen(BACKLOG)?;
                return Ok(UnixListener::from(OwnedFd::from(socket)));
            }
        }
    }
    Err(ErrorKind::AddrInUse.into())
}

/// Linux gives the file the mode of its socket, so that it never has a wider one.
fn for_the_owner(socket: Socket) -> Socket {
    let file = File::from(OwnedFd::from(socket));
    let _ = file.set_permissions(Permissions::from_mode(0o600));
    Socket::from(OwnedFd::from(file))
}

/// Removes what a process has left that has ended.
fn make_room(path: &Path, name: &SockAddr) -> io::Result<()> {
    let there = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        there => there?,
    };
    if !there.file_type().is_socket() {
        let text = "there is a file of that name which is no socket: choose another path, or remove it";
        return Err(io::Error::new(ErrorKind::AlreadyExists, text));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(name) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // Also of one whose queue is full: somebody listens.
        Ok(()) => Err(ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ErrorKind::AddrInUse.into()),
        Err(error) => Err(error),
    }
}

fn told(address: &Address, error: &io::Error) -> io::Error {
    let remedy = match (error.kind(), address) {
        (ErrorKind::AddrInUse, Address::Tcp(_)) => {
            "somebody listens there already, perhaps the inspector of another process: port 0 takes a free one"
        }
        (ErrorKind::AddrInUse, Address::Unix(_)) => {
            "somebody listens there already, perhaps the inspector of another process: choose another path"
        }
        (ErrorKind::AddrNotAvailable, _) => "this machine has no such address: 127.0.0.1 is always there",
        (ErrorKind::NotFound, _) => "its directory is not there: make it first",
        (ErrorKind::PermissionDenied, Address::Tcp(_)) => {
            "ports below 1024 need a privilege: choose another one"
        }
        (ErrorKind::PermissionDenied, Address::Unix(_)) => {
            "making it needs the permission to write to its directory, and replacing it that to connect to it"
        }
        (ErrorKind::InvalidInput, Address::Unix(_)) => {
            "the name of a socket has 107 bytes at most, 103 where there is no Linux: choose a shorter path"
        }
        _ => {
            return io::Error::new(
                error.kind(),
                format!("the inspector cannot listen at {address}: {error}"),
            );
        }
    };
    io::Error::new(error.kind(), format!("the inspector cannot listen at {address}: {error}; {remedy}"))
}
