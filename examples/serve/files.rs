//! Which file a path means, and whether it may be seen.
//!
//! Small files are remembered with their bytes, and looked at again at most once a second, so that a busy server
//! does not ask the file system for each request. Large ones are opened for each: what is told of a file and what
//! is sent then come from the same one, also if another takes its name meanwhile.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use annulus::fs::{File, Metadata, OpenOptions, metadata, symlink_metadata};
use annulus::spawn_blocking;
use annulus::time::now;

use crate::listing;

/// Files up to this length, in bytes, are remembered with their bytes.
const SMALL: u64 = 64 * 1024;
/// How long what was found is believed.
const FRESH: Duration = Duration::from_secs(1);
/// How many are remembered, at most.
const REMEMBERED_MAX: usize = 512;

/// A directory whose files are served.
pub struct Files {
    root: PathBuf,
    remembered: RefCell<HashMap<String, (Instant, Rc<Found>)>>,
}

/// A file that may be seen.
pub struct Found {
    pub length: u64,
    pub modified: SystemTime,
    /// A strong entity tag: of what tells one version of a file from the next on its file system.
    pub tag: String,
    pub content_type: &'static str,
    /// The header lines that are the same in all answers for it, and the empty line after them.
    pub described: String,
    pub content: Content,
}

/// Where the bytes of a file are to be had.
pub enum Content {
    Bytes(Box<[u8]>),
    File(File),
}

/// What a path turned out to be.
pub enum Lookup {
    File(Rc<Found>),
    Page(String),
    /// A directory without its slash: relative links on its page would go astray.
    AddSlash,
    Refused(u16),
}

impl Files {
    /// Of a directory, by its real path.
    pub fn new(root: PathBuf) -> Files {
        Files { root, remembered: RefCell::default() }
    }

    /// Forgets what was found: all is looked up anew.
    pub fn forget(&self) {
        self.remembered.borrow_mut().clear();
    }

    /// A small file, if it was looked up just now.
    pub fn remembered(&self, path: &str) -> Option<Rc<Found>> {
        let mut remembered = self.remembered.borrow_mut();
        let (when, found) = remembered.get_mut(path)?;
        if now() - *when < FRESH {
            return Some(Rc::clone(found));
        }
        // Whoever comes first looks again. The others go on with what there is, rather than all look at once.
        *when = now();
        None
    }

    /// Looks a path up.
    pub async fn look_up(&self, path: &str) -> Lookup {
        let lookup = match self.find(path).await {
            Ok(found) => found,
            Err(error) => Lookup::Refused(status_of(&error)),
        };
        self.remember(path, &lookup);
        lookup
    }

    fn remember(&self, path: &str, lookup: &Lookup) {
        let mut remembered = self.remembered.borrow_mut();
        match lookup {
            Lookup::File(found) if matches!(found.content, Content::Bytes(_)) => {
                if remembered.len() >= REMEMBERED_MAX {
                    remembered.clear();
                }
                remembered.insert(path.to_owned(), (now(), Rc::clone(found)));
            }
            _ => drop(remembered.remove(path)),
        }
    }

    async fn find(&self, path: &str) -> io::Result<Lookup> {
        let Some(inside) = inside(path) else { return Ok(Lookup::Refused(403)) };
        let Some(real) = self.real(&inside).await? else { return Ok(Lookup::Refused(403)) };
        let found = metadata(&real).await?;
        if found.is_file() {
            // A file is no directory, whatever its name says.
            return if path.ends_with('/') { Ok(Lookup::Refused(404)) } else { file(&real).await };
        }
        if !found.is_dir() {
            // Opening a pipe or a device may block, and reading one may never end.
            return Ok(Lookup::Refused(403));
        }
        if !path.ends_with('/') {
            return Ok(Lookup::AddSlash);
        }
        if let Ok(Some(index)) = self.real(&inside.join("index.html")).await {
            if metadata(&index).await?.is_file() {
                return file(&index).await;
            }
        }
        let shown = path.to_owned();
        Ok(Lookup::Page(spawn_blocking(move || listing::page(&shown, &real)).await??))
    }

    /// Where a path under the root really leads; None if that is outside of it.
    async fn real(&self, inside: &Path) -> io::Result<Option<PathBuf>> {
        let mut real = self.root.clone();
        for part in inside.components().filter(|part| *part != Component::CurDir) {
            real.push(part);
            if symlink_metadata(&real).await?.is_symlink() {
                // Following links is a matter for std; most paths have none.
                let path = self.root.join(inside);
                let real = spawn_blocking(move || path.canonicalize()).await??;
                return Ok(real.starts_with(&self.root).then_some(real));
            }
        }
        Ok(Some(real))
    }
}

/// Opens a file, and says what it is.
async fn file(real_path: &Path) -> io::Result<Lookup> {
    // It may have become something else since it was looked at: a link, or a pipe, whose other end is not waited for.
    let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(real_path).await?;
    let metadata = file.metadata().await?;
    if !metadata.is_file() {
        return Ok(Lookup::Refused(403));
    }
    let (length, modified, tag) = (metadata.len(), metadata.modified(), tag(&metadata));
    let content = if length <= SMALL {
        let (result, bytes) = file.read_exact_at(vec![0; length as usize].into_boxed_slice(), 0).await;
        // A file that shrinks meanwhile: sending it will find out.
        if result.is_ok() { Content::Bytes(bytes) } else { Content::File(file) }
    } else {
        Content::File(file)
    };
    Ok(Lookup::File(Rc::new(Found {
        described: format!(
            "ETag: {tag}\r\nLast-Modified: {}\r\nAccept-Ranges: bytes\r\n\r\n",
            httpdate::fmt_http_date(modified)
        ),
        content_type: content_type(real_path),
        length,
        modified,
        tag,
        content,
    })))
}

/// The path under the root. None if it leads out, or is meant to.
fn inside(path: &str) -> Option<PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    let plain = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    relative.components().all(|part| plain(&part)).then(|| relative.to_owned())
}

fn tag(metadata: &Metadata) -> String {
    let modified = metadata.modified().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("\"{:x}-{:x}-{:x}\"", metadata.ino(), metadata.len(), modified.as_nanos())
}

fn status_of(error: &io::Error) -> u16 {
    match error.kind() {
        io::ErrorKind::PermissionDenied => 403,
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => 404,
        _ => match error.raw_os_error() {
            Some(libc::ELOOP | libc::ENXIO) => 403,
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => 503,
            _ => 500,
        },
    }
}

fn content_type(path: &Path) -> &'static str {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "md" | "rs" | "toml" | "lock" | "log" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "xml" => "text/xml; charset=utf-8",
        "json" => "application/json",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        "gz" => "application/gzip",
        "zip" => "application/zip",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_under_the_root() {
        assert_eq!(inside("/a/b"), Some("a/b".into()));
        assert_eq!(inside("//a"), Some("a".into()));
        for way_out in ["/..", "/a/../b", "/a/..", "/../../etc/passwd"] {
            assert_eq!(inside(way_out), None, "{way_out}");
        }
    }
}
