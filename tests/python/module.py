"""What the tests of the Python module start with: the module of this source tree on the library of this build, the box's network, and
helpers. Arguments: BUILD SOURCE. Needs NumPy; where this Python has none, Debian's is tried."""
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

DEBIAN = "/usr/bin/python3"
build, root = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
try:
    import numpy as np
except ImportError:
    if os.path.exists(DEBIAN) and os.path.realpath(sys.executable) != os.path.realpath(DEBIAN):
        os.execv(DEBIAN, [DEBIAN, *sys.argv])
    print("SKIPPED: no NumPy (Debian's package python3-numpy)\n0 passed, 0 failed, 1 skipped")
    sys.exit(0)

sys.path[:0] = [str(root / "tools" / "python"), str(root / "tests" / "e2e")]
os.environ["PSAL_LIBRARY"] = str(build)
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.chdir(root)  # records name the weights as they were called
import psal  # noqa: E402

scratch = pathlib.Path(tempfile.mkdtemp(prefix=f"psal-{pathlib.Path(sys.argv[0]).stem}-"))
network = "weights/fashion_resnet18.safetensors"
samples = root / "weights" / "fashion_samples"
bag = samples / "bag_called_sandal.png"


def program(name, *arguments):
    """What a program with --json prints, as an object"""
    done = subprocess.run([str(build / "tools" / name), "--json", *map(str, arguments)], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def same(a, b):
    """Equal bits"""
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def raised(kind, function, *arguments, **named):
    """The text of the exception of this kind; None when there is none"""
    try:
        function(*arguments, **named)
    except kind as error:
        return str(error)
    return None


def tensors_of(path):
    """({name: array}, metadata) of a .safetensors file"""
    data = pathlib.Path(path).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header, kinds = json.loads(data[8:8 + size]), {"F32": np.float32, "F64": np.float64, "I64": np.int64, "F16": np.float16}
    metadata = header.pop("__metadata__", {})
    return {name: np.frombuffer(data, kinds[entry["dtype"]], offset=8 + size + entry["data_offsets"][0],
                                count=int(np.prod(entry["shape"]))).reshape(entry["shape"]) for name, entry in header.items()}, metadata


def write_png(path, pixels):
    """An 8-bit RGB PNG"""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + pixels[y].tobytes() for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def pixels(seed=1, height=40, width=50):
    """A made-up photo"""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
