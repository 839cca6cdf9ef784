"""What test_faults.py and test_kills.py share: their options, the folder they work in, its inputs, and how outputs are compared."""
import argparse
import datetime
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import checks  # noqa: E402

TIMES = [(re.compile(rb'("seconds": \{)[^}]*\}'), rb"\1}"), (re.compile(rb'("seconds_\w+": )[-0-9.e]+'), rb"\1 0"),
         (re.compile(rb"^seconds   .*$", re.M), b"seconds")]
PATIENCE = 60
ENVIRONMENT = dict(os.environ, OMP_WAIT_POLICY="passive", OMP_NUM_THREADS="2", LC_ALL="C.UTF-8")


def options(number):
    """The parser of what both understand; `number`: how many failures by default"""
    parser = argparse.ArgumentParser()
    for name in ("tools", "source", "library"):
        parser.add_argument(name, type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--number", type=int, default=number)
    parser.add_argument("--seed", type=int, default=datetime.date.today().toordinal())
    return parser


def main(parser, work):
    """work(options, a folder of its own); the exit status"""
    given = parser.parse_args()
    why = cannot_trap(given)
    if why:
        print(f"SKIPPED: {why}")
        return 77
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="psal-faults-"))
    try:
        work(given, scratch)
        return checks.finish()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def give(source, folder, networks):
    """The box's samples and these of its networks, in a new folder; the lines of the samples' list"""
    folder.mkdir()
    samples = source / "weights" / "fashion_samples"
    for path in [*samples.glob("*.png"), *(source / "weights" / f"{name}.safetensors" for name in networks)]:
        shutil.copy(path, folder)
    return (samples / "labels.csv").read_text().splitlines()


def cannot_trap(given):
    """Why calls cannot be made to fail on this machine; None where they can"""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([str(given.tools / "psal-convert"), "--version"], capture_output=True, text=True, env=dict(
            os.environ, LD_PRELOAD=str(given.library), OMP_WAIT_POLICY="passive", PSAL_FAULT_COUNT=f"{folder}/count"))
    return done.stderr.strip() if done.returncode == 77 else None


def without_times(data):
    for pattern, replacement in TIMES:
        data = pattern.sub(replacement, data)
    return data


def files(folder):
    """{name: bytes} of all files below, without times"""
    return {str(path.relative_to(folder)): without_times(path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()}


def changed(found, wanted):
    return sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
