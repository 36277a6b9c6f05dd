//! The server in worlds in which links are slow, packets are lost and answers are late: each seed is another day.

use std::time::Duration;

use annulus::CancelToken;
use annulus::net::{TcpListener, TcpStream};
use annulus::sim::{self, Faults};
use annulus::time::sleep;

/// How long it serves before it is told to end.
const LIFE: Duration = Duration::from_secs(600);

async fn server() -> std::io::Result<shout::Ended> {
    let stop = CancelToken::new();
    let told = stop.clone();
    drop(annulus::spawn(async move {
        sleep(LIFE).await;
        told.cancel();
    }));
    Ok(shout::serve(TcpListener::bind("0.0.0.0:7070").await?, stop, Duration::from_secs(5)).await)
}

#[test]
fn what_is_heard_is_what_was_said_in_capitals_whatever_the_day_is_like() {
    sim::check(50, |world| {
        world.set_faults(&Faults::all().swarm(world.seed()));
        let server = world.host("server", server);
        let client = world.host("client", sim::idle);
        world.run_for(Duration::from_secs(1));
        world.link(&server, &client).latency(Duration::from_millis(1)..Duration::from_millis(80)).loss(0.05);

        let heard = client.run(async {
            let stream = TcpStream::connect("server:7070").await?;
            stream.write_all("hello\nworld\n").await.0?;
            let (result, heard) = stream.read_exact(vec![0; 12]).await;
            result.map(|()| heard)
        });
        // A day may be so bad that nothing is heard; it is never so bad that something else is.
        if let Ok(heard) = heard.unwrap() {
            assert_eq!(heard, b"HELLO\nWORLD\n");
        }
    });
}

#[test]
fn who_says_nothing_is_disconnected_after_a_minute_which_takes_no_time_here() {
    sim::check(5, |world| {
        let _server = world.host("server", server);
        let client = world.host("client", sim::idle);
        world.run_for(Duration::from_secs(1));
        let heard = client.run(async {
            let stream = TcpStream::connect("server:7070").await?;
            let begun = annulus::time::now();
            let (result, heard) = stream.read(Vec::with_capacity(16)).await;
            result.map(|_| (heard, annulus::time::now() - begun))
        });
        let (heard, waited) = heard.unwrap().unwrap();
        assert!(heard.is_empty());
        assert!((59..65).contains(&waited.as_secs()), "{waited:?}");
    });
}
