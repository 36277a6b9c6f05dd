//! A counter that several hosts keep together: each adds what its clients tell it and tells the others.
//!
//! It knows nothing of simulation: it is a server as one would write it for a real network. docs/testing.md walks
//! through it.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use annulus::fs::{self, File};
use annulus::net::{TcpListener, TcpStream};
use annulus::time::{sleep, timeout};
use futures_util::lock::Mutex;

const PORT: u16 = 4000;
/// How long a peer may take to answer before it is asked again.
const PATIENCE: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_millis(50);

/// What a replica keeps, and what it tells the others.
pub trait Counter: Default + 'static {
    fn add_one(&mut self, own: usize);
    fn total(&self) -> u64;
    /// What a peer is to be told, if there is anything.
    fn news_for(&mut self, peer: usize) -> Option<Vec<u8>>;
    /// The peer has said that it got the news.
    fn told(&mut self, peer: usize);
    fn hear(&mut self, news: &[u8]);
    fn to_bytes(&self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Self;
    /// Whether what is kept is to survive a crash.
    const IS_SYNCED: bool;
}

struct Replica<C> {
    own: usize,
    counter: RefCell<C>,
    /// One writes at a time: an older state never replaces a newer one.
    disk: Mutex<()>,
}

/// The server of replica `own` of `all`. Each is a host called "replica 0", "replica 1" and so on.
pub async fn serve<C: Counter>(own: usize, all: usize) -> io::Result<()> {
    let counter = RefCell::new(match fs::read("/counter").await {
        Ok(bytes) => C::from_bytes(&bytes),
        Err(_) => C::default(),
    });
    let replica = Rc::new(Replica { own, counter, disk: Mutex::new(()) });
    for peer in (0..all).filter(|peer| *peer != own) {
        drop(annulus::spawn(tell(peer, Rc::clone(&replica))));
    }
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        drop(annulus::spawn(answer(stream, Rc::clone(&replica))));
    }
}

/// A letter and a length, then as many bytes.
async fn receive(stream: &TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let (result, head) = stream.read_exact(vec![0; 2]).await;
    result?;
    let (result, body) = stream.read_exact(vec![0; usize::from(head[1])]).await;
    result.map(|()| (head[0], body))
}

async fn send(stream: &TcpStream, letter: u8, body: &[u8]) -> io::Result<()> {
    let message = [&[letter, body.len() as u8], body].concat();
    stream.write_all(message).await.0
}

/// One connection, be it a client's or a peer's.
async fn answer<C: Counter>(stream: TcpStream, replica: Rc<Replica<C>>) -> io::Result<()> {
    loop {
        let (letter, body) = receive(&stream).await?;
        match letter {
            b'+' => {
                replica.counter.borrow_mut().add_one(replica.own);
                keep(&replica).await?;
                send(&stream, b'k', &[]).await?;
            }
            b'?' => {
                let total = replica.counter.borrow().total();
                send(&stream, b'=', &total.to_le_bytes()).await?;
            }
            _ => {
                replica.counter.borrow_mut().hear(&body);
                keep(&replica).await?;
                send(&stream, b'k', &[]).await?;
            }
        }
    }
}

/// What is answered "k" is on the disk.
async fn keep<C: Counter>(replica: &Replica<C>) -> io::Result<()> {
    let _turn = replica.disk.lock().await;
    let bytes = replica.counter.borrow().to_bytes();
    if !C::IS_SYNCED {
        return fs::write("/counter", bytes).await.0;
    }
    let file = File::create("/counter.new").await?;
    file.write_all(bytes).await.0?;
    file.sync_all().await?;
    fs::rename("/counter.new", "/counter").await?;
    File::open("/").await?.sync_all().await
}

