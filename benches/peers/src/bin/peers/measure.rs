//! One contestant at one workload in one round.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use annulus_peers::{Cost, Files, Micro};
use clap::ValueEnum;

use super::contestants::Contestant;
use super::load::Load;
use super::server::{Server, command, command_under};
use super::tools;
use super::workloads::Workload;

/// Where and how long.
pub struct Bench {
    pub programs: PathBuf,
    pub server_core: usize,
    pub seconds: f64,
    pub file: PathBuf,
}

/// Metric, value, unit.
pub type Found = Vec<(&'static str, f64, &'static str)>;

const WARM: Duration = Duration::from_millis(200);
/// How many messages are counted under a tool, once and twice.
const COUNTED: u64 = 10_000;

impl Bench {
    /// `None` if the contestant does not take part in it.
    pub fn measure(&self, contestant: &Contestant, workload: Workload) -> io::Result<Option<Found>> {
        match workload {
            Workload::Echo { connections, bytes, outstanding } => {
                self.echo(contestant, connections, bytes, outstanding).map(Some)
            }
            Workload::Http { connections } => self.http(contestant, connections).map(Some),
            Workload::Idle { connections } => self.idle(contestant, connections).map(Some),
            Workload::Files { direct, depth } => self.files(contestant, direct, depth),
            Workload::Micro(work, times) => self.micro(contestant, work, times),
            Workload::Calls { connections } => self.calls(contestant, connections).map(Some),
            Workload::Instructions { connections } => self.instructions(contestant, connections).map(Some),
        }
    }

    fn echo_command(&self, contestant: &Contestant, bytes: usize) -> Command {
        let mut command = command(contestant, &self.programs, self.server_core);
        command.args(["echo", "--size", &buffer(bytes)]);
        command
    }

    fn echo(
        &self,
        contestant: &Contestant,
        connections: usize,
        bytes: usize,
        outstanding: usize,
    ) -> io::Result<Found> {
        let server = Server::start(self.echo_command(contestant, bytes))?;
        let mut load = Load::connect(server.address, connections, bytes, outstanding)?;
        load.run_for((connections * outstanding) as u64)?;
        load.run(WARM)?;
        load.forget_latency();
        let span = Duration::from_secs_f64(self.seconds);
        let (begun, cpu) = (std::time::Instant::now(), server.processor_time()?);
        let done = load.run(span)?;
        let (cpu, wall) = (server.processor_time()? - cpu, begun.elapsed());
        Ok(served(done, cpu, wall, load.latency(0.5) as f64, load.latency(0.99) as f64))
    }

    fn http(&self, contestant: &Contestant, connections: usize) -> io::Result<Found> {
        let mut command = command(contestant, &self.programs, self.server_core);
        let server = Server::start({
            command.arg("http");
            command
        })?;
        let wrk = |seconds: f64| -> io::Result<tools::Requests> {
            let output = Command::new("wrk")
                .args(["-t1", "--latency", &format!("-c{connections}")])
                .arg(format!("-d{}s", seconds.ceil().max(1.0)))
                .arg(format!("http://{}/", server.address))
                .output()?;
            tools::requests(&String::from_utf8_lossy(&output.stdout))
        };
        let (begun, cpu) = (std::time::Instant::now(), server.processor_time()?);
        let found = wrk(self.seconds)?;
        let cpu = server.processor_time()? - cpu;
        let mut served = served(found.count, cpu, begun.elapsed(), found.p50, found.p99);
        served
            .iter_mut()
            .filter(|(metric, ..)| *metric == "rate")
            .for_each(|(_, rate, _)| *rate = found.per_second);
        Ok(served)
    }

    fn idle(&self, contestant: &Contestant, connections: usize) -> io::Result<Found> {
        let server = Server::start(self.echo_command(contestant, 4096))?;
        let mut first = Load::connect(server.address, 1, 64, 1)?;
        first.run_for(100)?;
        std::thread::sleep(WARM);
        let before = server.memory()?;
        // Each sends something once, and then nothing more.
        let streams = (0..connections)
            .map(|_| -> io::Result<std::net::TcpStream> {
                use std::io::{Read, Write};
                let mut stream = std::net::TcpStream::connect(server.address)?;
                stream.set_read_timeout(Some(Duration::from_secs(10)))?;
                stream.write_all(&[7; 64])?;
                let mut back = [0; 64];
                stream.read_exact(&mut back)?;
                if back == [7; 64] { Ok(stream) } else { Err(io::Error::other("wrong bytes came back")) }
            })
            .collect::<io::Result<Vec<_>>>()?;
        std::thread::sleep(WARM);
        let after = server.memory()?;
        drop(streams);
        let each = after.saturating_sub(before) as f64 / connections as f64;
        Ok(vec![("memory", each, "bytes a connection"), ("base", before as f64 / 1024.0, "KiB")])
    }

