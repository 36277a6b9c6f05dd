//! A request has so much time. The time begins with the call, not with waiting for the service to be ready.
//!
//! The timer is plain data, so the response's future is `Send` if the service's is.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::BoxError;
use crate::time;

/// Gives each request of a service at most so much time: makes [`Timeout`].
///
/// It is `Send` and `Sync`, and so are the service and the future if what they are around is: it goes around axum's routes as tower's
/// does, with `HandleErrorLayer` above it.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::{convert::Infallible, future::pending, time::Duration};
/// use annulus::time::Elapsed;
/// use annulus::tower::TimeoutLayer;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// annulus::run(async {
///     let service = ServiceBuilder::new()
///         .layer(TimeoutLayer::new(Duration::from_millis(5)))
///         .service(service_fn(|_: ()| pending::<Result<(), Infallible>>()));
///     let error = service.oneshot(()).await.unwrap_err();
///     assert!(error.is::<Elapsed>());
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer {
    limit: Duration,
}

impl TimeoutLayer {
    /// So much time for each request, from its call until its response.
    pub const fn new(limit: Duration) -> TimeoutLayer {
        TimeoutLayer { limit }
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, service: S) -> Timeout<S> {
        Timeout::new(service, self.limit)
    }
}

/// A service that gives each request at most so much time: see [`TimeoutLayer`].
///
/// # Errors
/// [`Elapsed`](crate::time::Elapsed) when the time is up, and the service's own, as [`BoxError`].
///
/// # Panics
/// Its future, when it has to wait outside of a running loop.
///
/// # Cancel safety
/// When the time is up, or when the response's future is dropped, the service's future is dropped with it.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use annulus::tower::Timeout;
///
/// let mut bounded = Timeout::new("a service", Duration::from_secs(1));
/// *bounded.get_mut() = "another";
/// assert_eq!(*bounded.get_ref(), "another");
/// assert_eq!(bounded.into_inner(), "another");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Timeout<S> {
    inner: S,
    limit: Duration,
}

impl<S> Timeout<S> {
    /// So much time for each request, from its call until its response.
    pub const fn new(inner: S, limit: Duration) -> Timeout<S> {
        Timeout { inner, limit }
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
}

impl<S, Request> Service<Request> for Timeout<S>
where
    S: Service<Request, Error: Into<BoxError>>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = TimeoutResponse<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> TimeoutResponse<S::Future> {
        TimeoutResponse { response: time::timeout(self.limit, self.inner.call(request)) }
    }
}

pin_project! {
    /// The future of [`Timeout`]. A response that is there at once arms no timer.
    ///
    /// # Examples
    /// As [`TimeoutLayer`].
    #[must_use = "a response does not come until it is awaited"]
    #[derive(Debug)]
    pub struct TimeoutResponse<F> {
        #[pin]
        response: time::Timeout<F>,
    }
}

impl<T, E: Into<BoxError>, F: Future<Output = Result<T, E>>> Future for TimeoutResponse<F> {
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().response.poll(cx).map(|answered| match answered {
            Ok(response) => response.map_err(Into::into),
            Err(elapsed) => Err(elapsed.into()),
        })
    }
}
