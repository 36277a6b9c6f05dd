//! What the loop may expect of its timers.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::{Key, Order, TICK_BITS, Wheel};

const TICK: u64 = 1 << TICK_BITS;

fn expire<W>(wheel: &mut Wheel<W>, now_ns: u64) -> Vec<W> {
    let mut fired = Vec::new();
    wheel.expire(now_ns, |waiter| fired.push(waiter));
    fired
}

/// xorshift64*: the same numbers on each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Of any magnitude up to 2^bits, each as likely as the others.
    fn magnitude(&mut self, bits: u64) -> u64 {
        let bits = self.below(bits + 1);
        if bits == 0 { 0 } else { self.next() >> (64 - bits) }
    }
}

impl<W> Wheel<W> {
    /// Rules 1 to 3 of the module, and the bookkeeping, for every timer.
    fn check(&self) {
        let mut seen = 0;
        for (level, wheel) in self.levels.iter().enumerate() {
            assert_eq!(self.occupied & 1 << level != 0, wheel.occupied != 0);
            for (number, slot) in wheel.slots.iter().enumerate() {
                if wheel.occupied & 1 << number == 0 {
                    continue;
                }
                let mut deadlines = Vec::new();
                let mut index = slot.first;
                loop {
                    let entry = &self.entries[index as usize];
                    assert_eq!((entry.level as usize, entry.slot as usize), (level, number));
                    assert!(entry.waiter.is_some());
                    assert_eq!(self.entries[entry.after as usize].before, index);
                    let tick = (entry.deadline_ns >> TICK_BITS).max(self.tick);
                    assert_eq!((tick >> (6 * level)) & 63, number as u64);
                    assert_eq!(tick >> (6 * level + 6), self.tick >> (6 * level + 6));
                    assert!(level == 0 || (tick >> (6 * level)) & 63 > (self.tick >> (6 * level)) & 63);
                    deadlines.push(entry.deadline_ns);
                    index = entry.after;
                    if index == slot.first {
                        break;
                    }
                }
                seen += deadlines.len();
                match slot.order {
                    Order::Sorted => assert!(deadlines.is_sorted()),
                    Order::FirstLeast => assert_eq!(deadlines.iter().min(), deadlines.first()),
                    Order::Unknown => {}
                }
            }
        }
        assert_eq!(seen, self.len());
    }
}

#[test]
fn a_timer_fires_at_its_nanosecond_and_not_before() {
    for deadline in [1, TICK - 1, TICK, TICK + 1, 64 * TICK, 4096 * TICK + 5, u64::MAX] {
        let mut wheel = Wheel::new();
        wheel.insert(deadline, 'a');
        assert_eq!(expire(&mut wheel, deadline - 1), []);
        wheel.check();
        assert_eq!(wheel.next_deadline(), Some(deadline));
        assert_eq!(expire(&mut wheel, deadline), ['a']);
        assert!(wheel.is_empty());
        assert_eq!(wheel.next_deadline(), None);
    }
}

#[test]
fn a_deadline_in_the_past_fires_at_the_next_expire() {
    let mut wheel = Wheel::new();
    expire(&mut wheel, 1000 * TICK);
    wheel.insert(1000 * TICK + 1, "soon");
    wheel.insert(5, "late");
    wheel.insert(0, "later");
    assert_eq!(wheel.next_deadline(), Some(0));
    wheel.check();
    assert_eq!(expire(&mut wheel, 1000 * TICK), ["later", "late"]);
    assert_eq!(expire(&mut wheel, 1000 * TICK + 1), ["soon"]);
}

#[test]
fn deadlines_of_every_level_are_exact_and_in_order() {
    let mut deadlines: Vec<u64> =
        (0..64).flat_map(|bit| [1 << bit, (1 << bit) + 1, u64::MAX >> bit]).collect();
    let mut wheel = Wheel::new();
    for &deadline in deadlines.iter().rev() {
        wheel.insert(deadline, deadline);
    }
    assert_eq!(wheel.levels.len(), 8);
    deadlines.sort();
    for due in deadlines.chunk_by(|one, next| one == next) {
        assert_eq!(wheel.next_deadline(), Some(due[0]));
        assert!(expire(&mut wheel, due[0] - 1).is_empty());
        wheel.check();
        assert_eq!(expire(&mut wheel, due[0]), due);
    }
    assert!(wheel.is_empty());

    let mut wheel = Wheel::new();
    for &deadline in &deadlines {
        wheel.insert(deadline, deadline);
    }
    assert_eq!(expire(&mut wheel, u64::MAX), deadlines, "all at once, all of them late");
}

