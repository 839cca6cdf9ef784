#!/usr/bin/env python3
"""Killed, resumed, the same: `psal-stats --resume` with a store of profiles and records, `psal-run --images --resume`,
`psal-report --resume`, `psal-prune` and `psal-finetune --state --resume`.

    tests/faults/test_kills.py TOOLS-DIR SOURCE-DIR LIBRARY [--all | --number N] [--chains N] [--seed N]

Each run dies (SIGKILL) instead of one system call that changes a file: N of them (20), or all. Then it goes on with --resume,
and the outputs must be those of a run that nobody disturbed, byte for byte (times apart). A chain is killed at three moments at
random before it may end. Last, a second run to the outputs of one that is at work, and states that cannot be looked at: both must be
refused. Prints a line per failure and "N passed, N failed"."""
import collections
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import common
from common import checks

CHANGING = ("open", "write", "rename", "sync", "unlink", "truncate", "mkdir", "close")


class Kills:
    def __init__(self, options, scratch):
        self.tools, self.library, self.place = options.tools, options.library, scratch
        self.environment = common.ENVIRONMENT
        self.random = random.Random(options.seed)
        self.outcomes = collections.Counter()
        rows = common.give(options.source, scratch / "in", ("fashion_resnet18", "fashion_resnet18_stats"))
        (scratch / "in" / "list.csv").write_text("\n".join(rows) + "\n")
        (scratch / "in" / "short.csv").write_text("\n".join(rows[:4]) + "\n")
        network = ("-q", "-t", "2", "-w", "in/fashion_resnet18.safetensors")
        self.commands = {
            "psal-stats": (*network, "-d", "in/list.csv", "-o", "out/s.safetensors", "--profiles", "out/p.npy",
                           "--save-every", "0"),
            "psal-run": (*network, "-s", "in/fashion_resnet18_stats.safetensors", "--images", "in/short.csv", "-o", "out",
                         "--dump", "out/dump")}
        self.commands["psal-report"] = (*network, "-d", "in/list.csv", "--kinds", "1", "--costs", "1", "--checks", "1", "--right", "2", "--look", "4",
                                        "-o", "out/page.html")
        for program in ("psal-prune", "psal-finetune"):
            self.commands[program] = (*network, "-s", "in/fashion_resnet18_stats.safetensors", "-d", "in/list.csv", "-k", "1,5", "--first", "4",
                                      "--state", "out/s.safetensors", "--save-every", "0", "--csv", "out/t.csv", "--samples", "out/r.csv")

    def start(self, program, *more, **fault):
        environment = dict(self.environment, **fault)
        if fault:
            environment["LD_PRELOAD"] = str(self.library)
        return subprocess.Popen([str(self.tools / program), *self.commands[program], *more], cwd=self.place, env=environment,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, program, *more, **fault):
        process = self.start(program, *more, **fault)
        output, error = process.communicate(timeout=common.PATIENCE)
        return process.returncode, error

    def fresh(self):
        shutil.rmtree(self.place / "out", ignore_errors=True)
        (self.place / "out").mkdir()

    def made(self):
        """What a killed run was writing under a temporary name stays there; nobody reads it"""
        return {name: data for name, data in common.files(self.place / "out").items() if not name.endswith(".part")}

    def check(self, name, killed, reached, program):
        status, error = self.run(program, "--resume")
        found = self.made()
        differing = common.changed(found, self.wanted[program])
        self.outcomes[f"{program}: {'resumed to the same' if reached and not status and not differing else 'not reached' if not reached else 'wrong'}"] += 1
        checks.check(name, status == 0 and not differing, f"killed: {killed}; resumed: status {status}, other files {differing}: {error}")

    def points(self, program):
        """All system calls that change a file"""
        self.fresh()
        report = self.place / "count"
        report.unlink(missing_ok=True)
        status, error = self.run(program, PSAL_FAULT_COUNT=str(report))
        self.wanted[program] = self.made()
        checks.check(f"{program}: undisturbed", status == 0, error)
        counts = {words[1]: int(words[2]) for words in map(str.split, report.read_text().splitlines()) if words[0] == "class"}
        return [f"{name}:{number}:kill" for name in CHANGING for number in range(1, counts[name] + 1)]

    def at_calls(self, program, number):
        points = self.points(program)
        for point in points if number is None else self.random.sample(points, min(number, len(points))):
            self.fresh()
            status, _ = self.run(program, PSAL_FAULT=point)
            self.check(f"{program} {point}", status, status == -signal.SIGKILL, program)

    def chain(self, program, seconds):
        self.fresh()
        for attempt in range(3):
            process = self.start(program, "--resume")
            time.sleep(self.random.uniform(0, seconds))
            process.kill()
            process.communicate()
        self.check(f"{program}: killed three times", "at random", True, program)

    def two_writers(self, program):
        """The first one stands still in the middle of its work"""
        self.fresh()
        first = self.start(program)
        while not any(self.place.glob("out/*.partial")) and first.poll() is None:
            time.sleep(0.001)
        first.send_signal(signal.SIGSTOP)
        for more in ((), ("--resume",)):
            status, error = self.run(program, *more)
            lines = error.splitlines()
            checks.check(f"{program} {' '.join(more)}: a second run to the same outputs", status > 0 and len(lines) == 1
                         and re.match(rf"{program}: out/\S+: ", lines[0]), f"status {status}: {error}")
            self.outcomes[f"{program}: second run refused" if status > 0 else f"{program}: second run not refused"] += 1
        first.send_signal(signal.SIGCONT)
        first.communicate()
        checks.check(f"{program}: the first of two runs", first.returncode == 0 and self.made() == self.wanted[program],
                     f"status {first.returncode}, other files {common.changed(self.made(), self.wanted[program])}")

    def unknown_state(self):
        """What cannot be looked at (here: a link to itself) is not taken for missing: nothing begins anew in silence"""
        for program, name in (("psal-stats", "s.safetensors.partial"), ("psal-stats", "p.npy.partial"),
                              ("psal-run", "00000_bag_called_sandal/result.json")):
            self.fresh()
            link = self.place / "out" / name
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(link.name)
            status, error = self.run(program, "--resume")
            left = sorted(common.files(self.place / "out"))
            checks.check(f"{program} --resume: {name} is a link to itself", status > 0 and len(error.splitlines()) == 1 and name in error
                         and not left, f"status {status}, left {left}: {error}")


def kill_all(options, scratch):
    kills = Kills(options, scratch)
    kills.wanted = {}
    for program in kills.commands:
        begin = time.monotonic()
        kills.at_calls(program, None if options.all else options.number)
        kills.fresh()
        begin = time.monotonic()
        kills.run(program)
        seconds = time.monotonic() - begin
        for _ in range(options.chains):
            kills.chain(program, seconds)
    kills.two_writers("psal-stats")
    kills.unknown_state()
    print(f"seed {options.seed}: " + ", ".join(f"{count} {name}" for name, count in sorted(kills.outcomes.items())))


def main():
    parser = common.options(20)
    parser.add_argument("--chains", type=int, default=3)
    return common.main(parser, kill_all)


if __name__ == "__main__":
    sys.exit(main())
