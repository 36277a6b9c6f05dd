//! Writes to a file: side by side, but never overtaken by one that was dropped.

use std::io;

use super::{Stage, ready};
use crate::driver::Descriptor;
use crate::op::{Fsync, Ftruncate, Read, Settle, Submitted, Write};
use crate::sys::file::CURSOR;

fn write(file: &Descriptor, text: &'static str, offset: u64) -> Submitted<Write<&'static str>> {
    Submitted::new(Write::new(file.hold(), text, offset))
}

#[test]
fn writes_at_an_offset_run_side_by_side() {
    let stage = Stage::new();
    let file = stage.descriptor(7);
    let (mut one, mut other) = (write(&file, "one", 0), write(&file, "other", 0));
    assert!(stage.poll(&mut one).is_pending());
    assert!(stage.poll(&mut other).is_pending());
    assert_eq!(stage.happen(|script| script.names()), ["write", "write"]);
}

#[test]
fn a_write_after_a_dropped_one_begins_when_that_is_settled() {
    let stage = Stage::new();
    let file = stage.descriptor(7);
    for (before, after) in [(0, 0), (0, CURSOR), (CURSOR, 0), (CURSOR, CURSOR)] {
        let mut first = write(&file, "first", before);
        assert!(stage.poll(&mut first).is_pending());
        drop(first);
        let mut second = write(&file, "second", after);
        assert!(stage.poll(&mut second).is_pending());
        assert!(stage.poll(&mut second).is_pending(), "asked twice");
        assert_eq!(stage.happen(|script| script.names()), ["write"], "the second would be overtaken");
        stage.happen(|script| script.answer("write", 5));
        assert!(stage.poll(&mut second).is_pending());
        stage.happen(|script| script.answer("write", 6));
        assert_eq!(ready(stage.poll(&mut second)).0.unwrap(), 6);
    }
    stage.assert_settled();
}

#[test]
fn a_write_waits_until_the_last_of_several_dropped_ones_is_settled() {
    let stage = Stage::new();
    let file = stage.descriptor(7);
    let mut dropped = [write(&file, "a", 0), write(&file, "b", 1)];
    dropped.iter_mut().for_each(|write| assert!(stage.poll(write).is_pending()));
    drop(dropped);
    let mut next = write(&file, "c", 2);
    assert!(stage.poll(&mut next).is_pending());
    stage.happen(|script| script.answer("write", 1));
    assert!(stage.poll(&mut next).is_pending());
    assert_eq!(stage.happen(|script| script.names()), ["write"]);
    stage.happen(|script| script.answer("write", 1));
    assert!(stage.poll(&mut next).is_pending());
    assert_eq!(stage.happen(|script| script.names()), ["write"], "and now it is the next one's");
}

#[test]
fn what_follows_a_dropped_write_waits_and_what_only_reads_does_not() {
    let stage = Stage::new();
    let file = stage.descriptor(7);
    let mut first = write(&file, "first", 0);
    assert!(stage.poll(&mut first).is_pending());
    drop(first);
    let mut sync = Submitted::new(Fsync::new(file.hold(), false));
    let mut cut = Submitted::new(Ftruncate::new(file.hold(), 0));
    let mut read = Submitted::new(Read::new(file.hold(), Vec::with_capacity(8), 0));
    assert!(stage.poll(&mut sync).is_pending());
    assert!(stage.poll(&mut cut).is_pending());
    assert!(stage.poll(&mut read).is_pending());
    assert_eq!(stage.happen(|script| script.names()), ["write", "read"]);
    stage.happen(|script| script.answer("write", -libc::ECANCELED));
    assert!(stage.poll(&mut sync).is_pending());
    assert!(stage.poll(&mut cut).is_pending());
    assert_eq!(stage.happen(|script| script.names()), ["read", "fsync", "ftruncate"]);
}

#[test]
fn a_dropped_sync_holds_nobody_up() {
    let stage = Stage::new();
    let file = stage.descriptor(7);
    let mut sync = Submitted::new(Fsync::new(file.hold(), false));
    assert!(stage.poll(&mut sync).is_pending());
    drop(sync);
    assert!(stage.poll(&mut write(&file, "next", 0)).is_pending());
    assert_eq!(stage.happen(|script| script.names()), ["fsync", "write"]);
}

#[test]
fn what_became_of_dropped_writes_to_a_file_is_told_to_who_asks_and_to_nobody_else() {
    let stage = Stage::new();
    let file = stage.descriptor(7);
    for answer in [3, -libc::ENOSPC, -libc::EIO] {
        let mut dropped = write(&file, "text", 0);
        assert!(stage.poll(&mut dropped).is_pending());
        drop(dropped);
        stage.happen(|script| script.answer("write", answer));
    }
    let mut next = write(&file, "next", 0);
    assert!(stage.poll(&mut next).is_pending());
    stage.happen(|script| script.answer("write", 4));
    assert_eq!(ready(stage.poll(&mut next)).0.unwrap(), 4);
    let ask = || ready(stage.poll(&mut Submitted::new(Settle::new(file.hold()))));
    assert_eq!(ask().unwrap_err().kind(), io::ErrorKind::StorageFull, "the first of the two");
    assert_eq!(ask().unwrap(), 3);
    assert_eq!(ask().unwrap(), 0);
}

#[test]
fn closing_lets_those_go_that_wait_for_a_dropped_write() {
    let stage = Stage::new();
    let file = stage.descriptor(7);
    let mut first = write(&file, "first", 0);
    assert!(stage.poll(&mut first).is_pending());
    drop(first);
    let mut second = write(&file, "second", 0);
    assert!(stage.poll(&mut second).is_pending());
    drop(file);
    stage.happen(|script| script.answer("write", -libc::ECANCELED));
    let (result, text) = ready(stage.poll(&mut second));
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(text, "second");
    assert_eq!(stage.closed(), [7]);
}
