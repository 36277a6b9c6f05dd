//! Tasks: what is waited for, stopped, and told apart by; and what holds several together.

mod calls;
mod group;
mod join_set;
mod local;
mod share;
mod shield;

pub use crate::executor::{AbortHandle, Id, JoinError, JoinHandle, Meta, Priority, State, UnheardPanic};
pub use crate::runtime::{
    Snapshot, TaskBuilder as Builder, Wait, abort, all, current, spawn, spawn_blocking, yield_now,
};
pub use calls::{CallHandle, call_at, call_later, call_soon};
pub use group::{GroupHandle, TaskGroup, group};
pub use join_set::JoinSet;
pub use local::{AccessError, LocalKey, LocalPlace, LocalScope};
pub use share::yield_if_needed;
pub use shield::{Shield, shield};
