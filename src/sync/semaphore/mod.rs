//! A number of permits, which tasks take and give back.

mod permit;

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

pub use permit::{AcquireError, OwnedSemaphorePermit, SemaphorePermit, TryAcquireError};

use super::permits::Permits;
use super::waiters::Place;

/// Lets on so many at a time: each takes a permit, or several, and gives them back by dropping them.
///
/// First come, first served: while somebody waits, permits that come are theirs, be it that they wait for many and another
/// would do with one. So no large request is overtaken for ever, and [`try_acquire`](Self::try_acquire) fails then.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::cell::Cell;
/// use std::rc::Rc;
/// use annulus::sync::Semaphore;
///
/// // Two at a time, of five.
/// annulus::run(async {
///     let (semaphore, inside, most) = (Rc::new(Semaphore::new(2)), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
///     let tasks: Vec<_> = (0..5)
///         .map(|_| {
///             let (semaphore, inside, most) = (semaphore.clone(), inside.clone(), most.clone());
///             annulus::spawn(async move {
///                 let _permit = semaphore.acquire().await.unwrap();
///                 inside.set(inside.get() + 1);
///                 most.set(inside.get().max(most.get()));
///                 annulus::yield_now().await;
///                 inside.set(inside.get() - 1);
///             })
///         })
///         .collect();
///     for task in tasks {
///         task.await.unwrap();
///     }
///     assert_eq!(most.get(), 2);
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct Semaphore {
    permits: Permits,
}

impl Semaphore {
    /// The most permits that a semaphore can have.
    ///
    /// # Examples
    /// ```
    /// use annulus::sync::Semaphore;
    ///
    /// let as_many_as_there_can_be = Semaphore::new(Semaphore::MAX_PERMITS);
    /// assert!(as_many_as_there_can_be.try_acquire().is_ok());
    /// ```
    pub const MAX_PERMITS: usize = Permits::MAX;

    /// One with so many permits.
    ///
    /// # Panics
    /// If they are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[track_caller]
    pub fn new(permits: usize) -> Semaphore {
        assert!(permits <= Permits::MAX, "a semaphore has {} permits at most", Permits::MAX);
        Semaphore { permits: Permits::new(permits) }
    }

