//! Where an inspector listens: a port, or a socket in the file system.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where an inspector listens. As text: `127.0.0.1:7070`, `[::1]:0`, `localhost:7070`, `unix:/run/program.sock`; `unix:` alone is `annulus-PID.sock`
/// in `$XDG_RUNTIME_DIR`, or in /tmp, where `top` looks for a process of which it knows the number.
///
/// # Examples
/// ```
/// use annulus::inspect::Address;
///
/// let address: Address = "unix:/run/program.sock".parse()?;
/// assert_eq!(address, Address::Unix("/run/program.sock".into()));
/// assert!("127.0.0.1".parse::<Address>().unwrap_err().to_string().contains("127.0.0.1:0"));
/// # Ok::<(), annulus::inspect::UnknownAddress>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// A port of TCP; 0 is a free one.
    Tcp(SocketAddr),
    /// A Unix socket at a path, which only the user who made it may use.
    Unix(PathBuf),
}

impl Address {
    /// Whether only programs of this machine can reach it.
    ///
    /// ```
    /// use annulus::inspect::Address;
    ///
    /// assert!("[::1]:7070".parse::<Address>()?.is_local());
    /// assert!(!"0.0.0.0:7070".parse::<Address>()?.is_local());
    /// # Ok::<(), annulus::inspect::UnknownAddress>(())
    /// ```
    pub fn is_local(&self) -> bool {
        match self {
            Address::Unix(_) => true,
            Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
        }
    }

    /// The URL at which a client on this machine finds it.
    pub(super) fn url(&self) -> String {
        match self {
            Address::Tcp(address) => {
                // The address of all interfaces is nobody's to connect to.
                let ip = match address.ip() {
                    IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
                    IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
                    ip => ip,
                };
                format!("http://{}/", SocketAddr::new(ip, address.port()))
            }
            Address::Unix(path) => {
                let mut url = "http+unix://".to_owned();
                for byte in path.as_os_str().as_encoded_bytes() {
                    match byte {
                        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                            url.push(char::from(*byte));
                        }
                        _ => url.push_str(&format!("%{byte:02X}")),
                    }
                }
                url + "/"
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A text that is no address of an inspector. It says what to write instead, and becomes an [`io::Error`] by `?`.
///
/// # Examples
/// ```
/// let unknown = "nowhere".parse::<annulus::inspect::Address>().unwrap_err();
/// println!("{unknown}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAddress {
    text: String,
    remedy: String,
}

impl fmt::Display for UnknownAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no address of an inspector: {}", self.text, self.remedy)
    }
}

impl std::error::Error for UnknownAddress {}

impl From<UnknownAddress> for io::Error {
    fn from(error: UnknownAddress) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}

impl From<Infallible> for UnknownAddress {
    fn from(never: Infallible) -> UnknownAddress {
        match never {}
    }
}

/// Where `top` looks for the inspector of a process of which it knows the number: `annulus-PID.sock` in the user's folder for such things.
fn usual_path() -> PathBuf {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| "/tmp".into(), PathBuf::from);
    folder.join(format!("annulus-{}.sock", std::process::id()))
}

impl FromStr for Address {
    type Err = UnknownAddress;

