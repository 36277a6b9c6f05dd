//! Files and the names of files.
//!
//! Where the ring does not know a call, or there is no ring, a helper thread makes it: the loop never waits for
//! a disk.

mod file;
mod metadata;
mod names;
mod options;

pub use file::File;
pub use metadata::Metadata;
pub use names::{create_dir, metadata, read, remove_dir, remove_file, rename, symlink_metadata, write};
pub use options::OpenOptions;
