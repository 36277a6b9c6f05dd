//! Which of several addresses a connection is made to: the first that answers (RFC 8305).

use std::collections::VecDeque;
use std::error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::SockAddr;

use crate::driver::Descriptor;
use crate::net::addresses::{ToSocketAddrs, resolve};
use crate::net::socket;
use crate::op::{Connect, Submitted};
use crate::time::{Sleep, sleep};

/// How long an attempt is waited for before the next one begins beside it: RFC 8305, section 8.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The addresses that a connection was tried to, and why it was not made. What an error wraps that
/// [`TcpStream::connect`](super::TcpStream::connect) gives for more than one address, or that
/// [`connect_timeout`](super::TcpStream::connect_timeout) gives when the time is up.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::{ConnectFailure, TcpStream};
///
/// annulus::run(async {
///     // Nobody listens at port 1, as a rule.
///     let addresses = ["127.0.0.1:1".parse().unwrap(), "127.0.0.2:1".parse().unwrap()];
///     if let Err(error) = TcpStream::connect(&addresses[..]).await {
///         for (address, why) in ConnectFailure::of(&error).unwrap().attempts() {
///             println!("{address} was tried: {why}");
///         }
///     }
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ConnectFailure {
    attempts: Vec<(SocketAddr, io::Error)>,
}

impl ConnectFailure {
    /// What an error wraps, if it is of this kind.
    pub fn of(error: &io::Error) -> Option<&ConnectFailure> {
        error.get_ref()?.downcast_ref()
    }

    /// Each address that was tried and why that failed, in the order in which they failed.
    pub fn attempts(&self) -> &[(SocketAddr, io::Error)] {
        &self.attempts
    }

    fn into_error(self) -> io::Error {
        // Of equal ones the last.
        let telling = self.attempts.iter().map(|(_, error)| error.kind()).max_by_key(|kind| weight(*kind));
        io::Error::new(telling.unwrap_or(ErrorKind::InvalidInput), self)
    }
}

/// How much a kind says of the other end: a refusal comes from there, while an unreachable network may be only version 6
/// that this machine does not have.
fn weight(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable | ErrorKind::AddrNotAvailable => 0,
        ErrorKind::TimedOut => 2,
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => 3,
        _ => 1,
    }
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (address, error)) in self.attempts.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{address}: {error}")?;
        }
        Ok(())
    }
}

impl error::Error for ConnectFailure {}

/// A socket that is connected to the first of the addresses that answers.
pub(super) async fn connect(target: impl ToSocketAddrs) -> io::Result<Descriptor> {
    let addresses = resolve(target).await?;
    match addresses[..] {
        [only] => attempt(only).await,
        // In a box: where there is one address, as there mostly is, the future is no larger for it.
        _ => Box::pin(race(addresses)).await,
    }
}

/// As `connect`, for at most `span`.
pub(super) async fn connect_within(target: impl ToSocketAddrs, span: Duration) -> io::Result<Descriptor> {
    let mut deadline = sleep(span);
    let resolved = before(&mut deadline, resolve(target)).await.unwrap_or_else(|| {
        let text = format!("the name was not resolved within {span:?}: its servers do not answer");
        Err(io::Error::new(ErrorKind::TimedOut, text))
    });
    let mut race = Race::new(resolved?);
    match before(&mut deadline, poll_fn(|cx| race.poll(cx))).await {
        Some(outcome) => outcome.map_err(|mut failure| match failure.attempts.len() {
            1 => failure.attempts.remove(0).1,
            _ => failure.into_error(),
        }),
        None => Err(race.out_of_time(span).into_error()),
    }
}

/// None if the deadline was there first.
async fn before<T>(deadline: &mut Sleep, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Pin::new(&mut *deadline).poll(cx).map(|()| None),
    })
    .await
}

async fn attempt(address: SocketAddr) -> io::Result<Descriptor> {
    let socket = socket::tcp(&address).await?;
    Submitted::new(Connect::new(socket.hold(), SockAddr::from(address))).await?;
    Ok(socket)
}

async fn race(addresses: Vec<SocketAddr>) -> io::Result<Descriptor> {
    let mut race = Race::new(addresses);
    poll_fn(|cx| race.poll(cx)).await.map_err(ConnectFailure::into_error)
}

