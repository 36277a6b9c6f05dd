//! Waiting for descriptors of other libraries.

use std::error;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, RawFd};

use super::interest::{Interest, Ready};
use crate::driver::Descriptor;
use crate::engine::current_port;
use crate::op::{Poll, Submitted};

/// A descriptor that somebody else reads and writes, and that this loop waits for: a device, an eventfd, an inotify, the
/// connection of a C library.
///
/// The loop waits for a duplicate of the descriptor (dup(2)), which it owns: so it does not matter to it when `T` closes its own,
/// and several may wait for the same. The duplicate costs one more number, and keeps open what it is of until this is
/// dropped. `T`'s own descriptor is never touched and never closed here: it is for the functions that are given `&T`.
///
/// Each wait asks the system anew how things stand. Nothing is remembered, so there is nothing to be cleared.
///
/// `T`'s descriptor should be non-blocking: that it was ready a moment ago does not say that it still is, and a call that blocks
/// holds up the whole loop.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use annulus::io::{AsyncFd, Interest};
///
/// // Stands for the connection of another library.
/// let (mine, mut other) = UnixStream::pair()?;
/// mine.set_nonblocking(true)?;
/// annulus::run(async {
///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
///     let mine = AsyncFd::new(mine)?;
///     drop(annulus::spawn_blocking(move || other.write_all(b"hello")));
///
///     let mut buffer = [0; 64];
///     let count = mine.async_io(Interest::READABLE, |mut stream| stream.read(&mut buffer)).await?;
///     assert_eq!(&buffer[..count], b"hello");
///     std::io::Result::Ok(())
/// })??;
/// # Ok(())
/// # }
/// ```
pub struct AsyncFd<T: AsFd> {
    /// Ours: in front of what it is a duplicate of, so that the polls end first.
    watched: Descriptor,
    inner: T,
}

impl<T: AsFd> AsyncFd<T> {
    /// Has the running loop wait for what `inner` refers to.
    ///
    /// # Errors
    /// `PermissionDenied` for a regular file or a directory, as epoll_ctl(2) says: they are always ready, and their calls block all
    /// the same. Those of fcntl(2): EMFILE means that descriptors are used up. `Unsupported` in a simulated world, which
    /// has no descriptors of the operating system's. `inner` is then dropped.
    ///
    /// # Panics
    /// Outside of a running loop.
    pub fn new(inner: T) -> io::Result<AsyncFd<T>> {
        let port = current_port();
        if port.is_simulated() {
            let text = "a simulated world has no descriptors of the operating system's: AsyncFd is for the drivers of a real \
                        kernel";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        let duplicate = File::from(inner.as_fd().try_clone_to_owned()?);
        let kind = duplicate.metadata()?.file_type();
        if kind.is_file() || kind.is_dir() {
            let error = io::Error::from_raw_os_error(libc::EPERM);
            let text =
                format!("{error}; a regular file, as a directory, is always ready: use annulus::fs::File");
            return Err(io::Error::new(error.kind(), text));
        }
        let watched = Descriptor::new(duplicate.into_raw_fd(), &port).seen_as("AsyncFd", "descriptor");
        Ok(AsyncFd { watched, inner })
    }

    /// What was given to [`new`](Self::new).
    ///
    /// # Examples
    /// As [`ready`](Self::ready).
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// What was given to [`new`](Self::new). Not to be replaced by something with another descriptor: the loop goes on
    /// waiting for the one it knows.
    ///
    /// # Examples
    /// As [`ready`](Self::ready).
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Stops waiting, and gives back what was given to [`new`](Self::new). The loop's own duplicate is closed by then, or by
    /// the next turn if a wait was dropped just now.
    ///
    /// # Examples
    /// As [`ready`](Self::ready).
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// Waits until one of these is so, and says which.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Errors
    /// Those of poll(2).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::io::{Read, Write};
    /// use annulus::io::{AsyncFd, Interest};
    ///
    /// annulus::run(async {
    /// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let (mine, mut other) = std::os::unix::net::UnixStream::pair()?;
    ///     mine.set_nonblocking(true)?;
    ///     let mut mine = AsyncFd::new(mine)?;
    ///     assert!(mine.writable().await?.ready().is_writable());
    ///
    ///     other.write_all(b"hello")?;
    ///     let mut guard = mine.ready(Interest::READABLE).await?;
    ///     let ready = guard.ready();
    ///     assert!(ready.is_readable() && !ready.is_read_closed() && !ready.is_error());
    ///     let mut buffer = [0; 64];
    ///     // What would block after all is no error, but means that one waits again.
    ///     let count = guard.try_io(|mine| mine.get_ref().read(&mut buffer)).unwrap()?;
    ///     assert_eq!(count, 5);
    ///     println!("{:?}, {:?}", guard.get_ref(), guard.get_inner());
    ///
    ///     drop(other);
    ///     assert_eq!(mine.async_io_mut(Interest::READABLE, |mine| mine.read(&mut buffer)).await?, 0);
    ///     mine.get_mut().set_nonblocking(false)?;
    ///     let _as_it_was = mine.into_inner();
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let events = Submitted::new(Poll::new(self.watched.hold(), interest.events())).await?;
        Ok(AsyncFdReadyGuard { of: self, ready: Ready::told(events) })
    }

