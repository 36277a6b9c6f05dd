//! What time it is for a loop: the system's time, a time that stands still until it is moved, or a simulated world's.
//!
//! It never goes back. Whoever needs the time asks here, and not the system, so that all of a loop agrees.

use std::cell::Cell;
#[cfg(feature = "sim")]
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

#[derive(Default)]
pub(crate) struct Clock {
    /// Where the hands stand, while they are stopped.
    stopped: Cell<Option<Stopped>>,
    /// How far the hands are from the system's since they were last let go: behind where negative, in nanoseconds.
    ahead: Cell<i64>,
    #[cfg(feature = "sim")]
    world: Option<Rc<WorldClock>>,
}

#[derive(Clone, Copy)]
struct Stopped {
    at: Instant,
    wall: SystemTime,
}

impl Clock {
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        match self.stopped.get() {
            Some(stopped) => stopped.at,
            None => self.running(),
        }
    }

    #[inline]
    fn running(&self) -> Instant {
        #[cfg(feature = "sim")]
        if let Some(world) = &self.world {
            return world.look();
        }
        match self.ahead.get() {
            0 => Instant::now(),
            ahead => moved(Instant::now(), ahead),
        }
    }

    /// The time of day, which may be set and is nobody's measure of spans.
    pub(crate) fn wall(&self) -> SystemTime {
        if let Some(stopped) = self.stopped.get() {
            return stopped.wall;
        }
        #[cfg(feature = "sim")]
        if let Some(world) = &self.world {
            return world.wall();
        }
        match self.ahead.get() {
            ahead @ 0.. => SystemTime::now() + Duration::from_nanos(ahead as u64),
            behind => SystemTime::now() - Duration::from_nanos(behind.unsigned_abs()),
        }
    }

    /// What it shows, without the look that in a world takes time.
    pub(crate) fn shown(&self) -> Instant {
        #[cfg(feature = "sim")]
        if let Some(world) = &self.world {
            return world.glance();
        }
        self.now()
    }

    /// Whether time is a world's, which the world moves.
    pub(crate) fn is_simulated(&self) -> bool {
        #[cfg(feature = "sim")]
        return self.world.is_some();
        #[cfg(not(feature = "sim"))]
        false
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.get().is_some()
    }

    /// Stops the hands where they stand.
    pub(crate) fn stop(&self) {
        if !self.is_stopped() {
            self.stopped.set(Some(Stopped { at: self.now(), wall: self.wall() }));
        }
    }

    /// Lets the hands go on from where they stand.
    pub(crate) fn resume(&self) {
        if let Some(stopped) = self.stopped.take() {
            let real = Instant::now();
            let ahead = stopped.at.saturating_duration_since(real).as_nanos() as i64;
            let behind = real.saturating_duration_since(stopped.at).as_nanos() as i64;
            self.ahead.set(ahead - behind);
        }
    }

    /// Moves stopped hands on.
    pub(crate) fn advance(&self, span: Duration) {
        let moved = self.stopped.get().map(|before| Stopped {
            at: before.at.checked_add(span).unwrap_or(before.at),
            wall: before.wall.checked_add(span).unwrap_or(before.wall),
        });
        self.stopped.set(moved);
    }
}

fn moved(from: Instant, nanoseconds: i64) -> Instant {
    let span = Duration::from_nanos(nanoseconds.unsigned_abs());
    let there = if nanoseconds < 0 { from.checked_sub(span) } else { from.checked_add(span) };
    there.unwrap_or(from)
}

#[cfg(feature = "sim")]
pub(crate) use world::{Time, WorldClock};

#[cfg(feature = "sim")]
mod world {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::{Duration, Instant, SystemTime};

    use super::Clock;

    /// What a look at a clock takes. So a task that spins until a deadline comes to its end, as on a machine.
    const LOOK: u64 = 50;
    const PER_MILLION: i128 = 1_000_000;
    /// When worlds begin, in seconds since 1970: 2000-01-01.
    const BEGINNING: u64 = 946_684_800;

