#!/usr/bin/env python3
"""The manuals, checked: every README.md and the other .md files of the project.

    test_manuals.py SOURCES BUILD [COMPILER ARGUMENTS...]

- every relative link opens, and its #part is a heading there; those of weights/, which is installed, stay in that folder; the walk of engine/README.md names functions that its files have;
- the commands run: all blocks ```sh (but those marked ```sh not run here) and all table cells that begin with build/tools/ or
  weights/fetch, in their order, one shell per manual, in a folder that looks like a clone with a build;
- the options that a section "## `PROGRAM`" names are in that program's --help, and those in a user's manual are some program's;
- the C example of tools/README.md compiles, prints what stands there, and reports errors;
- the first manual stays short, every folder has one, and the top level holds nothing else.
Prints a line for what fails, and "N passed, N failed"."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from checks import check, run_tests  # noqa: E402

SOURCES, BUILD = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
COMPILER = sys.argv[3:] or ["cc"]
FOLDERS = ("engine", "models", "saliency", "io", "tools", "tests", "weights")
FILES = ("meson.build", "meson_options.txt", "README.md", "LICENSE")
SHORT = 9000  # bytes of the first manual
USERS = ("README.md", "tools/README.md", "saliency/README.md", "io/README.md", "models/README.md")
SCRIPTS = ("tools/quickstart", "tests/run", "weights/fetch")
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="psal-manuals-"))
MANUALS = [SOURCES / "README.md"] + sorted(path for folder in FOLDERS for path in (SOURCES / folder).rglob("*.md"))


def name_of(path):
    return str(path.relative_to(SOURCES))


def parts(path):
    """(language and more, text) of each fenced block, ("", line) of each other line"""
    found, fence = [], None
    for line in path.read_text().splitlines():
        if fence is None and line.startswith("```"):
            fence, block = line[3:].strip(), []
        elif fence is not None and line.startswith("```"):
            found.append((fence or "text", "\n".join(block) + "\n"))
            fence = None
        elif fence is not None:
            block.append(line)
        else:
            found.append(("", line))
    check(f"{name_of(path)}: every block ends", fence is None, fence)
    return found


def prose(path):
    return "\n".join(text for fence, text in parts(path) if not fence)


def anchors(path):
    """What GitHub calls the headings"""
    titles = re.findall(r"^#+ +(.*?) *$", prose(path), re.M)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower()).replace(" ", "-") for title in titles}


def run(command, **options):
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)


# ---- links ----

def test_links():
    count = 0
    for manual in MANUALS:
        for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", prose(manual))):
            if "://" in link:
                continue
            count += 1
            path, _, part = link.partition("#")
            target = manual.parent / path if path else manual
            check(f"{name_of(manual)} links to {link}", manual.parent.name != "weights" or not path.startswith(".."),
                  "weights/ is installed without the other folders")
            opens = target.is_dir() or (target.is_file() and os.access(target, os.R_OK))
            inside = SOURCES == target.resolve() or SOURCES in target.resolve().parents
            check(f"{name_of(manual)} links to {link}", opens and inside and not path.startswith("/"), "it is not there")
            if part and opens:
                check(f"{name_of(manual)} links to {link}", target.suffix == ".md" and part in anchors(target), "no such heading")
    check("links were found", count > 100, count)


# ---- the walk ----

def test_walk():
    """Tables "| step | file | function |": each function named is in one of its row's files"""
    rows = [row for manual in MANUALS for row in walk_rows(manual)]
    for manual, files, functions in rows:
        paths = [path for file in files for path in ((manual.parent / file).glob("*.[ch]") if file.endswith("/") else
                                                     [manual.parent / file])]
        text = "".join(path.read_text() for path in paths if path.is_file())
        for function in functions:
            check(f"{name_of(manual)}: {function} is in {', '.join(files)}", re.search(rf"\b{function}\b", text))
    check("the walk was found", len(rows) >= 8, len(rows))


def walk_rows(manual):
    inside = False
    for fence, line in parts(manual):
        inside = not fence and line.startswith("|") and (inside or line == "| step | file | function |")
        cells = line.split("|")
        if inside and len(cells) == 5 and "](" in cells[2]:
            yield manual, re.findall(r"\]\(([^)#]+)\)", cells[2]), re.findall(r"`(\w+)`", cells[3])


# ---- commands ----

def commands_of(manual):
    lines = []
    for fence, text in parts(manual):
        if fence == "sh":
            lines.append(text)
        elif not fence and text.startswith("|"):
            lines += [cell + "\n" for cell in re.findall(r"`((?:build/tools/|weights/fetch --)[^`]*)`", text)]
    return "".join(lines)


def test_commands():
    count = 0
    for number, manual in enumerate(MANUALS):
        script = commands_of(manual)
        if not script:
            continue
        count += script.count("build/tools/")
        clone, temporary = SCRATCH / f"clone{number}", SCRATCH / f"tmp{number}"
        clone.mkdir(), temporary.mkdir()
        for folder in FOLDERS:
            (clone / folder).symlink_to(SOURCES / folder)
        (clone / "build").symlink_to(BUILD)
        if manual == SOURCES / "tools" / "README.md":
            (clone / "explain.c").write_text(example("c"))
        start = time.monotonic()
        done = run(["bash", "-euo", "pipefail", "-c", "trap 'echo \"stopped at: $BASH_COMMAND\" >&2' ERR\n" +
                    script.replace("/tmp/", f"{temporary}/")], cwd=clone, env={**os.environ, **compiler_environment()})
        check(f"{name_of(manual)}: its commands", done.returncode == 0, done.stderr[-2000:])
        print(f"commands of {name_of(manual)}: {time.monotonic() - start:.1f} s")
    check("commands were found", count > 15, count)


