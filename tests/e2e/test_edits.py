#!/usr/bin/env python3
"""psal-prune and psal-finetune from end to end, on the networks in the box: the same results with any number of threads,
checkpoints and deltas that psal-run reads, and that everything wrong is one line on standard error, a status other than 0,
and no file left.

    tests/e2e/test_edits.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import csv
import json
import re
import shutil
import struct
import sys

from checks import check, run_tests
from programs import bag, coat, read_tensors, run_text as run, samples, scratch, weights

out = scratch / "out"


def refuse(says, program, *arguments):
    """It fails with one line in which all of `says` occur, and leaves nothing in `out`"""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    done = run(program, *arguments)
    lines = done.stderr.splitlines()
    left = [path.name for path in out.iterdir()]
    fine = done.returncode in range(1, 126) and lines and lines[-1].startswith(f"{program}: ") and not left
    fine = fine and all(": note: " in line for line in lines[:-1]) and all(word in lines[-1] for word in says) and not done.stdout
    check(f"{program} {' '.join(map(str, arguments))}", fine, f"status {done.returncode}, left {left}: {done.stdout}{done.stderr}")


def test_refusals():
    image = ("--image-path", bag, "-l", "Bag")
    for program in ("psal-prune", "psal-finetune"):
        save = ("--save", out / "x.safetensors")
        refuse(("--k 1201", "resnet18", "1199 filters that can be chosen"), program, "-k", "1201", "-c", "salient", *save)
        refuse(("--k 5000", "vgg19", "430 filters"), program, "-w", weights / "fashion_vgg19.safetensors", *image, "-k", "1,5000")
        refuse(("1200",), program, "-k", "7", "-c", "all", *save)
        refuse(("most", "--choices"), program, "-c", "salient,most")
        refuse(("twice",), program, "-c", "salient,salient")
        refuse(("-k", "0"), program, "-k", "0")
        refuse(("--save", "one"), program, "-k", "3,4", "-c", "salient", *save)
        refuse(("--save", "one"), program, "-k", "3", "-c", "salient,least", *save)
        for option in ("--save", "--csv", "--samples", "--figure"):
            refuse((option, "missing", "No such file"), program, "-k", "3", "-c", "salient", option, out / "missing" / "x.png")
        refuse(("--csv", "Is a directory"), program, "-k", "3", "-c", "salient", "--csv", scratch)
        refuse(("figure", "x.gif"), program, "-k", "3", "-c", "salient", "--figure", out / "x.gif")
        refuse(("--image-target-label",), program, "--image-path", bag)
        refuse(("Bagg",), program, "--image-path", bag, "-l", "Bagg")
        refuse(("nowhere",), program, "--data", "nowhere")
        refuse(("which mistakes",), program, "-w", weights / "fashion_vgg19.safetensors")
        refuse(("MiB",), program, "--memory-limit", 1, "-t", 2, "-w", weights / "fashion_vgg19.safetensors", *image)
    refuse(("--how", "channels"), "psal-prune", "--how", "channels")
    step = ("-k", "1000", "-c", "salient", "--save", out / "x.safetensors", "--save-delta", out / "d.safetensors")
    refuse(("not finite",), "psal-finetune", "--relative", "1e6", *step)  # what the step gives is no network any more
    refuse(("one of --rate and --relative",), "psal-finetune", "--relative", "0.1", "--rate", "0.1", *step)
    refuse(("--until-correct",), "psal-finetune", "--until-correct", "--steps", "2", *step)
    refuse(("nothing was saved: try --k 20 --relative 0.3",), "psal-finetune", "--until-correct", "-k", "2", "-c", "least", "--save", out / "x.safetensors")
    refuse(("--sample 4000", "8 mistakes"), "psal-finetune", "--data", samples / "labels.csv", "--sample", "4000", "--quiet")
    refuse(("one sample",), "psal-finetune", "--data", samples / "labels.csv", "--quiet", *step)


def changed(*arguments):
    """{(layer, number within): of the filters that psal-finetune's edit of one image changes}"""
    delta = scratch / "changed.safetensors"
    done = run("psal-finetune", "--image-path", bag, "-l", "Bag", "-w", weights / "fashion_resnet18.safetensors", "--save-delta", delta,
               "--rate", 0.1, "--json", "--quiet", *arguments)
    check(f"psal-finetune {arguments}", done.returncode == 0, done.stderr)
    header, values = read_tensors(delta)
    return {(name.removesuffix(".filters"), number) for name, entry in header.items() if name.endswith(".filters")
            for number in struct.unpack(f"<{entry['shape'][0]}q", values[slice(*entry["data_offsets"])])}, json.loads(done.stdout)


def test_layers():
    """--layers restricts what is chosen from; what it names must be there"""
    for choice in ("salient", "random", "random-same-layers", "least", "naive"):
        filters, report = changed("-k", 12, "-c", choice, "--layers", "layer1.0", "--layers", "conv1")
        check(f"{choice} of two layers", len(filters) == 12 and all(name.startswith(("layer1.0.", "conv1.")) for name, _ in filters)
              and report["settings"]["layers"] == "layer1.0, conv1", filters)
    everywhere, report = changed("-k", 12, "-c", "salient")
    check("of all layers", not any(name.startswith(("layer1.0.", "conv1.")) for name, _ in everywhere) and "layers" not in report["settings"],
          everywhere)
    ranking = json.loads(run("psal-run", "-i", bag, "-l", "Bag", "--json", "--quiet", "--top", 1199, "--out", scratch / "f").stdout)["top_filters"]
    best = [(row["layer"], row["filter_in_layer"]) for row in ranking if row["layer"].startswith("layer2.1.")][:5]
    check("the best of a layer", changed("-k", 5, "-c", "salient", "--layers", "layer2.1")[0] == set(best), best)
    for program in ("psal-prune", "psal-finetune"):
        whole, some = (json.loads(run(program, "-k", 16, "-c", choice, "--json", "--quiet", *layers).stdout)["rows"]
                       for choice, layers in (("random", ("--layers", "conv1")), ("salient", ("--layers", "conv1.weight"))))
        check(f"{program}: all filters of a layer, however chosen", all(abs(a[key] - b[key]) < 1e-12 for a, b in zip(whole, some)
                                                                       for key in ("wrong_confidence", "true_confidence")), (whole, some))
        refuse(("--layers layr4", "nearest: layer4, "), program, "--layers", "layr4", "-k", 1)
        refuse(("--layers layer2.1.cnv1", "nearest: layer2.1.conv1, "), program, "--layers", "layer2.1.cnv1", "-k", 1)
        refuse(("--layers fc", "no convolution of that name"), program, "--layers", "fc", "-k", 1)
        refuse(("--layers",), program, "--layers", "", "-k", 1)
        refuse(("--k 17", "16 filters in --layers"), program, "--layers", "conv1", "-k", "17")
        refuse(("--choices", "all", "--layers"), program, "--layers", "conv1", "-c", "all")


def test_rankings():
    """What ranks the filters in psal-run ranks them here: another loss, signed profiles"""
    network = weights / "fashion_resnet18.safetensors"
    for number, flags in enumerate((("--signed",), ("--logit",), ("--logit-difference", "--signed"))):
        stats = scratch / f"ranking{number}.safetensors"
        done = run("psal-stats", "-w", network, "--data", samples / "labels.csv", *flags, "--out", stats, "--quiet")
        check(f"psal-stats {flags}", done.returncode == 0, done.stderr)
        done = run("psal-run", "-w", network, "--stats", stats, "-i", bag, "-l", "Bag", *flags, "--json", "--quiet", "--top", 5, "--figures",
                   "none", "--out", scratch / "f")
        check(f"psal-run {flags}", done.returncode == 0, done.stderr)
        best = {(row["layer"], row["filter_in_layer"]) for row in json.loads(done.stdout)["top_filters"]}
        filters, report = changed("-k", 5, "-c", "salient", *flags, "--stats", stats)
        settings = report["settings"]
        check(f"{flags}: the same filters", filters == best and settings["signed"] == ("--signed" in flags)
              and settings["loss"] == next((flag[2:] for flag in flags if "logit" in flag), "cross-entropy"), (filters, best, settings))
        for program in ("psal-prune", "psal-finetune"):
            if len(flags) == 2:
                words = (program, "-w", network, "--stats", stats, "--data", samples / "labels.csv", *flags, "-k", 9, "-c", "salient", "--json",
                         "--quiet")
                done = [run(*words, "--threads", threads) for threads in (1, 2)]
                check(f"{program} {flags}", done[0].returncode == 0 and done[0].stdout == done[1].stdout, done[0].stderr)
            refuse((str(stats), "cross-entropy" if len(flags) == 2 or "--logit" in flags else "'0'"), program, "-w", network, "--stats", stats, "-i", bag, "-l", "Bag")
    for program in ("psal-prune", "psal-finetune"):
        refuse(("no statistics known", "--signed", "psal-stats"), program, "--signed", "-k", 1)
        refuse(("--logit and --logit-difference",), program, "--logit", "--logit-difference", "-k", 1)


def test_store_layers():
    store = scratch / "p.npy"
    done = run("psal-stats", "--data", samples / "labels.csv", "--out", scratch / "s.safetensors", "--profiles", store, "--quiet")
    check("psal-stats", done.returncode == 0, done.stderr)
    refuse(("--layers layer9", "resnet18"), "psal-neighbors", "--store", store, "--query", "0", "--layers", "layer9",
           "-w", weights / "fashion_resnet18.safetensors")


def test_rows():
    """--aggregation row: of all programs, the outputs of the last layer among what they rank and change"""
    network, listing = weights / "fashion_resnet18.safetensors", samples / "labels.csv"
    stats, store = scratch / "rows.safetensors", scratch / "rows.npy"
    rows, image = ("--aggregation", "row"), ("-w", network, "--image-path", bag, "-l", "Bag")
    for program in ("psal-prune", "psal-finetune"):
        refuse(("no statistics known", "'filter', but here it is 'row'", "--aggregation row --data"), program, *rows)
        refuse(("--aggregation", "tensor"), program, "--aggregation", "tensor")
    done = run("psal-stats", "--data", listing, *rows, "--out", stats, "--profiles", store, "--figures", scratch / "figures", "--quiet")
    check("psal-stats", done.returncode == 0 and {path.name for path in (scratch / "figures").iterdir()} >= {"groups.png", "depth.png"},
          done.stderr)
    done = run("psal-run", *image, *rows, "--stats", stats, "--json", "--quiet", "--top", 1210, "--out", scratch / "f")
    check("psal-run", done.returncode == 0, done.stderr)
    answer = json.loads(done.stdout)
    check("the last layer is ranked", {row["layer"] for row in answer["top_filters"]} >= {"fc.weight", "conv1.weight"}, answer["settings"])
    for program, more in (("psal-prune", ("--how", "channel")), ("psal-prune", ("--how", "noise", "--noise-scale", 0.5)),
                          ("psal-finetune", ("--relative", 0.1))):
        words = (program, *rows, "--stats", stats, "--data", listing, "--first", 2, "-k", "1,7,1150", "--right", 3, "--draws", 2, *more)
        results = [run(*words, "--json", "--quiet", "--threads", threads) for threads in (1, 3)]
        check(f"{program} {more}", results[0].returncode == 0 and results[0].stdout == results[1].stdout
              and json.loads(results[0].stdout)["settings"]["aggregation"] == "row", results[0].stderr)
        said = run(*words, "--quiet", "--figure", scratch / "rows.png").stdout
        check(f"{program} {more} says what they are", "\nrows  " in said and "ilters" not in said, said)
        refuse(("--k 1211", "rows that can be chosen"), *words[:-len(more) - 4], "-k", 1211, "--quiet")
        refuse((str(stats), "'row'", "'filter'"), program, "--stats", stats)
    done = run("psal-finetune", *rows, "--stats", stats, "-k", 1150, "-c", "salient", "--save", scratch / "r.safetensors", "--save-delta",
               scratch / "d.safetensors", "--quiet")
    check("psal-finetune --save", done.returncode == 0, done.stderr)
    check("the delta gives what the checkpoint does", predict("-w", scratch / "r.safetensors")
          == predict("-w", network, "--delta", scratch / "d.safetensors") != predict("-w", network))
    neighbors = ("psal-neighbors", "--store", store, "--json", "--quiet")
    for words in (image, (*image, "--layers", "fc"), ("--query", 0), ("-w", network, "--layers", "fc", "--query", 0)):
        done = run(*neighbors, *words)
        check(f"psal-neighbors {words}", done.returncode == 0, done.stderr)
    done = run(*neighbors, *image, "--layers", "fc")
    names = [line.split(",")[0] for line in listing.read_text().splitlines()[1:]]
    photo = json.loads(done.stdout)
    check("the picture itself is left out", [names[i] for i in photo["itself"]] == [bag.name], photo["itself"])
    stored = json.loads(run(*neighbors, "-w", network, "--layers", "fc", "--query", photo["itself"][0]).stdout)
    check("and has its neighbours", all(a["sample"] == b["sample"] and abs(a["similarity"] - b["similarity"]) < 1e-5
                                        for a, b in zip(photo["queries"][0]["neighbors"], stored["queries"][0]["neighbors"], strict=True)), photo)
    refuse(("--layers layer9", "no convolution or linear layer"), *neighbors[:-2], "-w", network, "--query", 0, "--layers", "layer9")


def test_findings():
    """The last sentences say what did best, and what to try next"""
    shirt = ("-w", weights / "fashion_densenet121.safetensors", "-i", samples / "shirt_called_bag.png", "-l", "shirt", "--quiet")
    said = run("psal-prune", *shirt, "-k", "5,200", "-c", "salient,random,naive").stdout
    rows = {(line.split()[0], line.split()[1]): line.split() for line in said.splitlines() if line.startswith(("salient", "naive"))}
    salient, naive = (min(float(rows[choice, k][2]) for k in ("5", "200")) for choice in ("salient", "naive"))
    better = re.search(r"^naive did more than salient, by (0\.\d+): k = 200, naive filters off: the wrong", said, re.M)
    check("naive ones did more", better and naive < salient and abs(float(better[1]) - (salient - naive)) < 0.0016, said)
    beside = run("psal-prune", *shirt, "-k", "5,200", "-c", "salient,random,naive", "-d", samples / "labels.csv", "--right", 9).stdout
    check("what that breaks", re.search(r"^k = \d+, of 9 right samples break: salient [\d.]+ %, random [\d.]+ %, naive \(k = 200\) [\d.]+ %\.$",
                                        beside, re.M), beside)
    check("salient ones did most", "did more" not in run("psal-prune", "-k", "1,5", "--quiet").stdout)
    found = run("psal-finetune", "-k", "100", "-c", "salient", "--until-correct", "--quiet").stdout
    used = re.search(r"^salient +(\d+) +100\.0 ", found, re.M)
    check("a search that finds", used and found.splitlines()[-1].startswith(
        f"salient, at most 100 filters: the mistake is corrected by a change of {used[1]}"), found)
    correct = run("psal-finetune", "-k", "1", "-c", "salient", "--quiet").stdout
    check("another try", correct.splitlines()[-1] == "To correct it, try --until-correct.", correct)
    search = run("psal-finetune", "-k", "2", "-c", "least", "--until-correct", "--quiet").stdout
    check("a larger search", search.splitlines()[-1] == "To correct it, try --k 20 --relative 0.3.", search)
    all_of_them = run("psal-finetune", "-c", "all", "--until-correct", "--relative", "1e-9", "--quiet").stdout
    check("there are no more filters", all_of_them.splitlines()[-1] == "To correct it, try --relative 3e-09.", all_of_them)


def test_what_becomes_of_it():
    """A mistake that becomes another one is told so; a search that fails says how far it came"""
    coat = ("-i", samples / "coat_called_dress.png", "-l", "coat", "-c", "salient", "--quiet")
    said = run("psal-prune", *coat, "-k", "200").stdout
    other = re.search(r"^k = 200, salient .*, and the mistake becomes another one, (.+)\.$", said, re.M)
    run("psal-prune", *coat, "-k", "200", "--save", scratch / "other.safetensors")
    done = run("psal-run", "-w", scratch / "other.safetensors", *coat[:4], "--mode", "naive", "--json", "--figures", "none", "-o", scratch / "other")
    check("as psal-run says of the pruned network", other and json.loads(done.stdout)["predicted"]["name"] == other[1] not in ("Coat", "Dress"),
          said + done.stderr)
    done = run("psal-finetune", "-k", "2", "-c", "least", "--until-correct", "--quiet", "--save", scratch / "none.safetensors")
    reached = re.search(r"the confidence of Coat, the true class, is (0\.\d+), and that of Pullover (0\.\d+); nothing was saved: try --k 20 "
                        r"--relative 0\.3$", done.stderr.strip())
    check("how far it came", done.returncode == 1 and reached and not (scratch / "none.safetensors").exists(), done.stderr)
    step = run("psal-finetune", "-k", "2", "-c", "least", "--relative", "0.1", "--quiet", "--save", scratch / "step.safetensors")
    done = run("psal-run", "-w", scratch / "step.safetensors", "-i", samples / "coat_called_pullover.png", "-l", "coat", "--mode", "naive",
               "--json", "--figures", "none", "-o", scratch / "step")
    result = json.loads(done.stdout or "{}")
    check("as far as the largest step comes", reached and abs(result["target"]["confidence"] - float(reached[1])) < 0.0011 and
          abs(result["predicted"]["confidence"] - float(reached[2])) < 0.0011, step.stderr + done.stderr)


def test_right_sample():
    for program in ("psal-prune", "psal-finetune"):
        done = run(program, "--image-path", bag, "-l", "Sandal", "-k", "3", "-c", "salient")
        check(f"{program} on a sample that is right", done.returncode == 0 and "is not a mistake" in done.stderr,
              f"status {done.returncode}: {done.stderr}")
    right = ("-i", bag, "-l", "Sandal", "-k", "5", "-c", "salient", "--quiet")
    for how in (("--until-correct",), ("--relative", 0.1)):
        for save in ("--save", "--save-delta"):
            refuse((bag.name, "is right already (Sandal)", "nothing was saved", save), "psal-finetune", *right, *how, save, scratch / "right.safetensors")
            check("nothing is saved", not (scratch / "right.safetensors").exists())
    said = run("psal-finetune", *right, "--until-correct").stdout
    check("nothing to correct", said.splitlines()[-1] == "It is right already: there is nothing to correct." and "%" not in said.split("\n", 1)[1], said)
    said = run("psal-prune", "-i", bag, "-l", "Sandal", "-k", "1,200", "-c", "salient,random,least,naive", "--quiet").stdout
    told = re.findall(r"^(\w+): the image, which is right, (?:stays right with up to 200|becomes wrong with \d+|stays right in \d+ % of the draws with \d+) "
                      r"filters off\.$", said, re.M)
    check("each choice is told of", told == ["salient", "random", "least", "naive"], said)


def test_saved_names():
    """Names of formats that are not written are refused before the work"""
    for name in ("a.pth", "a.PT", "a.bin", "a.ckpt", "a.h5", "a.npz"):
        says = (name, "psal does not write", "call it .safetensors", "load_file")
        refuse(("--save: ", *says), "psal-finetune", "-k", 1, "-c", "salient", "-w", scratch / "nowhere", "--save", scratch / name)
        refuse(("--save: ", *says), "psal-prune", "-k", 1, "-c", "salient", "-w", scratch / "nowhere", "--save", scratch / name)
        refuse(("--save-delta: ", *says), "psal-finetune", "-k", 1, "-c", "salient", "-w", scratch / "nowhere", "--save-delta", scratch / name)
        refuse(says, "psal-convert", scratch / "nowhere", scratch / name)


def test_threads():
    common = ("--data", samples / "labels.csv", "-k", "1,7,40", "--right", "3", "--draws", "2", "--json", "--quiet")
    for program, how in (("psal-prune", ("--how", "weights")), ("psal-prune", ("--how", "channel")),
                         ("psal-prune", ("--how", "noise", "--noise-scale", "0.5")), ("psal-finetune", ("--relative", "0.1"))):
        results = [run(program, *common, *how, "--threads", threads) for threads in (1, 2, 3)]
        check(f"{program} {how} with one to three threads", all(r.returncode == 0 for r in results)
              and len({r.stdout for r in results}) == 1, [r.stderr for r in results])
    one = [run("psal-prune", "-k", "1,40", "--json", "--quiet", "--threads", threads).stdout for threads in (1, 3)]
    check("psal-prune on one image with one and three threads", one[0] == one[1] and one[0], one)


def test_standard_errors():
    """The text has standard errors where it has means over several mistakes, and the same columns where it has one"""
    several = ("--data", samples / "labels.csv", "-k", "3", "-c", "salient,least", "--right", "2", "--quiet")
    one = ("-k", "3", "-c", "salient,least", "--quiet")
    for program, more, errors in (("psal-prune", (), 4), ("psal-prune", ("--how", "channel"), 4), ("psal-finetune", (), 4),
                                  ("psal-finetune", ("--neighbors", "0"), 2)):
        done = run(program, *several, *more)
        *_, table, finding = done.stdout.split("\n\n")
        table = table.splitlines()
        check(f"{program} {more}: two rows", done.returncode == 0 and len(table) == 4, done.stdout + done.stderr)
        check(f"{program} {more}: 100 columns", max(map(len, done.stdout.splitlines()[1:])) <= 100, done.stdout)
        # Where all values are the same there is none.
        counts = [row.count(" +-") for row in table[2:]]
        check(f"{program} {more}: standard errors", "Mean +- standard error" in done.stdout and max(counts) <= errors
              and min(counts) >= (program == "psal-prune"), done.stdout)
        check(f"{program} {more}: what was found", [line.replace(":", " ").split()[3] for line in finding.splitlines()[:2]] == ["salient", "least"]
              and (program == "psal-finetune" or "of 2 right samples break: salient" in finding.splitlines()[2])
              and "of 8 mistakes" in finding, finding)
    for program in ("psal-prune", "psal-finetune"):
        done = run(program, *one)
        *_, table, finding = done.stdout.split("\n\n")
        table = table.splitlines()
        check(f"{program}: of one, none", done.returncode == 0 and len(table) == 4 and "+-" not in done.stdout, done.stdout + done.stderr)
        check(f"{program}: of one, the same columns", len({len(line) for line in table}) == 1, table)
        check(f"{program}: of one, what was found", finding.count("the mistake") == 2, finding)


def test_what_was_not_measured():
    """null in JSON, empty in CSV: without right samples, neighbours, or a second subject"""
    table = scratch / "null.csv"
    for program, names in (("psal-prune", ("right_broken", "now_right_se")),
                           ("psal-finetune", ("right_broken", "neighbors_corrected", "others_corrected", "corrected_se"))):
        done = run(program, "-k", 3, "-c", "salient", "--csv", table, "--json", "--quiet")
        row, cells = json.loads(done.stdout)["rows"][0], dict(zip(*list(csv.reader(table.open()))))
        check(f"{program}: null", all(row[name] is None and cells[name] == "" for name in names), (row, cells))
        check(f"{program}: numbers", all(isinstance(row[name.removesuffix("_se")], float) for name in names[-1:]), row)
        settings = json.loads(done.stdout)["settings"]
        check(f"{program}: the table says what it was made with", json.loads(cells["psal_settings"]) == settings
              and settings["version"] and settings["weights"].endswith("fashion_resnet18.safetensors"), cells)
    done = run(program, "-k", 3, "-c", "salient", "--data", samples / "labels.csv", "--right", 2, "--json", "--quiet")
    row = json.loads(done.stdout)["rows"][0]
    check("measured", all(isinstance(row[name], float) for name in names), row)


def test_samples():
    """--limit and --right draw by --seed, --first takes the first mistakes"""
    everything = [row for row in csv.DictReader((samples / "labels.csv").open())]
    mistakes = [i for i, row in enumerate(everything) if row["group"] == "mistake"]

    def chosen(program, *more):
        table = scratch / "chosen.csv"
        done = run(program, "--data", samples / "labels.csv", "-k", 1, "-c", "salient", "--samples", table, "--json", "--quiet", *more)
        result = json.loads(done.stdout or "{}")
        return [int(row["index"]) for row in csv.DictReader(table.open())], result
    for program in ("psal-prune", "psal-finetune"):
        first, result = chosen(program, "--first", 3)
        check(f"{program}: the first", first == mistakes[:3] and result["sampling"] == "first" and result["mistakes_found"] == 8, first)
        draws = {tuple(chosen(program, "--limit", 3, "--seed", seed)[0]) for seed in (1, 1, 2, 3)}
        check(f"{program}: drawn", 2 <= len(draws) <= 3 and all(len(set(draw)) == 3 and set(draw) <= set(mistakes) and sorted(draw) == list(draw)
                                                                for draw in draws), draws)
        check(f"{program}: all", chosen(program, "--limit", 8)[0] == mistakes)
        refuse(("--limit", "--first"), program, "--data", samples / "labels.csv", "--limit", 2, "--first", 2)
    done = run("psal-prune", "--data", samples / "labels.csv", "-k", 1, "-c", "salient", "--right", 100)
    check("fewer right ones", "only 12 samples are right" in done.stderr, done.stderr)


def test_photo_and_data_set():
    """One image is edited for; the data set tells what else changes, and nothing about the image"""
    image, data = ("--image-path", bag, "-l", "Bag"), ("--data", samples / "labels.csv")
    for program, same in (("psal-prune", ("wrong_confidence", "true_confidence", "now_right", "dead_filters")),
                          ("psal-finetune", ("corrected", "wrong_confidence", "true_confidence", "relative_change", "weights"))):
        words = (program, "-k", "9,40", "--json", "--quiet")
        alone, beside, few = (json.loads(run(*words, *more).stdout)
                              for more in (image, (*image, *data), (*image, *data, "--right", 4)))
        check(f"{program}: of the photo the same", all(a[key] == b[key] == c[key] for a, b, c in zip(alone["rows"], beside["rows"], few["rows"])
                                                      for key in same), (alone, beside))
        check(f"{program}: what else", alone["right_samples"] == 0 and beside["right_samples"] == 12 and few["right_samples"] == 4
              and alone["samples"] == 1 and beside["samples"] == 21 and all(row["right_broken"] is not None for row in beside["rows"]), beside)
        by_hand = json.loads(run(*words, *data, "--first", 1, "--right", 12).stdout)  # the same image, as the data set has it
        check(f"{program}: what breaks", [row["right_broken"] for row in by_hand["rows"]]
              == [row["right_broken"] for row in beside["rows"]], (by_hand, beside))
        said = run(*words[:-2], *image, *data, "-c", "salient").stdout
        check(f"{program}: says it", str(bag) in said and "of 12 right" in said, said)
        refuse(("--state", "--image-path"), program, *image, *data, "--state", out / "s.st")
    check("psal-finetune: neighbours", beside["neighbors"] == 5 and beside["mistakes"] == 8
          and all(row["neighbors_corrected"] is not None for row in beside["rows"]), beside)
    check("it is no neighbour of its own", f"{bag.name} of the data set is this picture: left out there"
          in run("psal-finetune", *image, *data, "-k", 9, "-c", "salient").stderr)
    saved = scratch / "both.safetensors"
    done = run("psal-finetune", *image, *data, "-k", 100, "-c", "salient", "--until-correct", "--save-delta", saved, "--json", "--quiet")
    names = [line.split(",")[0] for line in (samples / "labels.csv").read_text().splitlines()]
    check("psal-finetune --save-delta", done.returncode == 0 and saved.exists() and set(json.loads(done.stdout)["broken"]) <= set(names),
          done.stdout + done.stderr)
    refuse(("--limit", "--image-path"), "psal-prune", *image, *data, "--limit", 3)
    refuse(("--right 0",), "psal-prune", *image, *data, "--right", 0)
    refuse(("--sample",), "psal-finetune", *image, *data, "--sample", 0, "--quiet")


def test_store():
    """A store of psal-stats spares the network: of float32 the same numbers; what is not of the same is refused"""
    data, stores = ("--data", samples / "labels.csv"), {}
    for kind in ("float32", "scaled-float16"):
        stores[kind] = scratch / f"{kind}.npy"
        done = run("psal-stats", *data, "--out", scratch / "s.st", "--profiles", stores[kind], "--profile-type",
                   "float32" if kind == "float32" else "scaled-float16", "--quiet")
        check("psal-stats", done.returncode == 0, done.stderr)
    for program in ("psal-prune", "psal-finetune"):
        words = (program, *data, "-k", "1,40", "--right", 5, "--json")
        computed, exact, half = (run(*words, *more) for more in ((), ("--store", stores["float32"]), ("--store", stores["scaled-float16"])))
        results = [json.loads(done.stdout or "{}") for done in (computed, exact, half)]
        check(f"{program}: recorded", [result["settings"].pop("profiles", None) for result in results] == [None, "float32", "float16"])
        check(f"{program}: the same numbers", results[0] == results[1], exact.stderr)
        check(f"{program}: float16 is said", "float16" in half.stderr and "float16" not in exact.stderr, half.stderr)
        photo = run(program, "-i", bag, "-l", "Bag", *data, "--store", stores["float32"], "-k", 5, "--json", "--quiet")
        check(f"{program}: with a photo", photo.returncode == 0 and json.loads(photo.stdout)["right_samples"] == 12, photo.stderr)
        refuse(("--store", "architecture"), program, *data, "--store", stores["float32"], "-w", weights / "fashion_vgg19.safetensors")
        refuse(("--store", "--data"), program, "--store", stores["float32"])
        refuse(("missing.npy",), program, *data, "--store", scratch / "missing.npy")
        rows = (f"{stores['float32']}.csv", scratch / "other.npy.csv")
        lines = open(rows[0]).read().split("\n")
        shutil.copy(stores["float32"], scratch / "other.npy")
        for words, changed_lines in ((("its sample 2",), [*lines[:3], lines[3].replace(".png,", ".jpg,"), *lines[4:]]),
                                     (("data set",), [lines[0], lines[1].replace('dataset"":""', 'dataset"":""f'), *lines[2:]]),
                                     (("psal_settings",), [lines[0].replace("psal_settings", "other"), *lines[1:]])):
            rows[1].write_text("\n".join(changed_lines))
            refuse(("--store", *words), program, *data, "--store", scratch / "other.npy")


def test_group():
    """One edit from several mistakes of a list, measured on those held out, on right samples and on corrupted copies of these"""
    listing, table, delta = samples / "labels.csv", scratch / "group.csv", scratch / "group.safetensors"
    words = ("psal-finetune", "--group", listing, "--data", listing, "--relative", 0.1)
    done = [run(*words, "-k", "3,40", "--draws", 2, "--csv", table, "--json", "--quiet", "--threads", threads) for threads in (1, 3)]
    check("with one and three threads", done[0].returncode == 0 and done[0].stdout == done[1].stdout, done[0].stderr + done[1].stderr)
    report = json.loads(done[0].stdout)
    wrong = {line.split(",")[0] for line in listing.read_text().splitlines() if ",mistake," in line}
    check("the split", len(report["group"]) == len(report["held_out"]) == 4 and {*report["group"], *report["held_out"]} == wrong, report)
    check("right samples and copies", report["right_samples"] == report["right_before"]["as_is"] == 12
          and all(8 <= report["right_before"][kind] <= 12 for kind in ("noise", "blur", "contrast")), report["right_before"])
    rows = list(csv.DictReader(table.open()))
    check("the same table", all(float(a[key]) == b[key] for a, b in zip(rows, report["rows"]) for key in b if key != "choice")
          and json.loads(rows[0]["psal_settings"]) == report["settings"] and len(rows) == 4, rows)
    splits = {tuple(json.loads(run(*words, "-k", 1, "-c", "salient", "--held-out", 0.25, "--seed", seed, "--json", "--quiet").stdout)["held_out"])
              for seed in (1, 2, 3)}
    check("drawn by the seed", len(splits) > 1 and all(len(split) == 2 for split in splits), splits)
    done = run(*words, "-k", "3,40", "-c", "salient,random")
    *_, lines, finding = done.stdout.split("\n\n")
    check("the table fits", done.returncode == 0 and max(map(len, lines.splitlines())) <= 100 and len(lines.splitlines()) == 6, done.stdout)
    check("says what was found", "held out" in finding and "of 12 right samples" in finding and finding.count("k = 40") == 2, finding)
    alone = run("psal-finetune", "--group", listing, "-k", 40, "-c", "gradient-weight,salient", "--layers", "layer3", "--json", "--quiet")
    check("without a data set", alone.returncode == 0 and all(row["right_broken"] is None for row in json.loads(alone.stdout)["rows"]),
          alone.stdout + alone.stderr)
    done = run(*words, "-k", 40, "-c", "salient", "--save-delta", delta, "--json", "--quiet")
    row = json.loads(done.stdout)["rows"][0]
    check("the same edit alone and beside others", row == next(other for other in report["rows"] if other["choice"] == "salient"
                                                                and other["k"] == 40), (row, report["rows"]))
    box = weights / "fashion_resnet18.safetensors"
    done = run("psal-run", "-w", box, "--delta", delta, "--images", listing, "--mode", "naive", "--figures", "none", "--json", "--quiet", "--out",
               scratch / "after")
    summary = {line["path"].rsplit("/", 1)[-1]: line for line in csv.DictReader((scratch / "after/summary.csv").open())}
    for names, key in ((report["group"], "group"), (report["held_out"], "held_out")):
        right = [summary[name]["label"] == summary[name]["predicted"] for name in names]
        check(f"what the delta does to the {key}", row[f"{key}_corrected"] == sum(right) / 4, (row, right))
    few = scratch / "few.csv"
    few.write_text(f"path,label\n{bag},8\n")
    refuse(("--group", "only one mistake"), "psal-finetune", "--group", few, "-k", 1, "--quiet")
    few.write_text(f"path,label\n{samples}/bag.png,8\n")
    refuse(("there is no mistake",), "psal-finetune", "--group", few, "-k", 1, "--quiet")
    copy = scratch / "copy.png"
    shutil.copy(bag, copy)
    few.write_text(f"path,label\n{bag},8\n{samples}/coat_called_dress.png,4\n{copy},8\n")
    refuse(("samples 0", "and 2", "copy.png", "same image"), "psal-finetune", "--group", few, "-k", 1, "--quiet")
    refuse(("nowhere",), "psal-finetune", "--group", "nowhere.csv", "-k", 1)
    refuse(("--held-out", "--group"), "psal-finetune", "--held-out", 0.5)
    refuse(("--right", "--data"), "psal-finetune", "--group", listing, "--right", 3)
    refuse(("--right 0", "--group"), *words, "--right", 0)
    refuse(("merge",), *words, "merge", listing)
    for option in (("--image-path", bag), ("--image-target-label", 8), ("--sample", 0), ("--until-correct",), ("--neighbors", 2), ("--samples", out / "x.csv"),
                   ("--figure", out / "x.png"), ("--similarity", "cosine")):
        refuse((option[0], "--group"), "psal-finetune", "--group", listing, *option)
    refuse(("--state", "--group"), *words, "--state", out / "s.st")
    refuse(("--save", "one"), "psal-finetune", "--group", listing, "-k", "1,2", "-c", "salient", "--save", out / "x.st", "--quiet")


def predict(*arguments):
    done = run("psal-run", "--image-path", coat, "-l", "Coat", "--mode", "naive", "--quiet", "--json", "--out", scratch / "f",
               "--dump", scratch / "dump", *arguments)
    check(f"psal-run {arguments}", done.returncode == 0, done.stderr)
    return (scratch / "dump/logits.npy").read_bytes()


def test_saved():
    full, delta, pruned = scratch / "full.safetensors", scratch / "delta.safetensors", scratch / "pruned.safetensors"
    done = run("psal-finetune", "--until-correct", "-k", "100", "-c", "salient", "--save", full, "--save-delta", delta, "--json",
               "--quiet")
    check("--until-correct", done.returncode == 0, done.stderr)
    report = json.loads(done.stdout)
    check("--until-correct corrects", report["predicted_after"] == report["label"] == 4 and report["predicted"] == 2, report)
    box = predict("-w", weights / "fashion_resnet18.safetensors")
    check("the delta gives what the checkpoint does", predict("-w", full)
          == predict("-w", weights / "fashion_resnet18.safetensors", "--delta", delta) != box)
    check("a delta is small", delta.stat().st_size < full.stat().st_size / 4, delta.stat().st_size)
    refuse(("delta",), "psal-prune", "-w", full, "--delta", delta, "--image-path", bag, "-l", "Bag")  # of other weights
    done = run("psal-prune", "-k", "9", "-c", "salient", "--how", "channel", "--save", pruned, "--json", "--quiet")
    check("psal-prune --save", done.returncode == 0, done.stderr)
    check("the pruned checkpoint is another network", predict("-w", pruned) != box)
    everything = json.loads(run("psal-finetune", "-c", "all", "--json", "--quiet").stdout)
    check("all is every filter", [row["k"] for row in everything["rows"]] == [1200], everything)


if __name__ == "__main__":
    sys.exit(run_tests((test_refusals, test_layers, test_rankings, test_store_layers, test_rows, test_findings, test_what_becomes_of_it, test_right_sample, test_saved_names, test_threads, test_standard_errors,
                        test_what_was_not_measured, test_samples, test_photo_and_data_set, test_store, test_group, test_saved), scratch))
