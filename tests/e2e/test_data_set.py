#!/usr/bin/env python3
"""A whole data set through psal-stats and psal-neighbors: Fashion-MNIST's 10,000 test images and the ResNet-18 in the box.

    tests/e2e/test_data_set.py TOOLS-DIR SOURCE-DIR [IMAGES]

Statistics, store, records and figures; accuracy as weights/README.md says; statistics as the stored profiles say; the
neighbours of a mistake as their definition says; some of the images once more, in one run and in three merged parts. Fewer
IMAGES where the programs are slow (sanitizers). Needs Debian's dataset-fashion-mnist, nothing beside Python else. Prints a line
per failure and "N passed, N failed"; the status is 1 when one failed."""
import array
import csv
import json
import math
import pathlib
import re
import shutil
import struct
import sys

from checks import check, finish
from programs import network as NETWORK, root, run_text, scratch

IMAGES = int(sys.argv[3]) if len(sys.argv) > 3 else 10000
DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
SPEC = f"idx:{DATA}/t10k-images-idx3-ubyte.gz,{DATA}/t10k-labels-idx1-ubyte.gz"
FIGURES = {"groups.png", "mean_profiles.png", "depth.png", "profiles.csv", "depth.csv"}


def run(program, *arguments):
    done = run_text(program, *arguments)
    if done.returncode:
        raise RuntimeError(f"{program}: status {done.returncode}: {done.stderr}")
    return done.stdout


def read_tensors(path):
    """({name: values} of float64 tensors, metadata)"""
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    metadata = header.pop("__metadata__")
    return {name: struct.unpack(f"<{(e['data_offsets'][1] - e['data_offsets'][0]) // 8}d",
                                data[start + e["data_offsets"][0]:start + e["data_offsets"][1]])
            for name, e in header.items()}, metadata


def read_table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def read_store(path, count):
    """The rows of a float32 .npy"""
    data = path.read_bytes()
    start = 10 + struct.unpack("<H", data[8:10])[0]
    text = data[10:start].decode()
    rows, length = map(int, re.search(r"'shape': \((\d+), (\d+)\)", text).groups())
    if "'descr': '<f4'" not in text or rows != count or len(data) != start + 4 * rows * length:
        raise RuntimeError(f"{path}: {text}, {len(data)} bytes, {count} samples")
    return [array.array("f", data[start + 4 * length * i:start + 4 * length * (i + 1)]) for i in range(count)]


def close(found, expected, relative, absolute=0.0):
    return len(found) == len(expected) and all(abs(a - b) <= relative * abs(b) + absolute for a, b in zip(found, expected))


def png_size(path):
    data = path.read_bytes()
    return struct.unpack(">II", data[16:24]) if data[:8] == b"\x89PNG\r\n\x1a\n" and data[-8:-4] == b"IEND" else (0, 0)


def whole_run(out, images, how="--first"):
    return run("psal-stats", "--quiet", "--weights", NETWORK, "--data", SPEC, how, images, "--out", out / "s.safetensors",
               "--profiles", out / "p.npy", "--predicted", "--figures", out / "figures")


def test_run(out):
    """(store's profiles, records, statistics)"""
    said = whole_run(out, IMAGES)
    tensors, metadata = read_tensors(out / "s.safetensors")
    records = read_table(out / "p.npy.csv")
    right = sum(row["label"] == row["predicted"] for row in records)
    check("records", len(records) == IMAGES and all(row["status"] == "ok" for row in records)
          and [int(row["index"]) for row in records] == list(range(IMAGES)), len(records))
    counts = [int(metadata[f"psal.{key}"]) for key in ("count", "correct", "incorrect", "skipped")]
    check("counts", counts == [IMAGES, right, IMAGES - right, 0], f"{counts}, {right} right by the records")
    check("what it says", f"{IMAGES} samples: {right} correct" in said, said)
    if IMAGES == 10000:
        row = re.search(r"^\| ResNet-18 \|.*\| ([\d.]+) % \| (\d+) \|$", (root / "weights" / "README.md").read_text(), re.M)
        check("accuracy is that of weights/README.md", [f"{right / 100:.2f}", str(IMAGES - right)] == list(row.groups()),
              f"{right} right, README: {row.groups()}")
    profiles = read_store(out / "p.npy", len(records))
    largest = max(tensors["mean"])
    wrong = [p for p, row in zip(profiles, records) if row["label"] != row["predicted"]]
    columns = [array.array("d", column) for column in zip(*profiles)]
    check("mean is that of the stored profiles", close([sum(c) / IMAGES for c in columns], tensors["mean"], 1e-9, 1e-12 * largest))
    check("mean.incorrect is that of the stored profiles", close([sum(column) / len(wrong) for column in zip(*wrong)],
                                                                 tensors["mean.incorrect"], 1e-9, 1e-12 * largest))
    deviation = [math.sqrt(sum((x - m) ** 2 for x in c) / (IMAGES - 1)) for c, m in zip(columns, tensors["mean"])]
    check("std is that of the stored profiles", close(deviation, tensors["std"], 1e-9, 1e-12 * largest))
    return profiles, records, tensors


