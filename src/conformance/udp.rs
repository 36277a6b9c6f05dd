//! UDP: datagrams, whole or cut off, from whom one is connected to, and what comes back when nobody takes them.

use std::net::{Ipv6Addr, SocketAddr};

use super::Script;
use super::socket::{HERE, Socket};

super::scripts! {
    datagrams_keep_their_bounds,
    a_datagram_is_cut_off_to_the_room,
    several_buffers_are_one_datagram,
    a_datagram_fills_one_buffer_after_the_other,
    datagrams_wait_for_who_is_bound,
    a_socket_that_is_connected_to_nobody_sends_nowhere,
    names_are_given_by_binding_and_connecting,
    a_datagram_socket_connects_again,
    a_port_is_had_by_one_socket,
    only_the_peer_is_heard,
    a_refusal_is_told_once,
    a_refusal_is_told_to_a_send,
    a_refusal_is_told_to_a_pending_receive,
    a_datagram_has_at_most_65507_bytes,
    a_socket_that_was_shut_down_sends_nothing,
    a_socket_that_was_shut_down_receives_what_came,
    shutting_down_needs_a_peer,
    connecting_elsewhere_leaves_a_refusal,
    datagram_sockets_do_not_listen,
    what_nobody_read_is_gone_with_the_socket,
}

async fn datagrams_keep_their_bounds(script: &Script) {
    let (one, other) = Socket::couple().await;
    script.says("send", one.send("one").await, "3");
    script.says("send", one.send("three").await, "5");
    script.a_while().await;
    // Their order is not promised, though over loopback it is kept.
    let mut came = [other.recv(100).await.1, other.recv(100).await.1];
    came.sort();
    script.says("recv", came.join(&b' '), "one three");
    script.says("nothing more", other.recv_now(100).await, "ETIMEDOUT");
}

async fn a_datagram_is_cut_off_to_the_room(script: &Script) {
    let (one, other) = Socket::couple().await;
    script.says("send", one.send("a long one").await, "10");
    script.says("recv", other.recv(4).await, "4: a lo");
    script.says("send", one.send("next").await, "4");
    script.says("the rest is gone", other.recv(100).await, "4: next");
}

async fn several_buffers_are_one_datagram(script: &Script) {
    let (one, other) = Socket::couple().await;
    script.says("send", one.send_vectored(&["he", "", "llo"]).await, "5");
    script.says("recv", other.recv(100).await, "5: hello");
}

async fn a_datagram_fills_one_buffer_after_the_other(script: &Script) {
    let (one, other) = Socket::couple().await;
    script.says("send", one.send("hello").await, "5");
    script.says("recv", other.recv_vectored(&[2, 2, 2]).await, "5: he,ll,o");
    script.says("send", one.send("hello").await, "5");
    script.says("recv less", other.recv_vectored(&[1, 2]).await, "3: h,el");
    script.says("the rest is gone", other.recv_now(100).await, "ETIMEDOUT");
}

async fn datagrams_wait_for_who_is_bound(script: &Script) {
    let (server, address) = Socket::bound().await;
    let client = Socket::udp().await;
    script.says("connect", client.connect(address).await, "ok");
    script.says("send", client.send("hello").await, "5");
    script.a_while().await;
    script.says("recv", server.recv(100).await, "5: hello");
    let mut pending = server.recv(100);
    script.waits("recv", &mut pending).await;
    script.says("send", client.send("again").await, "5");
    script.says("recv", pending.await, "5: again");
}

async fn a_socket_that_is_connected_to_nobody_sends_nowhere(script: &Script) {
    let socket = Socket::udp().await;
    script.says("send", socket.send("x").await, "EDESTADDRREQ");
    script.says("send", socket.send_vectored(&["x"]).await, "EDESTADDRREQ");
    script.says("recv", socket.recv_now(1).await, "ETIMEDOUT");
    script.says("its peer", socket.peer(), "ENOTCONN");
}

async fn names_are_given_by_binding_and_connecting(script: &Script) {
    let (server, address) = Socket::bound().await;
    script.says("the server's name", server.name(), "127.0.0.1:port");
    let client = Socket::udp().await;
    script.says("no name", client.name(), "0.0.0.0:0");
    script.says("connect", client.connect(address).await, "ok");
    script.says("the client's name", client.name(), "127.0.0.1:port");
    script.says("the client's peer", client.peer().unwrap().as_socket() == Some(address), "yes");
    script.says("bind", client.bind(HERE), "EINVAL");
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 9));
    script.says("another family", server.connect(v6).await, "EAFNOSUPPORT");
}

async fn a_datagram_socket_connects_again(script: &Script) {
    let ((one, at), (other, there)) = (Socket::bound().await, Socket::bound().await);
    let client = Socket::udp().await;
    script.says("connect", client.connect(at).await, "ok");
    script.says("send", client.send("one").await, "3");
    script.says("connect elsewhere", client.connect(there).await, "ok");
    script.says("its peer", client.peer().unwrap().as_socket() == Some(there), "yes");
    script.says("send", client.send("other").await, "5");
    script.says("recv", one.recv(100).await, "3: one");
    script.says("recv", other.recv(100).await, "5: other");
}

