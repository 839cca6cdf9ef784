#!/usr/bin/env bash
# weights/fetch against a server on the loopback and a made-up npm: what it fetches, and every way in which that fails.
# After each failure: a one-line message, a status other than 0, and a cache without a trace of it.
#   tests/fetch/test_fetch.sh [SOURCE_ROOT]
# shellcheck disable=SC2016 # dollars in single quotes are awk's
set -uo pipefail

root=$(cd "${1:-$(dirname "$0")/../..}" && pwd)
fetch=$root/weights/fetch
unset XDG_CACHE_HOME PSAL_FETCH_BASE PSAL_CONVERT
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1

work=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT

passed=0 failed=0
ok() { passed=$((passed + 1)); }
bad() {
    failed=$((failed + 1))
    printf 'FAILED %s: %s\n' "$case" "$1"
    sed 's/^/    | /' "$work/err" 2>/dev/null | head -n 12
}
check() { # check "what" command...: the command must succeed
    local what=$1
    shift
    if "$@"; then ok; else bad "$what"; fi
}

# ---- what is served ----

mkdir -p "$work/www/models" "$work/www/stats" "$work/home" "$work/bin"
head -c 300000 /dev/urandom >"$work/www/models/body"
digits=$(sha256sum "$work/www/models/body" | cut -c 1-8)
net=net-$digits.pth
mv "$work/www/models/body" "$work/www/models/$net"
head -c 5000 /dev/urandom >"$work/www/stats/stats.pth"
full_hash() { sha256sum "$1" | cut -d ' ' -f 1; }

row() { local IFS=$'\t' && printf '%s\n' "$*"; }
table() { # table INTEGRITY_OF_WEIGHTS
    row net weights url "http://nowhere.invalid/models/$net" "$1" 300000 net.pth - BSD "a network"
    row net statistics url http://nowhere.invalid/stats/stats.pth "sha256:$(full_hash "$work/www/stats/stats.pth")" \
        5000 net.stats.pth - MIT "its statistics"
    row gone weights url http://nowhere.invalid/models/gone.pth "sha256:$digits" 300000 gone.pth - BSD "not there"
    row liar weights url http://nowhere.invalid/models/net-00000000.pth "sha256:$digits" 300000 liar.pth - BSD "no match"
    row huge weights url "http://nowhere.invalid/models/$net" "sha256:$digits" 9000000000000000 huge.pth - BSD "no room"
    row keras weights npm "tiny_net@1.0.0#package/Net/model.json" "$integrity" 1000 keras.safetensors "--extra 1" ISC "npm"
    row evil weights npm "evil_net@1.0.0#package/Net/model.json" "$evil" 1000 evil.safetensors - ISC "npm"
}

# ---- a made-up npm and psal-convert ----

mkdir -p "$work/pkg/package/Net"
printf '{"weightsManifest": []}' >"$work/pkg/package/Net/model.json"
head -c 800 /dev/urandom >"$work/pkg/package/Net/shard1.bin"
tar -C "$work/pkg" -czf "$work/tiny_net-1.0.0.tgz" package
ln -s /etc/passwd "$work/pkg/package/Net/link"
tar -C "$work/pkg" -czf "$work/evil_net-1.0.0.tgz" package
sri() { printf 'sha512-%s' "$(python3 -c '
import base64, hashlib, sys
print(base64.b64encode(hashlib.sha512(open(sys.argv[1], "rb").read()).digest()).decode())' "$1")"; }
integrity=$(sri "$work/tiny_net-1.0.0.tgz") evil=$(sri "$work/evil_net-1.0.0.tgz")

cat >"$work/bin/npm" <<'EOF'
#!/usr/bin/env bash
# npm pack NAME@VERSION ...: FAKE_NPM says how it behaves.
file=${2/@/-}.tgz
echo "$*" >>"$FAKE_DIR/npm.log"
case ${FAKE_NPM:-good} in
    good) cp "$FAKE_DIR/$file" . ;;
    altered) cp "$FAKE_DIR/$file" . && printf x | dd of="$file" bs=1 seek=40 conv=notrunc 2>/dev/null ;;
    truncated) head -c 100 "$FAKE_DIR/$file" >"$file" ;;
    offline) echo 'npm ERR! code ENOTFOUND' >&2 && echo 'npm ERR! errno ENOTFOUND' >&2 && exit 1 ;;
    unknown) echo 'npm error code E404' >&2 && exit 1 ;;
    nothing) ;;
    slow) exec sleep 600 ;;
esac
EOF
cat >"$work/bin/psal-convert" <<'EOF'
#!/usr/bin/env bash
# psal-convert model.json OUT --extra 1
echo "$*" >>"$FAKE_DIR/convert.log"
case ${FAKE_CONVERT:-good} in
    good) { echo converted; cat "$1" "$(dirname "$1")"/shard*; } >"$2" ;;
    fails) echo "psal-convert: $1: no weights in it" >&2 && echo half >"$2" && exit 1 ;;
    nothing) ;;
    slow) echo half >"$2" && exec sleep 600 ;;
