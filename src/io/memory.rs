//! Bytes in memory as readers and writers: `&[u8]`, `Vec<u8>`, [`Cursor`].

use std::io::{self, Cursor};

use super::turn::turn;
use super::{AsyncBufRead, AsyncRead, AsyncWrite};
use crate::buf::{IoBuf, IoBufMut};

/// Reads from its beginning, and becomes shorter. Never waits.
impl AsyncRead for &[u8] {
    async fn read<B: IoBufMut>(&mut self, mut buffer: B) -> (io::Result<usize>, B) {
        turn().await;
        let count = buffer.fill_from(self);
        *self = &self[count..];
        (Ok(count), buffer)
    }
}

impl AsyncBufRead for &[u8] {
    fn buffer(&self) -> &[u8] {
        self
    }

    fn consume(&mut self, count: usize) {
        *self = &self[count..];
    }

    async fn fill_more(&mut self) -> io::Result<usize> {
        Ok(0)
    }
}

/// Reads from its position on. Never waits.
impl<T: AsRef<[u8]>> AsyncRead for Cursor<T> {
    async fn read<B: IoBufMut>(&mut self, mut buffer: B) -> (io::Result<usize>, B) {
        turn().await;
        let count = buffer.fill_from(AsyncBufRead::buffer(self));
        AsyncBufRead::consume(self, count);
        (Ok(count), buffer)
    }
}

impl<T: AsRef<[u8]>> AsyncBufRead for Cursor<T> {
    fn buffer(&self) -> &[u8] {
        let bytes = self.get_ref().as_ref();
        let beginning = usize::try_from(self.position()).unwrap_or(usize::MAX);
        &bytes[beginning.min(bytes.len())..]
    }

    fn consume(&mut self, count: usize) {
        io::BufRead::consume(self, count);
    }

    async fn fill_more(&mut self) -> io::Result<usize> {
        Ok(0)
    }
}

/// Appends. Never waits.
impl AsyncWrite for Vec<u8> {
    async fn write<B: IoBuf>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        turn().await;
        self.extend_from_slice(buffer.as_init());
        (Ok(buffer.bytes_init()), buffer)
    }

    async fn settle(&mut self) -> io::Result<Option<usize>> {
        Ok(Some(0))
    }
}

/// Writes at its position, over what is there, and lengthens the vector if need be. Never waits.
impl AsyncWrite for Cursor<Vec<u8>> {
    async fn write<B: IoBuf>(&mut self, buffer: B) -> (io::Result<usize>, B) {
        turn().await;
        (io::Write::write(self, buffer.as_init()), buffer)
    }

    async fn settle(&mut self) -> io::Result<Option<usize>> {
        Ok(Some(0))
    }
}
