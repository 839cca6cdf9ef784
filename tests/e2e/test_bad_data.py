#!/usr/bin/env python3
"""psal-stats and psal-neighbors on what is wrong: data sets, images, stores and parts that are damaged or do not belong
together. Each is one line on standard error that names the culprit, a status other than 0, and the folder as it was before,
but for the work of an interrupted run, which --resume goes on with.

    tests/e2e/test_bad_data.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import csv
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
import process_memory  # noqa: E402
from checks import check, run_tests  # noqa: E402
from programs import environment, network as resnet, run_text as run, samples, scratch, tools, weights  # noqa: E402

vgg = weights / "fashion_vgg19.safetensors"
pictures = sorted(samples.glob("*.png"))


def works(name, program, *arguments):
    done = run(program, *arguments, "--quiet")
    check(name, done.returncode == 0 and not said_of_more(done), f"status {done.returncode}: {done.stderr}")
    return done


def said_of_more(done):
    """What was said, but that the statistics are of few samples or of one class, as all here are"""
    return [line for line in done.stderr.splitlines() if "mostly chance" not in line and "of one class" not in line]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(name, program, *arguments, words=(), folder, kept=(), limit=None):
    """`kept`: names of files in the folder that may have come or changed, as the second line then says"""
    before = contents(folder)
    done = run(program, *arguments, "--quiet", limit=limit)
    lines = said_of_more(done)
    check(name, done.returncode in range(1, 126), f"status {done.returncode}: {done.stderr}")
    check(f"{name}: {'two lines' if kept else 'one line'}", len(lines) == (2 if kept else 1) and
          all(line.startswith(f"{program}: ") and len(line) < 1000 for line in lines), done.stderr)
    for word in words:
        check(f"{name}: says", str(word) in done.stderr, f"no '{word}' in: {done.stderr}")
    after = contents(folder)
    changed = {path.name for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    check(f"{name}: the folder is as it was", changed <= set(kept), f"{changed} changed")
    return done


def make_list(folder, count, name="list.csv"):
    """A folder of its own with `count` images (copies of the box's) and their list, in which a class is an image's place"""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(count):
        shutil.copy(pictures[i % len(pictures)], folder / f"{i:03}.png")
        rows.append((f"{i:03}.png", i % 10))
    with open(folder / name, "w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    return folder / name


def thousand_classes():
    """The ResNet in the box with a last layer for ImageNet's classes"""
    data = resnet.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header, values, rest = json.loads(data[8:start]), data[start:], b""
    metadata = header.pop("__metadata__")
    metadata.update({"psal.num_classes": "1000", "psal.labels": "imagenet"})
    new = {"__metadata__": metadata}
    for name, entry in header.items():
        part = values[slice(*entry["data_offsets"])]
        if name.startswith("fc."):
            part = part * 100
            entry["shape"][0] *= 100
        new[name] = dict(entry, data_offsets=[len(rest), len(rest) + len(part)])
        rest += part
    text = json.dumps(new).encode()
    path = scratch / "imagenet.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + rest)
    return path


# ---- the data set ----

def test_data_sets():
    out = scratch / "data"
    out.mkdir()
    common = ["psal-stats", "--weights", resnet, "--out", out / "s.safetensors", "--profiles", out / "p.npy", "--figures",
              out / "figures"]
    (scratch / "empty").mkdir()
    (scratch / "hollow" / "Bag").mkdir(parents=True)
    refused("an empty folder", *common, "--data", scratch / "empty", words=[scratch / "empty"], folder=out)
    refused("a class without images", *common, "--data", scratch / "hollow", words=["hollow/Bag"], folder=out)
    refused("a data set that is not there", *common, "--data", scratch / "nowhere", words=[scratch / "nowhere"], folder=out)
    listing = make_list(scratch / "missing", 5)
    (scratch / "missing" / "003.png").unlink()
    refused("a list with a missing file", *common, "--data", listing, words=["003.png", "list.csv"], folder=out)
    listing.write_text("path,label\n000.png,10\n")
    refused("a label that the network does not have", *common, "--data", listing, words=["10"], folder=out)
    listing.write_text("000.png\n001.png\n")
    refused("a list without labels", *common, "--data", listing, words=["000.png"], folder=out)
    table = scratch / "table.json"
    table.write_text('[{"path": "000.png", "label": 1}]')
    refused("a table of another form", *common, "--data", table, words=["table.json", "taken for an image", ".csv"], folder=out)
    imagenet = [*common[:2], thousand_classes(), *common[3:]]
    make_list(scratch / "folders" / "n01440764", 2)
    (scratch / "folders" / "n01440764" / "list.csv").unlink()
    works("a folder of WordNet ids", "psal-stats", *imagenet[1:3], "--out", scratch / "ids.safetensors", "--data", scratch / "folders")
    make_list(scratch / "folders" / "n99999999", 1)
    refused("an unknown WordNet id as folder", *imagenet, "--data", scratch / "folders", words=["n99999999"], folder=out)
    listing.write_text("path,label\n000.png,n01440764\n001.png,n99999999\n")
    refused("an unknown WordNet id in a list", *imagenet, "--data", listing, words=["n99999999"], folder=out)
    check("nothing begun", not list(out.rglob("*.*")), list(out.rglob("*")))


def test_corrupt_image():
    """In the middle of a run: what was computed is kept, the file is named, --skip-bad leaves it out"""
    place = scratch / "corrupt"
    listing = make_list(place, 70)
    bad = place / "050.png"
    bad.write_bytes(bad.read_bytes()[:100])
    common = ["psal-stats", "--weights", resnet, "--data", listing]
    out = scratch / "corrupt-out"
    out.mkdir()
    files = ["--out", out / "s.safetensors", "--profiles", out / "p.npy", "--threads", 1]
    refused("a corrupt image", *common, *files, words=["050.png", "--skip-bad", "50 of 70 samples are kept", "--resume"],
            folder=out, kept=["s.safetensors.partial", "p.npy.partial"])
    check("no results yet", sorted(p.name for p in out.iterdir()) == ["p.npy.partial", "s.safetensors.partial"], list(out.iterdir()))
    refused("resumed with another network", "psal-stats", "--weights", vgg, "--data", listing, *files, "--resume",
            words=["s.safetensors.partial", "architecture", "vgg19", "resnet18"], folder=out)
    refused("resumed with another option", *common, *files, "--resume", "--signed", words=["--signed", "'0'", "'1'"], folder=out)
    refused("resumed over fewer samples", *common, *files, "--resume", "--limit", 60, words=["number of samples", "'70'", "'60'"],
            folder=out)
    refused("resumed with another store", *common, *files, "--resume", "--profile-type", "scaled-float16", words=["profile store"], folder=out)
    shutil.copytree(out, scratch / "corrupt-again")
    whole = bad.read_bytes()
    bad.write_bytes(whole + b"x")
    refused("resumed over other files", *common, *files, "--resume", words=["data set"], folder=out)
    bad.write_bytes(whole)
    first = place / "007.png"  # of the same name and size, and already in the sums
    picture = first.read_bytes()
    first.write_bytes(picture[:-1] + b"x")
    refused("resumed over a replaced image", *common, *files, "--resume", words=["s.safetensors.partial", "another run", "007.png was replaced"],
            folder=out)
    first.write_bytes(picture)
    done = run(*common, *files, "--resume", "--skip-bad")
    check("resumed with --skip-bad", done.returncode == 3 and "050.png" in done.stderr and "1 skipped" in done.stdout,
          f"{done.stdout}{done.stderr}")
    at_once = scratch / "corrupt-at-once"
    at_once.mkdir()
    done = run(*common, "--out", at_once / "s.safetensors", "--profiles", at_once / "p.npy",
               "--skip-bad", "--threads", 2, "--quiet")
    same = {p.name: p.read_bytes() for p in out.iterdir()} == {p.name: p.read_bytes() for p in at_once.iterdir()}
    check("the same bytes as at once", done.returncode == 3 and same and len(list(out.iterdir())) == 3, list(out.iterdir()))
    with open(out / "p.npy.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    check("its record", len(rows) == 70 and rows[50]["status"] == "unreadable" and rows[50]["predicted"] == ""
          and all(row["status"] == "ok" for row in rows if row["index"] != "50"), rows[50])
    # The state of a run is a file like any other: damaged, it is refused.
    again = scratch / "corrupt-again"
    files = ["--out", again / "s.safetensors", "--profiles", again / "p.npy", "--resume"]
    for name in ("s.safetensors.partial", "p.npy.partial"):
        content = (again / name).read_bytes()
        (again / name).write_bytes(content[:-8])
        refused(f"resumed with {name} cut short", *common, *files, words=[name], folder=again)
        (again / name).write_bytes(content)


def test_full_disk():
    """A state that cannot be written ends the run; the one before is as it was, and the run can go on from there."""
    if os.environ.get("PSAL_TEST_FULL_DISK") == "0":
        print("SKIPPED no space for the state: this OpenMP needs a file of its own")
        return
    out = scratch / "disk"
    listing = make_list(scratch / "disk-data", 70)
    out.mkdir()
    common = ["psal-stats", "--weights", resnet, "--data", listing, "--out", out / "s.safetensors", "--threads", 1]
    refused("no space for the state", *common, "--save-every", 0, limit=20000, words=["s.safetensors.partial"], folder=out)
    refused("no space for the store", *common, "--profiles", out / "p.npy", limit=20000, words=["p.npy.partial", "336128"], folder=out)
    (scratch / "disk-data" / "040.png").rename(scratch / "aside.png")
    (scratch / "disk-data" / "040.png").write_bytes(b"")
    refused("stopped", *common, words=["040.png"], folder=out, kept=["s.safetensors.partial"])
    before = contents(out)
    size = len(next(iter(before.values())))
    done = run(*common, "--save-every", 0, "--resume", "--skip-bad", "--quiet", limit=size)
    check("no space to go on", done.returncode in range(1, 126) and "s.safetensors" in done.stderr, done.stderr)
    check("the state before is kept", contents(out) == before, list(out.iterdir()))
    done = run(*common, "--resume", "--skip-bad")
    check("gone on with space", done.returncode == 3 and "69 samples" in done.stdout and "1 skipped" in done.stdout, done.stderr)
    works_out = scratch / "disk-whole.safetensors"
    done = run("psal-stats", "--weights", resnet, "--data", listing, "--out", works_out, "--skip-bad", "--quiet")
    check("the same bytes", works_out.read_bytes() == (out / "s.safetensors").read_bytes())


# ---- parts ----

def forged(path, key, value):
    """The same file with another text under a key of its metadata"""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8:8 + size])
    assert key in header["__metadata__"]
    header["__metadata__"][key] = value
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + content[8 + size:]