esac
EOF
chmod +x "$work/bin/npm" "$work/bin/psal-convert"
export FAKE_DIR=$work

export PSAL_FETCH_SOURCES=$work/sources.tsv
table "sha256:$(full_hash "$work/www/models/$net")" >"$PSAL_FETCH_SOURCES"

python3 "$(dirname "$0")/server.py" "$work/www" "$work/port" "$work/log" &
server=$!
for _ in $(seq 600); do
    [ -s "$work/port" ] && break
    sleep 0.1
done
[ -s "$work/port" ] || { echo "the test server does not start" && exit 1; }
url=http://127.0.0.1:$(cat "$work/port")

# ---- running it ----

cache=$work/home/.cache/psal
fresh() { # starts a case
    case=$1
    rm -rf "${work:?}/home" && mkdir "$work/home"
    : >"$work/log"
    : >"$work/npm.log"
    : >"$work/convert.log"
}
run_fetch() { # run_fetch BASE ARGS...
    local base=$1
    shift
    HOME=$work/home PATH=$work/bin:$PATH PSAL_FETCH_BASE=$base timeout 500 "$fetch" "$@" >"$work/out" 2>"$work/err"
    status=$?
}
empty_cache() { [ -z "$(find "$work/home" -type f -o -name '.fetch*')" ]; }
no_litter() { [ -z "$(find "$work/home" -name '.fetch*')" ]; }
same() { cmp -s "$1" "$2"; }
says() { grep -q -- "$1" "$work/err"; }
succeeded() { [ "$status" = 0 ]; }
requests() { [ "$(wc -l <"$work/log")" = "$1" ]; }

expect_success() {
    check "status $status" succeeded
    check "weights are not the served ones" same "$cache/net.pth" "$work/www/models/$net"
    check "statistics are not the served ones" same "$cache/net.stats.pth" "$work/www/stats/stats.pth"
    check "litter: $(find "$work/home" -name '.fetch*')" no_litter
}
one_line() { [ "$(wc -l <"$work/err")" = 1 ]; }
expect_failure() { # expect_failure MESSAGE: with --quiet the message is all there is
    check "succeeds" [ "$status" != 0 ]
    check "hangs" [ "$status" != 124 ]
    check "message is not '$1'" says "$1"
    check "message is not one line" one_line
    check "prints a path" [ ! -s "$work/out" ]
    check "leaves $(find "$work/home" -type f | head -n 1)" empty_cache
}

# ---- success ----

fresh "success"
run_fetch "$url/plain" net
expect_success
check "paths" [ "$(cat "$work/out")" = "$cache/net.pth"$'\n'"$cache/net.stats.pth" ]
check "says what it gets" says 'getting the weights, 0.29 MiB'
run_fetch http://127.0.0.1:1 net
case="cached, without a connection"
expect_success
check "asks again" requests 2
check "paths" [ "$(cat "$work/out")" = "$cache/net.pth"$'\n'"$cache/net.stats.pth" ]

case="forced"
run_fetch "$url/plain" net --force --quiet
expect_success
check "does not ask again" requests 4
check "is not quiet" [ ! -s "$work/err" ]

case="changed in the cache"
printf x | dd of="$cache/net.pth" bs=1 seek=100 conv=notrunc 2>/dev/null
run_fetch "$url/plain" net
expect_success
check "does not fetch the changed file alone" requests 5

case="--base-url"
rm "$cache/net.pth"
run_fetch http://127.0.0.1:1 --base-url "$url/plain" net
expect_success

case="XDG_CACHE_HOME"
rm -rf "$cache"
XDG_CACHE_HOME=$work/home/elsewhere run_fetch "$url/plain" net
check "status $status" succeeded
check "not where it should be" same "$work/home/elsewhere/psal/net.pth" "$work/www/models/$net"
XDG_CACHE_HOME=relative run_fetch "$url/plain" net
expect_success

case="prefix of eight digits"
fresh "$case"
table "sha256:$digits" >"$PSAL_FETCH_SOURCES"
run_fetch "$url/plain" net
expect_success
table "sha256:$(full_hash "$work/www/models/$net")" >"$PSAL_FETCH_SOURCES"

fresh "connection cut, server continues"
run_fetch "$url/cut" net
expect_success
check "did not continue" grep -q 'bytes=150000-' "$work/log"
check "does not say so" says 'broke off'

fresh "connection cut, server starts over"
run_fetch "$url/norange" net
expect_success

