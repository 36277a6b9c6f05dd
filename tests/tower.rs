//! Layers of tower on the loop's timers and tasks, beside those of tower's own that need neither.

mod support;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, Ready, pending, ready};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use annulus::task::JoinSet;
use annulus::time::{Elapsed, Sleep, now, pause, sleep, timeout};
use annulus::tower::{
    BoxError, Buffer, BufferLayer, Closed, ExponentialBackoff, ExponentialBackoffMaker, RateLimit,
    RateLimitLayer, ServiceError, SpawnReady, SpawnReadyLayer, Timeout, TimeoutLayer,
};
use annulus::{Builder, Runtime, spawn, yield_now};
use support::on_every_driver;
use support::quiet::{boom, quietly};
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::{LoadShedLayer, error::Overloaded};
use tower::retry::{Policy, RetryLayer};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

on_every_driver! {
    a_request_that_takes_too_long_is_ended_and_dropped,
    a_response_in_time_comes_through_and_leaves_no_timer,
    what_fails_in_time_says_its_own_reason,
    a_rate_lets_in_what_it_says_and_no_more,
    a_span_begins_with_its_first_request,
    who_gives_up_on_a_rate_has_used_nothing,
    a_layer_from_outside_of_the_loop_works_on_it,
    a_call_that_did_not_wait_is_refused,
    waits_grow_and_stay_within_their_bounds,
    towers_retry_waits_by_the_loop,
    callers_share_a_service_in_their_order,
    responses_of_a_shared_service_run_side_by_side,
    a_buffer_has_so_many_places,
    a_request_that_nobody_waits_for_does_not_reach_the_service,
    a_service_that_fails_is_told_to_all_who_wait_and_all_who_come,
    a_service_that_panics_closes_its_buffer,
    a_worker_that_is_dropped_leaves_nobody_waiting,
    the_last_handle_ends_the_task,
    a_service_becomes_ready_while_nobody_looks,
    a_service_that_becomes_ready_is_dropped_with_its_handle,
    a_failure_to_become_ready_is_told,
    towers_own_limit_of_requests_at_a_time_works,
    towers_own_shedding_of_load_works,
}

const MS: Duration = Duration::from_millis(1);

/// Anything that is `!Send`: a service here may hold one.
type Log = Rc<RefCell<Vec<u32>>>;

/// A service that notes what it is asked, and takes so long.
fn noting(
    log: &Log,
    takes: Duration,
) -> impl Service<u32, Response = u32, Error = Infallible, Future: 'static> + Clone + 'static {
    let log = Rc::clone(log);
    service_fn(move |request| {
        log.borrow_mut().push(request);
        async move {
            sleep(takes).await;
            Ok(request)
        }
    })
}

/// Polls once with a waker that does nothing.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Ready when it is told to be; then it fails, if it is to.
#[derive(Debug)]
struct Gate {
    open: Rc<Cell<bool>>,
    fails: bool,
    alive: Rc<()>,
}

impl Gate {
    fn new(fails: bool) -> Gate {
        Gate { open: Rc::default(), fails, alive: Rc::new(()) }
    }
}

impl Service<u32> for Gate {
    type Response = u32;
    type Error = BoxError;
    type Future = Ready<Result<u32, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.open.get() {
            return Poll::Ready(if self.fails { Err("the gate is broken".into()) } else { Ok(()) });
        }
        let (open, waker) = (Rc::clone(&self.open), cx.waker().clone());
        drop(spawn(async move {
            while !open.get() {
                sleep(MS).await;
            }
            waker.wake();
        }));
        Poll::Pending
    }

    fn call(&mut self, request: u32) -> Self::Future {
        ready(Ok(request))
    }
}

async fn a_request_that_takes_too_long_is_ended_and_dropped() {
    pause();
    let held = Rc::new(());
    let slow = service_fn(|held: Rc<()>| async move {
        pending::<()>().await;
        drop(held);
        Ok::<_, Infallible>(())
    });
    let begun = now();
    let error = TimeoutLayer::new(50 * MS).layer(slow).oneshot(Rc::clone(&held)).await.unwrap_err();
    assert!(error.is::<Elapsed>(), "{error}");
    assert!(now() - begun >= 50 * MS);
    assert_eq!(Rc::strong_count(&held), 1, "the service's future is gone");
}

