//! The example whose numbers Prometheus reads, as a process of its own: what it says is an exposition, and moves with what is done.

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use annulus::Driver;
use support::example::example_with;

const PATIENCE: Duration = Duration::from_secs(60);

/// The example, which ends with the test.
struct Program {
    child: Child,
    echo: String,
    metrics: String,
}

impl Program {
    fn start(driver: Driver) -> Program {
        let mut child = Command::new(example_with("prometheus", "http-serve,metrics"))
            .args(["--addr", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--driver", &driver.to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example is built");
        let mut first = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut first).unwrap();
        let between = |before, behind| {
            first.split_once(before).and_then(|(_, rest): (_, &str)| rest.split_once(behind))
        };
        let echo = between("echoing at ", ",").unwrap_or_else(|| panic!("it said {first:?}")).0.to_owned();
        let metrics = between("http://", "/metrics").unwrap().0.to_owned();
        Program { child, echo, metrics }
    }

    fn connect(address: &str) -> TcpStream {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn ask(&self, path: &str) -> (String, String) {
        let mut stream = Program::connect(&self.metrics);
        write!(stream, "GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        // In pieces, if there is no length: each begins with its own.
        assert!(head.to_lowercase().contains("content-length"), "{head}");
        (head.to_owned(), body.to_owned())
    }

    fn samples(&self) -> Samples {
        let (head, body) = self.ask("/metrics");
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/plain; version=0.0.4"), "{head}");
        parsed(&body)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// By name and labels.
type Samples = BTreeMap<(String, BTreeMap<String, String>), f64>;

/// An exposition, as <https://prometheus.io/docs/instrumenting/exposition_formats/> has it.
fn parsed(text: &str) -> Samples {
    let (mut samples, mut types) = (Samples::new(), BTreeMap::new());
    assert!(text.ends_with('\n'), "the last line ends as well");
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<_> = comment.splitn(3, ' ').collect();
            match words[..] {
                ["HELP", name, text] => assert!(is_name(name) && !text.is_empty(), "{line}"),
                ["TYPE", name, kind @ ("counter" | "gauge" | "histogram")] => {
                    assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let (name, labels) = match series.split_once('{') {
            None => (series, BTreeMap::new()),
            Some((name, labels)) => {
                (name, pairs(labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"))))
            }
        };
        assert!(is_name(name), "{line}");
        let parts = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
        let kind = types.get(name).or_else(|| types.get(parts?)).unwrap_or_else(|| panic!("no type: {line}"));
        assert!(value >= 0.0 && (kind == "histogram") == parts.is_some(), "{line} is no {kind}");
        assert!(samples.insert((name.to_owned(), labels), value).is_none(), "twice: {line}");
    }
    samples
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn pairs(labels: &str) -> BTreeMap<String, String> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or_else(|| panic!("{labels}"));
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        (key.to_owned(), value.unwrap_or_else(|| panic!("{labels}")).to_owned())
    };
    labels.split(',').map(pair).collect()
}

/// The sum over all that has these labels.
fn sum(samples: &Samples, name: &str, labels: &[(&str, &str)]) -> f64 {
    let wanted = |found: &BTreeMap<String, String>| {
        labels.iter().all(|(key, value)| found.get(*key).is_some_and(|found| found.starts_with(value)))
    };
    samples.iter().filter(|((other, found), _)| other == name && wanted(found)).map(|(_, value)| value).sum()
}

fn on_each(test: impl Fn(&Program)) {
    for driver in [Driver::Uring, Driver::Readiness] {
        match annulus::Runtime::builder().driver(driver).build() {
            Ok(_) => test(&Program::start(driver)),
            Err(error) => println!("skipped: {error}"),
        }
    }
}

#[test]
fn what_prometheus_reads_moves_with_what_is_done() {
    on_each(|program| {
        let before = program.samples();
        let mut stream = Program::connect(&program.echo);
        for _ in 0..200 {
            stream.write_all(&[7; 1000]).unwrap();
            stream.read_exact(&mut [0; 1000]).unwrap();
        }
        let after = program.samples();
        for (key, value) in &before {
            let (name, labels) = key;
            let now = after.get(key).unwrap_or_else(|| panic!("{name} {labels:?} is gone"));
            let grows = ["_total", "_bucket", "_count", "_sum"].iter().any(|end| name.ends_with(end));
            assert!(!grows || now >= value, "{name} {labels:?}: {value}, then {now}");
        }
        let grown =
            |name: &str, labels: &[(&str, &str)]| sum(&after, name, labels) - sum(&before, name, labels);
        let here = ("name", "echo");
        assert!(grown("annulus_operation_bytes_total", &[here, ("operation", "recv")]) >= 200_000.0);
        assert!(grown("annulus_operation_bytes_total", &[here, ("operation", "send")]) >= 200_000.0);
        assert!(grown("annulus_operation_completed_total", &[here, ("operation", "send")]) >= 200.0);
        assert!(grown("annulus_loop_turns_total", &[here]) >= 200.0);
        assert!(grown("annulus_driver_enters_total", &[here]) > 0.0);
        assert_eq!(grown("echo_connections_total", &[]), 1.0);
        assert!(sum(&after, "annulus_tasks_alive", &[here]) >= 3.0, "main, who answers, who echoes");
    });
}

#[test]
fn the_buckets_of_a_histogram_add_up() {
    on_each(|program| {
        let mut stream = Program::connect(&program.echo);
        for _ in 0..1000 {
            stream.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
        let samples = program.samples();
        let mut series: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
        for ((name, labels), value) in &samples {
            let Some(name) = name.strip_suffix("_bucket") else { continue };
            let mut labels = labels.clone();
            let bound = labels.remove("le").unwrap().replace("+Inf", "inf").parse().unwrap();
            series.entry((name.to_owned(), labels)).or_default().push((bound, *value));
        }
        assert!(series.keys().any(|(name, _)| name == "annulus_operation_duration_seconds"));
        for ((name, labels), mut buckets) in series {
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(buckets.is_sorted_by(|one, other| one.1 <= other.1), "{name} {labels:?}: {buckets:?}");
            let last = buckets.last().unwrap();
            assert_eq!(*last, (f64::INFINITY, samples[&(format!("{name}_count"), labels)]), "{name}");
        }
    });
}

#[test]
fn any_other_path_is_answered_by_where_the_numbers_are() {
    on_each(|program| {
        let (head, body) = program.ask("/");
        assert!(head.starts_with("HTTP/1.1 404") && body.contains("/metrics"), "{head} {body}");
    });
}
