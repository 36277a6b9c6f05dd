//! Layers and services for [tower](https://docs.rs/tower), by this loop's timers and tasks (feature `tower`).
//!
//! Those of tower 0.5 itself that need tokio's clock or its `spawn` panic where there is no tokio. Here are the same, with the same names
//! and behaviour, and without `Send` bounds: a service may hold an `Rc`. All others of tower work on this loop as they are.
//!
//! | of tower 0.5 | on this loop |
//! |---|---|
//! | `timeout` | [`TimeoutLayer`] |
//! | `limit::RateLimitLayer` | [`RateLimitLayer`] |
//! | `limit::ConcurrencyLimitLayer`, `GlobalConcurrencyLimitLayer` | as they are |
//! | `buffer` | [`BufferLayer`]: callers of one thread |
//! | `spawn_ready` | [`SpawnReadyLayer`] |
//! | `retry::RetryLayer`, `Policy`, `budget` | as they are |
//! | `retry::backoff` | [`ExponentialBackoffMaker`]: its chance is the loop's, and in a simulated world the seed's |
//! | `util`, `load_shed`, `filter`, `steer`, `discover`, `make`, `ready_cache`, `reconnect` | as they are |
//! | `hedge`, `load`, `balance` | not here: they look at tokio's clock |
//!
//! What was made outside of a loop, a router for example, works on the loop that calls it.
//!
//! # Examples
//! ```
//! # fn main() -> std::io::Result<()> {
//! use std::convert::Infallible;
//! use std::time::Duration;
//! use annulus::time;
//! use annulus::tower::{BufferLayer, RateLimitLayer, TimeoutLayer};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! annulus::run(async {
//!     let brew = service_fn(|minutes: u64| async move {
//!         time::sleep(Duration::from_millis(minutes)).await;
//!         Ok::<_, Infallible>(format!("tea of {minutes} minutes"))
//!     });
//!     // From the outside: at most eight wait, ten a second, each for two seconds at most.
//!     let service = ServiceBuilder::new()
//!         .layer(BufferLayer::new(8))
//!         .layer(RateLimitLayer::new(10, Duration::from_secs(1)))
//!         .layer(TimeoutLayer::new(Duration::from_secs(2)))
//!         .service(brew);
//!     let cups = [3, 4].map(|minutes| annulus::spawn(service.clone().oneshot(minutes)));
//!     for cup in cups {
//!         println!("{}", cup.await.unwrap().unwrap());
//!     }
//! })?;
//! # Ok(())
//! # }
//! ```

mod backoff;
mod buffer;
mod rate_limit;
mod spawn_ready;
mod timeout;

pub use backoff::{ExponentialBackoff, ExponentialBackoffMaker, InvalidBackoff};
pub use buffer::{Buffer, BufferLayer, BufferResponse, Closed, ServiceError};
pub use rate_limit::{RateLimit, RateLimitLayer};
pub use spawn_ready::{SpawnReady, SpawnReadyLayer, SpawnReadyResponse};
pub use timeout::{Timeout, TimeoutLayer, TimeoutResponse};

/// What layers give as an error that may fail for reasons of their own: any error. The same type as `tower::BoxError`.
///
/// Look for a reason by `downcast_ref`, or `is`: [`Elapsed`](crate::time::Elapsed), [`ServiceError`], [`Closed`], or the service's own.
///
/// # Examples
/// As [`Buffer`], whose errors it is.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
