//! Worlds in memory, in which a seed decides what happens, and when.
//!
//! A [`World`] has hosts, each with a loop of its own, a disk and an address, all in one thread and under one clock.
//! What the hosts run are the same programs that run on a real system: they connect by [`net`](crate::net), store by
//! [`fs`](crate::fs), and sleep by [`time`](crate::time). Links between them are slow, lose, repeat, and are cut; hosts
//! crash, losing what they had not synced. Time is virtual: an hour of sleeps takes milliseconds.
//!
//! **The same seed and the same program give the same events**, on any machine, as long as the program takes its time,
//! its randomness ([`random`](crate::random)) and its input from the crate and keeps to one thread. So a bad day is a
//! number, and [`check`] looks for one:
//!
//! ```
//! use annulus::net::{TcpListener, TcpStream};
//! use annulus::sim;
//! use std::time::Duration;
//!
//! async fn serve() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("0.0.0.0:80").await?;
//!     loop {
//!         let (stream, _) = listener.accept().await?;
//!         drop(annulus::spawn(async move { stream.write_all("hello").await.0 }));
//!     }
//! }
//!
//! sim::check(20, |world| {
//!     let server = world.host("server", serve);
//!     let client = world.host("client", sim::idle);
//!     world.run_for(Duration::from_secs(1)); // the server is up by then
//!     world.link(&client, &server).latency(Duration::from_millis(1)..Duration::from_millis(40)).loss(0.05);
//!
//!     let greeting = client.run(async {
//!         let stream = TcpStream::connect("server:80").await?;
//!         let (result, buffer) = stream.read_exact(vec![0; 5]).await;
//!         result.map(|()| buffer)
//!     });
//!     assert_eq!(greeting.unwrap().unwrap(), b"hello");
//! });
//! ```
//!
//! A loop with a world to itself is [`Driver::Sim`](crate::Driver::Sim), which `ANNULUS_DRIVER=sim:7` chooses for
//! programs that do not know of it. docs/testing.md tells more, by an example that is worth replaying.

mod check;
mod host;
mod link;
mod stuck;
mod trace;
mod world;

pub use crate::driver::Faults;
pub use check::check;
pub use host::{Host, idle};
pub use link::Link;
pub use stuck::Stuck;
pub use trace::Trace;
pub use world::World;

/// The guide's snippets are run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../../docs/testing.md")]
struct Guide;
