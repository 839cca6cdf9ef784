#!/usr/bin/python3
"""psal-prune and psal-finetune against live PyTorch: the same filters switched off or corrected, the checkpoints they save
read here.

    /usr/bin/python3 tests/parity/test_edits.py --build DIR [--only NETWORK]

For every network in the box, on samples of the box, and for the real ResNet-50 on five photos of ../shared/imagenet-sample
where both are at hand: filters zeroed, channels removed, two values of k (confidences within 1e-4), one SGD step by rate and
by relative size (weights within 1e-6 of each tensor's largest), and the delta, which must hold the bytes of the whole
checkpoint and give the same bits of the logits when psal-run applies it. What psal-prune and psal-convert save is loaded
into torchvision's own networks as io/README.md says, by names alone, and answers the same. Prints a line per case and "N passed, N failed,
N skipped"; the status is 1 when one failed."""
import argparse
import copy
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import scipy.ndimage
import torch
import torchvision

import reference

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NETWORKS = ("resnet18", "vgg19", "densenet121", "inception_v3")
REAL = "resnet50-keras"
LOADING = "loading"
ROWS = "rows"
RANKINGS = "rankings"
GROUP = "group"
PHOTOS = 3
SAMPLES = (("bag_called_sandal", 8), ("coat_called_dress", 4))


def run(build, program, *arguments):
    done = subprocess.run([str(pathlib.Path(build).resolve() / "tools" / program), *map(str, arguments), "--quiet", "--json"],
                          capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)


def confidences(model, image):
    with torch.no_grad():
        return torch.softmax(model(image).double(), 1)[0]


def compare(name, got, expected, tolerance):
    good = bool(np.all(np.abs(np.asarray(got) - np.asarray(expected)) <= tolerance))
    return good, f"{name}: got {got}, expected {expected}"


def check_prune(build, common, model, image, label, naive, standardized, how, k, unit, flags=()):
    rows = run(build, "psal-prune", *common, *flags, "--aggregation", unit, "--how", how, "-k", k, "-c", "salient,naive,least")["rows"]
    before = confidences(model, image)
    # Filters of the auxiliary classifier, which is never computed, are not chosen: nothing would change.
    computed = [not name.startswith("AuxLogits.") for name, count in reference.filter_names(model, unit) for _ in range(count)]
    wrong = max((c for c in range(len(before)) if c != label), key=lambda c: float(before[c]))
    for row, order in zip(rows, (-standardized, -naive.double(), standardized)):
        chosen = [f for f in torch.sort(order, stable=True)[1].tolist() if computed[f]][:k]
        edited = copy.deepcopy(model)
        if how == "weights":
            reference.zero_filters(edited, chosen, unit)
        else:
            reference.zero_channels(edited, chosen, image, unit)
        after = confidences(edited, image)
        expected = [float(after[wrong] - before[wrong]), float(after[label] - before[label]),
                    float(int(after.argmax()) == label)]
        yield compare(f"prune {unit} {how} {' '.join(flags)} {row['choice']} k {k}",
                      [row["wrong_confidence"], row["true_confidence"], row["now_right"]], expected, 1e-4)


