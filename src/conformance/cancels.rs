//! Operations that are cancelled, timed out, dropped, and what the next one sees.

use std::time::Duration;

use super::Script;
use super::socket::{HERE, Socket};
use crate::cancel::CancelToken;
use crate::fs;
use crate::net::{TcpListener, TcpStream};
use crate::runtime::spawn;

super::scripts! {
    a_cancelled_receive_leaves_the_bytes,
    a_cancelled_accept_leaves_the_connection,
    a_cancelled_poll_changes_nothing,
    a_cancelled_connect_is_no_connection,
    a_cancelled_send_tells_what_went,
    cancelling_before_it_began_is_cancelling,
    cancelling_what_was_answered_changes_nothing,
    a_receive_that_timed_out_leaves_the_bytes,
    an_accept_that_timed_out_leaves_the_connection,
    a_dropped_receive_gives_its_bytes_to_the_next,
    a_dropped_accept_gives_its_connection_to_the_next,
    a_dropped_receive_is_told_a_reset_once,
    closing_cancels_a_receive,
    closing_cancels_an_accept,
    dropping_a_stream_tells_the_peer,
    aborting_a_task_leaves_the_bytes,
    a_token_stops_all_that_wait,
    the_first_to_wait_is_the_first_to_receive,
    a_dropped_datagram_is_the_next_one_s,
    cancelled_file_operations_are_done_or_not,
}

const SHORT: Duration = Duration::from_millis(5);

async fn a_cancelled_receive_leaves_the_bytes(script: &Script) {
    let (client, server) = Socket::pair().await;
    let mut read = server.recv(10);
    script.waits("recv", &mut read).await;
    script.a_while().await;
    read.cancel();
    script.says("recv", read.await, "ECANCELED");
    script.says("send", client.send_all("hello").await, "ok");
    script.says("recv", server.recv_all(5).await, "5: hello");
}

async fn a_cancelled_accept_leaves_the_connection(script: &Script) {
    let (listener, address) = Socket::listening().await;
    let mut accept = listener.accepting();
    script.waits("accept", &mut accept).await;
    script.a_while().await;
    accept.cancel();
    script.says("accept", accept.await.map(drop), "ECANCELED");
    let client = Socket::tcp().await;
    script.says("connect", client.connect(address).await, "ok");
    script.says("accept", listener.accept().await, "ok");
}

async fn a_cancelled_poll_changes_nothing(script: &Script) {
    let (client, server) = Socket::pair().await;
    let (mut one, mut other) = (server.poll(libc::POLLIN), server.poll(libc::POLLIN));
    script.waits("poll", &mut one).await;
    script.waits("another poll", &mut other).await;
    script.a_while().await;
    one.cancel();
    script.says("poll", one.await.map(drop), "ECANCELED");
    script.says("send", client.send_all("x").await, "ok");
    script.says("another poll", other.await.map(drop), "ok");
}

/// A queue that is full is what makes a connect over loopback wait: the one that is waited for is not answered.
async fn a_cancelled_connect_is_no_connection(script: &Script) {
    let listener = Socket::tcp().await;
    listener.bind(HERE).unwrap();
    listener.listen(0).unwrap();
    let first = Socket::tcp().await;
    script.says("the queue takes one", first.connect(listener.address()).await, "ok");
    let second = Socket::tcp().await;
    let mut connect = second.connect(listener.address());
    script.waits("connect", &mut connect).await;
    script.a_while().await;
    script.waits("still it", &mut connect).await;
    connect.cancel();
    script.says("connect", connect.await, "ECANCELED");
    script.says("its peer", second.peer(), "ENOTCONN");
    script.says("close", second.close().await, "ok");
    script.says("accept", listener.accept().await, "ok");
    script.says("and no more", listener.ready(libc::POLLIN).await, "ETIMEDOUT");
}

async fn a_cancelled_send_tells_what_went(script: &Script) {
    const LENGTH: usize = 16 << 20;
    let (client, server) = Socket::pair().await;
    let mut send = client.send_all(vec![b'x'; LENGTH]);
    script.waits("send", &mut send).await;
    script.a_while().await;
    send.cancel();
    let error = send.await.0.unwrap_err();
    let went = crate::io::Incomplete::of(&error).unwrap().done();
    script.says("a part went", 0 < went && went < LENGTH, "yes");
    let ended = client.shutdown(libc::SHUT_WR).await;
    script.says("shutdown", ended, "ok");
    script.says("and no more", server.recv_all(LENGTH).await.1.len() == went, "yes");
}

