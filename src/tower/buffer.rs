//! One service for several callers of a thread: a task owns it, and calls it for each of them in turn.
//!
//! Whoever has a place may call, so that no request is without one; the place is given back when the request has gone to the service.

use std::cell::OnceCell;
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::BoxError;
use crate::runtime::spawn;
use crate::sync::{AcquireOwned, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Shares a service among several callers of this thread: makes [`Buffer`].
///
/// # Examples
/// As [`Buffer`].
pub struct BufferLayer<Request> {
    requests_max: usize,
    request: PhantomData<fn(Request)>,
}

impl<Request> BufferLayer<Request> {
    /// At most `requests_max` requests wait for the service, those included who have a place and have not called yet; the
    /// next wait to be ready. Let it be at least the number of callers that come at the same time.
    ///
    /// # Panics
    /// If it is zero.
    ///
    /// # Examples
    /// ```
    /// let layer = annulus::tower::BufferLayer::<String>::new(16);
    /// println!("{layer:?}");
    /// ```
    pub const fn new(requests_max: usize) -> BufferLayer<Request> {
        assert!(requests_max > 0, "a buffer without a place would let no request in");
        BufferLayer { requests_max, request: PhantomData }
    }
}

impl<Request: 'static, S> Layer<S> for BufferLayer<Request>
where
    S: Service<Request, Error: Into<BoxError>> + 'static,
{
    type Service = Buffer<Request, S::Future>;

    #[track_caller]
    fn layer(&self, service: S) -> Buffer<Request, S::Future> {
        Buffer::new(service, self.requests_max)
    }
}

impl<Request> Clone for BufferLayer<Request> {
    fn clone(&self) -> BufferLayer<Request> {
        *self
    }
}

impl<Request> Copy for BufferLayer<Request> {}

impl<Request> fmt::Debug for BufferLayer<Request> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferLayer").field("requests_max", &self.requests_max).finish()
    }
}

/// A caller's handle of a service that several share: clone it for each. `F` is the future of the service.
///
/// Requests go to the service in the order in which they were called. Its futures are polled by the callers, not by the task,
/// so they run side by side. The task ends, and the service is dropped, when the last handle is and nothing waits any more.
///
/// # Errors
/// [`ServiceError`] once the service has failed to become ready: for those who wait and for all who come. [`Closed`] if its
/// task is no more: the loop has ended, or the service has panicked. The errors of its responses are given as [`BoxError`].
///
/// # Panics
/// A call that was not waited for.
///
/// # Cancel safety
/// A request whose response's future is dropped before it has gone to the service does not go there.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::convert::Infallible;
/// use annulus::tower::Buffer;
/// use tower::{ServiceExt, service_fn};
///
/// annulus::run(async {
///     // It counts, so it is no `Clone`.
///     let mut count = 0;
///     let counting = service_fn(move |step: u32| {
///         count += step;
///         std::future::ready(Ok::<_, Infallible>(count))
///     });
///     let shared = Buffer::new(counting, 8);
///     let callers: Vec<_> = (0..3).map(|_| annulus::spawn(shared.clone().oneshot(2))).collect();
///     let mut counts = Vec::new();
///     for caller in callers {
///         counts.push(caller.await.unwrap().unwrap());
///     }
///     counts.sort();
///     assert_eq!(counts, [2, 4, 6]);
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct Buffer<Request, F> {
    requests: mpsc::UnboundedSender<Message<Request, F>>,
    shared: Rc<Shared>,
    place: Place,
}

enum Place {
    None,
    Wanted(AcquireOwned),
    Had(OwnedSemaphorePermit),
}

struct Shared {
    places: Rc<Semaphore>,
    /// Why the service can be called no more.
    failure: OnceCell<ServiceError>,
}

impl Shared {
    fn error(&self) -> BoxError {
        self.failure.get().map_or_else(|| Closed(()).into(), |failure| failure.clone().into())
    }
}

struct Message<Request, F> {
    request: Request,
    answer: oneshot::Sender<Result<F, ServiceError>>,
    _place: OwnedSemaphorePermit,
}

impl<Request: 'static, F: 'static> Buffer<Request, F> {
    /// Starts the task that owns the service. At most `requests_max` requests wait for it, as [`BufferLayer::new`] says.
    ///
    /// # Panics
    /// Outside of a running loop; if `requests_max` is zero.
    #[track_caller]
    pub fn new<S>(service: S, requests_max: usize) -> Buffer<Request, F>
    where
        S: Service<Request, Future = F, Error: Into<BoxError>> + 'static,
    {
        let (buffer, worker) = Buffer::pair(service, requests_max);
        drop(spawn(worker));
        buffer
    }

    /// The handle, and what the task does: for those who want to start it themselves, with a name or in a group. Nothing is answered
    /// before it is polled; once it is dropped all callers get [`Closed`].
    ///
    /// # Panics
    /// If `requests_max` is zero.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::{task, tower::Buffer};
    /// use tower::{ServiceExt, service_fn};
    ///
    /// annulus::run(async {
    ///     let double = service_fn(|n: u32| async move { Ok::<_, std::convert::Infallible>(2 * n) });
    ///     let (shared, worker) = Buffer::pair(double, 8);
    ///     drop(task::Builder::new().name("double").spawn(worker));
    ///     assert_eq!(shared.oneshot(3).await.unwrap(), 6);
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn pair<S>(service: S, requests_max: usize) -> (Buffer<Request, F>, impl Future<Output = ()>)
    where
        S: Service<Request, Future = F, Error: Into<BoxError>> + 'static,
    {
        let BufferLayer { requests_max, .. } = BufferLayer::<Request>::new(requests_max);
        let places = Rc::new(Semaphore::new(requests_max));
        let shared = Rc::new(Shared { places, failure: OnceCell::new() });
        let (requests, received) = mpsc::unbounded();
        // Made here, so that also a worker that is never polled tells the callers that it is gone.
        let end = End(Rc::clone(&shared));
        (Buffer { requests, shared, place: Place::None }, work(service, received, end))
    }
}

