#!/usr/bin/env python3
"""Lists of images, class folders and class names as people have them, in all programs: what they mean, what is said about it, and
that a bad image is left out by name with --skip-bad (exit status 3) and named as the culprit without.

    tests/e2e/test_lists.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import csv
import json
import pathlib
import shutil
import struct
import sys
import zlib

from checks import check, run_tests
from programs import network as resnet, run_text, samples, scratch, statistics

NAMES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


def run(program, *arguments, cwd=scratch):
    network = [] if program == "psal-neighbors" else ["--weights", resnet]
    return run_text(program, *network, "-t", "1", *arguments, cwd=cwd)


def place(path, picture="bag.png"):
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(samples / picture, path)
    return path


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bad_images(folder):
    """name -> part of the reason: every kind of bad image"""
    whole = (samples / "coat.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[:200])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_bytes(b"no image\n")
    (folder / "other.webp").write_bytes(b"RIFF\x00\x00\x00\x00WEBPVP8 ")
    (folder / "huge.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2000000, 2000000, 8, 2, 0, 0, 0))
                                      + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))
    return {"cut.png": "truncated", "empty.png": "", "text.jpg": "", "other.webp": "the WebP is damaged", "huge.png": ""}


# ---- class folders ----

def labels_of(folder, *more):
    """The labels that psal-stats takes the images of a folder to have, its notes, and its status"""
    out = scratch / "records.csv"
    out.unlink(missing_ok=True)
    done = run("psal-stats", "--data", folder, "--out", scratch / "s.safetensors", "--records", out, *more)
    rows = {row["path"]: int(row["label"]) for row in read(out)} if done.returncode == 0 else {}
    said = [line for line in done.stderr.splitlines(True) if "mostly chance" not in line]  # of few samples, as all here are
    return rows, "".join(said), done.returncode


def test_class_folders():
    for name, folders, labels, words in [
            ("numbers", {"5": "sandal.png", "8": "bag.png"}, {"5": 5, "8": 8}, "2 class folders for 10 classes, taken as class numbers"),
            ("leading zeros", {"05": "sandal.png", "008": "bag.png"}, {"05": 5, "008": 8}, "class numbers: 008 = 8, 05 = 5"),
            ("names", {"sandal": "sandal.png", "ankle_boot": "bag.png"}, {"sandal": 5, "ankle_boot": 9}, None),
            ("names and numbers", {"Sandal": "sandal.png", "8": "bag.png"}, {"Sandal": 5, "8": 8}, None),
            ("unknown", {"cat": "sandal.png", "dog": "bag.png"}, {"cat": 0, "dog": 1},
             "2 class folders for 10 classes, in sorted order: cat = 0, dog = 1")]:
        folder = scratch / "folders" / name
        for class_folder, picture in folders.items():
            place(folder / class_folder / "a.png", picture)
        got, said, status = labels_of(folder)
        check(f"folders, {name}", got == {f"{key}/a.png": label for key, label in labels.items()}, f"{status}: {got} {said}")
        check(f"folders, {name}: note", (words in said) if words else "note" not in said, said)
        if name == "unknown":
            check("a guess is said to the quiet, too", words in labels_of(folder, "--quiet")[1])
        elif words:
            check(f"folders, {name}: quiet", "note" not in labels_of(folder, "--quiet")[1])
    place(scratch / "folders" / "mixed" / "Bag" / "a.png")
    place(scratch / "folders" / "mixed" / "Handbag" / "a.png")
    _, said, status = labels_of(scratch / "folders" / "mixed")
    check("some names are known", status == 1 and '"Handbag"' in said and "1 of the 2" in said, said)
    for parts in (("train", "val"), ("Train", "test"), ("training", "validation"), ("val",)):
        folder = scratch / "roots" / "-".join(parts)
        for part in parts:
            place(folder / part / "Bag" / "a.png")
        for program in ("psal-stats", "psal-prune", "psal-finetune"):
            done = run(program, "--data", folder, *(["--out", scratch / "s.safetensors"] if program == "psal-stats" else []))
            check(f"{program}: root of {parts}", done.returncode == 1 and f"{folder}/{parts[-1]}" in done.stderr, done.stderr)
        done = run("psal-run", "--images", folder, "--out", scratch / "root-out")
        check(f"psal-run: root of {parts}", done.returncode == 1 and f"{folder}/{parts[-1]}" in done.stderr, done.stderr)


# ---- class names ----

def test_class_names():
    numbered = {str(i): name for i, name in enumerate(NAMES)}
    for name, text in {
            "list.json": json.dumps(NAMES), "config.json": json.dumps({"architectures": ["X"], "id2label": numbered}),
            "to_idx.json": json.dumps({name: i for i, name in enumerate(NAMES)}), "printed.txt": repr(dict(enumerate(NAMES))),
            "numbers.txt": "".join(f"{i} {name}\n" for i, name in enumerate(NAMES)),
            "behind.txt": "".join(f"{name}: {i}\n" for i, name in enumerate(NAMES)),
            "titles.csv": "label_name;id\n" + "".join(f"{name};{i}\n" for i, name in reversed(list(enumerate(NAMES)))),
            "data.yaml": "nc: 10\nnames:\n" + "".join(f"  {i}: {name}\n" for i, name in enumerate(NAMES))}.items():
        (scratch / name).write_text(text)
        done = run("psal-run", "-i", samples / "bag.png", "-l", "Bag", "--labels", scratch / name, "-o", scratch / "named", "--json")
        check(f"names in {name}", done.returncode == 0 and json.loads(done.stdout)["target"]["class"] == 8
              and json.loads(done.stdout)["target"]["name"] == "Bag", done.stderr)
    for name, text in {"one.txt": "".join(f"{i + 1} {name}\n" for i, name in enumerate(NAMES)), "cut.json": json.dumps(NAMES)[:-3],
                       "odd.csv": "a,b,c,d\n", "some.txt": "\n".join(f"{i} {name}" for i, name in enumerate(NAMES[:-1])) + "\nAnkle boot\n"
                       }.items():
        (scratch / name).write_text(text)
        done = run("psal-run", "-i", samples / "bag.png", "--labels", scratch / name, "-o", scratch / "named")
        check(f"unclear names in {name}", done.returncode == 1 and name in done.stderr and done.stderr.count("\n") == 1, done.stderr)


# ---- tables ----

def test_tables():
    folder = scratch / "tables"
    for picture in ("bag.png", "sandal.png"):
        place(folder / picture, picture)
    for i, text in enumerate(["filename,class\nbag.png,Bag\nsandal.png,Sandal\n", "label;image\r\n8;bag.png\r\n5;sandal.png\r\n",
                              ",path,label\n0,bag.png,8.0\n1,sandal.png,5.0\n", "id\tlabel_name\nbag\tBag\nsandal\tsandal\n",
                              "\ufeff8,bag.png\n5,sandal.png\n", "path,class_id,class_name\nbag.png,8,Bag\nsandal.png,5,Sandal\n"]):
        (folder / "list.csv").write_text(text)
        got, said, status = labels_of(folder / "list.csv", "--quiet")
        check(f"table {i}", sorted(got.values()) == [5, 8] and not said, f"{status}: {got} {said}")
    for text, words in (("path,label\nbag.png,10\n", "numbered from 1"), ("path,label,class_name\nbag.png,8,Coat\n", "class 4"),
                        ("Bild,Klasse\nbag.png,8\n", "path,label,group"), ("path\nbag.png\n", "has no label")):
        (folder / "list.csv").write_text(text)
        _, said, status = labels_of(folder / "list.csv")
        check(f"table {text!r}", status == 1 and words in said and said.count("\n") == 1, said)


# ---- bad images ----

def bad_list():
    """A folder with four good images and every kind of bad one; its list; what is bad and why"""
    folder = scratch / "bad"
    if (folder / "list.csv").exists():
        shutil.rmtree(folder)
    folder.mkdir()
    bad = bad_images(folder)
    good = ["bag.png", "sandal.png", "coat.png", "bag_called_sandal.png"]
    labels = dict(zip(good, (8, 5, 4, 8)))
    for name in good:
        place(folder / name, name)
    bad.update({"none.png": "No such file", "sandal_2.png": "class 10"})
    place(folder / "sandal_2.png", "sandal.png")
    names = [good[0], *list(bad)[:3], good[1], *list(bad)[3:], *good[2:]]
    with open(folder / "list.csv", "w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *((name, labels.get(name, 10 if name == "sandal_2.png" else 5)) for name in names)])
    return folder / "list.csv", good, bad


def skipped(name, done, bad, total):
    last = done.stderr.splitlines()[-1] if done.stderr else ""
    check(f"{name}: status 3", done.returncode == 3, f"status {done.returncode}: {done.stderr}")
    check(f"{name}: named at the end", f"{len(bad)} of {total} images skipped: " in last and all(one in last for one in bad), done.stderr)


def same_reasons(name, found, bad):
    found = {pathlib.Path(one["image"]).name: one["reason"] for one in found}
    check(f"{name}: reasons", found.keys() == bad.keys() and all(bad[one] in found[one] for one in bad), found)


def test_bad_images_in_stats():
    listing, good, bad = bad_list()
    out = scratch / "bad-stats"
    out.mkdir()
    common = ["--data", listing, "--out", out / "s.safetensors", "--profiles", out / "p.npy"]
    done = run("psal-stats", *common)
    check("stats: the first bad image ends it", done.returncode == 1 and "list.csv:" in done.stderr and "--skip-bad" in done.stderr, done.stderr)
    for quiet in ([], ["--quiet"]):
        done = run("psal-stats", *common, "--skip-bad", *quiet)
        skipped("stats", done, bad, len(good) + len(bad))
    states = {row["path"]: row["status"] for row in read(out / "p.npy.csv")}
    check("stats: records", [states[name] for name in good] == ["ok"] * 4 and all(states[name] != "ok" for name in bad), states)
    # The store lacks what was skipped: a query for it is left out, or is an error that says how.
    index = next(i for i, row in enumerate(read(out / "p.npy.csv")) if row["path"] == "cut.png")
    ask = ["psal-neighbors", "--store", out / "p.npy", "--query", f"0-{index}", "--top", 2]
    done = run(*ask)
    check("neighbors: a query without a profile", done.returncode == 1 and "cut.png" in done.stderr and "--skip-bad" in done.stderr, done.stderr)
    done = run(*ask, "--skip-bad", "--json")
    check("neighbors: left out", done.returncode == 3 and "cut.png" in done.stderr.splitlines()[-1], done.stderr)
    found = json.loads(done.stdout)
    check("neighbors: in the JSON", [one["image"] for one in found["skipped"]] == ["cut.png"] and len(found["queries"]) == index, found["skipped"])
    # A picture for the sheet that is gone since.
    (listing.parent / "all.csv").write_text("\n".join(line for line in listing.read_text().splitlines() if "none" not in line and "_2" not in line))
    ask = ["psal-neighbors", "--store", out / "p.npy", "--query", 0, "--top", 2, "--sheet", out / "sheet.png", "--data", listing]
    whole = (listing.parent / "coat.png").read_bytes()
    (listing.parent / "coat.png").write_bytes(whole[:100])
    done = run(*ask, "--top", 3)
    check("neighbors: the list is checked first", done.returncode == 1 and "none.png" in done.stderr and "--skip-bad" in done.stderr, done.stderr)
    done = run(*ask[:-1], listing.parent / "all.csv", "--top", 3)
    check("neighbors: a picture that cannot be read", done.returncode == 1 and "coat.png" in done.stderr and "--skip-bad" in done.stderr, done.stderr)
    done = run(*ask, "--top", 3, "--skip-bad")
    check("neighbors: a sheet without it", done.returncode == 3 and "coat.png" in done.stderr.splitlines()[-1]
          and (out / "sheet.png").stat().st_size > 1000, done.stderr)
    (listing.parent / "coat.png").write_bytes(whole)


def test_bad_images_in_run():
    listing, good, bad = bad_list()
    out = scratch / "bad-run"
    common = ["--images", listing, "--out", out, "--top", 3, "-s", statistics]
    done = run("psal-run", *common)
    check("run: the list is checked first", done.returncode == 1 and "none.png" in done.stderr and "--skip-bad" in done.stderr, done.stderr)
    done = run("psal-run", *common, "--skip-bad", "--json")
    skipped("run", done, bad, len(good) + len(bad))
    result = json.loads(done.stdout)
    check("run: the good ones", [pathlib.Path(one["image"]).name for one in result["images"]] == good, result["images"])
    same_reasons("run: JSON", result["skipped"], bad)
    rows = read(out / "summary.csv")
    same_reasons("run: summary", [{"image": row["path"], "reason": row["skipped"]} for row in rows if row["skipped"]], bad)
    check("run: summary of the good ones", [pathlib.Path(row["path"]).name for row in rows if not row["skipped"]] == good and
          all(row["predicted"] and row["loss"] for row in rows if not row["skipped"]), rows)
    # Resumed: what was skipped is tried again, what is finished is not.
    place(listing.parent / "cut.png", "coat.png")
    del bad["cut.png"]
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/result.json")}
    done = run("psal-run", *common, "--skip-bad", "--resume")
    skipped("run, resumed", done, bad, len(good) + len(bad) + 1)
    after = {path: path.stat().st_mtime_ns for path in out.glob("*/result.json")}
    check("run, resumed: one more", len(after) == len(before) + 1 and before.items() <= after.items(), after)
    check("run, resumed: says so", "5 images explained" in done.stdout and "6 skipped" in done.stdout, done.stdout)
    # Several --image-path, and nothing but bad ones.
    paths = [argument for name in ("bag.png", "text.jpg", "none.png") for argument in ("-i", listing.parent / name)]
    done = run("psal-run", *paths, "-l", "Bag", "--out", scratch / "paths", "--skip-bad", "-s", statistics)
    skipped("run, paths", done, {"text.jpg": "", "none.png": ""}, 3)
    done = run("psal-run", *paths[2:], "-l", "Bag", "--out", scratch / "paths", "--skip-bad", "-s", statistics)
    check("run: nothing but bad images", done.returncode == 1 and "all 2 images" in done.stderr, done.stderr)
    done = run("psal-run", *paths[2:4], "--out", scratch / "paths", "--skip-bad", "-s", statistics)
    check("run: one image is no list", done.returncode == 1 and "text.jpg" in done.stderr and "--skip-bad" not in done.stderr, done.stderr)
    # A writing error is no bad image.
    (scratch / "blocked").mkdir()
    (scratch / "blocked" / "00000_bag").write_text("in the way")
    done = run("psal-run", "--images", listing, "--out", scratch / "blocked", "--skip-bad", "-s", statistics)
    check("run: a folder that cannot be made", done.returncode == 1 and "00000_bag" in done.stderr, done.stderr)


def test_bad_images_in_experiments():
    listing, good, bad = bad_list()
    alone = scratch / "good.csv"
    rows = read(listing)
    alone.write_text("path,label\n" + "".join(f"bad/{row['path']},{row['label']}\n" for row in rows if row["path"] in good))
    for program, more in (("psal-prune", ["-c", "salient,random"]), ("psal-finetune", ["-c", "salient"])):
        common = ["-k", 2, "--right", 2, "-s", statistics, "--json", *more]
        done = run(program, "--data", listing, *common)
        check(f"{program}: the list is checked first", done.returncode == 1 and "list.csv" in done.stderr and "--skip-bad" in done.stderr, done.stderr)
        done = run(program, "--data", listing, *common, "--skip-bad")
        skipped(program, done, bad, len(good) + len(bad))
        result = json.loads(done.stdout)
        same_reasons(f"{program}: JSON", result["skipped"], bad)
        whole = run(program, "--data", alone, *common)
        expected = json.loads(whole.stdout)
        check(f"{program}: counts as without them", whole.returncode == 0 and not expected["skipped"] and
              (result["mistakes"], result["right_samples"]) == (expected["mistakes"], expected["right_samples"]) and
              result["mistakes"] > 0, f"{result['mistakes']} {expected['mistakes']}")
        # Where nothing is random, the numbers are those of the good images alone.
        salient = [[row for row in one["rows"] if row["choice"] == "salient"] for one in (result, expected)]
        if program == "psal-prune":
            check(f"{program}: results as without them", salient[0] == salient[1] and salient[0], salient)
        (scratch / "only.csv").write_text("path,label\nbad/cut.png,5\nbad/none.png,5\n")
        done = run(program, "--data", scratch / "only.csv", *common, "--skip-bad")
        check(f"{program}: nothing but bad images", done.returncode == 1 and "all 2 images" in done.stderr, done.stderr)


def test_too_few_for_statistics():
    """Statistics that cannot be made leave nothing behind, and what was there before as it was"""
    out, images = scratch / "too-few", scratch / "too-few-images"
    out.mkdir()
    images.mkdir()
    bad_images(images)
    good, bad = images / "good.csv", images / "bad.csv"
    good.write_text(f"path,label\n{samples / 'bag.png'},8\n")
    bad.write_text("path,label\ncut.png,5\ntext.jpg,5\n")
    results = ["--out", out / "s.safetensors", "--profiles", out / "p.npy", "--figures", out / "figures"]
    for old in ("p.npy", "p.npy.csv"):
        (out / old).write_text("old")
    for listing, words in ((bad, "no sample was left"), (good, "a single sample was left")):
        done = run("psal-stats", "--data", listing, *results, "--skip-bad", "-q")
        check(f"stats: {words}", done.returncode == 1 and words in done.stderr, done.stderr)
        left = {path.name: path.read_text() for path in out.iterdir() if path.is_file() and ".partial" not in path.name}
        check(f"stats: {words}: nothing is written", left == dict.fromkeys(("p.npy", "p.npy.csv"), "old"), left)
        for path in out.glob("*.partial*"):
            path.unlink()
    parts = [out / f"part-{part}.safetensors" for part in (1, 2)]
    for number, part in enumerate(parts, 1):
        done = run("psal-stats", "--data", bad, "--out", out / "part.safetensors", "--shard", f"{number}/2",
                   "--skip-bad", "-q")
        (out / f"part.part-{number}-of-2.safetensors").rename(part)
    done = run("psal-stats", "merge", out / "s.safetensors", *parts, "--data", bad, *results[2:4])
    check("merge: no sample was left", done.returncode == 1 and "no sample was left" in done.stderr, done.stderr)
    check("merge: nothing is written", (out / "p.npy").read_text() == (out / "p.npy.csv").read_text() == "old"
          and not (out / "s.safetensors").exists(), list(out.iterdir()))


def test_labels_that_are_not_the_networks():
    """Nothing tells that labels are another data set's but the predictions: that is said, also with --quiet, and not of labels that fit"""
    rows = [(samples / row["path"], int(row["label"]), row["group"]) for row in read(samples / "labels.csv")]
    shifted, guessed = "label {} 1: are labels and classes numbered from the same number on?", "as few as by guessing"

    def stats(name, chosen, times, label, words, *more):
        listing = scratch / f"{name.replace(' ', '_')}.csv"
        content = [f"{path},{label(number)}\n" for path, number, group in rows if chosen(number, group)] * times
        listing.write_text("path,label\n" + "".join(content))
        done = run("psal-stats", "--data", listing, "--out", scratch / "doubt.safetensors", "-q", *more)
        said = [line for line in done.stderr.splitlines() if "mostly chance" not in line]
        check(f"{name}: {words or 'nothing'} said", done.returncode == 0 and words in done.stderr and bool(words) == bool(said), done.stderr)
        few = len(content) < 100
        check(f"{name}: few samples are said", few == (f"over only {len(content)} samples" in done.stderr), done.stderr)
        return listing

    right = (lambda number, group: group == "right")
    stats("as they are", lambda number, group: True, 6, lambda number: number, "")
    stats("of chosen mistakes", lambda number, group: group == "mistake", 15, lambda number: number, "")
    below = stats("numbered from 1", lambda number, group: group == "right" and number < 9, 2, lambda number: number + 1, shifted.format("-"))
    stats("numbered from -1", lambda number, group: group == "right" and number > 0, 3, lambda number: number - 1, shifted.format("+"))
    stats("too few to tell", lambda number, group: group == "right" and number < 9, 1, lambda number: number + 1, "")
    # each right one once with its own label and nine times with others: a tenth is right
    many = scratch / "others.csv"
    many.write_text("path,label\n" + "".join(f"{path},{other}\n" for path, number, group in rows if right(number, group) for other in range(10)))
    done = run("psal-stats", "--data", many, "--out", scratch / "doubt.safetensors", "-q")
    check("a tenth is right", done.returncode == 0 and "12 of 120 are right, " + guessed in done.stderr, done.stderr)
    parts = []
    for part in (1, 2):
        done = run("psal-stats", "--data", below, "--out", scratch / "doubt.safetensors", "-q", "--shard", f"{part}/2")
        parts.append(scratch / f"doubt.part-{part}-of-2.safetensors")
        check(f"part {part} is too small to tell", done.returncode == 0 and not done.stderr, done.stderr)
    done = run_text("psal-stats", "merge", scratch / "doubt.safetensors", *parts)
    check("merged", done.returncode == 0 and shifted.format("-") in done.stderr, done.stderr)
    done = run("psal-run", "--images", below, "-o", scratch / "doubt", "-s", statistics, "-q")
    check("psal-run", done.returncode == 0 and shifted.format("-") in done.stderr, done.stderr)
    for program in ("psal-prune", "psal-finetune"):
        done = run(program, "--data", below, "--limit", 1, "-k", 1, "-c", "salient", "-s", statistics, "-q")
        check(program, done.returncode == 0 and shifted.format("-") in done.stderr, done.stderr)