fresh "old litter"
mkdir -p "$cache/.fetch.old" "$cache/.fetch.now" && touch -d '2 days ago' "$cache/.fetch.old"
run_fetch "$url/plain" net
check "old litter stays" [ ! -e "$cache/.fetch.old" ]
check "another run's folder is gone" [ -d "$cache/.fetch.now" ]

# ---- failure ----

fresh "nobody listens"
run_fetch http://127.0.0.1:1 net --quiet
expect_failure 'cannot reach the server of http://127.0.0.1:1/models/net-'

fresh "unknown host"
run_fetch http://nowhere.invalid net --quiet
expect_failure 'cannot reach the server'

fresh "404"
run_fetch "$url/plain" gone --quiet
expect_failure 'the server answers 404 for http'

fresh "503"
run_fetch "$url/error" net --quiet
expect_failure 'the server answers 503 for http'

fresh "always cut"
run_fetch "$url/always" net --quiet
expect_failure 'broke off 3 times'

fresh "altered"
run_fetch "$url/altered" net --quiet
expect_failure 'is not the file it should be: its checksum is'

fresh "altered, eight digits known"
table "sha256:$digits" >"$PSAL_FETCH_SOURCES"
run_fetch "$url/altered" net --quiet
expect_failure 'is not the file it should be: its checksum is'
table "sha256:$(full_hash "$work/www/models/$net")" >"$PSAL_FETCH_SOURCES"

fresh "one byte short"
run_fetch "$url/short" net --quiet
expect_failure 'has 299999 bytes, expected 300000'

fresh "too long"
run_fetch "$url/long" net --quiet
expect_failure 'larger than the 300000 bytes expected'

fresh "name and checksum disagree"
run_fetch "$url/plain" liar --quiet
expect_failure 'do not belong together'

fresh "no room"
run_fetch "$url/plain" huge --quiet
expect_failure 'free, .* are needed'

fresh "file size limit"
(ulimit -f 100 && run_fetch "$url/plain" net --quiet && exit "$status")
status=$?
expect_failure 'file size limit'

fresh "cache is a file"
mkdir "$work/home/.cache" && : >"$work/elsewhere" && ln -s "$work/elsewhere" "$cache"
run_fetch "$url/plain" net --quiet
expect_failure "cannot make the folder $cache"

if [ "$(id -u)" != 0 ]; then
    fresh "cache is not writable"
    mkdir -p "$cache" && chmod 500 "$cache"
    run_fetch "$url/plain" net --quiet
    chmod 700 "$cache"
    expect_failure "cannot write to $cache"
fi

fresh "a folder in the way"
mkdir -p "$cache/net.pth"
run_fetch "$url/plain" net --quiet
expect_failure "cannot write $cache/net.pth"

fresh "no home"
env -u HOME PATH="$PATH" "$fetch" net --quiet >"$work/out" 2>"$work/err"
status=$?
expect_failure 'neither XDG_CACHE_HOME nor HOME'

for what in "nobody" ""; do
    fresh "unknown name '$what'"
    run_fetch "$url/plain" "$what" --quiet
    expect_failure 'unknown name'
done

fresh "unknown option"
run_fetch "$url/plain" net --what
expect_failure "unknown option '--what'"

fresh "no name"
run_fetch "$url/plain"
check "succeeds" [ "$status" != 0 ]
check "no usage" says '^Usage'

# The second file fails: the first, which is whole, stays.
fresh "statistics missing"
mv "$work/www/stats/stats.pth" "$work/stats.away"
run_fetch "$url/plain" net --quiet
check "succeeds" [ "$status" != 0 ]
check "message" says 'answers 404'
check "weights are gone" same "$cache/net.pth" "$work/www/models/$net"
check "litter" no_litter
mv "$work/stats.away" "$work/www/stats/stats.pth"

# ---- signals ----

interrupt() { # interrupt SIGNAL BASE ARGS...: starts it, waits until WAIT_FOR succeeds, sends the signal
    local signal=$1 base=$2 pid converter=${PSAL_CONVERT:-$work/bin/psal-convert}
    shift 2
    # A shell without job control starts what it puts into the background with SIGINT ignored: hence python3.
    HOME=$work/home PATH=$work/bin:$PATH PSAL_CONVERT=$converter PSAL_FETCH_BASE=$base python3 -c '
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$fetch" "$@" >"$work/out" 2>"$work/err" &
    pid=$!
    for _ in $(seq 600); do
        "$wait_for" && break
        sleep 0.1
    done
    kill -"$signal" "$pid"
    for _ in $(seq 300); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    if kill -0 "$pid" 2>/dev/null; then bad "does not end within 30 seconds" && kill -KILL "$pid"; else ok; fi
    wait "$pid"
    status=$?
}
half_there() { [ -n "$(find "$cache" -name net.pth -size +0 2>/dev/null)" ]; }
npm_runs() { [ -s "$work/npm.log" ]; }
converter_runs() { [ -s "$work/convert.log" ]; }
children_gone() { # within ten seconds
    for _ in $(seq 100); do
        pgrep -f "$work/home" >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    return 1
}

