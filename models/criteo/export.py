#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Exports trained weights to ONNX with Velum's metadata: dlrm_criteo_NAME.onnx, and expected_NAME.csv with PyTorch's
answers for requests.csv (float64 arithmetic on the float32 weights). Stops if the written graph, evaluated with NumPy,
answers differently."""
import argparse
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper

from data import SPLIT, invented, load
from evaluate import answers, read_csv
from model import Served
from rows import COLUMNS, DENSE, HERE, sample_path
from train import predict, record, restore

TEXT = {"I": "count %s; 0 if missing", "C": "category %s, a 32-bit hash as a number; 0 if missing"}
RANGE = {"I": "-1e9 1e9", "C": "0 4294967295"}
MOST = 1e-9  # difference of probabilities


def inputs_of(rows, real=torch.float32):
    return [torch.tensor(rows[:, i:i + 1]).to(real if n in DENSE else torch.int64)
            for i, n in enumerate(COLUMNS)]


def export(served, name, path):
    raw = tuple(inputs_of(np.zeros((2, 39), dtype=np.int64)))
    axes = {n: {0: "batch"} for n in [*COLUMNS, "click"]}
    torch.onnx.export(served, raw, str(path), opset_version=13, do_constant_folding=True, input_names=COLUMNS,
                      output_names=["click"], dynamic_axes=axes, custom_opsets={"ai.onnx.ml": 2})
    model = onnx.load(str(path))
    for node in model.graph.node:
        node.name = node.name.lstrip("/")
        node.ClearField("doc_string")
    model.graph.name = f"dlrm_criteo_{name}"
    meta = {"velum.metric": "auc"}
    for n in COLUMNS:
        meta[f"velum.range:{n}"] = RANGE[n[0]]
        meta[f"velum.description:{n}"] = TEXT[n[0]] % n[1:]
    helper.set_model_props(model, meta)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return model


def write_rows(path, rows):
    path.write_text("\n".join(",".join(map(str, r)) for r in [COLUMNS, *rows.tolist()]) + "\n")


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("name")
    a.add_argument("--work", type=Path, default=HERE.parents[1] / "build" / "criteo")
    a.add_argument("--out", type=Path, default=HERE, help="folder for what is written")
    a.add_argument("--invent", action="store_true", help="write requests.csv and calibration.csv first")
    a.add_argument("--input", type=Path, help="the Criteo file to invent after (default: the sample)")
    a.add_argument("--rows", type=int, default=SPLIT[0], help="its training rows")
    opt = a.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message=".*(_graph_op|LabelEncoder)")  # says nothing about our graph
    net, vocabularies, mean, std = restore(opt.work / f"{opt.name}.npz")
    served = Served(net, vocabularies, mean, std).eval()
    if opt.invent:
        _, counts, hashes = load(opt.input or sample_path(), opt.rows)
        write_rows(opt.out / "requests.csv", invented(counts, hashes, vocabularies, 64, 64))
        write_rows(opt.out / "calibration.csv", invented(counts, hashes, vocabularies, 512, 512, alike=128))
    path = opt.out / f"dlrm_criteo_{opt.name}.onnx"
    model = export(served, opt.name, path)

    sets = {"requests": read_csv(opt.out / "requests.csv"), "calibration": read_csv(opt.out / "calibration.csv")}
    if sample_path().exists():
        _, counts, hashes = load(sample_path(), 256)
        sets["train, 256 rows"] = np.concatenate([counts.astype(np.int64), hashes], 1)
    rows = sets["calibration"]
    dense = served.normalise(torch.tensor(rows[:, :13], dtype=torch.float32))
    index = np.stack([v(rows[:, 13 + j]) for j, v in enumerate(vocabularies)], 1)
    reach = predict(net, dense, net.places(torch.tensor(index)))[1]

    want = {}
    served.double()
    for key, rows in sets.items():
        with torch.no_grad():
            want[key] = served(*inputs_of(rows, torch.float64)).numpy()[:, 0]
        worst = float(np.abs(answers(model, rows) - want[key]).max())
        print(f"{path.name}: {key}: {len(rows)} rows, ONNX against PyTorch {worst:.1e}")
        if worst > MOST:
            raise SystemExit("the exported graph differs from the model")
    lines = ["click", *(f"{p:.9f}" for p in want["requests"])]
    (opt.out / f"expected_{opt.name}.csv").write_text("\n".join(lines) + "\n")

    kinds = [n.op_type for n in model.graph.node]
    record(HERE / "record.json" if opt.out == HERE else opt.work / "record.json", opt.name, {
        "calibration_activation_inputs": reach, "onnx_bytes": path.stat().st_size,
        "onnx_nodes": {k: kinds.count(k) for k in sorted(set(kinds))}})


if __name__ == "__main__":
    main()
