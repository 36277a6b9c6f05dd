//! Channels in which every receiver gets every message: in order, or told how many it lost, whatever is dropped meanwhile.

mod support;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use annulus::sync::broadcast::{self, RecvError, SendError, TryRecvError};
use annulus::time::{sleep, timeout};
use annulus::{Builder, spawn, yield_now};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use support::on_every_driver;
use support::wakers::*;

on_every_driver! {
    every_receiver_gets_every_message_in_order,
    a_slow_receiver_is_told_how_many_it_lost,
    what_is_sent_before_one_subscribes_is_not_for_them,
    the_last_sender_ends_the_channel_after_the_last_message,
    without_receivers_a_message_comes_back,
    a_sender_is_told_that_nobody_receives,
    a_dropped_recv_takes_no_message,
    a_message_is_dropped_when_all_have_had_it,
    a_receiver_that_is_dropped_holds_up_no_message,
    a_channel_that_is_never_empty_does_not_have_the_thread_for_itself,
    a_time_out_around_a_receiver_loses_nothing,
    a_set_of_receivers_is_woken_by_one_message,
    a_task_of_another_loop_of_the_thread_is_woken,
}

async fn every_receiver_gets_every_message_in_order() {
    let (sender, first) = broadcast::channel(16);
    let mut receivers = vec![first];
    receivers.extend((0..3).map(|_| sender.subscribe()));
    assert_eq!(sender.receiver_count(), 4);
    let tasks: Vec<_> = receivers
        .into_iter()
        .map(|mut receiver| {
            spawn(async move {
                let mut got = Vec::new();
                while let Ok(number) = receiver.recv().await {
                    got.push(number);
                }
                got
            })
        })
        .collect();
    for number in 0..100 {
        assert_eq!(sender.send(number), Ok(4));
        if number % 10 == 0 {
            yield_now().await;
        }
    }
    drop(sender);
    for task in tasks {
        assert_eq!(task.await.unwrap(), (0..100).collect::<Vec<_>>());
    }
}

async fn a_slow_receiver_is_told_how_many_it_lost() {
    let (sender, mut receiver) = broadcast::channel(3);
    for number in 0..10 {
        sender.send(number).unwrap();
    }
    assert_eq!((receiver.len(), sender.len()), (10, 3));
    assert_eq!(receiver.recv().await, Err(RecvError::Lagged(7)));
    assert_eq!(receiver.try_recv(), Ok(7));
    // It is told again when it happens again, and only what it lost since.
    for number in 10..12 {
        sender.send(number).unwrap();
    }
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Lagged(1)));
    for number in 9..12 {
        assert_eq!(receiver.recv().await, Ok(number));
    }
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert!(receiver.is_empty() && sender.is_empty());
}

async fn what_is_sent_before_one_subscribes_is_not_for_them() {
    let (sender, early) = broadcast::channel(8);
    sender.send(1).unwrap();
    let (mut late, mut again) = (sender.subscribe(), early.resubscribe());
    sender.send(2).unwrap();
    assert_eq!((late.recv().await, again.recv().await), (Ok(2), Ok(2)));
    assert!(late.same_channel(&early) && early.len() == 2);
}

async fn the_last_sender_ends_the_channel_after_the_last_message() {
    let (sender, mut receiver) = broadcast::channel(2);
    let (clone, weak) = (sender.clone(), sender.downgrade());
    assert_eq!((sender.strong_count(), receiver.sender_strong_count()), (2, 2));
    drop(sender);
    let waits = spawn(async move { (receiver.recv().await, receiver.recv().await, receiver.try_recv()) });
    yield_now().await;
    clone.send(1).unwrap();
    yield_now().await;
    assert!(!waits.is_finished() && weak.clone().upgrade().unwrap().same_channel(&clone));
    drop(clone);
    assert_eq!(waits.await.unwrap(), (Ok(1), Err(RecvError::Closed), Err(TryRecvError::Closed)));
    assert!(weak.upgrade().is_none());
}

async fn without_receivers_a_message_comes_back() {
    let (sender, receiver) = broadcast::channel(2);
    sender.send(1).unwrap();
    drop(receiver);
    assert_eq!(sender.send(2), Err(SendError(2)));
    let mut receiver = sender.subscribe();
    assert_eq!(sender.send(3), Ok(1));
    assert_eq!(receiver.recv().await, Ok(3));
    assert_eq!(broadcast::Sender::new(1).send(4), Err(SendError(4)));
}

