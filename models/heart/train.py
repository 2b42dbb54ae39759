#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the heart model: repeated 5-fold cross-validation, then the final fit.

Writes weights.npz (or --out) and record.json (unless --no-record).
"""
import argparse
import hashlib
import itertools
import json
import os
import platform
import re
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from model import CLIP, NAMES, RANGES, VALUES, Dlrm

HERE = Path(__file__).resolve().parent
SPLIT_SEED = 2506   # the recorded train/validation split
FIT_SEED = 18150    # the exported model's initial weights


def data_dir():
    return Path(os.environ.get("VELUM_DATA") or HERE.parents[1] / ".." / "shared" / "data")


def load(name, complete=True):
    """One file: (attributes n x 13, label n). Complete rows only, or NaN for missing."""
    text = (data_dir() / "heart" / f"processed.{name}.data").read_text()
    full = np.array([line.replace("?", "nan").split(",") for line in text.split()],
                    dtype=np.float64)
    if complete:
        full = full[~np.isnan(full).any(1)]
    return full[:, :-1], (full[:, -1] > 0).astype(np.float64)


def filled(x, train):
    """Missing attributes from the training rows: the median, or the commonest value."""
    x = x.copy()
    for i, n in enumerate(NAMES):
        col = train[:, i]
        value = np.median(col) if n in RANGES else max(VALUES[n], key=lambda v: (col == v).sum())
        x[np.isnan(x[:, i]), i] = value
    return x


def corners():
    """Every combination of extreme continuous and of all categorical values."""
    axes = [RANGES.get(n) or VALUES[n] for n in NAMES]
    return np.array(list(itertools.product(*axes)), dtype=np.float64)


def folds(y, k, seed):
    """k stratified folds of row indices."""
    rng = np.random.RandomState(seed)
    out = [[] for _ in range(k)]
    at = 0
    for label in (0, 1):
        for i in rng.permutation(np.flatnonzero(y == label)):
            out[at % k].append(int(i))
            at += 1
    return [np.array(sorted(f)) for f in out]


def columns(x):
    return [torch.tensor(x[:, i:i + 1], dtype=torch.float32) for i in range(x.shape[1])]


def moments(x):
    dense = x[:, [NAMES.index(n) for n in RANGES]]
    return dense.mean(0), dense.std(0)


def fit(x, y, opt, seed):
    """Full-batch Adam with an L2 term; the range penalty keeps activations' inputs small."""
    torch.manual_seed(seed)
    net = Dlrm(*moments(x), dim=opt.dim, bottom=opt.bottom, top=opt.top,
               interaction=opt.interaction, base=opt.base, threshold=opt.threshold,
               digits=opt.digits)
    raw, target = columns(x), torch.tensor(y[:, None], dtype=torch.float32)
    decay = [p for p in net.parameters() if p.dim() > 1]
    optim = torch.optim.Adam(net.parameters(), lr=opt.lr)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optim, opt.epochs)
    acts = [net.bottom[1], net.top[1]]
    for _ in range(opt.epochs):
        optim.zero_grad(set_to_none=True)
        loss = F.binary_cross_entropy_with_logits(net.logit(*raw), target)
        loss = loss + opt.decay * sum(p.square().sum() for p in decay)
        for act in acts:
            loss = loss + opt.range * F.relu(act.seen.abs() - 3).square().mean()
        loss.backward()
        optim.step()
        plan.step()
    return net.eval()


def predict(net, x):
    with torch.no_grad():
        return net(*columns(x)).numpy().astype(np.float64)[:, 0]


def auc(y, p):
    order = np.argsort(p, kind="stable")
    rank = np.empty(len(p))
    rank[order] = np.arange(1, len(p) + 1)
    for v in np.unique(p):
        rank[p == v] = rank[p == v].mean()
    pos = y.sum()
    return (rank[y == 1].sum() - pos * (pos + 1) / 2) / (pos * (len(y) - pos))


def figures(y, p):
    q = np.clip(p, 1e-7, 1 - 1e-7)
    return {"rows": len(y), "accuracy": float(((p > 0.5) == y).mean()),
            "auc": float(auc(y, p)),
            "log_loss": float(-(y * np.log(q) + (1 - y) * np.log(1 - q)).mean())}


def cross_validate(x, y, opt, seeds):
    """Per seed: 5 folds by that seed, each fold's figures on its held-out rows."""
    runs = []
    for seed in seeds:
        out = []
        for f, test in enumerate(folds(y, 5, seed)):
            keep = np.setdiff1d(np.arange(len(y)), test)
            net = fit(x[keep], y[keep], opt, 100 * seed + f)
            out.append(figures(y[test], predict(net, x[test])))
        runs.append(out)
    result = {"seeds": list(seeds), "fits": 5 * len(runs)}
    for key in ("accuracy", "auc", "log_loss"):
        table = np.array([[f[key] for f in run] for run in runs])
        result[key] = {"mean": float(table.mean()),
                       "std_over_folds": float(table.std(ddof=1)),
                       "std_over_seeds_of_5fold_mean":
                           float(table.mean(1).std(ddof=1)) if len(runs) > 1 else 0.0,
                       "5fold_means": [float(v) for v in table.mean(1)]}
    return result


