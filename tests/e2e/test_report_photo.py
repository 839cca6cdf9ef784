#!/usr/bin/env python3
"""The page of one photo, of psal-report --image-path and of psal-run --report: both are the same page, its numbers are those of the programs
that it names, and psal-run writes what it writes without it.

    tests/e2e/test_report_photo.py TOOLS-DIR SOURCE-DIR

Prints a line per failure and "N passed, N failed"."""
import csv
import json
import re
import shlex
import shutil

import onnx_files
from checks import check, run_tests
from pages import HOSTILE, look_at
from programs import bag, network, run_text, samples, scratch

LABELS = samples / "labels.csv"
FASHION = "/usr/share/datasets/fashion-mnist/t10k"
IDX = f"idx:{FASHION}-images-idx3-ubyte.gz,{FASHION}-labels-idx1-ubyte.gz"
SEES_32 = "rgb;resize=32;crop=32;scale=255;mean=0,0,0;std=1,1,1"


def photo(name, *arguments, program="psal-report", option="--out"):
    out = scratch / f"{name}.html"
    done = run_text(program, option, out, *arguments)
    check(f"{name}: status 0", done.returncode == 0, (done.returncode, done.stderr[-600:]))
    return look_at(name, out), json.loads(out.with_suffix(".json").read_text()), done


def repeat(command, *more):
    program, *arguments = shlex.split(command)
    return run_text(program, *arguments, *more)


def test_page():
    page, result, done = photo("bag", "-w", network, "-i", bag, "-l", "bag", "-d", LABELS)
    check("findings and where the page is", done.stdout.splitlines()[:-1] == result["findings"] and len(result["findings"]) == 4 and
          "bag.html and" in done.stdout, done.stdout)
    check("nothing else is written", sorted(path.name for path in scratch.glob("bag*")) == ["bag.html", "bag.json"] and
          not (scratch / "figures").exists())
    one = run_text("psal-run", "-w", network, "-i", bag, "-l", "bag", "--compare-random", "--look", 5, "--data", LABELS, "--out", "plain", "--json")
    said = json.loads(one.stdout)
    photo_said = result["photo"]
    check("what psal-run says", photo_said["top_filters"] == said["top_filters"] and photo_said["look"] == said["look"] and
          photo_said["target"] == said["target"] and photo_said["map_agreement"] == said["map_agreement"] != None, photo_said.keys())
    differs = {key for key in said if said[key] != photo_said.get(key)}
    check("all but its own files and what differs from run to run", differs == {"seconds", "files", "map"} and set(photo_said) < set(said), differs)
    check("answers", result["answers"][0]["name"] == "Sandal" and result["answers"][0]["confidence"] == said["predicted"]["confidence"] and
          len(result["answers"]) == 5, result["answers"])
    layers = result["layers"]
    largest = max(layers, key=lambda layer: layer["largest"])
    check("layers", sum(layer["filters"] for layer in layers) == result["filters"] and sum(layer["top"] for layer in layers) == 10 and
          (largest["filter"], largest["largest"]) == (said["top_filters"][0]["filter"], said["top_filters"][0]["saliency"]), layers[-1])
    for text in (result["fingerprint"], result["version"], result["weights"], *result["commands"], *result["findings"], result["smallest_edit"],
                 result["switched_off"]["command"], said["settings"]["preprocess"], said["statistics"]):
        check("the page says it", text in page.text, text)
    for filter in said["top_filters"]:
        check("filters are told", f"{filter['saliency']:.3f}" in page.text and filter["layer"] in page.text, filter)
    for alt in ("The photo as the network sees it", "Heat map of the most salient filters over the photo", "Heat map of random filters over the photo"):
        check("pictures", alt in page.pictures, page.pictures[:4])
    check("links from the table to what the filters look for", [link for link in page.links if link.startswith("look-")] ==
          [f"look-{filter['filter']}" for filter in said["top_filters"][:5]], page.links)
    own = [alt for alt in page.pictures if alt.endswith("in this photo")]
    places = [alt for alt in page.pictures if ", an image of " in alt]
    check("crops of this photo and of the data set", len(own) == 10 and len(places) == 40, (len(own), len(places)))