def compiler_environment():
    """`cc` of the manuals is the compiler of the build"""
    folder = SCRATCH / "bin"
    if not folder.exists():
        folder.mkdir()
        # with the PATH of before: ccache would find this very file as `cc`
        (folder / "cc").write_text(f"#!/bin/sh\nPATH={shlex.quote(os.environ['PATH'])} exec {shlex.join(COMPILER)} \"$@\"\n")
        (folder / "cc").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"} if len(COMPILER) > 1 or COMPILER[0] != "cc" else {}


# ---- options ----

def programs():
    paths = [SOURCES / script for script in SCRIPTS]
    return paths + sorted(path for path in (BUILD / "tools").glob("psal-*") if path.is_file() and os.access(path, os.X_OK))


def test_options():
    everything, sections = "", {}
    manual = SOURCES / "tools" / "README.md"
    for fence, text in parts(manual):
        if not fence and text.startswith("## "):
            title = text[3:].strip("` ")
        elif not fence and "title" in locals():
            sections[title] = sections.get(title, "") + text + "\n"
    for path in programs():
        name = name_of(path) if SOURCES in path.parents and BUILD not in path.parents else path.name
        help_text = run([path, "--help"])
        check(f"{name} --help", help_text.returncode == 0, help_text.stderr)
        everything += help_text.stdout
        flat = re.sub(r"\s+", " ", help_text.stdout)
        twice = re.search(r"(several times|given again|repeatable)[^.]{0,40}[.)][^-]{0,80}May be given several times", flat)
        check(f"{name} --help says once that an option may be repeated", not twice, twice and twice[0])
        check(f"{name} --help calls nothing `the box`, which no manual explains", "the box" not in flat)
        check(f"tools/README.md has a section about {name}", name in sections)
        for option in sorted(set(re.findall(r"--[a-z][a-z0-9-]*", sections.get(name, "")))):
            check(f"tools/README.md: {name} has {option}", re.search(re.escape(option) + r"(?![a-z0-9-])", help_text.stdout))
    check("programs were found", len(programs()) >= 9, programs())
    for manual in USERS:
        for option in sorted(set(re.findall(r"`[^`]*?(--[a-z][a-z0-9_-]*)", prose(SOURCES / manual)))):
            known = re.search(re.escape(option.replace("_", "-")) + r"(?![a-z0-9-])", everything)
            check(f"{manual}: some program has {option}", known)


# ---- the C example ----

def example(fence):
    found = [text for kind, text in parts(SOURCES / "tools" / "README.md") if kind == fence]
    check(f"tools/README.md has one block {fence}", len(found) == 1, len(found))
    return found[0] if found else ""


def test_example():
    source, program = SCRATCH / "explain.c", SCRATCH / "explain"
    source.write_text(example("c"))
    environment = {**os.environ, "PKG_CONFIG_PATH": str(BUILD / "meson-uninstalled")}
    flags = run(["pkg-config", "--cflags", "--libs", "psal"], env=environment).stdout.split()
    done = run([*COMPILER, "-std=c17", "-Wall", "-Wextra", "-Werror", source, *flags, f"-Wl,-rpath,{BUILD}", "-o", program])
    check("the C example compiles without warnings", done.returncode == 0, done.stderr)
    network, picture = SOURCES / "weights/fashion_resnet18.safetensors", SOURCES / "weights/fashion_samples/bag_called_sandal.png"
    done = run([program, network, picture, "8"])
    check("the C example prints what stands there", done.returncode == 0 and done.stdout == example("text explain"), done)
    for wrong in ([SCRATCH / "absent", picture, "8"], [network, SCRATCH / "absent", "8"], [network, picture, "10"]):
        done = run([program, *wrong])
        check("the C example reports errors, and frees what it had until then",
              done.returncode == 1 and not done.stdout and done.stderr.count("\n") == 1, done)


# ---- where the manuals are ----

def test_places():
    check(f"README.md has at most {SHORT} bytes", (SOURCES / "README.md").stat().st_size <= SHORT,
          (SOURCES / "README.md").stat().st_size)
    first = prose(SOURCES / "README.md")
    for folder in (*FOLDERS, "tests/bench", "tests/experiments"):
        check(f"{folder} has a manual", (SOURCES / folder / "README.md").is_file())
        check(f"README.md leads to {folder}", f"({folder}/README.md" in first)
    tracked = run(["git", "ls-files"], cwd=SOURCES) if shutil.which("git") and (SOURCES / ".git").exists() else None
    if not tracked or tracked.returncode or not tracked.stdout:
        print("SKIPPED: what the top level holds (not a git clone)")
        return
    top = {line.split("/")[0] for line in tracked.stdout.splitlines()}
    check("the top level holds what it should", top == {*FOLDERS, *FILES} | {name for name in top if name.startswith(".")},
          sorted(top ^ {*FOLDERS, *FILES}))


if __name__ == "__main__":
    sys.exit(run_tests([test_links, test_walk, test_commands, test_options, test_example, test_places], SCRATCH))
