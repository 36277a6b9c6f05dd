//! What to start in place of this program.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// This program again, with the arguments that it was started with, and the environment and directory that it has.
///
/// The program is looked for where it was started from, so one that was put in its place meanwhile is the new one. Names that
/// lead there were followed when it was started: where a symbolic link says which release is current, give
/// [`Successor::start`](super::Successor::start) a command with the link's name.
///
/// # Errors
/// `NotFound`: the program was removed, or moved, and nothing is in its place.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// let mut command = annulus::service::program()?;
/// command.env("GENERATION", "2");
/// assert_eq!(command.get_program(), std::env::current_exe()?);
/// # Ok(())
/// # }
/// ```
pub fn program() -> io::Result<Command> {
    let mut command = Command::new(path()?);
    let mut arguments = std::env::args_os();
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments);
    Ok(command)
}

fn path() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    if path.exists() {
        return Ok(path);
    }
    // What /proc/self/exe says of a program that was replaced: see proc(5).
    let before = path.to_str().and_then(|text| text.strip_suffix(" (deleted)")).map(PathBuf::from);
    before.filter(|path| path.exists()).ok_or_else(|| {
        let text =
            format!("this program is not at {} any more: start one by a command of your own", path.display());
        io::Error::new(io::ErrorKind::NotFound, text)
    })
}
