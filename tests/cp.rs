//! The example that copies trees, as a program of its own: what it copies is the same, what it cannot copy it tells, and what
//! would do harm it refuses.

mod support;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, UNIX_EPOCH};

use support::example::example;
use support::watchdog::Watchdog;
use tempfile::TempDir;

const DRIVERS: [&str; 2] = ["uring", "readiness"];

/// A directory with a tree `from` in it, which each driver copies to `to`.
fn on_each_driver(body: impl Fn(&str, &Path)) {
    let _watchdog = Watchdog::over("a copy");
    for driver in DRIVERS {
        if let Err(error) = annulus::Runtime::builder().driver(driver.parse().unwrap()).build() {
            println!("skipped: {driver}: {error}");
            continue;
        }
        let directory = directory();
        fs::create_dir(directory.path().join("from")).unwrap();
        body(driver, directory.path());
    }
}

/// On a disk: what has no room in memory has holes there.
fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn cp(driver: &str, inside: &Path, arguments: &[&str]) -> Output {
    Command::new(example("cp"))
        .args(["--driver", driver])
        .args(arguments)
        .current_dir(inside)
        .output()
        .unwrap()
}

/// Copies, and all has to go well.
#[track_caller]
fn copies(driver: &str, inside: &Path, arguments: &[&str]) {
    let output = cp(driver, inside, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", told(&output));
    assert_eq!(told(&output), "");
}

/// Does not copy everything, says so, and gives the text.
#[track_caller]
fn fails(driver: &str, inside: &Path, arguments: &[&str]) -> String {
    let output = cp(driver, inside, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", told(&output));
    told(&output)
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What a tree looks like from outside: kind and permissions, when it was changed, and of a file when it was
/// read: who looks into a directory, or where a link leads, changes that.
fn look(tree: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, i64, u64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![tree.to_owned()];
    let mut note = |path: &Path| {
        let metadata = fs::symlink_metadata(path).unwrap();
        let read = if metadata.is_file() { metadata.atime() } else { 0 };
        let length = if metadata.is_dir() { 0 } else { metadata.len() };
        let times = (metadata.mode(), metadata.mtime(), metadata.mtime_nsec(), read, length);
        found.insert(path.strip_prefix(tree).unwrap().to_owned(), times);
        metadata.is_dir()
    };
    note(tree);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if note(&path) {
                folders.push(path);
            }
        }
    }
    found
}

fn set_times(path: &Path, seconds: u64) {
    let time = UNIX_EPOCH + Duration::new(seconds, 123_456_789);
    let times = FileTimes::new().set_modified(time).set_accessed(time + Duration::from_secs(1000));
    File::open(path).unwrap().set_times(times).unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn bytes(seed: usize, count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 7 + at / 251 + seed) as u8).collect()
}

#[test]
fn a_tree_is_copied_with_content_permissions_and_times() {
    on_each_driver(|driver, inside| {
        let from = inside.join("from");
        fs::create_dir_all(from.join("a/b/c")).unwrap();
        for (number, (name, length)) in [
            ("empty", 0),
            ("a/one", 1),
            ("a/b/page", 4096),
            ("a/b/c/edge", 128 << 10),
            ("a/b/large", 3_000_001),
        ]
        .into_iter()
        .enumerate()
        {
            fs::write(from.join(name), bytes(number, length)).unwrap();
            set_mode(&from.join(name), 0o640 | number as u32 & 7);
            set_times(&from.join(name), 1_000_000_000 + number as u64);
        }
        symlink("../nowhere", from.join("a/link")).unwrap();
        for (path, mode) in [("a/b/c", 0o555), ("a/b", 0o700), ("a", 0o1777)] {
            set_mode(&from.join(path), mode);
            set_times(&from.join(path), 900_000_000);
        }
        set_times(&from, 800_000_000);
        let before = look(&from);
        copies(driver, inside, &["from", "to"]);
        let to = inside.join("to");
        let after = look(&to);
        assert_eq!(after, before);
        for path in before.keys().filter(|path| from.join(path).is_file()) {
            assert!(fs::read(to.join(path)).unwrap() == fs::read(from.join(path)).unwrap(), "{path:?}");
        }
        assert_eq!(fs::read_link(to.join("a/link")).unwrap(), Path::new("../nowhere"));
        for tree in [&from, &to] {
            set_mode(&tree.join("a/b/c"), 0o700);
        }
    });
}

