//! A request on its way through the service: counted until its answer has ended, bounded in time until it has begun.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use ::http::header::{CONNECTION, HeaderValue};
use ::http::{Request, Response, StatusCode, Version};
use ::hyper::body::Incoming;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::watch::Watch;
use crate::time::{Sleep, sleep};

/// Any error, as the ecosystem passes it on.
pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// The service of one connection, as hyper has it.
pub(super) struct Answerer<S> {
    service: Rc<S>,
    watch: Rc<Watch>,
}

impl<S> Answerer<S> {
    pub(super) fn new(service: Rc<S>, watch: Rc<Watch>) -> Answerer<S> {
        Answerer { service, watch }
    }
}

impl<S, B> ::hyper::service::Service<Request<Incoming>> for Answerer<S>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone,
{
    type Response = Response<Answer<B>>;
    type Error = S::Error;
    type Future = Answering<S, S::Future, S::Error>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let has_body = !request.body().is_end_stream();
        self.watch.begins_answer(has_body);
        let is_second = request.version() >= Version::HTTP_2;
        let watch = Some(Counted(Rc::clone(&self.watch)));
        // Each request has a service of its own to be made ready, which as a rule it is: then the request is moved once.
        let mut service = S::clone(&self.service);
        let step = match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Step::Running { future: service.call(request) },
            Poll::Ready(Err(error)) => Step::Refused { error: Some(error) },
            Poll::Pending => Step::Preparing { service, request: Some(request) },
        };
        Answering { step, limit: None, has_body, is_second, watch }
    }
}

/// Counts as a request that is being answered.
struct Counted(Rc<Watch>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.ends_answer();
    }
}

pin_project! {
    /// The future of an answer's head.
    pub(super) struct Answering<S, F, E> {
        #[pin]
        step: Step<S, F, E>,
        limit: Option<Sleep>,
        has_body: bool,
        is_second: bool,
        watch: Option<Counted>,
    }
}

pin_project! {
    #[project = StepNow]
    enum Step<S, F, E> {
        Preparing { service: S, request: Option<Request<Incoming>> },
        Refused { error: Option<E> },
        Running { #[pin] future: F },
    }
}

impl<S, B> Future for Answering<S, S::Future, S::Error>
where
    S: Service<Request<Incoming>, Response = Response<B>>,
{
    type Output = Result<Response<Answer<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let answered = loop {
            match this.step.as_mut().project() {
                StepNow::Preparing { service, request } => match service.poll_ready(cx) {
                    Poll::Pending => break Poll::Pending,
                    Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                    Poll::Ready(Ok(())) => {
                        let request = request.take().expect("it is prepared once");
                        let future = service.call(request);
                        this.step.set(Step::Running { future });
                    }
                },
                StepNow::Refused { error } => {
                    break Poll::Ready(Err(error.take().expect("polled after it was answered")));
                }
                StepNow::Running { future } => break future.poll(cx),
            }
        };
        let counted = this.watch.as_ref().expect("polled after it was answered");
        let stops = counted.0.board().is_stopping() && !*this.is_second;
        let mut response = match answered {
            Poll::Ready(answered) => {
                let answered = answered?;
                let handed = Handed { watch: this.watch.take(), counts: *this.is_second, is_out: false };
                answered.map(|body| Answer { body: Some(body), handed })
            }
            Poll::Pending => {
                ready!(poll_limit(this.limit, *this.has_body, &counted.0, cx));
                let handed = Handed { watch: this.watch.take(), counts: *this.is_second, is_out: false };
                let mut late = Response::new(Answer { body: None, handed });
                *late.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                late
            }
        };
        // What is upgraded says `connection: upgrade`.
        if stops && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(Ok(response))
    }
}

/// Ready when the service has taken too long. Who still receives what it is to answer has the time anew with each part.
fn poll_limit(limit: &mut Option<Sleep>, has_body: bool, watch: &Watch, cx: &mut Context<'_>) -> Poll<()> {
    let Some(most) = watch.board().limits.request else { return Poll::Pending };
    // Armed only now: what is answered at once costs no timer.
    let sleep = limit.get_or_insert_with(|| sleep(most));
    loop {
        ready!(Pin::new(&mut *sleep).poll(cx));
        // What else the connection does is no reason to wait for a request that is there as a whole.
        let rested = if has_body { watch.at_rest_for() } else { most };
        match most.checked_sub(rested).filter(|left| !left.is_zero()) {
            None => {
                watch.board().late.set(watch.board().late.get() + 1);
                return Poll::Ready(());
            }
            Some(left) => {
                let due = sleep.deadline() + left;
                sleep.reset(due);
            }
        }
    }
}

pin_project! {
    /// A body, and that its request is being answered until it has ended. None is empty.
    pub(super) struct Answer<B> {
        #[pin]
        body: Option<B>,
        handed: Handed,
    }
}

/// Whether the client still has to take the last part of a body. Of HTTP/1 that is seen by the writes; of HTTP/2 the body is just not asked for more.
struct Handed {
    watch: Option<Counted>,
    counts: bool,
    is_out: bool,
}

impl Handed {
    fn set(&mut self, is_out: bool) {
        let Some(Counted(watch)) = self.watch.as_ref().filter(|_| self.counts) else { return };
        match (self.is_out, is_out) {
            (false, true) => watch.hands_over(),
            (true, false) => watch.is_taken(),
            _ => {}
        }
        self.is_out = is_out;
        watch.is_asked_for_more();
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        self.set(false);
    }
}

impl<B: Body> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        this.handed.set(false);
        let Some(body) = this.body.as_pin_mut() else { return Poll::Ready(None) };
        let frame = ready!(body.poll_frame(cx));
        this.handed.set(frame.is_some());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
