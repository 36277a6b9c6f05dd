//! Sockets that this process was given when its program was started.

use std::fmt;
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::{Mutex, PoisonError};

use socket2::{Domain, SockRef, Type};

use super::is_simulated;
use super::predecessor::predecessor;
use super::variable::{number, wrong};
use crate::net::NotHandedOver;
use crate::sys::{inherit, option};

/// What sd_listen_fds(3) calls what has no name.
const UNNAMED: &str = "unknown";

/// A socket that this process was given, by [`inherited`].
///
/// It is close-on-exec, and in whatever mode it was given: `from_std` of annulus's listeners sets it to non-blocking. A
/// predecessor that still has the same socket shares that mode: it is to drop its listeners, and not to make them
/// std's by `into_std`, which would set them back to blocking.
///
/// # Examples
/// ```
/// for inherited in annulus::service::inherited()? {
///     println!("{}: {:?}", inherited.name(), inherited.socket());
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Inherited {
    name: String,
    socket: OwnedFd,
}

impl Inherited {
    /// What the manager calls it: `FileDescriptorName=` of a unit, the name in [`Successor::start`](super::Successor::start).
    /// `"unknown"` if it has said nothing.
    ///
    /// # Examples
    /// As [`Inherited`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The descriptor. To own it: `OwnedFd::from`.
    ///
    /// # Examples
    /// As [`Inherited`].
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Makes it what it is said to be, a TCP listener over IPv4 or IPv6.
    ///
    /// # Errors
    /// `InvalidInput`: it is something else, and the error says what. It is given back.
    ///
    /// # Examples
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// for given in annulus::service::inherited()? {
    ///     let listener = given.into_tcp_listener()?;
    ///     println!("listening at {}", listener.local_addr()?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_tcp_listener(self) -> Result<TcpListener, NotHandedOver<Inherited>> {
        self.into_kind("a TCP listener", |kind| kind.is_inet() && kind.is_of(Type::STREAM, true))
    }

    /// Makes it what it is said to be, a listener for Unix streams.
    ///
    /// # Errors
    /// As [`into_tcp_listener`](Self::into_tcp_listener).
    ///
    /// # Examples
    /// As [`into_tcp_listener`](Self::into_tcp_listener), of another kind.
    pub fn into_unix_listener(self) -> Result<UnixListener, NotHandedOver<Inherited>> {
        self.into_kind("a Unix listener", |kind| !kind.is_inet() && kind.is_of(Type::STREAM, true))
    }

    /// Makes it what it is said to be, a UDP socket over IPv4 or IPv6.
    ///
    /// # Errors
    /// As [`into_tcp_listener`](Self::into_tcp_listener).
    ///
    /// # Examples
    /// As [`into_tcp_listener`](Self::into_tcp_listener), of another kind.
    pub fn into_udp_socket(self) -> Result<UdpSocket, NotHandedOver<Inherited>> {
        self.into_kind("a UDP socket", |kind| kind.is_inet() && kind.is_of(Type::DGRAM, false))
    }

    /// Makes it what it is said to be, a Unix socket for datagrams.
    ///
    /// # Errors
    /// As [`into_tcp_listener`](Self::into_tcp_listener).
    ///
    /// # Examples
    /// As [`into_tcp_listener`](Self::into_tcp_listener), of another kind.
    pub fn into_unix_datagram(self) -> Result<UnixDatagram, NotHandedOver<Inherited>> {
        self.into_kind("a Unix datagram socket", |kind| !kind.is_inet() && kind.is_of(Type::DGRAM, false))
    }

    fn into_kind<S: From<OwnedFd>>(
        self,
        wanted: &str,
        fits: impl FnOnce(&Kind) -> bool,
    ) -> Result<S, NotHandedOver<Inherited>> {
        let is = match Kind::of(self.socket()) {
            Ok(kind) if fits(&kind) => return Ok(S::from(self.socket)),
            Ok(kind) => kind.to_string(),
            Err(error) => format!("no IP or Unix socket ({error})"),
        };
        let text = format!(
            "{:?}, descriptor {}, was wanted to be {wanted} and is {is}: the unit, or the predecessor, gives another socket \
             than this program expects",
            self.name,
            self.socket.as_raw_fd()
        );
        Err(NotHandedOver { error: io::Error::new(io::ErrorKind::InvalidInput, text), socket: self })
    }
}

impl AsFd for Inherited {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket()
    }
}

impl From<Inherited> for OwnedFd {
    fn from(given: Inherited) -> OwnedFd {
        given.socket
    }
}

impl fmt::Debug for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = Kind::of(self.socket()).map_or_else(|error| error.to_string(), |kind| kind.to_string());
        let number = self.socket.as_raw_fd();
        f.debug_struct("Inherited")
            .field("name", &self.name)
            .field("number", &number)
            .field("is", &kind)
            .finish()
    }
}

/// What a socket is.
struct Kind {
    domain: Domain,
    kind: Type,
    listens: bool,
}