async fn a_response_in_time_comes_through_and_leaves_no_timer() {
    let metrics = || Runtime::try_current().unwrap().metrics();
    let log = Log::default();
    let mut service = Timeout::new(noting(&log, MS), Duration::from_secs(1000));
    for request in 0..100 {
        assert_eq!(service.ready().await.unwrap().call(request).await.unwrap(), request);
    }
    assert_eq!(metrics().timers, 0);
    assert_eq!(metrics().timers_fired, 100, "those of the service");
    assert_eq!(log.borrow().len(), 100);
}

async fn what_fails_in_time_says_its_own_reason() {
    let fails = service_fn(|_: ()| ready(Err::<(), _>(std::io::Error::from_raw_os_error(libc::EPERM))));
    let error = Timeout::new(fails, MS).oneshot(()).await.unwrap_err();
    let error = error.downcast::<std::io::Error>().unwrap();
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    // Before it is called, too.
    let gate = Gate::new(true);
    gate.open.set(true);
    let error = Timeout::new(gate, MS).oneshot(1).await.unwrap_err();
    assert_eq!(error.to_string(), "the gate is broken");
}

async fn a_rate_lets_in_what_it_says_and_no_more() {
    pause();
    let begun = now();
    let mut limited =
        RateLimitLayer::new(3, 100 * MS).layer(service_fn(|_: ()| async { Ok::<_, Infallible>(now()) }));
    let mut times = Vec::new();
    for _ in 0..10 {
        times.push(limited.ready().await.unwrap().call(()).await.unwrap() - begun);
    }
    for (place, time) in times.iter().enumerate() {
        let earliest = 100 * MS * (place / 3) as u32;
        assert!(*time >= earliest && *time < earliest + 50 * MS, "{place} at {time:?}");
    }
}

async fn a_span_begins_with_its_first_request() {
    pause();
    let log = Log::default();
    let mut limited = RateLimit::new(noting(&log, Duration::ZERO), 2, 100 * MS);
    // A span that nobody uses is not half over when somebody comes.
    sleep(70 * MS).await;
    let begun = now();
    for request in 0..3 {
        limited.ready().await.unwrap().call(request).await.unwrap();
    }
    assert!(now() - begun >= 100 * MS, "{:?}", now() - begun);
    // What was left of an old span is not left in a new one.
    sleep(200 * MS).await;
    let begun = now();
    for request in 0..3 {
        limited.ready().await.unwrap().call(request).await.unwrap();
    }
    assert!(now() - begun >= 100 * MS, "{:?}", now() - begun);
}

async fn who_gives_up_on_a_rate_has_used_nothing() {
    pause();
    let log = Log::default();
    let mut limited = RateLimit::new(noting(&log, Duration::ZERO), 1, 100 * MS);
    let begun = now();
    limited.ready().await.unwrap().call(0).await.unwrap();
    for _ in 0..5 {
        assert!(timeout(10 * MS, limited.ready()).await.is_err());
    }
    limited.ready().await.unwrap();
    // Ready, and left at that.
    limited.ready().await.unwrap().call(1).await.unwrap();
    assert!(now() - begun < 150 * MS, "{:?}", now() - begun);
    assert_eq!(*log.borrow(), [0, 1]);
}

fn a_layer_from_outside_of_the_loop_works_on_it(builder: Builder) {
    let log = Log::default();
    let mut service = ServiceBuilder::new()
        .layer(RateLimitLayer::new(1, 20 * MS))
        .layer(TimeoutLayer::new(5 * MS))
        .service(noting(&log, Duration::from_secs(1000)));
    // The response as well: its time begins with the loop.
    let response = service.call(7);
    builder
        .build()
        .unwrap()
        .run(async {
            let begun = now();
            assert!(response.await.unwrap_err().is::<Elapsed>());
            assert!(now() - begun < Duration::from_secs(500), "its deadline is by this loop's clock");
            timeout(Duration::from_secs(500), service.ready()).await.unwrap().unwrap();
        })
        .unwrap();
}

