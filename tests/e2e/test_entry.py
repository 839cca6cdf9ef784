#!/usr/bin/env python3
"""psal, the one entry point: psal NAME ... is psal-NAME ..., in everything that can be seen of it.

    test_entry.py PROGRAMS SOURCES"""
import json
import os
import shutil
import sys

from checks import check, run_tests
from programs import coat, run, run_text, scratch, tools


def without_seconds(text):
    return {name: value for name, value in json.loads(text).items() if not name.startswith("seconds")}


def test_commands_are_the_programs():
    arguments = ("--json", "--figures", "none", "--image-path", coat, "--out", scratch / "figures")
    direct, through = run("psal-run", *arguments), run("psal", "run", *arguments)
    check("psal run --json", direct.returncode == through.returncode == 0 and direct.stderr == through.stderr, through.stderr)
    check("the same result", without_seconds(direct.stdout) == without_seconds(through.stdout) != {}, through.stdout[:200])
    for argument in ("--no-such-option", "--version", "--help"):
        direct, through = run("psal-run", argument), run("psal", "run", argument)
        check(f"psal run {argument}", (through.returncode, through.stdout, through.stderr) ==
              (direct.returncode, direct.stdout, direct.stderr), through.stderr)
    check("psal help run", run("psal", "help", "run").stdout == run("psal-run", "--help").stdout)
    check("psal --help run", run("psal", "--help", "run").stdout == run("psal-run", "--help").stdout)


def test_every_program_is_listed_and_starts():
    text = run_text("psal", "help")
    check("psal help", text.returncode == 0 and "\nCommands:\n" in text.stdout, text.stderr)
    check("psal --help", run_text("psal", "--help").stdout == text.stdout)
    programs = [path.name for path in tools.glob("psal-*") if path.is_file() and os.access(path, os.X_OK)]
    check("programs", len(programs) >= 8, programs)
    for name in programs:
        command = name.removeprefix("psal-")
        check(f"psal help lists {command}", f"\n  {command} " in text.stdout)
        result = run_text("psal", command, "--version")
        check(f"psal {command}", (result.returncode, result.stdout) == (0, f"{name} {run_text('psal', '--version').stdout.split()[1]}\n"),
              result.stderr)


def test_wrong_commands():
    for arguments, line in {
        (): "psal: which command? psal help lists them all",
        ("",): "psal: which command? psal help lists them all",
        ("nieghbors",): "psal: unknown command 'nieghbors', did you mean 'neighbors'?; psal help lists them all",
        ("RUN",): "psal: unknown command 'RUN', did you mean 'run'?; psal help lists them all",
        ("help", "rum"): "psal: unknown command 'rum', did you mean 'run'?; psal help lists them all",
        ("zzzzzz",): "psal: unknown command 'zzzzzz'; psal help lists them all",
        ("../tools/psal-run",): "psal: unknown command '../tools/psal-run'; psal help lists them all",
        ("--no-such",): "psal: unknown command '--no-such'; psal help lists them all",
        ("\x1b[31m",): "psal: unknown command '?[31m'; psal help lists them all",
        ("r" * 5000,): f"psal: unknown command '{'r' * 100}'; psal help lists them all",
    }.items():
        result = run_text("psal", *arguments)
        check(f"psal {str(arguments)[:40]}", (result.returncode, result.stdout, result.stderr) == (2, "", line + "\n"), result)


def test_a_program_that_is_not_there():
    """Of a folder with psal alone; it is found by its own place, not by the PATH"""
    folder = scratch / "alone"
    folder.mkdir()
    os.link(tools / "psal", folder / "psal") if os.stat(tools).st_dev == os.stat(folder).st_dev else shutil.copy(tools / "psal", folder)
    library = next((tools.parent).glob("libpsal.so*")).parent
    result = run_text(folder / "psal", "run", PATH=f"{tools}:{os.environ['PATH']}", LD_LIBRARY_PATH=str(library))
    check("psal-run is missing", (result.returncode, result.stderr) ==
          (1, f"psal: {folder}/psal-run cannot be started: No such file or directory\n"), result)


def test_output_that_does_not_arrive():
    for arguments in (("help",), ("--version",), ("help", "run")):
        with open("/dev/full", "wb") as full:
            result = run("psal", *arguments, stdout=full)
        check(f"psal {arguments} > /dev/full", result.returncode == 1 and b"standard output: cannot be written" in result.stderr, result)


sys.exit(run_tests([test_commands_are_the_programs, test_every_program_is_listed_and_starts, test_wrong_commands,
                    test_a_program_that_is_not_there, test_output_that_does_not_arrive], scratch))
