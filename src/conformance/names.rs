//! Names of files: made, looked up, removed, given to others.

use std::path::PathBuf;

use super::Script;
use crate::fs::{self, File, OpenOptions};

super::scripts! {
    what_is_not_there_is_not_found,
    a_file_is_no_directory,
    names_have_at_most_255_bytes,
    a_new_file_is_made_once,
    a_slash_at_the_end_asks_for_a_directory,
    dots_are_followed,
    directories_are_made_in_directories,
    a_directory_is_removed_when_it_is_empty,
    files_and_directories_are_removed_by_different_calls,
    a_file_is_renamed,
    renaming_replaces,
    a_name_is_renamed_to_itself,
    directories_are_renamed_with_what_is_in_them,
    a_directory_replaces_an_empty_one,
    a_directory_and_a_file_do_not_replace_each_other,
    a_directory_is_not_renamed_into_itself,
    metadata_say_what_it_is,
    a_directory_may_be_asked_for,
    a_removed_directory_takes_no_files,
    names_are_bytes_and_their_case_counts,
}

async fn made(script: &Script, name: &str) -> PathBuf {
    let path = script.path(name).await;
    fs::write(&path, "text").await.0.unwrap();
    path
}

async fn directory(script: &Script, name: &str) -> PathBuf {
    let path = script.path(name).await;
    fs::create_dir(&path).await.unwrap();
    path
}

async fn what_is_not_there_is_not_found(script: &Script) {
    let path = script.path("nothing").await;
    let other = script.path("other").await;
    script.says("open", File::open(&path).await, "ENOENT");
    script.says("open for writing", OpenOptions::new().write(true).open(&path).await, "ENOENT");
    script.says("metadata", fs::metadata(&path).await, "ENOENT");
    script.says("unlink", fs::remove_file(&path).await, "ENOENT");
    script.says("rmdir", fs::remove_dir(&path).await, "ENOENT");
    script.says("rename", fs::rename(&path, &other).await, "ENOENT");
    script.says("no directory", File::create(path.join("file")).await, "ENOENT");
    script.says("no name", File::open("").await, "ENOENT");
}

async fn a_file_is_no_directory(script: &Script) {
    let path = made(script, "file").await.join("in it");
    let other = script.path("other").await;
    script.says("open", File::open(&path).await, "ENOTDIR");
    script.says("create", File::create(&path).await, "ENOTDIR");
    script.says("metadata", fs::metadata(&path).await, "ENOTDIR");
    script.says("unlink", fs::remove_file(&path).await, "ENOTDIR");
    script.says("mkdir", fs::create_dir(&path).await, "ENOTDIR");
    script.says("rename", fs::rename(&path, &other).await, "ENOTDIR");
    script.says("up again", fs::metadata(path.join("../..")).await, "ENOTDIR");
}

async fn names_have_at_most_255_bytes(script: &Script) {
    let long = script.path(&"x".repeat(255)).await;
    let longer = script.path(&"x".repeat(256)).await;
    script.says("create", File::create(&long).await, "ok");
    script.says("unlink", fs::remove_file(&long).await, "ok");
    script.says("create", File::create(&longer).await, "ENAMETOOLONG");
    script.says("metadata", fs::metadata(&longer).await, "ENAMETOOLONG");
    script.says("mkdir", fs::create_dir(&longer).await, "ENAMETOOLONG");
    script.says("rename", fs::rename(&longer, &long).await, "ENAMETOOLONG");
    let path = script.path(&"x/".repeat(2100)).await;
    script.says("a path of 4096", fs::metadata(&path).await, "ENAMETOOLONG");
}

async fn a_new_file_is_made_once(script: &Script) {
    let path = script.path("file").await;
    let mut new = OpenOptions::new();
    new.write(true).create_new(true);
    script.says("open", new.open(&path).await, "ok");
    script.says("again", new.open(&path).await, "EEXIST");
    script.says("a directory", new.open(directory(script, "directory").await).await, "EEXIST");
    script.says("unlink", fs::remove_file(&path).await, "ok");
    script.says("open", new.open(&path).await, "ok");
    script.says("metadata", fs::metadata(&path).await, "file 0");
}