    fn from_str(text: &str) -> Result<Address, UnknownAddress> {
        let wrong = |remedy: String| Err(UnknownAddress { text: text.to_owned(), remedy });
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.chars().next() {
                None => Ok(Address::Unix(usual_path())),
                // Whoever is on the machine may connect to such a name.
                Some('@' | '\0') => wrong(
                    "a name in the abstract namespace has no permissions: name a path, as in \
                     unix:/run/program.sock"
                        .to_owned(),
                ),
                Some(_) => Ok(Address::Unix(path.into())),
            };
        }
        if let Ok(address) = text.parse() {
            return Ok(Address::Tcp(address));
        }
        if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
            return Ok(Address::Tcp((Ipv4Addr::LOCALHOST, port).into()));
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        let port = text.strip_prefix(':').unwrap_or(text);
        wrong(match () {
            () if text.contains("://") => {
                "leave out what is in front of the address, and what is behind the \
                                           port, as in 127.0.0.1:7070"
                    .to_owned()
            }
            () if text.starts_with(['/', '.']) => format!("a Unix socket is written unix:{text}"),
            () if port.parse::<u16>().is_ok() => {
                format!("the address is missing: 127.0.0.1:{port} is for this machine alone")
            }
            () if bare.parse::<Ipv4Addr>().is_ok() || text == "localhost" => {
                format!("the port is missing: {text}:0 takes a free one")
            }
            () if bare.parse::<Ipv6Addr>().is_ok() => {
                format!("the port is missing: [{bare}]:0 takes a free one")
            }
            () => "say 127.0.0.1:7070, [::1]:7070 or unix:/run/program.sock; names are not looked up, and \
                   port 0 takes a free one"
                .to_owned(),
        })
    }
}

impl TryFrom<&str> for Address {
    type Error = UnknownAddress;

    fn try_from(text: &str) -> Result<Address, UnknownAddress> {
        text.parse()
    }
}

impl TryFrom<&String> for Address {
    type Error = UnknownAddress;

    fn try_from(text: &String) -> Result<Address, UnknownAddress> {
        text.parse()
    }
}

impl TryFrom<String> for Address {
    type Error = UnknownAddress;

    fn try_from(text: String) -> Result<Address, UnknownAddress> {
        text.parse()
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address::Tcp(address)
    }
}

/// A Unix socket at this path.
impl From<&Path> for Address {
    fn from(path: &Path) -> Address {
        Address::Unix(path.to_owned())
    }
}

/// A Unix socket at this path.
impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Address {
        Address::Unix(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remedy(text: &str) -> String {
        text.parse::<Address>().unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_address_is_told_what_to_write() {
        assert!(remedy("7070").contains("127.0.0.1:7070"));
        assert!(remedy(":7070").contains("127.0.0.1:7070"));
        assert!(remedy("::1").contains("[::1]:0"));
        assert!(remedy("[::1]").contains("[::1]:0"));
        assert!(remedy("localhost").contains("localhost:0"));
        assert!(remedy("/run/x.sock").contains("unix:/run/x.sock"));
        assert!(remedy("http://127.0.0.1:7070/").contains("127.0.0.1:7070"));
        let usual = "unix:".parse::<Address>().unwrap().to_string();
        assert!(usual.ends_with(&format!("annulus-{}.sock", std::process::id())), "{usual}");
        assert!(remedy("unix:@name").contains("permissions"));
        assert!(remedy("example.org:80").contains("names are not looked up"));
        assert!(remedy("").contains("127.0.0.1:7070"));
    }

    #[test]
    fn an_address_is_read_as_it_is_shown() {
        for text in ["127.0.0.1:7070", "[::1]:0", "0.0.0.0:1", "unix:/run/x.sock"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("localhost:9".parse::<Address>().unwrap().to_string(), "127.0.0.1:9");
    }

    #[test]
    fn what_only_looks_like_this_machine_is_public() {
        let is_local = |text: &str| text.parse::<Address>().unwrap().is_local();
        for local in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "unix:/x"] {
            assert!(is_local(local), "{local}");
        }
        for public in ["0.0.0.0:1", "[::]:1", "192.168.0.1:1", "[::ffff:10.0.0.1]:1", "[fe80::1]:1"] {
            assert!(!is_local(public), "{public}");
        }
    }

    #[test]
    fn a_url_is_one_that_a_client_here_can_open() {
        let url = |text: &str| text.parse::<Address>().unwrap().url();
        assert_eq!(url("0.0.0.0:7"), "http://127.0.0.1:7/");
        assert_eq!(url("[::]:7"), "http://[::1]:7/");
        assert_eq!(url("unix:/run/x y.sock"), "http+unix://%2Frun%2Fx%20y.sock/");
    }
}
