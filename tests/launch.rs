//! Many loops, one a thread: they start together, end by what was agreed on, and find each other.

mod support;

use std::cell::Cell;
use std::collections::HashSet;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use annulus::launch::{Cause, Failure, Launch, Launched, Notice, OnFailure, Pin, Shard};
use annulus::sync::across::{Barrier, oneshot};
use annulus::time::sleep;
use annulus::{Builder, Runtime};
use support::on_every_driver;
use support::quiet::boom;

on_every_driver! {
    each_shard_has_a_thread_and_a_loop_of_its_own,
    results_come_in_the_order_of_the_shards,
    no_shard_begins_before_all_have_a_loop,
    a_loop_that_cannot_be_made_is_told_and_nothing_begins,
    a_closure_and_a_future_are_submitted_to_a_shard,
    a_broadcast_reaches_every_shard,
    each_shard_has_a_part_of_sharded_state,
    parts_are_dropped_on_their_thread_in_their_loop,
    a_part_that_wants_itself_while_it_is_made_panics_and_says_so,
    sharded_state_is_nobodys_outside_of_its_shards,
    a_panic_stops_the_others_in_order_and_is_told_with_its_shard,
    an_error_stops_the_others_and_is_told_with_its_shard,
    a_panic_can_be_gone_on_with,
    a_shard_that_panics_is_started_again_and_the_others_go_on,
    a_shard_that_fails_too_often_ends_the_launch,
    a_shard_that_fails_is_let_go_and_the_others_go_on,
    a_panic_of_a_task_is_no_failure_of_its_shard,
    a_panic_while_a_part_is_dropped_fails_its_shard,
    a_panic_while_a_task_is_dropped_with_its_loop_is_told,
    what_does_not_stop_in_time_is_cut_off,
    asked_to_stop_twice_they_are_cut_off,
    a_limit_that_no_clock_can_say_is_no_limit,
    a_shard_that_blocks_is_given_up_and_told,
    a_shard_that_was_cut_off_has_time_to_end,
    a_launch_that_has_started_can_be_asked,
    a_stop_while_a_shard_waits_to_be_started_again_ends_it,
    settings_are_read_again_by_all,
    a_launch_is_ready_when_all_its_shards_are,
    a_launch_that_ends_before_is_never_ready,
    notices_tell_what_happens_in_order,
    who_panics_when_told_hurts_no_launch,
    a_launch_that_is_no_service_has_no_successor,
    waiting_for_a_launch_on_a_loop_panics_and_says_what_to_do,
    a_shard_is_asked_too_early_and_too_late,
    a_launch_that_is_dropped_goes_on,
}

support::on_real_drivers! {
    because "they are about the machine's processors":
    shards_are_bound_to_processors_and_say_to_which, shards_that_may_not_be_bound_go_on_or_say_why_not, helpers_of_a_bound_shard_run_anywhere;
}

/// As many shards, on that driver.
fn launch(builder: &Builder, shards: usize) -> Launch {
    let builder = Mutex::new(builder.clone());
    annulus::launch().shards(shards).runtime(move |_, _| builder.lock().unwrap().clone())
}

/// Waits for a word to stop.
async fn until_stopped(shard: Shard) -> io::Result<usize> {
    shard.ready();
    shard.stopping().cancelled().await;
    Ok(shard.index())
}

/// The launch has ended by itself; to wait for that has an end, too.
fn ends<T>(launched: Launched<T>) -> Vec<Result<T, Failure>> {
    let begun = Instant::now();
    while !launched.is_finished() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not end");
        thread::sleep(Duration::from_millis(1));
    }
    launched.outcomes()
}

