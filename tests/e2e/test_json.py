#!/usr/bin/env python3
"""What the programs print and write as JSON, against its descriptions in tools/schema: nothing that is not described, nothing described
that never comes, and the same document wherever it is written twice.

    tests/e2e/test_json.py TOOLS-DIR SOURCE-DIR

Wants Debian's python3-jsonschema. Prints a line per failure and "N passed, N failed"."""
import json
import pathlib
import re
import shutil

import schemas
from checks import check, run_tests
from programs import bag, network, root, run_text, samples, scratch, store

LABELS = samples / "labels.csv"
PICTURE = ("-i", bag, "-l", "bag")
NAIVE = ("-i", bag, "--figures", "none", "--mode", "naive")
# Runs that together give every member
RUNS = (
    ("psal-init", "-w", network, "-d", LABELS, "-o", "made.json", "--quiet"),
    ("psal-init", "-w", network, "-d", "bad.csv", "-o", "bad.json", "--quiet", "--skip-bad", "--no-store", "--labels", "numbers", "--preprocess",
     "rgb;resize=none;crop=32;scale=255;mean=0.286;std=0.353", "--model", "resnet18", "--bn-epsilon", "1e-5"),
    ("psal-run", "-w", network, *PICTURE, "--out", "one", "--compare-random", "--look", "2", "--data", "bad.csv", "--skip-bad"),
    ("psal-run", *NAIVE, "--out", "naive", "--against", "second", "--top", "0"),
    ("psal-run", *NAIVE, "--out", "tensors", "--aggregation", "tensor", "--noise-iters", "2", "--noise-sd", "3"),
    ("psal-run", *NAIVE, "--out", "flat", "--logit-difference", "--gradient-weight", "--signed", "--labels", "numbers"),
    ("psal-run", "-w", network, "--images", LABELS, "--mistakes", "--figures", "none", "--out", "many"),
    ("psal-run", "-w", network, "--images", "bad.csv", "--skip-bad", "--figures", "none", "--out", "some"),
    ("psal-neighbors", "--query", "0", "--top", "2"),
    ("psal-neighbors", *PICTURE, "--top", "2", "--mistakes"),
    ("psal-neighbors", "kinds", "--kinds", "2"),
    ("psal-prune", *PICTURE, "--k", "1", "--choices", "salient,random"),
    ("psal-prune", "-d", "bad.csv", "--skip-bad", "--k", "1", "--choices", "salient", "--right", "2"),
    ("psal-finetune", *PICTURE, "--k", "100", "--choices", "salient", "--until-correct", "--save-delta", "d.st"),
    ("psal-finetune", *PICTURE, "-d", LABELS, "--k", "5", "--choices", "salient", "--right", "2"),
    ("psal-finetune", "-d", LABELS, "--k", "5", "--choices", "salient", "--first", "3", "--right", "2"),
    ("psal-finetune", "--group", LABELS, "-d", LABELS, "--k", "5", "--choices", "salient", "--relative", "0.1"),
    ("psal-report", "-w", network, "-d", "twice.csv", "--out", "report.html", "--kinds", "2", "--costs", "1"),
    ("psal-report", "-w", network, *PICTURE, "-d", LABELS, "--out", "photo.html"),
    ("psal-check", "ablate", *PICTURE, "--filters", "10"), ("psal-check", "ablate", "-d", LABELS, "--filters", "5", "--first", "3"),
    ("psal-check", "mask", *PICTURE, "--percent", "5"),
    ("psal-check", "randomize", *PICTURE, "--redraw", "normal"), ("psal-doctor",), ("psal-doctor", "--processor", "portable"))
# Where psal-doctor finds less, and more
VARIABLES = {"psal-doctor": {"HOME": "", "XDG_CACHE_HOME": "", "OPENBLAS_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Prescott"}}
# This network has no use for these, and of these there is one or the other
RARE = {"project.json": {"weights-key", "ignore-extra", "variant", "transform-input", "notes"}, "psal-doctor.json": {"libjpeg", "libjpeg-turbo"}}


def prepare():
    """The box's pictures, and one that is not there, or all of them twice"""
    title, *rows = LABELS.read_text().splitlines()
    (scratch / "twice.csv").write_text("\n".join([title] + [f"{samples}/{row}" for row in rows + rows]) + "\n")
    (scratch / "bad.csv").write_text("\n".join([title, f"{scratch}/none.png,3"] + [f"{samples}/{row}" for row in rows]) + "\n")


