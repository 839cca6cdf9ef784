"""What the parity suites have in common on their command lines: --build, --seed and --slow.

Random cases are the same in every run, unless PSAL_SEED or --seed asks for others. PSAL_SLOW=1 (tests/run --slow) is --slow."""
import argparse
import os
import random


def parser(doc):
    made = argparse.ArgumentParser(description=doc.split("\n")[0])
    made.add_argument("--build", required=True, help="the build folder")
    made.add_argument("--seed", type=_seed, default=_seed(os.environ.get("PSAL_SEED", "1")), metavar="N|new",
                      help="of the random cases: a number, or new for one that is drawn, and printed")
    made.add_argument("--slow", action="store_true", default=os.environ.get("PSAL_SLOW", "0") not in ("", "0"),
                      help="also the cases that take minutes")
    return made


def _seed(text):
    return random.SystemRandom().randrange(2 ** 31) if text == "new" else int(text)
