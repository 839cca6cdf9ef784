#!/usr/bin/env python3
"""What people ask for beside the paper's defaults: choices by magnitude, isotropic noise, noise in pixels' units, other labels, and
the difference between two labels' profiles.

    tests/e2e/test_choices.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"."""
import array
import json
import struct
import zlib

from checks import check, run_tests
from programs import bag, network, run_text, samples, scratch, statistics
from test_tail import read_npy, read_tensors

VOLATILE = ("seconds", "seconds_loading", "seconds_total", "files")


def run(program, *arguments):
    done = run_text(program, *arguments)
    if done.returncode:
        raise RuntimeError(f"{program}: status {done.returncode}: {done.stderr}")
    return done


def explain(name, *arguments, image=bag):
    """(result, arrays by name)"""
    dump = scratch / name
    result = json.loads(run("psal-run", "-w", network, "-i", image, "--json", "--out", scratch / "run", "--dump", dump, *arguments).stdout)
    return ({key: value for key, value in result.items() if key not in VOLATILE},
            {path.stem: read_npy(path) for path in dump.glob("*.npy")})


def refused(name, program, arguments, *said):
    done = run_text(program, *arguments)
    line = done.stderr.strip().split("\n")[-1]
    check(name, done.returncode in (1, 2) and all(part in line for part in said), f"{done.returncode}: {line}")


def distance(a, b):
    """Relative, in the Euclidean norm"""
    return (sum((x - y) ** 2 for x, y in zip(a, b)) / (sum(y * y for y in b) or 1)) ** 0.5


def write_png(path, pixels, side=28):
    """One grey level for all"""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes([pixels]) * side for _ in range(side))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


# ---- labels ----

def test_labels():
    usual, arrays = explain("usual")
    said, same = explain("said", "-l", "predicted")
    check("predicted is what stands in without a label", usual == said and arrays == same)
    logits = arrays["logits"]
    order = sorted(range(len(logits)), key=lambda c: -logits[c])
    second, found = explain("second", "-l", "second")
    given, there = explain("given", "-l", order[1])
    check("second is the runner-up", second["target"]["class"] == order[1] and found == there, second["target"])
    check("recorded", usual["settings"]["stands_in"] == "predicted" and second["settings"]["stands_in"] == "second" and
          not second["labelled"] and given["labelled"])
    done = run("psal-run", "-w", network, "-i", bag, "-l", "second", "--out", scratch / "run")
    check("and said", "(the runner-up)" in done.stdout, done.stdout)
    refused("for all images or none", "psal-run", ("-i", bag, "-i", bag, "-l", "second", "-l", "8", "--out", scratch / "run"),
            "--image-target-label second: for all images, or for none")
    many = ("-i", bag, "-i", samples / "sandal.png", "--out", scratch / "many")
    run("psal-run", *many, "-l", "second")
    refused("resumed with another", "psal-run", (*many, "--resume"), "stands_in is \"second\" there and \"predicted\" here")


def test_against():
    for mode in ("std", "norm", "naive"):
        arguments = ("--mode", mode) + (("--stats", statistics) if mode != "naive" else ())
        label, ones = explain("label", "-l", 8, *arguments)
        against, others = explain("against", "-l", 5, *arguments)
        result, found = explain("difference", "-l", 8, "--against", 5, *arguments)
        expected = [a - b for a, b in zip(ones["standardized"], others["standardized"])]
        check(f"{mode}: the difference of the profiles", distance(found["standardized"], expected) < 1e-6)
        check(f"{mode}: naive ones too", distance(found["naive"], [a - b for a, b in zip(ones["naive"], others["naive"])]) < 1e-6)
        check(f"{mode}: against", result["against"]["class"] == 5 and result["settings"]["against"] == "5" and
              label["against"] is None and label["settings"]["against"] == "none" and not result["below_average"])
        best = max(range(len(expected)), key=lambda i: expected[i])
        check(f"{mode}: the top filter", result["top_filters"][0]["filter"] == best, result["top_filters"][0])
        check(f"{mode}: there is a map", result["map"] and any(found["input_gradient"]))
        word, words = explain("word", "-l", 8, "--against", "predicted", *arguments)
        check(f"{mode}: predicted", word["against"]["class"] == word["predicted"]["class"] == 5 and words == found)
    done = run("psal-run", "-w", network, "-i", bag, "-l", 8, "--against", "sandal", "--out", scratch / "run")
    check("said", "against      5  " in done.stdout and "its profile is subtracted" in done.stdout, done.stdout)
    refused("the label itself", "psal-run", ("-w", network, "-i", bag, "-l", 8, "--against", 8, "--out", scratch / "run"),
            "--against: class 8 is the label itself")
    refused("no class", "psal-run", ("-w", network, "-i", bag, "-l", 8, "--against", "boat", "--out", scratch / "run"), "--against: ", "boat")


