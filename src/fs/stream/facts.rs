//! What has to be known of a file before its first transfer.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};

use crate::fs::{File, Metadata, OpenOptions};
use crate::op::{Statx, Submitted};
use crate::sys::file;

/// What is wanted where the system does not say: more than that no device has asked for so far.
const PAGE: u64 = 4096;

#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// What offsets and lengths of the file's transfers have to be multiples of: 1 by way of the page cache.
    pub(super) unit: u64,
    /// How long it was.
    pub(super) length: u64,
}

/// A question that is asked once, and goes on when who asked is dropped: so that who polls once and goes away gets an
/// answer some day.
#[derive(Default)]
pub(super) struct Question {
    asked: Option<Submitted<Statx>>,
}

impl Question {
    /// Of a file that is read or written as long as it is.
    pub(super) async fn of(&mut self, file: &File) -> io::Result<Facts> {
        poll_fn(|cx| {
            let asked =
                self.asked.get_or_insert_with(|| Submitted::new(Statx::of_descriptor(file.file.hold())));
            let answer = ready!(Pin::new(asked).poll(cx));
            self.asked = None;
            let metadata = Metadata::new(answer?);
            let unit = metadata.direct_io().map_or(PAGE, |direct_io| direct_io.offset.max(1));
            let unit = if file.is_direct() { unit } else { 1 };
            Poll::Ready(Ok(Facts { unit, length: metadata.len() }))
        })
        .await
    }

    /// The unit alone, for which most files need not be asked.
    pub(super) async fn unit_of(&mut self, file: &File) -> io::Result<u64> {
        if file.is_direct() { Ok(self.of(file).await?.unit) } else { Ok(1) }
    }
}

impl File {
    /// Whether what is written goes to its end: O_APPEND. Not asked of simulated files.
    pub(super) fn appends(&self) -> bool {
        !self.file.port().is_simulated() && file::appends(self.file.plain_number())
    }

    /// The same file once more, opened to be written by way of the page cache.
    pub(super) async fn by_the_page_cache(&self) -> io::Result<File> {
        let path = format!("/proc/self/fd/{}", self.file.plain_number());
        let opened = OpenOptions::new().write(true).open(&path).await;
        opened.map_err(|error| {
            let text = format!(
                "{error}; an end between two units of what O_DIRECT writes goes by way of the page cache, for which the file is \
                 opened once more as {path}: is /proc mounted, and may the file be opened to write?"
            );
            io::Error::new(error.kind(), text)
        })
    }

    /// Whether it is read and written past the page cache: O_DIRECT.
    pub(super) fn is_direct(&self) -> bool {
        !self.file.port().is_simulated() && file::is_direct(self.file.plain_number())
    }
}
