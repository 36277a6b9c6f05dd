//! hyper's timer, on the loop's wheel.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::time::{self, Sleep};

/// hyper's timer: sleeps of the loop that polls them. By it hyper's own time-outs, which are inert without one, come into force.
///
/// In a simulated world, and while [`time::pause`] holds, its time is the loop's. A sleep is plain data, so it is `Send` and
/// `Sync`, as hyper wants, without being a claim: polled elsewhere it says so.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use hyper::rt::Timer as _;
/// use annulus::hyper::Timer;
///
/// annulus::run(async {
///     let before = Timer.now();
///     Timer.sleep(Duration::from_millis(2)).await;
///     assert!(Timer.now() - before >= Duration::from_millis(2));
/// })?;
/// # Ok::<(), annulus::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer;

/// A sleep as hyper holds it.
struct Waits(Sleep);

impl Future for Waits {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl ::hyper::rt::Sleep for Waits {}

impl ::hyper::rt::Timer for Timer {
    fn sleep(&self, span: Duration) -> Pin<Box<dyn ::hyper::rt::Sleep>> {
        Box::pin(Waits(time::sleep(span)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn ::hyper::rt::Sleep>> {
        Box::pin(Waits(time::sleep_until(deadline)))
    }

    fn now(&self) -> Instant {
        time::now()
    }

    /// Moves the one that there is: an idle connection's is moved with each request.
    fn reset(&self, sleep: &mut Pin<Box<dyn ::hyper::rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Waits>() {
            Some(waits) => waits.get_mut().0.reset(deadline),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}
