#!/usr/bin/python3
"""psal-check against live PyTorch and SciPy: the same filters switched off, the same first-order estimates, the same rank correlations.

    /usr/bin/python3 tests/parity/test_checks.py --build DIR [--only ablate]

ablate: three samples of the box with two of its networks, filters zeroed and channels removed: changes of the loss and of the wrong
class's logit within 1e-4, -sum g w and the mean of g within 1e-3 of their length (float32 decides some ReLUs at random), and Spearman's
and Kendall's correlations as scipy.stats has them. Prints a line per case and "N passed, N failed"; the status is 1 when one failed."""
import argparse
import copy
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import scipy.stats
import torch

import reference
from report import Report

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
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


CHECKS = {"ablate": test_ablate}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--only", choices=CHECKS)
    arguments = parser.parse_args()
    report = Report()
    for name in [arguments.only] if arguments.only else CHECKS:
        CHECKS[name](arguments.build, report)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
