//! Addresses as users write them. A literal never leaves the thread; a name is resolved by a helper.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::driver::{Control, Reply};
use crate::engine::current_port;
use crate::runtime::spawn_blocking;

/// What says where to bind or to connect: an address, or a host and a port.
///
/// As [`std::net::ToSocketAddrs`], for the same types; names are resolved by the system's resolver on a helper
/// thread, so that the loop does not wait. Only this crate implements it.
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
        Err(error) => Err(io::Error::new(error.kind(), format!("{host:?} was not resolved: {error}"))),
    };
    spawn_blocking(look_up).await?
}

fn known(address: impl Into<SocketAddr>) -> io::Result<Where> {
    Ok(Where::Known(vec![address.into()]))
}

fn named(host: &str, port: u16) -> io::Result<Where> {
    match host.parse::<IpAddr>() {
        Ok(ip) => known((ip, port)),
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
            Some((host, port)) => named(host, port),
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

impl<T: Target + ?Sized> Target for &T {
    fn target(&self) -> io::Result<Where> {
        (**self).target()
    }
}
