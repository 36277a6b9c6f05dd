//! Where other people's programs are, and what a test does when they are not there.

use std::path::PathBuf;
use std::{env, fs};

/// A program, or None after the reason for skipping was said.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let found = places().into_iter().map(|place| place.join(name)).find(|path| path.is_file());
    found.or_else(|| missing(name))
}

/// Where programs lie: the path, where servers lie, and where Debian puts PostgreSQL's, the newest first.
fn places() -> Vec<PathBuf> {
    let mut places: Vec<_> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
    places.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    versions.sort();
    places.extend(versions.into_iter().rev());
    places
}

/// None, and why; with ECOSYSTEM_REQUIRED=1 a failure.
#[track_caller]
pub(crate) fn missing<T>(what: &str) -> Option<T> {
    let reason = format!("{what} is not there: examples/ecosystem/install gets it");
    let is_required = env::var("ECOSYSTEM_REQUIRED").is_ok_and(|required| required == "1");
    assert!(!is_required, "{reason}");
    println!("skipped: {reason}");
    None
}
