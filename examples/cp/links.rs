//! Files that have several names: the first that is met is copied, the others become names of the copy.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, CWD, Stat, linkat};

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
        (stat.st_nlink > 1).then(|| Place { names: names(), file: (stat.st_dev, stat.st_ino) })
    }
}

impl Place<'_> {
    /// Gives the copy one more name. False if there is none yet, or it takes no more: then it is copied for itself.
    pub fn link(&self, directory: impl AsFd, name: &Path) -> io::Result<bool> {
        let Some(first) = self.names.get(&self.file) else { return Ok(false) };
        match linkat(CWD, first, &directory, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            // Its path is too long, it has as many names as the file system allows, it was removed meanwhile.
            Err(rustix::io::Errno::NAMETOOLONG | rustix::io::Errno::MLINK | rustix::io::Errno::NOENT) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    pub fn keep(mut self, path: PathBuf) {
        self.names.insert(self.file, path);
    }
}
