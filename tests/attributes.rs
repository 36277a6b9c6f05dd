//! What is known of files besides what is in them: owners, extended attributes by path, numbers of metadata.

mod support;

use std::ffi::{OsStr, OsString};
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use annulus::fs::{self, File};
use support::limits::is_root;
use support::outside::directory;
use support::{is_simulated, on_every_driver, on_real_drivers};

on_every_driver! {
    attributes_of_a_path_are_set_listed_read_and_removed,
    attributes_are_of_what_a_link_leads_to,
    an_attribute_s_name_and_value_have_a_longest,
    names_of_attributes_are_any_bytes,
    owners_are_set_by_path_by_link_and_by_file,
    a_change_of_what_is_known_is_noted,
}

on_real_drivers! {
    because "std's own metadata are the measure":
        numbers_of_metadata_are_those_of_std,
        kinds_of_files_are_those_of_std;
}

fn kind<T: std::fmt::Debug>(result: std::io::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

/// A file that may have attributes; says so where this file system keeps none.
async fn with_attributes(path: &Path) -> bool {
    fs::write(path, "text").await.0.unwrap();
    match fs::set_xattr(path, "user.colour", "blue").await {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            support::skipped("extended attributes", &error.to_string());
            false
        }
        result => {
            result.unwrap();
            true
        }
    }
}

/// The names of those that users give.
fn of_users(mut names: Vec<OsString>) -> Vec<OsString> {
    names.retain(|name| name.as_bytes().starts_with(b"user."));
    names.sort();
    names
}

async fn attributes_of_a_path_are_set_listed_read_and_removed() {
    let at = directory().await;
    let path = at.path().join("file");
    if !with_attributes(&path).await {
        return;
    }
    fs::set_xattr(&path, "user.long", vec![7; 3000]).await.unwrap();
    fs::set_xattr(&path, "user.empty", "").await.unwrap();
    fs::set_xattr(&path, "user.colour", "green").await.unwrap();
    assert_eq!(fs::xattr(&path, "user.colour").await.unwrap().unwrap(), b"green", "replaced");
    assert_eq!(fs::xattr(&path, "user.long").await.unwrap().unwrap(), vec![7; 3000]);
    assert_eq!(fs::xattr(&path, "user.empty").await.unwrap().unwrap(), b"");
    assert_eq!(fs::xattr(&path, "user.none").await.unwrap(), None);
    let names = of_users(fs::xattrs(&path).await.unwrap());
    assert_eq!(names, ["user.colour", "user.empty", "user.long"]);
    // They are the same by path and of the open file.
    let file = File::open(&path).await.unwrap();
    assert_eq!(file.xattr("user.colour").await.unwrap().unwrap(), b"green");
    assert_eq!(of_users(file.xattrs().await.unwrap()), names);
    assert!(fs::remove_xattr(&path, "user.long").await.unwrap());
    assert!(!fs::remove_xattr(&path, "user.long").await.unwrap());
    assert_eq!(file.xattr("user.long").await.unwrap(), None);
    // Directories have some, too; who has many is listed all the same.
    for number in 0..60 {
        fs::set_xattr(at.path(), format!("user.number {number:02}"), [number]).await.unwrap();
    }
    assert_eq!(of_users(fs::xattrs(at.path()).await.unwrap()).len(), 60);

    let nowhere = at.path().join("nowhere");
    assert_eq!(kind(fs::xattr(&nowhere, "user.a").await), ErrorKind::NotFound);
    assert_eq!(kind(fs::set_xattr(&nowhere, "user.a", "").await), ErrorKind::NotFound);
    assert_eq!(kind(fs::xattrs(&nowhere).await), ErrorKind::NotFound);
    assert_eq!(kind(fs::remove_xattr(&nowhere, "user.a").await), ErrorKind::NotFound);
    assert_eq!(kind(fs::set_xattr(&path, "user.a\0b", "").await), ErrorKind::InvalidInput);
    assert_eq!(kind(fs::xattr("a\0b", "user.a").await), ErrorKind::InvalidInput);
    assert_eq!(kind(fs::set_xattr(&path, "no class", "").await), ErrorKind::Unsupported);
}