def check_step(build, common, model, image, label, standardized, folder, kind, size, k, unit):
    full, delta = folder / "full.safetensors", folder / "delta.safetensors"
    report = run(build, "psal-finetune", *common, "--aggregation", unit, f"--{kind}", size, "-k", k, "-c", "salient", "--save", full,
                 "--save-delta", delta)
    chosen = torch.sort(-standardized, stable=True)[1][:k].tolist()
    edited = copy.deepcopy(model)
    reference.sgd_step(edited, image, label, chosen, aggregation=unit, **{kind: size})
    saved, _ = reference.load_network(full)
    worst = 0.0
    for (name, a), (_, b), (_, old) in zip(saved.named_parameters(), edited.named_parameters(), model.named_parameters()):
        worst = max(worst, float((a - b).abs().max() / max(float(b.detach().abs().max()), 1e-12)))
    yield worst <= 1e-6, f"step {kind} {size} k {k}: weights differ by {worst:.2g} of the largest"
    yield compare(f"step {kind} {size} k {k}: confidence of the true class", report["label_confidence_after"],
                  float(confidences(saved, image)[label]), 1e-4)
    tensors, metadata = reference.read_safetensors(delta)
    whole, _ = reference.read_safetensors(full)
    filters = sum(len(t) for n, t in tensors.items() if n.endswith(".filters"))
    same = all(torch.equal(whole[n[:-8]].float()[t], tensors[n[:-8] + ".values"]) for n, t in tensors.items()
               if n.endswith(".filters"))
    yield filters == k and same and metadata["psal.format"] == "delta", f"delta of {filters} filters, the same values: {same}"
    logits = [dump(build, folder / name, [*common[2:4], "--aggregation", unit, *weights, "-i", common[5], "-l", common[7]])["logits"].tobytes()
              for name, weights in (("whole", ["--weights", full]), ("changed", [*common[:2], "--delta", delta]))]
    yield logits[0] == logits[1], f"step {kind} {size} k {k}: logits of the checkpoint and of the delta differ"


