#!/usr/bin/env python3
"""The Debian packages in a new system of this machine's release: installed, used as a user does, and removed; there those for arm64 are
compiled.

    test_chroot.py BUILD SOURCES [--packages DIR] [--system DIR]

Packages that were built already are in DIR (tools/packaging/build made them); DIR of --system is kept, and used again if it is there. The
new system comes from the mirrors that this machine's apt knows. Skipped, with a line, where that cannot be: without root, debootstrap or
network. Prints a line for what fails, and "N passed, N failed"."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from checks import check, run_tests  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("build", type=pathlib.Path)
parser.add_argument("sources", type=pathlib.Path)
parser.add_argument("--packages", type=pathlib.Path)
parser.add_argument("--system", type=pathlib.Path)
settings = parser.parse_args()
BUILD, SOURCES = settings.build.resolve(), settings.sources.resolve()
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="psal-chroot-"))
PACKAGES = settings.packages.resolve() if settings.packages else SCRATCH / "packages"
ROOT = settings.system.absolute() if settings.system else SCRATCH / "root"
NAMES = ("psal", "libpsal0", "libpsal-dev", "psal-doc", "python3-psal")
TOOLS = "bash-completion fish g++ gcc libc6-dev man-db pkg-config python3 zsh"  # what the packages are used with
# What apt, dpkg and the caches of others (fonts, manual pages) have of any installation.
NOT_LISTED = ("/dev", "/home", "/proc", "/sys", "/tmp", "/root", "/var/cache", "/var/lib/apt", "/var/lib/dpkg", "/var/log", "/etc/ld.so.cache")
# One mount namespace for each command: nothing stays mounted, whatever happens.
# The sources are its /mnt.
ENTER = """mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc" && mount --bind "$3" "$1/mnt" && exec chroot "$1" sh -c "$2" """


def run(*command, **options):
    return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", **options)


def inside(script):
    """A script as root in the new system"""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    environment |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    return run("unshare", "--mount", "--pid", "--fork", "sh", "-c", ENTER, "sh", ROOT, script, SOURCES, env=environment)


def works(what, script, pattern=""):
    """What a user does who is not root; the output must hold the pattern"""
    (ROOT / "tmp" / "script").write_text(f"cd ~ && {script}\n")
    result = inside("runuser -l tester -c '. /tmp/script'")
    check(what, result.returncode == 0 and re.search(pattern, result.stdout), (result.stdout + result.stderr)[-1500:])
    return result.stdout


def files():
    """All that lies in the new system"""
    listed = inside("find / -xdev").stdout.splitlines()
    return {path for path in listed if not path.startswith(NOT_LISTED) and ("/__pycache__" not in path or "/psal/" in path)}


def make_system():
    """None, or why there is none"""
    for name in ("debootstrap", "unshare", "dpkg-buildpackage", "dh"):
        if not shutil.which(name):
            return f"no {name}"
    if os.geteuid() != 0:
        return "not root"
    release = re.search(r"^VERSION_CODENAME=(\S+)", pathlib.Path("/etc/os-release").read_text(), re.M)
    targets = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(CODENAME) $(COMPONENT) $(ORIGIN)", "Identifier: Packages")
    mirrors = sorted({tuple(line.split()[:3]) for line in targets.stdout.splitlines() if line.endswith(" main Debian")})
    first = next((address for address, _, codename in mirrors if release and codename == release[1]), None)
    if not first:
        return "apt knows no mirror of Debian's"
    if not (ROOT / "etc" / "debian_version").exists():
        made = run("debootstrap", "--variant=minbase", release[1], ROOT, first)
        if made.returncode != 0:
            return "debootstrap failed: " + (made.stderr.strip().splitlines() or made.stdout.strip().splitlines() or [""])[-1]
    (ROOT / "etc" / "apt" / "sources.list").write_text("".join(f"deb {address} {codename} main\n" for address, _, codename in mirrors))
    if inside("true").returncode != 0:
        return "mounting is not allowed here"
    return None


def test_install():
    if not settings.packages:
        environment = dict(os.environ, DEB_BUILD_OPTIONS=os.environ.get("DEB_BUILD_OPTIONS", "parallel=2"))
        built = run(SOURCES / "tools" / "packaging" / "build", "--out", PACKAGES, env=environment)
        check("the packages are built", built.returncode == 0, built.stderr[-2000:])
        check("with psal-doctor's self-test", re.search(r"self-test +passed", built.stdout),
              built.stdout[-500:])
    result = inside(f"apt-get -q update && apt-get -qy install --no-install-recommends {TOOLS} && (id tester || useradd -m tester)")
    check("a system to install it in", result.returncode == 0, result.stderr[-1500:])
    global before
    before = files()
    folder = ROOT / "tmp" / "packages"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in NAMES:
        package, = PACKAGES.glob(f"{name}_*.deb")
        shutil.copy(package, folder)
    result = inside("cd /tmp/packages && apt-get -qy install --no-install-recommends ./*.deb")
    check("apt-get install ./*.deb", result.returncode == 0, (result.stdout + result.stderr)[-1500:])
    shutil.copytree(SOURCES / "weights" / "fashion_samples", ROOT / "tmp" / "samples", dirs_exist_ok=True)
    for name in ("scripts/installed.c", "scripts/installed.cpp"):
        shutil.copy(SOURCES / "tests" / name, ROOT / "tmp")
    for name in ("scripts/test_completions.py", "e2e/checks.py"):
        (ROOT / "tmp" / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCES / "tests" / name, ROOT / "tmp" / "tests" / name)


