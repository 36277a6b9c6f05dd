//! Three priorities: who is urgent comes first, who is of the background has its share, and nobody starves. Polls are counted,
//! never time.

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use annulus::task::{Builder as Task, JoinHandle, Priority};
use annulus::time::sleep;
use annulus::{Builder, Runtime, nop, yield_now};
use support::net::pair;
use support::races::{metrics, spin};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    urgent_tasks_are_polled_before_the_others_of_a_turn,
    tasks_of_one_priority_keep_their_order,
    a_normal_task_waits_for_four_urgent_polls_at_most,
    urgent_tasks_alone_are_not_held_back,
    the_background_is_polled_each_eighth_turn_and_once,
    the_background_is_polled_each_turn_where_nothing_else_is_ready,
    a_flood_of_background_tasks_costs_a_normal_one_a_poll_a_turn_at_most,
    timers_and_input_are_served_whatever_is_ready,
    a_background_task_makes_operations_beside_a_task_that_uses_up_its_budget,
    a_background_task_that_is_aborted_ends,
    tasks_of_every_priority_end_with_their_loop,
    other_threads_wake_tasks_of_every_priority,
}

on_real_drivers! {
    because "in a simulated world no batch takes long":
        the_background_has_its_share_where_every_batch_takes_long,
}

const ALL: [Priority; 3] = [Priority::Background, Priority::Normal, Priority::High];

/// Who was polled, in order.
type Polled = Rc<RefCell<Vec<Priority>>>;

fn spawn(priority: Priority, future: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
    Task::new().priority(priority).spawn(future)
}

/// A task that is always ready, and notes each of its polls.
fn busy(priority: Priority, polled: &Polled) -> JoinHandle<()> {
    let polled = Rc::clone(polled);
    spawn(priority, async move {
        loop {
            polled.borrow_mut().push(priority);
            yield_now().await;
        }
    })
}

fn turns() -> u64 {
    metrics().turns
}

async fn for_turns(count: u64) {
    let until = turns() + count;
    while turns() < until {
        yield_now().await;
    }
}

fn count(polled: &Polled, priority: Priority) -> usize {
    polled.borrow().iter().filter(|polled| **polled == priority).count()
}

