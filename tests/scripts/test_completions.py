#!/usr/bin/env python3
"""What the Tab key does in bash, zsh and fish, with an installation's completions.

    test_completions.py PREFIX [--system]

The shells run as people run them, in a terminal, with none of their own settings: a beginning is typed, then Tab, then "echo " in front of
the line. With --system they are not told where PREFIX has the completions: they find what a package installed. Shells that are not there
are skipped, with a line. Prints a line for what fails, and "N passed, N failed"."""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from checks import check, run_tests  # noqa: E402

PREFIX = pathlib.Path(sys.argv[1]).resolve()
SHARE = PREFIX / "share"
SYSTEM = "--system" in sys.argv[2:]
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="psal-completions-"))
PATIENCE = 120  # seconds, for a busy machine

NOTHING = None  # is completed
# What is typed, and what the line is after Tab. In the working folder lie photo.png, net.onnx, table.csv and the folder pictures.
TYPED = {
    "psal-run --image-path ph": "psal-run --image-path photo.png",
    "psal-run -i ph": "psal-run -i photo.png",
    "psal-run --image-path pi": "psal-run --image-path pictures",
    "psal-run --image-path ta": NOTHING,  # a table is no image
    "psal-run --weights ne": "psal-run --weights net.onnx",
    "psal-run --out pi": "psal-run --out pictures",
    "psal-run --model incep": "psal-run --model inception_v3",
    "psal-run --conv acc": "psal-run --conv accurate",
    "psal-run --conv=acc": "psal-run --conv=accurate",
    "psal-run --compare": "psal-run --compare-random",
    "psal-run --labels fash": "psal-run --labels fashion-mnist",
    "psal-run --image-target-label sec": "psal-run --image-target-label second",
    "psal-prune --choices salient-": "psal-prune --choices salient-abs",
    "psal-check ra": "psal-check randomize",
    "psal-stats ta": NOTHING,  # tail, or the table
    "psal-convert no": "psal-convert notes.txt",
    "psal-fetch densenet": "psal-fetch densenet121",
    "psal neigh": "psal neighbors",
    "psal check ra": "psal check randomize",
    "psal run --conv acc": "psal run --conv accurate",
    "psal help neigh": "psal help neighbors",
    "psal --vers": "psal --version",
}


def make_files():
    folder = SCRATCH / "work"
    (folder / "pictures").mkdir(parents=True)
    for name in ("photo.png", "photo.txt", "net.onnx", "notes.txt", "nested.csv", "table.csv"):
        (folder / name).touch()
    return folder


class Shell:
    """One that waits for a line when it has printed READY"""

    def __init__(self, command, variables, ready):
        environment = {"PATH": f"{PREFIX}/bin:{os.environ['PATH']}", "HOME": str(SCRATCH), "TERM": "dumb", "LC_ALL": "C.UTF-8", **variables}
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(SCRATCH / "work")
            os.execvpe(command[0], command, environment)
        self.text = ""
        self.wait("")
        self.type(ready + "\n")
        self.wait("READY> ")

    def type(self, text):
        os.write(self.terminal, text.encode())

    def wait(self, pattern):
        """What came until the pattern, and it; nothing of it comes again"""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.text) if self.text else None):
            if not select.select([self.terminal], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f"no {pattern} in {self.text!r}")
            self.text += os.read(self.terminal, 4096).decode(errors="replace")
        seen, self.text = self.text[:found.end()], self.text[found.end():]
        return seen

    def complete(self, typed):
        """The line after Tab: printed by echo between marks that the line itself does not hold"""
        self.type(typed + "\t\x01echo 'BE''GIN'\x20\x05 'E''ND'\n")
        line = re.search(r"BEGIN (.*?) +END", self.wait(r"BEGIN .*? +END"), re.S)[1]
        self.wait("READY> ")
        return line.strip()

    def end(self):
        os.close(self.terminal)  # SIGHUP
        os.waitpid(self.process, 0)


def try_all(name, command, variables, ready):
    if not shutil.which(name):
        print(f"SKIPPED {name}: it is not there")
        return
    shell = Shell(command, variables, ready)
    try:
        for typed, expected in TYPED.items():
            if name == "zsh" and typed.endswith("--image-path ta"):
                continue  # where no file is of the type, zsh offers all
            line = shell.complete(typed).rstrip("/")
            check(f"{name}: {typed}", line == (expected or typed), line)
    finally:
        shell.end()


def test_bash():
    files = sorted(path.name for path in (SHARE / "bash-completion" / "completions").iterdir())
    check("bash: every program's file", all((SHARE / "bash-completion" / "completions" / path.name).exists()
                                          for path in (PREFIX / "bin").glob("psal*")), files)
    source = "; ".join(f"source '{SHARE}/bash-completion/completions/{name}'" for name in files)
    if SYSTEM:
        source = f"source '{SHARE}/bash-completion/bash_completion'"
    try_all("bash", ["bash", "--norc", "--noprofile", "-i"], {"PS1": "$ ", "INPUTRC": "/dev/null"},
            f"{source}; bind 'set bell-style none'; PS1='REA''DY> '")


def test_zsh():
    told = "" if SYSTEM else f"fpath=('{SHARE}/zsh/site-functions' $fpath); "
    try_all("zsh", ["zsh", "-f", "-i"], {"PS1": "$ "},
            f"unsetopt zle_bracketed_paste prompt_sp prompt_cr; {told}autoload -Uz compinit; "
            "compinit -u -D; setopt no_beep no_auto_list no_auto_menu; bindkey -e; PS1='REA''DY> '")


def test_fish():
    """fish tells what Tab offers without a terminal"""
    if not shutil.which("fish"):
        print("SKIPPED fish: it is not there")
        return
    environment = dict(os.environ, PATH=f"{PREFIX}/bin:{os.environ['PATH']}", HOME=str(SCRATCH), LC_ALL="C.UTF-8",
                       XDG_CONFIG_HOME=str(SCRATCH / "config"), XDG_DATA_HOME=str(SCRATCH / "data"))
    environment.update({} if SYSTEM else {"XDG_DATA_DIRS": str(SHARE)})
    lines = [f"echo 'BEGIN {typed}'; complete -C '{typed}'" for typed in TYPED]
    result = subprocess.run(["fish", "-c", "\n".join(lines)], cwd=SCRATCH / "work", env=environment, capture_output=True, text=True,
                            stdin=subprocess.DEVNULL, timeout=PATIENCE)
    check("fish", result.returncode == 0 and not result.stderr, result.stderr)
    for part in result.stdout.split("BEGIN ")[1:]:
        typed, *offers = part.splitlines()
        words = [offer.split("\t")[0].rstrip("/") for offer in offers]
        expected = TYPED[typed]
        check(f"fish: {typed}", words == [expected.split(" ")[-1]] if expected else len(words) != 1, words)


make_files()
sys.exit(run_tests([test_bash, test_zsh, test_fish], SCRATCH))
