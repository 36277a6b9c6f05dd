//! Connections for the world of borrowed buffers: both views, over TCP and Unix sockets, keep what owned buffers promise: order,
//! turns, leftovers, ends and errors, and nothing that is left behind.

mod support;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, Result};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use annulus::buf::{IoBuf, ReadBuf};
use annulus::io::{PollRead, PollWrite};
use annulus::net::{BufferedStream, PollStream, TcpListener, TcpStream, UnixStream};
use annulus::time::{sleep, timeout};
use annulus::{Builder, Metrics, spawn, yield_now};
use futures_util::future::LocalBoxFuture;
use futures_util::{FutureExt, join};
use support::data::{Dice, assert_same, bytes, seed};
use support::outside::arrival;
use support::races::{begin, metrics};
use support::wakers::{Wakes, assert_that_others_run, steps_between_yields};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    what_dropped_reads_got_is_read_first_in_order_and_once,
    what_a_dropped_stream_of_leases_got_is_read_first_in_order_and_once,
    an_error_that_a_dropped_read_met_is_told_once,
    an_error_that_a_dropped_write_met_is_told_once,
    a_dropped_write_is_finished_before_the_views,
    a_write_that_is_still_awaited_is_finished_before_the_views,
    an_end_comes_after_a_write_that_is_still_awaited,
    a_read_that_is_still_awaited_has_its_turn_first_and_one_behind_has_it_later,
    bulk_data_compare_equal_in_both_directions,
    bulk_data_compare_equal_under_faults,
    half_closed_connections_go_on_in_the_other_direction,
    a_reset_is_an_error_and_no_end,
    parts_are_sent_in_order_however_they_are_split,
    parts_behind_more_empty_ones_than_a_call_takes_are_sent,
    nothing_read_or_written_is_no_end_and_does_not_wait,
    an_idle_view_holds_no_buffer,
    what_was_not_taken_is_the_streams_again_in_order,
    a_view_of_a_view_goes_on_where_that_ended,
    what_has_come_stays_until_it_is_consumed,
    the_last_waker_is_woken,
    a_view_dropped_while_it_waits_leaves_nothing,
    a_view_that_is_always_ready_lets_others_run,
    a_half_closed_peer_that_does_not_read_costs_no_turns,
    a_write_that_waits_does_not_hold_up_the_end,
    readiness_is_told_of_leftovers_too,
    a_view_waits_behind_a_read_by_its_stream_that_is_dropped,
}

on_real_drivers! {
    because "the table is a ring's":
        connections_in_the_rings_own_table_have_both_views;
}

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// An end of a connection, of one of two families.
enum End {
    Tcp(TcpStream),
    Unix(UnixStream),
}

type Outcome<T, B> = LocalBoxFuture<'static, (Result<T>, B)>;

impl End {
    fn read(&self, room: usize) -> Outcome<usize, Vec<u8>> {
        let room = Vec::with_capacity(room);
        match self {
            End::Tcp(stream) => Box::pin(stream.read(room)),
            End::Unix(stream) => Box::pin(stream.read(room)),
        }
    }

    fn write_all<B: IoBuf>(&self, bytes: B) -> Outcome<(), B> {
        match self {
            End::Tcp(stream) => Box::pin(stream.write_all(bytes)),
            End::Unix(stream) => Box::pin(stream.write_all(bytes)),
        }
    }

    async fn says(&self, bytes: &'static str) {
        self.write_all(bytes).await.0.unwrap();
        arrival().await;
    }

    async fn read_exact(&self, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < count {
            let (result, got) = self.read(count - all.len()).await;
            assert_ne!(result.unwrap(), 0, "the end came after {} bytes", all.len());
            all.extend(got);
        }
        all
    }

    async fn read_to_end(&self) -> Vec<u8> {
        let mut all = Vec::new();
        while let (1.., got) = self.read(64 << 10).map(|(result, got)| (result.unwrap(), got)).await {
            all.extend(got);
        }
        all
    }

    fn small_buffers(&self) {
        match self {
            End::Tcp(stream) => {
                // With less than some of the loopback's segments TCP waits for its timers.
                stream.set_send_buffer_size(128 << 10).unwrap();
                stream.set_recv_buffer_size(128 << 10).unwrap();
            }
            End::Unix(stream) => stream.set_send_buffer_size(16 << 10).unwrap(),
        }
    }

