//! What is known of an open file besides what is in it.

use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::File;
use crate::fs::FileTimes;
use crate::fs::xattr::{self, attribute_name};
use crate::op::path::{At, Subject};
use crate::op::{Chmod, Chown, GetXattr, Link, ListXattr, RemoveXattr, SetXattr, Submitted, Utimens};

impl File {
    /// Sets who may do what with the file.
    ///
    /// # Errors
    /// Those of fchmod(2).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::os::unix::fs::PermissionsExt;
    /// use std::time::SystemTime;
    /// use annulus::fs::{File, FileTimes};
    ///
    /// annulus::run(async {
    /// #     let path = std::env::temp_dir().join(format!("permissions-{}", std::process::id()));
    ///
    ///     let file = File::create(&path).await?;
    ///     file.set_permissions(PermissionsExt::from_mode(0o600)).await?;
    ///     file.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH)).await?;
    ///     let metadata = file.metadata().await?;
    ///     assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    ///     assert_eq!(metadata.modified(), SystemTime::UNIX_EPOCH);
    /// #     annulus::fs::remove_file(&path).await?;
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        let subject = Subject::Open(self.file.hold());
        Submitted::new(Chmod::new(subject, permissions.mode())).await
    }

    /// Sets who owns the file: user and group by their ids; None leaves one as it is. Who is not root may give a file of their own
    /// to a group of their own.
    ///
    /// # Errors
    /// Those of fchown(2): `PermissionDenied`.
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::File;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("note");
    /// annulus::run(async {
    ///     let file = File::create(&path).await?;
    ///     let group = file.metadata().await?.gid();
    ///     file.chown(None, Some(group)).await
    /// })?
    /// # }
    /// ```
    pub async fn chown(&self, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
        let subject = Subject::Open(self.file.hold());
        Submitted::new(Chown::new(subject, user, group, 0)).await
    }

    /// Sets when the file was read and changed last.
    ///
    /// # Errors
    /// Those of futimens(2).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Examples
    /// As [`set_permissions`](Self::set_permissions).
    pub async fn set_times(&self, times: FileTimes) -> io::Result<()> {
        let subject = Subject::Open(self.file.hold());
        Submitted::new(Utimens::new(subject, times.stamps(), 0)).await
    }

    /// Gives the file a name; one that was opened without one, with O_TMPFILE, is seen from then on.
    ///
    /// # Errors
    /// Those of linkat(2): `AlreadyExists`; `NotFound` where there is no /proc.
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::{File, OpenOptions};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let directory = directory.path();
    /// # if cfg!(not(target_os = "linux")) { return Ok(()) }
    /// annulus::run(async {
    ///     // Nobody sees it, and it is gone if the program ends now.
    ///     let draft = OpenOptions::new().write(true).unnamed(true).open(directory).await?;
    ///     draft.write_all_at("whole", 0).await.0?;
    ///     draft.link_as(directory.join("letter")).await?;
    ///     assert_eq!(annulus::fs::read(directory.join("letter")).await?, b"whole");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn link_as(&self, path: impl AsRef<Path>) -> io::Result<()> {
        Submitted::new(Link::of_open(self.file.hold(), At::here(path.as_ref())?)).await
    }

    /// The value of an extended attribute, xattr(7); None if the file has none of that name.
    ///
    /// # Errors
    /// Those of fgetxattr(2): `Unsupported` where the file system has no attributes, or the name is of no class it knows.
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::fs::File;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("note");
    /// annulus::run(async {
    ///     let file = File::create(&path).await?;
    ///     match file.set_xattr("user.author", "Ada").await {
    ///         Ok(()) => assert_eq!(file.xattr("user.author").await?.as_deref(), Some(b"Ada".as_slice())),
    ///         Err(error) => println!("this file system keeps none: {error}"),
    ///     }
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub async fn xattr(&self, name: impl AsRef<OsStr>) -> io::Result<Option<Vec<u8>>> {
        let name = attribute_name(name.as_ref())?;
        xattr::value(|room| Submitted::new(GetXattr::new(self.file.hold(), name.clone(), vec![0; room])))
            .await
    }

    /// Sets an extended attribute, xattr(7), to a value of at most 64 KiB; what it was is replaced. Users may name those that
    /// begin with `user.`.
    ///
    /// # Errors
    /// Those of fsetxattr(2).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Examples
    /// As [`xattr`](Self::xattr).
    pub async fn set_xattr(&self, name: impl AsRef<OsStr>, value: impl AsRef<[u8]>) -> io::Result<()> {
        let name = attribute_name(name.as_ref())?;
        Submitted::new(SetXattr::new(self.file.hold(), name, value.as_ref().to_vec(), 0)).await
    }

    /// Removes an extended attribute. False if there was none.
    ///
    /// # Errors
    /// Those of fremovexattr(2).
    ///
    /// # Cancel safety
    /// After dropping it, it may have been done, or not.
    ///
    /// # Examples
    /// As [`xattr`](Self::xattr).
    pub async fn remove_xattr(&self, name: impl AsRef<OsStr>) -> io::Result<bool> {
        let subject = Subject::Open(self.file.hold());
        xattr::removed(Submitted::new(RemoveXattr::new(subject, attribute_name(name.as_ref())?)).await)
    }

    /// The names of all extended attributes.
    ///
    /// # Errors
    /// Those of flistxattr(2).
    ///
    /// # Cancel safety
    /// Dropping it is harmless.
    ///
    /// # Examples
    /// As [`xattr`](Self::xattr).
    pub async fn xattrs(&self) -> io::Result<Vec<OsString>> {
        let ask = |room| ListXattr::new(Subject::Open(self.file.hold()), vec![0; room]);
        xattr::names(|room| Submitted::new(ask(room))).await
    }
}
