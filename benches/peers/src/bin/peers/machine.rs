//! What the figures were measured on.

use std::fmt::Write as _;
use std::io;
use std::process::Command;

use super::contestants;

/// Kernel, processor, compiler, versions and flags.
pub fn describe((fewest, most): (usize, usize), seconds: f64) -> String {
    let mut text = String::new();
    let first = |path: &str, key: &str| {
        let file = std::fs::read_to_string(path).unwrap_or_default();
        let line = file.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
        line.split_once(':').map_or(line.clone(), |(_, value)| value.trim().to_owned())
    };
    let _ = writeln!(text, "kernel      {}", said("uname", &["-srm"]));
    // Not those that this thread is bound to.
    // SAFETY: no memory is passed.
    let cores = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    let _ = writeln!(text, "processor   {}, {cores} cores", first("/proc/cpuinfo", "model name"));
    let hypervisor = std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|info| info.contains("hypervisor"));
    let _ = writeln!(text, "machine     {}", if hypervisor { "virtual" } else { "physical" });
    let _ = writeln!(text, "memory      {}", first("/proc/meminfo", "MemTotal"));
    let _ = writeln!(text, "libc        {}", said("ldd", &["--version"]).lines().next().unwrap_or_default());
    let _ =
        writeln!(text, "compiler    {}, release, fat LTO, one codegen unit", said("rustc", &["--version"]));
    let tools = [("wrk", "-v"), ("fio", "--version"), ("strace", "--version"), ("valgrind", "--version")];
    for (tool, argument) in tools {
        let version = said(tool, &[argument]);
        let version = version.lines().next().filter(|line| !line.is_empty()).unwrap_or("not there");
        let _ = writeln!(text, "{tool:12}{version}");
    }
    let rounds = if fewest == most { most.to_string() } else { format!("{fewest} to {most}") };
    let _ = writeln!(text, "rounds      {rounds}, of {seconds} s a turn");
    for contestant in contestants::ALL {
        let _ = writeln!(
            text,
            "{:20}{:16}ring flags: {}",
            contestant.name,
            contestant.version(),
            contestant.flags
        );
    }
    text
}

/// What a program says of itself.
fn said(program: &str, arguments: &[&str]) -> String {
    Command::new(program).args(arguments).output().map_or(String::new(), |output| {
        let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
        String::from_utf8_lossy(&text).trim().to_owned()
    })
}

/// As many descriptors as this process may have; its children inherit that.
pub fn raise_limits() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: one reads what it is given, the other writes it.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// Binds this thread, and the children that say nothing else, to a core.
pub fn pin(core: usize) -> io::Result<()> {
    annulus_peers::pin(core)
}
