//! What never waits takes a turn all the same: see the engine's `poll_turn`.

use std::future::poll_fn;

pub(super) use crate::engine::poll_turn;

pub(super) async fn turn() {
    poll_fn(poll_turn).await;
}
