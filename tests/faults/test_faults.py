#!/usr/bin/env python3
"""Every program, with one call failing: an allocation, or a system call (fault.c, loaded in front of it).

    tests/faults/test_faults.py TOOLS-DIR SOURCE-DIR LIBRARY [--all | --number N] [--seconds S] [--seed N] [--case WORD]...
                                [--class NAME]... [--own] [--jobs N] [--list]

A case is a command on a small network of the box. It runs once undisturbed, which counts its calls, and then once for each
failure: of the first allocation of every call stack, and of the system calls with each error they know. A run must end

  the same   with status 0 and the outputs of the undisturbed run, byte for byte (times apart), or
  one line   with another status, one line on standard error that begins with the program's name, complete files or none, and
             no temporary ones;

never by a signal, and within 60 seconds. What dies inside another library, which psal can neither prevent nor name, is
recognised by where it died and counted apart (see tests/README.md). Without --all: N of the failures (80), another choice every
day (or --seed), as long as S seconds last. Prints a line per failed run and "N passed, N failed"."""
import collections
import concurrent.futures
import gzip
import itertools
import os
import pickle
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import json
import zipfile

import common
from common import PATIENCE, changed, checks, files, without_times

HOWS = {"open": ("EMFILE", "EIO", "EINTR"), "read": ("EIO", "EINTR", "short"), "write": ("ENOSPC", "EIO", "EINTR", "short"),
        "rename": ("EIO", "ENOSPC"), "sync": ("EIO", "ENOSPC", "EINTR"), "mmap": ("ENOMEM",), "unlink": ("EIO",),
        "truncate": ("ENOSPC", "EINTR"), "stat": ("EIO",), "mkdir": ("ENOSPC", "EIO"), "list": ("EIO",), "close": ("EIO", "EINTR"),
        "lock": ("ENOLCK", "EINTR"), "seek": ("EIO",), "thread": ("EAGAIN",)}
SYSTEM = re.compile(r"^(libc|ld-linux|libm|libpthread|libgcc_s)\b")  # where a process dies says nothing about whose fault it is
OWN = re.compile(r"^(program|libpsal)\b")
PAINTERS, PICTURES = {"libcairo", "libpixman-1", "libfreetype", "libfontconfig", "libexpat"}, (".png", ".svg", ".pdf")

Case = collections.namedtuple("Case", "name program arguments given")
Fault = collections.namedtuple("Fault", "case what stack")


def said(path):
    """What a program wrote there, but that its statistics are of few samples, as all here are"""
    return "".join(line for line in path.read_bytes().decode(errors="replace").splitlines(True) if "mostly chance" not in line)


def is_whole(data):
    """A safetensors file with all its bytes: what was measured so far"""
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = [entry for name, entry in json.loads(data[8:start]).items() if name != "__metadata__"]
    return start + max(entry["data_offsets"][1] for entry in tensors) == len(data)


