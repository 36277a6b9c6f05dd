//! Names, directories, and what is known of files besides what is in them; each call held against std where there is std.

mod support;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{ErrorKind, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::{Duration, UNIX_EPOCH};

use annulus::Runtime;
use annulus::fs::{self, Advice, Dir, File, FileTimes, OpenOptions, RenameFlags};
use annulus::time::timeout;
use futures_util::FutureExt;
use support::outside::directory;
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    a_second_name_leads_to_the_same_file,
    a_symbolic_link_leads_on_and_can_be_read,
    links_that_lead_in_a_circle_are_an_error,
    canonicalize_takes_dots_and_links_away,
    try_exists_tells_there_from_not_there,
    a_rename_that_must_not_replace_does_not,
    an_exchange_gives_each_the_name_of_the_other,
    permissions_are_set_by_path_and_by_file,
    times_are_set_one_by_one,
    read_dir_gives_every_name_once,
    read_dir_of_many_names_gives_all,
    a_dropped_next_entry_loses_no_name,
    entries_know_their_kind_and_metadata,
    names_are_any_bytes,
    create_dir_all_makes_what_is_missing,
    create_dir_all_is_no_error_if_it_is_there,
    remove_dir_all_removes_everything_and_follows_no_link,
    a_very_deep_tree_is_removed_with_few_descriptors,
    copy_copies_content_and_permissions,
    copying_no_regular_file_is_refused,
    read_to_string_refuses_what_is_no_text,
    write_atomic_replaces_the_whole_and_keeps_permissions,
    write_atomic_leaves_nothing_beside,
    a_dropped_write_atomic_leaves_the_old_or_the_new,
    a_file_without_a_name_can_get_one,
    room_is_allocated_and_given_back,
    holes_are_found,
    copy_range_copies_a_part,
    handles_share_the_cursor_and_the_last_closes,
    seeking_moves_the_cursor,
    a_seek_knows_what_a_dropped_read_had_read,
    advice_and_sync_of_a_range_are_taken,
    attributes_are_set_listed_read_and_removed,
    a_lock_keeps_others_away_until_it_is_given_back,
    a_shared_lock_is_shared,
    waiting_for_a_lock_can_be_given_up,
    a_lock_goes_with_its_file,
    paths_are_walked_from_an_open_directory,
    a_confined_directory_is_not_left,
    an_open_directory_may_be_closed_while_names_in_it_are_used,
}

on_real_drivers! {
    because "std's own files are the measure":
        trees_are_those_of_std,
        entries_are_those_of_std;
    because "a mount point and /proc are the machine's":
        copy_goes_from_one_file_system_to_another,
        files_of_proc_are_copied;
    because "a simulated disk takes no advice, and its helpers are counted by nobody":
        advice_takes_a_helper_only_where_it_may_wait,
        advice_is_taken_on_more_than_four_gib;
    because "a file of std is the machine's":
        a_directory_is_shown_to_who_wants_its_descriptor,
        a_file_leaves_with_its_cursor_where_awaited_reads_left_it,
        what_cannot_be_read_again_leaves_beside_the_pipe,
        a_file_with_other_handles_leaves_as_a_duplicate;
}

async fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).await.unwrap()
}

async fn put(path: impl AsRef<Path>, text: &'static str) {
    fs::write(path, text).await.0.unwrap();
}

async fn names(path: impl AsRef<Path>) -> Vec<String> {
    let mut entries = fs::read_dir(path).await.unwrap();
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().await.unwrap() {
        names.push(entry.file_name().to_str().unwrap().to_owned());
    }
    names.sort();
    names
}

