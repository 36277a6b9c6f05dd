//! Locks, permits and meeting points of the tasks of one thread: fair, and nothing is lost with a future that is dropped.

mod support;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use annulus::sync::{Barrier, Event, Mutex, OnceCell, RwLock, Semaphore, SetError, TryAcquireError};
use annulus::time::{sleep, timeout};
use annulus::{Builder, spawn, yield_now};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, join};
use support::on_every_driver;
use support::quiet::{boom, quietly};
use support::wakers::*;

on_every_driver! {
    the_lock_goes_round_in_the_order_in_which_they_came,
    nobody_overtakes_one_who_waits_for_the_lock,
    a_lock_given_to_a_dropped_future_goes_to_the_next,
    whoever_is_dropped_in_whatever_order_the_others_are_served,
    a_guard_of_an_rc_goes_where_a_borrow_cannot,
    a_panic_while_it_is_held_poisons_nothing,
    a_time_out_around_a_lock_loses_nothing,
    many_read_and_one_writes,
    a_writer_is_not_starved_by_readers,
    a_writer_that_is_dropped_lets_the_readers_behind_it_on,
    a_writer_that_goes_on_reading_lets_no_other_writer_between,
    a_large_request_is_not_overtaken,
    a_large_request_that_is_dropped_lets_the_small_ones_on,
    a_closed_semaphore_gives_nothing_more,
    permits_are_merged_split_added_and_forgotten,
    an_event_lets_on_all_who_wait_and_all_who_come,
    an_event_that_was_cleared_at_once_was_an_event,
    a_barrier_lets_on_so_many_with_one_leader_a_round,
    one_who_is_dropped_before_the_barrier_does_not_count,
    one_initialiser_runs_and_all_get_its_value,
    a_dropped_or_failed_initialiser_lets_the_next_one_try,
    a_cell_can_be_set_unless_it_is_being_made,
    a_lock_that_is_always_free_does_not_have_the_thread_for_itself,
    a_set_of_futures_shares_every_lock,
    a_task_of_another_loop_of_the_thread_gets_the_lock,
    a_queue_by_priority_is_a_heap_and_a_semaphore,
}

/// What one holds: guards and permits are dropped, and nothing else is done with them.
trait Guard {}
impl<T> Guard for T {}
type Held<'a> = Box<dyn Guard + 'a>;
type Waits<'a> = Pin<Box<dyn Future<Output = Held<'a>> + 'a>>;

fn held<'a>(guard: impl Guard + 'a) -> Held<'a> {
    Box::new(guard)
}

/// What can be held by one at a time: its name, how one waits for it, and whether it is free.
struct Subject {
    name: &'static str,
    wait: Box<dyn Fn() -> Waits<'static>>,
    is_free: Box<dyn Fn() -> bool>,
}

fn subjects() -> Vec<Subject> {
    let mutex = Rc::new(Mutex::new(0));
    let semaphore = Rc::new(Semaphore::new(1));
    let large = Rc::new(Semaphore::new(7));
    // What borrows is put beside what it borrows.
    let lock: &'static RwLock<u32> = Box::leak(Box::default());
    let borrowed: &'static Mutex<u32> = Box::leak(Box::default());
    vec![
        Subject {
            name: "mutex",
            wait: Box::new({
                let mutex = mutex.clone();
                move || Box::pin(mutex.clone().lock_owned().map(held))
            }),
            is_free: Box::new(move || mutex.try_lock().is_ok()),
        },
        Subject {
            name: "borrowed mutex",
            wait: Box::new(|| Box::pin(borrowed.lock().map(held))),
            is_free: Box::new(|| borrowed.try_lock().is_ok()),
        },
        Subject {
            name: "semaphore",
            wait: Box::new({
                let semaphore = semaphore.clone();
                move || {
                    let acquired = semaphore.clone().acquire_owned();
                    Box::pin(acquired.map(|permit| held(permit.unwrap())))
                }
            }),
            is_free: Box::new(move || semaphore.try_acquire().is_ok()),
        },
        Subject {
            name: "large request",
            wait: Box::new({
                let large = large.clone();
                move || {
                    let acquired = large.clone().acquire_many_owned(7);
                    Box::pin(acquired.map(|permit| held(permit.unwrap())))
                }
            }),
            is_free: Box::new(move || large.try_acquire_many(7).is_ok()),
        },
        Subject {
            name: "rwlock",
            wait: Box::new(|| Box::pin(lock.write().map(held))),
            is_free: Box::new(|| lock.try_write().is_ok()),
        },
    ]
}

async fn the_lock_goes_round_in_the_order_in_which_they_came() {
    for Subject { name, wait, .. } in subjects() {
        let order = Rc::new(RefCell::new(Vec::new()));
        let held = wait().await;
        for number in 0..100 {
            let (waits, order) = (wait(), Rc::clone(&order));
            drop(spawn(async move {
                let _held = waits.await;
                order.borrow_mut().push(number);
                yield_now().await;
            }));
        }
        yield_now().await;
        assert!(order.borrow().is_empty(), "{name}");
        drop(held);
        // Comes last, and is served last.
        drop(wait().await);
        assert_eq!(*order.borrow(), (0..100).collect::<Vec<_>>(), "{name}");
    }
}

async fn nobody_overtakes_one_who_waits_for_the_lock() {
    for Subject { name, wait, is_free } in subjects() {
        let held = wait().await;
        let mut second = wait();
        assert!(poll_once(second.as_mut()).await.is_pending(), "{name}");
        drop(held);
        // It is the second one's, who has not come for it yet.
        assert!(!is_free(), "{name}");
        let mut third = wait();
        assert!(poll_once(third.as_mut()).await.is_pending(), "{name}");
        let held = poll_once(second).await;
        assert!(held.is_ready(), "{name}");
        assert!(poll_once(third.as_mut()).await.is_pending(), "{name}");
        drop(held);
        assert!(poll_once(third).await.is_ready(), "{name}");
        assert!(is_free(), "{name}");
    }
}