fn each_shard_has_a_thread_and_a_loop_of_its_own(builder: Builder) {
    let wanted = builder.clone().build().unwrap().driver();
    let seen = launch(&builder, 4).name("web").run(|shard| async move {
        let thread = thread::current();
        let current = Shard::current().expect("this is a shard's thread");
        assert_eq!((current.index(), current.count()), (shard.index(), 4));
        annulus::nop().await?;
        let driver = Runtime::try_current().unwrap().driver();
        io::Result::Ok((thread.name().unwrap().to_owned(), thread.id(), driver))
    });
    let seen = seen.unwrap();
    let threads: HashSet<_> = seen.iter().map(|(_, id, _)| *id).collect();
    assert_eq!(threads.len(), 4);
    assert!(!threads.contains(&thread::current().id()));
    let names: Vec<_> = seen.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["web-0", "web-1", "web-2", "web-3"]);
    assert!(seen.iter().all(|(.., driver)| *driver == wanted), "{seen:?}");
    assert!(Shard::current().is_none());
}

fn results_come_in_the_order_of_the_shards(builder: Builder) {
    let results = launch(&builder, 5).run(|shard| async move {
        // The last one ends first.
        sleep(Duration::from_millis(10 * (5 - shard.index() as u64))).await;
        io::Result::Ok(shard.index() * 10)
    });
    assert_eq!(results.unwrap(), [0, 10, 20, 30, 40]);
}

fn no_shard_begins_before_all_have_a_loop(builder: Builder) {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let builder = Mutex::new(builder);
    let launch = annulus::launch().shards(4).runtime(move |shard, _| {
        thread::sleep(Duration::from_millis(5 * shard as u64));
        counted.fetch_add(1, Ordering::SeqCst);
        builder.lock().unwrap().clone()
    });
    let seen = launch.run(move |_| {
        let made = made.load(Ordering::SeqCst);
        async move { io::Result::Ok(made) }
    });
    assert_eq!(seen.unwrap(), [4; 4]);
}

fn a_loop_that_cannot_be_made_is_told_and_nothing_begins(builder: Builder) {
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&begun);
    let builder = Mutex::new(builder);
    let refused = annulus::launch()
        .shards(3)
        .runtime(move |shard, _| {
            let builder = builder.lock().unwrap().clone();
            if shard == 1 { builder.without_operation("no such thing") } else { builder }
        })
        .on_notice(|_| ())
        .start(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            async { io::Result::Ok(()) }
        })
        .unwrap_err();
    assert!(matches!(refused, Failure { shard: Some(1), cause: Cause::Loop(_), .. }), "{refused:?}");
    assert!(refused.to_string().contains("no such thing"), "{refused}");
    assert_eq!(begun.load(Ordering::SeqCst), 0);
}

