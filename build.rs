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
    let width = env::var("CARGO_CFG_TARGET_POINTER_WIDTH").unwrap_or_default();

    // Cargo.toml has the same list.
    let with_bindings = ["x86_64", "aarch64", "riscv64", "loongarch64", "powerpc64"];
    if os == "linux" && width == "64" && with_bindings.contains(&architecture.as_str()) {
        println!("cargo::rustc-cfg=annulus_uring");
    }
    if families.split(',').any(|family| family == "unix") {
        println!("cargo::rustc-cfg=annulus_readiness");
    } else {
        let why = "it runs over io_uring (Linux), epoll (Linux) or kqueue (macOS, FreeBSD)";
        println!("cargo::error=annulus needs a Unix target: {why}, and {os} has none of them.");
        if os == "windows" {
            println!(
                "cargo::error=On Windows build and run the program in WSL2, which is a Linux with io_uring."
            );
            println!(
                "cargo::error=A program that has to run on Windows itself can use tokio, on that target alone:"
            );
            println!(
                "cargo::error=put annulus below [target.'cfg(unix)'.dependencies] and tokio below [target.'cfg(windows)'.dependencies]."
            );
        }
    }
}
