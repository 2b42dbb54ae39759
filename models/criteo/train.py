#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trains one of the Criteo networks on the first rows of the sample and scores it on the next.

Writes WORK/NAME.npz (weights, vocabularies) and puts the figures into record.json under NAME. After every epoch
WORK/NAME.state is written; a run that was stopped goes on from there, to the same weights.
"""
import argparse
import json
import platform
import re
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from data import SPLIT, Vocabulary, load, parts, vocabulary
from digits import BASE, FULL_ROWS, THRESHOLD, sizes, width
from model import CLIP, Dlrm, Served
from rows import CATEGORICAL, HERE, sample_path

SHAPE = ("activation", "interaction", "base", "threshold", "dim")
WORDS = ("least", "order", "smooth", "folds")
TUNE = ("epochs", "batch", "lr", "drop", "drop_rows", "decay_rows", "range", "limit", "seed")


def options():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("name")
    a.add_argument("--activation", choices=["relu", "poly"], default="relu")
    a.add_argument("--interaction", choices=["cat", "dot"], default="cat")
    a.add_argument("--base", type=int, default=BASE, help="digit base, 0: whole tables")
    a.add_argument("--threshold", type=int, default=THRESHOLD, help="tables of at most so many rows stay whole")
    a.add_argument("--dim", type=int, default=16)
    a.add_argument("--least", type=int, default=5, help="values seen less often share row 0")
    a.add_argument("--order", choices=["rate", "count"], default="rate", help="what numbers a column's values")
    a.add_argument("--smooth", type=float, default=20, help="weight of the mean in a click rate, in rows")
    a.add_argument("--folds", type=int, default=8, help="training indices from the other folds' rates, 0: plain")
    a.add_argument("--epochs", type=int, default=4)
    a.add_argument("--batch", type=int, default=256)
    a.add_argument("--lr", type=float, default=1e-3)
    a.add_argument("--drop", type=float, default=0.3, help="dropout in the top")
    a.add_argument("--drop-rows", type=float, default=0.1, help="dropout of whole embeddings")
    a.add_argument("--decay-rows", type=float, default=0.0, help="weight decay of the embeddings")
    a.add_argument("--range", type=float, default=0.1, help="penalty on activation inputs beyond the limit")
    a.add_argument("--limit", type=float, default=3.0)
    a.add_argument("--seed", type=int, default=2506)
    a.add_argument("--input", type=Path, help="a Criteo file (default: the sample)")
    a.add_argument("--split", type=int, nargs=3, default=SPLIT, metavar=("TRAIN", "VALIDATION", "TEST"),
                   help="rows of each part, from the file's beginning")
    a.add_argument("--work", type=Path, default=HERE.parents[1] / "build" / "criteo")
    a.add_argument("--record", type=Path, default=HERE / "record.json")
    a.add_argument("--test", action="store_true", help="score the test rows too: once, when all is decided")
    return a.parse_args()


def moments(counts):
    x = torch.log(torch.relu(torch.tensor(counts)) + 1)
    return x.mean(0).float().numpy(), x.std(0).float().numpy()


def fit(net, dense, places, labels, opt, state):
    """Adam with a cosine from lr to 0; resumes from the file `state`."""
    rows = len(labels)
    steps = rows // opt.batch
    groups = [{"params": [net.table], "weight_decay": opt.decay_rows},
              {"params": [p for p in net.parameters() if p is not net.table], "weight_decay": 0.0}]
    optim = torch.optim.AdamW(groups, lr=opt.lr)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optim, opt.epochs * steps)
    done, key = 0, json.dumps({k: str(v) for k, v in vars(opt).items() if k in SHAPE + WORDS + TUNE + ("input", "split")})
    if state.exists():
        s = torch.load(state)
        if s["key"] != key:
            raise SystemExit(f"{state}: from other options; remove it to start again")
        net.load_state_dict(s["net"])
        optim.load_state_dict(s["optim"])
        plan.load_state_dict(s["plan"])
        torch.set_rng_state(s["rng"])
        done = s["epoch"]
    acts = [m for _, m in net.activations()]
    for epoch in range(done, opt.epochs):
        net.train()
        order, total = torch.randperm(rows), 0.0
        for i in range(0, steps * opt.batch, opt.batch):
            k = order[i:i + opt.batch]
            loss = F.binary_cross_entropy_with_logits(net(dense[k], places[k])[:, 0], labels[k])
            total += loss.item()
            if opt.range:
                loss = loss + opt.range * sum(F.relu(m.seen.abs() - opt.limit).square().mean() for m in acts)
            optim.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optim.step()
            plan.step()
        print(f"{opt.name}: epoch {epoch + 1} of {opt.epochs}, loss {total / steps:.4f}", flush=True)
        torch.save({"key": key, "epoch": epoch + 1, "net": net.state_dict(), "optim": optim.state_dict(),
                    "plan": plan.state_dict(), "rng": torch.get_rng_state()}, state.with_suffix(".new"))
        state.with_suffix(".new").replace(state)
    return net.eval()


def predict(net, dense, places, step=2048):
    """(probabilities [n] float64, the reach (least, greatest) of each activation's input)."""
    out, reach = [], {n: (np.inf, -np.inf) for n, _ in net.activations()}
    net.eval()
    with torch.no_grad():
        for i in range(0, len(places), step):
            out.append(torch.sigmoid(net(dense[i:i + step], places[i:i + step])[:, 0]).double().numpy())
            for n, m in net.activations():
                lo, hi = reach[n]
                reach[n] = (min(lo, m.seen.min().item()), max(hi, m.seen.max().item()))
    return np.concatenate(out), {n: list(v) for n, v in reach.items()}


def auc(y, p):
    values, inverse, counts = np.unique(p, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    pos = int(y.sum())
    return (rank[y == 1].sum() - pos * (pos + 1) / 2) / (pos * (len(y) - pos))


def figures(y, p):
    q = np.clip(p, 1e-7, 1 - 1e-7)
    return {"rows": len(y), "clicks": int(y.sum()), "auc": float(auc(y, p)),
            "log_loss": float(-np.where(y == 1, np.log(q), np.log(1 - q)).mean())}


def save(path, net, vocabularies, mean, std, opt):
    words = {f"{kind}:{n}": getattr(v, kind) for n, v in zip(CATEGORICAL, vocabularies) for kind in ("keys", "rows")}
    shape = json.dumps({k: getattr(opt, k) for k in SHAPE})
    np.savez_compressed(path, shape=np.array(shape), mean=mean, std=std, **words,
                        **{k: v.numpy() for k, v in net.state_dict().items()})


def restore(path):
    """(net, vocabularies, mean, std)"""
    z = np.load(path)
    vocabularies = [Vocabulary(z[f"keys:{n}"], z[f"rows:{n}"]) for n in CATEGORICAL]
    net = Dlrm([v.size for v in vocabularies], **json.loads(str(z["shape"])))
    net.load_state_dict({k: torch.tensor(z[k]) for k in net.state_dict()})
    return net.eval(), vocabularies, z["mean"], z["std"]


def rounded(v):
    if isinstance(v, dict):
        return {k: rounded(w) for k, w in v.items()}
    if isinstance(v, list):
        return [rounded(w) for w in v]
    return round(v, 6) if isinstance(v, float) else v


def record(path, name, entry):
    book = json.loads(path.read_text()) if path.exists() else {}
    book.setdefault(name, {}).update(rounded(entry))
    book = {k: book[k] for k in sorted(book)}
    text = json.dumps(book, indent=1)
    text = re.sub(r"\[[^][]*\]", lambda m: " ".join(m[0].split()), text)  # lists on one line
    path.write_text(text + "\n")


def main():
    opt = options()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    opt.work.mkdir(parents=True, exist_ok=True)
    y, counts, hashes = load(opt.input or sample_path(), sum(opt.split))
    if len(y) < sum(opt.split):
        raise SystemExit(f"{len(y)} rows; --split wants {sum(opt.split)}")
    train = slice(0, opt.split[0])
    pairs = [vocabulary(hashes[train, j], y[train].astype(float), opt.least, opt.order, opt.smooth, opt.folds, j,
                        lambda k: len(sizes(k, opt.base, opt.threshold)) > 1) for j in range(26)]
    vocabularies = [p[0] for p in pairs]
    rows = [v.size for v in vocabularies]
    mean, std = moments(counts[train])

    torch.manual_seed(opt.seed)
    net = Dlrm(rows, **{k: getattr(opt, k) for k in SHAPE}, drop=opt.drop, drop_rows=opt.drop_rows)
    dense = Served(net, vocabularies, mean, std).normalise(torch.tensor(counts, dtype=torch.float32))
    places = net.places(torch.tensor(np.stack([v(hashes[:, j]) for j, v in enumerate(vocabularies)], 1)))
    fitting = net.places(torch.tensor(np.stack([p[1] for p in pairs], 1)))
    fit(net, dense[train], fitting, torch.tensor(y[train], dtype=torch.float32), opt, opt.work / f"{opt.name}.state")
    save(opt.work / f"{opt.name}.npz", net, vocabularies, mean, std, opt)

    entry = {"model": {k: getattr(opt, k) for k in SHAPE}, "vocabulary": {k: getattr(opt, k) for k in WORDS},
             "training": {k: getattr(opt, k) for k in TUNE}, "clip": CLIP,
             "rows_of_tables": rows, "vocabulary_entries": sum(rows) - 26,
             "one_hot_width": width(rows, opt.base, opt.threshold), "lookups": net.lookups,
             "one_hot_width_of_full_tables": width(FULL_ROWS, opt.base, opt.threshold),
             "parameters": sum(p.numel() for p in net.parameters()),
             "max_abs_parameter": max(p.detach().abs().max().item() for p in net.parameters()),
             "activations": {n: [m.a.item(), m.b.item(), m.c.item()] for n, m in net.activations()}
             if opt.activation == "poly" else "relu", "scores": {}, "activation_inputs": {}}
    for part, (lo, hi) in parts(opt.split).items():
        if part != "test" or opt.test:
            p, reach = predict(net, dense[lo:hi], places[lo:hi])
            entry["scores"][part] = figures(y[lo:hi], p)
            entry["activation_inputs"][part] = reach
            print(f"{opt.name}: {part}", rounded(entry["scores"][part]))
    entry["versions"] = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
                         "onnx": metadata.version("onnx")}
    record(opt.record, opt.name, entry)


if __name__ == "__main__":
    main()
