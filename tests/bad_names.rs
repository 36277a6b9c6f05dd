//! Names that lead nowhere, in a circle, too far, or where one may not go, and names that are no text: each call says what std
//! says, and does what it can.
#![allow(unsafe_code)]

mod support;

use std::ffi::OsStr;
use std::fmt::Debug;
use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use annulus::Builder;
use annulus::fs::{self, Dir, DirBuilder, File, FileTimes, OpenOptions, RenameFlags};
use support::child::alone;
use support::limits::is_root;
use support::outside::directory;
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    links_in_a_circle_are_told_by_every_call_that_follows_them,
    a_link_in_a_circle_is_itself_seen_renamed_and_removed,
    so_many_links_are_followed_and_no_more,
    an_empty_path_is_nothing_to_every_call,
    a_path_that_is_too_long_is_told_and_a_deep_tree_is_reached_by_steps,
    every_call_takes_names_of_any_bytes,
}

on_real_drivers! {
    because "in a simulated world everybody is root":
        what_is_not_permitted_is_told_by_every_call_and_nothing_is_changed,
        a_directory_may_be_searched_without_being_read;
}

/// What each call on a path said that is to fail: in words, and by number. `beside` is a path at which something may be made.
async fn every_call(path: &Path, beside: &Path) -> Vec<(&'static str, Option<i32>)> {
    fn code<T: Debug>(tried: io::Result<T>) -> Option<i32> {
        tried.err().and_then(|error| error.raw_os_error())
    }
    let times = FileTimes::new().set_modified(UNIX_EPOCH);
    vec![
        ("open", code(File::open(path).await)),
        ("create", code(File::create(path).await)),
        ("append", code(OpenOptions::new().append(true).create(true).open(path).await)),
        ("read", code(fs::read(path).await)),
        ("read_to_string", code(fs::read_to_string(path).await)),
        ("write", code(fs::write(path, "text").await.0)),
        ("write_atomic", code(fs::write_atomic(path, "text").await.0)),
        ("copy from", code(fs::copy(path, beside).await)),
        ("metadata", code(fs::metadata(path).await)),
        ("read_dir", code(fs::read_dir(path).await.map(drop))),
        ("open a directory", code(Dir::open(path).await)),
        ("canonicalize", code(fs::canonicalize(path).await)),
        ("set_permissions", code(fs::set_permissions(path, Permissions::from_mode(0o644)).await)),
        ("set_times", code(fs::set_times(path, times).await)),
        ("chown", code(fs::chown(path, Some(1), Some(1)).await)),
        ("xattr", code(fs::xattr(path, "user.a").await)),
        ("xattrs", code(fs::xattrs(path).await)),
        ("set_xattr", code(fs::set_xattr(path, "user.a", "1").await)),
        ("remove_xattr", code(fs::remove_xattr(path, "user.a").await)),
    ]
}

/// What each call said on a name in a directory that cannot be walked to.
async fn every_call_below(path: &Path, beside: &Path) -> Vec<(&'static str, Option<i32>)> {
    fn code<T: Debug>(tried: io::Result<T>) -> Option<i32> {
        tried.err().and_then(|error| error.raw_os_error())
    }
    let below = path.join("below");
    let mut told = every_call(&below, beside).await;
    let times = FileTimes::new().set_modified(UNIX_EPOCH);
    told.extend([
        ("symlink_metadata", code(fs::symlink_metadata(&below).await)),
        ("read_link", code(fs::read_link(&below).await)),
        ("try_exists", code(fs::try_exists(&below).await)),
        ("create_dir", code(fs::create_dir(&below).await)),
        ("create_dir_all", code(fs::create_dir_all(&below).await)),
        ("create_dir_all, deeper", code(fs::create_dir_all(below.join("a/b")).await)),
        ("DirBuilder", code(DirBuilder::new().mode(0o700).create(&below).await)),
        ("remove_file", code(fs::remove_file(&below).await)),
        ("remove_dir", code(fs::remove_dir(&below).await)),
        ("remove_dir_all", code(fs::remove_dir_all(&below).await)),
        ("rename from", code(fs::rename(&below, beside).await)),
        ("hard_link from", code(fs::hard_link(&below, beside).await)),
        ("symlink", code(fs::symlink("x", &below).await)),
        ("set_symlink_times", code(fs::set_symlink_times(&below, times).await)),
        ("lchown", code(fs::lchown(&below, Some(1), Some(1)).await)),
    ]);
    told
}

