//! What a stream sends without the bytes passing through the program.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::family::Family;
use super::stream::Stream;
use crate::buf::IoBuf;
use crate::cancel::{CancelToken, Cancelled};
use crate::driver::ZeroCopy;
use crate::io::{SendFile, copy_at_most};
use crate::op::{CancelWhen, Cancellable, Lender, SendZc, SendmsgZc, Stop, Submitted};
use crate::time::{Sleep, sleep};

/// Moves bytes from one stream to another until the first ends, or until so many are moved; says how many that was.
///
/// As [`io::copy`](crate::io::copy), with a limit.
///
/// # Cancel safety
/// Nothing is lost by dropping it: what was taken and has not gone is given to the next read of `from`. What has gone
/// can be asked of `to`, by [`settle_writes`](Stream::settle_writes), where the last piece is concerned.
///
/// # Errors
/// Those of either end. [`Incomplete`](crate::io::Incomplete) says how many bytes were moved before.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::net::{TcpListener, TcpStream, splice};
///
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     let (server, _) = listener.accept().await?;
///
///     client.write_all("to and fro").await.0?;
///     // Back to where it came from.
///     assert_eq!(splice(&server, &server, 6).await?, 6);
///     let (result, bytes) = client.read(Vec::with_capacity(100)).await;
///     assert_eq!((result?, &bytes[..]), (6, &b"to and"[..]));
///     Ok(())
/// })?
/// # }
/// ```
pub async fn splice<F: Family, G: Family>(from: &Stream<F>, to: &Stream<G>, limit: u64) -> io::Result<u64> {
    copy_at_most(&mut &*from, &mut &*to, limit).await
}

impl<F: Family> Stream<F> {
    /// Sends bytes of a file, from `offset` on: `length` of them, or up to the file's end; says how many. The file's cursor
    /// stays where it is.
    ///
    /// Where the system has splice(2) the bytes do not pass through the program: what is in memory goes by system calls that
    /// do not wait, and for what has to come from the disk a thread of the kernel's, or a helper, waits. sendfile(2) itself
    /// would let the whole loop wait for the disk. If the file is changed meanwhile, what arrives may be the old bytes or
    /// the new ones, also after this has resolved: the kernel sends from the file's own pages.
    ///
    /// # Cancel safety
    /// As [`write`](Self::write): some of the bytes may have been sent, or none.
    ///
    /// # Errors
    /// Those of pread(2) and send(2). [`Incomplete`](crate::io::Incomplete) says how many bytes were sent before.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::File;
    /// use annulus::net::{TcpListener, TcpStream};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("greeting");
    /// # std::fs::write(&path, "hello world")?;
    /// annulus::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let client = TcpStream::connect(listener.local_addr()?).await?;
    ///     let (server, _) = listener.accept().await?;
    ///
    ///     let file = File::open(&path).await?;
    ///     assert_eq!(server.send_file(&file, 6, 100).await?, 5);
    ///     let (result, bytes) = client.read(Vec::with_capacity(100)).await;
    ///     assert_eq!((result?, &bytes[..]), (5, &b"world"[..]));
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn send_file(&self, file: &impl SendFile, offset: u64, length: u64) -> io::Result<u64> {
        copy_at_most(&mut file.bytes_from(offset), &mut &*self, length).await
    }
}

