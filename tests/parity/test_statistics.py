#!/usr/bin/python3
"""Statistics over a data set: psal-stats against a live Welford loop in PyTorch, in parts, and killed again and again.

    /usr/bin/python3 tests/parity/test_statistics.py --build DIR [--seed N|new] [--only TEXT] [--images N]

Two networks in the box on Fashion-MNIST (of the installed data set, else the samples in the box), and the real ResNet-50 on
../shared/imagenet-sample where both are at hand (24 of its images; all 500 with --slow). Compared are mean, deviation,
means of groups, and records, with PyTorch's; how far the profiles of both lie from PyTorch's in float64; statistics with the
stored profiles; 7 parts, merged, with one run; and what is there after kill -9 at 20 random points, each time resumed with
another number of threads, with an uninterrupted run, byte by byte. Without --slow the ResNet-50 that is killed looks at small
images. Prints a line per check and "N passed, N failed"; the status is 1 when one failed."""
import csv
import gzip
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # PyTorch's threads shall not spin beside psal's

import numpy as np  # noqa: E402
import torch  # noqa: E402
from PIL import Image  # noqa: E402

import command_line  # noqa: E402
import reference  # noqa: E402
from report import Report  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PHOTOS = ROOT.parent / "shared" / "imagenet-sample"
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
PARTS, KILLS = 7, 20
MOST_DOUBLE = 100  # images that are computed in float64, too
GROUPS = ("correct", "incorrect", "predicted")


# ---- a network and its samples ----

class Case:
    """What psal-stats and the loop are both given: `rows` is [(Pillow image or path, label)]."""

    def __init__(self, name, weights, spec, rows, shrink=None, aggregation="filter"):
        self.name, self.weights, self.spec, self.rows, self.shrink = name, weights, spec, rows, shrink
        self.aggregation = aggregation


def fashion_rows(count):
    """(what --data says, rows)"""
    images, labels = (FASHION / f"t10k-{what}-ubyte.gz" for what in ("images-idx3", "labels-idx1"))
    if not images.exists():
        listing = ROOT / "weights" / "fashion_samples" / "labels.csv"
        with open(listing, newline="") as file:
            return listing, [(listing.parent / r["path"], int(r["label"])) for r in csv.DictReader(file)][:count]
    pixels = np.frombuffer(gzip.decompress(images.read_bytes()), np.uint8, offset=16).reshape(-1, 28, 28)
    classes = gzip.decompress(labels.read_bytes())[8:]
    return f"idx:{images},{labels}", [(Image.fromarray(pixels[i]), classes[i]) for i in range(count)]


def box_case(arch, count, aggregation="filter"):
    spec, rows = fashion_rows(count)
    name = f"{arch} in the box{', rows' * (aggregation == 'row')}"
    return Case(name, ROOT / "weights" / f"fashion_{arch}.safetensors", spec, rows, aggregation=aggregation)


def real_case(count):
    given = os.environ.get("PSAL_REAL_WEIGHTS")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    weights = pathlib.Path(given) if given else pathlib.Path(cache) / "psal" / "resnet50-keras.safetensors"
    listing = PHOTOS / "labels.csv"
    if not weights.exists() or not listing.exists():
        print("SKIPPED real resnet50: its weights or ../shared/imagenet-sample are not here")
        return None
    with open(listing, newline="") as file:
        rows = [(PHOTOS / r["path"], int(r["label"])) for r in csv.DictReader(file)]
    return Case("real resnet50", weights, listing, rows[:count], "caffe;resize=72;crop=64")


# ---- psal's side ----

class Psal:
    def __init__(self, build):
        self.program = pathlib.Path(build).resolve() / "tools" / "psal-stats"
        self.environment = dict(os.environ, OMP_WAIT_POLICY="passive")

    def command(self, case, folder, *more):
        return [str(word) for word in (self.program, "--quiet", "--weights", case.weights, "--data", case.spec, "--first",
                                       len(case.rows), "--aggregation", case.aggregation, *self.files(folder), *more)]

    @staticmethod
    def files(folder):
        return ("--out", folder / "s.safetensors", "--profiles", folder / "p.npy")

    def run(self, *command):
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=self.environment)
        if done.returncode:
            raise RuntimeError(f"status {done.returncode}: {done.stderr.strip()}")


def results(folder):
    """name -> bytes of everything that a finished run has left behind"""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.startswith(".")}


# ---- against PyTorch ----

