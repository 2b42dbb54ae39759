#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Scores networks that train.py made, and measures how far their activations' inputs reach.

  evaluate.py WEIGHTS.pt ...   puts accuracy and ranges, by part of the data, into record.json under each file's stem

The last 5,000 pictures are scored here and nowhere else. A channel's range is [-RANGE s, RANGE s]; `used` is the largest
part of its range that a channel of the layer needs, `square` the largest |x + b / 2a|, which the program squares.
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

import cifar
from export import model_of
from model import RANGE, Poly
from pictures.draw import scenes
from train import restore


class Reach:
    """Of one activation: the least and the greatest input of each channel."""

    def __init__(self, module):
        self.low, self.high, self.module = None, None, module
        self.hook = module.register_forward_pre_hook(self.see)

    def see(self, _, inputs):
        low, high = inputs[0].amin((0, 2, 3)), inputs[0].amax((0, 2, 3))
        self.low = low if self.low is None else torch.minimum(self.low, low)
        self.high = high if self.high is None else torch.maximum(self.high, high)

    def figures(self):
        out = {"least": self.low.min().item(), "greatest": self.high.max().item()}
        if isinstance(self.module, Poly):  # how much of its range the fullest channel uses; what the program squares
            used = torch.maximum(self.high, -self.low) / (RANGE * self.module.spans())
            a, b, _ = self.module.coefficients()
            square = torch.maximum((self.low + b / (2 * a)).abs(), (self.high + b / (2 * a)).abs())
            out.update(used=used.max().item(), square=square.max().item())
        return out


def score(net, pictures, labels, step=250):
    """(accuracy, mean cross entropy, largest |logit|, reach by activation)"""
    reach = {n: Reach(m) for n, m in net.activations()}
    right, entropy, most = 0, 0.0, 0.0
    with torch.no_grad():
        for i in range(0, len(labels), step):
            x = torch.tensor(pictures[i:i + step]).float().contiguous(memory_format=torch.channels_last)
            y = torch.tensor(labels[i:i + step])
            logits = net(x)
            right += (logits.argmax(1) == y).sum().item()
            entropy += F.cross_entropy(logits, y, reduction="sum").item()
            most = max(most, logits.abs().max().item())
    for r in reach.values():
        r.hook.remove()
    return {"pictures": len(labels), "right": right, "accuracy": right / len(labels), "cross_entropy": entropy / len(labels),
            "largest_logit": most}, {n: r.figures() for n, r in reach.items()}


def rounded(v):
    if isinstance(v, dict):
        return {k: rounded(w) for k, w in v.items()}
    return float(f"{v:.5g}") if isinstance(v, float) else v


def record(path, name, entry):
    book = json.loads(path.read_text()) if path.exists() else {}
    book[name] = rounded(entry)
    text = json.dumps({k: book[k] for k in sorted(book)}, indent=1)
    text = re.sub(r"\{[^{}]*\}", lambda m: " ".join(m[0].split()), text)  # the innermost on one line
    path.write_text(text + "\n")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("weights", type=Path, nargs="+")
    a.add_argument("--record", type=Path, default=cifar.HERE / "record.json")
    a.add_argument("--data", help="folder of the batches (default: $VELUM_DATA/cifar10)")
    a.add_argument("--work", type=Path, default=cifar.WORK)
    a.add_argument("--threads", type=int, default=2)
    opt = a.parse_args()
    torch.set_num_threads(opt.threads)
    images, labels = cifar.load(opt.data, opt.work)
    drawn, kinds = scenes()
    parts = {"train": (images[cifar.TRAIN], labels[cifar.TRAIN]), "test": (images[cifar.TEST], labels[cifar.TEST]),
             "drawn": (drawn, kinds)}
    for path in opt.weights:
        net, about = restore(path)
        entry = {**about, "parameters": sum(p.numel() for p in net.parameters()), "scores": {}, "inputs": {}}
        if about["activation"] == "poly":
            entry["ranges"] = {n: [RANGE * f(m.spans()).item() for f in (torch.min, torch.max)] for n, m in net.activations()}
            weights = [t.float_data or np.frombuffer(t.raw_data, np.float32) for t in model_of(net, "x").graph.initializer]
            entry["largest_folded_weight"] = max(float(np.abs(w).max()) for w in weights[2:])
        for part, (x, y) in parts.items():
            entry["scores"][part], entry["inputs"][part] = score(net, x, y)
            used = max((v.get("used", 0) for v in entry["inputs"][part].values()), default=0)
            print(f"{path.stem}: {part}: {entry['scores'][part]}, range used {used:.3f}", flush=True)
        entry["versions"] = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__,
                             "onnx": metadata.version("onnx")}
        record(opt.record, path.stem, entry)


if __name__ == "__main__":
    main()
