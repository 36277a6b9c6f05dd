//! Whatever is done with leases, in any order: no two have the same bytes, and all come back.
#![allow(unsafe_code)]

use super::{BUFFERS_MAX, BufferId, Pool, PoolSize};
use crate::buf::Lease;
use crate::dice::Dice;

const SIZE: usize = 64;

/// One that comes by a call, filled with a mark.
fn received(pool: &Pool, mark: u8, count: usize) -> Lease {
    let (answer, id) = pool.receive(|bytes, length| {
        assert_eq!(length, SIZE);
        // SAFETY: the pool's, which lends it for the time of the call.
        unsafe { bytes.write_bytes(mark, count) };
        count as i32
    });
    assert_eq!(answer as usize, count);
    let id = pool.arrived(id.expect("something came"), count);
    pool.take(id, count)
}

/// As the ring does it: all that is free is offered, and the kernel picks one.
fn picked(pool: &Pool, offered: &mut Vec<(BufferId, *mut u8)>, mark: u8, count: usize) -> Option<Lease> {
    pool.offer(|id, bytes| offered.push((id, bytes)));
    // As the kernel: in the order in which they were offered.
    let (id, bytes) = if offered.is_empty() { return None } else { offered.remove(0) };
    pool.picked();
    // SAFETY: offered, and nobody else's until it is named.
    unsafe { bytes.write_bytes(mark, count) };
    let id = pool.arrived(id, count);
    Some(pool.take(id, count))
}

#[test]
fn no_two_leases_share_bytes_and_all_come_back() {
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let (first, max) = (1 + dice.below(6) as usize, 1 + dice.below(20) as usize);
        let pool = Pool::new(PoolSize { bytes: SIZE, first, max });
        let as_a_ring = dice.one_in(2);
        let (mut kept, mut offered): (Vec<(u8, Lease)>, _) = (Vec::new(), Vec::new());
        for mark in 0..150u8 {
            let count = 1 + dice.below(SIZE as u64) as usize;
            let came = match as_a_ring {
                true => picked(&pool, &mut offered, mark, count),
                false => Some(received(&pool, mark, count)),
            };
            kept.extend(came.map(|lease| (mark, lease)));
            for _ in 0..dice.below(3) {
                if kept.is_empty() {
                    break;
                }
                let place = dice.below(kept.len() as u64) as usize;
                match dice.below(5) {
                    0 => {
                        let (mark, lease) = &mut kept[place];
                        let (mark, at) = (*mark, dice.below(lease.len() as u64 + 1) as usize);
                        let part = if dice.one_in(2) { lease.split_to(at) } else { lease.split_off(at) };
                        kept.push((mark, part));
                    }
                    1 => {
                        let (mark, lease) = kept.swap_remove(place);
                        std::thread::spawn(move || assert!(lease.iter().all(|byte| *byte == mark)))
                            .join()
                            .unwrap();
                    }
                    2 => {
                        let (mark, lease) = kept.swap_remove(place);
                        let bytes = bytes::Bytes::from(lease);
                        assert!(bytes.slice(..bytes.len() / 2).iter().all(|byte| *byte == mark));
                    }
                    _ => drop(kept.swap_remove(place)),
                }
            }
            for (mark, lease) in &kept {
                assert!(lease.iter().all(|byte| byte == mark), "seed {seed}: somebody else wrote there");
            }
            let numbers = pool.numbers();
            assert!(
                numbers.buffers <= max.max(1) && numbers.out <= numbers.buffers,
                "seed {seed}: {numbers:?}"
            );
        }
        kept.clear();
        assert_eq!(pool.numbers().out, 0, "seed {seed}");
    }
}

#[test]
fn a_pool_that_is_gone_stays_for_its_leases() {
    for left in 0..3 {
        let pool = Pool::new(PoolSize { bytes: SIZE, first: 4, max: 4 });
        let mut kept: Vec<_> = (0..3).map(|mark| received(&pool, mark, 10)).collect();
        kept.truncate(left);
        drop(pool);
        assert!(kept.iter().enumerate().all(|(mark, lease)| **lease == [mark as u8; 10]));
    }
}

#[test]
fn ids_of_its_own_memory_are_apart_from_the_buffers() {
    let pool = Pool::new(PoolSize { bytes: SIZE, first: 1, max: 1 });
    let id = pool.adopt(Box::new(*b"its own"));
    assert!(id as usize >= BUFFERS_MAX);
    assert_eq!(pool.take(id, 3), b"its");
    let whole = pool.lease();
    assert_eq!((whole.len(), pool.numbers().out), (SIZE, 1));
}

/// As many answers may wait as peers like.
#[test]
fn more_answers_may_wait_than_the_kernel_has_ids() {
    let pool = Pool::new(PoolSize { bytes: SIZE, first: 1, max: 1 });
    let ids: Vec<_> = (0..100_000u32).map(|n| pool.adopt(Box::new(n.to_ne_bytes()))).collect();
    for (n, id) in ids.into_iter().enumerate() {
        assert_eq!(*pool.take(id, 4), (n as u32).to_ne_bytes());
    }
}
