#!/usr/bin/env python3
"""psal-prune and psal-finetune over a data set in parts, and interrupted: the same tables and JSON as of one run that nobody disturbed.

    tests/e2e/test_edit_runs.py TOOLS-DIR SOURCE-DIR [--slow]

Parts by hand, by Slurm's environment, and one without mistakes; killed at random moments and resumed (--slow: 20 times each; tests/faults
kills at every system call); ended by a signal; and what does not belong together. Needs nothing beside Python. Prints a line per failure
and "N passed, N failed"."""
import random
import re
import shutil
import signal
import struct
import sys
import time
import zlib

from checks import check, run_tests
from programs import bag, lines_of, long_list, network, run_text as run, samples, scratch, start, wait_for

SLOW = "--slow" in sys.argv
DATA = samples / "labels.csv"
SETTINGS = {"psal-prune": ("--data", DATA, "-k", "1,7", "-c", "salient,random,least", "--right", 3, "--how", "noise", "--noise-scale", 0.5),
            "psal-finetune": ("--data", DATA, "-k", "1,7", "--draws", 2, "--relative", 0.1, "--right", 3, "--neighbors", 2)}
place = scratch / "runs"


def fresh():
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()


def tables(program, *more, name="t"):
    """(JSON, tables and figure) that a run makes; None when it fails"""
    files = [place / f"{name}.csv", place / f"{name}.samples.csv", place / f"{name}.svg"]
    done = run(program, *SETTINGS[program], *more, "--csv", files[0], "--samples", files[1], "--figure", files[2], "--json", "--quiet")
    check(f"{program} {' '.join(map(str, more))}", done.returncode == 0, done.stderr)
    return (done.stdout, *(path.read_bytes() for path in files)) if done.returncode == 0 else None


def test_parts():
    for program, settings in SETTINGS.items():
        fresh()
        whole = tables(program)
        for count in (3, 9):  # of 8 mistakes
            state = place / f"of-{count}.st"
            for part in range(count, 0, -1):
                done = run(program, *settings, "--state", state, "--shard", f"{part}/{count}", "--threads", part % 2 + 1)
                check(f"{program} part {part}", done.returncode == 0 and f"part {part} of {count}:" in done.stdout
                      and "of 8 mistakes measured" in done.stdout, done.stdout + done.stderr)
            parts = sorted(place.glob(f"of-{count}.part-*"))
            random.Random(count).shuffle(parts)
            check(f"{program}: {count} parts", len(parts) == count and tables(program, "merge", *parts, name="m") == whole, parts)
        done = run(program, *settings, "--state", state, "--shard", "auto", "--resume", SLURM_ARRAY_TASK_ID="3", SLURM_ARRAY_TASK_COUNT="9",
                   SLURM_ARRAY_TASK_MIN="1", SLURM_ARRAY_TASK_MAX="9")
        check(f"{program}: a finished part ends at once", done.returncode == 0 and "part 3 of 9" in done.stdout
              and " mistakes (" not in done.stderr, done.stderr)
        check(f"{program}: a finished run gives its tables again", tables(program, "--state", place / "one.st")
              == tables(program, "--state", place / "one.st", "--resume", name="m") == whole)


def test_until_correct():
    """Searches that find nothing (NaN), and medians"""
    fresh()
    words = ("--data", DATA, "-k", 4, "-c", "salient,least", "--until-correct", "--json", "--quiet")
    whole = run("psal-finetune", *words)
    for part in (1, 2):
        run("psal-finetune", *words[:-2], "--state", place / "s.st", "--shard", f"{part}/2", "--quiet")
    merged = run("psal-finetune", *words, "merge", *sorted(place.glob("s.part-*")))
    check("--until-correct in parts", whole.returncode == 0 and whole.stdout == merged.stdout, whole.stderr + merged.stderr)