#[track_caller]
fn all_said(told: Vec<(&'static str, Option<i32>)>, errno: i32) {
    let wrong: Vec<_> = told.into_iter().filter(|(_, said)| *said != Some(errno)).collect();
    assert!(wrong.is_empty(), "not {errno}, {}: {wrong:?}", io::Error::from_raw_os_error(errno));
}

async fn names(path: &Path) -> Vec<Vec<u8>> {
    let mut entries = fs::read_dir(path).await.unwrap();
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().await.unwrap() {
        names.push(entry.file_name().as_bytes().to_vec());
    }
    names.sort();
    names
}

async fn links_in_a_circle_are_told_by_every_call_that_follows_them() {
    let at = directory().await;
    let (circle, itself) = (at.path().join("circle"), at.path().join("itself"));
    fs::symlink("other", &circle).await.unwrap();
    fs::symlink("circle", at.path().join("other")).await.unwrap();
    fs::symlink("./itself", &itself).await.unwrap();
    let beside = at.path().join("beside");
    for link in [&circle, &itself] {
        all_said(every_call(link, &beside).await, libc::ELOOP);
        all_said(every_call_below(link, &beside).await, libc::ELOOP);
        let error = fs::try_exists(link).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP), "neither there nor not there");
        // A directory of that name is not made, and is not there.
        assert_eq!(fs::create_dir_all(link).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    }
    let dir = Dir::open(at.path()).await.unwrap();
    for dir in [dir.clone(), dir.confined()] {
        let is_loop = |error: io::Error| assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
        is_loop(dir.open_file("circle").await.unwrap_err());
        is_loop(dir.create("circle").await.unwrap_err());
        is_loop(dir.open_dir("itself").await.unwrap_err());
        is_loop(dir.metadata("circle").await.unwrap_err());
        is_loop(dir.create_dir("circle/below").await.unwrap_err());
        is_loop(dir.remove_file("itself/below").await.unwrap_err());
        is_loop(dir.read_link("itself/below").await.unwrap_err());
    }
    assert_eq!(names(at.path()).await, [b"circle".as_slice(), b"itself", b"other"], "nothing was made");
}

async fn a_link_in_a_circle_is_itself_seen_renamed_and_removed() {
    let at = directory().await;
    let (one, other) = (at.path().join("one"), at.path().join("other"));
    fs::symlink("one", &one).await.unwrap();
    assert!(fs::symlink_metadata(&one).await.unwrap().is_symlink());
    assert_eq!(fs::read_link(&one).await.unwrap(), Path::new("one"));
    fs::set_symlink_times(&one, FileTimes::new().set_modified(UNIX_EPOCH)).await.unwrap();
    fs::lchown(&one, None, None).await.unwrap();
    fs::rename(&one, &other).await.unwrap();
    fs::hard_link(&other, &one).await.unwrap();
    fs::remove_file(&one).await.unwrap();
    fs::symlink("other", &one).await.unwrap();
    fs::remove_dir_all(&one).await.unwrap();
    // And where it is in a tree.
    fs::create_dir_all(at.path().join("tree/deep")).await.unwrap();
    fs::rename(&other, at.path().join("tree/deep/link")).await.unwrap();
    fs::symlink("..", at.path().join("tree/deep/up")).await.unwrap();
    fs::remove_dir_all(at.path().join("tree")).await.unwrap();
    assert!(names(at.path()).await.is_empty());
}

