#!/usr/bin/python3
"""psal-stats over ImageNet photos: images a second with one and two threads beside PyTorch's batch-1 loop, and peak memory
over the number of images.

    /usr/bin/python3 tests/bench/bench_stats.py --build DIR [--images N] [--repeats N] [--memory LIST]

The real ResNet-50 (PSAL_REAL_WEIGHTS, or resnet50-keras.safetensors in psal's cache) on ../shared/imagenet-sample. Repeats are
interleaved, so that a busy machine hits all alike; the best of each is printed, since what else runs can only slow down.
psal-stats counts with its start, records and store; PyTorch's loop without."""
import argparse
import os
import pathlib
import sys
import tempfile
import time

import bench

HERE = pathlib.Path(__file__).resolve()
SAMPLE = HERE.parent.parent.parent.parent / "shared" / "imagenet-sample" / "labels.csv"


def torch_worker(weights, listing, threads):
    """Answers each line by the seconds that the loop took"""
    import torch
    import reference
    torch.set_num_threads(int(threads))
    model, metadata = reference.load_network(weights)
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.monotonic()
        bench.torch_statistics(model, listing, metadata["psal.preprocess"], "expert")
        print(time.monotonic() - start, flush=True)


def main():
    if sys.argv[1:2] == ["--worker"]:
        return torch_worker(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--images", type=int, default=100, help="for the speed")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", default="50,100,500", help="numbers of images whose peak memory is measured")
    args = parser.parse_args()
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    weights = pathlib.Path(os.environ.get("PSAL_REAL_WEIGHTS") or pathlib.Path(cache) / "psal" / "resnet50-keras.safetensors")
    for needed in (weights, SAMPLE, args.build / "tools" / "psal-stats"):
        if not needed.exists():
            raise SystemExit(f"bench_stats.py: {needed} is not here")
    rows = SAMPLE.read_text().splitlines()[1:]
    counts = [int(text) for text in args.memory.split(",")]
    if max(counts + [args.images]) > len(rows) or args.repeats < 1:
        raise SystemExit(f"bench_stats.py: there are {len(rows)} images")
    with tempfile.TemporaryDirectory(prefix="psal-bench-") as name:
        folder = pathlib.Path(name)
        listing = folder / "list.csv"
        listing.write_text("path,label\n" + "".join(f"{SAMPLE.parent}/{row}\n" for row in rows[:args.images]))

        def stats(images, threads):
            """(seconds, allocated MiB, resident MiB)"""
            return bench.whole([args.build.resolve() / "tools" / "psal-stats", "--quiet", "--weights", weights, "--data", SAMPLE,
                                "--first", images, "--threads", threads, "--out", folder / "s.safetensors",
                                "--profiles", folder / "p.npy"], environment)

        environment = dict(os.environ, OMP_NUM_THREADS="2")
        torch = bench.Worker([sys.executable, HERE, "--worker", weights, listing, 2], environment)
        one, two, loop = [], [], []
        for _ in range(args.repeats):
            one.append(stats(args.images, 1)[0])
            two.append(stats(args.images, 2)[0])
            loop.append(torch.ask("images"))
        torch.close()
        rate = [args.images / min(seconds) for seconds in (one, two, loop)]
        print(f"{bench.processor()}, {args.images} images, best of {args.repeats}, load {os.getloadavg()[0]:.1f} when it ended")
        print(f"psal-stats, 1 thread      {rate[0]:7.2f} images/s")
        print(f"psal-stats, 2 threads     {rate[1]:7.2f} images/s   {rate[1] / rate[0]:.2f} x one thread (wanted: 1.8)")
        print(f"PyTorch loop, 2 threads   {rate[2]:7.2f} images/s   psal-stats is {rate[1] / rate[2]:.2f} x as fast (wanted: 1.5)")
        for count in counts:
            seconds, allocated, resident = stats(count, 2)
            print(f"{count:5} images, 2 threads  {allocated:7.0f} MiB allocated, {resident:.0f} with mapped files, {seconds:.1f} s",
                  flush=True)


if __name__ == "__main__":
    main()
