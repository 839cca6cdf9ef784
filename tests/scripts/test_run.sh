#!/usr/bin/env bash
# tests/run on a made-up project: what it counts, and that every way of failing shows in its last line and its status.
#   tests/scripts/test_run.sh [SOURCE_ROOT]
set -uo pipefail

root=$(cd "${1:-$(dirname "$0")/../..}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# This may itself run under meson test.
unset MESON_TESTTHREADS MESON_TEST_ITERATION OMP_NUM_THREADS

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

# ---- tally.py ----

tally() { python3 "$root/tests/tally.py" "$@"; }
output() { # output STATUS EXPECTED: the text on standard input
    cat >"$work/out"
    check "counts $(tally output "$work/out" "$1"), expected $2" [ "$(tally output "$work/out" "$1")" = "$2" ]
}
case="tally"
output 0 "7 0 0" <<<$'Running suite(s): a\n100%: Checks: 7, Failures: 0, Errors: 0'
output 1 "5 2 0" <<<'71%: Checks: 7, Failures: 1, Errors: 1'
output 1 "9 1 0" <<<$'100%: Checks: 5, Failures: 0, Errors: 0\n80%: Checks: 5, Failures: 1, Errors: 0'
output 0 "6 0 1" <<<$'SKIPPED: no ../shared\n100%: Checks: 7, Failures: 0, Errors: 0'
output 139 "7 1 0" <<<'100%: Checks: 7, Failures: 0, Errors: 0' # a leak, or a crash at the end
output 0 "12 0 0" <<<$'psal ok\n12 passed, 0 failed'
output 0 "12 0 3" <<<'12 passed, 0 failed, 3 skipped'
output 0 "12 0 2" <<<$'SKIPPED photos\nhelpers: SKIPPED, not there\n12 passed, 0 failed'
output 1 "12 2 0" <<<$'3 passed, 9 failed\n12 passed, 2 failed'
output 1 "12 1 0" <<<'12 passed, 0 failed'
output 0 "0 0 0" <<<'0 passed, 0 failed'
output 0 "1 0 0" <<<'fine'
output 1 "0 1 0" <<<'Traceback'
output 124 "0 1 0" <<<''

# ---- a made-up project ----

project=$work/project
mkdir -p "$project/tests/parity" "$project/tools"
cp "$root/tests/run" "$root/tests/tally.py" "$project/tests/"
sed 's/ library:[a-z]*=[a-z0-9-]*//g; s/^ *library:[a-z]*=[a-z0-9-]*$//; s/library:check=check //; s/ command:\(parallel\|mpirun\|mandoc\|shellcheck\)=[a-z-]*//g; s/command:[a-z0-9-]*=\(gcc-aarch64-linux-gnu\|qemu-user\)//g' "$root/tools/setup.sh" |
    sed 's/ *module:[^=]*=[^ ]*//g; s|^ *file:/usr/share.*$||; s/^package_needs=.*/package_needs=()/' >"$project/tools/setup.sh"
cat >"$project/meson.build" <<'EOF'
project('made-up', 'c')
sh = find_program('sh')
test('check', sh, args: ['-c', 'echo "100%: Checks: 30, Failures: 0, Errors: 0"'], suite: 'unit')
test('slow', sh, args: ['-c', 'echo "100%: Checks: 1000, Failures: 0, Errors: 0"'], suite: 'slow')
test('plain', sh, args: ['-c', 'echo "20 passed, 0 failed"'], suite: 'scripts')
test('silent', sh, args: ['-c', 'echo >/dev/null'])
test('skipping', sh, args: ['-c', 'exit 77'])
if run_command('test', '-e', meson.current_source_dir() / 'extra', check: false).returncode() == 0
  subdir('extra')
endif
EOF
echo "print('5 passed, 0 failed')" >"$project/tests/parity/test_one.py"

run() { # run STATUS LAST_LINE ARGS...
    local expected=$1 line=$2 status=0
    shift 2
    # meson does not see that extra/ comes and goes; the comparisons alone may use the builds again
    [ "$case" != "${case#a comparison}" ] || rm -rf "$work/builds"
    "$project/tests/run" --no-install --build "$work/builds" "$@" >"$work/out" 2>&1 || status=$?
    check "status is $status" [ "$status" = "$expected" ]
    check "ends with '$(tail -n 1 "$work/out")', expected '$line'" [ "$(tail -n 1 "$work/out")" = "$line" ]
}
extra() { mkdir -p "$project/extra" && printf '%s\n' "$1" >"$project/extra/meson.build"; }

case="all is well"
run 0 "51 passed, 0 failed, 1 skipped"
case="with the slow ones"
run 0 "1051 passed, 0 failed, 1 skipped" --slow
case="--all" # 51, 5 of the comparison, and 31 of the sanitizers' build
run 0 "87 passed, 0 failed, 2 skipped" --all
check "no sanitizers" grep -q 'sanitizers: 31 passed' "$work/out"
check "no comparison" grep -q 'parity/test_one: 5 passed' "$work/out"

# The machine itself stands for the other one.
mkdir "$project/tests/arm"
cat >"$project/tests/arm/aarch64.ini" <<'EOF'
[binaries]
c = 'cc'
[host_machine]
system = 'linux'
cpu_family = 'other'
cpu = 'other'
endian = 'little'
EOF
cat >"$project/tests/arm/sysroot" <<'EOF'
#!/bin/sh
for folder; do :; done
[ -e "$folder" ] && : >"$folder/sysroot.ini"
EOF
chmod +x "$project/tests/arm/sysroot"
echo "print('3 passed, 0 failed')" >"$project/tests/arm/test_networks.py"
case="--arm"
run 1 "51 passed, 1 failed, 1 skipped" --arm
check "does not say what is missing" grep -q 'missing: .*/build-arm-sysroot' "$work/out"
case="a comparison on aarch64" # 51, 31 there and 3 of the networks
mkdir -p "$work/builds/build-arm-sysroot"
run 0 "85 passed, 0 failed, 2 skipped" --arm
check "no unit tests there" grep -q 'aarch64 under qemu: 31 passed' "$work/out"
case="a comparison on aarch64 that fails"
sed -i "s/')/'); exit(1)/" "$project/tests/arm/test_networks.py"
run 1 "85 passed, 1 failed, 2 skipped" --arm
case="a comparison on aarch64 without its libraries"
printf '#!/bin/sh\nexit 1\n' >"$project/tests/arm/sysroot"
run 1 "51 passed, 1 failed, 1 skipped" --arm

case="a failing check"
extra "test('bad', sh, args: ['-c', 'echo \"90%: Checks: 10, Failures: 1, Errors: 0\"; exit 1'])"
run 1 "60 passed, 1 failed, 1 skipped"
check "does not show it" grep -q 'Checks: 10' "$work/out"
case="a failing check that says success"
extra "test('bad', sh, args: ['-c', 'echo \"90%: Checks: 10, Failures: 1, Errors: 0\"'])"
run 1 "60 passed, 1 failed, 1 skipped"
case="a crash"
extra "test('bad', sh, args: ['-c', 'kill -SEGV \$\$'])"
run 1 "51 passed, 1 failed, 1 skipped"
case="a timeout"
extra "test('bad', sh, args: ['-c', 'sleep 60'], timeout: 1)"
run 1 "51 passed, 1 failed, 1 skipped"
case="a build that fails"
extra "executable('bad', 'bad.c')"
echo 'int main(void) { return x; }' >"$project/extra/bad.c"
run 1 "0 passed, 1 failed, 0 skipped"
check "does not show the error" grep -q "bad.c:1" "$work/out"
case="a warning"
extra "executable('bad', 'bad.c', c_args: '-Wall')"
echo 'static int unused; int main(void) { return 0; }' >"$project/extra/bad.c"
run 0 "51 passed, 0 failed, 1 skipped"
run 1 "31 passed, 1 failed, 1 skipped" --all
case="a configuration that fails"
extra "error('no')"
run 1 "0 passed, 1 failed, 0 skipped"
rm -r "$project/extra"

case="a leak"
extra "test('leak', executable('leak', 'leak.c'))"
printf '#include <stdlib.h>\nvoid *volatile p;\nint main(void) { p = malloc(9); p = 0; return 0; }\n' >"$project/extra/leak.c"
run 1 "88 passed, 1 failed, 2 skipped" --all
rm -r "$project/extra"

case="a comparison that fails"
printf 'import sys\nprint("4 passed, 1 failed")\nsys.exit(1)\n' >"$project/tests/parity/test_two.py"
run 1 "91 passed, 1 failed, 2 skipped" --all
case="a comparison that says failure and ends well"
echo 'print("4 passed, 1 failed")' >"$project/tests/parity/test_two.py"
run 1 "91 passed, 1 failed, 2 skipped" --all
case="a comparison that breaks"
echo 'print(1 / 0)' >"$project/tests/parity/test_two.py"
run 1 "87 passed, 1 failed, 2 skipped" --all
case="a comparison that hangs"
echo 'import time; time.sleep(600)' >"$project/tests/parity/test_two.py"
PSAL_PARITY_SECONDS=1 run 1 "87 passed, 1 failed, 2 skipped" --all
check "does not say so" grep -q 'more than 1 seconds' "$work/out"

case="two comparisons side by side" # each waits for the other one
for pair in "two three" "three two"; do
    read -r own other <<<"$pair"
    cat >"$project/tests/parity/test_$own.py" <<EOF
import pathlib, time
pathlib.Path("$work/$own").touch()
while not pathlib.Path("$work/$other").exists():
    time.sleep(0.1)
print("$own has seen $other")
print("4 passed, 0 failed")
EOF
done
PSAL_PARITY_SECONDS=60 run 0 "95 passed, 0 failed, 2 skipped" --all
check "does not show what they say" [ "$(grep -c '^t.* has seen t' "$work/out")" = 2 ]

case="SIGTERM during two comparisons"
for name in two three; do echo 'import time; time.sleep(600)' >"$project/tests/parity/test_$name.py"; done
: >"$work/out" # what the run before wrote must not be taken for this one's
"$project/tests/run" --no-install --build "$work/builds" --all >"$work/out" 2>&1 &
pid=$!
for _ in $(seq 6000); do
    grep -q 'parity/test_one: 5 passed' "$work/out" && grep -q 'parity/test_two$' "$work/out" && break
    sleep 0.1
done
sleep 0.5
kill "$pid"
wait "$pid"
check "status" [ $? = 1 ]
check "ends with '$(tail -n 1 "$work/out")'" [ "$(tail -n 1 "$work/out")" = "56 passed, 1 failed, 1 skipped" ]
comparison_gone() { # within ten seconds
    for _ in $(seq 100); do
        pgrep -f "$project/tests/parity" >/dev/null || return 0
        sleep 0.1
    done
    return 1
}
check "the comparison lives on" comparison_gone
rm "$project"/tests/parity/test_{two,three}.py

case="no comparisons at all"
rm "$project"/tests/parity/test_*.py
run 1 "82 passed, 1 failed, 2 skipped" --all

case="something is missing"
sed -i 's/^test_needs=(/&command:no-such-program=no-such-package /' "$project/tools/setup.sh"
run 1 "0 passed, 1 failed, 0 skipped"
check "does not say what" grep -q 'missing: no-such-package' "$work/out"

case="an unknown argument"
"$project/tests/run" --what >"$work/out" 2>&1
check "status" [ $? = 2 ]
check "does not say which" grep -q "unknown argument '--what'" "$work/out"
case="--fuzz without a number"
for wrong in --fuzz --fuzz=x "--fuzz 0"; do
    # shellcheck disable=SC2086 # two arguments
    "$project/tests/run" $wrong >"$work/out" 2>&1
    check "status of $wrong" [ $? = 2 ]
    check "does not say so" grep -q "needs a number of seconds" "$work/out"
done
case="--help"
"$project/tests/run" --help >"$work/out" 2>&1
check "status" [ $? = 0 ]
check "no usage" grep -q '^Usage: tests/run' "$work/out"

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
