//! The system calls of a test, which runs once more under strace for that.

use std::process::{Command, Stdio};

use super::child;

/// Runs this test again as a child, and gives what strace tells of its system calls, asked with these options besides. Where that
/// cannot be it says so: None.
pub(crate) fn traced(options: &[&str]) -> Option<String> {
    let test = child::name();
    if !cfg!(target_os = "linux") || Command::new("strace").arg("-V").output().is_err() {
        super::skipped(&test, "there is no strace to count system calls with");
        return None;
    }
    let itself = child::myself(&test);
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o", "/dev/stderr"]).args(options);
    traced.arg(itself.get_program()).args(itself.get_args());
    for (name, value) in itself.get_envs() {
        traced.env(name, value.unwrap_or_default());
    }
    let output = traced.stdin(Stdio::null()).output().unwrap();
    let text = child::text(&output.stderr);
    if !output.status.success() && text.contains("PTRACE") {
        super::skipped(&test, "strace may not trace here");
        return None;
    }
    assert!(output.status.success(), "{text}");
    Some(text)
}
