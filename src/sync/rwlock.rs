//! A value that many tasks read at a time, or one writes.
//!
//! Reading takes one permit, writing all of them: so the two wait for each other as those do who wait for permits. The value
//! lies in an `Rc`: each who reads has a share of it, and who writes has the only one.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::TryLockError;
use super::permits::Permits;
use super::waiters::Place;

/// Who writes takes them all.
const ALL: usize = Permits::MAX;

/// A value that many tasks read at a time, or one writes, first come first served.
///
/// As a [`Mutex`](super::Mutex) it is for what stays taken over an await; a `RefCell` does between two. Who waits to write is
/// not overtaken by those who come to read: so a task that reads and asks to read once more, while another waits to
/// write, waits for ever. A panic while it is held poisons nothing.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::sync::RwLock;
///
/// annulus::run(async {
///     let lock = RwLock::new(vec![1]);
///     {
///         let (one, other) = (lock.read().await, lock.read().await);
///         assert_eq!(one.len() + other.len(), 2);
///     }
///     lock.write().await.push(2);
///     assert_eq!(*lock.read().await, [1, 2]);
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct RwLock<T> {
    /// Not there while somebody writes.
    value: Cell<Option<Rc<T>>>,
    permits: Permits,
}

impl<T> RwLock<T> {
    /// One that is not locked. It allocates room for the value.
    pub fn new(value: T) -> RwLock<T> {
        RwLock { value: Cell::new(Some(Rc::new(value))), permits: Permits::new(ALL) }
    }

    /// Waits until nobody writes, and nobody who came before waits to.
    ///
    /// # Cancel safety
    /// Dropping it loses its place in the line. A lock that it was given and has not taken goes on to the next.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let lock = annulus::sync::RwLock::new(7);
    ///     assert_eq!(*lock.read().await, 7);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn read(&self) -> RwLockRead<'_, T> {
        RwLockRead { turn: Turn { lock: self, count: 1, place: None } }
    }

    /// Waits until nobody reads or writes.
    ///
    /// # Cancel safety
    /// Dropping it loses its place in the line; those who waited behind it to read go on. A lock that it was given
    /// and has not taken goes on to the next.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let lock = annulus::sync::RwLock::new(7);
    ///     *lock.write().await += 1;
    ///     assert_eq!(lock.into_inner(), 8);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn write(&self) -> RwLockWrite<'_, T> {
        RwLockWrite { turn: Turn { lock: self, count: ALL, place: None } }
    }

    /// The lock for reading, if nobody writes or waits.
    ///
    /// # Errors
    /// Somebody does.
    ///
    /// # Examples
    /// ```
    /// let lock = annulus::sync::RwLock::new(7);
    /// let reads = lock.try_read().unwrap();
    /// assert!(lock.try_read().is_ok() && lock.try_write().is_err());
    /// ```
    #[inline]
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, TryLockError> {
        self.permits.try_take(1).map_err(|_| TryLockError(()))?;
        Ok(self.reader())
    }

    /// The lock for writing, if nobody has it or waits.
    ///
    /// # Errors
    /// Somebody does.
    ///
    /// # Examples
    /// ```
    /// use annulus::sync::RwLock;
    ///
    /// let lock = RwLock::new(7);
    /// *lock.try_write().unwrap() += 1;
    /// let (one, other) = (lock.try_read().unwrap(), lock.try_read().unwrap());
    /// assert!(lock.try_write().is_err(), "two look at it");
    /// drop((one, other));
    /// assert_eq!(lock.into_inner(), 8);
    /// ```
    #[inline]
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, TryLockError> {
        self.permits.try_take(ALL).map_err(|_| TryLockError(()))?;
        Ok(self.writer())
    }

    /// The value; nobody else can have it, so nothing is locked.
    ///
    /// # Panics
    /// If a guard was forgotten.
    ///
    /// ```
    /// let mut lock = annulus::sync::RwLock::new(1);
    /// *lock.get_mut() = 2;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut().as_mut().and_then(Rc::get_mut).expect(FORGOTTEN)
    }

    /// The value.
    ///
    /// # Panics
    /// If a guard was forgotten.
    ///
    /// # Examples
    /// As [`try_write`](Self::try_write).
    pub fn into_inner(self) -> T {
        self.value.take().and_then(Rc::into_inner).expect(FORGOTTEN)
    }

    /// One who has a permit reads.
    #[inline]
    fn reader(&self) -> RwLockReadGuard<'_, T> {
        let value = self.value.take();
        self.value.set(value.clone());
        RwLockReadGuard { lock: self, value }
    }

    /// One who has all permits writes.
    #[inline]
    fn writer(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard { lock: self, value: self.value.take() }
    }
}

