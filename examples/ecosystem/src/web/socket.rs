//! The opening of a WebSocket: RFC 6455, 4.2, by hand, for axum's own wants tokio's tasks.

use std::rc::Rc;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::upgraded::Upgraded;
use super::{App, Shared, chat};

/// Whether a header that is a list has this word.
fn has(headers: &HeaderMap, name: header::HeaderName, word: &str) -> bool {
    let mut words = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    words.any(|found| found.trim().eq_ignore_ascii_case(word))
}

/// A page of another site may open a WebSocket to this one: what a browser says of that is believed.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else {
        return false;
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    origin.split_once("://").is_none_or(|(_, origin)| origin != host)
}

pub async fn open(State(app): State<Arc<Shared>>, mut request: Request) -> Response {
    let headers = request.headers();
    let is_asked = request.version() == Version::HTTP_11
        && has(headers, header::CONNECTION, "upgrade")
        && has(headers, header::UPGRADE, "websocket");
    if !is_asked {
        let asks = [(header::UPGRADE, "websocket")];
        return (StatusCode::UPGRADE_REQUIRED, asks, "this is a WebSocket, by HTTP/1.1\n").into_response();
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        let knows = [(header::SEC_WEBSOCKET_VERSION, "13")];
        return (StatusCode::BAD_REQUEST, knows, "this knows version 13\n").into_response();
    }
    if is_from_elsewhere(headers) {
        return (StatusCode::FORBIDDEN, "another site's pages have no place here\n").into_response();
    }
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24) else {
        return (StatusCode::BAD_REQUEST, "there is no key\n").into_response();
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    let app: Rc<App> = Rc::clone(&**app);
    drop(annulus::spawn(async move {
        // None if the client went away before.
        let Ok(upgraded) = upgrade.await else { return };
        let limits = WebSocketConfig::default()
            .max_message_size(Some(chat::MESSAGE_MAX))
            .max_frame_size(Some(chat::MESSAGE_MAX));
        let socket = WebSocketStream::from_raw_socket(Upgraded(upgraded), Role::Server, Some(limits)).await;
        chat::join(app, socket).await;
    }));
    let answers = [
        (header::CONNECTION, "upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, answers).into_response()
}