async fn a_call_that_did_not_wait_is_refused() {
    let log = Log::default();
    let mut limited = RateLimit::new(noting(&log, Duration::ZERO), 1, 100 * MS);
    drop(limited.call(0));
    let mut shared = Buffer::new(noting(&log, Duration::ZERO), 1);
    let mut becoming = SpawnReady::new(Gate::new(false));
    assert!(poll_once(&mut becoming.ready()).is_pending());
    let calls: [&mut dyn FnMut(); 3] =
        [&mut || drop(limited.call(1)), &mut || drop(shared.call(2)), &mut || drop(becoming.call(3))];
    for call in calls {
        let panic = std::panic::catch_unwind(AssertUnwindSafe(call)).unwrap_err();
        let text = text_of(&*panic);
        assert!(text.contains("wait for poll_ready before each call"), "{text}");
    }
    assert_eq!(*log.borrow(), [0]);
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

async fn waits_grow_and_stay_within_their_bounds() {
    let (min, max) = (10 * MS, 300 * MS);
    let mut even = ExponentialBackoffMaker::new(min, max, 0.0).unwrap().make_backoff();
    let waits: Vec<_> = (0..7).map(|_| even.next_wait().as_millis()).collect();
    assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);

    let maker = ExponentialBackoffMaker::new(min, max, 0.5).unwrap();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..50 {
        let mut backoff = maker.make_backoff();
        for base in [10, 20, 40, 80, 160, 300, 300] {
            let wait = backoff.next_wait();
            let base = MS * base;
            assert!(wait >= base && wait <= (base + base / 2).min(max), "{wait:?} for {base:?}");
            seen.insert(wait);
        }
    }
    assert!(seen.len() > 100, "it is left to chance: {}", seen.len());
    // For ever, and as long as a time can be.
    let far = ExponentialBackoffMaker::new(Duration::from_secs(1), Duration::MAX, 100.0).unwrap();
    let mut backoff = far.make_backoff();
    for _ in 0..200 {
        drop(backoff.next_backoff());
    }
    for (min, max, jitter) in
        [(max, min, 0.5), (Duration::ZERO, Duration::ZERO, 0.5), (min, max, -0.1), (min, max, 101.0)]
    {
        assert!(ExponentialBackoffMaker::new(min, max, jitter).is_err());
    }
    assert!(ExponentialBackoffMaker::new(min, max, f64::NAN).is_err());
}

#[cfg(feature = "sim")]
#[test]
fn the_same_seed_waits_the_same() {
    let waits = |seed| {
        let runtime = Builder::new().driver(annulus::Driver::Sim(seed)).build().unwrap();
        let mut backoff = ExponentialBackoffMaker::default().make_backoff();
        runtime.run(async { [(); 5].map(|()| backoff.next_wait()) }).unwrap()
    };
    assert_eq!(waits(7), waits(7));
    assert_ne!(waits(7), waits(8));
}

#[derive(Clone)]
struct Attempts(u32, ExponentialBackoff);

impl<T, E> Policy<u32, T, E> for Attempts {
    type Future = Sleep;

    fn retry(&mut self, _: &mut u32, result: &mut Result<T, E>) -> Option<Sleep> {
        self.0 = self.0.checked_sub(1)?;
        result.is_err().then(|| self.1.next_backoff())
    }

    fn clone_request(&mut self, request: &u32) -> Option<u32> {
        Some(*request)
    }
}

async fn towers_retry_waits_by_the_loop() {
    pause();
    let times = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&times);
    let fails_thrice = service_fn(move |request: u32| {
        noted.borrow_mut().push(now());
        ready(if noted.borrow().len() > 3 { Ok(request) } else { Err("not yet") })
    });
    let backoff = ExponentialBackoffMaker::new(10 * MS, 1000 * MS, 0.5).unwrap().make_backoff();
    let service = RetryLayer::new(Attempts(5, backoff)).layer(fails_thrice);
    assert_eq!(service.oneshot(7).await, Ok(7));
    let times = times.borrow();
    assert_eq!(times.len(), 4);
    for (place, pair) in times.windows(2).enumerate() {
        let base = 10 * MS * (1 << place);
        let waited = pair[1] - pair[0];
        assert!(waited >= base && waited < base * 2, "{waited:?} after {place}");
    }
}

async fn callers_share_a_service_in_their_order() {
    let log = Log::default();
    let shared = BufferLayer::new(100).layer(noting(&log, Duration::ZERO));
    let callers: Vec<_> = (0..100).map(|request| spawn(shared.clone().oneshot(request))).collect();
    for (request, caller) in callers.into_iter().enumerate() {
        assert_eq!(caller.await.unwrap().unwrap(), request as u32);
    }
    assert!(log.borrow().is_sorted() && log.borrow().len() == 100, "{log:?}");
}

