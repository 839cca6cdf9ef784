"""What the end-to-end tests start with: where things are, how a program is run; and all programs with a small job each, for tests of
what holds for every one of them. The first two arguments of a test are the folders of the programs and of the source."""
import csv
import json
import os
import pathlib
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time

tools, root = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
weights = root / "weights"
network, samples = weights / "fashion_resnet18.safetensors", weights / "fashion_samples"
statistics = weights / "fashion_resnet18_stats.safetensors"
bag = samples / "bag_called_sandal.png"
coat = samples / "coat_called_pullover.png"  # what is explained when no image is named
scratch = pathlib.Path(tempfile.mkdtemp(prefix=f"psal-{pathlib.Path(sys.argv[0]).stem}-"))
environment = dict(os.environ, OMP_WAIT_POLICY="passive", OMP_NUM_THREADS="2")


def command(program, *arguments):
    return [str(tools / program), *map(str, arguments)]


def run(program, *arguments, prepare=None, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=scratch,
        variables=environment):
    """`prepare` is called in the new process"""
    def both():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if prepare:
            prepare()
    return subprocess.run(command(program, *arguments), cwd=cwd, stdin=stdin, stdout=stdout, stderr=stderr, env=variables,
                          preexec_fn=both, timeout=600)


def run_text(program, *arguments, limit=None, cwd=scratch, **variables):
    """With text for both streams. limit: no file may become longer than this many bytes, as on a full disk"""
    def prepare():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return subprocess.run(command(program, *arguments), cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          preexec_fn=prepare, restore_signals=False, timeout=600, env=dict(environment, **variables))


def start(program, *arguments, **options):
    return subprocess.Popen(command(program, *arguments), cwd=scratch, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=environment, **options)


def store(folder):
    """A store of profiles of the box's images, made once"""
    made = scratch / "store"
    if not made.is_dir():
        made.mkdir()
        done = run("psal-stats", "--quiet", "--data", samples / "labels.csv", "--out", made / "s.st", "--profiles", made / "p.npy")
        assert done.returncode == 0, done.stderr
    return made / "p.npy"


def jobs(folder):
    """(program, arguments): each prints something and writes files into `folder`"""
    return (("psal-run", ["-w", network, "--mode", "naive", "-i", bag, "-l", 8, "--out", folder / "run"]),
            ("psal-stats", ["--quiet", "--data", samples / "labels.csv", "--out", folder / "s.st", "--profiles", folder / "p.npy"]),
            ("psal-neighbors", ["--store", store(folder), "--query", "0,3-5", "--csv", folder / "n.csv"]),
            ("psal-prune", ["--k", "1,5", "--choices", "salient", "--csv", folder / "prune.csv"]),
            ("psal-finetune", ["--k", "10", "--choices", "salient", "--save-delta", folder / "d.st", "--save", folder / "f.st"]),
            ("psal-check", ["ablate", "--filters", "20", "--csv", folder / "check.csv"]),
            ("psal-report", ["--quiet", "-w", network, "-d", samples / "labels.csv", "--costs", 1, "--checks", 2, "--out", folder / "r.html"]),
            ("psal-convert", [network, folder / "c.st"]),
            ("psal-init", ["--quiet", "--replace", "--weights", network, "--data", samples / "labels.csv", "--out", folder / "psal.json"]))


with_json = ("psal-run", "psal-init", "psal-neighbors", "psal-prune", "psal-finetune", "psal-check", "psal-report")


def long_list(name="long.csv", times=5000):
    """So many images that no run comes to its end before the test does"""
    path = scratch / name
    with open(samples / "labels.csv", newline="") as file:
        title, *rows = csv.reader(file)
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([title] + [[samples / row[0], *row[1:]] for row in rows] * times)
    return path


def read_tensors(path):
    data = path.read_bytes()
    start_of_data = 8 + struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:start_of_data]), data[start_of_data:]


def write_tensors(path, header, values):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + values)
    return path


def single_network(name="single.safetensors"):
    """The box's network in float32, which is used where it is mapped"""
    header, values = read_tensors(network)
    out = b""
    new = {"__metadata__": header.pop("__metadata__")}
    for key, entry in header.items():
        part = values[slice(*entry["data_offsets"])]
        if entry["dtype"] == "F16":
            count = len(part) // 2
            part = struct.pack(f"<{count}f", *struct.unpack(f"<{count}e", part))
        new[key] = dict(entry, dtype="F32" if entry["dtype"] == "F16" else entry["dtype"], data_offsets=[len(out), len(out) + len(part)])
        out += part
    return write_tensors(scratch / name, new, out)


def wait_for(condition, process=None, seconds=300):
    """Whether it came to be, while the process ran"""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        if process and process.poll() is not None:
            return condition()
        time.sleep(0.02)
    return False


def lines_of(done):
    text = done if isinstance(done, bytes) else done.stderr
    return [line for line in text.decode(errors="replace").splitlines() if ": note: " not in line]


def leftovers(folder):
    """Files that nobody asked for"""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.name.endswith((".part", ".lock", ".partial")))
