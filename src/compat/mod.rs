//! The traits of other crates for what is [`PollRead`](crate::io::PollRead) and [`PollWrite`](crate::io::PollWrite): each by its feature, and for each of
//! this crate's types by one line below.

#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "hyper")]
mod hyper_io;
mod local_send;
#[cfg(feature = "tokio-io")]
mod tokio_io;

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
