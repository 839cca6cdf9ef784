#!/usr/bin/env python3
"""psal.json: psal-init makes it, the other programs take from it what their command line does not say, and nothing where it would not
belong to what the command line says.

    tests/e2e/test_project.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"."""
import json
import os
import re
import shutil
import struct

import networks
from checks import check, run_tests
from programs import bag, network, root, run_text, samples, scratch, statistics

project = scratch / "project"
pictures = [path for path in sorted(samples.glob("*.png"))]


def said(done):
    return f"{done.returncode}: {done.stdout[-600:]} | {done.stderr[-600:]}"


def rewritten(path, name, change):
    """The checkpoint with other metadata and values: change(metadata, header, data)"""
    data = bytearray(path.read_bytes())
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    body = data[8 + size:]
    change(header["__metadata__"], header, body)
    text = json.dumps(header).encode()
    target = scratch / name
    target.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return target


def silent(metadata, _header, _data):
    """It says neither how images are prepared nor what its classes are called"""
    del metadata["psal.preprocess"], metadata["psal.labels"]


def class_folder(names, folder):
    """The box's pictures in folders of their classes, so many copies of each that no class is missing"""
    for path in pictures:
        label = next((name for name in names if path.name.startswith(name.split("_")[0].lower())), None)
        if label:
            (folder / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / label)
    for name in names:
        if not (folder / name).is_dir():
            (folder / name).mkdir(parents=True)
            shutil.copy(bag, folder / name)


def make_project():
    """Once: the silent network, and the box's table of pictures"""
    if (project / "psal.json").exists():
        return
    project.mkdir()
    shutil.move(rewritten(network, "my.safetensors", silent), project / "my.safetensors")
    shutil.copytree(samples, project / "val")
    done = run_text("psal-init", "--weights", "my.safetensors", "--data", "val/labels.csv", "--labels", "fashion-mnist", "--preprocess",
                    "rgb;resize=none;crop=32;scale=255;mean=0.286;std=0.353", cwd=project)
    check("made", done.returncode == 0 and "The network is right in" in done.stdout, said(done))


def in_project(program, *arguments, cwd=project):
    make_project()
    return run_text(program, *arguments, cwd=cwd)


def changed_project(name, **values):
    """Another project file beside the first; None takes a key out"""
    make_project()
    contents = json.loads((project / "psal.json").read_text())
    contents.update({key.replace("_", "-"): value for key, value in values.items()})
    path = project / name
    path.write_text(json.dumps({key: value for key, value in contents.items() if value is not None}))
    return path


# ---- psal-init ----

def test_init():
    make_project()
    contents = json.loads((project / "psal.json").read_text())
    check("the keys", list(contents) == ["format", "weights", "fingerprint", "labels", "preprocess", "data", "stats", "store"], contents)
    check("its paths are relative", contents["weights"] == "my.safetensors" and contents["stats"] == "psal_stats.safetensors", contents)
    check("class names", contents["labels"][8] == "Bag" and len(contents["labels"]) == 10, contents["labels"])
    again = in_project("psal-init", "--weights", "my.safetensors", "--data", "val/labels.csv")
    check("not made anew unasked", again.returncode == 1 and "psal.json is there already: --replace" in again.stderr, said(again))
    delta = in_project("psal-init", "--weights", "my.safetensors", "--data", "val", "--delta", "d", "--out", "other.json")
    check("no deltas", delta.returncode == 1 and "--delta: a project is of the weights without it" in delta.stderr, said(delta))
    ending = in_project("psal-init", "--weights", "my.safetensors", "--data", "val", "--out", "project")
    check("its ending", ending.returncode == 1 and "ends in .json" in ending.stderr, said(ending))