def test_kills():
    """kill -9 at random moments, each time gone on with"""
    seed = random.randrange(1 << 30)
    moments = random.Random(seed)
    for program, settings in SETTINGS.items():
        fresh()
        whole = tables(program)
        begin = time.monotonic()
        tables(program, "--state", place / "s.st")
        seconds = time.monotonic() - begin
        (place / "s.st").unlink()
        killed = 0
        while killed < (20 if SLOW else 3):
            process = start(program, *settings, "--state", place / "s.st", "--resume", "--save-every", 0, "--quiet")
            time.sleep(moments.uniform(0, seconds))
            process.kill()
            process.communicate()
            killed += 1
            if process.returncode == 0:  # it was done before: anew
                (place / "s.st").unlink()
        check(f"{program}: killed {killed} times (seed {seed})", tables(program, "--state", place / "s.st", "--resume", name="m") == whole)
        check(f"{program}: no lock is left", not list(place.glob("*.lock")))


def test_signal():
    """The first signal ends it with what it has done kept"""
    many = long_list(times=50)
    for program in SETTINGS:
        fresh()
        words = (program, "--data", many, "-k", "1,7", "--state", place / "s.st", "--save-every", 0)
        process = start(*words, "--threads", 1)
        there = wait_for((place / "s.st").exists, process)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate()
        lines = [line for line in lines_of(error) if line.startswith(f"{program}: ")]
        check(f"{program}: interrupted", there and process.returncode == -signal.SIGINT and len(lines) == 2 and
              "of 400 mistakes are kept in" in lines[0] and lines[1] == f"{program}: interrupted", error.decode())
        size = (place / "s.st").stat().st_size
        process = start(*words, "--resume")
        check(f"{program}: goes on", wait_for(lambda: (place / "s.st").stat().st_size > size, process))
        process.send_signal(signal.SIGSTOP)  # in the middle of its work, however busy the machine is
        other = run(*words, "--resume")
        check(f"{program}: two at once", other.returncode == 1 and len(lines_of(other.stderr.encode())) >= 1 and "s.st" in other.stderr,
              other.stderr)
        process.kill()
        process.communicate()


def refuse(says, program, *arguments):
    done = run(program, *arguments, "--quiet")
    lines = done.stderr.splitlines()
    check(f"{program} {' '.join(map(str, arguments))}", done.returncode == 1 and len(lines) == 1 and lines[0].startswith(f"{program}: ")
          and all(word in lines[0] for word in says) and not done.stdout, f"status {done.returncode}: {done.stdout}{done.stderr}")


def refuse_hubs(parts):
    """The most frequent neighbour is that of all mistakes: the same in all parts, and possible"""
    changed = place / "changed.st"
    hub = re.search(rb'"psal.hub":"([1-8])"', parts[1].read_bytes())[1].decode()
    for other in ("9", "1" if hub != "1" else "2"):
        changed.write_bytes(parts[1].read_bytes().replace(f'"psal.hub":"{hub}"'.encode(), f'"psal.hub":"{other}"'.encode()))
        refuse((changed.name, "damaged", f"psal.hub is {other}", "8 mistakes"), "psal-finetune", *SETTINGS["psal-finetune"], "merge", parts[0],
               changed, parts[2])


def of_length(picture, length):
    """The PNG with a text in it that makes it so many bytes"""
    text = b"tEXtpad\0" + b"x" * (length - len(picture) - 20)
    return picture[:-12] + struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text)) + picture[-12:]


def test_replaced_pictures():
    """By another of the same name and size: of a mistake, and of a right sample"""
    fresh()
    folder = place / "pictures"
    shutil.copytree(samples, folder)
    for name in ("bag_called_sandal.png", "trouser.png"):
        before, other = ((samples / file).read_bytes() for file in (name, "coat_called_dress.png"))
        for program, settings in SETTINGS.items():
            state = place / f"{program}.st"
            words = (program, *settings, "--data", folder / "labels.csv", "--right", 100, "--state", state, "--quiet")
            (folder / name).write_bytes(of_length(before, 2000))
            check(f"{program}: before", run(*words).returncode == 0 and run(*words, "--resume").returncode == 0)
            (folder / name).write_bytes(of_length(other, 2000))
            refuse((state.name, "another run", "an image in it has changed"), *words, "--resume")
            state.unlink()