#[test]
fn holes_stay_holes() {
    on_each_driver(|driver, inside| {
        let file = File::create(inside.join("from/sparse")).unwrap();
        for (offset, length) in [(1 << 20, 5000), (64 << 20, 100_000)] {
            file.write_all_at(&bytes(3, length), offset).unwrap();
        }
        file.set_len(100 << 20).unwrap();
        File::create(inside.join("from/nothing but a hole")).unwrap().set_len(1 << 30).unwrap();
        file.sync_all().unwrap();
        copies(driver, inside, &["from", "to"]);
        let copy = File::open(inside.join("to/sparse")).unwrap();
        copy.sync_all().unwrap();
        assert_eq!(copy.metadata().unwrap().len(), 100 << 20);
        let taken = copy.metadata().unwrap().blocks() * 512;
        assert!((105_000..1 << 20).contains(&taken), "{taken} bytes of the disk");
        let same = |offset, length| {
            let mut read = vec![0; length];
            copy.read_exact_at(&mut read, offset).unwrap();
            read
        };
        assert!(same(1 << 20, 5000) == bytes(3, 5000) && same(64 << 20, 100_000) == bytes(3, 100_000));
        assert_eq!(same((64 << 20) - 100, 100), [0; 100]);
        let hole = fs::metadata(inside.join("to/nothing but a hole")).unwrap();
        assert_eq!((hole.len(), hole.blocks()), (1 << 30, 0));
    });
}

#[test]
fn names_of_a_file_stay_names_of_one_file() {
    on_each_driver(|driver, inside| {
        let from = inside.join("from");
        for name in ["small", "large"] {
            fs::write(from.join(name), bytes(1, if name == "small" { 10 } else { 1 << 20 })).unwrap();
            for number in 0..3 {
                fs::create_dir_all(from.join(format!("folder {number}"))).unwrap();
                fs::hard_link(from.join(name), from.join(format!("folder {number}/{name}"))).unwrap();
            }
        }
        // And again over what is there then, of which one is a file for itself.
        copies(driver, inside, &["--jobs", "8", "from", "to"]);
        fs::remove_file(inside.join("to/folder 1/small")).unwrap();
        fs::write(inside.join("to/folder 1/small"), "another").unwrap();
        fs::create_dir(inside.join("into")).unwrap();
        fs::rename(inside.join("to"), inside.join("into/from")).unwrap();
        copies(driver, inside, &["from", "into"]);
        fs::rename(inside.join("into/from"), inside.join("to")).unwrap();
        for name in ["small", "large"] {
            let file = fs::metadata(inside.join("to").join(name)).unwrap();
            assert_eq!(file.nlink(), 4);
            assert!(
                fs::read(inside.join("to/folder 2").join(name)).unwrap()
                    == fs::read(from.join(name)).unwrap()
            );
        }
    });
}

#[test]
fn names_may_be_any_bytes() {
    on_each_driver(|driver, inside| {
        let names: [&[u8]; 6] =
            [b"\xff\xfe", b"two\nlines", b" ", b"-r", b"\\", "K\u{e4}se \u{1f9c0}".as_bytes()];
        for name in names {
            let folder = inside.join("from").join(OsStr::from_bytes(name));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join(OsStr::from_bytes(name)), name).unwrap();
            symlink(OsStr::from_bytes(name), folder.join("link")).unwrap();
        }
        copies(driver, inside, &["from", "to"]);
        for name in names {
            let folder = inside.join("to").join(OsStr::from_bytes(name));
            assert_eq!(fs::read(folder.join("link")).unwrap(), name);
        }
    });
}

#[test]
fn a_tree_may_be_deeper_than_a_path_is_long() {
    const DEEP: usize = 100;
    let name = "d".repeat(200);
    on_each_driver(|driver, inside| {
        let path = inside.to_owned();
        let (made, deep) = (path.clone(), name.clone());
        annulus::run(async move {
            let mut current = annulus::fs::Dir::open(made.join("from")).await.unwrap();
            for _ in 0..DEEP {
                current.create_dir(&deep).await.unwrap();
                current = current.open_dir(&deep).await.unwrap();
            }
            current.create("bottom").await.unwrap().write_all_at("deep", 0).await.0.unwrap();
        })
        .unwrap();
        copies(driver, inside, &["from", "to"]);
        let deep = name.clone();
        let text = annulus::run(async move {
            let mut current = annulus::fs::Dir::open(path.join("to")).await.unwrap();
            for _ in 0..DEEP {
                current = current.open_dir(&deep).await.unwrap();
            }
            current.open_file("bottom").await.unwrap().read_at(Vec::with_capacity(9), 0).await.1
        });
        assert_eq!(text.unwrap(), b"deep");
    });
}

