//! A tower service as hyper's, as hyper-util has it, so that no server pays for another's.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use hyper::body::Incoming;
use hyper::{Request, Response};
use tower_service::Service;

/// A Router that hyper can call. It is always ready, so each call is made of a clone at once.
#[derive(Clone)]
pub struct TowerService(pub axum::Router);

/// The answer, in the making.
pub struct Answer(<axum::Router as Service<Request<Body>>>::Future);

impl hyper::service::Service<Request<Incoming>> for TowerService {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        Answer(self.0.clone().call(request.map(Body::new)))
    }
}

impl Future for Answer {
    type Output = Result<Response<Body>, std::convert::Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}
