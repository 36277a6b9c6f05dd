//! What is in flight, for those who look by `tracing`: by the names that console-subscriber knows.
//!
//! The driver and each descriptor are a resource, and a submission an operation of one of them. It is kept here from its
//! submission until its future has taken the last answer; if nobody takes that, until the loop has nothing else to do. Whoever is told
//! may do anything, and is told when nothing is borrowed (I5); what they panic with is theirs.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use tracing::{Span, trace, trace_span};

use super::{Port, Token};
use crate::driver::completion::Completion;
use crate::driver::operation::{Brings, Form, Lends, Request};
use crate::executor::traced::may_be_wanted;
use crate::executor::{drop_unheard, with_current};

/// How many answers that nobody takes are kept in a loop that never rests.
const UNTAKEN_MAX: usize = 1024;

/// What is told of, as long as it is there. All empty if nobody looks.
#[derive(Default)]
pub(super) struct Traced {
    driver: RefCell<Option<Rc<Span>>>,
    /// By their numbers.
    descriptors: RefCell<HashMap<i32, Rc<Span>>>,
    operations: RefCell<HashMap<Token, Rc<Seen>>>,
    /// How many of these there are.
    count: Cell<usize>,
    /// What has come while something was borrowed.
    came: RefCell<Vec<(Token, Completion)>>,
    /// Whose last answer has come.
    answered: RefCell<Vec<Token>>,
    /// How many were in flight, and queued, when that was last told.
    told: Cell<(usize, usize)>,
}

/// A submission.
struct Seen {
    form: &'static Form,
    resource: Rc<Span>,
    operation: Span,
    poll: Span,
    /// Its future was dropped.
    is_orphan: Cell<bool>,
}

/// Calls those who look.
fn show(tell: impl FnOnce()) {
    catch_unwind(AssertUnwindSafe(tell)).unwrap_or_else(drop_unheard);
}

impl Traced {
    fn find(&self, token: Token) -> Option<Rc<Seen>> {
        self.operations.borrow().get(&token).cloned()
    }

    fn take(&self, token: Token) -> Option<Rc<Seen>> {
        let taken = self.operations.borrow_mut().remove(&token);
        self.count.set(self.operations.borrow().len());
        taken
    }

    /// An answer is about to be handed out; nothing is told yet.
    #[inline]
    pub(super) fn note(&self, token: Token, answer: Completion) {
        if self.count.get() > 0 {
            self.came.borrow_mut().push((token, answer));
        }
    }
}

impl Seen {
    /// Inside of all that it is a part of, but for its task: that is polled, or nobody is told.
    fn polled(&self, is_ready: bool) {
        // Left in the reverse order.
        let _resource = self.resource.enter();
        let _operation = self.operation.enter();
        let _poll = self.poll.enter();
        trace!(target: "runtime::resource::poll_op", op_name = self.form.name, is_ready = is_ready);
    }
}

/// Counts the bytes of an answer at its descriptor, if that is what the answer's number is.
fn moved(resource: &Span, form: &Form, answer: i32) {
    let Ok(bytes @ 1..) = u64::try_from(answer) else { return };
    let _inside = resource.enter();
    match form.lends {
        _ if form.brings != Brings::Nothing => {}
        Lends::ToFill | Lends::ManyToFill => read(bytes),
        Lends::ToSend | Lends::ManyToSend => written(bytes),
        Lends::Nothing if form.picks => read(bytes),
        Lends::Nothing => {}
    }
}

fn read(bytes: u64) {
    trace!(
        target: "runtime::resource::state_update",
        bytes_read = bytes,
        bytes_read.unit = "bytes",
        bytes_read.op = "add",
    );
}

fn written(bytes: u64) {
    trace!(
        target: "runtime::resource::state_update",
        bytes_written = bytes,
        bytes_written.unit = "bytes",
        bytes_written.op = "add",
    );
}

