#!/usr/bin/env bash
# Runs the doctor in a container under docs/seccomp.json: what a container's runtime itself needs is permitted as well.
# As root, on Linux, with runc (or RUNTIME=crun): tests/container.sh
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "skipped: containers: $1" >&2; exit 0; }
runtime=${RUNTIME:-runc}
[ "$(uname)" = Linux ] || skip "this is not Linux"
[ "$(id -u)" = 0 ] || skip "this one needs root"
command -v "$runtime" >/dev/null || skip "there is no $runtime"

cargo build --example doctor
doctor=$(cargo build --example doctor --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*\/doctor\)".*/\1/p' | tail -1)
unset ANNULUS_DRIVER
"$doctor" 2>/dev/null | grep -q ': driver uring$' || skip "there is no ring here, in a container or not"
bundle=$(mktemp -d)
trap 'rm -rf "$bundle"' EXIT
mkdir -p "$bundle"/rootfs/{app,dev,proc,tmp,usr,lib,lib64}

# bundle_of USER NO_NEW_PRIVILEGES PROFILE: the container's description. Its programs and libraries are the host's, to be read only.
bundle_of() {
    local mounts="" path
    for path in /usr /lib /lib64; do
        [ -e "$path" ] && mounts+=",{\"destination\":\"$path\",\"type\":\"bind\",\"source\":\"$path\",\"options\":[\"rbind\",\"ro\"]}"
    done
    cat >"$bundle/config.json" <<END
{
  "ociVersion": "1.0.2",
  "root": {"path": "rootfs", "readonly": true},
  "process": {"args": ["/app/doctor"], "cwd": "/", "user": {"uid": $1, "gid": $1}, "noNewPrivileges": $2},
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
    {"destination": "/app", "type": "bind", "source": "$(dirname "$doctor")", "options": ["rbind", "ro"]}$mounts
  ],
  "linux": {
    "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}],
    "seccomp": $(cat "$3")
  }
}
END
}

failures=0
# says WHAT WORDS: the doctor ends well in that container, and says these words.
says() {
    if "$runtime" --root "$bundle/state" run --bundle "$bundle" "annulus-$$" >"$bundle/output" 2>&1 </dev/null &&
        grep -q "$2" "$bundle/output"; then
        echo "passed: $1"
    else
        echo "FAILED: $1"
        cat "$bundle/output"
        failures=$((failures + 1))
    fi
}

for user in 0 1000; do
    for no_new in true false; do
        bundle_of $user $no_new docs/seccomp.json
        says "user $user, noNewPrivileges $no_new" ': driver uring$'
    done
done
# And the profile is in force: without the ring's calls the other driver serves, and the remedy is told.
sed 's/"io_uring_[a-z]*"/"read"/g' docs/seccomp.json >"$bundle/without.json"
bundle_of 0 true "$bundle/without.json"
says "without the ring's calls" '!!  seccomp'

echo "$failures failures"
[ "$failures" = 0 ]