/// Nobody is let in any more, however the task ends.
struct End(Rc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.places.close();
    }
}

async fn work<S, Request>(
    mut service: S,
    mut requests: mpsc::UnboundedReceiver<Message<Request, S::Future>>,
    end: End,
) where
    S: Service<Request, Error: Into<BoxError>>,
{
    while let Some(message) = requests.recv().await {
        if message.answer.is_closed() {
            continue;
        }
        if let Err(error) = poll_fn(|cx| service.poll_ready(cx)).await {
            let failure = end.0.failure.get_or_init(|| ServiceError { inner: Arc::from(error.into()) });
            requests.close();
            let _ = message.answer.send(Err(failure.clone()));
            while let Some(message) = requests.recv().await {
                let _ = message.answer.send(Err(failure.clone()));
            }
            return;
        }
        // Who wanted it may have gone meanwhile; the service is ready for the next then.
        if !message.answer.is_closed() {
            let _ = message.answer.send(Ok(service.call(message.request)));
        }
    }
}

impl<Request, F, T, E> Service<Request> for Buffer<Request, F>
where
    F: Future<Output = Result<T, E>>,
    E: Into<BoxError>,
{
    type Response = T;
    type Error = BoxError;
    type Future = BufferResponse<F>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.requests.is_closed() {
            return Poll::Ready(Err(self.shared.error()));
        }
        loop {
            self.place = match &mut self.place {
                Place::None => Place::Wanted(Rc::clone(&self.shared.places).acquire_owned()),
                Place::Wanted(wanted) => match ready!(Pin::new(wanted).poll(cx)) {
                    Ok(permit) => Place::Had(permit),
                    Err(_closed) => {
                        self.place = Place::None;
                        return Poll::Ready(Err(self.shared.error()));
                    }
                },
                Place::Had(_) => return Poll::Ready(Ok(())),
            };
        }
    }

    fn call(&mut self, request: Request) -> BufferResponse<F> {
        let Place::Had(place) = std::mem::replace(&mut self.place, Place::None) else {
            panic!("the buffer has no place for this request: wait for poll_ready before each call");
        };
        let (answer, answered) = oneshot::channel();
        let state = match self.requests.send(Message { request, answer, _place: place }) {
            Ok(()) => State::Waits { answered, shared: Rc::clone(&self.shared) },
            Err(_) => State::Failed { error: Some(self.shared.error()) },
        };
        BufferResponse { state }
    }
}

impl<Request, F> Clone for Buffer<Request, F> {
    /// A handle without a place of its own.
    fn clone(&self) -> Buffer<Request, F> {
        Buffer { requests: self.requests.clone(), shared: Rc::clone(&self.shared), place: Place::None }
    }
}

impl<Request, F> fmt::Debug for Buffer<Request, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.shared.places.available_permits();
        f.debug_struct("Buffer").field("places", &places).finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Buffer`].
    ///
    /// # Examples
    /// As [`Buffer`].
    #[must_use = "a response does not come until it is awaited"]
    pub struct BufferResponse<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F> {
        Failed { error: Option<BoxError> },
        Waits { answered: oneshot::Receiver<Result<F, ServiceError>>, shared: Rc<Shared> },
        Called { #[pin] response: F },
    }
}

impl<T, E: Into<BoxError>, F: Future<Output = Result<T, E>>> Future for BufferResponse<F> {
    type Output = Result<T, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let response = match state.as_mut().project() {
                Projected::Failed { error } => {
                    return Poll::Ready(Err(error.take().expect("the response was polled after its end")));
                }
                Projected::Waits { answered, shared } => match ready!(Pin::new(answered).poll(cx)) {
                    Ok(Ok(response)) => response,
                    Ok(Err(failure)) => return Poll::Ready(Err(failure.into())),
                    Err(_) => return Poll::Ready(Err(shared.error())),
                },
                Projected::Called { response } => return response.poll(cx).map_err(Into::into),
            };
            state.set(State::Called { response });
        }
    }
}

impl<F> fmt::Debug for BufferResponse<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferResponse").finish_non_exhaustive()
    }
}

/// The service behind a [`Buffer`] failed to become ready, and is called no more. Its error is the source.
#[derive(Clone, Debug)]
pub struct ServiceError {
    inner: Arc<dyn Error + Send + Sync>,
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the service behind the buffer failed to become ready: {}", self.inner)
    }
}

impl Error for ServiceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.inner)
    }
}

/// The task behind a [`Buffer`] is no more: its loop has ended, it was aborted, or the service has panicked.
#[derive(Clone, Copy, Debug)]
pub struct Closed(());

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the task behind the buffer is no more: its loop has ended, it was aborted, or the service has panicked, \
             which is told on standard error",
        )
    }
}

impl Error for Closed {}