#[test]
fn equal_deadlines_fire_in_the_order_in_which_they_came() {
    let mut wheel = Wheel::new();
    let deadline = 5000 * TICK + 7;
    wheel.insert(deadline, 0);
    wheel.insert(deadline + 1, 100);
    expire(&mut wheel, 4990 * TICK); // carried down: later ones go there directly
    wheel.insert(deadline, 1);
    wheel.insert(deadline - 1, -100);
    let removed = wheel.insert(deadline - 2, -200);
    wheel.insert(deadline, 2);
    wheel.remove(removed); // the slot has lost its first and is sorted anew
    wheel.insert(deadline, 3);
    assert_eq!(expire(&mut wheel, u64::MAX), [-100, 0, 1, 2, 3, 100]);
}

#[test]
fn a_stale_key_touches_nobody() {
    let mut wheel = Wheel::new();
    let fired = wheel.insert(1, 'a');
    assert_eq!(expire(&mut wheel, 1), ['a']);
    assert_eq!(wheel.remove(fired), None);

    let removed = wheel.insert(2, 'b');
    assert_eq!(removed.index, fired.index, "the entry is used again");
    assert_eq!(wheel.get_mut(fired), None);
    assert_eq!(wheel.remove(fired), None);
    assert_eq!(wheel.get_mut(removed), Some(&mut 'b'));
    assert_eq!(wheel.remove(removed), Some('b'));
    assert_eq!(wheel.remove(removed), None);

    let third = wheel.insert(3, 'c');
    assert_eq!(wheel.get_mut(removed), None);
    assert_eq!(wheel.remove(removed), None);
    *wheel.get_mut(third).unwrap() = 'd';
    assert_eq!(expire(&mut wheel, 3), ['d']);
}

#[test]
fn a_timer_can_be_removed_at_each_step_on_its_way_down() {
    let deadline = 3 * (1 << 42) + 5 * (1 << 36) + 7 * (1 << 30) + 11 * (1 << 24) + 13 * TICK + 17;
    for remaining in [1 << 44, 1 << 40, 1 << 35, 1 << 29, 1 << 23, 1 << 17, 1] {
        let mut wheel = Wheel::new();
        let keys: Vec<Key> = (0..5u64).map(|n| wheel.insert(deadline + n % 2, n)).collect();
        expire(&mut wheel, deadline.saturating_sub(remaining));
        wheel.check();
        for n in [0, 3, 4] {
            assert_eq!(wheel.remove(keys[n as usize]), Some(n));
            wheel.check();
        }
        assert_eq!(wheel.next_deadline(), Some(deadline));
        assert_eq!(expire(&mut wheel, deadline + 1), [2, 1]);
        assert_eq!(wheel.len(), 0);
    }
}

#[test]
fn a_million_timers_of_one_tick_are_not_quadratic() {
    const COUNT: u64 = 1_000_000;
    let start = Instant::now();
    let mut random = Random(7);
    let mut wheel = Wheel::new();
    // In no order, disarmed from the earliest on, with the next deadline asked for each time.
    let mut keys: Vec<(u64, Key)> = Vec::new();
    for n in 0..COUNT {
        let deadline = 100 * TICK + random.below(TICK);
        keys.push((deadline, wheel.insert(deadline, n)));
    }
    keys.sort_by_key(|&(deadline, _)| deadline);
    for &(deadline, key) in &keys[..keys.len() / 2] {
        assert_eq!(wheel.next_deadline(), Some(deadline));
        wheel.remove(key);
    }
    // And fired, one nanosecond after the other.
    for now in 100 * TICK..101 * TICK {
        wheel.expire(now, |_| ());
    }
    assert!(wheel.is_empty());

    // The same deadline for all, fired at once.
    for n in 0..COUNT {
        wheel.insert(200 * TICK, n);
    }
    assert!(expire(&mut wheel, 200 * TICK).into_iter().eq(0..COUNT));
    // Quadratic would be hours, and this is minutes on a machine that is emulated.
    assert!(start.elapsed() < Duration::from_secs(600), "took {:?}", start.elapsed());
}

