#!/usr/bin/python3
"""psal-check against live PyTorch and SciPy: the same filters switched off, the same first-order estimates, the same rank correlations.

    /usr/bin/python3 tests/parity/test_checks.py --build DIR [--slow] [--only ablate|mask|randomize|real]

ablate: three samples of the box with two of its networks, filters zeroed and channels removed: changes of the loss and of the wrong
class's logit within 1e-4, -sum g w and the mean of g within 1e-3 of their length (float32 decides some ReLUs at random), and Spearman's
and Kendall's correlations as scipy.stats has them. mask: the most salient pixels of one sample hidden, with three networks: the standardized saliency
of the top filters within 1e-3, the confidence within 1e-4. randomize: a layer redrawn,
rank correlations and structural similarity within 1e-3. real (slow): the changes of three ImageNet mistakes of the real ResNet-50
(PSAL_REAL_WEIGHTS, or resnet50-keras.safetensors in psal's cache), when it and ../shared/imagenet-sample are at hand. Prints a line per
case and "N passed, N failed"; the status is 1 when one failed."""
import copy
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import scipy.ndimage
import scipy.stats
import torch

import command_line
import reference
from report import Report

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PHOTOS = 60
SAMPLES = (("bag_called_sandal", 8), ("coat_called_dress", 4), ("trouser_called_dress", 1))


def run(build, *arguments):
    done = subprocess.run([str(pathlib.Path(build).resolve() / "tools/psal-check"), *map(str, arguments), "--quiet", "--json"],
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)


def answers(model, image, label, wrong=None):
    """The loss, and the wrong class's logit"""
    with torch.no_grad():
        logits = model(image)[0].double()
    others = logits.clone()
    others[label] = -np.inf
    wrong = int(others.argmax()) if wrong is None else wrong
    return float(torch.nn.functional.cross_entropy(logits[None], torch.tensor([label]))), float(logits[wrong]), wrong


def first_order(model, image, label):
    """For each filter the mean of g and -sum g w"""
    loss = torch.nn.functional.cross_entropy(model(image), torch.tensor([label]))
    weights = [p for p in model.parameters() if p.dim() == 4]
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    signed, product = [], []
    for weight, gradient in zip(weights, gradients):
        gradient = torch.zeros_like(weight) if gradient is None else gradient
        signed.append(gradient.flatten(1).double().mean(1))
        product.append(-(gradient.double() * weight.detach().double()).flatten(1).sum(1))
    return torch.cat(signed).numpy(), torch.cat(product).numpy()


def close(got, expected):
    return float(np.linalg.norm(got - expected) / np.linalg.norm(expected))


def test_ablate(build, report):
    for arch in ("resnet18", "vgg19"):
        weights = ROOT / "weights" / f"fashion_{arch}.safetensors"
        model, metadata = reference.load_network(weights)
        for (sample, label), how in zip(SAMPLES, ("weights", "channel", "weights")):
            path = ROOT / "weights/fashion_samples" / f"{sample}.png"
            image = reference.preprocess(path, metadata["psal.preprocess"])
            with tempfile.TemporaryDirectory() as folder:
                table = pathlib.Path(folder) / "samples.csv"
                answer = run(build, "ablate", "-w", weights, "-i", path, "-l", label, "--filters", 40, "--how", how, "--samples", table)
                with open(table, newline="") as file:
                    rows = list(csv.DictReader(file))
            number = lambda column: np.array([float(row[column]) for row in rows])
            filters = number("number").astype(int)
            loss, logit, wrong = answers(model, image, label)
            changes = []
            for filter_number in filters.tolist():
                edited = copy.deepcopy(model)
                if how == "weights":
                    reference.zero_filters(edited, [filter_number])
                else:
                    reference.zero_channels(edited, [filter_number], image)
                after = answers(edited, image, label, wrong)
                changes.append((after[0] - loss, after[1] - logit))
            expected = np.array(changes)
            worst = max(np.abs(number("loss_change") - expected[:, 0]).max(), np.abs(number("wrong_logit_change") - expected[:, 1]).max())
            report.check(f"{arch} {sample} {how}: changes", worst <= 1e-4 and np.abs(expected).max() > 1e-2, f"{worst:.2g}")
            signed, product = first_order(model, image, label)
            far = close(number("signed"), signed[filters]), close(number("gradient_weight"), product[filters])
            report.check(f"{arch} {sample} {how}: first order", max(far) <= 1e-3, f"{far[0]:.2g}, {far[1]:.2g}")
            compare_correlations(f"{arch} {sample} {how}", answer, number, report)
            profile = gradient_weight(build, weights, path, label)
            far = close(profile, product)
            report.check(f"{arch} {sample}: psal-run --gradient-weight --signed", len(profile) == len(product) and far <= 1e-3, f"{far:.2g}")