def test_map_of_a_difference():
    """Boosting the upper half of d by f is boosting the lower half of -d by 1 / f, but for the length: with the labels exchanged the
    cosine is the same function of the pixels."""
    usual, _ = explain("all", "-l", 8)
    half = usual["rankable"] // 2
    one, first = explain("one", "-l", 8, "--against", 5, "-k", half, "-b", 10)
    other, second = explain("other", "-l", 5, "--against", 8, "-k", usual["rankable"] - half, "-b", 0.1)
    check("the same cosine", abs(one["cosine"] - other["cosine"]) < 1e-5, (one["cosine"], other["cosine"]))
    check("the same map", distance(first["input_gradient"], second["input_gradient"]) < 1e-3,
          distance(first["input_gradient"], second["input_gradient"]))
    _, alone = explain("alone", "-l", 8, "-k", half, "-b", 10)
    check("not that of one label", distance(first["input_gradient"], alone["input_gradient"]) > 0.1)


# ---- noise ----

def test_noise():
    """On a black image of mean 0, both kinds are the same numbers"""
    black = write_png(scratch / "black.png", 0)
    prepare = ("--preprocess", "rgb;resize=none;crop=32;scale=255;mean=0;std=0.353", "--mode", "naive", "-l", 8, "--noise-iters", 3)
    _, percent = explain("percent", *prepare, "--noise-percent", 0.25, image=black)
    result, pixels = explain("pixels", *prepare, "--noise-sd", 0.25 * 255 * 0.353, image=black)
    check("in the units of pixels", distance(pixels["naive"], percent["naive"]) < 1e-5 and
          distance(pixels["input_gradient"], percent["input_gradient"]) < 1e-3, distance(pixels["naive"], percent["naive"]))
    check("recorded", abs(result["settings"]["noise_sd"] - 0.25 * 255 * 0.353) < 1e-12 and result["settings"]["noise_percent"] == 0)
    _, clean = explain("clean", "-l", 8)
    _, little = explain("little", "-l", 8, "--noise-sd", 0.01)
    _, much = explain("much", "-l", 8, "--noise-sd", 20)
    check("more noise, more change", 0 < distance(little["naive"], clean["naive"]) < 0.05 < distance(much["naive"], clean["naive"]))
    refused("one of the two", "psal-run", ("-i", bag, "-l", 8, "--noise-sd", 1, "--noise-percent", 0.1, "--out", scratch / "run"),
            "give only one of --noise-percent and --noise-sd")


# ---- choices ----

def changed(*arguments):
    """{tensor: filters} that psal-finetune changed"""
    delta = scratch / "delta.st"
    run("psal-finetune", "-i", bag, "-l", 8, *arguments, "--save-delta", delta)
    data = delta.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    return {name: array.array("q" if entry["dtype"] == "I64" else "i", data[start + entry["data_offsets"][0]:
                                                                          start + entry["data_offsets"][1]]).tolist()
            for name, entry in json.loads(data[8:start]).items() if name.endswith(".filters")}


