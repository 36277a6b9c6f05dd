//! Watches over the shards: starts them, hears how they end, and does what was agreed on for that.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::balance::{Balance, LOOKS};
use super::event::{Ask, Event, Events, Progress};
use super::failure::{Cause, Failure, History, OnFailure};
use super::life::{self, Heir};
use super::notice::Notice;
use super::plan::Plan;
use super::rescue::rescue;
use super::shard::Shard;
use super::thread::{self, Begun};
use crate::runtime::{Answer, Remote, spawn};
use crate::sync::across::mpsc;
use crate::time::{interval, sleep, timeout_at};

/// Where a shard is.
enum Stage<T> {
    /// Its thread makes its loop.
    Building(Begun<T>),
    /// It has a loop, and waits for the others.
    Built(Begun<T>),
    Running(Begun<T>),
    /// It has no thread: it failed, and is started again later.
    Pausing,
    Over(Result<T, Failure>),
}

pub(super) struct Supervisor<M, T> {
    plan: Arc<Plan>,
    main: Arc<M>,
    events: Events,
    inbox: mpsc::UnboundedReceiver<Event>,
    stages: Vec<Stage<T>>,
    histories: Vec<History>,
    restarts: Vec<u32>,
    /// Why each was started again.
    earlier: Vec<Option<Failure>>,
    is_ready: Vec<bool>,
    /// Told once: when all have begun, and when all are ready.
    begun: Option<Told>,
    ready: Option<Told>,
    phase: Phase,
    /// It was asked to stop before all had begun.
    stops_at_once: bool,
    /// Another process that is being started.
    heir: Option<Heir>,
    /// Shards that ended meanwhile: what waits for them is the other process's if it takes over.
    unrescued: Vec<usize>,
    /// Another process has taken over.
    is_succeeded: bool,
}

/// Whom a plain thread waits for. Gone, it never comes.
type Told = std::sync::mpsc::Sender<()>;

/// How far the launch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Serving,
    /// Until then the shards may end by themselves.
    Stopping(Instant),
    /// Until then they have to have ended.
    CutOff(Instant),
}

