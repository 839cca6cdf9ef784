#!/usr/bin/python3
"""Train the small networks in the box on Fashion-MNIST: one of each family, torchvision's layers at a fraction of the
width (tests/parity/networks.py), stored as half-precision safetensors that psal recognises by itself.

    apt install python3-torch python3-torchvision dataset-fashion-mnist
    weights/train_fashion_mnist.py --arch resnet18              # writes weights/fashion_resnet18.safetensors

Everything follows from --seed: the initial weights, the order of the images, the shifts and flips. (Another PyTorch, or
another number of threads, may round sums differently and then end in slightly different weights.) The accuracy that is
printed and recorded is that of the weights rounded to half precision, over the 10,000 test images."""
import argparse
import gzip
import math
import os
import struct
import sys
import time

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "parity"))
from reference import build, load_network, write_safetensors  # noqa: E402

# width, input side, whether 28x28 is scaled to it (else padded), largest shift of an image, epochs, optimiser, peak
# learning rate, weight decay
RECIPES = {
    "resnet18": dict(width=0.25, side=32, scaled=False, shift=2, epochs=20, optimiser="sgd", rate=0.2, decay=5e-4),
    "vgg19": dict(width=0.078125, side=32, scaled=False, shift=1, epochs=14, optimiser="adam", rate=1.5e-3, decay=1e-4),
    "densenet121": dict(width=0.25, side=32, scaled=False, shift=2, epochs=5, optimiser="sgd", rate=0.2, decay=3e-4),
    "inception_v3": dict(width=0.125, side=75, scaled=True, shift=4, epochs=4, optimiser="sgd", rate=0.2, decay=3e-4),
}
MEAN, DEVIATION = 0.286, 0.353  # of the training images' grey values in 0..1


def read_idx(path):
    """LeCun's IDX format: 2 zero bytes, type (8: unsigned bytes), dimensions, their sizes in big endian, the values."""
    with gzip.open(path) as file:
        content = file.read()
    zero, kind, dims = struct.unpack(">HBB", content[:4])
    shape = struct.unpack(f">{dims}I", content[4:4 + 4 * dims])
    if zero != 0 or kind != 8 or len(content) != 4 + 4 * dims + math.prod(shape):
        raise ValueError(f"{path}: not an IDX file of unsigned bytes")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dims).reshape(shape)


def read_images(folder, part, recipe):
    """uint8 images [n, side, side] as torchvision's Resize or CenterCrop (which pads with black) makes them, labels [n]"""
    images = read_idx(os.path.join(folder, f"{part}-images-idx3-ubyte.gz"))
    labels = read_idx(os.path.join(folder, f"{part}-labels-idx1-ubyte.gz"))
    side = recipe["side"]
    if recipe["scaled"]:
        images = np.stack([np.asarray(Image.fromarray(i).resize((side, side), Image.BILINEAR)) for i in images])
    else:
        margin = (side - images.shape[1]) // 2
        images = np.pad(images, ((0, 0), (margin, margin), (margin, margin)))
    return torch.from_numpy(images.copy()), torch.from_numpy(labels.astype(np.int64))


def to_input(images):
    """uint8 [n, side, side] to the network's input [n, 3, side, side], the grey values three times"""
    return ((images.float() / 255 - MEAN) / DEVIATION).unsqueeze(1).expand(-1, 3, -1, -1).contiguous()


def augment(images, reach, generator):
    """Half of the images mirrored, each shifted by up to `reach` pixels in both directions, black moving in"""
    count, side = images.shape[:2]
    padded = F.pad(images, (reach,) * 4)
    dy, dx = (torch.randint(0, 2 * reach + 1, (count, 1), generator=generator) for _ in range(2))
    rows, columns = dy + torch.arange(side), dx + torch.arange(side)
    mirrored = torch.rand(count, generator=generator) < 0.5
    columns[mirrored] = columns[mirrored].flip(1)
    return padded[torch.arange(count).view(-1, 1, 1), rows.unsqueeze(2), columns.unsqueeze(1)]


def initialise(model, images):
    """He initialisation; a network without batch normalisation then has each layer's weights and bias adjusted, one
    after another, until its outputs on some images have mean 0 and variance 1 (Mishkin & Matas 2016): 19 plain layers
    of few channels do not learn otherwise."""
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    if any(isinstance(m, nn.BatchNorm2d) for m in model.modules()):
        return

    def adjust(layer, inputs, output):
        dims = (0, 2, 3) if output.dim() == 4 else (0,)
        deviation = output.std() + 1e-6
        layer.weight /= deviation
        layer.bias -= output.mean(dims) / deviation
        return layer.forward(*inputs)

    with torch.no_grad():
        hooks = [layer.register_forward_hook(adjust) for layer in layers]
        model(to_input(images))
        for hook in hooks:
            hook.remove()


def count_right(model, images, labels):
    model.eval()
    with torch.no_grad():
        return sum(int((model(to_input(i)).argmax(1) == l).sum()) for i, l in zip(images.split(500), labels.split(500)))


