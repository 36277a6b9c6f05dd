//! Stop 8: tasks that nobody remembers are found, and one of them is ended.

use std::io;
use std::os::fd::AsRawFd;

use annulus::net::UnixStream;
use annulus::{Builder, task, yield_now};

use crate::heard::Heard;
use crate::page::{annulus, code, prints, so, tell};

pub(crate) fn stop(builder: Builder) -> io::Result<()> {
    let heard = Heard::default();
    tell(
        "Who drops the handle of a task lets it go on alone. If it waits for something that never comes it is there for ever: a \
         leak. The loop knows all of its tasks, also those that the program has lost.",
    );
    code(file!(), include_str!("leak.rs"));
    // shown
    let runtime = builder.debug(true).on_warning(heard.listener()).build()?;
    runtime.run(async {
        let (_silent, waiting) = UnixStream::pair()?;
        let number = waiting.with_fd(|fd| fd.as_raw_fd())?;
        prints(format_args!("the socket is descriptor {number}"));
        let lost = async move { waiting.read(Vec::with_capacity(8)).await.0 };
        drop(task::Builder::new().name("lost").spawn(lost)); // the mistake: its handle is gone
        drop(task::Builder::new().name("lost, too").spawn(std::future::pending::<()>()));
        yield_now().await;

        let all = task::all();
        all.iter().for_each(annulus);
        if let Some(lost) = all.iter().find(|task| task.name() == Some("lost")) {
            prints(format_args!("task::abort({}) is {}", lost.id(), task::abort(lost.id())));
        }
        yield_now().await;
        prints(format_args!("{} tasks are left", task::all().len()));
        io::Result::Ok(())
    })??;
    drop(runtime); // ends the loop, and with it what is left
    // until here
    heard.all().iter().for_each(annulus);
    so(
        "First task::all(): the future that was given to run, and two that are lost; who, spawned where, waiting for what. \
         Last, when the loop ended, debug mode about the one that nobody had aborted.",
    );
    Ok(())
}
