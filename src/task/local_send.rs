//! What never leaves its thread, for those who want it `Send`: it is checked who uses it, and dropped elsewhere it is mailed home.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread::ThreadId;

use futures_core::Stream;

use crate::engine::{Homed, expect_current, here, leaked, with_current};

/// A value that is `Send` and `Sync` whatever it is made of, because only the thread that made it may use it.
///
/// Libraries that also work on many threads ask for `Send` where one loop needs none: handlers of axum, connections of redis or of
/// hyper-util's client, drivers of `Box<dyn Future + Send>`. Wrap what you give them. On the loop's thread it is used as if it were
/// the value: by `*`, as a future, as a stream, as a connection. [`local`] is the word for futures.
///
/// - **Used** on another thread it panics, or [`try_get`](LocalSend::try_get) and the like give a [`WrongThread`].
/// - **Dropped** on another thread it is mailed home: the loop on whose thread it was made wakes and drops it. Between two runs that waits
///   for the next one. A destructor that panics there hurts nobody, as with [`Remote::run`](crate::Remote::run).
/// - If that loop **has ended**, or in a child of fork(2) that does not have its thread, no destructor may run any more: the value is
///   leaked, and [`LocalSend::leaked`] counts it. On its own thread it is dropped as usual, also after the loop's end.
///
/// The value has a box of its own and is pinned in it: one allocation, and a look at the thread at each use.
///
/// # Examples
/// ```
/// use std::rc::Rc;
/// use annulus::task::LocalSend;
///
/// annulus::run(async {
///     let shared = Rc::new("tea");
///     let wrapped = LocalSend::new(Rc::clone(&shared));
///     assert_eq!(wrapped.len(), 3);
///
///     // A thread may have it and give it back.
///     let wrapped = annulus::spawn_blocking(move || wrapped).await.unwrap();
///     assert_eq!(Rc::strong_count(&wrapped), 2);
///
///     // Or drop it: it goes home.
///     annulus::spawn_blocking(move || drop(wrapped)).await.unwrap();
///     while Rc::strong_count(&shared) > 1 {
///         annulus::yield_now().await;
///     }
/// })?;
/// # Ok::<(), annulus::Error>(())
/// ```
pub struct LocalSend<T: 'static>(Homed<T>);

/// A future that is `Send` and `Sync`, whatever it holds: see [`LocalSend`].
///
/// For handlers of axum, which must be `Send` and yet hold streams, files or an `Rc` of the loop while they wait.
///
/// # Panics
/// Outside of a running loop. The future panics when it is polled on another thread.
///
/// # Cancel safety
/// As that of the future. Dropped on another thread it is dropped at home, a little later.
///
/// # Examples
/// ```
/// use std::rc::Rc;
///
/// // As axum asks it of handlers.
/// async fn serve(handler: impl Future<Output = String> + Send) -> String {
///     handler.await
/// }
///
/// annulus::run(async {
///     let answer = serve(annulus::task::local(async {
///         let name = Rc::new(String::from("Ada"));
///         annulus::yield_now().await;
///         format!("hello {name}")
///     }));
///     assert_eq!(answer.await, "hello Ada");
/// })?;
/// # Ok::<(), annulus::Error>(())
/// ```
#[track_caller]
pub fn local<F: Future + 'static>(future: F) -> LocalSend<F> {
    LocalSend::of(future, "task::local")
}

impl LocalSend<()> {
    /// How many values the process has leaked so far, of any type: each was dropped on another thread than its own after its loop had ended.
    ///
    /// A number that grows says that something which lives longer than a loop keeps what belongs to it.
    ///
    /// ```
    /// assert_eq!(annulus::task::LocalSend::leaked(), 0);
    /// ```
    pub fn leaked() -> u64 {
        leaked()
    }
}

impl<T> LocalSend<T> {
    /// Wraps a value, which belongs to the calling thread from then on.
    ///
    /// # Panics
    /// Outside of a running loop: there would be nobody to drop it. [`try_new`](LocalSend::try_new) gives it back instead.
    #[track_caller]
    pub fn new(value: T) -> LocalSend<T> {
        LocalSend::of(value, "LocalSend::new")
    }

