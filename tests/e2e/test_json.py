#!/usr/bin/env python3
"""What the programs print as JSON against what tools/README.md says of it: no key that is not documented, no documented key that never
comes.

    tests/e2e/test_json.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"."""
import json
import re

from checks import check, run_tests
from programs import bag, network, root, run_text, samples, scratch, store

MANUAL = (root / "tools/README.md").read_text()
EVERYWHERE = {"settings", "skipped"}  # "What holds for all"
# What stands in the same paragraphs as code and is no key.
VALUES = {"null", "settings", "..._se", "given", "recorded", "folder names", "numbers", "tried", "all", "first", "drawn, seed N", "rate", "relative",
          "ablate", "mask", "randomize", "photo", "heat-map", "random-region", "same-shape", "cascade", "alone", "label", "as_is", "noise", "blur",
          "contrast", "loss-size", "wrong-logit-size", "csv", "boxes"}
LABELS = samples / "labels.csv"
PICTURE = ("-i", bag, "-l", "bag")
# Runs that together print every key
# What is documented with another program
BELOW = {"psal-report": {("kinds",): "### `psal-neighbors kinds`", ("costs", 0, "results"): "## `psal-finetune`",
                         ("checks", "ablate"): "## `psal-check`", ("checks", "mask"): "## `psal-check`"}}
RUNS = {
    "psal-init": (["-w", network, "-d", LABELS, "-o", "made.json", "--quiet"],),
    "psal-run": (["-w", network, *PICTURE, "--out", "a", "--compare-random", "--look", "2", "--data", LABELS],
                 ["-w", network, "--images", LABELS, "--mistakes", "--figures", "none", "--out", "b"]),
    "psal-neighbors": (["--store", store(scratch), "--query", "0", "--top", "2"],),
    "psal-prune": ([*PICTURE, "--k", "1", "--choices", "salient,random"], ["-d", LABELS, "--k", "1", "--choices", "salient", "--first", "2",
                                                                           "--right", "2"]),
    "psal-finetune": ([*PICTURE, "--k", "100", "--choices", "salient", "--until-correct", "--save-delta", "d.st"],
                      ["-d", LABELS, "--k", "5", "--choices", "salient", "--first", "3", "--right", "2"],
                      ["--group", LABELS, "-d", LABELS, "--k", "5", "--choices", "salient", "--relative", "0.1"]),
    "psal-report": (["-w", network, "-d", LABELS, "--out", "report.html", "--kinds", "2", "--costs", "1"],),
    "psal-check": (["ablate", *PICTURE, "--filters", "10"], ["mask", *PICTURE, "--percent", "5"], ["randomize", *PICTURE]),
}


def paragraph(title):
    section = re.search(rf"^{title}\n(.*?)(?=^##)", MANUAL, re.S | re.M).group(1)
    return re.search(r"^JSON: .*?(?=\n\n|\Z)", section, re.S | re.M).group(0)


def documented(title):
    return {re.sub(r"\s+", " ", word) for word in re.findall(r"`([^`]+)`", paragraph(title))}


def keys_of(value):
    """All keys at any depth, but those of records, which are documented elsewhere"""
    if isinstance(value, list):
        return set().union(*map(keys_of, value))
    if not isinstance(value, dict):
        return set()
    found = set(value)
    for key, below in value.items():
        if key not in ("settings", "contents"):
            found |= keys_of(below)
    return found


def printed(program):
    found = set()
    for arguments in RUNS[program]:
        done = run_text(program, *arguments, "--json")
        check(f"{program} {' '.join(map(str, arguments))}", done.returncode == 0, done.stderr[-400:])
        result = json.loads(done.stdout)
        for path, title in BELOW.get(program, {}).items():
            *above, last = path
            at = result
            for key in above:
                at = at[key]
            unknown = keys_of(at[last]) - EVERYWHERE - documented(title)
            check(f"{program}: {path} is what stands in {title}", at[last] and not unknown, unknown)
            at[last] = None
        found |= keys_of(result)
    return found


def compare(program):
    said, found = documented(f"## `{program}`"), printed(program)
    for key in sorted(found - EVERYWHERE):
        base = key[:-3] if key.endswith("_se") else key
        check(f"{program}: \"{key}\" is documented", key in said or base in said, "tools/README.md, the paragraph JSON")
    keys = {word for word in said if re.fullmatch(r"[a-z_]+", word)}
    for key in sorted(keys - VALUES - found):
        check(f"{program}: \"{key}\" comes", False, sorted(found))
    check(f"{program}: a record of what was computed", "settings" in found, sorted(found))


def test_every_program():
    for program in RUNS:
        compare(program)


if __name__ == "__main__":
    raise SystemExit(run_tests((test_every_program,), scratch))
