"""The reference of the parity tests: the method of Levin et al. 2022 (arXiv 2108.01335) in PyTorch, said as plainly as
possible, with the networks (networks.py), safetensors files and the preprocessing that go with it.

Everything works in the precision of the network given: model.double() and images in float64 give the answer that
float32 programs are judged by."""
import json
import math
import os
import struct

import numpy as np
import torch
from torch import nn

from networks import ARCHITECTURES, FIRST, SMALLEST, build, randomise, scale  # noqa: F401 (part of this module's interface)

# ---- safetensors: 8 bytes length of the header, the header (JSON), the tensors' bytes one after another ----

SAFETENSORS_TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
                     "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
                     "BOOL": torch.bool}


def write_safetensors(path, tensors, metadata=None):
    """tensors: name -> tensor, written in this order; metadata: string -> string. Written whole or not at all."""
    type_names = {dtype: name for name, dtype in SAFETENSORS_TYPES.items()}
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = {key: str(value) for key, value in metadata.items()}
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        header[name] = {"dtype": type_names[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".tmp", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            flat = tensor.detach().contiguous().reshape(-1)
            file.write((flat.view(torch.int16) if flat.dtype == torch.bfloat16 else flat).numpy().tobytes())
    os.replace(path + ".tmp", path)


def read_safetensors(path):
    """(name -> tensor, metadata)"""
    with open(path, "rb") as file:
        content = file.read()
    start = 8 + struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:start])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        data = bytearray(content[start + begin:start + end])
        dtype = SAFETENSORS_TYPES[entry["dtype"]]
        tensor = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        tensors[name] = tensor.reshape(entry["shape"])
    return tensors, metadata


def load_network(path):
    """The network of a psal checkpoint, in evaluation mode and float32, and its metadata."""
    tensors, metadata = read_safetensors(path)
    model = build(metadata["psal.arch"], int(metadata["psal.num_classes"]), float(metadata.get("psal.width", 1)),
                  metadata.get("psal.variant", ""), float(metadata["psal.bn_epsilon"]),
                  metadata.get("psal.transform_input") == "1")
    missing, unexpected = model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ValueError(f"{path}: missing {missing}, unexpected {unexpected}")
    return model, metadata


# ---- preprocessing: torchvision's Resize, CenterCrop, ToTensor and Normalize on Pillow images, written out ----

