//! A timer for those who look by `tracing`: a resource, and an operation of it each time that it is armed.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::time::Instant;

use tracing::{Span, trace, trace_span};

use crate::executor::drop_unheard;
use crate::executor::traced::may_be_wanted;

/// What those are told of who look; nothing is made before somebody does.
pub(super) struct Timer {
    made_at: &'static Location<'static>,
    seen: Option<Box<Seen>>,
}

struct Seen {
    resource: Span,
    /// It, and its polls. None while the timer is not armed.
    wait: Option<(Span, Span)>,
}

impl Timer {
    #[inline]
    #[track_caller]
    pub(super) fn new() -> Timer {
        Timer { made_at: Location::caller(), seen: None }
    }

    /// It was polled: it is armed, or the time has come.
    #[inline]
    pub(super) fn is_polled(&mut self, is_ready: bool, deadline: Instant) {
        if self.seen.is_some() || may_be_wanted() {
            self.show_poll(is_ready, deadline);
        }
    }

    #[cold]
    fn show_poll(&mut self, is_ready: bool, deadline: Instant) {
        // What they panic with who are told is theirs.
        let shown = catch_unwind(AssertUnwindSafe(|| {
            let made_at = self.made_at;
            if self.seen.is_none() {
                let resource = resource(made_at);
                self.seen = (!resource.is_disabled()).then(|| Box::new(Seen { resource, wait: None }));
            }
            if let Some(seen) = &mut self.seen {
                seen.show_poll(is_ready, deadline);
            }
        }));
        shown.unwrap_or_else(drop_unheard);
    }

    /// It is not armed any more.
    #[inline]
    pub(super) fn ends(&mut self) {
        if let Some(seen) = &mut self.seen {
            let ended = seen.wait.take();
            catch_unwind(AssertUnwindSafe(|| drop(ended))).unwrap_or_else(drop_unheard);
        }
    }
}

fn resource(made_at: &'static Location<'static>) -> Span {
    // Not inside of the task, which would not close before it.
    trace_span!(
        target: "annulus::time",
        parent: None,
        "runtime.resource",
        concrete_type = "Sleep",
        kind = "timer",
        is_internal = false,
        inherits_child_attrs = false,
        loc.file = made_at.file(),
        loc.line = u64::from(made_at.line()),
        loc.col = u64::from(made_at.column()),
    )
}

impl Seen {
    fn show_poll(&mut self, is_ready: bool, deadline: Instant) {
        let _in_resource = self.resource.enter();
        let (wait, poll) = self.wait.get_or_insert_with(|| {
            let left = deadline.saturating_duration_since(super::now()).as_millis();
            trace!(
                target: "runtime::resource::state_update",
                duration = u64::try_from(left).unwrap_or(u64::MAX),
                duration.unit = "ms",
                duration.op = "override",
            );
            begin_wait(&self.resource)
        });
        wait.in_scope(|| {
            poll.in_scope(|| {
                trace!(target: "runtime::resource::poll_op", op_name = "poll_elapsed", is_ready = is_ready);
            });
        });
        if is_ready {
            self.wait = None;
        }
    }
}

fn begin_wait(resource: &Span) -> (Span, Span) {
    let wait = trace_span!(
        target: "annulus::time",
        parent: resource,
        "runtime.resource.async_op",
        source = "Sleep",
        inherits_child_attrs = false,
    );
    let poll = wait
        .in_scope(|| trace_span!(target: "annulus::time", parent: &wait, "runtime.resource.async_op.poll"));
    (wait, poll)
}
