"""Statistics over a data set."""
import os
import shutil
import tempfile
import weakref

import numpy

from ._library import call, call_json, library, text_of, view


class Statistics:
    """Mean and deviation of the naive saliency over a data set, and what is known of its samples. It can be given as `stats`
    wherever a file of statistics can."""

    def __init__(self, handle, names, profiles):
        self._handle, self._folder, self.names, self.profiles = handle, None, names, profiles
        pointer, count = handle.pointer, library.psal_net_statistics_count(handle.pointer)
        self.count = count
        self._settings = call_json("psal_net_statistics_settings", pointer)
        length = (library.psal_net_statistics_length(pointer),)
        self.mean = view(library.psal_net_statistics_values(pointer, b"mean"), length, numpy.float64, handle)
        self.std = view(library.psal_net_statistics_values(pointer, b"std"), length, numpy.float64, handle)
        self.labels, self.predicted = numpy.empty(count, numpy.int32), numpy.empty(count, numpy.int32)
        self.label_confidence, self.confidence, self.loss = (numpy.empty(count, numpy.float32) for _ in range(3))
        library.psal_net_statistics_records(pointer, *(array.ctypes.data for array in (
            self.labels, self.predicted, self.label_confidence, self.confidence, self.loss)))

    @property
    def correct(self):
        """Which samples are right, an array of bool"""
        return self.labels == self.predicted

    def save(self, path):
        """Write a file of statistics, as psal-stats does"""
        call("psal_net_statistics_write", self._handle.pointer, text_of(path, "the file's path"))

    def __fspath__(self):
        """A temporary file that holds them, as long as this object lives"""
        if self._folder is None:
            folder = tempfile.mkdtemp(prefix="psal")
            weakref.finalize(self, shutil.rmtree, folder, True)
            self.save(os.path.join(folder, "statistics.safetensors"))
            self._folder = folder
        return os.path.join(self._folder, "statistics.safetensors")

    def __repr__(self):
        return f"<psal.Statistics: {self.count} samples, {int(self.correct.sum())} right, {len(self.mean)} entries>"
