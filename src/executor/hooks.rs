//! What the loop calls when something happens to its tasks or to itself, and what it says by itself.

use std::any::Any;
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;

use super::header::TaskRef;
use super::task::Id;
use super::with_current;

type Hook = Option<Arc<dyn Fn() + Send + Sync>>;
type PanicHook = dyn Fn(&UnheardPanic) + Send + Sync;
pub(super) type TaskHook = Option<Arc<dyn Fn(&Meta) + Send + Sync>>;

/// The hooks of a loop. What is not set costs nothing.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) spawn: TaskHook,
    pub(crate) before_poll: TaskHook,
    pub(crate) after_poll: TaskHook,
    pub(crate) terminate: TaskHook,
    pub(crate) park: Hook,
    pub(crate) unpark: Hook,
    pub(crate) panic: Option<Arc<PanicHook>>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("spawn", &self.spawn.is_some())
            .field("poll", &(self.before_poll.is_some() || self.after_poll.is_some()))
            .field("terminate", &self.terminate.is_some())
            .field("park", &(self.park.is_some() || self.unpark.is_some()))
            .field("panic", &self.panic.is_some())
            .finish()
    }
}

/// What a hook is told of a task.
///
/// # Examples
/// As [`Builder::on_before_poll`](crate::Builder::on_before_poll).
#[derive(Clone, Debug)]
pub struct Meta {
    pub(super) id: Id,
    pub(super) name: Option<Arc<str>>,
    pub(super) spawned_at: &'static Location<'static>,
}

impl Meta {
    /// What tells the task from all others of the process.
    ///
    /// # Examples
    /// As [`Builder::on_before_poll`](crate::Builder::on_before_poll).
    pub fn id(&self) -> Id {
        self.id
    }

    /// Its name, if it was given one.
    ///
    /// # Examples
    /// As [`Builder::on_before_poll`](crate::Builder::on_before_poll).
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where it was spawned.
    ///
    /// # Examples
    /// As [`Builder::on_before_poll`](crate::Builder::on_before_poll).
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }
}

impl fmt::Display for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        write!(f, ", spawned at {}", self.spawned_at)
    }
}

/// A panic that ended a task which nobody waits for. See [`Builder::on_panic`](crate::Builder::on_panic).
///
/// # Examples
/// ```
/// let runtime = annulus::Runtime::builder()
///     .on_panic(|panic| {
///         println!("{:?}, spawned at {}", panic.task().name(), panic.task().spawned_at());
///         assert_eq!(panic.message(), Some("out of cheese"));
///         assert!(panic.payload().is::<&str>());
///     })
///     .build()?;
/// runtime.run(async {
///     drop(annulus::spawn(async { panic!("out of cheese") }));
///     annulus::yield_now().await;
/// })?;
/// # Ok::<(), annulus::Error>(())
/// ```
pub struct UnheardPanic {
    pub(super) task: Meta,
    pub(super) payload: Box<dyn Any + Send>,
}

impl UnheardPanic {
    /// The task that panicked.
    pub fn task(&self) -> &Meta {
        &self.task
    }

    /// What it panicked with.
    pub fn payload(&self) -> &(dyn Any + Send) {
        &*self.payload
    }

    /// What it said, if that is text.
    pub fn message(&self) -> Option<&str> {
        text_of(&*self.payload)
    }
}

/// A task that nobody waits for has panicked. Where its handle is dropped outside of its loop there is no hook to be told, and no
/// name: then it is said.
pub(super) fn tell_of_panic(task: &TaskRef, payload: Box<dyn Any + Send>) {
    let mut payload = Some(payload);
    with_current(|executor| {
        if let Some(payload) = payload.take_if(|_| executor.id == task.runtime) {
            tell(UnheardPanic { task: executor.meta(task), payload }, executor.hooks.panic.as_deref());
        }
    });
    if let Some(payload) = payload {
        let task = Meta { id: Id(task.id), name: None, spawned_at: task.spawned_at };
        tell(UnheardPanic { task, payload }, None);
    }
}

/// A hook that panics is not heard either: this may be somebody's drop.
fn tell(panic: UnheardPanic, hook: Option<&PanicHook>) {
    #[cfg(feature = "tracing")]
    catch_unwind(AssertUnwindSafe(|| super::traced::error(&panic))).unwrap_or_else(drop_unheard);
    let told = catch_unwind(AssertUnwindSafe(|| match hook {
        Some(hook) => hook(&panic),
        None => say(&panic),
    }));
    told.unwrap_or_else(drop_unheard);
    drop_unheard(panic.payload);
}

/// Drops what a panic carried, or what else nobody is to have. That may panic once more.
pub(crate) fn drop_unheard<T>(unwanted: T) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(unwanted))) {
        match text_of(&*another) {
            Some(_) => drop(another),
            // There is no end to what it may do.
            None => std::mem::forget(another),
        }
    }
}

/// Says something on standard error. Nobody may listen there, at which `eprintln!` would panic.
pub(crate) fn say(what: &dyn fmt::Display) {
    let _ = writeln!(io::stderr(), "annulus: {what}");
}

/// The text of a panic.
pub(super) fn text_of(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

impl fmt::Display for UnheardPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} panicked, and nobody waits for it: {}",
            self.task,
            self.message().unwrap_or("(a value that is not a text)")
        )
    }
}

impl fmt::Debug for UnheardPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnheardPanic").field("task", &self.task).field("message", &self.message()).finish()
    }
}
