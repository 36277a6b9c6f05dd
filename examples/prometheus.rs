//! An echo server whose numbers Prometheus can read: `/metrics` is served by the same loop.
//!
//! ```sh
//! cargo run --release --features http-serve,metrics --example prometheus -- --addr 127.0.0.1:7007 --metrics 127.0.0.1:9100
//! printf 'hello\n' | nc -N 127.0.0.1 7007
//! curl http://127.0.0.1:9100/metrics
//! ```
//!
//! Nothing is exported until somebody asks: each answer has the numbers of its moment. A program of several loops, or one that pushes
//! its numbers, has each loop export by itself instead: `annulus::metrics::every`.

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::rc::Rc;

use annulus::http::{self, Response};
use annulus::metrics::Exporter;
use annulus::net::{TcpListener, TcpStream};
use annulus::{Driver, Runtime, spawn};
use clap::Parser;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Sends back what it receives, and says how that goes.
#[derive(Parser)]
struct Arguments {
    /// Where to echo.
    #[arg(long, default_value = "127.0.0.1:7007")]
    addr: String,
    /// Where Prometheus asks, by /metrics.
    #[arg(long, default_value = "127.0.0.1:9100")]
    metrics: String,
    /// auto, uring or readiness.
    #[arg(long, default_value_t = Driver::Auto)]
    driver: Driver,
}

/// From a microsecond to eight seconds, four times as long each. The loop's own buckets are of powers of two.
const SECONDS: [f64; 12] = [1e-6, 4e-6, 16e-6, 64e-6, 256e-6, 1e-3, 4e-3, 16e-3, 64e-3, 256e-3, 1.0, 8.0];
const NUMBERS: [f64; 9] = [0.0, 1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0];

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let prometheus = recorder().map_err(io::Error::other)?;
    annulus::metrics::describe();
    ::metrics::describe_counter!("echo_connections_total", "connections that were let in");

    let runtime = Runtime::builder().driver(arguments.driver).build()?;
    runtime.run(async {
        let listener = TcpListener::bind(arguments.addr).await?;
        let asked = TcpListener::bind(arguments.metrics).await?;
        let driver = runtime.driver();
        eprintln!(
            "echoing at {}, metrics at http://{}/metrics ({driver})",
            listener.local_addr()?,
            asked.local_addr()?
        );
        drop(spawn(answer(asked, prometheus)));

        let mut incoming = listener.incoming();
        while let Some(connection) = incoming.next().await {
            // One that says that descriptors are used up, for example: the next one comes when there may be some again.
            let Ok((stream, peer)) = connection.inspect_err(|error| eprintln!("accept: {error}")) else {
                continue;
            };
            // A number of the program's own, beside those of the loop.
            ::metrics::counter!("echo_connections_total").increment(1);
            drop(spawn(async move {
                if let Err(error) = echo(stream).await {
                    eprintln!("{peer}: {error}");
                }
            }));
        }
        Ok(())
    })?
}

/// Histograms as Prometheus adds them up. Without buckets the exporter would make summaries of them, each of one process alone.
fn recorder() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Prefix("annulus_loop_".to_owned()), &NUMBERS)?
        .install_recorder()
}

/// Answers Prometheus.
async fn answer(listener: TcpListener, prometheus: PrometheusHandle) -> io::Result<()> {
    let exporter = Rc::new(RefCell::new(Exporter::new().name("echo")));
    let service = http::service_fn(move |request| {
        let (exporter, prometheus) = (Rc::clone(&exporter), prometheus.clone());
        async move {
            let mut answer = Response::builder();
            let text = match request.uri().path() {
                "/metrics" => {
                    if let Some(current) = Runtime::try_current() {
                        exporter.borrow_mut().export(&current.metrics(), &current.operations());
                    }
                    prometheus.run_upkeep();
                    answer = answer.header("content-type", "text/plain; version=0.0.4; charset=utf-8");
                    prometheus.render()
                }
                _ => {
                    answer = answer.status(404);
                    "the numbers are at /metrics\n".to_owned()
                }
            };
            Ok::<_, Infallible>(answer.body(http::text(text)).expect("these headers are some"))
        }
    });
    http::serve(listener, service).await
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut leases = stream.recv_stream();
    while let Some(lease) = leases.next().await {
        stream.write_all(lease?).await.0?;
    }
    Ok(())
}
