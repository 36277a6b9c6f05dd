//! Programs of others: `wrk`, `fio`, `strace`, `valgrind`. What they print is read here and nowhere else.

use std::io;
use std::path::Path;
use std::process::Command;

use annulus_peers::Files;

/// What `wrk` found: requests, seconds, p50 and p99 in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Requests {
    pub count: u64,
    pub per_second: f64,
    pub p50: f64,
    pub p99: f64,
}

pub fn requests(text: &str) -> io::Result<Requests> {
    let bad = |what: &str| io::Error::other(format!("wrk printed no {what}:\n{text}"));
    if let Some(errors) = text.lines().find(|line| line.contains("Socket errors") || line.contains("Non-2xx"))
    {
        return Err(io::Error::other(format!("wrk met errors: {}", errors.trim())));
    }
    let line = |what: &str| text.lines().map(str::trim).find(|line| line.contains(what));
    let count = line(" requests in ").and_then(|line| line.split_whitespace().next()?.parse().ok());
    let per_second = line("Requests/sec:").and_then(|line| line.split_whitespace().last()?.parse().ok());
    let at = |percent: &str| {
        let found = text.lines().map(str::trim).find(|line| line.starts_with(percent));
        found.and_then(|line| nanoseconds(line.split_whitespace().last()?))
    };
    Ok(Requests {
        count: count.ok_or_else(|| bad("number of requests"))?,
        per_second: per_second.ok_or_else(|| bad("rate"))?,
        p50: at("50%").ok_or_else(|| bad("median"))?,
        p99: at("99%").ok_or_else(|| bad("99th percentile"))?,
    })
}

/// `1.20ms`, as nanoseconds.
fn nanoseconds(text: &str) -> Option<f64> {
    let units = [("us", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9)];
    let (number, by) = units.iter().find_map(|(unit, by)| Some((text.strip_suffix(unit)?, by)))?;
    Some(number.parse::<f64>().ok()? * by)
}

/// How many calls `strace -c` counted.
pub fn calls(summary: &str) -> io::Result<u64> {
    let total = summary.lines().rev().find(|line| line.trim_end().ends_with(" total"));
    // "100.00    0.012345           1      4321        12 total"
    let count = total.and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    count.ok_or_else(|| io::Error::other(format!("strace counted nothing:\n{summary}")))
}

/// How many instructions callgrind counted.
pub fn instructions(written: &str) -> io::Result<u64> {
    let sum =
        written.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    sum.and_then(|sum| sum.trim().parse().ok()).ok_or_else(|| io::Error::other("callgrind wrote no sum"))
}

/// What `fio` found: reads, and nanoseconds a read by the wall and by the processor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reads {
    pub wall: f64,
    pub cpu: f64,
}

pub fn reads(json: &str) -> io::Result<Reads> {
    let bad = || io::Error::other(format!("fio printed no figures:\n{json}"));
    // Warnings may stand in front.
    let json = json.get(json.find('{').ok_or_else(bad)?..).ok_or_else(bad)?;
    let all: serde_json::Value = serde_json::from_str(json).map_err(io::Error::other)?;
    let job = &all["jobs"][0];
    let number = |value: &serde_json::Value| value.as_f64().ok_or_else(bad);
    let (count, runtime) = (number(&job["read"]["total_ios"])?, number(&job["read"]["runtime"])?);
    let busy = (number(&job["usr_cpu"])? + number(&job["sys_cpu"])?) / 100.0;
    if count == 0.0 {
        return Err(bad());
    }
    let wall = runtime * 1e6 / count;
    Ok(Reads { wall, cpu: wall * busy })
}

/// Has `fio` read the file as the contestants do.
pub fn fio(files: &Files, core: usize) -> io::Result<Reads> {
    let engine = if files.depth == 1 { "psync" } else { "io_uring" };
    let output = Command::new("fio")
        .args([
            "--name=reads",
            "--rw=randread",
            "--bs=4k",
            "--thread",
            "--output-format=json",
            "--norandommap",
        ])
        .arg(format!("--filename={}", files.path.display()))
        .arg(format!("--ioengine={engine}"))
        .arg(format!("--iodepth={}", files.depth))
        .arg(format!("--direct={}", u8::from(files.direct)))
        .arg(format!("--cpus_allowed={core}"))
        .args(["--invalidate=0", "--runtime=1", "--time_based"])
        .output()?;
    reads(&String::from_utf8_lossy(&output.stdout))
}

pub fn read(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrk_is_understood() {
        let text = "Running 1s test\n  Latency Distribution\n     50%  411.00us\n     75%  500.00us\n     90%    0.90ms\n     \
                    99%    1.20ms\n  151234 requests in 1.00s, 13.84MB read\nRequests/sec: 150123.45\nTransfer/sec: 1MB\n";
        let expected = Requests { count: 151_234, per_second: 150_123.45, p50: 411e3, p99: 1.2e6 };
        assert_eq!(requests(text).unwrap(), expected);
        assert!(requests("unable to connect").unwrap_err().to_string().contains("number of requests"));
        let errors = format!("{text}  Socket errors: connect 0, read 12, write 0, timeout 0\n");
        assert!(requests(&errors).unwrap_err().to_string().contains("read 12"));
    }

    #[test]
    fn strace_and_callgrind_are_understood() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    60.00    0.010000           2      4000           io_uring_enter\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    100.00    0.012345           2      4321        12 total\n";
        assert_eq!(calls(text).unwrap(), 4321);
        assert!(calls("").is_err());
        assert_eq!(instructions("events: Ir\nsummary: 123456\n").unwrap(), 123_456);
        assert!(instructions("events: Ir\n").is_err());
    }

    #[test]
    fn fio_is_understood() {
        let json = r#"note: both iodepth >= 1
            {"jobs": [{"read": {"total_ios": 1000, "runtime": 1}, "usr_cpu": 10.0, "sys_cpu": 30.0}]}"#;
        assert_eq!(reads(json).unwrap(), Reads { wall: 1000.0, cpu: 400.0 });
        assert!(reads("fio: failed").is_err());
    }
}