def test_tries():
    """Ten samples do not tell the usual preprocessings apart; where few are right other sizes are tried; with the wrong one the network is as good as guessing, and that
    is said instead of explained"""
    make_project()
    idx = "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz"
    data = f"idx:{idx},{idx.replace('images-idx3', 'labels-idx1')}"
    arguments = ("--weights", "my.safetensors", "--data", data, "--limit", "40", "--no-store")
    done = in_project("psal-init", *arguments, "--tries", "10", "--out", "tried.json", "--json")
    check("a near tie is said", done.returncode == 1 and "samples do not tell how images were prepared: with " in done.stderr and
          "--preprocess" in done.stderr and not (project / "tried.json").exists(), said(done))
    arguments += ("--tries", "60")
    names = sorted((project / "val").glob("*.png"))
    (project / "mixed.csv").write_text("".join(f"val/{name.name},{i % 10}\n" for i, name in enumerate(names)))
    done = in_project("psal-init", "--weights", "my.safetensors", "--data", "mixed.csv", "--no-store", "--out", "mixed.json")
    rows = [line for line in done.stdout.splitlines() if line.split()[1:2] == ["%"]]
    check("other sizes where few are right", done.returncode == 1 and "the best of all preprocessings" in done.stderr and len(rows) == 12 and
          "  and 38 others, with none of which more are right than " in done.stdout, said(done))
    done = in_project("psal-init", *arguments, "--out", "caffe.json", "--preprocess", "caffe")
    check("as few as by guessing", done.returncode == 1 and "as few as by guessing" in done.stderr and
          not (project / "caffe_stats.safetensors").exists(), said(done))
    done = in_project("psal-init", *arguments, "--out", "given.json", "--preprocess", "rgb;crop=32;scale=255;mean=0.286;std=0.353", "--json")
    result = json.loads(done.stdout or "{}")
    check("given", done.returncode == 0 and result["preprocess_from"] == "given" and result["samples"] == 40 and
          result["tried"][0]["correct"] > 40 and result["labels_from"] == "numbers", said(done))
    contents = json.loads((project / "given.json").read_text())
    check("no store, no names", "store" not in contents and contents["labels"] == "numbers" and contents == result["contents"], contents)


def test_class_folders():
    make_project()
    names = ["ankle_boot", "bag", "coat", "dress", "pullover", "sandal", "shirt", "sneaker", "t_shirt", "trouser"]
    class_folder(names, project / "folders")
    options = ("--weights", "my.safetensors", "--preprocess", "rgb;crop=32;scale=255;mean=0.286;std=0.353", "--no-store")
    done = in_project("psal-init", *options, "--data", "folders", "--out", "folders.json")
    check("their names are the classes'", "classes   folder names: 0 ankle_boot ... 9 trouser" in done.stdout, said(done))
    without = ("--project", "none", *options[:-1])
    done = in_project("psal-run", *without, "--images", "folders", "--mistakes", "--mode", "naive", "--figures", "none", "--json", "-o", "by_folder")
    names_said = {image["target"]["name"] for image in json.loads(done.stdout or '{"images": []}')["images"]}
    check("nor without a project are they mere numbers", done.returncode == 0 and names_said and names_said <= set(names) and
          "records no class names: those of the 10 class folders in folders are taken, 0 ankle_boot to 9 trouser" in done.stderr, said(done))
    for number, name in enumerate(names):
        shutil.copytree(project / "folders" / name, project / "numbered" / str(9 - number))
    done = in_project("psal-run", *without, "--images", "numbered", "--mode", "naive", "--figures", "none", "--json", "-o", "by_number")
    check("but folders called as numbers", done.returncode == 0 and "records no class names: those" not in done.stderr and
          json.loads(done.stdout)["images"][0]["target"]["name"] in ("0", None), said(done))
    shutil.rmtree(project / "folders" / "dress")
    done = in_project("psal-init", *options, "--data", "folders", "--out", "fewer.json")
    check("as many as classes", done.returncode == 1 and "has 9 class folders (ankle_boot, bag, " in done.stderr and "but the network 10 classes" in done.stderr and
          "--labels" in done.stderr, said(done))


# ---- the other programs ----

