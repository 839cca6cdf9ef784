"""A network, and questions to it."""
import bisect
import collections
import ctypes
import os
import sys
import threading
import warnings

import numpy

from ._edit import finetune, joined, prune
from ._library import NO_WATCH, Error, Handle, Watch, call, call_json, library, text_of, texts
from ._neighbors import neighbors
from ._result import Result
from ._settings import Picture, is_state, label_text, tensor_map, words
from ._statistics import Statistics


KEPT_SETTINGS = 4  # of explanations: so many sets are kept ready, the last ones used


class Note(UserWarning):
    """What there is to say of what was done: what was assumed, found or left aside"""


class Doubt(Note):
    """The same where it makes results doubtful"""


def _file_state(path):
    """What tells a file from the one that was written over it; None where there is none"""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class _Explainer:
    """The library's, for one way of explaining and one thread at a time"""

    def __init__(self, net, settings):
        said = words(settings)
        named = [one for value in settings.values() for one in (value if isinstance(value, (list, tuple)) else [value])]
        self._files = [(one, _file_state(one)) for one in named if isinstance(one, (str, bytes, os.PathLike))]
        pointer = call("psal_net_explainer_open", net.pointer, texts(said), len(said))
        self.handle = Handle(pointer, library.psal_net_explainer_close, net)
        self.copies = int(settings.get("noise_iters") or 1)
        about = call_json("psal_net_explainer_describe", pointer)
        if about["statistics"] is not None:  # which may be those beside the weights
            self._files.append((about["statistics"], _file_state(about["statistics"])))
        self.layers = [tuple(layer) for layer in about["layers"]]
        self._first = [first for _, first, _ in self.layers]

    def is_current(self):
        """Whether the files that the settings name, and the statistics, are still those that were read"""
        return all(_file_state(path) == state for path, state in self._files)

    def place(self, entry):
        """The layer of a profile's entry, and its number there"""
        name, first, _ = self.layers[bisect.bisect_right(self._first, entry) - 1]
        return name, entry - first


