#!/usr/bin/python3
"""Are planted causes of failure found again as kinds of mistakes?

    tests/experiments/kinds.py --build DIR [--only NETWORK] [--seeds N] [--each N]

Fashion-MNIST's test images with five causes of failure planted in a part of them: a bright patch in a corner, a turn by 90 degrees, inverted
contrast, noise, and a shift by a quarter of the image (EACH images for every cause, and as many as all of them as they are). Each
network of the box makes its mistakes on them, and psal-neighbors kinds puts the mistakes into kinds, by their saliency profiles (each of
its similarities), and by the features in front of the last layer (the usual way; the same clustering), and simply by the confused
pair of classes. Compared with the causes: adjusted mutual information (Vinh, Epps, Bailey 2010; 0 by chance, 1 the same; mistakes
that are left single form a group), over mistakes of planted images, for as many kinds as the silhouettes say and for ten; and how many of the ten most central mistakes of a kind share
their most frequent cause. Prints means and standard deviations over the seeds as Markdown. Fails when the profiles' kinds agree
with the causes less than the confused pairs do. Needs Debian's dataset-fashion-mnist (else skipped, status 77), NumPy, SciPy and PyTorch."""
import argparse
import csv
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from PIL import Image
from scipy.special import gammaln

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "parity"))
import reference  # noqa: E402

DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
NETWORKS = ("resnet18", "vgg19", "densenet121", "inception_v3")
CAUSES = ("corner patch", "turned", "inverted", "noise", "shifted")
SIDE, CENTRAL = 28, 10


def plant(cause, images, random):
    if cause == "corner patch":
        images = images.copy()
        images[:, 1:8, 1:8] = 255
    elif cause == "turned":
        images = np.rot90(images, axes=(1, 2))
    elif cause == "inverted":
        images = 255 - images
    elif cause == "noise":
        images = (images + random.normal(0, 80, images.shape)).clip(0, 255).astype(np.uint8)
    elif cause == "shifted":
        images = np.pad(images, ((0, 0), (7, 0), (7, 0)))[:, :SIDE, :SIDE]
    return images


def read_idx(name, header):
    return np.frombuffer(gzip.open(DATA / name).read(), np.uint8, offset=header)


def write_idx(path, array):
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + np.ascontiguousarray(array).tobytes())


def make_images(folder, seed, each):
    """The data set's name for psal, the images, and each one's cause (len(CAUSES): none)."""
    images, labels = read_idx("t10k-images-idx3-ubyte.gz", 16).reshape(-1, SIDE, SIDE), read_idx("t10k-labels-idx1-ubyte.gz", 8)
    random = np.random.default_rng(seed)
    order = random.permutation(len(images))[:2 * len(CAUSES) * each]
    parts = [plant(cause, images[order[i * each:(i + 1) * each]], random) for i, cause in enumerate(CAUSES)]
    parts.append(images[order[len(CAUSES) * each:]])
    write_idx(folder / "images", np.concatenate(parts))
    write_idx(folder / "labels", labels[order])
    return (f"idx:{folder}/images,{folder}/labels", np.concatenate(parts),
            np.concatenate([np.full(len(part), i) for i, part in enumerate(parts)]))


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stderr.strip()}")
    return done.stdout


def features(weights, images):
    """What goes into the last linear layer."""
    model, info = reference.load_network(weights)
    last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
    found = []
    handle = last.register_forward_hook(lambda module, inputs, output: found.append(inputs[0].flatten(1).numpy()))
    with torch.no_grad():
        for batch in range(0, len(images), 100):
            model(torch.cat([reference.preprocess(Image.fromarray(image), info["psal.preprocess"]) for image in images[batch:batch + 100]]))
    handle.remove()
    return np.concatenate(found)


def adjusted_mutual_information(a, b):
    table = np.zeros((len(np.unique(a)), len(np.unique(b))))
    np.add.at(table, (np.unique(a, return_inverse=True)[1], np.unique(b, return_inverse=True)[1]), 1)
    n, rows, columns = table.sum(), table.sum(1), table.sum(0)
    there = table > 0
    information = (table[there] / n * np.log(table[there] * n / np.outer(rows, columns)[there])).sum()
    expected = 0
    for x in rows:
        for y in columns:
            k = np.arange(max(1, x + y - n), min(x, y) + 1)
            chance = np.exp(gammaln(x + 1) + gammaln(y + 1) + gammaln(n - x + 1) + gammaln(n - y + 1) - gammaln(n + 1) - gammaln(k + 1)
                            - gammaln(x - k + 1) - gammaln(y - k + 1) - gammaln(n - x - y + k + 1))
            expected += (k / n * np.log(n * k / (x * y)) * chance).sum()
    entropy = [-(counts / n * np.log(counts / n)).sum() for counts in (rows, columns)]
    return (information - expected) / (sum(entropy) / 2 - expected)


