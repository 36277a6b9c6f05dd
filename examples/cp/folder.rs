//! A directory, and the one that is made of it. Both are open, and names are walked from there: so paths may be longer than
//! the system takes, and a link that somebody puts in the way meanwhile leads nowhere.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use annulus::fs::Dir;
use rustix::fs::{Mode, OFlags, Stat, Timestamps, fchmod, fstat, futimens, mkdirat, openat};
use rustix::io::Errno;

use crate::tally::Failure;

/// A directory that is being copied. When the last of its handles is left, all that is in it is there.
pub struct Folder {
    pub source: Dir,
    pub ends: Arc<Ends>,
    /// What it will look like. None for those that what is copied is only named in.
    pub finish: Option<Stat>,
    pub above: Option<Rc<Folder>>,
}

/// Both ends, for helper threads.
pub struct Ends {
    pub source: OwnedFd,
    pub target: OwnedFd,
    /// For texts, and for names of files that have several.
    pub source_path: PathBuf,
    pub target_path: PathBuf,
}

impl Ends {
    pub fn at_source(&self, name: &Path, error: impl Into<io::Error>) -> Failure {
        Failure::new(self.source_path.join(name), error)
    }

    pub fn at_target(&self, name: &Path, error: impl Into<io::Error>) -> Failure {
        Failure::new(self.target_path.join(name), error)
    }

    /// One level down: makes the directory `to`, or takes the one that is there. Only its owner gets in until it is done.
    pub fn below(&self, source: OwnedFd, name: &Path, to: &Path) -> Result<(Ends, Stat), Failure> {
        let stat = fstat(&source).map_err(|error| self.at_source(name, error))?;
        match mkdirat(&self.target, to, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(self.at_target(to, error)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target =
            openat(&self.target, to, flags, Mode::empty()).map_err(|error| self.at_target(to, error))?;
        let (source_path, target_path) = (self.source_path.join(name), self.target_path.join(to));
        Ok((Ends { source, target, source_path, target_path }, stat))
    }

    /// When nothing is made in it any more, which would change its times, and may be forbidden from now on.
    pub fn finish(&self, stat: &Stat) -> Result<(), Failure> {
        futimens(&self.target, &times(stat))
            .and_then(|()| fchmod(&self.target, permissions(stat)))
            .map_err(|error| Failure::new(&self.target_path, error))
    }
}

pub fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds| rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// Without what would lend the rights of somebody who does not own the copy.
pub fn permissions(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode) & (Mode::RWXU | Mode::RWXG | Mode::RWXO | Mode::SVTX)
}
