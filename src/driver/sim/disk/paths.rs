//! Paths: where a walk along one leads.
//!
//! A walk begins at the root, which is the working directory as well, or in a directory that is open, and remembers each
//! directory on its way. The errors are those of Linux, in the order in which a walk meets them.

use std::collections::VecDeque;

use super::inode::{Inode, Kind};
use super::names::Directory;
use super::{Answer, Disk};

pub(super) const ROOT: u64 = 1;

/// How long a name may be, and a path with the zero at its end.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4096;
/// How many symbolic links a walk follows.
const LINKS_MAX: usize = 40;

/// A path, and from where it is walked.
#[derive(Clone, Copy)]
pub(crate) struct Walk<'a> {
    path: &'a [u8],
    /// A directory's inode; None is the working directory.
    from: Option<u64>,
    /// Whether it must not leave that directory. RESOLVE_BENEATH, openat2(2)
    beneath: bool,
}

impl<'a> Walk<'a> {
    pub(crate) fn within(self, directory: u64) -> Walk<'a> {
        Walk { from: Some(directory), ..self }
    }

    /// Whether the path ends with a slash.
    pub(super) fn is_of_directory(&self) -> bool {
        self.path.ends_with(b"/")
    }

    pub(crate) fn beneath(self) -> Walk<'a> {
        Walk { beneath: true, ..self }
    }
}

