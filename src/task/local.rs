//! What a task knows of its own: a value that is there while a future is polled, and while it is dropped.
//!
//! The value lies in its future, and in a place of the thread while that runs. Nothing is borrowed while somebody's code
//! sees it (I5): they are lent a count of it.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread;

use pin_project_lite::pin_project;

/// Declares values that tasks have of their own, as [`std::thread_local!`] does for threads.
///
/// Each name is a [`LocalKey`](crate::task::LocalKey). There is no value until [`scope`](crate::task::LocalKey::scope) gives
/// one to a future. A task that is spawned inside does not inherit it: give it there, too.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// annulus::task_local! {
///     /// Whom the request is from.
///     pub static USER: String;
///     static REQUEST: u64;
/// }
///
/// async fn greet() -> String {
///     annulus::yield_now().await;
///     USER.with(|user| format!("hello {user}, this is request {}", REQUEST.get()))
/// }
///
/// let greeting = annulus::run(USER.scope("Ada".to_owned(), REQUEST.scope(7, greet())))?;
/// assert_eq!(greeting, "hello Ada, this is request 7");
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! task_local {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty);* $(;)?) => {
        $(
            $(#[$attribute])*
            $visibility static $name: $crate::task::LocalKey<$type> = {
                ::std::thread_local! {
                    static PLACE: $crate::task::LocalPlace<$type> = const { $crate::task::LocalPlace::new() };
                }
                $crate::task::LocalKey::of(PLACE)
            };
        )*
    };
}

/// Where a thread has the value of the future that runs.
#[doc(hidden)]
pub struct LocalPlace<T>(Cell<Option<Rc<T>>>);

impl<T> LocalPlace<T> {
    #[allow(clippy::new_without_default, reason = "it is made by a macro, in a constant")]
    pub const fn new() -> LocalPlace<T> {
        LocalPlace(Cell::new(None))
    }
}

/// A value that each task may have of its own. See [`task_local!`](crate::task_local).
///
/// # Examples
/// As [`task_local!`](crate::task_local).
pub struct LocalKey<T: 'static> {
    place: thread::LocalKey<LocalPlace<T>>,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn of(place: thread::LocalKey<LocalPlace<T>>) -> LocalKey<T> {
        LocalKey { place }
    }

    /// Gives `future` a value, which is there whenever it is polled, and while it is dropped. A scope inside hides it.
    ///
    /// # Cancel safety
    /// Dropping it drops the future.
    ///
    /// # Examples
    /// ```
    /// annulus::task_local! {
    ///     static USER: &'static str;
    /// }
    ///
    /// annulus::run(async {
    ///     assert!(USER.try_get().is_err(), "nobody has said");
    ///     USER.scope("Ada", async {
    ///         assert_eq!(USER.get(), "Ada");
    ///         assert_eq!(USER.with(|user| user.len()), 3);
    ///         assert_eq!(USER.try_with(|user| user.len()), Ok(3));
    ///     })
    ///     .await;
    /// })?;
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> LocalScope<T, F> {
        LocalScope { key: self, value: Some(Rc::new(value)), future: Some(future) }
    }

    /// Runs a closure with a value.
    ///
    /// ```
    /// annulus::task_local! { static DEPTH: u32; }
    /// assert_eq!(DEPTH.sync_scope(1, || DEPTH.get() + DEPTH.sync_scope(10, || DEPTH.get())), 11);
    /// ```
    pub fn sync_scope<R>(&'static self, value: T, run: impl FnOnce() -> R) -> R {
        let mut value = Some(Rc::new(value));
        let _exchanged = Exchanged::new(self, &mut value);
        run()
    }

    /// Lends the value to a closure, which may begin other scopes.
    ///
    /// # Panics
    /// Where there is none: outside of every [`scope`](Self::scope). In a task that was spawned inside, as well.
    ///
    /// # Examples
    /// As [`scope`](Self::scope).
    #[track_caller]
    pub fn with<R>(&'static self, look: impl FnOnce(&T) -> R) -> R {
        match self.value() {
            Some(value) => look(&value),
            None => panic!("{AccessError}"),
        }
    }

    /// As [`with`](Self::with), where there may be none.
    ///
    /// # Errors
    /// [`AccessError`] outside of every scope.
    ///
    /// # Examples
    /// As [`scope`](Self::scope).
    pub fn try_with<R>(&'static self, look: impl FnOnce(&T) -> R) -> Result<R, AccessError> {
        self.value().map(|value| look(&value)).ok_or(AccessError)
    }

    /// A copy of the value.
    ///
    /// # Panics
    /// As [`with`](Self::with).
    ///
    /// # Examples
    /// As [`scope`](Self::scope).
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// As [`get`](Self::get), where there may be none.
    ///
    /// # Errors
    /// [`AccessError`] outside of every scope.
    ///
    /// # Examples
    /// As [`scope`](Self::scope).
    pub fn try_get(&'static self) -> Result<T, AccessError>
    where
        T: Clone,
    {
        self.try_with(T::clone)
    }

    fn value(&'static self) -> Option<Rc<T>> {
        // Whoever asks while the thread ends, after its places are gone, finds none.
        let value = self.place.try_with(|place| {
            let value = place.0.take();
            place.0.set(value.clone());
            value
        });
        value.ok().flatten()
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey").finish_non_exhaustive()
    }
}

/// While this lives, a value is in its place, and what was there is where the value was.
struct Exchanged<'a, T: 'static> {
    key: &'static LocalKey<T>,
    other: &'a mut Option<Rc<T>>,
}

impl<T: 'static> Exchanged<'_, T> {
    fn new<'a>(key: &'static LocalKey<T>, value: &'a mut Option<Rc<T>>) -> Exchanged<'a, T> {
        let mut exchanged = Exchanged { key, other: value };
        exchanged.exchange();
        exchanged
    }

    fn exchange(&mut self) {
        // Nothing to put it into, while the thread ends: then nobody can ask for it, either.
        let _ = self.key.place.try_with(|place| *self.other = place.0.replace(self.other.take()));
    }
}

impl<T: 'static> Drop for Exchanged<'_, T> {
    fn drop(&mut self) {
        self.exchange();
    }
}

pin_project! {
    /// The future of [`LocalKey::scope`].
    ///
    /// # Examples
    /// As [`LocalKey::scope`].
    #[must_use = "it does nothing until it is awaited"]
    pub struct LocalScope<T: 'static, F> {
        key: &'static LocalKey<T>,
        value: Option<Rc<T>>,
        #[pin]
        future: Option<F>,
    }

    impl<T: 'static, F> PinnedDrop for LocalScope<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                let _exchanged = Exchanged::new(this.key, this.value);
                this.future.set(None);
            }
        }
    }
}

impl<T: 'static, F: Future> Future for LocalScope<T, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _exchanged = Exchanged::new(this.key, this.value);
        let future = this.future.as_mut().as_pin_mut();
        let polled = future.expect("a scope of a task-local value was polled after it had resolved").poll(cx);
        if polled.is_ready() {
            // While the value is there.
            this.future.set(None);
        }
        polled
    }
}

impl<T: fmt::Debug + 'static, F> fmt::Debug for LocalScope<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalScope").field("value", &self.value).finish_non_exhaustive()
    }
}

/// There is no value: what asks is not inside of the key's [`scope`](LocalKey::scope).
///
/// # Examples
/// As [`LocalKey::scope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessError;

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a task-local value was asked for where there is none: put the future into `KEY.scope(value, future)`; \
             tasks that are spawned inside do not inherit it",
        )
    }
}

impl std::error::Error for AccessError {}
