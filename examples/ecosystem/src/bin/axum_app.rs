//! axum on annulus: notes as JSON, server-sent events, a chat by WebSocket, files, by HTTP/1 and HTTP/2, with TLS or without.
//!
//! ```sh
//! cargo run --bin axum_app -- 127.0.0.1:3000 --files .
//! cargo run --bin axum_app -- 127.0.0.1:3443 --cert chain.pem --key key.pem
//! curl -d '{"text":"tea"}' -H 'content-type: application/json' http://127.0.0.1:3000/api/notes
//! curl -N http://127.0.0.1:3000/events
//! ```
//! The chat is at `/chat`: open it twice. SIGINT and SIGTERM end it in order. `--beat 15` is after how many seconds of silence
//! something is said on streams that are kept open.

use std::io::{Error, ErrorKind, Result};
use std::rc::Rc;
use std::time::Duration;

use annulus::fs::Dir;
use annulus::net::TcpListener;
use annulus::signal::{SignalKind, signal};
use annulus::time::timeout;
use annulus::tls::{Certificate, TlsAcceptor};
use annulus::{http, select};
use annulus_ecosystem::web::{App, router};

/// What was asked for on the command line.
struct Asked {
    address: String,
    files: Option<String>,
    certificate: Option<(String, String)>,
    beat: Duration,
}

impl Asked {
    fn of(mut arguments: impl Iterator<Item = String>) -> Option<Asked> {
        let address = arguments.next()?;
        let (mut files, mut cert, mut key, mut beat) = (None, None, None, 15.0);
        while let Some(option) = arguments.next() {
            let value = arguments.next()?;
            match option.as_str() {
                "--files" => files = Some(value),
                "--cert" => cert = Some(value),
                "--key" => key = Some(value),
                "--beat" => beat = value.parse().ok()?,
                _ => return None,
            }
        }
        let certificate = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => return None,
        };
        Some(Asked { address, files, certificate, beat: Duration::try_from_secs_f64(beat).ok()? })
    }
}

fn main() -> Result<()> {
    let Some(asked) = Asked::of(std::env::args().skip(1)) else {
        let usage = "usage: axum_app ADDRESS [--files FOLDER] [--cert FILE --key FILE] [--beat SECONDS]";
        return Err(Error::new(ErrorKind::InvalidInput, usage));
    };
    annulus::run(serve(asked))?
}

async fn serve(asked: Asked) -> Result<()> {
    let files = match &asked.files {
        Some(folder) => Some(Dir::open(folder).await?),
        None => None,
    };
    let app = App::new(files, asked.beat);
    let listener = TcpListener::bind(asked.address.as_str()).await?;
    let address = listener.local_addr()?;

    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stops = Rc::clone(&app);
    let stop = async move {
        select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        println!("stopping");
        // Streams of events would go on for ever, and chats are the program's own by now.
        stops.stop.cancel();
    };

    let mut serve = http::serve(listener, router(&app))
        .graceful(stop)
        .drain_limit(Duration::from_secs(10))
        .on_error(|error| eprintln!("a connection: {error}"));
    let mut scheme = "http";
    if let Some((cert, key)) = &asked.certificate {
        let certificate = Certificate::from_pem_files(cert, key)?;
        serve = serve.tls(TlsAcceptor::builder(certificate).alpn(["h2", "http/1.1"]).build()?);
        scheme = "https";
    }
    println!("listening on {scheme}://{address}");
    let handle = serve.handle();
    serve.await?;
    let left = timeout(Duration::from_secs(10), app.chat.is_empty()).await;
    let counts = handle.counts();
    println!("ended: {} requests over {} connections", counts.requests, counts.accepted);
    left.map_err(|_| Error::new(ErrorKind::TimedOut, "some who chat did not go within 10 s"))
}