async fn responses_of_a_shared_service_run_side_by_side() {
    pause();
    let log = Log::default();
    let shared = Buffer::new(noting(&log, 100 * MS), 2);
    let begun = now();
    let mut callers = JoinSet::new();
    for request in 0..20 {
        callers.spawn(shared.clone().oneshot(request));
    }
    while let Some(answered) = callers.join_next().await {
        answered.unwrap().unwrap();
    }
    assert!(now() - begun < 200 * MS, "{:?}", now() - begun);
}

async fn a_buffer_has_so_many_places() {
    let gate = Gate::new(false);
    let open = Rc::clone(&gate.open);
    let shared = Buffer::new(gate, 3);
    let mut waiting: Vec<_> = (0..3).map(|request| spawn(shared.clone().oneshot(request))).collect();
    for _ in 0..10 {
        yield_now().await;
    }
    // One that has a place and does not call keeps it; one that gives up leaves it to the next.
    let mut fourth = shared.clone();
    assert!(poll_once(&mut fourth.ready()).is_pending());
    drop(fourth);
    waiting.push(spawn(shared.clone().oneshot(3)));
    for _ in 0..10 {
        yield_now().await;
    }
    open.set(true);
    for (request, caller) in waiting.into_iter().enumerate() {
        assert_eq!(caller.await.unwrap().unwrap(), request as u32);
    }
    let mut idle: Vec<_> = (0..3).map(|_| shared.clone()).collect();
    for handle in &mut idle {
        handle.ready().await.unwrap();
    }
    let mut next = shared.clone();
    assert!(poll_once(&mut next.ready()).is_pending());
    idle.pop();
    next.ready().await.unwrap().call(9).await.unwrap();
}

async fn a_request_that_nobody_waits_for_does_not_reach_the_service() {
    let log = Log::default();
    let mut shared = Buffer::new(noting(&log, Duration::ZERO), 8);
    drop(shared.ready().await.unwrap().call(1));
    let kept = shared.ready().await.unwrap().call(2);
    drop(shared.ready().await.unwrap().call(3));
    kept.await.unwrap();
    for _ in 0..10 {
        yield_now().await;
    }
    assert_eq!(*log.borrow(), [2]);
}

async fn a_service_that_fails_is_told_to_all_who_wait_and_all_who_come() {
    let gate = Gate::new(true);
    let open = Rc::clone(&gate.open);
    let alive = Rc::downgrade(&gate.alive);
    let shared = Buffer::new(gate, 2);
    // Two wait for the service, two for a place.
    let waiting: Vec<_> = (0..4).map(|request| spawn(shared.clone().oneshot(request))).collect();
    for _ in 0..10 {
        yield_now().await;
    }
    open.set(true);
    for caller in waiting {
        let error = caller.await.unwrap().unwrap_err();
        let error = error.downcast::<ServiceError>().unwrap();
        assert!(error.to_string().contains("the gate is broken"), "{error}");
        assert_eq!(std::error::Error::source(&*error).unwrap().to_string(), "the gate is broken");
    }
    assert!(shared.clone().oneshot(9).await.unwrap_err().is::<ServiceError>());
    assert!(alive.upgrade().is_none(), "the service is dropped");
}

fn a_service_that_panics_closes_its_buffer(builder: Builder) {
    let panics = service_fn(|request: u32| {
        if request == 1 {
            boom("the service");
        }
        ready(Ok::<_, Infallible>(request))
    });
    let runtime = builder.on_panic(|_| {}).build().unwrap();
    let outcome = quietly(AssertUnwindSafe(|| {
        runtime
            .run(async {
                let shared = Buffer::new(panics, 8);
                assert_eq!(shared.clone().oneshot(0).await.unwrap(), 0);
                let callers = [1, 2].map(|request| spawn(shared.clone().oneshot(request)));
                for caller in callers {
                    assert!(caller.await.unwrap().unwrap_err().is::<Closed>());
                }
                assert!(shared.oneshot(3).await.unwrap_err().is::<Closed>());
            })
            .unwrap();
    }));
    outcome.unwrap();
}

async fn a_worker_that_is_dropped_leaves_nobody_waiting() {
    let log = Log::default();
    let (shared, worker) = Buffer::pair(noting(&log, Duration::ZERO), 1);
    let waiting: Vec<_> = (0..3).map(|request| spawn(shared.clone().oneshot(request))).collect();
    yield_now().await;
    // It was never polled.
    drop(worker);
    for caller in waiting {
        assert!(caller.await.unwrap().unwrap_err().is::<Closed>());
    }
    assert!(log.borrow().is_empty());
    // Also those who wait for the place of one who has it and does not call.
    let (shared, worker) = Buffer::pair(noting(&log, Duration::ZERO), 1);
    let mut holds = shared.clone();
    holds.ready().await.unwrap();
    let waits = spawn(shared.oneshot(1));
    yield_now().await;
    drop(worker);
    assert!(waits.await.unwrap().unwrap_err().is::<Closed>());
    assert!(holds.call(2).await.unwrap_err().is::<Closed>());
}

