#!/usr/bin/env python3
"""The Python module psal against psal-prune, psal-finetune and psal-neighbors: equal numbers, equal files; and what is refused.

    tests/python/test_edits.py BUILD SOURCE

Needs NumPy. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import gc
import subprocess
import sys
import threading
import warnings

from module import bag, build, network, np, pixels, program, psal, raised, root, same, samples, scratch, tensors_of
from checks import check, run_tests

LIST = "weights/fashion_samples/labels.csv"
net = psal.load(network, threads=1)
warnings.simplefilter("ignore", psal.Note)  # statistics over 20 samples
result = net.explain(bag, "bag")


def options(settings):
    return [f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}") for name, value in settings.items()]


def test_prune():
    for number, (settings, explained) in enumerate((
            ({"k": "1,5,20", "choices": "salient,random,gradient-weight,least-abs"}, {}),
            ({"k": "3,7", "choices": "random-same-layers,naive", "how": "channel", "draws": 2, "seed": 5}, {}),
            ({"k": "4", "choices": "salient", "how": "noise", "noise_scale": 0.5, "draws": 1, "layers": "layer3"}, {}),
            ({"k": "5", "choices": "salient,random", "aggregation": "row"}, {"aggregation": "row"}),
            ({"k": "10", "choices": "random", "draws": 1, "logit": True}, {"logit": True}))):
        if "aggregation" in explained or "logit" in explained:  # statistics of that profile
            explained = {**explained, "stats": net.statistics(LIST, **explained)}
            settings = {**settings, "stats": explained["stats"].__fspath__()}
        one = len(settings["choices"].split(",")) == len(settings["k"].split(",")) == 1
        saved = scratch / f"pruned{number}.safetensors"
        answer = program("psal-prune", "-w", network, "-i", bag, "-l", "bag", *options(settings), *(["--save", saved] if one else []))
        words = {name: value for name, value in settings.items() if name not in ("aggregation", "logit", "stats")}
        words["k"] = [int(k) for k in words["k"].split(",")]
        words["choices"] = words["choices"].split(",")
        rows = net.prune(bag, "bag", **words, **explained)
        expected = [{name: row[name] for name in psal.Pruned._fields} for row in answer["rows"]]
        check(f"{settings}: rows", [row._asdict() for row in rows] == expected, f"{rows[0]} {expected[0]}")
        check(f"{settings}: an edit", (rows.edit is not None) == one, rows.edit)
        if one:
            rows.edit.save(scratch / "mine.safetensors")
            check(f"{settings}: file", (scratch / "mine.safetensors").read_bytes() == saved.read_bytes(), "other bytes")
    steps = []
    net.prune(result, k=[1, 2], choices="salient", progress=lambda done, total: steps.append((done, total)))
    check("progress", steps == [(1, 2), (2, 2)], steps)
    check("of a result", net.prune(result, k=2, choices="salient") == net.prune(bag, "bag", k=2, choices=["salient"]), "")


def test_finetune():
    for number, settings in enumerate(({"k": 20}, {"k": 5, "choice": "random", "relative": 0.1, "steps": 3, "seed": 4},
                                       {"k": 100, "until_correct": True}, {"k": 10, "rate": 0.01, "layers": "layer4"})):
        saved = scratch / f"corrected{number}.safetensors"
        words = {("choices" if name == "choice" else name): value for name, value in {"choice": "salient", **settings}.items()}
        answer = program("psal-finetune", "-w", network, "-i", bag, "-l", "bag", *options(words), "--save", saved)
        edit = net.finetune(result, **settings)
        mine, theirs = edit.json()["rows"][0], answer["rows"][0]
        for key in set(mine) & set(theirs):
            if key != "k":
                check(f"{settings}: {key}", mine[key] == theirs[key], f"{mine[key]} {theirs[key]}")
        check(f"{settings}: keys", {"corrected", "true_confidence", "wrong_confidence", "filters", "relative_change"} <= set(mine) & set(theirs),
              set(mine) ^ set(theirs))
        edit.save(scratch / "mine.safetensors")
        check(f"{settings}: file", (scratch / "mine.safetensors").read_bytes() == saved.read_bytes(), "other bytes")
        before, after = tensors_of(network)[0], tensors_of(saved)[0]
        different = {name for name in after if name in before and not same(after[name], before[name].astype(after[name].dtype))}
        changed = edit.changed
        check(f"{settings}: changed", different <= set(changed) and all(same(changed[name], after[name]) for name in changed),
              f"{sorted(different)[:5]} {sorted(changed)[:5]}")
        edited = psal.load({**before, **changed}, preprocess=net.preprocess, labels=net.classes, mode="naive").explain(bag, "bag")
        check(f"{settings}: the edited network", edited.prediction == edit.json()["predicted"] and
              abs(edited.confidence - edit.json()["confidence"]) < 1e-6, edited)
    arrays = net.finetune(result, k=3).changed
    gc.collect()
    check("arrays live on", arrays and all(np.isfinite(array).all() for array in arrays.values()), "")


def test_neighbors():
    files = scratch / "s.safetensors", scratch / "p.npy"
    subprocess.run([build / "tools" / "psal-stats", "--quiet", "-w", network, "--data", LIST, "--out", files[0], "--profiles", files[1]],
                   check=True, cwd=root, capture_output=True)
    made = net.statistics(LIST, profiles=True)

    def pairs(rows):
        return [(row["sample"], row["similarity"]) for row in rows]
    for similarity in ("pearson", "cosine", "normalized", "roots"):
        answer = program("psal-neighbors", "--store", files[1], "--query", "0,3-5", "--similarity", similarity, "--top", 4)
        found = net.neighbors([0, 3, 4, 5], made, similarity=similarity, top=4)
        check(similarity, [[row[:2] for row in rows] for rows in found] == [pairs(query["neighbors"]) for query in answer["queries"]],
              f"{found[0]} {answer['queries'][0]['neighbors']}")
    answer = program("psal-neighbors", "--store", files[1], "--query", 0, "--stats", files[0], "--mistakes", "--top", 3)
    found = net.neighbors(0, made, stats=made, mistakes=True, top=3)
    check("mistakes", [row[:2] for row in found] == pairs(answer["queries"][0]["neighbors"]), found)
    check("names", [(row.name, row.label, row.predicted) for row in found] == [
        (row["path"], row["label"]["index"], row["predicted"]["index"]) for row in answer["queries"][0]["neighbors"]], found)
    mine = net.neighbors(result, made.profiles, top=30)
    check("a result", len(mine) == 20 and mine[0].sample == made.names.index("bag_called_sandal.png") and mine[0].similarity > 0.99999 and
          mine[0].name is None, mine[:2])
    check("a profile", net.neighbors(result.profile.astype(np.float64), np.load(files[1], mmap_mode="r"), top=30) == mine, "")
    strided = np.asfortranarray(made.profiles)
    check("strided", net.neighbors(result, strided, top=30) == mine, "")


def test_refused():
    made, bare = net.statistics(LIST, profiles=True), net.statistics(LIST)
    nan = np.array(made.profiles)
    nan[3, 5] = np.nan
    tensor = tensors_of(network)[0]
    stranger = psal.load({**tensor, "fc.bias": tensor["fc.bias"] + 1}, preprocess=net.preprocess, labels=net.classes, mode="naive").explain(bag, "bag")
    own, before = scratch / "own.safetensors", (root / network).read_bytes()
    own.write_bytes(before)
    (scratch / "link.safetensors").symlink_to(own)
    tensors = net.explain(bag, "bag", aggregation="tensor", mode="naive")
    against = net.explain(bag, "bag", against="predicted")
    library = [("too many filters", "1201", net.prune, (result,), {"k": 1201}),
               ("no filters", "--k", net.prune, (result,), {"k": 0}), ("no number", "--k", net.prune, (result,), {"k": "few"}),
               ("an unknown choice", "best", net.prune, (result,), {"choices": "best"}),
               ("an unknown way", "how", net.prune, (result,), {"how": "softly"}),
               ("an unknown layer", "layer9", net.prune, (result,), {"layers": "layer9"}),
               ("tensors", "tensor", net.prune, (tensors,), {}), ("against", "against", net.finetune, (against,), {}),
               ("several k", "--k", net.finetune, (result,), {"k": "1,2"}),
               ("two step sizes", "--rate", net.finetune, (result,), {"rate": 1, "relative": 0.1}),
               ("steps of a search", "--steps", net.finetune, (result,), {"until_correct": True, "steps": 2}),
               ("no such change", "corrects", net.finetune, (result,), {"until_correct": True, "relative": 1e-6, "k": 1}),
               ("a folder that is not there", "nowhere", net.finetune(result, k=1).save, (scratch / "nowhere" / "f",), {}),
               ("an ending of PyTorch's", "safetensors", net.finetune(result, k=1).save, (scratch / "f.pth",), {}),
               ("another ending", "safetensors", net.finetune(result, k=1).save, (scratch / "f.dat",), {}),
               ("the network's file", "lost", psal.load(own).finetune(bag, "bag", k=1).save, (scratch / "link.safetensors",), {}),
               ("the statistics' file", "lost", net.finetune(bag, "bag", k=1, stats=made).save, (made,), {}),
               ("an unknown similarity", "euclid", net.neighbors, (0, made), {"similarity": "euclid"}),
               ("a sample that is not there", "20", net.neighbors, (20, made), {}), ("a negative one", "-1", net.neighbors, (-1, made), {}),
               ("no neighbours", "top", net.neighbors, (0, made), {"top": 0}), ("NaN", "3", net.neighbors, (0, nan), {})]
    for name, word, function, arguments, named in library:
        message = raised(psal.Error, function, *arguments, **named)
        check(f"refused: {name}", message is not None and word in message and "\n" not in message, message)
    check("the network's file is as it was", own.read_bytes() == before, "it is another")
    python = [("no profiles", net.neighbors, (0, bare), {}), ("profiles of float64", net.neighbors, (0, made.profiles.astype(float)), {}),
              ("one profile", net.neighbors, (0, made.profiles[0]), {}), ("another length", net.neighbors, (result, made.profiles[:, :5]), {}),
              ("a query of text", net.neighbors, ("0", made), {}), ("a query that is a bool", net.neighbors, (True, made), {}), ("an empty query", net.neighbors, ([], made), {}),
              ("statistics of roots", net.neighbors, (0, made), {"similarity": "roots", "stats": made}),
              ("mistakes of an array", net.neighbors, (0, made.profiles), {"mistakes": True}),
              ("several choices", net.finetune, (result,), {"choice": ["salient", "random"]}),
              ("a list of k", net.finetune, (result,), {"k": [1, 2]}),
              ("neighbours of another loss", net.neighbors, (net.explain(bag, "bag", logit=True, mode="naive"), made), {}),
              ("of a signed profile", net.neighbors, (net.explain(bag, "bag", signed=True, mode="naive"), made), {}),
              ("of gradient times weight", net.neighbors, (net.explain(bag, "bag", gradient_weight=True, mode="naive"), made), {}),
              ("of another network", net.neighbors, (stranger, made), {}), ("another network's to prune", net.prune, (stranger,), {}),
              ("another network's to correct", net.finetune, (stranger,), {}),
              ("statistics of another loss", net.neighbors, (0, made), {"stats": net.statistics(LIST, logit=True)}),
              ("a label twice", net.prune, (result, "bag"), {}), ("settings twice", net.prune, (result,), {"mode": "naive"})]
    for name, function, arguments, named in python:
        check(f"refused: {name}", raised((TypeError, ValueError), function, *arguments, **named), "accepted")


def test_threads():
    """All of it at once is all of it one after the other"""
    made = net.statistics(LIST, profiles=True)
    photo = pixels()

    def everything():
        return (net.prune(result, k=[1, 4], choices=["salient", "random"]), net.finetune(result, k=5).json(),
                net.neighbors(list(range(5)), made), net.explain(photo, 2).profile.tobytes(), net.statistics(LIST).mean.tobytes())
    expected, found = everything(), []
    workers = [threading.Thread(target=lambda: found.append(everything())) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    check("threads", len(found) == 3 and all(one == expected for one in found), len(found))


sys.exit(run_tests([test_prune, test_finetune, test_neighbors, test_refused, test_threads], scratch))
