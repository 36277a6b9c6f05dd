//! How frames come from a reader, and how far that is: what [`FramedRead`](super::FramedRead) and
//! [`Framed`](super::Framed) share.

use bytes::BytesMut;

use super::Decoder;
use crate::io::AsyncRead;
use crate::io::intake::Intake;

/// How much is read at once, in bytes.
const CAPACITY: usize = 8 * 1024;

pub(super) struct Frames {
    intake: Intake,
    /// No more bytes will come.
    at_the_end: bool,
    /// No more frames will be found.
    ended: bool,
}

impl Frames {
    /// With bytes that were read by somebody else.
    pub(super) fn behind(bytes: BytesMut) -> Frames {
        Frames { intake: Intake::with(bytes, CAPACITY), at_the_end: false, ended: false }
    }

    /// What has come and is no frame yet.
    pub(super) fn bytes(&self) -> &[u8] {
        self.intake.bytes()
    }

    pub(super) fn into_bytes(self) -> BytesMut {
        self.intake.into_bytes()
    }

    /// The next frame. Nothing is held here while it waits, so that dropping it loses nothing.
    pub(super) async fn next<R, D>(
        &mut self,
        reader: &mut R,
        decoder: &mut D,
    ) -> Option<Result<D::Item, D::Error>>
    where
        R: AsyncRead,
        D: Decoder,
    {
        loop {
            if self.ended {
                return None;
            }
            if let Some(frame) = self.find(decoder) {
                return Some(frame);
            }
            if self.at_the_end {
                self.ended = true;
                return None;
            }
            match self.intake.more(reader).await {
                Ok(count) => self.at_the_end = count == 0,
                Err(error) => return Some(Err(error.into())),
            }
        }
    }

    fn find<D: Decoder>(&mut self, decoder: &mut D) -> Option<Result<D::Item, D::Error>> {
        let at_the_end = self.at_the_end;
        let bytes = self.intake.bytes_mut();
        let before = bytes.len();
        let found = match at_the_end {
            true => decoder.decode_eof(bytes),
            false => decoder.decode(bytes),
        };
        if let Err(error) = &found {
            // At the end, who finds something wrong and takes nothing would find it for ever.
            let stands = at_the_end && bytes.len() == before;
            self.ended = stands || !decoder.goes_on_after(error);
        }
        found.transpose()
    }
}