    #[track_caller]
    fn of(value: T, what: &str) -> LocalSend<T> {
        LocalSend(expect_current(what, |engine| Homed::new(value, engine)))
    }

    /// Wraps a value, which belongs to the calling thread from then on.
    ///
    /// # Errors
    /// The value, if no loop runs on this thread.
    ///
    /// ```
    /// use annulus::task::LocalSend;
    ///
    /// assert_eq!(LocalSend::try_new(7).unwrap_err(), 7);
    /// annulus::run(async { assert_eq!(*LocalSend::try_new(7).unwrap(), 7) })?;
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn try_new(value: T) -> Result<LocalSend<T>, T> {
        let mut value = Some(value);
        let homed =
            with_current(|engine| value.take().map(|value| LocalSend(Homed::new(value, engine)))).flatten();
        match (homed, value) {
            (Some(homed), _) => Ok(homed),
            (None, Some(value)) => Err(value),
            (None, None) => unreachable!("the value is in one of both"),
        }
    }

    /// Whether the calling thread made it, so that it may be used.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::task::LocalSend;
    ///
    /// annulus::run(async {
    ///     let mut wrapped = LocalSend::new(Vec::new());
    ///     assert!(wrapped.is_here());
    ///     assert_eq!(wrapped.thread(), std::thread::current().id());
    ///     wrapped.get_mut().push(7);
    ///     wrapped.try_get_mut().unwrap().push(8);
    ///     assert_eq!(wrapped.get().len(), 2);
    ///     assert_eq!(wrapped.get_pin_mut().len(), 2);
    ///
    ///     // Elsewhere it cannot be looked into.
    ///     let wrapped = annulus::spawn_blocking(move || {
    ///         let error = wrapped.try_get().unwrap_err();
    ///         assert_eq!(error.used_by(), std::thread::current().id());
    ///         assert!(!wrapped.is_here() && error.made_by() == wrapped.thread());
    ///         wrapped.try_into_inner().unwrap_err()
    ///     });
    ///     assert_eq!(wrapped.await?.into_inner(), [7, 8]);
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn is_here(&self) -> bool {
        self.0.is_here()
    }

    /// The thread that made it.
    ///
    /// # Examples
    /// As [`is_here`](Self::is_here).
    pub fn thread(&self) -> ThreadId {
        self.0.thread()
    }

    /// The value.
    ///
    /// # Panics
    /// On another thread than the one that made it. [`try_get`](LocalSend::try_get) gives an error instead.
    ///
    /// # Examples
    /// As [`is_here`](Self::is_here).
    #[track_caller]
    #[inline]
    pub fn get(&self) -> &T {
        match self.0.get() {
            Some(value) => value,
            None => WrongThread::of(&self.0).panic(),
        }
    }

    /// The value, to be changed.
    ///
    /// # Panics
    /// On another thread than the one that made it.
    ///
    /// # Examples
    /// As [`is_here`](Self::is_here).
    #[track_caller]
    #[inline]
    pub fn get_mut(&mut self) -> &mut T
    where
        T: Unpin,
    {
        self.get_pin_mut().get_mut()
    }

    /// The value, to be changed, where it is pinned: also if it is not `Unpin`, as the futures of `async` blocks are.
    ///
    /// # Panics
    /// On another thread than the one that made it.
    ///
    /// # Examples
    /// As [`is_here`](Self::is_here).
    #[track_caller]
    #[inline]
    pub fn get_pin_mut(&mut self) -> Pin<&mut T> {
        let wrong = WrongThread::of(&self.0);
        match self.0.get_mut() {
            Some(value) => value,
            None => wrong.panic(),
        }
    }

