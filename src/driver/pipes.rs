//! The pipes that bytes pass through on their way from one descriptor to another, without passing through the program.
//!
//! A pipe is held only while there are bytes in it, so a connection over which nothing comes has none. One that was left
//! clean is kept for the next; one with bytes in it never is. Nothing ever waits for these pipes: who fills one has an
//! empty one, and who empties it waits for the other end.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use super::control::{Control, Reply};
use super::port::Port;

/// What a pipe is asked to hold, in bytes: four times the usual.
const LARGE: usize = 256 << 10;
/// How many pipes of a loop may be large: together they take an eighth of what one user's pipes may hold by default
/// (pipe(7), `pipe-user-pages-soft`); who exceeds that spoils the pipes of all programs of the user.
const LARGE_MAX: usize = 32;
/// How many clean pipes are kept.
const KEPT_MAX: usize = 32;

/// What a loop has of them.
#[derive(Default)]
pub(super) struct Pipes {
    kept: RefCell<Vec<Ends>>,
    /// How many of all are large, the kept ones and those in use.
    large: Cell<usize>,
    /// Nothing is kept any more: the loop ends.
    closed: Cell<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    read: i32,
    write: i32,
    /// How many bytes there is room for.
    room: usize,
}

/// A pipe in use. Dropped clean, it is kept for the next user; otherwise closed.
///
/// An operation that names one of its ends owns a share of it, so it is not closed meanwhile (I4).
pub(crate) struct Passage {
    port: Rc<Port>,
    ends: Ends,
    /// How many bytes are in it.
    held: Cell<usize>,
}

impl Port {
    /// A clean pipe.
    ///
    /// # Errors
    /// Those of pipe(2), and `Unsupported` on systems that have no splice(2).
    pub(crate) fn passage(self: &Rc<Port>) -> io::Result<Passage> {
        let kept = self.pipes.kept.borrow_mut().pop();
        let ends = match kept {
            Some(ends) => ends,
            None => self.pipes.make(self)?,
        };
        Ok(Passage { port: Rc::clone(self), ends, held: Cell::new(0) })
    }

    /// The loop ends: what is kept is closed, and nothing more is kept.
    pub(super) fn close_pipes(&self) {
        self.pipes.closed.set(true);
        let kept = std::mem::take(&mut *self.pipes.kept.borrow_mut());
        for number in kept.iter().flat_map(|ends| [ends.read, ends.write]) {
            self.close(number);
        }
    }
}

impl Pipes {
    fn make(&self, port: &Port) -> io::Result<Ends> {
        let wanted = if self.large.get() < LARGE_MAX { LARGE } else { 0 };
        match port.control(-1, Control::Pipe(wanted))? {
            Reply::Pipe { ends: [read, write], room } => {
                self.large.set(self.large.get() + usize::from(room >= LARGE));
                Ok(Ends { read, write, room })
            }
            other => {
                Err(io::Error::other(format!("the driver's answer does not fit the question: {other:?}")))
            }
        }
    }
}

impl Passage {
    pub(crate) fn read_end(&self) -> i32 {
        self.ends.read
    }

    pub(crate) fn write_end(&self) -> i32 {
        self.ends.write
    }

    /// How many bytes it takes at least in one piece, when it is clean.
    pub(crate) fn room(&self) -> usize {
        self.ends.room
    }

    /// How many bytes are in it.
    pub(crate) fn held(&self) -> usize {
        self.held.get()
    }

    pub(crate) fn filled(&self, count: usize) {
        self.held.set(self.held.get() + count);
    }

    pub(crate) fn emptied(&self, count: usize) {
        self.held.set(self.held.get() - count);
    }

    /// Takes out what is in it: nothing, where the loop has ended.
    pub(crate) fn take_out(&self) -> Vec<u8> {
        if self.port.has_ended() {
            // Also in a forked child: the bytes are the parent's.
            return Vec::new();
        }
        match self.port.control(self.ends.read, Control::TakeOut(self.held())) {
            Ok(Reply::Bytes(bytes)) => {
                self.emptied(bytes.len());
                bytes
            }
            _ => Vec::new(),
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let pipes = &self.port.pipes;
        let is_kept = self.held() == 0 && !pipes.closed.get() && pipes.kept.borrow().len() < KEPT_MAX;
        if is_kept && !self.port.has_ended() {
            return pipes.kept.borrow_mut().push(self.ends);
        }
        pipes.large.set(pipes.large.get() - usize::from(self.ends.room >= LARGE));
        self.port.close(self.ends.read);
        self.port.close(self.ends.write);
    }
}
