//! A copy of what a loop has recorded, with names in the place of pointers and nanoseconds in that of ticks.

use std::fmt;
use std::panic::Location;

use super::ring::{Copied, DESCRIPTOR_BITS, Kind, NO_DESCRIPTOR, Read, Ring};

/// What a loop has done lately. Plain data, which may go to another thread.
///
/// Had by [`Runtime::recording`](crate::Runtime::recording), or of all loops of the process by [`recordings`](crate::flight::recordings), where
/// [`Builder::flight_recorder`](crate::Builder::flight_recorder) switched it on.
///
/// # Examples
/// ```
/// use annulus::flight::What;
///
/// let runtime = annulus::Runtime::builder().flight_recorder(1024).build()?;
/// runtime.run(async {
///     let task = annulus::spawn(async { annulus::nop().await });
///     task.await.unwrap()
/// })??;
/// let recording = runtime.recording().expect("it was switched on");
/// let polls = recording.events().iter().filter(|event| matches!(event.what, What::Poll { .. })).count();
/// assert!(polls >= 2);
/// // For ui.perfetto.dev or chrome://tracing.
/// let mut file = Vec::new();
/// recording.write_chrome_trace(&mut file)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Recording {
    pub(super) place: Place,
    pub(super) events: Vec<Event>,
    /// When it was copied.
    pub(super) until: u64,
}

/// Where it was recorded.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) number: u64,
    pub(crate) thread: Option<String>,
    pub(crate) driver: &'static str,
}

/// Something that a loop has done.
///
/// # Examples
/// As [`Recording::loop_number`].
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// When, in nanoseconds of the system's monotonic clock. Exact for polls that are timed by themselves and for the loop's sleeps; where 32
    /// polls share a look at the clock they are spread evenly over their time, and what they did with them.
    pub at: u64,
    /// What it was.
    pub what: What,
}

/// What a loop has done.
///
/// # Examples
/// As [`Recording::loop_number`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum What {
    /// It looked at the clock: each turn in which the driver has its own.
    Look {
        /// How many tasks were ready.
        ready: u64,
        /// How many operations the driver had.
        in_flight: u64,
    },
    /// It began to poll a task. The poll's end is the next of these events but a wake, a submission or an answer.
    Poll {
        /// The task's number.
        task: u64,
        /// Where it was spawned.
        spawned_at: &'static Location<'static>,
    },
    /// A task was made ready by another one. Not told of those that wake themselves, nor of what answers, timers and other threads wake.
    Wake {
        /// Its number.
        task: u64,
        /// The number of the task that was polled then.
        by: u64,
    },
    /// An operation went to the driver.
    Submit {
        /// What tells it from all others that were in flight with it.
        token: u64,
        /// What the kernel calls it.
        operation: &'static str,
        /// The number of the descriptor that it names, if it names one.
        descriptor: Option<u32>,
        /// The task that asked for it; 0 if none did.
        task: u64,
    },
    /// It was answered.
    Complete {
        /// That of its submission.
        token: u64,
        /// The answer: a number, or below zero the negated `errno`.
        result: i32,
        /// More answers come.
        more: bool,
    },
    /// The loop had nothing to do and began to wait.
    Park {
        /// How many operations the driver had.
        in_flight: u64,
    },
    /// It has waited.
    Unpark,
    /// A poll has panicked.
    Panic {
        /// The task's number.
        task: u64,
    },
}

impl Recording {
    /// A copy of what is there now.
    pub(crate) fn of(ring: &Ring, place: Place) -> Recording {
        Recording::made_of(ring.read(), place)
    }

    pub(crate) fn made_of((records, line): Copied, place: Place) -> Recording {
        let mut events = Vec::with_capacity(records.len());
        let mut rest = &records[..];
        while let Some(first) = rest.first() {
            // What shares a look at the clock.
            let count = rest.iter().take_while(|read| read.ticks == first.ticks).count();
            let (group, behind) = rest.split_at(count);
            let end = behind.first().map_or(line.end(), |next| next.ticks);
            spread(group, line.nanoseconds(first.ticks), line.nanoseconds(end), &mut events);
            rest = behind;
        }
        Recording { place, events, until: line.nanoseconds(line.end()) }
    }

    /// What happened, the oldest first.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The number of the loop, from 1, never used twice in a process.
    ///
    /// # Examples
    /// ```
    /// let runtime = annulus::Runtime::builder().flight_recorder(1024).build()?;
    /// runtime.run(annulus::yield_now())?;
    /// let recording = runtime.recording().unwrap();
    /// println!("loop {} on {:?}", recording.loop_number(), recording.thread());
    /// for event in recording.events() {
    ///     println!("{event:?}");
    /// }
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn loop_number(&self) -> u64 {
        self.place.number
    }

    /// The name of the loop's thread, if it has one.
    ///
    /// # Examples
    /// As [`loop_number`](Self::loop_number).
    pub fn thread(&self) -> Option<&str> {
        self.place.thread.as_deref()
    }
}

/// Gives each poll of a group its part of the group's time, and to what happens in it the time at which it began.
fn spread(group: &[Read], from: u64, to: u64, events: &mut Vec<Event>) {
    let polls = group.iter().filter(|read| read.kind == Kind::Poll).count().max(1) as u64;
    let mut seen = 0;
    for read in group {
        seen += u64::from(read.kind == Kind::Poll);
        let at = from + to.saturating_sub(from) * seen.saturating_sub(1) / polls;
        events.extend(what(read).map(|what| Event { at, what }));
    }
}

fn what(read: &Read) -> Option<What> {
    let Read { subject, more, .. } = *read;
    Some(match read.kind {
        Kind::Look => What::Look { ready: subject, in_flight: more },
        Kind::Poll => What::Poll { task: subject, spawned_at: read.spawned_at()? },
        Kind::Wake => What::Wake { task: subject, by: more },
        Kind::Submit => What::Submit {
            token: subject,
            operation: read.name()?,
            descriptor: (more & NO_DESCRIPTOR != NO_DESCRIPTOR).then_some((more & NO_DESCRIPTOR) as u32),
            task: more >> DESCRIPTOR_BITS,
        },
        Kind::Complete => {
            What::Complete { token: subject, result: more as u32 as i32, more: more >> 32 != 0 }
        }
        Kind::Park => What::Park { in_flight: more },
        Kind::Unpark => What::Unpark,
        Kind::Panic => What::Panic { task: subject },
    })
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("place", &self.place).field("events", &self.events.len()).finish()
    }
}
