//! The settings of a loop.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::{Error, Runtime};
use crate::buf::PoolSize;
use crate::driver::{Choice, Driver, HelperPlan, Refusal, Settings, UnknownDriver};
use crate::engine::{Engine, Watch};
use crate::executor::{DebugPlan, Executor, Hooks, Inbox};
use crate::recorder::Ring;
use crate::{op, sys};

/// Settings for a [`Runtime`]. Everything has a good default, and nothing needs to be switched on.
///
/// # Examples
/// ```
/// use annulus::{Driver, Runtime};
///
/// let runtime = Runtime::builder().driver(Driver::Readiness).build()?;
/// assert_eq!(runtime.driver(), "readiness");
/// # Ok::<(), annulus::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing until `build`"]
pub struct Builder {
    driver: Choice,
    entries: u32,
    completions: u32,
    helpers: HelperPlan,
    shutdown_limit: Duration,
    masked: Vec<String>,
    direct: u32,
    iopoll: bool,
    kernel_workers: [u32; 2],
    spin: Duration,
    leases: PoolSize,
    hooks: Hooks,
    debug: Option<bool>,
    debug_plan: DebugPlan,
    watchdog: Option<Duration>,
    recorder: usize,
    dumps: Option<PathBuf>,
    is_unlisted: bool,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl Builder {
    /// The default settings.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    /// use annulus::{Builder, Runtime};
    ///
    /// let runtime: Runtime = Builder::new()
    ///     .entries(64)
    ///     .completions(1024)
    ///     .direct_descriptors(100)
    ///     .lease_size(4096)
    ///     .leases(16)
    ///     .leases_max(256)
    ///     .helpers_max(8)
    ///     .shutdown_limit(Duration::from_secs(1))
    ///     .build()?;
    /// assert_eq!(runtime.metrics().alive, 0);
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn new() -> Builder {
        Builder {
            driver: Choice::Auto,
            entries: 256,
            completions: 4096,
            helpers: HelperPlan { max: 512, cpus: None },
            shutdown_limit: Duration::from_secs(5),
            masked: Vec::new(),
            direct: 0,
            iopoll: false,
            kernel_workers: [0; 2],
            spin: Duration::ZERO,
            leases: PoolSize::USUAL,
            hooks: Hooks::default(),
            debug: None,
            debug_plan: DebugPlan { slow: Duration::from_millis(100), tell: None },
            watchdog: None,
            recorder: 0,
            dumps: None,
            is_unlisted: false,
        }
    }

    /// Nobody who looks at the loops of the process finds this one: it serves those who look.
    #[cfg(feature = "inspect")]
    pub(crate) fn unlisted(mut self) -> Builder {
        self.is_unlisted = true;
        self
    }

    /// Which driver. By default [`Driver::Auto`](crate::Driver).
    pub fn driver(mut self, driver: Choice) -> Builder {
        self.driver = driver;
        self
    }

    /// How many entries the ring's submission queue has: as many operations go to the kernel in one system call.
    /// By default 256. Rounded up to a power of two, at least 16; the kernel's limit is 32,768.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn entries(mut self, entries: u32) -> Builder {
        self.entries = entries;
        self
    }

