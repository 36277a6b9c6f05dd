//! How far it is, and what failed.

use std::cell::Cell;
use std::io;
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

/// What failed, and where.
pub struct Failure {
    pub path: PathBuf,
    pub error: io::Error,
}

impl Failure {
    pub fn new(path: impl Into<PathBuf>, error: impl Into<io::Error>) -> Failure {
        Failure { path: path.into(), error: error.into() }
    }
}

pub struct Tally {
    files: Cell<u64>,
    failures: Cell<u64>,
    bar: ProgressBar,
}

impl Tally {
    pub fn new() -> Tally {
        // Where standard error is no terminal nothing is shown.
        let bar = ProgressBar::new_spinner();
        let template = "{spinner} {msg} files, {binary_bytes}, {binary_bytes_per_sec}, {elapsed}";
        bar.set_style(ProgressStyle::with_template(template).expect("the template is one"));
        Tally { files: Cell::new(0), failures: Cell::new(0), bar }
    }

    pub fn add(&self, files: u64, bytes: u64) {
        self.files.set(self.files.get() + files);
        if !self.bar.is_hidden() {
            self.bar.set_message(self.files.get().to_string());
            self.bar.inc(bytes);
        }
    }

    pub fn fail(&self, Failure { path, error }: Failure) {
        self.failures.set(self.failures.get() + 1);
        // Quoted, so that a name with a line's end in it is not taken for two.
        self.bar.suspend(|| eprintln!("cp: {path:?}: {error}"));
    }

    /// Whether nothing failed.
    pub fn end(&self) -> bool {
        self.bar.abandon();
        self.failures.get() == 0
    }
}
