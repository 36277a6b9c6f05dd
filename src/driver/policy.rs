//! Whether it pays to send from a socket without copying: what the user says, and what the kernel says of it afterwards.

use std::cell::Cell;

/// Which buffers [`write_zc`](crate::net::Stream::write_zc) and [`write_all_zc`](crate::net::Stream::write_all_zc) send
/// without copying.
///
/// # Examples
/// As [`Stream::set_zero_copy`](crate::net::Stream::set_zero_copy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeroCopy {
    /// None.
    Off,
    /// Those of `threshold` bytes or more. When the kernel says that it copied one after all, as it does on loopback and
    /// where the network card cannot gather, this becomes `Off` by itself.
    Auto {
        /// In bytes.
        threshold: usize,
    },
    /// All, whatever the kernel makes of them.
    Always,
}

/// From about 10 KiB on it pays by what the kernel's documentation says, msg_zerocopy: the smaller ones are cheaper to copy than
/// to pin and to tell of.
impl Default for ZeroCopy {
    fn default() -> ZeroCopy {
        ZeroCopy::Auto { threshold: 16 << 10 }
    }
}

/// The policy of one socket, in four bytes.
pub(crate) struct Policy(Cell<u32>);

const OFF: u32 = u32::MAX;
const ALWAYS: u32 = 0;

impl Default for Policy {
    fn default() -> Policy {
        let policy = Policy(Cell::new(OFF));
        policy.set(ZeroCopy::default());
        policy
    }
}

impl Policy {
    pub(crate) fn set(&self, zero_copy: ZeroCopy) {
        self.0.set(match zero_copy {
            ZeroCopy::Off => OFF,
            ZeroCopy::Auto { threshold } => u32::try_from(threshold).unwrap_or(OFF).max(1),
            ZeroCopy::Always => ALWAYS,
        });
    }

    pub(crate) fn get(&self) -> ZeroCopy {
        match self.0.get() {
            OFF => ZeroCopy::Off,
            ALWAYS => ZeroCopy::Always,
            threshold => ZeroCopy::Auto { threshold: threshold as usize },
        }
    }

    /// Whether so many bytes are to be sent without copying.
    pub(crate) fn pays(&self, bytes: usize) -> bool {
        self.0.get() != OFF && bytes >= self.0.get() as usize
    }

    /// The kernel has copied all the same.
    pub(crate) fn was_in_vain(&self) {
        if self.0.get() != ALWAYS {
            self.0.set(OFF);
        }
    }

    /// This socket, or this kernel, cannot do it.
    pub(crate) fn is_impossible(&self) {
        self.0.set(OFF);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_in_vain_is_not_tried_again_unless_asked_for() {
        let policy = Policy::default();
        assert!(!policy.pays(16383) && policy.pays(16384));
        policy.was_in_vain();
        assert_eq!((policy.get(), policy.pays(1 << 30)), (ZeroCopy::Off, false));
        policy.set(ZeroCopy::Always);
        policy.was_in_vain();
        assert!(policy.pays(1));
        for zero_copy in [ZeroCopy::Off, ZeroCopy::Always, ZeroCopy::Auto { threshold: 7 }] {
            policy.set(zero_copy);
            assert_eq!(policy.get(), zero_copy);
        }
    }
}
