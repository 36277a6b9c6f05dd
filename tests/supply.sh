#!/usr/bin/env bash
# Licences, sources, bans and known holes of what the crate depends on, by cargo-deny and deny.toml: tests/supply.sh
# (cargo install cargo-deny --locked). Licences and the list of crates are also in tests/dependencies.rs, which needs no tool.
set -euo pipefail
cd "$(dirname "$0")/.."

failures=0
passes() {
    local what=$1 log
    shift
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then
        echo "passed: $what"
    else
        echo "FAILED: $what"
        cat "$log"
        failures=$((failures + 1))
    fi
    rm -f "$log"
}

if cargo deny --version >/dev/null 2>&1; then
    passes "licences, bans, sources" cargo deny --locked check licenses bans sources
    # The list of known holes is a repository that is fetched.
    log=$(mktemp)
    if cargo deny --locked fetch db >"$log" 2>&1; then
        passes "known holes" cargo deny --locked check --disable-fetch advisories
    else
        echo "skipped: known holes: the list of RustSec cannot be fetched: $(grep -v '^$' "$log" | tail -n 1)" >&2
    fi
    rm -f "$log"
else
    echo "skipped: licences, bans, sources, known holes: there is no cargo-deny" >&2
fi

echo "$failures failures"
[ "$failures" = 0 ]
