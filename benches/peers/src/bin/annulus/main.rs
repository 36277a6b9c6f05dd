//! annulus, on a ring with buffers of the connections' own or with leases, and on readiness.

mod micro;

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use annulus::buf::{IoBuf, IoBufMut};
use annulus::fs::File;
use annulus::net::TcpStream;
use annulus::{Driver, Runtime};
use annulus_peers::tasks::{Reads, Tasks, measure, read_files};
use annulus_peers::{ANSWER, Aligned, BLOCK, Contestant, Cost, Files, Micro, Requests};

struct Annulus;

const OWNED: &str = "owned";
const LEASES: &str = "leases";
const READINESS: &str = "readiness";

fn main() -> io::Result<()> {
    annulus_peers::run::<Annulus>()
}

impl Contestant for Annulus {
    const VARIANTS: &'static [&'static str] = &[OWNED, LEASES, READINESS];

    fn echo(variant: &str, listener: TcpListener, size: usize) -> io::Result<()> {
        let runtime = runtime(variant, size)?;
        let with_leases = variant == LEASES;
        runtime.run(serve(listener, move |stream| async move {
            if with_leases { echo_leases(stream).await } else { echo(stream, size).await }
        }))?
    }

    fn http(variant: &str, listener: TcpListener) -> io::Result<()> {
        let runtime = runtime(variant, 4096)?;
        let with_leases = variant == LEASES;
        runtime.run(serve(listener, move |stream| async move {
            if with_leases { answer_leases(stream).await } else { answer(stream).await }
        }))?
    }

    fn files(variant: &str, files: &Files) -> io::Result<Option<Cost>> {
        choose(variant);
        // Leases are for what comes by itself.
        if variant == LEASES { Ok(None) } else { read_files::<Loop, OnDisk>(files).map(Some) }
    }

    fn micro(variant: &str, work: Micro, times: u64) -> io::Result<Option<Cost>> {
        choose(variant);
        match work {
            _ if variant == LEASES => Ok(None),
            Micro::NopOne | Micro::NopMany if variant == READINESS => Ok(None),
            _ => Ok(measure::<Loop>(work, times).or_else(|| micro::measure(work, times))),
        }
    }
}

fn driver(variant: &str) -> Driver {
    if variant == READINESS { Driver::Readiness } else { Driver::Uring }
}

fn runtime(variant: &str, size: usize) -> io::Result<Runtime> {
    Ok(Runtime::builder().driver(driver(variant)).lease_size(size).build()?)
}

async fn serve<F: Future<Output = io::Result<()>> + 'static>(
    listener: TcpListener,
    each: impl Fn(TcpStream) -> F,
) -> io::Result<()> {
    let listener = annulus::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        drop(annulus::spawn(each(stream)));
    }
}

async fn echo(stream: TcpStream, size: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(size);
    loop {
        let (received, filled) = stream.read(buffer).await;
        let count = received?;
        if count == 0 {
            return Ok(());
        }
        let (sent, slice) = stream.write_all(filled.slice(..count)).await;
        sent?;
        buffer = slice.into_inner();
    }
}

async fn echo_leases(stream: TcpStream) -> io::Result<()> {
    let mut leases = stream.recv_stream();
    while let Some(lease) = leases.next().await {
        stream.write_all(lease?).await.0?;
    }
    Ok(())
}

/// As many answers as one piece of a pipeline has requests for.
fn answers(count: usize) -> io::Result<&'static [u8]> {
    static MANY: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let many = MANY.get_or_init(|| ANSWER.repeat(64));
    many.get(..count * ANSWER.len()).ok_or_else(|| io::Error::other("too many requests in one piece"))
}

async fn answer(stream: TcpStream) -> io::Result<()> {
    let (mut buffer, mut requests) = (Vec::with_capacity(4096), Requests::default());
    loop {
        let (received, filled) = stream.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let ended = requests.ended_in(&filled)?;
        stream.write_all(answers(ended)?).await.0?;
        buffer = filled;
    }
}

async fn answer_leases(stream: TcpStream) -> io::Result<()> {
    let (mut leases, mut requests) = (stream.recv_stream(), Requests::default());
    while let Some(lease) = leases.next().await {
        let ended = requests.ended_in(&lease?)?;
        stream.write_all(answers(ended)?).await.0?;
    }
    Ok(())
}

/// The driver of all loops of this process.
static CHOSEN: std::sync::OnceLock<Driver> = std::sync::OnceLock::new();

fn choose(variant: &str) {
    CHOSEN.get_or_init(|| driver(variant));
}

/// The loop, as the works that are written once want it.
struct Loop;

impl Tasks for Loop {
    fn run<T: Send + 'static, F: Future<Output = T> + 'static>(
        work: impl FnOnce() -> F + Send + 'static,
    ) -> T {
        let driver = CHOSEN.get().copied().unwrap_or(Driver::Auto);
        let runtime = Runtime::builder().driver(driver).build().expect("a loop");
        runtime.run(async { work().await }).expect("it runs")
    }

    fn spawn(work: impl Future<Output = ()> + 'static) -> impl Future<Output = ()> + 'static {
        let handle = annulus::spawn(work);
        async { handle.await.expect("it does not panic") }
    }

    fn yield_now() -> impl Future<Output = ()> {
        annulus::yield_now()
    }

    fn sleep(span: Duration) -> impl Future<Output = ()> + 'static {
        annulus::time::sleep(span)
    }
}

struct OnDisk(Rc<File>);

struct Block(Aligned);

impl std::ops::Deref for Block {
    type Target = [u8; BLOCK];

    fn deref(&self) -> &[u8; BLOCK] {
        &self.0
    }
}

// SAFETY: the block is in a box, initialised, and ours alone.
unsafe impl IoBuf for Block {
    fn stable_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        BLOCK
    }
}

// SAFETY: as above.
unsafe impl IoBufMut for Block {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    unsafe fn set_init(&mut self, _: usize) {}
}

impl Reads for OnDisk {
    type Buffer = Block;

    fn buffer() -> Block {
        Block(Aligned::new())
    }

    async fn open(files: &Files) -> io::Result<OnDisk> {
        let mut options = File::options();
        if files.direct {
            options.custom_flags(libc::O_DIRECT);
        }
        Ok(OnDisk(Rc::new(options.read(true).open(&files.path).await?)))
    }

    async fn read(&self, buffer: Block, offset: u64) -> io::Result<Block> {
        let (result, block) = self.0.read_exact_at(buffer, offset).await;
        result.map(|()| block)
    }
}
