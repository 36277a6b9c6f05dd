//! splice(2) of the simulated kernel: bytes that go from one model to another.

use super::Answer;
use super::kernel::{Kernel, in_numbers};
use super::net::PIPE_ROOM;
use super::process::Opened;
use crate::sys::file::CURSOR;

impl Kernel<'_> {
    /// From one descriptor to another, of which one is a pipe.
    pub(crate) fn splice(&mut self, from: i32, offset: u64, to: i32, length: usize) -> i32 {
        in_numbers(self.try_splice(from, offset, to, length))
    }

    /// From a file, if its bytes are in memory, which the dice say.
    pub(crate) fn splice_from_memory(&mut self, from: i32, offset: u64, to: i32, length: usize) -> i32 {
        match self.is_in_memory() {
            true => self.splice(from, offset, to, length),
            false => -libc::EAGAIN,
        }
    }

    fn try_splice(&mut self, from: i32, offset: u64, to: i32, length: usize) -> Answer<i32> {
        let length = self.shortened(from, length);
        let Opened::Socket(target) = *self.opened(to)? else { return Err(libc::EINVAL) };
        let source = match self.opened(from)? {
            Opened::Socket(source) => Some(*source),
            Opened::File(_) => None,
        };
        let is_pipe = |kernel: &Self, end| kernel.network().is_pipe(end);
        let Some(source) = source.filter(|source| is_pipe(self, *source)) else {
            // Into a pipe, as much as it takes for certain.
            if !is_pipe(self, target) {
                return Err(libc::EINVAL);
            }
            let room = self.with_network(|network, _| network.room_in_pipe(target))?;
            let length = length.min(room);
            if length == 0 {
                return Err(libc::EAGAIN);
            }
            let bytes = match source {
                Some(_) if offset != CURSOR => return Err(libc::ESPIPE),
                Some(source) => {
                    self.connection_fault(from, source);
                    self.received(source, length)?
                }
                None => {
                    self.disk_fault(from)?;
                    self.read_file(from, offset, length)?
                }
            };
            return match bytes.is_empty() {
                true => Ok(0),
                false => self.sent(target, &bytes),
            };
        };
        if offset != CURSOR {
            return Err(libc::ESPIPE);
        }
        let Some(bytes) = self.with_network(|network, _| network.peek_pipe(source, length))? else {
            return Ok(0);
        };
        self.sending_fault(to, target)?;
        let count = self.sent(target, &bytes)?;
        self.received(source, count as usize)?;
        Ok(count)
    }

    /// A pipe of the loop's own, and how many bytes it holds.
    pub(super) fn passage(&mut self) -> Answer<([i32; 2], usize)> {
        Ok((self.pipe()?, PIPE_ROOM))
    }

    /// Bytes that are in a pipe.
    pub(super) fn take_out(&mut self, number: i32, bytes: usize) -> Answer<Vec<u8>> {
        match *self.opened(number)? {
            Opened::Socket(end) => self
                .with_network(|network, moment| network.receive(moment, end, bytes, 0))
                .map(|got| got.bytes),
            Opened::File(_) => Err(libc::EINVAL),
        }
    }
}