def judge(kind, central, cause):
    """AMI on planted mistakes, and the precision of the most central ones."""
    planted = cause < len(CAUSES)
    shares = []
    for k in range(kind.max() + 1):
        members = np.flatnonzero(kind == k)
        if len(members) >= CENTRAL:
            best = members[np.argsort(-central[members], kind="stable")[:CENTRAL]]
            shares.append(np.bincount(cause[best]).max() / CENTRAL)
    return adjusted_mutual_information(kind[planted], cause[planted]), np.mean(shares) if shares else np.nan, kind.max() + 1


def kinds_of(build, store, similarity, causes, *options):
    result = json.loads(run(build / "tools/psal-neighbors", "kinds", "--store", store, "--similarity", similarity, *options, "--json",
                            "--quiet"))
    samples = [mistake["sample"] for mistake in result["mistakes"]]
    kind = np.array([-1 if mistake["kind"] is None else mistake["kind"] - 1 for mistake in result["mistakes"]])
    central = np.array([np.nan if mistake["central"] is None else mistake["central"] for mistake in result["mistakes"]])
    return judge(kind, central, causes[samples])


def both(build, store, similarity, causes):
    agreement, central, kinds = kinds_of(build, store, similarity, causes)
    return agreement, central, kinds, kinds_of(build, store, similarity, causes, "--kinds", 10)[0]


def one(build, network, seed, each, folder):
    """{way: (AMI, precision, kinds, AMI of ten kinds)} and the number of mistakes of planted images"""
    weights = ROOT / f"weights/fashion_{network}.safetensors"
    data, images, causes = make_images(folder, seed, each)
    store = folder / "store.npy"
    run(build / "tools/psal-stats", "-w", weights, "-d", data, "-o", folder / "s.safetensors", "--profiles", store, "--quiet")
    ways = {f"profiles, {similarity}": both(build, store, similarity, causes) for similarity in ("roots", "pearson")}
    with open(f"{store}.csv", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["index"]))
    np.save(folder / "features.npy", features(weights, images).astype(np.float32))
    with open(folder / "features.npy.csv", "w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "predicted"]] + [[row["path"], row["label"], row["predicted"]] for row in rows])
    ways["features"] = both(build, folder / "features.npy", "pearson", causes)
    pairs = np.array([int(row["label"]) * 10 + int(row["predicted"]) for row in rows])
    wrong = np.array([row["label"] != row["predicted"] for row in rows])
    pair = np.unique(pairs[wrong], return_inverse=True)[1]
    ways["confused pair"] = (*judge(pair, np.zeros(len(pair)), causes[wrong]), np.nan)
    return ways, int((wrong & (causes < len(CAUSES))).sum())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--only", choices=NETWORKS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--each", type=int, default=400)
    args = parser.parse_args()
    if not (DATA / "t10k-images-idx3-ubyte.gz").exists():
        print("skipped: dataset-fashion-mnist is not installed")
        return 77
    torch.set_num_threads(2)
    print("| network | mistakes | by | kinds | agreement with the causes | of ten kinds | ten most central of one cause % |\n"
          "|---|--:|---|--:|--:|--:|--:|")
    failed = False
    for network in [args.only] if args.only else NETWORKS:
        results, mistakes = {}, []
        for seed in range(1, args.seeds + 1):
            with tempfile.TemporaryDirectory() as folder:
                ways, count = one(args.build, network, seed, args.each, pathlib.Path(folder))
            mistakes.append(count)
            for way, values in ways.items():
                results.setdefault(way, []).append(values)
        for way, values in results.items():
            mean, sd = np.mean(values, 0), np.std(values, 0, ddof=1) if args.seeds > 1 else np.zeros(4)
            pair = way == "confused pair"
            central, ten = ("", "") if pair else (f"{100 * mean[1]:.0f} ± {100 * sd[1]:.0f}", f"{mean[3]:.3f} ± {sd[3]:.3f}")
            print(f"| {network} | {np.mean(mistakes):.0f} | {way} | {mean[2]:.1f} | {mean[0]:.3f} ± {sd[0]:.3f} | {ten} | {central} |", flush=True)
        failed = failed or np.mean(results["profiles, roots"], 0)[0] <= np.mean(results["confused pair"], 0)[0]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
