//! How TCP connections end: closed, shut down in one direction or both, reset.

use super::Script;
use super::socket::{HERE, Socket};
use crate::net::{TcpListener, TcpStream};

super::scripts! {
    the_end_is_told_again_and_again,
    what_was_sent_comes_before_the_end,
    one_direction_ends_and_the_other_goes_on,
    both_directions_end_one_after_the_other,
    after_its_own_end_a_socket_sends_nothing,
    ending_what_is_received_ends_a_receive,
    what_comes_after_receiving_ended_is_received,
    ending_twice_is_no_error,
    a_socket_that_is_not_connected_does_not_shut_down,
    unread_bytes_make_a_close_a_reset,
    lingering_for_no_time_is_a_reset,
    what_came_before_a_reset_is_read_first,
    a_reset_is_told_to_a_send,
    a_reset_that_was_asked_for_is_told_no_more,
    sending_to_who_has_closed_is_a_broken_pipe,
    a_reset_after_the_end_is_an_end,
    a_pending_receive_is_told_a_reset,
    a_reset_ends_what_the_peer_had_to_send,
    an_ended_connection_has_no_peer,
    a_half_ended_connection_has_a_peer,
    a_connection_that_was_reset_is_accepted,
    the_listener_of_the_crate_passes_over_it,
    a_connection_that_nobody_accepts_is_reset,
    a_listener_that_is_shut_down_accepts_nothing,
    shutting_down_a_listener_ends_an_accept,
    ending_what_a_listener_sends_means_nothing,
}

async fn the_end_is_told_again_and_again(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("close", client.close().await, "ok");
    script.says("recv", server.recv(5).await, "0");
    script.says("recv", server.recv(5).await, "0");
    script.says("recv", server.recv_vectored(&[2, 2]).await, "0: ,");
    script.says("its error", server.take_error(), "none");
}

async fn what_was_sent_comes_before_the_end(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("send", client.send_all("bye").await, "ok");
    script.says("close", client.close().await, "ok");
    script.a_while().await;
    script.says("recv", server.recv_all(3).await, "3: bye");
    script.says("recv", server.recv(5).await, "0");
}

async fn one_direction_ends_and_the_other_goes_on(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("shutdown", client.shutdown(libc::SHUT_WR).await, "ok");
    script.says("recv", server.recv(5).await, "0");
    script.says("send", server.send_all("hello").await, "ok");
    script.says("recv", client.recv_all(5).await, "5: hello");
    script.says("send", server.send_all("again").await, "ok");
    script.says("recv", client.recv_all(5).await, "5: again");
    script.says("recv", server.recv(5).await, "0");
}

async fn both_directions_end_one_after_the_other(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("shutdown", client.shutdown(libc::SHUT_WR).await, "ok");
    script.says("recv", server.recv(5).await, "0");
    script.says("shutdown", server.shutdown(libc::SHUT_WR).await, "ok");
    script.says("recv", client.recv(5).await, "0");
    script.a_while().await;
    script.says("send", client.send("x").await, "EPIPE");
    script.says("send", server.send("x").await, "EPIPE");
    script.says("recv", client.recv(5).await, "0");
    script.says("close", client.close().await, "ok");
    script.says("close", server.close().await, "ok");
}

async fn after_its_own_end_a_socket_sends_nothing(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("send", client.send_all("all").await, "ok");
    script.says("shutdown", client.shutdown(libc::SHUT_WR).await, "ok");
    script.says("send", client.send("x").await, "EPIPE");
    script.says("send", client.send_vectored(&["x", "y"]).await, "EPIPE");
    script.says("recv", server.recv_all(3).await, "3: all");
    script.says("recv", server.recv(5).await, "0");
}

async fn ending_what_is_received_ends_a_receive(script: &Script) {
    let (client, server) = Socket::pair().await;
    let mut read = client.recv(5);
    script.waits("recv", &mut read).await;
    script.a_while().await;
    script.says("shutdown", client.shutdown(libc::SHUT_RD).await, "ok");
    script.says("recv", read.await, "0");
    script.says("recv", client.recv(5).await, "0");
    script.says("the peer is told nothing", server.recv_now(1).await, "ETIMEDOUT");
    script.says("send", client.send_all("x").await, "ok");
    script.says("recv", server.recv(5).await, "1: x");
}

