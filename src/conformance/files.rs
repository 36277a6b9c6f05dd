//! Open files: reading, writing, lengths, cursors, and what a file that was opened for less refuses.

use super::Script;
use super::socket::{HERE, Socket};
use crate::fs::{self, File, OpenOptions};

super::scripts! {
    what_is_written_is_read,
    nothing_is_read_past_the_end,
    offsets_have_a_last,
    what_was_never_written_is_zero,
    a_cursor_moves_with_what_is_read_and_written,
    reading_and_writing_share_a_cursor,
    an_offset_leaves_the_cursor_alone,
    each_open_has_a_cursor_of_its_own,
    appending_goes_to_the_end_whatever_the_offset,
    two_that_append_do_not_overwrite,
    files_are_cut_off_and_made_longer,
    cutting_off_leaves_the_cursor,
    opening_may_empty_a_file,
    one_that_only_reads_is_not_written,
    one_that_only_writes_is_not_read,
    several_buffers_go_to_a_file_and_come_back,
    empty_file_transfers_are_nothing,
    one_writes_and_the_other_reads,
    what_is_written_may_be_synced,
    a_directory_is_opened_to_be_synced_and_no_more,
    a_mebibyte_is_written_and_read,
    a_file_without_a_name_lives_until_it_is_closed,
    a_file_that_was_replaced_lives_until_it_is_closed,
    a_whole_read_of_too_little_tells_how_far_it_came,
    a_file_is_no_socket,
}

fn room(length: usize) -> Vec<u8> {
    Vec::with_capacity(length)
}

/// A new file of that text, for reading and writing.
async fn file(script: &Script, text: &'static str) -> File {
    let path = script.path("file").await;
    fs::write(&path, text).await.0.unwrap();
    OpenOptions::new().read(true).write(true).open(path).await.unwrap()
}

async fn what_is_written_is_read(script: &Script) {
    let file = file(script, "").await;
    script.says("write", file.write_at("hello", 0).await, "5");
    script.says("read", file.read_at(room(100), 0).await, "5: hello");
    script.says("write over", file.write_at("J", 0).await, "1");
    script.says("write more", file.write_at("y", 5).await, "1");
    script.says("read", file.read_at(room(100), 0).await, "6: Jelloy");
    script.says("a part", file.read_at(room(2), 1).await, "2: el");
    script.says("metadata", file.metadata().await, "file 6");
}

async fn nothing_is_read_past_the_end(script: &Script) {
    let file = file(script, "hello").await;
    script.says("over the end", file.read_at(room(10), 3).await, "2: lo");
    script.says("at the end", file.read_at(room(10), 5).await, "0");
    script.says("behind it", file.read_at(room(10), 1_000_000).await, "0");
    script.says("again", file.read_at(room(10), 1_000_000).await, "0");
}

/// Offsets are signed to the system, and the largest is not a place for a byte.
async fn offsets_have_a_last(script: &Script) {
    let file = file(script, "hello").await;
    script.says("read", file.read_at(room(1), 1 << 63).await, "EINVAL");
    script.says("write", file.write_at("x", 1 << 63).await, "EINVAL");
    script.says("read", file.read_at(room(1), u64::MAX).await, "EINVAL");
    script.says("set the length", file.set_len(1 << 63).await, "EINVAL");
    // The file system's own limit is below it.
    script.says("write", file.write_at("x", i64::MAX as u64 - 1).await, "EFBIG|EINVAL");
    script.says("metadata", file.metadata().await, "file 5");
}

async fn what_was_never_written_is_zero(script: &Script) {
    let file = file(script, "ab").await;
    script.says("write", file.write_at("yz", 5).await, "2");
    script.says("read", file.read_at(room(10), 0).await, "7: ab\\x00\\x00\\x00yz");
    script.says("write far", file.write_at("!", 10_000_000).await, "1");
    script.says("metadata", file.metadata().await, "file 10000001");
    script.says("read", file.read_at(room(3), 5_000_000).await, "3: \\x00\\x00\\x00");
}

async fn a_cursor_moves_with_what_is_read_and_written(script: &Script) {
    let file = file(script, "hello world").await;
    script.says("read", file.read(room(6)).await, "6: hello ");
    script.says("read", file.read(room(3)).await, "3: wor");
    script.says("read", file.read(room(100)).await, "2: ld");
    script.says("read", file.read(room(100)).await, "0");
    script.says("write", file.write("!").await, "1");
    script.says("read", file.read(room(100)).await, "0");
    script.says("all", file.read_at(room(100), 0).await, "12: hello world!");
}

async fn reading_and_writing_share_a_cursor(script: &Script) {
    let file = file(script, "hello").await;
    script.says("write", file.write("J").await, "1");
    script.says("read", file.read(room(2)).await, "2: el");
    script.says("write", file.write_all("ies").await, "ok");
    script.says("all", file.read_at(room(100), 0).await, "6: Jelies");
}

