//! What a crash leaves of names.

use super::*;

#[test]
fn a_sync_of_a_new_file_keeps_its_content_but_not_its_name() {
    let prepare = |disk: &mut Disk| {
        let file = put(disk, "/a", b"kept");
        disk.sync(&file, false).unwrap();
    };
    let seen = after_crashes(prepare, |disk| content(disk, "/a"));
    assert_eq!(seen, [None, Some(b"kept".to_vec())].into());
}

#[test]
fn a_sync_of_a_directory_keeps_its_names_but_not_its_own() {
    let prepare = |disk: &mut Disk| {
        make_directory(disk, "/d");
        for name in ["/d/a", "/d/b", "/d/c"] {
            create(disk, name);
        }
        disk.unlink(b"/d/b", 0, NOW).unwrap();
        sync_directory(disk, "/d");
    };
    let seen = after_crashes(prepare, |disk| disk.stat_path(b"/d", true).ok().map(|_| names(disk, "/d")));
    assert_eq!(seen, [None, Some(owned(&["a", "c"]))].into());
}

#[test]
fn a_rename_from_one_directory_to_another_loses_nothing_and_doubles_nothing() {
    let prepare = |disk: &mut Disk| {
        put_durably(disk, "/a", b"x");
        make_directory(disk, "/d");
        disk.rename(b"/a", b"/d/b", 0, NOW).unwrap();
    };
    let places = |disk: &mut Disk| {
        let (from, to) = (content(disk, "/a"), content(disk, "/d/b"));
        assert!(from.is_some() != to.is_some(), "{from:?} {to:?}");
        to.is_some()
    };
    assert_eq!(after_crashes(prepare, places), [false, true].into());
    // A sync of either directory is enough: it was one change.
    for synced in ["/", "/d"] {
        let prepare_durably = |disk: &mut Disk| {
            prepare(disk);
            sync_directory(disk, synced);
        };
        assert_eq!(after_crashes(prepare_durably, places), [true].into());
    }
}

#[test]
fn a_removed_directory_takes_nothing_with_it_that_moved_out() {
    let prepare = |disk: &mut Disk| {
        make_directory(disk, "/d");
        put(disk, "/d/a", b"x");
        sync_directory(disk, "/");
        sync_directory(disk, "/d");
        disk.rename(b"/d/a", b"/tmp/a", 0, NOW).unwrap();
        disk.unlink(b"/d", libc::AT_REMOVEDIR, NOW).unwrap();
    };
    let seen = after_crashes(prepare, |disk| {
        let places = (content(disk, "/d/a").is_some(), content(disk, "/tmp/a").is_some());
        (places, names(disk, "/"))
    });
    let (before, after) = (owned(&["d", "tmp"]), owned(&["tmp"]));
    assert_eq!(
        seen,
        [((true, false), before.clone()), ((false, true), before), ((false, true), after)].into()
    );
}

#[test]
fn a_directory_never_ends_up_inside_itself() {
    let prepare = |disk: &mut Disk| {
        make_directory(disk, "/a");
        make_directory(disk, "/a/b");
        put(disk, "/a/f", b"x");
        sync_directory(disk, "/");
        sync_directory(disk, "/a");
        disk.rename(b"/a/b", b"/b", 0, NOW).unwrap();
        disk.rename(b"/a", b"/b/a", 0, NOW).unwrap();
    };
    let seen = after_crashes(prepare, |disk| {
        let found: Vec<_> = ["/a/f", "/b/a/f"].map(|path| content(disk, path).is_some()).into();
        (found, names(disk, "/"))
    });
    assert_eq!(
        seen,
        [
            (vec![true, false], owned(&["a", "tmp"])),
            (vec![true, false], owned(&["a", "b", "tmp"])),
            (vec![false, true], owned(&["b", "tmp"])),
        ]
        .into()
    );
}

#[test]
fn the_changes_of_one_name_come_in_order() {
    let prepare = |disk: &mut Disk| {
        for content in [b"1", b"2", b"3"] {
            let file = put(disk, "/new", content);
            disk.sync(&file, true).unwrap();
            disk.rename(b"/new", b"/a", 0, NOW).unwrap();
        }
        disk.unlink(b"/a", 0, NOW).unwrap();
    };
    let seen = after_crashes(prepare, |disk| (content(disk, "/a"), content(disk, "/new")));
    let some = |content: &str| Some(content.as_bytes().to_vec());
    for (last, being_made) in [(1, 2), (2, 3)] {
        let (last, being_made) = (some(&last.to_string()), some(&being_made.to_string()));
        assert!(seen.contains(&(last, being_made)));
    }
    assert!(seen.contains(&(None, None)));
    assert!(!seen.contains(&(some("3"), some("1"))));
    assert_eq!(seen.len(), 7, "nothing, then made and renamed three times: {seen:?}");
}

