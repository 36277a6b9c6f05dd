//! A value that one task at a time has for itself, also while it waits for something else.
//!
//! The value lies in a box. Whoever has the lock has the box, so that a guard is two words and reads the value at one
//! remove, no code is unsafe, and a guard that owns its part of the mutex is made as one that borrows it.
//! A lock that is let go of while somebody waits is theirs from then on: nobody overtakes.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::line::Line;
use super::waiters::Place;
use crate::engine::{give_way, has_turn};

/// A value that one task at a time has for itself, first come first served.
///
/// What is done between two awaits needs none: on one thread nobody comes between, and a `Cell` or `RefCell` will do. A
/// mutex is for what stays taken over an await: a connection that a question and its answer go through, say.
///
/// The lock is handed over: when it is let go of, it is the first in line's, though they have not run yet. So none
/// who waits is overtaken. A panic while it is held poisons nothing; the next one finds the value as it was left.
/// A guard that is forgotten (`mem::forget`) keeps the lock for ever, and the value.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::rc::Rc;
/// use annulus::sync::Mutex;
///
/// annulus::run(async {
///     let pages = Rc::new(Mutex::new(Vec::new()));
///     let writers: Vec<_> = (0..3)
///         .map(|writer| {
///             let pages = Rc::clone(&pages);
///             annulus::spawn(async move {
///                 let mut pages = pages.lock().await;
///                 for line in 0..2 {
///                     pages.push((writer, line));
///                     // The others wait, also when this one does.
///                     annulus::yield_now().await;
///                 }
///             })
///         })
///         .collect();
///     for writer in writers {
///         writer.await.unwrap();
///     }
///     assert_eq!(*pages.lock().await, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct Mutex<T> {
    /// There when the lock is free.
    free: Cell<Option<Box<T>>>,
    /// There when the lock is somebody's who was called and has not come for it yet.
    handed: Cell<Option<Box<T>>>,
    line: Line<()>,
}

impl<T> Mutex<T> {
    /// One that is not locked. It allocates room for the value.
    pub fn new(value: T) -> Mutex<T> {
        Mutex { free: Cell::new(Some(Box::new(value))), handed: Cell::new(None), line: Line::default() }
    }

    /// Waits for the lock; dropping the guard lets go of it.
    ///
    /// A task that has the lock and asks for it again waits for itself, for ever.
    ///
    /// # Cancel safety
    /// Dropping it loses its place in the line. A lock that it was handed and has not taken goes to the next.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let mutex = annulus::sync::Mutex::new(1);
    ///     *mutex.lock().await += 1;
    ///     assert_eq!(mutex.into_inner(), 2);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn lock(&self) -> Lock<'_, T> {
        Lock { mutex: self, place: None }
    }

    /// As [`lock`](Self::lock), with a guard that has its part of the mutex, and can go where a borrow cannot.
    ///
    /// # Cancel safety
    /// As of [`lock`](Self::lock).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::rc::Rc;
    ///
    /// annulus::run(async {
    ///     let mutex = Rc::new(annulus::sync::Mutex::new(1));
    ///     let mut guard = Rc::clone(&mutex).lock_owned().await;
    ///     annulus::spawn(async move { *guard += 1 });
    ///     assert_eq!(*mutex.lock().await, 2);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn lock_owned(self: Rc<Self>) -> LockOwned<T> {
        LockOwned { mutex: self, place: None }
    }

    /// The lock, if it is free now.
    ///
    /// # Errors
    /// Somebody has it, or has been handed it.
    ///
    /// # Examples
    /// ```
    /// let mutex = annulus::sync::Mutex::new(1);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_err());
    /// drop(guard);
    /// assert!(mutex.try_lock().is_ok());
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        match self.free.take() {
            Some(value) => Ok(MutexGuard { mutex: self, value: Some(value) }),
            None => Err(TryLockError(())),
        }
    }

    /// As [`try_lock`](Self::try_lock), with a guard that has its part of the mutex.
    ///
    /// # Errors
    /// Somebody has it, or has been handed it.
    ///
    /// # Examples
    /// ```
    /// use std::rc::Rc;
    /// use annulus::sync::{MutexGuard, Mutex, OwnedMutexGuard};
    ///
    /// let mutex = Rc::new(Mutex::new(7));
    /// let guard = mutex.clone().try_lock_owned().unwrap();
    /// assert!(Rc::ptr_eq(OwnedMutexGuard::mutex(&guard), &mutex));
    /// assert!(mutex.try_lock().is_err());
    /// drop(guard);
    /// assert!(std::ptr::eq(MutexGuard::mutex(&mutex.try_lock().unwrap()), &*mutex));
    /// assert_eq!(Rc::into_inner(mutex).unwrap().into_inner(), 7);
    /// ```
    #[inline]
    pub fn try_lock_owned(self: Rc<Self>) -> Result<OwnedMutexGuard<T>, TryLockError> {
        match self.free.take() {
            Some(value) => Ok(OwnedMutexGuard { mutex: self, value: Some(value) }),
            None => Err(TryLockError(())),
        }
    }

    /// The value; nobody else can have it, so nothing is locked.
    ///
    /// # Panics
    /// If a guard was forgotten: the value is gone with it.
    ///
    /// ```
    /// let mut mutex = annulus::sync::Mutex::new(1);
    /// *mutex.get_mut() = 2;
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.reclaim();
        self.free.get_mut().as_deref_mut().expect(FORGOTTEN)
    }

    /// The value.
    ///
    /// # Panics
    /// If a guard was forgotten: the value is gone with it.
    ///
    /// # Examples
    /// As [`try_lock_owned`](Self::try_lock_owned).
    pub fn into_inner(mut self) -> T {
        self.reclaim();
        *self.free.take().expect(FORGOTTEN)
    }

    /// A future that was handed the lock and then forgotten never comes for it.
    fn reclaim(&mut self) {
        if let Some(value) = self.handed.take() {
            self.free.set(Some(value));
        }
    }

    #[inline]
    fn poll_lock(&self, mine: &mut Option<Place>, cx: &mut Context<'_>) -> Poll<Box<T>> {
        if let Some(place) = *mine {
            ready!(self.line.poll_called(place, mine, cx));
            return Poll::Ready(self.handed.take().expect("whoever is called is handed the value"));
        }
        match self.free.take() {
            Some(value) if has_turn() => Poll::Ready(value),
            Some(value) => {
                self.free.set(Some(value));
                give_way(cx)
            }
            None => self.line.join((), mine, cx, || self.is_locked()),
        }
    }

    /// Leaves the line; a lock that was handed over goes on.
    fn leave(&self, place: Place) {
        let (called, _waiter) = self.line.leave(place);
        if called.is_some() {
            self.unlock(self.handed.take());
        }
    }

    #[inline]
    fn unlock(&self, value: Option<Box<T>>) {
        match self.line.is_empty() {
            true => self.free.set(value),
            false => self.hand_over(value),
        }
    }

    fn hand_over(&self, value: Option<Box<T>>) {
        self.handed.set(value);
        self.line.call_first(());
    }

    fn is_locked(&self) -> bool {
        let value = self.free.take();
        let is_locked = value.is_none();
        self.free.set(value);
        is_locked
    }
}

