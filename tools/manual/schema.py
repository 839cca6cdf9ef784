"""The JSON documents of a program for its manual page, from their descriptions in tools/schema."""
import json

from roff import bold, lines, prose, tagged


def words_of(member, common):
    """Its own words, else those of what it shares with others; and which document it is"""
    file, _, name = member.get("$ref", "").partition("#/$defs/")
    words = member.get("description") or common.get(name, {}).get("description", "")
    return f"{words} A document {file.removesuffix('.json')}.".strip() if file and not name else words


def members(node, common, above=""):
    """(path, words) of all members: "target.class"; "[]" stands for every entry of a list"""
    for part in [node, *node.get("anyOf", ())]:
        if "items" in part:
            yield from members(part["items"], common, above + "[]")
        for key, member in part.get("properties", {}).items():
            path = f"{above}.{key}" if above else key
            yield path, words_of(member, common)
            yield from members(member, common, path)


def section(folder, program):
    """Nothing for a program without documents"""
    out, common = [], json.loads((folder / "common.json").read_text())["$defs"]
    for path in sorted(folder.glob("*.json"), key=lambda path: path.stem):
        if path.stem != program and not path.stem.startswith(program + "-"):
            continue
        schema = json.loads(path.read_text())
        out += [f".SS {prose(path.stem)}"] + lines(prose(schema["description"]))
        for name, words in members(schema, common):
            out += tagged(bold(name), prose(words))
    return [".SH JSON"] + out if out else []
