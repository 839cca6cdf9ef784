#!/usr/bin/env python3
"""The figures of all programs: --format, --width and --colors; fonts that are in the file; the same numbers whatever they look like; and
where these options do nothing.

    tests/e2e/test_figures.py TOOLS-DIR SOURCE-DIR

The fonts of PDFs are also looked at with Debian's poppler-utils, the scales of colours compared with Debian's python3-matplotlib, where
these are there."""
import json
import re
import shutil
import struct
import subprocess

from checks import check, run_tests
from programs import bag, network, root, run_text, samples, scratch, store

LABELS = samples / "labels.csv"
PICTURE = ("-i", bag, "-l", "bag")
WIDTHS = {"84mm": 84 / 25.4 * 72, "6.85in": 6.85 * 72, "240pt": 240}


def programs():
    """(program, arguments, what draws, where figures come): the last is a file of any format, or a folder"""
    profiles = store(scratch)
    return (("psal-run", ["-w", network, *PICTURE, "--compare-random", "--look", 2, "--data", LABELS], "--out", "run"),
            ("psal-stats", ["--quiet", "--data", LABELS, "--out", "s.st", "--profiles", "p.npy"], "--figures", "stats"),
            ("psal-prune", ["-d", LABELS, "--k", "1,5", "--choices", "salient,random"], "--figure", "prune"),
            ("psal-finetune", [*PICTURE, "--k", "100", "--choices", "salient"], "--figure", "edit"),
            ("psal-finetune", ["-d", LABELS, "--k", "5,20", "--choices", "salient", "--first", 3], "--figure", "edits"),
            ("psal-check", ["ablate", *PICTURE, "--filters", 5], "--figure", "ablate"),
            ("psal-check", ["mask", *PICTURE, "--percent", "5,50", "--draws", 2], "--figure", "mask"),
            ("psal-neighbors", ["--store", profiles, "--query", "0,3", "--top", 5], "--sheet", "sheet"),
            ("psal-neighbors", ["kinds", "--store", profiles, "--kinds", 2], "--sheet", "kinds"))


def width_of(path):
    """In points; a PNG's at 300 pixels an inch"""
    data = path.read_bytes()
    if path.suffix == ".png":
        return struct.unpack(">I", data[16:20])[0] / 300 * 72
    pattern = rb'<svg[^>]* width="([\d.]+)(?:pt)?"' if path.suffix == ".svg" else rb"/MediaBox \[ 0 0 ([\d.]+) "
    return float(re.search(pattern, data)[1])


def look_at_fonts(path):
    if path.suffix == ".svg":  # letters are outlines
        text = path.read_text()
        check(f"{path.name}: no font is asked for", "<text" not in text and "font-family" not in text, path)
    if path.suffix == ".pdf":
        data = path.read_bytes()
        fonts, files = data.count(b"/Type /FontDescriptor"), len(re.findall(rb"/FontFile[23]? ", data))
        check(f"{path.name}: each font is in the file", fonts == files > 0, f"{files} of {fonts}")
    if path.suffix == ".pdf" and shutil.which("pdffonts"):
        rows = subprocess.run(["pdffonts", path], capture_output=True, text=True, check=True).stdout.splitlines()[2:]
        embedded = [re.search(r" (yes|no) +(yes|no) +(yes|no) +\d+ +\d+$", row)[1] for row in rows]
        check(f"{path.name}: fonts are in it", rows and set(embedded) == {"yes"}, rows)


def test_every_figure():
    for (program, arguments, option, name), (width, points), ending in zip(programs() * 3, list(WIDTHS.items()) * 9, ("pdf", "svg", "png") * 9):
        folder = option in ("--out", "--figures")
        target = scratch / "drawn" / (f"{name}_{ending}" if folder else f"{name}.{ending}")
        target.parent.mkdir(exist_ok=True)
        done = run_text(program, *arguments, option, target, "--width", width, *(["--format", ending] if folder else []))
        check(f"{program} {name} {width} {ending}", done.returncode == 0, done.stderr[-300:])
        figures = [path for path in target.iterdir() if path.suffix == f".{ending}" and "overlay" not in path.name] if folder else [target]
        check(f"{program} {name}: its figures", len(figures) == {"run": 4, "stats": 3}.get(name, 1), figures)
        for path in figures:
            check(f"{path}: its width", abs(width_of(path) - points) < 0.13, width_of(path))
            look_at_fonts(path)


def explain(*arguments):
    done = run_text("psal-run", "-w", network, *PICTURE, "--out", "colored", "--json", *arguments)
    check(f"psal-run {arguments}", done.returncode == 0, done.stderr)
    return json.loads(done.stdout)


