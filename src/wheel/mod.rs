//! Timers: who waits for which nanosecond. It knows no clock; whoever holds it says what time it is.
//!
//! Eight levels of 64 slots. A slot of level 0 spans a tick (2^18 ns, about a quarter of a millisecond), a slot of
//! each further level as much as the whole level below, so the topmost reaches beyond `u64::MAX` ns. The wheel
//! stands at a tick, and a timer goes to the level of the highest digit (6 bits) in which its tick differs from
//! that, into the slot that this digit names. Three rules, each kept by every method:
//!
//! 1. *A timer is where its deadline and the wheel's tick say it is.* So all timers of a level are due before all
//!    timers of the levels above, and all of a slot before all of the later slots: the earliest slot is the first
//!    bit that is set. A timer for a tick that has passed is in the slot at which the wheel stands.
//! 2. *Equal deadlines keep the order in which they came*, in whatever order the rest of their slot is.
//! 3. *A slot says how much order it is in* ([`Order`]). Arming and disarming never sort: a slot is sorted when it
//!    is the earliest and somebody asks for its first deadline. Timers of one duration come in order anyway.
//!
//! The tick decides only the place. Deadlines are exact, and compared as such before anything fires.

#[cfg(test)]
mod tests;

/// A slot of level 0 spans 2^18 ns: a timeout of seconds is carried down two or three times if it lives so long,
/// and few timers share a slot by chance.
const TICK_BITS: u32 = 18;
const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
/// No timer, in a link.
const NONE: u32 = u32::MAX;

/// A timer that was armed. Once it has fired or was removed, its key finds nothing, whoever has the entry now
/// (until an entry was used 2^32 times).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

/// What is known of the deadlines in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// None is earlier than the one in front of it.
    Sorted,
    /// The first is the earliest, and the first to have come of those that are equally early.
    FirstLeast,
    /// Nothing but rule 2.
    Unknown,
}

/// A ring of timers, linked through their entries: the last is the one in front of the first.
#[derive(Clone, Copy)]
struct Slot {
    first: u32,
    order: Order,
}

struct Level {
    /// A bit for each slot that is not empty.
    occupied: u64,
    slots: [Slot; SLOTS],
}

struct Entry<W> {
    deadline_ns: u64,
    before: u32,
    /// In a free entry: the next free one.
    after: u32,
    generation: u32,
    level: u8,
    slot: u8,
    /// None while the entry is free.
    waiter: Option<W>,
}

/// The timers of one loop; `W` is who waits. It allocates nothing while it is empty from the start, and keeps the
/// entries that it has had for the next timers.
pub(crate) struct Wheel<W> {
    /// Where the wheel stands. No timer that is armed has been passed by it, except those that were late already.
    tick: u64,
    /// A bit for each level that has an occupied slot.
    occupied: u8,
    /// As many as were ever needed.
    levels: Vec<Level>,
    entries: Vec<Entry<W>>,
    free: u32,
    len: usize,
}

impl<W> Wheel<W> {
    pub(crate) fn new() -> Self {
        Wheel { tick: 0, occupied: 0, levels: Vec::new(), entries: Vec::new(), free: NONE, len: 0 }
    }

    /// Arms a timer for `deadline_ns`; if that has passed, it fires at the next `expire`.
    #[inline]
    pub(crate) fn insert(&mut self, deadline_ns: u64, waiter: W) -> Key {
        let index = self.free;
        let (index, generation) = match self.entries.get_mut(index as usize) {
            Some(entry) => {
                self.free = entry.after;
                entry.deadline_ns = deadline_ns;
                entry.waiter = Some(waiter);
                (index, entry.generation)
            }
            None => (self.grow(deadline_ns, waiter), 0),
        };
        self.link(index, deadline_ns);
        self.len += 1;
        Key { index, generation }
    }

