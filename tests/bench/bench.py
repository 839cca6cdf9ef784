#!/usr/bin/python3
"""psal beside PyTorch: time and memory, measured in the same run.

    /usr/bin/python3 tests/bench/bench.py --build DIR [--repeats N] [--threads 2,1] [--only ARCH,...] [--record]

For ResNet-50, VGG-19, DenseNet-121 and Inception-v3 (others with --only) at full width, with random weights: profile of one image, full
job (profile and input saliency), statistics over a folder, and the whole process of psal-run. PyTorch does each in two
ways: as an expert would (only the convolutions' gradients, no graph where none is needed, channels_last where that is
faster) and as the original does (create_graph over all parameters; for the input saliency the cosine's backward()).
Every job has a process of its own, whose peak memory is taken too: what it allocated, and beside it all that was resident, with the
pages of mapped files (tests/process_memory.py); repeats are interleaved, so that a busy machine hits all
alike; medians and their ratios psal / PyTorch are printed. The floor is the time that the job's floating-point operations
(of the definition, 2 per multiply-add) would take at this machine's SGEMM peak, measured in the same run; Winograd can be below
it. Between jobs bench_exchange tells how many nanoseconds a cache line takes to the other processor and back: where it is
several times as long in one row as in another, the two were measured on different machines, as it were. --record writes
tests/bench/results.md. Needs python3-torch, python3-torchvision and, for the whole process, python3-matplotlib."""
import argparse
import os
import pathlib
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
sys.path += [str(HERE.parent.parent / "parity"), str(HERE.parent.parent)]
import process_memory  # noqa: E402

