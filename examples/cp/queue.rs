//! Who takes the next piece of work. What was put in last is taken first: so a tree is walked downwards, and what waits
//! is as much as one way down has beside it, not the whole tree.

use std::cell::{Cell, RefCell};

use annulus::sync::Notify;

pub struct Queue<T> {
    waiting: RefCell<Vec<T>>,
    /// How many pieces are being worked at: each may bring more.
    under_way: Cell<usize>,
    changed: Notify,
}

impl<T> Queue<T> {
    pub fn new() -> Queue<T> {
        Queue { waiting: RefCell::new(Vec::new()), under_way: Cell::new(0), changed: Notify::new() }
    }

    pub fn put(&self, work: T) {
        self.waiting.borrow_mut().push(work);
        self.changed.notify_one();
    }

    /// The next piece, of which [`done`](Self::done) is told at its end; None when all is done.
    pub async fn take(&self) -> Option<T> {
        loop {
            if let Some(work) = self.waiting.borrow_mut().pop() {
                self.under_way.set(self.under_way.get() + 1);
                return Some(work);
            }
            if self.under_way.get() == 0 {
                return None;
            }
            self.changed.notified().await;
        }
    }

    pub fn done(&self) {
        self.under_way.set(self.under_way.get() - 1);
        if self.under_way.get() == 0 {
            self.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn nobody_goes_home_before_the_last_piece_has_brought_no_more() {
        let shares = annulus::run(async {
            let queue = Rc::new(Queue::new());
            queue.put(5);
            let workers: Vec<_> = (0..3)
                .map(|_| {
                    let queue = Rc::clone(&queue);
                    annulus::spawn(async move {
                        let mut pieces = 0;
                        while let Some(depth) = queue.take().await {
                            annulus::yield_now().await;
                            (0..depth).for_each(|_| queue.put(depth - 1));
                            pieces += 1;
                            queue.done();
                        }
                        pieces
                    })
                })
                .collect();
            let mut shares = Vec::new();
            for worker in workers {
                shares.push(worker.await.unwrap());
            }
            shares
        });
        let shares = shares.unwrap();
        // 5 of them bring 4 each, and so on: 1 + 5 + 20 + 60 + 120 + 120.
        assert_eq!(shares.iter().sum::<i32>(), 326);
        assert!(shares.iter().all(|share| *share > 0), "nobody went home early: {shares:?}");
    }
}
