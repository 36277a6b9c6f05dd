//! The watchdog: a poll that is stuck is told of while it is, by another thread, and the loop does nothing for it.

mod support;

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use annulus::debug::{SlowPoll, Warning};
use annulus::time::sleep;
use annulus::{Builder, spawn, yield_now};
use support::child::alone;
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    many_short_polls_in_one_turn_are_no_stuck_poll,
    a_loop_that_waits_or_is_not_run_is_not_stuck,
}

on_real_drivers! {
    because "in a simulated world no time passes in a poll":
        a_stuck_poll_is_told_of_while_it_is_stuck_and_once_more_when_it_is_over,
        one_that_stays_stuck_is_told_of_again_when_it_has_taken_twice_as_long,
        of_several_loops_the_one_that_is_stuck_is_told_of,
        of_many_stalls_all_are_counted_and_five_are_told,
        a_hook_that_panics_is_told_of_the_next_one_all_the_same;
    because "there is a thread only where there is something to look for":
        one_thread_looks_after_all_loops_and_ends_with_the_last;
}

/// Longer than anything takes here on a slow and busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the watchdog told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<SlowPoll>>>);

impl Told {
    fn by(&self, builder: Builder, limit: Duration) -> Builder {
        let told = self.clone();
        builder.watchdog(limit).on_warning(move |warning| match warning {
            Warning::SlowPoll(slow) => told.0.lock().unwrap().push(slow.clone()),
            other => panic!("{other}"),
        })
    }

    fn all(&self) -> Vec<SlowPoll> {
        self.0.lock().unwrap().clone()
    }