def train(arch, recipe, arguments):
    torch.manual_seed(arguments.seed)
    generator = torch.Generator().manual_seed(arguments.seed)
    images, labels = read_images(arguments.data, "train", recipe)
    test_images, test_labels = read_images(arguments.data, "t10k", recipe)
    model = build(arch, num_classes=10, width=recipe["width"])
    initialise(model, images[:512])
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.1  # these networks are too narrow to lose half of their units
    model.aux_logits = False
    aux, model.AuxLogits = getattr(model, "AuxLogits", None), None  # 75x75 leaves 3x3 there: too small to be trained

    parameters = [p for name, p in model.named_parameters()]
    if recipe["optimiser"] == "sgd":
        optimiser = torch.optim.SGD(parameters, momentum=0.9, nesterov=True, weight_decay=recipe["decay"], lr=0.1)
    else:
        optimiser = torch.optim.AdamW(parameters, weight_decay=recipe["decay"])
    batch = 128
    steps_each = len(images) // batch
    steps = recipe["epochs"] * steps_each
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe["rate"], steps, pct_start=0.2,
                                                   cycle_momentum=False)
    started, step = time.time(), 0
    for epoch in range(recipe["epochs"]):
        model.train()
        order = torch.randperm(len(images), generator=generator)[:steps_each * batch]
        losses = []
        for chosen in order.split(batch):
            loss = F.cross_entropy(model(to_input(augment(images[chosen], recipe["shift"], generator))), labels[chosen])
            if not math.isfinite(loss.item()):
                sys.exit(f"{arch}: the loss is {loss.item()} in epoch {epoch + 1}; try a lower learning rate")
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 5.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
            step += 1
            if step % 20 == 0:
                left = (time.time() - started) / step * (steps - step)
                print(f"\r{arch}: epoch {epoch + 1}/{recipe['epochs']}, loss {np.mean(losses[-100:]):.3f}, "
                      f"{left / 60:.1f} minutes left ", end="", flush=True)
        right = count_right(model, test_images, test_labels)
        print(f"\r{arch}: epoch {epoch + 1}/{recipe['epochs']}, loss {np.mean(losses):.3f}, "
              f"{right / 100:.2f} % right, {(time.time() - started) / 60:.1f} minutes gone", flush=True)
    if aux is not None:
        model.AuxLogits = aux
    return model, test_images, test_labels


def save(model, arch, recipe, arguments, test_images, test_labels):
    """Round to half precision, measure, write."""
    side = recipe["side"]
    epsilon = next((m.eps for m in model.modules() if isinstance(m, nn.BatchNorm2d)), 1e-5)
    template = build(arch, num_classes=10, width=recipe["width"])  # its order is torchvision's
    weights = model.state_dict()
    tensors = {name: weights[name].half() for name in template.state_dict() if not name.endswith("num_batches_tracked")}
    metadata = {
        "psal.arch": arch,
        "psal.variant": "v1.5" if arch.startswith("resnet") else "",
        "psal.width": repr(recipe["width"]),
        "psal.bn_epsilon": repr(epsilon),
        "psal.num_classes": "10",
        "psal.transform_input": "0",
        "psal.preprocess": f"rgb;resize={side if recipe['scaled'] else 'none'};crop={side};scale=255;"
                           f"mean={MEAN},{MEAN},{MEAN};std={DEVIATION},{DEVIATION},{DEVIATION}",
        "psal.labels": "fashion-mnist",
        "psal.training": f"weights/train_fashion_mnist.py --arch {arch} --seed {arguments.seed} "
                         f"--epochs {recipe['epochs']}; Fashion-MNIST, Zalando SE, MIT licence",
    }
    path = arguments.out or os.path.join(HERE, f"fashion_{arch}.safetensors")
    write_safetensors(path, tensors, metadata)
    right = count_right(load_network(path)[0], test_images, test_labels)
    write_safetensors(path, tensors, {**metadata, "psal.accuracy": f"{right / len(test_labels):.4f}"})
    print(f"{path}: {right} of {len(test_labels)} right in half precision, {os.path.getsize(path)} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0],
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--arch", choices=sorted(RECIPES), required=True)
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--width", type=float, help="instead of the recipe's")
    parser.add_argument("--rate", type=float, help="peak learning rate instead of the recipe's")
    parser.add_argument("--threads", type=int, default=1, help="layers this small gain little from more; train two "
                        "networks side by side instead")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist", help="folder of the four IDX files")
    parser.add_argument("--out", help="default: fashion_ARCH.safetensors beside this script")
    arguments = parser.parse_args()
    torch.set_flush_denormal(True)  # vanishing gradients' squares would make each step many times slower
    torch.set_num_threads(arguments.threads)
    recipe = dict(RECIPES[arguments.arch])
    recipe.update({key: value for key in ("epochs", "width", "rate") if (value := getattr(arguments, key)) is not None})
    model, test_images, test_labels = train(arguments.arch, recipe, arguments)
    save(model, arguments.arch, recipe, arguments, test_images, test_labels)


if __name__ == "__main__":
    main()
