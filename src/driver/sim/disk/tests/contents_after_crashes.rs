//! What a crash leaves of the content of files.

use super::*;

#[test]
fn what_was_synced_survives_whatever_is_appended() {
    let synced = [7; 2 * PAGE + 100];
    let prepare = |disk: &mut Disk| {
        let mut file = put_durably(disk, "/a", &synced);
        disk.write(&mut file, None, &[8; 2 * PAGE], NOW).unwrap();
    };
    let seen = after_crashes(prepare, |disk| content(disk, "/a").unwrap());
    for bytes in &seen {
        assert!(bytes.starts_with(&synced));
        let pieces = bytes[synced.len()..].chunk_by(|a, b| a == b);
        assert!(bytes[synced.len()..].iter().all(|byte| [0, 8].contains(byte)) && pieces.count() < 5);
    }
    assert!(seen.contains(synced.as_slice()), "nothing more");
    assert!(seen.contains(&[&synced[..], &[8; 2 * PAGE]].concat()), "everything");
    assert!(seen.iter().any(|bytes| bytes.ends_with(&[0; 50])), "a length without its bytes");
    assert!(seen.len() > 20, "{}", seen.len());
}

#[test]
fn a_page_that_was_written_over_is_old_or_new() {
    let prepare = |disk: &mut Disk| {
        let mut file = put_durably(disk, "/a", &[1; 3 * PAGE]);
        disk.write(&mut file, Some(0), &[2; 3 * PAGE], NOW).unwrap();
        disk.write(&mut file, Some(0), &[3; 10], NOW).unwrap();
    };
    let seen = after_crashes(prepare, |disk| content(disk, "/a").unwrap());
    for bytes in &seen {
        assert_eq!(bytes.len(), 3 * PAGE);
        for (index, page) in bytes.chunks(PAGE).enumerate() {
            let is_old = page.iter().all(|byte| *byte == 1);
            let start = if index == 0 { 10 } else { 0 };
            let is_new = page[start..].iter().all(|byte| *byte == 2) && page[..start] == vec![3; start];
            assert!(is_old || is_new);
        }
    }
    assert_eq!(seen.len(), 8, "each page for itself");
}

#[test]
fn what_was_not_synced_may_be_gone_after_a_crash() {
    let prepare = |disk: &mut Disk| {
        put(disk, "/a", &[5; PAGE + 1]);
    };
    let seen = after_crashes(prepare, |disk| content(disk, "/a"));
    assert!(seen.contains(&None));
    assert!(seen.contains(&Some(vec![])));
    assert!(seen.contains(&Some(vec![0; PAGE + 1])));
    assert!(seen.contains(&Some(vec![5; PAGE + 1])));
    assert!(seen.contains(&Some([vec![5; PAGE], vec![0]].concat())));
}

#[test]
fn a_file_replaced_after_a_sync_is_the_old_or_the_new_one_never_a_mixture() {
    let (old, new) = (vec![1; 3 * PAGE], vec![2; 2 * PAGE + 5]);
    let replace = |disk: &mut Disk| {
        put_durably(disk, "/a", &old);
        let file = put(disk, "/a.new", &new);
        disk.sync(&file, true).unwrap();
        disk.rename(b"/a.new", b"/a", 0, NOW).unwrap();
    };
    let seen = after_crashes(replace, |disk| content(disk, "/a").unwrap());
    assert_eq!(seen, [old.clone(), new.clone()].into());
    let replace_durably = |disk: &mut Disk| {
        replace(disk);
        sync_directory(disk, "/");
    };
    let seen = after_crashes(replace_durably, |disk| (content(disk, "/a").unwrap(), names(disk, "/")));
    assert_eq!(seen, [(new.clone(), owned(&["a", "tmp"]))].into());
}

#[test]
fn a_file_replaced_without_a_sync_may_come_back_empty() {
    let prepare = |disk: &mut Disk| {
        put_durably(disk, "/a", b"old");
        put(disk, "/a.new", b"new");
        disk.rename(b"/a.new", b"/a", 0, NOW).unwrap();
    };
    let seen = after_crashes(prepare, |disk| content(disk, "/a").unwrap());
    for possible in [&b"old"[..], b"new", b"", b"\0\0\0"] {
        assert!(seen.contains(possible), "{possible:?}");
    }
}

#[test]
fn a_file_that_was_emptied_and_filled_again_may_come_back_old_empty_or_new() {
    let prepare = |disk: &mut Disk| {
        put_durably(disk, "/a", &[1; PAGE]);
        put(disk, "/a", &[2; PAGE]);
    };
    let seen = after_crashes(prepare, |disk| content(disk, "/a").unwrap());
    for possible in [vec![1; PAGE], vec![2; PAGE], vec![]] {
        assert!(seen.contains(&possible));
    }
}

