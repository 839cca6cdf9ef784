#!/usr/bin/python3
"""Networks from ONNX files, as torch.onnx.export makes them, against live PyTorch in float64; and ONNX's own tests of single
operators.

    /usr/bin/python3 tests/parity/test_onnx.py --build DIR [--seed N|new] [--only TEXT] [--slow]

Networks have random weights and batch-norm statistics (the same in every run unless --seed asks for others). Compared are logits, naive profile,
ranking and the input gradient, as in test_run.py, with its tolerances; for networks that psal also knows by their names, the
ONNX file and the state_dict must give the same bits. Without --slow only small ones of different families; with it all of
torchvision's classifiers. Where Debian's libonnx-testdata is installed, its tests of single operators are computed as far as
psal has the operators; how many of how many pass is printed, and why the others are left out. Prints a line per case and
"N passed, N failed"; the status is 1 when one failed."""
import argparse
import collections
import contextlib
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import torch
import torch.nn.functional as functional
import torchvision

import reference
import seeds
import test_run

SMALL = (("resnet18", 64), ("squeezenet1_1", 64), ("mobilenet_v2", 64), ("shufflenet_v2_x0_5", 64), ("mnasnet0_5", 64),
         ("mobilenet_v3_small", 64), ("regnet_x_400mf", 64))
# Architectures whose images cannot be made small: fixed by their positions or windows, or by adaptive pooling to 7x7 (or
# 6x6), which can be exported only where the features have that size.
SIDES = {"alexnet": 224, "vgg": 224, "vit": 224, "maxvit": 224, "inception": 96, "swin": 64}
NODES = pathlib.Path("/usr/share/libonnx-testdata/data")


def side_of(name):
    return next((side for begin, side in SIDES.items() if name.startswith(begin)), 64)


def build(name, seed, classes=10):
    torch.manual_seed(seed)
    extra = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = getattr(torchvision.models, name)(num_classes=classes, **extra).eval()
    if any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules()):
        model = reference.randomise(model, seed)
    return model


def export(model, path, side, fold=False, **options):
    """With batch normalisation as it is (or, `fold`, as the exporter does by default)"""
    kept = {} if fold else dict(do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, torch.randn(1, 3, side, side), str(path), opset_version=14, **kept, **options)


@contextlib.contextmanager
def differentiable():
    """PyTorch 1.13 has no second derivative of hardsigmoid: it is relu6(x + 3) / 6"""
    original = functional.hardsigmoid
    functional.hardsigmoid = lambda x, inplace=False: functional.relu6(x + 3) / 6
    try:
        yield
    finally:
        functional.hardsigmoid = original


def network_case(psal, folder, name, side, seed):
    """(defects, errors)"""
    rng = np.random.default_rng(seed)
    model = build(name, seed)
    weights, image = folder / "model.onnx", folder / "image.png"
    export(model, weights, side)
    preprocess = f"torchvision;resize={side};crop={side}"
    test_run.random_image(image, side, side, rng)
    arguments = ["--weights", weights, "--preprocess", preprocess]
    with differentiable():
        defects, errors, _ = test_run.check(psal, folder, model, image, preprocess, int(rng.integers(10)), arguments,
                                            mode="naive", ks=(10,))
    # PyTorch exports hard-swish as x * HardSigmoid(x): another graph than the state_dict's, with the same values.
    if name in reference.ARCHITECTURES and not name.startswith("mobilenet_v3"):
        defects += bits_case(psal, folder, model, image, arguments)
    return defects, errors


class Tokens(torch.nn.Module):
    """Every kind of linear layer that the exporter writes: MatMul and Add on three dimensions, Gemm on two, one without bias"""
    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 12, 4, 4)
        self.mix = torch.nn.Linear(12, 20)
        self.out = torch.nn.Linear(20, 9, bias=False)
        self.head = torch.nn.Linear(9, 10)

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        return self.head(torch.tanh(self.out(torch.sigmoid(self.mix(x)))).mean(1))


def rows_case(psal, folder, fold, seed):
    """--aggregation row: columns where folding has transposed the matrices, rows where a node does it"""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    model, weights, image = Tokens().eval(), folder / "model.onnx", folder / "image.png"
    export(model, weights, 32, fold)
    test_run.random_image(image, 32, 32, rng)
    preprocess = "torchvision;resize=32;crop=32"
    defects, errors, _ = test_run.check(psal, folder, model, image, preprocess, int(rng.integers(10)),
                                        ["--weights", weights, "--preprocess", preprocess], mode="naive", ks=(10,), aggregation="row")
    return defects, errors


def bits_case(psal, folder, model, image, arguments):
    """The state_dict and the ONNX file give the same bytes"""
    state = folder / "weights.safetensors"
    reference.write_safetensors(str(state), model.state_dict())
    options = ["--image-path", image, "--image-target-label", 1, "--mode", "naive", "--k-salient", 10]
    ours, _ = psal.run(folder, *options, *arguments)
    theirs, _ = psal.run(folder, *options, "--weights", state, *arguments[2:])
    # Inception-v3's auxiliary filters, always 0, are numbered with the state_dict only.
    same = {name: ours[name].shape == theirs[name].shape or len(ours[name]) < len(theirs[name]) for name in ours}
    defects = [f"{name} has another shape than from the state_dict" for name in ours if not same[name]]
    for name in ours:
        a, b = (array if ours[name].shape == theirs[name].shape else array[array != 0] for array in (ours[name], theirs[name]))
        defects += [] if np.array_equal(a, b) else [f"{name} has other bits than from the state_dict"]
    return defects


