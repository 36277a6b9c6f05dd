//! A block of a file on its way: filled whole, or as far as the file goes.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::line::Begins;
use crate::buf::{IoBufMut, Slice};
use crate::fs::File;
use crate::op::{Read, Submitted};

/// Resolves to how many bytes of the buffer are filled, from its beginning, and to the buffer. Less than was asked for is
/// where the file ends.
pub(super) struct Fetch<B: IoBufMut> {
    file: File,
    read: Submitted<Read<Slice<B>>>,
    offset: u64,
    length: usize,
    unit: usize,
    got: usize,
}

impl<B: IoBufMut> Fetch<B> {
    /// Fills the first `length` bytes from `offset`: both are multiples of `unit`, which is what the file wants.
    pub(super) fn new(file: &File, buffer: B, offset: u64, length: usize, unit: u64) -> Fetch<B> {
        let read = file.read_at(buffer.slice(..length), offset);
        Fetch { file: file.another(), read, offset, length, unit: unit as usize, got: 0 }
    }
}

impl<B: IoBufMut> Begins for Fetch<B> {
    fn has_begun(&self) -> bool {
        self.read.has_begun()
    }
}

impl<B: IoBufMut> Future for Fetch<B> {
    type Output = (io::Result<usize>, B);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let (result, slice) = ready!(Pin::new(&mut this.read).poll(cx));
            let from = slice.begin();
            let buffer = slice.into_inner();
            match result {
                // No further than before: there the file ends, now.
                Ok(count) if from + count >= this.length || from + count <= this.got => {
                    return Poll::Ready((Ok(from + count), buffer));
                }
                Ok(count) => this.got = from + count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready((Err(error), buffer)),
            }
            let got = this.got;
            // Past the page cache what is begun anew begins at a multiple again, and reads some bytes twice.
            let from = got - got % this.unit;
            this.read = this.file.read_at(buffer.slice(from..this.length), this.offset + from as u64);
        }
    }
}
