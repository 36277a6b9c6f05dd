//! Panics amid operations: in polls, destructors, wakers and buffers. What was lent is freed once, and the loop goes on.
#![allow(unsafe_code)]

mod support;

use std::cell::Cell;
use std::future::{Future, pending};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::time::Duration;

use annulus::buf::{IoBuf, IoBufMut};
use annulus::fs::File;
use annulus::time::{sleep, timeout};
use annulus::{Builder, spawn, yield_now};
use support::audit;
use support::child::alone;
use support::guarded::{self, Guarded};
use support::net::pair;
use support::on_every_driver;
use support::outside::{self, arrival, directory, with_peer};
use support::quiet::{boom, quietly};
use support::races::begin;

on_every_driver! {
    tasks_that_panic_amid_operations_leave_buffers_and_descriptors_whole,
    a_buffer_that_panics_when_it_is_freed_leaves_its_stream_in_order,
    a_waker_that_panics_when_it_is_dropped_leaves_the_operation_stopped,
    an_operation_that_panics_while_it_is_submitted_leaves_its_stream_in_order,
    a_future_and_its_output_that_both_panic_when_dropped_end_their_task_alone,
    a_waker_whose_panic_panics_when_it_is_dropped_keeps_no_other_from_being_woken,
}

/// So long at most does anything here wait for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        boom("in a destructor");
    }
}

/// Panics when it is woken.
struct Explosive;

impl Wake for Explosive {
    fn wake(self: Arc<Self>) {
        boom("in a waker");
    }
}

/// Begins reads and writes with buffers and panics, in one of several places.
async fn panics_amid_operations(path: PathBuf, n: usize) {
    let (stream, _peer) = with_peer().await;
    let file = File::open(path).await.unwrap();
    let (mut read, mut queued) = (stream.read(Guarded::new(100)), stream.read(Guarded::new(100)));
    let mut readv = file.readv_at(vec![Guarded::new(4096), Guarded::new(4096)], 0);
    let mut write = stream.write(Guarded::of(&vec![1; 4 << 20]));
    assert!(begin(&mut read).is_pending() && begin(&mut queued).is_pending());
    let _ = (begin(&mut readv), begin(&mut write));
    match n % 5 {
        0 => boom("in a poll"),
        1 => {
            yield_now().await;
            boom("in a later poll");
        }
        2 => {
            let _bomb = Bomb;
            pending::<()>().await;
        }
        // Between other destructors: those before and after it run all the same.
        3 => {
            let _around = (read, Bomb, queued);
        }
        _ => {
            let waker = Waker::from(Arc::new(Explosive));
            let _ = Pin::new(&mut write).poll(&mut Context::from_waker(&waker));
            write.cancel();
            let mut timer = sleep(Duration::from_micros(100));
            assert!(Pin::new(&mut timer).poll(&mut Context::from_waker(&waker)).is_pending());
            sleep(Duration::from_millis(1)).await;
        }
    }
}

fn tasks_that_panic_amid_operations_leave_buffers_and_descriptors_whole(builder: Builder) {
    const TASKS: usize = 250;
    alone(|| {
        let runtime = builder.build().unwrap();
        let directory = runtime.run(directory()).unwrap();
        let path = directory.path().join("file");
        runtime.run(outside::write(&path, vec![7; 8192])).unwrap();
        let round = async || {
            let tasks: Vec<_> = (0..TASKS).map(|n| spawn(panics_amid_operations(path.clone(), n))).collect();
            let bystander = spawn(async {
                let (client, server) = pair().await;
                for _ in 0..100 {
                    client.write_all("ping").await.0.unwrap();
                    assert_eq!(server.read(Vec::with_capacity(8)).await.1, b"ping");
                }
            });
            sleep(Duration::from_millis(50)).await;
            let mut panics = 0;
            for (n, task) in tasks.into_iter().enumerate() {
                task.abort();
                match task.await {
                    Ok(()) => assert_eq!(n % 5, 4),
                    Err(error) => panics += usize::from(error.is_panic()),
                }
            }
            bystander.await.unwrap();
            sleep(Duration::from_millis(20)).await;
            panics
        };
        runtime.run(round()).unwrap();
        let before = audit::descriptors();
        let panics = runtime.run(round()).unwrap();
        assert!(panics >= TASKS / 5 * 3, "they panic: {panics}");
        audit::comes_back("descriptors", before, audit::descriptors);
        let metrics = runtime.metrics();
        assert_eq!(
            (metrics.in_flight, metrics.orphans, metrics.stray, metrics.alive),
            (0, 0, 0, 0),
            "{metrics:?}"
        );
        assert_eq!(guarded::mapped(), 0, "every buffer was freed, and once");
    });
}

