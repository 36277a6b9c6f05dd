//! Messages: who sent them, what came with them, and many with one call.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use libc::{SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM};
use socket2::SockAddr;

use super::Script;
use super::normal::Outcome;
use super::socket::{HERE, Socket};
use crate::driver::{PacketOption, Setting};
use crate::sys::control::{Ancillary, PacketInfo};

super::scripts! {
    a_message_says_who_sent_it,
    an_empty_message_is_a_message,
    a_message_that_is_cut_off_says_so,
    a_look_takes_nothing,
    what_a_socket_was_told_to_report_it_reports,
    a_message_comes_from_where_it_was_asked_to,
    a_message_is_split_and_joined,
    a_message_needs_somebody,
    a_refusal_is_told_to_a_message,
    a_message_that_waits_for_room_is_sent_once,
    many_messages_are_received_and_sent_at_once,
    an_error_ends_many_messages,
    packets_are_messages,
    a_stream_has_no_messages,
    control_data_needs_room,
}

async fn a_message_says_who_sent_it(script: &Script) {
    let ((one, at), (other, there)) = (Socket::bound().await, Socket::bound().await);
    script.says("send", one.send_to("hello", there).await, "5");
    script.says("recv", other.recv_message(100).await, "5: hello from 127.0.0.1:port");
    script.says("send", one.send_to("again", there).await, "5");
    let (said, _) = other.recv_message(100).await;
    script.says("the port", said.unwrap().from.and_then(|from| from.as_socket()) == Some(at), "yes");
    let server = Socket::unix(SOCK_DGRAM).await;
    let (name, own) = (script.path_name("server").await, script.path_name("client").await);
    server.bind(name.clone()).unwrap();
    let client = Socket::unix(SOCK_DGRAM).await;
    script.says("send", client.send_to("x", name.clone()).await, "1");
    script.says("recv", server.recv_message(100).await, "1: x");
    client.bind(own).unwrap();
    script.says("send", client.send_to("x", name).await, "1");
    script.says("recv", server.recv_message(100).await, "1: x from client");
}

async fn an_empty_message_is_a_message(script: &Script) {
    let (one, other) = Socket::couple().await;
    script.says("send", one.send_message("").await, "0");
    script.a_while().await;
    script.says("send", one.send_message("full").await, "4");
    script.says("recv", other.recv_message(100).await, "0:  from 127.0.0.1:port");
    script.says("without room", other.recv_message(0).await, "0:  cut off from 127.0.0.1:port");
    script.says("nothing more", other.recv_message_now(100).await, "ETIMEDOUT");
    let (one, other) = datagrams(script).await;
    script.says("send", one.send_message("").await, "0");
    script.says("recv", other.recv_message(100).await, "0: ");
    script.says("nothing more", other.recv_message_now(100).await, "ETIMEDOUT");
}

async fn a_message_that_is_cut_off_says_so(script: &Script) {
    let (one, other) = Socket::couple().await;
    script.says("send", one.send_message("a long one").await, "10");
    script.says("recv", other.recv_message(4).await, "4: a lo cut off from 127.0.0.1:port");
    let (one, other) = datagrams(script).await;
    script.says("send", one.send_message("a long one").await, "10");
    script.says("send", one.send_message("next").await, "4");
    script.says("recv", other.recv_message(4).await, "4: a lo cut off");
    script.says("recv", other.recv_message(4).await, "4: next");
}

async fn a_look_takes_nothing(script: &Script) {
    let (one, other) = Socket::couple().await;
    script.says("send", one.send_message("hello").await, "5");
    script.says("a look", other.peek_message(2).await, "2: he cut off from 127.0.0.1:port");
    script.says("another", other.peek_message(9).await, "5: hello from 127.0.0.1:port");
    script.says("recv", other.recv_message(9).await, "5: hello from 127.0.0.1:port");
    script.says("nothing more", other.recv_message_now(100).await, "ETIMEDOUT");
}

