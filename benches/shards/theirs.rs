//! Tokio's, and the two sides of the channels, which are the same for all.

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::machine::{APART, Took, WARM, Watch, on};

pub async fn ask(trips: u64, ask: Sender<u64>, mut answered: Receiver<u64>, watch: &mut Watch) {
    for number in 0..WARM + trips {
        if number == WARM {
            watch.begin();
        }
        ask.send(number).await.unwrap();
        assert_eq!(answered.recv().await, Some(number));
    }
    watch.end(trips);
}

pub async fn answer(mut asked: Receiver<u64>, answer: Sender<u64>) {
    while let Some(number) = asked.recv().await {
        // Whoever asks may have gone.
        let _ = answer.send(number).await;
    }
}

fn several() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub fn two_tasks(trips: u64) -> Took {
    let (to, asked) = channel(1);
    let (back, answered) = channel(1);
    several().block_on(async {
        let answering = tokio::spawn(answer(asked, back));
        let asking = tokio::spawn(async move {
            let mut watch = Watch::new();
            ask(trips, to, answered, &mut watch).await;
            watch.took()
        });
        answering.await.unwrap();
        asking.await.unwrap()
    })
}

pub fn a_task_and_block_on(trips: u64) -> Took {
    let (to, asked) = channel(1);
    let (back, answered) = channel(1);
    let mut watch = Watch::new();
    several().block_on(async {
        let answering = tokio::spawn(answer(asked, back));
        ask(trips, to, answered, &mut watch).await;
        answering.await.unwrap();
    });
    watch.took()
}

pub fn two_loops(trips: u64) -> Took {
    let (to, asked) = channel(1);
    let (back, answered) = channel(1);
    let one = || Builder::new_current_thread().enable_all().build().unwrap();
    on(
        APART,
        move |watch| one().block_on(ask(trips, to, answered, watch)),
        move || one().block_on(answer(asked, back)),
    )
}
