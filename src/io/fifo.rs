//! Pipes that have a name (FIFOs), and pipes that come from elsewhere.

use std::fs::File;
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use socket2::SockRef;

use super::pipe::{PipeReader, PipeWriter};
use crate::driver::Descriptor;
use crate::engine::current_port;
use crate::op::path::At;
use crate::op::{Bounds, Open, Statx, Submitted, hand_over};

impl PipeReader {
    /// Opens a FIFO, which mkfifo(3) made, to read from it. It does not wait for somebody who writes: see fifo(7).
    ///
    /// Until a first writer has come a read says 0, as at the end. Await [`readable`](Self::readable) before the first read: that
    /// waits until somebody has written, or come and gone. When the last writer has gone reads say 0 as well; to
    /// go on with the next writer, keep a [`PipeWriter`] of the same FIFO open, so that there always is one.
    ///
    /// # Errors
    /// Those of open(2). `InvalidInput`: it is something else than a FIFO.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::process::Command;
    /// use annulus::io::PipeReader;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("orders");
    /// Command::new("mkfifo").arg(&path).status()?;
    /// annulus::run(async {
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let orders = PipeReader::open_fifo(&path).await?;
    ///     let mut customer = Command::new("sh").args(["-c", "echo tea > \"$0\""]).arg(&path).spawn()?;
    ///     orders.readable().await?;
    ///     let (result, order) = orders.read(Vec::with_capacity(1024)).await;
    ///     assert_eq!((result?, &order[..]), (4, &b"tea\n"[..]));
    ///     # customer.wait()?;
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open_fifo(path: impl AsRef<Path>) -> io::Result<PipeReader> {
        open(path.as_ref(), libc::O_RDONLY).await.map(PipeReader::of)
    }

    /// Takes a pipe's end that somebody else opened, to read from it: the standard output of a child process, for example.
    ///
    /// It is set to non-blocking mode, and so are its duplicates: also those that other processes have, if it was
    /// inherited.
    ///
    /// # Errors
    /// Those of fcntl(2). `InvalidInput`: it is something else than a pipe. `Unsupported` in a simulated world.
    ///
    /// # Panics
    /// Outside of a running loop.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::process::{Command, Stdio};
    /// use annulus::io::PipeReader;
    ///
    /// let mut child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    /// let output = child.stdout.take().expect("it is piped");
    /// annulus::run(async {
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let output = PipeReader::from_std(output)?;
    ///     let (result, line) = output.read(Vec::with_capacity(64)).await;
    ///     assert_eq!((result?, &line[..]), (6, &b"hello\n"[..]));
    ///     std::io::Result::Ok(())
    /// })??;
    /// # child.wait()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_std(end: impl Into<OwnedFd>) -> io::Result<PipeReader> {
        adopt(end.into()).map(PipeReader::of)
    }

    /// Ends what is in flight, waits for it, and gives the end to who takes descriptors: std, or another child as its standard
    /// input. It is in blocking mode then, and so are its duplicates. What dropped reads had read comes beside it, and belongs
    /// before what is read from it.
    ///
    /// # Errors
    /// `Unsupported` in a simulated world, whose pipes are not the machine's; those of fcntl(2). It is then closed.
    ///
    /// # Cancel safety
    /// Dropping it closes the end.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::process::Stdio;
    /// use annulus::process::Command;
    ///
    /// annulus::run(async {
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let mut one = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    ///     let (output, rest) = one.stdout.take().expect("it is piped").into_std().await?;
    ///     assert!(rest.is_empty(), "nothing was read here");
    ///     let other = Command::new("tr").args(["a-z", "A-Z"]).stdin(output).output().await?;
    ///     assert_eq!(other.stdout, b"HELLO\n");
    ///     one.wait().await?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn into_std(self) -> io::Result<(OwnedFd, Vec<u8>)> {
        let (end, luggage) = hand_over(self.end, Bounds::None).await.map_err(|(error, _)| error)?;
        Ok((end, luggage.bytes))
    }
}

