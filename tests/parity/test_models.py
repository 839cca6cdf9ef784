#!/usr/bin/python3
"""Networks: psal's logits against torchvision's, on random weights and images, for every architecture.

    /usr/bin/python3 tests/parity/test_models.py --build DIR [--seed N|new] [--only TEXT]

DIR is the build directory; its tests/parity/dump_model answers for psal. Weights, batch-norm statistics, images, widths,
epsilons and most sizes are drawn, the same in every run unless --seed asks for others. The reference is PyTorch in float64; how far PyTorch's
own float32 is from it, in the worst of three orders of summation, is printed beside psal's errors, with accurate and with
the fastest convolutions. Very deep thin
networks with random weights double every rounding error many times, PyTorch's too: four times its error is allowed where
that is above the tolerance. Where the logits differ, a layer where that begins is named. Prints a line per network and
"N passed, N failed"; the status is 1 when one failed.
"""
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

import command_line
import networks
import reference

METHODS = ("accurate", "auto")  # of the convolutions (engine/kernels/conv2d/conv2d.h)
TOLERANCE = 1e-4  # of the largest logit
CLASSES = (2, 7, 10)


class Psal:
    """psal's side: a dump_model process."""

    def __init__(self, build, folder, method):
        program = pathlib.Path(build) / "tests" / "parity" / "dump_model"
        self.folder = folder
        self.process = subprocess.Popen([str(program), method], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, layer=None):
        """(what was recognised, the values), or raises with the message"""
        fields = [self.folder / name for name in ("weights.safetensors", "input.npy", "out.npy")]
        fields += [layer] if layer else []
        self.process.stdin.write("\t".join(map(str, fields)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip("\n")
        if not answer.startswith("ok\t"):
            raise RuntimeError(answer or "dump_model died")
        arch, width, variant, epsilon, classes = answer.split("\t")[1:6]
        return (arch, float(width), variant, float(epsilon), int(classes)), np.load(fields[2])


def cases(rng, slow):
    """arch, width, classes, height, width, other options of networks.build"""
    side = lambda low: rng.choice((low, rng.randint(low, 130)))  # noqa: E731
    full = [("resnet50", 1, 1000, 224, 224, {}), ("vgg19", 1, 1000, 224, 224, {}),
            ("densenet121", 1, 1000, 224, 224, {}), ("inception_v3", 1, 1000, 299, 299, {"transform_input": True}),
            ("inception_v3", 1, 7, 224, 224, {}), ("resnet50", 1, 7, 97, 131, {"variant": "v1", "bn_eps": 1e-3}),
            ("resnet18", 1, 2, 97, 131, {}), ("resnext50_32x4d", 1, 2, 97, 131, {}),
            ("densenet161", 1, 7, 97, 131, {}), ("vgg11_bn", 0.5, 2, 97, 131, {}), ("densenet201", 1, 2, 64, 64, {}),
            ("wide_resnet50_2", 1, 7, 64, 64, {})]
    small = [(arch, width, rng.choice(CLASSES), side(64), side(64), {}) for arch, width in reference.SMALLEST.items()]
    small += [("vit_b_32", 0.25, 7, 64, 64, {"image_size": 64}), ("vit_b_16", 0.125, 2, 48, 48, {"image_size": 48})]
    if slow:
        full += [(arch, 1, 10, 97, 131, {}) for arch in reference.ARCHITECTURES
                 if arch not in reference.FIRST and arch != "regnet_y_128gf" and not arch.startswith("vit")]
        full += [(arch, 1, 10, size, size, {"image_size": size}) for arch, size in (("vit_b_16", 224), ("vit_b_32", 224),
                 ("vit_l_16", 96), ("vit_l_32", 96))] + [("regnet_y_128gf", 0.25, 10, 97, 131, {}), ("vit_h_14", 0.25, 10, 84, 84,
                 {"image_size": 84})]
    small += [(arch, 0.25 if arch.startswith("resnext") else rng.choice((0.125, 0.25, 0.19)), rng.choice(CLASSES),
              side(32 if "vgg" in arch else 29), side(32 if "vgg" in arch else 29), {"bn_eps": 10 ** rng.uniform(-5, -2)})
             for arch in reference.FIRST if arch != "inception_v3"]
    small += [("inception_v3", 0.25, 10, 75, 75, {"transform_input": True, "bn_eps": 1e-4}),
              ("inception_v3", 0.19, 2, 97, 131, {}), ("inception_v3", 0.125, 2, 118, 80, {"aux": False}),
              ("resnet50", 0.25, 7, 65, 131, {"variant": "v1"}), ("resnet101", 0.125, 2, 97, 131, {"variant": "v1"}),
              ("resnet34", 0.125, 2, 1, 1, {}), ("vgg13_bn", 0.05, 3, 300, 33, {}),
              ("densenet169", 0.125, 2, 97, 131, {}), ("googlenet", 0.25, 2, 15, 15, {"transform_input": True}),
              ("googlenet", 0.19, 2, 64, 70, {"aux": False, "bn_eps": 1e-4}), ("resnet50_cifar", 0.125, 2, 33, 31, {}),
              ("resnet18d", 0.125, 2, 97, 65, {}), ("mnasnet1_0", 0.35, 2, 97, 65, {}), ("squeezenet1_0", 0.3, 2, 40, 97, {})]
    small += [(arch, width, 2, 64, 64, {"channels": channels}) for arch, width, channels in (
        ("resnet18", 0.25, 1), ("vgg11_bn", 0.25, 1), ("densenet121", 0.25, 4), ("mobilenet_v2", 0.5, 1), ("resnet50_cifar", 0.125, 1),
        ("googlenet", 0.25, 1), ("resnet18d", 0.25, 6))]
    small += [("seresnet18", 0.5, 7, 64, 91, {}), ("ecaresnet26t", 0.25, 7, 64, 64, {}), ("ecaresnext26t_32x4d", 0.25, 2, 70, 64, {}),
              ("resnetaa50d", 0.125, 7, 64, 97, {}), ("seresnetaa50d", 0.125, 7, 97, 64, {})]
    return full + small


def first_difference(psal, model, images, tolerance):
    """Send the images through both and name a layer whose values differ while the one before it agrees."""
    outputs = []
    hooks = [module.register_forward_hook(lambda m, i, out, name=name: outputs.append((name, out.clone().numpy())))
             for name, module in model.named_modules()
             if isinstance(module, (torch.nn.Conv2d, torch.nn.BatchNorm2d, torch.nn.Linear))]
    model(images)
    for hook in hooks:
        hook.remove()

    def defect(name, expected):
        try:
            values = psal.ask(name)[1]
        except RuntimeError as error:
            return f"{name}: {error}"
        if values.shape != expected.shape:
            return f"{name}: shape {values.shape}, expected {expected.shape}"
        # The last node of a layer may be the ReLU that follows it.
        error = min(np.abs(values - c).max() for c in (expected, np.maximum(expected, 0))) / np.abs(expected).max()
        return None if error <= tolerance else f"{name}: error {error:.2e}"

    low, high, worst = 0, len(outputs) - 1, "no single layer"
    while low <= high:
        middle = (low + high) // 2
        found = defect(*outputs[middle])
        if found:
            worst, high = found, middle - 1
        else:
            low = middle + 1
    return f"begins at {worst}"


def torch_ways(model, images):
    """PyTorch's float32 logits in the orders of summation it has to offer: one alone may be near float64's by chance"""
    yield model(images).numpy()
    with torch.backends.mkldnn.flags(enabled=False):
        yield model(images).numpy()
    yield model.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last)).numpy()
    model.to(memory_format=torch.contiguous_format)


