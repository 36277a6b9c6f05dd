//! Stop 5: one task blocks the thread, another one waits; the slow-poll detector names the line.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use annulus::debug::Warning;
use annulus::{Builder, Error, Runtime, spawn, task, time};

use crate::heard::Heard;
use crate::page::{annulus, code, prints, so, tell};

/// On a machine that is very busy the detector may come too late.
const TRIES_MAX: usize = 5;

const NAP: Duration = Duration::from_millis(200);

// shown
async fn naps_badly() {
    thread::sleep(NAP); // the mistake: the whole thread sleeps, and all tasks with it
}

async fn naps_well() {
    time::sleep(NAP).await; // this task alone waits
}
// until here

/// How often another task had its turn meanwhile.
fn ticks_during(
    runtime: &Runtime,
    name: &str,
    nap: impl Future<Output = ()> + 'static,
) -> Result<u32, Error> {
    runtime.run(async {
        let ticks = Rc::new(Cell::new(0));
        let ticking = spawn({
            let ticks = Rc::clone(&ticks);
            async move {
                loop {
                    time::sleep(NAP / 20).await;
                    ticks.set(ticks.get() + 1);
                }
            }
        });
        let nap = task::Builder::new().name(name).spawn(nap);
        let _ = nap.await;
        let count = ticks.get();
        ticking.abort();
        let _ = ticking.await;
        count
    })
}

pub(crate) fn stop(builder: Builder) -> io::Result<()> {
    tell(
        "The most common mistake. A call that blocks holds up every task of the loop, for nobody else has the thread. \
         Another task ticks every 10 ms here: how often, while this one naps for 200 ms?",
    );
    code(file!(), include_str!("block.rs"));
    let caught = |warnings: &[Warning]| {
        warnings.iter().any(|warning| matches!(warning, Warning::SlowPoll(slow) if slow.line().is_some()))
    };
    let mut told = (0, 0, Vec::new());
    for _ in 0..TRIES_MAX {
        let heard = Heard::default();
        let builder = builder.clone();
        // shown
        let builder = builder.debug(true).slow_poll(Duration::from_millis(20)); // the limit
        let runtime = builder.on_warning(heard.listener()).build()?;
        let blocked = ticks_during(&runtime, "naps badly", naps_badly())?;
        let awaited = ticks_during(&runtime, "naps well", naps_well())?;
        // until here
        drop(runtime);
        told = (blocked, awaited, heard.all());
        if caught(&told.2) || !cfg!(target_os = "linux") {
            break;
        }
    }
    let (blocked, awaited, warnings) = told;
    prints(format_args!("while naps_badly slept, the other task ticked {blocked} times"));
    prints(format_args!("while naps_well slept, the other task ticked {awaited} times"));
    warnings.iter().for_each(annulus);
    so(
        "The slow-poll detector of debug mode asked the thread, while it slept, where it was: find that line in the code above. \
         Who awaits keeps nobody from anything.",
    );
    Ok(())
}
