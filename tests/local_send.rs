//! Values that never leave their thread though they are `Send`: used elsewhere they say so, dropped elsewhere they come home.

mod support;

use std::cell::Cell;
use std::future::{Ready, pending, poll_fn, ready};
use std::marker::PhantomPinned;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use annulus::sync::{across, oneshot};
use annulus::task::{LocalSend, local};
use annulus::{Builder, yield_now};
use futures_util::{Stream, StreamExt, stream};
use support::child;
use support::on_every_driver;
use support::quiet::{boom, quietly};

on_every_driver! {
    on_its_own_thread_it_is_the_value,
    dropped_on_its_own_thread_it_is_dropped_there_and_then,
    dropped_elsewhere_it_is_dropped_at_home,
    a_loop_that_sleeps_wakes_to_drop_what_comes_home,
    used_elsewhere_it_panics_and_says_what_to_do,
    taken_out_elsewhere_it_comes_home_all_the_same,
    asked_elsewhere_it_is_an_error_and_stays_whole,
    a_future_that_was_polled_half_way_and_dropped_elsewhere_ends_at_home,
    of_what_many_threads_drop_nothing_is_lost,
    dropped_elsewhere_between_two_runs_it_waits_for_the_next,
    dropped_elsewhere_before_the_loop_ends_it_is_dropped_by_the_end,
    dropped_elsewhere_after_the_end_of_its_loop_it_is_leaked_and_counted,
    dropped_at_home_after_the_end_of_its_loop_it_is_dropped,
    dropped_elsewhere_while_its_loop_ends_it_is_dropped_or_counted_and_never_both,
    a_destructor_that_panics_at_home_hurts_nobody,
    what_a_destructor_drops_comes_home_as_well,
    what_is_not_unpin_stays_where_it_is,
    a_stream_is_a_stream,
    a_handler_with_the_bounds_of_axum_holds_what_is_not_send,
    outside_of_a_loop_there_is_none,
}

/// Says on which thread it is dropped.
struct Tells {
    dropped: Arc<Mutex<Vec<ThreadId>>>,
    _local: Rc<()>,
}

impl Tells {
    fn new() -> (Tells, Arc<Mutex<Vec<ThreadId>>>) {
        let dropped = Arc::default();
        (Tells { dropped: Arc::clone(&dropped), _local: Rc::default() }, dropped)
    }
}

impl Drop for Tells {
    fn drop(&mut self) {
        self.dropped.lock().unwrap().push(thread::current().id());
    }
}

/// Does it when it is dropped.
struct AtItsEnd<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for AtItsEnd<F> {
    fn drop(&mut self) {
        self.0.take().unwrap()();
    }
}

fn at_its_end<F: FnOnce()>(code: F) -> AtItsEnd<F> {
    AtItsEnd(Some(code))
}

fn here() -> ThreadId {
    thread::current().id()
}

/// On another thread, while this one stands still.
fn elsewhere<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(body).join().unwrap())
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

fn is_send_and_sync<T: Send + Sync>(_: &T) {}

async fn on_its_own_thread_it_is_the_value() {
    let mut wrapped = LocalSend::new(vec![Rc::new(1)]);
    is_send_and_sync(&wrapped);
    wrapped.push(Rc::new(2));
    wrapped.get_mut().push(Rc::new(3));
    wrapped.try_get_mut().unwrap().push(Rc::new(4));
    assert_eq!(wrapped.len(), 4);
    assert_eq!(wrapped.get().len(), 4);
    assert_eq!(wrapped.try_get().unwrap().len(), 4);
    assert!(wrapped.is_here());
    assert_eq!(wrapped.thread(), here());
    assert_eq!(format!("{wrapped:?}"), "LocalSend([1, 2, 3, 4])");
    // There and back.
    let wrapped = elsewhere(move || wrapped);
    assert_eq!(wrapped.into_inner().len(), 4);
    let dropped = Tells::new();
    let taken = LocalSend::new(dropped.0).try_into_inner().ok().unwrap();
    assert!(dropped.1.lock().unwrap().is_empty(), "taken out, it is not dropped");
    drop(taken);
    assert_eq!(dropped.1.lock().unwrap().len(), 1);
}

