//! What never waits takes a turn all the same, lest a task that uses nothing else has the thread for itself (I8).

use std::future::poll_fn;
use std::task::{Context, Poll};

use crate::engine;

/// Spends one of what a poll may have without waiting; when that is used up, the others have their turn first.
pub(super) fn poll_turn(cx: &mut Context<'_>) -> Poll<()> {
    let permitted = engine::with_current(|engine| {
        let left = engine.has_budget(cx.waker());
        if left {
            engine.spend_budget();
        }
        left
    });
    match permitted {
        Some(false) => Poll::Pending,
        // Outside of a loop there are no others.
        Some(true) | None => Poll::Ready(()),
    }
}

pub(super) async fn turn() {
    poll_fn(poll_turn).await;
}
