//! Pipes: two ends, and between them sixteen pages as in the kernel, so that they are full when a real one is.

use std::collections::VecDeque;

use super::{Answer, HostId, Moment, Network, Received, Socket, SocketId};

const PAGE_SIZE: usize = 4096;
/// 64 KiB.
const PAGES: usize = 16;
/// How many bytes an empty pipe takes.
pub(crate) const ROOM: usize = PAGES * PAGE_SIZE;

/// A page that holds `bytes[taken..]`: what was read of it is not used again.
struct Page {
    bytes: Vec<u8>,
    taken: usize,
}

/// An end of a pipe.
pub(super) struct Pipe {
    pub(super) host: HostId,
    other: Option<SocketId>,
    is_reader: bool,
    /// What was written and not read. The reader has it.
    pages: VecDeque<Page>,
}

impl Network {
    /// The ends to read from and to write to.
    pub(crate) fn pipe(&mut self, host: HostId) -> (SocketId, SocketId) {
        let end = |is_reader| Socket::Pipe(Pipe { host, other: None, is_reader, pages: VecDeque::new() });
        let reader = self.add(end(true));
        let writer = self.add(end(false));
        for (id, other) in [(reader, writer), (writer, reader)] {
            if let Some(pipe) = self.end(id) {
                pipe.other = Some(other);
            }
        }
        (reader, writer)
    }

    pub(super) fn write_pipe(&mut self, moment: &mut Moment, id: SocketId, bytes: &[u8]) -> Answer<usize> {
        let writer = self.end(id).ok_or(libc::EBADF)?;
        if writer.is_reader {
            return Err(libc::EBADF);
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        let other = writer.other.ok_or(libc::EPIPE)?;
        let pages = &mut self.end(other).ok_or(libc::EPIPE)?.pages;
        // What is over whole pages goes into the last page, if it fits as a whole: so up to a page stays together.
        let mut written = bytes.len() % PAGE_SIZE;
        match pages.back_mut() {
            Some(last) if last.bytes.len() + written <= PAGE_SIZE => {
                last.bytes.extend_from_slice(&bytes[..written]);
            }
            _ => written = 0,
        }
        for piece in bytes[written..].chunks(PAGE_SIZE) {
            if pages.len() == PAGES {
                break;
            }
            pages.push_back(Page { bytes: piece.to_vec(), taken: 0 });
            written += piece.len();
        }
        if written == 0 {
            return Err(libc::EAGAIN);
        }
        moment.wake(other);
        Ok(written)
    }

    pub(super) fn read_pipe(&mut self, moment: &mut Moment, id: SocketId, length: usize) -> Answer<Received> {
        let reader = self.end(id).ok_or(libc::EBADF)?;
        if !reader.is_reader {
            return Err(libc::EBADF);
        }
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let Some(page) = reader.pages.front_mut() else { break };
            let end = page.bytes.len().min(page.taken + length - bytes.len());
            bytes.extend_from_slice(&page.bytes[page.taken..end]);
            page.taken = end;
            if end == page.bytes.len() {
                reader.pages.pop_front();
            }
        }
        match reader.other {
            Some(_) if bytes.is_empty() && length > 0 => return Err(libc::EAGAIN),
            Some(other) => moment.wake(other),
            None => {}
        }
        Ok(Received::bytes(bytes))
    }

    /// Whether it is an end of a pipe.
    pub(crate) fn is_pipe(&self, id: SocketId) -> bool {
        matches!(self.sockets.get(&id), Some(Socket::Pipe(_)))
    }

    /// How many bytes a pipe takes for certain, from its end to write to. Nobody may read what is in it any more: EPIPE.
    pub(crate) fn room_in_pipe(&mut self, id: SocketId) -> Answer<usize> {
        let writer = self.end(id).filter(|end| !end.is_reader).ok_or(libc::EBADF)?;
        let other = writer.other.ok_or(libc::EPIPE)?;
        let reader = self.end(other).ok_or(libc::EPIPE)?;
        Ok((PAGES - reader.pages.len()) * PAGE_SIZE)
    }

    /// The first bytes that are in a pipe, from its end to read from, which stay there. None: it is empty, and has ended.
    pub(crate) fn peek_pipe(&mut self, id: SocketId, length: usize) -> Answer<Option<Vec<u8>>> {
        let reader = self.end(id).filter(|end| end.is_reader).ok_or(libc::EBADF)?;
        let pages = reader.pages.iter().flat_map(|page| &page.bytes[page.taken..]);
        let bytes: Vec<u8> = pages.take(length).copied().collect();
        match (bytes.is_empty(), reader.other) {
            (true, Some(_)) => Err(libc::EAGAIN),
            (true, None) => Ok(None),
            (false, _) => Ok(Some(bytes)),
        }
    }

    pub(super) fn close_pipe(&mut self, moment: &mut Moment, id: SocketId) {
        let other = self.end(id).and_then(|pipe| pipe.other);
        self.remove(id);
        if let Some(other) = other {
            if let Some(pipe) = self.end(other) {
                pipe.other = None;
            }
            moment.wake(other);
        }
    }

    pub(super) fn readiness_pipe(&self, pipe: &Pipe) -> i16 {
        if pipe.is_reader {
            let readable = if pipe.pages.is_empty() { 0 } else { libc::POLLIN };
            return readable | if pipe.other.is_none() { libc::POLLHUP } else { 0 };
        }
        match pipe.other.and_then(|other| self.sockets.get(&other)) {
            Some(Socket::Pipe(reader)) if reader.pages.len() == PAGES => 0,
            Some(_) => libc::POLLOUT,
            None => libc::POLLOUT | libc::POLLERR,
        }
    }
}
