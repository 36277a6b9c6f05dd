//! Short scripts of operations, run on every driver, each step beside what Linux says to it.
//!
//! A script is a function that does one thing after the other and says of each what it does, what came of it and what
//! is expected, in one normal form ([`normal`]):
//!
//! ```ignore
//! script.says("recv", client.recv(16).await, "ECONNRESET");
//! ```
//!
//! All drivers are held against the same text, so they are equal to each other. Where Linux itself has a choice the text
//! names all that it may say, `"ECONNRESET|EPIPE"`, and a comment says why.
//!
//! A script uses nothing but this crate: no `std::net`, no `std::fs`, no thread. It waits by operations, and by
//! [`Script::a_while`], so that it runs in a simulated world as well. Ports are the system's choice.
//!
//! [`tcp`]: names, connecting, accepting. [`bytes`]: what streams carry. [`peeks`]: what is only looked at. [`ends`]: closing, shutting down, resetting.
//! [`polls`]: what a socket is ready for, and when. [`options`]: what sockets are told and asked. [`udp`], [`unix`],
//! [`packets`], [`messages`]: the other sockets. [`splices`]: what does not pass through the program. [`lends`]: what is
//! lent for longer, and what is asked and answered. [`files`], [`names`]: files, and their names. [`cancels`]: operations that are given up.

mod bytes;
mod cancels;
mod ends;
mod files;
mod lends;
mod messages;
mod names;
mod normal;
mod options;
mod packets;
mod peeks;
mod polls;
mod socket;
mod splices;
mod tcp;
mod udp;
mod unix;

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::future::Future;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use socket2::SockAddr;

use crate::driver::Choice;
use crate::runtime::{Builder, Error};
use crate::{fs, time};

use normal::Outcome;

/// What a script is run on: one test for each of these, which has to pass on all that are in it.
///
const URING: &[Choice] = &[Choice::Uring];
const READINESS: &[Choice] = &[Choice::Readiness];
/// In worlds of several seeds, so that what comes together comes in more than one order.
#[cfg(feature = "sim")]
const SIM: &[Choice] = &[Choice::Sim(1), Choice::Sim(2), Choice::Sim(3), Choice::Sim(4), Choice::Sim(5)];

/// Makes a test of each script for each list of drivers: `uring::name`, `readiness::name`, `sim::name`.
macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        crate::conformance::scripts! { @on uring URING: $($name),* }
        crate::conformance::scripts! { @on readiness READINESS: $($name),* }
        #[cfg(feature = "sim")]
        crate::conformance::scripts! { @on sim SIM: $($name),* }

        pub(super) const SCRIPTS: &[&str] = &[$(stringify!($name)),*];
    };
    (@on $module:ident $drivers:ident: $($name:ident),*) => {
        mod $module {
            $(#[test]
            fn $name() {
                for driver in crate::conformance::$drivers {
                    crate::conformance::play(*driver, stringify!($name), super::$name);
                }
            })*
        }
    };
}
use scripts;

/// How long a script may take. None takes a hundredth of it, where the machine is not emulated.
const PATIENCE: Duration = Duration::from_secs(60);

/// In what time everything that is on its way arrives.
const A_WHILE: Duration = Duration::from_millis(20);

/// What is under way, and what was told: in the order of the steps.
struct Script {
    driver: Choice,
    name: &'static str,
    log: RefCell<String>,
    wrong: Cell<u32>,
    /// Tells this script's names from those of others that run at the same time.
    number: u32,
    directory: RefCell<Option<PathBuf>>,
}

/// Runs a script, and compares what it was told with what it expects.
fn play(driver: Choice, name: &'static str, body: impl AsyncFnOnce(&Script)) {
    let asked = std::env::var("ANNULUS_DRIVER").unwrap_or_default();
    // Whatever the seed: here they are chosen.
    let named = driver.to_string();
    let named = named.split(':').next().unwrap_or_default();
    if !["", "auto", named].contains(&asked.split(':').next().unwrap_or_default()) {
        return;
    }
    let runtime = match Builder::new().driver(driver).build() {
        Err(Error::Refused(refusal)) if driver == Choice::Uring => {
            return eprintln!("skipped: {name} on {driver}: {refusal}");
        }
        built => built.unwrap(),
    };
    let script = Script::new(driver, name);
    if runtime.run(time::timeout(PATIENCE, body(&script))).unwrap().is_err() {
        script.says("the script", false, "ends");
    }
    assert_eq!(runtime.metrics().stray, 0, "every completion found its operation");
    assert_eq!(runtime.shutdown(PATIENCE), 0, "nothing is leaked");
    assert_eq!(script.wrong.get(), 0, "{}", script.told());
}

