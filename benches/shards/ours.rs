//! Two loops of annulus's.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use annulus::sync::across::mpsc;
use annulus::{Driver, Runtime};
use futures_util::task::AtomicWaker;

use crate::machine::{APART, Processors, Took, WARM, Watch, on};

fn runtime(spins_us: u64) -> Runtime {
    Runtime::builder().driver(Driver::Auto).spin(Duration::from_micros(spins_us)).build().unwrap()
}

pub fn channels(trips: u64, spins_us: u64) -> Took {
    let (ask, asked) = mpsc::channel(1);
    let (answer, answered) = mpsc::channel(1);
    on(
        APART,
        move |watch| runtime(spins_us).run(crate::theirs::ask(trips, ask, answered, watch)).unwrap(),
        move || runtime(spins_us).run(crate::theirs::answer(asked, answer)).unwrap(),
    )
}

/// Room for one number, and who waits for it: the least that a channel is.
#[derive(Default)]
struct Place {
    number: AtomicU64,
    waiter: AtomicWaker,
}

impl Place {
    fn put(&self, number: u64) {
        self.number.store(number, Ordering::Release);
        self.waiter.wake();
    }

    async fn take(&self) -> u64 {
        let taken = || match self.number.swap(0, Ordering::Acquire) {
            0 => Poll::Pending,
            number => Poll::Ready(number),
        };
        poll_fn(|cx| {
            if let Poll::Ready(number) = taken() {
                return Poll::Ready(number);
            }
            self.waiter.register(cx.waker());
            taken()
        })
        .await
    }
}

/// Messages come from a thread that makes one every so often: how long each was under way, in microseconds, and which part of its
/// processor the loop used.
pub fn listen(every_us: u64, spins_us: u64, messages: u64) -> (f64, f64) {
    let (sender, mut receiver) = mpsc::channel::<Instant>(1024);
    let mut took = (0.0, 0.0);
    let mut hears = async |watch: &mut Watch| {
        let mut under_way = Duration::ZERO;
        // The first says that the other is there.
        receiver.recv().await.unwrap();
        watch.begin_alone();
        for _ in 0..messages {
            under_way += receiver.recv().await.unwrap().elapsed();
        }
        watch.end_alone(messages);
        under_way.as_secs_f64() * 1e6 / messages as f64
    };
    on(
        APART,
        |watch| {
            let way = runtime(spins_us).run(hears(watch)).unwrap();
            let all = watch.took();
            took = (way, all.processor / all.time);
        },
        || {
            let mut next = Instant::now() + Duration::from_millis(5);
            for _ in 0..=messages {
                while Instant::now() < next {
                    std::hint::spin_loop();
                }
                sender.blocking_send(Instant::now()).unwrap();
                next += Duration::from_micros(every_us);
            }
        },
    );
    took
}

pub fn wakers(trips: u64, spins_us: u64, processors: Processors) -> Took {
    let (there, back) = (Place::default(), Place::default());
    let asks = async |watch: &mut Watch| {
        for number in 1..=WARM + trips {
            if number == WARM + 1 {
                watch.begin();
            }
            there.put(number);
            assert_eq!(back.take().await, number);
        }
        watch.end(trips);
    };
    let answers = async || {
        for _ in 0..WARM + trips {
            back.put(there.take().await);
        }
    };
    on(
        processors,
        |watch| runtime(spins_us).run(asks(watch)).unwrap(),
        || runtime(spins_us).run(answers()).unwrap(),
    )
}
