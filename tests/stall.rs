//! The example that sleeps the thread, as a program of its own: debug mode says who does it, and at which line.

mod support;

use std::process::Command;

use annulus::Builder;
use support::child::text;
use support::example::example;
use support::on_real_drivers;

on_real_drivers! {
    because "it is a program of its own":
        the_example_that_stalls_tells_who_does_it_and_where,
}

/// A machine that is very busy may not let the thread say where it is in time: then it is asked once more.
fn the_example_that_stalls_tells_who_does_it_and_where(builder: Builder) {
    const ATTEMPTS: usize = 5;
    let driver = builder.build().unwrap().driver();
    let source = include_str!("../examples/stall.rs");
    let line_of =
        |what: &str| source.lines().position(|line| line.contains(what)).expect("it is in the source") + 1;
    let (blocks, spawned) = (line_of("std::thread::sleep("), line_of("name(\"sleeper\")"));
    let is_told = (0..ATTEMPTS).any(|_| {
        let output = Command::new(example("stall")).env("ANNULUS_DRIVER", driver).output().unwrap();
        let (said, printed) = (text(&output.stderr), text(&output.stdout));
        assert!(output.status.success(), "{said}");
        assert_eq!(printed.matches("tick\n").count(), 5, "{printed}");
        let slow = said.lines().find(|line| line.contains("\"sleeper\"")).unwrap_or_else(|| panic!("{said}"));
        assert!(slow.contains(&format!("spawned at examples/stall.rs:{spawned}:")), "{said}");
        assert!(slow.contains("has kept the loop from everything else for"), "{said}");
        assert!(said.contains("the slow poll is over, after"), "{said}");
        slow.contains(&format!("examples/stall.rs:{blocks} in "))
    });
    assert!(is_told, "the line that blocks is told");
}