impl Script {
    fn new(driver: Choice, name: &'static str) -> Script {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        Script {
            driver,
            name,
            log: RefCell::default(),
            wrong: Cell::new(0),
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            directory: RefCell::default(),
        }
    }

    /// A step: what was done, what came of it, and what is expected, `|` between what may be said as well.
    fn says(&self, step: &str, outcome: impl Outcome, expected: &str) {
        let said = outcome.normal();
        let mut log = self.log.borrow_mut();
        match expected.split('|').any(|text| text == said) {
            true => writeln!(log, "    {step}: {said}"),
            false => {
                self.wrong.set(self.wrong.get() + 1);
                writeln!(log, " -> {step}: {said}, not {expected}")
            }
        }
        .expect("a string takes everything");
    }

    /// A step whose operation cannot be done yet: it is begun, and waits.
    async fn waits<F: Future + Unpin>(&self, step: &str, operation: &mut F) {
        let pending = futures_util::poll!(operation).is_pending();
        self.says(&format!("{step} waits"), pending, "yes");
    }

    /// A step whose operation goes on as far as it can, and then waits.
    async fn goes_on_and_waits<F: Future + Unpin>(&self, step: &str, operation: &mut F) {
        let pending = time::timeout(A_WHILE, operation).await.is_err();
        self.says(&format!("{step} waits"), pending, "yes");
    }

    /// Whether the kernel that answers is one of these: what differs from one to the next by intent.
    fn is_linux(&self, release: &str) -> bool {
        let kernel = matches!(self.driver, Choice::Uring | Choice::Readiness);
        kernel
            && std::fs::read_to_string("/proc/sys/kernel/osrelease")
                .is_ok_and(|text| text.starts_with(release))
    }

    /// Lets happen what is on its way: a reset that is to arrive, an operation that is to be taken by the kernel.
    async fn a_while(&self) {
        time::sleep(A_WHILE).await;
    }

    /// A path in a fresh directory of the script's own.
    async fn path(&self, name: &str) -> PathBuf {
        let known = self.directory.borrow().clone();
        if let Some(directory) = known {
            return directory.join(name);
        }
        let directory = format!("/tmp/annulus-conformance-{}-{}", process::id(), self.number);
        fs::create_dir(&directory).await.unwrap();
        self.directory.replace(Some(PathBuf::from(&directory)));
        PathBuf::from(directory).join(name)
    }

    /// The name of a Unix socket, as a path.
    async fn path_name(&self, name: &str) -> SockAddr {
        SockAddr::unix(self.path(name).await).unwrap()
    }

    /// The name of a Unix socket that is in no file system. It is read back as `@name`.
    fn abstract_name(&self, name: &str) -> SockAddr {
        SockAddr::unix(format!("\0annulus-{}-{}-{name}", process::id(), self.number)).unwrap()
    }

    fn told(&self) -> String {
        format!("{} on {}:\n{}", self.name, self.driver, self.log.borrow())
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if std::thread::panicking() && self.wrong.get() == 0 {
            eprintln!("until it panicked, {}", self.told());
        }
        // On a driver whose files are in memory there is nothing to remove.
        if let Some(directory) = self.directory.take() {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

#[test]
fn there_are_enough_scripts_to_trust_a_driver_by() {
    let lists = [
        bytes::SCRIPTS,
        cancels::SCRIPTS,
        ends::SCRIPTS,
        files::SCRIPTS,
        lends::SCRIPTS,
        messages::SCRIPTS,
        names::SCRIPTS,
        options::SCRIPTS,
        packets::SCRIPTS,
        peeks::SCRIPTS,
        polls::SCRIPTS,
        splices::SCRIPTS,
        tcp::SCRIPTS,
        udp::SCRIPTS,
        unix::SCRIPTS,
    ];
    let scripts: usize = lists.iter().map(|list| list.len()).sum();
    assert!(scripts >= 100, "{scripts} scripts");
}

#[test]
fn a_step_that_says_something_else_is_seen() {
    let script = Script::new(Choice::Auto, "a script");
    script.says("a step", true, "yes");
    script.says("another step", std::io::Result::Ok(5usize), "EPIPE|5");
    assert_eq!(script.wrong.get(), 0);
    script.says("a wrong step", std::io::Result::Ok(5usize), "EPIPE|55");
    assert_eq!(script.wrong.get(), 1);
    assert_eq!(
        script.told(),
        "a script on auto:\n    a step: yes\n    another step: 5\n -> a wrong step: 5, not EPIPE|55\n"
    );
}
