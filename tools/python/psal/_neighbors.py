"""Samples that go wrong for the same reason."""
import collections
import operator

import numpy

from ._library import call, text_of
from ._result import Result
from ._settings import array_of
from ._statistics import Statistics

Neighbor = collections.namedtuple("Neighbor", "sample similarity name label predicted")
Neighbor.__doc__ = """A sample (its number), its similarity (-1 to 1) and, where they are known, its name, true and predicted class."""


def _profiles(among):
    known = among if isinstance(among, Statistics) else None
    if known is not None and known.profiles is None:
        raise ValueError("these statistics have kept no profiles: make them with profiles=True")
    profiles = array_of(among if known is None else known.profiles)
    if profiles.ndim != 2 or profiles.dtype != numpy.float32 or 0 in profiles.shape:
        raise ValueError(f"profiles are an array of float32, samples x filters, not {profiles.dtype} {profiles.shape}")
    return known, numpy.ascontiguousarray(profiles)


def _query(query, length):
    """(profile, numbers of samples, is it one)"""
    if isinstance(query, Result):
        query = query.profile
    if not numpy.isscalar(query):
        query = array_of(query)
        if query.dtype.kind == "f":
            if query.shape != (length,):
                raise ValueError(f"a profile of {length} numbers is needed, not {query.shape}")
            return numpy.ascontiguousarray(query, dtype=numpy.float32), None, True
        if query.ndim != 1 or query.dtype.kind not in "iu" or len(query) == 0:
            raise ValueError("a query is a Result, a profile, a sample's number or a list of these numbers")
        return None, numpy.ascontiguousarray(query, dtype=numpy.int64), False
    if isinstance(query, (bool, numpy.bool_)):
        raise TypeError("a query is a sample's number, not a bool")
    return None, numpy.array([operator.index(query)], numpy.int64), True


def _check_profiles(**compared):
    """Settings of what is compared, by its name; None where they are not known"""
    known = [(name, settings) for name, settings in compared.items() if settings is not None]
    for name, settings in known[1:]:
        first, expected = known[0]
        for key in ("fingerprint", "aggregation", "loss", "signed", "gradient_weight"):
            if settings[key] != expected[key]:
                what = "network" if key == "fingerprint" else f"profile, {key}"
                raise ValueError(f"{first} and {name} are of another {what}: {expected[key]} and {settings[key]}")


def neighbors(query, among, top, similarity, stats, mistakes, threads):
    known, profiles = _profiles(among)
    _check_profiles(query=query.json()["settings"] if isinstance(query, Result) else None,
                    among=None if known is None else known._settings, stats=getattr(stats, "_settings", None))
    profile, numbers, one = _query(query, profiles.shape[1])
    mean = std = candidates = None
    if stats is not None:
        if not isinstance(stats, Statistics) or similarity not in ("pearson", "cosine"):
            raise ValueError("stats: Statistics, for the similarities pearson and cosine; None: those of the profiles")
        mean, std = stats.mean, stats.std
        if mean.shape != profiles.shape[1:]:
            raise ValueError(f"the statistics have {len(mean)} entries, the profiles {profiles.shape[1]}")
    if mistakes:
        if known is None:
            raise ValueError("mistakes can be told only where the profiles are those of Statistics")
        candidates = numpy.flatnonzero(~known.correct).astype(numpy.int64)
        if len(candidates) == 0:
            raise ValueError("there is no mistake among the samples")
    queries = 1 if numbers is None else len(numbers)
    top = operator.index(top)
    found = numpy.empty((queries, max(top, 1)), numpy.int64)
    similarities = numpy.empty(found.shape, numpy.float64)

    def address(array):
        return None if array is None else array.ctypes.data
    call("psal_net_neighbors", address(profiles), *profiles.shape, text_of(similarity, "similarity"), address(mean), address(std), address(candidates),
         0 if candidates is None else len(candidates), address(profile), address(numbers), queries, top, threads, address(found),
         address(similarities))
    rows = [[_neighbor(known, sample, value) for sample, value in zip(*row) if sample >= 0]
            for row in zip(found.tolist(), similarities.tolist())]
    return rows[0] if one else rows


def _neighbor(known, sample, similarity):
    if known is None:
        return Neighbor(sample, similarity, None, None, None)
    return Neighbor(sample, similarity, known.names[sample], int(known.labels[sample]), int(known.predicted[sample]))
