//! Processes that are started as a service manager starts them: with sockets, and with variables about those.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::child::{myself, text};

/// What a process of these tests is there for.
pub(crate) const ROLE: &str = "ANNULUS_TEST_ROLE";

pub(crate) fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Whether a descriptor is open, and then whether it is close-on-exec.
pub(crate) fn is_close_on_exec(number: i32) -> Option<bool> {
    // SAFETY: no memory is passed.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    (flags >= 0).then_some(flags & libc::FD_CLOEXEC != 0)
}

/// A duplicate of at least that number, close-on-exec.
pub(crate) fn duplicate_from(descriptor: BorrowedFd<'_>, lowest: i32) -> OwnedFd {
    // SAFETY: no memory is passed.
    let number = unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest) };
    assert!(number >= lowest, "{}", io::Error::last_os_error());
    // SAFETY: it was just made, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// The command that runs this test again as a manager would: with these descriptors at 3, 4 and so on, and LISTEN_PID set to what
/// the shell makes of `process`.
pub(crate) fn activated(test: &str, process: &str, sockets: Vec<OwnedFd>) -> Command {
    let again = myself(test);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("export LISTEN_PID={process}; exec \"$@\""), "sh"]);
    command.arg(again.get_program()).args(again.get_args());
    command.envs(again.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("LISTEN_FDS", sockets.len().to_string());

    let sockets: Vec<_> = sockets.iter().map(|socket| duplicate_from(socket.as_fd(), 40)).collect();
    let settle = move || {
        for (number, socket) in (3..).zip(&sockets) {
            // SAFETY: no memory is passed, and it may be called between fork and exec.
            assert_eq!(unsafe { libc::dup2(socket.as_raw_fd(), number) }, number);
        }
        // SAFETY: as above. What the machinery around the tests leaves open is no part of them.
        #[cfg(target_os = "linux")]
        unsafe {
            let from = 3 + sockets.len() as u32;
            libc::syscall(libc::SYS_close_range, from, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
        };
        Ok(())
    };
    // SAFETY: it makes calls that are allowed between fork and exec.
    unsafe { command.pre_exec(settle) };
    command
}

/// Runs it, and gives what it printed.
#[track_caller]
pub(crate) fn succeeds(test: &str, mut command: Command) -> String {
    // std's pipe for what fork and exec have to say must not be where the descriptors go.
    let null = File::open("/dev/null").unwrap();
    let _occupied: Vec<_> = (0..10).map(|_| duplicate_from(null.as_fd(), 3)).collect();
    let output = command.output().unwrap();
    let printed = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{test}, in a process of its own: {}\n{printed}", output.status);
    assert!(printed.contains("running 1 test"), "there is no test {test:?}");
    printed
}
