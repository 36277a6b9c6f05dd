//! fork(2): a child has a copy of the loop's memory, but the ring, the poller and the helper threads are its parent's.
//!
//! Of a thread's ports each is told, in the child, by the handler below. From then on they touch neither ring nor
//! poller: in the child whatever is asked of them fails, and in the parent nothing is changed. Telling the ports costs
//! an operation nothing, where asking for the process would cost each one a load.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Port;

thread_local! {
    /// Those that the thread has made and that are alive. Of a forking process's threads the child has only this one.
    static PORTS: RefCell<Vec<Weak<Port>>> = const { RefCell::new(Vec::new()) };
}

/// Written in a child, before anything else runs there.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// How many forks lie between this process and the one that made the first loop: what differs belongs to a parent.
pub(crate) fn forks() -> u32 {
    // The child's only thread wrote it.
    FORKS.load(Ordering::Relaxed)
}

/// From now on the port is told when it finds itself in a child.
pub(super) fn watch(port: &Rc<Port>) {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        // Refused only for want of memory, and then children are not told.
        crate::sys::call_in_children(tell);
    });
    // On a thread that is ending nobody forks any more.
    let _ = PORTS.try_with(|ports| {
        let mut ports = ports.borrow_mut();
        ports.retain(|port| port.strong_count() > 0);
        ports.push(Rc::downgrade(port));
    });
}

/// Runs in the child, before fork returns there. Allocates nothing.
extern "C" fn tell() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    let _ = PORTS.try_with(|ports| {
        if let Ok(ports) = ports.try_borrow() {
            ports.iter().filter_map(Weak::upgrade).for_each(|port| port.left_behind());
        }
    });
}