def test_figures(out, records, tensors):
    folder = out / "figures"
    names = {path.name for path in folder.iterdir()}
    check("figures", names == FIGURES, names)
    check("pictures", all(min(png_size(folder / name)) > 400 for name in FIGURES if name.endswith(".png")))
    mistakes = sum(row["label"] != row["predicted"] for row in records)
    depth = read_table(folder / "depth.csv")
    for kind in ("standardized", "naive"):
        check(f"depth.csv: ten filters of each mistake, {kind}", sum(int(row[kind]) for row in depth) == 10 * mistakes
              and abs(sum(float(row[f"{kind}_percent"]) for row in depth) - 100) < 1e-9, mistakes)
    check("depth.csv: the layers", sum(int(row["filters"]) for row in depth) == len(tensors["mean"])
          and depth[0]["layer"] == "conv1.weight" and len(depth) == 20, len(depth))
    table = read_table(folder / "profiles.csv")
    check("profiles.csv", [float(row["mean"]) for row in table] == list(tensors["mean"])
          and [float(row["mean_incorrect"]) for row in table] == list(tensors["mean.incorrect"])
          and close([float(row["standardized_predicted"]) for row in table],
                    [(p - m) / (s if s > 1e-14 else 1) for p, m, s in zip(tensors["mean.predicted"], tensors["mean"], tensors["std"])],
                    1e-12, 1e-12))


def test_depth(out, profiles, records, tensors):
    """The counts of depth.csv from the store, by sorting"""
    depth = read_table(out / "figures" / "depth.csv")
    layer_of = [i for i, row in enumerate(depth) for _ in range(int(row["filters"]))]
    counts = [0] * len(depth)
    for profile, row in zip(profiles, records):
        if row["label"] != row["predicted"]:
            standardized = [(x - m) / (s if s > 1e-14 else 1) for x, m, s in zip(profile, tensors["mean"], tensors["std"])]
            for entry in sorted(range(len(profile)), key=lambda i: -standardized[i])[:10]:
                counts[layer_of[entry]] += 1
    found = [int(row["standardized"]) for row in depth]
    # The program's profiles are float32: a tie in the tenth place may fall otherwise.
    check("depth.csv is what the store says", sum(abs(a - b) for a, b in zip(counts, found)) <= 2, f"{found}, not {counts}")


def test_parts(out):
    """Three parts of some of the images, drawn at random, and their merge: the tables and figures of one run"""
    images = min(IMAGES, 1000)
    out, place = out / "one", out / "parts"
    out.mkdir(), place.mkdir()
    whole_run(out, images, "--limit")
    common = ["--quiet", "--weights", NETWORK, "--data", SPEC, "--profiles", place / "p.npy"]
    for part in (3, 1, 2):
        run("psal-stats", *common, "--limit", images, "--out", place / "s.safetensors", "--predicted", "--shard", f"{part}/3")
    run("psal-stats", "merge", place / "s.safetensors", *sorted(place.glob("s.part-*.safetensors")), *common,
        "--figures", place / "figures")
    one, joined = (read_tensors(p / "s.safetensors") for p in (out, place))
    check("merged statistics", one[1] == joined[1] and one[0].keys() == joined[0].keys()
          and all(close(joined[0][name], one[0][name], 1e-12) for name in one[0]))
    same = [name for name in ("p.npy", "p.npy.csv", "figures/depth.csv", "figures/depth.png")
            if (place / name).read_bytes() != (out / name).read_bytes()]
    classes = [row["label"] for row in read_table(out / "p.npy.csv")]
    check("each class has its share", images == IMAGES or {classes.count(c) for c in set(classes)} == {images // 10}, classes[:20])
    check("merged tables and figures", not same and {p.name for p in (place / "figures").iterdir()} == FIGURES, f"{same} differ")


def test_neighbors(out, profiles, records, tensors):
    """Of the mistake with the largest loss, among all mistakes"""
    mistakes = [i for i, row in enumerate(records) if row["label"] != row["predicted"]]
    query = max(mistakes, key=lambda i: float(records[i]["loss"]))
    vectors = {}
    for i in mistakes:
        vector = [(x - m) / (s if s > 1e-14 else 1) for x, m, s in zip(profiles[i], tensors["mean"], tensors["std"])]
        middle = sum(vector) / len(vector)
        norm = math.sqrt(sum((x - middle) ** 2 for x in vector))
        vectors[i] = [(x - middle) / norm for x in vector]
    similarity = {i: sum(a * b for a, b in zip(vectors[query], vectors[i])) for i in mistakes if i != query}
    expected = sorted(similarity, key=lambda i: -similarity[i])[:12]
    sheet, table = out / "sheet.png", out / "near.csv"
    answer = json.loads(run("psal-neighbors", "--quiet", "--json", "--store", out / "p.npy", "--stats", out / "s.safetensors",
                            "--query", query, "--mistakes", "--top", 12, "--data", SPEC, "--sheet", sheet, "--csv", table))
    found = answer["queries"][0]["neighbors"]
    check("neighbours", [n["sample"] for n in found] == expected, f"{[n['sample'] for n in found]}, not {expected}")
    check("their similarity", close([n["similarity"] for n in found], [similarity[i] for i in expected], 0, 1e-6))
    check("their names", all(n["path"] == records[n["sample"]]["path"] for n in found), found[:2])
    check("their sheet", min(png_size(sheet)) > 200, png_size(sheet))
    check("their table", [int(row["sample"]) for row in read_table(table)] == expected, read_table(table)[0])


def main():
    if not DATA.is_dir():
        print("SKIPPED: Debian's dataset-fashion-mnist is not installed")
        return 77
    try:
        profiles, records, tensors = test_run(scratch)
        for test, arguments in ((test_figures, (scratch, records, tensors)), (test_depth, (scratch, profiles, records, tensors)),
                                (test_parts, (scratch,)), (test_neighbors, (scratch, profiles, records, tensors))):
            try:
                test(*arguments)
            except Exception as caught:  # the rest still says what it has to say
                check(test.__name__, False, f"{type(caught).__name__}: {caught}")
    except Exception as caught:
        check("test_run", False, f"{type(caught).__name__}: {caught}")
    return finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
