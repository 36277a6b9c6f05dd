//! Buffers that the ring knows: they go through transfers like any other, and are known as long as one of them is out.

mod support;

use std::io::ErrorKind;
use std::rc::Rc;

use annulus::buf::{IoBuf, Registered};
use annulus::fs::{File, OpenOptions, RegisteredBuffers};
use annulus::{Builder, Runtime, spawn, yield_now};
use futures_util::FutureExt;
use support::child::alone;
use support::data::{assert_same, bytes};
use support::outside::directory;
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    what_is_written_from_one_is_read_into_another,
    transfers_side_by_side_keep_their_bytes_apart,
    a_part_of_one_is_lent_as_a_part,
    get_waits_until_one_comes_back,
    a_dropped_get_takes_nothing,
    a_dropped_read_gives_its_buffer_back,
    a_pool_of_nothing_or_too_much_is_refused,
}

on_real_drivers! {
    because "what the ring knows is the kernel's to say":
        the_ring_knows_them_until_the_last_is_back,
        pools_beyond_the_table_are_ordinary_and_say_why,
        under_another_loop_they_are_ordinary,
        they_outlive_their_loop,
        direct_transfers_take_them;
}

async fn blocks() -> File {
    let directory = directory().await;
    let path = directory.path().join("blocks");
    OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path).await.unwrap()
}

async fn filled(pool: &RegisteredBuffers, content: &[u8]) -> Registered {
    let mut buffer = pool.get().await;
    buffer.set_len(content.len());
    buffer.copy_from_slice(content);
    buffer
}

async fn what_is_written_from_one_is_read_into_another() {
    let (file, pool) = (blocks().await, RegisteredBuffers::new(2, 10_000).unwrap());
    let content = bytes(1, 10_000);
    let (result, written) = file.write_all_at(filled(&pool, &content).await, 7).await;
    result.unwrap();
    assert_same(&written, &content);
    let (result, read) = file.read_exact_at(pool.get().await, 7).await;
    result.unwrap();
    assert_same(&read, &content);
    assert_eq!((pool.available(), pool.out()), (0, 2));
    drop((written, read));
    assert_eq!((pool.available(), pool.out()), (2, 0));
}

