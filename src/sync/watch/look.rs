//! A look at the value.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;

/// A look at the value of a moment. See [`Receiver::borrow`](super::Receiver::borrow).
///
/// # Examples
/// As [`Sender::new`](super::Sender::new).
pub struct Ref<'a, T> {
    value: Rc<T>,
    has_changed: bool,
    /// As in tokio, where it is a lock.
    _channel: PhantomData<&'a T>,
}

impl<T> Ref<'_, T> {
    #[inline]
    pub(super) fn new(value: Rc<T>, has_changed: bool) -> Self {
        Ref { value, has_changed, _channel: PhantomData }
    }

    /// Whether the receiver had not seen it before. A sender has always seen it.
    ///
    /// ```
    /// let (sender, mut receiver) = annulus::sync::watch::channel(1);
    /// assert!(!receiver.borrow().has_changed());
    /// sender.send(2).unwrap();
    /// assert!(receiver.borrow_and_update().has_changed());
    /// assert!(!receiver.borrow_and_update().has_changed());
    /// ```
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
