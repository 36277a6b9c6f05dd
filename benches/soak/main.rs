//! A server under a long and unfriendly load, and whether it holds on to anything: memory, descriptors, operations, leases, tasks.
//!
//! For each driver there is a server in a process of its own, with one loop, and ten processes of clients, each with a tenth of the
//! connections, which are made anew as they end. They end in every way: in order, in the middle of a message, by a reset, by silence until the server's
//! time is up, by a task that is aborted on either side, by a process of clients that is killed. What comes back is compared with what
//! was sent, byte by byte. At the end all clients are gone, and what the server then holds is compared with what it held
//! before the first came.
//!
//! `cargo bench --bench soak` takes half an hour; a look: `cargo bench --bench soak -- --minutes 1 --connections 1000`.
//! `--driver uring` or `readiness` for one of them; by default both run at the same time.
#![allow(unsafe_code)]

mod load;
mod server;
mod told;

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use annulus::Driver;
use clap::Parser;

use told::{Sample, Verdict};

/// What a process of this program is told to be, other than the one that began it.
const ROLE: &str = "ANNULUS_SOAK";
const PROCESSES: usize = 10;
/// How long a client is silent at most, and the server waits.
const PATIENCE: Duration = Duration::from_secs(8);

/// Whether a server holds on to anything under a long and unfriendly load.
#[derive(Parser)]
struct Arguments {
    /// How long clients come and go, on each driver.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// How many connections there are at a time.
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Which drivers serve; both at the same time unless one is named.
    #[arg(long)]
    driver: Vec<Driver>,
    /// Whether cargo wants figures.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> io::Result<ExitCode> {
    if let Ok(role) = std::env::var(ROLE) {
        let mut words = role.split(' ');
        return match (words.next(), words.next(), words.next()) {
            (Some("server"), Some(driver), _) => server::serve(driver.parse().map_err(io::Error::other)?),
            (Some("load"), Some(port), Some(count)) => load::run(number(port)? as u16, number(count)?),
            _ => Err(io::Error::other(format!("{ROLE} is {role:?}"))),
        }
        .map(|()| ExitCode::SUCCESS);
    }
    let arguments = Arguments::parse();
    if !arguments.bench {
        return Ok(ExitCode::SUCCESS);
    }
    let drivers = match arguments.driver.is_empty() {
        true => vec![Driver::Uring, Driver::Readiness],
        false => arguments.driver,
    };
    let span = Duration::from_secs_f64(arguments.minutes * 60.0);
    let soaks = drivers.into_iter().map(|driver| {
        std::thread::spawn(move || soak(driver, span, arguments.connections).map(|lines| (driver, lines)))
    });
    let mut all_is_well = true;
    for soak in soaks.collect::<Vec<_>>() {
        let (driver, run) = soak.join().expect("it says what fails")?;
        let verdict = Verdict::of(&run);
        println!("\n## {driver}, {} connections, {} minutes\n", arguments.connections, arguments.minutes);
        println!("{}", told::table(&run));
        println!("{verdict}");
        all_is_well &= verdict.is_well();
    }
    Ok(if all_is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn number(word: &str) -> io::Result<usize> {
    word.parse().map_err(io::Error::other)
}

/// What the server held, over time.
struct Run {
    /// Before the first client, after a short load that makes what is made once.
    before: Sample,
    /// Under the load, every two seconds.
    under: Vec<Sample>,
    /// After the last one.
    after: Sample,
    /// How many processes of clients were killed.
    kills: usize,
    /// What clients counted and complained of.
    clients: load::Counts,
}

fn soak(driver: Driver, span: Duration, connections: usize) -> io::Result<Run> {
    let mut server = Process::start(&format!("server {driver}"))?;
    let port = server.line()?;
    let share = connections / PROCESSES;
    let mut clients = load::Counts::default();

    // A short one first: threads, the pool and the tables are made as they are needed, and are then kept.
    let mut warm = Process::start(&format!("load {port} {}", share.min(100)))?;
    std::thread::sleep(Duration::from_secs(3));
    warm.stop();
    clients.add(&mut warm);
    std::thread::sleep(PATIENCE + Duration::from_secs(2));
    let before = server.sample()?;

    let start = || Process::start(&format!("load {port} {share}"));
    let mut loads = (0..PROCESSES).map(|_| start()).collect::<io::Result<Vec<_>>>()?;
    let begun = Instant::now();
    let (mut under, mut kills) = (Vec::new(), 0);
    // A tenth of the clients lives a quarter of an hour at most, and the first is killed after some seconds.
    let every = (span / 60).clamp(Duration::from_secs(3), Duration::from_secs(20));
    let mut next_kill = every;
    while begun.elapsed() < span {
        std::thread::sleep(Duration::from_secs(2));
        let mut sample = server.sample()?;
        sample.seconds = begun.elapsed().as_secs();
        under.push(sample);
        if begun.elapsed() > next_kill {
            next_kill += every;
            let which = kills % PROCESSES;
            loads[which].child.kill()?;
            clients.add(&mut loads[which]);
            loads[which] = start()?;
            kills += 1;
        }
    }
    for load in &mut loads {
        load.stop();
        clients.add(load);
    }
    // Who was silent is let go by then.
    std::thread::sleep(PATIENCE + Duration::from_secs(4));
    let after = server.sample()?;
    server.stop();
    Ok(Run { before, under, after, kills, clients })
}

/// A process of this program, which says something on each line that it is told.
struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    fn start(role: &str) -> io::Result<Process> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (say, lines) = channel();
        let output = BufReader::new(child.stdout.take().expect("asked for"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        Ok(Process { child, lines })
    }

    fn line(&self) -> io::Result<String> {
        // A loop that does not answer for so long is found to be stuck.
        self.lines
            .recv_timeout(Duration::from_secs(60))
            .map_err(|error| io::Error::other(format!("a process says nothing: {error}")))
    }

    fn sample(&mut self) -> io::Result<Sample> {
        self.child.stdin.as_mut().expect("asked for").write_all(b"?\n")?;
        let line = self.line()?;
        Sample::parse(&line).ok_or_else(|| io::Error::other(format!("the server says {line:?}")))
    }

    /// It ends when it is told nothing any more; what does not is ended.
    fn stop(&mut self) {
        drop(self.child.stdin.take());
        let limit = Instant::now() + Duration::from_secs(20);
        while Instant::now() < limit && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
