#!/usr/bin/env python3
"""Reference sets (psal-stats --only): 300 images of Fashion-MNIST, the ResNet-18 in the box.

    tests/e2e/test_reference_sets.py TOOLS-DIR SOURCE-DIR

Statistics are those of the set's stored profiles; every tool says of which set they are; sets are not mixed. Needs Debian's
dataset-fashion-mnist, nothing beside Python else. Prints a line per failure and "N passed, N failed"."""
import csv
import json
import math
import struct

from checks import check, run_tests
from programs import bag, network, run_text, samples, scratch
from test_tail import SPEC, read_tensors

IMAGES = 300
SETS = ("correct", "incorrect", "Bag")
NAMES = {"correct": "correct", "incorrect": "incorrect", "Bag": "class 8"}


def run(program, *arguments):
    done = run_text(program, *arguments)
    if done.returncode:
        raise RuntimeError(f"{program}: status {done.returncode}: {done.stderr}")
    return done


def refused(name, program, arguments, *said):
    done = run_text(program, *arguments)
    line = done.stderr.strip().split("\n")[-1]
    check(name, done.returncode == 1 and all(part in line for part in said), f"{done.returncode}: {line}")


def paths(only):
    return scratch / f"{only}.st", scratch / f"{only}.npy"


def stats(*arguments):
    return run("psal-stats", "--data", SPEC, "--limit", IMAGES, *arguments)


def read_store(path):
    """[(label, predicted, profile)]"""
    with open(f"{path}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    data = path.read_bytes()
    start = 10 + struct.unpack("<H", data[8:10])[0]
    length = (len(data) - start) // 4 // len(rows)
    return [(int(row["label"]), int(row["predicted"]), struct.unpack_from(f"<{length}f", data, start + 4 * length * i))
            for i, row in enumerate(rows)], json.loads(rows[0]["psal_settings"])


def members(only, rows):
    return [profile for label, predicted, profile in rows
            if (label == predicted if only == "correct" else label != predicted if only == "incorrect" else label == 8)]


def close(found, expected):
    return len(found) == len(expected) and all(abs(a - b) <= 1e-6 * abs(b) + 1e-12 for a, b in zip(found, expected))


def distance(a, b):
    return 1 - sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))


def test_sets():
    first = None
    for only in SETS:
        out, store = paths(only)
        said = stats("--only", only, "--out", out, "--profiles", store, "--profile-type", "float32", "--predicted").stdout
        rows, settings = read_store(store)
        first = first or rows
        check(f"{only}: the store has all samples", rows == first and len(rows) == IMAGES)
        profiles, (tensors, metadata) = members(only, rows), read_tensors(out)
        n = len(profiles)
        mean = [sum(column) / n for column in zip(*profiles)]
        std = [math.sqrt(sum((x - m) ** 2 for x in column) / (n - 1)) for column, m in zip(zip(*profiles), mean)]
        check(f"{only}: mean and deviation", close(tensors["mean"], mean) and close(tensors["std"], std))
        check(f"{only}: recorded", metadata["psal.only"] == NAMES[only] == settings["only"] and metadata["psal.count"] == str(n),
              (metadata["psal.only"], settings))
        check(f"{only}: said", f"only: {n}\n" in said, said)
        right = sum(label == predicted for label, predicted, _ in rows)
        check(f"{only}: of all samples", metadata["psal.correct"] == str(right) and metadata["psal.incorrect"] == str(IMAGES - right),
              metadata)
        true, predicted = (distance(tensors["mean.correct"], tensors[f"mean.{group}"]) for group in ("incorrect", "predicted"))
        check(f"{only}: distances", f"right and wrong samples: {true:.4f} (true label), {predicted:.4f} (predicted label)" in said and
              abs(float(metadata["psal.distance.incorrect"]) - true) < 1e-6 and
              abs(float(metadata["psal.distance.predicted"]) - predicted) < 1e-6, said)