    /// How many entries the ring's completion queue has. By default 4,096. More completions than fit are kept by
    /// the kernel and lost by nobody, but cost more.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn completions(mut self, completions: u32) -> Builder {
        self.completions = completions;
        self
    }

    /// How many threads at most do what can only block: [`spawn_blocking`](crate::spawn_blocking), and file
    /// operations where the driver has no other way. By default 512. They are started when there is work, and end
    /// when there was none for ten seconds.
    ///
    /// # Panics
    /// If it is zero.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn helpers_max(mut self, threads: usize) -> Builder {
        assert!(threads > 0, "without a helper thread what can only block is never done");
        self.helpers.max = threads;
        self
    }

    /// The processors that helpers run on, where that is not what the loop's thread does.
    pub(crate) fn helpers_on(mut self, cpus: Arc<[usize]>) -> Builder {
        self.helpers.cpus = Some(cpus);
        self
    }

    /// How long dropping the runtime waits for the kernel to give back what it was lent. By default five seconds.
    /// What it has not given back by then is leaked, never freed.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn shutdown_limit(mut self, limit: Duration) -> Builder {
        self.shutdown_limit = limit;
        self
    }

    /// The size of the buffers that [leases](crate::buf::Lease) are of, in bytes: what one receive gives at most. By
    /// default 16 KiB.
    ///
    /// # Panics
    /// If it is zero.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn lease_size(mut self, bytes: usize) -> Builder {
        assert!(bytes > 0, "a buffer of no bytes receives nothing");
        self.leases.bytes = bytes;
        self
    }

    /// How many such buffers there are at first: made when one is first asked for, and doubled when less than a quarter
    /// is left. By default 64. Their memory is taken from the system when they are first used.
    ///
    /// # Panics
    /// If it is zero.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn leases(mut self, count: usize) -> Builder {
        assert!(count > 0, "without a buffer nothing is received");
        self.leases.first = count;
        self
    }

    /// How many such buffers there may be, at most 32,768. By default 1,024. When less than a quarter of so many is left,
    /// what comes is copied into memory of its own, so that leases that are kept starve nobody.
    ///
    /// # Panics
    /// If it is zero.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn leases_max(mut self, count: usize) -> Builder {
        assert!(count > 0, "without a buffer nothing is received");
        self.leases.max = count;
        self
    }

    /// How many threads at most the kernel has for what it cannot do without waiting in a call: `files` for files and their
    /// names, `others` for what may wait for ever. By default as many as it likes: four a processor, and as many as the
    /// limit of processes (`ulimit -u`). 0 leaves that as it is.
    ///
    /// Fewer keep a flood of opens or writes from taking all processors; what finds no thread waits its turn. The limit is
    /// the thread's, so loops that are made one after the other on one thread share the last. io_uring_register_iowq_max_workers(3).
    /// Without effect on other drivers and on kernels before Linux 5.15.
    ///
    /// # Examples
    /// ```
    /// let runtime = annulus::Runtime::builder().kernel_workers_max(2, 64).build()?;
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn kernel_workers_max(mut self, files: u32, others: u32) -> Builder {
        self.kernel_workers = [files, others];
        self
    }

    /// Keeps up to so many accepted connections, and files that ask for it ([`OpenOptions::registered`](crate::fs::OpenOptions::registered)),
    /// in a table of the ring's own, where each operation finds them faster than
    /// in the process's table of descriptors. Nothing else changes: connections beyond that number are kept as usual, and
    /// what is not done through the ring has a descriptor of the process made for it. By default 0, none.
    ///
    /// It pays where connections are many and messages small; measure. Without effect on other drivers, and on kernels
    /// before Linux 6.8. The number is at most the process's limit of open files.
    ///
    /// # Examples
    /// As [`new`](Self::new).
    pub fn direct_descriptors(mut self, count: u32) -> Builder {
        self.direct = count;
        self
    }

    /// Asks devices whether they are done, where otherwise they interrupt: for files that are opened with O_DIRECT, by a
    /// ring of their own. By default off.
    ///
    /// It saves the interrupt and the way through it, some microseconds, where the device answers within few more: fast NVMe. The
    /// price is that each pool of registered buffers counts twice as locked memory, and a processor: while a transfer of such a file is under way the loop does not sleep, and a transfer that is under way
    /// cannot be stopped. What is not a transfer, and every other file, goes its usual way.
    ///
    /// A device has to have queues for it: `nvme.poll_queues=2` or `virtio_blk.poll_queues=2` on the kernel's command line, and
    /// `queue/io_poll` below `/sys/block/...` says 1 then. Opening a file with O_DIRECT whose device has none is refused with
    /// `Unsupported` and these words. Files of [`Dir`](crate::fs::Dir)s are like any other; those that were opened elsewhere
    /// ([`File::from_std`](crate::fs::File::from_std)) are not asked for. IORING_SETUP_IOPOLL, io_uring_setup(2). Without effect on other
    /// drivers.
    ///
    /// # Examples
    /// ```
    /// let runtime = annulus::Runtime::builder().iopoll(true).build()?;
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn iopoll(mut self, yes: bool) -> Builder {
        self.iopoll = yes;
        self
    }

    /// How long the loop looks for wakes by other threads before it sleeps, where that pays. By default zero: it sleeps at once.
    ///
    /// A loop that sleeps is woken by a system call, and its processor has to come out of its own sleep, which in a virtual machine may take 50 us.
    /// A loop that looks is told by memory alone, mostly within a microsecond. The price is a processor that is busy
    /// while it looks: with messages that come each 20 us, up to all of it. So it is for loops that have a processor each, and that ask others and
    /// wait for answers; not where loops, or other threads that they wait for, share processors or a quota.
    ///
    /// A good limit is somewhat more than a wake takes: 20 to 100 us. `cargo bench --bench shards` tells. The loop looks only if others
    /// have woken its tasks since it looked last, and more rarely each time that it was in vain, down to one wake in 1,024. So a loop that
    /// only I/O wakes never looks, and an idle one once at most. [`Metrics::spins`](crate::Metrics::spins) counts.
    ///
    /// Nothing has to wait for the end of a look: a timer that comes due and a ring that has something to tell both end it. It does
    /// not begin while operations are to be handed over or devices to be asked, nor, on the readiness driver, while
    /// anything waits for a descriptor. Where the kernel tells of completions only when it is asked and does not say that it
    /// has some (none known: Linux 5.19 and later say so, older ones deliver at once), a completion would wait for the limit at most. Without effect on
    /// a machine with one processor, and in a simulated world.
    ///
    /// # Examples
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = annulus::Runtime::builder().spin(Duration::from_micros(50)).build()?;
    /// assert_eq!(runtime.metrics().spins, 0);
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn spin(mut self, limit: Duration) -> Builder {
        self.spin = limit;
        self
    }

    /// Does one kind of operation as if the kernel's ring did not know it: by a system call and a wait, or by a
    /// helper thread. For tests, and for kernels with a bug in that operation. The names are the kernel's, in lower
    /// case: `"recv"`, `"accept"`, `"openat"`.
    ///
    /// # Examples
    /// ```
    /// let runtime = annulus::Runtime::builder().without_operation("read").build()?;
    /// let text = runtime.run(annulus::fs::read("Cargo.toml"))?;
    /// # if runtime.driver() == "sim" { return Ok(()); }
    /// assert!(text.is_ok(), "a helper thread has read it");
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn without_operation(mut self, name: &str) -> Builder {
        self.masked.push(name.to_owned());
        self
    }

    /// Makes the loop, on this thread.
    ///
    /// # Errors
    /// [`Error::Refused`] if the driver cannot be had, [`Error::UnknownDriver`] if `ANNULUS_DRIVER` has no meaning,
    /// [`Error::UnknownOperation`] if an operation to do without does not exist.
    pub fn build(self) -> Result<Runtime, Error> {
        let choice = self.choice()?;
        self.build_on(|settings, inbox| choice.open(settings, inbox))
    }

    /// Which driver that is, when the environment has been heard.
    pub(crate) fn choice(&self) -> Result<Choice, UnknownDriver> {
        match (self.driver, std::env::var("ANNULUS_DRIVER")) {
            (Choice::Auto, Ok(name)) => name.parse(),
            (driver, _) => Ok(driver),
        }
    }

    /// What was asked for, for the report: the driver, entries, places for direct descriptors.
    pub(crate) fn asked(&self) -> (Choice, u32, u32) {
        (self.driver, self.entries, self.direct)
    }

    /// Whether what the ring calls by that code is to be done without it.
    pub(crate) fn does_without(&self, code: u8) -> bool {
        self.masked.iter().any(|name| op::code_of(name) == Some(code))
    }

    /// As `build`, on a driver that was chosen otherwise.
    pub(crate) fn build_on(
        self,
        open: impl FnOnce(&Settings, &'static Inbox) -> Result<Driver, Refusal>,
    ) -> Result<Runtime, Error> {
        let settings = Settings {
            entries: self.entries,
            completions: self.completions,
            helpers: self.helpers,
            masked: codes(&self.masked)?,
            direct: self.direct,
            iopoll: self.iopoll,
            kernel_workers: self.kernel_workers,
        };
        let debug = self.debug.unwrap_or_else(|| {
            std::env::var("ANNULUS_DEBUG").is_ok_and(|value| !["", "0"].contains(&&*value))
        });
        let watch =
            self.watchdog.filter(|_| !debug).map(|limit| Watch { limit, tell: self.debug_plan.tell.clone() });
        let mut executor = Executor::new(self.hooks, debug.then_some(self.debug_plan));
        executor.recorder = (self.recorder > 0).then(|| Arc::new(Ring::new(self.recorder)));
        let driver = open(&settings, executor.inbox())?;
        let is_listed = !self.is_unlisted && !driver.is_simulated();
        let engine = Engine::new(executor, driver, self.leases);
        if is_listed {
            // Time in a simulated world is not that of who looks.
            list(&engine);
            watch.into_iter().for_each(|watch| engine.beacon.is_to_be_watched(watch));
            self.dumps.into_iter().for_each(|directory| engine.beacon.dumps_to(directory));
        }
        // Beside one processor's only thread nobody can do anything that would be worth looking for.
        let alone = self.spin.is_zero() || sys::limits::processors().is_ok_and(|online| online < 2);
        engine.spin.set_limit(if alone { Duration::ZERO } else { self.spin });
        Ok(Runtime { engine: Rc::new(engine), shutdown_limit: self.shutdown_limit, broken: Cell::new(None) })
    }
}

/// From now on other threads find the loop; with an inspector they can ask it.
fn list(engine: &Engine) {
    engine.beacon.list();
    #[cfg(feature = "inspect")]
    {
        engine.jobs();
        engine.port.call_for_a_turn();
        crate::when_a_loop_is_listed();
    }
}

impl Builder {
    pub(super) fn hooks_mut(&mut self) -> &mut Hooks {
        &mut self.hooks
    }

    pub(super) fn watchdog_mut(&mut self) -> &mut Option<Duration> {
        &mut self.watchdog
    }

    /// How many records are kept, and where they go.
    pub(super) fn recorder_mut(&mut self) -> (&mut usize, &mut Option<PathBuf>) {
        (&mut self.recorder, &mut self.dumps)
    }

    pub(super) fn debug_mut(&mut self) -> (&mut Option<bool>, &mut DebugPlan) {
        (&mut self.debug, &mut self.debug_plan)
    }
}

fn codes(names: &[String]) -> Result<Vec<u8>, Error> {
    let known = op::names();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(Error::UnknownOperation(unknown.clone())),
        None => Ok(names.iter().filter_map(|name| op::code_of(name)).collect()),
    }
}
