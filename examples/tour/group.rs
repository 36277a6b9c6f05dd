//! Stop 9: a group of tasks, of which one fails.

use std::io;

use annulus::net::UnixStream;
use annulus::{Builder, Runtime, task, yield_now};

use crate::page::{code, prints, so, tell};

pub(crate) fn stop(builder: Builder) -> io::Result<()> {
    struct Cleared(&'static str);
    impl Drop for Cleared {
        fn drop(&mut self) {
            prints(format_args!("{} is cleared away", self.0));
        }
    }
    let in_flight = || Runtime::try_current().map_or(0, |current| current.metrics().in_flight);
    tell(
        "What belongs together should end together. In a group the first failure stops the others, and who has left the group \
         has left nothing behind: no task, and no operation that the kernel still works at.",
    );
    code(file!(), include_str!("group.rs"));
    // shown
    builder.build()?.run(async {
        let (_silent, kettle) = UnixStream::pair()?;
        let breakfast = task::group(async |group| {
            group.spawn(async move {
                let _cleared = Cleared("the kettle");
                kettle.read(Vec::with_capacity(8)).await.0 // never comes
            });
            group.spawn(async move {
                let _cleared = Cleared("the toaster");
                yield_now().await;
                prints(format_args!("operations in flight, the kettle waits: {}", in_flight()));
                Err::<(), _>(io::Error::other("the toast is burnt"))
            });
            Ok(())
        });
        if let Err(error) = breakfast.await {
            prints(format_args!("breakfast failed: {error}"));
        }
        prints(format_args!("operations in flight, after the group:  {}", in_flight()));
        io::Result::Ok(())
    })??;
    // until here
    so("The group gave the first error, after the kettle was stopped and its read was over.");
    Ok(())
}