type Attempt = Pin<Box<dyn Future<Output = io::Result<Descriptor>>>>;

/// Attempts, the later ones beside those that were not answered soon.
struct Race {
    to_try: VecDeque<SocketAddr>,
    under_way: Vec<(SocketAddr, Attempt)>,
    failure: ConnectFailure,
    /// Until the next one begins.
    patience: Sleep,
}

impl Race {
    fn new(addresses: Vec<SocketAddr>) -> Race {
        Race {
            to_try: by_turns(addresses),
            under_way: Vec::new(),
            failure: ConnectFailure { attempts: Vec::new() },
            patience: sleep(ATTEMPT_DELAY),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Descriptor, ConnectFailure>> {
        loop {
            let mut is_due = self.under_way.is_empty();
            let mut place = 0;
            while let Some((address, attempt)) = self.under_way.get_mut(place) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(socket)) => return Poll::Ready(Ok(socket)),
                    Poll::Ready(Err(error)) => {
                        self.failure.attempts.push((*address, error));
                        drop(self.under_way.remove(place));
                        is_due = true;
                    }
                    Poll::Pending => place += 1,
                }
            }
            if self.to_try.is_empty() {
                if !self.under_way.is_empty() {
                    return Poll::Pending;
                }
                let attempts = std::mem::take(&mut self.failure.attempts);
                return Poll::Ready(Err(ConnectFailure { attempts }));
            }
            if !is_due && Pin::new(&mut self.patience).poll(cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(address) = self.to_try.pop_front() {
                self.under_way.push((address, Box::pin(attempt(address))));
                self.patience = sleep(ATTEMPT_DELAY);
            }
        }
    }

    /// What there is to say when nobody waits any longer.
    fn out_of_time(mut self, span: Duration) -> ConnectFailure {
        let silent = self.under_way.drain(..).map(|(address, _)| (address, "no answer"));
        let others = self.to_try.drain(..).map(|address| (address, "not tried"));
        let text = |what| io::Error::new(ErrorKind::TimedOut, format!("{what} within {span:?}"));
        self.failure.attempts.extend(silent.chain(others).map(|(address, what)| (address, text(what))));
        self.failure
    }
}

/// Versions 6 and 4 by turns, beginning with that of the first address; those of a version in their order.
fn by_turns(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut ones, mut others): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut mixed = VecDeque::with_capacity(ones.len() + others.len());
    while !ones.is_empty() || !others.is_empty() {
        mixed.extend(ones.pop_front());
        mixed.extend(others.pop_front());
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_take_turns() {
        let turns = |texts: &[&str]| {
            let addresses = texts.iter().map(|text| text.parse().unwrap()).collect();
            by_turns(addresses).iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            turns(&["[::1]:1", "[::2]:1", "1.1.1.1:1", "2.2.2.2:1"]),
            "[::1]:1 1.1.1.1:1 [::2]:1 2.2.2.2:1"
        );
        assert_eq!(
            turns(&["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1", "[::1]:1"]),
            "1.1.1.1:1 [::1]:1 2.2.2.2:1 3.3.3.3:1"
        );
        assert_eq!(turns(&["2.2.2.2:1", "1.1.1.1:1"]), "2.2.2.2:1 1.1.1.1:1");
        assert_eq!(turns(&[]), "");
    }

    #[test]
    fn the_most_telling_kind_is_told() {
        let kind = |kinds: &[ErrorKind]| {
            let address = SocketAddr::from(([127, 0, 0, 1], 1));
            let attempts = kinds.iter().map(|kind| (address, io::Error::from(*kind))).collect();
            ConnectFailure { attempts }.into_error().kind()
        };
        use ErrorKind::{ConnectionRefused, NetworkUnreachable, PermissionDenied, TimedOut};
        assert_eq!(kind(&[ConnectionRefused, NetworkUnreachable]), ConnectionRefused);
        assert_eq!(kind(&[NetworkUnreachable, TimedOut, NetworkUnreachable]), TimedOut);
        assert_eq!(kind(&[NetworkUnreachable, PermissionDenied]), PermissionDenied);
    }
}
