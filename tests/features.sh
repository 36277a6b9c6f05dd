#!/usr/bin/env bash
# Checks the library with each feature alone, with none, with the default ones and with all: what one needs it asks for itself.
# With cargo-hack also with any two of them: tests/features.sh --pairs (cargo install cargo-hack --locked)
set -euo pipefail
cd "$(dirname "$0")/.."

export CARGO_INCREMENTAL=0
started=$SECONDS
failures=0
check() {
    local begun=$SECONDS log
    log=$(mktemp)
    # What is unused without another feature is a warning, and a warning is a failure.
    if "$@" >"$log" 2>&1 && ! grep -q '^warning: `annulus`' "$log"; then
        echo "passed: ${*:2}, in $((SECONDS - begun)) s"
    else
        echo "FAILED: ${*:2}"
        grep -A 12 -E '^(error|warning)' "$log" | head -n 60
        failures=$((failures + 1))
    fi
    rm -f "$log"
}

# `full` is others by one name; all of them are checked together.
features=$(sed -n '/^\[features\]/,/^\[dep/s/^\([a-z-]*\) = .*/\1/p' Cargo.toml | grep -vxE 'default|full')
if [ "${1:-}" = --pairs ]; then
    cargo hack --version >/dev/null 2>&1 || { echo "skipped: any two features: there is no cargo-hack" >&2; exit 0; }
    check cargo hack check --lib --feature-powerset --depth 2 --exclude-features default,full
else
    check cargo check --lib --no-default-features
    for feature in $features; do check cargo check --lib --no-default-features --features "$feature"; done
    check cargo check --lib
    check cargo check --lib --all-features
fi
echo "$failures failures in $((SECONDS - started)) s"
[ "$failures" = 0 ]
