//! So many requests in so much time, counted in spans that begin with their first request.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tower_layer::Layer;
use tower_service::Service;

use crate::time::{self, Sleep, sleep_until};

/// Lets at most so many requests into a service in so much time: makes [`RateLimit`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::{convert::Infallible, time::Duration};
/// use annulus::time;
/// use annulus::tower::RateLimitLayer;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// annulus::run(async {
///     let mut service = ServiceBuilder::new()
///         .layer(RateLimitLayer::new(2, Duration::from_millis(20)))
///         .service(service_fn(|n: u32| async move { Ok::<_, Infallible>(n) }));
///     let begun = time::now();
///     for n in 0..5 {
///         assert_eq!(service.ready().await.unwrap().call(n).await, Ok(n));
///     }
///     assert!(time::now() - begun >= Duration::from_millis(40));
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RateLimitLayer {
    requests_max: u64,
    span: Duration,
}

impl RateLimitLayer {
    /// At most `requests_max` requests in each `span`.
    ///
    /// # Panics
    /// If either is zero.
    pub const fn new(requests_max: u64, span: Duration) -> RateLimitLayer {
        assert!(requests_max > 0, "a rate of no requests would never let one in");
        assert!(!span.is_zero(), "a rate needs a span of time; without one there is no limit");
        RateLimitLayer { requests_max, span }
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimit<S>;

    fn layer(&self, inner: S) -> RateLimit<S> {
        RateLimit::new(inner, self.requests_max, self.span)
    }
}

/// A service that is ready for at most so many requests in so much time: see [`RateLimitLayer`].
///
/// A span begins with its first request; the next one with the first request after its end. So around the border of two spans twice as many
/// may come close together. It is not `Clone`, for each clone would count for itself: to share it, put a [`Buffer`](super::Buffer) around it.
///
/// # Panics
/// Waiting to be ready outside of a running loop. A call that was not waited for, when the limit is reached.
///
/// # Cancel safety
/// Who stops waiting to be ready has used up nothing: requests count when they are called.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use annulus::tower::RateLimit;
///
/// // Around whatever is a service.
/// let mut limited = RateLimit::new("a service", 10, Duration::from_secs(1));
/// *limited.get_mut() = "another";
/// assert_eq!(*limited.get_ref(), "another");
/// assert_eq!(limited.into_inner(), "another");
/// ```
#[derive(Debug)]
pub struct RateLimit<S> {
    inner: S,
    rate: RateLimitLayer,
    /// Of this span, which has begun if it has an end.
    left: u64,
    end: Option<Instant>,
    /// Waits for the end, when nothing is left.
    pause: Option<Sleep>,
}

impl<S> RateLimit<S> {
    /// At most `requests_max` requests in each `span`.
    ///
    /// # Panics
    /// If either is zero.
    pub fn new(inner: S, requests_max: u64, span: Duration) -> RateLimit<S> {
        let rate = RateLimitLayer::new(requests_max, span);
        RateLimit { inner, rate, left: requests_max, end: None, pause: None }
    }

    /// The service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Gives the service back.
    pub fn into_inner(self) -> S {
        self.inner
    }

    fn begin_anew(&mut self) {
        self.pause = None;
        self.end = None;
        self.left = self.rate.requests_max;
    }
}

impl<S: Service<Request>, Request> Service<Request> for RateLimit<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        if let Some(pause) = &mut self.pause {
            ready!(Future::poll(Pin::new(pause), cx));
            self.begin_anew();
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        assert!(self.pause.is_none(), "the rate limit is reached: wait for poll_ready before each call");
        let now = time::now();
        if self.end.is_some_and(|end| now >= end) {
            self.begin_anew();
        }
        let end = *self.end.get_or_insert_with(|| time::after(self.rate.span));
        self.left -= 1;
        if self.left == 0 {
            self.pause = Some(sleep_until(end));
        }
        self.inner.call(request)
    }
}
