//! This package's own programs as processes. Cargo builds them before the tests.

use std::process::Command;

use annulus::{Driver, Runtime};

use super::process::Process;

/// Starts a program on a driver.
pub(crate) fn start(path: &str, driver: &str, arguments: &[&str]) -> Process {
    Process::start(Command::new(path).args(arguments).env("ANNULUS_DRIVER", driver))
}

/// Runs it to its end, and gives what it printed.
#[track_caller]
pub(crate) fn run(path: &str, driver: &str, arguments: &[&str]) -> Vec<String> {
    let (status, lines) = start(path, driver, arguments).ended();
    assert!(status.success(), "{path} ended with {status}:\n{}", lines.join("\n"));
    lines
}

/// Whether this machine gives that driver; if not, that is said.
pub(crate) fn can_have(driver: &str) -> bool {
    let choice: Driver = driver.parse().expect("it is a driver's name");
    match Runtime::builder().driver(choice).build() {
        Ok(_) => true,
        Err(refused) => {
            println!("skipped: {refused}");
            false
        }
    }
}
