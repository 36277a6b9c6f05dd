//! What is measured, by name.

use annulus_peers::Micro;
use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Workload {
    /// Bytes go there and come back.
    Echo {
        connections: usize,
        bytes: usize,
        outstanding: usize,
    },
    /// A fixed answer to requests, by `wrk`.
    Http {
        connections: usize,
    },
    /// Connections that do nothing.
    Idle {
        connections: usize,
    },
    /// Blocks of a file, here and there.
    Files {
        direct: bool,
        depth: usize,
    },
    Micro(Micro, u64),
    /// System calls and user-space instructions of an echoed message of 64 bytes.
    Calls {
        connections: usize,
    },
    Instructions {
        connections: usize,
    },
}

use Workload::{Calls, Echo, Files, Http, Idle, Instructions};

/// All of them, with their names.
pub fn all() -> Vec<(String, Workload)> {
    let mut all = Vec::new();
    for bytes in [64, 1024, 16 << 10] {
        for connections in [1, 64, 512, 4096] {
            all.push(Echo { connections, bytes, outstanding: 1 });
        }
    }
    all.extend([64, 1024].map(|bytes| Echo { connections: 64, bytes, outstanding: 16 }));
    all.push(Http { connections: 64 });
    all.push(Idle { connections: 8000 });
    for direct in [false, true] {
        all.extend([1, 32, 128].map(|depth| Files { direct, depth }));
    }
    all.extend(Micro::value_variants().iter().map(|micro| Workload::Micro(*micro, times(*micro))));
    all.extend([64, 4096].map(|connections| Calls { connections }));
    all.push(Instructions { connections: 64 });
    all.into_iter().map(|workload| (workload.name(), workload)).collect()
}

/// How often, so that each lasts some tenths of a second.
fn times(micro: Micro) -> u64 {
    match micro {
        Micro::SpawnOne | Micro::SpawnThousand | Micro::NopOne => 1_000_000,
        Micro::YieldOne | Micro::YieldMany | Micro::NopMany => 4_000_000,
        Micro::TimersFired => 100_000,
        Micro::TimersCancelled => 1_000_000,
        Micro::CrossThread => 20_000,
        Micro::Channel | Micro::Oneshot | Micro::Notify => 1_000_000,
    }
}

/// As people write sizes.
pub fn size(bytes: usize) -> String {
    match bytes {
        bytes if bytes % 1024 == 0 => format!("{}KiB", bytes / 1024),
        bytes => format!("{bytes}B"),
    }
}

impl Workload {
    /// What `--only` calls it.
    pub fn name(self) -> String {
        match self {
            Echo { connections, bytes, outstanding: 1 } => format!("echo-{}x{connections}", size(bytes)),
            Echo { connections, bytes, outstanding } => {
                format!("echo-{}x{connections}x{outstanding}", size(bytes))
            }
            Http { connections } => format!("http-{connections}"),
            Idle { connections } => format!("idle-{connections}"),
            Files { direct, depth } => format!("files-{}-{depth}", if direct { "direct" } else { "cached" }),
            Workload::Micro(micro, _) => {
                let value = micro.to_possible_value().expect("none is hidden");
                format!("micro-{}", value.get_name())
            }
            Calls { connections } => format!("calls-{connections}"),
            Instructions { connections } => format!("instructions-{connections}"),
        }
    }

    /// What the tables say of it.
    pub fn title(self) -> String {
        match self {
            Echo { connections, bytes, outstanding } => {
                let many = if connections == 1 { "connection" } else { "connections" };
                let outstanding =
                    if outstanding > 1 { format!(", {outstanding} outstanding") } else { String::new() };
                format!("echo {}, {connections} {many}{outstanding}", size(bytes))
            }
            Http { connections } => format!("HTTP keep-alive, {connections} connections"),
            Idle { connections } => format!("idle connections, {connections}"),
            Files { direct, depth } => {
                format!("4 KiB random reads, {}, depth {depth}", if direct { "O_DIRECT" } else { "cached" })
            }
            Workload::Micro(micro, _) => {
                let value = micro.to_possible_value().expect("none is hidden");
                value.get_name().replace('-', " ")
            }
            Calls { connections } => format!("system calls an echoed message, {connections} connections"),
            Instructions { connections } => {
                format!("user-space instructions an echoed message, {connections} connections")
            }
        }
    }
}

/// Those that `names` choose: by their whole name, or by its beginning up to a dash.
///
/// # Errors
/// A name that chooses none.
pub fn chosen(names: &[String]) -> Result<Vec<(String, Workload)>, String> {
    let all = all();
    let is = |name: &str, wanted: &str| {
        name == wanted || name.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('-'))
    };
    if let Some(unknown) = names.iter().find(|wanted| !all.iter().any(|(name, _)| is(name, wanted))) {
        let known: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
        return Err(format!("there is no workload {unknown:?}; there are: {}", known.join(", ")));
    }
    Ok(all
        .into_iter()
        .filter(|(name, _)| names.is_empty() || names.iter().any(|wanted| is(name, wanted)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_chooses_a_workload_and_its_beginning_a_group() {
        let names = |wanted: &[&str]| -> Vec<String> {
            let wanted: Vec<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
            chosen(&wanted).unwrap().into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&["echo-64Bx1"]), ["echo-64Bx1"]);
        assert_eq!(names(&["files-cached"]), ["files-cached-1", "files-cached-32", "files-cached-128"]);
        assert_eq!(names(&[]).len(), all().len());
        let error = chosen(&["ecko".to_owned()]).unwrap_err();
        assert!(error.contains("ecko") && error.contains("echo-64Bx1"), "{error}");
    }
}
