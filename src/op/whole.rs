//! Transfers that end when the whole buffer is done, however many submissions that takes.
//!
//! One operation and not a loop around one: it keeps its turn in its direction, so that two of them never
//! interleave, and it knows what it gathered, so that nothing is lost when it is dropped.

use std::error;
use std::fmt;
use std::io;

use crate::driver::{Completion, Form, Hold, Operation, Request, Trial, Wait, Way};

/// A transfer of one buffer, of which the kernel may do a part at a time.
pub trait Transfer: Operation<Output = (io::Result<usize>, Self::Buffer)> {
    /// What it transfers into, or out of.
    type Buffer;

    /// What it means that the kernel moved nothing.
    const ENDED: io::ErrorKind;

    /// How many bytes are done, of how many.
    fn progress(&self) -> (usize, usize);

    /// So many more are done.
    fn advance(&mut self, count: usize);
}

/// A transfer that goes on until the whole buffer is done.
pub struct Whole<T> {
    transfer: T,
}

impl<T: Transfer> Whole<T> {
    pub(crate) fn new(transfer: T) -> Whole<T> {
        Whole { transfer }
    }
}

impl<T: Transfer> Operation for Whole<T> {
    type Output = (io::Result<()>, T::Buffer);

    fn form() -> &'static Form {
        T::form()
    }

    #[inline]
    fn wait(&self) -> Wait {
        self.transfer.wait()
    }

    #[inline]
    fn request(&mut self) -> Request {
        self.transfer.request()
    }

    #[inline]
    fn descriptor(&self) -> Option<&Hold> {
        self.transfer.descriptor()
    }

    #[inline]
    fn way(&self) -> Option<Way> {
        self.transfer.way()
    }

    #[inline]
    fn writes_file(&self) -> bool {
        self.transfer.writes_file()
    }

    #[inline]
    fn trial(&self) -> Trial {
        self.transfer.trial()
    }

    #[inline]
    fn answer_at_hand(&mut self) -> Option<Completion> {
        self.transfer.answer_at_hand()
    }

    #[inline]
    fn goes_on(&mut self, answer: Completion) -> bool {
        match usize::try_from(answer.result) {
            Ok(0) => false,
            Ok(count) => {
                self.transfer.advance(count);
                let (done, wanted) = self.transfer.progress();
                done < wanted
            }
            Err(_) => answer.result == -libc::EINTR,
        }
    }

    fn complete(self, answer: Completion) -> Self::Output {
        let (done, wanted) = self.transfer.progress();
        // What the answer counts is done already.
        let last = Completion::of(answer.result.min(0));
        let (result, buffer) = self.transfer.complete(last);
        let result = match result {
            Ok(_) if done >= wanted => Ok(()),
            Ok(_) => Err(incomplete(done, Some(wanted), T::ENDED.into())),
            Err(error) => Err(incomplete(done, Some(wanted), error)),
        };
        (result, buffer)
    }

    fn salvage(self, answer: Completion) {
        self.transfer.salvage(answer);
    }
}

/// How far a whole transfer came that ended early: inside of the [`io::Error`] that it gives.
///
/// An error that came before the first byte is given as it is.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::io::Incomplete;
/// use annulus::net::{TcpListener, TcpStream};
///
/// annulus::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     let (server, _) = listener.accept().await?;
///     client.write_all("only seven of ten: ").await.0?;
///     client.close().await?;
///
///     let (result, buffer) = server.read_exact(vec![0; 100].into_boxed_slice()).await;
///     let error = result.unwrap_err();
///     assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
///     let incomplete = Incomplete::of(&error).unwrap();
///     assert_eq!((incomplete.done(), incomplete.wanted()), (19, Some(100)));
///     println!("{}", incomplete.error());
///     assert_eq!(&buffer[..4], b"only");
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Debug)]
pub struct Incomplete {
    done: usize,
    wanted: Option<usize>,
    error: io::Error,
}

impl Incomplete {
    /// What an error tells of the transfer that it ended. None if that had not moved a byte.
    pub fn of(error: &io::Error) -> Option<&Incomplete> {
        error.get_ref()?.downcast_ref()
    }

    /// How many bytes were transferred.
    pub fn done(&self) -> usize {
        self.done
    }

    /// How many were to be transferred, if that was known.
    ///
    /// # Examples
    /// As [`Incomplete`].
    pub fn wanted(&self) -> Option<usize> {
        self.wanted
    }

    /// What ended it.
    ///
    /// # Examples
    /// As [`Incomplete`].
    pub fn error(&self) -> &io::Error {
        &self.error
    }
}

/// An error that says how far the transfer came. Of one that said it of a part, what ended that.
pub(crate) fn incomplete(done: usize, wanted: Option<usize>, error: io::Error) -> io::Error {
    let error = error.downcast::<Incomplete>().map_or_else(|error| error, |part| part.error);
    let by_itself = error.raw_os_error().is_none();
    match done {
        0 if !by_itself => error,
        _ => io::Error::new(error.kind(), Incomplete { done, wanted, error }),
    }
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error.kind() {
            io::ErrorKind::UnexpectedEof => f.write_str("the end came")?,
            io::ErrorKind::WriteZero => f.write_str("nothing more was taken")?,
            _ => write!(f, "{}", self.error)?,
        }
        write!(f, " after {}", self.done)?;
        match self.wanted {
            Some(wanted) => write!(f, " of {wanted} bytes"),
            None => f.write_str(" bytes"),
        }
    }
}

impl error::Error for Incomplete {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.error)
    }
}
