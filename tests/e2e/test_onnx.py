#!/usr/bin/env python3
"""Every program with a network from an ONNX file.

    tests/e2e/test_onnx.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import json
import sys

import onnx_files
from checks import check, run_tests
from onnx_files import classifier, integers, node
from programs import bag, leftovers, lines_of, run, samples, scratch

PREPROCESS = ["--preprocess", "torchvision;resize=32;crop=32"]


def write(name, content):
    path = scratch / name
    path.write_bytes(content)
    return path


def works(what, program, *arguments):
    done = run(program, *arguments)
    check(what, done.returncode == 0, f"{done.returncode}: {lines_of(done)}")
    return done


def refused(what, word, program, *arguments):
    done = run(program, *arguments)
    said = lines_of(done)
    check(what, done.returncode == 1 and len(said) == 1 and word in said[0], f"{done.returncode}: {said}")


def test_programs():
    net = ["-w", write("net.onnx", onnx_files.classifier(1)), *PREPROCESS]
    stats, store, delta = scratch / "s.st", scratch / "p.npy", scratch / "d.st"
    done = works("psal-run", "psal-run", "--quiet", "--json", *net, "--mode", "naive", "-i", bag, "-l", 8, "--out", scratch / "o")
    answer = json.loads(done.stdout) if done.returncode == 0 else {"top_filters": [{}], "model": ""}
    check("names of the file", answer["top_filters"][0].get("layer") in ("a.weight", "b.weight"), answer["top_filters"][0])
    check("the architecture", answer["model"].startswith("onnx-"), answer["model"])
    works("psal-stats", "psal-stats", "--quiet", *net, "--data", samples / "labels.csv", "--out", stats, "--profiles", store)
    works("with statistics", "psal-run", "--quiet", *net, "--stats", stats, "-i", bag, "-l", 8, "--out", scratch / "o")
    works("psal-neighbors", "psal-neighbors", "--quiet", *net, "--store", store, "--stats", stats, "-i", bag)
    works("psal-prune", "psal-prune", "--quiet", *net, "--stats", stats, "-i", bag, "-l", 8, "--k", 2)
    works("psal-finetune", "psal-finetune", "--quiet", *net, "--stats", stats, "-i", bag, "-l", 8, "--k", 3, "--choices", "salient",
          "--save-delta", delta)
    works("with a delta", "psal-run", "--quiet", *net, "--mode", "naive", "--delta", delta, "-i", bag, "-l", 8, "--out", scratch / "o")
    other = ["-w", write("other.onnx", onnx_files.classifier(1, filters=7)), *PREPROCESS]
    refused("statistics of another network", "", "psal-run", "--quiet", *other, "--stats", stats, "-i", bag, "--out", scratch / "o")
    refused("a delta of another network", "", "psal-run", "--quiet", *other, "--mode", "naive", "--delta", delta, "-i", bag,
            "--out", scratch / "o")
    refused("a checkpoint of it", "call it .onnx", "psal-convert", net[1], scratch / "saved.safetensors", *PREPROCESS)
    refused("half", "--half", "psal-convert", net[1], scratch / "saved.onnx", *PREPROCESS, "--half")
    refused("no preprocessing", "--preprocess", "psal-convert", net[1], scratch / "saved.onnx")
    check("nothing saved", not list(scratch.glob("saved*")) and not leftovers(scratch), leftovers(scratch))


def arrays(what, *arguments):
    """What --dump writes, by name"""
    dump = scratch / "dump"
    works(what, "psal-run", "--quiet", "--mode", "naive", "-i", bag, "-l", 8, "--out", scratch / "o", "--dump", dump, *arguments)
    return {path.name: path.read_bytes() for path in sorted(dump.glob("*.npy"))}


def test_saved():
    """psal-convert records what the file does not say; --save writes the file with the changed weights, as a delta has them"""
    net = write("net.onnx", onnx_files.classifier(1))
    names = write("names.txt", b"\n".join(b"class %d" % i for i in range(10)) + b"\n")
    recorded, again, saved, delta = (scratch / name for name in ("recorded.onnx", "again.onnx", "changed.onnx", "changed.st"))
    works("psal-convert", "psal-convert", "--quiet", net, recorded, *PREPROCESS, "--labels", names)
    content = recorded.read_bytes()
    check("all of the file is there", content.startswith(net.read_bytes()), len(content))
    works("once more", "psal-convert", "--quiet", recorded, again)
    check("the same bytes", again.read_bytes() == content, "")
    plain = arrays("of the file", "-w", net, *PREPROCESS)
    check("recorded, without options", arrays("of the copy", "-w", recorded) == plain, "")
    done = works("names", "psal-run", "--quiet", "--json", "-w", recorded, "--mode", "naive", "-i", bag, "-l", "class 8", "--out",
                 scratch / "o")
    check("a recorded name", done.returncode == 0 and json.loads(done.stdout)["target"]["name"] == "class 8", done.stdout[:200])
    stats = scratch / "recorded.st"
    works("psal-stats", "psal-stats", "--quiet", "-w", recorded, "--data", samples / "labels.csv", "--out", stats)
    works("psal-finetune", "psal-finetune", "--quiet", "-w", recorded, "--stats", stats, "-i", bag, "-l", 8, "--k", 3, "--choices",
          "salient", "--save-delta", delta, "--save", saved)
    changed = arrays("with the delta", "-w", recorded, "--delta", delta)
    check("saved as the delta says", arrays("of what was saved", "-w", saved) == changed != plain, "")
    works("psal-prune", "psal-prune", "--quiet", "-w", recorded, "--stats", stats, "-i", bag, "-l", 8, "--k", 2, "--choices", "salient",
          "--save", again)
    check("pruned", arrays("of what was pruned", "-w", again) not in (plain, changed), "")
    check("no leftovers", not leftovers(scratch), leftovers(scratch))


def test_folded():
    """Statistics of other weights do not belong to a network with folded normalisation"""
    one, two = (["-w", write(f"folded{i}.onnx", onnx_files.classifier(i, lost=True)), *PREPROCESS] for i in (1, 2))
    stats = scratch / "folded.st"
    done = works("psal-stats", "psal-stats", *one, "--data", samples / "labels.csv", "--out", stats)
    check("it is said", b"folded batch normalisation" in done.stderr, done.stderr)
    works("its own statistics", "psal-run", "--quiet", *one, "--stats", stats, "-i", bag, "--out", scratch / "o")
    refused("those of other weights", "not of these weights", "psal-run", "--quiet", *two, "--stats", stats, "-i", bag, "--out",
            scratch / "o")


def answer(what, content, *more, says=(), status=0):
    """The answer of psal-run --quiet, and whether it says these words in one line"""
    done = run("psal-run", "--quiet", "--json", "-w", write("answer.onnx", content), *PREPROCESS, "--mode", "naive", "-i", bag, "-l", 8,
               "--out", scratch / "o", *more)
    said = done.stderr.decode().splitlines()
    check(what, done.returncode == status and len(said) == bool(says) and all(word in said[0] for word in says), f"{done.returncode}: {said}")
    if done.returncode:
        return None
    result = json.loads(done.stdout)
    return {key: result[key] for key in ("target", "predicted", "loss", "top_filters")}


def test_last_operators():
    """The classes are those in front of what makes probabilities; what does not belong to a softmax is said, also with --quiet"""
    plain = answer("logits", classifier(1))
    for kind in ("Softmax", "LogSoftmax"):
        check(kind, answer(kind, classifier(1, more=node(kind, ["logits"], "p", axis=-1), outputs=[("p", [1, 10])])) == plain)
    sigmoid = classifier(1, more=node("Sigmoid", ["logits"], "p"), outputs=[("p", [1, 10])])
    says = ("in front of Sigmoid", "do not exclude each other", "--logit")
    check("Sigmoid", answer("Sigmoid", sigmoid, says=says) == plain)
    check("Sigmoid, its logit", answer("Sigmoid, its logit", sigmoid, "--logit", says=says) == answer("its logit", classifier(1), "--logit"))


def test_outputs():
    """Of several outputs the first, which is said, or the one that is asked for"""
    plain = answer("one output", classifier(1))
    features, logits = ("6", [1, 6]), ("logits", [1, 10])
    both = ("took the first of 2 outputs", "'logits'", "'6'", "--weights-key")
    check("logits first", answer("logits first", classifier(1, outputs=[logits, features]), says=both) == plain)
    content = classifier(1, outputs=[features, logits])
    done = run("psal-run", "--quiet", "-w", write("features.onnx", content), *PREPROCESS, "--mode", "naive", "-i", bag, "--out", scratch / "o")
    said = done.stderr.decode()
    check("features first", done.returncode == 0 and all(word in said for word in both), said)
    check("the second", answer("the second", content, "--weights-key", "logits") == plain)
    content = classifier(1, outputs=[("4", [1, 6, 8, 8]), logits])
    answer("no classes first", content, says=("its output '4' has shape 1x6x", "--weights-key NAME takes another output"), status=1)
    check("the classes second", answer("the classes second", content, "--weights-key", "logits") == plain)
    answer("no such output", content, "--weights-key", "log", says=("--weights-key", "'4', 'logits'", "not 'log'"), status=1)


def test_computed_weights():
    """Filters of convolutions whose weights are computed are missing from the profile: that is said, also with --quiet"""
    result = answer("computed weights", classifier(1, first=(node("Add", ["a.weight", "a.weight"], "w"), "w")), "--k-salient", 3,
                    says=("1 convolution ('/a/Conv')", "not in the profile"))
    check("other filters", result and {row["layer"] for row in result["top_filters"]} == {"b.weight"}, result)
    answer("the file's own", classifier(1))


def test_images_at_a_time():
    """What a file was exported for, one image at a time or eight, stands in its shapes, and does not matter"""
    plain = answer("one at a time", classifier(1))
    for rest in (10, -1):
        eight = classifier(1, images=8, more=node("Reshape", ["logits", "shape"], "r") + integers("shape", [8, rest]), outputs=[("r", [8, 10])])
        check(f"eight, {rest}", answer(f"eight at a time, {rest}", eight) == plain)
    # One image's logits as a vector: such a network cannot take two images, which nothing but speed would need.
    vector = node("Reshape", ["logits", "flat"], "v") + node("Reshape", ["v", "shape"], "r") + integers("flat", [10]) + integers("shape", [1, 10])
    rows = []
    for name, content in (("batch", classifier(1)), ("single", classifier(1, more=vector, outputs=[("r", [1, 10])]))):
        net = ["-w", write(f"{name}.onnx", content), *PREPROCESS]
        works(f"psal-stats, {name}", "psal-stats", "--quiet", *net, "--data", samples / "labels.csv", "--out", scratch / f"{name}.st")
        done = works(f"psal-prune, {name}", "psal-prune", "--quiet", *net, "--stats", scratch / f"{name}.st", "-i", bag, "-l", 8, "--k", "1,2,3",
                     "--choices", "salient,random", "--json")
        rows.append(json.loads(done.stdout)["rows"] if done.returncode == 0 else name)
    check("the same changes", rows[0] == rows[1], rows)


def test_refused():
    good = write("good.onnx", onnx_files.classifier(1))
    rest = ["--mode", "naive", "-i", bag, "--out", scratch / "o"]
    refused("no preprocessing", "--preprocess", "psal-run", "--quiet", "-w", good, *rest)
    refused("another size", "made for images of 32 x 32", "psal-run", "--quiet", "-w", good, "--preprocess", "torchvision", *rest)
    for option in (["--model", "resnet18"], ["--variant", "v1"], ["--bn-epsilon", "0.1"], ["--weights-key", "x"]):
        refused(f"{option[0]}", option[0], "psal-run", "--quiet", "-w", good, *PREPROCESS, *option, *rest)
    bad = write("bad.onnx", onnx_files.classifier(1).replace(b"GlobalAveragePool", b"GlobalBetteryPool"))
    refused("an unknown operator", "(GlobalBetteryPool): psal has no such operator; of this file's it has Conv, Relu", "psal-run",
            "--quiet", "-w", bad, *PREPROCESS, *rest)
    last = write("last.onnx", classifier(1, image=[1, 32, 32, 3]))
    refused("channels last", "'image' has the channels last (1x32x32x3)", "psal-run", "--quiet", "-w", last, *PREPROCESS, *rest)
    content = good.read_bytes()
    for part in (2, 3, 10):
        refused(f"cut to 1/{part}", "cut.onnx", "psal-run", "--quiet", "-w", write("cut.onnx", content[:len(content) // part]),
                *PREPROCESS, *rest)


if __name__ == "__main__":
    sys.exit(run_tests((test_programs, test_saved, test_folded, test_last_operators, test_outputs, test_computed_weights,
                        test_images_at_a_time, test_refused), scratch))
