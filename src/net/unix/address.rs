//! What Unix sockets are called.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use socket2::SockAddr;

/// The name of a Unix socket: a path, a name in the abstract namespace, or none.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::path::Path;
/// use annulus::net::unix::SocketAddr;
///
/// let address = SocketAddr::from_pathname("/run/service")?;
/// assert_eq!(address.as_pathname(), Some(Path::new("/run/service")));
/// assert!(!address.is_unnamed());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SocketAddr(Name);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Name {
    None,
    Path(PathBuf),
    /// Without the leading zero.
    Abstract(Vec<u8>),
}

impl SocketAddr {
    /// A name in the file system.
    ///
    /// # Errors
    /// `InvalidInput`: it is longer than 107 bytes, or has a zero in it.
    pub fn from_pathname(path: impl AsRef<Path>) -> io::Result<SocketAddr> {
        let path = path.as_ref();
        let bytes = path.as_os_str().as_encoded_bytes();
        if bytes.is_empty() || bytes.contains(&0) {
            let text = format!("{path:?} is no name of a socket: it is empty, or has a zero in it");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        SocketAddr::of(&SockAddr::unix(path)?)
    }

    /// A name in the abstract namespace, which is gone with its socket. Linux only.
    ///
    /// # Errors
    /// `InvalidInput`: it is longer than 107 bytes. `Unsupported` where there is no such namespace.
    pub fn from_abstract_name(name: impl AsRef<[u8]>) -> io::Result<SocketAddr> {
        if !cfg!(any(target_os = "linux", target_os = "android")) {
            let text = "this system has no abstract names of sockets: name a path";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        SocketAddr::of(&in_the_abstract(name.as_ref())?)
    }

    /// Whether it has no name.
    pub fn is_unnamed(&self) -> bool {
        self.0 == Name::None
    }

    /// The path, if the name is one.
    pub fn as_pathname(&self) -> Option<&Path> {
        match &self.0 {
            Name::Path(path) => Some(path),
            _ => None,
        }
    }

    /// The name in the abstract namespace, if it is one.
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        match &self.0 {
            Name::Abstract(name) => Some(name),
            _ => None,
        }
    }

    pub(in crate::net) fn unnamed() -> SocketAddr {
        SocketAddr(Name::None)
    }

    /// As the system tells it.
    pub(in crate::net) fn of(name: &SockAddr) -> io::Result<SocketAddr> {
        if !name.is_unix() {
            return Err(io::Error::other("the socket is not a Unix socket"));
        }
        Ok(SocketAddr(match (name.as_pathname(), abstract_name(name)) {
            (Some(path), _) => Name::Path(path.to_owned()),
            (None, Some(name)) => Name::Abstract(name),
            (None, None) => Name::None,
        }))
    }

    /// As the system is told it.
    pub(in crate::net) fn name(&self) -> SockAddr {
        let name = match &self.0 {
            Name::None => SockAddr::unix(""),
            Name::Path(path) => SockAddr::unix(path),
            Name::Abstract(name) => in_the_abstract(name),
        };
        name.expect("it was made from one")
    }
}

/// A leading zero makes it abstract.
fn in_the_abstract(name: &[u8]) -> io::Result<SockAddr> {
    use std::os::unix::ffi::OsStrExt;
    SockAddr::unix(std::ffi::OsStr::from_bytes(&[&[0], name].concat()))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_name(name: &SockAddr) -> Option<Vec<u8>> {
    name.as_abstract_namespace().map(<[u8]>::to_owned)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_name(_: &SockAddr) -> Option<Vec<u8>> {
    None
}

impl fmt::Debug for SocketAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Name::None => f.write_str("(unnamed)"),
            Name::Path(path) => write!(f, "{path:?}"),
            Name::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
        }
    }
}
