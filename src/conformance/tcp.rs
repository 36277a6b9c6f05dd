//! TCP: being bound, connecting, listening, accepting, and the names on both sides.

use std::net::{Ipv6Addr, SocketAddr};

use super::Script;
use super::socket::{HERE, Socket};
use crate::driver::Setting;
use crate::net::{TcpListener, TcpStream};

super::scripts! {
    port_zero_asks_for_a_port,
    a_socket_is_bound_once,
    a_port_is_had_by_one_listener,
    ports_may_be_shared_until_somebody_listens,
    a_foreign_address_is_not_bound,
    addresses_of_another_family_are_refused,
    there_are_no_sockets_of_every_kind,
    a_socket_that_is_not_bound_has_no_address,
    listening_binds,
    listening_again_is_no_error,
    connecting_binds,
    a_connection_has_the_same_two_names_on_both_sides,
    connecting_is_refused_where_nobody_listens,
    a_refused_socket_connects_later,
    the_unspecified_address_is_this_machine,
    a_socket_connects_once,
    a_connected_socket_does_not_listen,
    a_listener_does_not_connect,
    connecting_needs_no_accept,
    connections_are_accepted_in_their_order,
    what_was_sent_before_the_accept_is_received_after_it,
    only_listeners_accept,
    a_listener_has_nothing_to_receive,
    an_accept_after_the_close_is_cancelled,
    closing_a_listener_frees_its_port,
    the_types_of_the_crate_say_the_same,
}

async fn port_zero_asks_for_a_port(script: &Script) {
    let (one, other) = (Socket::tcp().await, Socket::tcp().await);
    script.says("bind", one.bind(HERE), "ok");
    script.says("its name", one.name(), "127.0.0.1:port");
    script.says("bind", other.bind(HERE), "ok");
    script.says("two ports", one.address() != other.address(), "yes");
}

async fn a_socket_is_bound_once(script: &Script) {
    let socket = Socket::tcp().await;
    script.says("bind", socket.bind(HERE), "ok");
    let name = socket.address();
    script.says("bind again", socket.bind(HERE), "EINVAL");
    script.says("the same name", socket.address() == name, "yes");
}

async fn a_port_is_had_by_one_listener(script: &Script) {
    let (_listener, address) = Socket::listening().await;
    let other = Socket::tcp().await;
    script.says("bind", other.bind(address), "EADDRINUSE");
    script.says("bind to all addresses", other.bind(any(address.port())), "EADDRINUSE");
    script.says("bind elsewhere", other.bind(HERE), "ok");
}

async fn ports_may_be_shared_until_somebody_listens(script: &Script) {
    let (one, other) = (Socket::tcp().await, Socket::tcp().await);
    one.set(Setting::ReuseAddress(true)).unwrap();
    script.says("bind", one.bind(HERE), "ok");
    script.says("bind without the option", other.bind(one.address()), "EADDRINUSE");
    other.set(Setting::ReuseAddress(true)).unwrap();
    script.says("bind with it", other.bind(one.address()), "ok");
    script.says("listen", one.listen(1), "ok");
    script.says("listen as well", other.listen(1), "EADDRINUSE");
    let third = Socket::tcp().await;
    third.set(Setting::ReuseAddress(true)).unwrap();
    script.says("bind under a listener", third.bind(one.address()), "EADDRINUSE");
}

async fn a_foreign_address_is_not_bound(script: &Script) {
    let socket = Socket::tcp().await;
    // Of a network that is for books (RFC 5737).
    let foreign: SocketAddr = "203.0.113.1:0".parse().unwrap();
    script.says("bind", socket.bind(foreign), "EADDRNOTAVAIL");
    script.says("its name", socket.name(), "0.0.0.0:0");
    script.says("bind here", socket.bind(HERE), "ok");
}

async fn addresses_of_another_family_are_refused(script: &Script) {
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 9));
    let socket = Socket::tcp().await;
    script.says("bind", socket.bind(v6), "EAFNOSUPPORT");
    script.says("connect", socket.connect(v6).await, "EAFNOSUPPORT");
    let unix = script.abstract_name("nobody");
    script.says("connect to a Unix name", socket.connect(unix).await, "EINVAL|EAFNOSUPPORT");
}

