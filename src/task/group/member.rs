//! A task's future in a group: what it fails by is the group's, and its end is told when all of it is gone.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::roll::Place;
use super::{Failure, Shared};

pin_project! {
    pub(super) struct Member<F, E> {
        #[pin]
        future: Option<F>,
        shared: Rc<Shared<E>>,
        place: Place,
    }

    impl<F, E> PinnedDrop for Member<F, E> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| this.future.set(None))) {
                this.shared.fail(Failure::Panic(panic));
            }
            this.shared.roll.leave(*this.place);
        }
    }
}

impl<F, E> Member<F, E> {
    pub(super) fn new(future: F, shared: Rc<Shared<E>>, place: Place) -> Member<F, E> {
        Member { future: Some(future), shared, place }
    }
}

impl<V, E, F: Future<Output = Result<V, E>>> Future for Member<F, E> {
    type Output = V;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<V> {
        let this = self.project();
        let future = this.future.as_pin_mut().expect("it is there until this is dropped");
        let polled = this.shared.roll.within(|| catch_unwind(AssertUnwindSafe(|| future.poll(cx))));
        let failure = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(value))) => return Poll::Ready(value),
            Ok(Poll::Ready(Err(error))) => Failure::Error(error),
            Err(panic) => Failure::Panic(panic),
        };
        // There is no value: this one is aborted with the others, also while it runs.
        this.shared.fail(failure);
        Poll::Pending
    }
}
