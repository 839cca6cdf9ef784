#!/usr/bin/python3
"""The Python module psal beside PyTorch in one process: a live network's state_dict, explained by both.

    /usr/bin/python3 tests/parity/test_python.py --build DIR [--seed N|new] [--only NETWORK]

Thin networks with random weights; PyTorch computes in float64. Logits and profiles agree within 1e-4 of their largest number (the naive
one also by its norm). So does the gradient behind the heat map, within 3e-3 of its norm, in networks that are smooth (GELU); where
ReLU and max pooling flip single pixels in float32, within a cosine of 0.99. Then what the module promises of a live
network: memory is shared, a change is noticed, tensors of other types serve, a tensor is an image. Prints a line per check and
"N passed, N failed"; the status is 1 when one failed."""
import copy
import os
import pathlib
import sys
import warnings

import numpy as np
import torch

import command_line
import reference
from report import Report

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NETWORKS = {"resnet18": (0.25, 64), "vgg11_bn": (0.25, 64), "densenet121": (0.25, 64), "convnext_tiny": (0.25, 64)}
SMOOTH = ("convnext_tiny",)
TOLERANCE, GRADIENT, COSINE = 1e-4, 3e-3, 0.99


def error(found, expected):
    """The largest difference, relative to the largest number"""
    found, expected = (np.asarray(array, np.float64) for array in (found, expected))
    return np.abs(found - expected).max() / np.abs(expected).max() if found.shape == expected.shape else np.inf


def compare(report, psal, arch, seed):
    width, side = NETWORKS[arch]
    torch.manual_seed(seed)
    image = torch.randn(1, 3, side, side)
    model = reference.randomise(reference.build(arch, 10, width=width), seed, image).eval()
    net = psal.load(model, preprocess=f"torchvision;resize={side};crop={side}", labels=[f"class {i}" for i in range(10)], mode="naive")
    double = copy.deepcopy(model).double()
    expected, logits = reference.naive_profile(double, image.double(), 3)
    result = net.explain(image, "class 3")
    report.check(f"{arch}: filters", (net.arch, result.profile.shape) == (arch, tuple(expected.shape)), (net, result.profile.shape))
    report.check(f"{arch}: logits", error(result.logits, logits) <= TOLERANCE, f"{error(result.logits, logits):.1e}")
    report.check(f"{arch}: profile", error(result.profile, expected) <= TOLERANCE, f"{error(result.profile, expected):.1e}")
    norm = np.linalg.norm(result.profile - expected.numpy()) / np.linalg.norm(expected.numpy())
    report.check(f"{arch}: profile's norm", norm <= TOLERANCE, f"{norm:.1e}")
    chosen = [row.number for row in result.top(10)]
    gradient = reference.input_saliency(double, image.double(), 3, mode="naive", chosen=chosen).numpy()
    found = np.asarray(result.input_gradient, np.float64)
    relative = np.linalg.norm(found - gradient) / np.linalg.norm(gradient)
    cosine = (found * gradient).sum() / np.linalg.norm(found) / np.linalg.norm(gradient)
    report.check(f"{arch}: gradient", cosine >= COSINE and (arch not in SMOOTH or relative <= GRADIENT), f"{relative:.1e}, cosine {cosine:.5f}")
    return model, net, image, result


def live(report, psal, model, net, image, result):
    """What is promised of a network that is still being trained"""
    def refused(kind, function, *arguments):
        try:
            function(*arguments)
        except kind as caught:
            return str(caught)
        return None
    settings = {"preprocess": net.preprocess, "mode": "naive"}
    kept = psal.load(model.state_dict(), copy=True, **settings)
    half = psal.load({name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in model.state_dict().items()},
                     **settings)
    brain = psal.load({name: tensor.bfloat16() if tensor.is_floating_point() else tensor for name, tensor in model.state_dict().items()},
                      **settings)
    report.check("float16", 0 < error(half.explain(image, 3).logits, result.logits) < 0.05, half)
    report.check("bfloat16", 0 < error(brain.explain(image, 3).logits, result.logits) < 0.5, brain)
    pixels = torch.randint(0, 256, (80, 90, 3), dtype=torch.uint8)
    report.check("pixels", (net.explain(pixels, 3).profile == net.explain(pixels.numpy(), 3).profile).all())
    report.check("a module", psal.load(model, **settings).fingerprint == net.fingerprint)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.nn.functional.cross_entropy(model(image), torch.tensor([3])).backward()
    optimizer.step()
    message = refused(RuntimeError, net.explain, image, 3)
    report.check("a step of training is noticed", message and "copy=True" in message, message)
    report.check("a copy stays", (kept.explain(image, 3).profile == result.profile).all())
    with torch.no_grad():
        expected = copy.deepcopy(model).double()(image.double())[0]
    found = psal.load(model, **settings).explain(image, 3).logits
    report.check("after the step", error(found, expected) <= TOLERANCE, f"{error(found, expected):.1e}")


def main():
    parser = command_line.parser(__doc__)
    parser.add_argument("--only", default="", metavar="NETWORK", help="networks with this in their names")
    arguments = parser.parse_args()
    os.environ["PSAL_LIBRARY"] = str(pathlib.Path(arguments.build).resolve())
    sys.path.insert(0, str(ROOT / "tools" / "python"))
    import psal
    warnings.simplefilter("ignore", psal.Note)
    report, last = Report(), None
    for arch in NETWORKS:
        if arguments.only in arch:
            last = compare(report, psal, arch, arguments.seed), arch
            if arch == "resnet18":
                live(report, psal, *last[0])
    report.check("networks were compared", last, "")
    sys.exit(report.finish())


if __name__ == "__main__":
    main()