def test_only_mistakes():
    """--mistakes explains those alone, in folders that keep the class; with --figures none tables alone"""
    out, folder = scratch / "only", scratch / "by_class"
    for row in read(samples / "labels.csv"):
        place(folder / row["label"] / row["path"], row["path"])
    common = ["--images", folder, "-o", out, "-s", statistics, "--figures", "none"]
    done = run("psal-run", *common, "--mistakes", "--json")
    result = json.loads(done.stdout)
    names = sorted(path.name for path in out.iterdir() if path.is_dir())
    check("only mistakes", done.returncode == 0 and len(result["images"]) == len(names) == len(read(out / "summary.csv")) == 8
          and result["left_out"] == 12 and not any(image["correct"] for image in result["images"]), (names, done.stderr))
    check("only mistakes: class names in the folders' names", any(name.endswith("_8_bag_called_sandal") for name in names), names)
    files = {path.name for path in out.glob("*/*")}
    check("no pictures", files == {"top_filters.csv", "result.json"} and all(image["map"] is image["no_map"] is None
          for image in result["images"]), files)
    done = run("psal-run", *common[:-2], "--mistakes", "--resume")
    check("pictures are another run's", done.returncode == 1 and "figures is false there and true here" in done.stderr, done.stderr)
    done = run("psal-run", *common, "--mistakes", "--resume")
    check("resumed", done.returncode == 0 and "8 images explained" in done.stdout and "12 that are right left out" in done.stdout, done.stdout)
    done = run("psal-run", "-i", samples / "bag.png", "--mistakes")
    check("of a list only", done.returncode == 1 and "--mistakes needs --images" in done.stderr, done.stderr)
    (folder / "list.txt").write_text("8/bag.png\n")
    done = run("psal-run", "--images", folder / "list.txt", "--mistakes", "-o", out)
    check("of labelled images only", done.returncode == 1 and "have a label" in done.stderr, done.stderr)


