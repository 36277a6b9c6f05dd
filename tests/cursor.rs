//! The cursor of a file is behind what was transferred, also where the ring leaves it: past the page cache.

mod support;

use std::future::{Future, poll_fn};
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use annulus::Builder;
use annulus::buf::Aligned;
use annulus::fs::{File, OpenOptions};
use annulus::time::sleep;
use support::child::alone;
use support::data::{assert_same, bytes};
use support::on_real_drivers;
use tempfile::TempDir;

on_real_drivers! {
    because "only the machine's disks have O_DIRECT":
        past_the_page_cache_each_read_goes_on_behind_the_last,
        past_the_page_cache_each_write_goes_on_behind_the_last,
        past_the_page_cache_what_a_dropped_read_brought_comes_first,
        so_does_a_file_in_the_rings_own_table;
    because "numbers are used again by the machine":
        the_cursor_of_the_next_file_of_a_number_is_its_own;
}

const BLOCK: usize = 4096;

/// A file of these bytes, on a disk: memory has no O_DIRECT.
fn file_of(content: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, content).unwrap();
    (directory, path)
}

/// None, with the reason, where there is no such thing.
async fn direct(path: &Path, options: &mut OpenOptions) -> Option<File> {
    match support::direct::open(options.read(true).write(true), path).await {
        Ok(file) => Some(file),
        Err(error) => {
            support::skipped("the cursor past the page cache", &format!("O_DIRECT: {error}"));
            None
        }
    }
}

fn room() -> Aligned {
    Aligned::with_capacity(BLOCK, BLOCK)
}

fn block(seed: u64) -> Aligned {
    let mut block = Aligned::zeroed(BLOCK, BLOCK);
    block.copy_from_slice(&bytes(seed, BLOCK));
    block
}

async fn reads_all(file: File, content: &[u8]) {
    let mut all = Vec::new();
    let (result, first) = file.read_exact(room()).await;
    result.unwrap();
    all.extend_from_slice(&first);
    let (result, two) = file.readv(vec![room(), room()]).await;
    assert_eq!(result.unwrap(), 2 * BLOCK);
    two.iter().for_each(|part| all.extend_from_slice(part));
    loop {
        let (result, part) = file.read(room()).await;
        if result.unwrap() == 0 {
            break;
        }
        all.extend_from_slice(&part);
        assert!(all.len() <= content.len(), "it is read for ever");
    }
    assert_same(&all, content);
    assert_eq!(file.seek(SeekFrom::Current(0)).await.unwrap(), content.len() as u64);
}

async fn past_the_page_cache_each_read_goes_on_behind_the_last() {
    let content = bytes(1, 7 * BLOCK + 100);
    let (_directory, path) = file_of(&content);
    let Some(file) = direct(&path, &mut OpenOptions::new()).await else { return };
    reads_all(file, &content).await;
}

async fn past_the_page_cache_each_write_goes_on_behind_the_last() {
    // Over what is there: what makes a file longer is answered at once.
    let (_directory, path) = file_of(&bytes(1, 5 * BLOCK));
    let Some(file) = direct(&path, &mut OpenOptions::new()).await else { return };
    file.write_all(block(2)).await.0.unwrap();
    assert_eq!(file.writev(vec![block(3), block(4)]).await.0.unwrap(), 2 * BLOCK);
    assert_eq!(file.write(block(5)).await.0.unwrap(), BLOCK);
    let expected: Vec<u8> = (2..6).flat_map(|seed| bytes(seed, BLOCK)).collect();
    let all = std::fs::read(&path).unwrap();
    assert_same(&all[..4 * BLOCK], &expected);
    assert_same(&all[4 * BLOCK..], &bytes(1, 5 * BLOCK)[4 * BLOCK..]);
}

/// As `poll`, once.
async fn polled_once<F: Future>(future: F) {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
    sleep(Duration::from_millis(20)).await;
}

async fn past_the_page_cache_what_a_dropped_read_brought_comes_first() {
    let content = bytes(1, 4 * BLOCK);
    let (_directory, path) = file_of(&content);
    let Some(file) = direct(&path, &mut OpenOptions::new()).await else { return };
    polled_once(file.read(room())).await;
    reads_all(file, &content).await;
}

fn so_does_a_file_in_the_rings_own_table(builder: Builder) {
    let body = async {
        let content = bytes(1, 4 * BLOCK);
        let (_directory, path) = file_of(&content);
        let Some(file) = direct(&path, OpenOptions::new().registered(true)).await else { return };
        reads_all(file, &content).await;
    };
    builder.direct_descriptors(4).build().unwrap().run(body).unwrap();
}

/// By which number this process has the file.
fn number_of(path: &Path) -> Option<std::ffi::OsString> {
    let numbers = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let mut those = numbers.filter(|number| std::fs::read_link(number.path()).is_ok_and(|file| file == path));
    those.next().map(|number| number.file_name())
}

fn the_cursor_of_the_next_file_of_a_number_is_its_own(builder: Builder) {
    // Alone, so that nobody else takes the number.
    alone(|| builder.build().unwrap().run(a_number_is_used_again()).unwrap());
}

async fn a_number_is_used_again() {
    let (_one, short) = file_of(&bytes(1, 50));
    let (_other, long) = file_of(&bytes(2, 200));
    let file = File::open(&short).await.unwrap();
    let number = number_of(&short);
    let mut read = Box::pin(file.read(Vec::with_capacity(100)));
    poll_fn(|cx| {
        let _ = read.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
    sleep(Duration::from_millis(20)).await;
    // It is answered, in part, but nobody has looked.
    file.close().await.unwrap();
    let next = File::open(&long).await.unwrap();
    assert_eq!(number_of(&long), number, "it is the same number");
    drop(read);
    let (result, first) = next.read(Vec::with_capacity(100)).await;
    assert_eq!(result.unwrap(), 100);
    assert_same(&first, &bytes(2, 200)[..100]);
}