/// Linux goes on taking what comes, and tells the end only while nothing is there.
async fn what_comes_after_receiving_ended_is_received(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("shutdown", client.shutdown(libc::SHUT_RD).await, "ok");
    script.says("recv", client.recv(5).await, "0");
    script.says("send", server.send_all("late").await, "ok");
    script.a_while().await;
    script.says("recv", client.recv_all(4).await, "4: late");
    script.says("recv", client.recv(5).await, "0");
}

async fn ending_twice_is_no_error(script: &Script) {
    let (client, _server) = Socket::pair().await;
    script.says("shutdown", client.shutdown(libc::SHUT_WR).await, "ok");
    script.says("again", client.shutdown(libc::SHUT_WR).await, "ok");
    script.says("both", client.shutdown(libc::SHUT_RDWR).await, "ok");
    script.says("no such direction", client.shutdown(3).await, "EINVAL");
}

async fn a_socket_that_is_not_connected_does_not_shut_down(script: &Script) {
    let socket = Socket::tcp().await;
    for how in [libc::SHUT_RD, libc::SHUT_WR, libc::SHUT_RDWR] {
        script.says("shutdown", socket.shutdown(how).await, "ENOTCONN");
    }
    let (client, server) = Socket::pair().await;
    server.reset().await;
    script.a_while().await;
    script.says("after a reset", client.shutdown(libc::SHUT_WR).await, "ENOTCONN");
}

async fn unread_bytes_make_a_close_a_reset(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("send", client.send_all("unread").await, "ok");
    script.a_while().await;
    script.says("close", server.close().await, "ok");
    script.says("recv", client.recv(5).await, "ECONNRESET");
    script.says("recv", client.recv(5).await, "0");
    script.says("send", client.send("x").await, "EPIPE");
}

async fn lingering_for_no_time_is_a_reset(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.reset().await;
    script.says("recv", server.recv(5).await, "ECONNRESET");
    script.says("recv", server.recv(5).await, "0");
    script.says("its error", server.take_error(), "none");
}

async fn what_came_before_a_reset_is_read_first(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("send", client.send_all("last words").await, "ok");
    script.a_while().await;
    client.reset().await;
    script.a_while().await;
    script.says("recv", server.recv_all(10).await, "10: last words");
    script.says("recv", server.recv(5).await, "ECONNRESET");
    script.says("recv", server.recv(5).await, "0");
}

async fn a_reset_is_told_to_a_send(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.reset().await;
    script.a_while().await;
    script.says("send", server.send("x").await, "ECONNRESET");
    script.says("send", server.send("x").await, "EPIPE");
    script.says("recv", server.recv(5).await, "0");
}

async fn a_reset_that_was_asked_for_is_told_no_more(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.reset().await;
    script.a_while().await;
    script.says("its error", server.take_error(), "ECONNRESET");
    script.says("its error", server.take_error(), "none");
    script.says("recv", server.recv(5).await, "0");
    script.says("send", server.send("x").await, "EPIPE");
}

async fn sending_to_who_has_closed_is_a_broken_pipe(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("close", client.close().await, "ok");
    script.says("recv", server.recv(5).await, "0");
    script.says("send", server.send("taken").await, "5");
    script.a_while().await;
    script.says("send", server.send("x").await, "EPIPE");
    script.says("send", server.send("x").await, "EPIPE");
    script.says("recv", server.recv(5).await, "0");
}

/// A reset that comes after the end is kept as EPIPE, for who sends; who receives is told the end.
async fn a_reset_after_the_end_is_an_end(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("close", client.close().await, "ok");
    script.a_while().await;
    script.says("send", server.send("x").await, "1");
    script.a_while().await;
    script.says("recv", server.recv(5).await, "0");
    script.says("its error", server.take_error(), "EPIPE");
    script.says("its error", server.take_error(), "none");
    script.says("recv", server.recv(5).await, "0");
}

async fn a_pending_receive_is_told_a_reset(script: &Script) {
    let (client, server) = Socket::pair().await;
    let mut read = server.recv(5);
    script.waits("recv", &mut read).await;
    script.a_while().await;
    client.reset().await;
    script.says("recv", read.await, "ECONNRESET");
    script.says("recv", server.recv(5).await, "0");
}

