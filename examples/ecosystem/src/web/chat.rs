//! A chat: text goes to all, bytes go back to who sent them. Who is silent is asked whether he is there, and who does not answer, does not
//! read, or has closed one half of his connection, is let go.

use std::cell::Cell;
use std::rc::Rc;

use annulus::sync::broadcast::RecvError;
use annulus::sync::{Notify, broadcast};
use annulus::time::{now, sleep_until, timeout};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::App;
use super::upgraded::Upgraded;

/// No message is longer.
pub const MESSAGE_MAX: usize = 2 << 20;
/// No text that goes to all is longer: it is held for those who read slowly.
const TEXT_MAX: usize = 64 << 10;
/// So many messages are held for those who read slowly; older ones they miss, and are told how many.
const HELD_MAX: usize = 64;

pub struct Room {
    said: broadcast::Sender<Utf8Bytes>,
    members: Cell<usize>,
    left: Notify,
}

/// Counts as a member.
struct Member(Rc<App>);

impl Drop for Member {
    fn drop(&mut self) {
        let room = &self.0.chat;
        room.members.set(room.members.get() - 1);
        room.left.notify_waiters();
    }
}

impl Room {
    pub(super) fn new() -> Room {
        Room { said: broadcast::channel(HELD_MAX).0, members: Cell::new(0), left: Notify::new() }
    }

    /// Waits until all have gone, which they do once the app stops.
    pub async fn is_empty(&self) {
        while self.members.get() > 0 {
            self.left.notified().await;
        }
    }
}

type Socket = WebSocketStream<Upgraded>;

/// How it ended: with what is said to the client at last.
type Ended = Option<(CloseCode, &'static str)>;

pub(super) async fn join(app: Rc<App>, mut socket: Socket) {
    app.chat.members.set(app.chat.members.get() + 1);
    let member = Member(Rc::clone(&app));
    if let Some((code, reason)) = talk(&app, &mut socket).await {
        let _ = timeout(app.beat, goodbye(&mut socket, code, reason)).await;
    }
    drop(member);
}

/// Says why it ends, and hears the same. What is on its way all the same is read: closed before, the connection would be reset, and the reason lost.
async fn goodbye(socket: &mut Socket, code: CloseCode, reason: &'static str) {
    let _ = socket.close(Some(CloseFrame { code, reason: reason.into() })).await;
    while let Some(Ok(_)) = socket.next().await {}
    let connection = socket.get_mut();
    let _ = connection.shutdown().await;
    let mut room = vec![0; 16 << 10];
    while connection.read(&mut room).await.is_ok_and(|count| count > 0) {}
}

async fn talk(app: &App, socket: &mut Socket) -> Ended {
    let mut said = app.chat.said.subscribe();
    // From when it was last heard of, however much others say meanwhile.
    let (mut due, mut is_asked) = (now() + app.beat, false);
    loop {
        let answer = annulus::select! {
            () = app.stop.cancelled() => return Some((CloseCode::Away, "the server stops")),
            heard = socket.next() => {
                (due, is_asked) = (now() + app.beat, false);
                match heard {
                    Some(Ok(Message::Text(text))) if text.len() > TEXT_MAX => {
                        return Some((CloseCode::Size, "a text has at most 64 KiB"));
                    }
                    Some(Ok(Message::Text(text))) => {
                        let _ = app.chat.said.send(text);
                        continue;
                    }
                    Some(Ok(Message::Binary(bytes))) => Message::Binary(bytes),
                    // tungstenite answers pings and closes by itself, with what is sent next, and here it is.
                    Some(Ok(_)) => {
                        if timeout(app.beat, socket.flush()).await.is_err() {
                            return None;
                        }
                        continue;
                    }
                    Some(Err(Error::Capacity(_))) => return Some((CloseCode::Size, "a message has at most 2 MiB")),
                    Some(Err(Error::Utf8(_))) => return Some((CloseCode::Invalid, "text is UTF-8")),
                    Some(Err(Error::Protocol(_))) => return Some((CloseCode::Protocol, "that is no WebSocket")),
                    // The end, or half of it.
                    Some(Err(_)) | None => return None,
                }
            },
            heard = said.recv() => match heard {
                Ok(text) => Message::Text(text),
                Err(RecvError::Lagged(missed)) => Message::text(format!("({missed} messages were missed)")),
                Err(RecvError::Closed) => return None,
            },
            () = sleep_until(due) => {
                due = now() + app.beat;
                if std::mem::replace(&mut is_asked, true) {
                    return Some((CloseCode::Policy, "nobody answers"));
                }
                Message::Ping(Default::default())
            },
        };
        // A client that does not read holds up nobody, and not for ever itself.
        match timeout(app.beat, socket.send(answer)).await {
            Ok(Ok(())) => {}
            _ => return None,
        }
    }
}
