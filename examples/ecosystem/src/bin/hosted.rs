//! Libraries that insist on tokio, in the tasks of an annulus loop: sqlx keeps what an HTTP server on annulus is told, reqwest tells it.
//!
//! ```sh
//! cargo run --bin hosted -- postgres://user@localhost/database
//! ANNULUS_DRIVER=readiness cargo run --bin hosted -- postgres://user@localhost/database
//! ```
//! All of it is one thread and one call: `annulus::tokio_host::run`. The server's connections are the loop's, by leases of its ring; the
//! database's and the client's are tokio's.

use std::error::Error;
use std::io;
use std::time::Duration;

use annulus::Runtime;
use annulus::net::{TcpListener, TcpStream};
use annulus::task::JoinSet;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

type Failure = Box<dyn Error + Send + Sync>;

const CLIENTS: usize = 8;
const CUPS: usize = 25;

/// One request after the other, until the client goes.
async fn serve(stream: TcpStream, database: PgPool) -> Result<(), Failure> {
    let (mut leases, mut gathered) = (stream.recv_stream(), Vec::new());
    while let Some(lease) = leases.next().await {
        gathered.extend_from_slice(&lease?);
        while let Some(end) = gathered.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(gathered.drain(..end + 4).collect())?;
            let path = head.split(' ').nth(1).unwrap_or("/");
            let (status, body) = match answer(path, &database).await {
                Ok(body) => ("200 OK", body),
                Err(error) => ("500 Internal Server Error", error.to_string()),
            };
            let response = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(response).await.0?;
        }
    }
    Ok(())
}

/// sqlx in a task of the loop, and a timer of the loop beside it.
async fn answer(path: &str, database: &PgPool) -> Result<String, Failure> {
    let cups: i64 = match path.strip_prefix("/drink/") {
        Some(tea) => {
            let drunk = "INSERT INTO cups (tea) VALUES ($1) RETURNING id";
            let asked = sqlx::query_scalar(drunk).bind(tea).fetch_one(database);
            annulus::time::timeout(Duration::from_secs(20), asked).await??
        }
        None => sqlx::query_scalar("SELECT count(*) FROM cups").fetch_one(database).await?,
    };
    Ok(cups.to_string())
}

async fn listen(listener: TcpListener, database: PgPool) -> Result<(), Failure> {
    loop {
        let (stream, _) = listener.accept().await?;
        let database = database.clone();
        drop(annulus::spawn(async move {
            if let Err(error) = serve(stream, database).await {
                eprintln!("a connection: {error}");
            }
        }));
    }
}

/// reqwest in a task of the loop, with its own pool of connections.
async fn drink(client: reqwest::Client, address: String, tea: usize) -> Result<usize, Failure> {
    for _ in 0..CUPS {
        let response = client.get(format!("http://{address}/drink/{tea}")).send().await?;
        response.error_for_status()?.text().await?.parse::<usize>()?;
    }
    Ok(CUPS)
}

async fn tea_party(url: String) -> Result<String, Failure> {
    let database = PgPoolOptions::new().max_connections(4).connect(&url).await?;
    sqlx::query("DROP TABLE IF EXISTS cups").execute(&database).await?;
    sqlx::query("CREATE TABLE cups (id bigserial PRIMARY KEY, tea text NOT NULL)").execute(&database).await?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let server = annulus::spawn(listen(listener, database.clone()));

    let client = reqwest::Client::new();
    let mut clients = JoinSet::new();
    for tea in 0..CLIENTS {
        clients.spawn(drink(client.clone(), address.clone(), tea));
    }
    let mut cups = 0;
    while let Some(drunk) = clients.join_next().await {
        cups += drunk.map_err(io::Error::from)??;
    }
    let counted = client.get(format!("http://{address}/")).send().await?.text().await?;
    assert_eq!(counted, cups.to_string(), "what was answered is kept");
    server.abort();
    database.close().await;
    let driver = Runtime::try_current().expect("this is a task of it").driver();
    Ok(format!("{counted} cups, served by the {driver} driver"))
}

fn main() -> Result<(), Failure> {
    let Some(url) = std::env::args().nth(1).or_else(|| std::env::var("DATABASE_URL").ok()) else {
        return Err("name the database: hosted postgres://user@localhost/database, or DATABASE_URL".into());
    };
    println!("{}", annulus::tokio_host::run(tea_party(url))??);
    Ok(())
}
