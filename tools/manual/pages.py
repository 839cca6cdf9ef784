"""Manual pages from what the programs say of themselves (--describe) and from the manuals in Markdown."""
import datetime
import os
import re
import time

import schema
from roff import bold, example, italic, lines, literal, markdown, markup, plain, prose, section, tagged


def page(name, number, version, purpose, body):
    """mandoc and man-db want a date: that of the source's last change where the builder says it, as packagers do"""
    now = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))
    date = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).date().isoformat()
    head = [f'.TH {literal(name.upper())} {number} {date} "psal {version}" psal', ".SH NAME", f"{literal(name)} \\- {plain(purpose)}"]
    source = head + body
    # a paragraph that begins a section, or that nothing follows, is none
    kept = [line for i, line in enumerate(source) if line != ".PP" or (
        not source[i - 1].startswith((".SH", ".SS")) and i + 1 < len(source) and not source[i + 1].startswith((".SH", ".SS", ".PP")))]
    return "\n".join(kept) + "\n"


def dashed(option):
    names = ([f"-{option['short']}"] if option["short"] else []) + [f"--{option['name']}"]
    value = f" {italic(option['value'])}" if option["value"] else ""
    return ", ".join(bold(name) for name in names) + value


def options(description):
    out, heading = [".SH OPTIONS"], False
    for option in description["options"]:
        if "heading" in option:
            out.append(f".SS {prose(option['heading'])}")
        else:
            out += tagged(dashed(option), prose(option["help"]))
    return out


def subcommands(description):
    if not description["subcommands"]:
        return []
    out = [".SH COMMANDS"]
    for command in description["subcommands"]:
        arguments = f" {italic(command['arguments'])}" if command["arguments"] else ""
        out += tagged(bold(command["name"]) + arguments, prose(command["help"]))
    return out


def examples(description):
    """The lines under "Examples:" at the end of --help: a command, and what it is for where several spaces stand between"""
    if not description["epilogue"]:
        return []
    out = [".SH EXAMPLES"]
    for line in description["epilogue"].splitlines()[1:]:
        command, _, comment = re.sub(r" {3,}", "\0", line.strip()).partition("\0")
        out += ([".PP"] + lines(plain(comment[0].upper() + comment[1:] + ":")) if comment else []) + example(command)
    return out


def see_also(names, own, manual):
    refs = [bold(name) + f"({number})" for name, number in sorted(names) if (name, number) != own]
    refs = [ref + ("," if i + 1 < len(refs) else "") for i, ref in enumerate(refs)]
    return [".SH SEE ALSO"] + refs + [".PP"] + lines(f"The whole manual is {literal(manual)}.")


class Pages:
    def __init__(self, sources, descriptions, data):
        """`data`: the installation's share/"""
        self.descriptions, self.data, self.schemas = descriptions, data, sources / "tools/schema"
        self.readme = {folder: (sources / folder / "README.md").read_text() for folder in (".", "tools", "io")}
        self.names = [(name, 1) for name in descriptions] + [("psal", 7), ("psal-files", 5)]
        self.version = descriptions["psal"]["version"]

    def manual(self, folder):
        return f"{self.data}/doc/psal/{folder}README.md"

    def exit_status(self, description):
        """Of the statuses that name an option those of programs that have it"""
        names = {f"--{option.get('name')}" for option in description["options"]}
        rows = [line for line in section(self.readme["tools"], "What holds for all").splitlines() if re.match(r"\| *(\d|status|-)", line)
                and set(re.findall(r"`(--[\w-]+)`", line)) <= names]
        return [".SH EXIT STATUS"] + markdown("\n".join(rows), 2)

    def files(self, description):
        takes_project = any(option.get("name") == "project" for option in description["options"])
        project = tagged(italic("psal.json"), f"What the command line need not say: {bold('psal-files')}(5).")
        return ([".SH FILES"] + (project if takes_project else []) +
                tagged(italic("${XDG_CACHE_HOME:-~/.cache}/psal"), f"Weights that {bold('psal-fetch')} has downloaded.") +
                tagged(italic(f"{self.data}/psal/weights"), "The small networks that come with psal, their statistics, and images."))

    def program(self, name):
        description = self.descriptions[name]
        usage = bold(name) + " [" + italic("options") + "]"
        if name == "psal":
            usage = bold(name) + " " + italic("command") + " [" + italic("arguments") + "]"
        elif description["arguments"]:
            usage += " " + plain(description["arguments"])
        body = [".SH SYNOPSIS", usage, ".SH DESCRIPTION"] + lines(prose(description["summary"]))
        body += subcommands(description) + options(description)
        if name == "psal":
            body += [".SH WHAT HOLDS FOR ALL PROGRAMS"] + markdown(section(self.readme["tools"], "What holds for all"), 2)
        else:
            body += self.exit_status(description) + schema.section(self.schemas, name)
        body += self.files(description) + examples(description) + see_also(self.names, (name, 1), self.manual("tools/"))
        return page(name, 1, self.version, description["purpose"], body)

    def method(self):
        """psal(7): the first manual's beginning, and how to read the pictures"""
        text = self.readme["."]
        beginning = re.search(r"^# psal\n(.*?)^## ", text, re.M | re.S)[1]
        body = [".SH DESCRIPTION"] + markdown(beginning, 2)
        body += [".SH HOW TO READ THE PICTURES"] + lines(
            f"{bold('psal-run')} without options writes them: {italic('figures/filter_saliency.png')} (the first) and "
            f"{italic('figures/input_saliency.png')} (the second).")
        body += [".PP"] + markdown(section(text, "How to read the pictures"), 2)
        return page("psal", 7, self.version, "which filters of an image classifier a mistake depends on",
                    body + see_also(self.names, ("psal", 7), self.manual("saliency/")))

    def formats(self):
        """psal-files(5): what io/ reads and writes, and the project file"""
        body = []
        for title in ("Reading", "Writing", "Loading in PyTorch"):
            body += markdown(f"## {title}\n{section(self.readme['io'], title)}", 2)
        body += markdown(f"## The project file psal.json\n{section(self.readme['tools'], 'psal.json')}", 2)
        return page("psal-files", 5, self.version, "files that psal reads and writes",
                    body + see_also(self.names, ("psal-files", 5), self.manual("io/")))

    def all(self):
        pages = {f"{name}.1": self.program(name) for name in self.descriptions}
        return pages | {"psal.7": self.method(), "psal-files.5": self.formats()}
