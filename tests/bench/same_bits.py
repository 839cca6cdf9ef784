#!/usr/bin/env python3
"""Whether two builds compute the same bits: profiles, input gradients, statistics, and tables of psal-prune and psal-finetune.

    tests/bench/same_bits.py OLD_BUILD NEW_BUILD [--weights FILE --stats FILE --data LIST]

On the networks of the box, and on one's own (a real ResNet-50, say: its statistics need not be those of the box) with the
mistakes and the first 50 photos of LIST. Each build may hold options for its programs: 'BUILD --processor avx2'. The last line
is "N the same, N different"; the status is 1 if one differs."""
import argparse
import pathlib
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BOX = ("resnet18", "vgg19", "densenet121", "inception_v3")
IMAGES = (("bag_called_sandal.png", "8"), ("dress.png", "3"))
ARRAYS = ("input", "logits", "naive", "standardized", "input_gradient")


class Build:
    def __init__(self, text):
        self.folder, *self.options = shlex.split(text)

    def run(self, tool, *arguments):
        command = [str(pathlib.Path(self.folder) / "tools" / tool), *map(str, arguments), "--quiet", *self.options]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"same_bits: {shlex.join(command)} ended with {done.returncode}: {done.stderr.strip()}")


def tensors(path):
    """The bytes of a safetensors file behind its header: metadata may tell more than before"""
    data = path.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little"):]


def explain(build, folder, arguments):
    build.run("psal-run", *arguments, "--dump", folder / "dump", "--out", folder / "figures")
    return {name: (folder / "dump" / f"{name}.npy").read_bytes() for name in ARRAYS}


def statistics(build, folder, arguments):
    build.run("psal-stats", *arguments, "--out", folder / "s.safetensors")
    return {"": tensors(folder / "s.safetensors")}


def table(tool):
    def run(build, folder, arguments):
        build.run(tool, *arguments, "--csv", folder / "table.csv")
        return {"": (folder / "table.csv").read_bytes()}
    return run


def cases(arguments):
    """(name, function, arguments of the program)"""
    for arch in BOX:
        weights = ["--weights", ROOT / "weights" / f"fashion_{arch}.safetensors"]
        data = ["--data", ROOT / "weights" / "fashion_samples" / "labels.csv"]
        for method in ("fast", "accurate", "direct", "gemm"):
            for image, label in IMAGES:
                yield f"{arch} {image} --conv {method}", explain, [
                    *weights, "--conv", method, "--image-path", ROOT / "weights" / "fashion_samples" / image,
                    "--image-target-label", label]
        yield f"{arch} statistics", statistics, [*weights, *data]
        for tool in ("psal-prune", "psal-finetune"):
            yield f"{arch} {tool}", table(tool), [*weights, *data, "-k", "1,5"]
    if not arguments.weights:
        return
    weights = ["--weights", arguments.weights]
    chosen = [line.rsplit(",", 1) for line in pathlib.Path(arguments.data).read_text().splitlines()[1:]][:3]
    stats = ["--stats", arguments.stats]
    for path, label in chosen:
        yield f"{arguments.weights} {path}", explain, [
            *weights, *stats, "--image-path", pathlib.Path(arguments.data).parent / path, "--image-target-label", label]
    data = ["--data", arguments.data, "--first"]
    yield f"{arguments.weights} statistics of 50", statistics, [*weights, *data, "50"]
    for tool in ("psal-prune", "psal-finetune"):
        yield f"{arguments.weights} {tool}", table(tool), [*weights, *stats, *data, "2", "-k", "1,10"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("old", type=Build)
    parser.add_argument("new", type=Build)
    parser.add_argument("--weights")
    parser.add_argument("--stats", default=str(ROOT / "weights" / "resnet50-keras_stats.safetensors"))
    parser.add_argument("--data")
    arguments = parser.parse_args()
    if arguments.weights and not arguments.data:
        parser.error("--weights needs --data LIST")
    same = different = 0
    with tempfile.TemporaryDirectory(prefix="psal-bits-") as scratch:
        for name, function, options in cases(arguments):
            found = []
            for side, build in (("old", arguments.old), ("new", arguments.new)):
                folder = pathlib.Path(scratch) / side
                folder.mkdir(exist_ok=True)
                found.append(function(build, folder, options))
            parts = [part for part in found[0] if found[0][part] != found[1][part]]
            same, different = same + (not parts), different + bool(parts)
            print(f"{'DIFFERENT' if parts else 'same     '} {name} {', '.join(parts)}".rstrip(), flush=True)
    print(f"{same} the same, {different} different")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
