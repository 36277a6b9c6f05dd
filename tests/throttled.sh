#!/usr/bin/env bash
# Runs tests/throttled.rs on a disk that gives one MiB a second: a loop device and a control group, either version.
# As root, on Linux: tests/throttled.sh
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "skipped: the throttled disk: $1" >&2; exit 0; }
[ "$(uname)" = Linux ] || skip "this is not Linux"
[ "$(id -u)" = 0 ] || skip "losetup needs root"
command -v losetup >/dev/null || skip "there is no losetup"

# Built before anything is slow.
cargo test --test throttled --no-run

image=$(mktemp) device="" group=""
clean_up() {
    # Out of the group, so that it can be removed, and so that what is left in flight is not waited for.
    [ -z "$group" ] || { echo $$ > "$(dirname "$group")/cgroup.procs"; sleep 8; rmdir "$group" || true; }
    [ -z "$device" ] || losetup --detach "$device" || true
    rm -f "$image"
}
trap clean_up EXIT

head -c 16M /dev/urandom > "$image"
device=$(losetup --find --show "$image") || skip "no loop device can be had"
number=$(cat "/sys/block/$(basename "$device")/dev")

if [ -e /sys/fs/cgroup/blkio/blkio.throttle.read_bps_device ]; then
    mkdir "/sys/fs/cgroup/blkio/annulus-$$" || skip "no control group can be made"
    group=/sys/fs/cgroup/blkio/annulus-$$
    echo "$number 1048576" > "$group/blkio.throttle.read_bps_device" || skip "no limit can be set"
elif grep -qw io /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then
    echo +io > /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null || skip "the io controller cannot be had"
    mkdir "/sys/fs/cgroup/annulus-$$" || skip "no control group can be made"
    group=/sys/fs/cgroup/annulus-$$
    echo "$number rbps=1048576" > "$group/io.max" || skip "no limit can be set"
else
    skip "there is no control group that limits a disk"
fi

# One after the other: they share the device. A child, so that this shell stays out of the group.
(
    echo "$BASHPID" > "$group/cgroup.procs"
    ANNULUS_THROTTLED=$device exec cargo test --test throttled -- --test-threads=1 --nocapture
)
