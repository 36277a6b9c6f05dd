//! Messages between two loops on two threads, as many and as fast as they go: none is lost, none comes twice, each sender's in order, and
//! nobody sleeps for ever. On real drivers with a million through each channel in a release build; a debug build sends some
//! thousands, and the simulated world, where a loop looks at real threads less often than it could, as many.

mod support;

use std::hint;
use std::thread;
use std::time::Duration;

use annulus::sync::across::mpsc;
use annulus::{Builder, spawn};
use support::{is_simulated, on_every_driver};

on_every_driver! {
    what_several_senders_send_through_room_for_one_comes_once_and_in_order,
    what_several_senders_send_through_room_for_many_comes_once_and_in_order,
    what_loops_send_that_spin_comes_once_and_in_order,
    two_loops_that_wait_for_each_other_never_wait_both,
    two_loops_that_spin_never_wait_both,
}

/// Beside the one that is a thread and not a loop's task.
const SENDERS: u64 = 3;
const SPIN: Duration = Duration::from_micros(50);

/// How many messages are sent in all. Of trips, each of which has to wake two sleepers, a tenth are made.
fn messages(fast: bool) -> u64 {
    let many = if cfg!(debug_assertions) || is_simulated() { 40_000 } else { 1_000_000 };
    if fast { many } else { many / 10 }
}

/// Runs a future on a loop of its own, on a thread of its own.
fn on_its_own<F: Future<Output: Send + 'static>>(
    builder: &Builder,
    make: impl FnOnce() -> F + Send + 'static,
) -> thread::JoinHandle<F::Output> {
    let builder = builder.clone();
    thread::spawn(move || builder.build().unwrap().run(async { make().await }).unwrap())
}

/// Waits a little, and not always as long: so that what is sent next meets the other side in each of its states.
fn dawdle(dice: &mut u64) {
    *dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    // Nearly always not at all, so that it takes no time in the whole.
    if *dice >> 60 == 0 {
        (0..*dice >> 52 & 0xff).for_each(|_| hint::spin_loop());
    }
}

fn what_several_senders_send_through_room_for_one_comes_once_and_in_order(builder: Builder) {
    let each = messages(!is_simulated()) / (SENDERS + 1);
    arrive(&builder, 1, each);
}

fn what_several_senders_send_through_room_for_many_comes_once_and_in_order(builder: Builder) {
    let each = messages(true) / (SENDERS + 1);
    arrive(&builder, 1024, each);
}

fn what_loops_send_that_spin_comes_once_and_in_order(builder: Builder) {
    let builder = builder.spin(SPIN);
    let each = messages(true) / (SENDERS + 1);
    arrive(&builder, 1, each);
    arrive(&builder, 1024, each);
}

/// Three tasks of a loop and a plain thread send so many each through a channel with so much room, to a task of another loop.
fn arrive(builder: &Builder, room: usize, each: u64) {
    let (sender, mut receiver) = mpsc::channel::<(u64, u64)>(room);
    let receiving = on_its_own(builder, move || async move {
        let mut next = [0; SENDERS as usize + 1];
        let mut dice = 1;
        while let Some((from, number)) = receiver.recv().await {
            let next = &mut next[from as usize];
            assert_eq!(*next, number, "from {from}, through room for {room}");
            *next += 1;
            dawdle(&mut dice);
        }
        next
    });
    let plain = sender.clone();
    let plain = thread::spawn(move || {
        for number in 0..each {
            plain.blocking_send((SENDERS, number)).unwrap();
        }
    });
    let sending = on_its_own(builder, move || async move {
        let tasks: Vec<_> = (0..SENDERS)
            .map(|from| {
                let sender = sender.clone();
                spawn(async move {
                    let mut dice = from;
                    for number in 0..each {
                        sender.send((from, number)).await.unwrap();
                        dawdle(&mut dice);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    sending.join().unwrap();
    plain.join().unwrap();
    assert_eq!(receiving.join().unwrap(), [each; SENDERS as usize + 1]);
}

fn two_loops_that_wait_for_each_other_never_wait_both(builder: Builder) {
    let trips = messages(false);
    go_there_and_back(&builder, trips);
}

fn two_loops_that_spin_never_wait_both(builder: Builder) {
    let builder = builder.spin(SPIN);
    let trips = messages(true);
    go_there_and_back(&builder, trips);
}

fn go_there_and_back(builder: &Builder, trips: u64) {
    let (ask, mut asked) = mpsc::channel(1);
    let (answer, mut answered) = mpsc::channel(1);
    let answering = on_its_own(builder, move || async move {
        let mut dice = 2;
        while let Some(number) = asked.recv().await {
            dawdle(&mut dice);
            answer.send(number).await.unwrap();
        }
    });
    let asking = on_its_own(builder, move || async move {
        let mut dice = 3;
        for number in 0..trips {
            ask.send(number).await.unwrap();
            dawdle(&mut dice);
            assert_eq!(answered.recv().await, Some(number));
        }
    });
    asking.join().unwrap();
    answering.join().unwrap();
}
