#!/usr/bin/python3
"""How a file of tensors becomes a network: real torch modules as people write and save them.

    /usr/bin/python3 tests/parity/test_networks.py --build DIR [--seed N|new] [--only TEXT]

Where psal answers, its logits are those of the module; where the module does more than a network that psal knows, psal refuses
and names a tensor. DIR is the build directory; its tests/parity/dump_model answers for psal. Prints a line per failure and
"N passed, N failed"; the status is 1 when one failed.
"""
import copy
import pathlib
import random
import sys
import tempfile
import types

import numpy as np
import torch
import torch.nn.utils.prune
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

import command_line
import reference
import test_models

TOLERANCE = 1e-4  # of the largest logit


class Suite:
    def __init__(self, build, folder, rng, only):
        self.psal = test_models.Psal(build, folder, "accurate")
        self.folder, self.rng, self.only = folder, rng, only
        self.images = torch.randn(2, 3, 80, 80)  # Inception-v3 needs 75
        np.save(folder / "input.npy", self.images.numpy())
        self.passed = self.failed = 0

    def network(self, arch="resnet18", classes=5, **options):
        """A new one, thin, with weights that a test notices."""
        torch.manual_seed(self.rng.randrange(2 ** 31))
        return reference.randomise(reference.build(arch, classes, width=options.pop("width", 0.125), **options),
                                   self.rng.randrange(2 ** 31))

    def check(self, what, good, detail):
        self.passed, self.failed = self.passed + good, self.failed + (not good)
        if not good:
            print(f"FAILED: {what}: {detail}", flush=True)

    def ask(self, tensors, prefix="", ignore=(), metadata=None):
        reference.write_safetensors(str(self.folder / "weights.safetensors"), tensors, metadata)
        fields = [self.folder / name for name in ("weights.safetensors", "input.npy", "out.npy")] + ["", prefix, *ignore]
        self.psal.process.stdin.write("\t".join(map(str, fields)) + "\n")
        self.psal.process.stdin.flush()
        answer = self.psal.process.stdout.readline().strip("\n")
        return answer if answer.startswith("error: ") else (answer.split("\t")[6] if answer.startswith("ok\t") else "error: died")

    def same(self, what, module, tensors=None, notes=(), **options):
        """The logits of `module` (in float64), with these notes. Returns psal's."""
        if self.only not in what:
            return None
        answer = self.ask(module.state_dict() if tensors is None else tensors, **options)
        if answer.startswith("error: "):
            return self.check(what, False, answer)
        with torch.no_grad():
            expected = copy.deepcopy(module).double().eval()(self.images.double()).numpy()
        found = np.load(self.folder / "out.npy")
        error = np.abs(found - expected).max() / np.abs(expected).max() if found.shape == expected.shape else np.inf
        self.check(what, error <= TOLERANCE, f"error {error:.1e}")
        for note in notes:
            self.check(f"{what}: note", note in answer, f"no '{note}' in '{answer}'")
        return found

    def refused(self, what, tensors, *words, **options):
        if self.only not in what:
            return
        if isinstance(tensors, nn.Module):
            tensors = tensors.state_dict()
        answer = self.ask(tensors, **options)
        self.check(what, answer.startswith("error: ") and all(word in answer for word in words), f"'{answer}', expected {words}")


def prefixed(prefix, tensors):
    return {prefix + name: tensor for name, tensor in tensors.items()}


def renamed(tensors, old, new):
    return {new + name[len(old):] if name.startswith(old) else name: tensor for name, tensor in tensors.items()}


# ---- which tensors are the network ----

