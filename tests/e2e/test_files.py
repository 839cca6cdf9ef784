#!/usr/bin/env python3
"""Where the programs' files go, what may be in their way, and what happens to those that they read.

    tests/e2e/test_files.py TOOLS-DIR SOURCE-DIR

Needs nothing beside Python. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import csv
import fcntl
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading

from checks import check, run_tests
from programs import (bag, leftovers, lines_of, long_list, network, run, samples, scratch, single_network, start, store, wait_for)


def fresh(name):
    folder = scratch / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def outputs(folder):
    """(program, arguments without the output, its option, what is printed if that is not asked for)"""
    return (("psal-stats", ["--quiet", "--data", samples / "labels.csv"], "--out"),
            ("psal-stats", ["--quiet", "--data", samples / "labels.csv", "--out", folder / "s.st"], "--records"),
            ("psal-neighbors", ["--quiet", "--store", store(folder), "--query", "0"], "--csv"),
            ("psal-prune", ["--quiet", "--k", "5", "--choices", "salient"], "--samples"),
            ("psal-finetune", ["--quiet", "--k", "10", "--choices", "salient"], "--save-delta"))


def test_where_outputs_go():
    """Pipes, devices, descriptors, links, permissions: as with any program's output"""
    for program, arguments, option in outputs(scratch):
        folder = fresh("outputs")
        name = f"{program} {option}"
        arguments = next(words for other, words, which in outputs(folder) if (other, which) == (program, option))
        plain = folder / "plain"
        done = run(program, *arguments, option, plain)
        check(f"{name} to a file", done.returncode == 0, lines_of(done))
        expected = plain.read_bytes()

        def same(what, found, done):
            check(f"{name} to {what}", done.returncode == 0 and found == expected, f"{done.returncode}: {lines_of(done)}")

        os.mkfifo(folder / "fifo")
        read = []
        reader = threading.Thread(target=lambda: read.append((folder / "fifo").read_bytes()))
        reader.start()
        done = run(program, *arguments, option, folder / "fifo")
        same("a named pipe", read[0] if wait_for(lambda: read, seconds=20) else b"", done)
        if not read:  # nobody wrote: end the wait
            os.close(os.open(folder / "fifo", os.O_WRONLY | os.O_NONBLOCK))
        reader.join()
        check(f"{name}: the pipe stays one", stat.S_ISFIFO(os.lstat(folder / "fifo").st_mode))
        done = run(program, *arguments, option, "/dev/stdout")
        check(f"{name} to /dev/stdout", done.returncode == 0 and expected in done.stdout, lines_of(done))
        with open(folder / "stdout", "wb") as file:
            file.write(b"before\n")
            file.flush()
            done = run(program, *arguments, option, "/dev/stdout", stdout=file)
        text = (folder / "stdout").read_bytes()
        check(f"{name} to /dev/stdout, a file", done.returncode == 0 and text.startswith(b"before\n") and expected in text, lines_of(done))
        done = run(program, *arguments, option, "/dev/null")
        check(f"{name} to /dev/null", done.returncode == 0 and stat.S_ISCHR(os.lstat("/dev/null").st_mode), lines_of(done))
        done = run(program, *arguments, option, "/dev/full")
        check(f"{name} to /dev/full", done.returncode == 1 and len(lines_of(done)) == 1 and "/dev/full" in lines_of(done)[0],
              lines_of(done))
        (folder / "sub").mkdir()
        os.symlink("sub/target", folder / "link")
        for what in ("a dangling link", "a link"):
            done = run(program, *arguments, option, folder / "link")
            same(what, (folder / "sub" / "target").read_bytes() if (folder / "sub" / "target").exists() else b"", done)
            check(f"{name}: the link stays one", os.path.islink(folder / "link"))
        for mode in (0o600, 0o640, 0o666):
            os.chmod(plain, mode)
            done = run(program, *arguments, option, plain, prepare=lambda: os.umask(0o022))
            same(f"a file of mode {mode:o}", plain.read_bytes(), done)
            check(f"{name}: mode {mode:o} stays", stat.S_IMODE(plain.stat().st_mode) == mode, oct(plain.stat().st_mode))
        check(f"{name}: nothing left", not leftovers(folder), leftovers(folder))


