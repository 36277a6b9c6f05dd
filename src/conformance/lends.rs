//! Sends that leave their memory lent, and requests with their replies.

use std::future::poll_fn;

use super::Script;
use super::socket::Socket;
use crate::driver::{Way, ZeroCopy};
use crate::op::{Exchange, Lender, SendZc, SendmsgZc, Submitted, Turn};

super::scripts! {
    what_is_lent_arrives,
    a_socket_that_cannot_borrow_copies,
    several_buffers_are_lent_as_one,
    who_is_gone_borrows_nothing,
    a_reply_follows_its_request,
    a_request_that_cannot_be_sent_has_no_reply,
}

/// What became of it, and what was lent.
async fn lend<O: Lender>(operation: O) -> (std::io::Result<usize>, O::Output) {
    operation.socket().zero_copy().set(ZeroCopy::Always);
    let mut lent = Submitted::new(operation);
    let result = poll_fn(|cx| lent.poll_sent(cx)).await;
    (result, poll_fn(|cx| lent.poll_released(cx)).await)
}

async fn send(socket: &Socket, text: &'static str) -> std::io::Result<usize> {
    let (result, back) = lend(SendZc::new(socket.hold(), text, true)).await;
    assert_eq!(back, text);
    result
}

async fn what_is_lent_arrives(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("send", send(&client, "hello").await, "5");
    script.says("recv", server.recv_all(5).await, "5: hello");
    script.says("send nothing", send(&client, "").await, "0");
    script.says("send", send(&client, "again").await, "5");
    script.says("recv", server.recv_all(5).await, "5: again");
}

async fn a_socket_that_cannot_borrow_copies(script: &Script) {
    let name = script.path_name("socket").await;
    let (client, server) = Socket::pair_at(libc::SOCK_STREAM, &name).await;
    script.says("send", send(&client, "hello").await, "5");
    script.says("recv", server.recv_all(5).await, "5: hello");
}

async fn several_buffers_are_lent_as_one(script: &Script) {
    let (client, server) = Socket::pair().await;
    let (result, back) = lend(SendmsgZc::new(client.hold(), vec!["he", "", "llo"])).await;
    script.says("send", result, "5");
    script.says("buffers", back.len(), "3");
    script.says("recv", server.recv_all(5).await, "5: hello");
}

async fn who_is_gone_borrows_nothing(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.shutdown(libc::SHUT_WR).await.unwrap();
    script.says("after a shutdown", send(&client, "hello").await, "EPIPE");
    drop(server);
    let (client, server) = Socket::pair().await;
    server.reset().await;
    script.a_while().await;
    script.says("after a reset", send(&client, "hello").await, "ECONNRESET");
    script.says("again", send(&client, "hello").await, "EPIPE");
    script.says("unconnected", send(&Socket::tcp().await, "hello").await, "EPIPE");
}

async fn exchange(socket: &Socket, request: &'static str) -> (std::io::Result<usize>, Vec<u8>) {
    let hold = socket.hold();
    let turns = [Turn::of(hold.clone(), Way::Read).await, Turn::of(hold.clone(), Way::Write).await];
    let exchange = Exchange::new(hold, request, Vec::with_capacity(100), turns);
    let (result, _, reply) = Submitted::new(exchange).await;
    (result, reply)
}

async fn a_reply_follows_its_request(script: &Script) {
    let (client, server) = Socket::pair().await;
    let reply = async {
        script.says("recv", server.recv_all(4).await, "4: ping");
        server.send_all("pong").await.0.unwrap();
    };
    let (answer, ()) = futures_util::future::join(exchange(&client, "ping"), reply).await;
    script.says("exchange", answer, "4: pong");
    server.close().await.unwrap();
    script.a_while().await;
    script.says("the end", exchange(&client, "").await, "0");
}

async fn a_request_that_cannot_be_sent_has_no_reply(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.shutdown(libc::SHUT_WR).await.unwrap();
    script.says("after a shutdown", exchange(&client, "ping").await.0, "EPIPE");
    server.reset().await;
    script.a_while().await;
    script.says("after a reset", exchange(&client, "ping").await.0, "ECONNRESET|EPIPE");
}