PREPROCESS = {
    "torchvision": dict(order="rgb", resize=256, crop=(224, 224), scale=255.0,
                        mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "caffe": dict(order="bgr", resize=256, crop=(224, 224), scale=1.0,
                  mean=(103.939, 116.779, 123.68), std=(1.0, 1.0, 1.0)),
    "inception": dict(order="rgb", resize=342, crop=(299, 299), scale=255.0,
                      mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
}


def parse_preprocess(text):
    """What psal_preprocess_parse reads (io/preprocess.h): a preset or a channel order (rgb, bgr, grey), then settings:
    "rgb;resize=none;crop=32;scale=255;mean=0.286;std=0.353", "torchvision;crop=97x131". Mean and std are in the order
    of the planes. After a channel order, what is not given is: none, none, 1, 0, 1."""
    base, *settings = text.split(";")
    if base in PREPROCESS:
        options = dict(PREPROCESS[base])
    elif base in ("rgb", "bgr", "grey"):
        options = dict(order=base, resize=0, crop=None, scale=1.0, mean=(0.0,), std=(1.0,))
    else:
        raise ValueError(f"unknown preprocessing {base!r}")
    for setting in settings:
        key, value = setting.split("=")
        if key == "resize":
            sides = [0] if value == "none" else [int(side) for side in value.split("x")]
            options[key] = sides[0] if len(sides) == 1 else tuple(sides)
        elif key == "crop":
            sides = [0] if value == "none" else [int(side) for side in value.split("x")]
            options[key] = (sides[0], sides[-1]) if sides[0] else None
        elif key == "scale":
            options[key] = float(value)
        elif key in ("mean", "std"):
            options[key] = tuple(float(number) for number in value.split(","))
        else:
            raise ValueError(f"unknown setting {setting!r} in preprocessing {text!r}")
    if isinstance(options["resize"], tuple) and not any(setting.startswith("crop=") for setting in settings):
        options["crop"] = None
    return options


def crop_image(image, options):
    """Pillow image to the pixels the network sees, uint8 [height, width, 3] (grey: [height, width]): shorter side
    resized, or both (bilinear, antialiased), centre cut out, black around what is smaller than the crop."""
    from torchvision import transforms
    image = image.convert("L" if options["order"] == "grey" else "RGB")
    if options["resize"]:
        image = transforms.Resize(options["resize"])(image)
    if options["crop"]:
        image = transforms.CenterCrop(options["crop"])(image)
    return np.array(image)


def preprocess(image, how="torchvision", dtype=torch.float32):
    """A Pillow image or a file's path to the network's input [1, channels, height, width]. `how`: for
    parse_preprocess."""
    if isinstance(image, (str, os.PathLike)):
        from PIL import Image
        image = Image.open(image)
    options = parse_preprocess(how)
    pixels = crop_image(image, options)
    planes = torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1)
    if options["order"] == "bgr":
        planes = planes.flip(0)
    planes = planes.to(dtype) / options["scale"]
    mean, std = (torch.tensor(options[key], dtype=dtype).view(-1, 1, 1) for key in ("mean", "std"))
    return ((planes - mean) / std).unsqueeze(0)


# ---- the method ----

def loss_of(logits, label=None, logit=None, logit_difference=None):
    """The number whose gradients everything is made of, for one sample: cross-entropy against `label` (of several samples
    with a list of labels: the mean), one logit, or
    the difference of two (a, b): logit a minus logit b."""
    if logit is not None:
        return logits[0, logit]
    if logit_difference is not None:
        return logits[0, logit_difference[0]] - logits[0, logit_difference[1]]
    return nn.functional.cross_entropy(logits, torch.as_tensor(label).reshape(-1))


def takes_part(name, parameter, aggregation="filter"):
    """filter: 4-D weights; row: the weights of convolutions and linear layers, attention's in_proj_weight among them; else
    every parameter"""
    if aggregation == "filter":
        return parameter.dim() == 4
    return aggregation != "row" or (name.endswith("weight") and parameter.dim() >= 2)


def filter_names(model, aggregation="filter"):
    """[(parameter name, number of its filters or rows)] in the order of the numbering"""
    return [(name, p.shape[0]) for name, p in model.named_parameters() if takes_part(name, p, aggregation)]


def aggregate(gradients, parameters, aggregation="filter", signed=False):
    """Gradients (None: not reached, as Inception's auxiliary classifier: zeros) to a profile.
    filter: the mean over each output channel of the 4-D weights; row: over each output of every weight given; parameter:
    every element of every parameter; tensor: the mean over each parameter."""
    parts = []
    for gradient, parameter in zip(gradients, parameters):
        if aggregation == "filter" and parameter.dim() != 4:
            continue
        if gradient is None:
            gradient = torch.zeros_like(parameter)
        if not signed:
            gradient = gradient.abs()
        if aggregation in ("filter", "row"):
            parts.append(gradient.flatten(1).mean(1))
        elif aggregation == "parameter":
            parts.append(gradient.reshape(-1))
        elif aggregation == "tensor":
            parts.append(gradient.mean().reshape(1))
        else:
            raise ValueError(f"unknown aggregation {aggregation!r}: filter, row, parameter or tensor")
    return torch.cat(parts)


class HardSigmoid(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.relu6(x + 3) / 6


class HardSwish(torch.nn.Module):
    def forward(self, x):
        return x * torch.nn.functional.relu6(x + 3) / 6


def differentiable_twice(model):
    """PyTorch 1.13 has no second derivative of its own hard-sigmoid and hard-swish: their definitions in their place"""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, (torch.nn.Hardsigmoid, torch.nn.Hardswish)):
                setattr(module, name, HardSigmoid() if isinstance(child, torch.nn.Hardsigmoid) else HardSwish())
    return model


def naive_profile(model, image, label=None, aggregation="filter", signed=False, differentiable=False, **loss):
    """(profile, logits [classes]) of one sample, the network in evaluation mode. With `differentiable` the profile can
    be differentiated once more."""
    named = [(name, p) for name, p in model.named_parameters() if takes_part(name, p, aggregation)]
    logits = model(image)
    gradients = torch.autograd.grad(loss_of(logits, label, **loss), [p for _, p in named],
                                    create_graph=differentiable, allow_unused=True)
    profile = aggregate(gradients, [p for _, p in named], aggregation, signed)
    return (profile if differentiable else profile.detach()), logits.detach()[0]


def standardize(naive, mean=None, std=None, mode="std"):
    """std: (s - mean) / std, a std of at most 1e-14 counting as 1; norm: s / mean, likewise; naive: s."""
    if mode == "naive":
        return naive
    mean = torch.as_tensor(mean).to(naive.dtype)
    if mode == "norm":
        return naive / torch.where(mean <= 1e-14, torch.ones_like(mean), mean)
    if mode != "std":
        raise ValueError(f"unknown mode {mode!r}: std, norm or naive")
    std = torch.as_tensor(std).to(naive.dtype)
    return (naive - mean) / torch.where(std <= 1e-14, torch.ones_like(std), std)


def rankable(naive, mean=None, std=None, mode="std"):
    """Which filters can be ranked: those with something to divide by or, in mode naive, with a gradient"""
    return naive != 0 if mode == "naive" else torch.as_tensor(std if mode == "std" else mean) > 1e-14


def rank(profile, live=None):
    """The live entries (None: all) from the most to the least salient; of equal ones the lower number first."""
    order = torch.sort(profile.detach(), descending=True, stable=True).indices
    return order if live is None else order[live[order]]


def input_saliency(model, image, label=None, mean=None, std=None, mode="std", k=10, boost=100.0, chosen=None,
                   aggregation="filter", signed=False, **loss):
    """The gradient [3, height, width], with respect to the image, of the cosine between the standardized profile and
    itself with its k largest entries (or the `chosen` ones) multiplied by `boost` (a constant)."""
    image = image.detach().clone().requires_grad_(True)
    naive, _ = naive_profile(model, image, label, aggregation, signed, differentiable=True, **loss)
    profile = standardize(naive, mean, std, mode)
    target = profile.detach().clone()
    target[rank(profile, rankable(naive, mean, std, mode))[:k] if chosen is None else chosen] *= boost
    cosine = torch.dot(profile, target) / (profile.norm() * target.norm())
    return torch.autograd.grad(cosine, image)[0][0]


def noisy(image, fraction, draws, generator=None):
    """The draws of noise averaging: (1 - fraction) image + fraction * normal noise"""
    for _ in range(draws):
        yield (1 - fraction) * image + fraction * torch.randn(image.shape, generator=generator, dtype=image.dtype)


class Welford:
    """Mean and unbiased standard deviation, a sample at a time, in float64 (Welford 1962); mergeable (Chan et al. 1979)"""

    def __init__(self):
        self.count, self.mean, self.m2 = 0, 0.0, 0.0

    def add(self, sample):
        sample = sample.double()
        self.count += 1
        delta = sample - self.mean
        self.mean = self.mean + delta / self.count
        self.m2 = self.m2 + delta * (sample - self.mean)

    def merge(self, other):
        count = self.count + other.count
        if other.count == 0:
            return
        delta = other.mean - self.mean
        self.m2 = self.m2 + other.m2 + delta**2 * (self.count * other.count / count)
        self.mean = self.mean + delta * (other.count / count)
        self.count = count

    def std(self):
        return (self.m2 / (self.count - 1)).sqrt()


def heat_map(gradient):
    """The picture of an input gradient [3, h, w], before blur and colour: the maximum over the channels, its absolute
    value, clipped to its 90th..99th percentile, scaled to 0..1."""
    heat = gradient.amax(0).abs()
    low, high = np.percentile(heat.numpy(), (90, 99))
    return ((heat - low) / (high - low)).clamp(0, 1) if high > low else torch.zeros_like(heat)


def similarity(a, b):
    """Cosine similarity of two standardized profiles"""
    return float(torch.dot(a, b) / (a.norm() * b.norm()))


# ---- switching filters off, correcting them ----

def filters_by_parameter(model, chosen, aggregation="filter"):
    """Numbers of filters, or rows, to [(parameter, its chosen output channels)]"""
    chosen, first, found = set(int(f) for f in chosen), 0, []
    for name, parameter in model.named_parameters():
        if takes_part(name, parameter, aggregation):
            inside = [f - first for f in sorted(chosen) if first <= f < first + parameter.shape[0]]
            if inside:
                found.append((parameter, inside))
            first += parameter.shape[0]
    if chosen and not 0 <= min(chosen) <= max(chosen) < first:
        raise ValueError(f"{aggregation}s are numbered 0 to {first - 1}")
    return found


def zero_filters(model, chosen, aggregation="filter"):
    """Zero the weights of the chosen filters or rows, in place (--how weights)"""
    with torch.no_grad():
        for parameter, inside in filters_by_parameter(model, chosen, aggregation):
            parameter[inside] = 0


def norm_after(model, image):
    """convolution's parameter name -> the batch normalisation that reads exactly its output (none in DenseNet's
    pre-activation order, where normalisation reads a concatenation, nor where the output is also read elsewhere)"""
    produced, found, hooks = {}, {}, []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(
                lambda m, i, o, name=name: produced.__setitem__(o.data_ptr(), (name + ".weight", o))))
        elif isinstance(module, nn.BatchNorm2d):
            def look(m, inputs):
                entry = produced.get(inputs[0].data_ptr())
                if entry is not None and entry[1].shape == inputs[0].shape:
                    found[entry[0]] = m
            hooks.append(module.register_forward_pre_hook(look))
    with torch.no_grad():
        model(image)
    for hook in hooks:
        hook.remove()
    return found


