//! Time: never early, in order, and forgotten when nobody waits any more.
//!
//! How late a timer may be depends on how busy the machine is; only what is grossly late fails.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use annulus::time::{
    Elapsed, MissedTicks, interval, interval_at, now, sleep, sleep_until, timeout, timeout_at,
};
use annulus::{Builder, Metrics, Runtime, spawn, yield_now};
use futures_util::FutureExt;
use support::data::Dice;
use support::outside::pause;
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    no_sleep_ends_early,
    sleeps_end_in_the_order_of_their_deadlines,
    sleeps_of_one_deadline_all_end,
    a_sleep_of_no_time_ends_at_once,
    a_deadline_that_is_past_ends_at_once,
    the_longest_sleep_does_not_end_and_harms_nobody,
    sleeps_of_all_lengths_live_side_by_side,
    a_sleep_can_be_moved,
    a_sleep_that_has_ended_can_begin_anew,
    a_sleep_may_change_hands,
    a_dropped_sleep_is_disarmed,
    a_timer_of_a_dropped_task_is_disarmed,
    timers_of_a_run_go_on_in_the_next,
    a_time_out_gives_what_came_in_time,
    a_time_out_ends_what_takes_long,
    a_time_out_prefers_the_future,
    a_time_out_that_is_not_needed_arms_nothing,
    a_time_out_gives_its_future_back,
    elapsed_becomes_an_error_of_its_kind,
    an_interval_ticks_at_once_and_then_evenly,
    missed_ticks_are_made_up_for,
    missed_ticks_are_delayed,
    missed_ticks_are_left_out,
    a_tick_that_was_given_up_is_not_lost,
    an_interval_of_no_time_is_refused,
    a_hundred_thousand_sleep_at_a_time,
    a_hundred_thousand_time_outs_that_are_not_needed_leave_nothing,
    short_sleeps_do_not_spin,
}

on_real_drivers! {
    because "it computes while real time passes":
        a_task_that_computes_does_not_make_timers_early;
}

const MS: Duration = Duration::from_millis(1);
/// Later than this is wrong on any machine.
const GROSSLY_LATE: Duration = Duration::from_secs(2);

fn metrics() -> Metrics {
    Runtime::try_current().unwrap().metrics()
}

async fn no_sleep_ends_early() {
    let mut dice = Dice::new(1);
    let sleepers: Vec<_> = (0..500)
        .map(|_| {
            let span = Duration::from_nanos(dice.below(40_000_000));
            spawn(async move {
                let start = now();
                sleep(span).await;
                let slept = now() - start;
                assert!(slept >= span, "{slept:?} instead of {span:?}");
                assert!(slept < span + GROSSLY_LATE, "{slept:?} instead of {span:?}");
            })
        })
        .collect();
    for sleeper in sleepers {
        sleeper.await.unwrap();
    }
    // One after the other, so that each is the only one.
    for _ in 0..50 {
        let span = Duration::from_nanos(dice.below(1_500_000));
        let start = now();
        sleep(span).await;
        assert!(now() - start >= span);
    }
}

async fn sleeps_end_in_the_order_of_their_deadlines() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let mut dice = Dice::new(2);
    // When all are armed none is due, also in a build that is slow.
    let start = now() + 30 * MS;
    let sleepers: Vec<_> = (0..300)
        .map(|_| {
            let deadline = start + Duration::from_micros(dice.below(30_000));
            let order = Rc::clone(&order);
            spawn(async move {
                sleep_until(deadline).await;
                order.borrow_mut().push(deadline);
            })
        })
        .collect();
    for sleeper in sleepers {
        sleeper.await.unwrap();
    }
    assert!(order.borrow().is_sorted(), "{:?}", order.borrow());
}

