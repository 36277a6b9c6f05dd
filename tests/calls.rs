//! What is called later, shielded from those who stop waiting, put off, or gives way: in its order, once, and not in vain.

mod support;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use annulus::task::{self, CallHandle, call_at, call_later, call_soon, shield, yield_if_needed};
use annulus::time::{now, pause, sleep, timeout, timeout_at};
use annulus::{Builder, Runtime, spawn, yield_now};
use futures_util::FutureExt;
use support::on_every_driver;
use support::quiet::boom;

on_every_driver! {
    calls_are_made_in_their_order_and_never_at_once,
    calls_at_a_moment_are_made_when_it_has_come,
    a_call_that_is_taken_back_is_not_made,
    a_call_that_was_made_cannot_be_taken_back,
    a_panic_in_a_call_ends_nothing_else,
    a_shielded_future_goes_on_when_its_waiter_is_dropped,
    a_shielded_future_gives_its_output_or_its_panic,
    a_time_out_can_be_put_off_and_brought_forward,
    a_time_out_that_was_up_goes_on_where_it_was,
    a_computation_gives_way_when_its_share_is_used_up,
    a_computation_gives_way_when_its_time_is_up,
    a_computation_that_is_polled_by_hand_goes_on,
}

/// What was said, in its order.
#[derive(Clone, Default)]
struct Said(Rc<RefCell<Vec<&'static str>>>);

impl Said {
    fn later(&self, word: &'static str) -> impl FnOnce() + use<> {
        let said = Rc::clone(&self.0);
        move || said.borrow_mut().push(word)
    }

    fn words(&self) -> Vec<&'static str> {
        self.0.borrow().clone()
    }
}

async fn calls_are_made_in_their_order_and_never_at_once() {
    let said = Said::default();
    for word in ["one", "two", "three"] {
        assert_eq!(call_soon(said.later(word)).deadline(), None);
    }
    let from_a_call = said.clone();
    call_soon(move || drop(call_soon(from_a_call.later("five"))));
    call_soon(said.later("four"));
    assert!(said.words().is_empty());
    yield_now().await;
    assert_eq!(said.words(), ["one", "two", "three", "four"]);
    yield_now().await;
    assert_eq!(said.words()[4..], ["five"]);
}

async fn calls_at_a_moment_are_made_when_it_has_come() {
    let said = Said::default();
    let begun = now();
    let late = call_at(begun + Duration::from_millis(20), said.later("late"));
    let early = call_later(Duration::from_millis(5), said.later("early"));
    let past = call_at(begun - Duration::from_millis(5), said.later("past"));
    let due: Vec<_> = [&past, &early, &late].map(CallHandle::deadline).into();
    assert!(due.is_sorted() && due[2] == Some(begun + Duration::from_millis(20)));
    drop((late, early, past));
    while said.words().len() < 3 {
        sleep(Duration::from_millis(1)).await;
        assert!(said.words().len() < 2 || now() >= begun + Duration::from_millis(5));
        assert!(said.words().len() < 3 || now() >= begun + Duration::from_millis(20));
    }
    assert_eq!(said.words(), ["past", "early", "late"]);
}

async fn a_call_that_is_taken_back_is_not_made() {
    let said = Said::default();
    let held = Rc::new(());
    let calls = [
        call_soon(said.later("soon")),
        call_later(Duration::from_millis(1), said.later("later")),
        call_at(now(), said.later("at")),
        call_later(Duration::from_secs(3600), {
            let held = Rc::clone(&held);
            move || drop(held)
        }),
    ];
    for call in &calls {
        assert!(!call.is_cancelled());
        call.cancel();
        call.cancel();
        assert!(call.is_cancelled());
    }
    yield_now().await;
    assert_eq!(Rc::strong_count(&held), 1, "what it would have been called with is free");
    assert_eq!(Runtime::try_current().unwrap().metrics().timers, 0);
    sleep(Duration::from_millis(5)).await;
    assert!(said.words().is_empty());
}

async fn a_call_that_was_made_cannot_be_taken_back() {
    let handle = Rc::new(RefCell::new(None::<CallHandle>));
    let said = Said::default();
    let call = call_soon({
        let (handle, say) = (Rc::clone(&handle), said.later("called"));
        move || {
            // By itself, while it is called.
            handle.borrow().as_ref().unwrap().cancel();
            say();
        }
    });
    *handle.borrow_mut() = Some(call);
    yield_now().await;
    handle.borrow().as_ref().unwrap().cancel();
    assert_eq!(said.words(), ["called"]);
    assert!(!handle.take().unwrap().is_cancelled());
}

async fn a_panic_in_a_call_ends_nothing_else() {
    let said = Said::default();
    call_soon(|| boom("a call"));
    call_soon(said.later("next"));
    yield_now().await;
    assert_eq!(said.words(), ["next"]);
}

