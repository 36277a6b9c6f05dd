//! Waiting until what tasks have left behind is retired.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::{Stage, receive};
use crate::engine::settled;
use crate::executor::Plan;

/// Counts how often it is woken.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn who_waits_for_what_a_task_left_behind_is_woken_when_it_has_retired() {
    let stage = Stage::new();
    let (socket, other) = (stage.descriptor(7), stage.descriptor(8));
    let (read, accept) = (receive(&socket, 16), receive(&other, 16));
    let scope = stage.engine.enter();
    let task = stage.engine.executor.spawn(read, Plan::at(Location::caller()));
    let bystander = stage.engine.executor.spawn(accept, Plan::at(Location::caller()));
    while stage.engine.executor.poll_next() {}
    task.abort();
    bystander.abort();
    while stage.engine.executor.poll_next() {}
    drop(scope);
    assert_eq!(stage.engine.port.orphans(), 2);

    let mut waits = Box::pin(settled(vec![task.id().number()]));
    let counted = Arc::new(Counted::default());
    let waker = Waker::from(Arc::clone(&counted));
    assert!(stage.poll_by(&mut waits, &waker).is_pending());
    assert!(stage.poll_by(&mut waits, &waker).is_pending());
    assert_eq!(counted.0.load(Ordering::Relaxed), 0);
    stage.happen(|script| script.answer("recv", -libc::ECANCELED));
    assert_eq!(counted.0.load(Ordering::Relaxed), 1, "asked twice, it is told once");
    assert!(stage.poll_by(&mut waits, &waker).is_ready());
    assert_eq!(stage.engine.port.orphans(), 1, "what another task left is not waited for");
    assert!(stage.poll(&mut Box::pin(settled(vec![task.id().number()]))).is_ready(), "at once");
}
