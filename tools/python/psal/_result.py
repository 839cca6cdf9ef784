"""One image explained."""
import base64
import collections
import ctypes
import html
import pathlib
import tempfile

import numpy

from ._library import Int64, call, call_json, library, text_of, view

Filter = collections.namedtuple("Filter", "rank number layer filter saliency naive")
Filter.__doc__ = """A row of Result.top: rank (from 1), the entry's number in the profile, its layer, its number in the layer, its
standardized and its naive saliency."""

TYPES_SHOWN = {".png": "image/png", ".svg": "image/svg+xml"}
TYPES = {"pixels": numpy.uint8, "standardized": numpy.float64}


class Result:
    """What psal says of an image. Arrays are the library's own, read-only, and live as long as somebody refers to them."""

    def __init__(self, handle, explainer):
        self.handle, self._explainer, self._json, self._heat_map, self._shown = handle, explainer, None, None, None

    # ---- numbers ----

    def json(self):
        """What psal-run --json prints, as a dictionary"""
        if self._json is None:
            self._json = call_json("psal_net_result_json", self.handle.pointer)
        return self._json

    def _array(self, name):
        dimensions, sizes = ctypes.c_int(), (Int64 * 3)()
        pointer = library.psal_net_result_array(self.handle.pointer, name.encode(), dimensions, sizes)
        return None if not pointer else view(pointer, sizes[:dimensions.value], TYPES.get(name, numpy.float32), self.handle)

    @property
    def profile(self):
        """The naive saliency of each filter, float32"""
        return self._array("naive")

    @property
    def standardized(self):
        """The same measured against the statistics, float64"""
        return self._array("standardized")

    @property
    def logits(self):
        return self._array("logits")

    @property
    def input(self):
        """The image as the network gets it, channels x height x width"""
        return self._array("input")

    @property
    def pixels(self):
        """The part of the image that the network sees, height x width x 3"""
        return self._array("pixels")

    @property
    def input_gradient(self):
        """What the heat map is made of, channels x height x width; None without a map (see no_map)"""
        return self._array("gradient")

    @property
    def heat_map(self):
        """How much each pixel drives the top filters, height x width; None without a map (see no_map)"""
        if self._heat_map is None and self.no_map is None:
            heat = numpy.empty(self.input.shape[1:], numpy.float32)
            call("psal_net_result_heat", self.handle.pointer, heat.ctypes.data)
            heat.flags.writeable = False
            self._heat_map = heat
        return self._heat_map

    @property
    def no_map(self):
        """Why there is no heat map; None where there is one"""
        return None if self._array("gradient") is not None else self.json()["no_map"]

    @property
    def prediction(self):
        """The predicted class's number"""
        return self.json()["predicted"]["class"]

    @property
    def predicted_name(self):
        return self.json()["predicted"]["name"]

    @property
    def confidence(self):
        """Of the prediction, 0 to 1"""
        return self.json()["predicted"]["confidence"]

    @property
    def label(self):
        """The class that is explained for: the one given, else the prediction"""
        return self.json()["target"]["class"]

    @property
    def label_name(self):
        return self.json()["target"]["name"]

    @property
    def label_confidence(self):
        return self.json()["target"]["confidence"]

    @property
    def correct(self):
        """Whether the prediction is the label; None where no label was given"""
        return self.json()["correct"]

    @property
    def loss(self):
        return self.json()["loss"]

    @property
    def layers(self):
        """(name, first entry, entries) of each layer in the profile"""
        return self._explainer.layers

    def top(self, k=10, pandas=False):
        """The k entries that rank highest: a list of Filter, or a DataFrame"""
        entries = numpy.empty(max(k, 0), numpy.int64)
        call("psal_net_result_top", self.handle.pointer, k, entries.ctypes.data)
        standardized, naive = self.standardized[entries], self.profile[entries]
        rows = []
        for i, entry in enumerate(entries.tolist()):
            layer, within = self._explainer.place(entry)
            rows.append(Filter(i + 1, entry, layer, within, float(standardized[i]), float(naive[i])))
        if not pandas:
            return rows
        import pandas as frames
        return frames.DataFrame(rows, columns=Filter._fields)

    # ---- pictures ----

    def save(self, folder):
        """Write what psal-run writes into a folder: pictures, top_filters.csv, result.json. Their paths."""
        text = text_of(folder, "the folder's path")
        return [pathlib.Path(path) for path in call_json("psal_net_result_write", self.handle.pointer, text)]

    def _pictures(self):
        """name -> (type, bytes) of the profile and the map, as far as a notebook shows them: no PDF"""
        if self._shown is None:
            with tempfile.TemporaryDirectory(prefix="psal") as folder:
                self._shown = {path.stem: (TYPES_SHOWN[path.suffix], path.read_bytes()) for path in self.save(folder)
                               if path.suffix in TYPES_SHOWN and path.stem in ("filter_saliency", "input_saliency")}
        return self._shown

    def _png(self, *names):
        for name in names:
            kind, data = self._pictures().get(name, (None, None))
            if kind == "image/png":
                return data
        return None

    @property
    def png(self):
        """The heat map's picture as bytes; the profile's, where there is no map. None with another format."""
        return self._png("input_saliency", "filter_saliency")

    @property
    def profile_png(self):
        return self._png("filter_saliency")

    def _repr_png_(self):
        return self.png

    def _repr_html_(self):
        rows = "".join(f"<tr><td>{row.rank}</td><td>{row.number}</td><td style='text-align:left'>{html.escape(row.layer)}</td>"
                       f"<td>{row.filter}</td><td>{row.saliency:.3f}</td></tr>" for row in self.top(min(10, self.json()["rankable"])))
        pictures = "".join(f"<img alt='{name}' style='max-width:100%' src='data:{kind};base64,{base64.b64encode(data).decode()}'>"
                           for name, (kind, data) in sorted(self._pictures().items()))
        return (f"<p>{html.escape(self._line())}</p>{pictures}<table><tr><th>rank</th><th>number</th><th>layer</th>"
                f"<th>filter</th><th>saliency</th></tr>{rows}</table>")

    def _line(self):
        label = f"explained for {self.label_name} ({self.label_confidence:.3f})"
        return f"{label}, predicted {self.predicted_name} ({self.confidence:.3f})"

    def __repr__(self):
        return f"<psal.Result: {self._line()}>"
