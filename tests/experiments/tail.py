#!/usr/bin/python3
"""In which stages the 10 most salient filters of mistakes lie: standard deviations (std) beside peaks over threshold (pot), on photos
as they are and under a domain shift (Wang, Sato 2023, arXiv 2310.17951).

    tests/experiments/tail.py --build DIR --data LIST.csv --weights FILE [--limit N] [--keep FOLDER]

LIST.csv: path,label. Statistics and tails are those of the clean photos, all of them; the mistakes are looked at with the photos as they
are, with noise, blurred, and with less contrast (the corrupted photos are made here). Prints per stage its share of the filters, and of
the top 10 of all mistakes by either score, and how far these are from the share of the filters (half the sum of the differences: 0 would be
chance). Needs Pillow and NumPy."""
import argparse
import csv
import json
import pathlib
import subprocess
import tempfile

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

KNOTS, TOP = 17, 10


def noisy(image, random):
    pixels = np.asarray(image, dtype=np.float64)
    return Image.fromarray((pixels + random.normal(0, 40, pixels.shape)).clip(0, 255).astype(np.uint8))


CORRUPTIONS = {"noise, sd 40": noisy, "blur, radius 3": lambda image, random: image.filter(ImageFilter.GaussianBlur(3)),
               "contrast 0.3": lambda image, random: ImageEnhance.Contrast(image).enhance(0.3)}


def read_list(path, limit):
    with open(path, newline="") as file:
        rows = [row for row in csv.reader(file) if row and row[0] != "path"]
    return [(path.parent / row[0], row[1]) for row in rows[:limit]]


def write_list(path, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    return path


def corrupt(rows, change, folder, random):
    folder.mkdir(exist_ok=True)
    made = []
    for number, (path, label) in enumerate(rows):
        file = folder / f"{number:05d}.png"
        if not file.exists():
            change(Image.open(path).convert("RGB"), random).save(file)
        made.append((file, label))
    return made


def profiles(options, listed, store):
    """Naive profiles [images, filters], and which are mistakes"""
    if not pathlib.Path(f"{store}.csv").exists():
        subprocess.run([options.build / "tools/psal-stats", "--weights", options.weights, "--data", listed, "--out", store.with_suffix(".st"),
                        "--profiles", store, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    with open(f"{store}.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return np.load(store).astype(np.float64), np.array([row["correct"] == "0" for row in rows])


def tensors(path):
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__")
    return {name: np.frombuffer(data[start + e["data_offsets"][0]:start + e["data_offsets"][1]]).reshape(e["shape"])
            for name, e in header.items()}


def scores(tail, samples, quantile, naive):
    """saliency/tail.h, of one profile; NaN without a tail"""
    knots, xi, sigma, rate = (tail[f"tail.{name}"] for name in ("quantiles", "shape", "scale", "rate"))
    found = np.full(len(naive), np.nan)
    for k in range(1, KNOTS):
        low, high = knots[:, k - 1], knots[:, k]
        inside = (naive > low) & (naive <= high)
        share = (k - 1 + (naive - low)[inside] / (high - low)[inside]) / (KNOTS - 1)
        found[inside] = -np.log(1 - quantile * share)
    found[naive <= knots[:, 0]] = 0
    above = (naive > knots[:, -1]) & (sigma > 0)
    x, c = (naive - knots[:, -1])[above] / sigma[above], np.where(np.abs(xi[above]) < 1e-12, 1e-12, xi[above])
    reach = np.where(c < 0, np.log(samples * rate[above]), np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        end = np.where(c < 0, np.expm1(c * reach) / c, np.inf)
        inner = np.log1p(c * np.minimum(x, end)) / c
        found[above] = inner + np.where(x > end, (x - end) * np.exp(-c * reach), 0) - np.log(rate[above])
    found[sigma == 0] = np.nan
    return found


def stage_of(options, photo, length):
    """A stage per filter, and their order: what psal-run calls the layers"""
    with tempfile.TemporaryDirectory() as folder:
        said = subprocess.run([options.build / "tools/psal-run", "--weights", options.weights, "--image-path", photo, "--mode", "naive", "--json",
                               "--quiet", "--top", str(length), "--out", folder], check=True, capture_output=True, text=True).stdout
    names = {row["filter"]: row["layer"].split(".")[0] for row in json.loads(said)["top_filters"]}
    stages = [names.get(f, "") for f in range(length)]
    for f in range(length):  # those without a gradient for this photo belong where their neighbours do
        stages[f] = stages[f] or (stages[f - 1] if f else names[min(names)])
    return np.array(stages), list(dict.fromkeys(stages))


def main():
    parser = argparse.ArgumentParser()
    for name in ("build", "data", "weights"):
        parser.add_argument(f"--{name}", type=lambda text: pathlib.Path(text).resolve(), required=True)
    parser.add_argument("--limit", type=int, help="corrupted photos of each kind")
    parser.add_argument("--keep", type=pathlib.Path, help="keep profiles and corrupted photos there, to go on with")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or pathlib.Path(scratch)
        folder.mkdir(exist_ok=True)
        rows = read_list(options.data, None)
        clean, wrong = profiles(options, write_list(folder / "clean.csv", rows), folder / "clean.npy")
        subprocess.run([options.build / "tools/psal-stats", "tail", folder / "clean.npy", folder / "tails.st"], check=True)
        tail = tensors(folder / "tails.st")
        mean, std = tail["mean"], tail["std"]
        stages, order = stage_of(options, rows[0][0], len(mean))
        share = np.array([np.mean(stages == stage) for stage in order])
        print(f"\n{'photos':16}{'mistakes':>9}  {'by':8}" + "".join(f"{stage:>9}" for stage in order) + f"{'apart':>9}")
        print(f"{'':16}{'':9}  {'filters':8}" + "".join(f"{100 * s:8.1f}%" for s in share))
        random = np.random.default_rng(1)
        for name, change in {"as they are": None, **CORRUPTIONS}.items():
            kind = name.split(",")[0].split(" ")[0]
            naive, bad = clean, wrong
            if change:
                made = corrupt(rows[:options.limit], change, folder / kind, random)
                naive, bad = profiles(options, write_list(folder / f"{kind}.csv", made), folder / f"{kind}.npy")
            for by in ("std", "pot"):
                counts = np.zeros(len(order))
                for profile in naive[bad]:
                    if by == "std":
                        values = np.where(std > 1e-14, (profile - mean) / np.where(std > 1e-14, std, 1), np.nan)
                    else:
                        values = scores(tail, len(clean), 0.9, profile)
                    top = np.argsort(-np.where(np.isnan(values), -np.inf, values), kind="stable")[:TOP]
                    counts += [np.sum(stages[top] == stage) for stage in order]
                found = counts / counts.sum()
                print(f"{name if by == 'std' else '':16}{bad.sum() if by == 'std' else '':>9}  {by:8}" +
                      "".join(f"{100 * s:8.1f}%" for s in found) + f"{100 * np.abs(found - share).sum() / 2:8.1f}%", flush=True)


if __name__ == "__main__":
    main()
