//! What a program gets that asks for annulus: each crate has a reason here, and a new one wants one, too.
//!
//! As cargo resolves Cargo.lock for x86-64 Linux, development's dependencies left out.

mod support;

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// Crate, and what it is for. These are always there.
const ALWAYS: &[(&str, &str)] = &[
    ("bitflags", "of io-uring"),
    ("bytes", "`Bytes` and `BytesMut` are lent like any buffer, and everybody's protocols speak them"),
    ("cfg-if", "of io-uring"),
    ("errno", "of signal-hook-registry"),
    ("futures-core", "`Stream`, the trait that everybody's combinators are for"),
    ("futures-task", "of futures-util"),
    ("futures-util", "polling several futures in one, without its executor and its macros"),
    ("io-uring", "the ring's structures and its three calls"),
    ("libc", "the system's calls and constants"),
    ("pin-project-lite", "pinned fields without `unsafe`"),
    ("signal-hook-registry", "one handler of a signal for all libraries of a process"),
    ("slab", "what is in flight, by number"),
    ("socket2", "socket options that std lacks"),
    ("tokio", "its channels between threads; no runtime"),
];

/// Of the default feature `backtrace`: the lines that the watchdog and debug mode tell.
const BACKTRACE: &[(&str, &str)] = &[
    ("addr2line", "addresses to lines"),
    ("adler2", "of miniz_oxide"),
    (
        "backtrace",
        "the stack of a thread that hangs, walked in a signal handler: std's allocates, and gives no addresses",
    ),
    ("gimli", "the tables of lines"),
    ("memchr", "of object"),
    ("miniz_oxide", "tables that are compressed"),
    ("object", "where the tables are in a program"),
    ("rustc-demangle", "names of functions as they were written"),
];

/// Of the default feature `macros`. All but the first two are for the compiler alone: nothing of them is in the program.
const MACROS: &[(&str, &str)] = &[
    ("tokio-macros", "`select!`, which numbers its branches by a procedural macro"),
    ("proc-macro2", "of tokio-macros"),
    ("quote", "of tokio-macros"),
    ("syn", "of tokio-macros"),
    ("unicode-ident", "of syn"),
];

/// What all adapters together add. Who asks for one gets a part of it.
const FULL: &[(&str, &str)] = &[
    ("atomic-waker", "of h2"),
    ("equivalent", "of indexmap"),
    ("fnv", "of h2"),
    ("futures-channel", "of hyper"),
    ("futures-io", "feature futures-io: its traits"),
    ("futures-sink", "of h2"),
    ("getrandom", "of ring"),
    ("h2", "HTTP/2, of hyper"),
    ("hashbrown", "of indexmap"),
    ("http", "feature http-serve: requests and answers"),
    ("http-body", "feature http-serve: their bodies"),
    ("httparse", "HTTP/1, of hyper"),
    ("httpdate", "of hyper"),
    ("hyper", "feature http-serve: the protocol; feature hyper: its traits"),
    ("indexmap", "of h2"),
    ("itoa", "of http, hyper and serde_json"),
    ("log", "of rustls"),
    ("metrics", "feature metrics: the facade"),
    ("mio", "feature tokio-host: of tokio"),
    ("once_cell", "of rustls and tracing-core"),
    ("openssl-probe", "of rustls-native-certs"),
    ("rapidhash", "of metrics"),
    ("ring", "feature rustls: cryptography that needs neither C++ nor CMake"),
    ("rustls", "feature rustls: TLS"),
    ("rustls-native-certs", "feature rustls: the system's authorities"),
    ("rustls-pki-types", "of rustls"),
    ("rustls-webpki", "of rustls"),
    ("rustversion", "of rapidhash"),
    ("serde", "feature inspect: its JSON"),
    ("serde_core", "of serde"),
    ("serde_derive", "of serde"),
    ("serde_json", "feature inspect: its JSON"),
    ("smallvec", "of hyper"),
    ("subtle", "of rustls"),
    ("tokio-rustls", "feature rustls: a connection that is polled"),
    ("tokio-util", "of h2"),
    ("tower-layer", "feature tower: the trait"),
    ("tower-service", "features tower and http-serve: the trait"),
    ("tracing", "feature tracing: the facade"),
    ("tracing-core", "of tracing"),
    ("try-lock", "of want"),
    ("untrusted", "of ring"),
    ("want", "of hyper"),
    ("zeroize", "of rustls"),
    ("zmij", "of serde_json"),
];

