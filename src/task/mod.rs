//! Tasks: what is waited for, stopped, and told apart by; and what holds several together.

mod group;
mod join_set;

pub use crate::executor::{AbortHandle, Id, JoinError, JoinHandle, Meta, Priority, State, UnheardPanic};
pub use crate::runtime::{
    Snapshot, TaskBuilder as Builder, Wait, abort, all, current, spawn, spawn_blocking, yield_now,
};
pub use group::{GroupHandle, TaskGroup, group};
pub use join_set::JoinSet;
