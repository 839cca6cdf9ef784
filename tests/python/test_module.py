#!/usr/bin/env python3
"""The Python module psal: the programs' numbers bit for bit, arrays, threads, errors, what it costs.

    tests/python/test_module.py BUILD SOURCE [--slow]

Needs NumPy. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import contextlib
import copy
import ctypes
import gc
import io
import os
import pickle
import re
import statistics
import sys
import threading
import time
import warnings

from module import bag, build, network, np, pixels, program, psal, raised, root, same, samples, scratch, tensors_of, write_png
from checks import check, run_tests

SLOW = "--slow" in sys.argv
net = psal.load(network, threads=1)
ARRAYS = {"input": "input", "logits": "logits", "naive": "profile", "standardized": "standardized", "input_gradient": "input_gradient"}


def test_psal_run():
    """psal-run's arrays, JSON and files"""
    for number, settings in enumerate(({}, {"mode": "naive", "k_salient": 3, "boost_factor": -5.5, "format": "svg", "width": "84mm", "colors": "magma"}, {"noise_iters": 3, "noise_percent": 0.1},
                                       {"against": "predicted", "compare_random": True}, {"aggregation": "row", "mode": "naive"})):
        folder = scratch / f"run{number}"
        words = [f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}") for name, value in settings.items()]
        answer = program("psal-run", "-w", network, "-i", bag, "-l", "bag", "--out", folder, "--dump", folder / "dump", *words)
        result = net.explain(bag, "bag", **settings)
        for file, name in ARRAYS.items():
            expected, found = np.load(folder / "dump" / f"{file}.npy"), getattr(result, name)
            check(f"{settings}: {name}", same(expected, found.astype(np.float32)), f"{expected.ravel()[:3]} {found.ravel()[:3]}")
        mine = result.json()
        for key in answer.keys() - {"seconds", "seconds_loading", "seconds_total", "files"}:
            check(f"{settings}: {key}", answer[key] == mine.get(key), f"{answer[key]} {mine.get(key)}")
        rows = [(row["rank"], row["filter"], row["layer"], row["filter_in_layer"], row["saliency"]) for row in answer["top_filters"]]
        check(f"{settings}: top", rows == [tuple(row)[:5] for row in result.top(20)], rows[:2])
        saved = result.save(scratch / f"save{number}")
        check(f"{settings}: files", sorted(path.name for path in saved) ==
              sorted(path.name for path in folder.iterdir() if path.is_file()), saved)
        for path in saved:
            if path.name != "result.json":
                check(f"{settings}: {path.name}", path.read_bytes() == (folder / path.name).read_bytes(), "other bytes")


def test_images():
    """A file, its pixels and the network's input are one image"""
    photo = pixels()
    write_png(scratch / "photo.png", photo)
    expected = net.explain(scratch / "photo.png", 3)
    ways = {"text": str(scratch / "photo.png"), "pixels": photo, "not contiguous": np.repeat(photo, 2, axis=1)[:, ::2],
            "reversed": np.ascontiguousarray(photo[::-1])[::-1], "input": np.array(expected.input), "batch": expected.input[None],
            "float64": expected.input.astype(np.float64), "strided": np.asfortranarray(expected.input)}
    for name, image in ways.items():
        result = net.explain(image, 3)
        for array in ARRAYS.values():
            check(f"{name}: {array}", same(getattr(expected, array), getattr(result, array)), "other numbers")
        check(f"{name}: heat map", same(expected.heat_map, result.heat_map), "other numbers")
        check(f"{name}: pixels", same(expected.pixels, result.pixels), "other pixels")
    grey = net.explain(photo[:, :, 0], 3)
    check("grey", same(grey.input, net.explain(np.repeat(photo[:, :, :1], 3, axis=2), 3).input), "other numbers")

    class Pillow:
        mode = "RGBA"

        def convert(self, mode):
            return photo if mode == "RGB" else None
    check("Pillow's", same(net.explain(Pillow(), 3).profile, expected.profile), "other numbers")


