//! Reading and writing with owned buffers.
//!
//! A buffer is given away for the time of the operation and comes back with the result, for the kernel may use
//! it until then, whatever becomes of the future: `(io::Result<usize>, B)`.
//!
//! | what | for what |
//! |---|---|
//! | [`AsyncRead`], [`AsyncWrite`] | what is read from and written to |
//! | [`BufReader`], [`AsyncBufRead`] | lines, and what else ends with a byte; looking before taking |
//! | [`BufWriter`] | many small writes |
//! | [`codec`] | frames: messages of a protocol |
//! | [`copy()`], [`copy_buf()`], [`copy_bidirectional`] | from one end to another |
//! | [`pipe()`], [`duplex()`] | two ends of the same, in the kernel and in memory |
//! | [`split()`], [`join()`] | one stream as two, two as one |
//! | [`PollRead`], [`PollWrite`], [`Owning`] | what other crates read from and write to, and back |
//! | [`stdin()`], [`stdout()`], [`stderr()`] | the standard streams of the process |
//! | [`empty()`], [`sink()`], [`repeat()`], `&[u8]`, `Vec<u8>`, [`std::io::Cursor`] | what never waits |
//!
//! # What becomes of what is dropped half-way
//! | dropped | then |
//! |---|---|
//! | a read, `read_until`, a line, a frame | nothing is lost: the next one has it |
//! | `read_exact` | nothing is lost, of this crate's streams and of a [`BufReader`] around one |
//! | `read_to_end`, `read_to_string` | what had come is lost, unless it is of a [`BufReader`] |
//! | a write | a part may have been written: [`settle`](AsyncWrite::settle) says how much |
//! | a flush of a [`BufWriter`], a frame's `send` | the next one goes on with it, or says that it cannot |
//! | [`copy()`], [`copy_bidirectional`] | past the program (splice) nothing is lost; else what was read and not written, at most 64 KiB a direction |
//! | [`copy_buf()`] | nothing is lost: what was not written is in the reader |

mod async_fd;
mod bidirectional;
mod buf_read;
mod buf_reader;
mod buf_writer;
mod chain;
mod channel;
pub mod codec;
mod copy;
mod copy_buf;
mod duplex;
mod empty;
mod fifo;
mod intake;
mod interest;
mod items;
mod join;
mod lines;
mod local_send;
mod memory;
mod outgoing;
mod owning;
mod pipe;
mod poll;
mod read_stream;
mod repeat;
mod segments;
mod sink;
mod splice;
mod split;
mod stdio;
mod take;
mod traits;
mod transfer;
mod turn;

pub use crate::op::Incomplete;
pub use async_fd::{AsyncFd, AsyncFdReadyGuard, TryIoError};
pub use bidirectional::{copy_bidirectional, copy_both};
pub use buf_read::AsyncBufRead;
pub use buf_reader::BufReader;
pub use buf_writer::BufWriter;
pub use chain::Chain;
pub use copy::copy;
pub(crate) use copy::{copy_at_most, cut_off};
pub use copy_buf::copy_buf;
pub use duplex::{DuplexStream, duplex};
pub use empty::{Empty, empty};
pub use interest::{Interest, Ready};
pub use items::Items;
pub use join::{Join, join};
pub use lines::Lines;
pub use owning::Owning;
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use poll::{PollRead, PollWrite};
pub use read_stream::ReadStream;
pub use repeat::{Repeat, repeat};
pub use segments::Segments;
pub use sink::{Sink, sink};
pub use splice::SendFile;
pub(crate) use splice::{Ended, FromOffset, Source, Target, splice};
pub use split::{ReadHalf, ReuniteError, WriteHalf, split};
pub use stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};
pub use take::Take;
pub use traits::{AsyncRead, AsyncWrite};
