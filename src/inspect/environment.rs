//! An inspector for whoever starts the program, and not for whoever wrote it: by the environment.

use std::env::{self, VarError};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Inspector, serve};

/// Where it listens.
const VARIABLE: &str = "ANNULUS_INSPECT";

/// As long as the process lives.
static KEPT: Mutex<Option<Inspector>> = Mutex::new(None);

/// Starts one at the address in `ANNULUS_INSPECT`, the first time that it is called in a process, if there is one. Where it is, and what went
/// wrong, is said on standard error.
///
/// For whoever makes loops, when one has been made: before that the inspector would find none.
pub(crate) fn start_by_environment() {
    // Not a Once: the inspector's own loop is made meanwhile, on another thread.
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.load(Ordering::Relaxed) || DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    let address = match env::var(VARIABLE) {
        Ok(address) if !["", "0"].contains(&&*address) => address,
        Ok(_) | Err(VarError::NotPresent) => return,
        Err(VarError::NotUnicode(_)) => {
            return say("there is no inspector: ANNULUS_INSPECT is no text of UTF-8");
        }
    };
    match serve(&*address) {
        Ok(inspector) => {
            say(&format!("the inspector is at {}", inspector.url()));
            *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(inspector);
        }
        Err(error) => say(&format!("there is no inspector ({VARIABLE}): {error}")),
    }
}

/// What cannot be said there is said nowhere.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "annulus: {text}");
}