async fn a_shielded_future_goes_on_when_its_waiter_is_dropped() {
    let done = Rc::new(Cell::new(0));
    let slow = || {
        let done = Rc::clone(&done);
        async move {
            for _ in 0..5 {
                yield_now().await;
            }
            done.set(done.get() + 1);
        }
    };
    let polled = slow();
    let waits = spawn(async move { shield(polled).await });
    yield_now().await;
    waits.abort();
    assert!(waits.await.unwrap_err().is_cancelled());
    drop(shield(slow()));
    for _ in 0..20 {
        yield_now().await;
    }
    assert_eq!(done.get(), 2);
}

async fn a_shielded_future_gives_its_output_or_its_panic() {
    let seven = shield(async { 7 });
    assert!(!seven.is_finished());
    assert_eq!(seven.await, 7);
    let panics = shield(async { boom("a shielded future") });
    let panic = AssertUnwindSafe(panics).catch_unwind().await.unwrap_err();
    assert_eq!(*panic.downcast::<String>().unwrap(), "a shielded future, on purpose");
}

async fn a_time_out_can_be_put_off_and_brought_forward() {
    let begun = now();
    let at = |ms| begun + Duration::from_millis(ms);
    {
        let mut waits = pin!(timeout(Duration::from_millis(2), sleep(Duration::from_millis(10))));
        assert!(waits.as_mut().now_or_never().is_none(), "its timer is armed");
        waits.as_mut().reset(at(3_600_000));
        assert_eq!(waits.deadline(), at(3_600_000));
        assert_eq!(waits.await, Ok(()));
    }
    {
        let mut waits = pin!(timeout_at(at(3_600_000), pending::<()>()));
        assert!(waits.as_mut().now_or_never().is_none());
        waits.as_mut().reset(at(15));
        assert!(waits.await.is_err());
    }
    assert!(now() >= at(15) && now() < at(3_600_000));
    assert_eq!(Runtime::try_current().unwrap().metrics().timers, 0);
}

async fn a_time_out_that_was_up_goes_on_where_it_was() {
    let steps = Cell::new(0);
    let mut waits = pin!(timeout(Duration::from_millis(1), async {
        steps.set(1);
        // Long enough that it is not up at the same look at the clock, however slow the machine.
        sleep(Duration::from_millis(100)).await;
        steps.get() + 1
    }));
    assert!(waits.as_mut().await.is_err());
    waits.as_mut().reset(now() + Duration::from_secs(3600));
    assert_eq!(waits.await, Ok(2));
}

fn polls() -> u64 {
    Runtime::try_current().unwrap().metrics().polls
}

async fn a_computation_gives_way_when_its_share_is_used_up() {
    let others = Rc::new(Cell::new(0));
    let count = Rc::clone(&others);
    let other = spawn(async move {
        loop {
            count.set(count.get() + 1);
            yield_now().await;
        }
    });
    yield_now().await;
    let (polls, before) = (polls(), others.get());
    let mut steps = 0;
    while others.get() < before + 10 {
        steps += 1;
        yield_if_needed().await;
    }
    other.abort();
    assert!((10..=10 * 130).contains(&steps), "{steps} steps, and others had their turn ten times");
    assert!(self::polls() - polls <= 25, "each of the two was polled as often as the other");
}

fn a_computation_gives_way_when_its_time_is_up(builder: Builder) {
    builder
        .build()
        .unwrap()
        .run(async {
            let other = spawn(async {});
            let mut steps = 0;
            while !other.is_finished() {
                // A step of more than a share's time; simulated, looking at the clock takes time.
                let begun = now();
                while now() - begun < Duration::from_micros(600) {}
                steps += 1;
                yield_if_needed().await;
            }
            assert!(steps <= 17, "{steps} steps");
            // Steps that take no time give way by their number alone.
            pause();
            let before = polls();
            for _ in 0..100 {
                task::yield_if_needed().await;
            }
            assert!(polls() - before <= 1, "nobody gives way in vain");
        })
        .unwrap();
}

fn a_computation_that_is_polled_by_hand_goes_on(builder: Builder) {
    let runtime = builder.build().unwrap();
    let mut computation = pin!(async {
        for _ in 0..3 {
            yield_if_needed().await;
            yield_now().await;
        }
    });
    let polls = (1..=20).find(|_| {
        let is_over = runtime.enter(|| computation.as_mut().now_or_never()).is_some();
        // Longer than a share.
        runtime.enter(|| {
            let begun = now();
            while now() - begun < Duration::from_micros(600) {}
        });
        is_over
    });
    assert_eq!(polls, Some(4));
}