    /// The value.
    ///
    /// # Errors
    /// [`WrongThread`] on another thread than the one that made it.
    ///
    /// ```
    /// use annulus::task::LocalSend;
    ///
    /// annulus::run(async {
    ///     let wrapped = LocalSend::new(7);
    ///     assert_eq!(wrapped.try_get(), Ok(&7));
    ///     let elsewhere = annulus::spawn_blocking(move || wrapped.try_get().unwrap_err().to_string());
    ///     assert!(elsewhere.await.unwrap().contains("the thread that made it"));
    /// })?;
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn try_get(&self) -> Result<&T, WrongThread> {
        self.0.get().ok_or_else(|| WrongThread::of(&self.0))
    }

    /// The value, to be changed.
    ///
    /// # Errors
    /// [`WrongThread`] on another thread than the one that made it.
    ///
    /// # Examples
    /// As [`is_here`](Self::is_here).
    pub fn try_get_mut(&mut self) -> Result<&mut T, WrongThread>
    where
        T: Unpin,
    {
        let wrong = WrongThread::of(&self.0);
        self.0.get_mut().map(Pin::get_mut).ok_or(wrong)
    }

    /// The value itself.
    ///
    /// # Panics
    /// On another thread than the one that made it; the value is mailed home. [`try_into_inner`](LocalSend::try_into_inner)
    /// gives it back instead.
    ///
    /// # Examples
    /// As [`is_here`](Self::is_here).
    #[track_caller]
    pub fn into_inner(self) -> T
    where
        T: Unpin,
    {
        match self.0.into_inner() {
            Ok(value) => value,
            Err(homed) => WrongThread::of(&homed).panic(),
        }
    }

    /// The value itself.
    ///
    /// # Errors
    /// The same again on another thread than the one that made it.
    ///
    /// # Examples
    /// As [`is_here`](Self::is_here).
    pub fn try_into_inner(self) -> Result<T, LocalSend<T>>
    where
        T: Unpin,
    {
        self.0.into_inner().map_err(LocalSend)
    }
}

impl<T> Deref for LocalSend<T> {
    type Target = T;

    #[track_caller]
    #[inline]
    fn deref(&self) -> &T {
        self.get()
    }
}

impl<T: Unpin> DerefMut for LocalSend<T> {
    #[track_caller]
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.get_mut()
    }
}

impl<F: Future> Future for LocalSend<F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.get_pin_mut().poll(cx)
    }
}

impl<S: Stream> Stream for LocalSend<S> {
    type Item = S::Item;

    #[track_caller]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.get_pin_mut().poll_next(cx)
    }

    /// On another thread nothing is known of it.
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.get().map_or((0, None), S::size_hint)
    }
}

impl<T: fmt::Debug> fmt::Debug for LocalSend<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.get() {
            Some(value) => f.debug_tuple("LocalSend").field(value).finish(),
            None => f.debug_tuple("LocalSend").field(&format_args!("of {:?}", self.0.thread())).finish(),
        }
    }
}

/// Somebody wanted a [`LocalSend`]'s value on another thread than its own.
///
/// # Examples
/// As [`LocalSend::is_here`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongThread {
    made_by: ThreadId,
    used_by: ThreadId,
}

impl WrongThread {
    fn of<T>(homed: &Homed<T>) -> WrongThread {
        WrongThread { made_by: homed.thread(), used_by: here() }
    }

    #[cold]
    #[track_caller]
    fn panic(self) -> ! {
        panic!("{self}")
    }

    /// The thread that made the value and may use it.
    ///
    /// # Examples
    /// As [`LocalSend::is_here`].
    pub fn made_by(&self) -> ThreadId {
        self.made_by
    }

    /// The thread that wanted it.
    ///
    /// # Examples
    /// As [`LocalSend::is_here`].
    pub fn used_by(&self) -> ThreadId {
        self.used_by
    }
}

impl fmt::Display for WrongThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a LocalSend was used outside of the thread that made it, by {:?} instead of {:?}: it was probably given to an executor \
             with several threads. Poll it on its own loop, or have that do the work by Remote::spawn; other threads may keep, \
             pass on and drop it",
            self.used_by, self.made_by
        )
    }
}

impl Error for WrongThread {}
