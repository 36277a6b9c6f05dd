//! A descriptor for those who look from outside.

use super::{Descriptor, Shared};

impl Descriptor {
    /// What it is called there: a type's name, and of which kind that is. Nothing without the feature `tracing`.
    #[inline]
    pub(crate) fn seen_as(self, concrete_type: &'static str, kind: &'static str) -> Descriptor {
        #[cfg(feature = "tracing")]
        self.0.port.show_descriptor(self.0.number, concrete_type, kind);
        #[cfg(not(feature = "tracing"))]
        let _ = (concrete_type, kind);
        self
    }
}

impl Shared {
    /// The number is not this descriptor's any more.
    #[inline]
    pub(super) fn is_seen_no_more(&self) {
        #[cfg(feature = "tracing")]
        self.port.hide_descriptor(self.number);
    }
}