def test_pictures_among_the_results():
    """A picture called as one of psal-run's own, in the folder of its results; and a page's JSON called as the project"""
    folder = fresh("among")
    picture, project = folder / "input_saliency.png", folder / "mine.json"
    shutil.copy(bag, picture)
    for more in ([], ["--figures", "none"], ["--format", "pdf"], ["--figures", "none", "-i", samples / "coat_called_pullover.png"]):
        done = run("psal-run", "--quiet", "-i", picture, "-l", "Bag", "--out", folder, *more)
        images = more.count("-i")
        check(f"{more}: the picture is still there", picture.read_bytes() == bag.read_bytes() and done.returncode == (0 if images else 1)
              and (images or "which would be lost" in done.stderr.decode()), lines_of(done))
    project.write_text(json.dumps({"format": 1, "weights": str(network)}))
    for words in (["psal-run", "--report", folder / "mine.html", "--out", folder / "out"], ["psal-report", "--out", folder / "mine.html"]):
        done = run(*words, "--quiet", "--project", project, "-i", samples / "coat_called_pullover.png", "-l", "Coat")
        check(f"{words[0]}: the project is still there", done.returncode == 1 and project.read_text().startswith('{"format"')
              and "which would be lost" in done.stderr.decode(), lines_of(done))


def test_long_names():
    """What will not fit is said before the work, whichever name it is that does not"""
    images = long_list()
    for program, arguments, option in outputs(scratch):
        folder = fresh("long")
        arguments = next(words for other, words, which in outputs(folder) if (other, which) == (program, option))
        done = run(program, *arguments, option, folder / ("n" * 256))
        said = lines_of(done)
        check(f"{program} {option}", done.returncode == 1 and len(said) == 1 and "n" * 256 in said[0], said)
    folder = fresh("long")
    for option, length in (("--out", 250), ("--profiles", 250), ("--profiles", 248), ("--records", 256)):
        others = ["--out", folder / "s.st"] if option != "--out" else []
        done = run("psal-stats", "--quiet", "--data", images, *others, option, folder / ("n" * length))
        said = lines_of(done)
        check(f"psal-stats {option} of {length}", done.returncode == 1 and len(said) == 1 and "File name too long" in said[0], said)
    check("long names: nothing left", not list(folder.iterdir()), list(folder.iterdir()))


def test_links_in_the_way():
    """A link that waits under a name which is known beforehand chooses no file to overwrite"""
    images = samples / "labels.csv"
    for name in ("p.npy.partial", "s.st.partial", "s.st.lock", "p.npy.lock"):
        for target in ("victim", "nobody"):
            folder = fresh("planted")
            (folder / "victim").write_bytes(b"precious")
            (folder / name).symlink_to(folder / target)
            done = run("psal-stats", "--quiet", "--data", images, "--out", folder / "s.st", "--profiles", folder / "p.npy")
            said = lines_of(done)
            check(f"{name} -> {target}", done.returncode == 1 and len(said) == 1 and name in said[0], f"{done.returncode}: {said}")
            check(f"{name} -> {target}: untouched", (folder / "victim").read_bytes() == b"precious" and not (folder / "nobody").exists())
            done = run("psal-stats", "--quiet", "--data", images, "--out", folder / "s.st", "--profiles", folder / "p.npy", "--resume")
            check(f"{name} -> {target}: untouched by --resume", (folder / "victim").read_bytes() == b"precious"
                  and not (folder / "nobody").exists())
    folder = fresh("planted")
    (folder / "victim").write_bytes(b"precious")
    os.link(folder / "victim", folder / "p.npy.partial")
    done = run("psal-stats", "--quiet", "--data", images, "--out", folder / "s.st", "--profiles", folder / "p.npy")
    check("a hard link", done.returncode == 0 and (folder / "victim").read_bytes() == b"precious", lines_of(done))


