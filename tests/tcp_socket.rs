//! A TCP socket before it is a connection or a listener: bound first, shared on purpose, and what is said when it cannot be.

mod support;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use annulus::Builder;
use annulus::net::{TcpListener, TcpSocket, TcpStream};
use annulus::time::timeout;
use support::net::{pair, read_to_end};
use support::on_every_driver;
use support::outside::nobody;

on_every_driver! {
    a_socket_that_was_bound_connects_from_there,
    a_socket_listens_where_it_was_bound,
    a_socket_that_was_not_bound_listens_somewhere,
    a_fresh_socket_has_no_address,
    a_socket_is_bound_once,
    binding_says_what_to_do,
    listening_where_somebody_listens_is_refused,
    a_refused_connection_says_so,
    listeners_that_share_a_port_share_the_connections,
    version_six_takes_version_four_along,
    version_six_alone_does_not,
    a_socket_of_another_version_is_refused,
    a_connect_that_is_dropped_is_forgotten,
    a_server_is_started_again_at_once,
    a_socket_that_does_nothing_is_closed,
}

const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn bound() -> TcpSocket {
    let socket = TcpSocket::new_v4().await.unwrap();
    socket.bind(HERE).unwrap();
    socket
}

async fn a_socket_that_was_bound_connects_from_there() {
    let listener = TcpListener::bind(HERE).await.unwrap();
    let socket = TcpSocket::new_v4().await.unwrap();
    socket.bind("127.0.0.7:0".parse().unwrap()).unwrap();
    let name = socket.local_addr().unwrap();
    let stream = socket.connect(listener.local_addr().unwrap()).await.unwrap();
    let (_, peer) = listener.accept().await.unwrap();
    assert_eq!((peer, stream.local_addr().unwrap()), (name, name));
}

async fn a_socket_listens_where_it_was_bound() {
    let socket = bound().await;
    let name = socket.local_addr().unwrap();
    assert_ne!(name.port(), 0);
    let listener = socket.listen(2).unwrap();
    assert_eq!(listener.local_addr().unwrap(), name);
    let client = TcpStream::connect(name).await.unwrap();
    client.write_all("hello").await.0.unwrap();
    drop(client);
    assert_eq!(read_to_end(&listener.accept().await.unwrap().0).await, b"hello");
}

async fn a_socket_that_was_not_bound_listens_somewhere() {
    let listener = TcpSocket::new_v4().await.unwrap().listen(2).unwrap();
    let port = listener.local_addr().unwrap().port();
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
}

async fn a_fresh_socket_has_no_address() {
    let socket = TcpSocket::new_v4().await.unwrap();
    assert_eq!(socket.local_addr().unwrap(), "0.0.0.0:0".parse().unwrap());
    assert!(format!("{socket:?}").contains("0.0.0.0:0"));
}

async fn a_socket_is_bound_once() {
    let socket = bound().await;
    assert_eq!(socket.bind(HERE).unwrap_err().raw_os_error(), Some(libc::EINVAL));
}

async fn binding_says_what_to_do() {
    let listener = TcpListener::bind(HERE).await.unwrap();
    let taken = listener.local_addr().unwrap();
    let error = TcpSocket::new_v4().await.unwrap().bind(taken).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains("another port"), "{error}");
    let foreign = "203.0.113.7:0".parse().unwrap();
    let error = TcpSocket::new_v4().await.unwrap().bind(foreign).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    assert!(error.to_string().contains("no interface"), "{error}");
}