async fn so_many_links_are_followed_and_no_more() {
    let at = directory().await;
    fs::write(at.path().join("0"), "the end").await.0.unwrap();
    for number in 1..=60 {
        let target = (number - 1).to_string();
        fs::symlink(target, at.path().join(number.to_string())).await.unwrap();
    }
    // 40 on Linux, 32 or more elsewhere.
    assert_eq!(fs::read(at.path().join("30")).await.unwrap(), b"the end");
    let real = fs::canonicalize(at.path().join("30")).await.unwrap();
    assert_eq!(real.file_name(), Some(OsStr::new("0")));
    let error = fs::read(at.path().join("60")).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
    if cfg!(target_os = "linux") {
        assert_eq!(fs::read(at.path().join("40")).await.unwrap(), b"the end");
        assert_eq!(fs::read(at.path().join("41")).await.unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }
}

async fn an_empty_path_is_nothing_to_every_call() {
    let at = directory().await;
    let beside = at.path().join("beside");
    let empty = Path::new("");
    let told = every_call(empty, &beside).await;
    // It has no last part that could be replaced.
    let (atomic, others): (Vec<_>, Vec<_>) = told.into_iter().partition(|(what, _)| *what == "write_atomic");
    assert_eq!(atomic, [("write_atomic", None)]);
    all_said(others, libc::ENOENT);
    let nothing = |error: io::Error| assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    nothing(fs::symlink_metadata(empty).await.unwrap_err());
    nothing(fs::read_link(empty).await.unwrap_err());
    nothing(fs::create_dir(empty).await.unwrap_err());
    nothing(fs::remove_file(empty).await.unwrap_err());
    nothing(fs::remove_dir(empty).await.unwrap_err());
    nothing(fs::remove_dir_all(empty).await.unwrap_err());
    nothing(fs::rename(empty, &beside).await.unwrap_err());
    nothing(fs::hard_link(empty, &beside).await.unwrap_err());
    nothing(fs::symlink(empty, &beside).await.unwrap_err());
    nothing(fs::symlink("x", empty).await.unwrap_err());
    nothing(fs::lchown(empty, None, None).await.unwrap_err());
    let times = FileTimes::new().set_modified(UNIX_EPOCH);
    nothing(fs::set_symlink_times(empty, times).await.unwrap_err());
    assert!(!fs::try_exists(empty).await.unwrap());
    assert!(names(at.path()).await.is_empty());
}

async fn a_path_that_is_too_long_is_told_and_a_deep_tree_is_reached_by_steps() {
    let at = directory().await;
    let name = "a_directory_with_a_long_name";
    let long: PathBuf = std::iter::once(at.path()).chain((0..200).map(|_| Path::new(name))).collect();
    let beside = at.path().join("beside");
    let mut told = every_call_below(&long, &beside).await;
    // realpath(3) goes step by step, and may see that the first is not there before that all are too much.
    told.retain(|(what, _)| *what != "canonicalize");
    all_said(told, libc::ENAMETOOLONG);
    assert!(names(at.path()).await.is_empty(), "nothing is made of what is too long");
    // From directory to directory there is no end.
    let mut deep = Dir::open(at.path()).await.unwrap();
    for _ in 0..200 {
        deep.create_dir(name).await.unwrap();
        deep = deep.open_dir(name).await.unwrap();
    }
    deep.create("file").await.unwrap().write_all_at("deep", 0).await.0.unwrap();
    assert_eq!(deep.metadata("file").await.unwrap().len(), 4);
    let mut entries = deep.read_dir().await.unwrap();
    let entry = entries.next_entry().await.unwrap().unwrap();
    // Its path is too long by now; the entry is asked for from the directory.
    assert!(entry.path().as_os_str().len() > 4096);
    assert_eq!(entry.metadata().await.unwrap().len(), 4);
    drop((deep, entries, entry));
    fs::remove_dir_all(at.path().join(name)).await.unwrap();
    assert!(names(at.path()).await.is_empty());
}

async fn every_call_takes_names_of_any_bytes() {
    let at = directory().await;
    let some: [&[u8]; 6] = [b"\xff\xfe", b"a\nb\t", b" ", &[1; 255], b"-rf *", b"\\'\"\x7f"];
    for bytes in some {
        let name = Path::new(OsStr::from_bytes(bytes));
        let folder = at.path().join(name);
        match fs::create_dir(&folder).await {
            // Some file systems take text alone.
            Err(error) if error.raw_os_error() == Some(libc::EILSEQ) => continue,
            made => made.unwrap(),
        }
        let (file, deep) = (folder.join(name), folder.join("deep").join(name));
        fs::write(&file, "text").await.0.unwrap();
        fs::write_atomic(&file, "other").await.0.unwrap();
        assert_eq!(fs::read(&file).await.unwrap(), b"other");
        assert_eq!(fs::metadata(&file).await.unwrap().len(), 5);
        assert!(fs::try_exists(&file).await.unwrap());
        fs::set_permissions(&file, Permissions::from_mode(0o600)).await.unwrap();
        fs::set_times(&file, FileTimes::new().set_modified(UNIX_EPOCH)).await.unwrap();
        fs::chown(&file, None, None).await.unwrap();
        fs::create_dir_all(&deep).await.unwrap();
        assert_eq!(fs::copy(&file, deep.join(name)).await.unwrap(), 5);
        fs::symlink(name, deep.join("link")).await.unwrap();
        assert_eq!(fs::read_link(deep.join("link")).await.unwrap(), name);
        assert_eq!(fs::read(deep.join("link")).await.unwrap(), b"other");
        let real = fs::canonicalize(deep.join("link")).await.unwrap();
        assert!(real.ends_with(Path::new("deep").join(name).join(name)), "{real:?}");
        fs::hard_link(&file, folder.join("second")).await.unwrap();
        fs::rename(folder.join("second"), folder.join("third")).await.unwrap();
        fs::rename_with(folder.join("third"), &file, RenameFlags::Exchange).await.unwrap();
        assert_eq!(names(&deep).await.len(), 2);
        for dir in [Dir::open(&deep).await.unwrap(), Dir::open(&deep).await.unwrap().confined()] {
            assert_eq!(dir.metadata(name).await.unwrap().len(), 5);
            dir.open_file(name).await.unwrap();
            dir.rename(name, &dir, "plain", RenameFlags::Replace).await.unwrap();
            dir.create_dir(name).await.unwrap();
            assert!(dir.symlink_metadata(name).await.unwrap().is_dir());
            dir.remove_dir(name).await.unwrap();
            dir.symlink(name, "to").await.unwrap();
            assert_eq!(dir.read_link("to").await.unwrap(), name);
            dir.remove_file("to").await.unwrap();
            dir.hard_link("plain", &dir, name).await.unwrap();
            dir.remove_file("plain").await.unwrap();
        }
        assert!(names(&folder).await.contains(&bytes.to_vec()));
        fs::remove_file(&file).await.unwrap();
        fs::remove_dir_all(&folder).await.unwrap();
    }
    assert!(names(at.path()).await.is_empty());
}

/// Runs the body on a thread that has the rights of nobody, where this process is root's. So have its helpers, and
/// what the ring is asked for.
fn as_nobody(body: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            #[cfg(target_os = "linux")]
            if is_root() {
                const NOBODY: libc::c_ulong = 65_534;
                // The calls themselves, for those of the C library are about all threads of the process.
                // SAFETY: no groups are read, and three numbers each.
                let answers = unsafe {
                    [
                        libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()),
                        libc::syscall(libc::SYS_setresgid, NOBODY, NOBODY, NOBODY),
                        libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY),
                    ]
                };
                assert_eq!(answers, [0; 3], "{}", io::Error::last_os_error());
            }
            body();
        });
    });
}

