#!/usr/bin/python3
"""Put the sample images in the box: twenty test images of Fashion-MNIST as PNG, and labels.csv beside them (for
`--data weights/fashion_samples/labels.csv`). Eight are mistakes of fashion_resnet18.safetensors, named
TRUTH_called_PREDICTION.png; psal-run without arguments explains coat_called_pullover.png, which
tests/experiments/first_picture.py found. The rest it gets right.

    weights/make_fashion_samples.py             # after training another fashion_resnet18: says which choices must change
"""
import csv
import os
import sys

import torch
from PIL import Image

from train_fashion_mnist import HERE, RECIPES, load_network, read_idx, read_images, to_input

CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
MISTAKES = [6565, 4922, 787, 3291, 68, 3741, 2599, 1593]  # positions in the test set, from 0
RIGHT = [19, 2, 1, 13, 6, 8, 4, 9, 18, 0, 5, 30]
FOLDER = "/usr/share/datasets/fashion-mnist"


def file_name(truth, prediction, taken):
    words = [CLASSES[c].lower().replace("/top", "").replace(" ", "_").replace("-", "_") for c in (truth, prediction)]
    stem = words[0] if truth == prediction else f"{words[0]}_called_{words[1]}"
    count = 1 + sum(name.rstrip("0123456789_") == stem for name in taken)
    return stem if count == 1 else f"{stem}_{count}"


def main():
    out = os.path.join(HERE, "fashion_samples")
    os.makedirs(out, exist_ok=True)
    chosen = torch.tensor(MISTAKES + RIGHT)
    inputs, labels = read_images(FOLDER, "t10k", RECIPES["resnet18"])
    model, _ = load_network(os.path.join(HERE, "fashion_resnet18.safetensors"))
    with torch.no_grad():
        confidences, predictions = model(to_input(inputs[chosen])).softmax(1).max(1)
    images = read_idx(os.path.join(FOLDER, "t10k-images-idx3-ubyte.gz"))

    rows, taken = [], []
    for index, prediction, confidence in zip(chosen.tolist(), predictions.tolist(), confidences.tolist()):
        truth = int(labels[index])
        if (truth != prediction) != (index in MISTAKES):
            sys.exit(f"test image {index}: a {CLASSES[truth]}, and the network says {CLASSES[prediction]}; "
                     f"choose another for {'MISTAKES' if index in MISTAKES else 'RIGHT'}")
        name = file_name(truth, prediction, taken)
        taken.append(name)
        Image.fromarray(images[index]).save(os.path.join(out, name + ".png"), optimize=True)
        rows.append([name + ".png", truth, "mistake" if truth != prediction else "right", CLASSES[truth],
                     CLASSES[prediction], f"{confidence:.3f}", index])
    with open(os.path.join(out, "labels.csv"), "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "label", "group", "name", "resnet18_says", "confidence", "test_index"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
