#!/usr/bin/env python3
"""The notebook of tools/python: its cells run, one after the other; and with --slow, where nbconvert and ipykernel are, in a notebook's
kernel, with pictures and tables where they belong.

    tests/python/test_notebook.py BUILD SOURCE [--slow]

Needs NumPy. Prints a line per failure and "N passed, N failed"; the status is 1 when one failed."""
import ast
import contextlib
import io
import json
import os
import subprocess
import sys

from module import psal, root, scratch
from checks import check, run_tests

NOTEBOOKS = sorted((root / "tools" / "python").glob("*.ipynb"))


def test_cells():
    """As Python's own lines: what a cell ends with can be shown"""
    for path in NOTEBOOKS:
        names, shown = {}, []
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        for cell in cells:
            check(f"{path.name}: nothing is kept of a run", not cell["outputs"] and cell["execution_count"] is None, cell["outputs"])
            lines = ast.parse("".join(cell["source"]))
            last = lines.body.pop() if isinstance(lines.body[-1], ast.Expr) else None
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(lines, path.name, "exec"), names)
                if last:
                    shown.append(eval(compile(ast.Expression(last.value), path.name, "eval"), names))
        check(f"{path.name}: a result is shown", any(isinstance(value, psal.Result) for value in shown), shown)
    check("there is a notebook", NOTEBOOKS, "")


def test_kernel():
    # Where this Python has no kernel, Debian's may.
    wanted = "import nbconvert, ipykernel, numpy"
    python = next((python for python in (sys.executable, "/usr/bin/python3")
                   if os.path.exists(python) and subprocess.run([python, "-c", wanted], capture_output=True, check=False).returncode == 0), None)
    if not python:
        print("SKIPPED in a kernel: no nbconvert and ipykernel (Debian's packages python3-nbconvert and python3-ipykernel)")
        return
    # A kernel of this very Python, wherever others are installed.
    kernel = scratch / "share" / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps({"argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                                                    "display_name": "Python 3", "language": "python"}))
    folders = {"JUPYTER_PATH": scratch / "share" / "jupyter", "HOME": scratch, "IPYTHONDIR": scratch / "ipython",
               "JUPYTER_RUNTIME_DIR": scratch / "runtime", "JUPYTER_CONFIG_DIR": scratch / "config",
               "PYTHONPATH": root / "tools" / "python"}
    for path in NOTEBOOKS:
        code = ("import sys, json, nbformat\nfrom nbconvert.preprocessors import ExecutePreprocessor\n"
                "book = nbformat.read(sys.argv[1], as_version=4)\n"
                "ExecutePreprocessor(timeout=300, kernel_name='python3').preprocess(book, {'metadata': {'path': sys.argv[2]}})\n"
                "print(json.dumps([[list(out.get('data', {})) for out in cell.outputs] for cell in book.cells if cell.cell_type == 'code']))")
        done = subprocess.run([python, "-c", code, path, root], capture_output=True, text=True, check=False,
                              env={**os.environ, **{name: str(folder) for name, folder in folders.items()}})
        check(f"{path.name} runs in a kernel", done.returncode == 0, done.stderr[-1500:])
        outputs = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else []
        kinds = [kind for cell in outputs for output in cell for kind in output]
        check(f"{path.name}: a picture and a table are shown", "image/png" in kinds and "text/html" in kinds, kinds)


sys.exit(run_tests([test_cells] + [test_kernel] * ("--slow" in sys.argv), scratch))
