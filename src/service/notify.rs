//! Telling the service manager how this process is. sd_notify(3)
//!
//! One datagram a message, to the socket that NOTIFY_SOCKET names. Our own lines, because the crate for it knows no abstract
//! names and waits without an end for a manager that does not read.

use std::ffi::OsString;
use std::io;
#[cfg(target_os = "android")]
use std::os::android::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use super::is_simulated;
use super::predecessor::predecessor;
use super::variable::{number, wrong};
use crate::sys;

/// systemd reads so much of a message (PIPE_BUF), and ignores one that is longer.
const BYTES_MAX: usize = 4096;

/// How long a message waits for room in the manager's queue, and the loop with it.
const PATIENCE: Duration = Duration::from_millis(100);

/// Says that this process serves. The manager goes on with what waited for that; a predecessor hands over and may end, and the
/// manager is told that this is now the service's main process (MAINPID).
///
/// `Ok(false)`: nobody asked.
///
/// # Errors
/// As [`notify`]; the predecessor was told all the same.
///
/// # Examples
/// ```
/// // A server goes on, whatever the manager has to say to that.
/// if let Err(error) = annulus::service::ready() {
///     eprintln!("the service manager does not know that this server is ready: {error}");
/// }
/// ```
pub fn ready() -> io::Result<bool> {
    // A variable that is no predecessor's is `inherited`'s to complain of.
    let predecessor = if is_simulated() { None } else { predecessor().unwrap_or_default() };
    let Some(predecessor) = predecessor else { return notify("READY=1") };
    // The manager first: who is told ends, and the manager would take that for the end of the service.
    let manager = notify(&format!("READY=1\nMAINPID={}", std::process::id()));
    let heard = predecessor.tell();
    manager.map(|asked| asked || heard)
}

/// Says that this process is about to end.
///
/// `Ok(false)`: nobody asked.
///
/// # Errors
/// As [`notify`].
///
/// # Examples
/// ```
/// let _ = annulus::service::stopping();
/// ```
pub fn stopping() -> io::Result<bool> {
    notify("STOPPING=1")
}

/// Says that this process reads its settings again, or is being replaced; when that is done, [`ready`] says so. With
/// `Type=notify-reload` systemd waits for both.
///
/// `Ok(false)`: nobody asked.
///
/// # Errors
/// As [`notify`].
///
/// # Examples
/// ```
/// # fn read_the_settings() {}
/// let _ = annulus::service::reloading();
/// read_the_settings();
/// let _ = annulus::service::ready();
/// ```
pub fn reloading() -> io::Result<bool> {
    // The moment tells a message apart from one that was sent before the manager asked.
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={}", sys::clock::now() / 1000))
}

/// Says in a line for people what this process does: `systemctl status` shows it.
///
/// `Ok(false)`: nobody asked.
///
/// # Errors
/// `InvalidInput`: it is more than a line. Otherwise as [`notify`].
///
/// # Examples
/// ```
/// let _ = annulus::service::status("12 connections, 3 of them busy");
/// ```
pub fn status(line: &str) -> io::Result<bool> {
    // Each line of a message is an assignment of its own.
    if line.contains('\n') {
        let text =
            "a status is one line: what follows would be taken for another message to the service manager";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    notify(&format!("STATUS={line}"))
}

/// Says that this process is alive. Within each [`watchdog`] interval the manager wants to hear it once.
///
/// `Ok(false)`: nobody asked.
///
/// # Errors
/// As [`notify`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::{service, time};
///
/// annulus::run(async {
///     if let Some(span) = service::watchdog()? {
///         drop(annulus::spawn(async move {
///             loop {
///                 let _ = service::alive();
///                 time::sleep(span / 2).await;
///             }
///         }));
///     }
///     Ok(())
/// })?
/// # }
/// ```
pub fn alive() -> io::Result<bool> {
    notify("WATCHDOG=1")
}

/// Within which time the manager wants to hear that this process is [alive](alive), or ends it: `WatchdogSec=` of a unit.
/// Speak twice as often. None if it does not watch this process. A successor is watched if its predecessor was.
///
/// # Errors
/// `InvalidData`: WATCHDOG_USEC is no number above 0, or WATCHDOG_PID is no number. See sd_watchdog_enabled(3).
///
/// # Examples
/// See [`alive`].
pub fn watchdog() -> io::Result<Option<Duration>> {
    if is_simulated() {
        return Ok(None);
    }
    let Some(span) = number::<u64>("WATCHDOG_USEC")? else { return Ok(None) };
    if span == 0 {
        return Err(wrong("WATCHDOG_USEC", "is no time"));
    }
    let is_meant = match number::<u32>("WATCHDOG_PID")? {
        None => true,
        Some(process) if process == std::process::id() => true,
        // `Successor` has put its own process there, which was watched: so is this one, and none of its children.
        Some(process) => predecessor()?.is_some_and(|before| before.process == process),
    };
    Ok(is_meant.then_some(Duration::from_micros(span)))
}

/// Sends the service manager a message of sd_notify(3): assignments, one a line.
///
/// `Ok(false)`: nobody asked, there is no NOTIFY_SOCKET in the environment. `Ok(true)` says that the message is in the manager's
/// queue; that it is heeded is up to the unit's `NotifyAccess=`. It is one datagram, and waits a tenth of a second at most.
///
/// # Errors
/// `InvalidInput`: the message is longer than the 4096 bytes that a manager reads. `TimedOut`: it does not read at all.
/// `NotFound` or `ConnectionRefused`: its socket is gone. `Unsupported`: the socket's name is neither a path nor, on Linux,
/// an abstract one (`@`). A server may ignore them all.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// // It takes longer than `TimeoutStartSec=` says, but it goes on.
/// let is_asked = annulus::service::notify("EXTEND_TIMEOUT_USEC=5000000\nSTATUS=reading the index")?;
/// println!("a service manager listens: {is_asked}");
/// # Ok(())
/// # }
/// ```
pub fn notify(message: &str) -> io::Result<bool> {
    let name = match std::env::var_os("NOTIFY_SOCKET") {
        Some(name) if !name.is_empty() && !is_simulated() => name,
        _ => return Ok(false),
    };
    if message.len() > BYTES_MAX {
        let text = format!(
            "a message of {} bytes: service managers read {BYTES_MAX} and ignore what is longer",
            message.len()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    send(&name, message.as_bytes()).map(|()| true).map_err(|error| {
        let (kind, what) = match error.kind() {
            io::ErrorKind::WouldBlock => {
                (io::ErrorKind::TimedOut, "the service manager does not read".to_owned())
            }
            kind => (kind, error.to_string()),
        };
        io::Error::new(kind, format!("NOTIFY_SOCKET={name:?}: {what}"))
    })
}

fn send(name: &OsString, message: &[u8]) -> io::Result<()> {
    let manager = address(name)?;
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    loop {
        // A datagram goes as a whole or not at all.
        match socket.send_to_addr(message, &manager) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            sent => return sent.map(drop),
        }
    }
}

fn address(name: &OsString) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name),
        #[cfg(any(target_os = "linux", target_os = "android"))]
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "neither a path nor an abstract name of Linux")),
    }
}
