#!/usr/bin/env python3
"""The manual pages of a build: nothing to complain of for those who print them, and nothing left out.

    test_pages.py BUILD SOURCES

Prints a line for what fails, and "N passed, N failed". What man-db or mandoc would say is skipped, with a line, where they are not
there."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from checks import check, run_tests  # noqa: E402

BUILD, SOURCES = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
FOLDER = BUILD / "tools" / "manual"
PAGES = sorted(path for path in FOLDER.iterdir() if re.fullmatch(r"psal.*\.[157]", path.name))
PROGRAMS = sorted(path for path in (BUILD / "tools").glob("psal*") if path.is_file() and os.access(path, os.X_OK))
ENVIRONMENT = dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="200", OMP_WAIT_POLICY="passive")


def run(*command, **options):
    return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=ENVIRONMENT,
                          timeout=300, **options)


def help_of(program):
    return run(program, "--help").stdout


def option_names(text):
    """Those that rows of --help begin with"""
    return re.findall(r"^  (?:-\w, |    )?--([\w-]+)", text, re.M)


def source_words(page):
    """What is typed there, without the marks of the source"""
    return re.sub(r"\\f.|\\%|\\&", "", page.read_text()).replace("\\-", "-").replace("\\(aq", "'")


def test_every_program_has_a_page():
    wanted = {f"{program.name}.1" for program in PROGRAMS} | {"psal-fetch.1", "psal.7", "psal-files.5"}
    check("pages", {page.name for page in PAGES} == wanted, wanted ^ {page.name for page in PAGES})
    listed = set(re.findall(r"^  ([a-z]+) ", run(BUILD / "tools" / "psal", "--help").stdout.split("\n\n")[2], re.M))
    programs = {program.name.removeprefix("psal-") for program in PROGRAMS if program.name != "psal"} | {"fetch"}
    check("psal help lists every program (tools/commands.c)", programs == listed, programs ^ listed)


def test_options_and_completions_are_complete():
    shells = {shell: (FOLDER / shell).read_text() for shell in ("psal.bash", "_psal", "psal.fish")}
    scripts = {"psal-fetch": run(SOURCES / "weights" / "fetch", "--help").stdout}
    for name, text in [(program.name, help_of(program)) for program in PROGRAMS] + list(scripts.items()):
        words = source_words(FOLDER / f"{name}.1")
        names = option_names(text)
        check(f"{name} --help has options", len(names) >= 2, names)
        missing = [option for option in names if not re.search(rf"^(-\w, )?--{option}( |$)", words, re.M)]
        check(f"{name}.1 has every option", not missing, missing)
        parts = {"psal.bash": re.search(rf"^        {name}\) echo '(--.*)' ;;", shells["psal.bash"], re.M)[1],
                 "_psal": re.search(rf"^        {name}\) _arguments(.*?);;", shells["_psal"], re.M | re.S)[1],
                 "psal.fish": "\n".join(re.findall(rf"^complete -c {name} .*", shells["psal.fish"], re.M))}
        for shell, sign in (("psal.bash", "--"), ("_psal", "--"), ("psal.fish", "-l ")):
            missing = [option for option in names if not re.search(rf"(^|[\s)'*]){sign}{option}(?![\w-])", parts[shell])]
            check(f"{shell} has every option of {name}", not missing, missing)


def test_pages_say_what_help_says():
    """Every sentence of --help is in the page, word for word"""
    for program in PROGRAMS:
        words = " ".join(source_words(FOLDER / f"{program.name}.1").split())
        summary = " ".join(help_of(program).split("\n\n")[1].split())
        check(f"{program.name}.1 has the summary", summary in words, summary)
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "FILES", "EXAMPLES", "SEE ALSO"):
            check(f"{program.name}.1: {section}", f".SH {section}" in words)
        check(f"{program.name}.1: exit status", re.search(r"\.TP 0 everything was done", words))
        leaves_out = "skip-bad" in option_names(help_of(program)) or program.name == "psal"  # which tells of all
        check(f"{program.name}.1: status 3", leaves_out == bool(re.search(r"\.TP 3 all went well but for images", words)))


def test_examples_are_understood():
    """The programs take each command of their page, and would do it"""
    count = 0
    for page in PAGES:
        for line in re.findall(r"^psal-.*", source_words(page).partition(".SH EXAMPLES")[2].partition(".SH")[0], re.M):
            name, *arguments = line.replace('"', "").split()
            ends = "--show-settings" if "--show-settings" in source_words(page) else "--help"
            result = run(BUILD / "tools" / name, *arguments, ends, cwd=SCRATCH)
            check(f"{page.name}: {line}", result.returncode == 0, result.stderr)
            count += 1
    check("examples", count >= 20, count)


def test_lint():
    if not shutil.which("mandoc"):
        print("SKIPPED mandoc -Tlint: no mandoc")
    else:
        result = run("mandoc", "-Tlint", *PAGES)
        check("mandoc -Tlint", result.returncode == 0 and not result.stdout + result.stderr, result.stdout + result.stderr)
    if not shutil.which("shellcheck"):
        print("SKIPPED shellcheck: it is not there")
    else:
        result = run("shellcheck", "-s", "bash", FOLDER / "psal.bash")
        check("shellcheck psal.bash", result.returncode == 0, result.stdout)
    # the -Z of groff's formatter, so that nothing is paged
    if not shutil.which("man") or "--warnings" not in run("man", "--help").stdout:
        print("SKIPPED man --warnings: no man-db")
        return
    for page in PAGES:
        result = run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page)
        check(f"man --warnings {page.name}", result.returncode == 0 and not result.stderr, result.stderr)
        check(f"{page.name} is printed", len(result.stdout) > 2000, len(result.stdout))


with tempfile.TemporaryDirectory() as SCRATCH: # where no psal.json lies
    status = run_tests([test_every_program_has_a_page, test_options_and_completions_are_complete, test_pages_say_what_help_says,
                        test_examples_are_understood, test_lint], SCRATCH)
sys.exit(status)