class Sweep:
    def __init__(self, options, scratch):
        self.tools, self.source, self.library = options.tools, options.source, options.library
        self.scratch, self.options = scratch, options
        self.inputs = scratch / "in"
        self.samples = self.source / "weights" / "fashion_samples"
        self.places = threading.local()
        self.numbers = itertools.count()
        self.wanted = {}
        # Fontconfig writes what it found into a cache: where finding failed, pictures would be others ever after.
        (scratch / "fonts.conf").write_text('<fontconfig><dir>/usr/share/fonts</dir><cachedir prefix="xdg">fonts</cachedir></fontconfig>')
        self.cache = scratch / "cache"
        self.environment = dict(common.ENVIRONMENT, MALLOC_CHECK_="0", FONTCONFIG_FILE=str(scratch / "fonts.conf"),
                                XDG_CACHE_HOME=str(self.cache))

    def place(self):
        """This thread's folder: in/, the same for all, and out/"""
        if not hasattr(self.places, "path"):
            self.places.path = self.scratch / f"job-{next(self.numbers)}"
            self.places.path.mkdir()
            (self.places.path / "in").symlink_to(self.inputs)
        return self.places.path

    def run(self, case, **fault):
        """(status or None after a timeout, standard output, standard error, files in out/)"""
        place, out = self.place(), self.place() / "out"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(self.inputs / case.given, out) if case.given else out.mkdir()
        shutil.rmtree(place / "cache", ignore_errors=True)
        shutil.copytree(self.cache, place / "cache")
        environment = dict(self.environment, XDG_CACHE_HOME=str(place / "cache"), **fault)
        if fault:
            environment["LD_PRELOAD"] = str(self.library)
        # A file, not a pipe: writing it is a call like others, and it is checked what has arrived.
        with open(place / "stdout", "w+b") as output, open(place / "stderr", "w+b") as error:
            process = subprocess.Popen([str(self.tools / case.program), *case.arguments], stdout=output, stderr=error, cwd=place,
                                       env=environment, stdin=subprocess.DEVNULL)
            try:
                status = wait(process, PATIENCE)
            except subprocess.TimeoutExpired:
                status = None
                process.send_signal(signal.SIGABRT)  # fault.c says where it is
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        return (status, without_times((place / "stdout").read_bytes()), said(place / "stderr"),
                files(out))

    def must(self, program, *arguments):
        done = subprocess.run([str(self.tools / program), *map(str, arguments)], capture_output=True, text=True, cwd=self.scratch,
                              env=self.environment, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError(f"{program} {' '.join(map(str, arguments))}: status {done.returncode}: {done.stderr}")

    # ---- the cases ----

    def make_inputs(self):
        given = self.inputs
        rows = common.give(self.source, given, ("fashion_resnet18", "fashion_resnet18_stats", "fashion_vgg19"))
        (given / "list.csv").write_text("\n".join(rows[:5]) + "\n")
        write_pth(given / "fashion_resnet18.pth", given / "fashion_resnet18.safetensors")
        write_npz(given / "fashion_resnet18.npz", given / "fashion_resnet18.safetensors")
        names = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
        (given / "names.txt").write_text("\n".join(names) + "\n")
        (given / "names.json").write_text(json.dumps({"id2label": dict(enumerate(names))}))
        (given / "names.csv").write_text("class_name;class_id\n" + "".join(f"{name};{i}\n" for i, name in enumerate(names)))
        for row in rows[1:5]:
            name, label = row.split(",")[:2]
            (given / "folder" / names[int(label)]).mkdir(parents=True)
            shutil.copy(self.samples / name, given / "folder" / names[int(label)])
        write_idx(given)
        (given / "parts").mkdir()
        for place, shard in (("in", ()), ("in/parts", ("--shard", "1/2")), ("in/parts", ("--shard", "2/2"))):
            self.must("psal-stats", "-q", "-w", "in/fashion_resnet18.safetensors", "-d", "in/list.csv", "-o",
                      f"{place}/s.safetensors", "--profiles", f"{place}/p.npy", *shard)
        self.must("psal-finetune", "-q", "-w", "in/fashion_resnet18.safetensors", "-i", "in/bag_called_sandal.png", "-l", "Bag", "-k",
                  "5", "-c", "salient", "--save-delta", "in/delta.safetensors")
        self.must("psal-run", "-q", "-w", "in/fashion_resnet18.safetensors", "-s", "in/fashion_resnet18_stats.safetensors", "--images",
                  "in/list.csv", "-o", "in/results")
        shutil.rmtree(given / "results" / "00001_coat_called_dress")
        (given / "results" / "summary.csv").unlink()
        interrupt(self.tools / "psal-stats", self.scratch, self.environment)

    def cases(self):
        network = ("-w", "in/fashion_resnet18.safetensors", "-s", "in/fashion_resnet18_stats.safetensors")
        image = ("-i", "in/bag_called_sandal.png", "-l", "Bag")
        idx = ("-d", "idx:in/images.gz,in/labels.gz")
        parts = ("out/s.part-1-of-2.safetensors", "out/s.part-2-of-2.safetensors")
        stats = ("-d", "in/list.csv", "-o", "out/s.safetensors", "--profiles", "out/p.npy")
        table = (
            ("run", "psal-run", (*network, *image, "-o", "out", "--dump", "out/dump", "--json", "--compare-random",
                                 "--labels", "in/names.txt"), None),
            ("run list", "psal-run", (*network, "--images", "in/list.csv", "-o", "out", "--noise-iters", "2", "--noise-percent", "0.1"),
             None),
            ("run resume", "psal-run", (*network, "--images", "in/list.csv", "-o", "out", "--resume"), "results"),
            ("run report", "psal-run", (*network, *image, "-o", "out", "--figures", "none", "--compare-random", "--look", "1", "--data", "in/list.csv",
                                        "--report", "out/page.html"), None),
            ("run delta", "psal-run", (*network, *image, "-o", "out", "--delta", "in/delta.safetensors", "--mode", "naive"), None),
            ("stats", "psal-stats", (*network[:2], *stats, "--predicted", "--figures", "out/figures"), None),
            ("stats names", "psal-stats", (*network[:2], "-d", "in/folder", *stats[2:4], "--records", "out/r.csv", "--labels", "in/names.json", "--skip-bad"), None),
            ("prune names", "psal-prune", (*network, "-d", "in/list.csv", "-k", "1", "-c", "salient", "--json", "--labels", "in/names.csv",
                                           "--skip-bad"), None),
            ("stats resume", "psal-stats", (*network[:2], *stats, "--resume"), "partial"),
            ("stats save", "psal-stats", (*network[:2], *idx, *stats[2:], "--save-every", "0", "-t", "1"), None),
            ("merge", "psal-stats", ("merge", "out/s.safetensors", *parts, "-d", "in/list.csv", "--profiles", "out/p.npy",
                                     "--figures", "out/figures", *network[:2]), "parts"),
            ("prune", "psal-prune", (*network, "-d", "in/list.csv", "-k", "1,3", "-c", "salient,random", "--draws", "1", "--csv",
                                     "out/t.csv", "--samples", "out/s.csv", "-f", "out/f.svg", "--json"), None),
            ("prune save", "psal-prune", (*network, *image, "-k", "3", "-c", "salient", "--save", "out/w.safetensors"), None),
            ("prune state", "psal-prune", (*network, "-d", "in/list.csv", "--first", "3", "-k", "1", "-c", "salient", "--store", "in/p.npy",
                                           "--state", "out/state.safetensors", "--save-every", "0", "--csv", "out/t.csv", "-t", "1"), None),
            ("check ablate", "psal-check", ("ablate", *network, "-d", "in/list.csv", "--filters", "3", "--csv", "out/t.csv", "--samples",
                                            "out/s.csv", "-f", "out/f.svg"), None),
            ("check mask", "psal-check", ("mask", *network, *image, "--percent", "5", "--draws", "1", "--csv", "out/t.csv", "--samples",
                                          "out/s.csv", "--json"), None),
            ("check randomize", "psal-check", ("randomize", *network, *image, "--random-labels", "1", "--csv", "out/t.csv", "--samples",
                                               "out/s.csv", "--json"), None),
            ("finetune", "psal-finetune", (*network, "-d", "in/folder", "-k", "5", "-c", "salient,random", "--csv", "out/t.csv",
                                           "--samples", "out/s.csv", "-f", "out/f.pdf", "--json"), None),
            ("finetune save", "psal-finetune", (*network, *image, "-k", "5", "-c", "salient", "--save", "out/w.safetensors",
                                                "--save-delta", "out/d.safetensors"), None),
            ("finetune group", "psal-finetune", (*network, "--group", "in/list.csv", "-d", "in/folder", "-k", "3", "-c", "salient", "--csv",
                                                 "out/t.csv", "--save-delta", "out/d.safetensors"), None),
            ("neighbors", "psal-neighbors", ("--store", "in/p.npy", "-s", "in/s.safetensors", "--query", "0,2", "--csv", "out/n.csv",
                                             "--sheet", "out/n.png", "--data", "in/list.csv"), None),
            ("neighbors image", "psal-neighbors", (*network[:2], "--store", "in/p.npy", *image, "--json"), None),
            ("report", "psal-report", (*network[:2], "-d", "in/list.csv", "--kinds", "1", "--costs", "1", "--checks", "1", "--right", "1", "--look", "2",
                                       "-o", "out/page.html"), None),
            ("report photo", "psal-report", (*network, *image, "-o", "out/page.html"), None),
            ("convert", "psal-convert", ("in/fashion_resnet18.pth", "out/w.safetensors", "--labels", "fashion-mnist"), None),
            ("convert npz", "psal-convert", ("in/fashion_resnet18.npz", "out/w.safetensors", "--labels", "fashion-mnist"), None),
            ("convert half", "psal-convert", ("in/fashion_vgg19.safetensors", "out/w.safetensors", "--half"), None),
        )
        return [Case(name, program, [*arguments, "-q", *(() if program == "psal-convert" or "-t" in arguments else ("-t", "2"))], given)
                for name, program, arguments, given in table]

    # ---- what can fail ----

    def count(self, case):
        """The undisturbed run, twice: with counting it gives what it gives without. All faults of the case."""
        self.wanted[case.name] = plain = self.run(case)
        report = self.scratch / f"count-{next(self.numbers)}"
        counted = self.run(case, PSAL_FAULT_COUNT=str(report))
        checks.check(f"{case.name}: undisturbed", plain[0] == 0 and counted == plain and not plain[2],
                     f"status {plain[0]}, {counted[0]}: {plain[2]}{counted[2]}, {differ(counted, plain)}")
        sites, found = {}, []
        for words in map(str.split, report.read_text().splitlines()):
            if words[0] == "site":
                sites[words[1]] = words[4:]
                if words[2] == "alloc":
                    found.append(Fault(case, f"site:{words[1]}:ENOMEM", words[4:]))
            elif words[0] == "calls":
                seen = collections.Counter()
                for number, site in enumerate(words[2:], 1):
                    seen[site] += 1
                    # How often fontconfig looks at a folder is no concern of ours; nor is the thousandth row of a store.
                    if seen[site] <= (1 if foreign(sites.get(site, [])) else 4):
                        found += [Fault(case, f"{words[1]}:{number}:{how}", sites.get(site, [])) for how in HOWS[words[1]]]
        # And some that go on failing: no memory, a full disk, no descriptors from here on.
        totals = {words[1]: int(words[2]) for words in map(str.split, report.read_text().splitlines()) if words[0] == "class"}
        for kind, how in (("alloc", "ENOMEM"), ("write", "ENOSPC"), ("open", "EMFILE"), ("read", "EIO"), ("close", "EIO"), ("stat", "EIO")):
            for number in sorted({max(1, totals[kind] * part // 12) for part in range(12)}):
                found.append(Fault(case, f"{kind}:{number}+:{how}", []))
        return found

    # ---- how a run ended ----

    def judge(self, fault):
        """(outcome, what to say about it or None when it is fine)"""
        case, wanted = fault.case, self.wanted[fault.case.name]
        log = self.place() / "log"
        log.unlink(missing_ok=True)
        status, output, error, made = self.run(case, PSAL_FAULT=fault.what, PSAL_FAULT_LOG=str(log))
        if fault.what.startswith("unlink"):  # what cannot be removed stays
            made = {name: data for name, data in made.items() if name in wanted[3] or not name.endswith((".part", ".partial", ".lock"))}
        report = log.read_text().splitlines() if log.exists() else []
        stacks = {before.split()[0]: line.split()[1:] for before, line in zip(report, report[1:]) if line.startswith("at ")}
        lines = [line for line in error.split("\n") if line and not line.startswith("Fontconfig ")]  # which prints what it has freed
        if "fault" not in stacks and (status, output, made) == (0, wanted[1], wanted[3]):
            return "not reached", None
        where = library(stacks.get("died", []))
        if not any(OWN.match(frame) for frame in stacks.get("died", [])):  # a stack that cannot be followed
            where = where or library(stacks.get("fault", []))
        said = lines[-1] if lines else ""
        if status is None:
            place = self.named(stacks.get("died", []))
            return (f"hung in {where}", None) if where else ("hang", f"not over after {PATIENCE} seconds, then at {place}")
        if status < 0 or status >= 128:
            return (f"died in {where}", None) if where else ("signal", f"status {status}, died at {self.named(stacks.get('died', []))}")
        if status == 3 and "--skip-bad" in case.arguments and fault.what.split(":")[0] not in ("site", "alloc"):
            return "image skipped", None if "images skipped: " in said else f"status 3: {error!r}"
        if status == 0:
            if (output, made) == (wanted[1], wanted[3]):
                return "the same", None
            painter = library(stacks.get("fault", []))
            if painter in PAINTERS and output == wanted[1] and all(name.endswith(PICTURES) for name in changed(made, wanted[3])):
                return f"another picture by {painter}", None
            return "other results", f"status 0, {differ((status, output, error, made), wanted)}: {error}"
        given = files(self.inputs / case.given) if case.given else {}
        # Whose lock it is cannot be known when it cannot be looked at; it is empty, and in nobody's way.
        left = [name for name in made if name not in wanted[3] and ".partial" not in name and not name.endswith(".lock")
                and made[name] != given.get(name)]
        if any(name.endswith(".part") for name in left):
            return "temporary file left", f"status {status}, left {left}: {error}"
        half = [name for name in made if name in wanted[3] and made[name] not in (wanted[3][name], given.get(name))
                and not (name == "summary.csv" and wanted[3][name].startswith(made[name]))  # of what is finished
                and not (name == "state.safetensors" and is_whole(made[name]))]
        if half or left:
            return "half-written", f"status {status}, {half or left}: {error}"
        if said.startswith("libgomp: "):
            return "died in libgomp", None
        kept = [line for line in lines if "are kept in" in line or "could not be saved" in line]
        if "--skip-bad" in case.arguments:
            kept += [line for line in lines if ": skipped " in line]
        if fault.what.startswith("write") and not lines and "stderr" in " ".join(stacks):
            return "one line", None
        if len(lines) - len(kept) != 1 or not said.startswith(f"{case.program}: ") or len(said) < len(case.program) + 12:
            return "not one line", f"status {status}: {error!r}"
        return "one line", None

    def named(self, stack):
        """The call stack's own functions, innermost first"""
        names = []
        for frame in stack:
            module, offset = frame.split("+")
            path = self.tools / "nothing" if module == "program" else self.tools.parent / module
            if path.exists():
                found = subprocess.run(["addr2line", "-f", "-e", str(path), hex(int(offset, 16) - 1)], capture_output=True, text=True)
                names.append(found.stdout.split("\n")[0])
            else:
                names.append(frame)
        return " < ".join(names[:10])


def foreign(stack):
    """Was it another library's call? Then the innermost frames lead through one before they reach psal"""
    return library(stack) is not None


def library(stack):
    """The other library that the innermost frame belongs to, apart from the system's; None for psal's own"""
    for frame in stack:
        name = frame.split("+")[0]
        if OWN.match(name):
            return None
        if not SYSTEM.match(name):
            return re.sub(r"\.so.*", "", name)
    return None


def differ(found, wanted):
    names = changed(found[3], wanted[3])
    return f"other files {names}" if names else "another output" if found[1] != wanted[1] else "no difference"


def wait(process, seconds):
    """Popen.wait(seconds), which looks every 50 ms, without the delay"""
    ended = os.pidfd_open(process.pid)
    try:
        if not select.select([ended], [], [], seconds)[0]:
            raise subprocess.TimeoutExpired(process.args, seconds)
    finally:
        os.close(ended)
    return process.wait()


# ---- inputs ----

def read_tensors(path):
    """(header, bytes of the tensors) of a .safetensors file"""
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return header, data[start:]


def write_npz(path, safetensors):
    """A compressed .npz of all tensors"""
    header, data = read_tensors(safetensors)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, entry in header.items():
            kind = {"F32": "<f4", "F16": "<f2", "I64": "<i8"}[entry["dtype"]]
            text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(entry['shape'])}, }}"
            text += " " * (-(len(text) + 11) % 64) + "\n"
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
                             + data[slice(*entry["data_offsets"])])