    /// The time of a simulated world, in nanoseconds since its beginning, that all of its clocks share.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Time(Rc<Cell<u64>>);

    impl Time {
        pub(crate) fn now(&self) -> u64 {
            self.0.get()
        }

        /// Never back.
        pub(crate) fn move_to(&self, when: u64) {
            self.0.set(self.now().max(when));
        }
    }

    /// The clock of a simulated host, which may run a little fast or slow, and be set wrong.
    pub(crate) struct WorldClock {
        time: Time,
        /// Only differences to it are seen.
        base: Instant,
        /// Since when the clock runs as it does: by the world's time, and by its own.
        since: Cell<(u64, u64)>,
        /// How many millionths it runs fast.
        drift: Cell<i64>,
        /// How many nanoseconds its time of day is ahead.
        ahead: Cell<i64>,
    }

    impl WorldClock {
        pub(crate) fn new(time: &Time) -> WorldClock {
            WorldClock {
                time: time.clone(),
                base: Instant::now(),
                since: Cell::new((0, 0)),
                drift: Cell::new(0),
                ahead: Cell::new(0),
            }
        }

        /// What the clock shows for a moment of the world.
        fn shown(&self, when: u64) -> u64 {
            let (world, own) = self.since.get();
            let passed = i128::from(when.saturating_sub(world));
            own + (passed * (PER_MILLION + i128::from(self.drift.get())) / PER_MILLION) as u64
        }

        pub(crate) fn look(&self) -> Instant {
            self.time.move_to(self.time.now() + LOOK);
            self.glance()
        }

        /// What it shows now, without the look that takes time.
        pub(crate) fn glance(&self) -> Instant {
            self.base + Duration::from_nanos(self.shown(self.time.now()))
        }

        /// The moment of the world at which the clock shows `deadline`, or soon after.
        pub(crate) fn moment_of(&self, deadline: Instant) -> u64 {
            let wanted = u64::try_from(deadline.saturating_duration_since(self.base).as_nanos());
            let (world, own) = self.since.get();
            let left = i128::from(wanted.unwrap_or(u64::MAX).saturating_sub(own));
            let passed = left * PER_MILLION / (PER_MILLION + i128::from(self.drift.get()));
            u64::try_from(i128::from(world) + passed + 1).unwrap_or(u64::MAX)
        }

        pub(crate) fn wall(&self) -> SystemTime {
            let shown = i128::from(self.shown(self.time.now())) + i128::from(self.ahead.get());
            let shown = Duration::from_nanos(u64::try_from(shown.max(0)).unwrap_or(u64::MAX));
            SystemTime::UNIX_EPOCH + Duration::from_secs(BEGINNING) + shown
        }

        /// Runs fast by so many millionths from now on, or slow where negative.
        pub(crate) fn drift(&self, millionths: i64) {
            self.since.set((self.time.now(), self.shown(self.time.now())));
            self.drift.set(millionths.clamp(-900_000, 9_000_000));
        }

        /// Sets the time of day wrong.
        pub(crate) fn set_ahead(&self, nanoseconds: i64) {
            self.ahead.set(nanoseconds);
        }
    }

    impl Clock {
        pub(crate) fn of_a_world(world: Rc<WorldClock>) -> Clock {
            Clock { world: Some(world), ..Clock::default() }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_deadline_is_shown_when_its_moment_has_come_and_not_long_before() {
            for drift in [0, 250, -250, 400_000, -400_000] {
                let time = Time::default();
                let clock = WorldClock::new(&time);
                time.move_to(5_000_000);
                let before = clock.look();
                clock.drift(drift);
                assert!(clock.look() >= before, "time does not go back");
                let deadline = clock.look() + Duration::from_millis(10);
                let moment = clock.moment_of(deadline);
                time.move_to(moment - 1_000);
                assert!(clock.look() < deadline, "{drift}");
                time.move_to(moment);
                assert!(clock.look() >= deadline, "{drift}");
            }
        }
    }
}