class Net:
    """A network made ready; psal.load makes one. Many threads may use it at once."""

    def __init__(self, weights, settings):
        self._settings, self._kept, self._versions = settings, None, []
        said = words(settings)
        array, pointer = texts(said), None
        if is_state(weights):
            tensors, self._kept, self._versions = tensor_map(weights)
            pointer, tensors.pointer = tensors.pointer, None  # the net's from now on
        opened = call("psal_net_open", array, len(said), pointer)
        self._handle = Handle(opened, library.psal_net_close, self._kept)
        self._lock, self._idle, self._said = threading.Lock(), collections.OrderedDict(), set()
        about = call_json("psal_net_describe", opened)
        self.arch, self.weights, self.fingerprint = about["arch"], about["weights"], about["fingerprint"]
        self.classes, self.preprocess = about["classes"], about["preprocess"]
        self.input_shape = (about["channels"], about["height"], about["width"])
        self.filters, self.parameters, self.threads = about["filters"], about["parameters"], about["threads"]
        self._tell()

    def _tell(self):
        """Notes as warnings, each once, of the line that called this module"""
        level, frame = 1, sys._getframe()
        while frame.f_back and frame.f_globals.get("__package__") == __package__:
            level, frame = level + 1, frame.f_back
        for text, doubtful in call_json("psal_net_notes", self._handle.pointer):
            if text not in self._said:
                self._said.add(text)
                warnings.warn(text, Doubt if doubtful else Note, stacklevel=level)

    def _check_unchanged(self):
        for name, tensor, version in self._versions:
            if tensor._version != version:
                raise RuntimeError(f"{name} has changed since psal.load, which shares its memory: load the network again, or "
                                   "load it with copy=True")

    def _take(self, settings):
        """An idle explainer with these settings, or a new one"""
        key = tuple(words(settings))
        while True:
            with self._lock:
                explainer = self._idle[key].pop() if self._idle.get(key) else None
            if explainer is None:
                return key, _Explainer(self._handle, settings)
            if explainer.is_current():
                return key, explainer
            library.psal_net_explainer_rest(explainer.handle.pointer)

    def _give_back(self, key, explainer):
        dropped = []
        with self._lock:
            self._idle.setdefault(key, []).append(explainer)
            self._idle.move_to_end(key)
            while len(self._idle) > KEPT_SETTINGS:
                dropped += self._idle.popitem(last=False)[1]
        for one in dropped:  # results may hold it still, but not its memory
            library.psal_net_explainer_rest(one.handle.pointer)

    def explain(self, image, label=None, *, progress=None, **settings):
        """Which filters the loss on an image depends on most, and which pixels drive them: a Result.

        image: a path (JPEG, PNG, WebP); pixels, an array of uint8, height x width x 3, or an image of Pillow's, to be prepared
        as a file is; or the network's input, float32, channels x height x width. label: the true class, its number, name or
        WordNet id; "predicted" (as None) or "second", the runner-up. progress(done, total) is called after each noisy copy.
        Settings are psal-run's options."""
        settings = {**self._settings, **settings}
        label = label_text(label)
        if label == "second":
            label, settings["image_target_label"] = None, "second"
        picture = Picture(image)
        self._check_unchanged()
        key, explainer = self._take(settings)
        try:
            if progress is None and explainer.copies == 1:
                result = picture.explain(explainer.handle.pointer, label, NO_WATCH)
            else:
                with Watch(progress) as watched:
                    result = picture.explain(explainer.handle.pointer, label, watched)
        finally:
            self._give_back(key, explainer)
            self._tell()
        return Result(Handle(result, library.psal_net_result_free, explainer.handle), explainer)

    def statistics(self, images, labels=None, *, profiles=False, progress=None, **settings):
        """Mean and deviation of the naive saliency over labelled images, one image per thread: Statistics.

        images: paths, with as many labels; or, without labels, a data set as psal-stats --data takes it (a folder of class
        folders, a table path,label). profiles: keep every profile, as an array of float32 or True for a new one, for neighbors.
        progress(done, total). Settings are those of the profile: aggregation, signed, gradient_weight, logit, logit_difference."""
        said = words({**self._settings, **settings})
        self._check_unchanged()
        samples = self._samples(images, labels)
        count = library.psal_net_samples_count(samples.pointer)
        room = None
        if profiles is not False and profiles is not None:
            shape = (count, call("psal_net_profile_length", self._handle.pointer, texts(said), len(said)))
            room = numpy.empty(shape, numpy.float32) if profiles is True else profiles
            if not isinstance(room, numpy.ndarray) or room.shape != shape or room.dtype != numpy.float32 or \
                    not room.flags.c_contiguous or not room.flags.writeable:
                raise ValueError(f"profiles: True, or a contiguous array of float32 with the shape {shape}")
        try:
            with Watch(progress) as watched:
                made = call("psal_net_statistics_make", self._handle.pointer, samples.pointer, texts(said), len(said),
                            None if room is None else room.ctypes.data, watched, None)
        finally:
            self._tell()
        names = [os.fsdecode(library.psal_net_samples_name(samples.pointer, i)) for i in range(count)]
        return Statistics(Handle(made, library.psal_net_statistics_free), names, room)

    def class_number(self, label):
        """The number of the class that a name, number or WordNet id means"""
        number = ctypes.c_int()
        call("psal_net_class", self._handle.pointer, label_text(label).encode(), number)
        return number.value

    def _result(self, image, label, settings):
        if not isinstance(image, Result):
            return self.explain(image, label, **settings)
        if label is not None or settings:
            raise TypeError("what is explained already has its label and settings")
        if image.json()["settings"]["fingerprint"] != self.fingerprint:
            raise ValueError(f"the result is of another network: {image.json()['settings']['arch']}, {image.json()['weights']}")
        return image

    def prune(self, image, label=None, *, k=(1, 2, 5, 10, 20), choices=("salient", "random"), how="weights", draws=3, seed=1,
              noise_scale=None, layers=None, progress=None, **settings):
        """Switch filters off and see what that does to the image: a list of Pruned, one for each choice of filters and k, as
        psal-prune measures it. image: as explain takes it, or a Result. Other settings are explain's."""
        result = self._result(image, label, settings)
        self._check_unchanged()
        return prune(result, {"k": joined(k), "choices": joined(choices), "how": how, "draws": draws, "seed": seed,
                              "noise_scale": noise_scale, "layers": layers}, progress)

    def finetune(self, image, label=None, *, k=100, choice="salient", rate=None, relative=None, steps=None, until_correct=False,
                 seed=1, layers=None, **settings):
        """Correct the image by a gradient step (or steps) on k filters, or with until_correct by the smallest such change that is
        found: an Edit, as psal-finetune makes it. image: as explain takes it, or a Result. Other settings are explain's."""
        result = self._result(image, label, settings)
        self._check_unchanged()
        return finetune(result, {"k": k, "choices": choice, "rate": rate, "relative": relative, "steps": steps,
                                 "until_correct": until_correct, "seed": seed, "layers": layers})

    def neighbors(self, query, among, *, top=5, similarity="pearson", stats=None, mistakes=False):
        """The samples whose standardized profiles are most similar: a list of Neighbor, the nearest first.

        query: a Result, a profile, or the number of a sample (then without itself), or several numbers (then a list of lists).
        among: Statistics with profiles, or an array of naive profiles, samples x filters. similarity: pearson, cosine, normalized
        or roots. stats: Statistics to standardize with, not those of the profiles themselves. mistakes: only samples that are
        wrong."""
        return neighbors(query, among, top, similarity, stats, mistakes, self.threads)

    def _samples(self, images, labels):
        if labels is None:
            if not isinstance(images, (str, os.PathLike)):
                raise TypeError("labels are missing: as many as there are images")
            pointer = call("psal_net_samples_open", self._handle.pointer, text_of(images, "images"))
        else:
            if any(isinstance(one, (str, bytes)) for one in (images, labels)):
                raise TypeError("images and their labels are lists, as long as each other")
            paths, names = [os.fspath(path) for path in images], [label_text(label) for label in labels]
            if len(paths) != len(names) or None in names:
                raise ValueError(f"{len(paths)} images, but {len(names) - names.count(None)} labels")
            pointer = call("psal_net_samples_list", self._handle.pointer, texts(paths), texts(names), len(paths))
        return Handle(pointer, library.psal_net_samples_free)

    def __repr__(self):
        channels, height, width = self.input_shape
        return f"<psal.Net: {self.arch}, {len(self.classes)} classes, {self.filters} filters, input {channels}x{height}x{width}>"