fn a_launch_that_has_started_can_be_asked(builder: Builder) {
    for _ in 0..20 {
        let launched = launch(&builder, 3).start(until_stopped).unwrap();
        let seen = (0..3).map(|shard| launched.shards().at(shard).run(|| Shard::current().unwrap().index()));
        assert_eq!(seen.map(|answer| answer.wait().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
        launched.stop();
        launched.join().unwrap();
    }
}

fn a_closure_and_a_future_are_submitted_to_a_shard(builder: Builder) {
    let all_done = Arc::new(Barrier::new(3));
    let results = launch(&builder, 3).run(move |shard| {
        let all_done = Arc::clone(&all_done);
        async move {
            let next = (shard.index() + 1) % shard.count();
            let there = shard.shards().at(next);
            let by_closure = there.run(|| Shard::current().unwrap().index()).await.unwrap();
            let by_future = there.spawn(|| async {
                let kept = Rc::new(Shard::current().unwrap().index());
                annulus::yield_now().await;
                *kept
            });
            let by_future = by_future.await.unwrap();
            all_done.wait().await;
            io::Result::Ok((next, by_closure, by_future))
        }
    });
    assert_eq!(results.unwrap(), [(1, 1, 1), (2, 2, 2), (0, 0, 0)]);
}

fn a_broadcast_reaches_every_shard(builder: Builder) {
    let launched = launch(&builder, 3).start(until_stopped).unwrap();
    assert!(launched.wait_until_ready());
    let answers = launched.shards().broadcast(|| thread::current().name().unwrap().to_owned());
    let names: Vec<_> = answers.into_iter().map(|answer| answer.wait().unwrap()).collect();
    assert_eq!(names, ["shard-0", "shard-1", "shard-2"]);
    launched.stop();
    assert_eq!(launched.join().unwrap(), [0, 1, 2]);
}

fn each_shard_has_a_part_of_sharded_state(builder: Builder) {
    let launch = launch(&builder, 3);
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let sums = launch.sharded(move |shard| {
        counted.fetch_add(1, Ordering::SeqCst);
        // Not `Send`: it stays where it is made.
        Rc::new(Cell::new(100 * shard.index()))
    });
    let launched = launch.start(until_stopped).unwrap();
    assert!(launched.wait_until_ready());
    for number in 0..300 {
        drop(sums.at(number % 3, move |part| part.set(part.get() + 1)));
    }
    let later = sums.spawn_at(1, |part| async move {
        annulus::yield_now().await;
        part.get()
    });
    assert_eq!(later.wait().unwrap(), 200);
    let all: Vec<_> = sums.map(|part| part.get()).into_iter().map(|answer| answer.wait().unwrap()).collect();
    assert_eq!(all, [100, 200, 300]);
    assert_eq!(made.load(Ordering::SeqCst), 3, "each part is made once");
    let owners: HashSet<_> = (0..100).map(|key| sums.owner_of(&key)).collect();
    assert_eq!(owners.len(), 3, "100 keys are on all three");
    assert_eq!(sums.owner_of("tea"), sums.clone().owner_of(&"tea".to_owned()));
    launched.stop();
    launched.join().unwrap();
}

/// Notes where it is dropped.
struct Noted(Arc<Mutex<Vec<(String, bool)>>>);

impl Drop for Noted {
    fn drop(&mut self) {
        let name = thread::current().name().unwrap_or_default().to_owned();
        self.0.lock().unwrap().push((name, Runtime::try_current().is_some()));
    }
}

fn parts_are_dropped_on_their_thread_in_their_loop(builder: Builder) {
    let launch = launch(&builder, 2);
    let notes = Arc::new(Mutex::new(Vec::new()));
    let theirs = Arc::clone(&notes);
    let parts = launch.sharded(move |_| Noted(Arc::clone(&theirs)));
    launch
        .run(move |_| {
            let parts = parts.clone();
            async move {
                let _ = parts.here();
                io::Result::Ok(())
            }
        })
        .unwrap();
    let mut notes = notes.lock().unwrap().clone();
    notes.sort();
    assert_eq!(notes, [("shard-0".to_owned(), true), ("shard-1".to_owned(), true)]);
}

fn a_part_that_wants_itself_while_it_is_made_panics_and_says_so(builder: Builder) {
    type Same = annulus::launch::Sharded<u8>;
    static ITSELF: Mutex<Option<Same>> = Mutex::new(None);
    let launch = launch(&builder, 1).on_notice(|_| ());
    let parts: Same = launch.sharded(|_| {
        let itself = ITSELF.lock().unwrap().clone();
        itself.map_or(0, |itself| {
            // Once is enough.
            *ITSELF.lock().unwrap() = None;
            *itself.here() + 1
        })
    });
    *ITSELF.lock().unwrap() = Some(parts.clone());
    let outcome = launch.run(move |_| {
        let parts = parts.clone();
        async move {
            let panic = support::quiet::quietly(std::panic::AssertUnwindSafe(|| *parts.here())).unwrap_err();
            io::Result::Ok(panic.downcast_ref::<&str>().copied().unwrap_or_default())
        }
    });
    assert_eq!(outcome.unwrap(), ["the part of a Sharded was wanted while it was made"]);
}

fn sharded_state_is_nobodys_outside_of_its_shards(builder: Builder) {
    let (one, other) = (launch(&builder, 1), launch(&builder, 1));
    let parts = one.sharded(|_| 7);
    let of_the_other = parts.clone();
    let seen = other.run(move |_| {
        let parts = of_the_other.clone();
        async move {
            let here = support::quiet::quietly(std::panic::AssertUnwindSafe(|| parts.here()));
            io::Result::Ok(here.is_err())
        }
    });
    assert_eq!(seen.unwrap(), [true], "on a shard of another launch");
    assert!(support::quiet::quietly(std::panic::AssertUnwindSafe(|| parts.here())).is_err());
    drop(one);
}

fn a_panic_stops_the_others_in_order_and_is_told_with_its_shard(builder: Builder) {
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ended);
    let launched = launch(&builder, 3)
        .on_notice(|_| ())
        .start(move |shard| {
            let ended = Arc::clone(&counted);
            async move {
                if shard.index() == 1 {
                    sleep(Duration::from_millis(5)).await;
                    boom("shard one");
                }
                until_stopped(shard).await?;
                ended.fetch_add(1, Ordering::SeqCst);
                io::Result::Ok(())
            }
        })
        .unwrap();
    let outcomes = ends(launched);
    assert_eq!(ended.load(Ordering::SeqCst), 2, "the others have ended in order");
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
    let failure = outcomes.into_iter().nth(1).unwrap().unwrap_err();
    assert_eq!(failure.to_string(), "shard 1 panicked: shard one, on purpose");
    assert_eq!(io::Error::from(failure).to_string(), "shard 1 panicked: shard one, on purpose");
}

fn an_error_stops_the_others_and_is_told_with_its_shard(builder: Builder) {
    let failure = launch(&builder, 2).on_notice(|_| ()).run(|shard| async move {
        match shard.index() {
            0 => Err(io::Error::other("no rows")),
            _ => until_stopped(shard).await,
        }
    });
    let failure = failure.unwrap_err();
    assert_eq!((failure.shard, failure.to_string().as_str()), (Some(0), "shard 0 failed: no rows"));
    let source = std::error::Error::source(&failure).unwrap();
    assert!(source.downcast_ref::<io::Error>().is_some());
}

fn a_panic_can_be_gone_on_with(builder: Builder) {
    let failure = launch(&builder, 1).on_notice(|_| ()).run(|_| async {
        boom("it");
        io::Result::Ok(())
    });
    let failure = failure.unwrap_err();
    let panic = support::quiet::quietly(std::panic::AssertUnwindSafe(|| failure.resume())).unwrap_err();
    assert_eq!(panic.downcast_ref::<String>().unwrap(), "it, on purpose");
}

fn a_shard_that_panics_is_started_again_and_the_others_go_on(builder: Builder) {
    let starts = Arc::new([const { AtomicUsize::new(0) }; 2]);
    let counted = Arc::clone(&starts);
    let launch =
        launch(&builder, 2).on_notice(|_| ()).on_failure(OnFailure::restart(5, Duration::from_secs(600)));
    let parts = launch.sharded(|_| Cell::new(0));
    let launched = launch
        .start(move |shard| {
            let starts = Arc::clone(&counted);
            async move {
                let before = starts[shard.index()].fetch_add(1, Ordering::SeqCst);
                assert_eq!(shard.restarts() as usize, before);
                if shard.index() == 1 && before < 3 {
                    boom("again");
                }
                until_stopped(shard).await
            }
        })
        .unwrap();
    assert!(launched.wait_until_ready());
    assert_eq!([0, 1].map(|shard| starts[shard].load(Ordering::SeqCst)), [1, 4]);
    // The new loop is found, and has a part of its own.
    assert_eq!(parts.at(1, |part| part.replace(7)).wait().unwrap(), 0);
    assert_eq!(parts.at(1, |part| part.get()).wait().unwrap(), 7);
    launched.stop();
    assert_eq!(launched.join().unwrap(), [0, 1]);
}

fn a_shard_that_fails_too_often_ends_the_launch(builder: Builder) {
    let starts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&starts);
    let launched = launch(&builder, 2)
        .on_notice(|_| ())
        .on_failure(OnFailure::restart(2, Duration::from_secs(600)))
        .start(move |shard| {
            let starts = Arc::clone(&counted);
            async move {
                if shard.index() == 0 {
                    starts.fetch_add(1, Ordering::SeqCst);
                    return Err(io::Error::other("again"));
                }
                until_stopped(shard).await
            }
        })
        .unwrap();
    let outcomes = ends(launched);
    assert_eq!(starts.load(Ordering::SeqCst), 3, "once, and twice again");
    assert_eq!(outcomes[0].as_ref().unwrap_err().to_string(), "shard 0 failed: again");
    assert_eq!(*outcomes[1].as_ref().unwrap(), 1);
}

