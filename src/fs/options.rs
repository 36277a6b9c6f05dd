//! How to open a file.

use std::io;
use std::path::Path;

use super::File;
use crate::driver::Descriptor;
use crate::engine::current_port;
use crate::op::path::At;
use crate::op::{Open, OpenBeneath, Submitted};

/// How to open a file; as [`std::fs::OpenOptions`].
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("log");
/// annulus::run(async {
///     let log = annulus::fs::OpenOptions::new().append(true).create(true).open(&path).await?;
///     log.write_all("a line\n").await.0
/// })?
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions {
    read: bool,
    write: bool,
    append: bool,
    truncate: bool,
    create: bool,
    create_new: bool,
    mode: u32,
    custom_flags: i32,
    unnamed: bool,
    registered: bool,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions::new()
    }
}

impl OpenOptions {
    /// Nothing asked for yet.
    pub fn new() -> OpenOptions {
        OpenOptions {
            read: false,
            write: false,
            append: false,
            truncate: false,
            create: false,
            create_new: false,
            mode: 0o666,
            custom_flags: 0,
            unnamed: false,
            registered: false,
        }
    }

    /// For reading.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::OpenOptions;
    ///
    /// annulus::run(async {
    /// #     let path = std::env::temp_dir().join(format!("opened-{}", std::process::id()));
    ///
    ///     let mut options = OpenOptions::new();
    ///     options.read(true).write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    ///     let file = options.open(&path).await?;
    ///     file.write_all_at("a note", 0).await.0?;
    ///     assert!(options.open(&path).await.is_err(), "it is there already");
    ///
    ///     let empty = OpenOptions::new().write(true).truncate(true).open(&path).await?;
    ///     assert_eq!(empty.metadata().await?.len(), 0);
    /// #     annulus::fs::remove_file(&path).await?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn read(&mut self, yes: bool) -> &mut OpenOptions {
        self.read = yes;
        self
    }

    /// For writing.
    ///
    /// # Examples
    /// As [`read`](Self::read).
    pub fn write(&mut self, yes: bool) -> &mut OpenOptions {
        self.write = yes;
        self
    }

    /// For writing, always at the end.
    pub fn append(&mut self, yes: bool) -> &mut OpenOptions {
        self.append = yes;
        self
    }

    /// Empty it.
    ///
    /// # Examples
    /// As [`read`](Self::read).
    pub fn truncate(&mut self, yes: bool) -> &mut OpenOptions {
        self.truncate = yes;
        self
    }

    /// Make it if it is not there.
    pub fn create(&mut self, yes: bool) -> &mut OpenOptions {
        self.create = yes;
        self
    }

    /// Make it; an error if it is there.
    ///
    /// # Examples
    /// As [`read`](Self::read).
    pub fn create_new(&mut self, yes: bool) -> &mut OpenOptions {
        self.create_new = yes;
        self
    }

    /// The permissions of a file that is made, before the umask. By default 0o666.
    ///
    /// # Examples
    /// As [`read`](Self::read).
    pub fn mode(&mut self, mode: u32) -> &mut OpenOptions {
        self.mode = mode;
        self
    }

    /// The path is a directory's: the file is in its file system and has no name, until [`File::link_as`] gives it one. It
    /// is gone when it is closed without. Linux, on most file systems; O_TMPFILE in open(2).
    ///
    /// # Examples
    /// As [`File::link_as`](super::File::link_as).
    pub fn unnamed(&mut self, yes: bool) -> &mut OpenOptions {
        self.unnamed = yes;
        self
    }

    /// Keeps the file in the ring's own table, where each read and write finds it faster than in the process's table of
    /// descriptors: a few nanoseconds each. The table's size is
    /// [`Builder::direct_descriptors`](crate::Builder::direct_descriptors); without one, without room in it, and below a
    /// confined [`Dir`](crate::fs::Dir) the file is opened as usual.
    ///
    /// Nothing else changes. What the ring does not do (metadata, locks, keeping the cursor) has a descriptor of the process made for
    /// it, once; and what is cached is read through the ring as well, so it pays for many transfers at a time.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::OpenOptions;
    ///
    /// annulus::run(async {
    ///     // In the ring's own table, where there is one (`Builder::direct_descriptors`); as usual elsewhere.
    ///     let file = OpenOptions::new().read(true).registered(true).open("Cargo.toml").await;
    /// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     assert_eq!(file?.read_exact_at(vec![0; 9], 0).await.1, b"[package]");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn registered(&mut self, yes: bool) -> &mut OpenOptions {
        self.registered = yes;
        self
    }

    /// More flags of open(2), O_DIRECT for example. The access mode in them is left out.
    ///
    /// # Examples
    /// As [`read`](Self::read).
    pub fn custom_flags(&mut self, flags: i32) -> &mut OpenOptions {
        self.custom_flags = flags;
        self
    }

    /// Opens the file.
    ///
    /// # Errors
    /// Those of open(2); `InvalidInput` for a path with a NUL byte, and for settings that contradict each other.
    ///
    /// # Cancel safety
    /// Dropping it closes what was opened; the file may have been made, or emptied.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        self.open_at(At::here(path.as_ref())?).await.map(File::new)
    }

    pub(super) async fn open_at(&self, at: At) -> io::Result<Descriptor> {
        let (port, flags) = (current_port(), self.flags()?);
        if port.polls_files() && asks_for_no_cache(flags) {
            let open = Open::new(port, at, flags & !libc::O_TRUNC, self.mode);
            return asked(Submitted::new(open).await?, flags).await;
        }
        let open = Open::new(port, at, flags, self.mode);
        Submitted::new(if self.registered { open.into_table() } else { open }).await
    }

    /// The walk does not leave the directory from which it begins.
    pub(super) async fn open_beneath(&self, at: At) -> io::Result<Descriptor> {
        let (port, flags) = (current_port(), self.flags()?);
        if port.polls_files() && asks_for_no_cache(flags) {
            let open = OpenBeneath::new(port, at, flags & !libc::O_TRUNC, self.mode);
            return asked(Submitted::new(open).await?, flags).await;
        }
        Submitted::new(OpenBeneath::new(port, at, flags, self.mode)).await
    }

    fn flags(&self) -> io::Result<i32> {
        let access = match (self.read, self.write, self.append) {
            (true, false, false) => libc::O_RDONLY,
            (false, true, false) => libc::O_WRONLY,
            (true, true, false) => libc::O_RDWR,
            (false, _, true) => libc::O_WRONLY | libc::O_APPEND,
            (true, _, true) => libc::O_RDWR | libc::O_APPEND,
            (false, false, false) => return refused("neither read, write nor append is asked for"),
        };
        let writes = self.write || self.append;
        if !writes && (self.truncate || self.create || self.create_new) {
            return refused("truncate, create and create_new need write or append");
        }
        if self.append && self.truncate && !self.create_new {
            return refused("append and truncate contradict each other");
        }
        let making = match (self.create, self.truncate, self.create_new) {
            (_, _, true) => libc::O_CREAT | libc::O_EXCL,
            (create, truncate, false) => {
                (if create { libc::O_CREAT } else { 0 }) | (if truncate { libc::O_TRUNC } else { 0 })
            }
        };
        let unnamed = match self.unnamed {
            true if making != 0 => return refused("unnamed contradicts truncate, create and create_new"),
            true => unnamed_flag()?,
            false => 0,
        };
        Ok(access | making | unnamed | (self.custom_flags & !libc::O_ACCMODE))
    }
}

fn refused(why: &str) -> io::Result<i32> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("OpenOptions: {why}")))
}

#[cfg(target_os = "linux")]
fn asks_for_no_cache(flags: i32) -> bool {
    flags & libc::O_DIRECT != 0
}

#[cfg(not(target_os = "linux"))]
fn asks_for_no_cache(_: i32) -> bool {
    false
}

/// An open file whose device is asked from now on, or that is refused: so it is emptied only after that.
#[cfg(target_os = "linux")]
async fn asked(file: Descriptor, flags: i32) -> io::Result<Descriptor> {
    super::polling::begin(&file).await?;
    if flags & libc::O_TRUNC != 0 {
        Submitted::new(crate::op::Ftruncate::new(file.hold(), 0)).await?;
    }
    Ok(file)
}

#[cfg(not(target_os = "linux"))]
async fn asked(file: Descriptor, _: i32) -> io::Result<Descriptor> {
    Ok(file)
}

#[cfg(target_os = "linux")]
fn unnamed_flag() -> io::Result<i32> {
    Ok(libc::O_TMPFILE)
}

#[cfg(not(target_os = "linux"))]
fn unnamed_flag() -> io::Result<i32> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "files without a name are Linux's: O_TMPFILE"))
}