async fn the_last_handle_ends_the_task() {
    let alive = Rc::new(());
    let held = Rc::clone(&alive);
    let service = service_fn(move |request: u32| {
        let _held = &held;
        ready(Ok::<_, Infallible>(request))
    });
    let shared = Buffer::new(service, 2);
    let other = shared.clone();
    drop(shared);
    let response = other.oneshot(5);
    assert_eq!(response.await.unwrap(), 5, "what was called is answered");
    for _ in 0..10 {
        yield_now().await;
    }
    assert_eq!(Rc::strong_count(&alive), 1);
}

async fn a_service_becomes_ready_while_nobody_looks() {
    let gate = Gate::new(false);
    let open = Rc::clone(&gate.open);
    let mut service = SpawnReadyLayer::new().layer(gate);
    assert!(poll_once(&mut service.ready()).is_pending());
    open.set(true);
    sleep(10 * MS).await;
    // It has become so by now: one look finds it.
    assert!(matches!(poll_once(&mut service.ready()), Poll::Ready(Ok(_))));
    assert_eq!(service.call(5).await.unwrap(), 5);
    assert_eq!(service.ready().await.unwrap().call(6).await.unwrap(), 6, "and again");
}

async fn a_service_that_becomes_ready_is_dropped_with_its_handle() {
    let gate = Gate::new(false);
    let (open, alive) = (Rc::clone(&gate.open), Rc::downgrade(&gate.alive));
    let mut service = SpawnReady::new(gate);
    assert!(poll_once(&mut service.ready()).is_pending());
    yield_now().await;
    assert!(alive.upgrade().is_some());
    drop(service);
    yield_now().await;
    yield_now().await;
    assert!(alive.upgrade().is_none());
    open.set(true);
}

async fn a_failure_to_become_ready_is_told() {
    let gate = Gate::new(true);
    let open = Rc::clone(&gate.open);
    let mut service = SpawnReady::new(gate);
    assert!(poll_once(&mut service.ready()).is_pending());
    open.set(true);
    assert_eq!(service.ready().await.unwrap_err().to_string(), "the gate is broken");
    let error = service.ready().await.unwrap_err();
    assert!(error.to_string().contains("make another one"), "{error}");
}

async fn towers_own_limit_of_requests_at_a_time_works() {
    let (at_work, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let most_seen = Rc::clone(&most);
    let service = ConcurrencyLimitLayer::new(3).layer(service_fn(move |request: u32| {
        let (at_work, most) = (Rc::clone(&at_work), Rc::clone(&most));
        async move {
            at_work.set(at_work.get() + 1);
            most.set(most.get().max(at_work.get()));
            sleep(2 * MS).await;
            at_work.set(at_work.get() - 1);
            Ok::<_, Infallible>(request)
        }
    }));
    let callers: Vec<_> = (0..20).map(|request| spawn(service.clone().oneshot(request))).collect();
    for (request, caller) in callers.into_iter().enumerate() {
        assert_eq!(caller.await.unwrap(), Ok(request as u32));
    }
    assert_eq!(most_seen.get(), 3);
}

async fn towers_own_shedding_of_load_works() {
    let gate = Gate::new(false);
    let open = Rc::clone(&gate.open);
    let mut service = LoadShedLayer::new().layer(gate);
    let refused = service.ready().await.unwrap().call(1).await.unwrap_err();
    assert!(refused.is::<Overloaded>());
    open.set(true);
    assert_eq!(service.ready().await.unwrap().call(2).await.unwrap(), 2);
}

#[test]
fn what_goes_around_axums_routes_is_send() {
    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    fn is_send<T: Send>(_: &T) {}
    let mut service = TimeoutLayer::new(MS).layer(service_fn(|_: ()| ready(Ok::<_, Infallible>(()))));
    is_send_and_sync(&service);
    is_send(&service.call(()));
    is_send_and_sync(&RateLimitLayer::new(1, MS).layer(service));
    is_send_and_sync(&ExponentialBackoffMaker::default().make_backoff());
}
