#!/usr/bin/env python3
"""What was computed: every result says it, and wherever two meet that were computed otherwise, psal names what differs, with
both values, instead of mixing them.

    tests/e2e/test_identity.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import csv
import json
import random
import shutil
import struct
import sys

import networks
from checks import check, run_tests
from programs import bag, run_text, samples, scratch, weights as box

resnet, vgg, inception = (box / f"fashion_{name}.safetensors" for name in ("resnet18", "vgg19", "inception_v3"))
sandal = samples / "sandal.png"
FASHION = "rgb;resize=none;crop=32;scale=255;mean=0.286,0.286,0.286;std=0.353,0.353,0.353"
OTHER = "rgb;resize=none;crop=48;scale=255;mean=0.1,0.1,0.1;std=0.9,0.9,0.9"


def run(program, *arguments, **environment):
    return run_text(program, *arguments, XDG_CACHE_HOME=str(scratch / "cache"), **environment)


def works(name, program, *arguments, notes=(), **environment):
    """Status 0; standard error has these notes, a tuple of words each, and no line more"""
    done = run(program, *arguments, **environment)
    # but for progress, and that the statistics are of few samples, as all here are
    lines = [line for line in done.stderr.splitlines() if " elapsed" not in line and "mostly chance" not in line]
    check(name, done.returncode == 0, f"status {done.returncode}: {done.stderr}")
    check(f"{name}: {len(notes)} notes", len(lines) == len(notes), done.stderr)
    for line, words in zip(lines, notes):
        for word in words:
            check(f"{name}: says", f"{program}: note: " in line and str(word) in line, f"no '{word}' in: {line}")
    return done


def refused(name, words, program, *arguments, **environment):
    """One line that says the words, also with --quiet"""
    done = run(program, *arguments, "--quiet", **environment)
    check(name, done.returncode in range(1, 126), f"status {done.returncode}: {done.stderr}")
    lines = [line for line in done.stderr.splitlines() if "mostly chance" not in line]
    check(f"{name}: one line", len(lines) == 1 and lines[0].startswith(f"{program}: ") and len(lines[0]) < 1100, done.stderr)
    for word in words:
        check(f"{name}: says", str(word) in done.stderr, f"no '{word}' in: {done.stderr}")


def read(path):
    data = path.read_bytes()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:end]), data[end:]


def write(path, header, values):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + values)
    return path


def forged(path, to, drop=(), **metadata):
    """A copy with other metadata: without the keys `drop` ("all": none at all), with these set"""
    header, values = read(path)
    old = {} if drop == "all" else {k: v for k, v in header["__metadata__"].items() if k.removeprefix("psal.") not in drop}
    header["__metadata__"] = dict(old, **{f"psal.{key}": value for key, value in metadata.items()})
    return write(to, header, values)


def metadata(path):
    return read(path)[0]["__metadata__"]


def bottleneck(path, classes=10, seed=1, bias=True):
    """A ResNet-50 at a sixteenth of its width, which does not say its variant; bias: of its last layer"""
    source, header, values = random.Random(seed), {}, bytearray()

    def add(name, *shape, spread=0.0, middle=0.0):
        count = 1
        for n in shape:
            count *= n
        part = struct.pack(f"<{count}f", *(source.gauss(middle, spread) if spread else middle for _ in range(count)))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(values), len(values) + len(part)]}
        values.extend(part)

    def convolution(name, norm, outputs, inputs, size):
        add(f"{name}.weight", outputs, inputs, size, size, spread=(2 / (inputs * size * size)) ** 0.5)
        add(f"{norm}.weight", outputs, middle=1.0, spread=0.1)
        add(f"{norm}.bias", outputs, spread=0.1)
        add(f"{norm}.running_mean", outputs, spread=0.1)
        add(f"{norm}.running_var", outputs, middle=1.0)

    convolution("conv1", "bn1", 4, 3, 7)
    inputs = 4
    for layer, blocks in enumerate((3, 4, 6, 3), 1):
        width = 4 << (layer - 1)
        for block in range(blocks):
            at = f"layer{layer}.{block}"
            convolution(f"{at}.conv1", f"{at}.bn1", width, inputs, 1)
            convolution(f"{at}.conv2", f"{at}.bn2", width, width, 3)
            convolution(f"{at}.conv3", f"{at}.bn3", 4 * width, width, 1)
            if block == 0:
                convolution(f"{at}.downsample.0", f"{at}.downsample.1", 4 * width, inputs, 1)
            inputs = 4 * width
    add("fc.weight", classes, inputs, spread=0.1)
    if bias:
        add("fc.bias", classes, spread=0.1)
    header["__metadata__"] = {"psal.width": "0.0625", "psal.preprocess": FASHION}
    return write(path, header, bytes(values))


def table(folder, names, name="list.csv"):
    """A folder with copies of these samples, and their list"""
    folder.mkdir(parents=True, exist_ok=True)
    with open(samples / "labels.csv", newline="") as file:
        labels = {row["path"]: row["label"] for row in csv.DictReader(file)}
    for one in names:
        shutil.copy(samples / one, folder / one)
    (folder / name).write_text("path,label\n" + "".join(f"{one},{labels[one]}\n" for one in names))
    return folder / name


def make_statistics(name, weights, *more, data=None):
    out = scratch / name
    works(f"psal-stats: {name}", "psal-stats", "-w", weights, "--data", data or samples / "labels.csv", "--out", out, "-q", *more)
    return out


def explain(weights, *more):
    return ["-w", weights, "-i", sandal, "-l", 5, "-o", scratch / "o", "--json", *more]


# ---- statistics ----

def test_statistics():
    stats = box / "fashion_resnet18_stats.safetensors"
    # the same meaning in other words is the same, in silence
    works("the box", "psal-run", *explain(resnet))
    works("the same in other words", "psal-run", *explain(
        resnet, "--preprocess", "rgb;std=0.3530;crop=32x32;mean=.286;resize=none;scale=2.55e2", "--bn-epsilon", "0.0000100", "--stats", stats))
    works("statistics that are not needed", "psal-run", *explain(resnet, "--mode", "naive", "--stats", box / "fashion_vgg19_stats.safetensors"),
          notes=[("--mode naive", "--stats was not looked at")])
    # another network or preprocessing is refused, given or found
    for name, more, words in [("preprocessing", ["--preprocess", OTHER], ["preprocessing", FASHION, OTHER]),
                              ("a scale", ["--preprocess", FASHION.replace("255", "1")], ["preprocessing", "scale=255", "scale=1"]),
                              ("a preset", ["--preprocess", "caffe"], ["preprocessing", FASHION, "'caffe'"]),
                              ("epsilon", ["--bn-epsilon", "0.1"], ["batch-norm epsilon", "'1e-05'", "'0.1'"]),
                              ("a near epsilon", ["--bn-epsilon", "1.001e-5"], ["batch-norm epsilon", "'1e-05'", "'1.001e-05'"])]:
        refused(f"given statistics, {name}", [stats, *words], "psal-run", *explain(resnet, "--stats", stats, *more))
        refused(f"found statistics, {name}", [stats, "no statistics known", *words], "psal-run", *explain(resnet, *more))
        refused(f"psal-prune, {name}", [stats, *words], "psal-prune", "-w", resnet, "-i", bag, "-l", 8, "--stats", stats, *more)
        refused(f"psal-finetune, {name}", [stats, *words], "psal-finetune", "-w", resnet, "-i", bag, "-l", 8, *more)
    refused("the input transform", ["input transform", "'0'", "'1'"], "psal-run", *explain(inception, "--transform-input"))
    # statistics of another profile
    for name, make, words in [("loss", ["--logit"], ["loss", "'logit'", "'cross-entropy'"]),
                              ("difference", ["--logit-difference"], ["loss", "'logit-difference'", "'cross-entropy'"]),
                              ("aggregation", ["--aggregation", "tensor"], ["aggregation", "'tensor'", "'filter'"]),
                              ("unit", ["--aggregation", "row"], ["aggregation", "'row'", "'filter'"]),
                              ("signed", ["--signed"], ["--signed", "'1'", "'0'"]),
                              ("normalized", ["--normalized"], ["--normalized", "'1'", "'0'"])]:
        made = make_statistics(f"{name}.safetensors", resnet, "--limit", 6, *make)
        refused(f"statistics of another {name}", [made, *words], "psal-run", *explain(resnet, "--stats", made))
        if name != "normalized":
            works(f"asked for, too: {name}", "psal-run", *explain(resnet, "--stats", made, *make))
    refused("plain statistics for normalized ones", ["--normalized", "'0'", "'1'"], "psal-finetune", "-w", resnet, "--data",
            samples / "labels.csv", "-k", 5, "-c", "salient", "--similarity", "normalized", "--normalized-stats", stats)
    refused("of another architecture", ["architecture", "'vgg19'", "'resnet18'"], "psal-run",
            *explain(resnet, "--stats", box / "fashion_vgg19_stats.safetensors"))


def test_variant():
    net = bottleneck(scratch / "net.safetensors")
    v15, v1 = (make_statistics(f"net_{v}.safetensors", net, "--variant", v, "--limit", 6) for v in ("v1.5", "v1"))
    check("recorded", metadata(v15)["psal.variant"] == "v1.5" and metadata(v1)["psal.variant"] == "v1", metadata(v1))
    works("its own variant", "psal-run", *explain(net, "--stats", v1, "--variant", "v1"))
    works("the assumed one", "psal-run", *explain(net, "--stats", v15))
    refused("another variant", [v1, "variant", "'v1'", "'v1.5'"], "psal-run", *explain(net, "--stats", v1))
    refused("the other way", [v15, "variant", "'v1.5'", "'v1'"], "psal-run", *explain(net, "--stats", v15, "--variant", "v1"))
    works("other weights are a note", "psal-run", *explain(bottleneck(scratch / "net2.safetensors", seed=2), "--stats", v15),
          notes=[(v15, "other weights of resnet50")])


def test_earlier_files():
    """Files of earlier versions and of the original authors lack fields: a note"""
    old = forged(box / "fashion_resnet18_stats.safetensors", scratch / "old.safetensors",
                 ["bn_epsilon", "classes", "width", "samples", "dataset_name"])
    works("an earlier version's", "psal-run", *explain(resnet, "--stats", old), notes=[(old, "does not say its batch-norm epsilon")])
    refused("what it says still counts", ["preprocessing", FASHION, OTHER], "psal-run",
            *explain(resnet, "--stats", old, "--preprocess", OTHER))
    plain = forged(box / "fashion_resnet18_stats.safetensors", scratch / "plain_mean.safetensors", "all")
    works("nothing but mean and deviation", "psal-run", *explain(resnet, "--stats", plain),
          notes=[(plain, "architecture, weights, batch-norm epsilon, preprocessing, aggregation, loss, --signed")])
    for key, value, words in [("bn_epsilon", "tiny", ["batch-norm epsilon", "'tiny'", "no number"]), ("signed", "2", ["--signed", "'2'"]),
                              ("preprocess", "rgb;crop=x", ["preprocessing", "crop=x"]), ("bn_epsilon", "nan", ["'nan'", "no number"]),
                              ("arch", "x" * 300, ["architecture", "255"])]:
        bad = forged(old, scratch / "bad.safetensors", **{key: value})
        refused(f"{key} = {value[:10]}", [bad, *words], "psal-run", *explain(resnet, "--stats", bad))
    works("one spelling", "psal-run", *explain(resnet, "--stats", forged(
        old, scratch / "spelt.safetensors", bn_epsilon="0.00001", signed="false", preprocess="rgb;crop=32;scale=255;std=.353;mean=.286;resize=none")))


def test_found():
    """Beside the weights: what fits wholly, with the most samples, then by name; what nearly fits is named"""
    place = scratch / "found"
    place.mkdir()
    net = bottleneck(place / "net.safetensors", seed=3)
    refused("none", ["no statistics known", "psal-stats --weights"], "psal-run", *explain(net))
    v1 = make_statistics("found/a_stats.safetensors", net, "--variant", "v1", "--limit", 8)
    refused("of another variant", ["no statistics known", v1, "variant", "'v1'", "'v1.5'"], "psal-run", *explain(net))
    few = make_statistics("found/b_stats.safetensors", net, "--limit", 5)
    one = works("the one that fits", "psal-run", *explain(net))
    check("is said", json.loads(one.stdout)["statistics"] == str(few), one.stdout[:300])
    many = make_statistics("found/z_stats.safetensors", net, "--limit", 9)
    one = works("the most samples", "psal-run", *explain(net), notes=[("2 files of statistics fit", many, "9 samples", "--stats")])
    check("are said", json.loads(one.stdout)["statistics"] == str(many), one.stdout[:300])
    shutil.copy(many, place / "c_stats.safetensors")
    works("then by name", "psal-run", *explain(net), notes=[("3 files", place / "c_stats.safetensors", "9 samples")])
    forged(many, place / "0_stats.safetensors", ["bn_epsilon"], count="5000")
    works("rather one that says all", "psal-run", *explain(net), notes=[("4 files", place / "c_stats.safetensors")])
    (place / "1_stats.safetensors").write_bytes(b"nothing")
    works("a damaged one does not count", "psal-run", *explain(net), notes=[("4 files", place / "c_stats.safetensors")])


def test_authors_statistics():
    """What weights/fetch stores beside a torchvision network says nothing of itself: its name must do, and what is known of it"""
    cache = scratch / "cache" / "psal"
    cache.mkdir(parents=True, exist_ok=True)
    net = forged(bottleneck(cache / "resnet50.safetensors", classes=1000, seed=6), cache / "resnet50.safetensors", ["preprocess"])
    made = make_statistics("authors.safetensors", net, "--limit", 5, "--preprocess", "torchvision")
    published = forged(made, cache / "ImageNet_val_saliency_stat_resnet50_filter_wise.pth", "all")
    named = ["-m", "resnet50", *explain(net)[2:]]
    works("fetched by name", "psal-run", *named)
    for more, words in [(["--preprocess", OTHER], ["preprocessing", "'torchvision'", OTHER]), (["--variant", "v1"], ["variant", "'v1.5'", "'v1'"]),
                        (["--bn-epsilon", 0.01], ["batch-norm epsilon", "'1e-05'", "'0.01'"]), (["--signed"], ["--signed", "'0'", "'1'"]),
                        (["--logit"], ["loss", "'cross-entropy'", "'logit'"])]:
        refused(f"fetched by name, {more}", [published, "no statistics known", *words], "psal-run", *named, *more)
    elsewhere = scratch / "elsewhere.safetensors"
    shutil.copy(net, elsewhere)
    works("a file that may be anything", "psal-run", *explain(elsewhere, "--preprocess", "torchvision"),
          notes=[("records no class names", "1000 classes, ImageNet's"), (published, "original authors", "torchvision's pretrained resnet50")])
    works("with names", "psal-run", *explain(elsewhere, "--preprocess", "torchvision", "--labels", "imagenet"), notes=[(published,)])
    net.rename(cache / "resnet50-other.safetensors")
    refused("one that begins so", ["no such file has been fetched", "--model resnet50-other", "'psal-fetch resnet50'", "weights/fetch"], "psal-run", *named)


def test_no_bias():
    """A last layer without a bias may be one of cosines: said once, also with --quiet, until the file has a bias"""
    net = bottleneck(scratch / "biasless.safetensors", seed=7, bias=False)
    said = (net, "no 'fc.bias': zeros", "cosines")
    works("no bias", "psal-run", *explain(net, "--mode", "naive"), notes=[said])
    works("no bias, quietly", "psal-run", *explain(net, "--mode", "naive", "-q"), notes=[said])
    check("converted", run("psal-convert", net, scratch / "with_bias.safetensors").returncode == 0, "")
    works("then zeros are meant", "psal-run", *explain(scratch / "with_bias.safetensors", "--mode", "naive"))


# ---- going on ----

def test_run_resumed():
    net, out = bottleneck(scratch / "resumed.safetensors", seed=4), scratch / "many"
    listing = table(scratch / "listed", ["bag.png", "coat.png", "dress.png"])
    stats = make_statistics("resumed_own.safetensors", net, "--limit", 8)
    common = ["-w", net, "--images", listing, "-o", out, "--stats", stats]
    works("a list", "psal-run", *common, "-q")
    result = sorted(out.glob("*/result.json"))[0]
    settings = json.loads(result.read_text())["settings"]
    for key, value in [("arch", "resnet50"), ("variant", "v1.5"), ("bn_epsilon", 1e-5), ("preprocess", FASHION), ("loss", "cross-entropy"),
                       ("aggregation", "filter"), ("signed", False), ("mode", "std"), ("k_salient", 10), ("boost_factor", 100), ("seed", 1),
                       ("samples", 8), ("classes", 10), ("width", 0.0625)]:
        check(f"settings say {key}", settings.get(key) == value, settings.get(key))
    for key in ("fingerprint", "dataset", "statistics_fingerprint"):
        check(f"settings say {key}", len(settings.get(key, "")) == 16, settings.get(key))
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.*")}
    works("the same again", "psal-run", *common, "--resume", "-q", "--bn-epsilon", "0.00001", "--variant", "v1.5", "--boost-factor", "1e2")
    for more, words in [(["--bn-epsilon", "0.1"], "bn_epsilon is 1e-05 there and 0.1 here"),
                        (["--variant", "v1"], 'variant is "v1.5" there and "v1" here'),
                        (["--preprocess", "caffe"], "preprocess is"), (["--seed", 2], "seed is 1 there and 2 here"),
                        (["-k", 9], "k_salient is 10 there and 9 here"), (["-b", 99.5], "boost_factor is 100 there and 99.5 here"),
                        (["--noise-iters", 2], "noise_iters is 1 there"), (["--noise-percent", 0.5], "noise_percent is 0 there and 0.5 here"),
                        (["--compare-random"], "compare_random is false there and true here"), (["--top", 3], "top is 20 there and 3 here"),
                        (["--labels", "fashion-mnist"], 'the name of class 8 is "8" there and "Bag" here'),
                        (["--signed"], "signed is false there and true here"), (["--conv", "gemm"], 'conv is "fast" there and "gemm" here')]:
        naive = ["--mode", "naive"] if more[0] in ("--bn-epsilon", "--variant", "--preprocess", "--signed") else []
        if naive:  # statistics would be refused before
            works("a list, naive", "psal-run", *common[:4], "-o", scratch / "naive", "--mode", "naive", "-q", "--resume")
        refused(f"resumed with {more}", [words, "result.json"], "psal-run", *(common[:4] + ["-o", scratch / "naive"] if naive else common),
                "--resume", *naive, *more)
    other = make_statistics("resumed_other.safetensors", net, "--limit", 9)
    shutil.copy(other, stats)
    refused("other statistics of the same name", ["statistics_fingerprint is"], "psal-run", *common, "--resume")
    after = {p: p.stat().st_mtime_ns for p in out.rglob("*.*") if p.name != "summary.csv"}
    check("nothing was touched", all(before[p] == t for p, t in after.items()), "")
    # of an earlier version
    make_statistics("resumed_own.safetensors", net, "--limit", 8)
    text = result.read_text()
    result.write_text(text.replace(f'"version": "{settings["version"]}"', '"version": "0.0.9"'))
    refused("of another version", ['version is "0.0.9" there', "result.json"], "psal-run", *common, "--resume")
    result.write_text(text)
    for path in out.glob("*/result.json"):
        whole = json.loads(path.read_text())
        for key in ("bn_epsilon", "variant", "statistics_fingerprint", "arch", "classes", "width", "dataset", "samples", "normalized",
                    "dataset_name"):
            del whole["settings"][key]
        whole["settings"]["statistics"] = str(stats)
        path.write_text(json.dumps(whole))
    done = run("psal-run", *common, "--resume")
    check("of an earlier version", done.returncode == 0 and "do not say their variant, batch-norm epsilon, statistics" in done.stderr, done.stderr)
    refused("of an earlier version, other statistics", ["statistics is", other], "psal-run", *common[:-1], other, "--resume")
    whole = json.loads(result.read_text())
    del whole["settings"]["seed"]
    result.write_text(json.dumps(whole))
    refused("a setting is missing that every version wrote", ["seed is null there and 1 here"], "psal-run", *common, "--resume")


def test_stats_resumed_and_merged():
    net, out = bottleneck(scratch / "parts.safetensors", seed=5), scratch / "parts"
    names = ["bag.png", "bag_2.png", "coat.png", "dress.png", "shirt.png"]
    listing = table(scratch / "parts-data", names)
    other = table(scratch / "other-data", names[1:] + ["sneaker.png"])
    whole = (scratch / "parts-data" / "shirt.png").read_bytes()
    (scratch / "parts-data" / "shirt.png").write_bytes(bytes(len(whole)))
    out.mkdir()
    common = ["-w", net, "--data", listing, "--out", out / "s.safetensors", "-t", 1]
    check("stopped", run("psal-stats", *common).returncode == 1 and (out / "s.safetensors.partial").exists(), list(out.iterdir()))
    (scratch / "parts-data" / "shirt.png").write_bytes(whole)
    for more, words in [(["--bn-epsilon", "0.1"], ["batch-norm epsilon", "'1e-05'", "'0.1'"]), (["--variant", "v1"], ["variant", "'v1.5'", "'v1'"]),
                        (["--preprocess", OTHER], ["preprocessing", OTHER]), (["--logit"], ["loss", "'logit'"]),
                        (["--predicted"], ["--predicted", "'0'", "'1'"])]:
        refused(f"resumed with {more}", ["s.safetensors.partial", *words], "psal-stats", *common, "--resume", *more)
    state = out / "s.safetensors.partial"
    kept = state.read_bytes()
    forged(state, state, version="0.0.9")
    refused("resumed from another version", ["s.safetensors.partial", "version of psal is '0.0.9'"], "psal-stats", *common, "--resume")
    state.write_bytes(kept)
    forged(state, state, ["bn_epsilon", "variant", "width"])
    done = run("psal-stats", *common, "--resume")
    check("resumed from an earlier version", done.returncode == 0 and "does not say its variant, batch-norm epsilon" in done.stderr, done.stderr)

    def part(which, name="p", data=listing, *more):
        works(f"part {which} {name}", "psal-stats", "-w", net, "--data", data, "--out", out / f"{name}.safetensors", "--shard", which,
              "-q", "-t", 1, *more)
        return out / f"{name}.part-{which.replace('/', '-of-')}.safetensors"

    one, two = part("1/2"), part("2/2")
    merge = ["psal-stats", "merge", out / "merged.safetensors", one]
    for name, wrong, words in [("epsilon", part("2/2", "e", listing, "--bn-epsilon", "0.01"), ["batch-norm epsilon", "'0.01'", "'1e-05'"]),
                               ("variant", part("2/2", "v", listing, "--variant", "v1"), ["variant", "'v1'", "'v1.5'"]),
                               ("data set", part("2/2", "d", other), ["data set"]),
                               ("preprocessing", part("2/2", "q", listing, "--preprocess", OTHER), ["preprocessing", OTHER, FASHION]),
                               ("sign", part("2/2", "s", listing, "--signed"), ["--signed", "'1'", "'0'"])]:
        refused(f"merged with another {name}", [wrong, "another run", *words], *merge, wrong)
    works("merged", *merge, two)
    merged = metadata(out / "merged.safetensors")
    check("says all", merged["psal.variant"] == "v1.5" and merged["psal.bn_epsilon"] == "1e-05" and "psal.shard" not in merged, merged)
    old = forged(two, out / "old.safetensors", ["bn_epsilon"])
    works("merged with a part of an earlier version", *merge, old, notes=[("batch-norm epsilon",)])
    check("says what all say", "psal.bn_epsilon" not in metadata(out / "merged.safetensors"), "")
    refused("merged with another version", ["another run", "version of psal is '0.0.9'"], *merge, forged(two, out / "v.safetensors", version="0.0.9"))
    refused("a part that does not say its loss", ["does not say its loss"], *merge, forged(two, out / "lost.safetensors", ["loss"]))

    # sums that no profiles have
    header, values = read(two)
    for name, tensor, value in [("negative squares", "all.m2", -1.0), ("a huge mean", "all.mean", 1e200), ("huge squares", "correct.m2", 1e300),
                                ("NaN", "all.mean", float("nan")), ("a huge mean below 0", "incorrect.mean", -1e39)]:
        if tensor not in header:
            tensor = "all." + tensor.split(".")[1]
        at = header[tensor]["data_offsets"][0] + 16
        spoilt = values[:at] + struct.pack("<d", value) + values[at + 8:]
        refused(name, ["spoilt.safetensors", tensor, "entry 2"], *merge, write(out / "spoilt.safetensors", header, spoilt))
    for key, value, words in [("count.all", "2", ["count.all", "2", "3"]), ("count.correct", "3", ["correct"]), ("next", "9", ["9"])]:
        refused(f"{key} = {value}", words, *merge, forged(two, out / "count.safetensors", **{key: value}))


def test_shards():
    """What a launcher says: bounded, and understood with steps"""
    def shard(name, words, **environment):
        refused(name, words, "psal-stats", "--data", samples / "labels.csv", "--out", scratch / "shard.safetensors", "--shard", "auto", **environment)

    def slurm(task, count, **more):
        return {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": str(count),
                **{f"SLURM_ARRAY_TASK_{key.upper()}": str(value) for key, value in more.items()}}

    shard("too many tasks", ["part 6 of 4611686018427387904", "1000000"], **slurm(5, 1 << 62))
    shard("a little too many", ["1000001"], **slurm(5, 1000001))
    shard("beyond int64", ["SLURM_ARRAY_TASK_COUNT", "99999999999999999999"], **slurm(5, "99999999999999999999"))
    for bad in ("-1", "x", "3 ", "0x3", "1e3"):
        shard(f"task {bad}", ["SLURM_ARRAY_TASK_ID", bad], **slurm(bad, 4))
        shard(f"rank {bad}", ["OMPI_COMM_WORLD_RANK", bad], OMPI_COMM_WORLD_RANK=bad, OMPI_COMM_WORLD_SIZE="4")
    shard("no tasks", ["of 0"], **slurm(0, 0, min=0, max=0))
    shard("beyond the last", ["task 5 of 4"], **slurm(4, 4, min=0, max=3))
    shard("below the first", ["without gaps"], **slurm(0, 4, min=1, max=4))
    shard("between the steps", ["without gaps"], **slurm(2, 4, min=1, max=7, step=2))
    shard("gaps", ["without gaps"], **slurm(3, 3, min=1, max=7, step=1))
    shard("step 0", ["without gaps"], **slurm(1, 4, min=1, max=4, step=0))
    shard("beyond the ranks", ["part 5 of 4"], OMPI_COMM_WORLD_RANK="4", OMPI_COMM_WORLD_SIZE="4")
    shard("empty", ["neither SLURM_ARRAY_TASK_ID"], **slurm("", ""))
    for text in ("1/1000001", "99999999999999999999/2", "0/3", "2/1", "-1/-1"):
        refused(f"--shard={text}", [text], "psal-stats", "--data", samples / "labels.csv", "--out", scratch / "shard.safetensors", f"--shard={text}")
    for task, name in [(1, "1-of-4"), (7, "4-of-4")]:  # sbatch --array=1-7:2
        works(f"step 2, task {task}", "psal-stats", "--data", samples / "labels.csv", "--out", scratch / "steps.safetensors", "--shard", "auto",
              "-q", "-t", 1, **slurm(task, 4, min=1, max=7, step=2))
        check(f"step 2, part {name}", (scratch / f"steps.part-{name}.safetensors").exists(), list(scratch.glob("steps*")))


# ---- deltas, neighbours ----

def test_deltas():
    delta = scratch / "delta.safetensors"
    works("a delta", "psal-finetune", "-w", resnet, "-i", bag, "-l", 8, "-k", 5, "-c", "salient", "--save-delta", delta, "-q")
    made = metadata(delta)
    for key, value in [("bn_epsilon", "1e-05"), ("preprocess", FASHION), ("loss", "cross-entropy")]:
        check(f"a delta says {key}", made.get(f"psal.{key}") == value, made)
    stats = ["--stats", box / "fashion_resnet18_stats.safetensors"]
    done = works("applied", "psal-run", *explain(resnet, "--delta", delta, *stats), notes=[("weights without the delta",)])
    settings = json.loads(done.stdout)["settings"]
    check("the result says both weights", settings["base_fingerprint"] == made["psal.fingerprint"] != settings["fingerprint"], settings)
    done = works("with those of the weights before", "psal-run", *explain(resnet, "--delta", delta),
                 notes=[(stats[1], "weights without the delta")])
    check("their file is the box's", json.loads(done.stdout)["statistics"] == str(stats[1]), done.stdout[:300])
    refused("without statistics", ["no statistics known", f"'psal-stats --weights {resnet} --preprocess '{OTHER}' --logit --data"], "psal-run",
            *explain(resnet, "--preprocess", OTHER, "--logit", "--delta", delta))
    naive = ["--delta", delta, "--mode", "naive"]
    refused("with another epsilon", [delta, "batch-norm epsilon", "'1e-05'", "'0.1'"], "psal-run", *explain(resnet, *naive, "--bn-epsilon", "0.1"))
    refused("on other weights", [delta, "other weights"], "psal-run", *explain(forged_weights(), *naive))
    refused("on another network", [delta, "architecture", "'resnet18'", "'vgg19'"], "psal-run", *explain(vgg, *naive))
    refused("applied twice", [delta, "other weights"], "psal-run", *explain(resnet, "--delta", delta, *naive))
    works("with another preprocessing", "psal-run", *explain(resnet, *naive, "--preprocess", OTHER), notes=[(delta, FASHION, OTHER)])
    works("of an earlier version", "psal-run", *explain(resnet, "--mode", "naive", "--delta", forged(
        delta, scratch / "old_delta.safetensors", ["bn_epsilon", "preprocess", "loss", "variant"])))


def forged_weights():
    """The ResNet-18 in the box with one weight changed"""
    header, values = read(resnet)
    at = header["conv1.weight"]["data_offsets"][0]
    changed = bytearray(values)
    changed[at] ^= 1
    return write(scratch / "one_weight.safetensors", header, bytes(changed))


def test_averages():
    """Weights beside which a moving average lies: every program says so, also with --quiet; the same numbers twice are no doubt"""
    tensors, meta = networks.read(resnet)
    other = {name: [kind, shape, bytearray(data)] for name, (kind, shape, data) in tensors.items()}
    networks.fill(other["fc.bias"], 0.25)

    def beside(name, prefixes):
        return networks.write(scratch / name, {prefix + tensor: values for prefix, network in prefixes.items()
                                               for tensor, values in network.items()}, meta)
    averaged = beside("averaged.safetensors", {"": tensors, "ema.": other})
    behind = beside("behind.safetensors", {"module.": tensors, "model_ema.module.": other})
    same = beside("same.safetensors", {"": tensors, "ema.": tensors})
    naive = ["--mode", "naive", "-q"]
    stats = scratch / "averaged_s.safetensors"
    for path, prefix in ((averaged, "ema."), (behind, "model_ema.module.")):
        said = [(path, f"left another network aside: resnet18 under '{prefix}'", "--weights-key")]
        works("psal-run", "psal-run", *explain(path, *naive), notes=said)
        works("psal-stats", "psal-stats", "-w", path, "--data", table(scratch / "averaged", ["bag.png", "sandal.png"]), "--out", stats, "-q",
              notes=said)
        for program in ("psal-prune", "psal-finetune"):
            works(program, program, "-w", path, "-i", bag, "-l", 8, "--stats", stats, "-k", 3, "-c", "salient", "-q", notes=said)
        works("psal-convert", "psal-convert", path, scratch / "averaged_c.safetensors", "-q", notes=said)
        works("chosen", "psal-run", *explain(path, *naive, "--weights-key", prefix))
    works("the same twice", "psal-run", *explain(same, *naive))
    works("one alone", "psal-run", *explain(beside("alone.safetensors", {"ema.": other}), *naive))


def test_assumed_stem():
    """A first convolution of 3x3: its stride and the pooling behind are nowhere in the file. Said, also with --quiet, until somebody tells"""
    tensors, meta = networks.read(resnet)
    kind, shape, data = tensors["conv1.weight"]
    width = len(data) // (shape[0] * shape[1] * shape[2] * shape[3])
    tensors["conv1.weight"] = [kind, [*shape[:2], 3, 3], data[:shape[0] * shape[1] * 9 * width]]
    untold = {name: value for name, value in meta.items() if name != "psal.arch"}
    path = networks.write(scratch / "stem.safetensors", tensors, untold)
    naive = ["--mode", "naive", "-q"]
    said = (path, "assumed that the first convolution, of 3x3, has stride 1 and no pooling follows it", "resnet18_cifar")
    works("assumed", "psal-run", *explain(path, *naive), notes=[said])
    works("convert", "psal-convert", path, scratch / "stem_converted.safetensors", "-q", notes=[said])
    works("told by the user", "psal-run", *explain(path, *naive, "--model", "resnet18_cifar"))
    works("told by the file", "psal-run", *explain(networks.write(scratch / "stem_told.safetensors", tensors, {**meta, "psal.arch": "resnet18_cifar"}), *naive))
    refused("another architecture", ["resnet18"], "psal-run", *explain(path, *naive[:2], "--model", "resnet18"))


def test_grey_images():
    """A first convolution of one input: the box's network with the three added up, which are equal for its grey images"""
    tensors, meta = networks.read(resnet)
    kernel, size = networks.get(tensors["conv1.weight"]), 7 * 7
    summed = [sum(kernel[(3 * f + c) * size + i] for c in range(3)) for f in range(16) for i in range(size)]
    tensors["conv1.weight"] = ["F32", [16, 1, 7, 7], bytearray(4 * len(summed))]
    networks.put(tensors["conv1.weight"], summed)
    how = "grey;resize=none;crop=32;scale=255;mean=0.286;std=0.353"
    told = networks.write(scratch / "grey.safetensors", tensors, {**meta, "psal.preprocess": how})
    untold = networks.write(scratch / "grey_untold.safetensors", tensors, {k: v for k, v in meta.items() if k != "psal.preprocess"})
    naive = ["--mode", "naive", "--top", 1000]
    grey, colour = (json.loads(works(name, "psal-run", *explain(path, *naive)).stdout) for name, path in (("grey", told), ("colour", resnet)))
    near = lambda a, b: abs(a - b) <= 1e-4 * abs(b) + 1e-7  # noqa: E731
    check("the same confidence", near(grey["predicted"]["confidence"], colour["predicted"]["confidence"]), f"{grey['predicted']} {colour['predicted']}")
    rows, theirs = ({row["filter"]: row["naive"] for row in answer["top_filters"]} for answer in (grey, colour))
    far = max(abs(rows[f] - theirs[f]) for f in rows if f in theirs) / max(theirs.values())
    check("the same profile", len(rows) == len(theirs) > 800 and far <= 1e-3, f"{len(rows)}, {len(theirs)} filters, {far:.1e} of the largest apart")
    asked = ["takes grey images and does not record", "--preprocess"]
    refused("untold", [untold, *asked], "psal-run", *explain(untold, *naive))
    refused("untold, converted", [untold, *asked], "psal-convert", untold, scratch / "grey_converted.safetensors")
    refused("colour for grey", ["images of 3 channels, but", "takes 1"], "psal-run", *explain(told, *naive, "--preprocess", FASHION))
    refused("grey for colour", ["images of 1 channel, but", "takes 3"], "psal-run", *explain(resnet, *naive, "--preprocess", how))
    works("converted", "psal-convert", untold, scratch / "grey_converted.safetensors", "--preprocess", how, "-q")
    works("converted, explained", "psal-run", *explain(scratch / "grey_converted.safetensors", *naive))
    stats = make_statistics("grey_stats.safetensors", told, "--profiles", scratch / "grey.npy")
    works("neighbours", "psal-neighbors", "--store", scratch / "grey.npy", "-w", told, "-i", bag, "--top", 1, "-q")
    for program in ("psal-prune", "psal-finetune"):
        works(program, program, "-w", told, "-i", bag, "-l", 8, "--stats", stats, "-k", 3, "-c", "salient", "--json", "-t", 1)
    tensors["conv1.weight"] = ["F32", [16, 4, 7, 7], bytearray(4 * 16 * 4 * size)]
    four = networks.write(scratch / "four.safetensors", tensors, meta)
    refused("four channels", [four, "images of 4 channels"], "psal-run", *explain(four, *naive))


