//! A busy loop keeps nobody waiting: counted in turns and polls, never in time.

mod support;

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use annulus::net::TcpStream;
use annulus::time::{now, sleep_until, timeout};
use annulus::{Builder, Runtime, spawn, yield_now};
use futures_util::future::{Either, select};
use support::data::{assert_same, bytes};
use support::net::pair;
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    a_timer_ticks_on_beside_busy_and_idle_connections,
    a_connection_that_always_has_data_does_not_starve_others,
}

on_real_drivers! {
    because "how many polls go by until a peer has answered is a matter of real time":
        a_task_that_is_always_ready_does_not_starve_connections,
        a_read_that_is_given_up_in_the_poll_in_which_it_began_is_answered_in_the_end;
}

const SOON: Duration = Duration::from_secs(30);

/// The next read begins when the dropped one has been stopped, which is when the yield is over: it is dropped in the same poll.
async fn a_read_that_is_given_up_in_the_poll_in_which_it_began_is_answered_in_the_end() {
    let (near, far) = pair().await;
    let late = spawn(async move {
        sleep_until(now() + Duration::from_millis(5)).await;
        far.write_all("hello").await.0.unwrap();
        far
    });
    let mut tries = 0;
    // So many after it was sent.
    while tries < 100_000 {
        tries += usize::from(late.is_finished());
        let read = pin!(near.read(Vec::with_capacity(16)));
        if let Either::Left(((result, got), _)) = select(read, pin!(yield_now())).await {
            assert_eq!((result.unwrap(), &*got), (5, &b"hello"[..]));
            return;
        }
    }
    panic!("never in {tries} tries");
}

fn turns() -> u64 {
    Runtime::try_current().unwrap().metrics().turns
}

fn polls() -> u64 {
    Runtime::try_current().unwrap().metrics().polls
}

/// Four transfers, each of which waits for 32 polls at most before it is handed over, and as long before it is reaped.
const POLLS_A_ROUND: u64 = 4 * 2 * 32;

async fn echo(stream: TcpStream) {
    let mut room = Vec::with_capacity(4096);
    while let (Ok(1..), filled) = stream.read(room).await {
        let (Ok(()), sent) = stream.write_all(filled).await else { return };
        room = sent;
    }
}

/// One line there and back.
async fn round(client: &TcpStream, n: u64) {
    let line = bytes(n, 100);
    client.write_all(line.clone()).await.0.unwrap();
    let (result, got) = client.read_exact(vec![0; 100]).await;
    result.unwrap();
    assert_same(&got, &line);
}

/// Looks at the clock whenever it is asked to, and says in how many turns a timer that was due did not come.
#[derive(Default)]
struct Witness {
    due: Cell<Option<Instant>>,
    /// The turn in which somebody saw that the timer was due.
    seen: Cell<Option<u64>>,
    latest: Cell<u64>,
}

impl Witness {
    fn look(&self) {
        if self.seen.get().is_none() && self.due.get().is_some_and(|due| now() >= due) {
            self.seen.set(Some(turns()));
        }
    }

    /// In how many turns at most a timer that was due did not come, one that is still to come included.
    fn latest(&self) -> u64 {
        self.latest.get().max(self.seen.get().map_or(0, |seen| turns() - seen))
    }

    async fn tick(&self) {
        let due = now() + Duration::from_millis(1);
        self.due.set(Some(due));
        self.seen.set(None);
        sleep_until(due).await;
        self.due.set(None);
        if let Some(seen) = self.seen.take() {
            self.latest.set(self.latest.get().max(turns() - seen));
        }
    }
}

fn a_timer_ticks_on_beside_busy_and_idle_connections(builder: Builder) {
    const TICKS: usize = 300;
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            let mut idle = Vec::new();
            for _ in 0..200 {
                let (client, server) = pair().await;
                idle.push(client);
                drop(spawn(echo(server)));
            }
            let witness = Rc::new(Witness::default());
            let rounds = Rc::new(Cell::new(0));
            let mut busy = Vec::new();
            for _ in 0..2 {
                let (client, server) = pair().await;
                drop(spawn(echo(server)));
                let (witness, rounds) = (Rc::clone(&witness), Rc::clone(&rounds));
                busy.push(spawn(async move {
                    loop {
                        round(&client, rounds.get()).await;
                        rounds.set(rounds.get() + 1);
                        witness.look();
                    }
                }));
            }
            let before = turns();
            for _ in 0..TICKS {
                timeout(SOON, witness.tick()).await.expect("the timer ticks");
            }
            let (latest, turns, rounds) = (witness.latest(), turns() - before, rounds.get());
            println!("{TICKS} ticks in {turns} turns, {rounds} rounds; {latest} turns late at most");
            assert!(latest <= 2, "a timer that was due came {latest} turns later");
            assert!(rounds > TICKS as u64, "the busy ones were busy: {rounds} rounds");
            for busy in busy {
                busy.abort();
            }
            // The idle ones are as good as new.
            for (n, client) in idle.iter().enumerate() {
                timeout(SOON, round(client, n as u64)).await.unwrap();
            }
        })
        .unwrap();
}

fn a_task_that_is_always_ready_does_not_starve_connections(builder: Builder) {
    const ROUNDS: u64 = 200;
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            let (client, server) = pair().await;
            drop(spawn(echo(server)));
            let witness = Rc::new(Witness::default());
            let yields = Rc::new(Cell::new(0));
            let (looks, own) = (Rc::clone(&witness), Rc::clone(&yields));
            let spinning = spawn(async move {
                loop {
                    own.set(own.get() + 1);
                    looks.look();
                    yield_now().await;
                }
            });
            let looks = Rc::clone(&witness);
            let ticking = spawn(async move {
                loop {
                    looks.tick().await;
                }
            });
            for n in 0..ROUNDS {
                timeout(SOON, round(&client, n)).await.expect("an answer");
            }
            let (yields, latest) = (yields.get(), witness.latest());
            println!("{} yields for a round, {latest} turns late at most", yields / ROUNDS);
            assert!(yields / ROUNDS <= POLLS_A_ROUND, "{yields} yields for {ROUNDS} rounds");
            assert!(latest <= 2, "a timer that was due came {latest} turns later");
            spinning.abort();
            ticking.abort();
        })
        .unwrap();
}

fn a_connection_that_always_has_data_does_not_starve_others(builder: Builder) {
    const ROUNDS: u64 = 200;
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            let moved = Rc::new(Cell::new(0));
            let mut floods = Vec::new();
            for _ in 0..2 {
                let (source, sink) = pair().await;
                floods.push(spawn(async move { while source.write_all(vec![1; 65_536]).await.0.is_ok() {} }));
                let moved = Rc::clone(&moved);
                floods.push(spawn(async move {
                    let mut room = Vec::with_capacity(100);
                    // Small reads: there is always something more to be had at once.
                    while let (Ok(count @ 1..), filled) = sink.read(room).await {
                        moved.set(moved.get() + count);
                        room = filled;
                    }
                }));
            }
            let (client, server) = pair().await;
            drop(spawn(echo(server)));
            let before = polls();
            for n in 0..ROUNDS {
                timeout(SOON, round(&client, n)).await.expect("an answer");
            }
            let polls = polls() - before;
            println!("{} polls for a round, beside {} bytes", polls / ROUNDS, moved.get());
            assert!(polls / ROUNDS <= POLLS_A_ROUND, "{polls} polls for {ROUNDS} rounds");
            assert!(moved.get() > 0, "the flood flows");
            for flood in floods {
                flood.abort();
            }
        })
        .unwrap();
}