/// Those of the background are stopped when it is their turn.
async fn stop(tasks: impl IntoIterator<Item = JoinHandle<()>>) {
    for task in tasks {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
}

async fn urgent_tasks_are_polled_before_the_others_of_a_turn() {
    for _ in 0..20 {
        let polled = Polled::default();
        let order =
            [Priority::Background, Priority::Normal, Priority::High, Priority::Normal, Priority::High];
        let tasks: Vec<_> = order
            .into_iter()
            .map(|priority| {
                let polled = Rc::clone(&polled);
                spawn(priority, async move { polled.borrow_mut().push(priority) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let [high, normal, background] = [Priority::High, Priority::Normal, Priority::Background];
        assert_eq!(*polled.borrow(), [high, high, normal, normal, background]);
    }
}

async fn tasks_of_one_priority_keep_their_order() {
    for priority in ALL {
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                let order = Rc::clone(&order);
                spawn(priority, async move { order.borrow_mut().push(number) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(order.borrow().iter().copied().eq(0..100), "{priority:?}: {order:?}");
    }
}

async fn a_normal_task_waits_for_four_urgent_polls_at_most() {
    for (urgent, normal) in [(1, 1), (3, 1), (20, 1), (1, 20), (10, 10)] {
        let polled = Polled::default();
        let mut tasks: Vec<_> = (0..urgent).map(|_| busy(Priority::High, &polled)).collect();
        tasks.extend((0..normal).map(|_| busy(Priority::Normal, &polled)));
        let until = turns() + 200;
        while turns() < until {
            sleep(Duration::from_micros(100)).await;
            // This task is one of the normal ones.
            polled.borrow_mut().push(Priority::Normal);
        }
        let (mut row, mut longest) = (0, 0);
        for priority in polled.borrow().iter() {
            row = if *priority == Priority::High { row + 1 } else { 0 };
            longest = longest.max(row);
        }
        assert!(longest <= 4, "{longest} urgent polls in a row");
        let (of_high, of_normal) = (count(&polled, Priority::High), count(&polled, Priority::Normal));
        assert!(
            of_normal > 0 && of_high > 3 * of_normal,
            "they do have their share: {of_high} to {of_normal}"
        );
        stop(tasks).await;
        for_turns(2).await;
    }
}

async fn urgent_tasks_alone_are_not_held_back() {
    let polled = Polled::default();
    let before = turns();
    let task = Rc::clone(&polled);
    spawn(Priority::High, async move {
        for _ in 0..100 {
            task.borrow_mut().push(Priority::High);
            yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(count(&polled, Priority::High), 100);
    assert!(turns() - before <= 110, "one poll a turn at least");
}

/// In which turns a task was polled that is always ready.
fn noting_turns(priority: Priority, noted: &Rc<RefCell<Vec<u64>>>) -> JoinHandle<()> {
    let noted = Rc::clone(noted);
    spawn(priority, async move {
        loop {
            noted.borrow_mut().push(turns());
            yield_now().await;
        }
    })
}

async fn the_background_is_polled_each_eighth_turn_and_once() {
    for others in [Priority::Normal, Priority::High] {
        let noted = Rc::default();
        let mut tasks: Vec<_> = (0..3).map(|_| noting_turns(Priority::Background, &noted)).collect();
        tasks.push(busy(others, &Polled::default()));
        let first = turns();
        for_turns(400).await;
        let noted = noted.take();
        // All of them together.
        assert!(noted.len() >= 400 / 8 - 1, "{} in 400 turns", noted.len());
        let from = [first].into_iter().chain(noted.iter().copied());
        let steps: Vec<_> = from.zip(&noted).map(|(before, turn)| turn - before).collect();
        assert!(steps.iter().all(|step| *step <= 8), "{steps:?}");
        // While others are ready, and this task always is, no sooner.
        assert!(steps[1..].iter().all(|step| *step == 8), "{steps:?}");
        stop(tasks).await;
        for_turns(20).await;
    }
}

async fn the_background_is_polled_each_turn_where_nothing_else_is_ready() {
    let noted = Rc::default();
    let tasks: Vec<_> = (0..3).map(|_| noting_turns(Priority::Background, &noted)).collect();
    let before = metrics();
    let until = turns() + 300;
    while turns() < until {
        sleep(Duration::from_micros(200)).await;
    }
    let after = metrics();
    let noted = noted.take();
    assert!(noted.is_sorted_by(|before, after| before < after), "more than one a turn: {noted:?}");
    // Turns in which nothing but the timer's task was polled, or nothing at all, have none.
    assert!(noted.len() as u64 >= (after.turns - before.turns) / 8, "{} polls", noted.len());
    assert_eq!(after.parks, before.parks, "a loop with something to do does not sleep");
    stop(tasks).await;
}

async fn a_flood_of_background_tasks_costs_a_normal_one_a_poll_a_turn_at_most() {
    const FLOOD: usize = 1000;
    let polled = Polled::default();
    let flood: Vec<_> = (0..FLOOD).map(|_| busy(Priority::Background, &polled)).collect();
    let mut before = (turns(), count(&polled, Priority::Background));
    for round in 0..300 {
        match round % 3 {
            0 => yield_now().await,
            // Those that come back from elsewhere are not held up either.
            1 => nop().await.unwrap(),
            _ => Task::new().spawn(async {}).await.unwrap(),
        }
        let now = (turns(), count(&polled, Priority::Background));
        let (turns, polls) = (now.0 - before.0, now.1 - before.1);
        assert!(polls as u64 <= turns, "{polls} of theirs in {turns} turns");
        if round % 3 == 0 {
            assert!(polls <= 1 && turns == 1, "{polls} of theirs in {turns} turns");
        }
        before = now;
    }
    assert!(before.1 > 0, "they are polled at all");
    stop(flood).await;
}

async fn timers_and_input_are_served_whatever_is_ready() {
    for priority in ALL {
        let polled = Polled::default();
        let tasks: Vec<_> = (0..50).map(|_| busy(priority, &polled)).collect();
        let (client, server) = pair().await;
        let echo = Task::new().spawn(async move {
            for _ in 0..20 {
                let (_, bytes) = server.read_exact(vec![0; 4]).await;
                server.write_all(bytes).await.0.unwrap();
            }
        });
        for _ in 0..20 {
            client.write_all("ping").await.0.unwrap();
            assert_eq!(client.read_exact(vec![0; 4]).await.1, b"ping");
            sleep(Duration::from_millis(1)).await;
        }
        echo.await.unwrap();
        assert!(count(&polled, priority) > 0);
        stop(tasks).await;
        for_turns(10).await;
    }
}

async fn a_background_task_makes_operations_beside_a_task_that_uses_up_its_budget() {
    // What is answered at hand spends the budget; this goes on until it is sent back to the queue, each turn.
    let limit = turns() + 10_000;
    // The last that is polled before the background.
    let spends = Task::new().spawn(async move {
        let (sender, mut receiver) = annulus::sync::mpsc::channel(1);
        while turns() < limit {
            // Never waits, but for its budget.
            sender.send(()).await.unwrap();
            receiver.recv().await.unwrap();
        }
    });
    let done = Rc::new(Cell::new(0));
    let doing = Rc::clone(&done);
    let background = spawn(Priority::Background, async move {
        let (sender, mut receiver) = annulus::sync::mpsc::channel(1);
        for _ in 0..50 {
            sender.send(()).await.unwrap();
            receiver.recv().await.unwrap();
            doing.set(doing.get() + 1);
        }
    });
    background.await.unwrap();
    assert!(!spends.is_finished() && turns() < limit, "it goes on");
    assert_eq!(done.get(), 50);
    spends.abort();
}

async fn a_background_task_that_is_aborted_ends() {
    let busy_one = busy(Priority::Normal, &Polled::default());
    let held = Rc::new(());
    for priority in ALL {
        let holds = Rc::clone(&held);
        let task = spawn(priority, async move {
            let _holds = holds;
            std::future::pending::<()>().await;
        });
        for_turns(20).await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(Rc::strong_count(&held), 1);
    }
    busy_one.abort();
}

fn tasks_of_every_priority_end_with_their_loop(builder: Builder) {
    let held = Rc::new(());
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            for number in 0..60 {
                let holds = Rc::clone(&held);
                // Some are ready when the loop ends, some wait, some were never polled.
                drop(spawn(ALL[number % 3], async move {
                    let _holds = holds;
                    loop {
                        match number % 2 {
                            0 => yield_now().await,
                            _ => std::future::pending().await,
                        }
                    }
                }));
                if number == 30 {
                    for_turns(10).await;
                }
            }
        })
        .unwrap();
    assert_eq!(runtime.metrics().alive, 60);
    drop(runtime);
    assert_eq!(Rc::strong_count(&held), 1);
}

async fn other_threads_wake_tasks_of_every_priority() {
    if support::is_simulated() {
        return;
    }
    let tasks = ALL.map(|priority| {
        spawn(priority, async move {
            for number in 0..50 {
                assert_eq!(annulus::spawn_blocking(move || number).await.unwrap(), number);
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    assert!(Runtime::try_current().is_some());
}

async fn the_background_has_its_share_where_every_batch_takes_long() {
    // Each batch is broken off after half a millisecond, and the rest of it is the next one.
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            Task::new().spawn(async {
                loop {
                    spin(Duration::from_micros(100));
                    yield_now().await;
                }
            })
        })
        .collect();
    // A batch is broken off only for somebody who waits.
    let timer = Task::new().spawn(sleep(Duration::from_secs(1000)));
    let noted = Rc::default();
    let background = noting_turns(Priority::Background, &noted);
    let first = turns();
    for_turns(100).await;
    let polls = noted.borrow().iter().filter(|turn| **turn <= first + 100).count();
    assert!(polls >= 100 / 8 - 1, "{polls} in 100 turns");
    stop(tasks.into_iter().chain([timer, background])).await;
}