def test_taken():
    """Every program finds network, names, statistics, store and data by itself, with the same numbers as when told"""
    picture = "val/bag_called_sandal.png"
    done = in_project("psal-run", "-i", picture, "-l", "bag", "--json", "--out", "out")
    there = json.loads(done.stdout or "{}")
    told = in_project("psal-run", "-i", picture, "-l", "8", "--json", "--out", "out2", "--project", "none", "--weights", "my.safetensors",
                      "--preprocess", "rgb;crop=32;scale=255;mean=0.286;std=0.353", "--stats", "psal_stats.safetensors")
    here = json.loads(told.stdout or "{}")
    check("psal-run", done.returncode == 0 and there["top_filters"] == here["top_filters"] and there["target"]["name"] == "Bag" and
          there["statistics"] == "psal_stats.safetensors", said(done) + said(told))
    prune = in_project("psal-prune", "-i", picture, "-l", "Bag", "--k", "1", "--json")
    check("psal-prune", prune.returncode == 0 and json.loads(prune.stdout)["settings"]["weights"] == "my.safetensors", said(prune))
    corrected = in_project("psal-finetune", "-i", picture, "-l", "Bag", "--k", "100", "--choices", "salient", "--until-correct", "--save",
                           "corrected.safetensors")
    check("psal-finetune", corrected.returncode == 0, said(corrected))
    named = in_project("psal-run", "-w", "corrected.safetensors", "-i", picture, "-l", "Bag", "--mode", "naive", "--out", "out3")
    check("what is saved has the names", named.returncode == 0 and "predicted    8  Bag" in named.stdout, said(named))
    check("and is another network", "psal.json is left aside: --weights names another network" in named.stderr, said(named))
    for program, arguments in (("psal-check", ("ablate", "-i", picture, "-l", "bag", "--filters", "10")),
                               ("psal-check", ("ablate", "--first", "1", "--filters", "10")), ("psal-prune", ("--k", "1", "--first", "1")),
                               ("psal-neighbors", ("--query", "0", "--top", "1")), ("psal-neighbors", ("-i", picture, "-l", "bag")),
                               ("psal-stats", ("--out", "s2.safetensors",)),
                               ("psal-stats", ("--out", "p.safetensors", "--shard", "1/2")),
                               ("psal-stats", ("--out", "p.safetensors", "--shard", "2/2")),
                               ("psal-stats", ("merge", "p.safetensors", "p.part-1-of-2.safetensors", "p.part-2-of-2.safetensors")),
                               ("psal-check", ("mask", "--box", "2,2,9,9", "-i", picture, "-l", "bag", "--fill-image", picture)),
                               ("psal-convert", ("my.safetensors", "c.safetensors"))):
        done = in_project(program, *arguments)
        check(f"{program} {' '.join(arguments)}", done.returncode == 0, said(done))
    done = in_project("psal-neighbors", "-i", picture, "-l", "bag", "--top", "1")
    found = re.search(r"sample (\d+) of the store is this picture: left out", done.stderr)
    check("a picture of the store is no neighbour of itself", found and picture.split("/")[-1] not in "".join(done.stdout.splitlines()[1:]),
          said(done))
    number, nearest = found[1] if found else "0", done.stdout.splitlines()[2].split()[2] if done.returncode == 0 else ""
    done = in_project("psal-neighbors", "--query", number, "--top", "1")
    check("nor by its number: the same one is the nearest", done.returncode == 0 and "is this picture" not in done.stderr and
          done.stdout.splitlines()[2].split()[2] == nearest != number, said(done))
    shutil.copy(project / picture, project / "copy.png")
    result = json.loads(in_project("psal-neighbors", "-i", "copy.png", "-l", "bag", "--json").stdout or "{}")
    check("a copy is known", result.get("itself") == [int(number)] and result["candidates"] == len(pictures) - 1, result)
    (project / "val").rename(project / "moved away")
    done = in_project("psal-neighbors", "-i", "copy.png", "-l", "bag", "--top", "1", "--json")
    check("where the pictures have gone, too", json.loads(done.stdout or "{}").get("itself") == [int(number)], said(done))
    done = in_project("psal-run", "-i", "copy.png", "--figures", "none")
    check("a class that cannot be looked up is an error", done.returncode == 1 and "copy.png: its class is looked for in val/labels.csv" in
          done.stderr and "--image-target-label" in done.stderr, said(done))
    (project / "moved away").rename(project / "val")
    (project / "longer.png").write_bytes((project / picture).read_bytes() + b"\n")
    done = in_project("psal-neighbors", "-i", "longer.png", "-l", "bag", "--top", "1", "--json")
    check("another file of the same pixels stays, and that is said", json.loads(done.stdout or "{}").get("itself") == [] and
          f"sample {number} of the store has this picture's profile" in done.stderr, said(done))
    done = in_project("psal-neighbors", "kinds", "--kinds", "2", "--json")
    guilty = [one["name"] for kind in json.loads(done.stdout or "{}").get("kinds", []) for one in kind["guilty"]]
    check("psal-neighbors kinds names layers", guilty and all(".weight filter " in name for name in guilty), said(done))
    converted = run_text("psal-run", "-w", scratch / "project" / "c.safetensors", "-i", bag, "-l", "bag", "--mode", "naive", "--out", "out")
    check("psal-convert records names and preprocessing", converted.returncode == 0 and "is assumed" not in converted.stderr, said(converted))


