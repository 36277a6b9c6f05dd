#!/usr/bin/env bash
# Type-checks the crate, its tests and its examples for systems and processors that this machine is not: tests/platforms.sh
# With --quick the library alone; with names of targets only those: tests/platforms.sh --quick aarch64-apple-darwin
# Nothing is linked and nothing is run. It needs the nightly toolchain, for the standard library is checked from its sources, and
# these: of the toolchain (rustup component add rust-src), or Debian's package rust-src, which is fetched and unpacked below target/.
set -euo pipefail
cd "$(dirname "$0")/.."

parts=(--lib --tests --examples)
targets=()
for argument in "$@"; do
    case $argument in
        --quick) parts=(--lib) ;;
        *) targets+=("$argument") ;;
    esac
done
if [ ${#targets[@]} = 0 ]; then
    # Readiness over kqueue; the ring on another processor; another C library; 32 bits, for which there are no bindings to the ring.
    targets=(x86_64-unknown-freebsd aarch64-apple-darwin aarch64-unknown-linux-gnu x86_64-unknown-linux-musl
        i686-unknown-linux-gnu armv7-unknown-linux-gnueabihf x86_64-pc-windows-msvc)
fi

skip() { echo "skipped: other platforms: $1" >&2; exit 0; }
rustc +nightly --version >/dev/null 2>&1 || skip "there is no nightly toolchain, for -Zbuild-std"
started=$SECONDS
home=$PWD/${CARGO_TARGET_DIR:-target}/platforms
[ -z "${CARGO_TARGET_DIR:-}" ] || home=$(mkdir -p "$CARGO_TARGET_DIR/platforms" && cd "$CARGO_TARGET_DIR/platforms" && pwd)
mkdir -p "$home"
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
sysroot=$(rustc +nightly --print sysroot)
export CARGO_TARGET_DIR=$home CARGO_INCREMENTAL=0

# from_debian: the sources of the standard library, of the nearest version that the mirror of this machine has.
from_debian() {
    command -v apt-get >/dev/null || return 1
    local mirror minor version box
    mirror=$(grep -rhoE 'https?://[^ ]+/debian/?$' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1)
    [ -n "$mirror" ] || return 1
    box=$(mktemp -d)
    mkdir -p "$box/lists/partial" "$box/cache/archives/partial"
    echo "deb [trusted=yes] $mirror sid main" >"$box/sources.list"
    local apt=(-o Dir::Etc::SourceList="$box/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::State::Lists="$box/lists" -o Dir::Cache="$box/cache")
    minor=$(rustc +nightly --version | sed 's/^rustc 1\.\([0-9]*\)\..*/\1/')
    apt-get "${apt[@]}" update >"$box/log" 2>&1 || { rm -rf "$box"; return 1; }
    version=$(apt-cache "${apt[@]}" madison rust-src | awk -F'|' -v minor="$minor" '{
        gsub(/ /, "", $2); split($2, part, "."); off = part[2] - minor; if (off < 0) off = -off
        if (best == "" || off < least) { best = $2; least = off } } END { print best }')
    (cd "$box" && apt-get "${apt[@]}" download "rust-src=$version" >log 2>&1 && dpkg -x rust-src_*.deb x) || { rm -rf "$box"; return 1; }
    rm -rf "$home/rust-src"
    mkdir -p "$home/rust-src"
    mv "$box"/x/usr/src/rustc-*/library "$home/rust-src/library"
    rm -rf "$box"
}

if [ ! -d "$sysroot/lib/rustlib/src/rust/library/std" ] &&
    ! timeout 60 rustup component add rust-src --toolchain nightly >/dev/null 2>&1; then
    [ -d "$home/rust-src/library/std" ] || from_debian || skip "the sources of the standard library cannot be had (rust-src)"
    # Beside the toolchain and not in it: a folder that looks like one, with these sources.
    mkdir -p "$home/sysroot/lib/rustlib/src"
    ln -sfn "$sysroot/lib/rustlib/$host" "$home/sysroot/lib/rustlib/$host"
    ln -sfn "$home/rust-src" "$home/sysroot/lib/rustlib/src/rust"
    printf '#!/bin/sh\nexec rustc --sysroot "%s" "$@"\n' "$home/sysroot" >"$home/rustc"
    chmod +x "$home/rustc"
    export RUSTC=$home/rustc
fi

# Some of what the tests and adapters depend on (ring, alloca) compiles C for the target when it is built. For types nobody reads
# what comes of it. So this is a compiler that makes empty objects, and says of itself, when asked, what the host's says.
cat >"$home/cc" <<'CC'
#!/bin/sh
case " $* " in *" -E "*) exec cc "$@" ;; esac
out=
while [ $# -gt 0 ]; do
    case $1 in -o) out=$2; shift ;; esac
    shift
done
[ -n "$out" ] && : >"$out"
CC
chmod +x "$home/cc"
# On Apple's systems it would ask Xcode where its headers are.
export SDKROOT=${SDKROOT:-/}

failures=0
failed() {
    echo "FAILED: $1"
    failures=$((failures + 1))
}

# There annulus says what it needs, and what to do instead.
refused() {
    local target=$1 begun=$SECONDS
    if cargo +nightly check -Zbuild-std=std,panic_unwind --target "$target" --lib >"$home/log" 2>&1; then
        failed "$target: it compiles, and nothing says that it cannot run"
    elif grep -q 'annulus needs a Unix' "$home/log" && grep -q WSL2 "$home/log" && grep -q tokio "$home/log"; then
        echo "passed: $target: refused, with the cause and what to do, in $((SECONDS - begun)) s"
    else
        failed "$target: it is refused by something else than annulus's own words:"
        grep -A 8 '^error' "$home/log" | head -n 40
    fi
}

for target in "${targets[@]}"; do
    case $target in *windows*) refused "$target"; continue ;; esac
    begun=$SECONDS
    if env "CC_${target//-/_}=$home/cc" cargo +nightly check -Zbuild-std=std,panic_unwind,test --target "$target" \
        --features full "${parts[@]}" --keep-going >"$home/log" 2>&1; then
        # What is unused there is a part that somebody forgot.
        if grep -q '^warning: `annulus`' "$home/log"; then
            failed "$target: there are warnings:"
            grep -A 6 '^warning: ' "$home/log" | head -n 60
        else
            echo "passed: $target: ${parts[*]#--}, in $((SECONDS - begun)) s"
        fi
    elif grep -qE '^error: could not compile `(core|alloc|std|compiler_builtins|proc_macro|test)`' "$home/log"; then
        skip "the sources of the standard library are of another version than $(rustc +nightly --version)"
    else
        failed "$target:"
        grep -A 12 '^error' "$home/log" | head -n 120
    fi
done

echo "$failures failures in $((SECONDS - started)) s"
[ "$failures" = 0 ]
