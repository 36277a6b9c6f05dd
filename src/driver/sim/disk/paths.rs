//! Paths: where a walk along one leads.
//!
//! Every walk begins at the root, which is the working directory as well, and remembers each directory on its way:
//! so a directory need not know the one above it. The errors are those of Linux, in the order in which a walk
//! meets them. There are no symbolic links.

use super::inode::{Inode, Kind};
use super::names::Directory;
use super::{Answer, Disk};

pub(super) const ROOT: u64 = 1;

/// How long a name may be, and a path with the zero at its end.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4096;

/// Where a path leads, but for its last step, which may lead to nothing yet.
pub(super) struct Place<'a> {
    /// From the root to the directory in which the last step is done.
    pub(super) ancestors: Vec<u64>,
    pub(super) last: Last<'a>,
    /// Whether the path ends with a slash, and so has to be a directory's.
    pub(super) slash: bool,
}

/// The last step of a path.
#[derive(Clone, Copy)]
pub(super) enum Last<'a> {
    Name(&'a [u8]),
    /// `.`
    Same,
    /// `..`
    Above,
    /// There was no step: `/`.
    Root,
}

impl Place<'_> {
    pub(super) fn directory(&self) -> u64 {
        self.ancestors.last().copied().unwrap_or(ROOT)
    }
}

impl Disk {
    /// Walks all of a path but the last step.
    pub(super) fn place<'a>(&self, path: &'a [u8]) -> Answer<Place<'a>> {
        if path.is_empty() {
            return Err(libc::ENOENT);
        }
        if path.len() >= PATH_MAX {
            return Err(libc::ENAMETOOLONG);
        }
        let slash = path.ends_with(b"/");
        let mut ancestors = vec![ROOT];
        let mut last = Last::Root;
        let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).peekable();
        while let Some(name) = names.next() {
            if name.len() > NAME_MAX {
                return Err(libc::ENAMETOOLONG);
            }
            let is_last = names.peek().is_none();
            match name {
                b"." if is_last => last = Last::Same,
                b".." if is_last => last = Last::Above,
                _ if is_last => last = Last::Name(name),
                b"." => {}
                b".." => up(&mut ancestors),
                _ => {
                    let directory = self.directory(*ancestors.last().unwrap_or(&ROOT))?;
                    let inode = *directory.names.get(name).ok_or(libc::ENOENT)?;
                    // Here rather than at the next step, which may be a dot.
                    self.directory(inode)?;
                    ancestors.push(inode);
                }
            }
        }
        Ok(Place { ancestors, last, slash })
    }

    /// Where the last step leads; None if that name is free.
    pub(super) fn find_last(&self, place: &Place<'_>) -> Answer<Option<u64>> {
        Ok(match place.last {
            Last::Name(name) => self.directory(place.directory())?.names.get(name).copied(),
            Last::Same | Last::Root => Some(place.directory()),
            Last::Above => {
                let mut ancestors = place.ancestors.clone();
                up(&mut ancestors);
                ancestors.last().copied()
            }
        })
    }

    /// What is there, at the end of a path.
    pub(super) fn find(&self, path: &[u8]) -> Answer<u64> {
        let place = self.place(path)?;
        let inode = self.find_last(&place)?.ok_or(libc::ENOENT)?;
        if place.slash {
            self.directory(inode)?;
        }
        Ok(inode)
    }

    /// An inode that a name or an open file led to; such a one is always there.
    pub(super) fn inode(&self, number: u64) -> Answer<&Inode> {
        self.inodes.get(&number).ok_or(libc::ESTALE)
    }

    pub(super) fn inode_mut(&mut self, number: u64) -> Answer<&mut Inode> {
        self.inodes.get_mut(&number).ok_or(libc::ESTALE)
    }

    pub(super) fn directory(&self, number: u64) -> Answer<&Directory> {
        match &self.inode(number)?.kind {
            Kind::Directory(directory) => Ok(directory),
            _ => Err(libc::ENOTDIR),
        }
    }
}

/// Above the root is the root.
fn up(ancestors: &mut Vec<u64>) {
    if ancestors.len() > 1 {
        ancestors.pop();
    }
}
