"""The seed of a suite's random cases: the same cases in every run, unless PSAL_SEED or --seed asks for others."""
import os
import random


def add_argument(parser):
    parser.add_argument("--seed", type=number, default=number(os.environ.get("PSAL_SEED", "1")), metavar="N|new",
                        help="of the random cases: a number, or new for one that is drawn, and printed")


def number(text):
    return random.SystemRandom().randrange(2 ** 31) if text == "new" else int(text)
