#!/usr/bin/env python3
"""One format for all C sources: what .clang-format makes of them, and no line longer than its limit (comments too).

  tests/scripts/test_format.py CLANG_FORMAT SOURCE_ROOT

Other versions of clang-format decide otherwise here and there: only the one that .clang-format names is asked."""
import pathlib
import re
import subprocess
import sys

program, root = sys.argv[1], pathlib.Path(sys.argv[2])
style = (root / ".clang-format").read_text()
wanted = re.search(r"clang-format (\d+)", style).group(1)
limit = int(re.search(r"ColumnLimit: (\d+)", style).group(1))
folders = ("engine", "models", "saliency", "io", "tools", "tests")
sources = sorted(path for folder in folders for path in (root / folder).rglob("*.[ch]"))
failed = 0
for path in sources:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if len(line) > limit:
            failed += 1
            print(f"FAIL {path.relative_to(root)}:{number}: {len(line)} columns; {limit} is the limit")
version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
if f"version {wanted}." in version:
    checked = subprocess.run([program, "--dry-run", "-Werror", "--style=file", *map(str, sources)], capture_output=True, text=True)
    for line in checked.stderr.splitlines():
        if "error:" in line:
            failed += 1
            print(f"FAIL {line.removeprefix(str(root) + '/')}")
else:
    print(f"SKIPPED the format: this is {version.strip()}, not {wanted}")
print(f"{len(sources)} files; clang-format -i $(git ls-files '*.c' '*.h') mends most")
print(f"{int(not failed)} passed, {failed} failed")
sys.exit(bool(failed))