/// A buffer whose owner panics when it is freed.
struct Mined(Guarded, Rc<Cell<bool>>);

/// A buffer that panics when it is asked where it is.
struct Lost(Guarded);

impl Drop for Mined {
    fn drop(&mut self) {
        if self.1.get() {
            boom("in a buffer");
        }
    }
}

// SAFETY: as the buffer inside, which is on the heap.
unsafe impl IoBuf for Mined {
    fn stable_ptr(&self) -> *const u8 {
        self.0.stable_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.0.bytes_init()
    }

    fn bytes_total(&self) -> usize {
        self.0.bytes_total()
    }
}

// SAFETY: as above.
unsafe impl IoBufMut for Mined {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.stable_mut_ptr()
    }

    unsafe fn set_init(&mut self, length: usize) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.set_init(length) };
    }
}

fn a_buffer_that_panics_when_it_is_freed_leaves_its_stream_in_order(builder: Builder) {
    alone(|| {
        let runtime = builder.build().unwrap();
        let before = audit::descriptors();
        runtime
            .run(async {
                let armed = Rc::new(Cell::new(true));
                // Dropped in flight, when it is answered, and while it is in the queue.
                for place in 0..3 {
                    let (client, server) = pair().await;
                    let mut read = server.read(Mined(Guarded::new(64), Rc::clone(&armed)));
                    let mut queued = server.read(Mined(Guarded::new(64), Rc::clone(&armed)));
                    assert!(begin(&mut read).is_pending() && begin(&mut queued).is_pending());
                    if place == 1 {
                        client.write_all("kept").await.0.unwrap();
                        arrival().await;
                    }
                    if place == 2 {
                        assert!(quietly(AssertUnwindSafe(|| drop(queued))).is_err());
                        armed.set(false);
                        drop(read);
                    } else {
                        let _ = quietly(AssertUnwindSafe(|| drop(read)));
                        armed.set(place == 0);
                        sleep(Duration::from_millis(5)).await;
                        armed.set(false);
                        drop(queued);
                    }
                    armed.set(true);
                    client.write_all("all of it").await.0.unwrap();
                    let wanted: &[u8] = if place == 1 { b"keptall of it" } else { b"all of it" };
                    let rest = server.read_exact(Vec::with_capacity(wanted.len()));
                    let (result, got) = timeout(PATIENCE, rest).await.expect("the next read begins");
                    result.unwrap();
                    assert_eq!(got, wanted, "place {place}");
                }
                sleep(Duration::from_millis(20)).await;
            })
            .unwrap();
        audit::comes_back("descriptors", before, audit::descriptors);
        let metrics = runtime.metrics();
        assert_eq!((metrics.in_flight, metrics.orphans, metrics.stray), (0, 0, 0), "{metrics:?}");
        assert_eq!(guarded::mapped(), 0);
    });
}

// SAFETY: as the buffer inside, which is on the heap.
unsafe impl IoBuf for Lost {
    fn stable_ptr(&self) -> *const u8 {
        boom("where a buffer is");
        self.0.stable_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.0.bytes_init()
    }

    fn bytes_total(&self) -> usize {
        self.0.bytes_total()
    }
}

// SAFETY: as above.
unsafe impl IoBufMut for Lost {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        boom("where a buffer is");
        self.0.stable_mut_ptr()
    }

    unsafe fn set_init(&mut self, length: usize) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.set_init(length) };
    }
}

/// A waker that cannot be cloned.
static UNIQUE: RawWakerVTable = RawWakerVTable::new(
    |data| {
        boom("in the clone of a waker");
        RawWaker::new(data, &UNIQUE)
    },
    |_| {},
    |_| {},
    |_| {},
);

