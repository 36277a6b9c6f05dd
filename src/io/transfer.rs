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

/// Reads into the first buffer that has room; the others hold nothing afterwards, as if all had been offered.
pub(super) async fn first_to_fill<B: IoBufMut>(
    mut buffers: Vec<B>,
    read: impl AsyncFnOnce(B) -> (io::Result<usize>, B),
) -> (io::Result<usize>, Vec<B>) {
    let Some(first) = buffers.iter().position(|buffer| buffer.bytes_total() > 0) else {
        return (Ok(0), buffers);
    };
    let (result, buffer) = read(buffers.swap_remove(first)).await;
    put_back(&mut buffers, first, buffer);
    if result.is_ok() {
        for (place, buffer) in buffers.iter_mut().enumerate() {
            if place != first {
                buffer.fill_from(&[]);
            }
        }
    }
    (result, buffers)
}

/// Writes of the first buffer that has bytes.
pub(super) async fn first_to_send<B: IoBuf>(
    mut buffers: Vec<B>,
    write: impl AsyncFnOnce(B) -> (io::Result<usize>, B),
) -> (io::Result<usize>, Vec<B>) {
    let Some(first) = buffers.iter().position(|buffer| buffer.bytes_init() > 0) else {
        return (Ok(0), buffers);
    };
    let (result, buffer) = write(buffers.swap_remove(first)).await;
    put_back(&mut buffers, first, buffer);
    (result, buffers)
}

/// Undoes `swap_remove`.
fn put_back<B>(buffers: &mut Vec<B>, place: usize, buffer: B) {
    buffers.push(buffer);
    let last = buffers.len() - 1;
    buffers.swap(place, last);
}

/// How much room there is at least for each read until the end, in bytes: it doubles with what has come.
const ROOM_MIN: usize = 8 * 1024;

/// Reads until the end, and appends.
pub(super) async fn to_end(
    mut buffer: Vec<u8>,
    mut read: impl AsyncFnMut(Slice<Vec<u8>>) -> (io::Result<usize>, Slice<Vec<u8>>),
) -> (io::Result<usize>, Vec<u8>) {
    let before = buffer.len();
    loop {
        let length = buffer.len();
        // Room that the caller made is used before more is asked for.
        if buffer.capacity() == length {
            buffer.reserve(ROOM_MIN);
        }
        let (result, slice) = read(buffer.slice(length..)).await;
        buffer = slice.into_inner();
        match result {
            Ok(0) => return (Ok(buffer.len() - before), buffer),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (Err(error), buffer),
        }
    }
}

/// Reads until the end, and appends what must be text.
pub(super) async fn to_string(
    mut text: String,
    read: impl AsyncFnOnce(Vec<u8>) -> (io::Result<usize>, Vec<u8>),
) -> (io::Result<usize>, String) {
    let (result, bytes) = read(Vec::new()).await;
    match String::from_utf8(bytes) {
        Ok(more) => {
            text.push_str(&more);
            (result, text)
        }
        Err(error) => (result.and(Err(io::Error::new(io::ErrorKind::InvalidData, error))), text),
    }
}
