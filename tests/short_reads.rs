//! A read that gets less than it had room for. Over readiness it says that a socket is empty, and spares the next read a
//! call: but only where that is sure. So no end, no error and no byte may wait behind one.

mod support;

use std::io::Write;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use annulus::net::{TcpStream, UnixStream};
use annulus::time::{sleep, timeout};
use annulus::{Builder, spawn};
use socket2::SockRef;
use support::child;
use support::net::{pair, with_std_peer};
use support::outside::{arrival, with_peer};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    an_end_that_comes_with_the_last_bytes_is_told,
    an_end_that_comes_after_the_last_bytes_were_read_is_told,
    a_reset_that_comes_with_the_last_bytes_is_told,
    leases_come_one_after_the_other_until_the_end,
}

on_real_drivers! {
    because "only the system has urgent data":
        what_is_behind_urgent_data_is_read;
    because "what a plain socket of the system passes":
        what_is_behind_a_passed_descriptor_is_read;
    because "it counts system calls":
        a_message_is_one_read_and_one_write;
}

/// Reads into more room than is needed, or fails.
async fn read(stream: &TcpStream) -> Vec<u8> {
    let read = stream.read(Vec::with_capacity(64));
    let (result, filled) = timeout(Duration::from_secs(5), read).await.expect("something comes");
    result.unwrap();
    filled
}

/// A connection whose reader has waited already, as most have when something comes.
async fn waited_for() -> (TcpStream, TcpStream) {
    let (client, server) = pair().await;
    let (first, sent) = both(read(&server), client.write_all("first")).await;
    assert_eq!(first, b"first");
    sent.0.unwrap();
    (client, server)
}

async fn both<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    futures_util::future::join(one, other).await
}

async fn an_end_that_comes_with_the_last_bytes_is_told() {
    for _ in 0..20 {
        let (client, server) = waited_for().await;
        client.write_all("last").await.0.unwrap();
        client.shutdown(std::net::Shutdown::Write).await.unwrap();
        // Both are there before the loop looks.
        arrival().await;
        assert_eq!(read(&server).await, b"last");
        assert_eq!(read(&server).await, b"");
    }
}

async fn an_end_that_comes_after_the_last_bytes_were_read_is_told() {
    for pause in [0, 1, 5] {
        let (client, server) = waited_for().await;
        let reader = spawn(async move { (read(&server).await, read(&server).await) });
        client.write_all("last").await.0.unwrap();
        sleep(Duration::from_millis(pause)).await;
        client.shutdown(std::net::Shutdown::Write).await.unwrap();
        assert_eq!(reader.await.unwrap(), (b"last".to_vec(), Vec::new()));
    }
}

