//! A file as what is read from and written to, at its cursor.

use std::future::Future;
use std::io;

use super::File;
use crate::buf::{IoBuf, IoBufMut};
use crate::io::{AsyncRead, AsyncWrite, Source};

impl AsyncRead for File {
    fn read<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        File::read(self, buffer)
    }

    fn read_exact<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        File::read_exact(self, buffer)
    }

    fn readv<B: IoBufMut>(&mut self, buffers: Vec<B>) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        File::readv(self, buffers)
    }

    fn splice_source(&self) -> Option<Source> {
        Some(Source::file(self.file.hold()))
    }
}

impl AsyncWrite for File {
    fn write<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        File::write(self, buffer)
    }

    fn write_all<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        File::write_all(self, buffer)
    }

    fn writev<B: IoBuf>(&mut self, buffers: Vec<B>) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        File::writev(self, buffers)
    }

    async fn settle(&mut self) -> io::Result<Option<usize>> {
        self.settle_writes().await.map(Some)
    }
}

impl AsyncRead for &File {
    fn read<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        File::read(self, buffer)
    }

    fn read_exact<B: IoBufMut>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        File::read_exact(self, buffer)
    }

    fn readv<B: IoBufMut>(&mut self, buffers: Vec<B>) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        File::readv(self, buffers)
    }

    fn splice_source(&self) -> Option<Source> {
        Some(Source::file(self.file.hold()))
    }
}

impl AsyncWrite for &File {
    fn write<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<usize>, B)> {
        File::write(self, buffer)
    }

    fn write_all<B: IoBuf>(&mut self, buffer: B) -> impl Future<Output = (io::Result<()>, B)> {
        File::write_all(self, buffer)
    }

    fn writev<B: IoBuf>(&mut self, buffers: Vec<B>) -> impl Future<Output = (io::Result<usize>, Vec<B>)> {
        File::writev(self, buffers)
    }

    async fn settle(&mut self) -> io::Result<Option<usize>> {
        self.settle_writes().await.map(Some)
    }
}
