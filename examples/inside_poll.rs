//! An annulus loop inside of a loop that is written by hand over poll(2), and has a descriptor of its own: standard input.
//! Each line there names a file, whose length is told a moment later.
//!
//! ```sh
//! ls | cargo run --example inside_poll
//! ```

use std::io;
use std::time::{Duration, Instant};

use annulus::task::JoinHandle;
use annulus::{Runtime, fs, time};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Room for some lines.
const ROOM: usize = 4096;

async fn tell(path: String) {
    time::sleep(Duration::from_millis(10)).await;
    match fs::metadata(&path).await {
        Ok(metadata) => println!("{path}: {} bytes", metadata.len()),
        Err(error) => println!("{path}: {error}"),
    }
}

/// How long the loop may be left alone: until its next timer is due, and no longer.
fn patience(runtime: &Runtime) -> Option<Timespec> {
    let left = runtime.next_deadline()?.saturating_duration_since(Instant::now());
    Some(Timespec { tv_sec: left.as_secs().min(1 << 30) as i64, tv_nsec: left.subsec_nanos().into() })
}

fn main() -> io::Result<()> {
    let runtime = Runtime::new()?;
    let input = io::stdin();
    let (mut line, mut buffer, mut has_ended) = (Vec::new(), [0; ROOM], false);
    let mut tasks: Vec<JoinHandle<()>> = Vec::new();
    loop {
        // The loop's part: without waiting, until it says that there is nothing left to do.
        while runtime.turn(Some(Duration::ZERO))? {}
        tasks.retain(|task| !task.is_finished());
        if has_ended && tasks.is_empty() {
            return Ok(());
        }

        // Both are waited for by one call.
        let descriptor = runtime.as_fd()?;
        let mut both = vec![PollFd::new(&descriptor, PollFlags::IN)];
        if !has_ended {
            both.push(PollFd::new(&input, PollFlags::IN));
        }
        match poll(&mut both, patience(&runtime).as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }

        // This loop's own part.
        if both.get(1).is_some_and(|input| !input.revents().is_empty()) {
            let count = rustix::io::read(&input, &mut buffer)?;
            has_ended = count == 0;
            line.extend_from_slice(&buffer[..count]);
            while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                let path = String::from_utf8_lossy(&line[..end]).into_owned();
                line.drain(..=end);
                tasks.push(runtime.spawn(tell(path)));
            }
        }
    }
}