def load(weights=None, *, copy=False, **settings):
    """Open a network: a Net.

    weights: a file that psal reads (PyTorch's .pth, .safetensors, .onnx, ...); None for the small network that comes with psal,
    or with model="resnet50" the one of this name that weights/fetch has stored; or {name: array}, such as a model's state_dict()
    (or the model itself), whose memory is shared where it is float32: change it, and the net is no more what it was (PyTorch's
    tensors tell, and are refused then; arrays of NumPy's do not). copy=True takes a copy.

    Settings are psal-run's options with _ for -, of the network (preprocess, labels, threads, ...) and, as defaults for explain,
    of the explanation (mode, k_salient, ...); project="psal.json" takes those of a project."""
    if hasattr(weights, "state_dict"):
        weights = weights.state_dict()
    if is_state(weights):
        if copy:
            from ._settings import array_of
            weights = {name: numpy.array(array_of(value)) for name, value in weights.items()}
    elif weights is not None:
        if not isinstance(weights, (str, bytes, os.PathLike)):
            raise TypeError(f"weights: a file, or {{name: array}}, not {type(weights).__name__}")
        settings = {"weights": os.fsdecode(weights), **settings}
        name = settings["weights"]
        if name.replace("_", "").replace("-", "").isalnum() and not os.path.exists(name):
            raise Error(f"{name} is no file; psal.load(model='{name}') takes the network of this name that weights/fetch has stored", "io")
    return Net(weights, settings)
