//! monoio, with its own flags and with those that its builder lets through.

use std::fs::OpenOptions;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::OnceLock;
use std::time::Duration;

use annulus_peers::tasks::{Reads, Tasks, measure, read_files, yield_once};
use annulus_peers::{ANSWER, Aligned, BLOCK, Contestant, Cost, Files, Micro, Requests};
use monoio::buf::{IoBuf, IoBufMut};
use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::TcpStream;

struct Monoio;

fn main() -> io::Result<()> {
    annulus_peers::run::<Monoio>()
}

/// Whether the ring is made with SINGLE_ISSUER, COOP_TASKRUN and TASKRUN_FLAG. (DEFER_TASKRUN it does not survive: it waits
/// without asking for completions.)
static TUNED: OnceLock<bool> = OnceLock::new();

impl Contestant for Monoio {
    const VARIANTS: &'static [&'static str] = &["default", "tuned"];

    fn echo(variant: &str, listener: TcpListener, size: usize) -> io::Result<()> {
        choose(variant);
        block_on(serve(listener, move |stream| echo(stream, size)))
    }

    fn http(variant: &str, listener: TcpListener) -> io::Result<()> {
        choose(variant);
        block_on(serve(listener, answer))
    }

    fn files(variant: &str, files: &Files) -> io::Result<Option<Cost>> {
        choose(variant);
        read_files::<Loop, OnDisk>(files).map(Some)
    }

    fn micro(variant: &str, work: Micro, times: u64) -> io::Result<Option<Cost>> {
        choose(variant);
        Ok(measure::<Loop>(work, times))
    }
}

fn choose(variant: &str) {
    TUNED.get_or_init(|| variant == "tuned");
}

fn block_on<F: Future>(work: F) -> F::Output {
    let mut ring = io_uring_of_monoio::IoUring::builder();
    if TUNED.get() == Some(&true) {
        ring.setup_single_issuer().setup_coop_taskrun().setup_taskrun_flag();
    }
    monoio::RuntimeBuilder::<monoio::IoUringDriver>::new()
        .with_entries(1024)
        .uring_builder(ring)
        .enable_timer()
        .build()
        .expect("a runtime")
        .block_on(work)
}

async fn serve<F: Future<Output = io::Result<()>> + 'static>(
    listener: TcpListener,
    each: impl Fn(TcpStream) -> F,
) -> io::Result<()> {
    let listener = monoio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        monoio::spawn(each(stream));
    }
}

async fn echo(mut stream: TcpStream, size: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(size);
    loop {
        let (received, filled) = stream.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let (sent, back) = stream.write_all(filled).await;
        sent?;
        buffer = back;
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let (mut buffer, mut requests) = (Vec::with_capacity(4096), Requests::default());
    let answers: &'static [u8] = answers();
    loop {
        let (received, filled) = stream.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let ended = requests.ended_in(&filled)?;
        stream.write_all(&answers[..ended * ANSWER.len()]).await.0?;
        buffer = filled;
    }
}

fn answers() -> &'static [u8] {
    static MANY: OnceLock<Vec<u8>> = OnceLock::new();
    MANY.get_or_init(|| ANSWER.repeat(64))
}

struct Loop;

impl Tasks for Loop {
    fn run<T: Send + 'static, F: Future<Output = T> + 'static>(
        work: impl FnOnce() -> F + Send + 'static,
    ) -> T {
        block_on(async { work().await })
    }

    fn spawn(work: impl Future<Output = ()> + 'static) -> impl Future<Output = ()> + 'static {
        monoio::spawn(work)
    }

    fn yield_now() -> impl Future<Output = ()> {
        yield_once()
    }

    fn sleep(span: Duration) -> impl Future<Output = ()> + 'static {
        monoio::time::sleep(span)
    }
}

struct OnDisk(monoio::fs::File);

struct Block(Aligned);

impl std::ops::Deref for Block {
    type Target = [u8; BLOCK];

    fn deref(&self) -> &[u8; BLOCK] {
        &self.0
    }
}

// SAFETY: in a box, initialised.
unsafe impl IoBuf for Block {
    fn read_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        BLOCK
    }
}

// SAFETY: as above.
unsafe impl IoBufMut for Block {
    fn write_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    fn bytes_total(&mut self) -> usize {
        BLOCK
    }

    unsafe fn set_init(&mut self, _: usize) {}
}

impl Reads for OnDisk {
    type Buffer = Block;

    fn buffer() -> Block {
        Block(Aligned::new())
    }

    async fn open(files: &Files) -> io::Result<OnDisk> {
        let flags = if files.direct { libc::O_DIRECT } else { 0 };
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&files.path)?;
        monoio::fs::File::from_std(file).map(OnDisk)
    }

    async fn read(&self, buffer: Block, offset: u64) -> io::Result<Block> {
        let (result, block) = self.0.read_at(buffer, offset).await;
        result.map(|count| {
            assert_eq!(count, BLOCK);
            block
        })
    }
}
