# For scripts that start another kernel in QEMU: what they need for it, and the kernels, Debian's for clouds. Read by `.`.
# skip() is the script's own: it says why, and ends well.

# needs TOOL:PACKAGE...: installs what is missing, where that may be.
needs() {
    local tool updated=
    for tool in "$@"; do
        command -v "${tool%%:*}" >/dev/null && continue
        command -v apt-get >/dev/null || skip "there is no ${tool%%:*}, and no apt-get to install it"
        [ -n "$updated" ] || apt-get update -qq >/dev/null 2>&1 || skip "there are no packages"
        updated=yes
        apt-get install -y -qq --no-install-recommends "${tool#*:}" >/dev/null 2>&1 || skip "there is no ${tool#*:}"
    done
}

# kernel SERIES: has target/kernel/vmlinuz-SERIES, of 5.10, 6.1 or 6.12; false if it cannot be had.
kernel() {
    local series=$1 image=target/kernel/vmlinuz-$1 box name apt=()
    [ -f "$image" ] && return
    command -v apt-get >/dev/null || return
    box=$(mktemp -d)
    if [ "$series" = 5.10 ]; then
        # Debian 11's: older than what most systems that run this have in their lists.
        name=$(grep -rhoE 'https?://[^ ]+/debian/?$' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1)
        name=${name:-$(sed -n 's/^URIs: *\(.*debian\)\/*$/\1/p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)}
        [ -n "$name" ] || { rm -rf "$box"; return 1; }
        mkdir -p "$box/lists/partial" "$box/cache/archives/partial"
        echo "deb [trusted=yes] $name bullseye main" >"$box/sources"
        apt=(-o Dir::Etc::SourceList="$box/sources" -o Dir::Etc::SourceParts=/dev/null
            -o Dir::State::Lists="$box/lists" -o Dir::Cache="$box/cache")
    fi
    apt-get "${apt[@]}" update -qq >/dev/null 2>&1 || true
    name=$(apt-cache "${apt[@]}" search "^linux-image-${series//./\\.}\\.[0-9a-z.+-]*cloud-amd64\$" | cut -d' ' -f1 | sort -V | tail -n 1)
    if [ -n "$name" ] && (cd "$box" && apt-get "${apt[@]}" download "$name" && dpkg -x linux-image-*.deb x) >/dev/null 2>&1; then
        mkdir -p target/kernel
        cp "$box"/x/boot/vmlinuz-* "$image"
    fi
    rm -rf "$box"
    [ -f "$image" ]
}

# Copies programs and files to the same places below $1, with the libraries that they need.
copy_to() {
    local root=$1 file
    shift
    for file in "$@" $(ldd "$@" 2>/dev/null | grep -oE '/[^ :]+' | sort -u); do
        [ -e "$root$file" ] && continue
        mkdir -p "$root$(dirname "$file")"
        cp -L "$file" "$root$file"
    done
}