/// Whoever uses annulus has to be able to use all of it: none of these asks for more than to be named.
const LICENCES: &[&str] =
    &["Apache-2.0", "MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "Zlib", "Unicode-3.0", "Unlicense"];

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What cargo prints, without asking the network if it can. None, and said, where the network is not there either.
fn cargo(test: &str, arguments: &[&str]) -> Option<String> {
    let mut said = String::new();
    for network in [&["--offline"][..], &[]] {
        let output = Command::new(env!("CARGO"))
            .args(arguments)
            .args(["--locked", "--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
            .args(network)
            .output()
            .unwrap();
        if output.status.success() {
            return Some(support::child::text(&output.stdout));
        }
        said = support::child::text(&output.stderr);
    }
    assert!(!said.contains("lock file"), "Cargo.lock is not what Cargo.toml asks for: {said}");
    support::skipped(test, &format!("cargo does not know all packages: {}", said.trim()));
    None
}

/// The crates of a build, without annulus itself.
fn crates(test: &str, with: &[&str]) -> Option<BTreeSet<String>> {
    let tree = ["tree", "-e", "normal", "--prefix", "none", "--target", TARGET];
    let printed = cargo(test, &[&tree[..], with].concat())?;
    let names = printed.lines().filter_map(|line| line.split_whitespace().next());
    Some(names.filter(|name| *name != "annulus").map(str::to_owned).collect())
}

#[track_caller]
fn assert_listed(found: Option<BTreeSet<String>>, lists: &[&[(&str, &str)]]) {
    let Some(found) = found else { return };
    let listed: BTreeSet<String> =
        lists.iter().copied().flatten().map(|(name, _)| (*name).to_owned()).collect();
    let new: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(
        new.is_empty(),
        "without a reason here: {new:?}: is it worth its place? If so, add it to the list with the reason"
    );
    assert!(gone.is_empty(), "no longer there, so take it off the list: {gone:?}");
}

#[test]
fn every_crate_that_is_always_there_has_a_reason() {
    let test = "every_crate_that_is_always_there_has_a_reason";
    assert_listed(crates(test, &["--no-default-features"]), &[ALWAYS]);
}

#[test]
fn every_crate_of_the_default_features_has_a_reason() {
    assert_listed(
        crates("every_crate_of_the_default_features_has_a_reason", &[]),
        &[ALWAYS, BACKTRACE, MACROS],
    );
}

#[test]
fn every_crate_of_all_adapters_has_a_reason() {
    let test = "every_crate_of_all_adapters_has_a_reason";
    assert_listed(crates(test, &["--features", "full"]), &[ALWAYS, BACKTRACE, MACROS, FULL]);
}

/// What Cargo.toml asks for itself, on all systems, and whether it is optional.
fn direct(package: &Value) -> Vec<(&str, bool)> {
    let all = package["dependencies"].as_array().unwrap();
    let of_users = all.iter().filter(|dependency| dependency["kind"].is_null());
    of_users.map(|it| (it["name"].as_str().unwrap(), it["optional"].as_bool().unwrap())).collect()
}

#[test]
fn the_readme_says_of_each_direct_dependency_what_it_is_for() {
    let test = "the_readme_says_of_each_direct_dependency_what_it_is_for";
    let Some(metadata) = cargo(test, &["metadata", "--no-deps", "--format-version", "1"]) else { return };
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let direct = direct(&metadata["packages"][0]);
    assert!(direct.contains(&("slab", false)) && direct.contains(&("rustls", true)), "{direct:?}");
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, part) = readme.split_once("\n## What it depends on\n").expect("README.md has that part");
    let part = part.split("\n## ").next().unwrap();
    let rows: Vec<(&str, &str)> =
        part.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |")).collect();
    for (name, is_optional) in &direct {
        let (_, row) = rows
            .iter()
            .find(|(of, _)| of == name)
            .unwrap_or_else(|| panic!("README.md's table has no {name}"));
        assert_eq!(*is_optional, row.contains("feature"), "{name}: {row}");
    }
    for (name, _) in &rows {
        assert!(
            direct.iter().any(|(known, _)| known == name),
            "README.md's table has {name}, which is not asked for"
        );
    }
}

/// Whether this expression of licences permits one of ours.
fn is_permitted(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let term = |text: &str| LICENCES.contains(&text.trim_matches(|c: char| c == '(' || c == ')' || c == ' '));
    // OR binds less than AND, and in the only nesting that occurs the parentheses hold an OR.
    if let Some((open, close)) = expression.find('(').zip(expression.find(')')) {
        let (inner, outer) =
            (&expression[open + 1..close], [&expression[..open], &expression[close + 1..]].concat());
        return is_permitted(inner) && outer.split(" AND ").filter(|part| !part.trim().is_empty()).all(term);
    }
    expression.split(" OR ").any(|choice| choice.split(" AND ").all(term))
}

#[test]
fn every_licence_of_a_dependency_is_one_that_only_wants_to_be_named() {
    assert!(
        is_permitted("MIT OR Apache-2.0") && is_permitted("GPL-3.0 OR MIT") && is_permitted("MIT/Unlicense")
    );
    assert!(is_permitted("(MIT OR Apache-2.0) AND Unicode-3.0") && is_permitted("Apache-2.0 AND ISC"));
    assert!(
        !is_permitted("GPL-3.0")
            && !is_permitted("MIT AND GPL-3.0")
            && !is_permitted("(MIT OR ISC) AND GPL-3.0")
    );
    let test = "every_licence_of_a_dependency_is_one_that_only_wants_to_be_named";
    let Some(used) = crates(test, &["--features", "full"]) else { return };
    let arguments = ["metadata", "--format-version", "1", "--features", "full", "--filter-platform", TARGET];
    let Some(metadata) = cargo(test, &arguments) else { return };
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let mut looked_at = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if used.contains(name) {
            let licence = package["license"].as_str().unwrap_or("none");
            assert!(is_permitted(licence), "{name} is under {licence}");
            looked_at.insert(name.to_owned());
        }
    }
    assert_eq!(looked_at, used);
}