    /// How many permits can be had now without waiting; none while somebody waits.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::rc::Rc;
    /// use annulus::sync::Semaphore;
    ///
    /// annulus::run(async {
    ///     let seats = Rc::new(Semaphore::new(4));
    ///     assert_eq!(seats.available_permits(), 4);
    ///     let two = seats.try_acquire_many(2).unwrap();
    ///     let one = seats.clone().try_acquire_owned().unwrap();
    ///     assert!(seats.clone().try_acquire_many_owned(2).is_err(), "one is left");
    ///     drop((two, one));
    ///     let all = seats.clone().acquire_many_owned(4).await.unwrap();
    ///     assert_eq!(all.num_permits(), 4);
    ///     seats.close();
    ///     assert!(seats.is_closed() && seats.acquire().await.is_err());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn available_permits(&self) -> usize {
        self.permits.free()
    }

    /// Adds permits: those who wait get them first.
    ///
    /// # Panics
    /// If there would be more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    ///
    /// ```
    /// let semaphore = annulus::sync::Semaphore::new(0);
    /// assert!(semaphore.try_acquire().is_err());
    /// semaphore.add_permits(1);
    /// assert!(semaphore.try_acquire().is_ok());
    /// ```
    #[track_caller]
    pub fn add_permits(&self, count: usize) {
        assert!(self.permits.has_room_for(count), "a semaphore has {} permits at most", Permits::MAX);
        self.permits.give(count);
    }

    /// Takes permits out, as many of `count` as nobody has; says how many those were.
    ///
    /// ```
    /// let semaphore = annulus::sync::Semaphore::new(3);
    /// let permit = semaphore.try_acquire().unwrap();
    /// assert_eq!(semaphore.forget_permits(5), 2);
    /// drop(permit);
    /// assert_eq!(semaphore.available_permits(), 1);
    /// ```
    pub fn forget_permits(&self, count: usize) -> usize {
        self.permits.take_away(count)
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// The semaphore was closed, be it before or while this waited.
    ///
    /// # Cancel safety
    /// Dropping it loses its place in the line. What it was given and has not taken goes to the next.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let semaphore = annulus::sync::Semaphore::new(1);
    ///     let permit = semaphore.acquire().await.unwrap();
    ///     assert_eq!(semaphore.available_permits(), 0);
    ///     drop(permit);
    ///     assert_eq!(semaphore.available_permits(), 1);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn acquire(&self) -> Acquire<'_> {
        self.acquire_many(1)
    }

    /// Waits for so many permits, all at once: none is taken before all are there.
    ///
    /// # Errors
    /// The semaphore was closed, be it before or while this waited.
    ///
    /// # Cancel safety
    /// As of [`acquire`](Self::acquire).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     let semaphore = annulus::sync::Semaphore::new(8);
    ///     let permit = semaphore.acquire_many(6).await.unwrap();
    ///     assert_eq!((permit.num_permits(), semaphore.available_permits()), (6, 2));
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn acquire_many(&self, count: u32) -> Acquire<'_> {
        Acquire { turn: Turn { semaphore: self, place: None, count } }
    }

    /// A permit, if one is free.
    ///
    /// # Errors
    /// [`TryAcquireError::NoPermits`]: none is free, or others wait. [`TryAcquireError::Closed`]: there will be none.
    ///
    /// # Examples
    /// ```
    /// use annulus::sync::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Semaphore::new(1);
    /// let permit = semaphore.try_acquire().unwrap();
    /// assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    /// semaphore.close();
    /// assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
    /// ```
    #[inline]
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// So many permits, if they are free.
    ///
    /// # Errors
    /// As of [`try_acquire`](Self::try_acquire).
    ///
    /// # Examples
    /// As [`available_permits`](Self::available_permits).
    #[inline]
    pub fn try_acquire_many(&self, count: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.permits.try_take(count as usize)?;
        Ok(SemaphorePermit::new(self, count))
    }

    /// As [`acquire`](Self::acquire), with a permit that has its part of the semaphore, and can go where a borrow cannot.
    ///
    /// # Errors
    /// The semaphore was closed, be it before or while this waited.
    ///
    /// # Cancel safety
    /// As of [`acquire`](Self::acquire).
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::rc::Rc;
    /// use annulus::sync::Semaphore;
    ///
    /// annulus::run(async {
    ///     let semaphore = Rc::new(Semaphore::new(10));
    ///     for _ in 0..100 {
    ///         let permit = Rc::clone(&semaphore).acquire_owned().await.unwrap();
    ///         // No more than ten of these at a time.
    ///         annulus::spawn(async move {
    ///             annulus::yield_now().await;
    ///             drop(permit);
    ///         });
    ///     }
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn acquire_owned(self: Rc<Self>) -> AcquireOwned {
        self.acquire_many_owned(1)
    }

    /// As [`acquire_many`](Self::acquire_many), with a permit that has its part of the semaphore.
    ///
    /// # Errors
    /// The semaphore was closed, be it before or while this waited.
    ///
    /// # Cancel safety
    /// As of [`acquire`](Self::acquire).
    ///
    /// # Examples
    /// As [`available_permits`](Self::available_permits).
    #[inline]
    pub fn acquire_many_owned(self: Rc<Self>, count: u32) -> AcquireOwned {
        AcquireOwned { turn: Turn { semaphore: self, place: None, count } }
    }

    /// As [`try_acquire`](Self::try_acquire), with a permit that has its part of the semaphore.
    ///
    /// # Errors
    /// As of [`try_acquire`](Self::try_acquire).
    ///
    /// # Examples
    /// As [`available_permits`](Self::available_permits).
    pub fn try_acquire_owned(self: Rc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// As [`try_acquire_many`](Self::try_acquire_many), with a permit that has its part of the semaphore.
    ///
    /// # Errors
    /// As of [`try_acquire`](Self::try_acquire).
    ///
    /// # Examples
    /// As [`available_permits`](Self::available_permits).
    pub fn try_acquire_many_owned(
        self: Rc<Self>,
        count: u32,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.permits.try_take(count as usize)?;
        Ok(OwnedSemaphorePermit::new(self, count))
    }

    /// Gives out no more permits: those who wait are told, and those who come. Permits that are out stay so.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::rc::Rc;
    ///
    /// annulus::run(async {
    ///     let semaphore = Rc::new(annulus::sync::Semaphore::new(0));
    ///     let waits = annulus::spawn(Rc::clone(&semaphore).acquire_owned());
    ///     semaphore.close();
    ///     assert!(waits.await.unwrap().is_err());
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&self) {
        self.permits.close();
    }

    /// Whether it was closed.
    ///
    /// # Examples
    /// As [`available_permits`](Self::available_permits).
    pub fn is_closed(&self) -> bool {
        self.permits.is_closed()
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.available_permits())
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// One's waiting for permits, by reference or with a part of the semaphore.
struct Turn<S: Borrow<Semaphore>> {
    semaphore: S,
    place: Option<Place>,
    count: u32,
}

impl<S: Borrow<Semaphore>> Turn<S> {
    #[inline]
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), AcquireError>> {
        let permits = &self.semaphore.borrow().permits;
        let taken = permits.poll_take(self.count as usize, &mut self.place, cx);
        taken.map(|taken| taken.map_err(|_| AcquireError::new()))
    }
}

impl<S: Borrow<Semaphore>> Drop for Turn<S> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.semaphore.borrow().permits.leave(place, self.count as usize);
        }
    }
}

/// The future of [`Semaphore::acquire`] and [`Semaphore::acquire_many`].
///
/// # Examples
/// As [`Semaphore::acquire`].
#[must_use = "it acquires nothing until it is awaited"]
pub struct Acquire<'a> {
    turn: Turn<&'a Semaphore>,
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<SemaphorePermit<'a>, AcquireError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let taken = self.turn.poll(cx);
        let (semaphore, permits) = (self.turn.semaphore, self.turn.count);
        taken.map(|taken| taken.map(|()| SemaphorePermit::new(semaphore, permits)))
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("permits", &self.turn.count).finish_non_exhaustive()
    }
}

/// The future of [`Semaphore::acquire_owned`] and [`Semaphore::acquire_many_owned`].
///
/// # Examples
/// As [`Semaphore::acquire_owned`].
#[must_use = "it acquires nothing until it is awaited"]
pub struct AcquireOwned {
    turn: Turn<Rc<Semaphore>>,
}

impl Future for AcquireOwned {
    type Output = Result<OwnedSemaphorePermit, AcquireError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let taken = self.turn.poll(cx);
        let turn = &self.turn;
        let permit = || OwnedSemaphorePermit::new(Rc::clone(&turn.semaphore), turn.count);
        taken.map(|taken| taken.map(|()| permit()))
    }
}

impl fmt::Debug for AcquireOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireOwned").field("permits", &self.turn.count).finish_non_exhaustive()
    }
}
