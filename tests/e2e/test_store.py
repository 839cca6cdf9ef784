#!/usr/bin/env python3
"""The store of profiles as people read it: its .npy holds the profiles themselves, psal-neighbors finds network, class names and
pictures from the store's own table, from any folder, and stores of earlier versions are read.

    tests/e2e/test_store.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import array
import csv
import json
import shutil
import struct
import sys

import networks
from checks import check, run_tests
from programs import network, run_text as run, samples, scratch

home, elsewhere = scratch / "home", scratch / "elsewhere"
NAMES = [f"thing {i}" for i in range(10)]


def make(name, *more, labels="names.txt"):
    """A store of the box's images, made in `home` with relative names"""
    if not home.exists():
        home.mkdir(), elsewhere.mkdir()
        shutil.copytree(samples, home / "pictures")
        shutil.copy(network, home / "net.safetensors")
        (home / "names.txt").write_text("\n".join(NAMES) + "\n")
    done = run("psal-stats", "-q", "-w", "net.safetensors", "--data", "pictures/labels.csv", "--out", f"{name}.st", "--profiles",
               f"{name}.npy", *(("--labels", labels) if labels else ()), *more, cwd=home)
    check(f"psal-stats {more}", done.returncode == 0, done.stderr)
    return home / f"{name}.npy"


def rows_of(path):
    data = path.read_bytes()
    start = 10 + struct.unpack("<H", data[8:10])[0]
    header = data[10:start].decode()
    length = int(header.split("(")[1].split(")")[0].split(",")[1])
    return list(struct.iter_unpack(f"<{length}{'e' if '<f2' in header else 'f'}", data[start:]))


def table_of(path):
    with open(f"{path}.csv", newline="") as file:
        return list(csv.DictReader(file))


def ask(store, *arguments):
    done = run("psal-neighbors", "--store", store, *arguments, "--json", cwd=elsewhere)
    return done, json.loads(done.stdout) if done.returncode == 0 else None


def test_numbers():
    """A row is the naive profile that psal-run computes; scaled halves are it, too, by the column scale"""
    rows, table = rows_of(make("plain")), table_of(home / "plain.npy")
    check("no scale is needed", "scale" not in table[0], list(table[0]))
    for i in (0, 3, 8):
        done = run("psal-run", "-w", network, "-i", samples / table[i]["path"], "-l", table[i]["label"], "--mode", "naive", "--figures",
                   "none", "-o", scratch / "run", "--dump", scratch / "dump")
        data = (scratch / "dump/naive.npy").read_bytes()
        naive = array.array("f", data[10 + struct.unpack("<H", data[8:10])[0]:])
        largest = max(naive)
        check(f"row {i} is the profile", done.returncode == 0 and max(abs(a - b) for a, b in zip(rows[i], naive)) < 1e-5 * largest)
    halves, scaled = rows_of(make("halves", "--profile-type", "scaled-float16")), table_of(home / "halves.npy")
    for row, half, record in zip(rows, halves, scaled):
        scale = float(record["scale"])
        check("scaled halves", max(abs(a - scale * b) for a, b in zip(row, half)) <= 2 ** -11 * max(row))
    (_, plain), (_, other) = (ask(home / f"{name}.npy", "--query", "0,3", "--top", 3, "-q") for name in ("plain", "halves"))
    found = [[[n["sample"] for n in query["neighbors"]] for query in answer["queries"]] for answer in (plain, other)]
    check("both find the same", found[0] == found[1], found)


def test_found_again():
    """Names, pictures and network from the table, in another folder than the store was made in"""
    store = make("plain")
    source = json.loads(table_of(store)[0]["psal_source"])
    check("the record", source == {"data": str(home.resolve() / "pictures/labels.csv"), "labels": NAMES,
                                   "weights": str(home.resolve() / "net.safetensors")}, source)
    done = run("psal-neighbors", "--store", store, "--query", "0", "--top", 2, "--sheet", "sheet.png", cwd=elsewhere)
    check("names and pictures", done.returncode == 0 and "thing 8, predicted thing 5" in done.stdout
          and (elsewhere / "sheet.png").stat().st_size > 5000, done.stdout + done.stderr)
    done, answer = ask(store, "-i", samples / "shirt_called_bag.png", "-l", "thing 6", "--top", 1)
    check("the network", done.returncode == 0 and len(answer["itself"]) == 1 and table_of(store)[answer["itself"][0]]["path"] ==
          "shirt_called_bag.png" != answer["queries"][0]["neighbors"][0]["path"], done.stderr)
    done, answer = ask(store, "--query", "0", "--layers", "layer4", "--labels", "fashion-mnist")
    check("its layers", done.returncode == 0 and 0 < answer["entries"] < 1200, done.stderr)
    # of a built-in set only the name is kept; what the command line says comes first
    short = make("short", labels=None)
    check("a built-in set", json.loads(table_of(short)[0]["psal_source"])["labels"] == "fashion-mnist")
    done = run("psal-neighbors", "--store", short, "--query", "0", "--labels", home / "names.txt", cwd=elsewhere)
    check("--labels", "thing 8" in done.stdout, done.stderr)


