//! Who outlives whom.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use annulus::{Builder, yield_now};

use crate::client::*;

pub(crate) fn a_snapshot_while_a_loop_ends_has_what_there_is(builder: Builder) {
    let inspector = inspector();
    let over = AtomicBool::new(false);
    let fleeting = |shown: &serde_json::Value| {
        let loops = shown["loops"].as_array().unwrap();
        loops.iter().filter(|one| one["thread"].as_str() == Some("fleeting")).count()
    };
    let lasting = Program::start(&builder, || async { named("lasting", pending::<()>()) });
    thread::scope(|scope| {
        let (builder, over) = (&builder, &over);
        // Loops that begin and end all the time.
        let thread = thread::Builder::new().name("fleeting".to_owned());
        let begins_and_ends = move || {
            while !over.load(Ordering::Relaxed) {
                let runtime = builder.clone().build().unwrap();
                runtime
                    .run(async {
                        (0..50).for_each(|_| named("fleeting", pending::<()>()));
                        yield_now().await;
                    })
                    .unwrap();
            }
        };
        let ends = thread.spawn_scoped(scope, begins_and_ends).unwrap();
        for _ in 0..10 {
            let snapshot = lasting.snapshot(&inspector, "filter=lasting");
            assert_eq!(names(&snapshot), ["lasting"]);
            thread::sleep(std::time::Duration::from_millis(100));
        }
        over.store(true, Ordering::Relaxed);
        ends.join().unwrap();
        until(|| (fleeting(&snapshot(&inspector, "limit=0")) == 0).then_some(()));
    });
}

pub(crate) fn an_inspector_outlives_loops_and_loops_outlive_it(builder: Builder) {
    let inspector = inspector();
    let first = Program::start(&builder, || async {});
    let name = first.name.clone();
    first.seen(&inspector);
    drop(first);
    // A picture is shown for a while.
    until(|| {
        let snapshot = snapshot(&inspector, "limit=0");
        let loops = snapshot["loops"].as_array().unwrap();
        loops.iter().all(|one| one["thread"].as_str() != Some(&name)).then_some(())
    });
    let second = Program::start(&builder, || async {});
    second.seen(&inspector);
    drop(inspector);
    assert_eq!(second.remote.run(|| 7).wait().unwrap(), 7, "the loop goes on");
}

pub(crate) fn two_inspectors_show_the_same_program(builder: Builder) {
    let (one, other) = (inspector(), inspector());
    assert_ne!(one.address(), other.address());
    let program = Program::start(&builder, || async { named("seen-by-both", pending::<()>()) });
    assert_eq!(names(&program.snapshot(&one, "filter=seen-by-both")), ["seen-by-both"]);
    drop(one);
    assert_eq!(names(&program.snapshot(&other, "filter=seen-by-both")), ["seen-by-both"]);
    let snapshot = snapshot(&other, "");
    let loops = snapshot["loops"].as_array().unwrap();
    assert!(
        loops.iter().all(|one| one["thread"] != "annulus-inspect"),
        "its own loop is not shown: {loops:?}"
    );
}
