#!/usr/bin/python3
"""psal-check ablate beside PyTorch running a whole forward pass per filter, in the same run.

    /usr/bin/python3 tests/bench/bench_ablate.py --build DIR [--rounds N] [--group N] [--filters N] [--threads N]
                                                 [--weights FILE] [--stats FILE] [--data LIST]

PyTorch's loop (torch.no_grad, batch 1; the same filters zeroed in place and put back, one after the other) and psal-check take turns on
groups of mistakes of the real ResNet-50. PyTorch's time is its loop's, with the gradient for the first-order estimate, without starting
Python and loading; psal-check's is that of the whole process, for every group anew, with its correlations. Prints a line per group with
the largest difference of the loss's changes, the ratio of the medians, and what 48 mistakes would take. It needs weights/fetch
resnet50-keras and ../shared/imagenet-sample, or --weights and --data."""
import argparse
import csv
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import bench_prune

sys.path.insert(0, str(bench_prune.HERE.parent.parent / "parity"))


def torch_worker(weights, threads):
    """Reads "path,label,filter filter ..." lines; answers each by the seconds it took and the changes of the loss"""
    import torch
    import reference
    torch.set_num_threads(int(threads))
    model, metadata = reference.load_network(weights)
    owners = [(parameter, row) for name, parameter in model.named_parameters() if reference.takes_part(name, parameter)
              for row in range(parameter.shape[0])]
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.monotonic()
        path, label, filters = line.strip().rsplit(",", 2)
        image, target = reference.preprocess(path, metadata["psal.preprocess"]), torch.tensor([int(label)])
        loss = torch.nn.functional.cross_entropy(model(image), target)
        torch.autograd.grad(loss, [p for name, p in model.named_parameters() if reference.takes_part(name, p)])
        changes = []
        with torch.no_grad():
            for number in map(int, filters.split()):
                parameter, row = owners[number]
                weight = parameter[row].clone()
                parameter[row] = 0
                changes.append(float(torch.nn.functional.cross_entropy(model(image), target) - loss))
                parameter[row] = weight
        print(time.monotonic() - start, *changes, flush=True)


def main():
    if sys.argv[1:2] == ["--worker"]:
        return torch_worker(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--group", type=int, default=2, help="mistakes a round")
    parser.add_argument("--filters", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "psal"
    parser.add_argument("--weights", type=pathlib.Path, default=cache / "resnet50-keras.safetensors")
    parser.add_argument("--stats", type=pathlib.Path, default=bench_prune.ROOT / "weights/resnet50-keras_stats.safetensors")
    parser.add_argument("--data", type=pathlib.Path, default=bench_prune.ROOT.parent / "shared/imagenet-sample/labels.csv")
    args = parser.parse_args()
    for path in (args.weights, args.stats, args.data):
        if not path.exists():
            sys.exit(f"bench_ablate.py: there is no {path}")
    build, environment = args.build.resolve(), dict(os.environ, OMP_NUM_THREADS=str(args.threads))
    ours, theirs = [], []
    with tempfile.TemporaryDirectory(prefix="psal-bench-") as name:
        folder = pathlib.Path(name)
        mistakes = bench_prune.find_mistakes(build, args.weights, args.data, folder)
        worker = subprocess.Popen([sys.executable, __file__, "--worker", args.weights, str(args.threads)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True, env=environment)
        worker.stdout.readline()
        for number in range(min(args.rounds, len(mistakes) // args.group)):
            group = mistakes[number * args.group:(number + 1) * args.group]
            (folder / "list.csv").write_text("path,label\n" + "".join(f"{path},{label}\n" for path, label in group))
            start = time.monotonic()
            subprocess.run([build / "tools/psal-check", "ablate", "--weights", args.weights, "--stats", args.stats, "--data", folder / "list.csv",
                            "--filters", str(args.filters), "--threads", str(args.threads), "--samples", folder / "samples.csv", "--quiet"],
                           check=True, stdout=subprocess.DEVNULL, env=environment)
            ours.append((time.monotonic() - start) / args.group)
            with open(folder / "samples.csv", newline="") as file:
                rows = list(csv.DictReader(file))
            seconds, worst = 0, 0
            for i, (path, label) in enumerate(group):
                own = rows[i * args.filters:(i + 1) * args.filters]
                worker.stdin.write(f"{path},{label},{' '.join(row['number'] for row in own)}\n")
                worker.stdin.flush()
                took, *changes = map(float, worker.stdout.readline().split())
                seconds += took
                worst = max(worst, *(abs(change - float(row["loss_change"])) for change, row in zip(changes, own)))
            theirs.append(seconds / args.group)
            print(f"mistakes {number * args.group} to {(number + 1) * args.group - 1}: PyTorch {theirs[-1]:.2f} s, psal-check {ours[-1]:.2f} s "
                  f"per mistake; the loss's changes differ by at most {worst:.1e}", flush=True)
        worker.stdin.close()
        worker.wait()
    a, b = statistics.median(theirs), statistics.median(ours)
    print(f"median per mistake ({args.filters} filters, {args.threads} threads): PyTorch {a:.2f} s, psal-check {b:.2f} s, ratio {a / b:.2f}; "
          f"48 mistakes: PyTorch {48 * a / 60:.1f} min, psal-check {48 * b / 60:.1f} min")


if __name__ == "__main__":
    main()
