//! What sockets are told, and what they say when they are asked.

use std::time::Duration;

use super::Script;
use super::socket::{HERE, Socket};
use crate::driver::{Property, Setting};

super::scripts! {
    an_option_is_as_it_was_set,
    lingering_is_said_in_seconds,
    hops_are_from_1_to_255,
    room_is_doubled_for_the_system_s_own,
    a_connection_has_the_options_of_its_listener,
    options_of_tcp_are_refused_elsewhere,
    a_socket_has_no_error_of_its_own,
    options_outlive_the_connection,
}

async fn an_option_is_as_it_was_set(script: &Script) {
    let (client, _server) = Socket::pair().await;
    script.says("nodelay", client.flag(Property::Nodelay), "no");
    script.says("set", client.set(Setting::Nodelay(true)), "ok");
    script.says("nodelay", client.flag(Property::Nodelay), "yes");
    script.says("set", client.set(Setting::Nodelay(false)), "ok");
    script.says("nodelay", client.flag(Property::Nodelay), "no");
    script.says("keepalive", client.flag(Property::Keepalive), "no");
    script.says("set", client.set(Setting::Keepalive(true)), "ok");
    script.says("keepalive", client.flag(Property::Keepalive), "yes");
    script.says("reuse", client.set(Setting::ReuseAddress(true)), "ok");
}

async fn lingering_is_said_in_seconds(script: &Script) {
    let (client, _server) = Socket::pair().await;
    script.says("linger", client.linger(), "off");
    script.says("set", client.set(Setting::Linger(Some(Duration::from_secs(5)))), "ok");
    script.says("linger", client.linger(), "5s");
    script.says("set", client.set(Setting::Linger(Some(Duration::ZERO))), "ok");
    script.says("linger", client.linger(), "0ns");
    script.says("set", client.set(Setting::Linger(Some(Duration::from_millis(1900)))), "ok");
    script.says("linger", client.linger(), "1s");
    script.says("set", client.set(Setting::Linger(None)), "ok");
    script.says("linger", client.linger(), "off");
}

async fn hops_are_from_1_to_255(script: &Script) {
    let socket = Socket::tcp().await;
    script.says("ttl", socket.number(Property::Ttl), "64");
    script.says("set", socket.set(Setting::Ttl(33)), "ok");
    script.says("ttl", socket.number(Property::Ttl), "33");
    script.says("none", socket.set(Setting::Ttl(0)), "EINVAL");
    script.says("too many", socket.set(Setting::Ttl(256)), "EINVAL");
    script.says("ttl", socket.number(Property::Ttl), "33");
}

/// socket(7): SO_RCVBUF.
async fn room_is_doubled_for_the_system_s_own(script: &Script) {
    let socket = Socket::tcp().await;
    script.says("set", socket.set(Setting::ReceiveBuffer(50_000)), "ok");
    script.says("room to receive", socket.number(Property::ReceiveBuffer), "100000");
    script.says("set", socket.set(Setting::SendBuffer(60_000)), "ok");
    script.says("room to send", socket.number(Property::SendBuffer), "120000");
    script.says("set", socket.set(Setting::ReceiveBuffer(1)), "ok");
    // How much is the least depends on the size of the kernel's own structures.
    script.says("not so little", socket.number(Property::ReceiveBuffer).unwrap() > 2000, "yes");
    script.says("set", socket.set(Setting::SendBuffer(0)), "ok");
    script.says("not so little", socket.number(Property::SendBuffer).unwrap() > 2000, "yes");
}

async fn a_connection_has_the_options_of_its_listener(script: &Script) {
    let listener = Socket::tcp().await;
    listener.set(Setting::Nodelay(true)).unwrap();
    listener.set(Setting::Keepalive(true)).unwrap();
    listener.set(Setting::Linger(Some(Duration::from_secs(3)))).unwrap();
    listener.set(Setting::Ttl(9)).unwrap();
    listener.set(Setting::ReceiveBuffer(50_000)).unwrap();
    listener.bind(HERE).unwrap();
    listener.listen(1).unwrap();
    let client = Socket::tcp().await;
    client.connect(listener.address()).await.unwrap();
    let server = listener.accept().await.unwrap();
    script.says("nodelay", server.flag(Property::Nodelay), "yes");
    script.says("keepalive", server.flag(Property::Keepalive), "yes");
    script.says("linger", server.linger(), "3s");
    script.says("ttl", server.number(Property::Ttl), "9");
    script.says("room to receive", server.number(Property::ReceiveBuffer), "100000");
    script.says("not those of the peer", client.flag(Property::Nodelay), "no");
}

async fn options_of_tcp_are_refused_elsewhere(script: &Script) {
    let (udp, unix) = (Socket::udp().await, Socket::unix(libc::SOCK_STREAM).await);
    script.says("udp", udp.set(Setting::Nodelay(true)), "ENOPROTOOPT");
    script.says("udp", udp.flag(Property::Nodelay), "EOPNOTSUPP");
    script.says("unix", unix.set(Setting::Nodelay(true)), "EOPNOTSUPP");
    script.says("unix", unix.flag(Property::Nodelay), "EOPNOTSUPP");
    script.says("hops", unix.number(Property::Ttl), "EOPNOTSUPP");
    script.says("what all have", unix.set(Setting::SendBuffer(50_000)), "ok");
    script.says("room to send", unix.number(Property::SendBuffer), "100000");
}

async fn a_socket_has_no_error_of_its_own(script: &Script) {
    let (client, server) = Socket::pair().await;
    script.says("new", Socket::tcp().await.take_error(), "none");
    script.says("connected", client.take_error(), "none");
    server.close().await.unwrap();
    script.a_while().await;
    script.says("ended", client.take_error(), "none");
}

async fn options_outlive_the_connection(script: &Script) {
    let (client, server) = Socket::pair().await;
    client.set(Setting::Nodelay(true)).unwrap();
    server.reset().await;
    script.a_while().await;
    script.says("nodelay", client.flag(Property::Nodelay), "yes");
    script.says("set", client.set(Setting::Keepalive(true)), "ok");
}
