//! Tasks: what is waited for, stopped, and told apart by; and what holds several together.

mod calls;
mod group;
mod join_set;
mod joins;
mod local;
mod local_send;
mod scope;
mod share;
mod shield;

pub use crate::executor::{AbortHandle, Id, JoinError, JoinHandle, Meta, Priority, State, UnheardPanic};
pub use crate::runtime::{
    Snapshot, TaskBuilder as Builder, Wait, abort, all, current, spawn, spawn_blocking, yield_now,
};
pub use calls::{CallHandle, call_at, call_later, call_soon};
pub use futures_util::future::{join_all, select_all, try_join_all};
pub use group::{GroupHandle, TaskGroup, group};
pub use join_set::JoinSet;
pub use joins::{AsCompleted, as_completed};
pub use local::{AccessError, LocalKey, LocalPlace, LocalScope};
pub use local_send::{LocalSend, WrongThread, local};
pub use scope::{Scope, ScopeHandle, scope};
pub use share::yield_if_needed;
pub use shield::{Shield, shield};

/// What the macros of this crate are made of.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub use tokio as __tokio;
