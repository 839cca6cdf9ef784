#!/usr/bin/python3
"""The whole job: what psal-run computes against live PyTorch in float64, stage by stage.

    /usr/bin/python3 tests/parity/test_run.py --build DIR [--seed N|new] [--only TEXT]

Networks with random weights and batch-norm statistics (the same in every run unless --seed asks for others) at full width, the networks in the
box with their trained weights and images, and the real ResNet-50 where its weights (PSAL_REAL_WEIGHTS, or
resnet50-keras.safetensors in psal's cache) and the reference numbers (../shared/oracle) are at hand. Compared are the
preprocessed input (every bit), logits, naive and standardized profile, ranking, the input gradient for several k, and what
--json says; and that the bytes do not depend on the number of threads or the run. Prints a line per case, a table with the
worst of each family beside PyTorch's own float32, and "N passed, N failed"; the status is 1 when one failed."""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from PIL import Image

import command_line
import kinks
import networks
import reference

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHARED = ROOT.parent / "shared"
BOX = ("resnet18", "vgg19", "densenet121", "inception_v3")
TOLERANCE = {"logits": 1e-4, "naive": 1e-4, "naive L2": 1e-4, "standardized": 1e-4, "rank": 1e-5, "gradient": 3e-3,
             "cosine": 1e-4}  # rank and cosine: distance from 1
BOOST = 100.0


# ---- psal's side ----

class Psal:
    def __init__(self, build):
        self.program = pathlib.Path(build).resolve() / "tools" / "psal-run"

    def run(self, folder, *arguments):
        """(the arrays of --dump, the JSON object); raises with the message"""
        dump = pathlib.Path(folder) / "dump"
        command = [self.program, "--dump", dump, "--out", pathlib.Path(folder) / "figures", "--json", "--quiet",
                   "--boost-factor", BOOST, *arguments]
        # Tests run beside each other: threads that wait must not spin.
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              env=dict(os.environ, OMP_WAIT_POLICY="passive"))
        if done.returncode:
            raise RuntimeError(f"status {done.returncode}: {done.stderr.strip()}")
        arrays = {name: np.load(dump / f"{name}.npy")
                  for name in ("input", "logits", "naive", "standardized", "input_gradient")}
        for name, array in arrays.items():
            if array.dtype != np.float32:
                raise RuntimeError(f"{name}.npy is {array.dtype}")
        return arrays, json.loads(done.stdout)


# ---- PyTorch's side ----

def answers(model, image, label, mean, std, mode, chosen, aggregation="filter"):
    """Logits, naive and standardized profile, {k: gradient} for chosen = {k: filters}, in the network's precision. One
    forward and one differentiable backward pass serve all k."""
    image = image.detach().clone().requires_grad_(True)
    naive, logits = reference.naive_profile(model, image, label, aggregation, differentiable=True)
    profile = reference.standardize(naive, mean, std, mode)
    gradients = {}
    for k, filters in chosen.items():
        target = profile.detach().clone()
        target[filters] *= BOOST
        cosine = torch.dot(profile, target) / (profile.norm() * target.norm())
        gradients[k] = torch.autograd.grad(cosine, image, retain_graph=True)[0][0].double().numpy()
    return dict(logits=logits.double().numpy(), naive=naive.detach().double().numpy(),
                standardized=profile.detach().double().numpy(), gradients=gradients)


def relative(found, expected):
    """Largest difference over the largest entry"""
    return np.abs(found - expected).max() / np.abs(expected).max()