async fn cancelling_before_it_began_is_cancelling(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.send_all("hello").await.0.unwrap();
    script.a_while().await;
    let mut read = server.recv(10);
    read.cancel();
    script.says("recv", read.await, "ECANCELED");
    let mut send = server.send("x");
    send.cancel();
    script.says("send", send.await, "ECANCELED");
    script.says("recv", server.recv_all(5).await, "5: hello");
    script.says("nothing was sent", client.recv_now(1).await, "ETIMEDOUT");
}

async fn cancelling_what_was_answered_changes_nothing(script: &Script) {
    let (client, server) = Socket::pair().await;
    let mut read = server.recv_all(5);
    script.waits("recv", &mut read).await;
    client.send_all("hello").await.0.unwrap();
    let mut poll = futures_util::poll!(&mut read);
    for _ in 0..10 {
        if poll.is_pending() {
            script.a_while().await;
            poll = futures_util::poll!(&mut read);
        }
    }
    let std::task::Poll::Ready(answer) = poll else { panic!("the bytes came") };
    script.says("recv", answer, "5: hello");
    let mut read = server.recv_all(5);
    script.waits("recv", &mut read).await;
    client.send_all("again").await.0.unwrap();
    script.a_while().await;
    read.cancel();
    script.says("recv", read.await, "5: again");
}

async fn a_receive_that_timed_out_leaves_the_bytes(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("recv", server.recv(10).timeout(SHORT).await, "ETIMEDOUT");
    script.says("send", client.send_all("hello").await, "ok");
    script.says("recv", server.recv_all(5).await, "5: hello");
    script.says("a part", client.send_all("par").await, "ok");
    script.a_while().await;
    script.says("recv", server.recv_all(4).timeout(SHORT).await, "ETIMEDOUT after 3: par");
    script.says("the rest", client.send_all("t").await, "ok");
    script.says("recv", server.recv(4).await, "1: t");
}

async fn an_accept_that_timed_out_leaves_the_connection(script: &Script) {
    let listener = TcpListener::bind(HERE).await.unwrap();
    let address = listener.local_addr().unwrap();
    script.says("accept", listener.accept().timeout(SHORT).await.map(drop), "ETIMEDOUT");
    let client = TcpStream::connect(address).await.unwrap();
    let (_, peer) = listener.accept().await.unwrap();
    script.says("who came", client.local_addr().unwrap() == peer, "yes");
}

async fn a_dropped_receive_gives_its_bytes_to_the_next(script: &Script) {
    let (client, server) = Socket::pair().await;
    let mut read = server.recv(10);
    script.waits("recv", &mut read).await;
    script.says("send", client.send_all("hello").await, "ok");
    script.a_while().await;
    drop(read);
    script.says("recv", server.recv_all(2).await, "2: he");
    script.says("recv", server.recv_all(3).await, "3: llo");
    let mut whole = server.recv_all(10);
    script.waits("recv", &mut whole).await;
    script.says("a part", client.send_all("part").await, "ok");
    script.a_while().await;
    script.waits("still it", &mut whole).await;
    drop(whole);
    script.says("it is put back", server.recv_all(4).await, "4: part");
}

async fn a_dropped_accept_gives_its_connection_to_the_next(script: &Script) {
    let (listener, address) = Socket::listening().await;
    let mut accept = listener.accepting();
    script.waits("accept", &mut accept).await;
    let client = Socket::tcp().await;
    script.says("connect", client.connect(address).await, "ok");
    script.a_while().await;
    drop(accept);
    let server = listener.accept().await.unwrap();
    script.says("who came", server.peer().unwrap().as_socket() == Some(client.address()), "yes");
}

async fn a_dropped_receive_is_told_a_reset_once(script: &Script) {
    let (client, server) = Socket::pair().await;
    let mut read = server.recv(10);
    script.waits("recv", &mut read).await;
    script.a_while().await;
    client.reset().await;
    script.a_while().await;
    drop(read);
    script.says("recv", server.recv(10).await, "ECONNRESET");
    script.says("recv", server.recv(10).await, "0");
}

