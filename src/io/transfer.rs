//! Whole transfers made of partial ones, for what has no whole transfer of its own.

use std::io;

use crate::buf::{IoBuf, IoBufMut, Slice};
use crate::op::incomplete;

/// Reads until the buffer's whole room is full. `read` is given the rest of the buffer, and how many bytes came
/// before.
pub(super) async fn fill<B: IoBufMut>(
    buffer: B,
    mut read: impl AsyncFnMut(Slice<B>, usize) -> (io::Result<usize>, Slice<B>),
) -> (io::Result<()>, B) {
    let wanted = buffer.bytes_total();
    let mut buffer = buffer;
    let mut done = 0;
    while done < wanted {
        let (result, slice) = read(buffer.slice(done..wanted), done).await;
        buffer = slice.into_inner();
        match result {
            Ok(0) => {
                let error = incomplete(done, Some(wanted), io::ErrorKind::UnexpectedEof.into());
                return (Err(error), buffer);
            }
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (Err(incomplete(done, Some(wanted), error)), buffer),
        }
    }
    (Ok(()), buffer)
}

/// Writes until the whole buffer is written. `write` is given the rest of the buffer, and how many bytes went
/// before.
pub(super) async fn drain<B: IoBuf>(
    buffer: B,
    mut write: impl AsyncFnMut(Slice<B>, usize) -> (io::Result<usize>, Slice<B>),
) -> (io::Result<()>, B) {
    let wanted = buffer.bytes_init();
    let mut buffer = buffer;
    let mut done = 0;
    while done < wanted {
        let (result, slice) = write(buffer.slice(done..wanted), done).await;
        buffer = slice.into_inner();
        match result {
            Ok(0) => {
                let error = incomplete(done, Some(wanted), io::ErrorKind::WriteZero.into());
                return (Err(error), buffer);
            }
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (Err(incomplete(done, Some(wanted), error)), buffer),
        }
    }
    (Ok(()), buffer)
}
