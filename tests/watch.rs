//! A value that many look at: no change is missed, none holds another up, and a look is a look.

mod support;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use annulus::sync::watch::{self, SendError};
use annulus::time::{sleep, timeout};
use annulus::{Builder, spawn, yield_now};
use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use support::on_every_driver;
use support::quiet::{boom, quietly};
use support::wakers::*;

on_every_driver! {
    a_change_is_told_to_all_who_wait,
    only_the_newest_value_is_kept,
    a_receiver_has_seen_the_value_that_it_began_with,
    the_last_value_is_told_before_the_end,
    a_look_over_an_await_holds_nothing_up,
    what_is_changed_in_place_under_a_look_is_told_of,
    a_value_that_is_changed_without_a_word_wakes_nobody,
    a_panic_in_what_changes_the_value_loses_nothing,
    a_wait_for_a_value_begins_with_that_of_now,
    a_wait_for_a_value_ends_with_the_senders,
    a_dropped_wait_loses_no_change,
    without_receivers_a_value_comes_back,
    a_sender_is_told_that_nobody_looks,
    a_value_that_always_changes_does_not_have_the_thread_for_itself,
    a_set_of_receivers_is_woken_by_one_change,
    a_task_of_another_loop_of_the_thread_is_woken,
}

async fn a_change_is_told_to_all_who_wait() {
    let (sender, receiver) = watch::channel(0);
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let mut receiver = receiver.clone();
            spawn(async move {
                let mut seen = Vec::new();
                while receiver.changed().await.is_ok() {
                    seen.push(*receiver.borrow());
                }
                seen
            })
        })
        .collect();
    for value in 1..20 {
        yield_now().await;
        sender.send(value).unwrap();
    }
    yield_now().await;
    drop(sender);
    for task in tasks {
        assert_eq!(task.await.unwrap(), (1..20).collect::<Vec<_>>());
    }
}

async fn only_the_newest_value_is_kept() {
    let old = Rc::new(());
    let (sender, mut receiver) = watch::channel(Rc::clone(&old));
    sender.send(Rc::new(())).unwrap();
    assert_eq!(Rc::strong_count(&old), 1);
    sender.send(Rc::clone(&old)).unwrap();
    receiver.changed().await.unwrap();
    assert!(receiver.changed().now_or_never().is_none(), "two changes are one that was not seen");
}

async fn a_receiver_has_seen_the_value_that_it_began_with() {
    let (sender, mut receiver) = watch::channel(1);
    assert!(receiver.changed().now_or_never().is_none());
    sender.send(2).unwrap();
    // A clone has seen what the other had; who subscribes has seen the value of now.
    let (mut clone, mut late) = (receiver.clone(), sender.subscribe());
    assert!(clone.changed().now_or_never().is_some() && late.changed().now_or_never().is_none());
    assert!(receiver.has_changed().unwrap() && receiver.borrow().has_changed());
    receiver.mark_unchanged();
    assert!(!receiver.has_changed().unwrap());
    receiver.mark_changed();
    assert!(receiver.changed().now_or_never().is_some());
    assert!(receiver.same_channel(&late) && sender.clone().same_channel(&sender));
}

async fn the_last_value_is_told_before_the_end() {
    let (sender, mut receiver) = watch::channel(1);
    sender.send(2).unwrap();
    assert_eq!(sender.clone().sender_count(), 2);
    drop(sender);
    assert!(receiver.is_closed() && receiver.has_changed().is_err());
    assert!(receiver.changed().await.is_ok());
    assert!(receiver.changed().await.is_err());
    assert_eq!(*receiver.borrow(), 2);
}

async fn a_look_over_an_await_holds_nothing_up() {
    let (sender, receiver) = watch::channel(String::from("old"));
    let look = receiver.borrow();
    let sends = spawn(async move {
        sender.send(String::from("new")).unwrap();
        sender
    });
    let sender = sends.await.unwrap();
    assert_eq!((look.as_str(), receiver.borrow().as_str(), sender.borrow().as_str()), ("old", "new", "new"));
    drop(look);
    sender.send_modify(|value| value.push('!'));
    assert_eq!(format!("{:?}", receiver.borrow()), "\"new!\"");
}

