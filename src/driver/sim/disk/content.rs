//! What a file holds, page by page, and what of it is on the disk.
//!
//! Pages that were never written are holes, and read as zeroes. Of each page that was changed since the last sync the
//! content before is kept: a crash may bring it back.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::dice::Dice;

pub(super) const PAGE: u64 = 4096;

type Page = Rc<[u8; PAGE as usize]>;

#[derive(Default)]
pub(super) struct Content {
    pages: BTreeMap<u64, Page>,
    length: u64,
    /// What the disk has of pages that are otherwise by now.
    on_disk: BTreeMap<u64, Option<Page>>,
    length_on_disk: u64,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// How many pages it takes.
    pub(super) fn pages(&self) -> u64 {
        self.pages.len() as u64
    }

    pub(super) fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let end = self.length.min(offset.saturating_add(length as u64));
        let mut bytes = Vec::with_capacity(end.saturating_sub(offset) as usize);
        let mut place = offset;
        while place < end {
            let (number, from) = (place / PAGE, (place % PAGE) as usize);
            let until = (end - number * PAGE).min(PAGE) as usize;
            match self.pages.get(&number) {
                Some(page) => bytes.extend_from_slice(&page[from..until]),
                None => bytes.resize(bytes.len() + until - from, 0),
            }
            place = number * PAGE + until as u64;
        }
        bytes
    }

    /// Writes as much as fits into `room` new pages, and says how much that is.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8], mut room: u64) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            let place = offset + written as u64;
            let (number, from) = (place / PAGE, (place % PAGE) as usize);
            let count = (bytes.len() - written).min(PAGE as usize - from);
            if !self.pages.contains_key(&number) {
                if room == 0 {
                    break;
                }
                room -= 1;
            }
            let page = self.change(number);
            page[from..from + count].copy_from_slice(&bytes[written..written + count]);
            written += count;
        }
        if written > 0 {
            self.length = self.length.max(offset + written as u64);
        }
        written
    }

    /// A page to be written to. What the disk has of it is remembered.
    fn change(&mut self, number: u64) -> &mut [u8; PAGE as usize] {
        self.on_disk.entry(number).or_insert_with(|| self.pages.get(&number).cloned());
        Rc::make_mut(self.pages.entry(number).or_insert_with(|| Rc::new([0; PAGE as usize])))
    }

    pub(super) fn set_length(&mut self, length: u64) {
        if length < self.length {
            self.cut_off(length);
        }
        self.length = length;
    }

    /// What is behind the end is gone, so that it is zero if the file grows again.
    fn cut_off(&mut self, length: u64) {
        let first_whole = length.div_ceil(PAGE);
        for (number, page) in self.pages.split_off(&first_whole) {
            self.on_disk.entry(number).or_insert(Some(page));
        }
        let (last, within) = (length / PAGE, (length % PAGE) as usize);
        if within > 0 && self.pages.contains_key(&last) {
            self.change(last)[within..].fill(0);
        }
    }

    /// All of it is on the disk.
    pub(super) fn sync(&mut self) {
        self.on_disk.clear();
        self.length_on_disk = self.length;
    }

    /// Of what was not synced the dice say what had reached the disk all the same, page by page.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        for (number, before) in std::mem::take(&mut self.on_disk) {
            if dice.one_in(2) {
                match before {
                    Some(page) => self.pages.insert(number, page),
                    None => self.pages.remove(&number),
                };
            }
        }
        if self.length != self.length_on_disk && dice.one_in(2) {
            self.length = self.length_on_disk;
        }
        self.cut_off(self.length);
        self.sync();
    }
}
