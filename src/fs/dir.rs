//! Directories that are open: names are walked from there, wherever the directory is moved to.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::names::{of_bytes, stat};
use super::read_dir::open_directory;
use super::{File, Metadata, OpenOptions, ReadDir, RenameFlags};
use crate::driver::Descriptor;
use crate::op::path::{self, At};
use crate::op::{self, Fsync, Link, Mkdir, Readlink, Rename, Submitted, Symlink, Unlink};
use crate::sys;

/// An open directory. Paths are walked from it, so that nothing is mistaken when somebody moves it, or puts something else
/// where it was.
///
/// A [confined](Self::confined) one is not left: neither by `..`, nor by a symbolic link, nor by a path from the root.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::fs::Dir;
///
/// # let directory = tempfile::tempdir()?;
/// # let uploads = directory.path().to_owned();
/// # if cfg!(not(target_os = "linux")) { return Ok(()) }
/// annulus::run(async {
///     let uploads = Dir::open(uploads).await?.confined();
///     uploads.create_dir("ada").await?;
///     let file = uploads.create("ada/note").await?;
///     file.write_all_at("text", 0).await.0?;
///     assert_eq!(uploads.metadata("ada/note").await?.len(), 4);
///     assert!(uploads.open_file("../../etc/passwd").await.is_err());
///     Ok(())
/// })?
/// # }
/// ```
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::fs::{Dir, OpenOptions, RenameFlags};
///
/// annulus::run(async {
/// #     let directory = tempfile::tempdir()?;
/// #     annulus::fs::create_dir_all(directory.path()).await?;
/// #     let path = directory.path();
///
///     let dir = Dir::open(path).await?;
///     let file = dir.open_with(OpenOptions::new().write(true).create_new(true), "note").await?;
///     file.write_all_at("a note", 0).await.0?;
///     dir.hard_link("note", &dir, "copy").await?;
///     dir.symlink("note", "pointer").await?;
///     assert_eq!(dir.read_link("pointer").await?, std::path::Path::new("note"));
///     assert!(dir.symlink_metadata("pointer").await?.is_symlink());
///     dir.rename("copy", &dir, "old note", RenameFlags::Replace).await?;
///     dir.create_dir("drawer").await?;
///     let drawer = dir.open_dir("drawer").await?;
///     assert!(drawer.dir_metadata().await?.is_dir());
///
///     let mut names = Vec::new();
///     let mut entries = dir.read_dir().await?;
///     while let Some(entry) = entries.next_entry().await? {
///         names.push(entry.file_name().to_owned());
///     }
///     assert_eq!(names.len(), 4);
///     dir.remove_file("pointer").await?;
///     dir.remove_dir("drawer").await?;
///     dir.sync().await?; // the names are on the disk
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Clone)]
pub struct Dir {
    directory: Descriptor,
    is_confined: bool,
    /// As it was opened by; for texts, and for the paths of entries.
    path: PathBuf,
}

/// Where a call on a name is made: in a directory, and there by this name.
struct Place {
    directory: Descriptor,
    name: PathBuf,
}

impl Place {
    fn at(&self) -> io::Result<At> {
        At::within(&self.directory, &self.name)
    }
}

