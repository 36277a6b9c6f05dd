#!/usr/bin/env bash
# Devices that are asked instead of interrupting (Builder::iopoll): tests/polled.sh
# Few machines have one. So Debian's kernel is started in QEMU, by software, with an NVMe disk that has queues for it, and
# the test program runs there. Takes about a minute; what is missing is installed where that may be.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "skipped: devices that are asked: $*"; exit 0; }
[ "$(uname -sm)" = "Linux x86_64" ] || skip "not on $(uname -sm)"
. tests/support/kernel.sh
needs qemu-system-x86_64:qemu-system-x86 cpio:cpio busybox:busybox-static mkfs.ext4:e2fsprogs
kernel 6.1 || skip "its kernel cannot be had"

box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
program=$(cargo test --no-run --test polled --message-format=json 2>/dev/null |
    grep -o '"executable":"[^"]*/polled-[^"]*"' | cut -d'"' -f4 | tail -n 1)
root=$box/root
mkdir -p "$root"/{bin,dev,proc,sys,tmp,disk}
cp "$(command -v busybox)" "$root/bin/busybox"
copy_to "$root" "$program"
cat >"$root/init" <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp
mount -t ext4 /dev/nvme0n1 /disk
echo "kernel \$(uname -r), io_poll \$(cat /sys/block/nvme0n1/queue/io_poll)"
cd /tmp; export ANNULUS_POLLED=/disk RUST_BACKTRACE=0
$program --nocapture --test-threads 1
echo "exit status \$?"
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$box/root.gz"
truncate -s 64M "$box/disk"
mkfs.ext4 -q "$box/disk"

timeout 300 qemu-system-x86_64 -machine accel=tcg -cpu max -smp 2 -m 1024 -nographic -no-reboot -nic none \
    -drive "if=none,id=disk,format=raw,file=$box/disk" -device nvme,drive=disk,serial=1,max_ioqpairs=8 \
    -kernel target/kernel/vmlinuz-6.1 -initrd "$box/root.gz" -append "console=ttyS0 quiet panic=-1 loglevel=4 nvme.poll_queues=2" \
    2>/dev/null | tr -d '\r' | sed -n '/^.*kernel [0-9]/,$p' | tee "$box/log" || true
grep -q 'exit status 0' "$box/log"
