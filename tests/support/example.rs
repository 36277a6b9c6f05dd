//! The examples as programs of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// An example's program, built as the test is: `cargo test --test NAME` alone does not build examples.
pub(crate) fn example(name: &'static str) -> PathBuf {
    example_with(name, "")
}

/// One that needs features, which are named as on the command line.
pub(crate) fn example_with(name: &'static str, features: &str) -> PathBuf {
    static BUILT: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    let test = std::env::current_exe().expect("the test has a path");
    let profile = test.parent().and_then(Path::parent).expect("tests are in a profile's deps");
    // Where all features are on already, others would mean to build the crate once more.
    let features = if cfg!(feature = "tokio-host") && !features.is_empty() { "full" } else { features };
    // Whoever comes second waits until it is there.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !built.contains(&name) {
        let target = profile.parent().expect("a profile is in the target directory");
        let level = profile.file_name().and_then(|name| name.to_str()).expect("a profile has a name");
        let done = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--example", name, "--features", features, "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .args(["--profile", if level == "debug" { "dev" } else { level }, "--target-dir"])
            .arg(target)
            .status();
        assert!(done.is_ok_and(|done| done.success()), "the example `{name}` does not build");
        built.push(name);
    }
    profile.join("examples").join(name)
}