def test_prefixes(suite):
    net = suite.network()
    for prefix in ("module.", "backbone.", "a.b.c.d.", "0.", "model.module._orig_mod.net.", "my-net.", "encoder.resnet."):
        suite.same(f"prefix {prefix}", net, prefixed(prefix, net.state_dict()), [f"took the prefix '{prefix}' off all names"])
    for arch in ("vgg11", "vgg11_bn", "densenet121", "inception_v3", "resnet50"):
        other = suite.network(arch, width=0.0625)
        suite.same(f"prefix of {arch}", other, prefixed("module.features.", other.state_dict()))
    vgg = suite.network("vgg11", width=0.0625)
    vgg.features = nn.DataParallel(vgg.features)
    suite.same("only features wrapped", vgg.cpu(), tensors=vgg.state_dict())
    compiled = {name.replace("layer2.", "layer2._orig_mod."): tensor for name, tensor in net.state_dict().items()}
    suite.same("a layer compiled", net, compiled)
    suite.same("the caller's prefix", net, prefixed("x.y.", net.state_dict()), prefix="x.y")
    suite.refused("a prefix that is not there", prefixed("x.", net.state_dict()), "begins with 'y.'", "there are 'x.'", prefix="y")
    state = net.state_dict()
    half = {("module." if i % 2 else "") + name: tensor for i, (name, tensor) in enumerate(state.items())}
    suite.refused("half of the names with a prefix", half, "is missing")


def test_several(suite):
    a, b = suite.network(), suite.network("resnet34")
    two = {**prefixed("model.", a.state_dict()), **prefixed("net.", b.state_dict())}
    suite.refused("two networks", two, "holds 2 networks", "resnet18 under 'model.'", "resnet34 under 'net.'", "--weights-key")
    suite.same("the first of two", a, two, prefix="model.", notes=["resnet34 under 'net.'"])
    suite.same("the second of two", b, two, prefix="net")
    suite.same("one of two left out", b, two, ignore=["model."], notes=["left out as asked", "'model.conv1.weight'"])
    plain = {**a.state_dict(), **prefixed("teacher.", b.state_dict())}
    suite.refused("one without a prefix", plain, "holds 2 networks", "under '.'", "'teacher.'")
    suite.same("the one without a prefix", a, plain, prefix=".")
    same = suite.network()
    ensemble = {}
    for i in range(3):
        ensemble.update(prefixed(f"models.{i}.", suite.network().state_dict()))
    suite.refused("an ensemble", ensemble, "holds 3 networks", "'models.0.'", "'models.2.'")
    for name in ("ema.", "model_ema.", "ema_model.module.", "averaged_model.", "EMA."):
        suite.same(f"beside its average {name}", a, {**prefixed("model.", a.state_dict()), **prefixed(name, same.state_dict())},
                   notes=[f"left another network aside: resnet18 under '{name}'"])
        suite.same(f"average {name} asked for", same,
                   {**prefixed("model.", a.state_dict()), **prefixed(name, same.state_dict())}, prefix=name)
    suite.refused("an average of another network", {**a.state_dict(), **prefixed("ema.", b.state_dict())}, "holds 2 networks")
    suite.refused("two averages", {**prefixed("ema.", a.state_dict()), **prefixed("swa.", same.state_dict())}, "holds 2 networks")
    averaged = torch.optim.swa_utils.AveragedModel(a)
    suite.same("torch's AveragedModel alone", averaged.module, averaged.state_dict())
    suite.same("torch's AveragedModel beside", same, {**same.state_dict(), **averaged.state_dict()}, notes=["under 'module.'"])
    suite.refused("an incomplete copy", {**a.state_dict(), **prefixed("teacher.", {k: v for k, v in b.state_dict().items()
                                                                                  if not k.startswith("fc")})},
                  "'teacher.conv1.weight'")


def test_wrappers(suite):
    class Wrapped(nn.Module):
        def __init__(self, inner, name):
            super().__init__()
            self.model = inner
            setattr(self, name, nn.Linear(5, 2))
            self.name = name

        def forward(self, x):
            return getattr(self, self.name)(self.model(x))

    for arch, name in (("resnet18", "fc"), ("densenet121", "classifier"), ("vgg11", "classifier"), ("resnet50", "head"),
                       ("resnet18", "probe")):
        wrapped = Wrapped(suite.network(arch, width=0.0625), name)
        suite.refused(f"{arch} with an outer {name}", wrapped, f"'{name}.weight' (2x5)")
    wrapped = Wrapped(suite.network(), "fc")
    suite.same("without the outer layer, as asked", wrapped.model, wrapped.state_dict(), ignore=["fc."], notes=["'fc.weight' (2x5)"])
    suite.refused("nothing of that name", wrapped, "no tensor 'fd.'", ignore=["fd."])
    suite.refused("the beginning without its dot", wrapped, "no tensor 'fc'", ignore=["fc"])
    suite.refused("half of it", wrapped, "'fc.bias' (2)", ignore=["fc.weight"])