def relative_l2(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def away_from_one(found, expected):
    """1 - cosine"""
    found, expected = found.ravel().astype(np.float64), expected.ravel()
    return 1 - found @ expected / (np.linalg.norm(found) * np.linalg.norm(expected))


def spearman(a, b):
    """1 - rank correlation, equal values sharing their mean rank"""
    def ranks(values):
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return 1 - np.corrcoef(ranks(a.astype(np.float32)), ranks(b.astype(np.float32)))[0, 1]


def compare(found, expected):
    """The errors of one side's arrays against the float64 answers"""
    errors = {"logits": relative(found["logits"], expected["logits"]),
              "naive": relative(found["naive"], expected["naive"]),
              "naive L2": relative_l2(found["naive"], expected["naive"]),
              "standardized": relative(found["standardized"], expected["standardized"]),
              "rank": spearman(found["naive"], expected["naive"])}
    pairs = [(found["gradients"][k], expected["gradients"][k]) for k in expected["gradients"]]
    errors["gradient"] = max(relative_l2(a, b) for a, b in pairs)
    errors["cosine"] = max(away_from_one(a, b) for a, b in pairs)
    return errors


# ---- one case ----

def check_top(ours, expected, live, slack, length=20):
    """The most salient filters, in order. Two may change places where float64 has them within `slack`."""
    theirs = reference.rank(torch.from_numpy(expected), live).numpy()[:length]
    ours = ours[:length]
    wrong = [place for place, (a, b) in enumerate(zip(ours, theirs)) if abs(expected[a] - expected[b]) > slack]
    return [f"filter {ours[p]} at rank {p + 1}, expected {theirs[p]}" for p in wrong[:1]]


def check_json(answer, model, label, expected, logits_slack, slack, aggregation):
    """What --json says, against float64; the loss within `logits_slack` and saliencies within `slack` of the largest"""
    defects, names = [], [(name, i) for name, count in reference.filter_names(model, aggregation) for i in range(count)]
    shifted = np.exp(expected["logits"] - expected["logits"].max())
    confidence = shifted / shifted.sum()
    best = int(confidence.argmax())
    if answer["predicted"]["class"] != best or abs(answer["predicted"]["confidence"] - confidence[best]) > 1e-3:
        defects.append(f"predicted {answer['predicted']}, expected {best} with {confidence[best]:.4f}")
    if answer["target"]["class"] != label or abs(answer["target"]["confidence"] - confidence[label]) > 1e-3:
        defects.append(f"target {answer['target']}, expected {label} with {confidence[label]:.4f}")
    loss = np.log(shifted.sum()) - (expected["logits"][label] - expected["logits"].max())
    if abs(answer["loss"] - loss) > logits_slack * (1 + np.abs(expected["logits"]).max()):
        defects.append(f"loss {answer['loss']}, expected {loss}")
    for place, row in enumerate(answer["top_filters"]):
        if row["rank"] != place + 1 or names[row["filter"]] != (row["layer"], row["filter_in_layer"]):
            defects.append(f"top_filters row {place} is {row}")
            break
        for key, values in (("saliency", "standardized"), ("naive", "naive")):
            if abs(row[key] - expected[values][row["filter"]]) > slack * np.abs(expected[values]).max():
                defects.append(f"{key} of top_filters row {place} is {row[key]}, expected {expected[values][row['filter']]}")
    return defects


def check(psal, folder, model, image, preprocess, label, arguments, mean=None, std=None, mode="std", ks=(1, 10, 100),
          strict=False, fair=True, aggregation="filter"):
    """(defects, psal's errors, PyTorch's own float32 errors or None). The fair bound, twice PyTorch's error, counts where
    it is above the tolerance; strict: no filters may change places."""
    defects, found = [], None
    for k in ks:
        arrays, answer = psal.run(folder, "--image-path", image, "--image-target-label", label, "--mode", mode,
                                  "--k-salient", k, "--aggregation", aggregation, *arguments)
        if found is None:
            found = dict(arrays, gradients={}, answer=answer)
        for name in ("logits", "naive", "standardized"):
            if not np.array_equal(arrays[name], found[name]):
                defects.append(f"{name} depends on k")
        found["gradients"][k] = arrays["input_gradient"]
    inputs = reference.preprocess(image, preprocess)
    if not np.array_equal(found["input"].reshape(inputs[0].shape), inputs[0].numpy()):
        defects.append("the preprocessed input differs")
    # psal's own choice of filters, so that a tie at the k-th place does not change what is differentiated.
    live = reference.rankable(torch.from_numpy(found["naive"]), mean, std, mode)
    order = reference.rank(torch.from_numpy(found["standardized"]), live)
    chosen = {k: order[:k] for k in ks}
    theirs = answers(model, inputs, label, mean, std, mode, chosen, aggregation) if fair else None
    model = model.double()
    expected = answers(model, inputs.double(), label, mean, std, mode, chosen, aggregation)
    model.float()
    errors = compare(found, expected)
    single = compare(theirs, expected) if fair else None
    # A ReLU or a maximum that float32 decides the other way moves everything behind it. That the sample lies so near to a
    # kink must show in PyTorch as well, for inputs as far from this one as float32's rounding reaches.
    for draw in range(6):
        if not fair or all(error <= max(TOLERANCE[name], 2 * single[name]) for name, error in errors.items()):
            break
        noise = torch.randn(inputs.shape, generator=torch.Generator().manual_seed(draw))
        near = compare(answers(model.float(), inputs * (1 + 1e-6 * noise), label, mean, std, mode, chosen, aggregation), expected)
        single = {name: max(error, near[name]) for name, error in single.items()}
    bounds = {name: max(TOLERANCE[name], 2 * single[name]) if fair else TOLERANCE[name] for name in TOLERANCE}
    if not all(error <= bounds[name] for name, error in errors.items()):
        # Or psal took the other side of a kink that PyTorch's float32 happens not to: then it must agree with float64 there.
        model.double()
        units = kinks.deciding_units(model, inputs.double(),
                                     lambda: reference.naive_profile(model, inputs.double(), label, aggregation)[0].double().numpy(),
                                     found["naive"], TOLERANCE["naive"])
        if units:
            with kinks.relu_replaced(kinks.pushed(units)):
                expected = answers(model, inputs.double(), label, mean, std, mode, chosen, aggregation)
            errors = compare(found, expected)
        model.float()
    for name, error in errors.items():
        bound = bounds[name]
        if not error <= bound:  # NaN fails
            defects.append(f"{name} {error:.1e} above {bound:.1e}")
    largest = np.abs(expected["standardized"]).max()
    slack = 0 if strict else (4 * single["standardized"] if fair else 1e-5) * largest + 1e-6 * largest
    defects += check_top(order.numpy(), expected["standardized"], live, slack)
    defects += check_top(order.numpy(), expected["standardized"], live, slack + 2e-4 * largest, max(ks))
    named = np.array([row["filter"] for row in found["answer"]["top_filters"]])
    if not np.array_equal(found["standardized"][named], found["standardized"][order[:len(named)]]) or not live[named].all():
        defects.append(f"top_filters are {named}, expected {order[:len(named)].tolist()}")
    defects += check_json(found["answer"], model, label, expected, 2 * bounds["logits"],
                          1e-3 + 2 * max(errors["naive"], errors["standardized"]), aggregation)
    return defects, errors, single


# ---- the cases ----

def random_image(path, height, width, rng):
    """A smooth picture with some noise, as photos are"""
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((width, height), Image.BICUBIC)
    noise = rng.normal(0, 12, (height, width, 3))
    Image.fromarray(np.clip(np.asarray(coarse) + noise, 0, 255).astype(np.uint8)).save(path)


def random_statistics(path, model, inputs, label, rng, aggregation="filter"):
    """Positive mean and deviation of each layer's size; zeros where nothing is ever computed"""
    naive = reference.naive_profile(model, inputs, label, aggregation)[0].double().numpy()
    first = 0
    for _, count in reference.filter_names(model, aggregation):
        naive[first:first + count] = naive[first:first + count].mean()
        first += count
    mean = torch.from_numpy(naive * rng.uniform(0.5, 1.5, len(naive)))
    std = torch.from_numpy(naive * rng.uniform(0.3, 1.0, len(naive)))
    reference.write_safetensors(str(path), {"mean": mean, "std": std})
    return mean, std


def random_case(psal, folder, arch, classes, height, width, preprocess, options, ks, seed, aggregation="filter"):
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    weights, stats, image = (folder / name for name in ("weights.safetensors", "s.safetensors", "image.png"))
    resized = "resize=none" not in preprocess
    random_image(image, height + 70 * resized, width + 110 * resized, rng)
    inputs, label = reference.preprocess(image, preprocess), int(rng.integers(classes))
    seen = torch.cat((inputs, torch.randn(inputs.shape)))
    model = reference.differentiable_twice(reference.randomise(reference.build(arch, classes, **options), seed, seen))
    metadata = {"psal.arch": arch, "psal.num_classes": classes, "psal.transform_input": int(options.get("transform_input", 0))}
    reference.write_safetensors(str(weights), model.state_dict(), metadata)
    # Not the class the network is sure of: PyTorch forms 1 - p as a difference, of which float64 keeps nothing at p = 1 - 1e-25.
    with torch.no_grad():
        if model(inputs)[0].softmax(0)[label] > 0.99:
            label = (label + 1) % classes
    mean, std = random_statistics(stats, model, inputs, label, rng, aggregation)
    return check(psal, folder, model, image, preprocess, label, ["--weights", weights, "--stats", stats, "--preprocess", preprocess],
                 mean, std, ks=ks, aggregation=aggregation)


def box_case(psal, folder, arch, mode, seed, images=20):
    """The images of the box, random statistics"""
    path = ROOT / "weights" / f"fashion_{arch}.safetensors"
    model, metadata = reference.load_network(str(path))
    samples = ROOT / "weights" / "fashion_samples"
    rows = [line.split(",") for line in (samples / "labels.csv").read_text().splitlines()[1:images + 1]]
    rng = np.random.default_rng(seed)
    preprocess = metadata["psal.preprocess"]
    stats = folder / "s.safetensors"
    defects, worst, worst_single = [], {}, {}
    for number, row in enumerate(rows):
        # Of this image's size: sure predictions have tiny saliencies, and the cosine of a profile that is all statistics
        # and no image has a gradient of rounding errors only.
        # And where the network is so sure that 1 - p is rounding error in float32, another class is the target.
        inputs, label = reference.preprocess(samples / row[0], preprocess), int(row[1])
        with torch.no_grad():
            confidence = model(inputs)[0].softmax(0)
        if confidence[label] > 0.99:
            label = (label + 1) % len(confidence)
        mean, std = random_statistics(stats, model, inputs, label, rng)
        ks = (1, 10, 100) if number < 3 else (10,)
        part, errors, single = check(psal, folder, model, samples / row[0], preprocess, label,
                                     ["--weights", path, "--stats", stats], mean, std, mode, ks)
        defects += [f"{row[0]}: {defect}" for defect in part]
        for name in errors:
            worst[name] = max(worst.get(name, 0), errors[name])
            worst_single[name] = max(worst_single.get(name, 0), single[name])
    return defects, worst, worst_single


def real_weights():
    given = os.environ.get("PSAL_REAL_WEIGHTS")
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = pathlib.Path(given) if given else pathlib.Path(cache) / "psal" / "resnet50-keras.safetensors"
    return path if path.exists() else None


def oracle_statistics(folder):
    mean, std = (torch.from_numpy(np.load(SHARED / "oracle" / f"{name}.npy")).double() for name in ("mean", "std"))
    stats = folder / "oracle.safetensors"
    reference.write_safetensors(str(stats), {"mean": mean, "std": std})
    return stats, mean, std


def shark_case(psal, folder, weights):
    """The photo of the original's demonstration, also against numbers computed elsewhere"""
    model, metadata = reference.load_network(str(weights))
    stats, mean, std = oracle_statistics(folder)
    image = next((SHARED / "demo").glob("great_white_shark*.jpeg"))
    arguments = ["--weights", weights, "--stats", stats]
    defects, errors, single = check(psal, folder, model, image, metadata["psal.preprocess"], 2, arguments, mean, std, strict=True)
    arrays, answer = psal.run(folder, "--image-path", image, "--image-target-label", 2, "--k-salient", 10, *arguments)
    oracle = SHARED / "oracle"
    if answer["predicted"]["class"] != 148 or round(answer["predicted"]["confidence"], 3) != 0.868:
        defects.append(f"predicted {answer['predicted']}")
    top = [line.split(",") for line in (oracle / "shark_top20.csv").read_text().splitlines()[1:]]
    if [(str(f["filter"]), f["layer"], str(f["filter_in_layer"])) for f in answer["top_filters"][:20]] != [tuple(r[1:4]) for r in top]:
        defects.append("the top filters differ from shark_top20.csv")
    for name, array, measure in (("logits", "logits", relative), ("naive", "naive", relative), ("naive", "naive", relative_l2),
                                 ("standardized", "standardized", relative), ("input_grad_k10_f64", "input_gradient", relative_l2)):
        error = measure(arrays[array], np.load(oracle / f"shark_{name}.npy").astype(np.float64))
        # Its profile is PyTorch's float32, which is itself as far from float64 as `single` says.
        bound = 3e-3 if "grad" in name else max(1e-4, 2 * single[name]) if name in single else 1e-4
        if not error <= bound:
            defects.append(f"{name} is {error:.1e} from the oracle's")
    return defects, errors, single


def photo_case(psal, folder, weights, rng, count):
    """`count` images of the sample, at most ten, k = 10"""
    model, metadata = reference.load_network(str(weights))
    stats, mean, std = oracle_statistics(folder)
    rows = [line.rsplit(",", 1) for line in (SHARED / "imagenet-sample" / "labels.csv").read_text().splitlines()[1:]]
    defects, worst = [], {}
    for path, label in rng.sample(rows, 10)[:count]:
        image, label = SHARED / "imagenet-sample" / path, int(label)
        # As with the networks in the box: where the network is right and sure, the standardized profile is the statistics'
        # alone (s is nearly 0), boosting its largest entries hardly turns it, and the cosine's gradient is rounding errors.
        with torch.no_grad():
            confidence = model(reference.preprocess(image, metadata["psal.preprocess"]))[0].softmax(0)
        if confidence[label] > 0.99:
            label = (label + 1) % len(confidence)
        part, errors, _ = check(psal, folder, model, image, metadata["psal.preprocess"], label,
                                ["--weights", weights, "--stats", stats], mean, std, ks=(10,))
        defects += [f"{path}: {defect}" for defect in part]
        worst = {name: max(worst.get(name, 0), error) for name, error in errors.items()}
    return defects, worst, None


def same_bits(psal, folder, arguments):
    """The bytes of every dumped array for 1, 2, 4 threads, and for 2 once more"""
    first = None
    for threads in (1, 2, 4, 2):
        arrays, _ = psal.run(folder, "--threads", threads, *arguments)
        now = {name: array.tobytes() for name, array in arrays.items()}
        first = first or now
        different = [name for name in now if now[name] != first[name]]
        if different:
            return [f"{', '.join(different)} differ with {threads} threads"]
    return []


def bits_case(psal, folder, arch, seed):
    """The network in the box on two images, or a random one of full width"""
    if arch in BOX:
        defects = []
        for image, label in (("bag_called_sandal.png", 8), ("dress.png", 3)):
            defects += same_bits(psal, folder, ["--weights", ROOT / "weights" / f"fashion_{arch}.safetensors", "--mode", "naive",
                                                "--image-path", ROOT / "weights" / "fashion_samples" / image,
                                                "--image-target-label", label])
        return defects, None, None
    arch = arch.split("/")[0]
    model = reference.randomise(reference.build(arch, 7), seed)
    reference.write_safetensors(str(folder / "weights.safetensors"), model.state_dict(), {"psal.arch": arch})
    random_image(folder / "image.png", 230, 300, np.random.default_rng(seed))
    return same_bits(psal, folder, ["--weights", folder / "weights.safetensors", "--image-path", folder / "image.png",
                                    "--image-target-label", 3, "--mode", "naive"]), None, None


def cases(psal, folder, rng, slow):
    """(family, name, function)"""
    listed = []

    def add_random(family, arch, classes, image_height, image_width, preprocess, ks=(1, 10, 100), aggregation="filter", **options):
        seed, rows = rng.randrange(2 ** 31), " rows" * (aggregation == "row")
        listed.append((family, f"{arch} {classes} classes {image_width}x{image_height}{rows}", lambda: random_case(
            psal, folder, arch, classes, image_height, image_width, preprocess, options, ks, seed, aggregation)))

    for arch in ("resnet18", "resnet34", "resnet50", "resnet101"):
        classes = rng.sample((2, 7), 2)
        add_random("resnet", arch, classes[0], 224, 224, "torchvision", (10,) if arch == "resnet101" else (1, 10, 100))
        if not slow and arch in ("resnet34", "resnet101"):
            listed.pop()  # their small images are enough; the seeds of what follows stay the same
        add_random("resnet", arch, classes[1], 97, 131, "torchvision;resize=none;crop=97x131")
    add_random("vgg", "vgg19", 1000, 224, 224, "torchvision", (1, 10) if slow else (10,))
    add_random("densenet", "densenet121", 1000, 224, 224, "torchvision", (10, 100))
    add_random("inception", "inception_v3", 1000, 224, 224, "torchvision", (10,))
    add_random("inception", "inception_v3", 1000, 299, 299, "torchvision;resize=342;crop=299", (10, 100), transform_input=True)
    for arch, width in reference.SMALLEST.items():
        add_random("others", arch, 7, 97, 65, "torchvision;resize=none;crop=97x65", (10,), width=width)
    add_random("others", "vit_b_32", 7, 96, 96, "torchvision;resize=none;crop=96", (10,), width=0.25, image_size=96)
    add_random("grey images", "resnet18", 7, 64, 64, "grey;resize=64;crop=64;scale=255;mean=0.45;std=0.22", (10,), channels=1)
    for arch in BOX:
        listed.append((f"{arch} in the box", f"{arch} in the box, 20 images",
                       lambda arch=arch, seed=rng.randrange(2 ** 31): box_case(psal, folder, arch, "std", seed)))
    for mode in ("norm", "naive"):
        listed.append(("modes", f"resnet18 in the box, --mode {mode}",
                       lambda mode=mode, seed=rng.randrange(2 ** 31): box_case(psal, folder, "resnet18", mode, seed, 3)))
    weights = real_weights()
    if weights and (SHARED / "oracle").is_dir():
        listed.append(("real resnet50", "real resnet50, the shark", lambda: shark_case(psal, folder, weights)))
        photos = 10 if slow else 4
        listed.append(("real resnet50", f"real resnet50, {photos} photos", lambda: photo_case(psal, folder, weights, rng, photos)))
    else:
        print("SKIPPED real resnet50: its weights or ../shared/oracle are not here")
    for arch in BOX + ("resnet50/full",):
        listed.append((None, f"same bits with 1, 2, 4 threads, {arch}",
                       lambda arch=arch, seed=rng.randrange(2 ** 31): bits_case(psal, folder, arch, seed)))
    for arch, width in (("resnet18", 0.5), ("convnext_tiny", 0.25)):
        add_random("rows", arch, 7, 97, 101, "torchvision;resize=none;crop=97x101", (1, 10), "row", width=width)
    add_random("rows", "vit_b_32", 7, 96, 96, "torchvision;resize=none;crop=96", (1, 10), "row", width=0.25, image_size=96)
    state = rng.getstate()
    for arch, width in networks.GATED.items():
        add_random("others", arch, 7, 97, 65, "torchvision;resize=none;crop=97x65", (10,), width=width)
    rng.setstate(state)  # what is drawn while cases run stays the same
    return listed


def text(errors):
    return " ".join(f"{name} {error:.0e}" for name, error in errors.items())


def main():
    parser = command_line.parser(__doc__)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    args = parser.parse_args()
    print(f"seed {args.seed}")
    rng = random.Random(args.seed)
    passed = failed = 0
    table = {}
    with tempfile.TemporaryDirectory(prefix="psal-run-") as folder:
        for family, name, function in cases(Psal(args.build), pathlib.Path(folder), rng, args.slow):
            if args.only not in name:
                continue
            start = time.monotonic()
            try:
                defects, errors, single = function()
            except (RuntimeError, ValueError, KeyError, OSError) as caught:
                defects, errors, single = [f"{type(caught).__name__}: {caught}"], None, None
            passed, failed = passed + (not defects), failed + bool(defects)
            print(f"{'FAIL' if defects else 'ok  '} {name:44} {time.monotonic() - start:5.1f} s  "
                  f"{text(errors) if errors else ''} {'; '.join(defects[:4])}", flush=True)
            for side, values in (("psal", errors), ("torch", single)):
                for what, error in (values or {}).items():
                    key = (family, what, side)
                    table[key] = max(table.get(key, 0), error)
    columns = list(TOLERANCE)
    print("\nworst error of each family against PyTorch in float64: psal / PyTorch in float32 (rank, cosine: 1 - correlation)")
    print(f"{'':24}" + "".join(f"{c:>17}" for c in columns))
    for family in dict.fromkeys(f for f, _, _ in table):
        cells = [f"{table.get((family, c, 'psal'), np.nan):.0e} / {table.get((family, c, 'torch'), np.nan):.0e}" for c in columns]
        print(f"{family:24}" + "".join(f"{cell:>17}" for cell in cells))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
