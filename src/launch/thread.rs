//! The thread of a shard, from its start to its end.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread::{self, JoinHandle};

use super::event::{Event, Events};
use super::failure::Cause;
use super::plan::Plan;
use super::shard::{Local, Shard};
use crate::cancel::CancelToken;
use crate::runtime::{Error, Runtime};
use crate::sync::watch;
use crate::sys;

/// What comes of a shard.
pub(super) type Ending<T> = Result<T, Cause>;

/// A shard's thread that is under way.
pub(super) struct Begun<T> {
    pub(super) thread: JoinHandle<Ending<T>>,
    /// Has it begin; when this is gone it never does.
    pub(super) go: Option<mpsc::Sender<()>>,
}

/// Starts a shard's thread. It makes its loop, says so, and waits for the word to go on.
pub(super) fn start<M, F, T, E>(
    plan: &Arc<Plan>,
    main: &Arc<M>,
    events: &Events,
    index: usize,
    restarts: u32,
) -> io::Result<Begun<T>>
where
    M: Fn(Shard) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, E>> + 'static,
    T: Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (go, gone) = mpsc::channel();
    let (plan, main, events) = (Arc::clone(plan), Arc::clone(main), events.clone());
    let mut builder = thread::Builder::new().name(format!("{}-{index}", plan.name));
    if let Some(bytes) = plan.stack_size {
        builder = builder.stack_size(bytes);
    }
    let thread = builder.spawn(move || {
        // Told whatever happens, also when something panics where nothing should.
        let ended = Ended { events: events.clone(), index };
        let load = &plan.shards.seats()[index].load;
        load.set_thread(Some(sys::affinity::thread_id()));
        let ending = live(&plan, &*main, &events, index, restarts, &gone);
        load.set_thread(None);
        drop(ended);
        ending
    })?;
    Ok(Begun { thread, go: Some(go) })
}

/// Says that the thread ends.
struct Ended {
    events: Events,
    index: usize,
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.events.tell(Event::Ended(self.index));
    }
}

fn live<M, F, T, E>(
    plan: &Arc<Plan>,
    main: &M,
    events: &Events,
    index: usize,
    restarts: u32,
    go: &mpsc::Receiver<()>,
) -> Ending<T>
where
    M: Fn(Shard) -> F,
    F: Future<Output = Result<T, E>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // Before the loop is made: what it allocates is then near.
    let cpu = pin(plan, index)?;
    // Somebody's code is run there as well.
    let built = catch_unwind(AssertUnwindSafe(|| plan.builder(index).build())).map_err(Cause::Panicked)?;
    let runtime = built.map_err(Cause::Loop)?;
    events.tell(Event::Built(index, runtime.remote()));
    if go.recv().is_err() {
        return Err(Cause::NeverBegan);
    }
    let local = Local {
        index,
        cpu,
        restarts,
        shards: plan.shards.clone(),
        sockets: plan.sockets.clone(),
        balance: plan.balance,
        chooser: Arc::clone(&plan.chooser),
        events: events.clone(),
        stopping: CancelToken::new(),
        is_succeeded: Cell::new(false),
        end: CancelToken::new(),
        reloads: watch::Sender::new(0),
        values: RefCell::default(),
    };
    let shard = Shard::new(local);
    // Before the loop runs: what it is asked from now on finds its shard.
    let _entered = shard.enter();
    let ran = catch_unwind(AssertUnwindSafe(|| run(&runtime, shard, main)));
    // What its tasks hold is dropped here, and may panic as well.
    let ended = catch_unwind(AssertUnwindSafe(|| drop(runtime)));
    let outcome = ran.map_err(Cause::Panicked)?.map_err(Cause::Loop)?;
    ended.map_err(Cause::Panicked)?;
    outcome
}

/// Binds the thread to its processor, if it has one, and gives that.
fn pin(plan: &Plan, index: usize) -> Result<Option<usize>, Cause> {
    let Some(cpu) = plan.cpus.as_ref().map(|cpus| cpus[index]) else { return Ok(None) };
    match sys::affinity::run_on(&[cpu]) {
        Ok(()) => Ok(Some(cpu)),
        Err(_) if !plan.has_to_pin => Ok(None),
        Err(error) => {
            let text = format!(
                "it cannot be bound to processor {cpu} ({error}): where a policy or a changed cpuset refuses that, \
                 Pin::Auto goes on without, and Pin::Never does not try"
            );
            Err(Cause::Thread(io::Error::new(error.kind(), text)))
        }
    }
}

/// Runs a shard's future to its end, or until it is cut off.
fn run<M, F, T, E>(runtime: &Runtime, shard: Shard, main: &M) -> Result<Ending<T>, Error>
where
    M: Fn(Shard) -> F,
    F: Future<Output = Result<T, E>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    runtime.run(async move {
        let end = shard.local().end.clone();
        // Dropped after the future, and on the loop.
        let _values = shard.values();
        let mut main = pin!(main(shard));
        let mut cut_off = pin!(end.cancelled());
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = main.as_mut().poll(cx) {
                return Poll::Ready(outcome.map_err(|error| Cause::Failed(error.into())));
            }
            cut_off.as_mut().poll(cx).map(|()| Err(Cause::CutOff))
        })
        .await
    })
}
