//! What happens to the notes, as server-sent events. axum's own keep-alive is by tokio's clock; here it is the loop's.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use annulus::sync::broadcast::RecvError;
use annulus::task::LocalSend;
use annulus::time::timeout;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures_util::stream;

use super::notes::Change;
use super::{App, Shared};

pub async fn stream(State(app): State<Arc<Shared>>) -> impl IntoResponse {
    let app: Rc<App> = Rc::clone(&**app);
    let changes = app.events.subscribe();
    let events = stream::unfold((app, changes, true), |(app, mut changes, is_first)| async move {
        if is_first {
            return Some((Ok(Event::default().event("hello").data("")), (app, changes, false)));
        }
        let next = timeout(app.beat, changes.recv());
        let event = annulus::select! {
            () = app.stop.cancelled() => return None,
            next = next => match next {
                Err(_) => Event::default().comment("still here"),
                Ok(Ok(Change::Added(note))) => Event::default().event("added").json_data(note).expect("notes are JSON"),
                Ok(Ok(Change::Removed(id))) => Event::default().event("removed").data(id.to_string()),
                // Who reads more slowly than things happen asks for the list again.
                Ok(Err(RecvError::Lagged(missed))) => Event::default().event("missed").data(missed.to_string()),
                Ok(Err(RecvError::Closed)) => return None,
            },
        };
        Some((Ok::<_, Infallible>(event), (app, changes, false)))
    });
    Sse::new(LocalSend::new(Box::pin(events)))
}