fn kind<T: std::fmt::Debug>(result: std::io::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

async fn a_second_name_leads_to_the_same_file() {
    let at = directory().await;
    let (one, other) = (at.path().join("one"), at.path().join("other"));
    put(&one, "text").await;
    fs::hard_link(&one, &other).await.unwrap();
    assert_eq!(fs::metadata(&one).await.unwrap().ino(), fs::metadata(&other).await.unwrap().ino());
    assert_eq!(fs::metadata(&one).await.unwrap().nlink(), 2);
    assert_eq!(kind(fs::hard_link(&one, &other).await), ErrorKind::AlreadyExists);
    fs::remove_file(&one).await.unwrap();
    assert_eq!(text(&other).await, "text");
    assert_eq!(fs::metadata(&other).await.unwrap().nlink(), 1);
}

async fn a_symbolic_link_leads_on_and_can_be_read() {
    let at = directory().await;
    let (file, link) = (at.path().join("file"), at.path().join("link"));
    fs::symlink("file", &link).await.unwrap();
    assert_eq!(kind(fs::read(&link).await), ErrorKind::NotFound, "nothing is there yet");
    put(&link, "through the link").await;
    assert_eq!(text(&file).await, "through the link");
    assert_eq!(fs::read_link(&link).await.unwrap(), Path::new("file"));
    assert!(fs::symlink_metadata(&link).await.unwrap().is_symlink());
    assert!(fs::metadata(&link).await.unwrap().is_file());
    assert_eq!(kind(fs::read_link(&file).await), ErrorKind::InvalidInput);
    fs::remove_file(&link).await.unwrap();
    assert_eq!(text(&file).await, "through the link");
}

async fn links_that_lead_in_a_circle_are_an_error() {
    let at = directory().await;
    fs::symlink("b", at.path().join("a")).await.unwrap();
    fs::symlink("a", at.path().join("b")).await.unwrap();
    let error = fs::metadata(at.path().join("a")).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
    let error = File::open(at.path().join("a/x")).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
}

async fn canonicalize_takes_dots_and_links_away() {
    let at = directory().await;
    let root = fs::canonicalize(at.path()).await.unwrap();
    fs::create_dir_all(root.join("a/b")).await.unwrap();
    put(root.join("a/b/file"), "").await;
    fs::symlink("a/./b", root.join("short")).await.unwrap();
    let found = fs::canonicalize(root.join("a/../short/../b/file")).await.unwrap();
    assert_eq!(found, root.join("a/b/file"));
    assert_eq!(kind(fs::canonicalize(root.join("nothing")).await), ErrorKind::NotFound);
}

async fn try_exists_tells_there_from_not_there() {
    let at = directory().await;
    assert!(fs::try_exists(at.path()).await.unwrap());
    assert!(!fs::try_exists(at.path().join("x")).await.unwrap());
    fs::symlink("x", at.path().join("link")).await.unwrap();
    assert!(!fs::try_exists(at.path().join("link")).await.unwrap(), "a link to nothing");
    put(at.path().join("x"), "").await;
    assert!(fs::try_exists(at.path().join("link")).await.unwrap());
    assert!(fs::try_exists(at.path().join("x/y")).await.is_err(), "a file is no directory");
}

async fn a_rename_that_must_not_replace_does_not() {
    let at = directory().await;
    let (one, other) = (at.path().join("one"), at.path().join("other"));
    put(&one, "1").await;
    put(&other, "2").await;
    assert_eq!(kind(fs::rename_with(&one, &other, RenameFlags::NoReplace).await), ErrorKind::AlreadyExists);
    assert_eq!((text(&one).await, text(&other).await), ("1".into(), "2".into()));
    fs::remove_file(&other).await.unwrap();
    fs::rename_with(&one, &other, RenameFlags::NoReplace).await.unwrap();
    assert_eq!(text(&other).await, "1");
}

async fn an_exchange_gives_each_the_name_of_the_other() {
    let at = directory().await;
    let (file, folder) = (at.path().join("file"), at.path().join("folder"));
    put(&file, "1").await;
    assert_eq!(kind(fs::rename_with(&file, &folder, RenameFlags::Exchange).await), ErrorKind::NotFound);
    fs::create_dir(&folder).await.unwrap();
    put(folder.join("in"), "2").await;
    fs::rename_with(&file, &folder, RenameFlags::Exchange).await.unwrap();
    assert_eq!((text(file.join("in")).await, text(&folder).await), ("2".into(), "1".into()));
}

async fn permissions_are_set_by_path_and_by_file() {
    let at = directory().await;
    let path = at.path().join("file");
    put(&path, "").await;
    fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).await.unwrap();
    assert_eq!(fs::metadata(&path).await.unwrap().mode() & 0o7777, 0o640);
    let file = File::open(&path).await.unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o400)).await.unwrap();
    let permissions = fs::metadata(&path).await.unwrap().permissions();
    assert!(permissions.readonly());
    assert_eq!(permissions.mode() & 0o7777, 0o400);
    let nowhere = fs::set_permissions(at.path().join("x"), permissions).await;
    assert_eq!(kind(nowhere), ErrorKind::NotFound);
}

async fn times_are_set_one_by_one() {
    let at = directory().await;
    let (path, link) = (at.path().join("file"), at.path().join("link"));
    put(&path, "").await;
    fs::symlink("file", &link).await.unwrap();
    let [one, two, three] = [1_000, 2_000, 3_000].map(|seconds| UNIX_EPOCH + Duration::new(seconds, 5));
    fs::set_times(&link, FileTimes::new().set_accessed(one).set_modified(two)).await.unwrap();
    File::open(&path).await.unwrap().set_times(FileTimes::new().set_modified(three)).await.unwrap();
    let metadata = fs::metadata(&path).await.unwrap();
    assert_eq!((metadata.accessed(), metadata.modified()), (one, three));
    fs::set_symlink_times(&link, FileTimes::new().set_modified(one)).await.unwrap();
    assert_eq!(fs::symlink_metadata(&link).await.unwrap().modified(), one);
    assert_eq!(fs::metadata(&path).await.unwrap().modified(), three);
}

async fn read_dir_gives_every_name_once() {
    let at = directory().await;
    assert_eq!(names(at.path()).await, [""; 0]);
    for name in ["c", "a", ".hidden", "b"] {
        put(at.path().join(name), "").await;
    }
    assert_eq!(names(at.path()).await, [".hidden", "a", "b", "c"]);
    assert_eq!(kind(fs::read_dir(at.path().join("a")).await), ErrorKind::NotADirectory);
    assert_eq!(kind(fs::read_dir(at.path().join("x")).await), ErrorKind::NotFound);
}

/// More than one batch of them.
async fn read_dir_of_many_names_gives_all() {
    let at = directory().await;
    let wanted: BTreeSet<_> = (0..1500).map(|number| format!("a name of some length {number:04}")).collect();
    for name in &wanted {
        File::create(at.path().join(name)).await.unwrap();
    }
    let found = names(at.path()).await;
    assert_eq!(found.len(), wanted.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), wanted);
}

