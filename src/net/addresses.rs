//! Addresses as users write them. A literal never leaves the thread; a name is resolved by a helper.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::panic::resume_unwind;
use std::vec;

use crate::driver::{Control, Reply};
use crate::engine::current_port;
use crate::op::{Blocking, Submitted};

/// What says where to bind or to connect: an address, several, or a host and a port.
///
/// As [`std::net::ToSocketAddrs`], for the same types, and for arrays and vectors of addresses. A literal is read here and
/// now, with its zone if it has one: `"[fe80::1%2]:80"`. A name, and a zone that is one (`%eth0`), is looked up by the
/// system's resolver on a helper thread, so that the loop does not wait. Only this crate implements it.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::{TcpListener, ToSocketAddrs};
///
/// annulus::run(async {
///     /// Whatever names an address: an address, text, a name and a port.
///     async fn listen(at: impl ToSocketAddrs) -> std::io::Result<TcpListener> {
///         TcpListener::bind(at).await
///     }
///
///     listen("127.0.0.1:0").await?;
///     listen(("127.0.0.1", 0)).await?;
///     listen(std::net::SocketAddr::from(([127, 0, 0, 1], 0))).await?;
///     Ok(())
/// })?
/// # }
/// ```
pub trait ToSocketAddrs: sealed::Target {}

impl<T: sealed::Target + ?Sized> ToSocketAddrs for T {}

pub(crate) mod sealed {
    use super::*;

    /// Known at once, or a name to be resolved.
    pub enum Where {
        /// Addresses, in the order in which they are to be tried.
        Known(Vec<SocketAddr>),
        /// A host and a port.
        Named(String, u16),
    }

    /// Only this crate says what a target is.
    pub trait Target {
        /// What is meant.
        fn target(&self) -> io::Result<Where>;
    }
}

use sealed::{Target, Where};

/// The addresses of a host, or those that a literal says: at least one.
///
/// The system's resolver does the work, on a helper thread: it reads /etc/hosts, and asks the name servers of
/// /etc/resolv.conf. It goes by its own time-outs. For a shorter one put [`timeout`](crate::time::timeout) around; the
/// resolver cannot be stopped and goes on for nobody, and until it is done one of
/// [`helpers_max`](crate::Builder::helpers_max) threads is busy.
///
/// # Errors
/// Of kind `InvalidInput` where the text says no host and port; what the resolver says where it knows no such host, or
/// no name server answers.
///
/// # Cancel safety
/// Dropping it takes a look-up back that has not begun, and lets another go on for nobody.
///
/// # Panics
/// Outside of a running loop.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::net::lookup_host;
/// use annulus::time::timeout;
///
/// annulus::run(async {
///     for address in timeout(Duration::from_secs(5), lookup_host("localhost:80")).await?? {
///         println!("{address}");
///     }
///     Ok(())
/// })?
/// # }
/// ```
pub async fn lookup_host(host: impl ToSocketAddrs) -> io::Result<vec::IntoIter<SocketAddr>> {
    resolve(host).await.map(Vec::into_iter)
}

/// The addresses to try, of which there is at least one.
pub(super) async fn resolve(target: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    let addresses = match target.target()? {
        Where::Known(addresses) => addresses,
        Where::Named(host, port) => match current_port().control(-1, Control::Resolve(&host))? {
            Reply::Addresses(Some(found)) if found.is_empty() => {
                let text = format!("{host:?} was not resolved: no host of the simulated world has that name");
                return Err(io::Error::new(io::ErrorKind::NotFound, text));
            }
            Reply::Addresses(Some(found)) => found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect(),
            _ => look_up(host, port).await?,
        },
    };
    match addresses.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no address to use")),
        false => Ok(addresses),
    }
}

/// Asks the system's resolver, which may wait for a server.
async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let look_up = move || match std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port)) {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(not_resolved(&host, &error)),
    };
    // Not a task of its own: what nobody waits for is taken back while it can be.
    match Submitted::new(Blocking::new(look_up)).await {
        Ok(Ok(found)) => found,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(error) => {
            let text = format!(
                "no helper thread could be started to look a name up: {error}; raise RLIMIT_NPROC or pids.max"
            );
            Err(io::Error::new(error.kind(), text))
        }
    }
}

fn not_resolved(host: &str, error: &io::Error) -> io::Error {
    let remedy = match error.kind() {
        io::ErrorKind::InvalidInput => "a name has no zero in it",
        _ => {
            "look at how it is spelt, at /etc/hosts, and at whether the name servers of /etc/resolv.conf answer \
             (getent ahosts asks the same resolver)"
        }
    };
    io::Error::new(error.kind(), format!("{host:?} was not resolved: {error}; {remedy}"))
}

fn known(address: impl Into<SocketAddr>) -> io::Result<Where> {
    Ok(Where::Known(vec![address.into()]))
}

fn named(host: &str, port: u16) -> io::Result<Where> {
    if host.is_empty() {
        let text = format!(
            "no host in front of port {port}: say 0.0.0.0 or [::] for every address of this machine, 127.0.0.1 or [::1] \
             for what stays on it"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return known((ip, port));
    }
    // With the number of a zone.
    match format!("[{host}]:{port}").parse::<SocketAddrV6>() {
        Ok(address) => known(address),
        Err(_) => Ok(Where::Named(host.to_owned(), port)),
    }
}

impl Target for SocketAddr {
    fn target(&self) -> io::Result<Where> {
        known(*self)
    }
}

impl Target for SocketAddrV4 {
    fn target(&self) -> io::Result<Where> {
        known(*self)
    }
}

impl Target for SocketAddrV6 {
    fn target(&self) -> io::Result<Where> {
        known(*self)
    }
}

impl Target for (IpAddr, u16) {
    fn target(&self) -> io::Result<Where> {
        known(*self)
    }
}

impl Target for (Ipv4Addr, u16) {
    fn target(&self) -> io::Result<Where> {
        known(*self)
    }
}

impl Target for (Ipv6Addr, u16) {
    fn target(&self) -> io::Result<Where> {
        known(*self)
    }
}

impl Target for (&str, u16) {
    fn target(&self) -> io::Result<Where> {
        named(self.0, self.1)
    }
}

impl Target for (String, u16) {
    fn target(&self) -> io::Result<Where> {
        named(&self.0, self.1)
    }
}

impl Target for str {
    fn target(&self) -> io::Result<Where> {
        if let Ok(address) = self.parse::<SocketAddr>() {
            return known(address);
        }
        let parts = self.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        match parts {
            // In brackets it is an address, whose zone only the resolver knows.
            Some((host, port)) => {
                let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
                named(bare.unwrap_or(host), port)
            }
            None => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{self:?} is no address: say HOST:PORT, as in 127.0.0.1:8080 or [::1]:8080"),
            )),
        }
    }
}

impl Target for String {
    fn target(&self) -> io::Result<Where> {
        self.as_str().target()
    }
}

impl Target for [SocketAddr] {
    fn target(&self) -> io::Result<Where> {
        Ok(Where::Known(self.to_vec()))
    }
}

impl<const N: usize> Target for [SocketAddr; N] {
    fn target(&self) -> io::Result<Where> {
        self.as_slice().target()
    }
}

impl Target for Vec<SocketAddr> {
    fn target(&self) -> io::Result<Where> {
        self.as_slice().target()
    }
}

impl<T: Target + ?Sized> Target for &T {
    fn target(&self) -> io::Result<Where> {
        (**self).target()
    }
}
