//! The README's program: a loop, a task, a timer.
//!
//! ```sh
//! cargo run --example hello
//! ANNULUS_DRIVER=readiness cargo run --example hello
//! ```

use std::time::Duration;

fn main() -> std::io::Result<()> {
    annulus::run(async {
        let greeting = annulus::spawn(async {
            annulus::time::sleep(Duration::from_millis(10)).await;
            "hello"
        });
        println!("{} from the {} driver", greeting.await?, annulus::Runtime::try_current().unwrap().driver());
        Ok(())
    })?
}
