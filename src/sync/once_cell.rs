//! A value that is made once, by whoever needs it first.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};

use super::Semaphore;
use crate::engine::poll_turn;

/// A value that is made once, by an initialiser that may wait; those who need it meanwhile wait for that.
///
/// `std::cell::OnceCell` is for values that are made without waiting.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::rc::Rc;
/// use annulus::sync::OnceCell;
///
/// annulus::run(async {
///     let cell = Rc::new(OnceCell::new());
///     let tasks: Vec<_> = (0..3)
///         .map(|number| {
///             let cell = Rc::clone(&cell);
///             annulus::spawn(async move {
///                 *cell.get_or_init(|| async {
///                     annulus::yield_now().await;
///                     number
///                 }).await
///             })
///         })
///         .collect();
///     for task in tasks {
///         // Made by the first.
///         assert_eq!(task.await.unwrap(), 0);
///     }
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct OnceCell<T> {
    value: std::cell::OnceCell<T>,
    /// One permit: to make the value. Closed once it is there.
    making: Semaphore,
}

impl<T> OnceCell<T> {
    /// One without a value.
    pub fn new() -> OnceCell<T> {
        OnceCell { value: std::cell::OnceCell::new(), making: Semaphore::new(1) }
    }

    /// One with a value, if one is given.
    ///
    /// # Examples
    /// ```
    /// use annulus::sync::OnceCell;
    ///
    /// let mut cell = OnceCell::new_with(Some(7));
    /// assert!(cell.initialized());
    /// assert_eq!(cell.get(), Some(&7));
    /// *cell.get_mut().unwrap() += 1;
    /// assert!(cell.set(9).unwrap_err().is_already_init_err());
    /// assert_eq!(cell.into_inner(), Some(8));
    /// ```
    pub fn new_with(value: Option<T>) -> OnceCell<T> {
        value.map_or_else(OnceCell::new, OnceCell::from)
    }

    /// Whether there is a value.
    ///
    /// # Examples
    /// As [`new_with`](Self::new_with).
    pub fn initialized(&self) -> bool {
        self.value.get().is_some()
    }

    /// The value, if there is one; waits for nothing.
    ///
    /// # Examples
    /// As [`new_with`](Self::new_with).
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, if there is one, to be changed.
    ///
    /// # Examples
    /// As [`new_with`](Self::new_with).
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Sets the value.
    ///
    /// # Errors
    /// [`SetError::AlreadyInitializedError`]: there is one. [`SetError::InitializingError`]: somebody makes one now. The value
    /// comes back.
    ///
    /// # Examples
    /// ```
    /// let cell = annulus::sync::OnceCell::new();
    /// cell.set(1).unwrap();
    /// assert!(cell.set(2).unwrap_err().is_already_init_err());
    /// assert_eq!(cell.get(), Some(&1));
    /// ```
    pub fn set(&self, value: T) -> Result<(), SetError<T>> {
        if self.initialized() {
            return Err(SetError::AlreadyInitializedError(value));
        }
        match self.making.try_acquire() {
            Ok(_permit) => {
                self.put(value);
                Ok(())
            }
            Err(_) => Err(SetError::InitializingError(value)),
        }
    }

    /// The value; where there is none, `make` makes it, or this waits for somebody who does already.
    ///
    /// An initialiser that asks for the value of the same cell waits for itself, for ever.
    ///
    /// # Cancel safety
    /// Dropping it drops an initialiser that it runs, and what that had done; the next who waits begins with theirs. So it is after a
    /// panic in one.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let cell = annulus::sync::OnceCell::new();
    ///     assert_eq!(*cell.get_or_init(|| async { 1 }).await, 1);
    ///     assert_eq!(*cell.get_or_init(|| async { 2 }).await, 1);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get_or_init<F, Fut>(&self, make: F) -> &T
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        let made = self.get_or_try_init(|| async { Ok::<T, Infallible>(make().await) }).await;
        match made {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// As [`get_or_init`](Self::get_or_init), with an initialiser that may fail: the next who waits begins with theirs then.
    ///
    /// # Errors
    /// What the initialiser of this very call gave.
    ///
    /// # Cancel safety
    /// As of [`get_or_init`](Self::get_or_init).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let cell = annulus::sync::OnceCell::new();
    ///     assert_eq!(cell.get_or_try_init(|| async { Err("no luck") }).await, Err("no luck"));
    ///     assert_eq!(cell.get_or_try_init(|| async { Ok::<_, ()>(1) }).await, Ok(&1));
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get_or_try_init<E, F, Fut>(&self, make: F) -> Result<&T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        if let Some(value) = self.get() {
            poll_fn(poll_turn).await;
            return Ok(value);
        }
        match self.making.acquire().await {
            Ok(_permit) => Ok(self.put(make().await?)),
            Err(_) => Ok(self.get().expect("closed when the value is there")),
        }
    }

    /// Puts the value in, and lets on who waits. The caller has the permit.
    fn put(&self, value: T) -> &T {
        let value = self.value.get_or_init(|| value);
        self.making.close();
        value
    }

    /// The value, if there is one.
    ///
    /// # Examples
    /// As [`new_with`](Self::new_with).
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// The value, if there is one; the cell is without from now on.
    ///
    /// ```
    /// let mut cell = annulus::sync::OnceCell::from(1);
    /// assert_eq!((cell.take(), cell.take()), (Some(1), None));
    /// cell.set(2).unwrap();
    /// ```
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> OnceCell<T> {
        OnceCell::new()
    }
}

impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> OnceCell<T> {
        let cell = OnceCell::new();
        cell.put(value);
        cell
    }
}

impl<T: Clone> Clone for OnceCell<T> {
    fn clone(&self) -> OnceCell<T> {
        OnceCell::new_with(self.get().cloned())
    }
}

impl<T: PartialEq> PartialEq for OnceCell<T> {
    fn eq(&self, other: &OnceCell<T>) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceCell<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceCell").field("value", &self.get()).finish()
    }
}

/// Why [`OnceCell::set`] did not set the value. It comes back.
///
/// # Examples
/// As [`OnceCell::set`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetError<T> {
    /// There is a value.
    AlreadyInitializedError(T),
    /// Somebody makes one now.
    InitializingError(T),
}

impl<T> SetError<T> {
    /// Whether there was a value.
    ///
    /// # Examples
    /// As [`OnceCell::new_with`].
    pub fn is_already_init_err(&self) -> bool {
        matches!(self, SetError::AlreadyInitializedError(_))
    }

    /// Whether somebody was making one.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::sync::OnceCell;
    ///
    /// annulus::run(async {
    ///     let cell = OnceCell::new();
    ///     let value = cell.get_or_init(|| async {
    ///         // Somebody else, meanwhile.
    ///         assert!(cell.set(8).unwrap_err().is_initializing_err());
    ///         7
    ///     });
    ///     assert_eq!(value.await, &7);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn is_initializing_err(&self) -> bool {
        matches!(self, SetError::InitializingError(_))
    }
}

impl<T> fmt::Display for SetError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SetError::AlreadyInitializedError(_) => "the cell has a value already",
            SetError::InitializingError(_) => {
                "somebody makes the cell's value now: await it with get_or_init"
            }
        })
    }
}

impl<T: fmt::Debug> Error for SetError<T> {}
