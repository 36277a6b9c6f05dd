//! What `axum_app` serves: notes as JSON, events of them, a chat by WebSocket, files. Handlers have to be `Send` for axum and what they
//! use here is not: [`LocalSend`] and [`local`](annulus::task::local) are between the two.

pub mod chat;
mod events;
mod files;
mod notes;
mod socket;
mod upgraded;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use annulus::CancelToken;
use annulus::fs::Dir;
use annulus::sync::broadcast;
use annulus::task::LocalSend;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse, Redirect};
use axum::routing::get;

/// What the handlers share. All on one loop, so nothing in it is atomic or locked.
pub struct App {
    notes: RefCell<notes::Notes>,
    events: broadcast::Sender<notes::Change>,
    pub chat: chat::Room,
    /// The folder of `/static/`.
    files: Option<Dir>,
    /// When it is cancelled, what would go on for ever ends.
    pub stop: CancelToken,
    /// After how long a silence something is said on streams that are kept open.
    beat: Duration,
}

/// As axum's state wants it.
pub type Shared = LocalSend<Rc<App>>;

impl App {
    pub fn new(files: Option<Dir>, beat: Duration) -> Rc<App> {
        Rc::new(App {
            notes: RefCell::default(),
            events: broadcast::channel(64).0,
            chat: chat::Room::new(),
            files: files.map(Dir::confined),
            stop: CancelToken::new(),
            beat,
        })
    }
}

pub fn router(app: &Rc<App>) -> Router {
    let shared = || LocalSend::new(Rc::clone(app));
    let shared = std::sync::Arc::new(shared());
    Router::new()
        .route("/", get(async || Redirect::to("/chat")))
        .route("/chat", get(async || page(include_str!("chat.html"))))
        .route("/chat/test", get(async || page(include_str!("test.html"))))
        .route("/api/notes", get(notes::list).post(notes::add))
        .route("/api/notes/{id}", get(notes::one).delete(notes::remove))
        .route("/events", get(events::stream))
        .route("/ws", get(socket::open))
        .route("/static/{*path}", get(files::file))
        .with_state(shared)
}

/// A page that loads nothing from elsewhere, and could not.
fn page(text: &'static str) -> impl IntoResponse {
    let policy: (HeaderName, HeaderValue) = (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; frame-src 'self'",
        ),
    );
    ([policy], Html(text))
}