FIRST = ("resnet50", "vgg19", "densenet121", "inception_v3")  # what is measured unless --only says otherwise
NEWER = ("mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "shufflenet_v2_x1_0", "regnet_y_800mf", "convnext_tiny", "vit_b_16")
# architecture, side of the image, preprocessing
NETWORKS = tuple((name, 299, "torchvision;resize=342;crop=299") if name == "inception_v3" else (name, 224, "torchvision")
                 for name in FIRST + NEWER)
CLASSES, LABEL, K, BOOST = 1000, 2, 10, 100.0
WAYS = ("expert", "original")
PROGRAMS = ("tests/bench/bench_conv2d", "tests/bench/bench_exchange", "tests/bench/bench_saliency", "tools/psal-stats", "tools/psal-run")
JOBS = ("jobs", "statistics", "processes")
QUIET = 0.2  # seconds before each job: GNU OpenMP's threads go on spinning for some milliseconds after the one before
# What is aimed at: psal / PyTorch, against the expert and the original (images per second: at least)
GOALS = {"profile": {"resnet50": (0.5, 0.4), "vgg19": (0.36, 0.33), "densenet121": (0.6, 0.45), "inception_v3": (0.6, 0.45),
                     **dict.fromkeys(NEWER, (0.5, 0.45)), **dict.fromkeys(("convnext_tiny", "vit_b_16"), (0.8, 0.7))},
         "full": {**dict.fromkeys(FIRST, (0.35, 0.27)), **dict.fromkeys(NEWER, (0.35, 0.3)),
                  **dict.fromkeys(("convnext_tiny", "vit_b_16"), (0.6, 0.5))},
         "statistics": (2.2, 3), "process": (None, 0.1), "memory": (0.4, 0.3)}


# ---- PyTorch's side, in processes of its own ----

def torch_profile(model, image, label, way):
    import torch
    import reference
    if way == "expert":
        return reference.naive_profile(model, image, label)[0]
    parameters = list(model.parameters())
    gradients = torch.autograd.grad(reference.loss_of(model(image), label), parameters, create_graph=True, allow_unused=True)
    return reference.aggregate(gradients, parameters).detach()


def torch_full(model, image, label, way, mean=None, std=None):
    import torch
    import reference
    image = image.detach().clone().requires_grad_(True)
    parameters = [p for p in model.parameters() if way == "original" or p.dim() == 4]
    loss = reference.loss_of(model(image), label)
    gradients = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
    profile = reference.standardize(reference.aggregate(gradients, parameters), mean, std, "std" if mean is not None else "naive")
    target = profile.detach().clone()
    target[torch.topk(target, K).indices] *= BOOST
    cosine = torch.nn.functional.cosine_similarity(profile, target, dim=0)
    if way == "expert":
        return profile.detach(), torch.autograd.grad(cosine, image)[0][0]
    model.zero_grad()
    cosine.backward()
    return profile.detach(), image.grad[0]


def torch_statistics(model, listing, preprocess, way):
    import reference
    welford = reference.Welford()
    for row in pathlib.Path(listing).read_text().splitlines()[1:]:
        path, label = row.rsplit(",", 1)
        welford.add(torch_profile(model, reference.preprocess(path, preprocess), int(label), way))


def torch_network(arch, checkpoint):
    """What a user's script does: torchvision's network, the checkpoint from a .pth file"""
    import torch
    import torchvision
    import reference
    extra = {"init_weights": False} if arch == "inception_v3" else {}
    model = getattr(torchvision.models, arch)(num_classes=CLASSES, **extra)
    model.load_state_dict(torch.load(checkpoint))
    return reference.differentiable_twice(model.eval())


def torch_worker(arch, checkpoint, side, threads, listing, preprocess, way, layout):
    """Answers "profile", "full" and "statistics" by the seconds they took"""
    import torch
    torch.set_num_threads(threads)
    model = torch_network(arch, checkpoint)
    image = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    if layout == "channels_last":
        model, image = (x.to(memory_format=torch.channels_last) for x in (model, image))
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.monotonic()
        if line.startswith("profile"):
            torch_profile(model, image, CLASSES // 2, way)
        elif line.startswith("full"):
            torch_full(model, image, CLASSES // 2, way)
        else:
            torch_statistics(model, listing, preprocess, way)
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
    profile, gradient = torch_full(model, inputs, LABEL, "original", tensors["mean"], tensors["std"])
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
    """A process that is asked for jobs, one line each, and answers by seconds."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment)
        if not self.process.stdout.readline():
            raise RuntimeError(f"{command[0]} did not start")
        self.memory = process_memory.Memory(self.process.pid)

    def ask(self, what):
        time.sleep(QUIET)
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        """Its peak memory in MiB: (allocated, resident)"""
        peaks = self.memory.stop()
        self.process.stdin.close()
        self.process.wait()
        return peaks


def whole(command, environment):
    """(seconds, allocated MiB, resident MiB) of a process of its own"""
    time.sleep(QUIET)
    status, seconds, memory = process_memory.run(command, env=environment, stdout=subprocess.DEVNULL)
    if status:
        raise RuntimeError(f"{command[0]} ended with status {status}")
    return seconds, memory.allocated, memory.resident


def prepare(folder, arch, count):
    """Weights in both forms, statistics, photos. In a process of its own, which has PyTorch's threads and memory to itself."""
    import numpy as np
    import torch
    from PIL import Image
    import reference
    seed = random.SystemRandom().randrange(2 ** 31)
    rng = np.random.default_rng(seed)
    model = reference.randomise(reference.build(arch, CLASSES), seed)
    torch.save(model.state_dict(), folder / "weights.pth")
    reference.write_safetensors(str(folder / "weights.safetensors"), model.state_dict(), {"psal.arch": arch, "psal.transform_input": 0})
    length = sum(n for _, n in reference.filter_names(model))
    positive = torch.from_numpy(rng.uniform(0.5, 1, length))
    reference.write_safetensors(str(folder / "stats.safetensors"), {"mean": positive * 1e-3, "std": positive * 1e-3})
    rows = ["path,label"]
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((500, 375), Image.BICUBIC)
        coarse.save(folder / f"{number}.jpg")
        rows.append(f"{folder}/{number}.jpg,{rng.integers(CLASSES)}")
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    (folder / "torch").write_text(torch.__version__)


class Bench:
    """All jobs of one network with one number of threads; rows (job, psal, expert, original, unit, floor, goals)"""

    def __init__(self, args, folder, network, threads):
        self.args, self.folder, self.threads = args, folder, threads
        self.arch, self.side, self.preprocess = network
        self.environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self.rows = []
        self.last_exchange = None
        self.exchange()

    def psal_worker(self):
        return Worker([self.args.build / "tests/bench/bench_saliency", self.folder / "weights.safetensors", self.side, self.side,
                       self.threads], self.environment)

    def torch_worker(self, way, layout="contiguous"):
        return Worker([sys.executable, HERE, "--worker", self.arch, self.folder / "weights.pth", self.side, self.threads,
                       self.folder / "list.csv", self.preprocess, way, layout], self.environment)

    def expert(self, job):
        """The faster layout, on the second try of each"""
        workers = [self.torch_worker("expert", layout) for layout in ("contiguous", "channels_last")]
        seconds = [min(worker.ask(job) for _ in range(3)) for worker in workers]
        workers.pop(seconds.index(max(seconds))).close()
        return workers[0]

    def exchange(self):
        """Nanoseconds, before and after the row's times were taken"""
        time.sleep(QUIET)
        now = int(subprocess.run([self.args.build / "tests/bench/bench_exchange"], check=True, capture_output=True).stdout)
        before, self.last_exchange = self.last_exchange or now, now
        return before, now

    def add(self, job, values, unit, floor=None, goals=(None, None), at_least=False):
        self.rows.append((job, *values, unit, floor, goals, at_least, None if unit == "MiB" else self.exchange()))
        print(row_text(self.arch, self.threads, self.rows[-1]), flush=True)

    def add_memory(self, job, peaks):
        """Of (allocated, resident) the first is what counts"""
        allocated, resident = zip(*peaks)
        self.add(f"{job}, allocated", allocated, "MiB", goals=GOALS["memory"])
        self.add(f"{job}, with mapped files", resident, "MiB")

    def jobs(self, peak):
        """One image: profile, then the full job"""
        for job, title in (("profile", "profile"), ("full", "profile + input saliency")):
            workers = [self.psal_worker(), self.expert(job), self.torch_worker("original")]
            flops = workers[0].ask(f"flops {job}")
            for worker in workers:
                worker.ask(job)
            times = zip(*([worker.ask(job) for worker in workers] for _ in range(self.args.repeats)))
            self.add(title, [statistics.median(column) for column in times], "s", flops / peak, GOALS[job][self.arch])
            self.add_memory(title, [worker.close() for worker in workers])

    def statistics(self):
        """Images per second: psal-stats with its start, PyTorch's batch-1 loops without"""
        count = len((self.folder / "list.csv").read_text().splitlines()) - 1
        command = [self.args.build / "tools/psal-stats", "--weights", self.folder / "weights.safetensors", "--data",
                   self.folder / "list.csv", "--out", self.folder / "made.safetensors", "--threads", self.threads,
                   "--preprocess", self.preprocess, "--quiet"]
        workers = [self.torch_worker(way) for way in WAYS]
        results = [[whole(command, self.environment), *(worker.ask("statistics") for worker in workers)]
                   for _ in range(self.args.processes)]
        seconds = zip(*([ours[0], *theirs] for ours, *theirs in results))
        self.add("statistics", [count / statistics.median(column) for column in seconds], "images/s",
                 goals=GOALS["statistics"], at_least=True)
        self.add_memory("statistics", [results[0][0][1:], *(worker.close() for worker in workers)])

    def processes(self):
        run = [self.args.build / "tools/psal-run", "--weights", self.folder / "weights.safetensors", "--stats",
               self.folder / "stats.safetensors", "--image-path", self.folder / "0.jpg", "--image-target-label", LABEL, "--out",
               self.folder / "figures", "--threads", self.threads, "--preprocess", self.preprocess, "--quiet"]
        script = [sys.executable, HERE, "--script", self.arch, self.folder / "weights.pth", self.folder / "0.jpg",
                  self.folder / "stats.safetensors", self.threads, self.preprocess, self.folder]
        whole(run, self.environment), whole(script, self.environment)
        results = [(whole(run, self.environment), whole(script, self.environment)) for _ in range(self.args.processes)]
        ours, theirs = ([statistics.median(column) for column in zip(*side)] for side in zip(*results))
        self.add("whole process", [ours[0], None, theirs[0]], "s", goals=GOALS["process"])
        self.add_memory("whole process", [ours[1:], (None, None), theirs[1:]])


# ---- printing ----

def ratios(row):
    """(ratio, goal or None, met) to the expert and to the original, or None"""
    job, ours, expert, original, unit, floor, goals, at_least, exchange = row
    pairs = []
    for theirs, goal in zip((expert, original), goals):
        ratio = ours / theirs if theirs else None
        met = None if ratio is None or goal is None else ratio >= goal if at_least else ratio <= goal
        pairs.append((ratio, goal, met))
    return pairs


def number(value):
    return "" if value is None else f"{value:.3f}" if value < 20 else f"{value:.0f}"


def ratio_text(ratio, goal, met, at_least):
    if ratio is None:
        return ""
    return f"{ratio:.2f}" + ("" if goal is None else f" ({'>=' if at_least else '<='} {goal}{'' if met else ', not met'})")


def row_cells(row):
    job, ours, expert, original, unit, floor, goals, at_least, exchange = row
    return [job, number(ours), number(expert), number(original), unit, *(ratio_text(*pair, at_least) for pair in ratios(row)),
            f"{ours / floor:.2f}" if floor else "", "{}, {}".format(*exchange) if exchange else ""]


def row_text(arch, threads, row):
    cells = row_cells(row)
    return (f"{arch:12} {threads} {cells[0]:38} {cells[1]:>8} {cells[2]:>8} {cells[3]:>8} {cells[4]:8} {cells[5]:24} {cells[6]:24} "
            f"{cells[7]:7} {cells[8]}")


def processor():
    flags = ""
    for line in open("/proc/cpuinfo"):
        if line.startswith("flags"):
            flags = next((name for name in ("avx512f", "avx2") if name in line), "")
        if line.startswith("model name"):
            model = line.split(":")[1].strip()
    return f"{model or platform.machine()} ({flags}, {os.cpu_count()} processors)"


def record(tables, peaks, args):
    lines = ["# Time and memory beside PyTorch", "",
             f"`tests/bench/bench.py --repeats {args.repeats} --processes {args.processes}` on {processor()}, PyTorch "
             f"{args.torch}: medians of interleaved repeats. Random weights, full width, 1000 classes; what each column "
             "is, stands at the top of the script. In brackets what is aimed at. \"x floor\": psal's time as a multiple of the "
             "time that the job's operations would take at the SGEMM peak (" +
             ", ".join(f"{peak / 1e9:.0f} GFLOP/s with {threads} thread{'s' if threads > 1 else ''}"
                       for threads, peak in peaks.items()) + ").", ""]
    for (arch, threads), rows in tables.items():
        lines += [f"## {arch}, {threads} thread{'s' if threads > 1 else ''}", "",
                  "| job | psal | expert | original | unit | psal / expert | psal / original | x floor | exchange, ns |",
                  "|---|--:|--:|--:|---|---|---|--:|--:|"]
        lines += ["| " + " | ".join(row_cells(row)) + " |" for row in rows] + [""]
    (HERE.parent / "results.md").write_text("\n".join(lines))


def sgemm_peak(build, threads):
    text = subprocess.run([build / "tests/bench/bench_conv2d", "--network", "none", "--threads", str(threads)], check=True,
                          capture_output=True, text=True).stdout
    return 1e9 * float(re.search(r"([\d.]+) GF/s\s*$", text)[1])


def main():
    if sys.argv[1:2] == ["--worker"]:
        arch, checkpoint, side, threads, listing, preprocess, way, layout = sys.argv[2:]
        return torch_worker(arch, checkpoint, int(side), int(threads), listing, preprocess, way, layout)
    if sys.argv[1:2] == ["--prepare"]:
        return prepare(pathlib.Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    if sys.argv[1:2] == ["--script"]:
        arch, checkpoint, image, stats, threads, preprocess, out = sys.argv[2:]
        return torch_script(arch, checkpoint, image, stats, int(threads), preprocess, out)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--repeats", type=int, default=7, help="of one image's jobs")
    parser.add_argument("--processes", type=int, default=3, help="repeats of statistics and of whole processes")
    parser.add_argument("--images", type=int, default=48, help="for the statistics")
    parser.add_argument("--threads", default="2,1")
    parser.add_argument("--only", default=",".join(FIRST), help=f"networks; besides the default {', '.join(NEWER)}")
    parser.add_argument("--jobs", default=",".join(JOBS), help="which of them")
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    args.build = args.build.resolve()
    for program in PROGRAMS:
        if not (args.build / program).exists():
            parser.error(f"{args.build / program} is missing: build everything with ninja -C {args.build}")
    for name, known in (("only", [network for network, _, _ in NETWORKS]), ("jobs", JOBS)):
        for word in getattr(args, name).split(","):
            if word not in known:
                parser.error(f"--{name} {word}: is none of {', '.join(known)}")
    tables, peaks = {}, {}
    print(f"{'network':12} t {'job':38} {'psal':>8} {'expert':>8} {'original':>8} {'unit':8} {'psal/expert':24} {'psal/original':24} "
          "x floor exchange")
    for threads in (int(text) for text in args.threads.split(",")):
        peaks[threads] = sgemm_peak(args.build, threads)
        for network in NETWORKS:
            if network[0] not in args.only.split(","):
                continue
            with tempfile.TemporaryDirectory(prefix="psal-bench-") as name:
                subprocess.run([sys.executable, HERE, "--prepare", name, network[0], str(args.images)], check=True)
                args.torch = pathlib.Path(name, "torch").read_text()
                bench = Bench(args, pathlib.Path(name), network, threads)
                for job in args.jobs.split(","):
                    bench.jobs(peaks[threads]) if job == "jobs" else getattr(bench, job)()
                tables[network[0], threads] = bench.rows
                if args.record:
                    record(tables, peaks, args)


if __name__ == "__main__":
    main()
