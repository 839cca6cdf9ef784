"""weights/fetch, a script without a table of options, described as the other programs describe themselves: from its --help and --list."""
import re
import subprocess


def option(name, value, text):
    return {"name": name, "short": None, "alias": None, "kind": "text" if value else "flag", "value": value, "help": text,
            "repeatable": False, "words": [], "exact": False, "files": None}


def describe(script, version, purpose):
    def output(*arguments):
        return subprocess.run([script, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    paragraphs = output("--help").replace("weights/fetch", "psal-fetch").split("\n\n")
    options = []
    for line in paragraphs[2].splitlines():
        row = re.match(r"  --([\w-]+)(?: ([A-Z]+))? +(.*)", line)
        if row:
            options.append(option(row[1], row[2] or "", row[3]))
        else:
            options[-1]["help"] += " " + line.strip()
    names = re.findall(r"^(\S+) +(?:weights|statistics|results) ", output("--list"), re.M)
    return {"name": "psal-fetch", "version": version, "purpose": purpose, "summary": f"{paragraphs[1]} {paragraphs[3]}".strip(),
            "arguments": "NAME...", "epilogue": None, "subcommands": [], "options": options,
            "operands": sorted(set(names))}
