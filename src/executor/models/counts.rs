//! The counts: who frees, and who must not touch.

use std::panic::Location;
use std::task::Waker;

use super::{Executor, Hooks, Plan, Task, explore, run, thread};

#[test]
fn the_last_of_owner_and_wakers_frees_once() {
    explore(|| {
        let executor = Executor::new(Hooks::default(), None);
        let (task, reference) = Task::new(executor.birth(&Plan::at(Location::caller())), || false);
        let others = [task.woken_by(drop), task.woken_by(drop)];
        drop(reference);
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn a_waker_that_is_cloned_holds_the_task_as_often() {
    explore(|| {
        let executor = Executor::new(Hooks::default(), None);
        let (task, reference) = Task::new(executor.birth(&Plan::at(Location::caller())), || false);
        let other = task.woken_by(|waker| {
            let clone = waker.clone();
            let another = thread::spawn(move || drop(clone));
            drop(waker);
            another.join().unwrap();
        });
        drop(reference);
        other.join().unwrap();
    });
}

#[test]
fn a_task_that_finishes_may_be_woken_all_the_same() {
    explore(|| {
        let executor = Executor::new(Hooks::default(), None);
        let (task, handle) = Task::spawn(&executor, || true);
        let other = task.woken_by(|waker| {
            waker.wake_by_ref();
            waker.wake();
        });
        run(&executor);
        drop(handle);
        run(&executor);
        other.join().unwrap();
        drop(executor);
    });
}

#[test]
fn a_task_may_be_woken_while_its_runtime_ends_and_after() {
    explore(|| {
        let executor = Executor::new(Hooks::default(), None);
        let (task, handle) = Task::spawn(&executor, || false);
        let others = [task.woken_by(Waker::wake), task.woken_by(|waker| waker.wake_by_ref())];
        drop(handle);
        run(&executor);
        drop(executor);
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn a_runtime_on_another_thread_does_not_touch_tasks_that_are_not_its_own() {
    explore(|| {
        let first = Executor::new(Hooks::default(), None);
        let (task, handle) = Task::spawn(&first, || false);
        let late = task.woken_by(Waker::wake);
        drop(first);
        let other = thread::spawn(|| {
            let next = Executor::new(Hooks::default(), None);
            run(&next);
            drop(next);
        });
        // Still this thread's own: its state, its references.
        drop(handle);
        late.join().unwrap();
        other.join().unwrap();
    });
}
