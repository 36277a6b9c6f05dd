//! Tests in a process of their own: the test binary runs itself again, for the one test alone.
//!
//! For what concerns the whole process: counting descriptors, seccomp policies, the environment.

use std::cell::RefCell;
use std::env;
use std::process::{Command, Output};

/// Set in the child, to the name of the test that it is there for.
const FOR: &str = "ANNULUS_TEST_ALONE";

thread_local! {
    static NAME: RefCell<String> = const { RefCell::new(String::new()) };
}

/// While this lives, the thread runs the test of that name.
pub(crate) struct Named(());

impl Named {
    pub(crate) fn new(test: &str) -> Named {
        NAME.set(test.to_owned());
        Named(())
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        NAME.take();
    }
}

/// The name of the test that this thread is in.
pub(crate) fn name() -> String {
    NAME.with_borrow(Clone::clone)
}

/// Runs the rest of the test that this thread is in with no other test in the same process.
pub(crate) fn alone(body: impl FnOnce()) {
    let test = name();
    let output = match again(&test, |_| ()) {
        None => return body(),
        Some(output) => output,
    };
    let text = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{test}, in a process of its own: {}\n{text}", output.status);
    print!("{text}");
}

/// In the parent: runs the test of that name again, as a child with the settings that `set` makes, and gives what
/// came of it. In that child: None, go on with what the child is for.
pub(crate) fn again(test: &str, set: impl FnOnce(&mut Command)) -> Option<Output> {
    if is_child(test) {
        // Until the process ends.
        std::mem::forget(super::watchdog::Watchdog::over(test));
        return None;
    }
    let mut command = myself(test);
    set(&mut command);
    let output = command.output().expect("the test binary runs again");
    // A name that is misspelt would run nothing, and pass.
    assert!(text(&output.stdout).contains("running 1 test"), "there is no test {test:?}");
    Some(output)
}

/// Whether this is the process that runs that test alone.
pub(crate) fn is_child(test: &str) -> bool {
    env::var(FOR).is_ok_and(|name| name == test)
}

/// The command that runs that test alone.
pub(crate) fn myself(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("the test binary has a path"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(FOR, test);
    command
}

/// What a child printed.
pub(crate) fn text(printed: &[u8]) -> String {
    String::from_utf8_lossy(printed).into_owned()
}
