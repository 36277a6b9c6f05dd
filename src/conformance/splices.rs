//! Bytes that go from one descriptor to another by way of a pipe.

use std::rc::Rc;

use futures_util::future::join;

use super::Script;
use super::socket::Socket;
use crate::driver::Way;
use crate::engine::current_port;
use crate::fs;
use crate::io::{copy, pipe};
use crate::net::{TcpListener, TcpStream, splice};
use crate::op::{Conduit, Splice, SpliceOut, Submitted, Turn};
use crate::sys::file::CURSOR;

super::scripts! {
    what_a_socket_has_goes_to_another,
    no_more_is_taken_than_was_asked_for,
    the_end_and_a_reset_are_told_as_to_a_receive,
    what_takes_nothing_more_says_so,
    a_socket_that_is_not_connected_has_nothing,
    a_file_is_taken_from_its_cursor_or_from_an_offset,
    a_unix_socket_is_as_good,
    what_did_not_go_is_received_next,
    what_was_left_goes_before_what_came,
    pipes_are_ends_as_well,
    a_copy_with_a_limit_leaves_the_rest,
    a_file_is_sent_in_parts,
}

/// An empty pipe; what stays in it goes back to the socket.
async fn conduit(from: &Socket) -> Rc<Conduit> {
    let turn = Rc::new(Turn::of(from.hold(), Way::Read).await);
    Conduit::new(current_port().passage().unwrap(), Some(&turn))
}

async fn take(from: &Socket, limit: u64) -> (std::io::Result<usize>, Rc<Conduit>) {
    let conduit = conduit(from).await;
    (Submitted::new(Splice::ready(from.hold(), Rc::clone(&conduit), limit)).await, conduit)
}

async fn put(to: &Socket, conduit: Rc<Conduit>) -> std::io::Result<usize> {
    let (count, result) = Submitted::new(SpliceOut::new(to.hold(), conduit)).await;
    result.map(|()| count)
}

async fn what_a_socket_has_goes_to_another(script: &Script) {
    let ((client, from), (to, server)) = (Socket::pair().await, Socket::pair().await);
    script.says("nothing came", take(&from, 100).await.0, "EAGAIN");
    client.send_all("hello").await.0.unwrap();
    script.a_while().await;
    let (result, conduit) = take(&from, 100).await;
    script.says("in", result, "5");
    script.says("out", put(&to, conduit).await, "5");
    script.says("recv", server.recv_all(5).await, "5: hello");
    script.says("nothing more", take(&from, 100).await.0, "EAGAIN");
}

async fn no_more_is_taken_than_was_asked_for(script: &Script) {
    let ((client, from), (to, server)) = (Socket::pair().await, Socket::pair().await);
    client.send_all("hello").await.0.unwrap();
    script.a_while().await;
    let (result, conduit) = take(&from, 3).await;
    script.says("in", result, "3");
    script.says("out", put(&to, conduit).await, "3");
    script.says("recv", server.recv_all(3).await, "3: hel");
    script.says("the rest", from.recv(5).await, "2: lo");
}

async fn the_end_and_a_reset_are_told_as_to_a_receive(script: &Script) {
    let (client, from) = Socket::pair().await;
    client.send_all("x").await.0.unwrap();
    client.close().await.unwrap();
    script.a_while().await;
    script.says("what came", take(&from, 100).await.0, "1");
    // It was not put anywhere, so it came back.
    script.says("recv", from.recv(5).await, "1: x");
    script.says("the end", take(&from, 100).await.0, "0");
    script.says("again", take(&from, 100).await.0, "0");
    let (client, from) = Socket::pair().await;
    client.reset().await;
    script.a_while().await;
    script.says("a reset", take(&from, 100).await.0, "ECONNRESET");
    script.says("then", take(&from, 100).await.0, "0");
}

async fn what_takes_nothing_more_says_so(script: &Script) {
    let ((client, from), (to, server)) = (Socket::pair().await, Socket::pair().await);
    client.send_all("hello").await.0.unwrap();
    script.a_while().await;
    to.shutdown(libc::SHUT_WR).await.unwrap();
    let (result, conduit) = take(&from, 100).await;
    script.says("in", result, "5");
    script.says("after a shutdown", put(&to, conduit).await, "EPIPE");
    let (to, other) = Socket::pair().await;
    other.reset().await;
    script.a_while().await;
    let (result, conduit) = take(&from, 100).await;
    script.says("in, once more", result, "5");
    script.says("after a reset", put(&to, conduit).await, "ECONNRESET");
    let (_, conduit) = take(&from, 100).await;
    script.says("again", put(&to, conduit).await, "EPIPE");
    script.says("recv", from.recv(5).await, "5: hello");
    drop(server);
}

async fn a_socket_that_is_not_connected_has_nothing(script: &Script) {
    let ((client, from), alone) = (Socket::pair().await, Socket::tcp().await);
    script.says("in", take(&alone, 1).await.0, "ENOTCONN");
    client.send_all("x").await.0.unwrap();
    script.a_while().await;
    let (_, conduit) = take(&from, 1).await;
    script.says("out", put(&alone, conduit).await, "EPIPE");
}

