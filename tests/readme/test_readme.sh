#!/usr/bin/env bash
# What README.md says, checked: its C example compiles, runs and prints what stands there; the files it links to exist;
# the options it names for a program are in that program's --help.
#
# test_readme.sh SOURCES BUILD [COMPILER ARGUMENTS...]
set -uo pipefail

sources=$1 build=$2
shift 2
[ $# -gt 0 ] || set -- cc
readme=$sources/README.md
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

complain() {
    printf 'FAILED: %s\n' "$*"
    failures=$((failures + 1))
}

# block NUMBER LANGUAGE: the text of the NUMBERth fenced block that begins with ```LANGUAGE
block() {
    awk -v wanted="$1" -v fence="\`\`\`$2" '
        inside && /^```/ { exit }
        inside { print }
        $0 == fence && ++n == wanted { inside = 1 }' "$readme"
}

# ---- the C example ----

export PKG_CONFIG_PATH=$build/meson-uninstalled
block 1 c >"$scratch/explain.c"
block 1 'text explain' >"$scratch/expected"
[ -s "$scratch/explain.c" ] || complain "README.md has no C example"
[ -s "$scratch/expected" ] || complain "README.md does not show what the C example prints"
# shellcheck disable=SC2046 # several flags
if "$@" -std=c17 -Wall -Wextra -Werror "$scratch/explain.c" $(pkg-config --cflags --libs psal) \
    -Wl,-rpath,"$build" -o "$scratch/explain"; then
    if "$scratch/explain" "$sources/weights/fashion_resnet18.safetensors" \
        "$sources/weights/fashion_samples/bag_called_sandal.png" 8 >"$scratch/printed"; then
        diff -u "$scratch/expected" "$scratch/printed" || complain "the C example prints something else than README.md shows"
    else
        complain "the C example ended with status $?"
    fi
    # It reports errors, and frees what it had until then.
    for wrong in "$scratch/absent $sources/weights/fashion_samples/bag.png 8" \
        "$sources/weights/fashion_resnet18.safetensors $scratch/absent 8" \
        "$sources/weights/fashion_resnet18.safetensors $sources/weights/fashion_samples/bag.png 10"; do
        # shellcheck disable=SC2086 # three arguments
        "$scratch/explain" $wrong >"$scratch/printed" 2>"$scratch/message"
        if [ $? != 1 ] || [ -s "$scratch/printed" ] || [ "$(wc -l <"$scratch/message")" != 1 ]; then
            complain "the C example on wrong input: $(cat "$scratch/message")"
        fi
    done
else
    complain "the C example does not compile"
fi

# ---- links ----

links=0
while IFS= read -r link; do
    links=$((links + 1))
    [ -e "$sources/$link" ] || complain "README.md links to $link, which is not there"
done < <(grep -o '](\([^)#]*\)' "$readme" | sed 's/^](//' | grep -v '^$' | grep -v '://')
[ "$links" -gt 0 ] || complain "no links found in README.md"

# ---- options: a section "### `psal-NAME`" (or "### `tests/run`") may only name options in its --help ----

section() { awk -v title="### \`$1\`" '/^##/ { inside = index($0, title) == 1 } inside' "$readme"; }

programs=0
for program in "$sources/tools/quickstart" "$sources/tests/run" "$sources/weights/fetch" "$build"/tools/psal-*; do
    if [ ! -f "$program" ] || [ ! -x "$program" ]; then continue; fi
    name=${program#"$sources/"}
    case $program in "$build"/*) name=${program##*/} ;; esac
    if ! "$program" --help >"$scratch/help" 2>&1; then
        complain "$name --help ended with an error"
        continue
    fi
    section "$name" >"$scratch/section"
    if [ ! -s "$scratch/section" ]; then
        complain "README.md has no section about $name"
        continue
    fi
    programs=$((programs + 1))
    # Options in code between backticks; those of other programs stand in sections of their own.
    while IFS= read -r option; do
        grep -q -- "$option\([^a-z0-9-]\|$\)" "$scratch/help" || complain "README.md: $name has no option $option"
    done < <(grep -o -- '--[a-z][a-z0-9-]*' "$scratch/section" | sort -u)
done
[ "$programs" -ge 4 ] || complain "only $programs programs found"

[ "$failures" = 0 ] && printf 'README.md: example, %d links, options of %d programs: as it says\n' "$links" "$programs"
exit $((failures > 0))
