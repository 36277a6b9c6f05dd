//! Paths, and the calls that give and take names.

use super::*;

#[test]
fn dots_and_slashes_lead_where_they_lead_on_linux() {
    let mut disk = disk();
    make_directory(&mut disk, "/d");
    make_directory(&mut disk, "d/e/");
    put(&mut disk, "//d///f", b"x");
    let number = |path: &str| disk.stat_path(path.as_bytes(), true).map(|stat| stat.inode);
    for same in ["d/f", "./d/./f", "/../../d/f", "d/e/../f", "d/../d/f"] {
        assert_eq!(number(same), number("/d/f"), "{same}");
    }
    for same in ["/d/", "d/.", "d/./", "d/e/..", "d/e/../", "/d/e/../../d"] {
        assert_eq!(number(same), number("/d"), "{same}");
    }
    for root in ["/", ".", "..", "///", "/..", "/d/.."] {
        assert_eq!(number(root), Ok(1), "{root}");
    }
    for not_there in ["", "/x", "/x/", "/x/..", "/d/x/f"] {
        assert_eq!(number(not_there), Err(libc::ENOENT), "{not_there}");
    }
    for no_directory in ["/d/f/", "/d/f/.", "/d/f/..", "/d/f/x", "/d/f/../f"] {
        assert_eq!(number(no_directory), Err(libc::ENOTDIR), "{no_directory}");
    }
}

#[test]
fn a_name_or_a_path_that_is_too_long_is_refused() {
    let mut disk = disk();
    let long = "n".repeat(255);
    create(&mut disk, &long);
    assert_eq!(disk.stat_path(format!("{long}n").as_bytes(), true).unwrap_err(), libc::ENAMETOOLONG);
    assert_eq!(disk.make_directory(format!("{long}n").as_bytes(), 0, NOW), Err(libc::ENAMETOOLONG));
    assert_eq!(disk.stat_path(format!("/x/{long}n").as_bytes(), true).unwrap_err(), libc::ENOENT);
    assert!(disk.stat_path("/".repeat(4095).as_bytes(), true).is_ok());
    assert_eq!(disk.stat_path("/".repeat(4096).as_bytes(), true).unwrap_err(), libc::ENAMETOOLONG);
}

#[test]
fn only_what_is_of_the_right_kind_and_empty_is_removed() {
    let mut disk = disk();
    make_directory(&mut disk, "/d");
    create(&mut disk, "/d/f");
    let mut unlink = |path: &str, flags| disk.unlink(path.as_bytes(), flags, NOW);
    assert_eq!(unlink("/d", 0), Err(libc::EISDIR));
    assert_eq!(unlink("/d/.", 0), Err(libc::EISDIR));
    assert_eq!(unlink("/x", 0), Err(libc::ENOENT));
    assert_eq!(unlink("/d/f/", 0), Err(libc::ENOTDIR));
    let directory = libc::AT_REMOVEDIR;
    assert_eq!(unlink("/d", directory), Err(libc::ENOTEMPTY));
    assert_eq!(unlink("/d/f", directory), Err(libc::ENOTDIR));
    assert_eq!(unlink("/", directory), Err(libc::EBUSY));
    assert_eq!(unlink("/d/.", directory), Err(libc::EINVAL));
    assert_eq!(unlink("/d/..", directory), Err(libc::ENOTEMPTY));
    assert_eq!(unlink("/d/f", 0), Ok(()));
    assert_eq!(unlink("/d/", directory), Ok(()));
    assert_eq!(unlink("/d", directory), Err(libc::ENOENT));
    assert_eq!(names(&disk, "/"), ["tmp"]);
}

#[test]
fn a_removed_directory_that_is_still_open_takes_no_names() {
    let mut disk = disk();
    make_directory(&mut disk, "/d");
    let directory = disk.open(b"/d", libc::O_RDONLY, 0, NOW).unwrap();
    disk.unlink(b"/d", libc::AT_REMOVEDIR, NOW).unwrap();
    assert_eq!(disk.stat_open(&directory).links, 0);
    assert_eq!(disk.sync(&directory, false), Ok(()));
    assert_eq!(disk.open(b"/d/f", CREATE, 0, NOW).unwrap_err(), libc::ENOENT);
    disk.close(directory);
}