async fn what_a_socket_was_told_to_report_it_reports(script: &Script) {
    let ((one, _), other) = (Socket::bound().await, Socket::udp().await);
    other.bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).unwrap();
    let there = SocketAddr::new(HERE.ip(), other.address().port());
    let told = [
        (PacketOption::PacketInfo, "packet info"),
        (PacketOption::ReceiveTrafficClass, "traffic class"),
        (PacketOption::ReceiveHopLimit, "hop limit"),
    ];
    for (option, name) in told {
        script.says(name, other.set(Setting::Packet(option, 1)), "ok");
    }
    let with = Ancillary::new().with_traffic_class(0b1010).with_hop_limit(9);
    script.says("send", one.send_with("x", Some(there.into()), with).await, "1");
    script.says(
        "recv",
        other.recv_message(100).await,
        "1: x to 127.0.0.1 class 10 hops 9 from 127.0.0.1:port",
    );
    script.says("its class", one.set(Setting::Packet(PacketOption::TrafficClass, 0b100)), "ok");
    script.says("send", one.send_to("x", there).await, "1");
    script.says(
        "recv",
        other.recv_message(100).await,
        "1: x to 127.0.0.1 class 4 hops 64 from 127.0.0.1:port",
    );
    for (option, name) in told {
        script.says(name, other.set(Setting::Packet(option, 0)), "ok");
    }
    script.says("timestamps", other.set(Setting::Packet(PacketOption::Timestamps, 1)), "ok");
    script.says("send", one.send_to("x", there).await, "1");
    script.says("recv", other.recv_message(100).await, "1: x at a time from 127.0.0.1:port");
}

async fn a_message_comes_from_where_it_was_asked_to(script: &Script) {
    let (other, there) = Socket::bound().await;
    let one = Socket::udp().await;
    for (address, expected) in
        [([127, 0, 0, 9], "1: x from 127.0.0.9:port"), ([0, 0, 0, 0], "1: x from 127.0.0.1:port")]
    {
        let with =
            Ancillary::new().with_packet_info(PacketInfo { address: IpAddr::from(address), interface: 0 });
        script.says("send", one.send_with("x", Some(there.into()), with).await, "1");
        script.says("recv", other.recv_message(100).await, expected);
    }
}

async fn a_message_is_split_and_joined(script: &Script) {
    let (one, other) = Socket::couple().await;
    let with = || Ancillary::new().with_segment_size(3);
    script.says("send", one.send_with("abcabcab", None, with()).await, "8");
    script.a_while().await;
    let mut came = [other.recv(100).await.1, other.recv(100).await.1, other.recv(100).await.1];
    came.sort();
    script.says("recv", came.join(&b' '), "ab abc abc");
    script.says("what is short", one.send_with("abc", None, with()).await, "3");
    script.says("stays whole", other.recv_message(100).await, "3: abc from 127.0.0.1:port");
    script.says("join", other.set(Setting::Packet(PacketOption::Joined, 1)), "ok");
    script.says("send", one.send_with("abcabc", None, with()).await, "6");
    script.a_while().await;
    // Linux 5.10 leaves apart what does not leave the machine.
    let apart = script.is_linux("5.");
    let (said, left) = match apart {
        false => ("6: abcabc of 3 from 127.0.0.1:port", "ETIMEDOUT"),
        true => ("3: abc from 127.0.0.1:port", "3: abc from 127.0.0.1:port"),
    };
    script.says("recv", other.recv_message(100).await, said);
    script.says("the rest", other.recv_message_now(100).await, left);
}

async fn a_message_needs_somebody(script: &Script) {
    script.says("to nobody", Socket::udp().await.send_message("x").await, "EDESTADDRREQ");
    script.says("to nobody", Socket::unix(SOCK_DGRAM).await.send_message("x").await, "ENOTCONN");
    let packets = Socket::unix(SOCK_SEQPACKET).await;
    script.says("without a connection", packets.send_message("x").await, "ENOTCONN");
    script.says("without a connection", packets.recv_message(9).await, "ENOTCONN");
    let no_such = script.path_name("none").await;
    script.says("no such name", Socket::unix(SOCK_DGRAM).await.send_to("x", no_such).await, "ENOENT");
    let port_zero = SocketAddr::new(HERE.ip(), 0);
    script.says("no port", Socket::udp().await.send_to("x", port_zero).await, "EINVAL");
    let of_another = script.abstract_name("other");
    script.says(
        "of another family",
        Socket::udp().await.send_to("x", of_another).await,
        "EAFNOSUPPORT|EINVAL",
    );
}

