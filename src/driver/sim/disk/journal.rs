//! The changes of names that the disk has not heard of yet.
//!
//! What was done to names is there at once for everybody who looks; a crash takes any of it back, within three
//! rules, each kept by what a change needs:
//!
//! 1. *A change happens as a whole*: a rename takes no name without giving the other.
//! 2. *The changes of one name happen in order*: no later one without the earlier ones.
//! 3. *Nothing is lost that nobody removed*: what moves into a directory waits until that has its own place, and a
//!    directory goes only after all that moved out of it.

use std::collections::{BTreeMap, BTreeSet};

use super::inode::{Inode, Kind};
use super::{Answer, Disk};

/// So many changes may wait for a sync; then the oldest goes to the disk by itself. It would do so some day anyway,
/// and a program that makes and removes files for ever shall not fill the memory.
const CHANGES_MAX: usize = 1024;

#[derive(Default)]
pub(super) struct Journal {
    /// By number; a later change has a greater one.
    pub(super) changes: BTreeMap<u64, Change>,
    numbered: u64,
}

/// What one call did to names.
pub(super) struct Change {
    steps: Vec<Step>,
    /// The changes without which this one cannot be on the disk; all are earlier.
    pub(super) needs: BTreeSet<u64>,
}

/// From now on this name leads there, or to nothing.
pub(super) struct Step {
    pub(super) directory: u64,
    pub(super) name: Vec<u8>,
    pub(super) leads_to: Option<u64>,
}

/// A name that is not on the disk as it is now.
pub(super) struct Changed {
    /// By which change at last.
    by: u64,
    /// Where it leads on the disk.
    pub(super) durable: Option<u64>,
}

impl Disk {
    /// Makes a change of names, of which the disk will hear later.
    pub(super) fn change(&mut self, steps: Vec<Step>, mut needs: BTreeSet<u64>, now: u64) -> Answer<()> {
        self.journal.numbered += 1;
        let number = self.journal.numbered;
        let mut left = BTreeSet::new();
        for Step { directory: above, name, leads_to } in &steps {
            let parent = self.inode_mut(*above)?;
            parent.note_content(now);
            let Kind::Directory(directory) = &mut parent.kind else { return Err(libc::ENOTDIR) };
            let before = match leads_to {
                Some(inode) => directory.names.insert(name.clone(), *inode),
                None => directory.names.remove(name),
            };
            let new = Changed { by: number, durable: before };
            let changed = directory.changed.entry(name.clone()).or_insert(new);
            needs.insert(std::mem::replace(&mut changed.by, number));
            if let Some(inode) = leads_to {
                let inode = self.inode_mut(*inode)?;
                inode.names += 1;
                inode.above = *above;
                inode.recoverable += 1;
                inode.placed_by = Some(number);
                inode.note_change(now);
            }
            if let Some(before) = before {
                let inode = self.inode_mut(before)?;
                inode.names -= 1;
                inode.note_change(now);
                left.insert(before);
            }
        }
        for gone in left {
            let inode = self.inode(gone)?;
            match &inode.kind {
                Kind::Directory(directory) if inode.names == 0 => {
                    needs.extend(directory.changed.values().map(|changed| changed.by));
                }
                _ => {}
            }
        }
        needs.retain(|need| self.journal.changes.contains_key(need));
        self.journal.changes.insert(number, Change { steps, needs });
        while self.journal.changes.len() > CHANGES_MAX {
            let Some((&oldest, _)) = self.journal.changes.first_key_value() else { break };
            self.settle(oldest);
        }
        Ok(())
    }

    /// Brings the names in a directory to the disk, and what that needs.
    pub(super) fn sync_names(&mut self, directory: u64) -> Answer<()> {
        let mut wanted: BTreeSet<_> =
            self.directory(directory)?.changed.values().map(|changed| changed.by).collect();
        let mut to_look_at = wanted.clone();
        while let Some(number) = to_look_at.pop_last() {
            let Some(change) = self.journal.changes.get(&number) else { continue };
            to_look_at.extend(change.needs.iter().filter(|need| wanted.insert(**need)));
        }
        wanted.into_iter().for_each(|number| self.settle(number));
        Ok(())
    }

    /// A change has reached the disk, after all that it needs.
    pub(super) fn settle(&mut self, number: u64) {
        let Some(change) = self.journal.changes.remove(&number) else { return };
        for step in change.steps {
            let Ok(parent) = self.inode_mut(step.directory) else { continue };
            let Kind::Directory(directory) = &mut parent.kind else { continue };
            let Some(changed) = directory.changed.get_mut(&step.name) else { continue };
            let replaced = std::mem::replace(&mut changed.durable, step.leads_to);
            if changed.by == number {
                directory.changed.remove(&step.name);
            }
            if let Some(inode) = replaced.and_then(|replaced| self.inodes.get_mut(&replaced)) {
                inode.recoverable -= 1;
            }
            if let Some(replaced) = replaced {
                self.forget(replaced);
            }
        }
    }

    /// Drops an inode that nobody can ever reach again.
    pub(super) fn forget(&mut self, number: u64) {
        let is_lost = |inode: &Inode| inode.names + inode.recoverable + inode.opened == 0;
        if self.inodes.get(&number).is_some_and(is_lost) {
            self.inodes.remove(&number);
        }
    }
}