    /// Waits until a read would not wait.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Errors
    /// Those of poll(2).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    /// use annulus::io::AsyncFd;
    ///
    /// # let (mine, mut other) = UnixStream::pair()?;
    /// # mine.set_nonblocking(true)?;
    /// # annulus::run(async {
    /// # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    /// # let mine = AsyncFd::new(mine)?;
    /// # other.write_all(b"hello")?;
    /// let mut buffer = [0; 64];
    /// let count = loop {
    ///     let guard = mine.readable().await?;
    ///     match guard.try_io(|mine| mine.get_ref().read(&mut buffer)) {
    ///         Ok(result) => break result?,
    ///         Err(_would_block) => continue,
    ///     }
    /// };
    /// assert_eq!(&buffer[..count], b"hello");
    /// # std::io::Result::Ok(())
    /// # })??;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::READABLE).await
    }

    /// Waits until a write would not wait.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Errors
    /// Those of poll(2).
    ///
    /// # Examples
    /// As [`ready`](Self::ready).
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// Waits until the descriptor is ready and calls `io`, again and again until it says something else than `WouldBlock`.
    ///
    /// # Cancel safety
    /// Dropping it is harmless: nothing is lost between a call of `io` that did something and the end.
    ///
    /// # Errors
    /// Those of `io`, and those of poll(2).
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut io: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let guard = self.ready(interest).await?;
            if let Ok(result) = guard.try_io(|this| io(&this.inner)) {
                return result;
            }
        }
    }

    /// As [`async_io`](Self::async_io), for calls that need it to be mutable.
    ///
    /// # Cancel safety
    /// As [`async_io`](Self::async_io).
    ///
    /// # Errors
    /// As [`async_io`](Self::async_io).
    ///
    /// # Examples
    /// As [`ready`](Self::ready).
    pub async fn async_io_mut<R>(
        &mut self,
        interest: Interest,
        mut io: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.ready(interest).await?;
            match io(&mut self.inner) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }
}

impl<T: AsFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl<T: AsFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_fd().as_raw_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// That a descriptor was ready when it was asked.
///
/// # Examples
/// As [`AsyncFd::ready`].
#[derive(Debug)]
pub struct AsyncFdReadyGuard<'a, T: AsFd> {
    of: &'a AsyncFd<T>,
    ready: Ready,
}

impl<'a, T: AsFd> AsyncFdReadyGuard<'a, T> {
    /// Calls `io`, which is to read, write, or whatever was waited for.
    ///
    /// # Errors
    /// That it said `WouldBlock`, so that one has to wait again: it was not ready after all, or somebody else was first.
    ///
    /// # Examples
    /// As [`AsyncFd::ready`].
    pub fn try_io<R>(
        &self,
        io: impl FnOnce(&'a AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        match io(self.of) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(TryIoError(())),
            result => Ok(result),
        }
    }

    /// What it was ready for.
    ///
    /// # Examples
    /// As [`AsyncFd::ready`].
    pub fn ready(&self) -> Ready {
        self.ready
    }

    /// What it is of.
    ///
    /// # Examples
    /// As [`AsyncFd::ready`].
    pub fn get_ref(&self) -> &'a AsyncFd<T> {
        self.of
    }

    /// What was given to [`AsyncFd::new`].
    ///
    /// # Examples
    /// As [`AsyncFd::ready`].
    pub fn get_inner(&self) -> &'a T {
        &self.of.inner
    }
}

/// The call would have had to wait. See [`AsyncFdReadyGuard::try_io`].
///
/// # Examples
/// As [`AsyncFd::ready`].
#[derive(Debug)]
pub struct TryIoError(());

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it was not ready after all: wait again")
    }
}

impl error::Error for TryIoError {}
