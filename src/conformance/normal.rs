//! What an operation came to, as short text that is the same on every machine and in every run.
//!
//! Errors are named as in errno(3); ports and directories, which differ from run to run, are left out.

use std::io;
use std::time::Duration;

use socket2::SockAddr;

use super::socket::Socket;
use crate::fs::{File, Metadata};
use crate::io::Incomplete;
use crate::time::Elapsed;

/// What has a normal form.
pub(super) trait Outcome {
    fn normal(self) -> String;
}

impl Outcome for bool {
    fn normal(self) -> String {
        if self { "yes" } else { "no" }.to_owned()
    }
}

impl Outcome for () {
    fn normal(self) -> String {
        "ok".to_owned()
    }
}

impl Outcome for usize {
    fn normal(self) -> String {
        self.to_string()
    }
}

impl Outcome for u64 {
    fn normal(self) -> String {
        self.to_string()
    }
}

/// What is open is good for more than to be looked at.
impl Outcome for Socket {
    fn normal(self) -> String {
        "ok".to_owned()
    }
}

impl Outcome for File {
    fn normal(self) -> String {
        "ok".to_owned()
    }
}

/// A span of SO_LINGER.
impl Outcome for Option<Duration> {
    fn normal(self) -> String {
        self.map_or("off".to_owned(), |span| format!("{span:?}"))
    }
}

/// The error that a socket keeps.
impl Outcome for Option<io::Error> {
    fn normal(self) -> String {
        self.map_or("none".to_owned(), |error| named(&error))
    }
}

/// Bytes in memory, as text.
impl Outcome for Vec<u8> {
    fn normal(self) -> String {
        self.escape_ascii().to_string()
    }
}

/// `file 5` or `directory`, whose lengths mean nothing.
impl Outcome for Metadata {
    fn normal(self) -> String {
        match (self.is_file(), self.is_dir()) {
            (true, _) => format!("file {}", self.len()),
            (_, true) => "directory".to_owned(),
            _ => "something else".to_owned(),
        }
    }
}

/// A socket's name: `127.0.0.1:port`, the last part of a path, `@abstract`.
impl Outcome for SockAddr {
    fn normal(self) -> String {
        if let Some(address) = self.as_socket() {
            let port = if address.port() == 0 { "0" } else { "port" };
            return format!("{}:{port}", address.ip());
        }
        if let Some(name) = self.as_abstract_namespace() {
            let name = name.escape_ascii().to_string();
            return format!("@{}", name.rsplit('-').next().unwrap_or_default());
        }
        match self.as_pathname().and_then(|path| path.file_name()) {
            Some(name) => name.to_string_lossy().into_owned(),
            None => "unnamed".to_owned(),
        }
    }
}

impl<T: Outcome> Outcome for io::Result<T> {
    fn normal(self) -> String {
        match self {
            Ok(value) => value.normal(),
            Err(error) => named(&error),
        }
    }
}

impl<T: Outcome> Outcome for Result<T, Elapsed> {
    fn normal(self) -> String {
        self.map_or("not yet".to_owned(), T::normal)
    }
}

/// What poll(2) answers: `IN OUT`.
pub(super) struct Events(pub(super) u32);

impl Outcome for Events {
    fn normal(self) -> String {
        let known = [
            (libc::POLLIN, "IN"),
            (libc::POLLOUT, "OUT"),
            (libc::POLLRDHUP, "RDHUP"),
            (libc::POLLHUP, "HUP"),
            (libc::POLLERR, "ERR"),
        ];
        let here = known.iter().filter(|(bit, _)| self.0 & *bit as u32 != 0);
        here.map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
    }
}

/// A read: how much, and what. `5: hello`, and `0` at the end.
impl Outcome for (io::Result<usize>, Vec<u8>) {
    fn normal(self) -> String {
        match self {
            (Ok(0), buffer) if buffer.is_empty() => "0".to_owned(),
            (Ok(count), buffer) => format!("{count}: {}", buffer.escape_ascii()),
            (Err(error), _) => named(&error),
        }
    }
}

/// A vectored read: `5: hel,lo,`.
impl Outcome for (io::Result<usize>, Vec<Vec<u8>>) {
    fn normal(self) -> String {
        let buffers: Vec<_> = self.1.iter().map(|buffer| buffer.escape_ascii().to_string()).collect();
        match self.0 {
            Ok(count) => format!("{count}: {}", buffers.join(",")),
            Err(error) => named(&error),
        }
    }
}

/// A read of the buffer's whole room: what it has. With an error, what came before it as well.
impl Outcome for (io::Result<()>, Vec<u8>) {
    fn normal(self) -> String {
        let text = self.1.escape_ascii();
        match self.0 {
            Ok(()) => format!("{}: {text}", self.1.len()),
            Err(error) => match Incomplete::of(&error) {
                Some(incomplete) => {
                    format!("{} after {}: {text}", named(incomplete.error()), incomplete.done())
                }
                None => named(&error),
            },
        }
    }
}

/// A write: how much.
impl Outcome for (io::Result<usize>, &'static str) {
    fn normal(self) -> String {
        self.0.normal()
    }
}

impl Outcome for (io::Result<usize>, Box<[u8]>) {
    fn normal(self) -> String {
        self.0.normal()
    }
}

impl Outcome for (io::Result<usize>, Vec<&'static str>) {
    fn normal(self) -> String {
        self.0.normal()
    }
}

impl Outcome for (io::Result<()>, &'static str) {
    fn normal(self) -> String {
        self.0.normal()
    }
}

fn named(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => name_of(errno),
        None => match error.kind() {
            io::ErrorKind::UnexpectedEof => "the end".to_owned(),
            _ => format!("{error:?}"),
        },
    }
}

macro_rules! names {
    ($($name:ident),* $(,)?) => {
        fn name_of(errno: i32) -> String {
            match errno {
                $(libc::$name => stringify!($name).to_owned(),)*
                other => format!("errno {other}"),
            }
        }
    };
}

names! {
    EPERM, ENOENT, EINTR, EIO, ENXIO, EBADF, EAGAIN, ENOMEM, EACCES, EBUSY, EEXIST, EXDEV, ENOTDIR, EISDIR, EINVAL, EMFILE, EFBIG,
    ENOSPC, ESPIPE, EROFS, EPIPE, ENAMETOOLONG, ENOSYS, ENOTEMPTY, ELOOP, EPROTO, EOVERFLOW, ENOTSOCK, EDESTADDRREQ,
    EMSGSIZE, EPROTOTYPE, ENOPROTOOPT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EOPNOTSUPP, EAFNOSUPPORT, EADDRINUSE, ENODEV,
    EADDRNOTAVAIL, ENETUNREACH, ECONNABORTED, ECONNRESET, ENOBUFS, EISCONN, ENOTCONN, ETIMEDOUT, ECONNREFUSED, EHOSTUNREACH,
    EALREADY, EINPROGRESS, ECANCELED,
}
