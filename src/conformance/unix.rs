//! Unix streams: names in the file system and out of it, connecting, and how connections end.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use futures_util::future::join;
use libc::{SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM};
use socket2::SockAddr;

use super::Script;
use super::socket::{HERE, Socket};
use crate::op::{AcceptOften, Submitted};
use crate::{fs, time};

/// How long what may never end is waited for.
const SHORT: Duration = Duration::from_millis(20);

super::scripts! {
    streams_go_through_a_path,
    streams_go_through_an_abstract_name,
    names_are_told_on_both_sides,
    a_name_must_be_there_to_be_connected_to,
    a_name_must_be_listened_at,
    a_name_is_of_one_kind,
    a_path_is_had_once,
    a_path_stays_when_its_socket_is_closed,
    an_abstract_name_goes_with_its_socket,
    a_path_is_made_where_a_directory_is,
    a_socket_moves_with_its_path,
    a_removed_path_leaves_connections_alone,
    a_unix_socket_connects_once,
    an_unnamed_socket_does_not_listen,
    only_unix_listeners_accept,
    a_unix_socket_takes_unix_names,
    who_is_not_connected_transfers_nothing,
    an_end_comes_after_the_bytes,
    sending_to_the_closed_is_a_broken_pipe,
    unread_bytes_are_a_reset,
    not_being_accepted_is_a_reset,
    half_of_it_ends,
    ending_what_is_received_is_told_to_the_sender,
    a_mebibyte_goes_both_ways,
    a_unix_listener_is_shut_down,
    shutting_down_a_unix_listener_ends_an_accept,
    shutting_down_a_unix_listener_ends_a_stream_of_accepts,
    a_full_queue_is_told_to_who_does_not_wait,
    a_full_queue_makes_a_unix_connect_wait,
}

async fn streams_go_through_a_path(script: &Script) {
    let name = script.path_name("door").await;
    let (client, server) = Socket::pair_at(SOCK_STREAM, &name).await;
    script.says("send", client.send_all("hello").await, "ok");
    script.says("recv", server.recv_all(5).await, "5: hello");
    script.says("back", server.send_vectored(&["he", "", "llo"]).await, "5");
    script.says("recv", client.recv_all(5).await, "5: hello");
}

async fn streams_go_through_an_abstract_name(script: &Script) {
    let (client, server) = Socket::pair_at(SOCK_STREAM, &script.abstract_name("door")).await;
    script.says("send", client.send_all("hello").await, "ok");
    script.says("recv", server.recv_all(5).await, "5: hello");
    script.says("the client's peer", client.peer(), "@door");
    script.says("the server's name", server.name(), "@door");
}

async fn names_are_told_on_both_sides(script: &Script) {
    let name = script.path_name("door").await;
    let listener = Socket::unix(SOCK_STREAM).await;
    script.says("no name", listener.name(), "unnamed");
    script.says("bind", listener.bind(name.clone()), "ok");
    script.says("its name", listener.name(), "door");
    script.says("its peer", listener.peer(), "ENOTCONN");
    listener.listen(5).unwrap();
    let client = Socket::unix(SOCK_STREAM).await;
    client.connect(name.clone()).await.unwrap();
    let server = listener.accept().await.unwrap();
    script.says("the client's name", client.name(), "unnamed");
    script.says("the client's peer", client.peer(), "door");
    script.says("the server's name", server.name(), "door");
    script.says("the server's peer", server.peer(), "unnamed");
    let named = Socket::unix(SOCK_STREAM).await;
    named.bind(script.path_name("guest").await).unwrap();
    named.connect(name).await.unwrap();
    script.says("a named client", listener.accept().await.unwrap().peer(), "guest");
}

async fn a_name_must_be_there_to_be_connected_to(script: &Script) {
    let client = Socket::unix(SOCK_STREAM).await;
    let connect = |name: SockAddr| client.connect(name);
    script.says("no such path", connect(script.path_name("nothing").await).await, "ENOENT");
    script.says("no such directory", connect(script.path_name("a/b").await).await, "ENOENT");
    script.says("no such name", connect(script.abstract_name("nothing")).await, "ECONNREFUSED");
    fs::write(script.path("file").await, "text").await.0.unwrap();
    script.says("a file", connect(script.path_name("file").await).await, "ECONNREFUSED");
    script.says("in a file", connect(script.path_name("file/a").await).await, "ENOTDIR");
    script.says("its name", client.name(), "unnamed");
}

