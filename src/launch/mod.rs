//! Many cores: one loop each, on a thread of its own, and the life of a server that is made of them.
//!
//! [`launch()`](crate::launch()) starts as many loops as there are processors to have. Each, a *shard*, has its own tasks, timers, ring and buffers,
//! and shares nothing unless it is asked to: so nothing is locked, and what one shard does costs the others nothing.
//!
//! - [`Launch`]: how many, where, and what becomes of the others when one fails
//! - [`Shard`]: one of them, as its own code sees it; [`Shards`]: all of them, from any thread
//! - [`Incoming`]: its connections, and [`Balance`]: which shard gets one
//! - [`Sharded`]: state of which each shard has a part; between shards, the channels of [`sync::across`](crate::sync::across)
//! - [`Launch::as_service`]: an orderly end, settings read again, and **a restart that loses no connection**
//!
//! When one loop per core is right, and when it is not: docs/scaling.md.
//!
//! # Examples
//! A server on all processors, which SIGTERM ends in an orderly way:
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use annulus::launch::OnFailure;
//!
//! let launched = annulus::launch()
//!     .listen("127.0.0.1:0")
//!     .on_failure(OnFailure::restart(5, Duration::from_secs(60)))
//!     .drain_limit(Duration::from_secs(10))
//!     .as_service()
//!     .start(|shard| async move {
//!         let mut incoming = shard.incoming()?;
//!         let mut answers = annulus::task::JoinSet::new();
//!         while let Some(connection) = incoming.next().await {
//!             let Ok(connection) = connection else { continue };
//!             answers.spawn(async move { connection.write_all("hello\n").await.0 });
//!         }
//!         // A shard ends with its future, and its tasks with it.
//!         answers.join_all().await;
//!         std::io::Result::Ok(())
//!     })?;
//! println!("listening at {}", launched.addresses()[0]);
//! # launched.stop();
//! launched.join()?;
//! # Ok(())
//! # }
//! ```

mod balance;
mod connection;
mod event;
mod failure;
mod incoming;
mod inherited;
mod launched;
mod life;
mod load;
mod notice;
mod plan;
mod rescue;
mod shard;
mod sharded;
mod shards;
mod sockets;
mod supervisor;
mod thread;

pub use balance::Balance;
pub use connection::Connection;
pub use failure::{Cause, Failure, OnFailure};
pub use incoming::Incoming;
pub use launched::Launched;
#[cfg(feature = "http-serve")]
pub(crate) use load::Counted;
pub use notice::Notice;
pub use shard::Shard;
pub use sharded::Sharded;
pub use shards::Shards;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use life::Succession;
use plan::{Configure, Plan, Tell};
use sockets::{Group, Sockets};

use crate::runtime::Builder;
use crate::topology::Topology;

/// Settings for several loops, one a thread: as many as there are processors to have. See the [module](self).
///
/// # Examples
/// As the [module](self).
pub fn launch() -> Launch {
    Launch::new()
}

/// What is asked for, until the shards are started by [`run`](Launch::run) or [`start`](Launch::start). Made by [`launch`].
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use annulus::launch::{Balance, OnFailure, Pin};
///
/// let launch = annulus::launch()
///     .shards(2)
///     .name("worker") // the threads are worker-0 and worker-1
///     .stack_size(1 << 20)
///     .pin(Pin::Never)
///     .listen("127.0.0.1:0")
///     .balance(Balance::LeastConnections)
///     .on_failure(OnFailure::GoOn)
///     .drain_limit(Duration::from_secs(5))
///     .cut_off_limit(Duration::from_secs(5));
/// let shards = launch.handle();
/// let names = launch.run(|_shard| async {
///     std::io::Result::Ok(std::thread::current().name().unwrap().to_owned())
/// })?;
/// assert_eq!(names, ["worker-0", "worker-1"]);
/// assert_eq!(shards.count(), 2);
/// # Ok::<(), annulus::launch::Failure>(())
/// ```
#[must_use = "nothing is started until `run` or `start`"]
pub struct Launch {
    count: Option<usize>,
    pin: Pin,
    name: String,
    stack_size: Option<usize>,
    configure: Option<Arc<Configure>>,
    on_failure: OnFailure,
    drain_limit: Duration,
    cut_off_limit: Duration,
    is_service: bool,
    succession: Succession,
    balance: Balance,
    tell: Option<Arc<Tell>>,
    /// Resolved when `listen` was called, so that a mistake is told with its name.
    addresses: Vec<io::Result<Vec<SocketAddr>>>,
    shards: Shards,
}