async fn a_slash_at_the_end_asks_for_a_directory(script: &Script) {
    made(script, "file").await;
    directory(script, "directory").await;
    let (file, within) = (script.path("file/").await, script.path("directory/").await);
    script.says("open a file", File::open(&file).await, "ENOTDIR");
    script.says("its metadata", fs::metadata(&file).await, "ENOTDIR");
    script.says("unlink it", fs::remove_file(&file).await, "ENOTDIR");
    script.says("rename it", fs::rename(&file, script.path("other").await).await, "ENOTDIR");
    script.says("make a file", File::create(script.path("new/").await).await, "EISDIR");
    script.says("open a directory", File::open(&within).await, "ok");
    script.says("make one", fs::create_dir(script.path("new/").await).await, "ok");
    script.says("remove one", fs::remove_dir(&within).await, "ok");
}

async fn dots_are_followed(script: &Script) {
    made(script, "file").await;
    directory(script, "directory").await;
    script.says("here", fs::metadata(script.path("./file").await).await, "file 4");
    script.says("up", fs::metadata(script.path("directory/../file").await).await, "file 4");
    script.says("twice", fs::metadata(script.path("directory//..//file").await).await, "file 4");
    script.says("through nothing", fs::metadata(script.path("nothing/../file").await).await, "ENOENT");
    script.says("mkdir", fs::create_dir(script.path("directory/.").await).await, "EEXIST");
    script.says("rmdir", fs::remove_dir(script.path("directory/.").await).await, "EINVAL");
    script.says("rmdir", fs::remove_dir(script.path("directory/..").await).await, "ENOTEMPTY");
    script.says("unlink", fs::remove_file(script.path("directory/.").await).await, "EISDIR");
    script.says("above all", fs::metadata("/../..").await, "directory");
}

async fn directories_are_made_in_directories(script: &Script) {
    let path = script.path("a").await;
    script.says("mkdir", fs::create_dir(&path).await, "ok");
    script.says("again", fs::create_dir(&path).await, "EEXIST");
    script.says("within", fs::create_dir(path.join("b")).await, "ok");
    script.says("within nothing", fs::create_dir(path.join("c/d")).await, "ENOENT");
    script.says("where a file is", fs::create_dir(made(script, "file").await).await, "EEXIST");
    script.says("metadata", fs::metadata(path.join("b")).await, "directory");
}

async fn a_directory_is_removed_when_it_is_empty(script: &Script) {
    let path = directory(script, "a").await;
    let file = made(script, "a/file").await;
    script.says("rmdir", fs::remove_dir(&path).await, "ENOTEMPTY");
    script.says("unlink", fs::remove_file(&file).await, "ok");
    script.says("rmdir", fs::remove_dir(&path).await, "ok");
    script.says("rmdir", fs::remove_dir(&path).await, "ENOENT");
    script.says("metadata", fs::metadata(&path).await, "ENOENT");
}

async fn files_and_directories_are_removed_by_different_calls(script: &Script) {
    let (file, path) = (made(script, "file").await, directory(script, "a").await);
    script.says("unlink a directory", fs::remove_file(&path).await, "EISDIR");
    script.says("rmdir of a file", fs::remove_dir(&file).await, "ENOTDIR");
    script.says("both are there", fs::metadata(&file).await, "file 4");
    script.says("both are there", fs::metadata(&path).await, "directory");
}

async fn a_file_is_renamed(script: &Script) {
    let (one, other) = (made(script, "one").await, script.path("other").await);
    let inode = fs::metadata(&one).await.unwrap().ino();
    script.says("rename", fs::rename(&one, &other).await, "ok");
    script.says("the old name", fs::metadata(&one).await, "ENOENT");
    script.says("the new one", fs::read(&other).await, "text");
    script.says("the same file", fs::metadata(&other).await.unwrap().ino() == inode, "yes");
    script.says("to nowhere", fs::rename(&other, script.path("a/b").await).await, "ENOENT");
    let within = directory(script, "a").await.join("b");
    script.says("into a directory", fs::rename(&other, &within).await, "ok");
    script.says("read", fs::read(&within).await, "text");
}

async fn renaming_replaces(script: &Script) {
    let (one, other) = (made(script, "one").await, script.path("other").await);
    fs::write(&other, "another text").await.0.unwrap();
    script.says("rename", fs::rename(&one, &other).await, "ok");
    script.says("read", fs::read(&other).await, "text");
    script.says("the old name", File::open(&one).await, "ENOENT");
}

async fn a_name_is_renamed_to_itself(script: &Script) {
    let (file, path) = (made(script, "file").await, directory(script, "a").await);
    script.says("a file", fs::rename(&file, &file).await, "ok");
    script.says("read", fs::read(&file).await, "text");
    script.says("a directory", fs::rename(&path, &path).await, "ok");
    let nothing = script.path("nothing").await;
    script.says("nothing", fs::rename(&nothing, &nothing).await, "ENOENT");
}