def write_idx(folder):
    """Four noisy images of 28 x 28 pixels, as MNIST's files, compressed"""
    pixels = bytes(random.Random(1).randrange(256) for _ in range(4 * 28 * 28))
    (folder / "images.gz").write_bytes(gzip.compress(struct.pack(">4i", 0x803, 4, 28, 28) + pixels))
    (folder / "labels.gz").write_bytes(gzip.compress(struct.pack(">2i", 0x801, 4) + bytes([8, 4, 1, 7])))


def write_pth(path, safetensors):
    """A state_dict as torch.save writes it, without PyTorch: the pickle names functions, and the tensors' bytes lie beside it"""
    header, data = read_tensors(safetensors)

    class Named:
        """Pickled as a reference to MODULE.NAME"""
        def __init__(self, module, name):
            self.module, self.name = module, name

    class Storage:
        def __init__(self, kind, key, count):
            self.kind, self.key, self.count = kind, key, count

    class Tensor:
        def __init__(self, *arguments):
            self.arguments = arguments

    class Pickler(pickle._Pickler):  # the one in Python, for its save()
        def persistent_id(self, what):
            if isinstance(what, Storage):
                return ("storage", Named("torch", what.kind), what.key, "cpu", what.count)
            return None

        def save(self, what, save_persistent_id=True):
            if isinstance(what, Named):
                self.write(b"c" + f"{what.module}\n{what.name}\n".encode())
            elif isinstance(what, Tensor):
                self.save(Named("torch._utils", "_rebuild_tensor_v2"))
                self.save(what.arguments)
                self.write(b"R")
            else:
                super().save(what, save_persistent_id)

    tensors, storages = {}, []
    for key, (name, entry) in enumerate(header.items()):
        kind, size = {"F32": ("FloatStorage", 4), "F16": ("HalfStorage", 2), "I64": ("LongStorage", 8)}[entry["dtype"]]
        begin, end = entry["data_offsets"]
        strides = [1]
        for extent in entry["shape"][:0:-1]:
            strides.insert(0, strides[0] * extent)
        tensors[name] = Tensor(Storage(kind, str(key), (end - begin) // size), 0, tuple(entry["shape"]), tuple(strides[:len(entry["shape"])]),
                               False, {})
        storages.append((str(key), data[begin:end]))
    with zipfile.ZipFile(path, "w") as archive, open(path.with_suffix(".pkl"), "w+b") as pickled:
        Pickler(pickled, 2).dump(tensors)
        pickled.seek(0)
        archive.writestr("archive/data.pkl", pickled.read())
        for key, values in storages:
            archive.writestr(f"archive/data/{key}", values)
        archive.writestr("archive/version", b"3\n")


def interrupt(program, scratch, environment):
    """in/partial: what a killed `psal-stats --save-every 0` leaves"""
    place = scratch / "interrupted"
    place.mkdir()
    (place / "in").symlink_to(scratch / "in")
    (place / "out").mkdir()
    for delay in itertools.count():
        run = subprocess.Popen([str(program), "-q", "-t", "1", "-w", "in/fashion_resnet18.safetensors", "-d", "in/list.csv", "-o",
                                "out/s.safetensors", "--profiles", "out/p.npy", "--save-every", "0"],
                               cwd=place, env=environment, stdin=subprocess.DEVNULL)
        while not (place / "out" / "s.safetensors.partial").exists() and run.poll() is None:
            time.sleep(0.0005)
        run.kill()
        run.wait()
        if run.returncode < 0:
            break
        if delay == 50:
            raise RuntimeError("psal-stats could not be interrupted")
        for path in (place / "out").iterdir():
            path.unlink()
    shutil.copytree(place / "out", scratch / "in" / "partial")


# ---- all of it ----

def sweep_all(options, scratch):
    begin = time.monotonic()
    sweep = Sweep(options, scratch)
    sweep.make_inputs()
    cases = [case for case in sweep.cases() if not options.case or any(word in case.name for word in options.case)]
    if not options.all and not options.case:  # counting takes as long as many runs
        cases = random.Random(options.seed).sample(cases, 6)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        faults = [fault for found in pool.map(sweep.count, cases) for fault in found
                  if (not options.classes or fault.what.split(":")[0] in options.classes)
                  and not (options.own and foreign(fault.stack))]
        possible = len(faults)
        faults = random.Random(options.seed).sample(faults, possible if options.all else min(options.number, possible))
        print(f"{len(faults)} of {possible} possible failures in {len(cases)} cases", flush=True)
        outcomes = collections.Counter()

        def one(fault):
            if options.seconds and time.monotonic() - begin > options.seconds:
                return
            outcome, trouble = sweep.judge(fault)
            outcomes[outcome] += 1
            if sum(outcomes.values()) % 1000 == 0:
                print(f"{sum(outcomes.values())} runs, {time.monotonic() - begin:.0f} s: {dict(outcomes)}", flush=True)
            if options.list:
                print(f"{fault.case.name}: {fault.what}: {outcome}", flush=True)
            if trouble:
                trouble = f"{outcome}: {trouble.strip()}; failed in {sweep.named(fault.stack)}"
            checks.check(f"{fault.case.name}: {fault.what}", not trouble, trouble)
        list(pool.map(one, faults))
    print(f"seed {options.seed}: {sum(outcomes.values())} runs of {possible} possible ones, {len(cases)} cases: "
          + ", ".join(f"{count} {name}" for name, count in outcomes.most_common()))


def main():
    parser = common.options(80)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--case", action="append", help="only cases whose name contains this")
    parser.add_argument("--class", action="append", dest="classes", help="only failures of this class (site: allocations)")
    parser.add_argument("--own", action="store_true", help="only psal's own calls, not those of the libraries it uses")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--list", action="store_true", help="print every run's outcome")
    return common.main(parser, sweep_all)


if __name__ == "__main__":
    sys.exit(main())
