//! The load: server processes, and connections to them.
#![allow(unsafe_code)]

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use annulus::launch::Balance;
use annulus::net::TcpStream;
use annulus::task::JoinSet;
use annulus::time::{sleep, sleep_until};

use crate::server::{POLICIES, REPLY, ROLE};

/// A server process. It ends when nobody holds the other end of its input.
pub struct Server {
    child: Child,
    address: SocketAddr,
}

/// What came of one round.
pub struct Figures {
    /// Requests a second.
    pub rate: f64,
    /// The server's processor time for one, in microseconds.
    pub cost: f64,
    /// The slowest hundredth, in milliseconds.
    pub slow: f64,
    /// How many connections the shard has that has more of them.
    pub on_one: f64,
}

impl Server {
    pub fn start(shards: usize, policy: Balance, steps: u64) -> io::Result<Server> {
        let place = POLICIES.iter().position(|(_, known)| *known == policy).expect("one of those");
        let mut child = Command::new(std::env::current_exe()?)
            .env(ROLE, format!("{shards} {place} {steps}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("asked for")).read_line(&mut line)?;
        let address = line.trim().parse().map_err(io::Error::other)?;
        Ok(Server { child, address })
    }

    /// The processor time that it has taken so far. clock_getcpuclockid(3)
    #[cfg(target_os = "linux")]
    fn time(&self) -> io::Result<Duration> {
        let (mut clock, mut time) = (0, libc::timespec { tv_sec: 0, tv_nsec: 0 });
        // SAFETY: both are on this stack, for the time of the calls.
        let answers = unsafe {
            [
                libc::clock_getcpuclockid(self.child.id() as i32, &mut clock),
                libc::clock_gettime(clock, &mut time),
            ]
        };
        match answers {
            [0, 0] => Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32)),
            _ => Err(io::Error::other("the clock of the server's process is not to be had")),
        }
    }

    /// Elsewhere no process is asked so.
    #[cfg(not(target_os = "linux"))]
    fn time(&self) -> io::Result<Duration> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "of other processes' clocks only Linux is asked"))
    }

    /// Connections that ask at a pace, or again as soon as they have an answer. Skewed, they are all on one shard.
    pub fn load(
        &self,
        count: usize,
        work: u64,
        span: Duration,
        pace: Option<Duration>,
        is_skewed: bool,
    ) -> io::Result<Figures> {
        annulus::run(async {
            let mut clients = Vec::new();
            while clients.len() < count {
                let client = Client::connect(self.address, work).await?;
                if !is_skewed || client.shard == 0 {
                    clients.push(client);
                }
            }
            let on_zero = clients.iter().filter(|client| client.shard == 0).count();
            let (before, begun) = (self.time()?, Instant::now());
            let mut tasks = JoinSet::new();
            for client in clients {
                tasks.spawn(client.ask_on(begun, begun + span, pace));
            }
            let latencies = joined(tasks).await?;
            let (taken, cost) = (begun.elapsed(), self.time()? - before);
            let mut latencies = latencies.concat();
            let requests = latencies.len() as f64;
            Ok(Figures {
                rate: requests / taken.as_secs_f64(),
                cost: cost.as_secs_f64() * 1e6 / requests,
                slow: percentile(&mut latencies, 99),
                on_one: on_zero.max(count - on_zero) as f64,
            })
        })?
    }

    /// Heavy and light ones that come by turns: how many heavy ones the shard has that has more of them, their slowest hundredth, and of the
    /// light ones the median and the slowest hundredth, counted from the moment when a request was due.
    pub fn by_turns(&self, span: Duration) -> io::Result<[f64; 4]> {
        const PACE: Duration = Duration::from_millis(5);
        const APART: Duration = Duration::from_millis(50);
        annulus::run(async {
            let from = Instant::now() + 8 * APART + Duration::from_millis(100);
            let (mut kinds, mut heavy_on_zero) = ([JoinSet::new(), JoinSet::new()], 0);
            for number in 0..8 {
                let is_light = number % 2;
                let client = Client::connect(self.address, [1000, 20][is_light]).await?;
                heavy_on_zero += usize::from(client.shard == 0 && is_light == 0);
                kinds[is_light].spawn(client.ask_on(from, from + span, Some(PACE)));
                sleep(APART).await;
            }
            let [heavy, light] = kinds;
            let (mut heavy, mut light) = (joined(heavy).await?.concat(), joined(light).await?.concat());
            let on_one = heavy_on_zero.max(4 - heavy_on_zero) as f64;
            let median = percentile(&mut light, 50);
            Ok([on_one, percentile(&mut heavy, 99), median, percentile(&mut light, 99)])
        })?
    }

    /// Connections that live for one request: how many a second, and the server's processor time for one in microseconds.
    pub fn one_by_one(&self, count: usize) -> io::Result<(f64, f64)> {
        annulus::run(async {
            let (before, begun, mut tasks) = (self.time()?, Instant::now(), JoinSet::new());
            for _ in 0..8 {
                let address = self.address;
                tasks.spawn(async move {
                    for _ in 0..count / 8 {
                        Client::connect(address, 0).await?;
                    }
                    Ok(())
                });
            }
            joined(tasks).await?;
            let (taken, cost) = (begun.elapsed(), self.time()? - before);
            let count = (count / 8 * 8) as f64;
            Ok((count / taken.as_secs_f64(), cost.as_secs_f64() * 1e6 / count))
        })?
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

async fn joined<T: 'static>(mut tasks: JoinSet<io::Result<T>>) -> io::Result<Vec<T>> {
    let mut all = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        all.push(ended??);
    }
    Ok(all)
}