# ---- the last layer ----

def head(suite, module, arch="resnet18"):
    """A network whose classifier is `module`, a function of its features."""
    net = suite.network(arch)
    name = "fc" if hasattr(net, "fc") else "classifier"
    old = getattr(net, name)
    setattr(net, name, module(old.in_features))
    return net.eval()


def test_heads(suite):
    net = suite.network()
    state = net.state_dict()
    for name in ("last_linear", "head", "head.fc", "classifier", "fc.0", "fc.2", "output", "logits", "fc1"):
        suite.same(f"last layer {name}", net, renamed(state, "fc.", name + "."), [f"took '{name}' for the layer 'fc'"])
        suite.same(f"last layer {name} beside the backbone", net,
                   {name + k[2:] if k.startswith("fc.") else "backbone." + k: v for k, v in state.items()})
    for arch in ("resnet18", "resnet50", "densenet121"):
        for what, module in (("dropout", lambda n: nn.Sequential(nn.Dropout(), nn.Linear(n, 3))),
                             ("a linear layer alone", lambda n: nn.Sequential(nn.Linear(n, 4))),
                             ("no bias", lambda n: nn.Linear(n, 3, bias=False)),
                             ("dropout and no bias", lambda n: nn.Sequential(nn.Dropout(), nn.Linear(n, 3, bias=False)))):
            suite.same(f"{arch}, {what}", head(suite, module, arch))
    dense = suite.network("densenet121", width=0.0625)
    suite.same("DenseNet's head elsewhere", dense, renamed(dense.state_dict(), "classifier.", "head."))
    for arch in ("resnet18", "densenet121"):
        name = "fc" if arch == "resnet18" else "classifier"
        suite.refused(f"{arch}, two layers", head(suite, lambda n: nn.Sequential(nn.Linear(n, 8), nn.ReLU(), nn.Linear(8, 3)), arch),
                      f"'{name}.weight' is missing", f"'{name}.0.weight' (8x", f"'{name}.2.weight' (3x8)")
        suite.refused(f"{arch}, a normalisation", head(suite, lambda n: nn.Sequential(nn.BatchNorm1d(n), nn.Linear(n, 3)), arch),
                      f"'{name}.0.weight'")
        suite.refused(f"{arch}, a normalisation without factors",
                      head(suite, lambda n: nn.Sequential(nn.BatchNorm1d(n, affine=False), nn.Linear(n, 3)), arch),
                      f"'{name}.0.running_mean'")
    suite.refused("no last layer", {k: v for k, v in state.items() if not k.startswith("fc.")}, "'fc.weight' is missing")
    suite.refused("a second head", {**state, "head2.weight": torch.randn(7, 64), "head2.bias": torch.zeros(7)}, "'head2.weight' (7x64)")
    suite.refused("two heads of other names", {**renamed(state, "fc.", "head1."), "head2.weight": torch.randn(5, 64)},
                  "'head1.weight'", "'head2.weight'")
    suite.refused("an embedding in front", {**state, "fc.weight": torch.randn(5, 16), "neck.weight": torch.randn(16, 64)},
                  "'fc.weight' has shape 5x16", "'neck.weight' (16x64)")
    suite.refused("a projector is no last layer", renamed(state, "fc.", "projector."), "'projector.weight'")


