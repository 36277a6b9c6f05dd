//! A reverse proxy: HTTP/1 and HTTP/2 in, HTTP/1 out over connections that are kept, to the upstreams in turn as far as they are healthy.
//!
//! ```sh
//! python3 -m http.server 9001 --bind 127.0.0.1 &
//! python3 -m http.server 9002 --bind 127.0.0.1 &
//! cargo run --bin reverse_proxy -- --listen 127.0.0.1:8080 127.0.0.1:9001 127.0.0.1:9002
//! curl -i http://127.0.0.1:8080/
//! curl -i --http2-prior-knowledge http://127.0.0.1:8080/
//! ```
//!
//! Each upstream is asked for `--health` (`/`) each second, and put aside when it does not answer, or when three requests in a row fail. A request
//! of which no upstream has seen anything, or which does no harm twice and has no body, goes to another one when one fails. An upstream that has not
//! begun to answer after `--timeout-ms` (5000) is a 504, none that is healthy a 503, none that could answer a 502. Bodies are not gathered.

use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use annulus::http;
use annulus::net::TcpListener;
use annulus_ecosystem::proxy::Proxy;

const USAGE: &str = "usage: reverse_proxy [--listen ADDRESS] [--timeout-ms N] [--health PATH] UPSTREAM...";

fn main() -> Result<(), Box<dyn Error>> {
    let (mut listen, mut timeout, mut health) =
        ("127.0.0.1:8080".to_owned(), Duration::from_secs(5), "/".to_owned());
    let mut upstreams = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(USAGE);
        match &*argument {
            "--listen" => listen = value()?,
            "--timeout-ms" => timeout = Duration::from_millis(value()?.parse()?),
            "--health" => health = value()?,
            option if option.starts_with('-') => return Err(USAGE.into()),
            _ => upstreams.push(argument),
        }
    }
    if upstreams.is_empty() {
        return Err(USAGE.into());
    }
    annulus::run(async move {
        let listener = TcpListener::bind(listen).await?;
        println!("listening on {}", listener.local_addr()?);
        let proxy = Rc::new(Proxy::new(&upstreams, timeout, &health));
        let make = move |client: &http::Peer| {
            let (proxy, peer) = (Rc::clone(&proxy), client.peer());
            http::service_fn(move |request| {
                let proxy = Rc::clone(&proxy);
                async move { proxy.answer(request, peer).await }
            })
        };
        // The proxy bounds what it waits for by itself.
        let serve = http::serve_with(listener, make).request_timeout(None);
        serve.graceful(async { drop(annulus::signal::ctrl_c().await) }).await?;
        Ok(())
    })?
}
