#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes calibration rows for a network: calibrate.py MODEL.onnx OUT.npy NAME

A program computes a x^2 + b x + c from (x + b / 2a)^2, so the compiler must know how far |x + b / 2a| goes: it takes twice
what the calibration rows reach. These are drawn pictures, with their colours as they are and stretched; of many
candidates those are kept that reach furthest in some layer, but nowhere further than the pictures that NAME in
record.json was measured on. Twice their reach must exceed that of those pictures by LEAST in every layer.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from graph import evaluate
from pictures.draw import scenes

HERE = Path(__file__).resolve().parent
CANDIDATES, SEED, LEAST = 320, 11, 1.2


def squares_of(model, pictures):
    """{activation: the largest |x + b / 2a| of each picture}"""
    weights = {t.name: numpy_helper.to_array(t).astype(float) for t in model.graph.initializer}
    source = {n.input[0]: n.name[:-len(".ax")] for n in model.graph.node if n.name.endswith(".ax")}
    reach = {}

    def watch(name, x):
        if name in source:
            shift = weights[source[name] + ".b"] / (2 * weights[source[name] + ".a"])
            reach[source[name]] = np.abs(x + shift).max((1, 2, 3))

    evaluate(model, pictures, watch)
    return reach


def candidates():
    x = scenes(CANDIDATES, SEED)[0].astype(float)
    stretched = (x - x.mean((2, 3), keepdims=True)) * 1.3 + 128
    return np.concatenate([x, np.clip(np.rint(stretched), 0, 255)])


def recorded(entry):
    """{activation: what the recorded pictures reached}"""
    return {name: max(entry["inputs"][part][name]["square"] for part in ("train", "test"))
            for name in entry["inputs"]["train"]}


def choose(model, most):
    """Pictures [n, 3, 32, 32]: for each activation the candidate that goes furthest and nowhere beyond `most`."""
    x = candidates()
    with np.errstate(over="ignore", invalid="ignore"):  # some grow without bound
        parts = [squares_of(model, x[i:i + 32]) for i in range(0, len(x), 32)]
    reach = np.stack([np.concatenate([p[name] for p in parts]) for name in most])
    usable = (reach <= np.array(list(most.values()))[:, None]).all(0)
    return x[np.unique(np.where(usable, reach, 0).argmax(1))]


def coverage(model, rows, most):
    """{activation: twice what the rows reach over what the recorded pictures reached}"""
    reach = squares_of(model, rows)
    return {name: 2 * reach[name].max() / most[name] for name in most}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("model", type=Path)
    a.add_argument("out", type=Path)
    a.add_argument("name", help="whose reach in record.json is to be covered")
    opt = a.parse_args()
    model, most = onnx.load(opt.model), recorded(json.loads((HERE / "record.json").read_text())[opt.name])
    rows = choose(model, most)
    np.save(opt.out, rows.reshape(len(rows), -1).astype(np.float32))
    cover = coverage(model, rows, most)
    least = min(cover, key=cover.get)
    print(f"{opt.out}: {len(rows)} rows, twice their reach is at least {cover[least]:.2f} times that of all recorded "
          f"pictures ({least})")
    if cover[least] < LEAST:
        raise SystemExit(f"less than {LEAST}")


if __name__ == "__main__":
    main()