def test_result():
    result = net.explain(bag, "bag")
    check("prediction", (result.prediction, result.predicted_name, result.label, result.label_name, result.correct) ==
          (5, "Sandal", 8, "Bag", False), result)
    check("confidence", abs(result.confidence - np.exp(result.logits[5]) / np.exp(result.logits).sum()) < 1e-6, result.confidence)
    check("class_number", (net.class_number("ankle boot"), net.class_number(3)) == (9, 3) and raised(psal.Error, net.class_number, "boat"), "")
    check("no label", net.explain(bag).label == 5 and net.explain(bag).correct is None, "not the prediction")
    check("second", net.explain(bag, "second").label == np.argsort(result.logits)[-2], "not the runner-up")
    every = result.top(result.json()["rankable"])
    check("all ranked", [row.rank for row in every] == list(range(1, len(every) + 1)) and len(every) > 1000 and
          [row.saliency for row in every] == sorted((row.saliency for row in every), reverse=True), every[:2])
    check("rows", all(result.standardized[row.number] == row.saliency and result.profile[row.number] == row.naive for row in every), "")
    check("layers", [(name, first) for name, first, _ in result.layers] == [
        (row.layer, row.number) for row in sorted(every, key=lambda row: row.number) if row.filter == 0], "other layers")
    check("top 0", result.top(0) == [], result.top(0))
    check("top too many", "1200" in (raised(psal.Error, result.top, 1201) or ""), "")
    check("top negative", raised(psal.Error, result.top, -1), "")
    check("shapes", (result.profile.shape, result.standardized.dtype, result.heat_map.shape, result.pixels.shape) ==
          ((1200,), np.float64, (32, 32), (32, 32, 3)), "")
    check("read-only", raised(ValueError, result.profile.__setitem__, 0, 1.0), "could be written")
    try:
        import pandas  # noqa: F401
        check("DataFrame", result.top(3, pandas=True)["number"].tolist() == [row.number for row in every[:3]], "")
    except ImportError:
        check("no pandas", raised(ImportError, result.top, 3, pandas=True), "")
    check("png", result._repr_png_().startswith(b"\x89PNG") and result.profile_png != result.png, "")
    svg = net.explain(bag, "bag", format="svg")
    check("svg", svg.png is None and svg._repr_html_().count("data:image/svg+xml") == 2, "")
    check("pdf", "<img" not in net.explain(bag, "bag", format="pdf")._repr_html_(), "")
    page = result._repr_html_()
    check("html", page.count("data:image/png;base64,") == 2 and "layer4.0.downsample.0.weight" in page and "Sandal" in page, page[:200])
    flat = psal.load({**tensors_of(network)[0], "fc.weight": np.zeros((10, 128), np.float32)}, preprocess=net.preprocess, labels=net.classes, mode="naive")
    none = flat.explain(bag, "bag")  # the logits are the bias, whatever the pixels are
    check("no map", none.heat_map is None and none.input_gradient is None and none.no_map and none._repr_png_() == none.profile_png and
          "<table>" in none._repr_html_(), none.no_map)
    profile = net.explain(bag, "bag").profile  # of a result that is gone
    gc.collect()
    check("arrays live on", same(profile, result.profile), "other numbers")
    lonely = psal.load(network).explain(bag, "bag")
    gc.collect()
    check("results live on", lonely.top(3) == result.top(3), "other numbers")