/// Tells a peer what is new, for ever.
async fn tell<C: Counter>(peer: usize, replica: Rc<Replica<C>>) {
    let host = format!("replica {peer}");
    loop {
        sleep(PAUSE).await;
        let Some(news) = replica.counter.borrow_mut().news_for(peer) else { continue };
        let exchange = async {
            let stream = TcpStream::connect((host.as_str(), PORT)).await?;
            send(&stream, b'n', &news).await?;
            receive(&stream).await
        };
        if let Ok(Ok(_)) = timeout(PATIENCE, exchange).await {
            replica.counter.borrow_mut().told(peer);
        }
    }
}

/// Asks a replica to add one. An error says that it may have, or may not.
pub async fn add_one(replica: usize) -> io::Result<()> {
    let exchange = async {
        let stream = TcpStream::connect((format!("replica {replica}"), PORT)).await?;
        send(&stream, b'+', &[]).await?;
        receive(&stream).await.map(drop)
    };
    timeout(PATIENCE, exchange).await?
}

/// Asks a replica for the count.
pub async fn total(replica: usize) -> io::Result<u64> {
    let stream = TcpStream::connect((format!("replica {replica}"), PORT)).await?;
    send(&stream, b'?', &[]).await?;
    let (_, body) = receive(&stream).await?;
    Ok(u64::from_le_bytes(body.try_into().unwrap_or_default()))
}

/// The naive version: one number, and the others are told by how much it grew.
#[derive(Default)]
pub struct Naive {
    total: u64,
    /// What each peer was not told yet.
    untold: [u64; 8],
    under_way: [u64; 8],
}

impl Counter for Naive {
    const IS_SYNCED: bool = false;

    fn add_one(&mut self, _own: usize) {
        self.total += 1;
        self.untold.iter_mut().for_each(|untold| *untold += 1);
    }

    fn total(&self) -> u64 {
        self.total
    }

    fn news_for(&mut self, peer: usize) -> Option<Vec<u8>> {
        self.under_way[peer] = self.untold[peer];
        (self.untold[peer] > 0).then(|| self.untold[peer].to_le_bytes().to_vec())
    }

    fn told(&mut self, peer: usize) {
        self.untold[peer] -= self.under_way[peer];
    }

    fn hear(&mut self, news: &[u8]) {
        self.total += u64::from_le_bytes(news.try_into().unwrap_or_default());
    }

    fn to_bytes(&self) -> Vec<u8> {
        [self.total].iter().chain(&self.untold).flat_map(|number| number.to_le_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Naive {
        let mut numbers = bytes.chunks_exact(8).map(|number| u64::from_le_bytes(number.try_into().unwrap()));
        let mut naive = Naive { total: numbers.next().unwrap_or(0), ..Naive::default() };
        naive.untold.iter_mut().zip(numbers).for_each(|(untold, number)| *untold = number);
        naive
    }
}

/// The careful version: a number for each replica, which only that one adds to. To hear the same news twice, or late,
/// changes nothing. (Shapiro and others, Conflict-free replicated data types, 2011.)
#[derive(Default)]
pub struct Careful {
    counts: [u64; 8],
    /// What each peer was told last, and is being told.
    told: [Option<[u64; 8]>; 8],
    under_way: [[u64; 8]; 8],
}

impl Counter for Careful {
    const IS_SYNCED: bool = true;

    fn add_one(&mut self, own: usize) {
        self.counts[own] += 1;
    }

    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn news_for(&mut self, peer: usize) -> Option<Vec<u8>> {
        self.under_way[peer] = self.counts;
        (self.told[peer] != Some(self.counts)).then(|| self.to_bytes())
    }

    fn told(&mut self, peer: usize) {
        self.told[peer] = Some(self.under_way[peer]);
    }

    fn hear(&mut self, news: &[u8]) {
        let heard = Careful::from_bytes(news);
        self.counts.iter_mut().zip(heard.counts).for_each(|(own, theirs)| *own = theirs.max(*own));
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.counts.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Careful {
        let mut careful = Careful::default();
        let numbers = bytes.chunks_exact(8).map(|number| u64::from_le_bytes(number.try_into().unwrap()));
        careful.counts.iter_mut().zip(numbers).for_each(|(count, number)| *count = number);
        careful
    }
}
