//! Streams of other crates as this crate's: with owned buffers, and with borrowed ones.
//!
//! What the two have in common is here; each names the traits of its crate in a file of its own.

/// Makes a wrapper of `Owning<$foreign<T>>`, where `$foreign` is `PollRead` and `PollWrite` by somebody else's traits.
macro_rules! from_foreign {
    ($(#[$attribute:meta])* $name:ident, $foreign:ident, $read:path, $write:path) => {
        $(#[$attribute])*
        pub struct $name<T> {
            owning: crate::io::Owning<$foreign<T>>,
        }

        impl<T> $name<T> {
            /// Wraps it.
            pub fn new(inner: T) -> $name<T> {
                $name { owning: crate::io::Owning::new($foreign(inner)) }
            }

            /// What is wrapped.
            ///
            /// # Examples
            #[doc = concat!("As [`", stringify!($name), "`].")]
            pub fn get_ref(&self) -> &T {
                &self.owning.get_ref().0
            }

            /// What is wrapped. Nothing is kept here, so it may be read from and written to as well.
            ///
            /// # Examples
            #[doc = concat!("As [`", stringify!($name), "`].")]
            pub fn get_mut(&mut self) -> &mut T {
                &mut self.owning.get_mut().0
            }

            /// Gives it back.
            ///
            /// # Examples
            #[doc = concat!("As [`", stringify!($name), "`].")]
            pub fn into_inner(self) -> T {
                self.owning.into_inner().0
            }
        }

        impl<T: $read + Unpin> crate::io::AsyncRead for $name<T> {
            fn read<B: crate::buf::IoBufMut>(
                &mut self,
                buffer: B,
            ) -> impl Future<Output = (std::io::Result<usize>, B)> {
                self.owning.read(buffer)
            }
        }

        impl<T: $write + Unpin> crate::io::AsyncWrite for $name<T> {
            fn write<B: crate::buf::IoBuf>(
                &mut self,
                buffer: B,
            ) -> impl Future<Output = (std::io::Result<usize>, B)> {
                self.owning.write(buffer)
            }

            fn write_all<B: crate::buf::IoBuf>(
                &mut self,
                buffer: B,
            ) -> impl Future<Output = (std::io::Result<()>, B)> {
                self.owning.write_all(buffer)
            }

            fn writev<B: crate::buf::IoBuf>(
                &mut self,
                buffers: Vec<B>,
            ) -> impl Future<Output = (std::io::Result<usize>, Vec<B>)> {
                self.owning.writev(buffers)
            }

            fn flush(&mut self) -> impl Future<Output = std::io::Result<()>> {
                self.owning.flush()
            }

            fn shutdown(&mut self) -> impl Future<Output = std::io::Result<()>> {
                self.owning.shutdown()
            }

            fn settle(&mut self) -> impl Future<Output = std::io::Result<Option<usize>>> {
                self.owning.settle()
            }
        }

        impl<T: $read + Unpin> crate::io::PollRead for $name<T> {
            fn poll_read(
                &mut self,
                cx: &mut std::task::Context<'_>,
                buffer: &mut crate::buf::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.owning.poll_read(cx, buffer)
            }
        }

        impl<T: $write + Unpin> crate::io::PollWrite for $name<T> {
            fn poll_write(
                &mut self,
                cx: &mut std::task::Context<'_>,
                bytes: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.owning.poll_write(cx, bytes)
            }

            fn poll_write_vectored(
                &mut self,
                cx: &mut std::task::Context<'_>,
                parts: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.owning.poll_write_vectored(cx, parts)
            }

            fn is_write_vectored(&self) -> bool {
                self.owning.is_write_vectored()
            }

            fn poll_flush(
                &mut self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.owning.poll_flush(cx)
            }

            fn poll_shutdown(
                &mut self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.owning.poll_shutdown(cx)
            }
        }

        impl<T: std::fmt::Debug> std::fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(self.get_ref()).finish()
            }
        }
    };
}

pub(super) use from_foreign;