async fn a_refusal_is_told_to_a_message(script: &Script) {
    let (one, other) = Socket::couple().await;
    script.says("close", other.close().await, "ok");
    script.says("send", one.send_message("x").await, "1");
    script.a_while().await;
    script.says("recv", one.recv_message(1).await, "ECONNREFUSED");
    script.says("recv", one.recv_message_now(1).await, "ETIMEDOUT");
    script.says("send", one.send_message("x").await, "1");
    script.a_while().await;
    script.says("many", one.recv_many(&[1, 1]).await, "ECONNREFUSED");
    script.says("send", one.send_message("x").await, "1");
    script.a_while().await;
    script.says("send", one.send_message("x").await, "ECONNREFUSED");
}

/// How many there is room for is net.unix.max_dgram_qlen.
async fn a_message_that_waits_for_room_is_sent_once(script: &Script) {
    let (client, server) = datagrams(script).await;
    let mut sent = 0;
    let mut send = client.send_message("x");
    while let Ok(outcome) = crate::time::timeout(std::time::Duration::from_millis(20), &mut send).await {
        outcome.0.unwrap();
        sent += 1;
        send = client.send_message("x");
    }
    script.says("some were taken", sent > 0, "yes");
    script.waits("send", &mut send).await;
    script.says("recv", server.recv_message(1).await, "1: x");
    // Other than a send that the ring itself has wait: see `packets`.
    script.says("send", send.await, "1");
    for _ in 0..sent {
        script.says("recv", server.recv_message(1).await, "1: x");
    }
    script.says("nothing more", server.recv_message_now(1).await, "ETIMEDOUT");
}

async fn many_messages_are_received_and_sent_at_once(script: &Script) {
    let (one, other) = datagrams(script).await;
    script.says("send", one.send_many(&["one", "", "three"]).await, "3");
    script.says("recv", other.recv_many(&[100, 100, 2, 100]).await, "one,,th cut off");
    script.says("send", one.send_many(&["four", "five", "six"]).await, "3");
    script.says("recv", other.recv_many(&[100, 100]).await, "four,five");
    let mut receive = Box::pin(other.recv_many(&[100, 100]));
    script.says("the rest", (&mut receive).await, "six");
    let mut receive = other.recv_many(&[100, 100]);
    script.goes_on_and_waits("recv", &mut receive).await;
    script.says("send", one.send_message("late").await, "4");
    script.says("recv", receive.await, "late");
    script.says("none", other.recv_many(&[]).await, "");
    script.says("none", one.send_many(&[]).await, "0");
}

async fn an_error_ends_many_messages(script: &Script) {
    let (one, other) = datagrams(script).await;
    one.set(Setting::SendBuffer(20_000)).unwrap();
    static LONG: [u8; 50_000] = [b'x'; 50_000];
    let long = std::str::from_utf8(&LONG).expect("text");
    script.says("the first is too long", one.send_many(&[long, "y"]).await, "EMSGSIZE");
    script.says("the second is too long", one.send_many(&["y", long, "z"]).await, "1");
    script.says("recv", other.recv_many(&[9, 9]).await, "y");
    script.says("send", one.send_message("no error is left").await, "16");
}

async fn packets_are_messages(script: &Script) {
    let (client, server) = Socket::pair_at(SOCK_SEQPACKET, &script.abstract_name("door")).await;
    script.says("send", client.send_message("one").await, "3");
    script.says("send", client.send_message("two").await, "3");
    script.says("recv", server.recv_message(100).await, "3: one");
    script.says("recv", server.recv_message(2).await, "2: tw cut off");
    script.says("close", client.close().await, "ok");
    script.says("the end", server.recv_message(100).await, "0: ");
}

