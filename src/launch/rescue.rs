//! Connections that wait for a shard that is gone, while others go on: they are let in, and given to those.

use std::sync::Arc;

use super::connection::Arrival;
use super::incoming::FINISHED_WITHIN;
use super::plan::Plan;
use crate::net::TcpListener;
use crate::sys;
use crate::time::timeout;

/// Gives the others what waits in the sockets that were a shard's alone, and closes them.
pub(super) async fn rescue(plan: Arc<Plan>, shard: usize) {
    for group in 0..plan.sockets.groups() {
        for listener in plan.sockets.alone_of(group, shard, plan.count()) {
            if let Ok(listener) = TcpListener::from_std(listener) {
                give_to_others(&plan, group, &listener).await;
            }
        }
    }
    plan.sockets.close(shard, plan.count());
}

async fn give_to_others(plan: &Plan, group: usize, listener: &TcpListener) {
    // Where that is not permitted, who connects at the last moment is turned away.
    let _ = listener.with_fd(|socket| sys::steering::begin_no_more(&socket));
    let mut seats = plan.shards.seats().iter().cycle();
    while let Ok(Ok((stream, peer))) = timeout(FINISHED_WITHIN, listener.accept()).await {
        let mut others = seats.by_ref().take(plan.count());
        let Some((seat, door)) = others.find_map(|seat| Some((seat, seat.door(group)?))) else { return };
        if let Ok(stream) = stream.detach().await {
            // The next one gets the next; where there is no room it is waited for, and those behind wait in the kernel.
            let _ = door.send(Arrival { stream, peer, counted: seat.load.count() }).await;
        }
    }
}
