//! futures-io's AsyncRead and AsyncWrite.

/// Gives a type that is `PollRead + PollWrite` futures-io's traits.
macro_rules! futures_traits {
    ($(<$($name:ident $(: $bound:path)?),*>)? for $type:ty $(where $($where:tt)+)?) => {
        impl $(<$($name $(: $bound)?),*>)? ::futures_io::AsyncRead for $type $(where $($where)+)? {
            fn poll_read(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                room: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let mut buffer = crate::buf::ReadBuf::new(room);
                let read = crate::io::PollRead::poll_read(&mut *self, cx, &mut buffer);
                read.map_ok(|()| buffer.filled_len())
            }
        }

        impl $(<$($name $(: $bound)?),*>)? ::futures_io::AsyncWrite for $type $(where $($where)+)? {
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

            fn poll_flush(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                crate::io::PollWrite::poll_flush(&mut *self, cx)
            }

            fn poll_close(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                crate::io::PollWrite::poll_shutdown(&mut *self, cx)
            }
        }
    };
}

pub(crate) use futures_traits;
