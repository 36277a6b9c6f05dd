//! What tasks cost, beside tokio's on one thread: to spawn and join, to yield, to wake another.
//!
//! `cargo bench --bench task`

mod support;

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use criterion::{Bencher, Criterion, criterion_group, criterion_main};
use tokio::task::spawn_local;

use support::{Tokio, in_rounds, loops};

const MANY: u64 = 1000;
const SEVERAL: u64 = 100;

/// One at a time.
async fn spawn_and_join<J: Future>(count: u64, spawn: impl Fn() -> J) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        spawn().await;
    }
    start.elapsed()
}

/// A thousand, and then all are waited for.
async fn spawn_many_and_join<J: Future>(rounds: u64, spawn: impl Fn() -> J) -> Duration {
    let mut tasks = Vec::with_capacity(MANY as usize);
    let start = Instant::now();
    for _ in 0..rounds {
        tasks.extend((0..MANY).map(|_| spawn()));
        for task in tasks.drain(..) {
            task.await;
        }
    }
    start.elapsed()
}

/// A thousand tasks in a set, which are taken out as they finish.
async fn join_sets_of_ours(rounds: u64) -> Duration {
    let mut set = annulus::task::JoinSet::new();
    let start = Instant::now();
    for _ in 0..rounds {
        (0..MANY).for_each(|_| drop(set.spawn(async {})));
        while set.join_next().await.is_some() {}
    }
    start.elapsed()
}

async fn join_sets_of_theirs(rounds: u64) -> Duration {
    let mut set = tokio::task::JoinSet::new();
    let start = Instant::now();
    for _ in 0..rounds {
        (0..MANY).for_each(|_| drop(set.spawn_local(async {})));
        while set.join_next().await.is_some() {}
    }
    start.elapsed()
}

async fn yields<Y: Future>(count: u64, yield_now: impl Fn() -> Y) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        yield_now().await;
    }
    start.elapsed()
}

/// A hundred tasks take turns. `spawn` makes each of what it is to do.
async fn take_turns<T, J: Future>(tasks: impl Fn() -> T, spawn: impl Fn(T) -> J) -> Duration {
    let start = Instant::now();
    let tasks: Vec<_> = (0..SEVERAL).map(|_| spawn(tasks())).collect();
    for task in tasks {
        task.await;
    }
    start.elapsed()
}

/// What a channel for one value does to wake its receiver: keeps a clone of the waker, and takes it.
#[derive(Default)]
struct Signal {
    is_set: Cell<bool>,
    waiter: Cell<Option<Waker>>,
}

