#!/usr/bin/env python3
"""psal-report on whole data sets, with what it costs: the box's ResNet-18 on 10,000 Fashion-MNIST images, and the real ResNet-50
(PSAL_REAL_WEIGHTS, or resnet50-keras.safetensors in psal's cache) on the 500 photos of ../shared/imagenet-sample, where they are.

    tests/e2e/test_report_slow.py TOOLS-DIR SOURCE-DIR

Two threads each. Prints the seconds (which say something on a machine that does nothing else), a line per failure and "N passed, N
failed"."""
import json
import os
import pathlib
import resource
import time

from checks import check, run_tests
from pages import look_at
from programs import network, root, run_text, scratch

FASHION = "/usr/share/datasets/fashion-mnist/t10k"
LARGEST = 10_000_000  # bytes


def cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def report(name, samples, *words):
    page = scratch / f"{name}.html"
    begin, before = time.monotonic(), cpu()
    done = run_text("psal-report", *words, "--threads", "2", "--out", page, "--quiet")
    print(f"{name}: {time.monotonic() - begin:.0f} s, {cpu() - before:.0f} s of the processor")
    check(f"{name}: status 0", done.returncode == 0, done.stderr[-500:])
    look_at(name, page)
    result = json.loads(page.with_suffix(".json").read_text())
    check(f"{name}: all samples", result["samples"] == samples and len(result["shown"]) == min(1000, result["mistakes"]), result["samples"])
    check(f"{name}: under 10 MB", page.stat().st_size < LARGEST, page.stat().st_size)
    kinds = result["kinds"]["kinds"]
    check(f"{name}: kinds with filters, maps, costs", kinds and result["maps"] and result["costs"] and result["checks"] and
          all(kind["guilty"] for kind in kinds), len(kinds))


def test_fashion():
    report("fashion", 10000, "-w", network, "-d", f"idx:{FASHION}-images-idx3-ubyte.gz,{FASHION}-labels-idx1-ubyte.gz")


def test_photos():
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    weights = pathlib.Path(os.environ.get("PSAL_REAL_WEIGHTS") or pathlib.Path(cache) / "psal/resnet50-keras.safetensors")
    photos = root.parent / "shared/imagenet-sample"
    if not weights.exists() or not photos.exists():
        print("SKIPPED photos: the real weights or ../shared/imagenet-sample are not here")
        return
    report("photos", 500, "-w", weights, "-d", photos / "labels.csv")


if __name__ == "__main__":
    raise SystemExit(run_tests((test_fashion, test_photos), scratch))
