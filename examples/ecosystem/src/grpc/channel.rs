//! A channel to a server: one HTTP/2 connection, as the tower service that tonic's clients ask for. Nothing in it is `Send`, nor need be.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use annulus::hyper::{LocalExecutor, Timer};
use annulus::net::TcpStream;
use annulus::spawn;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::http::{Request, Response};
use tonic::body::Body;
use tower_service::Service;

/// A connection to a server, shared by its clones. All calls go at the same time.
#[derive(Clone)]
pub struct Channel(SendRequest<Body>);

impl Channel {
    /// Connects, by TCP and without TLS.
    ///
    /// # Errors
    /// That nobody listens there, or speaks no HTTP/2.
    pub async fn connect(address: &str) -> io::Result<Channel> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let mut builder = Builder::new(LocalExecutor);
        let shaken = builder.timer(Timer).handshake(tcp.into_poll()).await;
        let (sender, connection) = shaken.map_err(io::Error::other)?;
        drop(spawn(async move {
            // Whoever waits for an answer is told, too.
            if let Err(error) = connection.await {
                eprintln!("the connection ended: {error}");
            }
        }));
        Ok(Channel(sender))
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, hyper::Error>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
