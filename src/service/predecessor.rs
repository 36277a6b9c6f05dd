//! The process that this one takes over from, as told by [`Successor`](super::Successor): a variable says what is given, and the last
//! of the descriptors is the way to answer.
//!
//! A variable is inherited by children of children, for which it is not meant. So the way back says whom it is for (F_SETOWN):
//! the process whose program was started with it. Nobody else believes the variable.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::sys::inherit;

/// `3:1234:web:admin:metrics`: how many sockets, the predecessor's number, the sockets' names.
pub(super) const VARIABLE: &str = "ANNULUS_INHERITED";

/// What a successor says when it is ready.
pub(super) const READY: &[u8] = b"!";

pub(super) struct Predecessor {
    /// Its number.
    pub(super) process: u32,
    /// Of the sockets that it gave, from descriptor 3 on.
    pub(super) names: Vec<String>,
    /// Which process it was told to; a fork of it is not the successor.
    heir: u32,
    /// The way back. None once it is said that this process is ready.
    channel: Mutex<Option<OwnedFd>>,
}

/// What the variable says to a successor of this process.
pub(super) fn describe(names: &[&str]) -> String {
    let mut text = format!("{}:{}", names.len(), std::process::id());
    for name in names {
        text.extend([":", name]);
    }
    text
}

/// Whom this process takes over from; None if it is nobody's successor.
///
/// # Errors
/// `InvalidData`: the variable is not as this crate writes it.
pub(super) fn predecessor() -> io::Result<Option<&'static Predecessor>> {
    static PREDECESSOR: OnceLock<Result<Option<Predecessor>, String>> = OnceLock::new();
    match PREDECESSOR.get_or_init(find) {
        Ok(found) => Ok(found.as_ref().filter(|found| found.heir == std::process::id())),
        Err(text) => Err(io::Error::new(io::ErrorKind::InvalidData, text.as_str())),
    }
}

fn find() -> Result<Option<Predecessor>, String> {
    let Some(text) = std::env::var_os(VARIABLE) else { return Ok(None) };
    let Some((process, names)) = text.to_str().and_then(parse) else {
        let text =
            format!("{VARIABLE}={text:?} is not what a predecessor writes: take it out of the environment");
        return Err(text);
    };
    let number = inherit::FIRST + names.len() as i32;
    let heir = std::process::id();
    let is_ours = inherit::came_with_the_program(number).unwrap_or(false)
        && inherit::owner(number).is_ok_and(|owner| owner as u32 == heir);
    if !is_ours {
        return Ok(None);
    }
    let channel =
        inherit::take(number).map_err(|error| format!("the way back to the predecessor: {error}"))?;
    Ok(Some(Predecessor { process, names, heir, channel: Mutex::new(Some(channel)) }))
}

fn parse(text: &str) -> Option<(u32, Vec<String>)> {
    let mut parts = text.split(':');
    let (count, process) = (parts.next()?.parse::<usize>().ok()?, parts.next()?.parse().ok()?);
    let names: Vec<_> = parts.map(str::to_owned).collect();
    (names.len() == count).then_some((process, names))
}

impl Predecessor {
    /// Says that this process is ready; whether somebody was there to hear it. Only the first time.
    pub(super) fn tell(&self) -> bool {
        let channel = self.channel.lock().unwrap_or_else(PoisonError::into_inner).take();
        // One byte in an empty queue: it does not wait.
        channel.is_some_and(|channel| UnixStream::from(channel).write_all(READY).is_ok())
    }
}