fn a_shard_that_fails_is_let_go_and_the_others_go_on(builder: Builder) {
    let (fails, failed) = std::sync::mpsc::channel();
    let fails = Mutex::new(fails);
    let launched = launch(&builder, 3)
        .on_failure(OnFailure::GoOn)
        .on_notice(move |notice| {
            if let Notice::Failed { failure } = notice {
                fails.lock().unwrap().send(failure.to_string()).unwrap();
            }
        })
        .start(|shard| async move {
            if shard.index() == 2 {
                boom("the third");
            }
            until_stopped(shard).await
        })
        .unwrap();
    let told = failed.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(told, "shard 2 panicked: the third, on purpose");
    assert!(launched.wait_until_ready(), "the others are");
    for other in [0, 1] {
        let index = launched.shards().at(other).run(|| Shard::current().unwrap().index());
        assert_eq!(index.wait().unwrap(), other);
    }
    assert!(launched.shards().at(2).run(|| ()).wait().unwrap_err().is_cancelled());
    launched.stop();
    let outcomes = ends(launched);
    assert!(outcomes[0].is_ok() && outcomes[1].is_ok() && outcomes[2].is_err(), "{outcomes:?}");
}

fn a_panic_of_a_task_is_no_failure_of_its_shard(builder: Builder) {
    let results = launch(&builder, 1).run(|_| async {
        let joined = annulus::spawn(async { boom("a task") }).await;
        io::Result::Ok(joined.is_err())
    });
    assert_eq!(results.unwrap(), [true]);
}

