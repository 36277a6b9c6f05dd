//! What all ends share: the value, and how often it was set.
//!
//! The value lies in an `Rc`: whoever looks has a share of it, so that nothing is borrowed while they do (I5). Where nobody looks
//! it is changed in place.

use std::cell::Cell;
use std::rc::Rc;

use crate::sync::ends::Ends;

pub(super) struct Shared<T> {
    /// Not there while it is changed in place.
    value: Cell<Option<Rc<T>>>,
    /// How often it was set.
    version: Cell<u64>,
    /// Receivers wait for a change.
    pub(super) ends: Ends,
}

const IN_PLACE: &str = "a watch's value was used by the function that changes it in place: \
     let `send_modify` end before the channel is used again";

const LOOKED_AT: &str = "a watch's value was to be changed in place while a `Ref` of it is held: \
     drop the `Ref` before, or set a new value by `send`";

/// The value that is changed in place goes back, also if that panics.
struct InPlace<'a, T> {
    shared: &'a Shared<T>,
    value: Option<Rc<T>>,
}

impl<T> Drop for InPlace<'_, T> {
    fn drop(&mut self) {
        self.shared.value.set(self.value.take());
    }
}

impl<T> Shared<T> {
    /// With one sender and no receiver.
    pub(super) fn new(value: T) -> Shared<T> {
        Shared { value: Cell::new(Some(Rc::new(value))), version: Cell::new(0), ends: Ends::new() }
    }

    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version.get()
    }

    /// A share of the value.
    #[track_caller]
    pub(super) fn value(&self) -> Rc<T> {
        let value = self.value.take();
        self.value.set(value.clone());
        value.expect(IN_PLACE)
    }

    /// Sets the value, elsewhere if somebody looks at the one before.
    #[track_caller]
    pub(super) fn set(&self, value: T) {
        let mut place = self.value.take().expect(IN_PLACE);
        // Dropped at the end, when all are told.
        let _before = match Rc::get_mut(&mut place) {
            Some(inside) => {
                let before = std::mem::replace(inside, value);
                self.value.set(Some(place));
                (Some(before), None)
            }
            None => {
                self.value.set(Some(Rc::new(value)));
                (None, Some(place))
            }
        };
        self.tell();
    }

    /// Lets `modify` change the value in place; it says whether it has.
    #[track_caller]
    pub(super) fn modify(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let mut value = InPlace { shared: self, value: self.value.take() };
        let inside = value.value.as_mut().expect(IN_PLACE);
        let has_changed = modify(Rc::get_mut(inside).expect(LOOKED_AT));
        drop(value);
        if has_changed {
            self.tell();
        }
        has_changed
    }

    fn tell(&self) {
        self.version.set(self.version.get() + 1);
        self.ends.waiting.call_all(());
    }
}
