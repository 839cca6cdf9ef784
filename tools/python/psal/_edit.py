"""Filters switched off, or corrected, for one image."""
import collections
import ctypes

import numpy

from ._library import NO_WATCH, Handle, Int64, Pointer, Text, Watch, call, call_json, library, text_of, texts, view
from ._settings import words

Pruned = collections.namedtuple("Pruned", "choice k wrong_confidence true_confidence now_right prediction_changed dead_filters")
Pruned.__doc__ = """What switching k filters off does, as psal-prune says: the changes of the confidences of the wrong and of the true class, the
shares of draws after which the image is right and after which another class is predicted, and how many of the filters have no gradient."""


class Edit:
    """Changed filters of a network, and what that does to the image that they were changed for. The network itself stays as it is."""

    def __init__(self, handle, about):
        self._handle, self._about = handle, about

    def json(self):
        """What the edit did, with the names that psal-prune and psal-finetune use"""
        return self._about

    @property
    def changed(self):
        """{name: array} of the parameters that are not the network's any more, whole; read-only views"""
        found, parameter, name, values = {}, ctypes.c_int(-1), Text(), Pointer()
        dimensions, sizes = ctypes.c_int(), (Int64 * 8)()
        while True:
            call("psal_net_edit_next", self._handle.pointer, parameter, name, values, dimensions, sizes)
            if name.value is None:
                return found
            found[name.value.decode()] = view(values.value, sizes[:dimensions.value], numpy.float32, self._handle)

    def save(self, path):
        """Write the edited network as a checkpoint, which psal and PyTorch load"""
        call("psal_net_edit_write", self._handle.pointer, text_of(path, "the file's path"))

    def __repr__(self):
        row, about = self._about["rows"][0], self._about
        if "how" in about:
            return f"<psal.Edit: {row['k']} {row['choice']} filters switched off ({about['how']})>"
        return f"<psal.Edit: {row['filters']:.0f} {row['choice']} filters changed, now {about['predicted_name']} ({about['confidence']:.3f})>"


class Prunings(list):
    """Rows of Pruned, one for each choice and k; `edit`, where there is one row only, is that pruned network"""

    def __init__(self, handle):
        about = call_json("psal_net_edit_json", handle.pointer)
        super().__init__(Pruned(**row) for row in about["rows"])
        self.edit = Edit(handle, about) if len(self) == 1 else None


def joined(value):
    """[1, 5] as "1,5", which the options k and choices take"""
    return ",".join(str(one) for one in value) if isinstance(value, (list, tuple, range, numpy.ndarray)) else value


def prune(result, settings, progress):
    said = words(settings)
    if progress is None:
        made = call("psal_net_prune", result.handle.pointer, texts(said), len(said), NO_WATCH, None)
    else:
        with Watch(progress) as watched:
            made = call("psal_net_prune", result.handle.pointer, texts(said), len(said), watched, None)
    return Prunings(Handle(made, library.psal_net_edit_free, result.handle))


def finetune(result, settings):
    said = words(settings)
    handle = Handle(call("psal_net_finetune", result.handle.pointer, texts(said), len(said)), library.psal_net_edit_free, result.handle)
    return Edit(handle, call_json("psal_net_edit_json", handle.pointer))