def gradient_weight(build, weights, path, label):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([str(pathlib.Path(build).resolve() / "tools/psal-run"), "-w", weights, "-i", path, "-l", str(label), "--mode", "naive",
                        "--gradient-weight", "--signed", "--figures", "none", "--quiet", "--out", folder, "--dump", folder],
                       check=True, stdout=subprocess.DEVNULL)
        return np.load(pathlib.Path(folder) / "naive.npy")


def test_real(build, report):
    """Three mistakes among the first photos: the changes that psal measures with all it shares between filters"""
    given, cache = os.environ.get("PSAL_REAL_WEIGHTS"), os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    weights = pathlib.Path(given) if given else pathlib.Path(cache) / "psal" / "resnet50-keras.safetensors"
    photos = ROOT.parent / "shared/imagenet-sample"
    if not weights.exists() or not (photos / "labels.csv").exists():
        print("SKIPPED real: its weights or ../shared/imagenet-sample are not here")
        return
    model, metadata = reference.load_network(weights)
    owners = [(parameter, row) for name, parameter in model.named_parameters() if reference.takes_part(name, parameter)
              for row in range(parameter.shape[0])]
    with open(photos / "labels.csv", newline="") as file:
        paths = {row["path"]: photos / row["path"] for row in list(csv.DictReader(file))[:PHOTOS]}
    with tempfile.TemporaryDirectory() as folder:
        listing, table = pathlib.Path(folder) / "list.csv", pathlib.Path(folder) / "samples.csv"
        lines = (photos / "labels.csv").read_text().splitlines()[1:PHOTOS + 1]
        listing.write_text("\n".join(["path,label", *(f"{photos}/{line}" for line in lines)]) + "\n")
        run(build, "ablate", "-w", weights, "--stats", ROOT / "weights/resnet50-keras_stats.safetensors", "--data", listing, "--first", 3,
            "--filters", 60, "--samples", table)
        with open(table, newline="") as file:
            rows = list(csv.DictReader(file))
    for name in sorted({row["name"] for row in rows}):
        own = [row for row in rows if row["name"] == name]
        image, label = reference.preprocess(next(p for path, p in paths.items() if name.endswith(path)), metadata["psal.preprocess"]), \
            int(own[0]["label"])
        loss, logit, wrong = answers(model, image, label)
        worst, largest = 0, 0
        for row in own:
            parameter, channel = owners[int(row["number"])]
            with torch.no_grad():
                before = parameter[channel].clone()
                parameter[channel] = 0
                after = answers(model, image, label, wrong)
                parameter[channel] = before
            worst = max(worst, abs(after[0] - loss - float(row["loss_change"])), abs(after[1] - logit - float(row["wrong_logit_change"])))
            largest = max(largest, abs(after[0] - loss))
        report.check(f"real {pathlib.Path(name).name}: {len(own)} changes", len(own) == 60 and worst <= 1e-4 and largest > 1e-2, f"{worst:.2g}")
    report.check("real: three mistakes", len({row["name"] for row in rows}) == 3)


