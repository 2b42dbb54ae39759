# SPDX-License-Identifier: Apache-2.0
"""Evaluates the exported graphs with NumPy, in float64 on the float32 weights: what their answers ought to be."""
import numpy as np
from onnx import helper, numpy_helper


def convolution(x, w, b, strides, pads, kernel_shape):
    """By kernel places: y += w[:, :, i, j] x shifted, zeros outside."""
    n, _, height, width = x.shape
    top, left, bottom, right = pads
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    rows = (height + top + bottom - kernel_shape[0]) // strides[0] + 1
    cols = (width + left + right - kernel_shape[1]) // strides[1] + 1
    y = np.repeat(b[None, :, None], n, 0) * np.ones(rows * cols)
    for i in range(kernel_shape[0]):
        for j in range(kernel_shape[1]):
            part = x[:, :, i:i + rows * strides[0]:strides[0], j:j + cols * strides[1]:strides[1]]
            y += w[:, :, i, j] @ part.reshape(n, -1, rows * cols)
    return y.reshape(n, -1, rows, cols)


OPERATORS = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Conv": convolution, "Relu": lambda v: np.maximum(v, 0),
    "GlobalAveragePool": lambda v: v.mean((2, 3), keepdims=True), "Flatten": lambda v, axis=1: v.reshape(len(v), -1),
    "Gemm": lambda a, b, c, transB: a @ b.T + c}


def evaluate(model, pictures, watch=None):
    """The logits of raw pictures [n, 3, 32, 32]. watch(name, value) is called with every node's output."""
    env = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer}
    env[model.graph.input[0].name] = np.asarray(pictures, np.float64)
    for node in model.graph.node:
        attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        env[node.output[0]] = OPERATORS[node.op_type](*(env[i] for i in node.input), **attrs)
        if watch:
            watch(node.output[0], env[node.output[0]])
    return env[model.graph.output[0].name]
