#!/usr/bin/env python3
"""psal-run from end to end, on the networks in the box: what it does without arguments, what the original's command line
gives, and that everything wrong with its input is one line on standard error, a status other than 0, and no file left.

    tests/e2e/test_cli.py PSAL-RUN SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import csv
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
    """No arguments at all: the ResNet in the box explains the coat it calls a pullover."""
    cwd = scratch / "default"
    cwd.mkdir()
    done = run(cwd=cwd)
    said = done.stdout.decode()
    check("default", done.returncode == 0, done.stderr.decode())
    for word in ("Pullover", "Coat", "0.659", "layer"):
        check("default says", word in said, f"no '{word}' in: {said}")
    pictures = [path for path in (cwd / "figures").rglob("*.png")]
    check("default pictures", len(pictures) >= 2 and all(png_size(p) and min(png_size(p)) >= 32 for p in pictures), str(pictures))
    left = [p.name for p in cwd.rglob("*") if p.is_file() and (".tmp" in p.name or p.stat().st_size == 0)]
    check("default leaves no temporary file", not left, str(left))

    done = run("--json", "--quiet", "--compare-random", cwd=cwd)
    check("--json", done.returncode == 0 and not done.stderr, done.stderr.decode())
    answer = json.loads(done.stdout or b"{}")
    check("--json predicted", (answer["predicted"]["name"], answer["target"]["name"]) == ("Pullover", "Coat"), str(answer)[:300])
    check("--json files", len(files_of(answer, cwd)) >= 2 and all(p.stat().st_size for p in files_of(answer, cwd)),
          str(answer["files"]))
    check("the first picture says something: other pixels than random filters'", answer["map_agreement"] < 0.3, answer["map_agreement"])
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


def pixel_ranks(path):
    """The ranks of a dumped gradient's pixels as a heat map takes them: |maximum over the channels|, blurred by [1 2 1]/4 both ways"""
    data = path.read_bytes()
    size = struct.unpack("<H", data[8:10])[0]
    channels, height, width = map(int, data[10:10 + size].split(b"(")[1].split(b")")[0].split(b","))
    values = struct.unpack(f"<{channels * height * width}f", data[10 + size:])
    plane = [abs(max(values[c * height * width + i] for c in range(channels))) for i in range(height * width)]
    for step, length in ((1, width), (width, height)):
        def at(i, move):
            place = i // step % length + move
            place = 1 if place < 0 else length - 2 if place == length else place
            return plane[i + (place - i // step % length) * step]
        plane = [0.25 * at(i, -1) + 0.5 * plane[i] + 0.25 * at(i, 1) for i in range(height * width)]
    order = sorted(range(len(plane)), key=plane.__getitem__)
    ranks = [0] * len(plane)
    for rank, i in enumerate(order):
        ranks[i] = rank
    return ranks


def test_compare_random():
    """The agreement of both maps is the rank correlation of their pixels, and said in words"""
    dump, out = scratch / "compared_dump", scratch / "compared"
    common = ["--image-path", bag, "--image-target-label", 8, "--out", out]
    done = run(*common, "--compare-random", "--dump", dump)
    said, result = done.stdout.decode(), json.loads((out / "result.json").read_text())
    a, b = (pixel_ranks(dump / f"input_gradient{name}.npy") for name in ("", "_random"))
    n = len(a)
    expected = 1 - 6 * sum((x - y) ** 2 for x, y in zip(a, b)) / (n * (n * n - 1))  # Spearman's, no two pixels being equal
    agreement = result["map_agreement"]
    check("agreement", abs(agreement - expected) < 1e-4, (agreement, expected))
    check("both maps in one figure", (out / "input_saliency_random.png").exists())
    words = [line for line in said.splitlines() if "the maps agree by" in line]
    check("in words", len(words) == 1 and f"beside 10 random filters, the maps agree by {agreement:.2f}: this map" in words[0], said)
    for k in (1, 3, 100, 600):
        done = run(*common, "--compare-random", "-k", k)
        said, agreement = done.stdout.decode(), json.loads((out / "result.json").read_text())["map_agreement"]
        says = "says little about" if agreement > 0.3 else "is in part" if agreement > 0.1 else "is the"
        check(f"k {k}", f"agree by {agreement:.2f}: this map {says} " in said, (agreement, said))
    done = run(*common, "--json")
    check("nothing to compare", json.loads(done.stdout)["map_agreement"] is None and not (out / "input_saliency_random.png").exists())


def test_look():
    """The crops of a list: a figure and a table, the same for any number of threads, gone with the next run; bad images by name"""
    out, listing, bad = scratch / "look", samples / "labels.csv", scratch / "look.csv"
    base = ["-w", network, "-i", bag, "-l", "bag", "--out", out, "--quiet"]
    tables = []
    for threads in (1, 3):
        done = run(*base, "--look", 2, "--data", listing, "--threads", threads)
        check(f"look with {threads} threads", done.returncode == 0 and b"among 20 images" in done.stdout, done.stderr)
        tables.append((out / "look.csv").read_text())
    rows = list(csv.DictReader(tables[0].splitlines()))
    check("the same table", tables[0] == tables[1] and (out / "look.png").stat().st_size > 1000)
    check("two filters, two ends, this image and six others", [row["place"] for row in rows] == [str(i) for i in range(7)] * 4)
    check("this image", {row["image"] for row in rows if row["place"] == "0"} == {str(bag)})
    for first in range(0, len(rows), 7):
        sign = 1 if rows[first]["end"] == "largest" else -1
        values = [sign * float(row["activation"]) for row in rows[first + 1:first + 7]]
        check("in order, inside of the image", values == sorted(values, reverse=True)
              and all(int(row["left"]) + int(row["width"]) <= 32 and int(row["top"]) + int(row["height"]) <= 32
                      for row in rows[first:first + 7]), values)
    run(*base)
    check("gone", not (out / "look.csv").exists() and not (out / "look.png").exists())
    junk = write("junk.png", b"no image")
    bad.write_text("path,label\n" + "".join(f"{samples}/{line}\n" for line in listing.read_text().splitlines()[1:4]) + f"{junk},0\n")
    done = run(*base, "--look", 1, "--data", bad, "--skip-bad", "--json")
    look = json.loads(done.stdout)["look"]
    check("--skip-bad", done.returncode == 3 and look["looked_at"] == 3 and [image["image"] for image in look["skipped"]] == [str(junk)]
          and len(look["filters"][0]["largest"]) == 3, done.stderr)
    for name, arguments, word in (("without --skip-bad", ["--data", bad], "--skip-bad"), ("without data", [], "--data"),
                                  ("of rows", ["--data", listing, "--aggregation", "row", "--mode", "naive"], "--aggregation row"),
                                  ("of more than the table", ["--data", listing, "--top", 0], "--top 1"),
                                  ("of several", ["--data", listing, "-i", bag], "one image")):
        refused(f"look {name}", *base[:-3], "--look", 1, *arguments, words=[word])


def test_processors():
    """Each processor: near the best one's answer, with its algorithms in the table of times, or refused in one line"""
    common = ["--weights", network, "--mode", "naive", "--image-path", bag, "--image-target-label", 8]
    best = answer_of(*common)
    algorithms = {"portable": b"im2col_gemm", "avx2": b"winograd_", "avx512": b"winograd_", "amx": b"amx_", "neon": b"winograd_"}
    refused = []
    for processor, algorithm in algorithms.items():
        out = scratch / "processor"
        shutil.rmtree(out, ignore_errors=True)
        done = run("--json", "--quiet", "--profile-ops", "--out", out, "--processor", processor, *common)
        if done.returncode:
            said = done.stderr.decode()
            check(f"{processor} is refused", f"--processor {processor}: this machine" in said and said.count("\n") == 1, said)
            check(f"{processor} writes nothing", not out.exists() or not any(out.iterdir()), str(out))
            refused.append(processor)
            continue
        check(f"{processor}: OpenBLAS's kernels", b"\nmatrix products: OpenBLAS's kernels for " in done.stderr, done.stderr[-200:])
        check(f"{processor} has all that is before it", refused == (["avx2", "avx512", "amx"] if processor == "neon" else []), str(refused))
        check(f"{processor}'s algorithms", algorithm in done.stderr, done.stderr.decode()[-600:])
        answer = json.loads(done.stdout)
        check(f"{processor}'s top filters", [row["filter"] for row in answer["top_filters"]] ==
              [row["filter"] for row in best["top_filters"]], str(answer["top_filters"])[:300])
        check(f"{processor}'s loss", abs(answer["loss"] - best["loss"]) < 1e-4 * abs(best["loss"]), f"{answer['loss']} {best['loss']}")
    check("portable is on every machine", "portable" not in refused)
    done = run("--processor", "sse", *common)
    check("no such processor", done.returncode != 0 and b"portable" in done.stderr, done.stderr.decode())


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

    # nor one of an image that was replaced under its name: by a larger one, by one of the same size, of which one byte is another
    coat, dress = (samples / "coat.png").read_bytes(), (samples / "dress.png").read_bytes()
    listed = write("replaced.csv", f"path,label\n{changed},4\n{bag},8\n".encode())
    there = ["--images", listed, *arguments[2:-2], scratch / "replaced", "--quiet"]
    done = run(*there)
    check("before it is replaced", done.returncode == 0, done.stderr.decode())
    before = {p: p.stat().st_mtime_ns for p in (scratch / "replaced").rglob("*.*")}
    for name, data in (("another image", dress), ("one byte", coat[:-5] + bytes([coat[-5] ^ 1]) + coat[-4:]), ("a longer file", coat + b"x")):
        changed.write_bytes(data)
        done = run(*there, "--resume")
        said, after = done.stderr.decode(), {p: p.stat().st_mtime_ns for p in (scratch / "replaced").rglob("*.*")}
        check(f"--resume over {name} of the same name", done.returncode == 1 and said.count("\n") == 1 and "coat.png was replaced since" in said
              and "00000_coat/result.json" in said and before == after, said)
    changed.write_bytes(dress)
    shutil.rmtree(scratch / "replaced" / "00000_coat")
    done = run(*there, "--resume")
    check("--resume without its folder", done.returncode == 0 and (scratch / "replaced" / "00000_coat" / "result.json").exists(), done.stderr.decode())
    changed.write_bytes(coat)
    done = run(*there, "--resume")
    check("the new result is of the new image", done.returncode == 1 and "was replaced since" in done.stderr.decode(), done.stderr.decode())
    shutil.copy(samples / "dress.png", changed)  # another date, the same file
    done = run(*there, "--resume")
    check("--resume over a copy", done.returncode == 0, done.stderr.decode())
    for path in (scratch / "replaced").glob("*/result.json"):  # of an earlier version
        whole = json.loads(path.read_text())
        del whole["image_fingerprint"]
        path.write_text(json.dumps(whole))
    done = run(*there[:-1], "--resume")
    check("--resume of an earlier version", done.returncode == 0 and "2 results of an earlier version" in done.stderr.decode(), done.stderr.decode())

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


def test_left_over():
    """A tensor that no layer takes: refused by name, even quietly; left out when asked, on record in what psal-convert writes."""
    header, data = read_tensors(network)
    rest = ["--mode", "naive", "--image-path", bag, "--image-target-label", 8]
    end = len(data)
    more = {**header, "layer1.0.se.weight": {"dtype": "F32", "shape": [8, 8], "data_offsets": [end, end + 256]},
            "layer1.0.se.bias": {"dtype": "F32", "shape": [8], "data_offsets": [end + 256, end + 288]}}
    path = write_tensors(scratch / "more.safetensors", more, data + bytes(288))
    names = ("'layer1.0.se.weight' (8x8)", "'layer1.0.se.bias' (8)")
    refused("a layer more", "--weights", path, *rest, words=[path, *names, "--ignore-extra"])
    refused("a layer more, quietly", "--weights", path, *rest, "--quiet", words=[path, *names])
    refused("only one left out", "--weights", path, *rest, "--ignore-extra", "layer1.0.se.weight", words=[names[1]])
    refused("nothing of that name", "--weights", path, *rest, "--ignore-extra=layer1.0.so.", words=["layer1.0.so."])
    plain = answer_of("--weights", network, *rest)
    for given in (["--ignore-extra", "layer1.0.se."], ["--ignore-extra", "layer1.0.se.bias", "--ignore-extra", "layer1.0.se.weight"]):
        answer = answer_of("--weights", path, *rest, *given)
        check(f"left out {given}", answer["predicted"] == plain["predicted"], f"{answer['predicted']} instead of {plain['predicted']}")

    def convert(*arguments):
        done = subprocess.run([str(built.parent / "psal-convert"), *map(str, arguments)], capture_output=True, text=True,
                              env=environment, timeout=300)
        return done.returncode, done.stdout + done.stderr
    target = scratch / "converted.safetensors"
    status, said = convert(path, target)
    check("psal-convert refuses", status == 1 and names[0] in said and not target.exists(), said)
    status, said = convert(path, target, "--quiet")
    check("psal-convert refuses quietly", status == 1 and names[0] in said and not target.exists(), said)
    status, said = convert(path, target, "--ignore-extra", "layer1.0.se.")
    check("psal-convert leaves out", status == 0 and names[0] in said, said)
    record = read_tensors(target)[0]["__metadata__"].get("psal.ignored", "")
    check("on record", names[0] in record and names[1] in record, record)
    again = run("--weights", target, *rest, "--out", scratch / "again")
    check("the record is read", again.returncode == 0 and names[0].encode() in again.stderr, again.stderr)


def test_recorded_names():
    """What a checkpoint says of its classes: built-in sets or the names themselves; no file is opened for it."""
    header, data = read_tensors(network)
    rest = ["--mode", "naive", "--image-path", bag, "--image-target-label", 8]

    def recording(text):
        return write_tensors(scratch / "named.safetensors", {**header, "__metadata__": {**header["__metadata__"], "psal.labels": text}}, data)
    names = [f"class {i}" for i in range(10)]
    listing = write("names.txt", "\n".join(names).encode())
    pipe = scratch / "pipe"
    os.mkfifo(pipe)  # whoever opens it waits for ever
    for what, text in (("a file", str(listing)), ("a relative file", "names.txt"), ("a pipe", str(pipe)), ("a device", "/dev/zero"),
                       ("too few names", json.dumps(names[1:])), ("numbers for names", "[1,2,3,4,5,6,7,8,9,10]"), ("half a list", '["a",'),
                       ("more than 1 MiB", json.dumps(["x" * 999] * 1100))):
        refused(f"recorded names: {what}", "--weights", recording(text), *rest, words=["named.safetensors", "recorded", "--labels"])
        done = run("--weights", recording(text), *rest, "--labels", listing, "--out", scratch / "named")
        check(f"recorded names, others given: {what}", done.returncode == 0, done.stderr.decode())
    for what, text, name in (("names", json.dumps(names), "class 8"), ("no ASCII", json.dumps(["Tasche \u00e9"] * 10), "Tasche \u00e9"),
                             ("a built-in set", "Fashion-MNIST", "bag"), ("numbers", "numbers", "8"), ("nothing", "", "8")):
        answer = answer_of("--weights", recording(text), *rest)
        check(f"recorded: {what}", str(answer["target"]["name"]).lower() == name.lower(), answer["target"])

    def convert(*arguments):
        done = subprocess.run([str(built.parent / "psal-convert"), *map(str, arguments)], capture_output=True, text=True,
                              env=environment, timeout=300)
        return done.returncode, done.stdout + done.stderr
    target, again = scratch / "converted-names.safetensors", scratch / "again.safetensors"
    status, said = convert(network, target, "--labels", listing)
    check("names from a file", status == 0 and "(class 0, ...)" in said, said)
    check("are recorded", json.loads(read_tensors(target)[0]["__metadata__"]["psal.labels"]) == names, "other names")
    status, said = convert(target, again)
    check("and stay", status == 0 and target.read_bytes() == again.read_bytes(), said)
    listing.unlink()
    answer = answer_of("--weights", target, *rest)
    check("and are used without the file", answer["target"]["name"] == "class 8", answer["target"])
    status, said = convert(network, again, "--labels", write("long.txt", "\n".join(["x" * 1000] * 10).encode()))
    check("long names", status == 0, said)
    status, said = convert(network, again, "--labels", write("few.txt", b"a\nb\n"))
    check("too few names", status == 1 and "2 names" in said, said)
    status, said = convert(recording(str(pipe)), again)
    check("psal-convert opens no recorded file", status == 1 and "recorded" in said, said)
    status, said = convert(recording('["\\u001b]0;x\\u0007", ' + json.dumps(names[1:])[1:]), again)
    check("nothing for the terminal", status == 0 and "\x1b" not in said and "\x07" not in said, repr(said))


def test_weights_key():
    """Which network of a file, in every program's option table: here by the beginning of its names."""
    header, data = read_tensors(network)
    rest = ["--mode", "naive", "--image-path", bag, "--image-target-label", 8]
    metadata = header.pop("__metadata__")
    two = {"__metadata__": metadata, **{prefix + name: entry for prefix in ("a.", "b.") for name, entry in header.items()}}
    for name, entry in list(two.items()):
        if name.startswith("b."):
            two[name] = dict(entry, data_offsets=[at + len(data) for at in entry["data_offsets"]])
    same = write_tensors(scratch / "same.safetensors", two, data + data)
    answer = answer_of("--weights", same, *rest)
    check("one network under two names", answer["predicted"] == answer_of("--weights", network, *rest)["predicted"], answer["predicted"])
    begin, end = header["fc.bias"]["data_offsets"]
    path = write_tensors(scratch / "two.safetensors", two, data + data[:begin] + bytes(end - begin) + data[end:])
    refused("two networks", "--weights", path, *rest, words=[path, "--weights-key"])
    refused("no such network", "--weights", path, *rest, "--weights-key", "c", words=[path, "--weights-key c", "a.conv1.weight"])
    plain = answer_of("--weights", network, *rest)
    for key in ("a", "b."):
        answer = answer_of("--weights", path, *rest, "--weights-key", key)
        check(f"--weights-key {key}", (answer["predicted"] == plain["predicted"]) == (key == "a"), answer["predicted"])
    for program_name in ("psal-stats", "psal-prune", "psal-finetune", "psal-check", "psal-neighbors", "psal-convert"):
        help_text = subprocess.run([str(built.parent / program_name), "--help"], capture_output=True, text=True, env=environment).stdout
        check(f"{program_name} --weights-key", "--weights-key" in help_text, help_text[:200])
    other = json.loads(json.dumps({"__metadata__": metadata, **header}))
    end = len(data)
    other["scale"] = {"dtype": "U16", "shape": [3], "data_offsets": [end, end + 6]}
    answer = answer_of("--weights", write_tensors(scratch / "u16.safetensors", other, data + bytes(6)), *rest)
    check("an integer tensor of another type", answer["predicted"] == plain["predicted"], answer["predicted"])
    other["fc.bias"] = {"dtype": "F8_E4M3", "shape": [10], "data_offsets": [end + 6, end + 16]}
    start, stop = header["fc.bias"]["data_offsets"]
    other["rest"] = {"dtype": "U8", "shape": [stop - start], "data_offsets": [start, stop]}
    refused("8-bit floats where they are needed", "--weights", write_tensors(scratch / "f8.safetensors", other, data + bytes(16)), *rest,
            words=["fc.bias", "F8_E4M3"])


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
    sys.exit(run_tests((test_default, test_command_line, test_compare_random, test_look, test_processors, test_many, test_images, test_checkpoints, test_left_over,
                        test_recorded_names, test_weights_key, test_arguments, test_waiting, test_statistics, test_writing), scratch))
