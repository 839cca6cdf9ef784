#!/usr/bin/python3
"""psal-run --look against forward hooks of PyTorch: the same places of 200 images for the ten most salient filters.

    /usr/bin/python3 tests/parity/test_look.py --build DIR [--only NETWORK]

200 images of Fashion-MNIST's test set, four networks of the box. For each filter the largest and the smallest output of its convolution on
every image, by a hook on the layer; of these the six largest and the six smallest: the same images in the same order, but where float32
decides (both within 1e-5 of the layer's largest output), at the same row and column, with the same label. What lies outside of the box that
psal gives as the receptive field has no part in the activation: it stays within 1e-5 when all of that is replaced. Needs Debian's
dataset-fashion-mnist. Prints a line per network and "N passed, N failed"; the status is 1 when one failed."""
import csv
import gzip
import json
import pathlib
import subprocess
import tempfile

import numpy as np
import torch
from PIL import Image

import command_line
import reference
from report import Report

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
IMAGES, FILTERS, PLACES, NEAR = 200, 10, 6, 1e-5
SAMPLES = {"resnet18": ("coat_called_pullover", "coat"), "vgg19": ("bag_called_sandal", "bag"),
           "densenet121": ("shirt_called_bag", "shirt"), "inception_v3": ("trouser_called_dress", "trouser")}


def write_images(folder):
    """The first images as PNG, and their labels"""
    with gzip.open(DATA / "t10k-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)[:IMAGES]
    with gzip.open(DATA / "t10k-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)[:IMAGES].tolist()
    paths = [folder / f"{i:03}.png" for i in range(IMAGES)]
    for path, image in zip(paths, pixels):
        Image.fromarray(image).save(path)
    with open(folder / "list.csv", "w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *((path.name, label) for path, label in zip(paths, labels))])
    return paths, labels


def run(build, folder, weights, sample, label):
    done = subprocess.run([str(word) for word in (
        pathlib.Path(build).resolve() / "tools/psal-run", "-w", weights, "-i", sample, "-l", label, "--look", FILTERS, "--data",
        folder / "list.csv", "--out", folder / "out", "--json", "--quiet")], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)["look"]["filters"]


def outputs(model, images, layers):
    """layer -> what its hook sees [images, filters, rows, columns]; a copy, as a ReLU in place writes over it"""
    seen, modules = {}, dict(model.named_modules())
    hooks = [modules[name].register_forward_hook(lambda module, inputs, result, name=name: seen.update({name: result.detach().clone()}))
             for name in layers]
    with torch.no_grad():
        model(images)
    for hook in hooks:
        hook.remove()
    return seen


def check_places(places, maps, end, scale, paths, labels):
    """The defects of one list of one filter; maps [images, rows, columns]"""
    sign = 1 if end == "largest" else -1
    flat = sign * maps.flatten(1)
    best = flat.max(1).values
    order = torch.sort(best, descending=True, stable=True).indices.tolist()
    defects = []
    for place, expected in zip(places, order[:PLACES]):
        found = paths.index(pathlib.Path(place["image"]))
        here = float(sign * maps[found, place["row"], place["column"]])
        near = NEAR * scale
        if found != expected and abs(float(best[found] - best[expected])) > near:
            defects.append(f"image {found} instead of {expected}")
        elif max(abs(here - float(best[found])), abs(sign * place["activation"] - here)) > near:
            defects.append(f"{place['activation']} at row {place['row']}, column {place['column']}: {sign * here} there, "
                           f"the {end} is {sign * float(best[found])}")
        elif place["label"] != labels[found]:
            defects.append(f"label {place['label']}")
    return defects if len(places) == PLACES else [f"{len(places)} places"]


def check_box(model, images, layer, filter_number, place, paths, scale):
    """All but the box replaced"""
    left, top, width, height = place["box"]
    found = paths.index(pathlib.Path(place["image"]))
    image = images.flip(0)[found].clone()
    image[:, top:top + height, left:left + width] = images[found][:, top:top + height, left:left + width]
    seen = outputs(model, image[None], [layer])[layer][0, filter_number, place["row"], place["column"]]
    return abs(float(seen) - place["activation"]) <= NEAR * scale


def test_network(arch, build, folder, paths, labels, report):
    weights = ROOT / "weights" / f"fashion_{arch}.safetensors"
    model, metadata = reference.load_network(weights)
    images = torch.cat([reference.preprocess(path, metadata["psal.preprocess"]) for path in paths])
    name, label = SAMPLES[arch]
    sample = ROOT / "weights/fashion_samples" / f"{name}.png"
    found = run(build, folder, weights, sample, label)
    layers = {row["layer"]: row["layer"][:-len(".weight")] for row in found}
    seen = outputs(model, images, layers.values())
    own = outputs(model, reference.preprocess(sample, metadata["psal.preprocess"]), layers.values())
    defects, sizes = [], []
    for row in found:
        maps, scale = seen[layers[row["layer"]]][:, row["filter_in_layer"]], float(seen[layers[row["layer"]]].abs().max())
        mine = own[layers[row["layer"]]][0, row["filter_in_layer"]]
        for end, extreme in (("largest", mine.max()), ("smallest", mine.min())):
            defects += [f"filter {row['filter']}: {defect}" for defect in check_places(row[end], maps, end, scale, paths, labels)]
            if abs(row["this_image"][end]["activation"] - float(extreme)) > NEAR * scale:
                defects.append(f"filter {row['filter']}: {row['this_image'][end]}, expected {float(extreme)}")
            for place in row[end][:2]:
                sizes.append(place["box"][2] * place["box"][3])
                if not check_box(model, images, layers[row["layer"]], row["filter_in_layer"], place, paths, scale):
                    defects.append(f"filter {row['filter']}: more than {place['box']} is seen")
    report.check(arch, len(found) == FILTERS and not defects,
                 defects[0] if defects else f"{FILTERS} filters, boxes of {min(sizes)} to {max(sizes)} pixels")


def main():
    parser = command_line.parser(__doc__)
    parser.add_argument("--only", default="", help="networks whose name contains this")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # waiting threads spin
    report = Report()
    if not DATA.exists():
        print(f"SKIPPED: there is no {DATA}")
        return report.finish()
    with tempfile.TemporaryDirectory() as folder:
        paths, labels = write_images(pathlib.Path(folder))
        for arch in SAMPLES:
            if arguments.only in arch:
                test_network(arch, arguments.build, pathlib.Path(folder), paths, labels, report)
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
