//! What streams carry: all of it, in order, in whatever pieces.

use futures_util::future::join;

use super::Script;
use super::socket::Socket;

super::scripts! {
    what_is_sent_is_received,
    a_small_room_takes_a_part,
    empty_transfers_are_answered_at_once,
    many_small_sends_arrive_whole_and_in_order,
    a_mebibyte_goes_both_ways_at_once,
    several_buffers_are_one_send,
    several_buffers_are_filled_one_after_the_other,
    empty_buffers_among_others_are_passed_over,
    a_thousand_buffers_are_enough_for_one_call,
    a_send_that_finds_no_room_waits_for_the_reader,
    a_whole_receive_tells_how_far_it_came,
    a_socket_that_is_not_connected_transfers_nothing,
    both_directions_are_independent,
}

/// Bytes that tell where they are.
fn bytes(length: usize, salt: usize) -> Box<[u8]> {
    (0..length).map(|place| ((place + salt) % 251) as u8).collect()
}

async fn what_is_sent_is_received(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("send", client.send_all("hello").await, "ok");
    script.says("recv", server.recv_all(5).await, "5: hello");
    script.says("back", server.send_all("\0\x01\n").await, "ok");
    script.says("recv", client.recv_all(3).await, "3: \\x00\\x01\\n");
}

async fn a_small_room_takes_a_part(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.send_all("hello").await.0.unwrap();
    script.says("recv", server.recv_all(2).await, "2: he");
    script.says("recv", server.recv(1).await, "1: l");
    script.says("recv", server.recv_all(2).await, "2: lo");
    script.says("nothing more", server.recv_now(1).await, "ETIMEDOUT");
}

/// They are no operations to the system, so they also say nothing about the socket.
async fn empty_transfers_are_answered_at_once(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("send nothing", client.send("").await, "0");
    script.says("send several nothings", client.send_vectored(&["", ""]).await, "0");
    script.says("recv into nothing", server.recv(0).await, "0");
    script.says("recv into several nothings", server.recv_vectored(&[0, 0]).await, "0: ,");
    script.says("nothing came", server.recv_now(1).await, "ETIMEDOUT");
    client.send_all("x").await.0.unwrap();
    script.a_while().await;
    script.says("recv into nothing", server.recv(0).await, "0");
    script.says("it is still there", server.recv(5).await, "1: x");
}

async fn many_small_sends_arrive_whole_and_in_order(script: &Script) {
    let (client, server) = Socket::pair().await;
    let expected: String = (0..300).map(|number| format!("{number},")).collect();
    let length = expected.len();
    let send = async {
        for number in 0..300 {
            client.send_all(format!("{number},")).await.0.unwrap();
        }
    };
    let (_, (result, received)) = join(send, server.recv_all(length)).await;
    script.says("recv", result, "ok");
    script.says("the same", received == expected.as_bytes(), "yes");
}

async fn a_mebibyte_goes_both_ways_at_once(script: &Script) {
    const LENGTH: usize = 1 << 20;
    let (client, server) = Socket::pair().await;
    let there = join(client.send_all(bytes(LENGTH, 0)), server.recv_all(LENGTH));
    let back = join(server.send_all(bytes(LENGTH, 7)), client.recv_all(LENGTH));
    let ((sent, came), (returned, came_back)) = join(there, back).await;
    script.says("send", sent.0, "ok");
    script.says("recv", came.0, "ok");
    script.says("the same", came.1[..] == bytes(LENGTH, 0)[..], "yes");
    script.says("send back", returned.0, "ok");
    script.says("recv", came_back.0, "ok");
    script.says("the same", came_back.1[..] == bytes(LENGTH, 7)[..], "yes");
}

async fn several_buffers_are_one_send(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("send", client.send_vectored(&["he", "l", "lo"]).await, "5");
    script.says("recv", server.recv_all(5).await, "5: hello");
}

async fn several_buffers_are_filled_one_after_the_other(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.send_all("hello").await.0.unwrap();
    script.a_while().await;
    script.says("recv", server.recv_vectored(&[2, 2, 2]).await, "5: he,ll,o");
    client.send_all("hello").await.0.unwrap();
    script.a_while().await;
    script.says("recv less", server.recv_vectored(&[1, 2]).await, "3: h,el");
    script.says("the rest", server.recv_all(2).await, "2: lo");
}

async fn empty_buffers_among_others_are_passed_over(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("send", client.send_vectored(&["", "he", "", "llo", ""]).await, "5");
    script.a_while().await;
    script.says("recv", server.recv_vectored(&[0, 3, 0, 3]).await, "5: ,hel,,lo");
}

/// More than IOV_MAX are not refused; what is over is left for the next call.
async fn a_thousand_buffers_are_enough_for_one_call(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("send", client.send_vectored(&["x"; 1500]).await, "1024");
    script.says("recv", server.recv_all(1024).await.0, "ok");
    script.says("nothing more", server.recv_now(1).await, "ETIMEDOUT");
}

async fn a_send_that_finds_no_room_waits_for_the_reader(script: &Script) {
    const LENGTH: usize = 16 << 20;
    let (client, server) = Socket::pair().await;
    let mut send = client.send_all(bytes(LENGTH, 0));
    script.goes_on_and_waits("send", &mut send).await;
    script.says("no room", client.ready(libc::POLLOUT).await, "ETIMEDOUT");
    let (sent, received) = join(send, server.recv_all(LENGTH)).await;
    script.says("send", sent.0, "ok");
    script.says("the same", received.1[..] == bytes(LENGTH, 0)[..], "yes");
    script.says("there is room", client.ready(libc::POLLOUT).await, "OUT");
}

async fn a_whole_receive_tells_how_far_it_came(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.send_all("hello").await.0.unwrap();
    client.close().await.unwrap();
    script.says("recv", server.recv_all(10).await, "the end after 5: hello");
    script.says("recv", server.recv_all(10).await, "the end after 0: ");
}

async fn a_socket_that_is_not_connected_transfers_nothing(script: &Script) {
    let socket = Socket::tcp().await;
    script.says("recv", socket.recv(1).await, "ENOTCONN");
    script.says("recv", socket.recv_vectored(&[1]).await, "ENOTCONN");
    script.says("send", socket.send("x").await, "EPIPE");
    script.says("send", socket.send_vectored(&["x"]).await, "EPIPE");
}

async fn both_directions_are_independent(script: &Script) {
    let (client, server) = Socket::pair().await;
    let mut read = client.recv_all(5);
    script.waits("recv", &mut read).await;
    script.says("send", client.send_all("ping").await, "ok");
    script.says("recv", server.recv_all(4).await, "4: ping");
    script.says("send", server.send_all("hello").await, "ok");
    script.says("recv", read.await, "5: hello");
}
