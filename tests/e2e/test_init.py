#!/usr/bin/env python3
"""psal-init: how it finds out the preprocessing of images that are not square, and what it says in the end.

    tests/e2e/test_init.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"."""
import json
import shlex
import struct
import zlib

from checks import check, run_tests
from onnx_files import data, floats, node, number, port
from programs import network, run_text, samples, scratch

SIDE = 8


def said(done):
    return f"{done.returncode}: {done.stdout[-900:]} | {done.stderr[-600:]}"


def png(path, rows):
    """Grey pixels"""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))) + chunk(b"IEND", b""))


def edge_network():
    """Three classes of images of 8x8 with ImageNet's normalisation: a bright first column, a bright last one, or neither (less than about
    38 of 255, which is -1.3 after it)"""
    columns = ([1, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1], [0] * 8)
    weights = [value / (3 * SIDE) for column in columns for _channel in range(3) for _row in range(SIDE) for value in column]
    graph = (node("Conv", ["image", "w", "b"], "1", "/edge/Conv") + node("Flatten", ["1"], "logits", axis=1) +
             floats("w", (3, 3, SIDE, SIDE), weights) + floats("b", (3,), [0, 0, -1.3]) + port(11, "image", [1, 3, SIDE, SIDE]) +
             port(12, "logits", [1, 3]))
    path = scratch / "edge.onnx"
    path.write_bytes(number(1, 7) + data(2, "test") + data(7, graph) + data(8, number(2, 14)))
    return path


def wide_pictures(folder, mistake=False):
    """16x8 pixels, black but for a column of two pixels"""
    for i in range(20):
        bright, dark = 50 + 2 * i, 5 + i
        for name, row in (("0left", [bright] * 2 + [0] * 14), ("1right", [0] * 14 + [bright] * 2), ("2dim", [dark] * 2 + [0] * 14)):
            png(folder / name / f"{i}.png", [row] * SIDE)
    if mistake:
        png(folder / "2dim" / "it's odd.png", [[49, 49] + [0] * 14] * SIDE)


def test_stretched():
    """Resize((8, 8)) shows the edges, cutting out the middle does not"""
    wide_pictures(scratch / "wide")
    done = run_text("psal-init", "-w", edge_network(), "-d", "wide", "-o", "wide.json", "--no-store")
    rows = [line.split() for line in done.stdout.splitlines() if " % " in line and ";" in line]
    check("stretching is tried, and found", done.returncode == 0 and rows[0][3].startswith("rgb;resize=8x8;scale=255;mean=0.485") and
          rows[0][2] == "60" and any("resize=9;crop=8" in row[3] for row in rows) and "Not all images are square" in done.stdout, said(done))
    check("in words, with the reason", "words:\n  Resize((8, 8)), ToTensor(), Normalize((0.485" in done.stdout and
          "Of the 10 that were tried it is the one with most right answers: 60 of 60" in done.stdout, said(done))
    check("which may be another one", "if the network was right more often in training" in done.stderr, said(done))
    check("or not", "If training said more than 100 %, this is not the right preprocessing" in done.stdout, said(done))
    check("no mistake", "None of them is a mistake" in done.stdout and "Next:" not in done.stdout, said(done))
    contents = json.loads((scratch / "wide.json").read_text())
    check("and kept", contents["preprocess"] == rows[0][3], contents)
    for path in sorted((scratch / "wide").rglob("*.png")):
        (scratch / "square" / path.parent.name).mkdir(parents=True, exist_ok=True)
        png(scratch / "square" / path.parent.name / path.name, [[9] * 8] * 8)
    done = run_text("psal-init", "-w", edge_network(), "-d", "square", "-o", "square.json")
    check("square ones are not stretched", done.returncode == 1 and "resize=8x8" not in done.stdout and "as few as by guessing" in done.stderr and
          "torchvision;resize=64x64" in done.stderr, said(done))


def test_next_commands():
    """They can be typed as they are, whatever the names"""
    wide_pictures(scratch / "odd names", mistake=True)
    folder = scratch / "odd names"
    (folder / "2dim").rename(folder / "2 dim & -1")
    done = run_text("psal-init", "-w", edge_network(), "-d", folder, "-o", "odd one.json")
    lines = done.stdout.split("Next:\n")[-1].splitlines()
    check("named", done.returncode == 0 and "One of its mistakes: 2 dim & -1/it's odd.png is 2 dim & -1, and is taken for 0left" in done.stdout and
          len(lines) == 2, said(done))
    program, *arguments = shlex.split(lines[0])
    run = run_text(program, *arguments, "-k", "2", "--figures", "none", "--json")
    result = json.loads(run.stdout or "{}")
    check("psal-run explains it", run.returncode == 0 and result["target"]["name"] == "2 dim & -1" and not result["correct"] and
          result["predicted"]["name"] == "0left", said(run))
    check("then psal-report", shlex.split(lines[1]) == ["psal-report", "--project", "odd one.json"], lines)
    done = run_text("psal-init", "-w", edge_network(), "-d", folder, "-o", "odd one.json", "--replace", "--json")
    result = json.loads(done.stdout or "{}")
    check("in JSON too", result["next"] == [line.strip() for line in lines] and result["mistake"]["sample"] == "2 dim & -1/it's odd.png" and
          result["tried"][0]["words"].startswith("Resize((8, 8)), ToTensor()"), said(done))


