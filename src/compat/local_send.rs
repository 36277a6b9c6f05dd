//! The traits of other crates for what is kept on its thread by a [`LocalSend`](crate::task::LocalSend): those that the value has.

/// A method of a trait that the value has itself.
macro_rules! handed_on {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty),* $(,)?) => {
        $(#[track_caller]
        fn $name(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>, $($argument: $type),*)
            -> std::task::Poll<std::io::Result<$answer>> {
            self.get_pin_mut().$name(cx, $($argument),*)
        })*
    };
}

#[cfg(feature = "tokio-io")]
mod of_tokio {
    use std::io::IoSlice;

    use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

    use crate::task::LocalSend;

    impl<T: AsyncRead> AsyncRead for LocalSend<T> {
        handed_on! { poll_read(buffer: &mut ReadBuf<'_>) -> () }
    }

    impl<T: AsyncBufRead> AsyncBufRead for LocalSend<T> {
        #[track_caller]
        fn poll_fill_buf(
            self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<&[u8]>> {
            self.get_mut().get_pin_mut().poll_fill_buf(cx)
        }

        #[track_caller]
        fn consume(mut self: std::pin::Pin<&mut Self>, count: usize) {
            self.get_pin_mut().consume(count);
        }
    }

    impl<T: AsyncWrite> AsyncWrite for LocalSend<T> {
        handed_on! {
            poll_write(bytes: &[u8]) -> usize,
            poll_write_vectored(parts: &[IoSlice<'_>]) -> usize,
            poll_flush() -> (),
            poll_shutdown() -> (),
        }

        fn is_write_vectored(&self) -> bool {
            self.get().is_write_vectored()
        }
    }
}

#[cfg(feature = "futures-io")]
mod of_futures {
    use std::io::{IoSlice, IoSliceMut};

    use futures_io::{AsyncRead, AsyncWrite};

    use crate::task::LocalSend;

    impl<T: AsyncRead> AsyncRead for LocalSend<T> {
        handed_on! {
            poll_read(buffer: &mut [u8]) -> usize,
            poll_read_vectored(parts: &mut [IoSliceMut<'_>]) -> usize,
        }
    }

    impl<T: AsyncWrite> AsyncWrite for LocalSend<T> {
        handed_on! {
            poll_write(bytes: &[u8]) -> usize,
            poll_write_vectored(parts: &[IoSlice<'_>]) -> usize,
            poll_flush() -> (),
            poll_close() -> (),
        }
    }
}

#[cfg(feature = "hyper")]
mod of_hyper {
    use std::io::IoSlice;

    use ::hyper::rt::{Read, ReadBufCursor, Write};

    use crate::task::LocalSend;

    impl<T: Read> Read for LocalSend<T> {
        handed_on! { poll_read(cursor: ReadBufCursor<'_>) -> () }
    }

    impl<T: Write> Write for LocalSend<T> {
        handed_on! {
            poll_write(bytes: &[u8]) -> usize,
            poll_write_vectored(parts: &[IoSlice<'_>]) -> usize,
            poll_flush() -> (),
            poll_shutdown() -> (),
        }

        fn is_write_vectored(&self) -> bool {
            self.get().is_write_vectored()
        }
    }
}
