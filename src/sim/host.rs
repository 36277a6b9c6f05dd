//! A host of a world: its loop, how it crashes, and how it comes back.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::panic::resume_unwind;
use std::path::Path;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::stuck::Stuck;
use super::world::{Shared, World};
use crate::driver::{Driver, Faults, sim};
use crate::executor::{JoinError, JoinHandle};
use crate::runtime::{Builder, Metrics, Runtime};

/// Starts what a host runs.
pub(super) type Main = Box<dyn Fn(&Runtime) -> JoinHandle<()>>;

/// A `main` that does nothing: for hosts that are told by [`Host::run`] what to do.
///
/// # Examples
/// As [`Host`].
pub async fn idle() {}

/// A host of a [`World`], with a loop, a disk and an address of its own.
///
/// Cloning it gives another handle to the same host.
///
/// # Examples
/// ```
/// use annulus::sim::{self, Faults, World};
/// use std::time::Duration;
///
/// let world = World::new(7);
/// let host = world.host("alone", sim::idle);
/// assert_eq!((host.name(), host.is_up()), ("alone", true));
/// println!("at {}, {} descriptors, {} turns", host.address(), host.descriptors(), host.metrics().turns);
///
/// // What is not synced may be lost when the power fails.
/// let kept = async {
///     annulus::fs::write("/note", "kept").await.0?;
///     annulus::fs::File::open("/note").await?.sync_all().await?;
///     annulus::fs::File::open("/").await?.sync_all().await
/// };
/// host.run(kept)?.unwrap();
/// host.crash();
/// host.restart();
/// assert_eq!(host.names_in("/")?.len(), 2, "the note, and /tmp");
///
/// // A task that goes on meanwhile; and what may go wrong from now on.
/// let sleeping = host.spawn(annulus::time::sleep(Duration::from_secs(1)));
/// host.set_faults(&Faults::quiet());
/// host.set_disk_capacity(Some(1 << 20));
/// host.drift_clock(100); // millionths
/// host.set_wall_clock_ahead(-1_000_000_000);
/// world.run_for(Duration::from_secs(2));
/// assert!(sleeping.is_finished() && host.has_finished());
/// host.kill(); // the program alone: the disk stays as it is
/// assert!(!host.is_up());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Host(Rc<Inside>);

struct Inside {
    world: Weak<Shared>,
    inner: Rc<RefCell<sim::World>>,
    id: sim::HostId,
    name: String,
    address: IpAddr,
    main: Main,
    life: RefCell<Option<Life>>,
    faults: RefCell<Option<Faults>>,
    /// While it turns, what it runs may not end it: the end comes after the turn.
    is_turning: Cell<bool>,
    is_to_end: Cell<Option<End>>,
}

/// How a life ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Crash,
    Kill,
}

/// From a start to a crash.
struct Life {
    runtime: Rc<Runtime>,
    main: Option<JoinHandle<()>>,
}

impl Host {
    pub(super) fn new(world: &World, id: sim::HostId, name: &str, address: IpAddr, main: Main) -> Host {
        Host(Rc::new(Inside {
            world: Rc::downgrade(&world.shared),
            inner: Rc::clone(&world.shared.inner),
            id,
            name: name.to_owned(),
            address,
            main,
            life: RefCell::new(None),
            faults: RefCell::new(None),
            is_turning: Cell::new(false),
            is_to_end: Cell::new(None),
        }))
    }

    pub(super) fn id(&self) -> sim::HostId {
        self.0.id
    }

