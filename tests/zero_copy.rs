//! What is sent without being copied: it arrives as it was, and its buffer comes back when nobody uses it any more.

mod support;

use std::future::Future;
use std::net::Shutdown;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Waker};
use std::time::Duration;

use annulus::io::Incomplete;
use annulus::net::{TcpStream, ZeroCopy};
use annulus::time::timeout;
use annulus::{Runtime, spawn};
use support::data::{assert_same, bytes};
use support::guarded::{self, Guarded};
use support::net::{pair, read_to_end};

support::on_every_driver! {
    what_is_sent_arrives_and_its_buffer_comes_back,
    buffers_of_all_sizes_arrive_in_order,
    the_result_does_not_wait_for_the_buffer,
    a_write_that_is_stopped_says_how_far_it_came,
    a_dropped_write_is_accounted_for,
    a_stream_is_closed_though_its_buffer_is_still_lent,
    a_dropped_buffer_is_free_when_the_kernel_has_let_go_of_it,
    a_peer_that_is_gone_is_told,
    what_was_copied_is_copied_from_then_on,
    nothing_is_sent_at_once,
    several_buffers_are_sent_as_one,
}

/// More than there is room for on the way to a peer that does not read.
fn large() -> Vec<u8> {
    static LARGE: OnceLock<Vec<u8>> = OnceLock::new();
    LARGE.get_or_init(|| bytes(1, 16 << 20)).clone()
}

/// Without regard to what the kernel says of it: on loopback it copies.
async fn insistent() -> (TcpStream, TcpStream) {
    let (client, server) = pair().await;
    client.set_zero_copy(ZeroCopy::Always);
    (client, server)
}

fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

async fn what_is_sent_arrives_and_its_buffer_comes_back() {
    const LENGTH: usize = 4 << 20;
    let (client, server) = insistent().await;
    let reading = spawn(async move { read_to_end(&server).await });
    let (result, released) = client.write_all_zc(bytes(1, LENGTH)).await;
    assert_eq!(result.unwrap(), LENGTH);
    assert_same(&released.await, &bytes(1, LENGTH));
    drop(client);
    assert_same(&reading.await.unwrap(), &bytes(1, LENGTH));
}

async fn buffers_of_all_sizes_arrive_in_order() {
    let (client, server) = insistent().await;
    let reading = spawn(async move { read_to_end(&server).await });
    let mut sent = Vec::new();
    let mut released = Vec::new();
    for (seed, length) in [1, 5000, 16 << 10, 100_000, 3, 1 << 20].into_iter().enumerate() {
        if seed % 3 == 1 {
            // A plain one in between.
            client.write_all("plain").await.0.unwrap();
            sent.extend(b"plain");
        }
        let (result, buffer) = client.write_all_zc(bytes(seed as u64, length)).await;
        assert_eq!(result.unwrap(), length);
        sent.extend(bytes(seed as u64, length));
        released.push((seed as u64, length, buffer));
    }
    client.shutdown(Shutdown::Write).await.unwrap();
    assert_same(&reading.await.unwrap(), &sent);
    // In any order.
    while let Some((seed, length, buffer)) = released.pop() {
        assert_same(&buffer.await, &bytes(seed, length));
    }
}

/// Sends more than there is room for to a peer that does not read.
async fn stuck(client: &TcpStream) -> (usize, impl Future<Output = Vec<u8>> + Unpin + use<>) {
    let (result, released) = client.write_zc(large()).await;
    (result.unwrap(), released)
}

async fn the_result_does_not_wait_for_the_buffer() {
    let (client, server) = insistent().await;
    let (sent, mut released) = stuck(&client).await;
    assert!(0 < sent && sent < 16 << 20, "{sent}");
    let lends = Runtime::try_current().unwrap().driver() == "uring";
    if lends && kernel_sends_without_copying() {
        assert!(is_pending(&mut released), "a part of it waits for room at the peer");
        let metrics = Runtime::try_current().unwrap().metrics();
        assert!(metrics.in_flight > 0);
    }
    let (result, got) = server.read_exact(vec![0; sent]).await;
    result.unwrap();
    let buffer = released.await;
    assert_same(&got, &buffer[..sent]);
}

/// Linux 6.2 and newer.
fn kernel_sends_without_copying() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').filter_map(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(2))
}

async fn a_write_that_is_stopped_says_how_far_it_came() {
    let (client, server) = insistent().await;
    let write = client.write_all_zc(large()).timeout(Duration::from_millis(30));
    // It does not wait for the buffer, which is lent as long as the peer does not read.
    let (result, released) = timeout(Duration::from_secs(5), write).await.expect("it says so in time");
    let error = result.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    let done = Incomplete::of(&error).unwrap().done();
    assert!(0 < done && done < 16 << 20, "{done}");
    client.shutdown(Shutdown::Write).await.unwrap();
    assert_same(&read_to_end(&server).await, &large()[..done]);
    assert_eq!(released.await.len(), 16 << 20);
}

