#!/usr/bin/python3
"""Neighbours: psal-neighbors against NumPy's exact answer, on profile stores made here.

    /usr/bin/python3 tests/parity/test_neighbors.py --build DIR [--seed N] [--large] [--keep DIR]

DIR is the build directory. Stores are float32 and float16 (with a scale per row), of profiles whose sizes differ as those
of real samples do; all similarities, mistakes only, a class, a range of layers, all pairs and single queries. --large adds
a store of 50,000 x 26,560 float16 (2.7 GB, in --keep DIR or the temporary folder) and measures time and memory. Prints a
line per check and "N passed, N failed"; the status is 1 when one failed.
"""
import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from report import Report

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
import process_memory  # noqa: E402

CLASSES = 10


def make_profiles(rng, samples, length):
    """Losses from 1e-8 to 10, groups of samples with a common cause, filters of different size and some dead ones."""
    causes = rng.gamma(0.3, size=(12, length))
    size = np.exp(rng.uniform(np.log(np.where(rng.random(samples) < 0.1, 1e-8, 1e-2)), np.log(10), samples))
    filters = np.exp(rng.normal(0, 2, length)) * (rng.random(length) > 0.02)
    mix = causes[rng.integers(0, 12, samples)] + rng.gamma(0.5, size=(samples, length))
    return (size[:, None] * filters * mix).astype(np.float32)


def write_store(folder, name, profiles, label, predicted, half):
    """What psal-stats writes: the matrix and its table. Returns paths and the profiles as they can be read back."""
    scale = np.ones(len(profiles))
    stored = profiles
    if half:
        largest = np.abs(profiles).max(1)
        exponent = np.where(largest > 0, np.floor(np.log2(np.where(largest > 0, largest, 1))) - 14, 0)
        scale = 2.0 ** exponent
        stored = (profiles / scale[:, None]).astype(np.float16)
    np.save(folder / f"{name}.npy", stored)
    with open(folder / f"{name}.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow("index path label predicted confidence target_confidence loss scale".split())
        for i in range(len(profiles)):
            table.writerow([i, f"sample {i}, '{label[i]}'.png", label[i], predicted[i], 0.5, 0.25, 1.5, repr(float(scale[i]))])
    return folder / f"{name}.npy", folder / f"{name}.csv", stored.astype(np.float32) * scale[:, None].astype(np.float32)


def unit_vectors(profiles, similarity, columns, dtype=np.float64):
    """The definition, in NumPy."""
    s = profiles.astype(np.float64)
    if similarity == "normalized":
        norm = np.sqrt((s * s).sum(1, keepdims=True))
        s = s / np.where(norm > 0, norm, 1)
    mean, std = s.mean(0), s.std(0, ddof=1)
    s = ((s - mean) / np.where(std <= 1e-14, 1, std))[:, columns].astype(dtype)
    if similarity == "pearson":
        s = s - s.mean(1, keepdims=True)
    norm = np.sqrt((s * s).sum(1, keepdims=True))
    return s / np.where(norm > 0, norm, 1)


def exact(vectors, query, candidates, top):
    candidates = candidates[candidates != query]
    values = vectors[candidates] @ vectors[query]
    order = np.argsort(-values, kind="stable")[:top]
    return candidates[order], values[order]


def run(program, *arguments):
    return subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True)


def ask(report, name, program, *arguments):
    done = run(program, *arguments, "--json")
    if done.returncode:
        report.check(name, False, done.stderr.strip())
        return None
    return json.loads(done.stdout)


def compare(report, name, answer, vectors, candidates, top, tie=1e-8):
    """The same samples in the same order; where NumPy's similarities agree within `tie` (its own rounding), any order."""
    if answer is None:
        return
    wrong = ties = 0
    worst = 0.0
    counts = np.zeros(len(vectors), int)
    for query in answer["queries"]:
        indices, values = exact(vectors, query["sample"], candidates, top)
        found = [n["sample"] for n in query["neighbors"]]
        counts[found] += 1
        worst = max(worst, *(abs(n["similarity"] - v) for n, v in zip(query["neighbors"], values)))
        if found == list(indices):
            continue
        same = len(set(found)) == len(indices) and query["sample"] not in found and set(found) <= set(candidates)
        same = same and np.abs(vectors[found] @ vectors[query["sample"]] - values).max() <= tie
        ties += same
        wrong += not same
    hub = answer["hub"]
    good = wrong == 0 and worst < max(tie, 1e-8) and hub["queries"] == counts.max() and hub["sample"] == counts.argmax()
    report.check(name, good, f"{len(answer['queries'])} queries, {wrong} differ, {ties} within ties; similarity within {worst:.1e}")


