//! The contents of a file: pages that somebody wrote, and holes, which read as zeroes and take no room.
//!
//! Two rules. No page begins at the length or beyond it, and what lies beyond the length in the last page is zero:
//! so a file that grows shows zeroes. And for each page that is not on the disk as it is now, `changed` holds it as
//! it is there: so a crash finds everything that it may bring back.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::crash::Luck;
use crate::dice::Dice;

/// What is read and written as one piece: of a page, a crash leaves all of a change or nothing.
pub(super) const PAGE: u64 = 4096;

type Page = Rc<[u8; PAGE as usize]>;

#[derive(Default)]
pub(super) struct Contents {
    length: u64,
    pages: BTreeMap<u64, Page>,
    /// The pages that changed since the last sync, as they were then; None was a hole.
    changed: BTreeMap<u64, Option<Page>>,
    durable_length: u64,
    /// The least length since the last sync: a file that was emptied and filled again may come back empty.
    least_length: u64,
}

impl Contents {
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// How many pages of room it takes.
    pub(super) fn pages(&self) -> u64 {
        self.pages.len() as u64
    }

    /// At most `length` bytes from `offset`: fewer at the end, none beyond it.
    pub(super) fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let length = self.length.saturating_sub(offset).min(length as u64);
        let mut bytes = vec![0; length as usize];
        if length > 0 {
            let end = offset + length;
            for (index, page) in self.pages.range(offset / PAGE..=(end - 1) / PAGE) {
                let start = index * PAGE;
                let (from, to) = (offset.max(start), end.min(start.saturating_add(PAGE)));
                let place = (from - offset) as usize..(to - offset) as usize;
                bytes[place].copy_from_slice(&page[(from - start) as usize..(to - start) as usize]);
            }
        }
        bytes
    }

    /// Writes as much as goes with `room` more pages, and says how much that was. The end is at most `LENGTH_MAX`.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8], mut room: u64) -> usize {
        let mut written = 0;
        while written < bytes.len() {
            let at = offset + written as u64;
            let (index, start) = (at / PAGE, (at % PAGE) as usize);
            if !self.pages.contains_key(&index) {
                if room == 0 {
                    break;
                }
                room -= 1;
            }
            let piece = (PAGE as usize - start).min(bytes.len() - written);
            let page = self.page_to_change(index);
            page[start..start + piece].copy_from_slice(&bytes[written..written + piece]);
            written += piece;
        }
        if written > 0 {
            self.length = self.length.max(offset + written as u64);
        }
        written
    }

    pub(super) fn set_length(&mut self, length: u64) {
        if length < self.length {
            let cut: Vec<_> = self.pages.range(length / PAGE..).map(|(index, _)| *index).collect();
            for index in cut {
                self.remember(index);
            }
            self.cut(length);
            self.least_length = self.least_length.min(length);
        }
        self.length = length;
    }

    /// Makes zeroes of what lies between; whole pages are holes then.
    pub(super) fn clear(&mut self, from: u64, to: u64) {
        let to = to.min(self.length);
        let touched: Vec<_> = match from < to {
            true => self.pages.range(from / PAGE..to.div_ceil(PAGE)).map(|(index, _)| *index).collect(),
            false => Vec::new(),
        };
        for index in touched {
            let start = index * PAGE;
            let (first, last) = (from.max(start) - start, to.min(start + PAGE) - start);
            self.remember(index);
            match (first, last) {
                (0, PAGE) => drop(self.pages.remove(&index)),
                _ => self.page_to_change(index)[first as usize..last as usize].fill(0),
            }
        }
    }

    /// Where data begin, or a hole, from an offset within the length on. Behind the end is a hole.
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_vendor = "apple"))]
    pub(super) fn next(&self, at: u64, wants_data: bool) -> Option<u64> {
        let page = at / PAGE;
        match wants_data {
            true => self.pages.range(page..).next().map(|(index, _)| at.max(index * PAGE)),
            false => {
                let hole = (page..).find(|index| !self.pages.contains_key(index))?;
                Some(at.max(hole * PAGE).min(self.length))
            }
        }
    }

    /// From now on a crash takes nothing of this.
    pub(super) fn sync(&mut self) {
        self.changed.clear();
        self.durable_length = self.length;
        self.least_length = self.length;
    }

    /// Decides page by page what of the changes had reached the disk, and leaves that.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        let luck = Luck::draw(dice);
        let length = self.length_after(&luck, dice);
        for (index, before) in std::mem::take(&mut self.changed) {
            let after = match luck.strikes(dice) {
                true => self.joined(index, before),
                false => before,
            };
            match after {
                Some(page) => self.pages.insert(index, page),
                None => self.pages.remove(&index),
            };
        }
        self.cut(length);
        self.length = length;
        self.sync();
    }

    fn length_after(&self, luck: &Luck, dice: &mut Dice) -> u64 {
        if luck.strikes(dice) {
            return self.length;
        }
        match dice.below(3) {
            0 => self.durable_length,
            1 => self.least_length,
            // It grew by several writes, perhaps, and some of them were in time.
            _ => dice.within(self.least_length, self.length),
        }
    }

    /// The page as it is now up to the length, and as it was before beyond that: there it was cut off, not written
    /// over, so it is back if the length is. A file that was only cut comes back either whole or cut.
    fn joined(&self, index: u64, before: Option<Page>) -> Option<Page> {
        let now = self.pages.get(&index).cloned();
        let kept = self.length.saturating_sub(index * PAGE).min(PAGE) as usize;
        let Some(before) = before else { return now };
        let mut page = now.unwrap_or_else(hole);
        Rc::make_mut(&mut page)[kept..].copy_from_slice(&before[kept..]);
        Some(page)
    }

    fn page_to_change(&mut self, index: u64) -> &mut [u8; PAGE as usize] {
        self.remember(index);
        Rc::make_mut(self.pages.entry(index).or_insert_with(hole))
    }

    /// Keeps a page as it is on the disk; one that changed before is kept already.
    fn remember(&mut self, index: u64) {
        let pages = &self.pages;
        self.changed.entry(index).or_insert_with(|| pages.get(&index).cloned());
    }

    /// Takes away what lies beyond `length` (the first rule).
    fn cut(&mut self, length: u64) {
        self.pages.split_off(&length.div_ceil(PAGE));
        if let Some(last) = self.pages.get_mut(&(length / PAGE)) {
            Rc::make_mut(last)[(length % PAGE) as usize..].fill(0);
        }
    }
}

fn hole() -> Page {
    Rc::new([0; PAGE as usize])
}
