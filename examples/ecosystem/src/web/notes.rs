//! Notes in memory, as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::Shared;

const NOTES_MAX: usize = 1000;
const TEXT_MAX: usize = 10_000;

#[derive(Clone, Serialize)]
pub struct Note {
    id: u64,
    text: String,
}

#[derive(Deserialize)]
pub struct NewNote {
    text: String,
}

/// What `/events` tells.
#[derive(Clone)]
pub enum Change {
    Added(Note),
    Removed(u64),
}

#[derive(Default)]
pub struct Notes {
    all: BTreeMap<u64, Note>,
    next: u64,
}

type App = State<Arc<Shared>>;

pub async fn list(State(app): App) -> Json<Vec<Note>> {
    Json(app.notes.borrow().all.values().cloned().collect())
}

pub async fn one(State(app): App, Path(id): Path<u64>) -> Response {
    match app.notes.borrow().all.get(&id) {
        Some(note) => Json(note.clone()).into_response(),
        None => refused(StatusCode::NOT_FOUND, format!("there is no note {id}")),
    }
}

pub async fn add(State(app): App, Json(new): Json<NewNote>) -> Response {
    if new.text.len() > TEXT_MAX {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, format!("a note has at most {TEXT_MAX} bytes"));
    }
    let mut notes = app.notes.borrow_mut();
    if notes.all.len() >= NOTES_MAX {
        return refused(
            StatusCode::INSUFFICIENT_STORAGE,
            format!("there are {NOTES_MAX} notes: remove one first"),
        );
    }
    notes.next += 1;
    let note = Note { id: notes.next, text: new.text };
    notes.all.insert(note.id, note.clone());
    // Nobody listens, as often as not.
    let _ = app.events.send(Change::Added(note.clone()));
    let place = [("location", format!("/api/notes/{}", note.id))];
    (StatusCode::CREATED, place, Json(note)).into_response()
}

pub async fn remove(State(app): App, Path(id): Path<u64>) -> Response {
    if app.notes.borrow_mut().all.remove(&id).is_none() {
        return refused(StatusCode::NOT_FOUND, format!("there is no note {id}"));
    }
    let _ = app.events.send(Change::Removed(id));
    StatusCode::NO_CONTENT.into_response()
}

fn refused(status: StatusCode, reason: String) -> Response {
    (status, Json(serde_json::json!({ "error": reason }))).into_response()
}
