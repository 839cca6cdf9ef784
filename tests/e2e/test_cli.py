#!/usr/bin/env python3
"""psal-run from end to end, on the networks in the box: what it does without arguments, what the original's command line
gives, and that everything wrong with its input is one line on standard error, a status other than 0, and no file left.

    tests/e2e/test_cli.py PSAL-RUN SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import json
import os
import pathlib
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import zlib

from checks import check, run_tests

built, root = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
weights = root / "weights"
network, samples = weights / "fashion_resnet18.safetensors", weights / "fashion_samples"
bag = samples / "bag_called_sandal.png"
scratch = pathlib.Path(tempfile.mkdtemp(prefix="psal-cli-"))
# The box is found from where the program lies; the build folder may be anywhere.
program = scratch / "build" / "tools" / built.name
program.parent.mkdir(parents=True)
shutil.copy(built, program)
(scratch / "weights").symlink_to(weights)
environment = dict(os.environ, LD_LIBRARY_PATH=str(built.parent.parent), OMP_WAIT_POLICY="passive")


def run(*arguments, cwd=scratch, stdout=subprocess.PIPE, limit=None, variables=environment):
    """limit: no file may become longer than this many bytes, as on a full disk"""
    def prepare():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return subprocess.run([str(program), *map(str, arguments)], cwd=cwd, stdout=stdout, stderr=subprocess.PIPE,
                          env=variables,
                          stdin=subprocess.DEVNULL, preexec_fn=prepare, restore_signals=False, timeout=300)


# ---- files, honest or not ----

def read_tensors(path):
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:start]), bytearray(data[start:])


def write_tensors(path, header, data):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(data))
    return path


def write(name, content):
    path = scratch / name
    path.write_bytes(content)
    return path


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_header(width, height):
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def statistics(name, length, mean=1.0, std=1.0, metadata=None):
    header = {"mean": {"dtype": "F32", "shape": [length], "data_offsets": [0, 4 * length]},
              "std": {"dtype": "F32", "shape": [length], "data_offsets": [4 * length, 8 * length]}}
    if metadata:
        header["__metadata__"] = metadata
    return write_tensors(scratch / name, header, struct.pack("<f", mean) * length + struct.pack("<f", std) * length)


# ---- what works ----

def png_size(path):
    data = path.read_bytes()
    return struct.unpack(">II", data[16:24]) if data[:8] == b"\x89PNG\r\n\x1a\n" and data[-8:-4] == b"IEND" else None


def files_of(answer, cwd):
    """Every path that --json names, wherever it stands"""
    found, queue = [], [answer["files"]]
    while queue:
        entry = queue.pop()
        if isinstance(entry, str):
            found.append(cwd / entry)
        else:
            queue += entry.values() if isinstance(entry, dict) else entry
    return found


def test_default():
    """No arguments at all: the ResNet in the box explains the bag it calls a sandal."""
    cwd = scratch / "default"
    cwd.mkdir()
    done = run(cwd=cwd)
    said = done.stdout.decode()
    check("default", done.returncode == 0, done.stderr.decode())
    for word in ("Sandal", "Bag", "0.96", "layer"):
        check("default says", word in said, f"no '{word}' in: {said}")
    pictures = [path for path in (cwd / "figures").rglob("*.png")]
    check("default pictures", len(pictures) >= 2 and all(png_size(p) and min(png_size(p)) >= 32 for p in pictures), str(pictures))
    left = [p.name for p in cwd.rglob("*") if p.is_file() and (".tmp" in p.name or p.stat().st_size == 0)]
    check("default leaves no temporary file", not left, str(left))

    done = run("--json", "--quiet", cwd=cwd)
    check("--json", done.returncode == 0 and not done.stderr, done.stderr.decode())
    answer = json.loads(done.stdout or b"{}")
    check("--json predicted", (answer["predicted"]["name"], answer["target"]["name"]) == ("Sandal", "Bag"), str(answer)[:300])
    check("--json files", len(files_of(answer, cwd)) >= 2 and all(p.stat().st_size for p in files_of(answer, cwd)),
          str(answer["files"]))
    saliencies = [row["saliency"] for row in answer["top_filters"]]
    check("--json order", saliencies == sorted(saliencies, reverse=True) and saliencies, str(saliencies))


def answer_of(*arguments):
    out = scratch / "works"
    shutil.rmtree(out, ignore_errors=True)
    done = run("--json", "--quiet", "--out", out, *arguments)
    check(" ".join(map(str, arguments)), done.returncode == 0, done.stderr.decode())
    answer = json.loads(done.stdout) if done.returncode == 0 else {}
    return {key: value for key, value in answer.items() if not key.startswith("seconds") and key != "files"}


def test_command_line():
    """Dashes and underscores, = and blanks, numbers and names: the same answer"""
    common = ["--weights", network, "--mode", "naive"]
    first = answer_of(*common, "--image-path", bag, "--image-target-label", 8, "--k-salient", 5, "--boost-factor", 50)
    check("underscores", first == answer_of(*common, "--image_path", bag, "--image_target_label=8", "--k_salient=5",
                                            "--boost_factor", "50.0"))
    check("label by name", first == answer_of(*common, "--image-path", bag, "--image-target-label", "Bag", "--k-salient", 5,
                                              "--boost-factor", 50))
    check("--model said and recognised", first == answer_of(*common, "--model", "resnet18", "--image-path", bag,
                                                            "--image-target-label", 8, "--k-salient", 5, "--boost-factor", 50))
    check("--threads", first == answer_of(*common, "--threads", 3, "--image-path", bag, "--image-target-label", 8,
                                          "--k-salient", 5, "--boost-factor", 50))
    other = answer_of(*common, "--image-path", bag, "--image-target-label", 5)
    check("the label counts", first.get("loss") != other.get("loss"))
    for option in (["--signed"], ["--logit"], ["--compare-random"], ["--noise-iters", 3, "--noise-percent", 0.2],
                   ["--compare_random", "--signed"]):
        answer_of(*common, "--image-path", bag, "--image-target-label", 8, *option)
    for arch in ("vgg19", "densenet121", "inception_v3"):
        answer = answer_of("--weights", weights / f"fashion_{arch}.safetensors", "--mode", "naive", "--image-path",
                           samples / "dress.png", "--image-target-label", 3)
        check(f"{arch} in the box", answer.get("predicted", {}).get("name") == "Dress", str(answer)[:200])
    for option, word in (("--help", b"--image-path"), ("--version", b"psal-run")):
        done = run(option)
        check(option, done.returncode == 0 and word in done.stdout and not done.stderr, done.stderr.decode())


def test_many():
    """--images: a folder per image, a summary, --resume"""
    out = scratch / "many"
    listing = write("list.csv", f"path,label\n{samples}/dress.png,3\n{samples}/coat.png,4\n{bag},8\n".encode())
    arguments = ["--images", listing, "--mode", "naive", "--weights", network, "--out", out, "--quiet"]
    done = run(*arguments)
    check("--images", done.returncode == 0, done.stderr.decode())
    folders = [p for p in out.iterdir() if p.is_dir()] if out.is_dir() else []
    summaries = list(out.glob("*.csv"))
    check("--images folders", len(folders) == 3 and all(any(f.iterdir()) for f in folders), str(folders))
    check("--images summary", len(summaries) == 1 and len(summaries[0].read_text().splitlines()) == 4, str(summaries))
    before = {p: p.stat().st_mtime_ns for p in out.glob("*/*")}
    done = run(*arguments, "--resume")
    after = {p: p.stat().st_mtime_ns for p in out.glob("*/*")}
    check("--resume", done.returncode == 0 and before == after, done.stderr.decode())
    summary = summaries[0].read_text()

    # a result that is not whole is made again
    for text in ("[]", "{}", '{"image": "x", "top_filters": [5]}', "not JSON", ""):
        result = sorted(out.glob("*/result.json"))[1]
        result.write_text(text)
        done = run(*arguments, "--resume")
        check(f"--resume over {text!r}", done.returncode == 0 and json.loads(result.read_text())["target"]["class"] == 4
              and summaries[0].read_text() == summary, done.stderr.decode())

    # one of another run is not taken, and nothing is touched
    before = {p: p.stat().st_mtime_ns for p in [*out.glob("*/*"), *summaries]}
    other = write("other.csv", f"path,label\n{samples}/dress.png,3\n{samples}/coat.png,2\n{bag},8\n".encode())
    swapped = write("swapped.csv", f"path,label\n{samples}/dress.png,3\n{bag},8\n{samples}/coat.png,4\n".encode())
    (scratch / "changed").mkdir()
    changed = write("changed/coat.png", (samples / "coat.png").read_bytes())
    moved = write("moved.csv", f"path,label\n{samples}/dress.png,3\n{changed},4\n{bag},8\n".encode())
    for name, images, more, words in (
            ("-k", listing, ["-k", 5], ("00000_dress/result.json", "k_salient is 10 there and 5 here")),
            ("--signed", listing, ["--signed"], ("signed is false there and true here",)),
            ("another label", other, [], ("00001_coat/result.json", "label is 4 there and 2 here")),
            ("another image", moved, [], ("00001_coat/result.json", "image is", "changed/coat.png"))):
        done = run("--images", images, *arguments[2:], *more, "--resume")
        said = done.stderr.decode()
        after = {p: p.stat().st_mtime_ns for p in [*out.glob("*/*"), *summaries]}
        check(f"--resume with {name}", done.returncode in range(1, 126) and all(word in said for word in words) and before == after, said)
    done = run("--images", swapped, *arguments[2:], "--resume")  # in other folders, so new ones
    check("--resume in another order", done.returncode == 0 and len([p for p in out.iterdir() if p.is_dir()]) == 5, done.stderr.decode())


# ---- what must be refused ----

def refused(name, *arguments, words=(), stdout=subprocess.PIPE, limit=None, out=None):
    """One line on standard error that says `words`, a status other than 0 (no crash), nothing left behind"""
    shutil.rmtree(scratch / "refused", ignore_errors=True)
    where = scratch / "refused"
    try:
        done = run("--out", out or where / "out", "--dump", where / "dump", *arguments, stdout=stdout, limit=limit)
    except subprocess.TimeoutExpired:
        check(name, False, "no end")
        return
    said = done.stderr.decode(errors="replace")
    lines = [line for line in said.splitlines() if not line.startswith("psal-run: note:")]
    check(name, done.returncode in range(1, 126), f"status {done.returncode}: {said}")
    check(f"{name}: one line", len(lines) == 1 and lines[0].startswith("psal-run: ") and len(lines[0]) < 1000, said)
    for word in words:
        check(f"{name}: says", str(word) in said, f"no '{word}' in: {said}")
    left = [str(p.relative_to(where)) for p in where.rglob("*") if p.is_file()] if where.is_dir() else []
    check(f"{name}: nothing left", not left, str(left))


def test_images():
    text, empty = write("words.png", b"These are words, not an image.\n" * 10), write("empty.png", b"")
    folder = scratch / "folder.png"
    folder.mkdir()
    whole = bag.read_bytes()
    cases = [("missing image", scratch / "nowhere.png"), ("empty image", empty), ("text as image", text),
             ("folder as image", folder), ("checkpoint as image", network),
             ("oversized image", write("huge.png", png_header(100000, 100000) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))),
             ("image of no size", write("zero.png", png_header(0, 10) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")))]
    cases += [(f"image cut at {end}", write(f"cut{end}.png", whole[:end])) for end in (1, 8, 20, 33, 60, len(whole) // 2)]
    for name, path in cases:
        refused(name, "--weights", network, "--mode", "naive", "--image-path", path, "--image-target-label", 8, words=[path])
    listing = write("bad.csv", f"path,label\n{samples}/dress.png,33\n".encode())
    refused("label of a list", "--weights", network, "--mode", "naive", "--images", listing, words=["33"])
    refused("missing list", "--weights", network, "--mode", "naive", "--images", scratch / "none.csv", words=["none.csv"])


def test_checkpoints():
    header, data = read_tensors(network)
    whole = network.read_bytes()
    rest = ["--mode", "naive", "--image-path", bag, "--image-target-label", 8]

    def broken(name, path, *words):
        refused(name, "--weights", path, *rest, words=[path, *words])

    folder = scratch / "folder.safetensors"
    folder.mkdir()
    broken("missing checkpoint", scratch / "nowhere.safetensors")
    broken("empty checkpoint", write("empty.safetensors", b""))
    broken("folder as checkpoint", folder)
    broken("image as checkpoint", bag, "PNG")
    broken("text as checkpoint", write("words.safetensors", b"<!DOCTYPE html><html>not found</html>\n" * 20))
    start = 8 + struct.unpack("<Q", whole[:8])[0]
    for end in (4, 8, 100, start, start + 1000, len(whole) - 1):
        broken(f"checkpoint cut at {end}", write("cut.safetensors", whole[:end]))
    broken("checkpoint with a huge header", write("long.safetensors", struct.pack("<Q", 2**63) + whole[8:]))

    other = {name: entry for name, entry in header.items() if name != "layer2.0.conv1.weight"}
    broken("checkpoint without a tensor", write_tensors(scratch / "less.safetensors", other, data))
    metadata = {"__metadata__": header["__metadata__"]}
    zeros = {"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}
    broken("checkpoint of nothing known", write_tensors(scratch / "x.safetensors", zeros, bytes(16)))
    broken("metadata without tensors", write_tensors(scratch / "none.safetensors", metadata, b""))
    other = json.loads(json.dumps(header))
    shape = other["layer3.0.conv1.weight"]["shape"]
    shape[0], shape[1] = shape[1], shape[0]
    broken("checkpoint with another shape", write_tensors(scratch / "shape.safetensors", other, data), "layer3.0.conv1.weight",
           shape[0])
    for name, value in (("NaN", b"\x00\x7e"), ("infinity", b"\x00\x7c")):
        spoiled = bytearray(data)
        at = header["layer2.1.conv2.weight"]["data_offsets"][0] + 20
        spoiled[at:at + 2] = value
        assert header["layer2.1.conv2.weight"]["dtype"] == "F16"
        broken(f"{name} in the weights", write_tensors(scratch / "nan.safetensors", header, spoiled), "layer2.1.conv2.weight")
    refused("another architecture", "--weights", network, "--model", "vgg19", *rest, words=["vgg19"])
    refused("deeper architecture", "--weights", network, "--model", "resnet34", *rest, words=["resnet34"])
    refused("unknown architecture", "--weights", network, "--model", "resnet51", *rest, words=["resnet51"])


def test_arguments():
    base = ["--weights", network, "--image-path", bag]
    for label in (10, -1, 99999999999999999999, "Bicycle", ""):
        refused(f"label '{label}'", *base, "--mode", "naive", f"--image-target-label={label}", words=[label])
    base += ["--image-target-label", 8]
    naive = [*base, "--mode", "naive"]
    for name, arguments in {"unknown option": ["--nonsense"], "k of 0": ["--k-salient", 0], "k too large": ["--k-salient", 1201],
                            "k not a number": ["--k-salient", "ten"], "threads": ["--threads", 0], "mode": ["--mode", "other"],
                            "boost": ["--boost-factor", "nan"], "preprocess": ["--preprocess", "torchvision;crop=-3"],
                            "too small": ["--preprocess", "torchvision;resize=none;crop=0x5"],
                            "memory limit": ["--memory-limit", 1], "noise": ["--noise-percent", 2]}.items():
        refused(name, *naive, *arguments)


def test_waiting():
    """The program starts itself again to spin briefly, but not where threads were bound: it would have one processor then."""
    plain = {key: value for key, value in environment.items() if not key.startswith(("OMP_", "GOMP_"))}
    for variable, value, wanted in (("PSAL", "", 2), ("OMP_WAIT_POLICY", "passive", 1), ("GOMP_SPINCOUNT", "100", 1),
                                    ("OMP_PROC_BIND", "true", 1), ("OMP_PLACES", "cores", 1), ("GOMP_CPU_AFFINITY", "0", 1)):
        said = run("--memory-limit", 1, "--mode", "naive", "--image-path", bag, "--image-target-label", 8,
                   variables={**plain, "OMP_DISPLAY_ENV": "true", variable: value}).stderr.decode()
        starts = said.count("DISPLAY ENVIRONMENT BEGIN")
        check(f"{variable}={value}", starts == wanted, f"started {starts} times, not {wanted}")


def test_statistics():
    base = ["--weights", network, "--image-path", bag, "--image-target-label", 8, "--stats"]
    check("own statistics", run("--quiet", "--out", scratch / "own", *base, statistics("fine.safetensors", 1200)).returncode == 0)
    length = statistics("length.safetensors", 1201)
    refused("statistics of another length", *base, length, words=[length, 1201, 1200])
    for name, path in {"empty statistics": write("e.safetensors", b""), "missing statistics": scratch / "no.safetensors",
                       "NaN in statistics": statistics("nan_stats.safetensors", 1200, mean=float("nan")),
                       "negative deviation": statistics("negative.safetensors", 1200, std=-1.0),
                       "weights as statistics": network}.items():
        refused(name, *base, path, words=[path])


def test_writing():
    base = ["--weights", network, "--mode", "naive", "--image-path", bag, "--image-target-label", 8]
    plain = write("plain", b"a file\n")
    refused("--out below a file", *base, out=plain / "out", words=["plain"])
    refused("--out is a file", *base, out=plain, words=["plain"])
    refused("--out that cannot be", *base, out="/proc/psal-nowhere/out", words=["/proc/psal-nowhere"])
    check("the file is as it was", plain.read_bytes() == b"a file\n")
    if os.environ.get("PSAL_TEST_FULL_DISK") == "0":
        print("SKIPPED full disk: this OpenMP needs a file of its own")
    else:
        refused("full disk", *base, limit=500)
    with open("/dev/full", "wb") as full:
        shutil.rmtree(scratch / "full", ignore_errors=True)
        for option in ([], ["--json"]):
            done = run(*base, *option, "--quiet", "--out", scratch / "full", stdout=full)
            said = done.stderr.decode()
            check(f"/dev/full {option}", done.returncode in range(1, 126) and said.startswith("psal-run: ")
                  and len(said.splitlines()) == 1, f"status {done.returncode}: {said}")


if __name__ == "__main__":
    sys.exit(run_tests((test_default, test_command_line, test_many, test_images, test_checkpoints, test_arguments, test_waiting,
                        test_statistics, test_writing), scratch))