#[test]
fn a_rename_moves_and_replaces() {
    let mut disk = disk();
    put(&mut disk, "/a", b"a");
    let mut old = put(&mut disk, "/b", b"b");
    disk.rename(b"/a", b"/b", 0, NOW).unwrap();
    assert_eq!(content(&mut disk, "/b").unwrap(), b"a");
    assert_eq!(content(&mut disk, "/a"), None);
    assert_eq!(disk.read(&mut old, Some(0), 1, NOW).unwrap(), b"b", "who has it open keeps it");
    assert_eq!(disk.rename(b"/b", b"./b", 0, NOW), Ok(()), "itself: nothing");
    make_directory(&mut disk, "/d");
    make_directory(&mut disk, "/e");
    disk.rename(b"/b", b"/d/b", 0, NOW).unwrap();
    disk.rename(b"/d/", b"/e/", 0, NOW).unwrap();
    assert_eq!(names(&disk, "/"), ["e", "tmp"]);
    assert_eq!(names(&disk, "/e"), ["b"]);
}

#[test]
fn a_rename_that_makes_no_sense_changes_nothing() {
    let mut disk = disk();
    for path in ["/d", "/d/e", "/g", "/empty"] {
        make_directory(&mut disk, path);
    }
    for path in ["/f", "/d/e/h"] {
        create(&mut disk, path);
    }
    let mut rename = |from: &str, to: &str| disk.rename(from.as_bytes(), to.as_bytes(), 0, NOW);
    assert_eq!(rename("/x", "/y"), Err(libc::ENOENT));
    assert_eq!(rename("/f", "/x/y"), Err(libc::ENOENT));
    assert_eq!(rename("/f", "/empty"), Err(libc::EISDIR));
    assert_eq!(rename("/empty", "/f"), Err(libc::ENOTDIR));
    assert_eq!(rename("/f/", "/y"), Err(libc::ENOTDIR));
    assert_eq!(rename("/f", "/y/"), Err(libc::ENOTDIR));
    assert_eq!(rename("/g", "/d"), Err(libc::ENOTEMPTY));
    assert_eq!(rename("/d/e/h", "/d"), Err(libc::ENOTEMPTY), "above itself");
    assert_eq!(rename("/d", "/d/e/i"), Err(libc::EINVAL), "into itself");
    assert_eq!(rename("/d", "/d/e"), Err(libc::EINVAL));
    assert_eq!(rename("/", "/y"), Err(libc::EBUSY));
    assert_eq!(rename("/d/.", "/y"), Err(libc::EBUSY));
    assert_eq!(rename("/d", "/y/.."), Err(libc::ENOENT));
    assert_eq!(names(&disk, "/"), ["d", "empty", "f", "g", "tmp"]);
    assert_eq!(names(&disk, "/d/e"), ["h"]);
}

#[test]
fn a_directory_is_made_where_no_name_is() {
    let mut disk = disk();
    make_directory(&mut disk, "/d");
    create(&mut disk, "/f");
    let mut make = |path: &str| disk.make_directory(path.as_bytes(), 0o7777, NOW);
    for there in ["/d", "/f", "/f/", "/", ".", "/d/.."] {
        assert_eq!(make(there), Err(libc::EEXIST), "{there}");
    }
    assert_eq!(make("/x/y"), Err(libc::ENOENT));
    assert_eq!(make("/f/y"), Err(libc::ENOTDIR));
    assert_eq!(make("/d/e/"), Ok(()));
    assert_eq!(disk.stat_path(b"/d/e", true).unwrap().mode, DIRECTORY | 0o1755);
    assert_eq!(disk.list(b"/f"), Err(libc::ENOTDIR));
}

#[test]
fn a_socket_has_a_name_and_cannot_be_opened() {
    let mut disk = disk();
    let number = disk.make_socket(b"/s", NOW).unwrap();
    assert_eq!(disk.find_socket(b"/s"), Ok(number));
    assert_eq!(disk.find_socket(b"/x"), Err(libc::ENOENT));
    assert_eq!(disk.find_socket(b"/tmp"), Err(libc::ECONNREFUSED));
    assert_eq!(disk.find_socket(b"/s/"), Err(libc::ENOTDIR));
    assert_eq!(disk.make_socket(b"/s", NOW), Err(libc::EADDRINUSE));
    assert_eq!(disk.make_socket(b"/tmp", NOW), Err(libc::EADDRINUSE));
    assert_eq!(disk.make_socket(b"/x/s", NOW), Err(libc::ENOENT));
    assert_eq!(disk.open(b"/s", libc::O_RDWR, 0, NOW).unwrap_err(), libc::ENXIO);
    disk.rename(b"/s", b"/t", 0, NOW).unwrap();
    assert_eq!(disk.find_socket(b"/t"), Ok(number));
    disk.unlink(b"/t", 0, NOW).unwrap();
    assert_ne!(disk.make_socket(b"/t", NOW), Ok(number), "a number is never used twice");
}
