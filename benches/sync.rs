//! What it costs that tasks of one thread tell each other something, beside tokio's on one thread.
//!
//! `cargo bench --bench sync`

mod support;

use std::rc::Rc;
use std::time::{Duration, Instant};

use criterion::{Bencher, BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};

use support::{Tokio, in_rounds, loops};

const SENDERS: u64 = 16;
const RECEIVERS: u64 = 4;

/// The same programs, written once, over one crate's channels and the other's. Each runs `count` rounds, or messages.
macro_rules! programs {
    ($name:ident, $sync:path, $spawn:path, $unbounded:ident) => {
        mod $name {
            use super::*;
            use $spawn as spawn;
            use $sync::{Mutex, Notify, RwLock, Semaphore, broadcast, mpsc, oneshot, watch};

            /// A task sends back what it gets; a round is a message there and one back.
            pub async fn channels(count: u64) -> Duration {
                let (ask, mut asked) = mpsc::channel::<u64>(8);
                let (answer, mut answered) = mpsc::channel::<u64>(8);
                let echo = spawn(async move {
                    while let Some(message) = asked.recv().await {
                        answer.send(message).await.unwrap();
                    }
                });
                let start = Instant::now();
                for round in 0..count {
                    ask.send(round).await.unwrap();
                    assert_eq!(answered.recv().await, Some(round));
                }
                let took = start.elapsed();
                drop(ask);
                echo.await.unwrap();
                took
            }

            pub async fn unbounded(count: u64) -> Duration {
                let (ask, mut asked) = mpsc::$unbounded::<u64>();
                let (answer, mut answered) = mpsc::$unbounded::<u64>();
                let echo = spawn(async move {
                    while let Some(message) = asked.recv().await {
                        answer.send(message).unwrap();
                    }
                });
                let start = Instant::now();
                for round in 0..count {
                    ask.send(round).unwrap();
                    assert_eq!(answered.recv().await, Some(round));
                }
                let took = start.elapsed();
                drop(ask);
                echo.await.unwrap();
                took
            }

            /// A question that carries the way back of its answer.
            pub async fn answers(count: u64) -> Duration {
                let (ask, mut asked) = mpsc::$unbounded::<oneshot::Sender<u64>>();
                let answering = spawn(async move {
                    while let Some(answer) = asked.recv().await {
                        answer.send(7).unwrap();
                    }
                });
                let start = Instant::now();
                for _ in 0..count {
                    let (sender, receiver) = oneshot::channel();
                    ask.send(sender).unwrap();
                    assert_eq!(receiver.await, Ok(7));
                }
                let took = start.elapsed();
                drop(ask);
                answering.await.unwrap();
                took
            }

            /// Within one task: made, sent, received.
            pub async fn oneshots(count: u64) -> Duration {
                let start = Instant::now();
                for value in 0..count {
                    let (sender, receiver) = oneshot::channel();
                    sender.send(value).unwrap();
                    assert_eq!(receiver.await, Ok(value));
                }
                start.elapsed()
            }

            /// Two tasks that wake each other.
            pub async fn words(count: u64) -> Duration {
                let both = Rc::new((Notify::new(), Notify::new()));
                let other = Rc::clone(&both);
                let answering = spawn(async move {
                    for _ in 0..count {
                        other.0.notified().await;
                        other.1.notify_one();
                    }
                });
                let start = Instant::now();
                for _ in 0..count {
                    both.0.notify_one();
                    both.1.notified().await;
                }
                let took = start.elapsed();
                answering.await.unwrap();
                took
            }

            /// Nobody else is there: locked, and let go of.
            pub async fn lock(count: u64) -> Duration {
                let mutex = Mutex::new(0u64);
                let start = Instant::now();
                for _ in 0..count {
                    *mutex.lock().await += 1;
                }
                let took = start.elapsed();
                assert_eq!(mutex.into_inner(), count);
                took
            }

            /// Two tasks that want the lock whenever the other has it: a round is handed over and back.
            pub async fn locks(count: u64) -> Duration {
                let mutex = Rc::new(Mutex::new(0u64));
                let held = mutex.lock().await;
                let both = [(); 2].map(|()| {
                    let mutex = Rc::clone(&mutex);
                    spawn(async move {
                        for _ in 0..count {
                            *mutex.lock().await += 1;
                        }
                    })
                });
                // By then both wait.
                spawn(async {}).await.unwrap();
                let start = Instant::now();
                drop(held);
                for one in both {
                    one.await.unwrap();
                }
                start.elapsed()
            }

            pub async fn read(count: u64) -> Duration {
                let lock = RwLock::new(1u64);
                let start = Instant::now();
                let mut sum = 0;
                for _ in 0..count {
                    sum += *lock.read().await;
                }
                let took = start.elapsed();
                assert_eq!(sum, count);
                took
            }

            pub async fn permit(count: u64) -> Duration {
                let semaphore = Semaphore::new(2);
                let start = Instant::now();
                for _ in 0..count {
                    drop(semaphore.acquire().await.unwrap());
                }
                start.elapsed()
            }

            /// As the lock's.
            pub async fn permits(count: u64) -> Duration {
                let semaphore = Rc::new(Semaphore::new(1));
                let held = semaphore.acquire().await.unwrap();
                let both = [(); 2].map(|()| {
                    let semaphore = Rc::clone(&semaphore);
                    spawn(async move {
                        for _ in 0..count {
                            drop(semaphore.acquire().await.unwrap());
                        }
                    })
                });
                // By then both wait.
                spawn(async {}).await.unwrap();
                let start = Instant::now();
                drop(held);
                for one in both {
                    one.await.unwrap();
                }
                start.elapsed()
            }

            /// A message to each of four receivers that wait for it.
            pub async fn broadcasts(count: u64) -> Duration {
                let (sender, first) = broadcast::channel::<u64>(64);
                let (answer, mut answered) = mpsc::$unbounded::<()>();
                let mut receivers = vec![first];
                receivers.extend((1..RECEIVERS).map(|_| sender.subscribe()));
                for mut receiver in receivers {
                    let answer = answer.clone();
                    drop(spawn(async move {
                        while receiver.recv().await.is_ok() {
                            answer.send(()).unwrap();
                        }
                    }));
                }
                let start = Instant::now();
                for round in 0..count {
                    sender.send(round).unwrap();
                    for _ in 0..RECEIVERS {
                        answered.recv().await.unwrap();
                    }
                }
                start.elapsed()
            }

            /// Two tasks that look at each other's value.
            pub async fn watches(count: u64) -> Duration {
                let (ask, mut asked) = watch::channel(0u64);
                let (answer, mut answered) = watch::channel(0u64);
                let answering = spawn(async move {
                    while asked.changed().await.is_ok() {
                        let value = *asked.borrow_and_update();
                        answer.send(value).unwrap();
                    }
                });
                let start = Instant::now();
                for round in 1..=count {
                    ask.send(round).unwrap();
                    answered.changed().await.unwrap();
                    assert_eq!(*answered.borrow_and_update(), round);
                }
                let took = start.elapsed();
                drop(ask);
                answering.await.unwrap();
                took
            }

            /// Messages through a channel that is full most of the time.
            pub async fn full(count: u64) -> Duration {
                let (sender, mut receiver) = mpsc::channel::<u64>(64);
                let start = Instant::now();
                let sending = spawn(async move {
                    for message in 0..count {
                        sender.send(message).await.unwrap();
                    }
                });
                while receiver.recv().await.is_some() {}
                sending.await.unwrap();
                start.elapsed()
            }

            /// Sixteen senders take turns at one place.
            pub async fn crowd(rounds: u64) -> Duration {
                let (sender, mut receiver) = mpsc::channel::<u64>(1);
                let start = Instant::now();
                for _ in 0..SENDERS {
                    let sender = sender.clone();
                    drop(spawn(async move {
                        for message in 0..rounds {
                            sender.send(message).await.unwrap();
                        }
                    }));
                }
                drop(sender);
                while receiver.recv().await.is_some() {}
                start.elapsed()
            }
        }
    };
}

