//! A descriptor that leaves its loop, open: for somebody outside, or for another loop.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::rc::Rc;

use socket2::SockAddr;

use super::{Descriptor, Way};
use crate::driver::direction::{Direction, Leftover};
use crate::driver::policy::ZeroCopy;
use crate::driver::port::Port;
use crate::sys;

/// Something that was left in a direction, on its way to whoever gets the descriptor. It owns what it is.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// A connection that was accepted: the process's own number, and no place in a ring's table.
    Connection(OwnedFd),
    /// Everything else, which belongs to no loop.
    Plain(Leftover),
}

/// All that was left in a descriptor, in the order in which it came.
#[derive(Debug, Default)]
pub(crate) struct Parcels {
    pub(crate) read: VecDeque<Parcel>,
    pub(crate) write: VecDeque<Parcel>,
}

/// A descriptor between two loops, and what the next one has to know of it. Dropped, it is closed with all that it carries.
#[derive(Debug)]
pub(crate) struct Traveller {
    descriptor: OwnedFd,
    blocks: bool,
    zero_copy: ZeroCopy,
    parcels: Parcels,
    /// How many bytes dropped writes wrote after all, of which nobody was told.
    written: usize,
    peer: Option<Box<SockAddr>>,
}

impl Parcels {
    fn of(&mut self, way: Way) -> &mut VecDeque<Parcel> {
        match way {
            Way::Read => &mut self.read,
            Way::Write => &mut self.write,
        }
    }

    /// Takes the first error out, the one that came before everything else of its direction or behind bytes.
    pub(crate) fn take_error(&mut self) -> Option<io::Error> {
        for parcels in [&mut self.read, &mut self.write] {
            for place in 0..parcels.len() {
                match &mut parcels[place] {
                    Parcel::Plain(Leftover::Bytes { then: then @ Some(_), .. }) => {
                        return then.take().map(io::Error::from_raw_os_error);
                    }
                    Parcel::Plain(Leftover::Error(errno)) => {
                        let errno = *errno;
                        parcels.remove(place);
                        return Some(io::Error::from_raw_os_error(errno));
                    }
                    _ => {}
                }
            }
        }
        None
    }
}

impl Traveller {
    /// It belongs to this loop from now on, where the next operations find what it carries. No system call.
    pub(crate) fn arrive(self, port: &Rc<Port>) -> Descriptor {
        let descriptor = Descriptor::adopted(self.descriptor.into_raw_fd(), port, self.blocks);
        descriptor.0.zero_copy.set(self.zero_copy);
        if let Some(peer) = self.peer {
            // Just made: there is none yet.
            let _ = descriptor.0.peer.set(peer);
        }
        descriptor.unpack(self.parcels);
        if self.written > 0 {
            descriptor.0.write.record(self.written, None);
        }
        descriptor
    }
}

impl Descriptor {
    /// Refuses new operations and cancels those in flight, as closing does; what they bring after all is kept.
    pub(crate) fn start_handing_over(&self) {
        self.0.handing_over.set(true);
        self.0.start_closing();
    }

    /// It stays after all. Only when it is settled.
    pub(crate) fn stay(&self) {
        for state in [&self.0.handing_over, &self.0.closing, &self.0.unnamed] {
            state.set(false);
        }
        self.0.directions().iter().for_each(|direction| direction.set_closing(false));
    }

    /// Takes all that was left. Where a connection cannot leave, everything is left as it was.
    pub(crate) fn pack(&self) -> io::Result<Parcels> {
        let mut parcels = Parcels::default();
        for way in [Way::Read, Way::Write] {
            while let Some(leftover) = self.take_leftover(way) {
                let parcel = match leftover {
                    Leftover::Descriptor(number) => match self.0.port.leave(number) {
                        Ok(number) => Parcel::Connection(sys::owned(number)),
                        Err(error) => {
                            self.direction(way).put_back(leftover);
                            self.unpack(parcels);
                            return Err(error);
                        }
                    },
                    plain => Parcel::Plain(plain),
                };
                parcels.of(way).push_back(parcel);
            }
        }
        Ok(parcels)
    }

    /// Leaves what was packed for the next operations, before what was left meanwhile.
    pub(crate) fn unpack(&self, parcels: Parcels) {
        unpack(&self.0.read, parcels.read);
        unpack(&self.0.write, parcels.write);
    }

    /// Sets the number to blocking mode, if that is how it came, or if it was made here: so std's own are.
    pub(crate) fn restore_blocking(&self) -> io::Result<()> {
        match self.0.blocks.get() {
            true => {
                let number = self.0.port.plain(self.0.number)?;
                sys::socket::with_socket(number, |socket| socket.set_nonblocking(false))
            }
            false => Ok(()),
        }
    }

    /// It leaves this loop, by the number that the driver has let go of. Only when it is settled: nothing names it any more.
    pub(crate) fn hand_over(self, number: i32) -> OwnedFd {
        debug_assert!(self.0.handing_over.get() && self.0.is_unnamed() && !self.0.closed.get());
        self.forget_number();
        sys::owned(number)
    }

    /// As `hand_over`, to another loop: as it is, and with what it has to know.
    pub(crate) fn depart(self, number: i32, parcels: Parcels) -> Traveller {
        let blocks = self.0.blocks.get();
        let zero_copy = self.0.zero_copy.get();
        let written = self.0.write.take_written();
        let peer = self.0.peer.get().cloned();
        Traveller { descriptor: self.hand_over(number), blocks, zero_copy, parcels, written, peer }
    }
}

fn unpack(direction: &Direction, parcels: VecDeque<Parcel>) {
    for parcel in parcels.into_iter().rev() {
        direction.put_back(match parcel {
            // The process's own numbers are as good as any to a driver.
            Parcel::Connection(connection) => Leftover::Descriptor(connection.into_raw_fd()),
            Parcel::Plain(leftover) => leftover,
        });
    }
}