def compare_correlations(name, answer, number, report):
    worst = 0
    for row in answer["rows"]:
        x = number(row["ranking"].replace("-", "_"))
        y = number("loss_change" if row["effect"].startswith("loss") else "wrong_logit_change")
        if row["effect"].endswith("-size"):
            x, y = np.abs(x) if row["ranking"] in ("signed", "gradient-weight") else x, np.abs(y)
        worst = max(worst, abs(scipy.stats.spearmanr(x, y)[0] - row["spearman"]["mean"]),
                    abs(scipy.stats.kendalltau(x, y)[0] - row["kendall"]["mean"]))
    report.check(f"{name}: correlations", worst <= 1e-9, f"{worst:.2g}")


# ---- mask ----

def pixels_of(gradient):
    """What the heat map paints, before clipping: |maximum over the channels|, blurred"""
    return blurred(np.abs(gradient.max(0)))


def blurred(heat):
    """3x3, [1 2 1]/4 in both directions, the border mirrored"""
    heat = np.pad(heat, 1, mode="reflect")
    for axis in (0, 1):
        n = heat.shape[axis]
        take = lambda first: np.take(heat, range(first, n - 2 + first), axis)
        heat = (take(0) + 2 * take(1) + take(2)) / 4
    return heat


def filling_of(fill, image):
    if fill == "mean":
        return np.broadcast_to(image.mean((1, 2), keepdims=True), image.shape)
    deviation = max(image.shape[1:]) / 16
    return scipy.ndimage.gaussian_filter(image, (0, deviation, deviation), mode="nearest", truncate=3)


def test_mask(build, report):
    """The pixels of the heat map, hidden: what is left of the top filters, and the confidences"""
    for arch, fill in (("resnet18", "mean"), ("vgg19", "blur"), ("densenet121", "mean")):
        weights = ROOT / "weights" / f"fashion_{arch}.safetensors"
        model, metadata = reference.load_network(weights)
        tensors, _ = reference.read_safetensors(ROOT / "weights" / f"fashion_{arch}_stats.safetensors")
        mean, std = tensors["mean"].double(), tensors["std"].double()
        sample, label = SAMPLES[0]
        path = ROOT / "weights/fashion_samples" / f"{sample}.png"
        image = reference.preprocess(path, metadata["psal.preprocess"])
        with tempfile.TemporaryDirectory() as folder:
            table = pathlib.Path(folder) / "samples.csv"
            run(build, "mask", "-w", weights, "-i", path, "-l", label, "--percent", "5,20", "--fill", fill, "--samples", table)
            with open(table, newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["pixels"] == "heat-map"]
        naive, _ = reference.naive_profile(model, image, label)
        standardized = reference.standardize(naive.double(), mean, std)
        live = reference.rankable(naive, mean, std)
        top = [f for f in torch.sort(-standardized, stable=True)[1].tolist() if live[f]][:10]
        gradient = reference.input_saliency(model, image, label, mean, std).numpy()
        order = np.argsort(-pixels_of(gradient).ravel(), kind="stable")
        pixels = image[0].numpy().astype(np.float64)
        filling = filling_of(fill, pixels)
        for row in rows:
            hidden = np.zeros(order.size, bool)
            hidden[order[:round(order.size * float(row["percent"]) / 100)]] = True
            masked = torch.from_numpy(np.where(hidden.reshape(pixels.shape[1:]), filling, pixels).astype(np.float32))[None]
            after = reference.standardize(reference.naive_profile(model, masked, label)[0].double(), mean, std)[top]
            with torch.no_grad():
                confidences = torch.softmax(model(masked)[0].double(), 0)
            far = abs(float(row["saliency"]) / float(after.mean()) - 1), abs(float(row["true_confidence"]) - float(confidences[label]))
            report.check(f"{arch} {fill} {row['percent']} %", far[0] <= 1e-3 and far[1] <= 1e-4, f"{far[0]:.2g}, {far[1]:.2g}")


