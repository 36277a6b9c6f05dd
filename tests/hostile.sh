#!/usr/bin/env bash
# Runs tests while the kernel refuses what they ask of it, and tests that need root: refused enters and set-ups (strace),
# files that never answer (FUSE), slow links and links that go down, destroyed sockets, full and read-only file systems.
# As root, on Linux, with strace and iproute2: tests/hostile.sh
# Each of these tests makes its own mounts and networks, which nobody else sees and which end with it.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "skipped: hostile surroundings: $1" >&2; exit 0; }
[ "$(uname)" = Linux ] || skip "this is not Linux"
[ "$(id -u)" = 0 ] || skip "mounts and networks need root"
command -v strace >/dev/null || skip "there is no strace"
command -v ip >/dev/null && command -v tc >/dev/null && command -v ss >/dev/null || skip "there is no iproute2"
unset ANNULUS_DRIVER

logs=$(mktemp -d)
started=$SECONDS
clean_up() {
    # What a test that was killed left: its file system's server would end by itself within a minute.
    jobs -p | xargs -r kill 2>/dev/null || true
    rm -rf "$logs"
}
trap clean_up EXIT

dmesg > "$logs/before" 2>/dev/null || echo "skipped: what the kernel says: it does not tell" >&2

# Built before anything is refused. The paths of the test programs: cargo says "Executable tests/tcp.rs (path)".
names=(tcp cancel queues shutdown signals limits peers disk_errors hostile fairness)
cargo test --no-run "${names[@]/#/--test=}" 2> "$logs/build" || { cat "$logs/build"; exit 1; }
cargo build --example hello
program() { sed -n "s/.*Executable tests\/$1\.rs (\(.*\))/\1/p" "$logs/build"; }
hello=$(cargo build --example hello --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*\/hello\)".*/\1/p' | tail -1)

# passes WHAT COMMAND...: runs it, and shows what it printed only if it fails. Whoever asks for the ring has to get it.
failures=0
passes() {
    local what=$1 begun=$SECONDS
    shift
    if "$@" > "$logs/output" 2>&1 && ! grep -q 'no driver for the loop' "$logs/output"; then
        echo "passed: $what:" \
            "$(sed -n 's/^test result: ok. \([0-9]* passed\).*/\1 /p' "$logs/output" | tail -1)in $((SECONDS - begun)) s"
    else
        echo "FAILED: $what"
        cat "$logs/output"
        failures=$((failures + 1))
    fi
    grep -a '^skipped' "$logs/output" | sort -u || true
}

# injecting CALL ERROR WHEN PROGRAM ARGUMENT...: with that call refused each so many times, in each thread.
injecting() {
    local call=$1 error=$2 when=$3
    shift 3
    timeout 200 strace -f -qq -o /dev/null -e "trace=$call" -e "inject=$call:error=$error$when" "$@"
}

# What is injected is really refused; where strace may not trace, nothing of it is done.
if strace -f -qq -o "$logs/trace" -e trace=io_uring_enter -e inject=io_uring_enter:error=EAGAIN:when=3+7 \
    "$(program tcp)" uring:: > "$logs/output" 2>&1 && grep -q INJECTED "$logs/trace"; then
    # One is left out, which gives the loop a tenth of a second: with a tracer it may take longer.
    late=a_dropped_stream_is_an_end_for_its_peer_even_with_a_read_pending
    # Not 1+2: a refused enter is followed by one that only waits, so each enter that submits would be refused, for ever.
    for name in tcp cancel queues shutdown; do
        for error in EAGAIN EBUSY EINTR ENOMEM; do
            passes "$name with $error at each seventh enter" injecting io_uring_enter $error :when=3+7 "$(program $name)" uring:: --skip $late
        done
        passes "$name with EAGAIN at each third enter" injecting io_uring_enter EAGAIN :when=1+3 "$(program $name)" uring:: --skip $late
        passes "$name with ENOMEM at each fifth enter" injecting io_uring_enter ENOMEM :when=2+5 "$(program $name)" uring:: --skip $late
    done
    for name in peers disk_errors fairness hostile; do
        # Two are left out, which count turns: an enter that is refused is made again in the next.
        passes "$name with EAGAIN at each seventh enter" injecting io_uring_enter EAGAIN :when=3+7 "$(program $name)" uring:: \
            --skip uring::a_timer_ticks --skip uring::a_task_that_is_always
    done
    # Without a ring at all the other driver serves, and says so once.
    for error in ENOSYS EPERM ENOMEM EMFILE; do
        passes "hello without a ring, $error" injecting io_uring_setup $error "" "$hello"
        grep -q 'annulus: no io_uring, so the readiness driver serves' "$logs/output" || {
            echo "FAILED: it does not say so: $(cat "$logs/output")"
            failures=$((failures + 1))
        }
        passes "tcp without a ring, $error" injecting io_uring_setup $error "" "$(program tcp)" readiness::
    done
else
    grep -q INJECTED "$logs/trace" 2>/dev/null && { cat "$logs/output"; failures=$((failures + 1)); }
    echo "skipped: refused calls: strace may not trace here, or there is no ring" >&2
fi

# On both drivers, and as root.
for name in signals limits peers disk_errors fairness hostile; do
    passes "$name" timeout 200 "$(program $name)"
done

# The kernel was not hurt by any of it.
if dmesg > "$logs/after" 2>/dev/null && [ -s "$logs/before" ]; then
    last=$(tail -1 "$logs/before")
    if awk -v last="$last" 'seen; $0 == last { seen = 1 }' "$logs/after" |
        grep -E 'BUG|WARNING|general protection|io_uring'; then
        echo "FAILED: that is what the kernel said meanwhile"
        failures=$((failures + 1))
    else
        echo "passed: the kernel says nothing"
    fi
fi

echo "$failures failures in $((SECONDS - started)) s"
[ "$failures" = 0 ]
