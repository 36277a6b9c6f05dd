//! Futures that borrow: they end before what they borrow, and whoever drops their scope drops them.

mod support;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use annulus::task::{Scope, scope};
use annulus::time::{sleep, timeout};
use annulus::{Runtime, spawn, yield_now};
use futures_util::FutureExt;
use support::net::pair;
use support::on_every_driver;
use support::quiet::{boom, quietly};

on_every_driver! {
    what_is_spawned_may_borrow,
    a_scope_waits_for_all_and_gives_the_bodys_value,
    the_body_waits_for_what_it_spawned,
    futures_may_spawn_others_into_their_scope,
    a_future_that_enters_from_elsewhere_is_polled,
    dropping_a_scope_drops_all_of_it,
    a_panic_of_a_future_is_the_scopes,
    only_what_was_woken_is_polled,
    nobody_enters_a_scope_that_has_ended,
    what_enters_and_is_never_polled_is_dropped,
}

async fn what_is_spawned_may_borrow() {
    let words = RefCell::new(vec![String::from("one")]);
    let letters = Cell::new(0);
    let mut counted = 0;
    scope(async |scope| {
        let count = &mut counted;
        scope.spawn(async move {
            yield_now().await;
            *count += 1;
        });
        for word in ["two", "three"] {
            let words = &words;
            scope.spawn(async move {
                yield_now().await;
                words.borrow_mut().push(word.to_owned());
            });
        }
        yield_now().await;
        letters.set(words.borrow().iter().map(String::len).sum());
    })
    .await;
    assert_eq!((words.into_inner().len(), counted), (3, 1));
    assert!(letters.get() >= 3);
}

async fn a_scope_waits_for_all_and_gives_the_bodys_value() {
    let done = Cell::new(0);
    let (client, server) = pair().await;
    let value = scope(async |scope| {
        scope.spawn(async {
            sleep(Duration::from_millis(2)).await;
            done.set(done.get() + 1);
        });
        // Both ends of one connection, borrowed.
        scope.spawn(async {
            let (result, bytes) = server.read_exact(vec![0; 5]).await;
            result.unwrap();
            assert_eq!(bytes, b"hello");
            done.set(done.get() + 1);
        });
        scope.spawn(async { client.write_all("hello").await.0.unwrap() });
        7
    });
    assert_eq!(value.await, 7);
    assert_eq!(done.get(), 2);
    assert_eq!(scope(async |_| 8).await, 8, "one without futures");
}

async fn the_body_waits_for_what_it_spawned() {
    let numbers = [1, 2, 3];
    let sum = scope(async |scope| {
        let squares = numbers.each_ref().map(|number| {
            scope.spawn(async move {
                yield_now().await;
                number * number
            })
        });
        let mut sum = 0;
        for square in squares {
            sum += square.await;
        }
        sum
    });
    assert_eq!(sum.await, 14);
}

async fn futures_may_spawn_others_into_their_scope() {
    async fn descend<'env>(scope: Scope<'env>, depth: u32, done: &'env Cell<u32>) {
        for _ in 0..if depth > 0 { 2 } else { 0 } {
            scope.spawn(Box::pin(descend(scope.clone(), depth - 1, done)));
        }
        done.set(done.get() + 1);
    }
    let done = Cell::new(0);
    scope(async |scope| {
        scope.spawn(descend(scope.clone(), 5, &done));
    })
    .await;
    assert_eq!(done.get(), 63);

    // One that waits for what it has spawned.
    let seven = scope(async |scope| {
        let inner = scope.clone();
        scope.spawn(async move { inner.spawn(async { 7 }).await }).await
    });
    assert_eq!(timeout(Duration::from_secs(20), seven).await, Ok(7));
}

async fn a_future_that_enters_from_elsewhere_is_polled() {
    let seen = Rc::new(Cell::new(false));
    scope(async |scope| {
        let (seen, entrance) = (Rc::clone(&seen), scope.clone());
        let elsewhere = spawn(async move {
            sleep(Duration::from_millis(2)).await;
            entrance.spawn(async move { seen.set(true) }).await;
        });
        // The scope waits for nothing but this task.
        elsewhere.await.unwrap();
    })
    .await;
    assert!(seen.get());
}

async fn dropping_a_scope_drops_all_of_it() {
    let held = Rc::new(());
    let waits = scope(async |scope| {
        for _ in 0..3 {
            let (held, scope) = (Rc::clone(&held), scope.clone());
            // Each holds the scope that it is in.
            scope.clone().spawn(async move {
                pending::<()>().await;
                drop((held, scope));
            });
        }
        pending::<()>().await;
    });
    assert!(timeout(Duration::from_millis(1), waits).await.is_err());
    assert_eq!(Rc::strong_count(&held), 1);
}

async fn a_panic_of_a_future_is_the_scopes() {
    let held = Rc::new(());
    let panics = scope(async |scope| {
        let held = Rc::clone(&held);
        scope.spawn(async move {
            pending::<()>().await;
            drop(held);
        });
        scope.spawn(async { boom("a future") });
        pending::<()>().await;
    });
    let panic = AssertUnwindSafe(panics).catch_unwind().await.unwrap_err();
    assert_eq!(*panic.downcast::<String>().unwrap(), "a future, on purpose");
    assert_eq!(Rc::strong_count(&held), 1);
}

async fn only_what_was_woken_is_polled() {
    const MANY: usize = 100;
    let polled = Cell::new(0);
    let polls = |count: &Cell<usize>| count.set(count.get() + 1);
    scope(async |scope| {
        let ends: Vec<_> = (0..MANY)
            .map(|_| {
                let (end, ended) = annulus::sync::oneshot::channel::<()>();
                let mut ended = Box::pin(ended);
                let polled = &polled;
                scope.spawn(std::future::poll_fn(move |cx| {
                    polls(polled);
                    ended.as_mut().poll(cx).map(drop)
                }));
                end
            })
            .collect();
        yield_now().await;
        for end in ends {
            end.send(()).unwrap();
            yield_now().await;
        }
    })
    .await;
    assert_eq!(polled.get(), 2 * MANY);
    assert!(Runtime::try_current().unwrap().metrics().polls < 10 * MANY as u64);
}

async fn nobody_enters_a_scope_that_has_ended() {
    let kept = RefCell::new(None);
    scope(async |scope: Scope<'static>| *kept.borrow_mut() = Some(scope)).await;
    let scope = kept.take().unwrap();
    let panic = quietly(AssertUnwindSafe(|| drop(scope.spawn(async {})))).unwrap_err();
    assert!(panic.downcast_ref::<&str>().unwrap().contains("has ended"));
}

async fn what_enters_and_is_never_polled_is_dropped() {
    let held = Rc::new(());
    let kept = Rc::new(RefCell::new(None));
    {
        let mut waits = pin!(scope(async |scope: Scope<'static>| {
            *kept.borrow_mut() = Some(scope);
            pending::<()>().await;
        }));
        assert!(waits.as_mut().now_or_never().is_none());
        let scope = kept.borrow_mut().take().unwrap();
        let held = Rc::clone(&held);
        // It holds the scope that holds it.
        scope.clone().spawn(async move { drop((held, scope)) });
    }
    assert_eq!(Rc::strong_count(&held), 1);
}
