//! Programs with a fault each, to look at: docs/observing.md finds them by the inspector, the watchdog and the flight recorder.
//!
//! ```sh
//! cargo run --features inspect --example troubled -- stall      # a task computes, and all others wait
//! cargo run --features inspect --example troubled -- leak       # tasks that nobody ends
//! cargo run --features inspect --example troubled -- starved    # a connection whose peer does not read
//! cargo run --features inspect --example troubled -- disk       # a log that is synced at each line
//! ```
//!
//! Each says where its page is, and ends after `--seconds`.

mod disk;
mod leak;
mod stall;
mod starved;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use annulus::Runtime;
use annulus::inspect::Inspector;
use annulus::time::{sleep, timeout};
use clap::{Parser, ValueEnum};

/// A program with a fault.
#[derive(Parser)]
struct Arguments {
    /// Which fault.
    fault: Fault,
    /// Where the inspector's page is served: an address of loopback, or unix: and a path.
    #[arg(long, default_value = "127.0.0.1:0")]
    inspect: String,
    /// How long it goes on.
    #[arg(long, default_value_t = 600.0)]
    seconds: f64,
    /// Where what was recorded before a stall is written.
    #[arg(long, default_value = ".")]
    dumps: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fault {
    /// A task computes, and all others wait.
    Stall,
    /// Tasks that nobody ends.
    Leak,
    /// A connection whose peer does not read.
    Starved,
    /// A log that is synced at each line.
    Disk,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("troubled: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let inspector = Inspector::builder().address(arguments.inspect.as_str()).start()?;
    println!("look at {}", inspector.url());
    let runtime = Runtime::builder()
        .flight_dumps(&arguments.dumps)
        .watchdog(Duration::from_millis(100))
        .build()
        .map_err(io::Error::other)?;
    let outcome = runtime.run(timeout(Duration::from_secs_f64(arguments.seconds), async {
        match arguments.fault {
            Fault::Stall => stall::run().await,
            Fault::Leak => leak::run().await,
            Fault::Starved => starved::run().await,
            Fault::Disk => disk::run().await,
        }
    }));
    match outcome.map_err(io::Error::other)? {
        Ok(ended) => ended,
        // The time is over.
        Err(_) => Ok(()),
    }
}

/// What a healthy task does: something each few milliseconds.
async fn tick() {
    loop {
        sleep(Duration::from_millis(5)).await;
    }
}
