//! Files as `std` has them: each call is held against what the standard library does in its place.

mod support;

use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use annulus::buf::IoBuf;
use annulus::fs::{self, File, OpenOptions};
use annulus::spawn;
use annulus::time::timeout;
use support::data::{assert_same, bytes};
use support::outside::{self, directory, is_there};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    a_new_file_is_made_once_and_replaces_nothing,
    what_is_written_at_an_offset_is_read_there,
    what_is_written_beyond_four_gibibytes_is_read_there,
    large_files_compare_equal,
    reads_end_at_the_end,
    a_transfer_of_nothing_is_nothing,
    an_offset_beyond_everything_is_an_error_and_not_the_cursor,
    vectored_transfers_keep_the_order,
    reading_at_the_cursor_streams_the_file,
    writing_at_the_cursor_streams_the_file,
    reads_at_the_cursor_take_turns,
    appending_is_at_the_end_whatever_the_offset,
    read_exact_at_tells_an_early_end,
    side_by_side_reads_do_not_wait_for_each_other,
    set_len_cuts_and_lengthens,
    syncing_is_possible_for_files,
    metadata_of_an_open_file_are_its_own,
    whole_files_are_read_and_written,
    a_file_that_grows_is_read_to_its_end,
    names_are_removed_and_changed,
    directories_are_made_and_removed,
    errors_are_those_of_the_system,
    a_path_with_a_nul_byte_is_refused,
    a_path_that_is_no_text_works,
    closing_tells_how_it_went,
    copying_a_file_moves_every_byte,
}

on_real_drivers! {
    because "std's own files are the measure":
        every_combination_of_options_does_what_std_does,
        a_file_is_made_with_the_mode_that_was_asked_for,
        metadata_are_those_of_std,
        a_directory_is_made_with_the_mode_of_std,
        errors_are_those_of_std;
    because "only the machine's disks have O_DIRECT":
        what_is_not_aligned_is_told_what_is_wanted;
    because "only std makes symbolic links":
        custom_flags_are_passed_on,
        a_symbolic_link_is_followed_or_seen;
    because "they are the machine's own files":
        files_that_say_no_length_are_read_whole,
        a_full_disk_is_an_error;
    because "they are pipes of std":
        syncing_a_pipe_is_an_error,
        a_pipe_of_std_is_read_and_written,
        a_read_of_an_empty_pipe_does_not_hold_up_the_loop;
}

/// What an attempt to open came to, in words that can be compared.
#[derive(Debug, PartialEq, Eq)]
enum Opened {
    Refused(ErrorKind),
    /// What the file was then, and what it is after a write and a read.
    Yes {
        then: Vec<u8>,
        wrote: Result<(), ErrorKind>,
        read: Result<Vec<u8>, ErrorKind>,
        after: Vec<u8>,
    },
}

async fn every_combination_of_options_does_what_std_does() {
    for bits in 0..64 {
        let is = |bit: u32| bits >> bit & 1 == 1;
        for there in [false, true] {
            let directory = directory().await;
            let path = |name: &str| {
                let path = directory.path().join(name);
                if there {
                    std::fs::write(&path, "before").unwrap();
                }
                path
            };

            let of_std = path("std");
            let opened = std::fs::OpenOptions::new()
                .read(is(0))
                .write(is(1))
                .append(is(2))
                .truncate(is(3))
                .create(is(4))
                .create_new(is(5))
                .open(&of_std);
            let wanted = match opened {
                Err(error) => Opened::Refused(error.kind()),
                Ok(mut file) => {
                    let then = std::fs::read(&of_std).unwrap();
                    let wrote = file.write_all(b"new").map_err(|error| error.kind());
                    let _ = file.rewind();
                    let mut got = Vec::new();
                    let read = file.read_to_end(&mut got).map(|_| got).map_err(|error| error.kind());
                    Opened::Yes { then, wrote, read, after: std::fs::read(&of_std).unwrap() }
                }
            };

            let of_ours = path("ours");
            let mut options = OpenOptions::new();
            options.read(is(0)).write(is(1)).append(is(2)).truncate(is(3)).create(is(4)).create_new(is(5));
            let got = match options.open(&of_ours).await {
                Err(error) => Opened::Refused(error.kind()),
                Ok(file) => {
                    let then = std::fs::read(&of_ours).unwrap();
                    let wrote = file.write_all("new").await.0.map_err(|error| error.kind());
                    let (read, buffer) = file.read_at(Vec::with_capacity(64), 0).await;
                    let read = read.map(|_| buffer).map_err(|error| error.kind());
                    Opened::Yes { then, wrote, read, after: std::fs::read(&of_ours).unwrap() }
                }
            };
            assert_eq!(got, wanted, "{options:?}, {}", if there { "there" } else { "not there" });
        }
    }
}

