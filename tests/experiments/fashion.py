#!/usr/bin/python3
"""The two validation experiments on the mistakes that the networks in the box make on Fashion-MNIST's 10,000 test images.

    tests/experiments/fashion.py --build DIR [--only NETWORK] [--limit N] [--out DIR]

For each network: filters switched off (psal-prune, weights and channel; salient, random, random of the same layers, least,
naive), and one step on few filters (psal-finetune), with the share of the five nearest neighbours and of five random other
mistakes that the same edit corrects, by each similarity. Prints the tables as Markdown and the total time; --out keeps the
programs' CSV tables and figures. Fails (without --limit) when salient filters do not lower the wrong class's confidence by
more than random ones do, or when their correction does not correct more of the samples. Needs Debian's package
dataset-fashion-mnist; without it the status is 77 (skipped). One of meson's slow tests."""
import argparse
import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
NETWORKS = ("resnet18", "vgg19", "densenet121", "inception_v3")
SIMILARITIES = ("cosine", "pearson", "normalized")
failures = []


def run(args, program, network, name, *options):
    """(the result, its rows by choice and k)"""
    command = [args.build / "tools" / program, "--weights", ROOT / f"weights/fashion_{network}.safetensors", "--data",
               f"idx:{DATA}/t10k-images-idx3-ubyte.gz,{DATA}/t10k-labels-idx1-ubyte.gz", *options, "--json", "--quiet"]
    if args.limit:
        command += ["--limit", args.limit]
    if args.out:
        stem = args.out / f"{network}_{name}"
        command += ["--csv", f"{stem}.csv", "--figure", f"{stem}.png"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{network}, {program}: {done.stderr.strip()}")
    result = json.loads(done.stdout)
    return result, {(row["choice"], row["k"]): row for row in result["rows"]}


def check(good, text):
    if not good:
        failures.append(text)
        print(f"\nFAILED: {text}")


def percent(row, name):
    return f"{100 * row[name]:.1f} ± {100 * row[name + '_se']:.1f}"


def prune(args, network, how):
    result, rows = run(args, "psal-prune", network, f"prune_{how}", "--how", how, "-k", "1,2,5,10,20,50", "--draws", 1)
    print(f"\n{network}, {result['mistakes']} mistakes, filters switched off ({how}):\n\n"
          "| filters | k | wrong class's confidence | true class's | now right % | changed % |\n|---|--:|--:|--:|--:|--:|")
    for (choice, k), row in rows.items():
        print(f"| {choice} | {k} | {row['wrong_confidence']:+.3f} ± {row['wrong_confidence_se']:.3f} | "
              f"{row['true_confidence']:+.3f} ± {row['true_confidence_se']:.3f} | {percent(row, 'now_right')} | "
              f"{percent(row, 'prediction_changed')} |")
    salient, other = rows["salient", 10], rows["random", 10]
    check(args.limit or salient["wrong_confidence"] < other["wrong_confidence"],
          f"{network}, {how}: 10 salient filters off change the wrong confidence by {salient['wrong_confidence']:.3f}, 10 random "
          f"ones by {other['wrong_confidence']:.3f}")


def finetune(args, network):
    print(f"\n{network}, one step of relative size 0.1:\n\n"
          "| filters | k | corrected % | similarity | its hub | neighbours corrected % | random others % | right broken % |\n"
          "|---|--:|--:|---|--:|--:|--:|--:|")
    for similarity in SIMILARITIES:
        first = similarity == SIMILARITIES[0]  # the others choose other neighbours of the same edits
        result, rows = run(args, "psal-finetune", network, f"finetune_{similarity}", "--relative", 0.1, "-k", "5,25", "-c",
                           "salient,random" if first else "salient", "--similarity", similarity, "--right", 10 if first else 0)
        for (choice, k), row in rows.items():
            print(f"| {choice} | {k} | {percent(row, 'corrected')} | {similarity} | {result['hub']} of {result['mistakes']} | "
                  f"{percent(row, 'neighbors_corrected')} | {percent(row, 'others_corrected')} | "
                  f"{percent(row, 'right_broken') if result['right_samples'] else ''} |", flush=True)
        if first and not args.limit:
            check(rows["salient", 5]["corrected"] > rows["random", 5]["corrected"],
                  f"{network}: a step on 5 salient filters corrects {rows['salient', 5]['corrected']:.3f} of the samples, on 5 "
                  f"random ones {rows['random', 5]['corrected']:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("--only", choices=NETWORKS)
    parser.add_argument("--limit", type=int, help="N mistakes of each network only")
    parser.add_argument("--out", type=pathlib.Path, help="keep tables and figures there")
    args = parser.parse_args()
    if not DATA.exists():
        print(f"skipped: there is no {DATA}")
        return 77
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    for network in [args.only] if args.only else NETWORKS:
        began = time.monotonic()
        for how in ("weights", "channel"):
            prune(args, network, how)
        finetune(args, network)
        print(f"\n{network}: {time.monotonic() - began:.0f} s", flush=True)
    print(f"\ntotal: {time.monotonic() - start:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