const FORGOTTEN: &str =
    "a guard of this mutex was forgotten, and the value with it: drop guards, instead of `mem::forget`";

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Mutex<T> {
        Mutex::new(value)
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => shown.field("data", &*guard),
            Err(_) => shown.field("data", &format_args!("<locked>")),
        };
        shown.finish()
    }
}

/// The future of [`Mutex::lock`].
///
/// # Examples
/// As [`Mutex::lock`].
#[must_use = "it locks nothing until it is awaited"]
pub struct Lock<'a, T> {
    mutex: &'a Mutex<T>,
    place: Option<Place>,
}

impl<'a, T> Future for Lock<'a, T> {
    type Output = MutexGuard<'a, T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mutex = self.mutex;
        mutex.poll_lock(&mut self.place, cx).map(|value| MutexGuard { mutex, value: Some(value) })
    }
}

impl<T> Drop for Lock<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.mutex.leave(place);
        }
    }
}

impl<T> fmt::Debug for Lock<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("waiting", &self.place.is_some()).finish_non_exhaustive()
    }
}

/// The future of [`Mutex::lock_owned`].
///
/// # Examples
/// As [`Mutex::lock_owned`].
#[must_use = "it locks nothing until it is awaited"]
pub struct LockOwned<T> {
    mutex: Rc<Mutex<T>>,
    place: Option<Place>,
}

impl<T> Future for LockOwned<T> {
    type Output = OwnedMutexGuard<T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let LockOwned { mutex, place } = self.get_mut();
        let locked = mutex.poll_lock(place, cx);
        locked.map(|value| OwnedMutexGuard { mutex: Rc::clone(mutex), value: Some(value) })
    }
}

impl<T> Drop for LockOwned<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.mutex.leave(place);
        }
    }
}

impl<T> fmt::Debug for LockOwned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockOwned").field("waiting", &self.place.is_some()).finish_non_exhaustive()
    }
}

/// The lock of a [`Mutex`], and the way to its value; dropped, it lets go of it.
///
/// # Examples
/// As [`Mutex`].
#[must_use = "the mutex is unlocked as soon as the guard is dropped"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// There until the drop.
    value: Option<Box<T>>,
}

/// As [`MutexGuard`], with its part of the mutex. See [`Mutex::lock_owned`].
///
/// # Examples
/// As [`Mutex::lock_owned`].
#[must_use = "the mutex is unlocked as soon as the guard is dropped"]
pub struct OwnedMutexGuard<T> {
    mutex: Rc<Mutex<T>>,
    /// There until the drop.
    value: Option<Box<T>>,
}

impl<'a, T> MutexGuard<'a, T> {
    /// The mutex that is locked.
    ///
    /// # Examples
    /// As [`Mutex::try_lock_owned`].
    pub fn mutex(this: &Self) -> &'a Mutex<T> {
        this.mutex
    }
}

impl<T> OwnedMutexGuard<T> {
    /// The mutex that is locked.
    ///
    /// # Examples
    /// As [`Mutex::try_lock_owned`].
    pub fn mutex(this: &Self) -> &Rc<Mutex<T>> {
        &this.mutex
    }
}

/// What both guards do alike.
macro_rules! guard {
    ($($guard:tt)*) => {
        impl<T> Deref for $($guard)* {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                self.value.as_ref().expect("there until the drop")
            }
        }

        impl<T> DerefMut for $($guard)* {
            #[inline]
            fn deref_mut(&mut self) -> &mut T {
                self.value.as_mut().expect("there until the drop")
            }
        }

        impl<T> Drop for $($guard)* {
            #[inline]
            fn drop(&mut self) {
                self.mutex.unlock(self.value.take());
            }
        }

        impl<T: fmt::Debug> fmt::Debug for $($guard)* {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&**self, f)
            }
        }

        impl<T: fmt::Display> fmt::Display for $($guard)* {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&**self, f)
            }
        }
    };
}

guard!(MutexGuard<'_, T>);
guard!(OwnedMutexGuard<T>);

/// The lock was not free.
///
/// # Examples
/// As [`Mutex::try_lock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TryLockError(pub(super) ());

impl fmt::Display for TryLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("somebody else has the lock, or is the next to have it: await it")
    }
}

impl Error for TryLockError {}
