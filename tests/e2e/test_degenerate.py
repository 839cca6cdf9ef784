#!/usr/bin/env python3
"""Networks, statistics and data sets of which nothing can be said, or nothing of some filters: dead filters never rank, a map that
does not exist is no blank picture but a reason, one class has no cross-entropy, and no program prints a number that is none.

    tests/e2e/test_degenerate.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import csv
import json
import re
import shutil
import sys

import networks
from checks import check, run_tests
from programs import bag, network as resnet, run_text, samples, scratch, statistics as stats

out = scratch / "out"


def run(program, *arguments):
    done = run_text(program, *arguments)
    said = done.stdout + done.stderr
    printed = re.sub(r"tensor '[^']*' holds nan at", "", said)  # as said of a file
    check(f"{program} {arguments} prints numbers", not re.search(r"(?i)[-+ (:]nan\b|\binf\b", printed), said)
    return done


def changed(name, change, source=resnet):
    """A network of the box, changed by change(tensors)"""
    tensors, meta = networks.read(source)
    change(tensors)
    return networks.write(scratch / name, tensors, meta)


def explain(*arguments, image=bag, label="Bag"):
    """What psal-run says as JSON, in words, and the names of the pictures it left"""
    done = run("psal-run", "-i", image, "-l", label, "-o", out, *arguments)
    said = done.stdout + done.stderr
    check(f"psal-run {arguments}", done.returncode == 0, said)
    return json.loads((out / "result.json").read_text()), said, {path.name for path in out.iterdir()}


def first_filters(tensors):
    """{name: number of its first filter}, in torchvision's order: conv1, then layer1.0.conv1, ..., where downsample comes last"""
    sizes = {name: t[1][0] for name, t in tensors.items() if len(t[1]) == 4}

    def place(name):
        part = name.split(".")
        if part[0] == "conv1":
            return (0,)
        return int(part[0][5:]), int(part[1]), {"conv1": 1, "conv2": 2, "downsample": 3}[part[2]]
    numbers, at = {}, 0
    for name in sorted(sizes, key=place):
        numbers[name] = at
        at += sizes[name]
    return numbers


# ---- filters that never have a gradient ----

DEAD = {"layer1.0.bn1": ("layer1.0.conv1.weight", (0, 3)), "layer3.0.bn2": ("layer3.0.conv2.weight", (1, 2, 30)),
        "layer4.0.downsample.1": ("layer4.0.downsample.0.weight", (5,))}


def kill(tensors):
    for norm, (_, rows) in DEAD.items():
        for row in rows:
            networks.put(tensors[norm + ".weight"], [0.0], row)


