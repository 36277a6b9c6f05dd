//! Why a loop could not be made, or could not go on.

use std::fmt;
use std::io;

use crate::driver::{Refusal, UnknownDriver};

/// Why a loop could not be made, or could not go on. Becomes an [`io::Error`] by `?`.
///
/// # Examples
/// ```
/// use annulus::{Error, Runtime};
///
/// let refused = Runtime::builder().without_operation("fly").build().unwrap_err();
/// assert!(matches!(&refused, Error::UnknownOperation(name) if name == "fly"));
/// // By `?` it becomes an `io::Error`.
/// let error = std::io::Error::from(refused);
/// assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
/// ```
#[non_exhaustive]
pub enum Error {
    /// A loop runs on this thread already.
    Nested,
    /// The driver that was asked for cannot be had. The text says what was refused, why, and what helps.
    Refused(Box<dyn std::error::Error + Send + Sync>),
    /// `ANNULUS_DRIVER` names no driver.
    UnknownDriver(UnknownDriver),
    /// [`Builder::without_operation`](crate::Builder::without_operation) names no operation.
    UnknownOperation(String),
    /// The process is a fork(2)ed child of the one that made the loop.
    Forked,
    /// The kernel refuses the ring while it runs, as a seccomp policy that was installed meanwhile does.
    Broken(io::Error),
}

/// The text as well: it is by `Debug` that `main` prints the error that it returns, and that `unwrap` does.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Nested => f.write_str(
                "annulus::run was called inside a running annulus loop, and a thread runs one loop at a time: \
                 use annulus::spawn to start a task on the running loop, or call run on another thread",
            ),
            Error::Forked => f.write_str(
                "the loop belongs to the parent of this process: a child that fork(2) made has a copy of its memory, \
                 and neither its ring nor its threads; make a loop of its own in the child, or fork before the first",
            ),
            Error::Refused(refusal) => write!(f, "no driver for the loop: {refusal}"),
            Error::UnknownDriver(unknown) => write!(f, "ANNULUS_DRIVER: {unknown}"),
            Error::UnknownOperation(name) => {
                write!(f, "there is no operation {name:?}; there are {}", crate::op::names().join(", "))
            }
            Error::Broken(error) => write!(
                f,
                "the loop's driver failed and all tasks were cancelled: {error}; if a seccomp policy was installed \
                 after the start, permit io_uring_enter or choose Driver::Readiness"
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Refused(refusal) => Some(&**refusal),
            Error::UnknownDriver(unknown) => Some(unknown),
            Error::Broken(error) => Some(error),
            Error::Nested | Error::Forked | Error::UnknownOperation(_) => None,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::Refused(Box::new(refusal))
    }
}

impl From<UnknownDriver> for Error {
    fn from(unknown: UnknownDriver) -> Error {
        Error::UnknownDriver(unknown)
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match &error {
            Error::Nested | Error::UnknownDriver(_) | Error::UnknownOperation(_) => {
                io::ErrorKind::InvalidInput
            }
            Error::Refused(_) | Error::Forked => io::ErrorKind::Unsupported,
            Error::Broken(error) => error.kind(),
        };
        io::Error::new(kind, error)
    }
}
