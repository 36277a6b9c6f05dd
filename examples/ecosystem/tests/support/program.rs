//! This package's own programs as processes. Cargo builds them before the tests.

use std::path::PathBuf;
use std::process::Command;

use annulus::{Driver, Runtime};

use super::process::Process;

/// Starts a program on a driver, with variables in its surroundings.
pub(crate) fn start(path: &str, driver: &str, arguments: &[&str], variables: &[(&str, PathBuf)]) -> Process {
    let variables = variables.iter().map(|(name, value)| (*name, value));
    Process::start(Command::new(path).args(arguments).env("ANNULUS_DRIVER", driver).envs(variables))
}

/// Runs it to its end, and gives what it printed.
#[track_caller]
pub(crate) fn run(
    path: &str,
    driver: &str,
    arguments: &[&str],
    variables: &[(&str, PathBuf)],
) -> Vec<String> {
    let (status, lines) = start(path, driver, arguments, variables).ended();
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
