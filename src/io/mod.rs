//! Reading and writing with owned buffers.
//!
//! A buffer is given away for the time of the operation and comes back with the result, for the kernel may use
//! it until then, whatever becomes of the future: `(io::Result<usize>, B)`.

mod copy;
mod pipe;
mod traits;
mod transfer;

pub use crate::op::Incomplete;
pub use copy::copy;
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use traits::{AsyncRead, AsyncWrite};