async fn a_name_must_be_listened_at(script: &Script) {
    for name in [script.path_name("door").await, script.abstract_name("door")] {
        let bound = Socket::unix(SOCK_STREAM).await;
        bound.bind(name.clone()).unwrap();
        let client = Socket::unix(SOCK_STREAM).await;
        script.says("connect", client.connect(name.clone()).await, "ECONNREFUSED");
        bound.listen(1).unwrap();
        script.says("connect", client.connect(name).await, "ok");
    }
}

async fn a_name_is_of_one_kind(script: &Script) {
    let name = script.path_name("door").await;
    let _listener = Socket::listening_at(SOCK_STREAM, &name).await;
    for kind in [SOCK_DGRAM, SOCK_SEQPACKET] {
        let other = Socket::unix(kind).await;
        script.says("connect", other.connect(name.clone()).await, "EPROTOTYPE");
    }
    // What is not in the file system is looked up by kind and name.
    let name = script.abstract_name("door");
    let _listener = Socket::listening_at(SOCK_STREAM, &name).await;
    let other = Socket::unix(SOCK_DGRAM).await;
    script.says("connect", other.connect(name.clone()).await, "ECONNREFUSED");
    script.says("bind", other.bind(name), "ok");
}

async fn a_path_is_had_once(script: &Script) {
    // A path is looked up before the socket is asked whether it has a name.
    let (path, outside) = (script.path_name("door").await, script.abstract_name("door"));
    for (name, again) in [(path, "EADDRINUSE"), (outside, "EINVAL")] {
        let (one, other) = (Socket::unix(SOCK_STREAM).await, Socket::unix(SOCK_STREAM).await);
        script.says("bind", one.bind(name.clone()), "ok");
        script.says("bind another", other.bind(name.clone()), "EADDRINUSE");
        script.says("bind again", one.bind(name.clone()), again);
        script.says("bind elsewhere", one.bind(script.abstract_name("other")), "EINVAL");
    }
    fs::write(script.path("file").await, "text").await.0.unwrap();
    let socket = Socket::unix(SOCK_STREAM).await;
    script.says("a file has it", socket.bind(script.path_name("file").await), "EADDRINUSE");
}

async fn a_path_stays_when_its_socket_is_closed(script: &Script) {
    let name = script.path_name("door").await;
    let listener = Socket::listening_at(SOCK_STREAM, &name).await;
    script.says("close", listener.close().await, "ok");
    let client = Socket::unix(SOCK_STREAM).await;
    script.says("connect", client.connect(name.clone()).await, "ECONNREFUSED");
    let next = Socket::unix(SOCK_STREAM).await;
    script.says("bind", next.bind(name.clone()), "EADDRINUSE");
    script.says("what it is", fs::metadata(script.path("door").await).await, "something else");
    script.says("open", fs::File::open(script.path("door").await).await, "ENXIO");
    script.says("unlink", fs::remove_file(script.path("door").await).await, "ok");
    script.says("bind", next.bind(name.clone()), "ok");
    next.listen(1).unwrap();
    script.says("connect", client.connect(name).await, "ok");
}

async fn an_abstract_name_goes_with_its_socket(script: &Script) {
    let name = script.abstract_name("door");
    let listener = Socket::listening_at(SOCK_STREAM, &name).await;
    script.says("close", listener.close().await, "ok");
    script.says("connect", Socket::unix(SOCK_STREAM).await.connect(name.clone()).await, "ECONNREFUSED");
    script.says("bind", Socket::unix(SOCK_STREAM).await.bind(name), "ok");
}