def test_parts():
    for shard in (1, 2):
        stats("--only", "correct", "--out", scratch / "parts.st", "--shard", f"{shard}/2", "--quiet")
    parts = [scratch / f"parts.part-{shard}-of-2.st" for shard in (1, 2)]
    run("psal-stats", "merge", scratch / "merged.st", *parts)
    merged, whole = read_tensors(scratch / "merged.st"), read_tensors(paths("correct")[0])
    check("merged", close(merged[0]["mean"], whole[0]["mean"]) and merged[1]["psal.only"] == "correct" and
          merged[1]["psal.count"] == whole[1]["psal.count"], merged[1])
    stats("--out", scratch / "other.st", "--shard", "2/2", "--quiet")
    other = scratch / "other.part-2-of-2.st"
    refused("parts of two sets", "psal-stats", ("merge", scratch / "no.st", parts[0], other), "its reference set is 'all', not 'correct'")
    refused("in the other order", "psal-stats", ("merge", scratch / "no.st", other, parts[0]), "its reference set is 'correct', not 'all'")
    refused("resumed with another", "psal-stats", ("--data", SPEC, "--limit", IMAGES, "--out", scratch / "other.st", "--shard", "2/2",
                                                   "--resume", "--only", "incorrect"), "its reference set is 'all', but here it is 'incorrect'")
    refused("resumed with all", "psal-stats", ("--data", SPEC, "--limit", IMAGES, "--out", scratch / "parts.st", "--shard", "1/2",
                                               "--resume"), "its reference set is 'correct', but here it is 'all'")
    # An earlier version's part does not say it, and is of all samples.
    old = scratch / "old.part-2-of-2.st"
    data = other.read_bytes()
    check("the field is there", data.count(b'"psal.only":"all"') == 1)
    old.write_bytes(data.replace(b'"psal.only":"all"', b'"psal.onlx":"all"'))
    refused("an earlier version's", "psal-stats", ("merge", scratch / "no.st", parts[0], old), "its reference set is 'all', not 'correct'")
    join = ("merge", scratch / "no.st", *parts)
    for option, words in ((("--only", "correct"), "merge has no option --only"), (("--out", scratch / "none.st"), "merge has no option --out"),
                          (("--conv", "gemm"), "merge has no option --conv"), (("-k", 3), "--k-salient does nothing in merge without --figures"),
                          (("-w", network), "--weights does nothing in merge without --figures"),
                          (("--data", SPEC), "--data does nothing in merge without --records or --profiles"),
                          (("--records", "r.csv", "--profiles", "p.npy"), "--records would be the same table as p.npy.csv, which --profiles writes")):
        refused(f"merge {option[0]}", "psal-stats", (*join, *option), words)
    begin = ("--data", SPEC, "--limit", IMAGES, "--out", scratch / "no.st")
    for option, words in ((("--quantile", "0.8"), "--quantile is an option of 'psal-stats tail STORE OUT' only"),
                          (("--index", "x.csv"), "--index is an option of 'psal-stats tail STORE OUT' only"),
                          (("--profile-type", "float32"), "--profile-type does nothing without --profiles"),
                          (("-k", 3), "--k-salient does nothing without --figures")):
        refused(f"a run with {option[0]}", "psal-stats", (*begin, *option), words)
    check("nothing was written", not (scratch / "no.st").exists())
    done = run("psal-stats", "--data", SPEC, "--limit", IMAGES, "--out", scratch / "old.st", "--shard", "2/2", "--resume")
    check("which goes on without a note", "reference set" not in done.stderr, done.stderr)


def test_shown():
    out = paths("correct")[0]
    for program, arguments in (("psal-run", ("-w", network, "-i", bag, "-l", 8, "--out", scratch / "run")),
                               ("psal-prune", ("-k", 1, "-c", "salient")), ("psal-finetune", ("-k", 1, "-c", "salient"))):
        done = run(program, *arguments, "--stats", out, "--json")
        check(f"{program}: a note", "correct.st: statistics of samples that are right only" in done.stderr, done.stderr)
        check(f"{program}: recorded", json.loads(done.stdout)["settings"]["only"] == "correct")
    usual = json.loads(run("psal-run", "-w", network, "-i", bag, "-l", 8, "--out", scratch / "run", "--json").stdout)
    check("the box's are of all samples", usual["settings"]["only"] == "all", usual["settings"])


def test_stores():
    out, store = paths("correct")
    query = ("--query", 23, "--top", 3, "--json")
    given = json.loads(run("psal-neighbors", "--store", store, "--stats", out, *query).stdout)
    computed = json.loads(run("psal-neighbors", "--store", store, *query).stdout)
    same = [[(n["sample"], round(n["similarity"], 6)) for n in each["queries"][0]["neighbors"]] for each in (given, computed)]
    check("statistics computed from a store are of its set", same[0] == same[1], same)
    right = read_tensors(out)[1]["psal.count"]
    check("and say so", computed["statistics"] == f"computed from the store's {right} samples that are right", computed["statistics"])
    refused("a store with statistics of another set", "psal-neighbors", ("--store", store, "--stats", paths("incorrect")[0], *query),
            "its reference set is 'incorrect', but that of", "is 'correct'")
    said = run("psal-stats", "tail", store, scratch / "tails.st").stdout
    metadata = read_tensors(scratch / "tails.st")[1]
    check("tails of the set", f"from {right} samples that are right" in said and metadata["psal.only"] == "correct" and
          metadata["psal.tail_samples"] == right, (said, metadata))
    refused("normalized statistics of another set", "psal-finetune",
            ("--data", samples / "labels.csv", "-k", 1, "-c", "salient", "--similarity", "normalized", "--stats", out,
             "--normalized-stats", normalized()), "its reference set is 'all', but that of --stats is 'correct'")


def normalized():
    out = scratch / "normalized.st"
    run("psal-stats", "--data", samples / "labels.csv", "--normalized", "--out", out)
    return out


def test_refusals():
    refused("no such class", "psal-stats", ("--data", SPEC, "--limit", 20, "--out", scratch / "no.st", "--only", "boat"),
            "--only: correct, incorrect or a class", "boat")
    listed = scratch / "one.csv"
    listed.write_text(f"path,label\n{bag},8\n")
    refused("an empty set", "psal-stats", ("--data", listed, "--out", scratch / "no.st", "--only", "correct"),
            "no sample was left to make statistics of: of the samples that are right there are none")
    check("nothing was written", not (scratch / "no.st").exists())


if __name__ == "__main__":
    raise SystemExit(run_tests((test_sets, test_parts, test_shown, test_stores, test_refusals), scratch))