def test_two_runs():
    """The second run to an output is told whose it is; the first one's results are as if it had been alone"""
    listed, two = (long_list(), samples / "labels.csv"), fresh("two")
    kinds = (("psal-stats", "--out", ["--out", two / "s.st", "--save-every", 0.2], ["--out", two / "s.st"], two / "s.st.lock"),
             ("psal-stats", "--profiles", ["--out", two / "a.st", "--profiles", two / "p.npy"],
              ["--out", two / "b.st", "--profiles", two / "p.npy"], two / "p.npy.lock"),
             ("psal-stats", "--resume", ["--out", two / "r.st"], ["--out", two / "r.st", "--resume"], two / "r.st.lock"),
             ("psal-run", "--out", ["--mode", "naive", "--out", two / "run"], ["--mode", "naive", "--out", two / "run"],
              two / "run" / "summary.csv.lock"),
             # one image: its draws take as long as a list
             ("psal-run", "--out, one image", ["--mode", "naive", "--noise-iters", 100000, "--noise-percent", 0.1, "--out", two / "one"],
              ["--mode", "naive", "--out", two / "one"], two / "one" / "result.json.lock"))
    for program, option, first, second, lock in kinds:
        data = "--data" if program == "psal-stats" else "--images"
        images, one = listed
        if "one image" in option:
            data, images, one = "--image-path", bag, samples / "dress.png"
        process = start(program, "--quiet", data, images, *first)
        came = wait_for(lambda: lock.exists() and lock.stat().st_size > 0, process)
        done = run(program, "--quiet", data, one, *second)
        said = lines_of(done)
        check(f"{program} {option}: the second", came and done.returncode == 1 and len(said) == 1 and
              f"process {process.pid} on {os.uname().nodename}" in said[0], f"{done.returncode}: {said}")
        process.kill()  # leaves the lock's file, but no lock
        process.communicate()
        done = run(program, "--quiet", data, one, *[word for word in second if word != "--resume"])
        check(f"{program} {option}: after one that was killed", done.returncode == 0 and not lock.exists(), lines_of(done))
    result = json.loads((two / "one" / "result.json").read_text())
    check("psal-run, one image: the result is the second's", result["image"] == str(samples / "dress.png") and not leftovers(two / "one"), result)


