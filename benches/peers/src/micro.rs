//! The small works that need no peer.

use clap::ValueEnum;

/// One unit of each is one operation of the [`Cost`](crate::Cost). "At once" and depths are part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Micro {
    /// Spawn a task that ends at once, and await its handle; then the next.
    SpawnOne,
    /// Spawn 1,000 such tasks, then await their handles. A unit is a task.
    SpawnThousand,
    /// One task yields. A unit is a yield.
    YieldOne,
    /// 64 tasks yield in turn. A unit is a yield of one of them.
    YieldMany,
    /// A no-operation through the ring, one at a time, on an idle loop.
    NopOne,
    /// 64 tasks of no-operations. A unit is a no-operation.
    NopMany,
    /// So many tasks sleep, each between 1 and 100 milliseconds. A unit is a sleeping task; `wall` is not comparable.
    TimersFired,
    /// So many sleeps are armed (polled once) and dropped before their time.
    TimersCancelled,
    /// Two threads, each with a runtime of its own, hand a message back and forth. A unit is a round trip.
    CrossThread,
    /// Two tasks of one thread hand a message back and forth through two bounded channels. A unit is a round trip.
    Channel,
    /// One task makes a oneshot, a second one answers through it. A unit is a oneshot.
    Oneshot,
    /// Two tasks of one thread wake each other by notifications. A unit is a round trip.
    Notify,
}
