//! smol, with one local executor.

use std::fs::OpenOptions;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use annulus_peers::tasks::{Reads, Tasks, measure, read_files, warm};
use annulus_peers::{ANSWER, Aligned, Contestant, Cost, Files, Micro, Requests, Stopwatch};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, LocalExecutor};

struct Smol;

fn main() -> io::Result<()> {
    annulus_peers::run::<Smol>()
}

thread_local! {
    static EXECUTOR: Rc<LocalExecutor<'static>> = Rc::new(LocalExecutor::new());
}

fn executor() -> Rc<LocalExecutor<'static>> {
    EXECUTOR.with(Rc::clone)
}

fn block_on<F: Future>(work: F) -> F::Output {
    let executor = executor();
    smol::block_on(executor.run(work))
}

impl Contestant for Smol {
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

async fn serve<F: Future<Output = io::Result<()>> + 'static>(
    listener: TcpListener,
    each: impl Fn(Async<TcpStream>) -> F,
) -> io::Result<()> {
    let (listener, executor) = (Async::new(listener)?, executor());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.get_ref().set_nodelay(true)?;
        executor.spawn(each(stream)).detach();
    }
}

async fn echo(mut stream: Async<TcpStream>, size: usize) -> io::Result<()> {
    let mut buffer = vec![0; size];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

async fn answer(mut stream: Async<TcpStream>) -> io::Result<()> {
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
    let (to, theirs) = smol::channel::bounded(1);
    let (back, ours) = smol::channel::bounded(1);
    let other = executor().spawn(async move {
        while let Ok(number) = theirs.recv().await {
            back.send(number).await.expect("it waits");
        }
    });
    let watch = Stopwatch::start();
    for number in 0..times {
        to.send(number).await.expect("it waits");
        assert_eq!(ours.recv().await, Ok(number));
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
        executor().spawn(work)
    }

    fn yield_now() -> impl Future<Output = ()> {
        smol::future::yield_now()
    }

    fn sleep(span: Duration) -> impl Future<Output = ()> + 'static {
        let timer = smol::Timer::after(span);
        async {
            timer.await;
        }
    }
}

/// As smol's own files read: on a thread that may wait.
struct OnDisk(Arc<std::fs::File>);

impl Reads for OnDisk {
    type Buffer = Aligned;

    fn buffer() -> Aligned {
        Aligned::new()
    }

    async fn open(files: &Files) -> io::Result<OnDisk> {
        let flags = if files.direct { libc::O_DIRECT } else { 0 };
        Ok(OnDisk(Arc::new(OpenOptions::new().read(true).custom_flags(flags).open(&files.path)?)))
    }

    async fn read(&self, mut buffer: Aligned, offset: u64) -> io::Result<Aligned> {
        let file = Arc::clone(&self.0);
        smol::unblock(move || file.read_exact_at(&mut buffer[..], offset).map(|()| buffer)).await
    }
}