fn resource(concrete_type: &'static str, kind: &'static str) -> Span {
    // Not inside of the task, which would not close before it.
    trace_span!(
        target: "annulus::resource",
        parent: None,
        "runtime.resource",
        concrete_type = concrete_type,
        kind = kind,
        is_internal = false,
        inherits_child_attrs = false,
    )
}

impl Port {
    /// The driver's own resource, made when it is first wanted.
    fn resource_of_driver(&self) -> Option<Rc<Span>> {
        let known = self.traced.driver.borrow().clone();
        if known.is_some() || self.has_ended() {
            return known;
        }
        let made = resource(self.driver_name(), "ring");
        if made.is_disabled() {
            return None;
        }
        made.in_scope(|| {
            let number = self.runtime.number();
            trace!(target: "runtime::resource::state_update", loop = number, loop.op = "override");
        });
        let made = Rc::new(made);
        *self.traced.driver.borrow_mut() = Some(Rc::clone(&made));
        Some(made)
    }

    /// A descriptor is there, of this type and kind.
    pub(crate) fn show_descriptor(&self, number: i32, concrete_type: &'static str, kind: &'static str) {
        if may_be_wanted() && !self.traced.descriptors.borrow().contains_key(&number) {
            show(|| self.show_new_descriptor(number, concrete_type, kind));
        }
    }

    #[cold]
    fn show_new_descriptor(&self, number: i32, concrete_type: &'static str, kind: &'static str) {
        let Some(driver) = self.resource_of_driver() else { return };
        let made = driver.in_scope(|| resource(concrete_type, kind));
        if made.is_disabled() {
            return;
        }
        made.in_scope(|| {
            trace!(target: "runtime::resource::state_update", fd = i64::from(number), fd.op = "override");
        });
        let before = self.traced.descriptors.borrow_mut().insert(number, Rc::new(made));
        drop(before);
    }

    /// The number is the system's again.
    pub(crate) fn hide_descriptor(&self, number: i32) {
        if self.traced.descriptors.borrow().is_empty() {
            return;
        }
        let gone = self.traced.descriptors.borrow_mut().remove(&number);
        show(|| drop(gone));
    }

    /// A call was made past the driver, which may have moved bytes.
    #[cold]
    pub(crate) fn show_attempt(&self, request: &Request, answer: Option<i32>) {
        let resource = self.traced.descriptors.borrow().get(&request.fd).cloned();
        if let (Some(resource), Some(count)) = (resource, answer) {
            show(|| moved(&resource, request.form, count));
        }
    }

    /// An operation is in flight, whose future knows it.
    #[cold]
    pub(crate) fn show_submission(&self, token: Token, request: &Request) {
        show(|| self.show_in_flight(token, request));
    }

    fn show_in_flight(&self, token: Token, request: &Request) {
        let known = self.traced.descriptors.borrow().get(&request.fd).cloned();
        let Some(resource) = known.or_else(|| self.resource_of_driver()) else { return };
        let form = request.form;
        let operation = resource.in_scope(|| {
            trace_span!(
                target: "annulus::operation",
                parent: &*resource,
                "runtime.resource.async_op",
                source = form.name,
                inherits_child_attrs = false,
            )
        });
        if operation.is_disabled() {
            return;
        }
        let poll = {
            let _resource = resource.enter();
            let _operation = operation.enter();
            if let Some(opcode) = form.code() {
                trace!(
                    target: "runtime::resource::async_op::state_update",
                    opcode = u64::from(opcode),
                    opcode.op = "override",
                );
            }
            trace!(
                target: "runtime::resource::async_op::state_update",
                len = u64::from(request.length),
                len.unit = "bytes",
                len.op = "override",
            );
            trace_span!(target: "annulus::operation", parent: &operation, "runtime.resource.async_op.poll")
        };
        let seen = Rc::new(Seen { form, resource, operation, poll, is_orphan: Cell::new(false) });
        // Whoever was told may have done anything, but the future is being polled, so it is in flight.
        self.traced.operations.borrow_mut().insert(token, Rc::clone(&seen));
        self.traced.count.set(self.traced.operations.borrow().len());
        seen.polled(false);
    }