async fn closing_cancels_a_receive(script: &Script) {
    let (client, server) = Socket::pair().await;
    let mut read = server.recv(10);
    script.waits("recv", &mut read).await;
    script.a_while().await;
    script.says("close", server.close().await, "ok");
    script.says("recv", read.await, "ECANCELED");
    script.says("the peer", client.recv(10).await, "0");
}

async fn closing_cancels_an_accept(script: &Script) {
    let (listener, address) = Socket::listening().await;
    let mut accept = listener.accepting();
    script.waits("accept", &mut accept).await;
    script.a_while().await;
    script.says("close", listener.close().await, "ok");
    script.says("accept", accept.await.map(drop), "ECANCELED");
    script.says("connect", Socket::tcp().await.connect(address).await, "ECONNREFUSED");
}

async fn dropping_a_stream_tells_the_peer(script: &Script) {
    let (client, server) = Socket::pair().await;
    let mut read = server.recv(10);
    script.waits("recv", &mut read).await;
    script.a_while().await;
    drop((read, server));
    script.says("the peer", client.recv(10).await, "0");
}

async fn aborting_a_task_leaves_the_bytes(script: &Script) {
    let listener = TcpListener::bind(HERE).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let server = std::rc::Rc::new(server);
    let its = std::rc::Rc::clone(&server);
    let task = spawn(async move { its.read(Vec::with_capacity(10)).await.0.unwrap() });
    script.a_while().await;
    task.abort();
    script.says("it was aborted", task.await.unwrap_err().is_cancelled(), "yes");
    script.says("write", client.write_all("hello").await, "ok");
    script.says("read", server.read_exact(Vec::with_capacity(5)).await, "5: hello");
}

async fn a_token_stops_all_that_wait(script: &Script) {
    let (client, server) = Socket::pair().await;
    let (listener, _) = Socket::listening().await;
    let token = CancelToken::new();
    let mut one = client.recv(10).cancel_on(&token);
    let mut other = server.recv(10).cancel_on(&token);
    let mut accept = listener.accepting().cancel_on(&token);
    script.waits("recv", &mut one).await;
    script.waits("recv", &mut other).await;
    script.waits("accept", &mut accept).await;
    script.a_while().await;
    token.cancel();
    script.says("recv", one.await, "ECANCELED");
    script.says("recv", other.await, "ECANCELED");
    script.says("accept", accept.await.map(drop), "ECANCELED");
    script.says("what comes later", client.recv(10).cancel_on(&token).await, "ECANCELED");
}

async fn the_first_to_wait_is_the_first_to_receive(script: &Script) {
    let (client, server) = Socket::pair().await;
    let (mut one, mut two, mut three) = (server.recv_all(2), server.recv_all(2), server.recv_all(2));
    script.waits("the first", &mut one).await;
    script.waits("the second", &mut two).await;
    script.waits("the third", &mut three).await;
    two.cancel();
    script.says("the second", two.await, "ECANCELED");
    script.says("send", client.send_all("aabb").await, "ok");
    script.says("the first", one.await, "2: aa");
    script.says("the third", three.await, "2: bb");
}

async fn a_dropped_datagram_is_the_next_one_s(script: &Script) {
    let (one, other) = Socket::couple().await;
    let mut read = other.recv(10);
    script.waits("recv", &mut read).await;
    script.says("send", one.send("hello").await, "5");
    script.a_while().await;
    drop(read);
    script.says("recv", other.recv(10).await, "5: hello");
    script.says("recv", other.recv(10).timeout(SHORT).await, "ETIMEDOUT");
    script.says("send", one.send("again").await, "5");
    script.says("recv", other.recv(10).await, "5: again");
}

async fn cancelled_file_operations_are_done_or_not(script: &Script) {
    let path = script.path("file").await;
    let file = fs::File::create(&path).await.unwrap();
    let mut write = file.write_at("hello", 0);
    let _ = futures_util::poll!(&mut write);
    write.cancel();
    // It may be done by the time that it is asked to stop.
    script.says("write", write.await, "5|ECANCELED");
    let mut write = file.write_at("x", 0);
    let _ = futures_util::poll!(&mut write);
    drop(write);
    // Whatever became of that one, this comes after it.
    script.says("write", file.write_at("hello", 0).await, "5");
    script.says("read", fs::read(&path).await, "hello");
}