async fn a_dropped_write_is_accounted_for() {
    let (client, server) = insistent().await;
    let write = client.write_all_zc(large());
    assert!(timeout(Duration::from_millis(30), write).await.is_err());
    let reading = spawn(async move { read_to_end(&server).await });
    let sent = client.settle_writes().await.unwrap();
    assert!(0 < sent && sent < 16 << 20, "{sent}");
    client.write_all("after it").await.0.unwrap();
    drop(client);
    let got = reading.await.unwrap();
    assert_eq!(got.len(), sent + 8);
    assert_same(&got[..sent], &large()[..sent]);
}

async fn a_stream_is_closed_though_its_buffer_is_still_lent() {
    for drops_write in [false, true] {
        let (client, server) = insistent().await;
        let mut sent = None;
        let mut lent = None;
        match drops_write {
            false => {
                let (count, released) = stuck(&client).await;
                (sent, lent) = (Some(count), Some(released));
            }
            true => {
                let write = client.write_all_zc(large());
                assert!(timeout(Duration::from_millis(20), write).await.is_err());
            }
        }
        // A poll is in flight as well, which has to be looked for.
        {
            let mut readable = pin!(client.readable());
            assert!(readable.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        timeout(Duration::from_secs(5), client.close())
            .await
            .expect("it does not wait for the peer")
            .unwrap();
        let got = read_to_end(&server).await;
        assert!(sent.is_none_or(|sent| sent == got.len()));
        assert_same(&got, &large()[..got.len()]);
        if let Some(lent) = lent {
            assert_eq!(lent.await.len(), 16 << 20);
        }
    }
}

async fn a_dropped_buffer_is_free_when_the_kernel_has_let_go_of_it() {
    let before = guarded::mapped();
    let (client, server) = insistent().await;
    for _ in 0..3 {
        // Unmapped when it is freed.
        let (result, released) = client.write_all_zc(Guarded::of(&bytes(1, 25 * 4096))).await;
        assert_eq!(result.unwrap(), 25 * 4096);
        drop(released);
    }
    drop(client);
    let got = read_to_end(&server).await;
    assert_same(&got, &bytes(1, 25 * 4096).repeat(3));
    let all_gone = async {
        while guarded::mapped() > before {
            annulus::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(5), all_gone).await.expect("they are freed");
}

async fn a_peer_that_is_gone_is_told() {
    let (client, server) = insistent().await;
    server.set_linger(Some(Duration::ZERO)).unwrap();
    server.close().await.unwrap();
    annulus::time::sleep(Duration::from_millis(20)).await;
    let (result, released) = client.write_all_zc(vec![7; 100_000]).await;
    let gone = [std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::BrokenPipe];
    assert!(gone.contains(&result.unwrap_err().kind()));
    assert_eq!(released.await.len(), 100_000);
}

async fn what_was_copied_is_copied_from_then_on() {
    let (client, server) = pair().await;
    let usual = client.zero_copy();
    assert!(matches!(usual, ZeroCopy::Auto { .. }));
    drop(spawn(async move { read_to_end(&server).await }));
    client.write_all_zc(vec![7; 1000]).await.1.await;
    assert_eq!(client.zero_copy(), usual, "it was too small to be tried");
    client.write_all_zc(vec![7; 1 << 20]).await.1.await;
    let runtime = Runtime::try_current().unwrap();
    match runtime.driver() {
        // It was done otherwise: the kernel has no such thing, or said that the socket was not ready.
        "uring" if runtime.metrics().fallbacks > 0 => println!("skipped: nothing was lent"),
        "uring" => assert_eq!(client.zero_copy(), ZeroCopy::Off),
        _ => assert_eq!(client.zero_copy(), usual),
    }
    let (result, _) = client.write_all_zc(vec![7; 1 << 20]).await;
    assert_eq!(result.unwrap(), 1 << 20);
}

async fn nothing_is_sent_at_once() {
    let (client, _server) = insistent().await;
    let (result, released) = client.write_all_zc("").await;
    assert_eq!((result.unwrap(), released.await), (0, ""));
}

async fn several_buffers_are_sent_as_one() {
    let (client, server) = insistent().await;
    let buffers = vec![bytes(1, 5000), Vec::new(), bytes(2, 30_000)];
    let (result, released) = client.writev_zc(buffers).await;
    assert_eq!(result.unwrap(), 35_000);
    let got = server.read_exact(vec![0; 35_000]).await.1;
    assert_same(&got, &released.await.concat());
}
