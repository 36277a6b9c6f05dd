//! Stop 3: two tasks take turns, and one does not.

use std::io;
use std::thread;

use annulus::{Builder, spawn, yield_now};

use crate::page::{code, prints, so, tell};

pub(crate) fn stop(builder: Builder) -> io::Result<()> {
    tell(
        "Tasks run at the same time, and yet never two at once: each runs until its next `.await` that has to wait, then \
         another has its turn. So no locks are needed, and a task that never awaits lets nobody else run.",
    );
    code(file!(), include_str!("turns.rs"));
    // shown
    async fn cook(dish: &str) {
        for step in 1..=3 {
            prints(format_args!("{dish}, step {step}, on {:?}", thread::current().id()));
            yield_now().await; // others first
        }
    }
    async fn hog() {
        (1..=3).for_each(|step| prints(format_args!("hog, step {step}, and no `.await`")));
    }
    builder.build()?.run(async {
        let tasks = [spawn(cook("tea")), spawn(hog()), spawn(cook("toast"))];
        for task in tasks {
            task.await?;
        }
        io::Result::Ok(())
    })??;
    // until here
    so(
        "Tea and toast took turns on one thread. The hog had all three of its steps in one turn, while the others waited.",
    );
    Ok(())
}
