#!/usr/bin/env python3
"""psal-report: the page is one that every browser can read and that nothing can be put into, its numbers are those of the programs that it
names, and data sets with no mistake, with one, or with images that cannot be read are told.

    tests/e2e/test_report.py TOOLS-DIR SOURCE-DIR

Prints a line per failure and "N passed, N failed"."""
import csv
import json
import os
import pathlib
import re
import shlex
import shutil
import struct
import zlib

import onnx_files
from checks import check, run_tests
from pages import HOSTILE, look_at
from programs import bag, environment, network, read_tensors, root, run, run_text, samples, scratch, statistics, tools, write_tensors

FASHION = "/usr/share/datasets/fashion-mnist/t10k"
FEW = ("--costs", "1", "--checks", "2", "--right", "10", "--look", "500")  # what takes long, short
IDX = (*FEW, "-d", f"idx:{FASHION}-images-idx3-ubyte.gz,{FASHION}-labels-idx1-ubyte.gz", "--first", "400")


def report(name, *arguments, status=0):
    out = scratch / f"{name}.html"
    done = run_text("psal-report", "--out", out, *FEW, *arguments)
    check(f"{name}: status {status}", done.returncode == status, (done.returncode, done.stderr[-600:]))
    return look_at(name, out), json.loads(out.with_suffix(".json").read_text()), done


def rows():
    with open(samples / "labels.csv", newline="") as file:
        title, *found = csv.reader(file)
    return title, found


def listing(name, found):
    path = scratch / name
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([rows()[0]] + found)
    return path


def absolute(found):
    return [[samples / row[0], *row[1:]] for row in found]


# ---- the box's images ----

def test_page():
    page, result, done = report("box", "-w", network, *IDX, "--kinds", "3")
    check("box: three findings, and where the page is", len(done.stdout.splitlines()) == 4 and "box.html" in done.stdout, done.stdout)
    check("box: what it found is printed", result["findings"] == done.stdout.splitlines()[:3], done.stdout)
    count = 400
    check("box: all samples", (result["samples"], result["mistakes"] + result["correct"], result["left_out"]) == (count, count, 0), result["samples"])
    check("box: mistakes, and kinds of them", result["mistakes"] > 20 and result["kinds"]["kinds"], result["mistakes"])
    check("box: by class", sum(row["samples"] for row in result["by_class"]) == count and
          sum(row["correct"] for row in result["by_class"]) == result["correct"])
    check("box: by pair", sum(row["count"] for row in result["confused"]) == result["mistakes"])
    kinds = result["kinds"]["kinds"]
    heads = [(2 * kind["pairs"][0]["count"] > kind["size"], f"Kind {k + 1}: {kind['size']} mistakes, ") for k, kind in enumerate(kinds)]
    check("box: mostly is more than half", all(head + ("mostly" if half else "most often") in page.text for half, head in heads), heads)
    check("box: a part for each kind", [f"kind-{k + 1}" in page.ids for k in range(len(kinds))] == [True] * len(kinds) and kinds, page.ids[:20])
    for kind, more in zip(kinds, result["details"]):
        check("box: stages add up", sum(stage["guilty"] for stage in more["stages"]) == kind["guilty_count"] and
              sum(stage["filters"] for stage in more["stages"]) == result["filters"], more)
        check("box: confidences add up", sum(more["confidence_bins"]) == kind["size"], more)
    shown = [one["sample"] for one in result["shown"]]
    check("box: every mistake is shown", sorted(shown) == sorted(one["sample"] for one in result["kinds"]["mistakes"]) and
          all(f"sample-{sample}" in page.ids for sample in shown), shown)
    mistakes = [alt for alt in page.pictures if "taken for" in alt]
    check("box: a picture for each, with words", len(mistakes) == len(shown))
    places = [place for look in result["looks"] for end in ("largest", "smallest") for place in look[end]]
    maps = [alt for alt in page.pictures if alt.endswith("as the network sees it") or alt.startswith("Heat map of")]
    own = [alt for alt in page.pictures if ", a mistake of kind " in alt]
    check("box: and crops", len(page.pictures) == len(mistakes) + len(places) + len(maps) + len(own) and result["looked_at"] == 500 and places,
          (len(places), len(page.pictures)))
    check("box: a heat map of each kind's most central mistake, beside that of random filters", len(maps) == 3 * len(kinds) and
          [one["sample"] for one in result["maps"]] == [kind["samples"][0] for kind in kinds] and
          all(-1 <= one["agreement"] <= 1 and f"the maps agree by {one['agreement']:.2f}" in page.text for one in result["maps"]), result["maps"])
    check("box: and its crops", len(own) == sum(min(3, len(kind["guilty"])) for kind in kinds) and own and
          all([place["entry"] for place in one["own"]] == [look["entry"] for look in result["looks"]] for one in result["maps"]), own)
    for look in result["looks"]:
        largest, smallest = ([place["activation"] for place in look[end]] for end in ("largest", "smallest"))
        check("box: from the ends", largest == sorted(largest, reverse=True) and smallest == sorted(smallest) and largest[-1] >= smallest[-1], look)
        check("box: the page has them", f"look-{look['entry']}" in page.ids and f"filter-{look['entry']}" in page.ids, look["entry"])
    for kind in kinds:
        for filter in kind["guilty"]:
            check("box: filters are told", filter["name"] in page.text and f"filter-{filter['entry']}" in page.ids, filter)
    for text in (result["fingerprint"], result["arch"], f"{result['samples']}", result["version"], *result["commands"], *result["findings"]):
        check("box: the page says it", text in page.text, text)


