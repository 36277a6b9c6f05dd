//! One regular file, opened and made. On a helper thread.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat, fchmod, fstat, ftruncate, futimens, openat};
use rustix::io::Errno;

use crate::batch::Entry;
use crate::folder::{Ends, permissions, times};
use crate::links::Links;
use crate::tally::Failure;

/// A file that is open and may be copied.
pub struct Source {
    pub file: OwnedFd,
    pub stat: Stat,
}

/// Not to wait for the other end of a FIFO that somebody puts there.
const OPEN: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK);

impl Source {
    pub fn open(ends: &Ends, entry: &Entry) -> Result<Source, Failure> {
        let failed = |error| ends.at_source(&entry.name, error);
        let flags = OPEN | OFlags::RDONLY | OFlags::NOFOLLOW;
        let file = openat(&ends.source, &entry.name, flags, Mode::empty()).map_err(failed)?;
        let stat = fstat(&file).map_err(failed)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Source { file, stat }),
            _ => {
                Err(ends
                    .at_source(&entry.name, io::Error::other("it was replaced by something else meanwhile")))
            }
        }
    }

    pub fn length(&self) -> u64 {
        self.stat.st_size as u64
    }

    pub fn has_holes(&self) -> bool {
        // The widths of these differ from one system to the next.
        (self.stat.st_blocks as u64) * 512 < self.stat.st_size as u64
    }

    /// Makes the copy, still empty, and None if another name of a copy was enough.
    pub fn make(&self, ends: &Ends, entry: &Entry, links: &Links) -> Result<Option<OwnedFd>, Failure> {
        let failed = |error| ends.at_target(&entry.to, error);
        let place = links.place(&self.stat);
        if let Some(place) = &place {
            if place.link(&ends.target, &entry.to).map_err(failed)? {
                return Ok(None);
            }
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let target = match openat(&ends.target, &entry.to, flags, permissions(&self.stat)) {
            Err(Errno::EXIST) => self.empty(ends, &entry.to)?,
            made => made.map_err(failed)?,
        };
        if let Some(place) = place {
            place.keep(ends.target_path.join(&entry.to));
        }
        Ok(Some(target))
    }

    /// Opens what is there, which may be the file itself by another name: so it is emptied only when it was looked at.
    fn empty(&self, ends: &Ends, to: &Path) -> Result<OwnedFd, Failure> {
        let failed = |error| ends.at_target(to, error);
        let target = openat(&ends.target, to, OPEN | OFlags::WRONLY, Mode::empty()).map_err(failed)?;
        let there = fstat(&target).map_err(failed)?;
        differs(&self.stat, &there).map_err(|error| ends.at_target(to, error))?;
        if FileType::from_raw_mode(there.st_mode) == FileType::RegularFile {
            ftruncate(&target, 0).and_then(|()| fchmod(&target, permissions(&self.stat))).map_err(failed)?;
        }
        Ok(target)
    }

    /// Copies what fits in the buffer by one read and one write, and all else by several. Says how many bytes it was.
    pub fn copy(
        &self,
        to: &OwnedFd,
        buffer: &mut [u8],
        failed: impl Fn(io::Error) -> Failure,
    ) -> Result<u64, Failure> {
        let mut copied = 0;
        loop {
            let count =
                again(|| rustix::io::read(&self.file, &mut *buffer)).map_err(|error| failed(error.into()))?;
            let mut rest = &buffer[..count];
            while !rest.is_empty() {
                match again(|| rustix::io::write(to, rest)) {
                    Ok(count) => {
                        rest = &rest[count..];
                        copied += count as u64;
                    }
                    Err(error) => return Err(failed(written(error.into(), copied, self.length()))),
                }
            }
            // Its length spares the read that would say so; files of /proc have none, and something in them.
            if count == 0 || copied == self.length() {
                break;
            }
        }
        futimens(to, &times(&self.stat)).map_err(|error| failed(error.into()))?;
        Ok(copied)
    }
}

/// Whether these are two files: otherwise what is to be copied would be lost.
pub fn differs(source: &Stat, target: &Stat) -> io::Result<()> {
    match (source.st_dev, source.st_ino) == (target.st_dev, target.st_ino) {
        true => Err(io::Error::other("it is the same file as what is to be copied")),
        false => Ok(()),
    }
}

/// With what a disk that is full has got of it.
pub fn written(error: io::Error, copied: u64, length: u64) -> io::Error {
    io::Error::new(error.kind(), format!("{error}; {copied} of {length} bytes were written"))
}

fn again(mut call: impl FnMut() -> rustix::io::Result<usize>) -> rustix::io::Result<usize> {
    rustix::io::retry_on_intr(&mut call)
}