/// What somebody may not touch: `closed`, which is not theirs to enter, and `sealed`, where nothing may be changed, each with a
/// file in it.
fn forbidden(at: &Path) {
    for (name, mode, of_the_file) in [("closed", 0o000, 0o644), ("sealed", 0o555, 0o000)] {
        let folder = at.join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("file"), "secret").unwrap();
        std::fs::set_permissions(folder.join("file"), Permissions::from_mode(of_the_file)).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
    }
    std::fs::set_permissions(at, Permissions::from_mode(0o755)).unwrap();
}

/// So that the directory can be removed, also by who is not root.
fn permit(at: &Path) {
    for name in ["closed", "sealed"] {
        std::fs::set_permissions(at.join(name), Permissions::from_mode(0o755)).unwrap();
        let file = std::fs::metadata(at.join(name).join("file")).unwrap();
        assert_eq!(
            (file.len(), file.permissions().mode() & 0o7777),
            match name {
                "closed" => (6, 0o644),
                _ => (6, 0o000),
            }
        );
        assert_eq!(std::fs::read_dir(at.join(name)).unwrap().count(), 1, "nothing was made or removed");
    }
}

fn what_is_not_permitted_is_told_by_every_call_and_nothing_is_changed(builder: Builder) {
    if cfg!(not(target_os = "linux")) && is_root() {
        return support::skipped("what is not permitted", "rights are a thread's own on Linux only");
    }
    // Alone, for a thread of other rights concerns the process.
    alone(|| {
        let at = tempfile::tempdir().unwrap();
        let own = tempfile::tempdir().unwrap();
        std::fs::set_permissions(own.path(), Permissions::from_mode(0o777)).unwrap();
        forbidden(at.path());
        as_nobody(|| {
            let runtime = builder.build().unwrap();
            runtime.run(nobody_tries(at.path(), own.path())).unwrap();
            assert_eq!(runtime.metrics().in_flight, 0);
        });
        permit(at.path());
        assert_eq!(std::fs::read_dir(own.path()).unwrap().count(), 0, "nothing was made beside");
    });
}