/// Whether the threads of the shards are bound to processors. See [`Launch::pin`].
///
/// # Examples
/// As [`Launch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pin {
    /// They are if there are as many shards as processors that this process may use, and no quota below that: then each has its own. With fewer
    /// shards than processors the system knows better than we do which are idle, and two programs that each bind their threads to
    /// the first processors would share those and leave the rest. And they are with [`Balance::Cpu`]. Where it is refused they are not. The default.
    #[default]
    Auto,
    /// They are: to one hardware thread of each core first. Where it is refused the shard fails.
    Always,
    /// They are not.
    Never,
}

impl Launch {
    fn new() -> Launch {
        Launch {
            count: None,
            pin: Pin::Auto,
            name: "shard".to_owned(),
            stack_size: None,
            configure: None,
            on_failure: OnFailure::Stop,
            drain_limit: Duration::from_secs(10),
            cut_off_limit: Duration::from_secs(10),
            is_service: false,
            succession: Succession::default(),
            balance: Balance::Kernel,
            tell: None,
            addresses: Vec::new(),
            shards: Shards::new(),
        }
    }

    /// How many shards. By default as many as [`Topology::loops`] says: the processors that this process may use, and no more than its quota of processor time, as
    /// a container has one.
    ///
    /// # Panics
    /// If it is zero.
    pub fn shards(mut self, count: usize) -> Launch {
        assert!(count > 0, "without a shard nothing runs");
        self.count = Some(count);
        self
    }

    /// Whether each thread is bound to a processor. By default [`Pin::Auto`]. sched_setaffinity(2); elsewhere than on Linux no thread is bound.
    pub fn pin(mut self, pin: Pin) -> Launch {
        self.pin = pin;
        self
    }

    /// What the threads are called: this, a dash, and the shard's number. By default "shard".
    ///
    /// # Panics
    /// If it holds a zero byte.
    pub fn name(mut self, name: impl Into<String>) -> Launch {
        self.name = name.into();
        assert!(!self.name.contains('\0'), "a thread's name holds no zero byte");
        self
    }

    /// The size of the threads' stacks, in bytes. By default std's, two MiB. std::thread::Builder::stack_size.
    pub fn stack_size(mut self, bytes: usize) -> Launch {
        self.stack_size = Some(bytes);
        self
    }

    /// Settings of each shard's loop: given the shard's number and the usual settings, gives others.
    ///
    /// # Examples
    /// ```
    /// use annulus::Driver;
    ///
    /// let drivers = annulus::launch()
    ///     .shards(2)
    ///     .runtime(|_shard, builder| builder.driver(Driver::Readiness).entries(1024))
    ///     .run(|_| async { std::io::Result::Ok(annulus::Runtime::try_current().unwrap().driver()) })?;
    /// assert_eq!(drivers, ["readiness"; 2]);
    /// # Ok::<(), annulus::launch::Failure>(())
    /// ```
    pub fn runtime(mut self, settings: impl Fn(usize, Builder) -> Builder + Send + Sync + 'static) -> Launch {
        self.configure = Some(Arc::new(settings));
        self
    }

    /// What becomes of the others when a shard fails. By default [`OnFailure::Stop`].
    pub fn on_failure(mut self, policy: OnFailure) -> Launch {
        self.on_failure = policy;
        self
    }

    /// How long shards that were told to stop may take to finish what runs, before they are cut off. By default ten seconds.
    pub fn drain_limit(mut self, limit: Duration) -> Launch {
        self.drain_limit = limit;
        self
    }

    /// How long shards that were cut off may take to end. By default ten seconds. One that has not ended by then has a task that blocks its thread, which
    /// nobody can stop from outside: it is left alone, and the launch says so.
    pub fn cut_off_limit(mut self, limit: Duration) -> Launch {
        self.cut_off_limit = limit;
        self
    }

