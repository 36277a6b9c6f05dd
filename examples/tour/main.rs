//! A walk through an event loop: what it does, and what it says of the mistakes that everybody makes once.
//!
//! ```sh
//! cargo run --example tour
//! cargo run --example tour -- --pause
//! cargo run --example tour -- --stop 5 --driver readiness
//! ```
//!
//! Each stop is a file. What a stop shows of its code is cut out of that very file by `page::code`, so it is what runs.
//!
//! - `page`: what is printed, and who speaks
//! - `heard`: keeps what debug mode says

mod block;
mod group;
mod heard;
mod leak;
mod nested;
mod never_awaited;
mod page;
mod remote;
mod reuse;
mod start;
mod tick;
mod turns;

use std::io;
use std::process::ExitCode;

use annulus::{Builder, Driver};
use clap::Parser;

/// A walk through an event loop, in ten stops.
#[derive(Parser)]
struct Arguments {
    /// This stop alone.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=STOPS.len() as i64))]
    stop: Option<u8>,
    /// auto, uring or readiness.
    #[arg(long, default_value_t = Driver::Auto, value_parser = real)]
    driver: Driver,
    /// Wait for Enter between two stops.
    #[arg(long)]
    pause: bool,
}

/// A simulated world has no time that could be wasted, and no descriptors that the system knows.
fn real(name: &str) -> Result<Driver, String> {
    match name.parse() {
        Ok(Driver::Sim(_)) => Err("the tour is of a real loop: say auto, uring or readiness".to_owned()),
        Ok(driver) => Ok(driver),
        Err(unknown) => Err(unknown.to_string()),
    }
}

type Stop = fn(Builder) -> io::Result<()>;

const STOPS: [(&str, Stop); 10] = [
    ("Start a loop", start::stop),
    ("A future that nobody awaits", never_awaited::stop),
    ("Tasks take turns on one thread", turns::stop),
    ("One tick, step by step", tick::stop),
    ("Blocking sleep against time::sleep", block::stop),
    ("A loop inside of a loop", nested::stop),
    ("A loop for every call, or one for all", reuse::stop),
    ("A task that was lost", leak::stop),
    ("Tasks that end together", group::stop),
    ("Another thread looks in", remote::stop),
];

fn main() -> ExitCode {
    match walk(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tour: {error}");
            ExitCode::FAILURE
        }
    }
}

fn walk(arguments: &Arguments) -> io::Result<()> {
    let builder = Builder::new().driver(arguments.driver);
    if builder.clone().build()?.driver() == "sim" {
        return Err(io::Error::other("the tour is of a real loop: unset ANNULUS_DRIVER"));
    }
    page::legend();
    let all = (1..).zip(STOPS);
    let chosen: Vec<_> =
        all.filter(|(number, _)| arguments.stop.is_none_or(|stop| stop == *number)).collect();
    for (place, (number, (title, stop))) in chosen.iter().enumerate() {
        if arguments.pause && place > 0 {
            page::wait_for_enter()?;
        }
        page::title(&format!("{number}. {title}"));
        stop(builder.clone())?;
    }
    Ok(())
}
