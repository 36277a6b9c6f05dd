//! What debug mode says, kept until it is read out. It is told by a thread of its own, all of it before its loop has ended.

use std::sync::{Arc, Mutex, PoisonError};

use annulus::debug::Warning;

#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<Warning>>>);

impl Heard {
    /// For `Builder::on_warning`.
    pub(crate) fn listener(&self) -> impl Fn(&Warning) + Send + Sync + 'static {
        let heard = Arc::clone(&self.0);
        move |warning| heard.lock().unwrap_or_else(PoisonError::into_inner).push(warning.clone())
    }

    pub(crate) fn all(&self) -> Vec<Warning> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
