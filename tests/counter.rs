//! The worked example of docs/testing.md: a replicated counter that survives partitions and crashes, and the bugs that
//! the simulation finds in its naive version.
#![cfg(feature = "sim")]

#[path = "counter/replica.rs"]
mod replica;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use annulus::sim::{self, Host, World};
use annulus::time::sleep;

use replica::{Careful, Counter, Naive, add_one, serve, total};

const REPLICAS: usize = 3;

/// A bad day: clients count while links are cut and hosts crash. In the end everything is mended.
fn bad_day<C: Counter>(world: &World) {
    let replicas: Vec<Host> = (0..REPLICAS)
        .map(|own| world.host(&format!("replica {own}"), move || serve::<C>(own, REPLICAS)))
        .collect();
    let client = world.host("client", sim::idle);
    world.links().latency(Duration::from_millis(1)..Duration::from_millis(30)).loss(0.02);

    // Ten times, each replica is asked to add one: what is answered must be counted, the rest may be.
    let tasks: Vec<_> = (0..REPLICAS)
        .map(|replica| {
            client.spawn(async move {
                let (mut certain, mut asked) = (0, 0);
                for _ in 0..10 {
                    sleep(Duration::from_millis(20 + annulus::random() % 300)).await;
                    asked += 1;
                    certain += u64::from(add_one(replica).await.is_ok());
                }
                (certain, asked)
            })
        })
        .collect();

    // Trouble, as the seed has it.
    for round in 0..4 {
        world.run_for(Duration::from_millis(300));
        let pick = (world.seed() >> (2 * round)) as usize;
        let victim = &replicas[pick % REPLICAS];
        if pick % 4 == 3 {
            victim.crash();
            world.run_for(Duration::from_millis(200));
            victim.restart();
        } else {
            let others: Vec<&Host> = replicas.iter().filter(|host| host.name() != victim.name()).collect();
            world.partition(&[victim], &others);
            world.run_for(Duration::from_millis(300));
            world.heal();
        }
    }
    world.links().loss(0.0);
    world.run_until(|| tasks.iter().all(|task| task.is_finished())).unwrap();
    world.run_for(Duration::from_secs(20));

    let (mut least, mut most) = (0, 0);
    for task in tasks {
        let (certain, asked) = client.run(task).unwrap().unwrap();
        (least, most) = (least + certain, most + asked);
    }
    for replica in 0..REPLICAS {
        let counted = client.run(total(replica)).unwrap().unwrap();
        assert!(
            (least..=most).contains(&counted),
            "replica {replica} counted {counted}, but {least} to {most} were added"
        );
    }
}

#[test]
fn the_careful_counter_survives_bad_days() {
    sim::check(60, bad_day::<Careful>);
}

#[test]
fn the_naive_counter_is_found_out() {
    // Not by `check`, which would fail here: this looks for the first bad day.
    let fails = |seed: &u64| catch_unwind(AssertUnwindSafe(|| bad_day::<Naive>(&World::new(*seed)))).is_err();
    let found = (0..60).find(fails).expect("60 days are enough to find it");
    println!("the naive counter fails on the day of seed {found}");
    assert!(fails(&found), "and each time again");
}
