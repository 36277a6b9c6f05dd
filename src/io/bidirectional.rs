//! Between two streams, in both directions.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use super::{AsyncRead, AsyncWrite, copy};

/// Moves everything from each of two streams to the other, until both have ended; says how many bytes went from `a` to
/// `b`, and how many from `b` to `a`.
///
/// When one ends, the other one's writing is shut down, so that whoever reads there sees the end; the other direction
/// goes on. It is for streams that can be read and written through a shared reference, as those of this crate; for halves
/// see [`copy_both`].
///
/// # Cancel safety
/// Dropping it loses what was read but not written yet, at most 64 KiB a direction.
///
/// # Errors
/// The first that either direction meets; the other one is then dropped. [`Incomplete`](super::Incomplete) says how many
/// bytes that direction had moved.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::{AsyncRead, AsyncWrite, copy_bidirectional, duplex};
///
/// annulus::run(async {
///     let (mut client, mut towards_client) = duplex(64);
///     let (mut towards_server, mut server) = duplex(64);
///     let proxy = annulus::spawn(async move {
///         copy_bidirectional(&mut towards_client, &mut towards_server).await
///     });
///
///     client.write_all("question").await.0?;
///     client.shutdown().await?;
///     assert_eq!(server.read_to_string(String::new()).await.1, "question");
///     server.write_all("answer").await.0?;
///     drop(server);
///     assert_eq!(client.read_to_string(String::new()).await.1, "answer");
///     assert_eq!(proxy.await??, (8, 6));
///     Ok(())
/// })?
/// # }
/// ```
pub async fn copy_bidirectional<A, B>(a: &mut A, b: &mut B) -> io::Result<(u64, u64)>
where
    A: ?Sized,
    B: ?Sized,
    for<'x> &'x A: AsyncRead + AsyncWrite,
    for<'x> &'x B: AsyncRead + AsyncWrite,
{
    let (a, b) = (&*a, &*b);
    let (mut a_reads, mut a_writes, mut b_reads, mut b_writes) = (a, a, b, b);
    copy_both((&mut a_reads, &mut a_writes), (&mut b_reads, &mut b_writes)).await
}

/// As [`copy_bidirectional`], between two pairs of a reader and a writer.
///
/// # Cancel safety
/// As [`copy_bidirectional`].
///
/// # Errors
/// As [`copy_bidirectional`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::{copy_both, duplex, AsyncWrite, BufReader};
///
/// annulus::run(async {
///     let (mut client, near) = duplex(64);
///     let (far, mut server) = duplex(64);
///     let (near_reads, mut near_writes) = annulus::io::split(near);
///     let (mut far_reads, mut far_writes) = annulus::io::split(far);
///     client.write_all("hello").await.0?;
///     client.shutdown().await?;
///     server.shutdown().await?;
///     // What is left in the buffer goes along.
///     let mut near_reads = BufReader::new(near_reads);
///     let a = (&mut near_reads, &mut near_writes);
///     assert_eq!(copy_both(a, (&mut far_reads, &mut far_writes)).await?, (5, 0));
///     Ok(())
/// })?
/// # }
/// ```
pub async fn copy_both<R, W, S, X>(a: (&mut R, &mut W), b: (&mut S, &mut X)) -> io::Result<(u64, u64)>
where
    R: AsyncRead + ?Sized,
    W: AsyncWrite + ?Sized,
    S: AsyncRead + ?Sized,
    X: AsyncWrite + ?Sized,
{
    both(one_way(a.0, b.1), one_way(b.0, a.1)).await
}

/// Moves everything, and then ends the writing.
async fn one_way<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: AsyncRead + ?Sized,
    W: AsyncWrite + ?Sized,
{
    let moved = copy(reader, writer).await?;
    match writer.shutdown().await {
        // Who is gone need not be told.
        Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(error),
        _ => Ok(moved),
    }
}

/// Waits for both, or the first error.
async fn both<T, U>(
    a: impl Future<Output = io::Result<T>>,
    b: impl Future<Output = io::Result<U>>,
) -> io::Result<(T, U)> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut of_a, mut of_b) = (None, None);
    poll_fn(|cx| {
        if of_a.is_none() {
            if let Poll::Ready(result) = a.as_mut().poll(cx) {
                of_a = Some(result?);
            }
        }
        if of_b.is_none() {
            if let Poll::Ready(result) = b.as_mut().poll(cx) {
                of_b = Some(result?);
            }
        }
        match (of_a.take(), of_b.take()) {
            (Some(a), Some(b)) => Poll::Ready(Ok((a, b))),
            (a, b) => {
                (of_a, of_b) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}