    /// Disarms a timer. None when it has fired or was removed already.
    #[inline]
    pub(crate) fn remove(&mut self, key: Key) -> Option<W> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation != key.generation {
            return None;
        }
        // A free entry has a generation that no key has yet: this is always someone.
        let waiter = entry.waiter.take()?;
        self.unlink(key.index);
        Some(waiter)
    }

    /// Who waits, so that somebody else can take the place. None when it has fired or was removed already.
    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut W> {
        let entry = self.entries.get_mut(key.index as usize)?;
        if entry.generation == key.generation { entry.waiter.as_mut() } else { None }
    }

    /// All that are armed, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &W)> {
        self.entries.iter().filter_map(|entry| Some((entry.deadline_ns, entry.waiter.as_ref()?)))
    }

    /// The earliest deadline, exactly. Cheap unless the earliest slot has to be sorted first.
    #[inline]
    pub(crate) fn next_deadline(&mut self) -> Option<u64> {
        let (level, slot) = self.earliest()?;
        let first = self.first_of(level, slot);
        Some(self.entries[first as usize].deadline_ns)
    }

    /// Hands over who waits for a deadline of at most `now_ns`, in the order of the deadlines, and those of equal
    /// deadlines in the order in which they came. Time that runs backwards does no harm.
    ///
    /// Should `fired` panic, the timers not yet handed over stay armed.
    pub(crate) fn expire(&mut self, now_ns: u64, mut fired: impl FnMut(W)) {
        let now_tick = now_ns >> TICK_BITS;
        while let Some((level, slot)) = self.earliest() {
            if level == 0 {
                let first = self.first_of(level, slot);
                let entry = &mut self.entries[first as usize];
                if entry.deadline_ns > now_ns {
                    break;
                }
                let waiter = entry.waiter.take();
                // Before the call, which may panic.
                self.unlink(first);
                if let Some(waiter) = waiter {
                    fired(waiter);
                }
            } else {
                let above = DIGIT_BITS * (level as u32 + 1);
                let start = self.tick >> above << above | (slot as u64) << (above - DIGIT_BITS);
                if start > now_tick {
                    break;
                }
                self.tick = start;
                self.carry_down(level, slot);
            }
        }
        // What is left begins at this tick or later, so no timer changes its place (rule 1).
        self.tick = self.tick.max(now_tick);
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[cold]
    fn grow(&mut self, deadline_ns: u64, waiter: W) -> u32 {
        let index = self.entries.len();
        assert!(index < NONE as usize, "a wheel holds at most 2^32 - 1 timers at a time");
        let waiter = Some(waiter);
        let (before, after) = (NONE, NONE);
        self.entries.push(Entry { deadline_ns, before, after, generation: 0, level: 0, slot: 0, waiter });
        index as u32
    }

    /// The slot of the earliest timers.
    #[inline]
    fn earliest(&self) -> Option<(usize, usize)> {
        if self.occupied == 0 {
            return None;
        }
        let level = self.occupied.trailing_zeros() as usize;
        Some((level, self.levels[level].occupied.trailing_zeros() as usize))
    }

    /// Puts an entry into the slot where it belongs (rule 1).
    #[inline]
    fn link(&mut self, index: u32, deadline_ns: u64) {
        let tick = (deadline_ns >> TICK_BITS).max(self.tick);
        // The lowest digit counts as different, so that an equal tick is in level 0.
        let highest_bit = ((tick ^ self.tick) | (SLOTS as u64 - 1)).ilog2();
        let level = (highest_bit / DIGIT_BITS) as usize;
        let number = (tick >> (DIGIT_BITS * level as u32)) as usize % SLOTS;
        if level >= self.levels.len() {
            self.add_levels(level);
        }
        let wheel = &mut self.levels[level];
        let slot = &mut wheel.slots[number];

        let (before, after);
        if wheel.occupied & 1 << number == 0 {
            wheel.occupied |= 1 << number;
            self.occupied |= 1 << level;
            *slot = Slot { first: index, order: Order::Sorted };
            (before, after) = (index, index);
        } else {
            after = slot.first;
            let first = &mut self.entries[after as usize];
            before = std::mem::replace(&mut first.before, index);
            let first_ns = first.deadline_ns;
            let last = &mut self.entries[before as usize];
            last.after = index;
            let last_ns = last.deadline_ns;
            // The end of a ring is also its beginning: where it begins is for `first` to say.
            if slot.order != Order::Unknown && deadline_ns < first_ns {
                slot.first = index;
            } else if slot.order == Order::Sorted && deadline_ns < last_ns {
                slot.order = Order::FirstLeast;
            }
        }
        let entry = &mut self.entries[index as usize];
        entry.before = before;
        entry.after = after;
        entry.level = level as u8;
        entry.slot = number as u8;
    }

    #[cold]
    fn add_levels(&mut self, level: usize) {
        let empty = Slot { first: NONE, order: Order::Sorted };
        self.levels.resize_with(level + 1, || Level { occupied: 0, slots: [empty; SLOTS] });
    }

    /// Takes an entry, whose waiter has left, out of its slot and makes it free. Its keys are stale from here on.
    #[inline]
    fn unlink(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        let (before, after) = (entry.before, entry.after);
        let (level, number) = (entry.level as usize, entry.slot as usize);
        entry.generation = entry.generation.wrapping_add(1);
        entry.after = self.free;
        self.free = index;
        self.len -= 1;

        let wheel = &mut self.levels[level];
        if after == index {
            wheel.occupied &= !(1 << number);
            if wheel.occupied == 0 {
                self.occupied &= !(1 << level);
            }
            return;
        }
        let slot = &mut wheel.slots[number];
        if slot.first == index {
            slot.first = after;
            if slot.order == Order::FirstLeast {
                slot.order = Order::Unknown;
            }
        }
        self.entries[before as usize].after = after;
        self.entries[after as usize].before = before;
    }

    /// The earliest timer of an occupied slot.
    #[inline]
    fn first_of(&mut self, level: usize, slot: usize) -> u32 {
        if self.levels[level].slots[slot].order == Order::Unknown {
            self.sort(level, slot);
        }
        self.levels[level].slots[slot].first
    }

    /// Sorting, rather than looking for the least: a slot that lost its first timer is likely to lose the next one
    /// as well, and looking each time would be quadratic. Of what is nearly sorted, the sort makes one pass.
    #[cold]
    fn sort(&mut self, level: usize, slot: usize) {
        let slot = &mut self.levels[level].slots[slot];
        let mut timers = Vec::new();
        let mut index = slot.first;
        loop {
            let entry = &self.entries[index as usize];
            timers.push((entry.deadline_ns, index));
            index = entry.after;
            if index == slot.first {
                break;
            }
        }
        timers.sort_by_key(|&(deadline_ns, _)| deadline_ns); // stable: rule 2

        let mut before = timers.last().map_or(NONE, |&(_, index)| index);
        slot.first = timers.first().map_or(NONE, |&(_, index)| index);
        slot.order = Order::Sorted;
        for (_, index) in timers {
            self.entries[before as usize].after = index;
            self.entries[index as usize].before = before;
            before = index;
        }
    }

    /// Spreads a slot, at whose beginning the wheel stands now, over the levels below, which are empty.
    fn carry_down(&mut self, level: usize, slot: usize) {
        let wheel = &mut self.levels[level];
        wheel.occupied &= !(1 << slot);
        if wheel.occupied == 0 {
            self.occupied &= !(1 << level);
        }
        let first = wheel.slots[slot].first;
        let last = self.entries[first as usize].before;
        let mut index = first;
        loop {
            // Read before it is linked elsewhere.
            let entry = &self.entries[index as usize];
            let (deadline_ns, after) = (entry.deadline_ns, entry.after);
            self.link(index, deadline_ns);
            if index == last {
                break;
            }
            index = after;
        }
    }
}
