//! Files of a folder, read by the ring, block by block. A path cannot lead out of the folder: the kernel sees to it.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use annulus::fs::File;
use annulus::task::{LocalSend, local};
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::{App, Shared};

const BLOCK: usize = 64 << 10;

pub async fn file(State(app): State<Arc<Shared>>, Path(path): Path<String>) -> Response {
    let app: LocalSend<Rc<App>> = LocalSend::new(Rc::clone(&**app));
    local(async move {
        match open(&app, &path).await {
            Ok(answer) => answer,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                StatusCode::FORBIDDEN.into_response()
            }
            // One that would lead out of the folder, too.
            Err(_) => (StatusCode::NOT_FOUND, format!("there is no file {path}\n")).into_response(),
        }
    })
    .await
}

async fn open(app: &App, path: &str) -> io::Result<Response> {
    let folder = app.files.as_ref().ok_or(io::ErrorKind::NotFound)?;
    let file = folder.open_file(path).await?;
    let metadata = file.metadata().await?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let headers = [
        (header::CONTENT_TYPE, kind(path).to_owned()),
        (header::CONTENT_LENGTH, metadata.len().to_string()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, body(file, metadata.len())).into_response())
}

/// As many bytes as were promised: a file that has become shorter is an error, and one that grows ends all the same.
fn body(file: File, length: u64) -> Body {
    let blocks = stream::try_unfold((file, 0), move |(file, done)| async move {
        let left = length - done;
        if left == 0 {
            return Ok(None);
        }
        let room = Vec::with_capacity(left.min(BLOCK as u64) as usize);
        let (result, block) = file.read_at(room, done).await;
        match result? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            count => Ok(Some((Bytes::from(block), (file, done + count as u64)))),
        }
    });
    Body::from_stream(LocalSend::new(Box::pin(blocks)))
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css",
        "js" => "text/javascript",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