async fn a_dropped_next_entry_loses_no_name() {
    let at = directory().await;
    for number in 0..20 {
        put(at.path().join(number.to_string()), "").await;
    }
    let mut entries = fs::read_dir(at.path()).await.unwrap();
    // Polled once, and dropped while the names are on their way.
    assert!(pin!(entries.next_entry()).now_or_never().is_none());
    let mut found = 0;
    while entries.next_entry().await.unwrap().is_some() {
        found += 1;
    }
    assert_eq!(found, 20);
}

async fn entries_know_their_kind_and_metadata() {
    let at = directory().await;
    put(at.path().join("file"), "12345").await;
    fs::create_dir(at.path().join("folder")).await.unwrap();
    fs::symlink("file", at.path().join("link")).await.unwrap();
    let mut entries = fs::read_dir(at.path()).await.unwrap();
    while let Some(entry) = entries.next_entry().await.unwrap() {
        let (kind, metadata) = (entry.file_type().await.unwrap(), entry.metadata().await.unwrap());
        assert_eq!(kind, metadata.file_type());
        assert_eq!(entry.ino(), metadata.ino());
        assert_eq!(entry.path(), at.path().join(entry.file_name()));
        match entry.file_name().to_str().unwrap() {
            "file" => assert!(kind.is_file() && metadata.len() == 5),
            "folder" => assert!(kind.is_dir()),
            "link" => assert!(kind.is_symlink()),
            other => panic!("{other}"),
        }
    }
    let mut entries = fs::read_dir(at.path()).await.unwrap();
    let entry = entries.next_entry().await.unwrap().unwrap();
    let path = entry.path();
    match entry.file_type().await.unwrap().is_dir() {
        true => fs::remove_dir(path).await.unwrap(),
        false => fs::remove_file(path).await.unwrap(),
    }
    assert_eq!(kind(entry.metadata().await), ErrorKind::NotFound, "removed meanwhile");
}

async fn names_are_any_bytes() {
    let at = directory().await;
    let wanted: BTreeSet<Vec<u8>> =
        [b"\xff\xfe".to_vec(), b"a\nb".to_vec(), b" ".to_vec(), vec![1; 255]].into_iter().collect();
    for name in &wanted {
        put(at.path().join(OsStr::from_bytes(name)), "").await;
    }
    let mut found = BTreeSet::new();
    let mut entries = fs::read_dir(at.path()).await.unwrap();
    while let Some(entry) = entries.next_entry().await.unwrap() {
        found.insert(entry.file_name().as_bytes().to_vec());
    }
    assert_eq!(found, wanted);
}

async fn create_dir_all_makes_what_is_missing() {
    let at = directory().await;
    fs::create_dir_all(at.path().join("a/b/c")).await.unwrap();
    assert!(fs::metadata(at.path().join("a/b/c")).await.unwrap().is_dir());
    put(at.path().join("file"), "").await;
    let error = fs::create_dir_all(at.path().join("file/d")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotADirectory);
    assert!(fs::create_dir_all("").await.is_ok(), "as std has it: where one is");
}

async fn create_dir_all_is_no_error_if_it_is_there() {
    let at = directory().await;
    fs::create_dir_all(at.path()).await.unwrap();
    fs::create_dir_all(at.path().join("x")).await.unwrap();
    fs::create_dir_all(at.path().join("x")).await.unwrap();
    put(at.path().join("file"), "").await;
    assert_eq!(kind(fs::create_dir_all(at.path().join("file")).await), ErrorKind::AlreadyExists);
}

async fn remove_dir_all_removes_everything_and_follows_no_link() {
    let at = directory().await;
    let (kept, tree) = (at.path().join("kept"), at.path().join("tree"));
    fs::create_dir(&kept).await.unwrap();
    put(kept.join("file"), "kept").await;
    fs::create_dir_all(tree.join("a/b")).await.unwrap();
    fs::create_dir_all(tree.join("c")).await.unwrap();
    for name in ["1", "a/2", "a/b/3", "c/4"] {
        put(tree.join(name), "").await;
    }
    fs::symlink(&kept, tree.join("a/link")).await.unwrap();
    fs::remove_dir_all(&tree).await.unwrap();
    assert_eq!(names(at.path()).await, ["kept"]);
    assert_eq!(text(kept.join("file")).await, "kept");

    fs::symlink(&kept, &tree).await.unwrap();
    fs::remove_dir_all(&tree).await.unwrap();
    assert_eq!(names(at.path()).await, ["kept"], "a link is removed itself");
    assert_eq!(text(kept.join("file")).await, "kept");
    assert_eq!(kind(fs::remove_dir_all(&tree).await), ErrorKind::NotFound);
}

/// Deeper than a path may be long, and than there may be descriptors.
async fn a_very_deep_tree_is_removed_with_few_descriptors() {
    let at = directory().await;
    let name = "a_directory_with_a_long_name";
    let mut deep = Dir::open(at.path()).await.unwrap();
    for _ in 0..1500 {
        deep.create_dir(name).await.unwrap();
        deep = deep.open_dir(name).await.unwrap();
    }
    drop(deep.create("file").await.unwrap());
    drop(deep);
    fs::remove_dir_all(at.path().join(name)).await.unwrap();
    assert_eq!(names(at.path()).await, [""; 0]);
}

