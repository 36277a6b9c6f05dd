//! tokio, one thread.

use std::fs::OpenOptions;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;
use std::time::Duration;

use annulus_peers::tasks::{Reads, Tasks, measure, read_files, warm};
use annulus_peers::{ANSWER, Aligned, Contestant, Cost, Files, Micro, Requests, Stopwatch};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Tokio;

fn main() -> io::Result<()> {
    annulus_peers::run::<Tokio>()
}

impl Contestant for Tokio {
    const VARIANTS: &'static [&'static str] = &["tokio"];

    fn echo(_: &str, listener: TcpListener, size: usize) -> io::Result<()> {
        block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loop {
                let (mut stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::task::spawn_local(async move {
                    let mut buffer = vec![0; size];
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        if stream.write_all(&buffer[..length]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        })
    }

    fn http(_: &str, listener: TcpListener) -> io::Result<()> {
        block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loop {
                let (mut stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::task::spawn_local(async move {
                    let (mut buffer, mut requests) = (vec![0; 4096], Requests::default());
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        let Ok(ended) = requests.ended_in(&buffer[..length]) else { return };
                        if ended > 0 && stream.write_all(&ANSWER.repeat(ended)).await.is_err() {
                            return;
                        }
                    }
                });
            }
        })
    }

    fn files(_: &str, files: &Files) -> io::Result<Option<Cost>> {
        read_files::<Loop, OnDisk>(files).map(Some)
    }

    fn micro(_: &str, work: Micro, times: u64) -> io::Result<Option<Cost>> {
        Ok(measure::<Loop>(work, times).or_else(|| match work {
            Micro::Channel => Some(Loop::run(move || warm(times, channel))),
            Micro::Oneshot => Some(Loop::run(move || warm(times, oneshot))),
            Micro::Notify => Some(Loop::run(move || warm(times, notify))),
            _ => None,
        }))
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, work)
}

struct Loop;

impl Tasks for Loop {
    fn run<T: Send + 'static, F: Future<Output = T> + 'static>(
        work: impl FnOnce() -> F + Send + 'static,
    ) -> T {
        block_on(async { work().await })
    }

    fn spawn(work: impl Future<Output = ()> + 'static) -> impl Future<Output = ()> + 'static {
        let handle = tokio::task::spawn_local(work);
        async { handle.await.expect("it does not panic") }
    }

    fn yield_now() -> impl Future<Output = ()> {
        tokio::task::yield_now()
    }

    fn sleep(span: Duration) -> impl Future<Output = ()> + 'static {
        tokio::time::sleep(span)
    }
}

/// As tokio's own files read: on a thread that may wait.
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
        let read = move || file.read_exact_at(&mut buffer[..], offset).map(|()| buffer);
        tokio::task::spawn_blocking(read).await?
    }
}

async fn channel(times: u64) -> Cost {
    let (to, mut theirs) = tokio::sync::mpsc::channel(1);
    let (back, mut ours) = tokio::sync::mpsc::channel(1);
    let other = tokio::task::spawn_local(async move {
        while let Some(number) = theirs.recv().await {
            back.send(number).await.expect("it waits");
        }
    });
    let watch = Stopwatch::start();
    for number in 0..times {
        to.send(number).await.expect("it waits");
        assert_eq!(ours.recv().await, Some(number));
    }
    let cost = watch.stop(times);
    drop(to);
    other.await.expect("it does not panic");
    cost
}

async fn oneshot(times: u64) -> Cost {
    let (to, mut theirs) = tokio::sync::mpsc::unbounded_channel::<tokio::sync::oneshot::Sender<u64>>();
    let other = tokio::task::spawn_local(async move {
        while let Some(sender) = theirs.recv().await {
            sender.send(7).expect("it waits");
        }
    });
    let watch = Stopwatch::start();
    for _ in 0..times {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        to.send(sender).expect("it waits");
        assert_eq!(receiver.await, Ok(7));
    }
    let cost = watch.stop(times);
    drop(to);
    other.await.expect("it does not panic");
    cost
}

async fn notify(times: u64) -> Cost {
    use std::rc::Rc;
    let (to, back) = (Rc::new(tokio::sync::Notify::new()), Rc::new(tokio::sync::Notify::new()));
    let (theirs, answer) = (Rc::clone(&to), Rc::clone(&back));
    let other = tokio::task::spawn_local(async move {
        for _ in 0..times {
            theirs.notified().await;
            answer.notify_one();
        }
    });
    let watch = Stopwatch::start();
    for _ in 0..times {
        to.notify_one();
        back.notified().await;
    }
    let cost = watch.stop(times);
    other.await.expect("it does not panic");
    cost
}
