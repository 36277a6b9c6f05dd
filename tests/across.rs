//! Channels from one thread to another: between two loops, with a plain thread, with tokio.

mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use annulus::sync::across::mpsc::error::{TryRecvError, TrySendError};
use annulus::sync::across::{mpsc, oneshot};
use annulus::time::{sleep, timeout};
use annulus::{Builder, Runtime, spawn, yield_now};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    messages_between_two_loops_come_in_order_and_none_is_lost,
    a_full_channel_makes_a_loop_wait_for_a_plain_thread,
    a_loop_and_tokio_tell_each_other,
    a_loop_that_ends_ends_its_channels,
    a_time_out_around_a_receiver_loses_nothing,
    a_task_that_yields_by_itself_shares_the_thread_with_a_channel_that_is_never_empty,
    blocking_on_the_thread_of_a_loop_makes_it_stand_still,
}

on_real_drivers! {
    because "they count the machine's system calls": a_loop_that_waits_for_a_message_looks_for_none;
}

fn messages_between_two_loops_come_in_order_and_none_is_lost(builder: Builder) {
    const MESSAGES: u32 = 10_000;
    for bound in [1, 100] {
        let (sender, mut receiver) = mpsc::channel(bound);
        let (done, counted) = oneshot::channel();
        let other = builder.clone();
        let thread = thread::spawn(move || {
            let runtime = other.build().unwrap();
            let receiving = runtime.run(async move {
                let mut next = 0;
                while let Some(number) = receiver.recv().await {
                    assert_eq!(number, next);
                    next += 1;
                }
                done.send(next).unwrap();
            });
            receiving.unwrap();
        });
        let sent = builder.clone().build().unwrap().run(async {
            for number in 0..MESSAGES {
                sender.send(number).await.unwrap();
            }
            drop(sender);
            counted.await
        });
        assert_eq!(sent.unwrap(), Ok(MESSAGES));
        thread.join().unwrap();
    }
}

async fn a_full_channel_makes_a_loop_wait_for_a_plain_thread() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.send(0).await.unwrap();
    assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
    let (go, goes) = std::sync::mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        goes.recv().unwrap();
        [receiver.blocking_recv(), receiver.blocking_recv(), receiver.blocking_recv()]
    });
    let sending = spawn(async move { sender.send(1).await });
    yield_now().await;
    assert!(!sending.is_finished());
    go.send(()).unwrap();
    sending.await.unwrap().unwrap();
    assert_eq!(thread.join().unwrap(), [Some(0), Some(1), None]);
}

async fn a_loop_and_tokio_tell_each_other() {
    // More than tokio lets a task have without waiting.
    const QUESTIONS: u64 = 1000;
    let (questions, mut asked) = mpsc::unbounded_channel::<(u64, oneshot::Sender<u64>)>();
    let (end, ended) = oneshot::channel();
    let thread = thread::spawn(move || {
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answering = tokio.block_on(async move {
            while let Some((number, answer)) = asked.recv().await {
                answer.send(2 * number).unwrap();
            }
            asked.try_recv()
        });
        end.send(answering.map(drop)).unwrap();
    });
    let answers: Vec<_> = (0..QUESTIONS)
        .map(|number| {
            let (answer, answered) = oneshot::channel();
            questions.send((number, answer)).unwrap();
            answered
        })
        .collect();
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.await, Ok(2 * number as u64));
    }
    drop(questions);
    assert_eq!(ended.await, Ok(Err(TryRecvError::Disconnected)));
    thread.join().unwrap();
}

fn a_loop_that_ends_ends_its_channels(builder: Builder) {
    let runtime = builder.build().unwrap();
    let (sender, mut receiver) = mpsc::channel::<()>(1);
    let (one, other) = oneshot::channel::<()>();
    let (back, mut never) = mpsc::channel::<()>(1);
    runtime
        .run(async move {
            drop(spawn(async move {
                let _kept = (sender, one);
                never.recv().await
            }));
            yield_now().await;
        })
        .unwrap();
    let waiting = thread::spawn(move || (receiver.blocking_recv(), other.blocking_recv()));
    drop(runtime);
    let (message, value) = waiting.join().unwrap();
    assert!(message.is_none() && value.is_err());
    assert!(back.blocking_send(()).is_err());
}

async fn a_time_out_around_a_receiver_loses_nothing() {
    let (sender, mut receiver) = mpsc::channel(4);
    let thread = thread::spawn(move || {
        for number in 0..1000 {
            sender.blocking_send(number).unwrap();
        }
    });
    let mut next = 0;
    while next < 1000 {
        match timeout(Duration::from_micros(1), receiver.recv()).await {
            Ok(number) => {
                assert_eq!(number, Some(next));
                next += 1;
            }
            // In a simulated world no time passes for the thread meanwhile.
            Err(_) => thread::yield_now(),
        }
    }
    thread.join().unwrap();
}

async fn a_task_that_yields_by_itself_shares_the_thread_with_a_channel_that_is_never_empty() {
    const MESSAGES: usize = 10_000;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    (0..MESSAGES).for_each(|number| sender.send(number).unwrap());
    drop(sender);
    let taken = Rc::new(Cell::new(0));
    let takes = Rc::clone(&taken);
    let taking = spawn(async move {
        while receiver.recv().await.is_some() {
            takes.set(takes.get() + 1);
            if takes.get() % 64 == 0 {
                yield_now().await;
            }
        }
    });
    let mut turns = 0;
    while taken.get() < MESSAGES {
        yield_now().await;
        turns += 1;
    }
    taking.await.unwrap();
    assert!(turns >= MESSAGES / 64, "{turns}");
}

async fn blocking_on_the_thread_of_a_loop_makes_it_stand_still() {
    let beats = Rc::new(Cell::new(0));
    let counted = Rc::clone(&beats);
    let heart = spawn(async move {
        loop {
            counted.set(counted.get() + 1);
            yield_now().await;
        }
    });
    yield_now().await;
    let before = beats.get();
    assert!(before > 0);
    let (sender, receiver) = oneshot::channel();
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        sender.send(()).unwrap();
    });
    receiver.blocking_recv().unwrap();
    assert_eq!(beats.get(), before);
    heart.abort();
    thread.join().unwrap();
}

async fn a_loop_that_waits_for_a_message_looks_for_none() {
    let metrics = || Runtime::try_current().unwrap().metrics();
    let (sender, mut receiver) = mpsc::channel(1);
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        sender.blocking_send(7).unwrap();
        sender
    });
    sleep(Duration::from_millis(1)).await;
    let before = metrics();
    assert_eq!(receiver.recv().await, Some(7));
    let after = metrics();
    assert!(after.enters - before.enters <= 3, "{before:?} {after:?}");
    assert!(after.turns - before.turns <= 3, "{before:?} {after:?}");
    drop(thread.join().unwrap());
}
