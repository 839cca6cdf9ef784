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
import collections
import contextlib
import copy
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
from torchvision.models import swin_transformer

import command_line
import reference
import test_edits
import test_run

SMALL = ("resnet18", "squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x0_5", "mnasnet0_5", "mobilenet_v3_small", "regnet_y_400mf")
ALL = torchvision.models.list_models(module=torchvision.models)
# The largest members of the families run thinner (networks.py), with all of their layers: by the beginnings of their names.
WIDTHS = {"alexnet": 0.5, "vgg": 0.25, "resnet101": 0.5, "resnet152": 0.5, "wide_resnet": 0.25, "resnext101": 0.5,
          "densenet1": 0.5, "densenet2": 0.5, "regnet_x_8gf": 0.5, "regnet_x_16gf": 0.5, "regnet_x_32gf": 0.25,
          "regnet_y_8gf": 0.5, "regnet_y_16gf": 0.5, "regnet_y_32gf": 0.25, "regnet_y_128gf": 0.25, "efficientnet_b3": 0.5,
          "efficientnet_b4": 0.5, "efficientnet_b5": 0.5, "efficientnet_b6": 0.5, "efficientnet_b7": 0.25,
          "efficientnet_v2_s": 0.5, "efficientnet_v2": 0.25, "convnext_small": 0.5, "convnext": 0.25, "vit_b": 0.5, "vit_l": 0.25,
          "vit_h": 0.25, "swin": 0.5, "maxvit": 0.5}
# Sides of the images, where 64 will not do: positions or windows are fixed, or adaptive pooling to 7x7 (or 6x6) can be exported
# only where the features have that size. Swin's windows are padded at 64; SwinV2 has NaN there, in PyTorch too.
SIDES = {"alexnet": 224, "vgg": 224, "vit_h": 56, "vit_b_32": 128, "vit_l_32": 128, "maxvit": 224, "inception": 139,
         "swin_v2": 256}
SWINS = {"swin_t": (96, (2, 2, 6, 2), (3, 6, 12, 24)), "swin_s": (96, (2, 2, 18, 2), (3, 6, 12, 24)),
         "swin_b": (128, (2, 2, 18, 2), (4, 8, 16, 32))}  # Liu et al. 2021, section 3.3: channels, layers, heads
NODES = pathlib.Path("/usr/share/libonnx-testdata/data")


def of_name(table, name, otherwise):
    return next((value for begin, value in table.items() if name.startswith(begin)), otherwise)


def build(name, side, classes=10):
    """A member of torchvision's list, as wide as WIDTHS says, with PyTorch's initial weights"""
    width = of_name(WIDTHS, name, 1)
    if name.startswith("swin"):
        channels, layers, heads = SWINS[name.replace("_v2", "")]
        window, second = (8, 8) if "_v2" in name else (7, 7), {}
        if "_v2" in name:
            second = dict(block=swin_transformer.SwinTransformerBlockV2, downsample_layer=swin_transformer.PatchMergingV2)
        return torchvision.models.SwinTransformer([4, 4], int(channels * width), list(layers), list(heads), list(window),
                                                  num_classes=classes, **second).eval()
    if name == "maxvit_t":
        channels = [int(c * width) for c in (64, 128, 256, 512)]
        return torchvision.models.MaxVit((side, side), channels[0], 7, channels, [2, 2, 5, 2], 32, 0.2, num_classes=classes).eval()
    return reference.build(name, classes, width, aux=False, image_size=side)


def randomise(model, seed, images):
    model = reference.randomise(model, seed, images)
    with torch.no_grad():  # PyTorch 1.13 cannot export the line that makes SwinV2's biases of keys 0: they are 0 already
        for module in model.modules():
            if isinstance(module, swin_transformer.ShiftedWindowAttentionV2):
                length = len(module.qkv.bias) // 3
                module.qkv.bias[length:2 * length] = 0
    return model