def small_stores(report, program, folder, rng):
    samples, length, top = 400, 1920, 8
    profiles = make_profiles(rng, samples, length)
    label = rng.integers(0, CLASSES, samples)
    predicted = np.where(rng.random(samples) < 0.4, rng.integers(0, CLASSES, samples), label)
    everything = np.arange(samples)
    mistakes = everything[label != predicted]
    for half in (False, True):
        kind = "float16" if half else "float32"
        store, table, readable = write_store(folder, kind, profiles, label, predicted, half)
        base = ["--store", store, "--index", table, "--top", top]
        for similarity in ("cosine", "pearson", "normalized"):
            vectors = unit_vectors(readable, similarity, slice(None))
            how = [*base, "--similarity", similarity]
            compare(report, f"{kind} {similarity}: all pairs", ask(report, "all", program, *how, "--query", "all"),
                    vectors, everything, top)
            compare(report, f"{kind} {similarity}: mistakes", ask(report, "mistakes", program, *how, "--query", "all", "--mistakes"),
                    vectors, mistakes, top)
            compare(report, f"{kind} {similarity}: one query, class 3",
                    ask(report, "class", program, *how, "--query", 7, "--class", 3), vectors, everything[label == 3], top)
            compare(report, f"{kind} {similarity}: a few queries",
                    ask(report, "few", program, *how, "--query", "5,9-11", "--threads", 1), vectors, everything, top)
            if not half:  # on float32 arithmetic as well: the same neighbours
                compare(report, f"{kind} {similarity}: NumPy in float32",
                        ask(report, "all", program, *how, "--query", "0-49", "--threads", 3),
                        unit_vectors(readable, similarity, slice(None), np.float32).astype(np.float64), everything, top, 1e-6)
    outputs = {run(program, *base, "--query", "all", "--json", "--threads", t).stdout for t in (1, 2, 5)}
    report.check("1, 2 and 5 threads give the same bytes", len(outputs) == 1 and len(next(iter(outputs))) > 1000)
    table_file = folder / "out.csv"
    done = run(program, *base, "--query", "3", "--csv", table_file)
    rows = list(csv.DictReader(open(table_file))) if done.returncode == 0 else []
    report.check("CSV", len(rows) == top and [int(r["rank"]) for r in rows] == list(range(1, top + 1))
                 and rows[0]["query_path"] == f"sample 3, '{label[3]}'.png", done.stderr.strip())


def refusals(report, program, folder, rng):
    profiles = make_profiles(rng, 20, 30)
    label = np.zeros(20, int)
    store, table, _ = write_store(folder, "bad", profiles, label, label, False)
    cut = folder / "cut.npy"
    cut.write_bytes(store.read_bytes()[:-1])
    spoilt = profiles.copy()
    spoilt[11, 4] = np.nan
    nan, _, _ = write_store(folder, "nan", spoilt, label, label, False)
    for name, arguments, text in [
            ("a store cut short", ["--store", cut, "--index", table, "--query", 0], "truncated"),
            ("NaN in a profile", ["--store", nan, "--index", table, "--query", 0], "sample 11"),
            ("a sample that is not there", ["--store", store, "--index", table, "--query", 20], "0 to 19"),
            ("no such list", ["--store", store, "--index", table, "--query", "1-x"], "1-x"),
            ("no mistakes", ["--store", store, "--index", table, "--query", 0, "--mistakes"], "no sample"),
            ("no question", ["--store", store, "--index", table], "--query"),
            ("no table", ["--store", store, "--index", folder / "none.csv", "--query", 0], "none.csv"),
            ("layers of another network", ["--store", store, "--index", table, "--query", 0, "--layers", "layer4"], "30"),
            ("a folder that is not there", ["--store", store, "--index", table, "--query", 0, "--csv", folder / "x/y.csv"],
             "x/y.csv")]:
        done = run(program, *arguments)
        if name == "layers of another network" and "comes with psal" in done.stderr:
            print("SKIPPED", name, "(the build folder does not lie in the sources)")
            continue
        lines = [line for line in done.stderr.splitlines() if "mostly chance" not in line]  # of few samples, as this store is
        report.check(f"refused: {name}", done.returncode == 1 and text in done.stderr and len(lines) == 1,
                     done.stderr.strip().replace(str(folder), "")[:150])


