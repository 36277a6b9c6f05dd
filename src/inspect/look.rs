//! Asking the loops: all side by side, for one picture that all viewers share, and never more often than it changes for a person.
//!
//! A loop that does not answer is not asked again until it has: what it was asked waits in its queue, once.

use std::panic::Location;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::counts::Counters;
use super::data::Data;
use crate::engine::{Beacon, Doing, beacons};
use crate::executor::{Asked, JoinError, JoinHandle};
use crate::runtime::{Answer, Remote, Survey, spawn, spawn_blocking};
use crate::sync::Mutex;
use crate::sys::stack::Frame;
use crate::time::timeout;

/// How long a picture is shown before another one is begun: so there are five a second at most.
const FRESH: Duration = Duration::from_millis(200);
/// How long a loop has to answer.
const PATIENCE: Duration = Duration::from_millis(250);
/// When it is looked at in between: a turn that goes on from here to the end of the patience is held up.
const GLANCE: Duration = Duration::from_millis(100);
/// How long one has that is held up already, or does not run.
const LITTLE: Duration = Duration::from_millis(20);
/// How often a loop that is held up is asked where it is.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How long that answer is waited for: its first names take longer, and come with the next picture.
const NAMES: Duration = Duration::from_millis(100);

/// All loops at one moment.
pub(super) struct Picture {
    pub(super) taken: Instant,
    pub(super) wall: SystemTime,
    pub(super) loops: Vec<LoopPicture>,
}

/// A loop at that moment.
pub(super) struct LoopPicture {
    pub(super) number: u64,
    pub(super) thread: Option<String>,
    pub(super) driver: &'static str,
    pub(super) doing: Doing,
    /// For how long it has been in one turn, if it is held up.
    pub(super) stalled: Option<Duration>,
    pub(super) stuck: Option<Rc<Stuck>>,
    /// The last that it has said; None if it never has.
    pub(super) data: Option<Rc<Data>>,
}

/// What a thread is in the middle of.
pub(super) struct Stuck {
    pub(super) task: Option<u64>,
    pub(super) spawned_at: Option<&'static Location<'static>>,
    pub(super) frames: Vec<Frame>,
}

impl Stuck {
    /// Asks it, which takes a while. None where that is not possible.
    fn of(beacon: &Beacon) -> Option<Stuck> {
        let asked = Asked::of(beacon.thread())?;
        let task = asked.task.as_ref();
        Some(Stuck {
            task: task.map(|task| task.id().number()),
            spawned_at: task.map(|task| task.spawned_at()),
            frames: asked.frames(),
        })
    }
}

/// Makes pictures when they are asked for.
pub(super) struct Looker {
    state: Rc<Mutex<State>>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct State {
    loops: Vec<Known>,
    last: Option<Rc<Picture>>,
}

impl Looker {
    pub(super) fn new(counters: &Arc<Counters>) -> Looker {
        Looker { state: Rc::new(Mutex::new(State::default())), counters: Arc::clone(counters) }
    }

    /// The picture of now. None if it could not be made, since the inspector ends.
    pub(super) async fn picture(&self) -> Option<Rc<Picture>> {
        let (state, counters) = (Rc::clone(&self.state), Arc::clone(&self.counters));
        // A task of its own: a viewer that goes away meanwhile leaves it to the others.
        let task = spawn(async move {
            let mut state = state.lock().await;
            match &state.last {
                Some(picture) if picture.taken.elapsed() < FRESH => Rc::clone(picture),
                _ => {
                    counters.surveys.fetch_add(1, Ordering::Relaxed);
                    state.look().await
                }
            }
        });
        task.await.ok()
    }
}

impl State {
    async fn look(&mut self) -> Rc<Picture> {
        // Not held while they are asked, or who looks next would find loops that have ended meanwhile.
        let beacons: Vec<_> =
            beacons().iter().map(|beacon| (beacon.number(), Arc::downgrade(beacon))).collect();
        let mut before = std::mem::take(&mut self.loops);
        for (number, _) in &beacons {
            let known = before.iter().position(|known| known.number == *number);
            let known = known.map(|place| before.swap_remove(place));
            self.loops.push(known.unwrap_or_else(|| Known::new(*number)));
        }
        let looks = self.loops.iter_mut().zip(&beacons).map(|(known, (_, beacon))| known.look(beacon));
        let loops = join_all(looks).await.into_iter().flatten().collect();
        let picture = Rc::new(Picture { taken: Instant::now(), wall: SystemTime::now(), loops });
        self.last = Some(Rc::clone(&picture));
        picture
    }
}

/// A loop that has been looked at.
struct Known {
    number: u64,
    asked: Option<Answer<(Instant, Survey)>>,
    data: Option<Rc<Data>>,
    held: Option<Held>,
}

/// A turn in which a loop has been at work each time that it was looked at.
struct Held {
    turn: u64,
    since: Instant,
    asked: Option<Instant>,
    asking: Option<JoinHandle<Option<Stuck>>>,
    stuck: Option<Rc<Stuck>>,
}

impl Known {
    fn new(number: u64) -> Known {
        Known { number, asked: None, data: None, held: None }
    }

