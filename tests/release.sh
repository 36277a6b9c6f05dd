#!/usr/bin/env bash
# Makes the package as it would be published, and does with it what users do: builds it, alone, by its own Cargo.toml, makes its
# documentation as docs.rs does if there is a nightly toolchain, and runs the examples of the documentation: tests/release.sh
# With --quick nothing but the package itself: what is in it, and how large it is.
set -euo pipefail
cd "$(dirname "$0")/.."

# Compressed, in bytes. Whoever needs more says for what: it is the sources, with their unit tests, and what the documentation includes.
limit=1200000
started=$SECONDS
failures=0
export CARGO_INCREMENTAL=0
target=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
passes() {
    local what=$1 begun=$SECONDS log
    shift
    log=$(mktemp)
    if "$@" >"$log" 2>&1; then
        echo "passed: $what, in $((SECONDS - begun)) s"
    else
        echo "FAILED: $what"
        tail -n 60 "$log"
        failures=$((failures + 1))
    fi
    rm -f "$log"
}

# A working copy with changes is packaged, too: what is tested is what is there.
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
passes "the package" cargo package --locked --allow-dirty --no-verify
package=$target/package/annulus-$version
size=$(stat -c %s "$package.crate")
if [ "$size" -lt "$limit" ]; then
    echo "passed: $size bytes, of $limit"
else
    echo "FAILED: $size bytes, more than $limit. The largest parts:"
    tar -tvzf "$package.crate" | sort -k3 -n -r | head -n 10
    failures=$((failures + 1))
fi
tar -tzf "$package.crate" >"$target/package/list"
for wanted in Cargo.toml Cargo.lock build.rs src/lib.rs README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT SECURITY.md docs/seccomp.json; do
    grep -qx "annulus-$version/$wanted" "$target/package/list" || { echo "FAILED: it has no $wanted"; failures=$((failures + 1)); }
done
if grep -E '/(benches|examples|tests|\.ci)/|\.(png|svg)$' "$target/package/list" | grep -v '/src/\|/docs/book/'; then
    echo "FAILED: these are for developers, not for users"
    failures=$((failures + 1))
fi
[ "${1:-}" = --quick ] && { echo "$failures failures in $((SECONDS - started)) s"; exit $((failures > 0)); }

# Outside of this folder, so that nothing of it is found by a path.
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
tar -xzf "$package.crate" -C "$box"
export CARGO_TARGET_DIR=$target/released
in_package() { (cd "$box/annulus-$version" && "$@"); }
passes "it builds" in_package cargo build --locked
passes "it builds with all adapters" in_package cargo build --locked --features full
passes "the examples of its documentation" in_package cargo test --locked --doc
if cargo +nightly --version >/dev/null 2>&1; then
    passes "its documentation, as docs.rs makes it" in_package env RUSTDOCFLAGS="--cfg docsrs" cargo +nightly doc --locked --no-deps --features full
else
    echo "skipped: its documentation as docs.rs makes it: there is no nightly toolchain" >&2
fi
unset CARGO_TARGET_DIR
# Asks the registry whether it would take it, which some mirrors cannot say.
log=$(mktemp)
if cargo publish --dry-run --locked --allow-dirty --no-verify >"$log" 2>&1; then
    echo "passed: the registry would take it"
elif grep -qiE 'network|resolve host|registry|download|spurious|replaced' "$log"; then
    echo "skipped: whether the registry would take it: $(grep -i '^error' "$log" | head -n 1)" >&2
else
    echo "FAILED: cargo publish --dry-run"
    cat "$log"
    failures=$((failures + 1))
fi
rm -f "$log"

echo "$failures failures in $((SECONDS - started)) s"
[ "$failures" = 0 ]
