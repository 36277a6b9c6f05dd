//! What a launch is told from outside, and what it tells: signals, the service manager, another process that takes over.

use std::cell::RefCell;
use std::io;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::event::{Ask, Event, Events, Progress};
use super::plan::Plan;
use crate::cancel::CancelToken;
use crate::executor::JoinHandle;
use crate::runtime::{Answer, spawn};
use crate::service::{self, Successor};
use crate::signal::{Signal, SignalKind, signal};
use crate::time::sleep;

/// How another process is started, and how long it may take until it is ready.
#[derive(Clone)]
pub(super) struct Succession {
    pub(super) program: Arc<dyn Fn() -> io::Result<Command> + Send + Sync>,
    pub(super) limit: Duration,
}

impl Default for Succession {
    fn default() -> Succession {
        Succession { program: Arc::new(service::program), limit: Duration::from_secs(60) }
    }
}

/// Another process that is being started.
pub(super) struct Heir {
    task: JoinHandle<()>,
    /// There when it is ready.
    successor: Rc<RefCell<Option<Successor>>>,
    /// It is not wanted any more.
    unwanted: CancelToken,
}

/// Which signal asks for what.
const ORDERS: [(SignalKind, Ask); 4] = [
    (SignalKind::terminate(), Ask::Stop),
    (SignalKind::interrupt(), Ask::Stop),
    (SignalKind::hangup(), Ask::Reload),
    (SignalKind::user_defined2(), Ask::Restart),
];

/// Listens for the signals that give orders.
pub(super) fn listen() -> io::Result<Vec<(Signal, Ask)>> {
    ORDERS.iter().map(|(kind, ask)| Ok((signal(*kind)?, *ask))).collect()
}

/// Passes on the orders that come.
pub(super) fn obey(signals: Vec<(Signal, Ask)>, events: &Events) {
    for (mut signal, ask) in signals {
        let events = events.clone();
        drop(spawn(async move {
            while signal.recv().await.is_ok() {
                events.tell(Event::Asked(ask));
            }
        }));
    }
}

/// What the manager does not hear it does not need: a server goes on.
pub(super) fn ready(plan: &Plan) {
    if plan.is_service {
        let _ = service::ready();
    }
}

pub(super) fn stopping(plan: &Plan) {
    if plan.is_service {
        let _ = service::stopping();
    }
}

/// Says that settings are read again, and when all shards have been told.
pub(super) fn reloading(plan: &Plan, was_ready: bool, told: Vec<Answer<()>>) {
    // Nobody is to take it for ready by that.
    if plan.is_service && was_ready {
        let _ = service::reloading();
        drop(spawn(async move {
            for answer in told {
                // One that has ended meanwhile has no settings.
                let _ = answer.await;
            }
            let _ = service::ready();
        }));
    }
}

/// Tells the manager that the shards are alive, as often as it wants to hear it: when each has answered. A shard that is held up does not, and the
/// manager ends and starts the service.
pub(super) async fn keep_alive(plan: Arc<Plan>) {
    let Ok(Some(interval)) = service::watchdog() else { return };
    loop {
        for answer in plan.shards.broadcast(|| ()) {
            // One that has ended has nothing to be held up by.
            let _ = answer.await;
        }
        let _ = service::alive();
        sleep(interval / 2).await;
    }
}

/// Starts another process with the sockets of this one, and tells how it goes.
pub(super) fn begin_succession(plan: &Arc<Plan>, events: &Events) -> Heir {
    let unwanted = CancelToken::new();
    let successor: Rc<RefCell<Option<Successor>>> = Rc::default();
    let (plan, events, told) = (Arc::clone(plan), events.clone(), unwanted.clone());
    let place = Rc::clone(&successor);
    let task = spawn(async move {
        let progress = match succeed(&plan, &events, &told).await {
            Ok(successor) => {
                let pid = successor.pid();
                *place.borrow_mut() = Some(successor);
                Progress::Ready(pid)
            }
            Err(error) => Progress::Failed(error),
        };
        events.tell(Event::Progress(progress));
    });
    Heir { task, unwanted, successor }
}

async fn succeed(plan: &Plan, events: &Events, unwanted: &CancelToken) -> io::Result<Successor> {
    let sockets = plan.sockets.all()?;
    let given: Vec<_> = sockets.iter().map(|(name, socket)| (name.as_str(), socket.as_fd())).collect();
    // Somebody's code.
    let program = catch_unwind(AssertUnwindSafe(|| (plan.succession.program)()));
    let program = program.unwrap_or_else(|_| Err(io::Error::other("what makes its command has panicked")))?;
    let mut successor = Successor::start(program, &given)?;
    let pid = successor.pid();
    events.tell(Event::Progress(Progress::Starting(pid)));
    match unwanted.run_until_cancelled(successor.ready(plan.succession.limit)).await {
        Some(ready) => ready?,
        None => {
            successor.end().await?;
            return Err(io::Error::other("this process was told to stop, and has ended the other"));
        }
    }
    Ok(successor)
}

impl Heir {
    /// Has it end if it is not ready yet.
    pub(super) fn renounce(&self) {
        self.unwanted.cancel();
    }

    /// Ends it, also if it has become ready in the last moment.
    pub(super) async fn ended(self) {
        let _ = self.task.await;
        let successor = self.successor.take();
        if let Some(mut successor) = successor {
            let _ = successor.end().await;
        }
    }
}

/// What the names of a predecessor's sockets begin with.
pub(super) const OURS: &str = "annulus-";

/// What a socket is called on its way to the next process: the place of its address among those of the launch.
pub(super) fn name_of(group: usize, is_managed: bool) -> String {
    format!("{OURS}{}{group}", if is_managed { "managed-" } else { "" })
}
