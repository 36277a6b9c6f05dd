//! One turn of the loop, in the order in which things happen.
//!
//! A loop with nothing to do makes no system call. Yields, wakes and channels make none either: they only move
//! tasks through the ready queue. A loaded server makes one for a whole batch of connections: the requests that
//! a batch makes are handed over by the same call that waits for the next answers.

use std::io;
use std::time::Duration;

use crate::engine::Engine;

/// How many tasks of a batch are polled between two looks at the clock.
const POLLS_PER_LOOK: usize = 16;
/// How long a batch may keep the kernel waiting (I8).
const BATCH_LIMIT: Duration = Duration::from_micros(500);
/// How many polls may go by before what is queued for the kernel is handed over all the same (I8).
const POLLS_UNTIL_DUE: u64 = 32;
/// Where many timers are armed, those that are due within this of each other are fired together. It is what the kernel
/// allows itself with timers of its own, prctl(2) under PR_SET_TIMERSLACK.
const SLACK: Duration = Duration::from_micros(50);
/// How many timers are many. With fewer each is waited for exactly.
const MANY_TIMERS: usize = 64;
/// How long an idle loop whose clock stands still waits for what is in flight, before it moves the clock on.
const STILL: Duration = Duration::from_millis(1);

/// One turn. If there is nothing to do it sleeps, for at most `limit`. `finished` says whether what the loop is run for has come
/// to its end, so that it need not.
#[inline]
pub(super) fn turn(engine: &Engine, limit: Option<Duration>, finished: impl Fn() -> bool) -> io::Result<()> {
    engine.beacon.turn();

    // What completions left to do for those who are not tasks of this loop.
    engine.port.run_later();
    #[cfg(feature = "tracing")]
    engine.executor.tell_of_wakes();
    let broken_off = run_batch(engine);
    if finished() {
        return Ok(());
    }

    if !engine.port.is_quiet() {
        engine.record_look();
    }
    engine.executor.take_inbox();
    engine.port.reap();
    engine.fire_timers();

    if engine.executor.ready() == 0 && !engine.port.has_later() {
        return sleep(engine, limit);
    }
    // A loop that only yields and wakes leaves its driver alone.
    if engine.port.is_quiet() {
        return Ok(());
    }
    let due = broken_off || engine.polls_since_flush() >= POLLS_UNTIL_DUE;
    if due {
        engine.flushed();
        engine.note_turn();
    }
    engine.port.flush(due)
}

/// Polls the tasks that are ready now; those they make ready are for the next turn. True if it broke off because
/// it took long; the rest stays in front.
fn run_batch(engine: &Engine) -> bool {
    let mut begun = None;
    let batch = engine.executor.batch();
    engine.begin_batch(batch);
    let mut polled = 0;
    while polled < batch {
        polled += 1;
        engine.renew_budget();
        engine.executor.poll_next();
        // Somebody else waits only if the kernel is owed entries or a timer may be due.
        let look = polled % POLLS_PER_LOOK == 0 && polled < batch;
        if look && (engine.port.queued() > 0 || engine.timers() > 0) {
            let now = engine.now();
            if now.duration_since(*begun.get_or_insert(now)) > BATCH_LIMIT {
                poll_background(engine, true);
                return true;
            }
        }
    }
    poll_background(engine, batch > 0);
    false
}

/// After each batch, also one that was broken off: in a loop where each one is, the background has its share all the same.
#[inline]
fn poll_background(engine: &Engine, others: bool) {
    if engine.executor.has_background() {
        engine.renew_budget();
        engine.executor.poll_background(others);
    }
}

/// Looks for what others wake before it sleeps, not beyond the next timer. True if there was something.
#[cold]
fn spin(engine: &Engine, at_most: Option<Duration>) -> bool {
    // Time that stands still is nobody's measure. Nor is a world's, whose driver never rests.
    if engine.clock.is_stopped()
        || !engine.port.rests()
        || !engine.spin.is_due(engine.executor.remote_wakes.get())
    {
        return false;
    }
    let until_deadline =
        engine.next_deadline().map(|deadline| deadline.saturating_duration_since(engine.now()));
    let limit = [until_deadline, at_most].into_iter().flatten().fold(engine.spin.limit(), Duration::min);
    if limit.is_zero() {
        return false;
    }
    let found = engine.port.spin(limit, || !engine.executor.inbox().is_empty());
    engine.spin.looked(found);
    if found {
        engine.note_turn();
        engine.executor.take_inbox();
    }
    found
}

/// Hands over what is queued and waits until something happens: one system call.
fn sleep(engine: &Engine, at_most: Option<Duration>) -> io::Result<()> {
    if engine.spin.is_on() && spin(engine, at_most) {
        return Ok(());
    }
    engine.parks.set(engine.parks.get() + 1);
    #[cfg(feature = "tracing")]
    engine.port.show_rest();
    engine.note_turn();
    let hooks = engine.executor.hooks();
    if let Some(hook) = &hooks.park {
        hook();
    }
    // The hook may have spawned or woken a task, or armed a timer.
    let at_most = if engine.executor.ready() > 0 { Some(Duration::ZERO) } else { at_most };
    engine.flushed();
    let limit = engine.next_deadline().map(|deadline| deadline.saturating_duration_since(engine.now()));
    let stands_still =
        limit.filter(|limit| !limit.is_zero() && engine.clock.is_stopped() && !engine.port.is_at_work());
    let limit = match stands_still {
        // What is in flight gets a chance to come first.
        Some(_) => Some(if engine.port.in_flight() > 0 { STILL } else { Duration::ZERO }),
        None => limit.map(|limit| gathered(engine, limit)),
    };
    let limit = match (limit, at_most) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (limit, at_most) => limit.or(at_most),
    };
    engine.beacon.sleeps();
    engine.record_sleep(false);
    let slept = engine.port.wait(limit, || !engine.executor.inbox().is_empty());
    engine.beacon.wakes();
    engine.record_sleep(true);
    engine.note_time();
    if let Some(hook) = &hooks.unpark {
        hook();
    }
    // What ended the sleep is collected here, so that the next turn begins with its tasks ready.
    engine.executor.take_inbox();
    engine.port.reap();
    let nothing_came = engine.executor.ready() == 0 && !engine.port.has_later();
    if let Some(until_deadline) = stands_still.filter(|_| nothing_came) {
        engine.clock.advance(at_most.map_or(until_deadline, |most| most.min(until_deadline)));
    }
    engine.fire_timers();
    slept
}

/// How long to sleep so that timers that follow closely are fired with the first. One wait for each of 100,000 cost 0.7 us
/// of processor time a timer.
fn gathered(engine: &Engine, limit: Duration) -> Duration {
    let dense = !limit.is_zero() && limit < SLACK && engine.timers() >= MANY_TIMERS;
    if dense && !engine.clock.is_stopped() { SLACK } else { limit }
}

/// After the last turn of a run: what was dropped at its end is stopped and closed now, not at the next run. One
/// round hands over the requests to stop, the next collects what they stopped, the third closes it.
pub(super) fn settle(engine: &Engine) -> io::Result<()> {
    const ROUNDS: usize = 4;
    for _ in 0..ROUNDS {
        engine.port.reap();
        engine.port.run_later();
        engine.port.flush(true)?;
    }
    Ok(())
}