impl Signal {
    fn set(&self) {
        self.is_set.set(true);
        if let Some(waker) = self.waiter.take() {
            waker.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            if self.is_set.replace(false) {
                return Poll::Ready(());
            }
            self.waiter.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }
}

/// Two tasks that wake each other; `ping` and `pong` are the two signals, seen from either.
async fn answer(rounds: u64, ping: Rc<Signal>, pong: Rc<Signal>) {
    for _ in 0..rounds {
        ping.wait().await;
        pong.set();
    }
}

async fn ask(rounds: u64, ping: Rc<Signal>, pong: Rc<Signal>) -> Duration {
    let start = Instant::now();
    for _ in 0..rounds {
        ping.set();
        pong.wait().await;
    }
    start.elapsed()
}

/// A row for annulus, and one for tokio. Tasks never reach a driver, so the first loop will do.
fn compare(
    criterion: &mut Criterion,
    name: &str,
    annulus: impl Fn(&mut Bencher<'_>, &annulus::Runtime),
    tokio: impl Fn(&mut Bencher<'_>, &Tokio),
) {
    let mut group = criterion.benchmark_group(name);
    let (ours, theirs) = (loops().swap_remove(0), Tokio::new());
    group.bench_function("annulus", |bencher| annulus(bencher, &ours));
    group.bench_function("tokio", |bencher| tokio(bencher, &theirs));
    group.finish();
}

fn benches(criterion: &mut Criterion) {
    compare(
        criterion,
        "spawn and join, one at a time",
        |bencher, ours| {
            bencher.iter_custom(|count| ours.run(spawn_and_join(count, || annulus::spawn(async {}))).unwrap())
        },
        |bencher, theirs| {
            bencher.iter_custom(|count| theirs.run(spawn_and_join(count, || spawn_local(async {}))))
        },
    );
    compare(
        criterion,
        "spawn and join, 1,000 at once",
        |bencher, ours| {
            bencher.iter_custom(|count| {
                in_rounds(count, MANY, |rounds| {
                    ours.run(spawn_many_and_join(rounds, || annulus::spawn(async {}))).unwrap()
                })
            })
        },
        |bencher, theirs| {
            bencher.iter_custom(|count| {
                in_rounds(count, MANY, |rounds| {
                    theirs.run(spawn_many_and_join(rounds, || spawn_local(async {})))
                })
            })
        },
    );
    compare(
        criterion,
        "a set of 1000 tasks",
        |bencher, ours| {
            bencher.iter_custom(|count| {
                in_rounds(count, MANY, |rounds| ours.run(join_sets_of_ours(rounds)).unwrap())
            })
        },
        |bencher, theirs| {
            bencher
                .iter_custom(|count| in_rounds(count, MANY, |rounds| theirs.run(join_sets_of_theirs(rounds))))
        },
    );
    // Both branches wake the one task that they are in.
    compare(
        criterion,
        "yield, two branches of a join",
        |bencher, ours| {
            bencher.iter_custom(|count| {
                let both = async {
                    annulus::join!(yields(count, annulus::yield_now), yields(count, annulus::yield_now)).0
                };
                ours.run(both).unwrap()
            })
        },
        |bencher, theirs| {
            bencher.iter_custom(|count| {
                let both = async move {
                    tokio::join!(yields(count, tokio::task::yield_now), yields(count, tokio::task::yield_now))
                        .0
                };
                theirs.run(both)
            })
        },
    );
    compare(
        criterion,
        "yield, one task",
        |bencher, ours| bencher.iter_custom(|count| ours.run(yields(count, annulus::yield_now)).unwrap()),
        |bencher, theirs| bencher.iter_custom(|count| theirs.run(yields(count, tokio::task::yield_now))),
    );
    // Tokio's looks at its driver before it goes on, by a system call if nothing else is ready.
    compare(
        criterion,
        "yield, 100 tasks",
        |bencher, ours| {
            bencher.iter_custom(|count| {
                in_rounds(count, SEVERAL, |rounds| {
                    ours.run(take_turns(|| yields(rounds, annulus::yield_now), annulus::spawn)).unwrap()
                })
            })
        },
        |bencher, theirs| {
            bencher.iter_custom(|count| {
                in_rounds(count, SEVERAL, |rounds| {
                    theirs.run(take_turns(move || yields(rounds, tokio::task::yield_now), spawn_local))
                })
            })
        },
    );
    // Each round is two wakes.
    compare(
        criterion,
        "wake another task",
        |bencher, ours| {
            bencher.iter_custom(|count| {
                in_rounds(count, 2, |rounds| {
                    let (ping, pong) = (Rc::<Signal>::default(), Rc::<Signal>::default());
                    let answers = answer(rounds, ping.clone(), pong.clone());
                    let both = async { (annulus::spawn(answers), ask(rounds, ping, pong).await).1 };
                    ours.run(both).unwrap()
                })
            })
        },
        |bencher, theirs| {
            bencher.iter_custom(|count| {
                in_rounds(count, 2, |rounds| {
                    let (ping, pong) = (Rc::<Signal>::default(), Rc::<Signal>::default());
                    let answers = answer(rounds, ping.clone(), pong.clone());
                    theirs.run(async move { (spawn_local(answers), ask(rounds, ping, pong).await).1 })
                })
            })
        },
    );
}

criterion_group! { name = all; config = support::settings(); targets = benches }
criterion_main!(all);
