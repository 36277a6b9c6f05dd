//! Bytes that are gathered and wait to be written.
//!
//! They stay here until it is known that they were written. A write that is dropped half-way leaves that open; the sink
//! is asked before anything else is written ([`AsyncWrite::settle`]), and where it does not know, that is an error: nothing is
//! written twice, and nothing is left out in silence.

use std::io;

use bytes::{Buf, Bytes, BytesMut};

use super::AsyncWrite;
use crate::buf::IoBuf;

pub(super) struct Outgoing {
    /// On its way; the rest of what was gathered when that began.
    leaving: Bytes,
    gathered: BytesMut,
    /// Whose write has not told what became of it.
    open: Open,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    None,
    /// That of `leaving`.
    Own,
    /// That of somebody's own buffer, which went past this one.
    Others,
}

impl Outgoing {
    pub(super) fn new() -> Outgoing {
        Outgoing { leaving: Bytes::new(), gathered: BytesMut::new(), open: Open::None }
    }

    pub(super) fn len(&self) -> usize {
        self.leaving.len() + self.gathered.len()
    }

    /// To put more behind what is there.
    pub(super) fn gathered(&mut self) -> &mut BytesMut {
        &mut self.gathered
    }

    /// All that is not known to be written, in order.
    pub(super) fn into_bytes(self) -> BytesMut {
        if self.leaving.is_empty() {
            return self.gathered;
        }
        let mut bytes = BytesMut::from(&self.leaving[..]);
        bytes.unsplit(self.gathered);
        bytes
    }

    /// Writes all that is here.
    pub(super) async fn write<W: AsyncWrite + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.settle(writer).await?;
        loop {
            if self.leaving.is_empty() {
                if self.gathered.is_empty() {
                    return Ok(());
                }
                // So that the memory of what has left is used again.
                self.leaving = Bytes::new();
                self.leaving = self.gathered.split().freeze();
            }
            self.open = Open::Own;
            let (result, _) = writer.write(self.leaving.clone()).await;
            self.open = Open::None;
            match result {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.leaving.advance(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes somebody's own buffer. Only when nothing is here.
    pub(super) async fn pass<W, B>(&mut self, writer: &mut W, buffer: B) -> (io::Result<usize>, B)
    where
        W: AsyncWrite + ?Sized,
        B: IoBuf,
    {
        debug_assert_eq!(self.len(), 0, "what is here comes first");
        self.open = Open::Others;
        let answer = writer.write(buffer).await;
        self.open = Open::None;
        answer
    }

    /// Finds out what became of a write that was dropped; how much it wrote, if it was not of what is here.
    pub(super) async fn settle<W: AsyncWrite + ?Sized>(
        &mut self,
        writer: &mut W,
    ) -> io::Result<Option<usize>> {
        if self.open == Open::None {
            return Ok(Some(0));
        }
        let written = writer.settle().await?;
        if self.open == Open::Own {
            match written {
                Some(count) if count <= self.leaving.len() => self.leaving.advance(count),
                _ => return Err(self.torn()),
            }
        }
        let of_others = if self.open == Open::Others { written } else { Some(0) };
        self.open = Open::None;
        Ok(of_others)
    }

    fn torn(&self) -> io::Error {
        io::Error::other(format!(
            "a flush was dropped half-way, and the sink does not say how much of {} bytes it has written: await it, \
             or give the sink up; into_inner() gives what may not have been written",
            self.leaving.len()
        ))
    }
}
