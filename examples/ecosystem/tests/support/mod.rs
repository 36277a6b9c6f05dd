//! What the tests of this package share: the counterparts, started for a test and ended with it, and this package's own programs.
//! A counterpart that is not installed makes its tests skip, and say so; with ECOSYSTEM_REQUIRED=1 they fail.
#![allow(dead_code, reason = "each test uses a part of this")]

pub(crate) mod found;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod python;
pub(crate) mod redis;
pub(crate) mod web;

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes here on a slow and busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for this: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("there is a free port")
        .port()
}

/// Makes a test of a function of a driver's name, for each driver that other processes can be reached by.
#[macro_export]
macro_rules! on_real_drivers {
    ($($(#[$attribute:meta])* fn $name:ident($driver:ident: &str) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[$attribute])*
            fn body($driver: &str) $body

            #[test]
            fn uring() {
                if $crate::support::program::can_have("uring") {
                    body("uring");
                }
            }

            #[test]
            fn readiness() {
                body("readiness");
            }
        }
    )*};
}