/// A connection that has been answered once, and knows by which shard.
struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    reply: Vec<u8>,
    shard: usize,
}

impl Client {
    async fn connect(address: SocketAddr, work: u64) -> io::Result<Client> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = |work: u64| format!("GET /{work} HTTP/1.1\r\nHost: here\r\n\r\n").into_bytes();
        let mut client = Client { stream, request: request(0), reply: vec![0; REPLY.len() + 1], shard: 0 };
        client.ask().await?;
        client.shard = usize::from(client.reply[REPLY.len()] - b'0');
        client.request = request(work);
        Ok(client)
    }

    async fn ask(&mut self) -> io::Result<()> {
        let (sent, request) = self.stream.write_all(std::mem::take(&mut self.request)).await;
        self.request = request;
        sent?;
        self.reply.clear();
        let (received, reply) = self.stream.read_exact(std::mem::take(&mut self.reply)).await;
        self.reply = reply;
        received.map(drop)
    }

    /// Asks until then, at a pace or at once after each answer. Gives the latencies of what was due from a moment on.
    async fn ask_on(
        mut self,
        from: Instant,
        until: Instant,
        pace: Option<Duration>,
    ) -> io::Result<Vec<Duration>> {
        let (mut latencies, mut due) = (Vec::new(), Instant::now());
        while due < until {
            sleep_until_due(due).await;
            self.ask().await?;
            if due >= from {
                latencies.push(due.elapsed());
            }
            due = pace.map_or_else(Instant::now, |pace| due + by_chance(pace));
        }
        Ok(latencies)
    }
}

async fn sleep_until_due(due: Instant) {
    if due > Instant::now() {
        sleep_until(due).await;
    }
}

/// So long in the mean, so that not all come at the same moments.
fn by_chance(pace: Duration) -> Duration {
    pace.mul_f64(2.0 * (annulus::random() >> 11) as f64 / (1_u64 << 53) as f64)
}

/// What so many hundredths are not above, in milliseconds.
fn percentile(latencies: &mut [Duration], percent: usize) -> f64 {
    latencies.sort_unstable();
    let place = (latencies.len() * percent / 100).min(latencies.len() - 1);
    latencies[place].as_secs_f64() * 1e3
}
