//! The standard streams of the process.

use std::fs::File;
use std::future::Future;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, IntoRawFd};

use super::{AsyncRead, AsyncWrite};
use crate::buf::{IoBuf, IoBufMut};
use crate::driver::Descriptor;
use crate::engine::current_port;
use crate::op::{Poll, Read, Submitted, Whole, Write};
use crate::sys::file::CURSOR;

/// A stream of the process, which others share: its flags stay as they are.
#[derive(Debug)]
struct Stream {
    /// A duplicate.
    end: Descriptor,
    /// Whether it is ready at times, and a call before that would wait: a terminal, a pipe, a socket.
    is_pollable: bool,
}

impl Stream {
    fn of(stream: impl AsFd) -> io::Result<Stream> {
        let port = current_port();
        if port.is_simulated() {
            let text = "a simulated world has no standard streams: they are the process's that it runs in";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        let end = File::from(stream.as_fd().try_clone_to_owned()?);
        let kind = end.metadata()?.file_type();
        Ok(Stream {
            end: Descriptor::new(end.into_raw_fd(), &port),
            is_pollable: !kind.is_file() && !kind.is_dir(),
        })
    }

    /// So that no call waits in the kernel, or on a helper thread, that could not be stopped there.
    async fn ready(&self, events: i16) -> io::Result<()> {
        if self.is_pollable {
            match Submitted::new(Poll::new(self.end.hold(), events)).await {
                // What knows no readiness never waits: /dev/null.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                result => drop(result?),
            }
        }
        Ok(())
    }
}

/// What the process reads. Made by [`stdin`].
///
/// Bytes that `std::io::stdin` has read ahead are its own: use one or the other.
///
/// # Examples
/// As [`stdin`].
#[derive(Debug)]
pub struct Stdin(Stream);

/// What the process reads.
///
/// # Errors
/// Those of dup(2): EBADF if it is closed. `Unsupported` in a simulated world.
///
/// # Panics
/// Outside of a running loop.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::{AsyncBufRead, BufReader, stdin};
///
/// annulus::run(async {
///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()) }
///     let mut lines = BufReader::new(stdin()?).lines();
///     while let Some(line) = lines.next_line().await? {
///         println!("{} bytes", line.len());
///         # break;
///     }
///     Ok(())
/// })?
/// # }
/// ```
pub fn stdin() -> io::Result<Stdin> {
    Stream::of(io::stdin()).map(Stdin)
}

impl Stdin {
    /// Waits for bytes and reads some; 0 is the end.
    ///
    /// # Errors
    /// Those of read(2).
    ///
    /// # Cancel safety
    /// Nothing is lost by dropping it: bytes that are read all the same are given to the next read.
    ///
    /// # Examples
    /// As [`stdin`].
    pub async fn read<B: IoBufMut>(&self, buffer: B) -> (io::Result<usize>, B) {
        if let Err(error) = self.0.ready(libc::POLLIN).await {
            return (Err(error), buffer);
        }
        Submitted::new(Read::new(self.0.end.hold(), buffer, CURSOR)).await
    }

    /// Whether it is a terminal.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    /// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     println!("asked by a person: {}", annulus::io::stdin()?.is_terminal());
    ///     println!("read by a person: {}", annulus::io::stdout()?.is_terminal());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn is_terminal(&self) -> bool {
        io::stdin().is_terminal()
    }
}

impl AsyncRead for Stdin {
    fn read<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        Stdin::read(self, buffer)
    }
}

macro_rules! output {
    ($name:ident, $make:ident, $what:literal) => {
        #[doc = concat!($what, ". Made by [`", stringify!($make), "`].")]
        ///
        /// Nothing is kept back here: what was written is out. What `print!` and its like keep back is theirs.
        ///
        /// # Examples
        #[doc = concat!("As [`", stringify!($make), "`].")]
        #[derive(Debug)]
        pub struct $name(Stream);

        #[doc = concat!($what, ".")]
        ///
        /// # Errors
        /// Those of dup(2): EBADF if it is closed. `Unsupported` in a simulated world.
        ///
        /// # Panics
        /// Outside of a running loop.
        ///
        /// # Examples
        /// ```
        /// # fn main() -> std::io::Result<()> {
        /// annulus::run(async {
        ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()) }
        #[doc = concat!("    annulus::io::", stringify!($make), "()?.write_all(\"hello\\n\").await.0")]
        /// })?
        /// # }
        /// ```
        pub fn $make() -> io::Result<$name> {
            Stream::of(io::$make()).map($name)
        }

        impl $name {
            /// Writes some bytes of the buffer, and says how many.
            ///
            /// # Errors
            /// Those of write(2).
            ///
            /// # Cancel safety
            /// After dropping it, some of the bytes may have been written, or none.
            ///
            /// # Examples
            #[doc = concat!("As [`", stringify!($make), "`].")]
            pub async fn write<B: IoBuf>(&self, buffer: B) -> (io::Result<usize>, B) {
                if let Err(error) = self.0.ready(libc::POLLOUT).await {
                    return (Err(error), buffer);
                }
                Submitted::new(Write::new(self.0.end.hold(), buffer, CURSOR)).await
            }

            /// Writes all bytes of the buffer.
            ///
            /// # Errors
            /// Those of write(2); [`Incomplete`](super::Incomplete) says how much was written.
            ///
            /// # Cancel safety
            /// As [`write`](Self::write).
            ///
            /// # Examples
            #[doc = concat!("As [`", stringify!($make), "`].")]
            pub async fn write_all<B: IoBuf>(&self, buffer: B) -> (io::Result<()>, B) {
                if let Err(error) = self.0.ready(libc::POLLOUT).await {
                    return (Err(error), buffer);
                }
                Submitted::new(Whole::new(Write::new(self.0.end.hold(), buffer, CURSOR))).await
            }

            /// Whether it is a terminal.
            ///
            /// # Examples
            /// As [`Stdin::is_terminal`].
            pub fn is_terminal(&self) -> bool {
                io::$make().is_terminal()
            }
        }

        impl AsyncWrite for $name {
            fn write<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
                $name::write(self, buffer)
            }

            fn write_all<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
                $name::write_all(self, buffer)
            }
        }
    };
}

output!(Stdout, stdout, "What the process writes to");
output!(Stderr, stderr, "What the process writes errors to");