async fn what_is_changed_in_place_under_a_look_is_told_of() {
    let (sender, mut receiver) = watch::channel(1);
    let look = receiver.borrow();
    let told = catch_unwind(AssertUnwindSafe(|| sender.send_replace(2))).unwrap_err();
    assert!(told.downcast_ref::<String>().unwrap().contains("`Ref`"));
    drop(look);
    assert_eq!((sender.send_replace(2), *receiver.borrow_and_update()), (1, 2));
    let within = || sender.send_modify(|_| drop(receiver.borrow()));
    let told = catch_unwind(AssertUnwindSafe(within)).unwrap_err();
    assert!(told.downcast_ref::<String>().unwrap().contains("in place"));
    let within = || sender.send_modify(|_| sender.send_modify(|_| {}));
    assert!(catch_unwind(AssertUnwindSafe(within)).is_err());
    assert_eq!(*receiver.borrow(), 2, "it is there again");
}

async fn a_value_that_is_changed_without_a_word_wakes_nobody() {
    let (sender, mut receiver) = watch::channel(1);
    let waits = spawn(async move {
        receiver.changed().await.unwrap();
        *receiver.borrow()
    });
    yield_now().await;
    assert!(!sender.send_if_modified(|value| {
        *value = 2;
        false
    }));
    yield_now().await;
    assert!(!waits.is_finished());
    assert!(sender.send_if_modified(|value| {
        *value += 1;
        true
    }));
    assert_eq!(waits.await.unwrap(), 3);
}

async fn a_panic_in_what_changes_the_value_loses_nothing() {
    let (sender, receiver) = watch::channel(1);
    let panics = || {
        sender.send_modify(|value| {
            *value = 2;
            boom("while a value is changed");
        });
    };
    assert!(quietly(AssertUnwindSafe(panics)).is_err());
    assert!(!receiver.has_changed().unwrap());
    assert_eq!(*receiver.borrow(), 2);
    sender.send(3).unwrap();
}

async fn a_wait_for_a_value_begins_with_that_of_now() {
    let (sender, mut receiver) = watch::channel(5);
    {
        let look = receiver.wait_for(|value| *value == 5).await.unwrap();
        assert!(!look.has_changed());
    }
    let asked = Rc::new(RefCell::new(Vec::new()));
    let waits = spawn({
        let asked = Rc::clone(&asked);
        async move {
            let wanted = |value: &i32| {
                asked.borrow_mut().push(*value);
                *value == 8
            };
            let look = receiver.wait_for(wanted).await.unwrap();
            (*look, look.has_changed())
        }
    });
    for value in 6..10 {
        yield_now().await;
        sender.send(value).ok();
    }
    assert_eq!(waits.await.unwrap(), (8, true));
    assert_eq!(*asked.borrow(), [5, 6, 7, 8]);
}

async fn a_wait_for_a_value_ends_with_the_senders() {
    let (sender, mut receiver) = watch::channel(1);
    let waits = spawn(async move {
        let last = *receiver.wait_for(|value| *value == 2).await.unwrap();
        (last, receiver.wait_for(|value| *value == 3).await.is_err())
    });
    yield_now().await;
    sender.send(2).unwrap();
    drop(sender);
    assert_eq!(waits.await.unwrap(), (2, true));
}

