"""Python's values as the library wants them: settings as words of psal-run's command line, tensors, images, labels."""
import collections.abc
import ctypes
import json
import operator
import os

import numpy

from ._library import Handle, Int64, call, library, text_of


REPEATED = ("delta", "ignore_extra", "layers")  # options that may be given several times: lists


def words(settings):
    """{"k_salient": 5, "signed": True} as ["--k-salient=5", "--signed"]; None and False are not said."""
    result = []
    for name, value in settings.items():
        option = "--" + name.replace("_", "-")
        if name == "labels" and isinstance(value, (list, tuple, numpy.ndarray)):
            value = json.dumps([str(label) for label in value])
        if isinstance(value, (list, tuple)) and name not in REPEATED:
            raise TypeError(f"{name}: one value, not a list; lists are for {', '.join(REPEATED)} and labels")
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is True:
                result.append(option)
            elif one is not None and one is not False:
                result.append(f"{option}={_text(name, one)}")
    return result


def _text(name, value):
    if isinstance(value, (str, os.PathLike)):
        text = os.fspath(value)
        if isinstance(text, bytes):
            text = os.fsdecode(text)
        text_of(text, name)
        return text
    try:
        return str(operator.index(value))
    except TypeError:
        pass
    if isinstance(value, (float, numpy.floating)):
        return repr(float(value))
    raise TypeError(f"{name}: a text, a number or True, not {type(value).__name__}")


def label_text(label):
    """As the library takes it: None for the predicted class"""
    if label is None:
        return None
    if isinstance(label, str):
        text_of(label, "label")
        return label
    if isinstance(label, (bool, numpy.bool_)):
        raise TypeError("label: a class's number, name or WordNet id, not a bool")
    try:
        return str(operator.index(label))
    except TypeError:
        raise TypeError(f"label: a class's number, name or WordNet id, not {type(label).__name__}") from None


def array_of(value):
    """A NumPy array, or a tensor of PyTorch (or whatever has .numpy()), without a copy where that can be"""
    if isinstance(value, numpy.ndarray):
        return value
    for method in ("detach", "cpu"):
        if hasattr(value, method):
            value = getattr(value, method)()
    if hasattr(value, "numpy"):
        try:
            return value.numpy()
        except TypeError:  # bfloat16, which NumPy has not; float32 holds it exactly
            return value.float().numpy()
    return numpy.asarray(value)


def tensor_map(state):
    """(map of the library's, what must live as long, tensors with their versions) of {name: array}"""
    pointer = library.psal_tensor_map_new()
    if not pointer:
        raise MemoryError("out of memory for tensors")
    tensors, kept, versions = Handle(pointer, library.psal_tensor_map_free), [], []
    for name, value in state.items():
        if not isinstance(name, str):
            raise TypeError(f"names of tensors are texts, not {type(name).__name__}")
        array = array_of(value)
        if array.dtype.hasobject or array.dtype.kind in "SUVMm":
            raise TypeError(f"{name}: a tensor of numbers, not {array.dtype}")
        array = numpy.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
        kept.append(array)
        try:
            versions.append((name, value, value._version))
        except (AttributeError, RuntimeError):  # NumPy's; PyTorch's of inference mode, which do not count their changes
            pass
        call("psal_net_add_tensor", pointer, text_of(name, "a tensor's name"), array.dtype.name.encode(), array.ndim,
             (Int64 * max(array.ndim, 1))(*array.shape), array.ctypes.data)
    return tensors, kept, versions


def is_state(weights):
    return isinstance(weights, collections.abc.Mapping)


class Picture:
    """What is to be explained: a file, pixels, or the network's input"""

    def __init__(self, image):
        self.path = self.pixels = self.numbers = None
        if isinstance(image, (str, bytes, os.PathLike)):
            self.path = text_of(image, "the image's path")
            return
        if hasattr(image, "convert") and hasattr(image, "mode"):  # Pillow's
            image = image.convert("RGB")
        array = array_of(image)
        if isinstance(array, numpy.ma.MaskedArray):
            raise TypeError("an image without a mask, please")
        shape = "x".join(str(size) for size in array.shape) or "a single number"
        if array.dtype == numpy.uint8:
            if array.ndim == 2:
                array = numpy.repeat(array[:, :, None], 3, axis=2)
            if array.ndim != 3 or array.shape[2] != 3:
                raise ValueError(f"an image of uint8 is height x width x 3 (red, green, blue) or height x width (grey), not {shape}")
            self.pixels = numpy.ascontiguousarray(array)
        elif array.dtype.kind == "f":
            if array.ndim == 4 and array.shape[0] == 1:
                array = array[0]
            if array.ndim != 3:
                raise ValueError(f"the network's input is channels x height x width, one image at a time, not {shape}")
            self.numbers = numpy.ascontiguousarray(array, dtype=numpy.float32)
        else:
            raise TypeError(f"an image is a path, pixels (uint8) or the network's input (float32), not an array of {array.dtype}")

    def explain(self, explainer, label, progress):
        """The library's result"""
        label = None if label is None else label.encode()
        if self.path is not None:
            return call("psal_net_explain_file", explainer, self.path, label, progress, None)
        if self.pixels is not None:
            height, width, _ = self.pixels.shape
            return call("psal_net_explain_pixels", explainer, b"array", self.pixels.ctypes.data, height, width, label, progress, None)
        channels, height, width = self.numbers.shape
        return call("psal_net_explain_input", explainer, b"array", self.numbers.ctypes.data, channels, height, width, label,
                    progress, None)


def address(array):
    return ctypes.c_void_p(array.ctypes.data)