def test_transformers(suite):
    net = suite.network("vit_b_16", width=0.0625, image_size=80)
    state = net.state_dict()
    suite.same("a transformer", net)
    suite.same("a transformer behind a prefix", net, prefixed("module.model.", state))
    suite.same("its older names", net, {k.replace("mlp.0", "mlp.linear_1").replace("mlp.3", "mlp.linear_2"): v for k, v in state.items()})
    suite.refused("its last layer elsewhere", renamed(state, "heads.head.", "head."), "'heads.head.weight' is missing", "'head.weight' (5x48)")
    suite.refused("a layer more", {**state, "encoder.layers.encoder_layer_12.ln_1.weight": torch.ones(48)}, "encoder_layer_12")
    suite.refused("a layer in front of the last", {**state, "heads.pre_logits.weight": torch.randn(48, 48)}, "'heads.pre_logits.weight'")
    suite.refused("a number of positions that is no square's", {**state, "encoder.pos_embedding": torch.randn(1, 25, 48)}, "25 positions")
    suite.refused("another size of image", suite.network("vit_b_16", width=0.0625, image_size=64).state_dict(),
                  "an image of 80 x 80, but this network takes 64 x 64 only")
    cut = {k: v for k, v in state.items() if "class_token" not in k}
    suite.refused("no class token", cut, "'class_token' is missing")


def test_vgg_heads(suite):
    for arch in ("vgg11", "vgg13_bn", "alexnet"):
        net = suite.network(arch, width=0.0625)
        layers = [m for m in net.classifier if isinstance(m, nn.Linear)]
        for what, modules in (("without dropout", lambda a, b, c: [a, nn.ReLU(), b, nn.ReLU(), c]),
                              ("with dropout first", lambda a, b, c: [nn.Dropout(), a, nn.ReLU(), nn.Dropout(), b, nn.ReLU(), c]),
                              ("with dropout last", lambda a, b, c: [a, nn.ReLU(), nn.Dropout(), b, nn.ReLU(), nn.Dropout(), nn.Dropout(), c])):
            other = copy.deepcopy(net)
            other.classifier = nn.Sequential(*modules(*layers))
            suite.same(f"{arch} {what}", other)
        if arch == "alexnet":  # its own layers stand elsewhere
            continue
        other = copy.deepcopy(net)
        other.classifier[6] = nn.Sequential(nn.Dropout(), other.classifier[6])
        suite.same(f"{arch}, its last layer in a Sequential", other)
        other.classifier[3] = nn.Sequential(other.classifier[3], nn.ReLU())
        suite.same(f"{arch}, two layers in Sequentials", other)
        other.classifier[6] = nn.Sequential(*other.classifier[6], nn.ReLU(), nn.Linear(layers[2].out_features, 4))
        suite.refused(f"{arch}, two layers in one Sequential", other, "'classifier.")
        other.classifier = nn.Sequential(*layers)
        suite.refused(f"{arch} without activations", other, "'classifier.")
        a, b, c = layers
        other.classifier = nn.Sequential(a, nn.BatchNorm1d(a.out_features), nn.ReLU(), b, nn.ReLU(), c)
        suite.refused(f"{arch} with a normalisation", other, "'classifier.")
        other.classifier = nn.Sequential(a, nn.ReLU(), b, nn.ReLU(), nn.Linear(b.out_features, 9), nn.ReLU(), nn.Linear(9, 5))
        suite.refused(f"{arch} with a layer more", other, "'classifier.")


# ---- layers that torchvision's networks do not have ----

def each_block(net, change):
    for block in net.modules():
        if isinstance(block, (BasicBlock, Bottleneck)):
            change(block)
    return net.eval()