def given(path, text):
    """A document against the schema that it names"""
    try:
        document = json.loads(text)
    except ValueError as why:
        return check(f"{path}: JSON", False, f"{why}: {text[:200]}")
    name = schemas.file_of(document)
    wrong = schemas.faults(document, name)
    check(f"{path}: follows its schema", not wrong, wrong)
    return document if not wrong else None


def test_schemas():
    for name, schema in schemas.schemas.items():
        schemas.jsonschema.Draft202012Validator.check_schema(schema)
        check(f"{name}: its name", schema["title"] + ".json" == name and schema["$id"].endswith(f"/{name}"), schema["$id"])
        for part in schemas.parts(schema):
            check(f"{name}: objects are closed", part["additionalProperties"] is False, list(part["properties"])[:3])
            check(f"{name}: what is required is described", set(part.get("required", ())) <= set(part["properties"]), part.get("required"))
    fields = set(re.findall(r'= \{"psal\.(\w+)", ', "".join(path.read_text() for path in (root / "saliency").glob("computation*.c"))))
    described = set(schemas.schemas["common.json"]["$defs"]["settings"]["properties"])
    check("settings are the fields of the record of what was computed", described == fields and fields, described ^ fields)


def test_documents():
    """Each run's document, which of all members came, and the files that hold the same"""
    seen = set()
    for program, *arguments in RUNS:
        if program == "psal-neighbors":
            arguments += ["--store", store(scratch)]
        done = run_text(program, *arguments, "--json", **VARIABLES.get(program, {}))
        title = f"{program} {' '.join(map(str, arguments))}"
        check(title, done.returncode == (3 if "--skip-bad" in arguments else 0), f"{done.returncode}: {done.stderr[-400:]}")
        document = given(title, done.stdout)
        if not document:
            continue
        schemas.members(schemas.file_of(document), schemas.schemas[schemas.file_of(document)], document, seen)
        if program == "psal-run":
            written = [path for path in document["files"] if path.endswith("result.json")] if "files" in document else None
            if written:
                check(f"{title}: result.json is what is printed", (scratch / written[0]).read_text() == done.stdout, written)
            for one in document.get("images", ()):
                path = next(path for path in one["files"] if path.endswith("result.json"))
                check(f"{title}: {path} is a member of images", json.loads((scratch / path).read_text()) == one, path)
        if program == "psal-report":
            path = pathlib.Path(scratch / arguments[arguments.index("--out") + 1]).with_suffix(".json")
            check("psal-report: the .json is what is printed", path.read_text() == done.stdout, title)
        if program == "psal-init":
            check(f"{title}: right ones", document["tried"][0]["correct"] == document["correct"] == 12, document["tried"])
            wrong = schemas.faults(json.loads((scratch / document["project"]).read_text()), "project.json")
            check(f"{document['project']} follows its schema", not wrong, wrong)
    settings = schemas.schemas["common.json"]["$defs"]["settings"]["properties"]
    for name, schema in schemas.schemas.items():
        for part in schemas.parts(schema):
            if part["properties"] is settings:
                continue
            missing = set(part["properties"]) - {key for node, key in seen if node == id(part)} - RARE.get(name, set())
            check(f"{name}: every member comes", not missing, sorted(missing))


def test_resume():
    """Results that are gone on with keep their documents; those of another schema are made anew"""
    arguments = ("-w", network, "--images", LABELS, "--figures", "none", "--mode", "naive", "--out", "resumed", "--json")
    first = given("the first run", run_text("psal-run", *arguments).stdout)
    result = next((scratch / "resumed").glob("00003_*/result.json"))
    result.write_text(result.read_text().replace('"psal-run/1"', '"psal-run/0"'))
    again = given("the second run", run_text("psal-run", *arguments, "--resume").stdout)
    timeless = [[{key: value for key, value in one.items() if key != "seconds"} for one in run["images"]] for run in (first, again)]
    check("--resume: the same images", timeless[0] == timeless[1], "")
    check("--resume: of another version, made anew", json.loads(result.read_text())["schema"] == "psal-run/1", result)
    shutil.rmtree(scratch / "resumed")


def test_a_schema_refuses():
    """The checks above can fail"""
    document = json.loads(run_text("psal-run", *NAIVE, "--out", "refused", "--json").stdout)
    for change in ({"new": 1}, {"loss": "1.5"}, {"schema": "psal-run/2"}, {"settings": {"k": 1}}, {"image_fingerprint": "g"}):
        check(f"{change} is refused", schemas.faults(dict(document, **change), "psal-run.json"), change)
    del document["loss"]
    check("what is missing is missed", schemas.faults(document, "psal-run.json"), "loss")


if __name__ == "__main__":
    raise SystemExit(run_tests((prepare, test_schemas, test_documents, test_resume, test_a_schema_refuses), scratch))