def export(model, path, side, fold=False, planes=3):
    """With batch normalisation as it is (or, `fold`, as the exporter does by default)"""
    kept = {} if fold else dict(do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)
    in_place = torch.Tensor.zero_
    torch.Tensor.zero_ = lambda tensor: tensor  # see randomise
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(model, torch.randn(1, planes, side, side), str(path), opset_version=14, **kept)
    finally:
        torch.Tensor.zero_ = in_place


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
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    weights, image = folder / "model.onnx", folder / "image.png"
    preprocess = f"torchvision;resize={side};crop={side}"
    test_run.random_image(image, side, side, rng)
    inputs, label = reference.preprocess(image, preprocess), int(rng.integers(10))
    model = randomise(build(name, side), seed, torch.cat((inputs, torch.randn(inputs.shape))))
    export(model, weights, side)
    with torch.no_grad():  # not the class that the network is sure of: see test_run.py
        if model(inputs)[0].softmax(0)[label] > 0.99:
            label = (label + 1) % 10
    arguments = ["--weights", weights, "--preprocess", preprocess]
    with differentiable():
        defects, errors, _ = test_run.check(psal, folder, model, image, preprocess, label, arguments, mode="naive", ks=(10,))
    # PyTorch exports hard-swish as x * HardSigmoid(x), and layer normalisation and GELU as their formulas: other graphs than
    # the state_dict's, with the same values.
    if name in reference.ARCHITECTURES and not name.startswith(("mobilenet_v3", "vit", "convnext")):
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


def row_edits(psal, folder, model, image, preprocess, label, arguments, rng):
    """Rows switched off, and corrected: psal-prune and psal-finetune"""
    build, stats, delta = psal.program.parent.parent, folder / "stats.npz", folder / "delta.safetensors"
    inputs = reference.preprocess(image, preprocess)
    naive, _ = reference.naive_profile(model, inputs, label, "row")
    mean, std = rng.uniform(0, 1e-3, len(naive)), rng.uniform(1e-3, 1e-2, len(naive))
    np.savez(stats, mean=mean, std=std)
    standardized = reference.standardize(naive.double(), torch.from_numpy(mean), torch.from_numpy(std))
    common = [*arguments, "--stats", stats, "-i", image, "-l", label]
    results = [result for how in ("weights", "channel") for k in (2, 30)
               for result in test_edits.check_prune(build, common, model, inputs, label, naive, standardized, how, k, "row")]
    test_edits.run(build, "psal-finetune", *common, "--aggregation", "row", "--relative", 0.2, "-k", 30, "-c", "salient",
                   "--save-delta", delta)
    edited = copy.deepcopy(model)
    chosen = torch.sort(-standardized, stable=True)[1][:30].tolist()
    reference.sgd_step(edited, inputs, label, chosen, relative=0.2, aggregation="row")
    arrays, _ = psal.run(folder, *arguments, "--image-path", image, "--image-target-label", label, "--mode", "naive", "--delta", delta)
    before, after = (network(inputs)[0].detach().numpy() for network in (model, edited))
    error, change = test_run.relative(arrays["logits"], after), test_run.relative(before, after)
    return [text for good, text in results if not good] + (
        [f"corrected: logits {error:.1e}, changed by {change:.1e}"] if not error <= 1e-5 or not change > 1e-2 else [])


def rows_case(psal, folder, fold, seed):
    """--aggregation row: columns where folding has transposed the matrices, rows where a node does it"""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    model, weights, image = Tokens().eval(), folder / "model.onnx", folder / "image.png"
    export(model, weights, 32, fold)
    test_run.random_image(image, 32, 32, rng)
    preprocess = "torchvision;resize=32;crop=32"
    label, arguments = int(rng.integers(10)), ["--weights", weights, "--preprocess", preprocess]
    defects, errors, _ = test_run.check(psal, folder, model, image, preprocess, label, arguments, mode="naive", ks=(10,),
                                        aggregation="row")
    return defects + row_edits(psal, folder, model, image, preprocess, label, arguments, rng), errors


class Activations(torch.nn.Module):
    """The activations, kinds of padding and maxima that no network of torchvision has"""
    def __init__(self):
        super().__init__()
        after = (torch.nn.ELU(0.7), torch.nn.CELU(0.6), torch.nn.SELU(), torch.nn.Softplus(), torch.nn.Softsign(), torch.nn.Mish(),
                 torch.nn.LeakyReLU(0.1), torch.nn.PReLU(8), torch.nn.Tanh())
        pads = (torch.nn.ReflectionPad2d((2, 1, 1, 2)), torch.nn.ReplicationPad2d((0, 2, 3, 1)), torch.nn.ConstantPad2d((1, 1, 1, 1), 0.5))
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2), *(layer for i, activation in enumerate(after) for layer in (
            activation, pads[i % 3], torch.nn.Conv2d(8, 8, 3))))
        self.head = torch.nn.Linear(24, 10)

    def forward(self, x):
        x = self.layers(x)
        a, b = x.chunk(2, 1)
        parts = [x.mean((2, 3)), torch.maximum(a, b).mean((2, 3)), torch.minimum(a, b.mean((2, 3), keepdim=True)).amin((2, 3)),
                 x.amax(3).mean(2)]
        return self.head(torch.cat(parts, 1))