async fn sleeps_of_one_deadline_all_end() {
    let deadline = now() + 5 * MS;
    let sleepers: Vec<_> = (0..1000).map(|_| spawn(sleep_until(deadline))).collect();
    for sleeper in sleepers {
        sleeper.await.unwrap();
    }
    assert!(now() >= deadline);
    assert_eq!(metrics().timers, 0);
}

async fn a_sleep_of_no_time_ends_at_once() {
    let start = now();
    for _ in 0..100 {
        sleep(Duration::ZERO).await;
    }
    assert!(now() - start < GROSSLY_LATE);
}

async fn a_deadline_that_is_past_ends_at_once() {
    let past = now() - Duration::from_millis(50);
    timeout(GROSSLY_LATE, sleep_until(past)).await.unwrap();
    assert_eq!(timeout_at(past, pending::<()>()).await, Err(Elapsed));
    assert_eq!(timeout(Duration::ZERO, pending::<()>()).await, Err(Elapsed));
    let mut beat = interval_at(past, 20 * MS);
    assert_eq!(timeout(GROSSLY_LATE, beat.tick()).await.unwrap(), past);
}

async fn the_longest_sleep_does_not_end_and_harms_nobody() {
    let longest = spawn(sleep(Duration::MAX));
    let long = spawn(sleep(Duration::from_secs(u32::MAX.into())));
    assert_eq!(timeout(Duration::MAX, ready(7)).await, Ok(7));
    assert_eq!(timeout(Duration::MAX, sleep(MS)).await, Ok(()));
    for _ in 0..5 {
        sleep(MS).await;
    }
    assert!(!longest.is_finished() && !long.is_finished());
    assert_eq!(metrics().timers, 2);
}

async fn sleeps_of_all_lengths_live_side_by_side() {
    // From what is due to a year away, on every level that a wheel may have.
    let far: Vec<_> = (0..45).map(|bits| sleep(20 * MS + Duration::from_nanos(1 << (bits + 10)))).collect();
    let far: Vec<_> = far.into_iter().map(spawn).collect();
    let start = now();
    sleep(200 * MS).await;
    assert!(now() - start >= 200 * MS);
    for (bits, sleeper) in far.iter().enumerate() {
        let span = 20 * MS + Duration::from_nanos(1 << (bits + 10));
        if span < 190 * MS {
            assert!(sleeper.is_finished(), "{span:?}");
        } else if span > 10 * GROSSLY_LATE {
            assert!(!sleeper.is_finished(), "{span:?}");
        }
    }
}

async fn a_sleep_can_be_moved() {
    let start = now();
    let mut one = sleep(Duration::from_secs(1000));
    assert!((&mut one).now_or_never().is_none());
    one.reset(now() + 5 * MS);
    one.await;
    assert!(now() - start >= 5 * MS && now() - start < GROSSLY_LATE);

    // Away: it does not end at its first deadline.
    let mut other = sleep(MS);
    assert!((&mut other).now_or_never().is_none());
    let deadline = now() + 20 * MS;
    other.reset(deadline);
    assert_eq!(other.deadline(), deadline);
    other.await;
    assert!(now() >= deadline);
    assert_eq!(metrics().timers, 0);
}

async fn a_sleep_that_has_ended_can_begin_anew() {
    let mut one = sleep(MS);
    for _ in 0..5 {
        (&mut one).await;
        let deadline = now() + 2 * MS;
        one.reset(deadline);
        (&mut one).await;
        assert!(now() >= deadline);
    }
}

