//! Services of a closure, and of what is one of hyper's.

use std::future::Future;
use std::task::{Context, Poll};

use ::http::{Request, Response};
use ::hyper::body::Incoming;
use tower_service::Service;

/// A service of a closure: see [`service_fn`].
///
/// # Examples
/// As [`serve`](super::serve).
#[derive(Clone, Copy, Debug)]
pub struct ServiceFn<F>(F);

/// A service of a closure, for programs without tower or axum. Neither it nor its future need be `Send`.
///
/// # Examples
/// As [`serve`](super::serve).
pub fn service_fn<F, T, B, E>(answer: F) -> ServiceFn<F>
where
    F: Fn(Request<Incoming>) -> T + Clone,
    T: Future<Output = Result<Response<B>, E>>,
{
    ServiceFn(answer)
}

impl<F, T, B, E> Service<Request<Incoming>> for ServiceFn<F>
where
    F: Fn(Request<Incoming>) -> T + Clone,
    T: Future<Output = Result<Response<B>, E>>,
{
    type Response = Response<B>;
    type Error = E;
    type Future = T;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> T {
        (self.0)(request)
    }
}

/// A service of hyper's as one of tower's.
#[derive(Clone, Copy, Debug)]
pub struct HyperService<S>(pub S);

impl<S: ::hyper::service::Service<Request<Incoming>>> Service<Request<Incoming>> for HyperService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> S::Future {
        self.0.call(request)
    }
}