def test_locked_folders():
    """A list does not write into a folder, nor any run arrays, that another one writes to"""
    folder = fresh("folders")
    listing = folder / "list.csv"
    listing.write_text(f"path,label\n{bag},8\n")
    one = ["--mode", "naive", "--image-path", bag, "--noise-iters", 100000, "--noise-percent", 0.1]
    for name, busy, run_there, lock in (
            ("a folder of the list", ["--out", folder / "many" / "00000_bag_called_sandal"], ["--images", listing, "--out", folder / "many"],
             folder / "many" / "00000_bag_called_sandal" / "result.json.lock"),):
        process = start("psal-run", "--quiet", *one, *busy)
        came = wait_for(lambda: lock.exists() and lock.stat().st_size > 0, process)
        listing.write_text(f"path,label\n{bag},8\n{samples}/dress.png,3\n")
        done = run("psal-run", "--quiet", "--mode", "naive", *run_there)
        check(name, came and done.returncode == 1 and len(lines_of(done)) == 1 and f"process {process.pid}" in lines_of(done)[0], lines_of(done))
        process.kill()
        process.communicate()
    # a list goes on: finished images that another one writes to, then the locks of runs that were killed just behind the last file
    resumed = ["psal-run", "--quiet", "--mode", "naive", "--images", listing, "--out", folder / "resumed", "--resume"]
    done = run(*resumed)
    results = sorted((folder / "resumed").glob("*/result.json"))
    before = {path: path.stat().st_mtime_ns for path in (folder / "resumed").glob("*/*")}
    check("a list with --resume", done.returncode == 0 and len(results) == 2, lines_of(done))
    locks = [path.with_name("result.json.lock") for path in results]
    for lock in locks:
        with open(lock, "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            done = run(*resumed)
            check(f"--resume: {lock.parent.name} is held", done.returncode == 1 and len(lines_of(done)) == 1 and lock.exists()
                  and f"{lock.parent.name}/result.json: another run is writing it" in lines_of(done)[0], lines_of(done))
    for left in (locks[:1], locks[1:], locks):
        for lock in left:
            lock.write_text("1 elsewhere\n")
        done = run(*resumed)
        check(f"--resume: {len(left)} left locks are removed, nothing else is touched", done.returncode == 0
              and {path: path.stat().st_mtime_ns for path in (folder / "resumed").glob("*/*")} == before, lines_of(done))
    with open(folder / "held", "w"), open(folder / "input.npy.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = run("psal-run", "--quiet", "--mode", "naive", "--image-path", bag, "--dump", folder, "--out", folder / "out")
        check("--dump", done.returncode == 1 and "input.npy: another run is writing it" in lines_of(done)[0]
              and not list(folder.glob("*.npy")) and not list((folder / "out").iterdir()), lines_of(done))
    done = run("psal-run", "--quiet", "--mode", "naive", "--image-path", bag, "--dump", folder, "--out", folder / "out")
    check("--dump alone", done.returncode == 0 and not leftovers(folder / "out") and not (folder / "input.npy.lock").exists(), lines_of(done))


def maps(process, path):
    try:
        with open(f"/proc/{process.pid}/maps") as file:
            return path.name in file.read()
    except OSError:  # it has ended
        return False


def test_files_that_change():
    """A checkpoint or a store that is cut short or written over while it is in use: one line that names it"""
    images = long_list()
    folder = fresh("cut")

    def partly_written(path):
        with open(path, "r+b") as file:  # as by a training run: another file of the same length, not finished
            values = file.read()[-8192:-4096]
            file.seek(path.stat().st_size // 2 // 4096 * 4096)
            file.write(values)

    def cut(path):
        os.truncate(path, path.stat().st_size // 3)

    def emptied(path):
        os.truncate(path, 0)

    # How far each has to be: it has the file mapped, or has also used it for a while.
    programs = [("psal-stats", ["--data", images, "--out", folder / "s.st", "--save-every", 0.2, "-w"], lambda: (folder / "s.st.partial").exists()),
                ("psal-run", ["--images", images, "--mode", "naive", "--out", folder / "run", "-w"],
                 lambda: any((folder / "run").glob("*/result.json"))),
                ("psal-prune", ["--data", images, "--stats", store(folder).parent / "s.st", "-w"], None),
                ("psal-finetune", ["--data", images, "--stats", store(folder).parent / "s.st", "-w"], None)]
    for program, arguments, ready in programs:
        for change in (emptied, cut, partly_written):
            if change is partly_written and not ready:
                continue  # reads for hours before it writes
            shutil.rmtree(folder)
            folder.mkdir()
            path = single_network()
            process = start(program, "--quiet", *arguments, path)
            came = wait_for(ready or (lambda: maps(process, path)), process)
            change(path)
            try:
                said = process.communicate(timeout=300)[1]
            except subprocess.TimeoutExpired:
                process.kill()
                said = process.communicate()[1]
            lines = [line for line in lines_of(said) if "are kept in" not in line]
            check(f"{program}: {change.__name__}", came and process.returncode == 1 and len(lines) == 1 and str(path) in lines[0],
                  f"{process.returncode}: {said}")
            check(f"{program}: {change.__name__}: nothing left", not [name for name in leftovers(folder) if name.endswith(".part")],
                  leftovers(folder))
    # A store of many rows, of which every one is compared with every other.
    rows, length = 6000, 1200
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {length}), }}".encode().ljust(117) + b"\n"
    one = b"".join(bytes((i % 251, i % 7, 0, 63)) for i in range(length))
    path = scratch / "large.npy"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + header)
        for i in range(rows):
            file.write(one[4 * (i % length):] + one[:4 * (i % length)])
    with open(store(folder).parent / "p.npy.csv", newline="") as file:
        title, *table = csv.reader(file)
    with open(scratch / "large.npy.csv", "w", newline="") as file:
        csv.writer(file).writerows([title] + [[i, *table[i if i < len(table) else 1][1:]] for i in range(rows)])
    whole = path.read_bytes()
    for change in (emptied, cut):
        path.write_bytes(whole)
        process = start("psal-neighbors", "--store", path, "--query", "all", "--threads", 2)
        came = wait_for(lambda: maps(process, path), process)
        change(path)
        said = process.communicate(timeout=300)[1]
        check(f"psal-neighbors: {change.__name__}", came and process.returncode == 1 and len(lines_of(said)) == 1 and
              str(path) in lines_of(said)[0], f"{process.returncode}: {said}")


