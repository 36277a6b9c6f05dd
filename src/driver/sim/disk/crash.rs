//! A crash: the power fails, and of what was not synced the dice decide what had reached the disk already.
//!
//! What was synced is there afterwards, and whole. All that is there afterwards is durable.

use std::collections::BTreeMap;

use super::Disk;
use super::inode::Kind;
use super::paths::ROOT;
use crate::dice::Dice;

/// How much reached the disk in time, for the names and for each file anew: from nothing to everything. So these
/// two are not rare, however much there is to decide.
pub(super) struct Luck {
    of_four: u64,
}

impl Luck {
    pub(super) fn draw(dice: &mut Dice) -> Luck {
        Luck { of_four: dice.below(5) }
    }

    pub(super) fn strikes(&self, dice: &mut Dice) -> bool {
        dice.below(4) < self.of_four
    }
}

impl Disk {
    /// Nobody has a file open afterwards: one that was opened before says EBADF.
    pub(crate) fn crash(&mut self, dice: &mut Dice) {
        // So that what the caller decides next does not depend on how much there was to decide here.
        let mut dice = dice.split();
        self.crashes += 1;
        self.crash_names(&mut dice);
        let names = self.drop_what_no_name_leads_to();
        for (number, inode) in &mut self.inodes {
            inode.opened = 0;
            inode.locks.clear();
            inode.names = names[number];
            inode.recoverable = inode.names;
            if let Kind::File(contents) = &mut inode.kind {
                contents.crash(&mut dice);
            }
        }
    }

    fn crash_names(&mut self, dice: &mut Dice) {
        let luck = Luck::draw(dice);
        let numbers: Vec<_> = self.journal.changes.keys().copied().collect();
        // What a change needs is earlier, so it is settled by now or stays in the journal.
        for number in numbers {
            let change = &self.journal.changes[&number];
            let is_possible = !change.needs.iter().any(|need| self.journal.changes.contains_key(need));
            if luck.strikes(dice) && is_possible {
                self.settle(number);
            }
        }
        self.journal.changes.clear();
        for inode in self.inodes.values_mut() {
            let Kind::Directory(directory) = &mut inode.kind else { continue };
            for (name, changed) in std::mem::take(&mut directory.changed) {
                match changed.durable {
                    Some(inode) => directory.names.insert(name, inode),
                    None => directory.names.remove(&name),
                };
            }
        }
    }

    /// Says how many names lead to each that stays.
    fn drop_what_no_name_leads_to(&mut self) -> BTreeMap<u64, u64> {
        let mut names = BTreeMap::from([(ROOT, 1)]);
        let mut to_look_at = vec![ROOT];
        while let Some(above) = to_look_at.pop() {
            let Ok(directory) = self.directory(above) else { continue };
            let inside: Vec<_> = directory.names.values().copied().collect();
            for number in inside {
                let count = names.entry(number).or_insert(0);
                *count += 1;
                if *count == 1 {
                    to_look_at.push(number);
                }
                if let Some(inode) = self.inodes.get_mut(&number) {
                    inode.above = above;
                }
            }
        }
        self.inodes.retain(|number, _| names.contains_key(number));
        names
    }
}
