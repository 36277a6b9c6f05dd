//! How a form is written: on one screen, beside its operation.

#[cfg(annulus_uring)]
use super::RingForm;
use super::{Brings, Form, Kind, Lends, Request, Wait};
#[cfg(feature = "sim")]
use crate::driver::Kernel;

/// Writes a [`Form`]: the operation's name, where it waits, its ring entry, its one system call, and the same call of
/// a simulated system.
///
/// `entry` is `|request| opcode::...`, with the names of `io_uring::{opcode, types}` at hand, or `none`. `registered` is the
/// same of memory that the ring knows, by the number that is at hand then.
/// `attempt` and `simulated` run while the operation is in flight: it owns what the request points to, and the
/// descriptor is open.
macro_rules! form {
    (name: $name:literal, wait: $wait:ident, entry: none, $($calls:tt)*) => {
        $crate::driver::operation::form!(@written $name, $wait, None, $($calls)*)
    };
    (
        name: $name:literal, wait: $wait:ident, code: $code:ident,
        entry: |$a:ident| $entry:expr, flags: $flags:ident, $($calls:tt)*
    ) => {
        $crate::driver::operation::form!(
            @written $name, $wait,
            {
                use io_uring::{opcode, types};
                fn entry($a: &$crate::driver::Request) -> io_uring::squeue::Entry {
                    $entry.build().flags(io_uring::squeue::Flags::$flags)
                }
                Some($crate::driver::operation::RingForm { code: opcode::$code::CODE, entry })
            },
            $($calls)*
        )
    };
    (
        name: $name:literal, wait: $wait:ident, code: $code:ident,
        entry: |$a:ident| $entry:expr, registered: |$place:ident| $registered:expr, $($calls:tt)*
    ) => {
        $crate::driver::operation::form!(
            @written $name, $wait,
            {
                use io_uring::{opcode, types};
                #[inline]
                fn entry($a: &$crate::driver::Request) -> io_uring::squeue::Entry {
                    match $a.flags {
                        0 => $entry.build(),
                        known_as => {
                            let $place = (known_as - 1) as u16;
                            $registered.build()
                        }
                    }
                }
                Some($crate::driver::operation::RingForm { code: opcode::$code::CODE, entry })
            },
            $($calls)*
        )
    };
    (name: $name:literal, wait: $wait:ident, code: $code:ident, entry: |$a:ident| $entry:expr, $($calls:tt)*) => {
        $crate::driver::operation::form!(
            @written $name, $wait,
            {
                #[allow(unused_imports)]
                use io_uring::{opcode, types};
                #[inline]
                fn entry($a: &$crate::driver::Request) -> io_uring::squeue::Entry {
                    $entry.build()
                }
                Some($crate::driver::operation::RingForm { code: opcode::$code::CODE, entry })
            },
            $($calls)*
        )
    };
    (
        @written $name:literal, $wait:ident, $ring:expr,
        attempt: |$b:ident| $attempt:expr,
        simulated: |$c:ident, $kernel:ident| $simulated:expr $(,)?
    ) => {
        $crate::driver::operation::Form::written(
            $name,
            $crate::driver::Wait::$wait,
            #[cfg(annulus_uring)]
            $ring,
            {
                /// # Safety
                /// `Request::attempt`'s.
                #[allow(unsafe_code)]
                unsafe fn attempt($b: &$crate::driver::Request) -> i32 {
                    $attempt
                }
                attempt
            },
            #[cfg(feature = "sim")]
            {
                /// # Safety
                /// `Request::attempt`'s.
                #[allow(unsafe_code)]
                unsafe fn simulated($c: &$crate::driver::Request, $kernel: &mut $crate::driver::Kernel<'_>) -> i32 {
                    $simulated
                }
                simulated
            },
        )
    };
}
pub(crate) use form;

impl Form {
    /// The ring's code for it, if it has a ring form.
    pub(crate) fn code(&self) -> Option<u8> {
        #[cfg(annulus_uring)]
        return self.entry.as_ref().map(|ring| ring.code);
        #[cfg(not(annulus_uring))]
        None
    }

    /// For the macro above.
    pub(crate) const fn written(
        name: &'static str,
        wait: Wait,
        #[cfg(annulus_uring)] entry: Option<RingForm>,
        attempt: unsafe fn(&Request) -> i32,
        #[cfg(feature = "sim")] simulated: unsafe fn(&Request, &mut Kernel<'_>) -> i32,
    ) -> Form {
        Form {
            name,
            kind: Kind::of(name),
            wait,
            lends: Lends::Nothing,
            picks: false,
            repeats: false,
            releases_later: false,
            empties: false,
            #[cfg(annulus_uring)]
            entry,
            brings: Brings::Nothing,
            by_number: false,
            attempt,
            attempt_at_once: None,
            #[cfg(feature = "sim")]
            simulated,
        }
    }

    /// Of an operation that may be done without a helper, if nothing has to be waited for.
    pub(crate) const fn trying_at_once(mut self, attempt: unsafe fn(&Request) -> i32) -> Form {
        self.attempt_at_once = Some(attempt);
        self
    }

    /// The same operation on what has readiness, so that it needs no helper.
    pub(crate) const fn waiting(mut self, wait: Wait) -> Form {
        self.wait = wait;
        self.attempt_at_once = None;
        self
    }

    /// Of an operation that brings what may be kept in the ring's own table.
    pub(crate) const fn bringing(mut self, brings: Brings) -> Form {
        self.brings = brings;
        self
    }

    /// Of an operation whose entry wants the process's number.
    pub(crate) const fn by_number(mut self) -> Form {
        self.by_number = true;
        self
    }

    /// Of an operation that is answered into a buffer of the pool. `code` says of it whether the ring can do that.
    pub(crate) const fn picking(mut self, code: u8) -> Form {
        self.picks = true;
        self.known_by(code)
    }

    /// Of an operation that may be answered several times. `code` says of it whether the ring can do that.
    pub(crate) const fn repeating(mut self, code: u8) -> Form {
        self.repeats = true;
        self.known_by(code)
    }

    #[cfg_attr(not(annulus_uring), allow(unused_mut, unused_variables, reason = "only a ring knows codes"))]
    const fn known_by(mut self, code: u8) -> Form {
        #[cfg(annulus_uring)]
        if let Some(ring) = &mut self.entry {
            ring.code = code;
        }
        self
    }

    /// Of an operation that takes all that has come, if there is room for it.
    pub(crate) const fn emptying(mut self) -> Form {
        self.empties = true;
        self
    }

    pub(crate) const fn releasing_later(mut self) -> Form {
        self.releases_later = true;
        self
    }

    /// Of an operation that lends memory.
    pub(crate) const fn lending(mut self, lends: Lends) -> Form {
        self.lends = lends;
        self
    }
}
