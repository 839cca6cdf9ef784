"""Samples on a kink: where one ReLU's argument is so near 0 that float32's rounding decides its side.

About one unit in a million lies within 1e-6 of its layer's scale, and a network has millions, so now and then a float32
computation takes the other side and everything in front of that unit gets another gradient: rightly, on the other side of
the kink. Whether an answer differs for that reason alone can be told exactly: push the unit over in float64, by twice its
tiny argument, and compare again.
"""
import contextlib

import numpy as np
import torch
import torch.nn.functional as functional

NEAR = 5e-6    # of the layer's largest argument: where float32 may decide either way
MOST = 80      # units that are tried


@contextlib.contextmanager
def relu_replaced(function):
    """functional.relu (which nn.ReLU calls, too) as function(number of the call, argument)"""
    original, calls = functional.relu, [0]

    def replacement(x, inplace=False):
        calls[0] += 1
        return original(function(calls[0] - 1, x))

    functional.relu = replacement
    try:
        yield
    finally:
        functional.relu = original


def near_units(model, image):
    """[(call, index in the flat argument)] of the units near 0, the nearest first"""
    found = []

    def note(call, x):
        flat = x.detach().abs().flatten()
        margin = flat / flat.max()
        found.extend((margin[i].item(), call, i) for i in torch.nonzero(margin < NEAR).flatten().tolist())
        return x

    with torch.no_grad(), relu_replaced(note):
        model(image)
    return [(call, index) for margin, call, index in sorted(found) if margin > 0][:MOST]


def pushed(units):
    """For relu_replaced: the arguments of `units` moved to the other side of 0"""
    def push(call, x):
        indices = [index for where, index in units if where == call]
        if not indices:
            return x
        shift = torch.zeros_like(x).flatten()
        shift[indices] = -2 * x.detach().flatten()[indices]
        return x + shift.view_as(x)

    return push


def deciding_units(model, image, naive_profile, found, tolerance):
    """Units whose other side explains the naive profile `found` within `tolerance` of its largest entry: at most three,
    chosen one after the other; None when there are none such."""
    def error(units):
        with relu_replaced(pushed(units)):
            expected = naive_profile()
        return np.abs(found - expected).max() / np.abs(expected).max()

    chosen, best = [], error([])
    candidates = near_units(model, image)
    while best > tolerance and len(chosen) < 3 and candidates:
        errors = [error(chosen + [unit]) for unit in candidates]
        place = int(np.argmin(errors))
        if not errors[place] < best / 2:
            return None
        best = errors[place]
        chosen.append(candidates.pop(place))
    return chosen if best <= tolerance else None
