//! The system calls of the simulated kernel, as the operations' forms ask for them.
//!
//! One call a function, none of them waits, and each answers as its model does: a number, or a negated `errno`;
//! -EAGAIN where it would wait.
#![allow(unsafe_code)]

use super::Answer;
use super::memory::Memory;
use super::net::{Moment, Network, SocketId};
use super::process::{Opened, ProcessId};
use super::world::World;
use crate::driver::Faults;
use crate::driver::operation::Request;
use crate::sys::file::CURSOR;

/// The kernel, while it makes one call for one process.
pub(crate) struct Kernel<'a> {
    pub(super) world: &'a mut World,
    pub(super) process: ProcessId,
    /// What the call's operation has lent.
    pub(super) memory: &'a mut Memory,
}

pub(super) fn in_numbers(answer: Answer<i32>) -> i32 {
    answer.unwrap_or_else(|error| -error)
}

impl<'a> Kernel<'a> {
    pub(super) fn of(world: &'a mut World, process: ProcessId, memory: &'a mut Memory) -> Kernel<'a> {
        Kernel { world, process, memory }
    }

    // Descriptors of all kinds.

    pub(crate) fn close(&mut self, number: i32) -> i32 {
        match self.world.process(self.process).remove(number) {
            Ok(opened) => {
                self.world.release(self.process, opened);
                0
            }
            Err(error) => -error,
        }
    }

    /// At the cursor, or at an offset.
    pub(crate) fn read(&mut self, number: i32, offset: u64) -> i32 {
        in_numbers(self.try_read(number, offset))
    }

    fn try_read(&mut self, number: i32, offset: u64) -> Answer<i32> {
        if let Opened::Socket(socket) = self.opened(number)? {
            let socket = *socket;
            return if offset == CURSOR { self.receive_from(number, socket) } else { Err(libc::ESPIPE) };
        }
        self.disk_fault(number)?;
        let length = self.length(number);
        let bytes = self.read_file(number, offset, length)?;
        self.memory.fill(&bytes);
        Ok(bytes.len() as i32)
    }

    pub(super) fn read_file(&mut self, number: i32, offset: u64, length: usize) -> Answer<Vec<u8>> {
        let now = self.world.wall();
        let (file, disk) = self.world.file(self.process, number)?;
        disk.read(file, (offset != CURSOR).then_some(offset), length, now)
    }

    /// At the cursor, or at an offset.
    pub(crate) fn write(&mut self, number: i32, offset: u64) -> i32 {
        in_numbers(self.try_write(number, offset))
    }

    fn try_write(&mut self, number: i32, offset: u64) -> Answer<i32> {
        if let Opened::Socket(socket) = self.opened(number)? {
            let socket = *socket;
            return if offset == CURSOR { self.send_to(number, socket) } else { Err(libc::ESPIPE) };
        }
        self.disk_fault(number)?;
        self.fault(number, libc::ENOSPC, |faults| faults.disk_full)?;
        let bytes = self.bytes(number);
        let now = self.world.wall();
        let (file, disk) = self.world.file(self.process, number)?;
        disk.write(file, (offset != CURSOR).then_some(offset), &bytes, now).map(|count| count as i32)
    }

    pub(crate) fn poll(&mut self, number: i32, events: i16) -> i32 {
        let ready = match self.opened(number) {
            Ok(Opened::File(_)) => libc::POLLIN | libc::POLLOUT,
            Ok(Opened::Socket(socket)) => {
                let socket = *socket;
                self.world.network.readiness(socket)
            }
            Err(error) => return -error,
        };
        // Errors and the end are told without being asked for.
        match ready & (events | libc::POLLERR | libc::POLLHUP) {
            0 => -libc::EAGAIN,
            ready => i32::from(ready),
        }
    }

    pub(crate) fn pipe(&mut self) -> Answer<[i32; 2]> {
        self.fault(-1, libc::EMFILE, |faults| faults.descriptors)?;
        let host = self.world.host_of(self.process).in_network;
        let (reader, writer) = self.world.network.pipe(host);
        Ok([reader, writer].map(|end| self.install_socket(end)))
    }

    /// Work for a helper. It is done by a thread, so that it finds itself outside of a loop as elsewhere, but the
    /// world waits for it: so the order of things does not depend on it.
    pub(crate) fn helper(&mut self, job: impl FnOnce() -> i32 + Send) -> i32 {
        std::thread::scope(|scope| scope.spawn(job).join()).unwrap_or(-libc::EIO)
    }

    pub(super) fn with_network<T>(&mut self, ask: impl FnOnce(&mut Network, &mut Moment<'_>) -> T) -> T {
        self.world.with_network(ask)
    }

    pub(super) fn is_in_memory(&mut self) -> bool {
        self.world.dice().one_in(2)
    }

    pub(super) fn network(&self) -> &Network {
        &self.world.network
    }

    /// What the host's wall clock said at a time of the world.
    pub(super) fn wall_at(&self, at: u64) -> u64 {
        self.world.wall() - (self.world.now() - at)
    }

    // What goes wrong.

    /// What may go wrong at one descriptor from now on.
    pub(super) fn plan(&mut self, number: i32, faults: &Faults) -> Answer<()> {
        self.opened(number)?;
        self.world.process(self.process).faults_at.insert(number, faults.clone());
        Ok(())
    }

    pub(super) fn opened(&mut self, number: i32) -> Answer<&mut Opened> {
        self.world.process(self.process).opened(number)
    }

    pub(super) fn happens(&mut self, number: i32, rate: impl Fn(&Faults) -> f64) -> bool {
        let rate = rate(self.world.process(self.process).faults_at(number));
        self.world.dice().happens(rate)
    }

    pub(super) fn fault(&mut self, number: i32, error: i32, rate: impl Fn(&Faults) -> f64) -> Answer<()> {
        if self.happens(number, rate) { Err(error) } else { Ok(()) }
    }

    pub(super) fn disk_fault(&mut self, number: i32) -> Answer<()> {
        self.fault(number, libc::EINTR, |faults| faults.interrupted)?;
        self.fault(number, libc::EIO, |faults| faults.disk_error)
    }

    pub(super) fn name_fault(&mut self, makes: bool) -> Answer<()> {
        self.fault(-1, libc::EIO, |faults| faults.disk_error)?;
        match makes {
            true => self.fault(-1, libc::ENOSPC, |faults| faults.disk_full),
            false => Ok(()),
        }
    }

    /// The network cuts a connection off, or lets it starve; the call then meets that.
    pub(super) fn connection_fault(&mut self, number: i32, socket: SocketId) {
        if self.happens(number, |faults| faults.reset) {
            self.world.with_network(|network, moment| network.cut(moment, socket, libc::ECONNRESET));
        } else if self.happens(number, |faults| faults.lost) {
            self.world.with_network(|network, moment| network.cut(moment, socket, libc::ETIMEDOUT));
        }
    }

    pub(super) fn sending_fault(&mut self, number: i32, socket: SocketId) -> Answer<()> {
        self.connection_fault(number, socket);
        self.fault(number, libc::ENOBUFS, |faults| faults.buffers)
    }

    /// How many bytes this transfer may move.
    pub(super) fn length(&mut self, number: i32) -> usize {
        self.shortened(number, self.memory.len())
    }

    pub(super) fn shortened(&mut self, number: i32, length: usize) -> usize {
        let length = length.min(crate::sys::TRANSFER_MAX);
        if length > 1 && self.happens(number, |faults| faults.short) {
            let dice = self.world.dice();
            let at_most = if dice.one_in(2) { 7 } else { 5000 };
            return 1 + dice.below(at_most.min(length as u64)) as usize;
        }
        length
    }

    /// What this transfer sends.
    pub(super) fn bytes(&mut self, number: i32) -> Vec<u8> {
        let length = self.length(number);
        self.memory.bytes(length)
    }

    pub(super) fn call(&mut self, request: &Request) -> i32 {
        // SAFETY: of an operation in flight, whose answer this is.
        unsafe { request.simulate(self) }
    }
}
