#!/usr/bin/env bash
# Runs the tests over drivers that commit faults on purpose (src/driver/faults.rs), by a seed: tests/faulty.sh [seed...]
# Answers late and in any order, descriptors that are not ready after all, refused enters; then short transfers as well.
set -euo pipefail
cd "$(dirname "$0")/.."

export RUSTFLAGS="${RUSTFLAGS:-} --cfg annulus_faults"
# A build of its own, so that the usual one is not made anew.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/faulty"

# These state when an answer comes, which is what the faults change.
timely=(--skip cancelling_a_read_that_is_answered_gives_the_data
    --skip futures_held_outside_are_answered_after_the_end
    --skip a_time_out_gives_its_future_back
    # Who finds nothing in its turn is last in line again.
    --skip a_read_that_is_still_awaited_has_its_turn_first
    # A connection for which it was said that there is none yet is accepted otherwise.
    --skip connections_take_no_descriptor
    # These say what Linux does by itself.
    --skip conformance
    # And the simulated driver has faults of its own.
    --skip sim::)

for seed in "${@:-1}"; do
    printf '\nfaults: late, again, enter; seed %s\n' "$seed"
    ANNULUS_FAULTS="late=1,again,enter,seed=$seed" cargo test --lib --test cancel --test fork --test fs --test handles \
        --test queues --test shutdown --test task --test tcp --test time --test leases --test incoming --test direct \
        --test unix --test unix_datagram --test halves --test handover --test detach --test splice --test exchange --test connect --test views -- \
        "${timely[@]}"
    # Of those that say how much one transfer moves there is no use; these transfer wholes.
    printf '\nfaults: short as well; seed %s\n' "$seed"
    ANNULUS_FAULTS="short,late=1,again,enter,seed=$seed" cargo test --test cancel --test tcp --test fs --test queues \
        --test views -- "${timely[@]}" bulk ten_thousand transfers read_exact copying interleave whole echo large
    printf '\nerrors of disks; seed %s\n' "$seed"
    ANNULUS_SEED="$seed" cargo test --test fault_layer
done