async fn a_lock_given_to_a_dropped_future_goes_to_the_next() {
    for Subject { name, wait, is_free } in subjects() {
        let held = wait().await;
        let mut waiting: Vec<_> = (0..4).map(|_| wait()).collect();
        for waits in &mut waiting {
            assert!(poll_once(waits.as_mut()).await.is_pending());
        }
        // One who waits in the middle leaves; then the lock is given to the first, who leaves with it.
        drop(waiting.remove(1));
        drop(held);
        drop(waiting.remove(0));
        for waits in waiting {
            let held = timeout(Duration::from_secs(1000), waits).await;
            assert!(held.is_ok() && !is_free(), "{name}");
        }
        assert!(is_free(), "{name}");
        // Nobody is next: it is free.
        let held = wait().await;
        let mut last = wait();
        assert!(poll_once(last.as_mut()).await.is_pending());
        drop(held);
        drop(last);
        assert!(is_free(), "{name}");
    }
}

/// All orders of so many.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(count - 1);
    let put = |place: usize| {
        shorter.iter().cloned().map(move |mut order: Vec<usize>| {
            order.insert(place, count - 1);
            order
        })
    };
    (0..count).flat_map(put).collect()
}

/// Four wait. In every order they are polled or dropped, in every choice of the two, after so many of them have been served.
async fn whoever_is_dropped_in_whatever_order_the_others_are_served() {
    const COUNT: usize = 4;
    for Subject { name, wait, is_free } in subjects() {
        for order in orders(COUNT) {
            for dropped in 0..1u32 << COUNT {
                // With a whole budget, so that what is there is ready.
                yield_now().await;
                let mut held = Some(wait().await);
                let mut waiting: Vec<_> = (0..COUNT).map(|_| Some(wait())).collect();
                for waits in waiting.iter_mut().flatten() {
                    assert!(poll_once(waits.as_mut()).await.is_pending());
                }
                // Half of the time it is let go of before, so that somebody has it and may be dropped with it.
                if dropped.count_ones() % 2 == 0 {
                    held = None;
                }
                for one in &order {
                    if dropped >> one & 1 == 1 {
                        waiting[*one] = None;
                    } else if let Poll::Ready(now) = poll_once(waiting[*one].as_mut().unwrap().as_mut()).await
                    {
                        assert!(held.is_none(), "{name} is held by two: {order:?} {dropped:b}");
                        assert!(waiting[..*one].iter().all(Option::is_none), "{name}: {order:?} {dropped:b}");
                        waiting[*one] = None;
                        held = Some(now);
                    }
                    if one % 2 == 0 {
                        held = None;
                    }
                }
                drop(held);
                for waits in waiting.iter_mut().filter_map(Option::take) {
                    assert!(poll_once(waits).await.is_ready(), "{name}: {order:?} {dropped:b}");
                }
                assert!(is_free(), "{name}: {order:?} {dropped:b}");
            }
        }
    }
}

async fn a_guard_of_an_rc_goes_where_a_borrow_cannot() {
    let mutex = Rc::new(Mutex::new(vec![1]));
    let mut guard = Rc::clone(&mutex).lock_owned().await;
    assert!(Rc::clone(&mutex).try_lock_owned().is_err() && mutex.try_lock().is_err());
    assert_eq!(format!("{mutex:?}"), "Mutex { data: <locked> }");
    spawn(async move { guard.push(2) }).await.unwrap();
    assert_eq!(*Rc::clone(&mutex).try_lock_owned().unwrap(), [1, 2]);
    assert_eq!(format!("{mutex:?} {:?}", mutex.lock().await), "Mutex { data: <locked> } [1, 2]");
    assert_eq!(format!("{mutex:?}"), "Mutex { data: [1, 2] }");
    // It is the last that keeps the mutex.
    let guard = Rc::clone(&mutex).lock_owned().await;
    drop(mutex);
    assert_eq!(*guard, [1, 2]);
    drop(guard);
    let semaphore = Rc::new(Semaphore::new(1));
    let permit = Rc::clone(&semaphore).acquire_owned().await.unwrap();
    assert!(Rc::clone(&semaphore).try_acquire_owned().is_err());
    spawn(async move { drop(permit) }).await.unwrap();
    assert_eq!(semaphore.available_permits(), 1);
}

async fn a_panic_while_it_is_held_poisons_nothing() {
    for Subject { name, wait, is_free } in subjects() {
        let mut panics = Box::pin(async {
            let _held = wait().await;
            boom(name);
        });
        let waker = Waker::noop();
        let polled =
            || assert!(panics.as_mut().poll(&mut Context::from_waker(waker)).is_pending(), "it panics");
        assert!(quietly(AssertUnwindSafe(polled)).is_err());
        assert!(is_free(), "{name}");
    }
    let mutex = Rc::new(Mutex::new(1));
    let lock = Rc::new(RwLock::new(1));
    let task = spawn({
        let (mutex, lock) = (Rc::clone(&mutex), Rc::clone(&lock));
        async move {
            let (mut one, mut other) = (mutex.lock().await, lock.write().await);
            (*one, *other) = (2, 2);
            boom("with two locks");
        }
    });
    let mut waits = mutex.lock();
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!((*Pin::new(&mut waits).await, *lock.read().await), (2, 2), "as it was left");
}