def test_commands():
    """What the page shows as commands gives its numbers"""
    result = json.loads((scratch / "box.json").read_text())
    for command in result["commands"]:
        program, *arguments = shlex.split(command)
        if program == "psal-stats":
            made = scratch / "again.st", scratch / "again.npy"
            places = {arguments.index("--out") + 1: made[0], arguments.index("--profiles") + 1: made[1]}
            done = run(program, *[places.get(i, word) for i, word in enumerate(arguments)], "--quiet")
            check("psal-stats runs", done.returncode == 0, done.stderr[-300:])
            for here, there in zip(made, ("stats.safetensors", "profiles.npy")):
                check(f"{there}: the same", here.read_bytes() == (scratch / "box_files" / there).read_bytes())
        if program == "psal-check":
            done = run(program, *arguments, "--json", "--quiet")
            check(f"{arguments[0]}: the same", done.returncode == 0 and json.loads(done.stdout) == result["checks"][arguments[0]], done.stderr[-300:])
        if program == "psal-neighbors":
            done = run(program, *arguments, "--json")
            check("psal-neighbors kinds: the same", done.returncode == 0 and json.loads(done.stdout) == result["kinds"], done.stderr[-300:])


def test_maps():
    """psal-run says the same of a kind's most central mistake"""
    result = json.loads((scratch / "box.json").read_text())
    one = result["maps"][0]
    program, *arguments = shlex.split(one["command"])
    done = run(program, *arguments, "--json", "--quiet", "--out", scratch / "central", "--look", "100", "--top", "100", "--look-images", "1", "--figures", "none",
               *(() if "--data" in arguments else ("--data", samples / "labels.csv")))
    said = json.loads(done.stdout) if done.returncode == 0 else {}
    check("maps: the same agreement", said.get("map_agreement") == one["agreement"], (done.stderr[-300:], one["agreement"]))
    look_at("central", scratch / "kind-1.html")
    own = {place["entry"]: place for place in one["own"]}
    both = [(filter, own[filter["filter"]]) for filter in said["look"]["filters"] if filter["filter"] in own]
    check("maps: the same places", both and all(filter["this_image"][end]["box"] == place[end]["box"] and
                                       filter["this_image"][end]["activation"] == place[end]["activation"]
                                       for filter, place in both for end in ("largest", "smallest")), both[:1])