async fn copy_copies_content_and_permissions() {
    let at = directory().await;
    let (from, to) = (at.path().join("from"), at.path().join("to"));
    let content: Vec<u8> = (0..1_000_003_u32).map(|number| (number % 251) as u8).collect();
    fs::write(&from, content.clone()).await.0.unwrap();
    fs::set_permissions(&from, std::fs::Permissions::from_mode(0o740)).await.unwrap();
    fs::write(&to, vec![1; 2_000_000]).await.0.unwrap();
    assert_eq!(fs::copy(&from, &to).await.unwrap(), content.len() as u64);
    assert!(fs::read(&to).await.unwrap() == content);
    assert_eq!(fs::metadata(&to).await.unwrap().mode() & 0o7777, 0o740);
    put(&from, "").await;
    assert_eq!(fs::copy(&from, &to).await.unwrap(), 0);
    assert_eq!(fs::metadata(&to).await.unwrap().len(), 0);
}

async fn copying_no_regular_file_is_refused() {
    let at = directory().await;
    let refused = fs::copy(at.path(), at.path().join("to")).await;
    assert!(refused.is_err());
    assert_eq!(names(at.path()).await, [""; 0], "nothing is made");
}

async fn read_to_string_refuses_what_is_no_text() {
    let at = directory().await;
    let path = at.path().join("file");
    fs::write(&path, vec![b'a', 0xff]).await.0.unwrap();
    let error = fs::read_to_string(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.to_string().contains("UTF-8"), "{error}");
}

async fn write_atomic_replaces_the_whole_and_keeps_permissions() {
    let at = directory().await;
    let path = at.path().join("file");
    fs::write_atomic(&path, "first, and longer").await.0.unwrap();
    fs::set_permissions(&path, std::fs::Permissions::from_mode(0o604)).await.unwrap();
    let before = fs::metadata(&path).await.unwrap().ino();
    let kept_open = File::open(&path).await.unwrap();
    fs::write_atomic(&path, "second").await.0.unwrap();
    assert_eq!(text(&path).await, "second");
    let after = fs::metadata(&path).await.unwrap();
    assert_ne!(after.ino(), before, "another file");
    assert_eq!(after.mode() & 0o7777, 0o604);
    assert_eq!(kept_open.read_at(Vec::with_capacity(50), 0).await.1, b"first, and longer");
}

async fn write_atomic_leaves_nothing_beside() {
    let at = directory().await;
    let path = at.path().join("n".repeat(255));
    fs::write_atomic(&path, "text").await.0.unwrap();
    assert_eq!(names(at.path()).await, ["n".repeat(255)]);
    fs::create_dir(at.path().join("folder")).await.unwrap();
    assert!(fs::write_atomic(at.path().join("folder"), "text").await.0.is_err());
    assert!(fs::write_atomic(at.path().join("no/where"), "text").await.0.is_err());
    assert_eq!(kind(fs::write_atomic("/", "text").await.0), ErrorKind::InvalidInput);
    assert_eq!(names(at.path()).await, ["folder".to_owned(), "n".repeat(255)]);
}

async fn a_dropped_write_atomic_leaves_the_old_or_the_new() {
    let at = directory().await;
    let path = at.path().join("file");
    put(&path, "old").await;
    for polls in 0..40 {
        let mut writing = Box::pin(fs::write_atomic(&path, "new"));
        for _ in 0..polls {
            if (&mut writing).now_or_never().is_some() {
                break;
            }
            annulus::time::sleep(Duration::from_micros(200)).await;
        }
        drop(writing);
        assert!(["old", "new"].contains(&text(&path).await.as_str()));
    }
    // What was begun beside it goes.
    let gone = async {
        while names(at.path()).await.len() > 1 {
            annulus::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), gone).await.unwrap();
}

async fn a_file_without_a_name_can_get_one() {
    let at = directory().await;
    let mut options = OpenOptions::new();
    let file = match options.read(true).write(true).unnamed(true).open(at.path()).await {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported) => {
            return println!("skipped: {error}");
        }
        Err(error) => panic!("{error}"),
    };
    file.write_all_at("text", 0).await.0.unwrap();
    assert_eq!(names(at.path()).await, [""; 0]);
    assert_eq!(file.metadata().await.unwrap().nlink(), 0);
    file.link_as(at.path().join("name")).await.unwrap();
    assert_eq!(text(at.path().join("name")).await, "text");
    assert_eq!(kind(file.link_as(at.path().join("name")).await), ErrorKind::AlreadyExists);
    assert!(options.create(true).open(at.path()).await.is_err(), "contradicts");
}

async fn room_is_allocated_and_given_back() {
    let at = directory().await;
    let file =
        OpenOptions::new().read(true).write(true).create(true).open(at.path().join("file")).await.unwrap();
    match file.allocate(0, 100_000).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => return println!("skipped: {error}"),
        result => result.unwrap(),
    }
    assert_eq!(file.metadata().await.unwrap().len(), 100_000);
    file.write_all_at(vec![7; 100_000], 0).await.0.unwrap();
    file.punch_hole(10_000, 50_000).await.unwrap();
    file.zero_range(70_000, 10_000).await.unwrap();
    let read = file.read_exact_at(Vec::with_capacity(100_000), 0).await.1;
    let is_zero = |at: usize| (10_000..60_000).contains(&at) || (70_000..80_000).contains(&at);
    assert!(read.iter().enumerate().all(|(at, byte)| *byte == if is_zero(at) { 0 } else { 7 }));
    assert!(file.metadata().await.unwrap().blocks() * 512 < 100_000, "some of it was given back");
    file.reserve(100_000, 50_000).await.unwrap();
    assert_eq!(file.metadata().await.unwrap().len(), 100_000, "the length stays");
    assert_eq!(kind(file.allocate(0, 0).await), ErrorKind::InvalidInput);
}

