//! tonic on annulus: its own client and server, and each with Python's gRPC on the other side. All four say the same.

mod support;

use std::error::Error as _;
use std::time::Duration;

use annulus::Runtime;
use annulus_ecosystem::grpc::Channel;
use annulus_ecosystem::grpc::telemetry::Sensor;
use annulus_ecosystem::grpc::telemetry::telemetry_client::TelemetryClient;
use support::process::Process;
use support::program;
use support::python::Python;
use tonic::{Code, Request};

const CLIENT: &str = env!("CARGO_BIN_EXE_grpc_client");
const SERVER: &str = env!("CARGO_BIN_EXE_grpc_server");

/// What a client says of a server that works.
const SAID: &[&str] = &[
    "latest: boiler 73",
    "unknown: NotFound: there is no sensor \"cellar\"",
    "watch: 1000 readings, in order: true",
    "record: 200 readings, sum 19900, 2000000 bytes",
    "calibrate: 100 rounds, and then the end: true",
    "late: DeadlineExceeded",
    "afterwards: 73",
    "at once: 100 answers",
];

/// Where a server that was started serves.
#[track_caller]
fn address(server: &mut Process) -> String {
    server.line("grpc at ", "an address", |address| Some(address.to_owned()))
}

#[track_caller]
fn says_what_it_should(client: Process) {
    let (status, lines) = client.ended();
    assert!(status.success(), "{status}: {lines:#?}");
    assert_eq!(lines, SAID);
}

on_real_drivers! {
    fn its_client_and_its_server_understand_each_other(driver: &str) {
        let mut server = program::start(SERVER, driver, &["127.0.0.1:0"], &[]);
        let address = address(&mut server);
        says_what_it_should(program::start(CLIENT, driver, &[&address], &[]));
        // The one that was late: the server did not go on for nobody.
        server.says("given up", "");
    }

    fn a_client_in_python_is_served(driver: &str) {
        let Some(python) = Python::with_grpc() else { return };
        let mut server = program::start(SERVER, driver, &["127.0.0.1:0"], &[]);
        says_what_it_should(python.start("client.py", &[&address(&mut server)]));
        server.says("given up", "");
    }

    fn a_server_in_python_serves_its_client(driver: &str) {
        let Some(python) = Python::with_grpc() else { return };
        let mut server = python.start("server.py", &[]);
        says_what_it_should(program::start(CLIENT, driver, &[&address(&mut server)], &[]));
    }

    fn a_deadline_that_the_client_forgets_is_kept_by_the_server(driver: &str) {
        let mut server = program::start(SERVER, driver, &["127.0.0.1:0"], &[]);
        let address = address(&mut server);
        on(driver, async {
            let mut client = connect(&address).await;
            let mut request = Request::new(sensor(600_000));
            request.set_timeout(Duration::from_millis(50));
            let late = client.latest(request).await.expect_err("it takes ten minutes");
            assert_eq!(late.code(), Code::DeadlineExceeded, "{late:?}");
            // A client that loses interest says so by ending the call.
            drop(annulus::time::timeout(Duration::from_millis(50), client.latest(sensor(600_000))).await);
            // Its word of that is in front of this question.
            client.latest(sensor(0)).await.unwrap();
            server.says("given up", "");
            server.says("given up", "");
        });
    }

    fn a_server_that_is_killed_in_the_middle_of_calls_is_an_error_of_each(driver: &str) {
        let mut server = program::start(SERVER, driver, &["127.0.0.1:0"], &[]);
        let address = address(&mut server);
        on(driver, async {
            let mut client = connect(&address).await;
            let slow: Vec<_> = (0..10).map(|_| {
                let mut client = client.clone();
                annulus::spawn(async move { client.latest(sensor(60_000)).await })
            }).collect();
            // What is answered was sent after them, so they have arrived.
            annulus::yield_now().await;
            client.latest(sensor(0)).await.unwrap();
            server.kill();
            for call in slow {
                let error = call.await.unwrap().expect_err("nobody is there to answer");
                assert!(error.source().is_some(), "it says why: {error:?}");
            }
            client.latest(sensor(0)).await.expect_err("this connection has ended");

            let mut server = program::start(SERVER, driver, &[&address], &[]);
            server.says("grpc at ", "");
            let mut client = connect(&address).await;
            assert_eq!(client.latest(sensor(0)).await.unwrap().into_inner().value, 73);
        });
    }
}

fn on(driver: &str, body: impl Future<Output = ()>) {
    let runtime = Runtime::builder().driver(driver.parse().unwrap()).build().unwrap();
    runtime.run(body).unwrap();
}

fn sensor(delay_ms: u32) -> Sensor {
    Sensor { name: "boiler".to_owned(), delay_ms }
}

async fn connect(address: &str) -> TelemetryClient<Channel> {
    let channel = Channel::connect(address).await.unwrap();
    TelemetryClient::with_origin(channel, format!("http://{address}").parse().unwrap())
}
