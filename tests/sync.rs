//! Channels and words between tasks of one thread: what they promise, also when futures are dropped, and whoever polls them.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use annulus::sync::mpsc::{self, TryRecvError, TrySendError};
use annulus::sync::{Notify, oneshot};
use annulus::time::timeout;
use annulus::{Builder, Runtime, spawn, yield_now};
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, join};
use support::on_every_driver;
use support::wakers::*;

on_every_driver! {
    messages_come_in_the_order_in_which_they_were_sent,
    a_full_channel_makes_senders_wait,
    senders_are_served_in_the_order_in_which_they_came,
    nobody_overtakes_a_sender_that_waits,
    a_place_given_to_a_dropped_sender_goes_to_the_next,
    a_dropped_sending_sends_nothing_and_drops_its_message,
    a_dropped_recv_takes_no_message,
    the_last_sender_ends_the_channel_after_the_last_message,
    dropping_the_receiver_wakes_senders_and_gives_their_messages_back,
    dropping_the_receiver_drops_what_was_sent,
    a_closed_channel_waits_for_the_permits_that_were_given,
    a_oneshot_wakes_its_receiver,
    a_oneshot_tells_that_its_sender_is_gone,
    a_oneshot_tells_that_its_receiver_is_gone,
    one_word_wakes_the_one_who_has_waited_longest,
    the_last_word_wakes_the_one_who_came_last,
    a_word_to_one_who_is_dropped_goes_to_the_next,
    a_permit_that_was_taken_and_not_told_goes_to_the_next,
    a_word_for_all_reaches_those_who_exist_and_no_others,
    a_channel_that_is_never_empty_does_not_have_the_thread_for_itself,
    a_permit_that_is_always_there_does_not_have_the_thread_for_itself,
    a_time_out_around_a_receiver_loses_nothing,
    a_set_of_futures_is_woken_one_by_one,
    a_task_of_another_loop_of_the_thread_is_woken,
}

async fn messages_come_in_the_order_in_which_they_were_sent() {
    let (sender, mut receiver) = mpsc::channel(3);
    let (unbounded, mut at_once) = mpsc::unbounded();
    drop(spawn(async move {
        for number in 0..1000 {
            sender.send(number).await.unwrap();
            unbounded.send(number).unwrap();
        }
    }));
    for number in 0..1000 {
        assert_eq!(receiver.recv().await, Some(number));
        assert_eq!(at_once.next().await, Some(number), "as a stream");
    }
    assert_eq!((receiver.recv().await, at_once.recv().await), (None, None));
}

async fn a_full_channel_makes_senders_wait() {
    let (sender, mut receiver) = mpsc::channel(2);
    sender.send(1).await.unwrap();
    sender.send(2).await.unwrap();
    let mut third = pin!(sender.send(3));
    assert!(poll_once(third.as_mut()).await.is_pending());
    assert_eq!((receiver.len(), receiver.capacity(), receiver.max_capacity()), (2, 0, 2));
    assert_eq!(receiver.recv().await, Some(1));
    assert!(poll_once(third.as_mut()).await.is_ready());
    assert_eq!(receiver.len(), 2);
}

async fn senders_are_served_in_the_order_in_which_they_came() {
    let (sender, mut receiver) = mpsc::channel(1);
    for number in 0..100 {
        let sender = sender.clone();
        drop(spawn(async move { sender.send(number).await.unwrap() }));
    }
    drop(sender);
    for number in 0..100 {
        assert_eq!(receiver.recv().await, Some(number));
        yield_now().await;
    }
    assert_eq!(receiver.recv().await, None);
}

async fn nobody_overtakes_a_sender_that_waits() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(1).unwrap();
    let mut second = pin!(sender.send(2));
    assert!(poll_once(second.as_mut()).await.is_pending());
    assert_eq!(receiver.try_recv(), Ok(1));
    // The place is taken: by the one who waits, though they have not come for it yet.
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    let mut fourth = pin!(sender.send(4));
    assert!(poll_once(fourth.as_mut()).await.is_pending());
    second.await.unwrap();
    assert_eq!(receiver.try_recv(), Ok(2));
    fourth.await.unwrap();
    assert_eq!(receiver.try_recv(), Ok(4));
}