async fn holes_are_found() {
    let at = directory().await;
    let file =
        OpenOptions::new().read(true).write(true).create(true).open(at.path().join("file")).await.unwrap();
    file.set_len(10 << 20).await.unwrap();
    file.write_all_at(vec![1; 1 << 20], 4 << 20).await.0.unwrap();
    assert_eq!(file.next_data(0).await.unwrap(), Some(4 << 20));
    assert_eq!(file.next_hole(4 << 20).await.unwrap(), Some(5 << 20));
    assert_eq!(file.next_data(5 << 20).await.unwrap(), None, "nothing but a hole");
    assert_eq!(file.next_hole(6 << 20).await.unwrap(), Some(6 << 20));
    assert_eq!(file.next_hole(10 << 20).await.unwrap(), None, "behind the end");
    assert_eq!(file.next_data(u64::MAX).await.unwrap(), None);
}

async fn copy_range_copies_a_part() {
    let at = directory().await;
    put(at.path().join("from"), "0123456789").await;
    let from = File::open(at.path().join("from")).await.unwrap();
    let to = File::create(at.path().join("to")).await.unwrap();
    let mut copied = 0;
    while copied < 4 {
        copied += from.copy_range(3 + copied, &to, 2 + copied, 4 - copied as u32).await.unwrap() as u64;
    }
    assert_eq!(fs::read(at.path().join("to")).await.unwrap(), b"\0\x003456");
    assert_eq!(from.copy_range(10, &to, 0, 5).await.unwrap(), 0, "the end");
    assert!(
        to.copy_range(0, &from, 0, 5).await.is_err(),
        "neither the one is readable nor the other writable"
    );
}

async fn handles_share_the_cursor_and_the_last_closes() {
    let directory = directory().await;
    let path = directory.path().join("file");
    fs::write(&path, "0123456789").await.0.unwrap();
    let file = File::open(&path).await.unwrap();
    let other = file.try_clone().unwrap();
    assert_eq!(file.read(Vec::with_capacity(3)).await.1, b"012");
    assert_eq!(other.read(Vec::with_capacity(3)).await.1, b"345");
    // What a dropped read had read is the next one's, also of another handle.
    let mut read = Box::pin(file.read(Vec::with_capacity(2)));
    let _ = read.as_mut().now_or_never();
    drop(read);
    file.close().await.unwrap();
    let (result, rest) = other.read_exact(Vec::with_capacity(4)).await;
    result.unwrap();
    assert_eq!(rest, b"6789");
    other.close().await.unwrap();
}

/// Reads that are dropped at every stage, and then the file leaves.
async fn a_file_leaves_with_its_cursor_where_awaited_reads_left_it() {
    let directory = directory().await;
    let path = directory.path().join("file");
    fs::write(&path, "0123456789").await.0.unwrap();
    for turns in 0..5 {
        let file = File::open(&path).await.unwrap();
        assert_eq!(file.read(Vec::with_capacity(3)).await.1, b"012");
        let mut read = Box::pin(file.read(Vec::with_capacity(4)));
        let _ = read.as_mut().now_or_never();
        for _ in 0..turns {
            annulus::yield_now().await;
        }
        drop(read);
        let (mut file, rest) = file.into_std().await.unwrap();
        assert!(rest.is_empty());
        let mut text = String::new();
        std::io::Read::read_to_string(&mut file, &mut text).unwrap();
        assert_eq!(text, "3456789", "after {turns} turns");
    }
}

async fn what_cannot_be_read_again_leaves_beside_the_pipe() {
    let (reader, mut writer) = support::pipe::pipe();
    let reader = File::from_std(reader);
    let mut read = Box::pin(reader.read(Vec::with_capacity(5)));
    assert!(read.as_mut().now_or_never().is_none());
    std::io::Write::write_all(&mut writer, b"hello world").unwrap();
    // It has read by now, on the ring, or it does when it is told to stop: nobody knows which.
    annulus::time::sleep(Duration::from_millis(20)).await;
    drop(read);
    let (mut pipe, rest) = reader.into_std().await.unwrap();
    println!("{} bytes beside the pipe", rest.len());
    drop(writer);
    let mut text = rest;
    std::io::Read::read_to_end(&mut pipe, &mut text).unwrap();
    assert_eq!(text, b"hello world");
}

async fn a_file_with_other_handles_leaves_as_a_duplicate() {
    let directory = directory().await;
    let path = directory.path().join("file");
    fs::write(&path, "0123456789").await.0.unwrap();
    let file = File::open(&path).await.unwrap();
    let (mut leaving, _) = file.try_clone().unwrap().into_std().await.unwrap();
    let mut three = [0; 3];
    std::io::Read::read_exact(&mut leaving, &mut three).unwrap();
    assert_eq!((&three, &file.read(Vec::with_capacity(2)).await.1[..]), (b"012", &b"34"[..]), "one cursor");
    drop(leaving);
    assert_eq!(file.read(Vec::with_capacity(9)).await.1, b"56789", "it is open");
}

