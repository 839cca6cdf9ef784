#!/usr/bin/python3
"""TensorFlow.js layers models, read by their topology, against an interpreter of Keras' layers in PyTorch float64.

    /usr/bin/python3 tests/parity/test_keras.py --build DIR [--seed N|new] [--only TEXT] [--slow]

The networks are small and made here, with random weights: every class of layer that psal has, 'same' padding of even and odd
sides at strides of 1 and 2, branches, a layer that is called twice, a network in a network, Keras 3's way of writing calls,
quantised weights. The interpreter keeps channels last, as Keras does. Compared are logits, naive profile, ranking and input
gradient, as in test_run.py and with its tolerances; then the ONNX file that psal-convert writes (the same bits), and one with
filters switched off. Prints a line per case and "N passed, N failed"; the status is 1 when one failed.

With --slow also the trained Inception-v3 and MobileNetV2 (uint8 weights) of the npm package nsfwjs, where npm and node can
fetch and unpack it; nothing of it is kept."""
import base64
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
import torch.nn.functional as functional

import checkpoint_files
import command_line
import reference
import test_run

CLASSES = 10


# ---- Keras' layers, channels last ----

def same_padding(size, kernel, stride, dilation):
    """TensorFlow's: as many windows as strides begin in the image, the smaller half of what is missing in front"""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def pad_images(x, kernel, config, value=0.0):
    """x [N,H,W,C] as [N,C,H,W] with what 'same' puts around it"""
    strides, dilations = config.get("strides") or kernel, config.get("dilation_rate", (1, 1))
    x = x.permute(0, 3, 1, 2)
    if config.get("padding", "valid") != "same":
        return x
    rows, columns = (same_padding(x.shape[2 + i], kernel[i], strides[i], dilations[i]) for i in (0, 1))
    return functional.pad(x, (*columns, *rows), value=value)


def convolve(x, weight, bias, config, groups=1):
    padded = pad_images(x, weight.shape[2:], {"strides": (1, 1), **config})
    return functional.conv2d(padded, weight, bias, config.get("strides", (1, 1)), 0, config.get("dilation_rate", (1, 1)),
                             groups).permute(0, 2, 3, 1)


def average(x, config):
    size, strides = config["pool_size"], config.get("strides") or config["pool_size"]
    sums, counts = (functional.avg_pool2d(pad_images(t, size, config), size, strides, divisor_override=1)
                    for t in (x, torch.ones_like(x)))
    return (sums / counts).permute(0, 2, 3, 1)


def maximum(x, config):
    size, strides = config["pool_size"], config.get("strides") or config["pool_size"]
    return functional.max_pool2d(pad_images(x, size, config, -torch.inf), size, strides).permute(0, 2, 3, 1)


def activation(name, x, sixths=False):
    return {"linear": lambda: x, "relu": lambda: functional.relu(x), "relu6": lambda: x.clamp(0, 6), "tanh": lambda: torch.tanh(x),
            "sigmoid": lambda: torch.sigmoid(x), "swish": lambda: x * torch.sigmoid(x), "softmax": lambda: x.softmax(-1),
            "hard_sigmoid": lambda: (x / 6 + 0.5 if sixths else 0.2 * x + 0.5).clamp(0, 1),
            "hard_silu": lambda: x * (x / 6 + 0.5).clamp(0, 1),
            "elu": lambda: functional.elu(x), "selu": lambda: functional.selu(x), "softplus": lambda: functional.softplus(x),
            "softsign": lambda: x / (1 + x.abs()),
            "gelu": lambda: x * (1 + torch.erf(x / 2 ** 0.5)) / 2}[name]()


