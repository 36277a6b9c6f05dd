//! Open files: reading, writing, cutting, room, times.

use super::*;

#[test]
fn what_was_written_is_read() {
    let mut disk = disk();
    let mut file = put(&mut disk, "/a", b"hello");
    assert_eq!((disk.read(&mut file, None, 9, NOW), file.position()), (Ok(vec![]), 5), "at the end");
    assert_eq!(disk.read(&mut file, Some(1), 3, NOW).unwrap(), b"ell");
    assert_eq!(disk.read(&mut file, Some(3), 9, NOW).unwrap(), b"lo");
    assert_eq!(disk.read(&mut file, Some(100), 9, NOW).unwrap(), b"");
    assert_eq!(disk.write(&mut file, Some(1), b"ipp", NOW), Ok(3));
    assert_eq!(file.position(), 5, "an offset leaves the cursor alone");
    assert_eq!(disk.write(&mut file, None, b"!", NOW), Ok(1));
    assert_eq!(content(&mut disk, "/a").unwrap(), b"hippo!");
    let mut other = disk.open(b"/a", libc::O_RDONLY, 0, NOW).unwrap();
    assert_eq!(disk.read(&mut other, None, 3, NOW).unwrap(), b"hip");
    assert_eq!(disk.read(&mut other, None, 9, NOW).unwrap(), b"po!");
}

#[test]
fn pieces_of_any_size_at_any_place_are_as_in_memory() {
    let mut dice = crate::dice::Dice::new(7);
    let mut disk = disk();
    let mut file = create(&mut disk, "/a");
    let mut memory: Vec<u8> = Vec::new();
    for round in 0..500 {
        let (start, length) = (dice.below(5 * PAGE as u64) as usize, dice.below(2 * PAGE as u64) as usize);
        match dice.below(4) {
            0 => {
                disk.truncate(&file, start as u64, NOW).unwrap();
                memory.resize(start, 0);
            }
            1 => {
                let expected = &memory[start.min(memory.len())
                    ..(start + length).min(memory.len()).max(start.min(memory.len()))];
                assert_eq!(disk.read(&mut file, Some(start as u64), length, NOW).unwrap(), expected);
            }
            _ => {
                let bytes = vec![round as u8 | 1; length];
                assert_eq!(disk.write(&mut file, Some(start as u64), &bytes, NOW), Ok(length));
                if length > 0 {
                    memory.resize(memory.len().max(start + length), 0);
                    memory[start..start + length].copy_from_slice(&bytes);
                }
            }
        }
    }
    assert_eq!(content(&mut disk, "/a").unwrap(), memory);
}

#[test]
fn a_hole_reads_as_zeroes_and_takes_no_room() {
    let mut disk = disk();
    let mut file = create(&mut disk, "/a");
    assert_eq!(disk.write(&mut file, Some(1 << 40), b"x", NOW), Ok(1));
    let stat = disk.stat_open(&file);
    assert_eq!((stat.length, stat.blocks), ((1 << 40) + 1, 8));
    assert_eq!(disk.read(&mut file, Some((1 << 40) - 2), 9, NOW).unwrap(), b"\0\0x");
    assert_eq!(disk.read(&mut file, Some(1 << 20), 3, NOW).unwrap(), [0; 3]);
}

#[test]
fn what_was_cut_off_is_zero_when_the_file_grows_again() {
    let mut disk = disk();
    let file = put(&mut disk, "/a", &[7; 3 * PAGE]);
    disk.truncate(&file, PAGE as u64 + 2, NOW).unwrap();
    assert_eq!(disk.stat_open(&file).blocks, 16);
    disk.truncate(&file, 2 * PAGE as u64, NOW).unwrap();
    let bytes = content(&mut disk, "/a").unwrap();
    assert!(bytes[..PAGE + 2].iter().all(|byte| *byte == 7));
    assert!(bytes[PAGE + 2..].iter().all(|byte| *byte == 0));
}

#[test]
fn appending_is_at_the_end_whatever_the_offset() {
    let mut disk = disk();
    put(&mut disk, "/a", b"one");
    let mut file = disk.open(b"/a", libc::O_WRONLY | libc::O_APPEND, 0, NOW).unwrap();
    assert_eq!(disk.write(&mut file, Some(0), b"two", NOW), Ok(3));
    assert_eq!(file.position(), 0);
    assert_eq!(disk.write(&mut file, None, b"three", NOW), Ok(5));
    assert_eq!(file.position(), 11);
    assert_eq!(content(&mut disk, "/a").unwrap(), b"onetwothree");
}