async fn seeking_moves_the_cursor() {
    let at = directory().await;
    put(at.path().join("file"), "0123456789").await;
    let file = File::open(at.path().join("file")).await.unwrap();
    assert_eq!(file.seek(SeekFrom::Start(4)).await.unwrap(), 4);
    assert_eq!(file.read_exact(Vec::with_capacity(2)).await.1, b"45");
    assert_eq!(file.seek(SeekFrom::Current(-1)).await.unwrap(), 5);
    assert_eq!(file.seek(SeekFrom::End(-3)).await.unwrap(), 7);
    assert_eq!(file.read_exact(Vec::with_capacity(3)).await.1, b"789");
    assert_eq!(kind(file.seek(SeekFrom::End(-11)).await), ErrorKind::InvalidInput);
    assert_eq!(kind(file.seek(SeekFrom::Start(u64::MAX)).await), ErrorKind::InvalidInput);
    assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), 10, "where it was");
}

async fn a_seek_knows_what_a_dropped_read_had_read() {
    let at = directory().await;
    put(at.path().join("file"), "0123456789").await;
    let file = File::open(at.path().join("file")).await.unwrap();
    let drop_a_read = async || {
        assert!(pin!(file.read(Vec::with_capacity(4))).now_or_never().is_none());
        annulus::time::sleep(Duration::from_millis(2)).await;
    };
    for _ in 0..20 {
        drop_a_read().await;
        assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), 0, "nobody has read anything");
        drop_a_read().await;
        assert_eq!(file.seek(SeekFrom::Start(2)).await.unwrap(), 2);
        assert_eq!(file.read_exact(Vec::with_capacity(3)).await.1, b"234");
        drop_a_read().await;
        assert_eq!(file.seek(SeekFrom::End(-1)).await.unwrap(), 9);
        assert_eq!(file.read(Vec::with_capacity(3)).await.1, b"9");
        file.seek(SeekFrom::Start(0)).await.unwrap();
    }
}

async fn advice_and_sync_of_a_range_are_taken() {
    let at = directory().await;
    let file =
        OpenOptions::new().read(true).write(true).create(true).open(at.path().join("file")).await.unwrap();
    file.write_all_at(vec![1; 10_000], 0).await.0.unwrap();
    file.sync_range(0, 4096).await.unwrap();
    file.sync_range(0, 0).await.unwrap();
    use Advice::*;
    for advice in [Normal, Sequential, Random, WillNeed, NoReuse, DontNeed] {
        file.advise(0, 0, advice).await.unwrap();
    }
    assert_eq!(file.read_exact_at(Vec::with_capacity(10_000), 0).await.1, [1; 10_000]);
}

async fn advice_takes_a_helper_only_where_it_may_wait() {
    use Advice::*;
    let at = directory().await;
    let file = File::create(at.path().join("file")).await.unwrap();
    let runtime = Runtime::try_current().unwrap();
    let jobs = || runtime.metrics().helper_jobs_done;
    let before = jobs();
    for advice in [Normal, Sequential, Random, NoReuse] {
        file.advise(0, 4096, advice).await.unwrap();
    }
    assert_eq!(jobs(), before, "a note on the open file");
    for advice in [WillNeed, DontNeed] {
        file.advise(0, 4096, advice).await.unwrap();
    }
    let expected = if runtime.driver() == "uring" { before } else { before + 2 };
    assert_eq!(jobs(), expected, "what may wait for the disk");
}

/// The ring's entry has 32 bits for a length. Cut off, this one would be of one page at the beginning.
async fn advice_is_taken_on_more_than_four_gib() {
    const FAR: u64 = 1 << 32;
    let at = directory().await;
    let path = at.path().join("file");
    let file = File::create(&path).await.unwrap();
    file.write_all_at(vec![1; 4096], FAR).await.0.unwrap();
    file.sync_all().await.unwrap();
    let other = std::fs::File::open(&path).unwrap();
    if !is_in_memory(&other, FAR) {
        return println!("skipped: advice on more than 4 GiB: nobody says here what is in memory");
    }
    file.advise(0, 4096, Advice::DontNeed).await.unwrap();
    assert!(is_in_memory(&other, FAR), "that was about the first page");
    // Now and then another processor still holds the page for a moment.
    for _ in 0..10 {
        file.advise(0, FAR + 4096, Advice::DontNeed).await.unwrap();
        if !is_in_memory(&other, FAR) {
            return;
        }
        annulus::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    forget(&other);
    assert!(is_in_memory(&other, FAR), "the whole file is forgotten by another call, and was not by ours");
    println!("skipped: advice on more than 4 GiB: this file system forgets nothing");
}

#[cfg(target_os = "linux")]
fn is_in_memory(file: &std::fs::File, offset: u64) -> bool {
    let mut byte = [0];
    let how = rustix::io::ReadWriteFlags::NOWAIT;
    rustix::io::preadv2(file, &mut [std::io::IoSliceMut::new(&mut byte)], offset, how).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_: &std::fs::File, _: u64) -> bool {
    false
}

/// Of the whole file.
#[cfg(target_os = "linux")]
fn forget(file: &std::fs::File) {
    rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
}

#[cfg(not(target_os = "linux"))]
fn forget(_: &std::fs::File) {}

async fn attributes_are_set_listed_read_and_removed() {
    let at = directory().await;
    let file = File::create(at.path().join("file")).await.unwrap();
    match file.set_xattr("user.colour", "blue").await {
        Err(error) if error.kind() == ErrorKind::Unsupported => return println!("skipped: {error}"),
        result => result.unwrap(),
    }
    file.set_xattr("user.long", vec![7; 3000]).await.unwrap();
    file.set_xattr("user.empty", "").await.unwrap();
    assert_eq!(file.xattr("user.colour").await.unwrap().unwrap(), b"blue");
    assert_eq!(file.xattr("user.long").await.unwrap().unwrap(), vec![7; 3000]);
    assert_eq!(file.xattr("user.empty").await.unwrap().unwrap(), b"");
    assert_eq!(file.xattr("user.none").await.unwrap(), None);
    let mut names: Vec<_> = file.xattrs().await.unwrap();
    names.retain(|name| name.as_bytes().starts_with(b"user."));
    names.sort();
    assert_eq!(names, ["user.colour", "user.empty", "user.long"]);
    assert!(file.remove_xattr("user.long").await.unwrap());
    assert!(!file.remove_xattr("user.long").await.unwrap());
    assert_eq!(file.xattr("user.long").await.unwrap(), None);
    assert_eq!(kind(file.set_xattr("user.a\0b", "").await), ErrorKind::InvalidInput);
    assert!(file.set_xattr("no class", "").await.is_err());
}

async fn a_lock_keeps_others_away_until_it_is_given_back() {
    let at = directory().await;
    let path = at.path().join("lock");
    let (one, other) = (File::create(&path).await.unwrap(), File::create(&path).await.unwrap());
    one.lock().await.unwrap();
    assert!(one.try_lock().await.unwrap(), "it has it");
    assert!(!other.try_lock().await.unwrap());
    assert!(!other.try_lock_shared().await.unwrap());
    let waiting = annulus::spawn(async move {
        other.lock().await.unwrap();
        other
    });
    annulus::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished());
    one.unlock().await.unwrap();
    let other = timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    assert!(!one.try_lock().await.unwrap());
    drop(other);
}

