//! Stop 1: a loop is started, and says which driver it has and why.

use std::io;

use annulus::Builder;
use annulus::report::Topic;

use crate::page::{annulus, code, prints, so, tell};

pub(crate) fn stop(builder: Builder) -> io::Result<()> {
    tell(
        "An event loop is one thread that serves many tasks by never waiting for a single one: a task that has to wait \
         says for what, and the thread goes on with another. The part that asks the system what has come is the driver.",
    );
    code(file!(), include_str!("start.rs"));
    // shown
    let report = builder.report(); // of the usual settings: annulus::report()
    let runtime = builder.build()?; // makes the loop; annulus::run(future) does both at once
    let answer = runtime.run(async {
        let task = annulus::spawn(async { 6 * 7 }); // begins soon, not at once
        task.await
    })?;
    // until here

    prints(format_args!("the task's answer is {}, by the {} driver", answer?, runtime.driver()));
    for fact in report.facts().iter().filter(|fact| fact.topic() == Topic::Driver) {
        annulus(format_args!("{}: {}", fact.name(), fact.value()));
        for (title, words) in [("costs", fact.costs()), ("remedy", fact.remedy())] {
            words.into_iter().for_each(|words| annulus(format_args!("  {title}: {words}")));
        }
    }
    so(
        "So that is the driver here, and why. What else this machine gives a loop: cargo run --example doctor.",
    );
    Ok(())
}