    /// None if it has ended.
    async fn look(&mut self, beacon: &Weak<Beacon>) -> Option<LoopPicture> {
        // It may have answered since somebody looked last.
        if let Some(said) = self.asked.as_mut().and_then(|asked| asked.now_or_never()) {
            self.hear(said);
        }
        let doing = self.glance(beacon)?;
        if self.asked.is_none() {
            let remote = beacon.upgrade().and_then(|beacon| Remote::to(&beacon));
            self.asked = remote.map(|remote| remote.run(|| (Instant::now(), Survey::here())));
        }
        let is_known = self.held.as_ref().is_some_and(|held| held.since.elapsed() >= PATIENCE);
        let answered = match is_known || doing == Doing::Resting {
            true => self.hears_within(LITTLE).await,
            false => {
                self.hears_within(GLANCE).await || {
                    self.glance(beacon);
                    self.hears_within(PATIENCE - GLANCE).await
                }
            }
        };
        let mut stalled = None;
        match answered {
            true => self.held = None,
            false => {
                self.glance(beacon);
                if let Some(held) = &mut self.held {
                    stalled = Some(held.since.elapsed()).filter(|span| *span >= PATIENCE - GLANCE);
                    if stalled.is_some() {
                        held.ask(beacon).await;
                    }
                }
            }
        }
        let beacon = beacon.upgrade()?;
        Some(LoopPicture {
            number: self.number,
            thread: beacon.thread_name().map(str::to_owned),
            driver: beacon.driver(),
            // To be asked is work: what it was doing before is what it does.
            doing: if answered { doing } else { beacon.doing() },
            stalled,
            stuck: self.held.as_ref().filter(|_| stalled.is_some()).and_then(|held| held.stuck.clone()),
            data: self.data.clone(),
        })
    }

    /// Sees whether it is at work, and in which turn. None if it has ended.
    fn glance(&mut self, beacon: &Weak<Beacon>) -> Option<Doing> {
        let beacon = beacon.upgrade()?;
        let turn = beacon.turns();
        let is_same = self.held.as_ref().is_some_and(|held| held.turn == turn);
        let doing = beacon.doing();
        match doing {
            Doing::Working if is_same => {}
            Doing::Working => {
                self.held =
                    Some(Held { turn, since: Instant::now(), asked: None, asking: None, stuck: None });
            }
            _ => self.held = None,
        }
        Some(doing)
    }

    /// Whether it has answered, in a while.
    async fn hears_within(&mut self, span: Duration) -> bool {
        let Some(asked) = &mut self.asked else { return false };
        match timeout(span, asked).await {
            Ok(said) => self.hear(said),
            Err(_) => false,
        }
    }

    fn hear(&mut self, said: Result<(Instant, Survey), JoinError>) -> bool {
        self.asked = None;
        match said {
            Ok((taken, survey)) => {
                self.data = Some(Rc::new(Data::of(taken, survey)));
                true
            }
            // It ends, and what was known is what there is.
            Err(_) => false,
        }
    }
}

impl Held {
    /// Has the thread asked where it is, if that was not done lately.
    async fn ask(&mut self, beacon: &Weak<Beacon>) {
        if self.asking.is_none() && self.asked.is_none_or(|asked| asked.elapsed() >= ASK_AGAIN) {
            let beacon = Weak::clone(beacon);
            self.asked = Some(Instant::now());
            self.asking =
                Some(spawn_blocking(move || beacon.upgrade().and_then(|beacon| Stuck::of(&beacon))));
        }
        let Some(asking) = &mut self.asking else { return };
        if let Ok(said) = timeout(NAMES, asking).await {
            self.asking = None;
            self.stuck = said.ok().flatten().map(Rc::new).or(self.stuck.take());
        }
    }
}
