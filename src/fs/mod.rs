//! Files and the names of files.
//!
//! | what | by |
//! |---|---|
//! | files: reads, writes, locks, room, attributes | [`File`], [`OpenOptions`] |
//! | buffers that the ring knows | [`RegisteredBuffers`] |
//! | much of a file in a row, or many places of it: reads ahead, writes behind, merged reads | [`ReadAhead`], [`WriteBehind`], [`File::read_many`] |
//! | whole files | [`read`], [`read_to_string`], [`write()`], [`copy`], [`write_atomic`] |
//! | names | [`rename`], [`hard_link`], [`symlink`], [`remove_file`], [`metadata`], [`canonicalize`] |
//! | what is known of them | [`set_permissions`], [`chown`], [`set_times`], [`xattr`], [`set_xattr`] |
//! | directories | [`read_dir`], [`create_dir_all`], [`remove_dir_all`], [`DirBuilder`] |
//! | names that are walked from an open directory, and do not leave it | [`Dir`] |
//!
//! Where the ring does not know a call, or there is no ring, a helper thread makes it: the loop never waits for
//! a disk.

mod dir;
mod file;
mod metadata;
mod names;
mod options;
#[cfg(target_os = "linux")]
mod polling;
mod read_dir;
mod registered;
mod rename;
mod stream;
mod times;
mod tree;
mod whole;
mod xattr;

pub use dir::Dir;
pub use file::{Advice, File};
pub use metadata::{DirectIo, FileType, Metadata};
pub use names::{
    canonicalize, chown, create_dir, hard_link, lchown, metadata, read_link, remove_dir, remove_file, rename,
    rename_with, set_permissions, set_symlink_times, set_times, symlink, symlink_metadata, try_exists,
};
pub use options::OpenOptions;
pub use read_dir::{DirEntry, ReadDir, read_dir};
pub use registered::RegisteredBuffers;
pub use rename::RenameFlags;
pub use stream::{ReadAhead, ReadMany, WriteBehind};
pub use times::FileTimes;
pub use tree::{DirBuilder, create_dir_all, remove_dir_all};
pub use whole::{copy, read, read_to_string, write, write_atomic};
pub use xattr::{remove_xattr, set_xattr, xattr, xattrs};
