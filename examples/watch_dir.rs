//! Prints what happens in a directory, as it happens. Ctrl-C ends it.
//!
//! ```sh
//! cargo run --example watch_dir -- /tmp &
//! touch /tmp/one; echo text > /tmp/one; mv /tmp/one /tmp/other; rm /tmp/other; kill -INT %1
//! ```
//! The events come from inotify(7), of which the runtime knows nothing. `AsyncFd` waits for any descriptor that can be
//! waited for: make it non-blocking, wait until it is readable, and ask it until it has nothing more to say.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("watch_dir: say which directory: watch_dir DIRECTORY");
        return ExitCode::from(2);
    };
    let run = annulus::run(events::watch(&path)).map_err(io::Error::from).and_then(|outcome| outcome);
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("watch_dir: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod events {
    use std::io;
    use std::path::Path;

    pub async fn watch(_: &Path) -> io::Result<()> {
        let text = "its events come from inotify(7), which is Linux's: run it there";
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }
}

#[cfg(target_os = "linux")]
mod events {
    use std::ffi::OsStr;
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::pin::pin;

    use annulus::io::{AsyncFd, Interest};
    use annulus::signal::ctrl_c;
    use futures_util::future::{Either, select};
    use rustix::fs::inotify::{self, CreateFlags, Event, ReadFlags, WatchFlags};

    /// Many events at once: each takes 16 bytes and its name.
    const ROOM: usize = 16 << 10;

    pub async fn watch(path: &Path) -> io::Result<()> {
        let events = WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::MOVE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::ONLYDIR;
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        inotify::add_watch(&inotify, path, events)?;
        let inotify = AsyncFd::new(inotify)?;
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut reader = inotify::Reader::new(inotify.get_ref(), &mut room);
        let mut stop = pin!(ctrl_c());
        println!("watching {path:?}");
        loop {
            // Says whether it goes on. When there is nothing, `next` says WouldBlock, and it is waited for again.
            let read = inotify.async_io(Interest::READABLE, |_| {
                loop {
                    let event = reader.next()?;
                    if event.events().contains(ReadFlags::IGNORED) {
                        return Ok(false);
                    }
                    println!("{}", told(&event));
                    // What was read at once is told at once: the descriptor is not readable for it any more.
                    if reader.is_buffer_empty() {
                        return Ok(true);
                    }
                }
            });
            let goes_on = match select(pin!(read), stop.as_mut()).await {
                Either::Left((goes_on, _)) => goes_on?,
                Either::Right((stopped, _)) => stopped.map(|()| false)?,
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    fn told(event: &Event<'_>) -> String {
        let happened = [
            (ReadFlags::CREATE, "made"),
            (ReadFlags::CLOSE_WRITE, "written"),
            (ReadFlags::ATTRIB, "attributes of"),
            (ReadFlags::MOVED_FROM, "renamed from"),
            (ReadFlags::MOVED_TO, "renamed to"),
            (ReadFlags::DELETE, "removed"),
            (ReadFlags::DELETE_SELF, "removed the directory itself"),
            (ReadFlags::QUEUE_OVERFLOW, "too much at once: some events are lost"),
        ];
        let what =
            happened.iter().find(|(flag, _)| event.events().contains(*flag)).map_or("else", |(_, what)| what);
        // Quoted, so that a name with a line's end in it is not taken for two.
        let name = event.file_name().map(|name| format!(" {:?}", OsStr::from_bytes(name.to_bytes())));
        let slash = if event.events().contains(ReadFlags::ISDIR) && name.is_some() { "/" } else { "" };
        format!("{what}{}{slash}", name.unwrap_or_default())
    }
}