def test_class_of_a_sample():
    """A picture of the data set brings its class along; what the command line says comes first"""
    make_project()
    picture, copy = "val/bag_called_sandal.png", project / "another.png"
    shutil.copy(project / picture, copy)
    note = f"{picture} is a sample of val/labels.csv: its class there, Bag, is taken for the true one"
    done = in_project("psal-run", "-i", picture, "-i", copy, "--json", "--out", "classes", "--figures", "none")
    first, second = json.loads(done.stdout or '{"images": [{}, {}]}')["images"]
    check("psal-run", done.returncode == 0 and first.get("labelled") is True and first["target"]["name"] == "Bag" and note in done.stderr,
          said(done))
    check("a copy elsewhere is none", second.get("labelled") is False and second["target"]["name"] == "Sandal" and
          done.stderr.count("is a sample") == 1, said(done))
    done = in_project("psal-run", "-i", picture, "-l", "predicted", "--json", "--figures", "none")
    check("unless another one is given", json.loads(done.stdout or "{}").get("labelled") is False and "is a sample" not in done.stderr, said(done))
    for program, more in (("psal-prune", ("--k", "1")), ("psal-finetune", ("-k", "1", "-c", "salient")), ("psal-check", ("ablate", "--filters", "5"))):
        done = in_project(program, *more, "-i", picture)
        check(program, done.returncode == 0 and note in done.stderr, said(done))
        done = in_project(program, *more, "-i", copy)
        check(f"{program}: not known", done.returncode == 1 and "--image-target-label (val/labels.csv has no such sample" in done.stderr, said(done))
    other = f"{picture} is a sample of val/labels.csv, which calls it Bag: Coat, as given, is taken for the true class"
    for program, more in (("psal-run", ("--figures", "none")), ("psal-prune", ("--k", "1")), ("psal-neighbors", ("--top", "1"))):
        done = in_project(program, *more, "-i", picture, "-l", "coat")
        check(f"{program}: a label that is another one", done.returncode == 0 and done.stderr.count(other) == 1, said(done))
        done = in_project(program, *more, "-i", picture, "-l", "bag")
        check(f"{program}: a label that is the same", done.returncode == 0 and "is a sample of" not in done.stderr, said(done))
    done = in_project("psal-neighbors", "-i", picture, "--top", "1", "--json")
    check("psal-neighbors", json.loads(done.stdout or '{"queries": [{"label": {}}]}')["queries"][0]["label"].get("name") == "Bag" and
          note in done.stderr, said(done))
    done = in_project("psal-run", "--project", "none", "-w", network, "-i", picture, "-d", "val/labels.csv", "--json", "--figures", "none")
    check("--data without a project", json.loads(done.stdout or "{}").get("labelled") is True, said(done))
    for name in ("cat", "dog"):  # fewer folders than classes, numbered by their order: a guess, which is said
        (project / "two" / name).mkdir(parents=True)
        shutil.copy(project / picture, project / "two" / name / f"{name}.png")
    done = in_project("psal-run", "-i", "two/dog/dog.png", "-d", "two", "--figures", "none", "--quiet")
    check("numbered by order", done.returncode == 0 and "2 class folders for 10 classes, in sorted order" in done.stderr, said(done))
    os.link(project / "two/dog/dog.png", project / "two/cat/dog.png")
    done = in_project("psal-run", "-i", "two/dog/dog.png", "-d", "two", "--figures", "none")
    check("under two classes", done.returncode == 1 and "is a sample of two under two classes: --image-target-label" in done.stderr, said(done))
    done = in_project("psal-run", "-i", copy, "-d", "val/labels.csv")
    check("--data that says nothing", done.returncode == 1 and "is none of its samples" in done.stderr, said(done))


