//! This crate's streams for other crates, and theirs for this one.
//!
//! | feature | a type of this crate that is [`PollRead`](crate::io::PollRead) and [`PollWrite`](crate::io::PollWrite) is | and the other way |
//! |---|---|---|
//! | `tokio-io` | `tokio::io::AsyncRead`, `AsyncWrite` | `FromTokio` |
//! | `futures-io` | `futures_io::AsyncRead`, `AsyncWrite` | `FromFutures` |
//! | `hyper` | `hyper::rt::Read`, `Write` | |
//!
//! What is `PollRead` without being another crate's: [`io::Owning`](crate::io::Owning).

#[cfg(any(feature = "futures-io", feature = "tokio-io"))]
mod from;
#[cfg(feature = "futures-io")]
mod from_futures;
#[cfg(feature = "tokio-io")]
mod from_tokio;
#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "hyper")]
mod hyper_io;
mod local_send;
#[cfg(feature = "tokio-io")]
mod tokio_io;

#[cfg(feature = "futures-io")]
#[cfg_attr(docsrs, doc(cfg(feature = "futures-io")))]
pub use from_futures::FromFutures;
#[cfg(feature = "tokio-io")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio-io")))]
pub use from_tokio::FromTokio;

/// Gives a type the traits of other crates, as far as features ask for them.
macro_rules! foreign_traits {
    ($(<$($name:ident $(: $bound:path)?),*>)? for $type:ty $(where $($where:tt)+)?) => {
        #[cfg(feature = "tokio-io")]
        crate::compat::tokio_traits!($(<$($name $(: $bound)?),*>)? for $type $(where $($where)+)?);
        #[cfg(feature = "futures-io")]
        crate::compat::futures_traits!($(<$($name $(: $bound)?),*>)? for $type $(where $($where)+)?);
        #[cfg(feature = "hyper")]
        crate::compat::hyper_traits!($(<$($name $(: $bound)?),*>)? for $type $(where $($where)+)?);
    };
}

#[allow(unused_imports, reason = "as features ask")]
pub(crate) use foreign_traits;
#[cfg(feature = "futures-io")]
pub(crate) use futures_io::futures_traits;
#[cfg(feature = "hyper")]
pub(crate) use hyper_io::hyper_traits;
#[cfg(feature = "tokio-io")]
pub(crate) use tokio_io::tokio_traits;

foreign_traits!(<F: crate::net::Family> for crate::net::PollStream<F>);
foreign_traits!(<F: crate::net::Family> for crate::net::BufferedStream<F>);
