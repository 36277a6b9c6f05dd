//! The small works that every runtime can do, written once over what they all have.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_channel::mpsc;
use futures_util::{SinkExt, StreamExt};

use crate::{Cost, Files, Micro, Stopwatch};

/// What a runtime does with tasks of one thread.
pub trait Tasks: 'static {
    /// Whether a waker of its tasks may be woken by another thread.
    const WAKES_ACROSS: bool = true;

    /// Runs a loop of its own on this thread, until the work is done.
    fn run<T: Send + 'static, F: Future<Output = T> + 'static>(
        work: impl FnOnce() -> F + Send + 'static,
    ) -> T;

    /// A task of the running loop; what it gives is ready when the task has ended.
    fn spawn(work: impl Future<Output = ()> + 'static) -> impl Future<Output = ()> + 'static;

    /// Lets the other tasks run.
    fn yield_now() -> impl Future<Output = ()>;

    fn sleep(span: Duration) -> impl Future<Output = ()> + 'static;
}

/// What a runtime does with files.
pub trait Reads: Sized + 'static {
    type Buffer: std::ops::Deref<Target = [u8; crate::BLOCK]> + 'static;

    fn buffer() -> Self::Buffer;

    fn open(files: &Files) -> impl Future<Output = io::Result<Self>>;

    /// One block. Anything but a whole one is an error.
    fn read(&self, buffer: Self::Buffer, offset: u64) -> impl Future<Output = io::Result<Self::Buffer>>;
}

/// Does one of the works that need nothing else. `None` of the others.
pub fn measure<T: Tasks>(work: Micro, times: u64) -> Option<Cost> {
    Some(match work {
        Micro::SpawnOne => T::run(move || warm(times, spawn_one::<T>)),
        Micro::SpawnThousand => T::run(move || warm(times, spawn_thousand::<T>)),
        Micro::YieldOne => T::run(move || warm(times, |times| yields::<T>(1, times))),
        Micro::YieldMany => T::run(move || warm(times, |times| yields::<T>(64, times))),
        Micro::TimersFired => T::run(move || timers_fired::<T>(times)),
        Micro::TimersCancelled => T::run(move || warm(times, timers_cancelled::<T>)),
        Micro::CrossThread if T::WAKES_ACROSS => cross_thread::<T>(times),
        _ => return None,
    })
}

/// Once for a tenth, unmeasured, and once in earnest.
pub async fn warm<F: Future<Output = Cost>>(times: u64, work: impl Fn(u64) -> F) -> Cost {
    work(times / 10).await;
    work(times).await
}

async fn spawn_one<T: Tasks>(times: u64) -> Cost {
    let watch = Stopwatch::start();
    for _ in 0..times {
        T::spawn(async {}).await;
    }
    watch.stop(times)
}

async fn spawn_thousand<T: Tasks>(times: u64) -> Cost {
    let mut handles = Vec::with_capacity(1000);
    let watch = Stopwatch::start();
    for _ in 0..times / 1000 {
        handles.extend((0..1000).map(|_| T::spawn(async {})));
        for handle in handles.drain(..) {
            handle.await;
        }
    }
    watch.stop(times / 1000 * 1000)
}

async fn yields<T: Tasks>(tasks: u64, times: u64) -> Cost {
    let watch = Stopwatch::start();
    let all: Vec<_> = (0..tasks)
        .map(|_| {
            T::spawn(async move {
                for _ in 0..times / tasks {
                    T::yield_now().await;
                }
            })
        })
        .collect();
    for task in all {
        task.await;
    }
    watch.stop(times / tasks * tasks)
}

async fn timers_fired<T: Tasks>(times: u64) -> Cost {
    let watch = Stopwatch::start();
    let span = |number: u64| Duration::from_millis(1 + number * 7919 % 100);
    let all: Vec<_> =
        (0..times).map(|number| T::spawn(async move { T::sleep(span(number)).await })).collect();
    for task in all {
        task.await;
    }
    watch.stop(times)
}

async fn timers_cancelled<T: Tasks>(times: u64) -> Cost {
    let watch = Stopwatch::start();
    let mut context = Context::from_waker(Waker::noop());
    for number in 0..times {
        let sleep = pin!(T::sleep(Duration::from_millis(1000 + number % 1000)));
        assert_eq!(sleep.poll(&mut context), Poll::Pending);
    }
    watch.stop(times)
}

/// Two loops on two threads of one core hand a message back and forth.
fn cross_thread<T: Tasks>(times: u64) -> Cost {
    let (mut to, mut theirs) = mpsc::channel::<()>(1);
    let (mut back, mut ours) = mpsc::channel::<()>(1);
    let other = std::thread::spawn(move || {
        T::run(move || async move {
            while theirs.next().await.is_some() {
                back.send(()).await.expect("it waits");
            }
        })
    });
    let cost = T::run(move || async move {
        let mut watch = Stopwatch::start();
        for number in 0..times + 100 {
            if number == 100 {
                watch = Stopwatch::start();
            }
            to.send(()).await.expect("it waits");
            ours.next().await.expect("it answers");
        }
        watch.stop(times)
    });
    other.join().expect("it does not panic");
    cost
}

/// `files.depth` tasks read, one block after the other.
pub fn read_files<T: Tasks, R: Reads>(files: &Files) -> io::Result<Cost> {
    let files = files.clone();
    T::run(move || async move {
        let (file, blocks) = (Rc::new(R::open(&files).await?), files.blocks()?);
        let (files, next) = (Rc::new(files), Rc::new(std::cell::Cell::new(0)));
        let watch = Stopwatch::start();
        let tasks: Vec<_> = (0..files.depth)
            .map(|_| {
                let (file, files, next) = (Rc::clone(&file), Rc::clone(&files), Rc::clone(&next));
                T::spawn(async move {
                    let mut buffer = R::buffer();
                    while next.get() < files.reads {
                        let offset = files.offset(next.replace(next.get() + 1), blocks);
                        buffer = file.read(buffer, offset).await.expect("it reads");
                        files.check(offset, &buffer[..]);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        Ok(watch.stop(files.reads))
    })
}

/// For runtimes that have none: makes its task ready again, once.
pub fn yield_once() -> impl Future<Output = ()> {
    let mut yielded = false;
    std::future::poll_fn(move |cx| match std::mem::replace(&mut yielded, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
}
