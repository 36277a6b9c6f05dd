//! The connections that are there: who has nothing to do, who is shared, and who is being made.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::time::Instant;

use ::hyper::client::conn::{http1, http2};

use super::builder::{Settings, Spoken};
use super::connection::Desk;
use super::error::Error;
use super::outgoing::Outgoing;
use super::target::Key;
use super::wire::Open;
use crate::sync::Event;
use crate::time::now;

pub(super) struct Pool {
    pub(super) settings: Settings,
    places: RefCell<HashMap<Key, Place>>,
    idle: Cell<usize>,
    open: Rc<Cell<usize>>,
    pub(super) counts: Cell<ClientCounts>,
}

/// What there is of one server.
#[derive(Default)]
struct Place {
    /// Of HTTP/1, the one that was used last at the end.
    idle: Vec<Idle>,
    /// Of HTTP/2.
    shared: Option<Shared>,
    attempt: Option<Rc<Attempt>>,
    /// What its connections have agreed on, as long as there is one.
    is_first: bool,
    connections: usize,
}

struct Idle {
    sender: http1::SendRequest<Outgoing>,
    desk: Rc<Desk>,
}

struct Shared {
    sender: http2::SendRequest<Outgoing>,
    desk: Rc<Desk>,
}

/// What a request is to be sent by.
pub(super) enum Found {
    First(http1::SendRequest<Outgoing>, Rc<Desk>),
    Second(http2::SendRequest<Outgoing>, Rc<Desk>),
    /// Somebody else makes the connection that it may be shared.
    Wait(Rc<Attempt>),
    /// It is to be made; others wait if there is an attempt.
    Make(Option<Making>),
}

/// A connection that is being made, and may be shared.
#[derive(Default)]
pub(super) struct Attempt {
    over: Event,
    error: RefCell<Option<Error>>,
}

impl Attempt {
    /// Waits until it is over, and gives the error with which it has failed.
    pub(super) async fn wait(&self) -> Result<(), Error> {
        self.over.wait().await;
        self.error.borrow().clone().map_or(Ok(()), Err)
    }
}

/// Whoever makes a connection for all: dropped, another one has to.
pub(super) struct Making {
    pool: Rc<Pool>,
    key: Key,
    attempt: Rc<Attempt>,
}

impl Making {
    pub(super) fn fails(&self, error: &Error) {
        *self.attempt.error.borrow_mut() = Some(error.clone());
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.pool.with(&self.key, |place| place.attempt = None);
        self.attempt.over.set();
    }
}