async fn listening_where_somebody_listens_is_refused() {
    let (one, other) = (TcpSocket::new_v4().await.unwrap(), TcpSocket::new_v4().await.unwrap());
    one.set_reuseaddr(true).unwrap();
    other.set_reuseaddr(true).unwrap();
    one.bind(HERE).unwrap();
    let name = one.local_addr().unwrap();
    other.bind(name).unwrap();
    let _listener = one.listen(2).unwrap();
    let error = other.listen(2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(text.contains(&name.to_string()) && text.contains("set_reuseport"), "{text}");
}

async fn a_refused_connection_says_so() {
    let error = TcpSocket::new_v4().await.unwrap().connect(nobody().await).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
}

async fn listeners_that_share_a_port_share_the_connections() {
    const CLIENTS: usize = 40;
    let mut address = HERE;
    let mut listeners = Vec::new();
    for _ in 0..2 {
        let socket = TcpSocket::new_v4().await.unwrap();
        socket.set_reuseport(true).unwrap();
        socket.bind(address).unwrap();
        address = socket.local_addr().unwrap();
        listeners.push(Rc::new(socket.listen(64).unwrap()));
    }
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(TcpStream::connect(address).await.unwrap());
    }
    let counts: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            annulus::spawn(async move {
                let mut count = 0;
                while timeout(Duration::from_millis(50), listener.accept()).await.is_ok() {
                    count += 1;
                }
                count
            })
        })
        .collect();
    let mut sum = 0;
    for count in counts {
        sum += count.await.unwrap();
    }
    assert_eq!(sum, CLIENTS, "each was accepted by one of them");
}

async fn six(only: bool) -> Option<TcpListener> {
    let socket = match TcpSocket::new_v6().await {
        Ok(socket) => socket,
        Err(error) => {
            support::skipped("version six", &error.to_string());
            return None;
        }
    };
    socket.set_only_v6(only).unwrap();
    socket.bind("[::]:0".parse().unwrap()).unwrap();
    Some(socket.listen(4).unwrap())
}

async fn version_six_takes_version_four_along() {
    let Some(listener) = six(false).await else { return };
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let (_, peer) = listener.accept().await.unwrap();
    assert_eq!(peer.ip().to_canonical(), Ipv4Addr::LOCALHOST);
    assert_eq!(peer.port(), client.local_addr().unwrap().port());
}

async fn version_six_alone_does_not() {
    let Some(listener) = six(true).await else { return };
    let port = listener.local_addr().unwrap().port();
    let error = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

async fn a_socket_of_another_version_is_refused() {
    let listener = TcpListener::bind(HERE).await.unwrap();
    let Ok(socket) = TcpSocket::new_v6().await else { return };
    assert!(socket.bind(HERE).is_err());
    let error = socket.connect(listener.local_addr().unwrap()).await.unwrap_err();
    assert!(error.raw_os_error().is_some(), "{error}");
    let socket = TcpSocket::new_v4().await.unwrap();
    let error = socket.bind("[::1]:0".parse().unwrap()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EAFNOSUPPORT));
}

async fn a_connect_that_is_dropped_is_forgotten() {
    let listener = TcpListener::bind(HERE).await.unwrap();
    let name = listener.local_addr().unwrap();
    for _ in 0..20 {
        let mut connecting = Box::pin(TcpSocket::new_v4().await.unwrap().connect(name));
        drop(futures_util::poll!(&mut connecting));
        drop(connecting);
    }
    let client = TcpStream::connect(name).await.unwrap();
    client.write_all("I stay").await.0.unwrap();
    drop(client);
    loop {
        // Those that came all the same are at their end.
        let (server, _) = listener.accept().await.unwrap();
        let (result, got) = server.read(Vec::with_capacity(16)).await;
        if matches!(result, Ok(count) if count > 0) {
            return assert_eq!(got, b"I stay");
        }
    }
}

async fn a_server_is_started_again_at_once() {
    let listener = TcpListener::bind(HERE).await.unwrap();
    let name = listener.local_addr().unwrap();
    let client = TcpStream::connect(name).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    // The end that closes first keeps the port for a while.
    server.close().await.unwrap();
    assert_eq!(read_to_end(&client).await, b"");
    client.close().await.unwrap();
    listener.close().await.unwrap();
    let socket = TcpSocket::new_v4().await.unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(name).unwrap();
    socket.listen(1).unwrap();
}

fn a_socket_that_does_nothing_is_closed(builder: Builder) {
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            let socket = bound().await;
            let name = socket.local_addr().unwrap();
            drop(socket);
            // Its name is free again, once the loop has come to close it.
            annulus::time::sleep(Duration::from_millis(20)).await;
            let again = TcpSocket::new_v4().await.unwrap();
            again.bind(name).unwrap();
            drop(pair().await);
        })
        .unwrap();
    assert_eq!(runtime.shutdown(Duration::from_secs(20)), 0);
}
