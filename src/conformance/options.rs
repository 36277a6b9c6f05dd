//! What sockets are told, and what they say when they are asked.

use std::net::SocketAddr;
use std::time::Duration;

use super::Script;
use super::socket::{HERE, Socket};
use crate::driver::{NameOption, NumberOption, Property, Setting, ShortName};

super::scripts! {
    an_option_is_as_it_was_set,
    lingering_is_said_in_seconds,
    hops_are_from_1_to_255,
    room_is_doubled_for_the_system_s_own,
    a_connection_has_the_options_of_its_listener,
    options_of_tcp_are_refused_elsewhere,
    a_socket_has_no_error_of_its_own,
    options_outlive_the_connection,
    numbers_are_as_they_were_set,
    numbers_have_limits,
    numbers_that_nobody_has_set,
    a_span_is_rounded_to_what_the_system_counts_in,
    a_connection_has_the_numbers_of_its_listener,
    numbers_of_another_kind_of_socket_are_refused,
    what_comes_too_late_is_refused,
    short_names_are_as_they_were_set,
    an_address_that_is_not_there_yet_may_be_bound_on_purpose,
    ports_may_be_shared_by_listeners_that_all_want_it,
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

/// Each is asked for with this, and read back.
const NUMBERS: &[(NumberOption, &str, i32, &str)] = &[
    (NumberOption::ReuseAddress, "reuse address", 1, "1"),
    (NumberOption::ReusePort, "reuse port", 7, "1"),
    (NumberOption::TypeOfService, "type of service", 0x10, "16"),
    // The two lowest bits are the system's.
    (NumberOption::TypeOfService, "type of service", 0x13, "16"),
    (NumberOption::MaxSegment, "segment", 1000, "1000"),
    (NumberOption::KeepaliveTime, "keepalive time", 61, "61"),
    (NumberOption::KeepaliveInterval, "keepalive interval", 11, "11"),
    (NumberOption::KeepaliveRetries, "keepalive retries", 3, "3"),
    (NumberOption::UserTimeout, "user timeout", 1234, "1234"),
    (NumberOption::Cork, "cork", 1, "1"),
    (NumberOption::Cork, "cork", 0, "0"),
    (NumberOption::QuickAck, "quick acknowledgement", 0, "0"),
    (NumberOption::QuickAck, "quick acknowledgement", 1, "1"),
    (NumberOption::FastOpen, "fast open", 16, "16"),
    (NumberOption::FastOpenConnect, "fast open to connect", 1, "1"),
    (NumberOption::NotSentLowAt, "unsent bytes", 16384, "16384"),
    (NumberOption::FreeBind, "free bind", 1, "1"),
    (NumberOption::IncomingCpu, "processor", 0, "0"),
];

async fn numbers_are_as_they_were_set(script: &Script) {
    for (option, name, value, read) in NUMBERS {
        let socket = Socket::tcp().await;
        script.says(name, socket.set(Setting::Number(*option, *value)), "ok");
        script.says(name, socket.number(Property::Number(*option)), read);
    }
    let Ok(six) = Socket::of(libc::AF_INET6, libc::SOCK_STREAM, 0).await else { return };
    script.says("class", six.set(Setting::Number(NumberOption::TrafficClass, 0x22)), "ok");
    // The two bits of congestion are TCP's own; Linux 5.10 tells them as they were set.
    script.says("class", six.number(Property::Number(NumberOption::TrafficClass)), "32|34");
    script.says("type of service", six.set(Setting::Number(NumberOption::TypeOfService, 0x10)), "ok");
    script.says("only version six", six.set(Setting::Number(NumberOption::OnlyV6, 1)), "ok");
    script.says("only version six", six.number(Property::Number(NumberOption::OnlyV6)), "1");
}

async fn numbers_have_limits(script: &Script) {
    let wrong = [
        (NumberOption::MaxSegment, 87),
        (NumberOption::MaxSegment, 32768),
        (NumberOption::KeepaliveTime, 0),
        (NumberOption::KeepaliveTime, 32768),
        (NumberOption::KeepaliveInterval, 0),
        (NumberOption::KeepaliveInterval, 32768),
        (NumberOption::KeepaliveRetries, 0),
        (NumberOption::KeepaliveRetries, 128),
        (NumberOption::UserTimeout, -1),
        (NumberOption::FastOpen, -1),
        (NumberOption::FastOpenConnect, 2),
    ];
    let socket = Socket::tcp().await;
    for (option, value) in wrong {
        script.says(&format!("{option:?} {value}"), socket.set(Setting::Number(option, value)), "EINVAL");
    }
    script.says("the greatest", socket.set(Setting::Number(NumberOption::MaxSegment, 32767)), "ok");
    script.says("none", socket.set(Setting::Number(NumberOption::MaxSegment, 0)), "ok");
    script.says("segment", socket.number(Property::Number(NumberOption::MaxSegment)), "536");
    script.says("more than a byte", socket.set(Setting::Number(NumberOption::TypeOfService, 0x1_10)), "ok");
    script.says("type of service", socket.number(Property::Number(NumberOption::TypeOfService)), "16");
    let Ok(six) = Socket::of(libc::AF_INET6, libc::SOCK_STREAM, 0).await else { return };
    script.says("class", six.set(Setting::Number(NumberOption::TrafficClass, 256)), "EINVAL");
}

async fn numbers_that_nobody_has_set(script: &Script) {
    let socket = Socket::tcp().await;
    let number = |option| socket.number(Property::Number(option));
    script.says("reuse port", number(NumberOption::ReusePort), "0");
    script.says("type of service", number(NumberOption::TypeOfService), "0");
    script.says("segment", number(NumberOption::MaxSegment), "536");
    // Those of the machine: they are settings of the system.
    script.says("keepalive time", number(NumberOption::KeepaliveTime).unwrap() > 0, "yes");
    script.says("keepalive interval", number(NumberOption::KeepaliveInterval).unwrap() > 0, "yes");
    script.says("keepalive retries", number(NumberOption::KeepaliveRetries).unwrap() > 0, "yes");
    script.says("user timeout", number(NumberOption::UserTimeout), "0");
    script.says("cork", number(NumberOption::Cork), "0");
    script.says("quick acknowledgement", number(NumberOption::QuickAck), "1");
    script.says("defer accept", number(NumberOption::DeferAccept), "0");
    script.says("fast open", number(NumberOption::FastOpen), "0");
    script.says("fast open to connect", number(NumberOption::FastOpenConnect), "0");
    script.says("unsent bytes", number(NumberOption::NotSentLowAt), "0");
    script.says("free bind", number(NumberOption::FreeBind), "0");
    script.says("transparent", number(NumberOption::Transparent), "0");
    script.says("processor", number(NumberOption::IncomingCpu), "4294967295");
}

async fn a_span_is_rounded_to_what_the_system_counts_in(script: &Script) {
    let socket = Socket::tcp().await;
    for (asked, told) in [(1, "1"), (2, "3"), (3, "3"), (5, "7"), (100, "127"), (130, "247"), (0, "0")] {
        script.says("set", socket.set(Setting::Number(NumberOption::DeferAccept, asked)), "ok");
        script.says("defer accept", socket.number(Property::Number(NumberOption::DeferAccept)), told);
    }
}

async fn a_connection_has_the_numbers_of_its_listener(script: &Script) {
    let listener = Socket::tcp().await;
    for (option, value) in [
        (NumberOption::KeepaliveTime, 100),
        (NumberOption::KeepaliveInterval, 20),
        (NumberOption::KeepaliveRetries, 4),
        (NumberOption::UserTimeout, 5000),
        (NumberOption::NotSentLowAt, 4096),
        (NumberOption::TypeOfService, 8),
        (NumberOption::MaxSegment, 500),
    ] {
        listener.set(Setting::Number(option, value)).unwrap();
    }
    listener.bind(HERE).unwrap();
    listener.listen(1).unwrap();
    let client = Socket::tcp().await;
    client.connect(listener.address()).await.unwrap();
    let server = listener.accept().await.unwrap();
    let number = |option| server.number(Property::Number(option));
    script.says("keepalive time", number(NumberOption::KeepaliveTime), "100");
    script.says("keepalive interval", number(NumberOption::KeepaliveInterval), "20");
    script.says("keepalive retries", number(NumberOption::KeepaliveRetries), "4");
    script.says("user timeout", number(NumberOption::UserTimeout), "5000");
    script.says("unsent bytes", number(NumberOption::NotSentLowAt), "4096");
    script.says("type of service", number(NumberOption::TypeOfService), "8");
    script.says("segment", number(NumberOption::MaxSegment), "500|488");
    script.says("not those of the peer", client.number(Property::Number(NumberOption::UserTimeout)), "0");
}

async fn numbers_of_another_kind_of_socket_are_refused(script: &Script) {
    let (tcp, udp) = (Socket::tcp().await, Socket::udp().await);
    let unix = Socket::unix(libc::SOCK_STREAM).await;
    for option in [NumberOption::MaxSegment, NumberOption::KeepaliveTime, NumberOption::UserTimeout] {
        script.says("udp", udp.set(Setting::Number(option, 100)), "ENOPROTOOPT");
        script.says("udp", udp.number(Property::Number(option)), "EOPNOTSUPP");
        script.says("unix", unix.set(Setting::Number(option, 100)), "EOPNOTSUPP");
        script.says("unix", unix.number(Property::Number(option)), "EOPNOTSUPP");
    }
    for option in [NumberOption::OnlyV6, NumberOption::TrafficClass] {
        script.says("four", tcp.set(Setting::Number(option, 1)), "ENOPROTOOPT");
        script.says("four", tcp.number(Property::Number(option)), "EOPNOTSUPP");
    }
    script.says("what all have", udp.set(Setting::Number(NumberOption::ReuseAddress, 1)), "ok");
    script.says("what all have", unix.number(Property::Number(NumberOption::ReuseAddress)), "0");
    let reno = ShortName::of(b"reno").unwrap();
    script.says("udp", udp.set(Setting::ShortName(NameOption::Congestion, reno)), "ENOPROTOOPT");
    script.says("udp", udp.short_name(NameOption::Congestion), "EOPNOTSUPP");
    script.says("unix", unix.set(Setting::ShortName(NameOption::Congestion, reno)), "EOPNOTSUPP");
}

async fn what_comes_too_late_is_refused(script: &Script) {
    let (client, server) = Socket::pair().await;
    for socket in [&client, &server] {
        script.says("queue", socket.set(Setting::Number(NumberOption::FastOpen, 5)), "EINVAL");
        script.says("connect", socket.set(Setting::Number(NumberOption::FastOpenConnect, 1)), "EINVAL");
    }
    let (listener, _) = Socket::listening().await;
    script.says("queue", listener.set(Setting::Number(NumberOption::FastOpen, 5)), "ok");
    script.says("queue", listener.number(Property::Number(NumberOption::FastOpen)), "5");
    script.says("connect", listener.set(Setting::Number(NumberOption::FastOpenConnect, 1)), "EINVAL");
    let Ok(six) = Socket::of(libc::AF_INET6, libc::SOCK_STREAM, 0).await else { return };
    six.bind(SocketAddr::from(([0u16; 8], 0))).unwrap();
    script.says("only version six", six.set(Setting::Number(NumberOption::OnlyV6, 1)), "EINVAL");
}

async fn short_names_are_as_they_were_set(script: &Script) {
    let socket = Socket::tcp().await;
    let set =
        |option, name: &str| socket.set(Setting::ShortName(option, ShortName::of(name.as_bytes()).unwrap()));
    script.says("congestion", socket.short_name(NameOption::Congestion).unwrap().is_empty(), "no");
    script.says("set", set(NameOption::Congestion, "reno"), "ok");
    script.says("congestion", socket.short_name(NameOption::Congestion), "reno");
    script.says("unknown", set(NameOption::Congestion, "hopeless"), "ENOENT");
    script.says("nothing", set(NameOption::Congestion, ""), "EINVAL");
    script.says("congestion", socket.short_name(NameOption::Congestion), "reno");
    script.says("device", socket.short_name(NameOption::Device), "");
    script.says("unknown", set(NameOption::Device, "nosuch0"), "ENODEV");
    script.says("set", set(NameOption::Device, "lo"), "ok");
    script.says("device", socket.short_name(NameOption::Device), "lo");
}

async fn an_address_that_is_not_there_yet_may_be_bound_on_purpose(script: &Script) {
    // TEST-NET-3, which nobody has.
    let foreign = SocketAddr::from(([203, 0, 113, 7], 0));
    let socket = Socket::tcp().await;
    script.says("bind", socket.bind(foreign), "EADDRNOTAVAIL");
    script.says("set", socket.set(Setting::Number(NumberOption::FreeBind, 1)), "ok");
    script.says("bind", socket.bind(foreign), "ok");
    script.says("its name", socket.name(), "203.0.113.7:port");
}

async fn ports_may_be_shared_by_listeners_that_all_want_it(script: &Script) {
    let (one, other, third) = (Socket::tcp().await, Socket::tcp().await, Socket::tcp().await);
    for socket in [&one, &other] {
        script.says("set", socket.set(Setting::Number(NumberOption::ReusePort, 1)), "ok");
    }
    one.bind(HERE).unwrap();
    one.listen(1).unwrap();
    let address = one.address();
    script.says("bind", other.bind(address), "ok");
    script.says("listen", other.listen(1), "ok");
    script.says("one that does not", third.bind(address), "EADDRINUSE");
}