def test_refusals():
    other = scratch / "other.csv"
    other.write_text("".join(line if i == 0 else f"{samples}/{line}" for i, line in enumerate(DATA.open()) if i != 1))
    fresh()
    for program, settings in SETTINGS.items():
        state = place / f"{program}.st"
        for part in (1, 2, 3):
            run(program, *settings, "--state", state, "--shard", f"{part}/3", "--quiet")
        run(program, *settings, "--state", state, "--quiet")
        parts = sorted(place.glob(f"{program}.part-*"))
        refuse(("part 2 of 3 is missing",), program, *settings, "merge", parts[0], parts[2])
        refuse((parts[1].name, "part 2, and so is"), program, *settings, "merge", *parts[:2], parts[1])
        refuse((state.name, "one of 1 parts"), program, *settings, "merge", parts[0], state)
        refuse((parts[0].name, "another run", "--k is '1,7', but here it is '1,8'"), program, *settings, "-k", "1,8", "merge", *parts)
        refuse((parts[0].name, "another run", "--seed"), program, *settings, "--seed", 2, "merge", *parts)
        refuse((parts[0].name, "another run", "--layers"), program, *settings, "--layers", "layer3", "merge", *parts)
        refuse((parts[0].name, "another run", "data set"), program, *settings, "--data", other, "merge", *parts)
        refuse((state.name, "another run", "--right is '3', but here it is '2'"), program, *settings, "--right", 2, "--state", state, "--resume")
        refuse((parts[0].name, "another run", "shards"), program, *settings, "--state", parts[0], "--resume")
        changed = place / "version.st"
        changed.write_bytes(re.sub(rb'"psal.version":"[^"]*"', lambda found: b'"psal.version":"0"'.ljust(len(found[0])), parts[1].read_bytes()))
        refuse((changed.name, "another run", "its version of psal is '0'"), program, *settings, "merge", parts[0], changed, parts[2])
        refuse((bag.name,), program, *settings, "merge", bag)
        if program == "psal-finetune":  # whose contents a state does not know
            refuse(("--normalized-stats does not go with --state",), program, *settings, "--similarity", "normalized", "--normalized-stats",
                   network, "--state", state)
        refuse((network.name, "not a state"), program, *settings, "merge", network)
        for name in ("--csv", "--samples", "--figure"):
            refuse((name, "merge"), program, *settings, "--state", state, "--shard", "1/2", name, place / "x.png")
        refuse(("--json", "merge"), program, *settings, "--state", state, "--shard", "1/2", "--json")
        refuse(("--state", "merge measures nothing"), program, *settings, "--state", place / "new.st", "merge", *parts)
        refuse(("merge needs",), program, *settings, "merge")
        refuse(("'marge'", "merge"), program, *settings, "marge", *parts)
        refuse(("--state", "--data"), program, "--state", state)
        refuse(("merge", "--data"), program, "merge", *parts)
        refuse(("--state", "only one"), program, *settings, "--state", state, "--first", 1)
        for option in (("--resume",), ("--shard", "1/2"), ("--save-every", 1)):
            refuse((option[0], "needs --state"), program, *settings, *option)
        refuse(("--shard 3/2",), program, *settings, "--state", state, "--shard", "3/2")
        refuse(("--state", "no ordinary file"), program, *settings, "--state", "/dev/null")
    refuse_hubs(sorted(place.glob("psal-finetune.part-*")))
    refuse(("not a state of a run of psal-prune",), "psal-prune", *SETTINGS["psal-prune"], "merge", place / "psal-finetune.st")
    refuse(("--sample", "--state"), "psal-finetune", *SETTINGS["psal-finetune"], "--sample", 0, "--state", place / "new.st")


if __name__ == "__main__":
    sys.exit(run_tests((test_parts, test_until_correct, test_kills, test_signal, test_replaced_pictures, test_refusals), scratch))