async fn attributes_are_of_what_a_link_leads_to() {
    let at = directory().await;
    let (path, link) = (at.path().join("file"), at.path().join("link"));
    if !with_attributes(&path).await {
        return;
    }
    fs::symlink("file", &link).await.unwrap();
    assert_eq!(fs::xattr(&link, "user.colour").await.unwrap().unwrap(), b"blue");
    fs::set_xattr(&link, "user.size", "L").await.unwrap();
    assert_eq!(fs::xattr(&path, "user.size").await.unwrap().unwrap(), b"L");
    assert_eq!(of_users(fs::xattrs(&link).await.unwrap()), ["user.colour", "user.size"]);
    assert!(fs::remove_xattr(&link, "user.size").await.unwrap());
    assert_eq!(fs::xattr(&path, "user.size").await.unwrap(), None);
}

/// The system says ERANGE of a name that is too long, as of a place that is too small: asked again with more and more
/// room, there was no end of it.
async fn an_attribute_s_name_and_value_have_a_longest() {
    let at = directory().await;
    let path = at.path().join("file");
    if !with_attributes(&path).await {
        return;
    }
    let file = File::open(&path).await.unwrap();
    let name = format!("user.{}", "n".repeat(251));
    let range = |error: std::io::Error| assert_eq!(error.raw_os_error(), Some(libc::ERANGE));
    range(fs::xattr(&path, &name).await.unwrap_err());
    range(fs::set_xattr(&path, &name, "").await.unwrap_err());
    range(fs::remove_xattr(&path, &name).await.unwrap_err());
    range(file.xattr(&name).await.unwrap_err());
    range(file.set_xattr(&name, "").await.unwrap_err());
    range(file.remove_xattr(&name).await.unwrap_err());
    let long = vec![1; 65_537];
    assert_eq!(fs::set_xattr(&path, "user.a", &long).await.unwrap_err().raw_os_error(), Some(libc::E2BIG));
    assert_eq!(file.set_xattr("user.a", &long).await.unwrap_err().raw_os_error(), Some(libc::E2BIG));
    assert_eq!(of_users(fs::xattrs(&path).await.unwrap()), ["user.colour"]);
}

async fn names_of_attributes_are_any_bytes() {
    let at = directory().await;
    let path = at.path().join(OsStr::from_bytes(b"\xfe a file"));
    if !with_attributes(&path).await {
        return;
    }
    let name = OsStr::from_bytes(b"user.\xff\n ");
    fs::set_xattr(&path, name, b"\0\xff").await.unwrap();
    assert_eq!(fs::xattr(&path, name).await.unwrap().unwrap(), b"\0\xff");
    assert_eq!(of_users(fs::xattrs(&path).await.unwrap()), [OsStr::new("user.colour"), name]);
    assert!(fs::remove_xattr(&path, name).await.unwrap());
}

