//! Starting the program that takes over from this one.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::is_simulated;
use super::notify::{notify, watchdog};
use super::predecessor::{READY, VARIABLE, describe};
use crate::net::UnixStream;
use crate::process::{Child, Command, ExitStatus};
use crate::sys::inherit::{self, FIRST};
use crate::time::timeout;

/// A manager's limit for names; so is ours.
const NAME_BYTES_MAX: usize = 255;

/// A process that takes over from this one, with listening sockets of this one.
///
/// Both have the same sockets, and a connection that comes is given to whoever accepts it. So this process goes on
/// accepting until the other one says that it is ready; then it drops its listeners, finishes what it has begun, and ends. What
/// nobody has accepted yet waits in the sockets' queues.
///
/// The successor does not depend on this process: it runs on when this one ends. Dropping the `Successor` leaves it running;
/// the loop reaps it if it ends before the loop does. It inherits the environment, the directory and the standard streams as
/// `command` says; of descriptors, the sockets alone.
///
/// # Examples
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::net::TcpListener;
/// use annulus::service::{self, Successor};
/// use annulus::signal::{SignalKind, signal};
/// use std::os::fd::AsFd;
///
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:8080").await?;
///     let mut hangups = signal(SignalKind::hangup())?;
///     // While other tasks accept from the listener:
///     loop {
///         hangups.recv().await?;
///         let socket = listener.with_fd(|socket| socket.try_clone_to_owned())??;
///         let mut successor = Successor::start(service::program()?, &[("web", socket.as_fd())])?;
///         match successor.ready(Duration::from_secs(30)).await {
///             Ok(()) => break,
///             // This process still serves.
///             Err(error) => eprintln!("the new program does not take over: {error}"),
///         }
///     }
///     drop(listener);
///     std::io::Result::Ok(())
/// })?
/// # }
/// ```
pub struct Successor {
    number: u32,
    child: Child,
    /// Where it says that it is ready. None once it has.
    channel: Option<UnixStream>,
}

impl Successor {
    /// Starts `command`, [`program`](super::program) for example, with these sockets, which it gets by
    /// [`inherited`](super::inherited) under these names. Their descriptors are 3, 4 and so on in it, in this order; this
    /// process keeps its own.
    ///
    /// A program that does not use this crate finds in the variable `ANNULUS_INHERITED` how many sockets there are, the number
    /// of this process, and the names, with colons in between; the descriptor after the last socket is a stream,
    /// to which it writes `!` when it is ready. LISTEN_PID cannot be set for it, since std makes its environment
    /// before it has a number; what this process had of LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES is taken out.
    ///
    /// On Linux (5.11) no other descriptor reaches it, also not what some library has opened without close-on-exec, or
    /// `command` lets through. It takes about a millisecond, which the loop waits.
    ///
    /// # Errors
    /// `InvalidInput`: a name has a colon, a control character or another that is not ASCII, or is longer than 255 bytes. Those
    /// of fork(2) and execve(2): `NotFound` if there is no such program. EMFILE: descriptors are used up. `Unsupported` in a
    /// simulated world.
    ///
    /// # Panics
    /// Outside of a running loop.
    pub fn start(
        mut command: std::process::Command,
        sockets: &[(&str, BorrowedFd<'_>)],
    ) -> io::Result<Successor> {
        if is_simulated() {
            let text = "a simulated world has no processes: the program that takes over is not simulated";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        let names: Vec<_> = sockets.iter().map(|(name, _)| *name).collect();
        names.iter().try_for_each(|name| check(name))?;

        let (own, other) = StdStream::pair()?;
        let channel = UnixStream::from_std(own)?;
        // What the successor gets, and behind it the way back; above the numbers that they will have.
        let end = FIRST + sockets.len() as i32 + 1;
        let given = sockets.iter().map(|(_, socket)| *socket).chain([other.as_fd()]);
        let given =
            given.map(|socket| inherit::duplicate_from(socket, end)).collect::<io::Result<Vec<_>>>()?;
        let _kept_free = keep_free(&other, end)?;
        inherit::give(&mut command, given);

        command.env(VARIABLE, describe(&names));
        for variable in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
            command.env_remove(variable);
        }
        if let Ok(Some(_)) = watchdog() {
            command.env("WATCHDOG_PID", std::process::id().to_string());
        }
        // The command goes when this returns, and the duplicates with it.
        let child = Command::from(command).spawn()?;
        let number = child.id().expect("nobody has asked for its end yet");
        Ok(Successor { number, child, channel: Some(channel) })
    }

    /// Its number. Once its end was told the number may be another process's.
    ///
    /// # Examples
    /// As [`Successor`].
    pub fn pid(&self) -> u32 {
        self.number
    }

    /// Waits until it has said that it is [ready](super::ready); then tells the service manager, if there is one, that the
    /// service is the other process now (MAINPID). Asked again after that, it is ready.
    ///
    /// One that has not said it within `limit` is ended by SIGKILL: it has the sockets, and would begin to serve beside
    /// this process when nobody expects it any more.
    ///
    /// # Errors
    /// `TimedOut`: it was not ready within `limit`, and was ended. `Other`: it ended before it had said so, or
    /// at once when it had; the error wraps [`EndedEarly`], which says how. This process goes on as if there had been none.
    ///
    /// # Cancel safety
    /// Dropping it leaves the successor as it is; ask again.
    pub async fn ready(&mut self, limit: Duration) -> io::Result<()> {
        let Some(channel) = &self.channel else { return Ok(()) };
        let Ok(heard) = timeout(limit, hear(channel, &mut self.child)).await else {
            // It may have told the manager in this very moment that it is the service: the manager must not take its end for
            // the service's.
            let _ = notify(&format!("MAINPID={}", std::process::id()));
            self.child.kill().await?;
            let text = format!(
                "the successor (process {}) was not ready within {limit:?}, and was ended: does it call annulus::service::ready?",
                self.number
            );
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        };
        if let Err(error) = heard {
            // It may have said that it is the service, and is gone.
            let _ = notify(&format!("MAINPID={}", std::process::id()));
            return Err(error);
        }
        self.channel = None;
        // The successor has said so as well; but with `NotifyAccess=main` the manager listens to this process alone.
        let _ = notify(&format!("MAINPID={}", self.number));
        Ok(())
    }
}

impl Successor {
    /// Ends it by SIGKILL, ready or not, and tells the service manager, if there is one, that the service is this process.
    ///
    /// # Errors
    /// Those of kill(2) and of waiting for its end.
    ///
    /// # Cancel safety
    /// After dropping it, it ends all the same.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::service::Successor;
    ///
    /// annulus::run(async {
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let mut command = std::process::Command::new("sleep");
    ///     command.arg("1000");
    ///     Successor::start(command, &[])?.end().await
    /// })?
    /// # }
    /// ```
    pub async fn end(&mut self) -> io::Result<()> {
        let _ = notify(&format!("MAINPID={}", std::process::id()));
        self.child.kill().await
    }
}

impl fmt::Debug for Successor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.channel.is_none();
        f.debug_struct("Successor")
            .field("pid", &self.number)
            .field("is_ready", &said)
            .finish_non_exhaustive()
    }
}

