//! Bytes that go from one descriptor to another without passing through the program.
//!
//! They go through a pipe of the loop's own: in by splice(2), out by splice(2), and the pipe is given back before the
//! source is waited for. So no more than one pipe's worth is ever on its way, and what waits holds none.

use std::io;
use std::rc::Rc;

use super::AsyncRead;
use crate::buf::IoBufMut;
use crate::driver::{Hold, Port, Way};
use crate::op::{Conduit, Poll, Read, Splice, SpliceOut, Submitted, Turn};
use crate::sys::file::CURSOR;

/// What bytes can be taken from without passing through the program.
pub struct Source {
    hold: Hold,
    kind: Kind,
}

/// What bytes can go to without passing through the program.
pub struct Target {
    hold: Hold,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A socket or a pipe, which has readiness.
    Stream,
    /// A file, at its cursor or from an offset on.
    File(u64),
}

/// What [`send_file`](crate::net::Stream::send_file) sends from: a [`File`](crate::fs::File). Only this crate implements it.
///
/// # Examples
/// As [`Stream::send_file`](crate::net::Stream::send_file).
pub trait SendFile {
    #[doc(hidden)]
    fn bytes_from(&self, offset: u64) -> FromOffset;
}

/// A file's bytes from an offset on. The file's cursor has nothing to do with it.
pub struct FromOffset {
    hold: Hold,
    offset: u64,
}

impl FromOffset {
    pub(crate) fn new(hold: Hold, offset: u64) -> FromOffset {
        FromOffset { hold, offset }
    }

    fn advance(&mut self, count: u64) {
        self.offset = self.offset.saturating_add(count).min(CURSOR - 1);
    }
}

impl AsyncRead for FromOffset {
    async fn read<B: IoBufMut>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        let (result, buffer) = Submitted::new(Read::new(self.hold.clone(), buffer, self.offset)).await;
        self.advance(*result.as_ref().unwrap_or(&0) as u64);
        (result, buffer)
    }

    fn splice_source(&self) -> Option<Source> {
        Some(Source::file_at(self.hold.clone(), self.offset))
    }

    fn spliced(&mut self, count: u64) {
        self.advance(count);
    }
}

/// Why no more is moved.
pub(crate) enum Ended {
    /// The source has ended, or the limit is reached.
    Done,
    /// This cannot be spliced; nothing is on its way, and the rest may be copied.
    Unsuitable,
    Failed(io::Error),
}

impl Source {
    pub(crate) fn stream(hold: Hold) -> Source {
        Source { hold, kind: Kind::Stream }
    }

    pub(crate) fn file(hold: Hold) -> Source {
        Source { hold, kind: Kind::File(CURSOR) }
    }

    pub(crate) fn file_at(hold: Hold, offset: u64) -> Source {
        Source { hold, kind: Kind::File(offset) }
    }

    fn port(&self) -> &Rc<Port> {
        self.hold.port()
    }

    /// Where the turns are taken: bytes at an offset are nobody's turn.
    fn takes_turns(&self) -> bool {
        !matches!(self.kind, Kind::File(offset) if offset != CURSOR)
    }

    /// Fills the pipe with at most so many bytes; those at an offset begin after so many.
    async fn fill(&self, conduit: &Rc<Conduit>, moved: u64, limit: u64) -> io::Result<usize> {
        let (hold, conduit) = (self.hold.clone(), Rc::clone(conduit));
        match self.kind {
            Kind::Stream => Submitted::new(Splice::ready(hold, conduit, limit)).await,
            Kind::File(offset) => {
                // Never by chance the cursor.
                let offset =
                    if offset == CURSOR { offset } else { offset.saturating_add(moved).min(CURSOR - 1) };
                let at_once = Splice::from_memory(hold.clone(), offset, Rc::clone(&conduit), limit);
                match Submitted::new(at_once).await {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        Submitted::new(Splice::from_disk(hold, offset, conduit, limit)).await
                    }
                    answer => answer,
                }
            }
        }
    }
}

impl Target {
    pub(crate) fn stream(hold: Hold) -> Target {
        Target { hold }
    }
}

/// Moves bytes until the source ends or the limit is reached; how many, and why no more.
///
/// Dropped, it loses nothing: what was taken and has not gone is given to the source's next read, unless it was taken
/// from an offset. The same where it fails.
pub(crate) async fn splice(source: Source, target: Target, limit: u64) -> (u64, Ended) {
    let mut moved = 0;
    if !Rc::ptr_eq(source.port(), target.hold.port()) {
        return (moved, Ended::Unsuitable);
    }
    let turn = match source.takes_turns() {
        true => Some(Rc::new(Turn::of(source.hold.clone(), Way::Read).await)),
        false => None,
    };
    while moved < limit {
        let Ok(pipe) = source.port().passage() else { return (moved, Ended::Unsuitable) };
        let conduit = Conduit::new(pipe, turn.as_ref());
        match source.fill(&conduit, moved, limit - moved).await {
            Ok(0) => break,
            Ok(_) => {
                let (count, result) = Submitted::new(SpliceOut::new(target.hold.clone(), conduit)).await;
                moved += count as u64;
                match result {
                    Ok(()) => {}
                    Err(error) if is_refusal(&error) => return (moved, Ended::Unsuitable),
                    Err(error) => return (moved, Ended::Failed(error)),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // It may be long: the pipe is for others meanwhile.
                drop(conduit);
                if let Err(error) = Submitted::new(Poll::new(source.hold.clone(), libc::POLLIN)).await {
                    return (moved, Ended::Failed(error));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_refusal(&error) => return (moved, Ended::Unsuitable),
            Err(error) => return (moved, Ended::Failed(error)),
        }
    }
    (moved, Ended::Done)
}

/// Whether an error may be about splicing, and not about the ends: a kind of file that cannot, a policy that does not
/// let us. If it is about the ends, whoever copies is told so, too.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS | libc::EPERM | libc::EOPNOTSUPP))
}
