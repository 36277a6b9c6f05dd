//! What a manager says in the environment. It is read only: other threads may be reading it as well.

use std::io;
use std::str::FromStr;

/// The number that a variable says; None if it is not there.
///
/// # Errors
/// `InvalidData`: it is no number.
pub(super) fn number<N: FromStr>(variable: &str) -> io::Result<Option<N>> {
    let Some(text) = std::env::var_os(variable) else { return Ok(None) };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| wrong(variable, "is no number"))
}

pub(super) fn wrong(variable: &str, what: &str) -> io::Error {
    let value = std::env::var_os(variable).unwrap_or_default();
    let text = format!(
        "{variable}={value:?} {what}: whoever starts this program sets it wrongly, see sd_listen_fds(3) and \
         sd_watchdog_enabled(3)"
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}
