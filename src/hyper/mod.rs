//! What hyper wants of a runtime (feature `hyper`): [`LocalExecutor`], [`Timer`], and its `rt::Read` and `rt::Write`, which connections of this crate
//! have by [`into_poll`](crate::net::Stream::into_poll) and [`into_buffered`](crate::net::Stream::into_buffered).
//!
//! `http::serve` (feature `http-serve`) puts them together for a server, and `http::Client` for a client.

mod executor;
mod timer;

pub use executor::LocalExecutor;
pub use timer::Timer;