def test_what_is_wrong_at_once():
    """An error in --preprocess before the network is read; a folder too many is named; a crop larger than the picture is remarked"""
    wide_pictures(scratch / "stray")
    for name in ("__MACOSX", *(f"z{i}" for i in range(9))):
        png(scratch / "stray" / name / "0.png", [[0] * 16] * SIDE)
    for how, words in (("resize=8x8;mean=0.5", "rgb;resize=64x64;scale=255;mean="), ("rgb;resize=8x8;mean=0.5;std=0.2", ";scale=255")):
        done = run_text("psal-init", "-w", "none.onnx", "-d", "stray", "-o", "stray.json", "--preprocess", how)
        check(f"--preprocess {how}", done.returncode == 1 and done.stderr.startswith("psal-init: --preprocess: ") and words in done.stderr,
              said(done))
    done = run_text("psal-init", "-w", edge_network(), "-d", "stray", "-o", "stray.json")
    check("the folders", done.returncode == 1 and "has 13 class folders (0left, 1right, 2dim, __MACOSX, z0, z1, z2, z3, z4, z5, ...), but the "
          "network 3 classes" in done.stderr, said(done))
    for how, remarked in (("torchvision;resize=4;crop=8", True), ("torchvision;resize=8;crop=8", False),
                          ("Resize((8, 8)), ToTensor(), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))", False)):
        run = run_text("psal-run", "-w", edge_network(), "-i", "stray/0left/0.png", "-l", "0", "-k", "2", "--mode", "naive", "--figures", "none",
                       "--preprocess", how, "--json")
        check(f"remarked: {how}", run.returncode == 0 and ("the crop of 8x8 is larger than images are after resize=4" in run.stderr) == remarked,
              said(run))


def test_numbers_as_names():
    """Class folders that are called as other classes are numbered: each can be said, and what is printed can be typed"""
    wide_pictures(scratch / "from one", mistake=True)
    for number, name in enumerate(("0left", "1right", "2dim"), 1):
        (scratch / "from one" / name).rename(scratch / "from one" / str(number))
    done = run_text("psal-init", "-w", edge_network(), "-d", "from one", "-o", "one.json")
    lines = done.stdout.split("Next:\n")[-1].splitlines()
    check("the name of no class's number", done.returncode == 0 and lines[0].endswith(" -l 3"), said(done))
    picture = "from one/3/it's odd.png"
    for label, number in (("3", 2), ("name:1", 0), ("number:1", 1), ("name:2", 1), ("0", 0)):
        run = run_text("psal-run", "--project", "one.json", "-i", picture, "-l", label, "-k", "2", "--figures", "none", "--json")
        check(f"-l {label}", run.returncode == 0 and json.loads(run.stdout)["target"]["class"] == number, said(run))
    run = run_text("psal-run", "--project", "one.json", "-i", picture, "-l", "2", "-k", "2", "--figures", "none", "--json")
    check("ambiguous", run.returncode == 1 and "say number:2 or name:2" in run.stderr, said(run))
    for names, said_so in (("0 2 1", "name:1"), ("left right 10", "10"), ("left right 0", "name:0"), ("1 0 2", "2")):
        folder, names = scratch / f"names {names}", names.split()
        wide_pictures(folder, mistake=True)
        for before, name in zip(("0left", "1right", "2dim"), names):
            (folder / before).rename(folder / name)
        done = run_text("psal-init", "-w", edge_network(), "-d", folder, "-o", "names.json", "--labels", json.dumps(names), "--replace")
        line = done.stdout.split("Next:\n")[-1].splitlines()[0]
        run = run_text(*shlex.split(line), "-k", "2", "--figures", "none", "--json")
        check(f"classes {names}", done.returncode == 0 and line.endswith(f" -l {said_so}") and run.returncode == 0 and
              json.loads(run.stdout)["target"]["class"] == 2, said(done) + said(run))


def test_images_without_files():
    """Of an IDX file: by number"""
    idx = "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz"
    done = run_text("psal-init", "-w", network, "-d", f"idx:{idx},{idx.replace('images-idx3', 'labels-idx1')}", "--limit", "100",
                    "--tries", "20", "--no-store")
    line = done.stdout.split("Next:\n")[-1].splitlines()[0]
    run = run_text(*shlex.split(line), "--figures", "none", "--json")
    result = json.loads(run.stdout or "{}")
    check("by its number", done.returncode == 0 and run.returncode == 0 and line.startswith("  psal-run --reference-id ") and
          not result["correct"] and f"{result['image'].split('/')[-1]} is {result['target']['name']}, " in done.stdout, said(done) + said(run))
    run = run_text("psal-run", "-i", samples / "bag_called_sandal.png", "-l", "Bag", "--look", "1", "--figures", "none", "--json")
    check("--look has the project's data set", run.returncode == 0 and json.loads(run.stdout)["look"]["looked_at"] == 10000, said(run))
    (scratch / "psal.json").unlink()


if __name__ == "__main__":
    raise SystemExit(run_tests((test_stretched, test_next_commands, test_what_is_wrong_at_once, test_numbers_as_names, test_images_without_files), scratch))
