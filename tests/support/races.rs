//! Waits that are given up at moments left to chance, in every way in which a wait can be given up.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use annulus::net::{TcpListener, TcpStream};
use annulus::time::{sleep, timeout};
use annulus::{Metrics, Runtime, yield_now};
use futures_util::FutureExt;

use super::data::Dice;

/// Polls once, so that what is polled is under way.
pub(crate) fn begin<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// What the running loop has counted.
pub(crate) fn metrics() -> Metrics {
    Runtime::try_current().expect("a loop runs").metrics()
}

/// Keeps the processor busy for so long: shorter than any sleep. In a simulated world no time would pass.
pub(crate) fn spin(span: Duration) {
    if super::is_simulated() {
        return;
    }
    let start = Instant::now();
    while start.elapsed() < span {
        std::hint::spin_loop();
    }
}

/// What came of the races.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) raced: u64,
    /// Given up without a result.
    pub(crate) lost: u64,
    /// Dropped, or asked to stop, while the driver had them.
    pub(crate) in_flight: u64,
    /// Answered without a submission: with what one that was given up had left.
    pub(crate) at_hand: u64,
    pub(crate) bytes_at_hand: u64,
}

/// Waits for `future`, and gives up at a moment left to chance, if it is not ready before.
pub(crate) async fn or_given_up<F: Future>(future: F, dice: &mut Dice, longest_us: u64) -> Option<F::Output> {
    let limit = dice.micros(longest_us);
    match dice.below(4) {
        0 | 1 => timeout(limit, future).await.ok(),
        2 => futures_util::select_biased! {
            output = pin!(future.fuse()) => Some(output),
            () = sleep(limit).fuse() => None,
        },
        // So many polls, and what it is at then. Without any it never began.
        _ => {
            let mut future = pin!(future);
            for _ in 0..dice.below(4) {
                if let Poll::Ready(output) = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
                    return Some(output);
                }
                match dice.below(3) {
                    0 => yield_now().await,
                    1 => sleep(limit / 4).await,
                    _ => spin(limit / 16),
                }
            }
            None
        }
    }
}

/// Reads once, in one of several ways, and hands over what it got. What it got is in order, whatever was given up.
///
/// # Panics
/// If a read fails, or finds the end.
pub(crate) async fn read(
    stream: &TcpStream,
    dice: &mut Dice,
    longest: usize,
    tally: &mut Tally,
    mut got: impl FnMut(&[u8]),
) {
    let before = metrics();
    let room = Vec::<u8>::with_capacity(dice.length(longest));
    let mut bytes = 0;
    let mut take = |(result, piece): (std::io::Result<usize>, Vec<u8>)| {
        assert_eq!(result.expect("a read is answered with bytes"), piece.len());
        assert_ne!(piece.len(), 0, "the end came too early");
        bytes += piece.len();
        got(&piece);
    };
    tally.raced += 1;
    match dice.below(12) {
        0 => {
            let rooms =
                (0..1 + dice.below(5)).map(|_| Vec::with_capacity(dice.length(longest / 4))).collect();
            if let Some((result, rooms)) = or_given_up(stream.readv(rooms), dice, 200).await {
                let count = result.expect("a read is answered with bytes");
                assert_eq!(rooms.iter().map(Vec::len).sum::<usize>(), count);
                rooms
                    .into_iter()
                    .filter(|piece| !piece.is_empty())
                    .for_each(|piece| take((Ok(piece.len()), piece)));
            }
        }
        // Asked to stop, and awaited: bytes or the word that there were none, and the buffer in any case.
        1 => {
            let (lent, capacity) = (room.as_ptr(), room.capacity());
            let mut read = stream.read(room);
            let outcome = match timeout(dice.micros(200), &mut read).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    read.cancel();
                    read.await
                }
            };
            assert_eq!((outcome.1.as_ptr(), outcome.1.capacity()), (lent, capacity), "the buffer comes back");
            match &outcome.0 {
                Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => {}
                _ => take(outcome),
            }
        }
        // Two at once, the one behind the other, given up in either order.
        2 => {
            let mut first = stream.read(room);
            let mut second = stream.read(Vec::with_capacity(dice.length(longest)));
            if let Poll::Ready(outcome) = begin(&mut first) {
                // With these there may be no more: the second would find the end.
                take(outcome);
            } else {
                assert!(begin(&mut second).is_pending(), "nobody jumps the queue");
                match dice.below(3) {
                    0 => yield_now().await,
                    1 => sleep(dice.micros(100)).await,
                    _ => spin(dice.micros(10)),
                }
                let kept = match dice.below(2) {
                    0 => {
                        drop(first);
                        second
                    }
                    _ => {
                        drop(second);
                        first
                    }
                };
                or_given_up(kept, dice, 200).await.into_iter().for_each(take);
            }
        }
        // Into buffers of the runtime's, one by one, or as they come.
        3 => {
            if let Some(lease) = or_given_up(stream.recv(), dice, 200).await {
                let lease = lease.expect("a receive is answered with bytes");
                take((Ok(lease.len()), lease.to_vec()));
            }
        }
        4 => {
            let mut leases = stream.recv_stream();
            for _ in 0..dice.below(5) {
                // None are the end: perhaps the last bytes of all came before.
                let Some(Some(lease)) = or_given_up(leases.next(), dice, 200).await else { break };
                let lease = lease.expect("a receive is answered with bytes");
                take((Ok(lease.len()), lease.to_vec()));
            }
        }
        _ => or_given_up(stream.read(room), dice, 200).await.into_iter().for_each(take),
    }
    let after = metrics();
    tally.in_flight += after.cancels - before.cancels;
    match bytes {
        0 => tally.lost += 1,
        bytes if after.submitted == before.submitted => {
            tally.at_hand += 1;
            tally.bytes_at_hand += bytes as u64;
        }
        _ => {}
    }
}

/// Accepts once, or gives up.
pub(crate) async fn accept(
    listener: &TcpListener,
    dice: &mut Dice,
    tally: &mut Tally,
) -> Option<(TcpStream, SocketAddr)> {
    tally.raced += 1;
    let accepted = match dice.below(6) {
        0 => {
            let mut accept = listener.accept();
            match timeout(dice.micros(200), &mut accept).await {
                Ok(accepted) => Some(accepted),
                Err(_) => {
                    accept.cancel();
                    let accepted = accept.await;
                    let cancelled = |error: &std::io::Error| error.raw_os_error() == Some(libc::ECANCELED);
                    if accepted.as_ref().is_err_and(cancelled) { None } else { Some(accepted) }
                }
            }
        }
        1 => {
            let mut incoming = listener.incoming();
            or_given_up(incoming.next(), dice, 200).await.map(|next| next.expect("the listener is open"))
        }
        _ => or_given_up(listener.accept(), dice, 200).await,
    };
    tally.lost += u64::from(accepted.is_none());
    accepted.map(|accepted| accepted.expect("an accept is answered with a connection"))
}