    pub fn files_of(&self, direct: bool, depth: usize) -> Files {
        let reads = (self.seconds * if direct { 20_000.0 } else { 400_000.0 }) as u64;
        Files { path: self.file.clone(), depth, reads: reads.max(1000), direct }
    }

    fn files(&self, contestant: &Contestant, direct: bool, depth: usize) -> io::Result<Option<Found>> {
        let mut files = self.files_of(direct, depth);
        // Those that go by helper threads are ten times as slow: the time is what counts.
        files.reads = files.reads.min(if direct { 10_000 } else { 100_000 });
        let mut command = command(contestant, &self.programs, self.server_core);
        command.args(["files", "--path"]).arg(&files.path);
        command.args(["--depth", &depth.to_string(), "--reads", &files.reads.to_string()]);
        if direct {
            command.arg("--direct");
        }
        Ok(cost(command)?.map(each))
    }

    fn micro(&self, contestant: &Contestant, work: Micro, times: u64) -> io::Result<Option<Found>> {
        let value = work.to_possible_value().expect("none is hidden");
        let mut command = command(contestant, &self.programs, self.server_core);
        command.args(["micro", value.get_name(), "--times", &times.to_string()]);
        Ok(cost(command)?.map(each))
    }

    /// What one echoed message costs by a count that a tool makes of a whole process: it runs once for some messages and
    /// once for twice as many, and the difference is the messages' alone.
    fn counted(
        &self,
        contestant: &Contestant,
        connections: usize,
        tool: &[&str],
        read: impl Fn(&Path) -> io::Result<u64>,
    ) -> io::Result<f64> {
        let messages = COUNTED.max(4 * connections as u64);
        let run = |messages: u64| -> io::Result<u64> {
            let written = tempfile::NamedTempFile::new()?;
            let place = written.path().display().to_string();
            let tool: Vec<String> = tool.iter().map(|part| part.replace("{}", &place)).collect();
            let tool: Vec<&str> = tool.iter().map(String::as_str).collect();
            let mut command = command_under(&tool, contestant, &self.programs, self.server_core);
            command.args(["echo", "--size", &buffer(64)]);
            let server = Server::start(command)?;
            let mut load = Load::connect(server.address, connections, 64, 1)?;
            load.run_for(messages)?;
            drop(load);
            // The tool writes when what it watches has ended.
            let (served_by, signal) = (server.served_by(), libc::SIGTERM);
            server.end(served_by, signal)?;
            read(written.path())
        };
        let (once, twice) = (run(messages)?, run(2 * messages)?);
        Ok(twice.saturating_sub(once) as f64 / messages as f64)
    }

    fn calls(&self, contestant: &Contestant, connections: usize) -> io::Result<Found> {
        // Only calls of the loop: with the signal that ends it, none more.
        let count = self.counted(contestant, connections, &["strace", "-f", "-c", "-o", "{}"], |path| {
            tools::calls(&tools::read(path)?)
        })?;
        Ok(vec![("calls", count, "system calls a message")])
    }

    fn instructions(&self, contestant: &Contestant, connections: usize) -> io::Result<Found> {
        let tool = ["valgrind", "--quiet", "--tool=callgrind", "--callgrind-out-file={}"];
        let count =
            self.counted(contestant, connections, &tool, |path| tools::instructions(&tools::read(path)?))?;
        Ok(vec![("instructions", count, "instructions a message")])
    }
}

/// What a server is told to receive into: small messages several at once.
fn buffer(bytes: usize) -> String {
    bytes.clamp(4096, 16 << 10).to_string()
}

fn served(done: u64, cpu: Duration, wall: Duration, p50: f64, p99: f64) -> Found {
    let done = done as f64;
    vec![
        ("cpu", cpu.as_nanos() as f64 / done, "ns a message"),
        ("rate", done / wall.as_secs_f64(), "messages/s"),
        ("busy", cpu.as_secs_f64() / wall.as_secs_f64(), "of the core"),
        ("p50", p50 / 1000.0, "us"),
        ("p99", p99 / 1000.0, "us"),
    ]
}

fn each(cost: Cost) -> Found {
    let operations = cost.operations as f64;
    vec![("cpu", cost.cpu as f64 / operations, "ns each"), ("wall", cost.wall as f64 / operations, "ns each")]
}

/// Runs a contestant that prints what it measured.
fn cost(mut command: Command) -> io::Result<Option<Cost>> {
    let output = command.stdout(Stdio::piped()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("it failed: {}", output.status)));
    }
    serde_json::from_slice(&output.stdout).map_err(io::Error::other)
}
