//! Permits that are out, and why there are none.

use std::error::Error;
use std::fmt;
use std::rc::Rc;

use super::Semaphore;
use crate::sync::permits::NoPermits;

/// Permits of a [`Semaphore`]; dropped, they are given back.
///
/// # Examples
/// As [`Semaphore`].
#[must_use = "the permit is given back as soon as it is dropped"]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    permits: u32,
}

/// As [`SemaphorePermit`], with its part of the semaphore. See [`Semaphore::acquire_owned`].
///
/// # Examples
/// As [`Semaphore::acquire_owned`].
#[must_use = "the permit is given back as soon as it is dropped"]
pub struct OwnedSemaphorePermit {
    semaphore: Rc<Semaphore>,
    permits: u32,
}

impl<'a> SemaphorePermit<'a> {
    #[inline]
    pub(super) fn new(semaphore: &'a Semaphore, permits: u32) -> SemaphorePermit<'a> {
        SemaphorePermit { semaphore, permits }
    }
}

impl OwnedSemaphorePermit {
    #[inline]
    pub(super) fn new(semaphore: Rc<Semaphore>, permits: u32) -> OwnedSemaphorePermit {
        OwnedSemaphorePermit { semaphore, permits }
    }

    /// The semaphore that the permits are of.
    ///
    /// # Examples
    /// ```
    /// use std::rc::Rc;
    /// use annulus::sync::Semaphore;
    ///
    /// let seats = Rc::new(Semaphore::new(1));
    /// let seat = seats.clone().try_acquire_owned().unwrap();
    /// assert!(Rc::ptr_eq(seat.semaphore(), &seats));
    /// ```
    pub fn semaphore(&self) -> &Rc<Semaphore> {
        &self.semaphore
    }
}

/// What both kinds of permit do alike.
macro_rules! permit {
    ($($permit:tt)*) => {
        impl $($permit)* {
            /// Never gives the permits back: the semaphore has so many fewer from now on.
            ///
            /// ```
            /// let semaphore = annulus::sync::Semaphore::new(2);
            /// semaphore.try_acquire().unwrap().forget();
            /// assert_eq!(semaphore.available_permits(), 1);
            /// ```
            pub fn forget(mut self) {
                self.permits = 0;
            }

            /// Makes one permit of two.
            ///
            /// # Panics
            /// If they are of different semaphores, or more together than 2^32 - 1.
            ///
            /// # Examples
            /// ```
            /// use annulus::sync::Semaphore;
            ///
            /// let seats = Semaphore::new(3);
            /// let mut all = seats.try_acquire().unwrap();
            /// all.merge(seats.try_acquire_many(2).unwrap());
            /// assert_eq!(all.num_permits(), 3);
            /// ```
            #[track_caller]
            pub fn merge(&mut self, mut other: Self) {
                let (ours, theirs): (&Semaphore, &Semaphore) = (&self.semaphore, &other.semaphore);
                assert!(std::ptr::eq(ours, theirs), "only permits of the same semaphore can be merged");
                let sum = self.permits.checked_add(other.permits);
                self.permits = sum.expect("a permit is 2^32 - 1 at most: keep these apart");
                other.permits = 0;
            }

            /// So many of the permits by themselves; None if there are not so many.
            ///
            /// ```
            /// let semaphore = annulus::sync::Semaphore::new(3);
            /// let mut permit = semaphore.try_acquire_many(3).unwrap();
            /// let two = permit.split(2).unwrap();
            /// assert!(permit.split(2).is_none());
            /// drop(two);
            /// assert_eq!(semaphore.available_permits(), 2);
            /// ```
            pub fn split(&mut self, count: u32) -> Option<Self> {
                self.permits = self.permits.checked_sub(count)?;
                Some(Self { semaphore: self.semaphore.clone(), permits: count })
            }

            /// How many they are.
            ///
            /// # Examples
            /// As [`merge`](Self::merge).
            pub fn num_permits(&self) -> usize {
                self.permits as usize
            }
        }

        impl Drop for $($permit)* {
            #[inline]
            fn drop(&mut self) {
                self.semaphore.permits.give(self.permits as usize);
            }
        }

        impl fmt::Debug for $($permit)* {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($($permit)*)).field("permits", &self.permits).finish_non_exhaustive()
            }
        }
    };
}

permit!(SemaphorePermit<'_>);
permit!(OwnedSemaphorePermit);

/// The semaphore was closed.
///
/// # Examples
/// As [`Semaphore::close`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcquireError(());

impl AcquireError {
    pub(super) fn new() -> AcquireError {
        AcquireError(())
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CLOSED)
    }
}

impl Error for AcquireError {}

const CLOSED: &str = "the semaphore gives out no more permits: it was closed";

/// Why [`Semaphore::try_acquire`] gave no permit.
///
/// # Examples
/// ```
/// use annulus::sync::{Semaphore, TryAcquireError};
///
/// let none = Semaphore::new(0);
/// assert_eq!(none.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
/// none.close();
/// assert_eq!(none.try_acquire().unwrap_err(), TryAcquireError::Closed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// It was closed.
    Closed,
    /// Not so many are free, or others wait for them.
    NoPermits,
}

impl From<NoPermits> for TryAcquireError {
    fn from(why: NoPermits) -> TryAcquireError {
        match why {
            NoPermits::Closed => TryAcquireError::Closed,
            NoPermits::TooFew => TryAcquireError::NoPermits,
        }
    }
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryAcquireError::Closed => CLOSED,
            TryAcquireError::NoPermits => "not so many permits are free now, or others wait for them",
        })
    }
}

impl Error for TryAcquireError {}
