#!/usr/bin/env python3
"""psal, the one entry point: psal NAME ... is psal-NAME ..., in everything that can be seen of it; and psal doctor.

    test_entry.py PROGRAMS SOURCES"""
import json
import os
import re
import shutil
import struct
import sys

from checks import check, run_tests
from programs import coat, network, run, run_text, scratch, tools, weights


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
    check("programs", len(programs) >= 9, programs)
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



def test_doctor():
    result = run_text("psal", "doctor")
    check("psal doctor", result.returncode == 0 and not result.stderr, result.stderr)
    for row in ("psal", "processor", "instructions", "kernels", "OpenBLAS", "libraries", "threads", "box", "cache", "memory", "self-test"):
        check(f"psal doctor: {row}", re.search(rf"^{row} {{2,}}\S", result.stdout, re.M), result.stdout)
    used = re.search(r"^instructions +(.*); used: (\w+)$", result.stdout, re.M)
    check("the box", f"{weights}: " in result.stdout, result.stdout)
    for processor in used[1].split(", "):
        tested = run_text("psal-doctor", "--processor", processor)
        check(f"--processor {processor}", tested.returncode == 0 and f"; used: {processor}\n" in tested.stdout and
              "\nself-test     passed in " in tested.stdout, tested.stderr)
    missing = next(name for name in ("neon", "avx2") if name not in used[1])
    refused = run_text("psal-doctor", "--processor", missing)
    check(f"--processor {missing}", refused.returncode == 1 and "this machine does not have it; the best that it has is" in refused.stderr
          and refused.stdout == "", refused)
    bare = run_text("psal-doctor", HOME="", XDG_CACHE_HOME="")
    check("without a cache", bare.returncode == 0 and "\ncache         none" in bare.stdout, bare)


def test_doctor_json():
    """The same facts as the text"""
    told, found = run_text("psal-doctor").stdout, json.loads(run_text("psal-doctor", "--json").stdout)
    rows = dict(re.findall(r"^(\S+) {2,}(.*)", told, re.M))
    processor, folder = found["processor"], found["box"]
    blas = found["openblas"]
    for row, text in (("psal", found["version"]), ("instructions", f"{', '.join(found['instructions']['available'])}; used: {found['instructions']['used']}"),
                      ("processor", f"{processor['usable']} of {processor['online']} processors may be used"),
                      ("OpenBLAS", f"{blas['configuration']}, core {blas['core']}, {blas['threads']}"), ("threads", str(found["threads"]["most"])),
                      ("libraries", ", ".join(" ".join(pair) for pair in found["libraries"].items())), ("memory", f"{found['memory_limit_mib']} MiB"),
                      ("box", f"{folder['path']}: {folder['files']} files of networks and statistics, {folder['bytes'] / 2**20:.1f} MiB"),
                      ("self-test", f"{found['self_test']['numbers']} numbers of {found['self_test']['arch']} ")):
        check(f"psal-doctor --json: {row}", text in rows.get(row, ""), f"{text} | {rows.get(row)}")
    for kernel in found["kernels"]:
        line = f"{kernel['layer']:9} forward {kernel['forward']}, gradients {kernel['dx']} (dx), {kernel['dw']} (dw)"
        check(f"psal-doctor --json: {kernel['layer']}", line in told, line)


def test_doctor_finds_another_network():
    """One bias is larger by 0.5, as if something were computed wrongly"""
    box = scratch / "box"
    box.mkdir()
    data = bytearray(network.read_bytes())
    length = struct.unpack("<Q", data[:8])[0]
    bias = json.loads(data[8:8 + length])["fc.bias"]
    at, kind = 8 + length + bias["data_offsets"][0], {"F16": "<e", "F32": "<f"}[bias["dtype"]]
    struct.pack_into(kind, data, at, struct.unpack_from(kind, data, at)[0] + 0.5)
    (box / network.name).write_bytes(data)
    result = run_text("psal-doctor", PSAL_BOX=str(box))
    check("another network", result.returncode == 1 and re.fullmatch(
        rf"psal-doctor: the self-test fails: logit 0 of {box}/{network.name} is 1\.14\d+ here, and 0\.645009 elsewhere\n", result.stderr),
          result.stderr)
    check("nothing passed", "self-test" not in result.stdout, result.stdout)


sys.exit(run_tests([test_commands_are_the_programs, test_every_program_is_listed_and_starts, test_wrong_commands,
                    test_a_program_that_is_not_there, test_output_that_does_not_arrive, test_doctor, test_doctor_json,
                    test_doctor_finds_another_network], scratch))