#[test]
fn an_empty_wheel_allocates_nothing_and_a_used_one_uses_its_entries_again() {
    let mut wheel = Wheel::new();
    expire(&mut wheel, 10 * TICK);
    assert_eq!((wheel.levels.capacity(), wheel.entries.capacity()), (0, 0));
    for round in 0..1000 {
        let keys = [wheel.insert(round * TICK, 'a'), wheel.insert(round * TICK + 5, 'b')];
        wheel.remove(keys[(round % 2) as usize]);
        expire(&mut wheel, round * TICK + 5);
    }
    assert_eq!(wheel.entries.len(), 2);
    assert!(size_of::<super::Level>() <= 520);
    assert!(size_of::<super::Entry<[usize; 2]>>() <= 48);
}

#[test]
fn a_near_deadline_takes_the_lowest_level_also_after_idle_years() {
    let mut wheel = Wheel::new();
    let now = 1 << 58;
    assert_eq!(expire(&mut wheel, now), []);
    wheel.insert(now + TICK, 'a');
    assert_eq!(wheel.levels.len(), 1);
}

#[test]
fn time_that_runs_backwards_fires_nothing_early_and_loses_nothing() {
    let mut wheel = Wheel::new();
    expire(&mut wheel, 100 * TICK);
    wheel.insert(50 * TICK, 'a');
    wheel.insert(101 * TICK, 'b');
    assert_eq!(expire(&mut wheel, 49 * TICK), []);
    assert_eq!(expire(&mut wheel, 50 * TICK), ['a']);
    wheel.check();
    assert_eq!(expire(&mut wheel, 101 * TICK), ['b']);
}

#[test]
fn a_panic_while_firing_leaves_the_others_armed() {
    let mut wheel = Wheel::new();
    for deadline in [3, 1, 2] {
        wheel.insert(deadline, deadline);
    }
    let panicked = catch_unwind(AssertUnwindSafe(|| wheel.expire(3, |n| assert_ne!(n, 2, "on purpose"))));
    assert!(panicked.is_err());
    wheel.check();
    assert_eq!(expire(&mut wheel, 3), [3]);
}

/// A wheel against a sorted map of (deadline, order of arrival), with all that can be asked of it.
fn behaves_as_the_model(seed: u64, span_bits: u64) {
    let mut random = Random(seed);
    let mut wheel = Wheel::new();
    let mut model = BTreeMap::new();
    let mut armed: Vec<(Key, (u64, u64))> = Vec::new();
    let mut stale = Vec::new();
    let mut now = random.magnitude(50);
    for id in 0..20_000u64 {
        match random.below(16) {
            0..8 => {
                // Coarse at times, so that deadlines are equal; in the past at times.
                let mut deadline = now.saturating_add(random.magnitude(span_bits));
                if random.below(2) == 0 {
                    deadline &= !0 << random.below(span_bits);
                }
                if random.below(16) == 0 {
                    deadline = now.saturating_sub(random.magnitude(30));
                }
                armed.push((wheel.insert(deadline, id), (deadline, id)));
                model.insert((deadline, id), ());
            }
            8..13 if !armed.is_empty() => {
                let (key, place) = armed.swap_remove(random.below(armed.len() as u64) as usize);
                let expected = model.remove(&place).map(|()| place.1);
                assert_eq!(wheel.get_mut(key).copied(), expected);
                assert_eq!(wheel.remove(key), expected);
                stale.push(key);
            }
            13 if !stale.is_empty() => {
                let key = stale[random.below(stale.len() as u64) as usize];
                assert_eq!(wheel.remove(key), None);
            }
            _ => {
                now = now.saturating_add(random.magnitude(span_bits) / 4);
                // At times exactly to the next deadline, or one before it.
                if let (0..4, Some((&(next, _), ()))) = (random.below(8), model.first_key_value()) {
                    now = now.max(next.saturating_sub(random.below(2)));
                }
                let mut expected = Vec::new();
                while let Some(entry) = model.first_entry().filter(|entry| entry.key().0 <= now) {
                    expected.push(entry.remove_entry().0.1);
                }
                assert_eq!(expire(&mut wheel, now), expected);
            }
        }
        assert_eq!(wheel.len(), model.len());
        if random.below(4) == 0 {
            assert_eq!(wheel.next_deadline(), model.first_key_value().map(|(place, ())| place.0));
        }
        if id % 64 == 0 {
            wheel.check();
        }
    }
    assert_eq!(expire(&mut wheel, u64::MAX), model.keys().map(|place| place.1).collect::<Vec<_>>());
}

#[test]
fn behaves_as_a_sorted_map_does() {
    for seed in 1..=4 {
        for span_bits in [10, 20, 26, 32, 40, 52, 63] {
            behaves_as_the_model(seed * 0x9e37_79b9, span_bits);
        }
    }
}