async fn nobody_tries(at: &Path, own: &Path) {
    let beside = own.join("beside");
    all_said(every_call_below(&at.join("closed"), &beside).await, libc::EACCES);
    all_said(every_call_below(&at.join("closed/file"), &beside).await, libc::EACCES);
    let denied = |error: io::Error| assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    denied(fs::read_dir(at.join("closed")).await.unwrap_err());
    denied(Dir::open(at.join("closed")).await.unwrap_err());
    denied(fs::remove_dir_all(at.join("closed")).await.unwrap_err());

    let sealed = at.join("sealed");
    let file = sealed.join("file");
    denied(File::open(&file).await.unwrap_err());
    denied(OpenOptions::new().write(true).open(&file).await.unwrap_err());
    denied(fs::read(&file).await.unwrap_err());
    denied(fs::copy(&file, &beside).await.unwrap_err());
    let (result, back) = fs::write(&file, "text").await;
    denied(result.unwrap_err());
    assert_eq!(back, "text", "the buffer comes back");
    let (result, back) = fs::write_atomic(&file, "text").await;
    denied(result.unwrap_err());
    assert_eq!(back, "text");
    denied(fs::write_atomic(sealed.join("new"), "text").await.0.unwrap_err());
    denied(fs::remove_file(&file).await.unwrap_err());
    denied(fs::rename(&file, &beside).await.unwrap_err());
    denied(fs::rename(&file, sealed.join("new")).await.unwrap_err());
    denied(fs::create_dir(sealed.join("new")).await.unwrap_err());
    denied(fs::create_dir_all(sealed.join("new/deep")).await.unwrap_err());
    denied(fs::symlink("x", sealed.join("new")).await.unwrap_err());
    denied(fs::remove_dir(&sealed).await.unwrap_err());
    denied(fs::remove_dir_all(&sealed).await.unwrap_err());
    // What is somebody else's.
    denied(fs::chown(&file, Some(0), None).await.unwrap_err());
    denied(fs::lchown(&file, None, Some(0)).await.unwrap_err());
    let is_ours = fs::metadata(&file).await.unwrap().uid() != 0;
    if !is_ours {
        denied(fs::set_permissions(&file, Permissions::from_mode(0o777)).await.unwrap_err());
        denied(fs::set_times(&file, FileTimes::new().set_modified(UNIX_EPOCH)).await.unwrap_err());
    }
    match fs::set_xattr(&file, "user.a", "1").await.unwrap_err() {
        error if error.kind() == ErrorKind::Unsupported => {}
        error => denied(error),
    }
    // What may be seen is seen.
    assert_eq!(fs::metadata(&file).await.unwrap().len(), 6);
    assert_eq!(names(&sealed).await, [b"file"]);
    let dir = Dir::open(&sealed).await.unwrap();
    denied(dir.create("new").await.unwrap_err());
    denied(dir.open_file("file").await.unwrap_err());
    denied(dir.remove_file("file").await.unwrap_err());
    denied(dir.create_dir("new").await.unwrap_err());
    // A loop that was refused this much does the rest.
    fs::write(&beside, "own").await.0.unwrap();
    fs::remove_file(&beside).await.unwrap();
}

fn a_directory_may_be_searched_without_being_read(builder: Builder) {
    if cfg!(not(target_os = "linux")) && is_root() {
        return support::skipped("a directory that is searched", "rights are a thread's own on Linux only");
    }
    alone(|| {
        let at = tempfile::tempdir().unwrap();
        let folder = at.path().join("folder");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("file"), "text").unwrap();
        std::fs::set_permissions(at.path(), Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o311)).unwrap();
        as_nobody(|| {
            builder
                .build()
                .unwrap()
                .run(async {
                    assert_eq!(fs::read(folder.join("file")).await.unwrap(), b"text");
                    assert_eq!(
                        fs::canonicalize(folder.join("file")).await.unwrap().file_name(),
                        Some(OsStr::new("file"))
                    );
                    assert_eq!(fs::read_dir(&folder).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
                })
                .unwrap();
        });
        std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    });
}
