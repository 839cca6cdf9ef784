#!/usr/bin/python3
"""psal-prune beside PyTorch running a whole forward pass per variant, in the same run.

    /usr/bin/python3 tests/bench/bench_prune.py --build DIR [--rounds N] [--group N] [--how weights|channel] [--threads N]
                                                [--weights FILE] [--data LIST]

The table of the paper's first experiment: every mistake, 10 values of k, 5 ways to choose the filters, one draw each.
PyTorch's loop (torch.no_grad, batch 1; the filters are zeroed in place and put back) and psal-prune take turns on groups of
mistakes of the real ResNet-50. PyTorch's time is its loop's, with the profile, without starting Python and loading; psal-prune's
is that of the whole process, for every group anew. Prints a line per group, the ratio of the medians, and what 48 mistakes
would take. It needs weights/fetch resnet50-keras and ../shared/imagenet-sample, or --weights and --data."""
import argparse
import csv
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
ROOT = HERE.parent.parent.parent
sys.path.insert(0, str(HERE.parent.parent / "parity"))
KS = (1, 2, 5, 10, 20, 30, 40, 50, 75, 100)
CHOICES = ("salient", "random", "random-same-layers", "least", "naive")
MISTAKES = 48


def choose(torch, names, naive, standardized, generator):
    """The first max(KS) filters of every choice"""
    most = max(KS)
    salient = torch.argsort(standardized, descending=True)[:most]
    first, sizes, layer_of = 0, [], []
    for layer, (_, count) in enumerate(names):
        sizes.append((first, count))
        layer_of += [layer] * count
        first += count
    pools = [iter((start + torch.randperm(count, generator=generator)).tolist()) for start, count in sizes]
    return {"salient": salient.tolist(), "random": torch.randperm(first, generator=generator)[:most].tolist(),
            "random-same-layers": [next(pools[layer_of[f]]) for f in salient.tolist()],
            "least": torch.argsort(standardized)[:most].tolist(),
            "naive": torch.argsort(naive, descending=True)[:most].tolist()}


def torch_worker(weights, stats, threads, how):
    """Reads "path,label" lines; answers each by the seconds it took"""
    import torch
    import reference
    torch.set_num_threads(int(threads))
    model, metadata = reference.load_network(weights)
    tensors, _ = reference.read_safetensors(stats)
    generator = torch.Generator().manual_seed(1)
    norms = None
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.monotonic()
        path, label = line.strip().rsplit(",", 1)
        image = reference.preprocess(path, metadata["psal.preprocess"])
        naive, _ = reference.naive_profile(model, image, int(label))
        standardized = reference.standardize(naive, tensors["mean"], tensors["std"])
        names = reference.filter_names(model)
        norms = norms or reference.norm_after(model, image)
        parameters = {id(p): name for name, p in model.named_parameters()}
        with torch.no_grad():
            model(image)
            for chosen in choose(torch, names, naive, standardized, generator).values():
                for k in KS:
                    changed = []
                    for parameter, inside in reference.filters_by_parameter(model, chosen[:k]):
                        parts = [parameter]
                        if how == "channel" and parameters[id(parameter)] in norms:
                            norm = norms[parameters[id(parameter)]]
                            parts += [norm.weight, norm.bias]
                        for part in parts:
                            changed.append((part, inside, part[inside].clone()))
                            part[inside] = 0
                    torch.softmax(model(image), 1)
                    for part, inside, old in changed:
                        part[inside] = old
        print(time.monotonic() - start, flush=True)


def find_mistakes(build, weights, data, folder):
    subprocess.run([build / "tools/psal-prune", "--weights", weights, "--data", data, "-k", "1", "-c", "salient", "--samples",
                    folder / "mistakes.csv", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    with open(folder / "mistakes.csv", newline="") as file:
        return [(pathlib.Path(data).resolve().parent / row["name"], row["label"]) for row in csv.DictReader(file)]


def main():
    if sys.argv[1:2] == ["--worker"]:
        return torch_worker(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--group", type=int, default=4, help="mistakes a round")
    parser.add_argument("--how", choices=("weights", "channel"), default="weights")
    parser.add_argument("--threads", type=int, default=2)
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "psal"
    parser.add_argument("--weights", type=pathlib.Path, default=cache / "resnet50-keras.safetensors")
    parser.add_argument("--stats", type=pathlib.Path, default=ROOT / "weights/resnet50-keras_stats.safetensors")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared/imagenet-sample/labels.csv")
    args = parser.parse_args()
    for path in (args.weights, args.stats, args.data):
        if not path.exists():
            sys.exit(f"bench_prune.py: there is no {path}")
    build, environment = args.build.resolve(), dict(os.environ, OMP_NUM_THREADS=str(args.threads))
    ours, theirs = [], []
    with tempfile.TemporaryDirectory(prefix="psal-bench-") as name:
        folder = pathlib.Path(name)
        mistakes = find_mistakes(build, args.weights, args.data, folder)
        worker = subprocess.Popen([sys.executable, HERE, "--worker", args.weights, args.stats, str(args.threads), args.how],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        worker.stdout.readline()
        step = max(1, len(mistakes) // (args.rounds * args.group))
        mistakes = mistakes[::step]
        for round_ in range(args.rounds):
            group = mistakes[round_::args.rounds][:args.group]
            (folder / "list.csv").write_text("path,label\n" + "".join(f"{path},{label}\n" for path, label in group))
            start = time.monotonic()
            subprocess.run([build / "tools/psal-prune", "--weights", args.weights, "--stats", args.stats, "--data",
                            folder / "list.csv", "-k", ",".join(map(str, KS)), "-c", ",".join(CHOICES), "--draws", "1", "--how",
                            args.how, "--threads", str(args.threads), "--quiet"], check=True, stdout=subprocess.DEVNULL,
                           env=environment)
            ours.append((time.monotonic() - start) / len(group))
            seconds = 0
            for path, label in group:
                worker.stdin.write(f"{path},{label}\n")
                worker.stdin.flush()
                seconds += float(worker.stdout.readline())
            theirs.append(seconds / len(group))
            print(f"{len(group)} mistakes: psal-prune {ours[-1]:.3f} s, PyTorch {theirs[-1]:.3f} s each, {theirs[-1] / ours[-1]:.2f}",
                  flush=True)
        worker.stdin.close()
        worker.wait()
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"{args.how}, {len(KS)} values of k, {len(CHOICES)} choices, {args.threads} threads: {MISTAKES} mistakes take psal-prune "
          f"{MISTAKES * a:.0f} s, PyTorch {MISTAKES * b:.0f} s: {b / a:.2f} times as fast (wanted: 3), load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