def welford_loop(case):
    """What psal-stats adds up, one sample at a time in float32: (Welford of all, {group: Welford}, records, profiles)"""
    model, metadata = reference.load_network(str(case.weights))
    everything, groups, records = reference.Welford(), {name: reference.Welford() for name in GROUPS}, []
    profiles = []
    for image, label in case.rows:
        inputs = reference.preprocess(image, metadata["psal.preprocess"])
        naive, logits = reference.naive_profile(model, inputs, label, case.aggregation)
        confidence = torch.softmax(logits.double(), 0)
        predicted = int(logits.argmax())
        everything.add(naive)
        groups["correct" if predicted == label else "incorrect"].add(naive)
        if predicted != label:
            groups["predicted"].add(reference.naive_profile(model, inputs, predicted, case.aggregation)[0])
        records.append((label, predicted, float(confidence[label]), float(confidence[predicted]),
                        float(-torch.log_softmax(logits.double(), 0)[label])))
        profiles.append(naive.numpy())
    return everything, groups, records, np.stack(profiles).astype(np.float64)


def relative(found, expected, where):
    """The largest relative error of the entries `where`; NaN counts as infinite."""
    error = np.abs(found - expected)[where] / np.abs(expected)[where]
    return float(np.where(np.isnan(error), np.inf, error).max()) if where.any() else 0.0


def agree(found, expected, where, share, distance):
    """Whether two results in float32 agree, and how: the share of entries with a relative error below 1e-4, the relative L2
    distance."""
    close = np.abs(found - expected)[where] < 1e-4 * np.abs(expected)[where]
    far = np.linalg.norm((found - expected)[where]) / np.linalg.norm(expected[where])
    return bool(close.mean() >= share and far < distance), f"{100 * close.mean():.2f} % within 1e-4, L2 {far:.1e}"


def off_kinks(found, expected):
    """Samples whose profiles agree. In float32 one of 10^7 ReLUs may decide the other way where its argument is a rounding
    error away from 0 (kinks.py), and everything in front of it differs then: now and then by a hundredth, of PyTorch's float32
    from its float64 just so. What is far smaller than a usual profile (of a sample that is right and sure) counts as agreeing."""
    distance, size = np.linalg.norm(found - expected, axis=1), np.linalg.norm(expected, axis=1)
    return distance <= np.maximum(1e-3 * size, 1e-4 * np.sqrt((size ** 2).mean()))


def compare_with_double(report, case, ours, theirs):
    """Photo by photo, psal's profiles lie no further from PyTorch's in float64 than PyTorch's in float32 do. This says more about
    how exact psal is than the statistics: of those, one photo with a large loss in which one ReLU decides the other way moves
    up to a tenth of the entries by more than 1e-4, and which photo that is, is luck: PyTorch's own float32 agrees with itself, with
    and without oneDNN, in 89 % of the means."""
    count = min(len(case.rows), MOST_DOUBLE)
    model, metadata = reference.load_network(str(case.weights))
    model.double()
    errors = []
    for (image, label), *found in zip(case.rows[:count], ours, theirs):
        # The same numbers go in: preprocessed in float32, as for the others.
        inputs = reference.preprocess(image, metadata["psal.preprocess"]).double()
        expected = reference.naive_profile(model, inputs, label, case.aggregation)[0].numpy()
        errors.append([np.linalg.norm(profile - expected) / np.linalg.norm(expected) for profile in found])
    errors = np.array(errors)
    psal, pytorch = np.median(errors, axis=0)
    far = (errors > 1e-4).sum(0)
    # Where no ReLU is near a kink, both are at float32's own rounding.
    report.check(f"{case.name}: as near to float64 as PyTorch", psal <= max(pytorch, 1e-6),
                 f"{count} images: median relative L2 error {psal:.1e}, PyTorch {pytorch:.1e}; "
                 f"above 1e-4 in {far[0]}, PyTorch in {far[1]}")


