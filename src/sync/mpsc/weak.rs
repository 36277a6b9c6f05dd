//! What keeps no channel open: a sender that has to ask for the channel first.

use std::fmt;
use std::rc::Rc;

use super::bounded::Sender;
use super::shared::Shared;

/// Does not keep its channel from ending. See [`Sender::downgrade`].
///
/// # Examples
/// As [`Sender::downgrade`].
pub struct WeakSender<T> {
    pub(super) shared: Rc<Shared<T>>,
}

impl<T> WeakSender<T> {
    /// A sender, unless all are gone.
    ///
    /// # Examples
    /// As [`Sender::downgrade`].
    pub fn upgrade(&self) -> Option<Sender<T>> {
        if self.shared.senders() == 0 {
            return None;
        }
        self.shared.add_sender();
        Some(Sender { shared: Rc::clone(&self.shared) })
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> WeakSender<T> {
        WeakSender { shared: Rc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender").field("channel", &self.shared).finish()
    }
}
