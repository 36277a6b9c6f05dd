//! The buffers that answers come in.

use std::rc::Rc;

use super::Port;
use crate::buf::{Pool, PoolNumbers};
use crate::driver::Completion;

impl Port {
    /// What leases are of.
    #[inline]
    pub(crate) fn pool(&self) -> &Rc<Pool> {
        match self.pool.get() {
            Some(pool) => pool,
            None => self.make_pool(),
        }
    }

    #[cold]
    fn make_pool(&self) -> &Rc<Pool> {
        self.pool.get_or_init(|| {
            let pool = Rc::new(Pool::new(self.pool_size));
            if !self.has_ended() {
                self.kernel_picks.set(self.pair.borrow_mut().driver.lend(&pool));
            }
            pool
        })
    }

    /// Whether the kernel picks buffers by itself. Elsewhere the driver does when something has come.
    pub(crate) fn kernel_picks(&self) -> bool {
        self.pool();
        self.kernel_picks.get()
    }

    /// How that is doing.
    pub(crate) fn pool_numbers(&self) -> PoolNumbers {
        self.pool.get().map(|pool| pool.numbers()).unwrap_or_default()
    }
}

/// Looks at the buffer of an answer. One that brought nothing brings no buffer, either (pitfall 9).
#[inline(always)]
pub(super) fn arrived(pool: Option<&Rc<Pool>>, answer: Completion) -> Completion {
    match pool {
        Some(pool) if answer.result > 0 && !pool.is_short() => answer,
        _ => arrived_rarely(pool, answer),
    }
}

#[cold]
fn arrived_rarely(pool: Option<&Rc<Pool>>, answer: Completion) -> Completion {
    let (Some(id), Some(pool)) = (answer.buffer(), pool) else { return answer };
    match answer.result {
        count if count > 0 => answer.with_buffer(Some(pool.arrived(id, count as usize))),
        _ => {
            pool.recycle(id);
            answer.with_buffer(None)
        }
    }
}