async fn dropped_on_its_own_thread_it_is_dropped_there_and_then() {
    let (tells, dropped) = Tells::new();
    drop(LocalSend::new(tells));
    assert_eq!(*dropped.lock().unwrap(), [here()]);
}

async fn dropped_elsewhere_it_is_dropped_at_home() {
    let (tells, dropped) = Tells::new();
    let wrapped = LocalSend::new(tells);
    elsewhere(move || drop(wrapped));
    assert!(
        dropped.lock().unwrap().is_empty(),
        "the loop is to do it, and this thread has not yet had it run"
    );
    until(|| !dropped.lock().unwrap().is_empty()).await;
    assert_eq!(*dropped.lock().unwrap(), [here()]);
}

fn a_loop_that_sleeps_wakes_to_drop_what_comes_home(builder: Builder) {
    let (sleeps, asleep) = std::sync::mpsc::channel();
    let runtime = builder.on_park(move || _ = sleeps.send(())).build().unwrap();
    runtime
        .run(async {
            let (sender, dropped) = oneshot::channel();
            let wrapped = LocalSend::new(at_its_end(move || sender.send(here()).unwrap()));
            let thread = thread::spawn(move || {
                asleep.recv().unwrap();
                drop(wrapped);
            });
            // Nothing else wakes it.
            assert_eq!(dropped.await, Ok(here()));
            thread.join().unwrap();
        })
        .unwrap();
}

fn sentence_of<T>(wrapped: &mut LocalSend<T>, usage: impl FnOnce(&mut LocalSend<T>) + Send) -> String {
    let caught = elsewhere(|| quietly(AssertUnwindSafe(|| usage(wrapped))).unwrap_err());
    caught.downcast_ref::<String>().unwrap().clone()
}

async fn used_elsewhere_it_panics_and_says_what_to_do() {
    let mut wrapped = LocalSend::new(ready(7));
    let uses: [fn(&mut LocalSend<Ready<i32>>); 5] = [
        |wrapped| _ = wrapped.get(),
        |wrapped| _ = wrapped.get_mut(),
        |wrapped| _ = &**wrapped,
        |wrapped| _ = &mut **wrapped,
        |wrapped| _ = Pin::new(wrapped).poll(&mut Context::from_waker(Waker::noop())),
    ];
    for usage in uses {
        let text = sentence_of(&mut wrapped, usage);
        assert!(text.contains("outside of the thread that made it"), "{text}");
        assert!(text.contains(&format!("instead of {:?}", here())), "{text}");
        assert!(text.contains("Remote::spawn"), "{text}");
    }
    assert_eq!(wrapped.await, 7, "and it is whole");
}

async fn taken_out_elsewhere_it_comes_home_all_the_same() {
    let (tells, dropped) = Tells::new();
    let wrapped = LocalSend::new(tells);
    elsewhere(move || quietly(AssertUnwindSafe(|| drop(wrapped.into_inner()))).unwrap_err());
    until(|| !dropped.lock().unwrap().is_empty()).await;
    assert_eq!(*dropped.lock().unwrap(), [here()]);
}

async fn asked_elsewhere_it_is_an_error_and_stays_whole() {
    let home = here();
    let mut wrapped = LocalSend::new(Rc::new(7));
    let wrapped = elsewhere(move || {
        assert!(!wrapped.is_here());
        let error = wrapped.try_get().unwrap_err();
        assert_eq!((error.made_by(), error.used_by()), (home, here()));
        assert_eq!(wrapped.try_get_mut().unwrap_err(), error);
        assert!(format!("{wrapped:?}").contains(&format!("{home:?}")), "{wrapped:?}");
        wrapped.try_into_inner().unwrap_err()
    });
    assert_eq!(**wrapped, 7);
}

async fn a_future_that_was_polled_half_way_and_dropped_elsewhere_ends_at_home() {
    let (tells, dropped) = Tells::new();
    let mut future = local(async move {
        let _pinned = pin!(tells);
        yield_now().await;
        pending::<()>().await;
    });
    assert!(poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx))).await.is_pending());
    elsewhere(move || drop(future));
    until(|| !dropped.lock().unwrap().is_empty()).await;
    assert_eq!(*dropped.lock().unwrap(), [here()]);
}