async fn a_file_is_taken_from_its_cursor_or_from_an_offset(script: &Script) {
    let path = script.path("file").await;
    fs::write(&path, "0123456789").await.0.unwrap();
    let (to, server) = Socket::pair().await;
    let file = Socket::opened(&path).await;
    for (offset, limit, count, text) in [
        (CURSOR, 4, "4", "4: 0123"),
        (7, 100, "3", "3: 789"),
        (CURSOR, 100, "6", "6: 456789"),
        (CURSOR, 100, "0", ""),
        (100, 100, "0", ""),
    ] {
        let conduit = conduit(&file).await;
        let splice = Splice::from_disk(file.hold(), offset, Rc::clone(&conduit), limit);
        script.says("in", Submitted::new(splice).await, count);
        if count != "0" {
            script.says("out", put(&to, conduit).await, count);
            script.says("recv", server.recv(100).await, text);
        }
    }
}

async fn a_unix_socket_is_as_good(script: &Script) {
    let name = script.path_name("socket").await;
    let ((client, from), (to, server)) =
        (Socket::pair_at(libc::SOCK_STREAM, &name).await, Socket::pair().await);
    client.send_all("hello").await.0.unwrap();
    let (result, conduit) = take(&from, 100).await;
    script.says("in", result, "5");
    script.says("out", put(&to, conduit).await, "5");
    server.recv_all(5).await.0.unwrap();
    server.send_all("back").await.0.unwrap();
    script.a_while().await;
    let (result, conduit) = take(&to, 100).await;
    script.says("in", result, "4");
    script.says("out", put(&from, conduit).await, "4");
    script.says("recv", client.recv(100).await, "4: back");
    client.close().await.unwrap();
    script.says("the end", take(&from, 100).await.0, "0");
}

async fn what_did_not_go_is_received_next(script: &Script) {
    let (client, from) = Socket::pair().await;
    client.send_all("hello").await.0.unwrap();
    script.a_while().await;
    let (result, conduit) = take(&from, 3).await;
    script.says("in", result, "3");
    // It waits for the turn, which the pipe has.
    let mut recv = from.recv_all(5);
    script.goes_on_and_waits("recv", &mut recv).await;
    drop(conduit);
    script.says("recv", recv.await, "5: hello");
}

async fn what_was_left_goes_before_what_came(script: &Script) {
    let ((client, from), (to, server)) = (Socket::pair().await, Socket::pair().await);
    client.send_all("hello").await.0.unwrap();
    script.a_while().await;
    drop(take(&from, 3).await);
    client.send_all(" world").await.0.unwrap();
    script.a_while().await;
    let (result, conduit) = take(&from, 2).await;
    script.says("a part of what was left", result, "2");
    script.says("out", put(&to, conduit).await, "2");
    let (result, conduit) = take(&from, 100).await;
    script.says("the rest of it", result, "1");
    script.says("out", put(&to, conduit).await, "1");
    let (result, conduit) = take(&from, 100).await;
    script.says("what came", result, "8");
    script.says("out", put(&to, conduit).await, "8");
    script.says("recv", server.recv_all(11).await, "11: hello world");
}

async fn pipes_are_ends_as_well(script: &Script) {
    let ((mut first_reader, first), (last, mut last_writer)) = (pipe().await.unwrap(), pipe().await.unwrap());
    first.write_all("hello").await.0.unwrap();
    drop(first);
    script.says("copy", copy(&mut first_reader, &mut last_writer).await, "5");
    script.says("read", last.read_exact(vec![0; 5]).await, "5: hello");
    drop(last);
    let (mut reader, writer) = pipe().await.unwrap();
    writer.write_all("hello").await.0.unwrap();
    script.says("copy to nobody", copy(&mut reader, &mut last_writer).await, "EPIPE");
    script.says("read", reader.read_exact(vec![0; 5]).await, "5: hello");
}

async fn streams() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(super::socket::HERE).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

async fn a_copy_with_a_limit_leaves_the_rest(script: &Script) {
    let ((client, from), (to, server)) = (streams().await, streams().await);
    client.write_all("hello world").await.0.unwrap();
    script.says("splice nothing", splice(&from, &to, 0).await, "0");
    script.says("splice", splice(&from, &to, 5).await, "5");
    script.says("read", server.read_exact(vec![0; 5]).await, "5: hello");
    let (result, _) = join(splice(&from, &to, 100), async { drop(client) }).await;
    script.says("the rest", result, "6");
    script.says("read", server.read_exact(vec![0; 6]).await, "6:  world");
}

async fn a_file_is_sent_in_parts(script: &Script) {
    let path = script.path("file").await;
    fs::write(&path, "0123456789").await.0.unwrap();
    let (client, server) = streams().await;
    let file = fs::File::open(&path).await.unwrap();
    script.says("a part", client.send_file(&file, 3, 4).await, "4");
    script.says("the end", client.send_file(&file, 8, 100).await, "2");
    script.says("nothing", client.send_file(&file, 3, 0).await, "0");
    script.says("behind the end", client.send_file(&file, 30, 100).await, "0");
    script.says("read", server.read_exact(vec![0; 6]).await, "6: 345689");
    script.says("the cursor", file.read_exact(vec![0; 3]).await, "3: 012");
}
