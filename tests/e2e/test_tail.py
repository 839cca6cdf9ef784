#!/usr/bin/env python3
"""Peaks over threshold, from a store to every program that takes --mode pot: 300 images of Fashion-MNIST, the ResNet-18 in the box.

    tests/e2e/test_tail.py TOOLS-DIR SOURCE-DIR

Scores are those of the tails in the file; each program uses them; files are found, and refused, as what they are. Needs Debian's
dataset-fashion-mnist, nothing beside Python else. Prints a line per failure and "N passed, N failed"."""
import array
import csv
import json
import math
import pathlib
import shutil
import struct

from checks import check, run_tests
from programs import bag, network, run_text, samples, scratch, statistics, weights

DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
SPEC = f"idx:{DATA}/t10k-images-idx3-ubyte.gz,{DATA}/t10k-labels-idx1-ubyte.gz"
STORE, ORDINARY, TAILS = scratch / "p.npy", scratch / "s.st", scratch / "t.st"
IMAGES, KNOTS = 300, 17


def run(program, *arguments, **variables):
    done = run_text(program, *arguments, **variables)
    if done.returncode:
        raise RuntimeError(f"{program}: status {done.returncode}: {done.stderr}")
    return done.stdout


def refused(name, program, arguments, *said, **variables):
    done = run_text(program, *arguments, **variables)
    line = done.stderr.strip().split("\n")[-1]
    check(name, done.returncode == 1 and all(part in line for part in said), f"{done.returncode}: {line}")


def read_tensors(path):
    """({name: values} of float64 tensors, metadata)"""
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    metadata = header.pop("__metadata__")
    return {name: struct.unpack(f"<{(e['data_offsets'][1] - e['data_offsets'][0]) // 8}d",
                                data[start + e["data_offsets"][0]:start + e["data_offsets"][1]])
            for name, e in header.items() if e["dtype"] == "F64"}, metadata


def read_npy(path):
    data = path.read_bytes()
    start = 10 + struct.unpack("<H", data[8:10])[0]
    return array.array({"<f4": "f", "<f2": "e"}[data[10:start].decode().split("'descr': '")[1][:3]], data[start:]).tolist()


def read_profiles():
    """The store's rows"""
    with open(f"{STORE}.csv", newline="") as file:
        count = sum(1 for _ in csv.DictReader(file))
    data = STORE.read_bytes()
    start = 10 + struct.unpack("<H", data[8:10])[0]
    length = (len(data) - start) // 4 // count
    return [array.array("f", data[start + 4 * length * i:start + 4 * length * (i + 1)]).tolist() for i in range(count)]


class Tails:
    def __init__(self, path):
        tensors, metadata = read_tensors(path)
        self.quantiles, self.rate = tensors["tail.quantiles"], tensors["tail.rate"]
        self.shape, self.scale = tensors["tail.shape"], tensors["tail.scale"]
        self.quantile, self.samples = float(metadata["psal.tail_quantile"]), int(metadata["psal.tail_samples"])

    def score(self, i, s):
        """saliency/tail.h"""
        knots, xi, sigma = self.quantiles[i * KNOTS:(i + 1) * KNOTS], self.shape[i], self.scale[i]
        if sigma == 0 or s <= knots[0]:
            return 0.0
        if s <= knots[-1]:
            k = next(k for k in range(1, KNOTS) if s <= knots[k])
            share = (k - 1 + (s - knots[k - 1]) / (knots[k] - knots[k - 1])) / (KNOTS - 1)
            return -math.log(1 - self.quantile * share)
        x = (s - knots[-1]) / sigma
        reach = math.log(self.samples * self.rate[i])
        if xi < 0 and x > math.expm1(xi * reach) / xi:
            return reach + (x - math.expm1(xi * reach) / xi) * math.exp(-xi * reach) - math.log(self.rate[i])
        return (math.log1p(xi * x) / xi if xi else x) - math.log(self.rate[i])

    def scores(self, profile):
        return [self.score(i, s) for i, s in enumerate(profile)]


def explain(*arguments, **variables):
    return json.loads(run("psal-run", "-w", network, "-i", bag, "-l", 8, "--json", "--out", scratch / "run", *arguments, **variables))


def close(found, expected, tolerance):
    return len(found) == len(expected) and all(abs(a - b) <= tolerance * (1 + abs(b)) for a, b in zip(found, expected))


