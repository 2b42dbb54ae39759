# SPDX-License-Identifier: Apache-2.0
"""Evaluates the exported graphs with NumPy, in float64 on the float32 weights: what their answers ought to be."""
import csv

import numpy as np
from onnx import helper, numpy_helper

from rows import COLUMNS


def real(v):
    return v.astype(np.float64) if v.dtype == np.float32 else v


def clip(v, lo=None, hi=None):
    return v if lo is None and hi is None else np.clip(v, lo, hi)


def gemm(a, b, c=0.0, alpha=1.0, beta=1.0, transA=0, transB=0):
    return alpha * (a.T if transA else a) @ (b.T if transB else b) + beta * c


def divide(a, b):  # integers truncate; all of ours are non-negative
    return a // b if a.dtype == np.int64 else a / b


def encode(x, keys_int64s, values_int64s, default_int64):
    keys, values = np.array(keys_int64s), np.array(values_int64s)
    order = np.argsort(keys)
    keys, values = keys[order], values[order]
    at = np.minimum(np.searchsorted(keys, x), len(keys) - 1)
    return np.where(keys[at] == x, values[at], default_int64)


def reduce_sum(v, axes, keepdims=1):
    return v.sum(tuple(int(a) for a in axes), keepdims=bool(keepdims))


OPERATORS = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": divide, "Log": np.log, "Clip": clip, "Gemm": gemm,
    "Cast": lambda v, to: v.astype({1: np.float64, 7: np.int64}[to]),
    "Mod": lambda a, b, fmod=0: np.mod(a, b), "MatMul": np.matmul, "LabelEncoder": encode,
    "Gather": lambda t, i, axis=0: np.take(t, i, axis), "Concat": lambda *v, axis: np.concatenate(v, axis),
    "Relu": lambda v: np.maximum(v, 0), "ReduceSum": reduce_sum, "Identity": lambda v: v,
    "Flatten": lambda v, axis=1: v.reshape(int(np.prod(v.shape[:axis])), -1),
    "Unsqueeze": lambda v, axes: np.expand_dims(v, tuple(int(a) for a in axes)),
    "Sigmoid": lambda v: 1 / (1 + np.exp(-v)), "Constant": lambda value: real(numpy_helper.to_array(value))}


def evaluate(model, inputs):
    """The graph's only output; inputs: name to array [n,1], int64 or float64."""
    env = {t.name: real(numpy_helper.to_array(t)) for t in model.graph.initializer}
    env.update(inputs)
    for node in model.graph.node:
        attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        env[node.output[0]] = OPERATORS[node.op_type](*(env[i] if i else None for i in node.input), **attrs)
    return env[model.graph.output[0].name][:, 0]


def answers(model, rows):
    """The probabilities for raw rows [n,39] int64."""
    return evaluate(model, {n: rows[:, i:i + 1].astype(np.float64) if n[0] == "I" else rows[:, i:i + 1]
                            for i, n in enumerate(COLUMNS)})


def read_csv(path):
    """Raw rows [n,39] int64 of a file with a header."""
    with open(path, newline="") as f:
        return np.array([[int(r[n]) for n in COLUMNS] for r in csv.DictReader(f)], dtype=np.int64)
