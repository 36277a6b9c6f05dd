//! Open directories and their entries: what is asked of them besides names and paths.

mod support;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::path::Path;

use annulus::fs::{self, Dir, DirBuilder, OpenOptions};
use support::on_every_driver;
use support::outside::directory;

on_every_driver! {
    an_open_directory_says_what_it_is_itself,
    an_open_directory_opens_as_it_is_told,
    entries_are_polled_for,
    a_directory_is_built_alone_or_with_those_above_it,
    names_that_go_while_they_are_read_are_no_error,
}

async fn an_open_directory_says_what_it_is_itself() {
    let at = directory().await;
    let (folder, moved) = (at.path().join("folder"), at.path().join("moved"));
    fs::create_dir(&folder).await.unwrap();
    let of_path = fs::metadata(&folder).await.unwrap();
    for dir in [Dir::open(&folder).await.unwrap(), Dir::open(&folder).await.unwrap().confined()] {
        let its_own = dir.dir_metadata().await.unwrap();
        assert!(its_own.is_dir());
        assert_eq!((its_own.dev(), its_own.ino()), (of_path.dev(), of_path.ino()));
        // Wherever it is by now, and also if it is nowhere.
        fs::rename(&folder, &moved).await.unwrap();
        assert_eq!(dir.dir_metadata().await.unwrap().ino(), of_path.ino());
        fs::rename(&moved, &folder).await.unwrap();
    }
    let dir = Dir::open(&folder).await.unwrap();
    fs::remove_dir(&folder).await.unwrap();
    assert_eq!(dir.dir_metadata().await.unwrap().ino(), of_path.ino());
    assert_eq!(dir.create("file").await.unwrap_err().kind(), ErrorKind::NotFound, "nothing is made in it");
}

async fn an_open_directory_opens_as_it_is_told() {
    let at = directory().await;
    for dir in [Dir::open(at.path()).await.unwrap(), Dir::open(at.path()).await.unwrap().confined()] {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true).mode(0o640);
        let log = dir.open_with(&options, "log").await.unwrap();
        assert_eq!(log.metadata().await.unwrap().mode() & 0o777, 0o640);
        log.write_all_at("one ", 100).await.0.unwrap();
        log.write_all_at("two", 0).await.0.unwrap();
        assert_eq!(log.read_at(Vec::with_capacity(20), 0).await.1, b"one two", "at the end, each");
        let there = dir.open_with(&options, "log").await.unwrap_err();
        assert_eq!(there.kind(), ErrorKind::AlreadyExists);
        let nothing = dir.open_with(&OpenOptions::new(), "log").await.unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::InvalidInput);
        dir.remove_file("log").await.unwrap();
    }
}

async fn entries_are_polled_for() {
    let at = directory().await;
    for name in ["a", "b", "c"] {
        fs::write(at.path().join(name), "").await.0.unwrap();
    }
    let mut entries = fs::read_dir(at.path()).await.unwrap();
    let mut found = Vec::new();
    while let Some(entry) = poll_fn(|cx| entries.poll_next_entry(cx)).await.unwrap() {
        found.push(entry.file_name().to_owned());
    }
    found.sort();
    assert_eq!(found, ["a", "b", "c"]);
    assert!(poll_fn(|cx| entries.poll_next_entry(cx)).await.unwrap().is_none(), "asked again");
}

async fn a_directory_is_built_alone_or_with_those_above_it() {
    let at = directory().await;
    let deep = at.path().join("a/b/c");
    let mode = async |path: &Path| fs::metadata(path).await.unwrap().mode() & 0o7777;
    let mut builder = DirBuilder::new();
    assert_eq!(builder.create(&deep).await.unwrap_err().kind(), ErrorKind::NotFound);
    builder.mode(0o700).recursive(true).create(&deep).await.unwrap();
    for path in [deep.as_path(), deep.parent().unwrap(), &at.path().join("a")] {
        assert_eq!(mode(path).await, 0o700, "{}", path.display());
    }
    builder.create(&deep).await.unwrap();
    builder.recursive(false);
    assert_eq!(builder.create(&deep).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    builder.mode(0o750).create(deep.join("d")).await.unwrap();
    assert_eq!(mode(&deep.join("d")).await, 0o750);
}

async fn names_that_go_while_they_are_read_are_no_error() {
    let at = directory().await;
    for number in 0..1000 {
        fs::write(at.path().join(format!("a name of some length {number}")), "").await.0.unwrap();
    }
    let mut entries = fs::read_dir(at.path()).await.unwrap();
    let mut found = 0;
    while let Some(entry) = entries.next_entry().await.unwrap() {
        found += 1;
        fs::remove_file(entry.path()).await.unwrap();
        // It is gone: its kind is known from the name's entry, and nothing else.
        assert_eq!(entry.metadata().await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(found, 1000, "each once, though each was removed when it was seen");
    fs::remove_dir(at.path()).await.unwrap();
    fs::create_dir(at.path()).await.unwrap();
}