async fn a_shared_lock_is_shared() {
    let at = directory().await;
    let path = at.path().join("lock");
    put(&path, "").await;
    let [one, two, three] = [File::open(&path).await, File::open(&path).await, File::open(&path).await];
    let [one, two, three] = [one, two, three].map(Result::unwrap);
    one.lock_shared().await.unwrap();
    two.lock_shared().await.unwrap();
    assert!(three.try_lock_shared().await.unwrap());
    three.unlock().await.unwrap();
    assert!(!three.try_lock().await.unwrap());
    one.unlock().await.unwrap();
    assert!(!three.try_lock().await.unwrap());
    two.unlock().await.unwrap();
    assert!(three.try_lock().await.unwrap());
}

async fn waiting_for_a_lock_can_be_given_up() {
    let at = directory().await;
    let path = at.path().join("lock");
    let (one, other) = (File::create(&path).await.unwrap(), File::create(&path).await.unwrap());
    one.lock().await.unwrap();
    assert!(timeout(Duration::from_millis(30), other.lock()).await.is_err());
    one.unlock().await.unwrap();
    assert!(one.try_lock().await.unwrap(), "who gave up does not have it");
}

async fn a_lock_goes_with_its_file() {
    let at = directory().await;
    let path = at.path().join("lock");
    let (one, other) = (File::create(&path).await.unwrap(), File::create(&path).await.unwrap());
    one.lock().await.unwrap();
    one.close().await.unwrap();
    assert!(other.try_lock().await.unwrap());
}

async fn paths_are_walked_from_an_open_directory() {
    let at = directory().await;
    let (one, other) = (at.path().join("one"), at.path().join("other"));
    fs::create_dir(&one).await.unwrap();
    let dir = Dir::open(&one).await.unwrap();
    // Wherever it is by now.
    fs::rename(&one, &other).await.unwrap();
    dir.create_dir("sub").await.unwrap();
    dir.create("sub/file").await.unwrap().write_all_at("text", 0).await.0.unwrap();
    assert_eq!(text(other.join("sub/file")).await, "text");
    dir.symlink("sub/file", "link").await.unwrap();
    assert_eq!(dir.read_link("link").await.unwrap(), Path::new("sub/file"));
    assert!(dir.symlink_metadata("link").await.unwrap().is_symlink());
    assert_eq!(dir.metadata("link").await.unwrap().len(), 4);
    assert!(dir.metadata("../other").await.unwrap().is_dir(), "it may be left");
    let sub = dir.open_dir("sub").await.unwrap();
    dir.hard_link("sub/file", &sub, "second").await.unwrap();
    dir.rename("link", &sub, "moved", RenameFlags::Replace).await.unwrap();
    let mut found = Vec::new();
    let mut entries = sub.read_dir().await.unwrap();
    while let Some(entry) = entries.next_entry().await.unwrap() {
        found.push(entry.file_name().to_owned());
    }
    found.sort();
    assert_eq!(found, ["file", "moved", "second"]);
    for name in ["file", "moved", "second"] {
        sub.remove_file(name).await.unwrap();
    }
    dir.remove_dir("sub").await.unwrap();
    dir.sync().await.unwrap();
    assert_eq!(names(&other).await, [""; 0]);
}