def test_choices():
    result, arrays = explain("ranking", "-l", 8, "--top", 1200)
    values = arrays["standardized"]
    places = {row["filter"]: (row["layer"], row["filter_in_layer"]) for row in result["top_filters"]}
    least = sorted(places, key=lambda i: abs(values[i]))[:3]
    found = changed("-k", 3, "-c", "least-abs")
    expected = {}
    for i in least:
        expected.setdefault(f"{places[i][0]}.filters", []).append(places[i][1])
    check("the smallest magnitudes", {name: sorted(f) for name, f in found.items()} == {name: sorted(f) for name, f in expected.items()},
          (found, expected))
    table = json.loads(run("psal-prune", "-k", "5", "-c", "salient,salient-abs,least,least-abs", "--how", "isotropic", "--json").stdout)
    check("all in one table", [row["choice"] for row in table["rows"]] == ["salient", "salient-abs", "least", "least-abs"] and
          table["how"] == "isotropic", table["rows"])
    refused("no choice", "psal-prune", ("-c", "most"), "salient-abs, least-abs, gradient-weight or all")


# ---- gradient x weight ----

def by_layer(filters, places):
    found = {}
    for i in filters:
        found.setdefault(f"{places[i][0]}.filters", set()).add(places[i][1])
    return found


def test_gradient_weight():
    """The sum of gradient x weight: with and without sign, with statistics of its own, and as a way to choose"""
    size, plain = explain("size", "-l", 8, "--gradient-weight", "--mode", "naive", "--top", 1200)
    signed, change = explain("change", "-l", 8, "--gradient-weight", "--signed", "--mode", "naive")
    _, usual = explain("usual", "-l", 8)
    check("the magnitude of the change", all(abs(a) == b for a, b in zip(change["naive"], plain["naive"])) and min(change["naive"]) < 0)
    check("another profile", distance(plain["naive"], usual["naive"]) > 0.1)
    check("a map of its own", size["map"] and distance(plain["input_gradient"], usual["input_gradient"]) > 0.1)
    check("recorded", size["settings"]["gradient_weight"] and not explain("none", "-l", 8)[0]["settings"]["gradient_weight"])
    places = {row["filter"]: (row["layer"], row["filter_in_layer"]) for row in size["top_filters"]}
    found = changed("-k", 3, "-c", "gradient-weight")
    falls = sorted(range(len(change["naive"])), key=lambda i: change["naive"][i])[:3]
    check("psal-finetune takes those without which the loss falls", {name: set(f) for name, f in found.items()} == by_layer(falls, places),
          (found, falls))
    row = json.loads(run("psal-prune", "-k", "1", "-c", "gradient-weight,naive", "--json").stdout)["rows"]
    check("psal-prune too: the true class gains", [r["choice"] for r in row] == ["gradient-weight", "naive"] and row[0]["true_confidence"] > 0, row)
    ordinary = ("-w", network, "-i", bag, "-l", 8, "--gradient-weight", "--out", scratch / "run")
    refused("statistics of the usual profiles", "psal-run", (*ordinary, "--stats", statistics), "its --gradient-weight is '0', but here it is '1'")
    own, store = scratch / "own.st", scratch / "own.npy"
    run("psal-stats", "--data", samples / "labels.csv", "--gradient-weight", "--out", own, "--profiles", store)
    said, standard = explain("own", "-l", 8, "--gradient-weight", "--stats", own)
    check("standardized with its own", said["settings"]["mode"] == "std" and standard["naive"] == plain["naive"])
    refused("which are no others'", "psal-run", ("-w", network, "-i", bag, "-l", 8, "--stats", own, "--out", scratch / "run"),
            "its --gradient-weight is '1', but here it is '0'")
    refused("nor is its store", "psal-neighbors", ("--store", store, "-w", network, "-i", bag, "-l", 8), "--gradient-weight is '1'")


if __name__ == "__main__":
    raise SystemExit(run_tests((test_labels, test_against, test_map_of_a_difference, test_noise, test_choices, test_gradient_weight), scratch))
