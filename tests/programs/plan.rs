//! What a random program is made of.

use std::time::Duration;

use annulus::sim::Faults;
use proptest::collection::vec;
use proptest::prelude::*;

/// How the wait for an operation ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Awaited,
    /// By the operation's own time-out; it resolves from its completion.
    TimedOut(Duration),
    /// Asked to stop after that long; likewise.
    Cancelled(Duration),
    /// Given up from outside; its future is dropped.
    Dropped(Duration),
}

#[derive(Clone, Debug)]
pub(crate) enum WriteStep {
    Some(usize, Fate),
    All(usize, Fate),
    /// Several buffers at once.
    Many(Vec<usize>, Fate),
    Sleep(Duration),
}

#[derive(Clone, Debug)]
pub(crate) enum ReadStep {
    Some(usize, Fate),
    Exact(usize, Fate),
    Many(Vec<usize>, Fate),
    /// Into a buffer of the runtime's.
    Lease(Fate),
    /// So many of them from a stream, of which the last one may be given up.
    Leases(usize, Fate),
    Sleep(Duration),
}

/// One end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) writes: Vec<WriteStep>,
    pub(crate) reads: Vec<ReadStep>,
    /// Its tasks are aborted after that long.
    pub(crate) abort: Option<Duration>,
    /// Whether it says its end by shutdown, or lets dropping say it.
    pub(crate) shuts_down: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) after: Duration,
    pub(crate) client: Side,
    pub(crate) server: Side,
}

#[derive(Clone, Debug)]
pub(crate) enum FileStep {
    Write { offset: usize, length: usize, fate: Fate },
    WriteAll { offset: usize, length: usize, fate: Fate },
    Read { offset: usize, length: usize, fate: Fate },
    SetLength(usize),
    Sync,
    Settle,
}

#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) faults: Faults,
    pub(crate) latency_us: u64,
    pub(crate) loss: f64,
    /// How accepts are waited for, in turn.
    pub(crate) accepts: Vec<Fate>,
    pub(crate) connections: Vec<Connection>,
    pub(crate) files: Vec<Vec<FileStep>>,
}

fn span() -> impl Strategy<Value = Duration> {
    // Most are as short as an operation takes, so that they race.
    prop_oneof![4 => 0..60u64, 2 => 60..3_000u64, 1 => 3_000..100_000u64].prop_map(Duration::from_micros)
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Awaited),
        1 => span().prop_map(Fate::TimedOut),
        1 => span().prop_map(Fate::Cancelled),
        2 => span().prop_map(Fate::Dropped),
    ]
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(0usize), 5 => 1..64usize, 3 => 64..5_000usize, 1 => 5_000..60_000usize]
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    vec(0..900usize, 1..4)
}

fn side() -> impl Strategy<Value = Side> {
    let write = prop_oneof![
        2 => (length(), fate()).prop_map(|(length, fate)| WriteStep::Some(length, fate)),
        3 => (length(), fate()).prop_map(|(length, fate)| WriteStep::All(length, fate)),
        1 => (lengths(), fate()).prop_map(|(lengths, fate)| WriteStep::Many(lengths, fate)),
        1 => span().prop_map(WriteStep::Sleep),
    ];
    let read = prop_oneof![
        3 => (length(), fate()).prop_map(|(length, fate)| ReadStep::Some(length.max(1), fate)),
        2 => (1..600usize, fate()).prop_map(|(length, fate)| ReadStep::Exact(length, fate)),
        1 => (lengths(), fate()).prop_map(|(lengths, fate)| ReadStep::Many(lengths, fate)),
        2 => fate().prop_map(ReadStep::Lease),
        2 => (0..6usize, fate()).prop_map(|(count, fate)| ReadStep::Leases(count, fate)),
        1 => span().prop_map(ReadStep::Sleep),
    ];
    let abort = prop_oneof![5 => Just(None), 1 => span().prop_map(Some)];
    (vec(write, 0..7), vec(read, 0..7), abort, any::<bool>())
        .prop_map(|(writes, reads, abort, shuts_down)| Side { writes, reads, abort, shuts_down })
}

fn file() -> impl Strategy<Value = Vec<FileStep>> {
    let (place, some) = (|| 0..6_000usize, || prop_oneof![4 => 1..300usize, 1 => 300..9_000usize]);
    let step = prop_oneof![
        3 => (place(), some(), fate()).prop_map(|(offset, length, fate)| FileStep::Write { offset, length, fate }),
        3 => (place(), some(), fate()).prop_map(|(offset, length, fate)| FileStep::WriteAll { offset, length, fate }),
        4 => (place(), some(), fate()).prop_map(|(offset, length, fate)| FileStep::Read { offset, length, fate }),
        1 => place().prop_map(FileStep::SetLength),
        1 => Just(FileStep::Sync),
        1 => Just(FileStep::Settle),
    ];
    vec(step, 0..10)
}

/// Faults by swarm: none, those that a program need not notice, or all, each on or off.
fn faults() -> impl Strategy<Value = Faults> {
    let quiet = any::<u64>().prop_map(|seed| {
        let mut faults = Faults::quiet();
        (faults.short, faults.repeated) = (0.3, 0.02);
        faults.swarm(seed)
    });
    let all = any::<u64>().prop_map(|seed| {
        let mut faults = Faults::all().swarm(seed);
        // Who only reads never learns that its peer has given up, and waits for ever, as it should.
        faults.lost = 0.0;
        faults
    });
    prop_oneof![1 => Just(Faults::none()), 4 => quiet, 3 => all]
}

pub(crate) fn programs() -> impl Strategy<Value = Program> {
    // If both left their end to dropping, each would wait for the other's.
    let connection = (span(), side(), side()).prop_map(|(after, client, server)| Connection {
        after,
        client: Side { shuts_down: true, ..client },
        server,
    });
    let loss = prop_oneof![4 => Just(0.0), 1 => Just(0.1)];
    (faults(), 1..400u64, loss, vec(fate(), 0..5), vec(connection, 0..4), vec(file(), 0..3)).prop_map(
        |(faults, latency_us, loss, accepts, connections, files)| Program {
            faults,
            latency_us,
            loss,
            accepts,
            connections,
            files,
        },
    )
}
