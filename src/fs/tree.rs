//! Directories with what is above them, and with what is in them.

use std::io;
use std::path::{Path, PathBuf};

use super::{Dir, metadata, symlink_metadata};
use crate::op::path::At;
use crate::op::{Mkdir, Submitted};

/// How a directory is made; as [`std::fs::DirBuilder`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("a/b");
/// annulus::run(async {
///     annulus::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).await?;
///     assert_eq!(annulus::fs::metadata(&path).await?.mode() & 0o777, 0o700);
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DirBuilder {
    recursive: bool,
    mode: u32,
}

impl Default for DirBuilder {
    fn default() -> DirBuilder {
        DirBuilder::new()
    }
}

impl DirBuilder {
    /// One directory, in one that is there, with the permissions 0o777 less the umask.
    pub fn new() -> DirBuilder {
        DirBuilder { recursive: false, mode: 0o777 }
    }

    /// Whether those above it are made as well; then it is no error if it is there.
    pub fn recursive(&mut self, yes: bool) -> &mut DirBuilder {
        self.recursive = yes;
        self
    }

    /// The permissions, before the umask.
    pub fn mode(&mut self, mode: u32) -> &mut DirBuilder {
        self.mode = mode;
        self
    }

    /// Makes it.
    ///
    /// # Errors
    /// Those of mkdir(2).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, in part or not at all.
    pub async fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        if !self.recursive {
            return self.make(path).await;
        }
        // Up to the first that is there or can be made, and down again.
        let mut missing = Vec::new();
        let mut at = Some(path).filter(|path| !path.as_os_str().is_empty());
        while let Some(path) = at {
            match self.make_or_find(path).await {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(path),
                Err(error) => return Err(error),
            }
            at = path.parent().filter(|above| !above.as_os_str().is_empty());
            if at.is_none() {
                return Err(io::Error::from_raw_os_error(libc::ENOENT));
            }
        }
        for path in missing.into_iter().rev() {
            self.make_or_find(path).await?;
        }
        Ok(())
    }

    async fn make(&self, path: &Path) -> io::Result<()> {
        Submitted::new(Mkdir::new(At::here(path)?, self.mode)).await
    }

    async fn make_or_find(&self, path: &Path) -> io::Result<()> {
        match self.make(path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // Whatever the reason is not to make it: it is there.
                let is_there = metadata(path).await.is_ok_and(|found| found.is_dir());
                if is_there { Ok(()) } else { Err(error) }
            }
            result => result,
        }
    }
}

/// Makes a directory and those above it that are missing. It is no error if it is there.
///
/// # Errors
/// Those of mkdir(2).
///
/// # Cancel safety
/// After dropping it, it may have been done, in part or not at all.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("a/b/c");
/// annulus::run(annulus::fs::create_dir_all(&path))??;
/// assert!(path.is_dir());
/// # Ok(())
/// # }
/// ```
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(path).await
}

/// Removes a directory and all that is in it. A symbolic link is removed and not followed, also if somebody puts it there
/// meanwhile; if the path itself is one, it alone is removed.
///
/// However deep it is, it takes two descriptors.
///
/// # Errors
/// Those of open(2), getdents(2), unlink(2) and rmdir(2); what was removed before stays so. `Other` if a directory was moved
/// away while it was in it.
///
/// # Cancel safety
/// After dropping it, a part may be removed.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("a");
/// annulus::run(async {
///     annulus::fs::create_dir_all(path.join("b/c")).await?;
///     annulus::fs::remove_dir_all(&path).await?;
///     assert!(!annulus::fs::try_exists(&path).await?);
///     Ok(())
/// })?
/// # }
/// ```
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    if symlink_metadata(path).await?.is_symlink() {
        return super::remove_file(path).await;
    }
    empty(Dir::open(path).await?).await?;
    super::remove_dir(path).await
}

/// A directory above the one that is being emptied: how to know it again, the name of the one below, and what is left to do.
struct Above {
    identity: (u64, u64),
    below: PathBuf,
    directories: Vec<PathBuf>,
}

async fn empty(top: Dir) -> io::Result<()> {
    let mut above: Vec<Above> = Vec::new();
    let mut directories = remove_files(&top).await?;
    let mut current = top;
    loop {
        if let Some(below) = directories.pop() {
            let next = current.descend(&below).await?;
            let identity = identity(&current).await?;
            above.push(Above { identity, below, directories });
            current = next;
            directories = remove_files(&current).await?;
            continue;
        }
        let Some(back) = above.pop() else { return Ok(()) };
        // Not kept open on the way down, so that depth costs no descriptors.
        let parent = current.descend(Path::new("..")).await?;
        if identity(&parent).await? != back.identity {
            return Err(io::Error::other("a directory was moved away while what was in it was removed"));
        }
        parent.remove_dir(&back.below).await?;
        current = parent;
        directories = back.directories;
    }
}

async fn identity(directory: &Dir) -> io::Result<(u64, u64)> {
    let metadata = directory.dir_metadata().await?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Removes what is no directory, and gives the names of those that are.
async fn remove_files(directory: &Dir) -> io::Result<Vec<PathBuf>> {
    let mut directories = Vec::new();
    let mut names = Vec::new();
    let mut entries = directory.read_dir().await?;
    while let Some(entry) = entries.next_entry().await? {
        let list = if entry.file_type().await?.is_dir() { &mut directories } else { &mut names };
        list.push(PathBuf::from(entry.file_name()));
    }
    for name in names {
        match directory.remove_file(&name).await {
            // Somebody else was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok(directories)
}
