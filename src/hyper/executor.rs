//! hyper's tasks, on the loop that asks for them.

use std::future::Future;

use crate::runtime::spawn;

/// hyper's executor: what it is given runs as a task of the loop that runs on the calling thread, and need not be `Send`.
///
/// A panic of such a task is told as that of any task that nobody waits for.
///
/// # Panics
/// When hyper uses it outside of a running loop.
///
/// # Examples
/// ```
/// use std::rc::Rc;
/// use hyper::rt::Executor;
/// use annulus::hyper::LocalExecutor;
///
/// annulus::run(async {
///     let (told, hears) = annulus::sync::oneshot::channel();
///     let local = Rc::new("not Send");
///     LocalExecutor.execute(async move { drop(told.send(local.len())) });
///     assert_eq!(hears.await, Ok(8));
/// })?;
/// # Ok::<(), annulus::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalExecutor;

impl<F> ::hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        drop(spawn(future));
    }
}
