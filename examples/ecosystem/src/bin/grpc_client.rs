//! A gRPC client by tonic, without tonic's transport and tokio's loop: a method of each kind, errors, a deadline, many calls at once.
//!
//! ```sh
//! cargo run --bin grpc_server -- 127.0.0.1:50051 &
//! cargo run --bin grpc_client -- 127.0.0.1:50051
//! ```
//!
//! tests/python has the same client, and a server, in Python.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use annulus::sync::across::mpsc;
use annulus::time::timeout;
use annulus_ecosystem::grpc::Channel;
use annulus_ecosystem::grpc::telemetry::telemetry_client::TelemetryClient;
use annulus_ecosystem::grpc::telemetry::{Reading, Sensor, Watching};
use futures_util::future::try_join_all;
use futures_util::{TryStreamExt, stream};
use tonic::{Request, Response, Status};

type Client = TelemetryClient<Channel>;
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let address = std::env::args().nth(1).ok_or("usage: grpc_client 127.0.0.1:50051")?;
    annulus::run(async move {
        let channel = Channel::connect(&address).await?;
        let client = TelemetryClient::with_origin(channel, format!("http://{address}").parse()?);
        unary(client.clone()).await?;
        server_streaming(client.clone()).await?;
        client_streaming(client.clone()).await?;
        both_ways(client.clone()).await?;
        late(client.clone()).await?;
        many_at_once(client).await
    })?
}

fn sensor(name: &str, delay_ms: u32) -> Sensor {
    Sensor { name: name.to_owned(), delay_ms }
}

fn reading(value: i64, bytes: usize) -> Reading {
    Reading { sensor: "boiler".to_owned(), value, raw: vec![7; bytes] }
}

async fn unary(mut client: Client) -> Outcome {
    let reading = client.latest(sensor("boiler", 0)).await?.into_inner();
    println!("latest: {} {}", reading.sensor, reading.value);
    let error = client.latest(sensor("cellar", 0)).await.expect_err("there is none");
    println!("unknown: {:?}: {}", error.code(), error.message());
    Ok(())
}

async fn server_streaming(mut client: Client) -> Outcome {
    let watching = Watching { name: "boiler".to_owned(), readings: 1000 };
    let readings: Vec<_> = client.watch(watching).await?.into_inner().try_collect().await?;
    let values: Vec<_> = readings.iter().map(|reading| reading.value).collect();
    println!("watch: {} readings, in order: {}", values.len(), values.iter().copied().eq(0..1000));
    Ok(())
}

/// More than a window of HTTP/2 holds, so the server's pace is the client's.
async fn client_streaming(mut client: Client) -> Outcome {
    let readings = stream::iter((0..200).map(|value| reading(value, 10_000)));
    let summary = client.record(readings).await?.into_inner();
    println!("record: {} readings, sum {}, {} bytes", summary.readings, summary.sum, summary.raw_bytes);
    Ok(())
}

/// Each message is sent when the answer to the one in front of it is there.
async fn both_ways(mut client: Client) -> Outcome {
    let (sender, mut questions) = mpsc::channel(1);
    let questions = stream::poll_fn(move |cx| questions.poll_recv(cx));
    sender.send(reading(0, 0)).await?;
    let mut answers = client.calibrate(questions).await?.into_inner();
    let mut rounds = 0;
    while let Some(answer) = answers.message().await? {
        rounds += 1;
        assert_eq!(answer.value, 2 * (rounds - 1), "the server doubles");
        if rounds == 100 {
            break;
        }
        sender.send(reading(rounds, 0)).await?;
    }
    drop(sender);
    println!("calibrate: {rounds} rounds, and then the end: {}", answers.message().await?.is_none());
    Ok(())
}

/// A deadline is told to the server, and kept here as well.
async fn within<T>(
    span: Duration,
    message: Sensor,
    call: impl AsyncFnOnce(Request<Sensor>) -> Result<Response<T>, Status>,
) -> Result<Response<T>, Status> {
    let mut request = Request::new(message);
    request.set_timeout(span);
    let call: std::pin::Pin<Box<dyn Future<Output = _>>> = Box::pin(call(request));
    timeout(span, call).await.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer came in time")))
}

async fn late(mut client: Client) -> Outcome {
    let span = Duration::from_millis(200);
    let late = within(span, sensor("boiler", 60_000), async |request| client.latest(request).await).await;
    println!("late: {:?}", late.expect_err("it takes a minute").code());
    let soon = Duration::from_secs(30);
    let reading = within(soon, sensor("boiler", 1), async |request| client.latest(request).await).await?;
    println!("afterwards: {}", reading.into_inner().value);
    Ok(())
}

async fn many_at_once(client: Client) -> Outcome {
    let calls = (0..100).map(|_| {
        let mut client = client.clone();
        async move { client.latest(sensor("boiler", 10)).await }
    });
    println!("at once: {} answers", try_join_all(calls).await?.len());
    Ok(())
}
