#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Exports trained weights to ONNX with Velum's metadata, checks the file with an
evaluator of its own against PyTorch, and writes the invented patients' answers."""
import argparse
import csv
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from model import NAMES, RANGES, TEXT, VALUES
from train import HERE, columns, data_dir, load, restore


def export(net, path):
    raw = tuple(torch.tensor([[float(VALUES[n][0] if n in VALUES else RANGES[n][0])]] * 2)
                for n in NAMES)
    axes = {n: {0: "batch"} for n in [*NAMES, "risk"]}
    torch.onnx.export(net, raw, str(path), opset_version=13, do_constant_folding=True,
                      input_names=NAMES, output_names=["risk"], dynamic_axes=axes)
    model = onnx.load(str(path))
    for node in model.graph.node:
        node.name = node.name.lstrip("/")
        node.ClearField("doc_string")
    model.graph.name = "dlrm_heart"
    meta = {"velum.metric": "auc"}
    for n in NAMES:
        if n in RANGES:
            meta[f"velum.range:{n}"] = "%g %g" % RANGES[n]
        else:
            meta[f"velum.values:{n}"] = " ".join(map(str, VALUES[n]))
        meta[f"velum.description:{n}"] = TEXT[n]
    helper.set_model_props(model, meta)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return model


def evaluate(model, inputs):
    """The graph in numpy, real arithmetic in float64."""
    def real(v):
        return v.astype(np.float64) if v.dtype == np.float32 else v

    def cast(v, to):
        return v.astype({1: np.float64, 7: np.int64}[to])

    def reduce_sum(v, axes, keepdims=1):
        return v.sum(tuple(int(a) for a in axes), keepdims=bool(keepdims))

    def gemm(a, b, c=0.0, alpha=1.0, beta=1.0, transA=0, transB=0):
        return alpha * (a.T if transA else a) @ (b.T if transB else b) + beta * c

    def divide(a, b):  # integers truncate; all of ours are non-negative
        return a // b if a.dtype == np.int64 else a / b

    ops = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": divide,
           "Mod": lambda a, b, fmod=0: np.mod(a, b), "Cast": cast, "Gemm": gemm,
           "MatMul": np.matmul, "Gather": lambda t, i, axis=0: np.take(t, i, axis),
           "Concat": lambda *v, axis: np.concatenate(v, axis),
           "Clip": lambda v, lo, hi: np.clip(v, lo, hi), "ReduceSum": reduce_sum,
           "Flatten": lambda v, axis=1: v.reshape(int(np.prod(v.shape[:axis])), -1),
           "Unsqueeze": lambda v, axes: np.expand_dims(v, tuple(int(a) for a in axes)),
           "Sigmoid": lambda v: 1 / (1 + np.exp(-v)), "Identity": lambda v: v,
           "Constant": lambda value: real(numpy_helper.to_array(value))}
    env = {t.name: real(numpy_helper.to_array(t)) for t in model.graph.initializer}
    env.update(inputs)
    for node in model.graph.node:
        attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        env[node.output[0]] = ops[node.op_type](*(env[i] for i in node.input), **attrs)
    return env[model.graph.output[0].name][:, 0]


def answers(model, x):
    return evaluate(model, {n: x[:, i:i + 1].astype(np.float32).astype(np.float64)
                            for i, n in enumerate(NAMES)})


def patients(path):
    with open(path, newline="") as f:
        rows = list(csv.DictReader(f))
    return np.array([[float(r[n]) for n in NAMES] for r in rows])


def dump(model):
    shapes = {t.name: (list(t.dims), t.data_type) for t in model.graph.initializer}
    for node in model.graph.node:
        attrs = []
        for a in node.attribute:
            v = helper.get_attribute_value(a)
            if a.type == onnx.AttributeProto.TENSOR:
                v = numpy_helper.to_array(v)
                v = f"{v.dtype}{list(v.shape)}" + (f"={v.tolist()}" if v.size < 9 else "")
            attrs.append(f"{a.name}={v}")
        print(node.op_type, list(node.input), "->", list(node.output), *attrs)
    for name, (dims, kind) in shapes.items():
        print("initializer", name, onnx.TensorProto.DataType.Name(kind), dims)


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--weights", type=Path, default=HERE / "weights.npz")
    a.add_argument("--out", type=Path, default=HERE / "dlrm_heart.onnx")
    a.add_argument("--expected", type=Path, default=HERE / "expected.csv")
    a.add_argument("--dump", action="store_true", help="print every node")
    opt = a.parse_args()
    torch.set_num_threads(1)
    net = restore(opt.weights)
    model = export(net, opt.out)
    invented = patients(HERE / "patients.csv")
    sets = {"patients.csv": invented}
    if (data_dir() / "heart").is_dir():
        sets["cleveland"] = load("cleveland")[0]
    for name, x in sets.items():
        with torch.no_grad():
            worst = np.abs(answers(model, x) - net(*columns(x)).numpy()[:, 0]).max()
        print(f"{opt.out.name}: {name}: {len(x)} rows, ONNX against PyTorch {worst:.1e}")
        if worst > 1e-6:
            raise SystemExit("the exported graph differs from the model")
    lines = ["risk", *(f"{p:.9f}" for p in answers(model, invented))]
    opt.expected.write_text("\n".join(lines) + "\n")
    if opt.dump:
        dump(model)


if __name__ == "__main__":
    main()