#[test]
fn a_call_that_the_file_was_not_opened_for_is_refused() {
    let mut disk = disk();
    put(&mut disk, "/a", b"x");
    let mut reader = disk.open(b"/a", libc::O_RDONLY, 0, NOW).unwrap();
    let mut writer = disk.open(b"/a", libc::O_WRONLY, 0, NOW).unwrap();
    let mut directory = disk.open(b"/tmp", libc::O_RDONLY | libc::O_DIRECTORY, 0, NOW).unwrap();
    assert_eq!(disk.write(&mut reader, None, b"x", NOW), Err(libc::EBADF));
    assert_eq!(disk.truncate(&reader, 0, NOW), Err(libc::EINVAL));
    assert_eq!(disk.read(&mut writer, None, 1, NOW), Err(libc::EBADF));
    assert_eq!(disk.read(&mut directory, None, 1, NOW), Err(libc::EISDIR));
    assert_eq!(disk.write(&mut directory, None, b"x", NOW), Err(libc::EBADF));
    assert_eq!(disk.truncate(&directory, 0, NOW), Err(libc::EINVAL));
    assert_eq!(disk.sync(&reader, true), Ok(()), "a sync asks for no permission");
}

#[test]
fn offsets_end_where_a_signed_number_does_and_files_before() {
    const SAID: u64 = i64::MAX as u64;
    const MAX: u64 = super::super::LENGTH_MAX;
    let mut disk = disk();
    let mut file = create(&mut disk, "/a");
    assert_eq!(disk.read(&mut file, Some(SAID + 1), 1, NOW), Err(libc::EINVAL));
    assert_eq!(disk.write(&mut file, Some(SAID + 1), b"x", NOW), Err(libc::EINVAL));
    assert_eq!(disk.truncate(&file, SAID + 1, NOW), Err(libc::EINVAL));
    assert_eq!(disk.write(&mut file, Some(MAX - 2), b"xyz", NOW), Ok(2), "as much as goes");
    assert_eq!(disk.write(&mut file, Some(MAX), b"x", NOW), Err(libc::EFBIG));
    assert_eq!(disk.write(&mut file, Some(MAX), b"", NOW), Ok(0));
    assert_eq!(disk.read(&mut file, Some(MAX - 3), 9, NOW).unwrap(), b"\0xy");
    assert_eq!(disk.read(&mut file, Some(MAX), 9, NOW).unwrap(), b"");
    assert_eq!(disk.truncate(&file, MAX, NOW), Ok(()));
    assert_eq!(disk.truncate(&file, MAX + 1, NOW), Err(libc::EFBIG));
}

#[test]
fn a_full_disk_takes_what_goes_and_then_says_so() {
    let mut disk = disk();
    disk.set_capacity(Some(2 * PAGE as u64 + 100));
    let mut file = create(&mut disk, "/a");
    assert_eq!(disk.write(&mut file, None, &[1; 3 * PAGE], NOW), Ok(2 * PAGE));
    assert_eq!(disk.write(&mut file, None, b"x", NOW), Err(libc::ENOSPC));
    assert_eq!(disk.write(&mut file, Some(9), b"x", NOW), Ok(1), "what is there can be written over");
    assert_eq!(disk.truncate(&file, 1 << 30, NOW), Ok(()), "a hole takes no room");
    disk.unlink(b"/a", 0, NOW).unwrap();
    let mut other = create(&mut disk, "/b");
    assert_eq!(disk.write(&mut other, None, b"x", NOW), Err(libc::ENOSPC), "it is still open");
    disk.close(file);
    assert_eq!(disk.write(&mut other, None, b"x", NOW), Ok(1));
    disk.set_capacity(Some(0));
    assert_eq!(disk.write(&mut other, Some(PAGE as u64), b"x", NOW), Err(libc::ENOSPC));
    disk.set_capacity(None);
    assert_eq!(disk.write(&mut other, Some(PAGE as u64), b"x", NOW), Ok(1));
}

