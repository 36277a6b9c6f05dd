//! What the disk promises: that what was synced survives any crash, and that the rest really is left to chance.

use super::{Disk, OpenFile};
use crate::dice::Dice;

const READ_WRITE: i32 = libc::O_RDWR;
const CREATE: i32 = libc::O_RDWR | libc::O_CREAT;

fn write(disk: &mut Disk, path: &str, bytes: &[u8]) -> OpenFile {
    let mut file = disk.open(path.as_bytes(), CREATE, 0o644, 0).unwrap();
    assert_eq!(disk.write(&mut file, Some(0), bytes, 0), Ok(bytes.len()));
    file
}

fn read(disk: &mut Disk, path: &str) -> Result<Vec<u8>, i32> {
    let mut file = disk.open(path.as_bytes(), libc::O_RDONLY, 0, 0)?;
    disk.read(&mut file, Some(0), 1 << 20)
}

fn sync(disk: &mut Disk, path: &str) {
    let file = disk.open(path.as_bytes(), libc::O_RDONLY, 0, 0).unwrap();
    disk.sync(&file, false).unwrap();
    disk.close(file);
}

#[test]
fn what_was_synced_survives_any_crash_and_the_rest_is_left_to_chance() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..200 {
        let mut disk = Disk::new(0);
        write(&mut disk, "/log", &[1; 10_000]);
        sync(&mut disk, "/log");
        sync(&mut disk, "/");
        let mut file = disk.open(b"/log", READ_WRITE, 0, 0).unwrap();
        disk.write(&mut file, Some(10_000), &[2; 10_000], 0).unwrap();
        disk.crash(&mut Dice::new(seed));
        let bytes = read(&mut disk, "/log").unwrap();
        assert!(bytes.len() >= 10_000 && bytes[..10_000].iter().all(|byte| *byte == 1), "seed {seed}");
        assert!(bytes[10_000..].iter().all(|byte| [0, 2].contains(byte)));
        match bytes.iter().filter(|byte| **byte == 2).count() {
            10_000 => kept += 1,
            _ => lost += 1,
        }
    }
    assert!(lost > 20 && kept > 5, "{lost} lost, {kept} kept");
}

#[test]
fn a_name_that_was_not_synced_may_be_gone() {
    let mut gone = 0;
    for seed in 0..100 {
        let mut disk = Disk::new(0);
        write(&mut disk, "/new", b"text");
        sync(&mut disk, "/new");
        disk.crash(&mut Dice::new(seed));
        match read(&mut disk, "/new") {
            Ok(bytes) => assert_eq!(bytes, b"text", "its content was synced"),
            Err(error) => {
                assert_eq!(error, libc::ENOENT);
                gone += 1;
            }
        }
    }
    assert!((10..90).contains(&gone), "{gone} of 100");
}

#[test]
fn a_file_that_is_replaced_is_the_old_or_the_new_one_and_never_a_mixture() {
    let (mut old, mut new) = (0, 0);
    for seed in 0..100 {
        let mut disk = Disk::new(0);
        write(&mut disk, "/state", &[1; 5000]);
        sync(&mut disk, "/state");
        sync(&mut disk, "/");
        write(&mut disk, "/state.new", &[2; 5000]);
        sync(&mut disk, "/state.new");
        disk.rename(b"/state.new", b"/state", 0).unwrap();
        disk.crash(&mut Dice::new(seed));
        let bytes = read(&mut disk, "/state").unwrap();
        assert!(bytes == [1; 5000] || bytes == [2; 5000]);
        if bytes[0] == 1 { old += 1 } else { new += 1 }
    }
    assert!(old > 10 && new > 10, "{old} old, {new} new");
}

#[test]
fn a_rename_of_what_is_on_the_disk_loses_no_file() {
    for seed in 0..100 {
        let mut disk = Disk::new(0);
        disk.make_directory(b"/a", 0o755, 0).unwrap();
        disk.make_directory(b"/b", 0o755, 0).unwrap();
        write(&mut disk, "/a/file", b"text");
        for path in ["/a/file", "/a", "/b", "/"] {
            sync(&mut disk, path);
        }
        disk.rename(b"/a/file", b"/b/file", 0).unwrap();
        disk.crash(&mut Dice::new(seed));
        let found = [read(&mut disk, "/a/file").is_ok(), read(&mut disk, "/b/file").is_ok()];
        assert_eq!(found.into_iter().filter(|found| *found).count(), 1, "seed {seed}: {found:?}");
    }
}

#[test]
fn an_open_file_is_none_after_a_crash() {
    let mut disk = Disk::new(0);
    let mut file = write(&mut disk, "/file", b"text");
    disk.crash(&mut Dice::new(1));
    assert_eq!(disk.read(&mut file, None, 10), Err(libc::EBADF));
    disk.close(file);
}

#[test]
fn what_was_cut_off_is_zero_when_the_file_grows_again() {
    let mut disk = Disk::new(0);
    let file = write(&mut disk, "/file", &[7; 9000]);
    disk.truncate(&file, 100, 0).unwrap();
    disk.truncate(&file, 9000, 0).unwrap();
    let bytes = read(&mut disk, "/file").unwrap();
    assert!(bytes[..100].iter().all(|byte| *byte == 7) && bytes[100..].iter().all(|byte| *byte == 0));
    assert_eq!(bytes.len(), 9000);
}

#[test]
fn a_hole_takes_no_room() {
    let mut disk = Disk::new(0);
    disk.set_capacity(Some(8192));
    let mut file = disk.open(b"/file", CREATE, 0o644, 0).unwrap();
    assert_eq!(disk.write(&mut file, Some(1 << 40), b"far", 0), Ok(3));
    assert_eq!(disk.stat_open(&file).unwrap().blocks, 8);
    assert_eq!(disk.write(&mut file, Some(0), &[1; 6000], 0), Ok(4096), "as much as there is room for");
    assert_eq!(disk.write(&mut file, Some(4096), b"more", 0), Err(libc::ENOSPC));
    disk.unlink(b"/file", 0, 0).unwrap();
    assert_eq!(
        disk.write(&mut file, Some(4096), b"more", 0),
        Err(libc::ENOSPC),
        "while it is open it is there"
    );
    disk.close(file);
    write(&mut disk, "/other", &[1; 8192]);
}
