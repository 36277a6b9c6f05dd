//! Where a process's inspector listens: said outright, or found by the process's number.

use std::env;
use std::fmt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Where an inspector listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Host and port.
    Tcp(String),
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Tcp(host) => f.write_str(host),
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What is meant by an argument.
///
/// # Errors
/// A process has no socket where one would be: then the error says how its inspector is switched on.
pub(crate) fn find(target: &str) -> Result<Place, String> {
    match target.parse::<u32>() {
        Ok(pid) => find_process(pid),
        Err(_) => match target.strip_prefix("unix:").or(target.starts_with('/').then_some(target)) {
            Some(path) => Ok(Place::Unix(path.into())),
            None => {
                let host = target.strip_prefix("http://").unwrap_or(target).trim_end_matches('/');
                let is_address = host.contains(':') && !host.contains('/');
                let wrong = || {
                    format!(
                        "{target:?} is neither a process's number nor an address: 4711, 127.0.0.1:7070 or unix:/run/program.sock"
                    )
                };
                is_address.then(|| Place::Tcp(host.to_owned())).ok_or_else(wrong)
            }
        },
    }
}

fn find_process(pid: u32) -> Result<Place, String> {
    let folders =
        env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).into_iter().chain([PathBuf::from("/tmp")]);
    let places: Vec<_> = folders.map(|folder| folder.join(format!("annulus-{pid}.sock"))).collect();
    let is_socket = |path: &&PathBuf| path.metadata().is_ok_and(|about| about.file_type().is_socket());
    if let Some(path) = places.iter().find(is_socket) {
        return Ok(Place::Unix(path.clone()));
    }
    if cfg!(target_os = "linux") && !Path::new("/proc").join(pid.to_string()).exists() {
        return Err(format!("there is no process {pid}"));
    }
    if let Some(address) = asked_for(pid) {
        return find(&address);
    }
    let looked: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
    Err(format!(
        "process {pid} has no inspector at {}: start it with ANNULUS_INSPECT=unix: or its own \
         --inspect, or say its inspector's address instead of its number",
        looked.join(" or ")
    ))
}

/// The address that a process was given by its environment, if that says it all: port 0 does not.
fn asked_for(pid: u32) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    let value = variables.find_map(|variable| variable.strip_prefix(b"ANNULUS_INSPECT="))?;
    let address = std::str::from_utf8(value).ok()?;
    let is_whole = address
        .strip_prefix("unix:")
        .map_or(address.contains(':') && !address.ends_with(":0"), |path| !path.is_empty());
    is_whole.then(|| address.to_owned())
}