async fn a_place_given_to_a_dropped_sender_goes_to_the_next() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(0).unwrap();
    let mut sendings: Vec<_> = (1..=4).map(|number| Box::pin(sender.send(number))).collect();
    for sending in &mut sendings {
        assert!(poll_once(sending.as_mut()).await.is_pending());
    }
    // One who waits in the middle leaves; the place is then given to the first, who leaves with it.
    drop(sendings.remove(1));
    assert_eq!(receiver.recv().await, Some(0));
    drop(sendings.remove(0));
    for (sending, number) in sendings.into_iter().zip([3, 4]) {
        timeout(Duration::from_secs(1000), sending).await.unwrap().unwrap();
        assert_eq!(receiver.recv().await, Some(number));
    }
    assert_eq!(sender.capacity(), 1);
    // Nobody is next: it is free.
    sender.try_send(5).unwrap();
    let mut last = Box::pin(sender.reserve());
    assert!(poll_once(last.as_mut()).await.is_pending());
    assert_eq!(receiver.recv().await, Some(5));
    assert_eq!(sender.capacity(), 0);
    drop(last);
    assert_eq!(sender.capacity(), 1);
    drop(sender.try_reserve().unwrap());
    assert_eq!(sender.capacity(), 1);
}

async fn a_dropped_sending_sends_nothing_and_drops_its_message() {
    let (sender, mut receiver) = mpsc::channel(1);
    let message = Rc::new(());
    sender.try_send(Rc::new(())).unwrap();
    drop(sender.send(Rc::clone(&message)));
    let mut sending = Box::pin(sender.send(Rc::clone(&message)));
    assert!(poll_once(sending.as_mut()).await.is_pending());
    drop(sending);
    assert_eq!(Rc::strong_count(&message), 1);
    assert!(receiver.try_recv().is_ok());
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
}

async fn a_dropped_recv_takes_no_message() {
    let (sender, mut receiver) = mpsc::channel(2);
    for number in 0..100 {
        let mut given_up = Box::pin(receiver.recv());
        assert!(poll_once(given_up.as_mut()).await.is_pending());
        sender.try_send(number).unwrap();
        drop(given_up);
        assert_eq!(receiver.recv().await, Some(number));
    }
}

async fn the_last_sender_ends_the_channel_after_the_last_message() {
    let (sender, mut receiver) = mpsc::channel(2);
    let (clone, weak) = (sender.clone(), sender.downgrade());
    assert_eq!(sender.strong_count(), 2);
    drop(sender);
    let waits = spawn(async move { (receiver.recv().await, receiver.recv().await, receiver.is_closed()) });
    yield_now().await;
    clone.send(1).await.unwrap();
    yield_now().await;
    assert!(!waits.is_finished());
    drop(clone);
    assert_eq!(waits.await.unwrap(), (Some(1), None, true));
    assert!(weak.upgrade().is_none());
}

async fn dropping_the_receiver_wakes_senders_and_gives_their_messages_back() {
    let (sender, receiver) = mpsc::channel(1);
    sender.try_send(0).unwrap();
    let waits: Vec<_> = (1..4)
        .map(|number| {
            let sender = sender.clone();
            spawn(async move { sender.send(number).await.unwrap_err().0 })
        })
        .collect();
    let told = spawn({
        let sender = sender.clone();
        async move { sender.closed().await }
    });
    yield_now().await;
    assert!(!sender.is_closed());
    drop(receiver);
    for (wait, number) in waits.into_iter().zip(1..) {
        assert_eq!(wait.await.unwrap(), number);
    }
    told.await.unwrap();
    assert!(sender.is_closed());
    assert_eq!(sender.try_send(9), Err(TrySendError::Closed(9)));
    assert!(sender.reserve().await.is_err());
}

async fn dropping_the_receiver_drops_what_was_sent() {
    let (sender, receiver) = mpsc::channel(8);
    let message = Rc::new(());
    let permit = sender.try_reserve().unwrap();
    sender.try_send(Rc::clone(&message)).unwrap();
    drop(receiver);
    assert_eq!(Rc::strong_count(&message), 1, "it does not wait for the last sender");
    permit.send(Rc::clone(&message));
    assert_eq!(Rc::strong_count(&message), 1, "nor does what was permitted before");
}