async fn a_path_is_made_where_a_directory_is(script: &Script) {
    let socket = Socket::unix(SOCK_STREAM).await;
    script.says("no directory", socket.bind(script.path_name("a/b").await), "ENOENT");
    fs::write(script.path("file").await, "text").await.0.unwrap();
    script.says("in a file", socket.bind(script.path_name("file/b").await), "ENOTDIR");
    fs::create_dir(script.path("a").await).await.unwrap();
    script.says("a directory", socket.bind(script.path_name("a/b").await), "ok");
}

async fn a_socket_moves_with_its_path(script: &Script) {
    let name = script.path_name("door").await;
    let listener = Socket::listening_at(SOCK_STREAM, &name).await;
    let (from, to) = (script.path("door").await, script.path("gate").await);
    script.says("rename", fs::rename(from, to).await, "ok");
    let client = Socket::unix(SOCK_STREAM).await;
    script.says("the old name", client.connect(name).await, "ENOENT");
    script.says("the new one", client.connect(script.path_name("gate").await).await, "ok");
    script.says("it keeps its name", listener.name(), "door");
}

async fn a_removed_path_leaves_connections_alone(script: &Script) {
    let name = script.path_name("door").await;
    let (client, server) = Socket::pair_at(SOCK_STREAM, &name).await;
    script.says("unlink", fs::remove_file(script.path("door").await).await, "ok");
    script.says("connect", Socket::unix(SOCK_STREAM).await.connect(name).await, "ENOENT");
    script.says("send", client.send_all("hello").await, "ok");
    script.says("recv", server.recv_all(5).await, "5: hello");
    script.says("the client's peer", client.peer(), "door");
}

async fn a_unix_socket_connects_once(script: &Script) {
    let name = script.abstract_name("door");
    let listener = Socket::listening_at(SOCK_STREAM, &name).await;
    let client = Socket::unix(SOCK_STREAM).await;
    script.says("connect", client.connect(name.clone()).await, "ok");
    script.says("connect again", client.connect(name.clone()).await, "EISCONN");
    script.says("a listener", listener.connect(name).await, "EINVAL");
    script.says("listen", client.listen(1), "EINVAL");
}

async fn an_unnamed_socket_does_not_listen(script: &Script) {
    let socket = Socket::unix(SOCK_STREAM).await;
    script.says("listen", socket.listen(1), "EINVAL");
    script.says("bind", socket.bind(script.abstract_name("door")), "ok");
    script.says("listen", socket.listen(1), "ok");
    script.says("listen again", socket.listen(5), "ok");
}

async fn only_unix_listeners_accept(script: &Script) {
    let socket = Socket::unix(SOCK_STREAM).await;
    script.says("a new socket", socket.accept().await, "EINVAL");
    socket.bind(script.abstract_name("door")).unwrap();
    script.says("one that is bound", socket.accept().await, "EINVAL");
    script.says("one of datagrams", Socket::unix(SOCK_DGRAM).await.accept().await, "EOPNOTSUPP");
    let (client, _server) = Socket::pair_at(SOCK_STREAM, &script.abstract_name("gate")).await;
    script.says("one that is connected", client.accept().await, "EINVAL");
}

async fn a_unix_socket_takes_unix_names(script: &Script) {
    let socket = Socket::unix(SOCK_STREAM).await;
    script.says("bind", socket.bind(HERE), "EINVAL");
    script.says("connect", socket.connect(HERE).await, "EINVAL");
    let of = Socket::of;
    script.says("no such protocol", of(libc::AF_UNIX, SOCK_STREAM, 7).await, "EPROTONOSUPPORT");
    script.says("no such kind", of(libc::AF_UNIX, libc::SOCK_RDM, 0).await, "ESOCKTNOSUPPORT");
}

async fn who_is_not_connected_transfers_nothing(script: &Script) {
    let socket = Socket::unix(SOCK_STREAM).await;
    script.says("recv", socket.recv(1).await, "EINVAL");
    script.says("send", socket.send("x").await, "ENOTCONN");
    script.says("its peer", socket.peer(), "ENOTCONN");
    let packets = Socket::unix(SOCK_SEQPACKET).await;
    script.says("recv", packets.recv(1).await, "ENOTCONN");
    script.says("send", packets.send("x").await, "ENOTCONN");
}