#[test]
fn a_name_that_was_removed_may_be_back_with_its_content() {
    let prepare = |disk: &mut Disk| {
        put_durably(disk, "/a", b"x");
        disk.unlink(b"/a", 0, NOW).unwrap();
    };
    let seen = after_crashes(prepare, |disk| content(disk, "/a"));
    assert_eq!(seen, [None, Some(b"x".to_vec())].into());
    let prepare_durably = |disk: &mut Disk| {
        prepare(disk);
        sync_directory(disk, "/");
    };
    assert_eq!(after_crashes(prepare_durably, |disk| content(disk, "/a")), [None].into());
}

#[test]
fn however_many_names_there_are_a_crash_may_take_all_or_none() {
    let prepare = |disk: &mut Disk| {
        for number in 0..100 {
            create(disk, &format!("/{number}"));
        }
    };
    let seen = after_crashes(prepare, |disk| names(disk, "/").len() - 1);
    assert!(seen.contains(&0) && seen.contains(&100) && seen.len() > 20, "{seen:?}");
}

#[test]
fn a_file_that_was_open_or_nameless_before_a_crash_is_like_any_other_after_it() {
    let prepare = |disk: &mut Disk| {
        put_durably(disk, "/a", b"x");
        disk.unlink(b"/a", 0, NOW).unwrap();
    };
    after_crashes(prepare, |disk| {
        if let Ok(stat) = disk.stat_path(b"/a", true) {
            assert_eq!(stat.links, 1);
            disk.unlink(b"/a", 0, NOW).unwrap();
            sync_directory(disk, "/");
        }
        assert_eq!(disk.inodes.len(), 2, "the root and /tmp");
    });
}

#[test]
fn a_crash_leaves_no_inode_without_a_name() {
    for seed in 0..SEEDS {
        let mut disk = disk();
        make_directory(&mut disk, "/d");
        put(&mut disk, "/d/a", b"x");
        disk.unlink(b"/d/a", 0, NOW).unwrap();
        put(&mut disk, "/d/b", b"x");
        disk.crash(&mut Dice::new(seed));
        let inside = disk.list(b"/d").map_or(0, |names| names.len() + 1);
        assert_eq!(disk.inodes.len(), 2 + inside);
    }
}

/// Random calls and syncs of directories: files that were durable once are only moved about.
#[test]
fn whatever_was_done_a_synced_file_is_whole_and_every_file_is_in_one_place() {
    const PATHS: [&str; 9] = ["/a", "/b", "/d", "/e", "/d/a", "/d/e", "/e/a", "/e/d", "/d/e/a"];
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let mut disk = disk();
        let mut kept = BTreeSet::new();
        for number in 0..4u8 {
            let path = format!("/keep{number}");
            let file = put(&mut disk, &path, &[number + 1; 5000]);
            disk.sync(&file, true).unwrap();
            kept.insert(file.inode());
            disk.close(file);
        }
        sync_directory(&mut disk, "/");
        for _ in 0..60 {
            let pick = |dice: &mut Dice| PATHS[dice.below(9) as usize].as_bytes();
            let (one, two) = (pick(&mut dice), pick(&mut dice));
            let is_kept = |disk: &Disk, path: &[u8]| {
                disk.stat_path(path, true).is_ok_and(|stat| kept.contains(&stat.inode))
            };
            match dice.below(8) {
                0 | 1 => drop(disk.make_directory(one, 0o755, NOW)),
                2 if !is_kept(&disk, one) => drop(disk.unlink(one, 0, NOW)),
                3 => drop(disk.unlink(one, libc::AT_REMOVEDIR, NOW)),
                4 | 5 if !is_kept(&disk, two) => drop(disk.rename(one, two, 0, NOW)),
                6 if !is_kept(&disk, two) => {
                    let keep = format!("/keep{}", dice.below(4));
                    let _ = disk.rename(keep.as_bytes(), two, 0, NOW);
                }
                7 if dice.one_in(3) => {
                    if let Ok(directory) = disk.open(one, libc::O_DIRECTORY, 0, NOW) {
                        disk.sync(&directory, false).unwrap();
                        disk.close(directory);
                    }
                }
                _ => {}
            }
        }
        disk.crash(&mut dice);
        let found = files_below(&mut disk, "");
        let mut numbers: Vec<_> = found.iter().map(|(number, _)| *number).collect();
        numbers.sort();
        assert_eq!(numbers, kept.into_iter().collect::<Vec<_>>(), "seed {seed}: each once");
        assert!(found.iter().all(|(_, content)| *content == [content[0]; 5000]), "seed {seed}");
    }
}

fn files_below(disk: &mut Disk, path: &str) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    for name in names(disk, &format!("{path}/")) {
        let path = format!("{path}/{name}");
        let stat = disk.stat_path(path.as_bytes(), true).unwrap();
        match stat.mode & FILE == FILE {
            true => found.push((stat.inode, content(disk, &path).unwrap())),
            false => found.extend(files_below(disk, &path)),
        }
    }
    found
}