def test_few_descriptors():
    """A shortage of descriptors is said, and does not become another answer; nor does a file whose size cannot be told"""
    folder = fresh("few")
    statistics = network.with_name("fashion_resnet18_stats.safetensors")
    check("the box has statistics", statistics.exists())
    for most in range(3, 9):
        done = run("psal-run", "--quiet", "-i", bag, "-l", 8, "--out", folder / "out", "--threads", 1,
                   prepare=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)))
        said = lines_of(done)
        check(f"{most} descriptors", done.returncode == 0 or (len(said) == 1 and "no statistics known" not in said[0] and
                                                             "which image" not in said[0] and done.returncode in (1, 127)),
              f"{done.returncode}: {said}")


def test_outputs_that_are_inputs():
    """No run writes over a file that it reads, or over another output of its own, under whatever name"""
    folder = fresh("same")
    statistics = network.with_name("fashion_resnet18_stats.safetensors")
    profiles = store(folder)
    kept = {}
    for name, source in (("net.st", network), ("stats.st", statistics), ("list.csv", samples / "labels.csv"), ("bag.png", bag),
                         ("p.npy", profiles), ("p.npy.csv", profiles.with_name("p.npy.csv"))):
        shutil.copy(source, folder / name)
        kept[name] = source.read_bytes()
    (folder / "names.txt").write_text("\n".join(f"class {i}" for i in range(10)) + "\n")
    os.symlink("net.st", folder / "link.st")
    os.link(folder / "stats.st", folder / "hard.st")
    edit = ["-w", "net.st", "-s", "stats.st", "-i", "bag.png", "-l", 8, "-k", 5, "-c", "salient"]
    for program, *arguments in (("psal-stats", "-w", "net.st", "-d", "list.csv", "-o", "net.st"),
                                ("psal-stats", "-w", "net.st", "-d", "list.csv", "-o", "list.csv"),
                                ("psal-stats", "-d", "csv:list.csv", "-o", "new.st", "--records", "./list.csv"),
                                ("psal-stats", "-w", "net.st", "-d", "list.csv", "-o", "new.st", "--profiles", "link.st"),
                                ("psal-stats", "-d", "list.csv", "-o", "new.st", "--records", "../same/new.st"),
                                ("psal-stats", "-d", "list.csv", "-o", "q.npy.csv", "--profiles", "q.npy"),
                                ("psal-stats", "--labels", "names.txt", "-d", "list.csv", "-o", "new.st", "--records", "names.txt"),
                                ("psal-stats", "merge", "stats.st", "hard.st"),
                                ("psal-prune", *edit, "--save", "net.st"), ("psal-prune", *edit, "--csv", "hard.st"),
                                ("psal-prune", *edit, "--figure", "bag.png"),
                                ("psal-finetune", *edit, "--save", "link.st"), ("psal-finetune", *edit, "--save-delta", "stats.st"),
                                ("psal-finetune", *edit, "--save", "new.st", "--save-delta", "new.st"),
                                ("psal-neighbors", "--store", "p.npy", "--query", 0, "--csv", "p.npy.csv"),
                                ("psal-neighbors", "--store", "p.npy", "--query", 0, "--sheet", "p.npy"),
                                ("psal-convert", "net.st", "./net.st"), ("psal-convert", "net.st", "link.st")):
        done = run(program, *arguments, cwd=folder)
        said = lines_of(done)
        check(f"{program} {arguments}", done.returncode == 1 and len(said) == 1 and "would be lost" in said[0], said)
        changed = [name for name, bytes_ in kept.items() if (folder / name).read_bytes() != bytes_]
        check(f"{program} {arguments}: nothing is lost", not changed and not (folder / "new.st").exists(), changed)
    done = run("psal-prune", *edit, "--csv", "/dev/null", "--samples", "/dev/null", cwd=folder)
    check("a device may be named twice", done.returncode == 0, lines_of(done))


if __name__ == "__main__":
    sys.exit(run_tests((test_where_outputs_go, test_outputs_that_are_inputs, test_pictures_among_the_results, test_long_names, test_links_in_the_way, test_two_runs,
                        test_locked_folders, test_files_that_change, test_few_descriptors), scratch))
