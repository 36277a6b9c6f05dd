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
    /// `InvalidInput`: it is longer than a socket's name can be (107 bytes on Linux, 103 elsewhere), is empty, or has a zero
    /// in it.
    pub fn from_pathname(path: impl AsRef<Path>) -> io::Result<SocketAddr> {
        let path = path.as_ref();
        let bytes = path.as_os_str().as_encoded_bytes();
        if bytes.is_empty() || bytes.contains(&0) {
            let text = format!("{path:?} is no name of a socket: it is empty, or has a zero in it");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let name = SockAddr::unix(path).map_err(|_| too_long(format!("{path:?}"), bytes.len()))?;
        SocketAddr::of(&name)
    }

    /// A name in the abstract namespace, which is gone with its socket. Linux only.
    ///
    /// # Errors
    /// `InvalidInput`: it is longer than 107 bytes. `Unsupported` where there is no such namespace.
    ///
    /// # Examples
    /// As [`UnixStream::connect_addr`](super::UnixStream::connect_addr).
    pub fn from_abstract_name(name: impl AsRef<[u8]>) -> io::Result<SocketAddr> {
        if !cfg!(any(target_os = "linux", target_os = "android")) {
            let text = "this system has no abstract names of sockets: name a path";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        let bytes = name.as_ref();
        let name = in_the_abstract(bytes)
            .map_err(|_| too_long(format!("\"{}\"", bytes.escape_ascii()), bytes.len()))?;
        SocketAddr::of(&name)
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
    ///
    /// # Examples
    /// ```
    /// use annulus::net::unix::SocketAddr;
    ///
    /// # if cfg!(target_os = "linux") {
    /// let name = SocketAddr::from_abstract_name("server")?;
    /// assert_eq!(name.as_abstract_name(), Some(&b"server"[..]));
    /// assert_eq!(SocketAddr::unnamed().as_abstract_name(), None);
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        match &self.0 {
            Name::Abstract(name) => Some(name),
            _ => None,
        }
    }

    /// No name.
    ///
    /// # Examples
    /// As [`as_abstract_name`](Self::as_abstract_name).
    pub fn unnamed() -> SocketAddr {
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

fn too_long(name: String, length: usize) -> io::Error {
    let remedy = "choose a shorter one, or go to its directory and name it from there";
    let longest = if cfg!(any(target_os = "linux", target_os = "android")) { 107 } else { 103 };
    let text =
        format!("{name} has {length} bytes, and the name of a socket at most {longest} (SUN_LEN): {remedy}");
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// The standard library's, for what is bound or connected there.
impl From<std::os::unix::net::SocketAddr> for SocketAddr {
    fn from(address: std::os::unix::net::SocketAddr) -> SocketAddr {
        let abstract_name = abstract_name_of(&address).map(Name::Abstract);
        let path = || address.as_pathname().map(|path| Name::Path(path.to_owned()));
        SocketAddr(abstract_name.or_else(path).unwrap_or(Name::None))
    }
}

/// For the standard library's sockets.
impl From<SocketAddr> for std::os::unix::net::SocketAddr {
    fn from(address: SocketAddr) -> std::os::unix::net::SocketAddr {
        use std::os::unix::net::SocketAddr as StdAddr;
        let same = match &address.0 {
            Name::None => StdAddr::from_pathname(""),
            Name::Path(path) => StdAddr::from_pathname(path),
            Name::Abstract(name) => in_the_abstract_of_std(name),
        };
        same.expect("both know the same names")
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn abstract_name_of(address: &std::os::unix::net::SocketAddr) -> Option<Vec<u8>> {
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;
    address.as_abstract_name().map(<[u8]>::to_owned)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn abstract_name_of(_: &std::os::unix::net::SocketAddr) -> Option<Vec<u8>> {
    None
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn in_the_abstract_of_std(name: &[u8]) -> io::Result<std::os::unix::net::SocketAddr> {
    #[cfg(target_os = "android")]
    use std::os::android::net::SocketAddrExt;
    #[cfg(target_os = "linux")]
    use std::os::linux::net::SocketAddrExt;
    std::os::unix::net::SocketAddr::from_abstract_name(name)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn in_the_abstract_of_std(_: &[u8]) -> io::Result<std::os::unix::net::SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
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