fn a_panic_while_a_part_is_dropped_fails_its_shard(builder: Builder) {
    struct Booms;
    impl Drop for Booms {
        fn drop(&mut self) {
            boom("a part");
        }
    }
    let launch = launch(&builder, 1).on_notice(|_| ());
    let parts = launch.sharded(|_| Booms);
    let failure = launch.run(move |_| {
        let parts = parts.clone();
        async move {
            drop(parts.here());
            io::Result::Ok(())
        }
    });
    assert_eq!(failure.unwrap_err().to_string(), "shard 0 panicked: a part, on purpose");
}

fn a_panic_while_a_task_is_dropped_with_its_loop_is_told(builder: Builder) {
    struct Booms;
    impl Drop for Booms {
        fn drop(&mut self) {
            boom("a task's own");
        }
    }
    // What becomes of a task that panics as it ends is its handle's to tell, as everywhere: here it is only to do no harm.
    let results = launch(&builder, 2).on_notice(|_| ()).run(|shard| async move {
        let kept = Booms;
        drop(annulus::spawn(async move {
            std::future::pending::<()>().await;
            drop(kept);
        }));
        annulus::yield_now().await;
        io::Result::Ok(shard.index())
    });
    assert_eq!(results.unwrap(), [0, 1]);
}

fn what_does_not_stop_in_time_is_cut_off(builder: Builder) {
    let dropped = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&dropped);
    struct Sets(Arc<AtomicBool>);
    impl Drop for Sets {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let launched = launch(&builder, 2)
        .drain_limit(Duration::from_millis(50))
        .on_notice(|_| ())
        .start(move |shard| {
            let sets = Sets(Arc::clone(&theirs));
            async move {
                if shard.index() == 0 {
                    return until_stopped(shard).await;
                }
                shard.ready();
                std::future::pending::<()>().await;
                drop(sets);
                Ok(0)
            }
        })
        .unwrap();
    assert!(launched.wait_until_ready());
    launched.stop();
    let outcomes = ends(launched);
    assert_eq!(*outcomes[0].as_ref().unwrap(), 0);
    assert!(matches!(outcomes[1], Err(Failure { cause: Cause::CutOff, .. })), "{outcomes:?}");
    assert!(dropped.load(Ordering::SeqCst), "its future was dropped");
}