for signal in INT TERM HUP; do
    wait_for=half_there
    fresh "SIG$signal while downloading"
    interrupt "$signal" "$url/slow" net --quiet
    check "status is $status" [ "$status" -ge 129 ]
    check "leaves something" empty_cache
    check "curl lives on" children_gone
done
wait_for=npm_runs
fresh "SIGINT while npm runs"
FAKE_NPM=slow interrupt INT "" keras --quiet
check "status is $status" [ "$status" = 130 ]
check "leaves something" empty_cache
wait_for=converter_runs
fresh "SIGTERM while converting"
FAKE_CONVERT=slow interrupt TERM "" keras --quiet
check "status is $status" [ "$status" = 143 ]
check "leaves something" empty_cache

# ---- npm ----

export PSAL_CONVERT=$work/bin/psal-convert
fresh "npm"
run_fetch "" keras
check "status $status" succeeded
check "path" [ "$(cat "$work/out")" = "$cache/keras.safetensors" ]
{ echo converted && cat "$work/pkg/package/Net/model.json" "$work/pkg/package/Net/shard1.bin"; } >"$work/expected"
check "not the converted file" same "$cache/keras.safetensors" "$work/expected"
check "no options" grep -q -- '--extra 1$' "$work/convert.log"
check "litter" no_litter
check "checksum beside it" sh -c "cd '$cache' && sha256sum -c --quiet keras.safetensors.sha256"

case="npm, cached"
FAKE_NPM=offline run_fetch "" keras
check "status $status" succeeded
check "runs npm again" [ "$(wc -l <"$work/npm.log")" = 1 ]

case="npm, changed in the cache"
echo more >>"$cache/keras.safetensors"
run_fetch "" keras
check "status $status" succeeded
check "not fetched again" same "$cache/keras.safetensors" "$work/expected"

case="npm, another package in the table"
sed -i 's/--extra 1/--extra 2/' "$PSAL_FETCH_SOURCES"
run_fetch "" keras
check "status $status" succeeded
check "not fetched again" [ "$(wc -l <"$work/npm.log")" = 3 ]
check "not converted again" grep -q -- '--extra 2$' "$work/convert.log"

npm_failure() { # npm_failure CASE MESSAGE VARIABLE=VALUE [NAME]
    fresh "npm, $1"
    export "${3?}"
    run_fetch "" "${4:-keras}" --quiet
    unset "${3%%=*}"
    expect_failure "$2"
}
npm_failure "offline" 'ENOTFOUND (no network connection?)' FAKE_NPM=offline
npm_failure "unknown package" 'npm finds no tiny_net@1.0.0: E404' FAKE_NPM=unknown
npm_failure "no file" 'npm left no package file' FAKE_NPM=nothing
npm_failure "altered" 'the package tiny_net@1.0.0 is not what it should be' FAKE_NPM=altered
npm_failure "truncated" 'the package tiny_net@1.0.0 is not what it should be' FAKE_NPM=truncated
npm_failure "a link in the package" 'a member that must not be there' FAKE_NPM=good evil
npm_failure "converter fails" 'the conversion failed: psal-convert: .*no weights in it' FAKE_CONVERT=fails
npm_failure "converter writes nothing" 'wrote no file' FAKE_CONVERT=nothing
PSAL_CONVERT=$work/nothing npm_failure "no converter" 'is not a program' FAKE_NPM=good

# ---- the real table ----

case="the table of the project"
unset PSAL_FETCH_SOURCES
run_fetch "" --list
check "status $status" succeeded
for name in resnet50-keras resnet50 vgg19 densenet121 inception_v3; do
    check "no $name" grep -q "^$name " "$work/out"
done
check "has rows without ten columns" \
    awk -F '\t' '!/^#/ && (NF != 10 || $6 !~ /^[0-9]+$/) { exit 1 }' "$root/weights/sources.tsv"
check "a file's digits are not those of its checksum" awk -F '\t' '
    !/^#/ && match($4, /-[0-9a-f]{8}\.pth$/) && index($5, "sha256:" substr($4, RSTART + 1, 8)) != 1 { exit 1 }' \
    "$root/weights/sources.tsv"
helpers=$root/../shared/original-helpers
if [ -d "$helpers" ]; then
    while IFS=$'\t' read -r what sum size; do
        file=$helpers/$(basename "$what")
        [ -f "$file" ] || continue
        check "checksum of $what" [ "sha256:$(full_hash "$file")" = "$sum" ]
        check "size of $what" [ "$(stat -c %s "$file")" = "$size" ]
    done < <(awk -F '\t' -v OFS='\t' '$2 == "statistics" || $2 == "results" { print $4, $5, $6 }' "$root/weights/sources.tsv")
fi

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
