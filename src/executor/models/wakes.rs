//! Wakes: in order, never lost, and what becomes of those that come too late.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use super::{Bell, Executor, Facts, Hooks, NEVER, Task, explore, run, run_until};

#[test]
fn a_wake_that_races_with_the_claim_is_never_lost() {
    explore(|| {
        let executor = Executor::new(Hooks::default(), None);
        let facts = Facts::new(2);
        let (poll, known) = facts.awaited(NEVER);
        let (task, handle) = Task::spawn(&executor, poll);
        let others = [0, 1].map(|number| {
            let facts = facts.clone();
            task.woken_by(move |waker| {
                waker.wake_by_ref();
                facts.tell(number);
                waker.wake();
            })
        });
        run(&executor);
        for other in others {
            other.join().unwrap();
        }
        run(&executor);
        assert_eq!(known.get(), 2, "the last poll was before the last wake");
        drop((handle, executor));
    });
}

#[test]
fn what_was_woken_first_comes_first() {
    explore(|| {
        let executor = Executor::new(Hooks::default(), None);
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks = [0, 1, 2].map(|number| {
            let order = Rc::clone(&order);
            Task::spawn(&executor, move || {
                order.borrow_mut().push(number);
                false
            })
        });
        run(&executor);
        order.borrow_mut().clear();
        let (second, other) = (tasks[1].0.waker(), tasks[2].0.woken_by(Waker::wake));
        let one = tasks[0].0.woken_by(|first| {
            first.wake();
            second.wake();
        });
        run(&executor);
        one.join().unwrap();
        other.join().unwrap();
        run(&executor);
        let place = |number| order.borrow().iter().position(|found| *found == number);
        assert_eq!(order.borrow().len(), 3, "each once: {order:?}");
        assert!(place(0) < place(1), "{order:?}");
        let tasks = tasks.map(|(task, _handle)| task);
        drop((executor, tasks));
    });
}

#[test]
fn what_is_left_in_the_inbox_at_the_end_is_given_back() {
    explore(|| {
        let executor = Executor::new(Hooks::default(), None);
        let tasks = [(); 2].map(|()| Task::spawn(&executor, || false));
        let others = [0, 1].map(|number| tasks[number].0.woken_by(Waker::wake));
        let tasks = tasks.map(|(task, _handle)| task);
        drop(executor);
        for other in others {
            other.join().unwrap();
        }
        drop(tasks);
    });
}

// Sleep.

#[test]
fn a_wake_ends_the_sleep_that_it_races_with() {
    explore(|| {
        let executor = Executor::new(Hooks::default(), None);
        let bell = Bell::of(executor.inbox());
        let facts = Facts::new(2);
        let (poll, known) = facts.awaited(2);
        let (task, handle) = Task::spawn(&executor, poll);
        let others = [0, 1].map(|number| {
            let facts = facts.clone();
            task.woken_by(move |waker| {
                facts.tell(number);
                waker.wake();
            })
        });
        run_until(&executor, &bell, || known.get() == 2);
        for other in others {
            other.join().unwrap();
        }
        drop((handle, executor));
    });
}

#[test]
fn a_bell_that_was_closed_is_not_rung() {
    explore(|| {
        let executor = Executor::new(Hooks::default(), None);
        let bell = Bell::of(executor.inbox());
        let (task, handle) = Task::spawn(&executor, || false);
        let other = task.woken_by(Waker::wake);
        executor.inbox().park();
        drop((handle, executor));
        bell.close();
        other.join().unwrap();
    });
}

#[test]
fn an_inbox_that_is_handed_on_drops_what_is_not_for_it_and_loses_nothing() {
    explore(|| {
        let first = Executor::new(Hooks::default(), None);
        let inbox = first.inbox();
        let ended = Rc::new(Cell::new(false));
        let (late, handle) = Task::spawn(&first, {
            let ended = Rc::clone(&ended);
            move || {
                assert!(!ended.get(), "polled after its runtime's end");
                false
            }
        });
        let old_bell = Bell::of(inbox);
        let waker = late.woken_by(Waker::wake);
        inbox.park();
        drop((handle, first));
        old_bell.close();
        ended.set(true);

        let next = Executor::new(Hooks::default(), None);
        assert!(std::ptr::eq(next.inbox(), inbox), "the inbox is handed on");
        let bell = Bell::of(inbox);
        let facts = Facts::new(1);
        let (poll, known) = facts.awaited(1);
        let (task, handle) = Task::spawn(&next, poll);
        let other = task.woken_by(move |waker| {
            facts.tell(0);
            waker.wake();
        });
        run_until(&next, &bell, || known.get() == 1);
        waker.join().unwrap();
        other.join().unwrap();
        drop((handle, next));
    });
}
