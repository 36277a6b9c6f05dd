//! Files that are read ahead, written behind, and read in many places at once: in order, as deep as was said, and nothing is
//! lost or skipped, whatever is dropped, refused or cut off meanwhile.

mod support;

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use annulus::fs::{self, File, OpenOptions, ReadAhead, RegisteredBuffers, WriteBehind};
use annulus::io::{AsyncBufRead, AsyncRead, AsyncWrite, BufReader};
use annulus::{Builder, Runtime};
use futures_util::FutureExt;
use support::data::{Dice, assert_same, bytes};
use support::outside::{Directory, directory};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    a_file_is_given_in_order_and_whole,
    a_range_is_given_and_nothing_else,
    blocks_that_are_kept_stop_nobody,
    a_dropped_next_block_loses_nothing,
    reads_of_any_size_are_served_from_blocks,
    as_many_reads_are_under_way_as_was_said,
    a_file_that_grew_is_read_on_behind_its_end,
    a_file_that_is_cut_off_meanwhile_ends_there,
    what_is_written_behind_is_all_there,
    as_many_writes_are_under_way_as_was_said,
    writing_begins_where_it_is_told_to_and_leaves_the_rest_alone,
    a_dropped_write_or_flush_loses_nothing,
    buffers_of_a_pool_are_shared,
    many_ranges_come_with_their_own_bytes,
    ranges_that_are_near_cost_one_read,
    a_range_that_is_too_long_is_refused,
}

on_real_drivers! {
    because "only the machine's disks have O_DIRECT":
        past_the_page_cache_any_range_is_given,
        past_the_page_cache_any_length_is_written,
        past_the_page_cache_what_stands_behind_the_end_stays,
        past_the_page_cache_what_cannot_be_is_refused_and_told,
        past_the_page_cache_what_others_write_behind_the_end_stays,
        past_the_page_cache_any_ranges_come;
    because "a file that appends has no places to write to, which only the machine's descriptors tell":
        a_file_that_appends_is_refused;
    because "a descriptor that cannot be written is the machine's":
        an_error_is_told_until_the_block_is_written;
}

/// The name of a file, whose directory goes with it.
struct Place {
    path: PathBuf,
    _directory: Directory,
}

impl AsRef<Path> for Place {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

async fn file_of(content: &[u8]) -> (Place, File) {
    let directory = directory().await;
    let path = directory.path().join("file");
    fs::write(&path, content.to_vec()).await.0.unwrap();
    let file = OpenOptions::new().read(true).write(true).open(&path).await.unwrap();
    (Place { path, _directory: directory }, file)
}

async fn all_blocks(reader: &mut ReadAhead) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(block) = reader.next_block().await.unwrap() {
        assert!(!block.is_empty());
        all.extend_from_slice(&block);
    }
    all
}

async fn a_file_is_given_in_order_and_whole() {
    for length in [0, 1, 4095, 4096, 4097, 100_000] {
        let content = bytes(length as u64, length);
        let (_, file) = file_of(&content).await;
        for (block, depth) in [(1000, 1), (4096, 3), (7, 200), (1 << 20, 4)] {
            if length / block > 5_000 {
                continue;
            }
            let mut reader = ReadAhead::new(file.try_clone().unwrap()).block(block).depth(depth);
            assert_same(&all_blocks(&mut reader).await, &content);
            assert_eq!(reader.position(), length as u64);
            assert!(reader.next_block().await.unwrap().is_none(), "it stays at its end");
        }
    }
}

async fn a_range_is_given_and_nothing_else() {
    let content = bytes(1, 50_000);
    let (_, file) = file_of(&content).await;
    for (from, to) in [(0, 1), (10, 10), (999, 1001), (5_000, 50_000), (49_999, 60_000), (60_000, 70_000)] {
        let mut reader = ReadAhead::new(file.try_clone().unwrap()).block(1000).range(from..to);
        let expected = &content[(from as usize).min(50_000)..(to as usize).min(50_000)];
        assert_same(&all_blocks(&mut reader).await, expected);
    }
}

