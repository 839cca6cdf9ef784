#!/usr/bin/env python3
"""The exit statuses of all programs, as tools/README.md and the manual pages list them: 0, 1 failed, 2 not understood, 3 images left out,
and 130, 143, 129 (of a shell) after a signal.

    tests/e2e/test_status.py TOOLS-DIR SOURCE-DIR"""
import re
import shutil
import signal
import subprocess
import time

from checks import check, run_tests
from programs import bag, command, environment, jobs, long_list, network, root, run_text, samples, scratch, start, tools

PROGRAMS = sorted(path.name for path in tools.glob("psal*") if path.is_file() and not path.suffix)
NONE = scratch / "none.png"
# (program, arguments) that leave an image out
LEAVES_OUT = (("psal-run", "--mode", "naive", "--figures", "none", "--out", "bad_run", "--images"),
              ("psal-stats", "--quiet", "--out", "bad.st", "--data"), ("psal-init", "-w", network, "--replace", "--out", "bad.json", "--no-store", "--data"),
              ("psal-prune", "--k", "1", "--choices", "salient", "--data"), ("psal-finetune", "--k", "1", "--choices", "salient", "--data"),
              ("psal-check", "ablate", "--filters", "2", "--data"),
              ("psal-report", "-w", network, "--look", "0", "--costs", "0", "--checks", "0", "--out", "bad.html", "--data"))
# The same programs, at work on many images
WORKS = (*LEAVES_OUT, ("psal-prune", "--k", "1", "--choices", "salient", "--state", "p.state", "--data"),
         ("psal-finetune", "--k", "1", "--choices", "salient", "--state", "f.state", "--data"))


def test_every_program():
    for program in PROGRAMS:
        for arguments, status in ((["--help"], 0), (["--version"], 0), (["--nonsense"], 2)):
            done = run_text(program, *arguments)
            check(f"{program} {arguments[0]}", done.returncode == status and bool(done.stderr) == (status != 0), f"{done.returncode}: {done.stderr}")
    folder = scratch / "jobs"
    folder.mkdir()
    for program, arguments in jobs(folder):
        done = run_text(program, *arguments)
        check(f"{program}: done", done.returncode == 0, f"{done.returncode}: {done.stderr}")
        file = "--store" if program == "psal-neighbors" else "--weights"
        wrong = ["none.st", "out.st"] if program == "psal-convert" else [*arguments, file, "none.st"]
        done = run_text(program, *wrong)
        check(f"{program}: failed", done.returncode == 1 and "none.st" in done.stderr, f"{done.returncode}: {done.stderr}")
    shutil.rmtree(folder)


def test_images_left_out():
    title, *rows = (samples / "labels.csv").read_text().splitlines()
    (scratch / "bad.csv").write_text("\n".join([title, f"{NONE},3"] + [f"{samples}/{row}" for row in rows]) + "\n")
    for program, *arguments in LEAVES_OUT:
        done = run_text(program, *arguments, "bad.csv")
        check(f"{program}: a bad image is a failure", done.returncode == 1 and str(NONE) in done.stderr, f"{done.returncode}: {done.stderr}")
        done = run_text(program, *arguments, "bad.csv", "--skip-bad")
        check(f"{program} --skip-bad", done.returncode == 3 and str(NONE) in done.stderr, f"{done.returncode}: {done.stderr}")
    with_option = {program for program in PROGRAMS if "--skip-bad" in run_text(program, "--help").stdout}
    check("all programs with --skip-bad", with_option == {program for program, *_ in LEAVES_OUT} | {"psal-neighbors"}, with_option)


def test_signals():
    images = long_list()
    for number in (signal.SIGINT, signal.SIGTERM):
        for program, *arguments in WORKS:
            process = start(program, *arguments, images)
            time.sleep(0.5)
            alive = process.poll() is None
            process.send_signal(number)
            said = process.communicate(timeout=300)[1].decode()
            check(f"{program}: signal {number}", alive and process.returncode == -number, f"{process.returncode}: {said}")
    # as a shell sees it
    line = " ".join(f"'{word}'" for word in command("psal-stats", "--quiet", "--out", "s.st", "--data", images))
    done = subprocess.run(["bash", "-c", f"{line} & sleep 0.5; kill -TERM $!; wait $!"], cwd=scratch, env=environment, capture_output=True, text=True)
    check("143 in a shell", done.returncode == 143, f"{done.returncode}: {done.stderr}")


def test_they_are_listed():
    section = (root / "tools/README.md").read_text().split("**Exit status.**")[1].split("**Interruptions.**")[0]
    listed = [number for row in re.findall(r"^\| ([\d, ]+) \|", section, re.M) for number in row.split(", ")]
    check("tools/README.md lists them", listed == ["0", "1", "2", "3", "130", "143", "129"], listed)


if __name__ == "__main__":
    raise SystemExit(run_tests((test_they_are_listed, test_every_program, test_images_left_out, test_signals), scratch))