def test_layers(suite):
    def after(name, make):
        """A layer `name` behind the last normalisation of each block."""
        def change(block):
            last = "bn3" if hasattr(block, "bn3") else "bn2"
            setattr(block, name, make(getattr(block, last).num_features))
        return change

    class Attention(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.fc = nn.Sequential(nn.Linear(channels, 2), nn.ReLU(), nn.Linear(2, channels))

    class Eca(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    class Scale(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.gamma = nn.Parameter(torch.full((channels,), 1e-6))

    for arch in ("resnet18", "resnet50"):
        for name, make, tensor in (("se", Attention, "se.fc.0.weight"), ("eca", Eca, "eca.conv.weight"), ("ls", Scale, "ls.gamma"),
                                   ("cbam", lambda c: nn.Conv2d(2, 1, 7, bias=False), "cbam.weight"),
                                   ("relu", lambda c: nn.PReLU(), "relu.weight")):
            suite.refused(f"{arch} with {name}", each_block(suite.network(arch, width=0.25), after(name, make)), "layer1.0." + tensor)
    suite.refused("a block more", reference.randomise(ResNet(BasicBlock, [2, 3, 2, 2], 5), 1), "'layer2.2.conv1.weight'")
    suite.refused("a block less", reference.randomise(ResNet(BasicBlock, [2, 2, 2, 1], 5), 1), "layer4.1.")
    state = suite.network().state_dict()
    suite.refused("a fifth stage", {**state, "layer5.0.conv1.weight": torch.randn(8, 64, 3, 3)}, "'layer5.0.conv1.weight'")
    suite.refused("a block's third convolution", {**state, "layer1.0.conv3.weight": torch.randn(8, 8, 1, 1)}, "'layer1.0.conv3.weight'")
    suite.same("a stem for small images", suite.network("resnet18_cifar"),
               notes=["assumed that the first convolution, of 3x3, has stride 1 and no pooling follows it (resnet18_cifar)"])
    small = suite.network("resnet50_cifar")
    suite.same("shortcuts and linear", small, {k.replace("downsample", "shortcut").replace("fc.", "linear."): v
                                               for k, v in small.state_dict().items()})
    suite.refused("a stem of 5x5", {**state, "conv1.weight": torch.randn(8, 3, 5, 5)}, "'conv1.weight' has shape 8x3x5x5")
    suite.refused("blurred pooling", {**state, "maxpool.filt": torch.ones(8, 1, 3, 3)}, "'maxpool.filt'")
    suite.refused("generalised mean pooling", {**state, "avgpool.p": torch.tensor([3.0])}, "'avgpool.p'")
    suite.refused("ResNet-D's shortcut", {(k.replace("downsample.1", "downsample.2") if "downsample.1" in k else
                                           k.replace("downsample.0", "downsample.1")): v for k, v in state.items()},
                  "looks like resnet18d", "'conv1.0.weight' is missing")
    suite.refused("a temperature", {**state, "temperature": torch.tensor(2.0)}, "'temperature'")
    vgg = suite.network("vgg11_bn", width=0.0625).state_dict()
    suite.refused("a VGG's convolution more", {**vgg, "features.30.weight": torch.randn(32, 32, 3, 3)}, "'features.30.weight'")
    dense = suite.network("densenet121", width=0.0625).state_dict()
    suite.refused("a dense layer more", {**dense, "features.denseblock1.denselayer7.conv2.weight": torch.randn(2, 8, 3, 3)}, "denselayer7")
    google = suite.network("googlenet", width=0.125).state_dict()
    suite.refused("a GoogLeNet's block more", {**google, "inception5c.branch1.conv.weight": torch.randn(8, 128, 1, 1)}, "'inception5c.")
    suite.refused("GoogLeNet's 5x5 as published", {**google, "inception3a.branch3.1.conv.weight": torch.randn(4, 2, 5, 5)},
                  "'inception3a.branch3.1.conv.weight' has shape 4x2x5x5")
    squeeze = suite.network("squeezenet1_1", width=0.25).state_dict()
    suite.refused("a Fire module more", {**squeeze, "features.13.squeeze.weight": torch.randn(4, 128, 1, 1)}, "'features.13.squeeze.weight'")
    alex = suite.network("alexnet", width=0.0625).state_dict()
    suite.refused("an AlexNet with normalisation", {**alex, "features.1.weight": torch.ones(4)}, "'features.1.weight'")
    mobile = suite.network("mobilenet_v2", width=0.35).state_dict()
    suite.refused("a MobileNet with a gate", {**mobile, "features.2.conv.2.fc1.weight": torch.randn(4, 48, 1, 1)}, "'features.2.conv.2.fc1.weight'")
    suite.refused("a MobileNetV3 without a gate", {k: v for k, v in suite.network("mobilenet_v3_small").state_dict().items()
                                                   if not k.startswith("features.1.block.1.fc")}, "'features.1.block.1.fc1.weight' is missing")
    conv = suite.network("convnext_tiny", width=0.0625).state_dict()
    suite.refused("a ConvNeXt without scales", {k: v for k, v in conv.items() if "layer_scale" not in k}, "'features.1.0.layer_scale' is missing")
    suite.refused("response normalisation in a ConvNeXt", {**conv, "features.1.0.block.6.gamma": torch.ones(24)}, "'features.1.0.block.6.gamma'")
    stem = suite.network("mnasnet0_5").state_dict()
    suite.refused("MNASNet's first version", {**stem, "layers.0.weight": torch.randn(32, 3, 3, 3)}, "'layers.0.weight' has shape 32x3x3x3")
    inception = suite.network("inception_v3", width=0.0625).state_dict()
    suite.refused("an Inception block more", {**inception, "Mixed_7d.branch1x1.conv.weight": torch.randn(20, 128, 1, 1)}, "'Mixed_7d.")


def test_normalisations(suite):
    def replace(net, make):
        for module in list(net.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.BatchNorm2d):
                    setattr(module, name, make(child.num_features))
        return net.eval()
    for what, make, word in (("group", lambda c: nn.GroupNorm(1, c), "running"), ("instance", lambda c: nn.InstanceNorm2d(c, affine=True), "running"),
                             ("batch without statistics", lambda c: nn.BatchNorm2d(c, track_running_stats=False), "running"),
                             ("batch without factors", lambda c: nn.BatchNorm2d(c, affine=False), "'bn1.weight' is missing")):
        suite.refused(f"{what} normalisation", replace(suite.network(), make), word)
    net = suite.network()
    without = {k: v for k, v in net.state_dict().items() if "num_batches_tracked" not in k}
    suite.same("frozen batch normalisation", net, without)
    for what, wrap, word in (("weight", nn.utils.weight_norm, "fc.weight_g"), ("spectral", nn.utils.spectral_norm, "fc.weight_orig"),
                             ("parametrised", nn.utils.parametrizations.orthogonal, "fc.parametrizations.weight")):
        other = suite.network(classes=5)
        wrap(other.fc)
        suite.refused(f"{what} normalisation of weights", other, word)
    other = suite.network()
    nn.utils.weight_norm(other.layer1[0].conv1)
    suite.refused("a convolution's weight normalisation", other, "layer1.0.conv1.weight_")
    other = suite.network()
    nn.utils.prune.l1_unstructured(other.layer1[0].conv1, "weight", 0.5)
    suite.refused("a pruned convolution", other, "layer1.0.conv1.weight_")


def with_biases(suite, net, only=lambda name: True, zero=False):
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d) and module.bias is None and only(name):
            count = module.out_channels
            module.bias = nn.Parameter(torch.zeros(count) if zero else torch.randn(count) * 0.3)
    return net


def test_biases(suite):
    for arch, width in (("resnet18", 0.125), ("resnet50", 0.25), ("resnext50_32x4d", 0.25), ("inception_v3", 0.125)):
        net = suite.network(arch, width=width)
        suite.same(f"{arch} with biases", with_biases(suite, net), notes=["folded the biases of"])
        suite.same(f"{arch} with biases, prefixed", net, prefixed("module.", net.state_dict()), notes=["folded"])
        half = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
        rounded = copy.deepcopy(net)
        rounded.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in half.items()})
        suite.same(f"{arch} with biases in half", rounded, half)
        double = {k: v.double() if v.is_floating_point() else v for k, v in net.state_dict().items()}
        suite.same(f"{arch} with biases in double", net, double)
    one = with_biases(suite, suite.network(), lambda name: name == "layer3.0.downsample.0")
    suite.same("one bias", one, notes=["folded the bias of 1 convolution into"])
    suite.same("biases of zeros", with_biases(suite, suite.network("densenet121", width=0.0625), zero=True))
    own = with_biases(suite, suite.network("densenet121", width=0.0625), lambda name: name.endswith("conv1") or name == "features.conv0")
    suite.same("DenseNet's biases in front of a normalisation of their own", own)
    for name in ("features.denseblock2.denselayer3.conv2", "features.transition1.conv"):
        suite.refused(f"DenseNet's bias of {name}", with_biases(suite, suite.network("densenet121", width=0.0625), lambda n: n == name),
                      f"'{name}.bias'")
    state = suite.network().state_dict()
    suite.refused("a bias of another size", {**state, "conv1.bias": torch.zeros(9)}, "'conv1.bias' has shape 9")
    suite.refused("a bias of integers", {**state, "conv1.bias": torch.ones(8, dtype=torch.int32)}, "'conv1.bias' holds int32")
    suite.refused("not a number", {**state, "conv1.bias": torch.full((8,), float("nan"))}, "'bn1.running_mean' holds nan")


