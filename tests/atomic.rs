//! What a crash leaves of a file that is replaced: `write_atomic` all of the old or all of the new, `write` anything between.
//! In simulated worlds, of which each has a crash at another moment.
#![cfg(feature = "sim")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use annulus::fs;
use annulus::sim::{self, Faults, Host, World};

/// How many worlds; ANNULUS_SEEDS says otherwise.
fn seeds() -> u64 {
    std::env::var("ANNULUS_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(300)
}

/// A version of the file: its number, again and again, and as long as the number says, so that no two are alike.
fn version(number: u8) -> Vec<u8> {
    vec![number; 3_000 + 4_096 * usize::from(number % 5)]
}

/// The number of the version that these bytes are, if they are one, whole.
fn whole(bytes: &[u8]) -> Option<u8> {
    let number = *bytes.first()?;
    (bytes == version(number)).then_some(number)
}

/// What was written, and of what the writer was told that it is done.
#[derive(Default)]
struct Told {
    begun: Cell<u8>,
    done: Cell<u8>,
}

/// Has a host write versions until it crashes, and gives what is there when it is up again.
fn crashed_while_writing(world: &World, is_atomic: bool) -> (Option<Vec<u8>>, Rc<Told>, Host) {
    let host = world.host("store", sim::idle);
    let told = Rc::new(Told::default());
    let writer = Rc::clone(&told);
    drop(host.spawn(async move {
        for number in 1..=200 {
            writer.begun.set(number);
            let written = match is_atomic {
                true => fs::write_atomic("/data", version(number)).await.0,
                false => fs::write("/data", version(number)).await.0,
            };
            if written.is_ok() {
                writer.done.set(number);
            }
        }
    }));
    world.run_for(Duration::from_micros(100 + annulus_random(world)));
    host.crash();
    host.restart();
    let found = host.run(async { fs::read("/data").await.ok() }).unwrap();
    (found, told, host)
}

/// Up to some milliseconds, by the world's seed.
fn annulus_random(world: &World) -> u64 {
    world.seed().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52
}

#[test]
fn write_atomic_never_leaves_a_torn_file_and_keeps_what_it_said() {
    let seen = RefCell::new(std::collections::BTreeSet::new());
    let untold = Cell::new(0);
    sim::check(seeds(), |world| {
        let (found, told, _host) = crashed_while_writing(world, true);
        let there = match &found {
            Some(bytes) => {
                whole(bytes).unwrap_or_else(|| panic!("torn: {} bytes of {:?}", bytes.len(), bytes.first()))
            }
            None => 0,
        };
        assert!(there >= told.done.get(), "it had said that {} is there, and {there} is", told.done.get());
        assert!(there <= told.begun.get());
        untold.set(untold.get() + usize::from(there > told.done.get()));
        seen.borrow_mut().insert(there);
    });
    println!("versions that were there after a crash: {:?}; {} newer than told", seen.borrow(), untold.get());
    assert!(seen.borrow().len() > 5, "the crashes were at different moments: {:?}", seen.borrow());
    assert!(untold.get() > 0, "one was between the rename and the answer");
}

/// Else the test above says nothing: the same crashes tear what is only written.
#[test]
fn what_is_only_written_is_torn_by_some_crashes() {
    let torn = Cell::new(0);
    sim::check(seeds(), |world| {
        let (found, _, _host) = crashed_while_writing(world, false);
        torn.set(torn.get() + u64::from(found.is_some_and(|bytes| whole(&bytes).is_none())));
    });
    println!("{} of {} torn", torn.get(), seeds());
    assert!(torn.get() > seeds() / 10, "{}", torn.get());
}

/// Of each error that a disk may have: the file is as it was, or all new, and nothing is left beside it.
#[test]
fn an_error_leaves_the_old_file_and_nothing_beside() {
    let failed = Cell::new(0);
    sim::check(seeds(), |world| {
        let host = world.host("store", sim::idle);
        host.run(async { fs::write_atomic("/data", version(1)).await.0 }).unwrap().unwrap();
        let mut faults = Faults::none();
        (faults.disk_error, faults.disk_full) = (0.05, 0.1);
        host.set_faults(&faults);
        let result = host.run(async { fs::write_atomic("/data", version(2)).await.0 }).unwrap();
        host.set_faults(&Faults::none());
        let there = whole(&host.run(async { fs::read("/data").await }).unwrap().unwrap()).expect("not torn");
        match result {
            Ok(()) => assert_eq!(there, 2),
            Err(_) => failed.set(failed.get() + 1),
        }
        // What could not be removed, because the disk failed then as well, may be left.
        assert!(host.names_in("/").unwrap().len() <= 3);
    });
    assert!((1..seeds()).contains(&failed.get()), "{}", failed.get());
}
