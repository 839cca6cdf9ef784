#!/usr/bin/env python3
"""What psal-prune, psal-finetune and psal-convert save is the network they measured: read again by psal-run, it gives the numbers
that they reported, for every choice of filters, every way of switching them off, and any --draws.

    tests/e2e/test_saved_networks.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import csv
import itertools
import json
import struct
import sys

import networks
from checks import check, run_tests
from programs import coat, network as resnet, run_text as run, samples, scratch, weights


def confidence(*arguments, image=coat, label="Coat"):
    """Of the true class, in a network by itself; and the bytes of its logits"""
    done = run("psal-run", "--image-path", image, "-l", label, "--mode", "naive", "--top", 0, "--json", "-o", scratch / "f",
               "--dump", scratch / "dump", *arguments)
    check(f"psal-run {arguments}", done.returncode == 0, done.stderr)
    return json.loads(done.stdout)["target"]["confidence"], (scratch / "dump/logits.npy").read_bytes()


def pruned(what, *arguments, before, load=()):
    """One experiment; the saved network gives before + the reported change"""
    rows, saved = scratch / "rows.csv", scratch / "pruned.safetensors"
    saved.unlink(missing_ok=True)
    done = run("psal-prune", *arguments, "--samples", rows, "--save", saved)
    if done.returncode != 0:
        return check(what, False, done.stderr)
    change = float(next(csv.DictReader(rows.open()))["true_confidence"])
    after = confidence("-w", saved, *load)[0]
    return check(what, abs(before + change - after) < 2e-5, f"{before} {change:+} but {after} saved")


def test_every_choice_and_way():
    before = confidence("-w", resnet)[0]
    for choice, how in itertools.product(("salient", "random", "random-same-layers", "least", "naive", "all"),
                                         ("weights", "channel", "noise", "normal")):
        k = () if choice == "all" else ("-k", 90)
        pruned(f"{choice}, {how}", "-c", choice, *k, "--how", how, "--noise-scale", 0.3, before=before)
    first = (scratch / "pruned.safetensors").read_bytes()
    for draws in (1, 2, 5):
        pruned(f"{draws} draws", "-c", "all", "--how", "normal", "--noise-scale", 0.3, "--draws", draws, before=before)
        check(f"of {draws} draws the first is saved", (scratch / "pruned.safetensors").read_bytes() == first)
    for seed in (0, 7):
        pruned(f"seed {seed}", "-c", "random", "-k", 200, "--seed", seed, before=before)
    done = run("psal-prune", "-c", "random", "-k", 5, "--draws", 4, "--save", scratch / "x.safetensors")
    check("that it is one draw is said", done.returncode == 0 and "--draws 4" in done.stderr, done.stderr)


def test_other_networks():
    for name in ("vgg19", "densenet121", "inception_v3"):
        path = weights / f"fashion_{name}.safetensors"
        before = confidence("-w", path)[0]
        for choice, how in (("salient", "channel"), ("random-same-layers", "weights"), ("random", "noise")):
            pruned(f"{name}, {choice}, {how}", "-w", path, "-i", coat, "-l", "Coat", "-c", choice, "-k", 30, "--how", how, before=before)


def test_corrected():
    delta, full = scratch / "delta.safetensors", scratch / "full.safetensors"
    for choice, how in itertools.product(("salient", "random", "random-same-layers", "least", "naive", "all"),
                                         (("--rate", 0.01), ("--relative", 0.05, "--steps", 3), ("--until-correct", "--relative", 4))):
        k = () if choice == "all" else ("-k", 200)
        done = run("psal-finetune", "-c", choice, *k, *how, "--draws", 2, "--json", "--quiet", "--save", full, "--save-delta", delta)
        if done.returncode != 0:  # there may be no such step, which is said
            check(f"finetune {choice} {how}", "--until-correct" in how and "nothing was saved" in done.stderr, done.stderr)
            continue
        reported = json.loads(done.stdout)["label_confidence_after"]
        (a, logits), (b, others) = confidence("-w", full), confidence("-w", resnet, "--delta", delta)
        check(f"finetune {choice} {how}", abs(a - reported) < 1e-6 and logits == others, f"{reported} reported, {a} and {b} saved")
    # of many samples one is saved, which --sample names
    done = run("psal-finetune", "--data", samples / "labels.csv", "--quiet", "-c", "salient", "-k", 20, "--save", full)
    check("many samples", done.returncode != 0 and "one sample" in done.stderr, done.stderr)
    rows = list(csv.DictReader((samples / "labels.csv").open()))
    index = next(i for i, row in enumerate(rows) if "shirt_called_bag" in row["path"] and "t_shirt" not in row["path"])
    done = run("psal-finetune", "--data", samples / "labels.csv", "--quiet", "-c", "salient", "-k", 20, "--sample", index,
               "--relative", 0.2, "--save", full, "--json")
    check("--sample", done.returncode == 0, done.stderr)
    report = json.loads(done.stdout)
    after = confidence("-w", full, image=samples / "shirt_called_bag.png", label=report["label"])[0]
    check("--sample is what is saved", report["name"].endswith("shirt_called_bag.png")
          and abs(after - report["label_confidence_after"]) < 1e-6, f"{report}: {after}")
    # a corrected network, pruned: both changes are in what is saved
    run("psal-finetune", "-c", "salient", "-k", 50, "--relative", 0.1, "--quiet", "--save-delta", delta)
    before = confidence("-w", resnet, "--delta", delta)[0]
    stats = weights / "fashion_resnet18_stats.safetensors"
    pruned("pruned on top of a delta", "-w", resnet, "--delta", delta, "-s", stats, "-i", coat, "-l", "Coat", "-c", "random", "-k", 60,
           before=before)
    check("they differ", abs(before - confidence("-w", resnet)[0]) > 1e-4)


def floats(logits):
    data = logits[-40:]  # ten classes
    return struct.unpack("<10f", data)


def test_converted():
    copy, half, again = scratch / "copy.safetensors", scratch / "half.safetensors", scratch / "again.safetensors"
    for name in ("resnet18", "vgg19", "densenet121", "inception_v3"):
        path = weights / f"fashion_{name}.safetensors"
        done = run("psal-convert", path, copy)
        check(f"psal-convert {name}", done.returncode == 0, done.stderr)
        logits = confidence("-w", path)[1]
        check(f"{name} converted", confidence("-w", copy)[1] == logits)
        done = run("psal-convert", "--half", path, half)
        check(f"psal-convert --half {name}", done.returncode == 0, done.stderr)
        other = confidence("-w", half)[1]
        scale = max(abs(z) for z in floats(logits))
        away = max(abs(a - b) for a, b in zip(floats(logits), floats(other)))
        check(f"{name} in half precision", away < 0.02 * scale, f"{away} of {scale}")
        tensors, _ = networks.read(copy)
        halves, _ = networks.read(half)
        kept = all(t[0] in ("F16", "F32", "I64") for t in halves.values()) and halves.keys() == tensors.keys()
        check(f"{name}'s tensors", kept and all(halves[n][1] == tensors[n][1] for n in halves))
        for key, value in halves.items():
            if value[0] != "F16":
                continue
            got = struct.unpack(f"<{len(value[2]) // 2}e", value[2])
            near = all(abs(a - b) <= abs(b) * 2**-11 + 2**-25 for a, b in zip(got, networks.get(tensors[key])))
            if not near:
                check(f"{name}: {key} is rounded", False)
        run("psal-convert", half, again)
        check(f"{name}: what was rounded stays", confidence("-w", again)[1] == other)


if __name__ == "__main__":
    sys.exit(run_tests((test_every_choice_and_way, test_other_networks, test_corrected, test_converted), scratch))