def settings(*arguments, cwd=project, program="psal-run"):
    done = in_project(program, *arguments, "--show-settings", cwd=cwd)
    check(f"{program} --show-settings", done.returncode == 0, said(done))
    rows = {}
    for line in done.stdout.splitlines():
        if line.startswith("  --"):
            name, rest = line[4:].split(None, 1)
            rows[name] = next(((source, rest[len(source):].strip()) for source in ("default", "project", "command line", "left aside")
                               if rest.startswith(source)), rest)
    return rows


def test_settings():
    rows = settings("-k", "3")
    check("three sources", rows["k-salient"] == ("command line", "3") and rows["weights"] == ("project", "my.safetensors") and
          rows["mode"] == ("default", "std"), rows)
    for program in ("psal-stats", "psal-neighbors", "psal-prune", "psal-finetune", "psal-check", "psal-run"):
        check(f"{program}: weights", settings(program=program)["weights"] == ("project", "my.safetensors"))
    rows = settings("--labels", "numbers", "--weights", "./my.safetensors")
    check("the command line wins, the same file is no other network", rows["labels"] == ("command line", "numbers") and
          rows["stats"][0] == "project", rows)
    rows = settings(program="psal-convert")
    check("psal-convert", rows["preprocess"][0] == "project", rows)


def test_left_aside():
    cases = ((("--weights", network), ("weights", "command line"), ("labels", "left aside"), ("stats", "left aside")),
             (("--model", "resnet50"), ("weights", "left aside")),
             (("--preprocess", "torchvision"), ("weights", "project"), ("labels", "project"), ("stats", "left aside")),
             (("--bn-epsilon", "1e-3"), ("weights", "project"), ("stats", "left aside")),
             (("--signed",), ("stats", "left aside"), ("preprocess", "project")),
             (("--mode", "pot"), ("stats", "left aside")), (("--mode", "norm"), ("stats", "project")),
             (("--stats", statistics), ("stats", "command line")))
    for arguments, *expected in cases:
        rows = settings(*arguments)
        check(f"{arguments}", all(rows[name][0] == source for name, source in expected), rows)
    rows = settings("--preprocess", "caffe", program="psal-neighbors")
    check("the store too", rows["store"][0] == "left aside", rows)
    rows = settings("--store", "other.npy", program="psal-neighbors")
    check("another store is of another network", rows["labels"][0] == "left aside" and rows["store"][0] == "command line", rows)
    rows = settings("-i", "a.png", program="psal-prune")
    check("a picture instead of the data set", rows["data"] == ("left aside", "not beside --image-path"), rows)
    check("nor its store", rows["store"] == ("left aside", "not beside --image-path"), rows)
    rows = settings("-d", "other", program="psal-finetune")
    check("another data set has another store", rows["store"] == ("left aside", "not beside --data") and rows["stats"][0] == "project", rows)
    shutil.copy(project / "my.safetensors", project / "renamed.safetensors")
    rows = settings("--weights", "renamed.safetensors")
    check("a copy is no other network", rows["labels"][0] == rows["stats"][0] == "project", rows)
    how = json.loads((project / "psal.json").read_text())["preprocess"]
    rows = settings("--preprocess", how, program="psal-prune")
    check("what the project says, too, changes nothing", rows["stats"][0] == rows["store"][0] == "project", rows)
    done = in_project("psal-run", "-w", network, "--mode", "naive", "-i", bag, "-l", "bag", "--out", "out")
    check("said once", done.stderr.count("psal.json is left aside") == 1 and done.returncode == 0, said(done))
    done = in_project("psal-convert", network, "c2.safetensors", "--preprocess", "caffe")
    check("a checkpoint that is another one", done.returncode == 0 and "left aside: the checkpoint is another one" in done.stderr, said(done))


