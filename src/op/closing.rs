//! Closing a descriptor and waiting until it is closed.

use std::future::poll_fn;
use std::io;

use super::{Close, Submitted};
use crate::driver::Descriptor;

/// Ends what is in flight on the descriptor, waits for it, and closes.
///
/// Never shuts down implicitly: duplicates, in children or handed over, live on. Dropped half-way, it goes on
/// without being waited for.
pub(crate) async fn close(descriptor: Descriptor) -> io::Result<()> {
    descriptor.start_closing();
    poll_fn(|cx| descriptor.poll_settled(cx.waker())).await;
    descriptor.port().forget(descriptor.number());
    Submitted::new(Close::new(descriptor)).await
}
