//! tokio's AsyncRead and AsyncWrite: the traits alone, which need no runtime of tokio's.

/// Gives a type that is `PollRead + PollWrite` tokio's traits.
macro_rules! tokio_traits {
    ($(<$($name:ident $(: $bound:path)?),*>)? for $type:ty $(where $($where:tt)+)?) => {
        impl $(<$($name $(: $bound)?),*>)? ::tokio::io::AsyncRead for $type $(where $($where)+)? {
            fn poll_read(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buffer: &mut ::tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                crate::buf::in_tokio(buffer, |buffer| crate::io::PollRead::poll_read(&mut *self, cx, buffer))
            }
        }

        impl $(<$($name $(: $bound)?),*>)? ::tokio::io::AsyncWrite for $type $(where $($where)+)? {
            fn poll_write(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                crate::io::PollWrite::poll_write(&mut *self, cx, bytes)
            }

            fn poll_write_vectored(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                parts: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                crate::io::PollWrite::poll_write_vectored(&mut *self, cx, parts)
            }

            fn is_write_vectored(&self) -> bool {
                crate::io::PollWrite::is_write_vectored(self)
            }

            fn poll_flush(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                crate::io::PollWrite::poll_flush(&mut *self, cx)
            }

            fn poll_shutdown(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                crate::io::PollWrite::poll_shutdown(&mut *self, cx)
            }
        }
    };
}

pub(crate) use tokio_traits;
