//! One contestant at one workload, for one turn.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use annulus_http_bench::Direction;

use super::bulk::Bulk;
use super::contestants::Contestant;
use super::idle;
use super::server::{Server, command};
use super::tools::{self, Target};
use super::workloads::Work;

/// Where and how long.
pub struct Bench {
    pub programs: PathBuf,
    pub credentials: PathBuf,
    pub server_core: usize,
    pub seconds: u64,
    pub warm_seconds: u64,
    pub idle_connections: usize,
    pub idle_time: Duration,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// Requests, or MiB.
    pub operations: f64,
    /// Of the server.
    pub cpu: Duration,
    pub wall: Duration,
}

impl Turn {
    /// Operations per second of the server's processor.
    pub fn per_cpu(&self) -> f64 {
        self.operations / self.cpu.as_secs_f64()
    }

    /// Operations per second by the wall.
    pub fn per_wall(&self) -> f64 {
        self.operations / self.wall.as_secs_f64()
    }

    /// How much of its core the server took.
    pub fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.wall.as_secs_f64()
    }
}

impl Bench {
    fn start(&self, tool: &[String], contestant: &Contestant, work: Work) -> io::Result<Server> {
        let mut command = command(tool, contestant, &self.programs, self.server_core);
        match work {
            Work::Bulk(_) => drop(command.arg("--credentials").arg(&self.credentials)),
            Work::Idle => drop(command.arg("--heap")),
            Work::Http1 { .. } | Work::Http2 { .. } => {}
        }
        Server::start(command)
    }

    /// Loads the server for so many seconds, and says how many operations it did.
    fn load(&self, server: &Server, work: Work, seconds: u64) -> io::Result<f64> {
        let target = |asked| Target { address: server.address, asked, seconds };
        match work {
            Work::Http1 { asked, connections } => Ok(tools::wrk(target(asked), connections)? as f64),
            Work::Http2 { asked, connections, streams } => {
                Ok(tools::h2load(target(asked), connections, streams)? as f64)
            }
            Work::Bulk(direction) => self.bulk(server, direction, seconds),
            Work::Idle => Err(io::Error::other("what is idle is no load")),
        }
    }

    fn bulk(&self, server: &Server, direction: Direction, seconds: u64) -> io::Result<f64> {
        let mut bulk = Bulk::connect(server.address, &self.credentials)?;
        let begun = Instant::now();
        let mut moved = 0;
        while begun.elapsed() < Duration::from_secs(seconds) {
            moved += bulk.transfer(direction)?;
        }
        Ok(moved as f64 / f64::from(1 << 20))
    }

    /// A turn: a new process, a warm-up, and the time.
    ///
    /// # Errors
    /// The server's and the load's.
    pub fn turn(&self, contestant: &Contestant, work: Work) -> io::Result<Turn> {
        let server = self.start(&[], contestant, work)?;
        self.load(&server, work, self.warm_seconds)?;
        let (begun, cpu) = (Instant::now(), server.processor_time()?);
        let operations = self.load(&server, work, self.seconds)?;
        let (cpu, wall) = (server.processor_time()? - cpu, begun.elapsed());
        Ok(Turn { operations, cpu, wall })
    }

    /// What idle connections cost.
    ///
    /// # Errors
    /// The server's and the connections'.
    pub fn idle(&self, contestant: &Contestant) -> io::Result<idle::Memory> {
        let mut server = self.start(&[], contestant, Work::Idle)?;
        idle::measure(&mut server, self.idle_connections, self.idle_time)
    }

    /// System calls an operation, each by its name, by `strace -c`.
    ///
    /// # Errors
    /// The server's, the load's and strace's.
    pub fn calls(&self, contestant: &Contestant, work: Work) -> io::Result<Vec<(String, f64)>> {
        let tool = ["strace", "-f", "-c", "-o"];
        let read = |path: &Path| tools::calls(&std::fs::read_to_string(path)?);
        let (few, operations_few) = self.counted(&tool, contestant, work, 1, read)?;
        let (many, operations_many) = self.counted(&tool, contestant, work, 3, read)?;
        let operations = operations_many - operations_few;
        let mut calls: Vec<(String, f64)> = many
            .into_iter()
            .map(|(name, count)| {
                let before = few.iter().find(|(other, _)| *other == name).map_or(0, |(_, count)| *count);
                (name, (count as f64 - before as f64) / operations)
            })
            .filter(|(_, each)| *each >= 0.001)
            .collect();
        calls.sort_by(|one, other| other.1.total_cmp(&one.1));
        Ok(calls)
    }

    /// Instructions in user space an operation, by callgrind.
    ///
    /// # Errors
    /// The server's, the load's and valgrind's.
    pub fn instructions(&self, contestant: &Contestant, work: Work) -> io::Result<f64> {
        let tool = ["valgrind", "--quiet", "--tool=callgrind", "--callgrind-out-file="];
        let read = |path: &Path| tools::instructions(&std::fs::read_to_string(path)?);
        let (few, operations_few) = self.counted(&tool, contestant, work, 1, read)?;
        let (many, operations_many) = self.counted(&tool, contestant, work, 4, read)?;
        Ok((many as f64 - few as f64) / (operations_many - operations_few))
    }

    /// What a tool counted of a whole process, and during how many operations. Two of different lengths differ by what the
    /// operations cost, and not by what the start and the end do.
    fn counted<T>(
        &self,
        tool: &[&str],
        contestant: &Contestant,
        work: Work,
        seconds: u64,
        read: impl Fn(&Path) -> io::Result<T>,
    ) -> io::Result<(T, f64)> {
        let written = tempfile::NamedTempFile::new()?;
        let place = written.path().display().to_string();
        let mut tool: Vec<String> = tool.iter().map(|&part| part.to_owned()).collect();
        match tool.last_mut() {
            Some(last) if last.ends_with('=') => *last += &place,
            _ => tool.push(place),
        }
        let server = self.start(&tool, contestant, work)?;
        let operations = self.load(&server, work, seconds)?;
        server.end()?;
        Ok((read(written.path())?, operations))
    }
}
