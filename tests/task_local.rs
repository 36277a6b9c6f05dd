//! Values that tasks have of their own: each sees its own, whatever runs in between.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use annulus::task::AccessError;
use annulus::{spawn, task_local, yield_now};
use futures_util::FutureExt;
use support::on_every_driver;
use support::quiet::{boom, quietly};

on_every_driver! {
    tasks_that_take_turns_each_see_their_own,
    a_scope_inside_hides_the_value_and_gives_it_back,
    a_spawned_task_does_not_inherit,
    where_there_is_none_that_is_an_error_that_says_what_to_do,
    a_panic_leaves_no_value_behind,
    a_future_sees_its_value_while_it_is_dropped,
    whoever_looks_at_a_value_may_begin_another_scope,
    a_value_goes_with_its_scope,
}

task_local! {
    static NAME: &'static str;
    /// With a document, and a visibility.
    pub(crate) static COUNT: Cell<u32>;
    static HELD: Rc<()>
}

async fn tasks_that_take_turns_each_see_their_own() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let tasks = ["a", "b", "c"].map(|name| {
        let seen = Rc::clone(&seen);
        spawn(NAME.scope(name, async move {
            for _ in 0..3 {
                seen.borrow_mut().push(NAME.get());
                yield_now().await;
                assert_eq!(NAME.get(), name);
            }
        }))
    });
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*seen.borrow(), ["a", "b", "c"].repeat(3));
    assert_eq!(NAME.try_get(), Err(AccessError));
}

async fn a_scope_inside_hides_the_value_and_gives_it_back() {
    NAME.scope("outer", async {
        NAME.scope("inner", async {
            yield_now().await;
            assert_eq!(NAME.get(), "inner");
            NAME.sync_scope("innermost", || assert_eq!(NAME.get(), "innermost"));
            assert_eq!(NAME.get(), "inner");
        })
        .await;
        assert_eq!(NAME.get(), "outer");
        // One that waits, polled in between.
        let mut waits = pin!(NAME.scope("waits", pending::<()>()));
        assert!(waits.as_mut().now_or_never().is_none());
        assert_eq!(NAME.get(), "outer");
    })
    .await;
    COUNT
        .scope(Cell::new(1), async {
            COUNT.with(|count| count.set(count.get() + 1));
            yield_now().await;
            assert_eq!(COUNT.with(Cell::get), 2, "it is the same value");
        })
        .await;
}

async fn a_spawned_task_does_not_inherit() {
    NAME.scope("outer", async {
        assert_eq!(spawn(async { NAME.try_get() }).await.unwrap(), Err(AccessError));
    })
    .await;
}

async fn where_there_is_none_that_is_an_error_that_says_what_to_do() {
    assert_eq!(NAME.try_with(|name| name.len()), Err(AccessError));
    let panic = quietly(|| NAME.get()).unwrap_err();
    let said = panic.downcast::<String>().unwrap();
    assert!(said.contains("KEY.scope(value, future)"), "{said}");
}

async fn a_panic_leaves_no_value_behind() {
    let panics = NAME.scope("panics", async { boom("a future") });
    AssertUnwindSafe(panics).catch_unwind().await.unwrap_err();
    assert_eq!(NAME.try_get(), Err(AccessError));
    catch_unwind(|| NAME.sync_scope("panics", || boom("a closure"))).unwrap_err();
    assert_eq!(NAME.try_get(), Err(AccessError));
}

/// Tells which name there is when it is dropped.
struct Tells(Rc<Cell<&'static str>>);

impl Drop for Tells {
    fn drop(&mut self) {
        self.0.set(NAME.try_get().unwrap_or("none"));
    }
}

async fn a_future_sees_its_value_while_it_is_dropped() {
    let told = Rc::new(Cell::new("nothing"));
    let held = Tells(Rc::clone(&told));
    let task = spawn(NAME.scope("aborted", async move {
        pending::<()>().await;
        drop(held);
    }));
    yield_now().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(told.get(), "aborted");

    // One that keeps what it holds to its end goes when it has resolved, not when its scope does.
    let held = Tells(Rc::clone(&told));
    let keeps = poll_fn(move |_| Poll::Ready(held.0.get()).map(drop));
    let mut scope = pin!(NAME.scope("ended", keeps));
    scope.as_mut().await;
    assert_eq!(told.get(), "ended");
    drop(NAME.scope("unpolled", {
        let held = Tells(Rc::clone(&told));
        async move { drop(held) }
    }));
    assert_eq!(told.get(), "unpolled");
}

async fn whoever_looks_at_a_value_may_begin_another_scope() {
    NAME.sync_scope("outer", || {
        NAME.with(|outer| {
            NAME.sync_scope("inner", || assert_eq!((NAME.get(), *outer), ("inner", "outer")));
        });
    });
}

async fn a_value_goes_with_its_scope() {
    let held = Rc::new(());
    HELD.scope(Rc::clone(&held), async {
        yield_now().await;
        assert_eq!(HELD.with(Rc::strong_count), 2);
    })
    .await;
    assert_eq!(Rc::strong_count(&held), 1);
}