    /// Holds the thread up until so many were told, as no task should.
    #[track_caller]
    fn block_until(&self, count: usize) {
        let begun = Instant::now();
        while self.all().len() < count {
            assert!(begun.elapsed() < PATIENCE, "told was {:?}", self.all());
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Not so short that a machine that is busy with something else looks like a loop that hangs.
const LONG: Duration = Duration::from_millis(800);

fn many_short_polls_in_one_turn_are_no_stuck_poll(builder: Builder) {
    let told = Told::default();
    let runtime = told.by(builder, LONG).build().unwrap();
    runtime
        .run(async {
            // All in one batch, with nothing that would break it off.
            let tasks: Vec<_> = (0..30).map(|_| spawn(async { thread::sleep(LONG / 15) })).collect();
            for task in tasks {
                task.await.unwrap();
            }
        })
        .unwrap();
    assert_eq!((told.all().len(), runtime.metrics().stalls), (0, 0), "{:?}", told.all());
}

fn a_loop_that_waits_or_is_not_run_is_not_stuck(builder: Builder) {
    let told = Told::default();
    let runtime = told.by(builder, LONG).build().unwrap();
    thread::sleep(LONG * 3 / 2);
    runtime.run(sleep(LONG * 3 / 2)).unwrap();
    thread::sleep(LONG * 3 / 2);
    runtime.run(yield_now()).unwrap();
    assert_eq!((told.all().len(), runtime.metrics().stalls), (0, 0), "{:?}", told.all());
}

fn a_stuck_poll_is_told_of_while_it_is_stuck_and_once_more_when_it_is_over(builder: Builder) {
    let told = Told::default();
    let runtime = told.by(builder, Duration::from_millis(50)).build().unwrap();
    let line = runtime
        .run(async {
            let blocking = told.clone();
            let line = line!() + 1;
            let stuck = spawn(async move { blocking.block_until(1) });
            let id = stuck.id();
            stuck.await.unwrap();
            assert_eq!(told.all()[0].task().id(), id);
            line
        })
        .unwrap();
    told.block_until(2);
    let [first, .., last] = &told.all()[..] else { unreachable!("there were two") };
    assert!(!first.is_over() && first.time() >= Duration::from_millis(50), "{first:?}");
    let place = first.task().spawned_at();
    assert_eq!((place.file(), place.line()), (file!(), line));
    if cfg!(feature = "backtrace") {
        assert!(first.to_string().contains("block_until"), "{first}");
    }
    assert!(
        last.is_over() && last.task().id() == first.task().id() && last.time() >= first.time(),
        "{last:?}"
    );
    assert!(runtime.metrics().stalls >= 1);
}

fn one_that_stays_stuck_is_told_of_again_when_it_has_taken_twice_as_long(builder: Builder) {
    let told = Told::default();
    let runtime = told.by(builder, Duration::from_millis(20)).build().unwrap();
    runtime.run(async { told.block_until(3) }).unwrap();
    let times: Vec<_> = told.all().iter().map(SlowPoll::time).collect();
    assert!(times[1] >= times[0] * 2 && times[2] >= times[1] * 2, "{times:?}");
    assert!(told.all()[..3].iter().all(|slow| !slow.is_over()));
    assert_eq!(runtime.metrics().stalls, 1, "it is one stall");
}

fn of_several_loops_the_one_that_is_stuck_is_told_of(builder: Builder) {
    let (stuck, others) = (Told::default(), Told::default());
    let ends = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (builder, ends) = (others.by(builder.clone(), Duration::from_secs(20)), Arc::clone(&ends));
            thread::spawn(move || {
                let runtime = builder.build().unwrap();
                let goes_on = async {
                    while !ends.load(std::sync::atomic::Ordering::Relaxed) {
                        sleep(Duration::from_millis(1)).await;
                    }
                };
                runtime.run(goes_on).unwrap();
            })
        })
        .collect();
    let runtime = stuck.by(builder, Duration::from_millis(30)).build().unwrap();
    runtime.run(async { stuck.block_until(1) }).unwrap();
    ends.store(true, std::sync::atomic::Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(others.all().is_empty(), "{:?}", others.all());
    let slow = &stuck.all()[0];
    assert_eq!(slow.task().spawned_at().file(), file!());
    if cfg!(feature = "backtrace") {
        assert!(slow.frames().iter().any(|frame| frame.function().contains("block_until")), "{slow:?}");
    }
}

fn of_many_stalls_all_are_counted_and_five_are_told(builder: Builder) {
    const STALLS: u64 = 9;
    let told = Told::default();
    let runtime = told.by(builder, Duration::from_millis(20)).build().unwrap();
    runtime
        .run(async {
            let counted = || annulus::Runtime::try_current().unwrap().metrics().stalls;
            for stall in 1..=STALLS {
                let begun = Instant::now();
                while counted() < stall {
                    assert!(begun.elapsed() < PATIENCE, "{} were counted", counted());
                    thread::sleep(Duration::from_millis(1));
                }
                // The next turn is another one, and is seen to be.
                sleep(Duration::from_millis(40)).await;
            }
        })
        .unwrap();
    let first = |slow: &&SlowPoll| !slow.is_over();
    let mut polls: Vec<_> = told.all();
    polls.dedup_by(|later, earlier| !later.is_over() && !earlier.is_over());
    // A machine that stands still for ten seconds begins another period.
    let count = polls.iter().filter(first).count();
    assert!((1..=5).contains(&count), "{count} were told of: {polls:?}");
}

fn a_hook_that_panics_is_told_of_the_next_one_all_the_same(builder: Builder) {
    let told = Told::default();
    let telling = told.clone();
    let builder = builder.watchdog(Duration::from_millis(20)).on_warning(move |warning| {
        let Warning::SlowPoll(slow) = warning else { return };
        telling.0.lock().unwrap().push(slow.clone());
        support::quiet::boom("the hook");
    });
    let runtime = builder.build().unwrap();
    runtime.run(async { told.block_until(2) }).unwrap();
}

fn one_thread_looks_after_all_loops_and_ends_with_the_last(builder: Builder) {
    alone(|| {
        let lookers = || {
            let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
            let names = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
            // Names are cut to fifteen letters.
            names.filter(|name| name.trim_end() == "annulus-watchdo").count()
        };
        let become_so_many = |wanted| {
            let come = (0..5000).any(|_| {
                thread::sleep(Duration::from_millis(1));
                lookers() == wanted
            });
            assert!(come, "{} threads, and not {wanted}", lookers());
        };
        let plain = builder.clone().build().unwrap();
        plain.run(sleep(Duration::from_millis(5))).unwrap();
        assert_eq!(lookers(), 0);
        let [one, other] = [(); 2].map(|()| builder.clone().watchdog(LONG).build().unwrap());
        become_so_many(1);
        drop(one);
        other.run(sleep(Duration::from_millis(20))).unwrap();
        assert_eq!(lookers(), 1);
        drop(other);
        become_so_many(0);
        // And begins again.
        let _again = builder.watchdog(LONG).build().unwrap();
        become_so_many(1);
        drop(plain);
    });
}
