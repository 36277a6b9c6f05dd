//! The buffers that answers come in.

use std::rc::Rc;

use super::Port;
use crate::buf::{BufferId, Pool, PoolNumbers};
use crate::driver::Completion;

impl Port {
    /// What leases are of.
    pub(crate) fn pool(&self) -> &Rc<Pool> {
        self.pool.get_or_init(|| {
            let pool = Rc::new(Pool::new(self.pool_size));
            if !self.has_ended() {
                self.pair.borrow_mut().driver.lend(&pool);
            }
            pool
        })
    }

    /// How that is doing.
    pub(crate) fn pool_numbers(&self) -> PoolNumbers {
        self.pool.get().map(|pool| pool.numbers()).unwrap_or_default()
    }
}

/// Looks at the buffer of an answer, if there is one. An answer that brought nothing brings no buffer, either (pitfall 9).
#[inline]
pub(super) fn arrived(pool: Option<&Rc<Pool>>, answer: Completion) -> Completion {
    match (answer.buffer(), pool) {
        (Some(id), Some(pool)) => arrived_in(pool, id, answer),
        _ => answer,
    }
}

#[inline(never)]
fn arrived_in(pool: &Pool, id: BufferId, answer: Completion) -> Completion {
    match answer.result {
        count if count > 0 => answer.with_buffer(Some(pool.arrived(id, count as usize))),
        _ => {
            pool.recycle(id);
            answer.with_buffer(None)
        }
    }
}
