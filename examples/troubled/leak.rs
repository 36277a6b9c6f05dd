//! Each request begins a session, and a session waits for a word that nobody says: tasks become more and more.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use annulus::spawn;
use annulus::sync::Notify;
use annulus::task::Builder;
use annulus::time::sleep;

pub(crate) async fn run() -> io::Result<()> {
    let words = Rc::new(Notify::new());
    drop(Builder::new().name("healthy").spawn(crate::tick()));
    loop {
        sleep(Duration::from_millis(20)).await;
        let words = Rc::clone(&words);
        // The mistake. Somebody has to end it: a `timeout`, a `TaskGroup` that goes with the connection, an abort.
        drop(spawn(async move { words.notified().await }));
    }
}