async fn blocks_that_are_kept_stop_nobody() {
    let content = bytes(1, 64_000);
    let (_, file) = file_of(&content).await;
    let mut reader = ReadAhead::new(file).block(1000).depth(2);
    let mut kept = Vec::new();
    while let Some(block) = reader.next_block().await.unwrap() {
        kept.push(block);
    }
    assert_same(&kept.iter().flat_map(|block| block.to_vec()).collect::<Vec<_>>(), &content);
}

async fn a_dropped_next_block_loses_nothing() {
    let content = bytes(1, 64_000);
    let (_, file) = file_of(&content).await;
    let mut reader = ReadAhead::new(file).block(1000).depth(3);
    let (mut all, mut dropped) = (Vec::new(), 0);
    loop {
        // Polled once, and dropped if that was too early.
        match reader.next_block().now_or_never() {
            Some(Ok(Some(block))) => all.extend_from_slice(&block),
            Some(Ok(None)) => break,
            Some(Err(error)) => panic!("{error}"),
            None => {
                dropped += 1;
                annulus::yield_now().await;
            }
        }
    }
    println!("{dropped} were dropped");
    assert_same(&all, &content);
}

async fn reads_of_any_size_are_served_from_blocks() {
    let content = bytes(1, 30_000);
    let (_, file) = file_of(&content).await;
    let mut reader = ReadAhead::new(file.try_clone().unwrap()).block(700).depth(4);
    let (mut dice, mut all) = (Dice::new(1), Vec::new());
    loop {
        let (count, buffer) = reader.read(Vec::with_capacity(dice.length(2000))).await;
        assert_eq!(buffer.len(), count.unwrap());
        all.extend_from_slice(&buffer);
        assert_eq!(reader.position(), all.len() as u64);
        if buffer.is_empty() {
            break;
        }
    }
    assert_same(&all, &content);

    let mut reader = ReadAhead::new(file).block(700);
    assert_same(&reader.read_exact(Vec::with_capacity(2500)).await.1, &content[..2500]);
    let block = reader.next_block().await.unwrap().unwrap();
    assert_same(&block, &content[2500..2800]);
    assert_same(&reader.read_to_end(Vec::new()).await.1, &content[2800..]);

    let (_, text) = file_of(b"one\ntwo\nthree").await;
    let mut lines = BufReader::new(ReadAhead::new(text).block(5));
    assert_eq!(lines.read_line(String::new()).await.1, "one\n");
    assert_eq!(lines.read_line(String::new()).await.1, "two\n");
}

/// How many operations are on their way right after the first poll of a future.
async fn under_way_after_a_poll<F: Future>(future: F) -> usize {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        Poll::Ready(Runtime::try_current().unwrap().metrics().in_flight)
    })
    .await
}

/// What is cached is answered at once on some drivers, and is then under way no more.
fn is_patient() -> bool {
    Runtime::try_current().unwrap().driver() == "sim"
}

