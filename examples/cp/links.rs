//! Files that have several names: the first that is met is copied, the others become names of the copy.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, CWD, Stat, linkat, statat, unlinkat};
use rustix::io::Errno;

/// By device and number, the first name of the copy.
#[derive(Default)]
pub struct Links {
    first: Mutex<HashMap<(u64, u64), PathBuf>>,
}

/// Held until the first name is there, so that nobody makes a second copy meanwhile.
pub struct Place<'links> {
    names: MutexGuard<'links, HashMap<(u64, u64), PathBuf>>,
    file: (u64, u64),
}

impl Links {
    /// None for a file with one name, which nobody else will ask for.
    pub fn place(&self, stat: &Stat) -> Option<Place<'_>> {
        let names = || self.first.lock().unwrap_or_else(PoisonError::into_inner);
        #[allow(clippy::unnecessary_cast, reason = "its width differs from one system to the next")]
        let device = stat.st_dev as u64;
        (stat.st_nlink > 1).then(|| Place { names: names(), file: (device, stat.st_ino) })
    }
}

impl Place<'_> {
    /// Gives the copy one more name. False if there is none yet, or it takes no more: then it is copied for itself.
    pub fn link(&self, directory: &OwnedFd, name: &Path) -> rustix::io::Result<bool> {
        let Some(first) = self.names.get(&self.file) else { return Ok(false) };
        let link = || linkat(CWD, first, directory, name, AtFlags::empty());
        let linked = match link() {
            Err(Errno::EXIST) if is_same(first, directory, name)? => return Ok(true),
            Err(Errno::EXIST) => unlinkat(directory, name, AtFlags::empty()).and_then(|()| link()),
            linked => linked,
        };
        match linked {
            Ok(()) => Ok(true),
            // Its path is too long, it has as many names as the file system allows, it was removed meanwhile.
            Err(Errno::NAMETOOLONG | Errno::MLINK | Errno::NOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub fn keep(mut self, path: PathBuf) {
        self.names.insert(self.file, path);
    }
}

fn is_same(first: &Path, directory: &OwnedFd, name: &Path) -> rustix::io::Result<bool> {
    let itself = AtFlags::SYMLINK_NOFOLLOW;
    let (one, other) = (statat(CWD, first, itself)?, statat(directory, name, itself)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}
