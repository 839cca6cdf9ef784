#!/usr/bin/env python3
"""psal-neighbors kinds: on stores with planted kinds, and on one that psal-stats made.

    tests/e2e/test_kinds.py TOOLS-DIR SOURCE-DIR

Prints a line per failure and "N passed, N failed"."""
import array
import collections
import csv
import json
import random
import struct

from checks import check, run_tests
from programs import network, run_text, scratch, store

LENGTH, OWN = 60, 12  # entries; of each planted kind
CLASSES = 4


def write_store(name, rows, settings=None):
    """rows: (profile, label, predicted)"""
    path = scratch / name
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(rows)}, {LENGTH}), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    values = array.array("f", (value for profile, _, _ in rows for value in profile))
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values.tobytes())
    with open(f"{path}.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "path", "label", "predicted", "confidence", "psal_settings"])
        writer.writerows([i, f"image {i}", label, predicted, 0.5 + i / 1e5, settings if i == 0 else None]
                         for i, (_, label, predicted) in enumerate(rows))
    return path


def planted(count, seed, right=30):
    """Mistakes of four kinds, half of them of the first, a quarter of the second, ...: their own entries are raised. Then right samples."""
    numbers = random.Random(seed)
    rows = []
    for i in range(count):
        kind = (0, 0, 0, 0, 1, 1, 2, 3)[i % 8]
        profile = [numbers.lognormvariate(0, 0.4) * (4 if entry // OWN == kind else 1) for entry in range(LENGTH)]
        rows.append((profile, kind, (kind + 1 + i // 8 % 3) % CLASSES))
    rows += [([numbers.lognormvariate(0, 0.4) for entry in range(LENGTH)], i % CLASSES, i % CLASSES) for i in range(right)]
    return rows


PLANTED = planted(96, 1)
PATH = write_store("planted.npy", PLANTED)


def run(*arguments):
    done = run_text("psal-neighbors", "kinds", *arguments)
    if done.returncode:
        raise RuntimeError(f"{arguments}: status {done.returncode}: {done.stderr}")
    return done.stdout


def refused(name, arguments, *said):
    done = run_text("psal-neighbors", *arguments)
    line = done.stderr.strip().split("\n")[-1]
    check(name, done.returncode == 1 and not done.stdout and all(part in line for part in said), f"{done.returncode}: {line}")


def test_planted_kinds():
    result = json.loads(run("--store", PATH, "--json", "--top", OWN))
    check("four kinds", [kind["size"] for kind in result["kinds"]] == [48, 24, 12, 12] and result["single"] == 0,
          [kind["size"] for kind in result["kinds"]])
    seen = []
    for kind in result["kinds"]:
        labels = {PLANTED[sample][1] for sample in kind["samples"]}
        check("of one planted kind", len(labels) == 1, labels)
        own = range(labels.pop() * OWN, LENGTH)[:OWN]
        check("its entries are guilty", sorted(one["entry"] for one in kind["guilty"]) == list(own) and kind["guilty_count"] >= OWN,
              [one["entry"] for one in kind["guilty"]])
        check("raised", all(one["inside"] > one["outside"] and one["effect"] > 1 and one["p"] < 0.05 for one in kind["guilty"]))
        pairs = collections.Counter(PLANTED[sample][1:] for sample in kind["samples"])
        check("pairs", {(one["label"]["index"], one["predicted"]["index"]): one["count"] for one in kind["pairs"]} == pairs, kind["pairs"])
        everywhere = collections.Counter(row[1:] for row in PLANTED[:96])
        check("enrichment", all(abs(one["enrichment"] - one["count"] / kind["size"] /
                                    (everywhere[one["label"]["index"], one["predicted"]["index"]] / 96)) < 1e-9 for one in kind["pairs"]))
        seen += kind["samples"]
    check("each mistake once", sorted(seen) == list(range(96)))
    central = {one["sample"]: one["central"] for one in result["mistakes"]}
    check("most central first", all(kind["samples"] == sorted(kind["samples"], key=lambda sample: -central[sample])
                                    for kind in result["kinds"]))
    check("nothing of right samples", len(result["mistakes"]) == result["clustered"] == 96)


def test_outputs():
    text = run("--store", PATH, "--csv", scratch / "k.csv")
    check("text", "4 kinds of 96 mistakes; 0 are left single" in text and "kind 4: 12 mistakes (12.5 %)" in text, text)
    check("within 100 columns", max(map(len, text.splitlines())) <= 100, max(text.splitlines(), key=len))
    result = json.loads(run("--store", PATH, "--json"))
    with open(scratch / "k.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    check("CSV", [(int(row["sample"]), int(row["kind"])) for row in rows] == [(one["sample"], one["kind"]) for one in result["mistakes"]])
    check("again", run("--store", PATH) == run("--store", PATH, "--threads", 1))


def test_choices():
    two = json.loads(run("--store", PATH, "--json", "--kinds", 2))
    check("--kinds", two["clusters"] == 2 and len(two["kinds"]) <= 2)
    for similarity in ("pearson", "cosine", "normalized"):
        result = json.loads(run("--store", PATH, "--json", "--similarity", similarity))
        check(similarity, len(result["kinds"]) == 4 and result["similarity"] == similarity, len(result["kinds"]))
    some = json.loads(run("--store", PATH, "--json", "--class", 0, "--class", 1))
    check("--class", {one["label"]["index"] for one in some["mistakes"]} == {0, 1})


def test_names_and_sheet():
    made = store(scratch)
    result = json.loads(run("--store", made, "--json", "--sheet", scratch / "k.png"))
    names = [one["name"] for kind in result["kinds"] for one in kind["guilty"]]
    check("filters have names", names and all(".weight filter " in name for name in names), names[:3])
    check("a picture", (scratch / "k.png").read_bytes()[1:4] == b"PNG")
    given = json.loads(run("--store", made, "--json", "--weights", network, "--layers", "layer4"))
    check("--layers", all(one["name"].startswith("layer4") for kind in given["kinds"] for one in kind["guilty"]))


def test_few():
    for count, said in ((1, "No kinds: 1 mistake,"), (2, "No kinds: 2 mistakes,")):
        path = write_store(f"few{count}.npy", PLANTED[96 - count:])
        check(said, said in run("--store", path))
        check("JSON of none", json.loads(run("--store", path, "--json"))["kinds"] == [])
    refused("a sheet of nothing", ("kinds", "--store", path, "--sheet", scratch / "none.png"), "--sheet", "no kinds")
    check("not written", not (scratch / "none.png").exists())
    same = write_store("same.npy", [PLANTED[0]] * 20 + PLANTED[96:])
    check("all mistakes alike", len(json.loads(run("--store", same, "--json"))["mistakes"]) == 20)


def test_many():
    path = write_store("many.npy", planted(5200, 2))
    first, again, other = (json.loads(run("--store", path, "--json", *more)) for more in ((), (), ("--seed", 2)))
    check("drawn", len(first["mistakes"]) == 5200 and first["clustered"] == 5000 and first == again)
    joined = [{one["sample"] for one in result["mistakes"] if one["silhouette"] is None} for result in (first, other)]
    check("another draw", len(joined[0]) == len(joined[1]) == 200 and joined[0] != joined[1])
    check("its kinds", [len({PLANTED[one % 8][1] for one in kind["samples"]}) for kind in first["kinds"]] == [1, 1, 1, 1])
    check("others joined", sum(one["kind"] is not None for one in first["mistakes"] if one["silhouette"] is None) > 190)
    check("it is said", "5000 mistakes that were drawn (--seed 1)" in run("--store", path))


def test_refusals():
    refused("a query", ("kinds", "--store", PATH, "--query", 3), "kinds has no option --query")
    refused("an option of kinds", ("--store", PATH, "--query", 3, "--kinds", 3), "--kinds is an option of psal-neighbors kinds")
    refused("another word", ("sorts", "--store", PATH), "'sorts' is not understood")
    refused("too many kinds", ("kinds", "--store", PATH, "--kinds", 97), "--kinds 97: there are 96 mistakes")
    refused("a data set without a sheet", ("kinds", "--store", PATH, "--data", "there"), "--data does nothing without --sheet")
    refused("a data set without a sheet", ("--store", PATH, "--query", 3, "--data", "there"), "--data does nothing without --sheet")
    refused("bad images without a sheet", ("kinds", "--store", PATH, "--skip-bad"), "--skip-bad does nothing without --sheet")
    refused("no mistakes", ("kinds", "--store", write_store("right.npy", PLANTED[96:])), "it has no mistakes")
    refused("statistics of profiles", ("kinds", "--store", PATH, "--stats", PATH), "--similarity roots", "leave --stats out")
    refused("scores", ("kinds", "--store", PATH, "--mode", "pot"), "--similarity roots does not go with it")
    signed = write_store("signed.npy", PLANTED, json.dumps({"signed": True}))
    refused("signed profiles", ("kinds", "--store", signed), "negative numbers have no roots")
    refused("profiles that are all the same", ("kinds", "--store", write_store("constant.npy", [([1] * LENGTH, 0, 1)] * 30)), "all the same")
    small = write_store("small.npy", [([value * 1e-30 for value in profile], *classes) for profile, *classes in PLANTED])
    for words in (("kinds",), ("--query", 0), ("--query", 0, "--similarity", "cosine")):  # whose deviations count as none
        refused(f"tiny profiles {words}", (*words, "--store", small), "small.npy", "too small to be told apart")
    bad = write_store("bad.npy", [([float("nan")] * LENGTH, 0, 1)] + PLANTED)
    refused("not finite", ("kinds", "--store", bad), "sample 0 has a number that is negative or not finite")
    negative = write_store("negative.npy", [([-value for value in PLANTED[0][0]], 0, 1)] + PLANTED)
    for words in (("kinds",), ("--query", 0), ("--query", 5)):
        refused(f"negative {words}", (*words, "--store", negative, "--similarity", "roots"), "sample 0 has a number that is negative")


if __name__ == "__main__":
    raise SystemExit(run_tests((test_planted_kinds, test_outputs, test_choices, test_names_and_sheet, test_few, test_many, test_refusals),
                               scratch))