# ---- randomize ----

MASK = 2 ** 64 - 1


def permuted(values, seed):
    """values in the order that splitmix64 from `seed` gives them by Fisher and Yates"""
    values, state = values.copy(), seed & MASK

    def below(limit):
        nonlocal state
        while True:
            state = (state + 0x9E3779B97F4A7C15) & MASK
            z = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) & MASK
            z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
            z ^= z >> 31
            if z < MASK - MASK % limit:
                return z % limit
    for i in range(len(values) - 1, 0, -1):
        j = below(i + 1)
        values[i], values[j] = values[j], values[i]
    return values


def ssim(a, b):
    """Wang et al. 2004, by SciPy's Gaussian filter"""
    smooth = lambda x: scipy.ndimage.gaussian_filter(x, 1.5, truncate=5 / 1.5)[5:-5, 5:-5]
    ma, mb = smooth(a), smooth(b)
    va, vb, cov = smooth(a * a) - ma * ma, smooth(b * b) - mb * mb, smooth(a * b) - ma * mb
    return float(((2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4))).mean())


def test_randomize(build, report):
    """One layer of a network redrawn here and there: what is left of profile and heat map"""
    for arch, layer in (("resnet18", "layer4.1.conv2.weight"), ("resnet18", "fc.weight"), ("vgg19", "features.0.weight")):
        weights = ROOT / "weights" / f"fashion_{arch}.safetensors"
        model, metadata = reference.load_network(weights)
        tensors, _ = reference.read_safetensors(ROOT / "weights" / f"fashion_{arch}_stats.safetensors")
        mean, std = tensors["mean"].double(), tensors["std"].double()
        sample, label = SAMPLES[0]
        path = ROOT / "weights/fashion_samples" / f"{sample}.png"
        image = reference.preprocess(path, metadata["psal.preprocess"])
        rows = run(build, "randomize", "-w", weights, "-i", path, "-l", label, "--by", "layer", "--random-labels", 0, "--seed", 5)["rows"]
        row = next(row for row in rows if row["redrawn"] == "alone" and row["stage"] == layer)
        number = [name for name, _ in model.named_parameters()].index(layer)
        other = copy.deepcopy(model)
        weight = dict(other.named_parameters())[layer]
        values = permuted(weight.detach().numpy().ravel(), 5 ^ (number + 1) * 0x9E3779B97F4A7C15 & MASK)
        weight.data = torch.from_numpy(values).reshape(weight.shape)
        profiles, heats, pictures = [], [], []
        for network in (model, other):
            naive = reference.naive_profile(network, image, label)[0]
            live = reference.rankable(naive, mean, std)
            profiles.append([naive[live].numpy(), reference.standardize(naive.double(), mean, std)[live].numpy()])
            gradient = reference.input_saliency(network, image, label, mean, std)
            heats.append(pixels_of(gradient.numpy()))
            pictures.append(blurred(reference.heat_map(gradient).double().numpy()))
        expected = [*(scipy.stats.spearmanr(a, b)[0] for a, b in zip(*profiles)),
                    scipy.stats.spearmanr(heats[0].ravel(), heats[1].ravel())[0], ssim(*pictures)]
        got = [row[m]["mean"] for m in ("naive_spearman", "standardized_spearman", "map_spearman", "map_ssim")]
        worst = float(np.abs(np.array(got) - expected).max())
        report.check(f"{arch} {layer}", worst <= 1e-3, f"{worst:.2g}: {np.round(got, 4)}, expected {np.round(expected, 4)}")


CHECKS = {"ablate": test_ablate, "mask": test_mask, "randomize": test_randomize, "real": test_real}


def main():
    parser = command_line.parser(__doc__)
    parser.add_argument("--only", choices=CHECKS)
    arguments = parser.parse_args()
    report = Report()
    for name in [arguments.only] if arguments.only else (check for check in CHECKS if check != "real" or arguments.slow):
        CHECKS[name](arguments.build, report)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