impl<'a> From<&'a [u8]> for Walk<'a> {
    fn from(path: &'a [u8]) -> Walk<'a> {
        Walk { path, from: None, beneath: false }
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Walk<'a> {
    fn from(path: &'a [u8; N]) -> Walk<'a> {
        Walk::from(path.as_slice())
    }
}

/// Where a path leads, but for its last step, which may lead to nothing yet.
pub(super) struct Place {
    /// From the root to the directory in which the last step is done.
    pub(super) ancestors: Vec<u64>,
    pub(super) last: Last,
    /// Whether the path ends with a slash, and so has to be a directory's.
    pub(super) slash: bool,
}

/// The last step of a path.
#[derive(Clone)]
pub(super) enum Last {
    Name(Vec<u8>),
    /// `.`
    Same,
    /// `..`
    Above,
    /// There was no step: `/`.
    Root,
}

impl Place {
    pub(super) fn directory(&self) -> u64 {
        self.ancestors.last().copied().unwrap_or(ROOT)
    }
}

impl Disk {
    /// Walks all of a path but the last step. A symbolic link is followed on the way, and at the end if that is asked for.
    pub(super) fn place<'a>(&self, walk: impl Into<Walk<'a>>, follow: bool) -> Answer<Place> {
        let Walk { path, from, beneath } = walk.into();
        if path.is_empty() {
            return Err(libc::ENOENT);
        }
        if path.len() >= PATH_MAX {
            return Err(libc::ENAMETOOLONG);
        }
        let is_absolute = path.starts_with(b"/");
        if beneath && is_absolute {
            return Err(libc::EXDEV);
        }
        let mut ancestors = match from.filter(|_| !is_absolute) {
            Some(directory) => match self.ancestors_of(directory) {
                // Of one that was removed, and is open, there is itself.
                Err(libc::ENOENT) if steps(path).all(|step| step == b".") => vec![directory],
                found => found?,
            },
            None => vec![ROOT],
        };
        // How far up it may go.
        let top = if beneath { ancestors.len() } else { 1 };
        let mut slash = path.ends_with(b"/");
        let mut last = if is_absolute { Last::Root } else { Last::Same };
        let mut links = 0;
        let mut names: VecDeque<&[u8]> = steps(path).collect();
        while let Some(name) = names.pop_front() {
            if name.len() > NAME_MAX {
                return Err(libc::ENAMETOOLONG);
            }
            let is_last = names.is_empty();
            if name == b".." && beneath && ancestors.len() <= top {
                return Err(libc::EXDEV);
            }
            match name {
                b"." if is_last => last = Last::Same,
                b".." if is_last => last = Last::Above,
                b"." => {}
                b".." => up(&mut ancestors),
                _ => {
                    let directory = self.directory(*ancestors.last().unwrap_or(&ROOT))?;
                    let inode = directory.names.get(name).copied();
                    let target = inode.and_then(|inode| self.target(inode));
                    if let Some(target) = target.filter(|_| !is_last || follow) {
                        links += 1;
                        if links > LINKS_MAX {
                            return Err(libc::ELOOP);
                        }
                        if target.starts_with(b"/") {
                            if beneath {
                                return Err(libc::EXDEV);
                            }
                            ancestors.truncate(1);
                            last = Last::Root;
                        }
                        slash |= is_last && target.ends_with(b"/");
                        steps(target).rev().for_each(|step| names.push_front(step));
                        continue;
                    }
                    if is_last {
                        last = Last::Name(name.to_vec());
                        continue;
                    }
                    let inode = inode.ok_or(libc::ENOENT)?;
                    // Here rather than at the next step, which may be a dot.
                    self.directory(inode)?;
                    ancestors.push(inode);
                }
            }
        }
        Ok(Place { ancestors, last, slash })
    }

    /// Where the last step leads; None if that name is free.
    pub(super) fn find_last(&self, place: &Place) -> Answer<Option<u64>> {
        Ok(match &place.last {
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
    pub(super) fn find<'a>(&self, walk: impl Into<Walk<'a>>, follow: bool) -> Answer<u64> {
        let walk = walk.into();
        // What is to be a directory is looked for behind a link.
        let place = self.place(walk, follow || walk.is_of_directory())?;
        let inode = self.find_last(&place)?.ok_or(libc::ENOENT)?;
        if place.slash {
            self.directory(inode)?;
        }
        Ok(inode)
    }

    /// realpath(3): the path without dots and links.
    pub(crate) fn real_path<'a>(&self, walk: impl Into<Walk<'a>>) -> Answer<Vec<u8>> {
        let place = self.place(walk, true)?;
        let found = self.find_last(&place)?.ok_or(libc::ENOENT)?;
        let mut inodes = place.ancestors.clone();
        match &place.last {
            Last::Name(_) => inodes.push(found),
            Last::Above => up(&mut inodes),
            Last::Same | Last::Root => {}
        }
        if place.slash {
            self.directory(found)?;
        }
        let mut path = Vec::new();
        for pair in inodes.windows(2) {
            let mut names = self.directory(pair[0])?.names.iter();
            // A file may have several names in a directory; this is the one that was walked.
            let walked = match &place.last {
                Last::Name(name) if pair[1] == found => Some(name),
                _ => names.find(|(_, inode)| **inode == pair[1]).map(|(name, _)| name),
            };
            path.push(b'/');
            path.extend_from_slice(walked.ok_or(libc::ENOENT)?);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        Ok(path)
    }

    /// From the root to a directory, itself included. ENOENT if it was removed.
    fn ancestors_of(&self, mut directory: u64) -> Answer<Vec<u64>> {
        self.directory(directory)?;
        let mut ancestors = vec![directory];
        while directory != ROOT {
            let inode = self.inode(directory)?;
            if inode.names == 0 {
                return Err(libc::ENOENT);
            }
            directory = inode.above;
            ancestors.push(directory);
        }
        ancestors.reverse();
        Ok(ancestors)
    }

    /// Where a symbolic link points to; None for everything else.
    pub(super) fn target(&self, inode: u64) -> Option<&[u8]> {
        match &self.inodes.get(&inode)?.kind {
            Kind::Link(target) => Some(target),
            _ => None,
        }
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

fn steps(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}

/// Above the root is the root.
fn up(ancestors: &mut Vec<u64>) {
    if ancestors.len() > 1 {
        ancestors.pop();
    }
}