# ---- types, and what is without effect ----

def test_integers(suite):
    net = suite.network()
    state = net.state_dict()
    scale = state["fc.weight"].abs().amax(1)
    eight = (state["fc.weight"] / scale[:, None] * 127).round()
    for dtype in (torch.int8, torch.uint8, torch.int32, torch.int64, torch.bool):
        suite.refused(f"weights of {dtype}", {**state, "fc.weight": eight.to(dtype)}, "tensor 'fc.weight' holds", "quantised")
    suite.refused("beside its scales", {**state, "fc.weight": eight.to(torch.int8), "fc.SCB": scale}, "'fc.weight' holds int8")
    packed = torch.zeros(5 * 32, 1, dtype=torch.uint8)
    suite.refused("packed four bits", {**state, "fc.weight": packed, "fc.weight.absmax": torch.rand(5)}, "'fc.weight' holds uint8")
    suite.refused("a packed convolution", {**state, "layer1.0.conv1.weight": torch.zeros(288, 1, dtype=torch.uint8)},
                  "'layer1.0.conv1.weight' holds uint8")
    suite.refused("only scales left over", {**state, "fc.SCB": scale}, "'fc.SCB' (5)")
    suite.refused("a running mean of integers", {**state, "bn1.running_mean": torch.zeros(8, dtype=torch.int16)}, "'bn1.running_mean' holds int16")
    suite.refused("a convolution of integers", {**state, "layer1.0.conv1.weight": torch.ones(8, 8, 3, 3, dtype=torch.int8)},
                  "'layer1.0.conv1.weight' holds int8")
    suite.refused("an integer layer more", {**state, "layer1.0.se.weight": torch.ones(8, 8, dtype=torch.int8)}, "'layer1.0.se.weight' (8x8 int8)")
    suite.same("integers that count", net, {**state, "epoch": torch.tensor(3), "steps": torch.tensor([1, 2, 3])}, notes=["'epoch'"])