async fn a_stream_has_no_messages(script: &Script) {
    let (client, server) = Socket::pair_at(SOCK_STREAM, &script.abstract_name("door")).await;
    script.says("nothing", client.send_piece("").await, "0");
    script.says("send", client.send_piece("hello").await, "5");
    script.says("recv", server.recv_piece(2).await, "2: he");
    script.says("without room", server.recv_piece(0).await, "0: ");
    script.says("recv", server.recv_piece(100).await, "3: llo");
    let mut receive = server.recv_piece(100);
    script.goes_on_and_waits("recv", &mut receive).await;
    script.says("send", client.send_piece("lost and found").await, "14");
    script.a_while().await;
    drop(receive);
    script.says("recv", server.recv(4).await, "4: lost");
    script.says("recv", server.recv_piece(100).await, "10:  and found");
    script.says("close", client.close().await, "ok");
    script.says("the end", server.recv_piece(100).await, "0: ");
}

async fn control_data_needs_room(script: &Script) {
    let (one, other) = Socket::couple().await;
    script.says("packet info", other.set(Setting::Packet(PacketOption::PacketInfo, 1)), "ok");
    script.says("send", one.send_message("x").await, "1");
    script.says("recv", other.recv_message_with(100, 0).await, "1: x control cut off from 127.0.0.1:port");
    script.says("send", one.send_message("x").await, "1");
    script.says("recv", other.recv_message(100).await, "1: x to 127.0.0.1 from 127.0.0.1:port");
}

/// Who is connected, and who is bound.
async fn datagrams(script: &Script) -> (Socket, Socket) {
    let name = script.abstract_name("server");
    let (client, server) = (Socket::unix(SOCK_DGRAM).await, Socket::unix(SOCK_DGRAM).await);
    server.bind(name.clone()).unwrap();
    client.connect(name).await.unwrap();
    (client, server)
}

/// What came of a receive, but for its bytes.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) count: usize,
    pub(super) from: Option<SockAddr>,
    control: Ancillary,
    is_cut: bool,
    is_control_cut: bool,
}

impl crate::op::Tells for Said {
    type Message = Said;

    fn of(arrival: crate::op::Arrival) -> std::io::Result<Said> {
        let (is_cut, is_control_cut) = (arrival.is_truncated(), arrival.is_control_truncated());
        let crate::op::Arrival { count, name, control, .. } = arrival;
        Ok(Said { count, from: name, control, is_cut, is_control_cut })
    }
}

/// `5: hello cut off to 127.0.0.1 class 2 hops 64 of 3 from 127.0.0.1:port`, as far as it is told.
impl Outcome for (std::io::Result<Said>, Vec<u8>) {
    fn normal(self) -> String {
        let (said, bytes) = match self {
            (Ok(said), bytes) => (said, bytes),
            (Err(error), _) => return std::io::Result::<()>::Err(error).normal(),
        };
        let mut text = format!("{}: {}", said.count, bytes.escape_ascii());
        let mut add = |told: Option<String>| told.into_iter().for_each(|told| text += &format!(" {told}"));
        add(said.is_cut.then(|| "cut off".to_owned()));
        add(said.is_control_cut.then(|| "control cut off".to_owned()));
        add(said.control.packet_info().map(|info| format!("to {}", info.address)));
        add(said.control.traffic_class().map(|class| format!("class {class}")));
        add(said.control.hop_limit().map(|hops| format!("hops {hops}")));
        add(said.control.segment_size().map(|size| format!("of {size}")));
        add(said.control.timestamp().map(|_| "at a time".to_owned()));
        add(said.from.map(|from| format!("from {}", from.normal())));
        text
    }
}

/// Many: `one,,th cut off`.
impl Outcome for (std::io::Result<Vec<Said>>, Vec<Vec<u8>>) {
    fn normal(self) -> String {
        let (messages, buffers) = match self {
            (Ok(messages), buffers) => (messages, buffers),
            (Err(error), _) => return std::io::Result::<()>::Err(error).normal(),
        };
        let told = messages.iter().zip(&buffers).map(|(said, bytes)| {
            assert_eq!(said.count, bytes.len());
            format!("{}{}", bytes.escape_ascii(), if said.is_cut { " cut off" } else { "" })
        });
        told.collect::<Vec<_>>().join(",")
    }
}