fn asked_to_stop_twice_they_are_cut_off(builder: Builder) {
    let launched = launch(&builder, 2)
        .drain_limit(Duration::from_secs(3600))
        .on_notice(|_| ())
        .start(|shard| async move {
            shard.ready();
            std::future::pending::<io::Result<()>>().await
        })
        .unwrap();
    assert!(launched.wait_until_ready());
    launched.stop();
    launched.stop();
    for outcome in ends(launched) {
        assert!(matches!(outcome, Err(Failure { cause: Cause::CutOff, .. })), "{outcome:?}");
    }
}

fn a_limit_that_no_clock_can_say_is_no_limit(builder: Builder) {
    let launched = launch(&builder, 1).drain_limit(Duration::MAX).cut_off_limit(Duration::MAX);
    let launched = launched.start(until_stopped).unwrap();
    launched.stop();
    assert_eq!(launched.join().unwrap(), [0]);
}

fn a_shard_that_blocks_is_given_up_and_told(builder: Builder) {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let (notices, told) = std::sync::mpsc::channel();
    let notices = Mutex::new(notices);
    let launched = launch(&builder, 1)
        .drain_limit(Duration::ZERO)
        .cut_off_limit(Duration::from_millis(50))
        .on_notice(move |notice| notices.lock().unwrap().send(notice.to_string()).unwrap_or_default())
        .start(move |shard| {
            let released = Arc::clone(&released);
            async move {
                shard.ready();
                // For longer than anybody waits.
                let _ = released.lock().unwrap().recv();
                io::Result::Ok(())
            }
        })
        .unwrap();
    assert!(launched.wait_until_ready());
    launched.stop();
    let outcomes = ends(launched);
    assert!(matches!(outcomes[0], Err(Failure { cause: Cause::Stuck, .. })), "{outcomes:?}");
    assert!(told.try_iter().last().unwrap().contains("does not end"));
    drop(release);
}

fn a_shard_that_was_cut_off_has_time_to_end(builder: Builder) {
    let launched = launch(&builder, 1)
        .drain_limit(Duration::ZERO)
        .cut_off_limit(Duration::from_secs(600))
        .on_notice(|_| ())
        .start(|shard| async move {
            shard.ready();
            shard.stopping().cancelled().await;
            // It does not look for a while.
            thread::sleep(Duration::from_millis(200));
            std::future::pending::<io::Result<()>>().await
        })
        .unwrap();
    assert!(launched.wait_until_ready());
    launched.stop();
    let outcomes = ends(launched);
    assert!(matches!(outcomes[0], Err(Failure { cause: Cause::CutOff, .. })), "{outcomes:?}");
}

fn a_stop_while_a_shard_waits_to_be_started_again_ends_it(builder: Builder) {
    let (notices, told) = std::sync::mpsc::channel();
    let notices = Mutex::new(notices);
    let launched = launch(&builder, 1)
        .on_failure(OnFailure::restart(1000, Duration::from_secs(600)))
        .on_notice(move |notice| {
            if let Notice::Restarting { after, .. } = notice {
                let _ = notices.lock().unwrap().send(*after);
            }
        })
        .start(|_| async { Err::<(), _>(io::Error::other("it fails")) })
        .unwrap();
    // By then the pause is long enough to be met.
    while told.recv_timeout(Duration::from_secs(30)).unwrap() < Duration::from_millis(800) {}
    launched.stop();
    let outcomes = ends(launched);
    assert_eq!(outcomes[0].as_ref().unwrap_err().to_string(), "shard 0 failed: it fails");
}

