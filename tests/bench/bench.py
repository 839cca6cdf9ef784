#!/usr/bin/python3
"""psal beside PyTorch: time and memory, measured in the same run.

    /usr/bin/python3 tests/bench/bench.py --build DIR [--repeats N] [--threads N] [--only ARCH] [--record]

For ResNet-50, VGG-19, DenseNet-121 and Inception-v3 at full width, with random weights: the profile of one image, the full
job (profile and input saliency), the whole process with its peak memory, and images per second over a data set. Repeats are
interleaved, so that a busy machine hits both alike; the medians and their ratio psal / PyTorch are printed. --record writes
tests/bench/results.md."""
import argparse
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parent.parent / "parity"))
# architecture, side of the image, preprocessing
NETWORKS = (("resnet50", 224, "torchvision"), ("vgg19", 224, "torchvision"), ("densenet121", 224, "torchvision"),
            ("inception_v3", 299, "torchvision;resize=342;crop=299"))
CLASSES, LABEL, K, BOOST = 1000, 2, 10, 100.0


# ---- PyTorch's side, in processes of its own ----

def torch_full(model, image, label, mean=None, std=None):
    """The original's way: the graph of the gradients of all parameters is kept, then the cosine is differentiated. Only the
    image's gradient is asked for, which costs PyTorch less than backward() into every parameter."""
    import torch
    import reference
    image = image.detach().clone().requires_grad_(True)
    parameters = list(model.parameters())
    loss = reference.loss_of(model(image), label)
    gradients = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
    naive = reference.aggregate(gradients, parameters)
    profile = reference.standardize(naive, mean, std, "std" if mean is not None else "naive")
    target = profile.detach().clone()
    target[torch.topk(target, K).indices] *= BOOST
    cosine = torch.nn.functional.cosine_similarity(profile, target, dim=0)
    return profile.detach(), torch.autograd.grad(cosine, image)[0][0]


def torch_network(arch, checkpoint):
    """What a user's script does: torchvision's network, the checkpoint from a .pth file"""
    import torch
    import torchvision
    extra = {"init_weights": False} if arch == "inception_v3" else {}
    model = getattr(torchvision.models, arch)(num_classes=CLASSES, **extra)
    model.load_state_dict(torch.load(checkpoint))
    return model.eval()


def torch_worker(arch, checkpoint, side, threads, listing, preprocess):
    """Answers "profile", "full" and "images" by the seconds they took"""
    import torch
    import reference
    torch.set_num_threads(threads)
    model = torch_network(arch, checkpoint)
    image = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    print("ready 0 0", flush=True)
    for line in sys.stdin:
        start = time.monotonic()
        if line.startswith("profile"):  # an expert's way: the convolutions' gradients only
            reference.naive_profile(model, image, CLASSES // 2)
        elif line.startswith("full"):
            torch_full(model, image, CLASSES // 2)
        else:
            welford = reference.Welford()
            for row in pathlib.Path(listing).read_text().splitlines()[1:]:
                path, label = row.rsplit(",", 1)
                welford.add(reference.naive_profile(model, reference.preprocess(path, preprocess), int(label))[0])
        print(time.monotonic() - start, flush=True)


def torch_script(arch, checkpoint, image, stats, threads, preprocess, out):
    """The whole process: import, load, preprocess, profile, input saliency, two figures"""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import torch
    import reference
    torch.set_num_threads(threads)
    model = torch_network(arch, checkpoint)
    tensors, _ = reference.read_safetensors(stats)
    inputs = reference.preprocess(image, preprocess)
    profile, gradient = torch_full(model, inputs, LABEL, tensors["mean"], tensors["std"])
    figure, axes = plt.subplots(figsize=(10, 4))
    axes.plot(profile.numpy(), linewidth=0.5)
    axes.set(xlabel="filter", ylabel="saliency")
    figure.savefig(os.path.join(out, "profile.png"), dpi=150)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4))
    left.imshow((inputs[0] - inputs.min()).permute(1, 2, 0) / (inputs.max() - inputs.min()))
    right.imshow(reference.heat_map(gradient).numpy(), cmap="jet")
    figure.savefig(os.path.join(out, "input.png"), dpi=150)


# ---- measuring ----

