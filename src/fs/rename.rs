//! What is to become of what has the name.

use crate::sys::names::{EXCHANGE, NOREPLACE};

/// What is to become of a file whose name is given to another. See [`rename_with`](super::rename_with).
///
/// # Examples
/// As [`rename_with`](super::rename_with).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RenameFlags {
    /// It loses the name, as by [`rename`](super::rename).
    #[default]
    Replace,
    /// It keeps it: an error.
    NoReplace,
    /// It gets the other's. Both have to be there.
    Exchange,
}

impl RenameFlags {
    pub(super) fn bits(self) -> i32 {
        (match self {
            RenameFlags::Replace => 0,
            RenameFlags::NoReplace => NOREPLACE,
            RenameFlags::Exchange => EXCHANGE,
        }) as i32
    }
}
