//! Keep-alive of TCP, as one value.

use std::io;
use std::time::Duration;

#[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
use super::options::{of_number, seconds};
#[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
use super::{TcpListener, TcpSocket, TcpStream};
#[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
use crate::driver::{NumberOption, Property};
#[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
use crate::net::socket;

/// When, and how often, a peer is asked that has not been heard of. What is None is the system's choice.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use annulus::net::Keepalive;
///
/// // After a minute of silence, then each ten seconds; after six questions without an answer it is gone.
/// let keepalive = Keepalive::new()
///     .with_time(Duration::from_secs(60))
///     .with_interval(Duration::from_secs(10))
///     .with_retries(6);
/// assert_eq!(keepalive.time(), Some(Duration::from_secs(60)));
/// assert_eq!(keepalive.interval(), Some(Duration::from_secs(10)));
/// assert_eq!(keepalive.retries(), Some(6));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keepalive {
    time: Option<Duration>,
    interval: Option<Duration>,
    retries: Option<u32>,
}

impl Keepalive {
    /// All is left to the system.
    pub const fn new() -> Keepalive {
        Keepalive { time: None, interval: None, retries: None }
    }

    /// After how long a silence the peer is asked. Whole seconds, rounded up; on Linux from 1 to 32767.
    pub const fn with_time(mut self, span: Duration) -> Keepalive {
        self.time = Some(span);
        self
    }

    /// How long after a question the next one. Whole seconds, rounded up; on Linux from 1 to 32767.
    pub const fn with_interval(mut self, span: Duration) -> Keepalive {
        self.interval = Some(span);
        self
    }

    /// After how many questions without an answer the connection is given up; on Linux from 1 to 127.
    pub const fn with_retries(mut self, count: u32) -> Keepalive {
        self.retries = Some(count);
        self
    }

    /// After how long a silence the peer is asked.
    pub const fn time(&self) -> Option<Duration> {
        self.time
    }

    /// How long after a question the next one.
    pub const fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// After how many questions without an answer the connection is given up.
    pub const fn retries(&self) -> Option<u32> {
        self.retries
    }
}

/// Keep-alive as one value, on all types.
#[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
macro_rules! keepalive {
    ($($of:ty),*) => {
        $(#[cfg_attr(docsrs, doc(cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))))]
        impl $of {
            /// Lets the system find out by itself that a silent peer is gone, and says when and how often it asks. It
            /// turns keep-alive on; [`set_keepalive`](Self::set_keepalive) turns it off.
            ///
            /// # Errors
            /// Those of setsockopt(2); what was set before the one that failed stays.
            ///
            /// # Examples
            /// ```
            /// # fn main() -> std::io::Result<()> {
            /// use std::time::Duration;
            /// use annulus::net::{Keepalive, TcpSocket};
            ///
            /// annulus::run(async {
            ///     let socket = TcpSocket::new_v4().await?;
            ///     socket.set_tcp_keepalive(&Keepalive::new().with_time(Duration::from_secs(60)))?;
            ///     let keepalive = socket.tcp_keepalive()?.expect("it was turned on");
            ///     assert_eq!(keepalive.time(), Some(Duration::from_secs(60)));
            ///     Ok(())
            /// })?
            /// # }
            /// ```
            pub fn set_tcp_keepalive(&self, keepalive: &Keepalive) -> io::Result<()> {
                keepalive.set(self.socket())?;
                self.set_keepalive(true)
            }

            /// When and how often the system asks a silent peer. None if it does not.
            ///
            /// # Errors
            /// Those of getsockopt(2).
            ///
            /// # Examples
            /// As [`set_tcp_keepalive`](Self::set_tcp_keepalive).
            pub fn tcp_keepalive(&self) -> io::Result<Option<Keepalive>> {
                if self.keepalive()? { Keepalive::of(self.socket()).map(Some) } else { Ok(None) }
            }
        })*
    };
}

#[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
keepalive! { TcpSocket, TcpStream, TcpListener }

#[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
impl Keepalive {
    fn set(&self, to: &crate::driver::Descriptor) -> io::Result<()> {
        let settings = [
            (NumberOption::KeepaliveTime, self.time.map(|span| seconds(Some(span)))),
            (NumberOption::KeepaliveInterval, self.interval.map(|span| seconds(Some(span)))),
            (NumberOption::KeepaliveRetries, self.retries),
        ];
        for (option, number) in settings {
            if let Some(number) = number {
                socket::set(to, of_number(option, number))?;
            }
        }
        Ok(())
    }

    fn of(of: &crate::driver::Descriptor) -> io::Result<Keepalive> {
        let number = |option| socket::number(of, Property::Number(option));
        Ok(Keepalive::new()
            .with_time(Duration::from_secs(number(NumberOption::KeepaliveTime)?))
            .with_interval(Duration::from_secs(number(NumberOption::KeepaliveInterval)?))
            .with_retries(number(NumberOption::KeepaliveRetries)? as u32))
    }
}
