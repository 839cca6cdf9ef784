"""Files for test_checkpoints.py: safetensors, PyTorch's two forms, pickles and TensorFlow.js models made by hand, so that
they can be anything, honest or not."""
import json
import pathlib
import pickle
import struct
import zipfile

import torch

SAFETENSORS_TYPES = {
    torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL",
}


def bits(tensor):
    """(type, shape, bytes) of a tensor."""
    tensor = tensor.detach().contiguous().cpu()
    raw = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
    return SAFETENSORS_TYPES[tensor.dtype], tuple(tensor.shape), raw.numpy().tobytes()


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    header.pop("__metadata__", None)
    return {name: (entry["dtype"], tuple(entry["shape"]), data[slice(*entry["data_offsets"])])
            for name, entry in header.items()}


def write_safetensors(path, tensors, metadata=None):
    header, data = {}, b""
    for name, tensor in tensors.items():
        dtype, shape, raw = bits(tensor)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    if metadata:
        header["__metadata__"] = metadata
    text = json.dumps(header).encode()
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


def rezip(source, target, compression=zipfile.ZIP_STORED, change=lambda name, data: data, prefix=None, extra=()):
    """Write the entries of a zip again, with zipfile: unaligned, perhaps compressed or changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name if prefix is None else prefix + name.split("/", 1)[1], data)
        for name, data in extra:
            new.writestr(name, data)


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments, state=None):
        self.result = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.result


def short(text):
    return b"\x8c" + bytes([len(text)]) + text.encode()


def torch_zip(path, pickled, entries=(), compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, data in entries:
            archive.writestr("archive/" + name, data)
        archive.writestr("archive/version", b"3\n")


def torch_legacy(path, pickled):
    pathlib.Path(path).write_bytes(
        pickle.dumps(torch.serialization.MAGIC_NUMBER, 2) + pickle.dumps(1001, 2)
        + pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2) + pickled
        + pickle.dumps([], 2))


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def tensor_pickle(offset, shape, stride, count, kind=b"FloatStorage"):
    """{"w": _rebuild_tensor_v2(storage "0" of `count`, offset, shape, stride, ...)} with any numbers."""
    def numbers(values):
        return b"(" + b"".join(map(number, values)) + b"t"
    return (b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n" + kind
            + b"\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + number(count) + b"tQ" + number(offset) + numbers(shape)
            + numbers(stride) + b"\x89ccollections\nOrderedDict\n)RtRs.")


def write_tfjs(folder, groups, shard_size, topology=None):
    """groups: lists of (name, array as stored, manifest entry)."""
    folder.mkdir(exist_ok=True)
    manifest = []
    for index, group in enumerate(groups):
        data = b"".join(stored.tobytes() for _, stored, _ in group)
        names = []
        for start in range(0, max(len(data), 1), shard_size):
            names.append(f"group{index}-shard{len(names) + 1}.bin")
            (folder / names[-1]).write_bytes(data[start:start + shard_size])
        manifest.append({"paths": names, "weights": [{"name": name, "shape": list(stored.shape), **entry}
                                                     for name, stored, entry in group]})
    model = {"format": "layers-model", "weightsManifest": manifest, "modelTopology": topology or {}}
    (folder / "model.json").write_text(json.dumps(model))
    return model
