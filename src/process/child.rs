//! A process that this one started.

use std::fmt;
use std::io;
use std::process::{ExitStatus, Output};

use super::exit::Exit;
use crate::io::{AsyncRead, PipeReader, PipeWriter};
use crate::runtime::{Runtime, spawn};
use crate::sys;

/// A process that this one started. Made by [`Command::spawn`](super::Command::spawn).
///
/// Dropping it leaves the process running, unless [`kill_on_drop`](super::Command::kill_on_drop) was asked for. In both cases
/// the loop reaps it when it has ended, if the loop is still running then.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::AsyncRead;
/// use annulus::process::{Command, Stdio};
///
/// annulus::run(async {
///     let mut sort = Command::new("sort").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
///     sort.stdin.take().unwrap().write_all("b\na\n").await.0?;
///     // The pipe was dropped: that is the end of what there is to sort.
///     let (result, sorted) = sort.stdout.take().unwrap().read_to_end(Vec::new()).await;
///     result?;
///     assert_eq!(sorted, b"a\nb\n");
///     assert!(sort.wait().await?.success());
///     Ok(())
/// })?
/// # }
/// ```
pub struct Child {
    /// None once it is left to whoever reaps it.
    process: Option<std::process::Child>,
    exit: Option<Exit>,
    kill_on_drop: bool,
    /// What it reads, if that was asked for: [`Stdio::piped`](super::Stdio::piped).
    pub stdin: Option<PipeWriter>,
    /// What it writes, if that was asked for.
    pub stdout: Option<PipeReader>,
    /// What it writes of errors, if that was asked for.
    pub stderr: Option<PipeReader>,
}

impl Child {
    pub(super) fn of(mut process: std::process::Child, kill_on_drop: bool) -> io::Result<Child> {
        let pipes = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        // Complete before its pipes are adopted: if one cannot be, it is dropped as all are.
        let mut child = Child {
            exit: Some(Exit::of(process.id())),
            process: Some(process),
            kill_on_drop,
            stdin: None,
            stdout: None,
            stderr: None,
        };
        child.stdin = pipes.0.map(PipeWriter::from_std).transpose()?;
        child.stdout = pipes.1.map(PipeReader::from_std).transpose()?;
        child.stderr = pipes.2.map(PipeReader::from_std).transpose()?;
        Ok(child)
    }

    fn process(&mut self) -> &mut std::process::Child {
        self.process.as_mut().expect("it is there until it is dropped")
    }

    /// Its number; None once its end was told, for the number may be another process's by then.
    ///
    /// # Examples
    /// As [`try_wait`](Self::try_wait).
    pub fn id(&self) -> Option<u32> {
        let process = self.process.as_ref()?;
        self.exit.as_ref().map(|_| process.id())
    }

    /// Waits until it has ended, and says how. Closes `stdin` first, so that a child which reads to the end does not wait for
    /// ever. Asked again, it says the same.
    ///
    /// A child that writes to a pipe which nobody reads stops when the pipe is full, and does not end:
    /// [`wait_with_output`](Self::wait_with_output) reads.
    ///
    /// # Errors
    /// Those of poll(2) and waitpid(2).
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it, but `stdin` is closed.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            match &self.exit {
                Some(exit) => exit.wait().await?,
                None => unreachable!("what has ended has a status"),
            }
        }
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// Those of waitpid(2).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::process::{Command, Stdio};
    ///
    /// annulus::run(async {
    /// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let mut child = Command::new("sleep").arg("100").kill_on_drop(true).spawn()?;
    ///     assert!(child.id().is_some());
    ///     assert!(child.try_wait()?.is_none(), "it sleeps");
    ///     child.start_kill()?;
    ///     child.kill().await?; // twice is as good as once, and this one waits
    ///     assert!(child.try_wait()?.is_some());
    ///
    ///     let child = Command::new("echo").arg("tea").stdout(Stdio::piped()).spawn()?;
    ///     let output = child.wait_with_output().await?;
    ///     assert_eq!(output.stdout, b"tea\n");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.process().try_wait()?;
        if status.is_some() {
            self.exit = None;
        }
        Ok(status)
    }

    /// Asks it to end at once, by SIGKILL. It is no error if it has ended.
    ///
    /// # Errors
    /// Those of kill(2).
    ///
    /// # Examples
    /// As [`try_wait`](Self::try_wait).
    pub fn start_kill(&mut self) -> io::Result<()> {
        self.process().kill()
    }

    /// Sends it a signal: SIGTERM, for example, asks it to end in an orderly way. A
    /// [`SignalKind`](crate::signal::SignalKind), or a number of signal(7). It is no error if it has ended.
    ///
    /// # Errors
    /// Those of kill(2): `InvalidInput` if there is no such signal, `PermissionDenied` of a child that runs as somebody else.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::process::Command;
    /// use annulus::signal::SignalKind;
    ///
    /// annulus::run(async {
    ///     let mut child = Command::new("sleep").arg("100").spawn()?;
    ///     child.send_signal(SignalKind::terminate())?;
    ///     assert!(!child.wait().await?.success());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn send_signal(&mut self, signal: impl Into<i32>) -> io::Result<()> {
        // Once it is reaped its number may be another process's.
        match self.try_wait()? {
            Some(_) => Ok(()),
            None => sys::process::send_signal(self.process().id(), signal.into()),
        }
    }

    /// Ends it at once, and waits for that.
    ///
    /// # Errors
    /// Those of kill(2) and of [`wait`](Self::wait).
    ///
    /// # Cancel safety
    /// After dropping it, it ends all the same.
    ///
    /// # Examples
    /// As [`try_wait`](Self::try_wait).
    pub async fn kill(&mut self) -> io::Result<()> {
        self.start_kill()?;
        self.wait().await.map(drop)
    }

    /// Reads all that it writes to the pipes that there are, waits until it has ended, and says how.
    ///
    /// # Errors
    /// Those of read(2) and of [`wait`](Self::wait).
    ///
    /// # Cancel safety
    /// After dropping it, what was read is lost; the process runs on, or is ended, as when it is dropped.
    ///
    /// # Examples
    /// As [`try_wait`](Self::try_wait).
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        // A task of its own for the second pipe: a child may fill either first.
        let stderr = self.stderr.take().map(|pipe| spawn(read_all(pipe)));
        let stdout = match self.stdout.take() {
            Some(pipe) => read_all(pipe).await,
            None => Ok(Vec::new()),
        };
        let stderr = match stderr {
            Some(reading) => reading.await?,
            None => Ok(Vec::new()),
        };
        let status = self.wait().await?;
        Ok(Output { status, stdout: stdout?, stderr: stderr? })
    }
}

async fn read_all(mut pipe: PipeReader) -> io::Result<Vec<u8>> {
    let (result, bytes) = pipe.read_to_end(Vec::new()).await;
    result.map(|_| bytes)
}

impl Drop for Child {
    fn drop(&mut self) {
        let (Some(mut process), Some(exit)) = (self.process.take(), self.exit.take()) else { return };
        if self.kill_on_drop {
            // It may have ended meanwhile; nothing else can go wrong with a child of one's own.
            let _ = process.kill();
        }
        if matches!(process.try_wait(), Ok(None)) && Runtime::try_current().is_some() {
            drop(spawn(async move {
                if exit.wait().await.is_ok() {
                    let _ = process.try_wait();
                }
            }));
        }
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("id", &self.id()).finish_non_exhaustive()
    }
}