def test_options_of_the_network():
    """What a checkpoint does not say is kept as it was given"""
    bare = networks.write(scratch / "bare.safetensors", networks.read(network)[0], {})
    how = ("-w", bare, "--preprocess", "rgb;crop=32;scale=255;mean=0.286;std=0.353")
    done = run("psal-stats", "-q", *how, "--data", samples / "labels.csv", "--out", scratch / "bare.st", "--profiles", scratch / "bare.npy")
    check("made", done.returncode == 0, done.stderr)
    done, answer = ask(scratch / "bare.npy", "-i", samples / "shirt_called_bag.png", "-l", 6, "--top", 1)
    check("found again", done.returncode == 0 and len(answer["itself"]) == 1, done.stderr)
    same = ask(scratch / "bare.npy", "--query", answer["itself"][0], "--top", 1)[1]["queries"][0]["neighbors"][0]
    check("with the same profile", same["sample"] == answer["queries"][0]["neighbors"][0]["sample"] and
          abs(same["similarity"] - answer["queries"][0]["neighbors"][0]["similarity"]) < 1e-5, (same, answer))


def test_gone():
    """What is not there any more is named, in one line that says what to give"""
    store = make("gone")
    (home / "net.safetensors").rename(home / "moved.safetensors")
    (home / "pictures").rename(home / "moved")
    try:
        for arguments, words in [(("--query", 0, "--layers", "layer4"), ("net.safetensors", "--weights says where it is now")),
                                 (("--query", 0, "--sheet", "x.png"), ("--sheet without --data", "pictures/labels.csv"))]:
            done, _ = ask(store, *arguments, "-q")
            lines = [line for line in done.stderr.splitlines() if ": note: " not in line]
            check(f"{arguments}", done.returncode == 1 and len(lines) == 1 and all(word in lines[0] for word in words), done.stderr)
        done = run("psal-neighbors", "--store", store, "--query", 0, "--sheet", "y.png", "--data", home / "moved/labels.csv", "-w",
                   home / "moved.safetensors", "--layers", "layer4", cwd=elsewhere)
        check("given anew", done.returncode == 0, done.stderr)
    finally:
        (home / "moved.safetensors").rename(home / "net.safetensors")
        (home / "moved").rename(home / "pictures")


def test_replaced():
    """A picture of the store that is another one now, of the same name and size"""
    store = make("replaced")
    data = ("-w", home / "net.safetensors", "--data", home / "pictures/labels.csv")
    commands = (("psal-neighbors", "--store", store, "--query", 0, "--sheet", "r.png"),
                *((program, *data, "--store", store, "-k", 1, "--choice", "salient") for program in ("psal-prune", "psal-finetune")))
    name = table_of(store)[0]["path"]
    picture = home / "pictures" / name
    before = picture.read_bytes()
    picture.write_bytes(before[:-1] + b"x")
    try:
        for command in commands:
            done = run(*command, "-q", cwd=elsewhere)
            check(f"{command[0]}: is told", done.returncode == 1 and f"{name} was replaced" in done.stderr, done.stdout + done.stderr)
    finally:
        picture.write_bytes(before)
    for command in commands:
        done = run(*command, "-q", cwd=elsewhere)
        check(f"{command[0]}: as it was", done.returncode == 0, done.stderr)


def test_earlier_stores():
    """float16 with a column scale in another place and no psal_source: the same neighbours"""
    store = make("halves", "--profile-type", "scaled-float16")
    table = table_of(store)
    old = elsewhere / "old.npy"
    shutil.copy(store, old)
    columns = ["index", "path", "label", "predicted", "correct", "target_confidence", "confidence", "loss", "scale", "status", "group",
               "psal_settings"]
    with open(f"{old}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(table)
    (_, new), (done, answer) = (ask(path, "--query", "0,3", "--top", 3, "-q") for path in (store, old))
    found = [[[(n["sample"], n["similarity"]) for n in query["neighbors"]] for query in result["queries"]] for result in (new, answer)]
    check("an earlier store", done.returncode == 0 and found[0] == found[1], found)
    for text, word in (("{", "psal_source"), ('{"weights": 3}', "'weights' is no text"), ('{"labels": [1]}', "psal_source")):
        with open(f"{old}.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, [*columns, "psal_source"], extrasaction="ignore")
            writer.writeheader()
            writer.writerows([dict(table[0], psal_source=text), *({**row, "psal_source": ""} for row in table[1:])])
        done, _ = ask(old, "--query", 0, "-q")
        check(f"a damaged record {text}", done.returncode == 1 and word in done.stderr and done.stderr.count("\n") == 1, done.stderr)


if __name__ == "__main__":
    sys.exit(run_tests((test_numbers, test_found_again, test_options_of_the_network, test_gone, test_replaced, test_earlier_stores), scratch))