async fn a_sender_is_told_that_nobody_receives() {
    let (sender, one) = broadcast::channel::<u8>(2);
    let other = one.resubscribe();
    let told = spawn({
        let sender = sender.clone();
        async move { sender.closed().await }
    });
    yield_now().await;
    drop(one);
    yield_now().await;
    assert!(!told.is_finished());
    drop(other);
    told.await.unwrap();
    sender.closed().await;
}

async fn a_dropped_recv_takes_no_message() {
    let (sender, mut receiver) = broadcast::channel(2);
    for number in 0..100 {
        let mut given_up = Box::pin(receiver.recv());
        assert!(poll_once(given_up.as_mut()).await.is_pending());
        sender.send(number).unwrap();
        drop(given_up);
        assert_eq!(receiver.recv().await, Ok(number));
    }
}

async fn a_message_is_dropped_when_all_have_had_it() {
    let (sender, mut one) = broadcast::channel(4);
    let mut other = sender.subscribe();
    let message = Rc::new(());
    sender.send(Rc::clone(&message)).unwrap();
    let got = one.recv().await.unwrap();
    assert_eq!(Rc::strong_count(&message), 3);
    // The last takes the message itself: it is not cloned for them.
    let last = other.recv().await.unwrap();
    assert_eq!(Rc::strong_count(&message), 3);
    drop((got, last));
    assert_eq!(Rc::strong_count(&message), 1);
    // What is lost is dropped when the next takes its place; the rest with the channel.
    for _ in 0..6 {
        sender.send(Rc::clone(&message)).unwrap();
    }
    assert_eq!(Rc::strong_count(&message), 5);
    drop((sender, one));
    assert_eq!(Rc::strong_count(&message), 5);
    drop(other);
    assert_eq!(Rc::strong_count(&message), 1);
}

async fn a_receiver_that_is_dropped_holds_up_no_message() {
    let (sender, slow) = broadcast::channel(4);
    let mut fast = sender.subscribe();
    let message = Rc::new(());
    for _ in 0..6 {
        sender.send(Rc::clone(&message)).unwrap();
    }
    assert_eq!(fast.try_recv(), Err(TryRecvError::Lagged(2)));
    drop(fast.try_recv().unwrap());
    assert_eq!(Rc::strong_count(&message), 5);
    drop(slow);
    assert_eq!((Rc::strong_count(&message), sender.len()), (4, 3));
    // Dropped while it waits.
    drop(fast);
    assert_eq!(Rc::strong_count(&message), 1);
    let mut waits = sender.subscribe();
    let mut recv = Box::pin(waits.recv());
    assert!(poll_once(recv.as_mut()).await.is_pending());
    sender.send(message).unwrap();
    drop(recv);
    drop(waits);
    assert!(sender.is_empty());
}

async fn a_channel_that_is_never_empty_does_not_have_the_thread_for_itself() {
    let (sender, receiver) = broadcast::channel(1);
    let ends = Rc::new((sender, RefCell::new(Some(receiver))));
    let steps = steps_between_yields(move || {
        let ends = Rc::clone(&ends);
        async move {
            ends.0.send(1).unwrap();
            let mut receiver = ends.1.take().unwrap();
            assert_eq!(receiver.recv().await, Ok(1));
            ends.1.replace(Some(receiver));
        }
    });
    assert_that_others_run(steps.await);
}

async fn a_time_out_around_a_receiver_loses_nothing() {
    let (sender, mut receiver) = broadcast::channel(64);
    drop(spawn(async move {
        for number in 0..20 {
            sleep(Duration::from_micros(300)).await;
            sender.send(number).unwrap();
        }
    }));
    let mut got = Vec::new();
    loop {
        match timeout(Duration::from_micros(100), receiver.recv()).await {
            Ok(Ok(number)) => got.push(number),
            Ok(Err(error)) => break assert_eq!(error, RecvError::Closed),
            Err(_) => {}
        }
    }
    assert_eq!(got, (0..20).collect::<Vec<_>>());
}

async fn a_set_of_receivers_is_woken_by_one_message() {
    let sender = broadcast::Sender::new(4);
    let mut receivers: Vec<_> = (0..50).map(|_| sender.subscribe()).collect();
    let mut received: FuturesUnordered<_> = receivers.iter_mut().map(broadcast::Receiver::recv).collect();
    assert!(poll_once(received.next()).await.is_pending());
    assert_eq!(sender.send(7), Ok(50));
    for _ in 0..50 {
        assert_eq!(received.next().await, Some(Ok(7)));
    }
}