/// Waits for the word of a successor, or for its end.
async fn hear(channel: &UnixStream, child: &mut Child) -> io::Result<()> {
    let said = {
        let word = pin!(channel.read(Vec::with_capacity(1)));
        // A child of its own may keep the way back open: so its end is waited for as well.
        let end = pin!(child.wait());
        match select(word, end).await {
            Either::Left(((Ok(_), word), _)) => word == READY,
            Either::Left(_) | Either::Right(_) => false,
        }
    };
    let status = match said {
        // Word and end may be there at once, and nobody is to hand over to who is gone.
        true => child.try_wait()?,
        // It can say nothing any more: what is left is its end.
        false => Some(child.wait().await?),
    };
    status.map_or(Ok(()), |status| Err(io::Error::other(EndedEarly { status })))
}

/// Occupies what is free of the numbers below `end`, until it is dropped. std makes a pipe, by which a program that cannot be
/// started says so, before it forks; at one of those numbers the child would put a socket in its place.
///
/// Another thread may close one of its own descriptors there in the same moment, and the pipe be made at that number. A program that
/// cannot be started is then told by [`Successor::ready`], as one that ended: later than it might be, but it is told.
fn keep_free(any: &impl AsFd, end: i32) -> io::Result<Vec<OwnedFd>> {
    let mut kept = Vec::new();
    loop {
        let one = inherit::duplicate_from(any.as_fd(), FIRST)?;
        if one.as_raw_fd() >= end {
            return Ok(kept);
        }
        kept.push(one);
    }
}

/// As systemd has it for names of descriptors.
fn check(name: &str) -> io::Result<()> {
    let is_fine = |byte: u8| byte == b' ' || (byte.is_ascii_graphic() && byte != b':');
    if name.len() <= NAME_BYTES_MAX && name.bytes().all(is_fine) {
        return Ok(());
    }
    let text = format!(
        "{name:?} is no name of a socket: up to 255 characters of ASCII, none of them a colon or a line's end"
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// A successor ended before it took over: what the error of [`Successor::ready`] wraps.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use annulus::service::{EndedEarly, Successor};
///
/// annulus::run(async {
///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
///     let mut successor = Successor::start(std::process::Command::new("false"), &[])?;
///     let error = successor.ready(Duration::from_secs(10)).await.unwrap_err();
///     let ended = error.get_ref().and_then(|inner| inner.downcast_ref::<EndedEarly>());
///     assert_eq!(ended.unwrap().status().code(), Some(1));
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Debug)]
pub struct EndedEarly {
    status: ExitStatus,
}

impl EndedEarly {
    /// How it ended.
    pub fn status(&self) -> ExitStatus {
        self.status
    }
}

impl fmt::Display for EndedEarly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status;
        write!(
            f,
            "the successor ended before it took over ({status}): what it wrote to standard error says more"
        )
    }
}

impl std::error::Error for EndedEarly {}
