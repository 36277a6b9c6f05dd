//! Signals that the operating system sends to this process. signal(7)
//!
//! Each [`Signal`] is a listener of its own: several loops of a process each get theirs. What comes several times before it is
//! looked at may be told once, as the system itself does.
//!
//! Once a kind of signal was listened for it does not do any more what it does by default, to end the process for example, also
//! when no listener is left.
//!
//! Signals are the machine's: in a simulated world listening says `Unsupported`.

use std::fmt;
use std::io;

use crate::engine::current_port;
use crate::io::PipeReader;
use crate::sys::signal::{self, Listener};

/// A kind of signal.
///
/// # Examples
/// ```
/// use annulus::signal::SignalKind;
///
/// assert_eq!(SignalKind::hangup(), SignalKind::from_raw(1));
/// assert_eq!(SignalKind::terminate().as_raw(), 15);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignalKind(i32);

impl SignalKind {
    /// By its number.
    pub const fn from_raw(number: i32) -> SignalKind {
        SignalKind(number)
    }

    /// Its number.
    pub const fn as_raw(self) -> i32 {
        self.0
    }

    /// SIGALRM: a timer of the process.
    ///
    /// # Examples
    /// ```
    /// use annulus::signal::SignalKind;
    ///
    /// assert_eq!(SignalKind::alarm().as_raw(), libc::SIGALRM);
    /// assert_eq!(SignalKind::child().as_raw(), libc::SIGCHLD);
    /// assert_eq!(SignalKind::interrupt().as_raw(), libc::SIGINT);
    /// assert_eq!(SignalKind::pipe().as_raw(), libc::SIGPIPE);
    /// assert_eq!(SignalKind::quit().as_raw(), libc::SIGQUIT);
    /// assert_eq!(SignalKind::user_defined1().as_raw(), libc::SIGUSR1);
    /// assert_eq!(SignalKind::user_defined2().as_raw(), libc::SIGUSR2);
    /// assert_eq!(SignalKind::window_change().as_raw(), libc::SIGWINCH);
    /// ```
    pub const fn alarm() -> SignalKind {
        SignalKind(libc::SIGALRM)
    }

    /// SIGCHLD: a child has ended, or stopped.
    ///
    /// # Examples
    /// As [`alarm`](Self::alarm).
    pub const fn child() -> SignalKind {
        SignalKind(libc::SIGCHLD)
    }

    /// SIGHUP: the terminal is gone; for many servers, to read their settings again.
    pub const fn hangup() -> SignalKind {
        SignalKind(libc::SIGHUP)
    }

    /// SIGINT: Ctrl-C.
    ///
    /// # Examples
    /// As [`alarm`](Self::alarm).
    pub const fn interrupt() -> SignalKind {
        SignalKind(libc::SIGINT)
    }

    /// SIGPIPE: something was written that nobody reads. Rust programs ignore it.
    ///
    /// # Examples
    /// As [`alarm`](Self::alarm).
    pub const fn pipe() -> SignalKind {
        SignalKind(libc::SIGPIPE)
    }

    /// SIGQUIT: Ctrl-\.
    ///
    /// # Examples
    /// As [`alarm`](Self::alarm).
    pub const fn quit() -> SignalKind {
        SignalKind(libc::SIGQUIT)
    }

    /// SIGTERM: to end in an orderly way.
    pub const fn terminate() -> SignalKind {
        SignalKind(libc::SIGTERM)
    }

    /// SIGUSR1.
    ///
    /// # Examples
    /// As [`alarm`](Self::alarm).
    pub const fn user_defined1() -> SignalKind {
        SignalKind(libc::SIGUSR1)
    }

    /// SIGUSR2.
    ///
    /// # Examples
    /// As [`alarm`](Self::alarm).
    pub const fn user_defined2() -> SignalKind {
        SignalKind(libc::SIGUSR2)
    }

    /// SIGWINCH: the terminal's size has changed.
    ///
    /// # Examples
    /// As [`alarm`](Self::alarm).
    pub const fn window_change() -> SignalKind {
        SignalKind(libc::SIGWINCH)
    }
}

impl From<SignalKind> for i32 {
    fn from(kind: SignalKind) -> i32 {
        kind.0
    }
}

/// Listens for a kind of signal from now on.
///
/// # Errors
/// `InvalidInput` for signals that nobody can listen for: SIGKILL, SIGSTOP, and those that say that this process is broken (SIGSEGV,
/// SIGILL, SIGFPE). Those of pipe(2): EMFILE means that descriptors are used up. `Unsupported` in a simulated world.
///
/// # Panics
/// Outside of a running loop.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::signal::{SignalKind, signal};
///
/// annulus::run(async {
///     let mut hangups = signal(SignalKind::hangup())?;
///     let me = std::process::id().to_string();
///     annulus::process::Command::new("kill").args(["-HUP", &me]).status().await?;
///     hangups.recv().await?;
///     println!("read the settings again");
///     Ok(())
/// })?
/// # }
/// ```
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    if current_port().is_simulated() {
        let text = "a simulated world gets no signals: they are sent to the process that it runs in";
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    if signal::FORBIDDEN.contains(&kind.0) {
        let text = format!(
            "nobody can listen for signal {}: SIGKILL, SIGSTOP and faults are not handed to programs",
            kind.0
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let (listener, reader) = Listener::new(kind.0)?;
    Ok(Signal { _listener: listener, pipe: PipeReader::from_std(reader)?, kind, buffer: Vec::new() })
}

/// Waits for Ctrl-C: SIGINT.
///
/// # Errors
/// As [`signal`].
///
/// # Cancel safety
/// One that comes when nobody waits is lost; for a loop make one [`Signal`] and keep it.
///
/// # Examples
/// ```no_run
/// # async fn serve() {}
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     let serving = annulus::spawn(serve());
///     annulus::signal::ctrl_c().await?;
///     serving.abort();
///     Ok(())
/// })?
/// # }
/// ```
pub async fn ctrl_c() -> io::Result<()> {
    signal(SignalKind::interrupt())?.recv().await
}

/// Listens for a kind of signal. Made by [`signal`].
///
/// # Examples
/// As [`signal`].
pub struct Signal {
    /// In front of the pipe: nobody writes any more when that is closed.
    _listener: Listener,
    /// The handler writes a byte for each; what has no room is told already.
    pipe: PipeReader,
    kind: SignalKind,
    buffer: Vec<u8>,
}

/// As much as the pipe holds.
const ALL: usize = 4096;

impl Signal {
    /// Waits until the signal has come since this was last asked.
    ///
    /// # Errors
    /// Those of read(2), which means that the loop has ended.
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it.
    ///
    /// # Examples
    /// As [`signal`].
    pub async fn recv(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.reserve_exact(ALL);
        let (result, buffer) = self.pipe.read(buffer).await;
        self.buffer = buffer;
        result.map(drop)
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signal").field(&self.kind).finish()
    }
}