#[test]
fn an_unlinked_file_is_there_until_it_is_closed_and_then_leaves_nothing_behind() {
    let mut disk = disk();
    let mut file = put(&mut disk, "/a", b"still here");
    disk.unlink(b"/a", 0, NOW).unwrap();
    assert_eq!(content(&mut disk, "/a"), None);
    assert_eq!(disk.stat_open(&file).links, 0);
    assert_eq!(disk.read(&mut file, Some(0), 5, NOW).unwrap(), b"still");
    sync_directory(&mut disk, "/");
    assert_eq!(disk.read(&mut file, Some(0), 5, NOW).unwrap(), b"still");
    disk.close(file);
    assert_eq!(disk.inodes.len(), 2, "the root and /tmp");
    // Nor without a sync, after a while.
    for _ in 0..5000 {
        let file = put(&mut disk, "/a", b"x");
        disk.close(file);
        disk.unlink(b"/a", 0, NOW).unwrap();
    }
    assert!(disk.inodes.len() < 1100, "{}", disk.inodes.len());
}

#[test]
fn opening_makes_keeps_cuts_or_refuses_as_it_is_told() {
    let mut disk = disk();
    let mut open = |path: &str, flags: i32| match disk.open(path.as_bytes(), flags, 0o666, NOW) {
        Ok(file) => Ok(disk.stat_open(&file).length),
        Err(errno) => Err(errno),
    };
    let (write, exclusive) = (libc::O_WRONLY, libc::O_CREAT | libc::O_EXCL);
    assert_eq!(open("/a", write), Err(libc::ENOENT));
    assert_eq!(open("/a", write | exclusive), Ok(0));
    assert_eq!(open("/a", write | exclusive), Err(libc::EEXIST));
    assert_eq!(open("/", exclusive), Err(libc::EEXIST));
    assert_eq!(open("/a", libc::O_DIRECTORY), Err(libc::ENOTDIR));
    assert_eq!(open("/a/", libc::O_RDONLY), Err(libc::ENOTDIR));
    assert_eq!(open("/b/", write | libc::O_CREAT), Err(libc::EISDIR));
    assert_eq!(open("/tmp", write), Err(libc::EISDIR));
    assert_eq!(open("/tmp", libc::O_CREAT), Err(libc::EISDIR));
    assert_eq!(open("/tmp", libc::O_TRUNC), Err(libc::EISDIR));
    assert_eq!(open("/tmp/", libc::O_DIRECTORY | libc::O_NOFOLLOW), Ok(4096));
    assert_eq!(open("/c", libc::O_DIRECTORY | libc::O_CREAT), Err(libc::EINVAL));
    put(&mut disk, "/a", b"full");
    let mut open = |flags| disk.open(b"/a", flags, 0, NOW).map(|file| disk.stat_open(&file).length);
    assert_eq!(open(CREATE), Ok(4));
    assert_eq!(open(write | libc::O_TRUNC), Ok(0));
}

#[test]
fn stat_says_kind_permissions_links_and_times() {
    let mut disk = disk();
    let mut file = disk.open(b"/a", CREATE, 0o666, 5_000_000_007).unwrap();
    let stat = disk.stat_path(b"/a", true).unwrap();
    assert_eq!((stat.mode, stat.links, stat.inode), (FILE | 0o644, 1, file.inode()), "less the umask");
    assert_eq!((stat.created, stat.modified), (Some((5, 7)), (5, 7)));
    assert_eq!(disk.stat_path(b"/", true).unwrap().modified, (5, 7), "a new name changes its directory");

    disk.write(&mut file, None, b"x", 6_000_000_000).unwrap();
    disk.read(&mut file, Some(0), 1, 7_000_000_000).unwrap();
    disk.read(&mut file, Some(0), 1, 8_000_000_000).unwrap();
    disk.rename(b"/a", b"/tmp/b", 0, 9_000_000_000).unwrap();
    let stat = disk.stat_open(&file);
    assert_eq!((stat.modified, stat.accessed, stat.changed), ((6, 0), (7, 0), (9, 0)));
    disk.truncate(&file, 0, 10_000_000_000).unwrap();
    assert_eq!(disk.stat_path(b"/tmp/b", false).unwrap().modified, (10, 0));

    let directory = disk.stat_path(b"/tmp", true).unwrap();
    assert_eq!((directory.mode, directory.links, directory.modified), (DIRECTORY | 0o1777, 2, (9, 0)));
    make_directory(&mut disk, "/tmp/c");
    assert_eq!(disk.stat_path(b"/tmp", true).unwrap().links, 3);
    disk.make_socket(b"/s", NOW).unwrap();
    assert_eq!(disk.stat_path(b"/s", true).unwrap().mode, SOCKET | 0o755);
}