async fn a_reset_ends_what_the_peer_had_to_send(script: &Script) {
    let (client, server) = Socket::pair().await;
    let mut send = client.send_all(vec![b'x'; 16 << 20]);
    script.waits("send", &mut send).await;
    script.a_while().await;
    server.reset().await;
    let (result, _) = send.await;
    let kind = result.unwrap_err().kind();
    script.says("send", kind == std::io::ErrorKind::ConnectionReset, "yes");
    script.says("recv", client.recv(5).await, "0");
}

async fn an_ended_connection_has_no_peer(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.shutdown(libc::SHUT_WR).await.unwrap();
    server.recv(1).await.0.unwrap();
    server.shutdown(libc::SHUT_WR).await.unwrap();
    client.recv(1).await.0.unwrap();
    script.a_while().await;
    script.says("the client's peer", client.peer(), "ENOTCONN");
    script.says("the server's peer", server.peer(), "ENOTCONN");
    script.says("the client's name", client.name(), "127.0.0.1:port");
    let (client, server) = Socket::pair().await;
    server.reset().await;
    script.a_while().await;
    script.says("after a reset", client.peer(), "ENOTCONN");
}

async fn a_half_ended_connection_has_a_peer(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("shutdown", client.shutdown(libc::SHUT_WR).await, "ok");
    script.says("recv", server.recv(1).await, "0");
    script.says("the client's peer", client.peer(), "127.0.0.1:port");
    script.says("the server's peer", server.peer(), "127.0.0.1:port");
}

async fn a_connection_that_was_reset_is_accepted(script: &Script) {
    let (listener, address) = Socket::listening().await;
    let client = Socket::tcp().await;
    client.connect(address).await.unwrap();
    client.reset().await;
    script.a_while().await;
    let server = listener.accept().await.unwrap();
    script.says("its peer", server.peer(), "ENOTCONN");
    script.says("recv", server.recv(5).await, "ECONNRESET");
    script.says("recv", server.recv(5).await, "0");
}

async fn the_listener_of_the_crate_passes_over_it(script: &Script) {
    let listener = TcpListener::bind(HERE).await.unwrap();
    let address = listener.local_addr().unwrap();
    let gone = TcpStream::connect(address).await.unwrap();
    gone.set_linger(Some(std::time::Duration::ZERO)).unwrap();
    gone.close().await.unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    script.a_while().await;
    let (_server, peer) = listener.accept().await.unwrap();
    script.says("the second one", client.local_addr().unwrap() == peer, "yes");
}

async fn a_connection_that_nobody_accepts_is_reset(script: &Script) {
    let (listener, address) = Socket::listening().await;
    let client = Socket::tcp().await;
    client.connect(address).await.unwrap();
    script.says("close", listener.close().await, "ok");
    script.says("recv", client.recv(5).await, "ECONNRESET");
    script.says("recv", client.recv(5).await, "0");
}

async fn a_listener_that_is_shut_down_accepts_nothing(script: &Script) {
    let (listener, address) = Socket::listening().await;
    script.says("shutdown", listener.shutdown(libc::SHUT_RD).await, "ok");
    script.says("accept", listener.accept().await, "EINVAL");
    script.says("connect", Socket::tcp().await.connect(address).await, "ECONNREFUSED");
    script.says("again", listener.shutdown(libc::SHUT_RD).await, "ENOTCONN");
}

async fn shutting_down_a_listener_ends_an_accept(script: &Script) {
    let (listener, _) = Socket::listening().await;
    let mut accept = listener.accepting();
    script.waits("accept", &mut accept).await;
    script.a_while().await;
    script.says("shutdown", listener.shutdown(libc::SHUT_RDWR).await, "ok");
    script.says("accept", accept.await.map(drop), "EINVAL");
}

async fn ending_what_a_listener_sends_means_nothing(script: &Script) {
    let (listener, address) = Socket::listening().await;
    script.says("shutdown", listener.shutdown(libc::SHUT_WR).await, "ok");
    script.says("connect", Socket::tcp().await.connect(address).await, "ok");
    script.says("accept", listener.accept().await, "ok");
}
