#!/usr/bin/python3
"""Pictures in which windows are equal: white backgrounds, bars of padding, patterns, saturated areas. Every maximum in them is a
tie and every ReLU of an area falls on one side, so rounding that depends on the place in the image shows at once in the heat map.

    /usr/bin/python3 tests/parity/test_flat_pictures.py --build DIR [--seed N|new] [--only TEXT] [--slow]

One network of each family with random weights (the same in every run unless --seed asks for others), each picture, each --conv: psal-run's naive
profile and input gradient (k = 10) against live PyTorch in float64. The cosine distance of the gradient must be at most 1e-4, or
FACTOR times that of PyTorch's own float32 where that is larger; so must the profile's relative L2 distance, with 1e-3. Where a
network has a ReLU so near to 0 in a flat area that float32 decides it either way, PyTorch's float32 has it too for a picture that
is brighter or darker by a few roundings, which keeps windows equal: the worst of these is what psal is compared with. Where that, too,
was luck, the case is drawn anew with another network and picture: rounding that depends on the place fails in every draw, a ReLU on
its kink in one of ten or twenty. A case fails when all DRAWS do. PyTorch's float32 breaks some of the ties at random itself, so one case, always of the same seed, has no such bound. Prints a line per case
and "N passed, N failed"."""
import pathlib
import random
import sys
import tempfile
import time

import numpy as np
import torch
from PIL import Image

import command_line
import reference
import test_run

FACTOR = 2.0
DRAWS = 6
TOLERANCE = {"naive L2": 1e-3, "cosine": 1e-4}
CONV = ("fast", "accurate", "direct", "gemm")
ROUNDINGS = (3e-7, -3e-7, 1e-6, -1e-6)


# ---- the pictures ----