fn settings_are_read_again_by_all(builder: Builder) {
    let launched = launch(&builder, 3)
        .start(|shard| async move {
            let mut reloads = shard.reloads();
            shard.ready();
            while *reloads.borrow_and_update() < 2 {
                reloads.changed().await.unwrap();
            }
            io::Result::Ok(())
        })
        .unwrap();
    assert!(launched.wait_until_ready());
    launched.reload();
    launched.reload();
    assert!(ends(launched).iter().all(Result::is_ok));
}

fn a_launch_is_ready_when_all_its_shards_are(builder: Builder) {
    let (go_on, waits) = oneshot::channel::<()>();
    let waits = Mutex::new(Some(waits));
    let are_ready = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&are_ready);
    let launched = launch(&builder, 2)
        .start(move |shard| {
            let waits = (shard.index() == 1).then(|| waits.lock().unwrap().take().unwrap());
            let counted = Arc::clone(&counted);
            async move {
                if let Some(waits) = waits {
                    let _ = waits.await;
                }
                counted.fetch_add(1, Ordering::SeqCst);
                until_stopped(shard).await
            }
        })
        .unwrap();
    let opened = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        go_on.send(())
    });
    assert!(launched.wait_until_ready());
    assert_eq!(are_ready.load(Ordering::SeqCst), 2);
    assert!(launched.wait_until_ready(), "it still is");
    opened.join().unwrap().unwrap();
    launched.stop();
    launched.join().unwrap();
}

fn a_launch_that_ends_before_is_never_ready(builder: Builder) {
    let launched = launch(&builder, 2).start(|_| async { io::Result::Ok(()) }).unwrap();
    assert!(!launched.wait_until_ready());
    assert!(!launched.wait_until_ready());
    launched.join().unwrap();
}

fn notices_tell_what_happens_in_order(builder: Builder) {
    let notices = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&notices);
    let launched = launch(&builder, 2)
        .on_failure(OnFailure::restart(1, Duration::from_secs(600)))
        .drain_limit(Duration::from_secs(7))
        .on_notice(move |notice| told.lock().unwrap().push(notice.to_string()))
        .start(|shard| async move {
            if shard.index() == 1 && shard.restarts() == 0 {
                return Err(io::Error::other("not yet"));
            }
            until_stopped(shard).await
        })
        .unwrap();
    assert!(launched.wait_until_ready());
    launched.reload();
    launched.stop();
    // Who ends reads no settings.
    launched.reload();
    launched.join().unwrap();
    let wanted = [
        "shard 1 failed: not yet; it is started again",
        "all shards serve",
        "settings are read again",
        "stopping; what runs has 7s to finish",
    ];
    assert_eq!(*notices.lock().unwrap(), wanted);
}

fn who_panics_when_told_hurts_no_launch(builder: Builder) {
    let launched = launch(&builder, 2).on_notice(|_| boom("a notice")).start(until_stopped).unwrap();
    assert!(launched.wait_until_ready());
    launched.stop();
    assert_eq!(launched.join().unwrap(), [0, 1]);
}

fn a_launch_that_is_no_service_has_no_successor(builder: Builder) {
    let (notices, told) = std::sync::mpsc::channel();
    let notices = Mutex::new(notices);
    let launched = launch(&builder, 1)
        .on_notice(move |notice| notices.lock().unwrap().send(notice.to_string()).unwrap_or_default())
        .start(until_stopped)
        .unwrap();
    assert!(launched.wait_until_ready());
    launched.restart();
    while !told.recv_timeout(Duration::from_secs(30)).unwrap().contains("Launch::as_service") {}
    launched.stop();
    launched.join().unwrap();
}

fn waiting_for_a_launch_on_a_loop_panics_and_says_what_to_do(builder: Builder) {
    let launched = launch(&builder, 1).start(until_stopped).unwrap();
    let runtime = builder.build().unwrap();
    let panic = runtime.run(async {
        let wait = std::panic::AssertUnwindSafe(|| launched.wait_until_ready());
        std::panic::catch_unwind(wait).unwrap_err()
    });
    let panic = panic.unwrap();
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    assert!(text.unwrap().contains("spawn_blocking"), "{text:?}");
    launched.stop();
    launched.join().unwrap();
}

