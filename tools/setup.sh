# Installing what psal needs and building it, for tools/quickstart and tests/run. Sourced, not run.
# The script that sources it sets $program, its name in messages; $root, the folder of the sources; $log, a file for
# output that is worth showing only after a failure; $install, 0 or 1.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables that only the other script uses or sets

# What building needs: how to see that it is there, and the Debian packages that bring it. Looking for the thing itself
# rather than for the package lets other distributions, and a meson or npm from elsewhere, pass.
build_needs=(
    command:cc='gcc libc6-dev' file:/usr/include/stdio.h=libc6-dev command:meson=meson command:ninja=ninja-build
    command:pkg-config=pkg-config library:openblas=libopenblas-openmp-dev library:libjpeg=libjpeg-dev
    library:libpng=libpng-dev library:libwebp=libwebp-dev library:zlib=zlib1g-dev library:jansson=libjansson-dev
    library:cairo=libcairo2-dev
)
test_needs=(
    library:check=check command:python3=python3 command:curl='curl ca-certificates'
    command:parallel=parallel command:mpirun=openmpi-bin command:clang-format=clang-format command:mandoc=mandoc
    command:shellcheck=shellcheck
    module:jsonschema=python3-jsonschema
    file:/usr/share/datasets/fashion-mnist=dataset-fashion-mnist 'command:g++=g++'
)
# The Debian packages; nobody wants them elsewhere than on Debian.
package_needs=(package:build-essential=build-essential command:dh=debhelper command:dh_python3=dh-python command:lintian=lintian)
parity_needs=(
    module:torch=python3-torch module:torchvision=python3-torchvision module:PIL=python3-pil module:numpy=python3-numpy
    module:scipy=python3-scipy
)
tsan_needs=(command:clang=clang command:llvm-symbolizer=llvm package:libomp-dev=libomp-dev)
# The libraries for aarch64 are not installed but unpacked, by tests/arm/sysroot.
arm_needs=(command:aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu command:qemu-aarch64=qemu-user)
fuzz_needs=("${tsan_needs[@]}" package:libclang-rt-dev=libclang-rt-dev)

started=$(date +%s.%N)

# A line with the seconds since the start.
stage() { awk -v a="$started" -v b="$(date +%s.%N)" -v text="$*" 'BEGIN { printf "[%6.1f s] %s\n", b - a, text; exit }'; }

fail() {
    printf '%s: %s\n' "$program" "$*" >&2
    return 1
}

# Runs a command with its output in $log, of which the end is shown if it fails.
logged() {
    if "$@" >"$log" 2>&1 </dev/null; then return 0; fi
    tail -n 25 "$log" | sed 's/^/    | /' >&2
    return 1
}

is_there() {
    local what=${1#*:}
    case $1 in
        command:*) command -v "$what" >/dev/null ;;
        file:*) [ -e "$what" ] ;;
        library:*) command -v pkg-config >/dev/null && pkg-config --exists "$what" ;;
        package:*) [ "$(dpkg-query -W -f '${db:Status-Status}' "$what" 2>/dev/null)" = installed ] ;;
        module:*) [ -x /usr/bin/python3 ] && /usr/bin/python3 -c '
import importlib.util, sys
sys.exit(importlib.util.find_spec(sys.argv[1]) is None)' "$what" ;;
    esac
}

# The packages for what is missing of the arguments, each "kind:name=packages".
missing_packages() {
    local need packages=()
    for need in "$@"; do
        # shellcheck disable=SC2206 # several packages in one word are meant to be split
        is_there "${need%%=*}" || packages+=(${need#*=})
    done
    printf '%s\n' "${packages[@]}" | awk 'NF && !seen[$0]++' | paste -s -d ' '
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Asks for sudo's password once, where there is somebody to type it; as_root then needs none.
become_root() {
    local wanted=$1
    [ "$(id -u)" != 0 ] || return 0
    command -v sudo >/dev/null || fail "no sudo to install packages with. Ask for: apt-get install $wanted" || return 1
    sudo -n true 2>/dev/null && return 0
    [ -t 0 ] || fail "sudo wants a password and there is no terminal. Ask for: apt-get install $wanted" || return 1
    sudo -v || fail "sudo refused. Ask for: apt-get install $wanted"
}

apt_get() {
    logged as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

# Installs what is missing of the arguments with apt, and says so; nothing happens when all is there.
install_missing() {
    local packages
    packages=$(missing_packages "$@")
    [ -n "$packages" ] || return 0
    if [ "$install" = 0 ]; then
        fail "missing: $packages (these are Debian's names; without --no-install they are installed)"
        return 1
    fi
    command -v apt-get >/dev/null ||
        fail "this is no Debian: there is no apt-get. Install what Debian calls: $packages" || return 1
    become_root "$packages" || return 1
    stage "installing with apt: $packages"
    apt_get update || fail "apt-get update failed (no network connection?)" || return 1
    # shellcheck disable=SC2086 # one argument a package
    apt_get install --no-install-recommends $packages ||
        fail "apt-get could not install: $packages (no network connection?)" || return 1
    packages=$(missing_packages "$@")
    [ -z "$packages" ] || fail "still missing after the installation: $packages"
}

# configure FOLDER OPTIONS...: a build folder; one that is there already is kept and brought up to the options.
configure() {
    local folder=$1
    shift
    if [ -f "$folder/build.ninja" ]; then
        [ $# = 0 ] || logged meson configure "$folder" "$@" || fail "meson cannot configure $folder"
    else
        logged meson setup "$folder" "$root" "$@" || fail "meson cannot configure $folder"
    fi
}

# What ninja prints of its steps, "[37/160] Compiling ...": on a terminal how many in a line that is rewritten, elsewhere
# a line at every tenth of the way.
show_steps() {
    local line at of tenth last=0 shown=0
    while IFS= read -r line; do
        [[ $line =~ ^\[([0-9]+)/([0-9]+)\] ]] || continue
        at=${BASH_REMATCH[1]} of=${BASH_REMATCH[2]}
        tenth=$((10 * at / of))
        if [ -t 1 ]; then
            printf '\r           %d of %d steps' "$at" "$of" && shown=1
        elif [ "$tenth" -gt "$last" ]; then
            printf '           %d of %d steps\n' "$at" "$of"
        fi
        last=$tenth
    done
    [ "$shown" = 0 ] || echo
}

# compile FOLDER TARGETS...: how far it is goes to standard output, what else is said to $log.
compile() {
    local folder=$1 status=0
    shift
    NINJA_STATUS='[%f/%t] ' ninja -C "$folder" "$@" 2>&1 </dev/null | tee "$log" | show_steps || status=${PIPESTATUS[0]}
    [ "$status" != 0 ] || return 0
    tail -n 25 "$log" | sed 's/^/    | /' >&2
    fail "building in $folder failed"
}
