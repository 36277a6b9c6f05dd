//! Waiting for a service to be ready, by a task: it goes on while whoever wants to call it does something else.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::BoxError;
use crate::runtime::spawn;
use crate::task::JoinHandle;

/// Has a service become ready by a task of its own: makes [`SpawnReady`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::convert::Infallible;
/// use annulus::tower::SpawnReadyLayer;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// annulus::run(async {
///     let service = ServiceBuilder::new()
///         .layer(SpawnReadyLayer::new())
///         .service(service_fn(|n: u32| async move { Ok::<_, Infallible>(n + 1) }));
///     assert_eq!(service.oneshot(6).await.unwrap(), 7);
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SpawnReadyLayer;

impl SpawnReadyLayer {
    /// A task for each service that is not ready at once.
    ///
    /// # Examples
    /// ```
    /// let service = annulus::tower::SpawnReady::new("whatever is a service");
    /// # drop(service);
    /// ```
    pub const fn new() -> SpawnReadyLayer {
        SpawnReadyLayer
    }
}

impl<S> Layer<S> for SpawnReadyLayer {
    type Service = SpawnReady<S>;

    fn layer(&self, service: S) -> SpawnReady<S> {
        SpawnReady::new(service)
    }
}

/// A service that becomes ready by a task of its own: see [`SpawnReadyLayer`].
///
/// # Errors
/// The service's own, as [`BoxError`]. If the service panics while it becomes ready, an [`io::Error`] that says so, then and ever after.
///
/// # Panics
/// Waiting to be ready outside of a running loop. A call that was not waited for.
///
/// # Cancel safety
/// Who stops waiting to be ready leaves the task at work, and finds what it has done. Dropping the service stops it.
///
/// # Examples
/// As [`SpawnReadyLayer`].
pub struct SpawnReady<S> {
    state: State<S>,
}

enum State<S> {
    Here(S),
    BecomesReady(JoinHandle<Result<S, BoxError>>),
    /// It panicked, or failed for good, and is no more.
    Lost,
}

impl<S> SpawnReady<S> {
    /// A task when the service is not ready at once.
    pub const fn new(service: S) -> SpawnReady<S> {
        SpawnReady { state: State::Here(service) }
    }
}

impl<S> Drop for SpawnReady<S> {
    fn drop(&mut self) {
        if let State::BecomesReady(task) = &self.state {
            task.abort();
        }
    }
}

impl<S, Request: 'static> Service<Request> for SpawnReady<S>
where
    S: Service<Request, Error: Into<BoxError>> + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = SpawnReadyResponse<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        loop {
            let next = match &mut self.state {
                State::Here(service) => {
                    if let Poll::Ready(outcome) = service.poll_ready(cx) {
                        return Poll::Ready(outcome.map_err(Into::into));
                    }
                    match std::mem::replace(&mut self.state, State::Lost) {
                        State::Here(service) => State::BecomesReady(spawn(ready_by_itself(service))),
                        _ => unreachable!("it was here"),
                    }
                }
                State::BecomesReady(task) => match ready!(Pin::new(task).poll(cx)) {
                    Ok(Ok(service)) => State::Here(service),
                    failed => {
                        self.state = State::Lost;
                        let error = failed
                            .map_err(|lost| io::Error::from(lost).into())
                            .and_then(|failed| failed.map(|_| unreachable!("it did not fail")));
                        return Poll::Ready(error);
                    }
                },
                State::Lost => {
                    let lost = "the service failed or panicked while it became ready: make another one";
                    return Poll::Ready(Err(lost.into()));
                }
            };
            self.state = next;
        }
    }

    fn call(&mut self, request: Request) -> SpawnReadyResponse<S::Future> {
        match &mut self.state {
            State::Here(service) => SpawnReadyResponse { response: service.call(request) },
            _ => panic!("the service is not ready: wait for poll_ready before each call"),
        }
    }
}

async fn ready_by_itself<S, Request>(mut service: S) -> Result<S, BoxError>
where
    S: Service<Request, Error: Into<BoxError>>,
{
    poll_fn(|cx| service.poll_ready(cx)).await.map_err(Into::into)?;
    Ok(service)
}

impl<S: fmt::Debug> fmt::Debug for SpawnReady<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::Here(service) => f.debug_tuple("SpawnReady").field(service).finish(),
            State::BecomesReady(_) => f.write_str("SpawnReady(becomes ready)"),
            State::Lost => f.write_str("SpawnReady(lost)"),
        }
    }
}

pin_project! {
    /// The future of [`SpawnReady`].
    ///
    /// # Examples
    /// As [`SpawnReadyLayer`].
    #[must_use = "a response does not come until it is awaited"]
    #[derive(Debug)]
    pub struct SpawnReadyResponse<F> {
        #[pin]
        response: F,
    }
}

impl<T, E: Into<BoxError>, F: Future<Output = Result<T, E>>> Future for SpawnReadyResponse<F> {
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().response.poll(cx).map_err(Into::into)
    }
}