def test_harmless(suite):
    net = suite.network()
    state = net.state_dict()
    three, one = torch.tensor([0.4, 0.5, 0.6]), torch.tensor(0.5)
    for name, tensor in (("criterion.weight", torch.rand(5)), ("loss_fn.pos_weight", torch.rand(5)), ("n_averaged", torch.tensor(7)),
                         ("layer1.0.total_ops", torch.zeros(1, dtype=torch.float64)), ("total_params", torch.zeros(1)),
                         ("optimizer.state.0.exp_avg", torch.rand(8, 3, 7, 7)), ("lr_scheduler.base", one),
                         ("normalize.mean", torch.zeros(3)), ("normalize.std", torch.ones(1, 3, 1, 1)), ("empty", torch.zeros(0, 4))):
        suite.same(f"{name} beside", net, {**state, name: tensor}, notes=[f"'{name}'"])
        if not name.startswith(("layer", "total")):
            suite.same(f"{name} beside a prefix", net, {**prefixed("model.", state), name: tensor})
        suite.same(f"{name} in a wrapper", net, {**prefixed("module.model.", state), "module." + name: tensor})
    for name, tensor in (("criterion.weight", torch.rand(5, 64)), ("loss_fn.W", torch.rand(64, 5)), ("optimizers_weight", torch.rand(5)),
                         ("layer1.optimizer.weight", torch.rand(8, 8)), ("n_averaged", torch.rand(4)), ("total_ops", torch.rand(64)),
                         ("layer1.0.criterion", torch.rand(8)), ("logit_scale", one)):
        suite.refused(f"{name} matters", {**state, name: tensor}, f"'{name}'", "--ignore-extra")
    for name, tensor in (("normalize.mean", three), ("pixel_std", three[:, None, None]), ("mean", one), ("data_mean", torch.zeros(3) - 1)):
        suite.refused(f"{name} changes the input", {**state, name: tensor}, f"'{name}'", "--preprocess", "--ignore-extra")
        suite.same(f"{name} left out", net, {**state, name: tensor}, ignore=[name])


