//! PostgreSQL by tokio-postgres, without tokio's loop: queries, pipelining, COPY, notifications, a transaction, a cancelled query.
//!
//! ```sh
//! cargo run --bin postgres -- 'host=127.0.0.1 user=postgres password=secret' copied.tsv
//! cargo run --bin postgres -- 'host=/run/postgresql user=postgres' copied.tsv
//! ```
//!
//! With `sslmode=require` it goes by TLS, and PGSSLROOTCERT names the file of those to trust. It makes a table `cities` in that database,
//! anew, and leaves it there. What COPY gave is written to the file.

use std::error::Error;
use std::time::Duration;

use annulus::time::timeout;
use annulus_ecosystem::postgres::{Session, cancel, connect};
use bytes::Bytes;
use futures_util::future::{join, try_join_all};
use futures_util::{SinkExt, TryStreamExt};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let (Some(config), Some(file)) = (arguments.next(), arguments.next()) else {
        return Err("usage: postgres 'host=127.0.0.1 user=postgres' FILE".into());
    };
    annulus::run(async move { tour(&config.parse()?, &file).await })?
}

async fn tour(config: &Config, file: &str) -> Outcome {
    let mut session = connect(config).await?;
    let secured = "select coalesce(version, 'not at all') from pg_stat_ssl where pid = pg_backend_pid()";
    println!("secured: {}", session.client.query_one(secured, &[]).await?.get::<_, &str>(0));
    queries(&session.client).await?;
    pipelined(&session.client).await?;
    copied(&session.client, file).await?;
    notified(config, &mut session).await?;
    transactions(&mut session.client).await?;
    cancelled(config, &session.client).await?;

    let Session { client, ended, .. } = session;
    drop(client);
    println!("the end: {}", ended.await?);
    Ok(())
}

async fn queries(client: &Client) -> Outcome {
    client
        .batch_execute("drop table if exists cities; create table cities (name text primary key, people int)")
        .await?;
    let insert = client.prepare("insert into cities values ($1, $2)").await?;
    for (name, people) in [("Bern", 134_000), ("Graz", 303_000), ("Łódź", 658_000)] {
        client.execute(&insert, &[&name, &people]).await?;
    }
    let rows = client
        .query("select name, people from cities where people > $1 order by people", &[&200_000])
        .await?;
    for row in &rows {
        println!("row: {}|{}", row.get::<_, &str>(0), row.get::<_, i32>(1));
    }
    let error = client.execute(&insert, &[&"Bern", &0]).await.expect_err("it is there already");
    println!("refused: {}", error.as_db_error().map_or("not by the server", |reason| reason.code().code()));
    Ok(())
}

/// A thousand queries at once, of which each is written before the answer to the one in front of it is there.
async fn pipelined(client: &Client) -> Outcome {
    let square = client.prepare("select $1::int8 * $1").await?;
    let squares =
        (0..1000_i64).map(async |number| client.query_one(&square, &[&number]).await?.try_get::<_, i64>(0));
    let squares = try_join_all(squares).await?;
    assert!(squares.iter().enumerate().all(|(number, square)| *square == (number * number) as i64));
    println!("pipelined: {} queries, the sum is {}", squares.len(), squares.iter().sum::<i64>());
    Ok(())
}

async fn copied(client: &Client, file: &str) -> Outcome {
    let mut sink = Box::pin(client.copy_in("copy cities from stdin").await?);
    for block in 0..100 {
        let lines: String = (0..100).map(|line| format!("town {}\t{line}\n", block * 100 + line)).collect();
        sink.send(Bytes::from(lines)).await?;
    }
    println!("copied in: {}", sink.as_mut().finish().await?);

    let stream = client.copy_out("copy (select * from cities order by name) to stdout").await?;
    let copied = stream.try_fold(Vec::new(), async |mut all, piece| {
        all.extend_from_slice(&piece);
        Ok(all)
    });
    let (written, copied) = annulus::fs::write(file, copied.await?).await;
    written?;
    println!("copied out: {} bytes", copied.len());
    Ok(())
}

/// What one connection says, the other hears, without having asked.
async fn notified(config: &Config, listening: &mut Session) -> Outcome {
    let speaking = connect(config).await?;
    listening.client.batch_execute("listen news").await?;
    for news in ["rain", "then sun"] {
        speaking.client.execute("select pg_notify('news', $1)", &[&news]).await?;
    }
    for _ in 0..2 {
        let heard = timeout(Duration::from_secs(30), listening.notifications.recv()).await?;
        let heard = heard.ok_or("the connection ended")?;
        println!("notified: {}: {}", heard.channel(), heard.payload());
    }
    Ok(())
}

async fn transactions(client: &mut Client) -> Outcome {
    for is_kept in [false, true] {
        let transaction = client.transaction().await?;
        transaction.execute("update cities set people = people + 1 where name = 'Graz'", &[]).await?;
        // One that is dropped instead is rolled back.
        if is_kept {
            transaction.commit().await?;
        }
    }
    let row = client.query_one("select people from cities where name = 'Graz'", &[]).await?;
    println!("after a transaction that was dropped and one that was kept: {}", row.get::<_, i32>(0));
    Ok(())
}

/// A query that would take minutes, and a connection that is as good afterwards as before.
async fn cancelled(config: &Config, client: &Client) -> Outcome {
    let slow = client.query_one("select 'begun', pg_sleep(600)", &[]);
    let stop = async {
        // What comes before it began stops nothing: so the other connection looks whether it has.
        let other = connect(config).await?.client;
        let running =
            "select count(*) from pg_stat_activity where query like 'select ''begun''%' and state = 'active'";
        while other.query_one(running, &[]).await?.get::<_, i64>(0) == 0 {
            annulus::yield_now().await;
        }
        cancel(config, client).await?;
        Outcome::Ok(())
    };
    let (slow, stopped) = timeout(Duration::from_secs(60), join(slow, stop)).await?;
    stopped?;
    let error = slow.expect_err("it was stopped");
    println!("cancelled: {}", error.code() == Some(&SqlState::QUERY_CANCELED));
    println!("afterwards: {}", client.query_one("select 'as good as before'", &[]).await?.get::<_, &str>(0));
    Ok(())
}