async fn a_file_is_made_with_the_mode_that_was_asked_for() {
    let directory = directory().await;
    for mode in [0o600, 0o640, 0o755] {
        let (ours, of_std) =
            (directory.path().join(format!("{mode:o}")), directory.path().join(format!("s{mode:o}")));
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&ours).await.unwrap();
        std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&of_std).unwrap();
        let mode_of = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode_of(&ours), mode_of(&of_std));
    }
    let ours = directory.path().join("default");
    File::create(&ours).await.unwrap();
    std::fs::File::create(directory.path().join("of std")).unwrap();
    let mode_of = |name: &str| std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode_of("default"), mode_of("of std"));
}

async fn a_new_file_is_made_once_and_replaces_nothing() {
    let directory = directory().await;
    let (path, link) = (directory.path().join("file"), directory.path().join("link"));
    let file = File::create_new(&path).await.unwrap();
    file.write_all("text").await.0.unwrap();
    assert_eq!(file.read_at(Vec::with_capacity(9), 0).await.1, b"text");
    let there = File::create_new(&path).await.unwrap_err();
    assert_eq!(there.kind(), ErrorKind::AlreadyExists);
    // Nor is it made where a link points to.
    fs::symlink("nothing", &link).await.unwrap();
    assert_eq!(File::create_new(&link).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(outside::read(&path).await, b"text");
}

async fn custom_flags_are_passed_on() {
    let directory = directory().await;
    let link = directory.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    let open = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&link).await;
    assert_eq!(open.unwrap_err().raw_os_error(), Some(libc::ELOOP));
    // An access mode among them is left out.
    let path = directory.path().join("file");
    std::fs::write(&path, "text").unwrap();
    let file = OpenOptions::new().read(true).custom_flags(libc::O_RDWR).open(&path).await.unwrap();
    assert_eq!(file.write_at("x", 0).await.0.unwrap_err().raw_os_error(), Some(libc::EBADF));
}

fn read_write() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    options
}

async fn what_is_written_at_an_offset_is_read_there() {
    let directory = directory().await;
    let path = directory.path().join("file");
    let file = read_write().open(&path).await.unwrap();
    let (result, sent) = file.write_at("world".to_owned(), 6).await;
    assert_eq!((result.unwrap(), &*sent), (5, "world"));
    file.write_all_at("hello ", 0).await.0.unwrap();
    let (result, got) = file.read_at(Vec::with_capacity(64), 0).await;
    assert_eq!((result.unwrap(), &got[..]), (11, &b"hello world"[..]));
    let (result, got) = file.read_at(Box::<[u8]>::from(*b"....."), 3).await;
    assert_eq!((result.unwrap(), &*got), (5, &b"lo wo"[..]));
    assert_eq!(outside::read(&path).await, b"hello world");
}

async fn what_is_written_beyond_four_gibibytes_is_read_there() {
    let directory = directory().await;
    let file = read_write().open(directory.path().join("file")).await.unwrap();
    // A hole, and the bytes behind it.
    file.write_all_at("far", 5 << 32).await.0.unwrap();
    assert_eq!(file.read_at(Vec::with_capacity(8), 5 << 32).await.1, b"far");
    assert_eq!(file.metadata().await.unwrap().len(), (5 << 32) + 3);
}

