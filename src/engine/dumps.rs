//! Flight recordings that are written to files by themselves: after a panic, while a poll is stuck, when a signal asks for it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::{Beacon, say};
use crate::recorder::Recording;

/// A process that panics all day does not fill a disk.
const FILES_MAX: u32 = 32;

/// Where a loop's recordings go.
#[derive(Debug)]
pub(super) struct Dumps {
    pub(super) directory: PathBuf,
}

impl Dumps {
    /// Writes one, and says where it is.
    pub(super) fn write(&self, recording: &Recording, why: &str) {
        static FILES: AtomicU32 = AtomicU32::new(0);
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        if number >= FILES_MAX {
            return;
        }
        let (process, of) = (std::process::id(), recording.loop_number());
        let path = self.directory.join(format!("annulus-{process}-loop-{of}-{why}-{number}.json"));
        match write(recording, &path) {
            Ok(()) => say(&format_args!(
                "{why}: what loop {of} did before is in {}; ui.perfetto.dev opens it",
                path.display()
            )),
            Err(error) => say(&format_args!(
                "{why}: what loop {of} did before could not be written to {}: {error}; is there such a directory, and may this \
                 program write there? (Builder::flight_dumps)",
                path.display()
            )),
        }
        if number + 1 == FILES_MAX {
            say(&format_args!("that was the last of {FILES_MAX} recordings that a process writes"));
        }
    }
}

fn write(recording: &Recording, path: &Path) -> io::Result<()> {
    recording.write_chrome_trace(File::create(path)?)
}

static ASKED: AtomicBool = AtomicBool::new(false);

/// Notes that somebody wants all loops' recordings. Does nothing else: it may be called in a signal handler.
pub(crate) fn ask_for_dumps() {
    ASKED.store(true, Ordering::Release);
}

/// Whether somebody has, since this was asked last.
pub(super) fn are_asked_for() -> bool {
    ASKED.load(Ordering::Relaxed) && ASKED.swap(false, Ordering::Acquire)
}

impl Beacon {
    /// Writes what was kept when something panicked.
    pub(crate) fn dump_kept(&self) {
        let Some((ring, dumps)) = self.ring().zip(self.dumps()) else { return };
        if let Some(kept) = ring.take_kept() {
            dumps.write(&Recording::made_of(kept, self.place()), "panic");
        }
    }

    /// Writes what the loop has done lately.
    pub(super) fn dump(&self, why: &str) {
        if let Some((recording, dumps)) = self.recording().zip(self.dumps()) {
            dumps.write(&recording, why);
        }
    }
}
