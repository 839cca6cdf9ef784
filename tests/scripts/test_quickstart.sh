#!/usr/bin/env bash
# tools/quickstart and tools/setup.sh with made-up apt, sudo, meson, ninja and npm: what they run, and what they say when
# something cannot be done.
#   tests/scripts/test_quickstart.sh [SOURCE_ROOT]
# shellcheck disable=SC2016 # dollars in single quotes are those of the programs made up here
set -uo pipefail

root=$(cd "${1:-$(dirname "$0")/../..}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

passed=0 failed=0
check() { # check "what" command...: the command must succeed
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED %s: %s\n' "$case" "$what"
        tail -n 15 "$work/out" | sed 's/^/    | /'
    fi
}
says() { grep -qF -- "$1" "$work/out"; }
ran() { grep -qxF -- "$1" "$work/ran"; }

# ---- a machine: nothing in the PATH but the basics and what is made up here ----

project=$work/project
bin=$work/bin
export WORK=$work
mkdir -p "$project/tools" "$project/weights" "$bin" "$work/deb/usr/lib/python3/dist-packages/skimage/data"
cp "$root/tools/quickstart" "$root/tools/setup.sh" "$project/tools/"
for command in bash sh awk sed grep cat cp mv rm mkdir mktemp date tail sort find touch dirname basename paste tr env sleep \
    ln chmod ls python3 tee seq; do
    ln -s "$(command -v $command)" "$bin/$command"
done
printf 'a rocket' >"$work/deb/usr/lib/python3/dist-packages/skimage/data/rocket.jpg"

fake() { # fake NAME: a program of this name, its text on standard input; it notes that it ran
    { printf '#!/bin/bash\necho "%s $*" >>"$WORK/ran"\n' "$1" && cat; } >"$bin/$1"
    chmod +x "$bin/$1"
}

whole_machine() {
    rm -rf "$project/build" "${work:?}/home" "${work:?}/figures"
    mkdir -p "$work/home"
    : >"$work/ran"
    rm -f "$bin"/{sudo,apt-get,apt-cache,dpkg-deb,npm,frob}
    fake id <<<'echo "${FAKE_ID:-0}"'
    fake cc </dev/null
    fake pkg-config <<<'[ "$2" != "${FAKE_MISSING:-}" ] || [ -e "$WORK/home/installed" ]'
    fake meson <<<'[ "$1" = setup ] && mkdir -p "$2" && touch "$2/build.ninja"; [ -z "${FAKE_MESON:-}" ] || { echo "meson: bad"; exit 1; }'
    fake ninja <<'EOF'
if [ "$3" = -t ]; then
    printf 'tests/unit/test_a: c_LINKER\ntools/psal-run: c_LINKER\ntools/psal-run.p/a.o: c\ntools/psal-stats: c_LINKER\nall: phony\n'
    exit
fi
[ -z "${FAKE_NINJA:-}" ] || { echo "x.c:1: error: bad"; exit 1; }
for step in $(seq 1 40); do echo "[$step/40] Compiling C object x$step.c.o"; done
mkdir -p "$2/tools" && cp "$WORK/psal-run" "$2/tools/psal-run"
EOF
    fake apt-get <<'EOF'
[ -z "${FAKE_OFFLINE:-}" ] || { echo "E: Unable to fetch"; exit 100; }
case " $* " in
    *" install "*) [ -n "${FAKE_EMPTY:-}" ] || touch "$WORK/home/installed" ;;
    *" download "*) touch python3-skimage_1_all.deb ;;