def test_parts():
    out = scratch / "parts"
    out.mkdir()
    listing, other = make_list(scratch / "parts-data", 12), make_list(scratch / "other-data", 12)
    other.write_text(other.read_text().replace("000.png,0", "000.png,5"))

    def part(which, name="s", network=resnet, data=listing, *more):
        works(f"part {which} {name}", "psal-stats", "--weights", network, "--data", data, "--out", out / f"{name}.safetensors",
              "--shard", which, *more)
        return out / f"{name}.part-{which.replace('/', '-of-')}.safetensors"

    store = ["--profiles", out / "s.npy"]
    parts = [part(f"{i}/3", "s", resnet, listing, *store) for i in (1, 2, 3)]
    merge = ["psal-stats", "merge", out / "merged.safetensors"]
    refused("no parts", *merge, words=["merge OUT PART..."], folder=out)
    refused("a part is missing", *merge, parts[0], parts[2], words=["part 2 of 3 is missing"], folder=out)
    refused("a part comes twice", *merge, *parts, parts[1], words=[parts[1].name, "both part 2"], folder=out)
    refused("a part that is not there", *merge, *parts[:2], out / "none.safetensors", words=["none.safetensors"], folder=out)
    refused("weights as a part", *merge, *parts[:2], resnet, words=[resnet.name, "not a part"], folder=out)
    for name, culprit, words in [
            ("of another network", part("3/3", "vgg", vgg, listing, "--profiles", out / "vgg.npy"), ["architecture", "vgg19", "resnet18"]),
            ("with another option", part("3/3", "signed", resnet, listing, *store[:1], out / "signed.npy", "--signed"), ["--signed"]),
            ("of another data set", part("3/3", "other", resnet, other, *store[:1], out / "other.npy"), ["data set"]),
            ("of another number of parts", part("3/4", "four", resnet, listing, *store[:1], out / "four.npy"), ["number of shards"]),
            ("without a store", part("3/3", "bare"), ["profile store"])]:
        refused(f"a part {name}", *merge, *parts[:2], culprit, words=[culprit.name, *words], folder=out)
    whole = parts[2].read_bytes()
    for end in (4, 200, len(whole) // 2, len(whole) - 1):
        parts[2].write_bytes(whole[:end])
        refused(f"a part cut at {end}", *merge, *parts, words=[parts[2].name], folder=out)
    for key, value in (("psal.samples", str(2**63 - 1)), ("psal.end", "13"), ("psal.length", "2000000")):
        parts[2].write_bytes(forged(parts[2], key, value))
        refused(f"a part with another {key}", *merge, *parts, words=[parts[2].name], folder=out)
        parts[2].write_bytes(whole)
    parts[2].write_bytes(forged(parts[2], "psal.end", "13"))
    refused("a finished part of other samples", "psal-stats", "--weights", resnet, "--data", listing, "--out", out / "s.safetensors",
            "--shard", "3/3", *store, "--resume", words=[parts[2].name, "damaged"], folder=out)
    parts[2].write_bytes(whole)
    (scratch / "parts-data" / "009.png").write_bytes(bytes((scratch / "parts-data" / "009.png").stat().st_size))
    unfinished = out / "u.part-3-of-3.safetensors"
    refused("a part that stops", "psal-stats", "--weights", resnet, "--data", listing, "--out", out / "u.safetensors", "--shard", "3/3",
            "--profiles", out / "u.npy", words=["009.png"], folder=out, kept=[f"{unfinished.name}.partial", "u.part-3-of-3.npy.partial"])
    refused("a part that is not finished", *merge, *parts[:2], f"{unfinished}.partial", words=["not finished", "1 of 4"], folder=out)
    shutil.copy(pictures[9], scratch / "parts-data" / "009.png")

    joined = [*merge, *parts, "--profiles", out / "s.npy"]
    refused("a store without names", *joined, words=["--data"], folder=out)
    refused("names of another data set", *joined, "--data", other, words=[other, "not the data set"], folder=out)
    second = out / "s.part-2-of-3.npy"
    whole = second.read_bytes()
    second.write_bytes(whole[:-2])
    refused("a part's store cut short", *joined, "--data", listing, words=[second.name], folder=out)
    second.unlink()
    refused("a part's store is missing", *joined, "--data", listing, words=[second.name], folder=out)
    second.write_bytes(whole)
    figures = ["--figures", out / "figures"]
    refused("figures of another network", *merge, *parts, *figures, "--weights", vgg, words=["--figures", vgg.name], folder=out)
    refused("figures of a part", "psal-stats", "--weights", resnet, "--data", listing, "--out", out / "f.safetensors", "--shard",
            "1/2", *figures, words=["--figures", "merge"], folder=out)
    refused("figures of more filters than there are", "psal-stats", "--weights", resnet, "--data", listing, "--out",
            out / "f.safetensors", *figures, "-k", 1201, words=["1201", "1200"], folder=out)
    refused("figures below a file", "psal-stats", "--weights", resnet, "--data", listing, "--out", out / "f.safetensors", "--figures",
            second / "figures", words=[second.name], folder=out)
    for shard in ("0/3", "4/3", "1", "1/0", "x/3", "1/3x", "-1/3"):
        refused(f"--shard={shard}", "psal-stats", "--weights", resnet, "--data", listing, "--out", out / "f.safetensors",
                f"--shard={shard}", words=["--shard", shard], folder=out)
    works("all is well", *joined, "--data", listing, *figures, "--weights", resnet)
    check("merged", (out / "merged.safetensors").exists() and (out / "s.npy").exists() and (out / "figures" / "groups.png").exists())


# ---- stores ----

def test_stores():
    out = scratch / "stores"
    out.mkdir()
    listing = make_list(scratch / "stores-data", 12)
    works("a store", "psal-stats", "--weights", resnet, "--data", listing, "--out", out / "s.safetensors", "--profiles", out / "p.npy")
    store, index = out / "p.npy", out / "p.npy.csv"
    ask = ["psal-neighbors", "--store", store, "--query", 0, "--top", 3, "--sheet", out / "sheet.png", "--csv", out / "near.csv"]
    whole = store.read_bytes()
    for end in (0, 5, 60, 127, 128, 2000, len(whole) - 1):
        store.write_bytes(whole[:end])
        refused(f"a store cut at {end}", *ask, words=[store.name], folder=out)
    store.write_bytes(whole + b"x")
    refused("a store with something behind it", *ask, words=[store.name], folder=out)
    spoilt = bytearray(whole)
    spoilt[128 + 4800 * 7 + 20:128 + 4800 * 7 + 24] = b"\x00\x00\xc0\x7f"
    store.write_bytes(spoilt)
    refused("NaN in a store", *ask, words=[store.name, "sample 7"], folder=out)
    store.write_bytes(whole)
    text = index.read_text()
    lines = text.splitlines(keepends=True)
    for name, changed, words in [("a row too few", lines[:-1], ["11 records", "12 rows"]),
                                 ("a row twice", lines + lines[-1:], ["second time"]),
                                 ("no column of paths", [line.replace("path", "file") for line in lines], ["'path'"]),
                                 ("half a row", lines[:-1] + [lines[-1][:6]], ["line 13"]),
                                 ("an empty table", [], ["p.npy.csv"])]:
        index.write_text("".join(changed))
        refused(f"the store's table: {name}", *ask, words=["p.npy.csv", *words], folder=out)
    index.unlink()
    refused("a store without its table", *ask, words=["p.npy.csv"], folder=out)
    index.write_text(text)
    works("statistics of another network", "psal-stats", "--weights", vgg, "--data", listing, "--out", out / "vgg.safetensors")
    refused("a store and statistics of another network", *ask, "--stats", out / "vgg.safetensors", words=["430", "1200"], folder=out)
    refused("a store and layers of another network", *ask, "--weights", vgg, "--layers", "features.0", words=["430", "1200"], folder=out)
    (scratch / "stores-data" / "000.png").unlink()
    refused("a picture that is gone", *ask[:-2], "--data", listing, words=["000.png"], folder=out)
    works("the table alone", "psal-neighbors", "--store", store, "--query", 0, "--top", 3, "--csv", out / "near.csv")


def test_store_in_memory():
    """A store of short rows is read in blocks, whose pages are given back: memory does not grow with it"""
    if "ASAN_OPTIONS" in os.environ:
        print("SKIPPED the memory of a store: the sanitizers' own is more")
        return

    def most(rows):
        place, row = scratch / "memory.npy", os.urandom(1200).replace(b"\x7c", b"\x3c")
        row = b"".join(bytes((byte, 0x38 | byte & 3)) for byte in row)  # 1200 float16 about 1
        text = f"{{'descr': '<f2', 'fortran_order': False, 'shape': ({rows}, 1200), }}".ljust(117) + "\n"
        with open(place, "wb") as file:
            file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + text.encode())
            for i in range(rows):
                file.write(row[2 * (i % 1200):] + row[:2 * (i % 1200)])
        place.with_name("memory.npy.csv").write_text("path,label,predicted\n" + "".join(f"{i},{i % 10},{i % 7}\n" for i in range(rows)))
        peaks = []
        for query in ("0", "0-9"):
            status, _, memory = process_memory.run(
                [tools / "psal-neighbors", "--store", place, "--query", query, "-q", "-t", "1"], interval=0.001,
                stdout=subprocess.DEVNULL, env=environment)
            check(f"{rows} rows", status == 0, status)
            peaks.append(memory)
        place.unlink()
        return peaks
    few, many = most(10000), most(40000)  # 23 and 92 MiB: the first takes some 10 ms, enough to be looked at
    for a, b in zip(few, many):
        check("what is allocated does not grow with the store", 0 < a.allocated and b.allocated - a.allocated < 30, f"{a}; {b}")
        check("neither does what of it is mapped", b.resident - a.resident < 30, f"{a}; {b}")


if __name__ == "__main__":
    sys.exit(run_tests((test_data_sets, test_corrupt_image, test_full_disk, test_parts, test_stores, test_store_in_memory), scratch))
