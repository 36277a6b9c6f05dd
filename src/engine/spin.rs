//! Whether a loop with nothing to do looks for what other threads wake for a short time before it sleeps.
//!
//! To look costs a processor, to be woken costs both sides: a system call of whoever wakes, and the way of a processor out of its
//! sleep. It pays where an answer comes sooner than a sleep would take, and only what happened says whether it does. So a loop looks
//! only when others have woken its tasks since it looked last, and each look that was in vain doubles how often it sleeps
//! at once. One that is woken by I/O alone never looks, one that nobody wakes once at most.

use std::cell::Cell;
use std::time::Duration;

/// So often, after so many looks in vain, the loop sleeps at once.
const PASSES_MAX: u32 = 1 << 10;

#[derive(Default)]
pub(crate) struct Spin {
    /// For how long, in nanoseconds; zero is never.
    limit_ns: Cell<u64>,
    /// How many wakes by others there were when it was last asked.
    woken: Cell<u64>,
    /// How often it is to be passed over, and how often it will be after the next look in vain.
    passes: Cell<u32>,
    passes_next: Cell<u32>,
    /// How many looks there were, and how many of them were in vain.
    pub(crate) looks: Cell<u64>,
    pub(crate) in_vain: Cell<u64>,
}

impl Spin {
    /// From now on it looks for so long.
    pub(crate) fn set_limit(&self, limit: Duration) {
        self.limit_ns.set(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn limit(&self) -> Duration {
        Duration::from_nanos(self.limit_ns.get())
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.limit_ns.get() > 0
    }

    /// Whether to look now, when others have woken so many tasks since the loop was made.
    pub(crate) fn is_due(&self, woken: u64) -> bool {
        self.woken.replace(woken) != woken && !self.passes_over()
    }

    fn passes_over(&self) -> bool {
        let left = self.passes.get();
        self.passes.set(left.saturating_sub(1));
        left > 0
    }

    /// A look is over.
    pub(crate) fn looked(&self, found: bool) {
        self.looks.set(self.looks.get() + 1);
        if found {
            return self.passes_next.set(0);
        }
        self.in_vain.set(self.in_vain.get() + 1);
        self.passes.set(self.passes_next.get());
        self.passes_next.set((2 * self.passes_next.get() + 1).min(PASSES_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spin() -> Spin {
        let spin = Spin::default();
        spin.set_limit(Duration::from_micros(50));
        spin
    }

    #[test]
    fn without_a_limit_it_is_off() {
        assert!(!Spin::default().is_on() && spin().is_on());
    }

    #[test]
    fn a_loop_that_others_did_not_wake_does_not_look() {
        let spin = spin();
        assert!(!spin.is_due(0));
        assert!(spin.is_due(1));
        assert!(!spin.is_due(1));
        assert!(spin.is_due(3));
    }

    #[test]
    fn looks_in_vain_get_rare_and_one_that_was_not_brings_them_back() {
        let spin = spin();
        let mut looks = Vec::new();
        for woken in 1..=10_000 {
            if spin.is_due(woken) {
                looks.push(woken);
                spin.looked(false);
            }
        }
        assert_eq!(looks[..5], [1, 2, 4, 8, 16]);
        // As rare as that and no rarer.
        assert!((15..=20).contains(&looks.len()), "{looks:?}");
        let mut woken = 10_000;
        while !spin.is_due(woken) {
            woken += 1;
        }
        assert!(woken < 10_000 + 2 * u64::from(PASSES_MAX));
        spin.looked(true);
        assert!(spin.is_due(woken + 1));
        spin.looked(false);
        assert!(spin.is_due(woken + 2));
        assert_eq!(spin.looks.get() - spin.in_vain.get(), 1);
    }
}