def with_classes(count):
    """The box's network with more classes, all like its last one"""
    tensors, meta = networks.read(resnet)
    for name in ("fc.weight", "fc.bias"):
        kind, shape, data = tensors[name]
        size = len(data) // 10
        tensors[name] = [kind, [count, *shape[1:]], data + data[-size:] * (count - 10)]
    return tensors, dict(meta, **{"psal.num_classes": str(count), "psal.labels": "numbers"})


def test_neighbors():
    store, stats = scratch / "store.npy", scratch / "store_own.safetensors"
    works("a store", "psal-stats", "-w", resnet, "--data", samples / "labels.csv", "--out", stats, "--profiles", store, "-q")
    ask = ["--store", store, "--top", 3, "-w", resnet, "-i", bag, "-l", 8]
    done = works("a photo", "psal-neighbors", *ask, "--json", notes=[("is this picture",)])
    settings = json.loads(done.stdout)["settings"]
    check("says what the store is", settings["arch"] == "resnet18" and settings["loss"] == "cross-entropy" and settings["bn_epsilon"] == 1e-5, settings)
    for name, more, words in [("epsilon", ["--bn-epsilon", 0.1], ["batch-norm epsilon", "'1e-05'", "'0.1'"]),
                              ("preprocessing", ["--preprocess", OTHER], ["preprocessing", FASHION, OTHER]),
                              ("weights", ["-w", forged_weights()], ["weights"])]:
        refused(f"a photo, another {name}", ["store.npy.csv", *words], "psal-neighbors", *ask, *more)
    ten, eleven = (scratch / f"{number}_names.txt" for number in ("ten", "eleven"))
    for number, path in ((10, ten), (11, eleven)):
        path.write_text("".join(f"name {i}\n" for i in range(number)))
    done = works("names of its classes", "psal-neighbors", "--store", store, "--query", 0, "--labels", ten)
    check("and they are used", "name 8, predicted name 5" in done.stdout, done.stdout)
    for names, count in ((eleven, 11), ("imagenet", 1000)):
        refused(f"names of {count} classes", ["--labels", f"{count} names", "10 classes"], "psal-neighbors", "--store", store, "--query", 0, "--labels", names)
    more = networks.write(scratch / "eleven.safetensors", *with_classes(11))
    refused("a network of other classes", ["number of classes", "'10'", "'11'"], "psal-neighbors", "--store", store, "--query", 0, "-w", more)
    refused("layers of another network", ["430", "1200"], "psal-neighbors", "--store", store, "--query", 0, "-w", vgg, "--layers", "features.0")
    for name, make, words in [("loss", ["--logit"], ["loss", "'logit'", "'cross-entropy'"]), ("sign", ["--signed"], ["--signed", "'1'", "'0'"]),
                              ("preprocessing", ["--preprocess", OTHER], ["preprocessing", OTHER, FASHION]),
                              ("norm", ["--normalized"], ["--normalized", "'1'", "'0'"])]:
        other = make_statistics(f"store_{name}.safetensors", resnet, "--limit", 6, *make)
        refused(f"statistics of another {name}", [other, *words], "psal-neighbors", "--store", store, "--query", 0, "--stats", other)
    signed = scratch / "signed.npy"
    works("a signed store", "psal-stats", "-w", resnet, "--data", samples / "labels.csv", "--out", scratch / "x.safetensors", "--profiles",
          signed, "--signed", "-q")
    refused("a photo and a signed store", ["--signed", "'1'", "'0'"], "psal-neighbors", "--store", signed, *ask[2:])
    refused("statistics and a signed store", ["--signed", "'0'", "'1'"], "psal-neighbors", "--store", signed, "--query", 0, "--stats", stats)
    # a table of an earlier version, or of the user's own
    index = scratch / "store.npy.csv"
    text = index.read_text()
    rows = list(csv.DictReader(text.splitlines()))
    with open(index, "w", newline="") as file:
        writer = csv.DictWriter(file, [key for key in rows[0] if key != "psal_settings"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    works("an earlier version's table", "psal-neighbors", *ask, notes=[("store.npy.csv", "does not say"), ("is this picture",)])
    works("without a photo", "psal-neighbors", "--store", store, "--query", 0, "--stats", stats)
    for bad in ("{", "5", '{"loss": []}', '{"bn_epsilon": "x"}'):
        rows[0]["psal_settings"] = bad
        with open(index, "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        refused(f"settings {bad}", ["store.npy.csv", "psal_settings"], "psal-neighbors", "--store", store, "--query", 0)
    index.write_text(text)


# ---- what nobody said ----

def test_assumptions():
    """Preprocessing and Inception's input transform, once, in every program, and in the results"""
    plain = forged(resnet, scratch / "plain.safetensors", ["preprocess"])
    said = (plain, "does not record its preprocessing", "torchvision", "256", "224x224", "--preprocess")
    done = works("psal-run", "psal-run", *explain(plain, "--mode", "naive"), notes=[said])
    check("psal-run records it", json.loads(done.stdout)["settings"].get("preprocess_assumed") is True, done.stdout[-600:])
    works("psal-run, quietly", "psal-run", *explain(plain, "--mode", "naive", "-q"), notes=[said])
    listing = table(scratch / "assumed", ["bag.png", "bag_called_sandal.png", "sandal.png"])
    stats = scratch / "assumed.safetensors"
    works("psal-stats", "psal-stats", "-w", plain, "--data", listing, "--out", stats, "--profiles", scratch / "assumed.npy", notes=[said])
    check("psal-stats records it", metadata(stats).get("psal.preprocess_assumed") == "1", metadata(stats))
    for program in ("psal-prune", "psal-finetune"):
        done = works(program, program, "-w", plain, "-i", bag, "-l", 5, "--stats", stats, "-k", 3, "-c", "salient", "--json", "-t", 1, notes=[said])
        check(f"{program} records it", json.loads(done.stdout)["settings"].get("preprocess_assumed") is True, done.stdout[-600:])
    works("psal-neighbors", "psal-neighbors", "--store", scratch / "assumed.npy", "-w", plain, "-i", bag, "--top", 1, notes=[said, ("is this picture",)])
    given = ["--preprocess", "torchvision"]
    done = works("said", "psal-run", *explain(plain, "--mode", "naive", *given))
    check("said: not assumed", "preprocess_assumed" not in json.loads(done.stdout)["settings"], "")
    # a conversion does not make it known
    converted = scratch / "converted.safetensors"
    check("psal-convert says it", "torchvision (assumed)" in run("psal-convert", plain, converted).stdout, "")
    works("converted", "psal-run", *explain(converted, "--mode", "naive"), notes=[(converted, *said[1:])])
    check("converted twice", "(assumed)" in run("psal-convert", converted, scratch / "twice.safetensors").stdout, "")
    check("converted and said", "(assumed)" not in run("psal-convert", converted, scratch / "twice.safetensors", *given).stdout, "")
    for text, words in (("rgb", "needs a crop"), ("rgb;crop=0", "needs a crop")):
        refused(f"what no program could use: {text}", ["--preprocess", words], "psal-convert", plain, scratch / "unused.safetensors", "--preprocess", text)
    works("then known", "psal-run", *explain(scratch / "twice.safetensors", "--mode", "naive"))
    works("pruned", "psal-prune", "-w", plain, *given, "-i", bag, "-l", 8, "--stats", stats, "-k", 3, "-c", "salient", "--save",
          scratch / "pruned.safetensors", "-q", "-t", 1)
    check("a saved network keeps what was said", metadata(scratch / "pruned.safetensors").get("psal.preprocess") == "torchvision", "")
    # fetched by its name
    (scratch / "cache" / "psal").mkdir(parents=True, exist_ok=True)
    shutil.copy(plain, scratch / "cache" / "psal" / "resnet18.safetensors")
    works("fetched by name", "psal-run", "-m", "resnet18", *explain(plain, "--mode", "naive")[2:])
    # the input transform
    network = forged(inception, scratch / "inception.safetensors", ["transform_input"])
    said = (network, "input transform", "assumed off", "--transform-input")
    done = works("Inception-v3", "psal-run", *explain(network, "--mode", "naive"), notes=[said])
    check("recorded", json.loads(done.stdout)["settings"].get("transform_input_assumed") is True, done.stdout[-600:])
    works("with the transform", "psal-run", *explain(network, "--mode", "naive", "--transform-input"))
    works("recorded in the box", "psal-run", *explain(inception))
    check("psal-convert says it", "no (assumed" in run("psal-convert", network, converted).stdout, "")
    works("Inception-v3 converted", "psal-run", *explain(converted, "--mode", "naive"), notes=[(converted, *said[1:])])
    check("converted with it", "yes" in run("psal-convert", network, converted, "--transform-input").stdout, "")
    works("Inception-v3 known", "psal-run", *explain(converted, "--mode", "naive"))


if __name__ == "__main__":
    sys.exit(run_tests((test_statistics, test_variant, test_earlier_files, test_found, test_authors_statistics, test_run_resumed, test_stats_resumed_and_merged,
                        test_shards, test_deltas, test_averages, test_assumed_stem, test_grey_images, test_neighbors, test_assumptions,
                        test_no_bias), scratch))