async fn there_are_no_sockets_of_every_kind(script: &Script) {
    let of = Socket::of;
    script.says("no family", of(46, libc::SOCK_STREAM, 0).await, "EAFNOSUPPORT");
    script.says("no kind", of(libc::AF_INET, libc::SOCK_SEQPACKET, 0).await, "ESOCKTNOSUPPORT");
    script.says(
        "UDP as a stream",
        of(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_UDP).await,
        "EPROTONOSUPPORT",
    );
    script.says("TCP", of(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_TCP).await, "ok");
}

async fn a_socket_that_is_not_bound_has_no_address(script: &Script) {
    let socket = Socket::tcp().await;
    script.says("its name", socket.name(), "0.0.0.0:0");
    script.says("its peer", socket.peer(), "ENOTCONN");
}

async fn listening_binds(script: &Script) {
    let listener = Socket::tcp().await;
    script.says("listen", listener.listen(1), "ok");
    script.says("its name", listener.name(), "0.0.0.0:port");
    script.says("its peer", listener.peer(), "ENOTCONN");
    let client = Socket::tcp().await;
    let address = SocketAddr::new(HERE.ip(), listener.address().port());
    script.says("connect", client.connect(address).await, "ok");
    script.says("what was accepted", listener.accept().await.unwrap().name(), "127.0.0.1:port");
}

async fn listening_again_is_no_error(script: &Script) {
    let (listener, address) = Socket::listening().await;
    script.says("listen again", listener.listen(5), "ok");
    script.says("bind", listener.bind(HERE), "EINVAL");
    script.says("connect", Socket::tcp().await.connect(address).await, "ok");
}

async fn connecting_binds(script: &Script) {
    let (_listener, address) = Socket::listening().await;
    let client = Socket::tcp().await;
    script.says("connect", client.connect(address).await, "ok");
    script.says("its name", client.name(), "127.0.0.1:port");
    script.says("bind", client.bind(HERE), "EINVAL");
}

async fn a_connection_has_the_same_two_names_on_both_sides(script: &Script) {
    let (listener, address) = Socket::listening().await;
    let client = Socket::tcp().await;
    client.bind(HERE).unwrap();
    let bound = client.address();
    client.connect(address).await.unwrap();
    let server = listener.accept().await.unwrap();
    script.says("it stays bound", client.address() == bound, "yes");
    script.says("the client's peer", client.peer().unwrap().as_socket() == Some(address), "yes");
    script.says("the server's name", server.address() == address, "yes");
    script.says("the server's peer", server.peer().unwrap().as_socket() == Some(bound), "yes");
}

async fn connecting_is_refused_where_nobody_listens(script: &Script) {
    let bound = Socket::tcp().await;
    bound.bind(HERE).unwrap();
    let client = Socket::tcp().await;
    script.says("connect", client.connect(bound.address()).await, "ECONNREFUSED");
    script.says("its error was told", client.take_error(), "none");
    script.says("its peer", client.peer(), "ENOTCONN");
    script.says("to port zero", Socket::tcp().await.connect(HERE).await, "ECONNREFUSED");
}

async fn a_refused_socket_connects_later(script: &Script) {
    let listener = Socket::tcp().await;
    listener.bind(HERE).unwrap();
    let client = Socket::tcp().await;
    script.says("connect", client.connect(listener.address()).await, "ECONNREFUSED");
    listener.listen(1).unwrap();
    script.says("connect again", client.connect(listener.address()).await, "ok");
    script.says("once more", client.connect(listener.address()).await, "EISCONN");
    script.says("send", client.send_all("hello").await, "ok");
    script.says("recv", listener.accept().await.unwrap().recv_all(5).await, "5: hello");
}

async fn the_unspecified_address_is_this_machine(script: &Script) {
    let (listener, address) = Socket::listening().await;
    let client = Socket::tcp().await;
    script.says("connect", client.connect(any(address.port())).await, "ok");
    script.says("the client's peer", client.peer(), "127.0.0.1:port");
    script.says("accept", listener.accept().await, "ok");
}

