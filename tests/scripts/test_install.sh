#!/usr/bin/env bash
# Installs a build into an empty folder and uses nothing but what is there: a program compiled with pkg-config, psal's
# own programs, the networks of the box.
#   tests/scripts/test_install.sh BUILD_DIR
set -uo pipefail

build=$(cd "${1:-build}" && pwd) || exit 1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
check() { # check "what" command...: the command must succeed
    local what=$1
    shift
    if "$@" >"$work/out" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED %s\n' "$what"
        head -n 20 "$work/out" | sed 's/^/    | /'
    fi
}
finish() {
    printf '%d passed, %d failed\n' "$passed" "$failed"
    exit $((failed > 0))
}

check "meson install" meson install -C "$build" --no-rebuild --quiet --destdir "$work/root"
pc=$(find "$work/root" -name psal.pc)
[ -f "$pc" ] || { echo "no psal.pc was installed" && failed=1 && finish; }
# Moved aside, so that paths of the build or of a finished installation cannot help.
prefix=$work/root$(sed -n 's/^prefix=//p' "$pc")
mv "$prefix" "$work/moved" && prefix=$work/moved
pc=$(find "$prefix" -name psal.pc)
libraries=$(dirname "$(find "$prefix" -name libpsal.so)")
psal_flags() { PKG_CONFIG_PATH=$(dirname "$pc") pkg-config --define-variable=prefix="$prefix" "$@" psal; }

exported=$(nm -D --defined-only "$libraries/libpsal.so" | awk '$3 !~ /^psal_/ { print $3 }')
check "only psal_ names are exported: $exported" test -z "$exported"
check "libpsal exports something" grep -q ' psal_saliency_profile$' <(nm -D --defined-only "$libraries/libpsal.so")

headers=$prefix/include/psal
read -r -a flags <<<"$(psal_flags --cflags --libs)"
check "compile with pkg-config" cc -std=c11 -Wall -Wextra -Werror "$here/installed.c" -o "$work/program" "${flags[@]}"
if command -v g++ >/dev/null; then
    check "compile as C++" g++ -std=c++11 -Wall -Wextra -Wpedantic -Werror "$here/installed.cpp" -o "$work/cpp" "${flags[@]}"
    check "run it" env LD_LIBRARY_PATH="$libraries" "$work/cpp"
    # The functions of a header are the library's without psal.h too.
    printf '#include <io/image.h>\nint main() { psal_image_free(nullptr); }\n' >"$work/one.cpp"
    check "C++ with one header" g++ -Wall -Wextra -Werror "$work/one.cpp" -o "$work/one" "${flags[@]}"
else
    echo "SKIPPED C++: no g++"
fi
# An installed header must not need one that is not.
for header in $(cd "$headers" && find . -name '*.h'); do
    check "$header by itself" cc -std=c11 -Wall -Wextra -Werror -fsyntax-only -include "$header" -x c /dev/null \
        -I "$headers"
    ! command -v g++ >/dev/null || check "$header by itself in C++" g++ -std=c++11 -Wall -Wextra -Wpedantic -Werror \
        -fsyntax-only -include "$header" -x c++ /dev/null -I "$headers"
done
network=$prefix/share/psal/weights/fashion_resnet18.safetensors
answer=$(LD_LIBRARY_PATH=$libraries "$work/program" "$network" 2>&1)
check "run it: $answer" grep -q '^resnet18: [0-9]\{3,4\} of 1200 filters$' <<<"$answer"

check "JSON schemas" diff -r "$here/../../tools/schema" "$prefix/share/psal/schema"
for program in "$prefix"/bin/psal-*; do
    check "$(basename "$program") --help" env -u LD_LIBRARY_PATH "$program" --help
done
# The Python module finds the library that was installed with it.
module=$(find "$prefix" -path "*/psal/__init__.py")
for python in python3 /usr/bin/python3; do
    if "$python" -c "import numpy" 2>/dev/null; then break; fi
done
if "$python" -c "import numpy" 2>/dev/null; then
    check "import psal" env -u LD_LIBRARY_PATH -u PSAL_LIBRARY PYTHONPATH="$(dirname "$(dirname "$module")")" "$python" -c \
        "import psal, sys; assert psal._library.library._name.startswith(sys.argv[1]), psal._library.library._name; print(psal.load(sys.argv[2]))" \
        "$prefix" "$network"
else
    echo "SKIPPED import psal: no NumPy"
fi
check "psal-convert" "$prefix/bin/psal-convert" --quiet "$network" "$work/copy.safetensors"
check "weights/fetch" "$prefix/share/psal/weights/fetch" --list
check "psal-fetch" "$prefix/bin/psal-fetch" --list
check "psal-fetch calls itself so" grep -q '^psal-fetch: .*; psal-fetch --list ' <("$prefix/bin/psal-fetch" no-such-network 2>&1)
check "psal-fetch --help" grep -q '^Usage: psal-fetch ' <("$prefix/bin/psal-fetch" --help)
check "psal run" "$prefix/bin/psal" run --version
for program in "$prefix"/bin/psal*; do
    check "manual page of $(basename "$program")" test -s "$prefix/share/man/man1/$(basename "$program").1"
done
check "psal(7)" test -s "$prefix/share/man/man7/psal.7"
check "psal-files(5)" test -s "$prefix/share/man/man5/psal-files.5"
if command -v man >/dev/null; then
    check "man finds psal-run's" test "$(man -M "$prefix/share/man" -w psal-run)" -ef "$prefix/share/man/man1/psal-run.1"
fi
# The paths in the pages are those of the configured prefix, from which this installation was moved away.
check "the manual that they name" test -s "$prefix/share/doc/psal/tools/README.md"
check "its pictures" test -s "$prefix/share/doc/psal/tools/doc/filter_saliency.png"
completions=$("$here/test_completions.py" "$prefix" 2>&1) || completions="$completions FAILED"
check "completions: $completions" grep -q '^[1-9][0-9]* passed, 0 failed$' <<<"$completions"
grep '^SKIPPED' <<<"$completions"
check "samples" test -n "$(find "$prefix/share/psal/weights/fashion_samples" -type f | head -n 1)"
finish