impl Dir {
    /// Opens a directory.
    ///
    /// # Errors
    /// Those of open(2): `NotADirectory`.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Dir> {
        let path = path.as_ref();
        let directory = open_directory(At::here(path)?, 0).await?;
        Ok(Dir { directory, is_confined: false, path: path.to_owned() })
    }

    /// From now on no path leads out of it: one that would is an error, `CrossesDevices`. Linux 5.6: RESOLVE_BENEATH in
    /// openat2(2); elsewhere what opens something says `Unsupported`.
    #[must_use]
    pub fn confined(self) -> Dir {
        Dir { is_confined: true, ..self }
    }

    /// Opens a file in it for reading.
    ///
    /// # Errors
    /// Those of openat(2), or openat2(2) if it is confined.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    pub async fn open_file(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.open_with(OpenOptions::new().read(true), path).await
    }

    /// Opens a file in it for writing, making it if it is not there and emptying it if it is.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened; the file may have been made, or emptied.
    pub async fn create(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.open_with(OpenOptions::new().write(true).create(true).truncate(true), path).await
    }

    /// Opens a file in it by these options.
    ///
    /// # Errors
    /// As [`OpenOptions::open`].
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened; the file may have been made, or emptied.
    pub async fn open_with(&self, options: &OpenOptions, path: impl AsRef<Path>) -> io::Result<File> {
        self.open_by(options, path.as_ref()).await.map(File::new)
    }

    async fn open_by(&self, options: &OpenOptions, path: &Path) -> io::Result<Descriptor> {
        let at = At::within(&self.directory, path)?;
        if self.is_confined { options.open_beneath(at).await } else { options.open_at(at).await }
    }

    /// Opens a directory in it, confined if this one is.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file).
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    pub async fn open_dir(&self, path: impl AsRef<Path>) -> io::Result<Dir> {
        let path = path.as_ref();
        let directory =
            self.open_by(OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY), path).await?;
        Ok(Dir { directory, is_confined: self.is_confined, path: self.path.join(path) })
    }

    /// Where a name is given or taken. If it is confined, the way there is opened first, and only the last step is left.
    async fn place(&self, path: &Path) -> io::Result<Place> {
        if !self.is_confined {
            return Ok(Place { directory: self.directory.clone(), name: path.to_owned() });
        }
        let Some(Component::Normal(name)) = path.components().next_back() else {
            return Err(io::Error::from_raw_os_error(libc::EXDEV));
        };
        // A slash or a dot behind it, which std does not count, is asked of the kernel.
        let bytes = path.as_os_str().as_bytes();
        let behind = bytes.len() - bytes.iter().rev().take_while(|byte| matches!(byte, b'/' | b'.')).count();
        let slash = if bytes[behind..].contains(&b'/') { "/" } else { "" };
        let mut last = name.to_owned();
        last.push(slash);
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        let directory = match above {
            Some(above) => self.open_dir(above).await?.directory,
            None => self.directory.clone(),
        };
        Ok(Place { directory, name: PathBuf::from(last) })
    }

    /// What the file system knows of what the path leads to.
    ///
    /// # Errors
    /// Those of statx(2); if it is confined, as [`open_file`](Self::open_file).
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    pub async fn metadata(&self, path: impl AsRef<Path>) -> io::Result<Metadata> {
        let path = path.as_ref();
        match self.is_confined {
            true => {
                File::new(self.open_by(OpenOptions::new().read(true).custom_flags(SEEN_ONLY), path).await?)
                    .metadata()
                    .await
            }
            false => stat(At::within(&self.directory, path)?, 0).await,
        }
    }

    /// What the file system knows of the path itself, which may be a symbolic link.
    ///
    /// # Errors
    /// As [`metadata`](Self::metadata).
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    pub async fn symlink_metadata(&self, path: impl AsRef<Path>) -> io::Result<Metadata> {
        stat(self.place(path.as_ref()).await?.at()?, libc::AT_SYMLINK_NOFOLLOW).await
    }

    /// Makes a directory in it.
    ///
    /// # Errors
    /// Those of mkdirat(2).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    pub async fn create_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        Submitted::new(Mkdir::new(self.place(path.as_ref()).await?.at()?, 0o777)).await
    }

    /// Removes a file's name.
    ///
    /// # Errors
    /// Those of unlinkat(2).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    pub async fn remove_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        Submitted::new(Unlink::new(self.place(path.as_ref()).await?.at()?, 0)).await
    }

    /// Removes an empty directory in it.
    ///
    /// # Errors
    /// Those of unlinkat(2).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    pub async fn remove_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        Submitted::new(Unlink::new(self.place(path.as_ref()).await?.at()?, libc::AT_REMOVEDIR)).await
    }

    /// Gives a file another name, in this directory or in another one.
    ///
    /// # Errors
    /// As [`rename_with`](super::rename_with).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    pub async fn rename(
        &self,
        from: impl AsRef<Path>,
        directory: &Dir,
        to: impl AsRef<Path>,
        flags: RenameFlags,
    ) -> io::Result<()> {
        let (from, to) = (self.place(from.as_ref()).await?, directory.place(to.as_ref()).await?);
        Submitted::new(Rename::new(from.at()?, to.at()?, flags.bits())).await
    }

    /// Gives a file one more name, in this directory or in another one.
    ///
    /// # Errors
    /// Those of linkat(2).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    pub async fn hard_link(
        &self,
        original: impl AsRef<Path>,
        directory: &Dir,
        link: impl AsRef<Path>,
    ) -> io::Result<()> {
        let (from, to) = (self.place(original.as_ref()).await?, directory.place(link.as_ref()).await?);
        Submitted::new(Link::new(from.at()?, to.at()?)).await
    }

    /// Makes a symbolic link in it. Where that points to is not looked at, also if it is confined: whoever follows it is.
    ///
    /// # Errors
    /// Those of symlinkat(2).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    pub async fn symlink(&self, original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
        let target = path::of(original.as_ref())?;
        Submitted::new(Symlink::new(target, self.place(link.as_ref()).await?.at()?)).await
    }

    /// Where a symbolic link in it points to.
    ///
    /// # Errors
    /// Those of readlinkat(2).
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    pub async fn read_link(&self, path: impl AsRef<Path>) -> io::Result<PathBuf> {
        Submitted::new(Readlink::new(self.place(path.as_ref()).await?.at()?)).await.map(of_bytes)
    }

    /// The names in it.
    ///
    /// # Errors
    /// Those of openat(2).
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    pub async fn read_dir(&self) -> io::Result<ReadDir> {
        // Opened again, for who reads has a cursor of their own.
        let directory = open_directory(At::within(&self.directory, Path::new("."))?, 0).await?;
        Ok(ReadDir::new(directory, &self.path))
    }

    /// Brings the names in it to the disk: that a file was made, renamed or removed.
    ///
    /// # Errors
    /// Those of fsync(2).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    pub async fn sync(&self) -> io::Result<()> {
        Submitted::new(Fsync::new(self.directory.hold(), false)).await
    }

    /// What the file system knows of the directory itself.
    ///
    /// # Errors
    /// Those of statx(2).
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    pub async fn dir_metadata(&self) -> io::Result<Metadata> {
        stat(At::within(&self.directory, Path::new("."))?, 0).await
    }

    /// Opens a directory in it, confined if this one is, that is no symbolic link itself: so who walks a tree goes through each directory once,
    /// and nowhere else, whatever somebody puts in the way meanwhile.
    ///
    /// # Errors
    /// As [`open_file`](Self::open_file); `NotADirectory` for a symbolic link.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::Dir;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().to_owned();
    /// # if cfg!(not(target_os = "linux")) { return Ok(()) }
    /// annulus::run(async {
    ///     # annulus::fs::create_dir_all(&path).await?;
    ///     let top = Dir::open(path).await?;
    ///     top.create_dir("folder").await?;
    ///     top.symlink("folder", "link").await?;
    ///     assert!(top.open_dir("link").await.is_ok());
    ///     assert!(top.descend("link").await.is_err());
    ///     top.descend("folder").await.map(drop)
    /// })?
    /// # }
    /// ```
    pub async fn descend(&self, name: impl AsRef<Path>) -> io::Result<Dir> {
        let name = name.as_ref();
        let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let directory = self.open_by(OpenOptions::new().read(true).custom_flags(flags), name).await?;
        Ok(Dir { directory, is_confined: self.is_confined, path: self.path.join(name) })
    }

    /// Shows the descriptor to `ask`, for a call that this crate does not have.
    ///
    /// # Errors
    /// `Unsupported` in a simulated world, whose directories are not the machine's.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// annulus::run(async {
    ///     # if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let here = annulus::fs::Dir::open(".").await?;
    ///     // For a helper thread, say.
    ///     let duplicate = here.with_fd(|directory| directory.try_clone_to_owned())??;
    ///     assert!(std::fs::File::from(duplicate).metadata()?.is_dir());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn with_fd<R>(&self, ask: impl FnOnce(BorrowedFd<'_>) -> R) -> io::Result<R> {
        op::check_real(&self.directory)?;
        let number = self.directory.port().plain(self.directory.number())?;
        Ok(sys::with_descriptor(number, ask))
    }
}

/// Opened to be looked at, without the right to read it.
#[cfg(target_os = "linux")]
const SEEN_ONLY: i32 = libc::O_PATH;
#[cfg(not(target_os = "linux"))]
const SEEN_ONLY: i32 = 0;

impl fmt::Debug for Dir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dir").field("path", &self.path).field("confined", &self.is_confined).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody may put a link where a directory was, between a look at it and the next step.
    #[test]
    fn nobody_descends_into_a_symbolic_link() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("folder")).unwrap();
        std::os::unix::fs::symlink("folder", directory.path().join("link")).unwrap();
        let went = crate::runtime::run(async {
            let top = Dir::open(directory.path()).await.unwrap();
            assert!(top.descend(Path::new("folder")).await.is_ok());
            top.descend(Path::new("link")).await
        });
        assert_eq!(went.unwrap().unwrap_err().kind(), io::ErrorKind::NotADirectory);
    }
}
