"""Parameter-space saliency of image classifiers: why is this picture wrong?

    net = psal.load("resnet50.safetensors")
    result = net.explain("photo.jpg", "missile")
    result.top(10)

Computed by libpsal; the manual is tools/python/README.md."""
from ._edit import Edit, Pruned
from ._library import Error, library
from ._neighbors import Neighbor
from ._net import Doubt, Net, Note, load
from ._result import Filter, Result
from ._statistics import Statistics

__version__ = library.psal_net_version().decode()
__all__ = ["Doubt", "Edit", "Error", "Filter", "Neighbor", "Net", "Note", "Pruned", "Result", "Statistics", "load"]