def test_make():
    run("psal-stats", "--quiet", "--data", SPEC, "--limit", IMAGES, "--out", ORDINARY, "--profiles", STORE)
    said = run("psal-stats", "tail", STORE, TAILS)
    check("it says what it made", f"tails of 1200 entries above their 0.9 quantiles, from {IMAGES} samples" in said and
          "shape (0: exponential" in said, said)
    (tensors, metadata), (ordinary, there) = read_tensors(TAILS), read_tensors(ORDINARY)
    record = ("psal.arch", "psal.fingerprint", "psal.preprocess", "psal.aggregation", "psal.loss", "psal.signed", "psal.normalized",
              "psal.bn_epsilon", "psal.dataset", "psal.samples", "psal.count")
    check("the record is that of the store", all(metadata[key] == there[key] for key in record),
          [(key, metadata.get(key), there.get(key)) for key in record])
    check("tails", metadata["psal.tail_quantile"] == "0.9" and metadata["psal.tail_samples"] == str(IMAGES), metadata)
    check("mean and deviation are those of the rows", close(tensors["mean"], ordinary["mean"], 1e-3) and
          close(tensors["std"], ordinary["std"], 1e-3))
    again = scratch / "again.st"
    run("psal-stats", "tail", STORE, again, "--threads", 1)
    check("threads do not matter", again.read_bytes() == TAILS.read_bytes())
    other = run("psal-stats", "tail", STORE, again, "--quantile", "0.8")
    check("another threshold", "above their 0.8 quantiles" in other and read_tensors(again)[1]["psal.tail_quantile"] == "0.8", other)


def test_run():
    result = explain("--mode", "pot", "--stats", TAILS, "--dump", scratch / "dump", "--top", "5")
    naive, scores = read_npy(scratch / "dump" / "naive.npy"), read_npy(scratch / "dump" / "standardized.npy")
    tails = Tails(TAILS)
    check("scores are as defined", close(scores, tails.scores(naive), 1e-5))
    best = sorted((i for i in range(len(naive)) if tails.scale[i] > 0), key=lambda i: -scores[i])[:5]
    check("ranked by score", [f["filter"] for f in result["top_filters"]] == best, (result["top_filters"], best))
    check("recorded", result["mode"] == "pot" and result["settings"]["mode"] == "pot" and
          result["settings"]["tail_quantile"] == 0.9, result["settings"])
    check("there is a map", result["map"] and 0 < result["cosine"] < 1, result["map"])
    usual = explain("--mode", "std", "--stats", TAILS)
    check("of the same file the means serve --mode std", usual["settings"]["mode"] == "std" and
          "tail_quantile" not in usual["settings"] and usual["top_filters"][0]["saliency"] != result["top_filters"][0]["saliency"])


def test_difference():
    """--against: scores are subtracted; and with labels and halves exchanged the map is the same (see test_choices.py)"""
    def both(name, label, against, k, boost):
        dump = scratch / name
        result = json.loads(run("psal-run", "-w", network, "-i", bag, "-l", label, "--against", against, "--mode", "pot", "--stats", TAILS,
                                "--json", "--out", scratch / "run", "--dump", dump, "-k", k, "-b", boost))
        return result, {path.stem: read_npy(path) for path in dump.glob("*.npy")}
    naive = {}
    for label in (8, 5):
        run("psal-run", "-w", network, "-i", bag, "-l", label, "--mode", "naive", "--out", scratch / "run", "--dump", scratch / f"of{label}")
        naive[label] = read_npy(scratch / f"of{label}" / "naive.npy")
    tails = Tails(TAILS)
    ranked, found = both("first", 8, 5, 10, 100)
    expected = [a - b for a, b in zip(tails.scores(naive[8]), tails.scores(naive[5]))]
    check("scores are subtracted", close(found["standardized"], expected, 1e-5))
    half = ranked["rankable"] // 2
    one, first = both("one", 8, 5, half, 10)
    other, second = both("other", 5, 8, ranked["rankable"] - half, 0.1)
    apart = sum((a - b) ** 2 for a, b in zip(first["input_gradient"], second["input_gradient"]))
    size = sum(a * a for a in first["input_gradient"])
    check("the same map with labels exchanged", size > 0 and apart < 1e-6 * size and abs(one["cosine"] - other["cosine"]) < 1e-5,
          (apart / size, one["cosine"], other["cosine"]))


def test_found():
    """Beside the checkpoint, each mode finds its own"""
    folder = scratch / "beside"
    folder.mkdir()
    shutil.copy(network, folder / "net.safetensors")
    shutil.copy(TAILS, folder / "net_stats_tail.safetensors")

    def found(mode):
        return json.loads(run("psal-run", "-w", folder / "net.safetensors", "-i", bag, "-l", 8, "--json", "--out", scratch / "run",
                              "--mode", mode))["statistics"]
    check("tails are found", found("pot") == str(folder / "net_stats_tail.safetensors"), found("pot"))
    check("and not for std", found("std") == str(statistics), found("std"))


