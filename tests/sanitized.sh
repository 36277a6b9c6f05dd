#!/usr/bin/env bash
# Runs the tests under AddressSanitizer and LeakSanitizer, with a stable toolchain: tests/sanitized.sh
# With --quick only those that are about who owns and frees what, a third of the time.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(rustc -vV | sed -n 's/^host: //p')
case $target in
    x86_64-unknown-linux-gnu | aarch64-unknown-linux-gnu) ;;
    *) echo "skipped: the sanitizers: not on $target" >&2; exit 0 ;;
esac

# What leaks on purpose: futures that are forgotten;
on_purpose=(--skip forgetting_an_operation --skip a_thousand_forgotten
    # what the kernel or a helper has not given back by the end (I6), or a ring that broke (I3);
    --skip what_is_not_answered_by_the_end --skip a_port_that_goes_away --skip what_cannot_be_stopped
    --skip that_does_not_return --skip any_more_ends_the_run --skip never_took_comes_back
    --skip a_loop_that_has_ended_is_refused --skip a_forgotten_lease
    # slices that a test makes 'static.
    --skip no_buffer_moves)
# These leak nothing, but measure memory, which the sanitizer keeps back.
measures=(--skip a_million_tasks --skip a_thousand_runtimes --skip memory_flat)

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/sanitized"
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="${RUSTFLAGS:-} -Zsanitizer=address" ASAN_OPTIONS=detect_leaks=1
tests=(cancel fallback faults handles incoming leases panics queues registered shutdown stop)
[ "${1:-}" = --quick ] || tests+=(detach direct fs launch_net lossless pipe programs streams task tcp time worlds)
exec cargo test --target "$target" --lib "${tests[@]/#/--test=}" -- "${on_purpose[@]}" "${measures[@]}"