fn an_operation_that_panics_while_it_is_submitted_leaves_its_stream_in_order(builder: Builder) {
    alone(|| {
        let runtime = builder.build().unwrap();
        let before = audit::descriptors();
        runtime
            .run(async {
                let (client, server) = pair().await;
                // SAFETY: the functions do nothing with the data.
                let waker = unsafe { Waker::new(std::ptr::null(), &UNIQUE) };
                let mut read = server.read(Guarded::new(64));
                let panics = AssertUnwindSafe(|| {
                    let _ = Pin::new(&mut read).poll(&mut Context::from_waker(&waker));
                });
                assert!(quietly(panics).is_err());
                drop(read);
                let mut read = server.read(Lost(Guarded::new(64)));
                assert!(quietly(AssertUnwindSafe(|| begin(&mut read))).is_err());
                drop(read);
                client.write_all("goes on").await.0.unwrap();
                let next = timeout(PATIENCE, server.read(Vec::with_capacity(64))).await;
                assert_eq!(next.expect("the next read begins").1, b"goes on");
            })
            .unwrap();
        audit::comes_back("descriptors", before, audit::descriptors);
        assert_eq!((guarded::mapped(), runtime.metrics().in_flight), (0, 0));
    });
}

/// A waker whose last owner panics.
struct LastWords(Arc<AtomicUsize>);

impl Wake for LastWords {
    fn wake(self: Arc<Self>) {}
}

impl Drop for LastWords {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        boom("in a waker's destructor");
    }
}

fn a_waker_that_panics_when_it_is_dropped_leaves_the_operation_stopped(builder: Builder) {
    alone(|| {
        let runtime = builder.build().unwrap();
        runtime
            .run(async {
                let count = Arc::new(AtomicUsize::new(0));
                let (client, server) = pair().await;
                let waker = Waker::from(Arc::new(LastWords(Arc::clone(&count))));
                let mut read = server.read(Guarded::new(64));
                assert!(Pin::new(&mut read).poll(&mut Context::from_waker(&waker)).is_pending());
                drop(waker);
                assert!(quietly(AssertUnwindSafe(|| drop(read))).is_err());
                assert_eq!(count.load(Ordering::SeqCst), 1);
                sleep(Duration::from_millis(5)).await;
                assert_eq!(guarded::mapped(), 0, "it was asked to stop, and did");
                client.write_all("next").await.0.unwrap();
                let next = timeout(PATIENCE, server.read(Vec::with_capacity(64))).await.unwrap();
                assert_eq!(next.1, b"next");
            })
            .unwrap();
    });
}

/// Is ready at once, with what panics when it is dropped, and panics so itself.
struct Both;

impl Future for Both {
    type Output = Bomb;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Bomb> {
        Poll::Ready(Bomb)
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        boom("in a future's destructor");
    }
}

fn a_future_and_its_output_that_both_panic_when_dropped_end_their_task_alone(builder: Builder) {
    let runtime = builder.build().unwrap();
    let ended = runtime.run(async { spawn(Both).await });
    assert!(ended.unwrap().is_err_and(|error| error.is_panic()));
    assert!(runtime.enter(annulus::task::current).is_none(), "nobody runs");
    assert_eq!(runtime.metrics().alive, 0);
}

/// Panics when it is woken, with what panics when it is dropped.
struct Chained;

impl Wake for Chained {
    fn wake(self: Arc<Self>) {
        std::panic::resume_unwind(Box::new(Bomb));
    }
}

async fn a_waker_whose_panic_panics_when_it_is_dropped_keeps_no_other_from_being_woken() {
    let event = annulus::sync::Event::new();
    let (mut first, mut second) = (pin!(event.wait()), pin!(event.wait()));
    let chained = Waker::from(Arc::new(Chained));
    assert!(first.as_mut().poll(&mut Context::from_waker(&chained)).is_pending());
    let counted = Arc::new(Counted::default());
    let waker = Waker::from(Arc::clone(&counted));
    assert!(second.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    event.set();
    assert_eq!(counted.0.load(Ordering::Relaxed), 1);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