def test_neighbors():
    def neighbors(*arguments):
        return json.loads(run("psal-neighbors", "--store", STORE, "--query", "23", "--top", 5, "--mode", "pot", "--similarity", "cosine", "--json", *arguments))
    given, computed = neighbors("--stats", TAILS), neighbors()
    check("computed from the store, the same", given["queries"] == computed["queries"])
    check("recorded", given["settings"]["mode"] == "pot" and given["settings"]["tail_quantile"] == 0.9, given["settings"])
    tails = Tails(TAILS)
    rows = [tails.scores(row) for row in read_profiles()]
    lengths = [math.sqrt(sum(value * value for value in row)) for row in rows]
    cosines = {i: sum(map(lambda a, b: a * b, rows[23], row)) / lengths[23] / lengths[i] for i, row in enumerate(rows) if i != 23}
    best = sorted(cosines, key=lambda i: -cosines[i])[:5]
    found = given["queries"][0]["neighbors"]
    check("cosines of scores", [n["sample"] for n in found] == best and
          all(abs(n["similarity"] - cosines[n["sample"]]) < 1e-5 for n in found), (found, best))
    refused("normalized profiles have no tails", "psal-neighbors",
            ("--store", STORE, "--query", "23", "--mode", "pot", "--similarity", "normalized"), "--similarity normalized does not go with")
    def of_label(label):
        return json.loads(run("psal-neighbors", "--store", STORE, "--stats", TAILS, "-w", network, "-i", bag, "-l", label, "--json"))
    second = of_label("second")["queries"][0]
    runner_up = json.loads(run("psal-run", "-w", network, "-i", bag, "-l", "second", "--json", "--out", scratch / "run"))["target"]["class"]
    check("a photo's runner-up", second["label"]["index"] == runner_up != second["predicted"]["index"] and
          of_label("predicted") == of_label(second["predicted"]["index"]), second)
    photo = json.loads(run("psal-neighbors", "--store", STORE, "--stats", TAILS, "-w", network, "-i", bag, "-l", 8, "--mode", "pot",
                           "--top", 3, "--json"))
    check("a photo's", len(photo["queries"][0]["neighbors"]) == 3)


def test_edits():
    top = [f["filter"] for f in explain("--mode", "pot", "--stats", TAILS)["top_filters"]]
    delta = scratch / "delta.st"
    edited = json.loads(run("psal-finetune", "-k", 3, "-c", "salient", "--mode", "pot", "--stats", TAILS, "--save-delta", delta,
                            "--json"))
    check("psal-finetune records it", edited["settings"]["mode"] == "pot" and edited["settings"]["tail_quantile"] == 0.9)
    check("and the delta does", read_tensors(delta)[1].get("psal.mode") == "pot")
    standard = scratch / "standard.st"
    run("psal-finetune", "-k", 3, "-c", "salient", "--stats", TAILS, "--save-delta", standard)
    check("other filters than by std", delta.read_bytes() != standard.read_bytes())
    pruned = json.loads(run("psal-prune", "-k", "3", "-c", "salient", "--mode", "pot", "--stats", TAILS, "--json"))
    check("psal-prune records it", pruned["settings"]["mode"] == "pot")
    check("top filters exist", len(top) == 20)


def test_refusals():
    pot = ("--mode", "pot", "-i", bag, "-l", 8, "--out", scratch / "run")
    refused("none known", "psal-run", ("-w", network, *pot), "no statistics with tails known", "psal-stats tail P.npy T.safetensors")
    for program in ("psal-run", "psal-prune", "psal-finetune"):
        refused(f"{program}: statistics without", program, ("--mode", "pot", "--stats", ORDINARY), "s.st: holds no tails, which")
    refused("psal-neighbors: statistics without", "psal-neighbors",
            ("--store", STORE, "--query", 1, "--mode", "pot", "--stats", ORDINARY), "s.st: holds no tails, which")
    refused("of another network", "psal-run", ("-w", weights / "fashion_vgg19.safetensors", "--stats", TAILS, *pot),
            "its architecture is 'resnet18'")
    refused("of another loss", "psal-run", ("-w", network, "--logit", "--stats", TAILS, *pot), "its loss is 'cross-entropy'")
    small = scratch / "small.npy"
    run("psal-stats", "--quiet", "--data", samples / "labels.csv", "--out", scratch / "small.st", "--profiles", small)
    refused("too few samples", "psal-stats", ("tail", small, scratch / "no.st"), "small.npy: ", "above the 0.9 quantile, too few",
            "100 samples are needed")
    check("nothing was written", not (scratch / "no.st").exists())
    refused("the store's table", "psal-stats", ("tail", STORE, f"{STORE}.csv"), "p.npy.csv is the store's table")
    refused("the store itself", "psal-stats", ("tail", STORE, STORE), "would be lost")
    refused("no result", "psal-stats", ("tail", STORE), "tail needs a store of profiles and the name of the result")
    refused("no store", "psal-stats", ("tail", ORDINARY, scratch / "no.st"), "s.st")
    for option in (("--only", "incorrect"), ("--limit", 5), ("--data", SPEC), ("--signed",), ("--out", scratch / "other.st"), ("-w", network)):
        name = {"-w": "--weights"}.get(option[0], option[0])
        refused(f"tail {name}", "psal-stats", ("tail", STORE, scratch / "no.st", *option), f"tail has no option {name}: only --quantile")
    damaged = scratch / "damaged.st"
    data = TAILS.read_bytes()
    damaged.write_bytes(data.replace(b'"psal.tail_quantile":"0.9"', b'"psal.tail_quantile":"1.9"'))
    refused("damaged", "psal-run", ("-w", network, "--stats", damaged, *pot), "damaged.st: damaged: metadata psal.tail_quantile")


if __name__ == "__main__":
    raise SystemExit(run_tests((test_make, test_run, test_difference, test_found, test_neighbors, test_edits, test_refusals), scratch))