async fn a_closed_channel_waits_for_the_permits_that_were_given() {
    let (sender, mut receiver) = mpsc::channel(2);
    let (one, other) = (sender.try_reserve().unwrap(), sender.try_reserve().unwrap());
    receiver.close();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    one.send(1);
    assert_eq!(receiver.recv().await, Some(1));
    let mut end = pin!(receiver.recv());
    assert!(poll_once(end.as_mut()).await.is_pending());
    let waits = async { assert_eq!(end.await, None) };
    let gives_back = async {
        yield_now().await;
        drop(other);
    };
    timeout(Duration::from_secs(1000), async { join!(waits, gives_back) }).await.unwrap();
}

async fn a_oneshot_wakes_its_receiver() {
    let (sender, receiver) = oneshot::channel();
    let waits = spawn(receiver);
    yield_now().await;
    sender.send(7).unwrap();
    assert_eq!(waits.await.unwrap(), Ok(7));
    let (sender, mut receiver) = oneshot::channel();
    assert!(receiver.is_empty());
    sender.send(8).unwrap();
    receiver.close();
    assert_eq!((&mut receiver).await, Ok(8), "what was sent before the close is received");
    assert!(receiver.is_terminated());
    assert_eq!(receiver.try_recv(), Err(oneshot::TryRecvError::Closed));
}

async fn a_oneshot_tells_that_its_sender_is_gone() {
    let (sender, receiver) = oneshot::channel::<u8>();
    let waits = spawn(receiver);
    yield_now().await;
    drop(sender);
    assert_eq!(waits.await.unwrap(), Err(oneshot::RecvError));
    let (sender, mut receiver) = oneshot::channel::<u8>();
    drop(sender);
    assert_eq!((&mut receiver).await, Err(oneshot::RecvError));
    assert_eq!(receiver.try_recv(), Err(oneshot::TryRecvError::Closed));
}

async fn a_oneshot_tells_that_its_receiver_is_gone() {
    let (mut sender, receiver) = oneshot::channel();
    let waits = spawn(async move {
        sender.closed().await;
        sender.send(Rc::new(7))
    });
    yield_now().await;
    assert!(!waits.is_finished());
    drop(receiver);
    assert_eq!(waits.await.unwrap(), Err(Rc::new(7)));
    // A value that nobody took is dropped with the receiver.
    let (sender, receiver) = oneshot::channel();
    let value = Rc::new(());
    sender.send(Rc::clone(&value)).unwrap();
    drop(receiver);
    assert_eq!(Rc::strong_count(&value), 1);
}

/// Tasks that wait for a word, and note their number when they hear it.
fn listeners(notify: &Rc<Notify>, count: u32) -> Rc<RefCell<Vec<u32>>> {
    let heard = Rc::new(RefCell::new(Vec::new()));
    for number in 0..count {
        let (notify, heard) = (Rc::clone(notify), Rc::clone(&heard));
        drop(spawn(async move {
            notify.notified().await;
            heard.borrow_mut().push(number);
        }));
    }
    heard
}

async fn one_word_wakes_the_one_who_has_waited_longest() {
    let notify = Rc::new(Notify::new());
    let heard = listeners(&notify, 3);
    yield_now().await;
    for expected in [&[0][..], &[0, 1], &[0, 1, 2]] {
        notify.notify_one();
        yield_now().await;
        assert_eq!(*heard.borrow(), expected);
    }
    // Nobody waits: one permit stays, however often it is said.
    notify.notify_one();
    notify.notify_one();
    notify.notified().await;
    assert!(poll_once(pin!(notify.notified())).await.is_pending());
}

async fn the_last_word_wakes_the_one_who_came_last() {
    let notify = Rc::new(Notify::new());
    let heard = listeners(&notify, 3);
    yield_now().await;
    notify.notify_last();
    notify.notify_one();
    notify.notify_last();
    yield_now().await;
    assert_eq!(*heard.borrow(), [2, 0, 1]);
}