impl Kind {
    fn of(socket: BorrowedFd<'_>) -> io::Result<Kind> {
        let about = SockRef::from(&socket);
        // By its name, which every system tells; SO_DOMAIN is not everywhere.
        let (domain, kind) = (about.local_addr()?.domain(), about.r#type()?);
        if ![Domain::IPV4, Domain::IPV6, Domain::UNIX].contains(&domain) {
            return Err(io::Error::other(format!("of family {}", i32::from(domain))));
        }
        let listens = match option::number(socket.as_raw_fd(), (libc::SOL_SOCKET, libc::SO_ACCEPTCONN)) {
            Ok(listens) => listens != 0,
            // Where nobody tells, accept(2) will.
            Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => kind == Type::STREAM,
            Err(error) => return Err(error),
        };
        Ok(Kind { domain, kind, listens })
    }

    fn is_inet(&self) -> bool {
        self.domain != Domain::UNIX
    }

    fn is_of(&self, kind: Type, listens: bool) -> bool {
        self.kind == kind && self.listens == listens
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = if self.is_inet() { "IP" } else { "Unix" };
        let kind = match (self.kind, self.listens) {
            (Type::STREAM, true) => "listener for streams",
            (Type::STREAM, false) => "stream that does not listen",
            (Type::DGRAM, _) => "socket for datagrams",
            (Type::SEQPACKET, true) => "listener for packets in order",
            (Type::SEQPACKET, false) => "socket for packets in order",
            _ => "socket of another type",
        };
        write!(f, "{} {family} {kind}", if self.is_inet() { "an" } else { "a" })
    }
}

/// The sockets that this process was given when its program was started, in their order: by a service manager (socket
/// activation, sd_listen_fds(3)), or by the process that it takes over from ([`Successor`](super::Successor)). None if there
/// are none, or if the variables in the environment are for another process, as those are that a child inherits.
///
/// They are given once in a process: whoever asks again, on whichever thread, gets none. Ask early: programs that are started
/// before inherit them, and what is promised and not given is seen to be missing.
///
/// # Errors
/// `InvalidData`: a variable (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES) is not what the protocol says; `NotFound`: a descriptor that
/// was promised is not open, or was opened since by this process. Nothing is taken then.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// for given in annulus::service::inherited()? {
///     println!("{given:?}");
/// }
/// assert!(annulus::service::inherited()?.is_empty(), "they are given once");
/// # Ok(())
/// # }
/// ```
pub fn inherited() -> io::Result<Vec<Inherited>> {
    static TAKEN: Mutex<bool> = Mutex::new(false);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if *taken || is_simulated() {
        return Ok(Vec::new());
    }
    let names = match predecessor()? {
        Some(predecessor) => predecessor.names.clone(),
        None => activated()?,
    };
    // All are looked at before the first is taken: so an error leaves everything as it was.
    for (number, name) in (inherit::FIRST..).zip(&names) {
        check(number, name)?;
    }
    *taken = true;
    let take = |(number, name): (_, String)| Ok(Inherited { name, socket: inherit::take(number)? });
    (inherit::FIRST..).zip(names).map(take).collect()
}

fn check(number: i32, name: &str) -> io::Result<()> {
    let why = match inherit::came_with_the_program(number) {
        Ok(true) => return Ok(()),
        Ok(false) => "was opened by this process since, or was taken by other code of it".to_owned(),
        Err(error) => format!("is not open ({error})"),
    };
    let text = format!(
        "descriptor {number} ({name:?}), which this process is said to inherit, {why}: ask for what is inherited before anything \
         closes it, and see that what starts this program gives as many sockets as it says"
    );
    Err(io::Error::new(io::ErrorKind::NotFound, text))
}

/// The names of what a manager gave to this process; as many as there are.
fn activated() -> io::Result<Vec<String>> {
    if number("LISTEN_PID")? != Some(std::process::id()) {
        return Ok(Vec::new());
    }
    let count: u32 = number("LISTEN_FDS")?.unwrap_or(0);
    if count == 0 {
        return Ok(Vec::new());
    }
    let Some(names) = std::env::var_os("LISTEN_FDNAMES") else {
        // The last one first: so a number out of all bounds asks for no memory.
        let last = i32::try_from(count).ok().and_then(|count| count.checked_add(inherit::FIRST - 1));
        check(last.ok_or_else(|| wrong("LISTEN_FDS", "is more than there can be"))?, UNNAMED)?;
        return Ok(vec![UNNAMED.to_owned(); count as usize]);
    };
    let names = names.to_str().ok_or_else(|| wrong("LISTEN_FDNAMES", "is no text"))?;
    let names: Vec<_> = names.split(':').map(str::to_owned).collect();
    match names.len() == count as usize {
        true => Ok(names),
        false => Err(wrong("LISTEN_FDNAMES", "has not as many names as LISTEN_FDS says")),
    }
}
