//! Connections to Redis that outlive the server: each counts, and connects again when it has to.
//!
//! ```sh
//! redis-server --port 6399 --save '' &
//! cargo run --bin redis_watch -- redis://127.0.0.1:6399/ redis://127.0.0.1:6379/
//! redis-cli -p 6399 client kill type normal         # or end the whole server, and start it again
//! ```
//!
//! The connections are numbered from 1, in the order of the arguments.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use annulus::spawn;
use annulus::time::{sleep, timeout};
use annulus_ecosystem::redis::connect;
use redis::{AsyncCommands, ConnectionInfo, IntoConnectionInfo, RedisResult};

/// How long a server that does not answer is left alone.
const PAUSE: Duration = Duration::from_millis(50);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let infos = std::env::args().skip(1).map(|text| text.as_str().into_connection_info());
    let infos = infos.collect::<RedisResult<Vec<_>>>()?;
    if infos.is_empty() {
        return Err("usage: redis_watch redis://127.0.0.1:6379/ ...".into());
    }
    annulus::run(async move {
        for (number, info) in infos.into_iter().enumerate() {
            drop(spawn(watch(number + 1, info)));
        }
        pending().await
    })?
}

async fn watch(number: usize, info: ConnectionInfo) {
    loop {
        let Err(error) = count(number, &info).await;
        println!("{number}: {error}; again in {PAUSE:?}");
        sleep(PAUSE).await;
    }
}

/// Counts until something goes wrong.
async fn count(number: usize, info: &ConnectionInfo) -> RedisResult<Infallible> {
    let (mut redis, _pushes) = connect(info).await?;
    let id: i64 = redis::cmd("CLIENT").arg("ID").query_async(&mut redis).await?;
    println!("{number}: connected as client {id}");
    for round in 1.. {
        // The list stays empty, so it is nearly always in the middle of a command. The server says that nothing came.
        let nothing = redis.blpop::<_, Option<(String, String)>>("annulus:nothing", 0.2);
        timeout(PATIENCE, nothing).await.map_err(std::io::Error::from)??;
        println!("{number}: round {round} of client {id}");
    }
    unreachable!("so many rounds take longer than anything lasts")
}
