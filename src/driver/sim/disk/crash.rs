//! What a crash leaves: all that was synced, and of the rest what the dice say had reached the disk.
//!
//! Names are decided by the file that they lead to, so that a rename happens as a whole or not at all: never is a name
//! gone that led somewhere before and somewhere after.

use std::collections::BTreeMap;

use super::names::ROOT;
use super::{Disk, Kind};
use crate::dice::Dice;

impl Disk {
    pub(in crate::driver::sim) fn crash(&mut self, dice: &mut Dice) {
        self.life += 1;
        let mut reached = BTreeMap::new();
        for inode in self.inodes.values_mut() {
            match &mut inode.kind {
                Kind::File(content) => content.crash(dice),
                Kind::Directory(directory) => {
                    let mut names: Vec<_> =
                        directory.entries.keys().chain(directory.on_disk.keys()).cloned().collect();
                    names.sort_unstable();
                    names.dedup();
                    for name in names {
                        let (now, before) = (directory.entries.get(&name), directory.on_disk.get(&name));
                        let (now, before) = (now.copied(), before.copied());
                        let Some(inode) = now.or(before).filter(|_| now != before) else { continue };
                        if !*reached.entry(inode).or_insert_with(|| dice.one_in(2)) {
                            match before {
                                Some(inode) => directory.entries.insert(name, inode),
                                None => directory.entries.remove(&name),
                            };
                        }
                    }
                    directory.on_disk = directory.entries.clone();
                }
                Kind::Socket => {}
            }
        }
        self.forget_what_has_no_name();
    }

    /// Counts names anew, from the root on. What is not reached is gone.
    fn forget_what_has_no_name(&mut self) {
        let mut names = BTreeMap::from([(ROOT, 1)]);
        let mut open = vec![(ROOT, ROOT)];
        while let Some((parent, directory)) = open.pop() {
            let Ok(listed) = self.directory_mut(directory) else { continue };
            listed.parent = parent;
            for inode in listed.entries.values() {
                *names.entry(*inode).or_insert(0) += 1;
                open.push((directory, *inode));
            }
        }
        self.inodes.retain(|number, _| names.contains_key(number));
        for (number, inode) in &mut self.inodes {
            inode.names = names[number];
            inode.opened = 0;
        }
    }
}
