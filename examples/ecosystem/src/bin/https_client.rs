//! A small curl: gets what URLs name, all at the same time, and says of each status, protocol, size and time.
//!
//! ```sh
//! cargo run --bin https_client -- https://example.org/ https://example.com/
//! cargo run --bin https_client -- --cacert root.pem https://localhost:4433/a https://localhost:4433/b
//! cargo run --bin https_client -- --http1.1 --max-time 5 http://127.0.0.1:8000/
//! cargo run --bin https_client -- --http2-prior-knowledge http://127.0.0.1:8080/
//! ```
//!
//! Whom the system trusts is trusted, or with `--cacert` who is in that file, alone. It ends with 1 if something could not be had.

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use annulus::http::Client;
use annulus::tls::{Roots, TlsConnector};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

const USAGE: &str =
    "usage: https_client [--cacert FILE] [--http1.1 | --http2-prior-knowledge] [--max-time SECONDS] URL...";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (mut builder, mut urls) = (Client::builder(), Vec::new());
    let mut most = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--cacert" => {
                let roots = Roots::from_pem_file(arguments.next().ok_or(USAGE)?)?;
                builder = builder.tls(TlsConnector::builder().roots(roots).build()?);
            }
            "--http1.1" => builder = builder.http1_only(),
            "--http2-prior-knowledge" => builder = builder.http2_only(),
            "--max-time" => most = Some(Duration::from_secs_f64(arguments.next().ok_or(USAGE)?.parse()?)),
            option if option.starts_with('-') => return Err(USAGE.into()),
            _ => urls.push(argument),
        }
    }
    if urls.is_empty() {
        return Err(USAGE.into());
    }
    let code = annulus::run(async move {
        let client = &builder.build();
        let mut code = ExitCode::SUCCESS;
        let mut under_way: FuturesUnordered<_> =
            urls.iter().map(|url| async move { (url, bounded(client, url, most).await) }).collect();
        while let Some((url, got)) = under_way.next().await {
            match got {
                Ok(line) => println!("{line} {url}"),
                Err(error) => {
                    eprintln!("failed: {error}");
                    code = ExitCode::FAILURE;
                }
            }
        }
        let counts = client.counts();
        println!("{} requests over {} connections", counts.requests, counts.connections);
        code
    })?;
    Ok(code)
}

async fn bounded(client: &Client, url: &str, most: Option<Duration>) -> Result<String, Box<dyn Error>> {
    let Some(most) = most else { return got(client, url).await };
    match annulus::time::timeout(most, got(client, url)).await {
        Ok(got) => got,
        Err(_) => Err(format!("{url}: not all of it came within {most:?} (--max-time)").into()),
    }
}

/// What there is to say of it. Its bytes are counted, not kept.
async fn got(client: &Client, url: &str) -> Result<String, Box<dyn Error>> {
    let begun = Instant::now();
    let response = client.get(url).await?;
    let (status, version) = (response.status().as_u16(), response.version());
    let (mut body, mut size) = (response.into_body(), 0);
    while let Some(chunk) = body.chunk().await? {
        size += chunk.len();
    }
    Ok(format!("{status} {version:?} {size} bytes {:.1} ms", begun.elapsed().as_secs_f64() * 1e3))
}