def test_pictures_of_an_earlier_run():
    """They go, and that is said, where they would stand beside another answer; those of the same answer stay"""
    out = scratch / "earlier"
    def explain(*more, image="bag_called_sandal.png"):
        done = run("psal-run", "-i", samples / image, "-l", 8, "-s", statistics, "-o", out, *more)
        check(f"{more} {image}", done.returncode == 0, done.stderr)
        return sorted(path.name for path in out.glob("*.png")), done.stderr
    (out / "own").mkdir(parents=True)
    (out / "own.png").write_bytes(b"mine")
    four, said = explain("--compare-random")
    check("nothing to remove", len(four) == 5 and "removed" not in said, said)
    for more in (("--figures", "none"), ()):
        pictures, said = explain(*more)
        check(f"the same answer {more}", pictures == four and "removed" not in said, said)
    pictures, said = explain("--figures", "none", "-k", 3)
    check("other settings", pictures == ["own.png"] and f"4 files of an earlier run in {out}, of another image or with other settings, were "
          "removed" in said, said)
    explain("--compare-random")
    pictures, said = explain(image="bag.png")
    check("another image", len(pictures) == 4 and f"1 file of an earlier run in {out}, of another image or with other settings, was removed"
          in said, said)


def test_statistics_of_few_images():
    """Said with every profile, and that a saliency among so few has a ceiling"""
    folder, made = scratch / "by_few", scratch / "few.safetensors"
    for row in read(samples / "labels.csv")[8:]:
        place(folder / row["label"] / row["path"], row["path"])
    done = run("psal-stats", "--data", folder, "--out", made, "-q")
    check("few: made", done.returncode == 0 and "over only 12 samples" in done.stderr, done.stderr)
    for name, more, inside in (("one of them", ("-i", folder / "8" / "bag.png"), True), ("another", ("-i", samples / "bag.png"), False)):
        done = run("psal-run", *more, "-l", 8, "-s", made, "-o", scratch / "few", "-q")
        check(f"few: {name}", done.returncode == 0 and "over only 12 samples" in done.stderr
              and inside == ("at most (n - 1) / sqrt(n) = 3.2" in done.stderr), done.stderr)
        check(f"few: {name}, of all", inside == ("and their data set holds what is explained" in done.stderr) and "may be" not in done.stderr,
              done.stderr)
    for name, more in (("drawn", ("--limit", 8)), ("first", ("--first", 8)), ("right", ("--only", "correct"))):
        some = scratch / f"few_{name}.safetensors"
        run("psal-stats", "--data", folder, "--out", some, "-q", *more)
        done = run("psal-run", "-i", folder / "8" / "bag.png", "-l", 8, "-s", some, "-o", scratch / "few", "-q")
        check(f"few: {name}", done.returncode == 0 and "samples of a data set that holds what is explained, which may be among them" in done.stderr,
              done.stderr)
    done = run("psal-prune", "--data", folder, "-s", made, "-k", 1, "-q", "-c", "salient")
    check("few: the data set itself", "sqrt(n) = 3.2" in done.stderr, done.stderr)


