"""JSON Schemas of tools/schema for tests, with Debian's python3-jsonschema. Where that is not there, a test says so and is skipped."""
import json
import os
import pathlib
import sys
import warnings

try:
    import jsonschema
except ImportError:  # another Python than the system's, for which Debian's packages are
    if os.path.realpath(sys.executable) != os.path.realpath("/usr/bin/python3") and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    print("SKIPPED: Debian's python3-jsonschema is not installed")
    sys.exit(77)

folder = pathlib.Path(sys.argv[2]).resolve() / "tools/schema"
schemas = {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
by_id = {schema["$id"]: schema for schema in schemas.values()}


def validator(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer versions have another resolver; Debian's has this one
        resolver = jsonschema.RefResolver.from_schema(schemas[name], store=by_id)
        return jsonschema.Draft202012Validator(schemas[name], resolver=resolver)


def file_of(document):
    """The name of the schema that a document says it follows"""
    return document.get("schema", "/").rpartition("/")[0] + ".json"


def faults(document, name):
    """What is wrong with a document, at most three lines"""
    if name not in schemas:
        return [f"its schema is {document.get('schema')!r}"]
    found = sorted(validator(name).iter_errors(document), key=lambda error: [str(part) for part in error.absolute_path])
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in found[:3]]


def resolve(name, node):
    """(schema file, node) behind a reference, which is relative to the file"""
    while "$ref" in node:
        file, _, path = node["$ref"].partition("#")
        name, node = file or name, schemas[file or name]
        for part in path.split("/")[1:]:
            node = node[part]
    return name, node


def parts(node):
    """All descriptions of objects in one schema file"""
    if isinstance(node, list):
        for one in node:
            yield from parts(one)
    elif isinstance(node, dict):
        if "properties" in node and node.get("type") == "object":
            yield node
        for one in node.values():
            yield from parts(one)


def members(name, node, value, seen):
    """Adds to `seen` the descriptions (id of the schema's object, member) that a valid document makes use of"""
    name, node = resolve(name, node)
    for one in node.get("anyOf", ()):
        if isinstance(value, dict) and "properties" in resolve(name, one)[1]:
            members(name, one, value, seen)
    if isinstance(value, list) and "items" in node:
        for one in value:
            members(name, node["items"], one, seen)
    if isinstance(value, dict):
        for key, one in value.items():
            if key in node.get("properties", {}):
                seen.add((id(node), key))
                members(name, node["properties"][key], one, seen)