class Network(torch.nn.Module):
    """The layers of a functional network in the order of its list; kernels of convolutions are kept as PyTorch has them, so
    that a filter is a row. `weights`: Keras' name -> array in Keras' layout."""
    def __init__(self, layers, weights, sixths=False):
        super().__init__()
        self.layers, self.sixths, self.statistics = layers, sixths, {}
        classes = {layer["config"]["name"]: layer["class_name"] for layer in layers}
        for name, array in weights.items():
            tensor = torch.from_numpy(np.asarray(array, np.float32))
            layer, part = name.split("/")[-2:]
            if part.startswith("moving"):
                self.register_buffer(f"{layer}/{part}", tensor)
                continue
            if tensor.ndim == 4 and (part == "depthwise_kernel" or (part == "kernel" and classes[layer] == "DepthwiseConv2D")):
                tensor = tensor.permute(2, 3, 0, 1).reshape(-1, 1, *tensor.shape[:2])
            elif tensor.ndim == 4:
                tensor = tensor.permute(3, 2, 0, 1)
            self.register_parameter(name, torch.nn.Parameter(tensor.contiguous()))
            self.__dict__.setdefault("_by_layer", {})[f"{layer}/{part}"] = name

    def get(self, config, part):
        name = f"{config['name']}/{part}"
        return self._buffers[name] if name in self._buffers else self._parameters.get(self._by_layer.get(name))

    def layer(self, kind, c, *inputs):
        x = inputs[0]
        own = lambda part: self.get(c, part)
        if kind == "Conv2D":
            x = convolve(x, own("kernel"), own("bias"), c, c.get("groups", 1))
        elif kind == "DepthwiseConv2D":
            weight = own("depthwise_kernel")
            x = convolve(x, own("kernel") if weight is None else weight, own("bias"), c, x.shape[-1])
        elif kind == "SeparableConv2D":
            x = convolve(x, own("depthwise_kernel"), None, c, x.shape[-1])
            x = convolve(x, own("pointwise_kernel"), own("bias"), {})
        elif kind == "Dense":
            x = x @ own("kernel")
            x = x if own("bias") is None else x + own("bias")
        elif kind == "BatchNormalization":
            x = (x - own("moving_mean")) / torch.sqrt(own("moving_variance") + c["epsilon"])
            x = x if own("gamma") is None else x * own("gamma")
            x = x if own("beta") is None else x + own("beta")
        elif kind == "ReLU":
            x = functional.relu(x) if c.get("max_value") is None else x.clamp(0, c["max_value"])
        elif kind == "LeakyReLU":
            x = functional.leaky_relu(x, c["alpha"])
        elif kind == "ELU":
            x = functional.elu(x, c["alpha"])
        elif kind == "Softmax":
            x = x.softmax(-1)
        elif kind == "AveragePooling2D":
            x = average(x, c)
        elif kind == "MaxPooling2D":
            x = maximum(x, c)
        elif kind == "GlobalAveragePooling2D":
            x = x.mean((1, 2), keepdim=c.get("keepdims", False))
        elif kind == "GlobalMaxPooling2D":
            x = x.amax((1, 2))
        elif kind == "ZeroPadding2D":
            (top, bottom), (left, right) = c["padding"]
            x = functional.pad(x, (0, 0, left, right, top, bottom))
        elif kind == "Flatten":
            x = x.reshape(len(x), -1)
        elif kind == "Reshape":
            x = x.reshape(len(x), *c["target_shape"])
        elif kind == "Add":
            x = sum(inputs)
        elif kind == "Average":
            x = sum(inputs) / len(inputs)
        elif kind == "Multiply":
            x = torch.stack(torch.broadcast_tensors(*inputs)).prod(0)
        elif kind == "Subtract":
            x = inputs[0] - inputs[1]
        elif kind == "Concatenate":
            x = torch.cat(inputs, c["axis"])
        elif kind == "Rescaling":
            x = x * c["scale"] + c["offset"]
        elif kind not in ("Dropout", "Activation"):
            raise ValueError(kind)
        return activation(c.get("activation", "linear"), x, self.sixths)

    def forward(self, image):
        values, before = {}, None
        for layer in self.layers:
            kind, config = layer["class_name"], layer["config"]
            if kind == "InputLayer":
                values[config["name"], 0] = image.permute(0, 2, 3, 1)
                continue
            for call, node in enumerate(layer["inbound_nodes"]):
                inputs = [values[name, index] for name, index, *_ in node]
                x = self.layer(kind, config, *inputs)
                values[config["name"], call] = x
        # The probabilities of the last softmax: its logits, but for a number that every loss takes out again.
        return self.logits(values)

    def logits(self, values):
        """What goes into the last softmax, made again without it"""
        last = next(layer for layer in reversed(self.layers) if layer["class_name"] == "Softmax"
                    or layer["config"].get("activation") == "softmax")
        config = dict(last["config"], activation="linear")
        inputs = [values[name, index] for name, index, *_ in last["inbound_nodes"][0]]
        x = inputs[0] if last["class_name"] == "Softmax" else self.layer(last["class_name"], config, *inputs)
        return x.reshape(len(x), -1)