def test_formulas():
    """Names that a spreadsheet would run are texts in what psal writes, and psal reads them back"""
    folder = scratch / "formulas"
    place(folder / "=1+1.png")
    place(folder / "-2.png", "sandal.png")
    (folder / "list.csv").write_text("path,label\n=1+1.png,8\n-2.png,5\n")
    done = run("psal-stats", "--data", folder / "list.csv", "--out", folder / "s.safetensors", "--profiles", folder / "p.npy")
    check("formulas: statistics", done.returncode == 0, done.stderr)
    paths = [row["path"] for row in read(folder / "p.npy.csv")]
    check("formulas: written as texts", paths == ["'=1+1.png", "'-2.png"], paths)
    done = run("psal-stats", "--data", folder / "p.npy.csv", "--out", folder / "again.safetensors", "--records", folder / "again.csv")
    check("formulas: read back", done.returncode == 0 and [(row["path"], row["label"])
          for row in read(folder / "again.csv")] == [(row["path"], row["label"]) for row in read(folder / "p.npy.csv")], done.stderr)
    done = run("psal-neighbors", "--store", folder / "p.npy", "--query", "0", "--sheet", folder / "sheet.png", "--data", folder / "list.csv", "--json")
    check("formulas: found again", done.returncode == 0 and json.loads(done.stdout)["queries"][0]["path"] == "=1+1.png", done.stderr)