async fn a_socket_connects_once(script: &Script) {
    let (_listener, address) = Socket::listening().await;
    let client = Socket::tcp().await;
    script.says("connect", client.connect(address).await, "ok");
    script.says("connect again", client.connect(address).await, "EISCONN");
}

async fn a_connected_socket_does_not_listen(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("listen", client.listen(1), "EINVAL");
    script.says("listen on the other side", server.listen(1), "EINVAL");
}

async fn a_listener_does_not_connect(script: &Script) {
    let (_listener, address) = Socket::listening().await;
    let (other, _) = Socket::listening().await;
    script.says("connect", other.connect(address).await, "EISCONN");
    script.says("its peer", other.peer(), "ENOTCONN");
}

async fn connecting_needs_no_accept(script: &Script) {
    let (listener, address) = Socket::listening().await;
    let client = Socket::tcp().await;
    script.says("connect", client.connect(address).await, "ok");
    script.says("send", client.send_all("hello").await, "ok");
    script.says("nothing to receive", client.recv_now(1).await, "ETIMEDOUT");
    script.says("the listener is readable", listener.ready(libc::POLLIN).await, "IN");
    script.says("accept", listener.accept().await, "ok");
}

async fn connections_are_accepted_in_their_order(script: &Script) {
    let (listener, address) = Socket::listening().await;
    let mut names = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..5 {
        let client = Socket::tcp().await;
        client.connect(address).await.unwrap();
        names.push(client.address());
        clients.push(client);
    }
    for name in names {
        let server = listener.accept().await.unwrap();
        script.says("the next one", server.peer().unwrap().as_socket() == Some(name), "yes");
    }
    script.says("and no more", listener.ready(libc::POLLIN).await, "ETIMEDOUT");
}

async fn what_was_sent_before_the_accept_is_received_after_it(script: &Script) {
    let (listener, address) = Socket::listening().await;
    let client = Socket::tcp().await;
    client.connect(address).await.unwrap();
    script.says("send", client.send_all("hello").await, "ok");
    script.says("close", client.close().await, "ok");
    script.a_while().await;
    let server = listener.accept().await.unwrap();
    script.says("recv", server.recv_all(5).await, "5: hello");
    script.says("recv", server.recv(5).await, "0");
}

async fn only_listeners_accept(script: &Script) {
    let socket = Socket::tcp().await;
    script.says("a new socket", socket.accept().await, "EINVAL");
    socket.bind(HERE).unwrap();
    script.says("one that is bound", socket.accept().await, "EINVAL");
    let (client, _server) = Socket::pair().await;
    script.says("one that is connected", client.accept().await, "EINVAL");
    script.says("one of UDP", Socket::udp().await.accept().await, "EOPNOTSUPP");
}

async fn a_listener_has_nothing_to_receive(script: &Script) {
    let (listener, _) = Socket::listening().await;
    script.says("recv", listener.recv(1).await, "ENOTCONN");
    script.says("send", listener.send("x").await, "EPIPE");
}

async fn an_accept_after_the_close_is_cancelled(script: &Script) {
    let (listener, _) = Socket::listening().await;
    let accept = listener.accepting();
    script.says("close", listener.close().await, "ok");
    script.says("accept", accept.await.map(drop), "ECANCELED");
}

async fn closing_a_listener_frees_its_port(script: &Script) {
    let (listener, address) = Socket::listening().await;
    script.says("close", listener.close().await, "ok");
    script.says("connect", Socket::tcp().await.connect(address).await, "ECONNREFUSED");
    let next = Socket::tcp().await;
    script.says("bind", next.bind(address), "ok");
    script.says("listen", next.listen(1), "ok");
}

/// What users have is made of the same operations.
async fn the_types_of_the_crate_say_the_same(script: &Script) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    let (server, peer) = listener.accept().await.unwrap();
    script.says("who it is", client.local_addr().unwrap() == peer, "yes");
    script.says("write", client.write_all("hello").await, "ok");
    script.says("read", server.read_exact(Vec::with_capacity(5)).await, "5: hello");
    script.says("close", listener.close().await, "ok");
    script.says("connect", TcpStream::connect(address).await.map(drop), "ECONNREFUSED");
}

fn any(port: u16) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], port))
}
