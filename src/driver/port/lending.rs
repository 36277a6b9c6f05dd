//! The buffers that answers come in.

use std::io;
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

    /// Lets the ring know memory that stays where it is: the number under which it does.
    pub(crate) fn register(&self, memory: *mut u8, length: usize) -> io::Result<u16> {
        if self.has_ended() {
            return Err(io::Error::other("the runtime has ended"));
        }
        self.pair.borrow_mut().driver.register(memory, length)
    }

    /// The ring forgets it. Nothing is in flight there: each operation holds its buffer.
    pub(crate) fn unregister(&self, place: u16) {
        // Borrowed it never is: nothing is, while a value is dropped (I5). If it were, the ring's end would do it.
        let pair = (!self.has_ended()).then(|| self.pair.try_borrow_mut().ok()).flatten();
        pair.into_iter().for_each(|mut pair| pair.driver.unregister(place));
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
