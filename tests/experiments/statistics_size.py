#!/usr/bin/python3
"""How many images statistics need: rankings of mistakes by the statistics of n images beside those of all.

    tests/experiments/statistics_size.py --build DIR

All 10,000 test images of Fashion-MNIST, the ResNet-18 in weights/. For each n, 10 random draws of n images; of up to 200 mistakes that are
not among them: how many of the 10 and of the 100 most salient filters are the same, and the cosine of the two profiles. Half a minute."""
import argparse
import csv
import pathlib
import subprocess
import tempfile

import numpy as np

DATA = "/usr/share/datasets/fashion-mnist/t10k"
SIZES, DRAWS, MISTAKES = (20, 50, 100, 200, 500, 1000, 2000, 5000), 10, 200


def profiles(build, folder):
    """[images, filters], and whether each image is a mistake"""
    store = folder / "profiles.npy"
    subprocess.run([build / "tools/psal-stats", "--data", f"idx:{DATA}-images-idx3-ubyte.gz,{DATA}-labels-idx1-ubyte.gz", "--quiet",
                    "--out", folder / "statistics.safetensors", "--profiles", store], stdout=subprocess.DEVNULL, check=True)
    with open(f"{store}.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    return np.load(store), np.array([row["correct"] == "0" for row in rows])


def common(a, b, k):
    """Means over samples (rows) of how many of their k largest are the same"""
    tops = [np.argsort(-values, axis=1)[:, :k] for values in (a, b)]
    return np.mean([len(np.intersect1d(x, y)) for x, y in zip(*tops)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=lambda text: pathlib.Path(text).resolve(), required=True)
    with tempfile.TemporaryDirectory() as folder:
        naive, wrong = profiles(parser.parse_args().build, pathlib.Path(folder))
    mean, std, random = naive.mean(0), naive.std(0, ddof=1), np.random.default_rng(1)
    print("images  top 10  top 100  cosine (median)")
    for n in SIZES:
        tens, hundreds, cosines = [], [], []
        for _ in range(DRAWS):
            drawn = random.choice(len(naive), n, replace=False)
            others = random.permutation(np.setdiff1d(np.flatnonzero(wrong), drawn))[:MISTAKES]
            m, s = naive[drawn].mean(0), naive[drawn].std(0, ddof=1)
            live = (s > 1e-14) & (std > 1e-14)
            a, b = (((naive[others] - x) / y)[:, live] for x, y in ((mean, np.maximum(std, 1e-14)), (m, np.maximum(s, 1e-14))))
            tens.append(common(a, b, 10))
            hundreds.append(common(a, b, 100))
            cosines += list((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))
        print(f"{n:6d}  {np.mean(tens):6.1f}  {np.mean(hundreds):7.0f}  {np.median(cosines):15.3f}")


if __name__ == "__main__":
    main()