/// Until nothing is on its way, answered or not.
async fn quiet() {
    while Runtime::try_current().unwrap().metrics().in_flight > 0 {
        annulus::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn as_many_reads_are_under_way_as_was_said() {
    let (_place, file) = file_of(&bytes(1, 20_000)).await;
    for depth in [1, 2, 7] {
        let mut reader = ReadAhead::new(file.try_clone().unwrap()).block(1000).depth(depth);
        // The first asks what the file is.
        let _ = reader.next_block().now_or_never();
        quiet().await;
        let under_way = under_way_after_a_poll(reader.next_block()).await;
        assert!(under_way == depth || (!is_patient() && under_way < depth), "{under_way} of {depth}");
        quiet().await;
        let under_way = under_way_after_a_poll(reader.next_block()).await;
        assert!(under_way <= 1, "all but the one that was taken wait to be taken: {under_way}");
        drop(reader);
        quiet().await;
    }
}

async fn a_file_that_grew_is_read_on_behind_its_end() {
    let content = bytes(1, 3500);
    let (_, file) = file_of(&content[..1500]).await;
    let mut reader = ReadAhead::new(file.try_clone().unwrap()).block(1000);
    assert_same(&all_blocks(&mut reader).await, &content[..1500]);
    file.write_all_at(content[1500..].to_vec(), 1500).await.0.unwrap();
    assert_same(&all_blocks(&mut reader).await, &content[1500..]);
}

async fn a_file_that_is_cut_off_meanwhile_ends_there() {
    let content = bytes(1, 64_000);
    let (_, file) = file_of(&content).await;
    let mut reader = ReadAhead::new(file.try_clone().unwrap()).block(1000).depth(2);
    reader.next_block().await.unwrap();
    file.set_len(10_500).await.unwrap();
    let rest = all_blocks(&mut reader).await;
    assert_same(&rest, &content[1000..10_500]);
}

async fn what_is_written_behind_is_all_there() {
    for (block, depth) in [(1, 1), (1000, 1), (1000, 5), (1 << 20, 4)] {
        let content = bytes(block as u64, if block == 1 { 300 } else { 50_000 });
        let (path, file) = file_of(b"").await;
        let mut writer = WriteBehind::new(file).block(block).depth(depth);
        let (mut dice, mut at) = (Dice::new(block as u64), 0);
        while at < content.len() {
            let length = dice.length(3000).min(content.len() - at);
            writer.write_all(content[at..at + length].to_vec()).await.0.unwrap();
            at += length;
            assert_eq!(writer.position(), at as u64);
            assert!(writer.written() <= at as u64);
            if dice.below(5) == 0 {
                writer.flush().await.unwrap();
                assert_eq!(writer.written(), at as u64);
            }
        }
        writer.finish().await.unwrap();
        assert_same(&fs::read(path).await.unwrap(), &content);
    }
}

async fn as_many_writes_are_under_way_as_was_said() {
    let content = bytes(1, 20_000);
    for depth in [1, 2, 7] {
        let (place, file) = file_of(b"").await;
        let mut writer = WriteBehind::new(file).block(1000).depth(depth);
        let under_way = under_way_after_a_poll(writer.write_all(content.clone())).await;
        assert!(under_way == depth || (!is_patient() && under_way < depth), "{under_way} of {depth}");
        let at = writer.position() as usize;
        assert!(at == (depth + 1) * 1000 || !is_patient(), "one more is gathered: {at}");
        writer.write_all(content[at..].to_vec()).await.0.unwrap();
        writer.finish().await.unwrap();
        assert_same(&fs::read(place).await.unwrap(), &content);
    }
}

async fn writing_begins_where_it_is_told_to_and_leaves_the_rest_alone() {
    let mut content = bytes(1, 10_000);
    let (path, file) = file_of(&content).await;
    let mut writer = WriteBehind::new(file).block(512).starting_at(1234);
    let new = bytes(2, 5000);
    writer.write_all(new.clone()).await.0.unwrap();
    writer.finish().await.unwrap();
    content[1234..6234].copy_from_slice(&new);
    assert_same(&fs::read(path).await.unwrap(), &content);
}

async fn a_dropped_write_or_flush_loses_nothing() {
    let content = bytes(1, 40_000);
    let (path, file) = file_of(b"").await;
    let mut writer = WriteBehind::new(file).block(1000).depth(2);
    let mut dice = Dice::new(1);
    while (writer.position() as usize) < content.len() {
        let at = writer.position() as usize;
        let length = dice.length(5000).min(content.len() - at);
        match writer.write(content[at..at + length].to_vec()).now_or_never() {
            Some((result, _)) => assert!(result.unwrap() > 0),
            None => annulus::yield_now().await,
        }
        if dice.below(4) == 0 {
            writer.flush().now_or_never().unwrap_or(Ok(())).unwrap();
        }
    }
    writer.finish().await.unwrap();
    assert_same(&fs::read(path).await.unwrap(), &content);
}

async fn buffers_of_a_pool_are_shared() {
    let pool = RegisteredBuffers::new(3, 1000).unwrap();
    let content = bytes(1, 30_500);
    let (_, from) = file_of(&content).await;
    let (path, to) = file_of(b"").await;
    let mut reader = ReadAhead::new(from).buffers(pool.clone());
    let mut writer = WriteBehind::new(to).buffers(pool.clone());
    while let Some(block) = reader.next_block().await.unwrap() {
        assert!(block.len() <= 1000);
        writer.write_all(block).await.0.unwrap();
    }
    writer.finish().await.unwrap();
    assert_same(&fs::read(path).await.unwrap(), &content);
    drop(reader);
    assert_eq!(pool.out(), 0, "all came back");
}

async fn many_ranges_come_with_their_own_bytes() {
    let content = bytes(1, 100_000);
    let (_, file) = file_of(&content).await;
    let mut dice = Dice::new(7);
    for depth in [1, 4] {
        let ranges: Vec<_> = (0..300)
            .map(|_| {
                let start = dice.below(110_000);
                start..start + dice.length(9_000) as u64 - 1
            })
            .collect();
        let all = file.read_many(ranges.clone()).depth(depth).merged_max(20_000).all().await.unwrap();
        for (range, got) in ranges.iter().zip(&all) {
            let place = |offset: u64| (offset as usize).min(content.len());
            assert_same(got, &content[place(range.start)..place(range.end)]);
        }
    }
    assert!(file.read_many([]).next().await.unwrap().is_none());
    let mut some = file.read_many([50..60, 10..20]);
    let (first, second) = (some.next().await.unwrap().unwrap(), some.next().await.unwrap().unwrap());
    assert_eq!((first.0, second.0), (1, 0), "in the order of the file");
    assert_same(&second.1, &content[50..60]);
}

async fn ranges_that_are_near_cost_one_read() {
    let (_, file) = file_of(&bytes(1, 100_000)).await;
    let reads = async |gap_max| {
        let before = Runtime::try_current().unwrap().metrics();
        let ranges = (0..50).map(|number| number * 100..number * 100 + 60);
        file.read_many(ranges).gap_max(gap_max).merged_max(1000).all().await.unwrap();
        let after = Runtime::try_current().unwrap().metrics();
        after.submitted - before.submitted
    };
    let (apart, together) = (reads(39).await, reads(40).await);
    println!("{apart} apart, {together} together");
    // The ring reads what is cached without a submission, where a loop has nothing else to do.
    let all_at_once = Runtime::try_current().unwrap().driver() == "uring" && apart + together == 0;
    assert!(all_at_once || (apart >= 50 && together <= 6), "{apart}, {together}");
}

async fn a_range_that_is_too_long_is_refused() {
    let (_, file) = file_of(b"short").await;
    let error = file.read_many([0..1, 0..u64::MAX]).all().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("1 GiB"), "{error}");
    // No file is so long: the system says so, or that it has ended before.
    let beyond = file.read_many([u64::MAX - 5..u64::MAX, 0..2]).all().await;
    assert!(beyond.map_or(true, |parts| parts[0].is_empty() && parts[1] == "sh"));
}

async fn an_error_is_told_until_the_block_is_written() {
    // What is open for reading alone is never written.
    let (path, _) = file_of(b"as it was").await;
    let mut writer = WriteBehind::new(File::open(&path).await.unwrap()).block(10).depth(1);
    let mut refused = 0;
    for _ in 0..5 {
        refused += usize::from(writer.write_all(vec![b'x'; 10]).await.0.is_err());
    }
    assert!(refused >= 2, "{refused}");
    assert!(writer.flush().await.is_err() && writer.flush().await.is_err(), "it is tried each time");
    assert_eq!(writer.written(), 0);
    drop(writer);
    assert_eq!(fs::read(path).await.unwrap(), b"as it was");
}

/// A file that is past the page cache, with this content. None where there is no such thing.
async fn direct(content: &[u8], options: &mut OpenOptions) -> Option<(PathBuf, File)> {
    // On a disk: memory has no O_DIRECT.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.keep().join("file");
    std::fs::write(&path, content).unwrap();
    match support::direct::open(options, &path).await {
        Ok(file) => Some((path, file)),
        Err(error) => {
            support::skipped("a stream past the page cache", &format!("O_DIRECT: {error}"));
            std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
            None
        }
    }
}

fn clear(path: PathBuf) {
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

async fn past_the_page_cache_any_range_is_given() {
    let content = bytes(1, 300_001);
    let Some((path, file)) = direct(&content, OpenOptions::new().read(true)).await else { return };
    for (from, to) in [(0, u64::MAX), (1, 2), (4095, 4097), (5000, 123_456), (299_999, 400_000), (8192, 8192)]
    {
        let mut reader = ReadAhead::new(file.try_clone().unwrap()).block(10_000).depth(3).range(from..to);
        let expected = &content[from as usize..(to as usize).min(content.len())];
        assert_same(&all_blocks(&mut reader).await, expected);
    }
    clear(path);
}

async fn past_the_page_cache_any_length_is_written() {
    for length in [1, 511, 4096, 10_000, 300_001] {
        let content = bytes(length as u64, length);
        let options = &mut OpenOptions::new();
        let Some((path, file)) = direct(b"", options.write(true)).await else { return };
        let mut writer = WriteBehind::new(file).block(8192).depth(3);
        let (mut dice, mut at) = (Dice::new(1), 0);
        while at < content.len() {
            let piece = dice.length(20_000).min(content.len() - at);
            writer.write_all(content[at..at + piece].to_vec()).await.0.unwrap();
            at += piece;
            if dice.below(3) == 0 {
                writer.flush().await.unwrap();
                assert_eq!(writer.written(), at as u64);
                assert_eq!(std::fs::metadata(&path).unwrap().len(), at as u64);
            }
        }
        writer.finish().await.unwrap();
        assert_same(&std::fs::read(&path).unwrap(), &content);
        clear(path);
    }
}

async fn past_the_page_cache_what_stands_behind_the_end_stays() {
    let mut content = bytes(1, 50_000);
    let options = &mut OpenOptions::new();
    let Some((path, file)) = direct(&content, options.read(true).write(true)).await else { return };
    let new = bytes(2, 9_001);
    let mut writer = WriteBehind::new(file).block(4096).starting_at(8192);
    writer.write_all(new.clone()).await.0.unwrap();
    let file = writer.finish().await.unwrap();
    content[8192..8192 + 9_001].copy_from_slice(&new);
    assert_same(&std::fs::read(&path).unwrap(), &content);
    // Into the file's last unit, which it fills only in part.
    let mut writer = WriteBehind::new(file).starting_at(49_152);
    writer.write_all("end").await.0.unwrap();
    writer.finish().await.unwrap();
    content[49_152..49_155].copy_from_slice(b"end");
    assert_same(&std::fs::read(&path).unwrap(), &content);
    clear(path);
}

async fn past_the_page_cache_what_others_write_behind_the_end_stays() {
    let options = &mut OpenOptions::new();
    let Some((path, file)) = direct(b"", options.read(true).write(true)).await else { return };
    let mut low = WriteBehind::new(file.try_clone().unwrap());
    low.write_all(bytes(1, 100)).await.0.unwrap();
    let high = async {
        let mut high = WriteBehind::new(file).block(1 << 20).starting_at(1 << 20);
        high.write_all(bytes(2, 1 << 20)).await.0.unwrap();
        high.flush().await.unwrap();
    };
    let (flushed, ()) = futures_util::join!(low.flush(), high);
    flushed.unwrap();
    let all = std::fs::read(&path).unwrap();
    assert_same(&all[..100], &bytes(1, 100));
    assert!(all[100..1 << 20].iter().all(|byte| *byte == 0));
    assert_same(&all[1 << 20..], &bytes(2, 1 << 20));
    clear(path);
}

async fn a_file_that_appends_is_refused() {
    let (place, _) = file_of(b"as it was").await;
    let file = OpenOptions::new().append(true).open(&place).await.unwrap();
    let mut writer = WriteBehind::new(file);
    let error = writer.write_all("more").await.0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("opened to append"), "{error}");
    assert_eq!(fs::read(place).await.unwrap(), b"as it was");
}

async fn past_the_page_cache_what_cannot_be_is_refused_and_told() {
    let options = &mut OpenOptions::new();
    let Some((path, file)) = direct(&bytes(1, 50_000), options.write(true)).await else { return };
    let told = |result: io::Result<()>, texts: [&str; 2]| {
        let error = result.unwrap_err();
        assert!(texts.iter().all(|text| error.to_string().contains(text)), "{error}");
    };
    let mut crooked = WriteBehind::new(file.try_clone().unwrap()).starting_at(100);
    told(crooked.write_all("x").await.0, ["from byte 100", "multiples of"]);
    let pool = RegisteredBuffers::new(2, 100).unwrap();
    let mut crooked = WriteBehind::new(file.try_clone().unwrap()).buffers(pool.clone());
    told(crooked.write_all("x").await.0, ["buffers of 100", "multiples of"]);
    let mut crooked = ReadAhead::new(file.try_clone().unwrap()).buffers(pool);
    told(crooked.next_block().await.map(drop), ["buffers of 100", "multiples of"]);
    assert_same(&std::fs::read(&path).unwrap(), &bytes(1, 50_000));
    clear(path);
}

async fn past_the_page_cache_any_ranges_come() {
    let content = bytes(1, 200_003);
    let Some((path, file)) = direct(&content, OpenOptions::new().read(true)).await else { return };
    let ranges = [0..1, 4095..4097, 100_000..100_001, 200_000..300_000, 77..77, 5..9000];
    let all = file.read_many(ranges.clone()).all().await.unwrap();
    for (range, got) in ranges.iter().zip(&all) {
        assert_same(got, &content[range.start as usize..(range.end as usize).min(content.len())]);
    }
    clear(path);
}

/// In worlds in which transfers are short, late and fail, what is given is right, and errors pass.
#[cfg(feature = "sim")]
#[test]
fn in_bad_worlds_nothing_is_skipped_and_nothing_given_twice() {
    let seeds = std::env::var("ANNULUS_SEEDS").map_or(100, |seeds| seeds.parse().unwrap());
    let failures = std::cell::Cell::new(0);
    for seed in 0..seeds {
        let runtime = Builder::new().driver(annulus::Driver::Sim(seed)).build().unwrap();
        let body = async {
            let content = bytes(seed, 20_000);
            let path = "/tmp/file";
            fs::write(path, content.clone()).await.0.unwrap();
            let file = OpenOptions::new().read(true).write(true).open(path).await.unwrap();
            let mut faults = annulus::sim::Faults::quiet();
            (faults.short, faults.interrupted, faults.disk_error, faults.disk_full) = (0.4, 0.1, 0.05, 0.05);
            file.plan_faults(&faults).unwrap();

            let mut reader = ReadAhead::new(file.try_clone().unwrap()).block(700).depth(5);
            let mut all = Vec::new();
            loop {
                match reader.next_block().await {
                    Ok(Some(block)) => all.extend_from_slice(&block),
                    Ok(None) => break,
                    Err(error) => note(&failures, &error),
                }
            }
            assert_same(&all, &content);

            let mut many = file
                .read_many((0..40).rev().map(|number| number * 500..number * 500 + 333))
                .depth(3)
                .gap_max(0);
            let mut come = vec![None; 40];
            loop {
                match many.next().await {
                    Ok(Some((number, bytes))) => assert!(come[number].replace(bytes).is_none()),
                    Ok(None) => break,
                    Err(error) => note(&failures, &error),
                }
            }
            for (number, bytes) in come.into_iter().enumerate() {
                let start = (39 - number) * 500;
                assert_same(&bytes.unwrap(), &content[start..start + 333]);
            }

            let new = bytes(seed + 1, 20_000);
            let mut writer = WriteBehind::new(file.try_clone().unwrap()).block(900).depth(4);
            while (writer.position() as usize) < new.len() {
                let at = writer.position() as usize;
                let piece = new[at..(at + 1300).min(new.len())].to_vec();
                writer.write(piece).await.0.map(drop).unwrap_or_else(|error| note(&failures, &error));
            }
            while let Err(error) = writer.flush().await {
                note(&failures, &error);
            }
            file.plan_faults(&annulus::sim::Faults::none()).unwrap();
            assert_same(&fs::read(path).await.unwrap(), &new);
        };
        runtime.run(body).unwrap();
    }
    println!("{} errors were told and passed", failures.get());
    assert!(failures.get() > seeds / 2, "the worlds were bad");
}

#[cfg(feature = "sim")]
fn note(failures: &std::cell::Cell<u64>, error: &io::Error) {
    let kinds = [Some(libc::EIO), Some(libc::ENOSPC)];
    let code =
        annulus::io::Incomplete::of(error).map_or(error.raw_os_error(), |end| end.error().raw_os_error());
    assert!(kinds.contains(&code), "{error:?}");
    failures.set(failures.get() + 1);
}
