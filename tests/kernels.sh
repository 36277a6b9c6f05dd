#!/usr/bin/env bash
# Runs the test programs under other Linux kernels, started in QEMU by software: right or wrong is what this shows, not how fast.
#   tests/kernels.sh                       all programs on 5.10, 6.1 and 6.12, one after the other (hours)
#   tests/kernels.sh --quick               those of the drivers' main promises, on the two that differ most (what CI does)
#   tests/kernels.sh 5.10 -- tcp files     these programs on this one; `lib` has the unit tests
# What is missing is installed where that may be. The programs are copied to a disk at the same paths, with the examples that they
# start. Nothing of a simulated world runs there: it is the same on every kernel.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "skipped: other kernels: $*"; exit 0; }
. tests/support/kernel.sh

# Of a kernel, in seconds.
limit=14400
serieses=() names=()
while [ $# -gt 0 ]; do
    case $1 in
        --quick) names=(tcp files udp direct fallback embed) serieses=(5.10 6.1) limit=900 ;;
        --) shift; names=("$@"); break ;;
        *) serieses+=("$1") ;;
    esac
    shift
done
[ ${#serieses[@]} -gt 0 ] || serieses=(5.10 6.1 6.12)

[ "$(uname -sm)" = "Linux x86_64" ] || skip "not on $(uname -sm)"
needs qemu-system-x86_64:qemu-system-x86 busybox:busybox-static mke2fs:e2fsprogs

box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT

# "tcp /.../deps/tcp-0123": name and program of each.
built() {
    cargo test --no-run --message-format=json "$@" 2>"$box/build" || { cat "$box/build" >&2; return 1; }
}
# Left out where nothing is named: what is of the sources, of simulated worlds alone, or counted by valgrind.
others='^(tidy|programs|worlds|serve_sim|budgets) '
[ ${#names[@]} = 0 ] || others='^$'
wanted=()
for name in "${names[@]}"; do
    case $name in lib) wanted+=(--lib) ;; *) wanted+=("--test=$name") ;; esac
done
built "${wanted[@]}" |
    grep -o '"executable":"[^"]*/deps/[^"]*"' | cut -d'"' -f4 | sort -u |
    sed 's/.*\/\(.*\)-[0-9a-f]*$/\1 &/' | grep -vE "$others" >"$box/programs"
cargo build --quiet --examples

# The disk: a system of busybox and what tests call by name, and all of this at the paths where it is here.
root=$box/root
mkdir -p "$root$PWD/target/tmp" "$root"/{bin,dev,etc,proc,root,run,sys,tmp,usr/bin}
cp "$(command -v busybox)" "$root/bin/busybox"
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'hosts: files\npasswd: files\n' >"$root/etc/nsswitch.conf"
for library in libnss_files.so.2 libnss_dns.so.2; do
    library=$(ldconfig -p | sed -n "s/.*$library.* => \(.*x86_64.*\)/\1/p" | head -n 1)
    [ -z "$library" ] || copy_to "$root" "$library"
done
while read -r name program; do copy_to "$root" "$program"; done <"$box/programs"
for example in target/debug/examples/*; do
    case ${example##*/} in *-* | *.*) ;; *) [ ! -f "$example" ] || copy_to "$root" "$PWD/$example" ;; esac
done
mkdir -p "$root$PWD"
cp -r Cargo.toml Cargo.lock README.md ARCHITECTURE.md docs src tests examples "$root$PWD/"
# The examples are built: whoever asks for it there is told so.
cargo=$(cargo --version --verbose >/dev/null && rustup which cargo 2>/dev/null || command -v cargo)
mkdir -p "$root$(dirname "$cargo")"
printf '#!/bin/sh\nexit 0\n' >"$root$cargo"
chmod +x "$root$cargo"
cp "$box/programs" "$root/programs"
cat >"$root/init" <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/shm /dev/pts; mount -t tmpfs shm /dev/shm; mount -t devpts pts /dev/pts
mount -t tmpfs run /run
ip link set lo up
ulimit -n 4096; export HOME=/root PATH=/bin:/usr/bin RUST_BACKTRACE=0 TMPDIR=/tmp ANNULUS_TEST_LIMIT=600
echo "kernel \$(uname -r)"
cd "$PWD"
target/debug/examples/doctor 2>&1
while read -r name program; do
    begun=\$(cut -d. -f1 /proc/uptime)
    timeout 1500 \$program --skip sim:: --test-threads 2 >/run/output 2>&1 </dev/null
    status=\$?
    counts=\$(sed -n 's/^test result: .*\. \([0-9]* passed; [0-9]* failed\).*/\1/p' /run/output | tail -n 1)
    again=
    if [ \$status != 0 ]; then
        # An emulated machine stands still by spells, and what is about time then fails. What fails alone as well is a failure.
        again=\$(sed -n '/^failures:\$/,/^test result/s/^    \([a-z0-9_:]*\)\$/\1/p' /run/output | sort -u)
        if [ -n "\$again" ]; then
            cp /run/output /run/first
            timeout 600 \$program --exact \$again --test-threads 1 >/run/output 2>&1 </dev/null
            status=\$?
            [ \$status = 0 ] || { echo "-- at first:"; grep -a -v '\.\.\. ok\$' /run/first | tail -n 100; echo "-- alone:"; }
        fi
    fi
    took=\$((\$(cut -d. -f1 /proc/uptime) - begun))
    grep -a '^skipped' /run/output | sort -u
    if [ \$status = 0 ]; then
        echo "passed: \$name: \$counts, \$took s\${again:+; only the second time, alone: \$(echo \$again)}"
    else
        echo "FAILED: \$name: \$counts, status \$status, \$took s"
        grep -a -v '\.\.\. ok\$' /run/output | tail -n 400
    fi
done </programs
dmesg | grep -E 'BUG|WARNING|general protection|io_uring' | sed 's/^/the kernel says: /'
echo "the end"
poweroff -f
INIT
chmod +x "$root/init"
size=$(($(du -sm "$root" | cut -f1) + 1024))
truncate -s "${size}M" "$box/disk"
mke2fs -q -t ext4 -d "$root" "$box/disk"
rm -rf "$root"

status=0
for series in "${serieses[@]}"; do
    kernel "$series" || { echo "skipped: Linux $series: its kernel cannot be had"; continue; }
    log=target/kernel/$series.log
    # What one kernel writes is gone for the next.
    timeout "$limit" qemu-system-x86_64 -machine accel=tcg -cpu max -smp 2 -m 2048 -nographic -no-reboot -nic none \
        -snapshot -drive "if=none,id=disk,format=raw,file=$box/disk" -device nvme,drive=disk,serial=1 \
        -kernel "target/kernel/vmlinuz-$series" -append "console=ttyS0 quiet panic=-1 loglevel=4 root=/dev/nvme0n1 rw init=/init" \
        </dev/null 2>"$box/qemu" | sed -un 's/\r//g; s/^.*kernel \([0-9]\)/kernel \1/; /^kernel [0-9]/,$p' | tee "$log" || true
    if ! grep -q '^the end' "$log"; then
        echo "FAILED: Linux $series did not come to its end: $(tail -n 1 "$box/qemu")"
        status=1
    fi
    if grep -qE '^FAILED|^the kernel says' "$log"; then status=1; fi
done
exit "$status"