# ---- made networks ----

class Maker:
    def __init__(self, rng):
        self.rng, self.layers, self.weights, self.last = rng, [], {}, "image"
        self.channels = {}

    def add(self, kind, name, *inputs, **config):
        """A layer behind `inputs` (the last one's output); each is a name or a pair of name and call"""
        nodes = [[[*(i if isinstance(i, tuple) else (i, 0)), 0, {}] for i in (inputs or (self.last,))]] if kind != "InputLayer" else []
        self.layers.append({"class_name": kind, "name": name, "config": {"name": name, "trainable": True, **config},
                            "inbound_nodes": nodes})
        self.last = name
        return name

    def normal(self, *shape, fan):
        return (self.rng.standard_normal(shape) * (2 / fan) ** 0.5).astype(np.float32)

    def bias(self, name, count, use):
        if use:
            self.weights[f"{name}/bias"] = self.normal(count, fan=50)

    def conv(self, name, inputs, filters, size, *sources, use_bias=False, groups=1, **config):
        height, width = size if isinstance(size, tuple) else (size, size)
        self.weights[f"{name}/kernel"] = self.normal(height, width, inputs // groups, filters, fan=height * width * inputs // groups)
        self.bias(name, filters, use_bias)
        more = {"groups": groups} if groups > 1 else {}
        return self.add("Conv2D", name, *sources, filters=filters, kernel_size=[height, width], use_bias=use_bias, **more, **config)

    def depthwise(self, name, inputs, size, multiplier=1, use_bias=False, part="depthwise_kernel", **config):
        self.weights[f"{name}/{part}"] = self.normal(size, size, inputs, multiplier, fan=size * size)
        self.bias(name, inputs * multiplier, use_bias)
        return self.add("DepthwiseConv2D", name, kernel_size=[size, size], depth_multiplier=multiplier, use_bias=use_bias, **config)

    def separable(self, name, inputs, filters, size, multiplier=1, **config):
        self.weights[f"{name}/depthwise_kernel"] = self.normal(size, size, inputs, multiplier, fan=size * size)
        self.weights[f"{name}/pointwise_kernel"] = self.normal(1, 1, inputs * multiplier, filters, fan=inputs * multiplier)
        self.bias(name, filters, True)
        return self.add("SeparableConv2D", name, filters=filters, kernel_size=[size, size], depth_multiplier=multiplier,
                        use_bias=True, **config)

    def norm(self, name, channels, scale=True, center=True, axis=-1):
        if scale:
            self.weights[f"{name}/gamma"] = self.rng.uniform(0.5, 1.5, channels).astype(np.float32)
        if center:
            self.weights[f"{name}/beta"] = self.normal(channels, fan=20)
        self.weights[f"{name}/moving_mean"] = self.normal(channels, fan=20)
        self.weights[f"{name}/moving_variance"] = self.rng.uniform(0.5, 1.5, channels).astype(np.float32)
        return self.add("BatchNormalization", name, axis=axis, epsilon=0.001, momentum=0.99, scale=scale, center=center)

    def dense(self, name, inputs, units, activation="linear", use_bias=True):
        self.weights[f"{name}/kernel"] = self.normal(inputs, units, fan=inputs)
        self.bias(name, units, use_bias)
        return self.add("Dense", name, units=units, activation=activation, use_bias=use_bias)


def mobile(m, side):
    """MobileNetV2's: padding of its own in front of a stride of 2, ReLU6, depthwise, a sum"""
    m.add("ZeroPadding2D", "pad", padding=[[0, 1], [2, 3]], data_format="channels_last")
    m.conv("stem", 3, 8, 3, strides=[2, 2], padding="valid")
    m.norm("stem_bn", 8)
    m.add("ReLU", "stem_relu", max_value=6, negative_slope=0, threshold=0)
    m.conv("expand", 8, 16, 1, padding="same")
    m.norm("expand_bn", 16, scale=False)
    m.add("ReLU", "expand_relu", max_value=6)
    m.depthwise("depth", 16, 3, padding="same")
    m.norm("depth_bn", 16, center=False)
    m.add("ReLU", "depth_relu", max_value=6)
    m.conv("project", 16, 8, 1, padding="same")
    m.norm("project_bn", 8, scale=False, center=False, axis=3)
    m.add("Add", "sum", "stem_relu", "project_bn")
    m.depthwise("down", 8, 3, multiplier=2, use_bias=True, strides=[2, 1], padding="same", activation="relu")
    m.add("GlobalAveragePooling2D", "pool")
    m.add("Dropout", "drop", rate=0.5)
    m.dense("out", 16, CLASSES, "softmax")


def separable(m, side):
    """Xception's, and the order of Flatten"""
    m.separable("one", 3, 6, 3, multiplier=2, strides=[2, 2], padding="same", activation="swish")
    m.add("MaxPooling2D", "max", pool_size=[3, 3], strides=[2, 2], padding="same")
    m.separable("two", 6, 5, 3, padding="same", dilation_rate=[2, 2], activation="tanh")
    m.add("AveragePooling2D", "mean", pool_size=[2, 2], padding="valid")
    m.add("MaxPooling2D", "near", pool_size=[2, 2], strides=[1, 1], padding="same")
    m.add("ELU", "elu", alpha=0.5)
    m.add("Activation", "plus", activation="softplus")
    m.add("Activation", "sign", activation="softsign")
    m.add("Flatten", "flat", data_format="channels_last")
    flat = 5 * (-(-(-(-side // 2)) // 2) // 2) ** 2
    m.dense("hidden", flat, 12, "selu", use_bias=False)
    m.norm("hidden_bn", 12)
    m.dense("out", 12, CLASSES)
    m.add("Softmax", "probabilities", axis=-1)


def branches(m, side):
    """Inception's pooling, a gate of squeeze and excitation, groups"""
    m.conv("stem", 3, 6, 3, use_bias=True, strides=[2, 2], padding="same", activation="relu")
    m.add("AveragePooling2D", "mean", pool_size=[3, 5], strides=[1, 1], padding="same")
    m.conv("left", 6, 4, 1, padding="same", activation="relu6")
    m.conv("right", 6, 5, (5, 3), "stem", padding="same", activation="hard_sigmoid")
    m.add("Concatenate", "both", "left", "right", "stem", axis=-1)
    m.add("GlobalAveragePooling2D", "squeeze")
    m.add("Reshape", "gate", target_shape=[1, 1, 15])
    m.dense("reduce", 15, 6, "relu")
    m.dense("excite", 6, 15, "sigmoid", use_bias=False)
    m.add("Multiply", "scaled", "both", "excite")
    m.add("AveragePooling2D", "halve", pool_size=[3, 3], strides=[2, 2], padding="same")
    m.conv("grouped", 15, 12, 3, groups=3, strides=[2, 2], padding="same", activation="gelu")
    m.add("GlobalMaxPooling2D", "pool")
    m.dense("out", 12, CLASSES, "softmax")


def reshaped(m, side):
    """MobileNet's first last layers (a convolution, softmax, then Reshape), a layer that is called twice, and the rest"""
    m.add("Rescaling", "rescale", scale=1.5, offset=-0.25)
    m.conv("stem", 3, 6, 4, strides=[2, 2], padding="same", activation="hard_silu")
    m.conv("shared", 6, 6, 3, padding="same")
    m.layers[-1]["inbound_nodes"].append([["shared", 0, 0, {}]])
    m.add("Average", "mean", ("shared", 0), ("shared", 1), "stem")
    m.add("Subtract", "difference", "mean", ("shared", 1))
    m.add("LeakyReLU", "leaky", alpha=0.1)
    m.add("Reshape", "rows", target_shape=[-1, side // 2, 6])
    m.conv("odd", 6, 8, 2, strides=[2, 2], padding="same", activation="relu")
    m.add("GlobalAveragePooling2D", "pool")
    m.add("Reshape", "square", target_shape=[1, 1, 8])
    m.conv("out", 8, CLASSES, 1, use_bias=True, padding="same")
    m.add("Activation", "probabilities", activation="softmax")
    m.add("Reshape", "flat", target_shape=[CLASSES])


def sequential(layers, shape):
    listed = [{"class_name": l["class_name"], "config": dict(l["config"])} for l in layers[1:]]
    listed[0]["config"]["batch_input_shape"] = shape
    return {"class_name": "Sequential", "config": {"name": "sequence", "layers": listed}}


def functional_model(layers, name="net", outputs=None):
    return {"class_name": "Model", "config": {"name": name, "layers": layers, "input_layers": [["image", 0, 0]],
                                              "output_layers": [[outputs or layers[-1]["config"]["name"], 0, 0]]}}


def nested(layers, cut, shape, outer):
    """The first `cut` layers as a network that is a layer of another; Keras counts its calls from 1"""
    base, rest = functional_model(layers[:cut], "base"), [dict(layer) for layer in layers[cut:]]
    if outer == "Sequential":
        listed = [base] + [{"class_name": layer["class_name"], "config": layer["config"]} for layer in rest]
        return {"class_name": "Sequential", "config": {"name": "outer", "layers": listed}}
    rest[0]["inbound_nodes"] = [[["base", 1, 0, {}]]]
    first = {"class_name": "InputLayer", "name": "outside", "config": {"name": "outside", "batch_input_shape": shape}, "inbound_nodes": []}
    base = dict(base, name="base", inbound_nodes=[[["outside", 0, 0, {"training": False}]]])
    return functional_model([first, base, *rest], "outer")


def third(layers):
    """As Keras 3 writes calls"""
    def tensor(entry):
        return {"class_name": "__keras_tensor__", "config": {"shape": [None], "dtype": "float32", "keras_history": entry[:3]}}

    def node(entries):
        tensors = [tensor(entry) for entry in entries]
        return {"args": [tensors if len(tensors) > 1 else tensors[0]], "kwargs": {"training": False, "mask": None}}
    listed = [dict(layer, inbound_nodes=[node(entries) for entries in layer["inbound_nodes"]]) for layer in layers]
    listed[0]["config"] = dict(listed[0]["config"])
    listed[0]["config"]["batch_shape"] = listed[0]["config"].pop("batch_input_shape")
    return {"class_name": "Functional", "config": {"name": "net", "layers": listed, "input_layers": ["image", 0, 0],
                                                   "output_layers": [layers[-1]["config"]["name"], 0, 0]}}


# name: network, side, how it is written
CASES = {"mobile": (mobile, 33, "functional"), "mobile, Keras 3": (mobile, 32, "third"),
         "mobile, quantised": (mobile, 32, "quantised"), "separable": (separable, 37, "functional"),
         "separable, sequential": (separable, 32, "sequential"), "separable, nested": (separable, 32, "nested Model"),
         "separable, nested first": (separable, 32, "nested Sequential"), "branches": (branches, 35, "functional"),
         "branches, Keras 3": (branches, 32, "third"), "reshaped": (reshaped, 34, "functional")}


def write(folder, layers, weights, how):
    """model.json and its weights; what the weights are then"""
    shape = layers[0]["config"]["batch_input_shape"]
    model = (sequential(layers, shape) if how == "sequential" else nested(layers, 4, shape, how.split()[-1]) if how.startswith("nested")
             else third(layers) if how == "third" else functional_model(layers))
    entries, read = [], {}
    for name, array in weights.items():
        if how == "nested Sequential":
            name = "outer/base/" + name if name.startswith("one") else name
        if how == "quantised" and array.ndim > 1:
            kind = np.uint8 if len(entries) % 2 else np.uint16
            low, scale = float(array.min()), float(array.max() - array.min()) / np.iinfo(kind).max
            stored = np.round((array - low) / scale).astype(kind)
            entries.append((name, stored, {"dtype": "float32", "quantization": {"dtype": kind.__name__, "scale": scale, "min": low}}))
            read[name] = (stored * scale + low).astype(np.float32)
        else:
            entries.append((name, array, {"dtype": "float32"}))
            read[name] = array
    random.Random(1).shuffle(entries)  # the order of the file does not matter
    checkpoint_files.write_tfjs(folder, [entries], 1 << 20, {"keras_version": "3.1.0" if how == "third" else "2.2.4",
                                                             "model_config": model})
    return read


def run_tool(build, tool, *arguments):
    subprocess.run([str(word) for word in (pathlib.Path(build) / "tools" / tool, *arguments)], check=True, capture_output=True,
                   env=dict(os.environ, OMP_WAIT_POLICY="passive"))


def written_case(build, psal, folder, weights, model, image, preprocess, label):
    """The ONNX file that psal-convert makes gives the same bits; filters that psal-prune switches off are off in its file"""
    converted, pruned, defects = folder / "converted.onnx", folder / "pruned.onnx", []
    options = ["--image-path", image, "--image-target-label", label, "--mode", "naive", "--k-salient", 5]
    run_tool(build, "psal-convert", weights, converted, "--preprocess", preprocess)
    ours, answer = psal.run(folder, "--weights", weights, "--preprocess", preprocess, *options)
    theirs, _ = psal.run(folder, "--weights", converted, *options)
    defects += [f"{name} has other bits in the converted file" for name in ours if not np.array_equal(ours[name], theirs[name])]
    stats = folder / "stats.npz"
    np.savez(stats, mean=np.zeros(len(ours["naive"])), std=np.ones(len(ours["naive"])))
    run_tool(build, "psal-prune", "--weights", weights, "--preprocess", preprocess, "--stats", stats, "-i", image, "-l", label,
             "--how", "weights", "-c", "salient", "-k", 5, "--save", pruned)
    inputs = reference.preprocess(image, preprocess)
    order = reference.rank(torch.from_numpy(ours["naive"]), torch.from_numpy(ours["naive"]) != 0)[:5].tolist()
    off, _ = psal.run(folder, "--weights", pruned, *options)
    before = model(inputs)[0].detach().numpy()
    reference.zero_filters(model, order)
    after = model(inputs)[0].detach().numpy()
    error, change = test_run.relative(off["logits"], after), test_run.relative(before, after)
    return defects + ([f"pruned: logits {error:.1e}, changed by {change:.1e}"] if not error <= 1e-4 or not change > 1e-3 else [])


def network_case(build, psal, folder, name, seed):
    make, side, how = CASES[name]
    rng = np.random.default_rng(seed)
    maker = Maker(rng)
    maker.add("InputLayer", "image", batch_input_shape=[None, side, side, 3], dtype="float32", sparse=False)
    make(maker, side)
    weights = write(folder / "tfjs", maker.layers, maker.weights, how)
    model = Network(maker.layers, weights, how == "third").eval()
    image, preprocess, label = folder / "image.png", f"torchvision;resize={side};crop={side}", int(rng.integers(CLASSES))
    test_run.random_image(image, side, side, rng)
    arguments = ["--weights", folder / "tfjs", "--preprocess", preprocess]
    defects, errors, _ = test_run.check(psal, folder, model, image, preprocess, label, arguments, mode="naive", ks=(10,))
    return defects + written_case(build, psal, folder, folder / "tfjs", model, image, preprocess, label), errors


# ---- trained ones ----

def unpack(source, target):
    """The package keeps model.json and the shards as modules: the one a JSON object, the others base64"""
    target.mkdir()
    for module in source.glob("*.min.js"):
        text = subprocess.run(["node", "-e", "const m = require(process.argv[1]), v = m.default ?? m;"
                               "process.stdout.write(typeof v === 'string' ? v : JSON.stringify(v))", module.resolve()],
                              check=True, capture_output=True, text=True).stdout
        name = module.name.replace(".min.js", "")
        if name == "model":
            (target / "model.json").write_text(text)
        else:
            (target / name).write_bytes(base64.b64decode(text))


def fetch(folder):
    """The folder of the package's models; None where it cannot be had"""
    try:
        subprocess.run(["npm", "pack", "--silent", "nsfwjs@4.4.0"], cwd=folder, check=True, capture_output=True, timeout=120)
        subprocess.run(["tar", "xzf", "nsfwjs-4.4.0.tgz"], cwd=folder, check=True)
        for name in ("mobilenet_v2", "inception_v3"):
            unpack(folder / "package" / "dist" / "models" / name, folder / name)
        return folder
    except (OSError, subprocess.SubprocessError) as error:
        print(f"the trained networks of nsfwjs: SKIPPED, {str(error)[:200]}")
        return None


def trained_case(psal, folder, weights, seed):
    """Stored numbers times scale plus min, by the file's own description"""
    text = json.loads((weights / "model.json").read_text())
    layers = text["modelTopology"]["model_config"]["config"]["layers"]
    data = b"".join((weights / path).read_bytes() for path in text["weightsManifest"][0]["paths"])
    read, at = {}, 0
    for entry in text["weightsManifest"][0]["weights"]:
        count, quantised = int(np.prod(entry["shape"])), entry["quantization"]
        stored = np.frombuffer(data, np.dtype(quantised["dtype"]), count, at)
        at += stored.nbytes
        read[entry["name"]] = (stored * quantised["scale"] + quantised["min"]).astype(np.float32).reshape(entry["shape"])
    side = layers[0]["config"]["batch_input_shape"][1]
    order = [layer["config"]["name"] for layer in layers]
    parts = ["depthwise_kernel", "kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"]
    read = dict(sorted(read.items(), key=lambda item: (order.index(item[0].split("/")[0]), parts.index(item[0].split("/")[1]))))
    model = Network(layers, read).eval()
    rng = np.random.default_rng(seed)
    image, preprocess, label = folder / "image.png", f"rgb;resize={side};crop={side};scale=255;mean=0;std=1", int(rng.integers(5))
    test_run.random_image(image, side, side, rng)
    arguments = ["--weights", weights, "--preprocess", preprocess]
    with torch.no_grad():  # not the class that the network is sure of: see test_run.py
        if model(reference.preprocess(image, preprocess))[0].softmax(0)[label] > 0.99:
            label = (label + 1) % 5
    return test_run.check(psal, folder, model, image, preprocess, label, arguments, mode="naive", ks=(10,))[:2]


def main():
    parser = command_line.parser(__doc__)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    args = parser.parse_args()
    print(f"seed {args.seed}")
    torch.set_num_threads(1)
    seed = random.Random(args.seed).randrange(2 ** 31)
    psal, passed, failed = test_run.Psal(args.build), 0, 0
    with tempfile.TemporaryDirectory(prefix="psal-keras-") as name:
        folder = pathlib.Path(name)
        names = list(CASES)
        if args.slow and fetch(folder):
            names += ["mobilenet_v2", "inception_v3"]
        for name in names:
            if args.only not in name:
                continue
            start = time.monotonic()
            try:
                defects, errors = (network_case(args.build, psal, folder, name, seed) if name in CASES
                                   else trained_case(psal, folder, folder / name, seed))
            except (RuntimeError, subprocess.CalledProcessError) as error:
                defects, errors = [str(getattr(error, "stderr", None) or error)], {}
            passed, failed = passed + (not defects), failed + bool(defects)
            print(f"{'FAIL' if defects else 'ok  '} {name:24} {' '.join(f'{k} {e:.0e}' for k, e in errors.items())} "
                  f"{time.monotonic() - start:5.1f} s {'; '.join(defects)}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
