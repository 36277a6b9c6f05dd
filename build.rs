//! Decides which drivers this target gets, as cfgs, and nothing else.
//!
//! - `annulus_uring`: Linux on an architecture that the `io-uring` crate has bindings for.
//! - `annulus_readiness`: every Unix: epoll on Linux, elsewhere what the `polling` crate is over.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let os = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let families = env::var("CARGO_CFG_TARGET_FAMILY").unwrap_or_default();

    let with_bindings = ["x86_64", "aarch64", "riscv64", "loongarch64", "powerpc64"];
    if os == "linux" && with_bindings.contains(&architecture.as_str()) {
        println!("cargo::rustc-cfg=annulus_uring");
    }
    if families.split(',').any(|family| family == "unix") {
        println!("cargo::rustc-cfg=annulus_readiness");
    } else {
        println!("cargo::error=annulus needs a Unix target: {os} has neither io_uring nor readiness");
    }
}
