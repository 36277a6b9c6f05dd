//! A task that sleeps the thread, and what debug mode says of it: who it is, where it was spawned, and the line that blocks.
//!
//! ```sh
//! cargo run --example stall
//! ```
//!
//! Without `.debug(true)` in the program: `ANNULUS_DEBUG=1 cargo run --example stall`.

use std::time::Duration;

use annulus::time::interval;
use annulus::{Error, Runtime, task};

fn main() -> Result<(), Error> {
    let runtime = Runtime::builder().debug(true).build()?;
    runtime.run(async {
        let ticker = task::Builder::new().name("ticker").spawn(async {
            let mut ticks = interval(Duration::from_millis(50));
            for _ in 0..5 {
                ticks.tick().await;
                println!("tick");
            }
        });
        let sleeper = task::Builder::new().name("sleeper").spawn(async {
            annulus::time::sleep(Duration::from_millis(60)).await;
            println!("a call that blocks: nothing ticks for 300 ms");
            // The mistake. `annulus::time::sleep(...).await` lets the others go on.
            std::thread::sleep(Duration::from_millis(300));
        });
        let _ = (ticker.await, sleeper.await);
    })
}