async fn large_files_compare_equal() {
    const LENGTH: usize = 20 << 20;
    let directory = directory().await;
    let path = directory.path().join("large");
    let wanted = bytes(1, LENGTH);
    let (result, wanted) = fs::write(&path, wanted).await;
    result.unwrap();
    assert_same(&outside::read(&path).await, &wanted);
    assert_same(&fs::read(&path).await.unwrap(), &wanted);
    let file = File::open(&path).await.unwrap();
    let (result, got) = file.read_exact_at(vec![0; LENGTH - 12_345].into_boxed_slice(), 12_345).await;
    result.unwrap();
    assert_same(&got, &wanted[12_345..]);
}

async fn reads_end_at_the_end() {
    let directory = directory().await;
    let path = directory.path().join("file");
    outside::write(&path, "0123456789").await;
    let file = File::open(&path).await.unwrap();
    assert_eq!(file.read_at(Vec::with_capacity(64), 8).await.1, b"89");
    for offset in [10, 11, 1 << 40] {
        let (result, buffer) = file.read_at(b"before".to_vec(), offset).await;
        assert_eq!(result.unwrap(), 0);
        assert_eq!(buffer, b"");
    }
}

async fn a_transfer_of_nothing_is_nothing() {
    let directory = directory().await;
    let path = directory.path().join("file");
    outside::write(&path, "text").await;
    let file = read_write().open(&path).await.unwrap();
    assert_eq!(file.read_at(Vec::new(), 0).await.0.unwrap(), 0);
    assert_eq!(file.read(Vec::new()).await.0.unwrap(), 0);
    assert_eq!(file.readv_at(vec![Vec::new(), Vec::new()], 0).await.0.unwrap(), 0);
    assert_eq!(file.write_at("", 9).await.0.unwrap(), 0);
    assert_eq!(file.writev_at(Vec::<&str>::new(), 9).await.0.unwrap(), 0);
    file.write_all("").await.0.unwrap();
    file.read_exact_at(Vec::new(), 99).await.0.unwrap();
    assert_eq!(outside::read(&path).await, b"text");
}

async fn an_offset_beyond_everything_is_an_error_and_not_the_cursor() {
    let directory = directory().await;
    let path = directory.path().join("file");
    outside::write(&path, "text").await;
    let file = read_write().open(&path).await.unwrap();
    for offset in [u64::MAX, u64::MAX - 1, 1 << 63] {
        let read = file.read_at(Vec::with_capacity(8), offset).await.0.unwrap_err();
        assert_eq!(read.kind(), ErrorKind::InvalidInput, "{offset}");
        let written = file.write_at("x", offset).await.0.unwrap_err();
        assert!([Some(libc::EINVAL), Some(libc::EFBIG)].contains(&written.raw_os_error()), "{written}");
    }
    assert_eq!(file.read(Vec::with_capacity(8)).await.1, b"text", "the cursor did not move");
}

async fn vectored_transfers_keep_the_order() {
    let directory = directory().await;
    let path = directory.path().join("file");
    let file = read_write().open(&path).await.unwrap();
    let (result, parts) = file.writev_at(vec!["one ", "", "two ", "three"], 2).await;
    assert_eq!(result.unwrap(), 13);
    assert_eq!(parts.concat(), "one two three");
    assert_eq!(outside::read(&path).await, b"\0\0one two three");
    let rooms = vec![Vec::with_capacity(3), Vec::new(), Vec::with_capacity(64), b"untouched".to_vec()];
    let (result, rooms) = file.readv_at(rooms, 2).await;
    assert_eq!(result.unwrap(), 13);
    assert_eq!(rooms, [&b"one"[..], b"", b" two three", b""]);
}

async fn reading_at_the_cursor_streams_the_file() {
    let directory = directory().await;
    let path = directory.path().join("file");
    let wanted = bytes(2, 10_000);
    outside::write(&path, &wanted).await;
    let file = File::open(&path).await.unwrap();
    let mut got = Vec::new();
    loop {
        let (result, piece) = file.read(Vec::with_capacity(777)).await;
        if result.unwrap() == 0 {
            break;
        }
        got.extend(piece);
        // Reads at an offset leave the cursor where it is.
        assert_eq!(file.read_at(Vec::with_capacity(1), 5).await.1, wanted[5..6]);
    }
    assert_same(&got, &wanted);
}