programs!(ours, annulus::sync, annulus::spawn, unbounded);
programs!(theirs, tokio::sync, tokio::task::spawn_local, unbounded_channel);

/// A row for annulus, and one for tokio. Tasks never reach a driver, so the first loop will do.
fn compare<O: Future<Output = Duration> + 'static, T: Future<Output = Duration> + 'static>(
    criterion: &mut Criterion,
    name: &str,
    messages_a_round: u64,
    annulus: impl Fn(u64) -> O,
    tokio: impl Fn(u64) -> T,
) {
    let mut group: BenchmarkGroup<'_, WallTime> = criterion.benchmark_group(name);
    let (ours, theirs) = (loops().swap_remove(0), Tokio::new());
    // As a task like others, in both.
    let run_ours = |future: O| ours.run(async { annulus::spawn(future).await.unwrap() }).unwrap();
    let rounds = |count: u64, run: &dyn Fn(u64) -> Duration| in_rounds(count, messages_a_round, run);
    group.bench_function("annulus", |bencher: &mut Bencher<'_>| {
        bencher.iter_custom(|count| rounds(count, &|count| run_ours(annulus(count))))
    });
    group.bench_function("tokio", |bencher: &mut Bencher<'_>| {
        bencher.iter_custom(|count| rounds(count, &|count| theirs.run(tokio(count))))
    });
    group.finish();
}

fn benches(criterion: &mut Criterion) {
    compare(criterion, "channels, there and back", 1, ours::channels, theirs::channels);
    compare(criterion, "unbounded channels, there and back", 1, ours::unbounded, theirs::unbounded);
    compare(criterion, "a question with a oneshot for its answer", 1, ours::answers, theirs::answers);
    compare(criterion, "oneshot, sent and received", 1, ours::oneshots, theirs::oneshots);
    compare(criterion, "notify, there and back", 1, ours::words, theirs::words);
    compare(criterion, "mutex, locked and unlocked", 1, ours::lock, theirs::lock);
    compare(criterion, "mutex, handed over and back", 1, ours::locks, theirs::locks);
    compare(criterion, "rwlock, read and let go of", 1, ours::read, theirs::read);
    compare(criterion, "semaphore, a permit taken and given back", 1, ours::permit, theirs::permit);
    compare(criterion, "semaphore, handed over and back", 1, ours::permits, theirs::permits);
    compare(criterion, "broadcast to four and their answers", 1, ours::broadcasts, theirs::broadcasts);
    compare(criterion, "watch, there and back", 1, ours::watches, theirs::watches);
    compare(criterion, "a message through a full channel", 1, ours::full, theirs::full);
    compare(criterion, "a message of one of 16 senders", SENDERS, ours::crowd, theirs::crowd);
}

criterion_group! { name = all; config = support::settings(); targets = benches }
criterion_main!(all);
