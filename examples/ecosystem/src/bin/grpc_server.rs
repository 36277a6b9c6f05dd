//! A gRPC server: tonic's routes, served by `annulus::http`. Its methods use the loop's own timers.
//!
//! ```sh
//! cargo run --bin grpc_server -- 127.0.0.1:50051
//! cargo run --bin grpc_client -- 127.0.0.1:50051
//! ```
//!
//! proto/telemetry.proto says what there is to call.

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use annulus::net::TcpListener;
use annulus::task::local;
use annulus::time::{sleep, timeout};
use annulus_ecosystem::grpc::deadline;
use annulus_ecosystem::grpc::telemetry::telemetry_server::{Telemetry, TelemetryServer};
use annulus_ecosystem::grpc::telemetry::{Reading, Sensor, Summary, Watching};
use futures_util::{Stream, TryStreamExt, stream};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: grpc_server 127.0.0.1:50051")?;
    annulus::run(async move {
        let listener = TcpListener::bind(address).await?;
        println!("grpc at {}", listener.local_addr()?);
        let routes = Routes::new(TelemetryServer::new(Boiler));
        // How long a call may take is between its client and its method.
        annulus::http::serve(listener, routes.into_axum_router()).request_timeout(None).await?;
        Ok(())
    })?
}

/// The only sensor that there is.
struct Boiler;

/// Says that a measurement was not brought to its end: its time was over, or its client has gone.
struct GivenUp(bool);

impl Drop for GivenUp {
    fn drop(&mut self) {
        if self.0 {
            println!("given up");
        }
    }
}

type Readings = Pin<Box<dyn Stream<Item = Result<Reading, Status>> + Send>>;

// What the trait wants is `Send`, and nothing of annulus is. `local` says that it stays here.
#[tonic::async_trait]
impl Telemetry for Boiler {
    type WatchStream = Readings;
    type CalibrateStream = Readings;

    async fn latest(&self, request: Request<Sensor>) -> Result<Response<Reading>, Status> {
        let limit = deadline(request.metadata());
        let Sensor { name, delay_ms } = request.into_inner();
        known(&name)?;
        let measured = local(async move {
            let mut given_up = GivenUp(true);
            let measuring = sleep(Duration::from_millis(delay_ms.into()));
            match limit {
                Some(limit) => timeout(limit, measuring)
                    .await
                    .map_err(|_| Status::deadline_exceeded("the client does not wait any longer"))?,
                None => measuring.await,
            }
            given_up.0 = false;
            Ok::<(), Status>(())
        });
        measured.await?;
        Ok(Response::new(Reading { sensor: name, value: 73, raw: Vec::new() }))
    }

    async fn watch(&self, request: Request<Watching>) -> Result<Response<Readings>, Status> {
        let Watching { name, readings } = request.into_inner();
        known(&name)?;
        let readings = (0..i64::from(readings))
            .map(move |value| Ok(Reading { sensor: name.clone(), value, raw: Vec::new() }));
        Ok(Response::new(Box::pin(stream::iter(readings))))
    }

    async fn record(&self, request: Request<Streaming<Reading>>) -> Result<Response<Summary>, Status> {
        let summary = request.into_inner().try_fold(Summary::default(), async |summary, reading| {
            Ok(Summary {
                readings: summary.readings + 1,
                sum: summary.sum + reading.value,
                raw_bytes: summary.raw_bytes + reading.raw.len() as u64,
            })
        });
        Ok(Response::new(summary.await?))
    }

    async fn calibrate(&self, request: Request<Streaming<Reading>>) -> Result<Response<Readings>, Status> {
        let answers = request.into_inner().map_ok(|reading| Reading { value: 2 * reading.value, ..reading });
        Ok(Response::new(Box::pin(answers)))
    }
}

fn known(name: &str) -> Result<(), Status> {
    if name == "boiler" { Ok(()) } else { Err(Status::not_found(format!("there is no sensor {name:?}"))) }
}
