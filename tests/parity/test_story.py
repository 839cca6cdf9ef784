#!/usr/bin/python3
"""From torch.save to pictures, prune table and corrected checkpoint, with the four commands of the first manual.

    /usr/bin/python3 tests/parity/test_story.py --build DIR

A ResNet-18 of torchvision's with a head of its own, Dropout and Linear, and a normalisation of its own learns five classes of
Fashion-MNIST in some seconds. Then the commands of README.md run as they stand there, with these files and the network's own
preprocessing: on a mistake that the network makes. PyTorch, which loads the corrected checkpoint, agrees that the mistake is none any
more. Prints a line per check and "N passed, N failed"; the status is 1 when one failed."""
import argparse
import csv
import gzip
import json
import pathlib
import re
import shlex
import subprocess
import tempfile
import time

import numpy as np
import torch
import torchvision
from PIL import Image
from reference import read_safetensors

from report import Report

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
CLASSES = {"bag": 8, "coat": 4, "sandal": 5, "shirt": 6, "trouser": 1}
SIDE, MEAN, STD = 32, 0.3, 0.35
PREPROCESS = f"rgb;resize=none;crop={SIDE};scale=255;mean={MEAN};std={STD}"


def pictures(kind, each):
    """(pictures [n, 32, 32], labels): the first of each class, in a black frame as the crop makes it"""
    read = [np.frombuffer(gzip.decompress((FASHION / f"{kind}-{name}-ubyte.gz").read_bytes()), np.uint8) for name in ("images-idx3", "labels-idx1")]
    images, labels = read[0][16:].reshape(-1, 28, 28), read[1][8:]
    chosen = [np.flatnonzero(labels == number)[:each] for number in CLASSES.values()]
    return (np.concatenate([np.pad(images[i], ((0, 0), (2, 2), (2, 2))) for i in chosen]),
            np.repeat(np.arange(len(CLASSES)), [len(i) for i in chosen]))


def batch(images):
    return ((torch.tensor(images, dtype=torch.float32)[:, None] / 255 - MEAN) / STD).expand(-1, 3, -1, -1)


def make_network():
    network = torchvision.models.resnet18(weights=None)
    network.fc = torch.nn.Sequential(torch.nn.Dropout(0.2), torch.nn.Linear(512, len(CLASSES)))
    return network


def train(path):
    torch.manual_seed(1)
    network = make_network().train()
    images, labels = pictures("train", 200)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    for chosen in torch.randperm(len(images)).split(32):
        loss = torch.nn.functional.cross_entropy(network(batch(images[chosen.numpy()])), torch.tensor(labels[chosen.numpy()]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.save(network.state_dict(), path)


def write_folder(folder):
    images, labels = pictures("t10k", 20)
    for number, (image, label) in enumerate(zip(images, labels)):
        target = folder / list(CLASSES)[label]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).convert("RGB").save(target / f"{number}.png")


def commands():
    """Those of the first block of README.md that begins with psal-init"""
    block = next(text for text in re.findall(r"```sh[^\n]*\n(.*?)```", (ROOT / "README.md").read_text(), re.S) if "psal-init" in text)
    return [line.split("#")[0].strip() for line in block.splitlines() if line.startswith("build/tools/")]


def answer(network, image):
    with torch.no_grad():
        return int(network(batch(np.asarray(Image.open(image).convert("L"))[None]))[0].argmax())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", help="ignored: there is one story")
    tools = pathlib.Path(parser.parse_args().build).resolve() / "tools"
    report = Report()
    with tempfile.TemporaryDirectory(prefix="psal-story-") as name:
        folder = pathlib.Path(name)
        start = time.monotonic()
        train(folder / "my.pth")
        write_folder(folder / "val")
        print(f"training {time.monotonic() - start:.1f} s", flush=True)
        lines = commands()
        report.check("four commands", [line.split()[0].rpartition("-")[2] for line in lines] == ["init", "run", "prune", "finetune"], lines)
        start = time.monotonic()
        mistake, label = None, None
        for line in lines:
            if mistake:
                line = line.replace("val/cat/7.jpg", mistake).replace("-l cat", f"-l {label}")
            arguments = shlex.split(line.replace("build/tools", str(tools), 1))
            if not mistake:
                arguments += ["--preprocess", PREPROCESS]
            done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
            report.check(line, done.returncode == 0, done.stderr[-800:] if done.returncode else "")
            if not mistake:
                rows = list(csv.DictReader((folder / "psal_store.npy.csv").open()))
                wrong = sorted((row for row in rows if row["correct"] == "0"), key=lambda row: float(row["confidence"]))
                report.check("it makes mistakes, but does not guess", 0 < len(wrong) < len(rows) / 2, f"{len(wrong)} of {len(rows)}")
                mistake, label = "val/" + wrong[0]["path"], wrong[0]["path"].split("/")[0]
                names = json.loads((folder / "psal.json").read_text())["labels"]
                report.check("folder names are class names", names == list(CLASSES), names)
                network = make_network().eval()
                network.load_state_dict(torch.load(folder / "my.pth"))
                report.check("as PyTorch answers", answer(network, folder / mistake) == int(wrong[0]["predicted"]))
            elif "prune" in line:
                report.check("a table of filters switched off", re.search(r"^salient +20 ", done.stdout, re.M), "")
        print(f"four commands {time.monotonic() - start:.1f} s", flush=True)
        for picture in ("filter_saliency.png", "input_saliency.png"):
            report.check(picture, (folder / "figures" / picture).stat().st_size > 1000)
        saved, _ = read_safetensors(folder / shlex.split(lines[-1])[-1])
        network.load_state_dict({key.replace("fc.", "fc.1."): value.float() for key, value in saved.items()}, strict=False)
        report.check("PyTorch finds it corrected", list(CLASSES)[answer(network, folder / mistake)] == label)
    return report.finish()


if __name__ == "__main__":
    raise SystemExit(main())
