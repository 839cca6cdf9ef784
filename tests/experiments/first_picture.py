#!/usr/bin/python3
"""Which mistake is a good first example: one of which the method says something that can be seen and tried.

    tests/experiments/first_picture.py --build DIR [--only NETWORK] [--keep DIR] [--shortlist N] [--top N]

All mistakes of the small networks in weights/ on Fashion-MNIST's 10,000 test images. Wanted of one, by the programs themselves:

  maps        psal-run --compare-random: the heat map of the 10 most salient filters is not that of 10 random ones. Those of each network
              whose rank correlation is lowest are looked at further, over more random draws
  repair      psal-prune: a few salient filters off make it right, as many random ones do not
  neighbours  psal-neighbors: the five nearest mistakes are the same one (true and predicted class)
  certainty   the wrong class has at least half of the confidence

Prints the best ones, ranked by neighbours and repair, then by the maps. --keep keeps the programs' answers, and takes them where they
are there. Half an hour for all four networks. Needs Debian's package dataset-fashion-mnist."""
import argparse
import gzip
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
SPEC = f"idx:{DATA}/t10k-images-idx3-ubyte.gz,{DATA}/t10k-labels-idx1-ubyte.gz"
NETWORKS = ("resnet18", "vgg19", "densenet121", "inception_v3")
SIZES, SEEDS, NEIGHBOURS, CONFIDENCE = (1, 2, 3, 5, 10), 5, 5, 0.5


def run(args, program, network, *options):
    """What a program prints with --json"""
    command = [args.build / "tools" / program, "--weights", ROOT / f"weights/fashion_{network}.safetensors", *options, "--json", "--quiet"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{network}, {program}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def kept(args, name, make):
    """What make() gives, or gave in an earlier run with the same --keep"""
    path = args.keep / f"{name}.json"
    if not path.exists():
        path.write_text(json.dumps(make()))
    return json.loads(path.read_text())


def write_png(path, index):
    """Test image `index`, grey"""
    with gzip.open(DATA / "t10k-images-idx3-ubyte.gz") as file:
        data = file.read()
    _, _, height, width = struct.unpack(">4I", data[:16])
    pixels = data[16 + index * height * width:16 + (index + 1) * height * width]
    rows = b"".join(b"\0" + pixels[y * width:(y + 1) * width] for y in range(height))

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))
    return path


def mistakes(args, network):
    """[{"index", "label", "predicted", "confidence", "agreement"}], the lowest agreement first"""
    def make():
        with tempfile.TemporaryDirectory() as folder:
            answer = run(args, "psal-run", network, "--images", SPEC, "--mistakes", "--compare-random", "--figures", "none", "-o", folder)
        return [{"index": int(image["image"].rsplit(":", 1)[1]), "label": image["target"], "predicted": image["predicted"],
                 "agreement": image["map_agreement"]} for image in answer["images"]]
    found = [one for one in kept(args, f"{network}_maps", make) if one["agreement"] is not None]
    return sorted((one for one in found if one["predicted"]["confidence"] >= CONFIDENCE), key=lambda one: one["agreement"])


def neighbours(args, network):
    """{index: how many of its nearest mistakes are the same mistake}"""
    def make():
        with tempfile.TemporaryDirectory() as folder:
            store = pathlib.Path(folder) / "p.npy"
            subprocess.run([str(word) for word in (args.build / "tools/psal-stats", "--weights", ROOT / f"weights/fashion_{network}.safetensors",
                            "--data", SPEC, "--quiet", "--out", store.with_suffix(".st"), "--profiles", store)], stdout=subprocess.DEVNULL, check=True)
            answer = run(args, "psal-neighbors", network, "--store", store, "--stats", store.with_suffix(".st"), "--query", "all",
                         "--mistakes", "--top", NEIGHBOURS)
        return {query["sample"]: sum((n["label"], n["predicted"]) == (query["label"], query["predicted"]) for n in query["neighbors"])
                for query in answer["queries"]}
    return {int(index): count for index, count in kept(args, f"{network}_neighbours", make).items()}


def more_maps(args, network, picture, label):
    """The mean agreement over random draws"""
    with tempfile.TemporaryDirectory() as folder:
        values = [run(args, "psal-run", network, "-i", picture, "-l", label, "--compare-random", "--seed", seed, "--figures", "none",
                      "-o", folder)["map_agreement"] for seed in range(1, SEEDS + 1)]
    return sum(values) / len(values)


def repair(args, network, picture, label):
    """(fewest salient filters that make it right, or None; the share of random draws that do, of as many or, without, of most)"""
    answer = run(args, "psal-prune", network, "-i", picture, "-l", label, "-k", ",".join(map(str, SIZES)), "-c", "salient,random",
                 "--draws", 20)
    right = {(row["choice"], row["k"]): row["now_right"] for row in answer["rows"]}
    k = next((k for k in SIZES if right["salient", k] == 1), None)
    return k, right["random", k or SIZES[-1]]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=lambda text: pathlib.Path(text).resolve(), required=True)
    parser.add_argument("--only", choices=NETWORKS)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--shortlist", type=int, default=60, help="mistakes of each network that are looked at further")
    parser.add_argument("--top", type=int, default=20, help="rows to print")
    args = parser.parse_args()
    if not DATA.exists():
        print("SKIPPED: Debian's package dataset-fashion-mnist is not there")
        return 77
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        if args.keep:
            args.keep.mkdir(parents=True, exist_ok=True)
        else:
            args.keep = pathlib.Path(scratch)
        for network in [args.only] if args.only else NETWORKS:
            alike = neighbours(args, network)
            for one in mistakes(args, network)[:args.shortlist]:
                label = one["label"]["class"]
                picture = write_png(pathlib.Path(scratch) / "one.png", one["index"])
                k, random = repair(args, network, picture, label)
                if k is None:
                    continue
                rows.append((alike[one["index"]], k, random, more_maps(args, network, picture, label), network, one))
    rows.sort(key=lambda row: (-row[0], row[2] > 0.1, row[1] > 5, row[3]))
    print(f"{'network':13s} {'image':>5s}  {'true':12s} {'confidence':>10s}  {'predicted':12s} {'confidence':>10s}  {'maps':>5s}  {'same of 5':>9s}  "
          f"{'right at k':>10s}  {'random':>6s}")
    for same, k, random, agreement, network, one in rows[:args.top]:
        label, predicted = one["label"], one["predicted"]
        print(f"{network:13s} {one['index']:5d}  {label['name']:12s} {label['confidence']:10.3f}  {predicted['name']:12s} "
              f"{predicted['confidence']:10.3f}  {agreement:5.2f}  {same:9d}  {k:10d}  {random:6.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