def zero_channels(model, chosen, image, aggregation="filter"):
    """Remove the chosen filters' channels, or rows, truly, in place (--how channel): weights, bias, and scale and shift of the
    normalisation that follows. `image`: any input, to see which normalisation that is."""
    norms = norm_after(model, image)
    parameters = dict(model.named_parameters())
    names = {id(p): name for name, p in parameters.items()}
    with torch.no_grad():
        for parameter, inside in filters_by_parameter(model, chosen, aggregation):
            name = names[id(parameter)]
            bias = parameters.get(name[:-len("weight")] + "bias")  # of attention's in_proj_weight: in_proj_bias
            parameter[inside] = 0
            if bias is not None:
                bias[inside] = 0
            if name in norms:
                norms[name].weight[inside] = 0
                norms[name].bias[inside] = 0


def sgd_step(model, image, label, chosen=None, rate=0.001, relative=None, aggregation="filter"):
    """One step of gradient descent on cross-entropy, in evaluation mode and in place, that changes only the chosen
    filters' (or rows') weights (None: every parameter). rate: step length per gradient; relative: instead, the change has this
    fraction of the L2 norm of what it changes."""
    if chosen is None:
        targets = [(p, slice(None)) for p in model.parameters()]
    else:
        targets = filters_by_parameter(model, chosen, aggregation)
    gradients = torch.autograd.grad(loss_of(model(image), label), [p for p, _ in targets], allow_unused=True)
    parts = [(p, inside, g[inside]) for (p, inside), g in zip(targets, gradients) if g is not None]
    with torch.no_grad():
        if relative is not None:
            weights = math.sqrt(sum(float((p[inside].double()**2).sum()) for p, inside, _ in parts))
            step = math.sqrt(sum(float((g.double()**2).sum()) for _, _, g in parts))
            rate = relative * weights / step if step > 0 else 0.0
        for parameter, inside, gradient in parts:
            parameter[inside] -= rate * gradient
