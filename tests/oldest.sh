#!/usr/bin/env bash
# Builds the library with the oldest compiler that Cargo.toml promises (rust-version), with default features and with all adapters:
# with the versions of Cargo.lock, and with the oldest of each direct dependency that Cargo.toml permits: tests/oldest.sh
# The compiler is rustup's, if it has that version, or Debian's of the release that ships it, fetched and unpacked below target/, with
# the C library that it wants. Where neither can be had clippy looks whether anything newer than promised is used, which is less.
set -euo pipefail
cd "$(dirname "$0")/.."

started=$SECONDS
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
home=${CARGO_TARGET_DIR:-target}/oldest
mkdir -p "$home"
home=$(cd "$home" && pwd)
export CARGO_INCREMENTAL=0

# from_debian RELEASE: compiler and cargo, of that release if it has this version, and the libraries that they are linked with.
from_debian() {
    local release=$1 box names mirror
    [ "$(uname -m)" = x86_64 ] && command -v apt-get >/dev/null || return 1
    mirror=$(grep -rhoE 'https?://[^ ]+/debian/?$' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1)
    [ -n "$mirror" ] || return 1
    box=$(mktemp -d)
    mkdir -p "$box/lists/partial" "$box/cache/archives/partial"
    echo "deb [trusted=yes] $mirror $release main" >"$box/sources.list"
    # As on a machine on which nothing is installed, so that all that it needs is named. Of that a linker is here already.
    : >"$box/nothing"
    local apt=(-o Dir::Etc::SourceList="$box/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$box/lists"
        -o Dir::Cache="$box/cache" -o Dir::State::status="$box/nothing")
    apt-get "${apt[@]}" update >"$box/log" 2>&1 &&
        apt-cache "${apt[@]}" policy rustc | grep -q "Candidate: $wanted\." || { rm -rf "$box"; return 1; }
    names=$(apt-get "${apt[@]}" -s --no-install-recommends install cargo 2>/dev/null | awk '/^Inst/ { print $2 }' |
        grep -vE '^(gcc|cpp|binutils|libgcc-.*-dev|lib(a|l|t|hwa|ub)san|libc-dev|libc6-dev|linux-libc|rpcsvc|libcrypt-dev)')
    # shellcheck disable=SC2086
    (cd "$box" && apt-get "${apt[@]}" download $names >log 2>&1) || { rm -rf "$box"; return 1; }
    for package in "$box"/*.deb; do dpkg -x "$package" "$home/debian"; done
    rm -rf "$box"
}

# The programs as the toolchain: a cargo and a rustc that are found by these names.
use() {
    mkdir -p "$home/bin"
    local program
    for program in rustc cargo; do
        printf '#!/bin/sh\nexec %s "$@"\n' "$1$program" >"$home/bin/$program"
        chmod +x "$home/bin/$program"
    done
    "$home/bin/rustc" --version >/dev/null 2>&1 && "$home/bin/cargo" --version >/dev/null 2>&1
}

libraries=$home/debian/usr/lib/x86_64-linux-gnu
there() {
    # The C library of the machine may be older than theirs: so they are started by their own.
    use "$home/debian/usr/lib64/ld-linux-x86-64.so.2 --library-path $libraries $home/debian/usr/bin/"
}
if ! (rustup run "$wanted" rustc --version >/dev/null 2>&1 && use "rustup run $wanted ") && ! there; then
    rm -rf "$home/debian"
    # Each release of Debian has one version: that of 13 is 1.85.
    if ! from_debian trixie || ! there; then
        echo "skipped: Rust $wanted: neither rustup nor Debian has it here; clippy looks for what is newer" >&2
        cargo clippy --features full -- -D clippy::incompatible_msrv
        exit
    fi
fi
rustc=$("$home/bin/rustc" --version)

failures=0
# passes WHAT COMMAND...
passes() {
    local what=$1 begun=$SECONDS
    shift
    if "$@" >"$home/log" 2>&1; then
        echo "passed: $what, in $((SECONDS - begun)) s"
    else
        echo "FAILED: $what"
        grep -A 12 '^error' "$home/log" | head -n 80
        failures=$((failures + 1))
    fi
}
oldest() { PATH="$home/bin:$PATH" CARGO_TARGET_DIR="$home/$1" RUSTC="$home/bin/rustc" "$home/bin/cargo" "${@:2}"; }

echo "$rustc"
passes "default features, versions of Cargo.lock" oldest locked check --locked --lib
passes "all adapters, versions of Cargo.lock" oldest locked check --locked --lib --features full

# In a copy, for Cargo.lock becomes another one. Without what only tests need: some of that wants a newer compiler, and users do not have it.
rm -rf "$home/copy"
mkdir -p "$home/copy"
cp -r build.rs src "$home/copy"
awk '/^\[/ { skips = /dev-dependencies|^\[\[(example|test|bench)\]\]/ } !skips' Cargo.toml >"$home/copy/Cargo.toml"
# What lib.rs and its documentation include.
cp -r README.md docs "$home/copy"
touch "$home/copy/LICENSE-MIT"
oldest_of_each() {
    cd "$home/copy"
    # Of what dependencies depend on, versions that this compiler can build.
    export CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS=fallback
    cargo +nightly -Zdirect-minimal-versions generate-lockfile
}
if cargo +nightly --version >/dev/null 2>&1; then
    passes "the oldest version of each direct dependency is found" oldest_of_each
    in_copy() { (cd "$home/copy" && oldest minimal "$@"); }
    passes "default features, oldest versions" in_copy check --locked --lib
    passes "all adapters, oldest versions" in_copy check --locked --lib --features full
else
    echo "skipped: oldest versions: there is no nightly toolchain, for -Zdirect-minimal-versions" >&2
fi

echo "$failures failures in $((SECONDS - started)) s"
[ "$failures" = 0 ]