async fn owners_are_set_by_path_by_link_and_by_file() {
    let at = directory().await;
    let (path, link) = (at.path().join("file"), at.path().join("link"));
    fs::write(&path, "text").await.0.unwrap();
    fs::symlink("file", &link).await.unwrap();
    let owner = async |path: &Path| {
        let metadata = fs::symlink_metadata(path).await.unwrap();
        (metadata.uid(), metadata.gid())
    };
    let (user, group) = owner(&path).await;
    assert_eq!(owner(&link).await, (user, group));
    // Nothing is asked for, and what is so already.
    fs::chown(&path, None, None).await.unwrap();
    fs::chown(&path, Some(user), Some(group)).await.unwrap();
    assert_eq!(owner(&path).await, (user, group));
    let nowhere = at.path().join("nowhere");
    assert_eq!(kind(fs::chown(&nowhere, None, Some(group)).await), ErrorKind::NotFound);
    assert_eq!(kind(fs::lchown(&nowhere, None, Some(group)).await), ErrorKind::NotFound);
    assert_eq!(kind(fs::chown("a\0b", None, None).await), ErrorKind::InvalidInput);
    if !is_simulated() && !is_root() {
        return support::skipped("other owners", "only root gives files away");
    }
    fs::chown(&link, Some(1001), None).await.unwrap();
    assert_eq!(owner(&path).await, (1001, group), "what the link leads to, and the user alone");
    assert_eq!(owner(&link).await, (user, group));
    fs::lchown(&link, None, Some(1002)).await.unwrap();
    assert_eq!(owner(&link).await, (user, 1002));
    assert_eq!(owner(&path).await, (1001, group));
    let file = File::open(&path).await.unwrap();
    file.chown(Some(1003), Some(1004)).await.unwrap();
    assert_eq!(owner(&path).await, (1003, 1004));
    // What runs as its owner is not to run as the new one.
    fs::set_permissions(&path, Permissions::from_mode(0o6755)).await.unwrap();
    fs::chown(&path, Some(1005), None).await.unwrap();
    assert_eq!(fs::metadata(&path).await.unwrap().mode() & 0o7777, 0o755);
}

async fn numbers_of_metadata_are_those_of_std() {
    for path in ["/dev/null", "/dev/zero", "/dev", "/"] {
        let (ours, of_std) = (fs::metadata(path).await.unwrap(), std::fs::metadata(path).unwrap());
        assert_eq!((ours.rdev(), ours.blksize()), (of_std.rdev(), of_std.blksize()), "{path}");
        assert_eq!((ours.uid(), ours.gid()), (of_std.uid(), of_std.gid()), "{path}");
    }
    assert_ne!(
        fs::metadata("/dev/null").await.unwrap().rdev(),
        fs::metadata("/dev/zero").await.unwrap().rdev()
    );
}

async fn a_change_of_what_is_known_is_noted() {
    let at = directory().await;
    let path = at.path().join("file");
    fs::write(&path, "text").await.0.unwrap();
    let before = fs::metadata(&path).await.unwrap();
    annulus::time::sleep(Duration::from_millis(20)).await;
    fs::set_permissions(&path, Permissions::from_mode(0o600)).await.unwrap();
    let after = fs::metadata(&path).await.unwrap();
    assert!(after.changed() > before.changed());
    assert_eq!(after.modified(), before.modified(), "what is in it is as it was");
    assert!(
        before
            .direct_io()
            .is_none_or(|wanted| wanted.memory.is_power_of_two() && wanted.offset.is_power_of_two())
    );
}

async fn kinds_of_files_are_those_of_std() {
    use std::os::unix::fs::FileTypeExt;
    let at = tempfile::tempdir().unwrap();
    let path = |name: &str| at.path().join(name);
    let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(path("fifo")).status();
    assert!(made.is_ok_and(|status| status.success()));
    std::fs::write(path("file"), "").unwrap();
    let devices = std::fs::read_dir("/dev").unwrap().map(|entry| entry.unwrap().path());
    let paths = ["socket", "fifo", "file", ""].map(path).into_iter().chain(devices);
    let mut seen = std::collections::BTreeSet::new();
    for path in paths {
        let (Ok(ours), Ok(of_std)) = (fs::symlink_metadata(&path).await, std::fs::symlink_metadata(&path))
        else {
            continue;
        };
        let (ours, of_std) = (ours.file_type(), of_std.file_type());
        let said = [ours.is_file(), ours.is_dir(), ours.is_symlink(), ours.is_fifo(), ours.is_socket()];
        let of_a_device = [ours.is_block_device(), ours.is_char_device()];
        let wanted =
            [of_std.is_file(), of_std.is_dir(), of_std.is_symlink(), of_std.is_fifo(), of_std.is_socket()];
        assert_eq!(said, wanted, "{}", path.display());
        assert_eq!(of_a_device, [of_std.is_block_device(), of_std.is_char_device()], "{}", path.display());
        seen.insert((said, of_a_device));
    }
    assert!(seen.len() >= 5, "{seen:?}");
}