async fn a_word_to_one_who_is_dropped_goes_to_the_next() {
    let notify = Notify::new();
    let mut first = Box::pin(notify.notified());
    let mut second = Box::pin(notify.notified());
    assert!(!first.as_mut().enable());
    assert!(poll_once(second.as_mut()).await.is_pending());
    notify.notify_one();
    assert!(first.as_mut().enable());
    drop(first);
    assert!(poll_once(second.as_mut()).await.is_ready());
    // Nobody is next: it becomes the permit.
    let mut third = Box::pin(notify.notified());
    assert!(poll_once(third.as_mut()).await.is_pending());
    notify.notify_one();
    drop(third);
    assert!(poll_once(pin!(notify.notified())).await.is_ready());
    // Those who hear the word for all have nothing to pass on.
    let mut fourth = Box::pin(notify.notified());
    assert!(poll_once(fourth.as_mut()).await.is_pending());
    notify.notify_waiters();
    drop(fourth);
    assert!(poll_once(pin!(notify.notified())).await.is_pending());
}

async fn a_permit_that_was_taken_and_not_told_goes_to_the_next() {
    let notify = Notify::new();
    notify.notify_one();
    let mut first = Box::pin(notify.notified());
    assert!(first.as_mut().enable());
    drop(first);
    assert!(poll_once(pin!(notify.notified())).await.is_ready());
}

async fn a_word_for_all_reaches_those_who_exist_and_no_others() {
    let notify = Rc::new(Notify::new());
    let heard = listeners(&notify, 100);
    yield_now().await;
    let never_polled = notify.notified();
    notify.notify_waiters();
    let too_late = notify.notified();
    yield_now().await;
    assert_eq!(*heard.borrow(), (0..100).collect::<Vec<_>>());
    never_polled.await;
    assert!(poll_once(pin!(too_late)).await.is_pending());
}

async fn a_channel_that_is_never_empty_does_not_have_the_thread_for_itself() {
    let (sender, receiver) = mpsc::channel(2);
    let ends = Rc::new((sender, RefCell::new(receiver)));
    // Each by itself: receiving, sending, and a oneshot that is there already.
    let receiving = {
        let ends = Rc::clone(&ends);
        move || {
            let ends = Rc::clone(&ends);
            async move {
                ends.0.try_send(1).unwrap();
                assert_eq!(poll_fn(|cx| ends.1.borrow_mut().poll_recv(cx)).await, Some(1));
            }
        }
    };
    assert_that_others_run(steps_between_yields(receiving).await);
    let sending = move || {
        let ends = Rc::clone(&ends);
        async move {
            ends.0.send(1).await.unwrap();
            ends.1.borrow_mut().try_recv().unwrap();
        }
    };
    assert_that_others_run(steps_between_yields(sending).await);
    let oneshots = || async {
        let (sender, receiver) = oneshot::channel();
        sender.send(()).unwrap();
        receiver.await.unwrap();
    };
    assert_that_others_run(steps_between_yields(oneshots).await);
}

async fn a_permit_that_is_always_there_does_not_have_the_thread_for_itself() {
    let notify = Rc::new(Notify::new());
    let steps = steps_between_yields(move || {
        let notify = Rc::clone(&notify);
        async move {
            notify.notify_one();
            notify.notified().await;
        }
    })
    .await;
    assert_that_others_run(steps);
}

async fn a_time_out_around_a_receiver_loses_nothing() {
    let (sender, mut receiver) = mpsc::unbounded();
    drop(spawn(async move {
        for number in 0..20 {
            annulus::time::sleep(Duration::from_micros(300)).await;
            sender.send(number).unwrap();
        }
    }));
    let mut got = Vec::new();
    loop {
        match timeout(Duration::from_micros(100), receiver.recv()).await {
            Ok(Some(number)) => got.push(number),
            Ok(None) => break,
            Err(_) => {}
        }
    }
    assert_eq!(got, (0..20).collect::<Vec<_>>());
}