def test_programs():
    works("psal-run", "psal-run --out figures && ls figures", r"input_saliency")
    works("psal run", "psal run -i /tmp/samples/bag_called_sandal.png -l bag --figures none --top 3", r"layer\d\.\d")
    works("psal-doctor", "psal-doctor", "/usr/share/psal")
    works("psal-fetch --list", "psal-fetch --list", "resnet50")
    works("psal-fetch's name", "! psal-fetch no-such-network 2>&1", "^psal-fetch: .*; psal-fetch --list ")
    works("what is not fetched", "! psal-run --model resnet50 2>&1", "run 'psal-fetch resnet50'")
    job = "--quiet --data /tmp/samples/labels.csv --limit 5 --out s.safetensors --profiles p.npy"
    works("psal-stats", f"psal-stats {job} && cp p.npy /tmp/p.npy")
    here = run(BUILD / "tools" / "psal-stats", *job.replace("/tmp/samples", str(SOURCES / "weights" / "fashion_samples")).split(), cwd=SCRATCH)
    check("the build's numbers are the package's, bit for bit", here.returncode == 0 and
          (SCRATCH / "p.npy").read_bytes() == (ROOT / "tmp" / "p.npy").read_bytes(), here.stderr)


def test_manuals_and_shells():
    works("man psal-run", "man psal-run", r"psal-run.*explain")
    for page in ("psal", "7 psal", "psal-files", "psal-fetch"):
        works(f"man {page}", f"man {page}", "NAME")
    works("the manual that the pages name", "head -n 1 /usr/share/doc/psal/tools/README.md", "^# The programs")
    works("its links", "cd /usr/share/doc/psal/tools && ls schema/psal-run.json packaging/README.md ../io/README.md", "schema")
    said = works("the Tab key", "python3 /tmp/tests/scripts/test_completions.py /usr --system", r"\b[1-9]\d* passed, 0 failed")
    check("in all shells", said and "SKIPPED" not in said, said)


def test_libraries():
    works("pkg-config", "pkg-config --modversion psal && pkg-config --cflags --libs psal", "-lpsal")
    works("a C program", "cc -std=c11 -Wall -Wextra -Werror /tmp/installed.c -o c $(pkg-config --cflags --libs psal) && "
          "./c /usr/share/psal/weights/fashion_resnet18.safetensors", r"resnet18: \d+ of 1200 filters")
    works("a C++ program", "g++ -std=c++11 -Wall -Wextra -Werror /tmp/installed.cpp -o cpp $(pkg-config --cflags --libs psal) && ./cpp && echo fine", "fine")
    works("Python", 'python3 -c "import psal; r = psal.load().explain(\\"/tmp/samples/coat_called_pullover.png\\", \\"coat\\"); '
          'print(len(r.profile), r.predicted_name, psal.__version__)"', r"1200 Pullover \d")


def test_remove():
    check("what is to be removed", {"/usr/bin/psal-run", "/usr/lib/python3/dist-packages/psal/__init__.py"} < files() - before)
    result = inside(f"apt-get -qy remove {' '.join(NAMES)} && apt-get -qy autoremove --purge && ldconfig")
    check("apt-get remove", result.returncode == 0, result.stderr[-1500:])
    check("no package is left", "psal" not in inside("dpkg -l").stdout)
    left = sorted(files() - before)
    check("no file is left", not left, left)
    gone = sorted(before - files())
    check("no file of others is gone", not gone, gone)


def test_cross():
    if inside("dpkg --print-architecture").stdout != "amd64\n":
        print("SKIPPED the packages for arm64: they are compiled on amd64")
        return
    result = inside("dpkg --add-architecture arm64 && apt-get -q update && "
                    "apt-get -qy install --no-install-recommends crossbuild-essential-arm64 && "
                    "apt-get -qy build-dep --no-install-recommends -aarm64 -Pcross,nocheck /mnt/tools/packaging")
    check("what compiles for arm64", result.returncode == 0, result.stderr[-1500:])
    # Without optimisation: emulated, a network takes seconds in any case.
    result = inside("DEB_BUILD_OPTIONS='noopt noautodbgsym parallel=2' DPKG_DEB_COMPRESSOR_TYPE=gzip "
                    "/mnt/tools/packaging/build --out /tmp/cross -aarm64 -Pcross,nocheck")
    check("the packages for arm64", result.returncode == 0, result.stderr[-1500:])
    packages = {path.name.split("_")[0]: path.name.split("_")[-1] for path in (ROOT / "tmp" / "cross").glob("*.deb")}
    check("are arm64's", packages == {name: "all.deb" if name in ("psal-doc", "python3-psal") else "arm64.deb" for name in NAMES}, packages)
    if shutil.which("lintian"):
        said = run("lintian", "--fail-on", "error,warning", *(ROOT / "tmp" / "cross").glob("*.changes"))
        check("lintian", said.returncode == 0, said.stdout + said.stderr)
    unpacked = "rm -rf /tmp/arm64 && for package in /tmp/cross/*.deb; do dpkg-deb -x $package /tmp/arm64; done && cd /tmp/arm64/usr"
    result = inside(f"{unpacked} && zcat share/man/man1/psal-run.1.gz && OMP_WAIT_POLICY=passive qemu-aarch64 "
                    "-E LD_LIBRARY_PATH=lib/aarch64-linux-gnu bin/psal-doctor")
    check("its manual page", ".SH OPTIONS" in result.stdout, result.stderr)
    check("psal-doctor under qemu", result.returncode == 0 and re.search(r"self-test +passed", result.stdout), result.stdout[-500:] + result.stderr)


reason = make_system()
if reason:
    print(f"SKIPPED: {reason}")
    sys.exit(run_tests([], SCRATCH))
sys.exit(run_tests([test_install, test_programs, test_manuals_and_shells, test_libraries, test_remove, test_cross], SCRATCH))