async fn a_time_out_around_a_lock_loses_nothing() {
    for Subject { name, wait, is_free } in subjects() {
        let wait = Rc::new(wait);
        let served = Rc::new(Cell::new(0));
        let tasks: Vec<_> = (0..8u64)
            .map(|number| {
                let (wait, served) = (Rc::clone(&wait), Rc::clone(&served));
                spawn(async move {
                    for round in 0..20 {
                        let limit = Duration::from_micros(20 + 13 * (number + round));
                        if let Ok(_held) = timeout(limit, wait()).await {
                            served.set(served.get() + 1);
                            sleep(Duration::from_micros(30)).await;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        println!("{name}: {} of 160 were served", served.get());
        assert!(served.get() > 0 && is_free(), "{name}");
    }
}

async fn many_read_and_one_writes() {
    let lock = RwLock::new(1);
    let (one, other) = (lock.read().await, lock.read().await);
    assert_eq!(*one + *other, 2);
    assert!(lock.try_read().is_ok() && lock.try_write().is_err());
    let mut writes = pin!(lock.write());
    assert!(poll_once(writes.as_mut()).await.is_pending());
    drop(one);
    assert!(poll_once(writes.as_mut()).await.is_pending());
    drop(other);
    let mut guard = writes.await;
    *guard += 1;
    assert!(lock.try_read().is_err() && lock.try_write().is_err());
    assert_eq!(format!("{lock:?}"), "RwLock { data: <locked> }");
    drop(guard);
    assert_eq!(format!("{lock:?} {}", lock.read().await), "RwLock { data: 2 } 2");
    assert_eq!(*lock.try_read().unwrap(), 2);
}

async fn a_writer_is_not_starved_by_readers() {
    let lock = Rc::new(RwLock::new(0));
    let stop = Rc::new(Cell::new(false));
    // At every moment somebody reads.
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let (lock, stop) = (Rc::clone(&lock), Rc::clone(&stop));
            spawn(async move {
                let mut rounds = 0;
                while !stop.get() {
                    let reads = lock.read().await;
                    yield_now().await;
                    yield_now().await;
                    drop(reads);
                    rounds += 1;
                    assert!(rounds < 100_000, "the writer never has its turn");
                }
            })
        })
        .collect();
    yield_now().await;
    for _ in 0..10 {
        *lock.write().await += 1;
    }
    stop.set(true);
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(*lock.read().await, 10);
    // Who comes to read waits behind the writer; those who then stand together are let on together.
    let reads = lock.read().await;
    let (mut writes, mut one, mut other) = (pin!(lock.write()), pin!(lock.read()), pin!(lock.read()));
    assert!(poll_once(writes.as_mut()).await.is_pending());
    assert!(poll_once(one.as_mut()).await.is_pending() && poll_once(other.as_mut()).await.is_pending());
    assert!(lock.try_read().is_err());
    drop(reads);
    assert!(poll_once(one.as_mut()).await.is_pending());
    drop(writes.await);
    let both = (poll_once(one).await, poll_once(other).await);
    assert!(both.0.is_ready() && both.1.is_ready());
}

async fn a_writer_that_is_dropped_lets_the_readers_behind_it_on() {
    let lock = RwLock::new(0);
    let _reads = lock.read().await;
    let mut writes = Box::pin(lock.write());
    let mut behind = pin!(lock.read());
    assert!(poll_once(writes.as_mut()).await.is_pending());
    assert!(poll_once(behind.as_mut()).await.is_pending());
    drop(writes);
    assert!(poll_once(behind).await.is_ready());
    assert!(lock.try_read().is_ok());
}

async fn a_writer_that_goes_on_reading_lets_no_other_writer_between() {
    let lock = RwLock::new(0);
    let mut writes = lock.write().await;
    *writes = 1;
    let (mut reads, mut other) = (pin!(lock.read()), pin!(lock.write()));
    assert!(poll_once(reads.as_mut()).await.is_pending() && poll_once(other.as_mut()).await.is_pending());
    let down = writes.downgrade();
    assert_eq!((*down, *reads.await), (1, 1));
    assert!(poll_once(other.as_mut()).await.is_pending());
    drop(down);
    *other.await = 2;
    assert_eq!(*lock.try_read().unwrap(), 2);
}

async fn a_large_request_is_not_overtaken() {
    let semaphore = Semaphore::new(3);
    let (one, two) = (semaphore.acquire().await.unwrap(), semaphore.acquire().await.unwrap());
    let mut large = pin!(semaphore.acquire_many(3));
    let mut small = pin!(semaphore.acquire());
    assert!(poll_once(large.as_mut()).await.is_pending());
    // There is one, but it is kept for the one who waits.
    assert!(poll_once(small.as_mut()).await.is_pending());
    assert_eq!(semaphore.available_permits(), 0);
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    assert!(semaphore.try_acquire_many(0).is_ok());
    drop(one);
    assert!(poll_once(small.as_mut()).await.is_pending() && poll_once(large.as_mut()).await.is_pending());
    drop(two);
    assert!(poll_once(small.as_mut()).await.is_pending());
    let all = large.await.unwrap();
    assert_eq!(all.num_permits(), 3);
    drop(all);
    drop(small.await.unwrap());
    assert_eq!(semaphore.available_permits(), 3);
}

async fn a_large_request_that_is_dropped_lets_the_small_ones_on() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.acquire().await.unwrap();
    let mut large = Box::pin(semaphore.acquire_many(2));
    let (mut first, mut second) = (Box::pin(semaphore.acquire()), Box::pin(semaphore.acquire()));
    assert!(poll_once(large.as_mut()).await.is_pending());
    assert!(poll_once(first.as_mut()).await.is_pending() && poll_once(second.as_mut()).await.is_pending());
    drop(large);
    let got = poll_once(first.as_mut()).await;
    assert!(got.is_ready() && poll_once(second.as_mut()).await.is_pending());
    drop(held);
    // Given and not taken.
    drop(second);
    assert_eq!(semaphore.available_permits(), 1);
    drop(got);
    assert_eq!(semaphore.available_permits(), 2);
}

async fn a_closed_semaphore_gives_nothing_more() {
    let semaphore = Rc::new(Semaphore::new(2));
    let held = semaphore.acquire().await.unwrap();
    let mut given = pin!(semaphore.acquire());
    let waits: Vec<_> = (0..3).map(|_| spawn(semaphore.clone().acquire_many_owned(2))).collect();
    yield_now().await;
    assert_eq!(semaphore.available_permits(), 0);
    semaphore.close();
    for waits in waits {
        assert!(waits.await.unwrap().is_err());
    }
    assert!(semaphore.is_closed());
    assert!(ready(poll_once(given.as_mut()).await).is_some_and(|got| got.is_err()));
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
    // What was held back for one who waited is there again, and so is what was out.
    assert_eq!(semaphore.available_permits(), 1);
    drop(held);
    assert_eq!(semaphore.available_permits(), 2);

    // Who was given one before keeps it.
    let semaphore = Semaphore::new(1);
    let held = semaphore.acquire().await.unwrap();
    let mut given = pin!(semaphore.acquire());
    assert!(poll_once(given.as_mut()).await.is_pending());
    drop(held);
    semaphore.close();
    assert!(given.await.is_ok());
    assert_eq!(semaphore.available_permits(), 1);
}

/// `Poll` has none of `Option`'s questions.
fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

async fn permits_are_merged_split_added_and_forgotten() {
    let semaphore = Rc::new(Semaphore::new(5));
    let mut permit = semaphore.try_acquire_many(2).unwrap();
    permit.merge(semaphore.try_acquire().unwrap());
    assert_eq!((permit.num_permits(), semaphore.available_permits()), (3, 2));
    let split = permit.split(1).unwrap();
    assert!(permit.split(3).is_none());
    split.forget();
    drop(permit);
    assert_eq!((semaphore.available_permits(), semaphore.forget_permits(9)), (4, 4));
    let mut waits = pin!(semaphore.acquire_many(2));
    assert!(poll_once(waits.as_mut()).await.is_pending());
    semaphore.add_permits(1);
    assert!(poll_once(waits.as_mut()).await.is_pending());
    semaphore.add_permits(2);
    let got = waits.await.unwrap();
    assert_eq!(semaphore.available_permits(), 1);
    drop(got);
    let mut owned = semaphore.clone().try_acquire_many_owned(3).unwrap();
    owned.merge(owned.semaphore().clone().try_acquire_many_owned(0).unwrap());
    drop(owned.split(2));
    owned.forget();
    assert_eq!(semaphore.available_permits(), 2);

    let other = Semaphore::new(1);
    let merged = quietly(AssertUnwindSafe(|| {
        semaphore.try_acquire().unwrap().merge(other.try_acquire().unwrap());
    }));
    assert!(merged.is_err());
    let overflow = quietly(AssertUnwindSafe(|| semaphore.add_permits(Semaphore::MAX_PERMITS)));
    assert!(overflow.is_err());
    assert_eq!((semaphore.available_permits(), other.available_permits()), (2, 1));
}

async fn an_event_lets_on_all_who_wait_and_all_who_come() {
    let event = Rc::new(Event::new());
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let event = Rc::clone(&event);
            spawn(async move { event.wait().await })
        })
        .collect();
    yield_now().await;
    // One who waits in the middle is dropped.
    let mut given_up = Box::pin(event.wait());
    assert!(poll_once(given_up.as_mut()).await.is_pending());
    drop(given_up);
    assert!(waiting.iter().all(|task| !task.is_finished()));
    event.set();
    assert!(event.is_set());
    yield_now().await;
    assert!(waiting.iter().all(|task| task.is_finished()));
    for waits in waiting {
        waits.await.unwrap();
    }
    event.wait().await;
    event.clear();
    assert!(poll_once(pin!(event.wait())).await.is_pending());
}

async fn an_event_that_was_cleared_at_once_was_an_event() {
    let event = Event::new();
    let mut waits = pin!(event.wait());
    assert!(poll_once(waits.as_mut()).await.is_pending());
    event.set();
    event.clear();
    assert!(poll_once(pin!(event.wait())).await.is_pending());
    assert!(poll_once(waits).await.is_ready());
}

async fn a_barrier_lets_on_so_many_with_one_leader_a_round() {
    let barrier = Rc::new(Barrier::new(5));
    let (came, leaders) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let tasks: Vec<_> = (0..5)
        .map(|number| {
            let (barrier, came, leaders) = (Rc::clone(&barrier), Rc::clone(&came), Rc::clone(&leaders));
            spawn(async move {
                for round in 0..20 {
                    for _ in 0..number {
                        yield_now().await;
                    }
                    came.set(came.get() + 1);
                    let result = barrier.wait().await;
                    leaders.set(leaders.get() + u32::from(result.is_leader()));
                    assert!(came.get() >= 5 * (round + 1), "all of the round came before one goes on");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(leaders.get(), 20);
    for size in [0, 1] {
        assert!(Barrier::new(size).wait().await.is_leader());
    }
}

async fn one_who_is_dropped_before_the_barrier_does_not_count() {
    let barrier = Barrier::new(3);
    let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(barrier.wait())).collect();
    for waits in &mut waiting {
        assert!(poll_once(waits.as_mut()).await.is_pending());
    }
    drop(waiting.remove(0));
    let (mut second, mut third) = (Box::pin(barrier.wait()), Box::pin(barrier.wait()));
    assert!(poll_once(second.as_mut()).await.is_pending());
    assert!(ready(poll_once(third.as_mut()).await).is_some_and(|result| result.is_leader()));
    // The round was full: one who leaves now takes nothing from it, nor from the next.
    drop(second);
    assert!(ready(poll_once(waiting.remove(0)).await).is_some_and(|result| !result.is_leader()));
    let mut next: Vec<_> = (0..3).map(|_| Box::pin(barrier.wait())).collect();
    let mut ready = 0;
    for waits in &mut next {
        ready += u32::from(poll_once(waits.as_mut()).await.is_ready());
    }
    assert_eq!(ready, 1);
}

async fn one_initialiser_runs_and_all_get_its_value() {
    let (cell, runs) = (Rc::new(OnceCell::new()), Rc::new(Cell::new(0)));
    let tasks: Vec<_> = (0..10)
        .map(|number| {
            let (cell, runs) = (Rc::clone(&cell), Rc::clone(&runs));
            spawn(async move {
                let make = || async {
                    runs.set(runs.get() + 1);
                    yield_now().await;
                    number
                };
                *cell.get_or_init(make).await
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 0);
    }
    assert_eq!((runs.get(), cell.get()), (1, Some(&0)));
    let mut cell = Rc::into_inner(cell).unwrap();
    assert_eq!(cell.clone(), cell);
    *cell.get_mut().unwrap() = 7;
    assert_eq!((cell.take(), cell.initialized(), cell.into_inner()), (Some(7), false, None));
}

async fn a_dropped_or_failed_initialiser_lets_the_next_one_try() {
    let cell = OnceCell::new();
    let forever = || std::future::pending::<Result<u32, &str>>();
    let mut first = Box::pin(cell.get_or_try_init(forever));
    let mut second = Box::pin(cell.get_or_try_init(|| async { Err("no luck") }));
    let mut third = Box::pin(cell.get_or_init(|| async { boom("no value") }.map(|()| 0)));
    let mut fourth = Box::pin(cell.get_or_init(|| async { 4 }));
    let mut fifth = Box::pin(cell.get_or_init(|| async { 5 }));
    for _ in 0..2 {
        assert!(poll_once(first.as_mut()).await.is_pending());
        assert!(poll_once(second.as_mut()).await.is_pending());
        assert!(poll_once(third.as_mut()).await.is_pending());
        assert!(poll_once(fourth.as_mut()).await.is_pending());
        assert!(poll_once(fifth.as_mut()).await.is_pending());
    }
    drop(first);
    assert_eq!(second.await, Err("no luck"));
    let panics = || {
        let _ = third.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    };
    assert!(quietly(AssertUnwindSafe(panics)).is_err());
    drop(third);
    // Given to one who is dropped before they began.
    drop(fourth);
    assert_eq!(*fifth.await, 5);
    assert_eq!(cell.get_or_try_init(|| async { Err("too late") }).await, Ok(&5));
}

async fn a_cell_can_be_set_unless_it_is_being_made() {
    let cell = OnceCell::new();
    let mut makes = Box::pin(cell.get_or_init(std::future::pending::<u32>));
    assert!(poll_once(makes.as_mut()).await.is_pending());
    assert_eq!(cell.set(1), Err(SetError::InitializingError(1)));
    drop(makes);
    assert_eq!(cell.set(2), Ok(()));
    assert_eq!(cell.set(3), Err(SetError::AlreadyInitializedError(3)));
    assert_eq!(cell.get(), Some(&2));
}

async fn a_lock_that_is_always_free_does_not_have_the_thread_for_itself() {
    for Subject { wait, .. } in subjects() {
        let wait = Rc::new(wait);
        let steps = steps_between_yields(move || {
            let wait = Rc::clone(&wait);
            async move { drop(wait().await) }
        });
        assert_that_others_run(steps.await);
    }
    let lock: &'static RwLock<u32> = Box::leak(Box::default());
    assert_that_others_run(steps_between_yields(|| async { drop(lock.read().await) }).await);
    let event: &'static Event = Box::leak(Box::default());
    event.set();
    assert_that_others_run(steps_between_yields(|| event.wait()).await);
    let barrier: &'static Barrier = Box::leak(Box::new(Barrier::new(1)));
    assert_that_others_run(steps_between_yields(|| barrier.wait().map(|_| ())).await);
    let cell: &'static OnceCell<u32> = Box::leak(Box::default());
    let get = || cell.get_or_init(|| async { 1 }).map(|_| ());
    assert_that_others_run(steps_between_yields(get).await);
}

/// Everything at once, under wakers that are no tasks.
async fn everything() -> u32 {
    let (mutex, lock, semaphore) = (Mutex::new(0), RwLock::new(0), Semaphore::new(2));
    let (event, barrier, cell) = (Event::new(), Barrier::new(10), OnceCell::new());
    let mut each: FuturesUnordered<_> = (0..50)
        .map(|number| {
            let (mutex, lock, semaphore) = (&mutex, &lock, &semaphore);
            let (event, barrier, cell) = (&event, &barrier, &cell);
            async move {
                barrier.wait().await;
                event.wait().await;
                let _permit = semaphore.acquire_many(1 + number % 2).await.unwrap();
                let mut guard = mutex.lock().await;
                once_pending().await;
                *guard += 1;
                drop(guard);
                match number % 5 {
                    0 => *lock.write().await += 1,
                    _ => drop(lock.read().await),
                }
                *cell.get_or_init(|| once_pending().map(|()| 1)).await
            }
        })
        .collect();
    let sets = async {
        for _ in 0..3 {
            once_pending().await;
        }
        event.set();
    };
    let sums = async {
        let mut sum = 0;
        while let Some(one) = each.next().await {
            sum += one;
        }
        sum
    };
    let ((), sum) = join!(sets, sums);
    drop(each);
    sum + mutex.into_inner() + lock.into_inner()
}

/// Waits once, wherever it runs.
async fn once_pending() {
    let mut first = true;
    std::future::poll_fn(move |cx| match std::mem::take(&mut first) {
        true => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        false => Poll::Ready(()),
    })
    .await
}

async fn a_set_of_futures_shares_every_lock() {
    let sum = timeout(Duration::from_secs(1000), everything()).await.unwrap();
    assert_eq!(sum, 50 + 50 + 10);
}

#[test]
fn no_loop_is_needed() {
    assert_eq!(block_on(everything()), 110);
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(tokio.block_on(everything()), 110);
}

/// Two loops take turns on one thread.
fn a_task_of_another_loop_of_the_thread_gets_the_lock(builder: Builder) {
    let (one, other) = (builder.build().unwrap(), Builder::new().build().unwrap());
    for Subject { name, wait, .. } in subjects() {
        let held = one.run(wait()).unwrap();
        let mut waits = None;
        one.run(async {
            waits = Some(spawn(wait()));
            yield_now().await;
        })
        .unwrap();
        other.run(async { drop(held) }).unwrap();
        assert!(one.run(waits.unwrap()).unwrap().is_ok(), "{name}");
    }
}

/// As the documentation of `sync` has it: the heap holds what waits, the semaphore counts it.
async fn a_queue_by_priority_is_a_heap_and_a_semaphore() {
    use std::collections::BinaryHeap;

    let queue = Rc::new((RefCell::new(BinaryHeap::new()), Semaphore::new(0)));
    let takes = spawn({
        let queue = Rc::clone(&queue);
        async move {
            let mut taken = Vec::new();
            for _ in 0..6 {
                queue.1.acquire().await.unwrap().forget();
                taken.push(queue.0.borrow_mut().pop().unwrap());
                yield_now().await;
            }
            taken
        }
    });
    for batch in [[3, 9, 5], [1, 7, 8]] {
        for urgency in batch {
            queue.0.borrow_mut().push(urgency);
            queue.1.add_permits(1);
        }
        for _ in 0..10 {
            yield_now().await;
        }
    }
    assert_eq!(takes.await.unwrap(), [9, 5, 3, 8, 7, 1]);
}

#[test]
fn the_one_who_polled_last_is_woken() {
    let mutex = Mutex::new(0);
    let guard = mutex.try_lock().unwrap();
    last_is_woken("lock", pin!(mutex.lock()), || drop(guard));
    let semaphore = Semaphore::new(0);
    last_is_woken("acquire", pin!(semaphore.acquire()), || semaphore.add_permits(1));
    let lock = RwLock::new(0);
    let guard = lock.try_read().unwrap();
    last_is_woken("write", pin!(lock.write()), || drop(guard));
    let event = Event::new();
    last_is_woken("event", pin!(event.wait()), || event.set());
    let barrier = Barrier::new(2);
    last_is_woken("barrier", pin!(barrier.wait()), || {
        assert!(barrier.wait().now_or_never().unwrap().is_leader());
    });
}

/// All that a waker can reach is asked, and waited for a moment, while it is cloned, woken and dropped.
#[test]
fn somebody_elses_waker_may_use_what_wakes_it() {
    let (mutex, semaphore) = (Rc::new(Mutex::new(0)), Rc::new(Semaphore::new(0)));
    let (lock, event, barrier) = (Rc::new(RwLock::new(0)), Rc::new(Event::new()), Rc::new(Barrier::new(20)));
    let act = {
        let (mutex, semaphore) = (mutex.clone(), semaphore.clone());
        let (lock, event, barrier) = (lock.clone(), event.clone(), barrier.clone());
        move || {
            let _ = mutex.lock().now_or_never();
            let _ = semaphore.acquire_many(2).now_or_never();
            let _ = semaphore.try_acquire();
            let _ = lock.read().now_or_never();
            let _ = lock.write().now_or_never();
            let _ = event.wait().now_or_never();
            let _ = barrier.wait().now_or_never();
            let _ = format!("{mutex:?} {semaphore:?} {lock:?} {event:?} {barrier:?}");
        }
    };
    meddler::act(Some(Rc::new(act)));

    let guard = mutex.try_lock().unwrap();
    let mut locks: Vec<_> = (0..3).map(|_| Box::pin(mutex.lock())).collect();
    meddled(|| locks.iter_mut().for_each(|lock| polled_by_meddlers(lock.as_mut())));
    meddled(|| drop(locks.remove(1)));
    meddled(|| drop(guard));
    assert!(mutex.try_lock().is_err(), "it was handed over");
    meddled(|| drop(locks.remove(0)));
    drop(locks);
    assert!(mutex.try_lock().is_ok());

    let mut acquires: Vec<_> = (1..=4).map(|count| Box::pin(semaphore.acquire_many(count))).collect();
    meddled(|| acquires.iter_mut().for_each(|acquire| polled_by_meddlers(acquire.as_mut())));
    meddled(|| drop(acquires.remove(1)));
    meddled(|| semaphore.add_permits(5));
    drop(acquires.remove(0));
    meddled(|| semaphore.close());
    drop(acquires);
    assert_eq!(semaphore.available_permits(), 5);

    let guard = lock.try_write().unwrap();
    let (mut read, mut write) = (Box::pin(lock.read()), Box::pin(lock.write()));
    meddled(|| polled_by_meddlers(read.as_mut()));
    meddled(|| polled_by_meddlers(write.as_mut()));
    meddled(|| drop(guard));
    meddled(|| drop(read));
    drop(write);
    assert!(lock.try_write().is_ok());

    let mut waits: Vec<_> = (0..3).map(|_| Box::pin(event.wait())).collect();
    meddled(|| waits.iter_mut().for_each(|wait| polled_by_meddlers(wait.as_mut())));
    meddled(|| drop(waits.pop()));
    meddled(|| event.set());

    let mut waits: Vec<_> = (0..8).map(|_| Box::pin(barrier.wait())).collect();
    meddled(|| waits.iter_mut().for_each(|wait| polled_by_meddlers(wait.as_mut())));
    meddled(|| drop(waits.pop()));
    // Seven are in the line.
    let mut others: Vec<_> = (0..12).map(|_| Box::pin(barrier.wait())).collect();
    let mut idle = Context::from_waker(Waker::noop());
    assert!(others.iter_mut().all(|wait| wait.as_mut().poll(&mut idle).is_pending()));
    meddled(|| assert!(barrier.wait().now_or_never().unwrap().is_leader()));
    meddler::act(None);
}

/// What a waker does while it is cloned comes after the look whether one has to wait, and before anybody does.
#[test]
fn what_happens_while_one_begins_to_wait_is_not_missed() {
    let mutex: &'static Mutex<u32> = Box::leak(Box::default());
    let guard = Cell::new(Some(mutex.try_lock().unwrap()));
    let unlock = Rc::new(move || drop(guard.take()));
    polled_beside("lock", unlock, pin!(mutex.lock().map(|_| ())));

    let semaphore: &'static Semaphore = Box::leak(Box::new(Semaphore::new(0)));
    polled_beside("acquire", Rc::new(|| semaphore.add_permits(1)), pin!(semaphore.acquire().map(|_| ())));
    polled_beside("close", Rc::new(|| semaphore.close()), pin!(semaphore.acquire_many(9).map(|_| ())));

    let lock: &'static RwLock<u32> = Box::leak(Box::default());
    let guard = Cell::new(Some(lock.try_write().unwrap()));
    let unlock = Rc::new(move || drop(guard.take()));
    polled_beside("read", unlock, pin!(lock.read().map(|_| ())));

    let event: &'static Event = Box::leak(Box::default());
    polled_beside("event", Rc::new(|| event.set()), pin!(event.wait()));

    let barrier: &'static Barrier = Box::leak(Box::new(Barrier::new(2)));
    let other = RefCell::new(Box::pin(barrier.wait()));
    let comes = Rc::new(move || {
        let polled = other.borrow_mut().as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    });
    polled_beside("barrier", comes, pin!(barrier.wait().map(|_| ())));
}

#[test]
fn a_guard_is_two_words() {
    use annulus::sync::{MutexGuard, OwnedMutexGuard, RwLockReadGuard, RwLockWriteGuard, SemaphorePermit};

    let word = size_of::<usize>();
    let sizes = [
        size_of::<MutexGuard<'_, [u8; 100]>>(),
        size_of::<OwnedMutexGuard<[u8; 100]>>(),
        size_of::<RwLockReadGuard<'_, [u8; 100]>>(),
        size_of::<RwLockWriteGuard<'_, [u8; 100]>>(),
        size_of::<SemaphorePermit<'_>>(),
    ];
    assert_eq!(sizes, [2 * word; 5]);
}

#[test]
fn a_guard_that_was_forgotten_is_told_of() {
    let mut mutex = Mutex::new(1);
    std::mem::forget(mutex.try_lock().unwrap());
    assert!(mutex.try_lock().is_err());
    let told = std::panic::catch_unwind(AssertUnwindSafe(|| *mutex.get_mut())).unwrap_err();
    assert!(told.downcast_ref::<String>().unwrap().contains("forgotten"));
    // A future that was handed the lock and forgotten takes nothing along.
    let mut mutex = Mutex::new(1);
    let guard = mutex.try_lock().unwrap();
    let mut lock = Box::pin(mutex.lock());
    assert!(lock.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(guard);
    std::mem::forget(lock);
    assert_eq!(*mutex.get_mut(), 1);
}

mod model {
    //! Permits against a model of them: a number, and a queue of those who wait for so many.

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Try(usize),
        Begin(usize),
        /// The one at this place, among those that exist, is polled.
        Poll(usize),
        Drop(usize),
        Release(usize),
        Add(usize),
        Forget(usize),
        Close,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (0..5usize).prop_map(Step::Try),
            6 => (0..5usize).prop_map(Step::Begin),
            4 => (0..8usize).prop_map(Step::Poll),
            4 => (0..8usize).prop_map(Step::Drop),
            8 => (0..8usize).prop_map(Step::Release),
            1 => (0..3usize).prop_map(Step::Add),
            1 => (0..3usize).prop_map(Step::Forget),
        ];
        let steps = prop::collection::vec(step, 1..120);
        (steps, any::<bool>()).prop_map(|(mut steps, closes)| {
            if closes {
                steps.insert(steps.len() * 2 / 3, Step::Close);
            }
            steps
        })
    }

    /// What is modelled: how many permits it has, how many a wish of such a size comes to, and how one asks.
    trait Counted {
        const PERMITS: usize;
        fn wish(size: usize) -> usize;
        fn ask(&self, wish: usize) -> Pin<Box<dyn Future<Output = Option<Held<'_>>> + '_>>;
        fn try_ask(&self, wish: usize) -> Option<Held<'_>>;
        fn as_semaphore(&self) -> Option<&Semaphore> {
            None
        }
    }

    impl Counted for Semaphore {
        const PERMITS: usize = 3;
        fn wish(size: usize) -> usize {
            size
        }
        fn ask(&self, wish: usize) -> Pin<Box<dyn Future<Output = Option<Held<'_>>> + '_>> {
            Box::pin(self.acquire_many(wish as u32).map(|got| got.ok().map(held)))
        }
        fn try_ask(&self, wish: usize) -> Option<Held<'_>> {
            self.try_acquire_many(wish as u32).ok().map(held)
        }
        fn as_semaphore(&self) -> Option<&Semaphore> {
            Some(self)
        }
    }

    impl Counted for RwLock<u32> {
        const PERMITS: usize = 1000;
        fn wish(size: usize) -> usize {
            if size < 3 { 1 } else { 1000 }
        }
        fn ask(&self, wish: usize) -> Pin<Box<dyn Future<Output = Option<Held<'_>>> + '_>> {
            match wish {
                1 => Box::pin(self.read().map(|guard| Some(held(guard)))),
                _ => Box::pin(self.write().map(|guard| Some(held(guard)))),
            }
        }
        fn try_ask(&self, wish: usize) -> Option<Held<'_>> {
            match wish {
                1 => self.try_read().ok().map(held),
                _ => self.try_write().ok().map(held),
            }
        }
    }

    impl Counted for Mutex<u32> {
        const PERMITS: usize = 1;
        fn wish(_: usize) -> usize {
            1
        }
        fn ask(&self, _: usize) -> Pin<Box<dyn Future<Output = Option<Held<'_>>> + '_>> {
            Box::pin(self.lock().map(|guard| Some(held(guard))))
        }
        fn try_ask(&self, _: usize) -> Option<Held<'_>> {
            self.try_lock().ok().map(held)
        }
    }

    /// Who waits: how often they were woken, and in the model whether they were given what they wait for.
    struct Waiting<'a> {
        wish: usize,
        future: Pin<Box<dyn Future<Output = Option<Held<'a>>> + 'a>>,
        wakes: Arc<Wakes>,
        granted: bool,
    }

    struct Model<'a> {
        /// Also what is held back for the first in line.
        free: usize,
        closed: bool,
        waiting: Vec<Waiting<'a>>,
        held: Vec<(usize, Held<'a>)>,
    }

    impl<'a> Model<'a> {
        fn is_line_empty(&self) -> bool {
            self.closed || self.waiting.iter().all(|waiting| waiting.granted)
        }

        /// What can be had without waiting.
        fn available(&self) -> usize {
            if self.is_line_empty() { self.free } else { 0 }
        }

        /// Those in front get what they wait for, as long as there is enough.
        fn settle(&mut self) {
            if self.closed {
                return;
            }
            for waiting in self.waiting.iter_mut().filter(|waiting| !waiting.granted) {
                let Some(left) = self.free.checked_sub(waiting.wish) else { return };
                self.free = left;
                waiting.granted = true;
            }
        }

        fn poll(&mut self, place: usize) {
            let one = &mut self.waiting[place];
            assert!(
                !one.granted || one.wakes.0.load(Ordering::Relaxed) == 1,
                "who is given it is woken once"
            );
            let waker = Waker::from(Arc::clone(&one.wakes));
            match one.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Pending => assert!(!one.granted && !self.closed, "it is theirs"),
                Poll::Ready(got) => {
                    assert_eq!(got.is_some(), one.granted, "it is not theirs");
                    let gone = self.waiting.remove(place);
                    self.held.extend(got.map(|got| (gone.wish, got)));
                }
            }
        }
    }

    fn run<C: Counted>(counted: &C, steps: Vec<Step>) {
        let mut model = Model { free: C::PERMITS, closed: false, waiting: Vec::new(), held: Vec::new() };
        for step in steps {
            let count = |place: usize, among: usize| (among > 0).then(|| place % among);
            match step {
                Step::Try(size) => {
                    let wish = C::wish(size);
                    let expected = !model.closed && model.available() >= wish;
                    let got = counted.try_ask(wish);
                    assert_eq!(got.is_some(), expected);
                    if let Some(got) = got {
                        model.free -= wish;
                        model.held.push((wish, got));
                    }
                }
                Step::Begin(size) => {
                    let wish = C::wish(size);
                    let future = counted.ask(wish);
                    let wakes = Arc::new(Wakes::default());
                    let granted = !model.closed && model.available() >= wish;
                    model.free -= if granted { wish } else { 0 };
                    // Not woken: it is polled now.
                    wakes.0.fetch_add(usize::from(granted), Ordering::Relaxed);
                    model.waiting.push(Waiting { wish, future, wakes, granted });
                    model.poll(model.waiting.len() - 1);
                }
                Step::Poll(place) => {
                    if let Some(place) = count(place, model.waiting.len()) {
                        model.poll(place);
                    }
                }
                Step::Drop(place) => {
                    if let Some(place) = count(place, model.waiting.len()) {
                        let gone = model.waiting.remove(place);
                        drop(gone.future);
                        model.free += if gone.granted { gone.wish } else { 0 };
                        model.settle();
                    }
                }
                Step::Release(place) => {
                    if let Some(place) = count(place, model.held.len()) {
                        let (wish, got) = model.held.remove(place);
                        drop(got);
                        model.free += wish;
                        model.settle();
                    }
                }
                Step::Add(more) => {
                    if let Some(semaphore) = counted.as_semaphore() {
                        semaphore.add_permits(more);
                        model.free += more;
                        model.settle();
                    }
                }
                Step::Forget(fewer) => {
                    if let Some(semaphore) = counted.as_semaphore() {
                        let gone = fewer.min(model.available());
                        assert_eq!(semaphore.forget_permits(fewer), gone);
                        model.free -= gone;
                    }
                }
                Step::Close => {
                    if let Some(semaphore) = counted.as_semaphore() {
                        semaphore.close();
                        model.closed = true;
                    }
                }
            }
            if let Some(semaphore) = counted.as_semaphore() {
                assert_eq!(semaphore.available_permits(), model.available());
            }
        }
        // All that is let go of is there again.
        let whole = model.free + model.held.iter().map(|(wish, _)| wish).sum::<usize>();
        let granted = model.waiting.iter().filter(|waiting| waiting.granted).map(|waiting| waiting.wish);
        let whole = whole + granted.sum::<usize>();
        drop(model);
        match counted.as_semaphore() {
            Some(semaphore) => assert_eq!(semaphore.available_permits(), whole),
            None => assert!(counted.try_ask(C::PERMITS).is_some()),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_semaphore_is_a_number_and_a_line_of_those_who_wait(steps in steps()) {
            run(&Semaphore::new(Semaphore::PERMITS), steps);
        }

        #[test]
        fn a_lock_of_readers_is_a_number_and_a_line_as_well(steps in steps()) {
            run(&RwLock::new(0), steps);
        }

        #[test]
        fn a_mutex_is_one_permit_and_a_line(steps in steps()) {
            run(&Mutex::new(0), steps);
        }
    }
}
