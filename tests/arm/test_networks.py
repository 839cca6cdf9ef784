#!/usr/bin/env python3
"""The networks in the box on aarch64, under qemu, against x86-64 (tests/run --arm calls it).

    tests/arm/test_networks.py BUILD_X86 BUILD_ARM SYSROOT

NEON's convolutions add up as AVX2's do: logits, profile and input gradient have the same bits. Where OpenBLAS multiplies (--conv gemm), whose
kernels differ, they agree to the tolerances of tests/parity/test_run.py. Plain Python; the last line is "N passed, N failed"."""
import array
import math
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SAMPLES = ROOT / "weights" / "fashion_samples"
BOX = ("resnet18", "vgg19", "densenet121", "inception_v3")
TOLERANCE = {"logits": 1e-4, "naive": 1e-4, "standardized": 1e-4, "input_gradient": 3e-3}  # test_run.py's
passed = failed = 0


def check(name, right, detail=""):
    global passed, failed
    passed += bool(right)
    failed += not right
    if not right:
        print(f"FAILED {name}: {detail}", flush=True)
    return right


def numbers(path):
    """The values of a .npy file of float32 and their bytes"""
    data = path.read_bytes()
    data = data[10 + int.from_bytes(data[8:10], "little"):]
    return array.array("f", data), data


def relative(found, expected):
    """The larger of two errors: the largest difference over the largest value, and the relative L2 error"""
    differences = [a - b for a, b in zip(found, expected)]
    return max(max(map(abs, differences)) / max(map(abs, expected)), math.hypot(*differences) / math.hypot(*expected))


def compare(name, x86, arm, equal, x86_options, options):
    """Runs both, and compares what they dump; x86, arm: the beginnings of their commands"""
    with tempfile.TemporaryDirectory(prefix="psal-arm-") as scratch:
        folders = []
        for side, command in (("x86", [*x86, *options, *x86_options]), ("arm", [*arm, *options])):
            folder = pathlib.Path(scratch) / side
            done = subprocess.run([*map(str, command), "--quiet", "--dump", str(folder), "--out", str(folder)],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if not check(f"{name} on {side}", done.returncode == 0, f"status {done.returncode}: {done.stderr.strip()}"):
                return
            folders.append(folder)
        for part, tolerance in TOLERANCE.items():
            expected, old = numbers(folders[0] / f"{part}.npy")
            found, new = numbers(folders[1] / f"{part}.npy")
            error = relative(found, expected) if len(found) == len(expected) else math.inf
            check(f"{name}, {part}", new == old if equal else error <= tolerance,
                  f"relative error {error:.1e}, {'not the same bits' if equal else f'allowed are {tolerance:.0e}'}")


def main():
    build_x86, build_arm, sysroot = map(pathlib.Path, sys.argv[1:])
    x86 = [build_x86 / "tools" / "psal-run"]
    arm = ["qemu-aarch64", "-L", sysroot, build_arm / "tools" / "psal-run"]
    bag, dress = ((SAMPLES / "bag_called_sandal.png", 8), (SAMPLES / "dress.png", 3))
    for arch in BOX:
        for method, (image, label) in (("fast", bag), ("fast", dress), ("accurate", bag), ("direct", dress), ("gemm", bag)):
            processor = [] if method == "gemm" else ["--processor", "avx2"]
            compare(f"{arch} {image.name} --conv {method}", x86, arm, method != "gemm", processor,
                    ["--weights", ROOT / "weights" / f"fashion_{arch}.safetensors", "--image-path", image,
                     "--image-target-label", label, "--conv", method])
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