async fn directories_are_renamed_with_what_is_in_them(script: &Script) {
    let path = directory(script, "a").await;
    made(script, "a/file").await;
    let open = File::open(path.join("file")).await.unwrap();
    let other = script.path("b").await;
    script.says("rename", fs::rename(&path, &other).await, "ok");
    script.says("read", fs::read(other.join("file")).await, "text");
    script.says("the old name", fs::read(path.join("file")).await, "ENOENT");
    script.says("what is open", open.read(Vec::with_capacity(10)).await, "4: text");
}

async fn a_directory_replaces_an_empty_one(script: &Script) {
    let (one, other) = (directory(script, "one").await, directory(script, "other").await);
    made(script, "one/file").await;
    made(script, "other/thing").await;
    script.says("one that is not empty", fs::rename(&one, &other).await, "ENOTEMPTY|EEXIST");
    fs::remove_file(other.join("thing")).await.unwrap();
    script.says("one that is", fs::rename(&one, &other).await, "ok");
    script.says("read", fs::read(other.join("file")).await, "text");
    script.says("the old name", fs::metadata(&one).await, "ENOENT");
}

async fn a_directory_and_a_file_do_not_replace_each_other(script: &Script) {
    let (file, path) = (made(script, "file").await, directory(script, "a").await);
    script.says("a file over a directory", fs::rename(&file, &path).await, "EISDIR");
    script.says("a directory over a file", fs::rename(&path, &file).await, "ENOTDIR");
    script.says("both are there", fs::metadata(&file).await, "file 4");
    script.says("both are there", fs::metadata(&path).await, "directory");
}

async fn a_directory_is_not_renamed_into_itself(script: &Script) {
    let path = directory(script, "a").await;
    directory(script, "a/b").await;
    script.says("into itself", fs::rename(&path, path.join("c")).await, "EINVAL");
    script.says("deeper", fs::rename(&path, path.join("b/c")).await, "EINVAL");
    script.says("over its parent", fs::rename(path.join("b"), &path).await, "ENOTEMPTY");
    script.says("it is there", fs::metadata(path.join("b")).await, "directory");
}

async fn metadata_say_what_it_is(script: &Script) {
    let (file, path) = (made(script, "file").await, directory(script, "a").await);
    let found = fs::metadata(&file).await.unwrap();
    script.says("a file", found, "file 4");
    script.says("its links", found.nlink(), "1");
    let within = File::open(&file).await.unwrap();
    script.says("by descriptor", within.metadata().await, "file 4");
    script.says("the same", within.metadata().await.unwrap().ino() == found.ino(), "yes");
    script.says("no link", fs::symlink_metadata(&file).await, "file 4");
    script.says("a directory", fs::metadata(&path).await, "directory");
    script.says("another file", fs::metadata(&path).await.unwrap().ino() != found.ino(), "yes");
    script.says("the root", fs::metadata("/").await, "directory");
}

async fn a_directory_may_be_asked_for(script: &Script) {
    let (file, path) = (made(script, "file").await, directory(script, "a").await);
    let mut asking = OpenOptions::new();
    asking.read(true).custom_flags(libc::O_DIRECTORY);
    script.says("a directory", asking.open(&path).await, "ok");
    script.says("a file", asking.open(&file).await, "ENOTDIR");
    script.says("nothing", asking.open(script.path("nothing").await).await, "ENOENT");
}

async fn a_removed_directory_takes_no_files(script: &Script) {
    let path = directory(script, "a").await;
    let open = File::open(&path).await.unwrap();
    script.says("rmdir", fs::remove_dir(&path).await, "ok");
    script.says("create", File::create(path.join("file")).await, "ENOENT");
    script.says("what is open", open.metadata().await, "directory");
    script.says("its links", open.metadata().await.unwrap().nlink(), "0");
    script.says("sync", open.sync_all().await, "ok");
}

async fn names_are_bytes_and_their_case_counts(script: &Script) {
    let (one, other) = (script.path("Name").await, script.path("name").await);
    fs::write(&one, "one").await.0.unwrap();
    script.says("another case", File::open(&other).await, "ENOENT");
    fs::write(&other, "other").await.0.unwrap();
    script.says("read", fs::read(&one).await, "one");
    let odd = script.path("a b\n\u{e4}").await;
    script.says("odd bytes", fs::write(&odd, "odd").await, "ok");
    script.says("read", fs::read(&odd).await, "odd");
}