def test_state():
    """A state_dict is the file it could be saved as; its memory is shared"""
    state, metadata = tensors_of(network)
    prepared = {"preprocess": metadata["psal.preprocess"], "labels": net.classes}
    same_net = psal.load(state, **prepared)
    check("fingerprint", (same_net.fingerprint, same_net.arch, same_net.classes) == (net.fingerprint, net.arch, net.classes), same_net)
    expected, found = net.explain(bag, "bag"), same_net.explain(bag, "bag")
    for name in ARRAYS.values():
        check(f"state: {name}", same(getattr(expected, name), getattr(found, name)), "other numbers")
    for kind, change in {"float64": lambda a: a.astype(np.float64), "Fortran": np.asfortranarray, "big-endian": lambda a: a.astype(">f4"),
                         "copy": np.array}.items():
        other = psal.load({name: change(array) for name, array in state.items()}, copy=kind == "copy", **prepared)
        check(f"{kind}: fingerprint", other.fingerprint == net.fingerprint, other.fingerprint)

    class Tensor:
        """As PyTorch's"""
        def __init__(self, array):
            self.array, self._version = array, 0

        def detach(self):
            return self

        cpu = detach

        def numpy(self):
            return self.array

    class Module:
        def state_dict(self):
            return live
    live = {name: Tensor(array) for name, array in state.items()}
    module = psal.load(Module(), **prepared)
    check("module", same(module.explain(bag, "bag").profile, expected.profile), "other numbers")
    live["conv1.weight"]._version += 1
    check("changed", "conv1.weight" in (raised(RuntimeError, module.explain, bag, "bag") or ""), "not noticed")
    check("tensor missing", "conv1.weight" in (raised(psal.Error, psal.load, {name: array for name, array in state.items()
                                                                              if name != "conv1.weight"}, **prepared) or ""), "")
    broken = dict(state, **{"fc.bias": np.full(10, np.nan, np.float32)})
    check("NaN", "fc.bias" in (raised(psal.Error, psal.load, broken, **prepared) or ""), "")
    check("shape", "fc.bias" in (raised(psal.Error, psal.load, dict(state, **{"fc.bias": np.zeros(9, np.float32)}), **prepared) or ""), "")
    check("complex", "fc.bias" in (raised(psal.Error, psal.load, dict(state, **{"fc.bias": np.zeros(10, complex)}), **prepared) or ""), "")
    check("objects", raised(TypeError, psal.load, dict(state, **{"fc.bias": np.array([None] * 10)}), **prepared), "")
    check("names", raised(TypeError, psal.load, {1: np.zeros(1)}), "")
    check("nothing", raised(psal.Error, psal.load, {}), "")
    check("weights twice", "--weights" in (raised(psal.Error, lambda: psal.Net(state, {"weights": network})) or ""), "")


def test_inference_mode():
    class Tensor(np.ndarray):
        @property
        def _version(self):
            raise RuntimeError("Inference tensors do not track version counter.")
    state = {name: array.view(Tensor) for name, array in tensors_of(network)[0].items()}
    check("tensors of inference mode", psal.load(state, preprocess=net.preprocess, labels=net.classes).fingerprint == net.fingerprint, "")


