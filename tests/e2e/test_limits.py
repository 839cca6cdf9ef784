#!/usr/bin/env python3
"""Little address space, and checkpoints that demand much memory: every program works or ends with one line, and soon.

    tests/e2e/test_limits.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python; not for builds with sanitizers, which reserve address space of their own. Prints a line per failure
and "N passed, N failed"; the status is 1 when one failed."""
import resource
import shutil
import sys

from checks import check, run_tests
from programs import (bag, jobs, leftovers, lines_of, network, read_tensors, run, samples, scratch, store, weights,
                      write_tensors)

MIB = 1 << 20


def space(mib):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (mib * MIB, mib * MIB))


def test_address_space():
    """From what holds no library to what is plenty, at every number of threads"""
    works = {}
    for mib in (30, 60, 100, 150, 200, 250, 300, 330, 360, 400, 450, 500, 600, 700, 800, 1000, 1500, 2500, 4000):
        folder = scratch / "space"
        folder.mkdir()
        for program, arguments in jobs(folder):
            threads = ["--threads", "3"] if program != "psal-convert" and mib % 100 else []
            done = run(program, *arguments, *threads, prepare=space(mib))
            said = lines_of(done)
            # Below what the libraries themselves take, the system's loader says so, in a line of its own.
            check(f"{program} in {mib} MiB", done.returncode == 0 and not said or done.returncode in (1, 127) and len(said) == 1,
                  f"{done.returncode}: {said}")
            works[program, mib] = done.returncode == 0
        check(f"{mib} MiB: nothing left", not leftovers(folder), leftovers(folder))
        shutil.rmtree(folder)
    for program, _ in jobs(scratch):
        check(f"{program} works in 2500 MiB", works[program, 2500])
    # OpenBLAS gets a buffer for each thread that calls it: too many threads are an error, not a wait without end.
    done = run("psal-run", "--quiet", "-w", network, "--mode", "naive", "-i", bag, "--threads", 64, "--out", scratch / "x", prepare=space(2000))
    said = lines_of(done)
    check("64 threads in 2000 MiB", done.returncode == 1 and len(said) == 1 and "64 threads" in said[0] and "--threads" in said[0], said)


def demanding(name, source, size):
    header, values = read_tensors(source)
    header["__metadata__"]["psal.preprocess"] = f"torchvision;resize={size};crop={size}"
    return write_tensors(scratch / name, header, values)


def test_memory_of_a_checkpoint():
    """What the metadata demands is held against what there is, and the way out is said"""
    folder = scratch / "memory"
    folder.mkdir()
    for source in ("resnet18", "vgg19", "densenet121"):
        large = demanding(f"large_{source}.st", weights / f"fashion_{source}.safetensors", 16384)
        for program, arguments in (("psal-run", ["--mode", "naive", "-i", bag, "--out", folder / "o"]),
                                   ("psal-stats", ["--data", samples / "labels.csv", "--out", folder / "s.st"]),
                                   ("psal-prune", ["-i", bag, "-l", 8, "--k", 5, "--stats", store(folder).parent / "s.st"]),
                                   ("psal-finetune", ["-i", bag, "-l", 8, "--k", 5, "--stats", store(folder).parent / "s.st"]),
                                   ("psal-neighbors", ["--store", store(folder), "-i", bag])):
            done = run(program, "-w", large, *arguments, "--threads", 1, prepare=space(1500))
            said = lines_of(done)
            # Statistics of another network are refused before or after, whichever comes first.
            check(f"{program} {source}", done.returncode == 1 and len(said) == 1, f"{done.returncode}: {said}")
            if program in ("psal-run", "psal-stats"):
                check(f"{program} {source}: why", "more than the limit of" in said[0] and "ulimit -v" in said[0] and
                      said[0].endswith(": --memory-limit MIB allows more"), said)
        done = run("psal-run", "-w", large, "--mode", "naive", "-i", bag, "--out", folder / "o", "--memory-limit", 100)
        said = lines_of(done)
        check(f"{source}: a limit that was given", done.returncode == 1 and "the limit of 100.0 MiB: --memory-limit MIB allows more" in said[0],
              said)
    check("nothing left", not leftovers(folder) and not list(folder.rglob("*.png")), leftovers(folder))
    for most in ([], ["--memory-limit", 200]):
        done = run("psal-run", "--quiet", "-w", network, "--mode", "naive", "-i", bag, "--out", folder / "o", *most, prepare=space(1500))
        check(f"a usual network {most}", done.returncode == 0, lines_of(done))


if __name__ == "__main__":
    sys.exit(run_tests((test_address_space, test_memory_of_a_checkpoint), scratch))
