//! Stop 10: a loop hangs, and another thread sees why and mends it.

use std::io;
use std::thread;

use annulus::net::UnixStream;
use annulus::task::JoinError;
use annulus::{Builder, spawn, task, yield_now};

use crate::page::{annulus, code, prints, so, tell};

pub(crate) fn stop(builder: Builder) -> io::Result<()> {
    tell(
        "A program stands still, and nobody knows why. Nothing of a loop may be touched by another thread, but a Remote may be sent there: by it \
         any thread has the loop run a closure, and waits for the answer.",
    );
    code(file!(), include_str!("remote.rs"));
    // shown
    let runtime = builder.build()?;
    let remote = runtime.remote();
    let helper = runtime.run(async {
        let (_silent, waiting) = UnixStream::pair()?;
        let hangs = spawn(async move { waiting.read(Vec::with_capacity(8)).await.0 });
        yield_now().await;
        let id = hangs.id();
        let helper = thread::spawn(move || {
            remote.run(task::all).wait()?.iter().for_each(annulus); // on the loop
            let stopped = remote.run(move || task::abort(id)).wait()?;
            prints(format_args!("the other thread has stopped task {id}: {stopped}"));
            Ok::<_, JoinError>(())
        });
        let end = hangs.await; // for ever, but for the helper
        io::Result::Ok((helper, end))
    })?;
    // until here
    let (helper, end) = helper?;
    helper.join().map_err(|_| io::Error::other("the other thread has panicked"))??;
    if let Err(error) = end {
        annulus(error);
    }
    so(
        "The program waited for a task, and the task for bytes that never came. That was the tour. README.md says what else \
         there is; each file in examples/ begins with the commands to try.",
    );
    Ok(())
}
