//! A task's share of the loop: giving way when it is used up.

use std::future::poll_fn;
use std::task::Poll;

use crate::engine::{give_way, has_share};

/// Lets the others run if this task has had its share of the loop, and goes on at once otherwise.
///
/// For long computations: call it at each step. A task's share is 128 of these, and of operations that are answered at hand, or half a
/// millisecond, of which each eighth call makes sure by a look at the clock. Outside of a loop it does nothing.
///
/// # Cancel safety
/// Dropping it is harmless.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// annulus::run(async {
///     let mut sum = 0_u64;
///     for n in 0..10_000 {
///         sum += n;
///         annulus::task::yield_if_needed().await;
///     }
///     assert_eq!(sum, 49_995_000);
/// })?;
/// # Ok(())
/// # }
/// ```
#[inline]
pub async fn yield_if_needed() {
    poll_fn(|cx| if has_share() { Poll::Ready(()) } else { give_way(cx) }).await;
}
