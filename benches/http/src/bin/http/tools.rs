//! Programs of others: `wrk`, `h2load`, `strace`, `valgrind`. What they print is read here and nowhere else.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::Command;

/// What a load asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Hello,
    Json,
    /// A body of so many bytes, which comes back.
    Echo(usize),
}

impl Asked {
    fn path(self) -> &'static str {
        match self {
            Asked::Hello => "",
            Asked::Json => "json",
            Asked::Echo(_) => "echo",
        }
    }
}

/// Where a load goes, and how long, in whole seconds.
#[derive(Clone, Copy)]
pub struct Target {
    pub address: SocketAddr,
    pub asked: Asked,
    pub seconds: u64,
}

/// HTTP/1.1 by `wrk`, which runs on this thread's core. Tells how many answers came.
///
/// # Errors
/// That it is not there, or met errors.
pub fn wrk(target: Target, connections: usize) -> io::Result<u64> {
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{}s", target.seconds)]);
    let mut script = tempfile::Builder::new().suffix(".lua").tempfile()?;
    if let Asked::Echo(size) = target.asked {
        writeln!(script, "wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", {size})")?;
        command.arg("-s").arg(script.path());
    }
    command.arg(format!("http://{}/{}", target.address, target.asked.path()));
    requests_of_wrk(&said(&mut command)?)
}

/// HTTP/2 without TLS by `h2load`, on this thread's core. Tells how many answers came.
///
/// # Errors
/// That it is not there, or met errors.
pub fn h2load(target: Target, connections: usize, streams: usize) -> io::Result<u64> {
    let mut command = Command::new("h2load");
    command.args(["-t", "1", "-c", &connections.to_string(), "-m", &streams.to_string()]);
    command.args(["-D", &target.seconds.to_string()]);
    let mut body = tempfile::NamedTempFile::new()?;
    if let Asked::Echo(size) = target.asked {
        body.write_all(&vec![b'x'; size])?;
        command.arg("-d").arg(body.path());
    }
    command.arg(format!("http://{}/{}", target.address, target.asked.path()));
    requests_of_h2load(&said(&mut command)?)
}

fn said(command: &mut Command) -> io::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| {
        io::Error::new(error.kind(), format!("{name}: {error}; is it installed? (apt: wrk, nghttp2-client)"))
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

fn requests_of_wrk(text: &str) -> io::Result<u64> {
    let errors = |line: &&str| line.contains("Socket errors") || line.contains("Non-2xx");
    if let Some(errors) = text.lines().find(errors) {
        return Err(io::Error::other(format!("wrk met errors: {}", errors.trim())));
    }
    let line = text.lines().find(|line| line.contains(" requests in "));
    let count = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    count.ok_or_else(|| io::Error::other(format!("wrk printed no number of requests:\n{text}")))
}

/// From `requests: 100 total, 100 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout`.
fn requests_of_h2load(text: &str) -> io::Result<u64> {
    let bad = || io::Error::other(format!("h2load printed no number of requests:\n{text}"));
    let line = text.lines().find_map(|line| line.strip_prefix("requests: ")).ok_or_else(bad)?;
    let of = |what: &str| -> Option<u64> {
        line.split(", ").find_map(|part| part.strip_suffix(what))?.trim().parse().ok()
    };
    let statuses = text.lines().find_map(|line| line.strip_prefix("status codes: ")).unwrap_or_default();
    let succeeded = of(" succeeded").ok_or_else(bad)?;
    let is_well = succeeded > 0 && of(" failed") == Some(0) && statuses.contains(" 0 4xx, 0 5xx");
    if is_well {
        Ok(succeeded)
    } else {
        Err(io::Error::other(format!("h2load met errors: {line}; {statuses}")))
    }
}

/// How many calls `strace -c` counted, and each of them with its name.
///
/// # Errors
/// That it counted nothing.
pub fn calls(summary: &str) -> io::Result<Vec<(String, u64)>> {
    // "60.00    0.010000           2      4000        12 io_uring_enter"; the fourth column may be missing.
    let of = |line: &str| -> Option<(String, u64)> {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let count = columns.get(3)?.parse().ok()?;
        columns[0].parse::<f64>().ok()?;
        Some(((*columns.last()?).to_owned(), count))
    };
    let calls: Vec<_> = summary.lines().filter_map(of).filter(|(name, _)| name != "total").collect();
    if calls.is_empty() {
        return Err(io::Error::other(format!("strace counted nothing:\n{summary}")));
    }
    Ok(calls)
}

/// How many instructions callgrind counted.
///
/// # Errors
/// That it wrote none.
pub fn instructions(written: &str) -> io::Result<u64> {
    let of = |line: &str| -> Option<u64> {
        line.strip_prefix("summary: ").or(line.strip_prefix("totals: "))?.trim().parse().ok()
    };
    written.lines().find_map(of).ok_or_else(|| io::Error::other("callgrind wrote no sum"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrk_is_understood() {
        let text = "Running 1s test\n  151234 requests in 1.00s, 13.84MB read\nRequests/sec: 150123.45\n";
        assert_eq!(requests_of_wrk(text).unwrap(), 151_234);
        assert!(requests_of_wrk("unable to connect").unwrap_err().to_string().contains("number of requests"));
        let errors = format!("{text}  Socket errors: connect 0, read 12, write 0, timeout 0\n");
        assert!(requests_of_wrk(&errors).unwrap_err().to_string().contains("read 12"));
    }

    #[test]
    fn h2load_is_understood() {
        let text = "finished in 1.00s, 123 req/s, 1KB/s\n\
                    requests: 4321 total, 4449 started, 4321 done, 4321 succeeded, 0 failed, 0 errored, 0 timeout\n\
                    status codes: 4321 2xx, 0 3xx, 0 4xx, 0 5xx\n";
        assert_eq!(requests_of_h2load(text).unwrap(), 4321);
        let failed = text.replace("0 failed", "7 failed");
        assert!(requests_of_h2load(&failed).unwrap_err().to_string().contains("7 failed"));
        let wrong = text.replace("0 4xx", "3 4xx");
        assert!(requests_of_h2load(&wrong).unwrap_err().to_string().contains("3 4xx"));
        assert!(requests_of_h2load(&text.replace("4321 succeeded", "0 succeeded")).is_err());
        assert!(requests_of_h2load("nothing").is_err());
    }

    #[test]
    fn strace_and_callgrind_are_understood() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    60.00    0.010000           2      4000           io_uring_enter\n\
                    40.00    0.002345           2       321        12 recvfrom\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    100.00    0.012345           2      4321        12 total\n";
        let expected = vec![("io_uring_enter".to_owned(), 4000), ("recvfrom".to_owned(), 321)];
        assert_eq!(calls(text).unwrap(), expected);
        assert!(calls("").is_err());
        assert_eq!(instructions("events: Ir\nsummary: 123456\n").unwrap(), 123_456);
        assert!(instructions("events: Ir\n").is_err());
    }
}