async fn of_what_many_threads_drop_nothing_is_lost() {
    const THREADS: usize = 8;
    const VALUES: usize = 1000;
    let home = here();
    let count = Rc::new(Cell::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let values: Vec<_> = (0..VALUES)
                .map(|_| {
                    let count = Rc::clone(&count);
                    LocalSend::new(at_its_end(move || {
                        assert_eq!(here(), home);
                        count.set(count.get() + 1);
                    }))
                })
                .collect();
            thread::spawn(move || drop(values))
        })
        .collect();
    until(|| count.get() == THREADS * VALUES).await;
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(Rc::strong_count(&count), 1);
}

fn dropped_elsewhere_between_two_runs_it_waits_for_the_next(builder: Builder) {
    let runtime = builder.build().unwrap();
    let (tells, dropped) = Tells::new();
    let wrapped = runtime.run(async { LocalSend::new(tells) }).unwrap();
    elsewhere(move || drop(wrapped));
    assert!(dropped.lock().unwrap().is_empty());
    runtime.run(until(|| !dropped.lock().unwrap().is_empty())).unwrap();
    assert_eq!(*dropped.lock().unwrap(), [here()]);
}

fn dropped_elsewhere_before_the_loop_ends_it_is_dropped_by_the_end(builder: Builder) {
    let runtime = builder.build().unwrap();
    let (tells, dropped) = Tells::new();
    let wrapped = runtime.run(async { LocalSend::new(tells) }).unwrap();
    elsewhere(move || drop(wrapped));
    drop(runtime);
    assert_eq!(*dropped.lock().unwrap(), [here()]);
}

fn dropped_elsewhere_after_the_end_of_its_loop_it_is_leaked_and_counted(builder: Builder) {
    child::alone(|| {
        let runtime = builder.build().unwrap();
        let (tells, dropped) = Tells::new();
        let wrapped = runtime.run(async { LocalSend::new(tells) }).unwrap();
        drop(runtime);
        assert_eq!(LocalSend::leaked(), 0);
        elsewhere(move || drop(wrapped));
        assert_eq!(LocalSend::leaked(), 1);
        assert!(dropped.lock().unwrap().is_empty());
        assert_eq!(Arc::strong_count(&dropped), 2);
    });
}

fn dropped_at_home_after_the_end_of_its_loop_it_is_dropped(builder: Builder) {
    let runtime = builder.build().unwrap();
    let (tells, dropped) = Tells::new();
    let wrapped = runtime.run(async { LocalSend::new(tells) }).unwrap();
    drop(runtime);
    assert!(wrapped.try_get().is_ok(), "and until then it may be used");
    drop(wrapped);
    assert_eq!(*dropped.lock().unwrap(), [here()]);
}

fn dropped_elsewhere_while_its_loop_ends_it_is_dropped_or_counted_and_never_both(builder: Builder) {
    const ROUNDS: usize = 200;
    const VALUES: usize = 20;
    child::alone(|| {
        let home = here();
        let dropped = Arc::new(AtomicUsize::new(0));
        for _ in 0..ROUNDS {
            let runtime = builder.clone().build().unwrap();
            let values: Vec<_> = runtime
                .run(async {
                    let value = |_| {
                        let dropped = Arc::clone(&dropped);
                        LocalSend::new(at_its_end(move || {
                            assert_eq!(here(), home);
                            dropped.fetch_add(1, Ordering::SeqCst);
                        }))
                    };
                    (0..VALUES).map(value).collect()
                })
                .unwrap();
            let together = Arc::new(Barrier::new(2));
            let other = Arc::clone(&together);
            let thread = thread::spawn(move || {
                other.wait();
                drop(values);
            });
            together.wait();
            drop(runtime);
            thread.join().unwrap();
        }
        let leaked = usize::try_from(LocalSend::leaked()).unwrap();
        assert_eq!(dropped.load(Ordering::SeqCst) + leaked, ROUNDS * VALUES, "{leaked} of them leaked");
    });
}