def test_messages(suite):
    net = suite.network("resnet18", width=1)
    state = net.state_dict()
    other = {f"block{i}.{name.rsplit('.', 1)[1]}": tensor for i, (name, tensor) in enumerate(state.items())}
    suite.refused("other names, the same shapes", other, "the shapes, in their order, are those of resnet18", "'block0.weight' to 'conv1.weight'")
    del other["block3.running_mean"]
    suite.refused("other names and shapes", other, "not a known architecture", "'block0.weight' (64x3x7x7)")
    damaged = {k: v for k, v in state.items() if k != "layer2.0.conv1.weight"}
    suite.refused("missing", damaged, "looks like resnet18", "'layer2.0.conv1.weight' is missing")
    suite.refused("missing under a prefix", prefixed("net.", damaged), "looks like resnet18 under 'net.'", "'layer2.0.conv1.weight' is missing")
    damaged["layer2.0.convolution1.weight"] = state["layer2.0.conv1.weight"]
    suite.refused("missing and left over", damaged, "'layer2.0.conv1.weight' is missing", "left over: 'layer2.0.convolution1.weight' (128x64x3x3)")
    clash = {**state, "layer1.module.0.conv1.weight": state["layer1.0.conv1.weight"]}
    suite.refused("twice", clash, "'layer1.0.conv1.weight' and 'layer1.module.0.conv1.weight' are both")


def test_gates(suite):
    gated = suite.network("seresnet18").state_dict()
    suite.refused("gates of an eighth", {k: torch.randn(16, 8, 1, 1) if k == "layer1.0.se.fc1.weight" else v for k, v in gated.items()},
                  "fits resnet18", "'layer1.0.se.fc1.weight' (16x8x1x1)")
    suite.refused("gates with a normalisation", {**gated, "layer1.0.se.bn.weight": torch.ones(8)}, "'layer1.0.se.bn.weight'")
    suite.refused("a gate less", {k: v for k, v in gated.items() if not k.startswith("layer3.1.se.")}, "fits resnet18", "'layer1.0.se.fc1.weight'", "(28 in all)")
    suite.refused("ResNet-RS's convolution for a pooling", {**gated, "maxpool.0.weight": torch.randn(8, 8, 3, 3)}, "'maxpool.0.weight'")
    light = suite.network("ecaresnet26t").state_dict()
    suite.refused("gates of five channels for three", {k: torch.randn(1, 1, 5) if k == "layer1.0.se.conv.weight" else v
                                                       for k, v in light.items()}, "fits resnet26t", "'layer1.0.se.conv.weight' (1x1x5)")


def main():
    parser = command_line.parser(__doc__)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    args = parser.parse_args()
    print(f"seed {args.seed}")
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    with tempfile.TemporaryDirectory(prefix="psal-networks-") as folder:
        suite = Suite(args.build, pathlib.Path(folder), random.Random(args.seed), args.only)
        for name, test in list(globals().items()):
            if name.startswith("test_") and isinstance(test, types.FunctionType):
                before = suite.passed + suite.failed
                test(suite)
                print(f"{name[5:]}: {suite.passed + suite.failed - before} checks", flush=True)
        print(f"{suite.passed} passed, {suite.failed} failed")
        return 1 if suite.failed else 0


if __name__ == "__main__":
    sys.exit(main())
