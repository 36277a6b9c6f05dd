//! Connecting to one of several addresses: the first that answers, and what is told when none does.

mod support;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use annulus::net::{ConnectFailure, TcpListener, TcpSocket, TcpStream};
use annulus::time::{now, timeout};
use support::net::read_to_end;
use support::on_every_driver;
use support::outside::nobody;

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

on_every_driver! {
    of_one_address_the_system_s_own_error_is_told,
    an_address_that_refuses_is_followed_by_the_next_at_once,
    both_versions_are_tried,
    of_several_addresses_each_failure_is_told,
    an_address_that_is_silent_is_followed_by_the_next_soon,
    connecting_within_a_time_connects,
    connecting_within_a_time_tells_who_was_silent,
    connecting_within_a_time_tells_a_refusal_as_it_is,
    connecting_within_a_time_tells_what_became_of_each_address,
    no_time_at_all_is_a_time_out,
    a_connect_that_is_dropped_closes_what_it_opened,
}

/// A listener that answers nobody any more: its queue is full. What fills it stays.
async fn silent() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().await.unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = timeout(100 * MILLI, TcpStream::connect(address)).await {
        queue.push(stream.unwrap());
        assert!(queue.len() < 10, "a queue of none is full at some time");
    }
    (listener, queue)
}

async fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn of_one_address_the_system_s_own_error_is_told() {
    let error = TcpStream::connect([nobody().await]).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
    assert!(ConnectFailure::of(&error).is_none());
}

async fn an_address_that_refuses_is_followed_by_the_next_at_once() {
    let (listener, there) = listening().await;
    let before = now();
    let stream = TcpStream::connect([nobody().await, nobody().await, there]).await.unwrap();
    assert!(now() - before < 200 * MILLI, "{:?}", now() - before);
    assert_eq!(stream.peer_addr().unwrap(), there);
    let (server, _) = listener.accept().await.unwrap();
    drop(stream);
    assert_eq!(read_to_end(&server).await, b"");
}

async fn both_versions_are_tried() {
    let (_listener, there) = listening().await;
    let six = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], nobody().await.port()));
    let stream = TcpStream::connect([six, there]).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), there);
    let nobody = nobody().await;
    let error = TcpStream::connect([nobody, nobody, six]).await.unwrap_err();
    let tried: Vec<_> = ConnectFailure::of(&error).unwrap().attempts().iter().map(|(at, _)| *at).collect();
    assert_eq!(tried, [nobody, six, nobody], "by turns");
}

async fn of_several_addresses_each_failure_is_told() {
    let (one, other) = (nobody().await, nobody().await);
    let error = TcpStream::connect([one, other]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let attempts = ConnectFailure::of(&error).unwrap().attempts();
    assert_eq!(attempts.iter().map(|(address, _)| *address).collect::<Vec<_>>(), [one, other]);
    assert!(attempts.iter().all(|(_, why)| why.raw_os_error() == Some(libc::ECONNREFUSED)));
    let text = error.to_string();
    assert!(text.contains(&one.to_string()) && text.contains(&other.to_string()), "{text}");
}

async fn an_address_that_is_silent_is_followed_by_the_next_soon() {
    let (full, _queue) = silent().await;
    let (_listener, there) = listening().await;
    let before = now();
    let addresses = [full.local_addr().unwrap(), there];
    let stream = TcpStream::connect(addresses).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), there);
    assert!(now() - before >= 250 * MILLI, "{:?}", now() - before);
    assert!(now() - before < 900 * MILLI, "before the silent one is asked again: {:?}", now() - before);
}

async fn connecting_within_a_time_connects() {
    let (listener, there) = listening().await;
    let stream = TcpStream::connect_timeout(there, 20 * SECOND).await.unwrap();
    stream.write_all("in time").await.0.unwrap();
    drop(stream);
    assert_eq!(read_to_end(&listener.accept().await.unwrap().0).await, b"in time");
    let stream = TcpStream::connect_timeout([nobody().await, there], Duration::MAX).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), there);
}

async fn connecting_within_a_time_tells_who_was_silent() {
    let (full, _queue) = silent().await;
    let address = full.local_addr().unwrap();
    let error = TcpStream::connect_timeout(address, 30 * MILLI).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("no answer within 30ms"), "{text}");
}

async fn connecting_within_a_time_tells_a_refusal_as_it_is() {
    let error = TcpStream::connect_timeout(nobody().await, 20 * SECOND).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
}

async fn connecting_within_a_time_tells_what_became_of_each_address() {
    let (full, _queue) = silent().await;
    let (refusing, silent) = (nobody().await, full.local_addr().unwrap());
    let addresses = [refusing, silent, silent, silent];
    let error = TcpStream::connect_timeout(addresses, 300 * MILLI).await.unwrap_err();
    // The refusal tells more.
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let attempts = ConnectFailure::of(&error).unwrap().attempts();
    let told: Vec<_> = attempts.iter().map(|(_, why)| why.to_string()).collect();
    assert!(told[0].contains("refused"), "{told:?}");
    assert!(told[1].starts_with("no answer") && told[3].starts_with("not tried"), "{told:?}");
}