async fn a_port_is_had_by_one_socket(script: &Script) {
    let (one, address) = Socket::bound().await;
    let other = Socket::udp().await;
    script.says("bind", other.bind(address), "EADDRINUSE");
    script.says("bind again", one.bind(HERE), "EINVAL");
    let foreign: SocketAddr = "203.0.113.1:0".parse().unwrap();
    script.says("bind to a foreign address", other.bind(foreign), "EADDRNOTAVAIL");
    let tcp = Socket::tcp().await;
    script.says("ports of TCP are others", tcp.bind(address), "ok|EADDRINUSE");
    one.close().await.unwrap();
    script.says("bind after the close", other.bind(address), "ok");
}

async fn only_the_peer_is_heard(script: &Script) {
    let (one, other) = Socket::couple().await;
    let stranger = Socket::udp().await;
    stranger.connect(other.address()).await.unwrap();
    script.says("a stranger sends", stranger.send("hello").await, "5");
    script.a_while().await;
    script.says("it is refused", stranger.recv(100).await, "ECONNREFUSED");
    script.says("nothing came", other.recv_now(100).await, "ETIMEDOUT");
    script.says("the peer sends", one.send("hello").await, "5");
    script.says("recv", other.recv(100).await, "5: hello");
}

async fn a_refusal_is_told_once(script: &Script) {
    let (one, other) = Socket::couple().await;
    script.says("close", other.close().await, "ok");
    script.says("send", one.send("x").await, "1");
    script.a_while().await;
    script.says("recv", one.recv(1).await, "ECONNREFUSED");
    script.says("recv", one.recv_now(1).await, "ETIMEDOUT");
    script.says("its error", one.take_error(), "none");
}

async fn a_refusal_is_told_to_a_send(script: &Script) {
    let (one, other) = Socket::couple().await;
    script.says("close", other.close().await, "ok");
    script.says("send", one.send("x").await, "1");
    script.a_while().await;
    script.says("send", one.send("x").await, "ECONNREFUSED");
    script.says("send", one.send("x").await, "1");
}

async fn a_refusal_is_told_to_a_pending_receive(script: &Script) {
    let (one, other) = Socket::couple().await;
    let mut read = one.recv(1);
    script.waits("recv", &mut read).await;
    script.a_while().await;
    script.says("close", other.close().await, "ok");
    script.says("send", one.send("x").await, "1");
    script.says("recv", read.await, "ECONNREFUSED");
}

async fn a_datagram_has_at_most_65507_bytes(script: &Script) {
    let (one, other) = Socket::couple().await;
    let of = |length| vec![b'x'; length].into_boxed_slice();
    script.says("too long", one.send(of(65_508)).await, "EMSGSIZE");
    script.says("as long as can be", one.send(of(65_507)).await, "65507");
    script.says("recv", other.recv(70_000).await.0, "65507");
    script.says("no error is left", one.take_error(), "none");
}

async fn a_socket_that_was_shut_down_sends_nothing(script: &Script) {
    let (one, other) = Socket::couple().await;
    script.says("shutdown", one.shutdown(libc::SHUT_WR).await, "ok");
    script.says("send", one.send("x").await, "EPIPE");
    script.says("the peer is told nothing", other.recv_now(1).await, "ETIMEDOUT");
    script.says("the peer sends", other.send("x").await, "1");
    script.says("recv", one.recv(1).await, "1: x");
}

async fn a_socket_that_was_shut_down_receives_what_came(script: &Script) {
    let (one, other) = Socket::couple().await;
    script.says("send", other.send("hello").await, "5");
    script.a_while().await;
    script.says("shutdown", one.shutdown(libc::SHUT_RD).await, "ok");
    script.says("it is readable", one.ready(libc::POLLIN).await, "IN|IN RDHUP");
    script.says("recv", one.recv(100).await, "5: hello");
    // A call that waits says 0 and one that does not EAGAIN: with readiness nothing ends it.
    script.says("recv", one.recv_now(100).await, "0|ETIMEDOUT");
}

async fn connecting_elsewhere_leaves_a_refusal(script: &Script) {
    let (one, other) = Socket::couple().await;
    let (_there, address) = Socket::bound().await;
    script.says("close", other.close().await, "ok");
    script.says("send", one.send("x").await, "1");
    script.a_while().await;
    script.says("connect", one.connect(address).await, "ok");
    script.says("its error", one.take_error(), "ECONNREFUSED");
}

async fn shutting_down_needs_a_peer(script: &Script) {
    let (socket, _) = Socket::bound().await;
    script.says("shutdown", socket.shutdown(libc::SHUT_WR).await, "ENOTCONN");
    script.says("no such direction", socket.shutdown(7).await, "EINVAL");
}

async fn datagram_sockets_do_not_listen(script: &Script) {
    let (socket, _) = Socket::bound().await;
    script.says("listen", socket.listen(1), "EOPNOTSUPP");
    script.says("accept", socket.accept().await, "EOPNOTSUPP");
}

async fn what_nobody_read_is_gone_with_the_socket(script: &Script) {
    let (one, other) = Socket::couple().await;
    let there = other.address();
    script.says("send", one.send("unread").await, "6");
    script.a_while().await;
    script.says("close", other.close().await, "ok");
    script.says("no reset", one.take_error(), "none");
    let next = Socket::udp().await;
    next.bind(there).unwrap();
    script.says("nothing is left", next.recv_now(100).await, "ETIMEDOUT");
    script.says("send", one.send("hello").await, "5");
    script.says("recv", next.recv(100).await, "5: hello");
}