def test_scales_of_zero():
    net = changed("dead.safetensors", kill)
    tensors, _ = networks.read(net)
    numbers = first_filters(tensors)
    dead = {numbers[conv] + row for conv, rows in DEAD.values() for row in rows}
    own = scratch / "dead_own.safetensors"
    done = run("psal-stats", "-w", net, "--data", samples / "labels.csv", "--out", own)
    check("statistics say how many never rank", done.returncode == 0 and "without a deviation" in done.stdout, done.stdout + done.stderr)
    for arguments in (("-s", stats), ("-s", own), ("-s", own, "--mode", "norm"), ("--mode", "naive"),
                      ("--mode", "naive", "--signed"), ("-s", own, "--compare-random", "-k", 900)):
        for image, label in ((bag, "Bag"), (samples / "trouser.png", "Trouser"), (samples / "ankle_boot.png", "Ankle boot")):
            result, _, _ = explain("-w", net, "--top", 2000, *arguments, image=image, label=label)
            ranked = [row["filter"] for row in result["top_filters"]]
            values = [row["saliency"] for row in result["top_filters"]]
            check(f"{arguments}: no dead filter ranks", not dead & set(ranked) and len(ranked) == result["rankable"] > 500,
                  dead & set(ranked))
            check(f"{arguments}: sorted", values == sorted(values, reverse=True) and len(set(ranked)) == len(ranked))
    # nor is one chosen: what every choice changes, and as many as can be
    mean, std = (networks.get(networks.read(own)[0][name]) for name in ("mean", "std"))
    live = sum(s > 1e-14 for s in std)
    check("statistics of dead filters", all(std[f] == mean[f] == 0 for f in dead), [(std[f], mean[f]) for f in dead])
    for program, choices in (("psal-prune", ("salient", "random", "random-same-layers", "least", "naive")),
                             ("psal-finetune", ("salient", "random", "least"))):
        for choice in choices:
            saved = scratch / "saved.safetensors"
            done = run(program, "-w", net, "-s", own, "-i", bag, "-l", "Bag", "-c", choice, "-k", live, "--save", saved, "--quiet",
                       *(("--relative", 0.5) if program == "psal-finetune" else ()))
            check(f"{program} {choice}", done.returncode == 0, done.stderr)
            new = networks.read(saved)[0]
            touched = set()
            for name, first in numbers.items():
                old, now, rows = networks.get(tensors[name]), networks.get(new[name]), tensors[name][1][0]
                n = len(old) // rows
                touched |= {first + row for row in range(rows) if now[row * n:(row + 1) * n] != old[row * n:(row + 1) * n]}
            check(f"{program} {choice} leaves dead filters", not touched & dead and len(touched) > 100, touched & dead)
        done = run(program, "-w", net, "-s", own, "-i", bag, "-l", "Bag", "-c", "random", "-k", live + 1)
        check(f"{program} -k {live + 1}", done.returncode == 1 and f"{live} filters that can be chosen" in done.stderr, done.stderr)


def tensors_of(path):
    return networks.read(path)[0]


def changed_statistics(name, change):
    tensors, meta = networks.read(stats)
    change(tensors)
    return networks.write(scratch / name, tensors, meta)


def test_statistics_without_deviation():
    def below(tensors):  # every live filter lies below 0, those without a deviation at 0 or above
        networks.put(tensors["mean"], [m + 100 for m in networks.get(tensors["mean"])])
        networks.put(tensors["std"], [0.0] * 300)
        networks.put(tensors["mean"], [0.0] * 300)
    check("statistics are numbers", tensors_of(stats)["mean"][0] in networks.KINDS)
    result, said, _ = explain("-s", changed_statistics("below.safetensors", below), "--top", 10)
    check("the highest live ones", all(row["filter"] >= 300 and row["saliency"] < 0 for row in result["top_filters"])
          and len(result["top_filters"]) == 10 and result["below_average"], result["top_filters"])
    check("is said", "every filter lies below its mean" in said, said)
    result, said, _ = explain("--top", 5)
    check("not of a mistake", not result["below_average"] and "below its mean" not in said, said)

    def few(tensors):
        networks.put(tensors["std"], [0.0] * 1193)
    result, said, _ = explain("-s", changed_statistics("few.safetensors", few), "--compare-random")
    check("fewer than k can be ranked", result["k_salient"] == result["rankable"] == len(result["top_filters"]) == 7
          and "only 7 of the 1200" in said, said)

    def none(tensors):
        networks.fill(tensors["std"], 0.0)
    nothing = changed_statistics("none.safetensors", none)
    result, said, files = explain("-s", nothing)
    check("none can be ranked", result["map"] is None and result["top_filters"] == [] and result["rankable"] == 0
          and "only 0 of the 1200" in said and "no heat map" in said, said)
    check("no pictures of nothing", files == {"filter_saliency.png", "top_filters.csv", "result.json"}, files)
    for program in ("psal-prune", "psal-finetune"):
        done = run(program, "-s", nothing)
        check(f"{program} without a deviation", done.returncode == 1 and "has a deviation" in done.stderr, done.stderr)

    def mean_of_zero(tensors):
        networks.put(tensors["mean"], [0.0] * 200 + [1e-14] * 50)
    result, _, _ = explain("-s", changed_statistics("norm.safetensors", mean_of_zero), "--mode", "norm", "--top", 2000)
    check("norm", min(row["filter"] for row in result["top_filters"]) >= 250)

    folder = scratch / "same/3"
    folder.mkdir(parents=True)
    for i in range(3):
        shutil.copy(bag, folder / f"{i}.png")
    done = run("psal-stats", "--data", folder.parent, "--out", scratch / "same.safetensors")
    check("samples that are all the same", "no filter has a deviation" in done.stdout, done.stdout + done.stderr)
    shutil.rmtree(folder)
    folder.mkdir()
    shutil.copy(bag, folder / "0.png")
    done = run("psal-stats", "--data", folder.parent, "--out", scratch / "single.safetensors")
    check("a single sample", done.returncode == 1 and not (scratch / "single.safetensors").exists(), done.stderr)