def test_costs():
    """The commands of the first kind give its numbers, and the checkpoint that the page promises"""
    result = json.loads((scratch / "box.json").read_text())
    cost = result["costs"][0]
    rows = [row for row in cost["results"]["rows"] if row["choice"] == "salient"]
    gains = {row["k"]: row["held_out_corrected"] - row["right_broken"] for row in rows}
    most = max(gains.values())
    best = next((row for row in rows if row["k"] == cost.get("best_k")), None)
    check("costs: the fewest filters that correct most beyond what they break, if any do", gains[best["k"]] == most > 0 and
          all(gain < most for k, gain in gains.items() if k < best["k"]) if best else most <= 0 and "save" not in cost, rows)
    check("costs: what is edited for is not held out", not set(cost["results"]["group"]) & set(cost["results"]["held_out"]))
    kind = {str(sample) for sample in result["kinds"]["kinds"][0]["samples"]}
    check("costs: mistakes of the kind, the most central first", {re.sub(r"\D", "", name) for name in cost["results"]["group"] +
          cost["results"]["held_out"]} <= kind and cost["results"]["group"][0] == f"images/{result['kinds']['kinds'][0]['samples'][0]}.png", cost["results"]["group"])
    program, *arguments = shlex.split(cost["command"])
    done = run(program, *arguments, "--json", "--quiet")
    check("costs: the same from psal-finetune", done.returncode == 0 and json.loads(done.stdout) == cost["results"], done.stderr[-300:])
    if best:
        program, *arguments = shlex.split(cost["save"])
        done = run(program, *arguments, "--json", "--quiet")
        check("costs: the checkpoint", done.returncode == 0 and (scratch / "box_files/kind-1.safetensors").exists(), done.stderr[-300:])
        check("costs: and its edit is the best", done.returncode == 0 and json.loads(done.stdout)["rows"][0] == best, (done.stdout[-300:], best))
    agreements = [one["agreement"] for one in result["maps"]]
    check("trust: the maps beside those of random filters", f"by {sum(agreements) / len(agreements):.2f} in the mean, by {max(agreements):.2f} at most "
          f"(rank correlation of {len(agreements)} maps" in result["trust"], result["trust"])
    naive, standard = (next(row["spearman"]["mean"] for row in result["checks"]["ablate"]["rows"] if
                            (row["ranking"], row["effect"]) == (ranking, "loss-size")) for ranking in ("naive", "standardized"))
    gain = result["checks"]["ablate"]["standardized_minus_naive"]
    check("trust: standardized and naive", f"{standard:.2f} (1: the same order" in result["trust"] and f"not standardized, has {naive:.2f}" in result["trust"]
          and ("tells better" in result["trust"]) == (gain["high"] < 0), result["trust"])
    check("trust: a sentence", "rank correlation" in result["trust"] and result["trust"] in (scratch / "box.html").read_text(), result["trust"])


def test_resume():
    before = (scratch / "box.json").read_bytes()
    page = (scratch / "box.html").read_bytes()
    store = os.stat(scratch / "box_files/profiles.npy")
    report("box", "-w", network, *IDX, "--kinds", "3", "--resume")
    check("resume: the same page", (scratch / "box.html").read_bytes() == page and (scratch / "box.json").read_bytes() == before)
    check("resume: profiles are not made again", os.stat(scratch / "box_files/profiles.npy").st_mtime_ns == store.st_mtime_ns)
    kept = scratch / "box_files/kind-1.json"
    measured = kept.read_text()
    for corrected, broken in ((0.5, 0.25), (0.25, 0.25), (0, 0)):
        changed = json.loads(measured)
        for row in changed["results"]["rows"]:
            row.update(held_out_corrected=corrected, right_broken=broken)
        kept.write_text(json.dumps(changed))
        helped, cost, done = report("box", "-w", network, *IDX, "--kinds", "3", "--resume")
        cost, helps = cost["costs"][0], corrected > broken
        check(f"costs: {corrected} corrected, {broken} broken", [key in cost for key in ("best_k", "save")] == [helps, helps] and
              [text in helped.text for text in ("No edit of its most salient filters helps", "no edit helps", "saves the corrected checkpoint")] ==
              [not helps, not helps, helps] and ("No edit that was tried helps" in done.stdout) != helps, (cost.keys(), done.stdout))
    kept.write_text(measured)
    done = run_text("psal-report", "--out", scratch / "box.html", "-w", network, *IDX[:-2], "--first", "300", "--resume")
    check("resume: of other samples", done.returncode == 1 and "belongs to another report" in done.stderr, done.stderr)
    again = run_text("psal-report", "--store", scratch / "box_files/profiles.npy", "-w", network, "--kinds", "3", "--out", scratch / "store.html", "--json")
    known = json.loads(before)
    check("a store: the same kinds", again.returncode == 0 and json.loads(again.stdout)["kinds"] == known["kinds"], again.stderr)
    few = run_text("psal-report", "--store", scratch / "box_files/profiles.npy", "-w", network, "--pictures", "5", "--out", scratch / "few.html")
    check("--pictures", few.returncode == 0 and len([alt for alt in look_at("few", scratch / "few.html").pictures if "taken for" in alt]) == 5, few.stderr)


