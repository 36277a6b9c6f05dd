//! Redis by redis-rs, without tokio's loop: values, a pipeline, a transaction, messages, a thousand commands at once, a time-out.
//!
//! ```sh
//! redis-server --port 6399 --save '' &
//! cargo run --bin redis_client -- redis://127.0.0.1:6399/
//! cargo run --bin redis_client -- unix:///run/redis/redis-server.sock
//! ```
//!
//! It writes keys that begin with `annulus:`.

use std::error::Error;
use std::time::Duration;

use annulus::time::timeout;
use annulus_ecosystem::redis::{Pushes, connect};
use futures_util::future::try_join_all;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, ConnectionInfo, IntoConnectionInfo, Msg};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let address = std::env::args().nth(1).ok_or("usage: redis_client redis://127.0.0.1:6379/")?;
    let info = address.as_str().into_connection_info()?;
    annulus::run(async move {
        let (connection, mut pushes) = connect(&info).await?;
        values(connection.clone()).await?;
        pipelines(connection.clone()).await?;
        many_at_once(&connection).await?;
        messages(&info, connection.clone(), &mut pushes).await?;
        late(&info).await
    })?
}

async fn values(mut redis: MultiplexedConnection) -> Outcome {
    let _: () = redis.set("annulus:greeting", "hello, Łódź").await?;
    println!("value: {}", redis.get::<_, String>("annulus:greeting").await?);
    println!("nothing: {:?}", redis.get::<_, Option<String>>("annulus:nothing").await?);
    let megabyte: Vec<u8> = (0..1_u32 << 20).map(|place| (place % 251) as u8).collect();
    let _: () = redis.set("annulus:megabyte", &megabyte).await?;
    println!("a megabyte comes back: {}", redis.get::<_, Vec<u8>>("annulus:megabyte").await? == megabyte);
    let error = redis.lpush::<_, _, ()>("annulus:greeting", 1).await.expect_err("it is no list");
    println!("refused: {:?}", error.code());
    Ok(())
}

async fn pipelines(mut redis: MultiplexedConnection) -> Outcome {
    let mut pipe = redis::pipe();
    pipe.del("annulus:list").ignore();
    for number in 0..100 {
        pipe.rpush("annulus:list", number).ignore();
    }
    let (numbers,): (Vec<i64>,) = pipe.lrange("annulus:list", 0, -1).query_async(&mut redis).await?;
    println!("pipeline: {} numbers, in order: {}", numbers.len(), numbers.is_sorted());
    let (before, after): (i64, i64) = redis::pipe()
        .atomic()
        .set("annulus:count", 41)
        .ignore()
        .incr("annulus:count", 0)
        .incr("annulus:count", 1)
        .query_async(&mut redis)
        .await?;
    println!("transaction: {before}, {after}");
    Ok(())
}

/// A thousand commands that wait at the same time, on one connection.
async fn many_at_once(redis: &MultiplexedConnection) -> Outcome {
    let squares = (0..1000_u64).map(|number| {
        let mut redis = redis.clone();
        async move {
            let key = format!("annulus:square:{number}");
            let _: () = redis.set(&key, number * number).await?;
            redis.get::<_, u64>(&key).await
        }
    });
    let squares = try_join_all(squares).await?;
    assert!(squares.iter().zip(0..).all(|(square, number)| *square == number * number));
    println!("at once: {} answers, the sum is {}", squares.len(), squares.iter().sum::<u64>());
    Ok(())
}

/// What one connection publishes, the other is told.
async fn messages(info: &ConnectionInfo, mut hearing: MultiplexedConnection, pushes: &mut Pushes) -> Outcome {
    hearing.subscribe("annulus:news").await?;
    let (mut speaking, _) = connect(info).await?;
    for news in ["rain", "then sun"] {
        println!("heard by: {}", speaking.publish::<_, _, i64>("annulus:news", news).await?);
    }
    for _ in 0..2 {
        let message = loop {
            let push =
                timeout(Duration::from_secs(30), pushes.recv()).await?.ok_or("the connection ended")?;
            // Others say that one has subscribed.
            if let Some(message) = Msg::from_push_info(push) {
                break message;
            }
        };
        println!("message: {}: {}", message.get_channel_name(), message.get_payload::<String>()?);
    }
    hearing.unsubscribe("annulus:news").await?;
    Ok(())
}

/// An answer that does not come. The connection waits for it, so it is one of its own.
async fn late(info: &ConnectionInfo) -> Outcome {
    let (mut redis, _pushes) = connect(info).await?;
    let nothing = redis.blpop::<_, Option<(String, String)>>("annulus:empty", 600.0);
    match timeout(Duration::from_millis(100), nothing).await {
        Ok(answer) => println!("it came: {:?}", answer?),
        Err(late) => println!("late: {late}"),
    }
    Ok(())
}
