#!/usr/bin/python3
"""Checkpoints: what psal reads against what PyTorch and NumPy wrote, every bit, on random weights.

    /usr/bin/python3 tests/parity/test_checkpoints.py --build DIR [--seed N|new] [--no-limit]

DIR is the build directory; its tests/parity/dump_checkpoint answers for psal. Saves the same weights in every form users
have (zip, legacy, .npz, .safetensors, pickled arrays; half, bfloat16, double; wrapped, prefixed, as views), then hostile
files: pickles that call things by every opcode that can, wrong sizes, wrong checksums, bombs, cut and altered files.
Every run is limited to 1 GiB of address space (--no-limit: not, for builds with AddressSanitizer, which reserves far more).
Prints a line per group and "N passed, N failed"; the status is 1 when one failed.
"""
import argparse
import collections
import datetime
import decimal
import enum
import fractions
import functools
import json
import os
import pathlib
import pickle
import random
import resource
import struct
import subprocess
import sys
import tempfile
import types
import uuid
import zipfile

import numpy as np
import torch
import torchvision

import command_line
from checkpoint_files import (Call, SAFETENSORS_TYPES, bits, read_safetensors, rezip, short, tensor_pickle, torch_legacy,
                              torch_zip, write_safetensors, write_tfjs)

SHARED = pathlib.Path(__file__).resolve().parents[3] / "shared"
# So that a finding of a sanitizer is no ordinary failure with status 1.
SANITIZERS = {**os.environ, "ASAN_OPTIONS": "exitcode=99", "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99"}
MEMORY_LIMIT = 1 << 30  # of address space, for every run: what is refused must be refused within it


class Suite:
    def __init__(self, build, folder, limited):
        self.program = str(pathlib.Path(build) / "tests" / "parity" / "dump_checkpoint")
        self.convert_program = str(pathlib.Path(build) / "tools" / "psal-convert")
        self.limited = limited
        self.folder = folder
        self.passed = self.failed = 0
        self.group_start = 0

    def check(self, what, good, detail=""):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {what}: {detail}")

    def group(self, name):
        count = self.passed + self.failed - self.group_start
        self.group_start = self.passed + self.failed
        print(f"{name}: {count} checks")

    def run(self, *arguments, program=None):
        def limit():
            if self.limited:
                resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        return subprocess.run([program or self.program, *map(str, arguments)], capture_output=True, text=True, errors="replace", timeout=600,
                              env=SANITIZERS, preexec_fn=limit)

    def expect(self, what, path, tensors, notes=()):
        """psal reads exactly these tensors, in this order, and says these notes."""
        out = self.folder / "out.safetensors"
        result = self.run(path, out)
        if result.returncode != 0:
            return self.check(what, False, result.stderr.strip())
        got, wanted = read_safetensors(out), {name: bits(tensor) for name, tensor in tensors.items()}
        self.check(what, got == wanted, f"differs: {[n for n in {**got, **wanted} if got.get(n) != wanted.get(n)]}")
        for note in notes:
            self.check(f"{what}: note", note in result.stderr, f"no '{note}' in {result.stderr!r}")

    def refuse(self, what, path, *reasons):
        """psal refuses with one line that names the file and gives one of the reasons; quickly and without a crash."""
        start = processor_seconds()
        result = self.run(path, self.folder / "refused.safetensors")
        lines = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
        good = (result.returncode == 1 and len(lines) == 1 and str(path) in lines[0]
                and any(reason in lines[0] for reason in reasons or [""])
                and not (self.folder / "refused.safetensors").exists() and processor_seconds() - start < 10)
        self.check(what, good, f"status {result.returncode}: {result.stderr.strip()!r}, expected {reasons}")


    def convert(self, what, path, network, *notes, options=()):
        """psal-convert makes exactly this network of the file, and says these notes."""
        out = self.folder / "converted.safetensors"
        out.unlink(missing_ok=True)
        result = self.run(path, out, "-q" if not notes else "--labels=numbers", *options, program=self.convert_program)
        if result.returncode != 0:
            return self.check(what, False, result.stderr.strip())
        got, wanted = read_safetensors(out), {n: bits(t) for n, t in network.items() if not n.endswith("num_batches_tracked")}
        self.check(what, got == wanted, f"differs: {[n for n in {**got, **wanted} if got.get(n) != wanted.get(n)]}")
        for note in notes:
            self.check(f"{what}: note", note in result.stderr, f"no '{note}' in {result.stderr!r}")

    def convert_fails(self, what, path, *reasons, options=()):
        """psal-convert refuses in one line that has all of these parts."""
        out = self.folder / "refused.safetensors"
        result = self.run(path, out, "-q", *options, program=self.convert_program)
        lines = result.stderr.splitlines()
        good = result.returncode == 1 and len(lines) == 1 and str(path) in lines[0] and all(r in lines[0] for r in reasons) and not out.exists()
        self.check(what, good, f"status {result.returncode}: {result.stderr.strip()!r}, expected {reasons}")


def small_network(generator, arch="resnet18", classes=10, width=1 / 8):
    """A state_dict with an eighth of the channels: psal knows architectures at any width."""
    weights = collections.OrderedDict()
    for name, tensor in getattr(torchvision.models, arch)(weights=None, num_classes=classes).state_dict().items():
        shape = [size if size <= 3 or (i == 0 and name.startswith("fc.")) or (i > 1) else max(1, int(size * width + 0.5))
                 for i, size in enumerate(tensor.shape)]
        value = torch.randn(*shape, generator=generator) if tensor.is_floating_point() else tensor
        weights[name] = value.abs() if name.endswith("running_var") else value
    return weights