async fn a_sleep_may_change_hands() {
    // Armed by one task, awaited by another.
    let mut one = sleep(3 * MS);
    assert!(Pin::new(&mut one).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    timeout(GROSSLY_LATE, spawn(one)).await.unwrap().unwrap();
}

async fn a_dropped_sleep_is_disarmed() {
    let fired = metrics().timers_fired;
    let mut sleeps: Vec<_> = (0..100).map(|n| sleep(5 * MS + MS * n)).collect();
    for one in &mut sleeps {
        assert!(one.now_or_never().is_none());
    }
    assert_eq!(metrics().timers, 100);
    drop(sleeps);
    assert_eq!(metrics().timers, 0);
    sleep(20 * MS).await;
    assert_eq!(metrics().timers_fired, fired + 1);
}

async fn a_timer_of_a_dropped_task_is_disarmed() {
    let task = spawn(sleep(Duration::from_secs(1000)));
    yield_now().await;
    assert_eq!(metrics().timers, 1);
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(metrics().timers, 0);
}

fn timers_of_a_run_go_on_in_the_next(builder: Builder) {
    let runtime = builder.build().unwrap();
    let mut task = None;
    runtime
        .run(async {
            task = Some(spawn(sleep(10 * MS)));
            yield_now().await;
        })
        .unwrap();
    std::thread::sleep(20 * MS);
    let start = Instant::now();
    runtime.run(task.unwrap()).unwrap().unwrap();
    assert!(start.elapsed() < GROSSLY_LATE);
    // A sleep that its runtime did not live to see may be dropped anywhere.
    let mut left = sleep(Duration::from_secs(1000));
    runtime.run(async { assert!((&mut left).now_or_never().is_none()) }).unwrap();
    drop(runtime);
    drop(left);
}

async fn a_time_out_gives_what_came_in_time() {
    assert_eq!(timeout(GROSSLY_LATE, async { 7 }).await, Ok(7));
    let later = async {
        sleep(2 * MS).await;
        8
    };
    assert_eq!(timeout(GROSSLY_LATE, later).await, Ok(8));
    assert_eq!(metrics().timers, 0);
}

async fn a_time_out_ends_what_takes_long() {
    let start = now();
    assert_eq!(timeout(10 * MS, pending::<()>()).await, Err(Elapsed));
    assert!(now() - start >= 10 * MS && now() - start < GROSSLY_LATE);
    let inner = timeout(GROSSLY_LATE, timeout(5 * MS, pending::<()>()));
    assert_eq!(inner.await, Ok(Err(Elapsed)), "the inner one is the shorter");
    let outer = timeout(5 * MS, timeout(GROSSLY_LATE, pending::<()>()));
    assert_eq!(outer.await, Err(Elapsed));
}

async fn a_time_out_prefers_the_future() {
    let deadline = now() + 3 * MS;
    let mut both = Box::pin(timeout_at(deadline, sleep_until(deadline)));
    assert!(both.as_mut().now_or_never().is_none());
    pause(5 * MS).await;
    assert_eq!(both.await, Ok(()));
}

async fn a_time_out_that_is_not_needed_arms_nothing() {
    let mut made = timeout(Duration::from_secs(1000), ready(7));
    assert_eq!(metrics().timers, 0);
    assert_eq!((&mut made).now_or_never(), Some(Ok(7)));
    assert_eq!(metrics().timers, 0);
}

async fn a_time_out_gives_its_future_back() {
    let slow = sleep(10 * MS);
    let mut made = timeout(MS, slow);
    assert_eq!((&mut made).await, Err(Elapsed));
    made.into_inner().await;
}

async fn elapsed_becomes_an_error_of_its_kind() {
    let error = std::io::Error::from(timeout(MS, pending::<()>()).await.unwrap_err());
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert!(error.to_string().contains("time was up"), "{error}");
}

async fn an_interval_ticks_at_once_and_then_evenly() {
    let start = now();
    let mut beat = interval(5 * MS);
    assert_eq!(beat.period(), 5 * MS);
    let first = beat.tick().await;
    assert!(first - start < GROSSLY_LATE);
    for n in 1..6 {
        let tick = beat.tick().await;
        assert_eq!(tick, first + n * 5 * MS, "by the plan, whenever it came");
        assert!(now() >= tick);
    }
    beat.reset();
    let reset = now();
    assert!(beat.tick().await >= reset + 4 * MS);
}

/// The ticks of an interval of 10 ms after the first, of which one was 35 ms late.
async fn ticks_after_a_pause(missed: MissedTicks) -> (Instant, Vec<Instant>, Instant) {
    let mut beat = interval(10 * MS);
    beat.set_missed_ticks(missed);
    let first = beat.tick().await;
    pause(35 * MS).await;
    let late = now();
    let mut ticks = Vec::new();
    for _ in 0..3 {
        ticks.push(beat.tick().await);
    }
    (first, ticks, late)
}

async fn missed_ticks_are_made_up_for() {
    let (first, ticks, _) = ticks_after_a_pause(MissedTicks::Burst).await;
    assert_eq!(ticks, [first + 10 * MS, first + 20 * MS, first + 30 * MS]);
}

async fn missed_ticks_are_delayed() {
    let (first, ticks, late) = ticks_after_a_pause(MissedTicks::Delay).await;
    assert_eq!(ticks[0], first + 10 * MS, "the late one");
    assert!(ticks[1] >= late + 10 * MS);
    assert!(ticks[2] >= ticks[1] + 10 * MS);
}

async fn missed_ticks_are_left_out() {
    let (first, ticks, late) = ticks_after_a_pause(MissedTicks::Skip).await;
    assert_eq!(ticks[0], first + 10 * MS, "the late one");
    assert!(ticks[1] > late, "none of those that were missed");
    for tick in &ticks {
        assert_eq!((*tick - first).as_nanos() % (10 * MS).as_nanos(), 0, "in the old beat");
    }
}

async fn a_tick_that_was_given_up_is_not_lost() {
    let mut beat = interval(20 * MS);
    let first = beat.tick().await;
    for _ in 0..3 {
        assert!(timeout(MS, beat.tick()).await.is_err());
    }
    assert_eq!(beat.tick().await, first + 20 * MS);
}

async fn an_interval_of_no_time_is_refused() {
    let refused = std::panic::catch_unwind(|| drop(interval(Duration::ZERO)));
    assert!(refused.unwrap_err().downcast_ref::<&str>().unwrap().contains("no time"));
}

async fn a_hundred_thousand_sleep_at_a_time() {
    let ended = Rc::new(Cell::new(0));
    let mut dice = Dice::new(3);
    let start = now();
    let sleepers: Vec<_> = (0..100_000)
        .map(|_| {
            let ended = Rc::clone(&ended);
            let span = Duration::from_micros(700_000 + dice.below(300_000));
            spawn(async move {
                let deadline = now() + span;
                sleep_until(deadline).await;
                assert!(now() >= deadline);
                ended.set(ended.get() + 1);
            })
        })
        .collect();
    yield_now().await;
    assert!(metrics().timers > 50_000);
    for sleeper in sleepers {
        sleeper.await.unwrap();
    }
    assert_eq!(ended.get(), 100_000);
    assert_eq!(metrics().timers, 0);
    assert!(now() - start < Duration::from_secs(20), "{:?}", now() - start);
}

async fn a_hundred_thousand_time_outs_that_are_not_needed_leave_nothing() {
    let fired = metrics().timers_fired;
    for _ in 0..100_000 {
        timeout(Duration::from_secs(1000), yield_now()).await.unwrap();
    }
    assert_eq!(metrics().timers, 0);
    assert_eq!(metrics().timers_fired, fired);
}

async fn a_task_that_computes_does_not_make_timers_early() {
    // The deadline is counted from when it is made, not from when the loop last looked at a clock.
    for _ in 0..5 {
        std::thread::sleep(10 * MS);
        let start = Instant::now();
        sleep(5 * MS).await;
        assert!(start.elapsed() >= 5 * MS);
    }
}

async fn short_sleeps_do_not_spin() {
    let before = metrics().turns;
    for _ in 0..10 {
        sleep(3 * MS).await;
    }
    let turns = metrics().turns - before;
    assert!(turns <= 100, "{turns} turns for ten sleeps");
}