async fn a_reset_that_comes_with_the_last_bytes_is_told() {
    let (stream, mut peer) = with_peer().await;
    let (first, sent) = both(read(&stream), peer.write_all(b"first")).await;
    sent.unwrap();
    assert_eq!(first, b"first");
    peer.write_all(b"last").await.unwrap();
    peer.reset().await;
    arrival().await;
    // A reset throws away what was not read yet, or follows it.
    let (mut result, filled) = stream.read(Vec::with_capacity(64)).await;
    if result.is_ok() {
        assert_eq!(filled, b"last");
        let again = timeout(Duration::from_secs(5), stream.read(Vec::with_capacity(64)));
        result = again.await.expect("it is told").0;
    }
    assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

async fn leases_come_one_after_the_other_until_the_end() {
    let (client, server) = waited_for().await;
    let sender = spawn(async move {
        for number in 0..200u8 {
            client.write_all(vec![number; 100]).await.0.unwrap();
            // At times there is more than one piece to read, at times none.
            if number % 7 == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let (mut leases, mut got) = (server.recv_stream(), Vec::new());
    while let Some(lease) = timeout(Duration::from_secs(5), leases.next()).await.expect("something comes") {
        got.extend_from_slice(&lease.unwrap());
    }
    sender.await.unwrap();
    let all: Vec<u8> = (0..200u8).flat_map(|number| [number; 100]).collect();
    assert!(got == all, "{} bytes of {}", got.len(), all.len());
}

async fn what_is_behind_urgent_data_is_read() {
    let (stream, mut peer) = with_std_peer().await;
    let (first, ()) = both(read(&stream), async { peer.write_all(b"first").unwrap() }).await;
    assert_eq!(first, b"first");
    peer.write_all(b"before").unwrap();
    SockRef::from(&peer).send_out_of_band(b"!").unwrap();
    peer.write_all(b"behind").unwrap();
    arrival().await;
    // A read stops at the mark.
    assert_eq!(read(&stream).await, b"before");
    assert_eq!(read(&stream).await, b"behind");
}

async fn what_is_behind_a_passed_descriptor_is_read() {
    let (peer, stream) = StdUnixStream::pair().unwrap();
    let stream = UnixStream::from_std(stream).unwrap();
    let read = || timeout(Duration::from_secs(5), stream.read(Vec::with_capacity(64)));
    let (first, ()) = both(read(), async { (&peer).write_all(b"first").unwrap() }).await;
    assert_eq!(first.unwrap().1, b"first");
    for text in ["one", "two", "three"] {
        pass_itself(&peer, text);
    }
    arrival().await;
    // A read stops behind each.
    for text in ["one", "two", "three"] {
        let (result, filled) = read().await.expect("it is there");
        result.unwrap();
        assert_eq!(filled, text.as_bytes());
    }
}

/// Sends a text together with a descriptor.
#[allow(unsafe_code, reason = "the standard library does not pass descriptors")]
fn pass_itself(socket: &StdUnixStream, text: &str) {
    use std::os::fd::AsRawFd;
    let mut control = [0u64; 4];
    let mut part = libc::iovec { iov_base: text.as_ptr().cast_mut().cast(), iov_len: text.len() };
    // SAFETY: a header of zeroes is an empty one; what it points to lives until the end; the room is more than is needed.
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(4) as _;
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        (*head).cmsg_level = libc::SOL_SOCKET;
        (*head).cmsg_type = libc::SCM_RIGHTS;
        (*head).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(head).cast::<i32>().write_unaligned(socket.as_raw_fd());
        libc::sendmsg(socket.as_raw_fd(), &raw const message, 0)
    };
    assert_eq!(sent, text.len() as isize);
}

fn a_message_is_one_read_and_one_write(builder: Builder) {
    const MESSAGES: usize = 200;
    let test = child::name();
    if child::is_child(&test) {
        return builder.build().unwrap().run(echoes(MESSAGES)).unwrap();
    }
    let Some(text) = support::traced::traced(&["-e", "trace=recvfrom,sendto,read,write,epoll_ctl"]) else {
        return;
    };
    let count = |call: &str| text.lines().filter(|line| line.contains(&format!(" {call}("))).count();
    let refused = text.lines().filter(|line| line.contains("recvfrom(") && line.contains("EAGAIN")).count();
    println!("{MESSAGES} messages there and back: {} reads, {refused} for nothing", count("recvfrom"));
    // Both ends are this loop's: two reads and two writes each. A ring makes some of them itself.
    assert!(count("recvfrom") <= 2 * MESSAGES + 10 && refused <= 10, "{text}");
    assert!(count("sendto") <= 2 * MESSAGES && count("epoll_ctl") <= 10, "{text}");
}

async fn echoes(messages: usize) {
    let (client, server) = pair().await;
    let echo = spawn(async move {
        for _ in 0..messages {
            let (_, filled) = server.read(Vec::with_capacity(64)).await;
            server.write_all(filled).await.0.unwrap();
        }
    });
    for _ in 0..messages {
        client.write_all("a message").await.0.unwrap();
        assert_eq!(read(&client).await, b"a message");
    }
    echo.await.unwrap();
}