def noise(rng, height, width):
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def white_background(rng, height, width):
    """A product photo: the thing in the middle of pure white"""
    a = np.full((height, width, 3), 255, np.uint8)
    top, left = height * 5 // 16, width * 17 // 64
    a[top:top + height * 3 // 8, left:left + width // 2] = noise(rng, height * 3 // 8, width // 2)
    return a


def letterbox(rng, height, width):
    """Bars of one colour above and below"""
    a = np.full((height, width, 3), rng.integers(0, 256, 3, dtype=np.uint8), np.uint8)
    a[height // 4:height * 3 // 4] = noise(rng, height * 3 // 4 - height // 4, width)
    return a


def pattern(rng, height, width):
    """A texture that repeats after 4 and 8 pixels, with a patch that does not"""
    a = np.tile(noise(rng, 4, 8), (height // 4 + 1, width // 8 + 1, 1))[:height, :width].copy()
    a[height // 2:height // 2 + 24, width // 2:width // 2 + 32] = noise(rng, 24, 32)
    return a


def saturated(rng, height, width):
    """An overexposed photo: smooth, and cut off at 0 and 255 over large areas"""
    coarse = Image.fromarray(noise(rng, 5, 5)).resize((width, height), Image.BICUBIC)
    return np.clip((np.asarray(coarse, float) - 128) * 6 + 128, 0, 255).astype(np.uint8)


PICTURES = (white_background, letterbox, pattern, saturated)
STRICT_SEED = 5  # of the first one, at full width
NETWORKS = (  # family, architecture, size, width, pictures
    ("vgg", "vgg11_bn", 224, 1, (white_background,)),
    ("vgg", "vgg11_bn", 128, 0.25, PICTURES),
    ("vgg", "vgg13", 96, 0.25, PICTURES),
    ("resnet", "resnet18", 128, 1, PICTURES),
    ("resnet", "resnet50", 96, 0.5, PICTURES),
    ("densenet", "densenet121", 96, 0.5, PICTURES),
    ("inception", "inception_v3", 155, 0.5, PICTURES),
)


# ---- a case ----

def distances(found, expected):
    return {"naive L2": test_run.relative_l2(found["naive"], expected["naive"]),
            "cosine": test_run.away_from_one(found["gradients"][10], expected["gradients"][10])}


def check(psal, folder, arch, size, width, picture, seed, strict):
    """(defects, psal's worst distances over every --conv, PyTorch's)"""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = reference.randomise(reference.build(arch, 7, width), seed)
    weights, image = folder / "weights.safetensors", folder / "image.png"
    metadata = {"psal.arch": arch, "psal.num_classes": 7, "psal.transform_input": 0}
    reference.write_safetensors(str(weights), model.state_dict(), metadata)
    Image.fromarray(picture(rng, size, size)).save(image)
    preprocess = f"torchvision;resize=none;crop={size}"
    inputs = reference.preprocess(image, preprocess)
    with torch.no_grad():
        label = int(model(inputs)[0].argmin())
    found = {}
    for conv in CONV:
        arrays, _ = psal.run(folder, "--image-path", image, "--image-target-label", label, "--mode", "naive", "--weights",
                             weights, "--preprocess", preprocess, "--conv", conv)
        found[conv] = dict(naive=arrays["naive"], gradients={10: arrays["input_gradient"]})
    chosen = {10: reference.rank(torch.from_numpy(found["fast"]["naive"]))[:10]}
    expected = test_run.answers(model.double(), inputs.double(), label, None, None, "naive", chosen)
    model.float()
    single = distances(test_run.answers(model, inputs, label, None, None, "naive", chosen), expected)
    worst = {name: max(distances(found[conv], expected)[name] for conv in CONV) for name in TOLERANCE}

    def bound(name):
        return TOLERANCE[name] if strict else max(TOLERANCE[name], FACTOR * single[name])

    for shift in ROUNDINGS:
        if strict or all(worst[name] <= bound(name) for name in TOLERANCE):
            break
        near = distances(test_run.answers(model, inputs * (1 + shift), label, None, None, "naive", chosen), expected)
        single = {name: max(single[name], near[name]) for name in single}
    defects = []
    for conv in CONV:
        for name, distance in distances(found[conv], expected).items():
            if not distance <= bound(name):  # NaN fails
                defects.append(f"--conv {conv}: {name} {distance:.1e} above {bound(name):.1e}")
    return defects, worst, single


def main():
    parser = command_line.parser(__doc__)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    args = parser.parse_args()
    print(f"seed {args.seed}")
    rng = random.Random(args.seed)
    psal = test_run.Psal(args.build)
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="psal-flat-") as folder:
        for place, (family, arch, size, width, pictures) in enumerate(NETWORKS):
            for picture in pictures:
                name, seed = f"{family}: {arch} x {width:g} {size}x{size}, {picture.__name__}", rng.randrange(2 ** 31)
                usual = picture in pictures[place % 2::2]  # two for each network; with --slow all
                if args.only not in name or not (usual or args.slow or args.only):
                    continue
                start, number = time.monotonic(), 1
                try:
                    strict = arch == NETWORKS[0][1] and size == NETWORKS[0][2]
                    draws = (STRICT_SEED,) if strict else range(seed, seed + DRAWS)
                    for number, draw in enumerate(draws, 1):
                        defects, worst, single = check(psal, pathlib.Path(folder), arch, size, width, picture, draw, strict)
                        if not defects:
                            break
                except (RuntimeError, ValueError, KeyError, OSError) as caught:
                    defects, worst, single = [f"{type(caught).__name__}: {caught}"], {}, {}
                passed, failed = passed + (not defects), failed + bool(defects)
                figures = ", ".join(f"{what} {worst[what]:.0e} / {single[what]:.0e}" for what in worst)
                figures += f", draw {number}" if number > 1 else ""
                print(f"{'FAIL' if defects else 'ok  '} {name:52} {time.monotonic() - start:5.1f} s  psal / PyTorch's float32: "
                      f"{figures}  {'; '.join(defects[:4])}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
