//! compio, with its own flags, with those that its builder takes, and with multishot receives into its buffer pool.

use std::io;
use std::net::TcpListener;
use std::sync::OnceLock;
use std::time::Duration;

use annulus_peers::tasks::{Reads, Tasks, measure, read_files, yield_once};
use annulus_peers::{ANSWER, Aligned, BLOCK, Contestant, Cost, Files, Micro, Requests};
use compio::BufResult;
use compio::buf::{IntoInner, IoBuf, IoBufMut, SetLen};
use compio::driver::ProactorBuilder;
use compio::fs::{File, OpenOptions};
use compio::io::{AsyncRead, AsyncReadAtExt, AsyncReadMulti, AsyncWriteExt};
use compio::net::TcpStream;
use compio::runtime::Runtime;
use futures_util::StreamExt;

struct Compio;

fn main() -> io::Result<()> {
    annulus_peers::run::<Compio>()
}

static VARIANT: OnceLock<String> = OnceLock::new();

const TUNED: &str = "tuned";
const MULTISHOT: &str = "multishot";

impl Contestant for Compio {
    const VARIANTS: &'static [&'static str] = &["default", TUNED, MULTISHOT];

    fn echo(variant: &str, listener: TcpListener, size: usize) -> io::Result<()> {
        choose(variant);
        let multishot = variant == MULTISHOT;
        block_on(
            size,
            serve(listener, move |stream| async move {
                if multishot { echo_often(stream).await } else { echo(stream, size).await }
            }),
        )
    }

    fn http(variant: &str, listener: TcpListener) -> io::Result<()> {
        choose(variant);
        let multishot = variant == MULTISHOT;
        block_on(
            4096,
            serve(listener, move |stream| async move {
                if multishot { answer_often(stream).await } else { answer(stream).await }
            }),
        )
    }

    fn files(variant: &str, files: &Files) -> io::Result<Option<Cost>> {
        choose(variant);
        if variant == MULTISHOT { Ok(None) } else { read_files::<Loop, OnDisk>(files).map(Some) }
    }

    fn micro(variant: &str, work: Micro, times: u64) -> io::Result<Option<Cost>> {
        choose(variant);
        Ok(if variant == MULTISHOT { None } else { measure::<Loop>(work, times) })
    }
}

fn choose(variant: &str) {
    VARIANT.get_or_init(|| variant.to_owned());
}

fn block_on<F: Future>(size: usize, work: F) -> F::Output {
    let mut proactor = ProactorBuilder::new();
    proactor.capacity(1024);
    let variant = VARIANT.get().map_or("default", String::as_str);
    if variant != "default" {
        proactor.single_issuer(true).defer_taskrun(true).taskrun_flag(true);
    }
    if variant == MULTISHOT {
        proactor.buffer_pool_size(1024.try_into().expect("not zero")).buffer_pool_buffer_len(size);
    }
    Runtime::builder().with_proactor(proactor).build().expect("a runtime").block_on(work)
}

async fn serve<F: Future<Output = io::Result<()>> + 'static>(
    listener: TcpListener,
    each: impl Fn(TcpStream) -> F,
) -> io::Result<()> {
    let listener = compio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        compio::runtime::spawn(each(stream)).detach();
    }
}

async fn echo(mut stream: TcpStream, size: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(size);
    loop {
        let BufResult(received, filled) = stream.read(buffer).await;
        let count = received?;
        if count == 0 {
            return Ok(());
        }
        let BufResult(sent, slice) = stream.write_all(filled.slice(..count)).await;
        sent?;
        buffer = slice.into_inner();
    }
}

async fn echo_often(stream: TcpStream) -> io::Result<()> {
    let (mut reading, mut writing) = stream.into_split();
    let mut pieces = std::pin::pin!(reading.read_multi(0));
    while let Some(piece) = pieces.next().await {
        writing.write_all(piece?).await.0?;
    }
    Ok(())
}

fn answers() -> &'static [u8] {
    static MANY: OnceLock<Vec<u8>> = OnceLock::new();
    MANY.get_or_init(|| ANSWER.repeat(64))
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let (mut buffer, mut requests) = (Vec::with_capacity(4096), Requests::default());
    loop {
        let BufResult(received, filled) = stream.read(buffer).await;
        if received? == 0 {
            return Ok(());
        }
        let ended = requests.ended_in(&filled)?;
        stream.write_all(&answers()[..ended * ANSWER.len()]).await.0?;
        buffer = filled;
    }
}

async fn answer_often(stream: TcpStream) -> io::Result<()> {
    let (mut reading, mut writing) = stream.into_split();
    let mut requests = Requests::default();
    let mut pieces = std::pin::pin!(reading.read_multi(0));
    while let Some(piece) = pieces.next().await {
        let ended = requests.ended_in(&piece?)?;
        writing.write_all(&answers()[..ended * ANSWER.len()]).await.0?;
    }
    Ok(())
}

struct Loop;

impl Tasks for Loop {
    fn run<T: Send + 'static, F: Future<Output = T> + 'static>(
        work: impl FnOnce() -> F + Send + 'static,
    ) -> T {
        block_on(4096, async { work().await })
    }

    fn spawn(work: impl Future<Output = ()> + 'static) -> impl Future<Output = ()> + 'static {
        let handle = compio::runtime::spawn(work);
        async { handle.await.unwrap_or_else(|_| panic!("it does not panic")) }
    }

    fn yield_now() -> impl Future<Output = ()> {
        yield_once()
    }

    fn sleep(span: Duration) -> impl Future<Output = ()> + 'static {
        compio::time::sleep(span)
    }
}

struct OnDisk(File);

struct Block(Aligned);

impl std::ops::Deref for Block {
    type Target = [u8; BLOCK];

    fn deref(&self) -> &[u8; BLOCK] {
        &self.0
    }
}

impl IoBuf for Block {
    fn as_init(&self) -> &[u8] {
        &self.0[..]
    }
}

impl SetLen for Block {
    unsafe fn set_len(&mut self, _: usize) {}
}

impl IoBufMut for Block {
    fn as_uninit(&mut self) -> &mut [std::mem::MaybeUninit<u8>] {
        // SAFETY: initialised bytes are bytes that may be anything, and only bytes are written.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), BLOCK) }
    }
}

impl Reads for OnDisk {
    type Buffer = Block;

    fn buffer() -> Block {
        Block(Aligned::new())
    }

    async fn open(files: &Files) -> io::Result<OnDisk> {
        let flags = if files.direct { libc::O_DIRECT } else { 0 };
        OpenOptions::new().read(true).custom_flags(flags).open(&files.path).await.map(OnDisk)
    }

    async fn read(&self, buffer: Block, offset: u64) -> io::Result<Block> {
        let BufResult(result, block) = self.0.read_exact_at(buffer, offset).await;
        result.map(|_| block)
    }
}
