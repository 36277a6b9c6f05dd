//! What has to be known of a file before its first transfer.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Poll, ready};

use crate::fs::{File, Metadata};
use crate::op::{Statx, Submitted};

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
