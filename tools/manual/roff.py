"""Text and Markdown (as far as psal's manuals use it) as the source of manual pages, man(7)."""
import re
import textwrap

SPECIAL = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", "\u00a0": r"\ "}


def literal(text):
    """What a reader may type or copy"""
    return "".join(SPECIAL.get(c) or (c if ord(c) < 128 else f"\\[u{ord(c):04X}]") for c in text)


def plain(text):
    """Words, with hyphens where they are hyphens; those that hold more than letters are not broken"""
    words = ["".join("-" if c == "-" else "\\(en" if c == "\u2013" else literal(c) for c in word) for word in text.split(" ")]
    return " ".join(rf"\%{word}" if re.search(r"[\w*][=_/;.]\w", word) else word for word in words)


def unbroken(text):
    """The same, of which no word is hyphenated"""
    return " ".join(rf"\%{word}" if word else word for word in literal(text).split(" "))


def bold(text):
    return f"\\fB{unbroken(text)}\\fR"


def italic(text):
    return f"\\fI{unbroken(text)}\\fR"


def prose(text):
    """Plain text with options and programs in bold"""
    parts = re.split(r"((?<![\w\-])--?[a-z][\w\-]*\w|(?<![\w\-])-[a-zA-Z](?![\w\-])|\bpsal-[a-z]+\b)", text)
    return "".join(bold(part) if i % 2 else plain(part) for i, part in enumerate(parts))


def lines(text):
    """A paragraph of source: short lines, a new one for every sentence, none of which is a request"""
    found = []
    for sentence in re.split(r"(?<=[.:?!]) +(?=[A-Z\\])", " ".join(text.split())):
        found += textwrap.wrap(sentence, 78, break_long_words=False, break_on_hyphens=False)
    return [("\\&" if line[0] in ".'" else "") + line for line in found]


def markup(text):
    """The inside of a Markdown paragraph"""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\(\[[^\]]*\]\(([^)#\s]+)[^)]*\)\)", r"(`\1`)", text) # nothing but a link: where to
    text = re.sub(r"\[((?:`[^`]*`|[^\]`])*)\]\((https?://[^)\s]+)\)", r"\1 (\2)", text)
    text = re.sub(r"\[((?:`[^`]*`|[^\]`])*)\]\([^)\s]*\)", r"\1", text)
    out = []
    for i, part in enumerate(re.split(r"`([^`]*)`", text)):
        if i % 2:
            out.append(bold(part.replace("\\|", "|")))
            continue
        for j, piece in enumerate(re.split(r"\*\*(.+?)\*\*", part)):
            if j % 2:
                out.append(bold(piece))
            else:
                out += [italic(word) if k % 2 else prose(word) for k, word in enumerate(re.split(r"\*([^*\s][^*]*)\*", piece))]
    return "".join(out)


def example(text):
    return [".PP", ".RS 4", ".nf"] + ["\\&" + literal(line) if line.startswith((".", "'")) else literal(line) if line else ".sp"
                                      for line in text.splitlines()] + [".fi", ".RE"]


def tagged(term, text):
    return [".TP", term] + (lines(text) or ["\\&"])


def table(rows):
    """Of a row, the first cell is the term; the other columns' titles stand before what they hold, where there are several"""
    titles, out = rows[0], []
    for row in rows[2:]:
        rest = row[1:] if len(row) == 2 else [f"{title}: {cell}" for title, cell in zip(titles[1:], row[1:])]
        out += tagged(markup(row[0]), ". ".join(markup(cell) for cell in rest if cell))
    return out


def cells(line):
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def markdown(text, depth):
    """Headings of `depth` # become .SH, deeper ones .SS"""
    out, source, at = [], text.splitlines(), 0
    while at < len(source):
        line, first = source[at], at
        at += 1
        if not line.strip():
            continue
        heading = re.match(r"(#+) +(.*)", line)
        if heading:
            title = re.sub(r"[`*]", "", heading[2])
            out.append(f".SH {plain(title.upper())}" if len(heading[1]) == depth else f".SS {plain(title)}")
        elif line.startswith("```"):
            while not source[at].startswith("```"):
                at += 1
            out += example("\n".join(source[first + 1:at]))
            at += 1
        elif line.startswith("|"):
            while at < len(source) and source[at].startswith("|"):
                at += 1
            out += table([cells(row) for row in source[first:at]])
        else:
            bullet = line.startswith("- ")
            while at < len(source) and source[at].strip() and not re.match(r"- |#|\||```", source[at]):
                at += 1
            words = markup(" ".join(source[first:at])[2 if bullet else 0:])
            if words.strip():
                out += ([".IP \\(bu 2"] if bullet else [".PP"]) + lines(words)
    return out


def section(text, title):
    """What stands under a heading, without the heading itself, up to the next one as high"""
    level, code, found = 0, False, []
    for line in text.splitlines():
        code ^= line.startswith("```")
        heading = None if code else re.match(r"(#+) +(.*?) *$", line)
        if heading and level and len(heading[1]) <= level:
            break
        if level:
            found.append(line)
        elif heading and heading[2].strip("`") == title:
            level = len(heading[1])
    if not level:
        raise SystemExit(f"no section '{title}'")
    return "\n".join(found) + "\n"