async fn an_end_comes_after_the_bytes(script: &Script) {
    let (client, server) = Socket::pair_at(SOCK_STREAM, &script.abstract_name("door")).await;
    script.says("send", client.send_all("bye").await, "ok");
    script.says("close", client.close().await, "ok");
    script.says("recv", server.recv_all(3).await, "3: bye");
    script.says("recv", server.recv(3).await, "0");
    script.says("recv", server.recv(3).await, "0");
    script.says("its peer", server.peer(), "unnamed");
}

async fn sending_to_the_closed_is_a_broken_pipe(script: &Script) {
    let (client, server) = Socket::pair_at(SOCK_STREAM, &script.abstract_name("door")).await;
    script.says("close", client.close().await, "ok");
    script.says("send", server.send("x").await, "EPIPE");
    script.says("send", server.send("x").await, "EPIPE");
    script.says("recv", server.recv(1).await, "0");
}

async fn unread_bytes_are_a_reset(script: &Script) {
    let (client, server) = Socket::pair_at(SOCK_STREAM, &script.abstract_name("door")).await;
    script.says("send", client.send_all("unread").await, "ok");
    script.says("send back", server.send_all("read").await, "ok");
    script.says("close", server.close().await, "ok");
    script.says("what came before", client.recv_all(4).await, "4: read");
    script.says("recv", client.recv(5).await, "ECONNRESET");
    script.says("recv", client.recv(5).await, "0");
    script.says("send", client.send("x").await, "EPIPE");
}

async fn not_being_accepted_is_a_reset(script: &Script) {
    let name = script.abstract_name("door");
    let listener = Socket::listening_at(SOCK_STREAM, &name).await;
    let client = Socket::unix(SOCK_STREAM).await;
    client.connect(name).await.unwrap();
    script.says("send", client.send_all("hello").await, "ok");
    script.says("close", listener.close().await, "ok");
    script.says("recv", client.recv(5).await, "ECONNRESET");
    script.says("recv", client.recv(5).await, "0");
}

async fn half_of_it_ends(script: &Script) {
    let (client, server) = Socket::pair_at(SOCK_STREAM, &script.abstract_name("door")).await;
    script.says("shutdown", client.shutdown(libc::SHUT_WR).await, "ok");
    script.says("send", client.send("x").await, "EPIPE");
    script.says("recv", server.recv(1).await, "0");
    script.says("send", server.send_all("hello").await, "ok");
    script.says("recv", client.recv_all(5).await, "5: hello");
    script.says("shutdown", server.shutdown(libc::SHUT_WR).await, "ok");
    script.says("recv", client.recv(1).await, "0");
    script.says("no such direction", client.shutdown(3).await, "EINVAL");
    // Unlike TCP's.
    script.says("not connected", Socket::unix(SOCK_STREAM).await.shutdown(libc::SHUT_WR).await, "ok");
}

async fn ending_what_is_received_is_told_to_the_sender(script: &Script) {
    let (client, server) = Socket::pair_at(SOCK_STREAM, &script.abstract_name("door")).await;
    let mut read = client.recv(1);
    script.waits("recv", &mut read).await;
    script.a_while().await;
    script.says("shutdown", client.shutdown(libc::SHUT_RD).await, "ok");
    script.says("recv", read.await, "0");
    script.says("the peer sends", server.send("x").await, "EPIPE");
    script.says("send", client.send_all("x").await, "ok");
    script.says("the peer receives", server.recv(1).await, "1: x");
}

async fn a_mebibyte_goes_both_ways(script: &Script) {
    const LENGTH: usize = 1 << 20;
    let (client, server) = Socket::pair_at(SOCK_STREAM, &script.abstract_name("door")).await;
    let bytes: Vec<u8> = (0..LENGTH).map(|place| (place % 253) as u8).collect();
    let there = join(client.send_all(bytes.clone()), server.recv_all(LENGTH));
    let back = join(server.send_all(bytes.clone()), client.recv_all(LENGTH));
    let ((sent, came), (returned, came_back)) = join(there, back).await;
    script.says("send", sent.0, "ok");
    script.says("send back", returned.0, "ok");
    script.says("the same", came.1 == bytes, "yes");
    script.says("the same", came_back.1 == bytes, "yes");
}