#[test]
fn a_file_that_was_only_cut_comes_back_whole_or_cut() {
    let prepare = |disk: &mut Disk| {
        let file = put_durably(disk, "/a", &[1; 3 * PAGE]);
        disk.truncate(&file, PAGE as u64 + 9, NOW).unwrap();
    };
    let seen = after_crashes(prepare, |disk| content(disk, "/a").unwrap());
    assert_eq!(seen, [vec![1; 3 * PAGE], vec![1; PAGE + 9]].into());
}

#[test]
fn a_cut_that_was_synced_stays_whatever_grows_later() {
    let prepare = |disk: &mut Disk| {
        let file = put_durably(disk, "/a", &[1; 2 * PAGE]);
        disk.truncate(&file, 9, NOW).unwrap();
        disk.sync(&file, true).unwrap();
        disk.truncate(&file, 2 * PAGE as u64, NOW).unwrap();
    };
    for bytes in after_crashes(prepare, |disk| content(disk, "/a").unwrap()) {
        assert!(bytes.len() >= 9 && bytes[..9] == [1; 9] && bytes[9..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn what_a_crash_cut_off_is_zero_when_the_file_grows_again() {
    let prepare = |disk: &mut Disk| {
        put(disk, "/a", &[1; 2 * PAGE]);
    };
    after_crashes(prepare, |disk| {
        let left = content(disk, "/a").unwrap_or_default();
        let file = create(disk, "/a");
        disk.truncate(&file, 3 * PAGE as u64, NOW).unwrap();
        assert!(content(disk, "/a").unwrap()[left.len()..].iter().all(|byte| *byte == 0));
        disk.truncate(&file, left.len() as u64, NOW).unwrap();
        disk.sync(&file, true).unwrap();
        sync_directory(disk, "/");
    });
}

#[test]
fn the_same_seed_leaves_the_same_disk_and_asks_the_dice_for_one_number() {
    let left = |seed: u64, files: u8| {
        let mut disk = disk();
        for file in 0..files {
            put(&mut disk, &format!("/{file}"), &[file + 1; 2 * PAGE]);
        }
        let mut dice = Dice::new(seed);
        disk.crash(&mut dice);
        let names = names(&disk, "/");
        let contents: Vec<_> = names.iter().map(|name| content(&mut disk, name)).collect();
        (names, contents, dice.next())
    };
    assert_eq!(left(3, 9), left(3, 9));
    assert_eq!(left(3, 0).2, left(3, 9).2);
    assert!((0..9).map(|seed| left(seed, 9).0).collect::<BTreeSet<_>>().len() > 5);
}

#[test]
fn what_was_open_before_a_crash_is_not_open_after_it() {
    let mut disk = disk();
    let mut file = put_durably(&mut disk, "/a", b"x");
    disk.crash(&mut Dice::new(1));
    let other = create(&mut disk, "/a");
    assert_eq!(disk.read(&mut file, None, 1, NOW), Err(libc::EBADF));
    assert_eq!(disk.write(&mut file, None, b"x", NOW), Err(libc::EBADF));
    assert_eq!(disk.truncate(&file, 0, NOW), Err(libc::EBADF));
    assert_eq!(disk.sync(&file, true), Err(libc::EBADF));
    assert_eq!(disk.stat_open(&file).links, 0);
    disk.close(file);
    disk.unlink(b"/a", 0, NOW).unwrap();
    sync_directory(&mut disk, "/");
    assert_eq!(disk.stat_open(&other).length, 1, "closing what is stale closes nothing else");
}

#[test]
fn whatever_was_done_to_a_file_pages_left_alone_since_the_last_sync_are_whole() {
    const PAGES: u64 = 6;
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let mut disk = disk();
        let mut file = put_durably(&mut disk, "/a", b"");
        let mut synced = Vec::new();
        let (mut written, mut least, mut most) = (BTreeSet::new(), 0, 0);
        for round in 1..=dice.within(1, 40) {
            let start = dice.below(PAGES * PAGE as u64);
            match dice.below(8) {
                0 | 1 => {
                    disk.sync(&file, true).unwrap();
                    synced = content(&mut disk, "/a").unwrap();
                    (least, most) = (synced.len(), synced.len());
                    written.clear();
                }
                2 => disk.truncate(&file, start, NOW).unwrap(),
                _ => {
                    let length = dice.within(1, PAGE as u64 + 500);
                    disk.write(&mut file, Some(start), &vec![round as u8; length as usize], NOW).unwrap();
                    written.extend(start / PAGE as u64..=(start + length - 1) / PAGE as u64);
                }
            }
            let length = disk.stat_open(&file).length as usize;
            (least, most) = (least.min(length), most.max(length));
        }
        disk.crash(&mut dice);
        let left = content(&mut disk, "/a").unwrap();
        assert!((least..=most).contains(&left.len()), "seed {seed}");
        for (index, page) in synced[..least].chunks(PAGE).enumerate() {
            let is_whole = &left[index * PAGE..][..page.len()] == page;
            assert!(is_whole || written.contains(&(index as u64)), "seed {seed}, page {index}");
        }
    }
}