def large_store(report, program, folder, rng):
    samples, length, top = 50000, 26560, 10
    path = folder / "large.npy"
    if not path.exists():
        data = np.lib.format.open_memmap(path, "w+", np.float16, (samples, length))
        base = rng.gamma(0.5, 100, length)
        for i in range(0, samples, 1000):
            data[i:i + 1000] = base * rng.random((1000, length), dtype=np.float32)
        data.flush()
        del data
    label = rng.integers(0, 1000, samples)
    # As psal-stats writes for profiles of very different size; the question is about a large one, as those of mistakes are.
    scale = 2.0 ** rng.integers(-20, 3, samples)
    query = int(np.flatnonzero(scale == scale.max())[7])
    with open(folder / "large.csv", "w") as file:
        file.write("index,path,label,predicted,scale\n")
        for i in range(samples):
            file.write(f"{i},{i}.jpg,{label[i]},{label[i]},{float(scale[i])!r}\n")
    # Statistics beforehand, so that the query itself is measured.
    data = np.load(path, mmap_mode="r")

    def blocks():
        for i in range(0, samples, 1000):
            yield i, data[i:i + 1000].astype(np.float64) * scale[i:i + 1000, None]

    mean = sum(block.sum(0) for _, block in blocks()) / samples
    std = np.sqrt(sum(((block - mean) ** 2).sum(0) for _, block in blocks()) / (samples - 1))
    np.savez(folder / "stats.npz", mean=mean, std=std)
    std = np.where(std <= 1e-14, 1, std)
    arguments = ["--store", path, "--index", folder / "large.csv", "--query", query, "--top", top, "--stats", folder / "stats.npz"]
    reading, times = [], []
    for _ in range(5):  # in turn, so that a busy machine hits both alike
        begin = time.perf_counter()
        with open(path, "rb", buffering=0) as file:
            chunk = bytearray(1 << 22)
            while file.readinto(chunk):
                pass
        reading.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        answer = ask(report, "large", program, *arguments)
        times.append(time.perf_counter() - begin)
    status, _, memory = process_memory.run([program, *arguments], interval=0.001, stdout=subprocess.DEVNULL)
    report.check("the query whose memory is measured", status == 0)
    vector = (data[query] * scale[query] - mean) / std
    vector /= np.linalg.norm(vector)
    values = np.empty(samples)
    for i, block in blocks():
        block = (block - mean) / std
        values[i:i + 1000] = block @ vector / np.linalg.norm(block, axis=1)
    values[query] = -2
    order = np.argsort(-values, kind="stable")[:top]
    found = [n["sample"] for n in answer["queries"][0]["neighbors"]] if answer else []
    report.check("50,000 samples: the exact neighbours", found == list(order))
    report.check("a query within twice the reading of the store", min(times) < 2 * min(reading),
                 f"{min(times):.2f} s; reading from the page cache {min(reading):.2f} s")
    report.check("memory below 300 MB", 0 < memory.allocated <= memory.resident < 300, memory)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True)
    parser.add_argument("--seed", type=int, default=20260)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--keep", help="folder for the large store")
    options = parser.parse_args()
    program = pathlib.Path(options.build) / "tools" / "psal-neighbors"
    if not program.exists():
        raise SystemExit(f"{program} is not built")
    rng = np.random.default_rng(options.seed)
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        small_stores(report, program, pathlib.Path(folder), rng)
        refusals(report, program, pathlib.Path(folder), rng)
        if options.large:
            large_store(report, program, pathlib.Path(options.keep or folder), rng)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