impl<F: Family> Stream<F> {
    /// Sends some bytes of the buffer without copying them, where that pays: from a size on that
    /// [`set_zero_copy`](Self::set_zero_copy) says. Resolves as soon as it is known how many went. The buffer comes back by
    /// the second part of the answer, when the kernel has let go of it: when the peer has acknowledged the bytes, so not
    /// before a round trip is over.
    ///
    /// Where nothing can be sent so it is a plain [`write`](Self::write), and the buffer is there at once: on the other
    /// drivers, before Linux 6.2, for small buffers, and where the limit of locked memory (`ulimit -l`) is used up.
    ///
    /// # Cancel safety
    /// As [`write`](Self::write). A buffer that nobody waits for is freed when the kernel has let go of it.
    ///
    /// # Errors
    /// Those of send(2).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::{TcpListener, TcpStream};
    ///
    /// annulus::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let client = TcpStream::connect(listener.local_addr()?).await?;
    ///     let (server, _) = listener.accept().await?;
    ///
    ///     let (result, released) = client.write_zc(vec![7; 100_000]).await;
    ///     let sent = result?;
    ///     assert_eq!(server.read_exact(vec![0; sent]).await.1, vec![7; sent]);
    ///     let buffer = released.await;
    ///     assert_eq!(buffer.len(), 100_000);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn write_zc<B: IoBuf>(&self, buffer: B) -> WriteZc<SendZc<B>> {
        WriteZc { send: Some(Submitted::new(SendZc::new(self.socket().hold(), buffer, false))) }
    }

    /// As [`write_zc`](Self::write_zc), of the whole buffer. Nothing that others write to the stream comes in between.
    ///
    /// # Cancel safety
    /// As [`write_zc`](Self::write_zc).
    ///
    /// # Errors
    /// Those of send(2). [`Incomplete`](crate::io::Incomplete) says how much was sent before.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::{TcpListener, TcpStream};
    ///
    /// annulus::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let client = TcpStream::connect(listener.local_addr()?).await?;
    ///     let (server, _) = listener.accept().await?;
    ///     let reading = annulus::spawn(async move { server.read_exact(vec![0; 1 << 20]).await.0 });
    ///
    ///     let (result, released) = client.write_all_zc(vec![7; 1 << 20]).await;
    ///     assert_eq!(result?, 1 << 20);
    ///     // Prepare the next buffer, and then use this one again.
    ///     assert_eq!(released.await.len(), 1 << 20);
    ///     reading.await?
    /// })?
    /// # }
    /// ```
    pub fn write_all_zc<B: IoBuf>(&self, buffer: B) -> WriteZc<SendZc<B>> {
        WriteZc { send: Some(Submitted::new(SendZc::new(self.socket().hold(), buffer, true))) }
    }

    /// As [`write_zc`](Self::write_zc), of several buffers, one after the other; says how many bytes went in all. What they
    /// are in sum decides whether they are copied.
    ///
    /// # Cancel safety
    /// As [`write_zc`](Self::write_zc).
    ///
    /// # Errors
    /// Those of sendmsg(2).
    ///
    /// # Examples
    /// As [`write_zc`](Self::write_zc), with several buffers.
    pub fn writev_zc<B: IoBuf>(&self, buffers: Vec<B>) -> WriteZc<SendmsgZc<B>> {
        WriteZc { send: Some(Submitted::new(SendmsgZc::new(self.socket().hold(), buffers))) }
    }

    /// Says which buffers [`write_zc`](Self::write_zc) and [`write_all_zc`](Self::write_all_zc) send without copying.
    /// [`write`](Self::write) and [`write_all`](Self::write_all) always copy: they give their buffers back with the
    /// result, which would have to wait for the peer.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::net::{TcpListener, TcpStream, ZeroCopy};
    ///
    /// annulus::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let stream = TcpStream::connect(listener.local_addr()?).await?;
    ///     stream.set_zero_copy(ZeroCopy::Auto { threshold: 64 << 10 });
    ///     assert_eq!(stream.zero_copy(), ZeroCopy::Auto { threshold: 64 << 10 });
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn set_zero_copy(&self, zero_copy: ZeroCopy) {
        self.socket().hold().zero_copy().set(zero_copy);
    }

    /// Which buffers are sent without copying now: `Off` also where the kernel has said that it copied all the same.
    ///
    /// # Examples
    /// As [`set_zero_copy`](Self::set_zero_copy).
    pub fn zero_copy(&self) -> ZeroCopy {
        self.socket().hold().zero_copy().get()
    }
}

/// The future of [`Stream::write_zc`], [`Stream::write_all_zc`] and [`Stream::writev_zc`].
///
/// # Examples
/// As [`Stream::write_zc`].
#[must_use = "a write does nothing until it is awaited"]
pub struct WriteZc<O: Lender> {
    /// Gone when it has resolved.
    send: Option<Submitted<O>>,
}

impl<O: Lender> WriteZc<O> {
    /// Asks the kernel to stop; await the future afterwards. See [`Submitted::cancel`].
    ///
    /// # Examples
    /// As [`Submitted::cancel`].
    pub fn cancel(&mut self) {
        self.stop(Stop::Cancelled);
    }

    /// Asks the kernel to stop when `signal` is ready. See [`Submitted::cancel_when`].
    ///
    /// # Examples
    /// As [`Submitted::cancel_when`].
    pub fn cancel_when<S: Future>(self, signal: S) -> CancelWhen<Self, S> {
        CancelWhen::new(self, Stop::Cancelled, signal)
    }

    /// Asks the kernel to stop when the token is cancelled. See [`Submitted::cancel_on`].
    ///
    /// # Examples
    /// As [`CancelToken`].
    pub fn cancel_on(self, token: &CancelToken) -> CancelWhen<Self, Cancelled> {
        self.cancel_when(token.cancelled())
    }

    /// Asks the kernel to stop when `span` is over. See [`Submitted::timeout`].
    ///
    /// # Examples
    /// As [`Submitted::timeout`].
    pub fn timeout(self, span: Duration) -> CancelWhen<Self, Sleep> {
        CancelWhen::new(self, Stop::TimedOut, sleep(span))
    }
}

impl<O: Lender> Cancellable for WriteZc<O> {
    fn stop(&mut self, why: Stop) {
        if let Some(send) = &mut self.send {
            send.stop(why);
        }
    }
}

impl<O: Lender> Future for WriteZc<O> {
    type Output = (io::Result<usize>, Released<O>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let send = self.send.as_mut().expect("a write was polled after it had resolved");
        let result = ready!(send.poll_sent(cx));
        let send = self.send.take().expect("it was just polled");
        Poll::Ready((result, Released { send }))
    }
}

impl<O: Lender> fmt::Debug for WriteZc<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WriteZc").field(&self.send).finish()
    }
}

/// A buffer that the kernel may still read from, though it is known what became of the write: resolves to the buffer when
/// the kernel has let go of it.
///
/// # Cancel safety
/// Nothing is stopped by dropping it: what was sent is on its way, and the buffer is freed when the kernel has let go of it.
///
/// # Examples
/// As [`Stream::write_zc`].
#[must_use = "the buffer comes back by awaiting it; dropped, it is freed when the kernel has let go of it"]
pub struct Released<O: Lender> {
    send: Submitted<O>,
}

impl<O: Lender> Future for Released<O> {
    type Output = O::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O::Output> {
        self.send.poll_released(cx)
    }
}

impl<O: Lender> fmt::Debug for Released<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Released").field(&self.send).finish()
    }
}
