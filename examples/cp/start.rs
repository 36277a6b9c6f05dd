//! What goes where. A tree is not copied into itself: that would not end.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use annulus::fs::{self, Dir, Metadata};

use crate::batch::Entry;
use crate::folder::{Ends, Folder};
use crate::tally::Failure;
use crate::walk::{Walk, Work};

/// Puts the first pieces of work into the queue.
pub async fn begin(walk: &Rc<Walk>, sources: &[PathBuf], target: &Path) {
    let into = fs::metadata(target).await.is_ok_and(|metadata| metadata.is_dir());
    if sources.len() > 1 && !into {
        let error =
            io::Error::new(io::ErrorKind::NotADirectory, "several are copied into a directory that is there");
        return walk.tally.fail(Failure::new(target, error));
    }
    let mut taken = HashSet::new();
    for source in sources {
        let result = match taken.insert(split(source).1) {
            true => put(walk, source, target, into).await,
            false => Err(Failure::new(
                source,
                io::Error::other("another one of that name is copied there already"),
            )),
        };
        result.unwrap_or_else(|failure| walk.tally.fail(failure));
    }
}

async fn put(walk: &Walk, source: &Path, target: &Path, into: bool) -> Result<(), Failure> {
    let (from, name) = split(source);
    let (target_path, to) = match into {
        true => (target, name),
        false => split(target),
    };
    let at_source = |error| Failure::new(source, error);
    let at_target = |error| Failure::new(target, error);
    let above = open(from).await.map_err(at_source)?;
    let metadata = above.symlink_metadata(name).await.map_err(at_source)?;
    let below = open(target_path).await.map_err(at_target)?;
    if metadata.is_dir() && is_within(&below, to, &metadata).await.map_err(at_target)? {
        let text = format!("it is not copied into itself: {target:?} is in it");
        return Err(at_source(io::Error::new(io::ErrorKind::InvalidInput, text)));
    }
    let duplicate =
        |directory: &Dir| directory.with_fd(|fd| fd.try_clone_to_owned()).and_then(|result| result);
    let ends = Ends {
        source: duplicate(&above).map_err(at_source)?,
        target: duplicate(&below).map_err(at_target)?,
        source_path: from.to_owned(),
        target_path: target_path.to_owned(),
    };
    let folder = Rc::new(Folder { source: above, ends: Arc::new(ends), finish: None, above: None });
    let (name, to, kind) = (name.to_owned(), to.to_owned(), metadata.file_type());
    walk.queue.put(match kind.is_dir() {
        true => Work::Enter(folder, name, to),
        false => Work::Batch(folder, vec![Entry { name, to, kind }]),
    });
    Ok(())
}

/// The directory, which is the current one if it is empty, and the name in it; of what has none, like `..`, itself.
fn split(path: &Path) -> (&Path, &Path) {
    match path.file_name() {
        None => (path, Path::new(".")),
        Some(name) => (path.parent().unwrap_or(Path::new("")), Path::new(name)),
    }
}

async fn open(path: &Path) -> io::Result<Dir> {
    Dir::open(if path.as_os_str().is_empty() { Path::new(".") } else { path }).await
}

/// Whether `to` in this directory is the tree, or is below it. Goes up from where it will be, since links and other names of a
/// directory make paths a poor witness.
async fn is_within(directory: &Dir, to: &Path, tree: &Metadata) -> io::Result<bool> {
    let same = |one: &Metadata, other: &Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    if directory.symlink_metadata(to).await.is_ok_and(|there| same(&there, tree)) {
        return Ok(true);
    }
    let mut current = directory.clone();
    loop {
        let here = current.dir_metadata().await?;
        if same(&here, tree) {
            return Ok(true);
        }
        let above = current.open_dir("..").await?;
        // The root is above itself.
        if same(&above.dir_metadata().await?, &here) {
            return Ok(false);
        }
        current = above;
    }
}