def processor_seconds():
    """Of the programs run so far: a busy machine does not change it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def random_weights(generator):
    """Names and shapes of a small network, and every corner a shape can have."""
    def normal(*shape):
        return torch.randn(*shape, generator=generator)
    return collections.OrderedDict([
        ("conv1.weight", normal(5, 3, 7, 3)), ("bn1.weight", normal(5)), ("bn1.bias", normal(5)),
        ("bn1.running_mean", normal(5)), ("bn1.running_var", normal(5).abs()),
        ("bn1.num_batches_tracked", torch.tensor(1234567890123)),
        ("layer1.0.conv1.weight", normal(8, 5, 1, 1)), ("fc.weight", normal(2, 8)), ("fc.bias", normal(2)),
        ("empty", normal(0, 3)), ("deep", normal(1, 2, 1, 2, 1, 2, 1, 2)), ("scalar", normal(1)[0]),
    ])


def test_forms(suite, weights):
    path = suite.folder / "a.pth"
    for protocol in range(2, 6):
        torch.save(weights, path, pickle_protocol=protocol)
        suite.expect(f"zip, protocol {protocol}", path, weights)
        torch.save(weights, path, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
        suite.expect(f"legacy, protocol {protocol}", path, weights)
        with open(path, "wb") as file:
            pickle.dump({name: tensor.numpy() for name, tensor in weights.items()}, file, protocol)
        suite.expect(f"pickled arrays, protocol {protocol}", path, weights)
    torch.save(dict(weights), path)
    suite.expect("zip, plain dict", path, weights)

    torch.save(weights, path)
    again = suite.folder / "b.pth"
    rezip(path, again)
    suite.expect("zip, rewritten unaligned", again, weights)
    rezip(path, again, zipfile.ZIP_DEFLATED)
    suite.expect("zip, deflated", again, weights)
    rezip(path, again, prefix="", extra=[("byteorder", b"little"), (".data/serialization_id", b"1234567890")])
    suite.expect("zip as torch 2 writes it", again, weights)
    rezip(path, again, extra=[("a/byteorder", b"big")], prefix="a/")
    suite.refuse("zip of a big-endian machine", again, "byte order is big")

    np.savez(suite.folder / "a.npz", **{name: tensor.numpy() for name, tensor in weights.items()})
    suite.expect("npz", suite.folder / "a.npz", weights)
    np.savez_compressed(suite.folder / "a.npz", **{name: np.array(t.numpy(), order="F") for name, t in weights.items()})
    suite.expect("npz, compressed, Fortran order", suite.folder / "a.npz", weights)
    write_safetensors(suite.folder / "a.safetensors", weights, {"format": "pt", "note": "line\nbreak"})
    suite.expect("safetensors", suite.folder / "a.safetensors", weights)
    write_safetensors(suite.folder / "misleading.jpg", weights)
    suite.expect("safetensors called .jpg", suite.folder / "misleading.jpg", weights)

    network = torchvision.models.resnet18(weights=None).state_dict()
    for legacy in (False, True):
        torch.save(network, path, _use_new_zipfile_serialization=not legacy)
        suite.expect(f"resnet18, {'legacy' if legacy else 'zip'}", path, network)
    suite.group("forms")


def test_types(suite, weights):
    path = suite.folder / "a.pth"
    for dtype in SAFETENSORS_TYPES:
        cast = {name: (tensor * 10).to(dtype) for name, tensor in weights.items()}
        for legacy in (False, True):
            torch.save(cast, path, _use_new_zipfile_serialization=not legacy)
            suite.expect(f"{dtype}, {'legacy' if legacy else 'zip'}", path, cast)
        write_safetensors(suite.folder / "a.safetensors", cast)
        suite.expect(f"{dtype}, safetensors", suite.folder / "a.safetensors", cast)
        if dtype != torch.bfloat16:
            np.savez(suite.folder / "a.npz", **{name: tensor.numpy() for name, tensor in cast.items()})
            suite.expect(f"{dtype}, npz", suite.folder / "a.npz", cast)
    special = {"w": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45, 65504.0])}
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        cast = {"w": special["w"].to(dtype)}
        torch.save(cast, path)
        suite.expect(f"NaN and friends, {dtype}", path, cast)
    torch.save({"w": torch.zeros(2, dtype=torch.complex64)}, path)
    suite.refuse("complex numbers", path, "tensor w holds complex64")
    torch.save({"w": torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.quint8)}, path)
    suite.refuse("quantised tensors", path, "tensor w holds quint8")
    torch.save({"w": torch.zeros(2, 2).to_sparse()}, path)
    suite.refuse("sparse tensors", path, "tensor w holds torch._utils._rebuild_sparse_tensor")
    np.savez(suite.folder / "a.npz", w=np.zeros(3, np.uint16))
    suite.refuse("uint16, npz", suite.folder / "a.npz", "tensor w holds <u2")
    np.savez(suite.folder / "a.npz", v=np.zeros(3), w=np.zeros(3, [("a", "f4"), ("b", "i8", (2,))]))
    suite.refuse("structures, npz", suite.folder / "a.npz", "tensor w holds V")
    with open(path, "wb") as file:
        pickle.dump({"w": np.zeros(3, ">f4")}, file)
    suite.refuse("big-endian arrays, pickled", path, "tensor w holds >f4")
    suite.group("types")


def test_views(suite, generator):
    base = torch.randn(6, 5, 4, generator=generator)
    tensors = {
        "whole": base, "same": base, "row": base[2], "offset": base[3:5], "transposed": base.permute(2, 0, 1),
        "stepped": base[::2, 1:4:2, ::3], "column": base[:, 2, 1], "expanded": base[0, 0, 0].expand(7, 3),
        "broadcast": base[:, :1].expand(6, 3, 4), "windows": base.reshape(-1).unfold(0, 5, 2), "one": base[5, 4, 3],
        "none": base[2:2], "channels_last": torch.randn(2, 3, 4, 5, generator=generator).contiguous(
            memory_format=torch.channels_last),
        "half": base.half()[1:, ::2], "odd": torch.arange(9, dtype=torch.uint8)[3:],
    }
    path = suite.folder / "a.pth"
    for legacy in (False, True):
        torch.save(tensors, path, _use_new_zipfile_serialization=not legacy)
        suite.expect(f"views, {'legacy' if legacy else 'zip'}", path, tensors)
    tied = torch.nn.Parameter(torch.randn(4, 3, generator=generator))
    tensors = {"a": tied, "b": tied, "c": torch.nn.Parameter(base[1], requires_grad=False)}
    for legacy in (False, True):
        torch.save(tensors, path, _use_new_zipfile_serialization=not legacy)
        suite.expect(f"Parameters, {'legacy' if legacy else 'zip'}", path, tensors)
    tied.extra = "attribute"
    torch.save({"a": tied}, path)
    suite.expect("a Parameter with attributes", path, {"a": tied})
    torch.save(base[::2], path)
    suite.expect("a tensor alone", path, {"tensor": base[::2]})
    suite.group("views")


def test_wrappers(suite, weights):
    path = suite.folder / "a.pth"
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    network(torch.zeros(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
    beside = {
        "epoch": 90, "best_acc1": torch.tensor(76.13), "arch": "resnet50", "lr": 0.1, "history": [1.5, None, (True, 2)],
        "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(), "np": np.float64(1.5),
        "np32": np.float32(0.1), "npi": np.int64(-3), "npb": np.bool_(True), "array": np.arange(6).reshape(2, 3),
        "rng": torch.get_rng_state(), "numpy_rng": np.random.get_state(), "set": {1, 2}, "bytes": b"\x00\xff",
        "big": 1 << 100, "negative": -(1 << 70), "size": torch.Size([1, 2]), "device": torch.device("cpu"), "dtype": torch.float32,
        "default": collections.defaultdict(list, {"a": [1]}), "counter": collections.Counter("aab"), "frozen": frozenset([1]),
        "str_": np.str_("x"), "when": np.datetime64("2022-01-01"), "objects": np.array([None, "a"], object),
        "text": "ä€😀", "array_f": np.asfortranarray(np.ones((2, 3), np.float32)),
    }
    for protocol in range(2, 6):
        for key in ("state_dict", "model", "model_state_dict", "net"):
            torch.save({**beside, key: weights}, path, pickle_protocol=protocol)
            suite.expect(f"under '{key}', protocol {protocol}", path, weights,
                         [f"took the weights under '{key}'", f"ignored {len(beside)} entries", "epoch, best_acc1"])
    torch.save({**beside, "state_dict": weights}, path, _use_new_zipfile_serialization=False)
    suite.expect("under 'state_dict', legacy", path, weights, ["took the weights under 'state_dict'"])
    torch.save({"optimizer": optimizer.state_dict(), "generator": weights}, path)
    suite.expect("under an unknown key", path, weights, ["took the weights under 'generator'"])
    torch.save({"checkpoint": {"model": {"state_dict": weights}}, "epoch": 1}, path)
    suite.expect("three dictionaries deep", path, weights, ["took the weights under 'checkpoint.model.state_dict'"])
    torch.save({"epoch": 3, "name": "x"}, path)
    suite.refuse("no tensors", path, "holds no tensors, only epoch, name")
    torch.save([1, 2], path)
    suite.refuse("a list", path, "holds a list of 2")
    torch.save([weights, 2], path)
    suite.expect("in a list", path, weights, ["took the weights under '0'", "the number 2"])
    torch.save(("resnet", {"nets": (None, weights)}), path)
    suite.expect("in a tuple in a dictionary in a tuple", path, weights, ["took the weights under '1.nets.1'"])
    torch.save({"loss": torch.tensor(0.3), "net_state_dict": weights}, path)
    suite.expect("beside a loose tensor", path, weights, ["took the weights under 'net_state_dict'"])
    torch.save({**weights, "version": 3, "name": "x"}, path)
    suite.expect("things between the weights", path, weights, ["ignored 2 entries among the weights that are no tensors: version, name"])

    prefixed = {"module.model." + name: tensor for name, tensor in weights.items()}  # test_networks.py takes them off
    torch.save({"state_dict": prefixed}, path)
    suite.expect("a prefix", path, prefixed)
    write_safetensors(suite.folder / "a.safetensors", prefixed)
    suite.expect("a prefix, safetensors", suite.folder / "a.safetensors", prefixed)
    parallel = torch.nn.DataParallel(network).state_dict()
    torch.save(parallel, path)
    suite.expect("DataParallel", path, parallel)

    torch.save(network, path)
    suite.refuse("a whole module", path, "holds a whole object of Python's (torch.nn.modules.container.Sequential)")
    torch.save(network, path, _use_new_zipfile_serialization=False)
    suite.refuse("a whole module, legacy", path, "m = torch.load(FILE, weights_only=False); torch.save(m.state_dict(), OUT)")
    torch.save({"epoch": 3, "optimizer": optimizer.state_dict(), "models": [network]}, path)
    suite.refuse("a module in a list", path, "weights_only=False)['models'][0]; torch.save(m.state_dict(), OUT)")
    torch.jit.save(torch.jit.script(network), path)
    suite.refuse("TorchScript", path, "is a TorchScript archive", "m = torch.jit.load(FILE)")
    suite.group("wrappers")


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Callback:
    def __init__(self, **values):
        self.__dict__.update(values)


class Config(dict):
    pass


class Names(list):
    pass


def stand_in(module, name, base=object):
    """A class of that name, of a package that is not installed."""
    parts = module.split(".")
    for i in range(len(parts)):
        sys.modules.setdefault(".".join(parts[:i + 1]), types.ModuleType(".".join(parts[:i + 1])))
    made = type(name, (base,), {"__module__": module})
    setattr(sys.modules[module], name, made)
    return made


def test_bystanders(suite, weights):
    """What training scripts keep beside the weights: read as nothing, named, never called."""
    path = suite.folder / "a.pth"
    config = stand_in("omegaconf.dictconfig", "DictConfig")()
    config.lr = 0.1
    mapping = stand_in("mmcv.utils.config", "ConfigDict", dict)(model=dict(depth=50))
    things = {
        "argparse.Namespace": argparse.Namespace(lr=0.1, data="d", layers=[1, 2]), "pathlib.PosixPath": pathlib.PosixPath("/data/best"),
        "Colour": Colour.RED, "Callback": Callback(best=1.5, path="p"), "Config": Config(a=1, b=Config(c=2)), "Names": Names("ab"),
        "omegaconf.dictconfig.DictConfig": config, "mmcv.utils.config.ConfigDict": mapping, "datetime.datetime": datetime.datetime(2022, 1, 1),
        "datetime.timedelta": datetime.timedelta(1), "decimal.Decimal": decimal.Decimal("1.5"), "fractions.Fraction": fractions.Fraction(1, 3),
        "functools.partial": functools.partial(torch.nn.functional.relu, inplace=True), "collections.deque": collections.deque([1, 2], 5),
        "uuid.UUID": uuid.UUID(int=7), "complex": 1 + 2j, "range": range(3), "slice": slice(1, 2), "Colour.": {Colour.BLUE: [Colour.RED]},
        "numpy.random": np.random.RandomState(3), "numpy.random.": np.random.default_rng(3), "numpy.void": np.zeros(1, "i4,f4")[0],
        "torch.optim": torch.optim.SGD, "torch.relu": torch.nn.functional.relu,
        "Loss": torch.nn.CrossEntropyLoss(), "types.SimpleNamespace": types.SimpleNamespace(a=1), "Exception": ValueError("x"),
        "LambdaLR": torch.optim.lr_scheduler.StepLR, "Tensor class": torch.Tensor, "big-endian": np.float64(1).newbyteorder(),
        "big-endian array": np.zeros(2, ">i4"), "complex array": np.zeros(2, np.complex64), "strings": np.array(["a", "b"]),
        "quantised": torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8), "sparse": torch.zeros(2, 2).to_sparse(),
        "complex tensor": torch.zeros(2, dtype=torch.complex64), "generator": torch.Generator().get_state(), "hooked": torch.nn.Parameter(torch.ones(1)),
    }
    for protocol in range(2, 6):
        for name, thing in things.items():
            torch.save({"state_dict": weights, "thing": thing}, path, pickle_protocol=protocol)
            noted = [f"ignored {name} under 'thing'"] if name.count(".") and not name.endswith(".") and name[0].islower() and \
                name not in ("numpy.random", "numpy.void", "torch.optim", "torch.relu", "types.SimpleNamespace") else []
            suite.expect(f"beside {name}, protocol {protocol}", path, weights, ["took the weights under 'state_dict'", *noted])
    torch.save({"state_dict": weights, **things}, path, _use_new_zipfile_serialization=False)
    suite.expect("beside everything, legacy", path, weights, ["took the weights under 'state_dict'"])
    torch.save({"state_dict": weights, "callbacks": {Callback: {"best": 1.5}, Colour.RED: 3}}, path)
    suite.expect("classes as keys", path, weights, [".Callback as a key of 'callbacks'"])
    torch.save({**weights, "args": argparse.Namespace(a=1)}, path)
    suite.expect("among the weights", path, weights, ["among the weights that are no tensors: args (argparse.Namespace)"])
    for protocol in (2, 4):
        with open(path, "wb") as file:
            pickle.dump({"model": {n: t.numpy() for n, t in weights.items()}, "args": argparse.Namespace(a=1), "c": Colour.RED}, file, protocol)
        suite.expect(f"pickled arrays, protocol {protocol}", path, weights, ["argparse.Namespace under 'args'"])
    suite.group("bystanders")


def test_networks(suite, generator):
    """Which of the dictionaries in a file is the network."""
    path = suite.folder / "a.pth"
    one, two = small_network(generator), small_network(generator)
    big = small_network(generator, "resnet34")
    average = collections.OrderedDict((n, t + 1 if t.is_floating_point() else t) for n, t in one.items())
    head = {"weight": torch.ones(10, 4), "bias": torch.ones(10)}
    optimizer = {"state": {i: {"exp_avg": t, "step": 3} for i, t in enumerate(one.values())}, "param_groups": [{"lr": 0.1}]}
    lightning = {"epoch": 3, "global_step": 10, "pytorch-lightning_version": "1.9", "state_dict": one, "callbacks": {Callback: {"best": 1}},
                 "optimizer_states": [optimizer], "lr_schedulers": [{"last": 1}], "hparams_name": "c", "hyper_parameters": argparse.Namespace(a=1)}
    forms = {
        "lightning": (lightning, "state_dict"),
        "fairseq": ({"args": argparse.Namespace(arch="resnet18"), "model": one, "optimizer_history": [{"num_updates": 3}],
                     "extra_state": {"train_iterator": {"epoch": 3}}, "last_optimizer_state": optimizer}, "model"),
        "mmcv": ({"meta": {"env": "x", "CLASSES": ("a", "b"), "time": "now"}, "state_dict": one, "optimizer": optimizer}, "state_dict"),
        "detectron": ({"model": one, "optimizer": optimizer, "scheduler": {"last_epoch": 3, "base": torch.ones(3)}, "iteration": 90}, "model"),
        "fastai": ({"model": one, "opt": optimizer}, "model"),
        "unknown key": ({"net_state_dict": one, "loss": torch.tensor(0.3), "epoch": 7}, "net_state_dict"),
        "beside a head": ({"centers": head, "cnn": one}, "cnn"),
        "optimizer of another name": ({"adam": optimizer, "backbone_weights": one}, "backbone_weights"),
        "tuple": ((one, {"lr": 0.1}), "0"), "list": ([3, one], "1"), "tuple with an epoch": ((7, one, optimizer), "1"),
        "list in a dictionary": ({"models": [None, one]}, "models.1"), "numbers as keys": ({0: one, 1: "x"}, "0"),
        "under two keys": ({"checkpoint": {"best": one, "head": head}}, "checkpoint.best"),
        "no network under the usual key": ({"model": head, "trunk": one}, "trunk"),
    }
    for name, (form, key) in forms.items():
        torch.save(form, path)
        suite.convert(name, path, one, f"took the weights under '{key}'")
        torch.save(form, path, _use_new_zipfile_serialization=False)
        suite.convert(f"{name}, legacy", path, one)
        suite.convert(f"{name}, asked for", path, one, options=["--weights-key", key])
        suite.convert_fails(f"{name}, another asked for", path, "--weights-key nothing", "neither the key",
                            options=["--weights-key", "nothing"])

    for name, plain, other in (("timm", "state_dict", "state_dict_ema"), ("model_ema", "model", "model_ema"), ("swa", "net", "swa_model"),
                               ("averaged", "weights", "averaged"), ("of an unknown key", "cnn", "cnn_ema")):
        torch.save({plain: one, other: average, "args": argparse.Namespace(a=1), "arch": "x"}, path)
        suite.convert(f"a moving average beside: {name}", path, one, f"took the weights under '{plain}'", f"'{other}' (resnet18", "--weights-key")
        suite.convert(f"a moving average beside, quietly: {name}", path, one, f"'{other}' (resnet18", options=["-q"])
        suite.convert(f"a moving average asked for: {name}", path, average, options=["--weights-key", other])
        torch.save({other: average, "epoch": 3}, path)
        suite.convert(f"only a moving average: {name}", path, average, f"took the weights under '{other}'")

    for name, form in (("GAN", {"netG": one, "netD": big}), ("student and teacher", {"student": one, "teacher": two}),
                       ("a tuple of two", (one, big)), ("two usual keys", {"model": one, "net": two}), ("deep", {"a": {"b": one}, "c": [two]})):
        keys = {"a tuple of two": ("0", "1"), "deep": ("a.b", "c.0")}.get(name) or tuple(form)
        torch.save(form, path)
        suite.convert_fails(f"two networks: {name}", path, "holds 2 networks", f"'{keys[0]}' (resnet", f"'{keys[1]}' (resnet", "--weights-key")
        suite.convert(f"one of two: {name}", path, one, options=["--weights-key", keys[0]])
        suite.convert_fails(f"none of two: {name}", path, "neither the key", options=["--weights-key", "third"])
    behind = torch.ones(4, 10)  # takes the network's outputs
    for name, form, layer, place, key in (
            ("backbone and head", {"backbone": one, "head": {"weight": behind, "bias": torch.ones(4)}}, "weight", "head", "backbone"),
            ("ArcFace", {"epoch": 3, "state_dict": one, "metric_fc": {"weight": behind}}, "weight", "metric_fc", "state_dict"),
            ("a tuple", (one, {"1.weight": behind, "0.weight": torch.ones(10)}), "1.weight", "1", "0"),
            ("among the weights", {**one, "head": {"fc.weight": behind}}, "fc.weight", "head", None)):
        torch.save(form, path)
        suite.convert_fails(f"a layer behind: {name}", path, f"'{layer}' (4x10) under '{place}'", "takes the 10 outputs",
                            f"--weights-key {key}" if key else "save the network without it")
        if key:
            suite.convert(f"a layer behind: {name}, asked for", path, one, options=["--weights-key", key])
    torch.save({"model": one, "confusion": behind, "log": {"matrix": behind}, "features": {"weight": torch.ones(10, 64)}}, path)
    suite.convert("no layers behind", path, one, "took the weights under 'model'")
    for other in ("best", "best_model", "teacher"):
        torch.save({"model": one, other: two}, path)
        suite.convert_fails(f"a usual key beside '{other}'", path, "holds 2 networks", "'model' (resnet18", f"'{other}' (resnet18")
        suite.convert(f"a usual key beside '{other}', asked for", path, two, options=["--weights-key", other])
    torch.save({"first": one, "again": dict(one)}, path)
    suite.convert("the same weights twice", path, one)

    damaged = collections.OrderedDict(one)
    damaged["layer1.0.conv1.weight"] = torch.full_like(one["layer1.0.conv1.weight"], float("nan"))
    torch.save({"model": damaged, "model_ema": average}, path)
    suite.convert_fails("weights with NaN beside an average", path, "layer1.0.conv1.weight", "'model_ema' (resnet18)")
    suite.convert("the average then", path, average, options=["--weights-key", "model_ema"])
    torch.save({"one": head, "two": {**head, "more": torch.ones(3)}}, path)
    suite.convert_fails("no network at all", path, "not a known architecture", "'one' (2 tensors)", "'two' (3 tensors)")
    torch.save({"model": {**{"a." + n: t for n, t in one.items()}}}, path)
    suite.convert("a prefix by --weights-key", path, one, options=["--weights-key", "a."])
    suite.convert("a key and a prefix", path, one, options=["--weights-key", "model.a"])
    write_safetensors(suite.folder / "a.safetensors", {"b." + n: t for n, t in two.items()})
    suite.convert("a prefix in safetensors", suite.folder / "a.safetensors", two, options=["--weights-key", "b"])
    suite.convert_fails("no such prefix in safetensors", suite.folder / "a.safetensors", "--weights-key c.d", options=["--weights-key", "c.d"])
    suite.group("networks")


def test_calls(suite, weights):
    path, marker = suite.folder / "evil.pth", suite.folder / "marker"
    command = f"touch {marker}"
    argument = b"X" + struct.pack("<I", len(command)) + command.encode()
    code = f"open({str(marker)!r}, 'w')"
    by_opcode = {
        "GLOBAL REDUCE": b"cos\nsystem\n" + argument + b"\x85R.",
        "STACK_GLOBAL REDUCE": short("os") + short("system") + b"\x93" + argument + b"\x85R.",
        "INST": b"(" + argument + b"ios\nsystem\n.",
        "OBJ": b"(cos\nsystem\n" + argument + b"o.",
        "NEWOBJ": b"cos\nsystem\n" + argument + b"\x85\x81.",
        "NEWOBJ_EX": b"cos\nsystem\n" + argument + b"\x85}\x92.",
        "BUILD": b"cos\nsystem\n}b.",
        "alone": b"cos\nsystem\n.",
        "in a dict": b"}X\x01\x00\x00\x00acos\nsystem\n" + argument + b"\x85Rs.",
        "as a key": b"}cos\nsystem\n" + argument + b"\x85RNs.",
        "as an OrderedDict argument": b"ccollections\nOrderedDict\n]cos\nsystem\n" + argument + b"\x85Ra\x85R.",
        "as a defaultdict factory": b"ccollections\ndefaultdict\ncos\nsystem\n\x85R.",
        "through the memo": b"cos\nsystem\nq\x00" + argument + b"\x85q\x010h\x00h\x01R.",
        "after discarding": b"cos\nsystem\n" + argument + b"\x85R0N.",
        "as a persistent id": b"(X\x07\x00\x00\x00storagecos\nsystem\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ.",
        "by rebuild_from_type": b"ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nctorch\nTensor\n" + argument + b"\x85}tR.",
    }
    by_system = ("os.system", "holds None", "torch._tensor._rebuild_from_type_v2", "holds no tensors", "holds a dictionary of 0",
                 "a dictionary made of things that are no pairs")
    for how, pickled in by_opcode.items():
        for protocol in (b"", b"\x80\x02", b"\x80\x05"):
            for write, name in ((torch_zip, "zip"), (torch_legacy, "legacy")):
                write(path, protocol + pickled)
                suite.refuse(f"os.system, {how}, {name}", path, *by_system)
        path.write_bytes(b"\x80\x04" + pickled)
        suite.refuse(f"os.system, {how}, plain", path, *by_system)
    for width, opcode in ((1, b"\x82"), (2, b"\x83"), (4, b"\x84")):
        torch_zip(path, b"\x80\x02" + opcode + (7).to_bytes(width, "little") + b")R.")
        suite.refuse(f"extension code of {width} bytes", path, "holds extension code 7")

    functions = {
        "posix.system": Call(os.system, command), "subprocess.Popen": Call(subprocess.Popen, ["touch", str(marker)]),
        "eval": Call(eval, code), "exec": Call(exec, code), "getattr": Call(getattr, os, "system"), "compile": Call(compile, code, "x", "exec"),
        "open": Call(open, str(marker), "w"), "pickle.loads": Call(pickle.loads, b"N."), "torch.load": Call(torch.load, str(marker)),
        "__import__": Call(__import__, "os"), "numpy.load": Call(np.load, str(marker)), "builtins.bytearray": Call(bytearray, 1 << 40),
        "collections.namedtuple": Call(collections.namedtuple, "a", "b"), "torch.storage._load_from_bytes": Call(torch.storage._load_from_bytes, b"x"),
        "setstate": Call(collections.OrderedDict, state=Call(os.system, command)), "range": Call(range, 1 << 60),
    }
    for name, evil in functions.items():
        for protocol in range(2, 6):
            try:
                pickled = pickle.dumps({"weight": evil}, protocol)
            except (pickle.PicklingError, TypeError):
                continue
            torch_zip(path, pickled)
            suite.refuse(f"{name}, protocol {protocol}", path, "holds no tensors, only weight", "called with arguments")
            torch_legacy(path, pickled)
            suite.refuse(f"{name}, protocol {protocol}, legacy", path, "holds no tensors, only weight", "called with arguments")
            if name != "builtins.bytearray":
                torch.save({"state_dict": weights, "evil": evil}, path, pickle_protocol=protocol)
                suite.expect(f"{name} beside weights, protocol {protocol}", path, weights, ["took the weights under 'state_dict'"])
    suite.check("nothing ran", not marker.exists(), "the marker file exists")
    suite.group("calls")


def test_sizes(suite):
    path = suite.folder / "size.pth"
    six = np.arange(6, dtype=np.float32)
    torch_zip(path, tensor_pickle(0, (2, 3), (3, 1), 6), [("data/0", six.tobytes())])
    suite.expect("the honest one", path, {"w": torch.from_numpy(six.reshape(2, 3))})
    huge = (1 << 63) - 1
    for what, offset, shape, stride, count, *reasons in (
            ("shape of 2^63 - 1", 0, (huge,), (1,), 6, "impossible shape"), ("shape of 2^32 x 2^32", 0, (1 << 32, 1 << 32), (0, 0), 6, "impossible shape"),
            ("shape of 2^58, stride 0", 0, (1 << 58,), (0,), 6, "repeat"), ("shape of 2^31 x 16, stride 0", 0, (1 << 31, 16), (0, 0), 6, "repeat"),
            ("negative shape", 0, (-2, 3), (3, 1), 6, "impossible shape"), ("negative stride", 5, (6,), (-1,), 6, "negative stride"),
            ("stride of 2^63 - 1", 0, (2, 3), (huge, 1), 6, "past its storage"), ("strides that overflow", 0, (5, 5), (1 << 61, 1 << 61), 6, "past its storage"),
            ("one element too far", 1, (2, 3), (3, 1), 6, "past its storage"), ("negative offset", -1, (2, 3), (3, 1), 6, "begins at"),
            ("offset of 2^63 - 1", huge, (2, 3), (3, 1), 6, "begins at"), ("storage of 2^63 - 1", 0, (2, 3), (3, 1), huge, "24 bytes"),
            ("storage of 2^62 + 6", 0, (2, 3), (3, 1), (1 << 62) + 6, "24 bytes"), ("negative storage", 0, (2, 3), (3, 1), -6, "bad description"),
            ("storage larger than its entry", 0, (2, 3), (3, 1), 7, "24 bytes"), ("storage smaller than its entry", 0, (5,), (1,), 5, "24 bytes")):
        torch_zip(path, tensor_pickle(offset, shape, stride, count), [("data/0", six.tobytes())])
        suite.refuse(what, path, *reasons)
    torch_zip(path, tensor_pickle(0, (2, 3), (3, 1), 6))
    suite.refuse("missing storage", path, "storage 0 is missing")
    torch_zip(path, tensor_pickle(0, (2, 3), (3, 1), 6, b"DoubleStorage"), [("data/0", six.tobytes())])
    suite.refuse("storage of another type", path, "24 bytes, 6 elements of float64")

    torch.save({"w": torch.from_numpy(six), "v": torch.ones(300)}, path)
    whole = path.read_bytes()
    position = whole.index(six.tobytes())
    path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1:])
    suite.refuse("wrong CRC", path, "CRC-32")
    bomb = np.zeros(1 << 26, np.float32)
    torch_zip(path, tensor_pickle(0, bomb.shape, (1,), bomb.size), [("data/0", bomb.tobytes())], zipfile.ZIP_DEFLATED)
    suite.refuse("256 MiB of zeros in a small file", path, "bomb")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"]" * (1 << 27))
    suite.refuse("a pickle bomb", path, "bomb")
    torch_zip(path, b"\x80\x02" + b"(" * 100000 + b".")
    suite.refuse("marks without end", path, "nested")
    torch_zip(path, b"\x80\x02" + b"]" * 1000000 + b"a" * 999999 + b".")
    suite.refuse("a million nested lists", path, "holds a list")
    torch_zip(path, b"\x80\x02Nr\xff\xff\xff\xff.")
    suite.refuse("a far memo index", path, "memo index")
    suite.group("sizes")


def test_damage(suite, weights, rng):
    """Cut and altered files: read or refused, never a crash; what is read must be complete."""
    path = suite.folder / "damaged.bin"
    small = {name: weights[name] for name in ("conv1.weight", "fc.weight", "bn1.num_batches_tracked")}
    forms = {}
    for name, save in (("zip", lambda: torch.save(small, path)),
                       ("legacy", lambda: torch.save(small, path, _use_new_zipfile_serialization=False)),
                       ("safetensors", lambda: write_safetensors(path, small)),
                       ("npz", lambda: np.savez(path.open("wb"), **{k: t.numpy() for k, t in small.items()})),
                       ("pickle", lambda: path.write_bytes(pickle.dumps({k: t.numpy() for k, t in small.items()}, 2)))):
        save()
        forms[name] = path.read_bytes()
    for name, whole in forms.items():
        for _ in range(60):
            cut = rng.randrange(len(whole))
            path.write_bytes(whole[:cut])
            suite.refuse(f"{name} cut to {cut} of {len(whole)} bytes", path)
        for _ in range(60):
            changed = bytearray(whole)
            for _ in range(rng.choice((1, 1, 2, 8))):
                changed[rng.randrange(len(whole))] = rng.randrange(256)
            path.write_bytes(changed)
            result = suite.run(path, suite.folder / "damaged.safetensors")
            suite.check(f"{name} altered", result.returncode in (0, 1), f"status {result.returncode}: {result.stderr[-500:]}")
    for what, data, reason in (
            ("an empty file", b"", "is empty"), ("a JPEG", b"\xff\xd8\xff\xe0" + bytes(100), "JPEG image"),
            ("a PNG", b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG image"), ("HTML", b"\n<!DOCTYPE html><html>", "HTML page"),
            ("HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"), ("gzip", b"\x1f\x8b\x08" + bytes(100), "gzip"),
            ("a Git LFS pointer", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
            ("text", b"hello\n", "no checkpoint"), ("other JSON", b'{"a": 1}', "weightsManifest"), ("zeros", bytes(1000), "no checkpoint")):
        path.write_bytes(data)
        suite.refuse(what, path, reason)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    suite.refuse("a zip of something else", path, "no data.pkl")
    suite.refuse("a missing file", suite.folder / "missing.pth", "No such file")
    suite.refuse("a folder", suite.folder, "model.json")
    suite.group("damage")


def test_tfjs(suite, np_rng):
    folder = suite.folder / "tfjs"
    kernel = np_rng.standard_normal((3, 3, 2, 5), np.float32)
    bias = np_rng.standard_normal(5, np.float32)
    steps = np.array(7, np.int32)
    plain = [("conv/kernel", kernel, {"dtype": "float32"}), ("steps", steps, {"dtype": "int32"}), ("conv/bias", bias, {"dtype": "float32"})]
    expected = {"conv/kernel": torch.from_numpy(kernel), "steps": torch.tensor(7, dtype=torch.int32), "conv/bias": torch.from_numpy(bias)}
    for shard_size in (1 << 20, 100, 64, 7, 1):
        write_tfjs(folder, [plain[:2], plain[2:]], shard_size)
        suite.expect(f"shards of {shard_size} bytes", folder / "model.json", expected)
    suite.expect("given the folder", folder, expected)

    scale, low = 0.0173, -1.25
    eight, sixteen = np_rng.integers(0, 256, (4, 3), np.uint8), np_rng.integers(0, 65536, (2, 2), np.uint16)
    half = np_rng.standard_normal(6).astype(np.float16)
    quantised = [("a", eight, {"dtype": "float32", "quantization": {"dtype": "uint8", "scale": scale, "min": low, "original_dtype": "float32"}}),
                 ("b", sixteen, {"dtype": "float32", "quantization": {"dtype": "uint16", "scale": scale, "min": low}}),
                 ("c", half, {"dtype": "float32", "quantization": {"dtype": "float16"}})]
    write_tfjs(folder, [quantised], 9)
    suite.expect("quantised", folder, {"a": torch.from_numpy((eight * scale + low).astype(np.float32)),
                                       "b": torch.from_numpy((sixteen * scale + low).astype(np.float32)),
                                       "c": torch.from_numpy(half.astype(np.float32))})

    model = write_tfjs(folder, [plain], 100)
    shards = model["weightsManifest"][0]["paths"]
    last = folder / shards[-1]
    whole = last.read_bytes()
    last.write_bytes(whole[:-1])
    suite.refuse("a shard too short", folder, "conv/bias needs")
    last.write_bytes(whole + b"x")
    suite.refuse("a shard too long", folder, "the weight files hold")
    last.unlink()
    suite.refuse("a missing shard", folder, "No such file")
    last.write_bytes(whole)
    (suite.folder / "outside.bin").write_bytes(whole)
    for name in ("../outside.bin", str(suite.folder / "outside.bin"), "a/../../outside.bin", "..\\outside.bin", "https://example.org/x.bin", ""):
        model["weightsManifest"][0]["paths"] = shards[:-1] + [name]
        (folder / "model.json").write_text(json.dumps(model))
        suite.refuse(f"shard {name!r}", folder, "outside the model's folder")
    model["weightsManifest"][0]["paths"] = shards
    for what, change in (("a huge shape", {"shape": [1 << 62, 4]}), ("a larger shape", {"shape": [1 << 40]}), ("a negative shape", {"shape": [-1]}),
                         ("a bad shape", {"shape": "x"}), ("an unknown type", {"dtype": "string"}), ("a name twice", {"name": "steps"}),
                         ("odd quantisation", {"quantization": {"dtype": "uint8"}}), ("quantised to nothing", {"quantization": {"scale": 1}})):
        changed = json.loads(json.dumps(model))
        changed["weightsManifest"][0]["weights"][0].update(change)
        (folder / "model.json").write_text(json.dumps(changed))
        suite.refuse(what, folder)
    (folder / "model.json").write_text(json.dumps({**model, "format": "graph-model"}))
    suite.refuse("a graph model", folder, "graph-model")
    suite.group("TensorFlow.js")


def test_helper_files(suite, generator):
    path = suite.folder / "helper.pth"
    files = sorted((SHARED / "original-helpers").glob("*.pth")) if (SHARED / "original-helpers").is_dir() else []
    if not files:
        print("the authors' helper files: SKIPPED, ../shared/original-helpers is not there")
    contents = [(file.name, torch.load(file, map_location="cpu")) for file in files]
    contents.append(("made statistics", {"mean": torch.rand(7, generator=generator),
                                         "std": torch.rand(7, generator=generator, dtype=torch.float64)}))
    contents.append(("made results", {"incorrect_id": [np.int64(3), np.int32(7)], "incorrect_predictions": [np.int64(999), 5],
                                      "correct_id": torch.tensor([1, 2])}))
    for name, content in contents:
        for form in ("as it is", "zip", "legacy"):
            file = dict(zip([f.name for f in files], files)).get(name, path)
            if form != "as it is":
                file = path
                torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
            elif file == path:
                continue
            if "mean" in content:
                result = suite.run("--statistics", file)
                rows = [list(map(float.fromhex, line.split())) for line in result.stdout.splitlines()]
                wanted = np.stack([content["mean"].double().numpy(), content["std"].double().numpy()], 1).tolist()
            else:
                result = suite.run("--results", file)
                rows = [list(map(int, line.split())) for line in result.stdout.splitlines()]
                wanted = [list(map(int, row)) for row in zip(content["incorrect_id"], content["incorrect_predictions"])]
                wanted += [[int(i)] for i in content["correct_id"]]
            suite.check(f"{name}, {form}", result.returncode == 0 and rows == wanted, result.stderr)
    for content in ({"mean": torch.zeros(3)}, {"mean": torch.zeros(3), "std": torch.zeros(4)}, [1], {"mean": 1, "std": 2},
                    {"mean": torch.zeros(2, 2), "std": torch.zeros(2, 2)}):
        torch.save(content, path)
        result = suite.run("--statistics", path)
        suite.check("bad statistics", result.returncode == 1 and str(path) in result.stderr, result.stderr)
    for content in ({"incorrect_id": [1], "incorrect_predictions": [1, 2], "correct_id": []}, {"incorrect_id": [1]},
                    {"incorrect_id": [1.5], "incorrect_predictions": [1], "correct_id": []}):
        torch.save(content, path)
        result = suite.run("--results", path)
        suite.check("bad results", result.returncode == 1 and str(path) in result.stderr, result.stderr)
    suite.group("helper files")


def main():
    parser = command_line.parser(__doc__)
    parser.add_argument("--no-limit", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    generator = torch.Generator().manual_seed(options.seed)
    rng, np_rng = random.Random(options.seed), np.random.default_rng(options.seed)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        suite = Suite(options.build, pathlib.Path(folder), not options.no_limit)
        weights = random_weights(generator)
        test_forms(suite, weights)
        test_types(suite, weights)
        test_views(suite, generator)
        test_wrappers(suite, weights)
        test_bystanders(suite, weights)
        test_networks(suite, generator)
        test_calls(suite, weights)
        test_sizes(suite)
        test_damage(suite, weights, rng)
        test_tfjs(suite, np_rng)
        test_helper_files(suite, generator)
    print(f"{suite.passed} passed, {suite.failed} failed")
    return 1 if suite.failed else 0


if __name__ == "__main__":
    sys.exit(main())