/// Two loops take turns on one thread.
fn a_task_of_another_loop_of_the_thread_is_woken(builder: Builder) {
    let (one, other) = (builder.build().unwrap(), Builder::new().build().unwrap());
    let (sender, mut receiver) = broadcast::channel(1);
    let mut waits = None;
    one.run(async {
        waits = Some(spawn(async move { receiver.recv().await }));
        yield_now().await;
    })
    .unwrap();
    other.run(async { sender.send("from the other").unwrap() }).unwrap();
    assert_eq!(one.run(waits.unwrap()).unwrap().unwrap(), Ok("from the other"));
}

thread_local! {
    /// What a message does when it is cloned or dropped.
    static ACT: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
    static ACTS: Cell<u32> = const { Cell::new(0) };
    static DEEP: Cell<bool> = const { Cell::new(false) };
}

fn act() {
    let act = ACT.try_with(|act| act.borrow().clone()).unwrap_or_default();
    if let Some(act) = act.filter(|_| !DEEP.replace(true)) {
        act();
        ACTS.set(ACTS.get() + 1);
        DEEP.set(false);
    }
}

/// A message that uses its own channel.
struct Busybody(u32);

impl Clone for Busybody {
    fn clone(&self) -> Busybody {
        act();
        Busybody(self.0)
    }
}

impl Drop for Busybody {
    fn drop(&mut self) {
        act();
    }
}

#[test]
fn a_message_may_use_the_channel_while_it_is_cloned_and_dropped() {
    let (sender, receiver) = broadcast::channel::<Busybody>(2);
    let others: Rc<Vec<_>> = Rc::new((0..2).map(|_| RefCell::new(sender.subscribe())).collect());
    let mut receiver = receiver;
    let uses = {
        let (sender, others) = (sender.clone(), Rc::clone(&others));
        move || {
            // Takes the very message from the others, and puts two in its place.
            for other in others.iter() {
                if let Ok(mut other) = other.try_borrow_mut() {
                    let _ = other.try_recv().map(|message| message.0);
                }
            }
            let _ = (sender.send(Busybody(8)), sender.send(Busybody(9)));
            drop(sender.subscribe());
            assert!(sender.len() <= 2);
        }
    };
    ACT.set(Some(Rc::new(uses)));
    sender.send(Busybody(1)).ok().unwrap();
    let got = receiver.try_recv().ok().unwrap();
    assert_eq!(got.0, 1);
    // What it did while it was cloned put others in its place, so that it was dropped right after.
    assert_eq!(ACTS.get(), 2, "it was cloned, and dropped");
    drop(got);
    assert_eq!(ACTS.get(), 3, "its clone was dropped");
    assert_eq!(receiver.try_recv().err(), Some(TryRecvError::Lagged(4)));
    assert_eq!(receiver.try_recv().ok().unwrap().0, 8);
    for _ in 0..20 {
        let _ = sender.send(Busybody(2));
        let _ = receiver.try_recv().map(|message| message.0);
        drop(receiver.resubscribe());
    }
    drop(receiver);
    assert!(ACTS.get() > 20);
    ACT.set(None);
}

#[test]
fn the_one_who_polled_last_is_woken() {
    let (sender, mut receiver) = broadcast::channel(1);
    last_is_woken("recv", pin!(receiver.recv()), || assert_eq!(sender.send(1), Ok(1)));
    receiver.try_recv().unwrap();
    let mut other = receiver.resubscribe();
    last_is_woken("the end", pin!(other.recv()), || drop(sender));
    let (sender, receiver) = broadcast::channel::<u8>(1);
    last_is_woken("closed", pin!(sender.closed()), || drop(receiver));
}

#[test]
fn somebody_elses_waker_may_use_what_wakes_it() {
    let (sender, receiver) = broadcast::channel::<u32>(2);
    let sends = Rc::new(Cell::new(false));
    let act = {
        let (sender, sends) = (sender.clone(), Rc::clone(&sends));
        move || {
            let mut receiver = sender.subscribe();
            let _ = receiver.recv().now_or_never();
            if sends.get() {
                let _ = sender.send(1);
            }
            let _ = (receiver.try_recv(), sender.closed().now_or_never());
            let _ = format!("{sender:?} {receiver:?}");
        }
    };
    meddler::act(Some(Rc::new(act)));
    let mut receivers: Vec<_> = (0..3).map(|_| sender.subscribe()).collect();
    drop(receiver);
    let mut waits: Vec<_> = receivers.iter_mut().map(|receiver| Box::pin(receiver.recv())).collect();
    meddled(|| waits.iter_mut().for_each(|wait| polled_by_meddlers(wait.as_mut())));
    meddled(|| drop(waits.pop()));
    sends.set(true);
    meddled(|| assert!(sender.send(2).is_ok()));
    let mut idle = Context::from_waker(Waker::noop());
    assert!(waits.iter_mut().all(|wait| wait.as_mut().poll(&mut idle).is_ready()));
    drop(waits);
    sends.set(false);
    let mut closed = Box::pin(sender.closed());
    meddled(|| polled_by_meddlers(closed.as_mut()));
    meddled(|| drop(receivers));
    meddler::act(None);
}