async fn a_unix_listener_is_shut_down(script: &Script) {
    let name = script.abstract_name("door");
    let listener = Socket::listening_at(SOCK_STREAM, &name).await;
    script.says("shutdown", listener.shutdown(libc::SHUT_RD).await, "ok");
    script.says("connect", Socket::unix(SOCK_STREAM).await.connect(name).await, "ECONNREFUSED");
    script.says("accept", listener.accepting().timeout(SHORT).await.map(drop), "EINVAL");
    script.says("again", listener.shutdown(libc::SHUT_RD).await, "ok");
}

async fn shutting_down_a_unix_listener_ends_an_accept(script: &Script) {
    let listener = Socket::listening_at(SOCK_STREAM, &script.abstract_name("door")).await;
    let mut accept = listener.accepting();
    script.waits("accept", &mut accept).await;
    script.a_while().await;
    script.says("shutdown", listener.shutdown(libc::SHUT_RD).await, "ok");
    script.says("accept", accept.timeout(SHORT).await.map(drop), "EINVAL");
}

async fn shutting_down_a_unix_listener_ends_a_stream_of_accepts(script: &Script) {
    let name = script.abstract_name("door");
    let listener = Socket::listening_at(SOCK_STREAM, &name).await;
    let mut accepting = listener.accepting_often();
    let next = async |accepting: &mut Submitted<AcceptOften>| {
        let item = time::timeout(SHORT, poll_fn(|cx| accepting.poll_next_item(cx))).await;
        item.map_err(|_| io::Error::from_raw_os_error(libc::ETIMEDOUT))
            .and_then(|item| item.transpose())
            .map(drop)
    };
    let client = Socket::unix(SOCK_STREAM).await;
    script.says("connect", client.connect(name).await, "ok");
    script.says("the first", next(&mut accepting).await, "ok");
    script.says("nobody else", next(&mut accepting).await, "ETIMEDOUT");
    script.says("shutdown", listener.shutdown(libc::SHUT_RD).await, "ok");
    // What the kernel accepts by itself, again and again, is not told, and waits on.
    script.says("the next", next(&mut accepting).await, "EINVAL|ETIMEDOUT");
}

async fn a_full_queue_is_told_to_who_does_not_wait(script: &Script) {
    let name = script.abstract_name("door");
    let listener = Socket::unix(SOCK_STREAM).await;
    listener.bind(name.clone()).unwrap();
    listener.listen(0).unwrap();
    script.says("connect", Socket::unix(SOCK_STREAM).await.connect_at_once(name.clone()).await, "ok");
    let second = Socket::unix(SOCK_STREAM).await;
    script.says("another", second.connect_at_once(name.clone()).await, "EAGAIN");
    script.says("again", second.connect_at_once(name.clone()).await, "EAGAIN");
    script.says("accept", listener.accept().await, "ok");
    script.says("another", second.connect_at_once(name.clone()).await, "ok");
    script.says("accept", listener.accept().await, "ok");
    script.says("again", second.connect_at_once(name).await, "EISCONN");
}

async fn a_full_queue_makes_a_unix_connect_wait(script: &Script) {
    let name = script.abstract_name("door");
    let listener = Socket::unix(SOCK_STREAM).await;
    listener.bind(name.clone()).unwrap();
    listener.listen(0).unwrap();
    script.says("connect", Socket::unix(SOCK_STREAM).await.connect(name.clone()).await, "ok");
    let second = Socket::unix(SOCK_STREAM).await;
    let mut connect = second.connect(name);
    script.waits("another", &mut connect).await;
    script.says("accept", listener.accept().await, "ok");
    // There is nothing to wait for but the call itself, which is not made to wait: readiness hears of nothing.
    script.says("another", connect.timeout(SHORT).await, "ok|ETIMEDOUT");
}
