//! Connected streams.

use std::io::ErrorKind;

use annulus::net::{TcpListener, TcpStream};

/// Both ends of a connection, on the running loop.
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = annulus::spawn(TcpStream::connect(address));
    let (server, _) = listener.accept().await.unwrap();
    (client.await.unwrap().unwrap(), server)
}

/// An end on the running loop, and one of the standard library's.
pub(crate) async fn with_std_peer() -> (TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (stream, listener.accept().unwrap().0)
}

/// Closes a connection so that the other end is told ECONNRESET.
pub(crate) fn reset(peer: std::net::TcpStream) {
    let socket = socket2::Socket::from(peer);
    socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(socket);
}

/// Reads until the end.
pub(crate) async fn read_to_end(stream: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let (result, filled) = stream.read(buffer).await;
        match result {
            Ok(0) => return all,
            Ok(_) => all.extend_from_slice(&filled),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}"),
        }
        buffer = filled;
    }
}
