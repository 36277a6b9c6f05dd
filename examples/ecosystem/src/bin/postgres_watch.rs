//! Connections to PostgreSQL that outlive the server: each asks again and again, and connects again when it has to.
//!
//! ```sh
//! cargo run --bin postgres_watch -- 'host=127.0.0.1 user=postgres' 'host=/run/postgresql user=postgres'
//! psql -c "select pg_terminate_backend(NUMBER)"     # the number of one of them; and then end the whole server, and start it
//! ```
//!
//! The connections are numbered from 1, in the order of the arguments.

use std::future::pending;
use std::time::Duration;

use annulus::spawn;
use annulus::time::sleep;
use annulus_ecosystem::postgres::{Failure, connect};
use tokio_postgres::Config;

/// How long a server that does not answer is left alone.
const PAUSE: Duration = Duration::from_millis(50);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let configs: Vec<Config> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    if configs.is_empty() {
        return Err("usage: postgres_watch 'host=127.0.0.1 user=postgres' ...".into());
    }
    annulus::run(async move {
        for (number, config) in configs.into_iter().enumerate() {
            drop(spawn(watch(number + 1, config)));
        }
        pending().await
    })?
}

async fn watch(number: usize, config: Config) {
    loop {
        let Err(error) = ask(number, &config).await;
        println!("{number}: {error}; again in {PAUSE:?}");
        sleep(PAUSE).await;
    }
}

/// Asks until something goes wrong.
async fn ask(number: usize, config: &Config) -> Result<std::convert::Infallible, Failure> {
    let mut session = connect(config).await?;
    let process: i32 = session.client.query_one("select pg_backend_pid()", &[]).await?.get(0);
    println!("{number}: connected to process {process}");
    for round in 1.. {
        // The time is the server's, so that it is nearly always in the middle of a query.
        if let Err(error) = session.client.query_one("select pg_sleep(0.2)", &[]).await {
            // Where all that a client knows is that it was closed, the connection itself knows why.
            return Err(match session.ended.try_recv() {
                Ok(reason) => reason,
                Err(_) => error.into(),
            });
        }
        println!("{number}: round {round} of process {process}");
    }
    unreachable!("so many rounds take longer than anything lasts")
}