def check(psals, arch, width, classes, height, image_width, options, seed):
    """What went wrong, or None; and the errors relative to the largest logit, PyTorch's float32 first."""
    torch.manual_seed(seed)
    model = reference.randomise(reference.build(arch, classes, width=width, **options), seed)
    # Small ones as a batch of two
    images = torch.randn(1 + (height * image_width < 5000), options.get("channels", 3), height, image_width)
    metadata = {"psal.width": width, "psal.transform_input": int(options.get("transform_input", False))}
    if "variant" in options:
        metadata["psal.variant"] = options["variant"]
    if arch in networks.SMOOTH_RESNETS:  # others have the same tensors
        metadata["psal.arch"] = arch
    if "bn_eps" in options:
        metadata["psal.bn_epsilon"] = options["bn_eps"]
    folder = psals["accurate"].folder
    reference.write_safetensors(str(folder / "weights.safetensors"), model.state_dict(), metadata)
    np.save(folder / "input.npy", images.numpy())
    epsilons = [m.eps for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    bottleneck = arch.startswith(("resnext", "wide")) or arch.removesuffix("_cifar") in ("resnet50", "resnet101", "resnet152")
    wanted = (arch, width, options.get("variant", "v1.5") if bottleneck else "", epsilons[0] if epsilons else 0, classes)
    with torch.no_grad():
        float32 = list(torch_ways(model, images))
        model, images = model.double(), images.double()
        expected = model(images).numpy()
        errors = [max(np.abs(logits - expected).max() for logits in float32) / np.abs(expected).max()]
        for method, psal in psals.items():
            found, logits = psal.ask()
            if found != wanted:
                return f"recognised {found}, expected {wanted}", errors
            if logits.shape != expected.shape or logits.dtype != np.float32:
                return f"{logits.dtype} {logits.shape}, expected {expected.shape}", errors
            errors.append(np.abs(logits - expected).max() / np.abs(expected).max())
            if not errors[-1] <= max(TOLERANCE, 4 * errors[0]):  # NaN fails
                return f"{method}: {first_difference(psal, model, images, TOLERANCE)}", errors
    return None, errors


def main():
    parser = command_line.parser(__doc__)
    parser.add_argument("--only", default="", help="architectures whose name contains this")
    args = parser.parse_args()
    print(f"seed {args.seed}; errors: PyTorch in float32, psal {', psal '.join(METHODS)}")
    rng = random.Random(args.seed)
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="psal-models-") as folder:
        psals = {method: Psal(args.build, pathlib.Path(folder), method) for method in METHODS}
        for arch, width, classes, height, image_width, options in cases(rng, args.slow):
            seed = rng.randrange(2 ** 31)
            if args.only not in arch:
                continue
            start = time.monotonic()
            try:
                defect, errors = check(psals, arch, width, classes, height, image_width, options, seed)
            except RuntimeError as caught:
                defect, errors = str(caught), []
            passed, failed = passed + (defect is None), failed + (defect is not None)
            print(f"{'ok  ' if defect is None else 'FAIL'} {arch:17} width {width:<5g} {classes:4d} classes "
                  f"{image_width:3d}x{height:<3d} {' '.join(f'{k}={v}' for k, v in options.items()):24.24} "
                  f"errors {' '.join(f'{e:.0e}' for e in errors)}  {time.monotonic() - start:4.1f} s {defect or ''}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