async fn an_offset_leaves_the_cursor_alone(script: &Script) {
    let file = file(script, "hello").await;
    script.says("read", file.read_at(room(2), 3).await, "2: lo");
    script.says("write", file.write_at("J", 0).await, "1");
    script.says("read", file.read(room(2)).await, "2: Je");
}

async fn each_open_has_a_cursor_of_its_own(script: &Script) {
    let one = file(script, "hello").await;
    let other = File::open(script.path("file").await).await.unwrap();
    script.says("read", one.read(room(3)).await, "3: hel");
    script.says("read", other.read(room(2)).await, "2: he");
    script.says("read", one.read(room(3)).await, "2: lo");
}

/// pwrite(2), BUGS: a write to a file of O_APPEND appends whatever the offset.
async fn appending_goes_to_the_end_whatever_the_offset(script: &Script) {
    let path = script.path("file").await;
    fs::write(&path, "hello").await.0.unwrap();
    let file = OpenOptions::new().read(true).append(true).open(&path).await.unwrap();
    script.says("write at the beginning", file.write_at(" world", 0).await, "6");
    script.says("write at the cursor", file.write("!").await, "1");
    script.says("read", file.read_at(room(100), 0).await, "12: hello world!");
    script.says("the cursor is at the end", file.read(room(100)).await, "0");
}

async fn two_that_append_do_not_overwrite(script: &Script) {
    let path = script.path("file").await;
    let one = OpenOptions::new().append(true).create(true).open(&path).await.unwrap();
    let other = OpenOptions::new().append(true).open(&path).await.unwrap();
    for _ in 0..3 {
        one.write_all("1").await.0.unwrap();
        other.write_all("2").await.0.unwrap();
    }
    script.says("read", fs::read(&path).await, "121212");
}

async fn files_are_cut_off_and_made_longer(script: &Script) {
    let file = file(script, "hello").await;
    script.says("shorter", file.set_len(2).await, "ok");
    script.says("read", file.read_at(room(100), 0).await, "2: he");
    script.says("longer", file.set_len(4).await, "ok");
    script.says("what was cut off is gone", file.read_at(room(100), 0).await, "4: he\\x00\\x00");
    script.says("nothing", file.set_len(0).await, "ok");
    script.says("metadata", file.metadata().await, "file 0");
}

async fn cutting_off_leaves_the_cursor(script: &Script) {
    let file = file(script, "hello").await;
    script.says("read", file.read(room(4)).await, "4: hell");
    script.says("cut off", file.set_len(1).await, "ok");
    script.says("read", file.read(room(4)).await, "0");
    script.says("write", file.write("x").await, "1");
    script.says("all", file.read_at(room(100), 0).await, "5: h\\x00\\x00\\x00x");
}

async fn opening_may_empty_a_file(script: &Script) {
    let old = file(script, "hello").await;
    let path = script.path("file").await;
    OpenOptions::new().write(true).open(&path).await.unwrap();
    script.says("opened", old.metadata().await, "file 5");
    File::create(&path).await.unwrap();
    script.says("made anew", old.metadata().await, "file 0");
}

async fn one_that_only_reads_is_not_written(script: &Script) {
    file(script, "hello").await;
    let file = File::open(script.path("file").await).await.unwrap();
    script.says("write", file.write_at("x", 0).await, "EBADF");
    script.says("write at the cursor", file.write("x").await, "EBADF");
    script.says("write several", file.writev_at(vec!["x"], 0).await, "EBADF");
    // ftruncate(2) permits EBADF as well; Linux says this.
    script.says("set the length", file.set_len(1).await, "EINVAL");
    script.says("sync", file.sync_all().await, "ok");
    script.says("read", file.read_at(room(100), 0).await, "5: hello");
}

async fn one_that_only_writes_is_not_read(script: &Script) {
    let file = File::create(script.path("file").await).await.unwrap();
    script.says("read", file.read_at(room(1), 0).await, "EBADF");
    script.says("read at the cursor", file.read(room(1)).await, "EBADF");
    script.says("read several", file.readv_at(vec![room(1)], 0).await, "EBADF");
    script.says("write", file.write_at("x", 0).await, "1");
}

async fn several_buffers_go_to_a_file_and_come_back(script: &Script) {
    let file = file(script, "").await;
    script.says("write", file.writev_at(vec!["he", "", "llo"], 1).await, "5");
    script.says("read", file.readv_at(vec![room(2), room(0), room(100)], 0).await, "6: \\x00h,,ello");
    script.says("at the end", file.readv_at(vec![room(2), room(2)], 6).await, "0: ,");
}

/// They are not asked of the system, so a file that would refuse does not.
async fn empty_file_transfers_are_nothing(script: &Script) {
    let file = file(script, "hello").await;
    script.says("read", file.read_at(room(0), 0).await, "0");
    script.says("write", file.write_at("", 100).await, "0");
    script.says("write several", file.writev_at(vec!["", ""], 100).await, "0");
    script.says("metadata", file.metadata().await, "file 5");
}