def test_commands():
    """What the page shows as commands gives its numbers"""
    result = json.loads((scratch / "bag.json").read_text())
    off = result["switched_off"]
    done = repeat(off["command"], "--json")
    rows = json.loads(done.stdout)["rows"] if done.returncode == 0 else []
    check("switched off: psal-prune's numbers", len(rows) == len(off["rows"]) == 10 and
          all(measured == {key: row[key] for key in measured} for row, measured in zip(rows, off["rows"])), (done.stderr, rows[:1], off["rows"][:1]))
    done = repeat(result["smallest_edit"])
    check("the smallest edit", done.returncode == 0 and (scratch / "edit.safetensors").exists(), done.stderr)
    before = (scratch / "bag.html").read_bytes(), (scratch / "bag.json").read_bytes()
    done = repeat(result["commands"][0], "--quiet")
    check("psal-run makes the same page", done.returncode == 0 and before == ((scratch / "bag.html").read_bytes(), (scratch / "bag.json").read_bytes()),
          done.stderr)
    shutil.rmtree(scratch / "figures")


def test_run_is_the_same():
    """--report changes nothing of what psal-run writes"""
    words = ("-w", network, "-i", bag, "-l", "bag")
    for more in ((), ("--compare-random", "--look", 2, "--data", LABELS)):
        texts = []
        for name in ("with", "without"):
            shutil.rmtree(scratch / "same", ignore_errors=True)
            done = run_text("psal-run", *words, *more, "--out", "same", *(("--report", scratch / "run.html") if name == "with" else ()))
            check(f"{name}: status 0", done.returncode == 0, done.stderr)
            files = {path.name: path.read_bytes() for path in (scratch / "same").iterdir()}
            found = json.loads(files.pop("result.json"))
            del found["seconds"]
            texts.append((files, found, [line for line in done.stdout.splitlines() if not line.startswith("seconds") and "run.html" not in line]))
        check("the same files", texts[0][0] == texts[1][0] and len(texts[0][0]) >= 4, texts[0][0].keys())
        check("the same result and text", texts[0][1:] == texts[1][1:], texts[0][1].keys())
    page = look_at("run", scratch / "run.html")
    check("psal-run's page", "What happens without them" in page.heads)


def test_kinds_of_photos():
    """What is not measured is said"""
    page, result, _ = photo("unlabelled", "-w", network, "-i", bag)
    check("no label", "No label was given" in page.text and "no label" in result["switched_off"]["why_not"] and result["smallest_edit"] is None,
          result["switched_off"])
    with open(LABELS, newline="") as file:
        title, *rows = csv.reader(file)
    right = next(row for row in rows if "called" not in row[0])
    page, result, _ = photo("right", "-w", network, "-i", samples / right[0], "-l", right[title.index("label")])
    check("right", result["photo"]["correct"] and "is right" in result["findings"][0] and result["smallest_edit"] is None and
          result["switched_off"]["rows"], result["findings"])
    for name, words, why in (("naive", ("--mode", "naive"), "--mode std"), ("against", ("--against", "sandal"), "no other class"),
                             ("noisy", ("--noise-iters", 2, "--noise-percent", 0.1), "without noise")):
        page, result, _ = photo(name, "-w", network, "-i", bag, "-l", "bag", *words, "--out", scratch / "o", program="psal-run", option="--report")
        check(f"{name}: said", why in result["switched_off"]["why_not"] and why in page.text and "rows" not in result["switched_off"],
              result["switched_off"])
        check(f"{name}: no random map, and how to have it", "--compare-random puts" in page.text and not any("random" in alt for alt in page.pictures))
    page, result, _ = photo("idx", "-w", network, "--data", IDX, "--reference-id", 3, "--out", scratch / "o", program="psal-run",
                            option="--report")
    check("no file of its own", "no file of its own" in result["switched_off"]["why_not"], result["switched_off"])
    (scratch / "tiny.onnx").write_bytes(onnx_files.classifier(1))
    done = run_text("psal-stats", "-w", scratch / "tiny.onnx", "--preprocess", SEES_32, "-d", LABELS, "-o", scratch / "tiny.st")
    check("ONNX: statistics", done.returncode == 0, done.stderr)
    page, result, _ = photo("onnx", "-w", scratch / "tiny.onnx", "--preprocess", SEES_32, "-i", bag, "-l", "8", "-d", LABELS, "-s", scratch / "tiny.st")
    rows = [row["k"] for row in result["switched_off"]["rows"]]
    check("ONNX: a network of 12 filters, no more than half of them off", result["filters"] == 12 and sorted(set(rows)) == [1, 2, 5], rows)
    done = repeat(result["switched_off"]["command"], "--json")
    check("ONNX: psal-prune's numbers", done.returncode == 0 and json.loads(done.stdout)["rows"][0]["true_confidence"] ==
          result["switched_off"]["rows"][0]["true_confidence"], done.stderr)