# ---- maps that do not exist ----

def constant(tensors):
    networks.fill(tensors["fc.weight"], 0.0)


def certain(tensors):
    networks.put(tensors["fc.bias"], [1e4], 8)


def off(tensors):
    """All units of the last stage are off: the image does not reach the logits"""
    for norm in ("layer4.0.bn2", "layer4.0.downsample.1", "layer4.1.bn2"):
        if norm + ".weight" in tensors:
            networks.fill(tensors[norm + ".weight"], 0.0)
            networks.fill(tensors[norm + ".bias"], -1.0)


def test_no_map():
    explain("--compare-random", "--dump", scratch / "dump")  # whose pictures must not stay
    check("a map", (out / "input_saliency.png").exists() and (scratch / "dump/input_gradient.npy").exists())
    tensors, _ = networks.read(resnet)
    check("the test knows the last stage", "layer4.0.bn2.weight" in tensors, sorted(tensors))
    for name, change in (("constant", constant), ("certain", certain), ("off", off)):
        net = changed(f"{name}.safetensors", change)
        for how in (("-s", stats), ("--mode", "naive"), ("--mode", "naive", "--logit"), ("--mode", "naive", "--aggregation", "tensor"),
                    ("--mode", "naive", "--noise-iters", 2, "--noise-percent", 0.1)):
            if name == "certain" and "--logit" in how:
                continue  # a logit is no probability: it has a gradient
            result, said, files = explain("-w", net, "--compare-random", "--dump", scratch / "dump", *how)
            fine = result["map"] is None and result["cosine"] is None and isinstance(result["no_map"], str)
            check(f"{name} {how}", fine and "no heat map: " in said and result["no_map"] in said, said)
            if "--logit" not in how:
                check(f"{name} {how}: what to look at", "--logit" in said, said)
            check(f"{name} {how}: no blank pictures", not [file for file in files if file.startswith("input_")], files)
            check(f"{name} {how}: no blank arrays", not list((scratch / "dump").glob("input_gradient*")))
    result, said, files = explain("-w", scratch / "certain.safetensors", "--mode", "naive", "--logit")
    check("the logit has a map", result["map"] in files and result["no_map"] is None, said)
    for arguments in (("-b", 1), ("--mode", "naive", "-b", 1), ("--mode", "naive", "--aggregation", "tensor", "-k", 62, "-b", 3)):
        result, said, files = explain(*arguments)
        check(f"{arguments}: the cosine is 1 anyway", result["map"] is None and "cosine" in result["no_map"], said)
    # a list goes on
    for name in ("constant", "certain"):
        shutil.rmtree(out, ignore_errors=True)
        done = run("psal-run", "-w", scratch / f"{name}.safetensors", "--mode", "naive", "--images", samples / "labels.csv", "-o", out)
        rows = list(csv.DictReader((out / "summary.csv").open()))
        expected = len(list(csv.DictReader((samples / "labels.csv").open())))
        check(f"a list of {name} answers", done.returncode == 0 and len(rows) == expected and "have no heat map" in done.stderr,
              done.stdout + done.stderr)


