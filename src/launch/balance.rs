//! Which shard gets a connection.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::shards::Shards;

/// Which shard gets a connection. See [`Launch::balance`](super::Launch::balance).
///
/// The kernel spreads connections over the shards' sockets by a hash of their addresses: evenly where they are many and alike, and
/// by chance where they are few or some cost much more than others. What is handed on is handed on once, right after it was
/// accepted: a few microseconds a connection, and a wake of the other shard.
///
/// docs/scaling.md has figures.
///
/// # Examples
/// As [`Launch`](super::Launch).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Balance {
    /// Each shard keeps what the kernel gives it. The default: it costs nothing.
    #[default]
    Kernel,
    /// The shard that is bound to the processor on which the connection comes in: its packets are worked on where it is. For machines whose network card
    /// spreads its queues over all processors; elsewhere it may give all connections to one shard. SO_ATTACH_REUSEPORT_CBPF, Linux only.
    Cpu,
    /// One after the other.
    RoundRobin,
    /// The shard that has the fewest.
    LeastConnections,
    /// The shard whose thread took the least processor time in the last tenth of a second. For connections that differ in what they cost. The
    /// threads' clocks are read ten times a second for it.
    LeastBusy,
}

/// How often the threads' clocks are read.
pub(super) const LOOKS: Duration = Duration::from_millis(100);

/// Chooses. One for all shards of a launch.
#[derive(Debug, Default)]
pub(super) struct Chooser {
    turn: AtomicUsize,
    busy: Mutex<Busy>,
}

/// How busy the threads were when they were last looked at.
#[derive(Debug, Default)]
struct Busy {
    looked: Option<Instant>,
    /// Of each shard: its thread's time at that look, its share of a processor before, and what it was given since.
    shards: Vec<Share>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    time: Option<Duration>,
    share: f64,
    given: usize,
}

impl Chooser {
    /// Whether a connection may be for somebody else than who accepted it.
    pub(super) fn chooses(policy: Balance) -> bool {
        !matches!(policy, Balance::Kernel | Balance::Cpu)
    }

    /// Reads the threads' clocks, for who wants to know: to be done at intervals, so that what is long ago does not count.
    pub(super) fn look(&self, shards: &Shards) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).look(shards);
    }

    /// The shard for a connection that `here` has accepted.
    pub(super) fn choose(&self, policy: Balance, shards: &Shards, group: usize, here: usize) -> usize {
        let open: Vec<usize> =
            (0..shards.count()).filter(|shard| shards.seats()[*shard].door(group).is_some()).collect();
        let connections = |shard: usize| shards.seats()[shard].load.connections();
        // Of those that are as good the one that has it already.
        let best = match policy {
            Balance::Kernel | Balance::Cpu => None,
            Balance::RoundRobin => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                (!open.is_empty()).then(|| open[turn % open.len()])
            }
            Balance::LeastConnections => {
                open.into_iter().min_by_key(|shard| (connections(*shard), *shard != here))
            }
            Balance::LeastBusy => self.least_busy(shards, &open, here),
        };
        best.unwrap_or(here)
    }

    fn least_busy(&self, shards: &Shards, open: &[usize], here: usize) -> Option<usize> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.shards.resize(shards.count(), Share::default());
        let all: usize = shards.seats().iter().map(|seat| seat.load.connections()).sum();
        let taken: f64 = busy.shards.iter().map(|share| share.share).sum();
        // What one connection costs, as far as one can know: so that many that come at once do not all go to the same.
        let each = (taken / all.max(1) as f64).max(0.01);
        let expected = |shard: usize| busy.shards[shard].share + busy.shards[shard].given as f64 * each;
        let key = |shard: usize| (expected(shard), shards.seats()[shard].load.connections(), shard != here);
        let best = open
            .iter()
            .copied()
            .min_by(|one, other| key(*one).partial_cmp(&key(*other)).unwrap_or(std::cmp::Ordering::Equal))?;
        busy.shards[best].given += 1;
        Some(best)
    }
}

impl Busy {
    fn look(&mut self, shards: &Shards) {
        let now = Instant::now();
        let since = self.looked.replace(now).map(|looked| now.duration_since(looked));
        self.shards.resize(shards.count(), Share::default());
        for (share, seat) in self.shards.iter_mut().zip(shards.seats()) {
            let time = seat.load.thread_time();
            let spent = time.zip(share.time).and_then(|(time, before)| time.checked_sub(before));
            // A thread that was begun anew has a clock that was, too.
            let part = spent.zip(since).map(|(spent, since)| spent.as_secs_f64() / since.as_secs_f64());
            *share = Share { time, share: part.unwrap_or(0.0), given: 0 };
        }
    }
}

#[cfg(all(test, not(annulus_loom)))]
mod tests {
    use super::*;
    use crate::sync::across::mpsc;

    /// How many of 20 each of two shards gets that were so busy lately, without another look at them.
    fn given(shares: [f64; 2]) -> [usize; 2] {
        let shards = Shards::new();
        shards.set_count(2);
        let doors = [mpsc::channel(1), mpsc::channel(1)];
        for (seat, (door, _)) in shards.seats().iter().zip(&doors) {
            seat.set_door(0, Some(door.clone()));
        }
        // Five each: so one costs a tenth of what all take.
        let _connections: Vec<_> = (0..10).map(|number| shards.seats()[number % 2].load.count()).collect();
        let chooser = Chooser::default();
        *chooser.busy.lock().unwrap() = Busy {
            looked: Some(Instant::now() + Duration::from_secs(3600)),
            shards: shares.map(|share| Share { share, ..Share::default() }).to_vec(),
        };
        let mut counts = [0; 2];
        (0..20).for_each(|_| counts[chooser.choose(Balance::LeastBusy, &shards, 0, 0)] += 1);
        counts
    }

    #[test]
    fn connections_that_come_at_once_do_not_all_go_to_the_least_busy() {
        assert_eq!(given([0.0, 0.0]), [10, 10]);
        let [busy, free] = given([0.5, 0.0]);
        assert!(0 < busy && busy < free, "the busy one gets {busy}, the other {free}");
    }
}