impl PipeWriter {
    /// Opens a FIFO, which mkfifo(3) made, to write to it. It does not wait for somebody who reads: see fifo(7).
    ///
    /// # Errors
    /// Those of open(2). `NotConnected` (ENXIO): nobody has it open for reading; try again when somebody has. `InvalidInput`:
    /// it is something else than a FIFO.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::io::ErrorKind;
    /// use std::process::Command;
    /// use annulus::io::{PipeReader, PipeWriter};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("orders");
    /// Command::new("mkfifo").arg(&path).status()?;
    /// annulus::run(async {
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let error = PipeWriter::open_fifo(&path).await.unwrap_err();
    ///     assert_eq!(error.kind(), ErrorKind::NotConnected, "nobody reads it");
    ///     let waiter = PipeReader::open_fifo(&path).await?;
    ///     let customer = PipeWriter::open_fifo(&path).await?;
    ///     customer.write_all("tea").await.0?;
    ///     assert_eq!(waiter.read(Vec::with_capacity(64)).await.1, b"tea");
    ///     std::io::Result::Ok(())
    /// })??;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open_fifo(path: impl AsRef<Path>) -> io::Result<PipeWriter> {
        open(path.as_ref(), libc::O_WRONLY).await.map(PipeWriter::of)
    }

    /// Takes a pipe's end that somebody else opened, to write to it: the standard input of a child process, for example.
    ///
    /// It is set to non-blocking mode, and so are its duplicates: also those that other processes have, if it was
    /// inherited.
    ///
    /// # Errors
    /// Those of fcntl(2). `InvalidInput`: it is something else than a pipe. `Unsupported` in a simulated world.
    ///
    /// # Panics
    /// Outside of a running loop.
    ///
    /// # Examples
    /// As [`PipeReader::from_std`](crate::io::PipeReader::from_std), of the other end.
    pub fn from_std(end: impl Into<OwnedFd>) -> io::Result<PipeWriter> {
        adopt(end.into()).map(PipeWriter::of)
    }

    /// Ends what is in flight, waits for it, and gives the end to who takes descriptors: std, or another child as its standard
    /// output. It is in blocking mode then, and so are its duplicates.
    ///
    /// # Errors
    /// That of a dropped write, which would be told to nobody. Otherwise as [`PipeReader::into_std`].
    ///
    /// # Cancel safety
    /// Dropping it closes the end.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::process::Command;
    ///
    /// annulus::run(async {
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let (reader, writer) = annulus::io::pipe().await?;
    ///     let mut child = Command::new("echo").arg("hello").stdout(writer.into_std().await?).spawn()?;
    ///     assert_eq!(reader.read(Vec::with_capacity(64)).await.1, b"hello\n");
    ///     child.wait().await?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn into_std(self) -> io::Result<OwnedFd> {
        let (end, _) = hand_over(self.end, Bounds::None).await.map_err(|(error, _)| error)?;
        Ok(end)
    }
}

/// Opens what is a FIFO, and nothing else.
async fn open(name: &Path, access: i32) -> io::Result<Descriptor> {
    let told = |error: io::Error| match error.raw_os_error() {
        Some(libc::ENXIO) => {
            let text = format!(
                "{}: {error}; nobody has it open for reading: open that end first, or try again when somebody has",
                name.display()
            );
            io::Error::new(io::ErrorKind::NotConnected, text)
        }
        _ => error,
    };
    // Without waiting for the other end, which may never come, and without becoming the terminal's foreman.
    let flags = access | libc::O_NONBLOCK | libc::O_NOCTTY;
    let end = Submitted::new(Open::new(current_port(), At::here(name)?, flags, 0)).await.map_err(told)?;
    let mode = Submitted::new(Statx::of_descriptor(end.hold())).await?.mode;
    // The width of the constants differs from one system to the next.
    #[allow(clippy::unnecessary_cast)]
    let is_fifo = mode & libc::S_IFMT as u32 == libc::S_IFIFO as u32;
    if !is_fifo {
        return Err(no_pipe(&name.display().to_string()));
    }
    Ok(end)
}

fn adopt(end: OwnedFd) -> io::Result<Descriptor> {
    let port = current_port();
    if port.is_simulated() {
        let text = "a simulated world has no descriptors of the operating system's: annulus::io::pipe makes a pipe there";
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    let end = File::from(end);
    if !end.metadata()?.file_type().is_fifo() {
        return Err(no_pipe("the descriptor"));
    }
    // A pipe's calls cannot be told not to wait otherwise, and the loop must not.
    SockRef::from(&end).set_nonblocking(true)?;
    Ok(Descriptor::new(end.into_raw_fd(), &port))
}

fn no_pipe(what: &str) -> io::Error {
    let text = format!(
        "{what} is no pipe: files are for annulus::fs::File, sockets for annulus::net, what else is ready at times for \
         annulus::io::AsyncFd"
    );
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
