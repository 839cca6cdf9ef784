#!/usr/bin/env python3
"""psal-check from end to end, on the networks in the box: the same results with any number of threads, tables that agree with each
other, and that everything wrong is one line on standard error, a status other than 0, and no file left.

    tests/e2e/test_checks.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import csv
import json
import math
import shutil
import struct
import sys
import zlib

from checks import check, run_tests
from programs import bag, coat, run_text as run, samples, scratch, weights

out = scratch / "out"
listing = samples / "labels.csv"


def refuse(says, *arguments, status=1):
    """It fails with one line in which all of `says` occur, prints nothing and leaves nothing in `out`"""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    done = run("psal-check", *arguments)
    lines, left = [line for line in done.stderr.splitlines() if ": note: " not in line], [path.name for path in out.iterdir()]
    fine = done.returncode == status and len(lines) == 1 and lines[0].startswith("psal-check: ") and not left and not done.stdout
    check(f"psal-check {' '.join(map(str, arguments))}", fine and all(word in lines[0] for word in says),
          f"status {done.returncode}, left {left}: {done.stdout}{done.stderr}")


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def results(name, *arguments):
    """(JSON, its two tables) of a check, which must be the same with one, two and three threads"""
    got = []
    for threads in (1, 2, 3):
        files = [scratch / f"{kind}-{threads}.csv" for kind in ("table", "samples")]
        done = run("psal-check", *arguments, "--json", "--quiet", "--csv", files[0], "--samples", files[1], "--figure",
                   scratch / "figure.svg", "--threads", threads)
        check(f"{name}, {threads} threads", done.returncode == 0 and not done.stderr, done.stderr)
        got.append((done.stdout, *(file.read_bytes() for file in files), (scratch / "figure.svg").read_bytes()))
    check(f"{name}: the same with one to three threads", len(set(got)) == 1)
    answer = json.loads(got[0][0])
    check(f"{name}: three sentences", len(answer["verdict"]) == 3 and all(text.endswith(".") and 20 < len(text) < 599
                                                                          for text in answer["verdict"]), answer["verdict"])
    return answer, table(files[0]), table(files[1])


def ranks(values):
    order = sorted(values)
    return [(order.index(v) + 1 + len(order) - order[::-1].index(v)) / 2 for v in values]


def spearman(x, y):
    x, y = ranks(x), ranks(y)
    mean = (len(x) + 1) / 2
    products = [sum((a - mean) * (b - mean) for a, b in zip(p, q)) for p, q in ((x, y), (x, x), (y, y))]
    return products[0] / math.sqrt(products[1] * products[2])


def test_refusals():
    image = ("--image-path", bag, "-l", "Bag")
    refuse(("ablate",), status=2)
    refuse(("'sanity'", "ablate"), "sanity")
    refuse(("--filters 1200", "resnet18", "1199 filters that can be ranked"), "ablate", "--filters", 1200, "--csv", out / "t.csv")
    refuse(("--filters 5000", "vgg19", "430"), "ablate", "-w", weights / "fashion_vgg19.safetensors", *image, "--filters", 5000)
    refuse(("--filters", "1"), "ablate", "--filters", 1, status=2)
    refuse(("--how", "noise"), "ablate", "--how", "noise", status=2)
    refuse(("which mistakes",), "ablate", "-w", weights / "fashion_vgg19.safetensors")
    refuse(("only one", "--data"), "ablate", *image, "--data", listing)
    refuse(("fashion_resnet18_stats", "vgg19"), "ablate", "-w", weights / "fashion_vgg19.safetensors", *image, "--stats",
           weights / "fashion_resnet18_stats.safetensors")
    for option in (("--limit", 3), ("--first", 3), ("--skip-bad",)):
        refuse((f"{option[0]} does nothing for one image",), "ablate", *option, *image)
        refuse((f"{option[0]} does nothing for one image",), "mask", *option)
    for option in ("--csv", "--samples", "--figure"):
        refuse((option, "missing", "No such file"), "ablate", option, out / "missing" / "x.png")
    refuse(("x.gif",), "ablate", "--filters", 2, "--figure", out / "x.gif")
    refuse(("MiB",), "ablate", "--memory-limit", 1, *image, "-w", weights / "fashion_vgg19.safetensors")


def test_mask_refusals():
    refuse(("mask", "--filters"), "mask", "--filters", 3)
    refuse(("ablate", "--percent"), "ablate", "--percent", 3)
    refuse(("--percent", "100"), "mask", "--percent", "5,100", status=2)
    refuse(("--fill", "black"), "mask", "--fill", "black", status=2)
    refuse(("--boost-factor", "--box"), "mask", "--box", "0,0,3,3", "--boost-factor", 3)
    refuse(("--k-salient 1200", "1199 filters that can be ranked"), "mask", "-k", 1200, "--data", listing)
    refuse(("only one", "--mask", "--percent"), "mask", "--mask", bag, "--percent", 5)
    refuse(("nowhere.png", "No such file"), "mask", "--mask", "nowhere.png")
    refuse(("--mask", "labels.csv"), "mask", "--mask", listing)
    picture(scratch / "small.png", 27, 32, lambda x, y: x > 5)
    refuse(("--mask", "small.png", "27 x 32", "32 x 32"), "mask", "--mask", scratch / "small.png", "--csv", out / "t.csv")
    for value, word in ((0, "nothing"), (255, "everything")):
        picture(scratch / "flat.png", 32, 32, lambda x, y: value)
        refuse(("flat.png", word), "mask", "--mask", scratch / "flat.png")
    refuse(("only one", "--box", "--percent"), "mask", "--box", "1,1,2,2", "--percent", 5)
    refuse(("only one", "--mask", "--box"), "mask", "--box", "1,1,2,2", "--mask", bag)
    for box in ("1,2,3", "1,2,3,4,5", "1,2,3,x", "", "1,2,3,", "1, 2,3,4", "9999999999999999999,0,1,1"):
        refuse(("--box", f"'{box}' is no box", "four whole numbers"), "mask", f"--box={box}")
    for box in ("30,0,3,1", "0,32,1,1", "-1,0,2,2", "0,0,0,5", "0,0,33,1", "9223372036854775807,0,1,1"):
        refuse(("--box", f"'{box}'", "32 x 32"), "mask", f"--box={box}", "--csv", out / "t.csv")
    refuse(("--box", "hide all of the image"), "mask", "--box", "0,0,32,20", "--box", "0,10,32,22")
    refuse(("only one", "--fill", "--fill-image"), "mask", "--fill", "blur", "--fill-image", bag)
    refuse(("--fill-image", "nowhere.png", "No such file"), "mask", "--fill-image", "nowhere.png")
    refuse(("--fill-image", "labels.csv"), "mask", "--fill-image", listing)
    refuse(("ablate", "--box"), "ablate", "--box", "1,1,2,2")
    refuse(("randomize", "--fill-image"), "randomize", "--fill-image", bag)


def picture(path, width, height, value):
    """A grey PNG"""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    rows = b"".join(b"\0" + bytes(255 * bool(value(x, y)) for x in range(width)) for y in range(height))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def test_mask():
    answer, rows, each = results("mask", "mask", "--data", listing, "--first", 3, "--percent", "20,5", "--draws", 2, "--fill", "noise")
    check("mask: rows", [(row["percent"], row["pixels"]) for row in answer["rows"]]
          == [(percent, pixels) for percent in (0, 5, 20) for pixels in ("heat-map", "random-region", "same-shape")]
          and len(rows) == 9 and len(each) == 27 and answer["maps"] == 3, answer["rows"])
    columns = ("saliency", "true_confidence", "wrong_confidence", "now_right")
    for row in answer["rows"]:
        of = [sample for sample in each if float(sample["percent"]) == row["percent"] and sample["pixels"] == row["pixels"]]
        fine = all(abs(sum(float(sample[column]) for sample in of) / 3 - row[column]["mean"]) < 1e-9 for column in columns)
        check(f"mask: the means of {row['percent']} %, {row['pixels']}", fine and row["saliency_sd"] > 0, row)
    whole = json.loads(run("psal-run", "--image-path", bag, "-l", "Bag", "--json", "--quiet", "--out", scratch / "run", "--top", 10).stdout)
    first = [sample for sample in each if sample["name"] == bag.name and sample["percent"] == "0"][0]
    mean = sum(row["saliency"] for row in whole["top_filters"]) / 10
    check("mask: nothing hidden is what psal-run says", abs(float(first["saliency"]) - mean) < 1e-5 * mean
          and abs(float(first["wrong_confidence"]) - whole["predicted"]["confidence"]) < 1e-6, (first, mean))
    check("mask: hiding pixels changes something", len({sample["saliency"] for sample in each if sample["name"] == bag.name}) == 7)


def test_mask_file():
    """All that is hidden is gone: an image whose pixels are all hidden but one answers as a flat one"""
    picture(scratch / "left.png", 32, 32, lambda x, y: x < 16)
    done = run("psal-check", "mask", "--mask", scratch / "left.png", "--json", "--quiet")
    answer = json.loads(done.stdout or "{}")
    check("--mask", done.returncode == 0 and [row["percent"] for row in answer["rows"]] == [0] * 3 + [50] * 3
          and "--mask" in answer["verdict"][0], done.stderr)
    boxes = json.loads(run("psal-check", "mask", "--box", "0,0,16,20", "--box", "0,12,16,20", "--json", "--quiet").stdout)
    check("boxes are that mask", boxes["rows"] == answer["rows"] and "--box" in boxes["verdict"][0], boxes["verdict"])
    itself = json.loads(run("psal-check", "mask", "--box", "4,4,9,9", "--fill-image", coat, "--json", "--quiet").stdout)
    check("filled with itself nothing changes", itself["fill"] == "photo" and
          all(abs(row["saliency"]["mean"] / itself["rows"][0]["saliency"]["mean"] - 1) < 1e-12 for row in itself["rows"]), itself["rows"])
    other = samples / "trouser_called_dress.png"
    patched = json.loads(run("psal-check", "mask", "--box", "4,4,20,20", "--fill-image", other, "--json", "--quiet").stdout)
    check("with a patch of another photo it does", patched["rows"][3]["saliency"] != patched["rows"][0]["saliency"] and
          patched["rows"][3]["percent"] == 100 * 400 / 1024, patched["rows"])
    other = json.loads(run("psal-check", "mask", "--mask", scratch / "left.png", "--fill", "blur", "--json", "--quiet").stdout)
    check("--fill", other["fill"] == "blur" and other["rows"][3] != answer["rows"][3] and other["rows"][0] == answer["rows"][0])


def test_randomize():
    refuse(("randomize", "--percent"), "randomize", "--percent", 5)
    refuse(("mask", "--by"), "mask", "--by", "layer")
    refuse(("--k-salient 1200", "1199"), "randomize", "-k", 1200)
    refuse(("--by", "block"), "randomize", "--by", "block", status=2)
    answer, rows, each = results("randomize", "randomize", "--data", listing, "--first", 3, "--random-labels", 2)
    stages = ["fc", "layer4", "layer3", "layer2", "layer1", "conv1"]
    names = [(row["redrawn"], row["stage"]) for row in answer["rows"]]
    check("randomize: rows", names == [(way, stage) for way in ("cascade", "alone") for stage in stages] + [("label", "random label")]
          and len(rows) == 13 and len(each) == 39, names)
    measures = ("naive_spearman", "standardized_spearman", "map_spearman", "map_ssim")
    of = {name: [row for row in each if (row["redrawn"], row["stage"]) == name] for name in names}
    for row, name in zip(answer["rows"], names):
        check(f"randomize: the means of {name}", all(abs(sum(float(sample[m]) for sample in of[name]) / 3 - row[m]["mean"]) < 1e-9
                                                      and -1 <= row[m]["mean"] < 1 for m in measures), row)
    check("randomize: the top stage alone is the cascade's first", [{m: row[m] for m in measures} for row in of["cascade", "fc"]]
          == [{m: row[m] for m in measures} for row in of["alone", "fc"]])
    check("randomize: more redrawn, less left", answer["rows"][0]["naive_spearman"]["mean"] > answer["rows"][5]["naive_spearman"]["mean"])
    one = ("randomize", "--random-labels", 0, "--json", "--quiet")
    for more in ((), ("--redraw", "normal"), ("--seed", 2), ("--by", "layer")):
        other = json.loads(run("psal-check", *one, *more).stdout)
        check(f"randomize {more}", len(other["rows"]) == (42 if "layer" in more else 12) and other["rows"] != answer["rows"][:12]
              and other["verdict"][2] == "Labels were not redrawn.", len(other["rows"]))


def test_ablate():
    answer, rows, filters = results("ablate", "ablate", "--data", listing, "--filters", 30)
    count = answer["mistakes"]
    check("ablate: a row for each filter", len(filters) == 30 * count and count > 2, (len(filters), count))
    check("ablate: rankings and effects", len(rows) == len(answer["rows"]) == 16, len(rows))
    of = {}
    for row in filters:
        of.setdefault(row["index"], []).append(row)
    columns = {"naive": "naive", "standardized": "standardized", "signed": "signed", "gradient-weight": "gradient_weight"}
    for row in answer["rows"]:
        size = row["effect"].endswith("-size")
        effect = "loss_change" if row["effect"].startswith("loss") else "wrong_logit_change"
        each = []
        for group in of.values():
            x, y = ([float(filter[column]) for filter in group] for column in (columns[row["ranking"]], effect))
            if size:
                y = [abs(value) for value in y]
                x = [abs(value) for value in x] if row["ranking"] in ("signed", "gradient-weight") else x
            each.append(spearman(x, y))
        mean, interval = sum(each) / len(each), row["spearman"]
        check(f"ablate: {row['ranking']}, {row['effect']}", abs(mean - interval["mean"]) < 1e-9
              and interval["low"] <= interval["mean"] <= interval["high"] and row["mistakes"] == count, (mean, interval))
    for group in of.values():
        strata = [(int(row["rank"]) - 1) * 30 // 1199 for row in group]
        check("ablate: the ranks lie in strata", [int(row["rank"]) for row in group] == sorted(int(row["rank"]) for row in group)
              and all(abs(stratum - i) <= 1 for i, stratum in enumerate(strata)), strata)
    other = json.loads(run("psal-check", "ablate", "--data", listing, "--filters", 30, "--seed", 2, "--json", "--quiet").stdout)
    check("ablate: another seed draws other filters", other["rows"] != answer["rows"], other["settings"])


def test_ablate_one():
    """One mistake has no interval; switching a whole channel off is something else; rows take the last layer along"""
    done = run("psal-check", "ablate", "--filters", 25, "--json", "--quiet")
    answer = json.loads(done.stdout)
    check("one mistake", answer["mistakes"] == 1 and answer["rows"][0]["spearman"]["low"] is None, answer["rows"][0])
    channel = json.loads(run("psal-check", "ablate", "--filters", 25, "--json", "--quiet", "--how", "channel").stdout)
    check("--how channel", channel["how"] == "channel" and channel["rows"] != answer["rows"])
    text = run("psal-check", "ablate", "--filters", 25, "--quiet").stdout
    check("the text ends with the verdict", text.rstrip().split("\n")[-3:] == answer["verdict"], text)
    stats = scratch / "rows.safetensors"
    rows = ("--aggregation", "row")
    done = run("psal-stats", "--data", listing, *rows, "--out", stats, "--quiet")
    check("psal-stats", done.returncode == 0, done.stderr)
    done = run("psal-check", "ablate", *rows, "--stats", stats, "--filters", 1000000)
    check("too many rows", done.returncode == 1 and "rows that can be ranked" in done.stderr, done.stderr)
    path = scratch / "rows.csv"
    done = run("psal-check", "ablate", *rows, "--stats", stats, "--filters", 300, "--samples", path, "--quiet")
    check("rows", done.returncode == 0 and "fc.weight" in {row["layer"] for row in table(path)}, done.stderr)


def test_ablate_tails():
    """--mode pot: its ranking is one more"""
    store, stats, tails = scratch / "p.npy", scratch / "s.safetensors", scratch / "t.safetensors"
    for words in (("--data", listing, "--out", stats, "--profiles", store), ("tail", store, tails, "--quantile", "0.5")):
        done = run("psal-stats", "--quiet", *words)
        check(f"psal-stats {words[0]}", done.returncode == 0, done.stderr)
    path = scratch / "pot.csv"
    done = run("psal-check", "ablate", "--mode", "pot", "--stats", tails, "--filters", 25, "--samples", path, "--json", "--quiet")
    answer, rows = json.loads(done.stdout or "{}"), table(path)
    check("--mode pot", answer["settings"]["mode"] == "pot" and len(answer["rows"]) == 20 and "over threshold" in answer["verdict"][0],
          done.stderr)
    scores = [float(row["pot"]) for row in rows]
    check("the filters stand in the order of the tails", scores == sorted(scores, reverse=True) and scores[0] > scores[-1], scores)
    standardized = [float(row["standardized"]) for row in rows]
    check("which is not that of the standardized saliency", standardized != sorted(standardized, reverse=True), standardized)
    refuse(("tail",), "ablate", "--mode", "pot", "--stats", stats)


if __name__ == "__main__":
    sys.exit(run_tests([test_refusals, test_ablate, test_ablate_one, test_ablate_tails, test_mask_refusals, test_mask, test_mask_file, test_randomize], scratch))
