#!/usr/bin/env python3
"""The Debian packages: built, what lintian says of them, and what is in them.

    test_packages.py BUILD SOURCES [--slow]

Without --slow they are compiled without optimisation, which takes half of the time, and not installed: test_chroot.py does that. Skipped,
with a line, where debhelper, lintian or what psal is built with is not installed as Debian's packages. Prints a line for what fails, and "N passed, N failed"."""
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
SLOW = "--slow" in sys.argv[3:]
PACKAGING = SOURCES / "tools" / "packaging"
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="psal-packages-"))
OUT, ROOT = SCRATCH / "out", SCRATCH / "root"
PACKAGES = {"psal", "libpsal0", "libpsal-dev", "psal-doc", "python3-psal"}
# What a package's own compilation has of an environment; no tests, as those of psal run beside this.
QUICK = {"DEB_BUILD_OPTIONS": "noopt noautodbgsym nocheck parallel=1", "DPKG_DEB_COMPRESSOR_TYPE": "gzip"}


def run(*command, **options):
    options.setdefault("env", dict(os.environ, LC_ALL="C.UTF-8", OMP_WAIT_POLICY="passive"))
    return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)


def test_versions():
    """meson.build has the version, and the changelog must have the same"""
    copy = SCRATCH / "copy"
    shutil.copytree(PACKAGING, copy / "tools" / "packaging")
    text = (SOURCES / "meson.build").read_text()
    version = re.search(r"version: '([\d.]+)'", text)[1]
    check("the first changelog entry's version", (PACKAGING / "debian" / "changelog").read_text().startswith(f"psal ({version}) "))
    (copy / "meson.build").write_text(text.replace(version, "7.6.5", 1))
    result = run(copy / "tools" / "packaging" / "build", "--out", SCRATCH / "none")
    check("another version", result.returncode == 1 and f"changelog ends with version {version}, meson.build says 7.6.5" in result.stderr,
          result.stderr)
    check("nothing is made then", not (SCRATCH / "none").exists())


def test_build():
    environment = dict(os.environ, **({"DEB_BUILD_OPTIONS": "parallel=2"} if SLOW else QUICK))
    for name in ("CFLAGS", "CPPFLAGS", "LDFLAGS", "OMP_NUM_THREADS"):
        environment.pop(name, None)
    result = run(PACKAGING / "build", "--out", OUT, env=environment)
    check("the packages are built", result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:])
    check("its last line names the .changes file", result.stdout.rstrip().endswith(".changes"), result.stdout[-200:])
    check("no warning of debhelper's or dpkg's", not re.findall(r"^dpkg-\w+: warning.*|^dh_\w+: warning.*", result.stdout + result.stderr, re.M),
          re.findall(r"^dpkg-\w+: warning.*|^dh_\w+: warning.*", result.stdout + result.stderr, re.M))
    found = {path.name.split("_")[0]: path for path in OUT.glob("*.deb") if "-dbgsym" not in path.name}
    check("packages", set(found) == PACKAGES, set(found) ^ PACKAGES)
    for package in found.values():
        run("dpkg-deb", "-x", package, ROOT, check=True)


def test_lintian():
    result = run("lintian", "--fail-on", "error,warning", *OUT.glob("*.changes"))
    check("lintian", result.returncode == 0 and not re.search(r"^[EW]:", result.stdout, re.M), result.stdout + result.stderr)


def test_contents():
    library, = ROOT.glob("usr/lib/*/libpsal.so.0")
    for name in ("usr/share/zsh/vendor-completions/_psal", "usr/share/bash-completion/completions/psal-run",
                 "usr/share/fish/vendor_completions.d/psal-run.fish", "usr/share/man/man1/psal-run.1.gz", "usr/share/man/man7/psal.7.gz",
                 "usr/share/man/man5/psal-files.5.gz", "usr/share/doc/psal/tools/README.md", "usr/include/psal/psal.h",
                 "usr/lib/python3/dist-packages/psal/__init__.py", "usr/share/psal/weights/sources.tsv"):
        check(name, (ROOT / name).is_file())
    programs = sorted(path for path in (ROOT / "usr" / "bin").iterdir() if not path.is_symlink())
    built = {path.name for path in (BUILD / "tools").glob("psal*") if path.is_file() and os.access(path, os.X_OK)}
    check("all programs", {path.name for path in programs} == built, {path.name for path in programs} ^ built)
    for path in programs + [library]:
        dynamic = run("readelf", "-d", path).stdout
        check(f"{path.name} looks for libraries where the system does", "NEEDED" in dynamic and "RUNPATH" not in dynamic, dynamic)
        check(f"{path.name} knows no path of its making", str(OUT).encode() not in path.read_bytes())


def test_same_numbers():
    """The compiler's flags are no part of a result"""
    profiles = {}
    library, = ROOT.glob("usr/lib/*/libpsal.so.0")
    for name, program in (("build", BUILD / "tools" / "psal-stats"), ("package", ROOT / "usr" / "bin" / "psal-stats")):
        folder = SCRATCH / name
        folder.mkdir()
        environment = dict(os.environ, OMP_WAIT_POLICY="passive", OMP_NUM_THREADS="1", PSAL_BOX=str(SOURCES / "weights"))
        if name == "package":
            environment["LD_LIBRARY_PATH"] = str(library.parent)
        result = run(program, "--quiet", "--data", SOURCES / "weights" / "fashion_samples" / "labels.csv", "--limit", 2,
                     "--out", folder / "s.safetensors", "--profiles", folder / "p.npy", env=environment)
        check(f"psal-stats of the {name}", result.returncode == 0, result.stderr)
        profiles[name] = (folder / "p.npy").read_bytes()
    check("the same bits", profiles["build"] == profiles["package"] and len(profiles["build"]) > 8 * 1200)


missing = [program for program in ("dpkg-buildpackage", "dh", "dh_python3", "lintian") if not shutil.which(program)]
if missing:
    print(f"SKIPPED: {', '.join(missing)} not there (Debian: apt install build-essential debhelper dh-python lintian)")
    sys.exit(run_tests([], SCRATCH))
needs = run("dpkg-checkbuilddeps", PACKAGING / "debian" / "control")
if needs.returncode != 0: # what psal is built with here is not all Debian's: a meson of its own, say
    print(f"SKIPPED: {needs.stderr.strip()}")
    sys.exit(run_tests([], SCRATCH))
sys.exit(run_tests([test_versions, test_build, test_lintian, test_contents, test_same_numbers], SCRATCH))
