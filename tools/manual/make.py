#!/usr/bin/env python3
"""Makes the manual pages and the completions: run by meson, which runs the programs first.

    make.py SOURCES DATADIR FOLDER DESCRIPTION...

DESCRIPTION is what `psal --describe` (the first one) and `psal-NAME --describe` printed, DATADIR the installation's share/. FOLDER gets
the pages, psal.bash, _psal and psal.fish. No sentence about an option stands here: what --help says is what the pages say."""
import json
import pathlib
import sys

sys.dont_write_bytecode = True
import completions  # noqa: E402
import fetch  # noqa: E402
from pages import Pages  # noqa: E402


def main():
    sources, data, folder = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    descriptions = {}
    for name in sys.argv[4:]:
        description = json.loads(pathlib.Path(name).read_text())
        if not description["purpose"]:
            raise SystemExit(f"{description['name']} is not in tools/commands.c, which says what each program is for")
        descriptions[description["name"]] = description
    psal = descriptions["psal"]
    purpose = next(command["help"] for command in psal["subcommands"] if command["name"] == "fetch")
    descriptions["psal-fetch"] = fetch.describe(sources / "weights" / "fetch", psal["version"], purpose)
    files = Pages(sources, descriptions, data).all()
    files |= {"psal.bash": completions.bash(descriptions), "_psal": completions.zsh(descriptions), "psal.fish": completions.fish(descriptions)}
    for name, text in files.items():
        (folder / name).write_text(text)


main()
