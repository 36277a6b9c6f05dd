//! What permits a ring, and what forbids one: policies of the process and settings of the kernel.

use super::Fact;
use super::fact::Topic;
use super::proc::{line, setting, status};

const FORBIDDEN: &str = "no ring for this process";
const PERMIT: &str = "start the container with docs/seccomp.json of annulus, or have its policy permit io_uring_setup, \
                      io_uring_enter and io_uring_register: see docs/containers.md";

/// Where the system says nothing of the kind, nothing.
pub(super) fn facts(refused_with: Option<i32>) -> Vec<Fact> {
    let status = status();
    let disabled = setting("kernel.io_uring_disabled");
    let mut facts = Vec::new();
    if let Some(mode) = line(&status, "Seccomp") {
        let filters = line(&status, "Seccomp_filters").unwrap_or("some");
        let fact = match mode {
            "0" => Fact::good(Topic::Permission, "seccomp", "none"),
            "1" => Fact::good(Topic::Permission, "seccomp", "strict"),
            _ => Fact::good(Topic::Permission, "seccomp", format!("filters: {filters}")),
        };
        let is_permitted = !matches!(disabled.as_deref(), Some("1" | "2"));
        let is_the_policy_s = match refused_with {
            Some(libc::EPERM | libc::EACCES) => mode != "0" && is_permitted,
            // Some policies say of a call that there is none. A kernel with that setting has it.
            Some(libc::ENOSYS) => mode != "0" && disabled.is_some(),
            _ => false,
        };
        facts.push(match refused_with {
            _ if is_the_policy_s => fact.missing(FORBIDDEN, PERMIT),
            Some(libc::ENOSYS) if mode != "0" => fact.fair(
                "perhaps the ring: some policies say of a call that there is none",
                format!("if the kernel is Linux 5.11 or newer: {PERMIT}"),
            ),
            _ => fact,
        });
    }
    if let Some(value) = disabled {
        let fact = Fact::good(Topic::Permission, "kernel.io_uring_disabled", &*value);
        facts.push(match (&*value, refused_with) {
            ("2", _) => fact.missing(FORBIDDEN, "as root: sysctl -w kernel.io_uring_disabled=0"),
            ("1", Some(_)) => fact.missing(
                FORBIDDEN,
                "add its user to the group that kernel.io_uring_group names, or as root: \
                 sysctl -w kernel.io_uring_disabled=0",
            ),
            _ => fact,
        });
    }
    if let Some(group) = setting("kernel.io_uring_group") {
        let words = if group == "-1" { "none" } else { &group };
        facts.push(Fact::good(Topic::Permission, "kernel.io_uring_group", words));
    }
    facts
}