def test_terminal_text():
    """Names that would steer a terminal, in all that is printed"""
    folder = scratch / "terminal"
    evil = "e\x1b[31m\u009b2J\u202evil"
    place(folder / f"{evil}.png")
    (folder / "list.csv").write_text(f"path,label\n{evil}.png,5\n{evil}.png,8\n{evil}none.png,8\n")
    (folder / "names.json").write_text(json.dumps([f"{evil}\n{i}" for i in range(10)]))
    common = ["--labels", folder / "names.json", "--skip-bad"]
    lab = ["--data", folder / "list.csv", "-k", 1, "-c", "salient", "-s", statistics, *common]
    for name, *call in (["run", "psal-run", "-i", folder / f"{evil}.png", "-l", 5, "--labels", folder / "names.json", "-o", folder / "o", "-s", statistics],
                        ["run, JSON", "psal-run", "--images", folder / "list.csv", "--json", "-o", folder / "o", "-s", statistics, *common],
                        ["stats", "psal-stats", "--data", folder / "list.csv", "--out", folder / "s.safetensors", "--profiles", folder / "p.npy", *common],
                        ["prune", "psal-prune", *lab], ["finetune", "psal-finetune", *lab, "--right", 1],
                        ["neighbors", "psal-neighbors", "--store", folder / "p.npy", "--query", "all", *common],
                        ["neighbors, JSON", "psal-neighbors", "--store", folder / "p.npy", "--query", "all", "--json", *common],
                        ["an unknown class", "psal-run", "-i", folder / f"{evil}.png", "-l", evil, "--labels", folder / "names.json"]):
        done = run(*call)
        text = done.stdout + done.stderr
        check(f"{name}: printable", not any(c in text for c in "\x1b\u009b\u202e") and "2J" in text, repr(text))
        if "--json" in call:
            check(f"{name}: JSON keeps the name", evil in json.dumps(json.loads(done.stdout), ensure_ascii=False).replace("\\u001b", "\x1b"), done.stdout)


if __name__ == "__main__":
    sys.exit(run_tests((test_class_folders, test_class_names, test_tables, test_bad_images_in_stats, test_bad_images_in_run,
                        test_bad_images_in_experiments, test_labels_that_are_not_the_networks,
                        test_only_mistakes, test_pictures_of_an_earlier_run, test_statistics_of_few_images, test_formulas,
                        test_terminal_text), scratch))