def test_statistics():
    """psal-stats' numbers and file"""
    spec = "weights/fashion_samples/labels.csv"
    program_files = scratch / "program.safetensors", scratch / "profiles.npy"
    import subprocess
    subprocess.run([build / "tools" / "psal-stats", "--quiet", "-w", network, "--data", spec, "--out", program_files[0], "--profiles",
                    program_files[1]], check=True, cwd=root, capture_output=True)
    steps = []
    made = net.statistics(spec, profiles=True, progress=lambda done, total: steps.append((done, total)))
    made.save(scratch / "module.safetensors")
    check("file", (scratch / "module.safetensors").read_bytes() == program_files[0].read_bytes(), "other bytes")
    check("profiles", same(np.load(program_files[1]), made.profiles), "other numbers")
    check("progress", steps == [(i + 1, 20) for i in range(20)] or (steps[-1] == (20, 20) and steps == sorted(steps)), steps)
    tensors, _ = tensors_of(program_files[0])
    check("mean", same(tensors["mean"], made.mean) and same(tensors["std"], made.std), "other numbers")
    lines = [line.split(",") for line in (samples / "labels.csv").read_text().splitlines()]
    lines = [line for line in lines if line[0].endswith(".png")]
    room = np.empty(made.profiles.shape, np.float32)
    listed = net.statistics([samples / line[0] for line in lines], [line[1] for line in lines], profiles=room)
    check("list", same(listed.mean, made.mean) and same(room, made.profiles) and listed.profiles is room, "other numbers")
    check("records", (listed.count, listed.labels.tolist(), listed.predicted.tolist()) ==
          (20, made.labels.tolist(), made.predicted.tolist()) and 0 < listed.correct.sum() < 20, listed)
    check("loss", np.allclose(listed.loss, -np.log(listed.label_confidence), atol=1e-3), listed.loss[:3])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mine = net.explain(bag, "bag", stats=made)
        file = net.explain(bag, "bag", stats=program_files[0])
    check("few samples", any(issubclass(note.category, psal.Doubt) and "20 samples" in str(note.message) and
                             note.filename == __file__ for note in caught), caught)
    check("used", same(mine.standardized, file.standardized) and not same(mine.standardized, net.explain(bag, "bag").standardized), "")
    for name, arguments, named in (("no labels", (["a.png"],), {}), ("labels", (["a.png"], [1, 2]), {}),
                                   ("no label", ([bag], [None]), {}), ("labels as a text", ([bag, bag], "88"), {}), ("room", (spec,), {"profiles": np.empty((20, 3), np.float32)}),
                                   ("type", (spec,), {"profiles": np.empty((20, 1200))})):
        check(f"refused: {name}", raised((TypeError, ValueError), net.statistics, *arguments, **named), "")
    for name, arguments in (("a path", ([scratch / "none.png", bag], [1, 2])), ("a class", ([bag, bag], ["bag", "dog"])),
                            ("out of range", ([bag, bag], [1, 10])), ("no images", ([], [])), ("one image", ([bag], [8]))):
        check(f"refused: {name}", raised(psal.Error, net.statistics, *arguments), "")