    /// What others find it by.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Where others find it.
    pub fn address(&self) -> IpAddr {
        self.0.address
    }

    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.0.life.borrow().is_some()
    }

    /// Whether its `main` has ended.
    pub fn has_finished(&self) -> bool {
        self.0
            .life
            .borrow()
            .as_ref()
            .is_some_and(|life| life.main.as_ref().is_none_or(JoinHandle::is_finished))
    }

    pub(super) fn start(&self) {
        let runtime = Builder::new()
            .build_on(|settings, _| {
                Ok(Driver::Sim(Box::new(sim::Sim::within(&self.0.inner, self.0.id, settings))))
            })
            .expect("nothing refuses a simulated driver");
        if let Some(faults) = &*self.0.faults.borrow() {
            runtime.set_faults(faults);
        }
        let runtime = Rc::new(runtime);
        let main = (self.0.main)(&runtime);
        *self.0.life.borrow_mut() = Some(Life { runtime, main: Some(main) });
    }

    fn runtime(&self) -> Option<Rc<Runtime>> {
        self.0.life.borrow().as_ref().map(|life| Rc::clone(&life.runtime))
    }

    /// Starts a task on the host's loop. It runs while the world does.
    ///
    /// # Panics
    /// If the host is down.
    pub fn spawn<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        self.runtime().unwrap_or_else(|| self.is_down()).spawn(future)
    }

    /// Has the host run a future, and lets the world's time pass until it is ready.
    ///
    /// # Errors
    /// [`Stuck`] as with [`World::run_until`]; also if the host crashes before the future is ready.
    ///
    /// # Panics
    /// If the host is down. If the future panics, with its panic.
    pub fn run<F: Future + 'static>(&self, future: F) -> Result<F::Output, Stuck> {
        let mut task = self.spawn(future);
        let world = self.world();
        world.run_until(|| task.is_finished())?;
        match task.take() {
            Some(Ok(output)) => Ok(output),
            Some(Err(JoinError::Panicked(panic))) => resume_unwind(panic),
            Some(Err(JoinError::Cancelled)) | None => Err(Stuck::crashed(&world, &self.0.name)),
        }
    }

    /// Takes the host's current away: its tasks are gone, its connections hang, and of its disk remains what was synced,
    /// and by luck some of the rest.
    ///
    /// Called by what the host itself runs, it happens at the end of the turn.
    pub fn crash(&self) {
        self.end(End::Crash);
    }

    /// Ends what the host runs, as SIGKILL does: its tasks are gone, and the system closes what it had open. What it
    /// has written stays written.
    ///
    /// Called by what the host itself runs, it happens at the end of the turn.
    pub fn kill(&self) {
        self.end(End::Kill);
    }

    fn end(&self, end: End) {
        if self.0.is_turning.get() {
            // A crash is the worse of the two.
            let worse = self.0.is_to_end.take().filter(|before| *before == End::Crash).unwrap_or(end);
            return self.0.is_to_end.set(Some(worse));
        }
        let Some(life) = self.0.life.take() else { return };
        let mut world = self.0.inner.borrow_mut();
        match end {
            End::Crash => world.crash(self.0.id),
            End::Kill => world.kill(self.0.id),
        }
        drop(world);
        // What its tasks do when they are dropped reaches nobody.
        drop(life);
    }

    /// Starts the host again after a crash or a kill, with its `main` and its disk.
    ///
    /// # Panics
    /// If it is up.
    pub fn restart(&self) {
        assert!(!self.is_up(), "the host {:?} is up: crash() first", self.0.name);
        self.0.inner.borrow_mut().power_on(self.0.id);
        self.start();
    }

    /// What may go wrong on this host, and how often, also after a restart.
    pub fn set_faults(&self, faults: &Faults) {
        *self.0.faults.borrow_mut() = Some(faults.clone());
        if let Some(runtime) = self.runtime() {
            runtime.set_faults(faults);
        }
    }

    /// How many bytes its disk holds; None is no limit. Beyond it, ENOSPC.
    pub fn set_disk_capacity(&self, bytes: Option<u64>) {
        self.0.inner.borrow_mut().disk_of(self.0.id).set_capacity(bytes);
    }

    /// The names in a directory of its disk, sorted. Also of a host that is down.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR.
    pub fn names_in(&self, directory: impl AsRef<Path>) -> io::Result<Vec<OsString>> {
        let mut world = self.0.inner.borrow_mut();
        let names = world.disk_of(self.0.id).list(directory.as_ref().as_os_str().as_bytes());
        let names = names.map_err(io::Error::from_raw_os_error)?;
        Ok(names.into_iter().map(OsString::from_vec).collect())
    }

    /// Has the host's clock run fast by so many millionths, or slow where negative. Timers go by it.
    pub fn drift_clock(&self, millionths: i64) {
        self.0.inner.borrow().clock_at(self.0.id).drift(millionths);
    }

    /// Sets the host's time of day ahead, or behind where negative, by so many nanoseconds. Timers do not notice.
    pub fn set_wall_clock_ahead(&self, nanoseconds: i64) {
        self.0.inner.borrow().clock_at(self.0.id).set_ahead(nanoseconds);
    }

    /// What its loop has counted since it was started.
    ///
    /// # Panics
    /// If it is down.
    pub fn metrics(&self) -> Metrics {
        self.runtime().unwrap_or_else(|| self.is_down()).metrics()
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        self.0.inner.borrow().descriptors_of(self.0.id)
    }

    fn is_down(&self) -> ! {
        panic!("the host {:?} is down: restart() starts it", self.0.name)
    }

    fn world(&self) -> World {
        World { shared: self.0.world.upgrade().expect("a host is used while its world is there") }
    }

    // What the world does with it.

    pub(super) fn is_busy(&self) -> bool {
        self.runtime().is_some_and(|runtime| !runtime.is_at_rest())
    }

    pub(super) fn next_timer(&self) -> Option<u64> {
        let deadline = self.runtime()?.next_deadline()?;
        Some(self.0.inner.borrow().clock_at(self.0.id).moment_of(deadline))
    }

    /// Tasks that have not finished.
    pub(super) fn tasks(&self) -> usize {
        self.runtime().map_or(0, |runtime| runtime.alive())
    }

    /// One turn of its loop.
    pub(super) fn turn(&self) {
        let Some(runtime) = self.runtime() else { return };
        self.0.is_turning.set(true);
        let turned = runtime.step();
        self.0.is_turning.set(false);
        drop(runtime);
        turned.expect("a simulated driver refuses for now, and never for good");
        if let Some(end) = self.0.is_to_end.take() {
            return self.end(end);
        }
        let finished = self.0.life.borrow_mut().as_mut().and_then(|life| {
            let main = life.main.take_if(|main| main.is_finished());
            main.and_then(|mut main| main.take())
        });
        if let Some(Err(JoinError::Panicked(panic))) = finished {
            resume_unwind(panic);
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("name", &self.0.name).field("is_up", &self.is_up()).finish()
    }
}

/// A span in words that people read.
pub(super) fn seconds(span: Duration) -> String {
    format!("{:.6} s", span.as_secs_f64())
}