fn a_shard_is_asked_too_early_and_too_late(builder: Builder) {
    let launch = launch(&builder, 1);
    let shards = launch.handle();
    let early = support::quiet::quietly(std::panic::AssertUnwindSafe(|| shards.at(0))).unwrap_err();
    assert!(early.downcast_ref::<&str>().unwrap().contains("have not been started"));
    launch.run(|_| async { io::Result::Ok(()) }).unwrap();
    assert!(shards.at(0).run(|| ()).wait().unwrap_err().is_cancelled());
    let nobody = support::quiet::quietly(std::panic::AssertUnwindSafe(|| shards.at(1))).unwrap_err();
    assert!(nobody.downcast_ref::<String>().unwrap().contains("no shard 1: there are 1"));
}

fn a_launch_that_is_dropped_goes_on(builder: Builder) {
    let (done, is_done) = std::sync::mpsc::channel();
    let done = Mutex::new(done);
    let launched = launch(&builder, 1)
        .start(move |_| {
            let done = done.lock().unwrap().clone();
            async move {
                sleep(Duration::from_millis(5)).await;
                done.send(()).unwrap();
                io::Result::Ok(())
            }
        })
        .unwrap();
    drop(launched);
    is_done.recv_timeout(Duration::from_secs(30)).unwrap();
}

/// The processors that the calling thread may run on, as Linux lists them.
fn cpus_allowed() -> Option<String> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    Some(list.trim().to_owned())
}

fn helpers_of_a_bound_shard_run_anywhere(builder: Builder) {
    if !cfg!(target_os = "linux") {
        println!("skipped: no thread is bound here");
        return;
    }
    let seen = launch(&builder, 2).pin(Pin::Always).run(|_| async {
        let helper = annulus::spawn_blocking(cpus_allowed).await?;
        io::Result::Ok((cpus_allowed(), helper))
    });
    for (shard, helper) in seen.unwrap() {
        assert_eq!(helper, cpus_allowed(), "the shard's thread may run on {shard:?}");
    }
}

#[cfg(target_os = "linux")]
fn shards_that_may_not_be_bound_go_on_or_say_why_not(builder: Builder) {
    support::child::alone(|| {
        let count = annulus::topology::Topology::read().cpus().len();
        support::seccomp::refuse(&[libc::SYS_sched_setaffinity as u32], libc::EPERM);
        let run = |pin| {
            let launch = launch(&builder, count).on_notice(|_| ()).pin(pin);
            launch.run(|shard| async move { io::Result::Ok(shard.cpu()) })
        };
        assert!(run(Pin::Auto).unwrap().iter().all(Option::is_none));
        let text = run(Pin::Always).unwrap_err().to_string();
        assert!(text.contains("Pin::Never"), "{text}");
    });
}

#[cfg(not(target_os = "linux"))]
fn shards_that_may_not_be_bound_go_on_or_say_why_not(_builder: Builder) {
    println!("skipped: no thread is bound here");
}

fn shards_are_bound_to_processors_and_say_to_which(builder: Builder) {
    let topology = annulus::topology::Topology::read();
    let count = topology.cpus().len();
    let seen = launch(&builder, count)
        .pin(Pin::Always)
        .run(|shard| async move { io::Result::Ok((shard.cpu(), cpus_allowed())) });
    let seen = seen.unwrap();
    if cfg!(target_os = "linux") {
        let cpus: HashSet<_> = seen.iter().map(|(cpu, _)| cpu.expect("it is bound")).collect();
        assert_eq!(cpus, topology.cpus().iter().map(|cpu| cpu.number).collect());
        assert!(
            seen.iter().all(|(cpu, list)| list.as_deref() == Some(&*cpu.unwrap().to_string())),
            "{seen:?}"
        );
    }
    let free = launch(&builder, count + 1).run(|shard| async move { io::Result::Ok(shard.cpu()) });
    assert!(free.unwrap().iter().all(Option::is_none), "more shards than processors are not bound");
}
