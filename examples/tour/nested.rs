//! Stop 6: a loop is run inside of a loop.

use std::io;

use annulus::{Builder, Error, spawn};

use crate::page::{annulus, code, prints, tell};

pub(crate) fn stop(builder: Builder) -> io::Result<()> {
    tell(
        "Somewhere deep in a task one wants to call something asynchronous, and starts a loop for it. But that inner loop would \
         hold the thread of the outer one until it is done: so it is refused.",
    );
    code(file!(), include_str!("nested.rs"));
    // shown
    let (nested, spawned) = builder.build()?.run(async {
        let nested: Result<i32, Error> = annulus::run(async { 6 * 7 }); // the mistake
        let spawned = spawn(async { 6 * 7 }).await; // the loop that runs already does it
        (nested, spawned)
    })?;
    // until here
    match nested {
        Ok(answer) => prints(answer),
        Err(error) => annulus(error),
    }
    prints(format_args!("spawned on the loop that runs: {}", spawned?));
    Ok(())
}
