//! Wakers that are no tasks, and what tells that one who waits was woken, in time and no more than that.
#![allow(unsafe_code, reason = "a waker that does something when it is cloned")]

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use annulus::{spawn, yield_now};

/// Polls once, as the task that awaits this.
pub(crate) async fn poll_once<F: Future + Unpin>(mut future: F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx))).await
}

/// A task that does something that is always ready, and how far it comes while this one yields a few times.
pub(crate) async fn steps_between_yields<F: Future<Output = ()>>(
    mut step: impl FnMut() -> F + 'static,
) -> u64 {
    let count = Rc::new(Cell::new(0));
    let busy = spawn({
        let count = Rc::clone(&count);
        async move {
            loop {
                step().await;
                count.set(count.get() + 1);
                assert!(count.get() < 100_000, "it has the thread for itself");
            }
        }
    });
    for _ in 0..10 {
        yield_now().await;
    }
    busy.abort();
    count.get()
}

#[track_caller]
pub(crate) fn assert_that_others_run(steps: u64) {
    assert!((10..2000).contains(&steps), "{steps}");
}

/// Wakes the thread that blocks.
struct Unpark(std::thread::Thread, AtomicUsize);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.unpark();
    }
}

/// A plain executor, of the simplest kind.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current(), AtomicUsize::new(0))));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park_timeout(Duration::from_secs(10));
    }
}

/// Counts how often it is woken.
#[derive(Default)]
pub(crate) struct Wakes(pub(crate) AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A waker that is no task of ours, and does something whenever it is cloned, woken or dropped.
pub(crate) mod meddler {
    use std::cell::{Cell, RefCell};
    use std::ptr::null;
    use std::rc::Rc;
    use std::task::{RawWaker, RawWakerVTable, Waker};

    thread_local! {
        static ACT: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
        /// How often it began, how often it came to its end, and how deep it is in itself.
        pub(crate) static BEGUN: Cell<u32> = const { Cell::new(0) };
        pub(crate) static DONE: Cell<u32> = const { Cell::new(0) };
        pub(crate) static WAKES: Cell<u32> = const { Cell::new(0) };
        static DEPTH: Cell<u32> = const { Cell::new(0) };
    }

    static VTABLE: RawWakerVTable = RawWakerVTable::new(
        |_| {
            meddle();
            RawWaker::new(null(), &VTABLE)
        },
        |_| wake(),
        |_| wake(),
        |_| meddle(),
    );

    fn wake() {
        WAKES.set(WAKES.get() + 1);
        meddle();
    }

    fn meddle() {
        let act = ACT.with_borrow(Clone::clone);
        if let Some(act) = act.filter(|_| DEPTH.get() < 3) {
            BEGUN.set(BEGUN.get() + 1);
            DEPTH.set(DEPTH.get() + 1);
            act();
            DEPTH.set(DEPTH.get() - 1);
            DONE.set(DONE.get() + 1);
        }
    }

    pub(crate) fn waker() -> Waker {
        // SAFETY: the functions use no data.
        unsafe { Waker::new(null(), &VTABLE) }
    }

    pub(crate) fn act(act: Option<Rc<dyn Fn()>>) {
        ACT.set(act);
    }
}

/// Polls with a waker that meddles, twice: so the second takes the place of the first.
pub(crate) fn polled_by_meddlers<F: Future>(mut future: Pin<&mut F>) {
    for _ in 0..2 {
        let waker = meddler::waker();
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
}

/// That the meddler acts in this step, and comes to its end each time.
#[track_caller]
pub(crate) fn meddled(step: impl FnOnce()) {
    let before = meddler::BEGUN.get();
    step();
    assert!(meddler::BEGUN.get() > before, "nobody's waker was touched");
    assert_eq!(meddler::BEGUN.get(), meddler::DONE.get(), "it found something borrowed");
}

/// Polls with a waker that does `act` when it is cloned, once: who is not ready then must have been woken.
pub(crate) fn polled_beside(name: &str, act: Rc<dyn Fn()>, future: Pin<&mut dyn Future<Output = ()>>) {
    let once = Cell::new(true);
    meddler::act(Some(Rc::new(move || {
        if once.take() {
            act()
        }
    })));
    let waker = meddler::waker();
    let mut cx = Context::from_waker(&waker);
    let wakes = meddler::WAKES.get();
    if future.poll(&mut cx).is_pending() {
        assert!(meddler::WAKES.get() > wakes, "{name} sleeps");
    }
    meddler::act(None);
}

/// Polls with one waker and then another: the second is woken.
pub(crate) fn last_is_woken<F: Future>(name: &str, mut future: Pin<&mut F>, wake: impl FnOnce()) {
    let (first, last) = (Arc::<Wakes>::default(), Arc::<Wakes>::default());
    for wakes in [&first, &last] {
        let waker = Waker::from(Arc::clone(wakes));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending(), "{name}");
    }
    wake();
    let counts = [first, last].map(|wakes| wakes.0.load(Ordering::Relaxed));
    assert_eq!(counts, [0, 1], "{name}");
}
