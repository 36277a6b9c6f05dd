//! What is written in its own words.

use std::rc::Rc;

use annulus::sync::{Notify, mpsc, oneshot};
use annulus_peers::tasks::{Tasks, warm};
use annulus_peers::{Cost, Micro, Stopwatch};

use super::Loop;

pub fn measure(work: Micro, times: u64) -> Option<Cost> {
    Some(match work {
        Micro::NopOne => Loop::run(move || warm(times, |times| nops(1, times))),
        Micro::NopMany => Loop::run(move || warm(times, |times| nops(64, times))),
        Micro::Channel => Loop::run(move || warm(times, channel)),
        Micro::Oneshot => Loop::run(move || warm(times, answers)),
        Micro::Notify => Loop::run(move || warm(times, notify)),
        _ => return None,
    })
}

async fn nops(tasks: u64, times: u64) -> Cost {
    let watch = Stopwatch::start();
    let all: Vec<_> = (0..tasks)
        .map(|_| {
            annulus::spawn(async move {
                for _ in 0..times / tasks {
                    annulus::nop().await.expect("it does nothing");
                }
            })
        })
        .collect();
    for task in all {
        task.await.expect("it does not panic");
    }
    watch.stop(times / tasks * tasks)
}

async fn channel(times: u64) -> Cost {
    let (to, mut theirs) = mpsc::channel(1);
    let (back, mut ours) = mpsc::channel(1);
    let other = annulus::spawn(async move {
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

async fn answers(times: u64) -> Cost {
    let (to, mut theirs) = mpsc::unbounded::<oneshot::Sender<u64>>();
    let other = annulus::spawn(async move {
        while let Some(sender) = theirs.recv().await {
            sender.send(7).expect("it waits");
        }
    });
    let watch = Stopwatch::start();
    for _ in 0..times {
        let (sender, receiver) = oneshot::channel();
        to.send(sender).expect("it waits");
        assert_eq!(receiver.await, Ok(7));
    }
    let cost = watch.stop(times);
    drop(to);
    other.await.expect("it does not panic");
    cost
}

async fn notify(times: u64) -> Cost {
    let (to, back) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
    let (theirs, answer) = (Rc::clone(&to), Rc::clone(&back));
    let other = annulus::spawn(async move {
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