# ---- single operators ----

DTYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16,
          11: np.float64}


def fields(message):
    """The (number, value) of a protocol buffers message"""
    def varint(at):
        value = shift = 0
        while True:
            byte = message[at]
            value |= (byte & 127) << shift
            at, shift = at + 1, shift + 7
            if byte < 128:
                return value, at

    at = 0
    while at < len(message):
        key, at = varint(at)
        if key & 7 == 0:
            value, at = varint(at)
        else:
            size = {1: 8, 5: 4}.get(key & 7)
            if size is None:
                size, at = varint(at)
            value, at = message[at:at + size], at + size
        yield key >> 3, value


def read_tensor(path):
    """A TensorProto with raw data; None for others (text, sequences)"""
    parts = list(fields(path.read_bytes()))
    dtype = DTYPES.get(next((value for number, value in parts if number == 2), None))
    raw = next((value for number, value in parts if number == 9), None)
    dims = [value for number, value in parts if number == 1]
    if dtype is None or any(not isinstance(dim, int) for dim in dims):
        return None
    if raw is None:
        return np.zeros(dims, dtype) if 0 in dims else None
    return np.frombuffer(raw, dtype).reshape(dims)


class Operators:
    def __init__(self, build, folder):
        program = pathlib.Path(build).resolve() / "tests" / "parity" / "dump_onnx"
        self.folder = folder
        self.process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, model, inputs):
        paths = [self.folder / f"input{i}.npy" for i in range(len(inputs))]
        for path, array in zip(paths, inputs):
            np.save(path, array)
        self.process.stdin.write("\t".join(map(str, [model, self.folder / "out.npy", *paths])) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip("\n")
        if answer != "ok":
            return None, answer or "error: dump_onnx died"
        return np.load(self.folder / "out.npy"), ""


def reason(message):
    """What of a refusal tells one kind from another"""
    if "no such operator" in message:
        return "no such operator"
    return re.sub(r"'[^']*'|[0-9]+(x[0-9]+)*", "*", re.sub(r"^error: (\S*: )?", "", re.sub(r"node '[^']*' ", "", message)))


def node_tests(build, folder, only):
    """(passed, failed) of ONNX's own tests; prints why the others are left out"""
    operators, skipped, passed, failed = Operators(build, folder), collections.Counter(), 0, 0
    models = sorted(path for path in NODES.glob("*/*/model.onnx") if only in path.parent.name)
    for model in models:
        data = model.parent / "test_data_set_0"
        paths = sorted(data.glob("input_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
        arrays = [read_tensor(path) for path in paths]
        expected = read_tensor(data / "output_0.pb") if (data / "output_0.pb").exists() else None
        if expected is None or any(array is None for array in arrays):
            skipped["inputs or outputs that are no tensors of numbers"] += 1
            continue
        found, message = operators.ask(model, arrays)
        if "died" in message:
            failed += 1
            print(f"FAIL {model.parent.name}: {message}")
            operators = Operators(build, folder)
        elif found is None:
            skipped[reason(message)] += 1
        elif found.shape == expected.shape and np.allclose(found, expected.astype(np.float64), rtol=1e-3, atol=1e-5, equal_nan=True):
            passed += 1
        else:
            failed += 1
            print(f"FAIL {model.parent.name}: {found.shape} {found.ravel()[:4]}, expected {expected.shape} {expected.ravel()[:4]}")
    print(f"operators: {passed} passed of {passed + failed} that psal computes, of {len(models)}")
    for why, count in skipped.most_common():
        print(f"    {count:4d} left out: {why}")
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", required=True)
    seeds.add_argument(parser)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--slow", action="store_true", help="all of torchvision's classifiers")
    args = parser.parse_args()
    print(f"seed {args.seed}")
    rng = random.Random(args.seed)
    psal, passed, failed = test_run.Psal(args.build), 0, 0
    cases = SMALL
    if args.slow:
        cases = [(name, side_of(name)) for name in torchvision.models.list_models(module=torchvision.models)]
    with tempfile.TemporaryDirectory(prefix="psal-onnx-") as folder:
        if NODES.exists() and not args.only or args.only.startswith("test_"):
            passed, failed = node_tests(args.build, pathlib.Path(folder), args.only)
        elif not NODES.exists():
            print("operators: left out, libonnx-testdata is not installed")
        for name, side in (*cases, ("rows", 32), ("columns", 32)):
            seed, start = rng.randrange(2 ** 31), time.monotonic()
            if args.only not in name:
                continue
            try:
                if name in ("rows", "columns"):
                    defects, errors = rows_case(psal, pathlib.Path(folder), name == "columns", seed)
                else:
                    defects, errors = network_case(psal, pathlib.Path(folder), name, side, seed)
            except RuntimeError as error:
                defects, errors = [str(error)], {}
            passed, failed = passed + (not defects), failed + bool(defects)
            print(f"{'FAIL' if defects else 'ok  '} {name:22} {side:3d} {' '.join(f'{k} {e:.0e}' for k, e in errors.items())} "
                  f"{time.monotonic() - start:5.1f} s {'; '.join(defects)}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