class Worker:
    def __init__(self, command, environment):
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment)
        self.ready = self.process.stdout.readline().split()

    def ask(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def whole(command, environment):
    """(seconds, peak MiB) of a process of its own"""
    start = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with status {process.returncode}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def interleaved(repeats, first, second, warm=True):
    """The medians of two functions that return seconds (or tuples), called in turn"""
    if warm:
        first(), second()
    results = [(first(), second()) for _ in range(repeats)]
    if isinstance(results[0][0], tuple):
        return [tuple(statistics.median(values) for values in zip(*side)) for side in zip(*results)]
    return [statistics.median(side) for side in zip(*results)]


def prepare(folder, arch, side, preprocess, count):
    """Weights in both forms, statistics, photos"""
    import numpy as np
    import torch
    from PIL import Image
    import reference
    seed = random.SystemRandom().randrange(2 ** 31)
    rng = np.random.default_rng(seed)
    model = reference.randomise(reference.build(arch, CLASSES), seed)
    torch.save(model.state_dict(), folder / "weights.pth")
    reference.write_safetensors(str(folder / "weights.safetensors"), model.state_dict(), {"psal.arch": arch})
    length = sum(n for _, n in reference.filter_names(model))
    positive = torch.from_numpy(rng.uniform(0.5, 1, length))
    reference.write_safetensors(str(folder / "stats.safetensors"), {"mean": positive * 1e-3, "std": positive * 1e-3})
    rows = ["path,label"]
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((500, 375), Image.BICUBIC)
        coarse.save(folder / f"{number}.jpg")
        rows.append(f"{folder}/{number}.jpg,{rng.integers(CLASSES)}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")


def measure(build, folder, arch, side, preprocess, args):
    """Rows (what, psal, PyTorch, unit, ratio, bound)"""
    environment = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
    common = [arch, folder / "weights.pth"]
    psal = Worker([build / "tests/bench/bench_saliency", folder / "weights.safetensors", side, side, args.threads], environment)
    torch = Worker([sys.executable, HERE, "--worker", *common, side, args.threads, folder / "list.csv", preprocess], environment)
    rows = []

    def add(what, ours, theirs, unit, bound, invert=False):
        ratio = ours / theirs
        met = ratio >= bound if invert else ratio <= bound
        rows.append((what, ours, theirs, unit, ratio, f"{'>=' if invert else '<='} {bound}", "yes" if met else "NO"))
        print(f"{arch:13} {what:34} {ours:9.3f} {theirs:9.3f} {unit:9} {ratio:6.2f}  {rows[-1][5]:7} {rows[-1][6]}", flush=True)

    add("profile", *interleaved(args.repeats, lambda: psal.ask("profile"), lambda: torch.ask("profile")), "s", 1.2)
    add("profile + input saliency", *interleaved(args.repeats, lambda: psal.ask("full"), lambda: torch.ask("full")), "s", 0.5)
    psal.close()
    count = len((folder / "list.csv").read_text().splitlines()) - 1
    stats = [build / "tools/psal-stats", "--weights", folder / "weights.safetensors", "--data", folder / "list.csv", "--out",
             folder / "made.safetensors", "--threads", args.threads, "--preprocess", preprocess, "--quiet"]
    if stats[0].exists() and (not args.quick or arch == "resnet50"):
        # psal-stats with its start, PyTorch's loop without
        ours, theirs = interleaved(1 if args.quick else 2, lambda: whole(stats, environment)[0], lambda: torch.ask("images"), False)
        add("psal-stats / batch-1 loop", count / ours, count / theirs, "images/s", 1.3, True)
    torch.close()
    run = [build / "tools/psal-run", "--weights", folder / "weights.safetensors", "--stats", folder / "stats.safetensors",
           "--image-path", folder / "0.jpg", "--image-target-label", LABEL, "--out", folder / "figures", "--threads",
           args.threads, "--preprocess", preprocess, "--quiet"]
    script = [sys.executable, HERE, "--script", *common, folder / "0.jpg", folder / "stats.safetensors", args.threads,
              preprocess, folder]
    ours, theirs = interleaved(1 if args.quick else 3, lambda: whole(run, environment), lambda: whole(script, environment), False)
    add("whole process", ours[0], theirs[0], "s", 0.2)
    add("whole process, peak memory", ours[1], theirs[1], "MiB", 0.5)
    return rows


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


def record(tables, args):
    lines = ["# Time and memory beside PyTorch", "",
             f"`tests/bench/bench.py --repeats {args.repeats}{' --quick' if args.quick else ''}`: medians of interleaved repeats, "
             f"{args.threads} threads, {processor()}, load {os.getloadavg()[0]:.1f} when it ended. Random weights, full width, "
             "1000 classes. PyTorch's profile asks for the convolutions' gradients only; its full job is the original's way "
             "(`create_graph` over all parameters, then the cosine's gradient); its process imports, loads, preprocesses and "
             "draws two figures with matplotlib.", "",
             "| network | what | psal | PyTorch | unit | ratio | wanted | met |", "|---|---|--:|--:|---|--:|---|---|"]
    for arch, rows in tables.items():
        lines += [f"| {arch} | {what} | {ours:.3f} | {theirs:.3f} | {unit} | {ratio:.2f} | {bound} | {met} |"
                  for what, ours, theirs, unit, ratio, bound, met in rows]
    (HERE.parent / "results.md").write_text("\n".join(lines) + "\n")


def main():
    if sys.argv[1:2] == ["--worker"]:
        arch, checkpoint, side, threads, listing, preprocess = sys.argv[2:]
        return torch_worker(arch, checkpoint, int(side), int(threads), listing, preprocess)
    if sys.argv[1:2] == ["--script"]:
        arch, checkpoint, image, stats, threads, preprocess, out = sys.argv[2:]
        return torch_script(arch, checkpoint, image, stats, int(threads), preprocess, out)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--quick", action="store_true", help="whole processes once, psal-stats for ResNet-50 only")
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    tables = {}
    print(f"{'network':13} {'what':34} {'psal':>9} {'PyTorch':>9} {'unit':9} {'ratio':>6}  wanted  met")
    for arch, side, preprocess in NETWORKS:
        if args.only not in arch:
            continue
        with tempfile.TemporaryDirectory(prefix="psal-bench-") as name:
            prepare(pathlib.Path(name), arch, side, preprocess, 8 if args.quick else 24)
            tables[arch] = measure(args.build.resolve(), pathlib.Path(name), arch, side, preprocess, args)
            if args.record:
                record(tables, args)


if __name__ == "__main__":
    main()
