//! Limits of the process and of its container, and settings of the system that a loop comes up against.

use super::Fact;
use super::fact::{Topic, bytes, pieces};
use super::proc::{self, group_limit, line};
use crate::sys::limits::{self as sys_limits, Limit};
use crate::topology::Topology;

/// What a shell gives when nobody asked for more.
const USUAL_DESCRIPTORS: u64 = 1024;
/// What the kernel gives when nobody asked for more.
const USUAL_LOCKED: u64 = 8 << 20;
/// Half of what helper threads there may be by default; the kernel's own count as well.
const FEW_THREADS: u64 = 256;
/// Four times what all leases of a loop take at most, by default.
const LITTLE_MEMORY: u64 = 64 << 20;
/// What listeners ask for by default.
const BACKLOG: u64 = 1024;
/// In pages: what the large pipes of two loops take.
const FEW_PIPE_PAGES: u64 = 4096;
/// CAP_IPC_LOCK, of capabilities(7).
const MAY_LOCK: u64 = 1 << 14;

pub(super) fn facts() -> Vec<Fact> {
    let machine = Topology::read();
    [
        sys_limits::open_files().ok().map(descriptors),
        sys_limits::locked_memory().ok().map(locked),
        sys_limits::processes().ok().map(threads),
        group_limit("pids", "pids.max", "pids.max").map(group_threads),
        group_limit("memory", "memory.max", "memory.limit_in_bytes").map(memory),
        sys_limits::processors().ok().map(processors),
        Some(topology(machine.to_string(), machine.loops(), machine.quota())),
        proc::number("net.core.somaxconn").map(backlog),
        proc::number("fs.nr_open").map(greatest_number),
        proc::number("fs.pipe-user-pages-soft").map(pipes),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What holds, and what it may be raised to.
fn both(limit: Limit, words: fn(u64) -> String) -> String {
    match limit.now == limit.most {
        true => words(limit.now),
        false => format!("{}, may be raised to {}", words(limit.now), words(limit.most)),
    }
}

fn descriptors(limit: Limit) -> Fact {
    let fact = Fact::good(Topic::Limits, "RLIMIT_NOFILE", both(limit, pieces)).of(limit.now);
    fact.fair_if(
        limit.now <= USUAL_DESCRIPTORS,
        "each connection and each open file is a descriptor: when they are used up no more are accepted",
        || {
            let to = if limit.most > limit.now { limit.most.min(1 << 20) } else { 65_536 };
            format!("`ulimit -n {to}` before the start; LimitNOFILE={to} in a unit; --ulimit nofile={to} for a container")
        },
    )
}

fn locked(limit: Limit) -> Fact {
    let may_lock = may_lock();
    let words = match may_lock {
        true => format!("{}, which does not bind this process (CAP_IPC_LOCK)", bytes(limit.now)),
        false => both(limit, bytes),
    };
    let fact = Fact::good(Topic::Limits, "RLIMIT_MEMLOCK", words).of(limit.now);
    fact.fair_if(
        !may_lock && cfg!(annulus_uring) && limit.now < USUAL_LOCKED,
        "registered buffers may not fit and are then ordinary ones; where rings count as well, they are smaller or refused",
        || {
            "`ulimit -l 65536` (KiB) before the start; LimitMEMLOCK=64M in a unit; --ulimit memlock=67108864 for a container"
                .to_owned()
        },
    )
}

fn may_lock() -> bool {
    let capabilities = line(&proc::status(), "CapEff").and_then(|bits| u64::from_str_radix(bits, 16).ok());
    capabilities.is_some_and(|bits| bits & MAY_LOCK != 0)
}

fn threads(limit: Limit) -> Fact {
    let fact = Fact::good(Topic::Limits, "RLIMIT_NPROC", both(limit, pieces)).of(limit.now);
    fact.fair_if(
        limit.now < FEW_THREADS,
        "helper threads and the kernel's workers count: what finds none waits for its turn, or fails",
        || {
            "`ulimit -u 4096` before the start, LimitNPROC=4096 in a unit; or fewer by Builder::helpers_max"
                .to_owned()
        },
    )
}

fn group_threads(limit: u64) -> Fact {
    let fact = Fact::good(Topic::Limits, "cgroup pids.max", pieces(limit)).of(limit);
    fact.fair_if(
        limit < FEW_THREADS,
        "helper threads and the kernel's workers count: what finds none waits for its turn, or fails",
        || {
            "--pids-limit 4096 for a container, TasksMax=4096 in a unit; or fewer by Builder::helpers_max"
                .to_owned()
        },
    )
}

fn memory(limit: u64) -> Fact {
    let fact = Fact::good(Topic::Limits, "cgroup memory.max", bytes(limit)).of(limit);
    fact.fair_if(
        limit < LITTLE_MEMORY,
        "a loop's ring and leases may take 17 MiB: little is left for the page cache, and reads go to the disk",
        || "--memory 256m for a container, MemoryMax=256M in a unit; or less by Builder::leases_max".to_owned(),
    )
}

fn processors(online: u64) -> Fact {
    let usable = std::thread::available_parallelism().map_or(online, |usable| usable.get() as u64);
    let words = if usable < online { format!("{usable} of {online}") } else { online.to_string() };
    let fact = Fact::good(Topic::Limits, "processors", words).of(usable);
    fact.fair_if(
        usable == 1 && online > 1,
        "the loop, its helper threads and the kernel's workers take turns on one",
        || {
            "let the process have two or more: --cpus for a container, AllowedCPUs= in a unit, taskset"
                .to_owned()
        },
    )
}

/// The number is that of the loops that are right.
fn topology(words: String, loops: usize, quota: Option<f64>) -> Fact {
    let fact = Fact::good(Topic::Limits, "topology", words).of(loops as u64);
    fact.fair_if(
        quota.is_some_and(|quota| quota < 1.0),
        "a loop that has used up its quota stands still until the period ends, up to 100 ms, and all its tasks with it",
        || "--cpus 1 or more for a container, CPUQuota=100% or more in a unit".to_owned(),
    )
}

fn backlog(limit: u64) -> Fact {
    let fact = Fact::good(Topic::System, "net.core.somaxconn", pieces(limit)).of(limit);
    fact.fair_if(
        limit < BACKLOG,
        "listeners ask for 1024: of a burst of connections those beyond it try again a second later",
        || {
            "as root: sysctl -w net.core.somaxconn=4096; --sysctl net.core.somaxconn=4096 for a container"
                .to_owned()
        },
    )
}

fn greatest_number(limit: u64) -> Fact {
    Fact::good(Topic::System, "fs.nr_open", pieces(limit)).of(limit)
}

fn pipes(limit: u64) -> Fact {
    let words = if limit == 0 { "unlimited".to_owned() } else { format!("{limit} pages") };
    let fact = Fact::good(Topic::System, "fs.pipe-user-pages-soft", words).of(limit);
    fact.fair_if(
        limit != 0 && limit < FEW_PIPE_PAGES,
        "a loop's pipes take up to 2048 pages: beyond the limit copies past the program go by single pages",
        || "as root: sysctl -w fs.pipe-user-pages-soft=16384".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::Standing;
    use super::*;

    fn limit(now: u64) -> Limit {
        Limit { now, most: 1 << 20 }
    }

    #[test]
    fn what_is_little_is_told_with_its_price_and_remedy_and_what_is_enough_is_not() {
        let fair = [
            descriptors(limit(1024)),
            threads(limit(255)),
            group_threads(100),
            memory(32 << 20),
            topology("2 processors".to_owned(), 1, Some(0.99)),
            backlog(128),
            pipes(1024),
        ];
        for fact in fair {
            assert_eq!(fact.standing(), Standing::Fair, "{fact:?}");
            assert!(fact.costs().is_some() && fact.remedy().is_some(), "{fact:?}");
        }
        let good = [
            descriptors(limit(1025)),
            threads(limit(256)),
            group_threads(u64::MAX),
            memory(u64::MAX),
            topology("2 processors".to_owned(), 1, Some(1.0)),
            topology("2 processors".to_owned(), 2, None),
            backlog(4096),
            pipes(0),
            pipes(16384),
        ];
        for fact in good {
            assert_eq!(
                (fact.standing(), fact.costs(), fact.remedy()),
                (Standing::Good, None, None),
                "{fact:?}"
            );
        }
    }

    #[test]
    fn the_remedy_is_within_what_the_process_may_raise_its_limit_to() {
        let fact = descriptors(Limit { now: 256, most: 4096 });
        assert!(fact.remedy().unwrap().contains("ulimit -n 4096"), "{fact:?}");
        assert_eq!(fact.value(), "256, may be raised to 4096");
        let fact = descriptors(Limit { now: 256, most: 256 });
        assert_eq!((fact.value(), fact.number()), ("256", Some(256)));
    }
}