def test_elsewhere():
    """--project from another folder; and a folder that was moved as a whole"""
    done = in_project("psal-run", "--project", project / "psal.json", "-i", bag, "-l", "bag", "--out", scratch / "out", cwd=scratch)
    check("from another folder", done.returncode == 0, said(done))
    (scratch / "sub").mkdir()
    done = run_text("psal-init", "--weights", network, "--data", samples / "labels.csv", "--out", "sub/p.json", "--quiet", cwd=scratch)
    contents = json.loads((scratch / "sub" / "p.json").read_text())
    check("what is made lies beside the file", done.returncode == 0 and contents["stats"] == "p_stats.safetensors" and
          contents["store"] == "p_store.npy" and os.path.isabs(contents["weights"]), contents)
    done = run_text("psal-neighbors", "--project", "sub/p.json", "--query", "1", "--top", "1", cwd=scratch)
    check("and is found", done.returncode == 0, said(done))
    moved = scratch / "moved"
    shutil.copytree(project, moved)
    relative = os.path.relpath(moved / "psal.json", root)
    done = run_text("psal-neighbors", "--project", relative, "--query", "1", "--top", "1", cwd=root)
    check("moved", done.returncode == 0, said(done))
    check("none is none", settings("--project", "none")["mode"][0] == "default" and "weights" not in settings("--project", "none"))
    check("found in the working folder only", "project    none" in run_text("psal-run", "--show-settings", cwd=scratch).stdout)


def test_gone():
    """What a project names and is not there any more: the error says that the project names it"""
    for key, name, program, arguments in (("weights", "gone.safetensors", "psal-run", ("-i", bag, "-l", "bag")),
                                          ("data", "gone", "psal-stats", ("-o", "s4.safetensors",)),
                                          ("data", "folder:gone", "psal-stats", ("-o", "s4.safetensors",)),
                                          ("data", "gone", "psal-run", ("-i", bag)), ("stats", "gone.st", "psal-run", ("-i", bag, "-l", "bag")),
                                          ("labels", "gone.txt", "psal-run", ("-i", bag, "-l", "bag")),
                                          ("store", "gone.npy", "psal-neighbors", ("--query", "1"))):
        file = name.replace("folder:", "")
        done = in_project(program, "--project", changed_project("gone.json", **{key: name}), *arguments)
        named = re.search(f'gone.json: "{key}": (/\\S+/)?{re.escape(file)}: ', done.stderr)
        check(f"{program}: {key} {name}", done.returncode == 1 and named and "\n" not in done.stderr.strip(), said(done))
    done = in_project("psal-run", "-i", bag, "-l", "bag", "-s", "gone.st")
    check("nor does it where the command line does", done.returncode == 1 and done.stderr.startswith("psal-run: gone.st: "), said(done))


