"""Checkpoints of the box with a few numbers changed: what the end-to-end tests make their networks of."""
import json
import struct


def read(path):
    """{name: [type, shape, bytearray]}, {metadata}"""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    meta = header.pop("__metadata__", {})
    return {name: [t["dtype"], t["shape"], bytearray(data[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]])]
            for name, t in header.items()}, meta


def write(path, tensors, meta):
    header, at = {"__metadata__": meta}, 0
    for name, (kind, shape, data) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(bytes(data) for _, _, data in tensors.values()))
    return path


KINDS = {"F16": ("e", 2), "F32": ("f", 4), "F64": ("d", 8)}


def put(tensor, values, first=0):
    """Numbers into a tensor, from element `first` on"""
    kind, size = KINDS[tensor[0]]
    struct.pack_into(f"<{len(values)}{kind}", tensor[2], first * size, *values)


def get(tensor):
    kind, size = KINDS[tensor[0]]
    return list(struct.unpack(f"<{len(tensor[2]) // size}{kind}", tensor[2]))


def fill(tensor, value):
    """The same number everywhere, in float32"""
    count = len(get(tensor))
    tensor[0], tensor[2] = "F32", bytearray(4 * count)
    put(tensor, [value] * count)
