//! The system calls of the simulated kernel that are about sockets.

use socket2::SockAddr;

use super::kernel::{Kernel, in_numbers};
use super::net::{self, Moment, Network, Received, SocketId};
use super::process::Opened;
use super::{Answer, names};
use crate::sys::control::Facts;

impl Kernel<'_> {
    pub(crate) fn socket(&mut self, domain: i32, kind: i32, protocol: i32) -> i32 {
        let made = self.fault(-1, libc::EMFILE, |faults| faults.descriptors).and_then(|()| {
            let host = self.world.host_of(self.process).in_network;
            self.world.network.socket(host, domain, kind, protocol)
        });
        in_numbers(made.map(|socket| self.install_socket(socket)))
    }

    /// Two Unix sockets that are connected.
    pub(super) fn pair(&mut self, kind: i32) -> Answer<[i32; 2]> {
        self.fault(-1, libc::EMFILE, |faults| faults.descriptors)?;
        let host = self.world.host_of(self.process).in_network;
        let (one, other) = self.world.network.pair(host, kind)?;
        Ok([one, other].map(|end| self.install_socket(end)))
    }

    pub(super) fn install_socket(&mut self, socket: SocketId) -> i32 {
        let number = self.world.process(self.process).install(Opened::Socket(socket));
        self.world.owners.insert(socket, (self.process, number));
        number
    }

    pub(crate) fn accept(&mut self, number: i32) -> i32 {
        let accepted = self.ask(number, |network, moment, socket| {
            // Where nothing waits to be accepted nothing can go wrong with it.
            match network.readiness(socket) & libc::POLLIN {
                0 => network.accept(moment, socket).map(Some),
                _ => Ok(None),
            }
        });
        let accepted = match accepted {
            Ok(None) => self
                .fault(number, libc::EMFILE, |faults| faults.descriptors)
                .and_then(|()| self.ask(number, |network, moment, socket| network.accept(moment, socket))),
            Ok(Some(socket)) => Ok(socket),
            Err(error) => Err(error),
        };
        in_numbers(accepted.map(|socket| self.install_socket(socket)))
    }

    pub(crate) fn connect(&mut self, number: i32, address: &SockAddr) -> i32 {
        let connected = self
            .fault(number, libc::ECONNREFUSED, |faults| faults.refused)
            .and_then(|()| self.address(address))
            .and_then(|address| {
                self.ask(number, |network, moment, socket| network.connect(moment, socket, &address))
            });
        in_numbers(connected.map(|()| 0))
    }

    pub(crate) fn receive(&mut self, number: i32) -> i32 {
        let received = self.socket_at(number).and_then(|socket| self.receive_from(number, socket));
        in_numbers(received)
    }

    pub(super) fn receive_from(&mut self, number: i32, socket: SocketId) -> Answer<i32> {
        self.receive_some(number, socket, 0).map(|received| received.bytes.len() as i32)
    }

    /// Into the memory that the call's operation has lent.
    pub(super) fn receive_some(&mut self, number: i32, socket: SocketId, flags: i32) -> Answer<Received> {
        self.connection_fault(number, socket);
        // A datagram is received whole, or cut off where the memory ends.
        let whole = !self.world.network.is_stream(socket);
        let length = if whole { self.memory.len() } else { self.length(number) };
        let received =
            self.world.with_network(|network, moment| network.receive(moment, socket, length, flags))?;
        self.memory.fill(&received.bytes);
        Ok(received)
    }

    /// The same of one part of many, each of which is a datagram's.
    pub(super) fn receive_part(&mut self, socket: SocketId, part: usize) -> Answer<Received> {
        let length = self.memory.part_len(part);
        let received =
            self.world.with_network(|network, moment| network.receive(moment, socket, length, 0))?;
        self.memory.fill_part(part, &received.bytes);
        Ok(received)
    }

    pub(super) fn send_part(
        &mut self,
        number: i32,
        socket: SocketId,
        part: usize,
        to: Option<&net::Address>,
        facts: Facts,
    ) -> Answer<()> {
        self.fault(number, libc::ENOBUFS, |faults| faults.buffers)?;
        let bytes = self.memory.part(part);
        let sent =
            self.world.with_network(|network, moment| network.send_with(moment, socket, &bytes, to, facts));
        sent.map(|_| ())
    }

    /// As `receive`, and what is received stays there.
    pub(crate) fn peek(&mut self, number: i32) -> i32 {
        in_numbers(self.socket_at(number).and_then(|socket| self.peek_at(number, socket)))
    }

    pub(super) fn peek_at(&mut self, number: i32, socket: SocketId) -> Answer<i32> {
        self.connection_fault(number, socket);
        let length = self.length(number);
        let seen = self
            .world
            .with_network(|network, moment| network.receive(moment, socket, length, libc::MSG_PEEK))?;
        self.memory.fill(&seen.bytes);
        Ok(seen.bytes.len() as i32)
    }

    pub(super) fn received(&mut self, socket: SocketId, length: usize) -> Answer<Vec<u8>> {
        let received = self.world.with_network(|network, moment| network.receive(moment, socket, length, 0));
        let Received { bytes, .. } = received?;
        Ok(bytes)
    }

    pub(super) fn sent(&mut self, socket: SocketId, bytes: &[u8]) -> Answer<i32> {
        let sent = self
            .world
            .with_network(|network, moment| network.send_with(moment, socket, bytes, None, Facts::default()));
        sent.map(|count| count as i32)
    }

    pub(crate) fn send(&mut self, number: i32) -> i32 {
        let sent = self.socket_at(number).and_then(|socket| self.send_to(number, socket));
        in_numbers(sent)
    }

    pub(super) fn send_to(&mut self, number: i32, socket: SocketId) -> Answer<i32> {
        self.send_some(number, socket, None, Facts::default())
    }

    /// Out of the memory that the call's operation has lent.
    pub(super) fn send_some(
        &mut self,
        number: i32,
        socket: SocketId,
        to: Option<&net::Address>,
        facts: Facts,
    ) -> Answer<i32> {
        self.connection_fault(number, socket);
        self.fault(number, libc::ENOBUFS, |faults| faults.buffers)?;
        // A datagram is sent whole, or not at all.
        let whole = !self.world.network.is_stream(socket);
        let bytes = if whole { self.memory.bytes(self.memory.len()) } else { self.bytes(number) };
        let sent =
            self.world.with_network(|network, moment| network.send_with(moment, socket, &bytes, to, facts));
        sent.map(|count| count as i32)
    }

    pub(crate) fn shutdown(&mut self, number: i32, how: i32) -> i32 {
        let done = self.ask(number, |network, moment, socket| network.shutdown(moment, socket, how));
        in_numbers(done.map(|()| 0))
    }

    /// Has the network do something with the socket of that number.
    pub(super) fn ask<T>(
        &mut self,
        number: i32,
        ask: impl FnOnce(&mut Network, &mut Moment<'_>, SocketId) -> Answer<T>,
    ) -> Answer<T> {
        let socket = self.socket_at(number)?;
        self.world.with_network(|network, moment| ask(network, moment, socket))
    }

    pub(super) fn socket_at(&mut self, number: i32) -> Answer<SocketId> {
        let Opened::Socket(socket) = self.opened(number)? else { return Err(libc::ENOTSOCK) };
        let socket = *socket;
        // An end of a pipe is read from and written to, and no socket.
        self.world.network.domain_and_kind(socket)?.ok_or(libc::ENOTSOCK).map(|_| socket)
    }

    /// What an address means on this host: a Unix socket's name is looked up on its disk.
    pub(super) fn address(&mut self, address: &SockAddr) -> Answer<net::Address> {
        names::of_the_network(address, |path| self.world.host_of(self.process).disk.find_socket(path))
    }

    /// As `address`, of a name that is to be made.
    pub(super) fn address_to_bind(&mut self, address: &SockAddr) -> Answer<net::Address> {
        let now = self.world.wall();
        names::of_the_network(address, |path| self.world.host_of(self.process).disk.make_socket(path, now))
    }
}
