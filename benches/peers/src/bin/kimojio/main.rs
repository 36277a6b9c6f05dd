//! kimojio.

use std::fs::OpenOptions;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use annulus_peers::tasks::{Reads, Tasks, measure, read_files, warm};
use annulus_peers::{ANSWER, Aligned, BLOCK, Contestant, Cost, Files, Micro, Requests, Stopwatch};
use kimojio::operations::{self, spawn_task};
use kimojio::{OwnedFd, Runtime, configuration::Configuration};

struct Kimojio;

fn main() -> io::Result<()> {
    annulus_peers::run::<Kimojio>()
}

impl Contestant for Kimojio {
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
            Micro::NopOne => Some(Loop::run(move || warm(times, |times| nops(1, times)))),
            Micro::NopMany => Some(Loop::run(move || warm(times, |times| nops(64, times)))),
            Micro::Channel => Some(Loop::run(move || warm(times, channel))),
            _ => measure::<Loop>(work, times),
        })
    }
}

fn block_on<F: Future + 'static>(work: F) -> F::Output {
    let done = Runtime::new(0, Configuration::new()).block_on(work);
    done.expect("it ends").unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

async fn serve<F: Future<Output = io::Result<()>> + 'static>(
    listener: TcpListener,
    each: impl Fn(OwnedFd) -> F + 'static,
) -> io::Result<()> {
    listener.set_nonblocking(false)?;
    loop {
        let stream = operations::accept(&listener).await?;
        socket2::SockRef::from(&stream).set_tcp_nodelay(true)?;
        drop(spawn_task(each(stream)));
    }
}

async fn send(stream: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = operations::write(stream, bytes).await?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

async fn echo(stream: OwnedFd, size: usize) -> io::Result<()> {
    let mut buffer = vec![0; size];
    loop {
        let count = operations::read(&stream, &mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        send(&stream, &buffer[..count]).await?;
    }
}

async fn answer(stream: OwnedFd) -> io::Result<()> {
    let (mut buffer, mut requests, answers) = (vec![0; 4096], Requests::default(), ANSWER.repeat(64));
    loop {
        let count = operations::read(&stream, &mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let ended = requests.ended_in(&buffer[..count])?;
        send(&stream, &answers[..ended * ANSWER.len()]).await?;
    }
}

async fn nops(tasks: u64, times: u64) -> Cost {
    let watch = Stopwatch::start();
    let all: Vec<_> = (0..tasks)
        .map(|_| {
            spawn_task(async move {
                for _ in 0..times / tasks {
                    operations::nop().await.expect("it does nothing");
                }
            })
        })
        .collect();
    for task in all {
        let _ = task.await;
    }
    watch.stop(times / tasks * tasks)
}

async fn channel(times: u64) -> Cost {
    let (to, theirs) = kimojio::async_channel();
    let (back, ours) = kimojio::async_channel();
    let other = spawn_task(async move {
        while let Ok(number) = theirs.recv().await {
            if back.send(number).await.is_err() {
                return;
            }
        }
    });
    let watch = Stopwatch::start();
    for number in 0..times {
        assert!(to.send(number).await.is_ok());
        assert!(matches!(ours.recv().await, Ok(same) if same == number));
    }
    let cost = watch.stop(times);
    drop(to);
    let _ = other.await;
    cost
}

struct Loop;

impl Tasks for Loop {
    const WAKES_ACROSS: bool = false;

    fn run<T: Send + 'static, F: Future<Output = T> + 'static>(
        work: impl FnOnce() -> F + Send + 'static,
    ) -> T {
        block_on(async { work().await })
    }

    fn spawn(work: impl Future<Output = ()> + 'static) -> impl Future<Output = ()> + 'static {
        let handle = spawn_task(work);
        async move {
            let _ = handle.await;
        }
    }

    fn yield_now() -> impl Future<Output = ()> {
        operations::yield_cpu()
    }

    fn sleep(span: Duration) -> impl Future<Output = ()> + 'static {
        let sleep = operations::sleep(span);
        async move {
            let _ = sleep.await;
        }
    }
}

struct OnDisk(std::fs::File);

impl Reads for OnDisk {
    type Buffer = Aligned;

    fn buffer() -> Aligned {
        Aligned::new()
    }

    async fn open(files: &Files) -> io::Result<OnDisk> {
        let flags = if files.direct { libc::O_DIRECT } else { 0 };
        Ok(OnDisk(OpenOptions::new().read(true).custom_flags(flags).open(&files.path)?))
    }

    async fn read(&self, mut buffer: Aligned, offset: u64) -> io::Result<Aligned> {
        let count = operations::pread(&self.0, &mut buffer[..], offset).await?;
        assert_eq!(count, BLOCK);
        Ok(buffer)
    }
}