#[test]
fn a_link_to_the_directory_above_does_not_loop() {
    on_each_driver(|driver, inside| {
        fs::create_dir(inside.join("from/folder")).unwrap();
        symlink("..", inside.join("from/folder/up")).unwrap();
        symlink("itself", inside.join("from/itself")).unwrap();
        copies(driver, inside, &["from", "to"]);
        assert_eq!(fs::read_link(inside.join("to/folder/up")).unwrap(), Path::new(".."));
        assert_eq!(fs::read_link(inside.join("to/itself")).unwrap(), Path::new("itself"));
        assert_eq!(look(&inside.join("to")).len(), 4);
    });
}

#[test]
fn what_may_not_be_read_is_told_and_the_rest_goes_on() {
    on_each_driver(|driver, inside| {
        let from = inside.join("from");
        for name in ["secret", "open"] {
            fs::create_dir(from.join(name)).unwrap();
            fs::write(from.join(name).join("file"), name).unwrap();
            fs::write(from.join(format!("{name} file")), name).unwrap();
        }
        for name in ["secret", "secret file"] {
            set_mode(&from.join(name), 0);
        }
        set_mode(inside, 0o777);
        // Root may read everything: nobody copies.
        let mut command = Command::new(example("cp"));
        command.args(["--driver", driver, "from", "to"]).current_dir(inside);
        if fs::metadata(inside).unwrap().uid() == 0 {
            command.uid(65534).gid(65534);
        }
        let output = match command.output() {
            Ok(output) => output,
            Err(error) => return println!("skipped: nobody may not run the program: {error}"),
        };
        let text = told(&output);
        set_mode(&from.join("secret"), 0o700);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("\"from/secret\": Permission denied"), "{text}");
        assert!(text.contains("\"from/secret file\": Permission denied"), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
        for name in ["open/file", "open file"] {
            assert_eq!(fs::read_to_string(inside.join("to").join(name)).unwrap(), "open");
        }
        assert!(!inside.join("to/secret").exists() && !inside.join("to/secret file").exists());
    });
}

#[test]
fn a_tree_is_not_copied_into_itself() {
    on_each_driver(|driver, inside| {
        fs::create_dir_all(inside.join("from/below")).unwrap();
        fs::write(inside.join("from/file"), "text").unwrap();
        symlink("from/below", inside.join("detour")).unwrap();
        let before = look(&inside.join("from"));
        for target in ["from", "from/below", "from/new", "detour", "detour/new", "from/below/../again", "."] {
            let text = fails(driver, inside, &["from", target]);
            assert!(text.contains("\"from\": it is not copied into itself"), "{target}: {text}");
            assert_eq!(look(&inside.join("from")), before, "{target}");
        }
        // What begins like it is another one.
        copies(driver, inside, &["from", "from again"]);
        assert_eq!(look(&inside.join("from again")).len(), 3);
    });
}

#[test]
fn what_is_there_is_overwritten_and_what_is_the_same_file_is_left_alone() {
    on_each_driver(|driver, inside| {
        for (path, text) in [("short", "new"), ("from/file", "new, too"), ("same", "precious")] {
            fs::write(inside.join(path), text).unwrap();
        }
        fs::create_dir(inside.join("to")).unwrap();
        fs::write(inside.join("to/short"), "old and longer").unwrap();
        copies(driver, inside, &["short", "from/file", "to"]);
        assert_eq!(fs::read_to_string(inside.join("to/short")).unwrap(), "new");
        assert_eq!(fs::read_to_string(inside.join("to/file")).unwrap(), "new, too");
        fs::hard_link(inside.join("same"), inside.join("other name")).unwrap();
        symlink("same", inside.join("link")).unwrap();
        for target in ["same", "other name", "link"] {
            assert!(fails(driver, inside, &["same", target]).contains("it is the same file"), "{target}");
            assert_eq!(fs::read_to_string(inside.join("same")).unwrap(), "precious");
        }
        let text = fails(driver, inside, &["short", "same", "nowhere"]);
        assert!(text.contains("\"nowhere\": several are copied into a directory"), "{text}");
        let text = fails(driver, inside, &["short", "from", "to/short", "to"]);
        assert!(text.contains("\"to/short\": another one of that name"), "{text}");
        let text = fails(driver, inside, &["nothing", "short", "to"]);
        assert!(text.contains("\"nothing\": No such file"), "{text}");
    });
}