def test_colors_and_formats():
    """Other colours are other pictures of the same numbers; figures of another answer go, whatever their format"""
    pictures, results = {}, {}
    for colors in ("jet", "cividis", "magma"):
        results[colors] = explain("--colors", colors)
        pictures[colors] = [(scratch / "colored" / name).read_bytes() for name in ("input_saliency.png", "input_saliency_overlay.png",
                                                                                   "filter_saliency.png")]
        check(f"{colors}: said", results[colors]["figures"] == {"format": "png", "width": None, "colors": colors}, results[colors]["figures"])
    explain()
    check("jet, if not said", pictures["jet"][0] == (scratch / "colored/input_saliency.png").read_bytes())
    for one, other in (("jet", "cividis"), ("cividis", "magma"), ("jet", "magma")):
        check(f"{one} and {other}: maps differ", all(pictures[one][i] != pictures[other][i] for i in (0, 1)), "")
        check(f"{one} and {other}: profiles do not", pictures[one][2] == pictures[other][2], "")
        same = [{key: value for key, value in results[which].items() if key not in ("seconds", "figures")} for which in (one, other)]
        check(f"{one} and {other}: the same numbers", same[0] == same[1], "")
    result = explain("--format", "svg")
    files = {path.rpartition("/")[2] for path in result["files"]}
    check("svg: in result.json", result["map"] == "input_saliency.svg" and files == {
        "filter_saliency.svg", "input_saliency.svg", "input_saliency_overlay.png", "top_filters.csv", "result.json"}, result)
    there = {path.name for path in (scratch / "colored").iterdir()}
    check("svg: beside the png of the same answer", there == files | {"filter_saliency.png", "input_saliency.png"}, there - files)
    files = {path.rpartition("/")[2] for path in explain("-k", 3, "--format", "pdf")["files"]}
    there = {path.name for path in (scratch / "colored").iterdir()}
    check("pdf: instead of those of another answer", there == files and "input_saliency.pdf" in files, there ^ files)


def test_resume_draws_anew():
    arguments = ("-w", network, "--images", LABELS, "--mode", "naive", "--out", "list", "--quiet")
    check("a list", run_text("psal-run", *arguments).returncode == 0)
    for more, ending in (((), "png"), (("--format", "pdf"), "pdf")):
        result = scratch / "list/00000_bag_called_sandal/result.json"
        before = result.stat().st_mtime_ns
        done = run_text("psal-run", *arguments, "--resume", *more)
        check(f"--resume {more}", done.returncode == 0 and (result.stat().st_mtime_ns > before) == (ending == "pdf"), done.stderr)
        check(f"--resume {more}: figures", (result.parent / f"filter_saliency.{ending}").exists(), ending)


def test_refused():
    profiles = store(scratch)
    wrong = ("84", "mm", "-84mm", "84 mm", "84km", "1e2mm", "49mm", "1001mm", "nan", "", "84mmm")
    for width in wrong:
        done = run_text("psal-run", f"--width={width}")
        check(f"--width {width!r}", done.returncode in (1, 2) and f"--width {width}".strip() in done.stderr and "84mm" in done.stderr, done.stderr)
    for arguments, said in ((("psal-run", "--figures", "none", "--width", "84mm"), "--width does nothing with --figures none"),
                            (("psal-run", "--figures", "none", "--format", "svg"), "--format does nothing with --figures none"),
                            (("psal-run", "--figures", "none", "--colors", "magma"), "--colors does nothing with --figures none"),
                            (("psal-stats", "--data", LABELS, "--out", "x.st", "--width", "84mm"), "--width does nothing without --figures"),
                            (("psal-stats", "--data", LABELS, "--out", "x.st", "--format", "pdf"), "--format does nothing without --figures"),
                            (("psal-stats", "merge", "x.st", "y.st", "--format", "pdf"), "--format does nothing in merge without --figures"),
                            (("psal-stats", "tail", profiles, "t.st", "--width", "84mm"), "--width"),
                            (("psal-prune", "--k", 1, "--width", "84mm"), "--width does nothing without --figure"),
                            (("psal-finetune", "--k", 1, "--width", "84mm"), "--width does nothing without --figure"),
                            (("psal-check", "ablate", "--width", "84mm"), "--width does nothing without --figure"),
                            (("psal-neighbors", "--store", profiles, "--query", 0, "--width", "84mm"), "--width does nothing without --sheet"),
                            (("psal-neighbors", "kinds", "--store", profiles, "--width", "84mm"), "--width does nothing without --sheet")):
        done = run_text(*arguments)
        check(f"{arguments}", done.returncode == 1 and said in done.stderr, f"{done.returncode}: {done.stderr}")


def test_scales_are_matplotlibs():
    code = """
from matplotlib import colormaps
for name in ("cividis", "magma"):
    print(*("0x%02x%02x%02x" % tuple(round(255 * part) for part in colormaps[name](i)[:3]) for i in range(256)))"""
    done = subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        print("SKIPPED the scales of matplotlib: it is not there")
        return
    ours = re.findall(r"0x[0-9a-f]{6}", (root / "io/heat_colors.inc").read_text())
    check("the scales are matplotlib's", ours == done.stdout.split(), "io/heat_colors.inc")


if __name__ == "__main__":
    raise SystemExit(run_tests((test_every_figure, test_colors_and_formats, test_resume_draws_anew, test_refused, test_scales_are_matplotlibs), scratch))