def test_no_network():
    """Who brings pictures of their own, and names no network, is told whose answers these are"""
    note = "note: no --weights{}: the small Fashion-MNIST network that comes with psal is used"
    here = note.format(" and no psal.json here")
    for program, arguments in (("psal-run", ("-i", bag, "--mode", "naive", "--figures", "none")), ("psal-prune", ("-i", bag, "-l", "8", "--k", "1")),
                               ("psal-run", ("--images", samples / "labels.csv", "--mode", "naive", "--figures", "none")),
                               ("psal-stats", ("-d", samples / "labels.csv", "--limit", "12", "-o", "box.safetensors"))):
        done = run_text(program, *arguments, cwd=scratch)
        check(f"{program} {arguments[0]}", done.returncode == 0 and done.stderr.count(here) == 1, said(done))
    done = run_text("psal-run", "--figures", "none", cwd=scratch)
    check("nothing to say of psal's own picture", done.returncode == 0 and done.stderr == "", said(done))
    done = run_text("psal-run", "--project", "none", "-i", bag, "--mode", "naive", "--figures", "none", cwd=scratch)
    check("--project none", note.format("") in done.stderr, said(done))
    done = in_project("psal-run", "-i", bag, "-l", "8", "--figures", "none")
    check("a project names it", done.returncode == 0 and "comes with psal" not in done.stderr, said(done))
    for program in ("psal-run", "psal-prune"):
        done = run_text(program, "-i", bag, "-l", "red cars", cwd=scratch)
        check(f"{program}: whose class is unknown", done.returncode == 1 and 'no class is called "red cars"' in done.stderr and
              "neither --weights nor a psal.json names another" in done.stderr, said(done))
        done = in_project(program, "-i", bag, "-l", "red cars")
        check(f"{program}: whose class is unknown, in a project", done.returncode == 1 and "(the classes are those of my.safetensors)" in done.stderr,
              said(done))
    done = run_text("psal-run", "--show-settings", cwd=scratch)
    check("--show-settings", "no --weights and no psal.json here: the small Fashion-MNIST network" in done.stdout, said(done))
    check("and not where one is named", "comes with psal" not in in_project("psal-run", "--show-settings").stdout)
    for arguments, hint in (((bag,), "a picture is given as --image-path FILE"),
                            (("-i", "red", "cars/19.JPG"), "a value with blanks in it stands in quotes")):
        done = run_text("psal-run", *arguments, cwd=scratch)
        check(f"where a picture is said: {arguments}", done.returncode == 2 and f'unexpected argument "{arguments[-1]}" ({hint})' in done.stderr, said(done))
    done = run_text("psal-neighbors", "-i", bag, cwd=scratch)
    check("what a project would have said", done.returncode == 2 and "option --store is needed: no psal.json here says it" in done.stderr, said(done))


def test_changed_weights():
    def other(_metadata, header, data):
        silent(_metadata, header, data)
        begin, end = header["conv1.weight"]["data_offsets"]
        data[begin:end] = bytes(end - begin)
    make_project()
    folder = scratch / "changed"
    shutil.copytree(project, folder)
    shutil.move(rewritten(network, "other.safetensors", other), folder / "my.safetensors")
    for program, arguments in (("psal-run", ("-i", bag, "-l", "bag", "--out", "out")), ("psal-prune", ("-i", bag, "-l", "bag")),
                               ("psal-stats", ("--out", "s3.safetensors")), ("psal-convert", ("my.safetensors", "c.safetensors"))):
        done = run_text(program, *arguments, cwd=folder)
        check(f"{program}: refused", done.returncode == 1 and "the weights have changed since psal.json was made (fingerprint" in done.stderr
              and done.stderr.strip().count("\n") == 0, said(done))


def test_edited():
    """A checkpoint that was corrected in the project's folder is of the same classes, prepared alike; the statistics are the base's"""
    make_project()
    edit = ("--image-path", bag, "--image-target-label", "bag", "--choices", "salient", "-k", "50", "--quiet")
    for program, more in (("psal-finetune", ("--relative", "0.1")), ("psal-prune", ())):
        done = in_project(program, *edit, *more, "--save", f"{program}.safetensors")
        check(f"{program}: saved", done.returncode == 0, said(done))
        before = json.loads(in_project("psal-run", "-i", bag, "-l", "bag", "--json", "--figures", "none").stdout)
        done = in_project("psal-run", "-w", f"{program}.safetensors", "-i", bag, "-l", "bag", "--json", "--figures", "none")
        after = json.loads(done.stdout or "{}")
        same = {"preprocess", "classes", "loss"}
        check(f"{program}: explained with what is known of the base", done.returncode == 0 and all(
            after["settings"][key] == before["settings"][key] for key in same) and after["target"]["name"] == before["target"]["name"]
            and after["settings"]["base_fingerprint"] == before["settings"]["fingerprint"] != after["settings"]["fingerprint"]
            and "the weights before they were edited" in done.stderr, said(done))
        command = f"psal-stats --weights {program}.safetensors --data val/labels.csv --out {program}_stats.safetensors"
        check(f"{program}: what that means, and what to do", f"_stats.safetensors: the best that was found; a filter that was edited stands out "
              f"for that alone, whatever the image; statistics of the edited weights are made by: {command}\n" in done.stderr, said(done))
        made = in_project(*command.split())
        done = in_project("psal-run", "-w", f"{program}.safetensors", "-i", bag, "-l", "bag", "--figures", "none")
        check(f"{program}: which is then found", made.returncode == done.returncode == 0 and "stands out" not in done.stderr and
              "before they were edited" not in done.stderr, said(made) + said(done))
    again = in_project("psal-prune", *edit, "-w", "psal-finetune.safetensors", "--save", "twice.safetensors")
    done = in_project("psal-run", "-w", "twice.safetensors", "-i", bag, "-l", "bag", "--figures", "none")
    check("edited twice", again.returncode == 0 and done.returncode == 0 and "before they were edited" in done.stderr, said(done))


