//! Why a world does not come to what is waited for.

use std::fmt;
use std::time::Duration;

use super::host::Host;
use super::world::World;

/// Why a world did not come to what was waited for. Its text says of each host what it still has.
///
/// # Examples
/// As [`is_for_ever`](Self::is_for_ever).
#[derive(Clone)]
pub struct Stuck {
    why: Why,
    seed: u64,
    when: Duration,
    hosts: Vec<(String, bool, usize)>,
}

#[derive(Clone)]
enum Why {
    ForEver,
    TooLong,
    Crashed(String),
}

impl Stuck {
    fn of(world: &World, why: Why) -> Stuck {
        let state = |host: &Host| (host.name().to_owned(), host.is_up(), host.tasks());
        Stuck { why, seed: world.seed(), when: world.now(), hosts: world.hosts().iter().map(state).collect() }
    }

    pub(super) fn for_ever(world: &World) -> Stuck {
        Stuck::of(world, Why::ForEver)
    }

    pub(super) fn too_long(world: &World) -> Stuck {
        Stuck::of(world, Why::TooLong)
    }

    pub(super) fn crashed(world: &World, host: &str) -> Stuck {
        Stuck::of(world, Why::Crashed(host.to_owned()))
    }

    /// Whether nothing can happen any more: all wait for each other, or for what was lost.
    ///
    /// # Examples
    /// ```
    /// use annulus::sim::{self, World};
    ///
    /// let world = World::new(7);
    /// let host = world.host("one", sim::idle);
    /// let stuck = host.run(std::future::pending::<()>()).unwrap_err();
    /// assert!(stuck.is_for_ever(), "nothing will ever happen again");
    /// println!("{stuck}");
    /// ```
    pub fn is_for_ever(&self) -> bool {
        matches!(self.why, Why::ForEver)
    }
}

/// The text, for `unwrap` in tests.
impl fmt::Debug for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = super::host::seconds(self.when);
        match &self.why {
            Why::ForEver => write!(
                f,
                "at {when} nothing can happen any more: no answer is under way and no timer is armed"
            )?,
            Why::TooLong => write!(f, "at {when} patience ended (World::set_patience)")?,
            Why::Crashed(host) => write!(
                f,
                "at {when} the host {host:?} had crashed, or was killed, before the future was ready"
            )?,
        }
        write!(f, "; seed {}", self.seed)?;
        for (name, is_up, tasks) in &self.hosts {
            match is_up {
                true => write!(f, "; {name}: {tasks} tasks wait")?,
                false => write!(f, "; {name} is down")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Stuck {}

impl From<Stuck> for std::io::Error {
    fn from(stuck: Stuck) -> std::io::Error {
        std::io::Error::new(std::io::ErrorKind::TimedOut, stuck)
    }
}
