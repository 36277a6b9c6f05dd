//! tokio-uring, with its own flags and with those that its builder lets through.

use std::fs::OpenOptions;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use annulus_peers::tasks::{Reads, Tasks, measure, read_files, warm};
use annulus_peers::{ANSWER, Aligned, BLOCK, Contestant, Cost, Files, Micro, Requests, Stopwatch};
use tokio_uring::buf::{BoundedBuf, IoBuf, IoBufMut};
use tokio_uring::net::TcpStream;

struct TokioUring;

fn main() -> io::Result<()> {
    annulus_peers::run::<TokioUring>()
}

/// Whether the ring is made with SINGLE_ISSUER, COOP_TASKRUN and TASKRUN_FLAG. (DEFER_TASKRUN does not go with a ring
/// that is waited for by epoll.)
static TUNED: OnceLock<bool> = OnceLock::new();

impl Contestant for TokioUring {
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
        Ok(match work {
            Micro::NopOne => Some(Loop::run(move || warm(times, |times| nops(1, times)))),
            Micro::NopMany => Some(Loop::run(move || warm(times, |times| nops(64, times)))),
            _ => measure::<Loop>(work, times),
        })
    }
}

fn choose(variant: &str) {
    TUNED.get_or_init(|| variant == "tuned");
}

fn block_on<F: Future>(work: F) -> F::Output {
    let mut ring = tokio_uring::uring_builder();
    if TUNED.get() == Some(&true) {
        ring.setup_single_issuer().setup_coop_taskrun().setup_taskrun_flag();
    }
    tokio_uring::builder().entries(1024).uring_builder(&ring).start(work)
}

async fn serve<F: Future<Output = io::Result<()>> + 'static>(
    listener: TcpListener,
    each: impl Fn(TcpStream) -> F,
) -> io::Result<()> {
    let listener = tokio_uring::net::TcpListener::from_std(listener);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio_uring::spawn(each(stream));
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

async fn answer(stream: TcpStream) -> io::Result<()> {
    static MANY: OnceLock<Vec<u8>> = OnceLock::new();
    let answers: &'static [u8] = MANY.get_or_init(|| ANSWER.repeat(64));
    let (mut buffer, mut requests) = (Vec::with_capacity(4096), Requests::default());
    loop {
        let (received, filled) = stream.read(buffer).await;
        let count = received?;
        if count == 0 {
            return Ok(());
        }
        let ended = requests.ended_in(&filled[..count])?;
        stream.write_all(&answers[..ended * ANSWER.len()]).await.0?;
        buffer = filled;
    }
}

async fn nops(tasks: u64, times: u64) -> Cost {
    let watch = Stopwatch::start();
    let all: Vec<_> = (0..tasks)
        .map(|_| {
            tokio_uring::spawn(async move {
                for _ in 0..times / tasks {
                    tokio_uring::no_op().await.expect("it does nothing");
                }
            })
        })
        .collect();
    for task in all {
        task.await.expect("it does not panic");
    }
    watch.stop(times / tasks * tasks)
}

struct Loop;

impl Tasks for Loop {
    fn run<T: Send + 'static, F: Future<Output = T> + 'static>(
        work: impl FnOnce() -> F + Send + 'static,
    ) -> T {
        block_on(async { work().await })
    }

    fn spawn(work: impl Future<Output = ()> + 'static) -> impl Future<Output = ()> + 'static {
        let handle = tokio_uring::spawn(work);
        async { handle.await.expect("it does not panic") }
    }

    fn yield_now() -> impl Future<Output = ()> {
        tokio::task::yield_now()
    }

    fn sleep(span: Duration) -> impl Future<Output = ()> + 'static {
        tokio::time::sleep(span)
    }
}

struct OnDisk(Rc<tokio_uring::fs::File>);

struct Block(Aligned);

impl std::ops::Deref for Block {
    type Target = [u8; BLOCK];

    fn deref(&self) -> &[u8; BLOCK] {
        &self.0
    }
}

// SAFETY: in a box, initialised.
unsafe impl IoBuf for Block {
    fn stable_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        BLOCK
    }

    fn bytes_total(&self) -> usize {
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
        let flags = if files.direct { libc::O_DIRECT } else { 0 };
        let file = OpenOptions::new().read(true).custom_flags(flags).open(&files.path)?;
        Ok(OnDisk(Rc::new(tokio_uring::fs::File::from_std(file))))
    }

    async fn read(&self, buffer: Block, offset: u64) -> io::Result<Block> {
        let (result, block) = self.0.read_at(buffer, offset).await;
        result.map(|count| {
            assert_eq!(count, BLOCK);
            block
        })
    }
}
