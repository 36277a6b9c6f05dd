//! Looking at what can be received: it stays there, and so does the end, or an error.

use std::time::Duration;

use libc::{SOCK_SEQPACKET, SOCK_STREAM};

use super::Script;
use super::socket::Socket;

super::scripts! {
    a_peek_leaves_what_it_sees,
    a_peek_waits_for_something,
    a_peek_sees_the_end_and_leaves_it,
    a_reset_that_a_peek_saw_is_told_to_the_next,
    a_cancelled_peek_leaves_the_bytes,
    a_dropped_peek_leaves_the_bytes,
    a_peek_sees_what_a_dropped_receive_received,
    a_peek_takes_its_turn,
    a_peek_sees_a_datagram_s_beginning,
    what_is_not_connected_shows_nothing,
}

const SHORT: Duration = Duration::from_millis(5);

async fn a_peek_leaves_what_it_sees(script: &Script) {
    let name = script.abstract_name("door");
    let (unix, other) = Socket::pair_at(SOCK_STREAM, &name).await;
    let (tcp, peer) = Socket::pair().await;
    for (from, to) in [(&tcp, &peer), (&unix, &other)] {
        script.says("send", from.send_all("hello").await, "ok");
        script.says("a part", to.peek(2).await, "2: he");
        script.says("all", to.peek(10).await, "5: hello");
        script.says("nothing", to.peek(0).await, "0");
        script.says("recv", to.recv_all(3).await, "3: hel");
        script.says("the rest", to.peek(10).await, "2: lo");
        script.says("recv", to.recv_all(2).await, "2: lo");
        script.says("nothing is left", to.peek(1).timeout(SHORT).await, "ETIMEDOUT");
    }
}

async fn a_peek_waits_for_something(script: &Script) {
    let (client, server) = Socket::pair().await;
    let mut peek = server.peek(10);
    script.goes_on_and_waits("peek", &mut peek).await;
    script.says("send", client.send_all("late").await, "ok");
    script.says("peek", peek.await, "4: late");
    script.says("recv", server.recv_all(4).await, "4: late");
}

async fn a_peek_sees_the_end_and_leaves_it(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.send_all("x").await.0.unwrap();
    client.close().await.unwrap();
    script.a_while().await;
    script.says("peek", server.peek(4).await, "1: x");
    script.says("recv", server.recv(4).await, "1: x");
    script.says("peek", server.peek(4).await, "0");
    script.says("recv", server.recv(4).await, "0");
}

async fn a_reset_that_a_peek_saw_is_told_to_the_next(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.reset().await;
    script.a_while().await;
    script.says("peek", server.peek(4).await, "ECONNRESET");
    script.says("peek again", server.peek(4).await, "ECONNRESET");
    script.says("no room", server.recv(0).await, "0");
    script.says("recv", server.recv(4).await, "ECONNRESET");
    script.says("recv again", server.recv(4).await, "0");
    script.says("peek", server.peek(4).await, "0");
}

async fn a_cancelled_peek_leaves_the_bytes(script: &Script) {
    let (client, server) = Socket::pair().await;
    let mut peek = server.peek(10);
    script.goes_on_and_waits("peek", &mut peek).await;
    peek.cancel();
    script.says("peek", peek.await, "ECANCELED");
    script.says("time is up", server.peek(10).timeout(SHORT).await, "ETIMEDOUT");
    script.says("send", client.send_all("hello").await, "ok");
    script.says("recv", server.recv_all(5).await, "5: hello");
}

async fn a_dropped_peek_leaves_the_bytes(script: &Script) {
    let (client, server) = Socket::pair().await;
    let mut peek = server.peek(10);
    script.goes_on_and_waits("peek", &mut peek).await;
    script.says("send", client.send_all("hello").await, "ok");
    drop(peek);
    script.says("recv", server.recv_all(5).await, "5: hello");
    let mut peek = server.peek(10);
    script.goes_on_and_waits("peek", &mut peek).await;
    client.reset().await;
    script.a_while().await;
    drop(peek);
    script.says("recv", server.recv(4).await, "ECONNRESET");
    script.says("recv", server.recv(4).await, "0");
}

async fn a_peek_sees_what_a_dropped_receive_received(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.send_all("hello").await.0.unwrap();
    script.a_while().await;
    let mut whole = server.recv_all(100);
    script.goes_on_and_waits("recv", &mut whole).await;
    drop(whole);
    script.says("send", client.send_all(" there").await, "ok");
    script.a_while().await;
    // The request to stop and what is sent are under way together: without DEFER_TASKRUN either may be first.
    script.says("what was left alone", server.peek(100).await, "5: hello|11: hello there");
    script.says("recv", server.recv(2).await, "2: he");
    script.says("peek", server.peek(2).await, "2: ll");
    script.says("recv", server.recv_all(9).await, "9: llo there");
}

async fn a_peek_takes_its_turn(script: &Script) {
    let (client, server) = Socket::pair().await;
    let (mut first, mut second, mut third) = (server.recv(1), server.peek(1), server.recv(1));
    script.waits("first", &mut first).await;
    script.waits("second", &mut second).await;
    script.waits("third", &mut third).await;
    client.send_all("ab").await.0.unwrap();
    script.says("first", first.await, "1: a");
    script.says("second", second.await, "1: b");
    script.says("third", third.await, "1: b");
}

async fn a_peek_sees_a_datagram_s_beginning(script: &Script) {
    let (one, other) = Socket::couple().await;
    script.says("send", one.send("datagram").await, "8");
    script.says("send", one.send("next").await, "4");
    script.says("peek", other.peek(4).await, "4: data");
    script.says("peek", other.peek(100).await, "8: datagram");
    script.says("recv", other.recv(100).await, "8: datagram");
    script.says("recv", other.recv(100).await, "4: next");
    let (client, server) = Socket::pair_at(SOCK_SEQPACKET, &script.abstract_name("packets")).await;
    client.send("packet").await.0.unwrap();
    script.says("peek", server.peek(3).await, "3: pac");
    script.says("recv", server.recv(100).await, "6: packet");
}

async fn what_is_not_connected_shows_nothing(script: &Script) {
    script.says("fresh", Socket::tcp().await.peek(1).await, "ENOTCONN");
    let (listener, _) = Socket::listening().await;
    script.says("listening", listener.peek(1).await, "ENOTCONN");
}