def test_hostile():
    """Names of classes and files are text"""
    names = [HOSTILE + str(i) for i in range(10)]
    (scratch / "labels.json").write_text(json.dumps(names))
    title, found = rows()
    moved = []
    for i, row in enumerate(found):
        name = scratch / f"<b onload=x>&amp;'\"{i}.png"
        shutil.copy(samples / row[0], name)
        moved.append([name, *row[1:]])
    number = title.index("label")
    page, result, _ = report("hostile", "-w", network, "-d", listing("hostile.csv", [[row[0], row[number]] if len(title) == 2 else row for row in moved]),
                             "--labels", scratch / "labels.json")
    check("hostile: shown as text", HOSTILE + "6" in page.text or HOSTILE + "0" in page.text, page.text[:300])
    check("hostile: in the JSON as they are", any(row["label"]["name"] in names for row in result["confused"]))


# ---- data sets that are hard to say something of ----

def test_few():
    _, found = rows()
    report("samples", "-w", network, "-d", samples / "labels.csv")
    mistakes = {one["sample"] for one in json.loads((scratch / "samples.json").read_text())["kinds"]["mistakes"]}
    right = absolute([row for i, row in enumerate(found) if i not in mistakes])
    wrong = absolute([row for i, row in enumerate(found) if i in mistakes])
    page, result, done = report("right", "-w", network, "-d", listing("right.csv", right))
    check("no mistakes: said", result["mistakes"] == 0 and "no mistake" in done.stdout and "kinds" not in result and "There are no mistakes" in page.text,
          done.stdout)
    check("no mistakes: the right samples are told", result["confidence_right"]["mean"] > 0.5 and result["confidence_wrong"]["mean"] is None, result)
    page, result, _ = report("one", "-w", network, "-d", listing("one.csv", right + wrong[:1]))
    check("one mistake: single", result["mistakes"] == 1 and result["kinds"]["single"] == 1 and len(page.pictures) == 1, result["kinds"])
    one = [[row[0], 5, *row[2:]] for row in right if row[1] != "5"]
    _, result, _ = report("class", "-w", network, "-d", listing("class.csv", one))
    check("one class: all are wrong", result["mistakes"] == len(one) == result["samples"] > 2 and len(result["by_class"]) == 1, result["samples"])
    guess = "as rarely as by chance"
    check("one class: guessing is no measure", not any(guess in text for text in result["findings"]), result["findings"])
    shifted = [[row[0], (int(row[1]) + 1) % 10, *row[2:]] for row in right]
    _, result, done = report("shifted", "-w", network, "-d", listing("shifted.csv", shifted))
    check("labels of another order: said", guess in done.stdout and any(guess in text for text in result["findings"]), done.stdout)
    (scratch / "tiny.onnx").write_bytes(onnx_files.classifier(1))
    _, result, _ = report("tiny", "-w", scratch / "tiny.onnx", "--preprocess", "rgb;resize=32;crop=32;scale=255;mean=0,0,0;std=1,1,1", "-d",
                          samples / "labels.csv", "--kinds", 1)
    tried = [row["k"] for cost in result["costs"] for row in cost["results"]["rows"]]
    check("a network of 12 filters: no more than half of them are tried", result["filters"] == 12 and sorted(set(tried)) == [1, 5] and
          result["checks"]["ablate"]["filters"] == 6, tried)
    check("right ones: not said", guess not in (scratch / "right.html").read_text() + (scratch / "box.html").read_text())


def test_bad_images():
    broken = scratch / "broken.png"
    broken.write_bytes(b"no picture")
    path = listing("bad.csv", absolute(rows()[1][:40]) + [[broken, *rows()[1][0][1:]]])
    done = run_text("psal-report", "-w", network, "-d", path, "--out", scratch / "bad.html")
    check("a bad image: an error", done.returncode == 1 and "broken.png" in done.stderr and "--skip-bad" in done.stderr and
          not (scratch / "bad.html").exists(), done.stderr)
    page, result, done = report("skipped", "-w", network, "-d", path, "--skip-bad", status=3)
    check("a bad image: named, once", [(one["image"], "PNG" in one["reason"]) for one in result["skipped"]] == [(str(broken), True)] and
          done.stderr.count("skipped: ") == 1, (result["skipped"], done.stderr[-600:]))
    again = report("skipped", "-w", network, "-d", path, "--skip-bad", "--resume", status=3)
    check("a bad image: the same when it is resumed", again[1] == result and again[2].stderr.count("skipped: ") == 1, (again[1]["skipped"], again[2].stderr))
    check("a bad image: left out, and said", result["left_out"] == 1 and "could not be read" in page.text and "broken.png" in done.stderr, done.stderr)