    /// A future has asked for its answer.
    #[inline]
    pub(super) fn show_poll(&self, token: Token, answer: Option<Completion>) {
        if self.traced.count.get() > 0 {
            self.show_that_poll(token, answer);
        }
    }

    #[cold]
    fn show_that_poll(&self, token: Token, answer: Option<Completion>) {
        let is_last = answer.is_some_and(|answer| !answer.has_more());
        let seen = if is_last { self.traced.take(token) } else { self.traced.find(token) };
        if let Some(seen) = seen {
            show(|| {
                seen.polled(answer.is_some());
                drop(seen);
            });
        }
    }

    /// A future was dropped, whose answer the slot takes now, or had already.
    #[cold]
    pub(super) fn show_orphan(&self, token: Token) {
        let is_in_flight = self.pair.borrow().slots.is_in_flight(token);
        match self.traced.find(token) {
            Some(seen) if is_in_flight => seen.is_orphan.set(true),
            Some(_) => self.hide_operation(token),
            None => {}
        }
    }

    fn hide_operation(&self, token: Token) {
        let gone = self.traced.take(token);
        show(|| drop(gone));
    }

    /// Tells what has come. Nothing is borrowed.
    pub(super) fn show_what_came(&self) {
        if !self.traced.came.borrow().is_empty() {
            self.show_answers();
        }
        if self.traced.count.get() > 0 || self.traced.told.get().0 > 0 {
            self.show_depth();
        }
    }

    #[cold]
    fn show_answers(&self) {
        let came = std::mem::take(&mut *self.traced.came.borrow_mut());
        for (token, answer) in came {
            let Some(seen) = self.traced.find(token) else { continue };
            show(|| moved(&seen.resource, seen.form, answer.result));
            match answer.has_more() {
                true => {}
                false if seen.is_orphan.get() => self.hide_operation(token),
                false => self.traced.answered.borrow_mut().push(token),
            }
        }
        if self.traced.answered.borrow().len() > UNTAKEN_MAX {
            let old: Vec<_> = self.traced.answered.borrow_mut().drain(..UNTAKEN_MAX / 2).collect();
            old.into_iter().for_each(|token| self.hide_operation(token));
        }
    }

    #[cold]
    fn show_depth(&self) {
        let now = (self.in_flight(), self.queued());
        if self.traced.told.replace(now) == now {
            return;
        }
        let Some(driver) = self.traced.driver.borrow().clone() else { return };
        let (in_flight, queued) = (now.0 as u64, now.1 as u64);
        show(|| {
            let _inside = driver.enter();
            trace!(target: "runtime::resource::state_update", inflight = in_flight, inflight.op = "override");
            trace!(target: "runtime::resource::state_update", sq_depth = queued, sq_depth.op = "override");
        });
    }

    /// The loop has nothing else to do, and sleeps: what is queued goes out now. Who has not taken its answer by now was forgotten, or
    /// belongs to somebody else's loop.
    pub(crate) fn show_rest(&self) {
        if self.traced.count.get() > 0 {
            self.show_depth();
        }
        if self.traced.answered.borrow().is_empty() || with_current(|current| current.ready()) != Some(0) {
            return;
        }
        let untaken = std::mem::take(&mut *self.traced.answered.borrow_mut());
        untaken.into_iter().for_each(|token| self.hide_operation(token));
    }

    /// The loop has ended: what is left is nobody's.
    pub(super) fn hide_all(&self) {
        let operations = std::mem::take(&mut *self.traced.operations.borrow_mut());
        let descriptors = std::mem::take(&mut *self.traced.descriptors.borrow_mut());
        let driver = self.traced.driver.borrow_mut().take();
        self.traced.count.set(0);
        show(|| drop((operations, descriptors, driver)));
    }
}