    /// Which shard gets a connection. By default the one that the kernel chooses: [`Balance::Kernel`].
    pub fn balance(mut self, policy: Balance) -> Launch {
        self.balance = policy;
        self
    }

    /// Listens at an address, on all shards before the first of them begins: each has a socket of its own, among which the kernel
    /// spreads the connections (SO_REUSEPORT, socket(7); elsewhere than on Linux they share one). Of the several addresses that a name may have the first one that can be had
    /// is taken; port 0 lets the system choose, and [`Launched::addresses`] says what. Can be said several times, for several addresses.
    ///
    /// An address where somebody listens already is refused. What goes wrong is told when the shards are started.
    ///
    /// Connections wait for each shard from then on, so each is to accept: by [`Shard::incoming`], or from its [`Shard::listeners`].
    ///
    /// [As a service](Self::as_service) it takes the sockets that it was started with instead.
    pub fn listen(mut self, address: impl ToSocketAddrs) -> Launch {
        self.addresses.push(address.to_socket_addrs().map(Iterator::collect).map_err(sockets::no_address));
        self
    }

    /// Lives as a service does, from the start of the shards to their end. By signals it takes orders:
    ///
    /// - SIGTERM, SIGINT: [`Launched::stop`], an orderly end; the second time, at once
    /// - SIGHUP: [`Launched::reload`]
    /// - SIGUSR2: [`Launched::restart`], another process of this program takes over
    ///
    /// It takes the listening sockets that the process was started with for those that it is to [`listen`](Self::listen) at: by a
    /// service manager or by a process that gives way to it, see [`service::inherited`](crate::service::inherited). And it tells a service manager, where
    /// there is one, when all shards are ready, and when they stop: [`service::ready`](crate::service::ready). If the manager watches (WatchdogSec=), it is told that the
    /// service is alive as long as each shard answers.
    ///
    /// Sockets of other kinds than TCP listeners among those are refused: a program that is given such takes them by
    /// [`service::inherited`](crate::service::inherited) before, and all. The signals do not do what they do by default any more, also when the shards have ended.
    ///
    /// # Examples
    /// As the [module](self).
    #[doc(alias = "signals")]
    pub fn as_service(mut self) -> Launch {
        self.is_service = true;
        self
    }

    /// What [`Launched::restart`] starts: a command that `program` makes, and for how long it may not be ready before it is given up. By default
    /// [`service::program`](crate::service::program), this program as it was started, and a minute.
    ///
    /// # Examples
    /// ```
    /// # use std::{process::Command, time::Duration};
    /// let next = || Ok(Command::new("/opt/server/next")); // another version, at its own place
    /// let launch = annulus::launch().as_service().successor(next, Duration::from_secs(20));
    /// ```
    pub fn successor(
        mut self,
        program: impl Fn() -> io::Result<Command> + Send + Sync + 'static,
        limit: Duration,
    ) -> Launch {
        self.succession = Succession { program: Arc::new(program), limit };
        self
    }

    /// Is told what happens to the launch, on the thread that watches over the shards: signals and failures wait until it returns. By default failures are written
    /// to standard error; so is what is told to one that panics.
    ///
    /// # Examples
    /// ```
    /// annulus::launch()
    ///     .shards(1)
    ///     .on_notice(|notice| eprintln!("server: {notice}"))
    ///     .run(|shard| async move {
    ///         shard.ready();
    ///         std::io::Result::Ok(())
    ///     })?;
    /// # Ok::<(), annulus::launch::Failure>(())
    /// ```
    pub fn on_notice(mut self, tell: impl Fn(&Notice<'_>) + Send + Sync + 'static) -> Launch {
        self.tell = Some(Arc::new(tell));
        self
    }

    /// The way to the shards, for what is made before them. Whoever asks one before they are started is told so by a panic.
    pub fn handle(&self) -> Shards {
        self.shards.clone()
    }

    /// State of which each shard has a part of its own, made there by `make` when it is first wanted. See [`Sharded`].
    ///
    /// # Examples
    /// As [`Sharded`].
    pub fn sharded<T: 'static>(&self, make: impl Fn(&Shard) -> T + Send + Sync + 'static) -> Sharded<T> {
        Sharded::new(&self.shards, make)
    }