async fn a_set_of_futures_is_woken_one_by_one() {
    let mut receivers = FuturesUnordered::new();
    let mut senders = Vec::new();
    for number in 0..50u32 {
        let (sender, receiver) = oneshot::channel();
        senders.push((number, sender));
        receivers.push(async move { receiver.await.unwrap() });
    }
    drop(spawn(async move {
        for (number, sender) in senders.into_iter().rev() {
            sender.send(number).unwrap();
            yield_now().await;
        }
    }));
    let mut order = Vec::new();
    while let Some(number) = receivers.next().await {
        order.push(number);
    }
    assert_eq!(order, (0..50).rev().collect::<Vec<_>>());

    // Many that wait for places, and for words, under wakers that are not tasks.
    let (sender, mut receiver) = mpsc::channel(1);
    let notify = Notify::new();
    let sends: FuturesUnordered<_> = (0..50).map(|number| sender.send(number)).collect();
    let words: FuturesUnordered<_> = (0..50).map(|_| notify.notified()).collect();
    let sending = sends.for_each(|sent| async move { sent.unwrap() });
    let hearing = words.for_each(|()| async {});
    let receiving = async {
        for _ in 0..50 {
            assert!(receiver.recv().await.is_some());
            notify.notify_one();
        }
        notify.notify_waiters();
    };
    join!(sending, hearing, receiving);
}

/// Two loops take turns on one thread, each with a task of the other's channel.
fn a_task_of_another_loop_of_the_thread_is_woken(builder: Builder) {
    let (one, other) = (builder.build().unwrap(), Builder::new().build().unwrap());
    let (sender, mut receiver) = mpsc::channel(1);
    let notify = Rc::new(Notify::new());
    let (ask, answer) = oneshot::channel();
    let mut waits = None;
    one.run(async {
        let notify = Rc::clone(&notify);
        waits = Some(spawn(async move {
            let message = receiver.recv().await;
            notify.notified().await;
            (message, answer.await)
        }));
        yield_now().await;
    })
    .unwrap();
    other
        .run(async {
            sender.send("from the other").await.unwrap();
            notify.notify_one();
            ask.send(7).unwrap();
        })
        .unwrap();
    let got = one.run(waits.unwrap()).unwrap().unwrap();
    assert_eq!(got, (Some("from the other"), Ok(7)));
}

/// Everything at once, as futures of one task.
async fn everything() -> u64 {
    let (sender, mut receiver) = mpsc::channel(2);
    let notify = Notify::new();
    let (done, is_done) = oneshot::channel();
    let sends = async {
        for number in 0..1000 {
            sender.send(number).await.unwrap();
            if number % 10 == 0 {
                notify.notified().await;
            }
        }
        drop(sender);
        is_done.await.unwrap()
    };
    let receives = async {
        let mut sum = 0;
        while let Some(number) = receiver.recv().await {
            sum += number;
            if number % 10 == 0 {
                notify.notify_one();
            }
        }
        done.send(sum).unwrap();
    };
    join!(sends, receives).0
}

#[test]
fn no_loop_is_needed() {
    assert_eq!(block_on(everything()), 499_500);
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(tokio.block_on(everything()), 499_500);
    let tasks = tokio::task::LocalSet::new();
    let both = async {
        let (sender, mut receiver) = mpsc::channel(1);
        let sends = tokio::task::spawn_local(async move {
            for number in 0..100 {
                sender.send(number).await.unwrap();
            }
        });
        for number in 0..100 {
            assert_eq!(receiver.recv().await, Some(number));
        }
        sends.await.unwrap();
    };
    tasks.block_on(&tokio, both);
}

#[test]
fn handles_that_outlive_their_loop_still_work() {
    let (sender, mut receiver) = mpsc::channel(1);
    let notify = Rc::new(Notify::new());
    annulus::run({
        let (sender, notify) = (sender.clone(), Rc::clone(&notify));
        async move {
            sender.try_send(1).unwrap();
            // These wait when the loop ends, and are dropped with it.
            drop(spawn({
                let notify = Rc::clone(&notify);
                async move { notify.notified().await }
            }));
            drop(spawn(async move { sender.send(2).await }));
            yield_now().await;
        }
    })
    .unwrap();
    notify.notify_one();
    assert_eq!(receiver.try_recv(), Ok(1));
    sender.try_send(3).unwrap();
    assert_eq!(receiver.try_recv(), Ok(3));
    assert_eq!(sender.strong_count(), 1);
    block_on(notify.notified());
    assert!(Runtime::try_current().is_none());
}