async fn no_time_at_all_is_a_time_out() {
    let (full, _queue) = silent().await;
    let address = full.local_addr().unwrap();
    let error = TcpStream::connect_timeout(address, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

async fn a_connect_that_is_dropped_closes_what_it_opened() {
    let (full, queue) = silent().await;
    let address = full.local_addr().unwrap();
    // Two are under way when it ends.
    let connecting = TcpStream::connect([address; 3]);
    assert!(timeout(300 * MILLI, connecting).await.is_err());
    // What filled the queue is taken out of it, and then nobody comes.
    for _ in &queue {
        full.accept().await.unwrap();
    }
    assert!(timeout(1500 * MILLI, full.accept()).await.is_err(), "an attempt was left behind");
}

#[cfg(feature = "sim")]
mod worlds {
    use annulus::sim::{self, Host, World};
    use annulus::time::sleep;

    use super::*;

    /// Accepts, and keeps what it has accepted until the other end ends it.
    async fn accept() {
        let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            drop(annulus::spawn(async move { read_to_end(&stream).await }));
        }
    }

    struct Net {
        world: World,
        client: Host,
        servers: Vec<Host>,
    }

    /// A client, and so many servers, all of whom are a millisecond away.
    fn net(servers: usize) -> Net {
        let world = World::new(7);
        let client = world.host("client", sim::idle);
        let servers = (0..servers).map(|number| world.host(&format!("server {number}"), accept)).collect();
        world.links().latency(MILLI..MILLI + MILLI / 1000);
        world.run_for(SECOND);
        Net { world, client, servers }
    }

    impl Net {
        fn addresses(&self) -> Vec<SocketAddr> {
            self.servers.iter().map(|server| SocketAddr::new(server.address(), 80)).collect()
        }

        /// Who was connected to, and after how long.
        fn connect(&self) -> (SocketAddr, Duration) {
            let addresses = self.addresses();
            let connect = async move {
                let before = now();
                let stream = TcpStream::connect(addresses).await.unwrap();
                (stream.peer_addr().unwrap(), now() - before)
            };
            self.client.run(connect).unwrap()
        }
    }

    #[test]
    fn an_address_that_leads_nowhere_costs_a_quarter_of_a_second() {
        let net = net(3);
        net.world.link(&net.client, &net.servers[0]).cut();
        net.world.link(&net.client, &net.servers[1]).cut();
        let (peer, span) = net.connect();
        assert_eq!(peer, net.addresses()[2]);
        assert!(span >= 500 * MILLI && span < 510 * MILLI, "{span:?}");
    }

    #[test]
    fn an_address_that_refuses_costs_its_answer() {
        let net = net(3);
        net.servers[0].kill();
        net.servers[1].kill();
        let (peer, span) = net.connect();
        assert_eq!(peer, net.addresses()[2]);
        assert!(span >= 6 * MILLI && span < 8 * MILLI, "three ways there and back: {span:?}");
    }

    #[test]
    fn who_answers_first_is_taken_though_it_was_asked_first() {
        let net = net(2);
        net.world.link(&net.client, &net.servers[0]).latency(200 * MILLI..201 * MILLI);
        net.world.link(&net.client, &net.servers[1]).latency(100 * MILLI..101 * MILLI);
        let (peer, span) = net.connect();
        assert_eq!(peer, net.addresses()[0], "at 400 ms, and the other at 450");
        assert!(span >= 400 * MILLI && span < 410 * MILLI, "{span:?}");
    }

    #[test]
    fn who_answers_first_is_taken_though_it_was_asked_later_and_the_other_is_closed() {
        let net = net(2);
        net.world.link(&net.client, &net.servers[0]).latency(300 * MILLI..301 * MILLI);
        let (peer, span) = net.connect();
        assert_eq!(peer, net.addresses()[1]);
        assert!(span >= 250 * MILLI && span < 260 * MILLI, "{span:?}");
        net.world.run_for(10 * SECOND);
        assert_eq!(net.client.descriptors(), 0);
        assert_eq!(
            net.servers.iter().map(Host::descriptors).collect::<Vec<_>>(),
            [1, 1],
            "only those that listen"
        );
    }

    #[test]
    fn where_nobody_answers_it_ends_when_the_last_attempt_does() {
        let net = net(3);
        for server in &net.servers {
            net.world.link(&net.client, server).cut();
        }
        let addresses = net.addresses();
        let error = net.client.run(async move { TcpStream::connect(addresses).await }).unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(ConnectFailure::of(&error).unwrap().attempts().len(), 3);
        let (begun, ended) = (SECOND, net.world.now());
        assert!(ended - begun > 130 * SECOND && ended - begun < 133 * SECOND, "side by side: {ended:?}");
    }

    #[test]
    fn the_time_counts_for_all_addresses_together() {
        let net = net(3);
        for server in &net.servers {
            net.world.link(&net.client, server).cut();
        }
        let addresses = net.addresses();
        let connect = async move {
            let before = now();
            let error = TcpStream::connect_timeout(addresses, 400 * MILLI).await.unwrap_err();
            (error, now() - before)
        };
        let (error, span) = net.client.run(connect).unwrap();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(span >= 400 * MILLI && span < 402 * MILLI, "{span:?}");
        net.world.run_for(10 * SECOND);
        assert_eq!(net.client.descriptors(), 0, "and all attempts are closed");
    }

    #[test]
    fn a_server_that_comes_back_is_found() {
        let net = net(2);
        let addresses = net.addresses();
        net.servers[0].crash();
        net.servers[1].crash();
        let connecting = net.client.spawn(async move { TcpStream::connect(addresses).await });
        net.world.run_for(2 * SECOND);
        net.servers[1].restart();
        net.world.run_until(|| connecting.is_finished()).unwrap();
        let stream = net.client.run(connecting).unwrap().unwrap().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), net.addresses()[1]);
        net.client.run(async { sleep(MILLI).await }).unwrap();
    }
}