const FORGOTTEN: &str = "a guard of this lock was forgotten: drop guards, instead of `mem::forget`";

impl<T: Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> RwLock<T> {
        RwLock::new(value)
    }
}

impl<T: fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => shown.field("data", &*guard),
            Err(_) => shown.field("data", &format_args!("<locked>")),
        };
        shown.finish()
    }
}

/// One's waiting for the lock.
struct Turn<'a, T> {
    lock: &'a RwLock<T>,
    count: usize,
    place: Option<Place>,
}

impl<'a, T> Turn<'a, T> {
    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<&'a RwLock<T>> {
        let taken = self.lock.permits.poll_take(self.count, &mut self.place, cx);
        // It is never closed.
        taken.map(|_| self.lock)
    }
}

impl<T> Drop for Turn<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.lock.permits.leave(place, self.count);
        }
    }
}

/// The future of [`RwLock::read`].
///
/// # Examples
/// As [`RwLock::read`].
#[must_use = "it locks nothing until it is awaited"]
pub struct RwLockRead<'a, T> {
    turn: Turn<'a, T>,
}

/// The future of [`RwLock::write`].
///
/// # Examples
/// As [`RwLock::write`].
#[must_use = "it locks nothing until it is awaited"]
pub struct RwLockWrite<'a, T> {
    turn: Turn<'a, T>,
}

impl<'a, T> Future for RwLockRead<'a, T> {
    type Output = RwLockReadGuard<'a, T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.turn.poll(cx).map(RwLock::reader)
    }
}

impl<'a, T> Future for RwLockWrite<'a, T> {
    type Output = RwLockWriteGuard<'a, T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.turn.poll(cx).map(RwLock::writer)
    }
}

impl<T> fmt::Debug for RwLockRead<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLockRead").field("waiting", &self.turn.place.is_some()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for RwLockWrite<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLockWrite").field("waiting", &self.turn.place.is_some()).finish_non_exhaustive()
    }
}

/// The lock of a [`RwLock`] for reading; dropped, it lets go of it.
///
/// # Examples
/// As [`RwLock::read`].
#[must_use = "the lock is let go of as soon as the guard is dropped"]
pub struct RwLockReadGuard<'a, T> {
    lock: &'a RwLock<T>,
    /// There until the drop.
    value: Option<Rc<T>>,
}

/// The lock of a [`RwLock`] for writing; dropped, it lets go of it.
///
/// # Examples
/// As [`RwLock::write`].
#[must_use = "the lock is let go of as soon as the guard is dropped"]
pub struct RwLockWriteGuard<'a, T> {
    lock: &'a RwLock<T>,
    /// There until the drop, and the only one.
    value: Option<Rc<T>>,
}

impl<'a, T> RwLockWriteGuard<'a, T> {
    /// Goes on reading: nobody writes between the two. Those who wait behind it to read are let on.
    ///
    /// ```
    /// let lock = annulus::sync::RwLock::new(1);
    /// let mut writes = lock.try_write().unwrap();
    /// *writes += 1;
    /// let reads = writes.downgrade();
    /// assert_eq!((*reads, *lock.try_read().unwrap()), (2, 2));
    /// ```
    pub fn downgrade(mut self) -> RwLockReadGuard<'a, T> {
        let lock = self.lock;
        lock.value.set(self.value.take());
        // With nothing to write to, the drop of this gives nothing back.
        let reads = lock.reader();
        lock.permits.give(ALL - 1);
        reads
    }
}

impl<T> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.value.as_ref().expect("there until the drop")
    }
}

impl<T> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.value.as_ref().expect("there until the drop")
    }
}

impl<T> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().and_then(Rc::get_mut).expect("there until the drop, and the only one")
    }
}

impl<T> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // The share goes back before the permit, so that who writes next has the only one.
        drop(self.value.take());
        self.lock.permits.give(1);
    }
}

impl<T> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            self.lock.value.set(Some(value));
            self.lock.permits.give(ALL);
        }
    }
}

/// What both guards do alike.
macro_rules! shown_as_the_value {
    ($($guard:ident),*) => {
        $(
            impl<T: fmt::Debug> fmt::Debug for $guard<'_, T> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Debug::fmt(&**self, f)
                }
            }

            impl<T: fmt::Display> fmt::Display for $guard<'_, T> {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(&**self, f)
                }
            }
        )*
    };
}

shown_as_the_value!(RwLockReadGuard, RwLockWriteGuard);