impl<M, F, T, E> Supervisor<M, T>
where
    M: Fn(Shard) -> F + Send + Sync + 'static,
    F: Future<Output = Result<T, E>> + 'static,
    T: Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) fn new(
        plan: Arc<Plan>,
        main: M,
        events: Events,
        inbox: mpsc::UnboundedReceiver<Event>,
        (begun, ready): (Told, Told),
    ) -> Self {
        let count = plan.count();
        Supervisor {
            main: Arc::new(main),
            events,
            inbox,
            stages: (0..count).map(|_| Stage::Pausing).collect(),
            histories: (0..count).map(|_| History::default()).collect(),
            restarts: vec![0; count],
            earlier: (0..count).map(|_| None).collect(),
            is_ready: vec![false; count],
            begun: Some(begun),
            ready: Some(ready),
            phase: Phase::Starting,
            stops_at_once: false,
            heir: None,
            unrescued: Vec::new(),
            is_succeeded: false,
            plan,
        }
    }

    /// On the supervisor's own loop: to the end of all shards.
    pub(super) async fn run(mut self) -> Vec<Result<T, Failure>> {
        if self.plan.balance == Balance::LeastBusy {
            drop(spawn(watch_clocks(Arc::clone(&self.plan))));
        }
        for shard in 0..self.stages.len() {
            // One whose thread cannot be started ends all.
            if self.phase == Phase::Starting {
                self.start(shard);
            }
        }
        while !self.stages.iter().all(|stage| matches!(stage, Stage::Over(_))) {
            let deadline = match self.phase {
                Phase::Starting | Phase::Serving => None,
                Phase::Stopping(at) | Phase::CutOff(at) => Some(at),
            };
            let event = match deadline {
                None => self.inbox.recv().await,
                Some(at) => match timeout_at(at, self.inbox.recv()).await {
                    Ok(event) => event,
                    Err(_) => {
                        self.out_of_time();
                        continue;
                    }
                },
            };
            self.hear(event.expect("the supervisor has a sender itself"));
        }
        drop(self.begun.take());
        if let Some(heir) = self.heir.take().filter(|_| !self.is_succeeded) {
            heir.renounce();
            heir.ended().await;
        }
        // Whoever still holds the launch holds no listener that nobody accepts from.
        (0..self.stages.len()).for_each(|shard| self.plan.sockets.close(shard, self.stages.len()));
        let outcomes = self.stages.into_iter().map(|stage| match stage {
            Stage::Over(outcome) => outcome,
            _ => unreachable!("all are over"),
        });
        outcomes.collect()
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Built(shard, remote) => self.built(shard, remote),
            Event::Ready(shard) => {
                self.is_ready[shard] = true;
                self.tell_when_ready();
            }
            Event::Ended(shard) => self.ended(shard),
            Event::Again(shard) if matches!(self.stages[shard], Stage::Pausing) => self.start(shard),
            Event::Again(_) => {}
            Event::Asked(Ask::Reload) => self.reload(),
            Event::Asked(Ask::Restart) => self.restart(),
            Event::Asked(Ask::CutOff) => self.cut_off(),
            Event::Asked(Ask::Stop) => match self.phase {
                // Whoever is asked to stop in order has to have begun.
                Phase::Starting if !self.stops_at_once => self.stops_at_once = true,
                Phase::Serving => self.stop(),
                Phase::Starting | Phase::Stopping(_) => self.cut_off(),
                Phase::CutOff(_) => {}
            },
            Event::Progress(progress) => self.hear_of_heir(progress),
        }
    }

    fn start(&mut self, shard: usize) {
        let begun = thread::start(&self.plan, &self.main, &self.events, shard, self.restarts[shard]);
        match begun {
            Ok(begun) => self.stages[shard] = Stage::Building(begun),
            Err(error) => self.failed(shard, Cause::Thread(error)),
        }
    }

    fn built(&mut self, shard: usize, remote: Remote) {
        // Before any is told to go: whoever runs may ask for all.
        self.plan.shards.seats()[shard].set_remote(remote);
        let stage = &mut self.stages[shard];
        if let Stage::Building(begun) = std::mem::replace(stage, Stage::Pausing) {
            *stage = Stage::Built(begun);
        }
        // At first all wait for all, so that nobody asks for one that is not there; one that is started again waits for nobody.
        if self.phase == Phase::Starting && self.stages.iter().all(|stage| matches!(stage, Stage::Built(_))) {
            self.phase = Phase::Serving;
            // Nobody need wait for it.
            let _ = self.begun.take().map(|begun| begun.send(()));
            if self.plan.is_service {
                drop(spawn(life::keep_alive(Arc::clone(&self.plan))));
            }
        }
        if self.phase == Phase::Serving {
            self.stages.iter_mut().for_each(Stage::go);
            if std::mem::take(&mut self.stops_at_once) {
                self.stop();
            }
        }
    }

    fn ended(&mut self, shard: usize) {
        match std::mem::replace(&mut self.stages[shard], Stage::Pausing) {
            Stage::Building(begun) | Stage::Built(begun) | Stage::Running(begun) => {
                // It has said that it ends: this does not wait for long.
                match begun.thread.join().unwrap_or_else(|panic| Err(Cause::Panicked(panic))) {
                    Ok(value) => self.over(shard, Ok(value)),
                    Err(cause) => self.failed(shard, cause),
                }
            }
            // One that was given up has ended after all.
            other => self.stages[shard] = other,
        }
    }

    fn over(&mut self, shard: usize, outcome: Result<T, Failure>) {
        self.stages[shard] = Stage::Over(outcome);
        match self.phase {
            // The other process has the same sockets.
            _ if self.is_succeeded => {}
            // It may be about to have.
            Phase::Serving if self.heir.is_some() => self.unrescued.push(shard),
            Phase::Serving => drop(spawn(rescue(Arc::clone(&self.plan), shard))),
            _ => self.plan.sockets.close(shard, self.plan.count()),
        }
        self.tell_when_ready();
    }

    /// A shard has failed: what becomes of it, and of the others.
    fn failed(&mut self, shard: usize, cause: Cause) {
        let earlier = self.earlier[shard].take();
        let failure = match (cause, earlier) {
            // It had begun once, and why it was to begin again says more.
            (Cause::NeverBegan, Some(earlier)) => earlier,
            (cause, _) => Failure { shard: Some(shard), cause },
        };
        let pause = match self.phase {
            Phase::Serving => self.histories[shard].pause(self.plan.on_failure, Instant::now()),
            _ => None,
        };
        if let Some(after) = pause {
            self.plan.tell(&Notice::Restarting { failure: &failure, after });
            self.restarts[shard] += 1;
            self.stages[shard] = Stage::Pausing;
            self.earlier[shard] = Some(failure);
            let events = self.events.clone();
            drop(spawn(async move {
                sleep(after).await;
                events.tell(Event::Again(shard));
            }));
            return;
        }
        if failure.is_telling() {
            self.plan.tell(&Notice::Failed { failure: &failure });
        }
        self.over(shard, Err(failure));
        match (self.phase, self.plan.on_failure) {
            (Phase::Starting, _) => self.stop(),
            (Phase::Serving, OnFailure::Stop | OnFailure::Restart { .. }) => self.stop(),
            _ => {}
        }
    }

    fn tell_when_ready(&mut self) {
        let is_settled = |(stage, is_ready): (&Stage<T>, &bool)| *is_ready || matches!(stage, Stage::Over(_));
        let all = self.stages.iter().zip(&self.is_ready).all(is_settled) && self.is_ready.contains(&true);
        if self.phase == Phase::Serving && all {
            if let Some(ready) = self.ready.take() {
                self.plan.tell(&Notice::Ready);
                life::ready(&self.plan);
                // Nobody need wait for it.
                let _ = ready.send(());
            }
        }
    }

    /// Has each shard that runs do something with itself.
    fn on_each(&self, what: impl FnOnce(&Shard) + Clone + Send + 'static) -> Vec<Answer<()>> {
        let running = self.stages.iter().enumerate().filter(|(_, stage)| matches!(stage, Stage::Running(_)));
        let each = running.map(|(shard, _)| {
            let what = what.clone();
            self.plan.shards.at(shard).run(move || {
                if let Some(shard) = Shard::current() {
                    what(&shard);
                }
            })
        });
        each.collect()
    }

    /// Has the shards end in an orderly way.
    fn stop(&mut self) {
        self.phase = Phase::Stopping(after(self.plan.drain_limit));
        self.plan.tell(&Notice::Stopping { limit: self.plan.drain_limit });
        // Another process that has taken over is the service now, and goes on.
        if !self.is_succeeded {
            life::stopping(&self.plan);
            // Whoever stops this process while another is being started wants neither.
            self.heir.iter().for_each(Heir::renounce);
        }
        let is_succeeded = self.is_succeeded;
        self.on_each(move |shard| {
            shard.local().is_succeeded.set(is_succeeded);
            shard.stopping().cancel();
        });
        for shard in 0..self.stages.len() {
            match &mut self.stages[shard] {
                // Its thread finds that it never goes on.
                Stage::Building(begun) | Stage::Built(begun) => begun.go = None,
                Stage::Pausing => self.failed(shard, Cause::NeverBegan),
                Stage::Running(_) | Stage::Over(_) => {}
            }
        }
    }

    /// Has the shards end now.
    fn cut_off(&mut self) {
        if let Phase::Starting | Phase::Serving = self.phase {
            self.stop();
        }
        if let Phase::Stopping(_) = self.phase {
            self.phase = Phase::CutOff(after(self.plan.cut_off_limit));
            self.plan.tell(&Notice::CuttingOff);
            self.on_each(|shard| shard.local().end.cancel());
        }
    }

    fn out_of_time(&mut self) {
        if let Phase::Stopping(_) = self.phase {
            return self.cut_off();
        }
        for shard in 0..self.stages.len() {
            if !matches!(self.stages[shard], Stage::Over(_)) {
                // Nobody can stop a thread from outside.
                let failure = Failure { shard: Some(shard), cause: Cause::Stuck };
                self.plan.tell(&Notice::Failed { failure: &failure });
                self.over(shard, Err(failure));
            }
        }
    }

    fn reload(&mut self) {
        if self.phase == Phase::Serving {
            self.plan.tell(&Notice::Reloading);
            let told = self.on_each(|shard| shard.local().reloads.send_modify(|times| *times += 1));
            life::reloading(&self.plan, self.ready.is_none(), told);
        }
    }

    /// Has another process take over.
    fn restart(&mut self) {
        if !self.plan.is_service {
            let text = "only a launch that lives as a service takes sockets that it was started with: Launch::as_service";
            let error = std::io::Error::new(std::io::ErrorKind::Unsupported, text);
            self.plan.tell(&Notice::NotSucceeded { error: &error });
        } else if self.phase == Phase::Serving && self.heir.is_none() {
            self.heir = Some(life::begin_succession(&self.plan, &self.events));
        }
    }

    fn hear_of_heir(&mut self, progress: Progress) {
        match progress {
            Progress::Starting(pid) => self.plan.tell(&Notice::Starting { pid }),
            Progress::Ready(pid) if self.phase == Phase::Serving => {
                self.plan.tell(&Notice::Succeeded { pid });
                self.is_succeeded = true;
                self.stop();
            }
            // This process ends anyway.
            Progress::Ready(_) => {}
            Progress::Failed(error) => {
                self.heir = None;
                for shard in std::mem::take(&mut self.unrescued) {
                    drop(spawn(rescue(Arc::clone(&self.plan), shard)));
                }
                self.plan.tell(&Notice::NotSucceeded { error: &error });
            }
        }
    }
}

/// Sees how busy the shards are, as long as the loop runs.
async fn watch_clocks(plan: Arc<Plan>) {
    let mut looks = interval(LOOKS);
    loop {
        looks.tick().await;
        plan.chooser.look(&plan.shards);
    }
}

/// So much later. What is beyond all that a clock can say is some hundred years.
fn after(limit: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(1 << 33);
    Instant::now() + limit.min(NEVER)
}

impl<T> Stage<T> {
    /// Has a shard begin that waits for the word.
    fn go(&mut self) {
        if let Stage::Built(begun) = self {
            // A thread that is gone says so itself.
            let _ = begun.go.as_ref().map(|go| go.send(()));
            if let Stage::Built(begun) = std::mem::replace(self, Stage::Pausing) {
                *self = Stage::Running(begun);
            }
        }
    }
}
