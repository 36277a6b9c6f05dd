//! What poll(2) says of a socket in each of its states.

use super::Script;
use super::socket::Socket;

super::scripts! {
    a_new_socket_is_hung_up,
    a_listener_is_readable_when_somebody_came,
    a_connection_is_writable_until_its_room_is_used_up,
    a_connection_is_readable_until_it_was_read,
    a_poll_waits_for_what_comes,
    an_end_is_readable,
    two_ends_are_a_hang_up,
    an_end_makes_no_room,
    a_reset_is_an_error_and_everything_else,
    a_datagram_socket_is_writable_and_readable_by_datagrams,
    an_unwanted_datagram_is_an_error,
    a_unix_stream_says_what_a_tcp_stream_says,
}

const BOTH: i16 = libc::POLLIN | libc::POLLOUT;
const ALL: i16 = BOTH | libc::POLLRDHUP;

async fn a_new_socket_is_hung_up(script: &Script) {
    script.says("tcp", Socket::tcp().await.ready(BOTH).await, "OUT HUP");
    script.says("udp", Socket::udp().await.ready(BOTH).await, "OUT");
    script.says("unix", Socket::unix(libc::SOCK_STREAM).await.ready(BOTH).await, "OUT HUP");
    script.says("unix", Socket::unix(libc::SOCK_DGRAM).await.ready(BOTH).await, "OUT");
}

async fn a_listener_is_readable_when_somebody_came(script: &Script) {
    let (listener, address) = Socket::listening().await;
    script.says("nobody", listener.ready(BOTH).await, "ETIMEDOUT");
    let mut poll = listener.poll(libc::POLLIN);
    script.waits("poll", &mut poll).await;
    let client = Socket::tcp().await;
    client.connect(address).await.unwrap();
    script.says("poll", poll.await.map(super::normal::Events), "IN");
    script.says("again", listener.ready(BOTH).await, "IN");
    listener.accept().await.unwrap();
    script.says("accepted", listener.ready(BOTH).await, "ETIMEDOUT");
}

async fn a_connection_is_writable_until_its_room_is_used_up(script: &Script) {
    let (client, _server) = Socket::pair().await;
    script.says("new", client.ready(ALL).await, "OUT");
    script.says("nothing to read", client.ready(libc::POLLIN).await, "ETIMEDOUT");
    let mut send = client.send_all(vec![0; 16 << 20]);
    script.goes_on_and_waits("send", &mut send).await;
    script.says("full", client.ready(ALL).await, "ETIMEDOUT");
    send.cancel();
    send.await.0.unwrap_err();
}

async fn a_connection_is_readable_until_it_was_read(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.send_all("hello").await.0.unwrap();
    script.a_while().await;
    script.says("poll", server.ready(ALL).await, "IN OUT");
    server.recv_all(3).await.0.unwrap();
    script.says("a part was read", server.ready(ALL).await, "IN OUT");
    server.recv_all(2).await.0.unwrap();
    script.says("all was read", server.ready(ALL).await, "OUT");
}

async fn a_poll_waits_for_what_comes(script: &Script) {
    let (client, server) = Socket::pair().await;
    let (mut one, mut other) = (server.poll(libc::POLLIN), server.poll(libc::POLLIN));
    script.waits("poll", &mut one).await;
    script.waits("another poll", &mut other).await;
    client.send_all("x").await.0.unwrap();
    script.says("poll", one.await.map(super::normal::Events), "IN");
    script.says("another poll", other.await.map(super::normal::Events), "IN");
    script.says("recv", server.recv(5).await, "1: x");
}

async fn an_end_is_readable(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.shutdown(libc::SHUT_WR).await.unwrap();
    script.a_while().await;
    script.says("the server", server.ready(ALL).await, "IN OUT RDHUP");
    script.says("the client", client.ready(ALL).await, "OUT");
    server.recv(1).await.0.unwrap();
    script.says("after the end", server.ready(ALL).await, "IN OUT RDHUP");
}

async fn two_ends_are_a_hang_up(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.shutdown(libc::SHUT_WR).await.unwrap();
    script.a_while().await;
    server.shutdown(libc::SHUT_WR).await.unwrap();
    script.a_while().await;
    script.says("the server", server.ready(ALL).await, "IN OUT RDHUP HUP");
    script.says("the client", client.ready(ALL).await, "IN OUT RDHUP HUP");
    // A ring's poll asks for RDHUP as well, always.
    script.says("not asked for", client.ready(0).await, "HUP|RDHUP HUP");
}

async fn an_end_makes_no_room(script: &Script) {
    let (client, server) = Socket::pair().await;
    let mut send = client.send_all(vec![0; 16 << 20]);
    script.goes_on_and_waits("send", &mut send).await;
    server.shutdown(libc::SHUT_WR).await.unwrap();
    script.a_while().await;
    // As above: the ring's poll ends, though there is no room.
    script.says("poll", client.ready(libc::POLLOUT).await, "ETIMEDOUT|RDHUP");
    send.cancel();
    send.await.0.unwrap_err();
}

async fn a_reset_is_an_error_and_everything_else(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.reset().await;
    script.a_while().await;
    script.says("poll", server.ready(ALL).await, "IN OUT RDHUP HUP ERR");
    script.says("recv", server.recv(1).await, "ECONNRESET");
    script.says("it was told", server.ready(ALL).await, "IN OUT RDHUP HUP");
}

async fn a_datagram_socket_is_writable_and_readable_by_datagrams(script: &Script) {
    let (one, other) = Socket::couple().await;
    script.says("new", one.ready(ALL).await, "OUT");
    other.send("x").await.0.unwrap();
    script.a_while().await;
    script.says("one came", one.ready(ALL).await, "IN OUT");
    one.recv(1).await.0.unwrap();
    script.says("it was read", one.ready(ALL).await, "OUT");
    other.close().await.unwrap();
    script.a_while().await;
    script.says("the peer is gone", one.ready(ALL).await, "OUT");
}

async fn an_unwanted_datagram_is_an_error(script: &Script) {
    let (one, other) = Socket::couple().await;
    other.close().await.unwrap();
    script.says("send", one.send("x").await, "1");
    script.a_while().await;
    script.says("poll", one.ready(ALL).await, "OUT ERR");
    script.says("its error", one.take_error(), "ECONNREFUSED");
    script.says("it was told", one.ready(ALL).await, "OUT");
}

async fn a_unix_stream_says_what_a_tcp_stream_says(script: &Script) {
    let (client, server) = Socket::pair_at(libc::SOCK_STREAM, &script.abstract_name("door")).await;
    script.says("new", client.ready(ALL).await, "OUT");
    client.send_all("x").await.0.unwrap();
    script.says("bytes", server.ready(ALL).await, "IN OUT");
    client.shutdown(libc::SHUT_WR).await.unwrap();
    script.says("the end of the peer", server.ready(ALL).await, "IN OUT RDHUP");
    script.says("its own end", client.ready(ALL).await, "OUT");
    server.recv_all(1).await.0.unwrap();
    server.close().await.unwrap();
    script.says("both ends", client.ready(ALL).await, "IN OUT RDHUP HUP");
}