def activations_case(psal, folder, seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    model, weights, image = Activations().eval(), folder / "model.onnx", folder / "image.png"
    with torch.no_grad():  # inputs on both sides of 0, and far enough from it
        for parameter in model.parameters():
            parameter *= 2
    export(model, weights, 32)
    test_run.random_image(image, 32, 32, rng)
    preprocess = "torchvision;resize=32;crop=32"
    defects, errors, _ = test_run.check(psal, folder, model, image, preprocess, int(rng.integers(10)), [
        "--weights", weights, "--preprocess", preprocess], mode="naive", ks=(10,))
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


def folding_case(psal, folder):
    """Folding multiplies a filter by a constant, which its mean and deviation take out again: standardized profiles of the
    trained ResNet-18 in the box and of its folded copy, each with statistics from its own file, agree; naive ones do not. The
    statistics of one are refused for the other."""
    samples, defects, worst, naive = test_run.ROOT / "weights" / "fashion_samples", [], 0, 0
    model, metadata = reference.load_network(str(test_run.ROOT / "weights" / "fashion_resnet18.safetensors"))
    preprocess = metadata["psal.preprocess"]
    side = reference.preprocess(samples / "dress.png", preprocess).shape[-1]
    planes = next(model.parameters()).shape[1]
    networks = {name: folder / f"{name}.onnx" for name in ("kept", "folded")}
    arguments = {}
    for name, path in networks.items():
        export(model, path, side, fold=name == "folded", planes=planes)
        arguments[name] = ["--weights", path, "--preprocess", preprocess, "--mode", "std", "--stats", folder / f"{name}.st"]
        subprocess.run([str(word) for word in (psal.program.parent / "psal-stats", *arguments[name][:4], "--data", samples / "labels.csv",
                                               "--out", folder / f"{name}.st", "--quiet")], check=True, capture_output=True)
    for image in sorted(samples.glob("*.png"))[:4]:
        found = {name: psal.run(folder, "--image-path", image, "--image-target-label", 1, *arguments[name])[0] for name in networks}
        worst = max(worst, test_run.relative(found["folded"]["standardized"], found["kept"]["standardized"]))
        naive = max(naive, test_run.relative(found["folded"]["naive"], found["kept"]["naive"]))
    defects += [] if worst <= 1e-4 else [f"standardized profiles differ by {worst:.1e}"]
    defects += [] if naive > 1e-2 else [f"naive profiles differ by {naive:.1e} only: nothing is folded"]
    try:
        psal.run(folder, "--image-path", image, *arguments["folded"][:-1], folder / "kept.st")
        defects.append("statistics of the network with batch normalisation are taken for the folded one")
    except RuntimeError as error:
        defects += [] if "kept.st: its architecture is" in str(error) else [str(error)]
    return defects, {"standardized": worst, "naive": naive}


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
    parser = command_line.parser(__doc__)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    args = parser.parse_args()
    print(f"seed {args.seed}")
    seed = random.Random(args.seed).randrange(2 ** 31)  # the same with --only, with and without --slow
    psal, passed, failed, agree = test_run.Psal(args.build), 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="psal-onnx-") as folder:
        if NODES.exists() and not args.only or args.only.startswith("test_"):
            passed, failed = node_tests(args.build, pathlib.Path(folder), args.only)
        elif not NODES.exists():
            print("operators: left out, libonnx-testdata is not installed")
        for name in (*(ALL if args.slow else SMALL), "rows", "columns", "folding", "activations"):
            start, side = time.monotonic(), of_name(SIDES, name, 64)
            if args.only not in name:
                continue
            try:
                if name in ("rows", "columns"):
                    defects, errors = rows_case(psal, pathlib.Path(folder), name == "columns", seed)
                elif name == "folding":
                    defects, errors = folding_case(psal, pathlib.Path(folder))
                elif name == "activations":
                    defects, errors = activations_case(psal, pathlib.Path(folder), seed)
                else:
                    defects, errors = network_case(psal, pathlib.Path(folder), name, side, seed)
            except RuntimeError as error:
                defects, errors = [str(error)], {}
            passed, failed, agree = passed + (not defects), failed + bool(defects), agree + (name in ALL and not defects)
            print(f"{'FAIL' if defects else 'ok  '} {name:22} {side:3d} {' '.join(f'{k} {e:.0e}' for k, e in errors.items())} "
                  f"{time.monotonic() - start:5.1f} s {'; '.join(defects)}", flush=True)
    print(f"torchvision's classifiers: {agree} of {len(ALL)} agree" + ("" if args.slow else "; --slow runs all of them"))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