#[test]
fn somebody_elses_waker_may_use_what_wakes_it() {
    let (sender, mut receiver) = mpsc::channel::<u32>(1);
    let notify = Rc::new(Notify::new());
    // All that it can reach is looked at, and waited for a moment.
    let act = {
        let (sender, notify) = (sender.clone(), Rc::clone(&notify));
        move || {
            let mut idle = Context::from_waker(Waker::noop());
            let _ = pin!(sender.reserve()).as_mut().poll(&mut idle);
            let _ = pin!(sender.closed()).as_mut().poll(&mut idle);
            let _ = pin!(notify.notified()).as_mut().poll(&mut idle);
            let _ = format!("{sender:?} {notify:?}");
        }
    };
    meddler::act(Some(Rc::new(act)));

    let mut word = Box::pin(notify.notified());
    meddled(|| polled_by_meddlers(word.as_mut()));
    meddled(|| notify.notify_one());
    drop(word);
    let passed_on = pin!(notify.notified()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(passed_on.is_ready());
    let mut words: Vec<_> = (0..3).map(|_| Box::pin(notify.notified())).collect();
    meddled(|| words.iter_mut().for_each(|word| polled_by_meddlers(word.as_mut())));
    meddled(|| drop(words.pop()));
    meddled(|| notify.notify_waiters());
    drop(words);

    meddled(|| polled_by_meddlers(pin!(receiver.recv())));
    meddled(|| sender.try_send(1).unwrap());
    let mut sendings: Vec<_> = (2..5).map(|number| Box::pin(sender.send(number))).collect();
    meddled(|| sendings.iter_mut().for_each(|sending| polled_by_meddlers(sending.as_mut())));
    meddled(|| assert_eq!(receiver.try_recv(), Ok(1)));
    meddled(|| drop(sendings.remove(0)));
    meddled(|| drop(sendings.remove(1)));
    drop(sendings);
    sender.try_send(5).unwrap();

    let mut closed = Box::pin(sender.closed());
    meddled(|| polled_by_meddlers(closed.as_mut()));
    meddled(|| drop(closed));
    let (mut closed, mut sending) = (Box::pin(sender.closed()), Box::pin(sender.send(6)));
    polled_by_meddlers(closed.as_mut());
    polled_by_meddlers(sending.as_mut());
    meddled(|| drop(receiver));
    drop((closed, sending));

    let (mut sender, mut receiver) = oneshot::channel::<u32>();
    meddled(|| polled_by_meddlers(Pin::new(&mut receiver)));
    meddled(|| polled_by_meddlers(pin!(sender.closed())));
    meddled(|| sender.send(1).unwrap());
    meddler::act(None);
}

#[test]
fn the_one_who_polled_last_is_woken() {
    let (sender, mut receiver) = mpsc::channel(1);
    last_is_woken("recv", pin!(receiver.recv()), || sender.try_send(1).unwrap());
    last_is_woken("send", pin!(sender.send(2)), || assert_eq!(receiver.try_recv(), Ok(1)));
    last_is_woken("closed", pin!(sender.closed()), || drop(receiver));
    let (mut sender, mut receiver) = oneshot::channel::<u8>();
    last_is_woken("closed of a oneshot", pin!(sender.closed()), || receiver.close());
    let (sender, receiver) = oneshot::channel();
    last_is_woken("oneshot", pin!(receiver), || sender.send(1).unwrap());
    let notify = Notify::new();
    let (mut first, mut second) = (pin!(notify.notified()), pin!(notify.notified()));
    first.as_mut().enable();
    second.as_mut().enable();
    last_is_woken("notified", first, || notify.notify_one());
    last_is_woken("notified behind another", second, || notify.notify_one());
}

/// What a waker does while it is cloned comes after the look whether there is anything, and before anybody waits.
#[test]
fn what_happens_while_one_begins_to_wait_is_not_missed() {
    let (sender, mut receiver) = mpsc::channel::<u32>(1);
    let send = Rc::new(move || sender.try_send(9).unwrap());
    polled_beside("recv", send, pin!(async { assert_eq!(receiver.recv().await, Some(9)) }));

    let (sender, receiver) = mpsc::channel::<u32>(1);
    sender.try_send(1).unwrap();
    let receiver = RefCell::new(receiver);
    let receive = Rc::new(move || assert_eq!(receiver.borrow_mut().try_recv(), Ok(1)));
    polled_beside("send", receive, pin!(async { sender.send(2).await.unwrap() }));

    let (sender, receiver) = mpsc::channel::<u32>(1);
    let receiver = Cell::new(Some(receiver));
    polled_beside("closed", Rc::new(move || drop(receiver.take())), pin!(sender.closed()));

    let (sender, receiver) = oneshot::channel::<u32>();
    let sender = Cell::new(Some(sender));
    let send = Rc::new(move || sender.take().unwrap().send(9).unwrap());
    polled_beside("oneshot", send, pin!(async { assert_eq!(receiver.await, Ok(9)) }));

    let (mut sender, receiver) = oneshot::channel::<u32>();
    let receiver = Cell::new(Some(receiver));
    polled_beside("closed of a oneshot", Rc::new(move || drop(receiver.take())), pin!(sender.closed()));

    let notify = Rc::new(Notify::new());
    let one = Rc::clone(&notify);
    polled_beside("notified", Rc::new(move || one.notify_one()), pin!(notify.notified()));
    let all = Rc::clone(&notify);
    polled_beside("notified with all", Rc::new(move || all.notify_waiters()), pin!(notify.notified()));
}

mod model {
    //! A channel with a bound against a model of it: a queue, and a queue of those who wait.

    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        TrySend,
        /// A sending, or a reservation, begins, and is polled.
        Begin {
            is_reservation: bool,
        },
        /// The one at this place, among those that exist, is polled.
        Poll(usize),
        Drop(usize),
        /// A permit at this place is used, or dropped.
        Use(usize, bool),
        Receive,
        Close,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::TrySend),
            5 => any::<bool>().prop_map(|is_reservation| Step::Begin { is_reservation }),
            4 => (0..8usize).prop_map(Step::Poll),
            4 => (0..8usize).prop_map(Step::Drop),
            3 => (0..4usize, any::<bool>()).prop_map(|(place, used)| Step::Use(place, used)),
            8 => Just(Step::Receive),
        ];
        let steps = prop::collection::vec(step, 1..120);
        (steps, any::<bool>()).prop_map(|(mut steps, closes)| {
            if closes {
                steps.insert(steps.len() * 2 / 3, Step::Close);
            }
            steps
        })
    }

    type Outcome<'a> = Result<Option<mpsc::Permit<'a, u32>>, Option<u32>>;

    /// Who waits in the channel: the future, how often it was woken, and how often it had been when it was last polled.
    struct Waiting<'a> {
        number: u32,
        is_reservation: bool,
        future: Pin<Box<dyn Future<Output = Outcome<'a>> + 'a>>,
        wakes: Arc<Wakes>,
        /// In the model: whether it was given a place, by which it is ready.
        granted: bool,
    }

    #[derive(Default)]
    struct Model {
        messages: VecDeque<u32>,
        free: usize,
        closed: bool,
    }

    impl Model {
        /// A place comes back: it is the first waiting one's, or free.
        fn give_back(&mut self, waiting: &mut [Waiting<'_>]) {
            match waiting.iter_mut().find(|waiting| !waiting.granted && !self.closed) {
                Some(first) => {
                    first.granted = true;
                    assert_eq!(first.wakes.0.load(Ordering::Relaxed), 1, "who is given a place is woken");
                }
                None => self.free += 1,
            }
        }
    }

    fn run(bound: usize, steps: Vec<Step>) {
        let (sender, mut receiver) = mpsc::channel::<u32>(bound);
        let mut model = Model { free: bound, ..Model::default() };
        let mut waiting: Vec<Waiting<'_>> = Vec::new();
        let mut permits: Vec<mpsc::Permit<'_, u32>> = Vec::new();
        let mut numbers = 0..;
        let mut next = || numbers.next().unwrap();
        let mut idle = Context::from_waker(Waker::noop());
        for step in steps {
            match step {
                Step::TrySend => {
                    let number = next();
                    let expected = match (model.closed, model.free) {
                        (true, _) => Err(TrySendError::Closed(number)),
                        (false, 0) => Err(TrySendError::Full(number)),
                        (false, _) => Ok(()),
                    };
                    assert_eq!(sender.try_send(number), expected);
                    if expected.is_ok() {
                        model.free -= 1;
                        model.messages.push_back(number);
                    }
                }
                Step::Begin { is_reservation } => {
                    let (sender, number) = (&sender, next());
                    let future: Pin<Box<dyn Future<Output = Outcome<'_>>>> = match is_reservation {
                        true => Box::pin(async move { sender.reserve().await.map(Some).map_err(|_| None) }),
                        false => Box::pin(async move {
                            sender.send(number).await.map(|()| None).map_err(|error| Some(error.0))
                        }),
                    };
                    let wakes = Arc::new(Wakes::default());
                    let granted = model.free > 0 && !model.closed;
                    model.free -= usize::from(granted);
                    waiting.push(Waiting { number, is_reservation, future, wakes, granted });
                    poll(waiting.len() - 1, &mut waiting, &mut permits, &mut model);
                }
                Step::Poll(place) if !waiting.is_empty() => {
                    poll(place % waiting.len(), &mut waiting, &mut permits, &mut model);
                }
                Step::Drop(place) if !waiting.is_empty() => {
                    let Waiting { future, granted, .. } = waiting.remove(place % waiting.len());
                    drop(future);
                    if granted {
                        model.give_back(&mut waiting);
                    }
                }
                Step::Use(place, used) if !permits.is_empty() => {
                    let permit = permits.remove(place % permits.len());
                    match used {
                        true => {
                            let number = next();
                            permit.send(number);
                            model.messages.push_back(number);
                        }
                        false => {
                            drop(permit);
                            model.give_back(&mut waiting);
                        }
                    }
                }
                Step::Receive => {
                    let expected = match model.messages.pop_front() {
                        Some(message) => Poll::Ready(Some(message)),
                        None if model.closed && model.free == bound => Poll::Ready(None),
                        None => Poll::Pending,
                    };
                    assert_eq!(receiver.poll_recv(&mut idle), expected);
                    if let Poll::Ready(Some(_)) = expected {
                        model.give_back(&mut waiting);
                    }
                }
                Step::Close => {
                    receiver.close();
                    model.closed = true;
                }
                Step::Poll(_) | Step::Drop(_) | Step::Use(..) => {}
            }
            assert_eq!(sender.capacity(), model.free);
            assert_eq!(receiver.len(), model.messages.len());
        }
    }

    fn poll<'a>(
        place: usize,
        waiting: &mut Vec<Waiting<'a>>,
        permits: &mut Vec<mpsc::Permit<'a, u32>>,
        model: &mut Model,
    ) {
        let one = &mut waiting[place];
        let waker = Waker::from(Arc::clone(&one.wakes));
        let outcome = one.future.as_mut().poll(&mut Context::from_waker(&waker));
        match outcome {
            Poll::Pending => {
                assert!(!one.granted && !model.closed, "{} may send", one.number);
                return;
            }
            Poll::Ready(Ok(permit)) => {
                assert!(one.granted, "{} has no place", one.number);
                match permit {
                    Some(permit) => permits.push(permit),
                    None => model.messages.push_back(one.number),
                }
            }
            Poll::Ready(Err(message)) => {
                assert!(!one.granted && model.closed, "{} may send yet", one.number);
                assert_eq!(message, (!one.is_reservation).then_some(one.number), "the message comes back");
            }
        }
        waiting.remove(place);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_channel_is_a_queue_with_places_and_those_who_wait_for_them(bound in 1..4usize, steps in steps()) {
            run(bound, steps);
        }
    }
}
