#!/usr/bin/env python3
"""Wrong command lines, of every program: refused in one line that names the option, before the network is read. The weights that these
runs name are not there, so that a program which looked at them first would say that instead.

    tests/e2e/test_wrong.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"."""
import re
import resource

from checks import check, run_tests
from programs import bag, run_text, samples, scratch

NOWHERE = scratch / "nowhere.pth"
TABLE = samples / "labels.csv"
PROGRAMS = ("psal-init", "psal-run", "psal-stats", "psal-neighbors", "psal-prune", "psal-finetune", "psal-check", "psal-convert")
# What a program must be told at least, beside the weights.
LEAST = {"psal-init": ("-d", TABLE), "psal-run": ("-i", bag), "psal-stats": ("-d", TABLE, "-o", scratch / "s.st"),
         "psal-neighbors": ("--store", scratch / "p.npy", "-q"), "psal-prune": ("-i", bag, "-l", "8"), "psal-finetune": ("-i", bag, "-l", "8"),
         "psal-check": ("ablate", "-i", bag, "-l", "8"), "psal-convert": (NOWHERE, scratch / "c.st")}
# Options that exclude or need each other: (program, arguments, what is said)
COMBINATIONS = (
    ("psal-run", ("-i", bag, "--images", TABLE), "only one of --image-path, --images and --reference-id"),
    ("psal-run", ("-i", bag, "--mistakes"), "--mistakes needs --images"),
    ("psal-run", ("-i", bag, "-l", "8", "-d", TABLE), "--data does nothing here"),
    ("psal-run", ("-l", "8"), "--image-target-label needs --image-path"),
    ("psal-run", ("-i", bag, "--logit", "--logit-difference"), "--logit and --logit-difference"),
    ("psal-run", ("-i", bag, "--noise-sd", "1", "--noise-percent", "0.1"), "only one of --noise-percent and --noise-sd"),
    ("psal-stats", ("-d", TABLE), "--out FILE is missing"),
    ("psal-stats", ("-o", scratch / "s.st"), "--data is missing"),
    ("psal-stats", ("-d", TABLE, "-o", scratch / "s.st", "--limit", "3", "--first", "3"), "only one of --limit and --first"),
    ("psal-stats", ("-d", TABLE, "-o", scratch / "s.st", "--logit", "--logit-difference"), "exclude each other"),
    ("psal-stats", ("-d", TABLE, "-o", scratch / "s.st", "--shard", "3/2"), "shard"),
    ("psal-init", ("-d", TABLE, "--limit", "3", "--first", "3"), "only one of --limit and --first"),
    ("psal-init", ("-d", TABLE, "--replace", "--resume"), "only one of --replace and --resume"),
    ("psal-init", ("-d", TABLE, "--delta", "d"), "--delta"),
    ("psal-init", ("-d", TABLE, "--out", "p"), "ends in .json"),
    ("psal-prune", ("-i", bag, "-l", "8", "--choices", "salient,salty"), "salty"),
    ("psal-prune", ("-i", bag, "-l", "8", "--limit", "3"), "--limit"),
    ("psal-prune", ("-i", bag, "-l", "8", "--save", scratch / "a.st"), "--save"),
    ("psal-prune", ("-d", TABLE, "-l", "8"), "--image-target-label needs --image-path"),
    ("psal-prune", ("-i", bag, "-l", "8", "--figure", scratch / "a.gif"), "a.gif"),
    ("psal-finetune", ("-i", bag, "-l", "8", "--rate", "1", "--relative", "0.1"), "--relative"),
    ("psal-finetune", ("-i", bag, "-l", "8", "--until-correct", "--rate", "1"), "--until-correct"),
    ("psal-finetune", ("-i", bag, "-l", "8", "--figure", scratch / "a.gif"), "a.gif"),
    ("psal-finetune", ("-i", bag), "--image-target-label"),
    ("psal-finetune", ("-i", bag, "-l", "8", "--save", scratch / "a.st"), "--save"),
    ("psal-finetune", ("-d", TABLE, "--until-correct", "--save-delta", scratch / "a.st"), "--save"),
    ("psal-check", ("ablate", "-i", bag, "-l", "8", "--percent", "5"), "--percent"),
    ("psal-check", ("mask", "-i", bag, "-l", "8", "--filters", "5"), "--filters"),
    ("psal-check", ("ablate", "-i", bag, "-l", "8", "--figure", scratch / "a.gif"), "a.gif"),
    ("psal-check", ("swim", "-i", bag, "-l", "8"), "swim"),
)


def cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def refused(program, arguments, *said, status=(1, 2)):
    before = cpu()
    weights = () if program == "psal-convert" else ("-w", NOWHERE)
    done = run_text(program, *arguments, *weights)
    line = done.stderr.strip()
    name = f"{program} {' '.join(map(str, arguments))}".replace(str(scratch), "")
    check(name, done.returncode in status and all(part in line for part in said) and "\n" not in line and "nowhere.pth" not in line and
          not done.stdout, f"{done.returncode}: {line[-300:]}")
    check(f"{name}: at once", cpu() - before < 1, f"{cpu() - before:.2f} s")


def options_of(program):
    """(name, what stands for its value) of those in --help that have one"""
    text = run_text(program, "--help").stdout
    return re.findall(r"^  (?:-\w, |    )?--([\w-]+)(?: (\S+))?", text, re.M)


def test_values():
    """A number that is none, a choice that is none, a value for a flag, an option that there is not"""
    count = 0
    for program in PROGRAMS:
        for name, value in options_of(program):
            if name in ("help", "version"):
                continue
            count += 1
            if not value or not re.fullmatch(r"[A-Z][\w./,|:-]*|[a-z0-9.|+-]+", value):
                refused(program, (*LEAST[program], f"--{name}=1"), "takes no value", status=(2,))
            elif name == "reference-id":
                continue  # a number, or incorrect:N: known by the data set
            elif value in ("N", "X", "P", "MIB", "SECONDS", "Q"):
                refused(program, (*LEAST[program], f"--{name}=abc"), "abc", status=(2,))
            elif "|" in value and value.islower():
                refused(program, (*LEAST[program], f"--{name}=nonsense"), "nonsense", status=(2,))
            elif value in ("FILE", "DIR"):
                refused(program, (*LEAST[program], f"--{name}="), "the name is empty", status=(2,))
        refused(program, (*LEAST[program], "--nonsense"), "unknown option --nonsense", status=(2,))
    check("options were found", count > 150, count)


def test_combinations():
    for program, arguments, *said in COMBINATIONS:
        refused(program, arguments, *said)


def test_outputs():
    """Where the results cannot go"""
    missing = scratch / "missing" / "x"
    for program in PROGRAMS:
        if program == "psal-convert":
            refused(program, (NOWHERE, missing), "missing/x")
        for name, value in options_of(program):
            if name in ("out", "csv", "samples", "save", "save-delta", "figure", "sheet", "records", "profiles") and value and \
                    value.startswith("FILE"):
                ending = {"figure": ".png", "sheet": ".png", "profiles": ".npy"}.get(name, ".json" if program == "psal-init" else ".st")
                more = ("--k", "1", "--choices", "salient") if name in ("save", "save-delta") else ()
                rest = LEAST[program][:2] if program == "psal-stats" and name == "out" else LEAST[program]
                refused(program, (*rest, *more, f"--{name}", f"{missing}{ending}"), "missing/x")


if __name__ == "__main__":
    raise SystemExit(run_tests((test_values, test_combinations, test_outputs), scratch))
