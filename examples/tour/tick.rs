//! Stop 4: the loop is moved by hand, turn by turn, and hooks say what it does.

use std::io::{self, Write};
use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

use annulus::Builder;
use annulus::net::UnixStream;

use crate::page::{code, prints, so, tell};

/// More than it ever takes.
const TICKS_MAX: usize = 20;

pub(crate) fn stop(builder: Builder) -> io::Result<()> {
    tell(
        "A loop does the same thing again and again; once around is a tick, or turn: poll the tasks that are ready, hand \
         what they ask for to the driver, and, if nobody is ready, sleep until something comes. Here it is moved by hand, \
         by Runtime::turn, and hooks tell each step. To poll a task is to let it run until it has to wait again.",
    );
    code(file!(), include_str!("tick.rs"));
    // shown
    let runtime = builder
        .on_before_poll(|task| prints(format_args!("  polls task {}", task.id())))
        .on_after_poll(|task| prints(format_args!("  task {} is back", task.id())))
        .on_park(|| prints("  no task is ready: sleeps"))
        .on_unpark(|| prints("  wakes up"))
        .build()?;
    let (mut outside, inside) = StdStream::pair()?;
    let inside = runtime.enter(|| UnixStream::from_std(inside))?;
    let task = runtime.spawn(async move {
        prints("    asks for bytes, and has to wait");
        let read = inside.read(Vec::with_capacity(8)).await.0;
        prints(format_args!("    goes on where it was: {read:?}"));
    });
    let before = runtime.metrics();
    for tick in 1..=TICKS_MAX {
        prints(format_args!("tick {tick}"));
        runtime.turn(Some(Duration::from_millis(5)))?; // sleeps for 5 ms at most
        if tick == 1 {
            prints("meanwhile somebody outside of the loop writes 5 bytes");
            outside.write_all(b"hello")?;
        }
        if task.is_finished() {
            break;
        }
    }
    let after = runtime.metrics();
    // until here
    for (name, before, after, what) in [
        ("turns", before.turns, after.turns, "ticks"),
        ("polls", before.polls, after.polls, "times that a task ran until it had to wait, or was done"),
        ("parks", before.parks, after.parks, "sleeps"),
        ("submitted", before.submitted, after.submitted, "operations that the driver was asked for"),
        ("completed", before.completed, after.completed, "operations that it has answered"),
        ("enters", before.enters, after.enters, "its system calls"),
    ] {
        prints(format_args!("metrics.{name:<9}  {before} -> {after}  {what}"));
    }
    so(
        "The loop slept until the bytes came; then it polled the task again, which went on where it had stopped. An event \
         loop is this tick, for as long as it lives.",
    );
    Ok(())
}