async fn writing_at_the_cursor_streams_the_file() {
    let directory = directory().await;
    let path = directory.path().join("file");
    let wanted = bytes(3, 10_000);
    let file = File::create(&path).await.unwrap();
    for piece in wanted.chunks(777) {
        file.write_all(piece.to_vec()).await.0.unwrap();
    }
    // Started at once, they go one after the other.
    let writes: Vec<_> = ["a", "b", "c", "d"].map(|text| spawn(file.write(text))).into();
    for write in writes {
        assert_eq!(write.await.unwrap().0.unwrap(), 1);
    }
    let mut wanted = wanted;
    wanted.extend(b"abcd");
    assert_same(&outside::read(&path).await, &wanted);
}

async fn reads_at_the_cursor_take_turns() {
    let directory = directory().await;
    let path = directory.path().join("file");
    outside::write(&path, "0123456789").await;
    let file = File::open(&path).await.unwrap();
    let reads: Vec<_> = (0..10).map(|_| spawn(file.read(Vec::with_capacity(1)))).collect();
    for (n, read) in reads.into_iter().enumerate() {
        assert_eq!(read.await.unwrap().1, n.to_string().into_bytes());
    }
}

async fn appending_is_at_the_end_whatever_the_offset() {
    let directory = directory().await;
    let path = directory.path().join("log");
    outside::write(&path, "first\n").await;
    let log = OpenOptions::new().append(true).open(&path).await.unwrap();
    log.write_all("second\n").await.0.unwrap();
    outside::append(&path, b"third\n").await;
    log.write_all("fourth\n").await.0.unwrap();
    assert_eq!(outside::read(&path).await, b"first\nsecond\nthird\nfourth\n");
    let error = log.read_at(Vec::with_capacity(8), 0).await.0.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

async fn read_exact_at_tells_an_early_end() {
    let directory = directory().await;
    let path = directory.path().join("file");
    outside::write(&path, "0123456789").await;
    let file = File::open(&path).await.unwrap();
    let (result, got) = file.read_exact_at(Vec::with_capacity(4), 6).await;
    result.unwrap();
    assert_eq!(got, b"6789");
    let (result, got) = file.read_exact_at(Vec::with_capacity(5), 6).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(got, b"6789");
}

async fn side_by_side_reads_do_not_wait_for_each_other() {
    let directory = directory().await;
    let path = directory.path().join("file");
    let wanted = bytes(4, 64 * 4096);
    outside::write(&path, &wanted).await;
    let file = File::open(&path).await.unwrap();
    let reads: Vec<_> = (0..64).map(|n| spawn(file.read_at(Vec::with_capacity(4096), n * 4096))).collect();
    for (n, read) in reads.into_iter().enumerate() {
        let (result, got) = read.await.unwrap();
        assert_eq!(result.unwrap(), 4096);
        assert_same(&got, &wanted[n * 4096..][..4096]);
    }
}

async fn set_len_cuts_and_lengthens() {
    let directory = directory().await;
    let path = directory.path().join("file");
    outside::write(&path, "0123456789").await;
    let file = read_write().open(&path).await.unwrap();
    file.set_len(4).await.unwrap();
    assert_eq!(outside::read(&path).await, b"0123");
    file.set_len(6).await.unwrap();
    assert_eq!(outside::read(&path).await, b"0123\0\0");
    assert_eq!(file.set_len(u64::MAX).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let reading = File::open(&path).await.unwrap();
    assert_eq!(reading.set_len(1).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

async fn syncing_is_possible_for_files() {
    let directory = directory().await;
    let file = File::create(directory.path().join("file")).await.unwrap();
    file.write_all("text").await.0.unwrap();
    file.sync_data().await.unwrap();
    file.sync_all().await.unwrap();
}

async fn syncing_a_pipe_is_an_error() {
    let (_reader, writer) = support::pipe::pipe();
    let pipe = File::from_std(writer);
    assert_eq!(pipe.sync_all().await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[track_caller]
fn assert_like_std(ours: &fs::Metadata, of_std: &std::fs::Metadata) {
    assert_eq!(ours.is_file(), of_std.is_file());
    assert_eq!(ours.is_dir(), of_std.is_dir());
    assert_eq!(ours.is_symlink(), of_std.is_symlink());
    assert_eq!(ours.len(), of_std.len());
    assert_eq!(ours.blocks(), of_std.blocks());
    assert_eq!(ours.mode(), of_std.mode());
    assert_eq!(ours.ino(), of_std.ino());
    assert_eq!(ours.dev(), of_std.dev());
    assert_eq!(ours.nlink(), of_std.nlink());
    assert_eq!((ours.uid(), ours.gid()), (of_std.uid(), of_std.gid()));
    assert_eq!(ours.modified(), of_std.modified().unwrap());
    assert_eq!(ours.accessed(), of_std.accessed().unwrap());
    assert_eq!(ours.created().ok(), of_std.created().ok());
}

async fn metadata_are_those_of_std() {
    let directory = directory().await;
    let file = directory.path().join("file");
    std::fs::write(&file, bytes(5, 10_000)).unwrap();
    std::fs::hard_link(&file, directory.path().join("other name")).unwrap();
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for path in [&file, &link, directory.path(), Path::new("/dev/null"), Path::new("/proc/self/stat")] {
        if path.exists() {
            let of_std = std::fs::metadata(path).unwrap();
            let ours = fs::metadata(path).await.unwrap();
            if path.starts_with("/proc") {
                assert_eq!(ours.len(), of_std.len());
            } else {
                assert_like_std(&ours, &of_std);
            }
        }
    }
    assert_like_std(&fs::symlink_metadata(&link).await.unwrap(), &std::fs::symlink_metadata(&link).unwrap());
}

async fn metadata_of_an_open_file_are_its_own() {
    let directory = directory().await;
    let path = directory.path().join("file");
    outside::write(&path, "text").await;
    let file = File::open(&path).await.unwrap();
    let by_name = fs::metadata(&path).await.unwrap();
    outside::rename(&path, directory.path().join("elsewhere")).await;
    outside::write(&path, "another file").await;
    let ours = file.metadata().await.unwrap();
    assert_eq!((ours.ino(), ours.len()), (by_name.ino(), 4));
    assert_ne!(fs::metadata(&path).await.unwrap().ino(), ours.ino());
}

async fn a_symbolic_link_is_followed_or_seen() {
    let directory = directory().await;
    let link = directory.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).unwrap();
    assert_eq!(fs::metadata(&link).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(fs::symlink_metadata(&link).await.unwrap().is_symlink());
    std::fs::write(directory.path().join("nowhere"), "somewhere").unwrap();
    assert!(fs::metadata(&link).await.unwrap().is_file());
}

async fn whole_files_are_read_and_written() {
    let directory = directory().await;
    let path = directory.path().join("file");
    for length in [0, 1, 4095, 4096, 4097, 100_000] {
        let (result, written) = fs::write(&path, bytes(length as u64, length)).await;
        result.unwrap();
        assert_same(&fs::read(&path).await.unwrap(), &written);
    }
    let (result, part) = fs::write(&path, "0123456789".slice(3..5)).await;
    result.unwrap();
    assert_eq!(part.into_inner(), "0123456789");
    assert_eq!(fs::read(&path).await.unwrap(), b"34", "what was longer before is cut");
}

async fn files_that_say_no_length_are_read_whole() {
    for path in ["/proc/version", "/proc/filesystems", "/proc/kallsyms", "/dev/null"] {
        if let Ok(wanted) = std::fs::read(path) {
            assert_same(&fs::read(path).await.unwrap(), &wanted);
        }
    }
}

async fn a_file_that_grows_is_read_to_its_end() {
    let directory = directory().await;
    let path = directory.path().join("file");
    outside::write(&path, "").await;
    let (reading, ()) = futures_util::join!(fs::read(&path), async {
        for _ in 0..50 {
            outside::append(&path, &[b'x'; 10_000]).await;
            annulus::yield_now().await;
        }
    });
    let got = reading.unwrap();
    assert!(got.iter().all(|byte| *byte == b'x') && got.len() % 10_000 == 0);
    assert_eq!(fs::read(&path).await.unwrap().len(), 500_000);
}

async fn names_are_removed_and_changed() {
    let directory = directory().await;
    let path = |name: &str| directory.path().join(name);
    outside::write(path("a"), "of a").await;
    outside::write(path("b"), "of b").await;
    fs::rename(path("a"), path("b")).await.unwrap();
    assert!(!is_there(path("a")).await);
    assert_eq!(outside::read(path("b")).await, b"of a");
    let open = File::open(path("b")).await.unwrap();
    fs::remove_file(path("b")).await.unwrap();
    assert!(!is_there(path("b")).await);
    assert_eq!(open.read(Vec::with_capacity(8)).await.1, b"of a", "an open file outlives its name");
}

async fn directories_are_made_and_removed() {
    let directory = directory().await;
    let (outer, inner) = (directory.path().join("outer"), directory.path().join("outer/inner"));
    assert_eq!(fs::create_dir(&inner).await.unwrap_err().kind(), ErrorKind::NotFound);
    fs::create_dir(&outer).await.unwrap();
    fs::create_dir(&inner).await.unwrap();
    assert!(fs::metadata(&inner).await.unwrap().is_dir());
    assert_eq!(fs::remove_dir(&outer).await.unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    fs::remove_dir(&inner).await.unwrap();
    fs::remove_dir(&outer).await.unwrap();
    assert!(!is_there(outer).await);
}

async fn a_directory_is_made_with_the_mode_of_std() {
    let directory = directory().await;
    let (ours, of_std) = (directory.path().join("ours"), directory.path().join("of std"));
    fs::create_dir(&ours).await.unwrap();
    std::fs::create_dir(&of_std).unwrap();
    let mode_of = |path: PathBuf| std::fs::metadata(path).unwrap().mode();
    assert_eq!(mode_of(ours), mode_of(of_std));
}

/// What fails: what was tried, in words, and what was told. There are a file, a directory, and nothing else.
async fn attempts(at: &Path) -> Vec<(&'static str, Option<i32>)> {
    let path = |name: &str| at.join(name);
    let long = path(&"x".repeat(300));
    fn code<T>(tried: std::io::Result<T>) -> Option<i32> {
        tried.err().expect("an error was awaited").raw_os_error()
    }
    vec![
        ("open none", code(File::open(path("none")).await)),
        ("open nothing", code(File::open("").await)),
        ("open what is too long", code(File::open(&long).await)),
        ("open below a file", code(File::open(path("file/below")).await)),
        ("create a directory's name", code(File::create(path("directory")).await)),
        ("read a directory", code(fs::read(path("directory")).await)),
        ("write below none", code(fs::write(path("none/file"), "").await.0)),
        ("metadata of none", code(fs::metadata(path("none")).await)),
        ("metadata of nothing", code(fs::metadata("").await)),
        ("metadata of no link", code(fs::symlink_metadata("").await)),
        ("remove none", code(fs::remove_file(path("none")).await)),
        ("remove a directory as a file", code(fs::remove_file(path("directory")).await)),
        ("remove a file as a directory", code(fs::remove_dir(path("file")).await)),
        ("make what is there", code(fs::create_dir(path("file")).await)),
        ("rename none", code(fs::rename(path("none"), path("new")).await)),
        ("rename a file to a directory", code(fs::rename(path("file"), path("directory")).await)),
    ]
}

async fn errors_are_those_of_the_system() {
    let directory = directory().await;
    outside::write(directory.path().join("file"), "text").await;
    fs::create_dir(directory.path().join("directory")).await.unwrap();
    let told = attempts(directory.path()).await;
    // Linux says EISDIR where POSIX has EPERM.
    let not_a_file = if cfg!(target_os = "linux") { libc::EISDIR } else { libc::EPERM };
    let wanted = [
        libc::ENOENT,
        libc::ENOENT,
        libc::ENAMETOOLONG,
        libc::ENOTDIR,
        libc::EISDIR,
        libc::EISDIR,
        libc::ENOENT,
        libc::ENOENT,
        libc::ENOENT,
        libc::ENOENT,
        libc::ENOENT,
        not_a_file,
        libc::ENOTDIR,
        libc::EEXIST,
        libc::ENOENT,
        libc::EISDIR,
    ];
    for ((what, got), wanted) in told.iter().zip(wanted) {
        assert_eq!(*got, Some(wanted), "{what}");
    }
    assert_eq!(told.len(), wanted.len());
}

async fn errors_are_those_of_std() {
    let directory = directory().await;
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("file"), "text").unwrap();
    std::fs::create_dir(path("directory")).unwrap();
    let long = path(&"x".repeat(300));
    let ours = attempts(directory.path()).await;
    fn code<T>(tried: std::io::Result<T>) -> Option<i32> {
        tried.err().expect("an error was awaited").raw_os_error()
    }
    let of_std = [
        code(std::fs::File::open(path("none"))),
        code(std::fs::File::open("")),
        code(std::fs::File::open(&long)),
        code(std::fs::File::open(path("file/below"))),
        code(std::fs::File::create(path("directory"))),
        code(std::fs::read(path("directory"))),
        code(std::fs::write(path("none/file"), "")),
        code(std::fs::metadata(path("none"))),
        code(std::fs::metadata("")),
        code(std::fs::symlink_metadata("")),
        code(std::fs::remove_file(path("none"))),
        code(std::fs::remove_file(path("directory"))),
        code(std::fs::remove_dir(path("file"))),
        code(std::fs::create_dir(path("file"))),
        code(std::fs::rename(path("none"), path("new"))),
        code(std::fs::rename(path("file"), path("directory"))),
    ];
    for ((what, got), wanted) in ours.iter().zip(of_std) {
        assert_eq!(*got, wanted, "{what}");
    }
    assert_eq!(ours.len(), of_std.len());
}

async fn a_path_with_a_nul_byte_is_refused() {
    let path = Path::new("a\0b");
    let refused = |kind: Option<ErrorKind>| assert_eq!(kind, Some(ErrorKind::InvalidInput));
    refused(File::open(path).await.err().map(|error| error.kind()));
    refused(fs::read(path).await.err().map(|error| error.kind()));
    refused(fs::write(path, "").await.0.err().map(|error| error.kind()));
    refused(fs::metadata(path).await.err().map(|error| error.kind()));
    refused(fs::remove_file(path).await.err().map(|error| error.kind()));
    refused(fs::remove_dir(path).await.err().map(|error| error.kind()));
    refused(fs::create_dir(path).await.err().map(|error| error.kind()));
    refused(fs::rename(path, "c").await.err().map(|error| error.kind()));
    refused(fs::rename("c", path).await.err().map(|error| error.kind()));
}

async fn a_path_that_is_no_text_works() {
    let directory = directory().await;
    let path = directory.path().join(OsStr::from_bytes(b"\xff\xfe name"));
    match fs::write(&path, "text").await.0 {
        // Some file systems take text alone.
        Err(error) if error.raw_os_error() == Some(libc::EILSEQ) => {}
        written => {
            written.unwrap();
            assert_eq!(outside::read(&path).await, b"text");
            fs::remove_file(&path).await.unwrap();
        }
    }
}

async fn a_full_disk_is_an_error() {
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full").await else {
        return support::skipped("a full disk", "there is no /dev/full");
    };
    let (result, buffer) = full.write_all("text").await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(buffer, "text");
    assert_eq!(full.write_at("text", 0).await.0.unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(full.writev_at(vec!["text"], 0).await.0.unwrap_err().kind(), ErrorKind::StorageFull);
}

async fn closing_tells_how_it_went() {
    let directory = directory().await;
    let file = File::create(directory.path().join("file")).await.unwrap();
    let late = file.write_at("late", 0);
    file.write_all("text").await.0.unwrap();
    file.close().await.unwrap();
    // What was made before and not begun is refused; the number may be another's by now.
    assert_eq!(late.await.0.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(outside::read(directory.path().join("file")).await, b"text");
}

async fn a_pipe_of_std_is_read_and_written() {
    let (reader, writer) = support::pipe::pipe();
    let (reader, writer) = (File::from_std(reader), File::from_std(writer));
    let wanted = bytes(6, 1 << 20);
    let writing = spawn(async move {
        writer.write_all(bytes(6, 1 << 20)).await.0.unwrap();
        writer.close().await.unwrap();
    });
    let mut got = Vec::new();
    loop {
        let (result, piece) = reader.read(Vec::with_capacity(10_000)).await;
        if result.unwrap() == 0 {
            break;
        }
        got.extend(piece);
    }
    writing.await.unwrap();
    assert_same(&got, &wanted);
    // A pipe has no offsets: pread(2) says so, and the ring takes none for one (Linux 6.18: it reads all the same).
    match reader.read_at(Vec::with_capacity(8), 0).await.0 {
        Ok(count) => assert_eq!(count, 0),
        Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ESPIPE)),
    }
}

async fn a_read_of_an_empty_pipe_does_not_hold_up_the_loop() {
    let (reader, mut writer) = support::pipe::pipe();
    let reader = File::from_std(reader);
    let reading = spawn(reader.read(Vec::with_capacity(8)));
    // Sixteen others are at work meanwhile.
    let directory = directory().await;
    let path = directory.path().join("file");
    let others = async {
        for n in 0..16u8 {
            fs::write(&path, vec![n; 100]).await.0.unwrap();
            assert_eq!(fs::read(&path).await.unwrap(), [n; 100]);
        }
    };
    timeout(Duration::from_secs(20), others).await.unwrap();
    assert!(!reading.is_finished());
    writer.write_all(b"at last").unwrap();
    assert_eq!(timeout(Duration::from_secs(5), reading).await.unwrap().unwrap().1, b"at last");
}

async fn copying_a_file_moves_every_byte() {
    let directory = directory().await;
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    outside::write(&from, bytes(7, 300_000)).await;
    let (mut source, mut sink) = (File::open(&from).await.unwrap(), File::create(&to).await.unwrap());
    assert_eq!(annulus::io::copy(&mut source, &mut sink).await.unwrap(), 300_000);
    sink.close().await.unwrap();
    assert_same(&outside::read(&to).await, &bytes(7, 300_000));
}

async fn what_is_not_aligned_is_told_what_is_wanted() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, [7; 8192]).unwrap();
    let mut options = OpenOptions::new();
    let file = match support::direct::open(options.read(true).write(true), &path).await {
        Ok(file) => file,
        Err(error) => return println!("skipped: no O_DIRECT here: {error}"),
    };
    let told = |error: std::io::Error| {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error.to_string().contains("O_DIRECT") && error.to_string().contains("multiples of"),
            "{error}"
        );
    };
    let (result, buffer) = file.read_at(annulus::buf::Aligned::with_capacity(4096, 4096), 100).await;
    told(result.unwrap_err());
    let (result, buffer) = file.read_exact_at(buffer, 1).await;
    told(result.unwrap_err());
    let (result, _) = file.write_at(buffer.slice(..0).into_inner(), 0).await;
    assert_eq!(result.unwrap(), 0);
    told(file.write_all_at(vec![1; 100], 0).await.0.unwrap_err());
    let (result, buffer) = file.read_at(annulus::buf::Aligned::with_capacity(4096, 4096), 4096).await;
    assert_eq!((result.unwrap(), buffer.len()), (4096, 4096));
    // Other errors are left alone.
    let only_read = support::direct::open(OpenOptions::new().read(true), &path).await.unwrap();
    assert_eq!(only_read.write_at(buffer, 0).await.0.unwrap_err().raw_os_error(), Some(libc::EBADF));
}