def test_refusals():
    def refused(words, *says):
        done = run_text("psal-report", "-w", network, *words)
        check(f"refused: {words}", done.returncode in (1, 2) and all(word in done.stderr for word in says), done.stderr)
    refused(("--out", "a.html"), "which mistakes?")
    refused(("--out", "a.pdf", "-d", samples / "labels.csv"), "ends in none of")
    refused(("--store", scratch / "box_files/profiles.npy", "--first", "3"), "--first does nothing")
    refused(("--out", scratch / "nowhere/a.html", "-d", samples / "labels.csv"), "nowhere")
    refused(("--stats", statistics, "-d", samples / "labels.csv"), "--stats does nothing without --store")
    # Nothing that is there is lost.
    (scratch / "psal.json").write_text("{}")
    refused(("--project", "none", "--out", "psal.html", "-d", samples / "labels.csv"), "the file of the project too")
    check("the project file is as it was", (scratch / "psal.json").read_text() == "{}")
    (scratch / "psal.json").unlink()
    (scratch / "mine").mkdir()
    (scratch / "mine/right.csv").write_text("path,label\n")
    refused(("--state", scratch / "mine", "-d", samples / "labels.csv"), "files that are no report's")
    check("a folder of other files is as it was", [path.name for path in (scratch / "mine").iterdir()] == ["right.csv"])
    refused(("--state", scratch / "box_files", "-d", scratch / "box_files/right.csv"), "right.csv would be written", "--data")
    classes = scratch / "classes"
    for name in ("Bag", "Dress"):
        (classes / name).mkdir(parents=True)
        shutil.copy(samples / f"{name.lower()}.png", classes / name)
    refused(("--out", classes / "report.html", "-d", classes), "lies in the folder of --data")
    check("the data set is as it was", sorted(path.name for path in classes.iterdir()) == ["Bag", "Dress"])
    # A store is of the network at hand.
    header, values = read_tensors(network)
    changed = write_tensors(scratch / "changed.safetensors", header, values[:-1] + bytes([values[-1] ^ 1]))
    done = run_text("psal-report", "-w", changed, "--store", scratch / "box_files/profiles.npy", "--out", scratch / "other.html")
    check("another network's store", done.returncode == 1 and "of another network" in done.stderr, done.stderr)