async fn one_writes_and_the_other_reads(script: &Script) {
    let one = file(script, "hello").await;
    let path = script.path("file").await;
    let other = OpenOptions::new().read(true).write(true).open(&path).await.unwrap();
    script.says("write", one.write_at("J", 0).await, "1");
    script.says("read", other.read_at(room(100), 0).await, "5: Jello");
    script.says("write over", other.write_at("C", 0).await, "1");
    script.says("cut off", other.set_len(4).await, "ok");
    script.says("read", one.read_at(room(100), 0).await, "4: Cell");
    script.says("close", one.close().await, "ok");
    script.says("read", fs::read(&path).await, "Cell");
}

async fn what_is_written_may_be_synced(script: &Script) {
    let file = file(script, "").await;
    script.says("write", file.write_all_at("hello", 0).await, "ok");
    script.says("sync the data", file.sync_data().await, "ok");
    script.says("sync all", file.sync_all().await, "ok");
    script.says("sync again", file.sync_all().await, "ok");
    script.says("read", file.read_at(room(100), 0).await, "5: hello");
}

async fn a_directory_is_opened_to_be_synced_and_no_more(script: &Script) {
    let path = script.path("").await;
    let directory = File::open(&path).await.unwrap();
    script.says("sync", directory.sync_all().await, "ok");
    script.says("metadata", directory.metadata().await, "directory");
    script.says("read", directory.read(room(10)).await, "EISDIR");
    script.says("read at an offset", directory.read_at(room(10), 0).await, "EISDIR");
    script.says("write", directory.write_at("x", 0).await, "EBADF");
    script.says("set the length", directory.set_len(0).await, "EINVAL");
    let writing = OpenOptions::new().write(true).open(&path).await;
    script.says("open for writing", writing, "EISDIR");
    script.says("make anew", File::create(&path).await, "EISDIR");
    script.says("read as a file", fs::read(&path).await, "EISDIR");
}

async fn a_mebibyte_is_written_and_read(script: &Script) {
    const LENGTH: usize = 1 << 20;
    let bytes: Vec<u8> = (0..LENGTH).map(|place| (place % 251) as u8).collect();
    let file = file(script, "").await;
    script.says("write", file.write_all_at(bytes.clone(), 3).await.0, "ok");
    script.says("metadata", file.metadata().await, "file 1048579");
    let (result, read) = file.read_exact_at(room(LENGTH), 3).await;
    script.says("read", result, "ok");
    script.says("the same", read == bytes, "yes");
}

async fn a_file_without_a_name_lives_until_it_is_closed(script: &Script) {
    let file = file(script, "hello").await;
    let path = script.path("file").await;
    script.says("links", file.metadata().await.unwrap().nlink(), "1");
    script.says("unlink", fs::remove_file(&path).await, "ok");
    script.says("links", file.metadata().await.unwrap().nlink(), "0");
    script.says("no such file", fs::metadata(&path).await, "ENOENT");
    script.says("write", file.write_at("!", 5).await, "1");
    script.says("read", file.read_at(room(100), 0).await, "6: hello!");
    fs::write(&path, "another").await.0.unwrap();
    script.says("read", file.read_at(room(100), 0).await, "6: hello!");
    script.says("close", file.close().await, "ok");
    script.says("the new one", fs::read(&path).await, "another");
}

async fn a_file_that_was_replaced_lives_until_it_is_closed(script: &Script) {
    let old = file(script, "old").await;
    let (path, draft) = (script.path("file").await, script.path("draft").await);
    fs::write(&draft, "new").await.0.unwrap();
    script.says("rename", fs::rename(&draft, &path).await, "ok");
    script.says("the old one", old.read_at(room(100), 0).await, "3: old");
    script.says("its links", old.metadata().await.unwrap().nlink(), "0");
    script.says("the new one", fs::read(&path).await, "new");
}

async fn a_whole_read_of_too_little_tells_how_far_it_came(script: &Script) {
    let file = file(script, "hello").await;
    script.says("read", file.read_exact_at(room(5), 0).await, "5: hello");
    script.says("too much", file.read_exact_at(room(10), 1).await, "the end after 4: ello");
    script.says("at the end", file.read_exact_at(room(10), 5).await, "the end after 0: ");
}

async fn a_file_is_no_socket(script: &Script) {
    file(script, "hello").await;
    let file = Socket::opened(&script.path("file").await).await;
    script.says("recv", file.recv(1).await, "ENOTSOCK");
    script.says("send", file.send("x").await, "ENOTSOCK");
    script.says("send several", file.send_vectored(&["x"]).await, "ENOTSOCK");
    script.says("accept", file.accept().await, "ENOTSOCK");
    script.says("connect", file.connect(HERE).await, "ENOTSOCK");
    script.says("shutdown", file.shutdown(libc::SHUT_WR).await, "ENOTSOCK");
    script.says("bind", file.bind(HERE), "ENOTSOCK");
    script.says("its name", file.name(), "ENOTSOCK");
    script.says("it is always ready", file.ready(libc::POLLIN | libc::POLLOUT).await, "IN OUT");
}
