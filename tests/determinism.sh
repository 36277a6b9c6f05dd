#!/usr/bin/env bash
# The same seeds give the same events in the debug and in the release build: tests/determinism.sh
set -euo pipefail
cd "$(dirname "$0")/.."

hash_of() {
    cargo test "$@" --test worlds the_same_seed -- --nocapture | grep -o 'the hash of 100 worlds: .*'
}

debug=$(hash_of)
release=$(hash_of --release)
printf 'debug:   %s\nrelease: %s\n' "$debug" "$release"
[ -n "$debug" ] && [ "$debug" = "$release" ]
