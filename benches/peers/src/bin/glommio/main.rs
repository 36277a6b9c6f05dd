//! glommio.

use std::cell::Cell;
use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::time::Duration;

use annulus_peers::tasks::{Reads, Tasks, measure, read_files, warm};
use annulus_peers::{ANSWER, BLOCK, Contestant, Cost, Files, Micro, Requests, Stopwatch};
use futures_util::StreamExt;
use glommio::channels::local_channel;
use glommio::io::{BufferedFile, DmaFile, ReadResult};
use glommio::net::TcpStream;
use glommio::{LocalExecutorBuilder, Placement};
use smol::io::{AsyncReadExt, AsyncWriteExt};

struct Glommio;

fn main() -> io::Result<()> {
    annulus_peers::run::<Glommio>()
}

impl Contestant for Glommio {
    const VARIANTS: &'static [&'static str] = &["default"];

    fn echo(_: &str, listener: TcpListener, size: usize) -> io::Result<()> {
        block_on(serve(listener, move |stream| echo(stream, size)))
    }

    fn http(_: &str, listener: TcpListener) -> io::Result<()> {
        block_on(serve(listener, answer))
    }

    fn files(_: &str, files: &Files) -> io::Result<Option<Cost>> {
        read_files::<Loop, OnDisk>(files).map(Some)
    }

    fn micro(_: &str, work: Micro, times: u64) -> io::Result<Option<Cost>> {
        Ok(match work {
            Micro::Channel => Some(Loop::run(move || warm(times, channel))),
            _ => measure::<Loop>(work, times),
        })
    }
}

fn block_on<F: Future>(work: F) -> F::Output {
    LocalExecutorBuilder::new(Placement::Unbound).ring_depth(1024).make().expect("an executor").run(work)
}

async fn serve<F: Future<Output = io::Result<()>> + 'static>(
    listener: TcpListener,
    each: impl Fn(TcpStream) -> F,
) -> io::Result<()> {
    // SAFETY: the number is given away.
    let listener = unsafe { glommio::net::TcpListener::from_raw_fd(listener.into_raw_fd()) };
    loop {
        let stream = listener.accept().await?;
        stream.set_nodelay(true)?;
        glommio::spawn_local(each(stream)).detach();
    }
}

async fn echo(mut stream: TcpStream, size: usize) -> io::Result<()> {
    let mut buffer = vec![0; size];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let (mut buffer, mut requests, answers) = (vec![0; 4096], Requests::default(), ANSWER.repeat(64));
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let ended = requests.ended_in(&buffer[..count])?;
        stream.write_all(&answers[..ended * ANSWER.len()]).await?;
    }
}

async fn channel(times: u64) -> Cost {
    let (to, theirs) = local_channel::new_bounded(1);
    let (back, ours) = local_channel::new_bounded(1);
    let other = glommio::spawn_local(async move {
        let mut theirs = std::pin::pin!(theirs.stream());
        while let Some(number) = theirs.next().await {
            if back.send(number).await.is_err() {
                return;
            }
        }
    });
    let mut ours = std::pin::pin!(ours.stream());
    let watch = Stopwatch::start();
    for number in 0..times {
        assert!(to.send(number).await.is_ok());
        assert_eq!(ours.next().await, Some(number));
    }
    let cost = watch.stop(times);
    drop(to);
    other.await;
    cost
}

struct Loop;

impl Tasks for Loop {
    fn run<T: Send + 'static, F: Future<Output = T> + 'static>(
        work: impl FnOnce() -> F + Send + 'static,
    ) -> T {
        block_on(async { work().await })
    }

    fn spawn(work: impl Future<Output = ()> + 'static) -> impl Future<Output = ()> + 'static {
        glommio::spawn_local(work)
    }

    async fn yield_now() {
        glommio::executor().yield_task_queue_now().await;
    }

    fn sleep(span: Duration) -> impl Future<Output = ()> + 'static {
        let timer = glommio::timer::Timer::new(span);
        async {
            timer.await;
        }
    }
}

/// It has a type for each way of reading, and gives a buffer of its own for each read.
enum OnDisk {
    Cached(BufferedFile),
    Direct(DmaFile),
}

struct Block(Cell<Option<ReadResult>>, Box<[u8; BLOCK]>);

impl std::ops::Deref for Block {
    type Target = [u8; BLOCK];

    fn deref(&self) -> &[u8; BLOCK] {
        &self.1
    }
}

impl Reads for OnDisk {
    type Buffer = Block;

    fn buffer() -> Block {
        Block(Cell::new(None), Box::new([0; BLOCK]))
    }

    async fn open(files: &Files) -> io::Result<OnDisk> {
        Ok(match files.direct {
            true => OnDisk::Direct(DmaFile::open(&files.path).await?),
            false => OnDisk::Cached(BufferedFile::open(&files.path).await?),
        })
    }

    async fn read(&self, mut buffer: Block, offset: u64) -> io::Result<Block> {
        let result = match self {
            OnDisk::Direct(file) => file.read_at_aligned(offset, BLOCK).await?,
            OnDisk::Cached(file) => file.read_at(offset, BLOCK).await?,
        };
        assert_eq!(result.len(), BLOCK);
        // What is checked of it, and no more: it is theirs to hold.
        buffer.1[..8].copy_from_slice(&result[..8]);
        buffer.0.set(Some(result));
        Ok(buffer)
    }
}