def test_threads():
    """Two explanations at once are two explanations"""
    images, labels = [pixels(seed) for seed in range(6)], range(6)
    expected = [net.explain(image, label) for image, label in zip(images, labels)]
    found, failed = {}, []

    def work(numbers):
        try:
            for number in numbers:
                found.setdefault(number, []).append(net.explain(images[number], labels[number]))
        except BaseException as error:  # shown below
            failed.append(error)
    for _ in range(2):
        workers = [threading.Thread(target=work, args=(order,)) for order in (range(6), range(5, -1, -1), (3, 0, 5, 2, 4, 1))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    check("threads", not failed, failed)
    for number, results in found.items():
        check(f"image {number}: six times", len(results) == 6, len(results))
        for result in results:
            for name in ARRAYS.values():
                check(f"image {number}: {name}", same(getattr(expected[number], name), getattr(result, name)), "other bits")
    check("bits of two threads inside", same(psal.load(network, threads=2).explain(images[0], 0).input_gradient, expected[0].input_gradient), "")


def test_lock_is_free():
    """Other Python threads run during a call"""
    counts, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            counts[0] += 1
            time.sleep(0)
    counter = threading.Thread(target=count)
    counter.start()
    before, start = counts[0], time.monotonic()
    net.explain(bag, "bag", noise_iters=20, noise_percent=0.1)
    during, seconds = counts[0] - before, time.monotonic() - start
    stop.set()
    counter.join()
    check("others ran", during > 5, f"{during} rounds in {seconds:.2f} s")


def test_fork():
    """A child of this process, which has not its threads, is told so, and does not wait for them"""
    result = net.explain(bag)
    ways = {"load": lambda: psal.load(network), "save": lambda: result.save(scratch / "child"), "explain": lambda: net.explain(bag), "statistics": lambda: net.statistics(samples / "labels.csv"),
            "neighbors": lambda: net.neighbors(0, np.eye(4, dtype=np.float32))}
    child = os.fork()
    if child == 0:
        told = [name for name, way in ways.items() if "in the child" in (raised(RuntimeError, way) or "")]
        os._exit(0 if told == list(ways) else 1)
    check("fork", os.waitpid(child, 0)[1] == 0, "not told")


def test_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", psal.Note)
        made = net.statistics(samples / "labels.csv")
    library = [("a file that is not there", "not_there.png", net.explain, ("not_there.png", 1), {}),
               ("a folder", "samples", net.explain, (samples, 1), {}),
               ("no image", "labels.csv", net.explain, (samples / "labels.csv", 1), {}),
               ("an unknown class", "sandel", net.explain, (bag, "sandel"), {}),
               ("a class out of range", "10", net.explain, (bag, 10), {}),
               ("a negative class", "-1", net.explain, (bag, -1), {}),
               ("NaN", "nan", net.explain, (np.full((3, 32, 32), np.nan, np.float32), 1), {}),
               ("infinity", "inf", net.explain, (np.full((3, 32, 32), -np.inf, np.float32), 1), {}),
               ("another size", "3x32x32", net.explain, (np.zeros((3, 32, 31), np.float32), 1), {}),
               ("channels last", "32x32x3", net.explain, (np.zeros((32, 32, 3), np.float32), 1), {}),
               ("an empty image", "0", net.explain, (np.zeros((0, 5, 3), np.uint8), 1), {}),
               ("an unknown setting", "no-such", net.explain, (bag, 1), {"no_such": 1}),
               ("a setting of the network", "preprocess", net.explain, (bag, 1), {"preprocess": "caffe"}),
               ("another network", "weights", net.explain, (bag, 1), {"weights": "other.pth"}),
               ("psal-run's own", "out", net.explain, (bag, 1), {"out": str(scratch)}),
               ("help", "help", net.explain, (bag, 1), {"help": True}),
               ("an unknown mode", "mode", net.explain, (bag, 1), {"mode": "other"}),
               ("a number out of range", "k-salient", net.explain, (bag, 1), {"k_salient": 0}),
               ("no number", "k-salient", net.explain, (bag, 1), {"k_salient": 1.5}),
               ("more than there are", "1201", net.explain, (bag, 1), {"k_salient": 1201}),
               ("two losses", "logit", net.explain, (bag, 1), {"logit": True, "logit_difference": True}),
               ("a flag with a value", "signed", net.explain, (bag, 1), {"signed": 3}),
               ("against itself", "against", net.explain, (bag, 8), {"against": 8}),
               ("no network", "labels.csv", psal.load, (samples / "labels.csv",), {}),
               ("no file", "nothing.pth", psal.load, ("nothing.pth",), {}), ("a name", "model='resnet-50'", psal.load, ("resnet-50",), {}),
               ("labels that are too few", "10", psal.load, (network,), {"labels": ["a", "b"]}),
               ("wrong statistics", "densenet", net.explain, (bag, 1), {"stats": "weights/fashion_densenet121_stats.safetensors"})]
    for name, word, function, arguments, named in library:
        message = raised(psal.Error, function, *arguments, **named)
        check(f"refused: {name}", message is not None and word.lower() in message.lower() and "\n" not in message, message)
    python = [("bool label", (bag, True), {}), ("float label", (bag, 1.0), {}), ("list label", (bag, [1]), {}),
              ("uint8 of four channels", (np.zeros((8, 8, 4), np.uint8), 1), {}), ("int64 pixels", (np.zeros((8, 8, 3), np.int64), 1), {}),
              ("bool pixels", (np.zeros((8, 8, 3), bool), 1), {}), ("objects", (np.array([None]), 1), {}), ("None", (None, 1), {}),
              ("two images", (np.zeros((2, 3, 32, 32), np.float32), 1), {}), ("a vector", (np.zeros(3072, np.float32), 1), {}),
              ("a number", (3.0, 1), {}), ("NUL in a path", ("a\0b", 1), {}), ("NUL in a label", (bag, "a\0b"), {}),
              ("a list of modes", (bag, 1), {"mode": ["std", "naive"]}), ("a list of numbers", (bag, 1), {"k_salient": (5, 50)}),
              ("a setting that is an object", (bag, 1), {"mode": object()}), ("a mask", (np.ma.masked_array(np.zeros((8, 8, 3), np.uint8), True), 1), {}), ("progress that is no function", (bag, 1), {"progress": 3})]
    for name, arguments, named in python:
        check(f"refused: {name}", raised((TypeError, ValueError), net.explain, *arguments, **named), "accepted")
    for name, function, argument in (("images", net.statistics, "a\0b"), ("weights", psal.load, "a\0b"), ("a folder", net.explain(bag).save, "a\0b"),
                                     ("statistics", made.save, "a\0b"), ("a class", net.class_number, "a\0b"),
                                     ("a tensor", psal.load, {"a\0b": np.zeros(3, np.float32)})):
        check(f"NUL: {name}", "NUL" in (raised(ValueError, function, argument) or ""), "accepted")
    for function in (copy.copy, copy.deepcopy, pickle.dumps):
        check(f"{function.__name__} of a handle", raised(TypeError, function, net._handle), "made")
        check(f"{function.__name__} of a result", function is copy.copy or raised(TypeError, function, net.explain(bag)), "made")
    check("weights of a wrong type", raised(TypeError, psal.load, 3), "")
    check("labels in a dictionary", raised(TypeError, psal.load, network, labels={0: "a"}), "")
    check("kind", raised(psal.Error, net.explain, "x.png", 1) and psal.Error("x", "io").kind == "io", "")
    try:
        net.explain("x.png", 1)
    except psal.Error as error:
        check("io", error.kind == "io", error.kind)
    check("still works", net.explain(bag, "bag").prediction == 5, "")


def test_progress():
    from psal import _library
    steps = []
    result = net.explain(bag, "bag", noise_iters=4, noise_percent=0.1, progress=lambda done, total: steps.append((done, total)))
    check("steps", steps == [(1, 4), (2, 4), (3, 4), (4, 4)], steps)

    class Enough(Exception):
        pass

    def stop(done, total):
        if done >= 2:
            raise Enough(f"{done} of {total}")
    check("stopped", raised(Enough, net.explain, bag, "bag", noise_iters=4, noise_percent=0.1, progress=stop) == "2 of 4", "")
    check("stopped statistics", raised(Enough, net.statistics, samples / "labels.csv", progress=stop) is not None, "")

    def interrupt(done, total):
        raise KeyboardInterrupt
    check("Ctrl-C", raised(KeyboardInterrupt, net.explain, bag, "bag", noise_iters=4, noise_percent=0.1, progress=interrupt) == "", "")
    step, _library.Watch._step = _library.Watch._step, lambda *_: 1  # as where Ctrl-C comes before the callback's first line
    try:
        check("Ctrl-C that is lost", raised(KeyboardInterrupt, net.explain, bag, "bag", noise_iters=4, noise_percent=0.1) == "", "")
    finally:
        _library.Watch._step = step
    again = net.explain(bag, "bag", noise_iters=4, noise_percent=0.1)
    check("the same afterwards", same(again.profile, result.profile), "other numbers")


def test_notes():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        psal.load(tensors_of(network)[0])
    texts = [str(note.message) for note in caught]
    check("preprocessing is assumed", any("preprocess" in text and issubclass(note.category, psal.Doubt)
                                          for text, note in zip(texts, caught)), texts)
    check("of this line", all(note.filename == __file__ for note in caught), [note.filename for note in caught])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            net.explain(bag, "bag", k_salient=7)
    check("nothing to be said", not caught, [str(note.message) for note in caught])


def test_overhead():
    """What Python adds to the call: the time of explain and of the numbers that people look at, without the library's explain"""
    from psal import _library
    inside, function = [0.0], _library.library.psal_net_explain_input
    image = np.array(net.explain(bag, "bag").input)

    def timed(*arguments):
        start = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            inside[0] += time.perf_counter() - start
    _library.library.psal_net_explain_input = timed
    times = []
    try:
        for _ in range(15):
            inside[0], start = 0.0, time.perf_counter()
            result = net.explain(image, "bag")
            result.profile, result.standardized, result.heat_map, result.prediction, result.confidence, result.top(10)
            times.append(time.perf_counter() - start - inside[0])
    finally:
        _library.library.psal_net_explain_input = function
    print(f"overhead of explain and of what is read of it: median {1e3 * statistics.median(times):.2f} ms, least {1e3 * min(times):.2f} ms")
    check("overhead of at most 2 ms", min(times) < 2e-3, f"{1e3 * min(times):.2f} ms")


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2 ** 20


def test_memory():
    """Nothing is kept of an explanation"""
    calls = 1000 if SLOW else 24
    image = np.array(net.explain(bag, "bag").input)

    def once():
        result = net.explain(image, "bag")
        result.heat_map, result.top(10), result.json()
        raised(psal.Error, net.explain, image, "no such class")
    for _ in range(calls // 4):
        once()
    gc.collect()
    before = resident()
    for _ in range(calls):
        once()
    gc.collect()
    growth = resident() - before
    print(f"{calls} explanations: {growth:+.2f} MiB resident")
    check("memory", growth < 4, f"{growth:.1f} MiB more after {calls} explanations")


def test_manual():
    """The manual's lines, in their order"""
    manual = (root / "tools" / "python" / "README.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", manual, re.M | re.S)
    names = {}
    for block in blocks:
        with warnings.catch_warnings(record=True), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("always")
            exec(block.replace("/tmp/", f"{scratch}/"), names)
    check("the manual's lines", len(blocks) >= 2 and isinstance(names.get("result"), psal.Result), names.keys())
    for kind in (psal.Result, psal.Net):
        for name in (name for name in vars(kind) if not name.startswith("_")):
            check(f"{name} is in the manual", re.search(rf"\b{name}\b", manual), "it is not")


def test_settings_kept():
    """What is made ready for other settings is given back; results of it stay"""
    results = [net.explain(bag, "bag", seed=seed, noise_iters=2, noise_percent=0.1) for seed in range(7)]
    check("kept", len(net._idle) == 4, len(net._idle))
    again = [net.explain(bag, "bag", seed=seed, noise_iters=2, noise_percent=0.1) for seed in range(7)]
    check("the same again", all(same(a.profile, b.profile) and a.top(3) == b.top(3) for a, b in zip(results, again)), "other numbers")
    check("a result's own", net.prune(results[0], k=1, choices="salient")[0].k == 1 and len(results[0].save(scratch / "kept")) > 3, "")
    rewritten, other = scratch / "rewritten.safetensors", net.explain(bag, "bag", seed=9)
    rewritten.write_bytes((root / "weights" / "fashion_resnet18_stats.safetensors").read_bytes())
    check("statistics", same(net.explain(bag, "bag", stats=rewritten).standardized, other.standardized), "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", psal.Note)
        made = net.statistics("weights/fashion_samples/labels.csv")
        made.save(rewritten)
        check("statistics rewritten", same(net.explain(bag, "bag", stats=rewritten).standardized,
                                           net.explain(bag, "bag", stats=made).standardized), "the old ones")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        psal.load(network).prune(bag, "bag", k=1, stats=net.statistics("weights/fashion_samples/labels.csv"))
    check("notes are of the caller's line", caught and all(note.filename == __file__ for note in caught), caught)


def test_structure():
    from psal import _library
    check("psal_error", ctypes.sizeof(_library._CError) == 4 + 1024, ctypes.sizeof(_library._CError))
    header = (root / "tools" / "net.h").read_text()
    for name in _library.FUNCTIONS:
        check(f"{name} is in net.h", name + "(" in header or name.startswith("psal_tensor_map_"), "")
    check("version", psal.__version__ == program("psal-run", "-w", network, "-i", bag, "--out", scratch / "v", "--figures",
                                                 "none")["settings"]["version"], psal.__version__)


sys.exit(run_tests([test_psal_run, test_images, test_result, test_state, test_inference_mode, test_statistics, test_threads, test_lock_is_free, test_fork, test_refused,
                    test_progress, test_notes, test_overhead, test_memory, test_manual, test_settings_kept, test_structure], scratch))
