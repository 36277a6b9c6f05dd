//! Unix datagrams and sequenced packets: whole messages, in order, and never lost.

use libc::{SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM};

use super::Script;
use super::socket::Socket;

super::scripts! {
    packets_keep_their_bounds,
    packets_are_cut_off_to_the_room,
    packets_end,
    unread_packets_are_a_reset,
    datagrams_go_to_a_name,
    datagrams_are_cut_off,
    a_datagram_needs_somebody,
    a_name_that_was_left_refuses,
    a_peer_that_was_closed_refuses_once,
    a_datagram_socket_with_another_peer_is_not_to_be_had,
    a_datagram_socket_changes_its_peer,
    a_full_queue_makes_the_sender_wait,
    a_datagram_has_to_fit_the_room_to_send,
    shutting_down_ends_what_is_sent,
    shutting_down_ends_what_is_received,
}

async fn packets_keep_their_bounds(script: &Script) {
    let (client, server) = Socket::pair_at(SOCK_SEQPACKET, &script.abstract_name("door")).await;
    script.says("send", client.send("one").await, "3");
    script.says("send", client.send_vectored(&["th", "ree"]).await, "5");
    script.says("recv", server.recv(100).await, "3: one");
    script.says("recv", server.recv_vectored(&[1, 100]).await, "5: t,hree");
    script.says("nothing more", server.recv_now(1).await, "ETIMEDOUT");
}

async fn packets_are_cut_off_to_the_room(script: &Script) {
    let (client, server) = Socket::pair_at(SOCK_SEQPACKET, &script.abstract_name("door")).await;
    client.send("a long one").await.0.unwrap();
    client.send("next").await.0.unwrap();
    script.says("recv", server.recv(3).await, "3: a l");
    script.says("recv", server.recv(100).await, "4: next");
}

async fn packets_end(script: &Script) {
    let (client, server) = Socket::pair_at(SOCK_SEQPACKET, &script.path_name("door").await).await;
    script.says("the client's peer", client.peer(), "door");
    script.says("send", client.send("bye").await, "3");
    script.says("close", client.close().await, "ok");
    script.says("send", server.send("x").await, "EPIPE");
    script.says("recv", server.recv(100).await, "3: bye");
    script.says("recv", server.recv(100).await, "0");
    script.says("recv", server.recv(100).await, "0");
}

async fn unread_packets_are_a_reset(script: &Script) {
    let (client, server) = Socket::pair_at(SOCK_SEQPACKET, &script.abstract_name("door")).await;
    client.send("unread").await.0.unwrap();
    script.says("close", server.close().await, "ok");
    script.says("recv", client.recv(100).await, "ECONNRESET");
    script.says("recv", client.recv(100).await, "0");
}

async fn datagrams_go_to_a_name(script: &Script) {
    for name in [script.path_name("door").await, script.abstract_name("door")] {
        let server = Socket::unix(SOCK_DGRAM).await;
        script.says("bind", server.bind(name.clone()), "ok");
        script.says("its name", server.name(), "door|@door");
        let client = Socket::unix(SOCK_DGRAM).await;
        script.says("connect", client.connect(name).await, "ok");
        script.says("its peer", client.peer(), "door|@door");
        script.says("its name", client.name(), "unnamed");
        script.says("send", client.send("one").await, "3");
        script.says("send", client.send("two").await, "3");
        script.says("recv", server.recv(100).await, "3: one");
        script.says("recv", server.recv(100).await, "3: two");
        script.says("the server's peer", server.peer(), "ENOTCONN");
    }
}

async fn datagrams_are_cut_off(script: &Script) {
    let (client, server) = datagrams(script).await;
    client.send("a long one").await.0.unwrap();
    client.send("next").await.0.unwrap();
    script.says("recv", server.recv(3).await, "3: a l");
    script.says("recv", server.recv_vectored(&[2, 5]).await, "4: ne,xt");
}

async fn a_datagram_needs_somebody(script: &Script) {
    let socket = Socket::unix(SOCK_DGRAM).await;
    script.says("send", socket.send("x").await, "ENOTCONN");
    script.says("recv", socket.recv_now(1).await, "ETIMEDOUT");
    script.says("no such path", socket.connect(script.path_name("door").await).await, "ENOENT");
    script.says("no such name", socket.connect(script.abstract_name("door")).await, "ECONNREFUSED");
    let _stream = Socket::listening_at(SOCK_STREAM, &script.path_name("stream").await).await;
    script.says("not of this kind", socket.connect(script.path_name("stream").await).await, "EPROTOTYPE");
    script.says("listen", socket.listen(1), "EOPNOTSUPP");
}