    #[cfg(feature = "sim")]
    fn has_faults(&self, faults: &annulus::sim::Faults) {
        let planned = match self {
            End::Tcp(stream) => stream.plan_faults(faults),
            End::Unix(stream) => stream.plan_faults(faults),
        };
        assert_eq!(planned.is_ok(), support::is_simulated());
    }

    fn reset(self) {
        if let End::Tcp(stream) = &self {
            stream.set_linger(Some(Duration::ZERO)).unwrap();
        }
    }
}

/// What a view is, of whichever kind.
trait Viewed: PollRead + PollWrite {
    fn back(self: Box<Self>) -> End;
    fn read_by_its_stream(&self, room: usize) -> Outcome<usize, Vec<u8>>;
}

macro_rules! viewed {
    ($($view:ident)*) => {$(
        impl Viewed for $view<annulus::net::Inet> {
            fn back(self: Box<Self>) -> End {
                End::Tcp(self.into_stream())
            }
            fn read_by_its_stream(&self, room: usize) -> Outcome<usize, Vec<u8>> {
                Box::pin(self.get_ref().read(Vec::with_capacity(room)))
            }
        }

        impl Viewed for $view<annulus::net::Unix> {
            fn back(self: Box<Self>) -> End {
                End::Unix(self.into_stream())
            }
            fn read_by_its_stream(&self, room: usize) -> Outcome<usize, Vec<u8>> {
                Box::pin(self.get_ref().read(Vec::with_capacity(room)))
            }
        }
    )*};
}
viewed! { PollStream BufferedStream }

struct View(Box<dyn Viewed>);

impl View {
    fn poll_read(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<Result<Vec<u8>>> {
        let mut room = vec![0; length];
        let mut buffer = ReadBuf::new(&mut room);
        let read = self.0.poll_read(cx, &mut buffer);
        assert!(matches!(read, Poll::Ready(Ok(()))) || buffer.filled_len() == 0, "read, and does not say so");
        let count = buffer.filled_len();
        room.truncate(count);
        read.map_ok(|()| room)
    }

    /// Whether a read finds nothing yet.
    fn waits(&mut self) -> bool {
        self.poll_read(&mut Context::from_waker(Waker::noop()), 64).is_pending()
    }

    async fn read(&mut self, length: usize) -> Result<Vec<u8>> {
        poll_fn(|cx| self.poll_read(cx, length)).await
    }

    async fn read_exact(&mut self, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < count {
            let got = self.read(count - all.len()).await.unwrap();
            assert!(!got.is_empty(), "the end came after {} bytes", all.len());
            all.extend(got);
        }
        all
    }

    async fn read_to_end(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            match self.read(5000).await.unwrap() {
                none if none.is_empty() => return all,
                got => all.extend(got),
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        poll_fn(|cx| self.0.poll_write(cx, bytes)).await
    }

    async fn write_all(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = self.write(bytes).await.unwrap();
            bytes = &bytes[count..];
        }
    }

    async fn shutdown(&mut self) -> Result<()> {
        poll_fn(|cx| self.0.poll_flush(cx)).await?;
        poll_fn(|cx| self.0.poll_shutdown(cx)).await
    }

    /// Writes until there is no more room, and says what went.
    fn fill(&mut self, bytes: &[u8]) -> usize {
        let mut sent = 0;
        let mut cx = Context::from_waker(Waker::noop());
        // Now and then it is asked to let others run, or a fault says that there is no room.
        for _ in 0..200 {
            while let Poll::Ready(count) = self.0.poll_write(&mut cx, &bytes[sent..]) {
                sent += count.unwrap();
                assert!(sent < bytes.len(), "there is room without an end");
            }
        }
        sent
    }
}

/// Which families and views there are.
#[derive(Clone, Copy, Debug)]
struct Kind {
    unix: bool,
    buffered: bool,
}

impl Kind {
    async fn pair(self) -> (End, End) {
        if self.unix {
            let (one, other) = UnixStream::pair().unwrap();
            return (End::Unix(one), End::Unix(other));
        }
        let (one, other) = support::net::pair().await;
        (End::Tcp(one), End::Tcp(other))
    }