def test_hostile():
    (scratch / "labels.json").write_text(json.dumps([HOSTILE + str(i) for i in range(10)]))
    name = scratch / "<b onload=x>&amp;'\".png"
    shutil.copy(bag, name)
    page, result, _ = photo("hostile", "-w", network, "-i", name, "-l", "8", "-d", LABELS, "--labels", scratch / "labels.json")
    check("hostile: shown as text", HOSTILE + "8" in page.text and name.name in page.text, page.text[:300])
    done = repeat(result["switched_off"]["command"], "--json")
    check("hostile: its command runs", done.returncode == 0, done.stderr)


def test_colors():
    """--colors is of the heat maps, and of nothing else"""
    pages = {}
    for colors in ("jet", "magma"):
        _, result, _ = photo(f"in-{colors}", "-w", network, "-i", bag, "-l", "bag", "--colors", colors)
        text = (scratch / f"in-{colors}.html").read_text()
        pages[colors] = re.findall(r'alt="([^"]*)"[^>]* src="(data:[^"]*)"', text)
        check(f"{colors}: its command", f"--colors {colors}" in result["commands"][0], result["commands"])
    differ = [one[0] for one, other in zip(*pages.values()) if one[1] != other[1]]
    check("--colors", len(pages["jet"]) == len(pages["magma"]) and len(differ) == 2 and all("Heat map" in alt for alt in differ), differ)
    done = run_text("psal-report", "-w", network, "-d", LABELS, "--maps", 0, "--colors", "magma")
    check("--colors without heat maps is refused", done.returncode == 1 and "--colors does nothing with --maps 0" in done.stderr, done.stderr)


def test_refusals():
    def refused(program, words, *says):
        done = run_text(program, "-w", network, *words)
        check(f"refused: {words}", done.returncode in (1, 2) and all(word in done.stderr for word in says), done.stderr)
    one = ("-i", bag, "-l", "bag")
    for words in (("--kinds", 2), ("--limit", 3), ("--state", "s"), ("--resume",), ("--store", scratch / "none.npy"), ("--checks", 1)):
        refused("psal-report", (*one, *words), "for one photo")
    refused("psal-report", (*one, "--look", 3), "--look needs --data")
    refused("psal-report", (*one, "--look", 0, "-d", LABELS), "--data does nothing")
    refused("psal-report", ("-d", LABELS, "-l", "bag"), "--image-target-label needs --image-path")
    refused("psal-report", ("-i", bag, "-l", "cat"), "no class is called")
    refused("psal-report", ("-i", scratch / "no.png"), "no.png")
    (scratch / "mine.json").write_text("{}")
    refused("psal-report", (*one, "--labels", scratch / "mine.json", "--out", scratch / "mine.html"), "mine.json")
    check("an input is as it was", (scratch / "mine.json").read_text() == "{}")
    refused("psal-run", ("--images", LABELS, "--report", "a.html"), "of one image")
    refused("psal-run", (*one, "--aggregation", "tensor", "--report", "a.html"), "of filters")
    refused("psal-run", (*one, "--report", "a.txt"), "ends in none of")
    refused("psal-run", (*one, "--look-images", 3), "--look-images needs --look")
    refused("psal-run", (*one, "--report", scratch / "nowhere/a.html"), "nowhere")
    (scratch / "here").mkdir()
    refused("psal-run", (*one, "--out", "here", "--report", scratch / "here/result.html"), "result.json, which --out here has of its own")
    check("nothing is written", not list((scratch / "here").iterdir()), list((scratch / "here").iterdir()))


def test_look_images():
    done = run_text("psal-run", "-w", network, "-i", bag, "--look", 1, "--data", LABELS, "--look-images", 7, "--figures", "none", "--out", "few", "--json")
    check("--look-images", done.returncode == 0 and json.loads(done.stdout)["look"]["looked_at"] == 7, done.stderr)


if __name__ == "__main__":
    raise SystemExit(run_tests((test_page, test_commands, test_run_is_the_same, test_kinds_of_photos, test_hostile, test_colors, test_refusals, test_look_images),
                               scratch))
