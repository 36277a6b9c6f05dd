//! Messages in the simulated kernel: who sent them, and what goes with them.

use std::time::{Duration, SystemTime};

use super::kernel::{Kernel, in_numbers};
use super::net::{Received, SocketId};
use super::{Answer, names};
use crate::sys::control::Facts;
use crate::sys::message::{Batch, Envelope, FRONT, pack};

impl Kernel<'_> {
    pub(crate) fn receive_message(&mut self, number: i32, flags: i32, envelope: &mut Envelope) -> i32 {
        let received =
            self.socket_at(number).and_then(|socket| self.receive_into(number, socket, flags, envelope));
        in_numbers(received)
    }

    fn receive_into(
        &mut self,
        number: i32,
        socket: SocketId,
        flags: i32,
        envelope: &mut Envelope,
    ) -> Answer<i32> {
        let received = self.receive_some(number, socket, flags)?;
        self.tell(received, envelope).map(|length| length as i32)
    }

    /// Says in the envelope what is told of a message, and how long it is.
    fn tell(&self, received: Received, envelope: &mut Envelope) -> Answer<usize> {
        let Received { bytes, from, full_length, facts, arrived } = received;
        let from = from.map(names::of_the_system).transpose().map_err(|_| libc::EINVAL)?;
        let timestamp = arrived.map(|at| SystemTime::UNIX_EPOCH + Duration::from_nanos(self.wall_at(at)));
        envelope.receive(from.as_ref(), Facts { timestamp, ..facts }, full_length > bytes.len());
        Ok(bytes.len())
    }

    /// Into a buffer that the system has picked, with what is told of it in front.
    pub(crate) fn receive_packed(&mut self, number: i32) -> i32 {
        let packed = self.socket_at(number).and_then(|socket| {
            self.connection_fault(number, socket);
            let room = self.memory.len() - FRONT;
            let received = self.with_network(|network, moment| network.receive(moment, socket, room, 0))?;
            let Received { bytes, from, full_length, .. } = received;
            let from = from.map(names::of_the_system).transpose().map_err(|_| libc::EINVAL)?;
            let flags = if full_length > bytes.len() { libc::MSG_TRUNC } else { 0 };
            Ok(pack(from.as_ref(), &bytes, flags))
        });
        in_numbers(packed.map(|packed| {
            self.memory.fill(&packed);
            packed.len() as i32
        }))
    }

    /// As many as there are.
    pub(crate) fn receive_many(&mut self, number: i32, batch: &mut Batch) -> i32 {
        let socket = match self.socket_at(number) {
            Ok(socket) => socket,
            Err(error) => return -error,
        };
        batch.ready();
        self.each(batch.len(), |kernel, index| {
            let received = kernel.receive_part(socket, index)?;
            let length = kernel.tell(received, batch.envelope(index))?;
            batch.set_length(index, length);
            Ok(())
        })
    }

    /// As many as there is room for.
    pub(crate) fn send_many(&mut self, number: i32, batch: &mut Batch) -> i32 {
        let socket = match self.socket_at(number) {
            Ok(socket) => socket,
            Err(error) => return -error,
        };
        batch.ready();
        let done = batch.done();
        self.each(batch.len() - done, |kernel, index| {
            let envelope = batch.envelope(done + index);
            let to = envelope.receiver().map(|to| kernel.address(&to)).transpose()?;
            let facts = envelope.sent();
            kernel.send_part(number, socket, index, to.as_ref(), facts)
        })
    }

    /// How many could be done; an error only if the first could not.
    fn each(&mut self, count: usize, mut call: impl FnMut(&mut Self, usize) -> Answer<()>) -> i32 {
        for index in 0..count {
            match call(self, index) {
                Ok(()) => {}
                Err(error) if index == 0 => return -error,
                Err(_) => return index as i32,
            }
        }
        count as i32
    }

    pub(crate) fn send_message(&mut self, number: i32, envelope: &mut Envelope) -> i32 {
        let sent = self.socket_at(number).and_then(|socket| {
            let to = envelope.receiver().map(|to| self.address(&to)).transpose()?;
            self.send_some(number, socket, to.as_ref(), envelope.sent())
        });
        in_numbers(sent)
    }
}