    fn view(self, end: End) -> View {
        View(match (end, self.buffered) {
            (End::Tcp(stream), false) => Box::new(stream.into_poll()),
            (End::Tcp(stream), true) => Box::new(stream.into_buffered()),
            (End::Unix(stream), false) => Box::new(stream.into_poll()),
            (End::Unix(stream), true) => Box::new(stream.into_buffered()),
        })
    }

    async fn viewed(self) -> (View, End) {
        let (one, other) = self.pair().await;
        (self.view(one), other)
    }
}

/// Both views of both families.
async fn each(test: impl AsyncFn(Kind)) {
    for (unix, buffered) in [(false, false), (false, true), (true, false), (true, true)] {
        let kind = Kind { unix, buffered };
        println!("{kind:?}");
        test(kind).await;
    }
    // Nothing is left in flight by any of them.
    let settled = |metrics: &Metrics| (metrics.in_flight, metrics.orphans, metrics.leases_out) == (0, 0, 0);
    for _ in 0..1000 {
        if settled(&metrics()) {
            break;
        }
        sleep(MILLI).await;
    }
    assert!(settled(&metrics()), "{:?}", metrics());
}

async fn what_dropped_reads_got_is_read_first_in_order_and_once() {
    each(async |kind| {
        let (end, peer) = kind.pair().await;
        let mut dropped = end.read(64);
        assert!(begin(&mut dropped).is_pending());
        peer.says("first ").await;
        drop(dropped);
        peer.says("then").await;
        let mut view = kind.view(end);
        assert_eq!(view.read(3).await.unwrap(), b"fir");
        assert_eq!(view.read_exact(7).await, b"st then");
        assert!(view.waits(), "nothing comes twice");
        peer.says("more").await;
        assert_eq!(view.read_exact(4).await, b"more");
    })
    .await;
}

async fn what_a_dropped_stream_of_leases_got_is_read_first_in_order_and_once() {
    each(async |kind| {
        let (end, peer) = kind.pair().await;
        let mut leases = match &end {
            End::Tcp(stream) => stream.recv_stream(),
            End::Unix(stream) => stream.recv_stream(),
        };
        assert!(leases.next().now_or_never().is_none());
        // One answer each.
        for word in ["one ", "two ", "three "] {
            peer.says(word).await;
        }
        drop(leases);
        let mut view = kind.view(end);
        // Of each there is room for more, so that it looks as if the socket were empty.
        assert_eq!(view.read_exact(14).await, b"one two three ");
        assert!(view.waits(), "nothing comes twice");
        peer.says("four").await;
        assert_eq!(view.read_exact(4).await, b"four");
    })
    .await;
}

async fn an_error_that_a_dropped_read_met_is_told_once() {
    for buffered in [false, true] {
        let kind = Kind { unix: false, buffered };
        let (end, peer) = kind.pair().await;
        let mut dropped = end.read(64);
        assert!(begin(&mut dropped).is_pending());
        peer.reset();
        arrival().await;
        drop(dropped);
        let mut view = kind.view(end);
        assert_eq!(view.read(64).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        for _ in 0..2 {
            assert_eq!(view.read(64).await.unwrap(), b"", "told once");
        }
    }
}

async fn an_error_that_a_dropped_write_met_is_told_once() {
    each(async |kind| {
        let (end, peer) = kind.pair().await;
        // It is driven no further once there is no room.
        #[cfg(feature = "sim")]
        end.has_faults(&annulus::sim::Faults::none());
        let mut dropped = end.write_all(vec![7; 64 << 20]);
        assert!(timeout(20 * MILLI, &mut dropped).await.is_err());
        peer.reset();
        arrival().await;
        drop(dropped);
        let mut view = kind.view(end);
        // The system tells of a reset once, and told it to the dropped one.
        let told = if kind.unix { ErrorKind::BrokenPipe } else { ErrorKind::ConnectionReset };
        assert_eq!(view.write(b"more").await.unwrap_err().kind(), told);
        assert_eq!(view.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    })
    .await;
}

async fn a_dropped_write_is_finished_before_the_views() {
    each(async |kind| {
        let (end, peer) = kind.pair().await;
        end.small_buffers();
        let sent = bytes(1, 8 << 20);
        let writing = timeout(20 * MILLI, end.write_all(sent.clone()));
        assert!(writing.await.is_err(), "nobody reads");
        let mut view = kind.view(end);
        let writing = spawn(async move {
            view.write_all(b"the view's").await;
            view.shutdown().await.unwrap();
        });
        let got = peer.read_to_end().await;
        writing.await.unwrap();
        let (before, own) = got.split_at(got.len() - 10);
        assert_eq!(own, b"the view's");
        assert!(!before.is_empty() && before.len() < sent.len(), "{}", before.len());
        assert_same(before, &sent[..before.len()]);
    })
    .await;
}

async fn a_write_that_is_still_awaited_is_finished_before_the_views() {
    each(async |kind| {
        let (end, peer) = kind.pair().await;
        end.small_buffers();
        let sent = bytes(2, 1 << 20);
        let awaited = spawn(end.write_all(sent.clone()));
        arrival().await;
        let mut view = kind.view(end);
        let writing = spawn(async move {
            view.write_all(b"the view's").await;
            view
        });
        assert_same(&peer.read_exact(sent.len()).await, &sent);
        assert_eq!(peer.read_exact(10).await, b"the view's");
        awaited.await.unwrap().0.unwrap();
        drop(writing.await.unwrap());
    })
    .await;
}

async fn an_end_comes_after_a_write_that_is_still_awaited() {
    each(async |kind| {
        let (end, peer) = kind.pair().await;
        end.small_buffers();
        let sent = bytes(3, 1 << 20);
        let awaited = spawn(end.write_all(sent.clone()));
        arrival().await;
        let mut view = kind.view(end);
        let ending = spawn(async move {
            view.shutdown().await.unwrap();
            view
        });
        assert_same(&peer.read_to_end().await, &sent);
        awaited.await.unwrap().0.unwrap();
        drop(ending.await.unwrap());
    })
    .await;
}

async fn a_read_that_is_still_awaited_has_its_turn_first_and_one_behind_has_it_later() {
    each(async |kind| {
        let (end, peer) = kind.pair().await;
        // Who finds nothing in its turn is last in line again.
        #[cfg(feature = "sim")]
        end.has_faults(&annulus::sim::Faults::none());
        let (mut before, mut behind) = (end.read(64), end.read(64));
        assert!(begin(&mut before).is_pending());
        let mut view = kind.view(end);
        assert!(view.waits());
        assert!(begin(&mut behind).is_pending());
        peer.says("one").await;
        assert_eq!(before.await.1, b"one");
        arrival().await;
        peer.says("two").await;
        assert_eq!(view.read_exact(3).await, b"two");
        // A view that receives keeps the direction until it is gone.
        let kept = if kind.buffered { Err(view.0.back()) } else { Ok(view) };
        peer.says("three").await;
        assert_eq!(behind.await.1, b"three");
        drop(kept);
    })
    .await;
}

/// Sends and receives at the same time, in pieces of all sizes.
async fn exchange(view: View, sent: Vec<u8>, wanted: Vec<u8>, seed: u64) {
    let view = Rc::new(RefCell::new(view));
    let sending = async {
        let (mut dice, mut rest) = (Dice::new(seed), &sent[..]);
        while !rest.is_empty() {
            let length = dice.length(100_000).min(rest.len());
            let cut = dice.below(length as u64 + 1) as usize;
            let parts = [IoSlice::new(&rest[..cut]), IoSlice::new(&rest[cut..length])];
            let in_parts = dice.below(2) == 0;
            let count = poll_fn(|cx| match in_parts {
                true => view.borrow_mut().0.poll_write_vectored(cx, &parts),
                false => view.borrow_mut().0.poll_write(cx, &rest[..length]),
            });
            let count = count.await.unwrap();
            assert!(0 < count && count <= length);
            rest = &rest[count..];
        }
        poll_fn(|cx| view.borrow_mut().0.poll_shutdown(cx)).await.unwrap();
    };
    let receiving = async {
        let (mut dice, mut all) = (Dice::new(seed + 1), Vec::new());
        loop {
            let length = dice.length(100_000);
            let got = poll_fn(|cx| view.borrow_mut().poll_read(cx, length)).await.unwrap();
            if got.is_empty() {
                return all;
            }
            all.extend(got);
        }
    };
    let ((), got) = join!(sending, receiving);
    assert_same(&got, &wanted);
}

async fn bulk(kind: Kind, ends: (End, End), length: usize) {
    let seed = seed();
    let (one, other) = (bytes(seed, length), bytes(seed + 1, length));
    let (near, far) = (kind.view(ends.0), kind.view(ends.1));
    let sums = spawn(exchange(near, one.clone(), other.clone(), seed + 2));
    exchange(far, other, one, seed + 3).await;
    sums.await.unwrap();
}

async fn bulk_data_compare_equal_in_both_directions() {
    each(async |kind| {
        let ends = kind.pair().await;
        ends.0.small_buffers();
        ends.1.small_buffers();
        bulk(kind, ends, if support::is_simulated() { 1 << 20 } else { 4 << 20 }).await;
    })
    .await;
}

async fn bulk_data_compare_equal_under_faults() {
    #[cfg(feature = "sim")]
    if support::is_simulated() {
        let mut faults = annulus::sim::Faults::quiet();
        (faults.short, faults.again, faults.late) = (0.7, 0.5, 0.5);
        each(async |kind| {
            let ends = kind.pair().await;
            for end in [&ends.0, &ends.1] {
                end.has_faults(&faults);
            }
            bulk(kind, ends, 300_000).await;
        })
        .await;
        return;
    }
    println!("skipped: faults are a world's; over the real drivers tests/faulty.sh puts them");
}

async fn half_closed_connections_go_on_in_the_other_direction() {
    each(async |kind| {
        let (mut view, peer) = kind.viewed().await;
        let mut other = kind.view(peer);
        view.write_all(b"all of it").await;
        view.shutdown().await.unwrap();
        assert_eq!(other.read_to_end().await, b"all of it");
        assert_eq!(other.read(64).await.unwrap(), b"", "it stays the end");
        other.write_all(b"the answer").await;
        assert_eq!(view.read_exact(10).await, b"the answer");
        assert_eq!(view.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        view.shutdown().await.expect("once more changes nothing");
        drop(other);
        assert_eq!(view.read(64).await.unwrap(), b"");
    })
    .await;
}

async fn a_reset_is_an_error_and_no_end() {
    for buffered in [false, true] {
        let kind = Kind { unix: false, buffered };
        for is_armed in [false, true] {
            let (mut view, peer) = kind.viewed().await;
            peer.says("before").await;
            assert_eq!(view.read_exact(6).await, b"before");
            assert!(!is_armed || view.waits());
            peer.reset();
            arrival().await;
            assert_eq!(view.read(64).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
            assert_eq!(view.read(64).await.unwrap(), b"", "told once");
            let error = view.write(b"more").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
            view.shutdown().await.expect("there is nobody to be told");
        }
    }
}

async fn parts_are_sent_in_order_however_they_are_split() {
    each(async |kind| {
        let (mut view, peer) = kind.viewed().await;
        assert!(view.0.is_write_vectored());
        let seed = seed();
        let mut dice = Dice::new(seed);
        for round in 0..30 {
            let sent = bytes(seed + round, dice.length(9000));
            let mut rest = &sent[..];
            while !rest.is_empty() {
                let (mut parts, mut ahead) = (Vec::new(), rest);
                for _ in 0..1 + dice.below(20) {
                    let (part, others) = ahead.split_at((dice.below(500) as usize).min(ahead.len()));
                    parts.push(IoSlice::new(if dice.below(3) == 0 { &[] } else { part }));
                    ahead = if parts.last().unwrap().is_empty() { ahead } else { others };
                }
                let all = rest.len() - ahead.len();
                let count = poll_fn(|cx| view.0.poll_write_vectored(cx, &parts)).await.unwrap();
                assert!(count <= all && (count > 0 || all == 0), "{count} of {all}");
                rest = &rest[count..];
            }
            assert_same(&peer.read_exact(sent.len()).await, &sent);
        }
    })
    .await;
}

async fn parts_behind_more_empty_ones_than_a_call_takes_are_sent() {
    each(async |kind| {
        let (mut view, peer) = kind.viewed().await;
        let mut parts = vec![IoSlice::new(&[]); 2000];
        parts.push(IoSlice::new(b"behind"));
        let count = poll_fn(|cx| view.0.poll_write_vectored(cx, &parts)).await.unwrap();
        assert!(count > 0, "nothing written would be an error of the sink's");
        assert_eq!(peer.read_exact(count).await, b"behind"[..count]);
        // And more parts than a call takes are taken in part.
        let parts = vec![IoSlice::new(b"x"); 3000];
        let count = poll_fn(|cx| view.0.poll_write_vectored(cx, &parts)).await.unwrap();
        assert!((1..=3000).contains(&count));
        assert_eq!(peer.read_exact(count).await, vec![b'x'; count]);
    })
    .await;
}

async fn nothing_read_or_written_is_no_end_and_does_not_wait() {
    each(async |kind| {
        let (mut view, peer) = kind.viewed().await;
        let empty = [IoSlice::new(&[]), IoSlice::new(&[])];
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(view.poll_read(&mut cx, 0), Poll::Ready(Ok(none)) if none.is_empty()));
        assert!(matches!(view.0.poll_write(&mut cx, &[]), Poll::Ready(Ok(0))));
        assert!(matches!(view.0.poll_write_vectored(&mut cx, &empty), Poll::Ready(Ok(0))));
        assert!(matches!(view.0.poll_write_vectored(&mut cx, &[]), Poll::Ready(Ok(0))));
        assert!(matches!(view.0.poll_flush(&mut cx), Poll::Ready(Ok(()))));
        peer.says("still here").await;
        assert_eq!(view.read_exact(10).await, b"still here");
    })
    .await;
}

async fn an_idle_view_holds_no_buffer() {
    each(async |kind| {
        let mut pairs = Vec::new();
        for _ in 0..20 {
            pairs.push(kind.viewed().await);
        }
        for round in 0..2 {
            assert!(pairs.iter_mut().all(|(view, _)| view.waits()));
            yield_now().await;
            assert_eq!(metrics().leases_out, 0, "round {round}");
            for (view, peer) in &mut pairs {
                peer.write_all("some").await.0.unwrap();
                assert_eq!(view.read_exact(4).await, b"some");
            }
        }
    })
    .await;
}

async fn what_was_not_taken_is_the_streams_again_in_order() {
    each(async |kind| {
        let (mut view, peer) = kind.viewed().await;
        assert!(view.waits());
        // Several answers of a receive; of the first a part is taken.
        for word in ["one ", "two ", "three "] {
            peer.says(word).await;
        }
        assert_eq!(view.read(2).await.unwrap(), b"on");
        let end = view.0.back();
        peer.says("four ").await;
        assert_eq!(end.read_exact(17).await, b"e two three four ");
        peer.says("five").await;
        assert_eq!(end.read_exact(4).await, b"five");
    })
    .await;
}

async fn a_view_of_a_view_goes_on_where_that_ended() {
    each(async |kind| {
        let (mut view, peer) = kind.viewed().await;
        let mut last = kind;
        let sent = bytes(5, 40_000);
        let writing = spawn({
            let sent = sent.clone();
            async move {
                for piece in sent.chunks(777) {
                    peer.write_all(piece.to_vec()).await.0.unwrap();
                    yield_now().await;
                }
                peer
            }
        });
        let (mut got, mut dice, mut written) = (Vec::new(), Dice::new(seed()), 0);
        while got.len() < sent.len() {
            // Nobody reads them.
            if written < 50 && dice.below(3) == 0 {
                written += 1;
                view.write_all(b"x").await;
            }
            if dice.below(4) == 0 {
                last.buffered = dice.below(2) == 0;
                // While it waits, or while something has come.
                view.waits_or(&mut got);
                view = last.view(view.0.back());
            }
            got.extend(view.read(dice.length(3000)).await.unwrap());
        }
        assert_same(&got, &sent);
        drop(writing.await.unwrap());
    })
    .await;
}

impl View {
    /// Reads a byte, or begins to wait for one.
    fn waits_or(&mut self, got: &mut Vec<u8>) {
        if let Poll::Ready(read) = self.poll_read(&mut Context::from_waker(Waker::noop()), 1) {
            got.extend(read.unwrap());
        }
    }
}

async fn what_has_come_stays_until_it_is_consumed() {
    let (one, other) = support::net::pair().await;
    let mut view = one.into_buffered();
    other.write_all("GET /").await.0.unwrap();
    arrival().await;
    for _ in 0..2 {
        assert_eq!(poll_fn(|cx| view.poll_fill_buf(cx).map_ok(<[u8]>::to_vec)).await.unwrap(), b"GET /");
    }
    view.consume(0);
    view.consume(4);
    assert_eq!(poll_fn(|cx| view.poll_fill_buf(cx).map_ok(<[u8]>::to_vec)).await.unwrap(), b"/");
    assert_eq!(metrics().leases_out, 1);
    view.consume(1);
    assert_eq!(metrics().leases_out, 0);
    view.consume(0);
    other.close().await.unwrap();
    assert_eq!(poll_fn(|cx| view.poll_fill_buf(cx).map_ok(<[u8]>::to_vec)).await.unwrap(), b"");
}

async fn the_last_waker_is_woken() {
    each(async |kind| {
        let (one, peer) = kind.pair().await;
        one.small_buffers();
        peer.small_buffers();
        let mut view = kind.view(one);
        let wakers = [Arc::<Wakes>::default(), Arc::<Wakes>::default()];
        let woken = |wakers: &[Arc<Wakes>; 2]| wakers.each_ref().map(|wakes| wakes.0.load(Ordering::Relaxed));
        for wakes in &wakers {
            let waker = Waker::from(Arc::clone(wakes));
            assert!(view.poll_read(&mut Context::from_waker(&waker), 64).is_pending());
        }
        peer.says("wake up").await;
        while woken(&wakers) == [0, 0] {
            sleep(MILLI).await;
        }
        assert_eq!(woken(&wakers), [0, 1], "of a read");
        assert_eq!(view.read_exact(7).await, b"wake up");

        let sent = bytes(6, 2 << 20);
        let filled = view.fill(&sent);
        let wakers = [Arc::<Wakes>::default(), Arc::<Wakes>::default()];
        for wakes in &wakers {
            let waker = Waker::from(Arc::clone(wakes));
            assert!(view.0.poll_write(&mut Context::from_waker(&waker), &sent[filled..]).is_pending());
        }
        assert_same(&peer.read_exact(filled).await, &sent[..filled]);
        while woken(&wakers) == [0, 0] {
            sleep(MILLI).await;
        }
        assert_eq!(woken(&wakers), [0, 1], "of a write");
    })
    .await;
}

async fn a_view_dropped_while_it_waits_leaves_nothing() {
    each(async |kind| {
        let (one, peer) = kind.pair().await;
        one.small_buffers();
        peer.small_buffers();
        let mut view = kind.view(one);
        assert!(view.waits());
        let sent = bytes(7, 2 << 20);
        let filled = view.fill(&sent);
        assert!(metrics().in_flight >= 2, "both wait");
        drop(view);
        assert_same(&peer.read_to_end().await, &sent[..filled]);
    })
    .await;
}

async fn a_view_that_is_always_ready_lets_others_run() {
    each(async |kind| {
        let (mut view, peer) = kind.viewed().await;
        peer.write_all(bytes(8, 60_000)).await.0.unwrap();
        arrival().await;
        assert_eq!(view.read(1).await.unwrap().len(), 1);
        let view = Rc::new(RefCell::new(view));
        let reading = Rc::clone(&view);
        let steps = steps_between_yields(move || {
            let view = Rc::clone(&reading);
            async move { drop(poll_fn(|cx| view.borrow_mut().poll_read(cx, 1)).await.unwrap()) }
        });
        assert_fair(steps.await);
        let writing = Rc::clone(&view);
        let steps = steps_between_yields(move || {
            let view = Rc::clone(&writing);
            async move { assert_eq!(poll_fn(|cx| view.borrow_mut().0.poll_write(cx, b"x")).await.unwrap(), 1) }
        });
        assert_fair(steps.await);
    })
    .await;
}

#[track_caller]
fn assert_fair(steps: u64) {
    // Where there are faults there may be nothing yet, for some time, whenever it is asked.
    match support::is_simulated() || cfg!(annulus_faults) {
        true => assert!(steps < 2000, "{steps}"),
        false => assert_that_others_run(steps),
    }
}

/// That a socket has ended in one direction must not look like room in the other.
async fn a_half_closed_peer_that_does_not_read_costs_no_turns() {
    each(async |kind| {
        let (one, peer) = kind.pair().await;
        one.small_buffers();
        peer.small_buffers();
        match &peer {
            End::Tcp(stream) => stream.shutdown(std::net::Shutdown::Write).await.unwrap(),
            End::Unix(stream) => stream.shutdown(std::net::Shutdown::Write).await.unwrap(),
        }
        let mut view = kind.view(one);
        let sent = bytes(9, 4 << 20);
        let writing = spawn({
            let sent = sent.clone();
            async move {
                view.write_all(&sent).await;
                view.shutdown().await.unwrap();
            }
        });
        arrival().await;
        let before = metrics();
        sleep(100 * MILLI).await;
        let polls = metrics().polls - before.polls;
        assert!(polls < 50, "{polls} polls while there is nothing to do");
        assert_same(&peer.read_to_end().await, &sent);
        writing.await.unwrap();
    })
    .await;
}

async fn a_write_that_waits_does_not_hold_up_the_end() {
    each(async |kind| {
        let (one, peer) = kind.pair().await;
        one.small_buffers();
        peer.small_buffers();
        let mut view = kind.view(one);
        let sent = bytes(10, 2 << 20);
        let filled = view.fill(&sent);
        timeout(5 * SECOND, view.shutdown()).await.expect("nobody has to read for it").unwrap();
        assert_same(&peer.read_to_end().await, &sent[..filled]);
    })
    .await;
}

async fn readiness_is_told_of_leftovers_too() {
    let (one, other) = support::net::pair().await;
    let mut dropped = one.read(Vec::with_capacity(64));
    assert!(begin(&mut dropped).is_pending());
    other.write_all("left").await.0.unwrap();
    arrival().await;
    drop(dropped);
    let mut view = one.into_poll();
    poll_fn(|cx| view.poll_read_ready(cx)).await.unwrap();
    poll_fn(|cx| view.poll_write_ready(cx)).await.unwrap();
    let mut room = [0; 2];
    assert_eq!((tried(|| view.try_read(&mut room)), room), (2, *b"le"));
    poll_fn(|cx| view.poll_read_ready(cx)).await.unwrap();
    assert_eq!((tried(|| view.try_read(&mut room)), room), (2, *b"ft"));
    assert_eq!(view.try_read(&mut room).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(tried(|| view.try_write(b"back")), 4);
    assert_eq!(other.read(Vec::with_capacity(64)).await.1, b"back");
    // A read that is awaited elsewhere is behind one that waits for readiness, and has its turn all the same.
    let mut elsewhere = view.get_ref().read(Vec::with_capacity(64));
    assert!(begin(&mut elsewhere).is_pending());
    assert_eq!(view.try_read(&mut room).unwrap_err().kind(), ErrorKind::WouldBlock);
    other.write_all("more").await.0.unwrap();
    assert_eq!(elsewhere.await.1, b"more");
}

/// A fault may say that there is nothing yet.
fn tried(mut call: impl FnMut() -> Result<usize>) -> usize {
    let tries = (0..1000).map(|_| call());
    let mut done = tries.skip_while(|tried| tried.as_ref().is_err_and(|e| e.kind() == ErrorKind::WouldBlock));
    done.next().expect("it is ready").unwrap()
}

async fn a_view_waits_behind_a_read_by_its_stream_that_is_dropped() {
    for unix in [false, true] {
        let kind = Kind { unix, buffered: false };
        let (mut view, peer) = kind.viewed().await;
        peer.says("full").await;
        // It has found less than it had room for, so the next one waits for more to come.
        assert_eq!(view.read(64).await.unwrap(), b"full");
        let mut dropped = view.0.read_by_its_stream(64);
        assert!(begin(&mut dropped).is_pending());
        let waiting = spawn(async move { (view.read_exact(4).await, view) });
        yield_now().await;
        peer.says("left").await;
        drop(dropped);
        let (got, _) = timeout(5 * SECOND, waiting).await.expect("what was left is told").unwrap();
        assert_eq!(got, b"left");
    }
}

fn connections_in_the_rings_own_table_have_both_views(builder: Builder) {
    let runtime = builder.direct_descriptors(16).build().unwrap();
    let test = async {
        for buffered in [false, true] {
            let kind = Kind { unix: false, buffered };
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            bulk(kind, (End::Tcp(client), End::Tcp(server)), 1 << 20).await;
        }
    };
    runtime.run(test).unwrap();
    assert_eq!(runtime.shutdown(SECOND), 0, "nothing is leaked");
}