def test_copies():
    """Copies of one picture are told, those of the same bytes and those that only look the same; other pictures are none"""
    _, found = rows()
    label = next(row for row in found if row[0] == bag.name)[1:]
    picture, more = bag.read_bytes(), []
    chunk = b"tEXtcopy\0of a picture"
    changed = picture[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + picture[33:]
    for i in range(5):
        path = scratch / f"copy-{i}.png"
        path.write_bytes(changed if i == 4 else picture)
        more.append([path, *label])
    here = next(i for i, row in enumerate(found) if row[0] == bag.name)
    page, result, done = report("copies", "-w", network, "-d", listing("copies.csv", absolute(found) + more), "--costs", 0, "--checks", 0, "--maps", 0,
                                "--look", 0)
    group = [sorted(one["samples"]) for one in result["copies"]]
    check("copies: all of them, and nothing else", group == [[here, *range(len(found), len(found) + 5)]] and result["copies"][0]["exact"] == 5,
          result["copies"])
    kinds = [kind for kind in result["kinds"]["kinds"] if len(set(kind["samples"]) & set(group[0])) > len(kind["samples"]) / 2]
    notes = [note for note in result["notes"] if "are one picture" in note]
    check("copies: a kind that is one of them only is doubtful", kinds and len(notes) == len(kinds) and all(note in page.text for note in notes) and
          all(note in done.stderr for note in notes), (notes, len(kinds)))
    check("copies: the page says it", "are one picture, or nearly" in page.text and "5 of all its copies have the bytes" in page.text, page.text[-500:])


def test_project():
    """The commands on the page, where the project is: none is refused, and nothing of the project is left aside"""
    folder = scratch / "project"
    folder.mkdir()
    for name in ("profiles.npy", "profiles.npy.csv", "stats.safetensors"):
        shutil.copy(scratch / "box_files" / name, folder / name)
    (folder / "psal.json").write_text(json.dumps({"format": 1, "weights": str(network), "data": IDX[-3], "store": "profiles.npy",
                                                  "stats": "stats.safetensors"}))
    done = run_text("psal-report", *FEW, "--maps", "1", "--kinds", "3", "--out", "p.html", cwd=folder)
    check("project: a page", done.returncode == 0, done.stderr[-600:])
    result = json.loads((folder / "p.json").read_text())
    for command in (result["costs"][0]["command"], result["maps"][0]["command"], *result["commands"]):
        program, *arguments = shlex.split(command)
        done = run_text(program, *arguments, cwd=folder)
        check(f"project: {program} {arguments[0]}", done.returncode == 0 and "left aside" not in done.stderr, (command, done.stderr[-300:]))


def test_numbers_as_names():
    """Class folders, and so names, that are numbers, but not the classes' own"""
    _, found = rows()
    folder = scratch / "numbered"
    for row in found:
        place = folder / str(int(row[1]) + 1)
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(samples / row[0], place)
    names = scratch / "numbers.json"
    # In the order of their classes: 0 is "1", ... 9 is "10". Every number but 10 means two classes.
    names.write_text(json.dumps([str(i + 1) for i in range(10)]))
    done = run_text("psal-report", "-w", network, "-d", folder, "--labels", names, "--out", scratch / "numbered.html")
    check("numbers as names: told at once", done.returncode == 1 and 'cannot name class 1, "2"' in done.stderr and "profiles of all samples" not in
          done.stderr, done.stderr[-500:])
    _, result, _ = report("numbered", "-w", network, "-d", folder, "--labels", names, "--costs", 0, "--checks", 0, "--maps", 0)
    known = json.loads((scratch / "samples.json").read_text())
    check("numbers as names: without lists", (result["samples"], result["correct"]) == (known["samples"], known["correct"]), result["correct"])
    # Of class 1 the number is also the name of class 0: its name alone means it.
    words = ["1", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    names.write_text(json.dumps(words))
    said = [[row[0], "0" if row[1] == "0" else words[int(row[1])]] for row in absolute(found)]
    path = scratch / "words.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([["path", "label"]] + said)
    _, result, _ = report("words", "-w", network, "-d", path, "--labels", names)
    lists = {row[1] for name in ("kind-1", "right", "checked") for row in
             csv.reader((scratch / f"words_files/{name}.csv").read_text().splitlines()[1:])}
    check("numbers as names: a name where the number means two", result["correct"] == known["correct"] and "one" in lists and
          lists <= {"0", "one", *map(str, range(2, 10))}, lists)


def test_names():
    """Classes that are called as numbers are names; files of the same name in different folders are told apart"""
    folder = scratch / "named"
    for path, label, *_ in rows()[1]:
        place = folder / str(10 + int(label))
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(samples / path, place / f"{len(list(place.iterdir()))}.png")
    (scratch / "names_of_numbers.json").write_text(json.dumps([str(10 + i) for i in range(10)]))
    _, result, _ = report("named", "-w", network, "-d", folder, "--labels", scratch / "names_of_numbers.json", "--costs", 0, "--checks", 0, "--maps", 0,
                          "--look", 0)
    page = (scratch / "named.html").read_text()
    pairs = re.findall(r"<tr><td>(1\d)</td><td>(1\d)</td><td class=\"n\">(\d+)</td>", page)
    expected = [(row["label"]["name"], row["predicted"]["name"], str(row["count"])) for row in result["confused"]][:15]
    check("names that are numbers are set as names", expected and pairs[:len(expected)] == expected, pairs)
    shown = re.findall(r">(1\d/\d+\.png)<", page)
    check("files are told with their folders", len(shown) == len(result["shown"]) > 1, shown)


def test_paths():
    """Commands with names that a shell would cut"""
    _, result, _ = report("two words", "-w", network, "-d", samples / "labels.csv", "--costs", 0, "--checks", 0)
    names = [word for word in shlex.split(result["commands"][0]) if "two words" in word]
    check("names are quoted", [pathlib.Path(name).name for name in names] == ["stats.safetensors", "profiles.npy"], result["commands"])


if __name__ == "__main__":
    raise SystemExit(run_tests((test_page, test_commands, test_maps, test_costs, test_resume, test_hostile, test_few, test_bad_images, test_copies,
                                 test_project, test_numbers_as_names, test_names, test_paths, test_refusals), scratch))