async fn a_destructor_that_panics_at_home_hurts_nobody() {
    let (tells, dropped) = Tells::new();
    let panics = LocalSend::new(at_its_end(|| boom("a destructor")));
    let after = LocalSend::new(tells);
    elsewhere(move || {
        drop(panics);
        drop(after);
    });
    until(|| !dropped.lock().unwrap().is_empty()).await;
}

async fn what_a_destructor_drops_comes_home_as_well() {
    let (tells, dropped) = Tells::new();
    let inner = LocalSend::new(tells);
    let (sender, receiver) = across::oneshot::channel();
    // At home it sends another one away.
    let outer = LocalSend::new(at_its_end(move || drop(sender.send(inner))));
    let thread = thread::spawn(move || {
        drop(outer);
        drop(receiver.blocking_recv().unwrap());
    });
    until(|| !dropped.lock().unwrap().is_empty()).await;
    assert_eq!(*dropped.lock().unwrap(), [here()]);
    thread.join().unwrap();
}

async fn what_is_not_unpin_stays_where_it_is() {
    struct Pinned(Cell<*const Pinned>, PhantomPinned);
    impl Future for Pinned {
        type Output = ();
        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            let here = &raw const *self;
            if self.0.replace(here).is_null() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            assert_eq!(self.0.get(), here);
            Poll::Ready(())
        }
    }
    let mut future = local(Pinned(Cell::new(std::ptr::null()), PhantomPinned));
    assert!(poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx))).await.is_pending());
    let before = future.get().0.get();
    let mut moved = Box::new(elsewhere(move || future));
    assert_eq!(&raw const *moved.get_pin_mut(), before);
    moved.await;
}

async fn a_stream_is_a_stream() {
    fn as_some_ask<S: Stream<Item = Rc<i32>> + Send + Unpin>(stream: S) -> S {
        stream
    }
    let stream = stream::iter([Rc::new(1), Rc::new(2)]);
    let stream = as_some_ask(LocalSend::new(stream));
    assert_eq!(stream.size_hint(), (2, Some(2)));
    let stream = elsewhere(move || {
        assert_eq!(stream.size_hint(), (0, None), "nothing is known of it there");
        stream
    });
    assert_eq!(stream.map(|number| *number).collect::<Vec<_>>().await, [1, 2]);
}

/// The bounds of axum's handlers and of what it makes of them.
trait Handler<T>: Clone + Send + Sync + Sized + 'static {
    type Future: Future<Output = String> + Send + 'static;
    fn call(self, request: String) -> Self::Future;
}

impl<F, Fut> Handler<(String,)> for F
where
    F: FnOnce(String) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = String> + Send,
{
    type Future = Pin<Box<dyn Future<Output = String> + Send>>;
    fn call(self, request: String) -> Self::Future {
        Box::pin(async move { self(request).await })
    }
}

async fn a_handler_with_the_bounds_of_axum_holds_what_is_not_send() {
    async fn route<T, H: Handler<T>>(handler: H) -> String {
        let task = annulus::spawn(handler.clone().call("Ada".to_owned()));
        format!("{}, {}", task.await.unwrap(), handler.call("Grace".to_owned()).await)
    }
    let greeting = Rc::new("hello");
    let state = Arc::new(LocalSend::new(greeting));
    let handler = move |name: String| {
        let state = Arc::clone(&state);
        local(async move {
            let greeting: Rc<&str> = Rc::clone(&state);
            annulus::time::sleep(std::time::Duration::from_millis(1)).await;
            format!("{greeting} {name}")
        })
    };
    assert_eq!(route(handler).await, "hello Ada, hello Grace");
}

async fn outside_of_a_loop_there_is_none() {
    elsewhere(|| {
        let caught = quietly(|| LocalSend::new(7)).unwrap_err();
        let text = caught.downcast_ref::<String>().unwrap();
        assert!(text.contains("LocalSend::new was used outside of a running annulus loop"), "{text}");
        let caught = quietly(|| drop(local(async {}))).unwrap_err();
        assert!(caught.downcast_ref::<String>().unwrap().contains("task::local"), "it is named");
        assert_eq!(LocalSend::try_new(7).unwrap_err(), 7);
    });
}
