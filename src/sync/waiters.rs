//! Who waits, first come first served: one who waits alone, or a list through the entries of a table.
//!
//! Whoever waits owns their place until they leave. One who is called is unlinked, and finds in the place what they
//! were called for; so a future that is dropped can tell whether it has to pass that on. A place that is left is used
//! again: a steady coming and going allocates nothing, and leaving costs the same wherever one stands.
//!
//! Who finds nobody waiting takes the seat, which is no part of the table: that is the case in most programs most of the
//! time, and costs a third. Whoever waits in the seat came before all others.
//!
//! Nobody's code runs in here (I5): waiters are handed out, to be woken and dropped when nothing is borrowed.

use crate::executor::Waiter;

/// The seat, or an entry of the table, until its owner leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

/// `C` is what one can be called for, `W` what one waits for: the list only keeps it.
pub(super) struct Waiters<C, W = ()> {
    seat: Seat<C, W>,
    /// Who waits in the seat, if there is anybody to wake.
    seated: Option<Waiter>,
    /// Who has waited longest, and who came last, aside from the seat.
    first: u32,
    last: u32,
    /// An entry that nobody owns; from there to the next of them.
    free: u32,
    entries: Vec<Entry<C, W>>,
}

#[derive(Clone, Copy)]
enum Seat<C, W> {
    Free,
    Waiting(W),
    Called(C),
}

struct Entry<C, W> {
    /// None: nobody to wake yet, but the place counts.
    waiter: Option<Waiter>,
    before: u32,
    after: u32,
    /// None while linked.
    call: Option<C>,
    wish: W,
}

/// No entry.
const NONE: u32 = u32::MAX;
/// The place that is no entry.
const SEAT: Place = Place(NONE);

impl<C, W> Default for Waiters<C, W> {
    fn default() -> Waiters<C, W> {
        Waiters { seat: Seat::Free, seated: None, first: NONE, last: NONE, free: NONE, entries: Vec::new() }
    }
}

impl<C: Copy> Waiters<C> {
    /// Takes a place at the end.
    #[inline]
    pub(super) fn push(&mut self, waiter: Option<Waiter>) -> Place {
        self.push_for((), waiter)
    }
}

impl<C: Copy, W: Copy> Waiters<C, W> {
    /// Whether nobody waits to be called.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        !matches!(self.seat, Seat::Waiting(_)) && self.first == NONE
    }

    /// What the one who has waited longest waits for.
    #[inline]
    pub(super) fn first_wish(&self) -> Option<W> {
        match self.seat {
            Seat::Waiting(wish) => Some(wish),
            _ => self.entries.get(self.first as usize).map(|entry| entry.wish),
        }
    }

    /// Takes a place at the end, and says what for.
    #[inline]
    pub(super) fn push_for(&mut self, wish: W, waiter: Option<Waiter>) -> Place {
        if matches!(self.seat, Seat::Free) && self.first == NONE {
            self.seat = Seat::Waiting(wish);
            self.seated = waiter;
            return SEAT;
        }
        self.push_entry(wish, waiter)
    }

    #[inline(never)]
    fn push_entry(&mut self, wish: W, waiter: Option<Waiter>) -> Place {
        let before = self.last;
        let place = match self.entries.get_mut(self.free as usize) {
            Some(entry) => {
                let place = std::mem::replace(&mut self.free, entry.after);
                entry.waiter = waiter;
                entry.before = before;
                entry.after = NONE;
                entry.call = None;
                entry.wish = wish;
                place
            }
            None => self.grow(Entry { waiter, before, after: NONE, call: None, wish }),
        };
        self.last = place;
        match self.entries.get_mut(before as usize) {
            Some(before) => before.after = place,
            None => self.first = place,
        }
        Place(place)
    }

    #[cold]
    fn grow(&mut self, entry: Entry<C, W>) -> u32 {
        let place = u32::try_from(self.entries.len()).ok().filter(|place| *place != NONE);
        self.entries.push(entry);
        place.expect("more than 2^32 futures wait")
    }

    /// Calls the one who has waited longest, and says whom to wake. Nobody is called where nobody waits.
    #[inline]
    pub(super) fn call_first(&mut self, call: C) -> Option<Waiter> {
        match self.seat {
            Seat::Waiting(_) => self.call_seated(call),
            _ => self.call_entry(self.first, call),
        }
    }

    /// As `call_first`, for the one who came last.
    pub(super) fn call_last(&mut self, call: C) -> Option<Waiter> {
        match self.first {
            NONE => self.call_first(call),
            _ => self.call_entry(self.last, call),
        }
    }

    /// Calls all who wait now. `wake` is given whom to wake, while this is borrowed.
    pub(super) fn call_all(&mut self, call: C, mut wake: impl FnMut(Waiter)) {
        while !self.is_empty() {
            self.call_first(call).into_iter().for_each(&mut wake);
        }
    }

    #[inline]
    fn call_seated(&mut self, call: C) -> Option<Waiter> {
        self.seat = Seat::Called(call);
        self.seated.take()
    }

    #[inline(never)]
    fn call_entry(&mut self, place: u32, call: C) -> Option<Waiter> {
        let entry = self.entries.get_mut(place as usize)?;
        entry.call = Some(call);
        let waiter = entry.waiter.take();
        let (before, after) = (entry.before, entry.after);
        self.unlink(before, after);
        waiter
    }

    /// What the owner of the place was called for.
    #[inline]
    pub(super) fn called(&self, place: Place) -> Option<C> {
        match (place, self.seat) {
            (SEAT, Seat::Called(call)) => Some(call),
            (SEAT, _) => None,
            (Place(entry), _) => self.entries[entry as usize].call,
        }
    }

    /// Somebody else is to be woken from now on, unless the owner has been called: then that is said. What is given back
    /// is to be dropped.
    pub(super) fn renew(&mut self, place: Place, waiter: Waiter) -> (Option<C>, Option<Waiter>) {
        if let Some(call) = self.called(place) {
            return (Some(call), Some(waiter));
        }
        let before = match place {
            SEAT => &mut self.seated,
            Place(entry) => &mut self.entries[entry as usize].waiter,
        };
        (None, before.replace(waiter))
    }

    /// Gives the place back. What is left of it: what the owner was called for, and a waiter to be dropped.
    #[inline]
    pub(super) fn leave(&mut self, place: Place) -> (Option<C>, Option<Waiter>) {
        if place != SEAT {
            return self.leave_entry(place.0);
        }
        let called = self.called(place);
        self.seat = Seat::Free;
        (called, self.seated.take())
    }

    #[inline(never)]
    fn leave_entry(&mut self, place: u32) -> (Option<C>, Option<Waiter>) {
        let entry = &mut self.entries[place as usize];
        let left = (entry.call, entry.waiter.take());
        let (before, after) = (entry.before, entry.after);
        entry.after = std::mem::replace(&mut self.free, place);
        if left.0.is_none() {
            self.unlink(before, after);
        }
        left
    }

    fn unlink(&mut self, before: u32, after: u32) {
        match self.entries.get_mut(before as usize) {
            Some(before) => before.after = after,
            None => self.first = after,
        }
        match self.entries.get_mut(after as usize) {
            Some(after) => after.before = before,
            None => self.last = before,
        }
    }
}