def dump(build, folder, arguments):
    """psal-run's arrays by name"""
    done = subprocess.run([str(pathlib.Path(build).resolve() / "tools/psal-run"), *map(str, arguments), "--quiet", "--dump",
                           str(folder), "--out", str(folder / "figures")], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return {path.stem: np.load(path) for path in folder.glob("*.npy")}


def check_sample(build, weights, stats, model, path, label, naive, mean, std, ks, steps, unit="filter"):
    standardized = reference.standardize(naive.double(), torch.from_numpy(mean), torch.from_numpy(std))
    image = reference.preprocess(path, reference.load_network(weights)[1]["psal.preprocess"])
    common = ["--weights", weights, "--stats", stats, "-i", path, "-l", label]
    with tempfile.TemporaryDirectory() as name:
        for how in ("weights", "channel"):
            for k in ks:
                yield from check_prune(build, common, model, image, label, naive, standardized, how, k, unit)
        for kind, size in steps:
            yield from check_step(build, common, model, image, label, standardized, pathlib.Path(name), kind, size, 7, unit)


STEPS = (("rate", 0.001), ("rate", 0.05), ("relative", 0.1))


def check_network(build, weights, samples, unit="filter", steps=STEPS):
    """(sample, its results)"""
    model, metadata = reference.load_network(weights)
    for sample, label in samples:
        path = ROOT / "weights" / "fashion_samples" / f"{sample}.png"
        naive, _ = reference.naive_profile(model, reference.preprocess(path, metadata["psal.preprocess"]), label, unit)
        generator = np.random.default_rng(5)
        mean, std = generator.uniform(0, 1e-4, len(naive)), generator.uniform(1e-4, 1e-3, len(naive))
        with tempfile.TemporaryDirectory() as folder:
            np.savez(f"{folder}/stats.npz", mean=mean, std=std)
            yield sample, list(check_sample(build, weights, f"{folder}/stats.npz", model, path, label, naive, mean, std, (2, 9),
                                            steps, unit))


def check_rankings(build):
    """Filters chosen by other profiles: signed ones, and those of the logits"""
    weights = ROOT / "weights" / "fashion_resnet18.safetensors"
    model, metadata = reference.load_network(weights)
    sample, label = SAMPLES[0]
    path = ROOT / "weights" / "fashion_samples" / f"{sample}.png"
    image = reference.preprocess(path, metadata["psal.preprocess"])
    before = confidences(model, image)
    wrong = max((c for c in range(len(before)) if c != label), key=lambda c: float(before[c]))
    for flags, signed, loss in ((("--signed",), True, {}), (("--logit",), False, {"logit": label}),
                                (("--logit-difference", "--signed"), True, {"logit_difference": (wrong, label)})):
        naive, _ = reference.naive_profile(model, image, label, "filter", signed, **loss)
        generator = np.random.default_rng(6)
        size = float(naive.abs().mean())
        mean, std = generator.uniform(-size, size, len(naive)), generator.uniform(size, 9 * size, len(naive))
        standardized = reference.standardize(naive.double(), torch.from_numpy(mean), torch.from_numpy(std))
        with tempfile.TemporaryDirectory() as folder:
            np.savez(f"{folder}/stats.npz", mean=mean, std=std)
            common = ["--weights", weights, "--stats", f"{folder}/stats.npz", "-i", path, "-l", label]
            yield " ".join(flags), list(check_prune(build, common, model, image, label, naive, standardized, "weights", 9, "filter", flags))


def check_group(build):
    """One edit from several mistakes: filters by the mean profile, steps down the mean gradient; corrupted copies"""
    weights, samples = ROOT / "weights" / "fashion_resnet18.safetensors", ROOT / "weights" / "fashion_samples"
    model, metadata = reference.load_network(weights)
    with open(samples / "labels.csv", newline="") as file:
        labels = {row["path"]: int(row["label"]) for row in csv.DictReader(file)}
    images = {name: reference.preprocess(samples / name, metadata["psal.preprocess"]) for name in labels}
    naive = {name: reference.naive_profile(model, images[name], label)[0] for name, label in labels.items()}
    generator = np.random.default_rng(7)
    mean, std = (generator.uniform(low, 1e-3, len(naive["bag.png"])) for low in (0, 1e-4))
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/stats.npz", mean=mean, std=std)
        for kind, size, steps in (("rate", 0.05, 1), ("relative", 0.1, 1), ("rate", 0.02, 3)):
            report = run(build, "psal-finetune", "--weights", weights, "--stats", f"{folder}/stats.npz", "--group", samples / "labels.csv",
                         "--data", samples / "labels.csv", "--held-out", 0.4, f"--{kind}", size, "--steps", steps, "-k", 20, "-c", "salient",
                         "--save", f"{folder}/full.safetensors")
            group, held_out, row = report["group"], report["held_out"], report["rows"][0]
            standardized = sum(reference.standardize(naive[name].double(), torch.from_numpy(mean), torch.from_numpy(std)) for name in group)
            chosen = torch.sort(-standardized, stable=True)[1][:20].tolist()
            edited = copy.deepcopy(model)
            for _ in range(steps):
                reference.sgd_step(edited, torch.cat([images[name] for name in group]), [labels[name] for name in group], chosen,
                                   **{kind: size})
            saved, _ = reference.load_network(f"{folder}/full.safetensors")
            worst = max(float((a - b).abs().max() / max(float(b.detach().abs().max()), 1e-12))
                        for a, b in zip(saved.parameters(), edited.parameters()))
            results = [(worst <= 2e-6, f"group step {kind} {size}: weights differ by {worst:.2g} of the largest"),
                       (len(group) == 5 and len(held_out) == 3 and len({*group, *held_out}) == 8, f"{group}, {held_out}")]
            for names, key in ((group, "group"), (held_out, "held_out")):
                after, before = ([confidences(network, images[name]) for name in names] for network in (saved, model))
                right = [float(int(c.argmax()) == labels[name]) for c, name in zip(after, names)]
                change = [float(a[labels[name]] - b[labels[name]]) for a, b, name in zip(after, before, names)]
                results.append(compare(f"{key}: corrected, confidence", [row[f"{key}_corrected"], row[f"{key}_true_confidence"]],
                                       [np.mean(right), np.mean(change)], 1e-4))
            fine = [name for name in labels if int(confidences(model, images[name]).argmax()) == labels[name]]
            copies = {"right": images, "contrast": {name: image.mean((2, 3), keepdim=True) + 0.4 * (image - image.mean((2, 3), keepdim=True))
                                                    for name, image in images.items()},
                      "blur": {name: torch.from_numpy(scipy.ndimage.gaussian_filter(image.numpy(), (0, 0, 32 / 56, 32 / 56), mode="nearest",
                                                                                    truncate=2 / (32 / 56))) for name, image in images.items()}}
            for key, pictures in copies.items():
                before = [name for name in fine if int(confidences(model, pictures[name]).argmax()) == labels[name]]
                broken = [name for name in before if int(confidences(saved, pictures[name]).argmax()) != labels[name]]
                results.append(compare(f"{key} broken", row[f"{key}_broken"], len(broken) / len(before), 1e-9))
                results.append((report["right_before"]["as_is" if key == "right" else key] == len(before), f"{key}: {len(before)} are right"))
            yield f"{kind} {size}", results


def check_box(build, arch):
    return check_network(build, ROOT / "weights" / f"fashion_{arch}.safetensors", SAMPLES)


def check_rows(build):
    """The outputs of linear layers too, attention's among them"""
    weights = ROOT / "weights" / "fashion_resnet18.safetensors"
    yield from ((f"resnet18 {sample}", results) for sample, results in check_network(build, weights, SAMPLES, "row"))
    for seed, arch in enumerate(("vit_b_32", "convnext_tiny")):
        with tempfile.TemporaryDirectory() as folder:
            weights = f"{folder}/weights.safetensors"
            model = reference.randomise(reference.build(arch, 10, 0.25), seed)
            reference.write_safetensors(weights, model.state_dict(), {
                "psal.arch": arch, "psal.num_classes": 10, "psal.width": 0.25, "psal.bn_epsilon": 1e-5,
                "psal.preprocess": "rgb;resize=224;crop=224;scale=255;mean=0.5;std=0.25"})
            yield from ((f"{arch} {sample}", results) for sample, results in check_network(build, weights, SAMPLES[:1], "row",
                                                                                                      (STEPS[0], STEPS[2])))


# ---- torchvision's own networks take what psal saves (io/README.md, "Loading in PyTorch") ----

PREPROCESS = "rgb;resize=96;crop=96;scale=255;mean=0.5;std=0.25"


def load_as_the_manual_says(path, metadata):
    """torchvision's network with the tensors of a file: names alone decide, and what its metadata says is taken over"""
    tensors, _ = reference.read_safetensors(path)
    options = {"num_classes": int(metadata["psal.num_classes"])}
    if metadata["psal.arch"] == "inception_v3":
        options.update(aux_logits=any(name.startswith("AuxLogits.") for name in tensors), init_weights=False,
                       transform_input=metadata.get("psal.transform_input") == "1")
    model = getattr(torchvision.models, metadata["psal.arch"])(**options)
    model.load_state_dict(tensors)  # strict
    model.eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = float(metadata["psal.bn_epsilon"])
        if metadata.get("psal.variant") == "v1" and isinstance(module, torchvision.models.resnet.Bottleneck):
            module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride
    return model


def check_loading(build):
    """(what, its results): networks of torchvision's width with random weights, under other names, as .pth"""
    image_path = ROOT / "weights" / "fashion_samples" / f"{SAMPLES[0][0]}.png"
    image = reference.preprocess(image_path, PREPROCESS)
    cases = (("resnet18", "v1.5", None, ()), ("densenet121", "v1.5", None, ()), ("inception_v3", "v1.5", None, ("--transform-input",)),
             ("resnet50", "v1", 1.001e-5, ("--variant", "v1", "--bn-epsilon", "1.001e-5")))
    for seed, (arch, variant, epsilon, options) in enumerate(cases):
        model = reference.build(arch, 7, 1.0, variant, epsilon, "--transform-input" in options)
        reference.randomise(model, seed)
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            torch.save({"net": {f"module.{key}": value for key, value in model.state_dict().items()}}, folder / "mine.pth")
            network = ["--weights", folder / "mine.pth", "--preprocess", PREPROCESS, *options]
            filters = sum(len(p) for p in model.parameters() if p.dim() == 4)
            np.savez(folder / "stats.npz", mean=np.zeros(filters), std=np.ones(filters))
            run(build, "psal-prune", *network, "--stats", folder / "stats.npz", "-i", image_path, "-l", 3, "-k", 5, "-c", "naive",
                "--save", folder / "pruned.safetensors")
            convert = [pathlib.Path(build).resolve() / "tools/psal-convert", "--half", *network[2:], folder / "mine.pth",
                       folder / "half.safetensors", "--quiet"]
            subprocess.run([str(argument) for argument in convert], check=True)
            results = []
            for saved, off in (("pruned", 5), ("half", 0)):
                path = folder / f"{saved}.safetensors"
                loaded = load_as_the_manual_says(path, reference.read_safetensors(path)[1])
                zeros = sum(int((parameter.flatten(1) == 0).all(1).sum()) for parameter in loaded.parameters() if parameter.dim() == 4)
                results.append((zeros == off, f"{saved}: {zeros} filters are zero, not {off}"))
                with torch.no_grad():
                    got = loaded(image)[0].numpy()
                expected = dump(build, folder, ["--weights", path, "--mode", "naive", "-i", image_path, "-l", 3])["logits"]
                results.append(compare(f"{saved}: logits", got, expected, 1e-4 * np.abs(expected).max()))
            yield f"{arch} {variant} in torchvision", results


def check_real(build):
    """The same for the real network, or None. Its 26,560 filters have near ties and exact ones, which the last bits of a
    gradient decide: which filters come first is read from psal's own profile."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    weights, photos = cache / "psal" / f"{REAL}.safetensors", ROOT.parent / "shared/imagenet-sample"
    if not weights.exists() or not photos.exists():
        return None
    stats = ROOT / "weights" / f"{REAL}_stats.safetensors"
    tensors, _ = reference.read_safetensors(stats)
    model, _ = reference.load_network(weights)
    with open(photos / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))[2::97][:PHOTOS]

    def samples():
        for number, row in enumerate(rows):
            path, label = photos / row["path"], int(row["label"])
            with tempfile.TemporaryDirectory() as folder:
                naive = dump(build, pathlib.Path(folder), ["--weights", weights, "--stats", stats, "-i", path, "-l", label])["naive"]
            steps = (("rate", 0.001), ("relative", 0.1)) if number == 0 else ()
            yield path.stem, list(check_sample(build, weights, stats, model, path, label, torch.from_numpy(naive),
                                               tensors["mean"].numpy(), tensors["std"].numpy(), (5, 20), steps))
    return samples()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--only", choices=(*NETWORKS, ROWS, RANKINGS, GROUP, LOADING, REAL), help="one network")
    arguments = parser.parse_args()
    passed = failed = skipped = 0
    for arch in [arguments.only] if arguments.only else (*NETWORKS, ROWS, RANKINGS, GROUP, LOADING, REAL):
        samples = (check_real(arguments.build) if arch == REAL else check_loading(arguments.build) if arch == LOADING
                   else check_rows(arguments.build) if arch == ROWS else check_rankings(arguments.build) if arch == RANKINGS
                   else check_group(arguments.build) if arch == GROUP else check_box(arguments.build, arch))
        if samples is None:
            print(f"{arch}: skipped (needs weights/fetch {REAL} and ../shared/imagenet-sample)")
            skipped += 1
            continue
        for sample, results in samples:
            for good, text in results:
                passed += good
                failed += not good
                if not good:
                    print(f"FAILED {arch} {sample}: {text}")
            print(f"{arch} {sample}: {sum(g for g, _ in results)} of {len(results)}", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
