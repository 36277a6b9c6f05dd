//! Those who are asked, and whether they are well: looked at each second, and put aside as soon as a request finds that they are not.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use annulus::http::{Client, Error, Stage};
use annulus::time::{interval, now};

/// How often each is looked at, and how long it may take to answer.
const PERIOD: Duration = Duration::from_secs(1);
/// So many failures in a row, and it is put aside.
const FAILURES_MAX: u32 = 3;
/// For so long, whatever it says when it is looked at.
const ASIDE: Duration = Duration::from_secs(3);

pub(super) struct Upstream {
    pub(super) address: String,
    /// It answered when it was looked at.
    is_up: Cell<bool>,
    failures: Cell<u32>,
    aside_until: Cell<Option<Instant>>,
    /// What was said of it last.
    told: RefCell<Option<bool>>,
}

impl Upstream {
    fn is_healthy(&self) -> bool {
        self.is_up.get() && self.aside_until.get().is_none_or(|until| until <= now())
    }

    /// Says what has changed.
    fn tell(&self, why: &str) {
        let is_healthy = self.is_healthy();
        if self.told.replace(Some(is_healthy)) != Some(is_healthy) {
            let what = if is_healthy { "up" } else { "down" };
            println!("{what} {}: {why}", self.address);
        }
    }

    pub(super) fn answered(&self) {
        self.failures.set(0);
    }

    /// A request has failed. One that nobody listens for has failed often enough.
    pub(super) fn failed(&self, error: &Error) {
        let failures = self.failures.get() + 1;
        self.failures.set(failures);
        if matches!(error.stage(), Stage::Resolve | Stage::Connect | Stage::Tls) {
            self.is_up.set(false);
        } else if failures >= FAILURES_MAX {
            self.failures.set(0);
            self.aside_until.set(Some(now() + ASIDE));
        }
        self.tell(&error.to_string());
    }

    async fn look(&self, client: &Client, path: &str) {
        let seen = client.get(format!("http://{}{path}", self.address)).await;
        let why = match seen {
            Ok(response) => {
                let status = response.status();
                self.is_up.set(!status.is_server_error());
                format!("{path} is answered by {status}")
            }
            Err(error) => {
                self.is_up.set(false);
                error.to_string()
            }
        };
        self.tell(&why);
    }
}

pub(super) struct Upstreams {
    all: Vec<Rc<Upstream>>,
    turn: Cell<usize>,
}

impl Upstreams {
    /// Watched as long as they are used, each by a task of its own: one that hangs is not in the way of the others.
    pub(super) fn watched(addresses: &[String], path: &str) -> Rc<Upstreams> {
        let upstream = |address: &String| {
            Rc::new(Upstream {
                address: address.clone(),
                is_up: Cell::new(false),
                failures: Cell::new(0),
                aside_until: Cell::new(None),
                told: RefCell::new(None),
            })
        };
        let all: Vec<_> = addresses.iter().map(upstream).collect();
        for upstream in &all {
            drop(annulus::spawn(watch(Rc::downgrade(upstream), path.to_owned())));
        }
        Rc::new(Upstreams { all, turn: Cell::new(0) })
    }

    /// The next one that is healthy and was not tried.
    pub(super) fn next(&self, tried: &[Rc<Upstream>]) -> Option<Rc<Upstream>> {
        let count = self.all.len();
        let turn = self.turn.get();
        let place = (0..count).map(|step| (turn + step) % count).find(|place| {
            let upstream = &self.all[*place];
            upstream.is_healthy() && !tried.iter().any(|tried| Rc::ptr_eq(tried, upstream))
        })?;
        self.turn.set((place + 1) % count);
        Some(Rc::clone(&self.all[place]))
    }
}

async fn watch(upstream: Weak<Upstream>, path: String) {
    // Its connections are its own: each look is a new one, as a new client's would be.
    let client = Client::builder().http1_only().idle_max(0).request_timeout(PERIOD).build();
    let mut ticks = interval(PERIOD);
    while let Some(upstream) = upstream.upgrade() {
        upstream.look(&client, &path).await;
        drop(upstream);
        ticks.tick().await;
    }
}
