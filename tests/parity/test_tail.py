#!/usr/bin/python3
"""Peaks over threshold: the tails of psal-stats tail against SciPy's generalised Pareto distribution (genpareto).

    /usr/bin/python3 tests/parity/test_tail.py --build DIR [--seed N|new] [--only TEXT]

Stores of 200 filters, made here: of generalised Pareto data, and as the saliencies of real samples are (sizes from 1e-8 to 10). Per
filter SciPy's fit of largest likelihood to the same excesses, and the scores by both. Prints a line per check and "N passed, N
failed"; without python3-scipy, SKIPPED."""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import command_line
from report import Report
from test_neighbors import make_profiles

try:
    from scipy.stats import genpareto, spearmanr
except ImportError:
    print("SKIPPED: no SciPy (python3-scipy)")
    sys.exit(0)

FILTERS, SAMPLES = 200, 600


def read_tensors(path):
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__")
    return {name: np.frombuffer(data[start + e["data_offsets"][0]:start + e["data_offsets"][1]]).reshape(e["shape"])
            for name, e in header.items()}


def pareto_profiles(rng):
    """shapes from -0.3 to 1.2, and scales over many orders of magnitude"""
    shape, scale = rng.uniform(-0.3, 1.2, FILTERS), np.exp(rng.uniform(-12, 2, FILTERS))
    return (scale * np.expm1(shape * rng.exponential(size=(SAMPLES, FILTERS))) / shape).astype(np.float32)


def compare(report, psal_stats, folder, name, profiles, quantile):
    store, out = folder / f"{name}.npy", folder / f"{name}.st"
    np.save(store, profiles)
    pathlib.Path(f"{store}.csv").write_text("path,label,predicted\n" + "".join(f"{i}.png,0,{i % 2}\n" for i in range(len(profiles))))
    done = subprocess.run([psal_stats, "tail", store, out, "--quantile", str(quantile), "--quiet"], capture_output=True, text=True)
    report.check(f"{name}: psal-stats tail", done.returncode == 0, done.stderr)
    if done.returncode:
        return
    tails = read_tensors(out)
    threshold = np.quantile(profiles.astype(np.float64), quantile, axis=0)
    live = tails["tail.scale"] > 0
    report.check(f"{name}: thresholds are NumPy's quantiles",
                 np.allclose(tails["tail.quantiles"][:, -1], threshold, rtol=1e-12, atol=0) and live.sum() >= 0.9 * FILTERS,
                 f"of {live.sum()} filters")
    inner, worse, errors, scores = [], 0, [], []
    for f in np.flatnonzero(live):
        excesses = profiles[:, f].astype(np.float64) - threshold[f]
        excesses = excesses[excesses > 0]
        xi, sigma = tails["tail.shape"][f], tails["tail.scale"][f]
        size = excesses.mean()
        shape, _, scale = genpareto.fit(excesses / size, floc=0)
        scale *= size
        ours, theirs = (genpareto.logpdf(excesses, c, scale=s).sum() for c, s in ((xi, sigma), (shape, scale)))
        if shape <= -0.5 or xi <= -0.5:  # no maximum, and moments instead
            continue
        inner.append(f)
        worse += ours < theirs - 1e-3
        errors.append((abs(xi - shape) / ((1 + xi) / np.sqrt(len(excesses))),
                       abs(sigma - scale) / (sigma * np.sqrt(2 * (1 + xi) / len(excesses)))))
        beyond = threshold[f] + sigma * np.array([0.01, 0.1, 0.5, 1, 2, 5, 10])
        with np.errstate(divide="ignore"):
            scores.append((-np.log(tails["tail.rate"][f]) - genpareto.logsf(beyond - threshold[f], xi, scale=sigma),
                           -np.log(1 - quantile) - genpareto.logsf(beyond - threshold[f], shape, scale=scale)))
    worst = np.max(errors, axis=0)
    report.check(f"{name}: likelihoods are as large as SciPy's", worse == 0 and len(inner) > 100, f"{worse} of {len(inner)} are not")
    report.check(f"{name}: shapes and scales within a tenth of their standard errors", (worst < 0.1).all(),
                 f"at most {worst[0]:.1e} and {worst[1]:.1e} of them")
    ours, theirs = np.array(scores).transpose(1, 0, 2)
    finite = np.isfinite(ours) & np.isfinite(theirs)
    rank = spearmanr(ours[finite], theirs[finite])[0]
    across = min(spearmanr(ours[:, k][finite[:, k]], theirs[:, k][finite[:, k]])[0] for k in range(2, ours.shape[1]))
    report.check(f"{name}: scores in SciPy's order", rank > 0.999 and across > 0.99, f"Spearman {rank:.6f}, between filters {across:.6f}")


def main():
    parser = command_line.parser(__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="the cases whose names have it")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    rng, report = np.random.default_rng(options.seed), Report()
    cases = {"pareto": (pareto_profiles(rng), 0.9), "saliency": (make_profiles(rng, SAMPLES, FILTERS), 0.8)}
    with tempfile.TemporaryDirectory() as folder:
        for name, (profiles, quantile) in cases.items():
            if options.only in name:
                compare(report, pathlib.Path(options.build) / "tools" / "psal-stats", pathlib.Path(folder), name, profiles, quantile)
    return report.finish()


if __name__ == "__main__":
    sys.exit(main())