impl Pool {
    pub(super) fn new(settings: Settings) -> Pool {
        Pool {
            settings,
            places: RefCell::default(),
            idle: Cell::new(0),
            open: Rc::default(),
            counts: Cell::default(),
        }
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut ClientCounts)) {
        let mut counts = self.counts.get();
        count(&mut counts);
        self.counts.set(counts);
    }

    pub(super) fn counts(&self) -> ClientCounts {
        ClientCounts { open: self.open.get(), idle: self.idle.get(), ..self.counts.get() }
    }

    pub(super) fn opens(&self) -> Open {
        Open::new(&self.open)
    }

    /// Looks at a place, and forgets one at which there is nothing.
    fn with<T>(&self, key: &Key, look: impl FnOnce(&mut Place) -> T) -> T {
        let mut places = self.places.borrow_mut();
        if let Some(place) = places.get_mut(key) {
            let looked = look(place);
            if place.connections == 0 && place.attempt.is_none() {
                places.remove(key);
            }
            return looked;
        }
        let mut place = Place::default();
        let looked = look(&mut place);
        if place.connections > 0 || place.attempt.is_some() {
            places.insert(key.clone(), place);
        }
        looked
    }

    /// What a request can be sent by. With `anew` one that was idle is not good enough.
    pub(super) fn find(self: &Rc<Self>, key: &Key, anew: bool) -> Found {
        let mut gone = Vec::new();
        let found = self.with(key, |place| {
            if let Some(shared) = &place.shared {
                if shared.sender.is_ready() {
                    return Found::Second(shared.sender.clone(), Rc::clone(&shared.desk));
                }
                gone.extend(place.shared.take().map(Gone::Shared));
            }
            while let Some(idle) = if anew { None } else { place.idle.pop() } {
                self.idle.set(self.idle.get() - 1);
                if idle.sender.is_ready() {
                    idle.desk.works();
                    return Found::First(idle.sender, idle.desk);
                }
                // The server has closed it.
                gone.push(Gone::Idle(idle));
            }
            let may_be_shared = match self.settings.spoken {
                Spoken::First => false,
                Spoken::Second => true,
                Spoken::Either => key.secure && !place.is_first,
            };
            if !may_be_shared {
                return Found::Make(None);
            }
            match &place.attempt {
                Some(attempt) => Found::Wait(Rc::clone(attempt)),
                None => {
                    let attempt = place.attempt.insert(Rc::default());
                    let attempt = Rc::clone(attempt);
                    Found::Make(Some(Making { pool: Rc::clone(self), key: key.clone(), attempt }))
                }
            }
        });
        // With nothing borrowed.
        drop(gone);
        found
    }

    /// There is a connection more. That of HTTP/2 may be shared from now on.
    pub(super) fn begins(&self, key: &Key, sender: Option<http2::SendRequest<Outgoing>>, desk: &Rc<Desk>) {
        self.count(|counts| counts.connections += 1);
        let before = self.with(key, |place| {
            place.connections += 1;
            place.is_first = sender.is_none();
            let shared = sender.map(|sender| Shared { sender, desk: Rc::clone(desk) });
            if shared.is_some() { std::mem::replace(&mut place.shared, shared) } else { None }
        });
        drop(before);
    }

    /// A connection has nothing to do.
    pub(super) fn rests(&self, desk: &Rc<Desk>, sender: http1::SendRequest<Outgoing>) {
        let Settings { idle_max, idle_per_host_max, .. } = self.settings;
        if idle_max == 0 || idle_per_host_max == 0 {
            return;
        }
        desk.rests(now());
        self.idle.set(self.idle.get() + 1);
        let mut oldest = self.with(&desk.key, |place| {
            let full = place.idle.len() >= idle_per_host_max;
            let oldest = full.then(|| place.idle.remove(0));
            place.idle.push(Idle { sender, desk: Rc::clone(desk) });
            oldest
        });
        if oldest.is_none() && self.idle.get() > idle_max {
            let mut places = self.places.borrow_mut();
            // The first of each place is its oldest.
            let since = |place: &Place| place.idle.first().and_then(|idle| idle.desk.resting());
            let longest =
                places.values_mut().filter(|place| !place.idle.is_empty()).min_by_key(|place| since(place));
            oldest = longest.map(|place| place.idle.remove(0));
        }
        if oldest.is_some() {
            self.idle.set(self.idle.get() - 1);
        }
    }

    /// Gives no more requests to a connection.
    pub(super) fn retires(&self, desk: &Desk) {
        let gone = self.with(&desk.key, |place| {
            let mut gone = Vec::new();
            if let Some(at) = place.idle.iter().position(|idle| std::ptr::eq(&*idle.desk, desk)) {
                self.idle.set(self.idle.get() - 1);
                gone.push(Gone::Idle(place.idle.remove(at)));
            }
            let shared = place.shared.take_if(|shared| std::ptr::eq(&*shared.desk, desk));
            gone.extend(shared.map(Gone::Shared));
            gone
        });
        drop(gone);
    }

    /// A connection has ended.
    pub(super) fn ends(&self, desk: &Desk) {
        self.retires(desk);
        self.with(&desk.key, |place| place.connections = place.connections.saturating_sub(1));
    }

    /// When a connection that has nothing to do since then is closed.
    pub(super) fn due(&self, since: Instant) -> Instant {
        since + self.settings.idle
    }
}

/// What is dropped when nothing is borrowed.
#[allow(dead_code, reason = "it is dropped")]
enum Gone {
    Idle(Idle),
    Shared(Shared),
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.counts(), f)
    }
}

/// How a client has fared: see [`Client::counts`](super::Client::counts).
///
/// # Examples
/// As [`ClientBuilder`](super::ClientBuilder).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientCounts {
    /// Requests that were made.
    pub requests: u64,
    /// Connections that were made.
    pub connections: u64,
    /// Requests that went over a connection which had served others before.
    pub reused: u64,
    /// Requests that were sent a second time, for the connection was dead.
    pub retried: u64,
    /// Connections that are open now.
    pub open: usize,
    /// How many of these are of HTTP/1 and have nothing to do.
    pub idle: usize,
}