async fn a_name_that_was_left_refuses(script: &Script) {
    let name = script.path_name("door").await;
    let server = Socket::unix(SOCK_DGRAM).await;
    server.bind(name.clone()).unwrap();
    server.close().await.unwrap();
    script.says("connect", Socket::unix(SOCK_DGRAM).await.connect(name).await, "ECONNREFUSED");
}

async fn a_peer_that_was_closed_refuses_once(script: &Script) {
    let (client, server) = datagrams(script).await;
    script.says("send", client.send("unread").await, "6");
    script.says("close", server.close().await, "ok");
    script.says("send", client.send("x").await, "ECONNREFUSED");
    script.says("send", client.send("x").await, "ENOTCONN");
    script.says("its peer", client.peer(), "ENOTCONN");
}

async fn a_datagram_socket_with_another_peer_is_not_to_be_had(script: &Script) {
    let (one, other) = (script.abstract_name("one"), script.abstract_name("other"));
    let (first, second) = (Socket::unix(SOCK_DGRAM).await, Socket::unix(SOCK_DGRAM).await);
    first.bind(one.clone()).unwrap();
    second.bind(other.clone()).unwrap();
    script.says("connect", first.connect(other.clone()).await, "ok");
    let third = Socket::unix(SOCK_DGRAM).await;
    script.says("a third", third.connect(one.clone()).await, "EPERM");
    script.says("the peer", second.connect(one).await, "ok");
    script.says("send", second.send("hello").await, "5");
    script.says("recv", first.recv(100).await, "5: hello");
}

async fn a_datagram_socket_changes_its_peer(script: &Script) {
    let (client, first) = datagrams(script).await;
    let second = Socket::unix(SOCK_DGRAM).await;
    second.bind(script.abstract_name("second")).unwrap();
    script.says("send", client.send("one").await, "3");
    script.says("connect elsewhere", client.connect(script.abstract_name("second")).await, "ok");
    script.says("send", client.send("two").await, "3");
    script.says("recv", first.recv(100).await, "3: one");
    script.says("recv", second.recv(100).await, "3: two");
}

/// How many there is room for is net.unix.max_dgram_qlen.
async fn a_full_queue_makes_the_sender_wait(script: &Script) {
    let (client, server) = datagrams(script).await;
    let mut sent = 0;
    let mut send = client.send("x");
    while let Ok(outcome) = crate::time::timeout(std::time::Duration::from_millis(20), &mut send).await {
        outcome.0.unwrap();
        sent += 1;
        send = client.send("x");
    }
    script.says("some were taken", sent > 0, "yes");
    script.waits("send", &mut send).await;
    script.says("recv", server.recv(1).await, "1: x");
    // Linux 6.18's ring begins such a send anew with what the first attempt left of its bytes: none. So an empty datagram
    // goes, and the answer is 0.
    script.says("send", send.await, "1|0");
    for _ in 0..sent {
        server.recv(1).await.0.unwrap();
    }
    script.says("nothing more", server.recv_now(1).await, "ETIMEDOUT");
}

async fn a_datagram_has_to_fit_the_room_to_send(script: &Script) {
    let (client, server) = datagrams(script).await;
    client.set(crate::driver::Setting::SendBuffer(20_000)).unwrap();
    let of = |length| vec![b'x'; length].into_boxed_slice();
    script.says("too long", client.send(of(50_000)).await, "EMSGSIZE");
    script.says("not too long", client.send(of(10_000)).await, "10000");
    script.says("recv", server.recv(50_000).await.0, "10000");
}

async fn shutting_down_ends_what_is_sent(script: &Script) {
    let (client, server) = datagrams(script).await;
    script.says("shutdown", client.shutdown(libc::SHUT_WR).await, "ok");
    script.says("send", client.send("x").await, "EPIPE");
    script.says("the peer is told nothing", server.recv_now(1).await, "ETIMEDOUT");
}

async fn shutting_down_ends_what_is_received(script: &Script) {
    let (client, server) = datagrams(script).await;
    script.says("send", client.send("hello").await, "5");
    script.says("shutdown", server.shutdown(libc::SHUT_RD).await, "ok");
    script.says("what came before", server.recv(100).await, "5: hello");
    script.says("the peer sends", client.send("x").await, "EPIPE");
    // A call that waits says 0 and one that does not EAGAIN: with readiness nothing ends it.
    script.says("recv", server.recv_now(1).await, "0|ETIMEDOUT");
}

/// Who is connected, and who is bound.
async fn datagrams(script: &Script) -> (Socket, Socket) {
    let name = script.abstract_name("server");
    let (client, server) = (Socket::unix(SOCK_DGRAM).await, Socket::unix(SOCK_DGRAM).await);
    server.bind(name.clone()).unwrap();
    client.connect(name).await.unwrap();
    (client, server)
}