esac
EOF
    fake apt-cache <<<'if [ -n "${FAKE_NO_LISTS:-}" ]; then echo "  Candidate: (none)"; else echo "  Candidate: 0.19.3-8"; fi'
    fake dpkg-deb <<<'cp -r "$WORK/deb" "$3"'
    fake npm </dev/null
}
cat >"$work/psal-run" <<'EOF'
#!/bin/bash
echo "psal-run $*" >>"$WORK/ran"
[ -z "${FAKE_RUN:-}" ] || { echo "psal-run: bad" >&2; exit 3; }
while [ $# -gt 0 ]; do [ "$1" = --out ] && out=$2; shift; done
mkdir -p "$out" && echo profile >"$out/profile.png" && echo heat >"$out/heat.png"
EOF
cat >"$project/weights/fetch" <<'EOF'
#!/bin/bash
echo "fetch $*" >>"$WORK/ran"
[ -z "${FAKE_FETCH:-}" ] || { echo "weights/fetch: $1: no network" >&2; exit 1; }
mkdir -p "$HOME/.cache/psal" && echo net >"$HOME/.cache/psal/resnet50-keras.safetensors"
echo "$HOME/.cache/psal/resnet50-keras.safetensors"
EOF
chmod +x "$work/psal-run" "$project/weights/fetch"
[ -e /usr/include/stdio.h ] || sed -i 's|file:/usr/include/stdio.h=libc6-dev||' "$project/tools/setup.sh"

run() { # run STATUS ARGS...
    local expected=$1 status=0
    shift
    (cd "$work" && HOME=$work/home PATH=$bin "$project/tools/quickstart" "$@") </dev/null >"$work/out" 2>&1 || status=$?
    check "status is $status" [ "$status" = "$expected" ]
    check "litter: $(find "$work/home" -name '*.part')" [ -z "$(find "$work/home" -name '*.part')" ]
}

# ---- success ----

case="in the box"
whole_machine
run 0
check "does not explain" ran "psal-run --out $work/figures"
check "does not build the programs alone" ran "ninja -C $project/build tools/psal-run tools/psal-stats"
check "does not show how far the build is" [ "$(grep -c 'of 40 steps$' "$work/out")" = 10 ]
check "shows what is compiled" sh -c "! grep -q Compiling '$work/out'"
check "installs" sh -c "! grep -q apt-get '$work/ran'"
check "fetches" sh -c "! grep -q fetch '$work/ran'"
check "does not end with the pictures" [ "$(tail -n 2 "$work/out")" = "    $work/figures/heat.png
    $work/figures/profile.png" ]

case="again"
: >"$work/ran"
run 0 --out="$work/figures"
check "configures again" sh -c "! grep -q 'meson setup' '$work/ran'"

case="--imagenet"
whole_machine
run 0 --imagenet --out else/where
cache=$work/home/.cache/psal
check "does not explain" ran "psal-run --out $work/else/where --weights $cache/resnet50-keras.safetensors --image-path $cache/rocket.jpg --image-target-label 657"
check "not the photo" [ "$(cat "$cache/rocket.jpg")" = "a rocket" ]
check "installs" sh -c "! grep -q install '$work/ran'"
: >"$work/ran"
FAKE_OFFLINE=1 run 0 --imagenet
check "asks apt again" sh -c "! grep -q apt '$work/ran'"

case="apt without lists"
whole_machine
FAKE_NO_LISTS=1 run 0 --imagenet
check "no update" grep -q 'apt-get .*update' "$work/ran"

case="a missing library"
whole_machine
FAKE_MISSING=cairo run 0
check "does not say so" says "installing with apt: libcairo2-dev"
check "does not install it" grep -q 'apt-get .*install --no-install-recommends libcairo2-dev$' "$work/ran"

case="a missing library, not root"
whole_machine
fake sudo <<<'shift; "$@"'
FAKE_ID=1000 FAKE_MISSING=cairo run 0
check "no sudo" grep -q '^sudo -n env DEBIAN_FRONTEND=noninteractive apt-get .*install' "$work/ran"

case="no npm"
whole_machine
rm "$bin/npm"
run 1 --imagenet
check "does not install it" grep -q 'apt-get .*install --no-install-recommends npm$' "$work/ran"
check "does not see that it is still missing" says "still missing after the installation: npm"

# ---- failure ----

fails() { # fails CASE MESSAGE [VARIABLE=VALUE] ARGS...: the message is all that goes wrong
    case=$1
    local message=$2
    shift 2
    : >"$work/ran"
    while [[ ${1:-} == *=* ]]; do export "${1?}" && variables+=("${1%%=*}") && shift; done
    run 1 "$@"
    unset "${variables[@]}"
    check "does not say '$message'" says "$message"
    check "talks of pictures" sh -c "! grep -q 'look at' '$work/out'"
}
variables=(NONE)
whole_machine
fails "missing, --no-install" "missing: libpng-dev (" FAKE_MISSING=libpng --no-install
check "installs" sh -c "! grep -q apt-get '$work/ran'"
fails "apt offline" "apt-get update failed (no network connection?)" FAKE_MISSING=libpng FAKE_OFFLINE=1
check "does not show what apt says" says "E: Unable to fetch"
fails "apt installs nothing" "still missing after the installation: libpng-dev" FAKE_MISSING=libpng FAKE_EMPTY=1
fails "no sudo" "no sudo to install packages with. Ask for: apt-get install libpng-dev" FAKE_MISSING=libpng FAKE_ID=1000
fake sudo <<<'exit 1'
fails "sudo with a password" "sudo wants a password and there is no terminal" FAKE_MISSING=libpng FAKE_ID=1000
rm "$bin/apt-get"
fails "not Debian" "this is no Debian: there is no apt-get. Install what Debian calls: libpng-dev" FAKE_MISSING=libpng
fails "not Debian, no photo" "there is no apt-get here; explain a photo of yours" --imagenet
whole_machine
fails "meson fails" "meson cannot configure $project/build" FAKE_MESON=1
check "does not show what meson says" says "meson: bad"
whole_machine
fails "the build fails" "building in $project/build failed" FAKE_NINJA=1
check "does not show the compiler's message" says "x.c:1: error: bad"
fails "psal-run fails" "psal-run failed with status 3" FAKE_RUN=1
fails "no weights" "weights/fetch: resnet50-keras: no network" FAKE_FETCH=1 --imagenet
fails "no photo" "cannot download Debian's package python3-skimage (no network connection?)" FAKE_OFFLINE=1 --imagenet
fails "no lists, --no-install" "apt does not know python3-skimage" FAKE_NO_LISTS=1 --imagenet --no-install
rm "$work/deb/usr/lib/python3/dist-packages/skimage/data/rocket.jpg"
fails "no rocket" "has no /usr/lib/python3/dist-packages/skimage/data/rocket.jpg" --imagenet
fails "unknown argument" "unknown argument '--what'" --what
fails "--out without a folder" "--out needs a folder" --out
fails "--out with an empty name" "--out needs a folder" --out ""

case="--help"
run 0 --help
check "no usage" says "Usage: tools/quickstart"

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