async fn a_dropped_wait_loses_no_change() {
    let (sender, mut receiver) = watch::channel(0);
    for value in 1..100 {
        let mut given_up = Box::pin(receiver.changed());
        assert!(poll_once(given_up.as_mut()).await.is_pending());
        sender.send(value).unwrap();
        drop(given_up);
        receiver.changed().await.unwrap();
    }
    drop(spawn(async move {
        for value in 100..120 {
            sleep(Duration::from_micros(300)).await;
            sender.send(value).unwrap();
        }
    }));
    let mut seen = Vec::new();
    loop {
        match timeout(Duration::from_micros(100), receiver.changed()).await {
            Ok(Ok(())) => seen.push(*receiver.borrow()),
            Ok(Err(_)) => break,
            Err(_) => {}
        }
    }
    assert_eq!(seen.last(), Some(&119));
}

async fn without_receivers_a_value_comes_back() {
    let (sender, receiver) = watch::channel(1);
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(2), Err(SendError(2)));
    assert_eq!(*sender.borrow(), 1);
    assert_eq!(sender.send_replace(3), 1);
    let receiver = sender.subscribe();
    assert_eq!((*receiver.borrow(), sender.send(4), sender.receiver_count()), (3, Ok(()), 1));
    assert_eq!(*watch::Sender::<u8>::default().borrow(), 0);
}