def test_notes():
    """What is remarked of the weights' file psal-init says, and no other program again, unless it is new"""
    def wrapped(prefix):
        tensors, metadata = networks.read(network)
        return networks.write(scratch / "wrapped.safetensors", {prefix + name: tensor for name, tensor in tensors.items()}, metadata)
    wrapped("module.")
    done = run_text("psal-init", "-w", "wrapped.safetensors", "-d", samples / "labels.csv", "-o", "wrapped.json", cwd=scratch)
    contents = json.loads((scratch / "wrapped.json").read_text())
    check("psal-init says it", done.returncode == 0 and "wrapped.safetensors: took the prefix 'module.' off" in done.stderr and
          contents["notes"] == ["took the prefix 'module.' off all names"], said(done) + str(contents))
    ask = ("psal-run", "-i", bag, "-l", "bag", "--figures", "none")
    done = run_text(*ask, "--project", scratch / "wrapped.json", cwd=project)
    check("no other program", done.returncode == 0 and "prefix" not in done.stderr, said(done))
    done = run_text(*ask, "-w", "wrapped.safetensors", cwd=scratch)
    check("but without the project", "took the prefix" in done.stderr, said(done))
    wrapped("net.")
    done = run_text(*ask, "--project", "wrapped.json", cwd=scratch)
    check("and what is new", done.returncode == 0 and "took the prefix 'net.' off" in done.stderr, said(done))


def test_hostile():
    make_project()
    cases = (("{", "bad JSON"), ("[]", "not an object"), ('{"name": "x"}', 'has a key "format"'), ('{"format": 2}', '"format" is not 1'),
             ('{"format": 1}', '"weights" is missing'), ('{"format": 1, "weights": 3}', '"weights" is not the name of a file'),
             ('{"format": 1, "weights": "a", "lables": []}', '"lables" is no key'),
             ('{"format": 1, "weights": "a", "labels": [3]}', '"labels" is not a text'),
             ('{"format": 1, "weights": "a", "fingerprint": "12"}', "hexadecimal"),
             ('{"format": 1, "weights": "a", "variant": "v9"}', 'psal.json: "variant"'),
             ('{"format": 1, "weights": "a", "transform-input": 1}', "true or false"),
             ('{"format": 1, "weights": "a", "notes": "b"}', '"notes" is not a list of texts'),
             ('{"format": 1, "weights": "a", "weights": "b"}', "duplicate"), ('{"format": 1, "weights": "' + "a" * 5000 + '"}', "weights"))
    folder = scratch / "hostile"
    folder.mkdir()
    for text, expected in cases:
        (folder / "psal.json").write_text(text)
        done = run_text("psal-run", "-i", bag, "-l", "1", cwd=folder)
        check(f"{text[:60]}", done.returncode == 1 and expected in done.stderr and "psal.json" in done.stderr and
              done.stderr.strip().count("\n") == 0, said(done))
    (folder / "psal.json").unlink()
    (folder / "psal.json").mkdir()
    check("a folder", run_text("psal-run", cwd=folder).returncode == 1)
    done = run_text("psal-run", "--project", "nowhere.json", cwd=scratch)
    check("missing", done.returncode == 1 and "nowhere.json" in done.stderr, said(done))
    check("--help reads none", run_text("psal-run", "--help", cwd=folder).returncode == 0)


if __name__ == "__main__":
    raise SystemExit(run_tests((test_init, test_tries, test_class_folders, test_taken, test_class_of_a_sample, test_settings,
                                test_left_aside, test_elsewhere, test_gone, test_no_network, test_changed_weights, test_edited, test_notes, test_hostile), scratch))