def read_records(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def compare_with_pytorch(report, psal, case, folder):
    start = time.monotonic()
    psal.run(*psal.command(case, folder, "--predicted", "--profile-type", "float32"))
    ours = time.monotonic() - start
    start = time.monotonic()
    everything, groups, records, theirs_stored = welford_loop(case)
    theirs = time.monotonic() - start
    tensors, metadata = reference.read_safetensors(folder / "s.safetensors")
    mean, std = everything.mean.numpy(), everything.std().numpy()
    where = std > 1e-10
    name = f"{case.name}, {len(case.rows)} images"
    for key, expected in (("mean", mean), ("std", std)):
        good, text = agree(tensors[key].numpy(), expected, where, 0.5, 5e-3)
        report.check(f"{name}: {key}", tensors[key].dtype == torch.float64 and good,
                     f"{text}, of {where.sum()} of {len(where)} filters")
    # compare_with_store checks that the file's statistics are those of the stored profiles, to the last digits; so those of
    # the samples off the kinks can be compared more strictly.
    profiles = np.load(folder / "p.npy").astype(np.float64)
    kept = off_kinks(profiles, theirs_stored)
    report.check(f"{name}: samples off kinks", kept.mean() >= 0.9, f"{kept.sum()} of {len(kept)}")
    welford = reference.Welford()
    for profile in theirs_stored[kept]:
        welford.add(torch.from_numpy(profile))
    for key, found, expected in (("mean", profiles[kept].mean(0), welford.mean), ("std", profiles[kept].std(0, ddof=1), welford.std())):
        good, text = agree(found, expected.numpy(), where & (expected.numpy() > 1e-10), 0.8, 5e-4)
        report.check(f"{name}: {key} over these", good, text)
    compare_with_double(report, case, profiles, theirs_stored)
    print(f"      {ours:.1f} s, PyTorch {theirs:.1f} s")
    counts = [int(metadata[f"psal.{key}"]) for key in ("count", "correct", "incorrect", "skipped")]
    report.check(f"{name}: counts", counts == [len(case.rows), groups["correct"].count, groups["incorrect"].count, 0],
                 f"{counts} samples, correct, incorrect, skipped")
    for group, welford in groups.items():
        found, text = tensors.get(f"mean.{group}"), "none"
        good = found is None
        if welford.count:
            good, text = agree(found.numpy(), welford.mean.numpy(), where & (welford.mean.numpy() > 1e-10), 0.5, 5e-3)
        report.check(f"{name}: mean.{group}", good, text)
    table = read_records(folder / "p.npy.csv")
    found = np.array([[float(row[key]) for key in ("label", "predicted", "target_confidence", "confidence", "loss")]
                      for row in table])
    expected = np.array(records)
    good = found.shape == expected.shape and (found[:, :2] == expected[:, :2]).all() \
        and (np.abs(found[:, 2:] - expected[:, 2:]) <= 5e-5 * (1 + np.abs(expected[:, 2:]))).all() \
        and [int(row["index"]) for row in table] == list(range(len(table))) \
        and all(row["correct"] == str(int(row["label"] == row["predicted"])) and row["status"] == "ok" for row in table)
    report.check(f"{name}: records", good, f"{len(table)} rows")
    compare_with_store(report, case, folder)


def compare_with_store(report, case, folder):
    """Statistics and means of groups are those of the stored float32 profiles, to the rounding of double."""
    tensors, _ = reference.read_safetensors(folder / "s.safetensors")
    profiles = np.load(folder / "p.npy").astype(np.float64)
    wrong = np.array([row["correct"] == "0" for row in read_records(folder / "p.npy.csv")])
    expected = {"mean": profiles.mean(0), "std": profiles.std(0, ddof=1)}
    for group, rows in (("correct", ~wrong), ("incorrect", wrong)):
        if rows.any():
            expected[f"mean.{group}"] = profiles[rows].mean(0)
    # A deviation is judged by what it was computed from: values of the size of the mean.
    error = {key: float((np.abs(tensors[key].numpy() - value) / np.maximum(np.abs(value) + 1e-3 * expected["mean"], 1e-300)).max())
             for key, value in expected.items()}
    report.check(f"{case.name}: statistics of the stored profiles", max(error.values()) < 1e-12 and profiles.any(),
                 ", ".join(f"{key} {value:.0e}" for key, value in error.items()))


def compare_halves(report, psal, case, folder, whole):
    """The store in half precision is the one in float32, each row divided by its scale and rounded."""
    psal.run(*psal.command(case, folder, "--predicted", "--profile-type", "scaled-float16"))
    half, single = np.load(folder / "p.npy", mmap_mode="r"), np.load(whole / "p.npy", mmap_mode="r")
    scale = np.array([float(row["scale"]) for row in read_records(folder / "p.npy.csv")])
    expected = (single.astype(np.float64) / scale[:, None]).astype(np.float32).astype(np.float16)
    powers = (np.log2(scale) == np.round(np.log2(scale))).all()
    report.check(f"{case.name}: the store in float16", half.dtype == np.float16 and np.array_equal(half, expected) and powers
                 and np.isfinite(half).all(), f"{half.shape[0]} x {half.shape[1]}")
    same = (folder / "s.safetensors").read_bytes() == (whole / "s.safetensors").read_bytes()
    report.check(f"{case.name}: the same statistics with another store", same)


# ---- in parts ----

def compare_parts(report, psal, case, folder, whole):
    """PARTS parts in any order, merged, are the one run whose results lie in `whole`."""
    order = list(range(1, PARTS + 1))
    random.shuffle(order)
    for part in order:
        psal.run(*psal.command(case, folder, "--predicted", "--profile-type", "float32", "--shard", f"{part}/{PARTS}", "--threads", 1 + part % 2))
    parts = sorted(folder.glob("s.part-*.safetensors"))
    psal.run(psal.program, "merge", folder / "s.safetensors", *parts, "--data", case.spec, *psal.files(folder)[2:])
    one, joined = (reference.read_safetensors(place / "s.safetensors") for place in (whole, folder))
    worst = max(relative(joined[0][key].numpy(), one[0][key].numpy(), one[0][key].numpy() != 0) for key in one[0])
    zeros = all(not joined[0][key][one[0][key] == 0].any() for key in one[0])
    report.check(f"{case.name}: {PARTS} parts merged are one run", one[0].keys() == joined[0].keys() and worst < 1e-12 and zeros
                 and one[1] == joined[1] and len(parts) == PARTS, f"relative difference {worst:.1e}")
    same = [name for name in ("p.npy", "p.npy.csv") if (whole / name).read_bytes() != (folder / name).read_bytes()]
    report.check(f"{case.name}: the parts' store and records joined", not same, f"{', '.join(same)} differ" if same else "")


# ---- killed ----

def wait_and_kill(process, rng, longest, folder):
    """SIGKILL at a random time, or at a delicate moment: while a file is being written, when one has got its name. True when
    it hit."""
    moment = rng.choice(("time", "time", "writing", "named"))
    begin = time.monotonic()
    delay = rng.uniform(0, longest)
    names = {path.name for path in folder.iterdir()}
    while process.poll() is None:
        now = time.monotonic() - begin
        if moment == "time" and now >= delay or now >= longest:
            break
        if moment != "time":
            new = {path.name for path in folder.iterdir()} - names
            if any(name.startswith(".") == (moment == "writing") for name in new):
                break
        time.sleep(0.0005)
    process.kill()
    return process.wait() == -9


def kill_and_resume(report, psal, case, folder, rng, slow):
    """The bytes of an uninterrupted run, after KILLS kills spread over as many runs as they need"""
    whole, broken = folder / "whole", folder / "broken"
    whole.mkdir()
    small = () if slow or not case.shrink else ("--preprocess", case.shrink)
    common = ("--predicted", "--save-every", 0, *small)
    start = time.monotonic()
    psal.run(*psal.command(case, whole, *common, "--threads", 2))
    expected, seconds = results(whole), time.monotonic() - start
    kills = runs = gone_on = 0
    different = []
    while kills < KILLS:
        shutil.rmtree(broken, ignore_errors=True)
        broken.mkdir()
        runs += 1
        while True:
            gone_on += (broken / "s.safetensors.partial").exists()
            command = psal.command(case, broken, *common, "--resume", "--threads", rng.randint(1, 3))
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=psal.environment)
            # About a quarter of the run each time, so that a run is killed at its beginning, in the middle and at its end.
            if kills < KILLS and wait_and_kill(process, rng, 0.2 + seconds * 0.5, broken):
                kills += 1
                process.stderr.close()
                continue
            said = process.communicate()[1]
            if process.returncode:
                raise RuntimeError(f"after {kills} kills: status {process.returncode}: {said.strip()}")
            break
        found = results(broken)
        different += [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
    report.check(f"{case.name}: {kills} x kill -9 and resumed, {len(case.rows)} images", not different and gone_on > KILLS // 4,
                 f"{runs} runs, gone on {gone_on} times; " + (f"other bytes in {', '.join(different)}" if different else
                                                              f"the same bytes in {', '.join(sorted(expected))}"))


def main():
    parser = command_line.parser(__doc__)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--images", type=int, help="of the real ResNet-50: 24, with --slow 500")
    args = parser.parse_args()
    print(f"seed {args.seed}")
    random.seed(args.seed)
    psal, report = Psal(args.build), Report()
    real = real_case(args.images or (500 if args.slow else 24))
    cases = [(box_case("resnet18", 100), 0 if real and not args.slow else 200), (box_case("densenet121", 30), 0),
             (box_case("resnet18", 40, "row"), 0), (real, 100 if args.slow else 40)]
    for case, to_kill in cases:
        if case is None or args.only not in case.name:
            continue
        with tempfile.TemporaryDirectory(prefix="psal-statistics-") as name:
            folder = pathlib.Path(name)
            for place in ("whole", "halves", "parts", "killed"):
                (folder / place).mkdir()
            try:
                compare_with_pytorch(report, psal, case, folder / "whole")
                compare_parts(report, psal, case, folder / "parts", folder / "whole")
                if case is not real:
                    compare_halves(report, psal, case, folder / "halves", folder / "whole")
                if to_kill:
                    longer = real_case(to_kill) if case is real else box_case("resnet18", to_kill)
                    kill_and_resume(report, psal, longer, folder / "killed", random, args.slow)
            except (RuntimeError, OSError, KeyError, ValueError) as caught:
                report.check(case.name, False, f"{type(caught).__name__}: {caught}")
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