async fn a_sender_is_told_that_nobody_looks() {
    let (sender, one) = watch::channel(0);
    let other = one.clone();
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

async fn a_value_that_always_changes_does_not_have_the_thread_for_itself() {
    let (sender, receiver) = watch::channel(0);
    let ends = Rc::new((sender, RefCell::new(Some(receiver))));
    let changes = {
        let ends = Rc::clone(&ends);
        move || {
            let ends = Rc::clone(&ends);
            async move {
                let mut receiver = ends.1.take().unwrap();
                ends.0.send(1).unwrap();
                receiver.changed().await.unwrap();
                ends.1.replace(Some(receiver));
            }
        }
    };
    assert_that_others_run(steps_between_yields(changes).await);
    let (sender, mut receiver) = watch::channel(0);
    let (again, asked) = (sender.clone(), Rc::new(Cell::new(0)));
    let count = Rc::clone(&asked);
    let never = spawn(async move {
        let wanted = |_: &i32| {
            again.send(1).unwrap();
            count.set(count.get() + 1);
            count.get() > 100_000
        };
        drop(receiver.wait_for(wanted).await);
    });
    for _ in 0..10 {
        yield_now().await;
    }
    never.abort();
    assert_that_others_run(asked.get());
}

async fn a_set_of_receivers_is_woken_by_one_change() {
    let (sender, first) = watch::channel(0);
    let mut receivers: Vec<_> = (0..50).map(|_| first.clone()).collect();
    let mut changed: FuturesUnordered<_> = receivers.iter_mut().map(watch::Receiver::changed).collect();
    assert!(poll_once(changed.next()).await.is_pending());
    sender.send(1).unwrap();
    for _ in 0..50 {
        assert!(changed.next().await.unwrap().is_ok());
    }
}

/// Two loops take turns on one thread.
fn a_task_of_another_loop_of_the_thread_is_woken(builder: Builder) {
    let (one, other) = (builder.build().unwrap(), Builder::new().build().unwrap());
    let (sender, mut receiver) = watch::channel("first");
    let mut waits = None;
    one.run(async {
        waits = Some(spawn(async move {
            receiver.changed().await.unwrap();
            *receiver.borrow()
        }));
        yield_now().await;
    })
    .unwrap();
    other.run(async { sender.send("from the other").unwrap() }).unwrap();
    assert_eq!(one.run(waits.unwrap()).unwrap().unwrap(), "from the other");
}

#[test]
fn the_one_who_polled_last_is_woken() {
    let (sender, mut receiver) = watch::channel(1);
    last_is_woken("changed", pin!(receiver.changed()), || sender.send(2).unwrap());
    receiver.mark_unchanged();
    last_is_woken("the end", pin!(receiver.changed()), || drop(sender));
    let (sender, receiver) = watch::channel(1);
    last_is_woken("closed", pin!(sender.closed()), || drop(receiver));
}

#[test]
fn somebody_elses_waker_may_use_what_wakes_it() {
    let (sender, mut receiver) = watch::channel(1);
    let act = {
        let sender = sender.clone();
        move || {
            let mut receiver = sender.subscribe();
            let _ = receiver.changed().now_or_never();
            let _ = receiver.wait_for(|value| *value < 0).now_or_never();
            let _ = *receiver.borrow();
            let _ = (sender.send_if_modified(|_| false), sender.closed().now_or_never());
            let _ = format!("{sender:?} {receiver:?}");
        }
    };
    meddler::act(Some(Rc::new(act)));
    let mut other = receiver.clone();
    let (mut changed, mut wanted) =
        (Box::pin(receiver.changed()), Box::pin(other.wait_for(|value| *value < 0)));
    meddled(|| polled_by_meddlers(changed.as_mut()));
    meddled(|| polled_by_meddlers(wanted.as_mut()));
    meddled(|| sender.send(2).unwrap());
    drop((changed, wanted));
    receiver.mark_unchanged();
    let mut changed = Box::pin(receiver.changed());
    meddled(|| polled_by_meddlers(changed.as_mut()));
    meddled(|| drop(changed));
    drop(other);
    let mut closed = Box::pin(sender.closed());
    meddled(|| polled_by_meddlers(closed.as_mut()));
    meddled(|| drop(receiver));
    meddler::act(None);
}

#[test]
fn what_happens_while_one_begins_to_wait_is_not_missed() {
    let (sender, mut receiver) = watch::channel(1);
    let send = Rc::new(move || assert!(sender.send(2).is_ok()));
    polled_beside("changed", send, pin!(receiver.changed().map(|_| ())));
    let (sender, mut receiver) = watch::channel(1);
    let send = Rc::new(move || assert!(sender.send(2).is_ok()));
    polled_beside("wait_for", send, pin!(receiver.wait_for(|value| *value == 2).map(|_| ())));
    let (sender, mut receiver) = watch::channel(1);
    let sender = Cell::new(Some(sender));
    polled_beside("the end", Rc::new(move || drop(sender.take())), pin!(receiver.changed().map(|_| ())));
    let (sender, receiver) = watch::channel(1);
    let receiver = Cell::new(Some(receiver));
    polled_beside("closed", Rc::new(move || drop(receiver.take())), pin!(sender.closed()));
}

/// A value that looks at its own channel when it is dropped.
struct Busybody(Rc<RefCell<Option<watch::Receiver<Busybody>>>>, Rc<Cell<u32>>);

impl Drop for Busybody {
    fn drop(&mut self) {
        if let Some(receiver) = self.0.borrow().as_ref() {
            let _ = receiver.borrow();
            let mut clone = receiver.clone();
            let polled = pin!(clone.changed()).poll(&mut Context::from_waker(Waker::noop()));
            assert!(
                matches!(polled, Poll::Ready(Ok(()))),
                "the new one is there when the old one is dropped"
            );
            self.1.set(self.1.get() + 1);
        }
    }
}

#[test]
fn a_value_may_use_the_channel_while_it_is_dropped() {
    let (place, drops) = (Rc::default(), Rc::new(Cell::new(0)));
    let value = || Busybody(Rc::clone(&place), Rc::clone(&drops));
    let (sender, receiver) = watch::channel(value());
    *place.borrow_mut() = Some(receiver);
    assert!(sender.send(value()).is_ok());
    // Elsewhere, since one looks at it.
    let look = sender.borrow();
    assert!(sender.send(value()).is_ok());
    drop(look);
    assert_eq!(drops.get(), 2);
    let receiver = place.borrow_mut().take();
    drop(receiver);
}

#[test]
fn no_loop_is_needed() {
    let (sender, mut receiver) = watch::channel(1);
    let both = async {
        let waits = async { *receiver.wait_for(|value| *value == 3).await.unwrap() };
        let sends = async move {
            for value in 2..4 {
                sender.send(value).unwrap();
            }
        };
        futures_util::join!(waits, sends).0
    };
    assert_eq!(block_on(both), 3);
}
