//! What threads share things by: the standard library's atomics, locks and threads; and the cell for what is next to
//! such things and must not be shared.
//!
//! In the models (`RUSTFLAGS="--cfg annulus_loom"`, see CONTRIBUTING.md) the same names are loom's, which runs a
//! test once for each order in which its threads could go on, and for each value that a load could see. The cfg has
//! a name of our own because tokio and others change at `loom`, and then do not compile here.

#[cfg(not(all(test, annulus_loom)))]
mod chosen {
    pub(crate) use std::cell::Cell;
    pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard, atomic};
    pub(crate) use std::thread;

    /// A static of one of these types.
    macro_rules! shared {
        (static $name:ident: $type:ty = $value:expr;) => {
            static $name: $type = $value;
        };
    }
    pub(crate) use shared;
}

#[cfg(all(test, annulus_loom))]
mod chosen {
    use std::sync::LockResult;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    pub(crate) use loom::cell::Cell;
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
    pub(crate) use loom::thread;

    pub(crate) mod atomic {
        use std::ops::{Deref, DerefMut};

        use loom::sync::atomic as loom;
        pub(crate) use loom::{Ordering, fence};

        /// Loom's atomic, whose loads loom remembers. Of several loads it knows only the last: where thread A loads, B
        /// loads and B stores, it does not try that B stores before A loads (0.7.3). So each load is announced by a
        /// change of something, which it tries in all orders; being relaxed, that orders nothing for the threads.
        #[derive(Debug)]
        pub(crate) struct Announced<A> {
            atomic: A,
            loads: loom::AtomicUsize,
        }

        pub(crate) type AtomicBool = Announced<loom::AtomicBool>;
        pub(crate) type AtomicUsize = Announced<loom::AtomicUsize>;
        pub(crate) type AtomicPtr<T> = Announced<loom::AtomicPtr<T>>;

        macro_rules! announce {
            ($([$($generic:ident)?] $atomic:ty, $value:ty;)*) => {$(
                impl$(<$generic>)? Announced<$atomic> {
                    pub(crate) fn new(value: $value) -> Self {
                        Announced { atomic: <$atomic>::new(value), loads: loom::AtomicUsize::new(0) }
                    }

                    pub(crate) fn load(&self, ordering: Ordering) -> $value {
                        self.loads.fetch_add(1, Ordering::Relaxed);
                        self.atomic.load(ordering)
                    }
                }
            )*};
        }

        announce! {
            [] loom::AtomicBool, bool;
            [] loom::AtomicUsize, usize;
            [T] loom::AtomicPtr<T>, *mut T;
        }

        impl<A> Deref for Announced<A> {
            type Target = A;

            fn deref(&self) -> &A {
                &self.atomic
            }
        }

        impl<A> DerefMut for Announced<A> {
            fn deref_mut(&mut self) -> &mut A {
                &mut self.atomic
            }
        }
    }

    /// One for each run of a model.
    macro_rules! shared {
        (static $name:ident: $type:ty = $value:expr;) => {
            loom::lazy_static! { static ref $name: $type = $value; }
        };
    }
    pub(crate) use shared;

    /// Loom's, but with an end of the time: loom's own waits for ever. When it comes, the model says.
    #[derive(Default)]
    pub(crate) struct Condvar {
        condvar: loom::sync::Condvar,
        expired: AtomicBool,
    }

    pub(crate) struct TimedOut(bool);

    impl Condvar {
        pub(crate) fn new() -> Condvar {
            Condvar::default()
        }

        pub(crate) fn notify_one(&self) {
            self.condvar.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.condvar.notify_all();
        }

        pub(crate) fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            _: Duration,
        ) -> LockResult<(MutexGuard<'a, T>, TimedOut)> {
            let guard = self.condvar.wait(guard).expect("nothing panics in a model that holds");
            Ok((guard, TimedOut(self.expired.load(Ordering::Relaxed))))
        }

        /// The time of those who wait now is over, and of those who wait later once they are notified.
        pub(crate) fn expire(&self) {
            self.expired.store(true, Ordering::Relaxed);
            self.condvar.notify_all();
        }
    }

    impl TimedOut {
        pub(crate) fn timed_out(&self) -> bool {
            self.0
        }
    }
}

pub(crate) use chosen::*;
