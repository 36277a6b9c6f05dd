//! Bytes that have come and wait to be taken.
//!
//! They stay here while more are read behind them: what is lent to the reader is the room behind the bytes, split
//! off, and joined again without copying. So a read that is dropped half-way takes room with it and never a byte.

use std::io;

use bytes::{Buf, BytesMut};

use super::AsyncRead;

pub(super) struct Intake {
    bytes: BytesMut,
    /// How much is read at once, in bytes.
    capacity: usize,
}

impl Intake {
    pub(super) fn new(capacity: usize) -> Intake {
        // A read into no room would look like the end.
        Intake { bytes: BytesMut::new(), capacity: capacity.max(1) }
    }

    /// With bytes that were read by somebody else.
    pub(super) fn with(bytes: BytesMut, capacity: usize) -> Intake {
        Intake { bytes, ..Intake::new(capacity) }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn bytes_mut(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    pub(super) fn into_bytes(self) -> BytesMut {
        self.bytes
    }

    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        let held = self.bytes.len();
        assert!(count <= held, "{count} bytes were consumed of a reader that holds {held}");
        self.bytes.advance(count);
    }

    /// Reads more behind what is there, and says how many bytes; 0 is the end.
    pub(super) async fn more<R: AsyncRead + ?Sized>(&mut self, reader: &mut R) -> io::Result<usize> {
        loop {
            let (result, room) = reader.read(self.room()).await;
            match result {
                Ok(count) => {
                    self.bytes.unsplit(room);
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The room behind the bytes, without the bytes.
    fn room(&mut self) -> BytesMut {
        if self.bytes.is_empty() {
            // Nothing to keep, so all of it is lent; but not what one long line has blown up.
            let mut all = std::mem::take(&mut self.bytes);
            if all.capacity() > 4 * self.capacity {
                all = BytesMut::new();
            }
            all.reserve(self.capacity);
            return all;
        }
        // Of too little room a read would make too little.
        let room = self.bytes.capacity() - self.bytes.len();
        if room < self.capacity.div_ceil(2) {
            self.bytes.reserve(self.capacity);
        }
        self.bytes.split_off(self.bytes.len())
    }
}
