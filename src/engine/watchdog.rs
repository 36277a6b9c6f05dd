//! One thread of the process that looks whether loops hang, and tells of a poll that does while it does.
//!
//! The loops do nothing for it: each counts its turns anyway. One that works, and does not come to its next turn, is asked twice, half
//! the limit apart, what it polls: if that is the same poll, it is stuck.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::{Beacon, Doing, beacons, dumps};
use crate::driver::forks;
use crate::executor::{Asked, SlowPoll, Tell, Warning, prepare_to_ask, tell};

/// A loop that is looked after.
pub(crate) struct Watch {
    /// How long a poll may take.
    pub(crate) limit: Duration,
    /// Whom to tell; by default standard error.
    pub(crate) tell: Option<Tell>,
}

/// Of one loop so many stalls are told in [`PERIOD`], so that one that hangs again and again does not fill a disk. All are counted.
const TOLD_MAX: usize = 5;
const PERIOD: Duration = Duration::from_secs(10);

/// The thread, and the process that it is of, by what `forks` says.
static THREAD: Mutex<Option<(Thread, u32)>> = Mutex::new(None);

fn thread() -> MutexGuard<'static, Option<(Thread, u32)>> {
    THREAD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who asks for a watchdog and cannot have one is told, once, instead of waiting for what never comes.
pub(super) fn say_what_is_missing() {
    static SAID: Once = Once::new();
    let missing = match (cfg!(target_os = "linux"), cfg!(feature = "backtrace")) {
        (true, true) => return,
        (true, false) => "build annulus with its feature `backtrace`",
        (false, _) => "a thread can be asked on Linux alone; debug mode tells elsewhere, afterwards",
    };
    SAID.call_once(|| {
        eprintln!("annulus: the watchdog cannot say where a loop hangs, and is silent: {missing}")
    });
}

/// A loop has come that is to be looked after.
pub(super) fn attend() -> std::io::Result<()> {
    prepare_to_ask();
    let mut thread = thread();
    match &*thread {
        // Its step may be too long for this one.
        Some((watching, process)) if *process == forks() => watching.unpark(),
        _ => {
            let name = "annulus-watchdog".to_owned();
            let watching = std::thread::Builder::new().name(name).spawn(watch)?;
            *thread = Some((watching.thread().clone(), forks()));
        }
    }
    Ok(())
}

/// What the thread does, until there is no loop left.
fn watch() {
    let mut seen: HashMap<u64, Seen> = HashMap::new();
    loop {
        let watched = watched();
        if watched.is_empty() {
            // Who comes meanwhile waits for the lock, and finds that there is no thread.
            let mut thread = thread();
            if self::watched().is_empty() {
                *thread = None;
                return;
            }
            continue;
        }
        seen.retain(|number, _| watched.iter().any(|beacon| beacon.number() == *number));
        let mut step = Duration::from_millis(250);
        let dumps = dumps::are_asked_for();
        for beacon in &watched {
            if beacon.dumps().is_some() {
                step = step.min(Duration::from_millis(50));
                beacon.dump_kept();
            }
            if dumps {
                beacon.dump("signal");
            }
            let Some(watch) = beacon.watch() else { continue };
            step = step.min(watch.limit / 4);
            seen.entry(beacon.number()).or_default().look(beacon, watch);
        }
        drop(watched);
        std::thread::park_timeout(step.max(Duration::from_millis(1)));
    }
}

fn watched() -> Vec<Arc<Beacon>> {
    let mut watched = beacons();
    watched.retain(|beacon| beacon.watch().is_some() || beacon.dumps().is_some());
    watched
}

/// What is known of a loop.
#[derive(Default)]
struct Seen {
    turn: u64,
    /// Since when it is in this turn, as far as was seen.
    since: Option<Instant>,
    /// What it polled when half of the limit was over.
    early: Option<Asked>,
    /// What was told of the poll that is stuck, and how long it had taken then.
    told: Option<(SlowPoll, Duration)>,
    /// This turn is of no more interest.
    is_left_alone: bool,
    /// When stalls were told.
    times: Vec<Instant>,
    /// Stalls that were not.
    untold: u64,
}

impl Seen {
    fn look(&mut self, beacon: &Beacon, watch: &Watch) {
        let (now, turn) = (Instant::now(), beacon.turns());
        let since = match self.since {
            Some(since) if turn == self.turn && beacon.doing() == Doing::Working => since,
            _ => return self.goes_on(beacon, watch, now, turn),
        };
        if self.is_left_alone {
            return;
        }
        let time = now - since;
        let again = self.told.as_ref().map(|(_, told)| *told * 2);
        if time >= again.unwrap_or(watch.limit) {
            self.is_late(beacon, watch, time);
        } else if time >= watch.limit / 2 && self.early.is_none() {
            self.early = Asked::of(beacon.thread());
        }
    }

    /// The loop has come to another turn, or sleeps.
    fn goes_on(&mut self, beacon: &Beacon, watch: &Watch, now: Instant, turn: u64) {
        if let Some((slow, _)) = self.told.take() {
            let time = self.since.map_or(Duration::ZERO, |since| now - since);
            tell(&watch.tell, &Warning::SlowPoll(slow.over_after(time)));
        }
        (self.early, self.is_left_alone) = (None, false);
        self.turn = turn;
        self.since = (beacon.doing() == Doing::Working).then_some(now);
    }

    /// It has been in this turn for longer than a poll may take.
    fn is_late(&mut self, beacon: &Beacon, watch: &Watch, time: Duration) {
        let Some(asked) = Asked::of(beacon.thread()) else { return };
        if beacon.turns() != self.turn {
            return;
        }
        if self.early.as_ref().is_none_or(|early| early.poll != asked.poll) {
            // Many polls, and none of them too long as yet.
            self.since = Some(Instant::now());
            self.early = Some(asked);
            return;
        }
        let is_new = self.told.is_none();
        if is_new {
            beacon.stalled();
            if !self.may_tell() {
                self.untold += 1;
                self.is_left_alone = true;
                return;
            }
        }
        match asked.slow_poll(time, std::mem::take(&mut self.untold)) {
            Some(slow) => {
                tell(&watch.tell, &Warning::SlowPoll(slow.clone()));
                if is_new {
                    beacon.dump("stall");
                }
                self.told = Some((slow, time));
            }
            // Something of the loop's own, or a hook.
            None => self.is_left_alone = true,
        }
    }

    /// Whether one more is told.
    fn may_tell(&mut self) -> bool {
        self.times.retain(|time| time.elapsed() < PERIOD);
        let may = self.times.len() < TOLD_MAX;
        if may {
            self.times.push(Instant::now());
        }
        may
    }
}
