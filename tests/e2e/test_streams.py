#!/usr/bin/env python3
"""What every program does with its standard streams, with signals and with the way in which it was started.

    tests/e2e/test_streams.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import csv
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys

from checks import check, run_tests
from programs import (bag, command, environment, jobs, leftovers, lines_of, long_list, network, read_tensors, root, run, scratch, start,
                      store, tools, wait_for, with_json, write_tensors)


def contents(folder):
    """result.json tells times, and a report its own paths"""
    return {str(path.relative_to(folder)): path.read_bytes().replace(bytes(folder), b"") for path in folder.rglob("*") if path.is_file()
            and path.name != "result.json"}


def test_closed_streams():
    """The same files whatever was closed; what was to be printed and could not is an error"""
    whole = scratch / "whole"
    whole.mkdir()
    for program, arguments in jobs(whole):
        done = run(program, *arguments)
        check(f"{program}: as usual", done.returncode == 0 and done.stdout, lines_of(done))
    expected = contents(whole)
    for closed in ((0,), (1,), (2,), (0, 1, 2)):
        folder = scratch / "closed"
        folder.mkdir()
        for program, arguments in jobs(folder):
            done = run(program, *arguments, prepare=lambda: [os.close(stream) for stream in closed])
            said = lines_of(done)
            check(f"{program} without {closed}: status", done.returncode == (1 if 1 in closed else 0), f"{done.returncode}: {said}")
            check(f"{program} without {closed}: a line", 2 in closed or 1 not in closed or
                  (len(said) == 1 and said[0].startswith(f"{program}: standard output: cannot be written: ")), said)
        check(f"without {closed}: the same files", contents(folder) == expected and not leftovers(folder),
              [name for name in expected if contents(folder).get(name) != expected[name]])
        shutil.rmtree(folder)


def fails(name, program, *arguments, **options):
    done = run(program, *arguments, **options)
    said = lines_of(done)
    check(name, done.returncode == 1 and len(said) == 1 and said[0].startswith(f"{program}: "), f"{done.returncode}: {said}")


def test_output_that_cannot_be_written():
    """A full disk, a reader that has gone, a file that is only read, a limit: status 1 and one line, always"""
    folder = scratch / "unwritable"
    folder.mkdir()
    reading, writing = os.pipe()
    os.close(reading)
    (scratch / "empty").write_bytes(b"")
    with open("/dev/full", "wb") as full, open(scratch / "empty", "rb") as only_read, os.fdopen(writing, "wb") as gone:
        for program, arguments in jobs(folder):
            ways = [("--help", ["--help"]), ("--version", ["--version"]), ("its output", arguments)]
            ways += [("--json", [*arguments, "--json"])] if program in with_json else []
            for what, words in ways:
                fails(f"{program}: {what} > /dev/full", program, *words, stdout=full)
                fails(f"{program}: {what} | nobody", program, *words, stdout=gone)
                if words != arguments:
                    fails(f"{program}: {what} > what is only read", program, *words, stdout=only_read)
            if os.environ.get("PSAL_TEST_FULL_DISK") == "0":
                continue
            with open(scratch / "some", "wb") as some:  # the first write succeeds
                fails(f"{program}: --help beyond a limit", program, "--help", stdout=some,
                      prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
            check(f"{program}: what was written", (scratch / "some").read_bytes() == run(program, "--help").stdout[:1000])
    check("nothing half-written", not leftovers(folder), leftovers(folder))


def test_reader_that_goes():
    """psal-run | head -1: no death by a signal, the files are whole"""
    for program, arguments in jobs(scratch):
        folder = scratch / "head"
        folder.mkdir()
        job = next(words for name, words in jobs(folder) if name == program)
        process = start(program, *job)
        process.stdout.read(1)
        process.stdout.close()
        said, status = process.stderr.read(), process.wait()
        process.stderr.close()
        check(f"{program} | head", status == 0 or (status == 1 and len(lines_of(said)) == 1), f"{status}: {said}")
        check(f"{program} | head: files", contents(folder) and not leftovers(folder), leftovers(folder))
        shutil.rmtree(folder)


def test_limit_on_files():
    """A limit on the size of files is an error that names the file, not a death by SIGXFSZ"""
    if os.environ.get("PSAL_TEST_FULL_DISK") == "0":
        print("SKIPPED limits on files: this OpenMP needs a file of its own")
        return
    for limit in (0, 100, 5000):
        folder = scratch / "limit"
        folder.mkdir()
        for program, arguments in jobs(folder):
            done = run(program, *arguments, prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
                       variables=dict(environment, OMP_NUM_THREADS="1"))
            said = lines_of(done)
            small = done.returncode == 0  # a table may fit
            check(f"{program} with {limit} bytes", small or (done.returncode == 1 and said[-1:] and str(folder) in said[-1]),
                  f"{done.returncode}: {said}")
        check(f"{limit} bytes: nothing left", not leftovers(folder), leftovers(folder))
        shutil.rmtree(folder)


def test_signals():
    """What ends a program takes its temporary files along; psal-stats keeps its work; nohup is obeyed"""
    images = long_list()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        folder = scratch / f"signal{number}"
        folder.mkdir()
        process = start("psal-run", "--quiet", "-w", network, "--mode", "naive", "--images", images, "--out", folder / "run")
        came = wait_for(lambda: any((folder / "run").glob("*/result.json")), process)
        process.send_signal(number)
        said = process.communicate()[1]
        check(f"psal-run: signal {number}", came and process.returncode == -number, f"{process.returncode}: {said}")
        check(f"psal-run: signal {number}: nothing left", not leftovers(folder), leftovers(folder))
        arguments = ["psal-stats", "--quiet", "--data", images, "--out", folder / "s.st", "--profiles", folder / "p.npy", "--save-every", 0.2]
        saved = 0
        for more in ([], ["--resume"]):
            process = start(*arguments, *more)
            came = wait_for(lambda: (folder / "s.st.partial").exists() and (folder / "s.st.partial").stat().st_mtime_ns > saved, process)
            started = (folder / "s.st.partial").stat().st_mtime_ns  # before the work; what is saved next is work
            came = came and wait_for(lambda: (folder / "s.st.partial").stat().st_mtime_ns > started, process)
            saved = (folder / "s.st.partial").stat().st_mtime_ns
            process.send_signal(number)
            said = process.communicate()[1].decode()
            check(f"psal-stats {more}: signal {number}", came and process.returncode == -number and "interrupted" in said,
                  f"{process.returncode}: {said}")
            check(f"psal-stats {more}: signal {number}: its work is kept", leftovers(folder) == ["p.npy.partial", "s.st.partial"],
                  leftovers(folder))
        shutil.rmtree(folder)
    folder = scratch / "nohup"
    folder.mkdir()
    process = start("psal-stats", "--quiet", "--data", images, "--out", folder / "s.st", "--save-every", 0.2,
                    preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    came = wait_for((folder / "s.st.partial").exists, process)
    process.send_signal(signal.SIGHUP)
    before = (folder / "s.st.partial").stat().st_mtime_ns
    check("nohup", came and wait_for(lambda: (folder / "s.st.partial").stat().st_mtime_ns > before, process))
    process.send_signal(signal.SIGTERM)
    process.communicate()


# What a terminal would obey, or take for another line: C0 and C1 controls, delete, the separators, what reorders text; and bytes that are no text.
evil = ["\x1b[31m", "\x1b]0;title\x07", "\x9b2J", "\x85", "\x7f", "\u202e", "\u2066", "\u2028", "\r", "\x08"]


def dangerous(output):
    """Characters in it that are not just drawn"""
    return sorted({f"U+{ord(c):04X}" for c in output.decode("utf-8", errors="surrogateescape")
                   if (ord(c) < 0x20 and c != "\n") or 0x7f <= ord(c) < 0xa0 or ord(c) in (0x2028, 0x2029, 0x200e, 0x200f, 0x61c, 0xfeff)
                   or 0x202a <= ord(c) <= 0x202e or 0x2066 <= ord(c) <= 0x2069 or 0xd800 <= ord(c) < 0xe000})


def test_what_a_run_costs():
    """A run of more than a minute says so after its first steps, in one line"""
    runs = [(start(*words), words, counted) for words, counted in (
        (["psal-prune", "--how", "noise", "--draws", 10000, "-c", "random", "-k", "1-16"], "160000 runs of the edited network"),
        (["psal-finetune", "--draws", 10000, "--steps", 20], "60006 runs of the edited network"),
        (["psal-check", "mask", "--draws", 10000, "--percent", "5,10,20,30"], "80004 masks"),
        (["psal-run", "--noise-iters", 100000, "--noise-percent", 0.1, "--out", scratch / "cost"], "100000 noisy copies"))]
    for process, words, counted in runs:
        said = process.stderr.readline().decode()
        check(" ".join(map(str, words)), re.fullmatch(
            f"{words[0]}: {counted}" r": about [\d: d]+ in all, judging by the first \d+; [\d: d]+ left\n", said), said)
    for process, _, _ in runs:
        process.kill()
        process.communicate()


def test_text_from_outside():
    """Names of files and classes, metadata, tables: nothing of them reaches a terminal but what can be drawn"""
    folder = scratch / "text"
    folder.mkdir()
    names = ["".join(evil) + "a\nFORGED\n", "b" + evil[2] + evil[5], "c" + evil[0] + evil[3]]
    picture = folder / (names[0] + ".png")
    shutil.copy(bag, picture)
    with open(folder / "list.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["path", "label"], [picture.name, 8], [f"{names[1]}.png", 5]])
    (folder / f"{names[1]}.png").write_bytes(b"no picture " + names[1].encode())
    classes = folder / "classes.csv"
    with open(classes, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["name"]] + [["".join(evil[i % 10:]) + f"class {i}"] for i in range(10)])
    header, values = read_tensors(network)
    header["__metadata__"].update({"format": names[2], "psal.labels": names[1], "psal.variant": names[2]})
    header[names[1] + ".bias"] = {"dtype": "F32", "shape": [1], "data_offsets": [len(values), len(values) + 4]}
    forged = write_tensors(folder / f"{names[2]}.st", header, values + bytes(4))
    odd = os.fsencode(folder) + b"/\xff\xfe\x1b[2J.st"
    shutil.copy(network, odd)
    made = store(folder)
    # A store whose table calls its samples and classes something.
    shutil.copy(made, folder / "p.npy")
    with open(f"{made}.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    where = rows[0].index("path")
    for i, row in enumerate(rows[1:]):
        row[where] = f"{names[i % 3]}{i}.png"
    with open(folder / "p.npy.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    kinds = [("psal-run", ["-w", network, "--mode", "naive", "-i", picture, "-l", 8, "--out", folder / names[1]]),
             ("psal-run", ["-w", network, "--mode", "naive", "-i", picture, "-l", 8, "--out", folder / "o", "--json"]),
             ("psal-run", ["-w", network, "--mode", "naive", "-i", bag, "--out", folder / "o", "--labels", classes]),
             ("psal-run", ["-w", network, "--mode", "naive", "-i", bag, "--out", folder / "o", "--labels", classes, "--json"]),
             ("psal-run", ["-w", network, "--mode", "naive", "-i", bag, "-l", names[0], "--out", folder / "o"]),
             ("psal-run", ["-w", network, "--mode", "naive", "--images", folder / "list.csv", "--skip-bad", "--out", folder / names[2]]),
             ("psal-run", ["-w", forged, "--mode", "naive", "-i", bag, "--out", folder / "o"]),
             ("psal-run", ["-w", odd, "--mode", "naive", "-i", bag, "--out", folder / "o", "--dump", folder / names[0]]),
             ("psal-run", [f"--{names[1]}"]), ("psal-run", ["--mode", names[0]]), ("psal-run", [names[0]]),
             ("psal-stats", ["-w", network, "--data", folder / "list.csv", "--skip-bad", "--out", folder / names[1], "--records", folder / "r"]),
             ("psal-stats", ["-w", forged, "--data", folder / "list.csv", "--out", folder / "s"]),
             ("psal-stats", ["--data", folder / names[2], "--out", folder / "s"]),
             ("psal-stats", ["merge", folder / names[0], forged, odd]), ("psal-stats", [names[0]]),
             ("psal-neighbors", ["--store", folder / "p.npy", "--query", "0-3", "--labels", classes]),
             ("psal-neighbors", ["--store", folder / "p.npy", "--query", "0-3", "--labels", classes, "--json"]),
             ("psal-neighbors", ["--store", folder / "p.npy", "--query", names[0]]),
             ("psal-neighbors", ["--store", folder / "p.npy", "--query", "0", "--sheet", folder / "x.png"]),
             ("psal-prune", ["--data", folder / "list.csv", "--skip-bad", "--k", "5", "--choices", "salient", "--labels", classes]),
             ("psal-prune", ["-i", picture, "-l", 8, "--k", "5", "--choices", names[1]]),
             ("psal-prune", ["-i", picture, "-l", 8, "--k", "5", "--choices", "salient", "--labels", classes, "--json"]),
             ("psal-finetune", ["-i", picture, "-l", 8, "--k", "5", "--choices", "salient", "--labels", classes]),
             ("psal-finetune", ["-i", picture, "-l", 8, "--k", "5", "--choices", "salient", "--delta", forged]),
             ("psal-convert", [forged, folder / names[0]]), ("psal-convert", [odd, folder / "c.st"]),
             ("psal-convert", [folder / "classes.csv", folder / "c.st"]), ("psal-convert", [picture, folder / names[2]])]
    printed = 0
    for program, arguments in kinds:
        done = subprocess.run([*command(program), *[word if isinstance(word, bytes) else os.fsencode(str(word)) for word in arguments]],
                              cwd=folder, env=environment, capture_output=True, timeout=600)
        output = done.stdout + done.stderr
        check(f"{program} {arguments[-2:]!r}", output and not dangerous(output), f"{dangerous(output)} in {output!r}")
        check(f"{program} {arguments[-2:]!r}: no forged line", b"\nFORGED" not in output, output)
        printed += b"FORGED" in output
        if "--json" in arguments:
            check(f"{program}: JSON", done.returncode == 0 and json.loads(done.stdout), output)
    check("the names were printed", printed >= 8, printed)
    # What is a file stays exact.
    summary = list(csv.reader(open(folder / names[2] / "summary.csv", newline="", encoding="utf-8")))
    check("a table is exact", any(names[0] in field for row in summary for field in row), summary)


def test_one_way_to_the_terminal():
    """No program prints text but with psal_print, so that the rule above holds for whatever comes"""
    for path in sorted((root / "tools").glob("*.c")):
        if path.name in ("print.c", "options_help.c"):  # the rule itself, and the programs' own words
            continue
        found = re.findall(r'(?<![a-z_])(?:f?printf|v?fprintf)\((?:[^;"]|"(?:[^"\\]|\\.)*")*;', path.read_text())
        check(path.name, not [call for call in found if re.search(r"%[-0-9.*]*s", call)], found)


def test_ways_of_starting():
    """By another loader, under another name, where the program's file has gone: it starts itself again only where that can be done"""
    plain = {key: value for key, value in environment.items() if not key.startswith(("OMP_", "GOMP_"))}
    loaders = [path for path in (text.decode() for text in re.findall(rb"/[\w/.-]*/ld-[\w.-]+", (tools / "psal-run").read_bytes()))
               if os.path.exists(path)]
    folder = scratch / "started"
    folder.mkdir()
    for program, arguments in jobs(folder):
        for loader in loaders[:1]:
            done = subprocess.run([loader, *command(program, *arguments)], env=plain, capture_output=True, timeout=600)
            check(f"{loader} {program}", done.returncode == 0 and done.stdout, f"{done.returncode}: {done.stderr}")
        done = subprocess.run(command(program, *arguments), executable=command(program)[0], env=plain, capture_output=True, timeout=600)
        check(f"{program} by itself", done.returncode == 0, done.stderr)
        done = subprocess.run(["another name", *command(program, *arguments)[1:]], executable=command(program)[0], env=plain,
                              capture_output=True, timeout=600)
        check(f"{program} under another name", done.returncode == 0, done.stderr)
    if not loaders:
        print("SKIPPED another loader: none is where this test looks")
    # Its own name stays: what a second process sees of it.
    process = subprocess.Popen(["another name", *command("psal-stats", "--quiet", "--data", long_list(), "--out", folder / "x.st",
                                                         "--save-every", 0.1)[1:]], executable=command("psal-stats")[0], env=plain,
                               stderr=subprocess.DEVNULL)
    came = wait_for((folder / "x.st.partial").exists, process)
    with open(f"/proc/{process.pid}/cmdline", "rb") as file:
        name = file.read().split(b"\0")[0]
    check("argv[0] stays", came and name == b"another name", name)
    process.terminate()
    process.wait()


def test_number_of_threads():
    """More threads than there can be, as the environment may ask for: the same files as with one"""
    made = {}
    for number in ("1", "100000", "2147483647"):
        folder = scratch / "threads"
        folder.mkdir()
        for program, arguments in jobs(folder):
            done = run(program, *arguments, variables=dict(environment, OMP_NUM_THREADS=number))
            check(f"{program} with OMP_NUM_THREADS={number}", done.returncode == 0, f"{done.returncode}: {lines_of(done)}")
        made[number] = contents(folder)
        check(f"OMP_NUM_THREADS={number}: the same files", made[number] == made["1"] and len(made["1"]) > 5, sorted(made[number]))
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(run_tests((test_closed_streams, test_output_that_cannot_be_written, test_reader_that_goes, test_limit_on_files,
                        test_signals, test_what_a_run_costs, test_text_from_outside, test_one_way_to_the_terminal, test_ways_of_starting,
                        test_number_of_threads), scratch))