async fn a_confined_directory_is_not_left() {
    let at = directory().await;
    let (inside, outside) = (at.path().join("inside"), at.path().join("outside"));
    fs::create_dir(&inside).await.unwrap();
    put(&outside, "secret").await;
    put(inside.join("file"), "text").await;
    fs::create_dir(inside.join("sub")).await.unwrap();
    for (target, name) in [("../outside", "up"), ("..", "above"), ("/", "root"), ("sub/../file", "within")] {
        fs::symlink(target, inside.join(name)).await.unwrap();
    }
    let dir = Dir::open(&inside).await.unwrap().confined();
    let mut absolute = PathBuf::from("/");
    absolute.push(&outside);
    for path in ["../outside", "up", "above/outside", "root", "sub/../../outside", absolute.to_str().unwrap()]
    {
        let crosses = |error: std::io::Error| assert_eq!(error.raw_os_error(), Some(libc::EXDEV), "{path}");
        crosses(dir.open_file(path).await.unwrap_err());
        crosses(dir.metadata(path).await.unwrap_err());
    }
    for path in ["../x", "above/x", "sub/../../x", "..", "/x"] {
        let crosses = |error: std::io::Error| assert_eq!(error.raw_os_error(), Some(libc::EXDEV), "{path}");
        crosses(dir.create_dir(path).await.unwrap_err());
        crosses(dir.remove_file(path).await.unwrap_err());
        crosses(dir.symlink("x", path).await.unwrap_err());
        crosses(dir.rename("file", &dir, path, RenameFlags::Replace).await.unwrap_err());
    }
    assert_eq!(dir.metadata("within").await.unwrap().len(), 4, "as long as it is not left");
    let sub = dir.descend("sub").await.unwrap();
    assert_eq!(
        sub.open_file("../file").await.unwrap_err().raw_os_error(),
        Some(libc::EXDEV),
        "neither is one below"
    );
    assert_eq!(dir.descend("..").await.unwrap_err().raw_os_error(), Some(libc::EXDEV));
    assert_eq!(kind(dir.descend("above").await), ErrorKind::NotADirectory, "a link is not followed");
    dir.create("sub/new").await.unwrap();
    dir.remove_file("sub/new").await.unwrap();
    assert!(kind(dir.open_dir("sub").await.unwrap().open_file("../file").await) != ErrorKind::NotFound);
    assert_eq!(text(&outside).await, "secret");
}

async fn a_directory_is_shown_to_who_wants_its_descriptor() {
    let at = directory().await;
    let dir = Dir::open(at.path()).await.unwrap();
    let duplicate = dir.with_fd(|directory| directory.try_clone_to_owned()).unwrap().unwrap();
    drop(dir);
    let there = std::fs::File::from(duplicate).metadata().unwrap();
    assert_eq!(there.ino(), std::fs::metadata(at.path()).unwrap().ino());
}

async fn an_open_directory_may_be_closed_while_names_in_it_are_used() {
    let at = directory().await;
    let dir = Dir::open(at.path()).await.unwrap();
    let making = dir.create_dir("sub");
    let mut making = Box::pin(making);
    assert!((&mut making).now_or_never().is_none());
    let other = dir.clone();
    drop(making);
    drop(dir);
    other.create_dir("another").await.unwrap();
    assert!(names(at.path()).await.contains(&"another".to_owned()));
}

async fn trees_are_those_of_std() {
    let at = tempfile::tempdir().unwrap();
    fs::create_dir_all(at.path().join("a/b")).await.unwrap();
    fs::DirBuilder::new().mode(0o750).create(at.path().join("c")).await.unwrap();
    std::fs::create_dir(at.path().join("d")).unwrap();
    let mode = |name: &str| std::fs::metadata(at.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode("a"), mode("d"));
    assert_eq!(mode("a/b"), mode("d"));
    assert_eq!(mode("c") & 0o777, 0o750);
    let there = std::fs::create_dir(at.path().join("a")).unwrap_err();
    assert_eq!(kind(fs::create_dir(at.path().join("a")).await), there.kind());
}

async fn entries_are_those_of_std() {
    let of_std: BTreeSet<_> = std::fs::read_dir("/dev")
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let kind = entry.file_type().unwrap();
            (entry.file_name(), kind.is_dir(), kind.is_file(), kind.is_symlink())
        })
        .collect();
    let mut ours = BTreeSet::new();
    let mut entries = fs::read_dir("/dev").await.unwrap();
    while let Some(entry) = entries.next_entry().await.unwrap() {
        let kind = entry.file_type().await.unwrap();
        ours.insert((entry.file_name().to_owned(), kind.is_dir(), kind.is_file(), kind.is_symlink()));
    }
    assert_eq!(ours, of_std);
}

async fn copy_goes_from_one_file_system_to_another() {
    let memory = Path::new("/dev/shm");
    let Ok(other) = tempfile::tempdir_in(memory) else { return println!("skipped: there is no {memory:?}") };
    let at = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let content: Vec<u8> = (0..700_001_u32).map(|number| (number % 253) as u8).collect();
    std::fs::write(at.path().join("file"), &content).unwrap();
    let copied = fs::copy(at.path().join("file"), other.path().join("file")).await.unwrap();
    assert_eq!(copied, content.len() as u64);
    assert!(std::fs::read(other.path().join("file")).unwrap() == content);
}

async fn files_of_proc_are_copied() {
    let at = tempfile::tempdir().unwrap();
    let copied = fs::copy("/proc/self/status", at.path().join("status")).await.unwrap();
    assert!(copied > 100, "although the system says that it has 0 bytes");
    assert_eq!(std::fs::metadata(at.path().join("status")).unwrap().len(), copied);
}