#[test]
fn what_happens_while_one_begins_to_wait_is_not_missed() {
    let (sender, mut receiver) = broadcast::channel::<u32>(1);
    let send = Rc::new(move || assert!(sender.send(9).is_ok()));
    polled_beside("recv", send, pin!(receiver.recv().map(|got| assert_eq!(got, Ok(9)))));
    let (sender, mut receiver) = broadcast::channel::<u32>(1);
    let sender = Cell::new(Some(sender));
    polled_beside("the end", Rc::new(move || drop(sender.take())), pin!(receiver.recv().map(|_| ())));
    let (sender, receiver) = broadcast::channel::<u32>(1);
    let receiver = Cell::new(Some(receiver));
    polled_beside("closed", Rc::new(move || drop(receiver.take())), pin!(sender.closed()));
}

#[test]
fn no_loop_is_needed() {
    let (sender, mut receiver) = broadcast::channel(4);
    let both = async {
        let receives = async { (receiver.recv().await, receiver.recv().await) };
        let sends = async move { sender.send(1) };
        futures_util::join!(receives, sends)
    };
    assert_eq!(block_on(both), ((Ok(1), Err(RecvError::Closed)), Ok(1)));
}

mod model {
    //! A channel against a model of it: all that was ever sent, and how far each receiver has come.

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Send,
        Subscribe,
        Receive(usize),
        /// By a future that is dropped if it is not ready.
        Await(usize),
        Drop(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => Just(Step::Send),
            2 => Just(Step::Subscribe),
            5 => (0..4usize).prop_map(Step::Receive),
            5 => (0..4usize).prop_map(Step::Await),
            1 => (0..4usize).prop_map(Step::Drop),
        ];
        prop::collection::vec(step, 1..150)
    }

    fn run(capacity: usize, steps: Vec<Step>) {
        let sender = broadcast::Sender::new(capacity);
        let mut receivers: Vec<(broadcast::Receiver<Rc<u64>>, u64)> = Vec::new();
        let mut sent = 0;
        let mut messages: Vec<std::rc::Weak<u64>> = Vec::new();
        for step in steps {
            match step {
                Step::Send => {
                    let message = Rc::new(sent);
                    let weak = Rc::downgrade(&message);
                    match sender.send(message) {
                        Ok(count) => {
                            assert_eq!(count, receivers.len());
                            messages.push(weak);
                            sent += 1;
                        }
                        Err(_) => assert!(receivers.is_empty()),
                    }
                }
                Step::Subscribe => receivers.push((sender.subscribe(), sent)),
                Step::Receive(place) | Step::Await(place) if !receivers.is_empty() => {
                    let place = place % receivers.len();
                    let (receiver, next) = &mut receivers[place];
                    let oldest = sent.saturating_sub(capacity as u64);
                    let expected = match *next {
                        next if next == sent => Err(TryRecvError::Empty),
                        next if next < oldest => Err(TryRecvError::Lagged(oldest - next)),
                        next => Ok(next),
                    };
                    let got = match step {
                        Step::Await(_) => match receiver.recv().now_or_never() {
                            Some(got) => got.map_err(TryRecvError::from),
                            None => Err(TryRecvError::Empty),
                        },
                        _ => receiver.try_recv(),
                    };
                    assert_eq!(got.map(|message| *message), expected);
                    match expected {
                        Ok(_) => *next += 1,
                        Err(TryRecvError::Lagged(_)) => *next = oldest,
                        Err(_) => {}
                    }
                }
                Step::Drop(place) if !receivers.is_empty() => {
                    drop(receivers.remove(place % receivers.len()));
                }
                Step::Receive(_) | Step::Await(_) | Step::Drop(_) => {}
            }
            // What is kept: what somebody is still to have, among the newest.
            let oldest = sent.saturating_sub(capacity as u64);
            let first = receivers.iter().map(|(_, next)| *next).min().unwrap_or(sent).max(oldest);
            assert_eq!(sender.len() as u64, sent - first);
            for (number, message) in messages.iter().enumerate() {
                assert_eq!(message.strong_count() > 0, number as u64 >= first, "{number}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_channel_is_all_that_was_sent_and_how_far_each_has_come(capacity in 1..5usize, steps in steps()) {
            run(capacity, steps);
        }
    }
}