async fn transfers_side_by_side_keep_their_bytes_apart() {
    const BLOCK: usize = 5_000;
    let (file, pool) = (Rc::new(blocks().await), RegisteredBuffers::new(16, BLOCK).unwrap());
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let (file, pool) = (Rc::clone(&file), pool.clone());
            spawn(async move {
                let (content, offset) = (bytes(number, BLOCK), number * BLOCK as u64);
                let (result, buffer) = file.write_all_at(filled(&pool, &content).await, offset).await;
                result.unwrap();
                drop(buffer);
                let (result, buffer) = file.read_exact_at(pool.get().await, offset).await;
                result.unwrap();
                assert_same(&buffer, &content);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(pool.out(), 0);
}

async fn a_part_of_one_is_lent_as_a_part() {
    let (file, pool) = (blocks().await, RegisteredBuffers::new(1, 100).unwrap());
    let buffer = filled(&pool, b"0123456789").await;
    let (result, part) = file.write_all_at(buffer.slice(2..6), 0).await;
    result.unwrap();
    let (result, part) = file.read_exact_at(part.into_inner().slice(6..8), 1).await;
    result.unwrap();
    assert_eq!(&part.into_inner()[..], b"01234534");
}

async fn get_waits_until_one_comes_back() {
    let pool = RegisteredBuffers::new(1, 1).unwrap();
    let only = pool.try_get().unwrap();
    assert!(pool.try_get().is_none());
    let waiting = pool.clone();
    let waiting = spawn(async move { waiting.get().await });
    yield_now().await;
    assert!(!waiting.is_finished());
    drop(only);
    let again = waiting.await.unwrap();
    assert_eq!((again.len(), again.capacity()), (0, 1));
}

async fn a_dropped_get_takes_nothing() {
    let pool = RegisteredBuffers::new(1, 1).unwrap();
    let only = pool.get().await;
    let mut first = Box::pin(pool.get());
    let mut second = Box::pin(pool.get());
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    drop(only);
    // It was its turn, and it goes: the next has it.
    drop(first);
    second.await;
    assert_eq!(pool.available(), 1);
}

async fn a_dropped_read_gives_its_buffer_back() {
    let (file, pool) = (blocks().await, RegisteredBuffers::new(1, 4096).unwrap());
    file.write_all_at(bytes(1, 4096), 0).await.0.unwrap();
    for _ in 0..20 {
        let mut read = Box::pin(file.read_at(pool.get().await, 0));
        let _ = read.as_mut().now_or_never();
        drop(read);
    }
    drop(pool.get().await);
    assert_eq!(pool.out(), 0);
}

async fn a_pool_of_nothing_or_too_much_is_refused() {
    for (count, bytes) in [(0, 1), (1, 0), (2, 1 << 30), (usize::MAX, 1), (1, usize::MAX), (300_000, 1)] {
        let error = RegisteredBuffers::new(count, bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{count} of {bytes}: {error}");
    }
}

fn has_ring() -> bool {
    Runtime::try_current().unwrap().driver() == "uring"
}

/// How many regions the rings of this process know, as the kernel tells; None where it does not.
fn known_regions() -> Option<usize> {
    let mut known = None;
    for entry in std::fs::read_dir("/proc/self/fdinfo").ok()? {
        let Ok(text) = std::fs::read_to_string(entry.ok()?.path()) else { continue };
        let mut lines = text.lines().skip_while(|line| !line.starts_with("UserBufs:"));
        if lines.next().is_some() {
            let regions = lines.take_while(|line| line.starts_with(' ')).filter(|line| line.contains("0x"));
            *known.get_or_insert(0) += regions.count();
        }
    }
    known
}

fn the_ring_knows_them_until_the_last_is_back(builder: Builder) {
    alone(|| {
        let body = async {
            let pool = RegisteredBuffers::new(2, 4096).unwrap();
            let buffer = pool.get().await;
            assert_eq!(buffer.is_registered(), pool.refusal().is_none());
            if let Some(refusal) = pool.refusal() {
                assert_eq!(has_ring(), refusal.kind() != ErrorKind::Unsupported, "{refusal}");
                return println!("skipped: {refusal}");
            }
            println!("the ring knows {:?}", known_regions());
            assert_eq!(known_regions(), Some(1));
            drop(pool);
            assert_eq!(known_regions(), Some(1), "one is out");
            drop(buffer);
            assert_eq!(known_regions(), Some(0));
        };
        builder.build().unwrap().run(body).unwrap();
    });
}

async fn pools_beyond_the_table_are_ordinary_and_say_why() {
    let file = blocks().await;
    file.write_all_at("hello", 0).await.0.unwrap();
    let mut pools: Vec<_> = (0..65).map(|_| RegisteredBuffers::new(1, 5).unwrap()).collect();
    for pool in &pools {
        assert_eq!(&file.read_exact_at(pool.get().await, 0).await.1[..], b"hello");
    }
    if pools[0].refusal().is_some() {
        return println!("skipped: {}", pools[0].refusal().unwrap());
    }
    let refused: Vec<_> = pools.iter().filter_map(RegisteredBuffers::refusal).collect();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].to_string().contains("make one larger"), "{}", refused[0]);
    pools.remove(3);
    assert!(RegisteredBuffers::new(1, 5).unwrap().refusal().is_none(), "there is a place again");
}

fn under_another_loop_they_are_ordinary(builder: Builder) {
    let (here, there) = (builder.clone().build().unwrap(), builder.build().unwrap());
    let pool = here.run(async { RegisteredBuffers::new(1, 5).unwrap() }).unwrap();
    // The other ring's first region has the same number, and is another.
    let body = async {
        let _theirs = RegisteredBuffers::new(1, 5).unwrap();
        let file = blocks().await;
        file.write_all_at(filled(&pool, b"hello").await, 0).await.0.unwrap();
        assert_eq!(&file.read_exact_at(pool.get().await, 0).await.1[..], b"hello");
    };
    there.run(body).unwrap();
}

fn they_outlive_their_loop(builder: Builder) {
    let runtime = builder.build().unwrap();
    let pool = runtime.run(async { RegisteredBuffers::new(2, 5).unwrap() }).unwrap();
    let mut buffer = pool.try_get().unwrap();
    drop(runtime);
    buffer.set_len(5);
    buffer.copy_from_slice(b"still");
    assert_eq!(&buffer[..], b"still");
    drop(pool);
    drop(buffer);
}

async fn direct_transfers_take_them() {
    let directory = directory().await;
    let path = directory.path().join("direct");
    std::fs::write(&path, bytes(3, 64 * 1024)).unwrap();
    let file = match support::direct::open(OpenOptions::new().read(true), &path).await {
        Ok(file) => Rc::new(file),
        Err(error) => return println!("skipped: no O_DIRECT here: {error}"),
    };
    let (expected, pool) = (bytes(3, 64 * 1024), RegisteredBuffers::new(4, 4096).unwrap());
    let tasks: Vec<_> = (0..16)
        .map(|block| {
            let (file, pool) = (Rc::clone(&file), pool.clone());
            spawn(async move {
                let (result, buffer) = file.read_exact_at(pool.get().await, block as u64 * 4096).await;
                result.map(|()| (block, buffer.to_vec()))
            })
        })
        .collect();
    for task in tasks {
        let (block, read) = task.await.unwrap().unwrap();
        assert_same(&read, &expected[block * 4096..][..4096]);
    }
}