#[test]
fn links_are_replaced_fifos_made_and_sockets_told() {
    on_each_driver(|driver, inside| {
        let (from, to) = (inside.join("from"), inside.join("to"));
        assert!(
            Command::new("mkfifo").args(["-m", "620"]).arg(from.join("fifo")).status().unwrap().success()
        );
        symlink("new", from.join("link")).unwrap();
        let _socket = UnixListener::bind(from.join("socket"));
        fs::create_dir_all(to.join("from")).unwrap();
        symlink("old", to.join("from/link")).unwrap();
        let text = fails(driver, inside, &["from", "to"]);
        assert_eq!(text, "cp: \"from/socket\": a socket is not copied\n");
        assert_eq!(fs::read_link(to.join("from/link")).unwrap(), Path::new("new"));
        let fifo = fs::metadata(to.join("from/fifo")).unwrap();
        assert!(fifo.file_type().is_fifo() && fifo.mode() & 0o777 == 0o620);
    });
}

#[test]
fn many_files_all_arrive() {
    // Half of them in one place, the others in many.
    let place = |number: usize| match number % 2 {
        0 => format!("crowd/{number}"),
        _ => format!("{}/{}/{number}", number % 7, number % 31),
    };
    on_each_driver(|driver, inside| {
        for number in 0..2000 {
            let path = inside.join("from").join(place(number));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes(number, number * 3)).unwrap();
        }
        for to in ["one at a time", "many at a time"] {
            copies(driver, inside, &["--jobs", if to.starts_with("one") { "1" } else { "16" }, "from", to]);
            for number in 0..2000 {
                let copy = fs::read(inside.join(to).join(place(number)));
                assert!(copy.is_ok_and(|copy| copy == bytes(number, number * 3)), "{to}: {number}");
            }
        }
    });
}

#[test]
fn to_another_file_system_and_back() {
    on_each_driver(|driver, inside| {
        let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
            return println!("skipped: there is no other");
        };
        fs::write(inside.join("from/large"), bytes(1, 5_000_000)).unwrap();
        let there = other.path().join("there");
        copies(driver, inside, &["from", there.to_str().unwrap()]);
        copies(driver, inside, &[there.to_str().unwrap(), "back"]);
        assert!(fs::read(inside.join("back/large")).unwrap() == bytes(1, 5_000_000));
    });
}

/// What the shell says where it may not mount.
const NO_MOUNT: i32 = 77;

#[test]
fn a_full_disk_is_told_with_the_file_and_how_much_of_it_there_is() {
    on_each_driver(|driver, inside| {
        for (path, length) in [("from/large", 3 << 20), ("small", 50_000), ("tiny", 100)] {
            fs::write(inside.join(path), bytes(1, length)).unwrap();
        }
        fs::create_dir(inside.join("full")).unwrap();
        // Where nobody else sees it.
        let script = "mount -t tmpfs -o size=1m none full || exit 77
            \"$1\" --driver $2 --jobs 1 from full; \"$1\" --driver $2 small tiny full";
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-c", script, "sh"])
            .arg(example("cp"))
            .arg(driver)
            .current_dir(inside)
            .output();
        let output = match output {
            Ok(output) if output.status.code() != Some(NO_MOUNT) && !told(&output).contains("unshare:") => {
                output
            }
            other => return println!("skipped: no file system can be mounted: {other:?}"),
        };
        let text = told(&output);
        let large = text.lines().next().unwrap();
        assert!(large.starts_with("cp: \"full/from/large\": No space left on device"), "{text}");
        assert!(large.contains("of 3145728 bytes were written") && !large.contains("; 0 of"), "{text}");
        assert!(text.contains("cp: \"full/small\": No space left on device"), "{text}");
        assert!(text.contains("of 50000 bytes were written"), "{text}");
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    for arguments in [&["one"][..], &["--jobs", "0", "one", "two"], &["--jobs", "many", "one", "two"]] {
        let output = Command::new(example("cp")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", told(&output));
    }
}
