//! Addresses as users write them, and names as the resolver knows them.

mod support;

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::mpsc;
use std::time::Duration;

use annulus::Builder;
use annulus::net::{TcpListener, TcpStream, ToSocketAddrs, lookup_host};
use annulus::time::timeout;
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    every_way_to_write_an_address_means_the_same,
    several_addresses_are_kept_in_their_order,
    a_zone_is_a_part_of_an_address,
    a_text_without_a_host_says_what_to_write,
    what_is_no_address_says_what_would_be,
    nothing_is_an_error,
    literals_are_read_while_all_helpers_are_busy,
}

on_real_drivers! {
    because "it asks the machine's resolver":
        a_name_has_addresses,
        a_zone_may_have_a_name,
        an_unknown_name_says_what_to_look_at,
        a_look_up_waits_no_longer_than_it_is_given,
        a_look_up_that_nobody_waits_for_is_taken_back;
}

async fn found(target: impl ToSocketAddrs) -> Vec<SocketAddr> {
    lookup_host(target).await.unwrap().collect()
}

async fn every_way_to_write_an_address_means_the_same() {
    let four: SocketAddr = "127.0.0.1:80".parse().unwrap();
    let ip = Ipv4Addr::LOCALHOST;
    for addresses in [
        found(four).await,
        found(SocketAddrV4::new(ip, 80)).await,
        found((IpAddr::V4(ip), 80)).await,
        found((ip, 80)).await,
        found("127.0.0.1:80").await,
        found(String::from("127.0.0.1:80")).await,
        found(&String::from("127.0.0.1:80")).await,
        found(("127.0.0.1", 80)).await,
        found((String::from("127.0.0.1"), 80)).await,
        found([four]).await,
        found(vec![four]).await,
        found(&[four][..]).await,
        found(&&[four]).await,
    ] {
        assert_eq!(addresses, [four]);
    }
    let six: SocketAddr = "[::1]:80".parse().unwrap();
    for addresses in [
        found(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0, 0)).await,
        found((Ipv6Addr::LOCALHOST, 80)).await,
        found("[::1]:80").await,
        found(("::1", 80)).await,
    ] {
        assert_eq!(addresses, [six]);
    }
}

async fn several_addresses_are_kept_in_their_order() {
    let addresses: Vec<SocketAddr> =
        ["127.0.0.2:80", "[::1]:80", "127.0.0.1:80"].iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(found(&addresses).await, addresses);
}

async fn a_zone_is_a_part_of_an_address() {
    let address = SocketAddrV6::new("fe80::1".parse().unwrap(), 80, 0, 7);
    assert_eq!(found("[fe80::1%7]:80").await, [SocketAddr::V6(address)]);
    assert_eq!(found(("fe80::1%7", 80)).await, [SocketAddr::V6(address)]);
}

async fn a_text_without_a_host_says_what_to_write() {
    for error in [
        TcpListener::bind(":8080").await.unwrap_err(),
        TcpListener::bind(("", 8080)).await.unwrap_err(),
        TcpListener::bind("[]:8080").await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("0.0.0.0") && error.to_string().contains("8080"), "{error}");
    }
}

async fn what_is_no_address_says_what_would_be() {
    for text in ["", "localhost", "localhost:", "localhost:http", "[::1]", "1.2.3.4:70000"] {
        let error = lookup_host(text).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text:?}");
        assert!(error.to_string().contains("HOST:PORT"), "{error}");
    }
}

async fn nothing_is_an_error() {
    assert_eq!(lookup_host(Vec::new()).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

fn literals_are_read_while_all_helpers_are_busy(builder: Builder) {
    let runtime = builder.helpers_max(1).build().unwrap();
    runtime
        .run(async {
            let (end, ended) = mpsc::channel::<()>();
            // In a simulated world a helper's work is done before the next thing happens.
            let busy =
                (!support::is_simulated()).then(|| annulus::spawn_blocking(move || ended.recv().is_err()));
            let listener =
                timeout(Duration::from_secs(5), TcpListener::bind("127.0.0.1:0")).await.unwrap().unwrap();
            let address = listener.local_addr().unwrap().to_string();
            timeout(Duration::from_secs(5), TcpStream::connect(&address)).await.unwrap().unwrap();
            drop(end);
            if let Some(busy) = busy {
                busy.await.unwrap();
            }
        })
        .unwrap();
}

async fn a_name_has_addresses() {
    for addresses in [found("localhost:80").await, found(("localhost", 80)).await] {
        assert!(!addresses.is_empty());
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
    }
}

async fn a_zone_may_have_a_name() {
    let addresses = found("[fe80::1%lo]:80").await;
    assert!(matches!(addresses[..], [SocketAddr::V6(address)] if address.scope_id() > 0), "{addresses:?}");
}

async fn an_unknown_name_says_what_to_look_at() {
    // No name server is asked for these.
    for name in ["no such host", "two..dots"] {
        let error = lookup_host((name, 80)).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(name) && text.contains("/etc/resolv.conf"), "{text}");
        let error = TcpStream::connect(format!("{name}:80")).await.unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    let error = lookup_host(("zero\0", 80)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// With the one helper busy until the end is dropped.
fn with_a_busy_helper(builder: Builder, body: impl AsyncFnOnce()) {
    let runtime = builder.helpers_max(1).build().unwrap();
    runtime
        .run(async {
            let (end, ended) = mpsc::channel::<()>();
            let busy = annulus::spawn_blocking(move || ended.recv().is_err());
            body().await;
            drop(end);
            busy.await.unwrap();
        })
        .unwrap();
    assert_eq!(runtime.shutdown(Duration::from_secs(20)), 0, "nothing is leaked");
}

fn a_look_up_waits_no_longer_than_it_is_given(builder: Builder) {
    with_a_busy_helper(builder, async || {
        let span = Duration::from_millis(20);
        assert!(timeout(span, lookup_host("localhost:80")).await.is_err());
        let error = TcpStream::connect_timeout("localhost:80", span).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("not resolved within 20ms"), "{error}");
    });
}

fn a_look_up_that_nobody_waits_for_is_taken_back(builder: Builder) {
    with_a_busy_helper(builder, async || {
        let before = annulus::Runtime::try_current().unwrap().metrics().in_flight;
        let looked = Cell::new(0);
        for _ in 0..10 {
            let look_up = timeout(Duration::from_millis(1), lookup_host("localhost:80")).await;
            looked.set(looked.get() + usize::from(look_up.is_ok()));
        }
        annulus::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(looked.get(), 0);
        assert_eq!(annulus::Runtime::try_current().unwrap().metrics().in_flight, before);
    });
}
