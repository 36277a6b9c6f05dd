//! The clients: each does something, mostly what it should, and comes again when its connection has ended.

use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use annulus::net::TcpStream;
use annulus::time::{sleep, timeout};
use annulus::{Driver, Runtime, random};

use crate::{PATIENCE, Process};

/// What clients have seen.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Connections made.
    pub made: u64,
    /// Messages that came back as they were sent.
    pub echoed: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Those that came back otherwise.
    pub wrong: u64,
    /// Connections that the server ended first: it was silent too long with them, or aborted their task.
    pub ended: u64,
    /// Connections refused or not made in time.
    pub refused: u64,
    /// How often each of [`Ending`]s was.
    pub endings: [u64; ENDINGS.len()],
}

/// How a connection ends.
pub const ENDINGS: [&str; 6] =
    ["in order", "by a reset", "within a message", "by silence", "by an abort", "without reading the answer"];

impl Counts {
    const WORDS: usize = 6 + ENDINGS.len();

    fn words(&self) -> [u64; Self::WORDS] {
        let mut words = [0; Self::WORDS];
        words[..6].copy_from_slice(&[
            self.made,
            self.echoed,
            self.bytes,
            self.wrong,
            self.ended,
            self.refused,
        ]);
        words[6..].copy_from_slice(&self.endings);
        words
    }

    /// Adds what a process said last: what it did after that, if it was killed, nobody knows.
    pub fn add(&mut self, process: &mut Process) {
        // It says so each second.
        let Some(line) = process.lines.try_iter().last() else { return };
        let words: Vec<u64> = line.split(' ').map_while(|word| word.parse().ok()).collect();
        let [made, echoed, bytes, wrong, ended, refused, endings @ ..] = &words[..] else { return };
        self.made += made;
        self.echoed += echoed;
        self.bytes += bytes;
        self.wrong += wrong;
        self.ended += ended;
        self.refused += refused;
        self.endings.iter_mut().zip(endings).for_each(|(all, more)| *all += more);
    }
}

type Seen = Rc<RefCell<Counts>>;

pub fn run(port: u16, count: usize) -> io::Result<()> {
    // What is looked at is the server's loop; the clients' has the driver that is everywhere.
    let runtime = Runtime::builder().driver(Driver::Readiness).build().map_err(io::Error::other)?;
    runtime.run(async {
        let seen = Seen::default();
        for client in 0..count {
            drop(annulus::spawn(come_again(port, client, count, seen.clone())));
        }
        let counts = seen.clone();
        drop(annulus::spawn(async move {
            loop {
                sleep(Duration::from_secs(1)).await;
                println!("{}", line(&counts));
            }
        }));
        // The end of what is told is the end; tasks and connections go with the loop.
        let _ = annulus::spawn_blocking(|| io::read_to_string(io::stdin())).await;
        println!("{}", line(&seen));
    })?;
    Ok(())
}

fn line(seen: &Seen) -> String {
    seen.borrow().words().map(|word| word.to_string()).join(" ")
}

/// One connection after the other.
async fn come_again(port: u16, client: usize, count: usize, seen: Seen) {
    // Not all in one moment.
    sleep(up_to(Duration::from_secs(3))).await;
    let mut number = client;
    loop {
        let ending = random() as usize % ENDINGS.len();
        // A task of its own, so that it can be aborted.
        let mut task = annulus::spawn(connection(port, number, ending, seen.clone()));
        let aborted = ENDINGS[ending] == "by an abort";
        let ended = match aborted {
            true => timeout(up_to(PATIENCE), &mut task).await.ok(),
            false => Some((&mut task).await),
        };
        task.abort();
        match ended {
            Some(Ok(Ok(()))) | None => seen.borrow_mut().endings[ending] += 1,
            Some(_) => {
                seen.borrow_mut().ended += 1;
                // Whoever is refused does not ask again at once.
                sleep(Duration::from_millis(50)).await;
            }
        }
        number += count;
    }
}

/// Connects, talks for a while, and ends as it is told. An error: the other side ended it.
async fn connection(port: u16, number: usize, ending: usize, seen: Seen) -> io::Result<()> {
    // From port numbers of 64 addresses, since some are kept by the system for a minute after a connection's end.
    let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 1 + (number % 64) as u8), port));
    let connected = TcpStream::connect_timeout(address, PATIENCE).await;
    let stream = connected.inspect_err(|_| seen.borrow_mut().refused += 1)?;
    seen.borrow_mut().made += 1;
    for _ in 0..random() % 8 {
        sleep(up_to(PATIENCE / 2)).await;
        let sent = message();
        let (result, sent) = stream.write_all(sent).await;
        result?;
        let (result, back) = stream.read_exact(vec![0; sent.len()]).await;
        result?;
        let mut seen = seen.borrow_mut();
        match back == sent {
            true => (seen.echoed, seen.bytes) = (seen.echoed + 1, seen.bytes + sent.len() as u64),
            false => seen.wrong += 1,
        }
    }
    match ENDINGS[ending] {
        "in order" => {
            stream.shutdown(Shutdown::Write).await?;
            let (result, _) = stream.read(vec![0; 1]).await;
            // Nothing is under way any more.
            if result? != 0 {
                seen.borrow_mut().wrong += 1;
            }
        }
        "by a reset" => stream.set_linger(Some(Duration::ZERO))?,
        "within a message" => {
            // Some of it comes back, and is not read.
            stream.write_all(message()).await.0?;
        }
        // Until the server's time is up, which is an end as it should be.
        "by silence" => drop(stream.read(vec![0; 1]).await),
        // More than what the system keeps for the two: the server stands in the middle of a write.
        "without reading the answer" => {
            stream.set_recv_buffer_size(4096)?;
            let much = stream.write_all(vec![7; 1 << 20]);
            let _ = timeout(PATIENCE / 4, much).await;
        }
        _ => std::future::pending().await,
    }
    Ok(())
}

const MESSAGE_MAX: usize = 16 << 10;

/// Bytes by chance, most often few.
fn message() -> Vec<u8> {
    let length = 1 + random() as usize % if random() % 8 == 0 { MESSAGE_MAX } else { 256 };
    let seed = random() | 1;
    (0..length as u64).map(|at| (seed.wrapping_mul(at + 1) >> 32) as u8).collect()
}

fn up_to(span: Duration) -> Duration {
    Duration::from_millis(random() % (span.as_millis() as u64 + 1))
}