    /// Starts the shards, each with a future that `main` makes on its thread, and waits until all have ended: gives their results, in their
    /// order. A shard whose future ends has ended, with its tasks.
    ///
    /// # Errors
    /// The first failure that the launch did not get over: of a shard, see [`OnFailure`], or of the start: an address that cannot be had, a
    /// loop that cannot be made. To have what each shard came to, [`start`](Self::start) and [`Launched::outcomes`].
    ///
    /// # Panics
    /// On a thread where an annulus loop runs, which would stand still meanwhile.
    ///
    /// # Examples
    /// ```
    /// let squares = annulus::launch().shards(3).run(|shard| async move {
    ///     std::io::Result::Ok(shard.index() * shard.index())
    /// })?;
    /// assert_eq!(squares, [0, 1, 4]);
    /// # Ok::<(), annulus::launch::Failure>(())
    /// ```
    #[track_caller]
    pub fn run<F, T, E>(self, main: impl Fn(Shard) -> F + Send + Sync + 'static) -> Result<Vec<T>, Failure>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        launched::refuse_a_loop();
        self.start(main)?.join()
    }

    /// Starts the shards, and gives what they are watched, stopped and waited for by. When this returns all sockets listen, each shard has its loop and
    /// can be asked to do something.
    ///
    /// # Errors
    /// An address that cannot be had, a thread that cannot be started, a loop that cannot be made: then no shard has begun.
    ///
    /// # Examples
    /// As [`Launched`].
    pub fn start<F, T, E>(
        self,
        main: impl Fn(Shard) -> F + Send + Sync + 'static,
    ) -> Result<Launched<T>, Failure>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let plan =
            self.plan().map_err(|error| Failure { shard: None, cause: Cause::Failed(error.into()) })?;
        launched::start(Arc::new(plan), main)
    }

    fn plan(self) -> io::Result<Plan> {
        let topology = Topology::read();
        let count = self.count.unwrap_or_else(|| topology.loops());
        let cpus = topology.places(count);
        let is_whole =
            count == topology.cpus().len() && topology.quota().is_none_or(|quota| quota >= count as f64);
        let pins = match self.pin {
            // A connection is steered to the shard that is bound to its processor.
            Pin::Auto => is_whole || self.balance == Balance::Cpu,
            Pin::Always => true,
            Pin::Never => false,
        };
        let addresses = self.addresses.into_iter().collect::<io::Result<Vec<_>>>()?;
        let given = if self.is_service && !addresses.is_empty() {
            inherited::groups(&addresses)?
        } else {
            Vec::new()
        };
        let mut given = given.into_iter();
        let groups = addresses.into_iter().map(|addresses| match given.next().flatten() {
            Some(given) => Group::inherited(given, count, self.balance, &cpus),
            None => Group::bind(addresses, count, self.balance, &cpus),
        });
        let groups = groups.collect::<io::Result<Vec<_>>>()?;
        self.shards.set_count(count);
        Ok(Plan {
            name: self.name,
            stack_size: self.stack_size,
            cpus: (pins && cfg!(target_os = "linux")).then_some(cpus),
            has_to_pin: self.pin == Pin::Always,
            all_cpus: topology.cpus().iter().map(|cpu| cpu.number).collect(),
            configure: self.configure,
            on_failure: self.on_failure,
            drain_limit: self.drain_limit,
            cut_off_limit: self.cut_off_limit,
            is_service: self.is_service,
            succession: self.succession,
            balance: self.balance,
            chooser: Arc::default(),
            shards: self.shards,
            sockets: Sockets::new(groups),
            tell: self.tell,
        })
    }
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch")
            .field("shards", &self.count)
            .field("pin", &self.pin)
            .field("name", &self.name)
            .field("on_failure", &self.on_failure)
            .field("balance", &self.balance)
            .finish_non_exhaustive()
    }
}
