//! A shard as its own code sees it: one loop of several, on a thread of its own.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use super::balance::{Balance, Chooser};
use super::event::{Event, Events};
use super::shards::Shards;
use super::sockets::Sockets;
use crate::cancel::CancelToken;
use crate::sync::watch;

thread_local! {
    static CURRENT: RefCell<Option<Shard>> = const { RefCell::new(None) };
}

/// One loop of several: what the future of [`Launch::run`](super::Launch::run) is made with. It stays on its thread.
///
/// # Examples
/// ```
/// let names = annulus::launch().shards(2).name("web").run(|shard| async move {
///     assert!(shard.index() < shard.count());
///     std::io::Result::Ok(std::thread::current().name().unwrap().to_owned())
/// })?;
/// assert_eq!(names, ["web-0", "web-1"]);
/// # Ok::<(), annulus::launch::Failure>(())
/// ```
#[derive(Clone)]
pub struct Shard {
    local: Rc<Local>,
}

/// What one start of a shard has.
pub(super) struct Local {
    pub(super) index: usize,
    pub(super) cpu: Option<usize>,
    /// How often it was started before.
    pub(super) restarts: u32,
    pub(super) shards: Shards,
    pub(super) sockets: Sockets,
    pub(super) balance: Balance,
    pub(super) chooser: Arc<Chooser>,
    pub(super) events: Events,
    /// Says that it is to end in an orderly way.
    pub(super) stopping: CancelToken,
    /// Somebody else goes on with the listeners, so what waits in them is theirs.
    pub(super) is_succeeded: Cell<bool>,
    /// Says that it is cut off.
    pub(super) end: CancelToken,
    pub(super) reloads: watch::Sender<u64>,
    /// What [`Sharded`](super::Sharded) has here, by its number.
    pub(super) values: RefCell<HashMap<u64, Rc<dyn Any>>>,
}

impl Shard {
    pub(super) fn new(local: Local) -> Shard {
        Shard { local: Rc::new(local) }
    }

    pub(super) fn local(&self) -> &Local {
        &self.local
    }

    /// The shard whose thread this is.
    ///
    /// ```
    /// assert!(annulus::launch::Shard::current().is_none(), "nothing was launched here");
    /// ```
    pub fn current() -> Option<Shard> {
        CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
    }

    /// As long as what this gives lives, this is the thread's shard.
    pub(super) fn enter(&self) -> Entered {
        CURRENT.with(|current| *current.borrow_mut() = Some(self.clone()));
        Entered(())
    }

    /// What drops the parts of sharded state.
    pub(super) fn values(&self) -> Values {
        Values(self.clone())
    }

    /// Which one it is, counted from 0.
    pub fn index(&self) -> usize {
        self.local.index
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.local.shards.count()
    }

    /// The number of the processor that its thread is bound to, if it is: see [`Launch::pin`](super::Launch::pin).
    ///
    /// # Examples
    /// ```
    /// annulus::launch().shards(1).run(|shard| async move {
    ///     println!("shard {} of {}, on processor {:?}", shard.index(), shard.count(), shard.cpu());
    ///     assert_eq!(shard.restarts(), 0);
    ///     std::io::Result::Ok(())
    /// })?;
    /// # Ok::<(), annulus::launch::Failure>(())
    /// ```
    pub fn cpu(&self) -> Option<usize> {
        self.local.cpu
    }

    /// How often it failed and was started again: 0 at first. See [`OnFailure::Restart`](super::OnFailure).
    ///
    /// # Examples
    /// As [`cpu`](Self::cpu).
    pub fn restarts(&self) -> u32 {
        self.local.restarts
    }

    /// The way to each shard, this one among them.
    pub fn shards(&self) -> &Shards {
        &self.local.shards
    }

    /// Cancelled when the shard is to end in an orderly way: to take nothing new, and finish what runs. What has not ended
    /// when [`Launch::drain_limit`](super::Launch::drain_limit) is over is cut off.
    ///
    /// # Examples
    /// ```
    /// let launched = annulus::launch().shards(1).start(|shard| async move {
    ///     shard.stopping().cancelled().await;
    ///     std::io::Result::Ok("an orderly end")
    /// })?;
    /// launched.stop();
    /// assert_eq!(launched.join()?, ["an orderly end"]);
    /// # Ok::<(), annulus::launch::Failure>(())
    /// ```
    pub fn stopping(&self) -> &CancelToken {
        &self.local.stopping
    }

    /// Tells how often settings were to be read again: by SIGHUP [as a service](super::Launch::as_service), or by
    /// [`Launched::reload`](super::Launched::reload).
    ///
    /// # Examples
    /// ```
    /// let launched = annulus::launch().shards(1).start(|shard| async move {
    ///     let mut reloads = shard.reloads();
    ///     shard.ready();
    ///     reloads.changed().await.expect("as long as the shard is there");
    ///     let times = *reloads.borrow();
    ///     std::io::Result::Ok(times)
    /// })?;
    /// launched.wait_until_ready();
    /// launched.reload();
    /// assert_eq!(launched.join()?, [1]);
    /// # Ok::<(), annulus::launch::Failure>(())
    /// ```
    pub fn reloads(&self) -> watch::Receiver<u64> {
        self.local.reloads.subscribe()
    }

    /// Says that this shard serves from now on. When all have said so the launch is ready: whoever waits for it is told, the
    /// service manager for example. [`incoming`](Self::incoming) says it by itself.
    ///
    /// # Examples
    /// As [`Launched`](super::Launched).
    pub fn ready(&self) {
        self.local.events.tell(Event::Ready(self.index()));
    }
}

/// As long as this lives, a thread is a shard's.
pub(super) struct Entered(());

impl Drop for Entered {
    fn drop(&mut self) {
        let shard = CURRENT.with(|current| current.borrow_mut().take());
        drop(shard);
    }
}

/// Drops the parts of sharded state with it.
pub(super) struct Values(Shard);

impl Drop for Values {
    fn drop(&mut self) {
        // Somebody's code, which may look for others.
        let values = self.0.local().values.take();
        drop(values);
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("index", &self.index())
            .field("cpu", &self.cpu())
            .finish_non_exhaustive()
    }
}