def digest(rows):
    return hashlib.sha256(",".join(map(str, rows)).encode()).hexdigest()


def rounded(v):
    if isinstance(v, dict):
        return {k: rounded(w) for k, w in v.items()}
    if isinstance(v, list):
        return [rounded(w) for w in v]
    return round(v, 6) if isinstance(v, float) else v


def options(argv=None):
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--interaction", choices=["cat", "dot", "both"], default="cat")
    a.add_argument("--base", type=int, default=0, help="digit base, 0: whole tables")
    a.add_argument("--threshold", type=int, default=0,
                   help="tables of at most so many rows stay whole")
    a.add_argument("--digits", type=lambda s: s.split(","), default=[],
                   help="only these tables may be decomposed, e.g. cp,ca,thal")
    a.add_argument("--dim", type=int, default=8)
    a.add_argument("--bottom", type=int, default=16)
    a.add_argument("--top", type=int, default=32)
    a.add_argument("--epochs", type=int, default=60)
    a.add_argument("--lr", type=float, default=0.01)
    a.add_argument("--decay", type=float, default=0.01, help="L2 weight")
    a.add_argument("--range", type=float, default=0.1,
                   help="penalty on activation inputs beyond 3")
    a.add_argument("--cv", type=int, default=20, help="cross-validation repeats")
    a.add_argument("--cv-from", type=int, default=0, help="first cross-validation seed")
    a.add_argument("--out", type=Path, default=HERE / "weights.npz")
    a.add_argument("--record", type=Path, default=HERE / "record.json")
    a.add_argument("--no-record", action="store_true")
    return a.parse_args(argv)


SHAPE = ("interaction", "base", "threshold", "digits", "dim", "bottom", "top")
TUNE = ("epochs", "lr", "decay", "range")


def save(net, opt, path):
    state = {k: v.numpy() for k, v in net.state_dict().items()}
    shape = json.dumps({k: getattr(opt, k) for k in SHAPE})
    np.savez_compressed(path, shape=np.array(shape), **state)


def restore(path):
    z = np.load(path)
    net = Dlrm(z["mean"], z["std"], **json.loads(str(z["shape"])))
    net.load_state_dict({k: torch.tensor(z[k]) for k in z.files if k != "shape"})
    return net.eval()


def main():
    opt = options()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    x, y = load("cleveland")
    record = {"model": {k: getattr(opt, k) for k in SHAPE},
              "training": {k: getattr(opt, k) for k in TUNE},
              "clip": CLIP, "rows": len(y), "positive": int(y.sum())}
    if opt.cv:
        record["cross_validation"] = cross_validate(
            x, y, opt, range(opt.cv_from, opt.cv_from + opt.cv))
    val = folds(y, 5, SPLIT_SEED)[0]
    train = np.setdiff1d(np.arange(len(y)), val)
    net = fit(x[train], y[train], opt, FIT_SEED)
    every = predict(net, x)
    ranges = net.ranges()
    predict(net, corners())
    record["final"] = {
        "split_seed": SPLIT_SEED, "fit_seed": FIT_SEED,
        "train_rows_sha256": digest(train), "validation_rows_sha256": digest(val),
        "validation_rows": val.tolist(),
        "train": figures(y[train], every[train]), "validation": figures(y[val], every[val]),
        "all": figures(y, every), "max_abs_activation_input": ranges,
        "max_abs_activation_input_at_corners": net.ranges(),
        "activations": {n: [float(m.a), float(m.b), float(m.c)]
                        for n, m in (("bottom.1", net.bottom[1]), ("top.1", net.top[1]))},
        "parameters": sum(p.numel() for p in net.parameters()),
        "max_abs_parameter": max(float(p.detach().abs().max()) for p in net.parameters())}
    hx, hy = load("hungarian", complete=False)
    record["hungarian"] = {
        "complete_rows": int((~np.isnan(hx).any(1)).sum()),
        "missing": {n: int(np.isnan(hx[:, i]).sum()) for i, n in enumerate(NAMES)},
        "missing_filled_in": figures(hy, predict(net, filled(hx, x[train])))}
    record["versions"] = {"python": platform.python_version(), "torch": torch.__version__,
                          "numpy": np.__version__, "onnx": metadata.version("onnx")}
    save(net, opt, opt.out)
    text = json.dumps(rounded(record), indent=1)
    text = re.sub(r"\[[^][]*\]", lambda m: " ".join(m[0].split()), text)  # lists on one line
    if not opt.no_record:
        opt.record.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