def test_numbers_that_are_none():
    def lost(tensors):
        networks.put(tensors["fc.bias"], [float("nan")], 2)
    def lost_too(tensors):
        tensors["fc.bias"][2][4:6] = b"\xff\xff"  # minus NaN, in float16
    for net in (changed("nan.safetensors", lost), changed("minus_nan.safetensors", lost_too)):
        check("psal-convert of a lost network", run("psal-convert", net, scratch / "x.safetensors").returncode == 1)
    for program, arguments in (("psal-run", ("--mode", "naive", "-i", bag, "-l", "Bag", "-o", out)),
                               ("psal-prune", ("-s", stats, "-i", bag, "-l", "Bag")),
                               ("psal-finetune", ("-s", stats, "-i", bag, "-l", "Bag")),
                               ("psal-stats", ("--data", samples / "labels.csv", "--out", scratch / "nan_stats.safetensors"))):
        done = run(program, "-w", net, *arguments)
        check(f"{program} of a lost network", done.returncode == 1 and not (scratch / "nan_stats.safetensors").exists(), done.stderr)

    def huge(tensors):
        networks.fill(tensors["layer4.1.bn2.weight" if "layer4.1.bn2.weight" in tensors else "layer4.0.bn2.weight"], 3e38)
    done = run("psal-run", "-w", changed("huge.safetensors", huge), "--mode", "naive", "-i", bag, "-l", "Bag", "-o", out)
    check("logits beyond float32", done.returncode == 1 and "not finite" in done.stderr, done.stderr)
    done = run("psal-finetune", "--until-correct", "-k", 2, "-c", "least")
    check("no step corrects it", done.returncode == 0 and " - " in done.stdout, done.stdout + done.stderr)


# ---- one class ----

def one(tensors):
    for name in ("fc.weight", "fc.bias"):
        kind, shape, data = tensors[name]
        tensors[name] = [kind, [1] + shape[1:], data[:len(data) // shape[0]]]


def test_one_class():
    tensors, meta = networks.read(resnet)
    one(tensors)
    net = networks.write(scratch / "one.safetensors", tensors, {k: v for k, v in meta.items() if k != "psal.labels"})
    data = scratch / "one/0"
    data.mkdir(parents=True)
    for i, source in enumerate(sorted(samples.glob("*.png"))[:3]):
        shutil.copy(source, data / f"{i}.png")
    file, store = scratch / "one_stats.safetensors", scratch / "one.npy"
    for program, arguments in (("psal-stats", ("--data", data.parent, "--out", file)),
                               ("psal-stats", ("--data", data.parent, "--out", file, "--logit-difference")),
                               ("psal-run", ("-i", bag, "-l", 0, "-o", out, "--mode", "naive")),
                               ("psal-run", ("-i", bag, "-l", 0, "-o", out, "-s", stats)),
                               ("psal-run", ("-i", bag, "-o", out, "--mode", "naive", "--logit-difference")),
                               ("psal-prune", ("-i", bag, "-l", 0, "-s", stats)),
                               ("psal-finetune", ("-i", bag, "-l", 0, "-s", stats))):
        done = run(program, "-w", net, *arguments)
        lines = done.stderr.strip().splitlines()
        check(f"{program} {arguments} of one class", done.returncode == 1 and "one class" in lines[-1] and "--logit" in lines[-1]
              and not file.exists() and not done.stdout, done.stdout + done.stderr)
    done = run("psal-stats", "-w", net, "--data", data.parent, "--out", file, "--logit", "--profiles", store)
    check("psal-stats --logit", done.returncode == 0 and "correct" not in done.stdout and "one class" in done.stdout,
          done.stdout + done.stderr)
    result, _, files = explain("-w", net, "-s", file, "--logit", label=0)
    check("psal-run --logit", result["map"] in files and result["top_filters"][0]["naive"] > 0)
    done = run("psal-neighbors", "--store", store, "-w", net, "-i", bag, "-l", 0)
    check("psal-neighbors of one class", done.returncode == 1 and "cross-entropy" in done.stderr, done.stdout + done.stderr)


if __name__ == "__main__":
    sys.exit(run_tests((test_scales_of_zero, test_statistics_without_deviation, test_no_map, test_numbers_that_are_none,
                        test_one_class), scratch))
